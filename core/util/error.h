/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error text. A function that can say more than an errno takes a `struct error *` as its last
 * parameter, fills it where it fails and returns the negative errno. Callers that know the name
 * of the object put it in front. Only the top prints.
 */
#ifndef ALCOR_CORE_UTIL_ERROR_H
#define ALCOR_CORE_UTIL_ERROR_H

#include <stdarg.h>

struct error {
	char text[1024];
};

/* Replaces the text; returns @err_no (a negative errno). @err may be NULL. A text too long for
 * the buffer ends in "...". */
int error_set(struct error *err, int err_no, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int error_vset(struct error *err, int err_no, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

/* As error_set(), with ": strerror(-err_no)" behind the text. */
int error_errno(struct error *err, int err_no, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "fmt: " in front of what is there. */
void error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
