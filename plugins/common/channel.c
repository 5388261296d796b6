/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <alcor/loop.h>

#define IN_SIZE	 4096u
#define OUT_SIZE 65536u /* a power of two */

/* How often input is read in one turn of the loop. */
#define IN_ROUNDS 16

/* Nothing tells that the slave of a pty was opened, so it is looked for: below what a user notices.
 * Output looks by itself, and is not lost in between. */
#define PTY_POLL_NS (100 * 1000 * 1000)

/* Without descriptors or memory for a client, the next try. */
#define ACCEPT_RETRY_NS (1000 * 1000 * 1000)

#define DRAIN_TRIES 10

struct channel {
	struct alcor_dev *dev;
	const struct alcor_loop *loop;
	const struct sink_ops *ops;
	void *opaque;
	struct endpoint end;
	struct alcor_watch *listen_watch; /* sockets only */
	struct alcor_watch *watch;	  /* of fd */
	struct alcor_timer *timer;
	int fd; /* the pty's master, or the client; -1: none */

	bool attached; /* the other side is there; a client that left may still have sent bytes */
	bool reported; /* what the device was told of @attached */
	bool scheduled;
	bool starved;	 /* write() took less than offered */
	bool in_blocked; /* the device took less than offered */
	bool in_ended;	 /* the client sends no more */

	uint32_t out_head, out_tail; /* free-running; out[n % OUT_SIZE] */
	uint32_t in_len;
	uint8_t in[IN_SIZE];
	uint8_t out[OUT_SIZE];
};

static void watch_set(struct channel *ch, struct alcor_watch *watch, uint32_t events)
{
	int ret = watch ? ch->loop->modify(watch, events) : 0;

	if (ret)
		alcor_log(ch->dev, ALCOR_LOG_ERROR, "epoll: %s", strerror(-ret));
}

/* EPOLLERR comes anyway, but keeps the descriptor in the set, and with it EPOLLHUP. */
static void watch_update(struct channel *ch)
{
	uint32_t events = 0;

	if (ch->attached) {
		events = EPOLLERR;
		if (!ch->in_len && !ch->in_ended)
			events |= EPOLLIN;
		if (ch->out_head != ch->out_tail)
			events |= EPOLLOUT;
	}
	watch_set(ch, ch->watch, events);
}

static void output_ready(struct channel *ch)
{
	if (!ch->starved || ch->out_head - ch->out_tail > OUT_SIZE / 2)
		return;
	ch->starved = false;
	ch->ops->output_ready(ch->opaque);
}

static void schedule(struct channel *ch);

/* What was sent before is still to be read. */
static void detach(struct channel *ch)
{
	if (!ch->attached)
		return;
	ch->attached = false;
	ch->out_tail = ch->out_head;
	if (ch->end.is_pty) {
		endpoint_pty_raw(&ch->end);
		ch->loop->arm(ch->timer, PTY_POLL_NS);
	} else {
		watch_set(ch, ch->listen_watch, EPOLLIN);
	}
	schedule(ch);
	output_ready(ch);
}

static void client_close(struct channel *ch)
{
	if (ch->fd < 0 || ch->end.is_pty)
		return;
	detach(ch);
	ch->loop->unwatch(ch->watch);
	ch->watch = NULL;
	close(ch->fd);
	ch->fd = -1;
}

/* --- the other side to the device --- */

static bool in_read(struct channel *ch)
{
	ssize_t n;

	if (ch->in_ended && !ch->attached)
		client_close(ch);
	if (ch->fd < 0 || ch->in_ended)
		return false;
	do {
		n = read(ch->fd, ch->in, IN_SIZE);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		ch->in_len = (uint32_t)n;
		return true;
	}
	if (ch->end.is_pty || (n < 0 && errno == EAGAIN))
		return false;
	/* A client that has only closed its sending side still reads. */
	if (n == 0 && ch->attached)
		ch->in_ended = true;
	else
		client_close(ch);
	return false;
}

static void in_offer(struct channel *ch)
{
	uint32_t n;

	ch->in_blocked = true;
	n = ch->ops->input(ch->opaque, ch->in, ch->in_len);
	ch->in_len -= n;
	memmove(ch->in, ch->in + n, ch->in_len);
	if (!ch->in_len)
		ch->in_blocked = false;
}

static void receive(struct channel *ch)
{
	for (unsigned i = 0; i < IN_ROUNDS; i++) {
		if (ch->in_blocked || (!ch->in_len && !in_read(ch)))
			return;
		in_offer(ch);
	}
	schedule(ch);
}

/* --- the device to the other side --- */

