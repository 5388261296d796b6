/* SPDX-License-Identifier: Apache-2.0 */
/* A file that goes into guest memory. Its content is never trusted, nor that it stays as it was. */
#ifndef ALCOR_CORE_PAYLOAD_FILE_H
#define ALCOR_CORE_PAYLOAD_FILE_H

#include <stdint.h>

#include "mem/mem.h"
#include "util/error.h"

struct payload_file {
	int fd;
	uint64_t size;
};

/* A regular file with at least one byte; never waits for anyone (a FIFO's writer). */
int payload_file_open(const char *path, struct payload_file *ret_file, struct error *err);
void payload_file_close(struct payload_file *file);

/* Exactly @len bytes from @offset; -EINVAL with a text when the file ends before. */
int payload_file_read(const struct payload_file *file, uint64_t offset, void *ret_buf, uint64_t len,
		      struct error *err);
/* The same into guest memory at @gpa. */
int payload_file_load(const struct payload_file *file, uint64_t offset, uint64_t len,
		      const struct mem *mem, uint64_t gpa, struct error *err);

#endif
