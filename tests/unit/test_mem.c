/* SPDX-License-Identifier: Apache-2.0 */
#include "mem/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "fake_hv.h"
#include "util/cleanup.h"

#define MIB	(1ull << 20)
#define GIB	(1ull << 30)
#define MAX_GPA (1ull << 39)

struct fixture {
	struct hv_vm hv;
	struct mem *mem;
	struct error err;
	char dir[32];
	char path[64];
};

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	*state = f;
	fake_hv_init(&f->hv);
	strcpy(f->dir, "/tmp/test_mem.XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/ram", f->dir);
	return mem_new(&f->hv, &f->mem);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	unsigned i;

	mem_free(f->mem);
	for (i = 0; i < FAKE_HV_SLOTS; i++)
		if (f->hv.maps[i].len)
			return -1;
	unlink(f->path);
	rmdir(f->dir);
	test_free(f);
	return 0;
}

static int add_ram(struct fixture *f, const struct mem_config *config)
{
	return mem_add_ram(f->mem, config, 3 * GIB, MAX_GPA, &f->err);
}

static void test_layout_around_the_hole(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = 4 * MIB };
	const struct mem_region *low, *high;

	assert_int_equal(mem_add_ram(f->mem, &config, 3 * MIB, MAX_GPA, &f->err), 0);
	assert_int_equal(mem_n_regions(f->mem), 2);
	low = mem_region_at(f->mem, 0);
	high = mem_region_at(f->mem, 1);
	assert_null(mem_region_at(f->mem, 2));
	assert_int_equal(low->gpa, 0);
	assert_int_equal(low->len, 3 * MIB);
	assert_int_equal(high->gpa, 4 * GIB);
	assert_int_equal(high->len, MIB);
	assert_int_equal(mem_ram_size(f->mem), 4 * MIB);
	assert_int_equal(mem_end(f->mem), 4 * GIB + MIB);
	assert_ptr_equal(f->hv.maps[low->slot].host, low->host);
	assert_int_equal(f->hv.maps[high->slot].gpa, 4 * GIB);
	assert_int_equal(f->hv.maps[high->slot].len, MIB);
	/* So that the guest can be backed by large pages. */
	assert_int_equal((uintptr_t)low->host % (2 * MIB), 0);

	assert_ptr_equal(mem_ptr(f->mem, 0x1234, 4), low->host + 0x1234);
	assert_ptr_equal(mem_ptr(f->mem, 4 * GIB, MIB), high->host);
	assert_null(mem_ptr(f->mem, 0, 0));
	assert_null(mem_ptr(f->mem, 3 * MIB - 1, 2));
	assert_null(mem_ptr(f->mem, 3 * MIB, 1));
	assert_null(mem_ptr(f->mem, 4 * GIB - 1, 2));
	assert_null(mem_ptr(f->mem, 4 * GIB + 1, UINT64_MAX));
	assert_null(mem_ptr(f->mem, UINT64_MAX, 2));
	assert_int_equal(add_ram(f, &config), -EEXIST);
}

static void test_small_memory_is_one_region(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = MIB };

	assert_int_equal(mem_end(f->mem), 4 * GIB);
	assert_int_equal(add_ram(f, &config), 0);
	assert_int_equal(mem_n_regions(f->mem), 1);
	assert_int_equal(mem_end(f->mem), 4 * GIB);
}

static void test_access_is_all_or_nothing(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = 4 * MIB };
	char buf[8] = "unread!";
	struct iovec iov[2];

	assert_int_equal(add_ram(f, &config), 0);
	assert_int_equal(mem_write(f->mem, 4 * MIB - 8, "guest!!", 8), 0);
	assert_int_equal(mem_write(f->mem, 4 * MIB - 4, "overrun", 8), -EFAULT);
	assert_int_equal(mem_read(f->mem, 4 * MIB - 4, buf, 8), -EFAULT);
	assert_string_equal(buf, "unread!");
	assert_int_equal(mem_read(f->mem, 4 * MIB - 8, buf, 8), 0);
	assert_string_equal(buf, "guest!!");
	assert_int_equal(mem_read(f->mem, UINT64_MAX - 3, buf, 8), -EFAULT);
	assert_int_equal(mem_get(f->mem, 0x1000, 16, true, iov, 0), -E2BIG);
	assert_int_equal(mem_get(f->mem, 4 * MIB - 1, 2, true, iov, 2), -EFAULT);
	assert_int_equal(mem_get(f->mem, 0x1000, 0, true, iov, 0), 0);
	assert_int_equal(mem_get(f->mem, 4 * MIB - 8, 8, true, iov, 2), 1);
	assert_int_equal(iov[0].iov_len, 8);
	assert_memory_equal(iov[0].iov_base, "guest!!", 8);
	mem_put(f->mem, iov, 1, true);
}

