/* SPDX-License-Identifier: Apache-2.0 */
/* A small driver for virtio queues in memory of its own, and a plugin to talk to. */
#ifndef ALCOR_TESTS_UNIT_TEST_VIRTIO_DRIVER_H
#define ALCOR_TESTS_UNIT_TEST_VIRTIO_DRIVER_H

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#include "virtio/virtio.h"

#define BIT(n)	   (1ull << (n))
#define RIG_QUEUES 3
#define RIG_RAM	   (16u << 20)
#define RIG_DATA   0x100000u /* guest address of buffers */
#define RIG_CONFIG 32

/* What the plugin does with a request. */
enum rig_mode {
	RIG_ECHO, /* complements the readable bytes into the writable ones, completes at once */
	RIG_HOLD, /* keeps it for the test */
	RIG_LAZY, /* does not even pop */
};

/* The driver's view of one queue. */
struct rig_queue {
	uint16_t index, size;
	bool packed, event_idx;
	uint64_t desc_gpa, driver_gpa, device_gpa;
	struct vring_desc *desc;
	struct vring_packed_desc *ring;
	struct vring_avail *avail;
	struct vring_used *used;
	struct vring_packed_desc_event *driver_event, *device_event;
	uint16_t next_avail, next_used, kicked;
	bool avail_wrap, used_wrap;
	uint16_t n_free, free[VIRTIO_QUEUE_MAX]; /* descriptors (split), ids (packed) */
	uint16_t n_desc[VIRTIO_QUEUE_MAX];	 /* by head or id */
	uint16_t room;				 /* descriptors (packed) */
};

struct rig {
	struct mem *mem;
	uint8_t *ram;
	struct loop *loop;
	struct virtio_dev *dev;
	struct rig_queue queues[RIG_QUEUES];
	uint64_t features;
	struct alcor_virtio_desc desc;
	struct alcor_virtio_ops ops;

	/* The plugin. */
	enum rig_mode mode;
	uint32_t pop_max;
	struct alcor_vreq *held[VIRTIO_QUEUE_MAX];
	unsigned n_held, n_queue_calls, n_requests;
	int activate_result, config_result;
	unsigned config_writes;
	uint8_t config_first;
	char events[256]; /* "A" activate, "S<n>" queue_stop, "D" deactivate, "C" config */

	/* The transport. */
	_Atomic unsigned interrupts[RIG_QUEUES], config_interrupts;
	int irq_fd; /* signalled by each interrupt when not -1 */
};

struct rig_options {
	bool packed, no_event_idx, no_indirect;
	uint16_t size; /* 0: 256 */
	uint16_t max_segments;
	uint64_t low_ram; /* RAM below the hole; 0: all */
};

struct rig_buf {
	uint64_t gpa;
	uint32_t len;
};

void rig_open(struct rig *rig, const struct rig_options *options);
void rig_close(struct rig *rig);
/* Lets the loop do all that is due. */
void rig_pump(struct rig *rig);
/* Reset, negotiation, all queues, DRIVER_OK. */
void rig_start(struct rig *rig);
void rig_negotiate(struct rig *rig);
void rig_setup_queue(struct rig *rig, uint16_t index, uint16_t size);

uint8_t *rig_at(struct rig *rig, uint64_t gpa);
/* A chain of @n_out readable and @n_in writable buffers, by an indirect table at @table unless that
 * is 0. -1 when the queue is full. Made available but not announced. */
int rig_add(struct rig *rig, uint16_t q, const struct rig_buf *bufs, unsigned n_out, unsigned n_in,
	    uint64_t table);
/* One descriptor as it is given. */
int rig_add_raw(struct rig *rig, uint16_t q, uint64_t gpa, uint32_t len, uint16_t flags,
		uint16_t next_or_id);
/* Rings the doorbell if the device wants that. */
bool rig_kick(struct rig *rig, uint16_t q);
/* Completes what the plugin holds, with length 0. */
void rig_complete_all(struct rig *rig);
/* @n requests of 64 readable bytes on queue 0, not announced. */
void rig_send_n(struct rig *rig, unsigned n);
bool rig_used(struct rig *rig, uint16_t q, uint16_t *ret_id, uint32_t *ret_len);
/* Next interrupt after @more further used chains of one descriptor each. */
void rig_want_interrupt(struct rig *rig, uint16_t q, uint16_t more);
void rig_no_interrupt(struct rig *rig, uint16_t q);

#endif
