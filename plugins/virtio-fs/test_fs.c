/* SPDX-License-Identifier: Apache-2.0 */
/* Operations: each is compared with what the same system call does on the host. */
#include "test_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void test_attributes(void **state)
{
	struct fuse_attr attr;
	struct stat st;

	mount_share("");
	host_file("share/a", "hello");
	assert_int_equal(chmod("share/a", 0640), 0);
	assert_int_equal(symlink("target", "share/l"), 0);
	assert_int_equal(mkdir("share/d", 0700), 0);
	assert_int_equal(mkfifo("share/f", 0600), 0);
	for (const char *const *name = (const char *const[]){ "a", "l", "d", "f", NULL }; *name;
	     name++) {
		char path[32];

		snprintf(path, sizeof(path), "share/%s", *name);
		assert_int_equal(lstat(path, &st), 0);
		attr = attr_of(node_of(*name));
		assert_int_equal(attr.ino, st.st_ino);
		assert_int_equal(attr.mode, st.st_mode);
		assert_int_equal(attr.size, st.st_size);
		assert_int_equal(attr.blocks, st.st_blocks);
		assert_int_equal(attr.nlink, st.st_nlink);
		assert_int_equal(attr.uid, st.st_uid);
		assert_int_equal(attr.gid, st.st_gid);
		assert_int_equal(attr.mtime, st.st_mtim.tv_sec);
		assert_int_equal(attr.mtimensec, st.st_mtim.tv_nsec);
		assert_int_equal(attr.blksize, st.st_blksize);
	}
	assert_int_equal(stat("share", &st), 0);
	assert_int_equal(attr_of(ROOT).ino, st.st_ino);
}

static void test_lookup_counts(void **state)
{
	struct fuse_getattr_in in = { 0 };
	unsigned n_fds;
	uint64_t a, b;

	mount_share("");
	host_file("share/a", "");
	assert_int_equal(link("share/a", "share/b"), 0);
	a = node_of("a");
	n_fds = count_fds();
	b = node_of("b");
	assert_int_equal(a, b); /* one file */
	node_of("a");
	assert_int_equal(count_fds(), n_fds);
	forget(a, 2);
	assert_int_equal(OP(FUSE_GETATTR, a, in), 0);
	forget(a, 1);
	assert_int_equal(OP(FUSE_GETATTR, a, in), -ESTALE);
	b = node_of("a");
	assert_true(a != b); /* the old number stays dead */
	assert_int_equal(OP(FUSE_GETATTR, a, in), -ESTALE);
	assert_int_equal(OP(FUSE_GETATTR, b, in), 0);
}

static void test_batch_forget(void **state)
{
	struct fuse_getattr_in in = { 0 };
	uint64_t a, b;
	struct {
		struct fuse_in_header header;
		struct fuse_batch_forget_in batch;
		struct fuse_forget_one one[3];
	} out = { .header = { .len = sizeof(out), .opcode = FUSE_BATCH_FORGET },
		  .batch = { .count = 3 } };

	mount_share("");
	host_file("share/a", "");
	host_file("share/b", "");
	a = node_of("a");
	b = node_of("b");
	node_of("b");
	out.one[0] = (struct fuse_forget_one){ a, 1 };
	out.one[1] = (struct fuse_forget_one){ 77, 1 };
	out.one[2] = (struct fuse_forget_one){ b, 1 };
	assert_int_equal(message(&out, sizeof(out), NULL, 0), 0);
	assert_int_equal(OP(FUSE_GETATTR, a, in), -ESTALE);
	assert_int_equal(OP(FUSE_GETATTR, b, in), 0);
}

