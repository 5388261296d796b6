/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a virtio device: negotiation, activation, reset, queue reset, configuration. */
#include "test_virtio_driver.h"

#include <errno.h>

static const struct rig_options split = { .size = 16 };
static const struct rig_buf bufs[] = { { RIG_DATA, 4 }, { RIG_DATA + 64, 8 } };

static bool echoes(struct rig *rig, uint16_t q)
{
	uint32_t len = 0;
	uint16_t id;

	rig_add(rig, q, bufs, 1, 1, 0);
	rig_kick(rig, q);
	rig_pump(rig);
	return rig_used(rig, q, &id, &len) && len == 4;
}

static void set_features(struct rig *rig, uint64_t features)
{
	virtio_set_driver_features(rig->dev, 0, (uint32_t)features);
	virtio_set_driver_features(rig->dev, 1, (uint32_t)(features >> 32));
}

static void test_negotiation(void **state)
{
	struct rig rig;
	uint64_t offered;

	rig_open(&rig, &split);
	offered = virtio_offered_features(rig.dev);
	assert_int_equal(offered, BIT(3) | BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) |
					  BIT(VIRTIO_RING_F_INDIRECT_DESC) |
					  BIT(VIRTIO_F_RING_RESET));
	virtio_set_status(rig.dev, 3);
	set_features(&rig, offered | BIT(5));
	virtio_set_status(rig.dev, 11);
	assert_int_equal(virtio_status(rig.dev), 3);
	set_features(&rig, offered & ~BIT(VIRTIO_F_VERSION_1));
	virtio_set_status(rig.dev, 11);
	assert_int_equal(virtio_status(rig.dev), 3);
	/* Without agreement there is no DRIVER_OK. */
	virtio_set_status(rig.dev, 15);
	rig_pump(&rig);
	assert_int_equal(virtio_status(rig.dev), 3);
	assert_string_equal(rig.events, "");
	/* A word beyond the second has no bits. */
	set_features(&rig, BIT(VIRTIO_F_VERSION_1));
	virtio_set_driver_features(rig.dev, 2, 1);
	virtio_set_driver_features(rig.dev, 0xffffffff, 1);
	virtio_set_status(rig.dev, 11);
	assert_int_equal(virtio_status(rig.dev), 11);
	set_features(&rig, offered);
	assert_int_equal(virtio_driver_features(rig.dev), BIT(VIRTIO_F_VERSION_1));
	rig.features = BIT(VIRTIO_F_VERSION_1);
	virtio_set_status(rig.dev, 15);
	rig_pump(&rig);
	assert_string_equal(rig.events, "A");
	/* Bits stay until a reset; the device's own are not the driver's. */
	virtio_set_status(rig.dev, 1);
	virtio_set_status(rig.dev, 0xff & ~VIRTIO_CONFIG_S_FAILED);
	assert_int_equal(virtio_status(rig.dev), 15);
	rig_close(&rig);
}

static void test_packed_offer(void **state)
{
	struct rig_options packed = { .packed = true };
	struct rig rig;

	rig_open(&rig, &packed);
	assert_true(virtio_offered_features(rig.dev) & BIT(VIRTIO_F_RING_PACKED));
	rig_close(&rig);
}

