/* SPDX-License-Identifier: Apache-2.0 */
/* Tables as a guest finds them, and as iasl, the reference compiler, reads them. */
#include "board/acpi.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "util/overflow.h"

#define BASE	0xe0000ull
#define MAX_LEN 0x20000

static const struct pci_root_config pci = {
	.ecam_base = 0xe0000000,
	.io = { 0x1000, 0xf000 },
	.mem32 = { 0xa0000000, 0x20000000 },
	.mem32_prefetch = { 0x80000000, 0x20000000 },
	.mem64 = { 0x8000000000, 0x8000000000 },
};

static const struct alcor_acpi_node com1 = {
	.struct_size = sizeof(com1),
	.uid = 1,
	.name = "COM1",
	.hid = "PNP0501",
	.pio_base = 0x3f8,
	.pio_len = 8,
	.gsi = 4,
};

struct tables {
	struct aml aml;
	struct error err;
	int r;
};

static void build(struct tables *t, const uint32_t *ids, uint32_t n_ids,
		  const struct acpi_node *nodes, unsigned n_nodes)
{
	const struct acpi_machine machine = {
		.pci = &pci,
		.cpu_ids = ids,
		.n_cpus = n_ids,
		.nodes = nodes,
		.n_nodes = n_nodes,
	};

	memset(t, 0, sizeof(*t));
	t->r = acpi_build(&machine, BASE, MAX_LEN, &t->aml, &t->err);
}

static const uint8_t *at(const struct tables *t, uint64_t addr, uint32_t len)
{
	assert_true(addr >= BASE && range_within(addr - BASE, len, t->aml.len));
	return t->aml.data + (addr - BASE);
}

static uint64_t get(const void *p, unsigned n)
{
	uint64_t value = 0;

	memcpy(&value, p, n);
	return value;
}

static void assert_sum(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	while (n--)
		sum = (uint8_t)(sum + *p++);
	assert_int_equal(sum, 0);
}

static const uint8_t *table_at(const struct tables *t, uint64_t addr, uint32_t *ret_len)
{
	uint32_t len = (uint32_t)get(at(t, addr, 36) + 4, 4);

	assert_true(len >= 36);
	assert_sum(at(t, addr, len), len);
	*ret_len = len;
	return at(t, addr, len);
}

static const uint8_t *find(const struct tables *t, const char *signature, uint32_t *ret_len)
{
	const uint8_t *rsdp = at(t, BASE, 36), *xsdt, *table;
	uint32_t len, pos;

	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_sum(rsdp, 20);
	assert_sum(rsdp, 36);
	assert_int_equal(rsdp[15], 2);
	if (!strcmp(signature, "DSDT"))
		return table_at(t, get(find(t, "FACP", &len) + 140, 8), ret_len);
	xsdt = table_at(t, get(rsdp + 24, 8), &len);
	assert_memory_equal(xsdt, "XSDT", 4);
	for (pos = 36; pos < len; pos += 8) {
		table = table_at(t, get(xsdt + pos, 8), ret_len);
		if (!memcmp(table, signature, 4))
			return table;
	}
	fail_msg("no %s", signature);
	return NULL;
}

static char *read_text(const char *path)
{
	char *text = calloc(1, 1 << 20);
	FILE *f = fopen(path, "r");

	assert_non_null(text);
	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	return text;
}

static void shell(const char *dir, const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "cd %s && %s", dir, command);
	if (system(line))
		fail_msg("failed: %s", line);
}

/* Disassembles, compiles what came out, and compares the result with what went in, but for the
 * header, which names the compiler. */
static void iasl_round_trip(const char *dir, const struct tables *t, const char *signature)
{
	uint32_t len;
	const uint8_t *table = find(t, signature, &len);
	char path[128], *log, *again;
	FILE *f;

	snprintf(path, sizeof(path), "%s/table.dat", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(table, len, 1, f), 1);
	fclose(f);
	shell(dir, "iasl -d table.dat > log 2>&1 || { cat log; false; }");
	snprintf(path, sizeof(path), "%s/log", dir);
	log = read_text(path);
	if (strstr(log, "Error") || strstr(log, "Warning") || strstr(log, "incorrect"))
		fail_msg("%s: %s", signature, log);
	free(log);
	shell(dir, "iasl -p again table.dsl > log 2>&1 || { cat log; false; }");
	log = read_text(path);
	if (!strstr(log, "0 Errors, 0 Warnings"))
		fail_msg("%s: %s", signature, log);
	free(log);
	snprintf(path, sizeof(path), "%s/again.aml", dir);
	again = read_text(path);
	assert_int_equal(get(again + 4, 4), len);
	assert_memory_equal(again + 36, table + 36, len - 36);
	free(again);
}

