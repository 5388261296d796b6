/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest finds when it starts, and the ways in which it ends. */
#include "lib/apic.h"
#include "lib/blk.h"
#include "lib/cpu.h"
#include "lib/power.h"
#include "lib/pvh.h"
#include "lib/test.h"

#define MIB (1024 * 1024ull)

static struct disk disk;

static const char *start_info(const void *arg)
{
	const struct pvh_info *info = pvh_info();

	(void)arg;
	CHECK_EQ(info->magic, PVH_MAGIC, "magic");
	CHECK(info->version >= 1, "version %u", info->version);
	CHECK(info->memmap_entries >= 2 && info->memmap_entries <= 64, "%u memory map entries",
	      info->memmap_entries);
	CHECK(arg_is("from", "0") || arg_number("from", 99) != 99, "no command line");
	return NULL;
}

static const char *memory_map(const void *arg)
{
	const struct pvh_mem *m, *n;
	uint64_t ram = 0;

	(void)arg;
	for (uint32_t i = 0; (m = pvh_mem(i)); i++) {
		CHECK(m->size && m->addr + m->size - 1 >= m->addr, "entry %u is empty or wraps", i);
		for (uint32_t k = i + 1; (n = pvh_mem(k)); k++)
			CHECK(m->addr + m->size <= n->addr || n->addr + n->size <= m->addr,
			      "entries %u and %u overlap", i, k);
		if (m->type != MEM_RAM)
			continue;
		ram += m->size;
		CHECK(m->addr + m->size <= 0xa0000 || m->addr >= 1 * MIB,
		      "RAM at 0x%lx covers the BIOS area", m->addr);
	}
	CHECK(ram > 126 * MIB && ram <= 128 * MIB, "0x%lx bytes of RAM", ram);
	return NULL;
}

/* The first and the last word of each stretch of RAM. */
static const char *ram_ends(const void *arg)
{
	const struct pvh_mem *m;

	(void)arg;
	for (uint32_t i = 0; (m = pvh_mem(i)); i++) {
		uint64_t ends[2] = { m->addr, m->addr + m->size - 8 };

		for (unsigned int k = 0; m->type == MEM_RAM && k < 2; k++) {
			uint64_t keep = mmio_read64(ends[k]), got;

			mmio_write64(ends[k], ~keep);
			got = mmio_read64(ends[k]);
			mmio_write64(ends[k], keep);
			CHECK(got == ~keep, "RAM at 0x%lx does not keep what is written", ends[k]);
		}
	}
	return NULL;
}

static const char *ram_distinct(const void *arg)
{
	(void)arg;
	for (uint64_t a = MEM_DISKS; a < MEM_END - 16 * MIB; a += 4096)
		mmio_write64(a, a * 0x9e3779b97f4a7c15);
	for (uint64_t a = MEM_DISKS; a < MEM_END - 16 * MIB; a += 4096)
		CHECK(mmio_read64(a) == a * 0x9e3779b97f4a7c15, "RAM at 0x%lx has other data", a);
	return NULL;
}

static const char *acpi_tables(const void *arg)
{
	static const char *const names[] = { "FACP", "DSDT", "APIC", "MCFG" };

	(void)arg;
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		CHECK(acpi_find(names[i]), "no sound %s", names[i]);
	return NULL;
}

/* Sleep control and reset registers, as the FADT tells them: what power.c uses. */
static const char *acpi_power(const void *arg)
{
	const uint8_t *fadt = acpi_find("FACP");

	(void)arg;
	CHECK(fadt, "no FADT");
	CHECK_EQ(*(const uint64_t *)(fadt + 120), 0x604, "RESET_REG address");
	CHECK_EQ(fadt[128], 0x72, "RESET_VALUE");
	CHECK_EQ(*(const uint64_t *)(fadt + 248), 0x600, "SLEEP_CONTROL_REG address");
	return NULL;
}

