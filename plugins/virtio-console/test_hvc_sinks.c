/* SPDX-License-Identifier: Apache-2.0 */
/* Pseudo-terminals and sockets: users who come, go, do not read, and send too much. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "test_fixture.h"

#define LINK "hvc-link"
#define SOCK "hvc-socket"

/* --- the user --- */

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

static void user_write(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Reads until @len bytes are there; fewer after ten seconds. */
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

#define assert_user_reads(fd, text)                                                  \
	do {                                                                         \
		char buf_[64] = "";                                                  \
		assert_int_equal(user_read((fd), buf_, strlen(text)), strlen(text)); \
		assert_string_equal(buf_, (text));                                   \
		assert_true(read((fd), buf_, sizeof(buf_)) < 0);                     \
	} while (0)

static void assert_guest_reads(const char *text)
{
	char *buf;
	struct alcor_fake_request *req = give(RX, 64, &buf);

	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(req->written, strlen(text));
	assert_string_equal(buf, text);
}

static void assert_guest_prints(const char *text)
{
	struct alcor_fake_request *req = print(TX, text);

	assert_true(alcor_fake_wait(fake, &req->done));
}

/* The loop sleeps when there is nothing to do. */
static void assert_no_spin(void)
{
	struct timespec start, now;
	unsigned n = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		alcor_fake_turn(fake, 50);
		n++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 <
		 400);
	assert_true(n < 40);
}

/* --- both --- */

static const struct kind {
	const char *claim, *params;
	int (*attach)(void);
} pty = { "hvc/pty", "link=" LINK, user_open }, sock = { "hvc/socket", SOCK, user_connect };

static int setup(void **state)
{
	const struct kind *kind = *state;

	unlink(LINK);
	unlink(SOCK);
	open_device(kind->claim, kind->params, 0);
	return 0;
}

static int teardown(void **state)
{
	close_device();
	return 0;
}

static void test_round_trip(void **state)
{
	const struct kind *kind = *state;
	int fd = kind->attach();

	user_write(fd, "root\r\003");
	assert_guest_reads("root\r\003");
	assert_guest_prints("login:\n \tx\004");
	assert_user_reads(fd, "login:\n \tx\004");
	close(fd);
}

static void test_nobody_attached(void **state)
{
	char big[1000];
	struct alcor_fake_request *last = NULL;

	memset(big, 'x', sizeof(big));
	for (int i = 0; i < 1000; i++)
		last = submit(TX, big, sizeof(big));
	assert_true(alcor_fake_wait(fake, &last->done));
	assert_no_spin();
}

static void test_leave_and_return(void **state)
{
	const struct kind *kind = *state;

	for (int i = 0; i < 3; i++) {
		int fd = kind->attach();

		user_write(fd, "hello");
		assert_guest_reads("hello");
		assert_guest_prints("seen");
		assert_user_reads(fd, "seen");
		close(fd);
		assert_no_spin();
		assert_guest_prints("lost");
		settle();
	}
}

/* Output that comes together with the user finds him. */
static void test_attach_and_output_at_once(void **state)
{
	const struct kind *kind = *state;
	int fd = kind->attach();

	if (kind == &sock)
		settle();
	assert_guest_prints("now");
	assert_user_reads(fd, "now");
	close(fd);
}

static void test_slow_reader_loses_nothing(void **state)
{
	const struct kind *kind = *state;
	enum { N = 1500, LEN = 512 };
	struct alcor_fake_request *reqs[N];
	static char all[N * LEN], got[N * LEN];
	int fd = kind->attach();
	unsigned pushed = 0;
	size_t done = 0;

	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)(i * 7 + i / 256);
	settle();
	for (int i = 0; i < N; i++)
		reqs[i] = submit(TX, all + i * LEN, LEN);
	for (int i = 0; i < 10; i++)
		settle();
	for (int i = 0; i < N; i++)
		pushed += reqs[i]->pushed;
	/* Bounded: 64 KiB of our own, and what the kernel keeps. */
	assert_true(pushed < N);
	assert_no_spin();
	while (done < sizeof(all)) {
		size_t n = user_read(fd, got + done,
				     done + 1000 < sizeof(all) ? 1000 : sizeof(all) - done);

		assert_true(n > 0);
		done += n;
	}
	assert_memory_equal(got, all, sizeof(all));
	assert_true(alcor_fake_wait(fake, &reqs[N - 1]->done));
	close(fd);
}

static void test_reader_who_never_reads_leaves(void **state)
{
	const struct kind *kind = *state;
	struct alcor_fake_request *last = NULL;
	char big[1000];
	int fd = kind->attach();

	memset(big, 'x', sizeof(big));
	settle();
	for (int i = 0; i < 1000; i++)
		last = submit(TX, big, sizeof(big));
	for (int i = 0; i < 10; i++)
		settle();
	assert_false(last->pushed);
	close(fd);
	assert_true(alcor_fake_wait(fake, &last->done));
	assert_guest_prints("on");
}

