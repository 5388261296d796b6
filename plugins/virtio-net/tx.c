/* SPDX-License-Identifier: Apache-2.0 */
/* From the guest to the back end (Virtio 1.3, 5.1.6.2). */
#include <errno.h>

#include "net.h"

#define TX_ROUNDS 4 /* batches before others on the loop get their turn */

/* The feature that a type of segmentation needs. */
static uint64_t gso_feature(uint8_t type)
{
	switch (type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return NET_BIT(VIRTIO_NET_F_HOST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return NET_BIT(VIRTIO_NET_F_HOST_TSO6);
	case NET_HDR_GSO_UDP_L4:
		return NET_BIT(NET_F_HOST_USO);
	default:
		return 0;
	}
}

/* Whether the header asks only for what was agreed on. The offsets in it are the back end's to
 * check: the guest may change them until it has taken its copy. */
static bool header_ok(const struct net *net, const struct alcor_vreq *req)
{
	struct virtio_net_hdr_v1 hdr;

	if (req->out_len <= NET_HDR_LEN || req->out_len > NET_FRAME_MAX ||
	    !net_iov_read(req->out, req->n_out, 0, &hdr, sizeof(hdr)))
		return false;
	if (hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
	    !(net->features & NET_BIT(VIRTIO_NET_F_CSUM)))
		return false;
	return hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE ||
	       (net->features & gso_feature(hdr.gso_type));
}

/* False when the back end has no room. */
static bool send_one(struct net_pair *pair, struct alcor_vreq *req)
{
	struct net *net = pair->net;
	struct net_backend *backend = net->backend;
	int ret = -EINVAL;

	if (header_ok(net, req))
		ret = backend->ops->send(backend, pair->index, req->out, req->n_out);
	if (ret == -EAGAIN)
		return false;
	if (ret)
		net_count_drop(net->dev, &net->tx_dropped,
			       ret == -EINVAL ? "malformed frame of the guest" : strerror(-ret));
	net->virtio->push(req, 0);
	return true;
}

/* Sends what is taken: false when the back end has no room. */
static bool send_taken(struct net_pair *pair)
{
	struct net_tx *tx = &pair->tx;

	for (; tx->at < tx->n; tx->at++) {
		if (!send_one(pair, tx->reqs[tx->at]))
			return false;
	}
	tx->at = tx->n = 0;
	return true;
}

void net_tx_run(struct net_pair *pair)
{
	struct net *net = pair->net;
	struct net_tx *tx = &pair->tx;

	if (!tx->ready || !net_pair_on(pair))
		return;
	/* What is taken and not sent in the end has the descriptor watched, so there is a next turn. */
	for (unsigned round = 0; round < TX_ROUNDS && send_taken(pair); round++) {
		tx->n = net->virtio->pop(tx->vq, tx->reqs, NET_BATCH);
		if (!tx->n)
			break;
	}
	net->virtio->flush(tx->vq);
	if (net->backend->ops->commit)
		net->backend->ops->commit(net->backend);
	net_watch(pair);
}

void net_tx_stop(struct net_pair *pair)
{
	pair->tx.ready = false;
	pair->tx.at = pair->tx.n = 0;
}
