/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration space, BARs and MSI-X of a PCI bus, seen through a disk's function. */
#include "lib/apic.h"
#include "lib/blk.h"
#include "lib/cpu.h"
#include "lib/pvh.h"
#include "lib/test.h"

static struct disk disk[2];

static const char *open_both(void)
{
	TRY(disk_open(&disk[0], 0, BLK_F_ALL | RING_F_ALL, 64, 1));
	return disk_open(&disk[1], 1, BLK_F_ALL | RING_F_ALL, 64, 1);
}

static const char *both_work(void)
{
	TRY(disk_verify(&disk[0], 17, 2, MEM_DATA));
	return disk_verify(&disk[1], 18, 2, MEM_DATA);
}

static const char *host_bridge(const void *arg)
{
	struct pci_dev d = { 0 };

	(void)arg;
	CHECK(pci_read(&d, PCI_VENDOR, 4) != ~0u, "nothing at 00:00.0");
	CHECK_EQ(pci_read(&d, PCI_CLASS + 2, 2), 0x0600, "class");
	return NULL;
}

static const char *cf8_is_ecam(const void *arg)
{
	(void)arg;
	for (uint8_t slot = 0; slot < 8; slot++) {
		struct pci_dev d = { .slot = slot };

		for (uint32_t off = 0; off < 256; off += 4) {
			uint32_t v = ecam_read(&d, off, 4);

			CHECK(cf8_read(&d, off, 4) == v, "slot %u offset 0x%x differs", slot, off);
			CHECK_EQ(cf8_read(&d, off + 2, 2), v >> 16, "upper half by port");
			CHECK_EQ(cf8_read(&d, off + 3, 1), v >> 24, "last byte by port");
			CHECK_EQ(ecam_read(&d, off + 2, 2), v >> 16, "upper half by memory");
			CHECK_EQ(ecam_read(&d, off + 1, 1), v >> 8 & 0xff, "second byte by memory");
		}
	}
	return NULL;
}

static const char *writes_by_both(const void *arg)
{
	struct pci_dev *d = &disk[0].v.pci;

	(void)arg;
	TRY(open_both());
	cf8_write(d, PCI_COMMAND, 1, PCI_CMD_MEM);
	CHECK_EQ(ecam_read(d, PCI_COMMAND, 2) & 6, PCI_CMD_MEM, "command, written by port");
	ecam_write(d, PCI_COMMAND, 1, PCI_CMD_MEM | PCI_CMD_MASTER);
	CHECK_EQ(cf8_read(d, PCI_COMMAND, 2) & 6, 6, "command, written by memory");
	cf8_write(d, PCI_VENDOR, 4, ~0u);
	ecam_write(d, PCI_CLASS, 4, 0);
	CHECK_EQ(pci_read(d, PCI_VENDOR, 4), 0x10421af4, "ids");
	CHECK_EQ(pci_read(d, PCI_CLASS + 3, 1), 1, "class");
	return both_work();
}

static const char *cf8_disabled(const void *arg)
{
	(void)arg;
	outl(0xcf8, 0);
	CHECK_EQ(inl(0xcfc), ~0u, "data without the enable bit");
	outl(0xcfc, ~0u);
	outb(0xcf8, 0xff);
	outw(0xcfa, 0xffff);
	outl(0xcf8, 0x80000000);
	CHECK(inl(0xcfc) != ~0u, "nothing at 00:00.0");
	return NULL;
}

static const char *absent_functions(const void *arg)
{
	(void)arg;
	for (uint8_t slot = 0; slot < 32; slot++) {
		struct pci_dev d = { .slot = slot };

		for (d.fn = slot < 6 ? 1 : 0; d.fn < 8; d.fn++) {
			if (pci_read(&d, PCI_VENDOR, 4) != ~0u && arg_qemu())
				continue;
			ecam_write(&d, PCI_BAR0, 4, 0);
			CHECK_EQ(ecam_read(&d, 0, 4), ~0u, "4 bytes by memory");
			CHECK_EQ(ecam_read(&d, 0x34, 1), 0xff, "1 byte by memory");
			CHECK_EQ(cf8_read(&d, 8, 4), ~0u, "4 bytes by port");
			CHECK_EQ(cf8_read(&d, 0xe, 2), 0xffff, "2 bytes by port");
		}
	}
	return NULL;
}

