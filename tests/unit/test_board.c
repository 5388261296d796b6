/* SPDX-License-Identifier: Apache-2.0 */
/* The machine through its ports and memory, as a guest uses it. The hypervisor is replaced by the
 * functions named __wrap_*. */
#include "board/board.h"

#include "test_payload.h"

#define LOW_LIMIT 0x80000000
#define ECAM	  0xe0000000
#define BAR0	  0x10

struct machine {
	struct fixture *f;
	struct bus *pio, *mmio;
	struct bus_reader *pio_reader, *mmio_reader;
	struct board *board;
	unsigned n_events;
	enum board_event event;
};

/* --- the hypervisor --- */

static struct {
	unsigned n_edges, n_irqchip_resets;
	uint32_t gsi;
	int level;
	struct hv_x86_start start;
	uint32_t apic_id;
} hv;

unsigned __wrap_hv_x86_phys_bits(const struct hv_vm *vm);
unsigned __wrap_hv_x86_phys_bits(const struct hv_vm *vm)
{
	return 39;
}

int __wrap_hv_irq_line(struct hv_vm *vm, uint32_t gsi, int level);
int __wrap_hv_irq_line(struct hv_vm *vm, uint32_t gsi, int level)
{
	hv.n_edges += level && !hv.level;
	hv.gsi = gsi;
	hv.level = level;
	return 0;
}

int __wrap_hv_x86_start(struct hv_vcpu *vcpu, const struct hv_x86_start *start);
int __wrap_hv_x86_start(struct hv_vcpu *vcpu, const struct hv_x86_start *start)
{
	hv.start = *start;
	return 0;
}

int __wrap_hv_x86_reset_irqchip(struct hv_vm *vm);
int __wrap_hv_x86_reset_irqchip(struct hv_vm *vm)
{
	hv.n_irqchip_resets++;
	return 0;
}

int __wrap_hv_x86_supported_cpuid(struct hv_vm *vm, struct hv_cpuid **ret_leaves, unsigned *ret_n);
int __wrap_hv_x86_supported_cpuid(struct hv_vm *vm, struct hv_cpuid **ret_leaves, unsigned *ret_n)
{
	*ret_leaves = calloc(1, sizeof(**ret_leaves));
	(*ret_leaves)->leaf = 1;
	*ret_n = 1;
	return 0;
}

int __wrap_hv_x86_set_cpuid(struct hv_vcpu *vcpu, const struct hv_cpuid *leaves, unsigned n);
int __wrap_hv_x86_set_cpuid(struct hv_vcpu *vcpu, const struct hv_cpuid *leaves, unsigned n)
{
	assert_int_equal(leaves[0].leaf, 1);
	hv.apic_id = leaves[0].ebx >> 24;
	return 0;
}

/* --- the machine --- */

static void on_event(void *opaque, enum board_event event)
{
	struct machine *m = opaque;

	m->n_events++;
	m->event = event;
}

static int setup(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct bzimage bz;

	memset(&hv, 0, sizeof(hv));
	assert_int_equal(fixture_setup((void **)&m->f), 0);
	fixture_ram(m->f, 64 * MIB);
	bzimage_init(&bz);
	bzimage_write(&bz, "kernel");
	m->f->config.kernel = "kernel";
	assert_int_equal(bus_new(0x10000, &m->pio), 0);
	assert_int_equal(bus_new(0, &m->mmio), 0);
	assert_int_equal(bus_reader_add(m->pio, &m->pio_reader), 0);
	assert_int_equal(bus_reader_add(m->mmio, &m->mmio_reader), 0);

	const struct board_config config = {
		.hv = (struct hv_vm *)&hv,
		.mem = m->f->mem,
		.pio = m->pio,
		.mmio = m->mmio,
		.cpu = { 6, 1, 3, 2 },
		.event = on_event,
		.opaque = m,
	};
	if (board_new(&config, &m->board, &m->f->err))
		fail_msg("%s", m->f->err.text);
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct machine *m = *state;
	struct fixture *f = m->f;

	board_free(m->board);
	bus_reader_remove(m->pio, m->pio_reader);
	bus_reader_remove(m->mmio, m->mmio_reader);
	bus_free(m->pio);
	bus_free(m->mmio);
	free(m);
	return fixture_teardown((void **)&f);
}

static uint32_t in(struct machine *m, uint16_t port, uint32_t size)
{
	uint32_t value = 0;

	bus_read(m->pio, m->pio_reader, port, size, &value);
	return value;
}

static void out(struct machine *m, uint16_t port, uint32_t size, uint32_t value)
{
	bus_write(m->pio, m->pio_reader, port, size, &value);
}

