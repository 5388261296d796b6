/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's driver, and programs of the host, for tests of virtio-vsock. */
#ifndef ALCOR_PLUGINS_VSOCK_TEST_FIXTURE_H
#define ALCOR_PLUGINS_VSOCK_TEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/virtio_vsock.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "alcor_testing.h"

#define OP(op) VIRTIO_VSOCK_OP_##op

#define CID	 3
#define GUEST	 5000 /* a port of the guest */
#define HOST	 80   /* a port of the host, that a program listens at */
#define HEADER	 44u
#define BUF	 (256u * 1024)
#define RX_SIZE	 (HEADER + 65536)
#define RX_COUNT 32
#define SOCKET	 "vsock-test"

extern struct alcor_fake *fake;

/* A packet as the guest got it. */
struct packet {
	struct virtio_vsock_hdr hdr;
	uint8_t data[65536];
};

/* Creates and activates the device; the guest gives @n_rx buffers. */
void device_open(unsigned n_rx);
void device_close(void);
void rx_supply(unsigned n);
/* Takes the next packet, and gives its buffer back: false when there is none by now. */
bool rx_poll(struct packet *ret);
/* The same, waiting; fails the test when none comes. */
void rx_next(struct packet *ret);
/* The next packet must have this op, and belong to these ports. */
void rx_expect(struct packet *ret, uint16_t op, uint32_t host_port, uint32_t guest_port);
/* The device has nothing to do: it does not spin. */
void idle(void);
/* That, and no packet comes. */
void quiet(void);
void turns(unsigned n);

struct virtio_vsock_hdr header(uint16_t op, uint32_t host_port, uint32_t guest_port, uint32_t len);
/* Sends @hdr and @data in one buffer each; true: it was completed. */
void tx(struct virtio_vsock_hdr hdr, const void *data, size_t len);
void tx_op(uint16_t op, uint32_t host_port, uint32_t guest_port);
void tx_data(uint32_t host_port, uint32_t guest_port, const void *data, uint32_t len);
void tx_shutdown(uint32_t host_port, uint32_t guest_port, uint32_t flags);

/* A client of the host; non-blocking. */
int client(const char *line);
/* Gets a stream: the client's descriptor, and the host port. */
int client_open(uint32_t guest_port, uint32_t *ret_host_port);
int listener(uint32_t port, int backlog);
/* A stream that the guest opened: the accepted descriptor. */
int guest_open(int listen_fd, uint32_t host_port, uint32_t guest_port);
/* Turns until @len bytes were read, which must be @text. */
void expect_text(int fd, const char *text);
/* Turns until the stream ends. */
void expect_end(int fd);
void put(int fd, const char *text);

#endif
