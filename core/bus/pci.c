/* SPDX-License-Identifier: Apache-2.0 */
/* The root: which functions there are, and the two ways to their configuration space. */
#include "bus/pci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/pci_internal.h"
#include "util/cleanup.h"
#include "util/overflow.h"

#define CF8_PORT      0xcf8
#define CF8_ENABLE    (1u << 31)
#define CF8_MASK      0x80fffffcu /* the other bits read 0 (3.2.2.3.2) */
#define CFC_OFFSET    4
#define ECAM_BUS_SIZE (1ull << 20)
#define ECAM_SIZE     (256 * ECAM_BUS_SIZE)
#define SLOTS	      32

/* --- configuration access --- */

static struct pci_fn *find_fn(struct pci_root *root, uint16_t bdf)
{
	struct pci_fn *fn;

	LIST_FOREACH(fn, &root->fns, link)
		if (fn->bdf == bdf)
			return fn;
	return NULL;
}

static uint64_t root_read(struct pci_root *root, uint16_t bdf, uint16_t offset, uint32_t size)
{
	struct pci_fn *fn = find_fn(root, bdf);

	return fn ? pci_config_read(fn, offset, size) : UINT64_MAX;
}

static int root_write(struct pci_root *root, uint16_t bdf, uint16_t offset, uint32_t size,
		      uint64_t value)
{
	struct pci_fn *fn = find_fn(root, bdf);

	return fn ? pci_config_write(fn, offset, size, value) : 0;
}

static uint16_t cf8_offset(const struct pci_root *root, uint64_t offset)
{
	return (uint16_t)((root->cf8 & 0xfc) + (offset - CFC_OFFSET));
}

static uint64_t ports_read(void *opaque, uint64_t offset, uint32_t size)
{
	struct pci_root *root = opaque;

	LOCK_SCOPE(&root->lock);
	if (offset == 0 && size == 4)
		return root->cf8;
	if (offset < CFC_OFFSET || !(root->cf8 & CF8_ENABLE))
		return UINT64_MAX;
	return root_read(root, (uint16_t)(root->cf8 >> 8), cf8_offset(root, offset), size);
}

static int ports_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
{
	struct pci_root *root = opaque;

	LOCK_SCOPE(&root->lock);
	if (offset == 0 && size == 4)
		root->cf8 = (uint32_t)value & CF8_MASK;
	if (offset < CFC_OFFSET || !(root->cf8 & CF8_ENABLE))
		return 0;
	return root_write(root, (uint16_t)(root->cf8 >> 8), cf8_offset(root, offset), size, value);
}

static uint64_t ecam_read(void *opaque, uint64_t offset, uint32_t size)
{
	struct pci_root *root = opaque;

	LOCK_SCOPE(&root->lock);
	return root_read(root, (uint16_t)(offset >> 12), offset & 0xfff, size);
}

static int ecam_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
{
	struct pci_root *root = opaque;

	LOCK_SCOPE(&root->lock);
	return root_write(root, (uint16_t)(offset >> 12), offset & 0xfff, size, value);
}

static const struct bus_ops ports_ops = { ports_read, ports_write };
static const struct bus_ops ecam_ops = { ecam_read, ecam_write };

/* --- the root --- */

static void sync_hook(void *opaque)
{
	pci_sync(opaque);
}

static int add_access(struct pci_root *root, struct error *err)
{
	const struct pci_root_config *config = &root->config;
	const struct bus_region ports = { CF8_PORT, 8, &ports_ops, root, "PCI configuration" };
	const struct bus_region ecam = { config->ecam_base, ECAM_SIZE, &ecam_ops, root,
					 "PCI configuration" };
	int res;

	if (config->pio) {
		res = bus_add(config->pio, &ports, err);
		if (res)
			return res;
		root->pio_added = true;
		bus_set_layout_hook(config->pio, sync_hook, root);
	}
	if (config->ecam_base) {
		res = bus_add(config->mmio, &ecam, err);
		if (res)
			return res;
		root->ecam_added = true;
	}
	bus_set_layout_hook(config->mmio, sync_hook, root);
	return 0;
}

int pci_root_new(const struct pci_root_config *config, struct pci_root **ret_root,
		 struct error *err)
{
	struct pci_root *root = calloc(1, sizeof(*root));
	int res;

	if (!root)
		return error_errno(err, -ENOMEM, "PCI");
	root->config = *config;
	pthread_mutex_init(&root->sync_lock, NULL);
	pthread_mutex_init(&root->lock, NULL);
	LIST_INIT(&root->fns);
	res = add_access(root, err);
	if (res) {
		pci_root_free(root);
		return res;
	}
	*ret_root = root;
	return 0;
}

void pci_root_free(struct pci_root *root)
{
	if (!root)
		return;
	while (!LIST_EMPTY(&root->fns))
		pci_remove(LIST_FIRST(&root->fns));
	if (root->pio_added)
		bus_remove(root->config.pio, CF8_PORT);
	if (root->ecam_added)
		bus_remove(root->config.mmio, root->config.ecam_base);
	if (root->config.pio)
		bus_set_layout_hook(root->config.pio, NULL, NULL);
	bus_set_layout_hook(root->config.mmio, NULL, NULL);
	pthread_mutex_destroy(&root->lock);
	pthread_mutex_destroy(&root->sync_lock);
	free(root);
}

void pci_reset(struct pci_root *root)
{
	struct pci_fn *fn;

	LOCK_SCOPE(&root->sync_lock);
	pthread_mutex_lock(&root->lock);
	root->cf8 = 0;
	LIST_FOREACH(fn, &root->fns, link) {
		pci_config_reset(fn);
		if (fn->msix)
			msix_reset(fn->msix);
	}
	pthread_mutex_unlock(&root->lock);
	pci_bar_sync(root);
}

