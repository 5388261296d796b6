/* SPDX-License-Identifier: Apache-2.0 */
#include "iov.h"

#include <stdbool.h>
#include <string.h>

/* The front part of the list, at most @len bytes: false at the end of the list. */
static bool iov_next(struct iovec **iov, uint32_t *n, size_t len, struct iovec *ret_part)
{
	while (*n && (*iov)->iov_len == 0) {
		(*iov)++;
		(*n)--;
	}
	if (!*n || !len)
		return false;
	ret_part->iov_base = (*iov)->iov_base;
	ret_part->iov_len = (*iov)->iov_len < len ? (*iov)->iov_len : len;
	(*iov)->iov_base = (char *)(*iov)->iov_base + ret_part->iov_len;
	(*iov)->iov_len -= ret_part->iov_len;
	return true;
}

size_t iov_take(struct iovec **iov, uint32_t *n, void *ret_buf, size_t len)
{
	struct iovec part;
	size_t done = 0;

	for (; iov_next(iov, n, len - done, &part); done += part.iov_len)
		memcpy((char *)ret_buf + done, part.iov_base, part.iov_len);
	return done;
}

size_t iov_put(struct iovec **iov, uint32_t *n, const void *buf, size_t len)
{
	struct iovec part;
	size_t done = 0;

	for (; iov_next(iov, n, len - done, &part); done += part.iov_len)
		memcpy(part.iov_base, (const char *)buf + done, part.iov_len);
	return done;
}

uint32_t iov_split(struct iovec **iov, uint32_t *n, size_t len, struct iovec *ret_iov)
{
	uint32_t n_parts = 0;

	for (; iov_next(iov, n, len, &ret_iov[n_parts]); n_parts++)
		len -= ret_iov[n_parts].iov_len;
	return n_parts;
}

void iov_trim(struct iovec *iov, uint32_t *n, uint64_t len)
{
	for (uint32_t i = 0; i < *n; i++) {
		if (iov[i].iov_len >= len) {
			iov[i].iov_len = len;
			*n = len ? i + 1 : i;
			return;
		}
		len -= iov[i].iov_len;
	}
}
