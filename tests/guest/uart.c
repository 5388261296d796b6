/* SPDX-License-Identifier: Apache-2.0 */
/* The 16550A of COM1, by its registers. Every case leaves it fit to print. */
#include "lib/uart.h"
#include "lib/apic.h"
#include "lib/cpu.h"
#include "lib/test.h"

enum { GSI_COM1 = 4, IIR_NONE = 1, MCR_LOOP = 0x10, MCR_OUT2 = 8, VECTOR_COM1 = VECTOR_FIRST + 4 };

static uint8_t get(unsigned int reg)
{
	return inb(COM1 + reg);
}

static void set(unsigned int reg, uint8_t v)
{
	outb(COM1 + reg, v);
}

/* All that has been printed is out, and there is no input. */
static void quiet(void)
{
	for (unsigned int i = 0; i < 1000 && !(get(UART_LSR) & LSR_TEMT); i++)
		cpu_pause();
	uart_init();
}

static const char *loop_on(void)
{
	quiet();
	set(UART_MCR, MCR_LOOP | MCR_OUT2);
	return NULL;
}

/* Through any test's reason, back to a UART that prints. */
static const char *normal(const char *reason)
{
	uart_init();
	return reason;
}

static const char *scratch(const void *arg)
{
	(void)arg;
	for (unsigned int v = 0; v < 256; v += 17) {
		set(UART_SCR, v);
		CHECK_EQ(get(UART_SCR), v, "scratch");
	}
	return NULL;
}

static const char *fifo_bits(const void *arg)
{
	uint8_t on, off;

	(void)arg;
	quiet();
	set(UART_IIR, 1);
	on = get(UART_IIR);
	set(UART_IIR, 0);
	off = get(UART_IIR);
	uart_init();
	CHECK_EQ(on & 0xc0, 0xc0, "IIR with FIFOs");
	CHECK_EQ(off & 0xc0, 0, "IIR without");
	return NULL;
}

static const char *divisor(const void *arg)
{
	uint8_t low, high, lcr;

	(void)arg;
	quiet();
	set(UART_LCR, 0x83);
	set(UART_DATA, 0x34);
	set(UART_IER, 0x12);
	low = get(UART_DATA);
	high = get(UART_IER);
	lcr = get(UART_LCR);
	set(UART_DATA, 1);
	set(UART_IER, 0);
	set(UART_LCR, 3);
	CHECK_EQ(low, 0x34, "divisor low");
	CHECK_EQ(high, 0x12, "divisor high");
	CHECK_EQ(lcr, 0x83, "line control");
	CHECK_EQ(get(UART_IER), 0, "interrupt enable behind the divisor");
	return NULL;
}

static const char *idle_status(const void *arg)
{
	uint8_t lsr;

	(void)arg;
	quiet();
	lsr = get(UART_LSR);
	CHECK_EQ(lsr, LSR_THRE | LSR_TEMT, "LSR");
	set(UART_LSR, 0xff);
	set(UART_MSR, 0xff);
	CHECK_EQ(get(UART_LSR), LSR_THRE | LSR_TEMT, "LSR after a write");
	CHECK_EQ(get(UART_IIR) & 0x0f, IIR_NONE, "IIR");
	return NULL;
}

static const char *loopback_data(void)
{
	for (unsigned int v = 0; v < 256; v += 5) {
		set(UART_DATA, v);
		CHECK(get(UART_LSR) & LSR_DR, "no data ready");
		CHECK_EQ(get(UART_DATA), v, "data");
		CHECK(!(get(UART_LSR) & LSR_DR), "data ready after the read");
	}
	return NULL;
}

static const char *loopback(const void *arg)
{
	(void)arg;
	loop_on();
	return normal(loopback_data());
}

/* DTR, RTS, OUT1 and OUT2 come back as DSR, CTS, RI and DCD. */
static const char *loopback_modem(const void *arg)
{
	static const uint8_t map[][2] = { { 1, 0x20 }, { 2, 0x10 }, { 4, 0x40 }, { 8, 0x80 } };
	const char *reason = NULL;

	(void)arg;
	quiet();
	for (unsigned int i = 0; i < ARRAY_SIZE(map) && !reason; i++) {
		uint8_t msr;

		set(UART_MCR, MCR_LOOP | map[i][0]);
		msr = get(UART_MSR) & 0xf0;
		if (msr != map[i][1])
			reason = fail("MSR 0x%x with MCR 0x%x", msr, map[i][0]);
	}
	return normal(reason);
}

static const char *overrun_data(void)
{
	uint8_t lsr;

	for (unsigned int i = 0; i < 40; i++)
		set(UART_DATA, 'A' + i);
	lsr = get(UART_LSR);
	CHECK(lsr & LSR_OE, "no overrun after 40 bytes");
	CHECK(!(get(UART_LSR) & LSR_OE), "overrun is not cleared by the read");
	for (unsigned int i = 0; i < 16; i++)
		CHECK_EQ(get(UART_DATA), 'A' + i, "data");
	CHECK(!(get(UART_LSR) & LSR_DR), "more than 16 bytes");
	return NULL;
}

static const char *overrun(const void *arg)
{
	(void)arg;
	loop_on();
	return normal(overrun_data());
}

static const char *fifo_clear_data(void)
{
	for (unsigned int i = 0; i < 8; i++)
		set(UART_DATA, i);
	set(UART_IIR, 0x03);
	CHECK(!(get(UART_LSR) & LSR_DR), "data after the FIFO was cleared");
	set(UART_DATA, 0x77);
	CHECK_EQ(get(UART_DATA), 0x77, "data");
	return NULL;
}

static const char *fifo_clear(const void *arg)
{
	(void)arg;
	loop_on();
	return normal(fifo_clear_data());
}

