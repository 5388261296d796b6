/* SPDX-License-Identifier: Apache-2.0 */
#include "config/params.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "util/overflow.h"

static const struct alcor_param rows[] = {
	{ .name = "path",
	  .type = ALCOR_PARAM_PATH,
	  .flags = ALCOR_PARAM_REQUIRED | ALCOR_PARAM_POSITIONAL },
	{ .name = "readonly", .alias = "ro", .type = ALCOR_PARAM_BOOL, .dflt = "off" },
	{ .name = "queues", .type = ALCOR_PARAM_U64, .min = 1, .max = 16, .dflt = "1" },
	{ .name = "size", .type = ALCOR_PARAM_SIZE, .min = 512 },
	{ .name = "api",
	  .type = ALCOR_PARAM_ENUM,
	  .choices = "threads|io_uring|none",
	  .dflt = "io_uring" },
	{ .name = "mac", .type = ALCOR_PARAM_MAC },
	{ .name = "fd", .type = ALCOR_PARAM_FD },
	{ .name = "tag", .type = ALCOR_PARAM_STR, .flags = ALCOR_PARAM_REPEAT },
	{ .name = "old", .type = ALCOR_PARAM_STR, .flags = ALCOR_PARAM_DEPRECATED },
};
static const struct param_table table = { rows, ARRAY_SIZE(rows), sizeof(rows[0]) };

static const struct alcor_param common_rows[] = { { .name = "id", .type = ALCOR_PARAM_STR } };
static const struct param_table common = { common_rows, 1, sizeof(common_rows[0]) };

static struct objects *objects;

static int group_setup(void **state)
{
	struct error err;

	return objects_new(&objects) || objects_add(objects, "id_list,path=/l,queues=3", &err) ||
	       objects_add(objects, "id_path,/with,comma", &err) ||
	       objects_add(objects, "id_empty", &err) ||
	       objects_add(objects, "id_bad,path=/l,queus=3", &err);
}

static int group_teardown(void **state)
{
	objects_free(objects);
	return 0;
}

static struct params *parse(const char *text)
{
	struct params *params = NULL;
	struct error err = { .text = "" };

	if (params_parse("blk/file", text, 5, &table, &common, objects, &params, &err) < 0)
		fail_msg("%s", err.text);
	return params;
}

static void test_values_and_defaults(void **state)
{
	struct params *p = parse("/a.img,api=none,mac=2:0:0:0:0:1,tag=x,tag='y,z',id=d0,size=1k");
	uint8_t mac[6];

	assert_string_equal(params_str(p, "path", 0), "/a.img");
	assert_true(params_given(p, "path"));
	assert_false(params_given(p, "readonly"));
	assert_int_equal(params_count(p, "readonly"), 1);
	assert_int_equal(params_u64(p, "readonly"), 0);
	assert_int_equal(params_u64(p, "queues"), 1);
	assert_int_equal(params_u64(p, "size"), 1024);
	assert_int_equal(params_u64(p, "api"), 2);
	assert_string_equal(params_str(p, "api", 0), "none");
	assert_int_equal(params_mac(p, "mac", mac), 0);
	assert_int_equal(mac[0], 2);
	assert_int_equal(mac[5], 1);
	assert_int_equal(params_count(p, "tag"), 2);
	assert_string_equal(params_str(p, "tag", 0), "x");
	assert_string_equal(params_str(p, "tag", 1), "y,z");
	assert_null(params_str(p, "tag", 2));
	assert_string_equal(params_str(p, "id", 0), "d0");
	assert_int_equal(params_count(p, "old"), 0);
	params_free(p);
}

static void test_enum_default(void **state)
{
	struct params *p = parse("path=/a");

	assert_int_equal(params_u64(p, "api"), 1);
	assert_string_equal(params_str(p, "api", 0), "io_uring");
	params_free(p);
}

