/* SPDX-License-Identifier: Apache-2.0 */
#include "hvc.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

/* --- virtio --- */

static void hvc_queue(void *priv, uint16_t index)
{
	struct hvc *hvc = priv;
	struct hvc_port *port = hvc_queue_port(hvc, index);

	if (index == HVC_QUEUE_CONTROL_RX)
		hvc_control_receive(hvc);
	else if (index == HVC_QUEUE_CONTROL_TX)
		hvc_control_transmit(hvc);
	else if (index == hvc_queue_rx(port))
		hvc_port_receive(port);
	else
		hvc_port_transmit(port);
}

static void hvc_queue_stop(void *priv, uint16_t index)
{
	struct hvc_port *port = hvc_queue_port(priv, index);

	if (port)
		hvc_port_stop(port, index);
}

/* Without MULTIPORT there is port 0 alone, and nothing says whether it is in use. */
static int hvc_activate(void *priv, uint64_t features)
{
	struct hvc *hvc = priv;

	hvc->multiport = features & VIRTIO_CONSOLE_F_MULTIPORT;
	hvc->active = true;
	if (!hvc->multiport)
		hvc->ports[0].guest_open = true;
	hvc_port_receive(&hvc->ports[0]);
	return 0;
}

static void hvc_deactivate(void *priv)
{
	struct hvc *hvc = priv;

	hvc->active = false;
	hvc->multiport = false;
	hvc_control_reset(hvc);
}

static const struct alcor_virtio_ops hvc_virtio_ops = {
	.struct_size = sizeof(hvc_virtio_ops),
	.activate = hvc_activate,
	.queue = hvc_queue,
	.queue_stop = hvc_queue_stop,
	.deactivate = hvc_deactivate,
};

static int hvc_realize(void *priv)
{
	struct hvc *hvc = priv;
	struct {
		uint16_t cols, rows; /* valid with F_SIZE alone */
		uint32_t max_nr_ports;
		uint32_t emerg_wr;
	} config = { .max_nr_ports = htole32(hvc->n_ports) };
	bool multiport = hvc->n_ports > 1;
	struct alcor_virtio_desc desc = {
		.struct_size = sizeof(desc),
		.device_id = VIRTIO_ID_CONSOLE,
		.n_queues = (uint16_t)(multiport ? 2 * hvc->n_ports + 2 : 2),
		.features = multiport ? VIRTIO_CONSOLE_F_MULTIPORT : 0,
		.queue_size = HVC_SEGMENTS,
		.max_segments = HVC_SEGMENTS,
		.config_size = sizeof(config),
		.config = &config,
		.class_base = 0x07,
		.class_sub = 0x80,
		.ops = &hvc_virtio_ops,
	};
	int ret = hvc->virtio->add(hvc->dev, &desc, hvc);

	return ret ? alcor_error(hvc->dev, ret, "virtio: %s", strerror(-ret)) : 0;
}

/* --- life cycle --- */

static void hvc_destroy(void *priv)
{
	struct hvc *hvc = priv;

	for (unsigned i = 0; i < hvc->n_ports; i++)
		sink_close(hvc->ports[i].sink);
	free(hvc);
}

static int create_on(struct alcor_dev *dev, enum sink_kind kind, void **ret_priv)
{
	struct hvc *hvc = calloc(1, sizeof(*hvc));
	int ret;

	if (!hvc)
		return alcor_error(dev, -ENOMEM, "out of memory");
	hvc->dev = dev;
	hvc->virtio = alcor_service(dev, ALCOR_VIRTIO_ID);
	hvc->ports[0].hvc = hvc;
	hvc->ports[0].is_console = true;
	ret = hvc->virtio ? 0 : alcor_error(dev, -ENOTSUP, "this machine has no virtio devices");
	if (!ret)
		ret = sink_open_params(dev, kind, &hvc_sink_ops, &hvc->ports[0],
				       &hvc->ports[0].sink);
	hvc->n_ports = ret ? 0 : 1;
	if (!ret)
		ret = hvc_ports_create(hvc);
	if (ret) {
		hvc_destroy(hvc);
		return ret;
	}
	*ret_priv = hvc;
	return 0;
}

static int stdio_create(struct alcor_dev *dev, void **ret_priv)
{
	return create_on(dev, SINK_STDIO, ret_priv);
}

static int file_create(struct alcor_dev *dev, void **ret_priv)
{
	return create_on(dev, SINK_FILE, ret_priv);
}

static int null_create(struct alcor_dev *dev, void **ret_priv)
{
	return create_on(dev, SINK_NULL, ret_priv);
}

