/* SPDX-License-Identifier: Apache-2.0 */
#include "test_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECES_MAX 140 /* of each direction; the last one has the rest */

struct alcor_fake *fake;
struct reply reply;
size_t piece_len;

/* Of one test, so that programs may run side by side. */
static char directory[16];

int setup(void **state)
{
	fake = NULL;
	piece_len = 0;
	umask(022);
	strcpy(directory, "fs-XXXXXX");
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chdir(directory), 0);
	assert_int_equal(mkdir("share", 0755), 0);
	assert_int_equal(mkdir("twin", 0755), 0);
	assert_int_equal(mkdir("outside", 0755), 0);
	host_file("outside/secret", "secret");
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

int teardown(void **state)
{
	alcor_fake_free(fake);
	return chdir("..") || nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int create(const char *params)
{
	alcor_fake_free(fake);
	fake = alcor_fake_new(PLUGIN_PATH, "fs/dir");
	return alcor_fake_create(fake, params);
}

void start(const char *more)
{
	char params[128];

	snprintf(params, sizeof(params), "share,tag=t%s%s", *more ? "," : "", more);
	assert_int_equal(create(params), 0);
	assert_int_equal(alcor_fake_realize(fake), 0);
	assert_int_equal(alcor_fake_activate(fake, 0), 0);
}

void mount_share(const char *more)
{
	struct fuse_init_in in = { FUSE_KERNEL_VERSION, FUSE_KERNEL_MINOR_VERSION, 1u << 30, ~0u };

	start(more);
	assert_int_equal(OP(FUSE_INIT, 0, in), 0);
}

static uint32_t pieces(struct iovec *iov, void *buf, size_t len)
{
	uint32_t n = 0;

	for (size_t at = 0; at < len; n++) {
		size_t part = len - at;

		if (n < PIECES_MAX - 1 && piece_len && piece_len < part)
			part = piece_len;
		iov[n] = (struct iovec){ (char *)buf + at, part };
		at += part;
	}
	return n;
}

/* The fake host keeps requests to the end; thousands of them would be slow to walk. */
static uint32_t finish(struct alcor_fake_request *req, uint16_t queue)
{
	uint32_t written;

	alcor_fake_notify(fake, queue);
	assert_true(alcor_fake_wait(fake, &req->done));
	written = req->written;
	assert_ptr_equal(fake->vqs[queue].requests, req);
	fake->vqs[queue].requests = req->next;
	free(req);
	return written;
}

uint32_t message(const void *out, size_t out_len, void *in, size_t in_len)
{
	struct iovec out_iov[PIECES_MAX] = { 0 }, in_iov[PIECES_MAX] = { 0 };
	void *copy = malloc(out_len + 1), *room = malloc(in_len + 1);
	uint32_t n_out, n_in, written;

	memcpy(copy, out, out_len);
	memset(room, 0xee, in_len);
	n_out = pieces(out_iov, copy, out_len);
	n_in = pieces(in_iov, room, in_len);
	written = finish(alcor_fake_submit(fake, 1, out_iov, n_out, in_iov, n_in), 1);
	if (in_len)
		memcpy(in, room, in_len);
	free(copy);
	free(room);
	return written;
}

int op_names(uint32_t opcode, uint64_t node, const void *arg, size_t len, const char *names,
	     size_t names_len)
{
	static uint8_t out[sizeof(reply.data)], in[sizeof(reply.data)];
	static uint64_t unique;
	size_t total = sizeof(struct fuse_in_header) + len + names_len;
	size_t room = opcode == FUSE_READ && !piece_len ? sizeof(in) : 8192;
	struct fuse_in_header header = {
		.len = (uint32_t)total,
		.opcode = opcode,
		.unique = ++unique,
		.nodeid = node,
		.uid = 1234,
		.gid = 4321,
	};
	struct fuse_out_header back;
	uint32_t written;

	memcpy(out, &header, sizeof(header));
	if (len)
		memcpy(out + sizeof(header), arg, len);
	if (names_len)
		memcpy(out + sizeof(header) + len, names, names_len);
	written = message(out, total, in, room);
	memcpy(&back, in, sizeof(back));
	assert_true(written >= sizeof(back));
	assert_int_equal(back.len, written);
	assert_int_equal(back.unique, unique);
	assert_true(back.error <= 0 && back.error > -4096);
	reply.len = written - (uint32_t)sizeof(back);
	assert_true(back.error == 0 || reply.len == 0);
	memcpy(reply.data, in + sizeof(back), reply.len);
	return back.error;
}

int op(uint32_t opcode, uint64_t node, const void *arg, size_t len)
{
	return op_names(opcode, node, arg, len, NULL, 0);
}

int lookup(uint64_t dir, const char *name, uint64_t *ret_node)
{
	struct fuse_entry_out entry;
	int ret = OP_ONLY_NAME(FUSE_LOOKUP, dir, name);

	if (ret)
		return ret;
	assert_int_equal(reply.len, sizeof(entry));
	memcpy(&entry, reply.data, sizeof(entry));
	assert_true(entry.nodeid != 0);
	*ret_node = entry.nodeid;
	return 0;
}

uint64_t node_of(const char *name)
{
	uint64_t node = 0;

	assert_int_equal(lookup(ROOT, name, &node), 0);
	return node;
}

void forget(uint64_t node, uint64_t n)
{
	struct {
		struct fuse_in_header header;
		struct fuse_forget_in in;
	} out = { .header = { .len = sizeof(out), .opcode = FUSE_FORGET, .nodeid = node },
		  .in = { n } };
	struct iovec iov = { &out, sizeof(out) };

	assert_int_equal(finish(alcor_fake_submit(fake, 0, &iov, 1, NULL, 0), 0), 0);
}

struct fuse_attr attr_of(uint64_t node)
{
	struct fuse_getattr_in in = { 0 };
	struct fuse_attr_out out;

	assert_int_equal(OP(FUSE_GETATTR, node, in), 0);
	assert_int_equal(reply.len, sizeof(out));
	memcpy(&out, reply.data, sizeof(out));
	return out.attr;
}

static int open_any(uint32_t opcode, uint64_t node, uint32_t flags, uint64_t *ret_fh)
{
	struct fuse_open_in in = { .flags = flags };
	struct fuse_open_out out;
	int ret = OP(opcode, node, in);

	if (ret)
		return ret;
	assert_int_equal(reply.len, sizeof(out));
	memcpy(&out, reply.data, sizeof(out));
	*ret_fh = out.fh;
	return 0;
}

int open_node(uint64_t node, uint32_t flags, uint64_t *ret_fh)
{
	return open_any(FUSE_OPEN, node, flags, ret_fh);
}

int open_dir(uint64_t node, uint64_t *ret_fh)
{
	return open_any(FUSE_OPENDIR, node, 0, ret_fh);
}

int create_file(uint64_t dir, const char *name, uint32_t flags, uint32_t mode, uint64_t *ret_node,
		uint64_t *ret_fh)
{
	struct fuse_create_in in = { .flags = flags, .mode = mode };
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;
	int ret = OP_NAME(FUSE_CREATE, dir, in, name);

	if (ret)
		return ret;
	assert_int_equal(reply.len, sizeof(out));
	memcpy(&out, reply.data, sizeof(out));
	*ret_node = out.entry.nodeid;
	*ret_fh = out.open.fh;
	return 0;
}

int read_file(uint64_t fh, uint64_t offset, uint32_t size)
{
	struct fuse_read_in in = { .fh = fh, .offset = offset, .size = size };

	return OP(FUSE_READ, ROOT, in);
}

int write_file(uint64_t fh, uint64_t offset, const void *data, uint32_t size)
{
	struct fuse_write_in in = { .fh = fh, .offset = offset, .size = size };
	struct fuse_write_out out;
	int ret = op_names(FUSE_WRITE, ROOT, &in, sizeof(in), data, size);

	if (ret)
		return ret;
	memcpy(&out, reply.data, sizeof(out));
	return (int)out.size;
}

int release(uint64_t fh)
{
	struct fuse_release_in in = { .fh = fh };

	return OP(FUSE_RELEASE, ROOT, in);
}

unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

void host_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

const char *host_text(const char *path)
{
	static char text[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
	return text;
}
