/* SPDX-License-Identifier: Apache-2.0 */
#include "board/acpi.h"

#include <errno.h>
#include <string.h>

#define OEM_ID	     "ALCOR "
#define OEM_TABLE_ID "ALCOR   "
#define CREATOR_ID   "ALCR"

#define HEADER_LENGTH	4
#define HEADER_CHECKSUM 9
#define RSDP_LEN	36

static uint8_t checksum(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	while (n--)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

static void acpi_align(struct aml *aml)
{
	while (aml->len % 16 && !aml_failed(aml))
		aml_u8(aml, 0);
}

size_t acpi_table(struct aml *aml, const char signature[4], uint8_t revision)
{
	size_t table;

	acpi_align(aml);
	table = aml->len;
	aml_bytes(aml, signature, 4);
	aml_u32(aml, 0); /* length */
	aml_u8(aml, revision);
	aml_u8(aml, 0); /* checksum */
	aml_bytes(aml, OEM_ID, 6);
	aml_bytes(aml, OEM_TABLE_ID, 8);
	aml_u32(aml, 1);
	aml_bytes(aml, CREATOR_ID, 4);
	aml_u32(aml, 1);
	return table;
}

void acpi_table_end(struct aml *aml, size_t table)
{
	uint32_t len = (uint32_t)(aml->len - table);
	uint8_t sum;

	aml_patch(aml, table + HEADER_LENGTH, &len, sizeof(len));
	if (aml_failed(aml))
		return;
	sum = checksum(aml->data + table, len);
	aml_patch(aml, table + HEADER_CHECKSUM, &sum, sizeof(sum));
}

/* 5.2.5.3 */
static void acpi_rsdp(struct aml *aml, uint64_t xsdt)
{
	uint8_t rsdp[RSDP_LEN] = "RSD PTR ";
	const uint32_t len = RSDP_LEN;

	memcpy(rsdp + 9, OEM_ID, 6);
	rsdp[15] = 2; /* revision */
	memcpy(rsdp + 20, &len, sizeof(len));
	memcpy(rsdp + 24, &xsdt, sizeof(xsdt));
	rsdp[8] = checksum(rsdp, 20);
	rsdp[32] = checksum(rsdp, RSDP_LEN);
	aml_patch(aml, 0, rsdp, RSDP_LEN);
}

int acpi_build(const struct acpi_machine *machine, uint64_t base, size_t max, struct aml *aml,
	       struct error *err)
{
	const uint8_t blank[RSDP_LEN] = { 0 };
	uint64_t tables[ACPI_MAX_TABLES];
	unsigned n, i;
	size_t xsdt;

	aml_bytes(aml, blank, sizeof(blank));
	n = acpi_arch_tables(machine, base, aml, tables);
	xsdt = acpi_table(aml, "XSDT", 1);
	for (i = 0; i < n; i++)
		aml_u64(aml, tables[i]);
	acpi_table_end(aml, xsdt);
	acpi_rsdp(aml, base + xsdt);
	if (aml_failed(aml))
		return error_errno(err, -ENOMEM, "ACPI tables");
	if (aml->len > max)
		return error_set(err, -E2BIG,
				 "ACPI tables take %zu bytes, more than the %zu that there are "
				 "(fewer CPUs or devices may help)",
				 aml->len, max);
	return 0;
}
