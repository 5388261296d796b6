/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors are closed without the lock: the last one of a removed file frees its blocks. */
#include "node.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUCKETS_FIRST 256u

static uint32_t key_hash(const struct fs_key *key)
{
	uint64_t hash = key->ino * 0x9e3779b97f4a7c15ull ^ key->mount ^ (uint64_t)key->minor << 20;

	return (uint32_t)(hash >> 32 ^ hash);
}

static bool key_equal(const struct fs_key *a, const struct fs_key *b)
{
	return a->ino == b->ino && a->mount == b->mount && a->major == b->major &&
	       a->minor == b->minor;
}

static struct fs_key key_of(const struct statx *stx)
{
	return (struct fs_key){ .ino = stx->stx_ino,
				.mount = stx->stx_mnt_id,
				.major = stx->stx_dev_major,
				.minor = stx->stx_dev_minor };
}

/* Where the node of @key hangs, or would. */
static struct fs_node **bucket_find(struct fs_nodes *nodes, const struct fs_key *key)
{
	struct fs_node **at = &nodes->buckets[key_hash(key) & (nodes->n_buckets - 1)];

	while (*at && !key_equal(&(*at)->key, key))
		at = &(*at)->next;
	return at;
}

/* Long chains are slow, but right: memory for more buckets may be missing. */
static void buckets_grow(struct fs_nodes *nodes)
{
	struct fs_nodes grown = { .n_buckets = nodes->n_buckets * 2 };

	grown.buckets = calloc(grown.n_buckets, sizeof(*grown.buckets));
	if (!grown.buckets)
		return;
	for (uint32_t i = 0; i < nodes->n_buckets; i++) {
		while (nodes->buckets[i]) {
			struct fs_node *node = nodes->buckets[i];
			struct fs_node **at = bucket_find(&grown, &node->key);

			nodes->buckets[i] = node->next;
			node->next = NULL;
			*at = node;
		}
	}
	free(nodes->buckets);
	nodes->buckets = grown.buckets;
	nodes->n_buckets = grown.n_buckets;
}

/* With the lock held. */
static int node_insert(struct fs_nodes *nodes, int fd, const struct statx *stx,
		       struct fs_node **ret_node)
{
	struct fs_node *node = calloc(1, sizeof(*node));
	int ret;

	if (!node)
		return -ENOMEM;
	node->nodes = nodes;
	node->key = key_of(stx);
	node->type = stx->stx_mode & S_IFMT;
	node->fd = fd;
	node->refs = 1;
	ret = slots_add(&nodes->slots, node, &node->id);
	if (ret) {
		free(node);
		return ret;
	}
	if (nodes->slots.n_used > nodes->n_buckets)
		buckets_grow(nodes);
	*bucket_find(nodes, &node->key) = node;
	*ret_node = node;
	return 0;
}

/* With the lock held; the table's reference is the caller's to drop. */
static void node_unhook(struct fs_nodes *nodes, struct fs_node *node)
{
	*bucket_find(nodes, &node->key) = node->next;
	node->next = NULL;
	slots_remove(&nodes->slots, node->id);
}

int fs_node_add(struct fs_nodes *nodes, int fd, const struct statx *stx, uint64_t *ret_id)
{
	struct fs_key key = key_of(stx);
	struct fs_node *node;
	bool known;
	int ret = 0;

	pthread_mutex_lock(&nodes->lock);
	node = *bucket_find(nodes, &key);
	known = node;
	if (!known)
		ret = node_insert(nodes, fd, stx, &node);
	if (!ret) {
		node->n_lookup++;
		*ret_id = node->id;
	}
	pthread_mutex_unlock(&nodes->lock);
	if (known || ret)
		close(fd);
	return ret;
}

void fs_node_put(struct fs_node *node)
{
	bool last;

	if (!node)
		return;
	pthread_mutex_lock(&node->nodes->lock);
	last = --node->refs == 0;
	pthread_mutex_unlock(&node->nodes->lock);
	if (!last)
		return;
	close(node->fd);
	free(node);
}

void fs_node_forget(struct fs_nodes *nodes, uint64_t id, uint64_t n)
{
	struct fs_node *node;

	pthread_mutex_lock(&nodes->lock);
	node = id == FUSE_ROOT_ID ? NULL : slots_get(&nodes->slots, id);
	if (node) {
		node->n_lookup -= n < node->n_lookup ? n : node->n_lookup;
		if (node->n_lookup == 0)
			node_unhook(nodes, node);
		else
			node = NULL;
	}
	pthread_mutex_unlock(&nodes->lock);
	fs_node_put(node);
}

struct fs_node *fs_node_get(struct fs_nodes *nodes, uint64_t id)
{
	struct fs_node *node;