static uint32_t config_read(struct machine *m, uint32_t addr)
{
	out(m, 0xcf8, 4, 0x80000000 | addr);
	return in(m, 0xcfc, 4);
}

static uint64_t mmio_read(struct machine *m, uint64_t addr, uint32_t size)
{
	uint64_t value = 0;

	bus_read(m->mmio, m->mmio_reader, addr, size, &value);
	return value;
}

static void test_guest_switches_off_and_resets(void **state)
{
	struct machine *m = *state;

	out(m, 0x600, 1, 0x34);
	assert_int_equal(m->n_events, 1);
	assert_int_equal(m->event, BOARD_POWEROFF);
	out(m, 0x604, 1, 0x72);
	assert_int_equal(m->n_events, 2);
	assert_int_equal(m->event, BOARD_RESET);
	/* Not enabled, another sleep state, another value, the status. */
	out(m, 0x600, 1, 0x14);
	out(m, 0x600, 1, 0x2c);
	out(m, 0x604, 1, 0x73);
	out(m, 0x601, 1, 0x34);
	out(m, 0x602, 1, 0x34);
	assert_int_equal(m->n_events, 2);
	assert_int_equal(in(m, 0x600, 1), 0);
	assert_int_equal(in(m, 0x601, 1), 0);
	/* Two registers at once, and where there is none. */
	assert_int_equal(in(m, 0x600, 4), 0xffff0000);
	out(m, 0x600, 2, 0x0034);
	assert_int_equal(m->n_events, 3);
}

static void test_nothing_of_a_pc_is_there(void **state)
{
	static const uint16_t ports[] = { 0x20, 0x40, 0x60, 0x61, 0x64, 0x70, 0x71, 0x3f8, 0x605 };
	struct machine *m = *state;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(ports); i++)
		assert_int_equal(in(m, ports[i], 1), 0xff);
}

static void test_host_bridge_is_at_0(void **state)
{
	struct machine *m = *state;

	assert_int_equal(config_read(m, 0), 0x14801022);
	assert_int_equal(config_read(m, 8) >> 16, 0x0600);
	assert_int_equal(mmio_read(m, ECAM, 4), 0x14801022);
	assert_int_equal(config_read(m, 1 << 11), 0xffffffff);
}

static uint64_t bar_read(void *opaque, uint64_t offset, uint32_t size)
{
	return 0x5a;
}

static int bar_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
{
	return 0;
}

/* Both ways to configuration space apply what they change at once. */
static void test_guest_moves_a_bar(void **state)
{
	static const struct bus_ops ops = { bar_read, bar_write };
	const struct pci_fn_desc desc = {
		.owner = "test",
		.vendor_id = 0x1234,
		.bars = { { .size = 4096, .ops = &ops } },
	};
	struct machine *m = *state;
	uint32_t bar, value;
	struct pci_fn *fn;

	assert_int_equal(pci_add(board_pci(m->board), 1 << 3, &desc, &fn, &m->f->err), 0);
	assert_int_equal(board_load(m->board, &m->f->config, &m->f->err), 0);
	bar = config_read(m, 1 << 11 | BAR0);
	assert_true(bar >= 0xa0000000 && bar < 0xc0000000);
	assert_int_equal(mmio_read(m, bar, 1), 0x5a);

	out(m, 0xcf8, 4, 0x80000000 | 1 << 11 | BAR0);
	out(m, 0xcfc, 4, 0xb0000000);
	assert_int_equal(mmio_read(m, 0xb0000000, 1), 0x5a);
	assert_int_equal(mmio_read(m, bar, 1), 0xff);

	value = 0xb1000000;
	bus_write(m->mmio, m->mmio_reader, ECAM + (1 << 15) + BAR0, 4, &value);
	assert_int_equal(mmio_read(m, 0xb1000000, 1), 0x5a);
	assert_int_equal(mmio_read(m, 0xb0000000, 1), 0xff);

	board_reset(m->board);
	assert_int_equal(board_load(m->board, &m->f->config, &m->f->err), 0);
	assert_int_equal(mmio_read(m, bar, 1), 0x5a);
	pci_remove(fn);
}

