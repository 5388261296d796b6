/* SPDX-License-Identifier: Apache-2.0 */
/* alcor.vm/1: facts of the machine, and requests to it. */
#ifndef ALCOR_VM_H
#define ALCOR_VM_H

#include <alcor/plugin.h>

#define ALCOR_VM_ID "alcor.vm/1"

/* Events a device reports; what follows is the user's choice (--on-reset, --on-panic). */
#define ALCOR_VM_POWEROFF 1u
#define ALCOR_VM_RESET	  2u
#define ALCOR_VM_PANIC	  3u

struct alcor_vm {
	uint32_t struct_size;
	/* [any] Asynchronous. */
	void (*event)(struct alcor_dev *dev, uint32_t event);
	uint32_t (*n_cpus)(struct alcor_dev *dev);   /* [any] */
	uint64_t (*ram_size)(struct alcor_dev *dev); /* [any] bytes */
};

#endif
