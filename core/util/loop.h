/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event loop over epoll: one thread runs loop_run(), any thread may post to it.
 * Tags: [loop] only the thread that runs the loop, or any thread while none does; [any].
 */
#ifndef ALCOR_CORE_UTIL_LOOP_H
#define ALCOR_CORE_UTIL_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;
struct loop_watch;
struct loop_timer;

typedef void loop_fn(void *opaque);
typedef void loop_watch_fn(void *opaque, uint32_t events);

int loop_new(struct loop **ret_loop);
/* Frees watches, timers and posted calls that are left; posted calls do not run. NULL is fine. */
void loop_free(struct loop *loop);

/* Serves events until loop_quit(). */
void loop_run(struct loop *loop);
void loop_quit(struct loop *loop); /* [any] */

/* [any] Whether the calling thread is inside loop_run() of this loop. */
bool loop_is_current(const struct loop *loop);

/* [loop] Level-triggered. The descriptor stays the caller's. */
int loop_watch_add(struct loop *loop, int fd, uint32_t events, loop_watch_fn *fn, void *opaque,
		   struct loop_watch **ret_watch);
int loop_watch_modify(struct loop_watch *watch, uint32_t events);
/* No callback runs after the return, not even one already reported by the kernel. NULL is fine. */
void loop_watch_remove(struct loop_watch *watch);

/* [loop] add and remove; [any] set. One-shot; 0 disarms. */
int loop_timer_add(struct loop *loop, loop_fn *fn, void *opaque, struct loop_timer **ret_timer);
void loop_timer_set(struct loop_timer *timer, uint64_t ns);
void loop_timer_remove(struct loop_timer *timer);

/* [any] Runs @fn on the loop, in the order of the calls. -ENOMEM. */
int loop_post(struct loop *loop, loop_fn *fn, void *opaque);
/* [any] but the loop's own thread: as loop_post(), and waits until @fn has run. While no thread
 * runs the loop, @fn runs here and now. */
int loop_call(struct loop *loop, loop_fn *fn, void *opaque);

#endif
