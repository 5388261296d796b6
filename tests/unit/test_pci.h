/* SPDX-License-Identifier: Apache-2.0 */
/* A PCI root with a guest on both of its buses, for the tests of configuration space and of BARs. */
#ifndef ALCOR_TESTS_UNIT_TEST_PCI_H
#define ALCOR_TESTS_UNIT_TEST_PCI_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "bus/pci.h"
#include "fake_hv.h"
#include "util/overflow.h"

#define ECAM	  0xe0000000ull
#define IO_BASE	  0xc000
#define MEM32	  0xc0000000ull
#define PREFETCH  0xd0000000ull
#define MEM64	  0x10000000000ull
#define COMMAND	  0x04
#define BAR(n)	  (0x10 + 4 * (n))
#define BDF(s, f) ((s) << 3 | (f))

struct device {
	uint64_t value, last_offset;
	int n_writes;
};

static inline uint64_t device_read(void *opaque, uint64_t offset, uint32_t size)
{
	struct device *dev = opaque;

	dev->last_offset = offset;
	return dev->value;
}

static inline int device_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
{
	struct device *dev = opaque;

	dev->last_offset = offset;
	dev->value = value;
	dev->n_writes++;
	return 0;
}

static const struct bus_ops device_ops = { device_read, device_write };

struct fixture {
	struct hv_vm hv;
	struct bus *mmio, *pio;
	struct bus_reader *mmio_reader, *pio_reader;
	struct pci_root *root;
	struct error err;
	struct device dev;
};

static inline int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));
	struct pci_root_config config = {
		.hv = &f->hv,
		.ecam_base = ECAM,
		.io = { IO_BASE, 0x4000 },
		.mem32 = { MEM32, 0x10000000 },
		.mem32_prefetch = { PREFETCH, 0x10000000 },
		.mem64 = { MEM64, 0x400000000 },
	};

	*state = f;
	fake_hv_init(&f->hv);
	if (bus_new(0, &f->mmio) || bus_new(0x10000, &f->pio) ||
	    bus_reader_add(f->mmio, &f->mmio_reader) || bus_reader_add(f->pio, &f->pio_reader))
		return -1;
	config.mmio = f->mmio;
	config.pio = f->pio;
	return pci_root_new(&config, &f->root, &f->err);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	pci_root_free(f->root);
	bus_reader_remove(f->mmio, f->mmio_reader);
	bus_reader_remove(f->pio, f->pio_reader);
	bus_free(f->mmio);
	bus_free(f->pio);
	assert_int_equal(f->hv.n_ioeventfds, 0);
	assert_int_equal(fake_hv_n_gsis(&f->hv), 0);
	test_free(f);
	return 0;
}

/* --- the guest's side --- */

static inline uint64_t mmio_read(struct fixture *f, uint64_t addr, uint32_t size)
{
	uint64_t value = 0;

	bus_read(f->mmio, f->mmio_reader, addr, size, &value);
	return value;
}

static inline void mmio_write(struct fixture *f, uint64_t addr, uint32_t size, uint64_t value)
{
	bus_write(f->mmio, f->mmio_reader, addr, size, &value);
}

static inline uint32_t in(struct fixture *f, uint16_t port, uint32_t size)
{
	uint32_t value = 0;

	bus_read(f->pio, f->pio_reader, port, size, &value);
	return value;
}

static inline void out(struct fixture *f, uint16_t port, uint32_t size, uint32_t value)
{
	bus_write(f->pio, f->pio_reader, port, size, &value);
}

static inline uint64_t config_read(struct fixture *f, int bdf, int offset, uint32_t size)
{
	return mmio_read(f, ECAM + ((uint64_t)bdf << 12) + (uint64_t)offset, size);
}

static inline void config_write(struct fixture *f, int bdf, int offset, uint32_t size,
				uint64_t value)
{
	mmio_write(f, ECAM + ((uint64_t)bdf << 12) + (uint64_t)offset, size, value);
}

static const struct pci_fn_desc plain = {
	.owner = "dev",
	.vendor_id = 0x1af4,
	.device_id = 0x1042,
	.subsystem_vendor_id = 0x1234,
	.subsystem_id = 0x5678,
	.revision = 1,
	.class_base = 0x01,
	.class_sub = 0x80,
	.class_interface = 0x02,
};

static inline struct pci_fn *add(struct fixture *f, int bdf, const struct pci_fn_desc *desc)
{
	struct pci_fn *fn = NULL;

	if (pci_add(f->root, bdf, desc, &fn, &f->err))
		fail_msg("%s", f->err.text);
	return fn;
}

static inline struct pci_fn *add_bar(struct fixture *f, int bdf, uint64_t size, uint32_t flags)
{
	struct pci_fn_desc desc = plain;

	desc.bars[0] = (struct pci_bar_desc){ size, flags, &device_ops, &f->dev };
	return add(f, bdf, &desc);
}

static inline void assign(struct fixture *f)
{
	if (pci_assign(f->root, &f->err))
		fail_msg("%s", f->err.text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
