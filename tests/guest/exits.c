/* SPDX-License-Identifier: Apache-2.0 */
/* Accesses that no sane guest makes: every port, every hole, every width, strings. */
#include "lib/blk.h"
#include "lib/cpu.h"
#include "lib/test.h"
#include "lib/uart.h"

static struct disk disk;

static const char *still_works(void)
{
	TRY(disk_open(&disk, 0, BLK_F_ALL | RING_F_ALL, 64, 1));
	return disk_verify(&disk, 21, 2, MEM_DATA);
}

/* Ports where a write means something: interrupt controllers, timers, A20, resets, power. */
static bool port_matters(uint32_t port)
{
	static const uint16_t ranges[][2] = {
		{ 0x20, 0x21 },	  { 0x40, 0x43 },   { 0x60, 0x64 },
		{ 0x92, 0x92 },	  { 0xa0, 0xa1 },   { 0x3f8, 0x3ff },
		{ 0x4d0, 0x4d1 }, { 0x600, 0x607 }, { 0xcf8, 0xcff },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(ranges); i++)
		if (port + 3 >= ranges[i][0] && port <= ranges[i][1])
			return true;
	return false;
}

static const char *read_every_port(const void *arg)
{
	(void)arg;
	for (uint32_t port = 0; port < 0xfffd; port += port < 0x1000 ? 1 : 13) {
		if (port >= COM1 && port < COM1 + 8)
			continue;
		inb(port);
		inw(port);
		inl(port);
	}
	inw(0xfffe);
	return still_works();
}

static const char *write_every_port(const void *arg)
{
	(void)arg;
	for (uint32_t port = 0; port < 0xfffd; port += port < 0x1000 ? 1 : 13) {
		if (port_matters(port))
			continue;
		outb(port, 0xff);
		outw(port, 0x5aa5);
		outl(port, 0);
	}
	outw(0xfffe, 0xffff);
	return still_works();
}

