/* SPDX-License-Identifier: Apache-2.0 */
/* Base address registers (PCI 3.0 6.2.5): what they ask for, where they are, and moving them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bus/pci_internal.h"
#include "util/cleanup.h"
#include "util/overflow.h"

#define BAR_MEM_64BIT	 (2u << 1)
#define BAR_MEM_PREFETCH (1u << 3)
#define BAR_IO		 (1u << 0)
#define BAR_MIN_IO	 4
#define BAR_MIN_MEM	 16
#define IO_LIMIT	 0x10000ull

/* --- the BAR that starts with the MSI-X table --- */

static uint64_t msix_bar_read(void *opaque, uint64_t offset, uint32_t size)
{
	const struct pci_bar *bar = opaque;

	if (offset < pci_msix_bytes(bar->fn->n_vectors))
		return msix_read(bar->fn->msix, offset, size);
	return bar->desc.ops ? bar->desc.ops->read(bar->desc.opaque, offset, size) : UINT64_MAX;
}

static int msix_bar_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
{
	const struct pci_bar *bar = opaque;

	if (offset < pci_msix_bytes(bar->fn->n_vectors)) {
		msix_write(bar->fn->msix, offset, size, value);
		return 0;
	}
	return bar->desc.ops ? bar->desc.ops->write(bar->desc.opaque, offset, size, value) : 0;
}

static const struct bus_ops msix_bar_ops = { msix_bar_read, msix_bar_write };

/* --- descriptions --- */

static uint64_t round_up_pow2(uint64_t size)
{
	return size <= 1 ? size : 1ull << (64 - __builtin_clzll(size - 1));
}

static const char *desc_fault(const struct pci_bar_desc *bar, const struct pci_bar_desc *next)
{
	bool io = bar->flags & PCI_BAR_IO, wide = bar->flags & PCI_BAR_64BIT;

	if (!is_pow2(bar->size))
		return "size is no power of two";
	if (bar->size < (io ? BAR_MIN_IO : BAR_MIN_MEM))
		return "too small";
	if (bar->size >= (io ? IO_LIMIT : wide ? 1ull << 63 : 1ull << 32))
		return "too large";
	if (io && (wide || bar->flags & PCI_BAR_PREFETCH))
		return "I/O BARs are neither 64-bit nor prefetchable";
	if (wide && (!next || next->size))
		return "no room for the upper half";
	return NULL;
}

static void set_register(struct pci_fn *fn, unsigned index, uint64_t addr)
{
	const struct pci_bar_desc *bar = &fn->bars[index].desc;
	uint32_t type = 0;
	uint64_t value;

	if (bar->flags & PCI_BAR_IO)
		type = BAR_IO;
	if (bar->flags & PCI_BAR_64BIT)
		type |= BAR_MEM_64BIT;
	if (bar->flags & PCI_BAR_PREFETCH)
		type |= BAR_MEM_PREFETCH;
	value = addr | type;
	pci_config_set(fn, (uint16_t)(PCI_BAR0 + 4 * index), &value,
		       bar->flags & PCI_BAR_64BIT ? 8 : 4);
}

