/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86: the state a vCPU starts in. At power-on KVM has made most of it; after a machine reset
 * everything that the guest could have changed is put back (Intel SDM 3A, 9.1).
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hv/kvm/kvm.h"
#include "util/overflow.h"

#define APIC_BASE	 0xfee00000u
#define APIC_BASE_BSP	 (1u << 8)
#define APIC_BASE_ENABLE (1u << 11)

#define CR0_PE	 (1u << 0)
#define CR0_ET	 (1u << 4)
#define CR0_NE	 (1u << 5)
#define CR0_NW	 (1u << 29)
#define CR0_CD	 (1u << 30)
#define CR0_PG	 (1u << 31)
#define CR4_PAE	 (1u << 5)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)

/* Selectors of the flat code and data segments: entries 2 and 3 of the table. */
#define SEL_CODE 0x10
#define SEL_DATA 0x18

static struct kvm_segment segment(uint16_t selector, uint64_t base, uint32_t limit, uint8_t type)
{
	return (struct kvm_segment){
		.base = base,
		.limit = limit,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
	};
}

static struct kvm_segment flat(uint16_t selector, uint8_t type, bool long_mode)
{
	struct kvm_segment s = segment(selector, 0, 0xffffffff, type);

	s.g = 1;
	s.l = long_mode;
	s.db = !long_mode;
	return s;
}

static void set_segments(struct kvm_sregs *s, struct kvm_segment code, struct kvm_segment data)
{
	s->cs = code;
	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->tr = segment(0, 0, 0xffff, 0xb); /* busy TSS */
	s->tr.s = 0;
	s->ldt = segment(0, 0, 0xffff, 0x2);
	s->ldt.s = 0;
}

static void fill_sregs(const struct hv_vcpu *vcpu, const struct hv_x86_start *start,
		       struct kvm_sregs *s)
{
	bool long_mode = start->mode == HV_X86_LONG64;

	memset(s, 0, sizeof(*s));
	s->apic_base = APIC_BASE | APIC_BASE_ENABLE | (vcpu->id == 0 ? APIC_BASE_BSP : 0);
	s->idt.limit = s->gdt.limit = 0xffff;
	if (start->mode == HV_X86_RESET || start->mode == HV_X86_WAIT_SIPI) {
		set_segments(s, segment(0xf000, 0xffff0000, 0xffff, 0xb),
			     segment(0, 0, 0xffff, 0x3));
		s->cr0 = CR0_ET | CR0_NW | CR0_CD;
		return;
	}
	set_segments(s, flat(SEL_CODE, 0xb, long_mode), flat(SEL_DATA, 0x3, false));
	s->gdt.base = start->gdt_base;
	s->gdt.limit = start->gdt_limit;
	s->idt.limit = 0;
	s->cr0 = CR0_PE | CR0_ET | CR0_NE;
	if (long_mode) {
		s->cr0 |= CR0_PG;
		s->cr3 = start->cr3;
		s->cr4 = CR4_PAE;
		s->efer = EFER_LME | EFER_LMA;
	}
}

static void fill_regs(const struct hv_x86_start *start, struct kvm_regs *r)
{
	memset(r, 0, sizeof(*r));
	r->rflags = 2; /* bit 1 is always one */
	if (start->mode == HV_X86_RESET || start->mode == HV_X86_WAIT_SIPI) {
		r->rip = 0xfff0;
		r->rdx = 0x600; /* family 6: any non-zero signature will do */
		return;
	}
	r->rip = start->rip;
	r->rbx = start->rbx;
	r->rsi = start->rsi;
	r->rsp = start->rsp;
}

static void set_msr(struct hv_vcpu *vcpu, uint32_t index, uint64_t value)
{
	_Alignas(struct kvm_msrs)
		uint8_t bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)] = { 0 };
	struct kvm_msrs *one = (struct kvm_msrs *)bytes;

	one->nmsrs = 1;
	one->entries[0] = (struct kvm_msr_entry){ .index = index, .data = value };
	kvm_ioctl(vcpu->fd, KVM_SET_MSRS, one);
}

