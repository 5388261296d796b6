/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alcor.virtio/1: a virtio device. (Section numbers: Virtual I/O Device 1.3.)
 *
 * The host owns the transport, feature negotiation, the rings and all checks of what the driver
 * writes into them. The plugin sees requests as validated scatter lists and completes them; a
 * request handed out stays valid until it is pushed, or until queue_stop() returned.
 *
 * All callbacks are [dev]: one at a time on the device's loop thread, so that they need no lock.
 */
#ifndef ALCOR_VIRTIO_H
#define ALCOR_VIRTIO_H

#include <alcor/plugin.h>
#include <sys/uio.h>

#define ALCOR_VIRTIO_ID "alcor.virtio/1"

struct alcor_vq; /* one virtqueue, owned by the host */

/* One request (descriptor chain). The plugin may move out and in, change the counts and edit the
 * elements; they point into guest memory, which the guest may change at any time. */
struct alcor_vreq {
	struct alcor_vq *vq;
	void *priv;	   /* req_size bytes for the plugin, 16-byte aligned, not cleared */
	struct iovec *out; /* device-readable part, comes first in a chain */
	struct iovec *in;  /* device-writable part */
	uint32_t n_out, n_in;
	uint64_t out_len, in_len; /* sums as popped, bytes */
};

/* queue and queue_stop are mandatory. */
struct alcor_virtio_ops {
	uint32_t struct_size;
	uint32_t reserved;
	/* [dev] The driver set DRIVER_OK; @features is what both sides agreed on. An error makes
	 * the device ask for a reset (DEVICE_NEEDS_RESET). */
	int (*activate)(void *priv, uint64_t features);
	/* [dev] Queue @index has requests: pop until pop() returns 0. A plugin that stops earlier,
	 * for want of room, calls kick() when it can go on. */
	void (*queue)(void *priv, uint16_t index);
	/* [dev] Queue @index is being reset (device reset included, 2.6.1): finish or drop all its
	 * requests; none may be touched after the return. Pushing is allowed here. */
	void (*queue_stop)(void *priv, uint16_t index);
	/* [dev] The whole device was reset; queue_stop() ran for each active queue before. */
	void (*deactivate)(void *priv);
	/* [dev] The driver wrote @len bytes at @offset of the device configuration; the copy kept
	 * by the host has the new bytes only if this is non-NULL and returns 0. */
	int (*config_write)(void *priv, uint32_t offset, const void *data, uint32_t len);
};

struct alcor_virtio_desc {
	uint32_t struct_size;
	uint16_t device_id; /* section 5 */
	uint16_t n_queues;
	uint64_t features;   /* device-type bits offered; ring and transport bits are the host's */
	uint16_t queue_size; /* offered maximum, a power of two up to 1024; 0: 256 */
	uint16_t max_segments; /* buffers a request may have; a longer chain is completed unseen
				  * with length 0. At most 1024; 0: queue_size */
	uint32_t req_size;     /* private bytes of each request */
	uint32_t config_size;  /* bytes of device configuration, at most 256 */
	uint8_t class_base, class_sub; /* PCI class code */
	uint16_t reserved;
	const void *config; /* initial content, copied */
	const struct alcor_virtio_ops *ops;
};

struct alcor_virtio {
	uint32_t struct_size;
	/* [main] in realize(), once a device. @priv goes to the ops. */
	int (*add)(struct alcor_dev *dev, const struct alcor_virtio_desc *desc, void *priv);
	/* [dev] Queue by index, NULL when there is none. Same pointer for the device's life. */
	struct alcor_vq *(*vq)(struct alcor_dev *dev, uint16_t index);
	/* [dev] Takes up to @max requests; their number. 0: none left, the driver will notify. */
	uint32_t (*pop)(struct alcor_vq *vq, struct alcor_vreq **ret_reqs, uint32_t max);
	/* [dev] Completes @req with @written bytes stored in its device-writable part. The driver
	 * sees it after flush(). The request is gone when this returns. */
	void (*push)(struct alcor_vreq *req, uint32_t written);
	/* [dev] Publishes what was pushed, and interrupts the driver if it asked for that. */
	void (*flush)(struct alcor_vq *vq);
	/* [any] Have queue() called again soon. */
	void (*kick)(struct alcor_vq *vq);
	/* [any] Replaces bytes of the device configuration: new generation and a configuration
	 * change interrupt (4.1.4.3). -EINVAL where the range does not fit. */
	int (*config_update)(struct alcor_dev *dev, uint32_t offset, const void *data,
			     uint32_t len);
	/* [dev] The device cannot go on before it is reset (2.1.2). */
	void (*needs_reset)(struct alcor_dev *dev);
};

#endif
