/* SPDX-License-Identifier: Apache-2.0 */
/* BARs: sizing, assignment, moves by the guest, several vCPUs at it. */
#include "test_pci.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		TEST(test_vcpus_move_bars_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
