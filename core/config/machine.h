/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM is to be: the tree that the command line (and later files) fills before anything is
 * opened. All strings are owned by the tree. */
#ifndef ALCOR_CORE_CONFIG_MACHINE_H
#define ALCOR_CORE_CONFIG_MACHINE_H

#include <stdint.h>

#include "config/params.h"
#include "mem/mem.h"

enum machine_action { MACHINE_EXIT, MACHINE_RESTART };

struct cpu_topology {
	uint32_t count, sockets, cores, threads; /* count = sockets * cores * threads */
};

/* One --CLASS argument. */
struct device_config {
	char *option;	 /* for messages: "--blk file,path=/a.img" */
	char *dev_class; /* "blk" */
	char *keyword;	 /* "file" */
	char *plugin;	 /* after `@`: the plugin that is to serve it; else NULL */
	char *text;	 /* parameters, behind the keyword */
	size_t text_pos; /* column where they start in the option's value */
	char *id;	 /* filled when the parameters are parsed */
};

struct machine_config {
	char *kernel, *pvh, *firmware, *cmdline, *initramfs;
	char *dev_kvm;
	struct mem_config memory; /* .path owned too */
	struct cpu_topology cpu;
	enum machine_action on_reset, on_panic, on_crash;
	uint32_t grace_s;	       /* seconds that a guest has to power down when asked */
	struct device_config *devices; /* in the order in which they are created */
	unsigned n_devices;
	struct objects *objects;
	char **plugin_dirs; /* --plugin-dir, NULL-terminated, else NULL */
};

/* One CPU, 1 GiB of anonymous memory, no payload, no devices. */
int machine_config_init(struct machine_config *config);
void machine_config_clear(struct machine_config *config);

/* What --memory, --cpu and --hypervisor accept. */
const struct param_table *machine_memory_table(void);
const struct param_table *machine_cpu_table(void);
const struct param_table *machine_hypervisor_table(void);

/*
 * The values of --memory, --cpu and --hypervisor. What is not given keeps its default; CPU counts
 * follow from each other. A failure leaves @config as it was.
 */
int machine_parse_memory(struct machine_config *config, const char *text, struct error *err);
int machine_parse_cpu(struct machine_config *config, const char *text, struct error *err);
int machine_parse_hypervisor(struct machine_config *config, const char *text, struct error *err);

#endif
