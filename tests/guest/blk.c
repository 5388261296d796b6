/* SPDX-License-Identifier: Apache-2.0 */
/* The well-behaved driver: every ring format and feature, checked by the data. */
#include "lib/blk.h"
#include "lib/cpu.h"
#include "lib/test.h"

static struct disk disk[2];

struct mode {
	uint64_t features;
	uint16_t size;
};

static const char *read_write(const void *arg)
{
	const struct mode *m = arg;
	uint64_t half;

	TRY(disk_open(&disk[0], 0, BLK_F_ALL | F_PACKED | m->features, m->size, 1));
	half = disk[0].sectors / 2;
	for (unsigned int i = 0; i < 40; i++) {
		TRY(disk_verify(&disk[0], i * 37 % half, 1 + i % 8, MEM_DATA));
		pattern_fill(0, half + i, 1, MEM_DATA);
		CHECK_EQ(disk_io(&disk[0], BLK_OUT, half + i, MEM_DATA, 512), BLK_OK,
			 "write status");
	}
	CHECK_EQ(disk_io(&disk[0], BLK_FLUSH, 0, 0, 0), BLK_OK, "flush status");
	return disk_verify(&disk[0], half, 40, MEM_DATA);
}

/* Many requests at once, then all completions in whatever order. */
static const char *batch(const void *arg)
{
	const struct mode *m = arg;
	struct disk *d = &disk[0];
	unsigned int n, done = 0;
	uint32_t id, len;

	TRY(disk_open(d, 0, BLK_F_ALL | F_PACKED | m->features, m->size, 1));
	n = d->indirect ? d->q[0].size : d->q[0].size / 3;
	for (unsigned int round = 0; round < 3; round++) {
		memset((void *)MEM_DATA, 0, n * 512);
		for (unsigned int i = 0; i < n; i++) {
			disk_submit(d, 0, i, BLK_IN, i, MEM_DATA + i * 512, 512);
			if (i % 7 == 0)
				vq_kick(&d->q[0]);
		}
		vq_kick(&d->q[0]);
		for (done = 0; done < n && vq_wait(&d->q[0], 3000, &id, &len); done++)
			CHECK_EQ(len, 513, "used length");
		CHECK_EQ(done, n, "completions");
		CHECK(pattern_ok(0, 0, n, MEM_DATA), "data differ");
	}
	return NULL;
}

/* One chain as long as the queue: many small buffers, the header in pieces too. */
static const char *long_chain(const void *arg)
{
	const struct mode *m = arg;
	struct disk *d = &disk[0];
	struct sg *sg = (struct sg *)MEM_SPARE;
	unsigned int n, data;
	uint32_t id, len;

	TRY(disk_open(d, 0, BLK_F_ALL | F_PACKED | m->features, m->size, 1));
	n = d->q[0].size;
	if (d->v.features & BLK_F_SEG_MAX && mmio_read32(d->v.config + 12) + 2 < n)
		n = mmio_read32(d->v.config + 12) + 2;
	data = (n - 2) / 2 * 2; /* two buffers of 256 bytes a sector */
	*disk_header(d, 0) = (struct blk_header){ .type = BLK_IN, .sector = 3 };
	*disk_status(d, 0) = 0xee;
	memset((void *)MEM_DATA, 0, data * 256);
	sg[0] = (struct sg){ (uint64_t)disk_header(d, 0), 16, false };
	for (unsigned int i = 0; i < data; i++)
		sg[1 + i] = (struct sg){ MEM_DATA + i * 256, 256, true };
	sg[1 + data] = (struct sg){ (uint64_t)disk_status(d, 0), 1, true };
	CHECK(vq_add(&d->q[0], sg, data + 2, d->indirect) >= 0, "chain of %u not accepted",
	      data + 2);
	vq_kick(&d->q[0]);
	CHECK(vq_wait(&d->q[0], 3000, &id, &len), "no completion of %u descriptors", data + 2);
	CHECK_EQ(*disk_status(d, 0), BLK_OK, "status");
	CHECK_EQ(len, data * 256 + 1, "used length");
	CHECK(pattern_ok(0, 3, data / 2, MEM_DATA), "data differ");
	return disk_verify(d, 9, 1, MEM_DATA);
}

