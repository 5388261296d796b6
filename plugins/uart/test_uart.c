/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alcor_testing.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };
#define FCR IIR

static struct alcor_fake *fake;

static uint8_t in(unsigned reg)
{
	return (uint8_t)alcor_fake_read(&fake->pio, 0x3f8 + reg, 1);
}

static void out(unsigned reg, uint8_t value)
{
	alcor_fake_write(&fake->pio, 0x3f8 + reg, 1, value);
}

static void print(const char *text)
{
	while (*text)
		out(DATA, (uint8_t)*text++);
}

static int open_device(const char *claim, const char *params)
{
	int ret;

	fake = alcor_fake_new(PLUGIN_PATH, claim);
	ret = alcor_fake_create(fake, params);
	return ret ? ret : alcor_fake_realize(fake);
}

static int setup(void **state)
{
	return open_device("console/stdio", "");
}

static int teardown(void **state)
{
	alcor_fake_free(fake);
	return 0;
}

static void test_resources(void **state)
{
	assert_int_equal(fake->pio.base, 0x3f8);
	assert_int_equal(fake->pio.len, 8);
	assert_int_equal(fake->n_acpi_nodes, 1);
	assert_string_equal(fake->acpi_node.name, "COM1");
	assert_string_equal(fake->acpi_node.hid, "PNP0501");
	assert_int_equal(fake->acpi_node.pio_base, 0x3f8);
	assert_int_equal(fake->acpi_node.pio_len, 8);
	assert_int_equal(fake->acpi_node.gsi, 4);
}

static void test_power_on_values(void **state)
{
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(in(LCR), 0);
	assert_int_equal(in(MCR), 0);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(MSR), 0xb0); /* DCD, DSR, CTS, nothing changed */
	assert_int_equal(in(DATA), 0);
	assert_int_equal(fake->irq_calls, 0);
}

static void test_register_masks_and_divisor(void **state)
{
	out(SCR, 0xa5);
	assert_int_equal(in(SCR), 0xa5);
	out(IER, 0xff);
	assert_int_equal(in(IER), 0x0f);
	out(MCR, 0xff);
	assert_int_equal(in(MCR), 0x1f);
	out(LCR, 0x83);
	out(DATA, 0x34);
	out(IER, 0x12);
	assert_int_equal(in(DATA), 0x34);
	assert_int_equal(in(IER), 0x12);
	out(LCR, 0x03);
	assert_int_equal(in(IER), 0x0f);
	assert_int_equal(fake->output_len, 0);
	/* LSR and MSR cannot be written. */
	out(MCR, 0);
	in(MSR);
	out(LSR, 0);
	out(MSR, 0);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(MSR), 0xb0);
}

static void test_wide_access_is_bytewise(void **state)
{
	alcor_fake_write(&fake->pio, 0x3f8 + LCR, 2, 0x0803); /* LCR, MCR */
	assert_int_equal(in(LCR), 0x03);
	assert_int_equal(in(MCR), 0x08);
	assert_int_equal(alcor_fake_read(&fake->pio, 0x3f8 + LCR, 4), 0xb0600803);
	assert_int_equal(alcor_fake_read(&fake->pio, 0x3f8 + 6, 4), 0xffffffff);
}

static void test_output_is_batched(void **state)
{
	print("hello\n");
	assert_string_equal(fake->output, "hello\n");
	assert_int_equal(fake->n_writes, 1);
	/* A prompt without a line feed appears by itself. */
	print("login: ");
	assert_int_equal(fake->n_writes, 1);
	for (int i = 0; i < 100 && fake->n_writes == 1; i++)
		alcor_fake_turn(fake, 100);
	assert_string_equal(fake->output, "hello\nlogin: ");
	assert_int_equal(fake->n_writes, 2);
	/* A long line goes out in pieces, in order. */
	for (unsigned i = 0; i < 2000; i++)
		out(DATA, (uint8_t)('0' + i % 10));
	out(DATA, '\n');
	assert_int_equal(fake->output_len, 13 + 2001);
	assert_in_range(fake->n_writes, 3, 12);
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(fake->output[13 + i], '0' + i % 10);
}

static void test_output_survives_the_end(void **state)
{
	print("tail");
	alcor_fake_pause(fake);
	assert_string_equal(fake->output, "tail");
	print("er");
	alcor_fake_destroy(fake);
	assert_string_equal(fake->output, "tailer");
}

