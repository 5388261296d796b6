/* SPDX-License-Identifier: Apache-2.0 */
/* alcor.loop/1: descriptors, timers and deferred calls on the device's loop. */
#include <errno.h>
#include <stdlib.h>

#include "plugin/device_impl.h"
#include "plugin/svc.h"
#include "util/cleanup.h"

static int check_thread(struct device *dev, const char *what)
{
	if (device_on_loop(dev))
		return 0;
	log_limited(&dev->log_limit, LOG_ERROR, "%s: the plugin calls %s from a wrong thread",
		    dev->id, what);
	return -EPERM;
}

/* --- watches --- */

/* The callback may remove the watch: it is not touched after the call. */
static void watch_ready(void *opaque, uint32_t events)
{
	struct alcor_watch *watch = opaque;
	struct device *dev = watch->dev;

	device_enter(dev);
	watch->cb(watch->opaque, events);
	device_leave(dev);
}

static int svc_loop_watch(struct alcor_dev *pub, int fd, uint32_t events,
			  void (*cb)(void *opaque, uint32_t events), void *opaque,
			  struct alcor_watch **ret_watch)
{
	struct device *dev = device_of(pub);
	CLEANUP_FREE struct alcor_watch *watch = NULL;
	struct loop *loop;
	int ret = check_thread(dev, "watch()");

	if (!ret)
		ret = device_loop(dev, &loop);
	if (ret)
		return ret;
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	watch->dev = dev;
	watch->cb = cb;
	watch->opaque = opaque;
	ret = loop_watch_add(loop, fd, events, watch_ready, watch, &watch->watch);
	if (ret)
		return ret;
	LIST_INSERT_HEAD(&dev->watches, watch, link);
	*ret_watch = TAKE_PTR(watch);
	return 0;
}

static int svc_loop_modify(struct alcor_watch *watch, uint32_t events)
{
	int ret = check_thread(watch->dev, "modify()");

	return ret ? ret : loop_watch_modify(watch->watch, events);
}

static void watch_free(struct alcor_watch *watch)
{
	LIST_REMOVE(watch, link);
	loop_watch_remove(watch->watch);
	free(watch);
}

static void svc_loop_unwatch(struct alcor_watch *watch)
{
	if (watch && check_thread(watch->dev, "unwatch()") == 0)
		watch_free(watch);
}

/* --- timers --- */

static void timer_fired(void *opaque)
{
	struct alcor_timer *timer = opaque;
	struct device *dev = timer->dev;

	device_enter(dev);
	timer->cb(timer->opaque);
	device_leave(dev);
}

static int svc_loop_timer(struct alcor_dev *pub, void (*cb)(void *opaque), void *opaque,
			  struct alcor_timer **ret_timer)
{
	struct device *dev = device_of(pub);
	CLEANUP_FREE struct alcor_timer *timer = NULL;
	struct loop *loop;
	int ret = check_thread(dev, "timer()");

	if (!ret)
		ret = device_loop(dev, &loop);
	if (ret)
		return ret;
	timer = calloc(1, sizeof(*timer));
	if (!timer)
		return -ENOMEM;
	timer->dev = dev;
	timer->cb = cb;
	timer->opaque = opaque;
	ret = loop_timer_add(loop, timer_fired, timer, &timer->timer);
	if (ret)
		return ret;
	LIST_INSERT_HEAD(&dev->timers, timer, link);
	*ret_timer = TAKE_PTR(timer);
	return 0;
}

static void svc_loop_arm(struct alcor_timer *timer, uint64_t ns)
{
	loop_timer_set(timer->timer, ns);
}

static int svc_loop_defer(struct alcor_dev *pub, void (*cb)(void *opaque), void *opaque)
{
	return device_defer(device_of(pub), cb, opaque);
}

void svc_loop_revoke(struct device *dev)
{
	struct alcor_watch *watch;
	struct alcor_timer *timer;

	while ((watch = LIST_FIRST(&dev->watches)))
		watch_free(watch);
	while ((timer = LIST_FIRST(&dev->timers))) {
		LIST_REMOVE(timer, link);
		loop_timer_remove(timer->timer);
		free(timer);
	}
}

const struct alcor_loop svc_loop = {
	.struct_size = sizeof(svc_loop),
	.watch = svc_loop_watch,
	.modify = svc_loop_modify,
	.unwatch = svc_loop_unwatch,
	.timer = svc_loop_timer,
	.arm = svc_loop_arm,
	.defer = svc_loop_defer,
};
