/* SPDX-License-Identifier: Apache-2.0 */
/* The loop, turned by the test. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "alcor_testing.h"

struct alcor_watch {
	struct alcor_fake *fake;
	struct alcor_watch *next;
	int fd;
	void (*cb)(void *opaque, uint32_t events);
	void *opaque;
};

struct alcor_timer {
	struct alcor_fake *fake;
	struct alcor_timer *next;
	uint64_t deadline; /* 0: not armed */
	void (*cb)(void *opaque);
	void *opaque;
};

struct alcor_fake_posted {
	struct alcor_fake_posted *next;
	void (*cb)(void *opaque);
	void *opaque;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void alcor_fake_wake(struct alcor_fake *fake)
{
	uint64_t one = 1;

	if (write(fake->wake_fd, &one, sizeof(one)) < 0)
		alcor_fake_die("eventfd: %s", strerror(errno));
}

void alcor_fake_loop_init(struct alcor_fake *fake)
{
	struct epoll_event event = { .events = EPOLLIN };

	fake->posted_tail = &fake->posted;
	fake->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	fake->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fake->epoll_fd < 0 || fake->wake_fd < 0 ||
	    epoll_ctl(fake->epoll_fd, EPOLL_CTL_ADD, fake->wake_fd, &event) < 0)
		alcor_fake_die("epoll: %s", strerror(errno));
}

static int loop_watch(struct alcor_dev *dev, int fd, uint32_t events,
		      void (*cb)(void *opaque, uint32_t events), void *opaque,
		      struct alcor_watch **ret_watch)
{
	struct alcor_fake *fake = alcor_fake_of(dev);
	struct alcor_watch *watch = calloc(1, sizeof(*watch));
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (!watch)
		return -ENOMEM;
	if (epoll_ctl(fake->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		free(watch);
		return -errno;
	}
	*watch = (struct alcor_watch){ fake, fake->watches, fd, cb, opaque };
	fake->watches = watch;
	*ret_watch = watch;
	return 0;
}

/* A watch without events stays out of the set: epoll would go on to report EPOLLHUP. */
static int loop_modify(struct alcor_watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };
	int epoll_fd = watch->fake->epoll_fd;

	if (!events) {
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
		return 0;
	}
	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0 &&
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0)
		return -errno;
	return 0;
}

static void loop_unwatch(struct alcor_watch *watch)
{
	if (!watch)
		return;
	for (struct alcor_watch **at = &watch->fake->watches; *at; at = &(*at)->next) {
		if (*at == watch) {
			*at = watch->next;
			break;
		}
	}
	epoll_ctl(watch->fake->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	free(watch);
}

static int loop_timer(struct alcor_dev *dev, void (*cb)(void *opaque), void *opaque,
		      struct alcor_timer **ret_timer)
{
	struct alcor_fake *fake = alcor_fake_of(dev);
	struct alcor_timer *timer = calloc(1, sizeof(*timer));

	if (!timer)
		return -ENOMEM;
	*timer = (struct alcor_timer){ fake, fake->timers, 0, cb, opaque };
	fake->timers = timer;
	*ret_timer = timer;
	return 0;
}

static void loop_arm(struct alcor_timer *timer, uint64_t ns)
{
	pthread_mutex_lock(&timer->fake->lock);
	timer->deadline = ns ? now_ns() + ns : 0;
	pthread_mutex_unlock(&timer->fake->lock);
	alcor_fake_wake(timer->fake);
}

static int loop_defer(struct alcor_dev *dev, void (*cb)(void *opaque), void *opaque)
{
	struct alcor_fake *fake = alcor_fake_of(dev);
	struct alcor_fake_posted *posted = malloc(sizeof(*posted));

	if (!posted)
		return -ENOMEM;
	*posted = (struct alcor_fake_posted){ NULL, cb, opaque };
	pthread_mutex_lock(&fake->lock);
	*fake->posted_tail = posted;
	fake->posted_tail = &posted->next;
	pthread_mutex_unlock(&fake->lock);
	alcor_fake_wake(fake);
	return 0;
}

static bool posted_run(struct alcor_fake *fake)
{
	struct alcor_fake_posted *posted;

	pthread_mutex_lock(&fake->lock);
	posted = fake->posted;
	fake->posted = NULL;
	fake->posted_tail = &fake->posted;
	pthread_mutex_unlock(&fake->lock);
	if (!posted)
		return false;
	while (posted) {
		struct alcor_fake_posted *next = posted->next;

		posted->cb(posted->opaque);
		free(posted);
		posted = next;
	}
	return true;
}

/* Runs what is due; shortens *@ms to the next timer. */
static bool timers_run(struct alcor_fake *fake, int *ms)
{
	bool ran = false;

	for (struct alcor_timer *timer = fake->timers; timer; timer = timer->next) {
		uint64_t now = now_ns(), deadline;

		pthread_mutex_lock(&fake->lock);
		deadline = timer->deadline;
		if (deadline && deadline <= now)
			timer->deadline = 0;
		pthread_mutex_unlock(&fake->lock);
		if (!deadline)
			continue;
		if (deadline <= now) {
			timer->cb(timer->opaque);
			ran = true;
		} else if (deadline - now < (uint64_t)*ms * 1000000u) {
			*ms = (int)((deadline - now) / 1000000u) + 1;
		}
	}
	return ran;
}

void alcor_fake_turn(struct alcor_fake *fake, int ms)
{
	struct epoll_event event;
	struct alcor_watch *watch;
	uint64_t count;
	bool ran;

	ran = alcor_fake_virtio_turn(fake);
	ran |= posted_run(fake);
	ran |= timers_run(fake, &ms);
	if (epoll_wait(fake->epoll_fd, &event, 1, ran ? 0 : ms) != 1)
		return;
	watch = event.data.ptr;
	if (watch)
		watch->cb(watch->opaque, event.events);
	else if (read(fake->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		alcor_fake_die("eventfd: %s", strerror(errno));
}

bool alcor_fake_wait(struct alcor_fake *fake, const bool *flag)
{
	uint64_t end = now_ns() + 10000000000u;

	while (!*flag && now_ns() < end)
		alcor_fake_turn(fake, 100);
	return *flag;
}

void alcor_fake_loop_fini(struct alcor_fake *fake)
{
	while (fake->watches)
		loop_unwatch(fake->watches);
	while (fake->timers) {
		struct alcor_timer *timer = fake->timers;

		fake->timers = timer->next;
		free(timer);
	}
	while (fake->posted) {
		struct alcor_fake_posted *posted = fake->posted;

		fake->posted = posted->next;
		free(posted);
	}
	close(fake->epoll_fd);
	close(fake->wake_fd);
}

const struct alcor_loop alcor_fake_loop = {
	.struct_size = sizeof(alcor_fake_loop),
	.watch = loop_watch,
	.modify = loop_modify,
	.unwatch = loop_unwatch,
	.timer = loop_timer,
	.arm = loop_arm,
	.defer = loop_defer,
};
