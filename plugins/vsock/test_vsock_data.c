/* SPDX-License-Identifier: Apache-2.0 */
/* Data and credit, and what a hostile guest sends. */
#include "test_fixture.h"

#include <sys/ioctl.h>

#define STREAMS	  64
#define TOTAL	  (1u << 20)
#define GUEST_BUF 65536u

static struct packet p;

/* --- many streams --- */

struct side {
	uint32_t host_port, guest_port;
	int fd;
	uint32_t sent, fwd, alloc;	     /* guest to host; what the device told */
	uint32_t got, told;		     /* guest's receiving */
	uint32_t host_sent, host_got, chunk; /* chunk 0: does nothing at all */
};

static uint8_t pattern(const struct side *s, uint32_t at, bool up)
{
	return (uint8_t)(s->guest_port * 7 + at + (at >> 8) * 3 + up);
}

static void fill(const struct side *s, uint8_t *buf, uint32_t at, uint32_t n, bool up)
{
	for (uint32_t i = 0; i < n; i++)
		buf[i] = pattern(s, at + i, up);
}

static void check(const struct side *s, const uint8_t *buf, uint32_t at, uint32_t n, bool up)
{
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(buf[i], pattern(s, at + i, up));
}

static struct virtio_vsock_hdr side_header(struct side *s, uint16_t op, uint32_t len)
{
	struct virtio_vsock_hdr hdr = header(op, s->host_port, s->guest_port, len);

	hdr.buf_alloc = GUEST_BUF;
	hdr.fwd_cnt = s->told = s->got;
	return hdr;
}

static void side_packet(struct side *sides)
{
	struct side *s = sides;

	while (s->host_port != p.hdr.src_port || s->guest_port != p.hdr.dst_port)
		assert_true(++s < sides + STREAMS);
	s->fwd = p.hdr.fwd_cnt;
	s->alloc = p.hdr.buf_alloc;
	assert_true(s->sent - s->fwd <= BUF);
	if (p.hdr.op == OP(RW)) {
		check(s, p.data, s->got, p.hdr.len, false);
		s->got += p.hdr.len;
		assert_true(s->got - s->told <= GUEST_BUF);
	} else {
		assert_true(p.hdr.op == OP(CREDIT_UPDATE) || p.hdr.op == OP(CREDIT_REQUEST));
	}
	if (s->got - s->told > GUEST_BUF / 2 || p.hdr.op == OP(CREDIT_REQUEST))
		tx(side_header(s, OP(CREDIT_UPDATE), 0), NULL, 0);
}

static void side_guest(struct side *s)
{
	static uint8_t buf[65536];
	uint32_t n = s->alloc - (s->sent - s->fwd);

	n = n < sizeof(buf) ? n : sizeof(buf);
	n = n < TOTAL - s->sent ? n : TOTAL - s->sent;
	if (!n)
		return;
	fill(s, buf, s->sent, n, true);
	tx(side_header(s, OP(RW), n), buf, n);
	s->sent += n;
}

static void side_host(struct side *s)
{
	static uint8_t buf[65536];
	ssize_t n;

	n = recv(s->fd, buf, s->chunk, 0);
	if (n > 0) {
		check(s, buf, s->host_got, (uint32_t)n, true);
		s->host_got += (uint32_t)n;
	}
	n = s->chunk < TOTAL - s->host_sent ? s->chunk : TOTAL - s->host_sent;
	fill(s, buf, s->host_sent, (uint32_t)n, false);
	n = n ? send(s->fd, buf, (size_t)n, MSG_NOSIGNAL) : 0;
	s->host_sent += n > 0 ? (uint32_t)n : 0;
}

static bool side_done(const struct side *s)
{
	return !s->chunk || (s->got == TOTAL && s->host_got == TOTAL);
}

static void sides_open(struct side *sides, int listen_fd)
{
	for (uint32_t i = 0; i < STREAMS; i++) {
		struct side *s = &sides[i];

		*s = (struct side){ .guest_port = GUEST + i, .alloc = BUF, .chunk = 65536 };
		s->host_port = HOST;
		if (i % 2)
			s->fd = client_open(s->guest_port, &s->host_port);
		else
			s->fd = guest_open(listen_fd, HOST, s->guest_port);
	}
	sides[4].chunk = 8192;
	sides[5].chunk = 8192;
	sides[6].chunk = 0;
	sides[7].chunk = 0;
}

