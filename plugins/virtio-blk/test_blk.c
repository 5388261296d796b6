/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, well-formed and not. */
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <signal.h>
#include <unistd.h>

#include "test_fixture.h"

/* Pages of the image that are not on the medium; -1 where the kernel does not tell (cachestat(2) is
 * number 451 everywhere). */
static long n_dirty(void)
{
	uint64_t range[2] = { 0, 0 }, stat[5];

	if (syscall(451, image_fd, range, stat, 0) < 0)
		return -1;
	return (long)(stat[1] + stat[2]);
}

static void test_description(void **state)
{
	start(state, "");
	assert_int_equal(fake->virtio_desc.device_id, 2);
	assert_int_equal(fake->virtio_desc.n_queues, 1);
	assert_int_equal(fake->virtio_desc.queue_size, 256);
	assert_int_equal(fake->virtio_desc.features & ~(1ull << VIRTIO_BLK_F_DISCARD),
			 FLUSH_BIT | 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_BLK_SIZE |
				 1ull << VIRTIO_BLK_F_WRITE_ZEROES);
	assert_int_equal(le64toh(config().capacity), IMAGE_SIZE / 512);
	assert_int_equal(le32toh(config().seg_max), 254);
	assert_int_equal(le32toh(config().blk_size), 512);
	assert_int_equal(fake->virtio_desc.max_segments, 256);

	start(state, "readonly=on,queues=4,queue_size=64");
	assert_int_equal(fake->virtio_desc.n_queues, 4);
	assert_int_equal(fake->virtio_desc.queue_size, 64);
	assert_int_equal(le16toh(config().num_queues), 4);
	assert_int_equal(le32toh(config().seg_max), 62);
	assert_int_equal(fake->virtio_desc.features,
			 FLUSH_BIT | 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_BLK_SIZE |
				 1ull << VIRTIO_BLK_F_RO | 1ull << VIRTIO_BLK_F_MQ);
	assert_int_equal(le32toh(config().max_write_zeroes_sectors), 0);

	start(state, "discard=off");
	assert_false(fake->virtio_desc.features & 1ull << VIRTIO_BLK_F_DISCARD);
	assert_int_equal(config().write_zeroes_may_unmap, 0);
}

static void test_read_and_write(void **state)
{
	uint8_t buf[8192];

	start(state, "");
	assert_int_equal(request(VIRTIO_BLK_T_IN, 3, buf, sizeof(buf)), VIRTIO_BLK_S_OK);
	check_image(3 * 512, buf, sizeof(buf));
	memset(buf, 0x5a, sizeof(buf));
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 9, buf, sizeof(buf)), VIRTIO_BLK_S_OK);
	check_image(9 * 512, buf, sizeof(buf));
	/* The last sector, and nothing. */
	assert_int_equal(request(VIRTIO_BLK_T_IN, IMAGE_SIZE / 512 - 1, buf, 512), VIRTIO_BLK_S_OK);
	check_image(IMAGE_SIZE - 512, buf, 512);
	assert_int_equal(request(VIRTIO_BLK_T_IN, IMAGE_SIZE / 512, buf, 0), VIRTIO_BLK_S_OK);
}

/* A device without work leaves its loop asleep. */
static void test_idle(void **state)
{
	struct virtio_blk_discard_write_zeroes segment = { .num_sectors = htole32(8) };
	uint8_t buf[512];
	struct pollfd loop;

	start(state, "");
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, buf, sizeof(buf)), VIRTIO_BLK_S_OK);
	assert_int_equal(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, &segment, 16), VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < 4; i++)
		alcor_fake_turn(fake, 0);
	loop = (struct pollfd){ .fd = fake->epoll_fd, .events = POLLIN };
	assert_int_equal(poll(&loop, 1, 20), 0);
}

static void test_serial(void **state)
{
	uint8_t id[24];

	start(state, "serial=12345678901234567890");
	memset(id, 0xee, sizeof(id));
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, id, 20), VIRTIO_BLK_S_OK);
	assert_memory_equal(id, "12345678901234567890\xee", 21);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, id, 24), VIRTIO_BLK_S_OK);
	memset(id, 0xee, sizeof(id));
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, id, 5), VIRTIO_BLK_S_OK);
	assert_memory_equal(id, "12345\xee", 6);
	start(state, "");
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, id, 20), VIRTIO_BLK_S_OK);
	assert_memory_equal(id, "dev0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
}

static void test_flush_reaches_the_medium(void **state)
{
	uint8_t buf[4096] = { 1 };

	start(state, "");
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, buf, sizeof(buf)), VIRTIO_BLK_S_OK);
	if (n_dirty() <= 0)
		print_message("SKIPPED in part: this kernel or file system tells no dirty pages\n");
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, NULL, 0), VIRTIO_BLK_S_OK);
	assert_in_range(n_dirty() + 1, 0, 1);
	if (!strcmp(*state, "threads"))
		assert_int_equal(inject.n_fdatasync, 1);
}

