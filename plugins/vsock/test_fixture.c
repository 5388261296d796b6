/* SPDX-License-Identifier: Apache-2.0 */
#include "test_fixture.h"

#include <fcntl.h>
#include <poll.h>

struct alcor_fake *fake;

static uint8_t rx_mem[RX_COUNT][RX_SIZE];
static struct alcor_fake_request *rx_reqs[RX_COUNT];
static unsigned rx_at, rx_given;

void rx_supply(unsigned n)
{
	while (n--) {
		unsigned slot = rx_given++ % RX_COUNT;
		struct iovec in[] = { { rx_mem[slot], 20 }, { rx_mem[slot] + 20, RX_SIZE - 20 } };

		rx_reqs[slot] = alcor_fake_submit(fake, 0, NULL, 0, in, 2);
	}
	alcor_fake_notify(fake, 0);
}

void device_open(unsigned n_rx)
{
	device_close(); /* of a test that failed */
	rx_at = rx_given = 0;
	unlink(SOCKET);
	fake = alcor_fake_new(PLUGIN_PATH, "vsock/uds");
	assert_int_equal(alcor_fake_create(fake, "cid=3,path=" SOCKET), 0);
	assert_int_equal(alcor_fake_realize(fake), 0);
	assert_int_equal(alcor_fake_activate(fake, 1), 0);
	rx_supply(n_rx);
}

void device_close(void)
{
	alcor_fake_free(fake);
	fake = NULL;
}

void turns(unsigned n)
{
	while (n--)
		alcor_fake_turn(fake, 0);
}

bool rx_poll(struct packet *ret)
{
	unsigned slot = rx_at % RX_COUNT;
	uint32_t len;

	if (rx_at == rx_given || !rx_reqs[slot]->done)
		return false;
	len = rx_reqs[slot]->written;
	assert_true(len >= HEADER);
	memcpy(ret, rx_mem[slot], len);
	assert_int_equal(ret->hdr.len, len - HEADER);
	assert_int_equal(ret->hdr.dst_cid, CID);
	rx_at++;
	rx_supply(1);
	return true;
}

void rx_next(struct packet *ret)
{
	for (int i = 0; i < 2000; i++) {
		if (rx_poll(ret))
			return;
		alcor_fake_turn(fake, 5);
	}
	fail_msg("no packet came");
}

void rx_expect(struct packet *ret, uint16_t op, uint32_t host_port, uint32_t guest_port)
{
	rx_next(ret);
	assert_int_equal(ret->hdr.op, op);
	assert_int_equal(ret->hdr.type, 1);
	assert_int_equal(ret->hdr.src_cid, 2);
	assert_int_equal(ret->hdr.src_port, host_port);
	assert_int_equal(ret->hdr.dst_port, guest_port);
}

void idle(void)
{
	struct pollfd poller = { fake->epoll_fd, POLLIN, 0 };

	assert_int_equal(poll(&poller, 1, 20), 0);
}

void quiet(void)
{
	struct packet *p = malloc(sizeof(*p));

	for (int i = 0; i < 20; i++) {
		turns(5);
		assert_false(rx_poll(p));
	}
	free(p);
	idle();
}

struct virtio_vsock_hdr header(uint16_t op, uint32_t host_port, uint32_t guest_port, uint32_t len)
{
	return (struct virtio_vsock_hdr){ .src_cid = CID,
					  .dst_cid = 2,
					  .src_port = guest_port,
					  .dst_port = host_port,
					  .len = len,
					  .type = VIRTIO_VSOCK_TYPE_STREAM,
					  .op = op,
					  .buf_alloc = BUF };
}

void tx(struct virtio_vsock_hdr hdr, const void *data, size_t len)
{
	struct iovec out[] = { { &hdr, sizeof(hdr) }, { (void *)data, len } };
	struct alcor_fake_request *req = alcor_fake_submit(fake, 1, out, len ? 2 : 1, NULL, 0);

	alcor_fake_notify(fake, 1);
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(req->written, 0);
}

void tx_op(uint16_t op, uint32_t host_port, uint32_t guest_port)
{
	tx(header(op, host_port, guest_port, 0), NULL, 0);
}

void tx_data(uint32_t host_port, uint32_t guest_port, const void *data, uint32_t len)
{
	tx(header(VIRTIO_VSOCK_OP_RW, host_port, guest_port, len), data, len);
}

void tx_shutdown(uint32_t host_port, uint32_t guest_port, uint32_t flags)
{
	struct virtio_vsock_hdr hdr = header(VIRTIO_VSOCK_OP_SHUTDOWN, host_port, guest_port, 0);

	hdr.flags = flags;
	tx(hdr, NULL, 0);
}

void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

int client(const char *line)
{
	struct sockaddr_un addr = { AF_UNIX, SOCKET };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	put(fd, line);
	return fd;
}

int client_open(uint32_t guest_port, uint32_t *ret_host_port)
{
	char text[64];
	struct packet *p = malloc(sizeof(*p));
	int fd;

	snprintf(text, sizeof(text), "CONNECT %u\n", guest_port);
	fd = client(text);
	rx_next(p);
	assert_int_equal(p->hdr.op, VIRTIO_VSOCK_OP_REQUEST);
	assert_int_equal(p->hdr.dst_port, guest_port);
	*ret_host_port = p->hdr.src_port;
	tx_op(VIRTIO_VSOCK_OP_RESPONSE, p->hdr.src_port, guest_port);
	snprintf(text, sizeof(text), "OK %u\n", *ret_host_port);
	expect_text(fd, text);
	free(p);
	return fd;
}

int listener(uint32_t port, int backlog)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), SOCKET "_%u", port);
	unlink(addr.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

int guest_open(int listen_fd, uint32_t host_port, uint32_t guest_port)
{
	struct packet *p = malloc(sizeof(*p));
	int fd;

	tx_op(VIRTIO_VSOCK_OP_REQUEST, host_port, guest_port);
	rx_expect(p, VIRTIO_VSOCK_OP_RESPONSE, host_port, guest_port);
	assert_int_equal(p->hdr.buf_alloc, BUF);
	free(p);
	fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fd >= 0);
	return fd;
}

void expect_text(int fd, const char *text)
{
	size_t len = strlen(text), done = 0;
	char buf[256];

	for (int i = 0; i < 2000 && done < len; i++) {
		ssize_t n = recv(fd, buf + done, len - done, 0);

		if (n > 0)
			done += (size_t)n;
		else
			alcor_fake_turn(fake, 5);
	}
	assert_int_equal(done, len);
	assert_memory_equal(buf, text, len);
}

void expect_end(int fd)
{
	char c;

	for (int i = 0; i < 2000; i++) {
		ssize_t n = recv(fd, &c, 1, 0);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return;
		assert_true(n < 0);
		alcor_fake_turn(fake, 5);
	}
	fail_msg("the stream did not end");
}
