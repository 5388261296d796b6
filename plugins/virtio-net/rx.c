/* SPDX-License-Identifier: Apache-2.0 */
/* From the back end to the guest (Virtio 1.3, 5.1.6.3 and 5.1.6.4). */
#include <endian.h>
#include <errno.h>

#include "net.h"

#define RX_TRIES 256 /* buffers taken in one go: a driver that never stops must not hold the loop */

static bool is_mergeable(const struct net *net)
{
	return net->features & NET_BIT(VIRTIO_NET_F_MRG_RXBUF);
}

/* One element of the list is for what goes beyond the buffers. */
static bool is_full(const struct net *net, const struct net_rx *rx)
{
	if (!is_mergeable(net))
		return rx->n_held > 0;
	return rx->n_held == NET_QUEUE_SIZE || rx->n_iov + NET_SEGMENTS > NET_RX_IOV - 1;
}

static void hold(struct net *net, struct net_rx *rx, struct alcor_vreq *req)
{
	if (req->in_len == 0 || req->n_in > NET_SEGMENTS) {
		net->virtio->push(req, 0);
		return;
	}
	memcpy(rx->iov + rx->n_iov, req->in, req->n_in * sizeof(*req->in));
	rx->n_iov += req->n_in;
	rx->room += req->in_len;
	rx->held[rx->n_held++] = req;
}

/* Takes buffers until there is room for @want bytes, or there are no more. */
static void refill(struct net *net, struct net_rx *rx, uint64_t want)
{
	struct alcor_vreq *req;

	for (unsigned n = 0; rx->room < want && !is_full(net, rx); n++) {
		if (n == RX_TRIES) {
			net->virtio->kick(rx->vq);
			return;
		}
		if (!net->virtio->pop(rx->vq, &req, 1))
			return;
		hold(net, rx, req);
	}
}

/* Forgets the first @n buffers, of @n_iov elements and @room bytes. */
static void forget(struct net_rx *rx, uint32_t n, uint32_t n_iov, uint64_t room)
{
	rx->n_held -= n;
	rx->n_iov -= n_iov;
	rx->room -= room;
	memmove(rx->held, rx->held + n, rx->n_held * sizeof(rx->held[0]));
	memmove(rx->iov, rx->iov + n_iov, rx->n_iov * sizeof(rx->iov[0]));
}

/* The frame is in the buffers: completes as many as it takes. */
static void complete(struct net *net, struct net_rx *rx)
{
	static const uint8_t no_flags = 0;
	uint32_t n = 0, n_iov = 0, left = rx->frame;
	uint64_t room = 0;
	uint16_t count;

	for (; room < rx->frame; n++) {
		room += rx->held[n]->in_len;
		n_iov += rx->held[n]->n_in;
	}
	/* Hosts say DATA_VALID unasked. */
	if (!(net->features & NET_BIT(VIRTIO_NET_F_GUEST_CSUM)))
		net_iov_write(rx->iov, rx->n_iov, 0, &no_flags, sizeof(no_flags));
	count = htole16((uint16_t)n);
	net_iov_write(rx->iov, rx->n_iov, NET_HDR_NUM_BUFFERS, &count, sizeof(count));
	for (uint32_t i = 0; i < n; i++) {
		uint64_t len = rx->held[i]->in_len;
		uint32_t written = len < left ? (uint32_t)len : left;

		net->virtio->push(rx->held[i], written);
		left -= written;
	}
	forget(rx, n, n_iov, room);
	rx->frame = 0;
}

/* Moves on what had no room when it was read: true when the frame is no more in the way. */
static bool place(struct net *net, struct net_rx *rx)
{
	uint64_t end;

	if (rx->room < rx->frame)
		refill(net, rx, rx->frame);
	end = rx->room < rx->frame ? rx->room : rx->frame;
	net_iov_write(rx->iov, rx->n_iov, rx->placed, rx->spill + (rx->placed - rx->base),
		      end - rx->placed);
	rx->placed = (uint32_t)end;
	if (rx->placed == rx->frame) {
		complete(net, rx);
		return true;
	}
	if (!is_full(net, rx))
		return false;
	rx->frame = 0;
	net_count_drop(net->dev, &net->rx_dropped,
		       "received frame does not fit the driver's buffers");
	return true;
}

/* Errors of one frame; all others would come again at once. */
static bool is_lost_frame(int error)
{
	return error == EINVAL || error == EFAULT || error == ENOMEM || error == ENOBUFS;
}

/* Reads one frame: false when there is none, or no buffer. */
static bool fetch(struct net_pair *pair)
{
	struct net *net = pair->net;
	struct net_backend *backend = net->backend;
	struct net_rx *rx = &pair->rx;
	ssize_t len;

	refill(net, rx, is_mergeable(net) ? net->rx_target : 1);
	if (!rx->n_held)
		return false;
	rx->iov[rx->n_iov] = (struct iovec){ rx->spill, NET_SPILL };
	len = backend->ops->receive(backend, pair->index, rx->iov, rx->n_iov + 1);
	if (len == -EAGAIN)
		return false;
	if (len < 0 && !is_lost_frame((int)-len)) {
		net_break(net, (int)-len);
		return false;
	}
	if (len < (ssize_t)NET_HDR_LEN || len > NET_FRAME_MAX) {
		net_count_drop(net->dev, &net->rx_dropped, "received frame of a wrong length");
		return true;
	}
	rx->frame = (uint32_t)len;
	rx->base = rx->room < rx->frame ? (uint32_t)rx->room : rx->frame;
	rx->placed = rx->base;
	return true;
}

void net_rx_run(struct net_pair *pair)
{
	struct net_rx *rx = &pair->rx;

	if (!rx->ready || pair->net->broken || !net_pair_on(pair))
		return;
	for (unsigned n = 0; n < NET_BATCH; n++) {
		if (!rx->frame && !fetch(pair))
			break;
		if (rx->frame && !place(pair->net, rx))
			break;
	}
	pair->net->virtio->flush(rx->vq);
	net_watch(pair);
}

void net_rx_stop(struct net_pair *pair)
{
	pair->rx.ready = false;
	pair->rx.n_held = pair->rx.n_iov = 0;
	pair->rx.room = 0;
	pair->rx.frame = 0;
}
