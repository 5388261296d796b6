/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory: one piece at address 0, whose pages can be given back to the host. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alcor_testing.h"

void alcor_fake_mem_init(struct alcor_fake *fake)
{
	fake->ram = mmap(NULL, ALCOR_FAKE_RAM, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (fake->ram == MAP_FAILED)
		alcor_fake_die("no memory");
	/* Residency is counted in small pages. */
	madvise(fake->ram, ALCOR_FAKE_RAM, MADV_NOHUGEPAGE);
}

void alcor_fake_mem_fini(struct alcor_fake *fake)
{
	munmap(fake->ram, ALCOR_FAKE_RAM);
}

uint64_t alcor_fake_resident(struct alcor_fake *fake, uint64_t gpa, uint64_t len)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), n = 0;
	unsigned char *map = malloc(len / page + 1);

	if (!map || mincore(fake->ram + gpa, len, map))
		alcor_fake_die("mincore: %s", strerror(errno));
	for (uint64_t i = 0; i < len / page; i++)
		n += map[i] & 1;
	free(map);
	return n * page;
}

static int check(uint64_t gpa, uint64_t len)
{
	return gpa > ALCOR_FAKE_RAM || len > ALCOR_FAKE_RAM - gpa ? -EFAULT : 0;
}

static int mem_read(struct alcor_dev *dev, uint64_t gpa, void *ret_buf, uint64_t len)
{
	if (check(gpa, len))
		return -EFAULT;
	memcpy(ret_buf, alcor_fake_of(dev)->ram + gpa, len);
	return 0;
}

static int mem_write(struct alcor_dev *dev, uint64_t gpa, const void *buf, uint64_t len)
{
	if (check(gpa, len))
		return -EFAULT;
	memcpy(alcor_fake_of(dev)->ram + gpa, buf, len);
	return 0;
}

static int mem_get(struct alcor_dev *dev, uint64_t gpa, uint64_t len, uint32_t access,
		   struct iovec *ret_iov, uint32_t max)
{
	if (check(gpa, len))
		return -EFAULT;
	if (!len)
		return 0;
	if (!max)
		return -E2BIG;
	*ret_iov = (struct iovec){ alcor_fake_of(dev)->ram + gpa, len };
	return 1;
}

static void mem_put(struct alcor_dev *dev, const struct iovec *iov, uint32_t n, uint32_t access)
{
}

static int mem_discard(struct alcor_dev *dev, uint64_t gpa, uint64_t len)
{
	struct alcor_fake *fake = alcor_fake_of(dev);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), end = (gpa + len) & ~(page - 1);

	fake->n_discards++;
	if (fake->discard_result)
		return fake->discard_result;
	if (check(gpa, len))
		return -EFAULT;
	gpa = (gpa + page - 1) & ~(page - 1);
	if (gpa < end && madvise(fake->ram + gpa, end - gpa, MADV_DONTNEED))
		return -errno;
	return 0;
}

static int mem_discard_iov(struct alcor_dev *dev, const struct iovec *iov, uint32_t n)
{
	struct alcor_fake *fake = alcor_fake_of(dev);
	int ret = 0;

	for (uint32_t i = 0; i < n && !ret; i++)
		ret = mem_discard(dev, (uintptr_t)iov[i].iov_base - (uintptr_t)fake->ram,
				  iov[i].iov_len);
	return ret;
}

const struct alcor_mem alcor_fake_mem = {
	.struct_size = sizeof(alcor_fake_mem),
	.read = mem_read,
	.write = mem_write,
	.get = mem_get,
	.put = mem_put,
	.discard = mem_discard,
	.discard_iov = mem_discard_iov,
};