static void test_reset(void **state)
{
	struct virtio_queue_regs regs;
	struct rig rig;

	rig_open(&rig, &split);
	rig.mode = RIG_HOLD;
	rig_start(&rig);
	rig_add(&rig, 2, bufs, 1, 1, 0);
	rig_pump(&rig);
	assert_string_equal(rig.events, "A");
	assert_int_equal(rig.n_held, 1);

	/* The driver sees the reset only when all is over; what it writes until then is ignored. */
	virtio_set_status(rig.dev, 0);
	virtio_set_status(rig.dev, VIRTIO_CONFIG_S_FAILED);
	assert_int_equal(virtio_status(rig.dev), 15);
	virtio_set_driver_features(rig.dev, 0, 0);
	virtio_queue_set_size(rig.dev, 0, 4);
	virtio_queue_reset(rig.dev, 0);
	virtio_queue_enable(rig.dev, 0);
	rig_pump(&rig);
	assert_int_equal(virtio_status(rig.dev), 0);
	assert_string_equal(rig.events, "AS0S1S2D");
	assert_int_equal(rig.n_held, 0);
	assert_int_equal(virtio_driver_features(rig.dev), 0);
	assert_int_equal(virtio_queue_regs(rig.dev, 0, &regs), 0);
	assert_int_equal(regs.size, 16);
	assert_int_equal(regs.desc | regs.driver | regs.device, 0);
	assert_false(regs.enabled || regs.resetting);
	assert_int_equal(virtio_vq_pop(virtio_vq(rig.dev, 0), rig.held, 1), 0);

	rig.mode = RIG_ECHO;
	for (unsigned i = 0; i < 100; i++) {
		rig.events[0] = 0;
		rig_start(&rig);
		assert_true(echoes(&rig, 0));
		assert_true(echoes(&rig, 2));
		virtio_set_status(rig.dev, 0);
		rig_pump(&rig);
		assert_int_equal(virtio_status(rig.dev), 0);
		assert_string_equal(rig.events, "AS0S1S2D");
	}
	/* DRIVER_OK and reset before the loop came to either. */
	rig.events[0] = 0;
	rig_start(&rig);
	virtio_set_status(rig.dev, 0);
	rig_pump(&rig);
	assert_int_equal(virtio_status(rig.dev), 0);
	assert_string_equal(rig.events, "");
	/* Before DRIVER_OK a reset is done at once, so that the driver can go on. */
	rig_negotiate(&rig);
	virtio_set_status(rig.dev, 0);
	assert_int_equal(virtio_status(rig.dev), 0);
	rig_start(&rig);
	assert_true(echoes(&rig, 1));
	rig_close(&rig);
}

static void test_machine_reset(void **state)
{
	struct rig rig;

	rig_open(&rig, &split);
	rig_start(&rig);
	assert_true(echoes(&rig, 0));
	virtio_machine_reset(rig.dev);
	assert_int_equal(virtio_status(rig.dev), 0);
	assert_string_equal(rig.events, "AS0S1S2D");
	rig_start(&rig);
	assert_true(echoes(&rig, 0));
	rig_close(&rig);
}

/* Only queues that the driver enabled are the plugin's business. */
static void test_unused_queues(void **state)
{
	struct rig rig;

	rig_open(&rig, &split);
	rig_negotiate(&rig);
	rig_setup_queue(&rig, 1, 8);
	virtio_set_status(rig.dev, 15);
	assert_true(echoes(&rig, 1));
	virtio_vq_kick(virtio_vq(rig.dev, 0));
	rig.n_queue_calls = 0;
	rig_pump(&rig);
	assert_int_equal(rig.n_queue_calls, 0);
	assert_null(virtio_vq(rig.dev, RIG_QUEUES));
	assert_int_equal(virtio_queue_doorbell(rig.dev, RIG_QUEUES), -1);
	virtio_set_status(rig.dev, 0);
	rig_pump(&rig);
	assert_string_equal(rig.events, "AS1D");
	rig_close(&rig);
}

