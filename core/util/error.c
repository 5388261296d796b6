/* SPDX-License-Identifier: Apache-2.0 */
#include "util/error.h"

#include <stdio.h>
#include <string.h>

int error_vset(struct error *err, int err_no, const char *fmt, va_list ap)
{
	int n;

	if (!err)
		return err_no;
	n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
	if (n >= (int)sizeof(err->text))
		strcpy(err->text + sizeof(err->text) - 4, "...");
	return err_no;
}

int error_set(struct error *err, int err_no, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error_vset(err, err_no, fmt, ap);
	va_end(ap);
	return err_no;
}

int error_errno(struct error *err, int err_no, const char *fmt, ...)
{
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return error_set(err, err_no, "%s: %s", what, strerror(-err_no));
}

void error_prefix(struct error *err, const char *fmt, ...)
{
	char prefix[512];
	struct error old;
	va_list ap;

	if (!err)
		return;
	old = *err;
	va_start(ap, fmt);
	vsnprintf(prefix, sizeof(prefix), fmt, ap);
	va_end(ap);
	error_set(err, 0, "%s: %s", prefix, old.text);
}
