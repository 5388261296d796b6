/* SPDX-License-Identifier: Apache-2.0 */
/* A driver of the virtio console, for its tests. */
#ifndef ALCOR_PLUGINS_VIRTIO_CONSOLE_TEST_FIXTURE_H
#define ALCOR_PLUGINS_VIRTIO_CONSOLE_TEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "alcor_testing.h"

#define MULTIPORT 2u

enum { RX, TX, CONTROL_RX, CONTROL_TX };
enum {
	DEVICE_READY,
	PORT_ADD,
	PORT_REMOVE,
	PORT_READY,
	CONSOLE_PORT,
	RESIZE,
	PORT_OPEN,
	PORT_NAME
};

extern struct alcor_fake *fake;

/* Up to realize(); and to DRIVER_OK. */
int create_device(const char *claim, const char *params);
void open_device(const char *claim, const char *params, uint64_t features);
void close_device(void);

/* Requests on memory that lives until close_device(). */
struct alcor_fake_request *give(uint16_t queue, uint32_t len, char **ret_buf);
struct alcor_fake_request *submit(uint16_t queue, const void *data, uint32_t len);
struct alcor_fake_request *print(uint16_t queue, const char *text);
/* Turns until nothing is left to do at once. */
void settle(void);

/* The control queues: a message, and the ones that came, as text ("1:add 1:name=foo"). */
void control(uint32_t id, uint16_t event, uint16_t value);
void control_give(unsigned n, uint32_t len);
const char *control_text(void);

#endif
