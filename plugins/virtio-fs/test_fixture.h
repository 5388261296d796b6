/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of virtio-fs share: a device on a directory "share", beside it "twin", where the
 * host does what the guest is to see, and "outside", which no guest may reach. */
#ifndef ALCOR_PLUGINS_VIRTIO_FS_TEST_FIXTURE_H
#define ALCOR_PLUGINS_VIRTIO_FS_TEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/fuse.h>

#include "alcor_testing.h"

#define ROOT FUSE_ROOT_ID

/* The payload of the last reply. */
struct reply {
	uint64_t unique;
	uint32_t len;
	uint8_t data[(1u << 20) + 4096];
};

extern struct alcor_fake *fake;
extern struct reply reply;
/* Bytes that a buffer of the guest has at most; 0: as large as they come. */
extern size_t piece_len;

int setup(void **state);
int teardown(void **state);

int create(const char *params);
/* A device that works, not mounted yet; "share,tag=t" and what @more says. */
void start(const char *more);
/* As start(), and mounted. */
void mount_share(const char *more);

/* One message as it is, on queue 1: bytes written. */
uint32_t message(const void *out, size_t out_len, void *in, size_t in_len);
/* A message of an operation: the error of its reply, 0 or negative. @names: with their NULs. */
int op_names(uint32_t opcode, uint64_t node, const void *arg, size_t len, const char *names,
	     size_t names_len);
int op(uint32_t opcode, uint64_t node, const void *arg, size_t len);
#define OP(opcode, node, arg)	      op(opcode, node, &(arg), sizeof(arg))
#define OP_NAME(opcode, node, arg, n) op_names(opcode, node, &(arg), sizeof(arg), n, strlen(n) + 1)
#define OP_ONLY_NAME(opcode, node, n) op_names(opcode, node, NULL, 0, n, strlen(n) + 1)
/* Literals: "old\0new" */
#define OP_NAMES(opcode, node, arg, n) op_names(opcode, node, &(arg), sizeof(arg), n, sizeof(n))

int lookup(uint64_t dir, const char *name, uint64_t *ret_node);
uint64_t node_of(const char *name); /* in the root; must be there */
void forget(uint64_t node, uint64_t n);
struct fuse_attr attr_of(uint64_t node);
int open_node(uint64_t node, uint32_t flags, uint64_t *ret_fh);
int open_dir(uint64_t node, uint64_t *ret_fh);
int create_file(uint64_t dir, const char *name, uint32_t flags, uint32_t mode, uint64_t *ret_node,
		uint64_t *ret_fh);
int read_file(uint64_t fh, uint64_t offset, uint32_t size);
int write_file(uint64_t fh, uint64_t offset, const void *data, uint32_t size);
int release(uint64_t fh);
unsigned count_fds(void);

void host_file(const char *path, const char *text);
/* The text of a file of the host. */
const char *host_text(const char *path);

/* The guest gets what the host's system call gives: 0 or its error. */
#define SAME(guest, host)                                 \
	do {                                              \
		int got_ = (guest), expected_;            \
		expected_ = (int)(host) < 0 ? -errno : 0; \
		assert_int_equal(got_, expected_);        \
	} while (0)

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
