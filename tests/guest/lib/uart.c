/* SPDX-License-Identifier: Apache-2.0 */
#include "uart.h"
#include "cpu.h"

void uart_init(void)
{
	outb(COM1 + UART_IER, 0);
	outb(COM1 + UART_LCR, 0x03);
	outb(COM1 + UART_IIR, 0x07); /* FCR: FIFOs on and empty */
	outb(COM1 + UART_MCR, 0x0b);
}

void uart_put(char c)
{
	/* A UART that is never ready must not hide what the guest has to say. */
	for (unsigned int i = 0; i < 1000 && !(inb(COM1 + UART_LSR) & LSR_THRE); i++)
		cpu_pause();
	outb(COM1 + UART_DATA, c);
}

int uart_get(uint32_t ms)
{
	for (uint64_t end = deadline_ms(ms); !passed(end);)
		if (inb(COM1 + UART_LSR) & LSR_DR)
			return inb(COM1 + UART_DATA);
	return -1;
}
