/* SPDX-License-Identifier: Apache-2.0 */
/* How streams begin, and the device's life. */
#include "test_fixture.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct packet p;

static void test_description(void **state)
{
	static const uint8_t config[8] = { CID };

	device_open(0);
	assert_int_equal(fake->virtio_desc.device_id, 19);
	assert_int_equal(fake->virtio_desc.n_queues, 3);
	assert_int_equal(fake->virtio_desc.features, 1);
	assert_int_equal(fake->virtio_desc.config_size, 8);
	assert_memory_equal(fake->config, config, 8);
	device_close();
}

static void test_host_to_guest(void **state)
{
	int fd, second;

	device_open(4);
	fd = client("CONN");
	turns(10);
	put(fd, "ECT 5");
	quiet();
	put(fd, "2\nhel");
	rx_expect(&p, OP(REQUEST), 1024, 52);
	assert_int_equal(p.hdr.buf_alloc, BUF);
	put(fd, "lo");
	quiet();
	tx_op(OP(RESPONSE), 1024, 52);
	expect_text(fd, "OK 1024\n");
	rx_expect(&p, OP(RW), 1024, 52);
	assert_int_equal(p.hdr.len, 5);
	assert_memory_equal(p.data, "hello", 5);
	tx_data(1024, 52, "world", 5);
	expect_text(fd, "world");
	second = client("connect 52\r\n");
	rx_expect(&p, OP(REQUEST), 1025, 52);
	tx_op(OP(RST), 1025, 52);
	expect_end(second);
	quiet();
	close(second);
	close(fd);
	device_close();
}

static void test_lines(void **state)
{
	static const char *const bad[] = {
		"\n",
		"CONNECT\n",
		"CONNECT \n",
		"CONNECT -1\n",
		"CONNECT 1x\n",
		"CONNECT 52 \n",
		"CONNECT  52\n",
		"CONNECT 4294967295\n",
		"CONNECT 99999999999\n",
		"CONNECT 18446744073709551617\n",
		"HELO 52\n",
		"CONNECT\t52\n",
		"\r\n",
		"CONNECT \r\n",
		"CONNECT 00000000000000000000000052\n",
		"0123456789012345678901234567890123456789",
		"01234567890123456789012345678901",
	};
	uint32_t host_port;
	int good, fd;

	device_open(4);
	good = client_open(52, &host_port);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fd = client(bad[i]);
		expect_end(fd);
		close(fd);
	}
	fd = client("CONNECT 5");
	close(fd);
	quiet();
	put(good, "x");
	rx_expect(&p, OP(RW), host_port, 52);
	close(good);
	/* The highest port that there is. */
	fd = client("CONNECT 4294967294\n");
	do
		rx_next(&p);
	while (p.hdr.op != OP(REQUEST));
	assert_int_equal(p.hdr.dst_port, 4294967294u);
	close(fd);
	device_close();
}

static void test_client_vanishes(void **state)
{
	int fd;

	device_open(4);
	fd = client("CONNECT 52\n");
	rx_expect(&p, OP(REQUEST), 1024, 52);
	close(fd);
	rx_expect(&p, OP(RST), 1024, 52);
	tx_op(OP(RESPONSE), 1024, 52);
	rx_expect(&p, OP(RST), 1024, 52);
	quiet();
	device_close();
	/* Before the guest heard of it. */
	device_open(0);
	fd = client("CONNECT 52\n");
	turns(10);
	close(fd);
	turns(10);
	rx_supply(4);
	quiet();
	device_close();
}

/* A client's out-of-band data does not keep the device busy. */
static void test_urgent_client(void **state)
{
	int fd;

	device_open(4);
	fd = client("CONNECT 52\n");
	rx_expect(&p, OP(REQUEST), 1024, 52);
	(void)!send(fd, "!", 1, MSG_OOB | MSG_NOSIGNAL);
	quiet();
	tx_op(OP(RESPONSE), 1024, 52);
	expect_text(fd, "OK 1024\n");
	close(fd);
	device_close();
}

/* The guest guesses the port of a stream that it was not asked about yet. */
static void test_early_response(void **state)
{
	int fd;

	device_open(0);
	fd = client("CONNECT 52\n");
	turns(10);
	tx_op(OP(RESPONSE), 1024, 52);
	expect_end(fd);
	rx_supply(4);
	quiet();
	close(fd);
	device_close();
}

static void test_no_descriptors(void **state)
{
	struct rlimit limit, none;
	int fd, next;

	device_open(4);
	fd = client("CONNECT 52\n");
	next = dup(fd);
	close(next);
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = (rlim_t)next;
	setrlimit(RLIMIT_NOFILE, &none);
	turns(20);
	assert_int_equal(fake->n_logs, 1);
	assert_string_equal(fake->log, "accept: Too many open files");
	idle();
	tx_op(OP(REQUEST), HOST, GUEST);
	rx_expect(&p, OP(RST), HOST, GUEST);
	setrlimit(RLIMIT_NOFILE, &limit);
	rx_expect(&p, OP(REQUEST), 1024, 52);
	close(fd);
	device_close();
}

