/* SPDX-License-Identifier: Apache-2.0 */
/* The command `plugin`, which runs no code of a plugin. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "util/cleanup.h"
#include "util/overflow.h"

static const struct option options[] = {
	{ "--plugin-dir", .arg = "DIR", .repeat = true, .group = "Options",
	  .help = "directory of plugins, instead of the usual one" },
	{ "--help", .short_name = 'h', .group = "Options", .help = "this text" },
};

const struct option_table *plugin_options(void)
{
	static const struct option_table table = { "alcor plugin", options, ARRAY_SIZE(options) };

	return &table;
}

int plugin_dirs_of(const struct option_list *list, const char ***ret_dirs)
{
	const char **dirs;
	size_t n = 0;

	*ret_dirs = NULL;
	if (!option_list_find(list, "--plugin-dir"))
		return 0;
	dirs = calloc(list->n + 1, sizeof(*dirs));
	if (!dirs)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->uses[i].option->name, "--plugin-dir"))
			dirs[n++] = list->uses[i].value;
	*ret_dirs = dirs;
	return 0;
}

void help_plugin(FILE *out)
{
	fputs("Usage: alcor plugin list [OPTION]...\n\n"
	      "Lists the plugins there are, one a line: name, version, state, what they claim, and\n"
	      "the file; for an unusable one also the reason. No code of a plugin is run.\n",
	      out);
	help_options(out, plugin_options());
}

static void print_claims(const struct plugin *plugin)
{
	for (unsigned i = 0; i < plugin->n_claims; i++) {
		if (i)
			putchar(',');
		cli_put(stdout, plugin->claims[i].dev_class);
		putchar('/');
		cli_put(stdout, plugin->claims[i].keyword);
	}
	if (!plugin->n_claims)
		putchar('-');
}

static void print_plugin(const struct plugin *plugin)
{
	bool usable = plugin->state != PLUGIN_UNUSABLE;

	cli_put(stdout, plugin->name);
	putchar(' ');
	cli_put(stdout, plugin->version ? plugin->version : "-");
	fputs(usable ? " usable " : " unusable ", stdout);
	print_claims(plugin);
	putchar(' ');
	cli_put(stdout, plugin->path);
	if (!usable) {
		fputs(": ", stdout);
		cli_put(stdout, plugin->reason ? plugin->reason : "out of memory");
	}
	putchar('\n');
}

static int list_plugins(const struct option_list *list)
{
	CLEANUP_FREE const char **dirs = NULL;
	struct registry *registry;
	struct error err;
	int r;

	if (plugin_dirs_of(list, &dirs) < 0) {
		error_errno(&err, -ENOMEM, "plugins");
		return cli_error(CLI_ERROR, &err);
	}
	r = registry_scan((const char *const *)dirs, &registry, &err);
	if (r < 0)
		return cli_error(CLI_ERROR, &err);
	for (unsigned i = 0; i < registry_n(registry); i++)
		print_plugin(registry_at(registry, i));
	registry_free(registry);
	return cli_finish(CLI_OK);
}

static int run_sub_command(char **argv)
{
	struct option_list list = { 0 };
	struct error err;
	int status;

	if (options_parse(plugin_options(), argv, &list, NULL, &err) < 0)
		return cli_error(CLI_USAGE, &err);
	if (option_list_find(&list, "--help")) {
		help_plugin(stdout);
		status = cli_finish(CLI_OK);
	} else {
		status = list_plugins(&list);
	}
	option_list_clear(&list);
	return status;
}

int cmd_plugin(char **argv)
{
	struct error err;

	if (*argv && !strcmp(*argv, "list"))
		return run_sub_command(argv + 1);
	if (*argv && (!strcmp(*argv, "--help") || !strcmp(*argv, "-h"))) {
		help_plugin(stdout);
		return cli_finish(CLI_OK);
	}
	if (*argv)
		error_set(&err, -EINVAL, "unknown command 'plugin %s'; there is 'plugin list'",
			  *argv);
	else
		error_set(&err, -EINVAL, "no command behind 'plugin'; there is 'plugin list'");
	return cli_error(CLI_USAGE, &err);
}
