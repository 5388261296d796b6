/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptor chains that are wrong in themselves, for split and packed rings alike. */
#include "hostile.h"
#include "lib/cpu.h"

/* clang-format off */
#define N      DESC_NEXT
#define W      DESC_WRITE
#define I      DESC_INDIRECT
#define HDR    { A_HDR, 16, N, 1 }
#define DATA   { A_DATA, 512, N | W, 2 }
#define STATUS { A_STATUS, 1, W, 0 }
#define TABLE(len) { A_TABLE, len, I, 0 }
/* A read whose data descriptor is the one under test. */
#define READ_INTO(addr, len) .d = { HDR, { addr, len, N | W, 2 }, STATUS }, .n = 3
#define BAD  (E_ALIVE | E_NOT_OK | E_KEEP)
#define SOFT (E_SAFE | E_NOT_OK | E_KEEP)
#define GOOD (E_ALIVE | E_USED | E_OK)

static const struct attack buffers[] = {
	{ "buffer_beyond_ram", READ_INTO(MEM_END, 512), BAD },
	{ "buffer_crossing_ram_end", READ_INTO(MEM_END - 256, 512), BAD },
	{ "buffer_far_beyond_ram", READ_INTO(1ull << 40, 512), BAD },
	{ "buffer_above_52_bits", READ_INTO(1ull << 60, 512), BAD },
	{ "buffer_in_pci_hole", READ_INTO(0xa0000000, 512), BAD },
	{ "buffer_in_ecam", READ_INTO(0xe0000000, 512), BAD },
	{ "buffer_in_ioapic", READ_INTO(0xfec00000, 512), BAD },
	{ "buffer_in_lapic", READ_INTO(0xfee00000, 512), BAD },
	{ "buffer_below_4g_end", READ_INTO(0xfffffe00, 1024), BAD },
	{ "buffer_address_wraps", READ_INTO(~0ull - 15, 512), BAD },
	{ "buffer_address_all_ones", READ_INTO(~0ull, 512), BAD },
	{ "buffer_length_4g", READ_INTO(A_DATA, 0xffffffff), BAD },
	{ "buffer_length_4g_sectors", READ_INTO(A_DATA, 0xfffffe00), BAD },
	{ "buffer_length_2g", READ_INTO(A_DATA, 0x80000000), BAD },
	{ "buffer_length_negative", READ_INTO(A_DATA, 0xfffffff0), BAD },
	{ "buffer_length_zero", READ_INTO(A_DATA, 0), E_SAFE | E_KEEP },
	{ "two_buffers_of_4g", .d = { HDR, { A_DATA, 0xffffffff, N | W, 2 },
				      { A_DATA, 0xffffffff, N | W, 3 }, STATUS }, .n = 4, BAD },
	{ "good_buffer_then_bad", .d = { HDR, DATA, { MEM_END, 512, N | W, 3 }, STATUS }, .n = 4,
	  E_ALIVE | E_NOT_OK },
	{ "write_from_beyond_ram", .d = { HDR, { MEM_END, 512, N, 2 }, STATUS }, .n = 3, BAD,
	  .type = BLK_OUT, .sector = 5000 },
};

