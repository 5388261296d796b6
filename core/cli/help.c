/* SPDX-License-Identifier: Apache-2.0 */
/* The command `help`, and the texts of all others. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/boot.h"
#include "cli/cli.h"
#include "plugin/device.h"
#include "util/cleanup.h"
#include "util/overflow.h"

#define HELP_COLUMN 32

/* Pads what was printed, @n characters, to the column of explanations. */
static void pad(FILE *out, int n)
{
	if (n >= HELP_COLUMN) {
		fputc('\n', out);
		n = 0;
	}
	fprintf(out, "%*s", HELP_COLUMN - n, "");
}

static void print_option(FILE *out, const struct option *o)
{
	int n = o->short_name ? fprintf(out, "  -%c, ", o->short_name) : fprintf(out, "      ");

	n += fprintf(out, "%s", o->name);
	if (o->alias)
		n += fprintf(out, ", %s", o->alias);
	if (o->arg)
		n += fprintf(out, " %s", o->arg);
	pad(out, n);
	fprintf(out, "%s%s", o->help, o->repeat ? " (repeatable)" : "");
	if (o->deprecated)
		fprintf(out, " (deprecated)");
	fputc('\n', out);
}

void help_options(FILE *out, const struct option_table *table)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct option *o = &table->options[i];

		if (i == 0 || strcmp(o->group, o[-1].group))
			fprintf(out, "\n%s:\n", o->group);
		print_option(out, o);
	}
}

void help_boot(FILE *out)
{
	fputs("Usage: alcor boot [OPTION]...\n\n"
	      "Boots a virtual machine and serves it until it ends.\n",
	      out);
	help_options(out, boot_options());
	fputs("\nValues are KEY=VALUE lists, separated by commas; \"...\" or '...' around a VALUE keep\n"
	      "commas in it. SIZE and N take 0x, 0o, 0b and the suffixes k, m, g, t.\n"
	      "'alcor help CLASS' lists the keywords of a device option (blk, net, ...), 'alcor help\n"
	      "CLASS/KEYWORD' the parameters of one, 'alcor help memory', 'cpu' and 'hypervisor' those\n"
	      "of the machine. KEYWORD@PLUGIN says which plugin is to serve a device.\n",
	      out);
}

void help_help(FILE *out)
{
	fputs("Usage: alcor help [OPTION]... [COMMAND | CLASS | CLASS/KEYWORD | PART]\n\n"
	      "Explains a command, lists the keywords of a class of devices (blk, net, ...), or the\n"
	      "parameters of one keyword (blk/file) or part of the machine (memory, cpu, hypervisor).\n",
	      out);
	help_options(out, plugin_options());
}

/* --- devices --- */

static void type_text(const struct alcor_param *row, char *ret_text, size_t len)
{
	static const char *const names[] = {
		[ALCOR_PARAM_STR] = "TEXT",    [ALCOR_PARAM_PATH] = "PATH",
		[ALCOR_PARAM_BOOL] = "on|off", [ALCOR_PARAM_U64] = "N",
		[ALCOR_PARAM_SIZE] = "SIZE",   [ALCOR_PARAM_MAC] = "MAC",
		[ALCOR_PARAM_FD] = "FD",
	};
	const char *text = row->type < ARRAY_SIZE(names) ? names[row->type] : NULL;

	if (row->type == ALCOR_PARAM_ENUM)
		text = row->choices;
	snprintf(ret_text, len, "%s", text ? text : "?");
}

/* What else is to be known, in parentheses: "(1 to 16, default 1)". */
static void print_facts(const struct alcor_param *row)
{
	bool number = row->type == ALCOR_PARAM_U64 || row->type == ALCOR_PARAM_SIZE;
	char min[VALUE_SIZE_TEXT], max[VALUE_SIZE_TEXT];
	const char *separator = " (";

#define FACT(...) (fputs(separator, stdout), printf(__VA_ARGS__), separator = ", ")
	if (row->flags & ALCOR_PARAM_REQUIRED)
		FACT("required");
	if (number && row->max)
		FACT("%s to %s", param_bound_text(row, row->min, min),
		     param_bound_text(row, row->max, max));
	else if (number && row->min)
		FACT("at least %s", param_bound_text(row, row->min, min));
	if (row->dflt)
		FACT("default %s", row->dflt);
	if (row->flags & ALCOR_PARAM_POSITIONAL)
		FACT("'%s=' may be left out", row->name);
	if (row->alias)
		FACT("also %s=", row->alias);
	if (row->flags & ALCOR_PARAM_REPEAT)
		FACT("repeatable");
	if (row->flags & ALCOR_PARAM_DEPRECATED)
		FACT("deprecated");
#undef FACT
	fputs(*separator == ',' ? ")\n" : "\n", stdout);
}

static void print_table(const struct param_table *table)
{
	for (uint32_t i = 0; table && i < table->n; i++) {
		struct alcor_param row;
		char type[128];

		param_table_row(table, i, &row);
		type_text(&row, type, sizeof(type));
		pad(stdout, printf("  %s=%s", row.name, type));
		cli_put(stdout, row.help ? row.help : "");
		print_facts(&row);
	}
}

