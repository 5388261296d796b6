/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alcor.loop/1: the device's loop thread. Each device that registers something here, or is a virtio
 * device, has a thread of its own; its callbacks may do bounded blocking I/O without holding up
 * other devices or vCPUs. Everything registered is revoked by the host at destroy().
 */
#ifndef ALCOR_LOOP_H
#define ALCOR_LOOP_H

#include <alcor/plugin.h>
#include <sys/epoll.h>

#define ALCOR_LOOP_ID "alcor.loop/1"

struct alcor_watch;
struct alcor_timer;

struct alcor_loop {
	uint32_t struct_size;
	/* [main][dev] Calls @cb [dev] while @fd is ready for @events (EPOLLIN, EPOLLOUT; level
	 * triggered). The descriptor stays the plugin's; unwatch before closing it. */
	int (*watch)(struct alcor_dev *dev, int fd, uint32_t events,
		     void (*cb)(void *opaque, uint32_t events), void *opaque,
		     struct alcor_watch **ret_watch);
	int (*modify)(struct alcor_watch *watch, uint32_t events); /* [dev] 0 events: silent */
	void (*unwatch)(struct alcor_watch *watch);		   /* [main][dev] NULL is fine */
	/* [main][dev] A timer, not armed. @cb runs [dev]. */
	int (*timer)(struct alcor_dev *dev, void (*cb)(void *opaque), void *opaque,
		     struct alcor_timer **ret_timer);
	/* [any] Fires once in @ns nanoseconds from now; 0 disarms. */
	void (*arm)(struct alcor_timer *timer, uint64_t ns);
	/* [any] Runs @cb [dev] soon; calls from one thread keep their order. -ENOMEM. */
	int (*defer)(struct alcor_dev *dev, void (*cb)(void *opaque), void *opaque);
};

#endif
