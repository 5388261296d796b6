/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of directories: new ones, removed ones, other names. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <unistd.h>

#include "call.h"
#include "proc.h"

/* Flags of the guest's open() that are passed on. O_DIRECT needs buffers that the guest does not
 * know it has to align. */
#define OPEN_FLAGS (O_ACCMODE | O_APPEND | O_SYNC | O_DSYNC | O_TRUNC)

/*
 * Owner and mode of a file that was just created: the program's own umask is not to matter, and
 * cannot be changed for one thread alone. @fd may be O_PATH. What is not as it was created has
 * been replaced by somebody on the host, and is left alone.
 */
static int created_settle(struct fs_call *call, const struct fs_node *dir, int fd, mode_t mode)
{
	struct proc_name name = proc_name(fd);
	struct fs *fs = call->fs;
	struct stat st, dir_st;
	mode_t wanted = mode & 07777;

	if (fstat(fd, &st) < 0 || fstat(dir->fd, &dir_st) < 0)
		return -errno;
	if ((st.st_mode & S_IFMT) != (mode & S_IFMT) || st.st_uid != geteuid() ||
	    (st.st_nlink > 1 && !S_ISDIR(mode)))
		return 0;
	if (fs->give_away &&
	    fchownat(fd, "", call->header.uid,
		     dir_st.st_mode & S_ISGID ? (gid_t)-1 : call->header.gid, AT_EMPTY_PATH) < 0)
		return -errno;
	if (S_ISLNK(mode))
		return 0;
	if (S_ISDIR(mode))
		wanted |= st.st_mode & S_ISGID;
	if (!fs->give_away && (st.st_mode & 07777) == wanted)
		return 0;
	return fchmodat(fs->proc_fd, name.text, wanted, 0) < 0 ? -errno : 0;
}

/* The reply about the new entry, which goes again where that fails. */
static int created_reply(struct fs_call *call, const struct fs_node *dir, mode_t mode)
{
	struct fuse_entry_out entry;
	int fd = fs_lookup_fd(call->fs, dir->fd, call->name), ret;

	ret = fd < 0 ? fd : created_settle(call, dir, fd, mode);
	if (!ret)
		ret = fs_entry_make(call->fs, fd, &entry);
	else if (fd >= 0)
		close(fd);
	if (!ret)
		return fs_reply(call, &entry, sizeof(entry));
	unlinkat(dir->fd, call->name, S_ISDIR(mode) ? AT_REMOVEDIR : 0);
	return ret;
}

int fs_op_symlink(struct fs_call *call)
{
	FS_NODE dir = fs_call_node(call);

	if (!dir)
		return -ESTALE;
	if (symlinkat(call->name2, dir->fd, call->name) < 0)
		return -errno;
	return created_reply(call, dir, S_IFLNK | 0777);
}