static void test_full_sink_holds_the_transmitter(void **state)
{
	char expected[256] = "";
	unsigned sent = 0;

	out(FCR, 0x01);
	out(MCR, 0x08);
	out(IER, 0x02);
	in(IIR);
	fake->output_room = 3;
	print("abcdef\n");
	assert_int_equal(in(LSR), 0);
	assert_int_equal(in(IIR), 0xc1);
	assert_int_equal(fake->irq_level[4], 0);
	/* The rest of a FIFO's worth, sent on the strength of one look at THRE, is kept. */
	print("ghi");
	alcor_fake_output_room(fake, 2);
	assert_int_equal(in(LSR), 0);
	alcor_fake_output_room(fake, 60000);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(fake->irq_level[4], 1);
	assert_int_equal(in(IIR), 0xc2);
	assert_string_equal(fake->output, "abcdef\nghi");
	/* A driver that honours THRE, against a sink that trickles, loses nothing. */
	fake->output_len = 0;
	memset(fake->output, 0, sizeof(fake->output));
	fake->output_room = 0;
	while (sent < sizeof(expected) - 1) {
		if (!(in(LSR)&0x20)) {
			alcor_fake_output_room(fake, 5);
			continue;
		}
		for (unsigned i = 0; i < 16 && sent < sizeof(expected) - 1; i++) {
			expected[sent] = (char)(i == 3 ? '\n' : 'A' + sent % 26);
			out(DATA, (uint8_t)expected[sent++]);
		}
	}
	for (unsigned i = 0; i < 100; i++) {
		alcor_fake_output_room(fake, 5);
		alcor_fake_turn(fake, 5);
	}
	assert_string_equal(fake->output, expected);
}

static void test_writes_beyond_a_full_transmitter_are_bounded(void **state)
{
	fake->output_room = 0;
	for (unsigned i = 0; i < 100000; i++)
		out(DATA, 'x');
	assert_int_equal(in(LSR), 0);
	alcor_fake_output_room(fake, 60000);
	assert_in_range(fake->output_len, 16, 4096);
	assert_int_equal(in(LSR), 0x60);
}

static void test_thre_interrupt(void **state)
{
	out(MCR, 0x08);
	out(IER, 0x02);
	assert_int_equal(fake->irq_level[4], 1);
	assert_int_equal(in(IIR), 0x02);
	assert_int_equal(fake->irq_level[4], 0);
	assert_int_equal(in(IIR), 0x01);
	out(DATA, 'a');
	assert_int_equal(fake->irq_level[4], 1);
	assert_int_equal(in(IIR), 0x02);
	assert_int_equal(in(IIR), 0x01);
	/* Off and on again: empty, so it interrupts. */
	out(IER, 0x00);
	out(IER, 0x02);
	assert_int_equal(in(IIR), 0x02);
	/* Writing what is already set does not. */
	out(IER, 0x02);
	assert_int_equal(in(IIR), 0x01);
}

static void test_line_changes_only_when_it_changes(void **state)
{
	unsigned calls;

	out(MCR, 0x08);
	out(IER, 0x03);
	calls = fake->irq_calls;
	out(DATA, 'a');
	out(DATA, 'b');
	alcor_fake_input(fake, "x", 1);
	in(LSR);
	assert_int_equal(fake->irq_level[4], 1);
	assert_int_equal(fake->irq_calls, calls);
}

static void test_out2_gates_the_line(void **state)
{
	out(IER, 0x01);
	alcor_fake_input(fake, "x", 1);
	assert_int_equal(fake->irq_level[4], 0);
	assert_int_equal(in(IIR), 0x04);
	out(MCR, 0x08);
	assert_int_equal(fake->irq_level[4], 1);
	out(MCR, 0x00);
	assert_int_equal(fake->irq_level[4], 0);
}

static void test_input_without_fifo(void **state)
{
	out(MCR, 0x08);
	out(IER, 0x01);
	assert_int_equal(alcor_fake_input(fake, "ab", 2), 1);
	assert_int_equal(fake->irq_level[4], 1);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(IIR), 0x04);
	assert_int_equal(alcor_fake_input(fake, "b", 1), 0);
	assert_int_equal(fake->n_input_ready, 0);
	assert_int_equal(in(DATA), 'a');
	assert_int_equal(fake->n_input_ready, 1);
	assert_int_equal(fake->irq_level[4], 0);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(alcor_fake_input(fake, "b", 1), 1);
	assert_int_equal(in(DATA), 'b');
	assert_int_equal(fake->n_input_ready, 1);
}

