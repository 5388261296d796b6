/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine that the guest sees apart from its devices: memory map, CPU set-up, platform
 * registers, firmware tables.
 */
#ifndef ALCOR_CORE_BOARD_BOARD_H
#define ALCOR_CORE_BOARD_BOARD_H

#include <alcor/acpi.h>

#include "bus/bus.h"
#include "bus/pci.h"
#include "config/machine.h"
#include "hv/hv.h"
#include "mem/mem.h"
#include "payload/payload.h"

enum board_event { BOARD_POWEROFF, BOARD_RESET };

struct board_config {
	struct hv_vm *hv; /* NULL in tests */
	struct mem *mem;  /* RAM is there already */
	struct bus *pio, *mmio;
	struct cpu_topology cpu;
	/* [vcpu] The guest wrote a sleep or reset register. */
	void (*event)(void *opaque, enum board_event event);
	void *opaque;
};

struct board;

/* First address that RAM below 4 GiB may not reach. */
uint64_t board_low_ram_limit(void);
/* First address that RAM may not reach with @phys_bits address bits, room for devices left. */
uint64_t board_max_ram_gpa(unsigned phys_bits);

/* Makes the PCI root with its host bridge and the platform registers. */
int board_new(const struct board_config *config, struct board **ret_board, struct error *err);
void board_free(struct board *board); /* NULL is fine */

struct pci_root *board_pci(struct board *board);
/* [main] */
int board_add_acpi_node(struct board *board, const struct alcor_acpi_node *node);

/* [main] All devices are there: addresses for BARs, firmware tables and payload into guest memory.
 * Boot and reset; RAM need not be zero. */
int board_load(struct board *board, const struct payload_config *payload, struct error *err);

/* On the vCPU's thread, once: identity (CPUID with topology). */
int board_vcpu_init(struct board *board, struct hv_vcpu *vcpu, uint32_t index, struct error *err);
/* On the vCPU's thread, after board_load(): the state it starts in. */
int board_vcpu_start(struct board *board, struct hv_vcpu *vcpu, uint32_t index);
/* [main] The identifier (APIC id) for hv_vcpu_create(). */
uint32_t board_vcpu_id(const struct board *board, uint32_t index);

/* [any] Presses the ACPI power button. */
void board_power_button(struct board *board);
/* [main], vCPUs stopped: platform registers as after power-on (PCI included). */
void board_reset(struct board *board);

#endif
