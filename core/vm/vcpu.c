/* SPDX-License-Identifier: Apache-2.0 */
/* One thread a vCPU: runs the guest, hands its accesses to the buses, parks when asked to. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/log.h"
#include "vm/internal.h"

static void serve_pio(struct vcpu *vcpu, struct hv_exit *exit)
{
	struct vm *vm = vcpu->vm;
	uint8_t *unit = exit->data;

	/* String instructions bring several units for one port. */
	for (uint32_t i = 0; i < exit->count; i++, unit += exit->size) {
		if (exit->write)
			bus_write(vm->pio, vcpu->pio_reader, exit->addr, exit->size, unit);
		else
			bus_read(vm->pio, vcpu->pio_reader, exit->addr, exit->size, unit);
	}
}

static void serve_mmio(struct vcpu *vcpu, struct hv_exit *exit)
{
	struct vm *vm = vcpu->vm;

	if (exit->write)
		bus_write(vm->mmio, vcpu->mmio_reader, exit->addr, exit->size, exit->data);
	else
		bus_read(vm->mmio, vcpu->mmio_reader, exit->addr, exit->size, exit->data);
}

static void report_registers(struct vcpu *vcpu)
{
	char text[2048], *line, *save = NULL;

	hv_vcpu_dump(vcpu->hv, text, sizeof(text));
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		log_error("vCPU %u: %s", vcpu->index, line);
}

static void hv_failed(struct vcpu *vcpu, const char *what, uint32_t code)
{
	log_error("vCPU %u: the hypervisor cannot go on: %s %u", vcpu->index, what, code);
	report_registers(vcpu);
	vm_raise(vcpu->vm, EVENT_HV_ERROR);
}

static void serve_exit(struct vcpu *vcpu, struct hv_exit *exit)
{
	switch (exit->reason) {
	case HV_EXIT_PIO:
		serve_pio(vcpu, exit);
		break;
	case HV_EXIT_MMIO:
		serve_mmio(vcpu, exit);
		break;
	case HV_EXIT_INTR:
		break;
	case HV_EXIT_SHUTDOWN:
		log_error("vCPU %u: triple fault", vcpu->index);
		vm_raise(vcpu->vm, EVENT_CRASH);
		break;
	case HV_EXIT_EVENT_POWEROFF:
		vm_raise(vcpu->vm, EVENT_POWEROFF);
		break;
	case HV_EXIT_EVENT_RESET:
		vm_raise(vcpu->vm, EVENT_RESET);
		break;
	case HV_EXIT_INTERNAL_ERROR:
		hv_failed(vcpu, "internal error", exit->code);
		break;
	case HV_EXIT_UNKNOWN:
		hv_failed(vcpu, "unknown exit", exit->code);
		break;
	}
}

static void run_until_stopped(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct hv_exit exit = { .reason = HV_EXIT_INTR };
	int r;

	while (!atomic_load(&vm->stop)) {
		r = hv_vcpu_run(vcpu->hv, &exit);
		if (r < 0) {
			hv_failed(vcpu, strerror(-r), -r);
			return;
		}
		serve_exit(vcpu, &exit);
	}
	/* The guest must find its access done when it goes on, and its registers must show it. */
	if (exit.reason == HV_EXIT_PIO || exit.reason == HV_EXIT_MMIO)
		hv_vcpu_complete_io(vcpu->hv);
}

static void record_failure(struct vm *vm, int result, const struct error *err)
{
	LOCK_SCOPE(&vm->lock);
	if (vm->vcpu_result)
		return;
	vm->vcpu_result = result;
	vm->vcpu_error = *err;
}

static int create_vcpu(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct hv_vcpu *hv = NULL;
	struct error err = { "" };
	int r;

	r = hv_vcpu_create(vm->hv, board_vcpu_id(vm->board, vcpu->index), &hv, &err);
	if (r == 0)
		r = board_vcpu_init(vm->board, hv, vcpu->index, &err);
	if (r < 0)
		record_failure(vm, r, &err);
	pthread_mutex_lock(&vm->lock);
	vcpu->hv = hv;
	vm->n_ready++;
	pthread_cond_broadcast(&vm->cond);
	pthread_mutex_unlock(&vm->lock);
	return r;
}

