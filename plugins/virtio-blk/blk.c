/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk on a raw image: parameters, life cycle, configuration space, queues. */
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include <alcor/cfg.h>
#include <alcor/plugin.h>

#include "blk.h"

#define VIRTIO_ID_BLOCK 2

#define BLK_BATCH	 32
#define BLK_RING_ENTRIES 1024u

/* Up to the end of what write zeroes needs. */
#define BLK_CONFIG_SIZE (offsetof(struct virtio_blk_config, unused1) + 3)

static void blk_queue(void *priv, uint16_t index)
{
	struct blk *blk = priv;
	struct alcor_vq *vq = blk->virtio->vq(blk->dev, index);
	struct alcor_vreq *reqs[BLK_BATCH];
	uint32_t total = 0, n = 0;

	if (blk->paused)
		return;
	/* A driver that never stops must not keep the loop from everything else. */
	while (total < blk->queue_size && (n = blk->virtio->pop(vq, reqs, BLK_BATCH)) > 0) {
		for (uint32_t i = 0; i < n; i++)
			blk_request_start(blk, reqs[i], index);
		total += n;
	}
	blk->engine->ops->commit(blk->engine);
	blk_flush_queues(blk);
	if (n > 0)
		blk->virtio->kick(vq);
}

static void engine_reap(struct blk *blk, struct blk_engine *engine)
{
	engine->ops->reap(engine, false);
	blk_flush_queues(blk);
}

static void engine_ready(void *opaque, uint32_t events)
{
	struct blk *blk = opaque;

	engine_reap(blk, blk->engine);
}

static void slow_ready(void *opaque, uint32_t events)
{
	struct blk *blk = opaque;

	engine_reap(blk, blk->slow);
}

/* A driver that knows no FLUSH takes a write that is complete for stable (5.2.5, 5.2.6.2). */
static int blk_activate(void *priv, uint64_t features)
{
	struct blk *blk = priv;

	blk->writethrough = !(features & 1ull << VIRTIO_BLK_F_FLUSH);
	return 0;
}

static void blk_queue_stop(void *priv, uint16_t index)
{
	struct blk *blk = priv;

	blk_drain(blk);
	blk_flush_queues(blk);
}

static const struct alcor_virtio_ops blk_virtio_ops = {
	.struct_size = sizeof(blk_virtio_ops),
	.activate = blk_activate,
	.queue = blk_queue,
	.queue_stop = blk_queue_stop,
};

static int blk_pause(void *priv)
{
	struct blk *blk = priv;

	blk->paused = true;
	blk_drain(blk);
	blk_flush_queues(blk);
	return 0;
}

static int blk_resume(void *priv)
{
	struct blk *blk = priv;

	blk->paused = false;
	for (uint16_t i = 0; i < blk->n_queues; i++)
		blk->virtio->kick(blk->virtio->vq(blk->dev, i));
	return 0;
}

static void io_forget(void *opaque, struct blk_io *io)
{
}

/* Guest memory is written to until the last operation is complete. */
static void engine_destroy(struct blk_engine *engine)
{
	if (!engine)
		return;
	engine->done = io_forget;
	while (engine->in_flight)
		engine->ops->reap(engine, true);
	engine->ops->destroy(engine);
}

static void blk_destroy(void *priv)
{
	struct blk *blk = priv;

	if (blk->slow != blk->engine)
		engine_destroy(blk->slow);
	engine_destroy(blk->engine);
	blk_image_close(&blk->image);
	free(blk);
}

/* The order of the choices of api=. */
enum blk_api { API_AUTO, API_IO_URING, API_THREADS, API_IOURING, API_MIO };

static int engines_create(struct blk *blk, enum blk_api api)
{
	uint32_t entries = (uint32_t)blk->n_queues * blk->queue_size;
	int ret;

	ret = blk_threads_new(&blk->image, &blk->slow);
	if (ret)
		return alcor_error(blk->dev, ret, "threads: %s", strerror(-ret));
	blk->engine = blk->slow;
	if (api != API_THREADS && api != API_MIO) {
		ret = blk_uring_new(entries < BLK_RING_ENTRIES ? entries : BLK_RING_ENTRIES,
				    &blk->engine);
		if (ret && api != API_AUTO)
			return alcor_error(blk->dev, ret, "io_uring: %s (api=threads does without)",
					   strerror(-ret));
	}
	blk->engine->done = blk->slow->done = blk_request_io_done;
	blk->engine->opaque = blk->slow->opaque = blk;
	return 0;
}

