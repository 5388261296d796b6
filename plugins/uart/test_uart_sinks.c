/* SPDX-License-Identifier: Apache-2.0 */
/* The serial port on sinks that users attach to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "alcor_testing.h"

#define LINK "uart-link"
#define SOCK "uart-socket"
#define DATA 0
#define LSR  5
#define THRE 0x20
#define DR   0x01

static struct alcor_fake *fake;

static uint8_t in(unsigned reg)
{
	return (uint8_t)alcor_fake_read(&fake->pio, 0x3f8 + reg, 1);
}

static void out(unsigned reg, uint8_t value)
{
	alcor_fake_write(&fake->pio, 0x3f8 + reg, 1, value);
}

static int user_open(void)
{
	int fd = open(LINK, O_RDWR | O_NOCTTY | O_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

static int user_connect(void)
{
	struct sockaddr_un addr = { AF_UNIX, SOCK };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static const struct kind {
	const char *claim, *params;
	int (*attach)(void);
} pty = { "console/pty", LINK, user_open }, sock = { "console/socket", SOCK, user_connect };

static int setup(void **state)
{
	const struct kind *kind = *state;

	unlink(LINK);
	unlink(SOCK);
	fake = alcor_fake_new(PLUGIN_PATH, kind->claim);
	assert_int_equal(alcor_fake_create(fake, kind->params), 0);
	assert_int_equal(alcor_fake_realize(fake), 0);
	return 0;
}

static int teardown(void **state)
{
	alcor_fake_free(fake);
	assert_int_equal(access(LINK, F_OK), -1);
	assert_int_equal(access(SOCK, F_OK), -1);
	return 0;
}

static void settle(void)
{
	for (int i = 0; i < 50; i++)
		alcor_fake_turn(fake, 0);
}

/* A driver that looks at THRE before each byte; false when it waited in vain. */
static bool print(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		for (int n = 0; !(in(LSR)&THRE); n++) {
			if (n == 20)
				return false;
			alcor_fake_turn(fake, 0);
		}
		out(DATA, (uint8_t)text[i]);
	}
	return true;
}

static size_t user_read(int fd, char *ret_buf, size_t len)
{
	size_t done = 0;

	for (int i = 0; i < 2000 && done < len; i++) {
		ssize_t n = read(fd, ret_buf + done, len - done);

		if (n > 0)
			done += (size_t)n;
		else
			alcor_fake_turn(fake, 5);
	}
	return done;
}

static void assert_guest_reads(const char *text)
{
	for (; *text; text++) {
		for (int i = 0; i < 1000 && !(in(LSR)&DR); i++)
			alcor_fake_turn(fake, 10);
		assert_int_equal(in(DATA), *text);
	}
}

static void test_round_trips(void **state)
{
	const struct kind *kind = *state;

	for (int i = 0; i < 3; i++) {
		char buf[16] = "";
		int fd = kind->attach();

		assert_int_equal(write(fd, "a long command\r", 15), 15);
		assert_guest_reads("a long command\r");
		assert_true(print("out\nput", 7));
		assert_int_equal(user_read(fd, buf, 7), 7);
		assert_string_equal(buf, "out\nput");
		close(fd);
		settle();
		assert_true(print("nobody is here\n", 15));
		assert_int_equal(in(LSR)&DR, 0);
	}
}

static void test_slow_reader(void **state)
{
	const struct kind *kind = *state;
	static char all[400000], got[400000];
	int fd = kind->attach();
	size_t sent = 0, done = 0;

	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)(i % 251);
	settle();
	while (sent < sizeof(all) && print(all + sent, 1))
		sent++;
	assert_true(sent < sizeof(all)); /* the transmitter stands still */
	while (done < sizeof(all)) {
		size_t n = sent - done < 999 ? sent - done : 999;

		assert_int_equal(user_read(fd, got + done, n), n);
		done += n;
		while (sent < sizeof(all) && print(all + sent, 1))
			sent++;
	}
	assert_int_equal(done, sizeof(all));
	assert_memory_equal(got, all, sizeof(all));
	close(fd);
}

static void test_reader_who_never_reads_leaves(void **state)
{
	const struct kind *kind = *state;
	static char all[400000];
	int fd = kind->attach();

	settle();
	assert_false(print(all, sizeof(all)));
	close(fd);
	settle();
	assert_true(print(all, sizeof(all)));
}

struct reader {
	int fd;
	size_t len;
	char text[400000];
};

static void *reader_thread(void *opaque)
{
	struct reader *reader = opaque;
	struct pollfd pfd = { .fd = reader->fd, .events = POLLIN };
	ssize_t n;

	do {
		poll(&pfd, 1, 10000);
		n = read(reader->fd, reader->text + reader->len,
			 sizeof(reader->text) - reader->len);
		reader->len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	return NULL;
}

/* What is queued when the VM ends still arrives. */
static void test_last_words(void **state)
{
	const struct kind *kind = *state;
	static struct reader reader;
	pthread_t thread;
	size_t sent = 0;

	reader.fd = kind->attach();
	reader.len = 0;
	settle();
	while (sent < sizeof(reader.text) - 5 && print("x", 1))
		sent++;
	assert_int_equal(pthread_create(&thread, NULL, reader_thread, &reader), 0);
	for (const char *at = "panic"; *at; at++) {
		while (!print(at, 1))
			alcor_fake_turn(fake, 1);
	}
	alcor_fake_destroy(fake);
	pthread_join(thread, NULL);
	assert_true(reader.len > 60000);
	assert_memory_equal(reader.text + reader.len - 5, "panic", 5);
	close(reader.fd);
}

static void test_end_with_a_reader_who_never_reads(void **state)
{
	const struct kind *kind = *state;
	static char all[400000];
	int fd = kind->attach();

	settle();
	assert_false(print(all, sizeof(all)));
	alcor_fake_destroy(fake);
	close(fd);
}

#define TEST(f, kind)                                             \
	{                                                         \
#f "/" #kind, f, setup, teardown, (void *)&(kind) \
	}
#define BOTH(f) TEST(f, pty), TEST(f, sock)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_round_trips),
		BOTH(test_slow_reader),
		BOTH(test_reader_who_never_reads_leaves),
		BOTH(test_last_words),
		BOTH(test_end_with_a_reader_who_never_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
