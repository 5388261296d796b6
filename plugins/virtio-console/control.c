/* SPDX-License-Identifier: Apache-2.0 */
/* Ports come and go by messages on the control queues (5.3.6.2). */
#include <endian.h>

#include "hvc.h"

enum {
	VIRTIO_CONSOLE_DEVICE_READY,
	VIRTIO_CONSOLE_PORT_ADD,
	VIRTIO_CONSOLE_PORT_REMOVE,
	VIRTIO_CONSOLE_PORT_READY,
	VIRTIO_CONSOLE_CONSOLE_PORT,
	VIRTIO_CONSOLE_RESIZE,
	VIRTIO_CONSOLE_PORT_OPEN,
	VIRTIO_CONSOLE_PORT_NAME,
};

struct control_msg {
	uint32_t id; /* all little-endian */
	uint16_t event;
	uint16_t value;
};

#define MSG_MAX (sizeof(struct control_msg) + HVC_NAME_MAX)

/* --- to the driver --- */

/*
 * What a port still has to tell is a set, one bit for each event: however often a driver asks, there
 * is nothing that grows. They are sent in this order.
 */
static const uint16_t send_order[] = {
	VIRTIO_CONSOLE_PORT_ADD,
	VIRTIO_CONSOLE_CONSOLE_PORT,
	VIRTIO_CONSOLE_PORT_NAME,
	VIRTIO_CONSOLE_PORT_OPEN,
};

/* The host's end of a console is always there: a kernel prints whether or not somebody looks. */
static bool host_open(const struct hvc_port *port)
{
	return port->is_console || sink_attached(port->sink);
}

static size_t msg_make(const struct hvc_port *port, uint16_t event, uint8_t msg[MSG_MAX])
{
	bool value = event == VIRTIO_CONSOLE_PORT_OPEN ? host_open(port) : true;
	struct control_msg head = {
		.id = htole32(port->id),
		.event = htole16(event),
		.value = htole16(value),
	};
	size_t len = event == VIRTIO_CONSOLE_PORT_NAME ? strlen(port->name) : 0;

	memcpy(msg, &head, sizeof(head));
	memcpy(msg + sizeof(head), port->name, len);
	return sizeof(head) + len;
}

/* Whether there is a message; its bit is still set. */
static bool msg_next(struct hvc *hvc, struct hvc_port **ret_port, uint16_t *ret_event)
{
	for (unsigned i = 0; i < hvc->n_ports; i++) {
		struct hvc_port *port = &hvc->ports[i];

		for (unsigned j = 0; j < sizeof(send_order) / sizeof(*send_order); j++) {
			if (port->pending & 1u << send_order[j]) {
				*ret_port = port;
				*ret_event = send_order[j];
				return true;
			}
		}
	}
	return false;
}

static void list_write(const struct alcor_vreq *req, const uint8_t *data, size_t len)
{
	for (uint32_t i = 0; i < req->n_in && len; i++) {
		size_t n = req->in[i].iov_len < len ? req->in[i].iov_len : len;

		memcpy(req->in[i].iov_base, data, n);
		data += n;
		len -= n;
	}
}

/* A buffer that is too small for the message goes back empty, and the message waits. */
static void msg_send(struct hvc_port *port, uint16_t event, struct alcor_vreq *req)
{
	const struct alcor_virtio *virtio = port->hvc->virtio;
	uint8_t msg[MSG_MAX];
	size_t len = msg_make(port, event, msg);

	if (req->in_len < len) {
		alcor_log(port->hvc->dev, ALCOR_LOG_WARN,
			  "control buffer of %llu bytes is too small",
			  (unsigned long long)req->in_len);
		virtio->push(req, 0);
		return;
	}
	list_write(req, msg, len);
	virtio->push(req, (uint32_t)len);
	port->pending &= ~(1u << event);
}

void hvc_control_receive(struct hvc *hvc)
{
	struct alcor_vq *vq = hvc->virtio->vq(hvc->dev, HVC_QUEUE_CONTROL_RX);
	struct alcor_vreq *req;
	struct hvc_port *port;
	uint16_t event;
	unsigned n;

	if (!hvc->multiport || !hvc->active || hvc->paused)
		return;
	for (n = 0; n < HVC_BATCH && msg_next(hvc, &port, &event); n++) {
		if (!hvc->virtio->pop(vq, &req, 1))
			break;
		msg_send(port, event, req);
	}
	hvc->virtio->flush(vq);
	if (n == HVC_BATCH)
		hvc->virtio->kick(vq);
}

