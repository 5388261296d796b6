/* SPDX-License-Identifier: Apache-2.0 */
/* The queue engine seen by a driver: good rings, suppressed notifications. */
#include "test_virtio_driver.h"

#include "util/overflow.h"

static const struct rig_options all_options[] = {
	{ .size = 64 },
	{ .size = 64, .no_event_idx = true, .no_indirect = true },
	{ .size = 1024 },
	{ .size = 1, .max_segments = 4 },
	{ .size = 64, .packed = true },
	{ .size = 37, .packed = true, .no_event_idx = true },
	{ .size = 1024, .packed = true, .no_indirect = true },
	{ .size = 1, .packed = true, .max_segments = 4 },
};
static const struct rig_options both[] = { { .size = 16 }, { .size = 16, .packed = true } };

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* --- good rings --- */

struct expected {
	uint64_t in_gpa;
	uint32_t written;
};

/* A request of random shape with memory of its own. */
static bool send_random(struct rig *rig, uint32_t number, uint32_t *random,
			struct expected *expected)
{
	unsigned n_out = next_random(random) % 3, n_in = 1 + next_random(random) % 2;
	uint64_t gpa = RIG_DATA + number % 1024 * 4096;
	bool indirect = rig->features & BIT(VIRTIO_RING_F_INDIRECT_DESC) && next_random(random) & 1;
	uint32_t len = 1 + next_random(random) % 200;
	struct rig_buf bufs[4];
	int id;

	if (rig->queues[0].size == 1 && !indirect) {
		n_out = 0;
		n_in = 1;
	}
	for (unsigned i = 0; i < n_out + n_in; i++)
		bufs[i] = (struct rig_buf){ gpa + i * 256, len };
	id = rig_add(rig, 0, bufs, n_out, n_in, indirect ? gpa + 2048 : 0);
	if (id < 0)
		return false;
	expected[id] = (struct expected){ gpa + n_out * 256, 1 + n_out * len };
	memset(rig_at(rig, gpa + n_out * 256), 0, len);
	return true;
}

static void complete_random(struct rig *rig, uint32_t *random)
{
	while (rig->n_held) {
		unsigned i = next_random(random) % rig->n_held;
		struct alcor_vreq *req = rig->held[i];

		rig->held[i] = rig->held[--rig->n_held];
		*(uint8_t *)req->in[0].iov_base = 0x77;
		virtio_vq_push(req, 1 + (uint32_t)req->out_len);
		if (next_random(random) % 4 == 0)
			virtio_vq_flush(virtio_vq(rig->dev, 0));
	}
	virtio_vq_flush(virtio_vq(rig->dev, 0));
}

/* Thousands of requests, many times around the ring, completed in any order: each comes back once,
 * with its own length, and its data was where the driver said. */
static void round_trips(const struct rig_options *options)
{
	static struct expected expected[VIRTIO_QUEUE_MAX];
	uint32_t random = options->size, sent = 0, done = 0, len;
	struct rig rig;
	uint16_t id;

	rig_open(&rig, options);
	rig.mode = RIG_HOLD;
	rig.pop_max = 7;
	rig_start(&rig);
	rig_pump(&rig);
	while (done < (options->size == 64 ? 70000 : 8000)) { /* the index has 16 bits */
		unsigned batch = 1 + next_random(&random) % 40;

		while (batch-- && send_random(&rig, sent, &random, expected))
			sent++;
		rig_kick(&rig, 0);
		rig_pump(&rig);
		assert_int_equal(rig.n_held, sent - done);
		complete_random(&rig, &random);
		while (rig_used(&rig, 0, &id, &len)) {
			assert_int_equal(*rig_at(&rig, expected[id].in_gpa), 0x77);
			assert_int_equal(len, expected[id].written);
			done++;
		}
		assert_int_equal(done, sent);
	}
	rig_close(&rig);
}

static void test_round_trips(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(all_options); i++)
		round_trips(&all_options[i]);
}

