/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device: the driver's registers (device.c) and what the loop makes of them (work.c).
 *
 * The lock covers registers and configuration. What the driver asks of the device is noted under
 * the lock and worked off by one call posted to the loop, so that nothing the driver repeats grows.
 */
#ifndef ALCOR_CORE_VIRTIO_DEVICE_H
#define ALCOR_CORE_VIRTIO_DEVICE_H

#include <linux/virtio_config.h>
#include <pthread.h>

#include "util/log.h"
#include "virtio/vq.h"

#define VIRTIO_CONFIG_WRITES 64 /* that may wait for the plugin */

struct virtio_config_write {
	uint16_t offset, len;
	bool live; /* written after DRIVER_OK */
	uint8_t data[8];
};

struct virtio_dev {
	char *name;
	struct mem *mem;
	struct loop *loop;
	void *priv;
	struct alcor_virtio_desc desc; /* defaults filled in; config not used */
	const struct virtio_transport_ops *transport;
	void *transport_opaque;
	uint64_t offered;
	struct log_limit log_limit;

	pthread_mutex_t lock;
	uint64_t driver_features;
	uint8_t status;
	uint8_t generation;
	bool live;	 /* from DRIVER_OK to the end of the reset */
	bool activating; /* DRIVER_OK waits for the loop */
	bool resetting;	 /* the driver waits for the reset */
	bool posted;	 /* virtio_work() waits on the loop */
	uint8_t config[VIRTIO_CONFIG_MAX];
	struct virtio_config_write writes[VIRTIO_CONFIG_WRITES]; /* ring buffer */
	unsigned first_write, n_writes;

	bool active; /* the loop's: activate() succeeded */
	struct alcor_vq *vqs;
};

/* With the lock held. */
void virtio_post_work(struct virtio_dev *dev);
void virtio_clear_registers(struct virtio_dev *dev);
void virtio_clear_queue(struct virtio_dev *dev, struct alcor_vq *vq);

/* [loop] Ends everything that the driver began. */
void virtio_reset_now(void *opaque);

#endif
