/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes of users. Those of the other name spaces mean something to the host's own
 * kernel (capabilities, labels), and are not the guest's.
 */
#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "call.h"
#include "iov.h"
#include "proc.h"

#define USER_PREFIX "user."

static bool is_user(const char *name)
{
	return strncmp(name, USER_PREFIX, strlen(USER_PREFIX)) == 0;
}

static int xattr_check(const struct fs_call *call, const struct fs_node *node, const char *name)
{
	if (!call->fs->xattr)
		return -ENOSYS;
	if (!node)
		return -ESTALE;
	return name && !is_user(name) ? -EOPNOTSUPP : 0;
}

static int size_reply(struct fs_call *call, size_t size)
{
	struct fuse_getxattr_out out = { .size = (uint32_t)size };

	return fs_reply(call, &out, sizeof(out));
}

/* Size 0 asks for the size. */
static int value_reply(struct fs_call *call, const char *value, size_t len)
{
	uint32_t size = call->arg.getxattr.size;

	if (size == 0)
		return size_reply(call, len);
	return len > size ? -ERANGE : fs_reply(call, value, len);
}

int fs_op_getxattr(struct fs_call *call)
{
	FS_NODE node = fs_call_node(call);
	struct proc_name path;
	char *value;
	ssize_t n;
	int ret = xattr_check(call, node, call->name);

	if (ret)
		return ret;
	value = malloc(XATTR_SIZE_MAX);
	if (!value)
		return -ENOMEM;
	path = proc_path(node->fd);
	n = getxattr(path.text, call->name, value, XATTR_SIZE_MAX);
	ret = n < 0 ? -errno : value_reply(call, value, (size_t)n);
	free(value);
	return ret;
}

/* What remains of a list of names; its length. */
static size_t list_filter(char *list, size_t len)
{
	size_t kept = 0;

	for (size_t at = 0; at < len;) {
		size_t n = strnlen(list + at, len - at) + 1;

		if (n > len - at)
			break;
		if (is_user(list + at)) {
			memmove(list + kept, list + at, n);
			kept += n;
		}
		at += n;
	}
	return kept;
}

int fs_op_listxattr(struct fs_call *call)
{
	FS_NODE node = fs_call_node(call);
	struct proc_name path;
	char *list;
	ssize_t n;
	int ret = xattr_check(call, node, NULL);

	if (ret)
		return ret;
	list = malloc(XATTR_LIST_MAX);
	if (!list)
		return -ENOMEM;
	path = proc_path(node->fd);
	n = listxattr(path.text, list, XATTR_LIST_MAX);
	ret = n < 0 ? -errno : value_reply(call, list, list_filter(list, (size_t)n));
	free(list);
	return ret;
}

static int set_from(struct fs_call *call, const struct fs_node *node, const char *text, size_t len)
{
	const struct fuse_setxattr_in *in = &call->arg.setxattr;
	const char *end = memchr(text, '\0', len);
	struct proc_name path = proc_path(node->fd);
	int ret;

	if (!end || (size_t)(text + len - (end + 1)) != in->size ||
	    in->flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	ret = xattr_check(call, node, text);
	if (ret)
		return ret;
	return setxattr(path.text, text, end + 1, in->size, (int)in->flags) < 0 ? -errno : 0;
}

int fs_op_setxattr(struct fs_call *call)
{
	FS_NODE node = fs_call_node(call);
	size_t len = call->out_len;
	char *text;
	int ret = xattr_check(call, node, NULL);

	if (ret)
		return ret;
	if (len > XATTR_NAME_MAX + 1 + XATTR_SIZE_MAX)
		return -E2BIG;
	text = malloc(len + 1);
	if (!text)
		return -ENOMEM;
	iov_take(&call->out, &call->n_out, text, len);
	ret = set_from(call, node, text, len);
	free(text);
	return ret;
}

int fs_op_removexattr(struct fs_call *call)
{
	FS_NODE node = fs_call_node(call);
	struct proc_name path;
	int ret = xattr_check(call, node, call->name);

	if (ret)
		return ret;
	path = proc_path(node->fd);
	return removexattr(path.text, call->name) < 0 ? -errno : 0;
}
