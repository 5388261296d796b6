/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio over PCI, modern only (4.1). One 32-bit BAR has the MSI-X table and, behind it, all
 * structures; each queue has a notification address of its own.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>

#include "util/cleanup.h"
#include "util/overflow.h"
#include "virtio/virtio.h"

#define VPCI_VENDOR	0x1af4
#define VPCI_DEVICE	0x1040
#define VPCI_BAR	0
#define VPCI_CAP_VENDOR 0x09

/* Places in the BAR, from the end of the MSI-X part. */
#define VPCI_COMMON	0x0000
#define VPCI_ISR	0x0100
#define VPCI_CONFIG	0x0200
#define VPCI_NOTIFY	0x1000
#define VPCI_LEN	0x2000
#define VPCI_NOTIFY_MUL 4

#define VPCI_ISR_QUEUE	1
#define VPCI_ISR_CONFIG 2

/* 4.1.4.3 up to the last register that the offered features have. */
struct vpci_common {
	uint32_t device_feature_select, device_feature, driver_feature_select, driver_feature;
	uint16_t config_msix_vector, num_queues;
	uint8_t device_status, config_generation;
	uint16_t queue_select, queue_size, queue_msix_vector, queue_enable, queue_notify_off;
	uint32_t queue_area[3][2]; /* descriptor, driver, device; low, high */
	uint16_t queue_notif_config_data, queue_reset;
};
_Static_assert(sizeof(struct vpci_common) == 60, "layout of 4.1.4.3");

/* A capability behind its two header bytes (4.1.4). */
struct vpci_cap {
	uint8_t len, type, bar, id;
	uint8_t padding[2];
	uint8_t offset[4], length[4];
	uint8_t extra[4]; /* notify_off_multiplier, or pci_cfg_data */
};
#define VPCI_CAP_LEN 16 /* with the header and without extra */

struct virtio_pci {
	struct virtio_dev *dev;
	struct pci_fn *fn;
	uint64_t base, bar_len;
	uint16_t n_queues;
	int cfg_cap; /* offset of the PCI_CFG capability */

	pthread_mutex_t lock; /* serialises the registers */
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select;

	_Atomic uint8_t isr;
	_Atomic uint16_t config_vector;
	_Atomic uint16_t vectors[VIRTIO_MAX_QUEUES];
};

/* --- interrupts: [any], no lock --- */

/* Most often the bit is set already, as a driver with MSI-X does not read the register. */
static void raise_isr(struct virtio_pci *vpci, uint8_t bit)
{
	if (!(atomic_load_explicit(&vpci->isr, memory_order_relaxed) & bit))
		atomic_fetch_or(&vpci->isr, bit);
}

static void vpci_notify_queue(void *opaque, uint16_t index)
{
	struct virtio_pci *vpci = opaque;

	raise_isr(vpci, VPCI_ISR_QUEUE);
	pci_msix_signal(vpci->fn,
			atomic_load_explicit(&vpci->vectors[index], memory_order_relaxed));
}

static void vpci_notify_config(void *opaque)
{
	struct virtio_pci *vpci = opaque;

	raise_isr(vpci, VPCI_ISR_CONFIG);
	pci_msix_signal(vpci->fn, atomic_load_explicit(&vpci->config_vector, memory_order_relaxed));
}

static const struct virtio_transport_ops vpci_transport_ops = {
	.notify_queue = vpci_notify_queue,
	.notify_config = vpci_notify_config,
};

/* A vector that the function does not have reads back as "none" (4.1.5.1.2). */
static void set_vector(struct virtio_pci *vpci, _Atomic uint16_t *vector, uint16_t value)
{
	*vector = value <= vpci->n_queues ? value : VIRTIO_MSI_NO_VECTOR;
}

static void clear_registers(struct virtio_pci *vpci)
{
	vpci->device_feature_select = 0;
	vpci->driver_feature_select = 0;
	vpci->queue_select = 0;
	vpci->isr = 0;
	vpci->config_vector = VIRTIO_MSI_NO_VECTOR;
	for (uint16_t i = 0; i < vpci->n_queues; i++)
		vpci->vectors[i] = VIRTIO_MSI_NO_VECTOR;
}

/* --- common configuration (4.1.4.3) --- */

static uint32_t feature_word(uint64_t features, uint32_t word)
{
	return word < 2 ? (uint32_t)(features >> 32 * word) : 0;
}

