/* SPDX-License-Identifier: Apache-2.0 */
/* Flags, ids and ends of chains in a packed ring. */
#include "hostile.h"
#include "lib/cpu.h"

static const struct desc good[3] = {
	{ A_HDR, 16, DESC_NEXT, 0 },
	{ A_DATA, 512, DESC_NEXT | DESC_WRITE, 0 },
	{ A_STATUS, 1, DESC_WRITE, 0 },
};

/* Descriptor @i of the ring with exactly these flags. */
static void put(uint16_t i, const struct desc *d, uint16_t id, uint16_t flags)
{
	volatile struct desc *e = victim_desc(i);

	e->addr = d->addr;
	e->len = d->len;
	e->flags = id;
	e->next = flags;
}

/* Flags that are not "available" in this round of the ring: there is nothing to see. */
static const char *unavailable(uint16_t bits)
{
	for (uint16_t i = 0; i < 3; i++)
		put(i, &good[i], 0, good[i].flags | bits);
	vq_notify(&victim.q[0]);
	delay_ms(2);
	CHECK_EQ(mmio_read8(A_STATUS), 0xee, "status byte");
	return victim_alive();
}

static const char *wrap_counter_wrong(void)
{
	return unavailable(DESC_USED);
}

static const char *already_used(void)
{
	return unavailable(DESC_AVAIL | DESC_USED);
}

static const char *neither_bit(void)
{
	return unavailable(0);
}

static const char *with_id(uint16_t id)
{
	struct vq *q = &victim.q[0];

	vq_post_packed(q, good, 3, id);
	vq_notify(q);
	return victim_safe();
}

static const char *id_is_size(void)
{
	return with_id(QUEUE_SIZE);
}

static const char *id_all_ones(void)
{
	return with_id(0xffff);
}

static const char *id_16_times(void)
{
	for (int i = 0; i < 16; i++)
		vq_post_packed(&victim.q[0], good, 3, 5);
	vq_notify(&victim.q[0]);
	return victim_safe();
}

/* Every descriptor of the ring leads to the next. */
static const char *chain_without_end(uint32_t len)
{
	struct desc d = { A_DATA, len, 0, 0 };

	for (uint16_t i = QUEUE_SIZE; i--;)
		put(i, &d, 0, DESC_NEXT | DESC_AVAIL | (i ? DESC_WRITE : 0));
	vq_notify(&victim.q[0]);
	delay_ms(5);
	return NULL;
}

static const char *endless_chain(void)
{
	return chain_without_end(16);
}

static const char *endless_empty_chain(void)
{
	return chain_without_end(0);
}

/* The rest of the chain is not available (yet): nothing says when it will be. */
static const char *chain_half_available(void)
{
	put(0, &good[0], 0, DESC_NEXT | DESC_AVAIL);
	put(1, &good[1], 0, DESC_NEXT | DESC_WRITE);
	put(2, &good[2], 0, DESC_WRITE);
	vq_notify(&victim.q[0]);
	delay_ms(5);
	return NULL;
}

/* The last descriptor of the ring leads to the first, which belongs to the next round. */
static const char *chain_across_end_wrong(void)
{
	struct vq *q = &victim.q[0];

	for (int i = 0; i < 21; i++)
		TRY(victim_alive());
	put(63, &good[0], 63, DESC_NEXT | DESC_AVAIL);
	put(0, &good[1], 0, DESC_NEXT | DESC_WRITE | DESC_AVAIL);
	put(1, &good[2], 0, DESC_WRITE | DESC_AVAIL);
	vq_notify(q);
	delay_ms(5);
	return NULL;
}

/* Everything available at once, each descriptor a chain of its own. */
static const char *ring_full_of_singles(void)
{
	struct desc d = { A_DATA, 0, 0, 0 };

	for (uint16_t i = 0; i < QUEUE_SIZE; i++)
		vq_post_packed(&victim.q[0], &d, 1, i);
	vq_notify(&victim.q[0]);
	delay_ms(5);
	/* The good request needs three free places. */
	for (uint32_t i = 0, id, len; i < QUEUE_SIZE && vq_wait(&victim.q[0], 50, &id, &len); i++)
		;
	return NULL;
}

static const char *event_area_garbage(void)
{
	TRY(victim_open(F_EVENT_IDX));
	for (uint32_t i = 0; i < 32; i++) {
		mmio_write16(victim.q[0].driver, i * 0x0f0f);
		mmio_write16(victim.q[0].driver + 2, i);
		TRY(victim_alive());
	}
	return NULL;
}

static const char *descriptors_change(void)
{
	struct vq *q = &victim.q[0];

	for (int round = 0; round < 20; round++) {
		uint16_t at = q->next;

		vq_post_packed(q, good, 3, at);
		vq_notify(q);
		for (int i = 0; i < 400; i++) {
			volatile struct desc *e = victim_desc((at + 1) % QUEUE_SIZE);

			e->addr = i & 1 ? A_DATA : MEM_END;
			e->len = i & 2 ? 512 : 0xffffffff;
			e->next = i & 4 ? 0xffff : DESC_AVAIL;
			victim_desc(at)->flags = i * 3;
		}
	}
	return NULL;
}

/* Flags of the whole ring flicker while the device serves it. */
static const char *flags_flicker(void)
{
	for (uint32_t i = 0; i < 20000; i++) {
		victim_desc(i % QUEUE_SIZE)->next = i * 0x4d43;
		if (i % 200 == 0)
			vq_notify(&victim.q[0]);
	}
	return NULL;
}

void packed_cases(case_fn *each)
{
	static const struct action actions[] = {
		{ "wrap_counter_wrong", wrap_counter_wrong },
		{ "already_used", already_used },
		{ "neither_bit", neither_bit },
		{ "id_is_size", id_is_size },
		{ "id_all_ones", id_all_ones },
		{ "id_16_times", id_16_times },
		{ "endless_chain", endless_chain },
		{ "endless_empty_chain", endless_empty_chain },
		{ "chain_half_available", chain_half_available },
		{ "chain_across_end_wrong", chain_across_end_wrong },
		{ "ring_full_of_singles", ring_full_of_singles },
		{ "event_area_garbage", event_area_garbage },
		{ "descriptors_change", descriptors_change },
		{ "flags_flicker", flags_flicker },
	};

	each_action(actions, ARRAY_SIZE(actions), each);
}
