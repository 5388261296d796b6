/* SPDX-License-Identifier: Apache-2.0 */
/* What the services give to a device, and what the user reads when they refuse. */
#include "test_device_script.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <alcor/cfg.h>
#include <alcor/mem.h>
#include <alcor/vm.h>

#include "plugin/plugin.h"
#include "util/overflow.h"

/* --- failures of services --- */

static int realize_conflict(void *priv)
{
	const struct alcor_io *io = alcor_service(script.dev, ALCOR_IO_ID);

	return io->add_pio(script.dev, 0x504, 8, &script_io_ops, &script);
}

static int realize_bad_regs(void *priv)
{
	const struct alcor_io *io = alcor_service(script.dev, ALCOR_IO_ID);
	static const struct alcor_io_ops half = { .struct_size = sizeof(half),
						  .read = script_read };

	assert_int_equal(io->add_pio(script.dev, 0x600, 8, NULL, NULL), -EINVAL);
	return io->add_pio(script.dev, 0x600, 8, &half, NULL);
}

static int realize_no_bar(void *priv)
{
	const struct alcor_pci *pci = alcor_service(script.dev, ALCOR_PCI_ID);
	struct alcor_pci_desc desc = script_pci;
	struct alcor_pci_function *function = NULL;
	int i, ret;

	for (i = 0; i < 6; i += 2)
		desc.bars[i] = script_pci.bars[0];
	ret = pci->add(script.dev, &desc, NULL, &function);
	assert_null(function);
	return ret;
}

static int realize_two_virtio(void *priv)
{
	const struct alcor_virtio *virtio = alcor_service(script.dev, ALCOR_VIRTIO_ID);

	assert_int_equal(virtio->add(script.dev, &script_virtio, NULL), 0);
	return virtio->add(script.dev, &script_virtio, NULL);
}

static int realize_bad_virtio(void *priv)
{
	const struct alcor_virtio *virtio = alcor_service(script.dev, ALCOR_VIRTIO_ID);
	struct alcor_virtio_desc desc = script_virtio;

	desc.ops = NULL;
	assert_int_equal(virtio->add(script.dev, &desc, NULL), -EINVAL);
	desc = script_virtio;
	desc.queue_size = 3;
	return virtio->add(script.dev, &desc, NULL);
}

/* What a plugin's structure is too short for is not read. */
static int realize_short_console(void *priv)
{
	static const struct alcor_console_ops ops = {
		.struct_size = offsetof(struct alcor_console_ops, input),
		.input = (uint32_t(*)(void *, const uint8_t *, uint32_t))(uintptr_t)8,
		.output_ready = (void (*)(void *))(uintptr_t)8,
	};
	const struct alcor_console *console = alcor_service(script.dev, ALCOR_CONSOLE_ID);
	struct alcor_console_port *port = NULL;
	int ret = console->open(script.dev, -1, -1, &ops, NULL, &port);

	assert_null(port);
	return ret;
}

static int realize_acpi_taken(void *priv)
{
	const struct alcor_acpi *acpi = alcor_service(script.dev, ALCOR_ACPI_ID);
	struct alcor_acpi_node node = script_acpi;

	node.name = "LONGER";
	assert_int_equal(acpi->add(script.dev, &node), -EINVAL);
	node.name = "TAKN";
	return acpi->add(script.dev, &node);
}

/* What the service knows is what the user reads, unless the plugin says more. */
static void test_service_failures(void **state)
{
	static const struct {
		int (*realize)(void *priv);
		int ret;
		const char *why;
	} cases[] = {
		{ realize_conflict, -EBUSY, "test0" },
		{ realize_bad_regs, -EINVAL, "without a read or a write callback" },
		{ realize_no_bar, -EINVAL, "no BAR is left for the MSI-X table" },
		{ realize_two_virtio, -EINVAL, "a second virtio device" },
		{ realize_bad_virtio, -EINVAL, TEST_OPTION ": " },
		{ realize_short_console, -EINVAL, "a console without callbacks" },
		{ realize_acpi_taken, -EEXIST, "ACPI node TAKN: File exists" },
	};
	struct alcor_dev_ops ops = script_ops;
	struct alcor_claim claim = script_claim;
	struct fixture *f = *state;
	unsigned i, n_fds;

	script.realize_steps = 1 << STEP_PIO;
	script_add(f, "");
	n_fds = test_n_fds();
	claim.ops = &ops;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ops.realize = cases[i].realize;
		assert_int_equal(test_vm_add(&f->vm, &claim, "", &f->err), cases[i].ret);
		if (!strstr(f->err.text, cases[i].why))
			fail_msg("'%s' does not say '%s'", f->err.text, cases[i].why);
		assert_int_equal(test_n_fds(), n_fds);
		assert_int_equal(test_pci_id(&f->vm, 0), 0xffffffff);
	}
	assert_int_equal(test_bus_read(f->vm.pio, NULL, 0x504, 2), 0x1004);
}