static void test_create_and_data(void **state)
{
	char pattern[5000], text[16];
	uint64_t node, fh, fh2;

	mount_share("");
	for (unsigned i = 0; i < sizeof(pattern); i++)
		pattern[i] = (char)(i * 7 + i / 251);
	assert_int_equal(create_file(ROOT, "new", O_RDWR | O_EXCL, 0640, &node, &fh), 0);
	assert_int_equal(write_file(fh, 0, pattern, sizeof(pattern)), sizeof(pattern));
	assert_int_equal(attr_of(node).size, sizeof(pattern));
	assert_int_equal(read_file(fh, 100, 10000), 0);
	assert_int_equal(reply.len, sizeof(pattern) - 100);
	assert_memory_equal(reply.data, pattern + 100, reply.len);
	assert_int_equal(read_file(fh, 4, 3), 0);
	assert_int_equal(reply.len, 3);
	assert_int_equal(read_file(fh, 9999, 10), 0);
	assert_int_equal(reply.len, 0);
	assert_int_equal(create_file(ROOT, "new", O_RDWR | O_EXCL, 0640, &node, &fh2), -EEXIST);
	assert_int_equal(create_file(ROOT, "new", O_RDWR | O_TRUNC, 0600, &node, &fh2), 0);
	assert_int_equal(attr_of(node).size, 0);
	assert_int_equal(attr_of(node).mode, S_IFREG | 0640);
	assert_int_equal(write_file(fh2, 2, "xy", 2), 2);
	assert_int_equal(release(fh), 0);
	assert_int_equal(release(fh), -EBADF);
	assert_int_equal(read_file(fh, 0, 4), -EBADF);
	assert_int_equal(read_file(fh2, 0, 9), 0);
	assert_int_equal(reply.len, 4);
	memcpy(text, reply.data, 4);
	assert_memory_equal(text, "\0\0xy", 4);
	assert_int_equal(open_node(node, O_WRONLY | O_APPEND, &fh), 0);
	assert_int_equal(write_file(fh, 0, "z", 1), 1);
	assert_int_equal(read_file(fh, 0, 1), -EBADF);
	assert_int_equal(attr_of(node).size, 5);
	assert_int_equal(open_node(node, O_RDONLY, &fh), 0);
	assert_int_equal(write_file(fh, 0, "z", 1), -EBADF);
}

/* Buffers of the guest in small pieces, headers and names among them. */
static void test_pieces(void **state)
{
	static const size_t sizes[] = { 1, 3, 7, 16, 41 };
	uint64_t node, fh;

	for (unsigned i = 0; i < 5; i++) {
		char name[] = "file0", data[150], path[] = "share/file0";

		mount_share("");
		piece_len = sizes[i];
		name[4] = path[10] = (char)('0' + i);
		memset(data, 'a' + (int)i, sizeof(data));
		data[149] = '\0';
		assert_int_equal(create_file(ROOT, name, O_RDWR, 0600, &node, &fh), 0);
		assert_int_equal(write_file(fh, 0, data, 149), 149);
		assert_string_equal(host_text(path), data);
		assert_int_equal(read_file(fh, 1, 100), 0);
		assert_memory_equal(reply.data, data + 1, 100);
		piece_len = 0;
	}
}

static void test_large_transfer(void **state)
{
	uint32_t size = 1u << 20;
	uint8_t *data = malloc(size);
	uint64_t node, fh;

	for (uint32_t i = 0; i < size; i++)
		data[i] = (uint8_t)(i * 31 + (i >> 12));
	mount_share("");
	assert_int_equal(create_file(ROOT, "big", O_RDWR, 0600, &node, &fh), 0);
	assert_int_equal(write_file(fh, 4096, data, size), size);
	assert_int_equal(read_file(fh, 4096, size), 0);
	assert_int_equal(reply.len, size);
	assert_memory_equal(reply.data, data, size);
	free(data);
}

