/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration space and functions. */
#include "test_pci.h"

/* --- access to configuration space --- */

static void test_ports_reach_every_byte(void **state)
{
	struct fixture *f = *state;

	add(f, BDF(3, 0), &plain);
	out(f, 0xcf8, 4, 0x80000000 | BDF(3, 0) << 8);
	assert_int_equal(in(f, 0xcf8, 4), 0x80001800);
	assert_int_equal(in(f, 0xcfc, 4), 0x10421af4);
	assert_int_equal(in(f, 0xcfe, 2), 0x1042);
	assert_int_equal(in(f, 0xcfd, 1), 0x1a);
	/* Across the end of the data register there is nothing. */
	assert_int_equal(in(f, 0xcfe, 4), 0xffffffff);
	out(f, 0xcf8, 4, 0x80000000 | BDF(3, 0) << 8 | COMMAND);
	out(f, 0xcfd, 1, 0x04);
	out(f, 0xcfc, 1, 0x06);
	assert_int_equal(in(f, 0xcfc, 2), 0x0406);
}

static void test_address_port_takes_dwords_only(void **state)
{
	struct fixture *f = *state;

	add(f, BDF(0, 0), &plain);
	/* How Linux looks for this mechanism. */
	out(f, 0xcfb, 1, 0x01);
	out(f, 0xcf8, 4, 0x80000000);
	assert_int_equal(in(f, 0xcf8, 4), 0x80000000);
	out(f, 0xcf8, 2, 0x1234);
	out(f, 0xcf9, 1, 0x06);
	assert_int_equal(in(f, 0xcf8, 4), 0x80000000);
	assert_int_equal(in(f, 0xcf8, 2), 0xffff);
	/* Reserved bits read 0; without the enable bit the data register is dead. */
	out(f, 0xcf8, 4, 0x7f000003);
	assert_int_equal(in(f, 0xcf8, 4), 0);
	assert_int_equal(in(f, 0xcfc, 4), 0xffffffff);
	out(f, 0xcf8, 4, COMMAND);
	out(f, 0xcfc, 2, 7);
	assert_int_equal(config_read(f, 0, COMMAND, 2), 0);
}

static void test_absent_functions_read_ones(void **state)
{
	struct fixture *f = *state;

	add(f, BDF(0, 0), &plain);
	assert_int_equal(config_read(f, BDF(1, 0), 0, 4), 0xffffffff);
	assert_int_equal(config_read(f, BDF(0, 1), 0, 2), 0xffff);
	assert_int_equal(config_read(f, 0x100, 0, 4), 0xffffffff);
	assert_int_equal(config_read(f, 0xffff, 0xffc, 4), 0xffffffff);
	config_write(f, BDF(1, 0), COMMAND, 4, 7);
	out(f, 0xcf8, 4, 0x80ff0000);
	assert_int_equal(in(f, 0xcfc, 4), 0xffffffff);
}

static void test_function_on_another_bus(void **state)
{
	struct fixture *f = *state;
	struct pci_fn *fn = add(f, 5 << 8 | BDF(2, 0), &plain);

	assert_int_equal(pci_bdf(fn), 0x510);
	assert_int_equal(config_read(f, 0x510, 0, 4), 0x10421af4);
	out(f, 0xcf8, 4, 0x80051000);
	assert_int_equal(in(f, 0xcfc, 4), 0x10421af4);
}

static void test_header(void **state)
{
	struct fixture *f = *state;

	add(f, 0, &plain);
	assert_int_equal(config_read(f, 0, 0x08, 4), 0x01800201);
	assert_int_equal(config_read(f, 0, 0x0e, 1), 0);
	assert_int_equal(config_read(f, 0, 0x2c, 4), 0x56781234);
	assert_int_equal(config_read(f, 0, 0x3c, 4), 0);
	assert_int_equal(config_read(f, 0, 0x04, 4), 0);
	assert_int_equal(config_read(f, 0, 0x34, 1), 0);
	assert_int_equal(config_read(f, 0, 0x100, 4), 0);
	/* The last byte of the function does not leak into the next. */
	assert_int_equal(config_read(f, 0, 0xffe, 4), 0xffffffff);
}

static void test_writes_honour_masks(void **state)
{
	struct fixture *f = *state;
	int offset;

	add(f, 0, &plain);
	for (offset = 0; offset < 0x1000; offset += 4)
		config_write(f, 0, offset, 4, 0xffffffff);
	assert_int_equal(config_read(f, 0, COMMAND, 4), 0x0407);
	assert_int_equal(config_read(f, 0, 0, 4), 0x10421af4);
	for (offset = 8; offset < 0x1000; offset += 4)
		if (offset != 8 && offset != 0x2c)
			assert_int_equal(config_read(f, 0, offset, 4), 0);
	config_write(f, 0, COMMAND + 1, 1, 0);
	assert_int_equal(config_read(f, 0, COMMAND, 2), 0x0007);
}

