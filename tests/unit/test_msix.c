/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/pci.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "fake_hv.h"
#include "util/overflow.h"

#define ECAM	  0xe0000000ull
#define TABLE	  0xc0000000ull /* where the only BAR gets its place */
#define N_VECTORS 70
#define PENDING	  (TABLE + N_VECTORS * 16)
#define CONTROL	  0x42
#define ENABLE	  0x8000
#define MASK_ALL  0x4000
#define ENTRY(n)  (TABLE + (n)*16)
#define MSI_ADDR  0xfee00000u

struct fixture {
	struct hv_vm hv;
	struct bus *mmio;
	struct bus_reader *reader;
	struct pci_root *root;
	struct pci_fn *fn;
	struct error err;
	int changes[N_VECTORS];
	uint64_t other_value;
};

static void vector_changed(void *opaque, uint16_t vector)
{
	struct fixture *f = opaque;

	f->changes[vector]++;
	/* Allowed here. */
	assert_true(pci_msix_eventfd(f->fn, vector) >= 0);
}

static uint64_t other_read(void *opaque, uint64_t offset, uint32_t size)
{
	return offset;
}

static int other_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
{
	((struct fixture *)opaque)->other_value = value;
	return 0;
}

static const struct bus_ops other_ops = { other_read, other_write };
static const struct pci_fn_ops fn_ops = { .vector_changed = vector_changed };

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));
	struct pci_root_config config = { .hv = &f->hv,
					  .ecam_base = ECAM,
					  .mem32 = { TABLE, 0x10000000 } };
	struct pci_fn_desc desc = { .owner = "dev", .vendor_id = 0x1af4, .n_vectors = N_VECTORS };

	*state = f;
	fake_hv_init(&f->hv);
	if (bus_new(0, &f->mmio) || bus_reader_add(f->mmio, &f->reader))
		return -1;
	config.mmio = f->mmio;
	desc.bars[0] = (struct pci_bar_desc){ 0x4000, 0, &other_ops, f };
	desc.ops = &fn_ops;
	desc.opaque = f;
	return pci_root_new(&config, &f->root, &f->err) ||
	       pci_add(f->root, 0, &desc, &f->fn, &f->err) || pci_assign(f->root, &f->err);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pci_root_free(f->root);
	bus_reader_remove(f->mmio, f->reader);
	bus_free(f->mmio);
	assert_int_equal(fake_hv_n_irqfds(&f->hv), 0);
	assert_int_equal(fake_hv_n_gsis(&f->hv), 0);
	test_free(f);
	return 0;
}

static uint64_t guest_read(struct fixture *f, uint64_t addr, uint32_t size)
{
	uint64_t value = 0;

	bus_read(f->mmio, f->reader, addr, size, &value);
	return value;
}

static void guest_write(struct fixture *f, uint64_t addr, uint32_t size, uint64_t value)
{
	bus_write(f->mmio, f->reader, addr, size, &value);
}

static void control(struct fixture *f, uint16_t value)
{
	guest_write(f, ECAM + CONTROL, 2, value);
}

/* Vector @n sends the message @data. */
static void message(struct fixture *f, unsigned n, uint32_t data)
{
	guest_write(f, ENTRY(n), 4, MSI_ADDR);
	guest_write(f, ENTRY(n) + 4, 4, 0);
	guest_write(f, ENTRY(n) + 8, 4, data);
}

static void mask(struct fixture *f, unsigned n, bool masked)
{
	guest_write(f, ENTRY(n) + 12, 4, masked);
}

static void open_vector(struct fixture *f, unsigned n, uint32_t data)
{
	message(f, n, data);
	mask(f, n, false);
	control(f, ENABLE);
}

static bool pending(struct fixture *f, unsigned n)
{
	return guest_read(f, PENDING + n / 64 * 8, 8) >> n % 64 & 1;
}

/* --- what a driver sees --- */

static void test_capability(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(guest_read(f, ECAM + 0x34, 1), 0x40);
	assert_int_equal(guest_read(f, ECAM + 0x40, 4), (N_VECTORS - 1) << 16 | 0x11);
	assert_int_equal(guest_read(f, ECAM + 0x44, 4), 0);
	assert_int_equal(guest_read(f, ECAM + 0x48, 4), N_VECTORS * 16);
	guest_write(f, ECAM + 0x40, 4, 0xffffffff);
	guest_write(f, ECAM + 0x44, 8, UINT64_MAX);
	assert_int_equal(guest_read(f, ECAM + 0x40, 4), (0xc000u | (N_VECTORS - 1)) << 16 | 0x11);
	assert_int_equal(guest_read(f, ECAM + 0x48, 4), N_VECTORS * 16);
	assert_int_equal(pci_msix_bytes(0), 0);
	assert_int_equal(pci_msix_bytes(1), 0x1000);
	assert_int_equal(pci_msix_bytes(254), 0x1000);
	assert_int_equal(pci_msix_bytes(255), 0x2000);
	assert_int_equal(pci_msix_bytes(2048), 0x9000);
}

