/* SPDX-License-Identifier: Apache-2.0 */
/* Indices, heads and links of a split ring. */
#include "hostile.h"
#include "lib/cpu.h"

static void good_chain(uint16_t first)
{
	*victim_desc(first) = (struct desc){ A_HDR, 16, DESC_NEXT, first + 1 };
	*victim_desc(first + 1) = (struct desc){ A_DATA, 512, DESC_NEXT | DESC_WRITE, first + 2 };
	*victim_desc(first + 2) = (struct desc){ A_STATUS, 1, DESC_WRITE, 0 };
}

/* Posts the chain at descriptor 0 and sees what becomes of the queue. */
static const char *post_and_settle(void)
{
	victim_skip(8);
	vq_post_split(&victim.q[0], 0);
	vq_notify(&victim.q[0]);
	return victim_safe();
}

/* The data descriptor's link leads to @next. */
static const char *link_to(uint16_t next)
{
	good_chain(0);
	victim_desc(1)->next = next;
	return post_and_settle();
}

static const char *loop_on_itself(void)
{
	return link_to(1);
}

static const char *loop_of_two(void)
{
	return link_to(0);
}

static const char *loop_at_head(void)
{
	good_chain(0);
	victim_desc(0)->next = 0;
	return post_and_settle();
}

/* Only descriptors that the device may write to, empty ones, for ever. */
static const char *loop_of_empty(void)
{
	*victim_desc(0) = (struct desc){ A_DATA, 0, DESC_NEXT | DESC_WRITE, 1 };
	*victim_desc(1) = (struct desc){ A_DATA, 0, DESC_NEXT | DESC_WRITE, 0 };
	return post_and_settle();
}

/* Through the whole table and back to its start. */
static const char *chain_longer_than_queue(void)
{
	for (uint16_t i = 0; i < QUEUE_SIZE; i++)
		*victim_desc(i) = (struct desc){ A_DATA, 8, DESC_NEXT | (i ? DESC_WRITE : 0),
						 (i + 1) % QUEUE_SIZE };
	return post_and_settle();
}

static const char *next_is_size(void)
{
	return link_to(QUEUE_SIZE);
}

static const char *next_all_ones(void)
{
	return link_to(0xffff);
}

static const char *post_head(uint16_t head)
{
	good_chain(0);
	victim_skip(8);
	vq_post_split(&victim.q[0], head);
	vq_notify(&victim.q[0]);
	return victim_safe();
}

static const char *head_is_size(void)
{
	return post_head(QUEUE_SIZE);
}

static const char *head_all_ones(void)
{
	return post_head(0xffff);
}

static const char *head_in_mid_chain(void)
{
	return post_head(1);
}

/* Moves the available index by @by, although there is nothing new. */
static const char *jump(uint16_t by)
{
	good_chain(0);
	victim_skip(8);
	victim.q[0].avail += by - 1;
	vq_post_split(&victim.q[0], 0);
	vq_notify(&victim.q[0]);
	/* The next request must not bring the index to where the device expects it. */
	for (uint64_t end = deadline_ms(200); !passed(end);)
		if (virtio_status(&victim.v) & STATUS_NEEDS_RESET)
			break;
	return victim_safe();
}

static const char *index_jumps_by_65(void)
{
	return jump(QUEUE_SIZE + 1);
}

static const char *index_jumps_by_32768(void)
{
	return jump(0x8000);
}

static const char *index_steps_back(void)
{
	TRY(victim_alive());
	return jump(0xffff);
}

/* A full ring of the same head, all at once. */
static const char *head_64_times(void)
{
	good_chain(0);
	victim_skip(8);
	for (int i = 0; i < QUEUE_SIZE - 1; i++)
		vq_post_split(&victim.q[0], 0);
	vq_notify(&victim.q[0]);
	return victim_safe();
}

static const char *heads_share_descriptors(void)
{
	good_chain(0);
	*victim_desc(4) = (struct desc){ A_HDR, 16, DESC_NEXT, 1 };
	victim_skip(8);
	for (int i = 0; i < 16; i++)
		vq_post_split(&victim.q[0], i & 1 ? 4 : 0);
	vq_notify(&victim.q[0]);
	return victim_safe();
}

static const char *avail_flags_all_ones(void)
{
	mmio_write16(victim.q[0].driver, 0xffff);
	return victim_alive();
}