/* The transmitter is empty: enabling its interrupt raises it, reading IIR lowers it. */
static const char *thre_identified(void)
{
	set(UART_IER, 2);
	CHECK_EQ(get(UART_IIR) & 0x0f, 2, "IIR");
	CHECK_EQ(get(UART_IIR) & 0x0f, IIR_NONE, "IIR, read again");
	set(UART_IER, 0);
	set(UART_IER, 2);
	CHECK_EQ(get(UART_IIR) & 0x0f, 2, "IIR, enabled again");
	return NULL;
}

static const char *thre_identity(const void *arg)
{
	(void)arg;
	quiet();
	return normal(thre_identified());
}

/* With a trigger level of 14, fewer bytes are "character time-out". */
static const char *receive_identified(void)
{
	set(UART_IIR, 0xc7);
	set(UART_IER, 1);
	CHECK_EQ(get(UART_IIR) & 0x0f, IIR_NONE, "IIR without data");
	set(UART_DATA, 1);
	for (uint64_t end = deadline_ms(500); (get(UART_IIR) & 0x0f) == IIR_NONE;)
		CHECK(!passed(end), "no interrupt for one byte");
	CHECK((get(UART_IIR) & 0x0b) == 8 || (get(UART_IIR) & 0x0f) == 4, "IIR 0x%x",
	      get(UART_IIR));
	for (unsigned int i = 0; i < 13; i++)
		set(UART_DATA, i);
	CHECK_EQ(get(UART_IIR) & 0x07, 4, "IIR of 14 bytes");
	for (unsigned int i = 0; i < 14; i++)
		get(UART_DATA);
	CHECK_EQ(get(UART_IIR) & 0x0f, IIR_NONE, "IIR after reading");
	set(UART_IER, 4);
	for (unsigned int i = 0; i < 20; i++)
		set(UART_DATA, i);
	CHECK_EQ(get(UART_IIR) & 0x0f, 6, "IIR of an overrun");
	get(UART_LSR);
	CHECK_EQ(get(UART_IIR) & 0x0f, IIR_NONE, "IIR after reading LSR");
	return NULL;
}

static const char *receive_identity(const void *arg)
{
	(void)arg;
	loop_on();
	return normal(receive_identified());
}

static const char *wait_irq(uint32_t before)
{
	for (uint64_t end = deadline_ms(1000); irq_count[VECTOR_COM1] == before; cpu_pause())
		CHECK(!passed(end), "no interrupt");
	return NULL;
}

static const char *thre_interrupt(const void *arg)
{
	uint32_t before = irq_count[VECTOR_COM1];
	const char *reason;

	(void)arg;
	quiet();
	ioapic_route(GSI_COM1, VECTOR_COM1);
	set(UART_IER, 2);
	reason = wait_irq(before);
	set(UART_IER, 0);
	ioapic_mask(GSI_COM1);
	return normal(reason);
}

static const char *input_interrupt(const void *arg)
{
	uint32_t before;
	const char *reason;

	(void)arg;
	quiet();
	ioapic_route(GSI_COM1, VECTOR_COM1);
	before = irq_count[VECTOR_COM1];
	print("input 1\n");
	set(UART_IER, 1);
	reason = wait_irq(before);
	set(UART_IER, 0);
	ioapic_mask(GSI_COM1);
	if (!reason && get(UART_DATA) != 'a')
		reason = "other data";
	return normal(reason);
}

/* More than the FIFO holds, and nobody reads for a while: nothing is lost, for the host waits. */
static const char *input_waits(const void *arg)
{
	unsigned int n = arg_number("input", 200);

	(void)arg;
	quiet();
	print("input %u\n", n);
	delay_ms(50);
	for (unsigned int i = 0; i < n; i++) {
		int c = uart_get(2000);

		CHECK(c >= 0, "only %u of %u bytes", i, n);
		CHECK(c == (int)('a' + i % 26), "byte %u is 0x%x", i, (unsigned int)c);
	}
	CHECK(uart_get(20) < 0, "more bytes than were sent");
	return NULL;
}

static const char *junk_accesses(const void *arg)
{
	(void)arg;
	quiet();
	set(UART_MCR, MCR_LOOP);
	for (uint16_t port = COM1; port < COM1 + 8; port++) {
		inw(port);
		inl(port);
		outw(port, 0xffff);
		outl(port, 0xa5a5a5a5);
		outl(port, 0);
		set(UART_MCR, MCR_LOOP);
	}
	for (unsigned int i = 0; i < 256; i++)
		set(i % 8 == UART_MCR ? UART_SCR : i % 8, i * 73);
	set(UART_MCR, MCR_LOOP);
	return normal(NULL);
}

static const struct test_case cases[] = {
	{ "scratch", scratch, NULL },
	{ "fifo_bits", fifo_bits, NULL },
	{ "divisor", divisor, NULL },
	{ "idle_status", idle_status, NULL },
	{ "loopback", loopback, NULL },
	{ "loopback_modem", loopback_modem, NULL },
	{ "overrun", overrun, NULL },
	{ "fifo_clear", fifo_clear, NULL },
	{ "thre_identity", thre_identity, NULL },
	{ "receive_identity", receive_identity, NULL },
	{ "thre_interrupt", thre_interrupt, NULL },
	{ "input_interrupt", input_interrupt, NULL },
	{ "input_waits", input_waits, NULL },
};

/* QEMU ends itself by an assertion. */
static const struct test_case junk = { "junk_accesses", junk_accesses, NULL };

void user_main(void)
{
	test_init();
	test_run_all(cases, ARRAY_SIZE(cases));
	if (!arg_qemu())
		test_run(&junk);
	test_done();
}