static void test_table_access(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(guest_read(f, ENTRY(69) + 12, 4), 1);
	guest_write(f, ENTRY(3), 8, 0x11223344fee01007);
	guest_write(f, ENTRY(3) + 8, 8, 0xfffffffe00004321);
	assert_int_equal(guest_read(f, ENTRY(3), 4), 0xfee01004);
	assert_int_equal(guest_read(f, ENTRY(3) + 4, 4), 0x11223344);
	assert_int_equal(guest_read(f, ENTRY(3) + 8, 8), 0x4321);
	/* Everything else is answered with ones and changes nothing. */
	assert_int_equal(guest_read(f, ENTRY(3), 1), 0xff);
	assert_int_equal(guest_read(f, ENTRY(3) + 2, 2), 0xffff);
	assert_int_equal(guest_read(f, ENTRY(3) + 2, 4), 0xffffffff);
	assert_int_equal(guest_read(f, ENTRY(3) + 4, 8), UINT64_MAX);
	guest_write(f, ENTRY(3) + 8, 1, 0xff);
	guest_write(f, ENTRY(3) + 10, 2, 0xffff);
	guest_write(f, ENTRY(3) + 6, 4, 0xffffffff);
	guest_write(f, ENTRY(3) + 4, 8, UINT64_MAX);
	assert_int_equal(guest_read(f, ENTRY(3), 8), 0x11223344fee01004);
	assert_int_equal(guest_read(f, ENTRY(3) + 8, 8), 0x4321);
	/* Behind the table and the pending bits the BAR is the device's. */
	guest_write(f, PENDING, 8, UINT64_MAX);
	assert_int_equal(guest_read(f, PENDING, 8), 0);
	assert_int_equal(guest_read(f, PENDING + 16, 4), 0);
	assert_int_equal(guest_read(f, TABLE + 0xffc, 4), 0);
	assert_int_equal(guest_read(f, TABLE + 0x1010, 4), 0x1010);
	guest_write(f, TABLE + 0x1010, 4, 99);
	assert_int_equal(f->other_value, 99);
	assert_int_equal(guest_read(f, TABLE + 0xffe, 4), 0xffffffff);
}

static void test_nothing_while_disabled(void **state)
{
	struct fixture *f = *state;
	struct pollfd fd = { .fd = pci_msix_eventfd(f->fn, 0), .events = POLLIN };

	message(f, 0, 0x31);
	mask(f, 0, false);
	pci_msix_signal(f->fn, 0);
	assert_int_equal(poll(&fd, 1, 0), 0);
	assert_int_equal(fake_hv_n_gsis(&f->hv), 0);
	control(f, ENABLE);
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x31), 0);
	pci_msix_signal(f->fn, N_VECTORS);
	pci_msix_signal(f->fn, PCI_NO_VECTOR);
	assert_int_equal(pci_msix_eventfd(f->fn, N_VECTORS), -1);
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x31), 0);
	pci_msix_signal(f->fn, 0);
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x31), 1);
	control(f, 0);
	pci_msix_signal(f->fn, 0);
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x31), 1);
	assert_int_equal(fake_hv_n_irqfds(&f->hv), 0);
}

static void test_only_open_vectors_cost_a_gsi(void **state)
{
	struct fixture *f = *state;

	control(f, ENABLE | MASK_ALL);
	message(f, 5, 0x35);
	mask(f, 5, false);
	assert_int_equal(fake_hv_n_gsis(&f->hv), 0);
	control(f, ENABLE);
	assert_int_equal(fake_hv_n_gsis(&f->hv), 1);
	assert_int_equal(f->hv.gsis[0].addr, MSI_ADDR);
	assert_int_equal(f->hv.gsis[0].data, 0x35);
	assert_int_equal(f->hv.n_routes, 1);
	/* Masking and unmasking leaves the route alone. */
	mask(f, 5, true);
	mask(f, 5, false);
	assert_int_equal(f->hv.n_routes, 1);
	assert_int_equal(fake_hv_n_gsis(&f->hv), 1);
}

static void test_masked_vector_is_pending(void **state)
{
	struct fixture *f = *state;

	open_vector(f, 66, 0x40);
	mask(f, 66, true);
	assert_false(pending(f, 66));
	pci_msix_signal(f->fn, 66);
	pci_msix_signal(f->fn, 66);
	assert_true(pending(f, 66));
	assert_int_equal(guest_read(f, PENDING + 8, 4), 1 << 2);
	assert_int_equal(guest_read(f, PENDING, 8), 0);
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x40), 0);
	mask(f, 66, false);
	assert_false(pending(f, 66));
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x40), 1);
	mask(f, 66, true);
	assert_false(pending(f, 66));
	mask(f, 66, false);
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x40), 1);
	/* Not left to the hypervisor alone. */
	mask(f, 66, true);
	pci_msix_signal(f->fn, 66);
	f->hv.deaf = true;
	mask(f, 66, false);
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x40), 2);
}

