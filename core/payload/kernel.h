/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the formats and payload.c. A format has three steps: parse() judges the file alone,
 * load() puts the kernel into memory, start() writes the boot information when everything else is
 * in its place.
 */
#ifndef ALCOR_CORE_PAYLOAD_KERNEL_H
#define ALCOR_CORE_PAYLOAD_KERNEL_H

#include <stdint.h>
#include <asm/bootparam.h>

#include "payload/file.h"
#include "payload/payload.h"
#include "payload/space.h"

/* Where the boot information lies, below 640 KiB. */
enum {
	BOOT_GDT = 0x500,
	BOOT_INFO = 0x1000,    /* boot_params, or the PVH start info */
	BOOT_CMDLINE = 0x2000, /* a page */
	BOOT_PML4 = 0x3000,    /* page tables up to 0x9000 */
};
#define BOOT_CMDLINE_MAX 4095u /* bytes without the NUL */

#define PVH_MAX_SEGMENTS 64

struct linux_image {
	struct setup_header hdr;
	uint32_t hdr_len;     /* bytes of @hdr that the file has */
	uint64_t file_offset; /* of the protected-mode part */
	uint64_t len;
};

struct pvh_segment {
	uint64_t offset, filesz, paddr, memsz;
};

struct pvh_image {
	uint32_t entry;
	unsigned n_segments;
	struct pvh_segment segments[PVH_MAX_SEGMENTS];
};

enum kernel_format { KERNEL_LINUX, KERNEL_PVH };

struct kernel {
	struct payload_file file;
	enum kernel_format format;
	uint32_t cmdline_max;
	uint64_t initrd_limit; /* first address that the initramfs may not reach */
	union {
		struct linux_image linux_image;
		struct pvh_image pvh;
	};
};

/* All that start() needs. */
struct kernel_boot {
	const struct payload_env *env;
	const char *cmdline;	     /* not NULL */
	uint64_t initrd, initrd_len; /* len 0: none */
	uint64_t entry;		     /* from load() */
};

int linux_parse(struct kernel *kernel, struct error *err);
int linux_load(const struct kernel *kernel, struct space *space, struct mem *mem,
	       uint64_t *ret_entry, struct error *err);
int linux_start(const struct kernel *kernel, const struct kernel_boot *boot,
		struct hv_x86_start *ret_start);

int pvh_parse(struct kernel *kernel, struct error *err);
int pvh_load(const struct kernel *kernel, struct space *space, struct mem *mem, uint64_t *ret_entry,
	     struct error *err);
int pvh_start(const struct kernel_boot *boot, struct hv_x86_start *ret_start);

/* XEN_ELFNOTE_PHYS32_ENTRY of a note segment or section; -ENOENT. */
int elf_note_entry(const struct payload_file *file, uint64_t offset, uint64_t len, uint64_t align,
		   uint64_t *ret_entry);

/* Writes a GDT with flat code (64-bit or 32-bit) and data into entries 2 and 3. */
int boot_write_gdt(struct mem *mem, bool code64, struct hv_x86_start *start);
/* Identity map of the first 4 GiB; returns with @start's cr3 set. */
int boot_write_page_tables(struct mem *mem, struct hv_x86_start *start);

#endif