static void test_reset_with_a_full_sink(void **state)
{
	const struct kind *kind = *state;
	struct alcor_fake_request *last = NULL;
	static char drain[1 << 20];
	char big[1000];
	int fd = kind->attach();

	memset(big, 'x', sizeof(big));
	settle();
	for (int i = 0; i < 1000; i++)
		last = submit(TX, big, sizeof(big));
	for (int i = 0; i < 10; i++)
		settle();
	alcor_fake_deactivate(fake);
	assert_true(last->dropped);
	for (int i = 0; i < 100; i++) {
		settle();
		if (read(fd, drain, sizeof(drain)) < 0 && i > 50)
			break;
	}
	assert_int_equal(alcor_fake_activate(fake, 0), 0);
	assert_guest_prints("after");
	assert_user_reads(fd, "after");
	close(fd);
}

static void test_input_waits_for_the_guest(void **state)
{
	const struct kind *kind = *state;
	static char all[20000], *buf;
	int fd = kind->attach();
	size_t sent = 0, got = 0;

	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)('a' + i % 23);
	for (int i = 0; i < 4000 && got < sizeof(all); i++) {
		struct alcor_fake_request *req;
		ssize_t n = write(fd, all + sent, sizeof(all) - sent);

		sent += n > 0 ? (size_t)n : 0;
		settle();
		req = give(RX, 100, &buf);
		assert_true(alcor_fake_wait(fake, &req->done));
		assert_memory_equal(buf, all + got, req->written);
		got += req->written;
	}
	assert_int_equal(got, sizeof(all));
	user_write(fd, "more");
	assert_no_spin();
	close(fd);
}

/* Who sends and leaves at once, like echo(1) with a redirection, is heard. */
static void test_short_visit(void **state)
{
	const struct kind *kind = *state;
	int fd = kind->attach();

	user_write(fd, "ping");
	close(fd);
	assert_guest_reads("ping");
	assert_no_spin();
	fd = kind->attach();
	user_write(fd, "again");
	assert_guest_reads("again");
	close(fd);
}

/* --- pty --- */

static void test_pty_name_is_told(void **state)
{
	int fd;

	unlink(LINK);
	assert_int_equal(create_device("hvc/pty", ""), 0);
	assert_int_equal(fake->n_logs, 1);
	assert_int_equal(fake->log_level, ALCOR_LOG_WARN);
	assert_non_null(strstr(fake->log, "pseudo-terminal is /dev/pts/"));
	fd = open(strstr(fake->log, "/dev/pts/"), O_RDWR | O_NOCTTY);
	assert_true(fd >= 0);
	close(fd);
	close_device();
	assert_int_equal(create_device("hvc/pty", LINK), 0);
	assert_int_equal(fake->log_level, ALCOR_LOG_INFO);
	close_device();
}