/* Parks until the VM runs: 0, or -ECANCELED at the end. */
static int wait_for_run(struct vcpu *vcpu, unsigned *ret_gen)
{
	struct vm *vm = vcpu->vm;
	int r;

	LOCK_SCOPE(&vm->lock);
	vm->n_parked++;
	pthread_cond_broadcast(&vm->cond);
	while (!vm->running && !vm->ending)
		pthread_cond_wait(&vm->cond, &vm->lock);
	vm->n_parked--;
	r = vm->ending ? -ECANCELED : 0;
	*ret_gen = vm->start_gen;
	return r;
}

static int set_start_state(struct vcpu *vcpu, unsigned gen)
{
	struct error err = { "" };
	int r;

	if (vcpu->started_gen == gen)
		return 0;
	vcpu->started_gen = gen;
	r = board_vcpu_start(vcpu->vm->board, vcpu->hv, vcpu->index);
	if (r < 0) {
		error_errno(&err, r, "vCPU %u: cannot set its start state", vcpu->index);
		record_failure(vcpu->vm, r, &err);
		vm_raise(vcpu->vm, EVENT_FAIL);
	}
	return r;
}

static void *vcpu_thread(void *opaque)
{
	struct vcpu *vcpu = opaque;
	char name[16];
	unsigned gen;

	snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
	pthread_setname_np(pthread_self(), name);
	if (create_vcpu(vcpu) < 0)
		return NULL;
	while (wait_for_run(vcpu, &gen) == 0)
		if (set_start_state(vcpu, gen) == 0)
			run_until_stopped(vcpu);
	return NULL;
}

int vcpus_create(struct vm *vm, struct error *err)
{
	unsigned n = vm->config->cpu.count;
	int r;

	vm->vcpus = calloc(n, sizeof(*vm->vcpus));
	if (!vm->vcpus)
		return error_errno(err, -ENOMEM, "%u vCPUs", n);
	for (unsigned i = 0; i < n; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		vcpu->vm = vm;
		vcpu->index = i;
		r = bus_reader_add(vm->pio, &vcpu->pio_reader);
		if (r == 0)
			r = bus_reader_add(vm->mmio, &vcpu->mmio_reader);
		if (r == 0)
			r = -pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);
		if (r < 0)
			return error_errno(err, r, "cannot start vCPU %u", i);
		vm->n_threads++;
	}
	return 0;
}

int vcpus_wait_ready(struct vm *vm, struct error *err)
{
	LOCK_SCOPE(&vm->lock);
	while (vm->n_ready < vm->n_threads)
		pthread_cond_wait(&vm->cond, &vm->lock);
	if (vm->vcpu_result && err)
		*err = vm->vcpu_error;
	return vm->vcpu_result;
}

void vcpus_request_stop(struct vm *vm)
{
	LOCK_SCOPE(&vm->lock);
	vm->running = false;
	atomic_store(&vm->stop, true);
	if (vm->ending)
		return;
	for (unsigned i = 0; i < vm->n_threads; i++)
		if (vm->vcpus[i].hv)
			hv_vcpu_kick(vm->vcpus[i].hv);
}

void vcpus_wait_parked(struct vm *vm)
{
	LOCK_SCOPE(&vm->lock);
	while (vm->n_parked < vm->n_threads)
		pthread_cond_wait(&vm->cond, &vm->lock);
}

void vcpus_release(struct vm *vm, bool fresh)
{
	LOCK_SCOPE(&vm->lock);
	if (fresh)
		vm->start_gen++;
	vm->running = true;
	atomic_store(&vm->stop, false);
	pthread_cond_broadcast(&vm->cond);
}

void vcpus_destroy(struct vm *vm)
{
	if (!vm->vcpus)
		return;
	vcpus_request_stop(vm);
	pthread_mutex_lock(&vm->lock);
	vm->ending = true;
	pthread_cond_broadcast(&vm->cond);
	pthread_mutex_unlock(&vm->lock);
	for (unsigned i = 0; i < vm->config->cpu.count; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		if (i < vm->n_threads)
			pthread_join(vcpu->thread, NULL);
		hv_vcpu_destroy(vcpu->hv);
		if (vcpu->pio_reader)
			bus_reader_remove(vm->pio, vcpu->pio_reader);
		if (vcpu->mmio_reader)
			bus_reader_remove(vm->mmio, vcpu->mmio_reader);
	}
	free(vm->vcpus);
	vm->vcpus = NULL;
	vm->n_threads = 0;
}
