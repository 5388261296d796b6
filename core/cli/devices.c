/* SPDX-License-Identifier: Apache-2.0 */
/* From --CLASS options to devices whose parameters are known to be right. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/boot.h"
#include "plugin/device.h"
#include "util/cleanup.h"
#include "util/overflow.h"

/* Devices are created, and so get their PCI slots, in the order of this list, those of one entry in
 * the order given; all others follow. */
static const struct {
	const char *dev_class, *keyword;
} creation_order[] = {
	{ "pvpanic" },
	{ "entropy" },
	{ "net" },
	{ "blk" },
	{ "fs" },
	{ "vsock" },
	{ "balloon" },
	{ "vfio", "ioas" },
	{ "vfio", "container" },
	{ "vfio", "cdev" },
	{ "vfio", "group" },
	{ "fw-cfg" },
	{ "coco" },
	{ "console" },
};

static size_t creation_rank(const struct device_config *dev)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(creation_order); i++)
		if (!strcmp(creation_order[i].dev_class, dev->dev_class) &&
		    (!creation_order[i].keyword ||
		     !strcmp(creation_order[i].keyword, dev->keyword)))
			break;
	return i;
}

/* `path="TEXT"`, with what needs it escaped. */
static char *quoted_path(const char *text)
{
	CLEANUP_FREE char *quoted = malloc(2 * strlen(text) + sizeof("path=\"\""));
	char *p = quoted;

	if (!p)
		return NULL;
	p = stpcpy(p, "path=\"");
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			*p++ = '\\';
		*p++ = *text;
	}
	strcpy(p, "\"");
	return TAKE_PTR(quoted);
}

static bool is_bare_path(const char *text, const struct device_option *how,
			 const struct registry *registry)
{
	if (!how->bare_path || !*text || strpbrk(text, ",=") ||
	    registry_claims(registry, how->dev_class, text))
		return false;
	/* KEYWORD@PLUGIN never holds a slash, but may well hold a dot. */
	if (strchr(text, '@'))
		return strchr(text, '/');
	return strpbrk(text, "/.") || access(text, F_OK) == 0;
}

static int out_of_memory(struct error *err)
{
	return error_errno(err, -ENOMEM, "parsing");
}

static int set_bare(struct boot *boot, const struct option_use *use, const char *text, char *params,
		    struct device_config *dev, struct error *err)
{
	const struct device_option *how = use->option->device;

	dev->dev_class = strdup(how->dev_class);
	dev->keyword = strdup(how->keyword);
	dev->text = params;
	if (!dev->dev_class || !dev->keyword || !dev->text)
		return out_of_memory(err);
	if (how->use == KEYWORD_OLD &&
	    boot_notice(boot, "%s without a keyword is deprecated, write %s %s,%s",
			use->option->name, use->option->name, how->keyword, params) < 0)
		return out_of_memory(err);
	return 0;
}

/* "[CLASS/]KEYWORD[@PLUGIN][,PARAMETERS]" */
static int set_by_keyword(const char *dev_class, const char *text, struct device_config *dev,
			  struct error *err)
{
	CLEANUP_FREE char *head = strndup(text, strcspn(text, ","));
	char *keyword = head, *plugin, *slash;

	if (!head)
		return out_of_memory(err);
	dev->text_pos = strlen(head) + (text[strlen(head)] == ',');
	dev->text = strdup(text + dev->text_pos);
	plugin = strchr(head, '@');
	if (plugin)
		*plugin++ = '\0';
	if (!dev_class) {
		slash = strchr(head, '/');
		if (!slash || slash == head)
			return error_set(err, -EINVAL, "'%s' is not of the form CLASS/KEYWORD",
					 head);
		*slash = '\0';
		dev_class = head;
		keyword = slash + 1;
	}
	if (!*keyword)
		return error_set(err, -EINVAL, "no keyword; see 'alcor help %s'", dev_class);
	if (plugin && !*plugin)
		return error_set(err, -EINVAL, "no plugin behind the '@'");
	dev->dev_class = strdup(dev_class);
	dev->keyword = strdup(keyword);
	dev->plugin = plugin ? strdup(plugin) : NULL;
	if (!dev->text || !dev->dev_class || !dev->keyword || (plugin && !dev->plugin))
		return out_of_memory(err);
	return 0;
}

