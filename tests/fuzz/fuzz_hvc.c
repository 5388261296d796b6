/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile driver of the virtio console: a sequence of operations, each an opcode, a length and
 * what belongs to it. The fake host ends the program where the plugin breaks a rule of the ABI; in
 * the end the device must still serve a driver that behaves.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "alcor_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MULTIPORT 2u
#define BUFFERS	  512

enum { CONTROL_RX = 2, CONTROL_TX = 3, QUEUES = 8 };

struct driver {
	struct alcor_fake *fake;
	const uint8_t *at, *end;
	void *buffers[BUFFERS];
	unsigned n_buffers;
	bool paused;
};

static uint8_t next(struct driver *drv)
{
	return drv->at < drv->end ? *drv->at++ : 0;
}

static char *buffer_new(struct driver *drv, size_t len)
{
	char *buf = calloc(1, len ? len : 1);

	if (!buf)
		abort();
	drv->buffers[drv->n_buffers++] = buf;
	return buf;
}

/* Bytes of the input, in two parts. */
static void driver_send(struct driver *drv, uint16_t queue, uint8_t len, uint8_t cut)
{
	size_t n = len < drv->end - drv->at ? len : (size_t)(drv->end - drv->at);
	size_t first = n ? cut % (n + 1) : 0;
	char *buf = buffer_new(drv, n);
	struct iovec out[] = { { buf, first }, { buf + first, n - first } };

	memcpy(buf, drv->at, n);
	drv->at += n;
	alcor_fake_submit(drv->fake, queue, out, 2, NULL, 0);
	alcor_fake_notify(drv->fake, queue);
}

static struct alcor_fake_request *driver_give(struct driver *drv, uint16_t queue, uint8_t len)
{
	char *buf = buffer_new(drv, len);
	struct iovec in[] = { { buf, len / 3 }, { buf + len / 3, len - len / 3 } };
	struct alcor_fake_request *req = alcor_fake_submit(drv->fake, queue, NULL, 0, in, 2);

	alcor_fake_notify(drv->fake, queue);
	return req;
}

static void driver_restart(struct driver *drv, uint64_t features)
{
	alcor_fake_deactivate(drv->fake);
	alcor_fake_activate(drv->fake, features);
}

static void driver_step(struct driver *drv)
{
	uint8_t op = next(drv), len = next(drv);
	uint16_t queue = len % QUEUES;

	switch (op % 10) {
	case 0:
	case 1:
		driver_send(drv, CONTROL_TX, len, op / 10);
		break;
	case 2:
		driver_give(drv, CONTROL_RX, len);
		break;
	case 3:
		driver_send(drv, queue, next(drv), op / 10);
		break;
	case 4:
		driver_give(drv, queue, next(drv));
		break;
	case 5:
		alcor_fake_input(drv->fake, "some text that a user types", len % 28);
		break;
	case 6:
		alcor_fake_output_room(drv->fake, len);
		break;
	case 7:
		drv->paused ? alcor_fake_resume(drv->fake) : alcor_fake_pause(drv->fake);
		drv->paused = !drv->paused;
		break;
	case 8:
		alcor_fake_queue_stop(drv->fake, queue);
		break;
	case 9:
		driver_restart(drv, len & MULTIPORT);
		break;
	}
	alcor_fake_turn(drv->fake, 0);
}

static void driver_check(struct driver *drv)
{
	static const uint8_t ready[] = { 0, 0, 0, 0, 0, 0, 1, 0 };
	struct alcor_fake_request *req;

	if (drv->paused)
		alcor_fake_resume(drv->fake);
	driver_restart(drv, MULTIPORT);
	drv->at = ready;
	drv->end = ready + sizeof(ready);
	driver_send(drv, CONTROL_TX, sizeof(ready), 0);
	req = driver_give(drv, CONTROL_RX, 8);
	if (!alcor_fake_wait(drv->fake, &req->done) || req->written != 8)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct driver drv = { .at = data, .end = data + size };

	drv.fake = alcor_fake_new(NULL, "hvc/stdio");
	if (alcor_fake_create(drv.fake, "console=null,port=name:null") ||
	    alcor_fake_realize(drv.fake))
		abort();
	alcor_fake_activate(drv.fake, MULTIPORT);
	while (drv.at < drv.end && drv.n_buffers < BUFFERS - 4)
		driver_step(&drv);
	driver_check(&drv);
	alcor_fake_free(drv.fake);
	while (drv.n_buffers)
		free(drv.buffers[--drv.n_buffers]);
	return 0;
}
