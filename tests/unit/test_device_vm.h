/* SPDX-License-Identifier: Apache-2.0 */
/* A VM without vCPUs around real memory, buses and PCI, with a hypervisor and a console that only
 * record. */
#ifndef ALCOR_TESTS_UNIT_TEST_DEVICE_VM_H
#define ALCOR_TESTS_UNIT_TEST_DEVICE_VM_H

#include "bus/pci.h"
#include "fake_hv.h"
#include "plugin/device.h"
#include "vm/console.h"

#define TEST_RAM    (2u << 20)
#define TEST_ECAM   0xe0000000u
#define TEST_OPTION "--test thing,x=1"

struct console_port {
	struct console_client client;
	struct vm *vm;
	uint64_t written;
};

struct vm {
	struct hv_vm hv;
	struct mem *mem;
	struct bus *pio, *mmio;
	struct pci_root *pci;
	struct machine_config config;
	struct vm_device *devices;
	struct console_port port; /* one sink, open while client.ops is set */
	enum vm_event event;
	unsigned n_acpi_nodes;
	uint32_t irq_gsi;
	int irq_level, irq_result;
};

void test_vm_open(struct vm *vm);
/* Destroys the devices, too. */
void test_vm_close(struct vm *vm);

/* Parses @text by the claim's table and adds the device. */
int test_vm_add(struct vm *vm, const struct alcor_claim *claim, const char *text,
		struct error *err);

/* As a vCPU does. */
uint64_t test_bus_read(struct bus *bus, struct bus_reader *reader, uint64_t addr, uint32_t size);
void test_bus_write(struct bus *bus, struct bus_reader *reader, uint64_t addr, uint32_t size,
		    uint64_t value);
/* Vendor and device id of a slot on bus 0; all ones: nothing there. */
uint32_t test_pci_id(struct vm *vm, unsigned slot);

unsigned test_n_fds(void);

#endif
