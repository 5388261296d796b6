/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "util/overflow.h"

/* "key=value|value|...": a list in one text; positional values have no "=". */
static void check_split(const struct objects *objects, const char *text, const char *want)
{
	struct value_list list = { 0 };
	struct error err = { .text = "" };
	char got[256] = "";

	if (value_split(text, 0, objects, &list, &err) < 0) {
		assert_string_equal(err.text, want);
		return;
	}
	for (unsigned i = 0; i < list.n; i++) {
		const struct value_item *item = &list.items[i];

		if (item->key)
			strcat(strcat(got, item->key), "=");
		strcat(strcat(got, item->value), "|");
	}
	assert_string_equal(got, want);
	value_list_clear(&list);
}

static void test_split(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "", "" },
		{ "file", "file|" },
		{ "file,path=/a.img", "file|path=/a.img|" },
		{ "path=/a.img,", "path=/a.img|" },
		{ "a=b=c", "a=b=c|" },
		{ "a=", "a=|" },
		{ "a=\"x,y=z\",b=1", "a=x,y=z|b=1|" },
		{ "a='x,\"\\'", "a=x,\"\\|" },
		{ "a=\"q\\\"b\\\\n\\n\"", "a=q\"b\\n\\n|" },
		{ "a=it's", "a=it's|" },
		{ "'x=1,2',b", "x=1,2|b|" },
		{ "a=''", "a=|" },
		{ "a='id_none'", "a=id_none|" },
		{ "id_type=1", "id_type=1|" },
		/* Errors. */
		{ ",", "empty element at column 1" },
		{ "a=1,,b=2", "empty element at column 5" },
		{ "a=1,,", "empty element at column 5" },
		{ "=1", "'=' without a key at column 1" },
		{ "a=\"x", "the quote at column 3 is not closed" },
		{ "a=\"x\\\"", "the quote at column 3 is not closed" },
		{ "'", "the quote at column 1 is not closed" },
		{ "a=\"x\"y", "unexpected 'y' behind the closing quote, at column 6" },
		{ "b,a=id_none",
		  "column 5: no object 'id_none'; define it by --object, or quote the value" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_split(NULL, cases[i].text, cases[i].want);
}

static void test_columns_start_at_base(void **state)
{
	struct value_list list;
	struct error err;

	assert_int_equal(value_split("a=1,bc='x'", 5, NULL, &list, &err), 0);
	assert_int_equal(list.n, 2);
	assert_int_equal(list.items[0].key_pos, 6);
	assert_int_equal(list.items[0].value_pos, 8);
	assert_int_equal(list.items[1].key_pos, 10);
	assert_int_equal(list.items[1].value_pos, 13);
	value_list_clear(&list);
	assert_true(value_split("a=1,=", 5, NULL, &list, &err) < 0);
	assert_string_equal(err.text, "'=' without a key at column 10");
}

static void test_objects(void **state)
{
	struct objects *objects;
	struct error err;
	const char *text;

	assert_int_equal(objects_new(&objects), 0);
	assert_int_equal(objects_add(objects, "id_a,x,y=z", &err), 0);
	assert_int_equal(objects_add(objects, "id_empty", &err), 0);
	assert_int_equal(objects_add(objects, "id_chain,id_a", &err), 0);
	assert_string_equal(objects_get(objects, "id_a"), "x,y=z");
	assert_string_equal(objects_get(objects, "id_empty"), "");
	assert_null(objects_get(objects, "id_b"));
	assert_null(objects_get(NULL, "id_a"));

	check_split(objects, "k=id_a,id_a", "k=x,y=z|x,y=z|");
	check_split(objects, "k=id_empty", "k=|");
	/* One level a nesting: an object's text stands as it is. */
	check_split(objects, "k=id_chain", "k=id_a|");
	check_split(objects, "k=id_aa", "column 3: no object 'id_aa'; did you mean 'id_a'?");
	check_split(objects, "k='id_a'", "k=id_a|");

	assert_int_equal(value_deref_list("id_a", objects, &text, &err), 0);
	assert_string_equal(text, "x,y=z");
	assert_int_equal(value_deref_list("id_b=1", objects, &text, &err), 0);
	assert_string_equal(text, "id_b=1");
	assert_int_equal(value_deref_list("ida", objects, &text, &err), 0);
	assert_string_equal(text, "ida");
	assert_true(value_deref_list("id_b", objects, &text, &err) < 0);
	objects_free(objects);
}

