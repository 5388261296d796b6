/* SPDX-License-Identifier: Apache-2.0 */
/* One operation on the image, and scatter lists. */
#ifndef ALCOR_PLUGINS_VIRTIO_BLK_IO_H
#define ALCOR_PLUGINS_VIRTIO_BLK_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "image.h"

enum blk_op {
	BLK_READ,
	BLK_WRITE,
	BLK_FLUSH,
	BLK_DISCARD, /* content is not needed any more */
	BLK_ZERO,    /* reads as zeroes from now on */
};

struct blk_range {
	uint64_t offset, len; /* bytes */
	bool unmap;	      /* ZERO: storage may go */
};

struct blk_io {
	struct blk_io *next; /* for who holds the operation */
	enum blk_op op;
	int fd;
	bool stable;	   /* on the medium before it completes */
	struct iovec *iov; /* READ, WRITE: consumed on the way */
	uint32_t n_iov;
	uint64_t offset, len;		/* READ, WRITE: what is left, in bytes */
	const struct blk_range *ranges; /* DISCARD, ZERO */
	uint32_t n_ranges;
	int result; /* 0 or -errno */
};

/* Elements that one system call takes. */
uint32_t blk_io_n_iov(const struct blk_io *io);
/* Takes note of what READ or WRITE returned, a count or a negative errno. True when the operation
 * is complete, its result set; else the rest is to be submitted again. */
bool blk_io_advance(struct blk_io *io, int64_t n);
/* Does all of it on the calling thread; sets the result. */
void blk_io_run(const struct blk_image *image, struct blk_io *io);

/* Copies up to @len bytes from the front of a list; returns how many there were. */
size_t iov_peek(const struct iovec *iov, uint32_t n, void *ret_buf, size_t len);
size_t iov_fill(const struct iovec *iov, uint32_t n, const void *buf, size_t len);
/* Removes @len bytes (there are as many) from the front, and elements without bytes with them. */
void iov_drop_front(struct iovec **iov, uint32_t *n, uint64_t len);
/* Removes the last byte and returns its place; NULL when there is none. */
uint8_t *iov_take_last(struct iovec *iov, uint32_t *n);

#endif
