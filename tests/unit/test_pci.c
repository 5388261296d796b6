/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/pci.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

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

static uint64_t device_read(void *opaque, uint64_t offset, uint32_t size)
{
	struct device *dev = opaque;

	dev->last_offset = offset;
	return dev->value;
}

static int device_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
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

static int setup(void **state)
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

static int teardown(void **state)
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

static uint64_t mmio_read(struct fixture *f, uint64_t addr, uint32_t size)
{
	uint64_t value = 0;

	bus_read(f->mmio, f->mmio_reader, addr, size, &value);
	return value;
}

static void mmio_write(struct fixture *f, uint64_t addr, uint32_t size, uint64_t value)
{
	bus_write(f->mmio, f->mmio_reader, addr, size, &value);
}

static uint32_t in(struct fixture *f, uint16_t port, uint32_t size)
{
	uint32_t value = 0;

	bus_read(f->pio, f->pio_reader, port, size, &value);
	return value;
}

static void out(struct fixture *f, uint16_t port, uint32_t size, uint32_t value)
{
	bus_write(f->pio, f->pio_reader, port, size, &value);
}

static uint64_t config_read(struct fixture *f, int bdf, int offset, uint32_t size)
{
	return mmio_read(f, ECAM + ((uint64_t)bdf << 12) + (uint64_t)offset, size);
}

static void config_write(struct fixture *f, int bdf, int offset, uint32_t size, uint64_t value)
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

static struct pci_fn *add(struct fixture *f, int bdf, const struct pci_fn_desc *desc)
{
	struct pci_fn *fn = NULL;

	if (pci_add(f->root, bdf, desc, &fn, &f->err))
		fail_msg("%s", f->err.text);
	return fn;
}

static struct pci_fn *add_bar(struct fixture *f, int bdf, uint64_t size, uint32_t flags)
{
	struct pci_fn_desc desc = plain;

	desc.bars[0] = (struct pci_bar_desc){ size, flags, &device_ops, &f->dev };
	return add(f, bdf, &desc);
}

static void assign(struct fixture *f)
{
	if (pci_assign(f->root, &f->err))
		fail_msg("%s", f->err.text);
}

/* --- access to configuration space --- */

static void test_ports_reach_every_byte(void **state)
{
	struct fixture *f = *state;

	add(f, BDF(3, 0), &plain);
	out(f, 0xcf8, 4, 0x80000000 | BDF(3, 0) << 8);
	assert_int_equal(in(f, 0xcf8, 4), 0x80001800);
	assert_int_equal(in(f, 0xcfc, 4), 0x10421af4);
	assert_int_equal(in(f, 0xcfe, 2), 0x1042);
	assert_int_equal(in(f, 0xcfd, 1), 0x1a);
	/* Across the end of the data register there is nothing. */
	assert_int_equal(in(f, 0xcfe, 4), 0xffffffff);
	out(f, 0xcf8, 4, 0x80000000 | BDF(3, 0) << 8 | COMMAND);
	out(f, 0xcfd, 1, 0x04);
	out(f, 0xcfc, 1, 0x06);
	assert_int_equal(in(f, 0xcfc, 2), 0x0406);
}

static void test_address_port_takes_dwords_only(void **state)
{
	struct fixture *f = *state;

	add(f, BDF(0, 0), &plain);
	/* How Linux looks for this mechanism. */
	out(f, 0xcfb, 1, 0x01);
	out(f, 0xcf8, 4, 0x80000000);
	assert_int_equal(in(f, 0xcf8, 4), 0x80000000);
	out(f, 0xcf8, 2, 0x1234);
	out(f, 0xcf9, 1, 0x06);
	assert_int_equal(in(f, 0xcf8, 4), 0x80000000);
	assert_int_equal(in(f, 0xcf8, 2), 0xffff);
	/* Reserved bits read 0; without the enable bit the data register is dead. */
	out(f, 0xcf8, 4, 0x7f000003);
	assert_int_equal(in(f, 0xcf8, 4), 0);
	assert_int_equal(in(f, 0xcfc, 4), 0xffffffff);
	out(f, 0xcf8, 4, COMMAND);
	out(f, 0xcfc, 2, 7);
	assert_int_equal(config_read(f, 0, COMMAND, 2), 0);
}

