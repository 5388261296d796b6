/* SPDX-License-Identifier: Apache-2.0 */
/* The queue engine and a hostile driver: malformed chains and rings, areas in bad places. */
#include "test_virtio_driver.h"

#include "util/overflow.h"

static const struct rig_options both[] = { { .size = 16 }, { .size = 16, .packed = true } };

/* --- malformed chains: completed with length 0, and the next request is served --- */

struct bad_chain {
	const char *what;
	struct rig_buf bufs[3]; /* up to length 0 and address 0 */
	uint16_t flags[3];
	uint16_t next; /* of the last descriptor, with F_NEXT */
	bool split_only;
};

#define W	   VRING_DESC_F_WRITE
#define N	   VRING_DESC_F_NEXT
#define I	   VRING_DESC_F_INDIRECT
#define GOOD_TABLE (RIG_DATA + 12288) /* one descriptor */
static const struct bad_chain bad_chains[] = {
	{ "outside of memory", { { BIT(40), 16 } }, { 0 } },
	{ "end outside of memory", { { RIG_RAM - 8, 16 } }, { W } },
	{ "wraps around", { { ~0ull - 7, 16 } }, { W } },
	{ "wraps to a valid end", { { ~0ull - 7, 0x2000 } }, { 0 } },
	{ "no length", { { RIG_DATA, 0 } }, { W } },
	{ "longer than memory", { { 0, 0xffffffff } }, { W } },
	{ "readable after writable", { { RIG_DATA, 4 }, { RIG_DATA, 4 } }, { W | N, 0 } },
	{ "second one outside", { { RIG_DATA, 4 }, { BIT(63), 4 } }, { N, W } },
	{ "first one outside", { { BIT(63), 4 }, { RIG_DATA, 4 } }, { N, W } },
	{ "next out of range", { { RIG_DATA, 4 } }, { N }, 16, true },
	{ "next far out of range", { { RIG_DATA, 4 } }, { N }, 0xffff, true },
	{ "table of odd length", { { GOOD_TABLE, 24 } }, { I } },
	{ "table of no length", { { RIG_DATA, 0 } }, { I } },
	{ "table outside of memory", { { RIG_RAM - 16, 32 } }, { I } },
	{ "table that wraps", { { ~0ull - 15, 32 } }, { I } },
	{ "table far too long", { { 0, 0x100000 } }, { I } },
	{ "table with next", { { GOOD_TABLE, 16 }, { RIG_DATA, 4 } }, { I | N, W } },
	{ "table of zeroes", { { RIG_DATA + 8192, 16 } }, { I } },
};

static int add_bad(struct rig *rig, const struct bad_chain *bad)
{
	struct rig_queue *queue = &rig->queues[0];
	struct rig_buf bufs[3];
	unsigned n = 0;
	int id;

	do {
		bufs[n] = bad->bufs[n];
		n++;
	} while (n < 3 && bad->bufs[n].gpa);
	id = rig_add(rig, 0, bufs, n, 0, 0);
	if (queue->packed) {
		uint16_t at = (queue->next_avail + queue->size - n) % queue->size;

		for (unsigned i = 0; i < n; i++, at = (at + 1) % queue->size)
			queue->ring[at].flags = (queue->ring[at].flags & 0x8080) | bad->flags[i];
		return id;
	}
	for (unsigned i = 0, at = (unsigned)id; i < n; at = queue->desc[at].next, i++) {
		queue->desc[at].flags = bad->flags[i];
		if (bad->next)
			queue->desc[at].next = bad->next;
	}
	return id;
}

static void expect_dropped(struct rig *rig, int bad_id, const char *what)
{
	static const struct rig_buf bufs[] = { { RIG_DATA, 4 }, { RIG_DATA + 64, 8 } };
	bool dropped, served;
	uint32_t len;
	uint16_t id;
	int good_id;

	rig->n_requests = 0;
	rig_kick(rig, 0);
	rig_pump(rig);
	dropped = rig_used(rig, 0, &id, &len) && id == bad_id && !len && !rig->n_requests;
	good_id = rig_add(rig, 0, bufs, 1, 1, 0);
	rig_kick(rig, 0);
	rig_pump(rig);
	served = rig_used(rig, 0, &id, &len) && id == good_id && len == 4;
	if (!dropped || !served)
		fail_msg("%s chain: %s", rig->queues[0].packed ? "packed" : "split", what);
	assert_int_equal(virtio_status(rig->dev), 15);
	assert_int_equal(rig->config_interrupts, 0);
}

