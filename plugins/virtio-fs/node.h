/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest knows of the shared directory: nodes (files that it looked up) and handles (files
 * that it opened). All functions may be called on any thread.
 */
#ifndef ALCOR_PLUGINS_VIRTIO_FS_NODE_H
#define ALCOR_PLUGINS_VIRTIO_FS_NODE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "slots.h"

/* A file of the host, whatever its names. */
struct fs_key {
	uint64_t ino, mount;
	uint32_t major, minor;
};

struct fs_nodes;

struct fs_node {
	struct fs_nodes *nodes;
	struct fs_node *next; /* of the same bucket */
	struct fs_key key;
	uint64_t id;
	uint64_t n_lookup; /* names handed out to the guest and not forgotten */
	uint32_t refs;	   /* one of the table, one of each user */
	uint32_t type;	   /* S_IFMT */
	int fd;		   /* O_PATH */
};

struct fs_nodes {
	pthread_mutex_t lock;
	struct slots slots;
	struct fs_node **buckets;
	uint32_t n_buckets; /* a power of two */
};

/* @root_fd (O_PATH) becomes node 1, which is never forgotten; taken in any case. */
int fs_nodes_init(struct fs_nodes *nodes, int root_fd, uint32_t max);
/* Forgets everything but the root. */
void fs_nodes_reset(struct fs_nodes *nodes);
void fs_nodes_free(struct fs_nodes *nodes);

/* One name more for the file of @fd (O_PATH; taken in any case), described by @stx. */
int fs_node_add(struct fs_nodes *nodes, int fd, const struct statx *stx, uint64_t *ret_id);
/* @n names less. A number that is none is ignored. */
void fs_node_forget(struct fs_nodes *nodes, uint64_t id, uint64_t n);
/* Good until put. NULL when there is none. */
struct fs_node *fs_node_get(struct fs_nodes *nodes, uint64_t id);
void fs_node_put(struct fs_node *node); /* NULL is fine */

enum fs_kind { FS_FILE, FS_DIR, FS_ROOT_DIR };

struct fs_handles;

struct fs_handle {
	struct fs_handles *handles;
	uint32_t refs; /* one of the table, one of each user */
	int fd;
	bool is_dir, is_root;
	pthread_mutex_t lock; /* over the position in a directory */
};

struct fs_handles {
	pthread_mutex_t lock;
	struct slots slots;
};

void fs_handles_init(struct fs_handles *handles, uint32_t max);
void fs_handles_reset(struct fs_handles *handles); /* closes all */
void fs_handles_free(struct fs_handles *handles);

/* Takes @fd in any case. */
int fs_handle_add(struct fs_handles *handles, int fd, enum fs_kind kind, uint64_t *ret_id);
/* NULL when there is none of that kind. */
struct fs_handle *fs_handle_get(struct fs_handles *handles, uint64_t id, bool is_dir);
void fs_handle_put(struct fs_handle *handle); /* NULL is fine */
/* Closed when its last user is done. -EBADF. */
int fs_handle_release(struct fs_handles *handles, uint64_t id, bool is_dir);

static inline void fs_node_cleanup(struct fs_node **node)
{
	fs_node_put(*node);
}

static inline void fs_handle_cleanup(struct fs_handle **handle)
{
	fs_handle_put(*handle);
}

/* Put at the end of the scope. */
#define FS_NODE	  __attribute__((cleanup(fs_node_cleanup))) struct fs_node *
#define FS_HANDLE __attribute__((cleanup(fs_handle_cleanup))) struct fs_handle *

#endif
