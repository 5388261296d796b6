/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a stream (Virtio 1.3, 5.10.6.4 and 5.10.6.5). */
#include <linux/virtio_vsock.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vsock.h"

#define STREAM_CLOSE_MS	 3000
#define STREAM_LINGER_MS 30000

void vsock_stream_close_fd(struct vsock_stream *s)
{
	s->vs->loop->unwatch(s->watch);
	s->watch = NULL;
	s->events = 0;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->used = 0;
}

void vsock_stream_reset(struct vsock_stream *s)
{
	bool known = s->hashed && !(s->need & VSOCK_NEED_REQUEST);

	vsock_stream_close_fd(s);
	vsock_stream_deadline(s, 0);
	s->state = VSOCK_DEAD;
	s->need = known ? VSOCK_NEED_RST : 0;
}

/* --- what follows from what happened --- */

/* Whether data of the socket is still for the guest. */
static bool stream_reading(const struct vsock_stream *s)
{
	return s->state == VSOCK_OPEN && !(s->shut & VSOCK_SHUT_SEND) &&
	       !(s->peer_shut & VSOCK_SHUT_RCV);
}

/* The guest is done with both directions and waits for an RST (5.10.6.5). Its data is not lost:
 * the socket gets it without the guest. */
static void stream_guest_done(struct vsock_stream *s)
{
	if (!s->used) {
		vsock_stream_reset(s);
		return;
	}
	s->state = VSOCK_LINGER;
	s->need = VSOCK_NEED_RST;
	s->mark = s->fwd_cnt;
	vsock_stream_deadline(s, STREAM_LINGER_MS);
}

/* Nothing can flow any more: the socket is closed, and the guest asked to close its side. */
static void stream_close(struct vsock_stream *s)
{
	vsock_stream_close_fd(s);
	s->state = VSOCK_CLOSING;
	s->shut = VSOCK_SHUT_BOTH;
	s->mark = s->peer_fwd_cnt;
	vsock_stream_deadline(s, STREAM_CLOSE_MS);
}

static void stream_advance_open(struct vsock_stream *s)
{
	bool in_done, out_done;

	if (s->shut & VSOCK_SHUT_RCV)
		vsock_flow_drop(s);
	in_done = s->shut & VSOCK_SHUT_RCV || (s->peer_shut & VSOCK_SHUT_SEND && !s->used);
	out_done = (s->shut & VSOCK_SHUT_SEND) || (s->peer_shut & VSOCK_SHUT_RCV);
	if (s->peer_shut == VSOCK_SHUT_BOTH) {
		stream_guest_done(s);
	} else if (in_done && out_done) {
		stream_close(s);
	} else if (in_done && !s->write_shut) {
		s->write_shut = true;
		shutdown(s->fd, SHUT_WR);
	}
}

static void stream_advance(struct vsock_stream *s)
{
	if (s->state == VSOCK_OPEN)
		stream_advance_open(s);
	else if (s->state == VSOCK_CLOSING && s->peer_shut == VSOCK_SHUT_BOTH)
		vsock_stream_reset(s);
	if (s->state == VSOCK_LINGER && (!s->used || s->shut & VSOCK_SHUT_RCV)) {
		vsock_stream_close_fd(s);
		s->state = VSOCK_DEAD;
	}
	if (s->state == VSOCK_LINGER || s->state == VSOCK_DEAD)
		s->need &= VSOCK_NEED_RST;
	if (stream_reading(s) && s->readable && !s->asked && !vsock_flow_credit(s)) {
		s->asked = true;
		s->need |= VSOCK_NEED_CREDIT_REQUEST;
	}
}

/* Whether there is a packet for the guest. */
static bool stream_wants(const struct vsock_stream *s)
{
	if (s->need)
		return true;
	if ((s->state == VSOCK_OPEN || s->state == VSOCK_CLOSING) && s->shut & ~s->shut_told)
		return true;
	return stream_reading(s) && s->readable && vsock_flow_credit(s);
}

/* A socket is not watched for what cannot be dealt with now. Once its data has ended, only its end
 * (EPOLLHUP) is of interest, which comes with any event that is asked for. */
