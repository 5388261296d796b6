/* SPDX-License-Identifier: Apache-2.0 */
/* virtio over PCI as a driver on the bus sees it. */
#include "test_virtio_driver.h"

#include <linux/virtio_pci.h>

#define ECAM	 0xe0000000u
#define BAR_BASE 0xc0000000u

struct machine {
	struct rig rig;
	struct bus *mmio;
	struct bus_reader *reader;
	struct pci_root *root;
	struct virtio_pci *vpci;
	uint64_t bar;
	uint32_t window; /* offset of the PCI_CFG capability */
	uint64_t common, notify, isr, config;
};

static uint64_t get(struct machine *m, uint64_t addr, uint32_t size)
{
	uint64_t value = 0;

	bus_read(m->mmio, m->reader, addr, size, &value);
	return value;
}

static void set(struct machine *m, uint64_t addr, uint32_t size, uint64_t value)
{
	bus_write(m->mmio, m->reader, addr, size, &value);
}

static uint64_t cfg_get(struct machine *m, uint32_t offset, uint32_t size)
{
	return get(m, ECAM + (1 << 15) + offset, size);
}

static void cfg_set(struct machine *m, uint32_t offset, uint32_t size, uint64_t value)
{
	set(m, ECAM + (1 << 15) + offset, size, value);
}

/* Every access in one table keeps width and place together. */
#define REG(m, name) (m)->common + VIRTIO_PCI_COMMON_##name

static void read_cap(struct machine *m, uint32_t at)
{
	uint32_t type = (uint32_t)cfg_get(m, at + VIRTIO_PCI_CAP_CFG_TYPE, 1);
	uint64_t place = m->bar + cfg_get(m, at + VIRTIO_PCI_CAP_OFFSET, 4);
	uint32_t len = (uint32_t)cfg_get(m, at + VIRTIO_PCI_CAP_LENGTH, 4);

	assert_int_equal(cfg_get(m, at + VIRTIO_PCI_CAP_BAR, 1), 0);
	switch (type) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		m->common = place;
		assert_true(len >= 60);
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		m->notify = place;
		assert_int_equal(len, 4 * RIG_QUEUES);
		assert_int_equal(cfg_get(m, at + VIRTIO_PCI_NOTIFY_CAP_MULT, 4), 4);
		assert_int_equal(cfg_get(m, at + VIRTIO_PCI_CAP_LEN, 1), 20);
		break;
	case VIRTIO_PCI_CAP_ISR_CFG:
		m->isr = place;
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		m->config = place;
		assert_int_equal(len, RIG_CONFIG);
		break;
	case VIRTIO_PCI_CAP_PCI_CFG:
		m->window = at;
		break;
	default:
		fail();
	}
}

static void machine_open(struct machine *m)
{
	static const struct rig_options options = { .size = 16 };
	struct pci_root_config config = { .ecam_base = ECAM, .mem32 = { BAR_BASE, 0x10000000 } };
	struct error err;

	memset(m, 0, sizeof(*m));
	rig_open(&m->rig, &options);
	assert_int_equal(bus_new(0, &m->mmio), 0);
	assert_int_equal(bus_reader_add(m->mmio, &m->reader), 0);
	config.mmio = m->mmio;
	assert_int_equal(pci_root_new(&config, &m->root, &err), 0);
	assert_int_equal(virtio_pci_new(m->root, 1 << 3, m->rig.dev, &m->vpci, &err), 0);
	assert_int_equal(pci_assign(m->root, &err), 0);
	m->bar = cfg_get(m, 0x10, 4) & ~0xfull;
	for (uint32_t at = (uint32_t)cfg_get(m, 0x34, 1); at; at = (uint32_t)cfg_get(m, at + 1, 1))
		if (cfg_get(m, at, 1) == 9)
			read_cap(m, at);
	assert_true(m->common && m->notify && m->isr && m->config && m->window);
}

