/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread at a time owns a loop: the one inside loop_run(), or for a moment a caller of
 * loop_call() that finds no owner. Watches and timers belong to the owner and need no lock; the
 * queue of posted calls has one.
 */
#include "util/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "util/cleanup.h"

#define LOOP_BATCH 64

struct loop_watch {
	struct loop *loop;
	LIST_ENTRY(loop_watch) link;
	int fd;
	bool owns_fd, removed;
	uint32_t events;
	loop_watch_fn *fn;
	void *opaque;
};

struct loop_timer {
	struct loop_watch watch; /* first: freed as a watch */
	loop_fn *fn;
	void *opaque;
};

/* From the heap when posted, on the caller's stack when somebody waits for it. */
struct loop_post {
	STAILQ_ENTRY(loop_post) link;
	loop_fn *fn;
	void *opaque;
	bool *ret_done; /* NULL when posted; under the lock */
};

LIST_HEAD(loop_watches, loop_watch);
STAILQ_HEAD(loop_posts, loop_post);

struct loop {
	int epoll_fd;
	int wake_fd;
	_Atomic bool quit;
	_Atomic(pthread_t) owner; /* 0: none. Written under the lock. */

	/* The owner's. */
	struct loop_watches watches;
	struct loop_watches removed; /* freed when no reported event can point to them */
	bool dispatching;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* a call is done, or the owner is gone */
	struct loop_posts posts;
};

static void loop_wake(struct loop *loop)
{
	uint64_t one = 1;

	/* Fails only when the counter is full, and then the loop is awake. */
	if (write(loop->wake_fd, &one, sizeof(one)) < 0)
		return;
}

int loop_new(struct loop **ret_loop)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
	struct loop *loop = calloc(1, sizeof(*loop));
	int err;

	if (!loop)
		return -ENOMEM;
	LIST_INIT(&loop->watches);
	LIST_INIT(&loop->removed);
	STAILQ_INIT(&loop->posts);
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->changed, NULL);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->wake_fd < 0 || loop->epoll_fd < 0 ||
	    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0) {
		err = -errno;
		loop_free(loop);
		return err;
	}
	*ret_loop = loop;
	return 0;
}

static void watch_free(struct loop_watch *watch)
{
	LIST_REMOVE(watch, link);
	if (watch->owns_fd)
		close(watch->fd);
	free(watch);
}

static void loop_reap(struct loop *loop)
{
	while (!LIST_EMPTY(&loop->removed))
		watch_free(LIST_FIRST(&loop->removed));
}