static void test_input_with_fifo(void **state)
{
	static const uint8_t triggers[] = { 1, 4, 8, 14 };

	out(IER, 0x01);
	for (unsigned i = 0; i < 4; i++) {
		out(FCR, (uint8_t)(0x03 | i << 6));
		assert_int_equal(in(IIR), 0xc1);
		for (unsigned n = 1; n <= 16; n++) {
			assert_int_equal(alcor_fake_input(fake, "z", 1), 1);
			assert_int_equal(in(IIR), n < triggers[i] ? 0xcc : 0xc4);
		}
		assert_int_equal(alcor_fake_input(fake, "z", 1), 0);
	}
	out(FCR, 0x03);
	assert_int_equal(in(LSR), 0x60);
	fake->n_input_ready = 0;
	assert_int_equal(alcor_fake_input(fake, "abcdefghijklmnopqrst", 20), 16);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(in(DATA), 'a' + i);
	assert_int_equal(fake->n_input_ready, 1);
	assert_int_equal(in(DATA), 0);
}

static void test_fifo_reset(void **state)
{
	out(FCR, 0x01);
	alcor_fake_input(fake, "abc", 3);
	out(FCR, 0x02); /* enable bit clear: FIFOs go off, and are emptied */
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(in(LSR), 0x60);
	out(FCR, 0x01);
	alcor_fake_input(fake, "abc", 3);
	out(FCR, 0x05); /* the transmitter's alone */
	assert_int_equal(in(DATA), 'a');
	out(FCR, 0x03);
	assert_int_equal(in(LSR), 0x60);
}

static void test_break(void **state)
{
	out(MCR, 0x08);
	out(FCR, 0x01);
	out(IER, 0x04);
	alcor_fake_input(fake, "a", 1);
	alcor_fake_break(fake);
	assert_int_equal(in(LSR), 0xe1); /* in the FIFO, not on its top */
	assert_int_equal(fake->irq_level[4], 0);
	assert_int_equal(in(DATA), 'a');
	assert_int_equal(fake->irq_level[4], 1);
	assert_int_equal(in(IIR), 0xc6);
	assert_int_equal(in(LSR), 0xf1);
	assert_int_equal(fake->irq_level[4], 0);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(DATA), 0);
	assert_int_equal(in(LSR), 0x60);
	/* One that finds the FIFO full comes later. */
	alcor_fake_input(fake, "0123456789abcdef", 16);
	alcor_fake_break(fake);
	assert_int_equal(in(LSR)&0x90, 0);
	in(DATA);
	assert_int_equal(in(LSR), 0xe1);
}

static void test_loopback(void **state)
{
	alcor_fake_input(fake, "q", 1);
	assert_int_equal(in(DATA), 'q');
	out(MCR, 0x10);
	in(MSR);
	for (unsigned bits = 0; bits < 16; bits++) {
		unsigned expected = (bits & 2) << 3 | (bits & 1) << 5 | (bits & 12) << 4;

		out(MCR, (uint8_t)(0x10 | bits));
		assert_int_equal(in(MSR)&0xf0, expected);
	}
	out(MCR, 0x10);
	in(MSR);
	out(MCR, 0x16); /* RTS, OUT1: CTS changed; the start of a ring is no event */
	assert_int_equal(in(MSR), 0x51);
	assert_int_equal(in(MSR), 0x50);
	out(MCR, 0x10);
	assert_int_equal(in(MSR), 0x05); /* CTS changed, ring ended */
	/* Bytes come back, the sink sees none of them, the user's wait. */
	out(DATA, 'L');
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(alcor_fake_input(fake, "u", 1), 0);
	out(DATA, 'M');
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(DATA), 'L');
	assert_int_equal(fake->n_input_ready, 0);
	out(MCR, 0);
	assert_int_equal(fake->n_input_ready, 1);
	assert_int_equal(fake->output_len, 0);
	alcor_fake_turn(fake, 10);
	assert_int_equal(fake->output_len, 0);
}

