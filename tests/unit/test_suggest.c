/* SPDX-License-Identifier: Apache-2.0 */
#include "config/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "util/overflow.h"

static void check(const char *word, const char *want)
{
	static const char *const words[] = { "path",  "readonly", "file",   "file", "queues",
					     "cache", "cachex",	  "caches", "cach", "id" };
	char text[128] = "stale";

	suggest(word, words, ARRAY_SIZE(words), text, sizeof(text));
	assert_string_equal(text, want);
}

static void test_one(void **state)
{
	check("raedonly", "; did you mean 'readonly'?"); /* neighbours swapped */
	check("readOnly", "; did you mean 'readonly'?"); /* replaced */
	check("flie", "; did you mean 'file'?");
	check("fil", "; did you mean 'file'?");	      /* left out */
	check("qqueues", "; did you mean 'queues'?"); /* too many */
	check("qeuesu", "; did you mean 'queues'?");  /* two edits of a long word */
}

static void test_none(void **state)
{
	check("", "");
	check("pfft", "");
	check("flei", ""); /* two edits of a short word */
	check("something", "");
	check("redonlyxy", "");
}

static void test_nearest_first_and_three(void **state)
{
	check("cache", "; did you mean 'cache', 'cachex' or 'caches'?");
	check("caceh", "; did you mean 'cache', 'cach' or 'cachex'?");
}

static void test_short_buffer_and_long_words(void **state)
{
	static const char *const words[] = { "readonly" };
	char long_word[500], text[8];
	const char *const long_words[] = { long_word };

	suggest("readonly", words, 1, text, sizeof(text));
	assert_int_equal(strlen(text), sizeof(text) - 1);
	memset(long_word, 'a', sizeof(long_word) - 1);
	long_word[sizeof(long_word) - 1] = '\0';
	suggest(long_word, long_words, 1, text, sizeof(text));
	assert_string_equal(text, "");
	suggest("x", NULL, 0, text, sizeof(text));
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_nearest_first_and_three),
		cmocka_unit_test(test_short_buffer_and_long_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
