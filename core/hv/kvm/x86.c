/* SPDX-License-Identifier: Apache-2.0 */
/* x86: CPUID and reports. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hv/kvm/kvm.h"
#include "util/cleanup.h"

#define CPUID_ENTRIES_MAX  256
#define CPUID_TSC_DEADLINE (1u << 24) /* leaf 1, ECX */
#define CPUID_X2APIC	   (1u << 21)

int kvm_cpuid_init(struct hv_vm *vm)
{
	CLEANUP_FREE struct kvm_cpuid2 *table = NULL;
	int r;

	table = calloc(1, sizeof(*table) + CPUID_ENTRIES_MAX * sizeof(table->entries[0]));
	if (!table)
		return -ENOMEM;
	table->nent = CPUID_ENTRIES_MAX;
	r = kvm_ioctl(vm->dev_fd, KVM_GET_SUPPORTED_CPUID, table);
	if (r < 0)
		return r;
	vm->cpuid = TAKE_PTR(table);
	return 0;
}

int hv_x86_supported_cpuid(struct hv_vm *vm, struct hv_cpuid **ret_leaves, unsigned *ret_n)
{
	const struct kvm_cpuid2 *table = vm->cpuid;
	struct hv_cpuid *leaves;

	leaves = calloc(table->nent ? table->nent : 1, sizeof(*leaves));
	if (!leaves)
		return -ENOMEM;
	for (unsigned i = 0; i < table->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &table->entries[i];

		leaves[i] = (struct hv_cpuid){
			.leaf = e->function,
			.subleaf = e->index,
			.subleaf_matters = e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = e->eax,
			.ebx = e->ebx,
			.ecx = e->ecx,
			.edx = e->edx,
		};
		/* KVM announces these two by capability: the in-kernel APIC provides both. */
		if (e->function == 1 && kvm_check_extension(vm, KVM_CAP_TSC_DEADLINE_TIMER))
			leaves[i].ecx |= CPUID_TSC_DEADLINE;
		if (e->function == 1)
			leaves[i].ecx |= CPUID_X2APIC;
	}
	*ret_leaves = leaves;
	*ret_n = table->nent;
	return 0;
}

int hv_x86_set_cpuid(struct hv_vcpu *vcpu, const struct hv_cpuid *leaves, unsigned n)
{
	CLEANUP_FREE struct kvm_cpuid2 *table = NULL;

	table = calloc(1, sizeof(*table) + n * sizeof(table->entries[0]));
	if (!table)
		return -ENOMEM;
	table->nent = n;
	for (unsigned i = 0; i < n; i++)
		table->entries[i] = (struct kvm_cpuid_entry2){
			.function = leaves[i].leaf,
			.index = leaves[i].subleaf,
			.flags = leaves[i].subleaf_matters ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
			.eax = leaves[i].eax,
			.ebx = leaves[i].ebx,
			.ecx = leaves[i].ecx,
			.edx = leaves[i].edx,
		};
	return kvm_ioctl(vcpu->fd, KVM_SET_CPUID2, table);
}

unsigned hv_x86_phys_bits(const struct hv_vm *vm)
{
	const struct kvm_cpuid2 *table = vm->cpuid;

	for (unsigned i = 0; i < table->nent; i++)
		if (table->entries[i].function == 0x80000008)
			return table->entries[i].eax & 0xff;
	return 36; /* of every processor with long mode that lacks the leaf */
}

void hv_vcpu_dump(struct hv_vcpu *vcpu, char *ret_text, size_t len)
{
	const struct kvm_run *run = vcpu->run;
	struct kvm_sregs s;
	struct kvm_regs r;
	int n;

	if (!len)
		return;
	*ret_text = '\0';
	if (kvm_ioctl(vcpu->fd, KVM_GET_REGS, &r) < 0 || kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &s) < 0)
		return;
	n = snprintf(ret_text, len,
		     "rip %016llx rflags %08llx cs %04x:%016llx cpl %u\n"
		     "rax %016llx rbx %016llx rcx %016llx rdx %016llx\n"
		     "rsi %016llx rdi %016llx rsp %016llx rbp %016llx\n"
		     "r8  %016llx r9  %016llx r10 %016llx r11 %016llx\n"
		     "r12 %016llx r13 %016llx r14 %016llx r15 %016llx\n"
		     "cr0 %08llx cr2 %016llx cr3 %016llx cr4 %08llx efer %llx apic %llx\n",
		     r.rip, r.rflags, s.cs.selector, s.cs.base, s.cs.dpl, r.rax, r.rbx, r.rcx,
		     r.rdx, r.rsi, r.rdi, r.rsp, r.rbp, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13,
		     r.r14, r.r15, s.cr0, s.cr2, s.cr3, s.cr4, s.efer, s.apic_base);
	if (n < 0 || (size_t)n >= len || run->exit_reason != KVM_EXIT_INTERNAL_ERROR)
		return;
	for (unsigned i = 0; i < run->internal.ndata && i < 16 && (size_t)n < len; i++)
		n += snprintf(ret_text + n, len - n, "data[%u] %llx\n", i,
			      (unsigned long long)run->internal.data[i]);
}
