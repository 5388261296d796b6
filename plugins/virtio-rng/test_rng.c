/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "alcor_testing.h"

static struct alcor_fake *fake;

static int open_device(const char *params)
{
	int ret;

	fake = alcor_fake_new(PLUGIN_PATH, "entropy/urandom");
	ret = alcor_fake_create(fake, params);
	if (!ret)
		ret = alcor_fake_realize(fake);
	return ret ? ret : alcor_fake_activate(fake, 0);
}

static struct alcor_fake_request *ask(void *buf, size_t len)
{
	struct iovec in = { buf, len };
	struct alcor_fake_request *req = alcor_fake_submit(fake, 0, NULL, 0, &in, len ? 1 : 0);

	alcor_fake_notify(fake, 0);
	return req;
}

static void test_default_source(void **state)
{
	uint8_t a[64] = { 0 }, b[64] = { 0 };
	struct alcor_fake_request *first, *second;

	assert_int_equal(open_device(""), 0);
	assert_int_equal(fake->virtio_desc.device_id, 4);
	assert_int_equal(fake->virtio_desc.n_queues, 1);
	first = ask(a, sizeof(a));
	second = ask(b, sizeof(b));
	assert_true(alcor_fake_wait(fake, &second->done));
	assert_true(first->done);
	assert_int_equal(first->written, 64);
	assert_int_equal(second->written, 64);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_int_equal(fake->n_flushes, 1);
	alcor_fake_free(fake);
}

static void test_large_request_is_bounded(void **state)
{
	size_t len = 1 << 20;
	uint8_t *buf = calloc(1, len);
	struct iovec in[] = { { buf, 3 }, { buf + 3, 100000 }, { buf + 100003, len - 100003 } };
	struct alcor_fake_request *req;

	assert_int_equal(open_device(""), 0);
	req = alcor_fake_submit(fake, 0, NULL, 0, in, 3);
	alcor_fake_notify(fake, 0);
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(req->written, 65536);
	for (size_t i = 65536; i < len; i++)
		assert_int_equal(buf[i], 0);
	alcor_fake_free(fake);
	free(buf);
}

static void test_odd_requests(void **state)
{
	uint8_t buf[8];
	struct iovec empty[] = { { buf, 0 }, { buf, 0 } };
	struct iovec readable = { buf, 8 };
	struct alcor_fake_request *none, *zero, *good;

	assert_int_equal(open_device(""), 0);
	none = alcor_fake_submit(fake, 0, &readable, 1, NULL, 0);
	zero = alcor_fake_submit(fake, 0, NULL, 0, empty, 2);
	good = ask(buf, sizeof(buf));
	assert_true(alcor_fake_wait(fake, &good->done));
	assert_true(none->done && zero->done);
	assert_int_equal(none->written, 0);
	assert_int_equal(zero->written, 0);
	assert_int_equal(good->written, 8);
	alcor_fake_free(fake);
}

static void test_slow_source_is_waited_for(void **state)
{
	char a[8] = "", b[8] = "";
	struct alcor_fake_request *first, *second;
	int fd;

	unlink("rng-fifo");
	assert_int_equal(mkfifo("rng-fifo", 0600), 0);
	assert_int_equal(open_device("rng-fifo"), 0);
	first = ask(a, 8);
	second = ask(b, 8);
	alcor_fake_turn(fake, 0);
	alcor_fake_turn(fake, 0);
	assert_false(first->pushed);
	fd = open("rng-fifo", O_WRONLY);
	assert_int_equal(write(fd, "abc", 3), 3);
	assert_true(alcor_fake_wait(fake, &first->done));
	assert_int_equal(first->written, 3);
	assert_memory_equal(a, "abc", 4);
	assert_false(second->pushed);
	/* The end of a writer is not the end of the pipe. */
	close(fd);
	for (int i = 0; i < 5; i++)
		alcor_fake_turn(fake, 1);
	assert_false(second->pushed);
	assert_int_equal(fake->n_logs, 0);
	fd = open("rng-fifo", O_WRONLY);
	assert_int_equal(write(fd, "xyz", 3), 3);
	assert_true(alcor_fake_wait(fake, &second->done));
	assert_memory_equal(b, "xyz", 4);
	close(fd);
	alcor_fake_free(fake);
	unlink("rng-fifo");
}

