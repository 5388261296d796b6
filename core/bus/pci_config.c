/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration space of one function: type 0 header, capabilities, writable bits. */
#include <errno.h>
#include <string.h>

#include "bus/pci_internal.h"
#include "util/cleanup.h"
#include "util/overflow.h"

uint32_t pci_config_get32(const struct pci_fn *fn, uint16_t offset)
{
	uint32_t value;

	memcpy(&value, fn->config + offset, sizeof(value));
	return value;
}

uint16_t pci_config_get16(const struct pci_fn *fn, uint16_t offset)
{
	uint16_t value;

	memcpy(&value, fn->config + offset, sizeof(value));
	return value;
}

void pci_config_set(struct pci_fn *fn, uint16_t offset, const void *data, uint32_t len)
{
	memcpy(fn->config + offset, data, len);
	memcpy(fn->initial + offset, data, len);
}

static void set16(struct pci_fn *fn, uint16_t offset, uint16_t value)
{
	pci_config_set(fn, offset, &value, sizeof(value));
}

static void set_writable(struct pci_fn *fn, uint16_t offset, const void *mask, uint32_t len)
{
	memcpy(fn->writable + offset, mask, len);
}

void pci_config_init(struct pci_fn *fn, const struct pci_fn_desc *desc)
{
	const uint8_t class[4] = { desc->revision, desc->class_interface, desc->class_sub,
				   desc->class_base };
	const uint16_t command =
		PCI_COMMAND_IO | PCI_COMMAND_MEM | PCI_COMMAND_MASTER | PCI_COMMAND_INTX;

	set16(fn, PCI_VENDOR_ID, desc->vendor_id);
	set16(fn, PCI_VENDOR_ID + 2, desc->device_id);
	set16(fn, PCI_SUBSYSTEM, desc->subsystem_vendor_id);
	set16(fn, PCI_SUBSYSTEM + 2, desc->subsystem_id);
	pci_config_set(fn, PCI_REVISION, class, sizeof(class));
	pci_config_set(fn, PCI_HEADER_TYPE, &desc->header_type, 1);
	set_writable(fn, PCI_COMMAND, &command, sizeof(command));
	fn->cap_end = PCI_FIRST_CAP;
}

/* --- access --- */

static bool touches_hook(const struct pci_fn *fn, uint16_t offset, uint32_t size)
{
	uint32_t i;

	for (i = offset; i < offset + size && i < PCI_LEGACY_SIZE; i++)
		if (fn->hooked[i])
			return true;
	return false;
}

static bool overlaps(uint32_t offset, uint32_t size, uint32_t start, uint32_t len)
{
	return offset < start + len && start < offset + size;
}

uint64_t pci_config_read(struct pci_fn *fn, uint16_t offset, uint32_t size)
{
	uint64_t value = 0;

	if (!range_within(offset, size, PCI_CONFIG_SIZE))
		return UINT64_MAX;
	if (fn->ops && fn->ops->config_read && touches_hook(fn, offset, size))
		fn->ops->config_read(fn->opaque, offset, size);
	memcpy(&value, fn->config + offset, size);
	return value;
}

int pci_config_write(struct pci_fn *fn, uint16_t offset, uint32_t size, uint64_t value)
{
	uint32_t i;

	if (!range_within(offset, size, PCI_CONFIG_SIZE))
		return 0;
	for (i = 0; i < size; i++) {
		uint8_t *byte = &fn->config[offset + i], mask = fn->writable[offset + i];

		*byte = (uint8_t)((*byte & ~mask) | ((value >> (8 * i)) & mask));
	}
	if (fn->ops && fn->ops->config_write && touches_hook(fn, offset, size))
		fn->ops->config_write(fn->opaque, offset, size);
	if (fn->msix_cap && overlaps(offset, size, fn->msix_cap + 2, 2))
		msix_control(fn->msix, pci_config_get16(fn, fn->msix_cap + 2));
	if (overlaps(offset, size, PCI_COMMAND, 2) ||
	    overlaps(offset, size, PCI_BAR0, 4 * PCI_N_BARS))
		return BUS_LAYOUT;
	return 0;
}

void pci_config_reset(struct pci_fn *fn)
{
	unsigned i;

	for (i = 0; i < PCI_CONFIG_SIZE; i++)
		fn->config[i] = (uint8_t)((fn->config[i] & ~fn->writable[i]) |
					  (fn->initial[i] & fn->writable[i]));
}

uint8_t *pci_config(struct pci_fn *fn)
{
	return fn->config;
}

/* --- capabilities (6.7) --- */

int pci_add_capability(struct pci_fn *fn, uint8_t id, const void *body, const void *writable,
		       uint32_t len, bool hooked)
{
	const uint8_t header[2] = { id, 0 };
	uint8_t offset = (uint8_t)fn->cap_end;

	LOCK_SCOPE(&fn->root->lock);
	if (fn->cap_end >= PCI_LEGACY_SIZE ||
	    !range_within(fn->cap_end + sizeof(header), len, PCI_LEGACY_SIZE))
		return -ENOSPC;
	pci_config_set(fn, offset, header, sizeof(header));
	pci_config_set(fn, offset + sizeof(header), body, len);
	if (writable)
		set_writable(fn, offset + sizeof(header), writable, len);
	memset(fn->hooked + offset + sizeof(header), hooked, len);
	/* The end of the list points to the newcomer. */
	pci_config_set(fn, fn->last_cap ? fn->last_cap + 1 : PCI_CAPABILITIES, &offset, 1);
	set16(fn, PCI_STATUS, pci_config_get16(fn, PCI_STATUS) | PCI_STATUS_CAPS);
	fn->last_cap = offset;
	fn->cap_end = (uint16_t)align_up(offset + sizeof(header) + len, 4);
	return offset;
}
