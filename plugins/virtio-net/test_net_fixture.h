/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of network devices: a driver, and what stands for the tap. */
#ifndef ALCOR_PLUGINS_VIRTIO_NET_TEST_NET_FIXTURE_H
#define ALCOR_PLUGINS_VIRTIO_NET_TEST_NET_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/virtio_net.h>
#include <sys/types.h>

#include "alcor_testing.h"

#define FEATURE(bit) (1ull << (bit))
#define HDR_LEN	     12
#define FRAME_MAX    65562
#define FAKE_NODE    "fake-tun"
#define FAKE_PAIRS   4

extern struct alcor_fake *fake;

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int setup(void **state);
int teardown(void **state);
int create(const char *keyword, const char *params);
/* create, realize, resume, activate with @features; the driver's MRG_RXBUF and so on. */
int start(const char *keyword, const char *params, uint64_t features);
void turn(void);

/* Receive buffers and frames to send. */
struct alcor_fake_request *give(uint16_t queue, void *buf, size_t len);
struct alcor_fake_request *send_frame(uint16_t queue, void *frame, size_t len);
/* The ack of a command, 0xff when it did not come. */
uint8_t command(uint16_t queue, uint8_t class, uint8_t cmd, const void *data, size_t len);

/* The device node FAKE_NODE: each open() gives one end of a socket pair, whose messages are the
 * frames; ioctl() is recorded. */
struct fake_tap {
	int peers[FAKE_PAIRS]; /* our ends */
	unsigned n_opened;
	unsigned offloads_possible;
	unsigned offloads;
	int header_len;
	short flags[FAKE_PAIRS];
	bool detached[FAKE_PAIRS];
	int setiff_errno;	/* 0: works */
	bool needs_multi_queue; /* TUNSETIFF without it is EINVAL */
	int attach_errno;	/* of the third queue */
	int receive_errno;
	char name[16];
};

extern struct fake_tap tap;
void tap_clear(void);

/* A tap of that kind, and @more parameters. */
int start_tap(const char *more, uint64_t features);
extern uint8_t tap_frame[FRAME_MAX + 100]; /* a pattern behind an empty header */
extern uint8_t tap_buf[FRAME_MAX + 10000];
/* The first @len bytes of tap_frame come from the host's side; what goes there
 * gets into tap_buf. */
void arrive(unsigned pair, size_t len);
ssize_t leave(unsigned pair);

#endif
