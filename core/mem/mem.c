/* SPDX-License-Identifier: Apache-2.0 */
#include "mem/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mem/mem_backend.h"
#include "util/overflow.h"

#define MEM_MIN_SIZE	(1ull << 20)
#define MEM_HIGH_BASE	(1ull << 32)
#define MEM_MAX_REGIONS 2

struct mem {
	struct hv_vm *hv;
	struct mem_region regions[MEM_MAX_REGIONS]; /* by address */
	unsigned n_regions;
	struct mem_backing ram;
	struct mem_listener *listeners;
};

int mem_new(struct hv_vm *hv, struct mem **ret_mem)
{
	struct mem *mem = calloc(1, sizeof(*mem));

	if (!mem)
		return -ENOMEM;
	mem->hv = hv;
	mem->ram.fd = -1;
	*ret_mem = mem;
	return 0;
}

/* --- listeners --- */

static void tell_removed(struct mem_listener *listener, struct mem_listener *end,
			 const struct mem_region *region)
{
	for (; listener != end; listener = listener->next)
		listener->removed(listener, region);
}

/* Either all know @region or none. */
static int tell_added(struct mem *mem, const struct mem_region *region)
{
	struct mem_listener *listener;
	int err;

	for (listener = mem->listeners; listener; listener = listener->next) {
		err = listener->added(listener, region);
		if (err) {
			tell_removed(mem->listeners, listener, region);
			return err;
		}
	}
	return 0;
}

int mem_add_listener(struct mem *mem, struct mem_listener *listener)
{
	unsigned i;
	int err;

	for (i = 0; i < mem->n_regions; i++) {
		err = listener->added(listener, &mem->regions[i]);
		if (err) {
			while (i-- > 0)
				listener->removed(listener, &mem->regions[i]);
			return err;
		}
	}
	listener->next = mem->listeners;
	mem->listeners = listener;
	return 0;
}

void mem_remove_listener(struct mem *mem, struct mem_listener *listener)
{
	struct mem_listener **link;

	for (link = &mem->listeners; *link; link = &(*link)->next) {
		if (*link == listener) {
			*link = listener->next;
			return;
		}
	}
}

/* --- regions --- */

/* Puts [offset, offset + len) of the RAM at @gpa. */
static int add_region(struct mem *mem, uint64_t gpa, uint64_t offset, uint64_t len,
		      struct error *err)
{
	struct mem_region *region = &mem->regions[mem->n_regions];
	int res = 0;

	*region = (struct mem_region){
		.gpa = gpa,
		.len = len,
		.host = mem->ram.host + offset,
		/* Others see through a descriptor what the guest wrote only where it is shared. */
		.fd = mem->ram.shared ? mem->ram.fd : -1,
		.fd_offset = offset,
		.slot = mem->n_regions,
	};
	if (mem->hv)
		res = hv_map(mem->hv, region->slot, gpa, region->host, len, false);
	if (res)
		return error_errno(err, res, "map %s of guest memory at 0x%" PRIx64,
				   mem_size_text(len).text, gpa);
	res = tell_added(mem, region);
	if (res) {
		if (mem->hv)
			hv_map(mem->hv, region->slot, gpa, NULL, 0, false);
		return error_errno(err, res, "announce guest memory at 0x%" PRIx64, gpa);
	}
	mem->n_regions++;
	return 0;
}

static void release_ram(struct mem *mem)
{
	struct mem_region *region;

	while (mem->n_regions) {
		region = &mem->regions[--mem->n_regions];
		tell_removed(mem->listeners, NULL, region);
		if (mem->hv)
			hv_map(mem->hv, region->slot, region->gpa, NULL, 0, false);
	}
	mem_backing_free(&mem->ram);
}

void mem_free(struct mem *mem)
{
	if (!mem)
		return;
	release_ram(mem);
	free(mem);
}

static int check_size(uint64_t size, uint64_t page_size, uint64_t low_limit, uint64_t max_gpa,
		      struct error *err)
{
	uint64_t low = MIN(low_limit, MEM_HIGH_BASE), end = size;

	if (size < MEM_MIN_SIZE)
		return error_set(err, -EINVAL, "memory size %s is less than 1 MiB",
				 mem_size_text(size).text);
	if (size % page_size)
		return error_set(err, -EINVAL, "memory size %s is no multiple of %s, the page size",
				 mem_size_text(size).text, mem_size_text(page_size).text);
	if (low_limit % page_size || low_limit > MEM_HIGH_BASE)
		return error_set(err, -EINVAL,
				 "memory below 4 GiB cannot end at 0x%" PRIx64 " with pages of %s",
				 low_limit, mem_size_text(page_size).text);
	if (size > low && add_overflows(size, MEM_HIGH_BASE - low, &end))
		end = UINT64_MAX;
	if (end > max_gpa)
		return error_set(err, -EINVAL,
				 "memory size %s needs guest addresses up to 0x%" PRIx64
				 ", this host reaches up to 0x%" PRIx64,
				 mem_size_text(size).text, end - 1, max_gpa - 1);
	return 0;
}

