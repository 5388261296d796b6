/* SPDX-License-Identifier: Apache-2.0 */
#include "test_net_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct alcor_fake *fake;
struct fake_tap tap;
uint8_t tap_frame[FRAME_MAX + 100], tap_buf[FRAME_MAX + 10000];

static int device_ends[FAKE_PAIRS];

void tap_clear(void)
{
	for (unsigned i = 0; i < tap.n_opened; i++)
		close(tap.peers[i]);
	tap = (struct fake_tap){ .offloads_possible = ~0u };
}

int teardown(void **state)
{
	alcor_fake_free(fake);
	fake = NULL;
	tap_clear();
	return 0;
}

/* --- in front of the C library --- */

#define IN_FRONT __attribute__((visibility("default")))

IN_FRONT int open(const char *path, int flags, ...);
IN_FRONT int ioctl(int fd, unsigned long request, ...);
IN_FRONT ssize_t readv(int fd, const struct iovec *iov, int n);

int open(const char *path, int flags, ...)
{
	va_list ap;
	int ends[2], mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, int) : 0;
	va_end(ap);
	if (strcmp(path, FAKE_NODE) != 0)
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	if (tap.n_opened == FAKE_PAIRS ||
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	device_ends[tap.n_opened] = ends[0];
	tap.peers[tap.n_opened++] = ends[1];
	return ends[0];
}

static int failed(int error)
{
	errno = error;
	return -1;
}

static int fake_ioctl(unsigned n, unsigned long request, void *arg)
{
	struct ifreq *req = arg;

	switch (request) {
	case TUNSETIFF:
		if (tap.setiff_errno)
			return failed(tap.setiff_errno);
		if (tap.needs_multi_queue && !(req->ifr_flags & IFF_MULTI_QUEUE))
			return failed(EINVAL);
		tap.flags[n] = req->ifr_flags;
		strcpy(req->ifr_name, "tap7");
		return 0;
	case TUNSETVNETHDRSZ:
		tap.header_len = *(int *)arg;
		return 0;
	case TUNSETOFFLOAD:
		if ((unsigned long)arg & ~(unsigned long)tap.offloads_possible)
			return failed(EINVAL);
		tap.offloads = (unsigned)(unsigned long)arg;
		return 0;
	case TUNSETQUEUE:
		if (tap.attach_errno && n == 2)
			return failed(tap.attach_errno);
		if (tap.detached[n] == !!(req->ifr_flags & IFF_DETACH_QUEUE))
			return failed(EINVAL);
		tap.detached[n] = !tap.detached[n];
		return 0;
	default:
		return failed(ENOTTY);
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	for (unsigned i = 0; i < tap.n_opened; i++) {
		if (device_ends[i] == fd)
			return fake_ioctl(i, request, arg);
	}
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

ssize_t readv(int fd, const struct iovec *iov, int n)
{
	for (unsigned i = 0; i < tap.n_opened; i++) {
		if (device_ends[i] == fd && tap.receive_errno)
			return failed(tap.receive_errno);
	}
	return syscall(SYS_readv, fd, iov, n);
}

/* --- the driver --- */

int create(const char *keyword, const char *params)
{
	alcor_fake_free(fake);
	fake = alcor_fake_new(PLUGIN_PATH, keyword);
	return alcor_fake_create(fake, params);
}

int start(const char *keyword, const char *params, uint64_t features)
{
	int ret = create(keyword, params);

	if (!ret)
		ret = alcor_fake_realize(fake);
	if (!ret)
		ret = alcor_fake_resume(fake);
	if (!ret)
		ret = alcor_fake_activate(fake, features);
	for (uint16_t i = 0; !ret && i < fake->virtio_desc.n_queues; i++)
		alcor_fake_notify(fake, i);
	turn();
	return ret;
}

/* Enough for everything that needs no waiting. */
void turn(void)
{
	for (int i = 0; fake && i < 20; i++)
		alcor_fake_turn(fake, 0);
}

struct alcor_fake_request *give(uint16_t queue, void *buf, size_t len)
{
	struct iovec in = { buf, len };
	struct alcor_fake_request *req;

	req = alcor_fake_submit(fake, queue, NULL, 0, &in, 1);
	alcor_fake_notify(fake, queue);
	turn();
	return req;
}

struct alcor_fake_request *send_frame(uint16_t queue, void *frame, size_t len)
{
	struct iovec out = { frame, len };
	struct alcor_fake_request *req;

	req = alcor_fake_submit(fake, queue, &out, 1, NULL, 0);
	alcor_fake_notify(fake, queue);
	turn();
	return req;
}

uint8_t command(uint16_t queue, uint8_t class, uint8_t cmd, const void *data, size_t len)
{
	uint8_t head[2] = { class, cmd }, ack = 0xff;
	struct iovec out[2] = { { head, 2 }, { (void *)data, len } }, in = { &ack, 1 };
	struct alcor_fake_request *req;

	req = alcor_fake_submit(fake, queue, out, len ? 2 : 1, &in, 1);
	alcor_fake_notify(fake, queue);
	turn();
	assert_true(req->done);
	assert_int_equal(req->written, 1);
	return ack;
}

int setup(void **state)
{
	tap_clear();
	memset(tap_frame, 0, HDR_LEN);
	for (size_t i = HDR_LEN; i < sizeof(tap_frame); i++)
		tap_frame[i] = (uint8_t)(i * 7 + i / 251);
	memset(tap_buf, 0xee, sizeof(tap_buf));
	return 0;
}

int start_tap(const char *more, uint64_t features)
{
	char params[128];

	snprintf(params, sizeof(params), "tap=" FAKE_NODE "%s", more);
	return start("net/tap", params, features);
}

void arrive(unsigned pair, size_t len)
{
	assert_int_equal(send(tap.peers[pair], tap_frame, len, 0), len);
	turn();
}

ssize_t leave(unsigned pair)
{
	return recv(tap.peers[pair], tap_buf, sizeof(tap_buf), MSG_DONTWAIT);
}
