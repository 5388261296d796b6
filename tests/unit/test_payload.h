/* SPDX-License-Identifier: Apache-2.0 */
/* A directory to make kernels in and a machine to load them into; for the tests of payload. */
#ifndef ALCOR_TESTS_UNIT_TEST_PAYLOAD_H
#define ALCOR_TESTS_UNIT_TEST_PAYLOAD_H

#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "payload/payload.h"
#include "util/overflow.h"

#define MIB	  (1ull << 20)
#define TEST_RSDP 0xe0000

struct fixture {
	char dir[32];
	struct mem *mem;
	struct memmap_entry map[3];
	struct payload_env env;
	struct payload_config config;
	struct hv_x86_start start;
	struct error err;
};

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/alcor-payload-XXXXXX");
	*state = f;
	return mkdtemp(f->dir) && !chdir(f->dir) ? 0 : -1;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	char line[64];

	mem_free(f->mem);
	snprintf(line, sizeof(line), "cd / && rm -r %s", f->dir);
	free(f);
	return system(line);
}

/* RAM is dirty, as after a reset of the machine. */
static inline void fixture_ram(struct fixture *f, uint64_t size)
{
	const struct mem_config config = { .size = size };

	assert_int_equal(mem_new(NULL, &f->mem), 0);
	assert_int_equal(mem_add_ram(f->mem, &config, 1ull << 31, 1ull << 36, &f->err), 0);
	memset(mem_ptr(f->mem, 0, MIN(size, 32 * MIB)), 0xa5, MIN(size, 32 * MIB));
	f->map[0] = (struct memmap_entry){ 0, 0xa0000, MEMMAP_RAM };
	f->map[1] = (struct memmap_entry){ 0xa0000, 0x60000, MEMMAP_RESERVED };
	f->map[2] = (struct memmap_entry){ MIB, size - MIB, MEMMAP_RAM };
	f->env = (struct payload_env){ f->mem, f->map, 3, TEST_RSDP };
}

static inline int fixture_load(struct fixture *f)
{
	memset(&f->err, 0, sizeof(f->err));
	memset(&f->start, 0, sizeof(f->start));
	return payload_load(&f->config, &f->env, &f->start, &f->err);
}

static inline void write_file(const char *path, const void *data, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	if (len)
		assert_int_equal(fwrite(data, len, 1, file), 1);
	assert_int_equal(fclose(file), 0);
}

/* Both the check without a machine and the load refuse, with the same text. */
static inline void assert_refused(struct fixture *f, const char *text)
{
	struct error err = { "" };

	assert_true(payload_check(&f->config, &err) < 0);
	assert_string_equal(err.text, text);
	assert_true(fixture_load(f) < 0);
	assert_string_equal(f->err.text, text);
}

/* Only the load can tell. */
static inline void assert_load_refused(struct fixture *f, const char *text)
{
	assert_int_equal(payload_check(&f->config, &f->err), 0);
	assert_true(fixture_load(f) < 0);
	assert_string_equal(f->err.text, text);
}

static inline uint64_t guest_u64(struct fixture *f, uint64_t gpa)
{
	uint64_t value = 0;

	assert_int_equal(mem_read(f->mem, gpa, &value, sizeof(value)), 0);
	return value;
}

/* --- a bzImage: one sector of boot code, one of setup, then the kernel --- */

#define BZ_SETUP  1024
#define BZ_KERNEL 8192

struct bzimage {
	union {
		uint8_t bytes[BZ_SETUP + BZ_KERNEL];
		struct {
			uint8_t boot[0x1f1];
			struct setup_header hdr;
		} __attribute__((packed));
	};
};

static inline void bzimage_init(struct bzimage *bz)
{
	struct setup_header *hdr = &bz->hdr;
	size_t i;

	memset(bz, 0, sizeof(*bz));
	for (i = 0; i < BZ_KERNEL; i++)
		bz->bytes[BZ_SETUP + i] = (uint8_t)(i * 7 + 1);
	memcpy(bz->bytes, "MZ", 2);
	hdr->setup_sects = 1;
	hdr->syssize = BZ_KERNEL / 16;
	hdr->boot_flag = 0xaa55;
	hdr->jump = 0x6aeb; /* header up to 0x26c */
	hdr->header = 0x53726448;
	hdr->version = 0x020f;
	hdr->loadflags = LOADED_HIGH;
	hdr->initrd_addr_max = 0x7fffffff;
	hdr->kernel_alignment = 0x200000;
	hdr->relocatable_kernel = 1;
	hdr->xloadflags = XLF_KERNEL_64;
	hdr->cmdline_size = 2047;
	hdr->pref_address = 0x1000000;
	hdr->init_size = 0x400000;
}

static inline void bzimage_write(const struct bzimage *bz, const char *path)
{
	write_file(path, bz, sizeof(*bz));
}

#endif
