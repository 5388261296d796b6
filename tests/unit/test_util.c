/* SPDX-License-Identifier: Apache-2.0 */
/* Error texts, the log's limit, checked arithmetic. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "util/error.h"
#include "util/log.h"
#include "util/overflow.h"

static void test_error_text_and_prefix(void **state)
{
	struct error err = { "" };

	(void)state;
	assert_int_equal(error_errno(&err, -ENOENT, "open"), -ENOENT);
	error_prefix(&err, "--blk %s", "x");
	assert_string_equal(err.text, "--blk x: open: No such file or directory");
	assert_int_equal(error_set(NULL, -EIO, "nobody listens"), -EIO);
	error_prefix(NULL, "nobody");
}

static void test_error_too_long_is_marked(void **state)
{
	char text[4096];
	struct error err;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	error_set(&err, -EIO, "%s", text);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_string_equal(err.text + strlen(err.text) - 4, "x...");
}

static void test_log_limit_stops_a_flood(void **state)
{
	struct log_limit limit = { 0 };
	unsigned passed = 0;

	(void)state;
	for (int i = 0; i < 100000; i++)
		passed += log_allowed(&limit) != 0;
	assert_true(passed >= 10);
	assert_true(passed <= 20); /* the loop may straddle two windows */
}

static void test_range_within(void **state)
{
	(void)state;
	assert_true(range_within(0, 10, 10));
	assert_true(range_within(10, 0, 10));
	assert_false(range_within(1, 10, 10));
	assert_false(range_within(UINT64_MAX, 2, 10));
	assert_false(range_within(5, UINT64_MAX, 10));
	assert_false(is_pow2(0));
	assert_true(is_pow2(1ull << 63));
	assert_false(is_pow2(3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_text_and_prefix),
		cmocka_unit_test(test_error_too_long_is_marked),
		cmocka_unit_test(test_log_limit_stops_a_flood),
		cmocka_unit_test(test_range_within),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
