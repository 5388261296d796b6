/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-fs on a directory of the host: parameters, life cycle, configuration space, queues. */
#include "fs.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_fs.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <alcor/cfg.h>

#include "call.h"
#include "pool.h"

#define FS_BATCH      32
#define FS_QUEUE_SIZE 512

/* Descriptors that are left to the rest of the program. */
#define FD_RESERVE 256
#define FD_MAX	   (1u << 20)

void fs_flush_queues(struct fs *fs)
{
	uint32_t touched = fs->touched;

	fs->touched = 0;
	for (uint16_t i = 0; touched; i++, touched >>= 1) {
		if (touched & 1)
			fs->virtio->flush(fs->virtio->vq(fs->dev, i));
	}
}

static void fs_queue(void *priv, uint16_t index)
{
	struct fs *fs = priv;
	struct alcor_vq *vq = fs->virtio->vq(fs->dev, index);
	struct alcor_vreq *reqs[FS_BATCH];
	uint32_t total = 0, n = 0;

	if (fs->paused)
		return;
	/* A driver that never stops must not keep the loop from everything else. */
	while (total < FS_QUEUE_SIZE && (n = fs->virtio->pop(vq, reqs, FS_BATCH)) > 0) {
		for (uint32_t i = 0; i < n; i++)
			fs_call_start(fs, reqs[i], index);
		total += n;
	}
	fs_flush_queues(fs);
	if (n > 0)
		fs->virtio->kick(vq);
}

static void pool_reap(struct fs *fs, bool wait)
{
	struct fs_call *call;

	while ((call = fs_pool_reap(fs->pool, wait)))
		fs_call_complete(call);
	fs_flush_queues(fs);
}

static void pool_ready(void *opaque, uint32_t events)
{
	pool_reap(opaque, false);
}

void fs_forget_all(struct fs *fs)
{
	fs_handles_reset(&fs->handles);
	fs_nodes_reset(&fs->nodes);
}

static void fs_queue_stop(void *priv, uint16_t index)
{
	pool_reap(priv, true);
}

static void fs_deactivate(void *priv)
{
	struct fs *fs = priv;

	fs->mounted = false;
	fs_forget_all(fs);
}

static const struct alcor_virtio_ops fs_virtio_ops = {
	.struct_size = sizeof(fs_virtio_ops),
	.queue = fs_queue,
	.queue_stop = fs_queue_stop,
	.deactivate = fs_deactivate,
};

static int fs_pause(void *priv)
{
	struct fs *fs = priv;

	fs->paused = true;
	pool_reap(fs, true);
	return 0;
}

static int fs_resume(void *priv)
{
	struct fs *fs = priv;

	fs->paused = false;
	for (uint16_t i = 0; i <= fs->n_queues; i++)
		fs->virtio->kick(fs->virtio->vq(fs->dev, i));
	return 0;
}

static void fs_destroy(void *priv)
{
	struct fs *fs = priv;

	fs_pool_free(fs->pool);
	fs_handles_free(&fs->handles);
	fs_nodes_free(&fs->nodes);
	if (fs->proc_fd >= 0)
		close(fs->proc_fd);
	free(fs);
}

/* Each file that the guest knows or has open is a descriptor. */
static void descriptors_raise(struct fs *fs)
{
	struct rlimit limit = { .rlim_cur = 1024 };

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		struct rlimit raised = { limit.rlim_max, limit.rlim_max };

		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			limit = raised;
	}
	if (limit.rlim_cur > FD_MAX)
		limit.rlim_cur = FD_MAX;
	fs->fd_limit = (int)limit.rlim_cur;
	fs->fd_limit -= fs->fd_limit > 2 * FD_RESERVE ? FD_RESERVE : fs->fd_limit / 2;
}

static int root_open(struct fs *fs, const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), probe;
	int ret;

	if (fd < 0)
		return alcor_error(fs->dev, -errno, "%s: %s", path, strerror(errno));
	probe = fs_lookup_fd(fs, fd, ".");
	if (probe < 0) {
		close(fd);
		return alcor_error(fs->dev, probe, "%s: openat2: %s", path, strerror(-probe));
	}
	close(probe);
	ret = fs_nodes_init(&fs->nodes, fd, (uint32_t)fs->fd_limit);
	return ret ? alcor_error(fs->dev, ret, "%s: %s", path, strerror(-ret)) : 0;
}

/* The order of the choices of owner=. */
enum fs_owner { OWNER_HOST, OWNER_SQUASH };

static int params_read(struct fs *fs, const struct alcor_cfg *cfg)
{
	const char *tag = cfg->str(fs->dev, "tag", 0);
	size_t len = strlen(tag);

	if (len == 0 || len > FS_TAG_LEN)
		return alcor_error(fs->dev, -EINVAL, "tag: must have 1 to %d bytes, has %zu",
				   FS_TAG_LEN, len);
	memcpy(fs->tag, tag, len);
	fs->n_queues = (uint16_t)cfg->u64(fs->dev, "queues");
	fs->cache = (enum fs_cache)cfg->u64(fs->dev, "cache");
	fs->readonly = cfg->u64(fs->dev, "readonly");
	fs->xattr = cfg->u64(fs->dev, "xattr");
	fs->squash = cfg->u64(fs->dev, "owner") == OWNER_SQUASH;
	fs->give_away = !fs->squash && geteuid() == 0;
	return 0;
}