static void test_capabilities_keep_their_order(void **state)
{
	struct fixture *f = *state;
	static const uint8_t body[6] = { 0x10, 0x20, 0x30, 0x40, 0x50, 0x60 };
	static const uint8_t writable[6] = { 0, 0x0f, 0xff };
	struct pci_fn_desc desc = plain;
	struct pci_fn *fn;
	int first, second, msix;

	desc.n_vectors = 2;
	fn = add(f, 0, &desc);
	first = pci_add_capability(fn, 0x09, body, writable, sizeof(body), false);
	second = pci_add_capability(fn, 0x05, body, NULL, 3, false);
	assert_int_equal(config_read(f, 0, 0x06, 2), 0x10);
	msix = (int)config_read(f, 0, 0x34, 1);
	assert_int_equal(msix, 0x40);
	assert_int_equal(config_read(f, 0, msix, 1), 0x11);
	assert_int_equal(config_read(f, 0, msix + 1, 1), first);
	assert_int_equal(config_read(f, 0, first, 4), 0x20100009 | second << 8);
	assert_int_equal(config_read(f, 0, second, 4), 0x20100005);
	config_write(f, 0, first + 2, 4, 0xffffffff);
	assert_int_equal(config_read(f, 0, first + 2, 4), 0x40ff2f10);
	config_write(f, 0, second + 2, 2, 0xffff);
	assert_int_equal(config_read(f, 0, second + 2, 2), 0x2010);
	/* The list ends, and stays good, where there is no room. */
	assert_int_equal(pci_add_capability(fn, 9, body, NULL, 0xa4, false), -ENOSPC);
	while (pci_add_capability(fn, 9, body, NULL, 2, false) > 0)
		;
	assert_int_equal(config_read(f, 0, 0xfc, 4), 0x20100009);
	assert_int_equal(pci_add_capability(fn, 9, body, NULL, 0, false), -ENOSPC);
}

struct hooks {
	struct pci_fn *fn;
	int n_reads, n_writes;
	uint16_t offset;
	uint32_t size;
};

static void hook_read(void *opaque, uint16_t offset, uint32_t size)
{
	struct hooks *hooks = opaque;

	hooks->n_reads++;
	hooks->offset = offset;
	hooks->size = size;
	pci_config(hooks->fn)[offset] = 0x77;
}

static void hook_write(void *opaque, uint16_t offset, uint32_t size)
{
	struct hooks *hooks = opaque;

	hooks->n_writes++;
	hooks->offset = pci_config(hooks->fn)[offset];
}

static void test_hooked_capability(void **state)
{
	struct fixture *f = *state;
	static const struct pci_fn_ops ops = { hook_read, hook_write, NULL };
	static const uint8_t body[6], writable[6] = { 0xff };
	struct hooks hooks = { 0 };
	struct pci_fn_desc desc = plain;
	int cap;

	desc.ops = &ops;
	desc.opaque = &hooks;
	hooks.fn = add(f, 0, &desc);
	pci_add_capability(hooks.fn, 9, body, NULL, 2, false);
	cap = pci_add_capability(hooks.fn, 9, body, writable, sizeof(body), true);
	config_read(f, 0, 0, 4);
	config_read(f, 0, cap - 4, 4);
	config_read(f, 0, cap, 2);
	assert_int_equal(hooks.n_reads, 0);
	assert_int_equal(config_read(f, 0, cap + 4, 2), 0x0077);
	assert_int_equal(hooks.n_reads, 1);
	assert_int_equal(hooks.offset, cap + 4);
	assert_int_equal(hooks.size, 2);
	config_write(f, 0, cap + 2, 1, 0xab);
	assert_int_equal(hooks.n_writes, 1);
	assert_int_equal(hooks.offset, 0xab);
}

/* --- functions --- */

static void test_places(void **state)
{
	struct fixture *f = *state;
	struct pci_fn_desc named = plain;
	struct pci_fn *fn = NULL;
	int i;

	assert_int_equal(pci_bdf(add(f, -1, &plain)), BDF(0, 0));
	named.owner = "net0";
	add(f, BDF(2, 1), &named);
	assert_int_equal(pci_bdf(add(f, -1, &plain)), BDF(1, 0));
	assert_int_equal(pci_bdf(add(f, -1, &plain)), BDF(3, 0));
	assert_int_equal(pci_add(f->root, BDF(2, 1), &plain, &fn, &f->err), -EBUSY);
	assert_string_equal(f->err.text, "dev: PCI address 00:02.1 is taken by net0");
	assert_int_equal(pci_add(f->root, 0x10000, &plain, &fn, &f->err), -EINVAL);
	for (i = 4; i < 32; i++)
		add(f, -1, &plain);
	assert_int_equal(pci_add(f->root, -1, &plain, &fn, &f->err), -ENOSPC);
	assert_non_null(strstr(f->err.text, "32 slots"));
	assert_null(fn);
}