static void machine_close(struct machine *m)
{
	virtio_pci_free(m->vpci);
	pci_root_free(m->root);
	bus_reader_remove(m->mmio, m->reader);
	bus_free(m->mmio);
	rig_close(&m->rig);
}

static uint32_t msix_cap(struct machine *m)
{
	uint32_t at = (uint32_t)cfg_get(m, 0x34, 1);

	while (cfg_get(m, at, 1) != 0x11)
		at = (uint32_t)cfg_get(m, at + 1, 1);
	return at;
}

/* MSI-X on with all vectors masked: interrupts show in the pending bits. */
static uint64_t pending(struct machine *m)
{
	return get(m, m->bar + (cfg_get(m, msix_cap(m) + 8, 4) & ~7ull), 8);
}

static void msix_on(struct machine *m)
{
	cfg_set(m, msix_cap(m) + 2, 2, 0x8000);
}

static void test_identity(void **state)
{
	struct machine m;

	machine_open(&m);
	assert_int_equal(cfg_get(&m, 0, 2), 0x1af4);
	assert_int_equal(cfg_get(&m, 2, 2), 0x1044);
	assert_int_equal(cfg_get(&m, 8, 1), 1);
	assert_int_equal(cfg_get(&m, 11, 1), 0xff);
	assert_true(cfg_get(&m, 0x2e, 2) >= 0x40);
	assert_int_equal((cfg_get(&m, msix_cap(&m) + 2, 2) & 0x7ff) + 1, RIG_QUEUES + 1);
	machine_close(&m);
}

static void start_by_registers(struct machine *m)
{
	uint64_t features;

	set(m, REG(m, STATUS), 1, 0);
	assert_int_equal(get(m, REG(m, STATUS), 1), 0);
	set(m, REG(m, STATUS), 1, 1);
	set(m, REG(m, STATUS), 1, 3);
	set(m, REG(m, DFSELECT), 4, 1);
	features = get(m, REG(m, DF), 4) << 32;
	set(m, REG(m, DFSELECT), 4, 0);
	features |= get(m, REG(m, DF), 4);
	set(m, REG(m, DFSELECT), 4, 2);
	assert_int_equal(get(m, REG(m, DF), 4), 0);
	set(m, REG(m, GFSELECT), 4, 1);
	set(m, REG(m, GF), 4, features >> 32);
	assert_int_equal(get(m, REG(m, GF), 4), features >> 32);
	set(m, REG(m, GFSELECT), 4, 0);
	set(m, REG(m, GF), 4, features);
	set(m, REG(m, STATUS), 1, 11);
	assert_int_equal(get(m, REG(m, STATUS), 1), 11);
	assert_int_equal(features, m->rig.features);
	set(m, REG(m, MSIX), 2, 0);
	assert_int_equal(get(m, REG(m, NUMQ), 2), RIG_QUEUES);
	for (uint16_t q = 0; q < RIG_QUEUES; q++) {
		set(m, REG(m, Q_SELECT), 2, q);
		set(m, REG(m, Q_MSIX), 2, q + 1);
		assert_int_equal(get(m, REG(m, Q_MSIX), 2), q + 1);
		assert_int_equal(get(m, REG(m, Q_SIZE), 2), 16);
		assert_int_equal(get(m, REG(m, Q_NOFF), 2), q);
	}
}

