/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes and their attributes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "call.h"
#include "iov.h"
#include "proc.h"

#define BATCH_MAX 65536u /* nodes that one message may forget */

int fs_fd_check(struct fs *fs, int fd)
{
	if (fd < 0)
		return -errno;
	if (fd < fs->fd_limit)
		return fd;
	close(fd);
	return -ENFILE;
}

int fs_lookup_fd(struct fs *fs, int dir_fd, const char *name)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
	};

	return fs_fd_check(fs, (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how)));
}

uint64_t fs_valid_time(const struct fs *fs)
{
	static const uint64_t seconds[] = {
		[FS_CACHE_AUTO] = 1,
		[FS_CACHE_NONE] = 0,
		[FS_CACHE_ALWAYS] = 86400,
	};

	return seconds[fs->cache];
}

/* As the kernel packs device numbers of 32 bits. */
static uint32_t rdev_pack(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

static void attr_fill(const struct fs *fs, const struct statx *stx, struct fuse_attr *attr)
{
	*attr = (struct fuse_attr){
		.ino = stx->stx_ino,
		.size = stx->stx_size,
		.blocks = stx->stx_blocks,
		.atime = (uint64_t)stx->stx_atime.tv_sec,
		.mtime = (uint64_t)stx->stx_mtime.tv_sec,
		.ctime = (uint64_t)stx->stx_ctime.tv_sec,
		.atimensec = stx->stx_atime.tv_nsec,
		.mtimensec = stx->stx_mtime.tv_nsec,
		.ctimensec = stx->stx_ctime.tv_nsec,
		.mode = stx->stx_mode,
		.nlink = stx->stx_nlink,
		.uid = fs->squash ? 0 : stx->stx_uid,
		.gid = fs->squash ? 0 : stx->stx_gid,
		.rdev = rdev_pack(stx->stx_rdev_major, stx->stx_rdev_minor),
		.blksize = stx->stx_blksize,
	};
}

static int stat_fd(int fd, struct statx *ret_stx)
{
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, ret_stx) < 0)
		return -errno;
	return 0;
}

int fs_attr_get(struct fs *fs, int fd, struct fuse_attr *ret_attr)
{
	struct statx stx;
	int ret = stat_fd(fd, &stx);

	if (!ret)
		attr_fill(fs, &stx, ret_attr);
	return ret;
}

int fs_entry_make(struct fs *fs, int fd, struct fuse_entry_out *ret_entry)
{
	struct statx stx;
	uint64_t id;
	int ret = stat_fd(fd, &stx);

	if (ret) {
		close(fd);
		return ret;
	}
	ret = fs_node_add(&fs->nodes, fd, &stx, &id);
	if (ret)
		return ret;
	*ret_entry = (struct fuse_entry_out){
		.nodeid = id,
		.generation = id >> 32,
		.entry_valid = fs_valid_time(fs),
		.attr_valid = fs_valid_time(fs),
	};
	attr_fill(fs, &stx, &ret_entry->attr);
	return 0;
}

int fs_op_lookup(struct fs_call *call)
{
	struct fuse_entry_out entry;
	FS_NODE dir = fs_call_node(call);
	int ret;

	if (!dir)
		return -ESTALE;
	ret = fs_lookup_fd(call->fs, dir->fd, call->name);
	if (ret >= 0)
		ret = fs_entry_make(call->fs, ret, &entry);
	return ret ? ret : fs_reply(call, &entry, sizeof(entry));
}

int fs_op_forget(struct fs_call *call)
{
	fs_node_forget(&call->fs->nodes, call->header.nodeid, call->arg.forget.nlookup);
	return 0;
}

int fs_op_batch_forget(struct fs_call *call)
{
	uint32_t n = call->arg.batch_forget.count;
	struct fuse_forget_one one;

	if (n > BATCH_MAX || call->out_len < n * sizeof(one))
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++) {
		iov_take(&call->out, &call->n_out, &one, sizeof(one));
		fs_node_forget(&call->fs->nodes, one.nodeid, one.nlookup);
	}
	return 0;
}

static int attr_reply(struct fs_call *call, const struct fs_node *node)
{
	struct fuse_attr_out out = { .attr_valid = fs_valid_time(call->fs) };
	int ret = fs_attr_get(call->fs, node->fd, &out.attr);

	return ret ? ret : fs_reply(call, &out, sizeof(out));
}

int fs_op_getattr(struct fs_call *call)
{
	FS_NODE node = fs_call_node(call);

	return node ? attr_reply(call, node) : -ESTALE;
}

