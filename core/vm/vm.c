/* SPDX-License-Identifier: Apache-2.0 */
/* Making and freeing a virtual machine. */
#include "vm/vm.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "vm/internal.h"

static void on_board_event(void *opaque, enum board_event event)
{
	vm_raise(opaque, event == BOARD_POWEROFF ? EVENT_POWEROFF : EVENT_RESET);
}

static int make_buses(struct vm *vm, struct error *err)
{
	int r = bus_new(0x10000, &vm->pio);

	if (r == 0)
		r = bus_new(0, &vm->mmio);
	return r < 0 ? error_errno(err, r, "address spaces") : 0;
}

static int make_memory(struct vm *vm, struct error *err)
{
	int r = mem_new(vm->hv, &vm->mem);

	if (r < 0)
		return error_errno(err, r, "guest memory");
	r = mem_add_ram(vm->mem, &vm->config->memory, board_low_ram_limit(),
			board_max_ram_gpa(hv_x86_phys_bits(vm->hv)), err);
	if (r < 0)
		error_prefix(err, "--memory");
	return r;
}

static int make_board(struct vm *vm, struct error *err)
{
	struct board_config config = {
		.hv = vm->hv,
		.mem = vm->mem,
		.pio = vm->pio,
		.mmio = vm->mmio,
		.cpu = vm->config->cpu,
		.event = on_board_event,
		.opaque = vm,
	};

	return board_new(&config, &vm->board, err);
}

/* Signals that end the VM are read by the main loop; no thread may take them. */
static int make_main_loop(struct vm *vm, struct error *err)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCONT);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, &vm->old_mask);
	sigdelset(&set, SIGPIPE);

	vm->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (vm->signal_fd < 0)
		return error_errno(err, -errno, "signalfd");
	vm->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->event_fd < 0)
		return error_errno(err, -errno, "eventfd");
	r = loop_new(&vm->loop);
	if (r == 0)
		r = console_new(vm, vm->loop, &vm->console);
	return r < 0 ? error_errno(err, r, "main loop") : 0;
}

static int check_cpus(struct vm *vm, struct error *err)
{
	unsigned max = hv_max_vcpus(vm->hv);

	if (vm->config->cpu.count > max)
		return error_set(err, -EINVAL, "--cpu: %u vCPUs, but this host's KVM allows %u",
				 vm->config->cpu.count, max);
	return 0;
}

int vm_new(const struct machine_config *config, struct vm **ret_vm, struct error *err)
{
	struct vm *vm;
	int r;

	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return error_errno(err, -ENOMEM, "virtual machine");
	vm->config = config;
	vm->event_fd = vm->signal_fd = -1;
	pthread_mutex_init(&vm->lock, NULL);
	pthread_cond_init(&vm->cond, NULL);
	pthread_sigmask(SIG_SETMASK, NULL, &vm->old_mask);

	r = hv_vm_create(config->dev_kvm, &vm->hv, err);
	if (r == 0)
		r = check_cpus(vm, err);
	if (r == 0)
		r = make_memory(vm, err);
	if (r == 0)
		r = hv_create_irqchip(vm->hv, err);
	if (r == 0)
		r = make_buses(vm, err);
	if (r == 0)
		r = make_board(vm, err);
	if (r == 0)
		r = make_main_loop(vm, err);
	if (r < 0) {
		vm_free(vm);
		return r;
	}
	*ret_vm = vm;
	return 0;
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	vcpus_destroy(vm);
	while (vm->devices) {
		struct vm_device *dev = vm->devices;

		vm->devices = dev->next;
		dev->destroy(dev);
	}
	console_free(vm->console);
	loop_watch_remove(vm->event_watch);
	loop_watch_remove(vm->signal_watch);
	loop_timer_remove(vm->grace_timer);
	loop_free(vm->loop);
	board_free(vm->board);
	bus_free(vm->pio);
	bus_free(vm->mmio);
	mem_free(vm->mem);
	hv_vm_destroy(vm->hv);
	if (vm->event_fd >= 0)
		close(vm->event_fd);
	if (vm->signal_fd >= 0)
		close(vm->signal_fd);
	pthread_sigmask(SIG_SETMASK, &vm->old_mask, NULL);
	pthread_cond_destroy(&vm->cond);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

void vm_add_device(struct vm *vm, struct vm_device *dev)
{
	dev->next = vm->devices;
	vm->devices = dev;
}

struct vm_device *vm_devices(struct vm *vm)
{
	return vm->devices;
}

void vm_set_ctl(struct vm *vm, const struct vm_ctl_ops *ops)
{
	vm->ctl = ops;
}

struct hv_vm *vm_hv(struct vm *vm)
{
	return vm->hv;
}

struct mem *vm_mem(struct vm *vm)
{
	return vm->mem;
}

struct bus *vm_pio(struct vm *vm)
{
	return vm->pio;
}

struct bus *vm_mmio(struct vm *vm)
{
	return vm->mmio;
}

struct board *vm_board(struct vm *vm)
{
	return vm->board;
}

struct console *vm_console(struct vm *vm)
{
	return vm->console;
}

const struct machine_config *vm_config(struct vm *vm)
{
	return vm->config;
}
