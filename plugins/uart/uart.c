/* SPDX-License-Identifier: Apache-2.0 */
/* 16550A: PC16550D data sheet, section 8; the interrupt gate of OUT2 as on a PC. */
#include <string.h>

#include "uart.h"

#define REG_DATA 0 /* RBR, THR; DLL while LCR.DLAB */
#define REG_IER	 1 /* DLM while LCR.DLAB */
#define REG_IIR	 2 /* FCR for writes */
#define REG_LCR	 3
#define REG_MCR	 4
#define REG_LSR	 5
#define REG_MSR	 6
#define REG_SCR	 7

#define IER_RX	  (1u << 0)
#define IER_THRE  (1u << 1)
#define IER_LINE  (1u << 2)
#define IER_MODEM (1u << 3)
#define IER_MASK  0x0fu

#define IIR_NONE    0x01u
#define IIR_MODEM   0x00u
#define IIR_THRE    0x02u
#define IIR_RX	    0x04u
#define IIR_LINE    0x06u
#define IIR_TIMEOUT 0x0cu
#define IIR_FIFO    0xc0u

#define FCR_ENABLE   (1u << 0)
#define FCR_RX_RESET (1u << 1)
#define FCR_KEPT     0xc9u /* enable, DMA mode, trigger level */

#define LCR_DLAB (1u << 7)

#define MCR_DTR	 (1u << 0)
#define MCR_RTS	 (1u << 1)
#define MCR_OUT1 (1u << 2)
#define MCR_OUT2 (1u << 3)
#define MCR_LOOP (1u << 4)
#define MCR_MASK 0x1fu

#define LSR_DR	       (1u << 0)
#define LSR_OE	       (1u << 1)
#define LSR_BI	       (1u << 4)
#define LSR_THRE       (1u << 5)
#define LSR_TEMT       (1u << 6)
#define LSR_FIFO_ERROR (1u << 7)

#define MSR_CTS (1u << 4)
#define MSR_DSR (1u << 5)
#define MSR_RI	(1u << 6)
#define MSR_DCD (1u << 7)

static unsigned rx_capacity(const struct uart *uart)
{
	return uart->fcr & FCR_ENABLE ? UART_FIFO_SIZE : 1;
}

static bool rx_triggered(const struct uart *uart)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	return !(uart->fcr & FCR_ENABLE) || uart->rx_count >= levels[uart->fcr >> 6];
}

static bool break_at_top(const struct uart *uart)
{
	return uart->rx_count && uart->rx_break[uart->rx_first];
}

/* The pending interrupt of the highest priority (table 4 of the data sheet). */
static uint8_t iir_value(const struct uart *uart)
{
	if ((uart->ier & IER_LINE) && (uart->overrun || break_at_top(uart)))
		return IIR_LINE;
	if ((uart->ier & IER_RX) && uart->rx_count)
		return rx_triggered(uart) ? IIR_RX : IIR_TIMEOUT;
	if ((uart->ier & IER_THRE) && uart->thre_pending)
		return IIR_THRE;
	if ((uart->ier & IER_MODEM) && (uart->msr & 0x0f))
		return IIR_MODEM;
	return IIR_NONE;
}

static void irq_update(struct uart *uart)
{
	bool level = (uart->mcr & MCR_OUT2) && iir_value(uart) != IIR_NONE;

	if (level == uart->irq_level)
		return;
	uart->irq_level = level;
	uart->backend->irq(uart->opaque, level);
}

static void rx_push(struct uart *uart, uint8_t byte, bool is_break)
{
	unsigned at = (uart->rx_first + uart->rx_count) % UART_FIFO_SIZE;

	uart->rx[at] = byte;
	uart->rx_break[at] = is_break;
	uart->rx_count++;
}

static bool rx_has_room(const struct uart *uart)
{
	return uart->rx_count < rx_capacity(uart) && !(uart->mcr & MCR_LOOP);
}

/* After anything that may have made room in the receiver. */
static void rx_refill(struct uart *uart)
{
	if (!rx_has_room(uart))
		return;
	if (uart->break_pending) {
		uart->break_pending = false;
		rx_push(uart, 0, true);
	}
	if (uart->refused && rx_has_room(uart)) {
		uart->refused = false;
		uart->backend->input_ready(uart->opaque);
	}
}

static uint8_t rx_pop(struct uart *uart)
{
	uint8_t byte;

	if (!uart->rx_count)
		return 0;
	byte = uart->rx[uart->rx_first];
	uart->rx_first = (uart->rx_first + 1) % UART_FIFO_SIZE;
	uart->rx_count--;
	rx_refill(uart);
	return byte;
}

void uart_flush(struct uart *uart)
{
	bool was_blocked = uart->blocked;
	uint32_t n;

	if (uart->out_len) {
		n = uart->backend->write(uart->opaque, uart->out, uart->out_len);
		uart->out_len -= n;
		memmove(uart->out, uart->out + n, uart->out_len);
	}
	uart->blocked = uart->out_len != 0;
	if (uart->blocked)
		uart->thre_pending = false;
	else if (was_blocked)
		uart->thre_pending = true;
	irq_update(uart);
}

/*
 * The driver may send a FIFO's worth after it has seen THRE once, so that much room is kept when
 * the sink becomes full in the middle of it. What comes without looking at THRE is lost then, as
 * in hardware.
 */
