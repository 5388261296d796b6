/* SPDX-License-Identifier: Apache-2.0 */
/* The command `boot`: from its options to a running machine. */
#ifndef ALCOR_CORE_CLI_BOOT_H
#define ALCOR_CORE_CLI_BOOT_H

#include "cli/options.h"
#include "config/machine.h"
#include "plugin/plugin.h"

/* What the options of one `alcor boot` amount to. */
struct boot {
	struct option_list options;
	struct machine_config config;
	size_t n_plugin_dirs; /* entries of config.plugin_dirs */
	char **notices;	      /* of deprecated spellings, printed once all is known to be right */
	size_t n_notices;
};

const struct option_table *boot_options(void);

/* The options, parsed; nothing took effect yet. */
int boot_parse(struct boot *boot, char **argv, struct error *err);
/* Fills boot->config but for the devices. */
int boot_apply(struct boot *boot, struct error *err);
void boot_clear(struct boot *boot);

int boot_notice(struct boot *boot, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* How the value of an option names a device. */
enum keyword_use {
	KEYWORD_NEEDED,	  /* KEYWORD[,parameters] */
	KEYWORD_OPTIONAL, /* as above; parameters alone mean device_option.keyword */
	KEYWORD_OLD,	  /* the same, but parameters alone are deprecated */
	KEYWORD_FIXED,	  /* parameters alone */
	KEYWORD_GENERIC,  /* CLASS/KEYWORD[,parameters] */
};

struct device_option {
	const char *dev_class; /* NULL with KEYWORD_GENERIC */
	const char *keyword;   /* NULL with KEYWORD_NEEDED and KEYWORD_GENERIC */
	enum keyword_use use;
	bool bare_path; /* a path alone stands for path=, deprecated */
};

/* Fills boot->config.devices from the options, in the order in which devices are created. */
int devices_collect(struct boot *boot, const struct registry *registry, struct error *err);

/* A device that can be created. */
struct ready_device {
	const struct alcor_claim *claim;
	struct params *params;
};

/* Loads what claims boot->config.devices and checks their parameters. The array has an entry for
 * each device. A failure that is the user's gives -EINVAL. */
int devices_resolve(struct boot *boot, struct registry *registry, struct ready_device **ret_ready,
		    struct error *err);
void devices_free(struct ready_device *ready, size_t n); /* NULL is fine */

/* The entry command; returns the exit status. */
int cmd_boot(char **argv);

#endif
