/* SPDX-License-Identifier: Apache-2.0 */
#include "pci.h"
#include "apic.h"
#include "cpu.h"
#include "pvh.h"
#include "test.h"

enum { PORT_ADDRESS = 0xcf8, PORT_DATA = 0xcfc };

static uint64_t ecam;
static bool ecam_known;
static uint64_t place_next;

uint64_t ecam_base(void)
{
	const uint8_t *mcfg;

	if (!ecam_known) {
		ecam_known = true;
		mcfg = acpi_find("MCFG");
		/* For a machine that has the memory but not the table (QEMU's microvm). */
		ecam = arg_number("ecam", 0);
		if (mcfg)
			ecam = *(const uint64_t *)(mcfg + 44);
	}
	return ecam;
}

static uint64_t ecam_addr(const struct pci_dev *d, uint32_t off)
{
	return ecam_base() + (d->bus << 20 | d->slot << 15 | d->fn << 12) + off;
}

uint32_t ecam_read(const struct pci_dev *d, uint32_t off, unsigned int size)
{
	uint64_t a = ecam_addr(d, off);

	return size == 1 ? mmio_read8(a) : size == 2 ? mmio_read16(a) : mmio_read32(a);
}

void ecam_write(const struct pci_dev *d, uint32_t off, unsigned int size, uint32_t v)
{
	uint64_t a = ecam_addr(d, off);

	if (size == 1)
		mmio_write8(a, v);
	else if (size == 2)
		mmio_write16(a, v);
	else
		mmio_write32(a, v);
}

static uint16_t cf8_select(const struct pci_dev *d, uint32_t off)
{
	outl(PORT_ADDRESS, 1u << 31 | d->bus << 16 | d->slot << 11 | d->fn << 8 | (off & 0xfc));
	return PORT_DATA + (off & 3);
}