static void iasl_all(const struct tables *t)
{
	const char *const signatures[] = { "DSDT", "FACP", "APIC", "MCFG" };
	char dir[] = "/tmp/alcor-acpi-XXXXXX", line[64];
	unsigned i;

	assert_non_null(mkdtemp(dir));
	for (i = 0; i < ARRAY_SIZE(signatures); i++)
		iasl_round_trip(dir, t, signatures[i]);
	snprintf(line, sizeof(line), "rm -r %s", dir);
	assert_int_equal(system(line), 0);
}

static void test_iasl_reads_what_we_write(void **state)
{
	const uint32_t ids[] = { 0, 1, 2, 4, 5, 6 };
	struct acpi_node nodes[3] = { 0 };
	const struct alcor_acpi_node fwcfg = {
		.struct_size = sizeof(fwcfg),
		.name = "FWCF",
		.hid = "QEMU0002",
		.pio_base = 0x510,
		.pio_len = 12,
	};
	const struct alcor_acpi_node mmio = {
		.struct_size = sizeof(mmio),
		.name = "VIO0",
		.hid = "LNRO0005",
		.mmio_base = 0xfe000000,
		.mmio_len = 0x1000,
		.gsi = 5,
	};
	struct tables t;

	assert_int_equal(acpi_node_init(&nodes[0], &com1, nodes, 0), 0);
	assert_int_equal(acpi_node_init(&nodes[1], &fwcfg, nodes, 1), 0);
	assert_int_equal(acpi_node_init(&nodes[2], &mmio, nodes, 2), 0);
	build(&t, ids, ARRAY_SIZE(ids), nodes, ARRAY_SIZE(nodes));
	assert_int_equal(t.r, 0);
	iasl_all(&t);
	aml_free(&t.aml);

	build(&t, ids, 1, NULL, 0);
	assert_int_equal(t.r, 0);
	iasl_all(&t);
	aml_free(&t.aml);
}

static void test_fadt_is_hardware_reduced(void **state)
{
	const uint32_t id = 0;
	const uint8_t *fadt;
	struct tables t;
	uint32_t len;

	build(&t, &id, 1, NULL, 0);
	fadt = find(&t, "FACP", &len);
	assert_int_equal(len, 276);
	assert_int_equal(fadt[8], 6);
	assert_int_equal(get(fadt + 112, 4) & (1 << 20 | 1 << 10), 1 << 20 | 1 << 10);
	assert_int_equal(get(fadt + 109, 2), 1 << 5 | 1 << 2); /* no RTC, no VGA; no 8042 */
	/* Generic addresses: port, 8 bits wide, byte access. */
	assert_memory_equal(fadt + 116, "\x01\x08\x00\x01\x04\x06\0\0\0\0\0\0", 12);
	assert_int_equal(fadt[128], 0x72);
	assert_memory_equal(fadt + 244, "\x01\x08\x00\x01\x00\x06\0\0\0\0\0\0", 12);
	assert_memory_equal(fadt + 256, "\x01\x08\x00\x01\x01\x06\0\0\0\0\0\0", 12);
	aml_free(&t.aml);
}

static void test_fadt_admits_an_rtc(void **state)
{
	const struct alcor_acpi_node rtc = {
		.struct_size = sizeof(rtc),
		.name = "RTC0",
		.hid = "PNP0B00",
		.pio_base = 0x70,
		.pio_len = 2,
	};
	const uint32_t id = 0;
	struct acpi_node node;
	struct tables t;
	uint32_t len;

	assert_int_equal(acpi_node_init(&node, &rtc, NULL, 0), 0);
	build(&t, &id, 1, &node, 1);
	assert_int_equal(get(find(&t, "FACP", &len) + 109, 2), 1 << 2);
	aml_free(&t.aml);
}

