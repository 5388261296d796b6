/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FUSE messages. The loop reads the header, checks the message against the table of operations and
 * hands it to the pool; there its arguments are copied and the operation runs.
 */
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "iov.h"
#include "pool.h"

/* Names of a message, each ended by a NUL: at most one of an entry and the target of a link. */
#define TEXT_MAX (NAME_MAX + 1 + PATH_MAX)

/* Oldest minor version of the protocol that is understood: Linux 5.4, the first with virtio-fs. */
#define MINOR_MIN 31

enum fs_names {
	NO_NAME,
	ENTRY, /* of a directory */
	TWO_ENTRIES,
	ENTRY_AND_TEXT,
	TEXT,
};

#define OP_MODIFIES    (1u << 0) /* what readonly= forbids */
#define OP_SILENT      (1u << 1) /* has no reply; done on the loop */
#define OP_BEFORE_INIT (1u << 2)

struct fs_op {
	fs_op_fn *run;
	uint16_t arg, arg_max; /* bytes of arguments: at least, and as far as they are known */
	uint16_t reply;	       /* bytes of a good reply that must fit */
	uint8_t names;	       /* enum fs_names, behind the arguments */
	uint8_t flags;
};

#define ARG(type)     .arg = sizeof(struct type), .arg_max = sizeof(struct type)
#define REPLY(type)   .reply = sizeof(struct type)
#define REPLY_CREATED .reply = sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out)

/* Locks, ioctl, poll and bmap are not here: the guest's kernel keeps locks itself then. */
static const struct fs_op ops[] = {
	[FUSE_LOOKUP] = { fs_op_lookup, REPLY(fuse_entry_out), .names = ENTRY },
	[FUSE_FORGET] = { fs_op_forget, ARG(fuse_forget_in), .flags = OP_SILENT },
	[FUSE_GETATTR] = { fs_op_getattr, ARG(fuse_getattr_in), REPLY(fuse_attr_out) },
	[FUSE_SETATTR] = { fs_op_setattr, ARG(fuse_setattr_in), REPLY(fuse_attr_out),
			   .flags = OP_MODIFIES },
	[FUSE_READLINK] = { fs_op_readlink },
	[FUSE_SYMLINK] = { fs_op_symlink, REPLY(fuse_entry_out), .names = ENTRY_AND_TEXT,
			   .flags = OP_MODIFIES },
	[FUSE_MKNOD] = { fs_op_mknod, ARG(fuse_mknod_in), REPLY(fuse_entry_out), .names = ENTRY,
			 .flags = OP_MODIFIES },
	[FUSE_MKDIR] = { fs_op_mkdir, ARG(fuse_mkdir_in), REPLY(fuse_entry_out), .names = ENTRY,
			 .flags = OP_MODIFIES },
	[FUSE_UNLINK] = { fs_op_unlink, .names = ENTRY, .flags = OP_MODIFIES },
	[FUSE_RMDIR] = { fs_op_rmdir, .names = ENTRY, .flags = OP_MODIFIES },
	[FUSE_RENAME] = { fs_op_rename, ARG(fuse_rename_in), .names = TWO_ENTRIES,
			  .flags = OP_MODIFIES },
	[FUSE_RENAME2] = { fs_op_rename2, ARG(fuse_rename2_in), .names = TWO_ENTRIES,
			   .flags = OP_MODIFIES },
	[FUSE_LINK] = { fs_op_link, ARG(fuse_link_in), REPLY(fuse_entry_out), .names = ENTRY,
			.flags = OP_MODIFIES },
	[FUSE_OPEN] = { fs_op_open, ARG(fuse_open_in), REPLY(fuse_open_out) },
	[FUSE_READ] = { fs_op_read, ARG(fuse_read_in) },
	[FUSE_WRITE] = { fs_op_write, ARG(fuse_write_in), REPLY(fuse_write_out),
			 .flags = OP_MODIFIES },
	[FUSE_STATFS] = { fs_op_statfs, REPLY(fuse_statfs_out) },
	[FUSE_RELEASE] = { fs_op_release, ARG(fuse_release_in) },
	[FUSE_FSYNC] = { fs_op_fsync, ARG(fuse_fsync_in) },
	[FUSE_SETXATTR] = { fs_op_setxattr, .arg = FUSE_COMPAT_SETXATTR_IN_SIZE,
			    .arg_max = FUSE_COMPAT_SETXATTR_IN_SIZE, .flags = OP_MODIFIES },
	[FUSE_GETXATTR] = { fs_op_getxattr, ARG(fuse_getxattr_in), .names = TEXT },
	[FUSE_LISTXATTR] = { fs_op_listxattr, ARG(fuse_getxattr_in) },
	[FUSE_REMOVEXATTR] = { fs_op_removexattr, .names = TEXT, .flags = OP_MODIFIES },
	[FUSE_FLUSH] = { fs_op_flush, ARG(fuse_flush_in) },
	/* Older kernels send the first four members only. */
	[FUSE_INIT] = { fs_op_init, .arg = offsetof(struct fuse_init_in, flags2),
			.arg_max = sizeof(struct fuse_init_in), REPLY(fuse_init_out),
			.flags = OP_BEFORE_INIT },
	[FUSE_OPENDIR] = { fs_op_opendir, ARG(fuse_open_in), REPLY(fuse_open_out) },
	[FUSE_READDIR] = { fs_op_readdir, ARG(fuse_read_in) },
	[FUSE_RELEASEDIR] = { fs_op_releasedir, ARG(fuse_release_in) },
	[FUSE_FSYNCDIR] = { fs_op_fsyncdir, ARG(fuse_fsync_in) },
	[FUSE_ACCESS] = { fs_op_access, ARG(fuse_access_in) },
	[FUSE_CREATE] = { fs_op_create, ARG(fuse_create_in), REPLY_CREATED, .names = ENTRY,
			  .flags = OP_MODIFIES },
	[FUSE_INTERRUPT] = { fs_op_interrupt, .flags = OP_SILENT },
	[FUSE_DESTROY] = { fs_op_destroy, .flags = OP_BEFORE_INIT },
	[FUSE_BATCH_FORGET] = { fs_op_batch_forget, ARG(fuse_batch_forget_in), .flags = OP_SILENT },
	[FUSE_FALLOCATE] = { fs_op_fallocate, ARG(fuse_fallocate_in), .flags = OP_MODIFIES },
	[FUSE_READDIRPLUS] = { fs_op_readdirplus, ARG(fuse_read_in) },
	[FUSE_LSEEK] = { fs_op_lseek, ARG(fuse_lseek_in), REPLY(fuse_lseek_out) },
	[FUSE_COPY_FILE_RANGE] = { fs_op_copy_file_range, ARG(fuse_copy_file_range_in),
				   REPLY(fuse_write_out), .flags = OP_MODIFIES },
	[FUSE_SYNCFS] = { fs_op_syncfs },
	[FUSE_TMPFILE] = { fs_op_tmpfile, ARG(fuse_create_in), REPLY_CREATED,
			   .flags = OP_MODIFIES },
};

