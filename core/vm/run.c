/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's run: start, events, reset in place, signals, end. */
#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "util/log.h"
#include "util/overflow.h"
#include "vm/internal.h"

#define NS_PER_S 1000000000ull

static int load_payload(struct vm *vm, struct error *err)
{
	struct payload_config payload = {
		.kernel = vm->config->kernel,
		.pvh = vm->config->pvh,
		.initramfs = vm->config->initramfs,
		.cmdline = vm->config->cmdline,
	};

	return board_load(vm->board, &payload, err);
}

static void finish(struct vm *vm, int result)
{
	vm->result = result;
	loop_quit(vm->loop);
}

/* In the order of their creation: the list has the latest first. */
static void reset_devices(struct vm_device *dev)
{
	if (!dev)
		return;
	reset_devices(dev->next);
	dev->reset(dev);
}

/* Everything back to power-on, in place; RAM is given back, for nothing in it is trusted. */
static int reset_machine(struct vm *vm, struct error *err)
{
	int r;

	reset_devices(vm->devices);
	board_reset(vm->board);
	r = mem_clear(vm->mem);
	if (r < 0)
		return error_errno(err, r, "reset: cannot clear guest memory");
	r = load_payload(vm, err);
	if (r < 0) {
		error_prefix(err, "reset");
		return r;
	}
	vcpus_release(vm, true);
	return 0;
}

static void restart_or_finish(struct vm *vm, enum machine_action action, enum vm_status status)
{
	int r;

	if (action == MACHINE_EXIT) {
		finish(vm, status);
		return;
	}
	r = reset_machine(vm, vm->err);
	if (r < 0)
		finish(vm, r);
}

static void fail(struct vm *vm)
{
	*vm->err = vm->vcpu_error;
	finish(vm, vm->vcpu_result);
}

/* Several may come at once: the one that leaves least to do counts. */
static void handle_events(struct vm *vm, uint32_t events)
{
	const struct machine_config *config = vm->config;

	if (!events)
		return;
	/* Again: a reset that was under way when the event came has released the vCPUs since. */
	vcpus_request_stop(vm);
	vcpus_wait_parked(vm);
	if (events & EVENT_FAIL)
		fail(vm);
	else if (events & EVENT_HV_ERROR)
		finish(vm, VM_HV_ERROR);
	else if (events & EVENT_KILL)
		finish(vm, VM_KILLED);
	else if (events & EVENT_POWEROFF)
		finish(vm, VM_POWEROFF);
	else if (events & EVENT_PANIC)
		restart_or_finish(vm, config->on_panic, VM_PANIC);
	else if (events & EVENT_CRASH)
		restart_or_finish(vm, config->on_crash, VM_CRASH);
	else if (events & EVENT_RESET)
		restart_or_finish(vm, config->on_reset, VM_RESET_REFUSED);
}

static void on_event(void *opaque, uint32_t epoll_events)
{
	struct vm *vm = opaque;
	uint64_t count;

	(void)epoll_events;
	/* Read first: an event that is raised from here on wakes the loop once more. */
	if (read(vm->event_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_warn("event descriptor: %s", strerror(errno));
	handle_events(vm, atomic_exchange(&vm->events, 0));
}

void vm_raise(struct vm *vm, uint32_t events)
{
	uint64_t one = 1;

	/* The mark before the stop: a vCPU that a reset releases must not undo a later event. */
	atomic_fetch_or(&vm->events, events);
	vcpus_request_stop(vm);
	/* Fails only when the counter is full, and then the loop is awake already. */
	if (write(vm->event_fd, &one, sizeof(one)) < 0)
		return;
}

void vm_post_event(struct vm *vm, enum vm_event event)
{
	vm_raise(vm, 1u << event);
}

static void on_grace_over(void *opaque)
{
	struct vm *vm = opaque;

	log_warn("the guest did not power down within %u s", vm->config->grace_s);
	vm_raise(vm, EVENT_KILL);
}

static void ask_down(struct vm *vm)
{
	if (vm->asked_down) {
		vm_raise(vm, EVENT_KILL);
		return;
	}
	vm->asked_down = true;
	board_power_button(vm->board);
	if (vm->config->grace_s)
		loop_timer_set(vm->grace_timer, vm->config->grace_s * NS_PER_S);
	else
		vm_raise(vm, EVENT_KILL);
}

static void on_signal(void *opaque, uint32_t epoll_events)
{
	struct signalfd_siginfo info;
	struct vm *vm = opaque;

	(void)epoll_events;
	while (read(vm->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCONT)
			console_continue(vm->console);
		else
			ask_down(vm);
	}
}

static int start_main_loop(struct vm *vm, struct error *err)
{
	int r;

	r = loop_watch_add(vm->loop, vm->event_fd, EPOLLIN, on_event, vm, &vm->event_watch);
	if (r == 0)
		r = loop_watch_add(vm->loop, vm->signal_fd, EPOLLIN, on_signal, vm,
				   &vm->signal_watch);
	if (r == 0)
		r = loop_timer_add(vm->loop, on_grace_over, vm, &vm->grace_timer);
	return r < 0 ? error_errno(err, r, "main loop") : 0;
}

static int resume_devices(struct vm_device *dev, struct error *err)
{
	int r;

	if (!dev)
		return 0;
	r = resume_devices(dev->next, err);
	if (r < 0)
		return r;
	r = dev->resume(dev);
	return r < 0 ? error_errno(err, r, "%s: cannot start", dev->name) : 0;
}

static int start(struct vm *vm, struct error *err)
{
	int r;

	/* The threads make their vCPUs while the payload is read. */
	r = vcpus_create(vm, err);
	if (r < 0)
		return r;
	r = load_payload(vm, err);
	if (r == 0)
		r = vcpus_wait_ready(vm, err);
	if (r == 0)
		r = start_main_loop(vm, err);
	if (r == 0)
		r = resume_devices(vm->devices, err);
	if (r == 0)
		r = console_start(vm->console, err);
	return r;
}

static void stop(struct vm *vm)
{
	vcpus_destroy(vm);
	for (struct vm_device *dev = vm->devices; dev; dev = dev->next)
		dev->pause(dev);
	console_stop(vm->console);
}

int vm_run(struct vm *vm, enum vm_status *ret_status, struct error *err)
{
	int r;

	vm->err = err;
	r = start(vm, err);
	if (r == 0) {
		vcpus_release(vm, true);
		loop_run(vm->loop);
		r = vm->result;
	}
	stop(vm);
	if (r < 0)
		return r;
	*ret_status = (enum vm_status)r;
	return 0;
}