static void test_access_crosses_adjacent_regions(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = 4 * GIB + MIB };
	char buf[8] = "";
	struct iovec iov[2];

	/* Touches three pages only. */
	assert_int_equal(mem_add_ram(f->mem, &config, 4 * GIB, MAX_GPA, &f->err), 0);
	assert_int_equal(mem_write(f->mem, 4 * GIB - 3, "across!", 8), 0);
	assert_int_equal(mem_read(f->mem, 4 * GIB - 3, buf, 8), 0);
	assert_string_equal(buf, "across!");
	assert_null(mem_ptr(f->mem, 4 * GIB - 3, 8));
	assert_int_equal(mem_get(f->mem, 4 * GIB - 3, 8, false, iov, 1), -E2BIG);
	assert_int_equal(mem_get(f->mem, 4 * GIB - 3, 8, false, iov, 2), 2);
	assert_int_equal(iov[0].iov_len, 3);
	assert_int_equal(iov[1].iov_len, 5);
}

static void assert_says(struct fixture *f, const char *text)
{
	if (!strstr(f->err.text, text))
		fail_msg("\"%s\" does not say \"%s\"", f->err.text, text);
	assert_int_equal(mem_n_regions(f->mem), 0);
}

static void test_size_errors_have_numbers(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = 512 * 1024 };

	assert_int_equal(add_ram(f, &config), -EINVAL);
	assert_says(f, "512 KiB is less than 1 MiB");
	config.size = MIB + 1;
	assert_int_equal(add_ram(f, &config), -EINVAL);
	assert_says(f, "1048577 bytes is no multiple of 4 KiB");
	config.size = MAX_GPA;
	assert_int_equal(add_ram(f, &config), -EINVAL);
	assert_says(f, "512 GiB needs guest addresses up to 0x803fffffff");
	assert_says(f, "0x7fffffffff");
	config.size = UINT64_MAX - 0xfff;
	assert_int_equal(add_ram(f, &config), -EINVAL);
	config.size = 1ull << 46;
	assert_int_equal(mem_add_ram(f->mem, &config, 3 * GIB, UINT64_MAX, &f->err), -ENOMEM);
	assert_says(f, "cannot map 64 TiB");
	assert_says(f, "MiB of memory");
	/* After all that the object is still good. */
	config.size = MIB;
	assert_int_equal(add_ram(f, &config), 0);
}

static void test_hypervisor_failure_undoes_everything(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = MIB };

	f->hv.fail_map = -EINVAL;
	assert_int_equal(add_ram(f, &config), -EINVAL);
	assert_says(f, "1 MiB");
	f->hv.fail_map = 0;
	assert_int_equal(add_ram(f, &config), 0);
}

/* Another mapping of the same descriptor sees what the guest wrote. */
static void assert_shared_through_fd(struct mem *mem)
{
	const struct mem_region *region = mem_region_at(mem, 0);
	char buf[8] = "";

	assert_true(region->fd >= 0);
	assert_true(fcntl(region->fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(mem_write(mem, 0x2000, "shared!", 8), 0);
	assert_int_equal(pread(region->fd, buf, 8, (off_t)region->fd_offset + 0x2000), 8);
	assert_string_equal(buf, "shared!");
}

static void assert_clear_works(struct mem *mem)
{
	uint64_t value = UINT64_MAX;

	assert_int_equal(mem_write(mem, 0x5008, &value, 8), 0);
	assert_int_equal(mem_clear(mem), 0);
	assert_int_equal(mem_read(mem, 0x5008, &value, 8), 0);
	assert_int_equal(value, 0);
	assert_int_equal(mem_read(mem, 0x2000, &value, 8), 0);
	assert_int_equal(value, 0);
}

static void test_memfd_is_shared(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = 2 * MIB, .backend = MEM_MEMFD };

	assert_int_equal(add_ram(f, &config), 0);
	assert_shared_through_fd(f->mem);
	assert_clear_works(f->mem);
}

static void test_anonymous_memory_clears(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = 2 * MIB };

	assert_int_equal(add_ram(f, &config), 0);
	assert_int_equal(mem_region_at(f->mem, 0)->fd, -1);
	assert_clear_works(f->mem);
}

