/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects that the guest names by number. A number is the index of a slot and the generation of its
 * use, so that one that was given back, or was never handed out, finds nothing.
 */
#ifndef ALCOR_PLUGINS_VIRTIO_FS_SLOTS_H
#define ALCOR_PLUGINS_VIRTIO_FS_SLOTS_H

#include <stdint.h>

struct slot {
	void *object; /* NULL: free */
	uint32_t generation;
	uint32_t next_free; /* number of the slot, from 1 on */
};

struct slots {
	struct slot *slots;
	uint32_t n_slots, max, n_used;
	uint32_t first_free; /* number of the slot, 0: none */
};

/* The first object gets the number 1. -ENFILE at the limit, -ENOMEM. */
int slots_add(struct slots *slots, void *object, uint64_t *ret_id);
void *slots_get(const struct slots *slots, uint64_t id); /* NULL when there is none */
/* The object of @id, which is valid, is out. */
void slots_remove(struct slots *slots, uint64_t id);
void slots_free(struct slots *slots);

#endif