static uint64_t features_offered(const struct blk *blk, bool discard)
{
	uint64_t features = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_BLK_SIZE |
			    1ull << VIRTIO_BLK_F_FLUSH;

	if (blk->image.is_device)
		features |= 1ull << VIRTIO_BLK_F_TOPOLOGY;
	if (blk->n_queues > 1)
		features |= 1ull << VIRTIO_BLK_F_MQ;
	if (blk->image.readonly)
		return features | 1ull << VIRTIO_BLK_F_RO;
	if (discard && blk->image.can_punch)
		features |= 1ull << VIRTIO_BLK_F_DISCARD;
	return features | 1ull << VIRTIO_BLK_F_WRITE_ZEROES;
}

static int params_read(struct blk *blk, const struct alcor_cfg *cfg)
{
	const char *serial = cfg->str(blk->dev, "serial", 0);
	uint64_t queue_size = cfg->u64(blk->dev, "queue_size");

	if (serial && strlen(serial) > BLK_SERIAL_LEN)
		return alcor_error(blk->dev, -EINVAL, "serial: longer than %d bytes",
				   BLK_SERIAL_LEN);
	if (queue_size & (queue_size - 1))
		return alcor_error(blk->dev, -EINVAL, "queue_size: %llu is not a power of two",
				   (unsigned long long)queue_size);
	if (!serial)
		serial = blk->dev->id;
	memcpy(blk->serial, serial, strnlen(serial, BLK_SERIAL_LEN));
	blk->queue_size = (uint16_t)queue_size;
	blk->n_queues = (uint16_t)cfg->u64(blk->dev, "queues");
	return 0;
}

static int blk_setup(struct blk *blk)
{
	const struct alcor_cfg *cfg = alcor_service(blk->dev, ALCOR_CFG_ID);
	struct blk_image_options options = {
		.path = cfg->str(blk->dev, "path", 0),
		.readonly = cfg->u64(blk->dev, "readonly"),
		.direct = cfg->u64(blk->dev, "direct"),
		.lock = cfg->u64(blk->dev, "lock"),
	};
	int ret = params_read(blk, cfg);

	if (!ret)
		ret = blk_image_open(&blk->image, blk->dev, &options);
	if (ret)
		return ret;
	blk->features = features_offered(blk, cfg->u64(blk->dev, "discard"));
	return engines_create(blk, (enum blk_api)cfg->u64(blk->dev, "api"));
}

static int blk_create(struct alcor_dev *dev, void **ret_priv)
{
	struct blk *blk = calloc(1, sizeof(*blk));
	int ret;

	if (!blk)
		return alcor_error(dev, -ENOMEM, "out of memory");
	blk->dev = dev;
	blk->virtio = alcor_service(dev, ALCOR_VIRTIO_ID);
	blk->loop = alcor_service(dev, ALCOR_LOOP_ID);
	blk->image.fd = blk->image.direct_fd = -1;
	ret = blk_setup(blk);
	if (ret) {
		blk_destroy(blk);
		return ret;
	}
	*ret_priv = blk;
	return 0;
}

/* 5.2.4. Buffers of a request: the header and the status are two of them. */
static void config_fill(const struct blk *blk, struct virtio_blk_config *config)
{
	const struct blk_image *image = &blk->image;
	uint32_t segments = blk->queue_size < BLK_SEGMENTS_MAX ? blk->queue_size : BLK_SEGMENTS_MAX;

	memset(config, 0, sizeof(*config));
	config->capacity = htole64(image->size / SECTOR_SIZE);
	config->seg_max = htole32(segments > 2 ? segments - 2 : 1);
	config->blk_size = htole32(image->block_size);
	config->physical_block_exp = image->physical_exp;
	config->alignment_offset = image->alignment_offset;
	config->min_io_size = htole16(image->min_io);
	config->opt_io_size = htole32(image->opt_io);
	config->num_queues = htole16(blk->n_queues);
	if (image->readonly)
		return;
	if (blk->features & 1ull << VIRTIO_BLK_F_DISCARD) {
		config->max_discard_sectors = htole32(BLK_DISCARD_SECTORS);
		config->max_discard_seg = htole32(BLK_RANGES_MAX);
		config->discard_sector_alignment = htole32(image->discard_align / SECTOR_SIZE);
		config->write_zeroes_may_unmap = 1;
	}
	config->max_write_zeroes_sectors = htole32(BLK_ZERO_SECTORS);
	config->max_write_zeroes_seg = htole32(BLK_RANGES_MAX);
}

