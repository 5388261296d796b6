/* SPDX-License-Identifier: Apache-2.0 */
#include "util/log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_WINDOW_NS 10000000000ull
#define LIMIT_MESSAGES	10

/* A setting of the process: the log has no object to hang from. */
static _Atomic int log_level = LOG_WARN;

void log_set_level(enum log_level level)
{
	log_level = level;
}

enum log_level log_get_level(void)
{
	return (enum log_level)log_level;
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	char line[1280];
	va_list ap;
	int n, m;

	if ((int)level > log_level)
		return;
	n = snprintf(line, sizeof(line), "alcor: ");
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	n += m;
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	/* One write a line keeps the lines of several threads whole; a lost log line is no error. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

int log_allowed(struct log_limit *limit)
{
	struct timespec ts;
	uint64_t now, start;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
	start = atomic_load_explicit(&limit->window_start_ns, memory_order_relaxed);
	if (now - start > LIMIT_WINDOW_NS) {
		atomic_store_explicit(&limit->window_start_ns, now, memory_order_relaxed);
		atomic_store_explicit(&limit->in_window, 0, memory_order_relaxed);
	}
	return atomic_fetch_add_explicit(&limit->in_window, 1, memory_order_relaxed) <
	       LIMIT_MESSAGES;
}