void hvc_control_attached(struct hvc_port *port)
{
	if (!port->ready || port->is_console)
		return;
	port->pending |= 1u << VIRTIO_CONSOLE_PORT_OPEN;
	hvc_control_receive(port->hvc);
}

/* --- from the driver --- */

static void device_ready(struct hvc *hvc, uint16_t value)
{
	if (!value) {
		alcor_log(hvc->dev, ALCOR_LOG_WARN, "the driver could not set the device up");
		return;
	}
	for (unsigned i = 0; i < hvc->n_ports; i++)
		hvc->ports[i].pending |= 1u << VIRTIO_CONSOLE_PORT_ADD;
}

static void port_ready(struct hvc_port *port, uint16_t value)
{
	port->ready = value;
	if (!value) {
		port->pending = 0;
		alcor_log(port->hvc->dev, ALCOR_LOG_WARN, "the driver could not add port %u",
			  port->id);
		return;
	}
	if (port->is_console)
		port->pending |= 1u << VIRTIO_CONSOLE_CONSOLE_PORT;
	if (*port->name)
		port->pending |= 1u << VIRTIO_CONSOLE_PORT_NAME;
	if (host_open(port))
		port->pending |= 1u << VIRTIO_CONSOLE_PORT_OPEN;
}

static void port_open(struct hvc_port *port, uint16_t value)
{
	port->guest_open = value;
	hvc_port_receive(port);
}

static void msg_handle(struct hvc *hvc, const struct control_msg *msg)
{
	uint32_t id = le32toh(msg->id);
	uint16_t event = le16toh(msg->event), value = le16toh(msg->value);

	if (event == VIRTIO_CONSOLE_DEVICE_READY) {
		device_ready(hvc, value);
		return;
	}
	if (id >= hvc->n_ports) {
		alcor_log(hvc->dev, ALCOR_LOG_WARN, "control message %u for port %u, which is not",
			  event, id);
		return;
	}
	switch (event) {
	case VIRTIO_CONSOLE_PORT_READY:
		port_ready(&hvc->ports[id], value);
		break;
	case VIRTIO_CONSOLE_PORT_OPEN:
		port_open(&hvc->ports[id], value);
		break;
	default:
		alcor_log(hvc->dev, ALCOR_LOG_WARN, "unknown control message %u", event);
	}
}

static size_t list_read(const struct alcor_vreq *req, void *ret_data, size_t len)
{
	size_t done = 0;

	for (uint32_t i = 0; i < req->n_out && done < len; i++) {
		size_t n = req->out[i].iov_len < len - done ? req->out[i].iov_len : len - done;

		memcpy((char *)ret_data + done, req->out[i].iov_base, n);
		done += n;
	}
	return done;
}

void hvc_control_transmit(struct hvc *hvc)
{
	struct alcor_vq *vq = hvc->virtio->vq(hvc->dev, HVC_QUEUE_CONTROL_TX);
	struct alcor_vreq *req;
	unsigned n;

	if (!hvc->multiport || !hvc->active || hvc->paused)
		return;
	for (n = 0; n < HVC_BATCH && hvc->virtio->pop(vq, &req, 1); n++) {
		struct control_msg msg;

		if (list_read(req, &msg, sizeof(msg)) == sizeof(msg))
			msg_handle(hvc, &msg);
		else
			alcor_log(hvc->dev, ALCOR_LOG_WARN, "control message of %llu bytes",
				  (unsigned long long)req->out_len);
		hvc->virtio->push(req, 0);
	}
	hvc->virtio->flush(vq);
	if (n == HVC_BATCH)
		hvc->virtio->kick(vq);
	hvc_control_receive(hvc);
}

void hvc_control_reset(struct hvc *hvc)
{
	for (unsigned i = 0; i < hvc->n_ports; i++) {
		struct hvc_port *port = &hvc->ports[i];

		port->ready = false;
		port->guest_open = false;
		port->pending = 0;
	}
}
