/* SPDX-License-Identifier: Apache-2.0 */
#include "config/machine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/overflow.h"

#define PAGE_SIZE    4096
#define MIN_RAM	     (1ull << 20)
#define MAX_RAM	     (1ull << 52) /* x86 and Arm address no more; the host's CPU may do less */
#define DEFAULT_RAM  (1ull << 30)
#define MAX_HUGEPAGE (1ull << 34)
#define MAX_CPUS     1024

int machine_config_init(struct machine_config *config)
{
	*config = (struct machine_config){
		.memory = { .size = DEFAULT_RAM, .backend = MEM_ANON },
		.cpu = { .count = 1, .sockets = 1, .cores = 1, .threads = 1 },
		.on_reset = MACHINE_RESTART,
		.on_panic = MACHINE_EXIT,
		.on_crash = MACHINE_EXIT,
		.grace_s = 10,
	};
	return objects_new(&config->objects);
}

static void device_config_clear(struct device_config *dev)
{
	free(dev->option);
	free(dev->dev_class);
	free(dev->keyword);
	free(dev->plugin);
	free(dev->text);
	free(dev->id);
}

void machine_config_clear(struct machine_config *config)
{
	free(config->kernel);
	free(config->pvh);
	free(config->firmware);
	free(config->cmdline);
	free(config->initramfs);
	free(config->dev_kvm);
	free((char *)config->memory.path);
	for (unsigned i = 0; i < config->n_devices; i++)
		device_config_clear(&config->devices[i]);
	free(config->devices);
	objects_free(config->objects);
	for (char **dir = config->plugin_dirs; dir && *dir; dir++)
		free(*dir);
	free(config->plugin_dirs);
	*config = (struct machine_config){ 0 };
}

/* In the order of the choices of `backend`. */
static const enum mem_backend mem_backends[] = { MEM_ANON, MEM_MEMFD, MEM_HUGETLB, MEM_HUGETLB,
						 MEM_FILE };

static const struct alcor_param memory_rows[] = {
	{ .name = "size",
	  .type = ALCOR_PARAM_SIZE,
	  .flags = ALCOR_PARAM_POSITIONAL,
	  .dflt = "1G",
	  .min = MIN_RAM,
	  .max = MAX_RAM,
	  .help = "all of the guest's memory" },
	{ .name = "backend",
	  .type = ALCOR_PARAM_ENUM,
	  .dflt = "anon",
	  .choices = "anon|memfd|hugetlb|hugetlbfs|file",
	  .help = "what the memory comes from" },
	{ .name = "shared",
	  .type = ALCOR_PARAM_BOOL,
	  .help = "map it so that other processes can share it; memfd always is" },
	{ .name = "transparent_hugepage",
	  .alias = "thp",
	  .type = ALCOR_PARAM_BOOL,
	  .help = "ask the kernel for huge pages" },
	{ .name = "prefault", .type = ALCOR_PARAM_BOOL, .help = "take all pages at the start" },
	{ .name = "path", .type = ALCOR_PARAM_PATH, .help = "the file of backend=file" },
	{ .name = "hugepage_size",
	  .type = ALCOR_PARAM_SIZE,
	  .min = PAGE_SIZE,
	  .max = MAX_HUGEPAGE,
	  .help = "size of the pages of backend=hugetlb" },
};

const struct param_table *machine_memory_table(void)
{
	static const struct param_table table = { memory_rows, ARRAY_SIZE(memory_rows),
						  sizeof(memory_rows[0]) };

	return &table;
}

static int check_memory(const struct mem_config *memory, const struct params *params,
			struct error *err)
{
	uint64_t page = memory->hugepage_size ? memory->hugepage_size : PAGE_SIZE;

	if (memory->backend == MEM_FILE && !memory->path)
		return error_set(err, -EINVAL, "backend=file needs path=");
	if (memory->backend != MEM_FILE && memory->path)
		return error_set(err, -EINVAL, "path= is for backend=file only");
	if (memory->backend != MEM_HUGETLB && memory->hugepage_size)
		return error_set(err, -EINVAL, "hugepage_size= is for backend=hugetlb only");
	if (memory->backend == MEM_HUGETLB && memory->thp)
		return error_set(err, -EINVAL, "backend=hugetlb has no transparent huge pages");
	if (memory->backend == MEM_MEMFD && params_given(params, "shared") && !memory->shared)
		return error_set(err, -EINVAL, "backend=memfd is always shared");
	if (!is_pow2(page))
		return error_set(err, -EINVAL, "hugepage_size= is no power of two");
	if (memory->size % page)
		return error_set(err, -EINVAL,
				 "the size, %" PRIu64 ", is no multiple of the page size, %" PRIu64,
				 memory->size, page);
	return 0;
}

