/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>

#include "cpu.h"
#include "test.h"
#include "uart.h"

struct sink {
	char *buf; /* NULL: the console */
	uint32_t len, size;
};

static void put(struct sink *s, char c)
{
	if (!s->buf)
		uart_put(c);
	else if (s->len + 1 < s->size)
		s->buf[s->len++] = c;
}

static void put_number(struct sink *s, uint64_t v, unsigned int base)
{
	char digits[20];
	unsigned int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (n)
		put(s, digits[--n]);
}

static void put_signed(struct sink *s, int64_t v)
{
	if (v < 0)
		put(s, '-');
	put_number(s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10);
}

/* %s %c %d %u %x %lx %lu only. */
static void format(struct sink *s, const char *fmt, va_list ap)
{
	bool wide;

	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(s, *fmt);
			continue;
		}
		fmt++;
		wide = *fmt == 'l';
		fmt += wide;
		switch (*fmt) {
		case 's':
			for (const char *t = va_arg(ap, const char *); *t; t++)
				put(s, *t);
			break;
		case 'c':
			put(s, (char)va_arg(ap, int));
			break;
		case 'd':
			put_signed(s, wide ? va_arg(ap, int64_t) : va_arg(ap, int32_t));
			break;
		case 'u':
		case 'x':
			put_number(s, wide ? va_arg(ap, uint64_t) : va_arg(ap, uint32_t),
				   *fmt == 'x' ? 16 : 10);
			break;
		}
	}
}

void print(const char *fmt, ...)
{
	struct sink s = { 0 };
	va_list ap;

	va_start(ap, fmt);
	format(&s, fmt, ap);
	va_end(ap);
}

const char *fail(const char *fmt, ...)
{
	static char buf[2][160];
	static unsigned int turn;
	/* Two buffers, so that a reason can be an argument of the next. */
	struct sink s = { .buf = buf[turn ^= 1], .size = sizeof(buf[0]) };
	va_list ap;

	va_start(ap, fmt);
	format(&s, fmt, ap);
	va_end(ap);
	s.buf[s.len] = '\0';
	return s.buf;
}