static int set_mode(struct fs *fs, const struct fs_node *node, uint32_t mode)
{
	struct proc_name name = proc_name(node->fd);

	/* The name in /proc leads to the link itself, whose mode cannot be changed. */
	if (S_ISLNK(node->type))
		return -EOPNOTSUPP;
	return fchmodat(fs->proc_fd, name.text, mode & 07777, 0) < 0 ? -errno : 0;
}

static int set_owner(struct fs *fs, const struct fs_node *node, const struct fuse_setattr_in *in)
{
	uid_t uid = in->valid & FATTR_UID ? in->uid : (uid_t)-1;
	gid_t gid = in->valid & FATTR_GID ? in->gid : (gid_t)-1;

	if (fs->squash) {
		bool root = (uid == 0 || uid == (uid_t)-1) && (gid == 0 || gid == (gid_t)-1);

		return root ? 0 : -EPERM;
	}
	return fchownat(node->fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int set_size_of(int fd, uint64_t size)
{
	if (size > INT64_MAX)
		return -EINVAL;
	return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

static int set_size(struct fs *fs, const struct fs_node *node, const struct fuse_setattr_in *in)
{
	int fd, ret;

	if (in->valid & FATTR_FH) {
		FS_HANDLE handle = fs_handle_get(&fs->handles, in->fh, false);

		return handle ? set_size_of(handle->fd, in->size) : -EBADF;
	}
	fd = fs_open_node(fs, node, O_WRONLY);
	if (fd < 0)
		return fd;
	ret = set_size_of(fd, in->size);
	close(fd);
	return ret;
}

static int set_time(uint32_t valid, uint32_t set, uint32_t now, uint64_t sec, uint32_t nsec,
		    struct timespec *ret_time)
{
	*ret_time = (struct timespec){ .tv_nsec = UTIME_OMIT };
	if (valid & now) {
		ret_time->tv_nsec = UTIME_NOW;
	} else if (valid & set) {
		if (nsec > 999999999)
			return -EINVAL;
		*ret_time = (struct timespec){ .tv_sec = (time_t)sec, .tv_nsec = nsec };
	}
	return 0;
}

static int set_times(const struct fs_node *node, const struct fuse_setattr_in *in)
{
	struct timespec times[2];
	int ret = set_time(in->valid, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec,
			   &times[0]);

	if (!ret)
		ret = set_time(in->valid, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec,
			       &times[1]);
	if (ret)
		return ret;
	return utimensat(node->fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int fs_op_setattr(struct fs_call *call)
{
	const struct fuse_setattr_in *in = &call->arg.setattr;
	FS_NODE node = fs_call_node(call);
	int ret = node ? 0 : -ESTALE;

	if (!ret && in->valid & FATTR_MODE)
		ret = set_mode(call->fs, node, in->mode);
	if (!ret && in->valid & (FATTR_UID | FATTR_GID))
		ret = set_owner(call->fs, node, in);
	if (!ret && in->valid & FATTR_SIZE)
		ret = set_size(call->fs, node, in);
	if (!ret && in->valid & (FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW))
		ret = set_times(node, in);
	return ret ? ret : attr_reply(call, node);
}

int fs_op_readlink(struct fs_call *call)
{
	char target[PATH_MAX];
	FS_NODE node = fs_call_node(call);
	ssize_t n;

	if (!node)
		return -ESTALE;
	if (!S_ISLNK(node->type))
		return -EINVAL;
	n = readlinkat(node->fd, "", target, sizeof(target));
	return n < 0 ? -errno : fs_reply(call, target, (size_t)n);
}

int fs_op_statfs(struct fs_call *call)
{
	FS_NODE node = fs_call_node(call);
	struct fuse_statfs_out out = { 0 };
	struct statvfs st;

	if (!node)
		return -ESTALE;
	if (fstatvfs(node->fd, &st) < 0)
		return -errno;
	out.st = (struct fuse_kstatfs){
		.blocks = st.f_blocks,
		.bfree = st.f_bfree,
		.bavail = st.f_bavail,
		.files = st.f_files,
		.ffree = st.f_ffree,
		.bsize = (uint32_t)st.f_bsize,
		.namelen = (uint32_t)st.f_namemax,
		.frsize = (uint32_t)st.f_frsize,
	};
	return fs_reply(call, &out, sizeof(out));
}

int fs_op_access(struct fs_call *call)
{
	FS_NODE node = fs_call_node(call);
	uint32_t mask = call->arg.access.mask;
	struct proc_name name;

	if (!node)
		return -ESTALE;
	if (mask & ~(uint32_t)(R_OK | W_OK | X_OK))
		return -EINVAL;
	if (mask & W_OK && call->fs->readonly)
		return -EROFS;
	name = proc_name(node->fd);
	return faccessat(call->fs->proc_fd, name.text, (int)mask, AT_EACCESS) < 0 ? -errno : 0;
}