static void test_without_flush_writes_are_stable(void **state)
{
	struct virtio_blk_discard_write_zeroes segment = { .num_sectors = htole32(8) };
	uint8_t buf[4096] = { 1 };

	start(state, "");
	alcor_fake_deactivate(fake);
	assert_int_equal(alcor_fake_activate(fake, 0), 0);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, buf, sizeof(buf)), VIRTIO_BLK_S_OK);
	assert_in_range(n_dirty() + 1, 0, 1);
	inject.no_zero_range = true;
	assert_int_equal(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, &segment, sizeof(segment)),
			 VIRTIO_BLK_S_OK);
	assert_in_range(n_dirty() + 1, 0, 1);
}

static uint64_t image_blocks(void)
{
	struct stat st;

	assert_int_equal(fstat(image_fd, &st), 0);
	return (uint64_t)st.st_blocks;
}

static void test_discard(void **state)
{
	struct virtio_blk_discard_write_zeroes segments[] = {
		{ .sector = htole64(256), .num_sectors = htole32(2048) },
		{ .sector = htole64(4096), .num_sectors = htole32(1024) },
	};
	uint64_t before = image_blocks();

	start(state, "");
	if (!(fake->virtio_desc.features & 1ull << VIRTIO_BLK_F_DISCARD)) {
		print_message("SKIPPED: this file system cannot punch holes\n");
		skip();
	}
	assert_true(le32toh(config().max_discard_sectors) >= 2048);
	assert_true(le32toh(config().max_discard_seg) >= 2);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, segments, sizeof(segments)),
			 VIRTIO_BLK_S_OK);
	assert_true(image_blocks() + 3072 <= before);
	check_zero(256 * 512, 2048 * 512);
	check_zero(4096 * 512, 1024 * 512);
	check_around(256 * 512, 2048 * 512);
	check_around(4096 * 512, 1024 * 512);
}

static void test_discard_without_holes(void **state)
{
	struct virtio_blk_discard_write_zeroes segment = { .num_sectors = htole32(8) };

	inject.no_punch = true;
	start(state, "");
	assert_false(fake->virtio_desc.features & 1ull << VIRTIO_BLK_F_DISCARD);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, &segment, sizeof(segment)),
			 VIRTIO_BLK_S_UNSUPP);
}

static void test_write_zeroes(void **state)
{
	uint64_t before = image_blocks();

	start(state, "");
	write_zeroes(1, 2047, false);
	assert_true(image_blocks() >= before);
	write_zeroes(3000, 1200, true);
	if (config().write_zeroes_may_unmap)
		assert_true(image_blocks() + 1024 <= before);
	/* Written by hand, where the file system helps with neither. */
	inject.no_punch = inject.no_zero_range = true;
	write_zeroes(5001, 1777, true);
}

static void test_hostile_ranges(void **state)
{
	struct virtio_blk_discard_write_zeroes seg[17] = { 0 }, *s = &seg[0];
	const uint32_t types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };

	start(state, "");
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned j = 0; j < 17; j++)
			seg[j].num_sectors = htole32(1);
		assert_int_equal(request(types[i], 0, seg, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(types[i], 0, seg, 15), VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(types[i], 0, seg, 17), VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(types[i], 0, seg, sizeof(seg)), VIRTIO_BLK_S_IOERR);
		s->flags = htole32(2);
		assert_int_equal(request(types[i], 0, seg, 16), VIRTIO_BLK_S_UNSUPP);
		s->flags = 0;
		s->sector = htole64(~0ull);
		assert_int_equal(request(types[i], 0, seg, 16), VIRTIO_BLK_S_IOERR);
		s->sector = htole64(1ull << 55);
		assert_int_equal(request(types[i], 0, seg, 16), VIRTIO_BLK_S_IOERR);
		s->sector = htole64(IMAGE_SIZE / 512 - 1);
		s->num_sectors = htole32(2);
		assert_int_equal(request(types[i], 0, seg, 16), VIRTIO_BLK_S_IOERR);
		s->sector = 0;
		s->num_sectors = htole32(~0u);
		assert_int_equal(request(types[i], 0, seg, 16), VIRTIO_BLK_S_IOERR);
		/* A bad segment stops the good one before it. */
		s->num_sectors = htole32(1);
		seg[1].sector = htole64(1ull << 40);
		assert_int_equal(request(types[i], 0, seg, 32), VIRTIO_BLK_S_IOERR);
		seg[1].sector = 0;
	}
	s->flags = htole32(VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, seg, 16), VIRTIO_BLK_S_UNSUPP);
	for (unsigned i = 0; i < 512; i++) {
		uint8_t byte = pattern(i);

		check_image(i, &byte, 1);
	}
	/* No sectors are fine. */
	s->flags = s->num_sectors = 0;
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, seg, 16), VIRTIO_BLK_S_OK);
}

