/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics, and what happens to them and to lists when the device is reset or paused. */
#include "test_fixture.h"

struct entry {
	uint16_t tag;
	uint64_t value;
} __attribute__((packed));

static void test_statistics(void **state)
{
	static const struct {
		const char *name;
		uint16_t tag;
	} names[] = {
		{ "swap-in", 0 }, { "swap-out", 1 }, { "major-faults", 2 }, { "minor-faults", 3 },
		{ "free", 4 },	  { "total", 5 },    { "available", 6 },    { "disk-caches", 7 },
	};
	struct entry entries[12] = { 0 };
	struct alcor_fake_request *first, *second;
	struct alcor_ctl_value value;

	assert_int_equal(open_device("stats=1", F_STATS_VQ), 0);
	assert_int_equal(alcor_fake_get(fake, "free", &value), -ENODATA);
	assert_int_equal(alcor_fake_get(fake, "stats-age", &value), -ENODATA);
	for (uint16_t i = 0; i < 8; i++)
		entries[i] = (struct entry){ htole16(i), htole64(1000u + i) };
	entries[8] = (struct entry){ htole16(0xffff), htole64(1) };
	first = driver_send(2, entries, 9 * sizeof(entries[0]));
	alcor_fake_turn(fake, 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(get(names[i].name), 1000u + names[i].tag);
	assert_int_equal(alcor_fake_get(fake, "hugetlb-failures", &value), -ENODATA);
	assert_int_equal(get("stats-age"), 0);
	assert_false(first->pushed);

	/* The interval over, the driver gets the buffer, and sends it again. */
	assert_true(alcor_fake_wait(fake, &first->done));
	assert_int_equal(first->written, 0);
	assert_true(get("stats-age") >= 1);
	entries[4].value = htole64(77);
	entries[3] = (struct entry){ htole16(10), htole64(UINT64_MAX) }; /* the first unknown tag */
	second = driver_send(2, entries + 3, 2 * sizeof(entries[0]));
	alcor_fake_turn(fake, 0);
	assert_int_equal(get("free"), 77);
	assert_int_equal(alcor_fake_get(fake, "total", &value), -ENODATA);
	assert_int_equal(get("stats-age"), 0);
	assert_true(alcor_fake_wait(fake, &second->done));

	/* What an earlier driver said is gone with it. */
	alcor_fake_deactivate(fake);
	assert_int_equal(alcor_fake_get(fake, "free", &value), -ENODATA);
}

static void test_hostile_statistics(void **state)
{
	static const size_t lens[] = { 0, 1, 2, 9, 10, 11, 19, 20, 640, 641, 100000 };
	size_t len = 100000;
	struct alcor_fake_request *req, *last = NULL;
	uint8_t *data = malloc(len);
	struct alcor_ctl_value value;

	assert_int_equal(open_device("stats=100", F_STATS_VQ), 0);
	memset(data, 0, len);
	data[2] = 42; /* swap-in; the others repeat it with 0 */
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		req = driver_send(2, data, lens[i]);
		alcor_fake_turn(fake, 0);
		/* A second buffer gives the first one back, so that the driver loses none. */
		assert_false(req->pushed);
		if (last)
			assert_true(last->done);
		last = req;
		if (lens[i] < 10)
			assert_int_equal(alcor_fake_get(fake, "swap-in", &value), -ENODATA);
		else
			assert_int_equal(get("swap-in"), lens[i] < 20 ? 42 : 0);
	}
	memset(data, 0xff, len);
	driver_send(2, data, len);
	alcor_fake_turn(fake, 0);
	assert_int_equal(alcor_fake_get(fake, "swap-in", &value), -ENODATA);
	assert_int_equal(fake->n_logs, 0);
	free(data);
}

/* --- life --- */

static void test_reset_and_pause(void **state)
{
	uint32_t pfn = htole32(3);
	struct alcor_fake_request *held, *waiting;

	assert_int_equal(open_device("stats=1,free_page_reporting=on", F_STATS_VQ), 0);
	touch(0, MIB);
	held = driver_send(2, &pfn, 0);
	alcor_fake_turn(fake, 0);
	alcor_fake_queue_stop(fake, 2);
	assert_true(held->dropped);
	held = driver_send(2, &pfn, 0);
	alcor_fake_turn(fake, 0);
	alcor_fake_deactivate(fake);
	assert_true(held->dropped);
	/* The timer must not touch what is gone. */
	for (int i = 0; i < 3; i++)
		alcor_fake_turn(fake, 500);

	assert_int_equal(alcor_fake_activate(fake, F_STATS_VQ), 0);
	held = driver_send(2, &pfn, 0);
	alcor_fake_turn(fake, 0);
	assert_int_equal(alcor_fake_pause(fake), 0);
	waiting = driver_send(0, &pfn, sizeof(pfn));
	for (int i = 0; i < 5; i++)
		alcor_fake_turn(fake, 500);
	assert_false(waiting->pushed);
	assert_false(held->pushed);
	assert_int_equal(alcor_fake_resident(fake, 0, MIB), MIB);
	assert_int_equal(alcor_fake_resume(fake), 0);
	assert_true(alcor_fake_wait(fake, &waiting->done));
	assert_true(alcor_fake_wait(fake, &held->done));
	assert_int_equal(alcor_fake_resident(fake, 3 * PAGE, PAGE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_statistics),
		TEST(test_hostile_statistics),
		TEST(test_reset_and_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
