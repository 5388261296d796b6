/* SPDX-License-Identifier: Apache-2.0 */
/* The data of a port (5.3.6.1). */
#include "hvc.h"

static bool port_runs(const struct hvc_port *port)
{
	return port->hvc->active && !port->hvc->paused;
}

/* --- guest to sink --- */

/* Whether all of @req was taken; else its lists begin with what was not. */
static bool request_write(struct hvc_port *port, struct alcor_vreq *req)
{
	for (; req->n_out; req->out++, req->n_out--) {
		while (req->out->iov_len) {
			size_t left = req->out->iov_len;
			uint32_t len = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
			uint32_t n = sink_write(port->sink, req->out->iov_base, len);

			req->out->iov_base = (char *)req->out->iov_base + n;
			req->out->iov_len -= n;
			if (n < len)
				return false;
		}
	}
	return true;
}

/* A request that the sink has no room for is held, and with it all behind it. */
void hvc_port_transmit(struct hvc_port *port)
{
	const struct alcor_virtio *virtio = port->hvc->virtio;
	struct alcor_vq *vq = virtio->vq(port->hvc->dev, hvc_queue_tx(port));
	unsigned n;

	if (!port_runs(port))
		return;
	for (n = 0; n < HVC_BATCH; n++) {
		if (!port->held && !virtio->pop(vq, &port->held, 1))
			break;
		if (!request_write(port, port->held))
			break;
		virtio->push(port->held, 0);
		port->held = NULL;
	}
	virtio->flush(vq);
	if (n == HVC_BATCH)
		virtio->kick(vq);
}

static void port_output_ready(void *opaque)
{
	hvc_port_transmit(opaque);
}

/* --- sink to guest --- */

static uint32_t request_fill(struct alcor_vreq *req, const uint8_t *data, uint32_t len)
{
	uint32_t done = 0;

	for (uint32_t i = 0; i < req->n_in && done < len; i++) {
		size_t n = req->in[i].iov_len < len - done ? req->in[i].iov_len : len - done;

		memcpy(req->in[i].iov_base, data + done, n);
		done += (uint32_t)n;
	}
	return done;
}

static uint32_t port_fill(struct hvc_port *port, const uint8_t *data, uint32_t len)
{
	const struct alcor_virtio *virtio = port->hvc->virtio;
	struct alcor_vq *vq = virtio->vq(port->hvc->dev, hvc_queue_rx(port));
	struct alcor_vreq *req;
	uint32_t done = 0;
	unsigned n;

	for (n = 0; n < HVC_BATCH && done < len && virtio->pop(vq, &req, 1); n++) {
		uint32_t filled = request_fill(req, data + done, len - done);

		virtio->push(req, filled);
		done += filled;
	}
	virtio->flush(vq);
	if (n == HVC_BATCH)
		virtio->kick(vq);
	return done;
}

/* A driver drops what comes for a port that nobody in the guest has open: it waits here instead. */
static uint32_t port_input(void *opaque, const uint8_t *data, uint32_t len)
{
	struct hvc_port *port = opaque;
	uint32_t n = 0;

	if (port_runs(port) && port->guest_open)
		n = port_fill(port, data, len);
	port->input_waits = n < len;
	return n;
}

void hvc_port_receive(struct hvc_port *port)
{
	if (!port->input_waits || !port_runs(port) || !port->guest_open)
		return;
	port->input_waits = false;
	sink_input_ready(port->sink);
}

static void port_attached(void *opaque, bool attached)
{
	hvc_control_attached(opaque);
}

const struct sink_ops hvc_sink_ops = {
	.input = port_input,
	.output_ready = port_output_ready,
	.attached = port_attached,
};

void hvc_port_stop(struct hvc_port *port, uint16_t queue)
{
	if (queue == hvc_queue_tx(port))
		port->held = NULL;
}
