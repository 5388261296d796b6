/* SPDX-License-Identifier: Apache-2.0 */
/* The device: parameters, configuration space, queues, threads, life cycle. */
#include "test_fixture.h"

#include <endian.h>
#include <fcntl.h>
#include <linux/virtio_fs.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In front of the C library: fsync() waits for the test. */
static struct {
	sem_t entered, go;
	_Atomic unsigned n_done;
	_Atomic bool hold;
} gate;

__attribute__((visibility("default"))) int fsync(int fd)
{
	if (gate.hold) {
		sem_post(&gate.entered);
		sem_wait(&gate.go);
	}
	gate.n_done++;
	return (int)syscall(SYS_fsync, fd);
}

static void gate_init(void)
{
	sem_init(&gate.entered, 0, 0);
	sem_init(&gate.go, 0, 0);
	gate.n_done = 0;
	gate.hold = true;
}

struct pending {
	struct {
		struct fuse_in_header header;
		struct fuse_fsync_in in;
	} out;
	struct fuse_out_header back;
	struct iovec out_iov, in_iov;
	struct alcor_fake_request *req;
};

/* An fsync() that hangs. */
static void pending_submit(struct pending *pending, uint64_t fh, uint16_t queue)
{
	memset(pending, 0, sizeof(*pending));
	pending->out.header = (struct fuse_in_header){
		.len = sizeof(pending->out), .opcode = FUSE_FSYNC, .unique = 42, .nodeid = ROOT
	};
	pending->out.in.fh = fh;
	pending->out_iov = (struct iovec){ &pending->out, sizeof(pending->out) };
	pending->in_iov = (struct iovec){ &pending->back, sizeof(pending->back) };
	pending->req = alcor_fake_submit(fake, queue, &pending->out_iov, 1, &pending->in_iov, 1);
	alcor_fake_notify(fake, queue);
	alcor_fake_turn(fake, 0);
	sem_wait(&gate.entered);
}

static void test_configuration(void **state)
{
	struct virtio_fs_config config;

	assert_int_equal(create("share,tag=my-tag,queues=3"), 0);
	assert_int_equal(alcor_fake_realize(fake), 0);
	memcpy(&config, fake->config, sizeof(config));
	assert_int_equal(fake->virtio_desc.device_id, 26);
	assert_int_equal(fake->virtio_desc.n_queues, 4);
	assert_int_equal(fake->virtio_desc.config_size, 40);
	assert_memory_equal(config.tag, "my-tag\0\0\0\0", 10);
	assert_int_equal(le32toh(config.num_request_queues), 3);
	assert_int_equal(create("share,tag=123456789012345678901234567890123456"), 0);
	assert_int_equal(alcor_fake_realize(fake), 0);
	assert_memory_equal(fake->config, "123456789012345678901234567890123456\1\0\0\0", 40);
}

static void test_wrong_parameters(void **state)
{
	static const struct {
		const char *params, *error;
		int ret;
	} wrong[] = {
		{ "share,tag=1234567890123456789012345678901234567",
		  "tag: must have 1 to 36 bytes, has 37", -EINVAL },
		{ "none,tag=t", "none: No such file or directory", -ENOENT },
		{ "outside/secret,tag=t", "outside/secret: Not a directory", -ENOTDIR },
	};

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(create(wrong[i].params), wrong[i].ret);
		assert_string_equal(fake->error, wrong[i].error);
	}
	assert_int_equal(create("share"), -EINVAL);
	assert_int_equal(create("share,tag=t,queues=0"), -EINVAL);
	assert_int_equal(create("share,tag=t,queues=9"), -EINVAL);
	assert_int_equal(create("share,tag=t,dax_window=1"), -EINVAL);
}