static void test_absent_functions_read_ones(void **state)
{
	struct fixture *f = *state;

	add(f, BDF(0, 0), &plain);
	assert_int_equal(config_read(f, BDF(1, 0), 0, 4), 0xffffffff);
	assert_int_equal(config_read(f, BDF(0, 1), 0, 2), 0xffff);
	assert_int_equal(config_read(f, 0x100, 0, 4), 0xffffffff);
	assert_int_equal(config_read(f, 0xffff, 0xffc, 4), 0xffffffff);
	config_write(f, BDF(1, 0), COMMAND, 4, 7);
	out(f, 0xcf8, 4, 0x80ff0000);
	assert_int_equal(in(f, 0xcfc, 4), 0xffffffff);
}

static void test_function_on_another_bus(void **state)
{
	struct fixture *f = *state;
	struct pci_fn *fn = add(f, 5 << 8 | BDF(2, 0), &plain);

	assert_int_equal(pci_bdf(fn), 0x510);
	assert_int_equal(config_read(f, 0x510, 0, 4), 0x10421af4);
	out(f, 0xcf8, 4, 0x80051000);
	assert_int_equal(in(f, 0xcfc, 4), 0x10421af4);
}

static void test_header(void **state)
{
	struct fixture *f = *state;

	add(f, 0, &plain);
	assert_int_equal(config_read(f, 0, 0x08, 4), 0x01800201);
	assert_int_equal(config_read(f, 0, 0x0e, 1), 0);
	assert_int_equal(config_read(f, 0, 0x2c, 4), 0x56781234);
	assert_int_equal(config_read(f, 0, 0x3c, 4), 0);
	assert_int_equal(config_read(f, 0, 0x04, 4), 0);
	assert_int_equal(config_read(f, 0, 0x34, 1), 0);
	assert_int_equal(config_read(f, 0, 0x100, 4), 0);
	/* The last byte of the function does not leak into the next. */
	assert_int_equal(config_read(f, 0, 0xffe, 4), 0xffffffff);
}

static void test_writes_honour_masks(void **state)
{
	struct fixture *f = *state;
	int offset;

	add(f, 0, &plain);
	for (offset = 0; offset < 0x1000; offset += 4)
		config_write(f, 0, offset, 4, 0xffffffff);
	assert_int_equal(config_read(f, 0, COMMAND, 4), 0x0407);
	assert_int_equal(config_read(f, 0, 0, 4), 0x10421af4);
	for (offset = 8; offset < 0x1000; offset += 4)
		if (offset != 8 && offset != 0x2c)
			assert_int_equal(config_read(f, 0, offset, 4), 0);
	config_write(f, 0, COMMAND + 1, 1, 0);
	assert_int_equal(config_read(f, 0, COMMAND, 2), 0x0007);
}

static void test_capabilities_keep_their_order(void **state)
{
	struct fixture *f = *state;
	static const uint8_t body[6] = { 0x10, 0x20, 0x30, 0x40, 0x50, 0x60 };
	static const uint8_t writable[6] = { 0, 0x0f, 0xff };
	struct pci_fn_desc desc = plain;
	struct pci_fn *fn;
	int first, second, msix;

	desc.n_vectors = 2;
	fn = add(f, 0, &desc);
	first = pci_add_capability(fn, 0x09, body, writable, sizeof(body), false);
	second = pci_add_capability(fn, 0x05, body, NULL, 3, false);
	assert_int_equal(config_read(f, 0, 0x06, 2), 0x10);
	msix = (int)config_read(f, 0, 0x34, 1);
	assert_int_equal(msix, 0x40);
	assert_int_equal(config_read(f, 0, msix, 1), 0x11);
	assert_int_equal(config_read(f, 0, msix + 1, 1), first);
	assert_int_equal(config_read(f, 0, first, 4), 0x20100009 | second << 8);
	assert_int_equal(config_read(f, 0, second, 4), 0x20100005);
	config_write(f, 0, first + 2, 4, 0xffffffff);
	assert_int_equal(config_read(f, 0, first + 2, 4), 0x40ff2f10);
	config_write(f, 0, second + 2, 2, 0xffff);
	assert_int_equal(config_read(f, 0, second + 2, 2), 0x2010);
	/* The list ends, and stays good, where there is no room. */
	assert_int_equal(pci_add_capability(fn, 9, body, NULL, 0xa4, false), -ENOSPC);
	while (pci_add_capability(fn, 9, body, NULL, 2, false) > 0)
		;
	assert_int_equal(config_read(f, 0, 0xfc, 4), 0x20100009);
	assert_int_equal(pci_add_capability(fn, 9, body, NULL, 0, false), -ENOSPC);
}

