/* SPDX-License-Identifier: Apache-2.0 */
/* Scatter lists: each function works on a list of *@n elements at *@iov, and may edit both. */
#ifndef ALCOR_PLUGINS_VIRTIO_FS_IOV_H
#define ALCOR_PLUGINS_VIRTIO_FS_IOV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Moves up to @len bytes from the front into @ret_buf; how many there were. */
size_t iov_take(struct iovec **iov, uint32_t *n, void *ret_buf, size_t len);
/* Copies up to @len bytes to the front and goes behind them; how many there was room for. */
size_t iov_put(struct iovec **iov, uint32_t *n, const void *buf, size_t len);
/* Splits off the first @len bytes, in up to @len elements of @ret_iov; their number. */
uint32_t iov_split(struct iovec **iov, uint32_t *n, size_t len, struct iovec *ret_iov);
/* Shortens the list to at most @len bytes. */
void iov_trim(struct iovec *iov, uint32_t *n, uint64_t len);

#endif