static uint64_t entry_time(const char *more)
{
	struct fuse_entry_out entry;

	mount_share(more);
	assert_int_equal(OP_ONLY_NAME(FUSE_LOOKUP, ROOT, "a"), 0);
	memcpy(&entry, reply.data, sizeof(entry));
	assert_int_equal(entry.attr_valid, entry.entry_valid);
	return entry.entry_valid;
}

static uint32_t open_flags(const char *more)
{
	struct fuse_open_in in = { .flags = O_RDONLY };
	struct fuse_open_out out;

	mount_share(more);
	assert_int_equal(OP(FUSE_OPEN, node_of("a"), in), 0);
	memcpy(&out, reply.data, sizeof(out));
	return out.open_flags;
}

static void test_cache(void **state)
{
	host_file("share/a", "");
	assert_int_equal(entry_time(""), 1);
	assert_int_equal(entry_time("cache=none"), 0);
	assert_true(entry_time("cache=always") >= 3600);
	assert_int_equal(open_flags(""), 0);
	assert_int_equal(open_flags("cache=none"), FOPEN_DIRECT_IO);
	assert_int_equal(open_flags("cache=always"), FOPEN_KEEP_CACHE);
}

static void test_slow_request_holds_up_no_other(void **state)
{
	struct pending slow[3];
	uint64_t node, fh;

	mount_share("queues=2");
	assert_int_equal(create_file(ROOT, "f", O_RDWR, 0600, &node, &fh), 0);
	gate_init();
	for (unsigned i = 0; i < 3; i++)
		pending_submit(&slow[i], fh, 2);
	assert_int_equal(write_file(fh, 0, "abc", 3), 3);
	assert_int_equal(read_file(fh, 0, 3), 0);
	assert_int_equal(release(fh), 0); /* those that run keep it open */
	for (unsigned i = 0; i < 3; i++) {
		assert_false(slow[i].req->done);
		sem_post(&gate.go);
	}
	for (unsigned i = 0; i < 3; i++) {
		assert_true(alcor_fake_wait(fake, &slow[i].req->done));
		assert_int_equal(slow[i].req->written, sizeof(slow[i].back));
		assert_int_equal(slow[i].back.error, 0);
		assert_int_equal(slow[i].back.unique, 42);
	}
}

static void *open_gate(void *opaque)
{
	usleep(20000);
	sem_post(&gate.go);
	return NULL;
}

static void test_reset_waits_for_requests(void **state)
{
	struct pending slow;
	pthread_t thread;
	unsigned n_fds;
	uint64_t node, fh;

	mount_share("");
	n_fds = count_fds();
	assert_int_equal(create_file(ROOT, "f", O_RDWR, 0600, &node, &fh), 0);
	gate_init();
	pending_submit(&slow, fh, 1);
	assert_int_equal(pthread_create(&thread, NULL, open_gate, NULL), 0);
	alcor_fake_deactivate(fake);
	assert_int_equal(gate.n_done, 1);
	assert_true(slow.req->done);
	pthread_join(thread, NULL);
	assert_int_equal(count_fds(), n_fds); /* all that the driver had open is closed */
	gate.hold = false;
	fake->vqs[1].requests = NULL;
	free(slow.req);
	assert_int_equal(alcor_fake_activate(fake, 0), 0);
	assert_int_equal(lookup(ROOT, "f", &node), -EIO);
}

static void test_pause(void **state)
{
	struct pending slow;
	struct fuse_in_header header = { .len = sizeof(header),
					 .opcode = FUSE_STATFS,
					 .nodeid = ROOT };
	struct iovec out = { &header, sizeof(header) };
	struct iovec in = { reply.data, sizeof(reply.data) };
	struct alcor_fake_request *req;
	pthread_t thread;
	uint64_t node, fh;

	mount_share("");
	assert_int_equal(create_file(ROOT, "f", O_RDWR, 0600, &node, &fh), 0);
	gate_init();
	pending_submit(&slow, fh, 1);
	assert_int_equal(pthread_create(&thread, NULL, open_gate, NULL), 0);
	assert_int_equal(alcor_fake_pause(fake), 0);
	assert_true(slow.req->done);
	pthread_join(thread, NULL);
	req = alcor_fake_submit(fake, 1, &out, 1, &in, 1);
	alcor_fake_notify(fake, 1);
	alcor_fake_turn(fake, 0);
	assert_false(req->taken);
	assert_int_equal(alcor_fake_resume(fake), 0);
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(req->written, 16 + sizeof(struct fuse_statfs_out));
}

