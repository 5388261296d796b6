/* SPDX-License-Identifier: Apache-2.0 */
/* Between board.c and the architecture's files. */
#ifndef ALCOR_CORE_BOARD_ARCH_H
#define ALCOR_CORE_BOARD_ARCH_H

#include "board/acpi.h"
#include "board/board.h"

#define BOARD_MAX_MEMMAP 32
#define BOARD_MAX_NODES	 64

struct board {
	struct board_config config;
	struct pci_root_config pci_config;
	struct pci_root *pci;
	struct pci_fn *host_bridge;
	bool registers_added;
	struct acpi_node nodes[BOARD_MAX_NODES];
	unsigned n_nodes;
	struct hv_x86_start start; /* of the first CPU, from board_load() */
};

/* Windows for devices, none of them over RAM that ends at @ram_end. */
void board_arch_windows(unsigned phys_bits, uint64_t ram_end, struct pci_root_config *config);
/* What the guest is told of its address space, in ascending order. -E2BIG. */
int board_arch_memmap(const struct mem *mem, struct memmap_entry ret_map[BOARD_MAX_MEMMAP],
		      unsigned *ret_n);

int board_arch_add_host_bridge(struct board *board, struct error *err);
int board_arch_add_registers(struct board *board, struct error *err);
void board_arch_remove_registers(struct board *board);
/* Firmware tables, and what else firmware would leave, into guest memory; the tables' root. */
int board_arch_load_firmware(struct board *board, uint64_t *ret_root, struct error *err);
int board_arch_reset(struct board *board);

#endif
