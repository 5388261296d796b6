/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FUSE messages of a hostile guest to virtio-fs, on a small directory of its own. An input is a
 * flag byte for the device and then messages: a byte each for the queue, the size of the pieces in
 * which buffers come, the opcode, the node, the room for the reply in units of 16 bytes and the
 * length of the body; the body follows. Headers are right unless the node says otherwise: most of
 * what there is to find lies behind them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alcor_testing.h"

#define MESSAGES_MAX 64
#define PIECES_MAX   64
#define FILE_MAX     (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static char directory[] = "/tmp/alcor-fuzz-fuse-XXXXXX";

struct input {
	const uint8_t *data;
	size_t left;
};

/* In front of the C library: what would fill the disk. */
__attribute__((visibility("default"))) int fallocate(int fd, int mode, off_t offset, off_t len)
{
	if (offset > FILE_MAX || len > FILE_MAX) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

__attribute__((visibility("default"))) int syncfs(int fd)
{
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return ftw->level ? remove(path) : 0;
}

static void directory_remove(void)
{
	nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	rmdir(directory);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	/* Early, so that the fuzzer is guided by its branches. */
	if (!dlopen(PLUGIN_PATH, RTLD_NOW | RTLD_NODELETE) || !mkdtemp(directory) ||
	    chdir(directory))
		abort();
	atexit(directory_remove);
	return 0;
}

static void make(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

static void directory_fill(void)
{
	if (nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS) || mkdir("share", 0755) ||
	    mkdir("share/d", 0755) || mkfifo("share/p", 0644) || symlink("/etc", "share/l"))
		abort();
	make("share/a", "0123456789");
	make("secret", "secret");
}

static uint8_t take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->data++;
}

static uint32_t pieces(struct iovec *iov, uint8_t *buf, size_t len, size_t piece)
{
	uint32_t n = 0;

	for (size_t at = 0; at < len; n++) {
		size_t part = len - at;

		if (n < PIECES_MAX - 1 && piece < part)
			part = piece;
		iov[n] = (struct iovec){ buf + at, part };
		at += part;
	}
	return n;
}

/* Sends, and checks what comes back. */
static void send(struct alcor_fake *fake, uint16_t queue, size_t piece, uint8_t *out,
		 size_t out_len, size_t in_len)
{
	struct iovec out_iov[PIECES_MAX], in_iov[PIECES_MAX];
	uint8_t *in = malloc(in_len + 1);
	uint32_t n_out = pieces(out_iov, out, out_len, piece);
	uint32_t n_in = pieces(in_iov, in, in_len, piece);
	struct alcor_fake_request *req =
		alcor_fake_submit(fake, queue, out_iov, n_out, in_iov, n_in);
	struct fuse_out_header header;

	alcor_fake_notify(fake, queue);
	if (!alcor_fake_wait(fake, &req->done) || (req->written && req->written < sizeof(header)))
		abort();
	if (req->written) {
		memcpy(&header, in, sizeof(header));
		if (header.len != req->written || header.error > 0 || header.error <= -4096 ||
		    (header.error && header.len != sizeof(header)))
			abort();
	}
	free(in);
}

static void message(struct alcor_fake *fake, struct input *in)
{
	uint16_t queue = take(in) % 2;
	size_t piece = take(in) + 1u;
	uint32_t opcode = take(in);
	uint8_t node = take(in);
	size_t in_len = take(in) * 16u, body = take(in);
	struct fuse_in_header header = { .opcode = opcode, .nodeid = node & 0x0f, .unique = 7 };
	uint8_t *out;

	if (body > in->left)
		body = in->left;
	out = malloc(sizeof(header) + body);
	header.len = (uint32_t)(sizeof(header) + body) + (node == 0xff);
	header.nodeid |= (uint64_t)(node >> 6) << 32;
	memcpy(out, &header, sizeof(header));
	memcpy(out + sizeof(header), in->data, body);
	in->data += body;
	in->left -= body;
	/* Only the header's first bytes. */
	send(fake, queue, piece, out, node == 0xfe ? body % sizeof(header) : sizeof(header) + body,
	     in_len);
	free(out);
}

static void mount_share(struct alcor_fake *fake)
{
	struct {
		struct fuse_in_header header;
		struct fuse_init_in in;
	} out = { .header = { .len = sizeof(out), .opcode = FUSE_INIT },
		  .in = { FUSE_KERNEL_VERSION, FUSE_KERNEL_MINOR_VERSION, 0, ~0u } };

	send(fake, 1, sizeof(out), (uint8_t *)&out, sizeof(out), 200);
}

static void check_outside(void)
{
	char text[16] = "";
	int fd = open("secret", O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text)) != 6 || strcmp(text, "secret") != 0)
		abort();
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct alcor_fake *fake = alcor_fake_new(PLUGIN_PATH, "fs/dir");
	struct input in = { data, size };
	uint8_t flags = take(&in);
	char params[128];

	directory_fill();
	snprintf(params, sizeof(params), "share,tag=t,readonly=%s,xattr=%s,owner=%s",
		 flags & 1 ? "on" : "off", flags & 2 ? "on" : "off", flags & 4 ? "squash" : "host");
	if (alcor_fake_create(fake, params) || alcor_fake_realize(fake) ||
	    alcor_fake_activate(fake, 0))
		abort();
	if (!(flags & 8))
		mount_share(fake);
	for (unsigned i = 0; i < MESSAGES_MAX && in.left; i++)
		message(fake, &in);
	check_outside();
	alcor_fake_free(fake);
	return 0;
}
