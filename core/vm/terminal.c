/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "util/overflow.h"

#define ESCAPE_KEY 0x01 /* Ctrl-A */

/* The one place with state of the process: a signal handler has nothing else to find it by. */
static struct termios saved;
static volatile sig_atomic_t saved_fd = -1;

static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT };
static struct sigaction old_actions[ARRAY_SIZE(fatal_signals)];

void terminal_restore(void)
{
	int fd = saved_fd;

	if (fd < 0)
		return;
	saved_fd = -1;
	tcsetattr(fd, TCSADRAIN, &saved);
	for (unsigned i = 0; i < ARRAY_SIZE(fatal_signals); i++)
		sigaction(fatal_signals[i], &old_actions[i], NULL);
}

/* tcsetattr() and sigaction() may be called here. With the old action back in place the signal
 * takes its course when it is raised again. */
static void on_fatal_signal(int sig)
{
	int fd = saved_fd;

	if (fd >= 0)
		tcsetattr(fd, TCSANOW, &saved);
	for (unsigned i = 0; i < ARRAY_SIZE(fatal_signals); i++)
		if (fatal_signals[i] == sig)
			sigaction(sig, &old_actions[i], NULL);
	raise(sig);
}

static void catch_fatal_signals(void)
{
	struct sigaction sa = { .sa_handler = on_fatal_signal };

	sigemptyset(&sa.sa_mask);
	for (unsigned i = 0; i < ARRAY_SIZE(fatal_signals); i++)
		sigaction(fatal_signals[i], &sa, &old_actions[i]);
}

bool terminal_make_raw(int fd)
{
	struct termios raw;

	if (!isatty(fd) || tcgetpgrp(fd) != getpgrp() || tcgetattr(fd, &raw) < 0)
		return false;
	if (saved_fd < 0) {
		saved = raw;
		saved_fd = fd;
		catch_fatal_signals();
	}
	cfmakeraw(&raw);
	/* Messages of alcor's own end in a bare line feed. */
	raw.c_oflag |= OPOST;
	return tcsetattr(fd, TCSADRAIN, &raw) == 0;
}

static void prompt(struct escape *e)
{
	e->line_len = 0;
	e->ops->print(e->opaque, "(alcor) ");
}

static void toggle_monitor(struct escape *e)
{
	e->monitor = !e->monitor;
	if (e->monitor)
		e->ops->print(e->opaque, "\nalcor prompt: help, or Ctrl-A c to go back\n");
	else
		e->ops->print(e->opaque, "\n");
	if (e->monitor)
		prompt(e);
}

/* Cuts the first word off *@line; "" when there is none. */
static char *next_word(char **line)
{
	char *word = *line + strspn(*line, " "), *end = word + strcspn(word, " ");

	*line = end + strspn(end, " ");
	*end = '\0';
	return word;
}

static void help(struct escape *e)
{
	e->ops->print(e->opaque, "list               show the properties of devices\n"
				 "get ID.NAME        show a property\n"
				 "set ID.NAME VALUE  change a property\n"
				 "powerdown          press the power button\n"
				 "reset              reset the machine\n"
				 "quit               end the VM at once\n");
}

/* Commands with arguments; false when @word is none of them. */
static bool run_property_command(struct escape *e, const char *word, char *rest)
{
	char *name;

	if (!strcmp(word, "get")) {
		name = next_word(&rest);
		if (*name && !*rest)
			e->ops->get(e->opaque, name);
		else
			e->ops->print(e->opaque, "usage: get ID.NAME\n");
	} else if (!strcmp(word, "set")) {
		name = next_word(&rest);
		if (*name && *rest)
			e->ops->set(e->opaque, name, rest);
		else
			e->ops->print(e->opaque, "usage: set ID.NAME VALUE\n");
	} else {
		return false;
	}
	return true;
}

/* Commands of one word; false when @word is none of them. */
static bool run_plain_command(struct escape *e, const char *word)
{
	if (!strcmp(word, "quit"))
		e->ops->quit(e->opaque);
	else if (!strcmp(word, "powerdown"))
		e->ops->power_down(e->opaque);
	else if (!strcmp(word, "reset"))
		e->ops->reset(e->opaque);
	else if (!strcmp(word, "list"))
		e->ops->list(e->opaque);
	else if (!strcmp(word, "help"))
		help(e);
	else
		return false;
	return true;
}

static void run_command(struct escape *e)
{
	char *rest = e->line, *word;

	while (e->line_len && e->line[e->line_len - 1] == ' ')
		e->line_len--;
	e->line[e->line_len] = '\0';
	e->ops->print(e->opaque, "\n");
	word = next_word(&rest);
	if (*word && !run_property_command(e, word, rest) && (*rest || !run_plain_command(e, word)))
		e->ops->print(e->opaque, "no such command; try help\n");
	prompt(e);
}

static void monitor_key(struct escape *e, uint8_t c)
{
	char echo[2] = { (char)c, '\0' };

	if (c == '\r' || c == '\n') {
		run_command(e);
	} else if (c == 0x7f || c == '\b') {
		if (!e->line_len)
			return;
		e->line_len--;
		e->ops->print(e->opaque, "\b \b");
	} else if (c >= ' ' && c < 0x7f && e->line_len < sizeof(e->line) - 1) {
		e->line[e->line_len++] = (char)c;
		e->ops->print(e->opaque, echo);
	}
}

/* The key after Ctrl-A. True when it is to reach the guest. */
static bool escape_key(struct escape *e, uint8_t c)
{
	switch (c) {
	case ESCAPE_KEY:
		return true;
	case 'x':
		e->ops->quit(e->opaque);
		break;
	case 'c':
		toggle_monitor(e);
		break;
	case 'b':
		e->ops->send_break(e->opaque);
		break;
	case 'h':
	case '?':
		e->ops->print(e->opaque, "\nCtrl-A h  this help\n"
					 "Ctrl-A x  end the VM\n"
					 "Ctrl-A c  prompt of alcor and back\n"
					 "Ctrl-A b  send a break\n"
					 "Ctrl-A Ctrl-A  send Ctrl-A\n");
		break;
	default:
		break;
	}
	return false;
}

size_t escape_filter(struct escape *e, uint8_t *data, size_t len)
{
	size_t left = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = data[i];

		if (e->pending) {
			e->pending = false;
			if (!escape_key(e, c))
				continue;
		} else if (c == ESCAPE_KEY) {
			e->pending = true;
			continue;
		}
		if (e->monitor)
			monitor_key(e, c);
		else
			data[left++] = c;
	}
	return left;
}