static const char *ports_unmapped(const void *arg)
{
	static const uint16_t ports[] = { 0x0238, 0x1230, 0x5678, 0x9abc, 0xfff0, 0xfffc };

	(void)arg;
	for (unsigned int i = 0; i < ARRAY_SIZE(ports); i++) {
		outl(ports[i], 0);
		CHECK_EQ(inb(ports[i]), 0xff, "1 byte");
		CHECK_EQ(inw(ports[i]), 0xffff, "2 bytes");
		CHECK_EQ(inl(ports[i]), 0xffffffff, "4 bytes");
	}
	return NULL;
}

static const char *mmio_unmapped(const void *arg)
{
	static const uint64_t addrs[] = { MEM_END,    0x7ffffff0, 0x9ffffff0, 0xbffffff0,
					  0xd0000000, 0xfed80000, 0x1c0000000 };

	(void)arg;
	for (unsigned int i = 0; i < ARRAY_SIZE(addrs); i++) {
		mmio_write64(addrs[i], 0);
		CHECK_EQ(mmio_read8(addrs[i] + 3), 0xff, "1 byte");
		CHECK_EQ(mmio_read16(addrs[i] + 2), 0xffff, "2 bytes");
		CHECK_EQ(mmio_read32(addrs[i]), 0xffffffff, "4 bytes");
		CHECK_EQ(mmio_read64(addrs[i]), ~0ull, "8 bytes");
		CHECK_EQ(mmio_read32(addrs[i] + 1), 0xffffffff, "4 bytes, unaligned");
	}
	return NULL;
}

static const char *apic_timer(const void *arg)
{
	uint32_t before = irq_count[VECTOR_FIRST];

	(void)arg;
	apic_write(APIC_TIMER_DIV, 0xb);
	apic_write(APIC_LVT_TIMER, VECTOR_FIRST);
	apic_write(APIC_TIMER_COUNT, 100000);
	for (uint64_t end = deadline_ms(2000); irq_count[VECTOR_FIRST] == before; cpu_pause())
		CHECK(!passed(end), "no interrupt");
	apic_write(APIC_LVT_TIMER, 1 << 16);
	return NULL;
}

static const char *x2apic_timer(const void *arg)
{
	uint32_t id = apic_id();

	if (!apic_has_x2())
		return NULL;
	apic_enter_x2();
	CHECK_EQ(apic_id(), id, "x2APIC id");
	return apic_timer(arg);
}

static const char *second_cpu(const void *arg)
{
	const uint8_t *madt = acpi_find("APIC");
	unsigned int cpus = 0;

	(void)arg;
	CHECK(madt, "no MADT");
	for (uint32_t off = 44; off + 2 <= *(const uint32_t *)(madt + 4) && madt[off + 1];
	     off += madt[off + 1])
		cpus += madt[off] == 0 && madt[off + 4] & 1;
	CHECK_EQ(cpus, arg_number("cpus", 1), "enabled CPUs in the MADT");
	CHECK(cpus < 2 || apic_start_cpu(1), "CPU 1 does not start");
	return NULL;
}

/* A crash kernel that takes over is no reason to stop; nor are reads and writes beside the byte. */
static const char *pvpanic_harmless(const void *arg)
{
	struct pci_dev d;

	(void)arg;
	CHECK(pci_find(0x1b36, 0x0011, 0, &d), "no pvpanic device");
	CHECK_EQ(mmio_read8(d.bar[0].addr) & 3, 3, "events");
	mmio_write8(d.bar[0].addr, 2);
	mmio_write8(d.bar[0].addr, 0xfc);
	mmio_write8(d.bar[0].addr + 1, 1);
	mmio_write64(d.bar[0].addr + 8, ~0ull);
	mmio_read64(d.bar[0].addr);
	return NULL;
}

/* First start: leave a mark on the disk and a device in use. Second start: all is as new. */
static const char *reset_restarts(const void *arg)
{
	volatile uint64_t *mark = (volatile uint64_t *)MEM_DATA;

	(void)arg;
	CHECK_EQ(virtio_status(&disk.v), 0, "device status after the reset");
	TRY(disk_open(&disk, 0, BLK_F_ALL | RING_F_ALL, 0, 1));
	CHECK_EQ(disk_io(&disk, BLK_IN, disk.sectors - 1, MEM_DATA, 512), BLK_OK, "read status");
	CHECK_EQ(*mark, 0x7465736572, "mark");
	return disk_verify(&disk, 3, 1, MEM_DATA);
}

