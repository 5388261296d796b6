/* SPDX-License-Identifier: Apache-2.0 */
#include "test_fixture.h"

/* --- what the guest is offered --- */

static void test_offers(void **state)
{
	static const struct {
		const char *params;
		uint64_t features;
		unsigned n_queues;
	} cases[] = {
		{ "", F_DEFLATE_ON_OOM, 2 },
		{ "deflate_on_oom=off", 0, 2 },
		{ "stats=1,deflate_on_oom=off", F_STATS_VQ, 3 },
		{ "free_page_reporting=on,deflate_on_oom=off", F_REPORTING | F_PAGE_POISON, 5 },
		{ "stats=5,free_page_reporting=on",
		  F_STATS_VQ | F_DEFLATE_ON_OOM | F_REPORTING | F_PAGE_POISON, 5 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(open_device(cases[i].params, cases[i].features), 0);
		assert_int_equal(fake->virtio_desc.device_id, 5);
		assert_int_equal(fake->virtio_desc.features, cases[i].features);
		assert_int_equal(fake->virtio_desc.n_queues, cases[i].n_queues);
		assert_int_equal(fake->virtio_desc.config_size, 16);
		assert_int_equal(config(NUM_PAGES), 0);
		teardown(state);
	}
}

static void test_parameters(void **state)
{
	static const char *const bad[] = {
		"target=65m", "target=1t", "stats=86401", "target=x", "free_page_reporting=2",
		"hint=on"
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(open_device(bad[i], 0), -EINVAL);
		assert_int_not_equal(strlen(fake->error), 0);
		teardown(state);
	}
	assert_int_equal(open_device("target=65m", 0), -EINVAL);
	assert_string_equal(fake->error,
			    "target: 65 MiB are more than the guest's 64 MiB of memory");
	teardown(state);
	assert_int_equal(open_device("size=64m", 0), 0);
	assert_int_equal(config(NUM_PAGES), RAM_PAGES);
	teardown(state);
	assert_int_equal(open_device("target=1000000", 0), 0);
	assert_int_equal(config(NUM_PAGES), 244);
	assert_int_equal(get("target"), 244 * PAGE);
}

/* --- the user's target, the guest's answer --- */

static void test_target_and_actual(void **state)
{
	assert_int_equal(open_device("target=8m", 0), 0);
	assert_int_equal(get("target"), 8 * MIB);
	assert_int_equal(get("actual"), 0);
	assert_int_equal(write_config32(ACTUAL, 2048), 0);
	assert_int_equal(config(ACTUAL), 2048);
	assert_int_equal(get("actual"), 8 * MIB);

	assert_int_equal(set("target", 4 * MIB + 4095), 0);
	assert_int_equal(config(NUM_PAGES), 1024);
	assert_int_equal(get("target"), 4 * MIB);
	assert_int_equal(set("target", ALCOR_FAKE_RAM), 0);
	assert_int_equal(set("target", ALCOR_FAKE_RAM + 1), -ERANGE);
	assert_int_equal(config(NUM_PAGES), RAM_PAGES);
	assert_int_equal(set("actual", 0), -EPERM);

	/* A reset empties the balloon, but the user's wish stands. */
	alcor_fake_deactivate(fake);
	assert_int_equal(get("actual"), 0);
	assert_int_equal(config(ACTUAL), 0);
	assert_int_equal(config(NUM_PAGES), RAM_PAGES);
}

/* --- inflation --- */

static void test_inflate_and_deflate(void **state)
{
	uint32_t pfns[64];

	assert_int_equal(open_device("", 0), 0);
	touch(0, MIB);
	for (uint32_t i = 0; i < 64; i++)
		pfns[i] = htole32(16 + i);
	driver_send_and_wait(0, pfns, sizeof(pfns));
	assert_int_equal(alcor_fake_resident(fake, 16 * PAGE, 64 * PAGE), 0);
	assert_int_equal(alcor_fake_resident(fake, 0, MIB), MIB - 64 * PAGE);
	assert_int_equal(fake->ram[16 * PAGE - 1], 0x5a);
	assert_int_equal(fake->ram[80 * PAGE], 0x5a);
	assert_int_equal(fake->n_discards, 1);

	/* Taking them back costs nothing until they are used. */
	driver_send_and_wait(1, pfns, sizeof(pfns));
	assert_int_equal(fake->n_discards, 1);
	touch(16 * PAGE, 64 * PAGE);
}

/* Neighbours go together, in whatever direction they come. */
static void test_neighbours_are_merged(void **state)
{
	static const struct {
		uint32_t pfns[8];
		unsigned n, n_discards;
	} cases[] = {
		{ { 9, 8, 7, 6 }, 4, 1 },      { { 3, 4, 2, 5 }, 4, 1 }, { { 1, 3, 5, 7 }, 4, 4 },
		{ { 4, 5, 20, 21, 6 }, 5, 3 }, { { 6, 6, 6 }, 3, 3 },	 { { 0 }, 1, 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t pfns[8];

		assert_int_equal(open_device("", 0), 0);
		touch(0, 32 * PAGE);
		for (unsigned k = 0; k < cases[i].n; k++)
			pfns[k] = htole32(cases[i].pfns[k]);
		driver_send_and_wait(0, pfns, cases[i].n * sizeof(*pfns));
		assert_int_equal(fake->n_discards, cases[i].n_discards);
		for (unsigned k = 0; k < cases[i].n; k++)
			assert_int_equal(alcor_fake_resident(fake, cases[i].pfns[k] * PAGE, PAGE),
					 0);
		assert_int_equal(fake->n_logs, 0);
		teardown(state);
	}
}

/* Entries may lie across the elements of a request. */
static void test_split_list(void **state)
{
	uint32_t pfns[4] = { htole32(2), htole32(3), htole32(9), htole32(0) };
	uint8_t *bytes = (uint8_t *)pfns;
	struct iovec out[] = { { bytes, 3 }, { bytes, 0 }, { bytes + 3, 6 }, { bytes + 9, 7 } };
	struct alcor_fake_request *req;

	assert_int_equal(open_device("", 0), 0);
	touch(0, 16 * PAGE);
	req = alcor_fake_submit(fake, 0, out, 4, NULL, 0);
	alcor_fake_notify(fake, 0);
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(alcor_fake_resident(fake, 0, 16 * PAGE), 12 * PAGE);
	assert_int_equal(alcor_fake_resident(fake, 2 * PAGE, 2 * PAGE), 0);
}

/* What a hostile driver sends is completed, costs no page that it did not name, and at most a word
 * in the log; the next list is served. */
static void test_hostile_lists(void **state)
{
	static const struct {
		uint32_t pfns[6];
		size_t len;    /* bytes */
		uint64_t lost; /* pages given back */
		unsigned n_logs;
		int discard_result;
	} cases[] = {
		{ { 0 }, 0, 0, 0 }, /* nothing */
		{ { 1 }, 1, 0, 0 }, /* less than one */
		{ { 1 }, 3, 0, 0 },
		{ { 1, 2 }, 5, 1, 0 }, /* one and a bit */
		{ { 1, 2 }, 7, 1, 0 },
		{ { RAM_PAGES }, 4, 0, 1 },		   /* just outside */
		{ { RAM_PAGES - 1 }, 4, 1, 0 },		   /* just inside */
		{ { RAM_PAGES - 1, RAM_PAGES }, 8, 0, 1 }, /* across the end */
		{ { RAM_PAGES, RAM_PAGES - 1 }, 8, 0, 1 }, /* backwards */
		{ { UINT32_MAX }, 4, 0, 1 },		   /* the last there is */
		{ { UINT32_MAX, 0 }, 8, 1, 1 },		   /* no wrap forwards */
		{ { 0, UINT32_MAX }, 8, 1, 1 },		   /* nor backwards */
		{ { UINT32_MAX, UINT32_MAX, 3 }, 12, 1, 1 },
		{ { UINT32_MAX - 1, UINT32_MAX, 0, 1 }, 16, 2, 1 },
		{ { 0x100000 }, 4, 0, 1 },	    /* at 4 GiB */
		{ { 0xfffff, 0x100000 }, 8, 0, 1 }, /* across it */
		{ { 7, 0x80000000, 9 }, 12, 2, 1 }, /* between good ones */
		{ { 5, 5, 5, 5, 5, 5 }, 24, 1, 0 }, /* again and again */
		{ { 1, 2, 1, 2, 1, 2 }, 24, 2, 0 },
		{ { RAM_PAGES, 4, RAM_PAGES, 5, RAM_PAGES, 6 }, 24, 3, 1 },
		{ { 1, 2, 3 }, 12, 0, 1, -EINVAL }, /* a host that cannot */
		{ { 1, RAM_PAGES, 3 }, 12, 0, 1, -ENOMEM },
	};
	uint32_t good = htole32(100);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *list = malloc(cases[i].len + 1);

		assert_int_equal(open_device("", 0), 0);
		touch(0, ALCOR_FAKE_RAM);
		for (size_t k = 0; k < cases[i].len; k++)
			list[k] = (uint8_t)(cases[i].pfns[k / 4] >> k % 4 * 8);
		fake->discard_result = cases[i].discard_result;
		driver_send_and_wait(0, list, cases[i].len);
		fake->discard_result = 0;
		if (alcor_fake_resident(fake, 0, ALCOR_FAKE_RAM) !=
		    ALCOR_FAKE_RAM - cases[i].lost * PAGE)
			fail_msg("case %zu", i);
		assert_int_equal(fake->n_logs, cases[i].n_logs);
		assert_false(fake->virtio_needs_reset);
		driver_send_and_wait(0, &good, sizeof(good));
		assert_int_equal(alcor_fake_resident(fake, 100 * PAGE, PAGE), 0);
		free(list);
		teardown(state);
	}
}

static void test_huge_list_is_cut(void **state)
{
	size_t n = 100000;
	uint32_t *pfns = calloc(n, sizeof(*pfns));

	assert_int_equal(open_device("", 0), 0);
	touch(0, ALCOR_FAKE_RAM);
	for (size_t i = 0; i < n; i++)
		pfns[i] = htole32((uint32_t)i * 2);
	driver_send_and_wait(0, pfns, n * sizeof(*pfns));
	assert_int_equal(fake->n_discards, 8192);
	assert_int_equal(fake->n_logs, 1);
	assert_int_equal(alcor_fake_resident(fake, 0, ALCOR_FAKE_RAM),
			 ALCOR_FAKE_RAM - 8192 * PAGE);
	free(pfns);
}

/* A readable queue's writable part, and requests of all kinds on all queues. */
static void test_requests_out_of_place(void **state)
{
	struct iovec list[2];
	struct alcor_fake_request *req;

	assert_int_equal(open_device("free_page_reporting=on,stats=100", ~0ull), 0);
	touch(0, MIB);
	for (uint16_t queue = 0; queue < 5; queue++) {
		list[0] = (struct iovec){ fake->ram, 7 };
		list[1] = (struct iovec){ fake->ram + MIB / 2 + 1, 5 };
		req = alcor_fake_submit(fake, queue, &list[0], 1, &list[1], 1);
		alcor_fake_submit(fake, queue, NULL, 0, NULL, 0);
		alcor_fake_notify(fake, queue);
		assert_true(alcor_fake_wait(fake, &req->done));
		assert_int_equal(req->written, 0);
	}
	assert_int_equal(alcor_fake_resident(fake, 0, MIB), MIB);
}

static void test_config_writes(void **state)
{
	static const struct {
		uint32_t offset, len;
		bool taken;
	} cases[] = {
		{ 4, 4, true },	  { 4, 1, true },  { 7, 1, true },   { 6, 2, true },
		{ 0, 4, false },  { 0, 8, false }, { 3, 2, false },  { 6, 4, false },
		{ 8, 4, false },  { 12, 4, true }, { 13, 2, true },  { 14, 4, false },
		{ 11, 2, false }, { 4, 8, false }, { 16, 1, false }, { 0xffffffff, 4, false },
		{ 4, 0, true },
	};
	static const uint8_t data[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	assert_int_equal(open_device("free_page_reporting=on,target=1m", 0), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int ret = fake->virtio_desc.ops->config_write(fake->priv, cases[i].offset, data,
							      cases[i].len);

		if ((ret == 0) != cases[i].taken)
			fail_msg("case %zu: %d", i, ret);
	}
	assert_int_equal(get("target"), MIB);
	assert_int_equal(get("actual"), UINT32_MAX * PAGE);
	teardown(state);
	/* Without reporting there is no pattern to be told. */
	assert_int_equal(open_device("", 0), 0);
	assert_int_equal(write_config32(POISON, 1), -EINVAL);
}

/* --- reports of free pages --- */

static void report_all(uint16_t queue)
{
	struct iovec in[] = { { fake->ram + MIB, MIB }, { fake->ram + 4 * MIB, 2 * MIB } };
	struct alcor_fake_request *req = alcor_fake_submit(fake, queue, NULL, 0, in, 2);

	touch(0, 8 * MIB);
	alcor_fake_notify(fake, queue);
	assert_true(alcor_fake_wait(fake, &req->done));
}

/* The queue's number depends on what was agreed on, or is the specification's. */
static void test_reporting(void **state)
{
	static const struct {
		uint64_t features;
		uint32_t poison;
		uint16_t queue;
		bool given_back;
	} cases[] = {
		{ F_REPORTING, 0, 2, true },
		{ F_REPORTING, 0, 3, false },
		{ F_REPORTING, 0, 4, true },
		{ F_REPORTING | F_STATS_VQ, 0, 3, true },
		{ F_REPORTING | F_STATS_VQ, 0, 4, true },
		{ F_STATS_VQ, 0, 3, false },
		{ 0, 0, 2, false },
		{ 0, 0, 4, false },
		{ F_REPORTING | F_PAGE_POISON, 0, 2, true },
		{ F_REPORTING | F_PAGE_POISON, 0xaaaaaaaa, 2, false },
		{ F_REPORTING, 0xaaaaaaaa, 2, true }, /* written, but not agreed on */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(open_device("free_page_reporting=on,stats=100", cases[i].features),
				 0);
		assert_int_equal(write_config32(POISON, cases[i].poison), 0);
		report_all(cases[i].queue);
		if (alcor_fake_resident(fake, 0, 8 * MIB) !=
		    (cases[i].given_back ? 5 * MIB : 8 * MIB))
			fail_msg("case %zu", i);
		assert_int_equal(fake->n_logs, 0);
		teardown(state);
	}
}

/* Ranges that are not whole pages, and not memory of the guest at all. */
static void test_odd_reports(void **state)
{
	struct iovec in[] = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
	struct alcor_fake_request *req;
	uint8_t elsewhere[64];

	assert_int_equal(open_device("free_page_reporting=on", F_REPORTING), 0);
	touch(0, MIB);
	in[0] = (struct iovec){ fake->ram + 1, PAGE };
	in[1] = (struct iovec){ fake->ram + 4 * PAGE - 1, 2 * PAGE + 2 };
	in[2] = (struct iovec){ elsewhere, sizeof(elsewhere) };
	req = alcor_fake_submit(fake, 2, NULL, 0, in, 3);
	alcor_fake_notify(fake, 2);
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(alcor_fake_resident(fake, 0, MIB), MIB - 2 * PAGE);
	assert_int_equal(alcor_fake_resident(fake, 4 * PAGE, 2 * PAGE), 0);
	assert_int_equal(fake->n_logs, 1);
}

static void test_many_requests_are_served_in_turns(void **state)
{
	struct alcor_fake_request *last = NULL;
	uint32_t pfns[100];

	assert_int_equal(open_device("", 0), 0);
	touch(0, MIB);
	for (uint32_t i = 0; i < 100; i++) {
		struct iovec out = { &pfns[i], sizeof(pfns[i]) };

		pfns[i] = htole32(2 * i);
		last = alcor_fake_submit(fake, 0, &out, 1, NULL, 0);
	}
	alcor_fake_notify(fake, 0);
	alcor_fake_turn(fake, 0);
	assert_false(last->done);
	assert_true(alcor_fake_wait(fake, &last->done));
	assert_int_equal(alcor_fake_resident(fake, 0, MIB), MIB - 100 * PAGE);
}

static void test_manual(void **state)
{
	fake = alcor_fake_new(PLUGIN_PATH, "balloon/virtio");
	assert_true(alcor_fake_manual_complete(fake->plugin, MANUAL_PATH));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_offers),
		TEST(test_parameters),
		TEST(test_target_and_actual),
		TEST(test_inflate_and_deflate),
		TEST(test_neighbours_are_merged),
		TEST(test_split_list),
		TEST(test_hostile_lists),
		TEST(test_huge_list_is_cut),
		TEST(test_requests_out_of_place),
		TEST(test_config_writes),
		TEST(test_reporting),
		TEST(test_odd_reports),
		TEST(test_many_requests_are_served_in_turns),
		TEST(test_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
