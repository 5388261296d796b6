/* SPDX-License-Identifier: Apache-2.0 */
#include "board/aml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "util/overflow.h"

static void expect(struct aml *aml, const void *bytes, size_t n)
{
	assert_false(aml_failed(aml));
	assert_int_equal(aml->len, n);
	assert_memory_equal(aml->data, bytes, n);
	aml_free(aml);
}

#define EXPECT(aml, ...)                                  \
	do {                                              \
		const uint8_t bytes_[] = { __VA_ARGS__ }; \
		expect(aml, bytes_, sizeof(bytes_));      \
	} while (0)

static void test_integers_take_the_shortest_form(void **state)
{
	struct aml aml = { 0 };

	aml_integer(&aml, 0);
	aml_integer(&aml, 1);
	aml_integer(&aml, 2);
	aml_integer(&aml, 0xff);
	aml_integer(&aml, 0x100);
	aml_integer(&aml, 0x10000);
	aml_integer(&aml, 0x100000000);
	EXPECT(&aml, 0x00, 0x01, 0x0a, 2, 0x0a, 0xff, 0x0b, 0x00, 0x01, 0x0c, 0, 0, 1, 0, 0x0e, 0,
	       0, 0, 0, 1, 0, 0, 0);
}

static void test_eisa_ids(void **state)
{
	struct aml aml = { 0 };

	aml_eisa_id(&aml, "PNP0A08");
	EXPECT(&aml, 0x0c, 0x41, 0xd0, 0x0a, 0x08);
	assert_true(aml_is_eisa_id("PNP0C0C"));
	assert_false(aml_is_eisa_id("PNP0C0c"));
	assert_false(aml_is_eisa_id("PNP0C0"));
	assert_false(aml_is_eisa_id("PNP0C0CC"));
	assert_false(aml_is_eisa_id("QEMU0002"));
	assert_false(aml_is_eisa_id(""));
}

static void test_uuid_mixes_byte_orders(void **state)
{
	struct aml aml = { 0 };

	aml_uuid(&aml, "33db4d5b-1ff7-401c-9657-7441c03dd766");
	EXPECT(&aml, 0x11, 0x13, 0x0a, 0x10, 0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40, 0x96,
	       0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66);
}

static void test_strings_and_names(void **state)
{
	struct aml aml = { 0 };

	aml_name(&aml, "_HID");
	aml_string(&aml, "ACPI0013");
	EXPECT(&aml, 0x08, '_', 'H', 'I', 'D', 0x0d, 'A', 'C', 'P', 'I', '0', '0', '1', '3', 0);
}

/* A package length counts its own bytes (20.2.4): the steps are where one byte more is needed. */
static void test_package_lengths(void **state)
{
	static const struct {
		size_t body, n;
		uint8_t bytes[4];
	} cases[] = {
		{ 1, 1, { 0x02 } },
		{ 62, 1, { 0x3f } },
		{ 63, 2, { 0x41, 0x04 } },
		{ 4093, 2, { 0x4f, 0xff } },
		{ 4094, 3, { 0x81, 0x00, 0x01 } },
		{ 1048572, 3, { 0x8f, 0xff, 0xff } },
		{ 1048573, 4, { 0xc1, 0x00, 0x00, 0x01 } },
	};
	struct aml aml = { 0 };
	size_t i, j, open;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		open = aml_open(&aml, AML_IF);
		for (j = 0; j < cases[i].body; j++)
			aml_u8(&aml, 0xa3);
		aml_close(&aml, open);
		assert_int_equal(aml.len, 1 + cases[i].n + cases[i].body);
		assert_memory_equal(aml.data + 1, cases[i].bytes, cases[i].n);
		assert_int_equal(aml.data[1 + cases[i].n], 0xa3);
		aml_free(&aml);
	}
}

static void test_resources(void **state)
{
	struct aml aml = { 0 };
	size_t open = aml_resources(&aml);

	aml_io(&aml, 0x3f8, 8);
	aml_memory32(&aml, 0xe0000000, 0x10000000);
	aml_edge_interrupt(&aml, 9);
	aml_resources_close(&aml, open);
	EXPECT(&aml, 0x11, 34, 0x0a, 31, /* buffer */
	       0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8, 0x86, 9, 0, 1, 0, 0, 0, 0xe0, 0, 0, 0, 0x10, 0x89,
	       6, 0, 3, 1, 9, 0, 0, 0, 0x79, 0);
}

static void test_window(void **state)
{
	struct aml aml = { 0 };

	aml_window(&aml, 8, AML_WINDOW_MEM, AML_MEM_RW, 0x100000000, 0x80000000);
	EXPECT(&aml, 0x8a, 0x2b, 0, 0, 0x0c, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
	       0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0,
	       0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers_take_the_shortest_form),
		cmocka_unit_test(test_eisa_ids),
		cmocka_unit_test(test_uuid_mixes_byte_orders),
		cmocka_unit_test(test_strings_and_names),
		cmocka_unit_test(test_package_lengths),
		cmocka_unit_test(test_resources),
		cmocka_unit_test(test_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
