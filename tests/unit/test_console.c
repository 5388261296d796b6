/* SPDX-License-Identifier: Apache-2.0 */
/* Console ports between a device's loop, the main loop and descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "util/loop.h"
#include "vm/console.h"
#include "vm/internal.h"

/* What the escape key would act on: not under test here. */
void vm_raise(struct vm *vm, uint32_t events)
{
	(void)vm;
	(void)events;
}

void board_power_button(struct board *board)
{
	(void)board;
}

/* A device that takes at most @room bytes before it must be asked again, and keeps a sum. */
struct device {
	struct loop *loop;
	struct console_port *port;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	uint32_t room;
	uint64_t taken;
	uint8_t next; /* expected value of the next byte */
	bool mismatch;
	unsigned output_ready;
};

struct fixture {
	struct loop *main_loop;
	struct console *console;
	struct device dev;
	pthread_t main_thread, dev_thread;
};

static void *run_loop(void *opaque)
{
	loop_run(opaque);
	return NULL;
}

static uint32_t take_input(void *opaque, const uint8_t *data, uint32_t len)
{
	struct device *d = opaque;
	uint32_t n = len < d->room ? len : d->room;

	pthread_mutex_lock(&d->lock);
	for (uint32_t i = 0; i < n; i++)
		d->mismatch |= data[i] != d->next++;
	d->room -= n;
	d->taken += n;
	pthread_cond_broadcast(&d->cond);
	pthread_mutex_unlock(&d->lock);
	return n;
}

static void output_ready(void *opaque)
{
	struct device *d = opaque;

	pthread_mutex_lock(&d->lock);
	d->output_ready++;
	pthread_cond_broadcast(&d->cond);
	pthread_mutex_unlock(&d->lock);
}

static const struct alcor_console_ops device_ops = {
	.struct_size = sizeof(device_ops),
	.input = take_input,
	.output_ready = output_ready,
};

static int defer(void *opaque, loop_fn *fn, void *arg)
{
	struct device *d = opaque;

	return loop_post(d->loop, fn, arg);
}

static void start(struct fixture *f, int in_fd, int out_fd)
{
	struct console_client client = {
		.ops = &device_ops, .opaque = &f->dev, .defer = defer, .defer_opaque = &f->dev
	};

	memset(f, 0, sizeof(*f));
	pthread_mutex_init(&f->dev.lock, NULL);
	pthread_cond_init(&f->dev.cond, NULL);
	assert_int_equal(loop_new(&f->main_loop), 0);
	assert_int_equal(loop_new(&f->dev.loop), 0);
	assert_int_equal(console_new(NULL, f->main_loop, &f->console), 0);
	assert_int_equal(console_open(f->console, in_fd, out_fd, &client, &f->dev.port), 0);
	assert_int_equal(console_start(f->console, NULL), 0);
	pthread_create(&f->main_thread, NULL, run_loop, f->main_loop);
	pthread_create(&f->dev_thread, NULL, run_loop, f->dev.loop);
}

static void finish(struct fixture *f)
{
	loop_quit(f->main_loop);
	loop_quit(f->dev.loop);
	pthread_join(f->main_thread, NULL);
	pthread_join(f->dev_thread, NULL);
	console_stop(f->console);
	console_free(f->console);
	loop_free(f->main_loop);
	loop_free(f->dev.loop);
	pthread_cond_destroy(&f->dev.cond);
	pthread_mutex_destroy(&f->dev.lock);
}

static void give_room(void *opaque)
{
	struct device *d = opaque;

	d->room = 16;
	console_input_ready(d->port);
}

/* Grants room sixteen bytes at a time, as a UART does, until @total bytes came. */
static void take_all(struct device *d, uint64_t total)
{
	uint64_t granted = 0;

	while (granted < total) {
		loop_call(d->loop, give_room, d);
		pthread_mutex_lock(&d->lock);
		granted = granted + 16 < total ? granted + 16 : total;
		while (d->taken < granted)
			pthread_cond_wait(&d->cond, &d->lock);
		pthread_mutex_unlock(&d->lock);
	}
}

static void *feed_pipe(void *opaque)
{
	int fd = *(int *)opaque;
	uint8_t data[1000];
	uint8_t next = 0;

	for (int i = 0; i < 100; i++) {
		for (size_t j = 0; j < sizeof(data); j++)
			data[j] = next++;
		assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
	}
	close(fd);
	return NULL;
}

static void test_slow_device_loses_no_input_from_a_pipe(void **state)
{
	struct fixture f;
	pthread_t feeder;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	start(&f, fds[0], -1);
	pthread_create(&feeder, NULL, feed_pipe, &fds[1]);
	take_all(&f.dev, 100000);
	pthread_join(feeder, NULL);
	assert_false(f.dev.mismatch);
	finish(&f);
	close(fds[0]);
}

static void test_file_as_input_arrives_whole(void **state)
{
	char name[] = "/tmp/alcor-console-XXXXXX";
	int fd = mkstemp(name);
	struct fixture f;
	uint8_t data[20000];

	(void)state;
	assert_true(fd >= 0);
	unlink(name);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
	lseek(fd, 0, SEEK_SET);
	start(&f, fd, -1);
	take_all(&f.dev, sizeof(data));
	assert_false(f.dev.mismatch);
	finish(&f);
	close(fd);
}

