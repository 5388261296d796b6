/* SPDX-License-Identifier: Apache-2.0 */
/* A real tap, in a network namespace of its own, with the host's side on a packet socket. */
#include "test_net_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME "alcortest0"
#define TYPE 0x88b5 /* for local experiments */

static int control = -1;

/* Brings the interface up; IPv6 is off, so that it says nothing by itself. */
static int link_up(const char *name)
{
	struct ifreq req = { 0 };

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (ioctl(control, SIOCGIFFLAGS, &req) < 0)
		return -errno;
	req.ifr_flags |= IFF_UP;
	return ioctl(control, SIOCSIFFLAGS, &req) < 0 ? -errno : 0;
}

/* @type in host order; 0x0003 (ETH_P_ALL) and so on. */
static int packet_socket(const char *name, uint16_t type)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_protocol = htons(type) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(type));
	struct ifreq req = { 0 };

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, SIOCGIFINDEX, &req), 0);
	addr.sll_ifindex = req.ifr_ifindex;
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void fill(uint8_t *ether, uint8_t last)
{
	memset(ether, 0xff, 6);
	memcpy(ether + 6, "\x02\x11\x22\x33\x44\x55", 6);
	ether[12] = TYPE >> 8;
	ether[13] = TYPE & 0xff;
	for (int i = 14; i < 200; i++)
		ether[i] = (uint8_t)(i + last);
}

static void test_frames_both_ways(void **state)
{
	uint8_t frame[HDR_LEN + 200] = { 0 }, buf[2000] = { 0 };
	struct alcor_fake_request *req;
	struct pollfd ready = { .events = POLLIN };

	assert_int_equal(start("net/tap", "if=" NAME ",mtu=1400", 0), 0);
	assert_int_equal(link_up(NAME), 0);
	ready.fd = packet_socket(NAME, TYPE);
	fill(frame + HDR_LEN, 1);
	req = send_frame(1, frame, sizeof(frame));
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(poll(&ready, 1, 5000), 1);
	assert_int_equal(recv(ready.fd, buf, sizeof(buf), 0), 200);
	assert_memory_equal(buf, frame + HDR_LEN, 200);

	memset(buf, 0xee, sizeof(buf));
	fill(frame + HDR_LEN, 2);
	req = give(0, buf, sizeof(buf));
	assert_int_equal(send(ready.fd, frame + HDR_LEN, 200, 0), 200);
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(req->written, HDR_LEN + 200);
	assert_memory_equal(buf + HDR_LEN, frame + HDR_LEN, 200);
	assert_memory_equal(buf, "\0\0\0\0\0\0\0\0\0\0\1\0", HDR_LEN);
	assert_int_equal(fake->n_logs, 0);
	close(ready.fd);
}

/* The kernel answers for the address of the interface. */
static void test_arp(void **state)
{
	static const uint8_t ask[] = { 0,  1,  8, 0, 6, 4, 0, 1, 2, 0x11, 0x22, 0x33, 0x44, 0x55,
				       10, 77, 0, 2, 0, 0, 0, 0, 0, 0,	  10,	77,   0,    1 };
	struct sockaddr_in addr = { .sin_family = AF_INET };
	uint8_t frame[HDR_LEN + 200] = { 0 }, buf[2000] = { 0 };
	struct alcor_fake_request *req;
	struct ifreq ifr = { 0 };

	assert_int_equal(start("net/tap", "if_name=" NAME, FEATURE(VIRTIO_NET_F_MRG_RXBUF)), 0);
	strcpy(ifr.ifr_name, NAME);
	assert_int_equal(inet_pton(AF_INET, "10.77.0.1", &addr.sin_addr), 1);
	memcpy(&ifr.ifr_addr, &addr, sizeof(addr));
	assert_int_equal(ioctl(control, SIOCSIFADDR, &ifr), 0);
	assert_int_equal(link_up(NAME), 0);
	req = give(0, buf, sizeof(buf));
	fill(frame + HDR_LEN, 0);
	memcpy(frame + HDR_LEN + 12, "\x08\x06", 2);
	memcpy(frame + HDR_LEN + 14, ask, sizeof(ask));
	send_frame(1, frame, sizeof(frame));
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(req->written, HDR_LEN + 42);
	assert_memory_equal(buf + HDR_LEN, "\x02\x11\x22\x33\x44\x55", 6);
	assert_memory_equal(buf + HDR_LEN + 12, "\x08\x06\0\1\x08\0\6\4\0\2", 10);
	assert_memory_equal(buf + HDR_LEN + 28, "\x0a\x4d\0\1", 4);
}