int machine_parse_memory(struct machine_config *config, const char *text, struct error *err)
{
	CLEANUP_PARAMS struct params *params = NULL;
	struct mem_config memory = { 0 };
	const char *path;
	int r;

	r = params_parse("memory", text, 0, machine_memory_table(), NULL, config->objects, &params,
			 err);
	if (r < 0)
		return r;
	path = params_str(params, "path", 0);
	memory.size = params_u64(params, "size");
	memory.backend = mem_backends[params_u64(params, "backend")];
	memory.shared = params_u64(params, "shared");
	memory.thp = params_u64(params, "transparent_hugepage");
	memory.prefault = params_u64(params, "prefault");
	memory.hugepage_size = params_u64(params, "hugepage_size");
	memory.path = path ? strdup(path) : NULL;
	if (path && !memory.path)
		return error_errno(err, -ENOMEM, "parsing");
	r = check_memory(&memory, params, err);
	if (r < 0) {
		free((char *)memory.path);
		return r;
	}
	free((char *)config->memory.path);
	config->memory = memory;
	return 0;
}

static const struct alcor_param cpu_rows[] = {
	{ .name = "count",
	  .type = ALCOR_PARAM_U64,
	  .flags = ALCOR_PARAM_POSITIONAL,
	  .min = 1,
	  .max = MAX_CPUS,
	  .help = "CPUs: sockets times cores times threads" },
	{ .name = "sockets",
	  .type = ALCOR_PARAM_U64,
	  .min = 1,
	  .max = MAX_CPUS,
	  .help = "sockets, 1 when not given" },
	{ .name = "cores",
	  .type = ALCOR_PARAM_U64,
	  .min = 1,
	  .max = MAX_CPUS,
	  .help = "cores of a socket, as many as the count needs when not given" },
	{ .name = "threads",
	  .type = ALCOR_PARAM_U64,
	  .min = 1,
	  .max = MAX_CPUS,
	  .help = "threads of a core, 1 when not given" },
};

const struct param_table *machine_cpu_table(void)
{
	static const struct param_table table = { cpu_rows, ARRAY_SIZE(cpu_rows),
						  sizeof(cpu_rows[0]) };

	return &table;
}

/* Zero stands for "not given". */
static int derive_topology(struct cpu_topology *cpu, struct error *err)
{
	uint64_t product;

	cpu->sockets = cpu->sockets ? cpu->sockets : 1;
	cpu->threads = cpu->threads ? cpu->threads : 1;
	if (!cpu->cores)
		cpu->cores = cpu->count ? cpu->count / (cpu->sockets * cpu->threads) : 1;
	product = (uint64_t)cpu->sockets * cpu->cores * cpu->threads;
	if (!cpu->count && product > MAX_CPUS)
		return error_set(err, -ERANGE, "%" PRIu64 " CPUs are more than the maximum, %d",
				 product, MAX_CPUS);
	if (!cpu->count)
		cpu->count = product;
	if (product == cpu->count)
		return 0;
	if (!cpu->cores)
		return error_set(err, -EINVAL, "count=%u is less than sockets=%u times threads=%u",
				 cpu->count, cpu->sockets, cpu->threads);
	return error_set(err, -EINVAL, "count=%u is not sockets=%u times cores=%u times threads=%u",
			 cpu->count, cpu->sockets, cpu->cores, cpu->threads);
}

int machine_parse_cpu(struct machine_config *config, const char *text, struct error *err)
{
	CLEANUP_PARAMS struct params *params = NULL;
	struct cpu_topology cpu;
	int r;

	r = params_parse("cpu", text, 0, machine_cpu_table(), NULL, config->objects, &params, err);
	if (r < 0)
		return r;
	cpu.count = params_u64(params, "count");
	cpu.sockets = params_u64(params, "sockets");
	cpu.cores = params_u64(params, "cores");
	cpu.threads = params_u64(params, "threads");
	r = derive_topology(&cpu, err);
	if (r == 0 && *text == '\0')
		return error_set(err, -EINVAL, "no CPU count");
	if (r == 0)
		config->cpu = cpu;
	return r;
}

static const struct alcor_param kvm_rows[] = {
	{ .name = "type",
	  .type = ALCOR_PARAM_ENUM,
	  .choices = "kvm",
	  .flags = ALCOR_PARAM_POSITIONAL | ALCOR_PARAM_REQUIRED,
	  .help = "the hypervisor" },
	{ .name = "dev_kvm", .type = ALCOR_PARAM_PATH, .help = "its device, usually /dev/kvm" },
};

const struct param_table *machine_hypervisor_table(void)
{
	static const struct param_table table = { kvm_rows, ARRAY_SIZE(kvm_rows),
						  sizeof(kvm_rows[0]) };

	return &table;
}

int machine_parse_hypervisor(struct machine_config *config, const char *text, struct error *err)
{
	CLEANUP_PARAMS struct params *params = NULL;
	const char *path;
	char *dev_kvm;
	int r;

	r = params_parse("hypervisor", text, 0, machine_hypervisor_table(), NULL, config->objects,
			 &params, err);
	if (r < 0)
		return r;
	path = params_str(params, "dev_kvm", 0);
	dev_kvm = path ? strdup(path) : NULL;
	if (path && !dev_kvm)
		return error_errno(err, -ENOMEM, "parsing");
	free(config->dev_kvm);
	config->dev_kvm = dev_kvm;
	return 0;
}
