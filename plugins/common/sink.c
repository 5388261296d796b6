/* SPDX-License-Identifier: Apache-2.0 */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <alcor/cfg.h>
#include <alcor/console.h>

#include "channel.h"
#include "endpoint.h"

struct sink {
	const struct sink_ops *ops;
	void *opaque;
	const struct alcor_console *console;
	struct alcor_console_port *port; /* stdio and file */
	struct channel *channel;	 /* pty and socket */
};

/* --- the host's console service, for stdio and files --- */

static uint32_t port_input(void *opaque, const uint8_t *data, uint32_t len)
{
	struct sink *sink = opaque;

	return sink->ops->input(sink->opaque, data, len);
}

static void port_break(void *opaque)
{
	struct sink *sink = opaque;

	if (sink->ops->input_break)
		sink->ops->input_break(sink->opaque);
}

static void port_output_ready(void *opaque)
{
	struct sink *sink = opaque;

	sink->ops->output_ready(sink->opaque);
}

static const struct alcor_console_ops port_ops = {
	.struct_size = sizeof(port_ops),
	.input = port_input,
	.input_break = port_break,
	.output_ready = port_output_ready,
};

static int port_open(struct alcor_dev *dev, const char *prefix, int out_fd, struct sink *sink)
{
	int ret;

	sink->console = alcor_service(dev, ALCOR_CONSOLE_ID);
	ret = sink->console ? 0 : -ENOTSUP;
	if (!ret)
		ret = sink->console->open(dev, -1, out_fd, &port_ops, sink, &sink->port);
	if (ret == -EBUSY)
		return alcor_error(dev, ret, "%sanother device has the terminal", prefix);
	return ret ? alcor_error(dev, ret, "%sopen: %s", prefix, strerror(-ret)) : 0;
}

/* O_NONBLOCK: a pipe nobody reads is an error and not a wait. */
static int file_open(struct alcor_dev *dev, const struct sink_config *config, struct sink *sink)
{
	int flags = config->append ? O_APPEND : O_TRUNC, ret;
	int fd = open(config->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags,
		      0644);

	if (fd < 0)
		return alcor_error(dev, -errno, "%sopen: %s", config->prefix,
				   errno == ENXIO ? "nobody reads this pipe" : strerror(errno));
	fcntl(fd, F_SETFL, flags & O_APPEND);
	ret = port_open(dev, config->prefix, fd, sink);
	close(fd);
	return ret;
}

/* --- pty and socket --- */

static int attachable_open(struct alcor_dev *dev, const struct sink_config *config,
			   struct sink *sink)
{
	struct endpoint end;
	int ret;

	if (config->kind == SINK_PTY)
		ret = endpoint_open_pty(dev, config->prefix, config->path, &end);
	else
		ret = endpoint_open_socket(dev, config->prefix, config->path, &end);
	if (ret)
		return ret;
	ret = channel_new(dev, &end, sink->ops, sink->opaque, &sink->channel);
	if (!ret)
		return 0;
	endpoint_close(&end);
	return alcor_error(dev, ret, "%sepoll: %s", config->prefix, strerror(-ret));
}

/* --- all kinds --- */

static int sink_open_kind(struct alcor_dev *dev, const struct sink_config *config,
			  struct sink *sink)
{
	switch (config->kind) {
	case SINK_STDIO:
		return port_open(dev, config->prefix, -1, sink);
	case SINK_FILE:
		return file_open(dev, config, sink);
	case SINK_PTY:
	case SINK_SOCKET:
		return attachable_open(dev, config, sink);
	case SINK_NULL:
		break;
	}
	return 0;
}

int sink_open(struct alcor_dev *dev, const struct sink_config *config, const struct sink_ops *ops,
	      void *opaque, struct sink **ret_sink)
{
	struct sink *sink = calloc(1, sizeof(*sink));
	int ret;

	if (!sink)
		return alcor_error(dev, -ENOMEM, "out of memory");
	sink->ops = ops;
	sink->opaque = opaque;
	ret = sink_open_kind(dev, config, sink);
	if (ret) {
		free(sink);
		return ret;
	}
	*ret_sink = sink;
	return 0;
}

int sink_open_params(struct alcor_dev *dev, enum sink_kind kind, const struct sink_ops *ops,
		     void *opaque, struct sink **ret_sink)
{
	const struct alcor_cfg *cfg = alcor_service(dev, ALCOR_CFG_ID);
	struct sink_config config = { .kind = kind, .prefix = "" };

	if (kind == SINK_FILE || kind == SINK_SOCKET)
		config.path = cfg->str(dev, "path", 0);
	if (kind == SINK_FILE)
		config.append = cfg->u64(dev, "append");
	if (kind == SINK_PTY)
		config.path = cfg->str(dev, "link", 0);
	return sink_open(dev, &config, ops, opaque, ret_sink);
}

void sink_close(struct sink *sink)
{
	if (!sink)
		return;
	channel_free(sink->channel);
	free(sink);
}

uint32_t sink_write(struct sink *sink, const uint8_t *data, uint32_t len)
{
	if (sink->channel)
		return channel_write(sink->channel, data, len);
	return sink->port ? sink->console->write(sink->port, data, len) : len;
}

void sink_input_ready(struct sink *sink)
{
	if (sink->channel)
		channel_input_ready(sink->channel);
	else if (sink->port)
		sink->console->input_ready(sink->port);
}

bool sink_attached(const struct sink *sink)
{
	return !sink->channel || channel_attached(sink->channel);
}