static void test_bad_chains(void **state)
{
	struct vring_desc good = { RIG_DATA, 4, 0, 0 };
	struct rig rig;

	for (unsigned i = 0; i < 2; i++) {
		rig_open(&rig, &both[i]);
		rig_start(&rig);
		memcpy(rig_at(&rig, GOOD_TABLE), &good, sizeof(good));
		for (unsigned k = 0; k < ARRAY_SIZE(bad_chains); k++) {
			if (bad_chains[k].split_only && both[i].packed)
				continue;
			rig_want_interrupt(&rig, 0, 0);
			expect_dropped(&rig, add_bad(&rig, &bad_chains[k]), bad_chains[k].what);
			assert_int_not_equal(rig.interrupts[0], 0);
			rig.interrupts[0] = 0;
		}
		rig_close(&rig);
	}
}

static void test_indirect_not_negotiated(void **state)
{
	static const struct rig_buf buf = { RIG_DATA, 4 };
	struct rig rig;

	for (unsigned packed = 0; packed < 2; packed++) {
		struct rig_options options = { .size = 16, .packed = packed, .no_indirect = true };

		rig_open(&rig, &options);
		rig_start(&rig);
		expect_dropped(&rig, rig_add(&rig, 0, &buf, 1, 0, RIG_DATA + 4096), "indirect");
		rig_close(&rig);
	}
}

/* Loops, in the ring and in a table, and tables in tables (split). */
static void test_loops(void **state)
{
	static const struct rig_buf bufs[] = { { RIG_DATA, 4 }, { RIG_DATA, 4 } };
	struct vring_desc table[3] = { { RIG_DATA, 4, N, 1 },
				       { RIG_DATA, 4, N, 0 },
				       { RIG_DATA, 4, 0, 0 } };
	struct rig_queue *queue;
	struct rig rig;
	int id;

	rig_open(&rig, &both[0]);
	rig_start(&rig);
	queue = &rig.queues[0];
	for (unsigned i = 0; i < 16; i++)
		queue->desc[i] = table[2];
	expect_dropped(&rig, rig_add_raw(&rig, 0, RIG_DATA, 4, N, 16 + 9), "out of the ring");
	id = rig_add_raw(&rig, 0, RIG_DATA, 4, N, 0);
	queue->desc[id].next = (uint16_t)id;
	expect_dropped(&rig, id, "own successor");
	id = rig_add(&rig, 0, bufs, 2, 0, 0);
	queue->desc[queue->desc[id].next].flags = N;
	queue->desc[queue->desc[id].next].next = (uint16_t)id;
	expect_dropped(&rig, id, "loop of two");

	memcpy(rig_at(&rig, RIG_DATA + 4096), table, sizeof(table));
	expect_dropped(&rig, rig_add_raw(&rig, 0, RIG_DATA + 4096, 32, I, 0), "loop in a table");
	table[1].next = 2;
	memcpy(rig_at(&rig, RIG_DATA + 4096), table, sizeof(table));
	expect_dropped(&rig, rig_add_raw(&rig, 0, RIG_DATA + 4096, 32, I, 0), "out of a table");
	table[1] = (struct vring_desc){ RIG_DATA + 4096, 16, I, 0 };
	memcpy(rig_at(&rig, RIG_DATA + 4096), table, sizeof(table));
	expect_dropped(&rig, rig_add_raw(&rig, 0, RIG_DATA + 4096, 32, I, 0), "nested table");
	rig_close(&rig);
}

/* A table may follow plain descriptors (2.7.5.3.2); its own F_WRITE is ignored. */
static void test_table_at_end(void **state)
{
	static const struct rig_buf bufs[] = { { RIG_DATA, 4 }, { RIG_DATA + 4096, 16 } };
	struct vring_desc in = { RIG_DATA + 64, 8, W, 0 };
	struct rig_queue *queue;
	struct rig rig;
	uint32_t len;
	uint16_t id;
	int head;

	rig_open(&rig, &both[0]);
	rig_start(&rig);
	queue = &rig.queues[0];
	memcpy(rig_at(&rig, RIG_DATA + 4096), &in, sizeof(in));
	head = rig_add(&rig, 0, bufs, 2, 0, 0);
	queue->desc[queue->desc[head].next].flags = I | W;
	rig_pump(&rig);
	assert_true(rig_used(&rig, 0, &id, &len));
	assert_int_equal(len, 4);
	rig_close(&rig);
}

