/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_LIB_TEST_H
#define GUEST_LIB_TEST_H

#include <stdbool.h>
#include <stdint.h>

/* A case returns NULL, or the reason why it failed. */
typedef const char *test_fn(const void *arg);

struct test_case {
	const char *name;
	test_fn *run;
	const void *arg;
};

/* What the guest tells the outside by the way it ends, where the way itself is not under test. */
enum guest_exit { EXIT_DONE, EXIT_BROKEN };

void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Formats a reason into a static buffer and returns it. */
const char *fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define CHECK(cond, ...)                          \
	do {                                      \
		if (!(cond))                      \
			return fail(__VA_ARGS__); \
	} while (0)

#define CHECK_EQ(got, want, what)                                                    \
	do {                                                                         \
		uint64_t got_ = (got), want_ = (want);                               \
                                                                                     \
		if (got_ != want_)                                                   \
			return fail("%s: 0x%lx, expected 0x%lx", what, got_, want_); \
	} while (0)

/* Hands the reason of a helper on. */
#define TRY(expr)                             \
	do {                                  \
		const char *reason_ = (expr); \
                                              \
		if (reason_)                  \
			return reason_;       \
	} while (0)

/* Runs and reports one case, unless the arguments from= or only= leave it out. */
void test_run(const struct test_case *c);
void test_run_all(const struct test_case *c, unsigned int n);

/* Lets the runner measure the VMM, and waits (bounded) until it has. */
void test_mark(const char *name);

/* The guest's command line is a list of words "key" and "key=value". */
bool arg_value(const char *key, char *ret_value, uint32_t size);
bool arg_is(const char *key, const char *value);
uint64_t arg_number(const char *key, uint64_t otherwise);
bool arg_qemu(void);

void test_init(void);
_Noreturn void test_done(void);
_Noreturn void guest_exit(enum guest_exit how);

#endif
