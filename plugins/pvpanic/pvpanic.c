/* SPDX-License-Identifier: Apache-2.0 */
/* pvpanic: the register through which a guest's kernel tells that it died. */
#include <errno.h>
#include <stdlib.h>

#include <alcor/pci.h>
#include <alcor/plugin.h>
#include <alcor/vm.h>

#define PVPANIC_VENDOR 0x1b36
#define PVPANIC_DEVICE 0x0011

#define PVPANIC_PANICKED     (1u << 0)
#define PVPANIC_CRASH_LOADED (1u << 1) /* a crash kernel takes over: no reason to stop the VM */

/* One byte is defined; a memory BAR is never smaller. */
#define PVPANIC_BAR_SIZE 16

struct pvpanic {
	struct alcor_dev *dev;
	const struct alcor_vm *vm;
};

static uint64_t pvpanic_read(void *opaque, uint64_t offset, uint32_t size)
{
	return offset == 0 ? PVPANIC_PANICKED | PVPANIC_CRASH_LOADED : 0;
}

static void pvpanic_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
{
	struct pvpanic *pvpanic = opaque;

	if (offset != 0)
		return;
	if (value & PVPANIC_CRASH_LOADED)
		alcor_log(pvpanic->dev, ALCOR_LOG_INFO,
			  "the guest panicked, its crash kernel "
			  "takes over");
	if (value & PVPANIC_PANICKED)
		pvpanic->vm->event(pvpanic->dev, ALCOR_VM_PANIC);
}

static const struct alcor_io_ops pvpanic_io_ops = {
	.struct_size = sizeof(pvpanic_io_ops),
	.read = pvpanic_read,
	.write = pvpanic_write,
};

static int pvpanic_create(struct alcor_dev *dev, void **ret_priv)
{
	struct pvpanic *pvpanic = calloc(1, sizeof(*pvpanic));

	if (!pvpanic)
		return alcor_error(dev, -ENOMEM, "out of memory");
	pvpanic->dev = dev;
	pvpanic->vm = alcor_service(dev, ALCOR_VM_ID);
	if (!pvpanic->vm) {
		free(pvpanic);
		return alcor_error(dev, -ENOTSUP, "this host takes no events");
	}
	*ret_priv = pvpanic;
	return 0;
}

static int pvpanic_realize(void *priv)
{
	static const struct alcor_pci_desc desc = {
		.struct_size = sizeof(desc),
		.vendor_id = PVPANIC_VENDOR,
		.device_id = PVPANIC_DEVICE,
		.revision = 1,
		.class_base = 0x08,
		.class_sub = 0x80,
		.bars[0] = { .size = PVPANIC_BAR_SIZE, .ops = &pvpanic_io_ops },
	};
	struct pvpanic *pvpanic = priv;
	const struct alcor_pci *pci = alcor_service(pvpanic->dev, ALCOR_PCI_ID);
	struct alcor_pci_function *function;
	int ret;

	if (!pci)
		return alcor_error(pvpanic->dev, -ENOTSUP, "this machine has no PCI bus");
	ret = pci->add(pvpanic->dev, &desc, pvpanic, &function);
	return ret ? alcor_error(pvpanic->dev, ret, "PCI: %s", strerror(-ret)) : 0;
}

static void pvpanic_destroy(void *priv)
{
	free(priv);
}

static const struct alcor_dev_ops pvpanic_ops = {
	.struct_size = sizeof(pvpanic_ops),
	.create = pvpanic_create,
	.realize = pvpanic_realize,
	.destroy = pvpanic_destroy,
};

static const struct alcor_claim claims[] = {
	{ .dev_class = "pvpanic",
	  .keyword = "pci",
	  .ops = &pvpanic_ops,
	  .summary = "lets the guest tell that it panicked" },
};

static const struct alcor_plugin plugin = {
	.struct_size = sizeof(plugin),
	.abi_major = ALCOR_ABI_MAJOR,
	.abi_minor = ALCOR_ABI_MINOR,
	.name = "pvpanic",
	.version = "0.1",
	.license = "Apache-2.0",
	.claims = claims,
	.n_claims = sizeof(claims) / sizeof(claims[0]),
	.claim_size = sizeof(struct alcor_claim),
};

ALCOR_PLUGIN_EXPORT const struct alcor_plugin *alcor_plugin_entry_1(void)
{
	return &plugin;
}

ALCOR_PLUGIN_NOTE("name=pvpanic\0"
		  "version=0.1\0"
		  "license=Apache-2.0\0"
		  "abi=" ALCOR_ABI_STRING "\0"
		  "claim=pvpanic/pci\0");
