/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile guest and odd programs of the host: the input is packets, buffers for answers, and what
 * the other ends of the Unix sockets do. Whatever comes, the device answers within the limits of
 * its queues (which the fake host checks), leaks nothing, and serves a new client after a reset.
 *
 * Input: operations of one byte each, followed by their operands.
 */
#include <fcntl.h>
#include <linux/virtio_vsock.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "alcor_testing.h"

#define FUZZ_OPS    200
#define FUZZ_FDS    8
#define FUZZ_MEM    (400u * 1024)
#define FUZZ_HEADER 44

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	const uint8_t *data;
	size_t left;
	struct alcor_fake *fake;
	int listen_fd, clients[FUZZ_FDS], accepted[FUZZ_FDS];
	unsigned n_clients, n_accepted;
	uint8_t *mem, *rx;
};

static char dir[] = P_tmpdir "/alcor-fuzz-vsock-XXXXXX";

static void require(bool truth)
{
	if (!truth)
		abort();
}

static uint32_t take(struct fuzz *fuzz, unsigned n)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < n && fuzz->left; i++, fuzz->left--)
		value |= (uint32_t)*fuzz->data++ << 8 * i;
	return value;
}

/* --- programs of the host --- */

static struct sockaddr_un address(const char *suffix)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/s%s", dir, suffix);
	return addr;
}

static void open_listener(struct fuzz *fuzz)
{
	struct sockaddr_un addr = address("_80");

	unlink(addr.sun_path);
	fuzz->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	require(!bind(fuzz->listen_fd, (struct sockaddr *)&addr, sizeof(addr)));
	require(!listen(fuzz->listen_fd, 2));
}