/* The used length has 32 bits: what cannot be told in it is no request. */
static void test_four_gib(void **state)
{
	struct vring_desc table[300];
	struct rig rig;

	for (unsigned packed = 0; packed < 2; packed++) {
		struct rig_options options = { .size = 512, .packed = packed };

		rig_open(&rig, &options);
		rig_start(&rig);
		for (unsigned i = 0; i < 300; i++) {
			table[i] = (struct vring_desc){ 0, RIG_RAM, N | W, (uint16_t)(i + 1) };
			if (packed)
				table[i].next = W;
		}
		memcpy(rig_at(&rig, RIG_DATA + 8192), table, sizeof(table));
		expect_dropped(&rig, rig_add_raw(&rig, 0, RIG_DATA + 8192, sizeof(table), I, 0),
			       "more than 4 GiB");
		rig_close(&rig);
	}
}

/* --- rings that cannot be trusted: the queue stops, the device asks for a reset --- */

static void expect_broken(struct rig *rig)
{
	static uint8_t before[0x10000];
	static const struct rig_buf bufs[] = { { RIG_DATA, 4 }, { RIG_DATA + 64, 8 } };
	unsigned calls;
	uint32_t len;
	uint16_t id;

	virtio_vq_kick(virtio_vq(rig->dev, 0));
	rig_pump(rig);
	assert_int_equal(virtio_status(rig->dev), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(rig->config_interrupts, 1);
	calls = rig->n_queue_calls;
	virtio_vq_kick(virtio_vq(rig->dev, 0));
	rig_pump(rig);
	assert_int_equal(rig->n_queue_calls, calls);
	/* What the plugin has in flight can still be completed, to no effect. */
	memcpy(before, rig_at(rig, rig->queues[0].desc_gpa), sizeof(before));
	rig_complete_all(rig);
	assert_memory_equal(before, rig_at(rig, rig->queues[0].desc_gpa), sizeof(before));

	/* The other queues go on. */
	rig->mode = RIG_ECHO;
	rig_add(rig, 1, bufs, 1, 1, 0);
	rig_kick(rig, 1);
	rig_pump(rig);
	assert_true(rig_used(rig, 1, &id, &len));
	assert_int_equal(len, 4);

	/* And a reset brings all back. */
	virtio_set_status(rig->dev, 0);
	rig_pump(rig);
	assert_int_equal(virtio_status(rig->dev), 0);
	rig_start(rig);
	rig_add(rig, 0, bufs, 1, 1, 0);
	rig_pump(rig);
	assert_int_equal(virtio_status(rig->dev), 15);
	assert_true(rig_used(rig, 0, &id, &len));
	assert_int_equal(len, 4);
	rig_close(rig);
}

static void open_holding(struct rig *rig, const struct rig_options *options)
{
	rig_open(rig, options);
	rig->mode = RIG_HOLD;
	rig_start(rig);
	rig_send_n(rig, 2);
	rig_pump(rig);
	assert_int_equal(rig->n_held, 2);
}

static void test_broken_split(void **state)
{
	struct rig rig;
	uint16_t head;

	/* All heads are good, but there cannot be so many. */
	rig_open(&rig, &both[0]);
	rig_start(&rig);
	rig.queues[0].n_free = 16;
	for (unsigned i = 0; i < 16; i++) {
		rig.queues[0].desc[i] = (struct vring_desc){ RIG_DATA, 4, W, 0 };
		rig.queues[0].avail->ring[i] = (uint16_t)i;
	}
	rig.queues[0].avail->idx = 17;
	expect_broken(&rig);

	open_holding(&rig, &both[0]);
	rig.queues[0].avail->idx -= 1;
	expect_broken(&rig);

	open_holding(&rig, &both[0]);
	rig.queues[0].avail->ring[rig.queues[0].next_avail % 16] = 16;
	rig.queues[0].avail->idx++;
	expect_broken(&rig);

	/* The head of a request that is still in flight. */
	open_holding(&rig, &both[0]);
	head = rig.queues[0].avail->ring[0];
	rig.queues[0].avail->ring[rig.queues[0].next_avail % 16] = head;
	rig.queues[0].avail->idx++;
	expect_broken(&rig);
}

/* The whole ring in flight, and yet another one available. */
static void test_broken_overfull(void **state)
{
	struct rig rig;

	open_holding(&rig, &both[0]);
	rig_send_n(&rig, 14);
	rig_kick(&rig, 0);
	rig_pump(&rig);
	assert_int_equal(rig.n_held, 16);
	assert_int_equal(virtio_status(rig.dev), 15);
	rig.queues[0].avail->idx++;
	expect_broken(&rig);
}

static struct vring_packed_desc *last_packed(struct rig *rig)
{
	return &rig->queues[0].ring[rig->queues[0].next_avail - 1];
}

static void test_broken_packed(void **state)
{
	struct rig rig;

	open_holding(&rig, &both[1]);
	rig_send_n(&rig, 1);
	last_packed(&rig)->id = 16;
	expect_broken(&rig);

	open_holding(&rig, &both[1]);
	rig_send_n(&rig, 1);
	last_packed(&rig)->id = rig.queues[0].ring[0].id;
	expect_broken(&rig);

	/* A chain that goes on into descriptors that are not available. */
	open_holding(&rig, &both[1]);
	rig_send_n(&rig, 1);
	last_packed(&rig)->flags |= N;
	last_packed(&rig)[1] = (struct vring_packed_desc){ RIG_DATA, 4, 9, W };
	expect_broken(&rig);

	/* A ring full of descriptors that all go on. */
	rig_open(&rig, &both[1]);
	rig_start(&rig);
	rig_send_n(&rig, 16);
	for (unsigned i = 0; i < 16; i++)
		rig.queues[0].ring[i].flags |= N;
	expect_broken(&rig);
}

/* --- ring placement --- */

static void test_areas(void **state)
{
	static const struct {
		uint64_t gpa[3];
		uint16_t size;
		bool split, packed; /* allowed */
	} cases[] = {
		{ { 0x10000, 0x18000, 0x1a000 }, 16, true, true },
		{ { 0x10008, 0x18000, 0x1a000 }, 16, false, false },
		{ { 0x10000, 0x18002, 0x1a000 }, 16, true, false },
		{ { 0x10000, 0x18001, 0x1a000 }, 16, false, false },
		{ { 0x10000, 0x18000, 0x1a002 }, 16, false, false },
		{ { RIG_RAM - 256, 0x18000, 0x1a000 }, 16, true, true },
		{ { RIG_RAM - 240, 0x18000, 0x1a000 }, 16, false, false },
		{ { 0x10000, RIG_RAM - 4, 0x1a000 }, 16, false, true },
		{ { 0x10000, RIG_RAM - 36, 0x1a000 }, 16, false, true },
		{ { 0x10000, RIG_RAM - 38, 0x1a000 }, 16, true, false },
		{ { 0x10000, 0x18000, RIG_RAM - 132 }, 16, false, true },
		{ { 0x10000, 0x18000, RIG_RAM - 136 }, 16, true, true },
		{ { BIT(40), 0x18000, 0x1a000 }, 16, false, false },
		{ { ~0xfull, 0x18000, 0x1a000 }, 16, false, false },
		{ { 0x10000, 0x18000, 0x1a000 }, 17, false, true },
		{ { 0x10000, 0x18000, 0x1a000 }, 255, false, true },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		struct rig_options options = { .packed = i & 1 };
		struct virtio_queue_regs regs;
		struct rig rig;

		rig_open(&rig, &options);
		rig_negotiate(&rig);
		virtio_queue_set_size(rig.dev, 0, cases[i / 2].size);
		for (unsigned k = 0; k < 6; k++)
			virtio_queue_set_area(rig.dev, 0, k / 2, k % 2,
					      (uint32_t)(cases[i / 2].gpa[k / 2] >> 32 * (k % 2)));
		virtio_queue_enable(rig.dev, 0);
		virtio_queue_regs(rig.dev, 0, &regs);
		if (regs.enabled != (options.packed ? cases[i / 2].packed : cases[i / 2].split))
			fail_msg("placement %u, packed %d: %d", i / 2, options.packed,
				 regs.enabled);
		virtio_set_status(rig.dev, 15);
		rig_pump(&rig);
		rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_chains),
		cmocka_unit_test(test_indirect_not_negotiated),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_table_at_end),
		cmocka_unit_test(test_four_gib),
		cmocka_unit_test(test_broken_split),
		cmocka_unit_test(test_broken_overfull),
		cmocka_unit_test(test_broken_packed),
		cmocka_unit_test(test_areas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
