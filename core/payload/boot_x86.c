/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptor and page tables that both boot protocols start from. */
#include <errno.h>

#include "payload/kernel.h"

#define PDE_COUNT 512
#define N_PDS	  4 /* 1 GiB each */

/* Intel SDM volume 3, 3.4.5: flat 4 GiB segments, present, accessed. */
#define GDT_CODE64 0x00af9b000000ffffull
#define GDT_CODE32 0x00cf9b000000ffffull
#define GDT_DATA   0x00cf93000000ffffull

/* 4.5: present, writable, and page size. */
#define PTE_PRESENT 1ull
#define PTE_WRITE   2ull
#define PTE_PS	    0x80ull

int boot_write_gdt(struct mem *mem, bool code64, struct hv_x86_start *start)
{
	const uint64_t gdt[4] = { 0, 0, code64 ? GDT_CODE64 : GDT_CODE32, GDT_DATA };
	int r = mem_write(mem, BOOT_GDT, gdt, sizeof(gdt));

	if (r)
		return r;
	start->gdt_base = BOOT_GDT;
	start->gdt_limit = sizeof(gdt) - 1;
	return 0;
}

int boot_write_page_tables(struct mem *mem, struct hv_x86_start *start)
{
	uint64_t *table = mem_ptr(mem, BOOT_PML4, (2 + N_PDS) * 4096);
	uint64_t *pdpt, *pd;
	uint64_t i;

	if (!table)
		return -EFAULT;
	pdpt = table + PDE_COUNT;
	pd = pdpt + PDE_COUNT;
	for (i = 0; i < PDE_COUNT; i++) {
		table[i] = 0;
		pdpt[i] = i < N_PDS ? (BOOT_PML4 + (2 + i) * 4096) | PTE_PRESENT | PTE_WRITE : 0;
	}
	table[0] = (BOOT_PML4 + 4096) | PTE_PRESENT | PTE_WRITE;
	for (i = 0; i < N_PDS * PDE_COUNT; i++)
		pd[i] = i << 21 | PTE_PRESENT | PTE_WRITE | PTE_PS;
	start->cr3 = BOOT_PML4;
	return 0;
}
