/* SPDX-License-Identifier: Apache-2.0 */
/* ELF kernels with a PVH entry (Xen, docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h). */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "payload/kernel.h"
#include "util/overflow.h"

#define MAX_HEADERS 4096u

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};
struct start_module {
	uint64_t paddr, size, cmdline, reserved;
};
struct start_memmap {
	uint64_t addr, size;
	uint32_t type, reserved;
};
#define START_MAGIC 0x336ec578u

/* All in the page at BOOT_INFO. */
struct start_page {
	struct start_info info;
	struct start_module module;
	struct start_memmap memmap[128];
};
_Static_assert(sizeof(struct start_page) <= BOOT_CMDLINE - BOOT_INFO, "fits its page");

static int pvh_check_elf(const Elf64_Ehdr *ehdr, struct error *err)
{
	if (ehdr->e_ident[EI_CLASS] != ELFCLASS64 || ehdr->e_ident[EI_DATA] != ELFDATA2LSB)
		return error_set(err, -EINVAL,
				 "is an ELF file of the wrong kind: not 64-bit little-endian");
	if (ehdr->e_machine == EM_AARCH64)
		return error_set(err, -EINVAL, "is an aarch64 ELF file; this machine is x86_64");
	if (ehdr->e_machine != EM_X86_64)
		return error_set(err, -EINVAL,
				 "is an ELF file for another processor (e_machine %u); "
				 "this machine is x86_64",
				 ehdr->e_machine);
	if (ehdr->e_type != ET_EXEC && ehdr->e_type != ET_DYN)
		return error_set(err, -EINVAL, "is an ELF file, but no executable (e_type %u)",
				 ehdr->e_type);
	if (ehdr->e_phentsize != sizeof(Elf64_Phdr) || !ehdr->e_phnum ||
	    ehdr->e_phnum > MAX_HEADERS)
		return error_set(err, -EINVAL,
				 "is an ELF file with unusable program headers (%u of %u bytes)",
				 ehdr->e_phnum, ehdr->e_phentsize);
	return 0;
}

static int pvh_read_header(const struct payload_file *file, uint64_t table, unsigned index,
			   void *ret_header, uint64_t size, struct error *err)
{
	uint64_t offset;

	if (add_overflows(table, index * size, &offset))
		offset = UINT64_MAX; /* beyond the end of every file */
	return payload_file_read(file, offset, ret_header, size, err);
}

static int pvh_add_segment(struct kernel *kernel, const Elf64_Phdr *phdr, struct error *err)
{
	struct pvh_image *image = &kernel->pvh;

	if (!phdr->p_memsz)
		return 0;
	if (phdr->p_filesz > phdr->p_memsz)
		return error_set(err, -EINVAL,
				 "has a segment with more bytes in the file than in memory");
	if (!range_within(phdr->p_offset, phdr->p_filesz, kernel->file.size))
		return error_set(err, -EINVAL,
				 "is truncated: a segment of %" PRIu64 " bytes at offset %" PRIu64
				 " is missing (the file has %" PRIu64 ")",
				 phdr->p_filesz, phdr->p_offset, kernel->file.size);
	if (image->n_segments == PVH_MAX_SEGMENTS)
		return error_set(err, -E2BIG, "has more than %u segments", PVH_MAX_SEGMENTS);
	image->segments[image->n_segments++] = (struct pvh_segment){
		.offset = phdr->p_offset,
		.filesz = phdr->p_filesz,
		.paddr = phdr->p_paddr,
		.memsz = phdr->p_memsz,
	};
	return 0;
}

/* Segments, and the entry where a PT_NOTE has it; -ENOENT where none has. */
static int pvh_parse_segments(struct kernel *kernel, const Elf64_Ehdr *ehdr, uint64_t *ret_entry,
			      struct error *err)
{
	int found = -ENOENT, r;
	Elf64_Phdr phdr;
	unsigned i;

	for (i = 0; i < ehdr->e_phnum; i++) {
		r = pvh_read_header(&kernel->file, ehdr->e_phoff, i, &phdr, sizeof(phdr), err);
		if (!r && phdr.p_type == PT_LOAD)
			r = pvh_add_segment(kernel, &phdr, err);
		if (r)
			return r;
		if (phdr.p_type != PT_NOTE || !found)
			continue;
		found = elf_note_entry(&kernel->file, phdr.p_offset, phdr.p_filesz, phdr.p_align,
				       ret_entry);
		if (found && found != -ENOENT)
			return error_errno(err, found, "notes");
	}
	if (!kernel->pvh.n_segments)
		return error_set(err, -EINVAL, "is an ELF file with nothing to load");
	return found;
}