int mem_add_ram(struct mem *mem, const struct mem_config *config, uint64_t low_limit,
		uint64_t max_gpa, struct error *err)
{
	uint64_t page_size, low = MIN(config->size, low_limit);
	int res;

	if (mem->n_regions)
		return error_set(err, -EEXIST, "the machine has its memory already");
	res = mem_backing_page_size(config, &page_size, err);
	if (!res)
		res = check_size(config->size, page_size, low_limit, max_gpa, err);
	if (!res)
		res = mem_backing_alloc(config, page_size, &mem->ram, err);
	if (res)
		return res;
	if (low)
		res = add_region(mem, 0, 0, low, err);
	if (!res && config->size > low)
		res = add_region(mem, MEM_HIGH_BASE, low, config->size - low, err);
	if (res)
		release_ram(mem);
	return res;
}

unsigned mem_n_regions(const struct mem *mem)
{
	return mem->n_regions;
}

const struct mem_region *mem_region_at(const struct mem *mem, unsigned index)
{
	return index < mem->n_regions ? &mem->regions[index] : NULL;
}

uint64_t mem_ram_size(const struct mem *mem)
{
	return mem->ram.len;
}

uint64_t mem_end(const struct mem *mem)
{
	const struct mem_region *last;

	if (!mem->n_regions)
		return MEM_HIGH_BASE;
	last = &mem->regions[mem->n_regions - 1];
	return MAX(last->gpa + last->len, MEM_HIGH_BASE);
}

int mem_clear(struct mem *mem)
{
	return mem->n_regions ? mem_backing_clear(&mem->ram) : 0;
}

/* --- access --- */

/* Host address of @gpa and how many bytes follow it in its region. */
static inline uint8_t *find(const struct mem *mem, uint64_t gpa, uint64_t *ret_left)
{
	unsigned i;

	for (i = 0; i < mem->n_regions; i++) {
		const struct mem_region *region = &mem->regions[i];
		uint64_t offset = gpa - region->gpa;

		if (offset < region->len) {
			*ret_left = region->len - offset;
			return region->host + offset;
		}
	}
	return NULL;
}

void *mem_ptr(const struct mem *mem, uint64_t gpa, uint64_t len)
{
	uint64_t left;
	uint8_t *host = find(mem, gpa, &left);

	return host && len && len <= left ? host : NULL;
}

int mem_get(struct mem *mem, uint64_t gpa, uint64_t len, bool write, struct iovec *ret_iov,
	    unsigned max)
{
	struct iovec iov[MEM_MAX_REGIONS];
	unsigned n = 0;
	uint64_t left;

	while (len) {
		uint8_t *host = find(mem, gpa, &left);

		if (!host)
			return -EFAULT;
		left = MIN(left, len);
		iov[n++] = (struct iovec){ .iov_base = host, .iov_len = left };
		gpa += left;
		len -= left;
	}
	if (n > max)
		return -E2BIG;
	memcpy(ret_iov, iov, n * sizeof(iov[0]));
	return (int)n;
}

void mem_put(struct mem *mem, const struct iovec *iov, unsigned n, bool written)
{
	/* Regions live as long as the VM: there is nothing to unpin. */
}

int mem_discard_host(struct mem *mem, const void *host, uint64_t len)
{
	uint64_t offset = (uintptr_t)host - (uintptr_t)mem->ram.host;

	if (!range_within(offset, len, mem->ram.len))
		return -EFAULT;
	return mem_backing_discard(&mem->ram, offset, len);
}

int mem_discard(struct mem *mem, uint64_t gpa, uint64_t len)
{
	struct iovec iov[MEM_MAX_REGIONS];
	int i, n = mem_get(mem, gpa, len, true, iov, MEM_MAX_REGIONS), res = MIN(n, 0);

	for (i = 0; i < n && !res; i++)
		res = mem_discard_host(mem, iov[i].iov_base, iov[i].iov_len);
	return res;
}

int mem_read(const struct mem *mem, uint64_t gpa, void *ret_buf, uint64_t len)
{
	struct iovec iov[MEM_MAX_REGIONS];
	int i, n = mem_get((struct mem *)mem, gpa, len, false, iov, MEM_MAX_REGIONS);
	uint8_t *buf = ret_buf;

	for (i = 0; i < n; i++) {
		memcpy(buf, iov[i].iov_base, iov[i].iov_len);
		buf += iov[i].iov_len;
	}
	return MIN(n, 0);
}

int mem_write(struct mem *mem, uint64_t gpa, const void *buf, uint64_t len)
{
	struct iovec iov[MEM_MAX_REGIONS];
	int i, n = mem_get(mem, gpa, len, true, iov, MEM_MAX_REGIONS);
	const uint8_t *from = buf;

	for (i = 0; i < n; i++) {
		memcpy(iov[i].iov_base, from, iov[i].iov_len);
		from += iov[i].iov_len;
	}
	return MIN(n, 0);
}
