/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu.h"
#include "apic.h"
#include "test.h"

struct frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

struct gate {
	uint16_t offset_low, selector, flags, offset_mid;
	uint32_t offset_high, reserved;
};

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3], reserved1, ist[7], reserved2;
	uint16_t reserved3, iomap_offset;
	/* All ports are open, by bitmap and IOPL: not every KVM honours IOPL 3 alone. */
	uint8_t iomap[65536 / 8 + 1];
} __attribute__((packed));

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

extern uint64_t gdt_tss[2], pdpt[512];
extern const char isr_stubs[], irq_stack_top[], ring0_gate[];
void isr_handle(struct frame *f);

enum { EXTRA_PDS = 8, PAGE_2M = 0x87, VECTOR_UD = 6 };

volatile uint32_t irq_count[VECTOR_END];
volatile uint32_t ap_alive;
struct cpu_start cpu_start;
static struct gate idt[VECTOR_END];
static struct tss tss;
static struct fault_context *fault_ctx;
static struct fault *fault_out;
static uint64_t extra_pd[EXTRA_PDS][512]
	__attribute__((aligned(4096), section(".data.pagetables")));
static unsigned int extra_pds;

static void idt_fill(void)
{
	for (unsigned int v = 0; v < VECTOR_END; v++) {
		uint64_t stub = (uint64_t)isr_stubs + v * 16;

		idt[v] = (struct gate){
			.offset_low = stub,
			.selector = 0x18,
			.flags = 0x8e00,
			.offset_mid = stub >> 16,
		};
	}
}

void cpu_main(uint32_t info)
{
	struct table_pointer idtr = { .limit = sizeof(idt) - 1, .base = (uint64_t)idt };
	uint64_t base = (uint64_t)&tss;

	cpu_start.pvh_info = info;
	tss.rsp[0] = (uint64_t)irq_stack_top;
	tss.iomap_offset = offsetof(struct tss, iomap);
	tss.iomap[sizeof(tss.iomap) - 1] = 0xff;
	gdt_tss[0] =
		(sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24) << 56;
	gdt_tss[1] = 0;
	idt_fill();
	__asm__ volatile("lidt %0; ltr %w1" ::"m"(idtr), "r"(0x30));
	apic_init();
}

void ap_main(void)
{
	ap_alive++;
}

static void fault_report(const struct frame *f, uint64_t cr2)
{
	print("# exception %u error 0x%lx rip 0x%lx cs 0x%lx cr2 0x%lx\n", (uint32_t)f->vector,
	      f->error, f->rip, f->cs, cr2);
}

static void fault_handle(struct frame *f)
{
	struct fault_context *ctx = fault_ctx;
	uint64_t cr2;

	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	if (!ctx || !(f->cs & 3)) {
		fault_report(f, cr2);
		guest_exit(EXIT_BROKEN);
	}
	fault_ctx = NULL;
	*fault_out = (struct fault){ f->vector, f->error, f->rip, cr2 };
	f->rip = ctx->rip;
	f->rsp = ctx->rsp;
	f->rbx = ctx->rbx;
	f->rbp = ctx->rbp;
	f->r12 = ctx->r12;
	f->r13 = ctx->r13;
	f->r14 = ctx->r14;
	f->r15 = ctx->r15;
	f->rax = 1;
}

void isr_handle(struct frame *f)
{
	if (f->vector == VECTOR_UD && f->rip == (uint64_t)ring0_gate) {
		f->rip += 2;
		f->rax = ((uint64_t(*)(uint64_t))f->rdi)(f->rsi);
	} else if (f->vector < 32) {
		fault_handle(f);
	} else {
		irq_count[f->vector]++;
		apic_eoi();
	}
}

void fault_arm(struct fault_context *ctx, struct fault *ret_fault)
{
	fault_out = ret_fault;
	fault_ctx = ctx;
}

void fault_disarm(void)
{
	fault_ctx = NULL;
}

static uint64_t msr_read0(uint64_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"((uint32_t)msr));
	return (uint64_t)hi << 32 | lo;
}

struct msr_write {
	uint32_t msr;
	uint64_t value;
};

static uint64_t msr_write0(uint64_t arg)
{
	const struct msr_write *w = (const struct msr_write *)arg;

	__asm__ volatile("wrmsr" ::"a"((uint32_t)w->value), "d"((uint32_t)(w->value >> 32)),
			 "c"(w->msr));
	return 0;
}

static bool in_ring0(void)
{
	uint16_t cs;

	__asm__("mov %%cs, %0" : "=r"(cs));
	return !(cs & 3);
}

uint64_t rdmsr(uint32_t msr)
{
	return in_ring0() ? msr_read0(msr) : ring0(msr_read0, msr);
}

void wrmsr(uint32_t msr, uint64_t value)
{
	struct msr_write w = { msr, value };

	if (in_ring0())
		msr_write0((uint64_t)&w);
	else
		ring0(msr_write0, (uint64_t)&w);
}

static uint64_t cr3_reload(uint64_t unused)
{
	uint64_t v;

	(void)unused;
	__asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(v)::"memory");
	return 0;
}

bool map_gib(uint64_t addr)
{
	uint64_t gib = addr >> 30;
	uint64_t *pd;

	if (gib >= 512)
		return false;
	if (pdpt[gib])
		return true;
	if (extra_pds == EXTRA_PDS)
		return false;
	pd = extra_pd[extra_pds++];
	for (uint64_t i = 0; i < 512; i++)
		pd[i] = (gib << 30) + i * 0x200000 + PAGE_2M;
	pdpt[gib] = (uint64_t)pd + 7;
	ring0(cr3_reload, 0);
	return true;
}

/* Calls to these four are made by the compiler too. */
void *memcpy(void *to, const void *from, size_t n)
{
	void *ret = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
	return ret;
}

void *memset(void *to, int byte, size_t n)
{
	void *ret = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
	return ret;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return (uint8_t)*a - (uint8_t)*b;
}
