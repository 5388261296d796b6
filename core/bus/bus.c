/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers announce themselves by an odd sequence number before they load the table; a writer
 * publishes its table before it looks at the numbers. Both with sequential consistency, so that a
 * reader the writer saw idle can only find the new table, and the old one may be freed.
 */
#include "bus/bus.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/overflow.h"

#define CACHE_LINE 64

/* Immutable while published. */
struct bus_table {
	unsigned n, capacity;
	struct bus_region regions[]; /* by base, disjoint */
};

struct bus_reader {
	_Alignas(CACHE_LINE) _Atomic uint64_t sequence; /* odd inside of a handler */
	unsigned last; /* index of the last hit: a hint, checked before use */
	LIST_ENTRY(bus_reader) link;
};

struct bus {
	_Atomic(struct bus_table *) table;
	struct bus_table *spare; /* for at least one region less, so that removing cannot fail */
	uint64_t last;		 /* highest address */
	void (*layout_hook)(void *opaque);
	void *layout_opaque;
	pthread_mutex_t lock; /* writers, and the list of readers */
	LIST_HEAD(, bus_reader) readers;
};

static struct bus_table *table_new(unsigned capacity)
{
	struct bus_table *table;

	table = calloc(1, sizeof(*table) + capacity * sizeof(table->regions[0]));
	if (table)
		table->capacity = capacity;
	return table;
}

int bus_new(uint64_t limit, struct bus **ret_bus)
{
	struct bus *bus = calloc(1, sizeof(*bus));
	struct bus_table *table = table_new(0);

	if (!bus || !table) {
		free(bus);
		free(table);
		return -ENOMEM;
	}
	bus->table = table;
	bus->last = limit - 1;
	pthread_mutex_init(&bus->lock, NULL);
	LIST_INIT(&bus->readers);
	*ret_bus = bus;
	return 0;
}

void bus_free(struct bus *bus)
{
	struct bus_reader *reader;

	if (!bus)
		return;
	while ((reader = LIST_FIRST(&bus->readers))) {
		LIST_REMOVE(reader, link);
		free(reader);
	}
	free(bus->table);
	free(bus->spare);
	pthread_mutex_destroy(&bus->lock);
	free(bus);
}

void bus_set_layout_hook(struct bus *bus, void (*hook)(void *opaque), void *opaque)
{
	bus->layout_hook = hook;
	bus->layout_opaque = opaque;
}

/* --- readers --- */

int bus_reader_add(struct bus *bus, struct bus_reader **ret_reader)
{
	struct bus_reader *reader = aligned_alloc(CACHE_LINE, sizeof(*reader));

	if (!reader)
		return -ENOMEM;
	memset(reader, 0, sizeof(*reader));
	LOCK_SCOPE(&bus->lock);
	LIST_INSERT_HEAD(&bus->readers, reader, link);
	*ret_reader = reader;
	return 0;
}

void bus_reader_remove(struct bus *bus, struct bus_reader *reader)
{
	pthread_mutex_lock(&bus->lock);
	LIST_REMOVE(reader, link);
	pthread_mutex_unlock(&bus->lock);
	free(reader);
}

static const struct bus_table *reader_enter(struct bus *bus, struct bus_reader *reader)
{
	uint64_t sequence = atomic_load_explicit(&reader->sequence, memory_order_relaxed);

	atomic_store(&reader->sequence, sequence + 1);
	return atomic_load(&bus->table);
}

static void reader_leave(struct bus_reader *reader)
{
	uint64_t sequence = atomic_load_explicit(&reader->sequence, memory_order_relaxed);

	atomic_store_explicit(&reader->sequence, sequence + 1, memory_order_release);
}

/* --- changing the layout --- */

/* Until every handler that was running has returned. A handler may wait for a device's lock for a
 * while, so that spinning gives way to short sleeps. */
static void wait_for_readers(struct bus *bus)
{
	const struct timespec pause = { .tv_nsec = 50000 };
	struct bus_reader *reader;
	uint64_t sequence;
	unsigned tries;

	LIST_FOREACH(reader, &bus->readers, link) {
		sequence = atomic_load(&reader->sequence);
		if (sequence % 2 == 0)
			continue;
		for (tries = 0; atomic_load(&reader->sequence) == sequence; tries++) {
			if (tries < 100)
				sched_yield();
			else
				nanosleep(&pause, NULL);
		}
	}
}

static void publish_spare(struct bus *bus)
{
	bus->spare = atomic_exchange(&bus->table, bus->spare);
	wait_for_readers(bus);
}

