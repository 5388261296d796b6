/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's side of a virtio device, and its making. */
#include "virtio/device.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "util/cleanup.h"
#include "util/overflow.h"

#define STATUS_DRIVER                                                                       \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK | \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED)

/* Bits 24 to 49 belong to rings and transports (2.2). */
#define FEATURES_DEVICE (~0ull << 50 | 0xffffff)
#define FEATURES_HOST                                                   \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX | \
	 1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_F_RING_RESET)

/* --- making --- */

static int check_desc(const struct alcor_virtio_desc *desc, struct error *err)
{
	if (desc->struct_size < sizeof(*desc) || !desc->ops ||
	    desc->ops->struct_size < sizeof(*desc->ops))
		return error_set(err, -EINVAL, "virtio: description of another version");
	if (!desc->ops->queue || !desc->ops->queue_stop)
		return error_set(err, -EINVAL, "virtio: a mandatory callback is missing");
	if (!desc->n_queues || desc->n_queues > VIRTIO_MAX_QUEUES)
		return error_set(err, -EINVAL, "virtio: %u queues, 1 to %u are possible",
				 desc->n_queues, VIRTIO_MAX_QUEUES);
	if (desc->queue_size > VIRTIO_QUEUE_MAX || (desc->queue_size && !is_pow2(desc->queue_size)))
		return error_set(err, -EINVAL, "virtio: queue size %u is no power of two up to %u",
				 desc->queue_size, VIRTIO_QUEUE_MAX);
	if (desc->max_segments > VIRTIO_QUEUE_MAX)
		return error_set(err, -EINVAL, "virtio: %u segments, %u are possible",
				 desc->max_segments, VIRTIO_QUEUE_MAX);
	if (desc->config_size > VIRTIO_CONFIG_MAX || (desc->config_size && !desc->config))
		return error_set(err, -EINVAL, "virtio: %u bytes of configuration, %u are possible",
				 desc->config_size, VIRTIO_CONFIG_MAX);
	return 0;
}

static int make_queues(struct virtio_dev *dev)
{
	dev->vqs = calloc(dev->desc.n_queues, sizeof(*dev->vqs));
	if (!dev->vqs)
		return -ENOMEM;
	for (uint16_t i = 0; i < dev->desc.n_queues; i++)
		dev->vqs[i].doorbell = -1;
	for (uint16_t i = 0; i < dev->desc.n_queues; i++) {
		struct alcor_vq *vq = &dev->vqs[i];

		vq->dev = dev;
		vq->mem = dev->mem;
		vq->index = i;
		vq->doorbell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (vq->doorbell < 0)
			return -errno;
	}
	return 0;
}

int virtio_new(const struct virtio_env *env, const struct alcor_virtio_desc *desc, void *priv,
	       struct virtio_dev **ret_dev, struct error *err)
{
	struct virtio_dev *dev;
	int res = check_desc(desc, err);

	if (res)
		return res;
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return error_errno(err, -ENOMEM, "virtio");
	pthread_mutex_init(&dev->lock, NULL);
	dev->mem = env->mem;
	dev->loop = env->loop;
	dev->priv = priv;
	dev->desc = *desc;
	dev->desc.queue_size = desc->queue_size ? desc->queue_size : 256;
	dev->desc.max_segments = desc->max_segments ? desc->max_segments : dev->desc.queue_size;
	if (desc->config_size)
		memcpy(dev->config, desc->config, desc->config_size);
	dev->offered = (desc->features & FEATURES_DEVICE) | FEATURES_HOST;
	if (env->packed)
		dev->offered |= 1ull << VIRTIO_F_RING_PACKED;
	dev->name = strdup(env->name);
	res = dev->name ? make_queues(dev) : -ENOMEM;
	if (res) {
		virtio_free(dev);
		return error_errno(err, res, "virtio");
	}
	virtio_clear_registers(dev);
	*ret_dev = dev;
	return 0;
}

void virtio_free(struct virtio_dev *dev)
{
	if (!dev)
		return;
	for (uint16_t i = 0; dev->vqs && i < dev->desc.n_queues; i++) {
		vq_stop(&dev->vqs[i]);
		if (dev->vqs[i].doorbell >= 0)
			close(dev->vqs[i].doorbell);
	}
	pthread_mutex_destroy(&dev->lock);
	free(dev->vqs);
	free(dev->name);
	free(dev);
}