static void test_driver(void **state)
{
	static const struct rig_buf bufs[] = { { RIG_DATA, 4 }, { RIG_DATA + 64, 8 } };
	struct rig_queue *queue;
	struct machine m;
	uint32_t len;
	uint16_t id;

	machine_open(&m);
	msix_on(&m);
	start_by_registers(&m);
	for (uint16_t q = 0; q < RIG_QUEUES; q++)
		rig_setup_queue(&m.rig, q, 16);
	/* Once more by registers, all of them. */
	set(&m, REG(&m, Q_SELECT), 2, 1);
	set(&m, REG(&m, Q_RESET), 2, 1);
	assert_int_equal(get(&m, REG(&m, Q_ENABLE), 2), 0);
	queue = &m.rig.queues[1];
	set(&m, REG(&m, Q_SIZE), 2, 16);
	set(&m, REG(&m, Q_DESCLO), 4, queue->desc_gpa);
	set(&m, REG(&m, Q_DESCHI), 4, 0);
	set(&m, REG(&m, Q_AVAILLO), 4, queue->driver_gpa);
	set(&m, REG(&m, Q_USEDLO), 4, queue->device_gpa);
	assert_int_equal(get(&m, REG(&m, Q_AVAILLO), 4), queue->driver_gpa);
	assert_int_equal(get(&m, REG(&m, Q_USEDLO), 4), queue->device_gpa);
	set(&m, REG(&m, Q_ENABLE), 2, 0);
	set(&m, REG(&m, Q_ENABLE), 2, 2);
	assert_int_equal(get(&m, REG(&m, Q_ENABLE), 2), 0);
	set(&m, REG(&m, Q_ENABLE), 2, 1);
	assert_int_equal(get(&m, REG(&m, Q_ENABLE), 2), 1);
	set(&m, REG(&m, STATUS), 1, 15);
	rig_pump(&m.rig);
	assert_int_equal(pending(&m), 0);

	rig_add(&m.rig, 1, bufs, 1, 1, 0);
	set(&m, m.notify + 4, 2, 1);
	rig_pump(&m.rig);
	assert_true(rig_used(&m.rig, 1, &id, &len));
	assert_int_equal(pending(&m), 1 << 2);
	assert_int_equal(virtio_config_update(m.rig.dev, 0, "abcd", 4), 0);
	assert_int_equal(pending(&m), 1 << 2 | 1 << 0);
	assert_int_equal(get(&m, m.config, 4), 0x64636261);
	assert_int_equal(get(&m, m.isr, 1) & 2, 2);
	assert_int_equal(get(&m, m.isr, 1), 0);

	/* Beside the doorbells there are none. */
	m.rig.n_queue_calls = 0;
	set(&m, m.notify + 2, 2, 0);
	set(&m, m.notify + 4 * RIG_QUEUES, 2, 0);
	rig_pump(&m.rig);
	assert_int_equal(m.rig.n_queue_calls, 0);

	set(&m, REG(&m, STATUS), 1, 0);
	rig_pump(&m.rig);
	assert_int_equal(get(&m, REG(&m, STATUS), 1), 0);
	set(&m, REG(&m, Q_SELECT), 2, 1);
	assert_int_equal(get(&m, REG(&m, Q_MSIX), 2), 0xffff);
	assert_int_equal(get(&m, REG(&m, Q_DESCLO), 4), 0);
	machine_close(&m);
}

static void test_queue_reset(void **state)
{
	struct machine m;

	machine_open(&m);
	start_by_registers(&m);
	for (uint16_t q = 0; q < RIG_QUEUES; q++)
		rig_setup_queue(&m.rig, q, 16);
	set(&m, REG(&m, STATUS), 1, 15);
	rig_pump(&m.rig);
	set(&m, REG(&m, Q_SELECT), 2, 2);
	set(&m, REG(&m, Q_RESET), 2, 1);
	assert_int_equal(get(&m, REG(&m, Q_RESET), 2), 1);
	rig_pump(&m.rig);
	assert_int_equal(get(&m, REG(&m, Q_RESET), 2), 0);
	assert_int_equal(get(&m, REG(&m, Q_ENABLE), 2), 0);
	assert_string_equal(m.rig.events, "AS2");
	machine_close(&m);
}