/* Virtio 1.2, 2.7.4.2: no assumption may be made about the framing of a request. */
static const char *odd_framing(const void *arg)
{
	struct disk *d = &disk[0];
	uint64_t h, s;
	uint32_t id, len;

	(void)arg;
	TRY(disk_open(d, 0, BLK_F_ALL | RING_F_ALL, 64, 1));
	h = (uint64_t)disk_header(d, 0);
	s = MEM_DATA + 0x10000;
	struct sg sg[] = {
		{ h, 1, false },
		{ h + 1, 7, false },
		{ h + 8, 8, false },
		{ MEM_DATA, 1, true },
		{ MEM_DATA + 1, 510, true },
		/* The last byte of the data and the status in one buffer. */
		{ s, 2, true },
	};

	*disk_header(d, 0) = (struct blk_header){ .type = BLK_IN, .sector = 5 };
	*(uint16_t *)s = 0xeeee;
	for (int indirect = d->indirect; indirect >= 0; indirect--) {
		memset((void *)MEM_DATA, 0, 512);
		vq_add(&d->q[0], sg, ARRAY_SIZE(sg), indirect);
		vq_kick(&d->q[0]);
		CHECK(vq_wait(&d->q[0], 3000, &id, &len), "no completion");
		CHECK_EQ(mmio_read8(s + 1), BLK_OK, "status");
		mmio_write8(MEM_DATA + 511, mmio_read8(s));
		CHECK(pattern_ok(0, 5, 1, MEM_DATA), "data differ");
	}
	return NULL;
}

static const char *get_id(const void *arg)
{
	(void)arg;
	TRY(disk_open(&disk[0], 0, BLK_F_ALL | RING_F_ALL, 0, 1));
	memset((void *)MEM_DATA, 0xaa, 32);
	CHECK_EQ(disk_io(&disk[0], BLK_GET_ID, 0, MEM_DATA, 20), BLK_OK, "status");
	CHECK(mmio_read8(MEM_DATA) != 0xaa, "nothing written");
	CHECK_EQ(mmio_read8(MEM_DATA + 20), 0xaa, "byte behind the id");
	return NULL;
}

static const char *range_request(uint32_t type, uint64_t feature, bool must_zero)
{
	struct disk *d = &disk[0];
	struct blk_range *r = (struct blk_range *)MEM_DATA;
	uint64_t at;

	TRY(disk_open(d, 0, BLK_F_ALL | RING_F_ALL, 0, 1));
	at = d->sectors / 2 + 100;
	pattern_fill(0, at, 24, MEM_DATA);
	CHECK_EQ(disk_io(d, BLK_OUT, at, MEM_DATA, 24 * 512), BLK_OK, "write status");
	*r = (struct blk_range){ .sector = at + 8, .sectors = 8 };
	if (!(d->v.features & feature)) {
		CHECK_EQ(disk_io(d, type, 0, MEM_DATA, 16), BLK_UNSUPP,
			 "status without the feature");
		return NULL;
	}
	CHECK_EQ(disk_io(d, type, 0, MEM_DATA, 16), BLK_OK, "status");
	memset((void *)MEM_DATA, 0xaa, 24 * 512);
	CHECK_EQ(disk_io(d, BLK_IN, at, MEM_DATA, 24 * 512), BLK_OK, "read status");
	CHECK(pattern_ok(0, at, 8, MEM_DATA), "sectors before changed");
	CHECK(pattern_ok(0, at + 16, 8, MEM_DATA + 16 * 512), "sectors behind changed");
	for (unsigned int i = 0; must_zero && i < 8 * 512; i += 8)
		CHECK_EQ(mmio_read64(MEM_DATA + 8 * 512 + i), 0, "zeroed data");
	return NULL;
}

static const char *discard(const void *arg)
{
	(void)arg;
	return range_request(BLK_DISCARD, BLK_F_DISCARD, false);
}

static const char *write_zeroes(const void *arg)
{
	(void)arg;
	return range_request(BLK_ZEROES, BLK_F_ZEROES, true);
}

