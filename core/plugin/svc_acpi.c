/* SPDX-License-Identifier: Apache-2.0 */
/* alcor.acpi/1: nodes of the ACPI name space. */
#include <errno.h>

#include "plugin/device_impl.h"
#include "plugin/svc.h"

static int svc_acpi_add(struct alcor_dev *pub, const struct alcor_acpi_node *from)
{
	struct device *dev = device_of(pub);
	struct alcor_acpi_node node;
	int ret = device_check_realize(dev, "an ACPI node");

	if (ret)
		return ret;
	device_copy_sized(&node, sizeof(node), from);
	if (!node.name || strlen(node.name) != 4 || !node.hid)
		return device_refuse(dev, -EINVAL,
				     "an ACPI node without _HID or a name of four characters");
	ret = board_add_acpi_node(vm_board(dev->vm), &node);
	return ret ? device_refuse(dev, ret, "ACPI node %s: %s", node.name, strerror(-ret)) : 0;
}

const struct alcor_acpi svc_acpi = {
	.struct_size = sizeof(svc_acpi),
	.add = svc_acpi_add,
};