static int parse_device(struct boot *boot, const struct option_use *use,
			const struct registry *registry, struct device_config *dev,
			struct error *err)
{
	const struct device_option *how = use->option->device;
	const char *text;
	bool keyword;
	int r = value_deref_list(use->value ? use->value : "", boot->config.objects, &text, err);

	if (r < 0)
		return r;
	if (how->use == KEYWORD_FIXED)
		return set_bare(boot, use, text, strdup(text), dev, err);
	keyword = *text && text[strcspn(text, ",=")] != '=';
	if (is_bare_path(text, how, registry))
		return set_bare(boot, use, text, quoted_path(text), dev, err);
	if (!keyword && (how->use == KEYWORD_OLD || how->use == KEYWORD_OPTIONAL) &&
	    (*text || how->use == KEYWORD_OPTIONAL))
		return set_bare(boot, use, text, strdup(text), dev, err);
	if (!keyword && *text)
		return error_set(err, -EINVAL, "the first element must be a %s",
				 how->dev_class ? "keyword" : "CLASS/KEYWORD");
	return set_by_keyword(how->dev_class, text, dev, err);
}

static struct device_config *append_device(struct machine_config *config, const char *name,
					   const char *value)
{
	struct device_config *devices, *dev;

	devices = reallocarray(config->devices, config->n_devices + 1, sizeof(*devices));
	if (!devices)
		return NULL;
	config->devices = devices;
	dev = &devices[config->n_devices];
	*dev = (struct device_config){ 0 };
	if (asprintf(&dev->option, "%s%s%s", name, value ? " " : "", value ? value : "") < 0)
		return NULL;
	config->n_devices++;
	return dev;
}

static int collect_device(struct boot *boot, const struct option_use *use,
			  const struct registry *registry, struct error *err)
{
	struct device_config *dev = append_device(&boot->config, use->option->name, use->value);
	int r;

	if (!dev)
		return out_of_memory(err);
	r = parse_device(boot, use, registry, dev, err);
	if (r < 0)
		error_prefix(err, "%s", dev->option);
	return r;
}

/* Without --console, and without a console by --device, standard input and output are one. */
static int add_default_console(struct machine_config *config, struct error *err)
{
	struct device_config *dev;

	for (unsigned i = 0; i < config->n_devices; i++)
		if (!strcmp(config->devices[i].dev_class, "console"))
			return 0;
	dev = append_device(config, "--console", "stdio (the default)");
	return dev ? set_by_keyword("console", "stdio", dev, err) : out_of_memory(err);
}

/* Insertion keeps the order of equals. */
static void sort_devices(struct device_config *devices, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		struct device_config dev = devices[i];
		unsigned k = i;

		for (; k > 0 && creation_rank(&devices[k - 1]) > creation_rank(&dev); k--)
			devices[k] = devices[k - 1];
		devices[k] = dev;
	}
}

int devices_collect(struct boot *boot, const struct registry *registry, struct error *err)
{
	const struct option_use *console = option_list_find(&boot->options, "--console");
	bool no_console = console && !strcmp(console->value, "none");
	int r = 0;

	for (size_t i = 0; i < boot->options.n && r == 0; i++) {
		const struct option_use *use = &boot->options.uses[i];

		if (use->option->device && !(use == console && no_console))
			r = collect_device(boot, use, registry, err);
	}
	if (r == 0 && !no_console)
		r = add_default_console(&boot->config, err);
	if (r == 0)
		sort_devices(boot->config.devices, boot->config.n_devices);
	return r;
}