static void test_setattr(void **state)
{
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = S_IFREG | 0751 };
	uint64_t a, fh;
	struct stat st;

	mount_share("");
	host_file("share/a", "0123456789");
	assert_int_equal(symlink("a", "share/l"), 0);
	a = node_of("a");
	assert_int_equal(OP(FUSE_SETATTR, a, in), 0);
	stat("share/a", &st);
	assert_int_equal(st.st_mode, S_IFREG | 0751);
	in = (struct fuse_setattr_in){ .valid = FATTR_SIZE, .size = 4 };
	assert_int_equal(OP(FUSE_SETATTR, a, in), 0);
	assert_string_equal(host_text("share/a"), "0123");
	assert_int_equal(open_node(a, O_WRONLY, &fh), 0);
	in = (struct fuse_setattr_in){ .valid = FATTR_SIZE | FATTR_FH, .size = 2, .fh = fh };
	assert_int_equal(OP(FUSE_SETATTR, a, in), 0);
	assert_string_equal(host_text("share/a"), "01");
	in.fh++;
	assert_int_equal(OP(FUSE_SETATTR, a, in), -EBADF);
	in = (struct fuse_setattr_in){ .valid = FATTR_SIZE, .size = 1ull << 63 };
	assert_int_equal(OP(FUSE_SETATTR, a, in), -EINVAL);
	in.size = 0;
	assert_int_equal(OP(FUSE_SETATTR, ROOT, in), -EISDIR);
	in = (struct fuse_setattr_in){ .valid = FATTR_ATIME | FATTR_MTIME,
				       .atime = 1000,
				       .atimensec = 5,
				       .mtime = 2000,
				       .mtimensec = 7 };
	assert_int_equal(OP(FUSE_SETATTR, a, in), 0);
	stat("share/a", &st);
	assert_int_equal(st.st_atim.tv_sec, 1000);
	assert_int_equal(st.st_atim.tv_nsec, 5);
	assert_int_equal(st.st_mtim.tv_sec, 2000);
	assert_int_equal(st.st_mtim.tv_nsec, 7);
	in.mtimensec = 1000000000;
	assert_int_equal(OP(FUSE_SETATTR, a, in), -EINVAL);
	in.mtimensec = UTIME_OMIT;
	assert_int_equal(OP(FUSE_SETATTR, a, in), -EINVAL);
	in = (struct fuse_setattr_in){ .valid = FATTR_MTIME | FATTR_MTIME_NOW };
	assert_int_equal(OP(FUSE_SETATTR, a, in), 0);
	stat("share/a", &st);
	assert_int_equal(st.st_atim.tv_sec, 1000);
	assert_true(st.st_mtim.tv_sec > 2000);
	/* A link's own times, and not those of its target. */
	in = (struct fuse_setattr_in){ .valid = FATTR_MTIME, .mtime = 3000 };
	assert_int_equal(OP(FUSE_SETATTR, node_of("l"), in), 0);
	lstat("share/l", &st);
	assert_int_equal(st.st_mtim.tv_sec, 3000);
	stat("share/a", &st);
	assert_true(st.st_mtim.tv_sec > 3000);
	in = (struct fuse_setattr_in){ .valid = FATTR_MODE, .mode = 0600 };
	assert_int_equal(OP(FUSE_SETATTR, node_of("l"), in), -EOPNOTSUPP);
	in = (struct fuse_setattr_in){ .valid = FATTR_UID | FATTR_GID, .uid = 77, .gid = 78 };
	SAME(OP(FUSE_SETATTR, a, in), lchown("share/l", 77, 78));
	if (geteuid() == 0) {
		stat("share/a", &st);
		assert_int_equal(st.st_uid, 77);
		assert_int_equal(st.st_gid, 78);
	}
}

