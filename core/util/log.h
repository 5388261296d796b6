/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines on standard error: "alcor: message". Any thread. What a guest can trigger goes through
 * a `struct log_limit`, so that a hostile guest cannot fill a log.
 */
#ifndef ALCOR_CORE_UTIL_LOG_H
#define ALCOR_CORE_UTIL_LOG_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Highest level that is printed; LOG_WARN until set. Called once, before threads start. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_msg(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_msg(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_msg(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_DEBUG, __VA_ARGS__)

/* Lets ten messages pass, then ten in each ten seconds. Zero-initialised. */
struct log_limit {
	_Atomic uint64_t window_start_ns;
	_Atomic uint32_t in_window;
};

/* Non-zero when the caller may log. */
int log_allowed(struct log_limit *limit);

#define log_limited(limit, level, ...)                 \
	do {                                           \
		if (log_allowed(limit))                \
			log_msg((level), __VA_ARGS__); \
	} while (0)

#endif
