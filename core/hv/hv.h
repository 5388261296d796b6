/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rest of alcor asks of a hypervisor. hv/kvm implements it; another one is another folder
 * here, chosen at link time. All functions return 0 or a negative errno.
 */
#ifndef ALCOR_CORE_HV_HV_H
#define ALCOR_CORE_HV_HV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

struct hv_vm;
struct hv_vcpu;

/* --- the machine --- */

/* Opens @dev_path (NULL: /dev/kvm) and makes a VM. */
int hv_vm_create(const char *dev_path, struct hv_vm **ret_vm, struct error *err);
/* Interrupt controllers in the kernel: once, before the first vCPU and before any interrupt is set
 * up. After hv_map() of the RAM: with them a change of the memory map waits for a grace period,
 * which is most of the time that a VM takes to start. */
int hv_create_irqchip(struct hv_vm *vm, struct error *err);
/* After all vCPUs are destroyed. NULL is fine. */
void hv_vm_destroy(struct hv_vm *vm);

/* Most vCPUs and memory slots of a VM. */
unsigned hv_max_vcpus(const struct hv_vm *vm);
unsigned hv_max_slots(const struct hv_vm *vm);

/* Maps host memory into the guest at @gpa; all page-aligned. @len 0 removes the slot. */
int hv_map(struct hv_vm *vm, unsigned slot, uint64_t gpa, void *host, uint64_t len, bool readonly);

/* Level of a line of the interrupt controllers (IOAPIC pin, ISA interrupt). [any] */
int hv_irq_line(struct hv_vm *vm, uint32_t gsi, int level);

/* Message-signalled interrupts: a GSI is taken, given a message, tied to an eventfd. [any] */
int hv_gsi_alloc(struct hv_vm *vm, uint32_t *ret_gsi); /* -ENOSPC */
void hv_gsi_free(struct hv_vm *vm, uint32_t gsi);
int hv_msi_route(struct hv_vm *vm, uint32_t gsi, uint64_t addr, uint32_t data);
/* Each write to @fd interrupts the guest while tied. */
int hv_irqfd(struct hv_vm *vm, int fd, uint32_t gsi, bool assign);

/* A guest write of @len bytes (0: any width) at @addr signals @fd and does not exit. */
struct hv_ioeventfd {
	uint64_t addr;
	uint32_t len;
	bool pio;
	bool match; /* only when the value is @datamatch */
	uint64_t datamatch;
	int fd;
};
int hv_ioeventfd(struct hv_vm *vm, const struct hv_ioeventfd *ioev, bool assign);

/* --- vCPUs: created by and run on their own thread, unless marked [any] --- */

int hv_vcpu_create(struct hv_vm *vm, uint32_t id, struct hv_vcpu **ret_vcpu, struct error *err);
void hv_vcpu_destroy(struct hv_vcpu *vcpu); /* NULL is fine */

enum hv_exit_reason {
	HV_EXIT_PIO,
	HV_EXIT_MMIO,
	HV_EXIT_INTR,		/* kicked, or a signal: look at requests, run again */
	HV_EXIT_SHUTDOWN,	/* triple fault */
	HV_EXIT_EVENT_POWEROFF, /* the hypervisor's own power-off event (PSCI) */
	HV_EXIT_EVENT_RESET,
	HV_EXIT_INTERNAL_ERROR, /* the hypervisor cannot go on; hv_vcpu_dump() says more */
	HV_EXIT_UNKNOWN,
};

/* One access of the guest. For PIO @count units of @size bytes each at the same port (string
 * instructions); MMIO has count 1 and up to 8 bytes. Reads are answered by filling @data before the
 * vCPU runs again. */
struct hv_exit {
	enum hv_exit_reason reason;
	bool write;
	uint32_t size;
	uint32_t count;
	uint64_t addr;
	void *data;
	uint32_t code; /* INTERNAL_ERROR and UNKNOWN: the hypervisor's number */
};

/* Runs the guest until something has to be done outside. An error is one of the hypervisor. */
int hv_vcpu_run(struct hv_vcpu *vcpu, struct hv_exit *ret_exit);
/* Finishes the access that the last exit reported without running guest code. */
int hv_vcpu_complete_io(struct hv_vcpu *vcpu);
/* [any] The vCPU leaves the guest, or does not enter it, until the next hv_vcpu_run() returned
 * HV_EXIT_INTR once. Cannot be lost, whatever the vCPU is doing. */
void hv_vcpu_kick(struct hv_vcpu *vcpu);
/* Registers as text for a report, several lines. */
void hv_vcpu_dump(struct hv_vcpu *vcpu, char *ret_text, size_t len);

#if defined(__x86_64__)

struct hv_cpuid {
	uint32_t leaf, subleaf;
	bool subleaf_matters;
	uint32_t eax, ebx, ecx, edx;
};

/* What the hypervisor can offer a guest, in an array that the caller frees. */
int hv_x86_supported_cpuid(struct hv_vm *vm, struct hv_cpuid **ret_leaves, unsigned *ret_n);
/* Once, before the vCPU first runs. */
int hv_x86_set_cpuid(struct hv_vcpu *vcpu, const struct hv_cpuid *leaves, unsigned n);
/* Physical address bits a guest may use. */
unsigned hv_x86_phys_bits(const struct hv_vm *vm);

/* How a vCPU starts. */
enum hv_x86_mode {
	HV_X86_WAIT_SIPI, /* application processor: halted until INIT and SIPI */
	HV_X86_RESET,	  /* the architectural reset state, F000:FFF0 */
	HV_X86_FLAT32,	  /* protected mode, flat 4 GiB segments, no paging (PVH) */
	HV_X86_LONG64,	  /* long mode, flat segments, page tables at @cr3 */
};
struct hv_x86_start {
	enum hv_x86_mode mode;
	uint64_t rip, rbx, rsi, rsp, cr3;
	uint64_t gdt_base; /* GDT in guest memory whose entries 2 and 3 are code and data */
	uint16_t gdt_limit;
};
/* Sets the whole state of a vCPU (general, system, FPU and debug registers, MSRs, local APIC,
 * pending events), whatever ran before: serves power-on and machine reset. */
int hv_x86_start(struct hv_vcpu *vcpu, const struct hv_x86_start *start);
/* Puts PIC, IOAPIC and lines back to their power-on state. */
int hv_x86_reset_irqchip(struct hv_vm *vm);

#endif

#endif
