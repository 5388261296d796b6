/* SPDX-License-Identifier: Apache-2.0 */
/* The network stack in user space, seen by a driver. */
#include "test_net_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define N_BUFS	   32
#define DHCP_OFFER 2
#define GUEST_ADDR 0x0a00020f
#define HOST_ADDR  0x0a000202
#define GUEST_PORT 5000
#define ETH	   HDR_LEN
#define IP	   (HDR_LEN + 14)
#define TCP	   (IP + 20)

static const uint8_t guest_mac[6] = { 2, 1, 2, 3, 4, 5 };
static uint8_t bufs[N_BUFS][2000];
static struct alcor_fake_request *reqs[N_BUFS];
static unsigned next_buf;

static void start_user(const char *params)
{
	assert_int_equal(start("net/user", params, 0), 0);
	next_buf = 0;
	memset(bufs, 0xee, sizeof(bufs));
	for (unsigned i = 0; i < N_BUFS; i++)
		reqs[i] = give(0, bufs[i], sizeof(bufs[i]));
}

static void put16(uint8_t *to, uint16_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static void put32(uint8_t *to, uint32_t value)
{
	put16(to, (uint16_t)(value >> 16));
	put16(to + 2, (uint16_t)value);
}

static uint16_t get16(const uint8_t *from)
{
	return (uint16_t)(from[0] << 8 | from[1]);
}

static uint32_t get32(const uint8_t *from)
{
	return (uint32_t)get16(from) << 16 | get16(from + 2);
}

static uint32_t sum_of(const uint8_t *data, size_t len, uint32_t sum)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += get16(data + i);
	if (len & 1)
		sum += (uint32_t)data[len - 1] << 8;
	return sum;
}

static uint16_t sum_end(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void ether_fill(uint8_t *frame, const uint8_t *to, uint16_t type)
{
	memset(frame, 0, HDR_LEN);
	memcpy(frame + ETH, to, 6);
	memcpy(frame + ETH + 6, guest_mac, 6);
	put16(frame + ETH + 12, type);
}

static void ip_fill(uint8_t *frame, uint8_t protocol, uint32_t from, uint32_t to, size_t len)
{
	uint8_t *ip = frame + IP;

	ether_fill(frame, (const uint8_t *)"\xff\xff\xff\xff\xff\xff", ETHERTYPE_IP);
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, (uint16_t)(20 + len));
	ip[8] = 64;
	ip[9] = protocol;
	put32(ip + 12, from);
	put32(ip + 16, to);
	put16(ip + 10, sum_end(sum_of(ip, 20, 0)));
}

/* The next frame to the guest within @ms, NULL without one. */
static uint8_t *next_frame(int ms)
{
	if (next_buf == N_BUFS)
		return NULL;
	for (int i = 0; i < ms / 10 && !reqs[next_buf]->done; i++)
		alcor_fake_turn(fake, 10);
	return reqs[next_buf]->done ? bufs[next_buf++] : NULL;
}

static void answer_arp(const uint8_t *question)
{
	uint8_t frame[HDR_LEN + 42] = { 0 };
	uint8_t *arp = frame + ETH + 14;

	ether_fill(frame, question + ETH + 6, ETHERTYPE_ARP);
	memcpy(arp, "\0\1\x08\0\6\4\0\2", 8);
	memcpy(arp + 8, guest_mac, 6);
	put32(arp + 14, GUEST_ADDR);
	memcpy(arp + 18, question + ETH + 14 + 8, 10);
	send_frame(1, frame, sizeof(frame));
}

/* The next TCP segment; questions for our address are answered on the way. */
static uint8_t *next_tcp(int ms)
{
	uint8_t *frame;

	while ((frame = next_frame(ms))) {
		if (get16(frame + ETH + 12) == ETHERTYPE_ARP)
			answer_arp(frame);
		else if (frame[IP + 9] == IPPROTO_TCP)
			return frame;
	}
	return NULL;
}

static void send_tcp(uint32_t to, uint16_t from_port, uint16_t to_port, uint8_t flags, uint32_t seq,
		     uint32_t ack)
{
	uint8_t frame[HDR_LEN + 54] = { 0 };
	uint8_t *tcp = frame + TCP;

	ip_fill(frame, IPPROTO_TCP, GUEST_ADDR, to, 20);
	put16(tcp, from_port);
	put16(tcp + 2, to_port);
	put32(tcp + 4, seq);
	put32(tcp + 8, ack);
	tcp[12] = 0x50;
	tcp[13] = flags;
	put16(tcp + 14, 8192);
	put16(tcp + 16, sum_end(sum_of(tcp, 20, sum_of(frame + IP + 12, 8, IPPROTO_TCP + 20))));
	send_frame(1, frame, sizeof(frame));
}

static int listen_local(uint16_t *ret_port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	*ret_port = ntohs(addr.sin_port);
	return fd;
}

/* A port that nobody uses at the moment. */
static uint16_t free_port(void)
{
	uint16_t port;

	close(listen_local(&port));
	return port;
}