struct hooks {
	struct pci_fn *fn;
	int n_reads, n_writes;
	uint16_t offset;
	uint32_t size;
};

static void hook_read(void *opaque, uint16_t offset, uint32_t size)
{
	struct hooks *hooks = opaque;

	hooks->n_reads++;
	hooks->offset = offset;
	hooks->size = size;
	pci_config(hooks->fn)[offset] = 0x77;
}

static void hook_write(void *opaque, uint16_t offset, uint32_t size)
{
	struct hooks *hooks = opaque;

	hooks->n_writes++;
	hooks->offset = pci_config(hooks->fn)[offset];
}

static void test_hooked_capability(void **state)
{
	struct fixture *f = *state;
	static const struct pci_fn_ops ops = { hook_read, hook_write, NULL };
	static const uint8_t body[6], writable[6] = { 0xff };
	struct hooks hooks = { 0 };
	struct pci_fn_desc desc = plain;
	int cap;

	desc.ops = &ops;
	desc.opaque = &hooks;
	hooks.fn = add(f, 0, &desc);
	pci_add_capability(hooks.fn, 9, body, NULL, 2, false);
	cap = pci_add_capability(hooks.fn, 9, body, writable, sizeof(body), true);
	config_read(f, 0, 0, 4);
	config_read(f, 0, cap - 4, 4);
	config_read(f, 0, cap, 2);
	assert_int_equal(hooks.n_reads, 0);
	assert_int_equal(config_read(f, 0, cap + 4, 2), 0x0077);
	assert_int_equal(hooks.n_reads, 1);
	assert_int_equal(hooks.offset, cap + 4);
	assert_int_equal(hooks.size, 2);
	config_write(f, 0, cap + 2, 1, 0xab);
	assert_int_equal(hooks.n_writes, 1);
	assert_int_equal(hooks.offset, 0xab);
}

/* --- BARs --- */

static void test_sizing(void **state)
{
	struct fixture *f = *state;
	struct pci_fn_desc desc = plain;

	desc.bars[0] = (struct pci_bar_desc){ 0x4000, 0, &device_ops, &f->dev };
	desc.bars[1] = (struct pci_bar_desc){ 0x20, PCI_BAR_IO, &device_ops, &f->dev };
	desc.bars[2] = (struct pci_bar_desc){ 0x200000000, PCI_BAR_64BIT | PCI_BAR_PREFETCH,
					      &device_ops, &f->dev };
	desc.bars[4] = (struct pci_bar_desc){ 0x1000, PCI_BAR_64BIT, &device_ops, &f->dev };
	add(f, 0, &desc);
	config_write(f, 0, BAR(0), 4, 0xffffffff);
	config_write(f, 0, BAR(1), 4, 0xffffffff);
	config_write(f, 0, BAR(2), 8, UINT64_MAX);
	config_write(f, 0, BAR(4), 4, 0xffffffff);
	config_write(f, 0, BAR(5), 4, 0xffffffff);
	assert_int_equal(config_read(f, 0, BAR(0), 4), 0xffffc000);
	assert_int_equal(config_read(f, 0, BAR(1), 4), 0xffffffe1);
	assert_int_equal(config_read(f, 0, BAR(2), 8), 0xfffffffe0000000c);
	assert_int_equal(config_read(f, 0, BAR(4), 8), 0xfffffffffffff004);
	/* Decoding what was written only to learn the size maps nothing and breaks nothing. */
	config_write(f, 0, COMMAND, 2, 3);
	assert_int_equal(mmio_read(f, 0xffffc000, 1), 0xff);
	assert_int_equal(mmio_read(f, UINT64_MAX, 1), 0xff);
	assert_int_equal(in(f, 0xffe0, 1), 0xff);
}

