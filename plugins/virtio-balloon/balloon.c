/* SPDX-License-Identifier: Apache-2.0 */
/* The device: configuration, queues and life cycle. */
#include "balloon.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include <alcor/cfg.h>
#include <alcor/vm.h>

#define VIRTIO_ID_BALLOON 5

#define VIRTIO_BALLOON_F_STATS_VQ	1
#define VIRTIO_BALLOON_F_DEFLATE_ON_OOM 2
#define VIRTIO_BALLOON_F_PAGE_POISON	4
#define VIRTIO_BALLOON_F_REPORTING	5

#define BALLOON_QUEUES	   5 /* 5.5.2; the fourth is the free page hints', which are not offered */
#define BALLOON_BATCH	   16
#define STATS_INTERVAL_MAX 86400

/* 5.5.4, little endian. */
struct balloon_config {
	uint32_t num_pages; /* what the guest is to give up */
	uint32_t actual;    /* what it gave up; written by the driver, as poison_val */
	uint32_t free_page_hint_cmd_id;
	uint32_t poison_val;
};

enum queue_kind { QUEUE_NONE, QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_STATS, QUEUE_REPORTING };

static bool has_feature(const struct balloon *balloon, unsigned bit)
{
	return balloon->features >> bit & 1;
}

/* 5.5.2 gives the queues fixed numbers. Linux, and drivers made after it, number those that exist
 * one after another; a queue exists when its feature was agreed on. Both ways fit: what Linux calls
 * 2 or 3 is nothing else in the fixed numbers. */
static enum queue_kind queue_kind(const struct balloon *balloon, uint16_t index)
{
	bool stats = has_feature(balloon, VIRTIO_BALLOON_F_STATS_VQ);
	bool reporting = has_feature(balloon, VIRTIO_BALLOON_F_REPORTING);

	if (index < 2)
		return index ? QUEUE_DEFLATE : QUEUE_INFLATE;
	if (index == 2 && stats)
		return QUEUE_STATS;
	return reporting && (index == 4 || index == 2 + stats) ? QUEUE_REPORTING : QUEUE_NONE;
}

static uint16_t n_queues(const struct balloon *balloon)
{
	if (balloon->offered >> VIRTIO_BALLOON_F_REPORTING & 1)
		return BALLOON_QUEUES;
	return balloon->offered >> VIRTIO_BALLOON_F_STATS_VQ & 1 ? 3 : 2;
}

/* --- requests --- */

static void request_serve(struct balloon *balloon, enum queue_kind kind, struct alcor_vreq *req)
{
	switch (kind) {
	case QUEUE_INFLATE:
		pages_inflate(balloon, req);
		break;
	case QUEUE_STATS:
		stats_take(balloon, req);
		return;
	case QUEUE_REPORTING:
		pages_report(balloon, req);
		break;
	default: /* pages taken back need nothing: the host gives new ones when they are touched */
		break;
	}
	balloon->virtio->push(req, 0);
}

static void balloon_queue(void *priv, uint16_t index)
{
	struct balloon *balloon = priv;
	enum queue_kind kind = queue_kind(balloon, index);
	struct alcor_vq *vq = balloon->virtio->vq(balloon->dev, index);
	struct alcor_vreq *req;
	unsigned n = 0;

	/* A driver that never stops must not keep the loop from everything else. */
	while (n < BALLOON_BATCH && !balloon->paused && balloon->virtio->pop(vq, &req, 1)) {
		request_serve(balloon, kind, req);
		n++;
	}
	balloon->virtio->flush(vq);
	if (n == BALLOON_BATCH)
		balloon->virtio->kick(vq);
}

static void balloon_queue_stop(void *priv, uint16_t index)
{
	struct balloon *balloon = priv;

	if (queue_kind(balloon, index) == QUEUE_STATS)
		balloon->stats.held = NULL;
}

static int balloon_activate(void *priv, uint64_t features)
{
	struct balloon *balloon = priv;

	balloon->features = features;
	balloon->active = true;
	if (has_feature(balloon, VIRTIO_BALLOON_F_STATS_VQ))
		stats_start(balloon);
	return 0;
}

static void balloon_deactivate(void *priv)
{
	static const struct balloon_config zero;
	struct balloon *balloon = priv;

	stats_stop(balloon);
	balloon->active = false;
	balloon->features = 0;
	if (balloon->actual || balloon->poison)
		balloon->virtio->config_update(
			balloon->dev, offsetof(struct balloon_config, actual), &zero.actual,
			sizeof(zero) - offsetof(struct balloon_config, actual));
	balloon->actual = 0;
	balloon->poison = 0;
}