static void test_echo(void **state)
{
	static const struct rig_buf bufs[] = {
		{ RIG_DATA, 3 },
		{ RIG_DATA + 100, 5 },
		{ RIG_DATA + 200, 4 },
		{ RIG_DATA + 300, 10 },
	};

	for (unsigned i = 0; i < 8; i++) {
		struct rig_options options = { .size = 8, .packed = i & 1, .no_event_idx = i & 2 };
		struct rig rig;
		uint32_t len;
		uint16_t id;

		rig_open(&rig, &options);
		rig_start(&rig);
		memcpy(rig_at(&rig, RIG_DATA), "abc", 3);
		memcpy(rig_at(&rig, RIG_DATA + 100), "defgh", 5);
		assert_true(rig_add(&rig, 0, bufs, 2, 2, i & 4 ? RIG_DATA + 4096 : 0) >= 0);
		rig_pump(&rig);
		assert_true(rig_used(&rig, 0, &id, &len));
		assert_int_equal(len, 8);
		assert_int_equal(*rig_at(&rig, RIG_DATA + 200), (uint8_t) ~'a');
		assert_int_equal(*rig_at(&rig, RIG_DATA + 303), (uint8_t) ~'h');
		assert_int_equal(*rig_at(&rig, RIG_DATA + 304), 0);
		assert_false(rig_used(&rig, 0, &id, &len));
		rig_close(&rig);
	}
}

/* A scatter list never has more elements than max_segments, and a chain of just as many is fine. */
static void test_segments(void **state)
{
	struct rig_buf bufs[9];

	for (unsigned i = 0; i < 9; i++)
		bufs[i] = (struct rig_buf){ RIG_DATA + i * 16, 16 };
	for (unsigned packed = 0; packed < 2; packed++) {
		struct rig_options options = { .size = 16, .packed = packed, .max_segments = 8 };
		struct rig rig;
		uint32_t len;
		uint16_t id;

		rig_open(&rig, &options);
		rig.mode = RIG_HOLD;
		rig_start(&rig);
		rig_add(&rig, 0, bufs, 4, 4, 0);
		rig_add(&rig, 0, bufs, 4, 5, RIG_DATA + 4096);
		rig_pump(&rig);
		assert_int_equal(rig.n_held, 1);
		assert_int_equal(rig.held[0]->n_out + rig.held[0]->n_in, 8);
		assert_int_equal(rig.held[0]->out_len, 64);
		assert_true(rig_used(&rig, 0, &id, &len));
		assert_int_equal(len, 0);
		assert_false(rig_used(&rig, 0, &id, &len));
		rig_close(&rig);
	}
}

/* --- notifications --- */

static void reap(struct rig *rig, unsigned n)
{
	uint32_t len;
	uint16_t id;

	for (unsigned i = 0; i < n; i++)
		assert_true(rig_used(rig, 0, &id, &len));
	assert_false(rig_used(rig, 0, &id, &len));
}

static void test_interrupts(void **state)
{
	struct rig rig;

	for (unsigned i = 0; i < 4; i++) {
		struct rig_options options = { .size = 8, .packed = i & 1, .no_event_idx = i & 2 };
		unsigned before;

		rig_open(&rig, &options);
		rig.mode = RIG_HOLD;
		rig_start(&rig);
		for (unsigned round = 0; round < 50; round++) {
			/* One for a batch, however many it has. */
			rig_want_interrupt(&rig, 0, 0);
			rig_send_n(&rig, 5);
			rig_kick(&rig, 0);
			rig_pump(&rig);
			before = rig.interrupts[0];
			assert_int_equal(rig.n_held, 5);
			rig_complete_all(&rig);
			assert_int_equal(rig.interrupts[0], before + 1);
			virtio_vq_flush(virtio_vq(rig.dev, 0));
			assert_int_equal(rig.interrupts[0], before + 1);
			reap(&rig, 5);

			rig_no_interrupt(&rig, 0);
			rig_send_n(&rig, 3);
			rig_kick(&rig, 0);
			rig_pump(&rig);
			rig_complete_all(&rig);
			assert_int_equal(rig.interrupts[0], before + 1);
			reap(&rig, 3);
		}
		rig_close(&rig);
	}
}