int pci_bar_init(struct pci_fn *fn, const struct pci_fn_desc *desc, struct error *err)
{
	uint64_t msix_bytes = pci_msix_bytes(desc->n_vectors), mask;
	const char *fault;
	unsigned i;

	for (i = 0; i < PCI_N_BARS; i++) {
		fn->bars[i].fn = fn;
		fn->bars[i].desc = desc->bars[i];
	}
	if (desc->n_vectors) {
		struct pci_bar_desc *bar = &fn->bars[desc->msix_bar].desc;

		if (!bar->size)
			bar->size = round_up_pow2(msix_bytes);
		if (bar->size < msix_bytes || bar->flags & PCI_BAR_IO)
			return error_set(err, -EINVAL, "%s: BAR %u cannot hold the MSI-X table",
					 desc->owner, desc->msix_bar);
	}
	for (i = 0; i < PCI_N_BARS; i++) {
		const struct pci_bar_desc *bar = &fn->bars[i].desc;

		if (!bar->size)
			continue;
		fault = desc_fault(bar, i + 1 < PCI_N_BARS ? &fn->bars[i + 1].desc : NULL);
		if (!fault && !bar->ops && !(desc->n_vectors && i == desc->msix_bar))
			fault = "nobody answers";
		if (fault)
			return error_set(err, -EINVAL, "%s: BAR %u: %s", desc->owner, i, fault);
		/* Its lowest bits are the type, which is read-only: the sizes are larger. */
		mask = ~(bar->size - 1);
		memcpy(fn->writable + PCI_BAR0 + 4 * i, &mask, bar->flags & PCI_BAR_64BIT ? 8 : 4);
		set_register(fn, i, 0);
	}
	return 0;
}

/* --- ioeventfds follow their BAR; root->sync_lock is held --- */

static int ioeventfd_register(struct pci_fn *fn, struct pci_ioeventfd *ioeventfd)
{
	const struct pci_bar *bar = &fn->bars[ioeventfd->bar];
	int err;

	if (!fn->root->config.hv)
		return 0;
	ioeventfd->hv.addr = bar->addr + ioeventfd->offset;
	err = hv_ioeventfd(fn->root->config.hv, &ioeventfd->hv, true);
	ioeventfd->registered = !err;
	return err;
}

static void ioeventfd_unregister(struct pci_fn *fn, struct pci_ioeventfd *ioeventfd)
{
	if (ioeventfd->registered)
		hv_ioeventfd(fn->root->config.hv, &ioeventfd->hv, false);
	ioeventfd->registered = false;
}

int pci_add_ioeventfd(struct pci_fn *fn, unsigned bar, uint64_t offset, uint32_t len, int fd)
{
	CLEANUP_FREE struct pci_ioeventfd *ioeventfd = NULL;
	int err;

	if (bar >= PCI_N_BARS || !range_within(offset, MAX(len, 1), fn->bars[bar].desc.size))
		return -EINVAL;
	ioeventfd = calloc(1, sizeof(*ioeventfd));
	if (!ioeventfd)
		return -ENOMEM;
	ioeventfd->bar = bar;
	ioeventfd->offset = offset;
	ioeventfd->hv.len = len;
	ioeventfd->hv.pio = fn->bars[bar].desc.flags & PCI_BAR_IO;
	ioeventfd->hv.fd = fd;
	LOCK_SCOPE(&fn->root->sync_lock);
	err = fn->bars[bar].mapped ? ioeventfd_register(fn, ioeventfd) : 0;
	if (err)
		return err;
	SLIST_INSERT_HEAD(&fn->ioeventfds, ioeventfd, link);
	ioeventfd = NULL;
	return 0;
}

void pci_remove_ioeventfds(struct pci_fn *fn)
{
	struct pci_ioeventfd *ioeventfd;

	LOCK_SCOPE(&fn->root->sync_lock);
	while ((ioeventfd = SLIST_FIRST(&fn->ioeventfds))) {
		SLIST_REMOVE_HEAD(&fn->ioeventfds, link);
		ioeventfd_unregister(fn, ioeventfd);
		free(ioeventfd);
	}
}

/* --- mapping; root->sync_lock is held --- */

static struct bus *bar_bus(const struct pci_bar *bar)
{
	const struct pci_root_config *config = &bar->fn->root->config;

	return bar->desc.flags & PCI_BAR_IO ? config->pio : config->mmio;
}