static int fs_setup(struct fs *fs)
{
	const struct alcor_cfg *cfg = alcor_service(fs->dev, ALCOR_CFG_ID);
	int ret = params_read(fs, cfg);

	if (ret)
		return ret;
	descriptors_raise(fs);
	fs_handles_init(&fs->handles, (uint32_t)fs->fd_limit);
	ret = root_open(fs, cfg->str(fs->dev, "path", 0));
	if (ret)
		return ret;
	fs->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fs->proc_fd < 0)
		return alcor_error(fs->dev, -errno, "/proc/self/fd: %s", strerror(errno));
	ret = fs_pool_new(&fs->pool);
	return ret ? alcor_error(fs->dev, ret, "threads: %s", strerror(-ret)) : 0;
}

static int fs_create(struct alcor_dev *dev, void **ret_priv)
{
	struct fs *fs = calloc(1, sizeof(*fs));
	int ret;

	if (!fs)
		return alcor_error(dev, -ENOMEM, "out of memory");
	fs->dev = dev;
	fs->virtio = alcor_service(dev, ALCOR_VIRTIO_ID);
	fs->loop = alcor_service(dev, ALCOR_LOOP_ID);
	fs->proc_fd = -1;
	ret = fs_setup(fs);
	if (ret) {
		fs_destroy(fs);
		return ret;
	}
	*ret_priv = fs;
	return 0;
}

/* 5.11.4 */
static int fs_realize(void *priv)
{
	struct fs *fs = priv;
	struct virtio_fs_config config = { .num_request_queues = htole32(fs->n_queues) };
	struct alcor_virtio_desc desc = {
		.struct_size = sizeof(desc),
		.device_id = VIRTIO_ID_FS,
		.n_queues = (uint16_t)(fs->n_queues + 1),
		.queue_size = FS_QUEUE_SIZE,
		.max_segments = FS_SEGMENTS_MAX,
		.req_size = sizeof(struct fs_call),
		.config_size = sizeof(config),
		.class_base = 0x01,
		.class_sub = 0x80,
		.config = &config,
		.ops = &fs_virtio_ops,
	};
	struct alcor_watch *watch;
	int ret = fs->loop->watch(fs->dev, fs_pool_fd(fs->pool), EPOLLIN, pool_ready, fs, &watch);

	if (ret)
		return alcor_error(fs->dev, ret, "loop: %s", strerror(-ret));
	memcpy(config.tag, fs->tag, sizeof(config.tag));
	ret = fs->virtio->add(fs->dev, &desc, fs);
	return ret ? alcor_error(fs->dev, ret, "virtio: %s", strerror(-ret)) : 0;
}

static const struct alcor_dev_ops fs_ops = {
	.struct_size = sizeof(fs_ops),
	.create = fs_create,
	.realize = fs_realize,
	.resume = fs_resume,
	.pause = fs_pause,
	.destroy = fs_destroy,
};

static const struct alcor_param params[] = {
	{ .name = "path",
	  .help = "directory to share",
	  .type = ALCOR_PARAM_PATH,
	  .flags = ALCOR_PARAM_REQUIRED | ALCOR_PARAM_POSITIONAL },
	{ .name = "tag",
	  .help = "name under which the guest mounts it, 1 to 36 bytes",
	  .type = ALCOR_PARAM_STR,
	  .flags = ALCOR_PARAM_REQUIRED },
	{ .name = "readonly",
	  .help = "the guest cannot write",
	  .type = ALCOR_PARAM_BOOL,
	  .dflt = "off" },
	{ .name = "cache",
	  .help = "what the guest may keep of files and names",
	  .type = ALCOR_PARAM_ENUM,
	  .dflt = "auto",
	  .choices = "auto|none|always" },
	{ .name = "owner",
	  .help = "whose the files are: as on the host, or all the guest's root's",
	  .type = ALCOR_PARAM_ENUM,
	  .dflt = "host",
	  .choices = "host|squash" },
	{ .name = "xattr",
	  .help = "extended attributes of users",
	  .type = ALCOR_PARAM_BOOL,
	  .dflt = "off" },
	{ .name = "queues",
	  .help = "number of request queues",
	  .type = ALCOR_PARAM_U64,
	  .dflt = "1",
	  .min = 1,
	  .max = FS_QUEUES_MAX },
};

static const struct alcor_claim claims[] = {
	{ .dev_class = "fs",
	  .keyword = "dir",
	  .ops = &fs_ops,
	  .summary = "directory of the host, shared with the guest",
	  .params = params,
	  .n_params = sizeof(params) / sizeof(params[0]),
	  .param_size = sizeof(struct alcor_param),
	  .thread_model = ALCOR_THREAD_LOOP,
	  .caps = ALCOR_CAP_VIRTIO },
};

static const struct alcor_plugin plugin = {
	.struct_size = sizeof(plugin),
	.abi_major = ALCOR_ABI_MAJOR,
	.abi_minor = ALCOR_ABI_MINOR,
	.name = "virtio-fs",
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

ALCOR_PLUGIN_NOTE("name=virtio-fs\0"
		  "version=0.1\0"
		  "license=Apache-2.0\0"
		  "abi=" ALCOR_ABI_STRING "\0"
		  "claim=fs/dir\0"
		  "needs=fs.read\0"
		  "needs=fs.write\0"
		  "needs=thread\0");