/* --- services --- */

static void test_services(void **state)
{
	const struct alcor_host *host = plugin_host();

	assert_int_equal(host->abi_major, ALCOR_ABI_MAJOR);
	assert_int_equal(host->abi_minor, ALCOR_ABI_MINOR);
	assert_int_equal(host->struct_size, sizeof(*host));
	assert_non_null(host->service(host, "alcor.vm/1"));
	assert_null(host->service(host, "alcor.vm/2"));
	assert_null(host->service(host, "alcor.vm"));
	assert_null(host->service(host, "alcor.vm/1x"));
	assert_null(host->service(host, ""));
	assert_null(host->service(host, NULL));
}

/* Standard error between the two, at most a pipe full. */
struct capture {
	int saved, from;
};

static void capture_start(struct capture *capture)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	capture->saved = dup(STDERR_FILENO);
	capture->from = ends[0];
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
}

static unsigned capture_stop(struct capture *capture, char *ret_text, size_t len)
{
	unsigned lines = 0;
	ssize_t n;

	dup2(capture->saved, STDERR_FILENO);
	close(capture->saved);
	n = read(capture->from, ret_text, len - 1);
	close(capture->from);
	assert_true(n >= 0);
	ret_text[n] = '\0';
	for (; *ret_text; ret_text++)
		lines += *ret_text == '\n';
	return lines;
}

static void test_cfg(void **state)
{
	const struct alcor_cfg *cfg = plugin_host()->service(plugin_host(), ALCOR_CFG_ID);
	static const uint8_t want[6] = { 2, 0, 0, 0, 0, 9 };
	struct fixture *f = *state;
	struct capture capture;
	uint8_t mac[6];
	char text[4096];

	script_add(f, "word=one,word=two,mode=b,mac=02:00:00:00:00:09,id=me");
	assert_int_equal(cfg->u64(script.dev, "x"), 7);
	assert_int_equal(cfg->count(script.dev, "word"), 2);
	assert_string_equal(cfg->str(script.dev, "word", 1), "two");
	assert_null(cfg->str(script.dev, "word", 2));
	assert_string_equal(cfg->str(script.dev, "mode", 0), "b");
	assert_int_equal(cfg->u64(script.dev, "mode"), 1);
	assert_string_equal(cfg->str(script.dev, "id", 0), "me");
	assert_int_equal(cfg->mac(script.dev, "mac", mac), 0);
	assert_memory_equal(mac, want, 6);
	/* Mistakes of a plugin's author, who is told. */
	capture_start(&capture);
	assert_int_equal(cfg->count(script.dev, "nothing"), 0);
	assert_int_equal(cfg->u64(script.dev, "word"), 0);
	assert_null(cfg->str(script.dev, "x", 0));
	assert_int_equal(cfg->mac(script.dev, "word", mac), -ENOENT);
	assert_int_equal(capture_stop(&capture, text, sizeof(text)), 4);
	assert_non_null(strstr(text, "alcor: me: the plugin has no parameter 'x' of that type\n"));
}

static void test_mem(void **state)
{
	const struct alcor_mem *mem = plugin_host()->service(plugin_host(), ALCOR_MEM_ID);
	struct fixture *f = *state;
	struct iovec iov[2];
	char text[6];

	script_add(f, "");
	assert_int_equal(mem->write(script.dev, 0x1000, "hello", 6), 0);
	assert_int_equal(mem->read(script.dev, 0x1000, text, 6), 0);
	assert_string_equal(text, "hello");
	assert_int_equal(mem->write(script.dev, TEST_RAM - 2, "hello", 6), -EFAULT);
	assert_int_equal(mem->read(script.dev, UINT64_MAX - 2, text, 6), -EFAULT);
	assert_int_equal(mem->get(script.dev, 0x1000, 6, ALCOR_MEM_READ, iov, 2), 1);
	assert_string_equal(iov[0].iov_base, "hello");
	mem->put(script.dev, iov, 1, ALCOR_MEM_READ);
	assert_int_equal(mem->get(script.dev, TEST_RAM, 1, ALCOR_MEM_WRITE, iov, 2), -EFAULT);

	assert_int_equal(mem->discard(script.dev, 0x1000, 0x1000), 0);
	assert_int_equal(mem->read(script.dev, 0x1000, text, 6), 0);
	assert_string_equal(text, "");
	assert_int_equal(mem->discard(script.dev, TEST_RAM, 0x1000), -EFAULT);
	assert_int_equal(mem->write(script.dev, 0x1000, "hello", 6), 0);
	assert_int_equal(mem->get(script.dev, 0x1000, 0x1000, ALCOR_MEM_WRITE, iov, 2), 1);
	iov[1] = (struct iovec){ text, sizeof(text) };
	assert_int_equal(mem->discard_iov(script.dev, iov, 2), -EFAULT);
	assert_string_equal(iov[0].iov_base, "");
	assert_int_equal(mem->discard_iov(script.dev, NULL, 0), 0);
}

