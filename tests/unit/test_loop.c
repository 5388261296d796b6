/* SPDX-License-Identifier: Apache-2.0 */
#include "util/loop.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "util/overflow.h"

struct fixture {
	struct loop *loop;
	pthread_t thread;
	int order[8];
	int n_order;
};

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	*state = f;
	return loop_new(&f->loop);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_free(f->loop);
	test_free(f);
	return 0;
}

static void *run(void *opaque)
{
	loop_run(opaque);
	return NULL;
}

static void start(struct fixture *f)
{
	assert_int_equal(pthread_create(&f->thread, NULL, run, f->loop), 0);
}

static void stop(struct fixture *f)
{
	loop_quit(f->loop);
	pthread_join(f->thread, NULL);
}

static void quit(void *opaque)
{
	loop_quit(opaque);
}

/* --- posts and calls --- */

struct step {
	struct fixture *f;
	int number;
};

static void record(void *opaque)
{
	struct step *step = opaque;

	step->f->order[step->f->n_order++] = step->number;
}

static void test_posts_keep_their_order(void **state)
{
	struct fixture *f = *state;
	struct step steps[3] = { { f, 1 }, { f, 2 }, { f, 3 } };
	int i;

	for (i = 0; i < 3; i++)
		assert_int_equal(loop_post(f->loop, record, &steps[i]), 0);
	assert_int_equal(loop_post(f->loop, quit, f->loop), 0);
	loop_run(f->loop);
	assert_int_equal(f->n_order, 3);
	for (i = 0; i < 3; i++)
		assert_int_equal(f->order[i], i + 1);
}

static void test_quit_before_run_is_not_lost_and_posts_run(void **state)
{
	struct fixture *f = *state;
	struct step step = { f, 7 };

	assert_int_equal(loop_post(f->loop, record, &step), 0);
	loop_quit(f->loop);
	loop_run(f->loop);
	assert_int_equal(f->n_order, 1);
	/* The loop can be run again. */
	assert_int_equal(loop_post(f->loop, quit, f->loop), 0);
	loop_run(f->loop);
}

static void is_current(void *opaque)
{
	struct fixture *f = opaque;

	f->order[f->n_order++] = loop_is_current(f->loop);
}

static void test_call_runs_on_the_loop_and_waits(void **state)
{
	struct fixture *f = *state;
	struct step step = { f, 5 };

	start(f);
	assert_false(loop_is_current(f->loop));
	assert_int_equal(loop_post(f->loop, record, &step), 0);
	assert_int_equal(loop_call(f->loop, is_current, f), 0);
	assert_int_equal(f->n_order, 2);
	assert_int_equal(f->order[0], 5);
	assert_int_equal(f->order[1], 1);
	stop(f);
}

static void test_call_without_runner_runs_here_in_order(void **state)
{
	struct fixture *f = *state;
	struct step steps[2] = { { f, 1 }, { f, 2 } };

	assert_int_equal(loop_post(f->loop, record, &steps[0]), 0);
	assert_int_equal(loop_call(f->loop, record, &steps[1]), 0);
	assert_int_equal(f->n_order, 2);
	assert_int_equal(f->order[0], 1);
	assert_int_equal(f->order[1], 2);
	assert_false(loop_is_current(f->loop));
}

#define N_CALLERS 4
#define N_CALLS	  500

struct caller {
	struct loop *loop;
	uint64_t *shared; /* only touched on the loop: TSan sees it when that is not so */
	pthread_t thread;
};

static void increment(void *opaque)
{
	(*(uint64_t *)opaque)++;
}

static void *call_often(void *opaque)
{
	struct caller *caller = opaque;
	int i;

	for (i = 0; i < N_CALLS; i++) {
		loop_call(caller->loop, increment, caller->shared);
		loop_post(caller->loop, increment, caller->shared);
	}
	return NULL;
}

/* The loop is left and entered again while others wait for calls: none may hang or get lost, and
 * none may run beside another. */
static void test_calls_survive_quit_and_run(void **state)
{
	struct fixture *f = *state;
	struct caller callers[N_CALLERS];
	uint64_t shared = 0;
	int i;

	for (i = 0; i < N_CALLERS; i++) {
		callers[i] = (struct caller){ .loop = f->loop, .shared = &shared };
		pthread_create(&callers[i].thread, NULL, call_often, &callers[i]);
	}
	for (i = 0; i < 50; i++) {
		start(f);
		stop(f);
	}
	for (i = 0; i < N_CALLERS; i++)
		pthread_join(callers[i].thread, NULL);
	loop_quit(f->loop);
	loop_run(f->loop);
	assert_int_equal(shared, 2 * N_CALLERS * N_CALLS);
}

static void never(void *opaque)
{
	fail();
}

static void test_free_drops_what_is_left(void **state)
{
	struct fixture *f = *state;
	struct loop_timer *timer;

	assert_int_equal(loop_timer_add(f->loop, never, NULL, &timer), 0);
	loop_timer_set(timer, 1);
	assert_int_equal(loop_post(f->loop, never, NULL), 0);
}

/* --- watches --- */

struct pair {
	struct loop *loop;
	struct loop_watch *watches[2];
	int fds[2];
	int n_called;
	bool modify;
};

/* Whichever of the two comes first takes the other away. */
static void pair_fired(void *opaque, uint32_t events)
{
	struct pair *pair = opaque;
	int i;

	pair->n_called++;
	for (i = 0; i < 2; i++) {
		if (pair->modify)
			loop_watch_modify(pair->watches[i], 0);
		else
			loop_watch_remove(pair->watches[i]);
	}
	loop_quit(pair->loop);
}

