/* SPDX-License-Identifier: Apache-2.0 */
/* Registers: after activation, at odd widths, out of range, through the PCI window. */
#include "hostile.h"
#include "lib/cpu.h"

static struct virtio_dev *dev(void)
{
	return &victim.v;
}

static const char *registers_after_activation(void)
{
	virtio_select(dev(), 0);
	mmio_write16(dev()->common + VC_QUEUE_SIZE, 8);
	virtio_write_addr(dev(), VC_QUEUE_DESC, A_RING);
	virtio_write_addr(dev(), VC_QUEUE_DRIVER, MEM_END);
	virtio_write_addr(dev(), VC_QUEUE_DEVICE, ~0ull);
	return victim_safe();
}

static const char *enabled_twice(void)
{
	virtio_select(dev(), 0);
	virtio_write_addr(dev(), VC_QUEUE_DESC, MEM_END);
	mmio_write16(dev()->common + VC_QUEUE_ENABLE, 1);
	return arg_qemu() ? NULL : victim_safe();
}

static const char *enable_other_values(void)
{
	virtio_select(dev(), 0);
	mmio_write16(dev()->common + VC_QUEUE_ENABLE, 0);
	mmio_write16(dev()->common + VC_QUEUE_ENABLE, 2);
	mmio_write16(dev()->common + VC_QUEUE_ENABLE, 0xffff);
	return arg_qemu() ? NULL : victim_safe();
}

static const char *queue_select_out_of_range(void)
{
	static const uint16_t absent[] = { 100, 1024, 0x7fff, 0x8000, 0xffff };

	for (unsigned int i = 0; i < ARRAY_SIZE(absent); i++) {
		virtio_select(dev(), absent[i]);
		CHECK_EQ(mmio_read16(dev()->common + VC_QUEUE_SIZE), 0, "size of an absent queue");
		mmio_write16(dev()->common + VC_QUEUE_SIZE, 64);
		mmio_write16(dev()->common + VC_QUEUE_MSIX, 0);
		virtio_write_addr(dev(), VC_QUEUE_DESC, A_RING);
		virtio_write_addr(dev(), VC_QUEUE_DRIVER, A_RING + 0x8000);
		virtio_write_addr(dev(), VC_QUEUE_DEVICE, A_RING + 0x10000);
		mmio_write16(dev()->common + VC_QUEUE_ENABLE, 1);
		CHECK_EQ(mmio_read16(dev()->common + VC_QUEUE_ENABLE), 0, "absent queue enabled");
		mmio_read16(dev()->common + VC_QUEUE_NOTIFY_OFF);
	}
	return victim_alive();
}

static const char *read_only_registers(void)
{
	uint16_t queues = mmio_read16(dev()->common + VC_NUM_QUEUES);

	mmio_write16(dev()->common + VC_NUM_QUEUES, 0xffff);
	mmio_write32(dev()->common + VC_DEVICE_FEATURE, ~0u);
	mmio_write8(dev()->common + VC_GENERATION, 0xff);
	mmio_write16(dev()->common + VC_QUEUE_NOTIFY_OFF, 0xffff);
	mmio_write16(dev()->common + VC_QUEUE_NOTIFY_DATA, 0xffff);
	CHECK_EQ(mmio_read16(dev()->common + VC_NUM_QUEUES), queues, "num_queues");
	return victim_alive();
}

static void read_at(uint64_t addr, unsigned int width)
{
	switch (width) {
	case 1:
		mmio_read8(addr);
		break;
	case 2:
		mmio_read16(addr);
		break;
	case 4:
		mmio_read32(addr);
		break;
	case 8:
		mmio_read64(addr);
		break;
	}
}

static void write_at(uint64_t addr, unsigned int width, uint64_t value)
{
	switch (width) {
	case 1:
		mmio_write8(addr, value);
		break;
	case 2:
		mmio_write16(addr, value);
		break;
	case 4:
		mmio_write32(addr, value);
		break;
	case 8:
		mmio_write64(addr, value);
		break;
	}
}

/* Every width at every @step of [from, to), unaligned too. */
static void sweep_reads(uint64_t from, uint64_t to, unsigned int step)
{
	for (uint64_t a = from; a < to; a += step)
		for (unsigned int width = 1; width <= 8; width *= 2)
			read_at(a, width);
}

static void sweep_writes(uint64_t from, uint64_t to, unsigned int step, uint64_t value)
{
	for (uint64_t a = from; a < to; a += step)
		for (unsigned int width = 1; width <= 8; width *= 2)
			write_at(a, width, value);
}

