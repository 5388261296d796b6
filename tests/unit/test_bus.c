/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/bus.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "util/overflow.h"

struct device {
	uint64_t value;
	uint64_t last_offset;
	uint32_t last_size;
	int n_writes;
	int result;
};

static uint64_t device_read(void *opaque, uint64_t offset, uint32_t size)
{
	struct device *dev = opaque;

	dev->last_offset = offset;
	dev->last_size = size;
	return dev->value;
}

static int device_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
{
	struct device *dev = opaque;

	dev->last_offset = offset;
	dev->last_size = size;
	dev->value = value;
	dev->n_writes++;
	return dev->result;
}

static const struct bus_ops device_ops = { device_read, device_write };

struct fixture {
	struct bus *bus;
	struct bus_reader *reader;
};

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	*state = f;
	return bus_new(0, &f->bus) || bus_reader_add(f->bus, &f->reader);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bus_reader_remove(f->bus, f->reader);
	bus_free(f->bus);
	test_free(f);
	return 0;
}

static int add(struct bus *bus, uint64_t base, uint64_t len, struct device *dev, const char *owner,
	       struct error *err)
{
	struct bus_region region = { base, len, &device_ops, dev, owner };

	return bus_add(bus, &region, err);
}

static uint64_t read_at(struct fixture *f, uint64_t addr, uint32_t size)
{
	uint64_t value = 0;

	bus_read(f->bus, f->reader, addr, size, &value);
	return value;
}

static void write_at(struct fixture *f, uint64_t addr, uint32_t size, uint64_t value)
{
	bus_write(f->bus, f->reader, addr, size, &value);
}

static void test_access_reaches_the_right_region(void **state)
{
	struct fixture *f = *state;
	struct device devs[3] = { { .value = 0x11 }, { .value = 0x22 }, { .value = 0x33 } };

	/* Not in the order of addresses, and with neighbours that touch. */
	assert_int_equal(add(f->bus, 0x2000, 0x1000, &devs[1], "b", NULL), 0);
	assert_int_equal(add(f->bus, 0x9000, 0x10, &devs[2], "c", NULL), 0);
	assert_int_equal(add(f->bus, 0x1000, 0x1000, &devs[0], "a", NULL), 0);
	assert_int_equal(read_at(f, 0x1fff, 1), 0x11);
	assert_int_equal(devs[0].last_offset, 0xfff);
	assert_int_equal(read_at(f, 0x2000, 4), 0x22);
	assert_int_equal(devs[1].last_offset, 0);
	assert_int_equal(devs[1].last_size, 4);
	assert_int_equal(read_at(f, 0x9008, 8), 0x33);
	write_at(f, 0x9002, 2, 0xaabb);
	assert_int_equal(devs[2].value, 0xaabb);
	assert_int_equal(devs[2].last_offset, 2);
	/* A read yields only as many bytes as were asked for. */
	devs[0].value = 0x8877665544332211;
	assert_int_equal(read_at(f, 0x1000, 2), 0x2211);
}

static void test_nobody_answers_with_ones(void **state)
{
	struct fixture *f = *state;
	struct device dev = { 0 };

	assert_int_equal(read_at(f, 0x5000, 4), 0xffffffff);
	assert_int_equal(add(f->bus, 0x1000, 0x1000, &dev, "a", NULL), 0);
	assert_int_equal(read_at(f, 0xfff, 1), 0xff);
	assert_int_equal(read_at(f, 0x2000, 8), UINT64_MAX);
	assert_int_equal(read_at(f, UINT64_MAX, 1), 0xff);
	write_at(f, 0x2000, 4, 1);
	assert_int_equal(dev.n_writes, 0);
}

