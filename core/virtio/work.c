/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's side of a virtio device: it brings the plugin to where the driver's registers are. */
#include <errno.h>

#include "util/cleanup.h"
#include "virtio/device.h"

/* --- for the queue engine --- */

struct loop *virtio_dev_loop(struct virtio_dev *dev)
{
	return dev->loop;
}

void virtio_dev_serve(struct virtio_dev *dev, uint16_t index)
{
	dev->desc.ops->queue(dev->priv, index);
}

void virtio_dev_notify(struct virtio_dev *dev, uint16_t index)
{
	if (dev->transport)
		dev->transport->notify_queue(dev->transport_opaque, index);
}

void virtio_dev_log(struct virtio_dev *dev, uint16_t index, const char *what, const char *why)
{
	log_limited(&dev->log_limit, LOG_WARN, "%s: queue %u: %s: %s", dev->name, index, what, why);
}

/* 2.1.2: the notification is due only once the driver has set DRIVER_OK. */
void virtio_needs_reset(struct virtio_dev *dev)
{
	bool notify;

	pthread_mutex_lock(&dev->lock);
	notify = dev->live && !dev->resetting && !(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	if (notify)
		dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	pthread_mutex_unlock(&dev->lock);
	if (notify && dev->transport)
		dev->transport->notify_config(dev->transport_opaque);
}

/* --- steps --- */

/* With the lock held. */
static bool take_flag(bool *flag)
{
	bool taken = *flag;

	*flag = false;
	return taken;
}

static void stop_queue(struct virtio_dev *dev, struct alcor_vq *vq)
{
	if (!vq->active)
		return;
	vq->stopping = true;
	if (dev->active)
		dev->desc.ops->queue_stop(dev->priv, vq->index);
	vq_stop(vq);
}

static int start_queue(struct virtio_dev *dev, struct alcor_vq *vq, uint64_t features)
{
	int err = vq_start(vq, &dev->desc, features);

	if (!err)
		err = vq_watch(vq);
	if (err) {
		vq_stop(vq);
		log_limited(&dev->log_limit, LOG_ERROR, "%s: queue %u: %s", dev->name, vq->index,
			    strerror(-err));
		return err;
	}
	/* There may be buffers already, which the driver need not announce again. */
	virtio_vq_kick(vq);
	return 0;
}

/* All queues that the driver enabled and that do not run yet. */
static int start_queues(struct virtio_dev *dev)
{
	for (uint16_t i = 0; i < dev->desc.n_queues; i++) {
		struct alcor_vq *vq = &dev->vqs[i];
		uint64_t features;
		bool start;
		int err;

		pthread_mutex_lock(&dev->lock);
		start = take_flag(&vq->starting);
		features = dev->driver_features;
		pthread_mutex_unlock(&dev->lock);
		err = start ? start_queue(dev, vq, features) : 0;
		if (err)
			return err;
	}
	return 0;
}

static void activate(struct virtio_dev *dev)
{
	int err = start_queues(dev);

	if (!err && dev->desc.ops->activate)
		err = dev->desc.ops->activate(dev->priv, virtio_driver_features(dev));
	if (!err) {
		dev->active = true;
		return;
	}
	for (uint16_t i = 0; i < dev->desc.n_queues; i++)
		stop_queue(dev, &dev->vqs[i]);
	virtio_needs_reset(dev);
}

void virtio_reset_now(void *opaque)
{
	struct virtio_dev *dev = opaque;

	for (uint16_t i = 0; i < dev->desc.n_queues; i++)
		stop_queue(dev, &dev->vqs[i]);
	if (dev->active && dev->desc.ops->deactivate)
		dev->desc.ops->deactivate(dev->priv);
	dev->active = false;
	LOCK_SCOPE(&dev->lock);
	virtio_clear_registers(dev);
}

static void reset_queues(struct virtio_dev *dev)
{
	for (uint16_t i = 0; i < dev->desc.n_queues; i++) {
		struct alcor_vq *vq = &dev->vqs[i];
		bool reset;

		pthread_mutex_lock(&dev->lock);
		reset = vq->regs.resetting;
		pthread_mutex_unlock(&dev->lock);
		if (!reset)
			continue;
		stop_queue(dev, vq);
		LOCK_SCOPE(&dev->lock);
		virtio_clear_queue(dev, vq);
	}
}

static void write_config(struct virtio_dev *dev, const struct virtio_config_write *write)
{
	if (dev->desc.ops->config_write(dev->priv, write->offset, write->data, write->len))
		return;
	LOCK_SCOPE(&dev->lock);
	memcpy(dev->config + write->offset, write->data, write->len);
}

/* --- order --- */

enum step { STEP_NONE, STEP_RESET, STEP_CONFIG, STEP_ACTIVATE };

static enum step next_step(struct virtio_dev *dev, struct virtio_config_write *ret_write)
{
	struct virtio_config_write *write = &dev->writes[dev->first_write];

	LOCK_SCOPE(&dev->lock);
	if (dev->resetting)
		return STEP_RESET;
	if (dev->n_writes && !(write->live && dev->activating)) {
		*ret_write = *write;
		dev->first_write = (dev->first_write + 1) % VIRTIO_CONFIG_WRITES;
		dev->n_writes--;
		return STEP_CONFIG;
	}
	return take_flag(&dev->activating) ? STEP_ACTIVATE : STEP_NONE;
}

/* Does what is due in the driver's order. As many steps as can have waited, so that a driver that
 * goes on writing cannot keep the loop here; true when more may be due. */
static bool work_steps(struct virtio_dev *dev)
{
	struct virtio_config_write write;

	for (unsigned n = 0; n <= VIRTIO_CONFIG_WRITES; n++) {
		switch (next_step(dev, &write)) {
		case STEP_NONE:
			return false;
		case STEP_RESET:
			virtio_reset_now(dev);
			return true;
		case STEP_CONFIG:
			write_config(dev, &write);
			break;
		case STEP_ACTIVATE:
			activate(dev);
			break;
		}
	}
	return true;
}

static void work(void *opaque)
{
	struct virtio_dev *dev = opaque;

	pthread_mutex_lock(&dev->lock);
	dev->posted = false;
	pthread_mutex_unlock(&dev->lock);
	if (work_steps(dev)) {
		LOCK_SCOPE(&dev->lock);
		virtio_post_work(dev);
		return;
	}
	reset_queues(dev);
	if (dev->active && start_queues(dev))
		virtio_needs_reset(dev);
}

void virtio_post_work(struct virtio_dev *dev)
{
	if (!dev->posted)
		dev->posted = !loop_post(dev->loop, work, dev);
}

void virtio_machine_reset(struct virtio_dev *dev)
{
	loop_call(dev->loop, virtio_reset_now, dev);
}
