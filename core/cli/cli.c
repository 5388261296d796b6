/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/boot.h"
#include "config/suggest.h"
#include "util/log.h"
#include "util/overflow.h"

static const struct command commands[] = {
	{ "boot", "run", "boot a virtual machine", cmd_boot, help_boot },
	{ "plugin", NULL, "tell which plugins there are", cmd_plugin, help_plugin },
	{ "help", NULL, "explain a command or a device", cmd_help, help_help },
};

static const struct option program_options[] = {
	{ "--log-level", .alias = "--log-spec", .short_name = 'l', .arg = "error|warn|info|debug",
	  .group = "Options", .help = "what is reported on standard error (default warn)" },
	{ "--help", .short_name = 'h', .group = "Options", .help = "this text" },
	{ "--version", .short_name = 'V', .group = "Options", .help = "the program's version" },
};
static const struct option_table program_table = { "alcor", program_options,
						   ARRAY_SIZE(program_options) };

const struct command *cli_find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name) ||
		    (commands[i].alias && !strcmp(commands[i].alias, name)))
			return &commands[i];
	return NULL;
}

void help_program(FILE *out)
{
	fputs("Usage: alcor [OPTION]... COMMAND [ARGUMENT]...\n\n"
	      "A virtual machine monitor for Linux/KVM whose devices are plugins.\n\n"
	      "Commands:\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
	help_options(out, &program_table);
}

static bool is_control(unsigned char c)
{
	return c < ' ' || c == 0x7f;
}

void cli_put(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc(is_control(*text) ? '?' : *text, out);
}

int cli_error(int status, const struct error *err)
{
	struct error line = *err;

	for (char *p = line.text; *p; p++)
		if (is_control(*p))
			*p = '?';
	log_error("%s", line.text);
	return status;
}

int cli_finish(int status)
{
	struct error err;

	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	error_errno(&err, -errno, "standard output");
	return cli_error(CLI_ERROR, &err);
}

int cli_set_log_level(const char *word, struct error *err)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (strcmp(levels[i], word))
			continue;
		log_set_level((enum log_level)i);
		return 0;
	}
	return error_set(err, -EINVAL, "'%s' is none of: error warn info debug", word);
}

/* The environment first, so that options win. */
static int set_log_level(const struct option_list *options, struct error *err)
{
	const struct option_use *use = option_list_find(options, "--log-level");
	const char *env = getenv("ALCOR_LOG");
	int r = 0;

	if (env && *env) {
		r = cli_set_log_level(env, err);
		if (r < 0)
			error_prefix(err, "environment variable ALCOR_LOG");
	}
	if (r == 0 && use) {
		r = cli_set_log_level(use->value, err);
		if (r < 0)
			error_prefix(err, "--log-level %s", use->value);
	}
	return r;
}

static int unknown_command(const char *word)
{
	const char *words[2 * ARRAY_SIZE(commands)];
	char nearest[128];
	struct error err;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		words[n++] = commands[i].name;
		if (commands[i].alias)
			words[n++] = commands[i].alias;
	}
	suggest(word, words, n, nearest, sizeof(nearest));
	error_set(&err, -EINVAL, "unknown command '%s'%s", word,
		  *nearest ? nearest : "; see 'alcor --help'");
	return cli_error(CLI_USAGE, &err);
}

static int run_command(const struct option_list *options, char **argv)
{
	const struct command *command;

	if (option_list_find(options, "--help")) {
		help_program(stdout);
		return cli_finish(CLI_OK);
	}
	if (option_list_find(options, "--version")) {
		puts("alcor " ALCOR_VERSION);
		return cli_finish(CLI_OK);
	}
	if (!*argv) {
		help_program(stderr);
		return CLI_USAGE;
	}
	command = cli_find_command(*argv);
	return command ? command->run(argv + 1) : unknown_command(*argv);
}

int cli_main(char **argv)
{
	struct option_list options = { 0 };
	struct error err = { .text = "" };
	char **rest = NULL;
	int r, status;

	/* A program may be started without even its name. */
	r = options_parse(&program_table, *argv ? argv + 1 : argv, &options, &rest, &err);
	if (r == 0)
		r = set_log_level(&options, &err);
	status = r < 0 ? cli_error(CLI_USAGE, &err) : run_command(&options, rest);
	option_list_clear(&options);
	return status;
}