static void test_access_across_an_end_reaches_nobody(void **state)
{
	struct fixture *f = *state;
	struct device devs[2] = { 0 };

	assert_int_equal(add(f->bus, 0x1000, 0x1000, &devs[0], "a", NULL), 0);
	assert_int_equal(add(f->bus, 0x2000, 0x1000, &devs[1], "b", NULL), 0);
	assert_int_equal(read_at(f, 0x1ffe, 4), 0xffffffff);
	write_at(f, 0x1ffe, 4, 1);
	write_at(f, 0xffe, 4, 1);
	assert_int_equal(devs[0].n_writes + devs[1].n_writes, 0);
	/* Odd sizes go byte by byte, and each byte finds its own way. */
	write_at(f, 0x1ffe, 3, 0x030201);
	assert_int_equal(devs[0].n_writes, 2);
	assert_int_equal(devs[0].value, 2);
	assert_int_equal(devs[1].n_writes, 1);
	assert_int_equal(devs[1].value, 3);
	assert_int_equal(devs[1].last_size, 1);
}

static void test_conflict_names_both(void **state)
{
	struct fixture *f = *state;
	struct device dev = { 0 };
	struct error err = { "" };

	assert_int_equal(add(f->bus, 0x1000, 0x1000, &dev, "uart0", NULL), 0);
	assert_int_equal(add(f->bus, 0x1800, 0x1000, &dev, "rtc0", &err), -EBUSY);
	assert_non_null(strstr(err.text, "uart0"));
	assert_non_null(strstr(err.text, "rtc0"));
	assert_non_null(strstr(err.text, "0x1800-0x27ff"));
	assert_non_null(strstr(err.text, "0x1000-0x1fff"));
	assert_int_equal(add(f->bus, 0x800, 0x801, &dev, "rtc0", NULL), -EBUSY);
	assert_int_equal(add(f->bus, 0, UINT64_MAX, &dev, "rtc0", NULL), -EBUSY);
	assert_int_equal(add(f->bus, 0x1400, 1, &dev, "rtc0", NULL), -EBUSY);
	assert_int_equal(add(f->bus, 0x800, 0x800, &dev, "rtc0", NULL), 0);
	assert_int_equal(add(f->bus, 0x2000, 0x800, &dev, "rtc0", NULL), 0);
}

static void test_region_must_lie_on_the_bus(void **state)
{
	struct fixture *f = *state;
	struct device dev = { 0 };
	struct error err = { "" };
	struct bus *ports;

	assert_int_equal(add(f->bus, 0x1000, 0, &dev, "a", NULL), -EINVAL);
	assert_int_equal(add(f->bus, UINT64_MAX, 2, &dev, "a", NULL), -EINVAL);
	assert_int_equal(add(f->bus, UINT64_MAX, 1, &dev, "a", NULL), 0);
	assert_int_equal(read_at(f, UINT64_MAX, 1), 0);
	assert_int_equal(bus_new(0x10000, &ports), 0);
	assert_int_equal(add(ports, 0xfff8, 9, &dev, "port9", &err), -EINVAL);
	assert_non_null(strstr(err.text, "port9"));
	assert_int_equal(add(ports, 0xfff8, 8, &dev, "a", NULL), 0);
	bus_free(ports);
}

static void test_removed_region_is_gone(void **state)
{
	struct fixture *f = *state;
	struct device devs[20] = { 0 };
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(devs); i++) {
		devs[i].value = i;
		assert_int_equal(add(f->bus, i * 0x100, 0x100, &devs[i], "a", NULL), 0);
	}
	bus_remove(f->bus, 0x301); /* no base: nothing happens */
	for (i = 0; i < ARRAY_SIZE(devs); i += 2)
		bus_remove(f->bus, i * 0x100);
	for (i = 0; i < ARRAY_SIZE(devs); i++)
		assert_int_equal(read_at(f, i * 0x100, 1), i % 2 ? i : 0xff);
	for (i = 1; i < ARRAY_SIZE(devs); i += 2)
		bus_remove(f->bus, i * 0x100);
	bus_remove(f->bus, 0);
	assert_int_equal(read_at(f, 0x300, 1), 0xff);
}

struct mover {
	struct bus *bus;
	struct device *dev;
	uint64_t base;
	int n_calls;
};

