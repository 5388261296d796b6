/* SPDX-License-Identifier: Apache-2.0 */
#include "test_device_script.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/overflow.h"

struct script script;

static void note(char letter)
{
	size_t n = strlen(script.calls);

	assert_true(n + 1 < sizeof(script.calls));
	script.calls[n] = letter;
	script.calls[n + 1] = '\0';
}

static void on_event(void *opaque, uint32_t events)
{
}

static void on_time(void *opaque)
{
	note('t');
}

uint64_t script_read(void *opaque, uint64_t offset, uint32_t size)
{
	assert_ptr_equal(opaque, &script);
	return 0x1000 + offset;
}

static void regs_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
{
	script.last_offset = offset;
	script.last_write = value;
}

const struct alcor_io_ops script_io_ops = {
	.struct_size = sizeof(script_io_ops),
	.read = script_read,
	.write = regs_write,
};

static uint32_t console_input(void *opaque, const uint8_t *data, uint32_t len)
{
	note('i');
	return len;
}

static void console_output_ready(void *opaque)
{
}

static const struct alcor_console_ops script_console = {
	.struct_size = sizeof(script_console),
	.input = console_input,
	.output_ready = console_output_ready,
};

const struct alcor_pci_desc script_pci = {
	.struct_size = sizeof(script_pci),
	.vendor_id = 0x1234,
	.device_id = 0x5678,
	.class_base = 0xff,
	.n_vectors = 2,
	.bars = { { .size = 0x1000, .flags = ALCOR_PCI_BAR_64BIT, .ops = &script_io_ops } },
};

static int vio_activate(void *priv, uint64_t features)
{
	return 0;
}

static void vio_queue(void *priv, uint16_t index)
{
}

static void vio_queue_stop(void *priv, uint16_t index)
{
}

static const struct alcor_virtio_ops virtio_ops = {
	.struct_size = sizeof(virtio_ops),
	.activate = vio_activate,
	.queue = vio_queue,
	.queue_stop = vio_queue_stop,
};

const struct alcor_virtio_desc script_virtio = {
	.struct_size = sizeof(script_virtio),
	.device_id = 4,
	.n_queues = 1,
	.class_base = 0xff,
	.ops = &virtio_ops,
};

const struct alcor_acpi_node script_acpi = {
	.struct_size = sizeof(script_acpi),
	.name = "TST0",
	.hid = "TEST0001",
};

int script_step(struct alcor_dev *dev, enum step step)
{
	const struct alcor_console *console = alcor_service(dev, ALCOR_CONSOLE_ID);
	const struct alcor_virtio *virtio = alcor_service(dev, ALCOR_VIRTIO_ID);
	const struct alcor_loop *loop = alcor_service(dev, ALCOR_LOOP_ID);
	const struct alcor_acpi *acpi = alcor_service(dev, ALCOR_ACPI_ID);
	const struct alcor_pci *pci = alcor_service(dev, ALCOR_PCI_ID);
	const struct alcor_io *io = alcor_service(dev, ALCOR_IO_ID);

	switch (step) {
	case STEP_WATCH:
		return loop->watch(dev, script.event_fd, EPOLLIN, on_event, NULL, &script.watch);
	case STEP_TIMER:
		return loop->timer(dev, on_time, NULL, &script.timer);
	case STEP_DEFER:
		return loop->defer(dev, on_time, NULL);
	case STEP_CONSOLE:
		return console->open(dev, -1, -1, &script_console, NULL, &script.port);
	case STEP_PIO:
		return io->add_pio(dev, 0x500, 8, &script_io_ops, &script);
	case STEP_MMIO:
		return io->add_mmio(dev, 0xd8000000, 0x1000, &script_io_ops, &script);
	case STEP_PCI:
		return pci->add(dev, &script_pci, &script, &script.function);
	case STEP_VIRTIO:
		return virtio->add(dev, &script_virtio, &script);
	case STEP_ACPI:
		return acpi->add(dev, &script_acpi);
	default:
		return -EINVAL;
	}
}

static void do_steps(unsigned steps)
{
	unsigned i;

	for (i = 0; i < N_STEPS; i++)
		if (steps & (1u << i))
			script.step_result[i] = script_step(script.dev, i);
}

static int thing_create(struct alcor_dev *dev, void **ret_priv)
{
	note('C');
	script.dev = dev;
	do_steps(script.create_steps);
	*ret_priv = &script;
	if (script.create_words)
		return alcor_error(dev, script.create_result, "%s", script.create_words);
	return script.create_result;
}

static int thing_realize(void *priv)
{
	assert_ptr_equal(priv, &script);
	note('R');
	do_steps(script.realize_steps);
	if (script.realize_words)
		return alcor_error(script.dev, script.realize_result, "%s", script.realize_words);
	return script.realize_result;
}

static void thing_reset(void *priv, uint32_t kind)
{
	script.reset_kind = kind;
	note('Z');
}

static int thing_resume(void *priv)
{
	note('S');
	return 0;
}

static int thing_pause(void *priv)
{
	note('P');
	return 0;
}

static void thing_destroy(void *priv)
{
	assert_ptr_equal(priv, &script);
	note('D');
}

const struct alcor_dev_ops script_ops = {
	.struct_size = sizeof(script_ops),
	.create = thing_create,
	.realize = thing_realize,
	.reset = thing_reset,
	.resume = thing_resume,
	.pause = thing_pause,
	.destroy = thing_destroy,
};

static const struct alcor_param thing_params[] = {
	{ .name = "x", .help = "a number", .type = ALCOR_PARAM_U64, .dflt = "7" },
	{ .name = "word", .help = "words", .type = ALCOR_PARAM_STR, .flags = ALCOR_PARAM_REPEAT },
	{ .name = "mode", .help = "a mode", .type = ALCOR_PARAM_ENUM, .choices = "a|b" },
	{ .name = "mac", .help = "an address", .type = ALCOR_PARAM_MAC },
};

const struct alcor_claim script_claim = {
	.dev_class = "test",
	.keyword = "thing",
	.params = thing_params,
	.n_params = ARRAY_SIZE(thing_params),
	.param_size = sizeof(thing_params[0]),
	.ops = &script_ops,
};

int script_setup(void **state)
{
	static struct fixture fixture;

	memset(&script, 0, sizeof(script));
	test_vm_open(&fixture.vm);
	script.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fixture.n_fds = test_n_fds();
	*state = &fixture;
	return 0;
}

int script_teardown(void **state)
{
	struct fixture *f = *state;

	test_vm_close(&f->vm);
	close(script.event_fd);
	return 0;
}

void script_add(struct fixture *f, const char *text)
{
	int ret = test_vm_add(&f->vm, &script_claim, text, &f->err);

	if (ret)
		fail_msg("%s", f->err.text);
}
