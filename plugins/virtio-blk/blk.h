/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk: what the files of the plugin share. (Virtio 1.3, 5.2.) */
#ifndef ALCOR_PLUGINS_VIRTIO_BLK_BLK_H
#define ALCOR_PLUGINS_VIRTIO_BLK_BLK_H

#include <linux/virtio_blk.h>
#include <stdbool.h>
#include <stdint.h>

#include <alcor/loop.h>
#include <alcor/virtio.h>

#include "engine.h"
#include "image.h"
#include "io.h"

#define BLK_QUEUES_MAX	 64
#define BLK_SEGMENTS_MAX 256 /* header and status included */
#define BLK_SERIAL_LEN	 20

/* Limits of DISCARD and WRITE_ZEROES. */
#define BLK_RANGES_MAX	    16
#define BLK_DISCARD_SECTORS (1u << 22)
#define BLK_ZERO_SECTORS    (1u << 18)

struct blk {
	struct alcor_dev *dev;
	const struct alcor_virtio *virtio;
	const struct alcor_loop *loop;
	struct blk_image image;
	char serial[BLK_SERIAL_LEN]; /* padded with NUL, not always ended by one */
	uint64_t features;	     /* offered */
	uint16_t n_queues, queue_size;
	bool writethrough; /* the driver knows no FLUSH: writes are stable before they complete */
	bool paused;
	uint64_t touched;	   /* queues with completions that the driver does not see yet */
	struct blk_engine *engine; /* reads, writes and flushes */
	struct blk_engine *slow;   /* the rest; the same one if @engine is the thread pool */
};

/* Takes a request from queue @index; it is completed now or later. */
void blk_request_start(struct blk *blk, struct alcor_vreq *vreq, uint16_t index);
/* Completion of an engine; the opaque of the engine is the struct blk. */
void blk_request_io_done(void *opaque, struct blk_io *io);
/* Publishes completions. */
void blk_flush_queues(struct blk *blk);
/* Waits for everything in flight. */
void blk_drain(struct blk *blk);

/* Private bytes of a request. */
uint32_t blk_request_size(void);

#endif
