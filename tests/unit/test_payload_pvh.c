/* SPDX-License-Identifier: Apache-2.0 */
/* ELF kernels with a PVH entry. */
#include "test_payload.h"

#define TEXT_LEN 600

/* Header, three program headers, a section header, notes, text. */
struct elf_kernel {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdrs[3]; /* load, note, load */
	Elf64_Shdr shdr;
	struct {
		Elf64_Nhdr other_hdr;
		char other_name[4];
		uint8_t other_desc[8]; /* 5 used */
		Elf64_Nhdr hdr;
		char name[4];
		uint64_t entry;
	} notes;
	uint8_t text[TEXT_LEN];
};

static void elf_init(struct elf_kernel *elf)
{
	const Elf64_Ehdr ehdr = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_phoff = offsetof(struct elf_kernel, phdrs),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 3,
		.e_shoff = offsetof(struct elf_kernel, shdr),
		.e_shentsize = sizeof(Elf64_Shdr),
	};
	size_t i;

	memset(elf, 0, sizeof(*elf));
	elf->ehdr = ehdr;
	elf->phdrs[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
				      .p_offset = offsetof(struct elf_kernel, text),
				      .p_vaddr = 0xffffffff80100000,
				      .p_paddr = 0x100000,
				      .p_filesz = 500,
				      .p_memsz = 9000 };
	elf->phdrs[1] = (Elf64_Phdr){ .p_type = PT_NOTE,
				      .p_offset = offsetof(struct elf_kernel, notes),
				      .p_filesz = sizeof(elf->notes),
				      .p_align = 4 };
	elf->phdrs[2] = (Elf64_Phdr){ .p_type = PT_LOAD,
				      .p_offset = offsetof(struct elf_kernel, text) + 500,
				      .p_paddr = 0x110000,
				      .p_filesz = 100,
				      .p_memsz = 100 };
	elf->notes.other_hdr = (Elf64_Nhdr){ 4, 5, 18 };
	memcpy(elf->notes.other_name, "GNU", 4);
	elf->notes.hdr = (Elf64_Nhdr){ 4, 8, 18 };
	memcpy(elf->notes.name, "Xen", 4);
	elf->notes.entry = 0x100040;
	for (i = 0; i < TEXT_LEN; i++)
		elf->text[i] = (uint8_t)(i + 1);
}

static void elf_write(const struct elf_kernel *elf)
{
	write_file("kernel", elf, sizeof(*elf));
}

static void assert_loaded(struct fixture *f, const struct elf_kernel *elf)
{
	const uint8_t *p = mem_ptr(f->mem, 0x100000, 9000);
	size_t i;

	assert_int_equal(f->start.mode, HV_X86_FLAT32);
	assert_int_equal(f->start.rip, 0x100040);
	assert_memory_equal(p, elf->text, 500);
	for (i = 500; i < 9000; i++)
		assert_int_equal(p[i], 0);
	assert_int_equal(p[9000], 0xa5);
	assert_memory_equal(mem_ptr(f->mem, 0x110000, 100), elf->text + 500, 100);
	assert_int_equal(guest_u64(f, f->start.gdt_base + 16), 0x00cf9b000000ffff);
	assert_int_equal(guest_u64(f, f->start.gdt_base + 24), 0x00cf93000000ffff);
}

/* public/arch-x86/hvm/start_info.h of Xen, by offset. */
static void test_pvh_kernel_gets_its_start_info(void **state)
{
	struct fixture *f = *state;
	struct elf_kernel elf;
	const uint8_t *info;
	uint64_t map, module;

	fixture_ram(f, 4 * MIB);
	elf_init(&elf);
	elf_write(&elf);
	write_file("initramfs", "0123456789", 10);
	f->config = (struct payload_config){ .pvh = "kernel",
					     .cmdline = "quiet",
					     .initramfs = "initramfs" };
	assert_int_equal(payload_check(&f->config, &f->err), 0);
	assert_int_equal(fixture_load(f), 0);
	assert_loaded(f, &elf);

	info = mem_ptr(f->mem, f->start.rbx, 56);
	assert_int_equal(guest_u64(f, f->start.rbx), 0x1336ec578); /* magic, version 1 */
	assert_memory_equal(info + 8, "\0\0\0\0\1\0\0\0", 8);	   /* flags, modules */
	assert_string_equal(mem_ptr(f->mem, guest_u64(f, f->start.rbx + 24), 6), "quiet");
	assert_int_equal(guest_u64(f, f->start.rbx + 32), TEST_RSDP);
	assert_int_equal(guest_u64(f, f->start.rbx + 48), 3); /* entries */
	map = guest_u64(f, f->start.rbx + 40);
	assert_int_equal(guest_u64(f, map + 24), 0xa0000);
	assert_int_equal(guest_u64(f, map + 32), 0x60000);
	assert_int_equal(guest_u64(f, map + 40), 2);
	module = guest_u64(f, f->start.rbx + 16);
	assert_int_equal(guest_u64(f, module), 4 * MIB - 4096);
	assert_int_equal(guest_u64(f, module + 8), 10);
	assert_memory_equal(mem_ptr(f->mem, 4 * MIB - 4096, 10), "0123456789", 10);
}

static void test_kernel_option_takes_elf_and_pvh_only_elf(void **state)
{
	struct fixture *f = *state;
	struct elf_kernel elf;
	struct bzimage bz;

	fixture_ram(f, 4 * MIB);
	elf_init(&elf);
	elf_write(&elf);
	f->config.kernel = "kernel";
	assert_int_equal(fixture_load(f), 0);
	assert_loaded(f, &elf);
	assert_int_equal(guest_u64(f, f->start.rbx + 16), 0); /* no module list */

	bzimage_init(&bz);
	bzimage_write(&bz, "bz");
	f->config = (struct payload_config){ .pvh = "bz" };
	assert_refused(f, "--pvh bz: is a bzImage, not an ELF file; use --kernel");
}

