/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "cpu.h"
#include "power.h"
#include "pvh.h"
#include "uart.h"

static char only[64];
static uint64_t from, seen, reported;
static bool qemu;

static bool glob(const char *pattern, const char *s)
{
	for (; *pattern; pattern++, s++) {
		if (*pattern == '*') {
			for (; *s; s++)
				if (glob(pattern + 1, s))
					return true;
			return glob(pattern + 1, s);
		}
		if (!*s || (*pattern != '?' && *pattern != *s))
			return false;
	}
	return !*s;
}

static const char *word_value(const char *word, const char *key)
{
	for (; *key; key++, word++)
		if (*word != *key)
			return NULL;
	return *word == '=' ? word + 1 : *word == ' ' || !*word ? word : NULL;
}

bool arg_value(const char *key, char *ret_value, uint32_t size)
{
	const char *line = pvh_cmdline(), *value;
	uint32_t n = 0;

	while (*line) {
		while (*line == ' ')
			line++;
		value = word_value(line, key);
		if (value) {
			for (; *value && *value != ' ' && n + 1 < size; value++)
				ret_value[n++] = *value;
			ret_value[n] = '\0';
			return true;
		}
		while (*line && *line != ' ')
			line++;
	}
	return false;
}

bool arg_is(const char *key, const char *value)
{
	char got[64];

	return arg_value(key, got, sizeof(got)) && !strcmp(got, value);
}

uint64_t arg_number(const char *key, uint64_t otherwise)
{
	char text[24];
	uint64_t v = 0;
	unsigned int i = 0, base = 10;

	if (!arg_value(key, text, sizeof(text)))
		return otherwise;
	if (text[0] == '0' && text[1] == 'x') {
		base = 16;
		i = 2;
	}
	for (; text[i]; i++)
		v = v * base + (text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
	return v;
}

bool arg_qemu(void)
{
	return qemu;
}

void test_init(void)
{
	uart_init();
	qemu = arg_is("vmm", "qemu");
	from = arg_number("from", 0);
	if (!arg_value("only", only, sizeof(only)))
		memcpy(only, "*", 2);
}

static const char *run_guarded(const struct test_case *c)
{
	static struct fault_context ctx;
	static struct fault fault;
	const char *reason;

	if (fault_guard(&ctx))
		return fail("exception %u, error 0x%lx, at 0x%lx, address 0x%lx", fault.vector,
			    fault.error, fault.rip, fault.cr2);
	fault_arm(&ctx, &fault);
	reason = c->run(c->arg);
	fault_disarm();
	return reason;
}

void test_run(const struct test_case *c)
{
	const char *reason;

	if (!glob(only, c->name) || seen++ < from)
		return;
	print("run %s\n", c->name);
	reason = run_guarded(c);
	if (reason)
		print("not ok %s: %s\n", c->name, reason);
	else
		print("ok %s\n", c->name);
	reported++;
}

void test_run_all(const struct test_case *c, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		test_run(&c[i]);
}

void test_mark(const char *name)
{
	print("mark %s\n", name);
	uart_get(2000);
}

_Noreturn void guest_exit(enum guest_exit how)
{
	if (qemu)
		outb(0xf4, how == EXIT_DONE ? 0x10 : 0x11);
	else if (how == EXIT_DONE)
		power_off();
	/* A broken guest neither powers off nor goes on: the runner's time limit ends it. */
	for (;;)
		cpu_pause();
}

_Noreturn void test_done(void)
{
	print("done %lu\n", reported);
	guest_exit(EXIT_DONE);
}
