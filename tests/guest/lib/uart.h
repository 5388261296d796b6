/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_LIB_UART_H
#define GUEST_LIB_UART_H

#include <stdint.h>

#define COM1 0x3f8

enum { UART_DATA, UART_IER, UART_IIR, UART_LCR, UART_MCR, UART_LSR, UART_MSR, UART_SCR };
enum { LSR_DR = 1, LSR_OE = 2, LSR_THRE = 0x20, LSR_TEMT = 0x40 };

void uart_init(void);
void uart_put(char c);
/* The next input byte, or -1 after @ms milliseconds without one. */
int uart_get(uint32_t ms);

#endif