static int engines_watch(struct blk *blk)
{
	struct alcor_watch *watch;
	int ret = blk->loop->watch(blk->dev, blk->engine->fd, EPOLLIN, engine_ready, blk, &watch);

	if (!ret && blk->slow != blk->engine)
		ret = blk->loop->watch(blk->dev, blk->slow->fd, EPOLLIN, slow_ready, blk, &watch);
	return ret;
}

static int blk_realize(void *priv)
{
	struct blk *blk = priv;
	struct virtio_blk_config config;
	struct alcor_virtio_desc desc = {
		.struct_size = sizeof(desc),
		.device_id = VIRTIO_ID_BLOCK,
		.n_queues = blk->n_queues,
		.features = blk->features,
		.queue_size = blk->queue_size,
		.max_segments = BLK_SEGMENTS_MAX,
		.req_size = blk_request_size(),
		.config_size = BLK_CONFIG_SIZE,
		.class_base = 0x01,
		.config = &config,
		.ops = &blk_virtio_ops,
	};
	int ret = engines_watch(blk);

	if (ret)
		return alcor_error(blk->dev, ret, "loop: %s", strerror(-ret));
	config_fill(blk, &config);
	ret = blk->virtio->add(blk->dev, &desc, blk);
	return ret ? alcor_error(blk->dev, ret, "virtio: %s", strerror(-ret)) : 0;
}

static const struct alcor_dev_ops blk_ops = {
	.struct_size = sizeof(blk_ops),
	.create = blk_create,
	.realize = blk_realize,
	.resume = blk_resume,
	.pause = blk_pause,
	.destroy = blk_destroy,
};

static const struct alcor_param params[] = {
	{ .name = "path",
	  .help = "raw image or block device",
	  .type = ALCOR_PARAM_PATH,
	  .flags = ALCOR_PARAM_REQUIRED | ALCOR_PARAM_POSITIONAL },
	{ .name = "readonly",
	  .help = "the guest cannot write",
	  .type = ALCOR_PARAM_BOOL,
	  .dflt = "off" },
	{ .name = "api",
	  .help = "how I/O is done",
	  .type = ALCOR_PARAM_ENUM,
	  .dflt = "auto",
	  .choices = "auto|io_uring|threads|iouring|mio" },
	{ .name = "serial",
	  .help = "serial number, up to 20 bytes, default is the device's id",
	  .type = ALCOR_PARAM_STR },
	{ .name = "queues",
	  .help = "number of request queues",
	  .type = ALCOR_PARAM_U64,
	  .dflt = "1",
	  .min = 1,
	  .max = BLK_QUEUES_MAX },
	{ .name = "queue_size",
	  .help = "requests a queue holds, a power of two",
	  .type = ALCOR_PARAM_U64,
	  .dflt = "256",
	  .min = 2,
	  .max = 1024 },
	{ .name = "direct",
	  .help = "bypass the host's page cache",
	  .type = ALCOR_PARAM_BOOL,
	  .dflt = "off" },
	{ .name = "discard",
	  .help = "give storage back that the guest frees",
	  .type = ALCOR_PARAM_BOOL,
	  .dflt = "on" },
	{ .name = "lock",
	  .help = "lock the image against other processes",
	  .type = ALCOR_PARAM_BOOL,
	  .dflt = "on" },
};

static const struct alcor_claim claims[] = {
	{ .dev_class = "blk",
	  .keyword = "file",
	  .ops = &blk_ops,
	  .summary = "disk in a raw image file or on a block device",
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
	.name = "virtio-blk",
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

ALCOR_PLUGIN_NOTE("name=virtio-blk\0"
		  "version=0.1\0"
		  "license=Apache-2.0\0"
		  "abi=" ALCOR_ABI_STRING "\0"
		  "claim=blk/file\0"
		  "needs=fs.read\0"
		  "needs=fs.write\0"
		  "needs=thread\0");
