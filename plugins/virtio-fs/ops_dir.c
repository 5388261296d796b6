/* SPDX-License-Identifier: Apache-2.0 */
/* Open directories. The guest's offsets are those of the host's file system. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "call.h"

#define DENTS_MAX 32768u
#define DENTS_MIN 1024u /* more than the longest entry */

int fs_op_opendir(struct fs_call *call)
{
	struct fuse_open_out out = { 0 };
	FS_NODE node = fs_call_node(call);
	int ret;

	if (!node)
		return -ESTALE;
	if (!S_ISDIR(node->type))
		return -ENOTDIR;
	if (call->fs->cache == FS_CACHE_ALWAYS)
		out.open_flags = FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR;
	ret = fs_reopen(call->fs, node->fd, O_RDONLY | O_DIRECTORY);
	if (ret < 0)
		return ret;
	ret = fs_handle_add(&call->fs->handles, ret,
			    node->id == FUSE_ROOT_ID ? FS_ROOT_DIR : FS_DIR, &out.fh);
	return ret ? ret : fs_reply(call, &out, sizeof(out));
}

int fs_op_releasedir(struct fs_call *call)
{
	return fs_handle_release(&call->fs->handles, call->arg.release.fh, true);
}

static ssize_t dents_read(struct fs_handle *dir, uint64_t offset, void *buf, size_t len)
{
	ssize_t n = -1;

	pthread_mutex_lock(&dir->lock);
	if (lseek(dir->fd, (off_t)offset, SEEK_SET) >= 0)
		n = getdents64(dir->fd, buf, len);
	if (n < 0)
		n = -errno;
	pthread_mutex_unlock(&dir->lock);
	return n;
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Node 0: the guest is to look the name up itself, should it want to. */
static void entry_fill(struct fs_call *call, const struct fs_handle *dir,
		       const struct dirent64 *dent, uint64_t ino, struct fuse_entry_out *entry)
{
	int fd = is_dots(dent->d_name) ? -1 : fs_lookup_fd(call->fs, dir->fd, dent->d_name);

	if (fd >= 0 && fs_entry_make(call->fs, fd, entry) == 0)
		return;
	*entry = (struct fuse_entry_out){
		.attr = { .ino = ino, .mode = (uint32_t)dent->d_type << 12 },
	};
}

/* False where the entry does not fit behind what is in the reply, @size bytes in all. */
static bool dent_reply(struct fs_call *call, const struct fs_handle *dir,
		       const struct dirent64 *dent, uint64_t size, bool plus)
{
	static const char zeroes[8];
	size_t name_len = strlen(dent->d_name);
	size_t padding = FUSE_REC_ALIGN(name_len) - name_len;
	struct fuse_dirent out = {
		.ino = dent->d_ino,
		.off = (uint64_t)dent->d_off,
		.namelen = (uint32_t)name_len,
		.type = dent->d_type,
	};
	struct fuse_entry_out entry;
	uint64_t len = sizeof(out) + name_len + padding + (plus ? sizeof(entry) : 0);

	if (len > size - call->reply_len)
		return false;
	/* What is above the shared directory is not the guest's to see. */
	if (dir->is_root && !strcmp(dent->d_name, ".."))
		out.ino = FUSE_ROOT_ID;
	if (plus) {
		entry_fill(call, dir, dent, out.ino, &entry);
		fs_reply(call, &entry, sizeof(entry));
	}
	fs_reply(call, &out, sizeof(out));
	fs_reply(call, dent->d_name, name_len);
	fs_reply(call, zeroes, padding);
	return true;
}

static int read_dir(struct fs_call *call, bool plus)
{
	_Alignas(struct dirent64) char buf[DENTS_MAX];
	const struct fuse_read_in *in = &call->arg.read;
	FS_HANDLE dir = fs_handle_get(&call->fs->handles, in->fh, true);
	uint64_t size = in->size < call->in_len ? in->size : call->in_len;
	uint64_t want = plus ? size / 4 : size; /* entries of the host are shorter */
	ssize_t n;

	if (!dir)
		return -EBADF;
	if (want < DENTS_MIN)
		want = DENTS_MIN;
	n = dents_read(dir, in->offset, buf, want < sizeof(buf) ? want : sizeof(buf));
	if (n < 0)
		return (int)n;
	for (ssize_t at = 0; at < n;) {
		const struct dirent64 *dent = (const struct dirent64 *)(buf + at);

		if (!dent_reply(call, dir, dent, size, plus))
			return call->reply_len ? 0 : -EINVAL; /* no entry: the end */
		at += dent->d_reclen;
	}
	return 0;
}

int fs_op_readdir(struct fs_call *call)
{
	return read_dir(call, false);
}

int fs_op_readdirplus(struct fs_call *call)
{
	return read_dir(call, true);
}
