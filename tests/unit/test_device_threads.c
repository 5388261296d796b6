/* SPDX-License-Identifier: Apache-2.0 */
/* The loop threads of devices, and how the guest's accesses and the loop's callbacks are kept
 * apart. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <alcor/io.h>
#include <alcor/loop.h>
#include <alcor/virtio.h>

#include "test_device_vm.h"

#define PORT	 0x500
#define ROUNDS	 2000
#define WAIT_SEC 20

struct plugin {
	struct alcor_dev *dev;
	const struct alcor_loop *loop;
	bool want_regs, want_watch, want_virtio;
	int event_fd;
	struct alcor_watch *watch;
	struct alcor_timer *timer;
	unsigned long plain; /* guarded by nothing but the host's promise */
	bool inside;	     /* the same */
	unsigned overlaps;
	sem_t ran, both;
	_Atomic unsigned n_inside;
	pthread_t loop_thread, access_thread, reset_thread, resume_thread;
	int wrong_thread_result;
	bool unwatch_in_callback, meet;
	char order[8];
};

static struct plugin plugin;

static bool wait_for(sem_t *sem)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_SEC;
	return sem_timedwait(sem, &until) == 0;
}

static void one_at_a_time(void)
{
	if (plugin.inside)
		plugin.overlaps++;
	plugin.inside = true;
	plugin.plain++;
	sched_yield();
	plugin.inside = false;
}

static uint64_t regs_read(void *opaque, uint64_t offset, uint32_t size)
{
	plugin.access_thread = pthread_self();
	return 0x42;
}

/* With @meet, waits until a second access is here, too. */
static void regs_write(void *opaque, uint64_t offset, uint32_t size, uint64_t value)
{
	if (!plugin.meet) {
		one_at_a_time();
		return;
	}
	if (++plugin.n_inside == 2) {
		sem_post(&plugin.both);
		sem_post(&plugin.both);
	}
	if (!wait_for(&plugin.both))
		plugin.overlaps = UINT32_MAX;
}

static const struct alcor_io_ops io_ops = {
	.struct_size = sizeof(io_ops),
	.read = regs_read,
	.write = regs_write,
};

static void on_event(void *opaque, uint32_t events)
{
	uint64_t count;

	if (read(plugin.event_fd, &count, sizeof(count)) != sizeof(count))
		return;
	plugin.loop_thread = pthread_self();
	one_at_a_time();
	if (plugin.unwatch_in_callback)
		plugin.loop->unwatch(plugin.watch);
	sem_post(&plugin.ran);
}

static void on_time(void *opaque)
{
	one_at_a_time();
	sem_post(&plugin.ran);
}

static void on_defer(void *opaque)
{
	char letter[2] = { (char)(uintptr_t)opaque, '\0' };

	one_at_a_time();
	strncat(plugin.order, letter, sizeof(plugin.order) - 1 - strlen(plugin.order));
	sem_post(&plugin.ran);
}

static void on_defer_count(void *opaque)
{
	one_at_a_time();
}

static int vio_activate(void *priv, uint64_t features)
{
	return 0;
}

static void vio_queue(void *priv, uint16_t index)
{
}

static const struct alcor_virtio_ops virtio_ops = {
	.struct_size = sizeof(virtio_ops),
	.activate = vio_activate,
	.queue = vio_queue,
	.queue_stop = vio_queue,
};

static const struct alcor_virtio_desc virtio_device = {
	.struct_size = sizeof(virtio_device),
	.device_id = 4,
	.n_queues = 1,
	.class_base = 0xff,
	.ops = &virtio_ops,
};

static int thing_create(struct alcor_dev *dev, void **ret_priv)
{
	plugin.dev = dev;
	plugin.loop = alcor_service(dev, ALCOR_LOOP_ID);
	*ret_priv = &plugin;
	return 0;
}

static int thing_realize(void *priv)
{
	const struct alcor_virtio *virtio = alcor_service(plugin.dev, ALCOR_VIRTIO_ID);
	const struct alcor_io *io = alcor_service(plugin.dev, ALCOR_IO_ID);
	int ret = 0;

	if (plugin.want_virtio)
		ret = virtio->add(plugin.dev, &virtio_device, &plugin);
	if (!ret && plugin.want_regs)
		ret = io->add_pio(plugin.dev, PORT, 8, &io_ops, &plugin);
	if (!ret && plugin.want_watch)
		ret = plugin.loop->watch(plugin.dev, plugin.event_fd, EPOLLIN, on_event, NULL,
					 &plugin.watch);
	if (!ret && plugin.want_watch)
		ret = plugin.loop->timer(plugin.dev, on_time, NULL, &plugin.timer);
	return ret;
}

static void thing_reset(void *priv, uint32_t kind)
{
	plugin.reset_thread = pthread_self();
}

static int thing_resume(void *priv)
{
	plugin.resume_thread = pthread_self();
	return 0;
}

static void thing_destroy(void *priv)
{
}

