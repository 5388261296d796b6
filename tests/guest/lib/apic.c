/* SPDX-License-Identifier: Apache-2.0 */
#include "apic.h"
#include "cpu.h"

#define APIC_BASE   0xfee00000ull
#define IOAPIC_BASE 0xfec00000ull

enum {
	MSR_APIC_BASE = 0x1b,
	MSR_X2APIC = 0x800,
	APIC_BASE_ENABLE = 1 << 11,
	APIC_BASE_X2 = 1 << 10,
	TRAMPOLINE = 0x8000,
};

static bool x2;

void apic_init(void)
{
	/* Both 8259 masked: every interrupt here comes through the APICs. */
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE);
	apic_write(APIC_SVR, 0x1ff);
}

/* In ring 0, from an interrupt. */
void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

bool apic_has_x2(void)
{
	uint32_t r[4];

	cpuid(1, 0, r);
	return r[2] & 1 << 21;
}

void apic_enter_x2(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE | APIC_BASE_X2);
	x2 = true;
}

uint32_t apic_read(uint32_t reg)
{
	return x2 ? rdmsr(MSR_X2APIC + (reg >> 4)) : mmio_read32(APIC_BASE + reg);
}

void apic_write(uint32_t reg, uint32_t value)
{
	if (x2)
		wrmsr(MSR_X2APIC + (reg >> 4), value);
	else
		mmio_write32(APIC_BASE + reg, value);
}

uint32_t apic_id(void)
{
	return x2 ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

void apic_send(uint32_t dest, uint32_t command)
{
	if (x2) {
		wrmsr(MSR_X2APIC + (APIC_ICR >> 4), (uint64_t)dest << 32 | command);
		return;
	}
	apic_write(APIC_ICR + 0x10, dest << 24);
	apic_write(APIC_ICR, command);
}

bool apic_start_cpu(uint32_t id)
{
	uint32_t before = ap_alive;
	uint64_t end;

	memcpy((void *)TRAMPOLINE, ap_trampoline, ap_trampoline_end - ap_trampoline);
	apic_send(id, 0x4500);
	delay_ms(10);
	for (int i = 0; i < 2; i++) {
		apic_send(id, 0x4600 | TRAMPOLINE >> 12);
		for (end = deadline_ms(500); !passed(end);)
			if (ap_alive != before)
				return true;
	}
	return false;
}

static void ioapic_write(uint32_t reg, uint32_t value)
{
	mmio_write32(IOAPIC_BASE, reg);
	mmio_write32(IOAPIC_BASE + 0x10, value);
}

void ioapic_route(uint32_t gsi, uint8_t vector)
{
	ioapic_write(0x10 + gsi * 2 + 1, apic_id() << 24);
	ioapic_write(0x10 + gsi * 2, vector);
}

void ioapic_mask(uint32_t gsi)
{
	ioapic_write(0x10 + gsi * 2, 1 << 16);
}