/* Bytes of one register that the driver may write. */
static bool register_write(uint32_t *reg, uint32_t base, uint32_t offset, const void *data,
			   uint32_t len)
{
	uint32_t value = htole32(*reg);

	if (offset < base || len > sizeof(value) || offset - base > sizeof(value) - len)
		return false;
	memcpy((char *)&value + (offset - base), data, len);
	*reg = le32toh(value);
	return true;
}

static int balloon_config_write(void *priv, uint32_t offset, const void *data, uint32_t len)
{
	struct balloon *balloon = priv;

	if (register_write(&balloon->actual, offsetof(struct balloon_config, actual), offset, data,
			   len))
		return 0;
	if (balloon->offered >> VIRTIO_BALLOON_F_PAGE_POISON & 1 &&
	    register_write(&balloon->poison, offsetof(struct balloon_config, poison_val), offset,
			   data, len))
		return 0;
	return -EINVAL;
}

static const struct alcor_virtio_ops balloon_virtio_ops = {
	.struct_size = sizeof(balloon_virtio_ops),
	.activate = balloon_activate,
	.queue = balloon_queue,
	.queue_stop = balloon_queue_stop,
	.deactivate = balloon_deactivate,
	.config_write = balloon_config_write,
};

/* --- properties --- */

enum { PROPERTY_TARGET, PROPERTY_ACTUAL };

static int property_get(void *opaque, uint64_t index, struct alcor_ctl_value *ret_value)
{
	const struct balloon *balloon = opaque;

	ret_value->number =
		index == PROPERTY_TARGET ? balloon->target : balloon->actual * BALLOON_PFN_SIZE;
	return 0;
}

static uint64_t pages_down(uint64_t bytes)
{
	return bytes - bytes % BALLOON_PFN_SIZE;
}

static int target_set(void *opaque, uint64_t index, const struct alcor_ctl_value *value)
{
	struct balloon *balloon = opaque;
	uint64_t target = pages_down(value->number);
	uint32_t pages = htole32((uint32_t)(target / BALLOON_PFN_SIZE));
	int ret = balloon->virtio->config_update(
		balloon->dev, offsetof(struct balloon_config, num_pages), &pages, sizeof(pages));

	if (!ret)
		balloon->target = target;
	return ret;
}

static int add_properties(struct balloon *balloon)
{
	const struct alcor_ctl_property target = {
		.struct_size = sizeof(target),
		.type = ALCOR_PARAM_SIZE,
		.name = "target",
		.help = "memory the guest is to give up",
		.max = balloon->ram_size,
		.index = PROPERTY_TARGET,
		.get = property_get,
		.set = target_set,
	};
	const struct alcor_ctl_property actual = {
		.struct_size = sizeof(actual),
		.type = ALCOR_PARAM_SIZE,
		.name = "actual",
		.help = "memory the guest has given up",
		.index = PROPERTY_ACTUAL,
		.get = property_get,
	};
	int ret = balloon->ctl->add(balloon->dev, &target, balloon);

	if (!ret)
		ret = balloon->ctl->add(balloon->dev, &actual, balloon);
	return ret ? ret : stats_realize(balloon);
}

/* --- life cycle --- */

static uint64_t features_offered(struct alcor_dev *dev, const struct alcor_cfg *cfg)
{
	uint64_t features = 0;

	if (cfg->u64(dev, "deflate_on_oom"))
		features |= 1 << VIRTIO_BALLOON_F_DEFLATE_ON_OOM;
	if (cfg->u64(dev, "stats"))
		features |= 1 << VIRTIO_BALLOON_F_STATS_VQ;
	/* A Linux that poisons its free pages reports them only to who knows of it. */
	if (cfg->u64(dev, "free_page_reporting"))
		features |= 1 << VIRTIO_BALLOON_F_REPORTING | 1 << VIRTIO_BALLOON_F_PAGE_POISON;
	return features;
}