static const struct alcor_dev_ops thing_ops = {
	.struct_size = sizeof(thing_ops),
	.create = thing_create,
	.realize = thing_realize,
	.reset = thing_reset,
	.resume = thing_resume,
	.destroy = thing_destroy,
};

struct fixture {
	struct vm vm;
	struct alcor_claim claim;
	struct error err;
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&plugin, 0, sizeof(plugin));
	plugin.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sem_init(&plugin.ran, 0, 0);
	sem_init(&plugin.both, 0, 0);
	test_vm_open(&f.vm);
	f.claim = (struct alcor_claim){
		.dev_class = "averylongname",
		.keyword = "thing",
		.ops = &thing_ops,
	};
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	test_vm_close(&f->vm);
	close(plugin.event_fd);
	sem_destroy(&plugin.ran);
	sem_destroy(&plugin.both);
	return 0;
}

static void start(struct fixture *f, uint32_t model)
{
	f->claim.thread_model = model;
	if (test_vm_add(&f->vm, &f->claim, "id=a-very-long-name-of-a-device", &f->err))
		fail_msg("%s", f->err.text);
	assert_int_equal(f->vm.devices->resume(f->vm.devices), 0);
}

static void signal_event(void)
{
	uint64_t one = 1;

	assert_int_equal(write(plugin.event_fd, &one, sizeof(one)), sizeof(one));
}

/* --- the thread --- */

/* The line of /proc/self/task/ID/status that starts with @key, of the thread named @name. */
static bool thread_status(const char *name, const char *key, char *ret_line, size_t len)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	bool found = false;
	char path[300];
	FILE *file;

	assert_non_null(dir);
	while (!found && (entry = readdir(dir))) {
		bool named = false;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		file = fopen(path, "re");
		while (file && fgets(ret_line, (int)len, file)) {
			if (!strncmp(ret_line, "Name:", 5))
				named = strstr(ret_line, name) != NULL;
			if (named && !strncmp(ret_line, key, strlen(key))) {
				found = true;
				break;
			}
		}
		if (file)
			fclose(file);
	}
	closedir(dir);
	return found;
}

static bool has_thread(void)
{
	char line[128];

	return thread_status("a-very-long-nam\n", "Tgid:", line, sizeof(line));
}

static void test_no_thread_without_need(void **state)
{
	struct fixture *f = *state;

	plugin.want_regs = true;
	start(f, ALCOR_THREAD_SERIAL);
	assert_false(has_thread());
	assert_true(pthread_equal(plugin.resume_thread, pthread_self()));
	f->vm.devices->reset(f->vm.devices);
	assert_true(pthread_equal(plugin.reset_thread, pthread_self()));
	/* The first need, while the guest runs. */
	assert_int_equal(plugin.loop->defer(plugin.dev, on_defer, (void *)'a'), 0);
	assert_true(wait_for(&plugin.ran));
	assert_true(has_thread());
}

static void test_virtio_has_thread(void **state)
{
	struct fixture *f = *state;

	plugin.want_virtio = true;
	start(f, ALCOR_THREAD_SERIAL);
	assert_true(has_thread());
	assert_false(pthread_equal(plugin.resume_thread, pthread_self()));
}

/* Named after the device, and deaf to signals. */
static void test_thread(void **state)
{
	struct fixture *f = *state;
	char line[128];
	uint64_t blocked;

	plugin.want_watch = true;
	start(f, ALCOR_THREAD_SERIAL);
	assert_true(thread_status("a-very-long-nam\n", "SigBlk:", line, sizeof(line)));
	blocked = strtoull(line + strlen("SigBlk:"), NULL, 16);
	assert_true(blocked & 1ull << (SIGTERM - 1));
	assert_true(blocked & 1ull << (SIGINT - 1));
	assert_true(blocked & 1ull << (SIGCHLD - 1));
}

static void test_callbacks(void **state)
{
	struct fixture *f = *state;
	char i;

	plugin.want_watch = true;
	/* Kept until there is a thread. */
	f->claim.thread_model = ALCOR_THREAD_SERIAL;
	assert_int_equal(test_vm_add(&f->vm, &f->claim, "", &f->err), 0);
	for (i = 'a'; i < 'e'; i++)
		assert_int_equal(plugin.loop->defer(plugin.dev, on_defer, (void *)(uintptr_t)i), 0);
	signal_event();
	assert_int_equal(f->vm.devices->resume(f->vm.devices), 0);
	for (i = 0; i < 5; i++)
		assert_true(wait_for(&plugin.ran));
	assert_string_equal(plugin.order, "abcd");
	assert_true(pthread_equal(plugin.loop_thread, plugin.resume_thread));
	assert_false(pthread_equal(plugin.loop_thread, pthread_self()));
	plugin.loop->arm(plugin.timer, 1000000);
	assert_true(wait_for(&plugin.ran));
	f->vm.devices->reset(f->vm.devices);
	assert_true(pthread_equal(plugin.reset_thread, plugin.loop_thread));
	/* Armed when the device goes away. */
	plugin.loop->arm(plugin.timer, 1);
	signal_event();
}