void loop_free(struct loop *loop)
{
	struct loop_post *post;

	if (!loop)
		return;
	loop_reap(loop);
	while (!LIST_EMPTY(&loop->watches))
		watch_free(LIST_FIRST(&loop->watches));
	while ((post = STAILQ_FIRST(&loop->posts))) {
		STAILQ_REMOVE_HEAD(&loop->posts, link);
		free(post);
	}
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	pthread_cond_destroy(&loop->changed);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

/* --- posted calls --- */

static void loop_enqueue(struct loop *loop, struct loop_post *post)
{
	bool was_empty = STAILQ_EMPTY(&loop->posts);

	STAILQ_INSERT_TAIL(&loop->posts, post, link);
	if (was_empty)
		loop_wake(loop);
}

static void loop_finish(struct loop *loop, struct loop_post *post)
{
	if (!post->ret_done) {
		free(post);
		return;
	}
	LOCK_SCOPE(&loop->lock);
	*post->ret_done = true;
	pthread_cond_broadcast(&loop->changed);
}

/* Runs what is queued now; what that queues waits for the next round, so that descriptors and
 * timers get their turn. */
static void loop_run_posts(struct loop *loop)
{
	struct loop_posts posts = STAILQ_HEAD_INITIALIZER(posts);
	struct loop_post *post;
	uint64_t count;

	/* Before the queue is emptied: a call queued from here on wakes the loop again. */
	if (read(loop->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&loop->lock);
	STAILQ_CONCAT(&posts, &loop->posts);
	pthread_mutex_unlock(&loop->lock);
	while ((post = STAILQ_FIRST(&posts))) {
		STAILQ_REMOVE_HEAD(&posts, link);
		post->fn(post->opaque);
		loop_finish(loop, post);
	}
}

int loop_post(struct loop *loop, loop_fn *fn, void *opaque)
{
	struct loop_post *post = calloc(1, sizeof(*post));

	if (!post)
		return -ENOMEM;
	post->fn = fn;
	post->opaque = opaque;
	LOCK_SCOPE(&loop->lock);
	loop_enqueue(loop, post);
	return 0;
}

int loop_call(struct loop *loop, loop_fn *fn, void *opaque)
{
	bool done = false;
	struct loop_post post = { .fn = fn, .opaque = opaque, .ret_done = &done };

	if (loop_is_current(loop)) {
		fn(opaque);
		return 0;
	}
	LOCK_SCOPE(&loop->lock);
	loop_enqueue(loop, &post);
	while (!done) {
		if (loop->owner) {
			pthread_cond_wait(&loop->changed, &loop->lock);
			continue;
		}
		/* Nobody runs the loop, or it was left: be its owner for what was queued up to
		 * here, which keeps the order of calls. */
		loop->owner = pthread_self();
		pthread_mutex_unlock(&loop->lock);
		loop_run_posts(loop);
		pthread_mutex_lock(&loop->lock);
		loop->owner = 0;
		pthread_cond_broadcast(&loop->changed);
	}
	return 0;
}

/* --- running --- */

bool loop_is_current(const struct loop *loop)
{
	return loop->owner == pthread_self();
}

void loop_quit(struct loop *loop)
{
	loop->quit = true;
	loop_wake(loop);
}

static void loop_dispatch(struct loop *loop, const struct epoll_event *event)
{
	struct loop_watch *watch = event->data.ptr;
	uint32_t events;

	if (!watch) {
		loop_run_posts(loop);
		return;
	}
	/* An earlier callback of this batch may have removed or silenced the watch. */
	if (watch->removed || !watch->events)
		return;
	events = event->events & (watch->events | EPOLLERR | EPOLLHUP);
	if (events)
		watch->fn(watch->opaque, events);
}

void loop_run(struct loop *loop)
{
	struct epoll_event events[LOOP_BATCH];
	int i, n;

	pthread_mutex_lock(&loop->lock);
	while (loop->owner)
		pthread_cond_wait(&loop->changed, &loop->lock);
	loop->owner = pthread_self();
	pthread_mutex_unlock(&loop->lock);

	while (!loop->quit) {
		n = epoll_wait(loop->epoll_fd, events, LOOP_BATCH, -1);
		loop->dispatching = true;
		for (i = 0; i < n; i++)
			loop_dispatch(loop, &events[i]);
		loop->dispatching = false;
		loop_reap(loop);
	}
	/* What was posted before loop_quit() still runs. */
	loop->quit = false;
	loop_run_posts(loop);

	pthread_mutex_lock(&loop->lock);
	loop->owner = 0;
	pthread_cond_broadcast(&loop->changed);
	pthread_mutex_unlock(&loop->lock);
}

/* --- watches --- */

static int watch_ctl(struct loop_watch *watch, int op, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	return epoll_ctl(watch->loop->epoll_fd, op, watch->fd, &event) < 0 ? -errno : 0;
}

/* Takes over @watch, which is allocated and zeroed. */
static int watch_start(struct loop *loop, struct loop_watch *watch, int fd, uint32_t events)
{
	int err;

	watch->loop = loop;
	watch->fd = fd;
	watch->events = events;
	err = events ? watch_ctl(watch, EPOLL_CTL_ADD, events) : 0;
	if (err)
		return err;
	LIST_INSERT_HEAD(&loop->watches, watch, link);
	return 0;
}

int loop_watch_add(struct loop *loop, int fd, uint32_t events, loop_watch_fn *fn, void *opaque,
		   struct loop_watch **ret_watch)
{
	struct loop_watch *watch = calloc(1, sizeof(*watch));
	int err;

	if (!watch)
		return -ENOMEM;
	watch->fn = fn;
	watch->opaque = opaque;
	err = watch_start(loop, watch, fd, events);
	if (err) {
		free(watch);
		return err;
	}
	*ret_watch = watch;
	return 0;
}

int loop_watch_modify(struct loop_watch *watch, uint32_t events)
{
	int op = EPOLL_CTL_MOD, err;

	if (events == watch->events)
		return 0;
	/* epoll reports errors and hang-ups for an empty set too: silence is absence. */
	if (!events)
		op = EPOLL_CTL_DEL;
	else if (!watch->events)
		op = EPOLL_CTL_ADD;
	err = watch_ctl(watch, op, events);
	if (err)
		return err;
	watch->events = events;
	return 0;
}

void loop_watch_remove(struct loop_watch *watch)
{
	if (!watch)
		return;
	/* Fails when the caller closed the descriptor too early; it is then out of the set. */
	if (watch->events)
		watch_ctl(watch, EPOLL_CTL_DEL, 0);
	watch->removed = true;
	if (!watch->loop->dispatching) {
		watch_free(watch);
		return;
	}
	LIST_REMOVE(watch, link);
	LIST_INSERT_HEAD(&watch->loop->removed, watch, link);
}

/* --- timers --- */

static void timer_fired(void *opaque, uint32_t events)
{
	struct loop_timer *timer = opaque;
	uint64_t count;

	/* Nothing to read: set anew after the event was reported. */
	if (read(timer->watch.fd, &count, sizeof(count)) == sizeof(count))
		timer->fn(timer->opaque);
}

int loop_timer_add(struct loop *loop, loop_fn *fn, void *opaque, struct loop_timer **ret_timer)
{
	CLEANUP_FREE struct loop_timer *timer = calloc(1, sizeof(*timer));
	CLEANUP_CLOSE int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int err;

	if (!timer)
		return -ENOMEM;
	if (fd < 0)
		return -errno;
	timer->fn = fn;
	timer->opaque = opaque;
	timer->watch.fn = timer_fired;
	timer->watch.opaque = timer;
	timer->watch.owns_fd = true;
	err = watch_start(loop, &timer->watch, fd, EPOLLIN);
	if (err)
		return err;
	fd = -1;
	*ret_timer = TAKE_PTR(timer);
	return 0;
}

void loop_timer_set(struct loop_timer *timer, uint64_t ns)
{
	struct itimerspec spec = {
		.it_value = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 },
	};

	timerfd_settime(timer->watch.fd, 0, &spec, NULL);
}

void loop_timer_remove(struct loop_timer *timer)
{
	if (timer)
		loop_watch_remove(&timer->watch);
}