static void test_names(void **state)
{
	struct fuse_mkdir_in dir_in = { .mode = 0750 };
	struct fuse_mknod_in node_in = { .mode = S_IFREG | 0604 };
	struct stat st;

	mount_share("");
	umask(077); /* of the program: not the guest's */
	SAME(OP_NAME(FUSE_MKDIR, ROOT, dir_in, "d"), mkdir("twin/d", 0750));
	SAME(OP_NAME(FUSE_MKDIR, ROOT, dir_in, "d"), mkdir("twin/d", 0750));
	stat("share/d", &st);
	assert_int_equal(st.st_mode, S_IFDIR | 0750);
	SAME(OP_NAME(FUSE_MKNOD, ROOT, node_in, "r"), mknod("twin/r", S_IFREG | 0604, 0));
	SAME(OP_NAME(FUSE_MKNOD, ROOT, node_in, "r"), mknod("twin/r", S_IFREG | 0604, 0));
	stat("share/r", &st);
	assert_int_equal(st.st_mode, S_IFREG | 0604);
	assert_int_equal(st.st_uid, geteuid() ? geteuid() : 1234);
	assert_int_equal(st.st_gid, geteuid() ? getegid() : 4321);
	node_in.mode = S_IFIFO | 0644;
	assert_int_equal(OP_NAME(FUSE_MKNOD, ROOT, node_in, "p"), 0);
	stat("share/p", &st);
	assert_int_equal(st.st_mode, S_IFIFO | 0644);
	node_in.mode = S_IFSOCK | 0600;
	assert_int_equal(OP_NAME(FUSE_MKNOD, ROOT, node_in, "s"), 0);
	node_in = (struct fuse_mknod_in){ .mode = S_IFCHR | 0600, .rdev = makedev(1, 3) };
	assert_int_equal(OP_NAME(FUSE_MKNOD, ROOT, node_in, "null"), -EPERM);
	node_in.mode = S_IFBLK | 0600;
	assert_int_equal(OP_NAME(FUSE_MKNOD, ROOT, node_in, "null"), -EPERM);
	assert_int_equal(access("share/null", F_OK), -1);
	SAME(OP_ONLY_NAME(FUSE_UNLINK, ROOT, "d"), unlink("twin/d"));
	SAME(OP_ONLY_NAME(FUSE_RMDIR, ROOT, "r"), rmdir("twin/r"));
	SAME(OP_ONLY_NAME(FUSE_UNLINK, ROOT, "none"), unlink("twin/none"));
	SAME(OP_NAME(FUSE_MKDIR, node_of("d"), dir_in, "e"), mkdir("twin/d/e", 0700));
	SAME(OP_ONLY_NAME(FUSE_RMDIR, ROOT, "d"), rmdir("twin/d"));
	SAME(OP_ONLY_NAME(FUSE_RMDIR, node_of("d"), "e"), rmdir("twin/d/e"));
	SAME(OP_ONLY_NAME(FUSE_RMDIR, ROOT, "d"), rmdir("twin/d"));
	SAME(OP_NAME(FUSE_MKDIR, node_of("r"), dir_in, "x"), mkdir("twin/r/x", 0700));
	SAME(OP_ONLY_NAME(FUSE_UNLINK, ROOT, "r"), unlink("twin/r"));
	assert_int_equal(access("share/r", F_OK), -1);
}

static void test_setgid_directory(void **state)
{
	struct fuse_mkdir_in dir_in = { .mode = 0755 };
	uint64_t node, fh;
	struct stat st;

	mount_share("");
	assert_int_equal(mkdir("share/g", 0755), 0);
	assert_int_equal(chmod("share/g", 02755), 0);
	assert_int_equal(create_file(node_of("g"), "f", O_WRONLY, 0644, &node, &fh), 0);
	assert_int_equal(OP_NAME(FUSE_MKDIR, node_of("g"), dir_in, "d"), 0);
	stat("share/g/f", &st);
	assert_int_equal(st.st_gid, getegid());
	stat("share/g/d", &st);
	assert_int_equal(st.st_mode, S_IFDIR | 02755);
}

static void test_links(void **state)
{
	struct fuse_link_in in;
	uint64_t a, l;
	struct stat st;

	mount_share("");
	host_file("share/a", "text");
	assert_int_equal(op_names(FUSE_SYMLINK, ROOT, NULL, 0, "l\0../outside", 13), 0);
	l = node_of("l");
	assert_int_equal(op(FUSE_READLINK, l, NULL, 0), 0);
	assert_int_equal(reply.len, 10);
	assert_memory_equal(reply.data, "../outside", 10);
	a = node_of("a");
	SAME(op(FUSE_READLINK, a, NULL, 0), readlink("share/a", (char[8]){ 0 }, 8));
	assert_int_equal(op_names(FUSE_SYMLINK, ROOT, NULL, 0, "l\0b", 4), -EEXIST);
	in.oldnodeid = a;
	assert_int_equal(OP_NAME(FUSE_LINK, ROOT, in, "b"), 0);
	stat("share/b", &st);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(node_of("b"), a);
	assert_int_equal(OP_NAME(FUSE_LINK, ROOT, in, "b"), -EEXIST);
	in.oldnodeid = l;
	assert_int_equal(OP_NAME(FUSE_LINK, ROOT, in, "l2"), 0);
	lstat("share/l2", &st);
	assert_true(S_ISLNK(st.st_mode));
	in.oldnodeid = ROOT;
	SAME(OP_NAME(FUSE_LINK, ROOT, in, "x"), link("twin", "twin/x"));
	in.oldnodeid = 999;
	assert_int_equal(OP_NAME(FUSE_LINK, ROOT, in, "x"), -ESTALE);
}

