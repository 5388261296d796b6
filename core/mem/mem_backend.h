/* SPDX-License-Identifier: Apache-2.0 */
/* Host memory behind guest RAM: one mapping, and how it is got, zeroed and given back. */
#ifndef ALCOR_CORE_MEM_MEM_BACKEND_H
#define ALCOR_CORE_MEM_MEM_BACKEND_H

#include "mem/mem.h"

struct mem_backing {
	uint8_t *host; /* aligned so that huge pages of host and guest can coincide */
	uint64_t len, page_size;
	int fd; /* -1: none */
	enum mem_backend backend;
	bool shared, prefault;
};

/* Smallest unit that @config's memory comes in. */
int mem_backing_page_size(const struct mem_config *config, uint64_t *ret_size, struct error *err);
/* @page_size as the function above says; @config->size is a multiple of it. */
int mem_backing_alloc(const struct mem_config *config, uint64_t page_size,
		      struct mem_backing *ret_backing, struct error *err);
void mem_backing_free(struct mem_backing *backing);
int mem_backing_clear(const struct mem_backing *backing);
/* The whole pages of [offset, offset + len), which lies within. */
int mem_backing_discard(const struct mem_backing *backing, uint64_t offset, uint64_t len);

/* "3 GiB": the largest unit that loses nothing. */
struct mem_size_text {
	char text[32];
};
struct mem_size_text mem_size_text(uint64_t bytes);

#endif