static const char *multi_queue(const void *arg)
{
	struct disk *d = &disk[1];
	unsigned int n, got = 0;
	uint32_t id, len;

	(void)arg;
	TRY(disk_open(d, 1, BLK_F_ALL | RING_F_ALL, 64, 1));
	n = mmio_read16(d->v.common + VC_NUM_QUEUES);
	CHECK(d->v.features & BLK_F_MQ, "no VIRTIO_BLK_F_MQ");
	CHECK_EQ(mmio_read16(d->v.config + 34), n, "num_queues in the configuration");
	n = n > DISK_QUEUES ? DISK_QUEUES : n;
	TRY(disk_open(d, 1, BLK_F_ALL | RING_F_ALL, 64, n));
	for (unsigned int i = 0; i < 16 * n; i++)
		disk_submit(d, i % n, i, BLK_IN, i, MEM_DATA + i * 512, 512);
	for (unsigned int i = 0; i < n; i++)
		vq_kick(&d->q[i]);
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int k = 0; k < 16 && vq_wait(&d->q[i], 3000, &id, &len); k++)
			got++;
	CHECK_EQ(got, 16 * n, "completions");
	CHECK(pattern_ok(1, 0, 16 * n, MEM_DATA), "data differ");
	return NULL;
}

/* One queue reset in use and enabled again, while the other queue goes on. */
static const char *queue_reset(const void *arg)
{
	struct disk *d = &disk[0];

	(void)arg;
	TRY(disk_open(d, 0, BLK_F_ALL | RING_F_ALL, 128, 1));
	CHECK(d->v.features & F_RING_RESET, "no VIRTIO_F_RING_RESET");
	for (int i = 0; i < 3; i++) {
		TRY(disk_verify(d, 5, 2, MEM_DATA));
		virtio_select(&d->v, 0);
		mmio_write16(d->v.common + VC_QUEUE_RESET, 1);
		for (uint64_t end = deadline_ms(2000); mmio_read16(d->v.common + VC_QUEUE_RESET);)
			CHECK(!passed(end), "queue_reset stays 1");
		CHECK_EQ(mmio_read16(d->v.common + VC_QUEUE_ENABLE), 0, "queue_enable after reset");
		CHECK(vq_setup(&d->q[0], &d->v, 0, 64 << i, d->area + (i + 1) * VQ_AREA), "set-up");
		CHECK_EQ(mmio_read16(d->v.common + VC_QUEUE_ENABLE), 1, "queue_enable");
	}
	return disk_verify(d, 6, 2, MEM_DATA);
}

static const char *config_space(const void *arg)
{
	struct disk *d = &disk[0];
	uint8_t generation;

	(void)arg;
	TRY(disk_open(d, 0, BLK_F_ALL | RING_F_ALL, 0, 1));
	generation = mmio_read8(d->v.common + VC_GENERATION);
	CHECK_EQ(d->sectors, arg_number("sectors", 8192), "capacity");
	CHECK_EQ(mmio_read8(d->v.config + 1), d->sectors >> 8 & 0xff, "byte 1 of the capacity");
	CHECK_EQ(mmio_read16(d->v.config), d->sectors & 0xffff, "low half of the capacity");
	CHECK_EQ(mmio_read8(d->v.common + VC_GENERATION), generation, "generation");
	return NULL;
}

static const struct mode plain = { 0, 64 }, indirect = { F_INDIRECT, 64 };
static const struct mode event = { F_EVENT_IDX, 64 }, both = { F_INDIRECT | F_EVENT_IDX, 256 };
static const struct mode tiny = { 0, 4 }, largest = { F_EVENT_IDX, 0 };
static const struct mode largest_indirect = { F_INDIRECT | F_EVENT_IDX, 0 };

static const struct test_case cases[] = {
	{ "read_write", read_write, &plain },
	{ "read_write_indirect", read_write, &indirect },
	{ "read_write_event_idx", read_write, &event },
	{ "read_write_tiny_queue", read_write, &tiny },
	{ "read_write_largest_queue", read_write, &largest },
	{ "batch", batch, &plain },
	{ "batch_indirect", batch, &indirect },
	{ "batch_event_idx", batch, &event },
	{ "batch_both", batch, &both },
	{ "batch_largest_queue", batch, &largest },
	{ "batch_largest_queue_indirect", batch, &largest_indirect },
	{ "long_chain", long_chain, &plain },
	{ "long_chain_indirect", long_chain, &both },
	{ "long_chain_largest_queue", long_chain, &largest },
	{ "long_chain_largest_queue_indirect", long_chain, &largest_indirect },
	{ "odd_framing", odd_framing, NULL },
	{ "get_id", get_id, NULL },
	{ "discard", discard, NULL },
	{ "write_zeroes", write_zeroes, NULL },
	{ "multi_queue", multi_queue, NULL },
	{ "queue_reset", queue_reset, NULL },
	{ "config_space", config_space, NULL },
};

void user_main(void)
{
	test_init();
	test_run_all(cases, ARRAY_SIZE(cases));
	test_done();
}