static void test_range_limits(void **state)
{
	struct virtio_blk_discard_write_zeroes segment = { .sector = htole64(8192) };
	const uint32_t types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };
	uint32_t max[2];

	assert_int_equal(ftruncate(image_fd, 4ll << 30), 0);
	start(state, "");
	max[0] = le32toh(config().max_discard_sectors);
	max[1] = le32toh(config().max_write_zeroes_sectors);
	for (unsigned i = 0; i < 2; i++) {
		segment.flags = htole32(i ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0);
		segment.num_sectors = htole32(max[i] + 1);
		assert_int_equal(request(types[i], 0, &segment, 16),
				 max[i] ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_UNSUPP);
		segment.num_sectors = htole32(max[i]);
		assert_int_equal(request(types[i], 0, &segment, 16),
				 max[i] ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_UNSUPP);
	}
	assert_int_equal(ftruncate(image_fd, IMAGE_SIZE), 0);
}

static void test_hostile_transfers(void **state)
{
	uint8_t buf[1024] = { 0 };
	const uint64_t sectors[] = { ~0ull,
				     1ull << 55,
				     1ull << 54,
				     IMAGE_SIZE / 512 - 1,
				     IMAGE_SIZE / 512,
				     IMAGE_SIZE / 512 + 1 };
	const uint32_t unknown[] = { 2, 3, 5, 9, 10, 12, 14, 0x80000000, 0xffffffff };

	start(state, "");
	for (unsigned i = 0; i < sizeof(sectors) / sizeof(sectors[0]); i++) {
		assert_int_equal(request(VIRTIO_BLK_T_IN, sectors[i], buf, 1024),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(VIRTIO_BLK_T_OUT, sectors[i], buf, 1024),
				 VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, buf, 511), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, buf, 513), VIRTIO_BLK_S_IOERR);
	for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_int_equal(request(unknown[i], 0, buf, 512), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(lseek(image_fd, 0, SEEK_END), IMAGE_SIZE);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, buf, 512), VIRTIO_BLK_S_OK);
	check_image(0, buf, 512);
}

static void test_readonly(void **state)
{
	struct virtio_blk_discard_write_zeroes segment = { .num_sectors = htole32(8) };
	uint8_t buf[512] = { 0xff }, first = pattern(0);

	start(state, "readonly=on");
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, buf, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(fake->n_logs, 0);
	assert_int_equal(request(VIRTIO_BLK_T_DISCARD, 0, &segment, 16), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, &segment, 16), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, NULL, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, buf, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(buf[0], first);
	check_image(0, &first, 1);
}

/* A read whose buffers are cut in any place. */
static void test_odd_framing(void **state)
{
	struct virtio_blk_outhdr hdr = header(VIRTIO_BLK_T_IN, 5);
	uint8_t buf[1025];

	start(state, "");
	for (unsigned cut = 0; cut <= sizeof(hdr); cut++) {
		size_t at = cut * 64;
		struct iovec out[] = { { &hdr, cut },
				       { NULL, 0 },
				       { (char *)&hdr + cut, sizeof(hdr) - cut } };
		struct iovec in[] = {
			{ buf, 0 }, { buf, at }, { buf + at, sizeof(buf) - at }, { NULL, 0 }
		};
		struct alcor_fake_request *req = alcor_fake_submit(fake, 0, out, 3, in, 4);

		memset(buf, 0xee, sizeof(buf));
		alcor_fake_notify(fake, 0);
		assert_true(alcor_fake_wait(fake, &req->done));
		assert_int_equal(req->written, sizeof(buf));
		assert_int_equal(buf[1024], VIRTIO_BLK_S_OK);
		check_image(5 * 512, buf, 1024);
	}
}

/* Header and data in one buffer, data in single bytes, room behind what is needed. */
static void test_odd_framing_of_writes(void **state)
{
	struct {
		struct virtio_blk_outhdr hdr;
		uint8_t data[512];
	} both = { .hdr = header(VIRTIO_BLK_T_OUT, 11) };
	struct iovec out[250], in = { NULL, 9 };
	struct alcor_fake_request *req;
	uint8_t room[9];

	start(state, "");
	for (unsigned pass = 0; pass < 2; pass++) {
		memset(both.data, 0x11 + (int)pass, sizeof(both.data));
		memset(room, 0xee, sizeof(room));
		out[0] = (struct iovec){ &both, sizeof(both) - pass * 249 };
		for (unsigned i = 1; i < 250; i++)
			out[i] = (struct iovec){ (char *)&both + sizeof(both) - 250 + i, 1 };
		in.iov_base = room;
		req = alcor_fake_submit(fake, 0, out, pass ? 250 : 1, &in, 1);
		alcor_fake_notify(fake, 0);
		assert_true(alcor_fake_wait(fake, &req->done));
		assert_int_equal(req->written, 9);
		assert_int_equal(room[7], 0xee);
		assert_int_equal(room[8], VIRTIO_BLK_S_OK);
		check_image(11 * 512, both.data, 512);
	}
}

