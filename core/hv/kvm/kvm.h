/* SPDX-License-Identifier: Apache-2.0 */
/* The KVM implementation of hv.h, shared by its files. */
#ifndef ALCOR_CORE_HV_KVM_KVM_H
#define ALCOR_CORE_HV_KVM_KVM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "hv/hv.h"

/* Sent to a vCPU's thread to get it out of the guest. */
#define KVM_KICK_SIGNAL SIGRTMIN

/* Lines 0 to 23 belong to the IOAPIC (0 to 15 to the PICs too); messages come above. */
#define KVM_IOAPIC_PINS 24
#define KVM_PIC_PINS	16
#define KVM_GSI_MAX	1024

/* Pages that KVM wants for itself on Intel hosts, below the local APIC's page and out of every
 * window that the board hands out. */
#define KVM_IDENTITY_MAP_ADDR 0xfeffc000ull
#define KVM_TSS_ADDR	      0xfeffd000u

struct hv_vm {
	int dev_fd, fd;
	size_t run_size;	  /* of the shared run area of a vCPU */
	struct kvm_cpuid2 *cpuid; /* what KVM offers: asked once, constant from then on */

	pthread_mutex_t route_lock; /* all below */
	bool gsi_used[KVM_GSI_MAX];
	struct kvm_irq_routing_entry msi[KVM_GSI_MAX]; /* by GSI; type 0: none */
	unsigned max_routes;
};

struct hv_vcpu {
	struct hv_vm *vm;
	int fd;
	uint32_t id;
	struct kvm_run *run;
	pthread_t thread;
	struct kvm_lapic_state initial_lapic;
	bool started; /* hv_x86_start() ran before: this is a reset */
};

/* ioctl() with -errno. */
int kvm_ioctl(int fd, unsigned long request, void *arg);
int kvm_check_extension(const struct hv_vm *vm, int cap);

int kvm_irq_init(struct hv_vm *vm);
int kvm_cpuid_init(struct hv_vm *vm);

#endif