static void test_bad_objects(void **state)
{
	static const char *const bad[][2] = {
		{ "x,1", "'x' is not a name of the form id_NAME" },
		{ "id_,1", "'id_' is not a name of the form id_NAME" },
		{ "", "'' is not a name of the form id_NAME" },
		{ "id_a=1", "'id_a=1' holds a '='; write id_NAME,TEXT" },
		{ "id_twice,2", "'id_twice' is defined twice" },
	};
	struct objects *objects;
	struct error err;

	assert_int_equal(objects_new(&objects), 0);
	assert_int_equal(objects_add(objects, "id_twice,1", &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(objects_add(objects, bad[i][0], &err) < 0);
		assert_string_equal(err.text, bad[i][1]);
	}
	assert_string_equal(objects_get(objects, "id_twice"), "1");
	objects_free(objects);
}

static void test_bool(void **state)
{
	static const char *const bad[] = { "", "1", "0", "yes", "no", "ON", "on ", "tru" };
	struct error err;
	bool value = false;

	assert_int_equal(value_bool("on", &value, &err), 0);
	assert_true(value);
	assert_int_equal(value_bool("off", &value, &err), 0);
	assert_false(value);
	assert_int_equal(value_bool("true", &value, &err), 0);
	assert_true(value);
	assert_int_equal(value_bool("false", &value, &err), 0);
	assert_false(value);
	value = true;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(value_bool(bad[i], &value, &err) < 0);
	assert_true(value);
	assert_string_equal(err.text, "'tru' is none of on, off, true, false");
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t want;
	} cases[] = {
		{ "0", 0 },
		{ "1", 1 },
		{ "010", 10 },
		{ "0x10", 16 },
		{ "0xfFk", 255 << 10 },
		{ "0o17", 15 },
		{ "0b101", 5 },
		{ "0b1m", 1 << 20 },
		{ "1k", 1 << 10 },
		{ "1K", 1 << 10 },
		{ "3M", 3 << 20 },
		{ "2g", 2ull << 30 },
		{ "1T", 1ull << 40 },
		{ "18446744073709551615", UINT64_MAX },
		{ "0xffffffffffffffff", UINT64_MAX },
		{ "16777215T", 16777215ull << 40 },
	};
	struct error err;
	uint64_t value;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(value_u64(cases[i].text, &value, &err), 0);
		assert_int_equal(value, cases[i].want);
	}
}

static void test_bad_numbers(void **state)
{
	static const char *const bad[] = { "",	  " 1",	 "1 ",	"+1",  "-1",	"x",   "0x",
					   "0X1", "0b2", "0o8", "0b",  "1kk",	"1kB", "k",
					   "1.5", "1e3", "0xg", "1,0", "0x1_0", "--1", "1P" };
	static const char *const large[] = { "18446744073709551616", "16777216T",
					     "0x10000000000000000",  "99999999999999999999999",
					     "36893488147419103232", "18446744073709551615k" };
	uint64_t value = 77;
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(value_u64(bad[i], &value, &err) < 0);
		assert_non_null(strstr(err.text, "is not a number (decimal, 0x, 0o or 0b"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(large); i++) {
		assert_true(value_u64(large[i], &value, &err) < 0);
		assert_non_null(strstr(err.text, "does not fit into 64 bits"));
	}
	assert_int_equal(value, 77);
}

static void test_mac(void **state)
{
	static const uint8_t want[6] = { 0x52, 0x54, 0x00, 0xAB, 0xcd, 0x0f };
	static const char *const bad[] = { "",
					   "52:54:00:ab:cd",
					   "52:54:00:ab:cd:0f:11",
					   "52",
					   "52:54:00:ab:cd:",
					   "52:54:00:ab:cd:g0",
					   "520054:ab:cd:0f",
					   "52:54:00:ab:cd:0f ",
					   "52-54-00-ab-cd-0f",
					   ":::::",
					   "152:54:00:ab:cd:0f" };
	uint8_t mac[6] = { 0 };
	struct error err;

	assert_int_equal(value_mac("52:54:0:aB:CD:f", mac, &err), 0);
	assert_memory_equal(mac, want, sizeof(want));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(value_mac(bad[i], mac, &err) < 0);
	assert_memory_equal(mac, want, sizeof(want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),	    cmocka_unit_test(test_columns_start_at_base),
		cmocka_unit_test(test_objects),	    cmocka_unit_test(test_bad_objects),
		cmocka_unit_test(test_bool),	    cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_bad_numbers), cmocka_unit_test(test_mac),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