static void test_inactive_guest(void **state)
{
	int fd;

	device_open(4);
	alcor_fake_deactivate(fake);
	fd = client("CONNECT 52\n");
	expect_end(fd);
	close(fd);
	device_close();
}

static void test_guest_to_host(void **state)
{
	int listen_fd, fd;

	device_open(4);
	tx_op(OP(REQUEST), HOST, GUEST);
	rx_expect(&p, OP(RST), HOST, GUEST);
	listen_fd = listener(HOST, 5);
	fd = guest_open(listen_fd, HOST, GUEST);
	tx_data(HOST, GUEST, "ping", 4);
	expect_text(fd, "ping");
	put(fd, "pong");
	rx_expect(&p, OP(RW), HOST, GUEST);
	assert_memory_equal(p.data, "pong", 4);
	/* Ports in use are not given to clients. */
	close(listen_fd);
	close(fd);
	listen_fd = listener(1024, 5);
	fd = guest_open(listen_fd, 1024, GUEST);
	client("CONNECT 52\n");
	do
		rx_next(&p);
	while (p.hdr.op != OP(REQUEST));
	assert_int_equal(p.hdr.src_port, 1025);
	close(listen_fd);
	close(fd);
	device_close();
}

static void test_full_backlog(void **state)
{
	int listen_fd, fds[3];

	device_open(8);
	listen_fd = listener(HOST, 0);
	tx_op(OP(REQUEST), HOST, GUEST);
	rx_expect(&p, OP(RESPONSE), HOST, GUEST);
	tx_op(OP(REQUEST), HOST, GUEST + 1);
	for (int i = 0; i < 20; i++) {
		alcor_fake_turn(fake, 5);
		assert_false(rx_poll(&p));
	}
	fds[0] = accept(listen_fd, NULL, NULL);
	rx_expect(&p, OP(RESPONSE), HOST, GUEST + 1);
	/* The third gives up. */
	tx_op(OP(REQUEST), HOST, GUEST + 2);
	rx_expect(&p, OP(RST), HOST, GUEST + 2);
	close(fds[0]);
	close(listen_fd);
	device_close();
}

/* More packets than are served in one go, in both directions. */
static void test_bursts(void **state)
{
	struct virtio_vsock_hdr hdr = header(OP(RW), 1024, 52, 1);
	struct iovec out[] = { { &hdr, sizeof(hdr) }, { "x", 1 } };
	struct iovec in = { calloc(1, 48), 48 };
	struct alcor_fake_request *req = NULL;
	uint32_t port, sum = 0;
	char buf[300];
	int fd;

	device_open(2);
	fd = client_open(52, &port);
	for (int i = 0; i < 200; i++)
		req = alcor_fake_submit(fake, 1, out, 2, NULL, 0);
	alcor_fake_notify(fake, 1);
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 200);
	/* Two buffers of the fixture, then 200 of four bytes. */
	for (int i = 0; i < 200; i++)
		req = alcor_fake_submit(fake, 0, NULL, 0, &in, 1);
	alcor_fake_notify(fake, 0);
	for (int i = 0; i < 2; i++) {
		put(fd, "y");
		rx_next(&p);
		sum += p.hdr.len;
	}
	memset(buf, 'z', sizeof(buf));
	for (int i = 0; i < 4; i++)
		assert_int_equal(send(fd, buf, 200, 0), 200);
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(sum, 2);
	close(fd);
	free(in.iov_base);
	device_close();
}

static void test_device_reset(void **state)
{
	uint32_t port;
	int fd, second, idle;

	device_open(8);
	fd = client_open(52, &port);
	second = client("CONNECT 53\n");
	idle = client("CONN");
	rx_next(&p);
	put(fd, "some data");
	alcor_fake_deactivate(fake);
	expect_end(fd);
	expect_end(second);
	expect_end(idle);
	close(fd);
	close(second);
	close(idle);
	assert_int_equal(access(SOCKET, F_OK), 0);
	device_close();
}

static void test_reset_and_again(void **state)
{
	static uint8_t rx[4096];
	struct iovec in = { rx, sizeof(rx) };
	struct alcor_fake_request *req;
	struct virtio_vsock_hdr *hdr = (struct virtio_vsock_hdr *)rx;
	uint32_t port;
	int fd;

	device_open(2);
	fd = client_open(52, &port);
	alcor_fake_deactivate(fake);
	expect_end(fd);
	close(fd);
	assert_int_equal(alcor_fake_activate(fake, 1), 0);
	req = alcor_fake_submit(fake, 0, NULL, 0, &in, 1);
	/* Streams of before are unknown. */
	tx_data(port, 52, "x", 1);
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(hdr->op, OP(RST));
	req = alcor_fake_submit(fake, 0, NULL, 0, &in, 1);
	alcor_fake_notify(fake, 0);
	fd = client("CONNECT 52\n");
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(hdr->op, OP(REQUEST));
	close(fd);
	device_close();
}