static void test_many_streams(void **state)
{
	static struct side sides[STREAMS];
	unsigned n_done = 0;
	int listen_fd;

	device_open(RX_COUNT);
	listen_fd = listener(HOST, STREAMS);
	sides_open(sides, listen_fd);
	for (unsigned round = 0; round < 3000 && n_done < STREAMS; round++) {
		n_done = 0;
		for (unsigned i = 0; i < STREAMS; i++) {
			side_guest(&sides[i]);
			if (sides[i].chunk)
				side_host(&sides[i]);
			while (rx_poll(&p))
				side_packet(sides);
			n_done += side_done(&sides[i]);
		}
		turns(4);
	}
	assert_int_equal(n_done, STREAMS);
	/* The dead ones took no more than the socket's buffer and theirs. */
	assert_true(sides[6].sent < TOTAL && sides[7].sent < TOTAL);
	for (unsigned i = 0; i < STREAMS; i++)
		close(sides[i].fd);
	close(listen_fd);
	device_close();
}

/* --- credit --- */

static void test_peer_never_reads(void **state)
{
	static uint8_t data[BUF];
	uint32_t port, sent = 0, fwd = 0, credit, got = 0;
	int fd, second;

	device_open(8);
	fd = client_open(52, &port);
	second = client_open(52, &port);
	port--;
	for (;;) {
		tx_op(OP(CREDIT_REQUEST), port, 52);
		rx_expect(&p, OP(CREDIT_UPDATE), port, 52);
		assert_int_equal(p.hdr.buf_alloc, BUF);
		fwd = p.hdr.fwd_cnt;
		credit = BUF - (sent - fwd);
		if (!credit)
			break;
		tx_data(port, 52, data, credit < 60000 ? credit : 60000);
		sent += credit < 60000 ? credit : 60000;
		while (rx_poll(&p))
			;
	}
	assert_int_equal(sent - fwd, BUF);
	quiet();
	/* As soon as it reads there is news of that. */
	while (got < BUF / 2) {
		ssize_t n = recv(fd, data, sizeof(data), 0);

		got += n > 0 ? (uint32_t)n : 0;
		alcor_fake_turn(fake, 1);
	}
	rx_expect(&p, OP(CREDIT_UPDATE), port, 52);
	credit = BUF - (sent - p.hdr.fwd_cnt);
	assert_true(credit >= BUF / 4);
	while (rx_poll(&p))
		credit = BUF - (sent - p.hdr.fwd_cnt);
	/* A guest that sends more than it may loses the stream, and that one only. */
	tx_data(port, 52, data, credit);
	tx_data(port, 52, data, BUF);
	for (;;) {
		rx_next(&p);
		if (p.hdr.op == OP(RST))
			break;
		assert_int_equal(p.hdr.op, OP(CREDIT_UPDATE));
	}
	assert_int_equal(p.hdr.src_port, port);
	put(second, "x");
	rx_expect(&p, OP(RW), port + 1, 52);
	close(fd);
	close(second);
	device_close();
}

static void test_guest_credit(void **state)
{
	static char text[3000];
	struct virtio_vsock_hdr hdr = header(OP(REQUEST), HOST, GUEST, 0);
	int listen_fd, fd, left = 0;

	memset(text, 'x', sizeof(text) - 1);
	device_open(8);
	listen_fd = listener(HOST, 1);
	hdr.buf_alloc = 1000;
	tx(hdr, NULL, 0);
	rx_expect(&p, OP(RESPONSE), HOST, GUEST);
	fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK);
	put(fd, text);
	rx_expect(&p, OP(RW), HOST, GUEST);
	assert_int_equal(p.hdr.len, 1000);
	rx_expect(&p, OP(CREDIT_REQUEST), HOST, GUEST);
	quiet();
	hdr.op = OP(CREDIT_UPDATE);
	hdr.fwd_cnt = 400;
	tx(hdr, NULL, 0);
	rx_expect(&p, OP(RW), HOST, GUEST);
	assert_int_equal(p.hdr.len, 400);
	rx_expect(&p, OP(CREDIT_REQUEST), HOST, GUEST);
	/* A smaller buffer than before, and counters that lie. */
	hdr.buf_alloc = 10;
	tx(hdr, NULL, 0);
	quiet();
	hdr.buf_alloc = BUF;
	hdr.fwd_cnt = 5000;
	tx(hdr, NULL, 0);
	quiet();
	hdr.fwd_cnt = 1400;
	tx(hdr, NULL, 0);
	rx_expect(&p, OP(RW), HOST, GUEST);
	assert_int_equal(p.hdr.len, 1599);
	ioctl(fd, TIOCOUTQ, &left);
	assert_int_equal(left, 0);
	close(fd);
	close(listen_fd);
	device_close();
}

