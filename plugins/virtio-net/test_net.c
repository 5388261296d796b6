/* SPDX-License-Identifier: Apache-2.0 */
/* The device, on a tap that is a socket pair. */
#include "test_net_fixture.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MRG    FEATURE(VIRTIO_NET_F_MRG_RXBUF)
#define CSUM   FEATURE(VIRTIO_NET_F_CSUM)
#define G_CSUM FEATURE(VIRTIO_NET_F_GUEST_CSUM)
#define G_TSO4 FEATURE(VIRTIO_NET_F_GUEST_TSO4)
#define MQ     FEATURE(VIRTIO_NET_F_MQ)

static uint16_t num_buffers(const uint8_t *header)
{
	return (uint16_t)(header[10] | header[11] << 8);
}

/* --- making --- */

static void test_offer(void **state)
{
	uint64_t offered;

	assert_int_equal(start_tap(",mac=52:54:00:12:34:56,mtu=9000", 0), 0);
	assert_int_equal(fake->virtio_desc.device_id, 1);
	assert_int_equal(fake->virtio_desc.n_queues, 3);
	assert_int_equal(fake->virtio_desc.class_base, 2);
	assert_int_equal(fake->virtio_desc.config_size, 12);
	assert_memory_equal(fake->config, "\x52\x54\x00\x12\x34\x56\x01\x00\x01\x00\x28\x23", 12);
	offered = fake->virtio_desc.features;
	assert_true(offered & FEATURE(VIRTIO_NET_F_MAC));
	assert_true(offered & FEATURE(VIRTIO_NET_F_MTU));
	assert_true(offered & FEATURE(VIRTIO_NET_F_STATUS));
	assert_true(offered & FEATURE(VIRTIO_NET_F_CTRL_VQ));
	assert_true(offered & MRG && offered & CSUM && offered & G_TSO4 && offered & FEATURE(56));
	assert_false(offered & MQ);
	assert_int_equal(tap.flags[0], IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	assert_int_equal(tap.header_len, 12);
}

static void test_offloads_follow_host_and_driver(void **state)
{
	assert_int_equal(create("net/tap", "tap=" FAKE_NODE), 0);
	assert_int_equal(tap.offloads, 0);
	tap_clear();
	tap.offloads_possible = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	assert_int_equal(start_tap("", G_CSUM | G_TSO4), 0);
	assert_true(fake->virtio_desc.features & FEATURE(VIRTIO_NET_F_HOST_TSO6));
	assert_false(fake->virtio_desc.features & FEATURE(VIRTIO_NET_F_HOST_ECN));
	assert_false(fake->virtio_desc.features & FEATURE(56));
	assert_int_equal(tap.offloads, TUN_F_CSUM | TUN_F_TSO4);
	alcor_fake_deactivate(fake);
	assert_int_equal(alcor_fake_activate(fake, G_TSO4), 0);
	assert_int_equal(tap.offloads, 0);
	alcor_fake_deactivate(fake);
	tap_clear();
	tap.offloads_possible = 0;
	assert_int_equal(start_tap("", 0), 0);
	assert_false(fake->virtio_desc.features & (CSUM | G_CSUM | G_TSO4));
}

static void test_default_mac(void **state)
{
	uint8_t first[6];

	assert_int_equal(start_tap("", 0), 0);
	memcpy(first, fake->config, 6);
	assert_int_equal(first[0] & 3, 2);
	tap_clear();
	assert_int_equal(start_tap("", 0), 0);
	assert_memory_equal(fake->config, first, 6);
	assert_int_equal(start("net/user", "", 0), 0);
	assert_memory_not_equal(fake->config, first, 6);
}

static void check_error(const char *params, int error, const char *text)
{
	assert_int_equal(create("net/tap", params), error);
	if (!strstr(fake->error, text))
		fail_msg("\"%s\" has no \"%s\"", fake->error, text);
}

static void test_errors(void **state)
{
	check_error("mac=01:00:5e:00:00:01,tap=" FAKE_NODE, -EINVAL, "multicast");
	check_error("mac=00:00:00:00:00:00,tap=" FAKE_NODE, -EINVAL, "zero");
	check_error("tap=/nonexistent", -ENOENT, "open /nonexistent: No such file");
	check_error("tap=" FAKE_NODE ",if_name=x", -EINVAL, "cannot be named");
	check_error("if_name=interfacename16b", -EINVAL, "1 to 15 bytes");
	check_error("fd=0", -EINVAL, "fd: 0 is no open tap");
	check_error("fd=0,qp=2", -EINVAL, "queue_pairs");
	check_error("fd=0,if=tap0", -EINVAL, "if_name");
	check_error("mtu=67", -EINVAL, "mtu");
	check_error("mtu=65536", -EINVAL, "mtu");
	check_error("qp=65", -EINVAL, "queue_pairs");
	tap_clear();
	tap.setiff_errno = EPERM;
	check_error("tap=" FAKE_NODE, -EPERM, "CAP_NET_ADMIN");
	tap_clear();
	tap.setiff_errno = EBUSY;
	check_error("tap=" FAKE_NODE, -EBUSY, "in use");
	tap_clear();
	tap.setiff_errno = EINVAL;
	check_error("tap=" FAKE_NODE ",qp=2", -EINVAL, "multi_queue");
}

static void test_interface_made_for_many_queues(void **state)
{
	tap.needs_multi_queue = true;
	assert_int_equal(start_tap("", 0), 0);
	assert_true(tap.flags[0] & IFF_MULTI_QUEUE);
	assert_false(tap.detached[0]);
}

/* --- receive --- */

static void test_receive_small_buffers(void **state)
{
	struct alcor_fake_request *big, *tiny;
	uint8_t small[40];

	assert_int_equal(start_tap("", 0), 0);
	big = give(0, tap_buf, 1600);
	arrive(0, 100);
	assert_true(big->done);
	assert_int_equal(big->written, 100);
	assert_int_equal(num_buffers(tap_buf), 1);
	assert_memory_equal(tap_buf + HDR_LEN, tap_frame + HDR_LEN, 100 - HDR_LEN);
	assert_int_equal(tap_buf[100], 0xee);
	/* Too long for its one buffer: dropped whole, and the buffer is for the next. */
	tiny = give(0, small, sizeof(small));
	arrive(0, 41);
	assert_false(tiny->pushed);
	assert_int_equal(fake->n_logs, 1);
	arrive(0, 40);
	assert_true(tiny->done);
	assert_int_equal(tiny->written, 40);
	assert_memory_equal(small + HDR_LEN, tap_frame + HDR_LEN, 40 - HDR_LEN);
}

static void test_receive_merges(void **state)
{
	struct alcor_fake_request *reqs[70];

	assert_int_equal(start_tap("", MRG | G_CSUM | G_TSO4), 0);
	for (int i = 0; i < 70; i++)
		reqs[i] = give(0, tap_buf + i * 1000, 1000);
	arrive(0, 1000);
	assert_true(reqs[0]->done);
	assert_false(reqs[1]->pushed);
	assert_int_equal(num_buffers(tap_buf), 1);
	arrive(0, 50500);
	for (int i = 1; i <= 51; i++) {
		assert_true(reqs[i]->done);
		assert_int_equal(reqs[i]->written, i == 51 ? 500 : 1000);
	}
	assert_int_equal(num_buffers(tap_buf + 1000), 51);
	assert_memory_equal(tap_buf + 1000 + HDR_LEN, tap_frame + HDR_LEN, 50500 - HDR_LEN);
	assert_false(reqs[52]->pushed);
	/* 18 buffers are left: the frame waits for the rest of it. */
	arrive(0, 20000);
	assert_false(reqs[52]->pushed);
	memset(tap_buf, 0xee, 2400);
	give(0, tap_buf, 600);
	assert_false(reqs[52]->pushed);
	give(0, tap_buf + 600, 1400);
	assert_true(reqs[69]->done);
	assert_int_equal(num_buffers(tap_buf + 52000), 20);
	assert_memory_equal(tap_buf + 52000 + HDR_LEN, tap_frame + HDR_LEN, 18000 - HDR_LEN);
	assert_memory_equal(tap_buf, tap_frame + 18000, 2000);
	assert_int_equal(tap_buf[2000], 0xee);
	assert_int_equal(fake->n_logs, 0);
}

/* 5.1.6.4.1: no flags without GUEST_CSUM. */
static void test_receive_flags(void **state)
{
	tap_frame[0] = VIRTIO_NET_HDR_F_DATA_VALID;
	assert_int_equal(start_tap("", 0), 0);
	give(0, tap_buf, 1600);
	arrive(0, 100);
	assert_int_equal(tap_buf[0], 0);
	alcor_fake_deactivate(fake);
	assert_int_equal(alcor_fake_activate(fake, G_CSUM), 0);
	give(0, tap_buf, 1600);
	arrive(0, 100);
	assert_int_equal(tap_buf[0], VIRTIO_NET_HDR_F_DATA_VALID);
}

static void test_receive_header_split(void **state)
{
	struct iovec in[14];
	struct alcor_fake_request *req;

	assert_int_equal(start_tap("", 0), 0);
	for (int i = 0; i < 14; i++)
		in[i] = (struct iovec){ tap_buf + 2 * i, i == 13 ? 100 : 1 };
	req = alcor_fake_submit(fake, 0, NULL, 0, in, 14);
	alcor_fake_notify(fake, 0);
	turn();
	arrive(0, 60);
	assert_true(req->done);
	assert_int_equal(req->written, 60);
	assert_int_equal(tap_buf[20], 1);
	assert_int_equal(tap_buf[22], 0);
	assert_int_equal(tap_buf[24], tap_frame[12]);
	assert_memory_equal(tap_buf + 26, tap_frame + 13, 60 - 13);
}

static void test_receive_hostile_buffers(void **state)
{
	struct alcor_fake_request *empty, *readable, *reqs[300];
	struct iovec out = { tap_buf, 100 };

	assert_int_equal(start_tap("", MRG), 0);
	empty = give(0, tap_buf, 0);
	readable = alcor_fake_submit(fake, 0, &out, 1, NULL, 0);
	give(0, tap_buf, 5);
	assert_true(empty->done && readable->done);
	assert_int_equal(readable->written, 0);
	/* A frame of more buffers than a queue holds is dropped; the next is received. */
	for (int i = 0; i < 300; i++)
		reqs[i] = give(0, tap_buf + 5 + i, 1);
	arrive(0, 1000);
	assert_false(reqs[0]->pushed);
	assert_int_equal(fake->n_logs, 1);
	arrive(0, 100);
	assert_true(reqs[94]->done);
	assert_int_equal(num_buffers(tap_buf), 96);
	assert_memory_equal(tap_buf + HDR_LEN, tap_frame + HDR_LEN, 100 - HDR_LEN);
}

static void test_receive_odd_frames(void **state)
{
	struct alcor_fake_request *req;

	assert_int_equal(start_tap("", 0), 0);
	req = give(0, tap_buf, sizeof(tap_buf));
	arrive(0, 5);
	arrive(0, FRAME_MAX + 1);
	assert_false(req->pushed);
	arrive(0, FRAME_MAX);
	assert_true(req->done);
	assert_int_equal(req->written, FRAME_MAX);
}

static void test_receive_waits_for_buffers(void **state)
{
	struct alcor_fake_request *req;
	struct timespec before, after;

	assert_int_equal(start_tap("", 0), 0);
	arrive(0, 100);
	/* Nothing to do with the frame: the loop must sleep. */
	clock_gettime(CLOCK_MONOTONIC, &before);
	alcor_fake_turn(fake, 30);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true((after.tv_sec - before.tv_sec) * 1000 +
			    (after.tv_nsec - before.tv_nsec) / 1000000 >=
		    25);
	req = give(0, tap_buf, 1600);
	assert_true(req->done);
	assert_int_equal(req->written, 100);
}

static void test_one_interrupt_for_many(void **state)
{
	struct alcor_fake_request *last = NULL;

	assert_int_equal(start_tap("", 0), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(send(tap.peers[0], tap_frame, 100, 0), 100);
	for (int i = 0; i < 10; i++) {
		struct iovec in = { tap_buf + i * 200, 200 };

		last = alcor_fake_submit(fake, 0, NULL, 0, &in, 1);
	}
	alcor_fake_notify(fake, 0);
	assert_true(alcor_fake_wait(fake, &last->done));
	assert_int_equal(fake->n_flushes, 1);
}

/* --- transmit --- */

static void test_transmit(void **state)
{
	struct iovec out[4] = { { tap_frame, 5 },
				{ tap_frame + 5, 8 },
				{ tap_frame + 13, 0 },
				{ tap_frame + 13, 87 } };
	struct alcor_fake_request *req;

	assert_int_equal(start_tap("", 0), 0);
	req = alcor_fake_submit(fake, 1, out, 4, NULL, 0);
	alcor_fake_notify(fake, 1);
	turn();
	assert_true(req->done);
	assert_int_equal(leave(0), 100);
	assert_memory_equal(tap_buf, tap_frame, 100);
}

static void test_transmit_malformed(void **state)
{
	static const size_t lens[] = { 1, 11, 12, FRAME_MAX + 1 };
	struct iovec in = { tap_buf, 10 };
	struct alcor_fake_request *req;

	assert_int_equal(start_tap("", 0), 0);
	for (size_t i = 0; i < 4; i++) {
		req = send_frame(1, tap_frame, lens[i]);
		assert_true(req->done);
		assert_int_equal(leave(0), -1);
	}
	req = alcor_fake_submit(fake, 1, NULL, 0, &in, 1);
	alcor_fake_notify(fake, 1);
	turn();
	assert_true(req->done);
	assert_int_equal(req->written, 0);
	assert_true(fake->n_logs > 0);
	send_frame(1, tap_frame, FRAME_MAX);
	assert_int_equal(leave(0), FRAME_MAX);
}

/* One notification may stand for more than a turn of the loop takes. */
static void test_transmit_many(void **state)
{
	struct iovec out = { tap_frame, 5 };
	struct alcor_fake_request *last = NULL;

	assert_int_equal(start_tap("", 0), 0);
	for (int i = 0; i < 1000; i++)
		last = alcor_fake_submit(fake, 1, &out, 1, NULL, 0);
	alcor_fake_notify(fake, 1);
	assert_true(alcor_fake_wait(fake, &last->done));
}

/* What was not agreed on is not asked of the host. */
static void test_transmit_offloads(void **state)
{
	assert_int_equal(start_tap("", CSUM | FEATURE(VIRTIO_NET_F_HOST_TSO4)), 0);
	tap_frame[0] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	tap_frame[1] = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN;
	send_frame(1, tap_frame, 100);
	assert_int_equal(leave(0), 100);
	tap_frame[1] = VIRTIO_NET_HDR_GSO_TCPV6;
	send_frame(1, tap_frame, 100);
	assert_int_equal(leave(0), -1);
	tap_frame[1] = 99;
	send_frame(1, tap_frame, 100);
	assert_int_equal(leave(0), -1);
	alcor_fake_deactivate(fake);
	assert_int_equal(alcor_fake_activate(fake, 0), 0);
	tap_frame[1] = 0;
	send_frame(1, tap_frame, 100);
	assert_int_equal(leave(0), -1);
	tap_frame[0] = 0;
	send_frame(1, tap_frame, 100);
	assert_int_equal(leave(0), 100);
}

static void test_transmit_back_pressure(void **state)
{
	struct alcor_fake_request *reqs[400];
	unsigned n = 0;

	assert_int_equal(start_tap("", 0), 0);
	for (int i = 0; i < 400; i++)
		reqs[i] = send_frame(1, tap_frame, 1000);
	assert_false(reqs[399]->pushed);
	while (!reqs[399]->done) {
		while (leave(0) == 1000)
			n++;
		alcor_fake_turn(fake, 100);
	}
	while (leave(0) == 1000)
		n++;
	assert_int_equal(n, 400);
	assert_int_equal(fake->n_logs, 0);
	for (int i = 1; i < 400; i++)
		assert_true(reqs[i]->order > reqs[i - 1]->order);
}

/* --- stop, pause, back end gone --- */

static void test_queue_stop_and_pause(void **state)
{
	struct alcor_fake_request *req;

	assert_int_equal(start_tap("", MRG), 0);
	req = give(0, tap_buf, 1600);
	alcor_fake_deactivate(fake);
	assert_true(req->dropped);
	arrive(0, 100);
	assert_int_equal(tap_buf[0], 0xee);
	assert_int_equal(alcor_fake_activate(fake, MRG), 0);
	req = give(0, tap_buf, 1600);
	assert_true(req->done);
	req = give(0, tap_buf, 1600);
	assert_int_equal(alcor_fake_pause(fake), 0);
	arrive(0, 200);
	send_frame(1, tap_frame, 100);
	assert_false(req->pushed);
	assert_int_equal(recv(tap.peers[0], tap_frame, 1, MSG_DONTWAIT), -1);
	assert_int_equal(alcor_fake_resume(fake), 0);
	turn();
	assert_true(req->done);
	assert_int_equal(req->written, 200);
	assert_int_equal(leave(0), 100);
}

/* Of a frame that waits for buffers nothing is left after a reset. */
static void test_reset_amid_frame(void **state)
{
	struct alcor_fake_request *req;

	assert_int_equal(start_tap("", MRG), 0);
	give(0, tap_buf, 50);
	arrive(0, 200);
	alcor_fake_deactivate(fake);
	assert_int_equal(alcor_fake_activate(fake, MRG), 0);
	req = give(0, tap_buf, 1000);
	assert_false(req->pushed);
	arrive(0, 60);
	assert_int_equal(req->written, 60);
}

static void test_backend_gone(void **state)
{
	assert_int_equal(start_tap("", FEATURE(VIRTIO_NET_F_STATUS)), 0);
	give(0, tap_buf, 1600);
	tap.receive_errno = EBADFD;
	arrive(0, 100);
	assert_int_equal(fake->config[6], 0);
	assert_non_null(strstr(fake->log, "link is down"));
	assert_int_equal(fake->n_logs, 1);
	/* What the guest sends is still completed. */
	assert_true(send_frame(1, tap_frame, 100)->done);
	/* The loss of one frame is none of the interface. */
	alcor_fake_deactivate(fake);
	tap.receive_errno = EINVAL;
	assert_int_equal(alcor_fake_activate(fake, 0), 0);
	assert_int_equal(fake->config[6], 1);
	give(0, tap_buf, 1600);
	assert_int_equal(fake->config[6], 1);
	tap.receive_errno = 0;
	turn();
	assert_int_equal(tap_buf[100 - 1], tap_frame[100 - 1]);
}

static void test_manual(void **state)
{
	assert_int_equal(start_tap("", 0), 0);
	assert_true(alcor_fake_manual_complete(fake->plugin, MANUAL_PATH));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_offer),
		TEST(test_offloads_follow_host_and_driver),
		TEST(test_default_mac),
		TEST(test_errors),
		TEST(test_interface_made_for_many_queues),
		TEST(test_receive_small_buffers),
		TEST(test_receive_merges),
		TEST(test_receive_flags),
		TEST(test_receive_header_split),
		TEST(test_receive_hostile_buffers),
		TEST(test_receive_odd_frames),
		TEST(test_receive_waits_for_buffers),
		TEST(test_one_interrupt_for_many),
		TEST(test_transmit),
		TEST(test_transmit_malformed),
		TEST(test_transmit_many),
		TEST(test_transmit_offloads),
		TEST(test_transmit_back_pressure),
		TEST(test_queue_stop_and_pause),
		TEST(test_reset_amid_frame),
		TEST(test_backend_gone),
		TEST(test_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
