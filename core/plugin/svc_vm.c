/* SPDX-License-Identifier: Apache-2.0 */
/* alcor.vm/1: facts of the machine, and requests to it. */
#include "plugin/device_impl.h"
#include "plugin/svc.h"

_Static_assert(ALCOR_VM_POWEROFF == VM_EVENT_POWEROFF && ALCOR_VM_RESET == VM_EVENT_RESET &&
		       ALCOR_VM_PANIC == VM_EVENT_PANIC,
	       "events are handed on");

static void svc_vm_event(struct alcor_dev *pub, uint32_t event)
{
	struct device *dev = device_of(pub);

	if (event >= ALCOR_VM_POWEROFF && event <= ALCOR_VM_PANIC)
		vm_post_event(dev->vm, (enum vm_event)event);
	else
		log_limited(&dev->log_limit, LOG_ERROR, "%s: the plugin reports an unknown event",
			    dev->id);
}

static uint32_t svc_vm_n_cpus(struct alcor_dev *pub)
{
	return vm_config(device_of(pub)->vm)->cpu.count;
}

static uint64_t svc_vm_ram_size(struct alcor_dev *pub)
{
	return mem_ram_size(vm_mem(device_of(pub)->vm));
}

const struct alcor_vm svc_vm = {
	.struct_size = sizeof(svc_vm),
	.event = svc_vm_event,
	.n_cpus = svc_vm_n_cpus,
	.ram_size = svc_vm_ram_size,
};
