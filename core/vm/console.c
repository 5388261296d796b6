/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "util/overflow.h"
#include "vm/internal.h"
#include "vm/terminal.h"

#define INPUT_SIZE	4096u
#define OUTPUT_SIZE	65536u /* a power of two */
#define CLOSE_TIMEOUT_S 1

struct console {
	struct vm *vm;
	struct loop *loop;
	struct console_port *ports;
	struct console_port *stdio; /* the port on standard input and output */
	struct escape escape;
	bool raw;
};

struct console_port {
	struct console *console;
	struct console_port *next;
	struct console_client client;
	int in_fd, out_fd; /* owned, but for standard input and output */
	bool stdio;
	struct loop_watch *in_watch;

	pthread_mutex_t lock; /* all below */
	pthread_cond_t cond;
	pthread_t writer;
	bool has_writer, closing, broken;
	bool starved;		     /* write() took less than offered */
	uint32_t out_head, out_tail; /* free-running; out[n % OUTPUT_SIZE] */
	uint8_t *out;

	bool in_blocked; /* the device took less than offered */
	bool in_posted;	 /* deliver() is on its way */
	bool in_paused;	 /* reading waits for room */
	bool in_plain;	 /* a file: epoll cannot watch it, it is always readable */
	uint32_t in_len;
	uint8_t in[INPUT_SIZE];
};

/* --- output: queued by any thread, written by the port's own --- */

static void post_output_ready(void *opaque)
{
	struct console_port *port = opaque;

	port->client.ops->output_ready(port->client.opaque);
}

/* Writes one piece; the count, or -errno. Standard output may have been made non-blocking. */
static ssize_t write_some(int fd, const uint8_t *data, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	for (;;) {
		n = write(fd, data, len);
		if (n >= 0)
			return n;
		if (errno == EAGAIN)
			poll(&pfd, 1, -1);
		else if (errno != EINTR)
			return -errno;
	}
}

static void drop_output(struct console_port *port, ssize_t error)
{
	if (!port->broken)
		log_warn("console: output is lost: %s", strerror((int)-error));
	port->broken = true;
	port->out_tail = port->out_head;
}

static void *writer_thread(void *opaque)
{
	struct console_port *port = opaque;
	bool ready;

	pthread_setname_np(pthread_self(), "console");
	pthread_mutex_lock(&port->lock);
	for (;;) {
		uint32_t len = port->out_head - port->out_tail;
		uint32_t at = port->out_tail % OUTPUT_SIZE;
		ssize_t n;

		if (!len && port->closing)
			break;
		if (!len) {
			pthread_cond_wait(&port->cond, &port->lock);
			continue;
		}
		pthread_mutex_unlock(&port->lock);
		n = write_some(port->out_fd, port->out + at, MIN(len, OUTPUT_SIZE - at));
		pthread_mutex_lock(&port->lock);
		if (n < 0)
			drop_output(port, n);
		else
			port->out_tail += (uint32_t)n;
		ready = port->starved && !port->closing &&
			port->out_head - port->out_tail <= OUTPUT_SIZE / 2;
		if (ready) {
			port->starved = false;
			port->client.defer(port->client.defer_opaque, post_output_ready, port);
		}
	}
	pthread_mutex_unlock(&port->lock);
	return NULL;
}

uint32_t console_write(struct console_port *port, const uint8_t *data, uint32_t len)
{
	uint32_t room, at, first;

	if (port->out_fd < 0)
		return len;
	LOCK_SCOPE(&port->lock);
	if (port->broken)
		return len;
	room = OUTPUT_SIZE - (port->out_head - port->out_tail);
	if (len > room) {
		len = room;
		port->starved = true;
	}
	at = port->out_head % OUTPUT_SIZE;
	first = MIN(len, OUTPUT_SIZE - at);
	memcpy(port->out + at, data, first);
	memcpy(port->out, data + first, len - first);
	port->out_head += len;
	pthread_cond_signal(&port->cond);
	return len;
}

static int start_writer(struct console_port *port)
{
	sigset_t all, old;
	int r;

	port->out = malloc(OUTPUT_SIZE);
	if (!port->out)
		return -ENOMEM;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&port->writer, NULL, writer_thread, port);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	port->has_writer = r == 0;
	return r;
}

/* A reader that never reads must not keep the VM from ending. */
static void stop_writer(struct console_port *port)
{
	struct timespec deadline;

	if (!port->has_writer)
		return;
	pthread_mutex_lock(&port->lock);
	port->closing = true;
	pthread_cond_signal(&port->cond);
	pthread_mutex_unlock(&port->lock);
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += CLOSE_TIMEOUT_S;
	if (pthread_timedjoin_np(port->writer, NULL, &deadline) != 0) {
		pthread_cancel(port->writer); /* in write() or poll(), where no lock is held */
		pthread_join(port->writer, NULL);
	}
}

