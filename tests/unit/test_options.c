/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "util/overflow.h"

static const struct option options[] = {
	{ "--kernel", .short_name = 'k', .arg = "PATH" },
	{ "--cmdline", .alias = "--cmd-line", .short_name = 'c', .arg = "TEXT" },
	{ "--blk", .arg = "DISK", .repeat = true },
	{ "--entropy" },
	{ "--help", .short_name = 'h', .arg = "[TOPIC]", .value_optional = true },
};
static const struct option_table table = { "prog cmd", options, ARRAY_SIZE(options) };

#define MAX_WORDS 8
struct words {
	const char *argv[MAX_WORDS];
	const char *want; /* "--name=value ..." or the error */
};

static void check(const struct words *words)
{
	struct option_list list = { 0 };
	struct error err = { .text = "" };
	char got[256] = "";

	if (options_parse(&table, (char **)words->argv, &list, NULL, &err) < 0) {
		assert_string_equal(err.text, words->want);
		assert_null(list.uses);
		return;
	}
	for (size_t i = 0; i < list.n; i++) {
		strcat(strcat(got, i ? " " : ""), list.uses[i].option->name);
		if (list.uses[i].value)
			strcat(strcat(got, "="), list.uses[i].value);
	}
	assert_string_equal(got, words->want);
	option_list_clear(&list);
}

static void test_forms(void **state)
{
	static const struct words cases[] = {
		{ { NULL }, "" },
		{ { "--kernel", "/k" }, "--kernel=/k" },
		{ { "--kernel=/k" }, "--kernel=/k" },
		{ { "-k", "/k" }, "--kernel=/k" },
		{ { "-k/k" }, "--kernel=/k" },
		{ { "-k=/k" }, "--kernel=/k" },
		{ { "--cmd-line", "a b" }, "--cmdline=a b" },
		{ { "--cmdline", "" }, "--cmdline=" },
		{ { "--cmdline=" }, "--cmdline=" },
		{ { "--cmdline", "--quiet" }, "--cmdline=--quiet" },
		{ { "--cmdline", "-quiet" }, "--cmdline=-quiet" },
		{ { "--cmdline", "-k/x" }, "--cmdline=-k/x" },
		{ { "--cmdline", "-" }, "--cmdline=-" },
		{ { "--cmdline=--kernel" }, "--cmdline=--kernel" },
		{ { "--blk", "a", "--entropy", "--blk", "b" }, "--blk=a --entropy --blk=b" },
		{ { "--help" }, "--help" },
		{ { "--help", "blk" }, "--help=blk" },
		{ { "-h", "--entropy" }, "--help --entropy" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i]);
}

static void test_errors(void **state)
{
	static const struct words cases[] = {
		{ { "--krenel", "/k" }, "unknown option '--krenel'; did you mean '--kernel'?" },
		{ { "--krenel=/k" }, "unknown option '--krenel'; did you mean '--kernel'?" },
		{ { "--cmd" }, "unknown option '--cmd'; did you mean '--cmdline'?" },
		{ { "--ker", "/k" }, "unknown option '--ker'; did you mean '--kernel'?" },
		{ { "--kernels", "/k" }, "unknown option '--kernels'; did you mean '--kernel'?" },
		{ { "--something" }, "unknown option '--something'; see 'prog cmd --help'" },
		{ { "-x" }, "unknown option '-x'; see 'prog cmd --help'" },
		{ { "--" }, "unknown option '--'; see 'prog cmd --help'" },
		{ { "--kernel" }, "--kernel needs a value, --kernel PATH" },
		{ { "-k" }, "--kernel needs a value, --kernel PATH" },
		{ { "--kernel", "--entropy" }, "--kernel needs a value, --kernel PATH" },
		{ { "--kernel", "--cmdline=x" }, "--kernel needs a value, --kernel PATH" },
		{ { "--kernel", "-c" }, "--kernel needs a value, --kernel PATH" },
		{ { "--entropy=on" }, "--entropy takes no value" },
		{ { "--kernel", "a", "-k", "b" }, "--kernel is given twice" },
		{ { "--cmdline=a", "--cmd-line=b" }, "--cmdline is given twice" },
		{ { "--entropy", "--entropy" }, "--entropy is given twice" },
		{ { "--entropy", "yes" }, "unexpected argument 'yes'; see 'prog cmd --help'" },
		{ { "--help", "-z" }, "unknown option '-z'; see 'prog cmd --help'" },
		{ { "-" }, "unexpected argument '-'; see 'prog cmd --help'" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(&cases[i]);
}

static void test_rest(void **state)
{
	char *argv[] = { "--entropy", "boot", "--bogus", NULL }, **rest = NULL;
	struct option_list list;
	struct error err;

	assert_int_equal(options_parse(&table, argv, &list, &rest, &err), 0);
	assert_ptr_equal(rest, &argv[1]);
	assert_int_equal(list.n, 1);
	assert_non_null(option_list_find(&list, "--entropy"));
	assert_null(option_list_find(&list, "--kernel"));
	option_list_clear(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
