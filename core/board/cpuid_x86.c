/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID (Intel SDM volume 2, CPUID; AMD64 APM volume 3, appendix E). Features are left as the
 * hypervisor offers them; only what tells CPUs apart is written here.
 */
#include "board/cpuid_x86.h"

#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/overflow.h"

#define LEAF_FEATURES	    0x1
#define LEAF_CACHE_INTEL    0x4
#define LEAF_TOPOLOGY	    0xb
#define LEAF_TOPOLOGY_V2    0x1f
#define LEAF_EXT	    0x80000000
#define LEAF_EXT_FEATURES   0x80000001
#define LEAF_BRAND	    0x80000002 /* and two more */
#define LEAF_SIZES	    0x80000008
#define LEAF_CACHE_AMD	    0x8000001d
#define LEAF_TOPOLOGY_AMD   0x8000001e
#define LEAF_TOPOLOGY_AMD_2 0x80000026

#define VENDOR_AMD	0x68747541 /* "Auth" */
#define VENDOR_HYGON	0x6f677948 /* "Hygo" */
#define ECX1_HYPERVISOR (1u << 31)
#define EDX1_HTT	(1u << 28)
#define EXT_CMP_LEGACY	(1u << 1)
#define EXT_TOPOEXT	(1u << 22)
#define LEVEL_SMT	1 /* of leaves 0xb and 0x1f */
#define LEVEL_CORE	2
#define N_ADDED		(3 + 2 * 3) /* brand, and both topology leaves */

struct cpuid {
	struct hv_cpuid *leaves;
	unsigned n;
	bool amd; /* or one that follows it */
	bool topoext;
	uint32_t max; /* basic leaf */
	uint32_t index, id;
	unsigned thread_bits, core_bits; /* of the id */
	uint32_t threads, cores;	 /* of a core, of a socket */
};

/* Bits that numbers below @n take. */
static unsigned bits_of(uint32_t n)
{
	return n > 1 ? 32 - (unsigned)__builtin_clz(n - 1) : 0;
}

uint32_t cpuid_apic_id(const struct cpu_topology *topology, uint32_t index)
{
	unsigned thread_bits = bits_of(topology->threads), core_bits = bits_of(topology->cores);
	uint32_t thread = index % topology->threads;
	uint32_t core = index / topology->threads % topology->cores;
	uint32_t socket = index / topology->threads / topology->cores;

	return socket << (core_bits + thread_bits) | core << thread_bits | thread;
}

static void put_bits(uint32_t *reg, unsigned first, unsigned n, uint32_t value)
{
	uint32_t mask = (n < 32 ? (1u << n) - 1 : UINT32_MAX);

	*reg = (*reg & ~(mask << first)) | MIN(value, mask) << first;
}

static bool is_rebuilt(uint32_t leaf)
{
	return leaf == LEAF_TOPOLOGY || leaf == LEAF_TOPOLOGY_V2 || leaf == LEAF_TOPOLOGY_AMD_2 ||
	       (leaf >= LEAF_BRAND && leaf < LEAF_BRAND + 3);
}

static struct hv_cpuid *cpuid_find(struct cpuid *cpuid, uint32_t leaf)
{
	unsigned i;

	for (i = 0; i < cpuid->n; i++)
		if (cpuid->leaves[i].leaf == leaf)
			return &cpuid->leaves[i];
	return NULL;
}

/* The array has room for N_ADDED. */
static void cpuid_add(struct cpuid *cpuid, const struct hv_cpuid *leaf)
{
	cpuid->leaves[cpuid->n++] = *leaf;
}

static void cpuid_edit_features(struct cpuid *cpuid, struct hv_cpuid *leaf)
{
	put_bits(&leaf->ebx, 24, 8, cpuid->id & 0xff);
	put_bits(&leaf->ebx, 16, 8, 1u << (cpuid->thread_bits + cpuid->core_bits));
	leaf->ecx |= ECX1_HYPERVISOR;
	put_bits(&leaf->edx, 28, 1, cpuid->threads * cpuid->cores > 1);
}

/* CPUs whose ids differ only in the low bits returned share the cache of @level. */
static unsigned cache_bits(const struct cpuid *cpuid, unsigned level)
{
	return level < 3 ? cpuid->thread_bits : cpuid->thread_bits + cpuid->core_bits;
}

/* Both vendors: type in the lowest bits, level above, sharing from bit 14 on. */
static void cpuid_edit_cache(struct cpuid *cpuid, struct hv_cpuid *leaf)
{
	unsigned level = leaf->eax >> 5 & 7;

	if (!(leaf->eax & 0x1f))
		return;
	put_bits(&leaf->eax, 14, 12, (1u << cache_bits(cpuid, level)) - 1);
	if (leaf->leaf == LEAF_CACHE_INTEL)
		put_bits(&leaf->eax, 26, 6, (1u << cpuid->core_bits) - 1);
}

