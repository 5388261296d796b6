/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alcor.mem/1: checked access to guest memory. Addresses are guest-physical, lengths in bytes.
 * The guest may change what is read at any time: copy once, then check, then use.
 */
#ifndef ALCOR_MEM_H
#define ALCOR_MEM_H

#include <alcor/plugin.h>
#include <sys/uio.h>

#define ALCOR_MEM_ID "alcor.mem/1"

#define ALCOR_MEM_READ	1u
#define ALCOR_MEM_WRITE 2u

struct alcor_mem {
	uint32_t struct_size;
	/* [any] All or nothing; -EFAULT where a byte of the range is not RAM. */
	int (*read)(struct alcor_dev *dev, uint64_t gpa, void *ret_buf, uint64_t len);
	int (*write)(struct alcor_dev *dev, uint64_t gpa, const void *buf, uint64_t len);
	/* [any] Pins a range and fills at most @max elements: their number, -EFAULT where it is not
	 * all RAM, -E2BIG where @max is too small. Valid until put(), which also marks what may
	 * have been written as dirty. @access is ALCOR_MEM_READ | ALCOR_MEM_WRITE. */
	int (*get)(struct alcor_dev *dev, uint64_t gpa, uint64_t len, uint32_t access,
		   struct iovec *ret_iov, uint32_t max);
	void (*put)(struct alcor_dev *dev, const struct iovec *iov, uint32_t n, uint32_t access);
	/* [any] Gives the host's memory behind a range back: its content is zero or unspecified until
	 * it is written again. Only whole pages of the host are given, what they leave over at either
	 * end keeps its content. -EFAULT where a byte is not RAM; other errors where this host or its
	 * kind of memory cannot do it. The second takes elements that get() or a request of
	 * <alcor/virtio.h> gave, and is not undone where a later element fails. */
	int (*discard)(struct alcor_dev *dev, uint64_t gpa, uint64_t len);
	int (*discard_iov)(struct alcor_dev *dev, const struct iovec *iov, uint32_t n);
};

#endif
