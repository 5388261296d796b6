/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI tables in one block of guest memory (ACPI 6.4, 5.2). */
#ifndef ALCOR_CORE_BOARD_ACPI_H
#define ALCOR_CORE_BOARD_ACPI_H

#include <alcor/acpi.h>

#include "board/aml.h"
#include "bus/pci.h"

/* A device node that a plugin asked for; the texts are copies. */
struct acpi_node {
	char name[5], hid[9];
	struct alcor_acpi_node desc; /* its pointers are not used */
};

/* All that the tables tell. */
struct acpi_machine {
	const struct pci_root_config *pci;
	const uint32_t *cpu_ids; /* APIC ids */
	uint32_t n_cpus;
	const struct acpi_node *nodes;
	unsigned n_nodes;
};

/* Appends a table's header; acpi_table_end() with what it returned fills in length and checksum. */
size_t acpi_table(struct aml *aml, const char signature[4], uint8_t revision);
void acpi_table_end(struct aml *aml, size_t table);

/* Tables from @base on, the root pointer at @base itself; may take @max bytes. */
int acpi_build(const struct acpi_machine *machine, uint64_t base, size_t max, struct aml *aml,
	       struct error *err);

/* Of the architecture: appends its fixed tables and writes their addresses (@base + position) to
 * @ret_tables. Returns their number. */
#define ACPI_MAX_TABLES 4
unsigned acpi_arch_tables(const struct acpi_machine *machine, uint64_t base, struct aml *aml,
			  uint64_t ret_tables[ACPI_MAX_TABLES]);
/* The body of the DSDT. */
void acpi_dsdt(const struct acpi_machine *machine, struct aml *aml);

/* 0, or why @node cannot be added to @nodes: -EINVAL, -EEXIST. */
int acpi_node_init(struct acpi_node *ret_node, const struct alcor_acpi_node *desc,
		   const struct acpi_node *nodes, unsigned n_nodes);

#endif
