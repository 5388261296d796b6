/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a device, what is left of it, and its identity. */
#include <errno.h>

#include "test_device_script.h"
#include "util/overflow.h"

/* Nothing of a device is in the machine. */
static void assert_gone(struct fixture *f)
{
	assert_int_equal(test_n_fds(), f->n_fds);
	assert_int_equal(test_bus_read(f->vm.pio, NULL, 0x500, 4), 0xffffffff);
	assert_int_equal(test_bus_read(f->vm.mmio, NULL, 0xd8000000, 4), 0xffffffff);
	assert_int_equal(test_pci_id(&f->vm, 0), 0xffffffff);
	assert_int_equal(test_pci_id(&f->vm, 1), 0xffffffff);
	assert_null(f->vm.port.client.ops);
	assert_null(f->vm.devices);
}

static void destroy_all(struct fixture *f)
{
	while (f->vm.devices) {
		struct vm_device *dev = f->vm.devices;

		f->vm.devices = dev->next;
		dev->destroy(dev);
	}
}

/* --- life --- */

static void test_life(void **state)
{
	struct fixture *f = *state;
	struct vm_device *dev;

	script_add(f, "");
	assert_string_equal(script.calls, "CR");
	dev = f->vm.devices;
	assert_string_equal(dev->name, "test0");
	assert_string_equal(script.dev->id, "test0");
	assert_int_equal(dev->resume(dev), 0);
	dev->reset(dev);
	assert_int_equal(script.reset_kind, ALCOR_RESET_WARM);
	dev->pause(dev);
	assert_int_equal(dev->resume(dev), 0);
	dev->pause(dev);
	destroy_all(f);
	assert_string_equal(script.calls, "CRSZPSPD");
	assert_gone(f);
}

/* create() has cleaned up after itself; the host takes back what it gave. */
static void test_create_fails(void **state)
{
	struct fixture *f = *state;

	script.create_steps =
		1 << STEP_WATCH | 1 << STEP_TIMER | 1 << STEP_DEFER | 1 << STEP_CONSOLE;
	script.create_result = -ENOENT;
	script.create_words = "open: no such thing";
	assert_int_equal(test_vm_add(&f->vm, &script_claim, "", &f->err), -ENOENT);
	assert_string_equal(f->err.text, TEST_OPTION ": open: no such thing");
	assert_int_equal(script.step_result[STEP_WATCH], 0);
	assert_int_equal(script.step_result[STEP_CONSOLE], 0);
	assert_string_equal(script.calls, "C");
	assert_gone(f);

	script.create_words = NULL;
	script.create_result = -EACCES;
	assert_int_equal(test_vm_add(&f->vm, &script_claim, "", &f->err), -EACCES);
	assert_string_equal(f->err.text, TEST_OPTION ": create: Permission denied");
	script.create_result = 5;
	assert_true(test_vm_add(&f->vm, &script_claim, "", &f->err) < 0);
	assert_gone(f);
}

/* realize() gives up after each possible registration, and with all of them. */
static void test_realize_fails(void **state)
{
	struct fixture *f = *state;
	unsigned i;

	for (i = 0; i <= N_STEPS; i++) {
		script.calls[0] = '\0';
		script.realize_steps = i < N_STEPS ? 1u << i : (1u << N_STEPS) - 1;
		script.realize_result = -EIO;
		assert_int_equal(test_vm_add(&f->vm, &script_claim, "", &f->err), -EIO);
		assert_string_equal(f->err.text, TEST_OPTION ": realize: Input/output error");
		if (i < N_STEPS)
			assert_int_equal(script.step_result[i], 0);
		assert_string_equal(script.calls, "CRD");
		assert_gone(f);
	}
	/* Words of create() are not those of realize(). */
	script.create_words = "about create";
	assert_int_equal(test_vm_add(&f->vm, &script_claim, "", &f->err), -EIO);
	assert_string_equal(f->err.text, TEST_OPTION ": realize: Input/output error");
	script.realize_words = "no room";
	assert_int_equal(test_vm_add(&f->vm, &script_claim, "", &f->err), -EIO);
	assert_string_equal(f->err.text, TEST_OPTION ": no room");
}

static void test_everything_revoked(void **state)
{
	struct fixture *f = *state;

	script.realize_steps = (1u << N_STEPS) - 1;
	script_add(f, "");
	assert_int_equal(test_pci_id(&f->vm, 0), 0x56781234);
	assert_int_equal(test_pci_id(&f->vm, 1), 0x10441af4);
	assert_int_equal(f->vm.n_acpi_nodes, 1);
	destroy_all(f);
	assert_gone(f);
	/* And may be had again. */
	memset(script.step_result, 0xff, sizeof(script.step_result));
	script_add(f, "");
	for (unsigned i = 0; i < N_STEPS; i++)
		assert_int_equal(script.step_result[i], 0);
}

static void test_only_in_realize(void **state)
{
	static const enum step guest_visible[] = { STEP_PIO, STEP_MMIO, STEP_PCI, STEP_VIRTIO,
						   STEP_ACPI };
	struct fixture *f = *state;
	unsigned i;

	script.create_steps = (1u << N_STEPS) - 1;
	script_add(f, "");
	for (i = 0; i < ARRAY_SIZE(guest_visible); i++) {
		assert_int_equal(script.step_result[guest_visible[i]], -EBUSY);
		assert_int_equal(script_step(script.dev, guest_visible[i]), -EBUSY);
	}
	assert_int_equal(script.step_result[STEP_CONSOLE], 0);
	assert_int_equal(script_step(script.dev, STEP_CONSOLE), -EBUSY);
	assert_int_equal(test_pci_id(&f->vm, 0), 0xffffffff);
}

/* --- identity --- */

static void test_ids(void **state)
{
	struct fixture *f = *state;

	script_add(f, "id=test1");
	assert_string_equal(f->vm.devices->name, "test1");
	script_add(f, "");
	assert_string_equal(f->vm.devices->name, "test0");
	script_add(f, "");
	assert_string_equal(f->vm.devices->name, "test2");
	script.calls[0] = '\0';
	assert_int_equal(test_vm_add(&f->vm, &script_claim, "id=test1", &f->err), -EEXIST);
	assert_string_equal(f->err.text, TEST_OPTION ": id: 'test1' is the id of another device");
	assert_int_equal(test_vm_add(&f->vm, &script_claim, "id=a/b", &f->err), -EINVAL);
	assert_int_equal(test_vm_add(&f->vm, &script_claim, "id=.x", &f->err), -EINVAL);
	assert_int_equal(test_vm_add(&f->vm, &script_claim, "id=\"\"", &f->err), -EINVAL);
	assert_string_equal(script.calls, "");
}

static void test_packed_param(void **state)
{
	static struct alcor_claim claim;
	struct fixture *f = *state;

	claim = script_claim;
	assert_true(test_vm_add(&f->vm, &claim, "packed=on", &f->err) < 0);
	claim.caps = ALCOR_CAP_VIRTIO;
	assert_int_equal(test_vm_add(&f->vm, &claim, "packed=on", &f->err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(test_life),
		SCRIPT_TEST(test_create_fails),
		SCRIPT_TEST(test_realize_fails),
		SCRIPT_TEST(test_everything_revoked),
		SCRIPT_TEST(test_only_in_realize),
		SCRIPT_TEST(test_ids),
		SCRIPT_TEST(test_packed_param),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
