/* SPDX-License-Identifier: Apache-2.0 */
/* The raw image: a file or a block device. */
#ifndef ALCOR_PLUGINS_VIRTIO_BLK_IMAGE_H
#define ALCOR_PLUGINS_VIRTIO_BLK_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <alcor/plugin.h>

#define SECTOR_SIZE 512u

struct blk_image_options {
	const char *path;
	bool readonly, direct, lock;
};

struct blk_image {
	int fd;	       /* through the page cache; holds the lock */
	int direct_fd; /* -1: not wanted */
	bool readonly;
	bool is_device;
	bool can_punch;	      /* storage can be given back */
	uint64_t size;	      /* bytes, a multiple of SECTOR_SIZE */
	uint32_t mem_align;   /* of buffers, for direct_fd */
	uint32_t block_align; /* of offsets and lengths, for direct_fd */
	uint32_t block_size;  /* logical, as the guest is told */
	uint32_t discard_align;
	/* Block devices, in logical blocks (5.2.4); 0 for files. */
	uint8_t physical_exp, alignment_offset;
	uint16_t min_io;
	uint32_t opt_io;
};

/* [main] Says what is wrong through alcor_error(). */
int blk_image_open(struct blk_image *ret_image, struct alcor_dev *dev,
		   const struct blk_image_options *options);
void blk_image_close(struct blk_image *image);

#endif
