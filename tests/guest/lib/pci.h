/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_LIB_PCI_H
#define GUEST_LIB_PCI_H

#include <stdbool.h>
#include <stdint.h>

enum {
	PCI_VENDOR = 0x00,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_CLASS = 0x08,
	PCI_HEADER = 0x0e,
	PCI_BAR0 = 0x10,
	PCI_CAPS = 0x34,
	PCI_CMD_MEM = 1 << 1,
	PCI_CMD_MASTER = 1 << 2,
	PCI_CAP_VENDOR = 0x09,
	PCI_CAP_MSIX = 0x11,
};

struct pci_bar {
	uint64_t addr, size;
	bool io, is64, prefetch;
};

struct pci_dev {
	uint8_t bus, slot, fn, msix;
	uint16_t vendor, device;
	struct pci_bar bar[6];
};

/* Where configuration space is memory-mapped (MCFG, bus 0); 0 without. */
uint64_t ecam_base(void);
uint32_t ecam_read(const struct pci_dev *d, uint32_t off, unsigned int size);
void ecam_write(const struct pci_dev *d, uint32_t off, unsigned int size, uint32_t v);
uint32_t cf8_read(const struct pci_dev *d, uint32_t off, unsigned int size);
void cf8_write(const struct pci_dev *d, uint32_t off, unsigned int size, uint32_t v);
/* ECAM where there is one. */
uint32_t pci_read(const struct pci_dev *d, uint32_t off, unsigned int size);
void pci_write(const struct pci_dev *d, uint32_t off, unsigned int size, uint32_t v);

/* The @nth function 0 of bus 0 with these ids, set up: BARs known and placed, decoding on. */
bool pci_find(uint16_t vendor, uint16_t device, unsigned int nth, struct pci_dev *ret);
/* The offset of the next capability @id behind @after (0: the first); 0 when there is none. */
uint8_t pci_cap(const struct pci_dev *d, uint8_t id, uint8_t after);
void pci_command(const struct pci_dev *d, uint16_t set, uint16_t clear);
void pci_bar_move(struct pci_dev *d, unsigned int bar, uint64_t addr);
/* A free 32-bit address for a BAR of that size. */
uint64_t pci_place(uint64_t size);

enum { MSIX_ENABLE = 1 << 15, MSIX_FUNCTION_MASK = 1 << 14 };

unsigned int msix_count(const struct pci_dev *d);
uint64_t msix_entry(const struct pci_dev *d, unsigned int i);
uint64_t msix_pba(const struct pci_dev *d);
/* Entry @i delivers @vector to this CPU, unmasked. */
void msix_set(const struct pci_dev *d, unsigned int i, uint8_t vector);
void msix_mask(const struct pci_dev *d, unsigned int i, bool masked);
bool msix_pending(const struct pci_dev *d, unsigned int i);
void msix_control(const struct pci_dev *d, uint16_t set, uint16_t clear);

#endif