static const char *leave_mark(void)
{
	volatile uint64_t *mark = (volatile uint64_t *)MEM_DATA;

	CHECK(virtio_find(2, 0, &disk.v), "no disk");
	disk.found = true;
	if (!virtio_status(&disk.v)) {
		TRY(disk_open(&disk, 0, BLK_F_ALL | RING_F_ALL, 0, 1));
		CHECK_EQ(disk_io(&disk, BLK_IN, disk.sectors - 1, MEM_DATA, 512), BLK_OK, "read");
		virtio_reset(&disk.v);
	}
	if (*mark)
		return NULL;
	TRY(disk_open(&disk, 0, BLK_F_ALL | RING_F_ALL, 0, 1));
	*mark = 0x7465736572;
	CHECK_EQ(disk_io(&disk, BLK_OUT, disk.sectors - 1, MEM_DATA, 512), BLK_OK, "write");
	CHECK_EQ(disk_io(&disk, BLK_FLUSH, 0, 0, 0), BLK_OK, "flush");
	print("# resetting\n");
	power_reset();
	return "port 0x604 does nothing";
}

static void end_by_reset(void)
{
	static const struct test_case restarts = { "reset_restarts", reset_restarts, NULL };
	const char *reason;

	*(volatile uint64_t *)MEM_DATA = 0;
	reason = leave_mark();
	if (reason)
		print("run reset_restarts\nnot ok reset_restarts: %s\n", reason);
	else
		test_run(&restarts);
	test_done();
}

static void end_by_panic(void)
{
	struct pci_dev d;

	if (pci_find(0x1b36, 0x0011, 0, &d))
		mmio_write8(d.bar[0].addr, 1);
	delay_ms(200);
}

/* Ring 0 runs into a place where no memory is. */
static uint64_t run_nowhere(uint64_t addr)
{
	((void (*)(void))addr)();
	return 0;
}

static void end_by_nothing_to_run(void)
{
	ring0(run_nowhere, 0xd0000000);
}

static const struct {
	const char *name;
	void (*end)(void);
} ends[] = {
	{ "reset_exits", power_reset },
	{ "panic", end_by_panic },
	{ "triple_fault", triple_fault },
	{ "nothing_to_run", end_by_nothing_to_run },
};

/* clang-format off */
static const struct test_case cases[] = {
	{ "start_info", start_info, NULL },
	{ "memory_map", memory_map, NULL },
	{ "ram_ends", ram_ends, NULL },
	{ "ram_distinct", ram_distinct, NULL },
	{ "acpi_tables", acpi_tables, NULL },
	{ "ports_unmapped", ports_unmapped, NULL },
	{ "apic_timer", apic_timer, NULL },
	{ "second_cpu", second_cpu, NULL },
};

static const struct test_case alcor_cases[] = {
	{ "acpi_power", acpi_power, NULL },
	{ "mmio_unmapped", mmio_unmapped, NULL },
	{ "pvpanic_harmless", pvpanic_harmless, NULL },
	{ "x2apic_timer", x2apic_timer, NULL },
};
/* clang-format on */

void user_main(void)
{
	test_init();
	if (arg_is("end", "reset_restarts"))
		end_by_reset();
	for (unsigned int i = 0; i < ARRAY_SIZE(ends); i++) {
		if (!arg_is("end", ends[i].name))
			continue;
		print("run %s\n", ends[i].name);
		ends[i].end();
		print("not ok %s: the guest goes on\n", ends[i].name);
		test_done();
	}
	test_run_all(cases, ARRAY_SIZE(cases));
	if (!arg_qemu())
		test_run_all(alcor_cases, ARRAY_SIZE(alcor_cases));
	test_done();
}
