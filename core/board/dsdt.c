/* SPDX-License-Identifier: Apache-2.0 */
/* The DSDT: PCI root, power button, and the nodes that devices asked for. */
#include <errno.h>
#include <string.h>

#include "board/acpi.h"
#include "board/x86.h"
#include "util/overflow.h"

#define OSC_UUID "33db4d5b-1ff7-401c-9657-7441c03dd766"
/* Control of everything that _OSC knows may go to the guest: no firmware is there to keep it
 * (PCI Firmware Specification 3.3, 4.5.1). */
#define OSC_CONTROL	 0x3f
#define OSC_BAD_UUID	 0x04
#define OSC_BAD_REVISION 0x08
#define OSC_MASKED	 0x10
#define NOTIFY_POWER	 0x80

static const char *const own_names[] = { "PCI0", "PWRB", "GED_", "MBRD" };

static void dsdt_hid(struct aml *aml, const char *hid, uint32_t uid)
{
	aml_name(aml, "_HID");
	if (aml_is_eisa_id(hid))
		aml_eisa_id(aml, hid);
	else
		aml_string(aml, hid);
	aml_name(aml, "_UID");
	aml_integer(aml, uid);
}

static void dsdt_pci_windows(struct aml *aml, const struct pci_root_config *pci)
{
	size_t crs;

	aml_name(aml, "_CRS");
	crs = aml_resources(aml);
	aml_window(aml, 2, AML_WINDOW_BUS, 0, 0, 256);
	aml_io(aml, 0xcf8, 8);
	aml_window(aml, 2, AML_WINDOW_IO, AML_IO_ENTIRE, pci->io.base, pci->io.len);
	aml_window(aml, 4, AML_WINDOW_MEM, AML_MEM_RW, pci->mem32.base, pci->mem32.len);
	aml_window(aml, 4, AML_WINDOW_MEM, AML_MEM_RW | AML_MEM_PREFETCH, pci->mem32_prefetch.base,
		   pci->mem32_prefetch.len);
	/* Not marked prefetchable: a guest would take BARs that are not out of it. */
	aml_window(aml, 8, AML_WINDOW_MEM, AML_MEM_RW, pci->mem64.base, pci->mem64.len);
	aml_resources_close(aml, crs);
}

static void dsdt_field(struct aml *aml, uint8_t offset, const char *name)
{
	aml_op(aml, AML_DWORD_FIELD);
	aml_op(aml, AML_ARG0 + 3);
	aml_integer(aml, offset);
	aml_path(aml, name);
}

/* name = name | bits */
static void dsdt_or(struct aml *aml, const char *name, uint8_t bits)
{
	aml_op(aml, AML_OR);
	aml_path(aml, name);
	aml_integer(aml, bits);
	aml_path(aml, name);
}

/* 6.2.11; arguments: UUID, revision, count, capabilities. */
static void dsdt_pci_osc(struct aml *aml)
{
	size_t method = aml_method(aml, "_OSC", 4, true), known, other, differs;

	dsdt_field(aml, 0, "CDW1");
	known = aml_open(aml, AML_IF);
	aml_op(aml, AML_EQUAL);
	aml_op(aml, AML_ARG0);
	aml_uuid(aml, OSC_UUID);
	dsdt_field(aml, 8, "CDW3");
	aml_op(aml, AML_AND);
	aml_path(aml, "CDW3");
	aml_integer(aml, OSC_CONTROL);
	aml_op(aml, AML_LOCAL0);
	differs = aml_open(aml, AML_IF);
	aml_op(aml, AML_NOT);
	aml_op(aml, AML_EQUAL);
	aml_op(aml, AML_ARG0 + 1);
	aml_integer(aml, 1);
	dsdt_or(aml, "CDW1", OSC_BAD_REVISION);
	aml_close(aml, differs);
	differs = aml_open(aml, AML_IF);
	aml_op(aml, AML_NOT);
	aml_op(aml, AML_EQUAL);
	aml_op(aml, AML_LOCAL0);
	aml_path(aml, "CDW3");
	dsdt_or(aml, "CDW1", OSC_MASKED);
	aml_close(aml, differs);
	aml_op(aml, AML_STORE);
	aml_op(aml, AML_LOCAL0);
	aml_path(aml, "CDW3");
	aml_close(aml, known);
	other = aml_open(aml, AML_ELSE);
	dsdt_or(aml, "CDW1", OSC_BAD_UUID);
	aml_close(aml, other);
	aml_op(aml, AML_RETURN);
	aml_op(aml, AML_ARG0 + 3);
	aml_close(aml, method);
}

static void dsdt_pci(struct aml *aml, const struct pci_root_config *pci)
{
	size_t device = aml_device(aml, "PCI0");

	dsdt_hid(aml, "PNP0A08", 0);
	aml_name(aml, "_CID");
	aml_eisa_id(aml, "PNP0A03");
	aml_name(aml, "_SEG");
	aml_integer(aml, 0);
	aml_name(aml, "_BBN");
	aml_integer(aml, 0);
	dsdt_pci_windows(aml, pci);
	dsdt_pci_osc(aml);
	aml_close(aml, device);
}