/* Index of the first region that ends behind @addr. */
static unsigned table_find(const struct bus_table *table, uint64_t addr)
{
	unsigned low = 0, high = table->n;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;
		const struct bus_region *region = &table->regions[mid];

		if (region->base + (region->len - 1) < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int bus_add(struct bus *bus, const struct bus_region *region, struct error *err)
{
	uint64_t last = region->base + (region->len - 1);
	const struct bus_region *other;
	struct bus_table *old, *table;
	unsigned i;

	if (!region->len || last < region->base || last > bus->last)
		return error_set(err, -EINVAL,
				 "%s: %" PRIu64 " bytes at 0x%" PRIx64 " are outside of the bus",
				 region->owner, region->len, region->base);
	LOCK_SCOPE(&bus->lock);
	old = bus->table;
	i = table_find(old, region->base);
	if (i < old->n && old->regions[i].base <= last) {
		other = &old->regions[i];
		return error_set(err, -EBUSY,
				 "%s: addresses 0x%" PRIx64 "-0x%" PRIx64 " overlap 0x%" PRIx64
				 "-0x%" PRIx64 " of %s",
				 region->owner, region->base, last, other->base,
				 other->base + (other->len - 1), other->owner);
	}
	if (!bus->spare || bus->spare->capacity <= old->n) {
		table = table_new(old->n + 8);
		if (!table)
			return error_errno(err, -ENOMEM, "%s", region->owner);
		free(bus->spare);
		bus->spare = table;
	}
	table = bus->spare;
	table->n = old->n + 1;
	memcpy(table->regions, old->regions, i * sizeof(*region));
	table->regions[i] = *region;
	memcpy(table->regions + i + 1, old->regions + i, (old->n - i) * sizeof(*region));
	publish_spare(bus);
	return 0;
}

void bus_remove(struct bus *bus, uint64_t base)
{
	struct bus_table *old, *table;
	unsigned i;

	LOCK_SCOPE(&bus->lock);
	old = bus->table;
	table = bus->spare;
	i = table_find(old, base);
	if (i == old->n || old->regions[i].base != base)
		return;
	table->n = old->n - 1;
	memcpy(table->regions, old->regions, i * sizeof(table->regions[0]));
	memcpy(table->regions + i, old->regions + i + 1,
	       (table->n - i) * sizeof(table->regions[0]));
	publish_spare(bus);
}

/* --- dispatch --- */

static bool region_holds(const struct bus_region *region, uint64_t addr, uint32_t size)
{
	uint64_t offset = addr - region->base;

	return offset < region->len && size <= region->len - offset;
}

static const struct bus_region *lookup(const struct bus_table *table, struct bus_reader *reader,
				       uint64_t addr, uint32_t size)
{
	unsigned i = reader->last;

	if (i < table->n && region_holds(&table->regions[i], addr, size))
		return &table->regions[i];
	i = table_find(table, addr);
	if (i == table->n || !region_holds(&table->regions[i], addr, size))
		return NULL;
	reader->last = i;
	return &table->regions[i];
}

static uint64_t read_unit(struct bus *bus, struct bus_reader *reader, uint64_t addr, uint32_t size)
{
	const struct bus_table *table = reader_enter(bus, reader);
	const struct bus_region *region = lookup(table, reader, addr, size);
	uint64_t value = UINT64_MAX;

	if (region)
		value = region->ops->read(region->opaque, addr - region->base, size);
	reader_leave(reader);
	return value;
}

static void write_unit(struct bus *bus, struct bus_reader *reader, uint64_t addr, uint32_t size,
		       uint64_t value)
{
	const struct bus_table *table = reader_enter(bus, reader);
	const struct bus_region *region = lookup(table, reader, addr, size);
	int res = 0;

	if (region)
		res = region->ops->write(region->opaque, addr - region->base, size, value);
	reader_leave(reader);
	if (res == BUS_LAYOUT && bus->layout_hook)
		bus->layout_hook(bus->layout_opaque);
}

/* How an access of @size bytes is cut. */
static uint32_t unit_size(uint32_t size)
{
	return is_pow2(size) && size <= sizeof(uint64_t) ? size : 1;
}

/* Values pass through the first bytes of a 64-bit integer: hosts are little endian. */
void bus_read(struct bus *bus, struct bus_reader *reader, uint64_t addr, uint32_t size,
	      void *ret_data)
{
	uint32_t unit = unit_size(size), i;
	uint8_t *data = ret_data;
	uint64_t value;

	for (i = 0; i < size; i += unit) {
		value = read_unit(bus, reader, addr + i, unit);
		memcpy(data + i, &value, unit);
	}
}

void bus_write(struct bus *bus, struct bus_reader *reader, uint64_t addr, uint32_t size,
	       const void *data)
{
	uint32_t unit = unit_size(size), i;
	const uint8_t *from = data;
	uint64_t value;

	for (i = 0; i < size; i += unit) {
		value = 0;
		memcpy(&value, from + i, unit);
		write_unit(bus, reader, addr + i, unit, value);
	}
}
