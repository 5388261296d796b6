/* SPDX-License-Identifier: Apache-2.0 */
/* What CPUs are told of themselves and of each other. */
#include "board/cpuid_x86.h"

#include <cpuid.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "util/overflow.h"

static const struct cpu_topology single = { 1, 1, 1, 1 };
static const struct cpu_topology gaps = { 12, 2, 3, 2 };    /* ids have gaps: 3 cores in 2 bits */
static const struct cpu_topology wide = { 300, 1, 150, 2 }; /* more than bytes can say */

static const struct hv_cpuid intel[] = {
	{ 0, 0, false, 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69 },
	{ 1, 0, false, 0x906ea, 0xff000800, 0x01200000, 0x178bfbff },
	{ 4, 0, true, 0x1c004121, 1, 2, 3 },
	{ 4, 3, true, 0x1c03c163, 1, 2, 3 },
	{ 4, 4, true, 0, 0, 0, 0 },
	{ 7, 0, true, 1, 2, 3, 4 },
	{ 0xb, 0, true, 7, 7, 7, 7 },
	{ 0x1f, 0, true, 7, 7, 7, 7 },
	{ 0x40000000, 0, false, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d },
	{ 0x80000001, 0, false, 0, 0, 0x121, 0x2c100800 },
	{ 0x80000008, 0, false, 0x3027, 0, 0, 0 },
};

static const struct hv_cpuid amd[] = {
	{ 0, 0, false, 0x7, 0x68747541, 0x444d4163, 0x69746e65 },
	{ 1, 0, false, 0x800f12, 0x00020800, 0, 0 },
	{ 0x80000001, 0, false, 0, 0, 1 << 22, 0 },
	{ 0x80000008, 0, false, 0x3030, 0, 0x7007, 0 },
	{ 0x8000001d, 0, true, 0x121, 1, 2, 3 },
	{ 0x8000001d, 3, true, 0x163, 1, 2, 3 },
	{ 0x8000001e, 0, false, 9, 9, 9, 9 },
	{ 0x80000026, 0, true, 9, 9, 9, 9 },
};

struct built {
	struct hv_cpuid *leaves;
	unsigned n;
};

static void build(struct built *b, const struct hv_cpuid *offered, unsigned n,
		  const struct cpu_topology *topology, uint32_t index)
{
	assert_int_equal(cpuid_build(offered, n, topology, index, &b->leaves, &b->n), 0);
}

static const struct hv_cpuid *find(const struct built *b, uint32_t leaf, uint32_t subleaf)
{
	const struct hv_cpuid *found = NULL;
	unsigned i;

	for (i = 0; i < b->n; i++)
		if (b->leaves[i].leaf == leaf && b->leaves[i].subleaf == subleaf) {
			assert_null(found); /* each once */
			found = &b->leaves[i];
		}
	return found;
}

static void assert_leaf(const struct built *b, uint32_t leaf, uint32_t subleaf, uint32_t eax,
			uint32_t ebx, uint32_t ecx, uint32_t edx)
{
	const struct hv_cpuid *l = find(b, leaf, subleaf);

	assert_non_null(l);
	assert_int_equal(l->eax, eax);
	assert_int_equal(l->ebx, ebx);
	assert_int_equal(l->ecx, ecx);
	assert_int_equal(l->edx, edx);
}

static void test_ids_are_packed_by_topology(void **state)
{
	static const uint32_t ids[12] = { 0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13 };
	uint32_t i;

	for (i = 0; i < 12; i++)
		assert_int_equal(cpuid_apic_id(&gaps, i), ids[i]);
	assert_int_equal(cpuid_apic_id(&single, 0), 0);
	assert_int_equal(cpuid_apic_id(&wide, 299), 299);
}

static void test_intel_topology(void **state)
{
	struct built b;

	build(&b, intel, ARRAY_SIZE(intel), &gaps, 9); /* second socket, core 1, thread 1 */
	/* Id 11, 8 ids a package, cache line kept; hypervisor bit; HTT. */
	assert_leaf(&b, 1, 0, 0x906ea, 0x0b080800, 0x81200000, 0x178bfbff);
	/* L1 for the two threads of a core, L3 for the package of 4 possible cores. */
	assert_leaf(&b, 4, 0, 0x0c004121, 1, 2, 3);
	assert_leaf(&b, 4, 3, 0x0c01c163, 1, 2, 3);
	assert_leaf(&b, 4, 4, 0, 0, 0, 0);
	assert_leaf(&b, 0xb, 0, 1, 2, 0x100, 11);
	assert_leaf(&b, 0xb, 1, 3, 6, 0x201, 11);
	assert_leaf(&b, 0xb, 2, 0, 0, 2, 11);
	assert_leaf(&b, 0x1f, 0, 1, 2, 0x100, 11);
	assert_leaf(&b, 0x1f, 1, 3, 6, 0x201, 11);
	assert_leaf(&b, 0x1f, 2, 0, 0, 2, 11);
	/* What is not about identity stays, AMD's fields too. */
	assert_leaf(&b, 0, 0, 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69);
	assert_leaf(&b, 7, 0, 1, 2, 3, 4);
	assert_leaf(&b, 0x40000000, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d);
	assert_leaf(&b, 0x80000001, 0, 0, 0, 0x121, 0x2c100800);
	assert_leaf(&b, 0x80000008, 0, 0x3027, 0, 0, 0);
	free(b.leaves);
}

