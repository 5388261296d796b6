/* SPDX-License-Identifier: Apache-2.0 */
/* Well-formed chains with block requests that cannot be served. */
#include "hostile.h"
#include "lib/cpu.h"

/* clang-format off */
#define N   DESC_NEXT
#define W   DESC_WRITE
#define CAP 8192ull
#define HDR        { A_HDR, 16, N, 1 }
#define STATUS     { A_STATUS, 1, W, 0 }
#define READ(len)  .d = { HDR, { A_DATA, len, N | W, 2 }, STATUS }, .n = 3
#define WRITE(len) .d = { HDR, { A_DATA, len, N, 2 }, STATUS }, .n = 3
#define NO_DATA    .d = { HDR, STATUS }, .n = 2
#define REFUSED    (E_ERROR | E_KEEP)
#define UNKNOWN    (E_USED | E_ALIVE | E_UNSUPP | E_KEEP)
#define RANGE(first, count, bits) .has_range = true, .range = { first, count, bits }

static const struct attack requests[] = {
	{ "type_scsi", READ(512), UNKNOWN, .type = 2 },
	{ "type_3", READ(512), UNKNOWN, .type = 3 },
	{ "type_5", WRITE(512), UNKNOWN, .type = 5 },
	{ "type_lifetime", READ(512), UNKNOWN, .type = 10 },
	{ "type_12", NO_DATA, UNKNOWN, .type = 12 },
	{ "type_secure_erase", WRITE(16), UNKNOWN, .type = 14 },
	{ "type_zone_report", READ(512), UNKNOWN, .type = 16 },
	{ "type_barrier_bit", READ(512), UNKNOWN, .type = 0x80000000 },
	{ "type_all_ones", READ(512), UNKNOWN, .type = 0xffffffff },
	{ "type_0x10000", READ(512), UNKNOWN, .type = 0x10000 },
	{ "read_at_end", READ(512), REFUSED, .sector = CAP },
	{ "read_across_end", READ(1024), REFUSED, .sector = CAP - 1 },
	{ "read_far_beyond", READ(512), REFUSED, .sector = 1ull << 40 },
	{ "read_sector_all_ones", READ(512), REFUSED, .sector = ~0ull },
	{ "read_sector_wraps_64", READ(1024), REFUSED, .sector = (1ull << 55) - 1 },
	{ "read_sector_wraps_to_0", READ(512), REFUSED, .sector = 1ull << 55 },
	{ "read_sector_negative", READ(512), REFUSED, .sector = 1ull << 54 },
	{ "write_at_end", WRITE(512), REFUSED, .type = BLK_OUT, .sector = CAP },
	{ "write_across_end", WRITE(4096), REFUSED, .type = BLK_OUT, .sector = CAP - 7 },
	{ "write_sector_wraps_to_0", WRITE(512), REFUSED, .type = BLK_OUT, .sector = 1ull << 55 },
	{ "write_sector_all_ones", WRITE(512), REFUSED, .type = BLK_OUT, .sector = ~0ull },
	{ "read_1_byte", READ(1), REFUSED },
	{ "read_511_bytes", READ(511), REFUSED },
	{ "read_513_bytes", READ(513), REFUSED },
	{ "write_511_bytes", WRITE(511), REFUSED, .type = BLK_OUT, .sector = 5000 },
	{ "write_513_bytes", WRITE(513), REFUSED, .type = BLK_OUT, .sector = 5000 },
	/* Requests of no data: only buffers of the right direction are looked at. */
	{ "read_into_readable", WRITE(512), E_ALIVE | E_KEEP },
	{ "write_from_writable", READ(512), E_ALIVE | E_KEEP, .type = BLK_OUT, .sector = 5000 },
	{ "flush_with_data", WRITE(512), E_ALIVE | E_USED | E_KEEP, .type = BLK_FLUSH },
	{ "flush_far_sector", NO_DATA, E_ALIVE | E_USED, .type = BLK_FLUSH, .sector = ~0ull },
	{ "get_id_1_byte", READ(1), E_ALIVE | E_USED, .type = BLK_GET_ID },
	{ "get_id_19_bytes", READ(19), E_ALIVE | E_USED, .type = BLK_GET_ID },
	{ "get_id_32_kib", READ(0x8000), E_ALIVE | E_USED, .type = BLK_GET_ID },
	{ "get_id_no_buffer", NO_DATA, E_ALIVE | E_USED, .type = BLK_GET_ID },
	{ "get_id_readable_buffer", WRITE(20), E_ALIVE | E_KEEP, .type = BLK_GET_ID },
};