static void tx_byte(struct uart *uart, uint8_t byte)
{
	if (uart->mcr & MCR_LOOP) {
		if (uart->rx_count < rx_capacity(uart))
			rx_push(uart, byte, false);
		else
			uart->overrun = true;
		uart->thre_pending = !uart->blocked;
		return;
	}
	if (uart->out_len == UART_OUT_SIZE)
		return;
	uart->out[uart->out_len++] = byte;
	if (uart->blocked)
		return;
	if (byte == '\n' || uart->out_len > UART_OUT_SIZE - UART_FIFO_SIZE)
		uart_flush(uart);
	else if (uart->out_len == 1)
		uart->backend->flush_later(uart->opaque);
	uart->thre_pending = !uart->blocked;
}

/* Modem inputs: wired to the outputs in loopback mode, else a peer that is always there. */
static uint8_t modem_inputs(const struct uart *uart)
{
	uint8_t msr = 0;

	if (!(uart->mcr & MCR_LOOP))
		return MSR_DCD | MSR_DSR | MSR_CTS;
	if (uart->mcr & MCR_RTS)
		msr |= MSR_CTS;
	if (uart->mcr & MCR_DTR)
		msr |= MSR_DSR;
	if (uart->mcr & MCR_OUT1)
		msr |= MSR_RI;
	if (uart->mcr & MCR_OUT2)
		msr |= MSR_DCD;
	return msr;
}

/* The delta bits stand four below their inputs; the one of RI tells its end only. */
static void modem_update(struct uart *uart)
{
	uint8_t inputs = modem_inputs(uart);
	uint8_t changed = (uart->msr & 0xf0) ^ inputs;

	if (inputs & MSR_RI)
		changed &= (uint8_t)~MSR_RI;
	uart->msr = (uint8_t)(inputs | (uart->msr & 0x0f) | changed >> 4);
}

static void fcr_write(struct uart *uart, uint8_t value)
{
	bool toggled = (value ^ uart->fcr) & FCR_ENABLE;

	/* Switching the FIFOs empties them. The transmitter's has nothing to lose: what waits in
	 * the batch counts as sent. */
	if (toggled || (value & FCR_ENABLE && value & FCR_RX_RESET)) {
		uart->rx_count = 0;
		uart->overrun = false;
	}
	uart->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
	rx_refill(uart);
}

static void ier_write(struct uart *uart, uint8_t value)
{
	/* Enabling it while the transmitter is empty interrupts at once. */
	if ((value & ~uart->ier & IER_THRE) && !uart->blocked)
		uart->thre_pending = true;
	uart->ier = value & IER_MASK;
}

static uint8_t iir_read(struct uart *uart)
{
	uint8_t iir = iir_value(uart);

	if (iir == IIR_THRE)
		uart->thre_pending = false;
	return iir | (uart->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t lsr_read(struct uart *uart)
{
	uint8_t lsr = uart->blocked ? 0 : LSR_THRE | LSR_TEMT;

	if (uart->rx_count)
		lsr |= LSR_DR;
	if (uart->overrun)
		lsr |= LSR_OE;
	if (break_at_top(uart))
		lsr |= LSR_BI;
	for (unsigned i = 0; i < uart->rx_count && (uart->fcr & FCR_ENABLE); i++) {
		if (uart->rx_break[(uart->rx_first + i) % UART_FIFO_SIZE])
			lsr |= LSR_FIFO_ERROR;
	}
	uart->overrun = false;
	if (uart->rx_count)
		uart->rx_break[uart->rx_first] = false;
	return lsr;
}

static uint8_t msr_read(struct uart *uart)
{
	uint8_t msr = uart->msr;

	uart->msr &= 0xf0;
	return msr;
}

static uint8_t reg_read(struct uart *uart, unsigned reg)
{
	bool dlab = uart->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		return dlab ? uart->dll : rx_pop(uart);
	case REG_IER:
		return dlab ? uart->dlm : uart->ier;
	case REG_IIR:
		return iir_read(uart);
	case REG_LCR:
		return uart->lcr;
	case REG_MCR:
		return uart->mcr;
	case REG_LSR:
		return lsr_read(uart);
	case REG_MSR:
		return msr_read(uart);
	default:
		return uart->scr;
	}
}

uint8_t uart_read(struct uart *uart, unsigned reg)
{
	uint8_t value = reg_read(uart, reg);

	irq_update(uart);
	return value;
}

void uart_write(struct uart *uart, unsigned reg, uint8_t value)
{
	bool dlab = uart->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		if (dlab)
			uart->dll = value;
		else
			tx_byte(uart, value);
		break;
	case REG_IER:
		if (dlab)
			uart->dlm = value;
		else
			ier_write(uart, value);
		break;
	case REG_IIR:
		fcr_write(uart, value);
		break;
	case REG_LCR:
		uart->lcr = value;
		break;
	case REG_MCR:
		uart->mcr = value & MCR_MASK;
		modem_update(uart);
		rx_refill(uart);
		break;
	case REG_SCR:
		uart->scr = value;
		break;
	}
	irq_update(uart);
}

uint32_t uart_input(struct uart *uart, const uint8_t *data, uint32_t len)
{
	uint32_t n = 0;

	while (n < len && rx_has_room(uart))
		rx_push(uart, data[n++], false);
	uart->refused = n < len;
	irq_update(uart);
	return n;
}

void uart_break(struct uart *uart)
{
	uart->break_pending = true;
	rx_refill(uart);
	irq_update(uart);
}

void uart_reset(struct uart *uart)
{
	uart->ier = uart->fcr = uart->lcr = uart->mcr = uart->scr = 0;
	uart->dll = 12; /* 9600 baud */
	uart->dlm = 0;
	uart->thre_pending = uart->overrun = uart->break_pending = false;
	uart->rx_count = 0;
	uart->msr = modem_inputs(uart);
	rx_refill(uart);
	irq_update(uart);
}
