/* SPDX-License-Identifier: Apache-2.0 */
#include "payload/space.h"

#include <errno.h>
#include <inttypes.h>

#include "util/overflow.h"

#define PAGE	4096ull
#define LOW_END 0x100000ull

static const struct space_range *space_overlap(const struct space *space, uint64_t base,
					       uint64_t len)
{
	const struct space_range *r;

	for (r = space->taken; r < space->taken + space->n_taken; r++)
		if (base < r->base + r->len && r->base < base + len)
			return r;
	return NULL;
}

void space_init(struct space *space, const struct payload_env *env)
{
	space->map = env->map;
	space->n_map = env->n_map;
	space->taken[0] = (struct space_range){ 0, LOW_END, "the boot information below 1 MiB" };
	space->n_taken = 1;
}

static int space_add(struct space *space, uint64_t base, uint64_t len, const char *what,
		     struct error *err)
{
	if (space->n_taken == SPACE_MAX_TAKEN)
		return error_set(err, -E2BIG, "has more than %u parts", SPACE_MAX_TAKEN - 1);
	space->taken[space->n_taken++] = (struct space_range){ base, len, what };
	return 0;
}

int space_take(struct space *space, uint64_t base, uint64_t len, const char *what,
	       struct error *err)
{
	const struct space_range *other;
	const struct memmap_entry *e;
	uint64_t end;

	if (add_overflows(base, len, &end))
		return error_set(err, -EINVAL, "%s wraps around at 0x%" PRIx64, what, base);
	other = space_overlap(space, base, len);
	if (other)
		return error_set(err, -EINVAL, "%s at 0x%" PRIx64 "-0x%" PRIx64 " overlaps with %s",
				 what, base, end - 1, other->what);
	for (e = space->map; e < space->map + space->n_map; e++)
		if (e->type == MEMMAP_RAM && base >= e->base &&
		    range_within(base - e->base, len, e->len))
			return space_add(space, base, len, what, err);
	return error_set(err, -ENOSPC,
			 "%s needs 0x%" PRIx64 "-0x%" PRIx64
			 ", which is not RAM of this machine (more --memory may help)",
			 what, base, end - 1);
}

/* Highest free place within [low, high), or 0. */
static uint64_t space_find_top(const struct space *space, uint64_t low, uint64_t high, uint64_t len)
{
	const struct space_range *other;
	uint64_t base;

	while (high >= low && high - low >= len) {
		base = align_down(high - len, PAGE);
		if (base < low)
			break;
		other = space_overlap(space, base, len);
		if (!other)
			return base;
		high = other->base; /* below base + len: this comes to an end */
	}
	return 0;
}

/* Bytes of RAM below @limit, for messages. */
static uint64_t space_ram(const struct space *space, uint64_t limit)
{
	const struct memmap_entry *e;
	uint64_t sum = 0;

	for (e = space->map; e < space->map + space->n_map; e++)
		if (e->type == MEMMAP_RAM && e->base < limit)
			sum += MIN(e->len, limit - e->base);
	return sum;
}

int space_take_top(struct space *space, uint64_t len, uint64_t limit, const char *what,
		   uint64_t *ret_base, struct error *err)
{
	const struct memmap_entry *e;
	uint64_t base, best = 0;
	int r;

	for (e = space->map; e < space->map + space->n_map; e++) {
		if (e->type != MEMMAP_RAM || e->base >= limit)
			continue;
		base = space_find_top(space, e->base, e->base + MIN(e->len, limit - e->base), len);
		best = MAX(best, base);
	}
	if (!best)
		return error_set(err, -ENOSPC,
				 "%s has %" PRIu64 " bytes, which do not fit beside the kernel "
				 "into the %" PRIu64 " bytes of RAM below 0x%" PRIx64,
				 what, len, space_ram(space, limit), limit);
	r = space_add(space, best, len, what, err);
	if (r)
		return r;
	*ret_base = best;
	return 0;
}