static int pty_create(struct alcor_dev *dev, void **ret_priv)
{
	return create_on(dev, SINK_PTY, ret_priv);
}

static int socket_create(struct alcor_dev *dev, void **ret_priv)
{
	return create_on(dev, SINK_SOCKET, ret_priv);
}

/* Held requests stay: it is the sink that they wait for. */
static int hvc_pause(void *priv)
{
	struct hvc *hvc = priv;

	hvc->paused = true;
	return 0;
}

static int hvc_resume(void *priv)
{
	struct hvc *hvc = priv;
	unsigned n = !hvc->active ? 0 : hvc->multiport ? 2 * hvc->n_ports + 2 : 2;

	hvc->paused = false;
	for (uint16_t i = 0; i < n; i++)
		hvc->virtio->kick(hvc->virtio->vq(hvc->dev, i));
	return 0;
}

#define HVC_OPS(create_)                                                          \
	{                                                                         \
		.struct_size = sizeof(struct alcor_dev_ops), .create = (create_), \
		.realize = hvc_realize, .resume = hvc_resume, .pause = hvc_pause, \
		.destroy = hvc_destroy,                                           \
	}

static const struct alcor_dev_ops stdio_ops = HVC_OPS(stdio_create);
static const struct alcor_dev_ops file_ops = HVC_OPS(file_create);
static const struct alcor_dev_ops null_ops = HVC_OPS(null_create);
static const struct alcor_dev_ops pty_ops = HVC_OPS(pty_create);
static const struct alcor_dev_ops socket_ops = HVC_OPS(socket_create);

/* --- descriptor --- */

#define PORT_PARAMS                                                        \
	{ .name = "port",                                                  \
	  .help = "further port of the guest's, NAME:SINK[:PATH]",         \
	  .type = ALCOR_PARAM_STR,                                         \
	  .flags = ALCOR_PARAM_REPEAT },                                   \
	{                                                                  \
		.name = "console", .help = "further console, SINK[:PATH]", \
		.type = ALCOR_PARAM_STR, .flags = ALCOR_PARAM_REPEAT       \
	}

static const struct alcor_param port_params[] = { PORT_PARAMS };
static const struct alcor_param file_params[] = { SINK_FILE_PARAMS, PORT_PARAMS };
static const struct alcor_param pty_params[] = { SINK_PTY_PARAMS, PORT_PARAMS };
static const struct alcor_param socket_params[] = { SINK_SOCKET_PARAMS, PORT_PARAMS };

#define CLAIM(keyword_, ops_, table, summary_)                                                   \
	{                                                                                        \
		.dev_class = "hvc", .keyword = (keyword_), .ops = (ops_), .summary = (summary_), \
		.params = (table), .n_params = sizeof(table) / sizeof(*(table)),                 \
		.param_size = sizeof(struct alcor_param), .thread_model = ALCOR_THREAD_LOOP,     \
		.caps = ALCOR_CAP_VIRTIO                                                         \
	}

static const struct alcor_claim claims[] = {
	CLAIM("stdio", &stdio_ops, port_params, "virtio console on standard input and output"),
	CLAIM("file", &file_ops, file_params, "virtio console whose output goes to a file"),
	CLAIM("null", &null_ops, port_params, "virtio console whose output goes nowhere"),
	CLAIM("pty", &pty_ops, pty_params, "virtio console on a pseudo-terminal"),
	CLAIM("socket", &socket_ops, socket_params, "virtio console on a Unix socket"),
};

static const struct alcor_plugin plugin = {
	.struct_size = sizeof(plugin),
	.abi_major = ALCOR_ABI_MAJOR,
	.abi_minor = ALCOR_ABI_MINOR,
	.name = "virtio-console",
	.version = "0.1",
	.license = "Apache-2.0",
	.claims = claims,
	.n_claims = sizeof(claims) / sizeof(claims[0]),
	.claim_size = sizeof(struct alcor_claim),
};

ALCOR_PLUGIN_EXPORT const struct alcor_plugin *alcor_plugin_entry_1(void)
{
	return &plugin;
}

ALCOR_PLUGIN_NOTE("name=virtio-console\0"
		  "version=0.1\0"
		  "license=Apache-2.0\0"
		  "abi=" ALCOR_ABI_STRING "\0"
		  "claim=hvc/stdio\0"
		  "claim=hvc/file\0"
		  "claim=hvc/null\0"
		  "claim=hvc/pty\0"
		  "claim=hvc/socket\0"
		  "needs=fs.write\0"
		  "needs=net.socket\0");