static uint32_t stream_events(const struct vsock_stream *s)
{
	uint32_t events = s->used ? EPOLLOUT : 0;

	if (s->vs->paused || s->fd < 0)
		return 0;
	switch (s->state) {
	case VSOCK_HANDSHAKE:
		return EPOLLIN;
	case VSOCK_REQUESTED:
		return s->deaf ? 0 : EPOLLPRI;
	case VSOCK_OPEN:
		if (!stream_reading(s))
			return events | (s->deaf ? 0 : EPOLLPRI);
		return events | (s->readable ? 0 : EPOLLIN);
	case VSOCK_LINGER:
		return events;
	default:
		return 0;
	}
}

static int stream_watch(struct vsock_stream *s)
{
	const struct alcor_loop *loop = s->vs->loop;
	uint32_t events = stream_events(s);
	int ret;

	if (events == s->events)
		return 0;
	if (s->watch)
		ret = loop->modify(s->watch, events);
	else
		ret = loop->watch(s->vs->dev, s->fd, events, vsock_stream_ready, s, &s->watch);
	if (!ret)
		s->events = events;
	return ret;
}

void vsock_stream_settle(struct vsock_stream *s)
{
	stream_advance(s);
	if (stream_watch(s))
		vsock_stream_reset(s);
	if (s->state == VSOCK_DEAD && !s->need) {
		vsock_stream_free(s);
		return;
	}
	if (!s->queued && stream_wants(s)) {
		s->queued = true;
		TAILQ_INSERT_TAIL(&s->vs->ready, s, ready);
	}
}

/* --- events --- */

static void stream_ready_open(struct vsock_stream *s, uint32_t events)
{
	bool ended = events & (EPOLLHUP | EPOLLERR);

	if (events & EPOLLOUT || ended)
		vsock_flow_drain(s);
	if (stream_reading(s))
		s->readable |= events & EPOLLIN || ended;
	else if (ended)
		s->shut |= VSOCK_SHUT_RCV;
	else if (events & EPOLLPRI)
		s->deaf = true;
}

void vsock_stream_ready(void *opaque, uint32_t events)
{
	struct vsock_stream *s = opaque;
	struct vsock *vs = s->vs;

	switch (s->state) {
	case VSOCK_HANDSHAKE:
		vsock_client_read(s);
		break;
	case VSOCK_REQUESTED:
		if (events & (EPOLLHUP | EPOLLERR))
			vsock_stream_reset(s);
		else
			s->deaf = true;
		break;
	case VSOCK_OPEN:
		stream_ready_open(s, events);
		break;
	default:
		vsock_flow_drain(s);
		break;
	}
	vsock_stream_settle(s);
	vsock_rx_pump(vs);
}

/* Whoever still makes progress gets more time. */
void vsock_stream_expired(struct vsock_stream *s)
{
	uint32_t counter = s->state == VSOCK_LINGER ? s->fwd_cnt : s->peer_fwd_cnt;

	if (s->state == VSOCK_CONNECTING) {
		vsock_guest_retry(s);
	} else if ((s->state == VSOCK_LINGER || s->state == VSOCK_CLOSING) && s->mark != counter) {
		s->mark = counter;
		vsock_stream_deadline(s, s->state == VSOCK_LINGER ? STREAM_LINGER_MS :
								    STREAM_CLOSE_MS);
	} else {
		vsock_stream_reset(s);
	}
}

/* --- packets of the guest --- */

/* What the guest sent before it shut its side down is still delivered. */
static void input_rst(struct vsock_stream *s)
{
	if (s->used && s->peer_shut & VSOCK_SHUT_SEND && s->state == VSOCK_OPEN)
		stream_guest_done(s);
	else if (s->state != VSOCK_LINGER)
		vsock_stream_reset(s);
	s->need = 0;
	vsock_stream_unhash(s);
}

static void input_shutdown(struct vsock_stream *s, uint32_t flags)
{
	s->peer_shut |= flags & VSOCK_SHUT_BOTH;
	if (s->fd >= 0 && flags & VSOCK_SHUT_RCV)
		shutdown(s->fd, SHUT_RD);
}

static void input_response(struct vsock_stream *s)
{
	if (s->state != VSOCK_REQUESTED || s->need & VSOCK_NEED_REQUEST) {
		vsock_stream_reset(s);
		return;
	}
	s->state = VSOCK_OPEN;
	vsock_stream_deadline(s, 0);
	vsock_client_accepted(s);
}

