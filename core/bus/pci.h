/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI: one segment, configuration access by CF8/CFC and ECAM, functions with BARs that the guest
 * may move, capabilities, MSI-X. (PCI Local Bus 3.0, PCI Express Base 4.0 7.2.2.)
 */
#ifndef ALCOR_CORE_BUS_PCI_H
#define ALCOR_CORE_BUS_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "hv/hv.h"
#include "util/error.h"

#define PCI_N_BARS    6
#define PCI_MSIX_MAX  2048
#define PCI_NO_VECTOR 0xffff

#define PCI_BAR_64BIT	 (1u << 0)
#define PCI_BAR_PREFETCH (1u << 1)
#define PCI_BAR_IO	 (1u << 2)

/* Windows that addresses are given from. */
struct pci_window {
	uint64_t base, len;
};
struct pci_root_config {
	struct hv_vm *hv;	/* NULL in tests: no interrupts, no ioeventfds */
	struct bus *mmio, *pio; /* pio NULL: no ports, no CF8/CFC */
	uint64_t ecam_base;	/* 256 buses of 1 MiB; 0: none */
	struct pci_window io, mem32, mem32_prefetch, mem64;
};

struct pci_root;
struct pci_fn;

struct pci_bar_desc {
	uint64_t size; /* 0: absent; a power of two */
	uint32_t flags;
	const struct bus_ops *ops;
	void *opaque;
};

struct pci_fn_ops {
	/* [vcpu] Optional hook for configuration bytes of a capability with a @hooked body: called
	 * before a read is answered from, and after a write went into, the function's bytes. They
	 * run one at a time under the root's lock: pci_config() and pci_msix_*() are all they may
	 * call of these functions. */
	void (*config_read)(void *opaque, uint16_t offset, uint32_t size);
	void (*config_write)(void *opaque, uint16_t offset, uint32_t size);
	/* [any] MSI-X vector (un)masked or (dis)abled; optional. May call what the hooks may. */
	void (*vector_changed)(void *opaque, uint16_t vector);
};

struct pci_fn_desc {
	const char *owner;
	uint16_t vendor_id, device_id, subsystem_vendor_id, subsystem_id;
	uint8_t revision, class_base, class_sub, class_interface;
	uint8_t header_type; /* without the multi-function bit; 0 */
	uint16_t n_vectors;  /* 0: no MSI-X */
	uint8_t msix_bar;    /* BAR that starts with the table (its offsets up to pci_msix_bytes()
			      * are ours), created if its size is 0 */
	struct pci_bar_desc bars[PCI_N_BARS];
	const struct pci_fn_ops *ops; /* may be NULL */
	void *opaque;
};

/* Also sets the layout hooks of both buses to pci_sync(). */
int pci_root_new(const struct pci_root_config *config, struct pci_root **ret_root,
		 struct error *err);
void pci_root_free(struct pci_root *root); /* with the functions that are left; NULL is fine */

/* [main] Next free slot (function 0), or a fixed place: @bdf -1 or bus << 8 | slot << 3 | fn.
 * Functions other than 0 make function 0 multi-function. */
int pci_add(struct pci_root *root, int bdf, const struct pci_fn_desc *desc, struct pci_fn **ret_fn,
	    struct error *err);
void pci_remove(struct pci_fn *fn);

/* [main] Capability @id with @len bytes of body behind the two header bytes; @writable is a mask of
 * the body's bits that the guest may change (NULL: none). Returns the offset of the capability or
 * -ENOSPC. */
int pci_add_capability(struct pci_fn *fn, uint8_t id, const void *body, const void *writable,
		       uint32_t len, bool hooked);
/* The function's own copy of configuration space: little endian. */
uint8_t *pci_config(struct pci_fn *fn);
uint16_t pci_bdf(const struct pci_fn *fn);

/* [main] Addresses for all BARs, decoding on: called once when all functions exist, and at reset. */
int pci_assign(struct pci_root *root, struct error *err);
/* [main], vCPUs stopped: configuration space and MSI-X as after power-on. */
void pci_reset(struct pci_root *root);
/* Layout hook: applies what the guest wrote to BARs and command registers. */
void pci_sync(struct pci_root *root);

/* Bytes at the start of the MSI-X BAR that the table and the pending bits take (multiple of 4096). */
uint64_t pci_msix_bytes(uint16_t n_vectors);
/* [any] Interrupts, or marks pending while the vector or the function is masked. No vector, and
 * nothing happens, while MSI-X is disabled or @vector is out of range. */
void pci_msix_signal(struct pci_fn *fn, uint16_t vector);
/* The eventfd behind @vector, for kernel back ends; -1 out of range. Writes to it are interrupts
 * when unmasked, pending bits when not. Created on first use; owned by the function. */
int pci_msix_eventfd(struct pci_fn *fn, uint16_t vector);

/* [main] @fd is signalled by guest writes at @offset of BAR @bar wherever the BAR is; @len as for
 * hv_ioeventfd. The descriptor stays the caller's, until removed. */
int pci_add_ioeventfd(struct pci_fn *fn, unsigned bar, uint64_t offset, uint32_t len, int fd);
void pci_remove_ioeventfds(struct pci_fn *fn);

#endif