static void test_rename(void **state)
{
	struct fuse_rename_in in = { ROOT };
	struct fuse_rename2_in in2 = { .newdir = ROOT, .flags = RENAME_NOREPLACE };
	uint64_t a;

	mount_share("");
	host_file("share/a", "A");
	host_file("share/b", "B");
	assert_int_equal(mkdir("share/d", 0755), 0);
	a = node_of("a");
	assert_int_equal(OP_NAMES(FUSE_RENAME2, ROOT, in2, "a\0b"), -EEXIST);
	in2.flags = RENAME_EXCHANGE;
	assert_int_equal(OP_NAMES(FUSE_RENAME2, ROOT, in2, "a\0b"), 0);
	assert_string_equal(host_text("share/a"), "B");
	assert_int_equal(node_of("b"), a);
	in2.flags = RENAME_WHITEOUT;
	assert_int_equal(OP_NAMES(FUSE_RENAME2, ROOT, in2, "a\0c"), -EINVAL);
	in2.flags = 1u << 31;
	assert_int_equal(OP_NAMES(FUSE_RENAME2, ROOT, in2, "a\0c"), -EINVAL);
	assert_int_equal(OP_NAMES(FUSE_RENAME, ROOT, in, "a\0b"), 0);
	assert_string_equal(host_text("share/b"), "B");
	assert_int_equal(OP_NAMES(FUSE_RENAME, ROOT, in, "a\0b"), -ENOENT);
	in.newdir = node_of("d");
	assert_int_equal(OP_NAMES(FUSE_RENAME, ROOT, in, "b\0in"), 0);
	assert_string_equal(host_text("share/d/in"), "B");
	assert_int_equal(OP_NAMES(FUSE_RENAME, ROOT, in, "d\0d"), -EINVAL);
	in.newdir = 12345;
	assert_int_equal(OP_NAMES(FUSE_RENAME, ROOT, in, "d\0d"), -ESTALE);
	assert_int_equal(attr_of(a).nlink, 0); /* replaced, and still known */
}

#define N_ENTRIES 300

struct seen {
	unsigned times[N_ENTRIES], dots;
	uint64_t offsets[N_ENTRIES + 2];
	unsigned n;
};

/* Takes the entries of a reply; the offset behind the last. */
static uint64_t entries_take(struct seen *seen, bool plus)
{
	uint64_t offset = 0;

	for (size_t at = 0; at < reply.len;) {
		struct fuse_dirent dirent;
		struct fuse_entry_out entry = { .nodeid = ROOT };
		char name[256] = "";

		if (plus)
			memcpy(&entry, reply.data + at, sizeof(entry));
		at += plus ? sizeof(entry) : 0;
		memcpy(&dirent, reply.data + at, sizeof(dirent));
		memcpy(name, reply.data + at + sizeof(dirent), dirent.namelen);
		at += FUSE_REC_ALIGN(sizeof(dirent) + dirent.namelen);
		offset = seen->offsets[seen->n++] = dirent.off;
		if (name[0] == '.') {
			seen->dots++;
			assert_true(!plus || entry.nodeid == 0);
			if (name[1] == '.') /* and not what lies above */
				assert_int_equal(dirent.ino, ROOT);
			continue;
		}
		seen->times[atoi(name + 1)]++;
		assert_int_equal(dirent.type, DT_REG);
		if (plus) {
			assert_int_equal(entry.attr.size, atoi(name + 1) % 10);
			forget(entry.nodeid, 1);
		}
	}
	return offset;
}

static void read_whole(uint64_t fh, uint32_t size, bool plus, struct seen *seen)
{
	struct fuse_read_in in = { .fh = fh, .size = size };

	memset(seen, 0, sizeof(*seen));
	for (;;) {
		assert_int_equal(OP(plus ? FUSE_READDIRPLUS : FUSE_READDIR, ROOT, in), 0);
		assert_true(reply.len <= size);
		if (!reply.len)
			break;
		in.offset = entries_take(seen, plus);
	}
	assert_int_equal(seen->dots, 2);
	for (unsigned i = 0; i < N_ENTRIES; i++)
		assert_int_equal(seen->times[i], 1);
}