static ssize_t out_write(struct channel *ch, const uint8_t *data, uint32_t len)
{
	ssize_t n;

	do {
		n = ch->end.is_pty ? write(ch->fd, data, len) :
				     send(ch->fd, data, len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n;
}

static void transmit(struct channel *ch)
{
	while (ch->attached && ch->out_head != ch->out_tail) {
		uint32_t len = ch->out_head - ch->out_tail, at = ch->out_tail % OUT_SIZE;
		ssize_t n = out_write(ch, ch->out + at, len < OUT_SIZE - at ? len : OUT_SIZE - at);

		if (n > 0) {
			ch->out_tail += (uint32_t)n;
			continue;
		}
		if (n < 0 && errno != EAGAIN)
			detach(ch);
		break;
	}
	output_ready(ch);
}

/* All that there is to do, on the loop. */
static void work(struct channel *ch)
{
	receive(ch);
	transmit(ch);
	if (ch->reported != ch->attached) {
		ch->reported = ch->attached;
		if (ch->ops->attached)
			ch->ops->attached(ch->opaque, ch->attached);
	}
	watch_update(ch);
}

static void work_deferred(void *opaque)
{
	struct channel *ch = opaque;

	ch->scheduled = false;
	work(ch);
}

static void schedule(struct channel *ch)
{
	if (!ch->scheduled)
		ch->scheduled = ch->loop->defer(ch->dev, work_deferred, ch) == 0;
}

static void on_events(void *opaque, uint32_t events)
{
	struct channel *ch = opaque;

	if (events & (EPOLLHUP | EPOLLERR))
		detach(ch);
	work(ch);
}

/* --- who comes --- */

static void pty_look(struct channel *ch)
{
	if (!ch->attached)
		ch->attached = endpoint_pty_in_use(&ch->end);
}

static void on_timer(void *opaque)
{
	struct channel *ch = opaque;

	if (!ch->end.is_pty) {
		watch_set(ch, ch->listen_watch, ch->attached ? 0 : EPOLLIN);
		return;
	}
	pty_look(ch);
	if (!ch->attached)
		ch->loop->arm(ch->timer, PTY_POLL_NS);
	work(ch);
}

static void accept_later(struct channel *ch, int error)
{
	alcor_log(ch->dev, ALCOR_LOG_WARN, "accept: %s", strerror(error));
	watch_set(ch, ch->listen_watch, 0);
	ch->loop->arm(ch->timer, ACCEPT_RETRY_NS);
}

/* What an earlier client left unread in its socket is lost, or it could keep others away. */
static void on_connection(void *opaque, uint32_t events)
{
	struct channel *ch = opaque;
	struct alcor_watch *watch;
	int fd = accept4(ch->end.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), ret;

	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			accept_later(ch, errno);
		return;
	}
	client_close(ch);
	ret = ch->loop->watch(ch->dev, fd, EPOLLERR, on_events, ch, &watch);
	if (ret) {
		close(fd);
		accept_later(ch, -ret);
		return;
	}
	ch->fd = fd;
	ch->watch = watch;
	ch->attached = true;
	ch->in_ended = false;
	watch_set(ch, ch->listen_watch, 0);
	work(ch);
}

/* --- for the device --- */

uint32_t channel_write(struct channel *ch, const uint8_t *data, uint32_t len)
{
	uint32_t room, at, first;

	if (ch->end.is_pty)
		pty_look(ch);
	if (!ch->attached)
		return len;
	room = OUT_SIZE - (ch->out_head - ch->out_tail);
	if (len > room) {
		len = room;
		ch->starved = true;
	}
	at = ch->out_head % OUT_SIZE;
	first = len < OUT_SIZE - at ? len : OUT_SIZE - at;
	memcpy(ch->out + at, data, first);
	memcpy(ch->out, data + first, len - first);
	ch->out_head += len;
	schedule(ch);
	return len;
}

void channel_input_ready(struct channel *ch)
{
	ch->in_blocked = false;
	schedule(ch);
}

bool channel_attached(const struct channel *ch)
{
	return ch->reported;
}

/* --- life cycle --- */

static int channel_watch(struct channel *ch)
{
	int ret = ch->loop->timer(ch->dev, on_timer, ch, &ch->timer);

	if (ret)
		return ret;
	if (!ch->end.is_pty)
		return ch->loop->watch(ch->dev, ch->end.fd, EPOLLIN, on_connection, ch,
				       &ch->listen_watch);
	ch->fd = ch->end.fd;
	ret = ch->loop->watch(ch->dev, ch->fd, EPOLLERR, on_events, ch, &ch->watch);
	if (ret)
		return ret;
	watch_update(ch);
	ch->loop->arm(ch->timer, PTY_POLL_NS);
	return 0;
}

int channel_new(struct alcor_dev *dev, const struct endpoint *end, const struct sink_ops *ops,
		void *opaque, struct channel **ret_channel)
{
	struct channel *ch = calloc(1, sizeof(*ch));
	int ret;

	if (!ch)
		return -ENOMEM;
	ch->dev = dev;
	ch->loop = alcor_service(dev, ALCOR_LOOP_ID);
	ch->ops = ops;
	ch->opaque = opaque;
	ch->end = *end;
	ch->fd = -1;
	ret = ch->loop ? channel_watch(ch) : -ENOTSUP;
	if (ret) {
		free(ch);
		return ret;
	}
	*ret_channel = ch;
	return 0;
}

/* A user who does not read must not keep the VM from ending. */
static void drain(struct channel *ch)
{
	struct pollfd pfd = { .fd = ch->fd, .events = POLLOUT };

	transmit(ch);
	for (int i = 0; i < DRAIN_TRIES && ch->attached && ch->out_head != ch->out_tail; i++) {
		poll(&pfd, 1, 1000 / DRAIN_TRIES);
		transmit(ch);
	}
	if (ch->attached && ch->end.is_pty)
		endpoint_pty_drain(&ch->end);
}

void channel_free(struct channel *ch)
{
	static const struct sink_ops silent;

	if (!ch)
		return;
	ch->ops = &silent;
	ch->scheduled = true;
	ch->starved = false;
	drain(ch);
	client_close(ch);
	ch->loop->unwatch(ch->watch);
	ch->loop->unwatch(ch->listen_watch);
	endpoint_close(&ch->end);
	free(ch);
}