static void test_no_buffers(void **state)
{
	static char data[65536];
	uint32_t port = 1024, sent = 0, got = 0;
	ssize_t n;
	int fd;

	device_open(1);
	fd = client("CONNECT 52\n");
	turns(10);
	tx_op(OP(RESPONSE), port, 52);
	expect_text(fd, "OK 1024\n");
	while ((n = send(fd, data, sizeof(data), MSG_NOSIGNAL)) > 0) {
		sent += (uint32_t)n;
		turns(3);
	}
	assert_int_equal(errno, EAGAIN);
	turns(50);
	assert_int_equal(send(fd, data, 1, MSG_NOSIGNAL), -1);
	idle();
	/* The guest's data still goes out, and its news of credit wait. */
	tx_data(port, 52, "up", 2);
	expect_text(fd, "up");
	rx_expect(&p, OP(REQUEST), port, 52);
	while (got < sent) {
		rx_expect(&p, OP(RW), port, 52);
		got += p.hdr.len;
		if (got > sent / 2)
			tx_op(OP(CREDIT_UPDATE), port, 52);
	}
	assert_int_equal(got, sent);
	close(fd);
	device_close();
}

/* A stream with much to say does not hold up one with little. */
static void test_fairness(void **state)
{
	static char data[65536];
	uint32_t loud, soft, before = 0;
	int fd, second;

	device_open(1);
	fd = client_open(52, &loud);
	second = client_open(53, &soft);
	put(fd, "a");
	turns(10);
	/* From here on there is no buffer: the soft one waits first, then the loud one first. */
	put(second, "x");
	turns(10);
	while (send(fd, data, sizeof(data), MSG_NOSIGNAL) > 0)
		;
	turns(10);
	rx_expect(&p, OP(RW), loud, 52);
	rx_expect(&p, OP(RW), soft, 53);
	turns(10);
	put(second, "y");
	turns(10);
	do {
		rx_next(&p);
		before++;
	} while (p.hdr.src_port != soft);
	assert_true(before <= 3);
	close(fd);
	close(second);
	device_close();
}

/* Buffers that have no room for data are given back unused; spread ones are filled. */
static void test_odd_buffers(void **state)
{
	static uint8_t mem[64];
	struct iovec small = { mem, HEADER }, spread[64];
	struct alcor_fake_request *req, *whole;
	const struct virtio_vsock_hdr *hdr = (void *)mem;
	int fd;

	device_open(0);
	req = alcor_fake_submit(fake, 0, NULL, 0, &small, 1);
	alcor_fake_submit(fake, 0, &small, 1, NULL, 0);
	for (int i = 0; i < 64; i++)
		spread[i] = (struct iovec){ mem + i, 1 };
	whole = alcor_fake_submit(fake, 0, NULL, 0, spread, 64);
	fd = client("CONNECT 52\n");
	assert_true(alcor_fake_wait(fake, &whole->done));
	assert_true(req->done);
	assert_int_equal(req->written, 0);
	assert_int_equal(whole->written, HEADER);
	assert_int_equal(hdr->op, OP(REQUEST));
	whole = alcor_fake_submit(fake, 0, NULL, 0, spread, 64);
	alcor_fake_notify(fake, 0);
	tx_op(OP(RESPONSE), 1024, 52);
	expect_text(fd, "OK 1024\n");
	put(fd, "twenty-five bytes of text");
	assert_true(alcor_fake_wait(fake, &whole->done));
	assert_int_equal(whole->written, 64);
	assert_memory_equal(mem + HEADER, "twenty-five bytes of", 20);
	close(fd);
	device_close();
}

/* --- hostile packets --- */

enum verdict {
	NOTHING,   /* the packet is dropped, the stream goes on */
	RST,	   /* of the stream, which ends */
	RST_ALIEN, /* for the ports named; the stream goes on */
	GONE,	   /* the stream ends without an answer */
};