static void test_pty_link(void **state)
{
	struct stat st;
	int fd;

	/* One that an earlier run left is replaced, and removed at the end. */
	unlink(LINK);
	assert_int_equal(symlink("/dev/pts/nonexistent", LINK), 0);
	assert_int_equal(create_device("hvc/pty", LINK), 0);
	assert_int_equal(stat(LINK, &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	close_device();
	assert_int_equal(lstat(LINK, &st), -1);
	/* Anything else stays. */
	assert_int_equal(symlink("/dev/null", LINK), 0);
	assert_int_equal(create_device("hvc/pty", LINK), -EEXIST);
	close_device();
	unlink(LINK);
	assert_int_equal(create_device("hvc/pty", LINK), 0);
	unlink(LINK);
	fd = open(LINK, O_CREAT | O_WRONLY, 0600);
	close(fd);
	close_device();
	assert_int_equal(lstat(LINK, &st), 0);
	unlink(LINK);
}

/* --- socket --- */

static void test_socket_one_client_at_a_time(void **state)
{
	int first = user_connect(), second;

	settle();
	second = user_connect();
	user_write(second, "second");
	user_write(first, "first");
	assert_guest_reads("first");
	assert_guest_prints("one");
	assert_user_reads(first, "one");
	close(first);
	assert_guest_reads("second");
	assert_guest_prints("two");
	assert_user_reads(second, "two");
	close(second);
}

static void test_socket_half_closed(void **state)
{
	int fd = user_connect();

	user_write(fd, "bye");
	shutdown(fd, SHUT_WR);
	assert_guest_reads("bye");
	assert_no_spin();
	assert_guest_prints("still here");
	assert_user_reads(fd, "still here");
	close(fd);
	settle();
	fd = user_connect();
	user_write(fd, "next");
	assert_guest_reads("next");
	close(fd);
}

/* More than is buffered here, from a client that is gone before the guest reads. */
static void test_socket_input_outlives_the_client(void **state)
{
	int fd = user_connect(), next;
	static char text[30000];
	size_t got = 0;
	char *buf;

	memset(text, 'z', sizeof(text));
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	settle();
	close(fd);
	assert_no_spin();
	while (got < sizeof(text)) {
		struct alcor_fake_request *req = give(RX, 1000, &buf);

		assert_true(alcor_fake_wait(fake, &req->done));
		got += req->written;
	}
	/* And one that nobody in the guest wants to hear does not keep others away. */
	fd = user_connect();
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	settle();
	close(fd);
	settle();
	next = user_connect();
	settle();
	assert_guest_prints("hello");
	assert_user_reads(next, "hello");
	close(next);
}

static void test_socket_file(void **state)
{
	struct sockaddr_un addr = { AF_UNIX, SOCK };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct stat st;

	unlink(SOCK);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(create_device("hvc/socket", SOCK), -EEXIST);
	close_device();
	/* Nobody listens any more: it is replaced. */
	close(fd);
	assert_int_equal(create_device("hvc/socket", SOCK), 0);
	close(user_connect());
	close_device();
	assert_int_equal(lstat(SOCK, &st), -1);
	assert_int_equal(create_device("hvc/socket", SOCK), 0);
	unlink(SOCK);
	fd = open(SOCK, O_CREAT | O_WRONLY, 0600);
	close(fd);
	close_device();
	assert_int_equal(lstat(SOCK, &st), 0);
	unlink(SOCK);
}

static void test_port_tells_who_is_there(void **state)
{
	int fd;

	unlink(SOCK);
	unlink(LINK);
	open_device("hvc/null", "console=pty:" LINK ",port=a:socket:" SOCK ",port=b:pty",
		    MULTIPORT);
	control_give(30, 64);
	control(1, PORT_READY, 1);
	control(2, PORT_READY, 1);
	assert_string_equal(control_text(), "1:console 1:open 2:name=a");
	fd = user_connect();
	assert_string_equal(control_text(), "2:open");
	close(fd);
	assert_string_equal(control_text(), "2:open-no");
	fd = user_connect();
	assert_string_equal(control_text(), "2:open");
	control(2, PORT_READY, 1);
	assert_string_equal(control_text(), "2:name=a 2:open");
	close(fd);
	assert_string_equal(control_text(), "2:open-no");
	/* The host's end of a console is always open. */
	fd = user_open();
	print(5, "x");
	assert_user_reads(fd, "x");
	assert_string_equal(control_text(), "");
	close(fd);
	close_device();
}

static void test_port_to_a_file(void **state)
{
	char text[16] = "";
	struct alcor_fake_request *a, *b;
	int fd;

	open_device("hvc/null", "port=a:file:hvc-a,port=b:file:hvc-b", MULTIPORT);
	a = print(5, "to a");
	b = print(7, "to b");
	assert_true(alcor_fake_wait(fake, &b->done));
	assert_true(a->done);
	close_device();
	fd = open("hvc-a", O_RDONLY);
	assert_int_equal(read(fd, text, sizeof(text)), 4);
	assert_string_equal(text, "to a");
	close(fd);
	fd = open("hvc-b", O_RDONLY);
	assert_int_equal(read(fd, text, sizeof(text)), 4);
	assert_string_equal(text, "to b");
	close(fd);
	unlink("hvc-a");
	unlink("hvc-b");
}

#define TEST(f, kind)                                             \
	{                                                         \
#f "/" #kind, f, setup, teardown, (void *)&(kind) \
	}
#define BOTH(f) TEST(f, pty), TEST(f, sock)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_round_trip),
		BOTH(test_nobody_attached),
		BOTH(test_leave_and_return),
		BOTH(test_attach_and_output_at_once),
		BOTH(test_slow_reader_loses_nothing),
		BOTH(test_reader_who_never_reads_leaves),
		BOTH(test_reset_with_a_full_sink),
		BOTH(test_input_waits_for_the_guest),
		BOTH(test_short_visit),
		TEST(test_socket_one_client_at_a_time, sock),
		TEST(test_socket_half_closed, sock),
		TEST(test_socket_input_outlives_the_client, sock),
		cmocka_unit_test(test_pty_name_is_told),
		cmocka_unit_test(test_pty_link),
		cmocka_unit_test(test_socket_file),
		cmocka_unit_test(test_port_tells_who_is_there),
		cmocka_unit_test(test_port_to_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