static void test_frozen_registers(void **state)
{
	struct virtio_queue_regs before, after;
	struct rig rig;

	rig_open(&rig, &split);
	virtio_queue_set_size(rig.dev, 0, 32);
	virtio_queue_set_size(rig.dev, 0, 0);
	virtio_queue_regs(rig.dev, 0, &before);
	assert_int_equal(before.size, 16);
	/* Not before features are agreed on. */
	virtio_queue_enable(rig.dev, 0);
	virtio_queue_regs(rig.dev, 0, &before);
	assert_false(before.enabled);
	rig_start(&rig);
	virtio_queue_regs(rig.dev, 0, &before);
	virtio_queue_set_size(rig.dev, 0, 8);
	for (unsigned i = 0; i < 6; i++)
		virtio_queue_set_area(rig.dev, 0, i / 2, i % 2, 0xfffff000);
	virtio_queue_set_area(rig.dev, 0, 3, 0, 1);
	virtio_queue_regs(rig.dev, 0, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_true(echoes(&rig, 0));
	rig_close(&rig);
}

static void test_queue_reset(void **state)
{
	struct virtio_queue_regs regs;
	struct rig rig;

	for (unsigned packed = 0; packed < 2; packed++) {
		struct rig_options options = { .size = 16, .packed = packed };

		rig_open(&rig, &options);
		rig.mode = RIG_HOLD;
		rig_start(&rig);
		rig_add(&rig, 1, bufs, 1, 1, 0);
		rig_add(&rig, 2, bufs, 1, 1, 0);
		rig_pump(&rig);
		assert_int_equal(rig.n_held, 2);
		for (unsigned i = 0; i < 5; i++)
			virtio_queue_reset(rig.dev, 1);
		virtio_queue_regs(rig.dev, 1, &regs);
		assert_true(regs.resetting && regs.enabled);
		rig_pump(&rig);
		virtio_queue_regs(rig.dev, 1, &regs);
		assert_false(regs.resetting || regs.enabled);
		assert_string_equal(rig.events, "AS1");
		assert_int_equal(rig.n_held, 1);

		rig.mode = RIG_ECHO;
		rig_setup_queue(&rig, 1, 4);
		assert_true(echoes(&rig, 1));
		assert_true(echoes(&rig, 0));
		assert_int_equal(virtio_status(rig.dev), 15);
		virtio_set_status(rig.dev, 0);
		rig_pump(&rig);
		assert_string_equal(rig.events, "AS1S0S1S2D");
		rig_close(&rig);
	}
}

static void test_queue_reset_not_negotiated(void **state)
{
	struct virtio_queue_regs regs;
	struct rig rig;

	rig_open(&rig, &split);
	rig.features &= ~BIT(VIRTIO_F_RING_RESET);
	rig_start(&rig);
	virtio_queue_reset(rig.dev, 1);
	virtio_queue_regs(rig.dev, 1, &regs);
	assert_false(regs.resetting);
	assert_true(echoes(&rig, 1));
	rig_close(&rig);
}

static void test_optional_callbacks(void **state)
{
	struct rig rig;

	rig_open(&rig, &split);
	rig.ops.activate = NULL;
	rig.ops.deactivate = NULL;
	rig.ops.config_write = NULL;
	rig_start(&rig);
	virtio_config_write(rig.dev, 0, "a", 1);
	assert_true(echoes(&rig, 0));
	virtio_set_status(rig.dev, 0);
	rig_pump(&rig);
	assert_int_equal(virtio_status(rig.dev), 0);
	assert_string_equal(rig.events, "S0S1S2");
	rig_close(&rig);
}

static void test_activation_fails(void **state)
{
	struct rig rig;

	rig_open(&rig, &split);
	rig.activate_result = -EIO;
	rig_start(&rig);
	assert_false(echoes(&rig, 0));
	assert_int_equal(virtio_status(rig.dev), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(rig.config_interrupts, 1);
	assert_int_equal(rig.n_queue_calls, 0);
	rig.activate_result = 0;
	virtio_set_status(rig.dev, 0);
	rig_pump(&rig);
	rig_start(&rig);
	assert_true(echoes(&rig, 0));
	assert_string_equal(rig.events, "AA");
	rig_close(&rig);
}

static void test_config(void **state)
{
	uint8_t generation, data[8] = { 9, 9, 9, 9 };
	struct rig rig;

	rig_open(&rig, &split);
	virtio_config_read(rig.dev, 4, data, 4);
	assert_memory_equal(data, "\5\6\7\10", 4);
	virtio_config_read(rig.dev, RIG_CONFIG - 2, data, 4);
	assert_memory_equal(data, "\0\0\xff\xff", 4);
	virtio_config_read(rig.dev, ~0u, data, 8);
	assert_memory_equal(data, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);

	/* A change is told only to a driver that runs. */
	generation = virtio_config_generation(rig.dev);
	assert_int_equal(virtio_config_update(rig.dev, 8, "abcd", 4), 0);
	assert_int_not_equal(virtio_config_generation(rig.dev), generation);
	assert_int_equal(rig.config_interrupts, 0);
	assert_int_equal(virtio_config_update(rig.dev, RIG_CONFIG - 3, "abcd", 4), -EINVAL);
	assert_int_equal(virtio_config_update(rig.dev, ~0u - 1, "abcd", 4), -EINVAL);
	rig_start(&rig);
	rig_pump(&rig);
	generation = virtio_config_generation(rig.dev);
	assert_int_equal(virtio_config_update(rig.dev, 8, "efgh", 4), 0);
	assert_int_not_equal(virtio_config_generation(rig.dev), generation);
	assert_int_equal(rig.config_interrupts, 1);
	virtio_config_read(rig.dev, 8, data, 4);
	assert_memory_equal(data, "efgh", 4);
	rig_close(&rig);
}

static void test_config_write(void **state)
{
	uint8_t data[4];
	struct rig rig;

	rig_open(&rig, &split);
	/* The plugin hears of writes and activation in the driver's order. */
	virtio_config_write(rig.dev, 0, "\x11", 1);
	rig_start(&rig);
	virtio_config_write(rig.dev, 1, "\x22", 1);
	rig_pump(&rig);
	assert_string_equal(rig.events, "AC");
	/* What was written before the reset that rig_start() begins with is void. */
	assert_int_equal(rig.config_first, 0x22);
	virtio_config_read(rig.dev, 0, data, 2);
	assert_memory_equal(data, "\x01\x22", 2);

	/* What the plugin refuses is not there; nor is what does not fit. */
	rig.config_result = -EINVAL;
	virtio_config_write(rig.dev, 1, "\x33", 1);
	virtio_config_write(rig.dev, RIG_CONFIG - 1, "\x33\x33", 2);
	rig_pump(&rig);
	assert_int_equal(rig.config_writes, 2);
	virtio_config_read(rig.dev, 0, data, 2);
	assert_memory_equal(data, "\x01\x22", 2);

	/* However much a driver writes, a bounded number waits. */
	rig.config_result = 0;
	rig.events[0] = 0;
	for (unsigned i = 0; i < 100000; i++)
		virtio_config_write(rig.dev, 2, "\x44", 1);
	rig_pump(&rig);
	assert_in_range(rig.config_writes, 3, 200);
	assert_true(echoes(&rig, 0));
	rig_close(&rig);
}

static void test_config_before_driver_ok(void **state)
{
	struct rig rig;

	rig_open(&rig, &split);
	rig_negotiate(&rig);
	virtio_config_write(rig.dev, 0, "\x11", 1);
	virtio_set_status(rig.dev, 15);
	virtio_config_write(rig.dev, 0, "\x11", 1);
	rig_pump(&rig);
	assert_string_equal(rig.events, "CAC");
	rig_close(&rig);
}

static void test_needs_reset(void **state)
{
	struct rig rig;

	rig_open(&rig, &split);
	/* A device that is not in use needs none, and must not show it. */
	virtio_needs_reset(rig.dev);
	assert_int_equal(virtio_status(rig.dev), 0);
	rig_start(&rig);
	rig_pump(&rig);
	virtio_needs_reset(rig.dev);
	virtio_needs_reset(rig.dev);
	assert_int_equal(virtio_status(rig.dev), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(rig.config_interrupts, 1);
	rig_close(&rig);
}

static void test_bad_descriptions(void **state)
{
	struct virtio_env env = { .name = "bad" };
	struct alcor_virtio_desc desc;
	struct virtio_dev *dev = NULL;
	struct error err;
	struct rig rig;

	rig_open(&rig, &split);
	env.mem = rig.mem;
	env.loop = rig.loop;
	for (unsigned i = 0; i < 8; i++) {
		desc = rig.desc;
		switch (i) {
		case 0:
			desc.struct_size--;
			break;
		case 1:
			desc.n_queues = 0;
			break;
		case 2:
			desc.n_queues = VIRTIO_MAX_QUEUES + 1;
			break;
		case 3:
			desc.queue_size = 2048;
			break;
		case 4:
			desc.queue_size = 24;
			break;
		case 5:
			desc.max_segments = 1025;
			break;
		case 6:
			desc.config_size = VIRTIO_CONFIG_MAX + 1;
			break;
		case 7:
			desc.ops = NULL;
			break;
		}
		err.text[0] = 0;
		assert_int_equal(virtio_new(&env, &desc, NULL, &dev, &err), -EINVAL);
		assert_int_not_equal(err.text[0], 0);
		assert_null(dev);
	}
	rig_close(&rig);
	virtio_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_negotiation),
		cmocka_unit_test(test_packed_offer),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_machine_reset),
		cmocka_unit_test(test_unused_queues),
		cmocka_unit_test(test_frozen_registers),
		cmocka_unit_test(test_queue_reset),
		cmocka_unit_test(test_queue_reset_not_negotiated),
		cmocka_unit_test(test_optional_callbacks),
		cmocka_unit_test(test_activation_fails),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_config_write),
		cmocka_unit_test(test_config_before_driver_ok),
		cmocka_unit_test(test_needs_reset),
		cmocka_unit_test(test_bad_descriptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