static void test_alias(void **state)
{
	struct params *p = parse("path=/a,ro=on");

	assert_int_equal(params_u64(p, "readonly"), 1);
	assert_true(params_given(p, "readonly"));
	assert_true(params_given(p, "ro"));
	params_free(p);
}

static void test_wrong_questions(void **state)
{
	struct params *p = parse("path=/a,mac=2:0:0:0:0:1,queues=2");
	uint8_t mac[6];

	assert_null(params_str(p, "queues", 0));
	assert_null(params_str(p, "mac", 0));
	assert_null(params_str(p, "nothing", 0));
	assert_int_equal(params_u64(p, "path"), 0);
	assert_int_equal(params_u64(p, "nothing"), 0);
	assert_int_equal(params_count(p, "nothing"), 0);
	assert_false(params_given(p, "nothing"));
	assert_int_equal(params_mac(p, "path", mac), -ENOENT);
	params_free(p);
	params_free(NULL);
}

static void test_objects(void **state)
{
	struct params *p = parse("id_list");

	assert_string_equal(params_str(p, "path", 0), "/l");
	assert_int_equal(params_u64(p, "queues"), 3);
	params_free(p);
	p = parse("path=id_path,queues=id_empty,tag=id_empty");
	assert_string_equal(params_str(p, "path", 0), "/with,comma");
	/* An empty object stands for nothing at all. */
	assert_int_equal(params_u64(p, "queues"), 1);
	assert_false(params_given(p, "queues"));
	assert_int_equal(params_count(p, "tag"), 0);
	params_free(p);
}

static void test_fd(void **state)
{
	int kept = fcntl(STDERR_FILENO, F_DUPFD, 50), ours = fcntl(kept, F_DUPFD_CLOEXEC, 50);
	struct params *p = NULL;
	char text[64];
	struct error err;

	snprintf(text, sizeof(text), "/a,fd=%d", kept);
	p = parse(text);
	assert_int_equal(params_u64(p, "fd"), kept);
	params_free(p);
	snprintf(text, sizeof(text), "/a,fd=%d", ours);
	assert_true(params_parse("x", text, 0, &table, NULL, NULL, &p, &err) < 0);
	close(kept);
	close(ours);
	assert_true(params_parse("x", text, 0, &table, NULL, NULL, &p, &err) < 0);
	assert_non_null(strstr(err.text, "is not an open, inherited descriptor"));
}