static void fill_queue(struct virtio_pci *vpci, struct vpci_common *common)
{
	struct virtio_queue_regs regs;

	common->queue_msix_vector = VIRTIO_MSI_NO_VECTOR;
	if (virtio_queue_regs(vpci->dev, vpci->queue_select, &regs))
		return; /* of size 0: there is no such queue */
	common->queue_size = regs.size;
	common->queue_msix_vector = vpci->vectors[vpci->queue_select];
	common->queue_enable = regs.enabled;
	common->queue_reset = regs.resetting;
	common->queue_notify_off = vpci->queue_select;
	for (unsigned half = 0; half < 2; half++) {
		common->queue_area[0][half] = (uint32_t)(regs.desc >> 32 * half);
		common->queue_area[1][half] = (uint32_t)(regs.driver >> 32 * half);
		common->queue_area[2][half] = (uint32_t)(regs.device >> 32 * half);
	}
}

/* Bytes at any offset: reading these registers changes nothing. */
static void common_read(struct virtio_pci *vpci, uint64_t offset, uint32_t size, void *ret_data)
{
	struct vpci_common common = {
		.device_feature_select = vpci->device_feature_select,
		.device_feature = feature_word(virtio_offered_features(vpci->dev),
					       vpci->device_feature_select),
		.driver_feature_select = vpci->driver_feature_select,
		.driver_feature = feature_word(virtio_driver_features(vpci->dev),
					       vpci->driver_feature_select),
		.config_msix_vector = vpci->config_vector,
		.num_queues = vpci->n_queues,
		.device_status = virtio_status(vpci->dev),
		.config_generation = virtio_config_generation(vpci->dev),
		.queue_select = vpci->queue_select,
	};

	fill_queue(vpci, &common);
	if (offset < sizeof(common))
		memcpy(ret_data, (uint8_t *)&common + offset, MIN(size, sizeof(common) - offset));
}

static void write_status(struct virtio_pci *vpci, uint8_t status)
{
	if (!status)
		clear_registers(vpci);
	virtio_set_status(vpci->dev, status);
}

static void common_write_queue(struct virtio_pci *vpci, uint64_t offset, uint32_t size,
			       uint32_t value)
{
	const uint64_t areas = offsetof(struct vpci_common, queue_area);
	uint16_t queue = vpci->queue_select;
	uint64_t word = (offset - areas) / 4;

	if (offset >= areas && word < 6 && offset % 4 == 0 && size == 4)
		virtio_queue_set_area(vpci->dev, queue, word / 2, word % 2, value);
	else if (size != 2)
		return;
	else if (offset == offsetof(struct vpci_common, queue_size))
		virtio_queue_set_size(vpci->dev, queue, (uint16_t)value);
	else if (offset == offsetof(struct vpci_common, queue_msix_vector) &&
		 queue < vpci->n_queues)
		set_vector(vpci, &vpci->vectors[queue], (uint16_t)value);
	else if (offset == offsetof(struct vpci_common, queue_enable) && value == 1)
		virtio_queue_enable(vpci->dev, queue);
	else if (offset == offsetof(struct vpci_common, queue_reset) && value == 1)
		virtio_queue_reset(vpci->dev, queue);
}

/* A register and its only width (4.1.3.1): any other falls through. */
#define REG(field) \
	(offsetof(struct vpci_common, field) << 4 | sizeof(((struct vpci_common *)NULL)->field))

static void common_write(struct virtio_pci *vpci, uint64_t offset, uint32_t size, uint32_t value)
{
	switch (offset << 4 | size) {
	case REG(device_feature_select):
		vpci->device_feature_select = value;
		break;
	case REG(driver_feature_select):
		vpci->driver_feature_select = value;
		break;
	case REG(driver_feature):
		virtio_set_driver_features(vpci->dev, vpci->driver_feature_select, value);
		break;
	case REG(config_msix_vector):
		set_vector(vpci, &vpci->config_vector, (uint16_t)value);
		break;
	case REG(device_status):
		write_status(vpci, (uint8_t)value);
		break;
	case REG(queue_select):
		vpci->queue_select = (uint16_t)value;
		break;
	default:
		common_write_queue(vpci, offset, size, value);
	}
}

/* --- the BAR --- */

static bool in_notify(const struct virtio_pci *vpci, uint64_t offset)
{
	return offset - VPCI_NOTIFY < (uint64_t)vpci->n_queues * VPCI_NOTIFY_MUL;
}

