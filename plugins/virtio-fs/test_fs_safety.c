/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest must not be able to do: leave the directory, write where it may not, use up the
 * program's descriptors, or disturb the device with messages that make no sense. */
#include "test_fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NO_REPLY 1

static void test_names_that_lead_out(void **state)
{
	static const char *const names[] = { "..", ".", "../outside", "/etc", "d/..", "" };
	struct fuse_mkdir_in dir_in = { .mode = 0755 };
	struct fuse_mknod_in node_in = { .mode = S_IFREG | 0644 };
	struct fuse_rename_in rename_in = { ROOT };
	struct fuse_link_in link_in;
	uint64_t node, fh;

	assert_int_equal(mkdir("share/d", 0755), 0);
	host_file("share/a", "A");
	mount_share("");
	link_in.oldnodeid = node_of("a");
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char two[64] = "a";
		size_t len = strlen(names[i]) + 1;

		memcpy(two + 2, names[i], len);
		assert_int_equal(lookup(node_of("d"), names[i], &node), -EINVAL);
		assert_int_equal(create_file(ROOT, names[i], O_RDWR, 0600, &node, &fh), -EINVAL);
		assert_int_equal(OP_NAME(FUSE_MKDIR, ROOT, dir_in, names[i]), -EINVAL);
		assert_int_equal(OP_NAME(FUSE_MKNOD, ROOT, node_in, names[i]), -EINVAL);
		assert_int_equal(OP_NAME(FUSE_LINK, ROOT, link_in, names[i]), -EINVAL);
		assert_int_equal(OP_ONLY_NAME(FUSE_UNLINK, ROOT, names[i]), -EINVAL);
		assert_int_equal(OP_ONLY_NAME(FUSE_RMDIR, ROOT, names[i]), -EINVAL);
		assert_int_equal(
			op_names(FUSE_RENAME, ROOT, &rename_in, sizeof(rename_in), two, len + 2),
			-EINVAL);
	}
	assert_string_equal(host_text("share/a"), "A");
}

static void test_links_that_lead_out(void **state)
{
	char cwd[1024], target[1100];
	uint64_t link, node, fh;

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	snprintf(target, sizeof(target), "%s/outside", cwd);
	assert_int_equal(symlink("../outside", "share/relative"), 0);
	assert_int_equal(symlink(target, "share/absolute"), 0);
	assert_int_equal(symlink("../outside/secret", "share/file"), 0);
	mount_share("");
	for (const char *const *name = (const char *const[]){ "relative", "absolute", NULL }; *name;
	     name++) {
		link = node_of(*name);
		assert_true(S_ISLNK(attr_of(link).mode));
		assert_int_equal(lookup(link, "secret", &node), -ENOTDIR);
		assert_int_equal(create_file(link, "x", O_RDWR, 0600, &node, &fh), -ENOTDIR);
		assert_int_equal(open_dir(link, &fh), -ENOTDIR);
	}
	assert_int_equal(open_node(node_of("file"), O_RDONLY, &fh), -ELOOP);
	assert_int_equal(create_file(ROOT, "file", O_RDWR | O_TRUNC, 0600, &node, &fh), -ELOOP);
	assert_string_equal(host_text("outside/secret"), "secret");
}

/* The host, or a second guest, exchanges what the guest looked up. */
static void test_swapped_for_a_link(void **state)
{
	uint64_t dir, file, node, fh;

	assert_int_equal(mkdir("share/d", 0755), 0);
	host_file("share/f", "mine");
	mount_share("");
	dir = node_of("d");
	file = node_of("f");
	assert_int_equal(rename("share/d", "share/moved"), 0);
	assert_int_equal(symlink("../outside", "share/d"), 0);
	assert_int_equal(rename("share/f", "share/g"), 0);
	assert_int_equal(symlink("../outside/secret", "share/f"), 0);
	assert_int_equal(create_file(dir, "new", O_RDWR, 0600, &node, &fh), 0);
	assert_int_equal(access("outside/new", F_OK), -1);
	assert_int_equal(access("share/moved/new", F_OK), 0);
	assert_int_equal(lookup(dir, "secret", &node), -ENOENT);
	assert_int_equal(open_node(file, O_RDWR | O_TRUNC, &fh), 0);
	assert_int_equal(write_file(fh, 0, "x", 1), 1);
	assert_string_equal(host_text("share/g"), "x");
	assert_string_equal(host_text("outside/secret"), "secret");
}