/* What belongs to the machine itself; the MCFG is valid only for reserved ranges. */
static void dsdt_motherboard(struct aml *aml, const struct pci_root_config *pci)
{
	size_t device = aml_device(aml, "MBRD"), crs;

	dsdt_hid(aml, "PNP0C02", 0);
	aml_name(aml, "_CRS");
	crs = aml_resources(aml);
	aml_memory32(aml, (uint32_t)pci->ecam_base, (uint32_t)X86_ECAM_LEN);
	aml_io(aml, X86_PORT_SLEEP_CONTROL, X86_PORTS_LEN);
	aml_resources_close(aml, crs);
	aml_close(aml, device);
}

/* Control method power button (4.8.2.2.1.2), pressed through the event device (5.6.9). */
static void dsdt_power_button(struct aml *aml)
{
	size_t device = aml_device(aml, "PWRB"), crs, method, pressed;

	dsdt_hid(aml, "PNP0C0C", 0);
	aml_close(aml, device);

	device = aml_device(aml, "GED_");
	dsdt_hid(aml, "ACPI0013", 0);
	aml_name(aml, "_CRS");
	crs = aml_resources(aml);
	aml_edge_interrupt(aml, X86_GSI_EVENT);
	aml_resources_close(aml, crs);
	method = aml_method(aml, "_EVT", 1, true);
	pressed = aml_open(aml, AML_IF);
	aml_op(aml, AML_EQUAL);
	aml_op(aml, AML_ARG0);
	aml_integer(aml, X86_GSI_EVENT);
	aml_op(aml, AML_NOTIFY);
	aml_path(aml, "PWRB");
	aml_integer(aml, NOTIFY_POWER);
	aml_close(aml, pressed);
	aml_close(aml, method);
	aml_close(aml, device);
}

static void dsdt_node(struct aml *aml, const struct acpi_node *node)
{
	const struct alcor_acpi_node *desc = &node->desc;
	size_t device = aml_device(aml, node->name), crs;

	dsdt_hid(aml, node->hid, desc->uid);
	if (desc->pio_len || desc->mmio_len || desc->gsi) {
		aml_name(aml, "_CRS");
		crs = aml_resources(aml);
		if (desc->pio_len)
			aml_io(aml, desc->pio_base, (uint8_t)desc->pio_len);
		if (desc->mmio_len)
			aml_memory32(aml, (uint32_t)desc->mmio_base, (uint32_t)desc->mmio_len);
		if (desc->gsi)
			aml_edge_interrupt(aml, desc->gsi);
		aml_resources_close(aml, crs);
	}
	aml_close(aml, device);
}

void acpi_dsdt(const struct acpi_machine *machine, struct aml *aml)
{
	size_t scope, package;
	unsigned i;

	aml_name(aml, "_S5_");
	package = aml_package(aml, 1);
	aml_integer(aml, X86_SLP_TYP_S5);
	aml_close(aml, package);
	scope = aml_scope(aml, "_SB_");
	dsdt_motherboard(aml, machine->pci);
	dsdt_pci(aml, machine->pci);
	dsdt_power_button(aml);
	for (i = 0; i < machine->n_nodes; i++)
		dsdt_node(aml, &machine->nodes[i]);
	aml_close(aml, scope);
}

/* 20.2.2: a lead character, then lead characters or digits. */
static bool node_name_valid(const char *name)
{
	unsigned i;

	if (!name || strnlen(name, 5) != 4)
		return false;
	for (i = 0; i < 4; i++)
		if (name[i] != '_' && !(name[i] >= 'A' && name[i] <= 'Z') &&
		    !(i && name[i] >= '0' && name[i] <= '9'))
			return false;
	return true;
}

/* 6.1.5: an EISA id, or four characters and four hexadecimal digits. */
static bool node_hid_valid(const char *hid)
{
	size_t i;

	if (!hid || strnlen(hid, 9) > 8)
		return false;
	if (aml_is_eisa_id(hid))
		return true;
	for (i = 0; i < 8; i++)
		if (!(hid[i] >= '0' && hid[i] <= '9') &&
		    !(hid[i] >= 'A' && hid[i] <= (i < 4 ? 'Z' : 'F')))
			return false;
	return true;
}

static bool node_resources_valid(const struct alcor_acpi_node *desc)
{
	return desc->pio_len <= UINT8_MAX && /* what a port descriptor can say */
	       range_within(desc->pio_base, desc->pio_len, 0x10000) &&
	       range_within(desc->mmio_base, desc->mmio_len, UINT32_MAX) &&
	       desc->gsi < X86_N_GSIS && desc->gsi != X86_GSI_EVENT;
}

int acpi_node_init(struct acpi_node *ret_node, const struct alcor_acpi_node *desc,
		   const struct acpi_node *nodes, unsigned n_nodes)
{
	struct acpi_node node = { 0 };
	unsigned i;

	memcpy(&node.desc, desc, MIN(desc->struct_size, sizeof(node.desc)));
	if (!node_name_valid(node.desc.name) || !node_hid_valid(node.desc.hid) ||
	    !node_resources_valid(&node.desc))
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(own_names); i++)
		if (!strcmp(node.desc.name, own_names[i]))
			return -EEXIST;
	for (i = 0; i < n_nodes; i++)
		if (!strcmp(node.desc.name, nodes[i].name))
			return -EEXIST;
	strcpy(node.name, node.desc.name);
	strcpy(node.hid, node.desc.hid);
	*ret_node = node;
	return 0;
}
