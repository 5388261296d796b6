/* SPDX-License-Identifier: Apache-2.0 */
/* The escape key of the terminal, its prompt, and raw mode on a pseudo terminal. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <cmocka.h>

#include "vm/terminal.h"

struct record {
	int quits, downs, resets, breaks, lists;
	char got[256], set[256]; /* arguments, in brackets */
	char printed[2048];
};

static void on_quit(void *opaque)
{
	((struct record *)opaque)->quits++;
}

static void on_down(void *opaque)
{
	((struct record *)opaque)->downs++;
}

static void on_reset(void *opaque)
{
	((struct record *)opaque)->resets++;
}

static void on_break(void *opaque)
{
	((struct record *)opaque)->breaks++;
}

static void on_list(void *opaque)
{
	((struct record *)opaque)->lists++;
}

static void on_get(void *opaque, const char *name)
{
	struct record *r = opaque;

	snprintf(r->got, sizeof(r->got), "[%s]", name);
}

static void on_set(void *opaque, const char *name, const char *value)
{
	struct record *r = opaque;

	snprintf(r->set, sizeof(r->set), "[%s][%s]", name, value);
}

static void on_print(void *opaque, const char *text)
{
	struct record *r = opaque;

	strncat(r->printed, text, sizeof(r->printed) - strlen(r->printed) - 1);
}

static const struct escape_ops ops = {
	.quit = on_quit,
	.power_down = on_down,
	.reset = on_reset,
	.send_break = on_break,
	.list = on_list,
	.get = on_get,
	.set = on_set,
	.print = on_print,
};

/* Feeds @text, and checks what is left for the guest. */
static void feed(struct escape *e, const char *text, const char *left)
{
	uint8_t data[256];
	size_t n = strlen(text);

	memcpy(data, text, n);
	n = escape_filter(e, data, n);
	data[n] = '\0';
	assert_string_equal((char *)data, left);
}

static void test_plain_input_passes(void **state)
{
	struct record r = { 0 };
	struct escape e = { .ops = &ops, .opaque = &r };

	(void)state;
	feed(&e, "hello\r\n\x03", "hello\r\n\x03");
}

static void test_keys_after_ctrl_a(void **state)
{
	struct record r = { 0 };
	struct escape e = { .ops = &ops, .opaque = &r };

	(void)state;
	feed(&e,
	     "a\x01"
	     "b"
	     "c",
	     "ac");
	assert_int_equal(r.breaks, 1);
	feed(&e, "\x01\x01", "\x01");
	feed(&e, "\x01", "");
	feed(&e, "x", ""); /* the sequence may come in two reads */
	assert_int_equal(r.quits, 1);
	feed(&e, "\x01h", "");
	assert_non_null(strstr(r.printed, "Ctrl-A x"));
	feed(&e, "\x01zy", "y"); /* an unknown key does nothing */
	feed(&e, "x", "x");	 /* and the next one is plain */
	assert_int_equal(r.quits, 1);
}

static void test_prompt_takes_commands(void **state)
{
	struct record r = { 0 };
	struct escape e = { .ops = &ops, .opaque = &r };

	(void)state;
	feed(&e,
	     "\x01"
	     "cpowerdown\rresett\x7f\rquit\r",
	     "");
	assert_int_equal(r.downs, 1);
	assert_int_equal(r.resets, 1);
	assert_int_equal(r.quits, 1);
	feed(&e, "nonsense\r", "");
	assert_non_null(strstr(r.printed, "no such command"));
	feed(&e,
	     "\x01"
	     "cquit\r",
	     "quit\r"); /* back: the guest gets it */
	assert_int_equal(r.quits, 1);
}

static void test_prompt_takes_arguments(void **state)
{
	struct record r = { 0 };
	struct escape e = { .ops = &ops, .opaque = &r };

	(void)state;
	feed(&e,
	     "\x01"
	     "c list \rget  balloon0.target \rset balloon0.target  256M\r",
	     "");
	assert_int_equal(r.lists, 1);
	assert_string_equal(r.got, "[balloon0.target]");
	assert_string_equal(r.set, "[balloon0.target][256M]");
	feed(&e, "set a.b  two  words \r", "");
	assert_string_equal(r.set, "[a.b][two  words]");
	assert_null(strstr(r.printed, "usage"));
	assert_null(strstr(r.printed, "no such"));
}

