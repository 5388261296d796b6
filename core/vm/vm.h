/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual machine: owns the hypervisor's VM, memory, buses, the board, devices, vCPU threads
 * and the console, and runs it to its end.
 */
#ifndef ALCOR_CORE_VM_VM_H
#define ALCOR_CORE_VM_VM_H

#include <stdbool.h>

#include "board/board.h"
#include "config/machine.h"
#include "util/loop.h"

struct vm;
struct console;

/* How a run ended; the exit status of the program. 1 is an error of alcor, 2 one of usage. */
enum vm_status {
	VM_POWEROFF = 0,
	VM_ERROR = 1,
	VM_RESET_REFUSED = 3, /* the guest reset, and --on-reset is exit */
	VM_PANIC = 4,	      /* the guest's kernel reported a panic */
	VM_CRASH = 5,	      /* triple fault */
	VM_HV_ERROR = 6,      /* the hypervisor could not go on */
	VM_KILLED = 7,	      /* ended from outside, the guest did not power off */
};

enum vm_event { VM_EVENT_POWEROFF = 1, VM_EVENT_RESET = 2, VM_EVENT_PANIC = 3 };

/* Run-time properties of devices, by the name ID.NAME; what the terminal's prompt works with. All
 * [main]. @print takes lines. */
struct vm_ctl_ops {
	void (*list)(struct vm *vm, void (*print)(void *opaque, const char *text), void *opaque);
	/* @ret_text is cut where @len is too little. */
	int (*get)(struct vm *vm, const char *name, char *ret_text, size_t len, struct error *err);
	int (*set)(struct vm *vm, const char *name, const char *text, struct error *err);
};

/* A device as the VM sees it. All [main], vCPUs stopped. */
struct vm_device {
	const char *name;
	void (*reset)(struct vm_device *dev);
	int (*resume)(struct vm_device *dev); /* starts its loop thread when it has one */
	void (*pause)(struct vm_device *dev);
	void (*destroy)(struct vm_device *dev); /* frees @dev */
	struct vm_device *next;
};

/* [main] The machine without devices: memory, buses, board. */
int vm_new(const struct machine_config *config, struct vm **ret_vm, struct error *err);
/* [main] Destroys devices in reverse order of their creation, then the rest. NULL is fine. */
void vm_free(struct vm *vm);

/* [main] The VM owns @dev from here on. */
void vm_add_device(struct vm *vm, struct vm_device *dev);
/* [main] The latest first. */
struct vm_device *vm_devices(struct vm *vm);

/* [main] Offers properties to the terminal's prompt; static lifetime. */
void vm_set_ctl(struct vm *vm, const struct vm_ctl_ops *ops);

/* [main] Loads the payload, starts everything, serves until the end. On an error of alcor's the
 * result is negative and *@ret_status untouched. */
int vm_run(struct vm *vm, enum vm_status *ret_status, struct error *err);

/* [any] */
void vm_post_event(struct vm *vm, enum vm_event event);

/* Parts, for the service tables. */
struct hv_vm *vm_hv(struct vm *vm);
struct mem *vm_mem(struct vm *vm);
struct bus *vm_pio(struct vm *vm);
struct bus *vm_mmio(struct vm *vm);
struct board *vm_board(struct vm *vm);
struct console *vm_console(struct vm *vm);
const struct machine_config *vm_config(struct vm *vm);

#endif
