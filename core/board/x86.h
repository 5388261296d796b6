/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and numbers of the x86_64 machine. */
#ifndef ALCOR_CORE_BOARD_X86_H
#define ALCOR_CORE_BOARD_X86_H

#define X86_LOW_RAM_LIMIT  0x80000000ull
#define X86_MEM32_PREFETCH 0x80000000ull /* both windows have the same length */
#define X86_MEM32	   0xa0000000ull
#define X86_MEM32_LEN	   0x20000000ull
#define X86_ECAM	   0xe0000000ull
#define X86_ECAM_LEN	   0x10000000ull
#define X86_IOAPIC	   0xfec00000ull
#define X86_HV_PAGES	   0xfeffc000ull /* identity map and TSS of the hypervisor */
#define X86_HV_PAGES_LEN   0x4000ull
#define X86_LAPIC	   0xfee00000ull
#define X86_PCI_IO	   0x1000
#define X86_PCI_IO_LEN	   0xf000

#define X86_HOLE	 0xa0000ull /* RAM that the guest may not use, up to 1 MiB */
#define X86_ACPI	 0xe0000ull
#define X86_RESET_VECTOR 0xffff0ull
#define X86_HOLE_END	 0x100000ull

/* Platform registers of hardware-reduced ACPI (4.8.3.7, 4.8.3.6). */
#define X86_PORT_SLEEP_CONTROL 0x600
#define X86_PORT_SLEEP_STATUS  0x601
#define X86_PORT_RESET	       0x604
#define X86_PORTS_LEN	       5
#define X86_RESET_VALUE	       0x72
#define X86_SLP_EN	       0x20
#define X86_SLP_TYP_SHIFT      2
#define X86_SLP_TYP_MASK       7
#define X86_SLP_TYP_S5	       5

#define X86_GSI_EVENT 9 /* Generic Event Device */
#define X86_N_GSIS    24

#endif