static void bar_map(struct pci_bar *bar, uint64_t addr)
{
	struct pci_fn *fn = bar->fn;
	bool has_msix = fn->msix && bar == &fn->bars[fn->msix_bar];
	struct bus_region region = {
		.base = addr,
		.len = bar->desc.size,
		.ops = has_msix ? &msix_bar_ops : bar->desc.ops,
		.opaque = has_msix ? bar : bar->desc.opaque,
		.owner = fn->owner,
	};
	unsigned index = (unsigned)(bar - fn->bars);
	struct pci_ioeventfd *ioeventfd;
	struct error why;
	int err;

	/* The guest may put it anywhere, over something else too: then it is nowhere. */
	if (bus_add(bar_bus(bar), &region, &why)) {
		log_limited(&fn->root->debug_limit, LOG_DEBUG, "BAR %u is not mapped: %s", index,
			    why.text);
		return;
	}
	bar->mapped = true;
	bar->addr = addr;
	SLIST_FOREACH(ioeventfd, &fn->ioeventfds, link) {
		err = ioeventfd->bar == index ? ioeventfd_register(fn, ioeventfd) : 0;
		if (err)
			log_limited(&fn->root->log_limit, LOG_WARN,
				    "%s: ioeventfd at 0x%" PRIx64 ": %s", fn->owner,
				    ioeventfd->hv.addr, strerror(-err));
	}
}

static void bar_unmap(struct pci_bar *bar)
{
	struct pci_ioeventfd *ioeventfd;

	if (!bar->mapped)
		return;
	SLIST_FOREACH(ioeventfd, &bar->fn->ioeventfds, link)
		if (ioeventfd->bar == (unsigned)(bar - bar->fn->bars))
			ioeventfd_unregister(bar->fn, ioeventfd);
	bus_remove(bar_bus(bar), bar->addr);
	bar->mapped = false;
}

void pci_bar_unmap_all(struct pci_fn *fn)
{
	unsigned i;

	for (i = 0; i < PCI_N_BARS; i++)
		bar_unmap(&fn->bars[i]);
}

/* Where the guest wants the BAR; 0: nowhere. All ones, as written to learn the size, are no place
 * either, nor is what wraps around. root->lock is held. */
static uint64_t bar_wanted(const struct pci_bar *bar)
{
	const struct pci_fn *fn = bar->fn;
	uint16_t offset = (uint16_t)(PCI_BAR0 + 4 * (bar - fn->bars));
	uint16_t command = pci_config_get16(fn, PCI_COMMAND);
	uint64_t limit = 0xffffffff, addr;

	if (!bar->desc.size || !bar_bus(bar))
		return 0;
	addr = pci_config_get32(fn, offset);
	if (bar->desc.flags & PCI_BAR_IO) {
		if (!(command & PCI_COMMAND_IO))
			return 0;
		limit = IO_LIMIT;
	} else if (!(command & PCI_COMMAND_MEM)) {
		return 0;
	}
	if (bar->desc.flags & PCI_BAR_64BIT) {
		addr |= (uint64_t)pci_config_get32(fn, offset + 4) << 32;
		limit = UINT64_MAX;
	}
	addr = align_down(addr, bar->desc.size);
	return range_within(addr, bar->desc.size, limit) ? addr : 0;
}

static void fn_wanted(struct pci_fn *fn, uint64_t ret_addr[PCI_N_BARS])
{
	unsigned i;

	LOCK_SCOPE(&fn->root->lock);
	for (i = 0; i < PCI_N_BARS; i++)
		ret_addr[i] = bar_wanted(&fn->bars[i]);
}

void pci_bar_sync(struct pci_root *root)
{
	uint64_t wanted[PCI_N_BARS];
	struct pci_fn *fn;
	unsigned i;

	/* First all that leave, so that two may swap places. */
	LIST_FOREACH(fn, &root->fns, link) {
		fn_wanted(fn, wanted);
		for (i = 0; i < PCI_N_BARS; i++)
			if (fn->bars[i].mapped && fn->bars[i].addr != wanted[i])
				bar_unmap(&fn->bars[i]);
	}
	LIST_FOREACH(fn, &root->fns, link) {
		fn_wanted(fn, wanted);
		for (i = 0; i < PCI_N_BARS; i++)
			if (!fn->bars[i].mapped && wanted[i])
				bar_map(&fn->bars[i], wanted[i]);
	}
}

