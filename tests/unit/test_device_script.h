/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin that does as a test tells it, in a VM of its own. */
#ifndef ALCOR_TESTS_UNIT_TEST_DEVICE_SCRIPT_H
#define ALCOR_TESTS_UNIT_TEST_DEVICE_SCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <alcor/acpi.h>
#include <alcor/console.h>
#include <alcor/io.h>
#include <alcor/loop.h>
#include <alcor/pci.h>
#include <alcor/virtio.h>

#include "test_device_vm.h"

/* Registrations that the plugin can be told to make. */
enum step {
	STEP_WATCH,
	STEP_TIMER,
	STEP_DEFER,
	STEP_CONSOLE,
	STEP_PIO,
	STEP_MMIO,
	STEP_PCI,
	STEP_VIRTIO,
	STEP_ACPI,
	N_STEPS,
};

struct script {
	char calls[64]; /* a letter each: Create Realize Start(resume) Pause reset(Z) Destroy */
	unsigned create_steps, realize_steps; /* bits of enum step */
	int create_result, realize_result;
	const char *create_words, *realize_words;
	int step_result[N_STEPS];
	uint32_t reset_kind;
	int event_fd;
	struct alcor_dev *dev;
	struct alcor_watch *watch;
	struct alcor_timer *timer;
	struct alcor_console_port *port;
	struct alcor_pci_function *function;
	uint64_t last_write, last_offset;
};

extern struct script script;
extern const struct alcor_claim script_claim; /* class test, keyword thing */
extern const struct alcor_dev_ops script_ops;
extern const struct alcor_io_ops script_io_ops;
extern const struct alcor_pci_desc script_pci;
extern const struct alcor_virtio_desc script_virtio;
extern const struct alcor_acpi_node script_acpi;

uint64_t script_read(void *opaque, uint64_t offset, uint32_t size);
int script_step(struct alcor_dev *dev, enum step step);

struct fixture {
	struct vm vm;
	struct error err;
	unsigned n_fds;
};

int script_setup(void **state);
int script_teardown(void **state);
/* A device that is expected to be made. */
void script_add(struct fixture *f, const char *text);

#define SCRIPT_TEST(fn) cmocka_unit_test_setup_teardown(fn, script_setup, script_teardown)

#endif