static void print_claim(const struct alcor_claim *claim)
{
	struct param_table table = { claim->params, claim->n_params, claim->param_size };

	printf("%s/%s: ", claim->dev_class, claim->keyword);
	cli_put(stdout, claim->summary ? claim->summary : "");
	puts("\n\nParameters:");
	print_table(&table);
	print_table(device_common_params(claim));
}

/* Options of the machine that have parameters as devices have. */
static const struct {
	const char *name;
	const struct param_table *(*table)(void);
} parts[] = {
	{ "memory", machine_memory_table },
	{ "cpu", machine_cpu_table },
	{ "hypervisor", machine_hypervisor_table },
};

static bool help_part(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (strcmp(parts[i].name, name))
			continue;
		printf("Parameters of --%s:\n", name);
		print_table(parts[i].table());
		return true;
	}
	return false;
}

/* @topic is CLASS/KEYWORD[@PLUGIN]. */
static int help_keyword(struct registry *registry, char *topic, struct error *err)
{
	char *keyword = strchr(topic, '/'), *plugin = strchr(topic, '@');
	const struct alcor_claim *claim;
	int r;

	*keyword++ = '\0';
	if (plugin)
		*plugin++ = '\0';
	r = registry_resolve(registry, topic, keyword, plugin, &claim, err);
	if (r == 0)
		print_claim(claim);
	return r;
}

static void print_keyword(struct registry *registry, const struct plugin *plugin,
			  const struct plugin_claim_note *note)
{
	const struct alcor_claim *claim;
	struct error err;
	int n = printf("  %s", note->keyword);

	pad(stdout, n);
	if (registry_resolve(registry, note->dev_class, note->keyword, plugin->name, &claim, &err))
		cli_put(stdout, err.text);
	else
		cli_put(stdout, claim->summary ? claim->summary : "");
	printf(" (%s)\n", plugin->name);
}

static int help_class(struct registry *registry, const char *dev_class, struct error *err)
{
	const struct alcor_claim *none;

	/* For its text: it knows the nearest names. */
	if (!registry_claims(registry, dev_class, NULL))
		return registry_resolve(registry, dev_class, "", NULL, &none, err);
	printf("Keywords of class %s:\n", dev_class);
	for (unsigned i = 0; i < registry_n(registry); i++) {
		const struct plugin *plugin = registry_at(registry, i);

		for (unsigned k = 0; plugin->state != PLUGIN_UNUSABLE && k < plugin->n_claims; k++)
			if (!strcmp(plugin->claims[k].dev_class, dev_class))
				print_keyword(registry, plugin, &plugin->claims[k]);
	}
	printf("\n'alcor help %s/KEYWORD' lists the parameters of one.\n", dev_class);
	return 0;
}

static int help_device(const char *topic, const char *const *plugin_dirs)
{
	CLEANUP_FREE char *copy = strdup(topic);
	struct registry *registry = NULL;
	struct error err;
	int r;

	if (!copy)
		r = error_errno(&err, -ENOMEM, "help");
	else
		r = registry_scan(plugin_dirs, &registry, &err);
	if (r < 0)
		return cli_error(CLI_ERROR, &err);
	r = strchr(copy, '/') ? help_keyword(registry, copy, &err) :
				help_class(registry, copy, &err);
	registry_free(registry);
	if (r < 0) {
		error_prefix(&err, "help %s", topic);
		return cli_error(r == -ENOENT || r == -EEXIST ? CLI_USAGE : CLI_ERROR, &err);
	}
	return cli_finish(CLI_OK);
}

int help_topic(const char *topic, const char *const *plugin_dirs)
{
	const struct command *command = topic ? cli_find_command(topic) : NULL;

	if (command)
		command->print_help(stdout);
	else if (!topic)
		help_program(stdout);
	else if (!help_part(topic))
		return help_device(topic, plugin_dirs);
	return cli_finish(CLI_OK);
}

static int help_with_options(const struct option_list *list, char **topics)
{
	CLEANUP_FREE const char **dirs = NULL;
	struct error err;

	if (*topics && topics[1]) {
		error_set(&err, -EINVAL, "unexpected argument '%s'; see 'alcor help help'",
			  topics[1]);
		return cli_error(CLI_USAGE, &err);
	}
	if (plugin_dirs_of(list, &dirs) < 0) {
		error_errno(&err, -ENOMEM, "help");
		return cli_error(CLI_ERROR, &err);
	}
	return help_topic(option_list_find(list, "--help") ? "help" : *topics,
			  (const char *const *)dirs);
}

int cmd_help(char **argv)
{
	struct option_list list = { 0 };
	struct error err;
	char **topics;
	int status;

	if (options_parse(plugin_options(), argv, &list, &topics, &err) < 0)
		return cli_error(CLI_USAGE, &err);
	status = help_with_options(&list, topics);
	option_list_clear(&list);
	return status;
}
