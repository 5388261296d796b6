/* SPDX-License-Identifier: Apache-2.0 */
#include "pvh.h"
#include "cpu.h"

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[26];
} __attribute__((packed));

const struct pvh_info *pvh_info(void)
{
	return (const struct pvh_info *)(uint64_t)cpu_start.pvh_info;
}

const char *pvh_cmdline(void)
{
	const struct pvh_info *info = pvh_info();

	return info->cmdline ? (const char *)info->cmdline : "";
}

const struct pvh_mem *pvh_mem(uint32_t i)
{
	const struct pvh_info *info = pvh_info();

	if (info->version < 1 || i >= info->memmap_entries)
		return NULL;
	return (const struct pvh_mem *)info->memmap + i;
}

uint64_t ram_end_low(void)
{
	const struct pvh_mem *m;
	uint64_t end = 0;

	for (uint32_t i = 0; (m = pvh_mem(i)); i++)
		if (m->type == MEM_RAM && m->addr < 1ull << 32 && m->addr + m->size > end)
			end = m->addr + m->size;
	return end;
}

bool acpi_sum_ok(const void *table, uint32_t len)
{
	const uint8_t *p = table;
	uint8_t sum = 0;

	while (len--)
		sum += *p++;
	return !sum;
}

static const struct acpi_header *table_at(uint64_t addr)
{
	const struct acpi_header *h = (const struct acpi_header *)addr;

	return addr && addr < 1ull << 32 && acpi_sum_ok(h, h->length) ? h : NULL;
}

const void *acpi_find(const char signature[4])
{
	const uint8_t *rsdp = (const uint8_t *)pvh_info()->rsdp;
	const struct acpi_header *xsdt, *h, *fadt;
	uint64_t addr;

	if (!rsdp || memcmp(rsdp, "RSD PTR ", 8) || !acpi_sum_ok(rsdp, 20))
		return NULL;
	/* Revision 0 has only the RSDT with 4-byte entries. */
	bool wide = rsdp[15] >= 2;
	uint32_t step = wide ? 8 : 4;

	xsdt = table_at(wide ? *(const uint64_t *)(rsdp + 24) : *(const uint32_t *)(rsdp + 16));
	if (!xsdt)
		return NULL;
	if (!memcmp(signature, "DSDT", 4)) {
		fadt = acpi_find("FACP");
		if (!fadt)
			return NULL;
		addr = fadt->length >= 148 ? *(const uint64_t *)((const uint8_t *)fadt + 140) : 0;
		return table_at(addr ? addr : *(const uint32_t *)((const uint8_t *)fadt + 40));
	}
	for (uint32_t off = sizeof(*xsdt); off + step <= xsdt->length; off += step) {
		const uint8_t *e = (const uint8_t *)xsdt + off;

		h = table_at(wide ? *(const uint64_t *)e : *(const uint32_t *)e);
		if (h && !memcmp(h->signature, signature, 4))
			return h;
	}
	return NULL;
}

bool acpi_window(uint64_t min, uint64_t *ret_first, uint64_t *ret_last)
{
	const struct acpi_header *dsdt = acpi_find("DSDT");
	const uint8_t *p = (const uint8_t *)dsdt;
	uint64_t first, last;

	/* AML is not parsed: a resource descriptor is found by its tag, length and type. */
	for (uint32_t i = sizeof(*dsdt); dsdt && i + 46 <= dsdt->length; i++) {
		if (!memcmp(p + i, "\x8a\x2b\x00\x00", 4)) {
			first = *(const uint64_t *)(p + i + 14);
			last = *(const uint64_t *)(p + i + 22);
		} else if (!memcmp(p + i, "\x87\x17\x00\x00", 4)) {
			first = *(const uint32_t *)(p + i + 10);
			last = *(const uint32_t *)(p + i + 14);
		} else {
			continue;
		}
		if (first >= min && last > first) {
			*ret_first = first;
			*ret_last = last;
			return true;
		}
	}
	return false;
}