uint32_t cf8_read(const struct pci_dev *d, uint32_t off, unsigned int size)
{
	uint16_t port = cf8_select(d, off);

	return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

void cf8_write(const struct pci_dev *d, uint32_t off, unsigned int size, uint32_t v)
{
	uint16_t port = cf8_select(d, off);

	if (size == 1)
		outb(port, v);
	else if (size == 2)
		outw(port, v);
	else
		outl(port, v);
}

uint32_t pci_read(const struct pci_dev *d, uint32_t off, unsigned int size)
{
	return ecam_base() ? ecam_read(d, off, size) : cf8_read(d, off, size);
}

void pci_write(const struct pci_dev *d, uint32_t off, unsigned int size, uint32_t v)
{
	if (ecam_base())
		ecam_write(d, off, size, v);
	else
		cf8_write(d, off, size, v);
}

void pci_command(const struct pci_dev *d, uint16_t set, uint16_t clear)
{
	pci_write(d, PCI_COMMAND, 2, (pci_read(d, PCI_COMMAND, 2) & ~clear) | set);
}

uint8_t pci_cap(const struct pci_dev *d, uint8_t id, uint8_t after)
{
	uint8_t off = pci_read(d, after ? after + 1u : PCI_CAPS, 1) & 0xfc;

	for (int i = 0; off && i < 48; i++) {
		if (pci_read(d, off, 1) == id)
			return off;
		off = pci_read(d, off + 1, 1) & 0xfc;
	}
	return 0;
}

static void bar_write(const struct pci_dev *d, unsigned int bar, uint64_t v)
{
	pci_write(d, PCI_BAR0 + bar * 4, 4, v);
	if (d->bar[bar].is64)
		pci_write(d, PCI_BAR0 + bar * 4 + 4, 4, v >> 32);
}

static void bar_probe(struct pci_dev *d, unsigned int bar)
{
	struct pci_bar *b = &d->bar[bar];
	uint32_t off = PCI_BAR0 + bar * 4, low = pci_read(d, off, 4);
	uint64_t mask;

	b->io = low & 1;
	b->is64 = !b->io && (low & 6) == 4;
	b->prefetch = !b->io && low & 8;
	b->addr = low & (b->io ? ~3u : ~15u);
	if (b->is64)
		b->addr |= (uint64_t)pci_read(d, off + 4, 4) << 32;
	bar_write(d, bar, ~0ull);
	mask = pci_read(d, off, 4) & (b->io ? ~3u : ~15u);
	mask |= b->is64 ? (uint64_t)pci_read(d, off + 4, 4) << 32 : ~0ull << 32;
	/* The lowest bit that can be set; a BAR that is not there has none. */
	b->size = (uint32_t)mask || b->is64 ? mask & -mask : 0;
	bar_write(d, bar, b->addr | low % 16);
}

uint64_t pci_place(uint64_t size)
{
	uint64_t at;

	if (!place_next)
		place_next = arg_number("window", 0xb8000000);
	if (size < 0x1000)
		size = 0x1000;
	at = (place_next + size - 1) & ~(size - 1);
	place_next = at + size;
	return at;
}

void pci_bar_move(struct pci_dev *d, unsigned int bar, uint64_t addr)
{
	d->bar[bar].addr = addr;
	bar_write(d, bar, addr);
}

static void pci_setup(struct pci_dev *d)
{
	bool decoding = pci_read(d, PCI_COMMAND, 2) & PCI_CMD_MEM;

	pci_command(d, 0, PCI_CMD_MEM);
	for (unsigned int i = 0; i < 6; i++) {
		bar_probe(d, i);
		if (d->bar[i].size && !d->bar[i].io && (!decoding || !d->bar[i].addr))
			pci_bar_move(d, i, pci_place(d->bar[i].size));
		if (d->bar[i].addr >> 32)
			map_gib(d->bar[i].addr);
		i += d->bar[i].is64;
	}
	pci_command(d, PCI_CMD_MEM | PCI_CMD_MASTER, 0);
	d->msix = pci_cap(d, PCI_CAP_MSIX, 0);
}

bool pci_find(uint16_t vendor, uint16_t device, unsigned int nth, struct pci_dev *ret)
{
	for (uint8_t slot = 0; slot < 32; slot++) {
		struct pci_dev d = { .slot = slot, .vendor = vendor, .device = device };

		if (pci_read(&d, PCI_VENDOR, 4) != ((uint32_t)device << 16 | vendor) || nth--)
			continue;
		pci_setup(&d);
		*ret = d;
		return true;
	}
	return false;
}

unsigned int msix_count(const struct pci_dev *d)
{
	return (pci_read(d, d->msix + 2, 2) & 0x7ff) + 1;
}

static uint64_t msix_area(const struct pci_dev *d, uint32_t off)
{
	uint32_t v = pci_read(d, d->msix + off, 4);

	return d->bar[v & 7].addr + (v & ~7u);
}

uint64_t msix_entry(const struct pci_dev *d, unsigned int i)
{
	return msix_area(d, 4) + i * 16;
}

uint64_t msix_pba(const struct pci_dev *d)
{
	return msix_area(d, 8);
}

void msix_set(const struct pci_dev *d, unsigned int i, uint8_t vector)
{
	uint64_t e = msix_entry(d, i);

	mmio_write32(e, 0xfee00000 | apic_id() << 12);
	mmio_write32(e + 4, 0);
	mmio_write32(e + 8, vector);
	mmio_write32(e + 12, 0);
}

void msix_mask(const struct pci_dev *d, unsigned int i, bool masked)
{
	mmio_write32(msix_entry(d, i) + 12, masked);
}

bool msix_pending(const struct pci_dev *d, unsigned int i)
{
	return mmio_read32(msix_pba(d) + i / 32 * 4) >> i % 32 & 1;
}

void msix_control(const struct pci_dev *d, uint16_t set, uint16_t clear)
{
	pci_write(d, d->msix + 2, 2, (pci_read(d, d->msix + 2, 2) & ~clear) | set);
}