static const char *odd_reads(void)
{
	sweep_reads(dev()->common, dev()->common + VC_SIZE + 8, 1);
	sweep_reads(dev()->isr, dev()->isr + 8, 1);
	sweep_reads(dev()->config, dev()->config + 72, 1);
	sweep_reads(dev()->notify, dev()->notify + 16, 1);
	return victim_alive();
}

static const char *odd_writes(void)
{
	static const uint64_t values[] = { 0, ~0ull, 0x0123456789abcdef };

	for (unsigned int i = 0; i < ARRAY_SIZE(values); i++) {
		sweep_writes(dev()->common, dev()->common + VC_SIZE + 8, 1, values[i]);
		sweep_writes(dev()->isr, dev()->isr + 8, 1, values[i]);
		sweep_writes(dev()->config, dev()->config + 72, 1, values[i]);
		sweep_writes(dev()->notify, dev()->notify + 16, 1, values[i]);
	}
	return NULL;
}

/* The whole of every BAR, its last bytes and what is across its end. */
static const char *bar_sweep(void)
{
	for (unsigned int i = 0; i < 6; i++) {
		const struct pci_bar *b = &dev()->pci.bar[i];
		uint64_t step = b->size / 64 | 4;

		if (!b->size || b->io)
			continue;
		sweep_reads(b->addr, b->addr + b->size - 8, step);
		sweep_reads(b->addr + b->size - 8, b->addr + b->size, 1);
		sweep_writes(b->addr, b->addr + b->size - 8, step, ~0ull);
		sweep_writes(b->addr + b->size - 8, b->addr + b->size, 1, ~0ull);
	}
	return NULL;
}

static const char *notify_absent_queues(void)
{
	for (uint32_t v = 0; v < 0x10000; v += 0x101)
		mmio_write16(dev()->notify, v);
	for (uint32_t off = 0; off + 4 <= dev()->notify_len; off += dev()->notify_len / 64 + 1)
		mmio_write16(dev()->notify + (off & ~1u), off);
	return victim_alive();
}

static const char *notify_other_widths(void)
{
	mmio_write8(dev()->notify, 0);
	mmio_write32(dev()->notify, 0);
	mmio_write32(dev()->notify, 0xffff0000);
	mmio_write64(dev()->notify, 0);
	return victim_alive();
}

static const char *notify_storm(void)
{
	for (int i = 0; i < 5000; i++)
		vq_notify(&victim.q[0]);
	return victim_alive();
}

static const char *config_writes(void)
{
	for (uint32_t off = 0; off < 128; off++)
		mmio_write8(dev()->config + off, 0xff);
	for (uint32_t off = 0; off < 128; off += 4)
		mmio_write32(dev()->config + off, ~0u);
	CHECK_EQ(mmio_read32(dev()->config), arg_number("sectors", 8192), "capacity");
	return victim_alive();
}

static const char *config_beyond_end(void)
{
	uint32_t end = dev()->config_len;

	sweep_reads(dev()->config + end - 8, dev()->config + end + 16, 1);
	sweep_writes(dev()->config + end - 8, dev()->config + end + 16, 1, ~0ull);
	return victim_alive();
}

/* The window of VIRTIO_PCI_CAP_PCI_CFG: bar, offset, length, then data. */
static uint32_t window(uint8_t bar, uint32_t offset, uint32_t length, bool write, uint32_t value)
{
	const struct pci_dev *p = &dev()->pci;
	uint8_t cap = dev()->cfg_cap;

	pci_write(p, cap + 4, 1, bar);
	pci_write(p, cap + 8, 4, offset);
	pci_write(p, cap + 12, 4, length);
	if (write)
		pci_write(p, cap + 16, 4, value);
	return pci_read(p, cap + 16, 4);
}

static const char *pci_window_works(void)
{
	uint64_t base = dev()->common - dev()->pci.bar[dev()->bar].addr;

	virtio_select(dev(), 0);
	CHECK_EQ(window(dev()->bar, base + VC_STATUS, 1, false, 0) & 0xff, STATUS_READY, "status");
	CHECK_EQ(window(dev()->bar, base + VC_QUEUE_SIZE, 2, false, 0) & 0xffff, QUEUE_SIZE,
		 "size");
	CHECK_EQ(window(dev()->bar, base + VC_QUEUE_DESC, 4, false, 0), victim.q[0].desc,
		 "address");
	window(dev()->bar, base + VC_QUEUE_SELECT, 2, true, 0x1234);
	CHECK_EQ(mmio_read16(dev()->common + VC_QUEUE_SELECT), 0x1234, "queue_select");
	return victim_alive();
}

