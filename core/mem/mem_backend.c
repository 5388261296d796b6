/* SPDX-License-Identifier: Apache-2.0 */
#include "mem/mem_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/overflow.h"

/* Where host and guest addresses agree below this, both can use large pages for the same bytes. */
#define HOST_ALIGN (2ull << 20)

struct mem_size_text mem_size_text(uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	struct mem_size_text text;
	unsigned unit = 0;

	while (bytes && bytes % 1024 == 0 && unit + 1 < ARRAY_SIZE(units)) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text.text, sizeof(text.text), "%" PRIu64 " %s", bytes, units[unit]);
	return text;
}

/* --- the pool of huge pages --- */

static uint64_t default_hugepage_size(void)
{
	CLEANUP_FCLOSE FILE *f = fopen("/proc/meminfo", "re");
	uint64_t kib;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Hugepagesize: %" SCNu64, &kib) == 1)
			return kib * 1024;
	return 0;
}

/* -1: there is no such pool. */
static int64_t hugepage_pool(uint64_t page_size, const char *what)
{
	CLEANUP_FCLOSE FILE *f = NULL;
	char path[128];
	int64_t value;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s",
		 page_size / 1024, what);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%" SCNd64, &value) != 1)
		return -1;
	return value;
}

static int hugepage_shortage(uint64_t len, uint64_t page_size, struct error *err)
{
	int64_t all = hugepage_pool(page_size, "nr_hugepages");
	/* Pages promised to other mappings count as free until they are touched. */
	int64_t unused = hugepage_pool(page_size, "free_hugepages") -
			 hugepage_pool(page_size, "resv_hugepages");
	uint64_t needed = len / page_size;
	char cure[160];

	if (page_size == default_hugepage_size())
		snprintf(cure, sizeof(cure), "sysctl vm.nr_hugepages=%" PRIu64,
			 needed + (uint64_t)(all - unused));
	else
		snprintf(cure, sizeof(cure),
			 "write %" PRIu64 " to /sys/kernel/mm/hugepages/hugepages-%" PRIu64
			 "kB/nr_hugepages",
			 needed + (uint64_t)(all - unused), page_size / 1024);
	return error_set(
		err, -ENOMEM, "%s needs %" PRIu64 " huge pages of %s, %" PRId64 " are free (%s)",
		mem_size_text(len).text, needed, mem_size_text(page_size).text, unused, cure);
}

int mem_backing_page_size(const struct mem_config *config, uint64_t *ret_size, struct error *err)
{
	uint64_t size = config->hugepage_size;

	if (config->backend != MEM_HUGETLB) {
		*ret_size = (uint64_t)sysconf(_SC_PAGESIZE);
		return 0;
	}
	if (!size)
		size = default_hugepage_size();
	if (!size)
		return error_set(err, -ENOTSUP, "this host has no huge pages");
	if (!is_pow2(size) || hugepage_pool(size, "nr_hugepages") < 0)
		return error_set(err, -EINVAL,
				 "this host has no huge pages of %s (see /sys/kernel/mm/hugepages)",
				 mem_size_text(size).text);
	*ret_size = size;
	return 0;
}

/* --- descriptors --- */

static int resize(int fd, uint64_t len, const char *name, struct error *err)
{
	if (len > INT64_MAX)
		return error_errno(err, -EFBIG, "%s", name);
	if (ftruncate(fd, (off_t)len) < 0)
		return error_errno(err, -errno, "%s: extend to %s", name, mem_size_text(len).text);
	return 0;
}

static int open_memfd(const struct mem_config *config, uint64_t page_size, int *ret_fd,
		      struct error *err)
{
	unsigned flags = MFD_CLOEXEC;
	CLEANUP_CLOSE int fd = -1;
	int res;

