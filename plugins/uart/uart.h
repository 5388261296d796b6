/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 16550A register model. Time does not pass inside it: a byte written is transmitted at once if
 * the sink has room, a byte below the trigger level has timed out at once.
 */
#ifndef ALCOR_PLUGINS_UART_UART_H
#define ALCOR_PLUGINS_UART_UART_H

#include <stdbool.h>
#include <stdint.h>

#define UART_N_REGS    8
#define UART_FIFO_SIZE 16
#define UART_OUT_SIZE  512

struct uart_backend {
	/* Returns how many bytes there was room for. */
	uint32_t (*write)(void *opaque, const uint8_t *data, uint32_t len);
	/* The first byte of a batch was stored: call uart_flush() soon. */
	void (*flush_later)(void *opaque);
	/* The receiver has room again. */
	void (*input_ready)(void *opaque);
	/* Only called on changes. */
	void (*irq)(void *opaque, bool level);
};

struct uart {
	const struct uart_backend *backend;
	void *opaque;

	uint8_t ier, fcr, lcr, mcr, msr, scr, dll, dlm;
	bool thre_pending;  /* THRE interrupt: latched, cleared by reading IIR */
	bool overrun;	    /* LSR OE, cleared by reading LSR */
	bool break_pending; /* a break that found no room in the FIFO */
	bool refused;	    /* input was refused: tell when there is room */
	bool irq_level;

	uint8_t rx[UART_FIFO_SIZE];
	bool rx_break[UART_FIFO_SIZE]; /* LSR BI belongs to this byte */
	unsigned rx_first, rx_count;

	/* Bytes that the guest has sent and the sink does not have yet. The batch is not visible
	 * to the guest, but while the sink is full (blocked) the transmitter is not empty. */
	uint8_t out[UART_OUT_SIZE];
	unsigned out_len;
	bool blocked;
};

/* Registers as after power-on. Stored output is kept. */
void uart_reset(struct uart *uart);
uint8_t uart_read(struct uart *uart, unsigned reg);
void uart_write(struct uart *uart, unsigned reg, uint8_t value);
/* Returns how many bytes were taken; input_ready() follows if these were not all. */
uint32_t uart_input(struct uart *uart, const uint8_t *data, uint32_t len);
void uart_break(struct uart *uart);
/* Hands stored output to the sink, also when the sink has room again. */
void uart_flush(struct uart *uart);

#endif