static void test_assignment_is_largest_first(void **state)
{
	struct fixture *f = *state;
	struct pci_fn_desc desc = plain;

	desc.bars[0] = (struct pci_bar_desc){ 0x1000, 0, &device_ops, &f->dev };
	desc.bars[1] = (struct pci_bar_desc){ 0x20, PCI_BAR_IO, &device_ops, &f->dev };
	desc.bars[2] = (struct pci_bar_desc){ 0x100000, 0, &device_ops, &f->dev };
	desc.bars[3] = (struct pci_bar_desc){ 0x8000, PCI_BAR_PREFETCH, &device_ops, &f->dev };
	desc.bars[4] = (struct pci_bar_desc){ 0x10000, PCI_BAR_64BIT, &device_ops, &f->dev };
	add(f, BDF(1, 0), &desc);
	add(f, BDF(0, 0), &plain);
	add_bar(f, BDF(2, 0), 0x4000, 0);
	assign(f);
	assert_int_equal(config_read(f, BDF(1, 0), BAR(2), 4), MEM32);
	assert_int_equal(config_read(f, BDF(2, 0), BAR(0), 4), MEM32 + 0x100000);
	assert_int_equal(config_read(f, BDF(1, 0), BAR(0), 4), MEM32 + 0x104000);
	assert_int_equal(config_read(f, BDF(1, 0), BAR(1), 4), IO_BASE | 1);
	assert_int_equal(config_read(f, BDF(1, 0), BAR(3), 4), PREFETCH | 8);
	assert_int_equal(config_read(f, BDF(1, 0), BAR(4), 8), MEM64 | 4);
	assert_int_equal(config_read(f, BDF(1, 0), COMMAND, 2), 3);
	assert_int_equal(config_read(f, BDF(2, 0), COMMAND, 2), 2);
	assert_int_equal(config_read(f, BDF(0, 0), COMMAND, 2), 0);
	f->dev.value = 0x42;
	assert_int_equal(mmio_read(f, MEM64 + 0x123, 1), 0x42);
	assert_int_equal(f->dev.last_offset, 0x123);
	assert_int_equal(in(f, IO_BASE + 0x1f, 1), 0x42);
	assert_int_equal(f->dev.last_offset, 0x1f);
}

static void test_full_window(void **state)
{
	struct fixture *f = *state;

	/* Of two that do not fit above 4 GiB together, one goes below. */
	add_bar(f, BDF(0, 0), 0x400000000, PCI_BAR_64BIT);
	add_bar(f, BDF(1, 0), 0x8000000, PCI_BAR_64BIT);
	assign(f);
	assert_int_equal(config_read(f, BDF(0, 0), BAR(0), 8), MEM64 | 4);
	assert_int_equal(config_read(f, BDF(1, 0), BAR(0), 8), MEM32 | 4);
	add_bar(f, BDF(2, 0), 0x10000000, 0);
	assert_int_equal(pci_assign(f->root, &f->err), -ENOSPC);
	assert_non_null(strstr(f->err.text, "dev: no addresses left for the 134217728 bytes"));
}

static void test_window_need_not_be_aligned(void **state)
{
	struct fixture *f = *state;
	struct pci_root_config config = { .mmio = f->mmio, .mem32 = { 0x40001000, 0x7000 } };
	struct pci_fn_desc desc = plain;
	struct pci_root *root;
	struct pci_fn *fn;

	desc.bars[0] = (struct pci_bar_desc){ 0x4000, 0, &device_ops, &f->dev };
	assert_int_equal(pci_root_new(&config, &root, &f->err), 0);
	assert_int_equal(pci_add(root, 0, &desc, &fn, &f->err), 0);
	assert_int_equal(pci_assign(root, &f->err), 0);
	assert_int_equal(mmio_read(f, 0x40004000, 1), 0);
	assert_int_equal(pci_add(root, 8, &desc, &fn, &f->err), 0);
	assert_int_equal(pci_assign(root, &f->err), -ENOSPC);
	pci_root_free(root);
}

