/* SPDX-License-Identifier: Apache-2.0 */
/* How streams end, one direction or both. */
#include "test_fixture.h"

static struct packet p;

static void test_half_close_of_guest(void **state)
{
	uint32_t port;
	int fd;

	device_open(8);
	fd = client_open(52, &port);
	tx_data(port, 52, "last", 4);
	tx_shutdown(port, 52, 2);
	expect_text(fd, "last");
	expect_end(fd);
	put(fd, "more");
	rx_expect(&p, OP(RW), port, 52);
	assert_memory_equal(p.data, "more", 4);
	close(fd);
	rx_expect(&p, OP(SHUTDOWN), port, 52);
	assert_true(p.hdr.flags & 2);
	if (p.hdr.flags != 3) {
		rx_expect(&p, OP(SHUTDOWN), port, 52);
		assert_int_equal(p.hdr.flags, 3);
	}
	tx_op(OP(RST), port, 52);
	quiet();
	tx_data(port, 52, "x", 1);
	rx_expect(&p, OP(RST), port, 52);
	device_close();
}

static void test_half_close_of_host(void **state)
{
	uint32_t port;
	int fd;

	device_open(8);
	fd = client_open(52, &port);
	put(fd, "last");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	rx_expect(&p, OP(RW), port, 52);
	assert_memory_equal(p.data, "last", 4);
	rx_expect(&p, OP(SHUTDOWN), port, 52);
	assert_int_equal(p.hdr.flags, 2);
	quiet();
	tx_data(port, 52, "more", 4);
	expect_text(fd, "more");
	tx_shutdown(port, 52, 3);
	rx_expect(&p, OP(RST), port, 52);
	expect_end(fd);
	quiet();
	close(fd);
	device_close();
}

/* The guest will not read any more: the program's write fails, the other direction goes on. */
static void test_guest_stops_reading(void **state)
{
	uint32_t port;
	int fd;

	device_open(8);
	fd = client_open(52, &port);
	tx_shutdown(port, 52, 1);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	tx_data(port, 52, "still", 5);
	expect_text(fd, "still");
	quiet();
	tx_shutdown(port, 52, 2);
	rx_expect(&p, OP(RST), port, 52);
	expect_end(fd);
	close(fd);
	device_close();
}

/* A program that shuts its reading side down: the guest is told, what it sends is dropped. */
static void test_host_stops_reading(void **state)
{
	uint32_t port;
	int fd;

	device_open(8);
	fd = client_open(52, &port);
	assert_int_equal(shutdown(fd, SHUT_RD), 0);
	tx_data(port, 52, "lost", 4);
	rx_expect(&p, OP(SHUTDOWN), port, 52);
	assert_int_equal(p.hdr.flags, 1);
	assert_int_equal(p.hdr.fwd_cnt, 4);
	put(fd, "data");
	rx_expect(&p, OP(RW), port, 52);
	quiet();
	close(fd);
	do
		rx_expect(&p, OP(SHUTDOWN), port, 52);
	while (p.hdr.flags != 3);
	device_close();
}

static void test_close_without_answer(void **state)
{
	uint32_t port;
	int fd;

	device_open(8);
	fd = client_open(52, &port);
	close(fd);
	do
		rx_expect(&p, OP(SHUTDOWN), port, 52);
	while (p.hdr.flags != 3);
	/* Data on its way is no error; silence ends in an RST. */
	tx_data(port, 52, "late", 4);
	quiet();
	rx_expect(&p, OP(RST), port, 52);
	quiet();
	device_close();
}

/* What the guest sent before it closed arrives: when it waits for the RST, and when it sends one. */
static void linger(bool polite)
{
	static uint8_t data[65536], buf[65536];
	uint32_t port, sum = 0;
	int fd;

	device_open(8);
	fd = client_open(52, &port);
	memset(data, 'd', sizeof(data));
	for (int i = 0; i < 4; i++)
		tx_data(port, 52, data, sizeof(data));
	turns(5);
	while (rx_poll(&p))
		;
	tx_shutdown(port, 52, polite ? 3 : 2);
	if (polite)
		rx_expect(&p, OP(RST), port, 52);
	else
		tx_op(OP(RST), port, 52);
	/* The ports are free again. */
	tx_op(OP(CREDIT_REQUEST), port, 52);
	rx_expect(&p, OP(RST), port, 52);
	for (int i = 0; i < 2000 && sum < 4 * sizeof(data); i++) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		sum += n > 0 ? (uint32_t)n : 0;
		alcor_fake_turn(fake, 1);
	}
	assert_int_equal(sum, 4 * sizeof(data));
	expect_end(fd);
	quiet();
	close(fd);
	device_close();
}

static void test_linger(void **state)
{
	linger(true);
	linger(false);
}

/* A guest that resets a stream takes back what its peer did not read. */
static void test_guest_resets(void **state)
{
	uint32_t port;
	int fd;

	device_open(8);
	fd = client_open(52, &port);
	tx_op(OP(RST), port, 52);
	expect_end(fd);
	quiet();
	close(fd);
	device_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_half_close_of_guest),
		cmocka_unit_test(test_half_close_of_host),
		cmocka_unit_test(test_guest_stops_reading),
		cmocka_unit_test(test_host_stops_reading),
		cmocka_unit_test(test_close_without_answer),
		cmocka_unit_test(test_linger),
		cmocka_unit_test(test_guest_resets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
