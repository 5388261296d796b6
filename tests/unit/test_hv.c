/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervisor contract on the host's own KVM: exits, kicks, start states, interrupts. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "hv/hv.h"

#define RAM_SIZE 0x100000u
#define CODE	 0x1000u

struct fixture {
	struct hv_vm *vm;
	struct hv_vcpu *vcpu;
	uint8_t *ram;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct error err;

	if (!f || hv_vm_create(NULL, &f->vm, &err) < 0)
		return -1;
	f->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f->ram == MAP_FAILED || hv_map(f->vm, 0, 0, f->ram, RAM_SIZE, false) < 0)
		return -1;
	if (hv_create_irqchip(f->vm, &err) < 0 || hv_vcpu_create(f->vm, 0, &f->vcpu, &err) < 0)
		return -1;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	hv_vcpu_destroy(f->vcpu);
	hv_vm_destroy(f->vm);
	munmap(f->ram, RAM_SIZE);
	free(f);
	return 0;
}

static void run_flat32(struct fixture *f, const void *code, size_t len)
{
	struct hv_x86_start start = { .mode = HV_X86_FLAT32, .rip = CODE, .rbx = 0x1234 };

	memcpy(f->ram + CODE, code, len);
	assert_int_equal(hv_x86_start(f->vcpu, &start), 0);
}

static struct hv_exit next_exit(struct fixture *f)
{
	struct hv_exit exit;

	do
		assert_int_equal(hv_vcpu_run(f->vcpu, &exit), 0);
	while (exit.reason == HV_EXIT_INTR);
	return exit;
}

static void test_port_and_memory_accesses_exit(void **state)
{
	/* out 0x80, al; in al, 0x81; mov [0xd0000000], eax; mov eax, ebx; out 0x82, eax */
	static const uint8_t code[] = { 0xb0, 0x5a, 0xe6, 0x80, 0xe4, 0x81, 0xa2, 0,
					0,    0,    0xd0, 0x89, 0xd8, 0xe7, 0x82, 0xf4 };
	struct fixture *f = *state;
	struct hv_exit exit;

	run_flat32(f, code, sizeof(code));
	exit = next_exit(f);
	assert_int_equal(exit.reason, HV_EXIT_PIO);
	assert_true(exit.write && exit.size == 1 && exit.count == 1 && exit.addr == 0x80);
	assert_int_equal(*(uint8_t *)exit.data, 0x5a);
	exit = next_exit(f);
	assert_true(!exit.write && exit.addr == 0x81);
	*(uint8_t *)exit.data = 0xa7;
	exit = next_exit(f);
	assert_int_equal(exit.reason, HV_EXIT_MMIO);
	assert_true(exit.write && exit.size == 1 && exit.addr == 0xd0000000);
	assert_int_equal(*(uint8_t *)exit.data, 0xa7);
	exit = next_exit(f);
	assert_true(exit.write && exit.size == 4 && exit.addr == 0x82);
	assert_int_equal(*(uint32_t *)exit.data, 0x1234);
}

static void test_start_again_forgets_registers(void **state)
{
	/* mov ebx, 7; or: out 0x80, ebx first */
	static const uint8_t code[] = { 0x89, 0xd8, 0xe7, 0x80, 0xbb, 7, 0, 0, 0, 0xeb, 0xf5 };
	struct fixture *f = *state;
	struct hv_exit exit;

	run_flat32(f, code, sizeof(code));
	exit = next_exit(f);
	assert_int_equal(*(uint32_t *)exit.data, 0x1234);
	exit = next_exit(f);
	assert_int_equal(*(uint32_t *)exit.data, 7);
	run_flat32(f, code, sizeof(code));
	exit = next_exit(f);
	assert_int_equal(*(uint32_t *)exit.data, 0x1234);
	assert_int_equal(hv_x86_reset_irqchip(f->vm), 0);
}

static void test_triple_fault_is_a_shutdown(void **state)
{
	static const uint8_t code[] = { 0x0f, 0x0b }; /* ud2, with an empty IDT */
	struct fixture *f = *state;

	run_flat32(f, code, sizeof(code));
	assert_int_equal(next_exit(f).reason, HV_EXIT_SHUTDOWN);
}