/* Reads until nothing comes any more. */
static uint32_t read_all(int fd)
{
	static char buf[65536];
	uint32_t sum = 0, n_idle = 0;

	while (n_idle < 10) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		sum += n > 0 ? (uint32_t)n : 0;
		n_idle = n > 0 ? 0 : n_idle + 1;
		turns(2);
	}
	return sum;
}

static void test_pause(void **state)
{
	static char data[65536];
	uint32_t port, sum;
	int fd, waiting;

	device_open(8);
	fd = client_open(52, &port);
	for (int i = 0; i < 4; i++)
		tx_data(port, 52, data, sizeof(data));
	turns(10);
	while (rx_poll(&p))
		;
	tx_op(OP(CREDIT_REQUEST), port, 52);
	rx_expect(&p, OP(CREDIT_UPDATE), port, 52);
	assert_int_equal(alcor_fake_pause(fake), 0);
	put(fd, "data");
	waiting = client("CONNECT 53\n");
	quiet();
	sum = read_all(fd);
	assert_int_equal(sum, p.hdr.fwd_cnt);
	quiet();
	assert_int_equal(alcor_fake_resume(fake), 0);
	assert_int_equal(sum + read_all(fd), 4 * sizeof(data));
	do
		rx_next(&p);
	while (p.hdr.op != OP(RW));
	close(fd);
	close(waiting);
	device_close();
}

static void test_too_many(void **state)
{
	struct rlimit limit;
	unsigned n_ok = 0;
	int listen_fd, fd;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
	setrlimit(RLIMIT_NOFILE, &limit);
	device_open(16);
	listen_fd = listener(HOST, 2048);
	for (uint32_t i = 0; i < 1030; i++) {
		tx_op(OP(REQUEST), HOST, GUEST + i);
		rx_next(&p);
		assert_int_equal(p.hdr.dst_port, GUEST + i);
		assert_int_equal(p.hdr.op, i < 1024 ? OP(RESPONSE) : OP(RST));
		n_ok += p.hdr.op == OP(RESPONSE);
	}
	assert_int_equal(n_ok, 1024);
	fd = client("CONNECT 52\n");
	expect_end(fd);
	close(fd);
	/* One that ends makes room for another. */
	tx_op(OP(RST), HOST, GUEST);
	tx_op(OP(REQUEST), HOST, 9);
	rx_expect(&p, OP(RESPONSE), HOST, 9);
	close(listen_fd);
	device_close();
}

static int create(const char *params)
{
	fake = alcor_fake_new(PLUGIN_PATH, "vsock/uds");
	return alcor_fake_create(fake, params);
}

static void test_path(void **state)
{
	char text[256];
	struct stat st;

	unlink(SOCKET);
	assert_int_equal(create("cid=3,path=" SOCKET), 0);
	assert_int_equal(stat(SOCKET, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	device_close();
	assert_int_equal(stat(SOCKET, &st), -1);

	/* Another's file is left alone. */
	assert_int_equal(create("cid=3,path=" SOCKET), 0);
	assert_int_equal(rename(SOCKET, SOCKET ".moved"), 0);
	close(creat(SOCKET, 0600));
	device_close();
	assert_int_equal(unlink(SOCKET ".moved"), 0);
	assert_int_equal(create("cid=3,path=" SOCKET), -EADDRINUSE);
	assert_string_equal(fake->error,
			    "path: " SOCKET " is already there; remove it if no other program "
			    "uses it");
	device_close();
	assert_int_equal(unlink(SOCKET), 0);

	snprintf(text, sizeof(text), "cid=3,path=%097d", 0);
	assert_int_equal(create(text), -ENAMETOOLONG);
	assert_string_equal(fake->error,
			    "path: 97 bytes long, but a socket's name has room for 96");
	device_close();
	assert_int_equal(create("cid=3,path=/nonexistent/x"), -ENOENT);
	assert_string_equal(fake->error, "path: /nonexistent/x: No such file or directory");
	device_close();
	assert_int_equal(create("cid=2,path=" SOCKET), -EINVAL);
	device_close();
	assert_int_equal(create("cid=0xffffffff,path=" SOCKET), -EINVAL);
	device_close();
	assert_int_equal(create("cid=3"), -EINVAL);
	device_close();
	assert_int_equal(create("path=" SOCKET), -EINVAL);
	device_close();
}

static void test_manual(void **state)
{
	device_open(0);
	assert_true(alcor_fake_manual_complete(fake->plugin, MANUAL_PATH));
	device_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_description),	cmocka_unit_test(test_host_to_guest),
		cmocka_unit_test(test_lines),		cmocka_unit_test(test_client_vanishes),
		cmocka_unit_test(test_urgent_client),	cmocka_unit_test(test_early_response),
		cmocka_unit_test(test_no_descriptors),	cmocka_unit_test(test_inactive_guest),
		cmocka_unit_test(test_guest_to_host),	cmocka_unit_test(test_full_backlog),
		cmocka_unit_test(test_bursts),		cmocka_unit_test(test_device_reset),
		cmocka_unit_test(test_reset_and_again), cmocka_unit_test(test_pause),
		cmocka_unit_test(test_too_many),	cmocka_unit_test(test_path),
		cmocka_unit_test(test_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
