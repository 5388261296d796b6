/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: RAM regions of several back ends, and checked access to them. The set of regions is
 * fixed before vCPUs and devices run, so that access takes no lock.
 */
#ifndef ALCOR_CORE_MEM_MEM_H
#define ALCOR_CORE_MEM_MEM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "hv/hv.h"
#include "util/error.h"

enum mem_backend { MEM_ANON, MEM_MEMFD, MEM_HUGETLB, MEM_FILE };

struct mem_config {
	uint64_t size; /* bytes */
	enum mem_backend backend;
	bool shared; /* MAP_SHARED; always so for MEM_MEMFD */
	bool thp;    /* transparent huge pages */
	bool prefault;
	uint64_t hugepage_size; /* MEM_HUGETLB: bytes, 0: the host's default */
	const char *path;	/* MEM_FILE: file of at least this size, or made so */
};

struct mem_region {
	uint64_t gpa, len;
	uint8_t *host;
	int fd;		    /* -1 for anonymous memory */
	uint64_t fd_offset; /* of the region's start */
	unsigned slot;
};

struct mem; /* all memory of a VM */

/* @hv may be NULL: nothing is mapped into a guest (tests, stand-alone back ends). */
int mem_new(struct hv_vm *hv, struct mem **ret_mem);
void mem_free(struct mem *mem); /* NULL is fine */

/* Allocates all of @config->size and lays it out: from 0 up to @low_limit, the rest from 4 GiB.
 * Checks the size against page size, 1 MiB as the least, and @max_gpa (first address that the
 * guest cannot reach). */
int mem_add_ram(struct mem *mem, const struct mem_config *config, uint64_t low_limit,
		uint64_t max_gpa, struct error *err);

unsigned mem_n_regions(const struct mem *mem);
const struct mem_region *mem_region_at(const struct mem *mem, unsigned index);
uint64_t mem_ram_size(const struct mem *mem);
/* First address above all RAM and above 4 GiB. */
uint64_t mem_end(const struct mem *mem);

/* Zeroes all RAM by giving it back to the host where the back end allows that. */
int mem_clear(struct mem *mem);

/* Gives the host's memory behind a range back, as <alcor/mem.h> says: a range of the guest, or of
 * the host, which has to lie in RAM. -EFAULT. [any] */
int mem_discard(struct mem *mem, uint64_t gpa, uint64_t len);
int mem_discard_host(struct mem *mem, const void *host, uint64_t len);

/* Host address of [gpa, gpa + len) when it lies in one region, else NULL. len 0: NULL. [any] */
void *mem_ptr(const struct mem *mem, uint64_t gpa, uint64_t len);
/* All or nothing, across adjacent regions; -EFAULT. [any] */
int mem_read(const struct mem *mem, uint64_t gpa, void *ret_buf, uint64_t len);
int mem_write(struct mem *mem, uint64_t gpa, const void *buf, uint64_t len);
/* Number of elements filled; -EFAULT, -E2BIG. [any] */
int mem_get(struct mem *mem, uint64_t gpa, uint64_t len, bool write, struct iovec *ret_iov,
	    unsigned max);
void mem_put(struct mem *mem, const struct iovec *iov, unsigned n, bool written);

/* Told of every region: at once for those that exist, then for each added or removed. [main] */
struct mem_listener {
	int (*added)(struct mem_listener *listener, const struct mem_region *region);
	void (*removed)(struct mem_listener *listener, const struct mem_region *region);
	struct mem_listener *next;
};
/* An error of added() undoes what was told, and is returned. Removing tells nothing. */
int mem_add_listener(struct mem *mem, struct mem_listener *listener);
void mem_remove_listener(struct mem *mem, struct mem_listener *listener);

#endif
