/* SPDX-License-Identifier: Apache-2.0 */
#include "board/board.h"

#include <errno.h>
#include <stdlib.h>

#include "board/arch.h"
#include "util/log.h"

#define TEST_PHYS_BITS 40 /* without a hypervisor */

static int board_init(struct board *board, struct error *err)
{
	const struct board_config *config = &board->config;
	struct pci_root_config *pci = &board->pci_config;
	unsigned phys_bits = config->hv ? hv_x86_phys_bits(config->hv) : TEST_PHYS_BITS;
	int r;

	*pci = (struct pci_root_config){
		.hv = config->hv,
		.mmio = config->mmio,
		.pio = config->pio,
	};
	board_arch_windows(phys_bits, mem_end(config->mem), pci);
	r = pci_root_new(pci, &board->pci, err);
	if (r)
		return r;
	r = board_arch_add_host_bridge(board, err);
	if (!r)
		r = board_arch_add_registers(board, err);
	return r;
}

int board_new(const struct board_config *config, struct board **ret_board, struct error *err)
{
	struct board *board;
	int r;

	board = calloc(1, sizeof(*board));
	if (!board)
		return error_errno(err, -ENOMEM, "board");
	board->config = *config;
	r = board_init(board, err);
	if (r) {
		board_free(board);
		return r;
	}
	*ret_board = board;
	return 0;
}

void board_free(struct board *board)
{
	if (!board)
		return;
	if (board->registers_added)
		board_arch_remove_registers(board);
	if (board->host_bridge)
		pci_remove(board->host_bridge);
	pci_root_free(board->pci);
	free(board);
}

struct pci_root *board_pci(struct board *board)
{
	return board->pci;
}

int board_add_acpi_node(struct board *board, const struct alcor_acpi_node *node)
{
	int r;

	if (board->n_nodes == BOARD_MAX_NODES)
		return -ENOSPC;
	r = acpi_node_init(&board->nodes[board->n_nodes], node, board->nodes, board->n_nodes);
	if (!r)
		board->n_nodes++;
	return r;
}

int board_load(struct board *board, const struct payload_config *payload, struct error *err)
{
	struct payload_env env = { .mem = board->config.mem };
	struct memmap_entry map[BOARD_MAX_MEMMAP];
	int r;

	r = pci_assign(board->pci, err);
	if (r)
		return r;
	r = board_arch_load_firmware(board, &env.rsdp, err);
	if (r)
		return r;
	r = board_arch_memmap(board->config.mem, map, &env.n_map);
	if (r)
		return error_errno(err, r, "memory map");
	env.map = map;
	return payload_load(payload, &env, &board->start, err);
}

void board_reset(struct board *board)
{
	int r;

	pci_reset(board->pci);
	r = board_arch_reset(board);
	if (r)
		log_warn("interrupt controllers cannot be reset: error %d", -r);
}