static int balloon_create(struct alcor_dev *dev, void **ret_priv)
{
	const struct alcor_cfg *cfg = alcor_service(dev, ALCOR_CFG_ID);
	const struct alcor_vm *vm = alcor_service(dev, ALCOR_VM_ID);
	uint64_t target = cfg->u64(dev, "target"), ram_size = vm->ram_size(dev);
	struct balloon *balloon;

	/* What a count of 32 bits reaches. */
	if (ram_size > UINT32_MAX * BALLOON_PFN_SIZE)
		ram_size = UINT32_MAX * BALLOON_PFN_SIZE;
	if (target > ram_size)
		return alcor_error(dev, -EINVAL,
				   "target: %" PRIu64 " MiB are more than the guest's %" PRIu64
				   " MiB of memory",
				   target >> 20, ram_size >> 20);
	balloon = calloc(1, sizeof(*balloon));
	if (!balloon)
		return alcor_error(dev, -ENOMEM, "out of memory");
	balloon->dev = dev;
	balloon->virtio = alcor_service(dev, ALCOR_VIRTIO_ID);
	balloon->mem = alcor_service(dev, ALCOR_MEM_ID);
	balloon->loop = alcor_service(dev, ALCOR_LOOP_ID);
	balloon->ctl = alcor_service(dev, ALCOR_CTL_ID);
	balloon->ram_size = ram_size;
	balloon->target = pages_down(target);
	balloon->offered = features_offered(dev, cfg);
	balloon->stats.interval_ns = cfg->u64(dev, "stats") * 1000000000ull;
	*ret_priv = balloon;
	return 0;
}

static int balloon_realize(void *priv)
{
	struct balloon *balloon = priv;
	const struct balloon_config config = {
		.num_pages = htole32((uint32_t)(balloon->target / BALLOON_PFN_SIZE)),
	};
	const struct alcor_virtio_desc desc = {
		.struct_size = sizeof(desc),
		.device_id = VIRTIO_ID_BALLOON,
		.n_queues = n_queues(balloon),
		.features = balloon->offered,
		.queue_size = BALLOON_SEGMENTS,
		.max_segments = BALLOON_SEGMENTS,
		.config_size = sizeof(config),
		.config = &config,
		.class_base = 0xff,
		.ops = &balloon_virtio_ops,
	};
	int ret = balloon->virtio->add(balloon->dev, &desc, balloon);

	if (ret)
		return alcor_error(balloon->dev, ret, "virtio: %s", strerror(-ret));
	ret = add_properties(balloon);
	return ret ? alcor_error(balloon->dev, ret, "properties: %s", strerror(-ret)) : 0;
}

static int balloon_pause(void *priv)
{
	struct balloon *balloon = priv;

	balloon->paused = true;
	return 0;
}

static int balloon_resume(void *priv)
{
	struct balloon *balloon = priv;

	balloon->paused = false;
	if (!balloon->active)
		return 0;
	if (has_feature(balloon, VIRTIO_BALLOON_F_STATS_VQ))
		stats_start(balloon);
	for (uint16_t i = 0; i < n_queues(balloon); i++)
		balloon->virtio->kick(balloon->virtio->vq(balloon->dev, i));
	return 0;
}

static void balloon_destroy(void *priv)
{
	free(priv);
}

static const struct alcor_dev_ops balloon_ops = {
	.struct_size = sizeof(balloon_ops),
	.create = balloon_create,
	.realize = balloon_realize,
	.resume = balloon_resume,
	.pause = balloon_pause,
	.destroy = balloon_destroy,
};

static const struct alcor_param params[] = {
	{ .name = "target",
	  .alias = "size",
	  .help = "memory the guest is to give up at first",
	  .type = ALCOR_PARAM_SIZE,
	  .dflt = "0" },
	{ .name = "free_page_reporting",
	  .help = "take back the pages that the guest reports as free",
	  .type = ALCOR_PARAM_BOOL,
	  .dflt = "off" },
	{ .name = "deflate_on_oom",
	  .help = "the guest may take memory back before it runs out of it",
	  .type = ALCOR_PARAM_BOOL,
	  .dflt = "on" },
	{ .name = "stats",
	  .help = "seconds between requests for statistics, 0 for none",
	  .type = ALCOR_PARAM_U64,
	  .max = STATS_INTERVAL_MAX,
	  .dflt = "0" },
};

static const struct alcor_claim claims[] = {
	{ .dev_class = "balloon",
	  .keyword = "virtio",
	  .ops = &balloon_ops,
	  .summary = "memory that the guest gives back",
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
	.name = "virtio-balloon",
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

ALCOR_PLUGIN_NOTE("name=virtio-balloon\0"
		  "version=0.1\0"
		  "license=Apache-2.0\0"
		  "abi=" ALCOR_ABI_STRING "\0"
		  "claim=balloon/virtio\0");