void pci_sync(struct pci_root *root)
{
	LOCK_SCOPE(&root->sync_lock);
	pci_bar_sync(root);
}

/* --- assignment --- */

struct placement {
	struct pci_bar *bar;
	uint64_t addr;
};

/* Largest first, which leaves no gaps in an aligned window; else in the order of functions. */
static int placement_cmp(const void *a, const void *b)
{
	const struct pci_bar *x = ((const struct placement *)a)->bar;
	const struct pci_bar *y = ((const struct placement *)b)->bar;

	if (x->desc.size != y->desc.size)
		return x->desc.size > y->desc.size ? -1 : 1;
	if (x->fn->bdf != y->fn->bdf)
		return x->fn->bdf < y->fn->bdf ? -1 : 1;
	return x < y ? -1 : 1;
}

static bool window_take(struct pci_window *window, uint64_t size, uint64_t *ret_addr)
{
	uint64_t skip = -window->base & (size - 1);

	if (!range_within(skip, size, window->len))
		return false;
	*ret_addr = window->base + skip;
	window->base += skip + size;
	window->len -= skip + size;
	return true;
}

static bool place(struct pci_root_config *free, struct placement *placement)
{
	const struct pci_bar_desc *bar = &placement->bar->desc;

	if (bar->flags & PCI_BAR_IO)
		return window_take(&free->io, bar->size, &placement->addr);
	if (bar->flags & PCI_BAR_64BIT && window_take(&free->mem64, bar->size, &placement->addr))
		return true;
	if (bar->flags & PCI_BAR_PREFETCH &&
	    window_take(&free->mem32_prefetch, bar->size, &placement->addr))
		return true;
	return window_take(&free->mem32, bar->size, &placement->addr);
}

static int collect(struct pci_root *root, struct placement **ret_placements, unsigned *ret_n)
{
	struct placement *placements;
	unsigned i, n = 0, max = 0;
	struct pci_fn *fn;

	LIST_FOREACH(fn, &root->fns, link)
		max += PCI_N_BARS;
	placements = calloc(max + 1, sizeof(*placements));
	if (!placements)
		return -ENOMEM;
	LIST_FOREACH(fn, &root->fns, link)
		for (i = 0; i < PCI_N_BARS; i++)
			if (fn->bars[i].desc.size)
				placements[n++].bar = &fn->bars[i];
	qsort(placements, n, sizeof(*placements), placement_cmp);
	*ret_placements = placements;
	*ret_n = n;
	return 0;
}

static void commit(const struct placement *placement)
{
	struct pci_fn *fn = placement->bar->fn;
	uint16_t command = pci_config_get16(fn, PCI_COMMAND);

	set_register(fn, (unsigned)(placement->bar - fn->bars), placement->addr);
	command |= placement->bar->desc.flags & PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEM;
	pci_config_set(fn, PCI_COMMAND, &command, sizeof(command));
}

int pci_assign(struct pci_root *root, struct error *err)
{
	CLEANUP_FREE struct placement *placements = NULL;
	struct pci_root_config free_windows = root->config;
	unsigned i, n;
	int res;

	LOCK_SCOPE(&root->sync_lock);
	res = collect(root, &placements, &n);
	if (res)
		return error_errno(err, res, "PCI");
	for (i = 0; i < n; i++) {
		const struct pci_bar *bar = placements[i].bar;

		if (!place(&free_windows, &placements[i]))
			return error_set(
				err, -ENOSPC,
				"%s: no addresses left for the %" PRIu64 " bytes of BAR %u",
				bar->fn->owner, bar->desc.size, (unsigned)(bar - bar->fn->bars));
	}
	pthread_mutex_lock(&root->lock);
	for (i = 0; i < n; i++)
		commit(&placements[i]);
	pthread_mutex_unlock(&root->lock);
	pci_bar_sync(root);
	return 0;
}
