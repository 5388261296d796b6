/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "board/arch.h"
#include "board/cpuid_x86.h"
#include "board/x86.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/overflow.h"

#define HOST_BRIDGE_VENDOR 0x1022
#define HOST_BRIDGE_DEVICE 0x1480
#define CLASS_BRIDGE	   0x06
#define CLASS_HOST	   0x00

int board_arch_add_host_bridge(struct board *board, struct error *err)
{
	const struct pci_fn_desc desc = {
		.owner = "host bridge",
		.vendor_id = HOST_BRIDGE_VENDOR,
		.device_id = HOST_BRIDGE_DEVICE,
		.class_base = CLASS_BRIDGE,
		.class_sub = CLASS_HOST,
	};

	return pci_add(board->pci, 0, &desc, &board->host_bridge, err);
}

/* The guest's last word: what the registers hold is never read back (4.8.3.7). */
static uint64_t registers_read(void *opaque, uint64_t offset, uint32_t size)
{
	uint64_t value = 0;
	uint32_t i;

	for (i = 0; i < size; i++)
		switch (X86_PORT_SLEEP_CONTROL + offset + i) {
		case X86_PORT_SLEEP_CONTROL:
		case X86_PORT_SLEEP_STATUS: /* never woke up */
		case X86_PORT_RESET:
			break;
		default:
			value |= 0xffull << (8 * i);
		}
	return value;
}

static void registers_write_byte(struct board *board, uint64_t port, uint8_t value)
{
	const struct board_config *config = &board->config;

	if (port == X86_PORT_SLEEP_CONTROL && value & X86_SLP_EN &&
	    (value >> X86_SLP_TYP_SHIFT & X86_SLP_TYP_MASK) == X86_SLP_TYP_S5)
		config->event(config->opaque, BOARD_POWEROFF);
	if (port == X86_PORT_RESET && value == X86_RESET_VALUE)
		config->event(config->opaque, BOARD_RESET);
}

static int registers_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
{
	uint32_t i;

	for (i = 0; i < size; i++)
		registers_write_byte(opaque, X86_PORT_SLEEP_CONTROL + offset + i,
				     (uint8_t)(value >> (8 * i)));
	return 0;
}

static const struct bus_ops registers_ops = { registers_read, registers_write };

int board_arch_add_registers(struct board *board, struct error *err)
{
	const struct bus_region region = {
		.base = X86_PORT_SLEEP_CONTROL,
		.len = X86_PORTS_LEN,
		.ops = &registers_ops,
		.opaque = board,
		.owner = "ACPI registers",
	};
	int r = bus_add(board->config.pio, &region, err);

	board->registers_added = !r;
	return r;
}

void board_arch_remove_registers(struct board *board)
{
	bus_remove(board->config.pio, X86_PORT_SLEEP_CONTROL);
}

/* Linux on a hardware-reduced machine resets through EFI and, where that is missing, jumps to the
 * reset vector in real mode. What waits there writes the reset register. */
static int load_reset_code(struct mem *mem)
{
	static const uint8_t code[] = {
		0xba,
		X86_PORT_RESET & 0xff,
		X86_PORT_RESET >> 8, /* mov dx, imm16 */
		0xb0,
		X86_RESET_VALUE, /* mov al, imm8 */
		0xee,		 /* out dx, al */
		0xf4,		 /* hlt */
		0xeb,
		0xfd, /* jmp to the hlt */
	};

	return mem_write(mem, X86_RESET_VECTOR, code, sizeof(code));
}

int board_arch_load_firmware(struct board *board, uint64_t *ret_root, struct error *err)
{
	const uint32_t n_cpus = board->config.cpu.count;
	CLEANUP_FREE uint32_t *ids = calloc(n_cpus, sizeof(*ids));
	const struct acpi_machine machine = {
		.pci = &board->pci_config,
		.cpu_ids = ids,
		.n_cpus = n_cpus,
		.nodes = board->nodes,
		.n_nodes = board->n_nodes,
	};
	struct aml aml = { 0 };
	uint32_t i;
	int r;

	if (!ids)
		return error_errno(err, -ENOMEM, "ACPI tables");
	for (i = 0; i < n_cpus; i++)
		ids[i] = board_vcpu_id(board, i);
	r = acpi_build(&machine, X86_ACPI, X86_RESET_VECTOR - X86_ACPI, &aml, err);
	if (!r) {
		r = mem_write(board->config.mem, X86_ACPI, aml.data, aml.len);
		if (!r)
			r = load_reset_code(board->config.mem);
		if (r)
			error_errno(err, r, "ACPI tables");
	}
	aml_free(&aml);
	if (!r)
		*ret_root = X86_ACPI;
	return r;
}

uint32_t board_vcpu_id(const struct board *board, uint32_t index)
{
	return cpuid_apic_id(&board->config.cpu, index);
}

int board_vcpu_init(struct board *board, struct hv_vcpu *vcpu, uint32_t index, struct error *err)
{
	CLEANUP_FREE struct hv_cpuid *offered = NULL;
	CLEANUP_FREE struct hv_cpuid *leaves = NULL;
	unsigned n_offered, n;
	int r;

	r = hv_x86_supported_cpuid(board->config.hv, &offered, &n_offered);
	if (!r)
		r = cpuid_build(offered, n_offered, &board->config.cpu, index, &leaves, &n);
	if (!r)
		r = hv_x86_set_cpuid(vcpu, leaves, n);
	return r ? error_errno(err, r, "CPUID of vCPU %u", index) : 0;
}

int board_vcpu_start(struct board *board, struct hv_vcpu *vcpu, uint32_t index)
{
	const struct hv_x86_start wait = { .mode = HV_X86_WAIT_SIPI };

	return hv_x86_start(vcpu, index ? &wait : &board->start);
}

void board_power_button(struct board *board)
{
	struct hv_vm *hv = board->config.hv;
	int r;

	if (!hv)
		return;
	r = hv_irq_line(hv, X86_GSI_EVENT, 1);
	if (!r)
		r = hv_irq_line(hv, X86_GSI_EVENT, 0);
	if (r)
		log_warn("the power button cannot be pressed: error %d", -r);
}

int board_arch_reset(struct board *board)
{
	return board->config.hv ? hv_x86_reset_irqchip(board->config.hv) : 0;
}
