/* SPDX-License-Identifier: Apache-2.0 */
/* One FUSE request on its way through the device. */
#ifndef ALCOR_PLUGINS_VIRTIO_FS_CALL_H
#define ALCOR_PLUGINS_VIRTIO_FS_CALL_H

#include "fs.h"

union fs_arg {
	struct fuse_forget_in forget;
	struct fuse_batch_forget_in batch_forget;
	struct fuse_getattr_in getattr;
	struct fuse_setattr_in setattr;
	struct fuse_mknod_in mknod;
	struct fuse_mkdir_in mkdir;
	struct fuse_rename_in rename;
	struct fuse_rename2_in rename2;
	struct fuse_link_in link;
	struct fuse_open_in open;
	struct fuse_create_in create;
	struct fuse_release_in release;
	struct fuse_flush_in flush;
	struct fuse_read_in read;
	struct fuse_write_in write;
	struct fuse_fsync_in fsync;
	struct fuse_access_in access;
	struct fuse_init_in init;
	struct fuse_fallocate_in fallocate;
	struct fuse_lseek_in lseek;
	struct fuse_copy_file_range_in copy;
	struct fuse_getxattr_in getxattr;
	struct fuse_setxattr_in setxattr; /* its old, short form */
};

struct fs_call {
	struct fs_call *next; /* for who holds the request */
	struct fs *fs;
	struct alcor_vreq *vreq;
	const struct fs_op *op;
	struct fuse_in_header header;
	union fs_arg arg;	  /* zeroes where the guest gave less */
	const char *name, *name2; /* as the operation has them; while it runs */

	struct iovec *out; /* of the message: what was not copied yet */
	uint32_t n_out;
	uint64_t out_len;
	struct iovec *in; /* room for the reply, behind its header */
	uint32_t n_in;
	uint64_t in_len;

	struct iovec reply[sizeof(struct fuse_out_header)]; /* where the header goes */
	uint32_t n_reply;
	uint16_t queue;
	bool silent; /* there is no reply */
	int error;   /* 0 or -errno */
	uint64_t reply_len;
};

/* An operation: 0 or -errno. */
typedef int fs_op_fn(struct fs_call *call);

fs_op_fn fs_op_init, fs_op_destroy, fs_op_forget, fs_op_batch_forget, fs_op_interrupt;
fs_op_fn fs_op_lookup, fs_op_getattr, fs_op_setattr, fs_op_readlink, fs_op_statfs, fs_op_access;
fs_op_fn fs_op_symlink, fs_op_mknod, fs_op_mkdir, fs_op_create, fs_op_tmpfile;
fs_op_fn fs_op_unlink, fs_op_rmdir, fs_op_rename, fs_op_rename2, fs_op_link;
fs_op_fn fs_op_open, fs_op_read, fs_op_write, fs_op_flush, fs_op_release, fs_op_fsync;
fs_op_fn fs_op_fallocate, fs_op_lseek, fs_op_copy_file_range, fs_op_syncfs;
fs_op_fn fs_op_opendir, fs_op_readdir, fs_op_readdirplus, fs_op_releasedir, fs_op_fsyncdir;
fs_op_fn fs_op_getxattr, fs_op_setxattr, fs_op_listxattr, fs_op_removexattr;

/* [dev] Takes a request from queue @index; it is completed now or later. */
void fs_call_start(struct fs *fs, struct alcor_vreq *vreq, uint16_t index);
/* [any] Carries it out. */
void fs_call_run(struct fs_call *call);
/* [dev] Gives the reply to the driver. */
void fs_call_complete(struct fs_call *call);

/* For operations. Appends to the reply; -EINVAL where there is no room. */
int fs_reply(struct fs_call *call, const void *data, size_t len);
/* The node of the request; NULL when there is none. */
struct fs_node *fs_call_node(struct fs_call *call);

/* Another descriptor of the file that @fd stands for; it must be no symbolic link or special file
 * unless @flags has O_PATH. */
int fs_reopen(struct fs *fs, int fd, int flags);
/* A regular file for reading and writing, as @flags of the guest's open() say. */
int fs_open_node(struct fs *fs, const struct fs_node *node, uint32_t flags);
/* @fd, or -errno for a negative one; -ENFILE, and closed, where the program would run short. */
int fs_fd_check(struct fs *fs, int fd);
/* FOPEN_... flags of a file. */
uint32_t fs_open_flags(const struct fs *fs);

/* O_PATH descriptor of the entry @name, never following it. */
int fs_lookup_fd(struct fs *fs, int dir_fd, const char *name);
/* Takes @fd (O_PATH) in any case; one name more of its node is out on success. */
int fs_entry_make(struct fs *fs, int fd, struct fuse_entry_out *ret_entry);
int fs_attr_get(struct fs *fs, int fd, struct fuse_attr *ret_attr);
/* How long attributes and names stay good at the guest's end, in seconds. */
uint64_t fs_valid_time(const struct fs *fs);

#endif