	if (config->backend == MEM_HUGETLB)
		flags |= MFD_HUGETLB | (unsigned)__builtin_ctzll(page_size) << MAP_HUGE_SHIFT;
	fd = memfd_create("alcor-ram", flags);
	if (fd < 0)
		return error_errno(err, -errno, "memfd_create");
	res = resize(fd, config->size, "memfd", err);
	if (res)
		return res;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int open_file(const struct mem_config *config, int *ret_fd, struct error *err)
{
	CLEANUP_CLOSE int fd = -1;
	struct stat st;
	int res;

	if (!config->path || !*config->path)
		return error_set(err, -EINVAL, "memory in a file needs the file's path");
	/* O_NONBLOCK: a named pipe must not hold us up before it is refused. */
	fd = open(config->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0)
		return error_errno(err, -errno, "%s", config->path);
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "%s", config->path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "%s: not a regular file", config->path);
	if ((uint64_t)st.st_size < config->size) {
		res = resize(fd, config->size, config->path, err);
		if (res)
			return res;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int open_backing(const struct mem_config *config, uint64_t page_size, int *ret_fd,
			struct error *err)
{
	switch (config->backend) {
	case MEM_ANON:
		*ret_fd = -1;
		return 0;
	case MEM_MEMFD:
	case MEM_HUGETLB:
		return open_memfd(config, page_size, ret_fd, err);
	case MEM_FILE:
		return open_file(config, ret_fd, err);
	}
	return error_set(err, -EINVAL, "unknown memory back end %d", config->backend);
}

/* --- mapping --- */

static int map_error(int err_no, const struct mem_backing *backing, uint64_t page_size,
		     struct error *err)
{
	struct sysinfo info;
	uint64_t mib;

	if (err_no == -ENOMEM && backing->backend == MEM_HUGETLB)
		return hugepage_shortage(backing->len, page_size, err);
	if (err_no != -ENOMEM || sysinfo(&info) < 0)
		return error_errno(err, err_no, "map %s", mem_size_text(backing->len).text);
	mib = (uint64_t)info.totalram * info.mem_unit >> 20;
	return error_set(err, err_no,
			 "the host cannot map %s: it has %" PRIu64 " MiB of memory and %" PRIu64
			 " MiB of swap (see vm.overcommit_memory)",
			 mem_size_text(backing->len).text, mib,
			 (uint64_t)info.totalswap * info.mem_unit >> 20);
}

/* Replaces a part of a larger reservation, for the address has to be a multiple of the alignment. */
static int map_backing(struct mem_backing *backing, uint64_t page_size)
{
	int flags = backing->shared ? MAP_SHARED : MAP_PRIVATE;
	uint64_t align = MAX(page_size, HOST_ALIGN), reserved;
	uint8_t *start, *host;

	if (backing->fd < 0)
		flags |= MAP_ANONYMOUS;
	if (add_overflows(backing->len, align, &reserved))
		return -ENOMEM;
	start = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		return -errno;
	host = (uint8_t *)align_up((uintptr_t)start, align);
	if (mmap(host, backing->len, PROT_READ | PROT_WRITE, flags | MAP_FIXED, backing->fd, 0) ==
	    MAP_FAILED) {
		int err = -errno;

		munmap(start, reserved);
		return err;
	}
	if (host > start)
		munmap(start, (size_t)(host - start));
	munmap(host + backing->len, align - (size_t)(host - start));
	backing->host = host;
	return 0;
}

static int populate(const struct mem_backing *backing, uint64_t page_size)
{
	uint64_t offset;

	if (madvise(backing->host, backing->len, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	/* Kernels before 5.14. */
	for (offset = 0; offset < backing->len; offset += page_size) {
		volatile uint8_t *byte = backing->host + offset;

		*byte = *byte;
	}
	return 0;
}

static int prepare(const struct mem_config *config, const struct mem_backing *backing,
		   uint64_t page_size, struct error *err)
{
	int res;

	if (config->thp && madvise(backing->host, backing->len, MADV_HUGEPAGE) < 0)
		return error_errno(err, -errno, "transparent huge pages");
	if (!config->prefault)
		return 0;
	res = populate(backing, page_size);
	if (res)
		return error_errno(err, res, "prefault %s", mem_size_text(backing->len).text);
	return 0;
}

int mem_backing_alloc(const struct mem_config *config, uint64_t page_size,
		      struct mem_backing *ret_backing, struct error *err)
{
	struct mem_backing backing = {
		.len = config->size,
		.page_size = page_size,
		.fd = -1,
		.backend = config->backend,
		.shared = config->shared || config->backend == MEM_MEMFD,
		.prefault = config->prefault,
	};
	int res;

	if (config->thp && config->backend == MEM_HUGETLB)
		return error_set(err, -EINVAL,
				 "memory of huge pages cannot have transparent huge pages too");
	res = open_backing(config, page_size, &backing.fd, err);
	if (res)
		return res;
	res = map_backing(&backing, page_size);
	if (res)
		map_error(res, &backing, page_size, err);
	else
		res = prepare(config, &backing, page_size, err);
	if (res) {
		if (config->backend == MEM_FILE)
			error_prefix(err, "%s", config->path);
		mem_backing_free(&backing);
		return res;
	}
	*ret_backing = backing;
	return 0;
}

void mem_backing_free(struct mem_backing *backing)
{
	if (backing->host)
		munmap(backing->host, backing->len);
	if (backing->fd >= 0)
		close(backing->fd);
	*backing = (struct mem_backing){ .fd = -1 };
}

/* Dropping private pages of a file would show the file's content again. */
static bool can_drop(const struct mem_backing *backing)
{
	return backing->shared || backing->backend != MEM_FILE;
}

/* MADV_DONTNEED would leave the pages of shared memory in the memory's file. */
static int drop(const struct mem_backing *backing, uint64_t offset, uint64_t len)
{
	int advice = backing->shared ? MADV_REMOVE : MADV_DONTNEED;

	return madvise(backing->host + offset, len, advice) < 0 ? -errno : 0;
}

int mem_backing_discard(const struct mem_backing *backing, uint64_t offset, uint64_t len)
{
	uint64_t end = align_down(offset + len, backing->page_size);

	offset = align_up(offset, backing->page_size);
	return offset < end && can_drop(backing) ? drop(backing, offset, end - offset) : 0;
}

int mem_backing_clear(const struct mem_backing *backing)
{
	if (!can_drop(backing) || drop(backing, 0, backing->len)) {
		memset(backing->host, 0, backing->len);
		return 0;
	}
	return backing->prefault ? populate(backing, (uint64_t)sysconf(_SC_PAGESIZE)) : 0;
}