static void test_odd_accesses(void **state)
{
	struct machine m;

	machine_open(&m);
	/* Reads give the bytes that are there, whatever their width. */
	assert_int_equal(get(&m, REG(&m, NUMQ), 1), RIG_QUEUES);
	assert_int_equal(get(&m, REG(&m, NUMQ) + 1, 1), 0);
	assert_int_equal(get(&m, REG(&m, MSIX), 4), RIG_QUEUES << 16 | 0xffff);
	assert_int_equal(get(&m, REG(&m, Q_SIZE), 8) & 0xffffffff, 0xffff0010);
	assert_int_equal(get(&m, m.config + RIG_CONFIG, 4), 0xffffffff);
	assert_int_equal(get(&m, m.isr + 1, 2), 0xffff);
	assert_int_equal(get(&m, m.common + 0x80, 4), 0xffffffff);
	/* Writes of another width than the register's go nowhere. */
	set(&m, REG(&m, STATUS), 2, 3);
	set(&m, REG(&m, STATUS), 4, 3);
	set(&m, REG(&m, MSIX) + 2, 4, 0x01030103);
	assert_int_equal(get(&m, REG(&m, STATUS), 1), 0);
	set(&m, REG(&m, Q_SELECT), 4, 1);
	set(&m, REG(&m, Q_SELECT), 1, 1);
	assert_int_equal(get(&m, REG(&m, Q_SELECT), 2), 0);
	set(&m, REG(&m, Q_DESCLO), 2, 0x1000);
	set(&m, REG(&m, Q_DESCLO) + 2, 4, 0x1000);
	assert_int_equal(get(&m, REG(&m, Q_DESCLO), 8), 0);
	set(&m, REG(&m, Q_SIZE), 4, 8);
	set(&m, REG(&m, Q_SIZE), 1, 8);
	assert_int_equal(get(&m, REG(&m, Q_SIZE), 2), 16);
	set(&m, REG(&m, NUMQ), 2, 9);
	set(&m, REG(&m, CFGGENERATION), 1, 9);
	set(&m, REG(&m, Q_NOFF), 2, 9);
	assert_int_equal(get(&m, REG(&m, NUMQ), 2), RIG_QUEUES);
	assert_int_equal(get(&m, REG(&m, Q_NOFF), 2), 0);
	/* A vector or queue that does not exist. */
	set(&m, REG(&m, MSIX), 2, RIG_QUEUES + 1);
	assert_int_equal(get(&m, REG(&m, MSIX), 2), 0xffff);
	set(&m, REG(&m, Q_SELECT), 2, RIG_QUEUES);
	set(&m, REG(&m, Q_MSIX), 2, 1);
	set(&m, REG(&m, Q_ENABLE), 2, 1);
	assert_int_equal(get(&m, REG(&m, Q_MSIX), 2), 0xffff);
	assert_int_equal(get(&m, REG(&m, Q_SIZE), 2), 0);
	assert_int_equal(get(&m, REG(&m, Q_ENABLE), 2), 0);
	machine_close(&m);
}

static void set_window(struct machine *m, uint8_t bar, uint64_t addr, uint32_t length)
{
	cfg_set(m, m->window + VIRTIO_PCI_CAP_BAR, 1, bar);
	cfg_set(m, m->window + VIRTIO_PCI_CAP_OFFSET, 4, addr - m->bar);
	cfg_set(m, m->window + VIRTIO_PCI_CAP_LENGTH, 4, length);
}

static void test_window(void **state)
{
	struct machine m;
	uint32_t data;

	machine_open(&m);
	data = m.window + 16;
	set_window(&m, 0, REG(&m, NUMQ), 2);
	assert_int_equal(cfg_get(&m, data, 2), RIG_QUEUES);
	set_window(&m, 0, REG(&m, STATUS), 1);
	cfg_set(&m, data, 1, 3);
	assert_int_equal(get(&m, REG(&m, STATUS), 1), 3);
	set_window(&m, 0, REG(&m, Q_DESCLO), 4);
	cfg_set(&m, data, 4, 0x12345678);
	assert_int_equal(get(&m, REG(&m, Q_DESCLO), 4), 0x12345678);

	/* Wrong BAR, length, alignment, place. */
	set_window(&m, 0, REG(&m, NUMQ) - 1, 2);
	assert_int_equal(cfg_get(&m, data, 2), 0xffff);
	set_window(&m, 1, REG(&m, STATUS), 1);
	assert_int_equal(cfg_get(&m, data, 4), 0xffffffff);
	set_window(&m, 0, REG(&m, Q_DESCLO), 3);
	cfg_set(&m, data, 4, 0);
	set_window(&m, 0, REG(&m, Q_DESCLO), 0);
	cfg_set(&m, data, 4, 0);
	set_window(&m, 0, REG(&m, Q_DESCLO), 0x80000004);
	cfg_set(&m, data, 4, 0);
	set_window(&m, 0, REG(&m, Q_DESCLO) + 2, 4);
	cfg_set(&m, data, 4, 0);
	assert_int_equal(get(&m, REG(&m, Q_DESCLO), 4), 0x12345678);
	for (uint32_t i = 0; i < 64; i++) {
		set_window(&m, 0, m.bar + (1ull << (i % 32)) * 4 - 4 * (i > 31), 4);
		cfg_get(&m, data, 4);
		cfg_set(&m, data, 4, 0);
	}
	machine_close(&m);
}

