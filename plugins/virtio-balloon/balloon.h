/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-balloon: a memory balloon (Virtio 1.3, 5.5). Everything runs on the device's loop. */
#ifndef ALCOR_PLUGINS_VIRTIO_BALLOON_BALLOON_H
#define ALCOR_PLUGINS_VIRTIO_BALLOON_BALLOON_H

#include <stdbool.h>

#include <alcor/ctl.h>
#include <alcor/loop.h>
#include <alcor/mem.h>
#include <alcor/plugin.h>
#include <alcor/virtio.h>

#define BALLOON_SEGMENTS 128 /* Linux reports 32 ranges at once, and wants room for them */

/* Of a list; the rest stays with the guest. Drivers send 256 to 1024 at once. */
#define BALLOON_PFNS_MAX 8192
#define BALLOON_PFN_SIZE 4096ull /* whatever the page sizes of guest and host (5.5.6) */

/* 5.5.6.4: tags of statistics, which are also the indices of their properties. */
#define BALLOON_N_STATS 10

struct balloon_stats {
	uint64_t values[BALLOON_N_STATS];
	uint32_t valid;	  /* bits: values that the driver gave */
	uint64_t time_ns; /* of the last ones; 0: none yet */
	uint64_t interval_ns;
	struct alcor_timer *timer;
	struct alcor_vreq *held; /* the driver's buffer, between two requests for statistics */
};

struct balloon {
	struct alcor_dev *dev;
	const struct alcor_virtio *virtio;
	const struct alcor_mem *mem;
	const struct alcor_loop *loop;
	const struct alcor_ctl *ctl;
	uint64_t offered, features; /* features: agreed on, 0 while not active */
	uint64_t target;	    /* bytes */
	uint64_t ram_size;
	uint32_t actual, poison; /* as the driver wrote them: pages, and a pattern */
	bool active, paused;
	struct balloon_stats stats;
};

/* --- pages.c --- */

/* The list of page frames in @req's readable part. */
void pages_inflate(struct balloon *balloon, struct alcor_vreq *req);
/* Free pages are @req's writable part itself (5.5.6.7). */
void pages_report(struct balloon *balloon, struct alcor_vreq *req);

/* --- stats.c --- */

/* Registers the properties and the timer; nothing without statistics. */
int stats_realize(struct balloon *balloon);
void stats_start(struct balloon *balloon);
/* After the queue has stopped: what the driver said is forgotten. */
void stats_stop(struct balloon *balloon);
/* Takes @req's statistics and keeps it; the one held before is given back. */
void stats_take(struct balloon *balloon, struct alcor_vreq *req);

#endif
