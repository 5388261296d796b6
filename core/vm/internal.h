/* SPDX-License-Identifier: Apache-2.0 */
/* The VM, shared by the files of this folder. */
#ifndef ALCOR_CORE_VM_INTERNAL_H
#define ALCOR_CORE_VM_INTERNAL_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "vm/console.h"
#include "vm/vm.h"

/* Bits of vm.events. The first three are those of enum vm_event. */
enum {
	EVENT_POWEROFF = 1u << VM_EVENT_POWEROFF,
	EVENT_RESET = 1u << VM_EVENT_RESET,
	EVENT_PANIC = 1u << VM_EVENT_PANIC,
	EVENT_CRASH = 1u << 4,	  /* triple fault */
	EVENT_HV_ERROR = 1u << 5, /* reported where it was seen */
	EVENT_KILL = 1u << 6,	  /* the user ends the VM */
	EVENT_FAIL = 1u << 7,	  /* an error of alcor's on a vCPU thread, see vm.vcpu_error */
};

struct vcpu {
	struct vm *vm;
	uint32_t index;
	pthread_t thread;
	struct hv_vcpu *hv; /* NULL until created; set under vm.lock */
	struct bus_reader *pio_reader, *mmio_reader;
	unsigned started_gen; /* start_gen that its registers were set for */
};

struct vm {
	const struct machine_config *config;
	struct hv_vm *hv;
	struct mem *mem;
	struct bus *pio, *mmio;
	struct board *board;
	struct console *console;
	struct loop *loop;	      /* of the main thread */
	struct vm_device *devices;    /* latest first */
	const struct vm_ctl_ops *ctl; /* NULL: none */

	/* Main loop */
	int event_fd, signal_fd;
	struct loop_watch *event_watch, *signal_watch;
	struct loop_timer *grace_timer;
	sigset_t old_mask;
	bool asked_down; /* a first signal pressed the power button */
	_Atomic uint32_t events;
	int result; /* negative: an error of alcor's; else a vm_status */
	struct error *err;

	/* vCPU threads: parked, or running while @running and not @stop */
	struct vcpu *vcpus;
	unsigned n_threads; /* threads that exist */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned n_ready, n_parked; /* under lock, as the four below */
	bool running, ending;
	unsigned start_gen; /* grows with each boot or reset */
	int vcpu_result;
	struct error vcpu_error;
	_Atomic bool stop; /* what vCPUs look at between two exits */
};

/* --- vcpu.c --- */

/* [main] Threads for all vCPUs; they create their vCPU and park. */
int vcpus_create(struct vm *vm, struct error *err);
/* [main] Waits until all are created. */
int vcpus_wait_ready(struct vm *vm, struct error *err);
/* [any] All vCPUs leave the guest and park, soon. */
void vcpus_request_stop(struct vm *vm);
/* [main] After vcpus_request_stop(): until all are parked. */
void vcpus_wait_parked(struct vm *vm);
/* [main] They run; @fresh: from the state that board_vcpu_start() gives. */
void vcpus_release(struct vm *vm, bool fresh);
/* [main] Ends the threads and frees the vCPUs. */
void vcpus_destroy(struct vm *vm);

/* [any] Stops the vCPUs and has the main loop look at @events. */
void vm_raise(struct vm *vm, uint32_t events);

#endif
