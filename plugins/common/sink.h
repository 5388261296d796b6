/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the bytes of a console go to and come from, for the plugins that have one. Callbacks of a
 * device are never run in parallel (SERIAL or LOOP), so that nothing here needs a lock.
 */
#ifndef ALCOR_PLUGINS_COMMON_SINK_H
#define ALCOR_PLUGINS_COMMON_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include <alcor/plugin.h>

enum sink_kind { SINK_STDIO, SINK_FILE, SINK_NULL, SINK_PTY, SINK_SOCKET };

struct sink_config {
	enum sink_kind kind;
	bool append;	    /* FILE */
	const char *path;   /* FILE, SOCKET; PTY: the link, or NULL */
	const char *prefix; /* of messages; "" for none */
};

struct sink_ops {
	/* [dev] As in struct alcor_console_ops. */
	uint32_t (*input)(void *opaque, const uint8_t *data, uint32_t len);
	void (*input_break)(void *opaque); /* may be NULL */
	void (*output_ready)(void *opaque);
	/* [dev] Somebody came to a pty or socket, or left. May be NULL. */
	void (*attached)(void *opaque, bool attached);
};

struct sink;

/* [main] in create(). Errors have been told with alcor_error(). */
int sink_open(struct alcor_dev *dev, const struct sink_config *config, const struct sink_ops *ops,
	      void *opaque, struct sink **ret_sink);
/* As sink_open(), from the parameters of SINK_*_PARAMS. */
int sink_open_params(struct alcor_dev *dev, enum sink_kind kind, const struct sink_ops *ops,
		     void *opaque, struct sink **ret_sink);
/* [main] in destroy(). NULL is fine. */
void sink_close(struct sink *sink);
/* Never blocks: how many bytes there was room for; output_ready() follows if these were not all.
 * While nobody is attached all are taken and lost. */
uint32_t sink_write(struct sink *sink, const uint8_t *data, uint32_t len);
/* After input() took less than offered. */
void sink_input_ready(struct sink *sink);
/* Whether somebody is attached; always, where nobody can be. */
bool sink_attached(const struct sink *sink);

#define SINK_FILE_PARAMS                                                                        \
	{ .name = "path",                                                                       \
	  .help = "file to write to, created if absent",                                        \
	  .type = ALCOR_PARAM_PATH,                                                             \
	  .flags = ALCOR_PARAM_REQUIRED | ALCOR_PARAM_POSITIONAL },                             \
	{                                                                                       \
		.name = "append", .help = "keep what is in the file", .type = ALCOR_PARAM_BOOL, \
		.dflt = "off"                                                                   \
	}
#define SINK_PTY_PARAMS                                                          \
	{                                                                        \
		.name = "link", .help = "symbolic link to make to the terminal", \
		.type = ALCOR_PARAM_PATH, .flags = ALCOR_PARAM_POSITIONAL        \
	}
#define SINK_SOCKET_PARAMS                                                                    \
	{                                                                                     \
		.name = "path", .help = "Unix socket to listen on", .type = ALCOR_PARAM_PATH, \
		.flags = ALCOR_PARAM_REQUIRED | ALCOR_PARAM_POSITIONAL                        \
	}

#endif