int fs_op_mknod(struct fs_call *call)
{
	FS_NODE dir = fs_call_node(call);
	mode_t mode = call->arg.mknod.mode;

	if (!dir)
		return -ESTALE;
	if ((mode & S_IFMT) == 0)
		mode |= S_IFREG;
	/* A device node would be one of the host. */
	if (!S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
		return -EPERM;
	if (mknodat(dir->fd, call->name, mode & (S_IFMT | 07777), 0) < 0)
		return -errno;
	return created_reply(call, dir, mode);
}

int fs_op_mkdir(struct fs_call *call)
{
	FS_NODE dir = fs_call_node(call);
	mode_t mode = call->arg.mkdir.mode & 07777;

	if (!dir)
		return -ESTALE;
	if (mkdirat(dir->fd, call->name, mode) < 0)
		return -errno;
	return created_reply(call, dir, S_IFDIR | mode);
}

static int unlink_entry(struct fs_call *call, int flags)
{
	FS_NODE dir = fs_call_node(call);

	if (!dir)
		return -ESTALE;
	return unlinkat(dir->fd, call->name, flags) < 0 ? -errno : 0;
}

int fs_op_unlink(struct fs_call *call)
{
	return unlink_entry(call, 0);
}

int fs_op_rmdir(struct fs_call *call)
{
	return unlink_entry(call, AT_REMOVEDIR);
}

static int rename_entry(struct fs_call *call, uint64_t to_id, uint32_t flags)
{
	FS_NODE from = fs_call_node(call);
	FS_NODE to = fs_node_get(&call->fs->nodes, to_id);

	if (!from || !to)
		return -ESTALE;
	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	return renameat2(from->fd, call->name, to->fd, call->name2, flags) < 0 ? -errno : 0;
}

int fs_op_rename(struct fs_call *call)
{
	return rename_entry(call, call->arg.rename.newdir, 0);
}

int fs_op_rename2(struct fs_call *call)
{
	return rename_entry(call, call->arg.rename2.newdir, call->arg.rename2.flags);
}

int fs_op_link(struct fs_call *call)
{
	FS_NODE dir = fs_call_node(call);
	FS_NODE node = fs_node_get(&call->fs->nodes, call->arg.link.oldnodeid);
	struct fuse_entry_out entry;
	struct proc_name name;
	int ret;

	if (!dir || !node)
		return -ESTALE;
	name = proc_name(node->fd);
	if (linkat(call->fs->proc_fd, name.text, dir->fd, call->name, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	ret = fs_lookup_fd(call->fs, dir->fd, call->name);
	if (ret >= 0)
		ret = fs_entry_make(call->fs, ret, &entry);
	return ret ? ret : fs_reply(call, &entry, sizeof(entry));
}

/* --- open --- */

int fs_reopen(struct fs *fs, int fd, int flags)
{
	struct proc_name name = proc_name(fd);

	return fs_fd_check(fs, openat(fs->proc_fd, name.text, flags | O_CLOEXEC));
}

static int open_flags_check(const struct fs *fs, uint32_t flags)
{
	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if (fs->readonly && ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC))
		return -EROFS;
	return 0;
}

/* The type was taken from the file itself, which does not change it: what is opened here cannot
 * block or do anything else than hold data. */
int fs_open_node(struct fs *fs, const struct fs_node *node, uint32_t flags)
{
	int ret = open_flags_check(fs, flags), fd;

	if (ret)
		return ret;
	if (S_ISDIR(node->type))
		return -EISDIR;
	if (S_ISLNK(node->type))
		return -ELOOP;
	if (!S_ISREG(node->type))
		return -ENXIO;
	fd = fs_reopen(fs, node->fd, (int)(flags & OPEN_FLAGS) | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	if (fcntl(fd, F_SETFL, (int)(flags & OPEN_FLAGS)) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

uint32_t fs_open_flags(const struct fs *fs)
{
	static const uint32_t flags[] = {
		[FS_CACHE_AUTO] = 0,
		[FS_CACHE_NONE] = FOPEN_DIRECT_IO,
		[FS_CACHE_ALWAYS] = FOPEN_KEEP_CACHE,
	};

	return flags[fs->cache];
}

/* A node, and a handle for @fd, which is taken in any case. */
static int opened_reply(struct fs_call *call, int fd)
{
	struct fs *fs = call->fs;
	struct fuse_open_out out = { .open_flags = fs_open_flags(fs) };
	struct fuse_entry_out entry;
	int path_fd = fs_reopen(fs, fd, O_PATH);
	int ret = path_fd < 0 ? path_fd : fs_entry_make(fs, path_fd, &entry);

	if (ret) {
		close(fd);
		return ret;
	}
	ret = fs_handle_add(&fs->handles, fd, FS_FILE, &out.fh);
	if (ret) {
		fs_node_forget(&fs->nodes, entry.nodeid, 1);
		return ret;
	}
	fs_reply(call, &entry, sizeof(entry));
	return fs_reply(call, &out, sizeof(out));
}

/* An entry that is there already: it must be a regular file. */
static int create_open(struct fs_call *call, const struct fs_node *dir)
{
	struct fs_node file = { .fd = fs_lookup_fd(call->fs, dir->fd, call->name) };
	struct stat st;
	int fd;

	if (file.fd < 0)
		return file.fd;
	if (fstat(file.fd, &st) < 0) {
		fd = -errno;
	} else {
		file.type = st.st_mode & S_IFMT;
		fd = fs_open_node(call->fs, &file, call->arg.create.flags);
	}
	close(file.fd);
	return fd < 0 ? fd : opened_reply(call, fd);
}

/* Takes @fd, a new file, in any case. */
static int create_finish(struct fs_call *call, const struct fs_node *dir, int fd)
{
	int ret = created_settle(call, dir, fd, S_IFREG | (call->arg.create.mode & 07777));

	if (ret) {
		close(fd);
		return ret;
	}
	return opened_reply(call, fd);
}

int fs_op_create(struct fs_call *call)
{
	FS_NODE dir = fs_call_node(call);
	uint32_t flags = call->arg.create.flags;
	int ret = open_flags_check(call->fs, flags);

	if (!dir)
		return -ESTALE;
	if (ret)
		return ret;
	ret = openat(dir->fd, call->name,
		     (int)(flags & OPEN_FLAGS) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		     call->arg.create.mode & 07777);
	if (ret < 0 && errno == EEXIST && !(flags & O_EXCL))
		return create_open(call, dir);
	if (ret < 0)
		return -errno;
	ret = fs_fd_check(call->fs, ret);
	if (ret >= 0)
		ret = create_finish(call, dir, ret);
	if (ret)
		unlinkat(dir->fd, call->name, 0);
	return ret;
}

int fs_op_tmpfile(struct fs_call *call)
{
	FS_NODE dir = fs_call_node(call);
	uint32_t flags = call->arg.create.flags;
	int ret;

	if (!dir)
		return -ESTALE;
	ret = fs_fd_check(call->fs,
			  openat(dir->fd, ".",
				 (int)(flags & (OPEN_FLAGS | O_EXCL)) | O_TMPFILE | O_CLOEXEC,
				 call->arg.create.mode & 07777));
	return ret < 0 ? ret : create_finish(call, dir, ret);
}