static void test_load_leaves_all_that_a_kernel_looks_for(void **state)
{
	const struct alcor_acpi_node com1 = {
		.struct_size = sizeof(com1),
		.name = "COM1",
		.hid = "PNP0501",
		.pio_base = 0x3f8,
		.pio_len = 8,
		.gsi = 4,
	};
	struct machine *m = *state;
	struct boot_params *params;
	uint8_t *tables;

	assert_int_equal(board_add_acpi_node(m->board, &com1), 0);
	assert_int_equal(board_add_acpi_node(m->board, &com1), -EEXIST);
	assert_int_equal(board_load(m->board, &m->f->config, &m->f->err), 0);
	assert_int_equal(board_vcpu_start(m->board, NULL, 0), 0);
	assert_int_equal(hv.start.mode, HV_X86_LONG64);
	assert_int_equal(hv.start.rip, 0x1000200);
	params = mem_ptr(m->f->mem, hv.start.rsi, sizeof(*params));
	assert_int_equal(params->acpi_rsdp_addr, 0xe0000);
	assert_int_equal(params->e820_entries, 5);
	assert_int_equal(params->e820_table[2].addr, MIB);
	assert_int_equal(params->e820_table[2].size, 63 * MIB);
	assert_int_equal(params->e820_table[3].addr, ECAM);
	tables = mem_ptr(m->f->mem, 0xe0000, 0x20000);
	assert_memory_equal(tables, "RSD PTR ", 8);
	assert_non_null(memmem(tables, 0x20000, "COM1", 4));
	/* A jump to the reset vector resets: mov dx, 0x604; mov al, 0x72; out dx, al. */
	assert_memory_equal(tables + 0x1fff0, "\xba\x04\x06\xb0\x72\xee", 6);
}

static void test_load_tells_what_the_payload_says(void **state)
{
	struct machine *m = *state;

	m->f->config.kernel = "nowhere";
	assert_int_equal(board_load(m->board, &m->f->config, &m->f->err), -ENOENT);
	assert_string_equal(m->f->err.text, "--kernel nowhere: open: No such file or directory");
}

static void test_cpus(void **state)
{
	struct machine *m = *state;

	assert_int_equal(board_vcpu_id(m->board, 5), 5);
	assert_int_equal(board_vcpu_init(m->board, NULL, 4, &m->f->err), 0);
	assert_int_equal(hv.apic_id, 4);
	assert_int_equal(board_load(m->board, &m->f->config, &m->f->err), 0);
	assert_int_equal(board_vcpu_start(m->board, NULL, 1), 0);
	assert_int_equal(hv.start.mode, HV_X86_WAIT_SIPI);
}

static void test_power_button_is_one_edge(void **state)
{
	struct machine *m = *state;

	board_power_button(m->board);
	assert_int_equal(hv.gsi, 9);
	assert_int_equal(hv.n_edges, 1);
	assert_int_equal(hv.level, 0);
	board_power_button(m->board);
	assert_int_equal(hv.n_edges, 2);
}

static void test_reset_includes_interrupt_controllers(void **state)
{
	struct machine *m = *state;

	board_reset(m->board);
	assert_int_equal(hv.n_irqchip_resets, 1);
}

static uint64_t conflict_read(void *opaque, uint64_t offset, uint32_t size)
{
	return 0x77;
}

/* A board that cannot be finished leaves nothing behind. */
static void test_conflict_undoes_the_board(void **state)
{
	static const struct bus_ops ops = { conflict_read, bar_write };
	const struct bus_region region = { 0x600, 8, &ops, NULL, "somebody" };
	struct machine *m = *state;
	struct board_config config = {
		.mem = m->f->mem,
		.cpu = { 1, 1, 1, 1 },
		.event = on_event,
		.opaque = m,
	};
	struct board *board = NULL;
	struct bus_reader *reader;
	struct bus *pio, *mmio;
	uint8_t value;

	assert_int_equal(bus_new(0x10000, &pio), 0);
	assert_int_equal(bus_reader_add(pio, &reader), 0);
	assert_int_equal(bus_new(0, &mmio), 0);
	config.pio = pio;
	config.mmio = mmio;
	assert_int_equal(bus_add(pio, &region, &m->f->err), 0);
	assert_int_equal(board_new(&config, &board, &m->f->err), -EBUSY);
	assert_null(board);
	assert_non_null(strstr(m->f->err.text, "somebody"));
	bus_read(pio, reader, 0x600, 1, &value);
	assert_int_equal(value, 0x77);
	bus_remove(pio, 0x600);
	assert_int_equal(board_new(&config, &board, &m->f->err), 0);
	board_free(board);
	board_free(NULL);
	bus_reader_remove(pio, reader);
	bus_free(pio);
	bus_free(mmio);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_guest_switches_off_and_resets),
		TEST(test_nothing_of_a_pc_is_there),
		TEST(test_host_bridge_is_at_0),
		TEST(test_guest_moves_a_bar),
		TEST(test_load_leaves_all_that_a_kernel_looks_for),
		TEST(test_load_tells_what_the_payload_says),
		TEST(test_cpus),
		TEST(test_power_button_is_one_edge),
		TEST(test_reset_includes_interrupt_controllers),
		TEST(test_conflict_undoes_the_board),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