static void test_multi_function(void **state)
{
	struct fixture *f = *state;
	struct pci_fn *second = add(f, BDF(4, 3), &plain);

	add(f, BDF(4, 0), &plain);
	assert_int_equal(config_read(f, BDF(4, 0), 0x0e, 1), 0x80);
	pci_remove(second);
	assert_int_equal(config_read(f, BDF(4, 0), 0x0e, 1), 0);
	assert_int_equal(config_read(f, BDF(4, 3), 0, 4), 0xffffffff);
	add(f, BDF(5, 1), &plain);
	assert_int_equal(config_read(f, BDF(4, 0), 0x0e, 1), 0);
	add(f, BDF(4, 1), &plain);
	assert_int_equal(config_read(f, BDF(4, 0), 0x0e, 1), 0x80);
	add(f, BDF(6, 0), &plain);
	assert_int_equal(config_read(f, BDF(6, 0), 0x0e, 1), 0);
}

static void test_removed_function_is_gone(void **state)
{
	struct fixture *f = *state;
	struct pci_fn *fn = add_bar(f, 0, 0x1000, 0);

	assert_int_equal(pci_add_ioeventfd(fn, 0, 0, 4, 77), 0);
	assign(f);
	assert_int_equal(f->hv.n_ioeventfds, 1);
	pci_remove(fn);
	assert_int_equal(mmio_read(f, MEM32, 1), 0xff);
	assert_int_equal(config_read(f, 0, 0, 4), 0xffffffff);
	assert_int_equal(f->hv.n_ioeventfds, 0);
	pci_sync(f->root);
}

static void test_bad_descriptions(void **state)
{
	struct fixture *f = *state;
	static const struct {
		unsigned bar;
		uint64_t size;
		uint32_t flags;
		const char *text;
	} bad[] = {
		{ 0, 0x1800, 0, "BAR 0: size is no power of two" },
		{ 1, 8, 0, "BAR 1: too small" },
		{ 1, 2, PCI_BAR_IO, "too small" },
		{ 1, 0x100000000, 0, "too large" },
		{ 1, 0x10000, PCI_BAR_IO, "too large" },
		{ 1, 0x20, PCI_BAR_IO | PCI_BAR_64BIT, "I/O BARs" },
		{ 5, 0x1000, PCI_BAR_64BIT, "BAR 5: no room" },
		{ 2, 0x1000, PCI_BAR_64BIT, "BAR 2: no room" },
	};
	struct pci_fn *fn = NULL;
	struct pci_fn_desc desc;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		desc = plain;
		desc.bars[3] = (struct pci_bar_desc){ 0x1000, 0, &device_ops, &f->dev };
		desc.bars[bad[i].bar] =
			(struct pci_bar_desc){ bad[i].size, bad[i].flags, &device_ops, &f->dev };
		assert_int_equal(pci_add(f->root, -1, &desc, &fn, &f->err), -EINVAL);
		if (!strstr(f->err.text, bad[i].text))
			fail_msg("\"%s\" does not say \"%s\"", f->err.text, bad[i].text);
	}
	desc = plain;
	desc.bars[0].size = 0x1000;
	assert_int_equal(pci_add(f->root, -1, &desc, &fn, &f->err), -EINVAL);
	desc = plain;
	desc.n_vectors = 2049;
	assert_int_equal(pci_add(f->root, -1, &desc, &fn, &f->err), -EINVAL);
	desc.n_vectors = 300;
	desc.bars[0] = (struct pci_bar_desc){ 0x1000, 0, &device_ops, &f->dev };
	assert_int_equal(pci_add(f->root, -1, &desc, &fn, &f->err), -EINVAL);
	assert_non_null(strstr(f->err.text, "MSI-X table"));
	assert_null(fn);
	assert_int_equal(config_read(f, 0, 0, 4), 0xffffffff);
}

static void test_root_without_ports(void **state)
{
	struct fixture *f = *state;
	struct pci_root_config config = { .mmio = f->mmio, .ecam_base = ECAM };
	struct pci_root *root = NULL;

	assert_int_equal(pci_root_new(&config, &root, &f->err), -EBUSY);
	assert_non_null(strstr(f->err.text, "PCI configuration"));
	assert_null(root);
	pci_root_free(NULL);
	config.ecam_base = 0x40000000;
	assert_int_equal(pci_root_new(&config, &root, &f->err), 0);
	assert_int_equal(mmio_read(f, 0x40000000, 2), 0xffff);
	pci_root_free(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ports_reach_every_byte),
		TEST(test_address_port_takes_dwords_only),
		TEST(test_absent_functions_read_ones),
		TEST(test_function_on_another_bus),
		TEST(test_header),
		TEST(test_writes_honour_masks),
		TEST(test_capabilities_keep_their_order),
		TEST(test_hooked_capability),
		TEST(test_places),
		TEST(test_multi_function),
		TEST(test_removed_function_is_gone),
		TEST(test_bad_descriptions),
		TEST(test_root_without_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