static void test_bar_moves_and_goes(void **state)
{
	struct fixture *f = *state;

	add_bar(f, 0, 0x1000, 0);
	assign(f);
	f->dev.value = 0x42;
	assert_int_equal(mmio_read(f, MEM32, 1), 0x42);
	config_write(f, 0, BAR(0), 4, MEM32 + 0x5000);
	assert_int_equal(mmio_read(f, MEM32, 1), 0xff);
	assert_int_equal(mmio_read(f, MEM32 + 0x5678, 1), 0x42);
	assert_int_equal(f->dev.last_offset, 0x678);
	/* One byte of the register at a time, by the ports. */
	out(f, 0xcf8, 4, 0x80000000 | BAR(0));
	out(f, 0xcfd, 1, 0x70);
	assert_int_equal(mmio_read(f, MEM32 + 0x7000, 1), 0x42);
	config_write(f, 0, COMMAND, 2, 1);
	assert_int_equal(mmio_read(f, MEM32 + 0x7000, 1), 0xff);
	config_write(f, 0, COMMAND, 2, 2);
	mmio_write(f, MEM32 + 0x7004, 4, 9);
	assert_int_equal(f->dev.value, 9);
}

static void test_64bit_bar_moves_in_halves(void **state)
{
	struct fixture *f = *state;

	add_bar(f, 0, 0x10000, PCI_BAR_64BIT);
	assign(f);
	config_write(f, 0, BAR(0), 4, MEM32 + 0x30000);
	assert_int_equal(mmio_read(f, MEM64 + MEM32 + 0x30000, 1), 0);
	config_write(f, 0, BAR(1), 4, 0);
	assert_int_equal(mmio_read(f, MEM64 + MEM32 + 0x30000, 1), 0xff);
	assert_int_equal(mmio_read(f, MEM32 + 0x30000, 1), 0);
	assert_int_equal(mmio_read(f, MEM32 + 0x3ffff, 1), 0);
	assert_int_equal(mmio_read(f, MEM32 + 0x40000, 1), 0xff);
}

static void test_hostile_places(void **state)
{
	struct fixture *f = *state;
	struct device other = { .value = 0x55 };
	struct pci_fn_desc desc = plain;
	static const uint64_t bad[] = { ECAM, ECAM + 0xffff000, MEM32, 0, 0xfffff000, 0xffffffff };
	unsigned i;

	desc.bars[0] = (struct pci_bar_desc){ 0x2000, 0, &device_ops, &other };
	add(f, BDF(1, 0), &desc);
	add_bar(f, BDF(2, 0), 0x1000, 0);
	assign(f);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		config_write(f, BDF(2, 0), BAR(0), 4, bad[i]);
		assert_int_equal(mmio_read(f, MEM32, 1), 0x55);
		assert_int_equal(mmio_read(f, MEM32 + 0x2000, 1), 0xff);
		assert_int_equal(mmio_read(f, 0, 1), 0xff);
		assert_int_equal(mmio_read(f, 0xfffff000, 1), 0xff);
		assert_int_equal(config_read(f, BDF(2, 0), 0, 4), 0x10421af4);
	}
	/* When the one below moves away, the one that was in conflict appears. */
	config_write(f, BDF(2, 0), BAR(0), 4, MEM32 + 0x1000);
	assert_int_equal(mmio_read(f, MEM32 + 0x1000, 1), 0x55);
	config_write(f, BDF(1, 0), COMMAND, 2, 0);
	assert_int_equal(mmio_read(f, MEM32 + 0x1000, 1), 0);
	assert_int_equal(mmio_read(f, MEM32, 1), 0xff);
}

static void test_io_bar_beyond_the_ports(void **state)
{
	struct fixture *f = *state;

	add_bar(f, 0, 0x100, PCI_BAR_IO);
	assign(f);
	f->dev.value = 0x66;
	config_write(f, 0, BAR(0), 4, 0x1c000);
	assert_int_equal(in(f, 0xc000, 1), 0xff);
	config_write(f, 0, BAR(0), 4, 0xff00);
	assert_int_equal(in(f, 0xffff, 1), 0x66);
	/* Over the configuration ports: these win. */
	config_write(f, 0, BAR(0), 4, 0xc00);
	out(f, 0xcf8, 4, 0x80000000);
	assert_int_equal(in(f, 0xcfc, 4), 0x10421af4);
	assert_int_equal(in(f, 0xc00, 1), 0xff);
}