/* What no structure covers reads as ones. */
static uint64_t vpci_read(void *opaque, uint64_t offset, uint32_t size)
{
	struct virtio_pci *vpci = opaque;
	uint64_t value = ~0ull;

	offset -= vpci->base;
	LOCK_SCOPE(&vpci->lock);
	if (offset < VPCI_ISR)
		common_read(vpci, offset, size, &value);
	else if (offset == VPCI_ISR)
		value = atomic_exchange(&vpci->isr, 0); /* 4.1.4.5: cleared by the read */
	else if (offset >= VPCI_CONFIG && offset < VPCI_NOTIFY)
		virtio_config_read(vpci->dev, (uint32_t)(offset - VPCI_CONFIG), &value, size);
	return value;
}

static int vpci_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
{
	struct virtio_pci *vpci = opaque;

	offset -= vpci->base;
	/* Only where the hypervisor does not catch the write itself. */
	if (in_notify(vpci, offset)) {
		if (offset % VPCI_NOTIFY_MUL == 0)
			virtio_vq_kick(virtio_vq(
				vpci->dev, (uint16_t)((offset - VPCI_NOTIFY) / VPCI_NOTIFY_MUL)));
		return 0;
	}
	LOCK_SCOPE(&vpci->lock);
	if (offset < VPCI_ISR)
		common_write(vpci, offset, size, (uint32_t)value);
	else if (offset >= VPCI_CONFIG && offset < VPCI_NOTIFY)
		virtio_config_write(vpci->dev, (uint32_t)(offset - VPCI_CONFIG), &value, size);
	return 0;
}

static const struct bus_ops vpci_bar_ops = {
	.read = vpci_read,
	.write = vpci_write,
};

/* --- access through configuration space (4.1.4.9) --- */