/* EVENT_IDX allows the driver to ask for an interrupt each time all the same (2.8.10). */
static void test_interrupt_always(void **state)
{
	struct rig rig;

	rig_open(&rig, &both[1]);
	rig.mode = RIG_HOLD;
	rig_start(&rig);
	rig.queues[0].driver_event->off_wrap = 13;
	rig_send_n(&rig, 5);
	rig_pump(&rig);
	for (unsigned n = 1; n <= 5; n++) {
		virtio_vq_push(rig.held[--rig.n_held], 0);
		virtio_vq_flush(virtio_vq(rig.dev, 0));
		assert_int_equal(rig.interrupts[0], n);
	}
	rig_close(&rig);
}

/* A descriptor that is used is not available, whatever the round (2.8.1). */
static void test_used_not_available(void **state)
{
	struct rig rig;

	rig_open(&rig, &both[1]);
	rig_start(&rig);
	rig.queues[0].ring[0] = (struct vring_packed_desc){ RIG_DATA, 4, 0, 0x8080 };
	rig_pump(&rig);
	assert_int_equal(rig.n_requests, 0);
	assert_int_equal(virtio_status(rig.dev), 15);
	rig_close(&rig);
}

/* With EVENT_IDX the interrupt comes with the very element that the driver named. */
static void test_used_event(void **state)
{
	struct rig rig;

	for (unsigned i = 0; i < 2; i++) {
		rig_open(&rig, &both[i]);
		rig.mode = RIG_HOLD;
		rig_start(&rig);
		for (unsigned round = 0; round < 100; round++) {
			unsigned at = round % 7, before;

			rig_want_interrupt(&rig, 0, (uint16_t)at);
			rig_send_n(&rig, 7);
			rig_kick(&rig, 0);
			rig_pump(&rig);
			before = rig.interrupts[0];
			for (unsigned n = 0; n < 7; n++) {
				virtio_vq_push(rig.held[--rig.n_held], 0);
				virtio_vq_flush(virtio_vq(rig.dev, 0));
				assert_int_equal(rig.interrupts[0], before + (n >= at));
			}
			reap(&rig, 7);
		}
		rig_close(&rig);
	}
}

/* The driver need not notify while the plugin has not looked at all there was, and must again once
 * it has; kick() brings the plugin back. */
static void test_suppression(void **state)
{
	struct rig rig;

	for (unsigned i = 0; i < 4; i++) {
		struct rig_options options = { .size = 8, .packed = i & 1, .no_event_idx = i & 2 };
		unsigned calls;

		rig_open(&rig, &options);
		rig.mode = RIG_HOLD;
		rig_start(&rig);
		rig_pump(&rig);
		rig.mode = RIG_LAZY;
		rig_send_n(&rig, 1);
		assert_true(rig_kick(&rig, 0));
		rig_pump(&rig);
		rig_send_n(&rig, 1);
		calls = rig.n_queue_calls;
		assert_false(rig_kick(&rig, 0));
		rig_pump(&rig);
		assert_int_equal(rig.n_queue_calls, calls);
		rig.mode = RIG_HOLD;
		virtio_vq_kick(virtio_vq(rig.dev, 0));
		rig_pump(&rig);
		assert_int_equal(rig.n_held, 2);
		rig_send_n(&rig, 1);
		assert_true(rig_kick(&rig, 0));
		rig_pump(&rig);
		assert_int_equal(rig.n_held, 3);
		rig_close(&rig);
	}
}

/* Popping on the plugin's own initiative to the end turns notifications on as well. */
static void test_pop_outside(void **state)
{
	struct alcor_vreq *req;
	struct rig rig;

	for (unsigned i = 0; i < 4; i++) {
		struct rig_options options = { .size = 8, .packed = i & 1, .no_event_idx = i & 2 };

		rig_open(&rig, &options);
		rig.mode = RIG_LAZY;
		rig_start(&rig);
		rig_pump(&rig);
		rig_send_n(&rig, 1);
		assert_int_equal(virtio_vq_pop(virtio_vq(rig.dev, 0), &req, 1), 1);
		assert_int_equal(virtio_vq_pop(virtio_vq(rig.dev, 0), &req, 1), 0);
		rig_send_n(&rig, 1);
		assert_true(rig_kick(&rig, 0));
		rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),	 cmocka_unit_test(test_echo),
		cmocka_unit_test(test_segments),	 cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_interrupt_always), cmocka_unit_test(test_used_not_available),
		cmocka_unit_test(test_used_event),	 cmocka_unit_test(test_suppression),
		cmocka_unit_test(test_pop_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