static const struct attack shapes[] = {
	{ "header_beyond_ram", .d = { { MEM_END, 16, N, 1 }, DATA, STATUS }, .n = 3, BAD },
	{ "header_crossing_ram_end", .d = { { MEM_END - 8, 16, N, 1 }, DATA, STATUS }, .n = 3,
	  BAD },
	{ "header_in_lapic", .d = { { 0xfee00000, 16, N, 1 }, DATA, STATUS }, .n = 3, BAD },
	{ "header_empty", .d = { { A_HDR, 0, N, 1 }, DATA, STATUS }, .n = 3, SOFT },
	{ "header_1_byte", .d = { { A_HDR, 1, N, 1 }, DATA, STATUS }, .n = 3, BAD },
	{ "header_15_bytes", .d = { { A_HDR, 15, N, 1 }, DATA, STATUS }, .n = 3, BAD },
	{ "header_17_bytes", .d = { { A_HDR, 17, N, 1 }, DATA, STATUS }, .n = 3, E_ALIVE },
	{ "header_4g", .d = { { A_HDR, 0xffffffff, N, 1 }, DATA, STATUS }, .n = 3, BAD },
	{ "header_missing", .d = { DATA, STATUS }, .n = 2, BAD },
	{ "header_writable", .d = { { A_HDR, 16, N | W, 1 }, DATA, STATUS }, .n = 3, BAD },
	{ "header_alone", .d = { { A_HDR, 16, 0, 0 } }, .n = 1, BAD },
	{ "header_in_three_pieces",
	  .d = { { A_HDR, 4, N, 1 }, { A_HDR + 4, 4, N, 2 }, { A_HDR + 8, 8, N, 3 }, DATA, STATUS },
	  .n = 5, GOOD },
	{ "status_beyond_ram", .d = { HDR, DATA, { MEM_END, 1, W, 0 } }, .n = 3, E_ALIVE },
	{ "status_last_address", .d = { HDR, DATA, { ~0ull, 1, W, 0 } }, .n = 3, E_ALIVE },
	{ "status_in_lapic", .d = { HDR, DATA, { 0xfee000b0, 1, W, 0 } }, .n = 3, E_ALIVE },
	{ "status_empty", .d = { HDR, DATA, { A_STATUS, 0, W, 0 } }, .n = 3, E_SAFE },
	{ "status_read_only", .d = { HDR, DATA, { A_STATUS, 1, 0, 0 } }, .n = 3,
	  E_ALIVE | E_NOT_OK },
	{ "status_missing", .d = { HDR, { A_DATA, 512, W, 0 } }, .n = 2, E_ALIVE },
	{ "status_missing_on_write", .d = { HDR, { A_DATA, 512, 0, 0 } }, .n = 2, E_ALIVE | E_KEEP,
	  .type = BLK_OUT, .sector = 5000 },
	{ "status_4g", .d = { HDR, DATA, { A_STATUS, 0xffffffff, W, 0 } }, .n = 3, BAD },
	{ "no_data_to_read", .d = { HDR, STATUS }, .n = 2, E_ALIVE },
	{ "no_data_to_write", .d = { HDR, STATUS }, .n = 2, E_ALIVE, .type = BLK_OUT,
	  .sector = 5000 },
	{ "writable_before_readable", .d = { DATA, HDR, STATUS }, .n = 3, SOFT },
	{ "readable_between_writable", .d = { HDR, DATA, { A_HDR, 16, N, 3 }, STATUS }, .n = 4,
	  E_SAFE | E_NOT_OK },
	{ "all_readable", .d = { HDR, { A_DATA, 512, N, 2 }, { A_STATUS, 1, 0, 0 } }, .n = 3, BAD },
	{ "all_writable", .d = { { A_HDR, 16, N | W, 1 }, DATA, STATUS }, .n = 3, BAD },
	{ "one_empty_descriptor", .d = { { 0, 0, 0, 0 } }, .n = 1, E_SAFE },
	{ "all_empty", .d = { { A_HDR, 0, N, 1 }, { A_DATA, 0, N | W, 2 }, { A_STATUS, 0, W, 0 } },
	  .n = 3, E_SAFE | E_KEEP },
	{ "reserved_flags",
	  .d = { { A_HDR, 16, N | 0x2070, 1 }, { A_DATA, 512, N | W | 0x1e78, 2 }, STATUS }, .n = 3,
	  E_SAFE },
};