static void test_unwatch_in_callback(void **state)
{
	struct fixture *f = *state;

	plugin.want_watch = true;
	plugin.unwatch_in_callback = true;
	start(f, ALCOR_THREAD_SERIAL);
	signal_event();
	assert_true(wait_for(&plugin.ran));
	signal_event();
	/* What comes later finds no watch. */
	assert_int_equal(plugin.loop->defer(plugin.dev, on_defer, (void *)'x'), 0);
	assert_true(wait_for(&plugin.ran));
	assert_int_equal(sem_trywait(&plugin.ran), -1);
	assert_int_equal(plugin.plain, 2);
}

static void test_wrong_thread(void **state)
{
	struct alcor_watch *watch = NULL;
	struct alcor_timer *timer = NULL;
	struct fixture *f = *state;

	plugin.want_watch = true;
	start(f, ALCOR_THREAD_SERIAL);
	assert_int_equal(plugin.loop->modify(plugin.watch, 0), -EPERM);
	assert_int_equal(
		plugin.loop->watch(plugin.dev, plugin.event_fd, EPOLLIN, on_event, NULL, &watch),
		-EPERM);
	assert_int_equal(plugin.loop->timer(plugin.dev, on_time, NULL, &timer), -EPERM);
	plugin.loop->unwatch(plugin.watch);
	plugin.loop->unwatch(NULL);
	signal_event();
	assert_true(wait_for(&plugin.ran));
}

/* --- accesses --- */

struct vcpu {
	struct vm *vm;
	pthread_t thread;
	unsigned rounds;
};

static void *vcpu_thread(void *opaque)
{
	struct vcpu *vcpu = opaque;
	struct bus_reader *reader;
	unsigned i;

	if (bus_reader_add(vcpu->vm->pio, &reader))
		return NULL;
	for (i = 0; i < vcpu->rounds; i++)
		test_bus_write(vcpu->vm->pio, reader, PORT, 4, i);
	bus_reader_remove(vcpu->vm->pio, reader);
	return NULL;
}

static void run_vcpus(struct fixture *f, unsigned rounds, bool with_callbacks)
{
	struct vcpu vcpus[2];
	unsigned i;

	for (i = 0; i < 2; i++) {
		vcpus[i] = (struct vcpu){ .vm = &f->vm, .rounds = rounds };
		assert_int_equal(pthread_create(&vcpus[i].thread, NULL, vcpu_thread, &vcpus[i]), 0);
	}
	for (i = 0; with_callbacks && i < rounds; i++)
		assert_int_equal(plugin.loop->defer(plugin.dev, on_defer_count, NULL), 0);
	for (i = 0; i < 2; i++)
		pthread_join(vcpus[i].thread, NULL);
}

/* Two vCPUs and the loop, in one SERIAL device: every callback is counted, none at a time with
 * another. */
static void test_serial(void **state)
{
	struct fixture *f = *state;

	plugin.want_regs = true;
	plugin.want_watch = true;
	start(f, ALCOR_THREAD_SERIAL);
	run_vcpus(f, ROUNDS, true);
	assert_int_equal(plugin.loop->defer(plugin.dev, on_defer, (void *)'z'), 0);
	assert_true(wait_for(&plugin.ran));
	assert_int_equal(plugin.plain, 3 * ROUNDS + 1);
	assert_int_equal(plugin.overlaps, 0);
}

static void assert_access_on_loop(struct fixture *f)
{
	assert_int_equal(test_bus_read(f->vm.pio, NULL, PORT, 4), 0x42);
	assert_true(pthread_equal(plugin.access_thread, plugin.resume_thread));
	assert_false(pthread_equal(plugin.access_thread, pthread_self()));
	run_vcpus(f, 50, true);
	assert_int_equal(plugin.loop->defer(plugin.dev, on_defer, (void *)'z'), 0);
	assert_true(wait_for(&plugin.ran));
	assert_int_equal(plugin.plain, 3 * 50 + 1);
	assert_int_equal(plugin.overlaps, 0);
}

static void test_loop_model(void **state)
{
	plugin.want_regs = true;
	start(*state, ALCOR_THREAD_LOOP);
	assert_access_on_loop(*state);
}

/* Virtio callbacks take no lock: registers beside them are served on the loop. */
static void test_serial_virtio(void **state)
{
	plugin.want_regs = true;
	plugin.want_virtio = true;
	start(*state, ALCOR_THREAD_SERIAL);
	assert_access_on_loop(*state);
}

static void test_parallel(void **state)
{
	struct fixture *f = *state;

	plugin.want_regs = true;
	plugin.meet = true;
	start(f, ALCOR_THREAD_PARALLEL);
	run_vcpus(f, 1, false);
	assert_int_equal(plugin.overlaps, 0);
	assert_int_equal(plugin.n_inside, 2);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_thread_without_need),
		TEST(test_virtio_has_thread),
		TEST(test_thread),
		TEST(test_callbacks),
		TEST(test_unwatch_in_callback),
		TEST(test_wrong_thread),
		TEST(test_serial),
		TEST(test_loop_model),
		TEST(test_serial_virtio),
		TEST(test_parallel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