/* What a secret parameter holds must not get into messages. */
static int hide_secrets(struct device_config *dev, const struct param_table *table)
{
	char *option;

	for (uint32_t i = 0; i < table->n; i++) {
		struct alcor_param row;

		param_table_row(table, i, &row);
		if (!(row.flags & ALCOR_PARAM_SECRET))
			continue;
		if (asprintf(&option, "--device %s/%s", dev->dev_class, dev->keyword) < 0)
			return -ENOMEM;
		free(dev->option);
		dev->option = option;
		break;
	}
	return 0;
}

static int notice_deprecated(struct boot *boot, const struct device_config *dev,
			     const struct param_table *table, const struct params *params)
{
	for (uint32_t i = 0; i < table->n; i++) {
		struct alcor_param row;

		param_table_row(table, i, &row);
		if ((row.flags & ALCOR_PARAM_DEPRECATED) && params_given(params, row.name) &&
		    boot_notice(boot, "%s: key '%s' is deprecated", dev->option, row.name) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int parse_params(struct boot *boot, struct device_config *dev, struct ready_device *ready,
			struct error *err)
{
	const struct alcor_claim *claim = ready->claim;
	struct param_table table = { claim->params, claim->n_params, claim->param_size };
	char what[128];
	const char *id;
	int r;

	if (hide_secrets(dev, &table) < 0)
		return out_of_memory(err);
	snprintf(what, sizeof(what), "%s/%s", dev->dev_class, dev->keyword);
	r = params_parse(what, dev->text, dev->text_pos, &table, device_common_params(claim),
			 boot->config.objects, &ready->params, err);
	if (r == -ENOMEM || r == -ENOEXEC)
		return r;
	if (r < 0)
		return -EINVAL;
	id = params_str(ready->params, "id", 0);
	dev->id = id ? strdup(id) : NULL;
	if ((id && !dev->id) || notice_deprecated(boot, dev, &table, ready->params) < 0)
		return out_of_memory(err);
	return 0;
}

static int check_id(const struct machine_config *config, unsigned index, struct error *err)
{
	const char *id = config->devices[index].id;

	for (unsigned i = 0; i < index; i++)
		if (id && config->devices[i].id && !strcmp(config->devices[i].id, id))
			return error_set(err, -EINVAL, "id '%s' is taken by %s", id,
					 config->devices[i].option);
	return 0;
}

static int resolve_claim(struct registry *registry, const struct device_config *dev,
			 const struct alcor_claim **ret_claim, struct error *err)
{
	int r = registry_resolve(registry, dev->dev_class, dev->keyword, dev->plugin, ret_claim,
				 err);

	/* A name that none or two have is an error of usage, a plugin that cannot be used is not. */
	return r == -ENOENT || r == -EEXIST ? -EINVAL : r;
}

int devices_resolve(struct boot *boot, struct registry *registry, struct ready_device **ret_ready,
		    struct error *err)
{
	struct machine_config *config = &boot->config;
	struct ready_device *ready = calloc(config->n_devices + 1, sizeof(*ready));
	int r = 0;

	if (!ready)
		return out_of_memory(err);
	for (unsigned i = 0; i < config->n_devices && r == 0; i++) {
		r = resolve_claim(registry, &config->devices[i], &ready[i].claim, err);
		if (r == 0)
			r = parse_params(boot, &config->devices[i], &ready[i], err);
		if (r == 0)
			r = check_id(config, i, err);
		if (r < 0)
			error_prefix(err, "%s", config->devices[i].option);
	}
	if (r < 0) {
		devices_free(ready, config->n_devices);
		return r;
	}
	*ret_ready = ready;
	return 0;
}

void devices_free(struct ready_device *ready, size_t n)
{
	for (size_t i = 0; ready && i < n; i++)
		params_free(ready[i].params);
	free(ready);
}