static void test_errors(void **state)
{
	static const char *const cases[][2] = {
		{ "", "key 'path' is missing for blk/file" },
		{ "path=", "key 'path', column 11: empty path" },
		{ "path=id_empty", "key 'path', column 11: empty path" },
		{ "/a,raedonly=on",
		  "unknown key 'raedonly' for blk/file, at column 9; did you mean 'readonly'?" },
		{ "/a,bogus=on",
		  "unknown key 'bogus' for blk/file, at column 9; it knows path, readonly, ro, "
		  "queues, size, api, mac, fd, tag, id" },
		{ "/a,path=/b", "key 'path' is given twice, again at column 9" },
		{ "/a,readonly=on,ro=on", "key 'readonly' is given twice, again at column 21" },
		{ "/a,/b", "'/b' at column 9 has no key, and 'path' is given already" },
		{ "/a,readonly", "key 'readonly' at column 9 has no value; write readonly=VALUE" },
		{ "readonly", "key 'readonly' at column 6 has no value; write readonly=VALUE" },
		{ "/a,readonly=1",
		  "key 'readonly', column 18: '1' is none of on, off, true, false" },
		{ "/a,queues=0", "key 'queues', column 16: 0 is below the minimum, 1" },
		{ "/a,queues=17", "key 'queues', column 16: 17 is above the maximum, 16" },
		{ "/a,size=511", "key 'size', column 14: 511 is below the minimum, 512" },
		{ "/a,api=mio", "key 'api', column 13: 'mio' is none of: threads io_uring none" },
		{ "/a,api=", "key 'api', column 13: '' is none of: threads io_uring none" },
		{ "/a,api=threadsx",
		  "key 'api', column 13: 'threadsx' is none of: threads io_uring none" },
		{ "/a,api=thread",
		  "key 'api', column 13: 'thread' is none of: threads io_uring none" },
		{ "/a,mac=1", "key 'mac', column 13: '1' is not a MAC address, as in "
			      "52:54:00:12:34:56" },
		{ "/a,fd=-1", "key 'fd', column 12: '-1' is not a number (decimal, 0x, 0o or 0b, "
			      "and perhaps one of the suffixes k, m, g, t)" },
		{ "/a,fd=99999999999",
		  "key 'fd', column 12: 99999999999 is not an open, inherited descriptor" },
		{ "/a,,", "empty element at column 9" },
		{ "id_bad", "object 'id_bad': unknown key 'queus' for blk/file, at column 9; "
			    "did you mean 'queues'?" },
		{ "id_none", "no object 'id_none'; define it by --object, or quote the value" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct params *params = NULL;
		struct error err = { .text = "" };

		assert_true(params_parse("blk/file", cases[i][0], 5, &table, &common, objects,
					 &params, &err) < 0);
		assert_string_equal(err.text, cases[i][1]);
		assert_null(params);
	}
}

static void test_no_positional(void **state)
{
	static const struct param_table no_positional = { &rows[1], 2, sizeof(rows[0]) };
	struct params *params = NULL;
	struct error err;

	assert_true(params_parse("x/y", "queue", 0, &no_positional, NULL, NULL, &params, &err) < 0);
	assert_string_equal(err.text, "'queue' at column 1 is not of the form KEY=VALUE, for x/y; "
				      "did you mean 'queues'?");
}

/* A plugin of an older or newer ABI: rows shorter or longer than ours. */
static void test_row_sizes(void **state)
{
	struct {
		struct alcor_param row;
		uint64_t more;
	} newer[2] = {
		{ { .name = "a", .type = ALCOR_PARAM_U64, .dflt = "7" }, UINT64_MAX },
		{ { .name = "b", .type = ALCOR_PARAM_STR }, UINT64_MAX },
	};
	const struct param_table wide = { &newer[0].row, 2, sizeof(newer[0]) };
	const struct param_table narrow = { rows, 1, offsetof(struct alcor_param, flags) };
	struct params *p = NULL;
	struct alcor_param row;
	struct error err;

	assert_int_equal(params_parse("x", "b=1", 0, &wide, NULL, NULL, &p, &err), 0);
	assert_int_equal(params_u64(p, "a"), 7);
	assert_string_equal(params_str(p, "b", 0), "1");
	params_free(p);
	param_table_row(&narrow, 0, &row);
	assert_string_equal(row.name, "path");
	assert_int_equal(row.flags, 0);
}

static void test_malformed_tables(void **state)
{
	static const struct alcor_param bad[] = {
		{ .type = ALCOR_PARAM_STR },
		{ .name = "a" },
		{ .name = "a", .type = 99 },
		{ .name = "a", .type = ALCOR_PARAM_ENUM },
		{ .name = "a", .type = ALCOR_PARAM_U64, .dflt = "many" },
		{ .name = "a", .type = ALCOR_PARAM_U64, .dflt = "5", .max = 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct param_table one = { &bad[i], 1, sizeof(bad[0]) };
		struct params *params = NULL;
		struct error err = { .text = "" };

		assert_true(params_parse("x", "", 0, &one, NULL, NULL, &params, &err) < 0);
		assert_true(*err.text != '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_and_defaults),
		cmocka_unit_test(test_enum_default),
		cmocka_unit_test(test_alias),
		cmocka_unit_test(test_wrong_questions),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_fd),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_no_positional),
		cmocka_unit_test(test_row_sizes),
		cmocka_unit_test(test_malformed_tables),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
