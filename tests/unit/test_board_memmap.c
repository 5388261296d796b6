/* SPDX-License-Identifier: Apache-2.0 */
/* Where RAM and windows are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "board/arch.h"
#include "util/overflow.h"

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define TIB (1ull << 40)

/* Ends with an empty entry. */
static void assert_map(uint64_t ram, const struct memmap_entry *expected)
{
	const struct mem_config config = { .size = ram };
	struct memmap_entry map[BOARD_MAX_MEMMAP];
	struct error err = { "" };
	struct mem *mem;
	unsigned n, i;

	assert_int_equal(mem_new(NULL, &mem), 0);
	if (mem_add_ram(mem, &config, board_low_ram_limit(), board_max_ram_gpa(40), &err))
		fail_msg("%s", err.text);
	assert_int_equal(board_arch_memmap(mem, map, &n), 0);
	for (i = 0; expected[i].len; i++) {
		assert_true(i < n);
		assert_int_equal(map[i].base, expected[i].base);
		assert_int_equal(map[i].len, expected[i].len);
		assert_int_equal(map[i].type, expected[i].type);
	}
	assert_int_equal(n, i);
	mem_free(mem);
}

#define LOW                                           \
	{ 0, 640 * KIB, MEMMAP_RAM },                 \
	{                                             \
		640 * KIB, 384 * KIB, MEMMAP_RESERVED \
	}
#define FIXED                                       \
	{ 0xe0000000, 256 * MIB, MEMMAP_RESERVED }, \
	{                                           \
		0xfeffc000, 0x4000, MEMMAP_RESERVED \
	}

#define ASSERT_MAP(ram, ...)                                               \
	do {                                                               \
		const struct memmap_entry map_[] = { __VA_ARGS__, { 0 } }; \
		assert_map(ram, map_);                                     \
	} while (0)

static void test_memory_maps(void **state)
{
	ASSERT_MAP(1 * MIB, LOW, FIXED);
	ASSERT_MAP(128 * MIB, LOW, { 1 * MIB, 127 * MIB, MEMMAP_RAM }, FIXED);
	ASSERT_MAP(2 * GIB, LOW, { 1 * MIB, 2047 * MIB, MEMMAP_RAM }, FIXED);
	ASSERT_MAP(2 * GIB + 4 * KIB, LOW, { 1 * MIB, 2047 * MIB, MEMMAP_RAM }, FIXED,
		   { 4 * GIB, 4 * KIB, MEMMAP_RAM });
	ASSERT_MAP(6 * GIB, LOW, { 1 * MIB, 2047 * MIB, MEMMAP_RAM }, FIXED,
		   { 4 * GIB, 4 * GIB, MEMMAP_RAM });
}

static void test_windows_below_4_gib_are_where_the_map_says(void **state)
{
	struct pci_root_config config = { 0 };

	board_arch_windows(46, 4 * GIB, &config);
	assert_int_equal(config.mem32_prefetch.base, board_low_ram_limit());
	assert_int_equal(config.mem32_prefetch.len, 512 * MIB);
	assert_int_equal(config.mem32.base, 0xa0000000);
	assert_int_equal(config.mem32.len, 512 * MIB);
	assert_int_equal(config.ecam_base, 0xe0000000);
	assert_int_equal(config.io.base, 0x1000);
	assert_int_equal(config.io.len, 0xf000);
}

/* With whatever RAM: above it, aligned, reachable, and never silly. */
static void test_64_bit_window_fits_every_machine(void **state)
{
	struct pci_root_config config = { 0 };
	unsigned phys_bits, shift;
	uint64_t end, max;

	for (phys_bits = 36; phys_bits <= 52; phys_bits++) {
		max = board_max_ram_gpa(phys_bits);
		for (shift = 32; 1ull << shift <= max; shift++) {
			end = MIN((1ull << shift) + 5 * GIB, max);
			board_arch_windows(phys_bits, end, &config);
			assert_true(config.mem64.base >= end);
			assert_true(is_pow2(config.mem64.len));
			assert_int_equal(config.mem64.base % config.mem64.len, 0);
			assert_true(config.mem64.base + config.mem64.len <= 1ull << phys_bits);
			assert_true(config.mem64.len >= MIN((1ull << phys_bits) / 4, TIB));
		}
	}
}

static void test_64_bit_window_of_common_machines(void **state)
{
	struct pci_root_config config = { 0 };

	board_arch_windows(46, 4 * GIB, &config);
	assert_int_equal(config.mem64.base, TIB);
	assert_int_equal(config.mem64.len, TIB);
	board_arch_windows(39, 8 * GIB, &config);
	assert_int_equal(config.mem64.base, 256 * GIB);
	assert_int_equal(config.mem64.len, 256 * GIB);
	assert_int_equal(board_max_ram_gpa(39), 384 * GIB);
	assert_int_equal(board_max_ram_gpa(48), 255 * TIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_maps),
		cmocka_unit_test(test_windows_below_4_gib_are_where_the_map_says),
		cmocka_unit_test(test_64_bit_window_fits_every_machine),
		cmocka_unit_test(test_64_bit_window_of_common_machines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