static const char *absent_buses(const void *arg)
{
	(void)arg;
	for (unsigned int bus = 1; bus < 256; bus += 2) {
		struct pci_dev d = { .bus = bus, .slot = bus % 32 };

		ecam_write(&d, PCI_COMMAND, 2, 0xffff);
		CHECK_EQ(ecam_read(&d, 0, 4), ~0u, "4 bytes by memory");
		CHECK_EQ(ecam_read(&d, 0xffc, 4), ~0u, "last 4 bytes by memory");
		cf8_write(&d, PCI_COMMAND, 2, 0xffff);
		CHECK_EQ(cf8_read(&d, 0, 4), ~0u, "4 bytes by port");
	}
	return NULL;
}

static const char *capabilities(const void *arg)
{
	struct pci_dev *d = &disk[0].v.pci;
	uint8_t off;
	int n = 0;

	(void)arg;
	TRY(open_both());
	CHECK(pci_read(d, PCI_STATUS, 2) & 0x10, "no capability list");
	for (off = pci_read(d, PCI_CAPS, 1); off && n < 48; n++) {
		CHECK(off >= 0x40 && !(off & 3), "capability at 0x%x", off);
		off = pci_read(d, off + 1, 1);
	}
	CHECK(!off && n >= 6, "%d capabilities", n);
	CHECK_EQ(pci_read(d, 0x3d, 1), arg_qemu() ? 1 : 0, "interrupt pin");
	return NULL;
}

static const char *bar_sizes(const void *arg)
{
	(void)arg;
	TRY(open_both());
	for (unsigned int k = 0; k < 2; k++)
		for (unsigned int i = 0; i < 6; i++) {
			const struct pci_bar *b = &disk[k].v.pci.bar[i];

			if (!b->size || b->io)
				continue;
			CHECK(b->size >= 16 && !(b->size & (b->size - 1)), "size 0x%lx", b->size);
			CHECK(!(b->addr & (b->size - 1)), "BAR at 0x%lx is not aligned", b->addr);
			CHECK(b->addr >= 0x80000000, "BAR at 0x%lx", b->addr);
		}
	return both_work();
}

/* Moves each memory BAR of disk 0 to where @place says and back; the disk works at both. */
static const char *move_all(uint64_t (*place)(const struct pci_bar *b))
{
	struct pci_dev *p = &disk[0].v.pci;

	TRY(open_both());
	for (unsigned int i = 0; i < 6; i++) {
		uint64_t home = p->bar[i].addr, there;

		if (!p->bar[i].size || p->bar[i].io || !(there = place(&p->bar[i])))
			continue;
		pci_bar_move(p, i, there);
		virtio_map(&disk[0].v);
		if (!arg_qemu())
			CHECK_EQ(mmio_read32(home), ~0u, "the old place");
		TRY(disk_reopen(&disk[0]));
		TRY(both_work());
		if (p->msix)
			msix_set(p, 0, VECTOR_FIRST);
		CHECK(!p->msix || mmio_read32(msix_entry(p, 0) + 8) == VECTOR_FIRST, "MSI-X table");
		pci_bar_move(p, i, home);
		virtio_map(&disk[0].v);
		if (!arg_qemu())
			CHECK_EQ(mmio_read32(there), ~0u, "the place left");
		TRY(disk_reopen(&disk[0]));
		TRY(both_work());
	}
	return NULL;
}

static uint64_t place_low(const struct pci_bar *b)
{
	return pci_place(b->size);
}

/* The end of the window above 4 GiB. */
static uint64_t place_high(const struct pci_bar *b)
{
	uint64_t first, last, at;

	if (!b->is64 || !acpi_window(1ull << 32, &first, &last))
		return 0;
	at = (last + 1 - b->size) & ~(b->size - 1);
	/* The identity map ends at 512 GiB. */
	if (at >= 1ull << 39)
		at = (first + b->size * 3) & ~(b->size - 1);
	return map_gib(at) ? at : 0;
}

static const char *bar_moved(const void *arg)
{
	(void)arg;
	return move_all(place_low);
}

static const char *bar_moved_high(const void *arg)
{
	uint64_t first, last;

	(void)arg;
	CHECK(arg_qemu() || acpi_window(1ull << 32, &first, &last),
	      "no window above 4 GiB in the DSDT");
	return move_all(place_high);
}

static const char *decode_off(const void *arg)
{
	(void)arg;
	TRY(open_both());
	for (int i = 0; i < 5; i++) {
		pci_command(&disk[0].v.pci, 0, PCI_CMD_MEM);
		if (!arg_qemu())
			CHECK_EQ(mmio_read32(disk[0].v.common), ~0u, "registers with decoding off");
		mmio_write32(disk[0].v.notify, 0);
		TRY(disk_verify(&disk[1], 1, 1, MEM_DATA));
		pci_command(&disk[0].v.pci, PCI_CMD_MEM, 0);
		TRY(both_work());
	}
	return NULL;
}