void virtio_set_transport(struct virtio_dev *dev, const struct virtio_transport_ops *ops,
			  void *opaque)
{
	dev->transport = ops;
	dev->transport_opaque = opaque;
}

const struct alcor_virtio_desc *virtio_desc(const struct virtio_dev *dev)
{
	return &dev->desc;
}

void virtio_clear_queue(struct virtio_dev *dev, struct alcor_vq *vq)
{
	vq->regs = (struct virtio_queue_regs){ .size = dev->desc.queue_size };
	vq->starting = false;
}

void virtio_clear_registers(struct virtio_dev *dev)
{
	for (uint16_t i = 0; i < dev->desc.n_queues; i++)
		virtio_clear_queue(dev, &dev->vqs[i]);
	dev->driver_features = 0;
	dev->status = 0;
	dev->live = false;
	dev->activating = false;
	dev->resetting = false;
	dev->n_writes = 0;
}

/* --- features and status (2.1, 2.2, 3.1) --- */

uint64_t virtio_offered_features(const struct virtio_dev *dev)
{
	return dev->offered;
}

uint64_t virtio_driver_features(struct virtio_dev *dev)
{
	LOCK_SCOPE(&dev->lock);
	return dev->driver_features;
}

void virtio_set_driver_features(struct virtio_dev *dev, unsigned word, uint32_t value)
{
	LOCK_SCOPE(&dev->lock);
	if (word > 1 || dev->resetting || dev->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	dev->driver_features &= ~(0xffffffffull << 32 * word);
	dev->driver_features |= (uint64_t)value << 32 * word;
}

uint8_t virtio_status(struct virtio_dev *dev)
{
	LOCK_SCOPE(&dev->lock);
	/* A driver that polls brings on what could not be posted for want of memory. */
	if (dev->resetting || dev->activating)
		virtio_post_work(dev);
	return dev->status;
}

static bool features_ok(const struct virtio_dev *dev)
{
	return !(dev->driver_features & ~dev->offered) &&
	       dev->driver_features >> VIRTIO_F_VERSION_1 & 1;
}

/* 2.1.1: bits are only ever added, until a reset. */
static void add_status(struct virtio_dev *dev, uint8_t bits)
{
	if (bits & VIRTIO_CONFIG_S_FEATURES_OK && !features_ok(dev))
		bits &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	if (!((dev->status | bits) & VIRTIO_CONFIG_S_FEATURES_OK))
		bits &= ~VIRTIO_CONFIG_S_DRIVER_OK;
	dev->status |= bits;
	if (bits & VIRTIO_CONFIG_S_DRIVER_OK) {
		dev->live = true;
		dev->activating = true;
		virtio_post_work(dev);
	}
}

void virtio_set_status(struct virtio_dev *dev, uint8_t status)
{
	LOCK_SCOPE(&dev->lock);
	if (dev->resetting)
		return;
	if (status) {
		add_status(dev, status & STATUS_DRIVER & ~dev->status);
	} else if (dev->live) {
		dev->resetting = true;
		virtio_post_work(dev);
	} else {
		virtio_clear_registers(dev);
	}
}

/* --- configuration (2.5) --- */

uint8_t virtio_config_generation(struct virtio_dev *dev)
{
	LOCK_SCOPE(&dev->lock);
	return dev->generation;
}

void virtio_config_read(struct virtio_dev *dev, uint32_t offset, void *ret_data, uint32_t len)
{
	memset(ret_data, 0xff, len);
	if (offset >= dev->desc.config_size)
		return;
	LOCK_SCOPE(&dev->lock);
	memcpy(ret_data, dev->config + offset, MIN(len, dev->desc.config_size - offset));
}

void virtio_config_write(struct virtio_dev *dev, uint32_t offset, const void *data, uint32_t len)
{
	struct virtio_config_write *write;

	if (!dev->desc.ops->config_write || len > sizeof(write->data) ||
	    !range_within(offset, len, dev->desc.config_size))
		return;
	LOCK_SCOPE(&dev->lock);
	if (dev->resetting)
		return;
	if (dev->n_writes == VIRTIO_CONFIG_WRITES) {
		log_limited(&dev->log_limit, LOG_WARN,
			    "%s: configuration write dropped: too many are waiting", dev->name);
		return;
	}
	write = &dev->writes[(dev->first_write + dev->n_writes++) % VIRTIO_CONFIG_WRITES];
	write->offset = (uint16_t)offset;
	write->len = (uint16_t)len;
	write->live = dev->live;
	memcpy(write->data, data, len);
	virtio_post_work(dev);
}

int virtio_config_update(struct virtio_dev *dev, uint32_t offset, const void *data, uint32_t len)
{
	bool notify;

	if (!range_within(offset, len, dev->desc.config_size))
		return -EINVAL;
	pthread_mutex_lock(&dev->lock);
	memcpy(dev->config + offset, data, len);
	dev->generation++;
	notify = dev->status & VIRTIO_CONFIG_S_DRIVER_OK;
	pthread_mutex_unlock(&dev->lock);
	if (notify && dev->transport)
		dev->transport->notify_config(dev->transport_opaque);
	return 0;
}

/* --- queue registers (4.1.4.3) --- */

struct alcor_vq *virtio_vq(struct virtio_dev *dev, uint16_t index)
{
	return index < dev->desc.n_queues ? &dev->vqs[index] : NULL;
}

int virtio_queue_regs(struct virtio_dev *dev, uint16_t index, struct virtio_queue_regs *ret_regs)
{
	struct alcor_vq *vq = virtio_vq(dev, index);

	if (!vq)
		return -ENOENT;
	LOCK_SCOPE(&dev->lock);
	if (vq->regs.resetting)
		virtio_post_work(dev);
	*ret_regs = vq->regs;
	return 0;
}

/* NULL when the state of device or queue forbids to set it up. */
static struct alcor_vq *idle_queue(struct virtio_dev *dev, uint16_t index)
{
	struct alcor_vq *vq = virtio_vq(dev, index);

	return vq && !dev->resetting && !vq->regs.enabled && !vq->regs.resetting ? vq : NULL;
}

void virtio_queue_set_size(struct virtio_dev *dev, uint16_t index, uint16_t size)
{
	struct alcor_vq *vq;

	LOCK_SCOPE(&dev->lock);
	vq = idle_queue(dev, index);
	if (vq && size && size <= dev->desc.queue_size)
		vq->regs.size = size;
}

void virtio_queue_set_area(struct virtio_dev *dev, uint16_t index, unsigned area, unsigned half,
			   uint32_t value)
{
	struct alcor_vq *vq;
	uint64_t *reg;

	LOCK_SCOPE(&dev->lock);
	vq = idle_queue(dev, index);
	if (!vq || area > 2 || half > 1)
		return;
	reg = area == 0 ? &vq->regs.desc : area == 1 ? &vq->regs.driver : &vq->regs.device;
	*reg &= ~(0xffffffffull << 32 * half);
	*reg |= (uint64_t)value << 32 * half;
}

/* The areas are checked here, so that a driver which reads queue_enable back learns of a refusal. */
void virtio_queue_enable(struct virtio_dev *dev, uint16_t index)
{
	const char *why = NULL;
	struct alcor_vq *vq;

	LOCK_SCOPE(&dev->lock);
	vq = idle_queue(dev, index);
	if (!vq || !(dev->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return;
	if (vq_map(dev->mem, &vq->regs, dev->driver_features >> VIRTIO_F_RING_PACKED & 1, vq->areas,
		   &why)) {
		virtio_dev_log(dev, index, "queue not enabled", why);
		return;
	}
	vq->regs.enabled = true;
	vq->starting = true;
	if (dev->live)
		virtio_post_work(dev);
}

void virtio_queue_reset(struct virtio_dev *dev, uint16_t index)
{
	struct alcor_vq *vq = virtio_vq(dev, index);

	LOCK_SCOPE(&dev->lock);
	if (!vq || dev->resetting || !vq->regs.enabled || vq->regs.resetting ||
	    !(dev->driver_features >> VIRTIO_F_RING_RESET & 1))
		return;
	if (!dev->live) {
		virtio_clear_queue(dev, vq);
		return;
	}
	vq->regs.resetting = true;
	virtio_post_work(dev);
}

int virtio_queue_doorbell(struct virtio_dev *dev, uint16_t index)
{
	struct alcor_vq *vq = virtio_vq(dev, index);

	return vq ? vq->doorbell : -1;
}