static void move(void *opaque)
{
	struct mover *mover = opaque;

	mover->n_calls++;
	bus_remove(mover->bus, mover->base);
	mover->base += 0x1000;
	add(mover->bus, mover->base, 0x1000, mover->dev, "moving", NULL);
}

static void test_layout_hook_may_change_the_bus(void **state)
{
	struct fixture *f = *state;
	struct device dev = { 0 };
	struct mover mover = { .bus = f->bus, .dev = &dev, .base = 0x1000 };

	bus_set_layout_hook(f->bus, move, &mover);
	assert_int_equal(add(f->bus, 0x1000, 0x1000, &dev, "moving", NULL), 0);
	write_at(f, 0x1000, 4, 0);
	assert_int_equal(mover.n_calls, 0);
	dev.result = BUS_LAYOUT;
	write_at(f, 0x1000, 4, 0);
	assert_int_equal(mover.n_calls, 1);
	assert_int_equal(read_at(f, 0x1000, 1), 0xff);
	assert_int_equal(read_at(f, 0x2000, 1), 0);
}

/* --- many threads --- */

#define N_VCPUS	  2
#define N_MOVES	  60
#define MOVE_BASE 0x10000

struct storm {
	struct bus *bus;
	_Atomic bool stop;
	_Atomic int inside;  /* handlers of the moving region that run */
	_Atomic bool mapped; /* false from the return of bus_remove() on */
	_Atomic int n_late;  /* handlers that ran then */
	_Atomic uint64_t hits;
};

static uint64_t storm_read(void *opaque, uint64_t offset, uint32_t size)
{
	struct storm *storm = opaque;

	atomic_fetch_add(&storm->inside, 1);
	sched_yield();
	if (!storm->mapped)
		storm->n_late++;
	atomic_fetch_sub(&storm->inside, 1);
	storm->hits++;
	return 0x5a;
}

static int storm_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
{
	return 0;
}

static const struct bus_ops storm_ops = { storm_read, storm_write };

static void *storm_vcpu(void *opaque)
{
	struct storm *storm = opaque;
	struct bus_reader *reader;
	uint8_t byte;
	uint64_t i;

	if (bus_reader_add(storm->bus, &reader))
		return opaque;
	for (i = 0; !storm->stop; i++) {
		bus_read(storm->bus, reader, MOVE_BASE + i % 4 * 0x1000, 1, &byte);
		if (byte != 0x5a && byte != 0xff)
			return opaque;
	}
	bus_reader_remove(storm->bus, reader);
	return NULL;
}

/* A handler that still runs when bus_remove() has returned would use freed memory in real life. */
static void test_no_handler_runs_after_removal(void **state)
{
	struct fixture *f = *state;
	struct storm storm = { .bus = f->bus };
	struct bus_region region = { MOVE_BASE, 0x1000, &storm_ops, &storm, "moving" };
	pthread_t threads[N_VCPUS];
	void *failed;
	int i;

	for (i = 0; i < N_VCPUS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, storm_vcpu, &storm), 0);
	for (i = 0; i < N_MOVES || !storm.hits; i++) {
		region.base = MOVE_BASE + (uint64_t)i % 4 * 0x1000;
		storm.mapped = true;
		assert_int_equal(bus_add(f->bus, &region, NULL), 0);
		sched_yield();
		bus_remove(f->bus, region.base);
		assert_int_equal(storm.inside, 0);
		storm.mapped = false;
	}
	storm.stop = true;
	for (i = 0; i < N_VCPUS; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(storm.n_late, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_access_reaches_the_right_region, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_nobody_answers_with_ones, setup, teardown),
		cmocka_unit_test_setup_teardown(test_access_across_an_end_reaches_nobody, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_conflict_names_both, setup, teardown),
		cmocka_unit_test_setup_teardown(test_region_must_lie_on_the_bus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed_region_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_layout_hook_may_change_the_bus, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_no_handler_runs_after_removal, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
