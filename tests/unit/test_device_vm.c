/* SPDX-License-Identifier: Apache-2.0 */
#include "test_device_vm.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "mem/mem.h"

/* --- the VM that core/plugin sees --- */

void vm_add_device(struct vm *vm, struct vm_device *dev)
{
	dev->next = vm->devices;
	vm->devices = dev;
}

struct vm_device *vm_devices(struct vm *vm)
{
	return vm->devices;
}

void vm_post_event(struct vm *vm, enum vm_event event)
{
	vm->event = event;
}

struct hv_vm *vm_hv(struct vm *vm)
{
	return &vm->hv;
}

struct mem *vm_mem(struct vm *vm)
{
	return vm->mem;
}

struct bus *vm_pio(struct vm *vm)
{
	return vm->pio;
}

struct bus *vm_mmio(struct vm *vm)
{
	return vm->mmio;
}

struct board *vm_board(struct vm *vm)
{
	return (struct board *)vm;
}

struct console *vm_console(struct vm *vm)
{
	return (struct console *)vm;
}

const struct machine_config *vm_config(struct vm *vm)
{
	return &vm->config;
}

struct pci_root *board_pci(struct board *board)
{
	return ((struct vm *)board)->pci;
}

int board_add_acpi_node(struct board *board, const struct alcor_acpi_node *node)
{
	((struct vm *)board)->n_acpi_nodes++;
	return strcmp(node->name, "TAKN") ? 0 : -EEXIST;
}

int hv_irq_line(struct hv_vm *hv, uint32_t gsi, int level)
{
	struct vm *vm = (struct vm *)hv; /* the first member */

	vm->irq_gsi = gsi;
	vm->irq_level = level;
	return vm->irq_result;
}

int console_open(struct console *console, int in_fd, int out_fd,
		 const struct console_client *client, struct console_port **ret_port)
{
	struct vm *vm = (struct vm *)console;

	if (vm->port.client.ops)
		return -EBUSY;
	vm->port = (struct console_port){ .client = *client, .vm = vm };
	*ret_port = &vm->port;
	return 0;
}

void console_close(struct console_port *port)
{
	port->client.ops = NULL;
}

uint32_t console_write(struct console_port *port, const uint8_t *data, uint32_t len)
{
	port->written += len;
	return len;
}

void console_input_ready(struct console_port *port)
{
}

/* --- for the tests --- */

void test_vm_open(struct vm *vm)
{
	struct mem_config ram = { .size = TEST_RAM };
	struct pci_root_config pci = {
		.ecam_base = TEST_ECAM,
		.io = { 0x6000, 0x1000 },
		.mem32 = { 0xc0000000, 0x10000000 },
		.mem32_prefetch = { 0xd0000000, 0x08000000 },
		.mem64 = { 0x8000000000, 0x1000000000 },
	};
	struct error err;

	memset(vm, 0, sizeof(*vm));
	fake_hv_init(&vm->hv);
	vm->config.cpu.count = 3;
	assert_int_equal(mem_new(NULL, &vm->mem), 0);
	assert_int_equal(mem_add_ram(vm->mem, &ram, 0xc0000000, 1ull << 40, &err), 0);
	assert_int_equal(bus_new(0x10000, &vm->pio), 0);
	assert_int_equal(bus_new(0, &vm->mmio), 0);
	pci.pio = vm->pio;
	pci.mmio = vm->mmio;
	assert_int_equal(pci_root_new(&pci, &vm->pci, &err), 0);
}

void test_vm_close(struct vm *vm)
{
	while (vm->devices) {
		struct vm_device *dev = vm->devices;

		vm->devices = dev->next;
		dev->destroy(dev);
	}
	pci_root_free(vm->pci);
	bus_free(vm->pio);
	bus_free(vm->mmio);
	mem_free(vm->mem);
}

int test_vm_add(struct vm *vm, const struct alcor_claim *claim, const char *text, struct error *err)
{
	struct param_table table = { claim->params, claim->n_params, claim->param_size };
	struct params *params = NULL;
	int ret;

	err->text[0] = '\0';
	ret = params_parse("test/thing", text, 0, &table, device_common_params(claim), NULL,
			   &params, err);
	return ret ? ret : device_add(vm, claim, TEST_OPTION, params, err);
}

uint64_t test_bus_read(struct bus *bus, struct bus_reader *reader, uint64_t addr, uint32_t size)
{
	struct bus_reader *own = NULL;
	uint64_t value = 0;

	if (!reader)
		assert_int_equal(bus_reader_add(bus, &own), 0);
	bus_read(bus, reader ? reader : own, addr, size, &value);
	if (own)
		bus_reader_remove(bus, own);
	return value;
}

void test_bus_write(struct bus *bus, struct bus_reader *reader, uint64_t addr, uint32_t size,
		    uint64_t value)
{
	struct bus_reader *own = NULL;

	if (!reader)
		assert_int_equal(bus_reader_add(bus, &own), 0);
	bus_write(bus, reader ? reader : own, addr, size, &value);
	if (own)
		bus_reader_remove(bus, own);
}

uint32_t test_pci_id(struct vm *vm, unsigned slot)
{
	return (uint32_t)test_bus_read(vm->mmio, NULL, TEST_ECAM + (slot << 15), 4);
}

unsigned test_n_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}
