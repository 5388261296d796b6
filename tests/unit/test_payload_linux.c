/* SPDX-License-Identifier: Apache-2.0 */
/* bzImages, and what is refused in their place. */
#include "test_payload.h"

#define PAGE_FLAGS 0xfffull

/* Follows the page tables as a processor does. */
static uint64_t translate(struct fixture *f, uint64_t addr)
{
	uint64_t entry = guest_u64(f, f->start.cr3 + (addr >> 39 & 511) * 8);

	assert_int_equal(entry & 1, 1);
	entry = guest_u64(f, (entry & ~PAGE_FLAGS) + (addr >> 30 & 511) * 8);
	assert_int_equal(entry & 0x81, 1); /* no 1 GiB page */
	entry = guest_u64(f, (entry & ~PAGE_FLAGS) + (addr >> 21 & 511) * 8);
	assert_int_equal(entry & 0x83, 0x83);
	return (entry & ~0x1fffffull) + (addr & 0x1fffff);
}

static void test_bzimage_starts_in_long_mode(void **state)
{
	struct fixture *f = *state;
	struct boot_params *params;
	struct bzimage bz;

	fixture_ram(f, 64 * MIB);
	bzimage_init(&bz);
	bzimage_write(&bz, "kernel");
	f->config = (struct payload_config){ .kernel = "kernel", .cmdline = "console=ttyS0" };
	assert_int_equal(payload_check(&f->config, &f->err), 0);
	assert_int_equal(fixture_load(f), 0);

	assert_int_equal(f->start.mode, HV_X86_LONG64);
	assert_int_equal(f->start.rip, 0x1000200);
	assert_memory_equal(mem_ptr(f->mem, 0x1000000, BZ_KERNEL), bz.bytes + BZ_SETUP, BZ_KERNEL);
	assert_int_equal(guest_u64(f, f->start.gdt_base + 16), 0x00af9b000000ffff);
	assert_int_equal(guest_u64(f, f->start.gdt_base + 24), 0x00cf93000000ffff);
	assert_int_equal(f->start.gdt_limit, 31);
	assert_int_equal(translate(f, 0x1000200), 0x1000200);
	assert_int_equal(translate(f, 0xffffffff), 0xffffffff);
	assert_int_equal(translate(f, 0), 0);

	params = mem_ptr(f->mem, f->start.rsi, sizeof(*params));
	assert_int_equal(params->hdr.header, 0x53726448);
	assert_int_equal(params->hdr.type_of_loader, 0xff);
	assert_int_equal(params->hdr.init_size, 0x400000);
	assert_int_equal(params->sentinel, 0);
	assert_int_equal(params->acpi_rsdp_addr, TEST_RSDP);
	assert_string_equal(mem_ptr(f->mem, params->hdr.cmd_line_ptr, 14), "console=ttyS0");
	assert_int_equal(params->hdr.ramdisk_size, 0);
	assert_int_equal(params->e820_entries, 3);
	assert_int_equal(params->e820_table[1].addr, 0xa0000);
	assert_int_equal(params->e820_table[1].type, 2);
	assert_int_equal(params->e820_table[2].size, 63 * MIB);
	/* Behind the header the page is clean, whatever was in memory. */
	assert_int_equal(params->eddbuf_entries, 0);
	assert_int_equal(params->edd_mbr_sig_buffer[0], 0);
}

static void test_initramfs_is_as_high_as_it_may(void **state)
{
	static uint8_t data[3 * 4096 + 5];
	struct fixture *f = *state;
	struct boot_params *params;
	struct bzimage bz;
	size_t i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13);
	write_file("initramfs", data, sizeof(data));
	fixture_ram(f, 64 * MIB);
	bzimage_init(&bz);
	bzimage_write(&bz, "kernel");
	f->config = (struct payload_config){ .kernel = "kernel", .initramfs = "initramfs" };
	assert_int_equal(fixture_load(f), 0);
	params = mem_ptr(f->mem, f->start.rsi, sizeof(*params));
	assert_int_equal(params->hdr.ramdisk_image, 64 * MIB - 4 * 4096);
	assert_int_equal(params->hdr.ramdisk_size, sizeof(data));
	assert_memory_equal(mem_ptr(f->mem, params->hdr.ramdisk_image, sizeof(data)), data,
			    sizeof(data));

	/* The kernel's own limit, which lies within the kernel: it goes below. */
	bz.hdr.initrd_addr_max = 0x11fffff;
	bzimage_write(&bz, "kernel");
	assert_int_equal(fixture_load(f), 0);
	assert_int_equal(params->hdr.ramdisk_image, 16 * MIB - 4 * 4096);
}

