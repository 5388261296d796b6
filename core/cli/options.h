/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command-line options as tables: one row drives parsing, help and completion.
 *
 * Accepted are `--name VALUE`, `--name=VALUE`, `-n VALUE`, `-nVALUE`, `-n=VALUE` and, for flags,
 * `--name` and `-n`. Names are never abbreviated. A word that is itself an option is no value; it
 * can be given behind `=`.
 */
#ifndef ALCOR_CORE_CLI_OPTIONS_H
#define ALCOR_CORE_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

struct option;
struct device_option;

/* Makes an option's value take effect. */
typedef int option_apply_fn(void *opaque, const struct option *option, const char *value,
			    struct error *err);

struct option {
	const char *name;	/* with its dashes, as all names here */
	const char *alias;	/* second long name, or NULL */
	char short_name;	/* 0: none */
	bool repeat;		/* may be given more than once */
	bool value_optional;	/* the next word is the value unless it begins with '-' */
	const char *arg;	/* what help calls the value; NULL: a flag */
	const char *group;	/* heading in help, rows of a group follow each other */
	const char *help;	/* one line */
	const char *deprecated; /* what is to be written instead, or NULL */
	option_apply_fn *apply;
	size_t offset;			    /* of the member that @apply sets */
	const struct device_option *device; /* what it adds to the machine, or NULL */
};

struct option_table {
	const char *command; /* for messages: "alcor boot" */
	const struct option *options;
	size_t n;
};

struct option_use {
	const struct option *option;
	const char *value; /* NULL: none; points into argv */
};

struct option_list {
	struct option_use *uses; /* in the order given */
	size_t n;
};

/*
 * Parses @argv (NULL-terminated, program name and command already taken off). Words that are no
 * options are an error, unless @ret_rest is given: then parsing stops there and *@ret_rest is the
 * first of them.
 */
int options_parse(const struct option_table *table, char **argv, struct option_list *ret_list,
		  char ***ret_rest, struct error *err);
void option_list_clear(struct option_list *list);

/* The first use of the option @name, or NULL. */
const struct option_use *option_list_find(const struct option_list *list, const char *name);

#endif