static const struct hostile {
	const char *name;
	enum verdict verdict;
	uint16_t op, type;    /* type 0: stream */
	uint32_t host, guest; /* 0: those of the stream */
	uint64_t src, dst;    /* 0: right */
	uint32_t len;	      /* in the header */
	uint32_t payload;     /* that there is */
	uint32_t header;      /* bytes that there are; 0: all */
	uint32_t flags;
} hostiles[] = {
	{ "no bytes", NOTHING, OP(RW), .header = UINT32_MAX },
	{ "one byte", NOTHING, OP(RW), .header = 1 },
	{ "header cut by one byte", NOTHING, OP(RW), .header = HEADER - 1 },
	{ "RST cut by one byte", NOTHING, OP(RST), .header = HEADER - 1 },
	{ "length without payload", RST, OP(RW), .len = 1 },
	{ "length beyond payload", RST, OP(RW), .len = 101, .payload = 100 },
	{ "largest length", RST, OP(RW), .len = UINT32_MAX, .payload = 100 },
	{ "length that wraps", RST, OP(RW), .len = 0u - HEADER, .payload = 100 },
	{ "length of a credit update", RST, OP(CREDIT_UPDATE), .len = 5 },
	{ "length of a shutdown", RST, OP(SHUTDOWN), .len = 5, .flags = 1 },
	{ "length of an RST", GONE, OP(RST), .len = 5 },
	{ "length of a REQUEST", RST_ALIEN, OP(REQUEST), .guest = 9, .len = 5 },
	{ "more than the credit", RST, OP(RW), .len = BUF + 1, .payload = BUF + 1 },
	{ "more than the credit, by much", RST, OP(RW), .len = 4 * BUF, .payload = 4 * BUF },
	{ "nothing to write", NOTHING, OP(RW) },
	{ "payload without length", NOTHING, OP(RW), .payload = 100 },
	{ "payload of a credit update", NOTHING, OP(CREDIT_UPDATE), .len = 9, .payload = 9 },
	{ "operation 0", RST, OP(INVALID) },
	{ "operation 8", RST, 8 },
	{ "operation 65535", RST, 65535 },
	{ "operation 0 of no stream", RST_ALIEN, OP(INVALID), .guest = 9 },
	{ "operation 99 of no stream", RST_ALIEN, 99, .guest = 9 },
	{ "REQUEST again", RST, OP(REQUEST) },
	{ "RESPONSE again", RST, OP(RESPONSE) },
	{ "RST", GONE, OP(RST) },
	{ "RST of no stream", NOTHING, OP(RST), .guest = 9 },
	{ "RST of another type", NOTHING, OP(RST), .type = 7 },
	{ "data of no stream", RST_ALIEN, OP(RW), .guest = 9, .len = 4, .payload = 4 },
	{ "data for another port", RST_ALIEN, OP(RW), .host = 81, .len = 4, .payload = 4 },
	{ "ports the wrong way", RST_ALIEN, OP(RW), .host = GUEST, .guest = HOST },
	{ "RESPONSE of no stream", RST_ALIEN, OP(RESPONSE), .guest = 9 },
	{ "SHUTDOWN of no stream", RST_ALIEN, OP(SHUTDOWN), .guest = 9, .flags = 3 },
	{ "credit of no stream", RST_ALIEN, OP(CREDIT_REQUEST), .guest = 9 },
	{ "REQUEST to nobody", RST_ALIEN, OP(REQUEST), .host = 81, .guest = 9 },
	{ "REQUEST to the highest port", RST_ALIEN, OP(REQUEST), .host = UINT32_MAX, .guest = 9 },
	{ "REQUEST of SEQPACKET", RST_ALIEN, OP(REQUEST), .type = 2, .guest = 9 },
	{ "data of SEQPACKET", RST_ALIEN, OP(RW), .type = 2, .len = 4, .payload = 4 },
	{ "type 0x101", RST_ALIEN, OP(RW), .type = 0x101 },
	{ "from another guest", NOTHING, OP(RW), .src = 4, .len = 4, .payload = 4 },
	{ "from the host", NOTHING, OP(RST), .src = 2 },
	{ "from the guest and more bits", NOTHING, OP(RST), .src = CID | 1ull << 32 },
	{ "to the guest itself", RST_ALIEN, OP(REQUEST), .dst = CID, .guest = 9 },
	{ "to the hypervisor", RST_ALIEN, OP(RW), .dst = UINT64_MAX, .len = 4, .payload = 4 },
	{ "to the host and more bits", RST_ALIEN, OP(RW), .dst = 2 | 1ull << 32 },
	{ "SHUTDOWN of nothing", NOTHING, OP(SHUTDOWN) },
	{ "SHUTDOWN of unknown directions", NOTHING, OP(SHUTDOWN), .flags = 0xfffffffc },
	{ "SHUTDOWN of all bits", RST, OP(SHUTDOWN), .flags = UINT32_MAX },
};

