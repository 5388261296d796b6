/* SPDX-License-Identifier: Apache-2.0 */
/* MSI-X while I/O runs, and vectors that make no sense. */
#include "hostile.h"
#include "lib/cpu.h"

static struct pci_dev *pci(void)
{
	return &victim.v.pci;
}

/* The queue's interrupts to entry 1, the configuration's to entry 0. */
static void vectors_on(void)
{
	msix_set(pci(), 0, VECTOR_FIRST);
	msix_set(pci(), 1, VECTOR_FIRST + 1);
	msix_control(pci(), MSIX_ENABLE, MSIX_FUNCTION_MASK);
	virtio_select(&victim.v, 0);
	mmio_write16(victim.v.common + VC_MSIX_CONFIG, 0);
	mmio_write16(victim.v.common + VC_QUEUE_MSIX, 1);
}

static const char *vectors_off(const char *reason)
{
	msix_control(pci(), 0, MSIX_ENABLE | MSIX_FUNCTION_MASK);
	for (unsigned int i = 0; i < msix_count(pci()); i++)
		msix_set(pci(), i, VECTOR_FIRST);
	return reason;
}

static unsigned int in_flight;

/* At most 16 of these between two calls of drain(): more do not fit. */
static void read_once(void)
{
	disk_submit(&victim, 0, 2, BLK_IN, 0, MEM_SPARE, 512);
	vq_notify(&victim.q[0]);
	in_flight++;
}

static void drain(void)
{
	uint32_t id, len;

	for (; in_flight; in_flight--)
		if (!vq_wait(&victim.q[0], 2000, &id, &len))
			break;
	in_flight = 0;
}

static const char *mask_storm(void)
{
	uint32_t before = irq_count[VECTOR_FIRST + 1];

	vectors_on();
	for (int i = 0; i < 300; i++) {
		read_once();
		msix_mask(pci(), 1, true);
		if (i % 3 == 0)
			msix_control(pci(), MSIX_FUNCTION_MASK, 0);
		msix_mask(pci(), 1, false);
		if (i % 3 == 0)
			msix_control(pci(), 0, MSIX_FUNCTION_MASK);
		if (i % 16 == 15)
			drain();
	}
	drain();
	CHECK(irq_count[VECTOR_FIRST + 1] != before, "no interrupt at all");
	return vectors_off(victim_alive());
}

static const char *enable_storm(void)
{
	vectors_on();
	for (int i = 0; i < 100; i++) {
		read_once();
		msix_control(pci(), 0, MSIX_ENABLE);
		msix_control(pci(), MSIX_ENABLE, 0);
		if (i % 16 == 15)
			drain();
	}
	drain();
	return vectors_off(victim_alive());
}

/* The vector's address and data change while it fires. */
static const char *entry_rewritten(void)
{
	vectors_on();
	for (int i = 0; i < 200; i++) {
		read_once();
		mmio_write32(msix_entry(pci(), 1) + 8, VECTOR_FIRST + i % 8);
		if (i % 16 == 15)
			drain();
	}
	drain();
	return vectors_off(victim_alive());
}

/* Messages to where no interrupt controller is, and interrupts that no CPU accepts. */
static const char *garbage_messages(void)
{
	static const struct {
		uint32_t low, high, data;
	} garbage[] = {
		{ 0, 0, 0 },
		{ 0xffffffff, 0xffffffff, 0xffffffff },
		{ MEM_END, 0, 0x41 },
		{ 0xfee00000 | 0xff << 12, 0, 0x41 }, /* broadcast, of a fixed vector: harmless */
		{ 0xfee00000 | 0xfe << 12, 0, 0x41 },
		{ 0xfee00000, 0xffffff00, 0x41 },
		{ 0xfee0000c, 0, 0x141 },
		{ 0xfee00000, 0, 0x0000 },
		{ 0xfee00000, 0, 0x000f },
		{ 0xfee00000, 0, 0x0741 },
		{ 0xfec00000, 0, 0x41 },
		{ 0xe0000000, 0, 0x41 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(garbage); i++) {
		vectors_on();
		mmio_write32(msix_entry(pci(), 1), garbage[i].low);
		mmio_write32(msix_entry(pci(), 1) + 4, garbage[i].high);
		mmio_write32(msix_entry(pci(), 1) + 8, garbage[i].data);
		read_once();
		drain();
	}
	return vectors_off(victim_alive());
}

static const char *vectors_beyond_table(void)
{
	static const uint16_t vectors[] = { 2047, 2048, 0x7fff, 0x8000, 0xfffe };

	msix_control(pci(), MSIX_ENABLE, 0);
	virtio_select(&victim.v, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(vectors); i++) {
		mmio_write16(victim.v.common + VC_QUEUE_MSIX, vectors[i]);
		CHECK_EQ(mmio_read16(victim.v.common + VC_QUEUE_MSIX), NO_VECTOR, "queue vector");
		mmio_write16(victim.v.common + VC_MSIX_CONFIG, vectors[i]);
		CHECK_EQ(mmio_read16(victim.v.common + VC_MSIX_CONFIG), NO_VECTOR, "config vector");
		read_once();
	}
	drain();
	return vectors_off(victim_alive());
}

static const char *table_sweep(void)
{
	uint64_t table = msix_entry(pci(), 0), end = msix_entry(pci(), msix_count(pci()));

	vectors_on();
	for (uint64_t a = table; a < end + 64; a++) {
		mmio_write8(a, 0xff);
		mmio_write16(a, 0xffff);
		mmio_write32(a, 0);
		mmio_read16(a);
		mmio_read64(a);
	}
	for (uint64_t a = msix_pba(pci()); a < msix_pba(pci()) + 16; a++) {
		mmio_write8(a, 0xff);
		mmio_write64(a, ~0ull);
		mmio_read16(a);
	}
	read_once();
	drain();
	return vectors_off(victim_alive());
}

void msix_cases(case_fn *each)
{
	static const struct action actions[] = {
		{ "msix_mask_storm", mask_storm },
		{ "msix_enable_storm", enable_storm },
		{ "msix_entry_rewritten", entry_rewritten },
		{ "msix_garbage_messages", garbage_messages },
		{ "msix_vectors_beyond_table", vectors_beyond_table },
		{ "msix_table_sweep", table_sweep },
	};

	each_action(actions, ARRAY_SIZE(actions), each);
}
