/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engines carry out operations on the image. All functions are called on the device's loop thread
 * (create and destroy: or while it does not run), and so is done().
 */
#ifndef ALCOR_PLUGINS_VIRTIO_BLK_ENGINE_H
#define ALCOR_PLUGINS_VIRTIO_BLK_ENGINE_H

#include "io.h"

struct blk_engine {
	const struct blk_engine_ops *ops;
	int fd;		    /* readable when reap() has something to do */
	uint32_t in_flight; /* submitted, not done */
	/* An operation is complete, its result set. May submit others. */
	void (*done)(void *opaque, struct blk_io *io);
	void *opaque;
};

struct blk_engine_ops {
	/* Takes @io until it is done. Nothing need happen before commit(). */
	void (*submit)(struct blk_engine *engine, struct blk_io *io);
	/* The end of a batch of submissions. */
	void (*commit)(struct blk_engine *engine);
	/* Calls done() for what is complete; @wait: for at least one, if one is in flight. */
	void (*reap)(struct blk_engine *engine, bool wait);
	void (*destroy)(struct blk_engine *engine); /* nothing is in flight */
};

/* @entries: operations in flight at most. -ENOSYS and others where the host's kernel has no usable
 * io_uring. */
int blk_uring_new(uint32_t entries, struct blk_engine **ret_engine);
/* Threads are started when there is work for them. */
int blk_threads_new(const struct blk_image *image, struct blk_engine **ret_engine);

#endif