static void test_function_mask(void **state)
{
	struct fixture *f = *state;

	open_vector(f, 0, 0x30);
	open_vector(f, 1, 0x31);
	assert_int_equal(fake_hv_n_irqfds(&f->hv), 2);
	control(f, ENABLE | MASK_ALL);
	assert_int_equal(fake_hv_n_irqfds(&f->hv), 0);
	pci_msix_signal(f->fn, 1);
	assert_int_equal(guest_read(f, PENDING, 4), 2);
	/* Opening the vector alone is not enough, nor is a vector's own mask given up. */
	mask(f, 1, true);
	mask(f, 1, false);
	mask(f, 0, true);
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x31), 0);
	control(f, ENABLE);
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x31), 1);
	assert_int_equal(fake_hv_n_irqfds(&f->hv), 1);
}

static void test_message_changes_while_open(void **state)
{
	struct fixture *f = *state;

	open_vector(f, 0, 0x30);
	guest_write(f, ENTRY(0) + 8, 8, 0x77);
	assert_int_equal(fake_hv_n_irqfds(&f->hv), 1);
	pci_msix_signal(f->fn, 0);
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x77), 1);
	guest_write(f, ENTRY(0), 8, MSI_ADDR + 0x1000);
	assert_int_equal(f->hv.gsis[0].addr, MSI_ADDR + 0x1000);
	/* Data and unmasking in one access. */
	mask(f, 0, true);
	guest_write(f, ENTRY(0) + 8, 8, 0x78);
	pci_msix_signal(f->fn, 0);
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x78), 2);
}

static void test_enabling_starts_afresh(void **state)
{
	struct fixture *f = *state;

	open_vector(f, 0, 0x30);
	mask(f, 0, true);
	pci_msix_signal(f->fn, 0);
	control(f, 0);
	assert_false(pending(f, 0));
	control(f, ENABLE);
	assert_false(pending(f, 0));
	mask(f, 0, false);
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x30), 0);
}

static void test_kernel_back_end_writes_the_eventfd(void **state)
{
	struct fixture *f = *state;
	int fd = pci_msix_eventfd(f->fn, 2);
	uint64_t one = 1;

	assert_true(fd >= 0);
	assert_int_equal(pci_msix_eventfd(f->fn, 2), fd);
	open_vector(f, 2, 0x32);
	assert_int_equal(pci_msix_eventfd(f->fn, 2), fd);
	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x32), 1);
	mask(f, 2, true);
	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
	assert_true(pending(f, 2));
	mask(f, 2, false);
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x32), 2);
}

static void test_hypervisor_failures_kill_no_more_than_the_vector(void **state)
{
	struct fixture *f = *state;
	int *const failures[] = { &f->hv.fail_gsi, &f->hv.fail_route, &f->hv.fail_irqfd };
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(failures); i++) {
		*failures[i] = -ENOSPC;
		open_vector(f, i, 0x50 + i);
		assert_int_equal(fake_hv_n_irqfds(&f->hv), i);
		pci_msix_signal(f->fn, i);
		mask(f, i, true);
		assert_true(pending(f, i));
		/* As soon as the hypervisor can again, the interrupt comes. */
		*failures[i] = 0;
		mask(f, i, false);
		assert_int_equal(fake_hv_interrupts(&f->hv, 0x50 + i), 1);
	}
}

static void test_reset(void **state)
{
	struct fixture *f = *state;

	open_vector(f, 0, 0x30);
	open_vector(f, 1, 0x31);
	mask(f, 1, true);
	pci_msix_signal(f->fn, 1);
	pci_reset(f->root);
	assert_int_equal(fake_hv_n_irqfds(&f->hv), 0);
	assert_int_equal(guest_read(f, ECAM + CONTROL, 2), N_VECTORS - 1);
	assert_int_equal(guest_read(f, ENTRY(0), 8), 0);
	assert_int_equal(guest_read(f, ENTRY(0) + 8, 8), 1ull << 32);
	assert_int_equal(guest_read(f, PENDING, 8), 0);
	open_vector(f, 1, 0x41);
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x41), 0);
	pci_msix_signal(f->fn, 1);
	assert_int_equal(fake_hv_interrupts(&f->hv, 0x41), 1);
}

