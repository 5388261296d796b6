/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device as the host holds it: feature negotiation, status, configuration and queues,
 * between a transport (virtio-pci) and the plugin's callbacks. (Virtio 1.3, chapters 2 and 3.)
 *
 * Threads: a transport calls from vCPU threads; the plugin's callbacks run on @loop. State changes
 * by the driver are posted to the loop in order, so that a vCPU never waits for a device: a reset
 * is seen by the driver when device_status reads 0 (4.1.4.3.2).
 */
#ifndef ALCOR_CORE_VIRTIO_VIRTIO_H
#define ALCOR_CORE_VIRTIO_VIRTIO_H

#include <alcor/virtio.h>

#include "bus/pci.h"
#include "mem/mem.h"
#include "util/error.h"
#include "util/loop.h"

#define VIRTIO_QUEUE_MAX  1024
#define VIRTIO_CONFIG_MAX 256
#define VIRTIO_MAX_QUEUES 256

struct virtio_dev;

struct virtio_env {
	const char *name; /* of the device, for messages and threads */
	struct mem *mem;
	struct loop *loop;
	bool packed; /* offer VIRTIO_F_RING_PACKED */
};

/* The transport's side, called from [any] thread. */
struct virtio_transport_ops {
	/* Interrupt for queue @index; device-level signals: configuration change. */
	void (*notify_queue)(void *opaque, uint16_t index);
	void (*notify_config)(void *opaque);
};

/* [main] Copies @desc. */
int virtio_new(const struct virtio_env *env, const struct alcor_virtio_desc *desc, void *priv,
	       struct virtio_dev **ret_dev, struct error *err);
/* The loop no longer runs. The plugin is not called: what it holds of the queues is gone, unless
 * virtio_machine_reset() came before. NULL is fine. */
void virtio_free(struct virtio_dev *dev);
void virtio_set_transport(struct virtio_dev *dev, const struct virtio_transport_ops *ops,
			  void *opaque);
const struct alcor_virtio_desc *virtio_desc(const struct virtio_dev *dev);

/* --- driver's side: [vcpu], serialised by the transport's lock --- */
uint64_t virtio_offered_features(const struct virtio_dev *dev);
uint64_t virtio_driver_features(struct virtio_dev *dev);
void virtio_set_driver_features(struct virtio_dev *dev, unsigned word, uint32_t value);
uint8_t virtio_status(struct virtio_dev *dev);
void virtio_set_status(struct virtio_dev *dev, uint8_t status);
uint8_t virtio_config_generation(struct virtio_dev *dev);
void virtio_config_read(struct virtio_dev *dev, uint32_t offset, void *ret_data, uint32_t len);
void virtio_config_write(struct virtio_dev *dev, uint32_t offset, const void *data, uint32_t len);

/* Queue registers (4.1.4.3). Writes that the state forbids are ignored. */
struct virtio_queue_regs {
	uint16_t size;
	bool enabled;
	bool resetting;
	uint64_t desc, driver, device; /* guest-physical addresses of the three areas */
};
int virtio_queue_regs(struct virtio_dev *dev, uint16_t index, struct virtio_queue_regs *ret_regs);
void virtio_queue_set_size(struct virtio_dev *dev, uint16_t index, uint16_t size);
void virtio_queue_set_area(struct virtio_dev *dev, uint16_t index, unsigned area, unsigned half,
			   uint32_t value);
void virtio_queue_enable(struct virtio_dev *dev, uint16_t index);
void virtio_queue_reset(struct virtio_dev *dev, uint16_t index);
/* Doorbell: an eventfd to write to; -1 for an absent queue. [any] */
int virtio_queue_doorbell(struct virtio_dev *dev, uint16_t index);

/* [main], vCPUs stopped: device back to its power-on state, waits until it is. */
void virtio_machine_reset(struct virtio_dev *dev);

/* --- plugin's side, see <alcor/virtio.h> --- */
struct alcor_vq *virtio_vq(struct virtio_dev *dev, uint16_t index);
uint32_t virtio_vq_pop(struct alcor_vq *vq, struct alcor_vreq **ret_reqs, uint32_t max);
void virtio_vq_push(struct alcor_vreq *req, uint32_t written);
void virtio_vq_flush(struct alcor_vq *vq);
void virtio_vq_kick(struct alcor_vq *vq);
int virtio_config_update(struct virtio_dev *dev, uint32_t offset, const void *data, uint32_t len);
void virtio_needs_reset(struct virtio_dev *dev);

/* --- virtio over PCI (4.1) --- */
struct virtio_pci;
int virtio_pci_new(struct pci_root *root, int bdf, struct virtio_dev *dev,
		   struct virtio_pci **ret_vpci, struct error *err);
void virtio_pci_free(struct virtio_pci *vpci); /* NULL is fine */
/* [main], vCPUs stopped: the transport's registers as after power-on; calls
 * virtio_machine_reset(). */
void virtio_pci_reset(struct virtio_pci *vpci);

#endif
