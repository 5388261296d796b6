/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of virtio-blk share: a device on an image with a known pattern, requests, and
 * failures of the system below. */
#ifndef ALCOR_PLUGINS_VIRTIO_BLK_TEST_FIXTURE_H
#define ALCOR_PLUGINS_VIRTIO_BLK_TEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/virtio_blk.h>

#include "alcor_testing.h"

#define IMAGE_NAME "blk-image"
#define IMAGE_SIZE (4u << 20)
#define FLUSH_BIT  (1ull << VIRTIO_BLK_F_FLUSH)

/* What is to go wrong, and what was called. */
struct inject {
	_Atomic unsigned n_fdatasync, n_submit, n_interrupted;
	_Atomic unsigned n_busy; /* times that the kernel takes no submissions */
	_Atomic bool no_uring, short_transfers, slow, no_punch, no_zero_range;
};

extern struct inject inject;
extern struct alcor_fake *fake;
extern int image_fd;

int setup(void **state);
int teardown(void **state);
bool uring_usable(void);

/* Loads the plugin anew and creates a device. */
int create(const char *params);
/* A device on the image that works; @state is the api. Skips where that is not to be had. */
void start(void **state, const char *more);
struct virtio_blk_config config(void);
struct virtio_blk_outhdr header(uint32_t type, uint64_t sector);
/* One request with the usual framing; its status. */
uint8_t request(uint32_t type, uint64_t sector, void *data, size_t len);
/* WRITE_ZEROES that must succeed, and leave the neighbours alone. */
void write_zeroes(uint64_t sector, uint32_t sectors, bool unmap);

/* The byte at @at of a fresh image. */
uint8_t pattern(size_t at);
void check_image(uint64_t offset, const uint8_t *bytes, size_t len);
void check_zero(uint64_t offset, size_t len);
/* Neighbours of [offset, offset + len) are as before. */
void check_around(uint64_t offset, size_t len);

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define BOTH(f)                                                  \
	{ #f " (threads)", f, setup, teardown, "threads" },      \
	{                                                        \
#f " (io_uring)", f, setup, teardown, "io_uring" \
	}

#endif
