/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alcor.io/1: port and memory-mapped registers at fixed addresses, and interrupt lines.
 * Devices on PCI use <alcor/pci.h> instead.
 */
#ifndef ALCOR_IO_H
#define ALCOR_IO_H

#include <alcor/plugin.h>

#define ALCOR_IO_ID "alcor.io/1"

/* [vcpu] Register access: @size is 1, 2, 4 or 8, the access lies within the region, @offset need
 * not be a multiple of @size. Values are little-endian integers in host order. @opaque is what was
 * registered. Under SERIAL the host holds the device's lock. */
struct alcor_io_ops {
	uint32_t struct_size;
	uint32_t reserved;
	uint64_t (*read)(void *opaque, uint64_t offset, uint32_t size);
	void (*write)(void *opaque, uint64_t offset, uint32_t size, uint64_t value);
};

struct alcor_io {
	uint32_t struct_size;
	/* [main] in realize(): -EBUSY where the range overlaps another (the text names its owner).
	 * Port regions end at 0x10000. @ops has static lifetime. */
	int (*add_pio)(struct alcor_dev *dev, uint16_t port, uint32_t len,
		       const struct alcor_io_ops *ops, void *opaque);
	int (*add_mmio)(struct alcor_dev *dev, uint64_t gpa, uint64_t len,
			const struct alcor_io_ops *ops, void *opaque);
	/* [any] Level of the interrupt line @gsi (global system interrupt): 0 or 1. */
	void (*irq_line)(struct alcor_dev *dev, uint32_t gsi, int level);
};

#endif