static const struct fs_op *op_find(uint32_t opcode)
{
	return opcode < sizeof(ops) / sizeof(ops[0]) && ops[opcode].run ? &ops[opcode] : NULL;
}

int fs_reply(struct fs_call *call, const void *data, size_t len)
{
	if (len > call->in_len - call->reply_len)
		return -EINVAL;
	call->reply_len += iov_put(&call->in, &call->n_in, data, len);
	return 0;
}

struct fs_node *fs_call_node(struct fs_call *call)
{
	return fs_node_get(&call->fs->nodes, call->header.nodeid);
}

/* One component, which leads to no other place than an entry of its directory. */
static int entry_name_check(const char *name)
{
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	return 0;
}

/* The names in @text: one or two, each ended by a NUL, and nothing behind. */
static int names_split(struct fs_call *call, char *text, size_t len)
{
	bool two = call->op->names == TWO_ENTRIES || call->op->names == ENTRY_AND_TEXT;
	char *end = memchr(text, '\0', len);
	int ret = 0;

	call->name = text;
	if (end && two) {
		call->name2 = end + 1;
		end = memchr(call->name2, '\0', len - (size_t)(end + 1 - text));
	}
	if (!end || end + 1 != text + len)
		return -EINVAL;
	if (call->op->names != TEXT)
		ret = entry_name_check(call->name);
	if (!ret && call->op->names == TWO_ENTRIES)
		ret = entry_name_check(call->name2);
	return ret;
}

static int names_take(struct fs_call *call, char *text)
{
	size_t len = call->out_len;

	if (call->op->names == NO_NAME)
		return 0;
	if (len > TEXT_MAX)
		return -ENAMETOOLONG;
	iov_take(&call->out, &call->n_out, text, len);
	return names_split(call, text, len);
}

static int call_carry_out(struct fs_call *call)
{
	char text[TEXT_MAX];
	size_t n_arg = call->op->arg_max;
	int ret;

	if (n_arg > call->out_len)
		n_arg = call->out_len;
	call->out_len -= iov_take(&call->out, &call->n_out, &call->arg, n_arg);
	ret = names_take(call, text);
	if (!ret)
		ret = call->op->run(call);
	call->name = call->name2 = NULL;
	return ret;
}

