/* SPDX-License-Identifier: Apache-2.0 */
#include "config/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "util/overflow.h"

static int setup(void **state)
{
	static struct machine_config config;

	*state = &config;
	return machine_config_init(&config);
}

static int teardown(void **state)
{
	machine_config_clear(*state);
	return 0;
}

static void test_defaults(void **state)
{
	const struct machine_config *config = *state;

	assert_int_equal(config->memory.size, 1ull << 30);
	assert_int_equal(config->memory.backend, MEM_ANON);
	assert_false(config->memory.shared);
	assert_int_equal(config->cpu.count, 1);
	assert_int_equal(config->on_reset, MACHINE_RESTART);
	assert_int_equal(config->on_panic, MACHINE_EXIT);
	assert_int_equal(config->on_crash, MACHINE_EXIT);
	assert_int_equal(config->grace_s, 10);
	assert_null(config->dev_kvm);
}

static void test_memory(void **state)
{
	struct machine_config *config = *state;
	struct error err;

	assert_int_equal(machine_parse_memory(config, "512M", &err), 0);
	assert_int_equal(config->memory.size, 512ull << 20);
	assert_int_equal(machine_parse_memory(config, "", &err), 0);
	assert_int_equal(config->memory.size, 1ull << 30);
	assert_int_equal(machine_parse_memory(config, "size=0x10000k,backend=memfd,thp=on", &err),
			 0);
	assert_int_equal(config->memory.size, 64ull << 20);
	assert_int_equal(config->memory.backend, MEM_MEMFD);
	assert_true(config->memory.thp);
	assert_false(config->memory.prefault);
	assert_int_equal(machine_parse_memory(config,
					      "size=2m,shared=on,prefault=on,"
					      "transparent_hugepage=true",
					      &err),
			 0);
	assert_int_equal(config->memory.backend, MEM_ANON);
	assert_true(config->memory.shared && config->memory.prefault && config->memory.thp);
	assert_int_equal(machine_parse_memory(config, "1g,backend=file,path=/m", &err), 0);
	assert_int_equal(config->memory.backend, MEM_FILE);
	assert_string_equal(config->memory.path, "/m");
	assert_int_equal(
		machine_parse_memory(config, "1g,backend=hugetlbfs,hugepage_size=2M", &err), 0);
	assert_int_equal(config->memory.backend, MEM_HUGETLB);
	assert_int_equal(config->memory.hugepage_size, 2 << 20);
	assert_null(config->memory.path);
	assert_int_equal(machine_parse_memory(config, "1g,backend=hugetlb", &err), 0);
	assert_int_equal(config->memory.backend, MEM_HUGETLB);
}

typedef int parse_fn(struct machine_config *config, const char *text, struct error *err);

static void check_errors(struct machine_config *config, parse_fn *parse,
			 const char *const cases[][2], size_t n)
{
	struct mem_config memory = config->memory;
	struct cpu_topology cpu = config->cpu;

	for (size_t i = 0; i < n; i++) {
		struct error err = { .text = "" };

		assert_true(parse(config, cases[i][0], &err) < 0);
		assert_string_equal(err.text, cases[i][1]);
	}
	assert_memory_equal(&memory, &config->memory, sizeof(memory));
	assert_memory_equal(&cpu, &config->cpu, sizeof(cpu));
}

static void test_memory_errors(void **state)
{
	static const char *const cases[][2] = {
		{ "0", "key 'size', column 1: 0 is below the minimum, 1M" },
		{ "size=1048575", "key 'size', column 6: 1048575 is below the minimum, 1M" },
		{ "size=8192T", "key 'size', column 6: 8192T is above the maximum, 4096T" },
		{ "size=16777216T", "key 'size', column 6: 16777216T does not fit into 64 bits" },
		{ "1048577", "the size, 1048577, is no multiple of the page size, 4096" },
		{ "3M,backend=hugetlb,hugepage_size=2M",
		  "the size, 3145728, is no multiple of the page size, 2097152" },
		{ "6M,backend=hugetlb,hugepage_size=3M", "hugepage_size= is no power of two" },
		{ "1G,backend=file", "backend=file needs path=" },
		{ "1G,path=/x", "path= is for backend=file only" },
		{ "1G,hugepage_size=2M", "hugepage_size= is for backend=hugetlb only" },
		{ "1G,backend=hugetlb,thp=on", "backend=hugetlb has no transparent huge pages" },
		{ "1G,backend=memfd,shared=off", "backend=memfd is always shared" },
		{ "1G,thp=on,transparent_hugepage=on",
		  "key 'transparent_hugepage' is given twice, again at column 11" },
		{ "1G,backend=shm",
		  "key 'backend', column 12: 'shm' is none of: anon memfd hugetlb hugetlbfs file" },
		{ "1G,szie=2", "unknown key 'szie' for memory, at column 4; did you mean 'size'?" },
	};

	check_errors(*state, machine_parse_memory, cases, ARRAY_SIZE(cases));
}

