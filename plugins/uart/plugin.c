/* SPDX-License-Identifier: Apache-2.0 */
/* The console plugin: COM1, and where its bytes go. */
#include <errno.h>
#include <stdlib.h>

#include <alcor/acpi.h>
#include <alcor/io.h>
#include <alcor/loop.h>
#include <alcor/plugin.h>

#include "../common/sink.h"
#include "uart.h"

#define COM1_PORT 0x3f8
#define COM1_GSI  4

/* Longest time that output without a line feed waits: below what a user notices in a prompt. */
#define FLUSH_NS (3 * 1000 * 1000)

struct console_dev {
	struct alcor_dev *dev;
	const struct alcor_io *io;
	const struct alcor_loop *loop;
	struct sink *sink;
	struct alcor_timer *timer;
	struct uart uart;
};

static uint32_t backend_write(void *opaque, const uint8_t *data, uint32_t len)
{
	struct console_dev *con = opaque;

	return sink_write(con->sink, data, len);
}

static void backend_flush_later(void *opaque)
{
	struct console_dev *con = opaque;

	con->loop->arm(con->timer, FLUSH_NS);
}

static void backend_input_ready(void *opaque)
{
	struct console_dev *con = opaque;

	sink_input_ready(con->sink);
}

static void backend_irq(void *opaque, bool level)
{
	struct console_dev *con = opaque;

	con->io->irq_line(con->dev, COM1_GSI, level);
}

static const struct uart_backend console_backend = {
	.write = backend_write,
	.flush_later = backend_flush_later,
	.input_ready = backend_input_ready,
	.irq = backend_irq,
};

static uint32_t console_input(void *opaque, const uint8_t *data, uint32_t len)
{
	struct console_dev *con = opaque;

	return uart_input(&con->uart, data, len);
}

static void console_input_break(void *opaque)
{
	struct console_dev *con = opaque;

	uart_break(&con->uart);
}

/* Timer, and the sink when it has room again. */
static void console_flush(void *opaque)
{
	struct console_dev *con = opaque;

	uart_flush(&con->uart);
}

static const struct sink_ops console_sink_ops = {
	.input = console_input,
	.input_break = console_input_break,
	.output_ready = console_flush,
};

/* Eight-bit registers: wider accesses reach one after the other. */
static uint64_t console_io_read(void *opaque, uint64_t offset, uint32_t size)
{
	struct console_dev *con = opaque;
	uint64_t value = 0;

	for (uint32_t i = 0; i < size; i++)
		value |= (uint64_t)uart_read(&con->uart, (unsigned)offset + i) << 8 * i;
	return value;
}

static void console_io_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
{
	struct console_dev *con = opaque;

	for (uint32_t i = 0; i < size; i++)
		uart_write(&con->uart, (unsigned)offset + i, (uint8_t)(value >> 8 * i));
}

static const struct alcor_io_ops console_io_ops = {
	.struct_size = sizeof(console_io_ops),
	.read = console_io_read,
	.write = console_io_write,
};

static int console_new(struct alcor_dev *dev, struct console_dev **ret_con)
{
	struct console_dev *con = calloc(1, sizeof(*con));

	if (!con)
		return alcor_error(dev, -ENOMEM, "out of memory");
	con->dev = dev;
	con->io = alcor_service(dev, ALCOR_IO_ID);
	con->loop = alcor_service(dev, ALCOR_LOOP_ID);
	if (!con->io || !con->loop) {
		free(con);
		return alcor_error(dev, -ENOTSUP, "this machine has no I/O ports");
	}
	con->uart.backend = &console_backend;
	con->uart.opaque = con;
	uart_reset(&con->uart);
	*ret_con = con;
	return 0;
}