#define RANGES(type_name, type_number)                                                             \
	{ type_name "_no_range", NO_DATA, E_ERROR, .type = type_number },                          \
	{ type_name "_15_bytes", WRITE(15), E_ERROR, .type = type_number, RANGE(5000, 8, 0) },     \
	{ type_name "_17_bytes", WRITE(17), E_ERROR, .type = type_number, RANGE(5000, 8, 0) },     \
	{ type_name "_writable_range", READ(16), E_ALIVE | E_NOT_OK, .type = type_number,          \
	  RANGE(5000, 8, 0) },                                                                     \
	{ type_name "_at_end", WRITE(16), E_ERROR, .type = type_number, RANGE(CAP, 1, 0) },        \
	{ type_name "_across_end", WRITE(16), E_ERROR, .type = type_number, RANGE(CAP - 1, 2, 0) }, \
	{ type_name "_huge", WRITE(16), E_ERROR, .type = type_number,                              \
	  RANGE(4096, 0xffffffff, 0) },                                                            \
	{ type_name "_wraps", WRITE(16), E_ERROR, .type = type_number,                             \
	  RANGE(~0ull, 0xffffffff, 0) },                                                           \
	{ type_name "_wraps_to_0", WRITE(16), E_ERROR, .type = type_number,                        \
	  RANGE(1ull << 55, 8, 0) },                                                               \
	{ type_name "_reserved_flags", WRITE(16), E_ERROR, .type = type_number,                    \
	  RANGE(5000, 8, 0xfffffffe) },                                                            \
	{ type_name "_empty_range", WRITE(16), E_ALIVE | E_USED, .type = type_number,              \
	  RANGE(5000, 0, 0) },                                                                     \
	{ type_name "_4096_ranges", WRITE(0x10000), E_ERROR, .type = type_number,                  \
	  RANGE(5000, 1, 0) }

static const struct attack ranges[] = {
	RANGES("discard", BLK_DISCARD),
	RANGES("zeroes", BLK_ZEROES),
	{ "discard_with_unmap", WRITE(16), E_ERROR, .type = BLK_DISCARD, RANGE(5000, 8, 1) },
};
/* clang-format on */

/* The lower half of the disk, which no request above may change, is intact. */
static const char *data_intact(const void *arg)
{
	(void)arg;
	TRY(victim_open(F_INDIRECT));
	for (uint64_t s = 0; s < CAP / 2; s += 1024)
		TRY(disk_verify(&victim, s, 1024, MEM_DATA));
	return NULL;
}

static struct disk readonly;

static const char *write_to_read_only(const void *arg)
{
	uint32_t type = (uint64_t)arg;

	TRY(disk_open(&readonly, 2, BLK_F_ALL | RING_F_ALL, 64, 1));
	CHECK(readonly.v.features & BLK_F_RO, "VIRTIO_BLK_F_RO is not offered");
	*(struct blk_range *)MEM_DATA = (struct blk_range){ .sector = 1, .sectors = 1 };
	CHECK(disk_io(&readonly, type, 1, MEM_DATA, type == BLK_OUT ? 512 : 16) > BLK_OK,
	      "a write to a read-only disk succeeded");
	return disk_verify(&readonly, 0, 8, MEM_DATA);
}

/* The feature that says so is not taken: that makes the disk no more writable. */
static const char *write_to_read_only_unaware(const void *arg)
{
	(void)arg;
	TRY(disk_open(&readonly, 2, RING_F_ALL, 64, 1));
	CHECK_EQ(disk_io(&readonly, BLK_OUT, 1, MEM_DATA, 512), BLK_IOERR, "status");
	return disk_verify(&readonly, 0, 8, MEM_DATA);
}

void blk_cases(case_fn *each)
{
	static const struct test_case cases[] = {
		{ "write_to_read_only", write_to_read_only, (void *)BLK_OUT },
		{ "discard_on_read_only", write_to_read_only, (void *)BLK_DISCARD },
		{ "zeroes_on_read_only", write_to_read_only, (void *)BLK_ZEROES },
		{ "write_to_read_only_unaware", write_to_read_only_unaware, NULL },
		{ "data_intact", data_intact, NULL },
	};

	each_attack(requests, ARRAY_SIZE(requests), each);
	each_attack(ranges, ARRAY_SIZE(ranges), each);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++)
		each(&cases[i]);
}
