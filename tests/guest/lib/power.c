/* SPDX-License-Identifier: Apache-2.0 */
#include "power.h"
#include "cpu.h"

enum { PORT_SLEEP = 0x600, PORT_RESET = 0x604, SLEEP_S5 = 0x34, RESET_VALUE = 0x72 };

void power_off(void)
{
	outb(PORT_SLEEP, SLEEP_S5);
	delay_ms(200);
}

void power_reset(void)
{
	outb(PORT_RESET, RESET_VALUE);
	delay_ms(200);
}

static uint64_t fault_without_idt(uint64_t unused)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	(void)unused;
	__asm__ volatile("lidt %0; ud2" ::"m"(none));
	return 0;
}

void triple_fault(void)
{
	ring0(fault_without_idt, 0);
}
