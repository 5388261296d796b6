/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_LIB_PVH_H
#define GUEST_LIB_PVH_H

#include <stdbool.h>
#include <stdint.h>

/* Xen's public/arch-x86/hvm/start_info.h, version 1. */
struct pvh_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct pvh_mem {
	uint64_t addr, size;
	uint32_t type, reserved;
};

enum { PVH_MAGIC = 0x336ec578, MEM_RAM = 1, MEM_RESERVED = 2 };

const struct pvh_info *pvh_info(void);
const char *pvh_cmdline(void);
/* NULL beyond the last. */
const struct pvh_mem *pvh_mem(uint32_t i);
/* One past the highest RAM byte below 4 GiB. */
uint64_t ram_end_low(void);

/* The table's header, or NULL; checksums of everything on the way are right. */
const void *acpi_find(const char signature[4]);
bool acpi_sum_ok(const void *table, uint32_t len);
/* A memory window (QWord or DWord address space descriptor) of the DSDT at or above @min. */
bool acpi_window(uint64_t min, uint64_t *ret_first, uint64_t *ret_last);

#endif