static void run_pair(struct fixture *f, bool modify)
{
	struct pair pair = { .loop = f->loop, .modify = modify };
	int i, fds[2];

	for (i = 0; i < 2; i++) {
		/* Readable, and hung up, which cannot be asked not to be told. */
		assert_int_equal(pipe(fds), 0);
		assert_int_equal(write(fds[1], "x", 1), 1);
		close(fds[1]);
		pair.fds[i] = fds[0];
		assert_int_equal(loop_watch_add(f->loop, pair.fds[i], EPOLLIN, pair_fired, &pair,
						&pair.watches[i]),
				 0);
	}
	loop_run(f->loop);
	assert_int_equal(pair.n_called, 1);
	for (i = 0; i < 2; i++) {
		if (modify)
			loop_watch_remove(pair.watches[i]);
		close(pair.fds[i]);
	}
}

static void test_removed_watch_is_not_called(void **state)
{
	run_pair(*state, false);
}

static void test_silenced_watch_is_not_called(void **state)
{
	run_pair(*state, true);
}

static void count_watch(void *opaque, uint32_t events)
{
	struct step *step = opaque;

	step->number++;
	step->f->order[0] = (int)events;
	loop_quit(step->f->loop);
}

static void test_no_events_means_no_hangup_either(void **state)
{
	struct fixture *f = *state;
	struct step step = { f, 0 };
	struct loop_watch *watch;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(loop_watch_add(f->loop, fds[0], 0, count_watch, &step, &watch), 0);
	close(fds[1]);
	assert_int_equal(loop_post(f->loop, quit, f->loop), 0);
	loop_run(f->loop);
	assert_int_equal(step.number, 0);

	assert_int_equal(loop_watch_modify(watch, EPOLLIN), 0);
	loop_run(f->loop);
	assert_int_equal(step.number, 1);
	assert_true(f->order[0] & EPOLLHUP);

	assert_int_equal(loop_watch_modify(watch, 0), 0);
	assert_int_equal(loop_post(f->loop, quit, f->loop), 0);
	loop_run(f->loop);
	assert_int_equal(step.number, 1);
	assert_int_equal(loop_watch_modify(watch, EPOLLIN), 0);
	loop_run(f->loop);
	assert_int_equal(step.number, 2);
	loop_watch_remove(watch);
	close(fds[0]);
}

static void test_watch_errors(void **state)
{
	struct fixture *f = *state;
	struct loop_watch *watch = NULL;

	assert_int_equal(loop_watch_add(f->loop, -1, EPOLLIN, count_watch, NULL, &watch), -EBADF);
	assert_null(watch);
	loop_watch_remove(NULL);
	loop_timer_remove(NULL);
	loop_free(NULL);
}

/* --- timers --- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void test_timer_fires_once_after_its_time(void **state)
{
	struct fixture *f = *state;
	struct step step = { f, 3 };
	struct loop_timer *timer, *end;
	uint64_t begin = now_ns();

	assert_int_equal(loop_timer_add(f->loop, record, &step, &timer), 0);
	assert_int_equal(loop_timer_add(f->loop, quit, f->loop, &end), 0);
	loop_timer_set(timer, 2000000);
	loop_timer_set(end, 20000000);
	loop_run(f->loop);
	assert_true(now_ns() - begin >= 20000000);
	assert_int_equal(f->n_order, 1);
	loop_timer_remove(timer);
	loop_timer_remove(end);
}

struct disarm {
	struct loop *loop;
	struct loop_timer *timers[2];
	int n_fired;
};

static void disarm_both(void *opaque)
{
	struct disarm *disarm = opaque;

	disarm->n_fired++;
	loop_timer_set(disarm->timers[0], 0);
	loop_timer_set(disarm->timers[1], 0);
	loop_quit(disarm->loop);
}

static void test_disarmed_timer_does_not_fire(void **state)
{
	struct fixture *f = *state;
	struct disarm disarm = { .loop = f->loop };
	uint64_t until;
	int i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(loop_timer_add(f->loop, disarm_both, &disarm, &disarm.timers[i]),
				 0);
		loop_timer_set(disarm.timers[i], 1);
	}
	/* Both have run out, so both are in one report of the kernel. */
	for (until = now_ns() + 1000000; now_ns() < until;)
		;
	loop_run(f->loop);
	assert_int_equal(disarm.n_fired, 1);
	for (i = 0; i < 2; i++)
		loop_timer_remove(disarm.timers[i]);
}

static void test_timer_is_set_from_another_thread(void **state)
{
	struct fixture *f = *state;
	struct loop_timer *timer;

	assert_int_equal(loop_timer_add(f->loop, quit, f->loop, &timer), 0);
	start(f);
	loop_timer_set(timer, UINT64_MAX);
	loop_timer_set(timer, 1000);
	pthread_join(f->thread, NULL);
	loop_timer_remove(timer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_posts_keep_their_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quit_before_run_is_not_lost_and_posts_run,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_call_runs_on_the_loop_and_waits, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_call_without_runner_runs_here_in_order, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_calls_survive_quit_and_run, setup, teardown),
		cmocka_unit_test_setup_teardown(test_free_drops_what_is_left, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed_watch_is_not_called, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silenced_watch_is_not_called, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_events_means_no_hangup_either, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_watch_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_fires_once_after_its_time, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_disarmed_timer_does_not_fire, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer_is_set_from_another_thread, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