static void test_ioeventfds_follow_their_bar(void **state)
{
	struct fixture *f = *state;
	struct pci_fn *fn = add_bar(f, 0, 0x1000, 0);
	const struct hv_ioeventfd *ioev;

	assert_int_equal(pci_add_ioeventfd(fn, 0, 0x800, 2, 77), 0);
	assert_int_equal(pci_add_ioeventfd(fn, 0, 0xffe, 4, 77), -EINVAL);
	assert_int_equal(pci_add_ioeventfd(fn, 1, 0, 4, 77), -EINVAL);
	assert_int_equal(pci_add_ioeventfd(fn, 6, 0, 4, 77), -EINVAL);
	assert_int_equal(f->hv.n_ioeventfds, 0);
	assign(f);
	assert_int_equal(pci_add_ioeventfd(fn, 0, 0x804, 0, 78), 0);
	assert_int_equal(f->hv.n_ioeventfds, 2);
	ioev = fake_hv_ioeventfd_at(&f->hv, MEM32 + 0x800);
	assert_non_null(ioev);
	assert_int_equal(ioev->fd, 77);
	assert_int_equal(ioev->len, 2);
	config_write(f, 0, BAR(0), 4, MEM32 + 0x2000);
	assert_null(fake_hv_ioeventfd_at(&f->hv, MEM32 + 0x800));
	ioev = fake_hv_ioeventfd_at(&f->hv, MEM32 + 0x2804);
	assert_non_null(ioev);
	assert_int_equal(ioev->fd, 78);
	config_write(f, 0, COMMAND, 2, 0);
	assert_int_equal(f->hv.n_ioeventfds, 0);
	/* A hypervisor that refuses costs speed, not the BAR. */
	f->hv.fail_ioeventfd = -ENOSPC;
	config_write(f, 0, COMMAND, 2, 2);
	assert_int_equal(f->hv.n_ioeventfds, 0);
	assert_int_equal(mmio_read(f, MEM32 + 0x2000, 1), 0);
	assert_int_equal(pci_add_ioeventfd(fn, 0, 0x808, 0, 79), -ENOSPC);
	f->hv.fail_ioeventfd = 0;
	config_write(f, 0, COMMAND, 2, 0);
	config_write(f, 0, COMMAND, 2, 2);
	assert_int_equal(f->hv.n_ioeventfds, 2);
	pci_remove_ioeventfds(fn);
	assert_int_equal(f->hv.n_ioeventfds, 0);
}

static void test_reset_brings_the_assignment_back(void **state)
{
	struct fixture *f = *state;
	static const uint8_t body[2] = { 0x11, 0x22 }, writable[2] = { 0xff, 0 };
	struct pci_fn *fn = add_bar(f, 0, 0x1000, 0);
	int cap = pci_add_capability(fn, 9, body, writable, sizeof(body), false);

	assign(f);
	config_write(f, 0, BAR(0), 4, MEM32 + 0x8000);
	config_write(f, 0, COMMAND, 2, 0x0404);
	config_write(f, 0, cap + 2, 1, 0x99);
	out(f, 0xcf8, 4, 0x80000000);
	pci_reset(f->root);
	assert_int_equal(config_read(f, 0, BAR(0), 4), MEM32);
	assert_int_equal(config_read(f, 0, COMMAND, 2), 2);
	assert_int_equal(config_read(f, 0, cap + 2, 2), 0x2211);
	assert_int_equal(mmio_read(f, MEM32, 1), 0);
	assert_int_equal(mmio_read(f, MEM32 + 0x8000, 1), 0xff);
	assert_int_equal(in(f, 0xcf8, 4), 0);
}

/* --- functions --- */

static void test_places(void **state)
{
	struct fixture *f = *state;
	struct pci_fn_desc named = plain;
	struct pci_fn *fn = NULL;
	int i;

	assert_int_equal(pci_bdf(add(f, -1, &plain)), BDF(0, 0));
	named.owner = "net0";
	add(f, BDF(2, 1), &named);
	assert_int_equal(pci_bdf(add(f, -1, &plain)), BDF(1, 0));
	assert_int_equal(pci_bdf(add(f, -1, &plain)), BDF(3, 0));
	assert_int_equal(pci_add(f->root, BDF(2, 1), &plain, &fn, &f->err), -EBUSY);
	assert_string_equal(f->err.text, "dev: PCI address 00:02.1 is taken by net0");
	assert_int_equal(pci_add(f->root, 0x10000, &plain, &fn, &f->err), -EINVAL);
	for (i = 4; i < 32; i++)
		add(f, -1, &plain);
	assert_int_equal(pci_add(f->root, -1, &plain, &fn, &f->err), -ENOSPC);
	assert_non_null(strstr(f->err.text, "32 slots"));
	assert_null(fn);
}