/* BARs where they must not be: whatever answers there, the machine stays whole. */
static const char *bar_misplaced(const void *arg)
{
	static const uint64_t places[] = {
		0,	    0x100000,	MEM_SPARE,  MEM_END,	0x7fff0000, 0xe0000000, 0xfec00000,
		0xfee00000, 0xffff0000, 0xfffffff0, 1ull << 33, 1ull << 46, ~0ull,
	};
	struct pci_dev *p = &disk[0].v.pci;

	(void)arg;
	TRY(open_both());
	mmio_write64(MEM_SPARE, 0x1122334455667788);
	for (unsigned int i = 0; i < 6; i++) {
		uint64_t home = p->bar[i].addr;

		for (unsigned int k = 0; p->bar[i].size && !p->bar[i].io && k < ARRAY_SIZE(places);
		     k++) {
			pci_bar_move(p, i, places[k]);
			if (!arg_qemu())
				CHECK_EQ(mmio_read64(MEM_SPARE), 0x1122334455667788, "RAM");
			CHECK(pci_read(p, 0, 4) == 0x10421af4, "configuration space is gone");
			apic_read(APIC_VERSION);
			TRY(disk_verify(&disk[1], 2, 1, MEM_DATA));
			pci_bar_move(p, i, home);
			TRY(both_work());
		}
	}
	return NULL;
}

static const char *bars_share_a_place(const void *arg)
{
	struct pci_dev *a = &disk[0].v.pci, *b = &disk[1].v.pci;
	uint64_t home;
	uint8_t bar = disk[1].v.bar;

	(void)arg;
	TRY(open_both());
	home = b->bar[bar].addr;
	for (unsigned int i = 0; i < 6; i++) {
		if (!a->bar[i].size || a->bar[i].io)
			continue;
		pci_bar_move(b, bar, a->bar[i].addr & ~(b->bar[bar].size - 1));
		mmio_read32(a->bar[i].addr);
		pci_bar_move(b, bar, home);
		virtio_map(&disk[1].v);
		TRY(open_both());
		TRY(both_work());
	}
	return NULL;
}

/* Sized with decoding on, as some drivers do it. */
static const char *sized_while_decoding(const void *arg)
{
	struct pci_dev *p = &disk[0].v.pci;

	(void)arg;
	TRY(open_both());
	for (unsigned int i = 0; i < 6; i++) {
		uint64_t home = p->bar[i].addr;

		if (!p->bar[i].size || p->bar[i].io)
			continue;
		pci_bar_move(p, i, ~0ull);
		CHECK_EQ(pci_read(p, PCI_BAR0 + i * 4, 4) & ~15u, (uint32_t)-p->bar[i].size,
			 "mask");
		pci_bar_move(p, i, home);
		TRY(both_work());
	}
	return NULL;
}

static const char *config_widths(const void *arg)
{
	struct pci_dev *p = &disk[0].v.pci;
	uint32_t low;

	(void)arg;
	TRY(open_both());
	low = pci_read(p, PCI_BAR0 + disk[0].v.bar * 4, 4);
	/* A BAR written byte by byte ends up whole. */
	pci_command(p, 0, PCI_CMD_MEM);
	for (unsigned int i = 0; i < 4; i++)
		pci_write(p, PCI_BAR0 + disk[0].v.bar * 4 + i, 1, low >> i * 8);
	CHECK_EQ(pci_read(p, PCI_BAR0 + disk[0].v.bar * 4, 4), low, "BAR");
	pci_command(p, PCI_CMD_MEM, 0);
	return both_work();
}

static const struct test_case cases[] = {
	{ "host_bridge", host_bridge, NULL },
	{ "cf8_is_ecam", cf8_is_ecam, NULL },
	{ "writes_by_both", writes_by_both, NULL },
	{ "cf8_disabled", cf8_disabled, NULL },
	{ "absent_functions", absent_functions, NULL },
	{ "absent_buses", absent_buses, NULL },
	{ "capabilities", capabilities, NULL },
	{ "bar_sizes", bar_sizes, NULL },
	{ "bar_moved", bar_moved, NULL },
	{ "bar_moved_high", bar_moved_high, NULL },
	{ "bar_misplaced", bar_misplaced, NULL },
	{ "bars_share_a_place", bars_share_a_place, NULL },
	{ "sized_while_decoding", sized_while_decoding, NULL },
	{ "decode_off", decode_off, NULL },
	{ "config_widths", config_widths, NULL },
};

void user_main(void)
{
	test_init();
	test_run_all(cases, ARRAY_SIZE(cases));
	test_done();
}