static void hostile_send(const struct hostile *h)
{
	struct virtio_vsock_hdr hdr =
		header(h->op, h->host ? h->host : HOST, h->guest ? h->guest : GUEST, h->len);
	uint8_t *mem = calloc(1, HEADER + h->payload + 1), *at = mem;
	struct iovec out[HEADER + 2];
	struct alcor_fake_request *req;
	uint32_t n = 0, len = h->header ? h->header : HEADER;

	hdr.flags = h->flags;
	hdr.src_cid = h->src ? h->src : CID;
	hdr.dst_cid = h->dst ? h->dst : 2;
	hdr.type = h->type ? h->type : 1;
	memcpy(mem, &hdr, sizeof(hdr));
	if (len == UINT32_MAX)
		len = 0;
	/* The header comes in pieces; the last one has payload too. */
	for (; n < len; n++)
		out[n] = (struct iovec){ at++, n == HEADER - 1 ? 1 + h->payload / 2 : 1 };
	if (len == HEADER && h->payload)
		out[n++] = (struct iovec){ mem + HEADER + h->payload / 2,
					   h->payload - h->payload / 2 };
	req = alcor_fake_submit(fake, 1, out, n, NULL, 0);
	alcor_fake_notify(fake, 1);
	assert_true(alcor_fake_wait(fake, &req->done));
	free(mem);
}

static void echo(int fd, uint32_t host_port, uint32_t guest_port)
{
	tx_data(host_port, guest_port, "echo", 4);
	expect_text(fd, "echo");
	put(fd, "answer");
	rx_expect(&p, OP(RW), host_port, guest_port);
	assert_int_equal(p.hdr.len, 6);
}

static void hostile_answer(const struct hostile *h, int fd)
{
	if (h->verdict == RST) {
		rx_expect(&p, OP(RST), HOST, GUEST);
	} else if (h->verdict == RST_ALIEN) {
		rx_next(&p);
		assert_int_equal(p.hdr.op, OP(RST));
		assert_int_equal(p.hdr.type, h->type ? h->type : 1);
		assert_int_equal(p.hdr.src_cid, h->dst ? h->dst : 2);
		assert_int_equal(p.hdr.src_port, h->host ? h->host : HOST);
		assert_int_equal(p.hdr.dst_port, h->guest ? h->guest : GUEST);
	}
	if (h->verdict == RST || h->verdict == GONE)
		expect_end(fd);
	else
		echo(fd, HOST, GUEST);
}

static void test_hostile_packets(void **state)
{
	int listen_fd, fd, good;

	for (size_t i = 0; i < sizeof(hostiles) / sizeof(hostiles[0]); i++) {
		print_message("  %s\n", hostiles[i].name);
		device_open(8);
		listen_fd = listener(HOST, 4);
		fd = guest_open(listen_fd, HOST, GUEST);
		good = guest_open(listen_fd, HOST, GUEST + 1);
		hostile_send(&hostiles[i]);
		hostile_answer(&hostiles[i], fd);
		echo(good, HOST, GUEST + 1);
		quiet();
		close(fd);
		close(good);
		close(listen_fd);
		device_close();
	}
}

/* Out of turn: before RESPONSE, after SHUTDOWN. */
static void test_wrong_states(void **state)
{
	static const uint16_t early[] = { OP(RW), OP(SHUTDOWN), OP(CREDIT_UPDATE), OP(REQUEST) };
	uint32_t port;
	int fd;

	device_open(8);
	for (size_t i = 0; i < sizeof(early) / sizeof(early[0]); i++) {
		fd = client("CONNECT 52\n");
		rx_expect(&p, OP(REQUEST), 1024 + (uint32_t)i, 52);
		tx_op(early[i], 1024 + (uint32_t)i, 52);
		rx_expect(&p, OP(RST), 1024 + (uint32_t)i, 52);
		expect_end(fd);
		close(fd);
	}
	fd = client_open(52, &port);
	tx_shutdown(port, 52, 2);
	expect_end(fd);
	tx_data(port, 52, "x", 1);
	rx_expect(&p, OP(RST), port, 52);
	quiet();
	close(fd);
	device_close();
}

/* RSTs that the guest takes no buffers for do not pile up. */
static void test_flood(void **state)
{
	unsigned n = 0;

	device_open(0);
	for (uint32_t i = 0; i < 500; i++)
		tx_op(OP(RW), 7, 1000 + i);
	rx_supply(RX_COUNT);
	for (int i = 0; i < 200; i++) {
		turns(2);
		while (rx_poll(&p)) {
			assert_int_equal(p.hdr.dst_port, 1000 + n);
			n++;
		}
	}
	assert_int_equal(n, 64);
	device_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_streams),	cmocka_unit_test(test_peer_never_reads),
		cmocka_unit_test(test_guest_credit),	cmocka_unit_test(test_no_buffers),
		cmocka_unit_test(test_fairness),	cmocka_unit_test(test_odd_buffers),
		cmocka_unit_test(test_hostile_packets), cmocka_unit_test(test_wrong_states),
		cmocka_unit_test(test_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