static void test_notes_are_found_in_sections_too(void **state)
{
	struct fixture *f = *state;
	struct elf_kernel elf;

	fixture_ram(f, 4 * MIB);
	elf_init(&elf);
	elf.phdrs[1].p_type = PT_NULL;
	elf.shdr = (Elf64_Shdr){ .sh_type = SHT_NOTE,
				 .sh_offset = offsetof(struct elf_kernel, notes),
				 .sh_size = sizeof(elf.notes) };
	elf.ehdr.e_shnum = 1;
	elf.notes.hdr.n_descsz = 4;
	elf_write(&elf);
	f->config.kernel = "kernel";
	assert_int_equal(fixture_load(f), 0);
	assert_loaded(f, &elf);
}

#define REFUSED(text, ...)                                   \
	do {                                                 \
		elf_init(&elf);                              \
		__VA_ARGS__;                                 \
		elf_write(&elf);                             \
		assert_refused(f, "--kernel kernel: " text); \
	} while (0)

static void test_broken_elf_files(void **state)
{
	struct fixture *f = *state;
	struct elf_kernel elf;

	fixture_ram(f, 4 * MIB);
	f->config.kernel = "kernel";
	REFUSED("is an ELF file of the wrong kind: not 64-bit little-endian",
		elf.ehdr.e_ident[EI_CLASS] = ELFCLASS32);
	REFUSED("is an aarch64 ELF file; this machine is x86_64", elf.ehdr.e_machine = EM_AARCH64);
	REFUSED("is an ELF file for another processor (e_machine 243); this machine is x86_64",
		elf.ehdr.e_machine = EM_RISCV);
	REFUSED("is an ELF file, but no executable (e_type 1)", elf.ehdr.e_type = ET_REL);
	REFUSED("is an ELF file with unusable program headers (0 of 56 bytes)",
		elf.ehdr.e_phnum = 0);
	REFUSED("is an ELF file with unusable program headers (3 of 32 bytes)",
		elf.ehdr.e_phentsize = 32);
	REFUSED("is truncated: 56 bytes at offset 18446744073709551595 are missing (the file has "
		"944)",
		elf.ehdr.e_phoff = UINT64_MAX - 20);
	REFUSED("is truncated: 56 bytes at offset 4096 are missing (the file has 944)",
		elf.ehdr.e_phoff = 4096);
	REFUSED("is an ELF file with nothing to load",
		elf.phdrs[0].p_type = elf.phdrs[2].p_type = PT_NULL);
	REFUSED("has a segment with more bytes in the file than in memory",
		elf.phdrs[0].p_memsz = 499);
	REFUSED("is truncated: a segment of 500 bytes at offset 18446744073709551615 is missing "
		"(the file has 944)",
		elf.phdrs[0].p_offset = UINT64_MAX);
#define NO_NOTE "is an ELF file without a PVH entry note (a Linux kernel needs CONFIG_PVH=y)"
	REFUSED(NO_NOTE, elf.notes.hdr.n_type = 17);
	REFUSED(NO_NOTE, elf.notes.hdr.n_descsz = 9);
	REFUSED(NO_NOTE, elf.notes.other_hdr.n_namesz = UINT32_MAX);
	REFUSED(NO_NOTE, elf.notes.name[2] = 'm');
	REFUSED(NO_NOTE, elf.phdrs[1].p_offset = UINT64_MAX - 3);
	REFUSED(NO_NOTE, elf.phdrs[1].p_filesz = 0);
	REFUSED(NO_NOTE, elf.phdrs[1].p_filesz--);
	REFUSED("has its PVH entry at 0x102328, outside of its segments",
		elf.notes.entry = 0x100000 + 9000);
	REFUSED("has its PVH entry at 0x100100040, outside of its segments",
		elf.notes.entry = 0x100100040);
}

#define LOAD_REFUSED(text, ...)                                   \
	do {                                                      \
		elf_init(&elf);                                   \
		__VA_ARGS__;                                      \
		elf_write(&elf);                                  \
		assert_load_refused(f, "--kernel kernel: " text); \
	} while (0)

static void test_segments_must_be_in_ram(void **state)
{
	struct fixture *f = *state;
	struct elf_kernel elf;

	fixture_ram(f, 4 * MIB);
	f->config.kernel = "kernel";
	LOAD_REFUSED("a segment of the kernel at 0xc0000-0xc0063 overlaps with the boot "
		     "information below 1 MiB",
		     elf.phdrs[2].p_paddr = 0xc0000);
	LOAD_REFUSED("a segment of the kernel at 0x101000-0x101063 overlaps with a segment of the "
		     "kernel",
		     elf.phdrs[2].p_paddr = 0x101000);
	LOAD_REFUSED("a segment of the kernel needs 0x3fffff-0x400062, which is not RAM of this "
		     "machine (more --memory may help)",
		     elf.phdrs[2].p_paddr = 4 * MIB - 1);
	LOAD_REFUSED("a segment of the kernel wraps around at 0xffffffffffffffff",
		     elf.phdrs[2].p_paddr = UINT64_MAX);
	LOAD_REFUSED("a segment of the kernel needs 0x110000-0x11010ffff, which is not RAM of this "
		     "machine (more --memory may help)",
		     elf.phdrs[2].p_memsz = 0x110000000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pvh_kernel_gets_its_start_info),
		TEST(test_kernel_option_takes_elf_and_pvh_only_elf),
		TEST(test_notes_are_found_in_sections_too),
		TEST(test_broken_elf_files),
		TEST(test_segments_must_be_in_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
