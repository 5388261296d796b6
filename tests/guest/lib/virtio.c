/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio.h"
#include "cpu.h"

enum { CAP_COMMON = 1, CAP_NOTIFY, CAP_ISR, CAP_DEVICE, CAP_PCI_CFG };

static void map_cap(struct virtio_dev *d, uint8_t cap)
{
	const struct pci_dev *p = &d->pci;
	uint8_t bar = pci_read(p, cap + 4, 1);
	uint32_t len = pci_read(p, cap + 12, 4);
	uint64_t addr = bar < 6 ? p->bar[bar].addr + pci_read(p, cap + 8, 4) : 0;

	switch (pci_read(p, cap + 3, 1)) {
	case CAP_COMMON:
		d->common = addr;
		d->bar = bar;
		break;
	case CAP_NOTIFY:
		d->notify = addr;
		d->notify_len = len;
		d->notify_multiplier = pci_read(p, cap + 16, 4);
		break;
	case CAP_ISR:
		d->isr = addr;
		break;
	case CAP_DEVICE:
		d->config = addr;
		d->config_len = len;
		break;
	case CAP_PCI_CFG:
		d->cfg_cap = cap;
		break;
	}
}

bool virtio_map(struct virtio_dev *d)
{
	uint8_t cap = 0;

	while ((cap = pci_cap(&d->pci, PCI_CAP_VENDOR, cap)))
		map_cap(d, cap);
	return d->common && d->notify && d->isr && d->config && d->cfg_cap;
}

bool virtio_find(uint16_t id, unsigned int nth, struct virtio_dev *ret)
{
	struct virtio_dev d = { 0 };

	if (!pci_find(0x1af4, 0x1040 + id, nth, &d.pci) || !virtio_map(&d))
		return false;
	*ret = d;
	return true;
}

uint8_t virtio_status(const struct virtio_dev *d)
{
	return mmio_read8(d->common + VC_STATUS);
}

void virtio_set_status(const struct virtio_dev *d, uint8_t bits)
{
	mmio_write8(d->common + VC_STATUS, bits);
}

bool virtio_reset(struct virtio_dev *d)
{
	virtio_set_status(d, 0);
	for (uint64_t end = deadline_ms(2000); virtio_status(d);)
		if (passed(end))
			return false;
	return true;
}

void virtio_write_features(const struct virtio_dev *d, uint64_t features)
{
	for (uint32_t i = 0; i < 2; i++) {
		mmio_write32(d->common + VC_DRIVER_FEATURE_SELECT, i);
		mmio_write32(d->common + VC_DRIVER_FEATURE, features >> i * 32);
	}
}

bool virtio_negotiate(struct virtio_dev *d, uint64_t want)
{
	if (!virtio_reset(d))
		return false;
	virtio_set_status(d, STATUS_ACKNOWLEDGE);
	virtio_set_status(d, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	d->offered = 0;
	for (uint32_t i = 0; i < 2; i++) {
		mmio_write32(d->common + VC_DEVICE_FEATURE_SELECT, i);
		d->offered |= (uint64_t)mmio_read32(d->common + VC_DEVICE_FEATURE) << i * 32;
	}
	d->features = d->offered & (want | F_VERSION_1);
	virtio_write_features(d, d->features);
	virtio_set_status(d, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	return virtio_status(d) & STATUS_FEATURES_OK;
}

void virtio_driver_ok(const struct virtio_dev *d)
{
	virtio_set_status(d, STATUS_READY);
}

void virtio_select(const struct virtio_dev *d, uint16_t queue)
{
	mmio_write16(d->common + VC_QUEUE_SELECT, queue);
}

void virtio_write_addr(const struct virtio_dev *d, uint32_t reg, uint64_t addr)
{
	mmio_write32(d->common + reg, addr);
	mmio_write32(d->common + reg + 4, addr >> 32);
}