static void test_shared_anonymous_memory_clears(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = 2 * MIB, .shared = true };

	assert_int_equal(add_ram(f, &config), 0);
	assert_clear_works(f->mem);
}

/* Bytes of [gpa, gpa + len) that the host has pages for; what the mapping itself holds. */
static uint64_t resident(struct mem *mem, uint64_t gpa, uint64_t len)
{
	unsigned char pages[1024];
	uint64_t page = (uint64_t)getpagesize(), n = 0;

	assert_true(len / page <= sizeof(pages));
	assert_int_equal(mincore(mem_ptr(mem, gpa, len), len, pages), 0);
	for (uint64_t i = 0; i < len / page; i++)
		n += pages[i] & 1;
	return n * page;
}

static void fill(struct mem *mem, uint64_t gpa, uint64_t len)
{
	memset(mem_ptr(mem, gpa, len), 0x5a, len);
	assert_int_equal(resident(mem, gpa, len), len);
}

static void test_discard_gives_pages_back(void **state)
{
	static const struct mem_config cases[] = {
		{ .size = 2 * MIB },
		{ .size = 2 * MIB, .shared = true },
		{ .size = 2 * MIB, .backend = MEM_MEMFD },
		{ .size = 2 * MIB, .backend = MEM_FILE, .shared = true },
	};
	struct fixture *f = *state;
	uint64_t page = (uint64_t)getpagesize();
	unsigned i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mem_config config = cases[i];
		uint8_t *host;

		config.path = f->path;
		assert_int_equal(add_ram(f, &config), 0);
		host = mem_ptr(f->mem, 0, 2 * MIB);
		fill(f->mem, 0, 2 * MIB);
		assert_int_equal(mem_discard(f->mem, 8 * page, 4 * page), 0);
		assert_int_equal(resident(f->mem, 0, 2 * MIB), 2 * MIB - 4 * page);
		assert_int_equal(resident(f->mem, 8 * page, 4 * page), 0);
		assert_int_equal(host[8 * page - 1], 0x5a);
		assert_int_equal(host[12 * page], 0x5a);
		assert_int_equal(host[8 * page], 0);
		/* The same through the host's address. */
		assert_int_equal(mem_discard_host(f->mem, host + 20 * page, page), 0);
		assert_int_equal(resident(f->mem, 20 * page, page), 0);
		mem_free(f->mem);
		assert_int_equal(mem_new(&f->hv, &f->mem), 0);
	}
}

static void test_discard_takes_whole_pages_only(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = MIB };
	uint64_t page = (uint64_t)getpagesize();

	assert_int_equal(add_ram(f, &config), 0);
	fill(f->mem, 0, MIB);
	assert_int_equal(mem_discard(f->mem, page, 0), 0);
	assert_int_equal(mem_discard(f->mem, page + 1, page), 0);
	assert_int_equal(mem_discard(f->mem, page, page - 1), 0);
	assert_int_equal(mem_discard(f->mem, 2 * page - 1, 2), 0);
	assert_int_equal(resident(f->mem, 0, MIB), MIB);
	assert_int_equal(mem_discard(f->mem, page - 1, page + 2), 0);
	assert_int_equal(resident(f->mem, 0, MIB), MIB - page);
	assert_int_equal(((uint8_t *)mem_ptr(f->mem, page - 1, 1))[0], 0x5a);
	assert_int_equal(((uint8_t *)mem_ptr(f->mem, 2 * page, 1))[0], 0x5a);
}