static void test_machine_reset(void **state)
{
	struct machine m;

	machine_open(&m);
	start_by_registers(&m);
	for (uint16_t q = 0; q < RIG_QUEUES; q++)
		rig_setup_queue(&m.rig, q, 16);
	set(&m, REG(&m, STATUS), 1, 15);
	rig_pump(&m.rig);
	virtio_pci_reset(m.vpci);
	assert_string_equal(m.rig.events, "AS0S1S2D");
	assert_int_equal(get(&m, REG(&m, STATUS), 1), 0);
	assert_int_equal(get(&m, REG(&m, MSIX), 2), 0xffff);
	assert_int_equal(get(&m, REG(&m, Q_SELECT), 2), 0);
	assert_int_equal(get(&m, m.isr, 1), 0);
	machine_close(&m);
}

/* As many queues as there can be have their notification addresses. */
static void test_many_queues(void **state)
{
	struct virtio_env env = { .name = "many" };
	struct virtio_pci *vpci;
	struct virtio_dev *dev;
	struct machine m;
	struct error err;
	uint64_t bar;

	machine_open(&m);
	m.rig.desc.n_queues = VIRTIO_MAX_QUEUES;
	env.mem = m.rig.mem;
	env.loop = m.rig.loop;
	assert_int_equal(virtio_new(&env, &m.rig.desc, &m.rig, &dev, &err), 0);
	assert_int_equal(virtio_pci_new(m.root, -1, dev, &vpci, &err), 0);
	assert_int_equal(pci_assign(m.root, &err), 0);
	bar = get(&m, ECAM + 0x10, 4);
	if (get(&m, ECAM, 2) != 0x1af4)
		bar = get(&m, ECAM + (2 << 15) + 0x10, 4);
	bar &= ~0xfull;
	bar += pci_msix_bytes(VIRTIO_MAX_QUEUES + 1);
	set(&m, bar + VIRTIO_PCI_COMMON_Q_SELECT, 2, VIRTIO_MAX_QUEUES - 1);
	assert_int_equal(get(&m, bar + VIRTIO_PCI_COMMON_Q_SIZE, 2), 16);
	assert_int_equal(get(&m, bar + VIRTIO_PCI_COMMON_Q_NOFF, 2), VIRTIO_MAX_QUEUES - 1);
	set(&m, bar + VIRTIO_PCI_COMMON_Q_MSIX, 2, VIRTIO_MAX_QUEUES);
	assert_int_equal(get(&m, bar + VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MAX_QUEUES);
	set(&m, bar + 0x1000 + 4 * (VIRTIO_MAX_QUEUES - 1), 4, 0);
	virtio_pci_free(vpci);
	virtio_free(dev);
	machine_close(&m);
	virtio_pci_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),    cmocka_unit_test(test_driver),
		cmocka_unit_test(test_queue_reset), cmocka_unit_test(test_odd_accesses),
		cmocka_unit_test(test_window),	    cmocka_unit_test(test_machine_reset),
		cmocka_unit_test(test_many_queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
