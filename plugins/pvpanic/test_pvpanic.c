/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "alcor_testing.h"

static struct alcor_fake *fake;

static int setup(void **state)
{
	fake = alcor_fake_new(PLUGIN_PATH, "pvpanic/pci");
	return alcor_fake_create(fake, "") || alcor_fake_realize(fake);
}

static int teardown(void **state)
{
	alcor_fake_free(fake);
	return 0;
}

static void test_function(void **state)
{
	assert_int_equal(fake->pci_desc.vendor_id, 0x1b36);
	assert_int_equal(fake->pci_desc.device_id, 0x0011);
	assert_int_equal(fake->pci_desc.class_base, 0x08);
	assert_int_equal(fake->pci_desc.class_sub, 0x80);
	assert_int_equal(fake->pci_desc.n_vectors, 0);
	assert_int_equal(fake->bars[0].len, 16);
	assert_int_equal(fake->pci_desc.bars[0].flags, 0);
}

static void test_read_tells_the_events(void **state)
{
	assert_int_equal(alcor_fake_read(&fake->bars[0], 0, 1), 0x03);
	assert_int_equal(alcor_fake_read(&fake->bars[0], 0, 4), 0x03);
	assert_int_equal(alcor_fake_read(&fake->bars[0], 1, 1), 0x00);
	assert_int_equal(fake->n_events, 0);
}

static void test_panic_is_reported(void **state)
{
	alcor_fake_write(&fake->bars[0], 0, 1, 0x01);
	assert_int_equal(fake->n_events, 1);
	assert_int_equal(fake->last_event, ALCOR_VM_PANIC);
}

static void test_crash_kernel_is_only_logged(void **state)
{
	alcor_fake_write(&fake->bars[0], 0, 1, 0x02);
	assert_int_equal(fake->n_events, 0);
	assert_int_equal(fake->n_logs, 1);
}

static void test_other_writes_are_ignored(void **state)
{
	alcor_fake_write(&fake->bars[0], 0, 1, 0xfc);
	alcor_fake_write(&fake->bars[0], 1, 1, 0x01);
	alcor_fake_write(&fake->bars[0], 8, 8, ~0ull);
	assert_int_equal(fake->n_events, 0);
	assert_int_equal(fake->n_logs, 0);
}

static void test_manual(void **state)
{
	assert_true(alcor_fake_manual_complete(fake->plugin, MANUAL_PATH));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_function),
		TEST(test_read_tells_the_events),
		TEST(test_panic_is_reported),
		TEST(test_crash_kernel_is_only_logged),
		TEST(test_other_writes_are_ignored),
		TEST(test_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
