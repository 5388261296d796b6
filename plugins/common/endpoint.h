/* SPDX-License-Identifier: Apache-2.0 */
/* Where a user attaches to a sink: a pseudo-terminal or a listening Unix socket, and their names. */
#ifndef ALCOR_PLUGINS_COMMON_ENDPOINT_H
#define ALCOR_PLUGINS_COMMON_ENDPOINT_H

#include <stdbool.h>
#include <sys/types.h>

#include <alcor/plugin.h>

struct endpoint {
	bool is_pty;
	int fd;	       /* the pty's master or the listening socket; non-blocking */
	char name[64]; /* of the pty's slave */
	char *path;    /* of the socket or the link; NULL: none */
	dev_t dev;     /* the socket's file */
	ino_t ino;
};

/* [main] Errors have been told with alcor_error(), @prefix in front. @link may be NULL. */
int endpoint_open_pty(struct alcor_dev *dev, const char *prefix, const char *link,
		      struct endpoint *ret_end);
int endpoint_open_socket(struct alcor_dev *dev, const char *prefix, const char *path,
			 struct endpoint *ret_end);
/* Removes the link or the socket's file, but only while they are still what was made. */
void endpoint_close(struct endpoint *end);

/* Whether somebody has the slave open. */
bool endpoint_pty_in_use(const struct endpoint *end);
/* Waits until the slave's reader has all, at most a second: what is unread when the master is closed
 * is lost. */
void endpoint_pty_drain(const struct endpoint *end);
/* A terminal that passes all bytes as they are, and echoes nothing to the guest. */
void endpoint_pty_raw(const struct endpoint *end);

#endif