static void test_discard_outside_of_memory(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = 4 * MIB };
	uint8_t *host;

	assert_int_equal(mem_discard(f->mem, 0, 4096), -EFAULT);
	assert_int_equal(mem_add_ram(f->mem, &config, 3 * MIB, MAX_GPA, &f->err), 0);
	host = mem_ptr(f->mem, 0, 1);
	fill(f->mem, 0, 3 * MIB);
	assert_int_equal(mem_discard(f->mem, 3 * MIB, 4096), -EFAULT);
	assert_int_equal(mem_discard(f->mem, 3 * MIB - 4096, 8192), -EFAULT);
	assert_int_equal(mem_discard(f->mem, 4 * GIB - 4096, 8192), -EFAULT);
	assert_int_equal(mem_discard(f->mem, 4 * GIB, MIB + 1), -EFAULT);
	assert_int_equal(mem_discard(f->mem, 0, UINT64_MAX), -EFAULT);
	assert_int_equal(mem_discard(f->mem, UINT64_MAX - 4095, 8192), -EFAULT);
	assert_int_equal(mem_discard_host(f->mem, host - 4096, 4096), -EFAULT);
	assert_int_equal(mem_discard_host(f->mem, host, 4 * MIB + 1), -EFAULT);
	assert_int_equal(mem_discard_host(f->mem, host + 4096, UINT64_MAX - 4095), -EFAULT);
	assert_int_equal(mem_discard_host(f->mem, NULL, 4096), -EFAULT);
	assert_int_equal(resident(f->mem, 0, 3 * MIB), 3 * MIB);
	/* The high region is there, too. */
	fill(f->mem, 4 * GIB, MIB);
	assert_int_equal(mem_discard(f->mem, 4 * GIB, MIB), 0);
	assert_int_equal(resident(f->mem, 4 * GIB, MIB), 0);
}

static void test_prefault_makes_memory_resident(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = 2 * MIB, .prefault = true };
	unsigned char resident[512];
	unsigned i;

	assert_int_equal(add_ram(f, &config), 0);
	assert_int_equal(mincore(mem_region_at(f->mem, 0)->host, 2 * MIB, resident), 0);
	for (i = 0; i < 2 * MIB / (unsigned)getpagesize(); i++)
		assert_true(resident[i] & 1);
	assert_clear_works(f->mem);
}

static void test_file_is_created_and_shared(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = {
		.size = 2 * MIB, .backend = MEM_FILE, .shared = true, .path = f->path
	};
	struct stat st;

	assert_int_equal(add_ram(f, &config), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, 2 * MIB);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_shared_through_fd(f->mem);
	assert_clear_works(f->mem);
}

static void write_file(const char *path, const char *text)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
}

static void test_private_file_is_extended_but_not_written(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = MIB, .backend = MEM_FILE, .path = f->path };
	CLEANUP_FCLOSE FILE *file = NULL;
	char buf[8] = "";
	struct stat st;

	write_file(f->path, "content");
	assert_int_equal(add_ram(f, &config), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, MIB);
	assert_int_equal(mem_read(f->mem, 0, buf, 7), 0);
	assert_string_equal(buf, "content");
	assert_clear_works(f->mem);
	assert_int_equal(mem_read(f->mem, 0, buf, 7), 0);
	assert_int_equal(buf[0], 0);
	file = fopen(f->path, "r");
	assert_non_null(file);
	assert_int_equal(fread(buf, 1, 7, file), 7);
	assert_string_equal(buf, "content");
	/* Whoever got the descriptor would not see what the guest writes. */
	assert_int_equal(mem_region_at(f->mem, 0)->fd, -1);
}

/* Its old content must not come back. */
static void test_private_file_is_not_discarded(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = MIB, .backend = MEM_FILE, .path = f->path };
	char buf[8] = "";

	write_file(f->path, "content");
	assert_int_equal(add_ram(f, &config), 0);
	assert_int_equal(mem_write(f->mem, 0, "written", 8), 0);
	assert_int_equal(mem_discard(f->mem, 0, MIB), 0);
	assert_int_equal(mem_read(f->mem, 0, buf, 8), 0);
	assert_string_equal(buf, "written");
}

static void test_longer_file_keeps_its_length(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = MIB, .backend = MEM_FILE, .path = f->path };
	struct stat st;

	write_file(f->path, "");
	assert_int_equal(truncate(f->path, 3 * MIB), 0);
	assert_int_equal(add_ram(f, &config), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, 3 * MIB);
}

static void test_file_errors_name_the_file(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = MIB, .backend = MEM_FILE };

	assert_int_equal(add_ram(f, &config), -EINVAL);
	assert_says(f, "path");
	config.path = f->dir;
	assert_int_equal(add_ram(f, &config), -EISDIR);
	assert_says(f, f->dir);
	assert_int_equal(mkfifo(f->path, 0600), 0);
	config.path = f->path;
	assert_int_equal(add_ram(f, &config), -EINVAL);
	assert_says(f, "not a regular file");
	config.path = "/proc/version";
	assert_true(add_ram(f, &config) < 0);
	assert_says(f, "/proc/version");
	config.path = "/nonexistent/ram";
	assert_int_equal(add_ram(f, &config), -ENOENT);
	assert_says(f, "/nonexistent/ram: No such file or directory");
}