static const char *used_event_garbage(void)
{
	TRY(victim_open(F_EVENT_IDX));
	for (uint32_t v = 0; v < 0x10000; v += 0x1111) {
		mmio_write16(victim.q[0].driver + 4 + QUEUE_SIZE * 2, v);
		TRY(victim_alive());
	}
	return NULL;
}

/* What the device wrote is the driver's to spoil, but not to be believed. */
static const char *used_ring_overwritten(void)
{
	bool needs_reset;

	TRY(victim_alive());
	memset((void *)victim.q[0].device, 0xff, 4 + QUEUE_SIZE * 8);
	vq_post_split(&victim.q[0], 0xffff);
	vq_notify(&victim.q[0]);
	delay_ms(1);
	mmio_write16(victim.q[0].device + 2, victim.q[0].last_used);
	/* The index that the device writes next may be anything: a reset alone makes it good. */
	victim_settled(&needs_reset);
	return NULL;
}

/* The descriptors change while the device looks at them. */
static const char *descriptors_change(void)
{
	struct vq *q = &victim.q[0];

	for (int round = 0; round < 50; round++) {
		good_chain(0);
		victim_skip(8);
		vq_post_split(q, 0);
		vq_notify(q);
		for (int i = 0; i < 400; i++) {
			victim_desc(1)->addr = i & 1 ? A_DATA : MEM_END;
			victim_desc(1)->len = i & 2 ? 512 : 0xffffffff;
			victim_desc(0)->next = i & 4 ? 1 : 0xfff0;
			victim_desc(2)->flags = i & 8 ? DESC_WRITE : DESC_NEXT;
		}
	}
	return victim_safe();
}

static const char *indirect_table_changes(void)
{
	struct desc *t = (struct desc *)A_TABLE;
	struct vq *q = &victim.q[0];

	TRY(victim_open(F_INDIRECT));
	for (int round = 0; round < 50; round++) {
		t[0] = (struct desc){ A_HDR, 16, DESC_NEXT, 1 };
		t[1] = (struct desc){ A_DATA, 512, DESC_NEXT | DESC_WRITE, 2 };
		t[2] = (struct desc){ A_STATUS, 1, DESC_WRITE, 0 };
		*victim_desc(0) = (struct desc){ A_TABLE, 48, DESC_INDIRECT, 0 };
		victim_skip(8);
		vq_post_split(q, 0);
		vq_notify(q);
		for (int i = 0; i < 400; i++) {
			victim_desc(0)->len = i & 1 ? 48 : 0xfffffff0;
			*(volatile uint64_t *)&t[1].addr = i & 2 ? A_DATA : ~0ull;
			*(volatile uint16_t *)&t[1].next = i & 4 ? 2 : 0x7fff;
		}
	}
	return victim_safe();
}

/* The index runs away without a pause while the device serves the ring. */
static const char *index_runs_away(void)
{
	struct vq *q = &victim.q[0];

	for (uint16_t i = 0; i < QUEUE_SIZE; i++)
		*victim_desc(i) = (struct desc){ A_DATA, 1, 0, 0 };
	for (uint32_t i = 0; i < 20000; i++) {
		mmio_write16(q->driver + 2, i * 7);
		if (i % 200 == 0)
			vq_notify(q);
	}
	return NULL;
}

void split_cases(case_fn *each)
{
	static const struct action actions[] = {
		{ "loop_on_itself", loop_on_itself },
		{ "loop_of_two", loop_of_two },
		{ "loop_at_head", loop_at_head },
		{ "loop_of_empty", loop_of_empty },
		{ "chain_longer_than_queue", chain_longer_than_queue },
		{ "next_is_size", next_is_size },
		{ "next_all_ones", next_all_ones },
		{ "head_is_size", head_is_size },
		{ "head_all_ones", head_all_ones },
		{ "head_in_mid_chain", head_in_mid_chain },
		{ "index_jumps_by_65", index_jumps_by_65 },
		{ "index_jumps_by_32768", index_jumps_by_32768 },
		{ "index_steps_back", index_steps_back },
		{ "head_64_times", head_64_times },
		{ "heads_share_descriptors", heads_share_descriptors },
		{ "avail_flags_all_ones", avail_flags_all_ones },
		{ "used_event_garbage", used_event_garbage },
		{ "used_ring_overwritten", used_ring_overwritten },
		{ "descriptors_change", descriptors_change },
		{ "indirect_table_changes", indirect_table_changes },
		{ "index_runs_away", index_runs_away },
	};

	each_action(actions, ARRAY_SIZE(actions), each);
}
