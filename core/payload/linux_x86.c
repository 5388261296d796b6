/* SPDX-License-Identifier: Apache-2.0 */
/* bzImage by the 64-bit boot protocol (Linux, Documentation/arch/x86/boot.rst). */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "payload/kernel.h"
#include "util/overflow.h"

#define HDR_OFFSET   offsetof(struct boot_params, hdr) /* 0x1f1 */
#define HDR_JUMP_END 0x202 /* the jump's displacement, in the byte before, counts from here */
#define SECTOR	     512ull
#define PARAGRAPH    16ull
#define PROTOCOL_MIN 0x020c
#define ENTRY_64     0x200 /* behind the start of the protected-mode part */
#define LOADER_OTHER 0xff
#define LOAD_MIN     0x100000ull
#define LOW_LIMIT    (1ull << 32) /* what the identity map covers */

static int linux_parse_header(struct kernel *kernel, struct error *err)
{
	struct setup_header *hdr = &kernel->linux_image.hdr;
	uint8_t displacement;
	uint64_t len;
	int r;

	r = payload_file_read(&kernel->file, HDR_JUMP_END - 1, &displacement, 1, err);
	if (r)
		return r;
	len = HDR_JUMP_END + displacement - HDR_OFFSET;
	len = MIN(len, sizeof(*hdr));
	memset(hdr, 0, sizeof(*hdr));
	r = payload_file_read(&kernel->file, HDR_OFFSET, hdr, len, err);
	if (r)
		return r;
	kernel->linux_image.hdr_len = (uint32_t)len;
	if (hdr->boot_flag != 0xaa55)
		return error_set(err, -EINVAL, "is no bzImage: its boot flag is 0x%x, not 0xaa55",
				 hdr->boot_flag);
	if (hdr->version < PROTOCOL_MIN || len < offsetof(struct setup_header, handover_offset))
		return error_set(err, -EINVAL,
				 "is too old: boot protocol %u.%02u, at least 2.12 is needed "
				 "(Linux 3.8)",
				 hdr->version >> 8, hdr->version & 0xff);
	if (!(hdr->xloadflags & XLF_KERNEL_64))
		return error_set(err, -EINVAL, "is a 32-bit kernel: it has no 64-bit entry point");
	if (!(hdr->loadflags & LOADED_HIGH))
		return error_set(err, -EINVAL, "is a zImage, not a bzImage");
	if (hdr->relocatable_kernel && !is_pow2(hdr->kernel_alignment))
		return error_set(err, -EINVAL, "has a broken header: kernel_alignment is 0x%x",
				 hdr->kernel_alignment);
	return 0;
}

int linux_parse(struct kernel *kernel, struct error *err)
{
	struct linux_image *image = &kernel->linux_image;
	uint64_t sectors;
	int r;

	r = linux_parse_header(kernel, err);
	if (r)
		return r;
	/* "For backwards compatibility, if the setup_sects field contains 0, the real value is 4" */
	sectors = image->hdr.setup_sects ? image->hdr.setup_sects : 4;
	image->file_offset = (sectors + 1) * SECTOR;
	image->len = image->hdr.syssize * PARAGRAPH;
	if (image->len <= ENTRY_64)
		return error_set(err, -EINVAL, "has a broken header: a kernel of %" PRIu64 " bytes",
				 image->len);
	if (!range_within(image->file_offset, image->len, kernel->file.size))
		return error_set(err, -EINVAL,
				 "is truncated: its header promises %" PRIu64
				 " bytes, the file has %" PRIu64,
				 image->file_offset + image->len, kernel->file.size);
	kernel->cmdline_max = MIN(image->hdr.cmdline_size, BOOT_CMDLINE_MAX);
	kernel->initrd_limit = MIN(image->hdr.initrd_addr_max + 1ull, LOW_LIMIT);
	return 0;
}

int linux_load(const struct kernel *kernel, struct space *space, struct mem *mem,
	       uint64_t *ret_entry, struct error *err)
{
	const struct linux_image *image = &kernel->linux_image;
	const struct setup_header *hdr = &image->hdr;
	uint64_t base = hdr->pref_address, end, len;
	int r;

	/* A relocatable kernel moves itself up to pref_address when it is loaded below, so that
	 * no place is better than that (boot.rst, init_size). */
	if (hdr->relocatable_kernel) {
		base = MAX(base, LOAD_MIN);
		if (add_overflows(base, hdr->kernel_alignment - 1ull, &end))
			return error_set(err, -EINVAL,
					 "has a broken header: pref_address is 0x%" PRIx64, base);
		base = align_down(end, hdr->kernel_alignment);
	}
	len = MAX(image->len, hdr->init_size);
	if (add_overflows(base, len, &end) || end > LOW_LIMIT)
		return error_set(err, -EINVAL,
				 "asks for %" PRIu64 " bytes at 0x%" PRIx64 ", beyond 4 GiB", len,
				 base);
	r = space_take(space, base, len, "the kernel", err);
	if (r)
		return r;
	r = payload_file_load(&kernel->file, image->file_offset, image->len, mem, base, err);
	if (r)
		return r;
	*ret_entry = base + ENTRY_64;
	return 0;
}

static int linux_fill_e820(struct boot_params *params, const struct payload_env *env)
{
	unsigned i;

	if (env->n_map > E820_MAX_ENTRIES_ZEROPAGE)
		return -E2BIG;
	for (i = 0; i < env->n_map; i++) {
		params->e820_table[i].addr = env->map[i].base;
		params->e820_table[i].size = env->map[i].len;
		params->e820_table[i].type = env->map[i].type;
	}
	params->e820_entries = (uint8_t)env->n_map;
	return 0;
}

int linux_start(const struct kernel *kernel, const struct kernel_boot *boot,
		struct hv_x86_start *ret_start)
{
	const struct linux_image *image = &kernel->linux_image;
	struct hv_x86_start start = { .mode = HV_X86_LONG64, .rip = boot->entry, .rsi = BOOT_INFO };
	struct mem *mem = boot->env->mem;
	struct boot_params params;
	int r;

	memset(&params, 0, sizeof(params));
	memcpy(&params.hdr, &image->hdr, image->hdr_len);
	params.hdr.type_of_loader = LOADER_OTHER;
	params.hdr.cmd_line_ptr = BOOT_CMDLINE;
	params.hdr.ramdisk_image = (uint32_t)boot->initrd;
	params.ext_ramdisk_image = (uint32_t)(boot->initrd >> 32);
	params.hdr.ramdisk_size = (uint32_t)boot->initrd_len;
	params.ext_ramdisk_size = (uint32_t)(boot->initrd_len >> 32);
	params.acpi_rsdp_addr = boot->env->rsdp;
	r = linux_fill_e820(&params, boot->env);
	if (!r)
		r = mem_write(mem, BOOT_INFO, &params, sizeof(params));
	if (!r)
		r = mem_write(mem, BOOT_CMDLINE, boot->cmdline, strlen(boot->cmdline) + 1);
	if (!r)
		r = boot_write_page_tables(mem, &start);
	if (!r)
		r = boot_write_gdt(mem, true, &start);
	if (r)
		return r;
	*ret_start = start;
	return 0;
}
