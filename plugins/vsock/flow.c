/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data and credit (Virtio 1.3, 5.10.6.3). Counters are 32 bits wide and wrap.
 *
 * fwd_cnt counts what the socket took. What it did not take lies in the ring, so that the guest's
 * credit is the ring's free room at any time.
 */
#include <errno.h>
#include <sys/socket.h>

#include "vsock.h"

uint32_t vsock_flow_credit(const struct vsock_stream *s)
{
	uint32_t in_flight = s->tx_cnt - s->peer_fwd_cnt;

	return in_flight < s->peer_buf_alloc ? s->peer_buf_alloc - in_flight : 0;
}

/* The guest is told before what it thinks it may send gets little. */
static void flow_forwarded(struct vsock_stream *s, uint32_t len)
{
	s->fwd_cnt += len;
	if (s->fwd_cnt - s->fwd_told >= VSOCK_BUF_ALLOC / 4)
		s->need |= VSOCK_NEED_CREDIT_UPDATE;
}

void vsock_flow_drop(struct vsock_stream *s)
{
	flow_forwarded(s, s->used);
	s->used = 0;
}

/* What the socket took. Where it takes no more, ever, the guest's side of the stream ends. */
static uint32_t flow_send(struct vsock_stream *s, struct iovec *iov, uint32_t n)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t ret;

	do {
		ret = sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (ret < 0 && errno == EINTR);
	if (ret < 0 && errno != EAGAIN)
		s->shut |= VSOCK_SHUT_RCV;
	return ret < 0 ? 0 : (uint32_t)ret;
}

static void ring_put(struct vsock_stream *s, const struct iovec *iov, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *from = iov[i].iov_base;
		size_t len = iov[i].iov_len;

		while (len) {
			uint32_t at = (s->head + s->used) % VSOCK_BUF_ALLOC;
			size_t part = VSOCK_MIN(len, VSOCK_BUF_ALLOC - at);

			memcpy(s->ring + at, from, part);
			s->used += (uint32_t)part;
			from += part;
			len -= part;
		}
	}
}

bool vsock_flow_take(struct vsock_stream *s, const struct alcor_vreq *req, uint32_t len)
{
	struct iovec *iov = s->vs->iov;
	uint32_t sent = 0, n;

	if (len > VSOCK_BUF_ALLOC - s->used)
		return false;
	if (s->fd >= 0 && !s->used && !(s->shut & VSOCK_SHUT_RCV)) {
		n = vsock_iov_slice(iov, req->out, req->n_out, VSOCK_HEADER, len);
		sent = len ? flow_send(s, iov, n) : 0;
	}
	if (s->fd < 0 || s->shut & VSOCK_SHUT_RCV) {
		flow_forwarded(s, len);
		return true;
	}
	flow_forwarded(s, sent);
	n = vsock_iov_slice(iov, req->out, req->n_out, VSOCK_HEADER + sent, len - sent);
	ring_put(s, iov, n);
	return true;
}

void vsock_flow_drain(struct vsock_stream *s)
{
	uint32_t first = VSOCK_MIN(s->used, VSOCK_BUF_ALLOC - s->head), sent;
	struct iovec iov[] = { { s->ring + s->head, first }, { s->ring, s->used - first } };

	if (!s->used)
		return;
	sent = flow_send(s, iov, s->used > first ? 2 : 1);
	s->head = (s->head + sent) % VSOCK_BUF_ALLOC;
	s->used -= sent;
	flow_forwarded(s, sent);
}

/* After less than there was room for the socket is empty, most likely: the loop will tell. */
ssize_t vsock_flow_read(struct vsock_stream *s, const struct alcor_vreq *req)
{
	size_t len = VSOCK_MIN(req->in_len - VSOCK_HEADER, VSOCK_PAYLOAD_MAX);
	struct msghdr msg = { .msg_iov = s->vs->iov };
	ssize_t ret;

	len = VSOCK_MIN(len, vsock_flow_credit(s));
	msg.msg_iovlen = vsock_iov_slice(s->vs->iov, req->in, req->n_in, VSOCK_HEADER, len);
	do {
		ret = recvmsg(s->fd, &msg, MSG_DONTWAIT);
	} while (ret < 0 && errno == EINTR);
	s->readable = ret > 0 && (size_t)ret == len;
	if (ret > 0) {
		s->tx_cnt += (uint32_t)ret;
		return ret;
	}
	if (ret == 0)
		s->shut |= VSOCK_SHUT_SEND;
	else if (errno != EAGAIN)
		s->shut |= VSOCK_SHUT_BOTH;
	return -1;
}