static void test_multi_function(void **state)
{
	struct fixture *f = *state;
	struct pci_fn *second = add(f, BDF(4, 3), &plain);

	add(f, BDF(4, 0), &plain);
	assert_int_equal(config_read(f, BDF(4, 0), 0x0e, 1), 0x80);
	pci_remove(second);
	assert_int_equal(config_read(f, BDF(4, 0), 0x0e, 1), 0);
	assert_int_equal(config_read(f, BDF(4, 3), 0, 4), 0xffffffff);
	add(f, BDF(5, 1), &plain);
	assert_int_equal(config_read(f, BDF(4, 0), 0x0e, 1), 0);
	add(f, BDF(4, 1), &plain);
	assert_int_equal(config_read(f, BDF(4, 0), 0x0e, 1), 0x80);
	add(f, BDF(6, 0), &plain);
	assert_int_equal(config_read(f, BDF(6, 0), 0x0e, 1), 0);
}

static void test_removed_function_is_gone(void **state)
{
	struct fixture *f = *state;
	struct pci_fn *fn = add_bar(f, 0, 0x1000, 0);

	assert_int_equal(pci_add_ioeventfd(fn, 0, 0, 4, 77), 0);
	assign(f);
	assert_int_equal(f->hv.n_ioeventfds, 1);
	pci_remove(fn);
	assert_int_equal(mmio_read(f, MEM32, 1), 0xff);
	assert_int_equal(config_read(f, 0, 0, 4), 0xffffffff);
	assert_int_equal(f->hv.n_ioeventfds, 0);
	pci_sync(f->root);
}

static void test_bad_descriptions(void **state)
{
	struct fixture *f = *state;
	static const struct {
		unsigned bar;
		uint64_t size;
		uint32_t flags;
		const char *text;
	} bad[] = {
		{ 0, 0x1800, 0, "BAR 0: size is no power of two" },
		{ 1, 8, 0, "BAR 1: too small" },
		{ 1, 2, PCI_BAR_IO, "too small" },
		{ 1, 0x100000000, 0, "too large" },
		{ 1, 0x10000, PCI_BAR_IO, "too large" },
		{ 1, 0x20, PCI_BAR_IO | PCI_BAR_64BIT, "I/O BARs" },
		{ 5, 0x1000, PCI_BAR_64BIT, "BAR 5: no room" },
		{ 2, 0x1000, PCI_BAR_64BIT, "BAR 2: no room" },
	};
	struct pci_fn *fn = NULL;
	struct pci_fn_desc desc;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		desc = plain;
		desc.bars[3] = (struct pci_bar_desc){ 0x1000, 0, &device_ops, &f->dev };
		desc.bars[bad[i].bar] =
			(struct pci_bar_desc){ bad[i].size, bad[i].flags, &device_ops, &f->dev };
		assert_int_equal(pci_add(f->root, -1, &desc, &fn, &f->err), -EINVAL);
		if (!strstr(f->err.text, bad[i].text))
			fail_msg("\"%s\" does not say \"%s\"", f->err.text, bad[i].text);
	}
	desc = plain;
	desc.bars[0].size = 0x1000;
	assert_int_equal(pci_add(f->root, -1, &desc, &fn, &f->err), -EINVAL);
	desc = plain;
	desc.n_vectors = 2049;
	assert_int_equal(pci_add(f->root, -1, &desc, &fn, &f->err), -EINVAL);
	desc.n_vectors = 300;
	desc.bars[0] = (struct pci_bar_desc){ 0x1000, 0, &device_ops, &f->dev };
	assert_int_equal(pci_add(f->root, -1, &desc, &fn, &f->err), -EINVAL);
	assert_non_null(strstr(f->err.text, "MSI-X table"));
	assert_null(fn);
	assert_int_equal(config_read(f, 0, 0, 4), 0xffffffff);
}

