/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt lines, message routes and irqfds. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hv/kvm/kvm.h"
#include "util/cleanup.h"

static void route_irqchip(struct kvm_irq_routing *table, uint32_t gsi, uint32_t chip, uint32_t pin)
{
	table->entries[table->nr++] = (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

/* KVM takes the whole table at each change. Called with route_lock held. */
static int routes_commit(struct hv_vm *vm)
{
	CLEANUP_FREE struct kvm_irq_routing *table = NULL;

	table = calloc(1,
		       sizeof(*table) + sizeof(table->entries[0]) * (KVM_GSI_MAX + KVM_PIC_PINS));
	if (!table)
		return -ENOMEM;
	for (uint32_t gsi = 0; gsi < KVM_IOAPIC_PINS; gsi++) {
		if (gsi < 8)
			route_irqchip(table, gsi, KVM_IRQCHIP_PIC_MASTER, gsi);
		else if (gsi < KVM_PIC_PINS)
			route_irqchip(table, gsi, KVM_IRQCHIP_PIC_SLAVE, gsi - 8);
		route_irqchip(table, gsi, KVM_IRQCHIP_IOAPIC, gsi);
	}
	for (uint32_t gsi = KVM_IOAPIC_PINS; gsi < KVM_GSI_MAX; gsi++)
		if (vm->msi[gsi].type)
			table->entries[table->nr++] = vm->msi[gsi];
	if (table->nr > vm->max_routes)
		return -ENOSPC;
	return kvm_ioctl(vm->fd, KVM_SET_GSI_ROUTING, table);
}

/* KVM's own table after KVM_CREATE_IRQCHIP is the one routes_commit() starts with. */
int kvm_irq_init(struct hv_vm *vm)
{
	int max = kvm_check_extension(vm, KVM_CAP_IRQ_ROUTING);

	vm->max_routes = max > 0 ? max : 0;
	return 0;
}

int hv_irq_line(struct hv_vm *vm, uint32_t gsi, int level)
{
	struct kvm_irq_level line = { .irq = gsi, .level = level };

	return kvm_ioctl(vm->fd, KVM_IRQ_LINE, &line);
}

int hv_gsi_alloc(struct hv_vm *vm, uint32_t *ret_gsi)
{
	LOCK_SCOPE(&vm->route_lock);
	for (uint32_t gsi = KVM_IOAPIC_PINS; gsi < KVM_GSI_MAX; gsi++) {
		if (vm->gsi_used[gsi])
			continue;
		vm->gsi_used[gsi] = true;
		*ret_gsi = gsi;
		return 0;
	}
	return -ENOSPC;
}

void hv_gsi_free(struct hv_vm *vm, uint32_t gsi)
{
	LOCK_SCOPE(&vm->route_lock);
	/* The route itself goes with the next change: nothing is tied to it any more. */
	vm->msi[gsi].type = 0;
	vm->gsi_used[gsi] = false;
}

int hv_msi_route(struct hv_vm *vm, uint32_t gsi, uint64_t addr, uint32_t data)
{
	struct kvm_irq_routing_entry entry = {
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = (uint32_t)addr,
			   .address_hi = (uint32_t)(addr >> 32),
			   .data = data },
	};
	struct kvm_irq_routing_entry old;
	int r;

	LOCK_SCOPE(&vm->route_lock);
	if (!memcmp(&vm->msi[gsi], &entry, sizeof(entry)))
		return 0;
	old = vm->msi[gsi];
	vm->msi[gsi] = entry;
	r = routes_commit(vm);
	if (r < 0)
		vm->msi[gsi] = old;
	return r;
}

int hv_irqfd(struct hv_vm *vm, int fd, uint32_t gsi, bool assign)
{
	struct kvm_irqfd irqfd = {
		.fd = fd,
		.gsi = gsi,
		.flags = assign ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};

	return kvm_ioctl(vm->fd, KVM_IRQFD, &irqfd);
}