static uint32_t load32(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

/* The window's data register when [offset, offset + size) touches it, else NULL. */
static uint8_t *window_data(struct virtio_pci *vpci, uint16_t offset, uint32_t size)
{
	uint32_t at = (uint32_t)vpci->cfg_cap + VPCI_CAP_LEN;

	return offset + size > at && offset < at + 4 ? pci_config(vpci->fn) + at : NULL;
}

/* Whether the window is set up as 4.1.4.9.1 demands, and does not reach the MSI-X table. */
static bool window_open(struct virtio_pci *vpci, uint64_t *ret_offset, uint32_t *ret_length)
{
	const uint8_t *config = pci_config(vpci->fn);
	struct vpci_cap cap;
	uint32_t offset, length;

	memcpy(&cap, config + vpci->cfg_cap + 2, sizeof(cap));
	offset = load32(cap.offset);
	length = load32(cap.length);
	if (cap.bar != VPCI_BAR || (length != 1 && length != 2 && length != 4) || offset % length ||
	    offset < vpci->base || !range_within(offset, length, vpci->bar_len))
		return false;
	*ret_offset = offset;
	*ret_length = length;
	return true;
}

static void vpci_config_read(void *opaque, uint16_t offset, uint32_t size)
{
	struct virtio_pci *vpci = opaque;
	uint8_t *data = window_data(vpci, offset, size);
	uint64_t at, value = ~0ull;
	uint32_t length;

	if (!data)
		return;
	if (window_open(vpci, &at, &length))
		value = vpci_read(vpci, at, length);
	memcpy(data, &value, 4);
}

static void vpci_config_write(void *opaque, uint16_t offset, uint32_t size)
{
	struct virtio_pci *vpci = opaque;
	uint8_t *data = window_data(vpci, offset, size);
	uint32_t length;
	uint64_t at;

	if (data && window_open(vpci, &at, &length))
		vpci_write(vpci, at, length, load32(data) & (~0ull >> (64 - 8 * length)));
}

static const struct pci_fn_ops vpci_fn_ops = {
	.config_read = vpci_config_read,
	.config_write = vpci_config_write,
};

/* --- making --- */

static int add_cap(struct virtio_pci *vpci, uint8_t type, uint64_t offset, uint32_t length)
{
	static const struct vpci_cap all_window = {
		.bar = 0xff,
		.offset = { 0xff, 0xff, 0xff, 0xff },
		.length = { 0xff, 0xff, 0xff, 0xff },
		.extra = { 0xff, 0xff, 0xff, 0xff },
	};
	bool window = type == VIRTIO_PCI_CAP_PCI_CFG;
	bool extra = window || type == VIRTIO_PCI_CAP_NOTIFY_CFG;
	uint32_t place = (uint32_t)(window ? 0 : vpci->base + offset), multiplier = VPCI_NOTIFY_MUL;
	struct vpci_cap cap = { .type = type, .bar = VPCI_BAR };

	cap.len = extra ? VPCI_CAP_LEN + 4 : VPCI_CAP_LEN;
	memcpy(cap.offset, &place, 4);
	memcpy(cap.length, &length, 4);
	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		memcpy(cap.extra, &multiplier, 4);
	return pci_add_capability(vpci->fn, VPCI_CAP_VENDOR, &cap, window ? &all_window : NULL,
				  cap.len - 2u, window);
}

static int add_caps(struct virtio_pci *vpci)
{
	uint32_t config_size = virtio_desc(vpci->dev)->config_size;
	int res;

	res = add_cap(vpci, VIRTIO_PCI_CAP_COMMON_CFG, VPCI_COMMON, sizeof(struct vpci_common));
	if (res >= 0)
		res = add_cap(vpci, VIRTIO_PCI_CAP_NOTIFY_CFG, VPCI_NOTIFY,
			      vpci->n_queues * VPCI_NOTIFY_MUL);
	if (res >= 0)
		res = add_cap(vpci, VIRTIO_PCI_CAP_ISR_CFG, VPCI_ISR, 1);
	if (res >= 0 && config_size)
		res = add_cap(vpci, VIRTIO_PCI_CAP_DEVICE_CFG, VPCI_CONFIG, config_size);
	if (res >= 0)
		res = vpci->cfg_cap = add_cap(vpci, VIRTIO_PCI_CAP_PCI_CFG, 0, 0);
	return MIN(res, 0);
}

static int add_doorbells(struct virtio_pci *vpci)
{
	int res = 0;

	for (uint16_t i = 0; !res && i < vpci->n_queues; i++)
		res = pci_add_ioeventfd(vpci->fn, VPCI_BAR,
					vpci->base + VPCI_NOTIFY + i * VPCI_NOTIFY_MUL, 0,
					virtio_queue_doorbell(vpci->dev, i));
	return res;
}

static int add_function(struct virtio_pci *vpci, struct pci_root *root, int bdf, struct error *err)
{
	const struct alcor_virtio_desc *virtio = virtio_desc(vpci->dev);
	struct pci_fn_desc desc = {
		.owner = "virtio",
		.vendor_id = VPCI_VENDOR,
		.device_id = VPCI_DEVICE + virtio->device_id,
		.subsystem_vendor_id = VPCI_VENDOR,
		/* 0x40 and above keeps legacy drivers away (4.1.2.1). */
		.subsystem_id = VPCI_DEVICE + virtio->device_id,
		.revision = 1,
		.class_base = virtio->class_base,
		.class_sub = virtio->class_sub,
		.n_vectors = vpci->n_queues + 1,
		.msix_bar = VPCI_BAR,
		.ops = &vpci_fn_ops,
		.opaque = vpci,
	};

	vpci->base = pci_msix_bytes(desc.n_vectors);
	for (vpci->bar_len = 4096; vpci->bar_len < vpci->base + VPCI_LEN;)
		vpci->bar_len *= 2;
	desc.bars[VPCI_BAR] = (struct pci_bar_desc){ .size = vpci->bar_len,
						     .ops = &vpci_bar_ops,
						     .opaque = vpci };
	return pci_add(root, bdf, &desc, &vpci->fn, err);
}

int virtio_pci_new(struct pci_root *root, int bdf, struct virtio_dev *dev,
		   struct virtio_pci **ret_vpci, struct error *err)
{
	struct virtio_pci *vpci = calloc(1, sizeof(*vpci));
	int res;

	if (!vpci)
		return error_errno(err, -ENOMEM, "virtio-pci");
	pthread_mutex_init(&vpci->lock, NULL);
	vpci->dev = dev;
	vpci->n_queues = virtio_desc(dev)->n_queues;
	clear_registers(vpci);
	res = add_function(vpci, root, bdf, err);
	if (!res) {
		res = add_caps(vpci);
		if (!res)
			res = add_doorbells(vpci);
		if (res)
			error_errno(err, res, "virtio-pci");
	}
	if (res) {
		virtio_pci_free(vpci);
		return res;
	}
	virtio_set_transport(dev, &vpci_transport_ops, vpci);
	*ret_vpci = vpci;
	return 0;
}

void virtio_pci_free(struct virtio_pci *vpci)
{
	if (!vpci)
		return;
	virtio_set_transport(vpci->dev, NULL, NULL);
	if (vpci->fn) {
		pci_remove_ioeventfds(vpci->fn);
		pci_remove(vpci->fn);
	}
	pthread_mutex_destroy(&vpci->lock);
	free(vpci);
}

void virtio_pci_reset(struct virtio_pci *vpci)
{
	clear_registers(vpci);
	virtio_machine_reset(vpci->dev);
}
