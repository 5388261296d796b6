/* SPDX-License-Identifier: Apache-2.0 */
/* Registers, interrupt lines, PCI, the console, events and ACPI nodes. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "alcor_testing.h"

uint64_t alcor_fake_read(struct alcor_fake_region *region, uint64_t addr, uint32_t size)
{
	uint64_t ones = size < 8 ? (1ull << 8 * size) - 1 : ~0ull;

	if (addr < region->base || size > region->len || addr - region->base > region->len - size)
		return ones;
	return region->ops->read(region->opaque, addr - region->base, size) & ones;
}

void alcor_fake_write(struct alcor_fake_region *region, uint64_t addr, uint32_t size,
		      uint64_t value)
{
	if (addr >= region->base && size <= region->len &&
	    addr - region->base <= region->len - size)
		region->ops->write(region->opaque, addr - region->base, size, value);
}

static int region_set(struct alcor_fake_region *region, uint64_t base, uint64_t len,
		      const struct alcor_io_ops *ops, void *opaque)
{
	if (region->len)
		return -EBUSY;
	*region = (struct alcor_fake_region){ base, len, ops, opaque };
	return 0;
}

static int io_add_pio(struct alcor_dev *dev, uint16_t port, uint32_t len,
		      const struct alcor_io_ops *ops, void *opaque)
{
	return region_set(&alcor_fake_of(dev)->pio, port, len, ops, opaque);
}

static int io_add_mmio(struct alcor_dev *dev, uint64_t gpa, uint64_t len,
		       const struct alcor_io_ops *ops, void *opaque)
{
	return region_set(&alcor_fake_of(dev)->mmio, gpa, len, ops, opaque);
}

static void io_irq_line(struct alcor_dev *dev, uint32_t gsi, int level)
{
	struct alcor_fake *fake = alcor_fake_of(dev);

	if (gsi >= ALCOR_FAKE_GSIS || (level != 0 && level != 1))
		alcor_fake_die("irq_line(%u, %d)", gsi, level);
	pthread_mutex_lock(&fake->lock);
	fake->irq_level[gsi] = level;
	fake->irq_calls++;
	pthread_mutex_unlock(&fake->lock);
}

const struct alcor_io alcor_fake_io = {
	.struct_size = sizeof(alcor_fake_io),
	.add_pio = io_add_pio,
	.add_mmio = io_add_mmio,
	.irq_line = io_irq_line,
};

static int pci_add(struct alcor_dev *dev, const struct alcor_pci_desc *desc, void *opaque,
		   struct alcor_pci_function **ret_function)
{
	struct alcor_fake *fake = alcor_fake_of(dev);

	if (desc->struct_size != sizeof(*desc))
		alcor_fake_die("pci: wrong description");
	fake->pci_desc = *desc;
	for (unsigned i = 0; i < 6; i++) {
		if (desc->bars[i].size)
			region_set(&fake->bars[i], 0, desc->bars[i].size, desc->bars[i].ops,
				   opaque);
	}
	*ret_function = (struct alcor_pci_function *)fake;
	return 0;
}

static void pci_signal(struct alcor_pci_function *function, uint16_t vector)
{
	struct alcor_fake *fake = (struct alcor_fake *)function;

	if (vector >= fake->pci_desc.n_vectors)
		alcor_fake_die("pci: no vector %u", vector);
	alcor_fake_wake(fake);
}

const struct alcor_pci alcor_fake_pci = {
	.struct_size = sizeof(alcor_fake_pci),
	.add = pci_add,
	.signal = pci_signal,
};

/* The first port is the one that the test plays the user of. */
static struct alcor_console_port *port_free(struct alcor_fake *fake, bool stdio)
{
	if (!fake->console.open)
		return &fake->console;
	for (uint32_t i = 0; i < ALCOR_FAKE_PORTS && !stdio; i++) {
		if (!fake->ports[i].open)
			return &fake->ports[i];
	}
	return NULL;
}

static int console_open(struct alcor_dev *dev, int in_fd, int out_fd,
			const struct alcor_console_ops *ops, void *opaque,
			struct alcor_console_port **ret_port)
{
	struct alcor_fake *fake = alcor_fake_of(dev);
	struct alcor_console_port *port = port_free(fake, in_fd < 0 && out_fd < 0);