static void test_requests_without_header_or_status(void **state)
{
	struct virtio_blk_outhdr hdr = header(VIRTIO_BLK_T_IN, 0);
	struct iovec out = { &hdr, sizeof(hdr) }, part = { &hdr, 15 };
	uint8_t buf[513] = { 0 };
	struct iovec empty[] = { { buf, 0 }, { buf, 0 } }, in = { buf, 513 };
	struct alcor_fake_request *reqs[4];

	start(state, "");
	reqs[0] = alcor_fake_submit(fake, 0, &out, 1, NULL, 0);
	reqs[1] = alcor_fake_submit(fake, 0, &out, 1, empty, 2);
	reqs[2] = alcor_fake_submit(fake, 0, NULL, 0, NULL, 0);
	reqs[3] = alcor_fake_submit(fake, 0, &part, 1, &in, 1);
	alcor_fake_notify(fake, 0);
	assert_true(alcor_fake_wait(fake, &reqs[3]->done));
	for (unsigned i = 0; i < 3; i++) {
		assert_true(reqs[i]->done);
		assert_int_equal(reqs[i]->written, 0);
	}
	assert_int_equal(buf[512], VIRTIO_BLK_S_IOERR);
	reqs[0] = alcor_fake_submit(fake, 0, NULL, 0, &in, 1);
	alcor_fake_notify(fake, 0);
	assert_true(alcor_fake_wait(fake, &reqs[0]->done));
	assert_int_equal(buf[512], VIRTIO_BLK_S_IOERR);
}

static void test_image_cut_short(void **state)
{
	uint8_t buf[4096];

	start(state, "");
	assert_int_equal(ftruncate(image_fd, 2048), 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, buf, sizeof(buf)), VIRTIO_BLK_S_IOERR);
	assert_int_equal(fake->n_logs, 1);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, buf, 2048), VIRTIO_BLK_S_OK);
}

static void test_write_error(void **state)
{
	struct rlimit old, limit;
	uint8_t buf[4096] = { 0 };

	start(state, "");
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = IMAGE_SIZE / 2;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, IMAGE_SIZE / 1024 - 4, buf, sizeof(buf)),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_non_null(strstr(fake->log, "File too large"));
	assert_int_equal(request(VIRTIO_BLK_T_OUT, IMAGE_SIZE / 1024 - 4, buf, sizeof(buf)),
			 VIRTIO_BLK_S_OK);
}

static void test_short_transfers_are_continued(void **state)
{
	struct virtio_blk_outhdr hdr = header(VIRTIO_BLK_T_OUT, 17);
	uint8_t buf[4096], status = 0xee;
	struct iovec out[] = { { &hdr, 16 }, { buf, 1 }, { buf + 1, 700 }, { buf + 701, 3395 } };
	struct iovec in = { &status, 1 };
	struct alcor_fake_request *req;

	start(state, "");
	inject.short_transfers = true;
	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 31 >> 3);
	req = alcor_fake_submit(fake, 0, out, 4, &in, 1);
	alcor_fake_notify(fake, 0);
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(status, VIRTIO_BLK_S_OK);
	check_image(17 * 512, buf, sizeof(buf));
	assert_int_equal(request(VIRTIO_BLK_T_IN, 40, buf, sizeof(buf)), VIRTIO_BLK_S_OK);
	check_image(40 * 512, buf, sizeof(buf));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_description),
		BOTH(test_read_and_write),
		BOTH(test_idle),
		BOTH(test_serial),
		BOTH(test_flush_reaches_the_medium),
		BOTH(test_without_flush_writes_are_stable),
		BOTH(test_discard),
		BOTH(test_discard_without_holes),
		BOTH(test_write_zeroes),
		BOTH(test_hostile_ranges),
		BOTH(test_range_limits),
		BOTH(test_hostile_transfers),
		BOTH(test_readonly),
		BOTH(test_odd_framing),
		BOTH(test_odd_framing_of_writes),
		BOTH(test_requests_without_header_or_status),
		BOTH(test_image_cut_short),
		BOTH(test_write_error),
		BOTH(test_short_transfers_are_continued),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