/* --- functions --- */

uint16_t pci_bdf(const struct pci_fn *fn)
{
	return fn->bdf;
}

/* Function 0 says whether others are worth looking for (6.2.1). root->lock is held. */
static void update_multi_function(struct pci_root *root, uint16_t slot)
{
	struct pci_fn *fn, *first = find_fn(root, (uint16_t)(slot << 3));
	bool multi = false;

	LIST_FOREACH(fn, &root->fns, link)
		multi |= fn->bdf >> 3 == slot && fn != first;
	if (!first)
		return;
	first->config[PCI_HEADER_TYPE] &= (uint8_t)~PCI_MULTI_FUNCTION;
	if (multi)
		first->config[PCI_HEADER_TYPE] |= PCI_MULTI_FUNCTION;
}

static int find_place(struct pci_root *root, int bdf, const char *owner, uint16_t *ret_bdf,
		      struct error *err)
{
	uint32_t taken = 0;
	struct pci_fn *fn;

	if (bdf > UINT16_MAX)
		return error_set(err, -EINVAL, "%s: no such PCI address", owner);
	if (bdf >= 0) {
		fn = find_fn(root, (uint16_t)bdf);
		if (fn)
			return error_set(err, -EBUSY, "%s: PCI address %02x:%02x.%x is taken by %s",
					 owner, bdf >> 8, bdf >> 3 & 0x1f, bdf & 7, fn->owner);
		*ret_bdf = (uint16_t)bdf;
		return 0;
	}
	LIST_FOREACH(fn, &root->fns, link)
		if (fn->bdf >> 8 == 0)
			taken |= 1u << (fn->bdf >> 3);
	if (taken == UINT32_MAX)
		return error_set(err, -ENOSPC, "%s: all %d slots of the PCI bus are taken", owner,
				 SLOTS);
	*ret_bdf = (uint16_t)(__builtin_ctz(~taken) << 3);
	return 0;
}

static int add_msix(struct pci_fn *fn, const struct pci_fn_desc *desc, struct error *err)
{
	static const uint8_t writable[10] = { 0, 0xc0 }; /* enable, function mask */
	uint32_t pending = desc->n_vectors * 16u | desc->msix_bar;
	uint16_t control = desc->n_vectors - 1;
	uint8_t body[10] = { 0 };
	int res;

	memcpy(body, &control, 2);
	body[2] = desc->msix_bar;
	memcpy(body + 6, &pending, 4);
	res = msix_new(fn, desc->n_vectors, &fn->msix);
	if (!res)
		res = pci_add_capability(fn, PCI_CAP_MSIX, body, writable, sizeof(body), false);
	if (res < 0)
		return error_errno(err, res, "%s: MSI-X", desc->owner);
	fn->msix_cap = (uint8_t)res;
	return 0;
}

static int init_fn(struct pci_fn *fn, const struct pci_fn_desc *desc, struct error *err)
{
	int res;

	if (desc->n_vectors > PCI_MSIX_MAX || desc->msix_bar >= PCI_N_BARS)
		return error_set(err, -EINVAL, "%s: MSI-X has at most %d vectors, in BAR 0 to 5",
				 desc->owner, PCI_MSIX_MAX);
	fn->owner = desc->owner;
	fn->ops = desc->ops;
	fn->opaque = desc->opaque;
	fn->n_vectors = desc->n_vectors;
	fn->msix_bar = desc->msix_bar;
	SLIST_INIT(&fn->ioeventfds);
	pci_config_init(fn, desc);
	res = pci_bar_init(fn, desc, err);
	if (!res && desc->n_vectors)
		res = add_msix(fn, desc, err);
	return res;
}

static void insert_sorted(struct pci_root *root, struct pci_fn *fn)
{
	struct pci_fn *other, *last = NULL;

	LIST_FOREACH(other, &root->fns, link)
		if (other->bdf < fn->bdf)
			last = other;
	if (last)
		LIST_INSERT_AFTER(last, fn, link);
	else
		LIST_INSERT_HEAD(&root->fns, fn, link);
}

int pci_add(struct pci_root *root, int bdf, const struct pci_fn_desc *desc, struct pci_fn **ret_fn,
	    struct error *err)
{
	struct pci_fn *fn = calloc(1, sizeof(*fn));
	int res;

	if (!fn)
		return error_errno(err, -ENOMEM, "%s", desc->owner);
	fn->root = root;
	res = init_fn(fn, desc, err);
	if (!res) {
		LOCK_SCOPE(&root->sync_lock);
		LOCK_SCOPE(&root->lock);
		res = find_place(root, bdf, desc->owner, &fn->bdf, err);
		if (!res) {
			insert_sorted(root, fn);
			update_multi_function(root, fn->bdf >> 3);
		}
	}
	if (res) {
		msix_free(fn->msix);
		free(fn);
		return res;
	}
	*ret_fn = fn;
	return 0;
}

void pci_remove(struct pci_fn *fn)
{
	struct pci_root *root = fn->root;

	pthread_mutex_lock(&root->sync_lock);
	pci_bar_unmap_all(fn);
	pthread_mutex_lock(&root->lock);
	LIST_REMOVE(fn, link);
	update_multi_function(root, fn->bdf >> 3);
	pthread_mutex_unlock(&root->lock);
	pthread_mutex_unlock(&root->sync_lock);

	pci_remove_ioeventfds(fn);
	msix_free(fn->msix);
	free(fn);
}
