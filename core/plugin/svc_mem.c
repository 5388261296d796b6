/* SPDX-License-Identifier: Apache-2.0 */
/* alcor.mem/1: guest memory. */
#include "plugin/device_impl.h"
#include "plugin/svc.h"

static int svc_mem_read(struct alcor_dev *pub, uint64_t gpa, void *ret_buf, uint64_t len)
{
	return mem_read(vm_mem(device_of(pub)->vm), gpa, ret_buf, len);
}

static int svc_mem_write(struct alcor_dev *pub, uint64_t gpa, const void *buf, uint64_t len)
{
	return mem_write(vm_mem(device_of(pub)->vm), gpa, buf, len);
}

static int svc_mem_get(struct alcor_dev *pub, uint64_t gpa, uint64_t len, uint32_t access,
		       struct iovec *ret_iov, uint32_t max)
{
	return mem_get(vm_mem(device_of(pub)->vm), gpa, len, access & ALCOR_MEM_WRITE, ret_iov,
		       max);
}

static void svc_mem_put(struct alcor_dev *pub, const struct iovec *iov, uint32_t n, uint32_t access)
{
	mem_put(vm_mem(device_of(pub)->vm), iov, n, access & ALCOR_MEM_WRITE);
}

static int svc_mem_discard(struct alcor_dev *pub, uint64_t gpa, uint64_t len)
{
	return mem_discard(vm_mem(device_of(pub)->vm), gpa, len);
}

static int svc_mem_discard_iov(struct alcor_dev *pub, const struct iovec *iov, uint32_t n)
{
	struct mem *mem = vm_mem(device_of(pub)->vm);
	int ret = 0;

	for (uint32_t i = 0; i < n && !ret; i++)
		ret = mem_discard_host(mem, iov[i].iov_base, iov[i].iov_len);
	return ret;
}

const struct alcor_mem svc_mem = {
	.struct_size = sizeof(svc_mem),
	.read = svc_mem_read,
	.write = svc_mem_write,
	.get = svc_mem_get,
	.put = svc_mem_put,
	.discard = svc_mem_discard,
	.discard_iov = svc_mem_discard_iov,
};
