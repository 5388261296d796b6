/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest starts with: kernels, initramfs, command line, put into guest memory.
 */
#ifndef ALCOR_CORE_PAYLOAD_PAYLOAD_H
#define ALCOR_CORE_PAYLOAD_PAYLOAD_H

#include <stdint.h>

#include "hv/hv.h"
#include "mem/mem.h"
#include "util/error.h"

/* Types as in the e820 map, which PVH shares. */
enum memmap_type { MEMMAP_RAM = 1, MEMMAP_RESERVED = 2, MEMMAP_ACPI = 3 };
struct memmap_entry {
	uint64_t base, len;
	enum memmap_type type;
};

struct payload_config {
	const char *kernel;    /* bzImage, or an ELF vmlinux with a PVH note */
	const char *pvh;       /* an ELF file with a PVH note; used when there is no kernel */
	const char *initramfs; /* NULL: none */
	const char *cmdline;   /* NULL: empty */
};

struct payload_env {
	struct mem *mem;
	const struct memmap_entry *map;
	unsigned n_map;
	uint64_t rsdp; /* guest-physical address of the ACPI root pointer */
};

/* Checks that the files are there and are what they should be, without a VM. Errors name the option
 * and the file: "--kernel vmlinuz: is empty". */
int payload_check(const struct payload_config *config, struct error *err);

/* [main] Reads the files anew and fills guest memory; serves boot and machine reset. */
int payload_load(const struct payload_config *config, const struct payload_env *env,
		 struct hv_x86_start *ret_start, struct error *err);

#endif