static void reply_header(struct fs_call *call)
{
	struct fuse_out_header header = {
		.len = (uint32_t)(sizeof(header) + call->reply_len),
		.error = call->error,
		.unique = call->header.unique,
	};
	struct iovec *to = call->reply;

	iov_put(&to, &call->n_reply, &header, sizeof(header));
}

void fs_call_run(struct fs_call *call)
{
	if (!call->error)
		call->error = call_carry_out(call);
	if (call->error)
		call->reply_len = 0;
	if (!call->silent)
		reply_header(call);
}

void fs_call_complete(struct fs_call *call)
{
	struct fs *fs = call->fs;
	uint64_t written = call->silent ? 0 : sizeof(struct fuse_out_header) + call->reply_len;

	fs->touched |= 1u << call->queue;
	fs->virtio->push(call->vreq, (uint32_t)written);
}

/* Whether there is a header, and room to answer it. */
static bool call_read_header(struct fs_call *call)
{
	struct fuse_in_header *header = &call->header;

	if (iov_take(&call->out, &call->n_out, header, sizeof(*header)) < sizeof(*header)) {
		alcor_log(call->fs->dev, ALCOR_LOG_WARN, "request without a header");
		return false;
	}
	call->out_len -= sizeof(*header);
	call->op = op_find(header->opcode);
	call->silent = call->op && call->op->flags & OP_SILENT;
	if (call->silent)
		return true;
	if (call->in_len < sizeof(struct fuse_out_header)) {
		alcor_log(call->fs->dev, ALCOR_LOG_WARN, "request without room for a reply");
		return false;
	}
	call->in_len -= sizeof(struct fuse_out_header);
	call->n_reply =
		iov_split(&call->in, &call->n_in, sizeof(struct fuse_out_header), call->reply);
	return true;
}

static int call_check(const struct fs_call *call)
{
	const struct fs_op *op = call->op;

	if (!op)
		return -ENOSYS;
	if (call->header.len != call->vreq->out_len || call->out_len < op->arg ||
	    call->in_len < op->reply)
		return -EINVAL;
	if (!call->fs->mounted && !(op->flags & OP_BEFORE_INIT))
		return -EIO;
	return call->fs->readonly && op->flags & OP_MODIFIES ? -EROFS : 0;
}

void fs_call_start(struct fs *fs, struct alcor_vreq *vreq, uint16_t index)
{
	struct fs_call *call = vreq->priv;

	*call = (struct fs_call){
		.fs = fs,
		.vreq = vreq,
		.queue = index,
		.out = vreq->out,
		.n_out = vreq->n_out,
		.out_len = vreq->out_len,
		.in = vreq->in,
		.n_in = vreq->n_in,
		.in_len = vreq->in_len,
	};
	if (!call_read_header(call)) {
		call->silent = true;
		fs_call_complete(call);
		return;
	}
	call->error = call_check(call);
	if (!call->error && !call->silent) {
		fs_pool_submit(fs->pool, call);
		return;
	}
	fs_call_run(call);
	fs_call_complete(call);
}

static uint32_t init_flags(const struct fs *fs)
{
	uint32_t flags = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
			 FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO |
			 FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES;

	return flags | (fs->cache == FS_CACHE_ALWAYS ? FUSE_CACHE_SYMLINKS : FUSE_AUTO_INVAL_DATA);
}

/* A guest that mounts anew has forgotten everything, whether it said so or not. */
int fs_op_init(struct fs_call *call)
{
	const struct fuse_init_in *in = &call->arg.init;
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = in->max_readahead,
		.flags = in->flags & init_flags(call->fs),
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = FS_MAX_WRITE,
		.time_gran = 1,
		.max_pages = FS_MAX_PAGES,
	};

	if (in->major > FUSE_KERNEL_VERSION)
		return fs_reply(call, &out, sizeof(out)); /* it comes again with ours */
	if (in->major < FUSE_KERNEL_VERSION || in->minor < MINOR_MIN)
		return -EPROTO;
	if (in->minor < out.minor)
		out.minor = in->minor;
	if (out.max_readahead > FS_MAX_WRITE)
		out.max_readahead = FS_MAX_WRITE;
	fs_forget_all(call->fs);
	call->fs->mounted = true;
	return fs_reply(call, &out, sizeof(out));
}

int fs_op_destroy(struct fs_call *call)
{
	call->fs->mounted = false;
	fs_forget_all(call->fs);
	return 0;
}

/* The request that it is about is bounded anyway. */
int fs_op_interrupt(struct fs_call *call)
{
	return 0;
}
