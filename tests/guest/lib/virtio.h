/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_LIB_VIRTIO_H
#define GUEST_LIB_VIRTIO_H

#include "pci.h"

/* Offsets in the common configuration structure (virtio 1.2, 4.1.4.3). */
enum {
	VC_DEVICE_FEATURE_SELECT = 0,
	VC_DEVICE_FEATURE = 4,
	VC_DRIVER_FEATURE_SELECT = 8,
	VC_DRIVER_FEATURE = 12,
	VC_MSIX_CONFIG = 16,
	VC_NUM_QUEUES = 18,
	VC_STATUS = 20,
	VC_GENERATION = 21,
	VC_QUEUE_SELECT = 22,
	VC_QUEUE_SIZE = 24,
	VC_QUEUE_MSIX = 26,
	VC_QUEUE_ENABLE = 28,
	VC_QUEUE_NOTIFY_OFF = 30,
	VC_QUEUE_DESC = 32,
	VC_QUEUE_DRIVER = 40,
	VC_QUEUE_DEVICE = 48,
	VC_QUEUE_NOTIFY_DATA = 56,
	VC_QUEUE_RESET = 58,
	VC_SIZE = 60,
};

enum {
	STATUS_ACKNOWLEDGE = 1,
	STATUS_DRIVER = 2,
	STATUS_DRIVER_OK = 4,
	STATUS_FEATURES_OK = 8,
	STATUS_NEEDS_RESET = 64,
	STATUS_FAILED = 128,
	STATUS_READY = 15,
};

#define F_INDIRECT   (1ull << 28)
#define F_EVENT_IDX  (1ull << 29)
#define F_VERSION_1  (1ull << 32)
#define F_PACKED     (1ull << 34)
#define F_RING_RESET (1ull << 40)

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4, DESC_AVAIL = 1 << 7, DESC_USED = 1 << 15 };
enum { NO_VECTOR = 0xffff };

struct virtio_dev {
	struct pci_dev pci;
	uint64_t common, notify, isr, config;
	uint32_t notify_multiplier, notify_len, config_len;
	uint8_t bar; /* of the common configuration */
	uint8_t cfg_cap;
	uint64_t offered, features;
};

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next; /* packed: id, flags */
};

/* A ring that tests may also write to by hand: everything is plain memory at known addresses. */
struct vq {
	struct virtio_dev *dev;
	uint16_t index, size, vector;
	bool packed, event_idx;
	uint64_t desc, driver, device, notify;
	struct desc *tables; /* for indirect descriptors */
	uint16_t *lengths;   /* descriptors of the chain with that id */
	uint16_t next, last_used, avail, kicked, table_next;
	bool wrap, used_wrap;
	uint32_t kicks;
};

enum { VQ_AREA = 0x40000, VQ_TABLES = 8192 };

struct sg {
	uint64_t addr;
	uint32_t len;
	bool write; /* by the device */
};

/* The @nth device of that virtio id, as pci_find() leaves it. */
bool virtio_find(uint16_t id, unsigned int nth, struct virtio_dev *ret);
/* Computes the register addresses again after a BAR has moved. */
bool virtio_map(struct virtio_dev *d);
/* False when the status does not become 0. */
bool virtio_reset(struct virtio_dev *d);
uint8_t virtio_status(const struct virtio_dev *d);
void virtio_set_status(const struct virtio_dev *d, uint8_t bits);
void virtio_write_features(const struct virtio_dev *d, uint64_t features);
/* Reset to FEATURES_OK with VERSION_1 and what is offered of @want. */
bool virtio_negotiate(struct virtio_dev *d, uint64_t want);
void virtio_driver_ok(const struct virtio_dev *d);
void virtio_select(const struct virtio_dev *d, uint16_t queue);
void virtio_write_addr(const struct virtio_dev *d, uint32_t reg, uint64_t addr);

/* Ring memory at @area (VQ_AREA bytes, cleared); @size 0 is the device's maximum. */
bool vq_setup(struct vq *q, struct virtio_dev *d, uint16_t index, uint16_t size, uint64_t area);
/* The registers only: what vq_setup() does after the memory. */
void vq_program(struct vq *q);
/* The id of the chain, or -1. */
int vq_add(struct vq *q, const struct sg *sg, unsigned int n, bool indirect);
void vq_notify(struct vq *q);
/* Notifies when the device asked for it. */
void vq_kick(struct vq *q);
bool vq_used(struct vq *q, uint32_t *ret_id, uint32_t *ret_len);
bool vq_wait(struct vq *q, uint32_t ms, uint32_t *ret_id, uint32_t *ret_len);

/* Makes @n descriptors, already written to @d (flags without AVAIL/USED), available raw. */
void vq_post_split(struct vq *q, uint16_t head);
void vq_post_packed(struct vq *q, const struct desc *d, unsigned int n, uint16_t id);

#endif
