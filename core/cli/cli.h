/* SPDX-License-Identifier: Apache-2.0 */
/* The program's commands and what they share. Functions that print also report the errors. */
#ifndef ALCOR_CORE_CLI_CLI_H
#define ALCOR_CORE_CLI_CLI_H

#include <stdio.h>

#include "cli/options.h"
#include "plugin/plugin.h"

/* Exit statuses; a guest's end has those of enum vm_status. */
#define CLI_OK	  0
#define CLI_ERROR 1
#define CLI_USAGE 2

struct command {
	const char *name;
	const char *alias; /* or NULL */
	const char *help;  /* one line */
	/* @argv begins behind the command's name; returns the exit status. */
	int (*run)(char **argv);
	void (*print_help)(FILE *out);
};

/* NULL when there is none. */
const struct command *cli_find_command(const char *name);

/* All there is to main(). */
int cli_main(char **argv);

/* Prints the one line of an error; returns @status. */
int cli_error(int status, const struct error *err);
/* Flushes standard output; a failure is reported and makes @status CLI_ERROR. */
int cli_finish(int status);

/* error, warn, info or debug. */
int cli_set_log_level(const char *word, struct error *err);

/* @text without control characters: it may come from a file that is not trusted. */
void cli_put(FILE *out, const char *text);

void help_program(FILE *out);
void help_boot(FILE *out);
void help_plugin(FILE *out);
void help_help(FILE *out);
void help_options(FILE *out, const struct option_table *table);
/* @topic is a command, CLASS or CLASS/KEYWORD; NULL: the program. @plugin_dirs as for
 * registry_scan(). */
int help_topic(const char *topic, const char *const *plugin_dirs);

int cmd_help(char **argv);
int cmd_plugin(char **argv);

/* --plugin-dir and --help, which the smaller commands take; *@ret_dirs is to be freed. */
const struct option_table *plugin_options(void);
int plugin_dirs_of(const struct option_list *options, const char ***ret_dirs);

#endif
