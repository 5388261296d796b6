/* SPDX-License-Identifier: Apache-2.0 */
/* The device status out of order, and resets at the worst time. */
#include "hostile.h"
#include "lib/cpu.h"

static struct virtio_dev *dev(void)
{
	return &victim.v;
}

/* Read requests of eight sectors each, as many as the queue holds, and not waited for. */
static void flood(void)
{
	for (unsigned int i = 0; i < QUEUE_SIZE / 3; i++)
		disk_submit(&victim, 0, i + 8, BLK_IN, i * 8, MEM_SPARE + i * 4096, 4096);
	vq_notify(&victim.q[0]);
}

static const char *driver_ok_without_features_ok(void)
{
	virtio_reset(dev());
	virtio_set_status(dev(), STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	vq_program(&victim.q[0]);
	virtio_set_status(dev(), STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK);
	flood();
	return NULL;
}

static const char *driver_ok_alone(void)
{
	virtio_reset(dev());
	vq_program(&victim.q[0]);
	virtio_set_status(dev(), STATUS_DRIVER_OK);
	flood();
	return NULL;
}

static const char *driver_ok_without_queue(void)
{
	virtio_negotiate(dev(), victim.want);
	virtio_driver_ok(dev());
	flood();
	return NULL;
}

static const char *status_all_ones(void)
{
	virtio_set_status(dev(), 0xff);
	flood();
	virtio_reset(dev());
	virtio_set_status(dev(), 0xff);
	flood();
	return NULL;
}

static const char *status_failed(void)
{
	virtio_set_status(dev(), STATUS_READY | STATUS_FAILED);
	flood();
	return NULL;
}

/* The driver sets DEVICE_NEEDS_RESET itself. */
static const char *status_needs_reset(void)
{
	virtio_set_status(dev(), STATUS_READY | STATUS_NEEDS_RESET);
	flood();
	return NULL;
}

static const char *status_bits_cleared(void)
{
	for (uint8_t bits = STATUS_READY; bits; bits >>= 1) {
		virtio_set_status(dev(), bits);
		flood();
	}
	return NULL;
}

static const char *every_status(void)
{
	for (unsigned int bits = 0; bits < 256; bits++)
		virtio_set_status(dev(), bits);
	return NULL;
}

static const char *feature_refused(uint64_t features, const char *what)
{
	virtio_reset(dev());
	virtio_set_status(dev(), STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	virtio_write_features(dev(), features);
	virtio_set_status(dev(), STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	CHECK(!(virtio_status(dev()) & STATUS_FEATURES_OK), "FEATURES_OK %s", what);
	vq_program(&victim.q[0]);
	virtio_driver_ok(dev());
	flood();
	return NULL;
}

static const char *all_features(void)
{
	return arg_qemu() ? NULL : feature_refused(~0ull, "with features that were never offered");
}

static const char *no_version_1(void)
{
	return arg_qemu() ? NULL : feature_refused(F_INDIRECT, "without VIRTIO_F_VERSION_1");
}

static const char *feature_words_beyond_end(void)
{
	for (uint32_t i = 2; i; i <<= 1) {
		mmio_write32(dev()->common + VC_DEVICE_FEATURE_SELECT, i);
		CHECK_EQ(mmio_read32(dev()->common + VC_DEVICE_FEATURE), 0, "feature word");
		mmio_write32(dev()->common + VC_DRIVER_FEATURE_SELECT, i);
		mmio_write32(dev()->common + VC_DRIVER_FEATURE, ~0u);
	}
	return victim_alive();
}

static const char *features_after_features_ok(void)
{
	virtio_negotiate(dev(), victim.want);
	virtio_write_features(dev(), ~0ull);
	virtio_driver_ok(dev());
	virtio_write_features(dev(), 0);
	flood();
	return NULL;
}

static const char *negotiated_twice(void)
{
	for (int i = 0; i < 2; i++) {
		virtio_set_status(dev(), STATUS_ACKNOWLEDGE | STATUS_DRIVER);
		virtio_write_features(dev(), F_VERSION_1);
		virtio_set_status(dev(), STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
		vq_program(&victim.q[0]);
		virtio_driver_ok(dev());
		flood();
	}
	return NULL;
}

static const char *driver_ok_100_times(void)
{
	for (int i = 0; i < 100; i++)
		virtio_driver_ok(dev());
	return victim_safe();
}

static const char *reset_in_flight(void)
{
	for (int i = 0; i < 30; i++) {
		flood();
		for (int k = 0; k < i * 20; k++)
			cpu_pause();
		CHECK(virtio_reset(dev()), "the status does not become 0");
		/* From now on nothing may arrive: the memory is the driver's again. */
		memset((void *)MEM_SPARE, 0x55, 4096 * QUEUE_SIZE / 3);
		delay_ms(1);
		for (uint64_t a = MEM_SPARE; a < MEM_SPARE + 4096 * (QUEUE_SIZE / 3); a += 64)
			CHECK_EQ(mmio_read8(a), 0x55, "memory after the reset");
		TRY(victim_open(0));
	}
	return NULL;
}

static const char *reset_storm(void)
{
	for (int i = 0; i < 300; i++) {
		virtio_driver_ok(dev());
		virtio_set_status(dev(), 0);
	}
	return NULL;
}

/* One queue reset with requests in it, and enabled again with its rings in another place. */
static const char *queue_reset_in_flight(void)
{
	struct vq *q = &victim.q[0];

	CHECK(dev()->features & F_RING_RESET, "VIRTIO_F_RING_RESET is not offered");
	for (int i = 0; i < 20; i++) {
		flood();
		virtio_select(dev(), 0);
		mmio_write16(dev()->common + VC_QUEUE_RESET, 1);
		for (uint64_t end = deadline_ms(2000); mmio_read16(dev()->common + VC_QUEUE_RESET);)
			CHECK(!passed(end), "queue_reset stays 1");
		CHECK(vq_setup(q, dev(), 0, QUEUE_SIZE, i & 1 ? victim.area : A_RING), "set-up");
		TRY(victim_alive());
	}
	return NULL;
}

static const char *queue_reset_misused(void)
{
	static const uint16_t values[] = { 0, 2, 0xffff, 1, 1, 1, 0 };

	for (unsigned int i = 0; i < ARRAY_SIZE(values); i++) {
		flood();
		virtio_select(dev(), 0);
		mmio_write16(dev()->common + VC_QUEUE_RESET, values[i]);
	}
	/* Without the feature, and on a queue that was never enabled. */
	victim.want &= ~F_RING_RESET;
	TRY(disk_reopen(&victim));
	flood();
	mmio_write16(dev()->common + VC_QUEUE_RESET, 1);
	virtio_negotiate(dev(), F_RING_RESET);
	mmio_write16(dev()->common + VC_QUEUE_RESET, 1);
	virtio_select(dev(), 0xffff);
	mmio_write16(dev()->common + VC_QUEUE_RESET, 1);
	return NULL;
}

/* Notified, then gone: the doorbell outlives the queue. */
static const char *notify_around_reset(void)
{
	for (int i = 0; i < 50; i++) {
		flood();
		vq_notify(&victim.q[0]);
		virtio_set_status(dev(), 0);
		vq_notify(&victim.q[0]);
		TRY(victim_open(0));
	}
	return NULL;
}

static const char *notify_before_driver_ok(void)
{
	virtio_negotiate(dev(), victim.want);
	CHECK(vq_setup(&victim.q[0], dev(), 0, QUEUE_SIZE, victim.area), "set-up");
	flood();
	delay_ms(2);
	virtio_driver_ok(dev());
	/* The spec leaves it open whether those are served: the ring goes on in any case. */
	vq_notify(&victim.q[0]);
	return NULL;
}

void status_cases(case_fn *each)
{
	static const struct action actions[] = {
		{ "driver_ok_without_features_ok", driver_ok_without_features_ok },
		{ "driver_ok_alone", driver_ok_alone },
		{ "driver_ok_without_queue", driver_ok_without_queue },
		{ "driver_ok_100_times", driver_ok_100_times },
		{ "status_all_ones", status_all_ones },
		{ "status_failed", status_failed },
		{ "status_needs_reset", status_needs_reset },
		{ "status_bits_cleared", status_bits_cleared },
		{ "every_status", every_status },
		{ "all_features", all_features },
		{ "no_version_1", no_version_1 },
		{ "feature_words_beyond_end", feature_words_beyond_end },
		{ "features_after_features_ok", features_after_features_ok },
		{ "negotiated_twice", negotiated_twice },
		{ "reset_in_flight", reset_in_flight },
		{ "reset_storm", reset_storm },
		{ "queue_reset_in_flight", queue_reset_in_flight },
		{ "queue_reset_misused", queue_reset_misused },
		{ "notify_around_reset", notify_around_reset },
		{ "notify_before_driver_ok", notify_before_driver_ok },
	};

	each_action(actions, ARRAY_SIZE(actions), each);
}
