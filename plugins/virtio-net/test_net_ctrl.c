/* SPDX-License-Identifier: Apache-2.0 */
/* The control queue and several queue pairs, on taps that are socket pairs. */
#include "test_net_fixture.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/socket.h>

#define CTRL_RX FEATURE(VIRTIO_NET_F_CTRL_RX)
#define MQ	FEATURE(VIRTIO_NET_F_MQ)

static void test_ctrl_rx_and_mac(void **state)
{
	uint8_t mac[6] = { 2, 1, 2, 3, 4, 5 }, on = 1, two = 2;
	uint8_t table[21] = { 1, 0, 0, 0, 2, 1, 2, 3, 4, 5, 1, 0, 0, 0, 0x33, 0x33, 0, 0, 0, 1 };
	uint8_t original[6];

	assert_int_equal(start_tap("", CTRL_RX | FEATURE(VIRTIO_NET_F_CTRL_MAC_ADDR)), 0);
	memcpy(original, fake->config, 6);
	assert_int_equal(command(2, 0, 0, &on, 1), VIRTIO_NET_OK);
	assert_int_equal(command(2, 0, 1, &on, 1), VIRTIO_NET_OK);
	assert_int_equal(command(2, 0, 0, &two, 1), VIRTIO_NET_ERR);
	assert_int_equal(command(2, 0, 2, &on, 1), VIRTIO_NET_ERR);
	assert_int_equal(command(2, 0, 0, NULL, 0), VIRTIO_NET_ERR);
	assert_int_equal(command(2, 1, 0, table, 20), VIRTIO_NET_OK);
	assert_int_equal(command(2, 1, 0, table, 19), VIRTIO_NET_ERR);
	assert_int_equal(command(2, 1, 0, table, 21), VIRTIO_NET_ERR);
	assert_int_equal(command(2, 1, 0, table, 10), VIRTIO_NET_ERR);
	memset(table, 0xff, 4);
	assert_int_equal(command(2, 1, 0, table, 20), VIRTIO_NET_ERR);
	assert_int_equal(command(2, 1, 1, mac, 6), VIRTIO_NET_OK);
	assert_memory_equal(fake->config, mac, 6);
	mac[0] |= 1;
	assert_int_equal(command(2, 1, 1, mac, 6), VIRTIO_NET_ERR);
	assert_int_equal(command(2, 1, 1, mac, 5), VIRTIO_NET_ERR);
	assert_int_equal(command(2, 1, 2, mac, 6), VIRTIO_NET_ERR);
	assert_int_equal(command(2, 2, 0, mac, 2), VIRTIO_NET_ERR);
	assert_int_equal(command(2, 4, 0, "\1\0", 2), VIRTIO_NET_ERR);
	assert_int_equal(command(2, 99, 0, mac, 6), VIRTIO_NET_ERR);
	alcor_fake_deactivate(fake);
	assert_memory_equal(fake->config, original, 6);
}

static void test_ctrl_without_features(void **state)
{
	uint8_t on = 1, mac[6] = { 2 };

	assert_int_equal(start_tap("", 0), 0);
	assert_int_equal(command(2, 0, 0, &on, 1), VIRTIO_NET_ERR);
	assert_int_equal(command(2, 1, 1, mac, 6), VIRTIO_NET_ERR);
}

static void test_ctrl_malformed(void **state)
{
	uint8_t head[2] = { 0, 0 }, on = 1;
	struct iovec out[3] = { { head, 1 }, { head + 1, 1 }, { &on, 1 } }, in = { tap_buf, 0 };
	struct alcor_fake_request *none, *no_ack, *split;

	assert_int_equal(start_tap("", CTRL_RX), 0);
	none = alcor_fake_submit(fake, 2, out, 1, NULL, 0);
	no_ack = alcor_fake_submit(fake, 2, out, 3, &in, 1);
	in.iov_len = 1;
	split = alcor_fake_submit(fake, 2, out, 3, &in, 1);
	alcor_fake_notify(fake, 2);
	turn();
	assert_true(none->done && no_ack->done && split->done);
	assert_int_equal(no_ack->written, 0);
	assert_int_equal(split->written, 1);
	assert_int_equal(tap_buf[0], VIRTIO_NET_OK);
}

/* --- several queues --- */

static void test_queue_pairs(void **state)
{
	struct alcor_fake_request *second;

	assert_int_equal(start_tap(",qp=3", MQ), 0);
	assert_int_equal(fake->virtio_desc.n_queues, 7);
	assert_true(fake->virtio_desc.features & MQ);
	assert_int_equal(fake->config[8], 3);
	assert_true(tap.flags[2] & IFF_MULTI_QUEUE);
	assert_false(tap.detached[0]);
	assert_true(tap.detached[1] && tap.detached[2]);
	second = give(2, tap_buf, 1600);
	send_frame(3, tap_frame, 100);
	arrive(1, 80);
	assert_false(second->pushed);
	assert_int_equal(recv(tap.peers[1], tap_frame, 1, MSG_DONTWAIT), -1);
	assert_int_equal(command(6, 4, 0, "\2\0", 2), VIRTIO_NET_OK);
	assert_false(tap.detached[1]);
	assert_true(tap.detached[2]);
	assert_int_equal(second->written, 80);
	assert_int_equal(leave(1), 100);
	assert_int_equal(command(6, 4, 0, "\0\0", 2), VIRTIO_NET_ERR);
	assert_int_equal(command(6, 4, 0, "\4\0", 2), VIRTIO_NET_ERR);
	assert_int_equal(command(6, 4, 0, "\2", 1), VIRTIO_NET_ERR);
	assert_int_equal(command(6, 4, 1, "\2\0", 2), VIRTIO_NET_ERR);
	assert_int_equal(fake->n_logs, 0);
	assert_int_equal(command(6, 4, 0, "\1\0", 2), VIRTIO_NET_OK);
	assert_true(tap.detached[1]);
	/* All or nothing. */
	tap.attach_errno = EIO;
	assert_int_equal(command(6, 4, 0, "\3\0", 2), VIRTIO_NET_ERR);
	assert_true(tap.detached[1] && tap.detached[2]);
	tap.attach_errno = 0;
	assert_int_equal(command(6, 4, 0, "\3\0", 2), VIRTIO_NET_OK);
	assert_false(tap.detached[2]);
	alcor_fake_deactivate(fake);
	/* A driver without MQ has its control queue in the third place. */
	assert_int_equal(alcor_fake_activate(fake, CTRL_RX), 0);
	assert_int_equal(command(2, 0, 0, "\1", 1), VIRTIO_NET_OK);
	send_frame(6, tap_frame, 100);
	send_frame(5, tap_frame, 100);
	assert_int_equal(leave(0), -1);
	assert_int_equal(leave(2), -1);
}

static void test_reset_brings_one_pair(void **state)
{
	assert_int_equal(start_tap(",qp=2", MQ), 0);
	assert_int_equal(command(4, 4, 0, "\2\0", 2), VIRTIO_NET_OK);
	assert_false(tap.detached[1]);
	alcor_fake_deactivate(fake);
	assert_int_equal(alcor_fake_activate(fake, MQ), 0);
	assert_true(tap.detached[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ctrl_rx_and_mac),	  TEST(test_ctrl_without_features),
		TEST(test_ctrl_malformed),	  TEST(test_queue_pairs),
		TEST(test_reset_brings_one_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
