/* SPDX-License-Identifier: Apache-2.0 */
/* Open files: data goes between the guest's buffers and the file without a copy. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/uio.h>
#include <unistd.h>

#include "call.h"
#include "iov.h"

/* Of one request; the guest asks again for the rest. */
#define COPY_MAX (64u << 20)

static struct fs_handle *file_get(struct fs_call *call, uint64_t fh)
{
	return fs_handle_get(&call->fs->handles, fh, false);
}

int fs_op_open(struct fs_call *call)
{
	struct fuse_open_out out = { .open_flags = fs_open_flags(call->fs) };
	FS_NODE node = fs_call_node(call);
	int ret;

	if (!node)
		return -ESTALE;
	ret = fs_open_node(call->fs, node, call->arg.open.flags);
	if (ret < 0)
		return ret;
	ret = fs_handle_add(&call->fs->handles, ret, FS_FILE, &out.fh);
	return ret ? ret : fs_reply(call, &out, sizeof(out));
}

int fs_op_read(struct fs_call *call)
{
	const struct fuse_read_in *in = &call->arg.read;
	FS_HANDLE file = file_get(call, in->fh);
	ssize_t n;

	if (!file)
		return -EBADF;
	if (in->size > call->in_len || in->offset > INT64_MAX)
		return -EINVAL;
	iov_trim(call->in, &call->n_in, in->size);
	n = preadv(file->fd, call->in, (int)call->n_in, (off_t)in->offset);
	if (n < 0)
		return -errno;
	call->reply_len = (uint64_t)n;
	return 0;
}

int fs_op_write(struct fs_call *call)
{
	const struct fuse_write_in *in = &call->arg.write;
	FS_HANDLE file = file_get(call, in->fh);
	struct fuse_write_out out = { 0 };
	ssize_t n;

	if (!file)
		return -EBADF;
	if (in->size > call->out_len || in->offset > INT64_MAX)
		return -EINVAL;
	iov_trim(call->out, &call->n_out, in->size);
	n = pwritev(file->fd, call->out, (int)call->n_out, (off_t)in->offset);
	if (n < 0)
		return -errno;
	out.size = (uint32_t)n;
	return fs_reply(call, &out, sizeof(out));
}

/* A file system may report late errors of writes when a descriptor is closed. Without one to be had
 * they come with the last close, unseen. */
int fs_op_flush(struct fs_call *call)
{
	FS_HANDLE file = file_get(call, call->arg.flush.fh);
	int fd;

	if (!file)
		return -EBADF;
	fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
	return fd >= 0 && close(fd) < 0 ? -errno : 0;
}

int fs_op_release(struct fs_call *call)
{
	return fs_handle_release(&call->fs->handles, call->arg.release.fh, false);
}

static int sync_handle(struct fs_call *call, bool is_dir)
{
	const struct fuse_fsync_in *in = &call->arg.fsync;
	FS_HANDLE handle = fs_handle_get(&call->fs->handles, in->fh, is_dir);
	int ret;

	if (!handle)
		return -EBADF;
	ret = in->fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync(handle->fd) : fsync(handle->fd);
	return ret < 0 ? -errno : 0;
}

int fs_op_fsync(struct fs_call *call)
{
	return sync_handle(call, false);
}

int fs_op_fsyncdir(struct fs_call *call)
{
	return sync_handle(call, true);
}

int fs_op_fallocate(struct fs_call *call)
{
	const struct fuse_fallocate_in *in = &call->arg.fallocate;
	FS_HANDLE file = file_get(call, in->fh);

	if (!file)
		return -EBADF;
	if (in->mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if (in->offset > INT64_MAX || in->length > INT64_MAX)
		return -EINVAL;
	if (fallocate(file->fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) < 0)
		return -errno;
	return 0;
}

/* The guest's kernel keeps positions itself, and asks for data and holes only. */
int fs_op_lseek(struct fs_call *call)
{
	const struct fuse_lseek_in *in = &call->arg.lseek;
	FS_HANDLE file = file_get(call, in->fh);
	struct fuse_lseek_out out;
	off_t at;

	if (!file)
		return -EBADF;
	if (in->whence != SEEK_DATA && in->whence != SEEK_HOLE)
		return -EINVAL;
	at = lseek(file->fd, (off_t)in->offset, (int)in->whence);
	if (at < 0)
		return -errno;
	out.offset = (uint64_t)at;
	return fs_reply(call, &out, sizeof(out));
}

int fs_op_copy_file_range(struct fs_call *call)
{
	const struct fuse_copy_file_range_in *in = &call->arg.copy;
	FS_HANDLE from = file_get(call, in->fh_in);
	FS_HANDLE to = file_get(call, in->fh_out);
	loff_t off_in = (loff_t)in->off_in, off_out = (loff_t)in->off_out;
	struct fuse_write_out out = { 0 };
	ssize_t n;

	if (!from || !to)
		return -EBADF;
	if (in->flags)
		return -EINVAL;
	n = copy_file_range(from->fd, &off_in, to->fd, &off_out,
			    in->len < COPY_MAX ? in->len : COPY_MAX, 0);
	if (n < 0)
		return -errno;
	out.size = (uint32_t)n;
	return fs_reply(call, &out, sizeof(out));
}

int fs_op_syncfs(struct fs_call *call)
{
	FS_NODE node = fs_call_node(call);
	int fd, ret;

	if (!node)
		return -ESTALE;
	if (!S_ISDIR(node->type))
		return -ENOTDIR;
	fd = fs_reopen(call->fs, node->fd, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	ret = syncfs(fd) < 0 ? -errno : 0;
	close(fd);
	return ret;
}
