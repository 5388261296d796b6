/* SPDX-License-Identifier: Apache-2.0 */
/* MSI-X: delivery, masks, pending bits, and registers that are not the driver's to write. */
#include "lib/apic.h"
#include "lib/blk.h"
#include "lib/cpu.h"
#include "lib/test.h"

static struct disk disk;

static struct pci_dev *pci(void)
{
	return &disk.v.pci;
}

static uint32_t count(unsigned int vector)
{
	return irq_count[VECTOR_FIRST + vector];
}

/* Queue 0 interrupts by entry @entry, which delivers VECTOR_FIRST + @entry. */
static const char *start(uint16_t entry)
{
	disk.interrupts = false;
	TRY(disk_open(&disk, 0, BLK_F_ALL | RING_F_ALL, 64, 1));
	CHECK(pci()->msix, "no MSI-X capability");
	CHECK(msix_count(pci()) >= 2, "%u vectors", msix_count(pci()));
	msix_control(pci(), MSIX_ENABLE, MSIX_FUNCTION_MASK);
	for (unsigned int i = 0; i < msix_count(pci()); i++)
		msix_set(pci(), i, VECTOR_FIRST + i);
	disk.interrupts = true;
	disk.entry = entry;
	TRY(disk_reopen(&disk));
	CHECK_EQ(mmio_read16(disk.v.common + VC_QUEUE_MSIX), entry, "queue vector");
	return NULL;
}

static const char *io(void)
{
	return disk_verify(&disk, 4, 1, MEM_DATA);
}

/* Waits until interrupt @vector has come @n times since @before, and no more. */
static const char *expect(unsigned int vector, uint32_t before, uint32_t n)
{
	uint64_t end = deadline_ms(n ? 1000 : 10);

	while (!passed(end) && (!n || count(vector) - before < n))
		cpu_pause();
	CHECK_EQ(count(vector) - before, n, "interrupts");
	return NULL;
}

static const char *table_keeps(const void *arg)
{
	uint64_t e;

	(void)arg;
	TRY(start(1));
	msix_control(pci(), 0, MSIX_ENABLE);
	for (unsigned int i = 0; i < msix_count(pci()); i++) {
		e = msix_entry(pci(), i);
		mmio_write32(e, 0xfee01000 + i * 4);
		mmio_write32(e + 4, i);
		mmio_write32(e + 8, 0x4000 + i);
		mmio_write32(e + 12, 1);
	}
	for (unsigned int i = 0; i < msix_count(pci()); i++) {
		e = msix_entry(pci(), i);
		CHECK_EQ(mmio_read32(e), 0xfee01000 + i * 4, "address");
		CHECK_EQ(mmio_read32(e + 4), i, "upper address");
		CHECK_EQ(mmio_read32(e + 8), 0x4000 + i, "data");
		CHECK_EQ(mmio_read32(e + 12) & 1, 1, "mask");
		/* PCI 3.0, 6.8.2: accesses of 8 bytes are allowed. */
		mmio_write64(e, 0xfee02000ull | 7ull << 32);
		CHECK_EQ(mmio_read64(e), 0xfee02000ull | 7ull << 32, "address by 8 bytes");
	}
	return io();
}

static const char *delivers(const void *arg)
{
	uint32_t before;

	(void)arg;
	TRY(start(1));
	for (int i = 0; i < 10; i++) {
		before = count(1);
		TRY(io());
		TRY(expect(1, before, 1));
	}
	return NULL;
}

static const char *every_vector(const void *arg)
{
	(void)arg;
	TRY(start(0));
	for (uint16_t i = 0; i < msix_count(pci()) && VECTOR_FIRST + i < VECTOR_END; i++) {
		uint32_t before = count(i);

		TRY(start(i));
		TRY(io());
		TRY(expect(i, before, 1));
	}
	return NULL;
}

static const char *masked_is_pending(const void *arg)
{
	uint32_t before;

	(void)arg;
	TRY(start(1));
	before = count(1);
	CHECK(!msix_pending(pci(), 1), "pending before the request");
	msix_mask(pci(), 1, true);
	TRY(io());
	TRY(expect(1, before, 0));
	CHECK(msix_pending(pci(), 1), "not pending while masked");
	msix_mask(pci(), 1, false);
	TRY(expect(1, before, 1));
	CHECK(!msix_pending(pci(), 1), "pending after delivery");
	/* And on with the usual. */
	TRY(io());
	return expect(1, before, 2);
}

