/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of scatter lists, wherever their elements begin and end. */
#include "net.h"

/* The next piece of a list behind *@offset bytes, at most @len; 0 at the end. */
static size_t next_piece(const struct iovec **iov, uint32_t *n, uint64_t *offset, uint64_t len,
			 uint8_t **ret_piece)
{
	for (; *n; (*iov)++, (*n)--) {
		size_t left = (*iov)->iov_len;

		if (*offset >= left) {
			*offset -= left;
			continue;
		}
		*ret_piece = (uint8_t *)(*iov)->iov_base + *offset;
		left -= *offset;
		left = left < len ? left : len;
		*offset += left;
		return left;
	}
	return 0;
}

bool net_iov_read(const struct iovec *iov, uint32_t n, uint64_t offset, void *ret_data,
		  uint64_t len)
{
	uint8_t *to = ret_data, *piece;

	while (len) {
		size_t part = next_piece(&iov, &n, &offset, len, &piece);

		if (!part)
			return false;
		memcpy(to, piece, part);
		to += part;
		len -= part;
	}
	return true;
}

bool net_iov_write(const struct iovec *iov, uint32_t n, uint64_t offset, const void *data,
		   uint64_t len)
{
	const uint8_t *from = data;
	uint8_t *piece;

	while (len) {
		size_t part = next_piece(&iov, &n, &offset, len, &piece);

		if (!part)
			return false;
		memcpy(piece, from, part);
		from += part;
		len -= part;
	}
	return true;
}
