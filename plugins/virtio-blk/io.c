/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "io.h"

#define ZERO_CHUNK (256u << 10)
#define ZERO_ALIGN 4096u

size_t iov_peek(const struct iovec *iov, uint32_t n, void *ret_buf, size_t len)
{
	size_t done = 0;

	for (uint32_t i = 0; i < n && done < len; i++) {
		size_t part = iov[i].iov_len < len - done ? iov[i].iov_len : len - done;

		if (part)
			memcpy((char *)ret_buf + done, iov[i].iov_base, part);
		done += part;
	}
	return done;
}

size_t iov_fill(const struct iovec *iov, uint32_t n, const void *buf, size_t len)
{
	size_t done = 0;

	for (uint32_t i = 0; i < n && done < len; i++) {
		size_t part = iov[i].iov_len < len - done ? iov[i].iov_len : len - done;

		if (part)
			memcpy(iov[i].iov_base, (const char *)buf + done, part);
		done += part;
	}
	return done;
}

void iov_drop_front(struct iovec **iov, uint32_t *n, uint64_t len)
{
	while (*n && len >= (*iov)->iov_len) {
		len -= (*iov)->iov_len;
		(*iov)++;
		(*n)--;
	}
	if (len) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + len;
		(*iov)->iov_len -= len;
	}
}

uint8_t *iov_take_last(struct iovec *iov, uint32_t *n)
{
	struct iovec *last;

	while (*n && iov[*n - 1].iov_len == 0)
		(*n)--;
	if (!*n)
		return NULL;
	last = &iov[*n - 1];
	last->iov_len--;
	return (uint8_t *)last->iov_base + last->iov_len;
}

uint32_t blk_io_n_iov(const struct blk_io *io)
{
	return io->n_iov < IOV_MAX ? io->n_iov : IOV_MAX;
}

/* Nothing transferred: the image has become shorter under us. */
bool blk_io_advance(struct blk_io *io, int64_t n)
{
	if (n == -EINTR || n == -EAGAIN)
		return false;
	if (n <= 0 || (uint64_t)n > io->len) {
		io->result = n < 0 ? (int)n : -EIO;
		return true;
	}
	io->offset += (uint64_t)n;
	io->len -= (uint64_t)n;
	iov_drop_front(&io->iov, &io->n_iov, (uint64_t)n);
	io->result = 0;
	return io->len == 0;
}

static void transfer_run(struct blk_io *io)
{
	int flags = io->op == BLK_WRITE && io->stable ? RWF_DSYNC : 0;
	ssize_t n;

	do {
		int n_iov = (int)blk_io_n_iov(io);

		if (io->op == BLK_READ)
			n = preadv2(io->fd, io->iov, n_iov, (off_t)io->offset, flags);
		else
			n = pwritev2(io->fd, io->iov, n_iov, (off_t)io->offset, flags);
	} while (!blk_io_advance(io, n < 0 ? -errno : n));
}

static int flush_run(int fd)
{
	int ret;

	do {
		ret = fdatasync(fd);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

static int range_fallocate(int fd, int mode, const struct blk_range *range)
{
	int ret;

	do {
		ret = fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)range->offset,
				(off_t)range->len);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

static int range_write_zeroes(int fd, const struct blk_range *range)
{
	uint64_t offset = range->offset, left = range->len;
	void *zeroes;
	int ret = 0;

	if (posix_memalign(&zeroes, ZERO_ALIGN, ZERO_CHUNK))
		return -ENOMEM;
	memset(zeroes, 0, ZERO_CHUNK);
	while (left && !ret) {
		ssize_t n =
			pwrite(fd, zeroes, left < ZERO_CHUNK ? left : ZERO_CHUNK, (off_t)offset);

		if (n > 0) {
			offset += (uint64_t)n;
			left -= (uint64_t)n;
		} else if (n == 0 || errno != EINTR) {
			ret = n < 0 ? -errno : -EIO;
		}
	}
	free(zeroes);
	return ret;
}

/* Not every file system knows each of these, and a device only takes whole blocks. */
static int range_zero(const struct blk_image *image, int fd, const struct blk_range *range)
{
	int ret = -EOPNOTSUPP;

	if (range->unmap && image->can_punch)
		ret = range_fallocate(fd, FALLOC_FL_PUNCH_HOLE, range);
	if (ret == -EOPNOTSUPP || ret == -EINVAL)
		ret = range_fallocate(fd, FALLOC_FL_ZERO_RANGE, range);
	if (ret == -EOPNOTSUPP || ret == -EINVAL)
		ret = range_write_zeroes(fd, range);
	return ret;
}

/* A hint: of a device, the whole blocks within the range. */
static int range_discard(const struct blk_image *image, int fd, const struct blk_range *range)
{
	uint64_t mask = image->discard_align - 1;
	uint64_t start = (range->offset + mask) & ~mask;
	uint64_t end = (range->offset + range->len) & ~mask;
	uint64_t block_range[2] = { start, end - start };

	if (!image->is_device)
		return range_fallocate(fd, FALLOC_FL_PUNCH_HOLE, range);
	if (start >= end)
		return 0;
	return ioctl(fd, BLKDISCARD, block_range) < 0 ? -errno : 0;
}

static int ranges_run(const struct blk_image *image, const struct blk_io *io)
{
	int ret = 0;

	for (uint32_t i = 0; i < io->n_ranges && !ret; i++) {
		const struct blk_range *range = &io->ranges[i];

		if (range->len == 0)
			continue;
		ret = io->op == BLK_DISCARD ? range_discard(image, io->fd, range) :
					      range_zero(image, io->fd, range);
	}
	if (!ret && io->stable)
		ret = flush_run(io->fd);
	return ret;
}

void blk_io_run(const struct blk_image *image, struct blk_io *io)
{
	switch (io->op) {
	case BLK_READ:
	case BLK_WRITE:
		transfer_run(io);
		break;
	case BLK_FLUSH:
		io->result = flush_run(io->fd);
		break;
	case BLK_DISCARD:
	case BLK_ZERO:
		io->result = ranges_run(image, io);
		break;
	}
}