/* Ids up to 254 in entries that every guest reads, the others in x2APIC entries. */
static void test_madt_lists_every_cpu(void **state)
{
	static uint32_t ids[300];
	uint32_t len, pos, n = 0, n_ioapics = 0, i;
	const uint8_t *madt;
	struct tables t;

	for (i = 0; i < ARRAY_SIZE(ids); i++)
		ids[i] = i + i / 4; /* with gaps; 254, 255 and 256 are there */
	build(&t, ids, ARRAY_SIZE(ids), NULL, 0);
	assert_int_equal(t.r, 0);
	madt = find(&t, "APIC", &len);
	assert_int_equal(get(madt + 36, 4), 0xfee00000);
	for (pos = 44; pos < len; pos += madt[pos + 1]) {
		const uint8_t *e = madt + pos;

		switch (e[0]) {
		case 0:
			assert_true(ids[n] < 255);
			assert_int_equal(e[2], n);
			assert_int_equal(e[3], ids[n++]);
			assert_int_equal(get(e + 4, 4), 1);
			break;
		case 9:
			assert_true(ids[n] >= 255);
			assert_int_equal(get(e + 12, 4), n);
			assert_int_equal(get(e + 4, 4), ids[n++]);
			assert_int_equal(get(e + 8, 4), 1);
			break;
		case 1:
			assert_int_equal(get(e + 4, 4), 0xfec00000);
			assert_int_equal(get(e + 8, 4), 0);
			n_ioapics++;
			break;
		default:
			fail();
		}
	}
	assert_int_equal(n, ARRAY_SIZE(ids));
	assert_int_equal(n_ioapics, 1);
	iasl_all(&t);
	aml_free(&t.aml);
}

static void test_too_many_cpus_are_an_error(void **state)
{
	static uint32_t ids[10000];
	struct tables t;
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(ids); i++)
		ids[i] = i;
	build(&t, ids, ARRAY_SIZE(ids), NULL, 0);
	assert_int_equal(t.r, -E2BIG);
	assert_non_null(strstr(t.err.text, "more than the 131072 that there are"));
	aml_free(&t.aml);
}

static void test_mcfg_has_all_buses(void **state)
{
	const uint32_t id = 0;
	const uint8_t *mcfg;
	struct tables t;
	uint32_t len;

	build(&t, &id, 1, NULL, 0);
	mcfg = find(&t, "MCFG", &len);
	assert_int_equal(len, 60);
	assert_int_equal(get(mcfg + 44, 8), 0xe0000000);
	assert_int_equal(get(mcfg + 52, 2), 0);
	assert_int_equal(mcfg[54], 0);
	assert_int_equal(mcfg[55], 255);
	aml_free(&t.aml);
}

static void test_bad_nodes_are_refused(void **state)
{
	struct acpi_node nodes[1] = { 0 }, node;
	struct alcor_acpi_node bad;

	assert_int_equal(acpi_node_init(&nodes[0], &com1, NULL, 0), 0);
	assert_int_equal(acpi_node_init(&node, &com1, nodes, 1), -EEXIST);
#define REFUSED(res, ...)                                                    \
	do {                                                                 \
		bad = com1;                                                  \
		__VA_ARGS__;                                                 \
		assert_int_equal(acpi_node_init(&node, &bad, NULL, 0), res); \
	} while (0)
	REFUSED(-EEXIST, bad.name = "PCI0");
	REFUSED(-EINVAL, bad.name = NULL);
	REFUSED(-EINVAL, bad.name = "COM");
	REFUSED(-EINVAL, bad.name = "COM12");
	REFUSED(-EINVAL, bad.name = "com1");
	REFUSED(-EINVAL, bad.name = "1COM");
	REFUSED(-EINVAL, bad.hid = NULL);
	REFUSED(-EINVAL, bad.hid = "PNP05");
	REFUSED(-EINVAL, bad.hid = "QEMU000X");
	REFUSED(-EINVAL, bad.hid = "QEMU00020");
	REFUSED(-EINVAL, bad.pio_base = 0xfffc);
	REFUSED(-EINVAL, bad.pio_len = 256);
	REFUSED(-EINVAL, bad.mmio_base = 0xfffff000; bad.mmio_len = 0x1000);
	REFUSED(-EINVAL, bad.gsi = 24);
	REFUSED(-EINVAL, bad.gsi = 9);
	/* An older plugin's structure ends before the interrupt. */
	bad = com1;
	bad.struct_size = offsetof(struct alcor_acpi_node, gsi);
	assert_int_equal(acpi_node_init(&node, &bad, NULL, 0), 0);
	assert_int_equal(node.desc.gsi, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_iasl_reads_what_we_write),
		cmocka_unit_test(test_fadt_is_hardware_reduced),
		cmocka_unit_test(test_fadt_admits_an_rtc),
		cmocka_unit_test(test_madt_lists_every_cpu),
		cmocka_unit_test(test_too_many_cpus_are_an_error),
		cmocka_unit_test(test_mcfg_has_all_buses),
		cmocka_unit_test(test_bad_nodes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
