/* SPDX-License-Identifier: Apache-2.0 */
#include "slots.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define SLOTS_FIRST 64u

static int slots_grow(struct slots *slots)
{
	uint32_t n = slots->n_slots ? slots->n_slots * 2 : SLOTS_FIRST;
	struct slot *grown;

	if (slots->n_slots >= slots->max)
		return -ENFILE;
	if (n > slots->max)
		n = slots->max;
	grown = realloc(slots->slots, n * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	for (uint32_t i = slots->n_slots; i < n; i++)
		grown[i] = (struct slot){ .next_free = i + 1 < n ? i + 2 : 0 };
	slots->first_free = slots->n_slots + 1;
	slots->slots = grown;
	slots->n_slots = n;
	return 0;
}

int slots_add(struct slots *slots, void *object, uint64_t *ret_id)
{
	struct slot *slot;
	uint32_t number;
	int ret = slots->first_free ? 0 : slots_grow(slots);

	if (ret)
		return ret;
	number = slots->first_free;
	slot = &slots->slots[number - 1];
	slots->first_free = slot->next_free;
	slots->n_used++;
	slot->object = object;
	*ret_id = (uint64_t)slot->generation << 32 | number;
	return 0;
}

void *slots_get(const struct slots *slots, uint64_t id)
{
	uint32_t number = (uint32_t)id;
	const struct slot *slot;

	if (number == 0 || number > slots->n_slots)
		return NULL;
	slot = &slots->slots[number - 1];
	return slot->generation == id >> 32 ? slot->object : NULL;
}

void slots_remove(struct slots *slots, uint64_t id)
{
	struct slot *slot = &slots->slots[(uint32_t)id - 1];

	slot->object = NULL;
	slot->generation++;
	slot->next_free = slots->first_free;
	slots->first_free = (uint32_t)id;
	slots->n_used--;
}

void slots_free(struct slots *slots)
{
	free(slots->slots);
	slots->slots = NULL;
	slots->n_slots = slots->n_used = slots->first_free = 0;
}
