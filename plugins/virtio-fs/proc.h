/* SPDX-License-Identifier: Apache-2.0 */
/* Names of descriptors in /proc/self/fd, for system calls that take no O_PATH descriptor. */
#ifndef ALCOR_PLUGINS_VIRTIO_FS_PROC_H
#define ALCOR_PLUGINS_VIRTIO_FS_PROC_H

#include <stdio.h>

struct proc_name {
	char text[32];
};

/* Relative to /proc/self/fd. */
static inline struct proc_name proc_name(int fd)
{
	struct proc_name name;

	snprintf(name.text, sizeof(name.text), "%d", fd);
	return name;
}

static inline struct proc_name proc_path(int fd)
{
	struct proc_name name;

	snprintf(name.text, sizeof(name.text), "/proc/self/fd/%d", fd);
	return name;
}

#endif
