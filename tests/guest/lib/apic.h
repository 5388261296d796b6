/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_LIB_APIC_H
#define GUEST_LIB_APIC_H

#include <stdbool.h>
#include <stdint.h>

/* Local APIC registers, as offsets of the memory-mapped form. */
enum {
	APIC_ID = 0x20,
	APIC_VERSION = 0x30,
	APIC_EOI = 0xb0,
	APIC_SVR = 0xf0,
	APIC_ICR = 0x300,
	APIC_LVT_TIMER = 0x320,
	APIC_TIMER_COUNT = 0x380,
	APIC_TIMER_NOW = 0x390,
	APIC_TIMER_DIV = 0x3e0,
};

void apic_init(void);
void apic_eoi(void);
bool apic_has_x2(void);
void apic_enter_x2(void);
uint32_t apic_read(uint32_t reg);
void apic_write(uint32_t reg, uint32_t value);
uint32_t apic_id(void);
void apic_send(uint32_t dest, uint32_t command);
/* INIT, SIPI, SIPI; true when the CPU has run ap_main(). */
bool apic_start_cpu(uint32_t id);

void ioapic_route(uint32_t gsi, uint8_t vector);
void ioapic_mask(uint32_t gsi);

#endif
