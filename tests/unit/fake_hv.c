/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_hv.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

void fake_hv_init(struct hv_vm *vm)
{
	unsigned i;

	memset(vm, 0, sizeof(*vm));
	pthread_mutex_init(&vm->lock, NULL);
	for (i = 0; i < FAKE_HV_GSIS; i++)
		vm->gsis[i].fd = -1;
}

int hv_map(struct hv_vm *vm, unsigned slot, uint64_t gpa, void *host, uint64_t len, bool readonly)
{
	LOCK_SCOPE(&vm->lock);
	if (vm->fail_map && len)
		return vm->fail_map;
	if (slot >= FAKE_HV_SLOTS)
		return -EINVAL;
	vm->maps[slot] = (struct fake_map){ .gpa = gpa, .len = len, .host = host };
	return 0;
}

static struct fake_gsi *find_gsi(struct hv_vm *vm, uint32_t gsi)
{
	if (gsi < FAKE_HV_FIRST_GSI || gsi - FAKE_HV_FIRST_GSI >= FAKE_HV_GSIS ||
	    !vm->gsis[gsi - FAKE_HV_FIRST_GSI].taken)
		return NULL;
	return &vm->gsis[gsi - FAKE_HV_FIRST_GSI];
}

int hv_gsi_alloc(struct hv_vm *vm, uint32_t *ret_gsi)
{
	uint32_t i;

	LOCK_SCOPE(&vm->lock);
	if (vm->fail_gsi)
		return vm->fail_gsi;
	for (i = 0; i < FAKE_HV_GSIS; i++) {
		if (!vm->gsis[i].taken) {
			vm->gsis[i] = (struct fake_gsi){ .taken = true, .fd = -1 };
			*ret_gsi = FAKE_HV_FIRST_GSI + i;
			return 0;
		}
	}
	return -ENOSPC;
}

void hv_gsi_free(struct hv_vm *vm, uint32_t gsi)
{
	struct fake_gsi *entry;

	LOCK_SCOPE(&vm->lock);
	entry = find_gsi(vm, gsi);
	if (entry)
		*entry = (struct fake_gsi){ .fd = -1 };
}

int hv_msi_route(struct hv_vm *vm, uint32_t gsi, uint64_t addr, uint32_t data)
{
	struct fake_gsi *entry;

	LOCK_SCOPE(&vm->lock);
	entry = find_gsi(vm, gsi);
	if (!entry)
		return -EINVAL;
	if (vm->fail_route)
		return vm->fail_route;
	entry->addr = addr;
	entry->data = data;
	vm->n_routes++;
	return 0;
}

/* A counter that is not zero becomes one interrupt, as in KVM. */
static void poll_gsi(struct fake_gsi *entry)
{
	uint64_t count;

	if (entry->fd >= 0 && read(entry->fd, &count, sizeof(count)) == sizeof(count))
		entry->n_interrupts++;
}

int hv_irqfd(struct hv_vm *vm, int fd, uint32_t gsi, bool assign)
{
	struct fake_gsi *entry;
	uint64_t count;

	LOCK_SCOPE(&vm->lock);
	entry = find_gsi(vm, gsi);
	if (!entry || (assign ? entry->fd >= 0 : entry->fd != fd))
		return -EINVAL;
	if (vm->fail_irqfd && assign)
		return vm->fail_irqfd;
	if (assign && vm->deaf && read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return -errno;
	if (assign)
		entry->fd = fd;
	poll_gsi(entry);
	if (!assign)
		entry->fd = -1;
	return 0;
}

int hv_ioeventfd(struct hv_vm *vm, const struct hv_ioeventfd *ioev, bool assign)
{
	unsigned i;

	LOCK_SCOPE(&vm->lock);
	for (i = 0; i < vm->n_ioeventfds; i++)
		if (vm->ioeventfds[i].addr == ioev->addr && vm->ioeventfds[i].pio == ioev->pio)
			break;
	if (!assign) {
		if (i == vm->n_ioeventfds || vm->ioeventfds[i].fd != ioev->fd)
			return -ENOENT;
		vm->ioeventfds[i] = vm->ioeventfds[--vm->n_ioeventfds];
		return 0;
	}
	if (vm->fail_ioeventfd)
		return vm->fail_ioeventfd;
	if (i < vm->n_ioeventfds)
		return -EEXIST;
	if (i == FAKE_HV_IOEVENTFDS)
		return -ENOSPC;
	vm->ioeventfds[vm->n_ioeventfds++] = *ioev;
	return 0;
}

unsigned fake_hv_interrupts(struct hv_vm *vm, uint32_t data)
{
	unsigned i, n = 0;

	LOCK_SCOPE(&vm->lock);
	for (i = 0; i < FAKE_HV_GSIS; i++) {
		poll_gsi(&vm->gsis[i]);
		if (vm->gsis[i].taken && vm->gsis[i].data == data)
			n += vm->gsis[i].n_interrupts;
	}
	return n;
}

unsigned fake_hv_n_irqfds(struct hv_vm *vm)
{
	unsigned i, n = 0;

	LOCK_SCOPE(&vm->lock);
	for (i = 0; i < FAKE_HV_GSIS; i++)
		n += vm->gsis[i].fd >= 0;
	return n;
}

unsigned fake_hv_n_gsis(struct hv_vm *vm)
{
	unsigned i, n = 0;

	LOCK_SCOPE(&vm->lock);
	for (i = 0; i < FAKE_HV_GSIS; i++)
		n += vm->gsis[i].taken;
	return n;
}

const struct hv_ioeventfd *fake_hv_ioeventfd_at(struct hv_vm *vm, uint64_t addr)
{
	unsigned i;

	LOCK_SCOPE(&vm->lock);
	for (i = 0; i < vm->n_ioeventfds; i++)
		if (vm->ioeventfds[i].addr == addr)
			return &vm->ioeventfds[i];
	return NULL;
}