/* --- input: read by the main loop, delivered on the device's loop --- */

static void deliver(void *opaque);

/* Called with the lock held. */
static void post_delivery(struct console_port *port)
{
	if (port->in_posted || port->in_blocked || !port->in_len)
		return;
	port->in_posted = port->client.defer(port->client.defer_opaque, deliver, port) == 0;
}

/* Called with the lock held. A file is read as far as there is room; at its end it stays silent. */
static void read_plain(struct console_port *port)
{
	ssize_t n = read(port->in_fd, port->in + port->in_len, INPUT_SIZE - port->in_len);

	port->in_len += n > 0 ? (uint32_t)n : 0;
	port->in_paused = n > 0;
	post_delivery(port);
}

static void resume_input(void *opaque)
{
	struct console_port *port = opaque;

	LOCK_SCOPE(&port->lock);
	if (!port->in_paused || port->in_len == INPUT_SIZE)
		return;
	if (port->in_plain) {
		read_plain(port);
	} else if (port->in_watch) {
		port->in_paused = false;
		loop_watch_modify(port->in_watch, EPOLLIN);
	}
}

static void deliver(void *opaque)
{
	struct console_port *port = opaque;
	uint8_t data[INPUT_SIZE];
	uint32_t len, taken;

	pthread_mutex_lock(&port->lock);
	port->in_posted = false;
	/* Before the call: the device may become ready before we see how much it took. */
	port->in_blocked = true;
	len = port->in_len;
	memcpy(data, port->in, len);
	pthread_mutex_unlock(&port->lock);

	taken = port->client.ops->input(port->client.opaque, data, len);
	taken = MIN(taken, len);

	pthread_mutex_lock(&port->lock);
	port->in_len -= taken;
	memmove(port->in, port->in + taken, port->in_len);
	if (!port->in_len)
		port->in_blocked = false;
	post_delivery(port);
	if (port->in_paused)
		loop_post(port->console->loop, resume_input, port);
	pthread_mutex_unlock(&port->lock);
}

void console_input_ready(struct console_port *port)
{
	LOCK_SCOPE(&port->lock);
	port->in_blocked = false;
	post_delivery(port);
}

/* From a terminal the escape key must be seen even if the guest reads nothing: what does not fit is
 * lost, as on a serial line. From anything else nothing may be lost: reading pauses. */
static void on_input(void *opaque, uint32_t events)
{
	struct console_port *port = opaque;
	struct console *console = port->console;
	bool terminal = port->stdio && console->raw;
	uint8_t data[256];
	ssize_t n;

	(void)events;
	pthread_mutex_lock(&port->lock);
	n = terminal ? (ssize_t)sizeof(data) :
		       (ssize_t)MIN(sizeof(data), INPUT_SIZE - port->in_len);
	if (n == 0) {
		port->in_paused = true;
		loop_watch_modify(port->in_watch, 0);
	}
	pthread_mutex_unlock(&port->lock);
	if (n == 0)
		return;
	n = read(port->in_fd, data, n);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* the end, or a terminal that is gone: nothing will come any more */
		loop_watch_remove(port->in_watch);
		port->in_watch = NULL;
		return;
	}
	if (terminal)
		n = escape_filter(&console->escape, data, n);
	LOCK_SCOPE(&port->lock);
	n = MIN(n, (ssize_t)(INPUT_SIZE - port->in_len));
	memcpy(port->in + port->in_len, data, n);
	port->in_len += n;
	post_delivery(port);
}

static int watch_input(struct console_port *port)
{
	int r;

	if (port->in_fd < 0)
		return 0;
	r = loop_watch_add(port->console->loop, port->in_fd, EPOLLIN, on_input, port,
			   &port->in_watch);
	if (r != -EPERM)
		return r;
	LOCK_SCOPE(&port->lock);
	port->in_plain = true;
	read_plain(port);
	return 0;
}

/* --- what the escape key does --- */

static void escape_quit(void *opaque)
{
	struct console *console = opaque;

	vm_raise(console->vm, EVENT_KILL);
}

static void escape_power_down(void *opaque)
{
	struct console *console = opaque;

	board_power_button(console->vm->board);
}

static void escape_reset(void *opaque)
{
	struct console *console = opaque;

	vm_raise(console->vm, EVENT_RESET);
}

static void post_break(void *opaque)
{
	struct console_port *port = opaque;

	port->client.ops->input_break(port->client.opaque);
}

static void escape_break(void *opaque)
{
	struct console *console = opaque;
	struct console_port *port = console->stdio;

	if (port->client.ops->input_break)
		port->client.defer(port->client.defer_opaque, post_break, port);
}

static void escape_print(void *opaque, const char *text)
{
	struct console *console = opaque;

	console_write(console->stdio, (const uint8_t *)text, strlen(text));
}