static void cpuid_edit_amd(struct cpuid *cpuid, struct hv_cpuid *leaf)
{
	uint32_t in_socket = cpuid->threads * cpuid->cores;

	switch (leaf->leaf) {
	case LEAF_EXT_FEATURES:
		put_bits(&leaf->ecx, 1, 1, in_socket > 1);
		break;
	case LEAF_SIZES:
		put_bits(&leaf->ecx, 0, 8, in_socket - 1);
		put_bits(&leaf->ecx, 12, 4, cpuid->thread_bits + cpuid->core_bits);
		break;
	case LEAF_CACHE_AMD:
		if (cpuid->topoext)
			cpuid_edit_cache(cpuid, leaf);
		break;
	case LEAF_TOPOLOGY_AMD:
		if (!cpuid->topoext)
			break;
		leaf->eax = cpuid->id;
		leaf->ebx = 0;
		put_bits(&leaf->ebx, 0, 8, cpuid->index / cpuid->threads % cpuid->cores);
		put_bits(&leaf->ebx, 8, 8, cpuid->threads - 1);
		/* One node in each processor, numbered as the sockets. */
		leaf->ecx = 0;
		put_bits(&leaf->ecx, 0, 8, cpuid->index / in_socket);
		leaf->edx = 0;
		break;
	}
}

static void cpuid_edit(struct cpuid *cpuid, struct hv_cpuid *leaf)
{
	switch (leaf->leaf) {
	case 0:
		leaf->eax = cpuid->max;
		break;
	case LEAF_FEATURES:
		cpuid_edit_features(cpuid, leaf);
		break;
	case LEAF_CACHE_INTEL:
		cpuid_edit_cache(cpuid, leaf);
		break;
	default:
		if (cpuid->amd)
			cpuid_edit_amd(cpuid, leaf);
	}
}

static void cpuid_add_topology(struct cpuid *cpuid, uint32_t leaf)
{
	const struct hv_cpuid levels[] = {
		{ .eax = cpuid->thread_bits, .ebx = cpuid->threads, .ecx = LEVEL_SMT << 8 },
		{ .eax = cpuid->thread_bits + cpuid->core_bits,
		  .ebx = cpuid->threads * cpuid->cores,
		  .ecx = LEVEL_CORE << 8 },
		{ 0 },
	};
	struct hv_cpuid level;
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(levels); i++) {
		level = levels[i];
		level.leaf = leaf;
		level.subleaf = i;
		level.subleaf_matters = true;
		level.ecx |= i;
		level.edx = cpuid->id;
		cpuid_add(cpuid, &level);
	}
}

/* The host's: guests and their users expect the name of the processor they run on. */
static void cpuid_add_brand(struct cpuid *cpuid)
{
	struct hv_cpuid leaf = { 0 };
	uint32_t i;

	if ((uint32_t)__get_cpuid_max(LEAF_EXT, NULL) < LEAF_BRAND + 2)
		return;
	for (i = 0; i < 3; i++) {
		leaf.leaf = LEAF_BRAND + i;
		__cpuid(leaf.leaf, leaf.eax, leaf.ebx, leaf.ecx, leaf.edx);
		cpuid_add(cpuid, &leaf);
	}
}

static void cpuid_look(struct cpuid *cpuid)
{
	const struct hv_cpuid *leaf = cpuid_find(cpuid, 0);

	if (leaf) {
		cpuid->amd = leaf->ebx == VENDOR_AMD || leaf->ebx == VENDOR_HYGON;
		cpuid->max = MAX(leaf->eax, LEAF_TOPOLOGY);
	}
	leaf = cpuid_find(cpuid, LEAF_EXT_FEATURES);
	cpuid->topoext = leaf && leaf->ecx & EXT_TOPOEXT;
}

int cpuid_build(const struct hv_cpuid *offered, unsigned n_offered,
		const struct cpu_topology *topology, uint32_t index, struct hv_cpuid **ret_leaves,
		unsigned *ret_n)
{
	CLEANUP_FREE struct hv_cpuid *leaves = calloc(n_offered + N_ADDED, sizeof(*leaves));
	struct cpuid cpuid = {
		.leaves = leaves,
		.index = index,
		.id = cpuid_apic_id(topology, index),
		.thread_bits = bits_of(topology->threads),
		.core_bits = bits_of(topology->cores),
		.threads = topology->threads,
		.cores = topology->cores,
	};
	unsigned i;

	if (!leaves)
		return -ENOMEM;
	for (i = 0; i < n_offered; i++)
		if (!is_rebuilt(offered[i].leaf))
			cpuid_add(&cpuid, &offered[i]);
	cpuid_look(&cpuid);
	for (i = 0; i < cpuid.n; i++)
		cpuid_edit(&cpuid, &leaves[i]);
	cpuid_add_topology(&cpuid, LEAF_TOPOLOGY);
	if (cpuid.max >= LEAF_TOPOLOGY_V2)
		cpuid_add_topology(&cpuid, LEAF_TOPOLOGY_V2);
	cpuid_add_brand(&cpuid);
	*ret_leaves = TAKE_PTR(leaves);
	*ret_n = cpuid.n;
	return 0;
}