static void test_output_is_bounded_and_drained(void **state)
{
	uint8_t chunk[1000], data[4096];
	uint64_t queued = 0, drained = 0;
	struct fixture f;
	int fds[2];
	uint32_t n;

	(void)state;
	memset(chunk, 'o', sizeof(chunk));
	assert_int_equal(pipe(fds), 0);
	start(&f, -1, fds[1]);
	/* Nobody reads: the pipe and the queue fill up, and then nothing more is taken. */
	do {
		n = console_write(f.dev.port, chunk, sizeof(chunk));
		queued += n;
	} while (n == sizeof(chunk) && queued < 1u << 24);
	assert_true(queued < 1u << 20);
	/* Reading makes room, and the device is told. */
	while (drained < queued) {
		ssize_t got = read(fds[0], data, sizeof(data));

		assert_true(got > 0);
		drained += got;
	}
	pthread_mutex_lock(&f.dev.lock);
	while (!f.dev.output_ready)
		pthread_cond_wait(&f.dev.cond, &f.dev.lock);
	pthread_mutex_unlock(&f.dev.lock);
	assert_int_equal(console_write(f.dev.port, chunk, 5), 5);
	close(fds[1]);
	finish(&f); /* closing drains: the five bytes arrive, then the end */
	assert_int_equal(read(fds[0], data, sizeof(data)), 5);
	assert_int_equal(read(fds[0], data, sizeof(data)), 0);
	close(fds[0]);
}

static void test_stuck_reader_does_not_hold_up_the_end(void **state)
{
	uint8_t chunk[4096] = { 0 };
	struct fixture f;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	start(&f, -1, fds[1]);
	while (console_write(f.dev.port, chunk, sizeof(chunk)) == sizeof(chunk))
		;
	finish(&f); /* returns, though nobody reads */
	close(fds[0]);
	close(fds[1]);
}

static void test_standard_streams_have_one_owner(void **state)
{
	struct console_client client = { .ops = &device_ops };
	struct console_port *port, *second;
	struct console *console;
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(console_new(NULL, loop, &console), 0);
	assert_int_equal(console_open(console, -1, -1, &client, &port), 0);
	assert_int_equal(console_open(console, -1, -1, &client, &second), -EBUSY);
	console_close(port);
	assert_int_equal(console_open(console, -1, -1, &client, &second), 0);
	console_free(console);
	loop_free(loop);
}

/* --- the prompt --- */

static void ctl_list(struct vm *vm, void (*print)(void *opaque, const char *text), void *opaque)
{
	(void)vm;
	print(opaque, "a.x 1\n");
	print(opaque, "a.y 2\n");
}

static int ctl_get(struct vm *vm, const char *name, char *ret_text, size_t len, struct error *err)
{
	(void)vm;
	if (strcmp(name, "a.x"))
		return error_set(err, -ENOENT, "no %s", name);
	snprintf(ret_text, len, "value of %s", name);
	return 0;
}

static int ctl_set(struct vm *vm, const char *name, const char *text, struct error *err)
{
	(void)vm;
	return error_set(err, -EPERM, "not %s to %s", name, text);
}

static const struct vm_ctl_ops test_ctl_ops = { ctl_list, ctl_get, ctl_set };

/* In a child, whose standard input is a terminal: until it is killed. */
static void serve_prompt(const struct vm_ctl_ops *ctl)
{
	struct console_client client = { .ops = &device_ops };
	struct vm vm = { .ctl = ctl };
	struct console *console;
	struct console_port *port;
	struct error err;

	if (loop_new(&vm.loop) || console_new(&vm, vm.loop, &console) ||
	    console_open(console, -1, -1, &client, &port) || console_start(console, &err))
		_exit(1);
	dprintf(STDOUT_FILENO, "ready");
	loop_run(vm.loop);
	_exit(0);
}

/* What the terminal shows, until @end is seen. */
static void read_until(int fd, const char *end, char *ret_text, size_t len)
{
	size_t n = 0;

	ret_text[0] = '\0';
	while (!strstr(ret_text, end)) {
		ssize_t got = read(fd, ret_text + n, len - 1 - n);

		if (got <= 0)
			fail_msg("'%s' instead of '%s'", ret_text, end);
		n += (size_t)got;
		ret_text[n] = '\0';
	}
}

static void type_at_prompt(const struct vm_ctl_ops *ctl, const char *keys, const char *shows)
{
	char text[4096];
	int fd, status;
	pid_t pid = forkpty(&fd, NULL, NULL, NULL);

	assert_true(pid >= 0);
	if (pid == 0)
		serve_prompt(ctl);
	read_until(fd, "ready", text, sizeof(text));
	assert_int_equal(write(fd, keys, strlen(keys)), strlen(keys));
	read_until(fd, shows, text, sizeof(text));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd);
}

static void test_prompt_shows_properties(void **state)
{
	(void)state;
	type_at_prompt(&test_ctl_ops,
		       "\x01"
		       "clist\r",
		       "list\r\na.x 1\r\na.y 2\r\n(alcor) ");
	type_at_prompt(&test_ctl_ops,
		       "\x01"
		       "cget a.x\r",
		       "\r\nvalue of a.x\r\n(alcor) ");
	type_at_prompt(&test_ctl_ops,
		       "\x01"
		       "cget a.z\r",
		       "\r\nno a.z\r\n(alcor) ");
	type_at_prompt(&test_ctl_ops,
		       "\x01"
		       "cset a.x  1 2\r",
		       "\r\nnot a.x to 1 2\r\n(alcor) ");
	/* Without devices there is a prompt, too. */
	type_at_prompt(NULL,
		       "\x01"
		       "clist\rget a.x\r",
		       "list\r\n(alcor) get a.x\r\ndevices have no properties\r\n(alcor) ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_device_loses_no_input_from_a_pipe),
		cmocka_unit_test(test_file_as_input_arrives_whole),
		cmocka_unit_test(test_output_is_bounded_and_drained),
		cmocka_unit_test(test_stuck_reader_does_not_hold_up_the_end),
		cmocka_unit_test(test_standard_streams_have_one_owner),
		cmocka_unit_test(test_prompt_shows_properties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
