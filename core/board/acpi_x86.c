/* SPDX-License-Identifier: Apache-2.0 */
/* FADT, MADT and MCFG: hardware-reduced ACPI (4.1), nothing of a PC but APICs and PCI Express. */
#include <string.h>

#include "board/acpi.h"
#include "board/x86.h"

/* FADT (5.2.9): flags, and boot architecture flags (5.2.9.3). */
#define FADT_WBINVD	 (1u << 0)
#define FADT_PWR_BUTTON	 (1u << 4) /* not a fixed one */
#define FADT_SLP_BUTTON	 (1u << 5)
#define FADT_RESET_REG	 (1u << 10)
#define FADT_HW_REDUCED	 (1u << 20)
#define BOOT_NO_VGA	 (1u << 2)
#define BOOT_NO_CMOS_RTC (1u << 5)
#define FADT_LEN	 276
#define GAS_SYSTEM_IO	 1
#define GAS_BYTE_ACCESS	 1

/* MADT (5.2.12). */
#define MADT_LAPIC	 0
#define MADT_IOAPIC	 1
#define MADT_X2APIC	 9
#define MADT_CPU_ENABLED 1
#define LAPIC_MAX_ID	 254 /* 255 is all of them */

static void put_port(uint8_t *gas, uint64_t port)
{
	gas[0] = GAS_SYSTEM_IO;
	gas[1] = 8; /* bits */
	gas[3] = GAS_BYTE_ACCESS;
	memcpy(gas + 4, &port, sizeof(port));
}

static uint16_t fadt_boot_flags(const struct acpi_machine *machine)
{
	uint16_t flags = BOOT_NO_VGA | BOOT_NO_CMOS_RTC;
	unsigned i;

	for (i = 0; i < machine->n_nodes; i++)
		if (!strcmp(machine->nodes[i].hid, "PNP0B00"))
			flags &= (uint16_t)~BOOT_NO_CMOS_RTC;
	return flags;
}

static size_t acpi_fadt(const struct acpi_machine *machine, uint64_t dsdt, struct aml *aml)
{
	const uint32_t flags =
		FADT_WBINVD | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_RESET_REG | FADT_HW_REDUCED;
	const uint16_t boot_flags = fadt_boot_flags(machine);
	size_t table = acpi_table(aml, "FACP", 6);
	const size_t header = aml->len - table;
	uint8_t fadt[FADT_LEN] = { 0 };

	memcpy(fadt + 40, &dsdt, 4);
	memcpy(fadt + 109, &boot_flags, sizeof(boot_flags));
	memcpy(fadt + 112, &flags, sizeof(flags));
	put_port(fadt + 116, X86_PORT_RESET);
	fadt[128] = X86_RESET_VALUE;
	fadt[131] = 4; /* minor version */
	memcpy(fadt + 140, &dsdt, sizeof(dsdt));
	put_port(fadt + 244, X86_PORT_SLEEP_CONTROL);
	put_port(fadt + 256, X86_PORT_SLEEP_STATUS);
	memcpy(fadt + 268, "ALCOR", 5); /* hypervisor vendor */
	if (!aml_failed(aml))
		aml_bytes(aml, fadt + header, FADT_LEN - header);
	acpi_table_end(aml, table);
	return table;
}

static void madt_cpu(struct aml *aml, uint32_t uid, uint32_t id)
{
	if (id <= LAPIC_MAX_ID) {
		aml_u8(aml, MADT_LAPIC);
		aml_u8(aml, 8);
		aml_u8(aml, (uint8_t)uid);
		aml_u8(aml, (uint8_t)id);
		aml_u32(aml, MADT_CPU_ENABLED);
		return;
	}
	aml_u8(aml, MADT_X2APIC);
	aml_u8(aml, 16);
	aml_u16(aml, 0);
	aml_u32(aml, id);
	aml_u32(aml, MADT_CPU_ENABLED);
	aml_u32(aml, uid);
}

static size_t acpi_madt(const struct acpi_machine *machine, struct aml *aml)
{
	size_t table = acpi_table(aml, "APIC", 5);
	uint32_t i;

	aml_u32(aml, (uint32_t)X86_LAPIC);
	aml_u32(aml, 0); /* no pair of 8259s */
	/* Ids grow with the index, so that CPUs of the small entries have small UIDs too. */
	for (i = 0; i < machine->n_cpus; i++)
		madt_cpu(aml, i, machine->cpu_ids[i]);
	aml_u8(aml, MADT_IOAPIC);
	aml_u8(aml, 12);
	aml_u8(aml, 0); /* id */
	aml_u8(aml, 0);
	aml_u32(aml, (uint32_t)X86_IOAPIC);
	aml_u32(aml, 0); /* first GSI */
	acpi_table_end(aml, table);
	return table;
}

/* PCI Firmware Specification 3.3, 4.1.2. */
static size_t acpi_mcfg(const struct acpi_machine *machine, struct aml *aml)
{
	size_t table = acpi_table(aml, "MCFG", 1);

	aml_u64(aml, 0);
	aml_u64(aml, machine->pci->ecam_base);
	aml_u16(aml, 0); /* segment */
	aml_u8(aml, 0);	 /* buses */
	aml_u8(aml, 255);
	aml_u32(aml, 0);
	acpi_table_end(aml, table);
	return table;
}

unsigned acpi_arch_tables(const struct acpi_machine *machine, uint64_t base, struct aml *aml,
			  uint64_t ret_tables[ACPI_MAX_TABLES])
{
	size_t dsdt = acpi_table(aml, "DSDT", 2); /* 2: integers have 64 bits */

	acpi_dsdt(machine, aml);
	acpi_table_end(aml, dsdt);
	ret_tables[0] = base + acpi_fadt(machine, base + dsdt, aml);
	ret_tables[1] = base + acpi_madt(machine, aml);
	ret_tables[2] = base + acpi_mcfg(machine, aml);
	return 3;
}