static uint8_t *dhcp_option(uint8_t *frame, uint8_t number)
{
	uint8_t *at = frame + IP + 20 + 8 + 240;

	while (*at != 255 && at < frame + 500) {
		if (*at == number)
			return at + 1;
		at += *at ? 2 + at[1] : 1;
	}
	return NULL;
}

static uint8_t *discover(void)
{
	uint8_t frame[HDR_LEN + 14 + 20 + 8 + 300] = { 0 };
	uint8_t *udp = frame + IP + 20, *dhcp = udp + 8;

	ip_fill(frame, IPPROTO_UDP, 0, 0xffffffff, 308);
	put16(udp, 68);
	put16(udp + 2, 67);
	put16(udp + 4, 308);
	memcpy(dhcp, "\1\1\6\0\x12\x34\x56\x78", 8);
	memcpy(dhcp + 28, guest_mac, 6);
	memcpy(dhcp + 236, "\x63\x82\x53\x63\x35\1\1\xff", 8);
	send_frame(1, frame, sizeof(frame));
	return next_frame(5000);
}

/* Whether there is a turn of the loop without anything to do; timers may end some. */
static bool loop_sleeps(void)
{
	struct timespec before, after;

	for (int i = 0; i < 5; i++) {
		clock_gettime(CLOCK_MONOTONIC, &before);
		alcor_fake_turn(fake, 20);
		clock_gettime(CLOCK_MONOTONIC, &after);
		if ((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec >
		    15000000)
			return true;
	}
	return false;
}

static int connect_local(uint16_t port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), -1);
	assert_int_equal(errno, EINPROGRESS);
	return fd;
}

/* --- tests --- */

static void test_offer(void **state)
{
	start_user("mtu=1400");
	assert_int_equal(fake->virtio_desc.n_queues, 3);
	assert_false(fake->virtio_desc.features &
		     (FEATURE(VIRTIO_NET_F_CSUM) | FEATURE(VIRTIO_NET_F_GUEST_TSO4)));
	assert_int_equal(fake->config[10] | fake->config[11] << 8, 1400);
}

static void test_dhcp(void **state)
{
	uint8_t *frame, *option;

	start_user("hostname=pebble");
	frame = discover();
	assert_non_null(frame);
	assert_memory_equal(frame, "\0\0\0\0\0\0\0\0\0\0\1\0", HDR_LEN);
	assert_int_equal(get32(frame + IP + 20 + 8 + 16), GUEST_ADDR);
	option = dhcp_option(frame, 53);
	assert_non_null(option);
	assert_int_equal(option[1], DHCP_OFFER);
	option = dhcp_option(frame, 12);
	assert_non_null(option);
	assert_memory_equal(option, "\6pebble", 7);
	assert_true(loop_sleeps());
}

static void test_other_network(void **state)
{
	uint8_t *frame;

	start_user("net=192.168.64.0/20");
	frame = discover();
	assert_non_null(frame);
	assert_int_equal(get32(frame + IP + 20 + 8 + 16), 0xc0a8400f);
	assert_memory_equal(dhcp_option(frame, 1), "\4\xff\xff\xf0\0", 5);
}

static void connect_to(uint16_t port)
{
	send_tcp(HOST_ADDR, GUEST_PORT, port, TH_SYN, 1000, 0);
}

static void test_connect_out(void **state)
{
	uint16_t port;
	int fd = listen_local(&port), peer;
	uint8_t *frame;
	char text[8] = "";

	start_user("");
	assert_non_null(discover());
	connect_to(port);
	frame = next_tcp(5000);
	assert_non_null(frame);
	assert_int_equal(frame[TCP + 13], TH_SYN | TH_ACK);
	assert_int_equal(get32(frame + TCP + 8), 1001);
	send_tcp(HOST_ADDR, GUEST_PORT, port, TH_ACK, 1001, get32(frame + TCP + 4) + 1);
	peer = accept(fd, NULL, NULL);
	assert_true(peer >= 0);
	/* The socket is watched: what the host says reaches the guest at once. */
	turn();
	assert_int_equal(send(peer, "hello", 5, 0), 5);
	turn();
	do {
		frame = next_tcp(0);
		assert_non_null(frame);
	} while (get16(frame + IP + 2) <= 40);
	memcpy(text, frame + TCP + 4 * (frame[TCP + 12] >> 4), 5);
	assert_string_equal(text, "hello");
	close(peer);
	frame = next_tcp(5000);
	assert_non_null(frame);
	close(fd);
}

static void test_restrict(void **state)
{
	uint16_t port;
	int fd = listen_local(&port);
	uint8_t *frame;

	start_user("restrict=on");
	assert_non_null(discover());
	connect_to(port);
	while ((frame = next_tcp(300)))
		assert_int_not_equal(frame[TCP + 13], TH_SYN | TH_ACK);
	close(fd);
}

static void forward_and_connect(const char *more)
{
	uint16_t port = free_port();
	char params[100];
	uint8_t *frame;
	int fd;

	snprintf(params, sizeof(params), "hostfwd=tcp:127.0.0.1:%u-:22%s", port, more);
	start_user(params);
	assert_non_null(discover());
	fd = connect_local(port);
	frame = next_tcp(5000);
	assert_non_null(frame);
	assert_int_equal(frame[TCP + 13], TH_SYN);
	assert_int_equal(get16(frame + TCP + 2), 22);
	assert_int_equal(get32(frame + IP + 16), GUEST_ADDR);
	close(fd);
}