static int connect_client(const char *text, size_t len)
{
	struct sockaddr_un addr = address("");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	require(fd >= 0 && !connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	require(send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len);
	return fd;
}

static void op_client(struct fuzz *fuzz, uint32_t how)
{
	char text[48];
	size_t len = 0;

	if (fuzz->n_clients == FUZZ_FDS)
		return;
	if (how & 1)
		len = (size_t)snprintf(text, sizeof(text), "CONNECT 5%u\n", how >> 1);
	else
		for (uint32_t n = take(fuzz, 1) % sizeof(text); len < n; len++)
			text[len] = (char)take(fuzz, 1);
	fuzz->clients[fuzz->n_clients++] = connect_client(text, len);
}

static void op_accept(struct fuzz *fuzz)
{
	int fd = fuzz->n_accepted < FUZZ_FDS ? accept4(fuzz->listen_fd, NULL, NULL, SOCK_NONBLOCK) :
					       -1;

	if (fd >= 0)
		fuzz->accepted[fuzz->n_accepted++] = fd;
}

static void op_socket(struct fuzz *fuzz, uint32_t how)
{
	uint32_t which = take(fuzz, 1), len = take(fuzz, 2) * 4;
	int *fds = which & 1 ? fuzz->clients : fuzz->accepted;
	unsigned *n = which & 1 ? &fuzz->n_clients : &fuzz->n_accepted;
	int *fd = &fds[(which >> 1) % FUZZ_FDS];

	if ((which >> 1) % FUZZ_FDS >= *n)
		return;
	if (how < 5)
		(void)!send(*fd, fuzz->mem, len, MSG_NOSIGNAL | (how == 4 ? MSG_OOB : 0));
	else if (how < 10)
		(void)!recv(*fd, fuzz->mem, len, 0);
	else if (how < 13)
		shutdown(*fd, (int)how - 10);
	else {
		close(*fd);
		*fd = fds[--*n];
	}
}

/* --- the guest --- */

static const uint32_t ports[] = { 80, 1024, 1025, 1026, 81 };
static const uint32_t guest_ports[] = { 50, 51, 52, 5000 };

static void op_packet(struct fuzz *fuzz, uint32_t op)
{
	uint32_t which = take(fuzz, 1), shape = take(fuzz, 1), len = take(fuzz, 2), cut;
	struct virtio_vsock_hdr hdr = {
		.src_cid = 3,
		.dst_cid = 2,
		.src_port = guest_ports[which % 4],
		.dst_port = ports[which / 4 % 5],
		.type = 1,
		.op = (uint16_t)op,
		.len = shape & 1 ? len * 5 : 0,
		.buf_alloc = shape & 2 ? take(fuzz, 4) : 65536,
		.fwd_cnt = shape & 4 ? take(fuzz, 4) : 0,
		.flags = shape & 8 ? take(fuzz, 4) : which & 3,
	};
	struct iovec out[2];

	cut = shape & 0x10 ? take(fuzz, 1) : FUZZ_HEADER;
	memcpy(fuzz->mem, &hdr, sizeof(hdr));
	if (shape & 0x20)
		fuzz->mem[take(fuzz, 1) % FUZZ_HEADER] ^= (uint8_t)take(fuzz, 1);
	if (shape & 0x40)
		hdr.len = take(fuzz, 2) * 5;
	out[0] = (struct iovec){ fuzz->mem, cut };
	out[1] = (struct iovec){ fuzz->mem + cut, hdr.len };
	alcor_fake_submit(fuzz->fake, 1, out, shape & 0x80 ? 1 : 2, NULL, 0);
	alcor_fake_notify(fuzz->fake, 1);
}

/* A good packet of a stream to port 80, with data that nobody checks; or the answer to a client. */
static void good_packet(struct fuzz *fuzz, uint16_t op, uint32_t which, uint32_t len)
{
	struct virtio_vsock_hdr hdr = {
		.src_cid = 3,
		.dst_cid = 2,
		.src_port = guest_ports[which % 4],
		.dst_port = op == VIRTIO_VSOCK_OP_RESPONSE ? 1024 + which / 4 : 80,
		.type = 1,
		.op = op,
		.len = len,
		.flags = which >> 2 & 3,
		.buf_alloc = 65536,
	};
	struct iovec out = { fuzz->mem, FUZZ_HEADER + len };

	memcpy(fuzz->mem, &hdr, sizeof(hdr));
	alcor_fake_submit(fuzz->fake, 1, &out, 1, NULL, 0);
	alcor_fake_notify(fuzz->fake, 1);
	for (unsigned i = 0; i < 6; i++)
		alcor_fake_turn(fuzz->fake, 0);
}

/* A stream that is established, as much as the state of things allows, and perhaps full. */
static void op_stream(struct fuzz *fuzz, uint32_t which)
{
	struct iovec in = { fuzz->rx, 65536 };

	for (unsigned i = 0; i < 4; i++)
		alcor_fake_submit(fuzz->fake, 0, NULL, 0, &in, 1);
	good_packet(fuzz, VIRTIO_VSOCK_OP_REQUEST, which, 0);
	op_accept(fuzz);
	for (uint32_t i = 0; which & 8 && i < 7; i++)
		good_packet(fuzz, VIRTIO_VSOCK_OP_RW, which, 65000);
}

static void op_good(struct fuzz *fuzz, uint32_t which)
{
	uint32_t op = take(fuzz, 1);

	good_packet(fuzz, op % 8, which, op % 8 == VIRTIO_VSOCK_OP_RW ? (op >> 3) * 2000 : 0);
}

static void op_buffers(struct fuzz *fuzz, uint32_t n)
{
	uint32_t first = take(fuzz, 1), second = take(fuzz, 2);
	struct iovec in[] = { { fuzz->rx, first }, { fuzz->rx + first, second } };

	for (uint32_t i = 0; i <= n; i++)
		alcor_fake_submit(fuzz->fake, 0, NULL, 0, in, 2);
	alcor_fake_notify(fuzz->fake, 0);
}

static void op_life(struct fuzz *fuzz, uint32_t how)
{
	if (how < 4) {
		alcor_fake_deactivate(fuzz->fake);
		require(!alcor_fake_activate(fuzz->fake, 1));
	} else if (how < 6) {
		alcor_fake_queue_stop(fuzz->fake, (uint16_t)(how - 4));
	} else {
		require(!alcor_fake_pause(fuzz->fake));
		for (uint32_t i = 0; i < how; i++)
			alcor_fake_turn(fuzz->fake, 0);
		require(!alcor_fake_resume(fuzz->fake));
	}
}

static void step(struct fuzz *fuzz)
{
	uint32_t op = take(fuzz, 1), operand = op >> 4;

	switch (op & 7) {
	case 0:
	case 1:
		op_packet(fuzz, operand % 9);
		break;
	case 2:
		op_buffers(fuzz, operand);
		break;
	case 3:
		op_client(fuzz, operand);
		break;
	case 4:
		op_accept(fuzz);
		break;
	case 5:
		op_socket(fuzz, operand);
		break;
	case 6:
		if (op & 8)
			op_life(fuzz, operand);
		else
			op_good(fuzz, operand);
		break;
	case 7:
		op_stream(fuzz, operand);
		break;
	}
	for (uint32_t i = 0; i < 6; i++)
		alcor_fake_turn(fuzz->fake, 0);
}

/* What a reset is for. */
static void check_recovery(struct fuzz *fuzz)
{
	const struct virtio_vsock_hdr *hdr = (const void *)fuzz->rx;
	struct iovec in = { fuzz->rx, 4096 };
	struct alcor_fake_request *req;
	int fd;

	for (unsigned i = 0; i < 20; i++)
		alcor_fake_turn(fuzz->fake, 0);
	alcor_fake_deactivate(fuzz->fake);
	require(!alcor_fake_activate(fuzz->fake, 1));
	req = alcor_fake_submit(fuzz->fake, 0, NULL, 0, &in, 1);
	fd = connect_client("CONNECT 7\n", 10);
	require(alcor_fake_wait(fuzz->fake, &req->done));
	require(req->written == FUZZ_HEADER && hdr->op == VIRTIO_VSOCK_OP_REQUEST);
	require(hdr->dst_port == 7 && hdr->src_port >= 1024 && hdr->dst_cid == 3);
	close(fd);
}

static void cleanup(void)
{
	struct sockaddr_un addr = address("_80");

	unlink(addr.sun_path);
	rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	require(mkdtemp(dir) != NULL);
	atexit(cleanup);
	/* Loads the plugin before coverage is counted. */
	alcor_fake_free(alcor_fake_new(PLUGIN_PATH, "vsock/uds"));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { .data = data, .left = size };
	char params[128];

	fuzz.mem = calloc(1, FUZZ_MEM);
	fuzz.rx = calloc(1, 65536 + 256);
	fuzz.fake = alcor_fake_new(PLUGIN_PATH, "vsock/uds");
	snprintf(params, sizeof(params), "cid=3,path=%s/s", dir);
	require(!alcor_fake_create(fuzz.fake, params) && !alcor_fake_realize(fuzz.fake));
	require(!alcor_fake_activate(fuzz.fake, 1));
	open_listener(&fuzz);
	for (unsigned n = 0; n < FUZZ_OPS && fuzz.left; n++)
		step(&fuzz);
	check_recovery(&fuzz);
	while (fuzz.n_clients)
		close(fuzz.clients[--fuzz.n_clients]);
	while (fuzz.n_accepted)
		close(fuzz.accepted[--fuzz.n_accepted]);
	close(fuzz.listen_fd);
	alcor_fake_free(fuzz.fake);
	free(fuzz.rx);
	free(fuzz.mem);
	return 0;
}