static void test_prompt_refuses_wrong_arguments(void **state)
{
	static const struct {
		const char *line, *says;
	} cases[] = {
		{ "get\r", "usage: get ID.NAME\n" },
		{ "get a.b c\r", "usage: get ID.NAME\n" },
		{ "set\r", "usage: set ID.NAME VALUE\n" },
		{ "set a.b\r", "usage: set ID.NAME VALUE\n" },
		{ "set a.b \r", "usage: set ID.NAME VALUE\n" },
		{ "quit now\r", "no such command" },
		{ "list all\r", "no such command" },
		{ "gets a.b\r", "no such command" },
		{ "help\r", "set ID.NAME VALUE  change" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct record r = { 0 };
		struct escape e = { .ops = &ops, .opaque = &r, .monitor = true };

		feed(&e, cases[i].line, "");
		if (!strstr(r.printed, cases[i].says))
			fail_msg("'%s' says '%s'", cases[i].line, r.printed);
		assert_int_equal(r.quits + r.lists, 0);
		assert_string_equal(r.got, "");
		assert_string_equal(r.set, "");
	}
	/* Blanks alone are nothing. */
	struct record r = { 0 };
	struct escape e = { .ops = &ops, .opaque = &r, .monitor = true };

	feed(&e, "   \r \r\r", "");
	assert_null(strstr(r.printed, "no such"));
}

static void test_prompt_line_is_bounded(void **state)
{
	struct record r = { 0 };
	struct escape e = { .ops = &ops, .opaque = &r };
	char line[201];

	(void)state;
	memset(line, 'q', 200);
	line[200] = '\0';
	feed(&e,
	     "\x01"
	     "c",
	     "");
	feed(&e, line, "");
	feed(&e, line, "");
	assert_true(e.line_len < sizeof(e.line));
	feed(&e, "\r", "");
	assert_int_equal(r.quits, 0);
}

/* In a child with a terminal of its own: raw while it runs, as before after a fatal signal. */
static void child_on_terminal(const char *name, int fatal)
{
	int fd;

	setsid();
	fd = open(name, O_RDWR);
	if (fd < 0 || !terminal_make_raw(fd))
		_exit(3);
	if (fatal)
		abort();
	terminal_restore();
	_exit(0);
}

static void check_restored(int fatal)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), keeper, status;
	struct termios before, after;
	char name[64];
	pid_t pid;

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	assert_int_equal(ptsname_r(master, name, sizeof(name)), 0);
	keeper = open(name, O_RDWR | O_NOCTTY);
	assert_true(keeper >= 0);
	assert_int_equal(tcgetattr(keeper, &before), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		child_on_terminal(name, fatal);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (fatal)
		assert_true(WIFSIGNALED(status));
	else
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(tcgetattr(keeper, &after), 0);
	assert_int_equal(before.c_lflag, after.c_lflag);
	assert_int_equal(before.c_iflag, after.c_iflag);
	assert_int_equal(before.c_oflag, after.c_oflag);
	close(keeper);
	close(master);
}

static void test_terminal_is_restored(void **state)
{
	(void)state;
	check_restored(0);
}

static void test_terminal_is_restored_by_a_crash(void **state)
{
	(void)state;
	check_restored(1);
}

static void test_no_terminal_is_no_error(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_false(terminal_make_raw(fds[0]));
	terminal_restore();
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_input_passes),
		cmocka_unit_test(test_keys_after_ctrl_a),
		cmocka_unit_test(test_prompt_takes_commands),
		cmocka_unit_test(test_prompt_takes_arguments),
		cmocka_unit_test(test_prompt_refuses_wrong_arguments),
		cmocka_unit_test(test_prompt_line_is_bounded),
		cmocka_unit_test(test_terminal_is_restored),
		cmocka_unit_test(test_terminal_is_restored_by_a_crash),
		cmocka_unit_test(test_no_terminal_is_no_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
