/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"

/* Linux 6.1; absent from older headers. */
#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000u
#endif

/* What direct I/O needs where the kernel does not tell: the largest block of usual disks. */
#define DIRECT_ALIGN 4096u

static int image_check_type(struct blk_image *image, struct alcor_dev *dev)
{
	struct stat st;

	if (fstat(image->fd, &st) < 0)
		return alcor_error(dev, -errno, "stat: %s", strerror(errno));
	if (S_ISDIR(st.st_mode))
		return alcor_error(dev, -EISDIR, "open: %s", strerror(EISDIR));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return alcor_error(dev, -EINVAL, "neither a file nor a block device");
	image->is_device = S_ISBLK(st.st_mode);
	image->size = (uint64_t)st.st_size;
	image->discard_align = (uint32_t)st.st_blksize;
	if (image->is_device && ioctl(image->fd, BLKGETSIZE64, &image->size) < 0)
		return alcor_error(dev, -errno, "size: %s", strerror(errno));
	if (image->size == 0)
		return alcor_error(dev, -EINVAL, "the image is empty");
	if (image->size % SECTOR_SIZE)
		return alcor_error(dev, -EINVAL,
				   "the size, %llu bytes, is not a multiple of %u bytes",
				   (unsigned long long)image->size, SECTOR_SIZE);
	return 0;
}

/* A lock of the open file description: it ends with the process, however that ends, and another
 * descriptor of this process does not release it. */
static int image_lock(struct blk_image *image, struct alcor_dev *dev)
{
	struct flock lock = { .l_type = image->readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(image->fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return alcor_error(dev, -EBUSY, "locked by another process");
	return alcor_error(dev, -errno, "lock: %s (lock=off goes without)", strerror(errno));
}

/* Block sizes of a device (5.2.4, topology). */
static void image_topology(struct blk_image *image)
{
	unsigned int physical = 0, min_io = 0, opt_io = 0;
	int logical = 0, offset = 0;

	if (ioctl(image->fd, BLKSSZGET, &logical) < 0 || logical < (int)SECTOR_SIZE ||
	    image->size % (unsigned)logical)
		return;
	image->block_size = (uint32_t)logical;
	image->discard_align = image->block_size;
	if (ioctl(image->fd, BLKPBSZGET, &physical) < 0 ||
	    ioctl(image->fd, BLKIOMIN, &min_io) < 0 || ioctl(image->fd, BLKIOOPT, &opt_io) < 0 ||
	    ioctl(image->fd, BLKALIGNOFF, &offset) < 0)
		return;
	while (image->physical_exp < 16 && image->block_size << image->physical_exp < physical)
		image->physical_exp++;
	if (offset > 0)
		image->alignment_offset = (uint8_t)((unsigned)offset / image->block_size);
	image->min_io = (uint16_t)(min_io / image->block_size);
	image->opt_io = opt_io / image->block_size;
}

static void direct_alignment(struct blk_image *image)
{
	struct statx sx = { 0 };
	uint32_t align[2];
	int logical;

	image->mem_align = image->block_align = DIRECT_ALIGN;
	/* stx_dio_mem_align and stx_dio_offset_align follow stx_mnt_id, at byte 152. */
	if (statx(image->direct_fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) == 0 &&
	    (sx.stx_mask & STATX_DIOALIGN)) {
		memcpy(align, (char *)&sx + 152, sizeof(align));
		if (align[0] && align[1]) {
			image->mem_align = align[0];
			image->block_align = align[1];
		}
	} else if (image->is_device && ioctl(image->fd, BLKSSZGET, &logical) == 0) {
		image->mem_align = image->block_align = (uint32_t)logical;
	}
}

/* A second description of the same file: the first stays for what is not aligned. */
static int image_open_direct(struct blk_image *image, struct alcor_dev *dev)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", image->fd);
	image->direct_fd = open(path, (image->readonly ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC);
	if (image->direct_fd < 0 && errno == EINVAL)
		return alcor_error(dev, -EINVAL, "this file system has no direct I/O");
	if (image->direct_fd < 0)
		return alcor_error(dev, -errno, "open for direct I/O: %s", strerror(errno));
	direct_alignment(image);
	if (image->block_align > image->block_size && image->size % image->block_align == 0)
		image->block_size = image->block_align;
	return 0;
}

/* Behind the end there is nothing to lose. Devices are asked when the guest asks. */
static bool image_can_punch(const struct blk_image *image)
{
	if (image->readonly)
		return false;
	return image->is_device || fallocate(image->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					     (off_t)image->size, SECTOR_SIZE) == 0;
}

static int image_setup(struct blk_image *image, struct alcor_dev *dev,
		       const struct blk_image_options *options)
{
	int ret = image_check_type(image, dev);

	if (!ret && options->lock)
		ret = image_lock(image, dev);
	if (ret)
		return ret;
	/* io_uring would answer -EAGAIN where it has to wait for the disk. */
	fcntl(image->fd, F_SETFL, 0);
	image->block_size = SECTOR_SIZE;
	if (image->is_device)
		image_topology(image);
	if (options->direct)
		ret = image_open_direct(image, dev);
	image->can_punch = image_can_punch(image);
	return ret;
}

int blk_image_open(struct blk_image *ret_image, struct alcor_dev *dev,
		   const struct blk_image_options *options)
{
	struct blk_image image = { .readonly = options->readonly, .direct_fd = -1 };
	int ret;

	/* O_NONBLOCK: a pipe or a tape is refused below, and not waited for. */
	image.fd = open(options->path,
			(image.readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (image.fd < 0 && !image.readonly &&
	    (errno == EACCES || errno == EROFS || errno == EPERM))
		return alcor_error(dev, -errno, "open for writing: %s (readonly=on only reads)",
				   strerror(errno));
	if (image.fd < 0)
		return alcor_error(dev, -errno, "open: %s", strerror(errno));
	ret = image_setup(&image, dev, options);
	if (ret) {
		blk_image_close(&image);
		return ret;
	}
	*ret_image = image;
	return 0;
}

void blk_image_close(struct blk_image *image)
{
	if (image->direct_fd >= 0)
		close(image->direct_fd);
	if (image->fd >= 0)
		close(image->fd);
	image->fd = image->direct_fd = -1;
}
