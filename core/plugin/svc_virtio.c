/* SPDX-License-Identifier: Apache-2.0 */
/* alcor.virtio/1: a virtio device, behind a PCI function of its own. */
#include <errno.h>

#include "plugin/device_impl.h"
#include "plugin/svc.h"

static int make_virtio(struct device *dev, const struct alcor_virtio_desc *desc, void *priv,
		       struct error *why)
{
	struct virtio_env env = {
		.name = dev->id,
		.mem = vm_mem(dev->vm),
		.packed = params_u64(dev->params, "packed"),
	};
	int ret;

	ret = device_loop(dev, &env.loop);
	if (ret)
		return error_errno(why, ret, "loop");
	ret = virtio_new(&env, desc, priv, &dev->virtio, why);
	if (ret)
		return ret;
	ret = virtio_pci_new(board_pci(vm_board(dev->vm)), -1, dev->virtio, &dev->virtio_pci, why);
	if (ret)
		svc_virtio_revoke(dev);
	return ret;
}

static int svc_virtio_add(struct alcor_dev *pub, const struct alcor_virtio_desc *from, void *priv)
{
	struct device *dev = device_of(pub);
	struct alcor_virtio_desc desc;
	struct error why;
	int ret = device_check_realize(dev, "a virtio device");

	if (ret)
		return ret;
	device_copy_sized(&desc, sizeof(desc), from);
	if (dev->virtio)
		return device_refuse(dev, -EINVAL, "a second virtio device");
	if (!desc.ops)
		return device_refuse(dev, -EINVAL, "a virtio device without callbacks");
	device_copy_sized(&dev->virtio_ops, sizeof(dev->virtio_ops), desc.ops);
	desc.ops = &dev->virtio_ops;
	ret = make_virtio(dev, &desc, priv, &why);
	if (ret)
		device_set_detail(dev, &why);
	return ret;
}

static struct alcor_vq *svc_virtio_vq(struct alcor_dev *pub, uint16_t index)
{
	struct device *dev = device_of(pub);

	return dev->virtio ? virtio_vq(dev->virtio, index) : NULL;
}

static int svc_virtio_config_update(struct alcor_dev *pub, uint32_t offset, const void *data,
				    uint32_t len)
{
	struct device *dev = device_of(pub);

	return dev->virtio ? virtio_config_update(dev->virtio, offset, data, len) : -EINVAL;
}

static void svc_virtio_needs_reset(struct alcor_dev *pub)
{
	struct device *dev = device_of(pub);

	if (dev->virtio)
		virtio_needs_reset(dev->virtio);
}

void svc_virtio_revoke(struct device *dev)
{
	virtio_pci_free(dev->virtio_pci);
	virtio_free(dev->virtio);
	dev->virtio_pci = NULL;
	dev->virtio = NULL;
}

const struct alcor_virtio svc_virtio = {
	.struct_size = sizeof(svc_virtio),
	.add = svc_virtio_add,
	.vq = svc_virtio_vq,
	.pop = virtio_vq_pop,
	.push = virtio_vq_push,
	.flush = virtio_vq_flush,
	.kick = virtio_vq_kick,
	.config_update = svc_virtio_config_update,
	.needs_reset = svc_virtio_needs_reset,
};
