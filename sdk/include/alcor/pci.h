/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alcor.pci/1: a PCI function that is no virtio device. The host owns configuration space, address
 * assignment and the MSI-X table (PCI Local Bus 3.0, 6.1, 6.2.5, 6.8.2).
 */
#ifndef ALCOR_PCI_H
#define ALCOR_PCI_H

#include <alcor/io.h>

#define ALCOR_PCI_ID "alcor.pci/1"

#define ALCOR_PCI_BAR_64BIT    (1u << 0)
#define ALCOR_PCI_BAR_PREFETCH (1u << 1)
#define ALCOR_PCI_BAR_IO       (1u << 2)

struct alcor_pci_bar {
	uint64_t size; /* 0: no such BAR; else a power of two, at least 16 (memory) or 4 (I/O) */
	uint32_t flags;
	uint32_t reserved;
	const struct alcor_io_ops *ops;
};

struct alcor_pci_desc {
	uint32_t struct_size;
	uint16_t vendor_id, device_id;
	uint16_t subsystem_vendor_id, subsystem_id;
	uint8_t revision;
	uint8_t class_base, class_sub, class_interface;
	uint16_t n_vectors; /* MSI-X vectors, 0..2048; the table takes the first unused BAR */
	uint16_t reserved;
	struct alcor_pci_bar bars[6]; /* a 64-bit BAR leaves the next element empty */
};

struct alcor_pci_function;

struct alcor_pci {
	uint32_t struct_size;
	/* [main] in realize(). @opaque goes to the io_ops of the BARs. */
	int (*add)(struct alcor_dev *dev, const struct alcor_pci_desc *desc, void *opaque,
		   struct alcor_pci_function **ret_function);
	/* [any] Sends MSI-X vector @vector, or marks it pending while masked. */
	void (*signal)(struct alcor_pci_function *function, uint16_t vector);
};

#endif