static void test_hostfwd(void **state)
{
	forward_and_connect("");
	forward_and_connect(",restrict=on");
}

static void test_hostile_frames(void **state)
{
	uint8_t frame[2000];
	struct alcor_fake_request *req;

	start_user("");
	for (unsigned i = 0; i < 3000; i++) {
		for (size_t k = 0; k < sizeof(frame); k++)
			frame[k] = (uint8_t)(i * 31 + k * k);
		ip_fill(frame, (uint8_t)(i % 3 ? IPPROTO_TCP : IPPROTO_UDP), GUEST_ADDR,
			HOST_ADDR + i % 2, i % 60);
		frame[IP] = (uint8_t)(0x40 + i % 16);
		req = send_frame(1, frame, 13 + i % 100);
		assert_true(req->done);
	}
	assert_non_null(discover());
}

/* The guest takes nothing; what the stack has to say is bounded, and the loop sleeps. */
static void test_guest_without_buffers(void **state)
{
	uint8_t frame[HDR_LEN + 42] = { 0 }, buf[2000];
	struct alcor_fake_request *req;
	uint16_t port = free_port();
	char params[100];
	int fd;

	snprintf(params, sizeof(params), "hostfwd=tcp:127.0.0.1:%u-:22", port);
	assert_int_equal(start("net/user", params, 0), 0);
	ether_fill(frame, (const uint8_t *)"\xff\xff\xff\xff\xff\xff", ETHERTYPE_ARP);
	memcpy(frame + ETH + 14, "\0\1\x08\0\6\4\0\1", 8);
	memcpy(frame + ETH + 22, guest_mac, 6);
	put32(frame + ETH + 28, GUEST_ADDR);
	put32(frame + ETH + 38, HOST_ADDR);
	for (int i = 0; i < 2000; i++)
		assert_true(send_frame(1, frame, sizeof(frame))->done);
	assert_non_null(strstr(fake->log, "no buffers"));
	fd = connect_local(port);
	assert_true(loop_sleeps());
	do {
		req = give(0, buf, sizeof(buf));
	} while (req->done);
	/* What waited for the guest goes on. */
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(get16(buf + ETH + 12), ETHERTYPE_IP);
	close(fd);
}

static void test_pause(void **state)
{
	uint16_t port = free_port();
	char params[100];
	int fd;

	snprintf(params, sizeof(params), "hostfwd=tcp:127.0.0.1:%u-:22", port);
	start_user(params);
	assert_int_equal(alcor_fake_pause(fake), 0);
	fd = connect_local(port);
	assert_null(next_frame(100));
	assert_int_equal(alcor_fake_resume(fake), 0);
	assert_non_null(next_frame(5000));
	close(fd);
}

static void check_error(const char *params, int error, const char *text)
{
	assert_int_equal(create("net/user", params), error);
	if (!strstr(fake->error, text))
		fail_msg("\"%s\" has no \"%s\"", fake->error, text);
}

static void test_errors(void **state)
{
	static const char *const bad[] = {
		"tcp:22",
		"tcp::22",
		"tcp::0-:22",
		"tcp::22-:65536",
		"sctp::1-:2",
		"tcp::1-:2x",
		"tcp::1-2",
		"tcp:1.2.3:1-:2",
		"tcp:::1-:2",
		"udp::+1-:2",
		"tcp:1.2.3.4.5.6.7.8.9:1-:2",
		"tcp",
		"udp:",
	};
	static const char *const bad_nets[] = { "10.0.2.0",  "10.0.2.0/7",  "10.0.2.0/28",
						"10.0.2.0/", "10.0.2.1/24", "/24",
						"x/24" };
	char params[100], text[64];
	uint16_t port;
	int fd = listen_local(&port);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(params, sizeof(params), "hostfwd=%s", bad[i]);
		snprintf(text, sizeof(text), "hostfwd: '%s' is not of the form", bad[i]);
		check_error(params, -EINVAL, text);
	}
	for (size_t i = 0; i < sizeof(bad_nets) / sizeof(bad_nets[0]); i++) {
		snprintf(params, sizeof(params), "net=%s", bad_nets[i]);
		check_error(params, -EINVAL, "net: '");
	}
	snprintf(params, sizeof(params), "hostfwd=tcp:127.0.0.1:%u-:22", port);
	check_error(params, -EADDRINUSE, "Address already in use");
	check_error("hostname=a23456789012345678901234567890123", -EINVAL, "longer than 32");
	check_error("mtu=65522", -EINVAL, "mtu");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_offer),	   TEST(test_dhcp),
		TEST(test_other_network),  TEST(test_connect_out),
		TEST(test_restrict),	   TEST(test_hostfwd),
		TEST(test_hostile_frames), TEST(test_guest_without_buffers),
		TEST(test_pause),	   TEST(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