static void escape_list(void *opaque)
{
	struct console *console = opaque;
	struct vm *vm = console->vm;

	if (vm->ctl)
		vm->ctl->list(vm, escape_print, console);
}

static void print_line(struct console *console, const char *text)
{
	escape_print(console, text);
	escape_print(console, "\n");
}

static void escape_get(void *opaque, const char *name)
{
	struct console *console = opaque;
	struct vm *vm = console->vm;
	struct error err = { .text = "devices have no properties" };
	char text[256];

	if (vm->ctl && vm->ctl->get(vm, name, text, sizeof(text), &err) == 0)
		print_line(console, text);
	else
		print_line(console, err.text);
}

static void escape_set(void *opaque, const char *name, const char *value)
{
	struct console *console = opaque;
	struct vm *vm = console->vm;
	struct error err = { .text = "devices have no properties" };

	if (!vm->ctl || vm->ctl->set(vm, name, value, &err) < 0)
		print_line(console, err.text);
}

static const struct escape_ops escape_ops = {
	.quit = escape_quit,
	.power_down = escape_power_down,
	.reset = escape_reset,
	.send_break = escape_break,
	.list = escape_list,
	.get = escape_get,
	.set = escape_set,
	.print = escape_print,
};

/* --- life cycle --- */

int console_new(struct vm *vm, struct loop *main_loop, struct console **ret_console)
{
	struct console *console = calloc(1, sizeof(*console));

	if (!console)
		return -ENOMEM;
	console->vm = vm;
	console->loop = main_loop;
	console->escape = (struct escape){ .ops = &escape_ops, .opaque = console };
	*ret_console = console;
	return 0;
}

void console_free(struct console *console)
{
	if (!console)
		return;
	while (console->ports)
		console_close(console->ports);
	free(console);
}

static int dup_fd(int fd, int *ret_fd)
{
	int copy;

	if (fd < 0)
		return 0;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return -errno;
	*ret_fd = copy;
	return 0;
}

static int set_fds(struct console_port *port, int in_fd, int out_fd)
{
	int r;

	if (port->stdio) {
		port->in_fd = STDIN_FILENO;
		port->out_fd = STDOUT_FILENO;
		return 0;
	}
	r = dup_fd(in_fd, &port->in_fd);
	if (r == 0)
		r = dup_fd(out_fd, &port->out_fd);
	return r;
}

int console_open(struct console *console, int in_fd, int out_fd,
		 const struct console_client *client, struct console_port **ret_port)
{
	bool stdio = in_fd < 0 && out_fd < 0;
	struct console_port *port;
	int r;

	if (stdio && console->stdio)
		return -EBUSY;
	port = calloc(1, sizeof(*port));
	if (!port)
		return -ENOMEM;
	port->console = console;
	port->client = *client;
	port->in_fd = port->out_fd = -1;
	port->stdio = stdio;
	pthread_mutex_init(&port->lock, NULL);
	pthread_cond_init(&port->cond, NULL);
	port->next = console->ports;
	console->ports = port;
	if (stdio)
		console->stdio = port;

	r = set_fds(port, in_fd, out_fd);
	if (r == 0 && port->out_fd >= 0)
		r = start_writer(port);
	if (r < 0) {
		console_close(port);
		return r;
	}
	*ret_port = port;
	return 0;
}

void console_close(struct console_port *port)
{
	struct console_port **link;

	if (!port)
		return;
	for (link = &port->console->ports; *link != port; link = &(*link)->next)
		;
	*link = port->next;
	loop_watch_remove(port->in_watch);
	stop_writer(port);
	if (port->stdio) {
		port->console->stdio = NULL;
	} else {
		if (port->in_fd >= 0)
			close(port->in_fd);
		if (port->out_fd >= 0)
			close(port->out_fd);
	}
	pthread_cond_destroy(&port->cond);
	pthread_mutex_destroy(&port->lock);
	free(port->out);
	free(port);
}

int console_start(struct console *console, struct error *err)
{
	int r;

	if (console->stdio) {
		console->raw = terminal_make_raw(STDIN_FILENO);
		/* In the background of a terminal reading would stop the process. */
		if (!console->raw && isatty(STDIN_FILENO))
			console->stdio->in_fd = -1;
	}
	for (struct console_port *port = console->ports; port; port = port->next) {
		r = watch_input(port);
		if (r < 0)
			return error_errno(err, r, "console input");
	}
	return 0;
}

void console_stop(struct console *console)
{
	for (struct console_port *port = console->ports; port; port = port->next) {
		loop_watch_remove(port->in_watch);
		port->in_watch = NULL;
	}
	terminal_restore();
	console->raw = false;
}

void console_continue(struct console *console)
{
	if (console->stdio && console->raw)
		terminal_make_raw(STDIN_FILENO);
}