static const char *pci_window_misused(void)
{
	static const uint32_t lengths[] = { 0, 2, 3, 4, 8, 0x80000000, 0xffffffff };
	static const uint8_t bars[] = { 0, 1, 2, 4, 5, 6, 7, 8, 255 };
	static const uint32_t offsets[] = { 1, 0xffc, 0x3ffd, 0x7ffffffc, 0xffffffff };

	for (unsigned int b = 0; b < ARRAY_SIZE(bars); b++)
		for (unsigned int l = 0; l < ARRAY_SIZE(lengths); l++)
			for (unsigned int o = 0; o < ARRAY_SIZE(offsets); o++)
				window(bars[b], offsets[o], lengths[l], (l + o) & 1, 0);
	return NULL;
}

/* Every byte of configuration space, read and written at every width, the BARs and command too. */
static const char *pci_config_sweep(void)
{
	struct pci_dev *p = &dev()->pci;
	uint8_t before[256];

	for (unsigned int i = 0; i < 256; i++)
		before[i] = pci_read(p, i, 1);
	for (unsigned int width = 1; width <= 4; width *= 2)
		for (unsigned int off = 0; off < 4096; off = off < 256 ? off + width : off * 2)
			pci_write(p, off, width, ~0u);
	CHECK_EQ(pci_read(p, 0, 4), 0x10421af4, "ids");
	for (unsigned int i = 0; i < 256; i++)
		pci_write(p, i, 1, before[i]);
	return victim_safe();
}

static void flood(void)
{
	for (unsigned int i = 0; i < QUEUE_SIZE / 3; i++)
		disk_submit(&victim, 0, i + 8, BLK_IN, i * 8, MEM_SPARE + i * 4096, 4096);
	vq_notify(&victim.q[0]);
}

static const char *decode_off_in_flight(void)
{
	for (int i = 0; i < 10; i++) {
		flood();
		pci_command(&dev()->pci, 0, PCI_CMD_MEM);
		mmio_write16(victim.q[0].notify, 0);
		CHECK_EQ(mmio_read32(dev()->common), 0xffffffff, "registers with decoding off");
		pci_command(&dev()->pci, PCI_CMD_MEM, 0);
		TRY(victim_open(0));
	}
	return victim_alive();
}

static const char *bus_master_off_in_flight(void)
{
	for (int i = 0; i < 10; i++) {
		flood();
		pci_command(&dev()->pci, 0, PCI_CMD_MASTER);
		vq_notify(&victim.q[0]);
		delay_ms(1);
		pci_command(&dev()->pci, PCI_CMD_MASTER, 0);
		TRY(victim_open(0));
	}
	return victim_alive();
}

static const char *bar_moved_in_flight(void)
{
	struct pci_dev *p = &dev()->pci;
	unsigned int bar = dev()->bar;
	uint64_t home = p->bar[bar].addr, other = pci_place(p->bar[bar].size);
	const char *reason;

	for (int i = 0; i < 10; i++) {
		flood();
		pci_bar_move(p, bar, i & 1 ? home : other);
		virtio_map(dev());
		reason = victim_open(0);
		if (reason)
			break;
	}
	pci_bar_move(p, bar, home);
	virtio_map(dev());
	return reason;
}

void transport_cases(case_fn *each)
{
	static const struct action actions[] = {
		{ "registers_after_activation", registers_after_activation },
		{ "queue_enabled_twice", enabled_twice },
		{ "queue_enable_other_values", enable_other_values },
		{ "queue_select_out_of_range", queue_select_out_of_range },
		{ "read_only_registers", read_only_registers },
		{ "odd_reads", odd_reads },
		{ "odd_writes", odd_writes },
		{ "bar_sweep", bar_sweep },
		{ "notify_absent_queues", notify_absent_queues },
		{ "notify_other_widths", notify_other_widths },
		{ "notify_storm", notify_storm },
		{ "config_writes", config_writes },
		{ "config_beyond_end", config_beyond_end },
		{ "pci_window_works", pci_window_works },
		{ "pci_window_misused", pci_window_misused },
		{ "pci_config_sweep", pci_config_sweep },
		{ "decode_off_in_flight", decode_off_in_flight },
		{ "bus_master_off_in_flight", bus_master_off_in_flight },
		{ "bar_moved_in_flight", bar_moved_in_flight },
	};

	each_action(actions, ARRAY_SIZE(actions), each);
}