static const struct attack indirect[] = {
	{ "indirect_without_feature", .d = { TABLE(48) }, .n = 1, SOFT,
	  .table = { HDR, DATA, STATUS } },
	{ "indirect_with_next", .d = { { A_TABLE, 48, I | N, 1 }, STATUS }, .n = 2, E_SAFE,
	  .features = F_INDIRECT, .table = { HDR, DATA, STATUS } },
	{ "indirect_with_write", .d = { { A_TABLE, 48, I | W, 0 } }, .n = 1, E_SAFE,
	  .features = F_INDIRECT, .table = { HDR, DATA, STATUS } },
	{ "indirect_after_direct", .d = { HDR, { A_TABLE, 32, I, 0 } }, .n = 2, E_SAFE,
	  .features = F_INDIRECT, .table = { { A_DATA, 512, N | W, 1 }, STATUS } },
	{ "indirect_nested", .d = { TABLE(48) }, .n = 1, SOFT, .features = F_INDIRECT,
	  .table = { HDR, { A_TABLE, 48, I, 0 } } },
	{ "indirect_nested_in_itself", .d = { TABLE(16) }, .n = 1, SOFT, .features = F_INDIRECT,
	  .table = { { A_TABLE, 16, I, 0 } } },
	{ "indirect_length_zero", .d = { TABLE(0) }, .n = 1, SOFT, .features = F_INDIRECT,
	  .table = { HDR, DATA, STATUS } },
	{ "indirect_length_15", .d = { TABLE(15) }, .n = 1, SOFT, .features = F_INDIRECT,
	  .table = { HDR, DATA, STATUS } },
	{ "indirect_length_49", .d = { TABLE(49) }, .n = 1, E_SAFE, .features = F_INDIRECT,
	  .table = { HDR, DATA, STATUS } },
	{ "indirect_length_4g", .d = { TABLE(0xfffffff0) }, .n = 1, E_SAFE, .features = F_INDIRECT,
	  .table = { HDR, DATA, STATUS } },
	{ "indirect_length_16m", .d = { TABLE(0x1000000) }, .n = 1, E_SAFE, .features = F_INDIRECT,
	  .table = { HDR, DATA, STATUS } },
	{ "indirect_length_all_ones", .d = { TABLE(0xffffffff) }, .n = 1, E_SAFE,
	  .features = F_INDIRECT, .table = { HDR, DATA, STATUS } },
	{ "indirect_beyond_ram", .d = { { MEM_END, 48, I, 0 } }, .n = 1, SOFT,
	  .features = F_INDIRECT },
	{ "indirect_crossing_ram_end", .d = { { MEM_END - 16, 48, I, 0 } }, .n = 1, SOFT,
	  .features = F_INDIRECT },
	{ "indirect_address_wraps", .d = { { ~0ull - 15, 48, I, 0 } }, .n = 1, SOFT,
	  .features = F_INDIRECT },
	{ "indirect_in_lapic", .d = { { 0xfee00000, 48, I, 0 } }, .n = 1, SOFT,
	  .features = F_INDIRECT },
	{ "indirect_next_beyond_table", .d = { TABLE(48) }, .n = 1, E_SAFE, .features = F_INDIRECT,
	  .table = { HDR, { A_DATA, 512, N | W, 3 }, STATUS } },
	{ "indirect_loop", .d = { TABLE(48) }, .n = 1, E_SAFE, .features = F_INDIRECT,
	  .table = { HDR, { A_DATA, 512, N | W, 1 }, STATUS } },
	{ "indirect_cycle_of_two", .d = { TABLE(32) }, .n = 1, E_SAFE, .features = F_INDIRECT,
	  .table = { HDR, { A_DATA, 512, N | W, 0 } } },
	{ "indirect_bad_buffer", .d = { TABLE(48) }, .n = 1, E_SAFE | E_NOT_OK,
	  .features = F_INDIRECT,
	  .table = { HDR, { MEM_END, 512, N | W, 2 }, STATUS } },
};
/* clang-format on */

/* A table of 65536 descriptors that all lead to the next, within RAM: far longer than the queue. */
static const char *indirect_of_65536(const void *arg)
{
	struct desc *t = (struct desc *)MEM_SPARE;
	struct desc d = { MEM_SPARE, 65536 * 16, DESC_INDIRECT, 0 };

	(void)arg;
	TRY(victim_open(F_INDIRECT));
	attack_buffers(BLK_IN, 3);
	for (uint32_t i = 0; i < 65536; i++)
		t[i] = (struct desc){ A_DATA, 16, DESC_NEXT | DESC_WRITE, i + 1 };
	t[0] = (struct desc){ A_HDR, 16, DESC_NEXT, 1 };
	if (victim.q[0].packed) {
		vq_post_packed(&victim.q[0], &d, 1, 0);
	} else {
		*victim_desc(0) = d;
		victim_skip(8);
		vq_post_split(&victim.q[0], 0);
	}
	return victim_safe();
}

void chain_cases(case_fn *each)
{
	each_attack(buffers, ARRAY_SIZE(buffers), each);
	each_attack(shapes, ARRAY_SIZE(shapes), each);
	each_attack(indirect, ARRAY_SIZE(indirect), each);
	each(&(struct test_case){ "indirect_of_65536", indirect_of_65536, NULL });
}