static void test_kick_before_running_is_not_lost(void **state)
{
	static const uint8_t spin[] = { 0xeb, 0xfe };
	struct fixture *f = *state;
	struct hv_exit exit;

	run_flat32(f, spin, sizeof(spin));
	for (int i = 0; i < 100; i++) {
		hv_vcpu_kick(f->vcpu);
		assert_int_equal(hv_vcpu_run(f->vcpu, &exit), 0);
		assert_int_equal(exit.reason, HV_EXIT_INTR);
	}
}

struct kicker {
	struct hv_vcpu *vcpu;
	atomic_int asked, seen;
};

static void *kick_a_lot(void *opaque)
{
	struct kicker *k = opaque;

	for (int i = 1; i <= 2000; i++) {
		atomic_store(&k->asked, i);
		hv_vcpu_kick(k->vcpu);
		while (atomic_load(&k->seen) < i)
			sched_yield();
	}
	return NULL;
}

/* Each request is seen though the guest never exits by itself: a lost kick would hang here. */
static void test_kicks_from_another_thread_arrive(void **state)
{
	static const uint8_t spin[] = { 0xeb, 0xfe };
	struct fixture *f = *state;
	struct kicker k = { .vcpu = f->vcpu };
	struct hv_exit exit;
	pthread_t thread;

	run_flat32(f, spin, sizeof(spin));
	assert_int_equal(pthread_create(&thread, NULL, kick_a_lot, &k), 0);
	while (atomic_load(&k.seen) < 2000) {
		assert_int_equal(hv_vcpu_run(f->vcpu, &exit), 0);
		assert_int_equal(exit.reason, HV_EXIT_INTR);
		atomic_store(&k.seen, atomic_load(&k.asked));
	}
	pthread_join(thread, NULL);
}

static void test_ioeventfd_catches_a_write(void **state)
{
	/* mov [0xd0000000], eax; out 0x80, al */
	static const uint8_t code[] = { 0xa3, 0, 0, 0, 0xd0, 0xe6, 0x80, 0xf4 };
	struct hv_ioeventfd ioev = { .addr = 0xd0000000, .fd = eventfd(0, EFD_NONBLOCK) };
	struct fixture *f = *state;
	uint64_t count = 0;

	assert_int_equal(hv_ioeventfd(f->vm, &ioev, true), 0);
	run_flat32(f, code, sizeof(code));
	assert_int_equal(next_exit(f).reason, HV_EXIT_PIO);
	assert_int_equal(read(ioev.fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	assert_int_equal(hv_ioeventfd(f->vm, &ioev, false), 0);
	run_flat32(f, code, sizeof(code));
	assert_int_equal(next_exit(f).reason, HV_EXIT_MMIO);
	close(ioev.fd);
}

static void test_message_routes(void **state)
{
	struct fixture *f = *state;
	int fd = eventfd(0, EFD_NONBLOCK);
	uint32_t gsi[3];

	for (int i = 0; i < 3; i++) {
		assert_int_equal(hv_gsi_alloc(f->vm, &gsi[i]), 0);
		assert_int_equal(hv_msi_route(f->vm, gsi[i], 0xfee00000, 0x40 + i), 0);
	}
	assert_true(gsi[0] >= 24 && gsi[0] != gsi[1] && gsi[1] != gsi[2]);
	assert_int_equal(hv_irqfd(f->vm, fd, gsi[1], true), 0);
	assert_int_equal(hv_irqfd(f->vm, fd, gsi[1], false), 0);
	hv_gsi_free(f->vm, gsi[1]);
	assert_int_equal(hv_gsi_alloc(f->vm, &gsi[1]), 0);
	close(fd);
}

static void test_no_kvm_says_why(void **state)
{
	struct error err = { "" };
	struct hv_vm *vm = NULL;

	(void)state;
	assert_int_equal(hv_vm_create("/nonexistent", &vm, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent: not there"));
	assert_int_equal(hv_vm_create("/dev/null", &vm, &err), -ENODEV);
	assert_string_equal(err.text, "/dev/null: not a KVM device");
	assert_null(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_port_and_memory_accesses_exit, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_start_again_forgets_registers, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_triple_fault_is_a_shutdown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kick_before_running_is_not_lost, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_kicks_from_another_thread_arrive, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_ioeventfd_catches_a_write, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_message_routes, set_up, tear_down),
		cmocka_unit_test(test_no_kvm_says_why),
	};

	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		fprintf(stderr, "SKIPPED: /dev/kvm: %s\n", strerror(errno));
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
