/* SPDX-License-Identifier: Apache-2.0 */
/* Several ports and the control queues, also with a driver that means harm. */
#include <endian.h>

#include "test_fixture.h"

#define PORTS "console=null,port=org.example.agent:null"

static int setup(void **state)
{
	open_device("hvc/stdio", PORTS, MULTIPORT);
	return 0;
}

static int teardown(void **state)
{
	close_device();
	return 0;
}

static void test_start(void **state)
{
	assert_int_equal(fake->virtio_desc.n_queues, 8);
	control_give(20, 4096);
	assert_string_equal(control_text(), "");
	control(0xffffffff, DEVICE_READY, 1);
	assert_string_equal(control_text(), "0:add 1:add 2:add");
	control(0, PORT_READY, 1);
	assert_string_equal(control_text(), "0:console 0:open");
	control(1, PORT_READY, 1);
	assert_string_equal(control_text(), "1:console 1:open");
	control(2, PORT_READY, 1);
	assert_string_equal(control_text(), "2:name=org.example.agent 2:open");
	assert_int_equal(fake->n_logs, 0);
}

/* Buffers may come one at a time, and after what they are for. */
static void test_messages_wait_for_buffers(void **state)
{
	control(0, DEVICE_READY, 1);
	control(0, PORT_READY, 1);
	settle();
	for (int i = 0; i < 5; i++) {
		static const char *const expected[] = { "0:add", "0:console", "0:open", "1:add",
							"2:add" };

		control_give(1, 64);
		assert_string_equal(control_text(), expected[i]);
	}
	control_give(1, 64);
	assert_string_equal(control_text(), "");
}

static void test_small_buffers_lose_no_message(void **state)
{
	control(2, PORT_READY, 1);
	settle();
	control_give(1, 0);
	control_give(1, 7);
	control_give(1, 8);
	control_give(1, 8 + 16);
	assert_string_equal(control_text(), "0 bytes 0 bytes 0 bytes 0 bytes");
	assert_int_equal(fake->n_logs, 4);
	control_give(1, 8 + 17);
	control_give(1, 8);
	assert_string_equal(control_text(), "2:name=org.example.agent 2:open");
}

static void test_input_needs_an_open_port(void **state)
{
	struct alcor_fake_request *req = give(RX, 16, NULL);

	settle();
	assert_int_equal(alcor_fake_input(fake, "abc", 3), 0);
	control(0, PORT_OPEN, 1);
	settle();
	assert_int_equal(fake->n_input_ready, 1);
	assert_int_equal(alcor_fake_input(fake, "abc", 3), 3);
	assert_true(req->done);
	give(RX, 16, NULL);
	control(0, PORT_OPEN, 0);
	settle();
	assert_int_equal(alcor_fake_input(fake, "abc", 3), 0);
}

static void test_driver_without_multiport(void **state)
{
	struct alcor_fake_request *out, *in;

	alcor_fake_deactivate(fake);
	assert_int_equal(alcor_fake_activate(fake, 0), 0);
	control_give(2, 64);
	control(0, DEVICE_READY, 1);
	out = print(TX, "x");
	in = give(RX, 4, NULL);
	assert_string_equal(control_text(), "");
	assert_true(out->done);
	assert_int_equal(alcor_fake_input(fake, "y", 1), 1);
	assert_true(in->done);
}

static void test_reset_forgets(void **state)
{
	control_give(1, 64);
	control(0, DEVICE_READY, 1);
	control(0, PORT_OPEN, 1);
	assert_string_equal(control_text(), "0:add");
	alcor_fake_deactivate(fake);
	assert_int_equal(alcor_fake_activate(fake, MULTIPORT), 0);
	control_give(10, 64);
	give(RX, 16, NULL);
	assert_string_equal(control_text(), "");
	assert_int_equal(alcor_fake_input(fake, "abc", 3), 0);
}

static void test_pause(void **state)
{
	control_give(5, 64);
	alcor_fake_pause(fake);
	control(0, DEVICE_READY, 1);
	assert_string_equal(control_text(), "");
	alcor_fake_resume(fake);
	assert_string_equal(control_text(), "0:add 1:add 2:add");
}

static void test_ports_have_queues_of_their_own(void **state)
{
	struct alcor_fake_request *held, *other;

	alcor_fake_output_room(fake, 0);
	held = print(TX, "zero");
	other = print(7, "two");
	assert_true(alcor_fake_wait(fake, &other->done));
	assert_false(held->pushed);
	alcor_fake_queue_stop(fake, 7);
	alcor_fake_queue_stop(fake, 5);
	alcor_fake_queue_stop(fake, CONTROL_RX);
	alcor_fake_queue_stop(fake, CONTROL_TX);
	alcor_fake_output_room(fake, 10);
	assert_true(held->done);
	assert_string_equal(fake->output, "zero");
}

#define MSG(id, event, value)                                                              \
	(id) & 0xff, (id) >> 8 & 0xff, (id) >> 16 & 0xff, (id) >> 24 & 0xff, (event)&0xff, \
		(event) >> 8, (value)&0xff, (value) >> 8

