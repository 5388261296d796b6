/* SPDX-License-Identifier: Apache-2.0 */
/* A hypervisor that only records what it is asked for. */
#ifndef ALCOR_TESTS_UNIT_FAKE_HV_H
#define ALCOR_TESTS_UNIT_FAKE_HV_H

#include <pthread.h>

#include "hv/hv.h"

#define FAKE_HV_SLOTS	   8
#define FAKE_HV_FIRST_GSI  24
#define FAKE_HV_GSIS	   64
#define FAKE_HV_IOEVENTFDS 16

struct fake_map {
	uint64_t gpa, len; /* len 0: free */
	void *host;
};

struct fake_gsi {
	bool taken;
	uint64_t addr;
	uint32_t data;
	int fd; /* tied; -1: none */
	unsigned n_interrupts;
};

struct hv_vm {
	pthread_mutex_t lock;
	struct fake_map maps[FAKE_HV_SLOTS];
	struct fake_gsi gsis[FAKE_HV_GSIS];
	struct hv_ioeventfd ioeventfds[FAKE_HV_IOEVENTFDS];
	unsigned n_ioeventfds, n_routes;
	bool deaf; /* hears what is written to an irqfd, not what was in it before */
	/* Errors to be returned from now on. */
	int fail_map, fail_gsi, fail_route, fail_irqfd, fail_ioeventfd;
};

void fake_hv_init(struct hv_vm *vm);
/* Turns what was written to tied eventfds into interrupts; how many the message @data had so far. */
unsigned fake_hv_interrupts(struct hv_vm *vm, uint32_t data);
unsigned fake_hv_n_irqfds(struct hv_vm *vm);
unsigned fake_hv_n_gsis(struct hv_vm *vm);
/* NULL when no ioeventfd is at @addr. */
const struct hv_ioeventfd *fake_hv_ioeventfd_at(struct hv_vm *vm, uint64_t addr);

#endif
