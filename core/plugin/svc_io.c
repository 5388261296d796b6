/* SPDX-License-Identifier: Apache-2.0 */
/* alcor.io/1: registers at fixed addresses, and how any register access reaches a plugin. */
#include <errno.h>
#include <stdlib.h>

#include "hv/hv.h"
#include "plugin/device_impl.h"
#include "plugin/svc.h"
#include "util/cleanup.h"

/* --- accesses --- */

struct access {
	const struct device_regs *regs;
	uint64_t offset, value;
	uint32_t size;
	bool write;
};

static void access_run(void *opaque)
{
	struct access *access = opaque;
	const struct device_regs *regs = access->regs;

	if (access->write)
		regs->ops.write(regs->opaque, access->offset, access->size, access->value);
	else
		access->value = regs->ops.read(regs->opaque, access->offset, access->size);
}

static void access_dispatch(struct access *access)
{
	struct device *dev = access->regs->dev;

	switch (dev->access) {
	case DEVICE_LOCKED: {
		LOCK_SCOPE(&dev->lock);
		access_run(access);
		break;
	}
	case DEVICE_ON_LOOP:
		loop_call(dev->loop, access_run, access);
		break;
	case DEVICE_DIRECT:
		access_run(access);
		break;
	}
}

static uint64_t regs_read(void *opaque, uint64_t offset, uint32_t size)
{
	struct access access = { .regs = opaque, .offset = offset, .size = size };

	access_dispatch(&access);
	return access.value;
}

static int regs_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
{
	struct access access = {
		.regs = opaque,
		.offset = offset,
		.value = value,
		.size = size,
		.write = true,
	};

	access_dispatch(&access);
	return 0;
}

const struct bus_ops device_bus_ops = { .read = regs_read, .write = regs_write };

int device_regs_init(struct device_regs *regs, struct device *dev, const struct alcor_io_ops *ops,
		     void *opaque)
{
	if (!ops)
		return device_refuse(dev, -EINVAL, "registers without callbacks");
	device_copy_sized(&regs->ops, sizeof(regs->ops), ops);
	if (!regs->ops.read || !regs->ops.write)
		return device_refuse(dev, -EINVAL, "registers without a read or a write callback");
	regs->dev = dev;
	regs->opaque = opaque;
	dev->has_regs = true;
	return 0;
}

/* --- regions --- */

static int add_region(struct device *dev, struct bus *bus, uint64_t base, uint64_t len,
		      const struct alcor_io_ops *ops, void *opaque)
{
	CLEANUP_FREE struct device_region *region = calloc(1, sizeof(*region));
	struct bus_region desc = {
		.base = base,
		.len = len,
		.ops = &device_bus_ops,
		.opaque = region ? &region->regs : NULL,
		.owner = dev->id,
	};
	struct error why;
	int ret;

	if (!region)
		return -ENOMEM;
	ret = device_regs_init(&region->regs, dev, ops, opaque);
	if (ret)
		return ret;
	ret = bus_add(bus, &desc, &why);
	if (ret) {
		device_set_detail(dev, &why);
		return ret;
	}
	region->bus = bus;
	region->base = base;
	LIST_INSERT_HEAD(&dev->regions, region, link);
	region = NULL;
	return 0;
}

static int io_add_pio(struct alcor_dev *pub, uint16_t port, uint32_t len,
		      const struct alcor_io_ops *ops, void *opaque)
{
	struct device *dev = device_of(pub);
	int ret = device_check_realize(dev, "I/O ports");

	return ret ? ret : add_region(dev, vm_pio(dev->vm), port, len, ops, opaque);
}

static int io_add_mmio(struct alcor_dev *pub, uint64_t gpa, uint64_t len,
		       const struct alcor_io_ops *ops, void *opaque)
{
	struct device *dev = device_of(pub);
	int ret = device_check_realize(dev, "a memory-mapped region");

	return ret ? ret : add_region(dev, vm_mmio(dev->vm), gpa, len, ops, opaque);
}

static void io_irq_line(struct alcor_dev *pub, uint32_t gsi, int level)
{
	struct device *dev = device_of(pub);
	int ret = hv_irq_line(vm_hv(dev->vm), gsi, level != 0);

	if (ret < 0)
		log_limited(&dev->log_limit, LOG_WARN, "%s: interrupt line %u: %s", dev->id, gsi,
			    strerror(-ret));
}

void svc_io_revoke(struct device *dev)
{
	struct device_region *region;

	while ((region = LIST_FIRST(&dev->regions))) {
		LIST_REMOVE(region, link);
		bus_remove(region->bus, region->base);
		free(region);
	}
}

const struct alcor_io svc_io = {
	.struct_size = sizeof(svc_io),
	.add_pio = io_add_pio,
	.add_mmio = io_add_mmio,
	.irq_line = io_irq_line,
};
