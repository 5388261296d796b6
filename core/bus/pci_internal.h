/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the files of PCI. Locks, in the order they are taken:
 *   root->sync_lock	where BARs and ioeventfds are mapped; never inside a handler, for whoever
 *			holds it waits for handlers to end
 *   root->lock		configuration bytes, the list of functions
 *   msix->lock		MSI-X table, irqfds
 * The list of functions changes under both of the first two.
 */
#ifndef ALCOR_CORE_BUS_PCI_INTERNAL_H
#define ALCOR_CORE_BUS_PCI_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "bus/pci.h"
#include "util/log.h"

#define PCI_CONFIG_SIZE 4096
#define PCI_LEGACY_SIZE 256

/* Offsets in the header (PCI 3.0 6.1). */
#define PCI_VENDOR_ID	 0x00
#define PCI_COMMAND	 0x04
#define PCI_STATUS	 0x06
#define PCI_REVISION	 0x08
#define PCI_HEADER_TYPE	 0x0e
#define PCI_BAR0	 0x10
#define PCI_SUBSYSTEM	 0x2c
#define PCI_CAPABILITIES 0x34
#define PCI_FIRST_CAP	 0x40

#define PCI_COMMAND_IO	   (1u << 0)
#define PCI_COMMAND_MEM	   (1u << 1)
#define PCI_COMMAND_MASTER (1u << 2)
#define PCI_COMMAND_INTX   (1u << 10)
#define PCI_STATUS_CAPS	   (1u << 4)
#define PCI_MULTI_FUNCTION 0x80

#define PCI_CAP_MSIX 0x11

struct pci_bar {
	struct pci_bar_desc desc; /* as the function asked for, or made for MSI-X */
	struct pci_fn *fn;
	bool mapped;
	uint64_t addr; /* while mapped */
};

struct pci_ioeventfd {
	SLIST_ENTRY(pci_ioeventfd) link;
	unsigned bar;
	uint64_t offset;
	struct hv_ioeventfd hv; /* addr as registered */
	bool registered;
};

struct msix; /* msix.c */

struct pci_fn {
	struct pci_root *root;
	LIST_ENTRY(pci_fn) link;
	uint16_t bdf;
	const char *owner;
	const struct pci_fn_ops *ops;
	void *opaque;
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE]; /* bits a guest may change */
	uint8_t initial[PCI_CONFIG_SIZE];  /* what those bits are after power-on */
	bool hooked[PCI_LEGACY_SIZE];
	uint8_t last_cap; /* 0: none yet */
	uint16_t cap_end; /* first byte behind the capabilities */
	uint8_t msix_cap; /* 0: none */
	uint8_t msix_bar;
	uint16_t n_vectors;
	struct msix *msix;
	struct pci_bar bars[PCI_N_BARS];
	SLIST_HEAD(, pci_ioeventfd) ioeventfds;
};

struct pci_root {
	struct pci_root_config config;
	pthread_mutex_t sync_lock;
	pthread_mutex_t lock;
	LIST_HEAD(, pci_fn) fns; /* by address */
	uint32_t cf8;
	bool pio_added, ecam_added;
	struct log_limit log_limit, debug_limit;
};

/* --- pci_config.c: one function's bytes; the caller holds root->lock or is alone --- */
void pci_config_init(struct pci_fn *fn, const struct pci_fn_desc *desc);
uint64_t pci_config_read(struct pci_fn *fn, uint16_t offset, uint32_t size);
/* BUS_LAYOUT when BARs or decoding may have changed, else 0. */
int pci_config_write(struct pci_fn *fn, uint16_t offset, uint32_t size, uint64_t value);
/* Value now and after a reset. */
void pci_config_set(struct pci_fn *fn, uint16_t offset, const void *data, uint32_t len);
void pci_config_reset(struct pci_fn *fn);
uint32_t pci_config_get32(const struct pci_fn *fn, uint16_t offset);
uint16_t pci_config_get16(const struct pci_fn *fn, uint16_t offset);

/* --- pci_bar.c --- */
/* Checks and copies the descriptions. */
int pci_bar_init(struct pci_fn *fn, const struct pci_fn_desc *desc, struct error *err);
/* As pci_sync(), with root->sync_lock held. */
void pci_bar_sync(struct pci_root *root);
/* root->sync_lock held. */
void pci_bar_unmap_all(struct pci_fn *fn);

/* --- msix.c --- */
int msix_new(struct pci_fn *fn, uint16_t n_vectors, struct msix **ret_msix);
void msix_free(struct msix *msix); /* NULL is fine */
/* The control word (6.8.2.3) was written. */
void msix_control(struct msix *msix, uint16_t control);
/* Accesses below pci_msix_bytes() of the MSI-X BAR. */
uint64_t msix_read(struct msix *msix, uint64_t offset, uint32_t size);
void msix_write(struct msix *msix, uint64_t offset, uint32_t size, uint64_t value);
void msix_reset(struct msix *msix);

#endif
