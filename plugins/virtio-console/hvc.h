/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-console: a console device (Virtio 1.3, 5.3). */
#ifndef ALCOR_PLUGINS_VIRTIO_CONSOLE_HVC_H
#define ALCOR_PLUGINS_VIRTIO_CONSOLE_HVC_H

#include <stdbool.h>
#include <stdint.h>

#include <alcor/plugin.h>
#include <alcor/virtio.h>

#include "../common/sink.h"

#define VIRTIO_ID_CONSOLE 3

#define VIRTIO_CONSOLE_F_MULTIPORT (1ull << 1)

/* Queues (5.3.2): those of port 0, the control queues, then two for each further port. */
#define HVC_QUEUE_CONTROL_RX 2
#define HVC_QUEUE_CONTROL_TX 3
#define HVC_PORTS_MAX	     31
#define HVC_NAME_MAX	     63

#define HVC_SEGMENTS 64

/* Requests served in one turn: a driver that never stops must not keep the loop. */
#define HVC_BATCH 64

struct hvc;

struct hvc_port {
	struct hvc *hvc;
	uint16_t id;
	bool is_console;
	char name[HVC_NAME_MAX + 1]; /* "": none */
	struct sink *sink;

	struct alcor_vreq *held; /* output that the sink has no room for yet */
	bool input_waits;	 /* input was refused: tell when it can be taken */
	bool ready;		 /* the driver has the port */
	bool guest_open;	 /* and somebody in the guest uses it */
	unsigned pending;	 /* control messages to be sent */
};

struct hvc {
	struct alcor_dev *dev;
	const struct alcor_virtio *virtio;
	bool multiport; /* negotiated */
	bool active, paused;
	unsigned n_ports;
	struct hvc_port ports[HVC_PORTS_MAX];
};

static inline uint16_t hvc_queue_rx(const struct hvc_port *port)
{
	return port->id ? (uint16_t)(2 * port->id + 2) : 0;
}

static inline uint16_t hvc_queue_tx(const struct hvc_port *port)
{
	return (uint16_t)(hvc_queue_rx(port) + 1);
}

/* The port whose data @queue carries, NULL for the control queues. */
static inline struct hvc_port *hvc_queue_port(struct hvc *hvc, uint16_t queue)
{
	if (queue == HVC_QUEUE_CONTROL_RX || queue == HVC_QUEUE_CONTROL_TX)
		return NULL;
	return &hvc->ports[queue < 2 ? 0 : (queue - 2) / 2];
}

/* port.c; all [dev] */
extern const struct sink_ops hvc_sink_ops; /* the opaque is a port */
void hvc_port_transmit(struct hvc_port *port);
/* There may be room for input. */
void hvc_port_receive(struct hvc_port *port);
void hvc_port_stop(struct hvc_port *port, uint16_t queue);

/* control.c; all [dev] */
void hvc_control_transmit(struct hvc *hvc); /* messages of the driver's */
void hvc_control_receive(struct hvc *hvc);  /* messages to the driver */
void hvc_control_attached(struct hvc_port *port);
void hvc_control_reset(struct hvc *hvc);

/* ports.c; [main] */
int hvc_ports_create(struct hvc *hvc);

#endif