static void check_cpu(struct machine_config *config, const char *text, uint32_t count,
		      uint32_t sockets, uint32_t cores, uint32_t threads)
{
	struct error err = { .text = "" };

	if (machine_parse_cpu(config, text, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(config->cpu.count, count);
	assert_int_equal(config->cpu.sockets, sockets);
	assert_int_equal(config->cpu.cores, cores);
	assert_int_equal(config->cpu.threads, threads);
}

static void test_cpu(void **state)
{
	struct machine_config *config = *state;

	check_cpu(config, "4", 4, 1, 4, 1);
	check_cpu(config, "count=1", 1, 1, 1, 1);
	check_cpu(config, "count=8,threads=2", 8, 1, 4, 2);
	check_cpu(config, "8,sockets=2", 8, 2, 4, 1);
	check_cpu(config, "8,sockets=2,cores=2,threads=2", 8, 2, 2, 2);
	check_cpu(config, "sockets=2,cores=3", 6, 2, 3, 1);
	check_cpu(config, "threads=2", 2, 1, 1, 2);
	check_cpu(config, "1024", 1024, 1, 1024, 1);
}

static void test_cpu_errors(void **state)
{
	static const char *const cases[][2] = {
		{ "", "no CPU count" },
		{ "0", "key 'count', column 1: 0 is below the minimum, 1" },
		{ "1025", "key 'count', column 1: 1025 is above the maximum, 1024" },
		{ "-1", "key 'count', column 1: '-1' is not a number (decimal, 0x, 0o or 0b, and "
			"perhaps one of the suffixes k, m, g, t)" },
		{ "4,sockets=3", "count=4 is not sockets=3 times cores=1 times threads=1" },
		{ "8,sockets=2,cores=2", "count=8 is not sockets=2 times cores=2 times threads=1" },
		{ "2,sockets=4", "count=2 is less than sockets=4 times threads=1" },
		{ "sockets=1024,cores=1024,threads=1024",
		  "1073741824 CPUs are more than the maximum, 1024" },
		{ "4,cores=0", "key 'cores', column 9: 0 is below the minimum, 1" },
	};

	check_errors(*state, machine_parse_cpu, cases, ARRAY_SIZE(cases));
}

static void test_hypervisor(void **state)
{
	static const char *const cases[][2] = {
		{ "", "key 'type' is missing for hypervisor" },
		{ "hvf", "key 'type', column 1: 'hvf' is none of: kvm" },
		{ "kvm,dev_kwm=/x", "unknown key 'dev_kwm' for hypervisor, at column 5; did you "
				    "mean 'dev_kvm'?" },
	};
	struct machine_config *config = *state;
	struct error err;

	assert_int_equal(machine_parse_hypervisor(config, "kvm", &err), 0);
	assert_null(config->dev_kvm);
	assert_int_equal(machine_parse_hypervisor(config, "kvm,dev_kvm=/dev/kvm2", &err), 0);
	assert_string_equal(config->dev_kvm, "/dev/kvm2");
	check_errors(config, machine_parse_hypervisor, cases, ARRAY_SIZE(cases));
	assert_string_equal(config->dev_kvm, "/dev/kvm2");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_defaults), TEST(test_memory),	    TEST(test_memory_errors),
		TEST(test_cpu),	     TEST(test_cpu_errors), TEST(test_hypervisor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
