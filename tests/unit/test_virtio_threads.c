/* SPDX-License-Identifier: Apache-2.0 */
/* A driver thread and a loop thread on one queue, both sparing notifications: no data is torn, and
 * no notification or interrupt is lost. */
#include "test_virtio_driver.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define REQUESTS 100000
#define QUEUE	 64
#define DATA_LEN 32

static void *loop_thread(void *opaque)
{
	loop_run(opaque);
	return NULL;
}

static uint64_t out_gpa(unsigned id)
{
	return RIG_DATA + id * 1024;
}

static uint64_t in_gpa(unsigned id)
{
	return out_gpa(id) + 512;
}

/* Buffers are picked before rig_add() tells the id: @place_of remembers which. */
static bool send(struct rig *rig, uint32_t number, uint8_t *places, uint16_t *n_places,
		 uint8_t *place_of)
{
	uint8_t place;
	struct rig_buf bufs[2];
	int id;

	if (!*n_places)
		return false;
	place = places[*n_places - 1];
	for (unsigned i = 0; i < DATA_LEN; i += 4)
		memcpy(rig_at(rig, out_gpa(place) + i), &number, 4);
	bufs[0] = (struct rig_buf){ out_gpa(place), DATA_LEN };
	bufs[1] = (struct rig_buf){ in_gpa(place), DATA_LEN };
	id = rig_add(rig, 0, bufs, 1, 1, number % 3 ? 0 : out_gpa(place) + 256);
	if (id < 0)
		return false;
	(*n_places)--;
	place_of[id] = place;
	return true;
}

static void check(struct rig *rig, uint8_t place, uint32_t len)
{
	uint32_t sent, got;

	assert_int_equal(len, DATA_LEN);
	for (unsigned i = 0; i < DATA_LEN; i += 4) {
		memcpy(&sent, rig_at(rig, out_gpa(place) + i), 4);
		memcpy(&got, rig_at(rig, in_gpa(place) + i), 4);
		assert_int_equal(got, ~sent);
	}
}

static void wait_interrupt(struct rig *rig)
{
	struct pollfd fd = { rig->irq_fd, POLLIN, 0 };
	eventfd_t count;

	assert_int_equal(poll(&fd, 1, 30000), 1);
	assert_int_equal(eventfd_read(rig->irq_fd, &count), 0);
}

static void drive(struct rig *rig)
{
	uint8_t places[QUEUE], place_of[QUEUE];
	uint16_t n_places = QUEUE, id;
	uint32_t sent = 0, done = 0, before, len;

	for (unsigned i = 0; i < QUEUE; i++)
		places[i] = (uint8_t)i;
	while (done < REQUESTS) {
		while (sent < REQUESTS && send(rig, sent, places, &n_places, place_of)) {
			sent++;
			if (sent % 5 == 0)
				rig_kick(rig, 0);
		}
		rig_kick(rig, 0);
		for (before = done; rig_used(rig, 0, &id, &len); done++) {
			check(rig, place_of[id], len);
			places[n_places++] = place_of[id];
		}
		if (done != before || done == REQUESTS) {
			rig_no_interrupt(rig, 0);
			continue;
		}
		rig_want_interrupt(rig, 0, 0);
		if (rig->queues[0].packed ?
			    /* a look without taking */
			    (__atomic_load_n(&rig->queues[0].ring[rig->queues[0].next_used].flags,
					     __ATOMIC_ACQUIRE) &
			     0x8080) != (rig->queues[0].used_wrap ? 0x8080 : 0) :
			    __atomic_load_n(&rig->queues[0].used->idx, __ATOMIC_ACQUIRE) ==
				    rig->queues[0].next_used)
			wait_interrupt(rig);
	}
}

static void run(bool packed, bool no_event_idx)
{
	struct rig_options options = { .size = QUEUE,
				       .packed = packed,
				       .no_event_idx = no_event_idx };
	pthread_t thread;
	struct rig rig;

	rig_open(&rig, &options);
	rig.irq_fd = eventfd(0, EFD_CLOEXEC);
	assert_true(rig.irq_fd >= 0);
	assert_int_equal(pthread_create(&thread, NULL, loop_thread, rig.loop), 0);
	rig_start(&rig);
	drive(&rig);
	assert_int_equal(virtio_status(rig.dev), 15);
	virtio_machine_reset(rig.dev);
	assert_int_equal(virtio_status(rig.dev), 0);
	loop_quit(rig.loop);
	pthread_join(thread, NULL);
	close(rig.irq_fd);
	rig_close(&rig);
}

static void test_split(void **state)
{
	run(false, false);
}

static void test_split_flags(void **state)
{
	run(false, true);
}

static void test_packed(void **state)
{
	run(true, false);
}

static void test_packed_flags(void **state)
{
	run(true, true);
}

static void wait_status(struct rig *rig, uint8_t status)
{
	/* As a driver waits for the end of a reset. */
	for (unsigned i = 0; i < 3000000 && virtio_status(rig->dev) != status; i++)
		sched_yield();
	assert_int_equal(virtio_status(rig->dev), status);
}

static void *updates(void *opaque)
{
	struct rig *rig = opaque;
	uint8_t bytes[8];

	for (unsigned i = 0; i < 20000; i++) {
		memset(bytes, (int)i, sizeof(bytes));
		virtio_config_update(rig->dev, 8, bytes, sizeof(bytes));
		virtio_vq_kick(virtio_vq(rig->dev, i % RIG_QUEUES));
	}
	return NULL;
}

/* Resets, queue resets and configuration while requests, kicks and updates are under way. */
static void test_control(void **state)
{
	static const struct rig_buf bufs[] = { { RIG_DATA, 4 }, { RIG_DATA + 64, 8 } };
	struct rig_options options = { .size = 16 };
	struct virtio_queue_regs regs;
	pthread_t thread, updater;
	struct rig rig;
	uint8_t bytes[4];

	rig_open(&rig, &options);
	assert_int_equal(pthread_create(&thread, NULL, loop_thread, rig.loop), 0);
	assert_int_equal(pthread_create(&updater, NULL, updates, &rig), 0);
	for (unsigned i = 0; i < 300; i++) {
		rig_start(&rig);
		for (uint16_t q = 0; q < RIG_QUEUES; q++) {
			rig_add(&rig, q, bufs, 1, 1, 0);
			rig_kick(&rig, q);
		}
		virtio_config_write(rig.dev, 0, "abcd", 4);
		virtio_config_read(rig.dev, 8, bytes, 4);
		assert_int_equal(bytes[0], bytes[3]);
		virtio_queue_reset(rig.dev, 1);
		do {
			sched_yield();
			virtio_queue_regs(rig.dev, 1, &regs);
		} while (regs.resetting);
		rig_setup_queue(&rig, 1, 8);
		rig_add(&rig, 1, bufs, 1, 1, 0);
		rig_kick(&rig, 1);
		virtio_set_status(rig.dev, 0);
		wait_status(&rig, 0);
	}
	pthread_join(updater, NULL);
	loop_quit(rig.loop);
	pthread_join(thread, NULL);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),	cmocka_unit_test(test_split_flags),
		cmocka_unit_test(test_packed),	cmocka_unit_test(test_packed_flags),
		cmocka_unit_test(test_control),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