/* Packets of an established stream; any other is an error (5.10.6.4). */
static void input_connected(struct vsock_stream *s, const struct vsock_pkt *pkt,
			    const struct alcor_vreq *req)
{
	switch (pkt->op) {
	case VIRTIO_VSOCK_OP_RW:
		if (s->peer_shut & VSOCK_SHUT_SEND || !vsock_flow_take(s, req, pkt->len))
			vsock_stream_reset(s);
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		input_shutdown(s, pkt->flags);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		s->need |= VSOCK_NEED_CREDIT_UPDATE;
		break;
	default:
		vsock_stream_reset(s);
		break;
	}
}

void vsock_stream_input(struct vsock_stream *s, const struct vsock_pkt *pkt,
			const struct alcor_vreq *req)
{
	bool connected = (s->state == VSOCK_OPEN && !(s->need & VSOCK_NEED_RESPONSE)) ||
			 s->state == VSOCK_CLOSING;

	s->peer_buf_alloc = pkt->buf_alloc;
	s->peer_fwd_cnt = pkt->fwd_cnt;
	if (vsock_flow_credit(s))
		s->asked = false;
	if (pkt->op == VIRTIO_VSOCK_OP_RST)
		input_rst(s);
	else if (s->state == VSOCK_LINGER || s->state == VSOCK_DEAD)
		; /* its RST is on the way */
	else if (connected)
		input_connected(s, pkt, req);
	else if (pkt->op == VIRTIO_VSOCK_OP_RESPONSE)
		input_response(s);
	else
		vsock_stream_reset(s);
	vsock_stream_settle(s);
}

/* --- packets for the guest --- */

static uint16_t output_state(struct vsock_stream *s, struct vsock_pkt *pkt)
{
	if (s->need & VSOCK_NEED_RST) {
		s->need = 0;
		vsock_stream_unhash(s);
		return VIRTIO_VSOCK_OP_RST;
	}
	if (s->need & VSOCK_NEED_REQUEST) {
		s->need &= ~VSOCK_NEED_REQUEST;
		return VIRTIO_VSOCK_OP_REQUEST;
	}
	if (s->need & VSOCK_NEED_RESPONSE) {
		s->need &= ~VSOCK_NEED_RESPONSE;
		return VIRTIO_VSOCK_OP_RESPONSE;
	}
	if (s->shut & ~s->shut_told) {
		s->shut_told = s->shut;
		pkt->flags = s->shut;
		return VIRTIO_VSOCK_OP_SHUTDOWN;
	}
	return VIRTIO_VSOCK_OP_INVALID;
}

/* Data brings news of credit with it. */
static uint16_t output_credit(struct vsock_stream *s)
{
	if (s->need & VSOCK_NEED_CREDIT_UPDATE)
		return VIRTIO_VSOCK_OP_CREDIT_UPDATE;
	if (s->need & VSOCK_NEED_CREDIT_REQUEST) {
		s->need &= ~VSOCK_NEED_CREDIT_REQUEST;
		return VIRTIO_VSOCK_OP_CREDIT_REQUEST;
	}
	return VIRTIO_VSOCK_OP_INVALID;
}

ssize_t vsock_stream_output(struct vsock_stream *s, const struct alcor_vreq *req,
			    struct vsock_pkt *pkt)
{
	ssize_t len = 0;

	pkt->op = output_state(s, pkt);
	if (!pkt->op && stream_reading(s) && s->readable && vsock_flow_credit(s)) {
		len = vsock_flow_read(s, req);
		if (len > 0)
			pkt->op = VIRTIO_VSOCK_OP_RW;
	}
	if (!pkt->op) {
		len = 0;
		pkt->op = output_credit(s);
	}
	if (!pkt->op)
		return -1;
	pkt->src_port = s->host_port;
	pkt->dst_port = s->guest_port;
	pkt->buf_alloc = VSOCK_BUF_ALLOC;
	pkt->fwd_cnt = s->fwd_cnt;
	s->fwd_told = s->fwd_cnt;
	s->need &= ~VSOCK_NEED_CREDIT_UPDATE;
	return len;
}
