/* SPDX-License-Identifier: Apache-2.0 */
/* alcor.pci/1: PCI functions of plugins. */
#include <errno.h>
#include <stdlib.h>

#include "plugin/device_impl.h"
#include "plugin/svc.h"
#include "util/cleanup.h"

_Static_assert(ALCOR_PCI_BAR_64BIT == PCI_BAR_64BIT && ALCOR_PCI_BAR_PREFETCH == PCI_BAR_PREFETCH &&
		       ALCOR_PCI_BAR_IO == PCI_BAR_IO,
	       "BAR flags are handed on");

/* The first BAR that is neither used nor the upper half of a 64-bit one; PCI_N_BARS: none. */
static uint8_t first_free_bar(const struct alcor_pci_desc *desc)
{
	uint8_t i;

	for (i = 0; i < PCI_N_BARS && desc->bars[i].size; i++)
		if (desc->bars[i].flags & ALCOR_PCI_BAR_64BIT)
			i++;
	return MIN(i, PCI_N_BARS);
}

static int init_bars(struct alcor_pci_function *function, struct device *dev,
		     const struct alcor_pci_desc *desc, void *opaque, struct pci_bar_desc *ret_bars)
{
	unsigned i;
	int ret;

	for (i = 0; i < PCI_N_BARS; i++) {
		if (!desc->bars[i].size)
			continue;
		ret = device_regs_init(&function->bars[i], dev, desc->bars[i].ops, opaque);
		if (ret)
			return ret;
		ret_bars[i] = (struct pci_bar_desc){
			.size = desc->bars[i].size,
			.flags = desc->bars[i].flags,
			.ops = &device_bus_ops,
			.opaque = &function->bars[i],
		};
	}
	return 0;
}

static int add_function(struct device *dev, const struct alcor_pci_desc *desc,
			struct alcor_pci_function *function, void *opaque)
{
	struct pci_fn_desc fn = {
		.owner = dev->id,
		.vendor_id = desc->vendor_id,
		.device_id = desc->device_id,
		.subsystem_vendor_id = desc->subsystem_vendor_id,
		.subsystem_id = desc->subsystem_id,
		.revision = desc->revision,
		.class_base = desc->class_base,
		.class_sub = desc->class_sub,
		.class_interface = desc->class_interface,
		.n_vectors = desc->n_vectors,
		.msix_bar = first_free_bar(desc),
	};
	struct error why;
	int ret;

	if (desc->n_vectors && fn.msix_bar == PCI_N_BARS)
		return device_refuse(dev, -EINVAL, "no BAR is left for the MSI-X table");
	ret = init_bars(function, dev, desc, opaque, fn.bars);
	if (ret)
		return ret;
	ret = pci_add(board_pci(vm_board(dev->vm)), -1, &fn, &function->fn, &why);
	if (ret)
		device_set_detail(dev, &why);
	return ret;
}

static int svc_pci_add(struct alcor_dev *pub, const struct alcor_pci_desc *from, void *opaque,
		       struct alcor_pci_function **ret_function)
{
	CLEANUP_FREE struct alcor_pci_function *function = NULL;
	struct device *dev = device_of(pub);
	struct alcor_pci_desc desc;
	int ret = device_check_realize(dev, "a PCI function");

	if (ret)
		return ret;
	function = calloc(1, sizeof(*function));
	if (!function)
		return -ENOMEM;
	device_copy_sized(&desc, sizeof(desc), from);
	ret = add_function(dev, &desc, function, opaque);
	if (ret)
		return ret;
	LIST_INSERT_HEAD(&dev->functions, function, link);
	*ret_function = TAKE_PTR(function);
	return 0;
}

static void svc_pci_signal(struct alcor_pci_function *function, uint16_t vector)
{
	pci_msix_signal(function->fn, vector);
}

void svc_pci_revoke(struct device *dev)
{
	struct alcor_pci_function *function;

	while ((function = LIST_FIRST(&dev->functions))) {
		LIST_REMOVE(function, link);
		pci_remove(function->fn);
		free(function);
	}
}

const struct alcor_pci svc_pci = {
	.struct_size = sizeof(svc_pci),
	.add = svc_pci_add,
	.signal = svc_pci_signal,
};