static void test_readdir(void **state)
{
	struct fuse_read_in in = { .size = 4096 };
	struct fuse_release_in rel;
	static struct seen seen, rest;
	unsigned n_fds;
	uint64_t fh;

	for (unsigned i = 0; i < N_ENTRIES; i++) {
		char path[32];

		snprintf(path, sizeof(path), "share/e%u", i);
		host_file(path, &"123456789"[9 - i % 10]);
	}
	mount_share("");
	assert_int_equal(open_dir(ROOT, &fh), 0);
	n_fds = count_fds();
	read_whole(fh, 300, false, &seen);
	read_whole(fh, 1u << 20, false, &seen);
	read_whole(fh, 400, true, &rest);
	read_whole(fh, 65536, true, &rest);
	assert_int_equal(count_fds(), n_fds);
	/* From the middle, and back. */
	memset(&rest, 0, sizeof(rest));
	in.fh = fh;
	in.offset = seen.offsets[200];
	assert_int_equal(OP(FUSE_READDIR, ROOT, in), 0);
	entries_take(&rest, false);
	assert_int_equal(rest.offsets[0], seen.offsets[201]);
	in.offset = seen.offsets[3];
	memset(&rest, 0, sizeof(rest));
	assert_int_equal(OP(FUSE_READDIR, ROOT, in), 0);
	entries_take(&rest, false);
	assert_int_equal(rest.offsets[0], seen.offsets[4]);
	/* Too small for an entry is not the end of the directory. */
	in.size = 20;
	assert_int_equal(OP(FUSE_READDIR, ROOT, in), -EINVAL);
	in.offset = ~0ull;
	in.size = 4096;
	assert_int_equal(OP(FUSE_READDIR, ROOT, in), -EINVAL);
	rel = (struct fuse_release_in){ .fh = fh };
	assert_int_equal(OP(FUSE_RELEASE, ROOT, rel), -EBADF);
	assert_int_equal(OP(FUSE_RELEASEDIR, ROOT, rel), 0);
	assert_int_equal(OP(FUSE_RELEASEDIR, ROOT, rel), -EBADF);
	assert_int_equal(open_dir(node_of("e1"), &fh), -ENOTDIR);
}

static void test_space(void **state)
{
	struct fuse_fallocate_in in = { .length = 65536 };
	struct fuse_lseek_in seek = { .whence = SEEK_HOLE };
	struct fuse_copy_file_range_in copy = { .off_in = 1, .off_out = 2, .len = 3 };
	struct fuse_write_out out;
	uint64_t node, fh, at;

	mount_share("");
	assert_int_equal(create_file(ROOT, "f", O_RDWR, 0600, &node, &fh), 0);
	in.fh = seek.fh = copy.fh_in = copy.fh_out = fh;
	SAME(OP(FUSE_FALLOCATE, node, in), 0);
	assert_int_equal(attr_of(node).size, 65536);
	in.mode = FALLOC_FL_KEEP_SIZE;
	in.offset = 65536;
	SAME(OP(FUSE_FALLOCATE, node, in), 0);
	assert_int_equal(attr_of(node).size, 65536);
	assert_int_equal(write_file(fh, 0, "abcdefgh", 8), 8);
	in.mode = FALLOC_FL_COLLAPSE_RANGE;
	assert_int_equal(OP(FUSE_FALLOCATE, node, in), -EOPNOTSUPP);
	in.mode = 0;
	in.length = ~0ull;
	assert_int_equal(OP(FUSE_FALLOCATE, node, in), -EINVAL);
	assert_int_equal(OP(FUSE_LSEEK, node, seek), 0);
	memcpy(&at, reply.data, sizeof(at));
	assert_true(at <= 65536 && at > 0);
	seek.whence = SEEK_DATA;
	seek.offset = 1 << 20;
	assert_int_equal(OP(FUSE_LSEEK, node, seek), -ENXIO);
	seek.whence = SEEK_SET;
	assert_int_equal(OP(FUSE_LSEEK, node, seek), -EINVAL);
	assert_int_equal(create_file(ROOT, "g", O_RDWR, 0600, &node, &copy.fh_out), 0);
	assert_int_equal(OP(FUSE_COPY_FILE_RANGE, node, copy), 0);
	memcpy(&out, reply.data, sizeof(out));
	assert_int_equal(out.size, 3);
	assert_int_equal(read_file(copy.fh_out, 2, 8), 0);
	assert_int_equal(reply.len, 3);
	assert_memory_equal(reply.data, "bcd", 3);
	copy.flags = 1;
	assert_int_equal(OP(FUSE_COPY_FILE_RANGE, node, copy), -EINVAL);
	copy.flags = 0;
	copy.off_in = ~0ull;
	assert_true(OP(FUSE_COPY_FILE_RANGE, node, copy) < 0);
}