static void test_special_files_are_not_opened(void **state)
{
	struct fuse_setattr_in size = { .valid = FATTR_SIZE };
	uint64_t node, fh;

	assert_int_equal(mkfifo("share/p", 0666), 0);
	assert_int_equal(mknod("share/s", S_IFSOCK | 0666, 0), 0);
	mount_share("");
	for (const char *const *name = (const char *const[]){ "p", "s", NULL }; *name; name++) {
		assert_int_equal(open_node(node_of(*name), O_RDWR, &fh), -ENXIO);
		assert_int_equal(OP(FUSE_SETATTR, node_of(*name), size), -ENXIO);
		assert_int_equal(create_file(ROOT, *name, O_RDWR, 0600, &node, &fh), -ENXIO);
	}
	assert_int_equal(open_node(ROOT, O_RDONLY, &fh), -EISDIR);
}

static void test_readonly(void **state)
{
	struct fuse_mkdir_in dir_in = { .mode = 0755 };
	struct fuse_rename_in rename_in = { ROOT };
	struct fuse_setattr_in mode = { .valid = FATTR_MODE, .mode = 0 };
	struct fuse_access_in access_in = { .mask = W_OK };
	struct fuse_link_in link_in;
	uint64_t a, node, fh;
	struct stat st;

	host_file("share/a", "A");
	mount_share("readonly=on");
	link_in.oldnodeid = a = node_of("a");
	assert_int_equal(create_file(ROOT, "x", O_RDWR, 0600, &node, &fh), -EROFS);
	assert_int_equal(create_file(ROOT, "a", O_RDONLY, 0600, &node, &fh), -EROFS);
	assert_int_equal(OP_NAME(FUSE_MKDIR, ROOT, dir_in, "x"), -EROFS);
	assert_int_equal(OP_ONLY_NAME(FUSE_UNLINK, ROOT, "a"), -EROFS);
	assert_int_equal(OP_NAMES(FUSE_RENAME, ROOT, rename_in, "a\0b"), -EROFS);
	assert_int_equal(OP_NAME(FUSE_LINK, ROOT, link_in, "b"), -EROFS);
	assert_int_equal(op_names(FUSE_SYMLINK, ROOT, NULL, 0, "l\0b", 4), -EROFS);
	assert_int_equal(OP(FUSE_SETATTR, a, mode), -EROFS);
	assert_int_equal(OP(FUSE_ACCESS, a, access_in), -EROFS);
	assert_int_equal(open_node(a, O_WRONLY, &fh), -EROFS);
	assert_int_equal(open_node(a, O_RDWR, &fh), -EROFS);
	assert_int_equal(open_node(a, O_RDONLY | O_TRUNC, &fh), -EROFS);
	assert_int_equal(open_node(a, O_RDONLY, &fh), 0);
	assert_int_equal(write_file(fh, 0, "x", 1), -EROFS);
	assert_int_equal(read_file(fh, 0, 10), 0);
	assert_memory_equal(reply.data, "A", 1);
	assert_int_equal(stat("share/a", &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_string_equal(host_text("share/a"), "A");
}

static void test_squash(void **state)
{
	struct fuse_setattr_in in = { .valid = FATTR_UID, .uid = 5 };
	uint64_t node, fh;
	struct stat st;

	mount_share("owner=squash");
	umask(077); /* of the program: not the guest's */
	assert_int_equal(create_file(ROOT, "f", O_RDWR, 0640, &node, &fh), 0);
	assert_int_equal(attr_of(node).uid, 0);
	assert_int_equal(attr_of(node).gid, 0);
	assert_int_equal(stat("share/f", &st), 0);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(OP(FUSE_SETATTR, node, in), -EPERM);
	in.uid = 0;
	assert_int_equal(OP(FUSE_SETATTR, node, in), 0);
	if (geteuid() != 0)
		return;
	assert_int_equal(chown("share/f", 33, 44), 0);
	assert_int_equal(attr_of(node).uid, 0);
	assert_int_equal(attr_of(node).gid, 0);
}

static void test_xattr(void **state)
{
	struct {
		uint32_t size, flags;
		char text[18];
	} set = { 4, 0, "user.alcor\0abcd" };
	struct fuse_getxattr_in get = { .size = 0 };
	uint64_t a;
	bool usable;

	host_file("share/a", "");
	usable = setxattr("share/a", "user.probe", "x", 1, 0) == 0;
	mount_share("");
	a = node_of("a");
	assert_int_equal(op(FUSE_SETXATTR, a, &set, 8 + 15), -ENOSYS);
	assert_int_equal(OP_NAME(FUSE_GETXATTR, a, get, "user.alcor"), -ENOSYS);
	assert_int_equal(OP(FUSE_LISTXATTR, a, get), -ENOSYS);
	mount_share("xattr=on");
	a = node_of("a");
	assert_int_equal(op(FUSE_SETXATTR, a, &set, 8 + 15), usable ? 0 : -EOPNOTSUPP);
	assert_int_equal(op(FUSE_SETXATTR, a, &set, 8 + 14), -EINVAL);
	assert_int_equal(op(FUSE_SETXATTR, a, &set, 8 + 16), -EINVAL);
	set.flags = XATTR_CREATE;
	assert_int_equal(op(FUSE_SETXATTR, a, &set, 8 + 15), usable ? -EEXIST : -EOPNOTSUPP);
	assert_int_equal(OP_NAME(FUSE_GETXATTR, a, get, "security.capability"), -EOPNOTSUPP);
	assert_int_equal(OP_NAME(FUSE_GETXATTR, a, get, "trusted.x"), -EOPNOTSUPP);
	SAME(OP_NAME(FUSE_GETXATTR, a, get, "user.none"),
	     getxattr("share/a", "user.none", NULL, 0));
	if (!usable)
		return;
	assert_int_equal(OP_NAME(FUSE_GETXATTR, a, get, "user.alcor"), 0);
	assert_int_equal(reply.data[0], 4);
	get.size = 3;
	assert_int_equal(OP_NAME(FUSE_GETXATTR, a, get, "user.alcor"), -ERANGE);
	get.size = 100;
	assert_int_equal(OP_NAME(FUSE_GETXATTR, a, get, "user.alcor"), 0);
	assert_int_equal(reply.len, 4);
	assert_memory_equal(reply.data, "abcd", 4);
	if (geteuid() == 0)
		assert_int_equal(setxattr("share/a", "trusted.x", "y", 1, 0), 0);
	assert_int_equal(OP(FUSE_LISTXATTR, a, get), 0);
	assert_int_equal(reply.len, 22);
	assert_int_equal(OP_ONLY_NAME(FUSE_REMOVEXATTR, a, "user.alcor"), 0);
	assert_int_equal(OP_ONLY_NAME(FUSE_REMOVEXATTR, a, "user.alcor"), -ENODATA);
}

struct hostile {
	const char *what;
	uint32_t opcode;
	uint64_t node;
	const char *body;
	uint32_t body_len;
	uint32_t len_off; /* what the length in the header lies by */
	uint32_t in_len;
	int expected;
};

#define BODY(text) text, sizeof(text) - 1
#define ROOM	   65536

static const char zeroes[8192];

/* "g" is node 2, with the handle 1; handle 2 is the root directory. */
static const struct hostile hostiles[] = {
	{ "length too large", FUSE_LOOKUP, ROOT, BODY("a\0"), 1, ROOM, -EINVAL },
	{ "length too small", FUSE_LOOKUP, ROOT, BODY("a\0"), -1u, ROOM, -EINVAL },
	{ "length of the header", FUSE_LOOKUP, ROOT, BODY("a\0"), -2u, ROOM, -EINVAL },
	{ "length huge", FUSE_LOOKUP, ROOT, BODY("a\0"), 1u << 31, ROOM, -EINVAL },
	{ "no room", FUSE_LOOKUP, ROOT, BODY("g\0"), 0, 0, NO_REPLY },
	{ "no room to make", FUSE_MKDIR, ROOT, BODY("\0\0\0\0\0\0\0\0bad\0"), 0, 0, NO_REPLY },
	{ "no room for the header", FUSE_GETATTR, ROOT, zeroes, 16, 0, 15, NO_REPLY },
	{ "room for the header", FUSE_LOOKUP, ROOT, BODY("g\0"), 0, 16, -EINVAL },
	{ "room too small", FUSE_LOOKUP, ROOT, BODY("g\0"), 0, 16 + 127, -EINVAL },
	{ "room too small to make", FUSE_MKDIR, ROOT, BODY("\0\0\0\0\0\0\0\0bad\0"), 0, 143,
	  -EINVAL },
	{ "room too small to create", FUSE_CREATE, ROOT,
	  BODY("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0bad\0"), 0, 16 + 128 + 15, -EINVAL },
	{ "no name", FUSE_LOOKUP, ROOT, "", 0, 0, ROOM, -EINVAL },
	{ "name without end", FUSE_LOOKUP, ROOT, BODY("abc"), 0, ROOM, -EINVAL },
	{ "two names for one", FUSE_LOOKUP, ROOT, BODY("a\0b\0"), 0, ROOM, -EINVAL },
	{ "bytes behind the name", FUSE_LOOKUP, ROOT, BODY("g\0\0"), 0, ROOM, -EINVAL },
	{ "many names", FUSE_LOOKUP, ROOT, zeroes, 8000, 0, ROOM, -ENAMETOOLONG },
	{ "one name for two", FUSE_RENAME, ROOT, BODY("\1\0\0\0\0\0\0\0a\0"), 0, ROOM, -EINVAL },
	{ "second name without end", FUSE_RENAME, ROOT, BODY("\1\0\0\0\0\0\0\0a\0b"), 0, ROOM,
	  -EINVAL },
	{ "link without target", FUSE_SYMLINK, ROOT, BODY("bad\0"), 0, ROOM, -EINVAL },
	{ "link without end", FUSE_SYMLINK, ROOT, BODY("bad\0x"), 0, ROOM, -EINVAL },
	{ "link to nothing", FUSE_SYMLINK, ROOT, BODY("bad\0\0"), 0, ROOM, -ENOENT },
	{ "opcode", 52, ROOT, zeroes, 64, 0, ROOM, -ENOSYS },
	{ "opcode too large", ~0u, ROOT, zeroes, 64, 0, ROOM, -ENOSYS },
	{ "opcode of another server", CUSE_INIT, ROOT, zeroes, 64, 0, ROOM, -ENOSYS },
	{ "opcode swapped", FUSE_INIT_BSWAP_RESERVED, ROOT, zeroes, 64, 0, ROOM, -ENOSYS },
	{ "node 0", FUSE_GETATTR, 0, zeroes, 16, 0, ROOM, -ESTALE },
	{ "node unknown", FUSE_GETATTR, 3, zeroes, 16, 0, ROOM, -ESTALE },
	{ "node huge", FUSE_GETATTR, ~0ull, zeroes, 16, 0, ROOM, -ESTALE },
	{ "node of another time", FUSE_GETATTR, 1ull << 32 | 1, zeroes, 16, 0, ROOM, -ESTALE },
	{ "node unknown, to read", FUSE_READLINK, 9, "", 0, 0, ROOM, -ESTALE },
	{ "node unknown, to open", FUSE_OPENDIR, 9, zeroes, 8, 0, ROOM, -ESTALE },
	{ "node unknown, to make in", FUSE_MKDIR, 9, BODY("\0\0\0\0\0\0\0\0bad\0"), 0, ROOM,
	  -ESTALE },
	{ "node unknown, to link", FUSE_LINK, ROOT, BODY("\x9\0\0\0\0\0\0\0bad\0"), 0, ROOM,
	  -ESTALE },
	{ "arguments missing", FUSE_GETATTR, ROOT, "", 0, 0, ROOM, -EINVAL },
	{ "arguments cut", FUSE_WRITE, 2, zeroes, 39, 0, ROOM, -EINVAL },
	{ "access mode", FUSE_OPEN, 2, BODY("\3\0\0\0\0\0\0\0"), 0, ROOM, -EINVAL },
	{ "handle 0", FUSE_READ, 2, zeroes, 40, 0, ROOM, -EBADF },
	{ "handle of a directory", FUSE_READ, 2,
	  BODY("\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0"
	       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
	  0, ROOM, -EBADF },
	{ "handle of a file", FUSE_READDIR, 1,
	  BODY("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0"
	       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
	  0, ROOM, -EBADF },
	{ "read beyond the room", FUSE_READ, 2,
	  BODY("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0"
	       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
	  0, ROOM, -EINVAL },
	{ "read far away", FUSE_READ, 2,
	  BODY("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80\1\0\0\0"
	       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
	  0, ROOM, -EINVAL },
	{ "write without data", FUSE_WRITE, 2,
	  BODY("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0"
	       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0x"),
	  0, ROOM, -EINVAL },
	{ "write far away", FUSE_WRITE, 2,
	  BODY("\1\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"
	       "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
	       "x"),
	  0, ROOM, -EINVAL },
	{ "forget the root", FUSE_FORGET, ROOT, BODY("\xff\xff\xff\xff\xff\xff\xff\xff"), 0, 0,
	  NO_REPLY },
	{ "forget nothing", FUSE_FORGET, 99, BODY("\xff\xff\xff\xff\xff\xff\xff\xff"), 0, ROOM,
	  NO_REPLY },
	{ "forget without a number", FUSE_FORGET, 2, BODY("\1"), 0, 0, NO_REPLY },
	{ "forget many that are not there", FUSE_BATCH_FORGET, 0, BODY("\2\0\0\0\0\0\0\0\2\0\0\0"),
	  0, 0, NO_REPLY },
	{ "forget too many", FUSE_BATCH_FORGET, 0, BODY("\xff\xff\xff\xff\0\0\0\0"), 0, 0,
	  NO_REPLY },
	{ "interrupt", FUSE_INTERRUPT, 0, zeroes, 8, 0, ROOM, NO_REPLY },
};

static int hostile_send(const struct hostile *hostile)
{
	static uint8_t out[sizeof(zeroes) + 64], in[ROOM];
	uint32_t len = (uint32_t)sizeof(struct fuse_in_header) + hostile->body_len, written;
	struct fuse_in_header header = {
		.len = len + hostile->len_off,
		.opcode = hostile->opcode,
		.unique = 0x1122334455667788,
		.nodeid = hostile->node,
	};
	struct fuse_out_header back;

	memcpy(out, &header, sizeof(header));
	memcpy(out + sizeof(header), hostile->body, hostile->body_len);
	written = message(out, len, in, hostile->in_len);
	if (written == 0)
		return NO_REPLY;
	memcpy(&back, in, sizeof(back));
	assert_int_equal(written, sizeof(back));
	assert_int_equal(back.len, written);
	assert_int_equal(back.unique, header.unique);
	return back.error;
}

static void test_hostile_messages(void **state)
{
	static uint8_t junk[39];
	uint64_t node, fh;

	host_file("share/g", "text");
	mount_share("");
	node = node_of("g");
	assert_int_equal(node, 2);
	assert_int_equal(open_node(node, O_RDWR, &fh), 0);
	assert_int_equal(fh, 1);
	assert_int_equal(open_dir(ROOT, &fh), 0);
	assert_int_equal(fh, 2);
	assert_int_equal(message(junk, 0, reply.data, 100), 0);
	assert_int_equal(message(junk, sizeof(junk), reply.data, 100), 0);
	for (unsigned i = 0; i < sizeof(hostiles) / sizeof(hostiles[0]); i++) {
		int got = hostile_send(&hostiles[i]);

		if (got != hostiles[i].expected)
			fail_msg("%s: %d, not %d", hostiles[i].what, got, hostiles[i].expected);
	}
	/* Nothing came of it. */
	assert_int_equal(access("share/bad", F_OK), -1);
	assert_int_equal(attr_of(node).size, 4);
	assert_int_equal(node_of("g"), node);
	assert_string_equal(host_text("share/g"), "text");
	/* More names forgotten than were given out. */
	forget(node, ~0ull);
	forget(node, ~0ull);
	assert_true(node_of("g") != node);
}

static void test_long_names(void **state)
{
	char name[300];
	uint64_t node, fh;

	memset(name, 'n', sizeof(name));
	mount_share("");
	name[255] = '\0';
	assert_int_equal(create_file(ROOT, name, O_RDWR, 0600, &node, &fh), 0);
	assert_int_equal(node_of(name), node);
	name[255] = 'n';
	name[256] = '\0';
	assert_int_equal(create_file(ROOT, name, O_RDWR, 0600, &node, &fh), -ENAMETOOLONG);
	assert_int_equal(lookup(ROOT, name, &node), -ENAMETOOLONG);
}

static void test_init(void **state)
{
	struct fuse_init_in in = { FUSE_KERNEL_VERSION, 38, 1u << 30, ~0u };
	struct fuse_getattr_in getattr = { 0 };
	struct fuse_init_out out;
	unsigned n_fds;
	uint64_t node, fh;

	host_file("share/a", "");
	start("");
	assert_int_equal(lookup(ROOT, "a", &node), -EIO);
	in.major = 6;
	assert_int_equal(OP(FUSE_INIT, 0, in), -EPROTO);
	in.major = FUSE_KERNEL_VERSION + 1;
	assert_int_equal(OP(FUSE_INIT, 0, in), 0);
	memcpy(&out, reply.data, sizeof(out));
	assert_int_equal(out.major, FUSE_KERNEL_VERSION);
	assert_int_equal(lookup(ROOT, "a", &node), -EIO);
	in.major = FUSE_KERNEL_VERSION;
	in.minor = 12;
	assert_int_equal(OP(FUSE_INIT, 0, in), -EPROTO);
	in.minor = 31;
	in.flags &= ~(uint32_t)FUSE_ASYNC_READ;
	assert_int_equal(op(FUSE_INIT, 0, &in, 16), 0);
	memcpy(&out, reply.data, sizeof(out));
	assert_int_equal(out.minor, 31);
	assert_int_equal(out.max_write, 1u << 20);
	assert_int_equal(out.max_pages, 256);
	assert_int_equal(out.time_gran, 1);
	assert_true(out.max_readahead <= 1u << 20);
	assert_int_equal(out.flags & (FUSE_ASYNC_READ | FUSE_DONT_MASK | FUSE_POSIX_LOCKS), 0);
	assert_int_equal(out.flags & FUSE_MAX_PAGES, FUSE_MAX_PAGES);
	n_fds = count_fds();
	assert_int_equal(lookup(ROOT, "a", &node), 0);
	assert_int_equal(open_node(node, O_RDONLY, &fh), 0);
	assert_int_equal(count_fds(), n_fds + 2);
	/* Mounted again: what was before is closed. */
	assert_int_equal(OP(FUSE_INIT, 0, in), 0);
	assert_int_equal(count_fds(), n_fds);
	assert_int_equal(OP(FUSE_GETATTR, node, getattr), -ESTALE);
	assert_int_equal(release(fh), -EBADF);
	assert_int_equal(lookup(ROOT, "a", &node), 0);
	assert_int_equal(op(FUSE_DESTROY, 0, NULL, 0), 0);
	assert_int_equal(count_fds(), n_fds);
	assert_int_equal(lookup(ROOT, "a", &node), -EIO);
}

static void test_many_files_do_not_grow(void **state)
{
	uint64_t node, fh, max_node = 0, max_fh = 0;
	unsigned n_fds;

	mount_share("");
	n_fds = count_fds();
	for (unsigned i = 0; i < 20000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%u", i % 7);
		assert_int_equal(create_file(ROOT, name, O_RDWR, 0600, &node, &fh), 0);
		max_node = (uint32_t)node > max_node ? (uint32_t)node : max_node;
		max_fh = (uint32_t)fh > max_fh ? (uint32_t)fh : max_fh;
		assert_int_equal(release(fh), 0);
		assert_int_equal(OP_ONLY_NAME(FUSE_UNLINK, ROOT, name), 0);
		forget(node, 1);
	}
	assert_int_equal(max_node, 2); /* beside the root */
	assert_int_equal(max_fh, 1);
	assert_int_equal(count_fds(), n_fds);
}

static void test_numbers_are_used_again(void **state)
{
	uint64_t nodes[7];

	for (unsigned i = 0; i < 7; i++) {
		char path[] = "share/0";

		path[6] = (char)('0' + i);
		host_file(path, "");
	}
	mount_share("");
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 7; i++) {
			nodes[i] = node_of((char[2]){ (char)('0' + i) });
			assert_in_range((uint32_t)nodes[i], 2, 8);
		}
		for (unsigned i = 0; i < 7; i++)
			forget(nodes[i * 3 % 7], 1);
	}
}

/* Runs last: the limits of the program do not rise again. */
static void test_descriptors_are_bounded(void **state)
{
	struct fuse_mkdir_in dir_in = { .mode = 0755 };
	struct rlimit limit = { 300, 700 };
	static uint64_t nodes[700], handles[700];
	unsigned n = 0, n_handles = 0;
	uint64_t fh;
	int ret = 0;

	for (unsigned i = 0; i < 700; i++) {
		char path[32];

		snprintf(path, sizeof(path), "share/f%u", i);
		host_file(path, "x");
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	mount_share("");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(limit.rlim_cur, 700);
	for (; n < 700 && ret == 0; n++) {
		char name[32];

		snprintf(name, sizeof(name), "f%u", n);
		ret = lookup(ROOT, name, &nodes[n]);
	}
	assert_int_equal(ret, -ENFILE);
	assert_in_range(n, 400, 444);
	assert_int_equal(open_node(nodes[0], O_RDONLY, &fh), -ENFILE);
	assert_int_equal(create_file(ROOT, "new", O_RDWR, 0600, &nodes[699], &fh), -ENFILE);
	assert_int_equal(access("share/new", F_OK), -1);
	assert_int_equal(OP_NAME(FUSE_MKDIR, ROOT, dir_in, "new"), -ENFILE);
	assert_int_equal(access("share/new", F_OK), -1);
	assert_int_equal(op_names(FUSE_SYMLINK, ROOT, NULL, 0, "new\0x", 6), -ENFILE);
	assert_int_equal(unlink("share/new"), -1);
	assert_int_equal(attr_of(nodes[7]).size, 1); /* the others are still served */
	for (unsigned i = 1; i < 200; i++)
		forget(nodes[i], 1);
	for (ret = 0; n_handles < 700 && ret == 0; n_handles++)
		ret = open_node(nodes[0], O_RDONLY, &handles[n_handles]);
	assert_int_equal(ret, -ENFILE);
	assert_in_range(n_handles, 190, 200);
	assert_int_equal(release(handles[5]), 0);
	assert_int_equal(open_node(nodes[0], O_RDONLY, &fh), 0);
	assert_int_equal(read_file(fh, 0, 5), 0);
	assert_int_equal(reply.len, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_names_that_lead_out),
		TEST(test_links_that_lead_out),
		TEST(test_swapped_for_a_link),
		TEST(test_special_files_are_not_opened),
		TEST(test_readonly),
		TEST(test_squash),
		TEST(test_xattr),
		TEST(test_hostile_messages),
		TEST(test_long_names),
		TEST(test_init),
		TEST(test_many_files_do_not_grow),
		TEST(test_numbers_are_used_again),
		TEST(test_descriptors_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