static void test_amd_topology(void **state)
{
	struct built b;

	build(&b, amd, ARRAY_SIZE(amd), &gaps, 9);
	assert_leaf(&b, 0, 0, 0xb, 0x68747541, 0x444d4163, 0x69746e65); /* raised for leaf 0xb */
	assert_leaf(&b, 1, 0, 0x800f12, 0x0b080800, 1u << 31, 1 << 28);
	assert_leaf(&b, 0xb, 1, 3, 6, 0x201, 11);
	assert_null(find(&b, 0x1f, 0));
	assert_leaf(&b, 0x80000001, 0, 0, 0, 1 << 22 | 1 << 1, 0);
	assert_leaf(&b, 0x80000008, 0, 0x3030, 0, 0x3005, 0);
	assert_leaf(&b, 0x8000001d, 0, 0x4121, 1, 2, 3);
	assert_leaf(&b, 0x8000001d, 3, 0x1c163, 1, 2, 3);
	assert_leaf(&b, 0x8000001e, 0, 11, 0x0101, 1, 0);
	assert_null(find(&b, 0x80000026, 0));
	free(b.leaves);
}

static void test_amd_without_extensions(void **state)
{
	struct hv_cpuid old[ARRAY_SIZE(amd)];
	struct built b;

	memcpy(old, amd, sizeof(old));
	old[2].ecx = 0;
	build(&b, old, ARRAY_SIZE(old), &gaps, 9);
	assert_leaf(&b, 0x8000001e, 0, 9, 9, 9, 9);
	assert_leaf(&b, 0x8000001d, 0, 0x121, 1, 2, 3);
	free(b.leaves);
}

static void test_single_cpu(void **state)
{
	struct built b;

	build(&b, intel, ARRAY_SIZE(intel), &single, 0);
	assert_leaf(&b, 1, 0, 0x906ea, 0x00010800, 0x81200000, 0x078bfbff); /* no HTT */
	assert_leaf(&b, 4, 3, 0x00000163, 1, 2, 3);
	assert_leaf(&b, 0xb, 0, 0, 1, 0x100, 0);
	assert_leaf(&b, 0xb, 1, 0, 1, 0x201, 0);
	free(b.leaves);
}

static void test_numbers_that_do_not_fit_saturate(void **state)
{
	struct built b;

	build(&b, intel, ARRAY_SIZE(intel), &wide, 299);
	assert_int_equal(find(&b, 1, 0)->ebx, 0x2bff0800); /* low byte of id 299; 255 */
	assert_int_equal(find(&b, 4, 0)->eax >> 26, 63);
	assert_leaf(&b, 0xb, 1, 9, 300, 0x201, 299);
	free(b.leaves);
	build(&b, amd, ARRAY_SIZE(amd), &wide, 299);
	assert_leaf(&b, 0x80000008, 0, 0x3030, 0, 0x90ff, 0);
	free(b.leaves);
}

static void test_brand_is_the_hosts(void **state)
{
	uint32_t a = 0, b_ = 0, c = 0, d = 0, i;
	struct built b;

	build(&b, amd, ARRAY_SIZE(amd), &single, 0);
	for (i = 0; i < 3; i++) {
		assert_true(__get_cpuid(0x80000002 + i, &a, &b_, &c, &d));
		assert_leaf(&b, 0x80000002 + i, 0, a, b_, c, d);
	}
	free(b.leaves);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids_are_packed_by_topology),
		cmocka_unit_test(test_intel_topology),
		cmocka_unit_test(test_amd_topology),
		cmocka_unit_test(test_amd_without_extensions),
		cmocka_unit_test(test_single_cpu),
		cmocka_unit_test(test_numbers_that_do_not_fit_saturate),
		cmocka_unit_test(test_brand_is_the_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
