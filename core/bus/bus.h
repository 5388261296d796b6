/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port and memory-mapped dispatch. vCPUs look a region up in an immutable table that is replaced as
 * a whole, so they take no lock; whoever changes the layout waits until no vCPU uses the old table.
 */
#ifndef ALCOR_CORE_BUS_BUS_H
#define ALCOR_CORE_BUS_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

/* Returned by a write handler; anything else but 0 is ignored. */
#define BUS_LAYOUT 1 /* run the bus's layout hook before the guest goes on */

struct bus_ops {
	/* [vcpu] 1, 2, 4 or 8 bytes within the region; any alignment. */
	uint64_t (*read)(void *opaque, uint64_t offset, uint32_t size);
	int (*write)(void *opaque, uint64_t offset, uint32_t size, uint64_t value);
};

struct bus_region {
	uint64_t base, len;
	const struct bus_ops *ops;
	void *opaque;
	const char *owner; /* for the text of a conflict */
};

struct bus;	   /* one address space */
struct bus_reader; /* one vCPU thread */

/* @limit: first address beyond the space (0x10000 for ports, 0: 2^64). */
int bus_new(uint64_t limit, struct bus **ret_bus);
void bus_free(struct bus *bus); /* NULL is fine */

/* [any] but inside a handler. -EBUSY on overlap, with both owners in the text. */
int bus_add(struct bus *bus, const struct bus_region *region, struct error *err);
/* [any] but inside a handler. No handler of the region runs after the return. */
void bus_remove(struct bus *bus, uint64_t base);

/* A thread that dispatches registers first, [main]. */
int bus_reader_add(struct bus *bus, struct bus_reader **ret_reader);
void bus_reader_remove(struct bus *bus, struct bus_reader *reader);

/* [vcpu] Where no region answers reads are all ones and writes go nowhere; so is any access that
 * crosses the end of a region. @data holds @size bytes, little endian. @size of 1 to 8; sizes other
 * than 1, 2, 4, 8 are served byte by byte. */
void bus_read(struct bus *bus, struct bus_reader *reader, uint64_t addr, uint32_t size,
	      void *ret_data);
void bus_write(struct bus *bus, struct bus_reader *reader, uint64_t addr, uint32_t size,
	       const void *data);

/* The hook runs on the writing vCPU's thread, outside of all handlers. [main] */
void bus_set_layout_hook(struct bus *bus, void (*hook)(void *opaque), void *opaque);

#endif
