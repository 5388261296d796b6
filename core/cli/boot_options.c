/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/boot.h"
#include "cli/cli.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/overflow.h"

#define MAX_GRACE_S 1000000

int boot_notice(struct boot *boot, const char *fmt, ...)
{
	char **notices = reallocarray(boot->notices, boot->n_notices + 1, sizeof(*notices));
	va_list ap;
	int n;

	if (!notices)
		return -ENOMEM;
	boot->notices = notices;
	va_start(ap, fmt);
	n = vasprintf(&notices[boot->n_notices], fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	boot->n_notices++;
	return 0;
}

static int apply_string(void *opaque, const struct option *option, const char *value,
			struct error *err)
{
	struct boot *boot = opaque;
	char *copy = strdup(value);

	if (!copy)
		return error_errno(err, -ENOMEM, "parsing");
	*(char **)((char *)&boot->config + option->offset) = copy;
	return 0;
}

static int apply_firmware(void *opaque, const struct option *option, const char *value,
			  struct error *err)
{
	return error_set(err, -EINVAL, "firmware is not supported by this version");
}

static int apply_hypervisor(void *opaque, const struct option *option, const char *value,
			    struct error *err)
{
	return machine_parse_hypervisor(&((struct boot *)opaque)->config, value, err);
}

static int apply_memory(void *opaque, const struct option *option, const char *value,
			struct error *err)
{
	return machine_parse_memory(&((struct boot *)opaque)->config, value, err);
}

static int apply_cpu(void *opaque, const struct option *option, const char *value,
		     struct error *err)
{
	return machine_parse_cpu(&((struct boot *)opaque)->config, value, err);
}

/* Checks that @value is a bare number, and whether @newer, which then wins, was given as well. */
static int parse_old_number(struct boot *boot, const struct option *option, const char *value,
			    const char *newer, bool *ret_ignored, struct error *err)
{
	uint64_t number;
	int r = value_u64(value, &number, err);

	if (r < 0)
		return r;
	*ret_ignored = option_list_find(&boot->options, newer);
	if (*ret_ignored &&
	    boot_notice(boot, "%s %s is ignored, as %s is given", option->name, value, newer) < 0)
		return error_errno(err, -ENOMEM, "parsing");
	return 0;
}

static int apply_mem_size(void *opaque, const struct option *option, const char *value,
			  struct error *err)
{
	struct boot *boot = opaque;
	bool ignored;
	int r = parse_old_number(boot, option, value, "--memory", &ignored, err);

	return r < 0 || ignored ? r : machine_parse_memory(&boot->config, value, err);
}

static int apply_num_cpu(void *opaque, const struct option *option, const char *value,
			 struct error *err)
{
	struct boot *boot = opaque;
	bool ignored;
	int r = parse_old_number(boot, option, value, "--cpu", &ignored, err);

	return r < 0 || ignored ? r : machine_parse_cpu(&boot->config, value, err);
}

static int apply_object(void *opaque, const struct option *option, const char *value,
			struct error *err)
{
	return objects_add(((struct boot *)opaque)->config.objects, value, err);
}

static int apply_action(void *opaque, const struct option *option, const char *value,
			struct error *err)
{
	struct boot *boot = opaque;
	bool restart = !strcmp(value, "restart");

	if (!restart && strcmp(value, "exit"))
		return error_set(err, -EINVAL, "'%s' is neither restart nor exit", value);
	*(enum machine_action *)((char *)&boot->config + option->offset) =
		restart ? MACHINE_RESTART : MACHINE_EXIT;
	return 0;
}

static int apply_grace(void *opaque, const struct option *option, const char *value,
		       struct error *err)
{
	struct boot *boot = opaque;
	uint64_t seconds;
	int r = value_u64(value, &seconds, err);

	if (r < 0)
		return r;
	if (seconds > MAX_GRACE_S)
		return error_set(err, -ERANGE, "%s is above the maximum, %d", value, MAX_GRACE_S);
	boot->config.grace_s = seconds;
	return 0;
}

static int apply_log_level(void *opaque, const struct option *option, const char *value,
			   struct error *err)
{
	return cli_set_log_level(value, err);
}

static int apply_plugin_dir(void *opaque, const struct option *option, const char *value,
			    struct error *err)
{
	struct boot *boot = opaque;
	char **dirs =
		reallocarray(boot->config.plugin_dirs, boot->n_plugin_dirs + 2, sizeof(*dirs));

	if (!dirs)
		return error_errno(err, -ENOMEM, "parsing");
	boot->config.plugin_dirs = dirs;
	dirs[boot->n_plugin_dirs] = strdup(value);
	if (!dirs[boot->n_plugin_dirs])
		return error_errno(err, -ENOMEM, "parsing");
	dirs[++boot->n_plugin_dirs] = NULL;
	return 0;
}

#define MACHINE(member) .offset = offsetof(struct machine_config, member)
/* clang-format off */
#define DEVICE(...)	.device = &(const struct device_option){ __VA_ARGS__ }
/* clang-format on */

static const struct option options[] = {
	{ "--kernel", .short_name = 'k', .arg = "PATH", .group = "Guest",
	  .help = "kernel: a bzImage, or a vmlinux with a PVH note", .apply = apply_string,
	  MACHINE(kernel) },
	{ "--pvh", .arg = "PATH", .group = "Guest", .help = "ELF kernel with a PVH note",
	  .apply = apply_string, MACHINE(pvh) },
	{ "--firmware", .short_name = 'f', .arg = "PATH", .group = "Guest",
	  .help = "firmware image (not supported by this version)", .apply = apply_firmware },
	{ "--cmdline", .alias = "--cmd-line", .short_name = 'c', .arg = "TEXT", .group = "Guest",
	  .help = "command line of the kernel", .apply = apply_string, MACHINE(cmdline) },
	{ "--initramfs", .short_name = 'i', .arg = "PATH", .group = "Guest",
	  .help = "initial file system of the kernel", .apply = apply_string, MACHINE(initramfs) },

	{ "--cpu", .short_name = 'p', .arg = "[count=]N[,PARAMETERS]", .group = "Machine",
	  .help = "virtual CPUs (default 1)", .apply = apply_cpu },
	{ "--num-cpu", .arg = "N", .group = "Machine", .help = "the same as --cpu N",
	  .apply = apply_num_cpu },
	{ "--memory", .short_name = 'm', .arg = "[size=]SIZE[,PARAMETERS]", .group = "Machine",
	  .help = "guest memory (default 1G)", .apply = apply_memory },
	{ "--mem-size", .arg = "SIZE", .group = "Machine", .help = "the same as --memory SIZE",
	  .deprecated = "--memory SIZE", .apply = apply_mem_size },
	{ "--hypervisor", .arg = "kvm[,dev_kvm=PATH]", .group = "Machine",
	  .help = "hypervisor and its device node (default kvm,dev_kvm=/dev/kvm)",
	  .apply = apply_hypervisor },
	{ "--coco", .arg = "KEYWORD[,PARAMETERS]", .group = "Machine",
	  .help = "confidential computing", DEVICE("coco", NULL, KEYWORD_NEEDED) },

	{ "--pvpanic", .group = "Devices", .help = "device that reports a panic of the guest",
	  DEVICE("pvpanic", "pci", KEYWORD_FIXED) },
	{ "--entropy", .group = "Devices", .help = "source of random numbers",
	  DEVICE("entropy", "urandom", KEYWORD_FIXED) },
	{ "--net", .arg = "KEYWORD[,PARAMETERS]", .repeat = true, .group = "Devices",
	  .help = "network card", DEVICE("net", "tap", KEYWORD_OLD) },
	{ "--blk", .arg = "KEYWORD[,PARAMETERS]", .repeat = true, .group = "Devices",
	  .help = "disk", DEVICE("blk", "file", KEYWORD_OLD, .bare_path = true) },
	{ "--fs", .arg = "KEYWORD[,PARAMETERS]", .repeat = true, .group = "Devices",
	  .help = "shared directory", DEVICE("fs", NULL, KEYWORD_NEEDED) },
	{ "--vsock", .arg = "KEYWORD[,PARAMETERS]", .group = "Devices",
	  .help = "sockets between guest and host", DEVICE("vsock", NULL, KEYWORD_NEEDED) },
	{ "--balloon", .arg = "[KEYWORD,][PARAMETERS]", .group = "Devices",
	  .help = "memory balloon", DEVICE("balloon", "virtio", KEYWORD_OPTIONAL) },
	{ "--vfio-cdev", .arg = "PARAMETERS", .repeat = true, .group = "Devices",
	  .help = "PCI device of the host, by iommufd", DEVICE("vfio", "cdev", KEYWORD_FIXED) },
	{ "--vfio-ioas", .arg = "PARAMETERS", .repeat = true, .group = "Devices",
	  .help = "named I/O address space", DEVICE("vfio", "ioas", KEYWORD_FIXED) },
	{ "--vfio-group", .arg = "PARAMETERS", .repeat = true, .group = "Devices",
	  .help = "PCI devices of the host, by VFIO group",
	  DEVICE("vfio", "group", KEYWORD_FIXED) },
	{ "--vfio-container", .arg = "PARAMETERS", .repeat = true, .group = "Devices",
	  .help = "named VFIO container", DEVICE("vfio", "container", KEYWORD_FIXED) },
	{ "--fw-cfg", .arg = "PARAMETERS", .repeat = true, .group = "Devices",
	  .help = "item for the guest's firmware", DEVICE("fw-cfg", "item", KEYWORD_FIXED) },
	{ "--console", .arg = "none|KEYWORD[,PARAMETERS]", .group = "Devices",
	  .help = "serial console (default stdio)", DEVICE("console", NULL, KEYWORD_NEEDED) },
	{ "--device", .arg = "CLASS/KEYWORD[,PARAMETERS]", .repeat = true, .group = "Devices",
	  .help = "device of any class", DEVICE(NULL, NULL, KEYWORD_GENERIC) },
	{ "--object", .short_name = 'o', .arg = "id_NAME,TEXT", .repeat = true, .group = "Devices",
	  .help = "text that stands where a value is id_NAME", .apply = apply_object },

	{ "--on-reset", .arg = "restart|exit", .group = "Life cycle",
	  .help = "when the guest resets (default restart)", .apply = apply_action,
	  MACHINE(on_reset) },
	{ "--on-panic", .arg = "exit|restart", .group = "Life cycle",
	  .help = "when the guest reports a panic (default exit)", .apply = apply_action,
	  MACHINE(on_panic) },
	{ "--on-crash", .arg = "exit|restart", .group = "Life cycle",
	  .help = "when a CPU of the guest shuts down by a triple fault (default exit)",
	  .apply = apply_action, MACHINE(on_crash) },
	{ "--grace", .arg = "SECONDS", .group = "Life cycle",
	  .help = "time the guest has to power down when asked to (default 10)",
	  .apply = apply_grace },

	{ "--plugin-dir", .arg = "DIR", .repeat = true, .group = "General",
	  .help = "directory of plugins, instead of the usual one", .apply = apply_plugin_dir },
	{ "--log-level", .short_name = 'l', .arg = "error|warn|info|debug", .group = "General",
	  .help = "what is reported on standard error (default warn)", .apply = apply_log_level },
	{ "--help", .short_name = 'h', .arg = "[CLASS[/KEYWORD]]", .value_optional = true,
	  .group = "General", .help = "this text, or what is known of a device" },
};

const struct option_table *boot_options(void)
{
	static const struct option_table table = { "alcor boot", options, ARRAY_SIZE(options) };

	return &table;
}

int boot_parse(struct boot *boot, char **argv, struct error *err)
{
	return options_parse(boot_options(), argv, &boot->options, NULL, err);
}

/* Applies the options whose handler is @only, or all others when it is NULL. */
static int apply_options(struct boot *boot, option_apply_fn *only, struct error *err)
{
	for (size_t i = 0; i < boot->options.n; i++) {
		const struct option_use *use = &boot->options.uses[i];
		option_apply_fn *apply = use->option->apply;
		int r;

		if (!apply || (apply == apply_object) != (only == apply_object))
			continue;
		r = apply(boot, use->option, use->value, err);
		if (r < 0) {
			error_prefix(err, "%s %s", use->option->name, use->value);
			return r;
		}
		if (use->option->deprecated &&
		    boot_notice(boot, "%s is deprecated, write %s", use->option->name,
				use->option->deprecated) < 0)
			return error_errno(err, -ENOMEM, "parsing");
	}
	return 0;
}

int boot_apply(struct boot *boot, struct error *err)
{
	int r = machine_config_init(&boot->config);

	if (r < 0)
		return error_errno(err, r, "parsing");
	/* Any value may refer to an object, wherever that is on the command line. */
	r = apply_options(boot, apply_object, err);
	if (r == 0)
		r = apply_options(boot, NULL, err);
	if (r < 0)
		return r;
	if (!boot->config.kernel && !boot->config.pvh)
		return error_set(err, -EINVAL, "nothing to boot: give --kernel or --pvh");
	if (boot->config.kernel && boot->config.pvh &&
	    boot_notice(boot, "--pvh is ignored, as --kernel is given") < 0)
		return error_errno(err, -ENOMEM, "parsing");
	return 0;
}
