/* SPDX-License-Identifier: Apache-2.0 */
/* alcor.acpi/1: nodes for devices that a guest cannot find by itself (ACPI 6.5, 6.1 and 6.2). */
#ifndef ALCOR_ACPI_H
#define ALCOR_ACPI_H

#include <alcor/plugin.h>

#define ALCOR_ACPI_ID "alcor.acpi/1"

struct alcor_acpi_node {
	uint32_t struct_size;
	uint32_t uid;		      /* _UID */
	const char *name;	      /* four characters, unique below _SB ("COM1") */
	const char *hid;	      /* _HID: EISA id ("PNP0501") or ACPI id ("QEMU0001") */
	uint16_t pio_base, pio_len;   /* I/O ports; len 0: none */
	uint64_t mmio_base, mmio_len; /* below 4 GiB; len 0: none */
	uint32_t gsi;		      /* edge-triggered, active-high interrupt; 0: none */
	uint32_t reserved;
};

struct alcor_acpi {
	uint32_t struct_size;
	/* [main] in realize(). Copied. -EEXIST: the name is taken. */
	int (*add)(struct alcor_dev *dev, const struct alcor_acpi_node *node);
};

#endif
