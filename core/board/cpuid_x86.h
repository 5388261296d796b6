/* SPDX-License-Identifier: Apache-2.0 */
/* Identity of one CPU: what the hypervisor offers, with names and topology filled in. */
#ifndef ALCOR_CORE_BOARD_CPUID_X86_H
#define ALCOR_CORE_BOARD_CPUID_X86_H

#include "config/machine.h"
#include "hv/hv.h"

/* Thread, core and socket number side by side, each in as many bits as its largest needs. */
uint32_t cpuid_apic_id(const struct cpu_topology *topology, uint32_t index);

/* Leaves for CPU @index in an array that the caller frees. */
int cpuid_build(const struct hv_cpuid *offered, unsigned n_offered,
		const struct cpu_topology *topology, uint32_t index, struct hv_cpuid **ret_leaves,
		unsigned *ret_n);

#endif