static void test_sync_and_more(void **state)
{
	struct fuse_fsync_in sync = { 0 };
	struct fuse_flush_in flush = { 0 };
	struct fuse_access_in access_in = { .mask = R_OK };
	struct fuse_create_in tmp = { .flags = O_RDWR, .mode = 0600 };
	struct fuse_statfs_out out;
	uint64_t node, fh, dir;
	struct fuse_entry_out entry;
	struct statvfs st;

	mount_share("");
	assert_int_equal(create_file(ROOT, "f", O_RDWR, 0600, &node, &fh), 0);
	assert_int_equal(open_dir(ROOT, &dir), 0);
	sync.fh = flush.fh = fh;
	assert_int_equal(OP(FUSE_FSYNC, node, sync), 0);
	assert_int_equal(OP(FUSE_FSYNCDIR, node, sync), -EBADF);
	sync.fsync_flags = FUSE_FSYNC_FDATASYNC;
	assert_int_equal(OP(FUSE_FSYNC, node, sync), 0);
	assert_int_equal(OP(FUSE_FLUSH, node, flush), 0);
	sync.fh = flush.fh = dir;
	assert_int_equal(OP(FUSE_FSYNCDIR, ROOT, sync), 0);
	assert_int_equal(OP(FUSE_FLUSH, ROOT, flush), -EBADF);
	assert_int_equal(op(FUSE_SYNCFS, ROOT, "\0\0\0\0\0\0\0", 8), 0);
	assert_int_equal(op(FUSE_STATFS, ROOT, NULL, 0), 0);
	memcpy(&out, reply.data, sizeof(out));
	assert_int_equal(statvfs("share", &st), 0);
	assert_int_equal(out.st.blocks, st.f_blocks);
	assert_int_equal(out.st.frsize, st.f_frsize);
	assert_int_equal(out.st.namelen, st.f_namemax);
	assert_int_equal(OP(FUSE_ACCESS, node, access_in), 0);
	access_in.mask = X_OK;
	assert_int_equal(OP(FUSE_ACCESS, node, access_in), -EACCES);
	access_in.mask = 8;
	assert_int_equal(OP(FUSE_ACCESS, node, access_in), -EINVAL);
	assert_int_equal(OP_NAME(FUSE_TMPFILE, ROOT, tmp, "x"), 0);
	memcpy(&entry, reply.data, sizeof(entry));
	assert_int_equal(entry.attr.nlink, 0);
	assert_int_equal(entry.attr.mode, S_IFREG | 0600);
}

static void test_without_replies(void **state)
{
	static const uint32_t unknown[] = { FUSE_GETLK, FUSE_SETLK, FUSE_SETLKW, FUSE_IOCTL,
					    FUSE_POLL,	FUSE_BMAP,  9999,	 0 };

	mount_share("");
	for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_int_equal(op(unknown[i], ROOT, reply.data, 64), -ENOSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_attributes),	    TEST(test_lookup_counts), TEST(test_batch_forget),
		TEST(test_create_and_data), TEST(test_pieces),	      TEST(test_large_transfer),
		TEST(test_setattr),	    TEST(test_names),	      TEST(test_setgid_directory),
		TEST(test_links),	    TEST(test_rename),	      TEST(test_readdir),
		TEST(test_space),	    TEST(test_sync_and_more), TEST(test_without_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