/* MSRs that survive INIT or point into guest memory. A CPU that lacks one refuses it alone. */
static void reset_msrs(struct hv_vcpu *vcpu)
{
	static const struct {
		uint32_t index;
		uint64_t value;
	} msrs[] = {
		{ 0x4b564d00, 0 },
		{ 0x4b564d01, 0 }, /* kvmclock: wall clock, system time */
		{ 0x4b564d02, 0 },
		{ 0x4b564d03, 0 }, /* asynchronous page faults, steal time */
		{ 0x4b564d04, 0 },
		{ 0x4b564d06, 0 },
		{ 0x4b564d07, 0 }, /* EOI, APF vector, ack */
		{ 0x11, 0 },
		{ 0x12, 0 },  /* kvmclock, old numbers */
		{ 0x6e0, 0 }, /* IA32_TSC_DEADLINE */
		{ 0x3b, 0 },  /* IA32_TSC_ADJUST */
		{ 0x48, 0 },  /* IA32_SPEC_CTRL */
		{ 0x174, 0 },
		{ 0x175, 0 },
		{ 0x176, 0 }, /* SYSENTER */
		{ 0xc0000081, 0 },
		{ 0xc0000082, 0 },
		{ 0xc0000083, 0 },
		{ 0xc0000084, 0 },
		{ 0xc0000100, 0 },
		{ 0xc0000101, 0 },
		{ 0xc0000102, 0 },	       /* FS, GS, kernel GS */
		{ 0xc0000103, 0 },	       /* TSC_AUX */
		{ 0x277, 0x0007040600070406 }, /* IA32_PAT */
		{ 0x2ff, 0 },		       /* IA32_MTRR_DEF_TYPE: off */
		{ 0x1d9, 0 },		       /* IA32_DEBUGCTL */
		{ 0xda0, 0 },		       /* IA32_XSS */
		{ 0x1a0, 1 },		       /* IA32_MISC_ENABLE: fast strings */
	};

	for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
		set_msr(vcpu, msrs[i].index, msrs[i].value);
}

/* What a guest that ran may have left behind and the registers do not cover. */
static int reset_rest(struct hv_vcpu *vcpu)
{
	struct kvm_vcpu_events events = { 0 };
	struct kvm_debugregs debug = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };
	struct kvm_fpu fpu = { .fcw = 0x37f, .mxcsr = 0x1f80 };
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0] = { .xcr = 0, .value = 1 } };
	int r;

	reset_msrs(vcpu);
	r = kvm_ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events);
	if (r < 0)
		return r;
	r = kvm_ioctl(vcpu->fd, KVM_SET_LAPIC, &vcpu->initial_lapic);
	if (r < 0)
		return r;
	r = kvm_ioctl(vcpu->fd, KVM_SET_FPU, &fpu);
	if (r < 0)
		return r;
	if (kvm_check_extension(vcpu->vm, KVM_CAP_XCRS))
		kvm_ioctl(vcpu->fd, KVM_SET_XCRS, &xcrs);
	if (kvm_check_extension(vcpu->vm, KVM_CAP_DEBUGREGS))
		r = kvm_ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &debug);
	return r;
}

static int set_mp_state(struct hv_vcpu *vcpu, uint32_t state)
{
	struct kvm_mp_state mp = { .mp_state = state };

	return kvm_ioctl(vcpu->fd, KVM_SET_MP_STATE, &mp);
}

int hv_x86_start(struct hv_vcpu *vcpu, const struct hv_x86_start *start)
{
	bool wait = start->mode == HV_X86_WAIT_SIPI;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	int r;

	/* An application processor that never ran is as KVM made it. */
	if (wait && !vcpu->started) {
		vcpu->started = true;
		return 0;
	}
	/* The APIC has to leave x2APIC mode before its registers can be put back. */
	fill_sregs(vcpu, start, &sregs);
	r = kvm_ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
	if (r < 0)
		return r;
	fill_regs(start, &regs);
	r = kvm_ioctl(vcpu->fd, KVM_SET_REGS, &regs);
	if (r < 0)
		return r;
	if (vcpu->started) {
		r = reset_rest(vcpu);
		if (r < 0)
			return r;
		r = set_mp_state(vcpu, wait ? KVM_MP_STATE_UNINITIALIZED : KVM_MP_STATE_RUNNABLE);
		if (r < 0)
			return r;
	}
	vcpu->started = true;
	return 0;
}

int hv_x86_reset_irqchip(struct hv_vm *vm)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_PIC_MASTER };
	int r;

	r = kvm_ioctl(vm->fd, KVM_SET_IRQCHIP, &chip);
	if (r < 0)
		return r;
	chip.chip_id = KVM_IRQCHIP_PIC_SLAVE;
	r = kvm_ioctl(vm->fd, KVM_SET_IRQCHIP, &chip);
	if (r < 0)
		return r;
	chip.chip_id = KVM_IRQCHIP_IOAPIC;
	chip.chip.ioapic.base_address = 0xfec00000;
	for (int pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++)
		chip.chip.ioapic.redirtbl[pin].fields.mask = 1;
	return kvm_ioctl(vm->fd, KVM_SET_IRQCHIP, &chip);
}