	pthread_mutex_lock(&nodes->lock);
	node = slots_get(&nodes->slots, id);
	if (node)
		node->refs++;
	pthread_mutex_unlock(&nodes->lock);
	return node;
}

int fs_nodes_init(struct fs_nodes *nodes, int root_fd, uint32_t max)
{
	struct statx stx;
	uint64_t id;

	pthread_mutex_init(&nodes->lock, NULL);
	nodes->slots = (struct slots){ .max = max };
	nodes->n_buckets = BUCKETS_FIRST;
	nodes->buckets = calloc(nodes->n_buckets, sizeof(*nodes->buckets));
	if (!nodes->buckets ||
	    statx(root_fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &stx) < 0) {
		int err = nodes->buckets ? errno : ENOMEM;

		close(root_fd);
		return -err;
	}
	return fs_node_add(nodes, root_fd, &stx, &id);
}

static void nodes_forget_from(struct fs_nodes *nodes, uint32_t first)
{
	for (uint32_t i = first;; i++) {
		struct fs_node *node;

		pthread_mutex_lock(&nodes->lock);
		if (i >= nodes->slots.n_slots) {
			pthread_mutex_unlock(&nodes->lock);
			return;
		}
		node = nodes->slots.slots[i].object;
		if (node)
			node_unhook(nodes, node);
		pthread_mutex_unlock(&nodes->lock);
		fs_node_put(node);
	}
}

void fs_nodes_reset(struct fs_nodes *nodes)
{
	nodes_forget_from(nodes, FUSE_ROOT_ID);
}

void fs_nodes_free(struct fs_nodes *nodes)
{
	nodes_forget_from(nodes, 0);
	slots_free(&nodes->slots);
	free(nodes->buckets);
	pthread_mutex_destroy(&nodes->lock);
}

int fs_handle_add(struct fs_handles *handles, int fd, enum fs_kind kind, uint64_t *ret_id)
{
	struct fs_handle *handle = calloc(1, sizeof(*handle));
	int ret = -ENOMEM;

	if (handle) {
		handle->handles = handles;
		handle->refs = 1;
		handle->fd = fd;
		handle->is_dir = kind != FS_FILE;
		handle->is_root = kind == FS_ROOT_DIR;
		pthread_mutex_init(&handle->lock, NULL);
		pthread_mutex_lock(&handles->lock);
		ret = slots_add(&handles->slots, handle, ret_id);
		pthread_mutex_unlock(&handles->lock);
	}
	if (ret) {
		close(fd);
		free(handle);
	}
	return ret;
}

struct fs_handle *fs_handle_get(struct fs_handles *handles, uint64_t id, bool is_dir)
{
	struct fs_handle *handle;

	pthread_mutex_lock(&handles->lock);
	handle = slots_get(&handles->slots, id);
	if (handle && handle->is_dir != is_dir)
		handle = NULL;
	if (handle)
		handle->refs++;
	pthread_mutex_unlock(&handles->lock);
	return handle;
}

void fs_handle_put(struct fs_handle *handle)
{
	bool last;

	if (!handle)
		return;
	pthread_mutex_lock(&handle->handles->lock);
	last = --handle->refs == 0;
	pthread_mutex_unlock(&handle->handles->lock);
	if (!last)
		return;
	close(handle->fd);
	pthread_mutex_destroy(&handle->lock);
	free(handle);
}

int fs_handle_release(struct fs_handles *handles, uint64_t id, bool is_dir)
{
	struct fs_handle *handle;

	pthread_mutex_lock(&handles->lock);
	handle = slots_get(&handles->slots, id);
	if (handle && handle->is_dir != is_dir)
		handle = NULL;
	if (handle)
		slots_remove(&handles->slots, id);
	pthread_mutex_unlock(&handles->lock);
	fs_handle_put(handle);
	return handle ? 0 : -EBADF;
}

void fs_handles_init(struct fs_handles *handles, uint32_t max)
{
	pthread_mutex_init(&handles->lock, NULL);
	handles->slots = (struct slots){ .max = max };
}

void fs_handles_reset(struct fs_handles *handles)
{
	for (uint32_t i = 0;; i++) {
		struct fs_handle *handle;

		pthread_mutex_lock(&handles->lock);
		if (i >= handles->slots.n_slots) {
			pthread_mutex_unlock(&handles->lock);
			return;
		}
		handle = handles->slots.slots[i].object;
		if (handle)
			slots_remove(&handles->slots,
				     (uint64_t)handles->slots.slots[i].generation << 32 | (i + 1));
		pthread_mutex_unlock(&handles->lock);
		fs_handle_put(handle);
	}
}

void fs_handles_free(struct fs_handles *handles)
{
	fs_handles_reset(handles);
	slots_free(&handles->slots);
	pthread_mutex_destroy(&handles->lock);
}
