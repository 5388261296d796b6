/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of a device and its thread, and how callbacks are kept apart. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "plugin/device_impl.h"
#include "util/cleanup.h"

#define THREAD_NAME_MAX 16

static void *loop_thread(void *opaque)
{
	loop_run(opaque);
	return NULL;
}

static void thread_serves(void *opaque)
{
	struct device *dev = opaque;

	LOCK_SCOPE(&dev->loop_lock);
	dev->serving = true;
	pthread_cond_signal(&dev->loop_serves);
}

/* Signals are the main thread's. With the loop lock held. */
static int thread_create(struct device *dev)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&dev->thread, NULL, loop_thread, dev->loop);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -ret;
}

/* With the loop lock held. Waits for the thread, for loop_call() runs on the caller's before. */
static int thread_start(struct device *dev)
{
	char name[THREAD_NAME_MAX];
	int ret;

	dev->serving = false;
	ret = loop_post(dev->loop, thread_serves, dev);
	if (!ret)
		ret = thread_create(dev);
	if (ret)
		return ret;
	dev->has_thread = true;
	snprintf(name, sizeof(name), "%s", dev->id);
	pthread_setname_np(dev->thread, name);
	while (!dev->serving)
		pthread_cond_wait(&dev->loop_serves, &dev->loop_lock);
	return 0;
}

static int thread_ensure(struct device *dev)
{
	return dev->loop && dev->resumed && !dev->has_thread ? thread_start(dev) : 0;
}

int device_loop(struct device *dev, struct loop **ret_loop)
{
	LOCK_SCOPE(&dev->loop_lock);
	int ret = dev->loop ? 0 : loop_new(&dev->loop);

	if (!ret)
		ret = thread_ensure(dev);
	if (ret)
		return ret;
	*ret_loop = dev->loop;
	return 0;
}

int device_loop_start(struct device *dev)
{
	LOCK_SCOPE(&dev->loop_lock);
	dev->resumed = true;
	return thread_ensure(dev);
}

void device_loop_stop(struct device *dev)
{
	bool had_thread;

	pthread_mutex_lock(&dev->loop_lock);
	had_thread = dev->has_thread;
	dev->resumed = false;
	pthread_mutex_unlock(&dev->loop_lock);
	if (!had_thread)
		return;
	loop_quit(dev->loop);
	pthread_join(dev->thread, NULL);
	pthread_mutex_lock(&dev->loop_lock);
	dev->has_thread = false;
	pthread_mutex_unlock(&dev->loop_lock);
}

void device_loop_free(struct device *dev)
{
	struct device_defer *defer;

	loop_free(dev->loop);
	dev->loop = NULL;
	while ((defer = LIST_FIRST(&dev->defers))) {
		LIST_REMOVE(defer, link);
		free(defer);
	}
}

static struct loop *loop_or_null(struct device *dev)
{
	LOCK_SCOPE(&dev->loop_lock);
	return dev->loop;
}

void device_call(struct device *dev, loop_fn *fn, void *opaque)
{
	struct loop *loop = loop_or_null(dev);

	if (loop)
		loop_call(loop, fn, opaque);
	else
		fn(opaque);
}

bool device_on_loop(struct device *dev)
{
	LOCK_SCOPE(&dev->loop_lock);
	return !dev->has_thread || loop_is_current(dev->loop);
}

void device_enter(struct device *dev)
{
	if (dev->has_regs && dev->access == DEVICE_LOCKED)
		pthread_mutex_lock(&dev->lock);
}

void device_leave(struct device *dev)
{
	if (dev->has_regs && dev->access == DEVICE_LOCKED)
		pthread_mutex_unlock(&dev->lock);
}

/* --- deferred calls --- */

static void defer_run(void *opaque)
{
	struct device_defer *defer = opaque;
	struct device *dev = defer->dev;

	pthread_mutex_lock(&dev->loop_lock);
	LIST_REMOVE(defer, link);
	pthread_mutex_unlock(&dev->loop_lock);
	device_enter(dev);
	defer->cb(defer->opaque);
	device_leave(dev);
	free(defer);
}

int device_defer(struct device *dev, void (*cb)(void *opaque), void *opaque)
{
	struct device_defer *defer;
	struct loop *loop;
	int ret;

	ret = device_loop(dev, &loop);
	if (ret)
		return ret;
	defer = calloc(1, sizeof(*defer));
	if (!defer)
		return -ENOMEM;
	defer->dev = dev;
	defer->cb = cb;
	defer->opaque = opaque;
	/* Listed and posted in one step: it may run and be freed as soon as it is posted. */
	LOCK_SCOPE(&dev->loop_lock);
	ret = loop_post(loop, defer_run, defer);
	if (ret)
		free(defer);
	else
		LIST_INSERT_HEAD(&dev->defers, defer, link);
	return ret;
}
