/* SPDX-License-Identifier: Apache-2.0 */
/* A balloon in the fake host, for the tests of this folder. */
#ifndef ALCOR_PLUGINS_VIRTIO_BALLOON_TEST_FIXTURE_H
#define ALCOR_PLUGINS_VIRTIO_BALLOON_TEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "alcor_testing.h"

#define F_STATS_VQ	 (1u << 1)
#define F_DEFLATE_ON_OOM (1u << 2)
#define F_PAGE_POISON	 (1u << 4)
#define F_REPORTING	 (1u << 5)

#define NUM_PAGES 0
#define ACTUAL	  4
#define POISON	  12

#define MIB	  (1ull << 20)
#define PAGE	  4096ull
#define RAM_PAGES (ALCOR_FAKE_RAM / PAGE)

extern struct alcor_fake *fake;

/* Up to a driver that agreed on @features. */
int open_device(const char *params, uint64_t features);
int teardown(void **state);

/* The driver's view of a field of the configuration, and its write. */
uint32_t config(unsigned offset);
int write_config32(uint32_t offset, uint32_t value);

/* A request of readable bytes, announced. */
struct alcor_fake_request *driver_send(uint16_t queue, const void *data, size_t len);
void driver_send_and_wait(uint16_t queue, const void *data, size_t len);
/* Has the host keep pages for a range. */
void touch(uint64_t gpa, uint64_t len);

/* Properties that are numbers. */
uint64_t get(const char *name);
int set(const char *name, uint64_t number);

#define TEST(fn) cmocka_unit_test_teardown(fn, teardown)

#endif
