/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_LIB_CPU_H
#define GUEST_LIB_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Vectors a guest may use for its own interrupts; the stubs end at VECTOR_END. */
enum { VECTOR_FIRST = 0x40, VECTOR_END = 0x60 };

struct fault_context {
	uint64_t rip, rsp, rbx, rbp, r12, r13, r14, r15;
};

struct fault {
	uint32_t vector;
	uint64_t error, rip, cr2;
};

/* Interrupts that arrived since the start, by vector. */
extern volatile uint32_t irq_count[VECTOR_END];

int fault_guard(struct fault_context *ctx) __attribute__((returns_twice));
void fault_arm(struct fault_context *ctx, struct fault *ret_fault);
void fault_disarm(void);

/* Runs @fn in ring 0 with interrupts off. */
uint64_t ring0(uint64_t (*fn)(uint64_t), uint64_t arg);
uint64_t rdmsr(uint32_t msr);
void wrmsr(uint32_t msr, uint64_t value);

/* Makes the GiB at @addr (below 512 GiB) reachable in the identity map; false when it cannot. */
bool map_gib(uint64_t addr);

struct cpu_start {
	uint32_t pvh_info;
};
extern struct cpu_start cpu_start;
extern const char ap_trampoline[], ap_trampoline_end[];
extern volatile uint32_t ap_alive;

void cpu_main(uint32_t info);
void user_main(void);
void ap_main(void);

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);

static inline void barrier(void)
{
	__asm__ volatile("" ::: "memory");
}

static inline void fence(void)
{
	__asm__ volatile("mfence" ::: "memory");
}

static inline void cpu_pause(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static inline uint64_t tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}

/* The frequency is unknown: a millisecond here is at least one on anything below 4 GHz. */
static inline uint64_t deadline_ms(uint32_t ms)
{
	return tsc() + ms * 4000000ull;
}

static inline bool passed(uint64_t deadline)
{
	return (int64_t)(tsc() - deadline) >= 0;
}

static inline void delay_ms(uint32_t ms)
{
	for (uint64_t end = deadline_ms(ms); !passed(end);)
		cpu_pause();
}

static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(sub));
}

#define DEFINE_PORT_IO(suffix, type)                                                        \
	static inline type in##suffix(uint16_t port)                                        \
	{                                                                                   \
		type v;                                                                     \
                                                                                            \
		__asm__ volatile("in" #suffix " %1, %0" : "=a"(v) : "Nd"(port) : "memory"); \
		return v;                                                                   \
	}                                                                                   \
	static inline void out##suffix(uint16_t port, type v)                               \
	{                                                                                   \
		__asm__ volatile("out" #suffix " %0, %1" ::"a"(v), "Nd"(port) : "memory");  \
	}
DEFINE_PORT_IO(b, uint8_t)
DEFINE_PORT_IO(w, uint16_t)
DEFINE_PORT_IO(l, uint32_t)

/* One access of exactly that width: the compiler may neither split nor merge it. */
#define DEFINE_MMIO(bits, ins)                                                      \
	static inline uint##bits##_t mmio_read##bits(uint64_t addr)                 \
	{                                                                           \
		uint##bits##_t v;                                                   \
                                                                                    \
		__asm__ volatile(ins " (%1), %0" : "=r"(v) : "r"(addr) : "memory"); \
		return v;                                                           \
	}                                                                           \
	static inline void mmio_write##bits(uint64_t addr, uint##bits##_t v)        \
	{                                                                           \
		__asm__ volatile(ins " %0, (%1)" ::"r"(v), "r"(addr) : "memory");   \
	}
DEFINE_MMIO(8, "movb")
DEFINE_MMIO(16, "movw")
DEFINE_MMIO(32, "movl")
DEFINE_MMIO(64, "movq")

#endif
