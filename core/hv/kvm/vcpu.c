/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/kvm/kvm.h"

int hv_vcpu_create(struct hv_vm *vm, uint32_t id, struct hv_vcpu **ret_vcpu, struct error *err)
{
	struct hv_vcpu *vcpu;
	int r;

	vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		return error_errno(err, -ENOMEM, "vCPU %u", id);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->thread = pthread_self();
	vcpu->run = MAP_FAILED;
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);
	if (vcpu->fd < 0) {
		r = error_errno(err, -errno, "vCPU %u: KVM_CREATE_VCPU", id);
		goto out_destroy;
	}
	vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		r = error_errno(err, -errno, "vCPU %u: mmap", id);
		goto out_destroy;
	}
	r = kvm_ioctl(vcpu->fd, KVM_GET_LAPIC, &vcpu->initial_lapic);
	if (r < 0) {
		error_errno(err, r, "vCPU %u: KVM_GET_LAPIC", id);
		goto out_destroy;
	}
	*ret_vcpu = vcpu;
	return 0;

out_destroy:
	hv_vcpu_destroy(vcpu);
	return r;
}

void hv_vcpu_destroy(struct hv_vcpu *vcpu)
{
	if (!vcpu)
		return;
	if (vcpu->run != MAP_FAILED)
		munmap(vcpu->run, vcpu->vm->run_size);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	free(vcpu);
}

static void set_immediate_exit(struct hv_vcpu *vcpu, uint8_t value)
{
	/* Ordered against the flags that a kicker sets before and a kicked vCPU reads after. */
	__atomic_store_n(&vcpu->run->immediate_exit, value, __ATOMIC_SEQ_CST);
}

void hv_vcpu_kick(struct hv_vcpu *vcpu)
{
	/* A signal alone is lost when it arrives just before KVM_RUN; the flag is not. */
	set_immediate_exit(vcpu, 1);
	pthread_kill(vcpu->thread, KVM_KICK_SIGNAL);
}

static void decode_pio(struct kvm_run *run, struct hv_exit *exit)
{
	exit->reason = HV_EXIT_PIO;
	exit->write = run->io.direction == KVM_EXIT_IO_OUT;
	exit->size = run->io.size;
	exit->count = run->io.count;
	exit->addr = run->io.port;
	exit->data = (uint8_t *)run + run->io.data_offset;
}

static void decode_mmio(struct kvm_run *run, struct hv_exit *exit)
{
	exit->reason = HV_EXIT_MMIO;
	exit->write = run->mmio.is_write;
	exit->size = run->mmio.len;
	exit->count = 1;
	exit->addr = run->mmio.phys_addr;
	exit->data = run->mmio.data;
}

static enum hv_exit_reason decode_event(const struct kvm_run *run)
{
	switch (run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		return HV_EXIT_EVENT_POWEROFF;
	case KVM_SYSTEM_EVENT_RESET:
		return HV_EXIT_EVENT_RESET;
	default:
		return HV_EXIT_UNKNOWN;
	}
}

static void decode_exit(struct hv_vcpu *vcpu, struct hv_exit *exit)
{
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		decode_pio(run, exit);
		break;
	case KVM_EXIT_MMIO:
		decode_mmio(run, exit);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		exit->reason = HV_EXIT_INTR;
		break;
	case KVM_EXIT_SHUTDOWN:
		exit->reason = HV_EXIT_SHUTDOWN;
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		exit->reason = decode_event(run);
		exit->code = run->system_event.type;
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		exit->reason = HV_EXIT_INTERNAL_ERROR;
		exit->code = run->internal.suberror;
		break;
	case KVM_EXIT_FAIL_ENTRY:
		exit->reason = HV_EXIT_INTERNAL_ERROR;
		exit->code = (uint32_t)run->fail_entry.hardware_entry_failure_reason;
		break;
	default:
		exit->reason = HV_EXIT_UNKNOWN;
		exit->code = run->exit_reason;
	}
}

int hv_vcpu_run(struct hv_vcpu *vcpu, struct hv_exit *ret_exit)
{
	memset(ret_exit, 0, sizeof(*ret_exit));
	if (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
		/* EAGAIN: a vCPU that waits for SIPI was woken. */
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
		set_immediate_exit(vcpu, 0);
		ret_exit->reason = HV_EXIT_INTR;
		return 0;
	}
	decode_exit(vcpu, ret_exit);
	return 0;
}

int hv_vcpu_complete_io(struct hv_vcpu *vcpu)
{
	int r;

	set_immediate_exit(vcpu, 1);
	r = ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? -errno : 0;
	set_immediate_exit(vcpu, 0);
	return r == -EINTR || r == -EAGAIN ? 0 : r;
}