static const char *function_masked_is_pending(const void *arg)
{
	uint32_t before;

	(void)arg;
	TRY(start(1));
	before = count(1);
	msix_control(pci(), MSIX_FUNCTION_MASK, 0);
	TRY(io());
	TRY(expect(1, before, 0));
	CHECK(msix_pending(pci(), 1), "not pending while masked");
	msix_control(pci(), 0, MSIX_FUNCTION_MASK);
	TRY(expect(1, before, 1));
	CHECK(!msix_pending(pci(), 1), "pending after delivery");
	return io();
}

/* The vector that was rewritten under the mask is the one that is delivered. */
static const char *rewritten_while_masked(const void *arg)
{
	uint32_t before, other;

	(void)arg;
	TRY(start(1));
	msix_mask(pci(), 1, true);
	TRY(io());
	mmio_write32(msix_entry(pci(), 1) + 8, VECTOR_FIRST + 9);
	before = count(1);
	other = count(9);
	msix_mask(pci(), 1, false);
	TRY(expect(9, other, 1));
	return expect(1, before, 0);
}

static const char *disabled_is_silent(const void *arg)
{
	uint32_t before;

	(void)arg;
	TRY(start(1));
	before = count(1);
	msix_control(pci(), 0, MSIX_ENABLE);
	TRY(io());
	TRY(expect(1, before, 0));
	msix_control(pci(), MSIX_ENABLE, 0);
	before = count(1);
	TRY(io());
	CHECK(count(1) != before || !expect(1, before, 1), "no interrupt when enabled again");
	return NULL;
}

static const char *no_vector_is_silent(const void *arg)
{
	uint32_t before;

	(void)arg;
	TRY(start(NO_VECTOR));
	before = count(1);
	TRY(io());
	return expect(1, before, 0);
}

static const char *beyond_table(const void *arg)
{
	uint16_t n;

	(void)arg;
	TRY(start(1));
	n = msix_count(pci());
	virtio_select(&disk.v, 0);
	mmio_write16(disk.v.common + VC_QUEUE_MSIX, n);
	CHECK_EQ(mmio_read16(disk.v.common + VC_QUEUE_MSIX), NO_VECTOR, "queue vector");
	mmio_write16(disk.v.common + VC_MSIX_CONFIG, n);
	CHECK_EQ(mmio_read16(disk.v.common + VC_MSIX_CONFIG), NO_VECTOR, "config vector");
	mmio_write16(disk.v.common + VC_MSIX_CONFIG, n - 1);
	CHECK_EQ(mmio_read16(disk.v.common + VC_MSIX_CONFIG), n - 1, "last vector");
	return io();
}

static const char *pending_bits_read_only(const void *arg)
{
	uint32_t before = count(1);

	(void)arg;
	TRY(start(1));
	mmio_write32(msix_pba(pci()), ~0u);
	mmio_write64(msix_pba(pci()), ~0ull);
	CHECK(!msix_pending(pci(), 1), "a pending bit can be written");
	return expect(1, before, 0);
}

static const char *size_read_only(const void *arg)
{
	unsigned int n;

	(void)arg;
	TRY(start(1));
	n = msix_count(pci());
	pci_write(pci(), pci()->msix + 2, 2, 0x87ff);
	pci_write(pci(), pci()->msix + 4, 4, ~0u);
	pci_write(pci(), pci()->msix + 8, 4, ~0u);
	CHECK_EQ(msix_count(pci()), n, "table size");
	TRY(io());
	return NULL;
}

static const char *reset_forgets_vectors(const void *arg)
{
	(void)arg;
	TRY(start(1));
	virtio_reset(&disk.v);
	virtio_select(&disk.v, 0);
	CHECK_EQ(mmio_read16(disk.v.common + VC_QUEUE_MSIX), NO_VECTOR, "queue vector after reset");
	CHECK_EQ(mmio_read16(disk.v.common + VC_MSIX_CONFIG), NO_VECTOR,
		 "config vector after reset");
	return NULL;
}

static const struct test_case cases[] = {
	{ "table_keeps", table_keeps, NULL },
	{ "delivers", delivers, NULL },
	{ "every_vector", every_vector, NULL },
	{ "masked_is_pending", masked_is_pending, NULL },
	{ "function_masked_is_pending", function_masked_is_pending, NULL },
	{ "rewritten_while_masked", rewritten_while_masked, NULL },
	{ "disabled_is_silent", disabled_is_silent, NULL },
	{ "no_vector_is_silent", no_vector_is_silent, NULL },
	{ "beyond_table", beyond_table, NULL },
	{ "pending_bits_read_only", pending_bits_read_only, NULL },
	{ "size_read_only", size_read_only, NULL },
	{ "reset_forgets_vectors", reset_forgets_vectors, NULL },
};

void user_main(void)
{
	test_init();
	test_run_all(cases, ARRAY_SIZE(cases));
	test_done();
}