static void test_initramfs_that_does_not_fit(void **state)
{
	struct fixture *f = *state;
	struct bzimage bz;

	fixture_ram(f, 24 * MIB);
	bzimage_init(&bz);
	bzimage_write(&bz, "kernel");
	write_file("initramfs", "", 0);
	f->config = (struct payload_config){ .kernel = "kernel", .initramfs = "initramfs" };
	assert_refused(f, "--initramfs initramfs: is empty");
	assert_int_equal(truncate("initramfs", 15 * MIB), 0);
	assert_int_equal(fixture_load(f), 0);
	assert_int_equal(truncate("initramfs", 15 * MIB + 1), 0);
	assert_load_refused(f, "--initramfs initramfs: the initramfs has 15728641 bytes, which do "
			       "not fit beside the kernel into the 24772608 bytes of RAM below "
			       "0x80000000");
	f->config.initramfs = "nowhere";
	assert_refused(f, "--initramfs nowhere: open: No such file or directory");
}

static void test_kernel_needs_its_memory(void **state)
{
	struct fixture *f = *state;
	struct bzimage bz;

	fixture_ram(f, 20 * MIB);
	bzimage_init(&bz);
	bzimage_write(&bz, "kernel");
	f->config.kernel = "kernel";
	assert_int_equal(fixture_load(f), 0);
	bz.hdr.init_size++;
	bzimage_write(&bz, "kernel");
	assert_load_refused(f,
			    "--kernel kernel: the kernel needs 0x1000000-0x1400000, which is not "
			    "RAM of this machine (more --memory may help)");
	/* Not relocatable, in the hole, around the end of the address space. */
	bz.hdr.relocatable_kernel = 0;
	bz.hdr.pref_address = 0xa0000;
	bzimage_write(&bz, "kernel");
	assert_load_refused(f, "--kernel kernel: the kernel at 0xa0000-0x4a0000 overlaps with the "
			       "boot information below 1 MiB");
	bz.hdr.pref_address = UINT64_MAX - 5;
	bzimage_write(&bz, "kernel");
	assert_load_refused(f, "--kernel kernel: asks for 4194305 bytes at 0xfffffffffffffffa, "
			       "beyond 4 GiB");
	bz.hdr.relocatable_kernel = 1;
	bzimage_write(&bz, "kernel");
	assert_load_refused(f, "--kernel kernel: has a broken header: pref_address is "
			       "0xfffffffffffffffa");
}

static void test_relocatable_kernel_goes_to_its_alignment(void **state)
{
	struct fixture *f = *state;
	struct bzimage bz;

	fixture_ram(f, 32 * MIB);
	bzimage_init(&bz);
	bz.hdr.pref_address = 0x1000;
	bz.hdr.kernel_alignment = 0x400000;
	bzimage_write(&bz, "kernel");
	f->config.kernel = "kernel";
	assert_int_equal(fixture_load(f), 0);
	assert_int_equal(f->start.rip, 0x400200);
}

static void test_command_line_has_the_kernels_limit(void **state)
{
	struct fixture *f = *state;
	char cmdline[5000];
	struct bzimage bz;

	fixture_ram(f, 32 * MIB);
	bzimage_init(&bz);
	bzimage_write(&bz, "kernel");
	memset(cmdline, 'a', sizeof(cmdline));
	f->config = (struct payload_config){ .kernel = "kernel", .cmdline = cmdline };
	cmdline[2047] = '\0';
	assert_int_equal(fixture_load(f), 0);
	cmdline[2047] = 'a';
	cmdline[2048] = '\0';
	assert_refused(f, "--cmdline: 2048 bytes are too many, this kernel takes at most 2047");
	cmdline[2048] = 'a';
	cmdline[4999] = '\0';
	bz.hdr.cmdline_size = UINT32_MAX;
	bzimage_write(&bz, "kernel");
	assert_refused(f, "--cmdline: 4999 bytes are too many, this kernel takes at most 4095");
}

#define REFUSED(text, ...)                                   \
	do {                                                 \
		bzimage_init(&bz);                           \
		__VA_ARGS__;                                 \
		bzimage_write(&bz, "kernel");                \
		assert_refused(f, "--kernel kernel: " text); \
	} while (0)

