/* SPDX-License-Identifier: Apache-2.0 */
/* The balloon in a VM: a driver's lists and reports empty pages of its memory, and the user's
 * properties reach the driver. */
#include <dlfcn.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "mem/mem.h"
#include "plugin/ctl.h"
#include "plugin/device_impl.h"
#include "test_device_vm.h"

#define PAGE	   4096u
#define QUEUE_SIZE 8u
#define N_QUEUES   5u
#define QUEUE_GPA  0x10000u /* the first; each has 64 KiB */
#define BUFFER_GPA 0x80000u
#define PAGES_GPA  0x100000u /* to be given back */
#define WAIT_SEC   20

#define F_STATS	    (1u << 1)
#define F_REPORTING (1u << 5)

struct fixture {
	struct vm vm;
	struct error err;
	struct vm_device *vmdev;
	struct virtio_dev *virtio;
	uint16_t sent[N_QUEUES];
};

static const struct alcor_claim *load_claim(void)
{
	const struct alcor_plugin *(*entry)(void);
	void *object = dlopen(PLUGIN_PATH, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	assert_non_null(object);
	*(void **)&entry = dlsym(object, "alcor_plugin_entry_1");
	assert_non_null(entry);
	dlclose(object);
	return &entry()->claims[0];
}

static void *at(struct fixture *f, uint64_t gpa, uint64_t len)
{
	void *host = mem_ptr(f->vm.mem, gpa, len);

	assert_non_null(host);
	return host;
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	*state = f;
	test_vm_open(&f->vm);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	test_vm_close(&f->vm);
	test_free(f);
	return 0;
}

static void open_device(struct fixture *f, const char *params)
{
	if (test_vm_add(&f->vm, load_claim(), params, &f->err))
		fail_msg("%s", f->err.text);
	f->vmdev = f->vm.devices;
	f->virtio = container_of(f->vmdev, struct device, vmdev)->virtio;
	assert_int_equal(f->vmdev->resume(f->vmdev), 0);
}

static void start_queue(struct fixture *f, uint16_t q)
{
	uint32_t gpa = QUEUE_GPA + q * 0x10000u;

	memset(at(f, gpa, 0x10000), 0, 0x10000);
	virtio_queue_set_size(f->virtio, q, QUEUE_SIZE);
	for (unsigned area = 0; area < 3; area++)
		virtio_queue_set_area(f->virtio, q, area, 0, gpa + area * 0x1000);
	virtio_queue_enable(f->virtio, q);
}

static void start_driver(struct fixture *f, uint32_t features, uint16_t n_queues)
{
	uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	virtio_set_status(f->virtio, status);
	virtio_set_driver_features(f->virtio, 0, features);
	virtio_set_driver_features(f->virtio, 1, 1);
	status |= VIRTIO_CONFIG_S_FEATURES_OK;
	virtio_set_status(f->virtio, status);
	assert_int_equal(virtio_status(f->virtio), status);
	for (uint16_t q = 0; q < n_queues; q++)
		start_queue(f, q);
	virtio_set_status(f->virtio, status | VIRTIO_CONFIG_S_DRIVER_OK);
}

static void get(struct fixture *f, const char *name, char ret_text[64])
{
	if (ctl_ops.get(&f->vm, name, ret_text, 64, &f->err))
		fail_msg("%s", f->err.text);
}

/* Round trips to the device's loop until @done says so. */
static void wait_for(struct fixture *f, bool (*done)(struct fixture *f, uint64_t arg), uint64_t arg)
{
	time_t end = time(NULL) + WAIT_SEC;
	char text[64];

	while (!done(f, arg)) {
		get(f, "balloon0.target", text);
		if (time(NULL) > end)
			fail_msg("nothing came");
	}
}

static bool queue_is_served(struct fixture *f, uint64_t q)
{
	struct vring_used *used = at(f, QUEUE_GPA + q * 0x10000 + 0x2000, sizeof(*used));

	return __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == f->sent[q];
}

/* One buffer, and waits until it was used. */
static void send(struct fixture *f, uint16_t q, uint32_t gpa, uint32_t len, uint16_t flags)
{
	uint32_t base = QUEUE_GPA + q * 0x10000u;
	struct vring_desc *desc = at(f, base, sizeof(*desc));
	struct vring_avail *avail = at(f, base + 0x1000, sizeof(*avail));
	uint64_t one = 1;

	*desc = (struct vring_desc){ .addr = gpa, .len = len, .flags = flags };
	avail->ring[f->sent[q] % QUEUE_SIZE] = 0;
	__atomic_store_n(&avail->idx, ++f->sent[q], __ATOMIC_RELEASE);
	assert_int_equal(write(virtio_queue_doorbell(f->virtio, q), &one, 8), 8);
	wait_for(f, queue_is_served, q);
}

static unsigned resident_pages(struct fixture *f, uint32_t gpa, unsigned n)
{
	unsigned char map[256];
	unsigned sum = 0;

	assert_int_equal(mincore(at(f, gpa, n * PAGE), n * PAGE, map), 0);
	for (unsigned i = 0; i < n; i++)
		sum += map[i] & 1;
	return sum;
}

static void test_inflate(void **state)
{
	struct fixture *f = *state;
	uint32_t *pfns;

	open_device(f, "");
	memset(at(f, PAGES_GPA, 64 * PAGE), 0x5a, 64 * PAGE);
	pfns = at(f, BUFFER_GPA, PAGE);
	for (uint32_t i = 0; i < 16; i++)
		pfns[i] = PAGES_GPA / PAGE + 2 * i;
	pfns[16] = TEST_RAM / PAGE; /* behind the last */
	start_driver(f, 0, 2);
	send(f, 0, BUFFER_GPA, 17 * sizeof(*pfns), 0);
	assert_int_equal(resident_pages(f, PAGES_GPA, 64), 48);
	send(f, 1, BUFFER_GPA, 17 * sizeof(*pfns), 0);
	assert_int_equal(*(uint8_t *)at(f, PAGES_GPA, 1), 0);
	assert_int_equal(*(uint8_t *)at(f, PAGES_GPA + PAGE, 1), 0x5a);
}

/* As Linux numbers the queues, without and with statistics, and as the specification does. */
static void test_reporting(void **state)
{
	static const struct {
		uint32_t features;
		uint16_t queue;
	} cases[] = {
		{ F_REPORTING, 2 },
		{ F_REPORTING | F_STATS, 3 },
		{ F_REPORTING | F_STATS, 4 },
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		open_device(f, "free_page_reporting=on,stats=100,id=balloon0");
		memset(f->sent, 0, sizeof(f->sent));
		start_driver(f, cases[i].features, N_QUEUES);
		memset(at(f, PAGES_GPA, 64 * PAGE), 0x5a, 64 * PAGE);
		send(f, cases[i].queue, PAGES_GPA + 8 * PAGE, 32 * PAGE, VRING_DESC_F_WRITE);
		assert_int_equal(resident_pages(f, PAGES_GPA + 8 * PAGE, 32), 0);
		assert_int_equal(resident_pages(f, PAGES_GPA, 64), 32);
		f->vm.devices = f->vmdev->next;
		f->vmdev->destroy(f->vmdev);
	}
}

static bool actual_is(struct fixture *f, uint64_t bytes)
{
	char text[64];

	get(f, "balloon0.actual", text);
	return strtoull(text, NULL, 10) == bytes >> 10 && strchr(text, 'k');
}

static void test_properties(void **state)
{
	struct fixture *f = *state;
	uint32_t actual = 65, pages;
	uint8_t generation;
	char text[64];

	open_device(f, "target=512k");
	virtio_config_read(f->virtio, 0, &pages, sizeof(pages));
	assert_int_equal(pages, 128);
	generation = virtio_config_generation(f->virtio);
	start_driver(f, 0, 2);
	assert_int_equal(ctl_ops.set(&f->vm, "balloon0.target", "1M", &f->err), 0);
	virtio_config_read(f->virtio, 0, &pages, sizeof(pages));
	assert_int_equal(pages, 256);
	assert_int_not_equal(virtio_config_generation(f->virtio), generation);
	assert_int_equal(ctl_ops.set(&f->vm, "balloon0.target", "3M", &f->err), -ERANGE);
	assert_string_equal(f->err.text, "balloon0.target: 3M is above the maximum, 2M");
	get(f, "balloon0.target", text);
	assert_string_equal(text, "1M");

	virtio_config_write(f->virtio, 4, &actual, sizeof(actual));
	wait_for(f, actual_is, 65 * PAGE);
	/* The driver cannot change its own target. */
	virtio_config_write(f->virtio, 0, &actual, sizeof(actual));
	actual = 66;
	virtio_config_write(f->virtio, 4, &actual, sizeof(actual));
	wait_for(f, actual_is, 66 * PAGE);
	virtio_config_read(f->virtio, 0, &pages, sizeof(pages));
	assert_int_equal(pages, 256);

	f->vmdev->reset(f->vmdev);
	get(f, "balloon0.actual", text);
	assert_string_equal(text, "0");
	get(f, "balloon0.target", text);
	assert_string_equal(text, "1M");
}

static void test_target_beyond_memory(void **state)
{
	struct fixture *f = *state;

	assert_true(test_vm_add(&f->vm, load_claim(), "target=3M", &f->err) < 0);
	assert_string_equal(f->err.text, TEST_OPTION ": target: 3 MiB are more than the guest's 2 "
						     "MiB of memory");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_inflate),
		TEST(test_reporting),
		TEST(test_properties),
		TEST(test_target_beyond_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