static void test_stop_pause_and_resume(void **state)
{
	char a[8] = "", b[8] = "", c[8] = "";
	struct alcor_fake_request *dropped, *req, *late;
	int fd;

	unlink("rng-fifo");
	assert_int_equal(mkfifo("rng-fifo", 0600), 0);
	assert_int_equal(open_device("rng-fifo"), 0);
	fd = open("rng-fifo", O_WRONLY);
	dropped = ask(a, 8);
	alcor_fake_turn(fake, 0);
	alcor_fake_deactivate(fake);
	assert_true(dropped->dropped);
	assert_int_equal(write(fd, "abcd", 4), 4);
	for (int i = 0; i < 5; i++)
		alcor_fake_turn(fake, 1);
	assert_memory_equal(a, "\0\0\0\0", 4);

	assert_int_equal(alcor_fake_activate(fake, 0), 0);
	req = ask(b, 8);
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_memory_equal(b, "abcd", 5);
	req = ask(b, 8);
	late = ask(c, 8);
	for (int i = 0; i < 5; i++)
		alcor_fake_turn(fake, 1);
	assert_int_equal(alcor_fake_pause(fake), 0);
	assert_int_equal(write(fd, "efgh", 4), 4);
	for (int i = 0; i < 5; i++)
		alcor_fake_turn(fake, 1);
	assert_false(req->pushed);
	assert_int_equal(alcor_fake_resume(fake), 0);
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_memory_equal(b, "efgh", 5);
	assert_int_equal(write(fd, "ijkl", 4), 4);
	assert_true(alcor_fake_wait(fake, &late->done));
	assert_memory_equal(c, "ijkl", 5);
	close(fd);
	alcor_fake_free(fake);
	unlink("rng-fifo");
}

static void test_end_of_file(void **state)
{
	char path[] = "rng-file-XXXXXX", buf[8] = "";
	struct alcor_fake_request *first, *second;
	int fd = mkstemp(path);

	assert_int_equal(write(fd, "12345", 5), 5);
	assert_int_equal(open_device(path), 0);
	first = ask(buf, 8);
	second = ask(buf, 8);
	assert_true(alcor_fake_wait(fake, &first->done));
	assert_int_equal(first->written, 5);
	assert_memory_equal(buf, "12345", 5);
	for (int i = 0; i < 5; i++)
		alcor_fake_turn(fake, 1);
	assert_false(second->pushed);
	assert_int_equal(fake->n_logs, 1);
	assert_non_null(strstr(fake->log, "end of file"));
	alcor_fake_deactivate(fake);
	assert_int_equal(alcor_fake_activate(fake, 0), 0);
	ask(buf, 8);
	alcor_fake_turn(fake, 1);
	assert_int_equal(fake->n_logs, 1);
	alcor_fake_free(fake);
	close(fd);
	unlink(path);
}

static void test_errors(void **state)
{
	struct sockaddr_un addr = { AF_UNIX, "rng-socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(open_device("/nonexistent"), -ENOENT);
	assert_string_equal(fake->error, "open: No such file or directory");
	alcor_fake_free(fake);
	assert_int_equal(open_device("/"), -EINVAL);
	alcor_fake_free(fake);
	unlink(addr.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(open_device(addr.sun_path), -ENXIO);
	alcor_fake_free(fake);
	unlink(addr.sun_path);
	close(fd);
}

static void test_manual(void **state)
{
	assert_int_equal(open_device(""), 0);
	assert_true(alcor_fake_manual_complete(fake->plugin, MANUAL_PATH));
	alcor_fake_free(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_source),
		cmocka_unit_test(test_large_request_is_bounded),
		cmocka_unit_test(test_odd_requests),
		cmocka_unit_test(test_slow_source_is_waited_for),
		cmocka_unit_test(test_stop_pause_and_resume),
		cmocka_unit_test(test_end_of_file),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
