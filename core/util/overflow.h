/* SPDX-License-Identifier: Apache-2.0 */
/* Checked arithmetic for values that come from a guest, a file or a command line. */
#ifndef ALCOR_CORE_UTIL_OVERFLOW_H
#define ALCOR_CORE_UTIL_OVERFLOW_H

#include <stdbool.h>
#include <stdint.h>

/* True when the result does not fit; *ret_x is then unspecified. */
static inline bool add_overflows(uint64_t a, uint64_t b, uint64_t *ret_sum)
{
	return __builtin_add_overflow(a, b, ret_sum);
}

static inline bool mul_overflows(uint64_t a, uint64_t b, uint64_t *ret_product)
{
	return __builtin_mul_overflow(a, b, ret_product);
}

/* True when [start, start + len) lies within [0, limit). An empty range at @limit lies within. */
static inline bool range_within(uint64_t start, uint64_t len, uint64_t limit)
{
	return start <= limit && len <= limit - start;
}

static inline bool is_pow2(uint64_t x)
{
	return x && !(x & (x - 1));
}

static inline uint64_t align_down(uint64_t x, uint64_t pow2)
{
	return x & ~(pow2 - 1);
}

/* The caller knows that the sum fits. */
static inline uint64_t align_up(uint64_t x, uint64_t pow2)
{
	return align_down(x + pow2 - 1, pow2);
}

#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)			((a) < (b) ? (a) : (b))
#define MAX(a, b)			((a) > (b) ? (a) : (b))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
