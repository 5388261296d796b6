/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel files: the first byte of an input chooses how the rest of it is passed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "payload/payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM	 (20u << 20)
#define HOLE	 0xa0000
#define HOLE_LEN 0x60000

#define AS_PVH	       1
#define WITH_INITRAMFS 2 /* the same file again */
#define LONG_CMDLINE   4

static struct mem *new_mem(void)
{
	const struct mem_config config = { .size = RAM };
	struct mem *mem;

	if (mem_new(NULL, &mem) || mem_add_ram(mem, &config, 1ull << 31, 1ull << 36, NULL))
		abort();
	return mem;
}

static void check_hole(struct mem *mem)
{
	static const uint8_t zeroes[HOLE_LEN];

	if (memcmp(mem_ptr(mem, HOLE, HOLE_LEN), zeroes, HOLE_LEN))
		abort();
}

/* What the program promises: a state to start in that lies in RAM, or a text that says why not. */
static void check_result(int r, struct mem *mem, const struct hv_x86_start *start,
			 const struct error *err)
{
	if (r > 0 || (r < 0 && !*err->text))
		abort();
	if (!r && (!mem_ptr(mem, start->rip, 1) || !mem_ptr(mem, start->gdt_base, 32)))
		abort();
	check_hole(mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct memmap_entry map[] = {
		{ 0, HOLE, MEMMAP_RAM },
		{ HOLE, HOLE_LEN, MEMMAP_RESERVED },
		{ HOLE + HOLE_LEN, RAM - HOLE - HOLE_LEN, MEMMAP_RAM },
	};
	static char cmdline[5000];
	static struct mem *mem;
	struct payload_config config = { 0 };
	struct hv_x86_start start;
	struct error err = { "" };
	char path[32];
	int fd, r;

	if (!size)
		return 0;
	if (!mem)
		mem = new_mem();
	fd = memfd_create("kernel", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)size - 1)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (*data & AS_PVH)
		config.pvh = path;
	else
		config.kernel = path;
	if (*data & WITH_INITRAMFS)
		config.initramfs = path;
	memset(cmdline, 'x', *data & LONG_CMDLINE ? sizeof(cmdline) - 1 : 10);
	cmdline[*data & LONG_CMDLINE ? sizeof(cmdline) - 1 : 10] = '\0';
	config.cmdline = cmdline;

	const struct payload_env env = { mem, map, 3, 0xe0000 };

	r = payload_load(&config, &env, &start, &err);
	check_result(r, mem, &start, &err);
	close(fd);
	return 0;
}