static void test_broken_headers(void **state)
{
	struct fixture *f = *state;
	struct bzimage bz;

	fixture_ram(f, 32 * MIB);
	f->config.kernel = "kernel";
	REFUSED("is too old: boot protocol 2.11, at least 2.12 is needed (Linux 3.8)",
		bz.hdr.version = 0x20b);
	REFUSED("is too old: boot protocol 2.15, at least 2.12 is needed (Linux 3.8)",
		bz.hdr.jump = 0x20eb);
	REFUSED("is a 32-bit kernel: it has no 64-bit entry point", bz.hdr.xloadflags = 0);
	REFUSED("is a zImage, not a bzImage", bz.hdr.loadflags = 0);
	REFUSED("is no bzImage: its boot flag is 0x0, not 0xaa55", bz.hdr.boot_flag = 0);
	REFUSED("is an EFI program without a Linux boot header", bz.hdr.header = 0);
	REFUSED("has a broken header: kernel_alignment is 0x0", bz.hdr.kernel_alignment = 0);
	REFUSED("has a broken header: kernel_alignment is 0x300000",
		bz.hdr.kernel_alignment = 0x300000);
	REFUSED("has a broken header: a kernel of 512 bytes", bz.hdr.syssize = 32);
	REFUSED("is truncated: its header promises 9232 bytes, the file has 9216",
		bz.hdr.syssize++);
	/* No setup sectors stands for four. */
	REFUSED("is truncated: its header promises 10752 bytes, the file has 9216",
		bz.hdr.setup_sects = 0);
	bzimage_init(&bz);
	bzimage_write(&bz, "kernel");
	assert_int_equal(truncate("kernel", 0x210), 0);
	assert_refused(f, "--kernel kernel: is truncated: 123 bytes at offset 497 are missing (the "
			  "file has 528)");
}

static void refused_bytes(struct fixture *f, const char *bytes, size_t n, const char *text)
{
	write_file("kernel", bytes, n);
	assert_refused(f, text);
}

#define REFUSED_BYTES(bytes, text) \
	refused_bytes(f, bytes, sizeof(bytes) - 1, "--kernel kernel: " text)

static void test_foreign_files_are_named(void **state)
{
	struct fixture *f = *state;
	char image[64] = "MZ";

	fixture_ram(f, 2 * MIB);
	f->config.kernel = "kernel";
	REFUSED_BYTES("", "is empty");
	REFUSED_BYTES("\x1f\x8b\x08", "is gzip-compressed data; decompress it first");
	REFUSED_BYTES("\x28\xb5\x2f\xfd..", "is zstd-compressed data; decompress it first");
	REFUSED_BYTES("\xfd"
		      "7zXZ",
		      "is xz-compressed data; decompress it first");
	REFUSED_BYTES("070701", "is a cpio archive (an initramfs?)");
	REFUSED_BYTES("#!/bin/sh\n", "is a script");
	REFUSED_BYTES("x", "is neither a bzImage nor an ELF kernel");
	memcpy(image + 56, "ARM\x64", 4);
	refused_bytes(f, image, sizeof(image),
		      "--kernel kernel: is an aarch64 kernel Image; this machine is x86_64");
}

static void test_files_that_are_none(void **state)
{
	struct fixture *f = *state;

	fixture_ram(f, 2 * MIB);
	assert_refused(f, "nothing to start; use --kernel FILE");
	f->config.kernel = "nowhere";
	assert_refused(f, "--kernel nowhere: open: No such file or directory");
	f->config.kernel = "/tmp";
	assert_refused(f, "--kernel /tmp: is a directory, not a regular file");
	f->config.kernel = "/dev/null";
	assert_refused(f, "--kernel /dev/null: is a device, not a regular file");
	assert_int_equal(mkfifo("fifo", 0600), 0);
	f->config.kernel = "fifo";
	assert_refused(f, "--kernel fifo: is a pipe, not a regular file");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bzimage_starts_in_long_mode),
		TEST(test_initramfs_is_as_high_as_it_may),
		TEST(test_initramfs_that_does_not_fit),
		TEST(test_kernel_needs_its_memory),
		TEST(test_relocatable_kernel_goes_to_its_alignment),
		TEST(test_command_line_has_the_kernels_limit),
		TEST(test_broken_headers),
		TEST(test_foreign_files_are_named),
		TEST(test_files_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
