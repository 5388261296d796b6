/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-fs: what the files of the plugin share. (Virtio 1.3, 5.11; FUSE as in <linux/fuse.h>.) */
#ifndef ALCOR_PLUGINS_VIRTIO_FS_FS_H
#define ALCOR_PLUGINS_VIRTIO_FS_FS_H

#include <linux/fuse.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <alcor/loop.h>
#include <alcor/virtio.h>

#include "node.h"

#define FS_QUEUES_MAX 8
#define FS_TAG_LEN    36
#define FS_MAX_PAGES  256
#define FS_MAX_WRITE  (1u << 20)

/* Buffers of a request: the pages of the largest transfer, headers and arguments. */
#define FS_SEGMENTS_MAX (FS_MAX_PAGES + 64)

/* The order of the choices of cache=. */
enum fs_cache { FS_CACHE_AUTO, FS_CACHE_NONE, FS_CACHE_ALWAYS };

struct fs_pool;

struct fs {
	struct alcor_dev *dev;
	const struct alcor_virtio *virtio;
	const struct alcor_loop *loop;
	char tag[FS_TAG_LEN]; /* padded with NUL, not always ended by one */
	uint16_t n_queues;    /* of requests */
	enum fs_cache cache;
	bool readonly, xattr;
	bool squash;	/* the guest's root owns everything */
	bool give_away; /* what the guest's users create belongs to them on the host */
	int proc_fd;	/* /proc/self/fd */
	int fd_limit;	/* descriptors from this number on are for the rest of the program */
	bool paused;
	uint32_t touched; /* queues with completions that the driver does not see yet */
	_Atomic bool mounted;
	struct fs_pool *pool;
	struct fs_nodes nodes;
	struct fs_handles handles;
};

/* What is open at the guest's end, and all that it looked up, is gone. */
void fs_forget_all(struct fs *fs);
/* Publishes completions. */
void fs_flush_queues(struct fs *fs);

#endif