static void test_hugepage_errors_say_the_cure(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = 1ull << 44, .backend = MEM_HUGETLB };

	if (mem_add_ram(f->mem, &config, 3 * GIB, UINT64_MAX, &f->err) == -ENOTSUP) {
		assert_says(f, "no huge pages");
		return;
	}
	assert_says(f, "16 TiB needs ");
	assert_says(f, " are free (sysctl vm.nr_hugepages=");
	config.thp = true;
	assert_int_equal(mem_add_ram(f->mem, &config, 3 * GIB, UINT64_MAX, &f->err), -EINVAL);
	assert_says(f, "transparent");
	config.thp = false;
	config.hugepage_size = 12345;
	assert_int_equal(add_ram(f, &config), -EINVAL);
	assert_says(f, "no huge pages of 12345 bytes");
	config.hugepage_size = 0;
	config.size = MIB + 4096;
	assert_int_equal(add_ram(f, &config), -EINVAL);
	assert_says(f, "is no multiple of");
}

/* --- listeners --- */

struct listener {
	struct mem_listener base;
	int n_known;
	int fail_at; /* region that is refused */
};

static int listener_added(struct mem_listener *base, const struct mem_region *region)
{
	struct listener *listener = (struct listener *)base;

	if (listener->fail_at == (int)region->slot)
		return -EPERM;
	listener->n_known++;
	return 0;
}

static void listener_removed(struct mem_listener *base, const struct mem_region *region)
{
	((struct listener *)base)->n_known--;
}

static const struct mem_listener listener_ops = { listener_added, listener_removed, NULL };

static void test_listeners_hear_of_every_region(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = 4 * MIB };
	struct listener before = { listener_ops, 0, -1 }, late = { listener_ops, 0, -1 };
	struct listener gone = { listener_ops, 0, -1 }, choosy = { listener_ops, 0, 1 };

	assert_int_equal(mem_add_listener(f->mem, &before.base), 0);
	assert_int_equal(mem_add_listener(f->mem, &gone.base), 0);
	mem_remove_listener(f->mem, &gone.base);
	assert_int_equal(mem_add_ram(f->mem, &config, 2 * MIB, MAX_GPA, &f->err), 0);
	assert_int_equal(before.n_known, 2);
	assert_int_equal(gone.n_known, 0);
	assert_int_equal(mem_add_listener(f->mem, &late.base), 0);
	assert_int_equal(late.n_known, 2);
	assert_int_equal(mem_add_listener(f->mem, &choosy.base), -EPERM);
	assert_int_equal(choosy.n_known, 0);
	mem_free(f->mem);
	assert_int_equal(before.n_known, 0);
	assert_int_equal(late.n_known, 0);
	assert_int_equal(mem_new(NULL, &f->mem), 0);
}

static void test_listener_may_refuse(void **state)
{
	struct fixture *f = *state;
	struct mem_config config = { .size = 4 * MIB };
	struct listener choosy = { listener_ops, 0, 1 }, other = { listener_ops, 0, -1 };

	assert_int_equal(mem_add_listener(f->mem, &choosy.base), 0);
	assert_int_equal(mem_add_listener(f->mem, &other.base), 0);
	assert_int_equal(mem_add_ram(f->mem, &config, 2 * MIB, MAX_GPA, &f->err), -EPERM);
	assert_says(f, "0x100000000");
	assert_int_equal(choosy.n_known, 0);
	assert_int_equal(other.n_known, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_layout_around_the_hole),
		TEST(test_small_memory_is_one_region),
		TEST(test_access_is_all_or_nothing),
		TEST(test_access_crosses_adjacent_regions),
		TEST(test_size_errors_have_numbers),
		TEST(test_hypervisor_failure_undoes_everything),
		TEST(test_memfd_is_shared),
		TEST(test_anonymous_memory_clears),
		TEST(test_shared_anonymous_memory_clears),
		TEST(test_discard_gives_pages_back),
		TEST(test_discard_takes_whole_pages_only),
		TEST(test_discard_outside_of_memory),
		TEST(test_prefault_makes_memory_resident),
		TEST(test_file_is_created_and_shared),
		TEST(test_private_file_is_extended_but_not_written),
		TEST(test_private_file_is_not_discarded),
		TEST(test_longer_file_keeps_its_length),
		TEST(test_file_errors_name_the_file),
		TEST(test_hugepage_errors_say_the_cure),
		TEST(test_listeners_hear_of_every_region),
		TEST(test_listener_may_refuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