static void test_queues_are_attached(void **state)
{
	uint8_t frame[HDR_LEN + 200] = { 0 }, buf[300];
	struct pollfd ready = { .events = POLLIN };

	assert_int_equal(start("net/tap", "if=" NAME ",qp=4", FEATURE(VIRTIO_NET_F_MQ)), 0);
	assert_int_equal(link_up(NAME), 0);
	ready.fd = packet_socket(NAME, TYPE);
	assert_int_equal(command(8, 4, 0, "\4\0", 2), VIRTIO_NET_OK);
	fill(frame + HDR_LEN, 3);
	send_frame(7, frame, sizeof(frame));
	assert_int_equal(poll(&ready, 1, 5000), 1);
	assert_int_equal(recv(ready.fd, buf, sizeof(buf), 0), 200);
	assert_int_equal(command(8, 4, 0, "\1\0", 2), VIRTIO_NET_OK);
	assert_int_equal(command(8, 4, 0, "\3\0", 2), VIRTIO_NET_OK);
	assert_int_equal(fake->n_logs, 0);
	close(ready.fd);
}

static void test_name_is_taken(void **state)
{
	struct alcor_fake *first;

	assert_int_equal(start("net/tap", "if=" NAME, 0), 0);
	first = fake;
	fake = NULL;
	assert_int_equal(create("net/tap", "if=" NAME), -EBUSY);
	assert_string_equal(fake->error, "tap: " NAME ": in use by another process");
	assert_int_equal(create("net/tap", "if=lo"), -EINVAL);
	assert_int_equal(create("net/tap", "tap=/dev/null"), -ENOTTY);
	assert_non_null(strstr(fake->error, "none of tun or macvtap"));
	alcor_fake_free(first);
}

static void test_descriptor_is_inherited(void **state)
{
	struct ifreq req = { .ifr_name = NAME, .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	char params[32];

	assert_int_equal(ioctl(fd, TUNSETIFF, &req), 0);
	snprintf(params, sizeof(params), "fd=%d", fd);
	assert_int_equal(start("net/tap", params, 0), 0);
	assert_true(fake->virtio_desc.features & FEATURE(VIRTIO_NET_F_HOST_TSO4));
	close(fd);
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	req.ifr_flags = IFF_TAP | IFF_NO_PI;
	strcpy(req.ifr_name, "alcortest1");
	assert_int_equal(ioctl(fd, TUNSETIFF, &req), 0);
	snprintf(params, sizeof(params), "fd=%d", fd);
	assert_int_equal(create("net/tap", params), -EINVAL);
	assert_non_null(strstr(fake->error, "IFF_VNET_HDR"));
	close(fd);
}

/* The interface goes while the machine runs. */
static void test_interface_is_deleted(void **state)
{
	struct ifreq req = { .ifr_name = NAME, .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int keep = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	uint8_t buf[100];

	assert_int_equal(ioctl(keep, TUNSETIFF, &req), 0);
	assert_int_equal(ioctl(keep, TUNSETPERSIST, 1), 0);
	close(keep);
	assert_int_equal(start("net/tap", "if=" NAME, 0), 0);
	give(0, buf, sizeof(buf));
	assert_int_equal(system("ip link delete " NAME), 0);
	for (int i = 0; i < 100 && !fake->n_logs; i++)
		alcor_fake_turn(fake, 50);
	assert_non_null(strstr(fake->log, "the link is down"));
	assert_int_equal(fake->config[6], 0);
}

/* 77: skipped. */
static int prepare(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "SKIP: no network namespace: %s\n", strerror(errno));
		return 77;
	}
	fd = open("/dev/net/tun", O_RDWR);
	if (fd < 0) {
		fprintf(stderr, "SKIP: /dev/net/tun: %s\n", strerror(errno));
		return 77;
	}
	close(fd);
	fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY);
	if (fd >= 0) {
		if (write(fd, "1", 1) < 0)
			fprintf(stderr, "IPv6 stays on: %s\n", strerror(errno));
		close(fd);
	}
	control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return control < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_frames_both_ways),	    TEST(test_arp),
		TEST(test_queues_are_attached),	    TEST(test_name_is_taken),
		TEST(test_descriptor_is_inherited), TEST(test_interface_is_deleted),
	};
	int ret = prepare();

	return ret ? ret : cmocka_run_group_tests(tests, NULL, NULL);
}
