/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "board/arch.h"
#include "board/x86.h"
#include "util/overflow.h"

#define GIB	      (1ull << 30)
#define MEM64_MAX     (1024 * GIB)
#define PHYS_BITS_MIN 36 /* of every processor with long mode */
#define PHYS_BITS_MAX 52

uint64_t board_low_ram_limit(void)
{
	return X86_LOW_RAM_LIMIT;
}

static uint64_t phys_end(unsigned phys_bits)
{
	return 1ull << MIN(MAX(phys_bits, PHYS_BITS_MIN), PHYS_BITS_MAX);
}

uint64_t board_max_ram_gpa(unsigned phys_bits)
{
	uint64_t end = phys_end(phys_bits);

	return end - MIN(end / 4, MEM64_MAX);
}

/* The largest that fits above RAM; naturally aligned, so that any BAR that fits can be placed. RAM
 * ends at board_max_ram_gpa() at most, so that there is one. */
static struct pci_window mem64_window(unsigned phys_bits, uint64_t ram_end)
{
	uint64_t end = phys_end(phys_bits), len, base;

	for (len = MEM64_MAX; len >= GIB; len /= 2) {
		base = align_up(ram_end, len);
		if (range_within(base, len, end))
			return (struct pci_window){ base, len };
	}
	return (struct pci_window){ 0, 0 };
}

void board_arch_windows(unsigned phys_bits, uint64_t ram_end, struct pci_root_config *config)
{
	config->ecam_base = X86_ECAM;
	config->io = (struct pci_window){ X86_PCI_IO, X86_PCI_IO_LEN };
	config->mem32 = (struct pci_window){ X86_MEM32, X86_MEM32_LEN };
	config->mem32_prefetch = (struct pci_window){ X86_MEM32_PREFETCH, X86_MEM32_LEN };
	config->mem64 = mem64_window(phys_bits, ram_end);
}

struct memmap {
	struct memmap_entry *entries;
	unsigned n;
	bool full;
};

static void memmap_add(struct memmap *map, uint64_t base, uint64_t end, enum memmap_type type)
{
	struct memmap_entry *last = map->n ? &map->entries[map->n - 1] : NULL;

	if (base >= end)
		return;
	if (last && last->type == type && last->base + last->len == base) {
		last->len += end - base;
		return;
	}
	if (map->n == BOARD_MAX_MEMMAP) {
		map->full = true;
		return;
	}
	map->entries[map->n++] = (struct memmap_entry){ base, end - base, type };
}

/* RAM regions in [low, high); they are in ascending order. */
static void memmap_add_ram(struct memmap *map, const struct mem *mem, uint64_t low, uint64_t high)
{
	const struct mem_region *region;
	unsigned i;

	for (i = 0; i < mem_n_regions(mem); i++) {
		region = mem_region_at(mem, i);
		memmap_add(map, MAX(region->gpa, low), MIN(region->gpa + region->len, high),
			   MEMMAP_RAM);
	}
}

int board_arch_memmap(const struct mem *mem, struct memmap_entry ret_map[BOARD_MAX_MEMMAP],
		      unsigned *ret_n)
{
	struct memmap map = { .entries = ret_map };

	memmap_add_ram(&map, mem, 0, X86_HOLE);
	memmap_add(&map, X86_HOLE, X86_HOLE_END, MEMMAP_RESERVED);
	memmap_add_ram(&map, mem, X86_HOLE_END, X86_LOW_RAM_LIMIT);
	memmap_add(&map, X86_ECAM, X86_ECAM + X86_ECAM_LEN, MEMMAP_RESERVED);
	memmap_add(&map, X86_HV_PAGES, X86_HV_PAGES + X86_HV_PAGES_LEN, MEMMAP_RESERVED);
	memmap_add_ram(&map, mem, 1ull << 32, UINT64_MAX);
	if (map.full)
		return -E2BIG;
	*ret_n = map.n;
	return 0;
}
