/* SPDX-License-Identifier: Apache-2.0 */
/* One console without further ports; parameters. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "test_fixture.h"

static int setup(void **state)
{
	open_device("hvc/stdio", "", 0);
	return 0;
}

static int teardown(void **state)
{
	close_device();
	return 0;
}

static void test_description(void **state)
{
	assert_int_equal(fake->virtio_desc.device_id, 3);
	assert_int_equal(fake->virtio_desc.n_queues, 2);
	assert_int_equal(fake->virtio_desc.features, 0);
	assert_int_equal(fake->virtio_desc.config_size, 12);
	assert_int_equal(fake->config[4], 1);
	assert_null(fake->virtio_desc.ops->config_write);
}

static void test_output(void **state)
{
	struct alcor_fake_request *a = print(TX, "Hello, "), *b = print(TX, "world\n");

	assert_true(alcor_fake_wait(fake, &b->done));
	assert_true(a->done);
	assert_int_equal(a->written, 0);
	assert_string_equal(fake->output, "Hello, world\n");
	assert_int_equal(fake->n_flushes, 1);
}

static void test_empty_and_wrong_output(void **state)
{
	char byte;
	struct iovec in = { &byte, 1 };
	struct alcor_fake_request *none = alcor_fake_submit(fake, TX, NULL, 0, NULL, 0);
	struct alcor_fake_request *writable = alcor_fake_submit(fake, TX, NULL, 0, &in, 1);
	struct alcor_fake_request *zero = submit(TX, "", 0), *good = print(TX, "x");

	assert_true(alcor_fake_wait(fake, &good->done));
	assert_true(none->done && writable->done && zero->done);
	assert_int_equal(writable->written, 0);
	assert_string_equal(fake->output, "x");
}

static void test_full_sink_holds_output(void **state)
{
	struct alcor_fake_request *a, *b;

	alcor_fake_output_room(fake, 3);
	a = print(TX, "abcdefgh");
	b = print(TX, "ijkl");
	settle();
	assert_false(a->pushed || b->pushed || b->taken);
	assert_string_equal(fake->output, "abc");
	alcor_fake_output_room(fake, 4);
	assert_string_equal(fake->output, "abcdefg");
	assert_false(a->pushed);
	alcor_fake_output_room(fake, 2);
	assert_true(a->done);
	assert_false(b->pushed);
	alcor_fake_output_room(fake, 100);
	assert_true(b->done);
	assert_string_equal(fake->output, "abcdefghijkl");
}

static void test_held_output_is_dropped_by_reset(void **state)
{
	struct alcor_fake_request *req;

	alcor_fake_output_room(fake, 1);
	req = print(TX, "abc");
	settle();
	alcor_fake_deactivate(fake);
	assert_true(req->dropped);
	alcor_fake_output_room(fake, 100);
	assert_string_equal(fake->output, "a");
	assert_int_equal(alcor_fake_activate(fake, 0), 0);
	req = print(TX, "xyz");
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_string_equal(fake->output, "axyz");
}

static void test_queue_reset_alone(void **state)
{
	struct alcor_fake_request *held, *rx;
	char *buf;

	alcor_fake_output_room(fake, 0);
	held = print(TX, "abc");
	rx = give(RX, 16, &buf);
	settle();
	alcor_fake_queue_stop(fake, TX);
	assert_true(held->dropped);
	assert_int_equal(alcor_fake_input(fake, "in", 2), 2);
	assert_true(rx->done);
	held = print(TX, "def");
	settle();
	alcor_fake_queue_stop(fake, RX);
	assert_false(held->dropped);
	alcor_fake_output_room(fake, 10);
	assert_true(held->done);
	assert_string_equal(fake->output, "def");
}

static void test_endless_output_is_served_in_turns(void **state)
{
	struct alcor_fake_request *req[200];

	for (int i = 0; i < 200; i++)
		req[i] = print(TX, "x");
	alcor_fake_turn(fake, 0);
	assert_true(req[0]->done);
	assert_false(req[199]->taken);
	assert_true(alcor_fake_wait(fake, &req[199]->done));
	assert_int_equal(fake->output_len, 200);
}

static void test_input(void **state)
{
	char *a, *b;
	struct alcor_fake_request *first = give(RX, 4, &a), *second = give(RX, 16, &b);

	settle();
	assert_int_equal(alcor_fake_input(fake, "abcdef", 6), 6);
	assert_true(first->done && second->done);
	assert_int_equal(first->written, 4);
	assert_int_equal(second->written, 2);
	assert_memory_equal(a, "abcd", 4);
	assert_memory_equal(b, "ef\0", 3);
	assert_int_equal(fake->n_input_ready, 0);
}

static void test_input_waits_for_buffers(void **state)
{
	struct alcor_fake_request *req;
	char *buf;

	assert_int_equal(alcor_fake_input(fake, "abc", 3), 0);
	settle();
	assert_int_equal(fake->n_input_ready, 0);
	req = give(RX, 2, &buf);
	settle();
	assert_int_equal(fake->n_input_ready, 1);
	assert_int_equal(alcor_fake_input(fake, "abc", 3), 2);
	assert_true(req->done);
	assert_memory_equal(buf, "ab", 2);
	give(RX, 2, &buf);
	settle();
	assert_int_equal(fake->n_input_ready, 2);
	assert_int_equal(alcor_fake_input(fake, "c", 1), 1);
	give(RX, 2, NULL);
	settle();
	assert_int_equal(fake->n_input_ready, 2);
}

static void test_input_buffers_without_room(void **state)
{
	struct alcor_fake_request *req[300], *good, *none;
	char *buf;

	none = alcor_fake_submit(fake, RX, NULL, 0, NULL, 0);
	for (int i = 0; i < 300; i++)
		req[i] = give(RX, 0, NULL);
	settle();
	assert_int_equal(alcor_fake_input(fake, "a", 1), 0);
	assert_true(none->done && req[0]->done);
	assert_int_equal(req[0]->written, 0);
	assert_false(req[299]->taken);
	good = give(RX, 8, &buf);
	for (int i = 0; i < 10 && !good->done; i++) {
		settle();
		alcor_fake_input(fake, "a", 1);
	}
	assert_true(good->done);
	assert_memory_equal(buf, "a", 2);
}

static void test_input_before_and_after_the_driver(void **state)
{
	struct alcor_fake_request *req;
	char *buf;

	alcor_fake_deactivate(fake);
	assert_int_equal(alcor_fake_input(fake, "abc", 3), 0);
	assert_int_equal(fake->n_input_ready, 0);
	req = give(RX, 8, &buf);
	assert_int_equal(alcor_fake_activate(fake, 0), 0);
	assert_int_equal(fake->n_input_ready, 1);
	assert_int_equal(alcor_fake_input(fake, "abc", 3), 3);
	assert_true(req->done);
}

static void test_pause(void **state)
{
	struct alcor_fake_request *in = give(RX, 8, NULL), *out;

	settle();
	assert_int_equal(alcor_fake_pause(fake), 0);
	out = print(TX, "later");
	settle();
	assert_false(out->pushed);
	assert_int_equal(alcor_fake_input(fake, "abc", 3), 0);
	assert_int_equal(alcor_fake_resume(fake), 0);
	assert_true(alcor_fake_wait(fake, &out->done));
	settle();
	assert_int_equal(fake->n_input_ready, 1);
	assert_int_equal(alcor_fake_input(fake, "abc", 3), 3);
	assert_true(in->done);
}

static void test_break_is_ignored(void **state)
{
	alcor_fake_break(fake);
	assert_int_equal(fake->output_len, 0);
}

static void test_manual(void **state)
{
	assert_true(alcor_fake_manual_complete(fake->plugin, MANUAL_PATH));
}

static void test_null(void **state)
{
	struct alcor_fake_request *req;

	open_device("hvc/null", "", 0);
	req = print(TX, "nothing");
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_false(fake->console.open);
	close_device();
}

static void test_file(void **state)
{
	char path[] = "hvc-file-XXXXXX", params[64], text[32] = "";
	int fd = mkstemp(path);
	struct alcor_fake_request *req;

	assert_int_equal(write(fd, "old ", 4), 4);
	snprintf(params, sizeof(params), "%s,append=on", path);
	open_device("hvc/file", params, 0);
	req = print(TX, "new");
	assert_true(alcor_fake_wait(fake, &req->done));
	close_device();
	assert_int_equal(pread(fd, text, sizeof(text), 0), 7);
	assert_string_equal(text, "old new");
	close(fd);
	unlink(path);
}

static void test_wrong_parameters(void **state)
{
	static const struct {
		const char *claim, *params;
		int error;
		const char *text;
	} cases[] = {
		{ "hvc/file", "", -EINVAL, "path: missing" },
		{ "hvc/socket", "", -EINVAL, "path: missing" },
		{ "hvc/file", "/nonexistent/f", -ENOENT, "open: No such file or directory" },
		{ "hvc/pty", "/nonexistent/l", -ENOENT, "link: No such file or directory" },
		{ "hvc/pty", "/", -EEXIST, "link: File exists" },
		{ "hvc/socket", "/", -EEXIST, "socket: File exists" },
		{ "hvc/socket", "/nonexistent/s", -ENOENT, "socket: No such file or directory" },
		{ "hvc/null", "port=x", -EINVAL, "port: 'x' is not of the form NAME:SINK" },
		{ "hvc/null", "port=:null", -EINVAL, "port: a name has 1 to 63" },
		{ "hvc/null", "port=.x:null", -EINVAL, "port: a name has 1 to 63" },
		{ "hvc/null", "port=a/b:null", -EINVAL, "port: a name has 1 to 63" },
		{ "hvc/null", "port=x:nul", -EINVAL, "port x: no sink 'nul'" },
		{ "hvc/null", "port=x:", -EINVAL, "port x: no sink ''" },
		{ "hvc/null", "port=x:null:y", -EINVAL, "port x: null has no path" },
		{ "hvc/null", "port=x:file", -EINVAL, "port x: file needs a path" },
		{ "hvc/null", "port=x:socket:", -EINVAL, "port x: socket needs a path" },
		{ "hvc/null", "port=x:file:/", -EISDIR, "port x: open: Is a directory" },
		{ "hvc/null", "port=x:null,port=x:pty", -EEXIST, "port x: the name is taken" },
		{ "hvc/null", "console=foo", -EINVAL, "console: no sink 'foo'" },
		{ "hvc/stdio", "console=stdio", -EBUSY, "console: another device has the" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(create_device(cases[i].claim, cases[i].params), cases[i].error);
		if (strncmp(fake->error, cases[i].text, strlen(cases[i].text)) != 0)
			fail_msg("%s: %s", cases[i].params, fake->error);
		close_device();
	}
}

static void test_long_names_and_paths(void **state)
{
	char params[256];

	snprintf(params, sizeof(params), "port=%063d:null", 1);
	assert_int_equal(create_device("hvc/null", params), 0);
	close_device();
	snprintf(params, sizeof(params), "port=%064d:null", 1);
	assert_int_equal(create_device("hvc/null", params), -EINVAL);
	close_device();
	snprintf(params, sizeof(params), "path=%0108d", 1);
	assert_int_equal(create_device("hvc/socket", params), -ENAMETOOLONG);
	close_device();
}

static void test_number_of_ports(void **state)
{
	char params[1024] = "console=null";
	size_t len = strlen(params);

	for (int i = 2; i <= 30; i++)
		len += (size_t)sprintf(params + len, ",port=p%d:null", i);
	assert_int_equal(create_device("hvc/null", params), 0);
	assert_int_equal(fake->virtio_desc.n_queues, 64);
	assert_int_equal(fake->virtio_desc.features, MULTIPORT);
	assert_int_equal(fake->config[4], 31);
	close_device();
	strcpy(params + len, ",port=p31:null");
	assert_int_equal(create_device("hvc/null", params), -EINVAL);
	assert_string_equal(fake->error, "port p31: there are at most 30 further ports");
	close_device();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_description),
		TEST(test_output),
		TEST(test_empty_and_wrong_output),
		TEST(test_full_sink_holds_output),
		TEST(test_held_output_is_dropped_by_reset),
		TEST(test_queue_reset_alone),
		TEST(test_endless_output_is_served_in_turns),
		TEST(test_input),
		TEST(test_input_waits_for_buffers),
		TEST(test_input_buffers_without_room),
		TEST(test_input_before_and_after_the_driver),
		TEST(test_pause),
		TEST(test_break_is_ignored),
		TEST(test_manual),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_wrong_parameters),
		cmocka_unit_test(test_long_names_and_paths),
		cmocka_unit_test(test_number_of_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