static void test_vm_facts(void **state)
{
	const struct alcor_vm *svc = plugin_host()->service(plugin_host(), ALCOR_VM_ID);
	const struct alcor_io *io = plugin_host()->service(plugin_host(), ALCOR_IO_ID);
	struct fixture *f = *state;

	script_add(f, "");
	assert_int_equal(svc->n_cpus(script.dev), 3);
	assert_int_equal(svc->ram_size(script.dev), TEST_RAM);
	svc->event(script.dev, ALCOR_VM_PANIC);
	assert_int_equal(f->vm.event, VM_EVENT_PANIC);
	svc->event(script.dev, 99);
	assert_int_equal(f->vm.event, VM_EVENT_PANIC);
	io->irq_line(script.dev, 4, 1);
	assert_int_equal(f->vm.irq_gsi, 4);
	assert_int_equal(f->vm.irq_level, 1);
}

static void test_registers(void **state)
{
	struct fixture *f = *state;

	script.realize_steps = 1 << STEP_PIO | 1 << STEP_MMIO | 1 << STEP_PCI;
	script_add(f, "");
	assert_int_equal(test_bus_read(f->vm.pio, NULL, 0x502, 2), 0x1002);
	test_bus_write(f->vm.mmio, NULL, 0xd8000ff8, 4, 0xcafe);
	assert_int_equal(script.last_offset, 0xff8);
	assert_int_equal(script.last_write, 0xcafe);
	/* BAR 0 is 64 bits wide; the MSI-X table went to BAR 2. */
	assert_int_equal(pci_assign(f->vm.pci, &f->err), 0);
	assert_int_equal(test_bus_read(f->vm.mmio, NULL, TEST_ECAM + 0x10, 4) & 7, 4);
	assert_int_not_equal(test_bus_read(f->vm.mmio, NULL, TEST_ECAM + 0x18, 4), 0);
	test_bus_write(f->vm.mmio, NULL,
		       (test_bus_read(f->vm.mmio, NULL, TEST_ECAM + 0x10, 4) & ~15ull) +
			       (test_bus_read(f->vm.mmio, NULL, TEST_ECAM + 0x14, 4) << 32) + 0x20,
		       4, 0xbeef);
	assert_int_equal(script.last_offset, 0x20);
	assert_int_equal(script.last_write, 0xbeef);
}

static void run_input(void *opaque)
{
	struct console_port *port = opaque;

	port->client.ops->input(port->client.opaque, NULL, 0);
}

static void test_console(void **state)
{
	const struct alcor_console *console =
		plugin_host()->service(plugin_host(), ALCOR_CONSOLE_ID);
	struct fixture *f = *state;
	struct vm_device *dev;

	script.realize_steps = 1 << STEP_CONSOLE;
	script_add(f, "");
	assert_int_equal(console->write(script.port, (const uint8_t *)"abc", 3), 3);
	assert_int_equal(f->vm.port.written, 3);
	assert_int_equal(f->vm.port.client.ops->struct_size, sizeof(struct alcor_console_ops));
	/* Input goes through the device's loop. */
	dev = f->vm.devices;
	assert_int_equal(dev->resume(dev), 0);
	assert_int_equal(
		f->vm.port.client.defer(f->vm.port.client.defer_opaque, run_input, &f->vm.port), 0);
	dev->pause(dev);
	assert_string_equal(script.calls, "CRSiP");
	script.realize_result = -EBUSY;
	assert_int_equal(test_vm_add(&f->vm, &script_claim, "", &f->err), -EBUSY);
	assert_int_equal(script.step_result[STEP_CONSOLE], -EBUSY);
	script.realize_result = 0;
}

/* A hostile guest cannot fill the log through a device, nor write escape sequences into it. */
static void test_log(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	char text[4096];
	unsigned i;

	script_add(f, "");
	capture_start(&capture);
	for (i = 0; i < 50; i++)
		alcor_log(script.dev, ALCOR_LOG_WARN, "bad\033[2J\nthing %u", i);
	alcor_log(script.dev, ALCOR_LOG_DEBUG, "not shown");
	assert_int_equal(capture_stop(&capture, text, sizeof(text)), 10);
	assert_null(strchr(text, '\033'));
	assert_non_null(strstr(text, "alcor: test0: bad?[2J?thing 9\n"));
	assert_null(strstr(text, "not shown"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(test_service_failures),
		SCRIPT_TEST(test_services),
		SCRIPT_TEST(test_cfg),
		SCRIPT_TEST(test_mem),
		SCRIPT_TEST(test_vm_facts),
		SCRIPT_TEST(test_registers),
		SCRIPT_TEST(test_console),
		SCRIPT_TEST(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
