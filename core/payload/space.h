/* SPDX-License-Identifier: Apache-2.0 */
/* Which guest RAM the parts of a payload take. */
#ifndef ALCOR_CORE_PAYLOAD_SPACE_H
#define ALCOR_CORE_PAYLOAD_SPACE_H

#include <stdint.h>

#include "payload/payload.h"

#define SPACE_MAX_TAKEN 72

struct space_range {
	uint64_t base, len;
	const char *what; /* for messages: "the kernel" */
};

struct space {
	const struct memmap_entry *map;
	unsigned n_map;
	struct space_range taken[SPACE_MAX_TAKEN];
	unsigned n_taken;
};

void space_init(struct space *space, const struct payload_env *env);

/* Takes [base, base + len), len not 0, which must be RAM of one map entry, above 1 MiB (what is
 * below belongs to the boot information and to firmware tables) and not taken. */
int space_take(struct space *space, uint64_t base, uint64_t len, const char *what,
	       struct error *err);
/* Takes the highest free page-aligned @len bytes that end at or before @limit. */
int space_take_top(struct space *space, uint64_t len, uint64_t limit, const char *what,
		   uint64_t *ret_base, struct error *err);

#endif
