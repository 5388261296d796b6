/* SPDX-License-Identifier: Apache-2.0 */
/* The streams of a device: found by their ports, limited in number, watched over by one timer. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "vsock.h"

static struct vsock_bucket *bucket_of(struct vsock *vs, uint32_t host_port, uint32_t guest_port)
{
	return &vs->buckets[(host_port * 31 + guest_port) % VSOCK_BUCKETS];
}

struct vsock_stream *vsock_stream_find(struct vsock *vs, uint32_t host_port, uint32_t guest_port)
{
	struct vsock_stream *s;

	LIST_FOREACH(s, bucket_of(vs, host_port, guest_port), bucket) {
		if (s->host_port == host_port && s->guest_port == guest_port)
			return s;
	}
	return NULL;
}

static bool port_in_use(struct vsock *vs, uint32_t port)
{
	struct vsock_stream *s;

	TAILQ_FOREACH(s, &vs->streams, link) {
		if (s->hashed && s->host_port == port)
			return true;
	}
	return false;
}

/* Ends: there are more ports than streams. */
uint32_t vsock_port_pick(struct vsock *vs)
{
	uint32_t port;

	do {
		port = vs->next_port++;
		if (vs->next_port == UINT32_MAX)
			vs->next_port = VSOCK_PORT_MIN;
	} while (port_in_use(vs, port));
	return port;
}

struct vsock_stream *vsock_stream_new(struct vsock *vs, int fd)
{
	struct vsock_stream *s;

	if (vs->n_streams == VSOCK_STREAMS_MAX)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->vs = vs;
	s->fd = fd;
	s->state = VSOCK_HANDSHAKE;
	TAILQ_INSERT_TAIL(&vs->streams, s, link);
	vs->n_streams++;
	return s;
}

int vsock_stream_bind(struct vsock_stream *s, uint32_t host_port, uint32_t guest_port)
{
	s->ring = malloc(VSOCK_BUF_ALLOC);
	if (!s->ring)
		return -ENOMEM;
	s->host_port = host_port;
	s->guest_port = guest_port;
	s->hashed = true;
	LIST_INSERT_HEAD(bucket_of(s->vs, host_port, guest_port), s, bucket);
	return 0;
}

void vsock_stream_unhash(struct vsock_stream *s)
{
	if (s->hashed)
		LIST_REMOVE(s, bucket);
	s->hashed = false;
}

void vsock_stream_free(struct vsock_stream *s)
{
	struct vsock *vs = s->vs;

	vsock_stream_close_fd(s);
	vsock_stream_unhash(s);
	if (s->queued)
		TAILQ_REMOVE(&vs->ready, s, ready);
	TAILQ_REMOVE(&vs->streams, s, link);
	vs->n_streams--;
	free(s->ring);
	free(s);
}

/* --- time --- */

uint64_t vsock_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void vsock_timer_need(struct vsock *vs, uint64_t at_ms)
{
	uint64_t now = vsock_now_ms();

	if (vs->paused || (vs->timer_at && vs->timer_at <= at_ms))
		return;
	vs->timer_at = at_ms;
	vs->loop->arm(vs->timer, (at_ms > now ? at_ms - now : 1) * 1000000);
}

/* @ms from now on; 0: no longer. */
void vsock_stream_deadline(struct vsock_stream *s, uint64_t ms)
{
	s->deadline = ms ? vsock_now_ms() + ms : 0;
	if (s->deadline)
		vsock_timer_need(s->vs, s->deadline);
}

/* Each stream is independent of what happens to the one before it. */
void vsock_timer_fired(void *opaque)
{
	struct vsock *vs = opaque;
	struct vsock_stream *s, *next;
	uint64_t now = vsock_now_ms();

	vs->timer_at = 0;
	if (vs->listen_retry && vs->listen_retry <= now) {
		vs->listen_retry = 0;
		vs->loop->modify(vs->listen_watch, EPOLLIN);
	} else if (vs->listen_retry) {
		vsock_timer_need(vs, vs->listen_retry);
	}
	for (s = TAILQ_FIRST(&vs->streams); s; s = next) {
		next = TAILQ_NEXT(s, link);
		if (!s->deadline)
			continue;
		if (s->deadline > now) {
			vsock_timer_need(vs, s->deadline);
			continue;
		}
		s->deadline = 0;
		vsock_stream_expired(s);
		vsock_stream_settle(s);
	}
	vsock_rx_pump(vs);
}
