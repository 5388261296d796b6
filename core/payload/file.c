/* SPDX-License-Identifier: Apache-2.0 */
#include "payload/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/overflow.h"

static const char *file_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a pipe";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device";
	}
}

int payload_file_open(const char *path, struct payload_file *ret_file, struct error *err)
{
	CLEANUP_CLOSE int fd = -1;
	struct stat st;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return error_errno(err, -errno, "open");
	if (fstat(fd, &st))
		return error_errno(err, -errno, "stat");
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "is %s, not a regular file", file_type(st.st_mode));
	if (!st.st_size)
		return error_set(err, -EINVAL, "is empty");
	ret_file->size = (uint64_t)st.st_size;
	ret_file->fd = TAKE_FD(fd);
	return 0;
}

void payload_file_close(struct payload_file *file)
{
	cleanup_close(&file->fd);
	file->fd = -1;
}

int payload_file_read(const struct payload_file *file, uint64_t offset, void *ret_buf, uint64_t len,
		      struct error *err)
{
	uint8_t *p = ret_buf;
	ssize_t n;

	if (!range_within(offset, len, file->size))
		goto truncated;
	while (len) {
		n = pread(file->fd, p, MIN(len, 1u << 30), (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, -errno, "read");
		if (!n) /* shrunk since it was opened */
			goto truncated;
		p += n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
truncated:
	return error_set(err, -EINVAL,
			 "is truncated: %" PRIu64 " bytes at offset %" PRIu64
			 " are missing (the file has %" PRIu64 ")",
			 len, offset, file->size);
}

int payload_file_load(const struct payload_file *file, uint64_t offset, uint64_t len,
		      const struct mem *mem, uint64_t gpa, struct error *err)
{
	void *p;

	if (!len)
		return 0;
	p = mem_ptr(mem, gpa, len);
	if (!p)
		return error_set(err, -EFAULT, "no RAM at 0x%" PRIx64 " for %" PRIu64 " bytes", gpa,
				 len);
	return payload_file_read(file, offset, p, len, err);
}