static const struct hostile {
	const char *what;
	uint32_t len;
	uint8_t bytes[64];
	unsigned logs;
	const char *answer;
} hostile[] = {
	{ "nothing", 0, { 0 }, 1, "" },
	{ "one byte", 1, { 0 }, 1, "" },
	{ "an id alone", 4, { 0 }, 1, "" },
	{ "half an event", 5, { 0, 0, 0, 0, 3 }, 1, "" },
	{ "an event without value", 6, { 0, 0, 0, 0, 3, 0 }, 1, "" },
	{ "half a value", 7, { MSG(0, PORT_READY, 1) }, 1, "" },
	{ "a long message", 64, { MSG(0, PORT_READY, 1) }, 0, "0:console 0:open" },
	{ "device not ready", 8, { MSG(0, DEVICE_READY, 0) }, 1, "" },
	{ "device ready, odd value", 8, { MSG(9, DEVICE_READY, 0xffff) }, 0, "0:add 1:add 2:add" },
	{ "port one behind", 8, { MSG(3, PORT_READY, 1) }, 1, "" },
	{ "port far behind", 8, { MSG(0x7fffffff, PORT_READY, 1) }, 1, "" },
	{ "port -1", 8, { MSG(0xffffffff, PORT_READY, 1) }, 1, "" },
	{ "port 2 in the high half", 8, { MSG(0x20000, PORT_READY, 1) }, 1, "" },
	{ "open of port -1", 8, { MSG(0xffffffff, PORT_OPEN, 1) }, 1, "" },
	{ "open of port one behind", 8, { MSG(3, PORT_OPEN, 1) }, 1, "" },
	{ "open of a port not ready", 8, { MSG(2, PORT_OPEN, 1) }, 0, "" },
	{ "open, odd value", 8, { MSG(2, PORT_OPEN, 0x8000) }, 0, "" },
	{ "close of a closed port", 8, { MSG(2, PORT_OPEN, 0) }, 0, "" },
	{ "port not ready", 8, { MSG(2, PORT_READY, 0) }, 1, "" },
	{ "the device's add", 8, { MSG(0, PORT_ADD, 1) }, 1, "" },
	{ "the device's remove", 8, { MSG(0, PORT_REMOVE, 1) }, 1, "" },
	{ "the device's console", 8, { MSG(0, CONSOLE_PORT, 1) }, 1, "" },
	{ "the device's resize", 12, { MSG(0, RESIZE, 1), 80, 0, 25, 0 }, 1, "" },
	{ "the device's name", 12, { MSG(2, PORT_NAME, 1), 'e', 'v', 'i', 'l' }, 1, "" },
	{ "event 8", 8, { MSG(0, 8, 1) }, 1, "" },
	{ "event 32", 8, { MSG(0, 32, 1) }, 1, "" },
	{ "event 0xffff", 8, { MSG(0, 0xffff, 0xffff) }, 1, "" },
	{ "all ones", 64, { MSG(0xffffffff, 0xffff, 0xffff) }, 1, "" },
};

static void test_hostile_messages(void **state)
{
	for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
		const struct hostile *test = &hostile[i];
		struct alcor_fake_request *req, *out;
		const char *answer;

		open_device("hvc/stdio", PORTS, MULTIPORT);
		control_give(20, 64);
		req = submit(CONTROL_TX, test->bytes, test->len);
		answer = control_text();
		if (!req->done || req->written || fake->n_logs != test->logs ||
		    strcmp(answer, test->answer) != 0)
			fail_msg("%s: %u logs (%s), \"%s\"", test->what, fake->n_logs, fake->log,
				 answer);
		/* The device goes on. */
		control(2, PORT_READY, 1);
		out = print(TX, "alive");
		assert_string_equal(control_text(), "2:name=org.example.agent 2:open");
		assert_true(out->done);
		assert_string_equal(fake->output, "alive");
		assert_false(fake->virtio_needs_reset);
		close_device();
	}
}

/* However often it asks: one message of each kind is on its way. */
static void test_flood_of_messages(void **state)
{
	struct alcor_fake_request *last = NULL;
	uint8_t ready[] = { MSG(2, PORT_READY, 1) };

	for (int i = 0; i < 500; i++) {
		control(0, DEVICE_READY, 1);
		last = submit(CONTROL_TX, ready, sizeof(ready));
	}
	alcor_fake_turn(fake, 0);
	assert_false(last->taken);
	assert_true(alcor_fake_wait(fake, &last->done));
	control_give(20, 64);
	assert_string_equal(control_text(), "0:add 1:add 2:add 2:name=org.example.agent 2:open");
}

static void test_messages_in_the_wrong_place(void **state)
{
	char *buf;
	struct alcor_fake_request *writable = give(CONTROL_TX, 8, &buf);
	struct alcor_fake_request *readable = submit(CONTROL_RX, "abcdefgh", 8);

	control(0, DEVICE_READY, 1);
	control_give(3, 64);
	assert_string_equal(control_text(), "0:add 1:add 2:add");
	assert_true(writable->done && readable->done);
	assert_int_equal(readable->written, 0);
	assert_memory_equal(buf, "\0\0\0\0\0\0\0\0", 8);
}

static void test_scattered_buffer(void **state)
{
	char a[3], b[1], c[60];
	struct iovec in[] = { { a, 3 }, { b, 0 }, { b, 1 }, { c, 60 } };
	struct alcor_fake_request *req = alcor_fake_submit(fake, CONTROL_RX, NULL, 0, in, 4);

	control(2, PORT_READY, 1);
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(req->written, 8 + 17);
	assert_memory_equal(a, "\2\0\0", 3);
	assert_memory_equal(b, "\0", 1);
	assert_memory_equal(c, "\7\0\1\0org.example.agent", 4 + 17);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_start),
		TEST(test_messages_wait_for_buffers),
		TEST(test_small_buffers_lose_no_message),
		TEST(test_input_needs_an_open_port),
		TEST(test_driver_without_multiport),
		TEST(test_reset_forgets),
		TEST(test_pause),
		TEST(test_ports_have_queues_of_their_own),
		cmocka_unit_test(test_hostile_messages),
		TEST(test_flood_of_messages),
		TEST(test_messages_in_the_wrong_place),
		TEST(test_scattered_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
