/* SPDX-License-Identifier: Apache-2.0 */
/* The two queues: packets of the guest to their streams, packets of ready streams in turn to the guest. */
#include <linux/virtio_vsock.h>

#include "vsock.h"

/* --- rx: to the guest --- */

/* RST answers a packet that belongs to no stream, never another RST. Where the guest gives no
 * buffers for that, it does without. */
static void rst_answer(struct vsock *vs, const struct vsock_pkt *pkt)
{
	if (pkt->op == VIRTIO_VSOCK_OP_RST || vs->n_rsts == VSOCK_RSTS)
		return;
	vs->rsts[(vs->rst_head + vs->n_rsts++) % VSOCK_RSTS] = (struct vsock_rst){
		.src_cid = pkt->dst_cid,
		.src_port = pkt->dst_port,
		.dst_port = pkt->src_port,
		.type = pkt->type,
	};
}

static void rst_take(struct vsock *vs, struct vsock_pkt *pkt)
{
	const struct vsock_rst *rst = &vs->rsts[vs->rst_head];

	pkt->src_cid = rst->src_cid;
	pkt->src_port = rst->src_port;
	pkt->dst_port = rst->dst_port;
	pkt->type = rst->type;
	pkt->op = VIRTIO_VSOCK_OP_RST;
	vs->rst_head = (vs->rst_head + 1) % VSOCK_RSTS;
	vs->n_rsts--;
}

/* A buffer with room for a header and data; smaller ones are of no use. */
static struct alcor_vreq *rx_buffer(struct vsock *vs, uint32_t *n)
{
	struct alcor_vq *vq = vs->virtio->vq(vs->dev, VSOCK_RX);
	struct alcor_vreq *req = vs->held;

	vs->held = NULL;
	while (!req && *n < VSOCK_BATCH && vs->virtio->pop(vq, &req, 1)) {
		if (req->in_len > VSOCK_HEADER)
			break;
		vs->virtio->push(req, 0);
		req = NULL;
		++*n;
	}
	return req;
}

static void rx_one(struct vsock *vs, struct alcor_vreq *req)
{
	struct vsock_stream *s = TAILQ_FIRST(&vs->ready);
	struct vsock_pkt pkt = { .src_cid = VSOCK_CID_HOST,
				 .dst_cid = vs->cid,
				 .type = VIRTIO_VSOCK_TYPE_STREAM };
	ssize_t len = 0;

	if (vs->n_rsts) {
		s = NULL;
		rst_take(vs, &pkt);
	} else {
		TAILQ_REMOVE(&vs->ready, s, ready);
		s->queued = false;
		len = vsock_stream_output(s, req, &pkt);
	}
	if (len < 0) {
		vs->held = req;
	} else {
		pkt.len = (uint32_t)len;
		vsock_pkt_store(req, &pkt);
		vs->virtio->push(req, (uint32_t)(VSOCK_HEADER + len));
	}
	if (s)
		vsock_stream_settle(s);
}

void vsock_rx_pump(struct vsock *vs)
{
	struct alcor_vreq *req;
	uint32_t n = 0;

	if (!vs->active || vs->paused)
		return;
	while (n < VSOCK_BATCH && (vs->n_rsts || !TAILQ_EMPTY(&vs->ready))) {
		req = rx_buffer(vs, &n);
		if (!req)
			break;
		rx_one(vs, req);
		n++;
	}
	if (n)
		vs->virtio->flush(vs->virtio->vq(vs->dev, VSOCK_RX));
	if (n >= VSOCK_BATCH)
		vs->virtio->kick(vs->virtio->vq(vs->dev, VSOCK_RX));
}

/* --- tx: from the guest --- */

static void tx_unknown(struct vsock *vs, const struct vsock_pkt *pkt, bool whole)
{
	if (!whole || pkt->op != VIRTIO_VSOCK_OP_REQUEST || !vsock_guest_connect(vs, pkt))
		rst_answer(vs, pkt);
}

static void tx_one(struct vsock *vs, const struct alcor_vreq *req)
{
	struct vsock_stream *s;
	struct vsock_pkt pkt;
	bool whole;

	if (!vsock_pkt_load(req, &pkt)) {
		alcor_log(vs->dev, ALCOR_LOG_WARN, "the guest sent a packet without a header");
		return;
	}
	if (pkt.src_cid != vs->cid) {
		alcor_log(vs->dev, ALCOR_LOG_WARN, "the guest sent a packet from context %llu",
			  (unsigned long long)pkt.src_cid);
		return;
	}
	/* Only streams are offered; another type is answered with RST (5.10.6.4.2). */
	if (pkt.dst_cid != VSOCK_CID_HOST || pkt.type != VIRTIO_VSOCK_TYPE_STREAM) {
		rst_answer(vs, &pkt);
		return;
	}
	s = vsock_stream_find(vs, pkt.dst_port, pkt.src_port);
	whole = pkt.len <= req->out_len - VSOCK_HEADER;
	if (!s) {
		tx_unknown(vs, &pkt, whole);
	} else if (!whole && pkt.op != VIRTIO_VSOCK_OP_RST) {
		vsock_stream_reset(s);
		vsock_stream_settle(s);
	} else {
		vsock_stream_input(s, &pkt, req);
	}
}

/* Each packet is done with at once: what a socket does not take, its stream keeps. */
void vsock_tx_serve(struct vsock *vs)
{
	struct alcor_vq *vq = vs->virtio->vq(vs->dev, VSOCK_TX);
	struct alcor_vreq *req;
	uint32_t n = 0;

	while (n < VSOCK_BATCH && !vs->paused && vs->virtio->pop(vq, &req, 1)) {
		tx_one(vs, req);
		vs->virtio->push(req, 0);
		n++;
	}
	vs->virtio->flush(vq);
	vsock_rx_pump(vs);
	if (n == VSOCK_BATCH)
		vs->virtio->kick(vq);
}