static int create_on(struct alcor_dev *dev, enum sink_kind kind, void **ret_priv)
{
	struct console_dev *con = NULL;
	int ret = console_new(dev, &con);

	if (ret)
		return ret;
	ret = sink_open_params(dev, kind, &console_sink_ops, con, &con->sink);
	if (ret) {
		free(con);
		return ret;
	}
	*ret_priv = con;
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

static int console_realize(void *priv)
{
	static const struct alcor_acpi_node node = {
		.struct_size = sizeof(node),
		.uid = 1,
		.name = "COM1",
		.hid = "PNP0501",
		.pio_base = COM1_PORT,
		.pio_len = UART_N_REGS,
		.gsi = COM1_GSI,
	};
	struct console_dev *con = priv;
	const struct alcor_acpi *acpi = alcor_service(con->dev, ALCOR_ACPI_ID);
	int ret;

	ret = con->loop->timer(con->dev, console_flush, con, &con->timer);
	if (ret)
		return alcor_error(con->dev, ret, "timer: %s", strerror(-ret));
	ret = con->io->add_pio(con->dev, COM1_PORT, UART_N_REGS, &console_io_ops, con);
	if (ret == -EBUSY)
		return alcor_error(con->dev, ret,
				   "the machine has one serial port, and another "
				   "console uses it");
	if (ret)
		return alcor_error(con->dev, ret, "ports: %s", strerror(-ret));
	ret = acpi ? acpi->add(con->dev, &node) : 0;
	if (ret)
		return alcor_error(con->dev, ret, "ACPI: %s", strerror(-ret));
	return 0;
}

static void console_reset(void *priv, uint32_t kind)
{
	struct console_dev *con = priv;

	uart_flush(&con->uart);
	uart_reset(&con->uart);
}

static int console_pause(void *priv)
{
	struct console_dev *con = priv;

	uart_flush(&con->uart);
	return 0;
}

static void console_destroy(void *priv)
{
	struct console_dev *con = priv;

	if (con->uart.out_len)
		backend_write(con, con->uart.out, con->uart.out_len);
	sink_close(con->sink);
	free(con);
}

#define CONSOLE_OPS(create_)                                                                \
	{                                                                                   \
		.struct_size = sizeof(struct alcor_dev_ops), .create = (create_),           \
		.realize = console_realize, .reset = console_reset, .pause = console_pause, \
		.destroy = console_destroy,                                                 \
	}

static const struct alcor_dev_ops stdio_ops = CONSOLE_OPS(stdio_create);
static const struct alcor_dev_ops file_ops = CONSOLE_OPS(file_create);
static const struct alcor_dev_ops null_ops = CONSOLE_OPS(null_create);
static const struct alcor_dev_ops pty_ops = CONSOLE_OPS(pty_create);
static const struct alcor_dev_ops socket_ops = CONSOLE_OPS(socket_create);

static const struct alcor_param file_params[] = { SINK_FILE_PARAMS };
static const struct alcor_param pty_params[] = { SINK_PTY_PARAMS };
static const struct alcor_param socket_params[] = { SINK_SOCKET_PARAMS };

#define CLAIM(keyword_, ops_, summary_) \
	.dev_class = "console", .keyword = (keyword_), .ops = (ops_), .summary = (summary_)
#define PARAMS(table)                                                    \
	.params = (table), .n_params = sizeof(table) / sizeof(*(table)), \
	.param_size = sizeof(struct alcor_param)

static const struct alcor_claim claims[] = {
	{ CLAIM("stdio", &stdio_ops, "serial port on standard input and output") },
	{ CLAIM("file", &file_ops, "serial port whose output goes to a file"),
	  PARAMS(file_params) },
	{ CLAIM("log", &file_ops, "as file"), PARAMS(file_params) },
	{ CLAIM("null", &null_ops, "serial port whose output goes nowhere") },
	{ CLAIM("pty", &pty_ops, "serial port on a pseudo-terminal"), PARAMS(pty_params) },
	{ CLAIM("socket", &socket_ops, "serial port on a Unix socket"), PARAMS(socket_params) },
};

static const struct alcor_plugin plugin = {
	.struct_size = sizeof(plugin),
	.abi_major = ALCOR_ABI_MAJOR,
	.abi_minor = ALCOR_ABI_MINOR,
	.name = "uart",
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

ALCOR_PLUGIN_NOTE("name=uart\0"
		  "version=0.1\0"
		  "license=Apache-2.0\0"
		  "abi=" ALCOR_ABI_STRING "\0"
		  "claim=console/stdio\0"
		  "claim=console/file\0"
		  "claim=console/log\0"
		  "claim=console/null\0"
		  "claim=console/pty\0"
		  "claim=console/socket\0"
		  "needs=fs.write\0"
		  "needs=net.socket\0");
