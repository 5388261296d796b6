/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/boot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "payload/payload.h"
#include "plugin/ctl.h"
#include "plugin/device.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "vm/vm.h"

void boot_clear(struct boot *boot)
{
	option_list_clear(&boot->options);
	machine_config_clear(&boot->config);
	for (size_t i = 0; i < boot->n_notices; i++)
		free(boot->notices[i]);
	free(boot->notices);
}

static int check_payload(const struct machine_config *config, struct error *err)
{
	struct payload_config payload = {
		.kernel = config->kernel,
		.pvh = config->pvh,
		.initramfs = config->initramfs,
		.cmdline = config->cmdline,
	};

	return payload_check(&payload, err);
}

static void print_notices(const struct boot *boot)
{
	for (size_t i = 0; i < boot->n_notices; i++)
		log_warn("%s", boot->notices[i]);
}

static int add_devices(struct vm *vm, const struct machine_config *config,
		       struct ready_device *ready, struct error *err)
{
	int r = 0;

	for (unsigned i = 0; i < config->n_devices && r == 0; i++)
		r = device_add(vm, ready[i].claim, config->devices[i].option,
			       TAKE_PTR(ready[i].params), err);
	return r;
}

/* Everything is known to be right, as far as that can be known without opening it. */
static int run_machine(const struct machine_config *config, struct ready_device *ready)
{
	struct error err = { .text = "" };
	enum vm_status status;
	struct vm *vm = NULL;
	int r = vm_new(config, &vm, &err);

	if (r == 0)
		vm_set_ctl(vm, &ctl_ops);
	if (r == 0)
		r = add_devices(vm, config, ready, &err);
	if (r == 0)
		r = vm_run(vm, &status, &err);
	/* The terminal is as it was once the VM is gone. */
	vm_free(vm);
	return r < 0 ? cli_error(CLI_ERROR, &err) : (int)status;
}

static int boot_machine(struct boot *boot, struct registry *registry)
{
	struct ready_device *ready = NULL;
	struct error err = { .text = "" };
	int r, status;

	r = devices_collect(boot, registry, &err);
	if (r == 0)
		r = devices_resolve(boot, registry, &ready, &err);
	if (r < 0)
		return cli_error(r == -EINVAL || r == -ENOENT ? CLI_USAGE : CLI_ERROR, &err);
	r = check_payload(&boot->config, &err);
	if (r == 0) {
		print_notices(boot);
		status = run_machine(&boot->config, ready);
	} else {
		status = cli_error(CLI_ERROR, &err);
	}
	devices_free(ready, boot->config.n_devices);
	return status;
}

static int run_boot(struct boot *boot)
{
	struct error err = { .text = "" };
	struct registry *registry;
	int r, status;

	r = boot_apply(boot, &err);
	if (r < 0)
		return cli_error(r == -ENOMEM ? CLI_ERROR : CLI_USAGE, &err);
	r = registry_scan((const char *const *)boot->config.plugin_dirs, &registry, &err);
	if (r < 0)
		return cli_error(CLI_ERROR, &err);
	status = boot_machine(boot, registry);
	registry_free(registry);
	return status;
}

static int boot_help(const struct boot *boot, const char *topic)
{
	CLEANUP_FREE const char **dirs = NULL;
	struct error err;

	if (plugin_dirs_of(&boot->options, &dirs) < 0) {
		error_errno(&err, -ENOMEM, "help");
		return cli_error(CLI_ERROR, &err);
	}
	return help_topic(topic ? topic : "boot", dirs);
}

int cmd_boot(char **argv)
{
	struct boot boot = { 0 };
	struct error err = { .text = "" };
	const struct option_use *help;
	int status;

	if (!*argv) {
		help_boot(stderr);
		return CLI_USAGE;
	}
	if (boot_parse(&boot, argv, &err) < 0)
		return cli_error(CLI_USAGE, &err);
	help = option_list_find(&boot.options, "--help");
	status = help ? boot_help(&boot, help->value) : run_boot(&boot);
	boot_clear(&boot);
	return status;
}