static void test_changes_are_told(void **state)
{
	struct fixture *f = *state;

	open_vector(f, 3, 0x33);
	assert_int_equal(f->changes[3], 1);
	mask(f, 3, false);
	assert_int_equal(f->changes[3], 1);
	control(f, ENABLE | MASK_ALL);
	control(f, 0);
	assert_int_equal(f->changes[3], 2);
	assert_int_equal(f->changes[4], 0);
}

static void test_bar_is_made_for_the_table(void **state)
{
	struct fixture *f = *state;
	struct pci_fn_desc desc = { .owner = "b", .n_vectors = 600, .msix_bar = 4 };
	struct pci_fn *fn;

	assert_int_equal(pci_add(f->root, 8, &desc, &fn, &f->err), 0);
	guest_write(f, ECAM + (8 << 12) + 0x20, 4, 0xffffffff);
	assert_int_equal(guest_read(f, ECAM + (8 << 12) + 0x20, 4), 0xffffc000);
	assert_int_equal(guest_read(f, ECAM + (8 << 12) + 0x44, 4), 4);
	assert_int_equal(pci_assign(f->root, &f->err), 0);
	assert_int_equal(guest_read(f, TABLE + 0x4000 + 599 * 16 + 12, 4), 1);
	assert_int_equal(guest_read(f, TABLE + 0x4000 + 0x3000, 4), 0xffffffff);
}

static void test_without_hypervisor_nothing_is_asked(void **state)
{
	struct fixture *f = *state;
	struct pci_root_config config = { .mmio = f->mmio,
					  .ecam_base = 0x40000000,
					  .mem32 = { 0x60000000, 0x100000 } };
	struct pci_fn_desc desc = { .owner = "b", .n_vectors = 1 };
	struct pollfd fd = { .events = POLLIN };
	struct pci_root *root;
	struct pci_fn *fn;

	assert_int_equal(pci_root_new(&config, &root, &f->err), 0);
	assert_int_equal(pci_add(root, 0, &desc, &fn, &f->err), 0);
	assert_int_equal(pci_assign(root, &f->err), 0);
	guest_write(f, 0x60000000 + 12, 4, 0);
	guest_write(f, 0x40000000 + CONTROL, 2, ENABLE);
	pci_msix_signal(fn, 0);
	fd.fd = pci_msix_eventfd(fn, 0);
	assert_int_equal(poll(&fd, 1, 0), 1);
	assert_int_equal(pci_add_ioeventfd(fn, 0, 0, 4, 1), 0);
	pci_root_free(root);
}

/* --- no interrupt is lost --- */

#define N_SIGNALS 2000

struct storm {
	struct fixture *f;
	_Atomic bool stop;
};

static void *toggle_masks(void *opaque)
{
	struct storm *storm = opaque;
	struct bus_reader *reader;
	uint32_t i, value;

	if (bus_reader_add(storm->f->mmio, &reader))
		return opaque;
	for (i = 0; !storm->stop; i++) {
		value = i & 1;
		bus_write(storm->f->mmio, reader, ENTRY(0) + 12, 4, &value);
		value = i & 2 ? ENABLE | MASK_ALL : ENABLE;
		bus_write(storm->f->mmio, reader, ECAM + CONTROL, 2, &value);
	}
	bus_reader_remove(storm->f->mmio, reader);
	return NULL;
}

static time_t seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static void test_no_signal_is_lost_while_masks_change(void **state)
{
	struct fixture *f = *state;
	struct storm storm = { .f = f };
	time_t end = seconds() + 60;
	unsigned i, before;
	pthread_t thread;
	void *failed;

	open_vector(f, 0, 0x30);
	assert_int_equal(pthread_create(&thread, NULL, toggle_masks, &storm), 0);
	for (i = 0; i < N_SIGNALS; i++) {
		before = fake_hv_interrupts(&f->hv, 0x30);
		pci_msix_signal(f->fn, 0);
		while (fake_hv_interrupts(&f->hv, 0x30) == before && seconds() < end)
			sched_yield();
		if (seconds() >= end)
			break;
	}
	storm.stop = true;
	pthread_join(thread, &failed);
	assert_null(failed);
	assert_int_equal(i, N_SIGNALS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_capability),
		TEST(test_table_access),
		TEST(test_nothing_while_disabled),
		TEST(test_only_open_vectors_cost_a_gsi),
		TEST(test_masked_vector_is_pending),
		TEST(test_function_mask),
		TEST(test_message_changes_while_open),
		TEST(test_enabling_starts_afresh),
		TEST(test_kernel_back_end_writes_the_eventfd),
		TEST(test_hypervisor_failures_kill_no_more_than_the_vector),
		TEST(test_reset),
		TEST(test_changes_are_told),
		TEST(test_bar_is_made_for_the_table),
		TEST(test_without_hypervisor_nothing_is_asked),
		TEST(test_no_signal_is_lost_while_masks_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