static int pvh_search_sections(const struct payload_file *file, const Elf64_Ehdr *ehdr,
			       uint64_t *ret_entry)
{
	int r = -ENOENT;
	Elf64_Shdr shdr;
	unsigned i;

	if (ehdr->e_shentsize != sizeof(shdr))
		return -ENOENT;
	for (i = 0; r == -ENOENT && i < MIN(ehdr->e_shnum, MAX_HEADERS); i++) {
		if (pvh_read_header(file, ehdr->e_shoff, i, &shdr, sizeof(shdr), NULL))
			return -ENOENT;
		if (shdr.sh_type == SHT_NOTE)
			r = elf_note_entry(file, shdr.sh_offset, shdr.sh_size, shdr.sh_addralign,
					   ret_entry);
	}
	return r;
}

static int pvh_check_entry(const struct pvh_image *image, uint64_t entry, struct error *err)
{
	const struct pvh_segment *s;

	if (entry <= UINT32_MAX)
		for (s = image->segments; s < image->segments + image->n_segments; s++)
			if (entry >= s->paddr && entry - s->paddr < s->memsz)
				return 0;
	return error_set(err, -EINVAL,
			 "has its PVH entry at 0x%" PRIx64 ", outside of its segments", entry);
}

int pvh_parse(struct kernel *kernel, struct error *err)
{
	uint64_t entry = 0;
	Elf64_Ehdr ehdr;
	int r;

	kernel->pvh.n_segments = 0;
	r = payload_file_read(&kernel->file, 0, &ehdr, sizeof(ehdr), err);
	if (r)
		return r;
	r = pvh_check_elf(&ehdr, err);
	if (r)
		return r;
	r = pvh_parse_segments(kernel, &ehdr, &entry, err);
	if (r == -ENOENT)
		r = pvh_search_sections(&kernel->file, &ehdr, &entry);
	if (r == -ENOENT)
		return error_set(err, -EINVAL,
				 "is an ELF file without a PVH entry note (a Linux kernel needs "
				 "CONFIG_PVH=y)");
	if (r)
		return r;
	r = pvh_check_entry(&kernel->pvh, entry, err);
	if (r)
		return r;
	kernel->pvh.entry = (uint32_t)entry;
	kernel->cmdline_max = BOOT_CMDLINE_MAX;
	kernel->initrd_limit = 1ull << 32;
	return 0;
}

int pvh_load(const struct kernel *kernel, struct space *space, struct mem *mem, uint64_t *ret_entry,
	     struct error *err)
{
	const struct pvh_image *image = &kernel->pvh;
	const struct pvh_segment *s;
	uint8_t *p;
	int r;

	for (s = image->segments; s < image->segments + image->n_segments; s++) {
		r = space_take(space, s->paddr, s->memsz, "a segment of the kernel", err);
		if (r)
			return r;
		p = mem_ptr(mem, s->paddr, s->memsz);
		if (!p)
			return error_set(err, -EFAULT, "no RAM at 0x%" PRIx64, s->paddr);
		r = payload_file_read(&kernel->file, s->offset, p, s->filesz, err);
		if (r)
			return r;
		memset(p + s->filesz, 0, s->memsz - s->filesz);
	}
	*ret_entry = image->entry;
	return 0;
}

int pvh_start(const struct kernel_boot *boot, struct hv_x86_start *ret_start)
{
	struct hv_x86_start start = { .mode = HV_X86_FLAT32, .rip = boot->entry, .rbx = BOOT_INFO };
	const struct payload_env *env = boot->env;
	struct start_page page;
	unsigned i;
	int r;

	memset(&page, 0, sizeof(page));
	if (env->n_map > ARRAY_SIZE(page.memmap))
		return -E2BIG;
	page.info.magic = START_MAGIC;
	page.info.version = 1;
	page.info.cmdline = BOOT_CMDLINE;
	page.info.rsdp = env->rsdp;
	page.info.memmap = BOOT_INFO + offsetof(struct start_page, memmap);
	page.info.memmap_entries = env->n_map;
	if (boot->initrd_len) {
		page.info.nr_modules = 1;
		page.info.modlist = BOOT_INFO + offsetof(struct start_page, module);
		page.module.paddr = boot->initrd;
		page.module.size = boot->initrd_len;
	}
	for (i = 0; i < env->n_map; i++) {
		page.memmap[i].addr = env->map[i].base;
		page.memmap[i].size = env->map[i].len;
		page.memmap[i].type = env->map[i].type;
	}
	r = mem_write(env->mem, BOOT_INFO, &page, sizeof(page));
	if (!r)
		r = mem_write(env->mem, BOOT_CMDLINE, boot->cmdline, strlen(boot->cmdline) + 1);
	if (!r)
		r = boot_write_gdt(env->mem, false, &start);
	if (r)
		return r;
	*ret_start = start;
	return 0;
}