static void test_destroy_with_requests_in_flight(void **state)
{
	struct pending slow;
	pthread_t thread;
	uint64_t node, fh;
	unsigned n_fds;

	assert_int_equal(create("none,tag=t"), -ENOENT);
	n_fds = count_fds();
	mount_share("");
	assert_int_equal(create_file(ROOT, "f", O_RDWR, 0600, &node, &fh), 0);
	gate_init();
	pending_submit(&slow, fh, 1);
	assert_int_equal(pthread_create(&thread, NULL, open_gate, NULL), 0);
	alcor_fake_destroy(fake);
	assert_int_equal(gate.n_done, 1);
	pthread_join(thread, NULL);
	gate.hold = false;
	assert_int_equal(count_fds(), n_fds); /* a fake host before, a fake host after */
}

#define N_MANY 400

/* All four threads over the same names, nodes and handles. */
static void test_many_at_once(void **state)
{
	struct many {
		struct {
			struct fuse_in_header header;
			char name[8];
		} out;
		struct {
			struct fuse_out_header header;
			struct fuse_entry_out entry;
		} in;
		struct alcor_fake_request *req;
	} *many = calloc(N_MANY, sizeof(*many));
	uint64_t node;

	mount_share("queues=4");
	for (unsigned i = 0; i < 10; i++) {
		char path[] = "share/f0";

		path[7] = (char)('0' + i);
		host_file(path, "x");
	}
	for (unsigned i = 0; i < N_MANY; i++) {
		struct many *one = &many[i];
		struct iovec out = { &one->out, sizeof(one->out.header) + 3 };
		struct iovec in = { &one->in, sizeof(one->in) };

		one->out.header = (struct fuse_in_header){ .len = (uint32_t)out.iov_len,
							   .opcode = FUSE_LOOKUP,
							   .nodeid = ROOT };
		snprintf(one->out.name, sizeof(one->out.name), "f%u", i % 10);
		one->req = alcor_fake_submit(fake, (uint16_t)(1 + i % 4), &out, 1, &in, 1);
	}
	for (uint16_t i = 1; i <= 4; i++)
		alcor_fake_notify(fake, i);
	for (unsigned i = 0; i < N_MANY; i++) {
		assert_true(alcor_fake_wait(fake, &many[i].req->done));
		assert_int_equal(many[i].in.header.error, 0);
		assert_int_equal(many[i].in.entry.nodeid, many[i % 10].in.entry.nodeid);
	}
	for (uint16_t i = 1; i <= 4; i++) {
		while (fake->vqs[i].requests) {
			struct alcor_fake_request *req = fake->vqs[i].requests;

			fake->vqs[i].requests = req->next;
			free(req);
		}
	}
	node = many[0].in.entry.nodeid;
	forget(node, N_MANY / 10 - 1);
	assert_int_equal(attr_of(node).size, 1);
	forget(node, 1);
	assert_true(node_of("f0") != node);
	free(many);
}

static void test_manual(void **state)
{
	assert_int_equal(create("share,tag=t"), 0);
	assert_true(alcor_fake_manual_complete(fake->plugin, MANUAL_PATH));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_configuration),
		TEST(test_wrong_parameters),
		TEST(test_cache),
		TEST(test_slow_request_holds_up_no_other),
		TEST(test_reset_waits_for_requests),
		TEST(test_pause),
		TEST(test_destroy_with_requests_in_flight),
		TEST(test_many_at_once),
		TEST(test_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