static void test_root_without_ports(void **state)
{
	struct fixture *f = *state;
	struct pci_root_config config = { .mmio = f->mmio, .ecam_base = ECAM };
	struct pci_root *root = NULL;

	assert_int_equal(pci_root_new(&config, &root, &f->err), -EBUSY);
	assert_non_null(strstr(f->err.text, "PCI configuration"));
	assert_null(root);
	pci_root_free(NULL);
	config.ecam_base = 0x40000000;
	assert_int_equal(pci_root_new(&config, &root, &f->err), 0);
	assert_int_equal(mmio_read(f, 0x40000000, 2), 0xffff);
	pci_root_free(root);
}

/* --- several vCPUs --- */

#define N_VCPUS 3
#define N_MOVES 300

struct vcpu {
	struct fixture *f;
	int index;
	pthread_t thread;
	struct bus_reader *reader;
	bool failed;
};

static uint64_t quiet_read(void *opaque, uint64_t offset, uint32_t size)
{
	return 0x42;
}

static int quiet_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
{
	return 0;
}

static const struct bus_ops quiet_ops = { quiet_read, quiet_write };

/* Moves its own function's BAR about, over the others' too, while these use theirs. */
static void *run_vcpu(void *opaque)
{
	struct vcpu *vcpu = opaque;
	uint64_t config = ECAM + ((uint64_t)BDF(vcpu->index, 0) << 12);
	uint32_t value, i;
	uint8_t byte;

	for (i = 0; i < N_MOVES; i++) {
		value = (uint32_t)MEM32 + (i + (uint32_t)vcpu->index) % 4 * 0x1000;
		bus_write(vcpu->f->mmio, vcpu->reader, config + BAR(0), 4, &value);
		bus_read(vcpu->f->mmio, vcpu->reader, value, 1, &byte);
		vcpu->failed |= byte != 0x42 && byte != 0xff;
		bus_read(vcpu->f->mmio, vcpu->reader, config, 4, &value);
		vcpu->failed |= value != 0x10421af4;
	}
	value = (uint32_t)MEM32 + 0x10000 + (uint32_t)vcpu->index * 0x1000;
	bus_write(vcpu->f->mmio, vcpu->reader, config + BAR(0), 4, &value);
	bus_read(vcpu->f->mmio, vcpu->reader, value, 1, &byte);
	vcpu->failed |= byte != 0x42;
	return NULL;
}

static void test_vcpus_move_bars_at_once(void **state)
{
	struct fixture *f = *state;
	struct vcpu vcpus[N_VCPUS];
	struct pci_fn_desc desc = plain;
	int i;

	desc.bars[0] = (struct pci_bar_desc){ 0x1000, 0, &quiet_ops, NULL };
	for (i = 0; i < N_VCPUS; i++)
		add(f, BDF(i, 0), &desc);
	assign(f);
	for (i = 0; i < N_VCPUS; i++) {
		vcpus[i] = (struct vcpu){ .f = f, .index = i };
		assert_int_equal(bus_reader_add(f->mmio, &vcpus[i].reader), 0);
		assert_int_equal(pthread_create(&vcpus[i].thread, NULL, run_vcpu, &vcpus[i]), 0);
	}
	for (i = 0; i < N_VCPUS; i++) {
		pthread_join(vcpus[i].thread, NULL);
		bus_reader_remove(f->mmio, vcpus[i].reader);
		assert_false(vcpus[i].failed);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ports_reach_every_byte),
		TEST(test_address_port_takes_dwords_only),
		TEST(test_absent_functions_read_ones),
		TEST(test_function_on_another_bus),
		TEST(test_header),
		TEST(test_writes_honour_masks),
		TEST(test_capabilities_keep_their_order),
		TEST(test_hooked_capability),
		TEST(test_sizing),
		TEST(test_assignment_is_largest_first),
		TEST(test_full_window),
		TEST(test_window_need_not_be_aligned),
		TEST(test_bar_moves_and_goes),
		TEST(test_64bit_bar_moves_in_halves),
		TEST(test_hostile_places),
		TEST(test_io_bar_beyond_the_ports),
		TEST(test_ioeventfds_follow_their_bar),
		TEST(test_reset_brings_the_assignment_back),
		TEST(test_places),
		TEST(test_multi_function),
		TEST(test_removed_function_is_gone),
		TEST(test_bad_descriptions),
		TEST(test_root_without_ports),
		TEST(test_vcpus_move_bars_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