static void test_interrupt_priorities(void **state)
{
	out(MCR, 0x18);
	in(MSR);
	out(IER, 0x0f);
	out(MCR, 0x1a); /* modem status */
	out(DATA, 'a');
	out(DATA, 'b'); /* overrun */
	assert_int_equal(in(IIR), 0x06);
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(IIR), 0x04);
	assert_int_equal(in(DATA), 'a');
	assert_int_equal(in(IIR), 0x02);
	assert_int_equal(in(IIR), 0x00);
	assert_int_equal(fake->irq_level[4], 1);
	in(MSR);
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(fake->irq_level[4], 0);
}

static void test_reset(void **state)
{
	out(MCR, 0x08);
	out(IER, 0x01);
	out(FCR, 0x01);
	out(SCR, 1);
	alcor_fake_input(fake, "abcdefghijklmnopqrst", 20);
	print("last words");
	assert_int_equal(fake->irq_level[4], 1);
	alcor_fake_reset(fake, ALCOR_RESET_WARM);
	assert_string_equal(fake->output, "last words");
	assert_int_equal(fake->irq_level[4], 0);
	assert_int_equal(fake->n_input_ready, 1);
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(in(MCR), 0);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(SCR), 0);
}

static void test_log_file(void **state)
{
	char path[] = "uart-log-XXXXXX", params[128], text[64] = "";
	int fd = mkstemp(path);

	assert_int_equal(write(fd, "before\n", 7), 7);
	snprintf(params, sizeof(params), "%s,append=on", path);
	assert_int_equal(open_device("console/log", params), 0);
	print("kept\n");
	alcor_fake_free(fake);
	assert_int_equal(pread(fd, text, sizeof(text), 0), 12);
	assert_string_equal(text, "before\nkept\n");

	memset(text, 0, sizeof(text));
	snprintf(params, sizeof(params), "path=%s", path);
	assert_int_equal(open_device("console/file", params), 0);
	print("new\n");
	alcor_fake_free(fake);
	assert_int_equal(pread(fd, text, sizeof(text), 0), 4);
	assert_string_equal(text, "new\n");
	close(fd);
	unlink(path);
}

static void test_log_errors(void **state)
{
	assert_int_equal(open_device("console/log", ""), -EINVAL);
	alcor_fake_free(fake);
	assert_int_equal(open_device("console/log", "/nonexistent/file"), -ENOENT);
	assert_string_equal(fake->error, "open: No such file or directory");
	alcor_fake_free(fake);
	assert_int_equal(open_device("console/log", "/"), -EISDIR);
	alcor_fake_free(fake);
	assert_int_equal(mkfifo("uart-fifo", 0600), 0);
	assert_int_equal(open_device("console/log", "uart-fifo"), -ENXIO);
	assert_string_equal(fake->error, "open: nobody reads this pipe");
	alcor_fake_free(fake);
	unlink("uart-fifo");
}

static void test_null(void **state)
{
	assert_int_equal(open_device("console/null", ""), 0);
	print("nothing\nat all");
	alcor_fake_turn(fake, 10);
	assert_int_equal(in(LSR), 0x60);
	assert_false(fake->console.open);
	alcor_fake_free(fake);
}

static void test_second_port_is_refused(void **state)
{
	assert_int_equal(alcor_fake_realize(fake), -EBUSY);
	assert_non_null(strstr(fake->error, "one serial port"));
}

static void test_manual(void **state)
{
	assert_true(alcor_fake_manual_complete(fake->plugin, MANUAL_PATH));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_resources),
		TEST(test_power_on_values),
		TEST(test_register_masks_and_divisor),
		TEST(test_wide_access_is_bytewise),
		TEST(test_output_is_batched),
		TEST(test_output_survives_the_end),
		TEST(test_full_sink_holds_the_transmitter),
		TEST(test_writes_beyond_a_full_transmitter_are_bounded),
		TEST(test_thre_interrupt),
		TEST(test_line_changes_only_when_it_changes),
		TEST(test_out2_gates_the_line),
		TEST(test_input_without_fifo),
		TEST(test_input_with_fifo),
		TEST(test_fifo_reset),
		TEST(test_break),
		TEST(test_loopback),
		TEST(test_interrupt_priorities),
		TEST(test_reset),
		TEST(test_second_port_is_refused),
		TEST(test_manual),
		cmocka_unit_test(test_log_file),
		cmocka_unit_test(test_log_errors),
		cmocka_unit_test(test_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
