/* SPDX-License-Identifier: Apache-2.0 */
/* alcor.console/1: character sinks. */
#include <errno.h>
#include <stdlib.h>

#include "plugin/device_impl.h"
#include "plugin/svc.h"
#include "util/cleanup.h"
#include "vm/console.h"

static int port_defer(void *defer_opaque, loop_fn *fn, void *opaque)
{
	return device_defer(defer_opaque, fn, opaque);
}

static int svc_console_open(struct alcor_dev *pub, int in_fd, int out_fd,
			    const struct alcor_console_ops *ops, void *opaque,
			    struct alcor_console_port **ret_port)
{
	CLEANUP_FREE struct alcor_console_port *port = NULL;
	struct device *dev = device_of(pub);
	struct console_client client = {
		.opaque = opaque,
		.defer = port_defer,
		.defer_opaque = dev,
	};
	int ret = dev->stage == DEVICE_CREATE ? 0 : device_check_realize(dev, "a console");

	if (ret)
		return ret;
	port = calloc(1, sizeof(*port));
	if (!port)
		return -ENOMEM;
	device_copy_sized(&port->ops, sizeof(port->ops), ops);
	if (!port->ops.input || !port->ops.output_ready)
		return device_refuse(dev, -EINVAL, "a console without callbacks");
	client.ops = &port->ops;
	ret = console_open(vm_console(dev->vm), in_fd, out_fd, &client, &port->port);
	if (ret)
		return ret;
	LIST_INSERT_HEAD(&dev->ports, port, link);
	*ret_port = TAKE_PTR(port);
	return 0;
}

static uint32_t svc_console_write(struct alcor_console_port *port, const uint8_t *data,
				  uint32_t len)
{
	return console_write(port->port, data, len);
}

static void svc_console_input_ready(struct alcor_console_port *port)
{
	console_input_ready(port->port);
}

void svc_console_revoke(struct device *dev)
{
	struct alcor_console_port *port;

	while ((port = LIST_FIRST(&dev->ports))) {
		LIST_REMOVE(port, link);
		console_close(port->port);
		free(port);
	}
}

const struct alcor_console svc_console = {
	.struct_size = sizeof(svc_console),
	.open = svc_console_open,
	.write = svc_console_write,
	.input_ready = svc_console_input_ready,
};
