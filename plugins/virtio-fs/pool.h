/* SPDX-License-Identifier: Apache-2.0 */
/* A few threads that run requests. All functions are [dev], create and destroy [main]. */
#ifndef ALCOR_PLUGINS_VIRTIO_FS_POOL_H
#define ALCOR_PLUGINS_VIRTIO_FS_POOL_H

#include "call.h"

/* Threads are started when there is work for them. */
int fs_pool_new(struct fs_pool **ret_pool);
/* Has fs_call_run() called. */
void fs_pool_submit(struct fs_pool *pool, struct fs_call *call);
/* A request that was run; @wait: waits for one if some are in flight. NULL: none. */
struct fs_call *fs_pool_reap(struct fs_pool *pool, bool wait);
/* Readable when there is something to reap. */
int fs_pool_fd(const struct fs_pool *pool);
/* Waits for what runs, and drops the rest. NULL is fine. */
void fs_pool_free(struct fs_pool *pool);

#endif