/* Values that are neither power-off nor reset, at every width and offset. */
static const char *power_ports_misused(const void *arg)
{
	static const uint8_t sleep[] = { 0x00, 0x14, 0x20, 0x24, 0x30, 0xff & ~0x20, 0x80 };
	static const uint8_t reset[] = { 0x00, 0x71, 0x73, 0xff, 0x06, 0x0e };

	(void)arg;
	for (unsigned int i = 0; i < ARRAY_SIZE(sleep); i++)
		outb(0x600, sleep[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(reset); i++)
		outb(0x604, reset[i]);
	outb(0x601, 0xff);
	outb(0x602, 0x34);
	outb(0x603, 0x34);
	outw(0x600, 0);
	outl(0x600, 0);
	outw(0x604, 0);
	outl(0x604, 0);
	inl(0x600);
	inl(0x604);
	inw(0x5ff);
	inl(0x5fe);
	return still_works();
}

static void string_in(uint16_t port, uint64_t to, uint64_t n, unsigned int width)
{
	if (width == 1)
		__asm__ volatile("rep insb" : "+D"(to), "+c"(n) : "d"(port) : "memory");
	else if (width == 2)
		__asm__ volatile("rep insw" : "+D"(to), "+c"(n) : "d"(port) : "memory");
	else
		__asm__ volatile("rep insl" : "+D"(to), "+c"(n) : "d"(port) : "memory");
}

static void string_out(uint16_t port, uint64_t from, uint64_t n, unsigned int width)
{
	if (width == 1)
		__asm__ volatile("rep outsb" : "+S"(from), "+c"(n) : "d"(port) : "memory");
	else if (width == 2)
		__asm__ volatile("rep outsw" : "+S"(from), "+c"(n) : "d"(port) : "memory");
	else
		__asm__ volatile("rep outsl" : "+S"(from), "+c"(n) : "d"(port) : "memory");
}

static const char *string_reads(const void *arg)
{
	(void)arg;
	memset((void *)MEM_SPARE, 0, 0x4000);
	for (unsigned int width = 1; width <= 4; width *= 2) {
		string_in(0x1230, MEM_SPARE + 1, 1500, width);
		for (uint32_t i = 0; i < 1500 * width; i++)
			CHECK_EQ(mmio_read8(MEM_SPARE + 1 + i), 0xff, "byte of an unmapped port");
		CHECK_EQ(mmio_read8(MEM_SPARE + 1 + 1500 * width), 0, "byte behind the string");
		memset((void *)MEM_SPARE, 0, 0x4000);
	}
	string_in(COM1 + UART_LSR, MEM_SPARE, 200, 1);
	CHECK_EQ(mmio_read8(MEM_SPARE + 199) & LSR_THRE, LSR_THRE, "LSR by string");
	string_in(0xcfc, MEM_SPARE, 100, 4);
	string_in(0x600, MEM_SPARE, 100, 2);
	return still_works();
}

static const char *string_writes(const void *arg)
{
	(void)arg;
	memset((void *)MEM_SPARE, 0, 0x4000);
	for (unsigned int width = 1; width <= 4; width *= 2) {
		string_out(0x1230, MEM_SPARE + 4093, 1500, width);
		string_out(0x80, MEM_SPARE, 100, width);
		string_out(COM1 + UART_SCR, MEM_SPARE, 100, width);
		string_out(0xcf8, MEM_SPARE, 10, width);
	}
	uart_init();
	return still_works();
}

/* A whole line by one instruction. */
static const char *string_prints(const void *arg)
{
	static const char line[] = "# printed by one instruction\n";

	(void)arg;
	string_out(COM1, (uint64_t)line, sizeof(line) - 1, 1);
	return still_works();
}

static void all_widths(uint64_t a)
{
	mmio_write8(a, 0xfe);
	mmio_write16(a, 0xfefe);
	mmio_write32(a, 0xfefefefe);
	mmio_write64(a, 0xfefefefefefefefe);
	mmio_read8(a);
	mmio_read16(a);
	mmio_read32(a);
	mmio_read64(a);
}

/* From the end of RAM to the interrupt controllers, with devices in between. */
static const char *hole_sweep(const void *arg)
{
	(void)arg;
	for (uint64_t a = MEM_END; a < 0xfec00000; a += a < 0x80000000 ? 0x1000004 : 0x200004)
		all_widths(a);
	for (uint64_t a = 0xfec01000; a < 0xfee00000; a += 0x40003)
		all_widths(a);
	for (uint64_t a = 0xfee01000; a < 0x100000000; a += 0x200007)
		all_widths(a);
	return still_works();
}

static const char *unaligned_across_pages(const void *arg)
{
	(void)arg;
	for (uint64_t a = 0xd0000ff9; a < 0xd0001000; a++)
		all_widths(a);
	for (uint64_t a = 0xe0000ff9; a < 0xe0001000; a++)
		mmio_read64(a);
	CHECK_EQ(mmio_read64(0xd0000ffc), ~0ull, "across a page");
	return still_works();
}

/* Partly RAM, partly nothing. */
static const char *across_ram_end(const void *arg)
{
	uint64_t keep = mmio_read64(MEM_END - 8), v;

	(void)arg;
	mmio_write64(MEM_END - 8, 0x1111111122222222);
	v = mmio_read64(MEM_END - 4);
	mmio_write64(MEM_END - 4, 0x3333333344444444);
	CHECK_EQ(v, 0xffffffff11111111, "read across the end of RAM");
	CHECK_EQ(mmio_read64(MEM_END - 8), 0x4444444422222222, "RAM");
	mmio_write64(MEM_END - 8, keep);
	return still_works();
}

static const char *above_4g(const void *arg)
{
	(void)arg;
	for (uint64_t a = 1ull << 32; a < 1ull << 39;
	     a += a < 1ull << 33 ? 0x10000000 : 1ull << 36) {
		if (!map_gib(a))
			break;
		all_widths(a + 8);
		CHECK_EQ(mmio_read64(a + 8), ~0ull, "8 bytes");
	}
	return still_works();
}

static const char *absent_ecam_buses(const void *arg)
{
	(void)arg;
	for (unsigned int bus = 1; bus < 256; bus++) {
		uint64_t a = ecam_base() + ((uint64_t)bus << 20);

		all_widths(a);
		all_widths(a + 0xffff8);
		CHECK_EQ(mmio_read64(a + 0x10), ~0ull, "8 bytes");
	}
	return still_works();
}

/* One instruction that stores many times into a hole. */
static const char *string_to_mmio(const void *arg)
{
	(void)arg;
	memset((void *)0xd0000000, 0, 600);
	memcpy((void *)MEM_SPARE, (void *)0xd0000000, 600);
	for (uint32_t i = 0; i < 600; i++)
		CHECK_EQ(mmio_read8(MEM_SPARE + i), 0xff, "byte read by a string");
	return still_works();
}

static const char *locked_in_hole(const void *arg)
{
	(void)arg;
	__asm__ volatile("lock incl (%0)" ::"r"(0xd0000000ull) : "memory");
	__asm__ volatile("xchgl %%eax, (%0)" ::"r"(0xd0000000ull) : "eax", "memory");
	return still_works();
}

static const struct test_case cases[] = {
	{ "read_every_port", read_every_port, NULL },
	{ "write_every_port", write_every_port, NULL },
	{ "power_ports_misused", power_ports_misused, NULL },
	{ "string_reads", string_reads, NULL },
	{ "string_writes", string_writes, NULL },
	{ "string_prints", string_prints, NULL },
	{ "hole_sweep", hole_sweep, NULL },
	{ "unaligned_across_pages", unaligned_across_pages, NULL },
	{ "across_ram_end", across_ram_end, NULL },
	{ "above_4g", above_4g, NULL },
	{ "absent_ecam_buses", absent_ecam_buses, NULL },
	{ "string_to_mmio", string_to_mmio, NULL },
	{ "locked_in_hole", locked_in_hole, NULL },
};

void user_main(void)
{
	test_init();
	test_run_all(cases, ARRAY_SIZE(cases));
	test_done();
}