	if (!port)
		return -EBUSY;
	*port = (struct alcor_console_port){
		.fake = fake,
		.ops = ops,
		.opaque = opaque,
		.open = true,
		.in_fd = in_fd >= 0 ? fcntl(in_fd, F_DUPFD_CLOEXEC, 3) : -1,
		.out_fd = out_fd >= 0 ? fcntl(out_fd, F_DUPFD_CLOEXEC, 3) : -1,
	};
	*ret_port = port;
	return 0;
}

static uint32_t port_write(struct alcor_console_port *port, const uint8_t *data, uint32_t len)
{
	if (write(port->out_fd, data, len) != (ssize_t)len)
		alcor_fake_die("console: %s", strerror(errno));
	return len;
}

static uint32_t console_write(struct alcor_console_port *port, const uint8_t *data, uint32_t len)
{
	struct alcor_fake *fake = port->fake;
	uint32_t n;

	if (port != &fake->console)
		return port_write(port, data, len);
	pthread_mutex_lock(&fake->lock);
	n = len < fake->output_room ? len : fake->output_room;
	if (n > sizeof(fake->output) - 1 - fake->output_len)
		n = (uint32_t)sizeof(fake->output) - 1 - fake->output_len;
	memcpy(fake->output + fake->output_len, data, n);
	fake->output_len += n;
	fake->output_room -= n;
	fake->n_writes++;
	port->blocked = n < len;
	pthread_mutex_unlock(&fake->lock);
	return port->out_fd >= 0 ? port_write(port, data, n) : n;
}

static void console_input_ready(struct alcor_console_port *port)
{
	pthread_mutex_lock(&port->fake->lock);
	port->fake->n_input_ready++;
	pthread_mutex_unlock(&port->fake->lock);
}

const struct alcor_console alcor_fake_console = {
	.struct_size = sizeof(alcor_fake_console),
	.open = console_open,
	.write = console_write,
	.input_ready = console_input_ready,
};

uint32_t alcor_fake_input(struct alcor_fake *fake, const char *text, uint32_t len)
{
	return fake->console.ops->input(fake->console.opaque, (const uint8_t *)text, len);
}

void alcor_fake_break(struct alcor_fake *fake)
{
	if (fake->console.ops->input_break)
		fake->console.ops->input_break(fake->console.opaque);
}

void alcor_fake_output_room(struct alcor_fake *fake, uint32_t len)
{
	bool blocked;

	pthread_mutex_lock(&fake->lock);
	fake->output_room = len;
	blocked = fake->console.blocked && len;
	if (len)
		fake->console.blocked = false;
	pthread_mutex_unlock(&fake->lock);
	if (blocked)
		fake->console.ops->output_ready(fake->console.opaque);
}

static void vm_event(struct alcor_dev *dev, uint32_t event)
{
	struct alcor_fake *fake = alcor_fake_of(dev);

	pthread_mutex_lock(&fake->lock);
	fake->last_event = event;
	fake->n_events++;
	pthread_mutex_unlock(&fake->lock);
}

static uint32_t vm_n_cpus(struct alcor_dev *dev)
{
	return 1;
}

static uint64_t vm_ram_size(struct alcor_dev *dev)
{
	return ALCOR_FAKE_RAM;
}

const struct alcor_vm alcor_fake_vm = {
	.struct_size = sizeof(alcor_fake_vm),
	.event = vm_event,
	.n_cpus = vm_n_cpus,
	.ram_size = vm_ram_size,
};

static int acpi_add(struct alcor_dev *dev, const struct alcor_acpi_node *node)
{
	struct alcor_fake *fake = alcor_fake_of(dev);

	if (node->struct_size != sizeof(*node) || strlen(node->name) != 4)
		alcor_fake_die("acpi: wrong node");
	fake->acpi_node = *node;
	fake->n_acpi_nodes++;
	return 0;
}

const struct alcor_acpi alcor_fake_acpi = {
	.struct_size = sizeof(alcor_fake_acpi),
	.add = acpi_add,
};
