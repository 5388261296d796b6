/* SPDX-License-Identifier: Apache-2.0 */
/* The device: load, life cycle, engines, images. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_fixture.h"

#define N_MANY 600

struct many {
	struct virtio_blk_outhdr hdr[N_MANY];
	uint8_t data[N_MANY][512], status[N_MANY];
	struct alcor_fake_request *reqs[N_MANY];
};

/* Writes sector i of the image, for all i, over all queues. */
static struct many *many_submit(uint32_t type)
{
	struct many *many = calloc(1, sizeof(*many));
	uint16_t n_queues = fake->virtio_desc.n_queues;

	for (unsigned i = 0; i < N_MANY; i++) {
		bool reads = type == VIRTIO_BLK_T_IN;
		struct iovec out[] = { { &many->hdr[i], 16 }, { many->data[i], 512 } };
		struct iovec in[] = { { many->data[i], 512 }, { &many->status[i], 1 } };

		many->hdr[i] = header(type, i);
		many->status[i] = 0xee;
		memset(many->data[i], reads ? 0 : (int)(i * 3), 512);
		many->reqs[i] =
			alcor_fake_submit(fake, (uint16_t)(i % n_queues), out, reads ? 1 : 2,
					  reads ? in : in + 1, reads ? 2 : 1);
	}
	for (uint16_t i = 0; i < n_queues; i++)
		alcor_fake_notify(fake, i);
	return many;
}

static void test_many_requests(void **state)
{
	/* More requests than the rings of the engine have places. */
	static const char *const shapes[] = { "queue_size=2", "queues=4,queue_size=128" };
	struct many *many;

	for (unsigned s = 0; s < 2; s++) {
		for (unsigned type = VIRTIO_BLK_T_IN; type <= VIRTIO_BLK_T_OUT; type++) {
			start(state, shapes[s]);
			many = many_submit(type);
			for (unsigned i = 0; i < N_MANY; i++) {
				assert_true(alcor_fake_wait(fake, &many->reqs[i]->done));
				assert_int_equal(many->status[i], VIRTIO_BLK_S_OK);
				check_image(i * 512, many->data[i], 512);
			}
			free(many);
		}
	}
}

/* The kernel takes nothing for a while, at the start and in the middle. */
static void test_busy_kernel(void **state)
{
	struct many *many;

	start(state, "queue_size=2");
	inject.n_busy = 3;
	many = many_submit(VIRTIO_BLK_T_IN);
	for (unsigned i = 0; i < N_MANY; i++) {
		if (i % 100 == 0)
			inject.n_busy = 3;
		assert_true(alcor_fake_wait(fake, &many->reqs[i]->done));
		check_image(i * 512, many->data[i], 512);
	}
	free(many);
}

static void test_queue_stop_with_requests_in_flight(void **state)
{
	struct many *many;
	unsigned n_done = 0;

	start(state, "");
	inject.slow = true;
	many = many_submit(VIRTIO_BLK_T_IN);
	/* Part of them only: a quarter second at 20 ms each on four threads. */
	alcor_fake_turn(fake, 0);
	inject.slow = false;
	alcor_fake_deactivate(fake);
	for (unsigned i = 0; i < N_MANY; i++) {
		struct alcor_fake_request *req = many->reqs[i];

		assert_true(req->done || req->dropped);
		if (!req->done)
			continue;
		n_done++;
		assert_int_equal(many->status[i], VIRTIO_BLK_S_OK);
		check_image(i * 512, many->data[i], 512);
	}
	assert_true(n_done >= 256);
	/* Nothing is touched any more; the device starts again. */
	memset(many->data, 0xaa, sizeof(many->data));
	for (unsigned i = 0; i < 10; i++)
		alcor_fake_turn(fake, 2);
	for (unsigned i = 0; i < N_MANY; i++)
		assert_int_equal(many->data[i][511], 0xaa);
	assert_int_equal(alcor_fake_activate(fake, FLUSH_BIT), 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, many->data, 512), VIRTIO_BLK_S_OK);
	free(many);
}

static void test_pause_and_resume(void **state)
{
	struct many *many;
	unsigned n_done = 0, n_taken = 0;

	start(state, "queue_size=64");
	many = many_submit(VIRTIO_BLK_T_OUT);
	alcor_fake_turn(fake, 0);
	assert_int_equal(alcor_fake_pause(fake), 0);
	assert_int_equal(fake->vqs[0].in_flight, 0);
	for (unsigned i = 0; i < N_MANY; i++)
		n_done += many->reqs[i]->done;
	assert_in_range(n_done, 1, N_MANY - 1);
	alcor_fake_notify(fake, 0);
	alcor_fake_turn(fake, 5);
	for (unsigned i = 0; i < N_MANY; i++)
		n_taken += many->reqs[i]->taken;
	assert_int_equal(n_taken, n_done);
	assert_int_equal(alcor_fake_resume(fake), 0);
	for (unsigned i = 0; i < N_MANY; i++)
		assert_true(alcor_fake_wait(fake, &many->reqs[i]->done));
	free(many);
}

static void test_destroy_with_requests_in_flight(void **state)
{
	struct many *many;

	start(state, "");
	inject.slow = true;
	many = many_submit(VIRTIO_BLK_T_IN);
	alcor_fake_turn(fake, 0);
	inject.slow = false;
	alcor_fake_destroy(fake);
	/* All that was taken has come to its end: the memory is nobody's any more. */
	assert_true(many->reqs[0]->taken);
	for (unsigned i = 0; i < N_MANY && many->reqs[i]->taken; i++)
		check_image(i * 512, many->data[i], 512);
	free(many);
}

static void test_direct(void **state)
{
	static const uint32_t shifts[] = { 0, 1, 512, 520, 4096 };
	uint8_t *buf = NULL;

	if (create(IMAGE_NAME ",direct=on") == -EINVAL && strstr(fake->error, "no direct I/O")) {
		print_message("SKIPPED: this file system has no direct I/O\n");
		skip();
	}
	start(state, "direct=on");
	assert_int_equal(posix_memalign((void **)&buf, 4096, 1 << 16), 0);
	for (unsigned i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++) {
		for (uint64_t sector = 0; sector < 9; sector++) {
			uint8_t *at = buf + shifts[i];

			memset(buf, (int)(i * 16 + sector), 1 << 16);
			assert_int_equal(request(VIRTIO_BLK_T_OUT, sector, at, 8192 + 512 * i),
					 VIRTIO_BLK_S_OK);
			check_image(sector * 512, at, 8192 + 512 * i);
			memset(buf, 0, 1 << 16);
			assert_int_equal(request(VIRTIO_BLK_T_IN, sector, at, 8192 + 512 * i),
					 VIRTIO_BLK_S_OK);
			check_image(sector * 512, at, 8192 + 512 * i);
			assert_int_equal(at[8191], i * 16 + sector);
		}
	}
	write_zeroes(4099, 77, false);
	inject.no_punch = inject.no_zero_range = true;
	write_zeroes(5003, 77, true);
	write_zeroes(6008, 80, true);
	free(buf);
}

static void test_engine_choice(void **state)
{
	uint8_t buf[512];

	inject.no_uring = true;
	assert_int_equal(create(IMAGE_NAME ",api=io_uring"), -EPERM);
	assert_string_equal(fake->error,
			    "io_uring: Operation not permitted (api=threads does without)");
	assert_int_equal(create(IMAGE_NAME ",api=iouring"), -EPERM);
	start((void *[]){ "auto" }, "");
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, buf, 512), VIRTIO_BLK_S_OK);
	inject.no_uring = false;
	start((void *[]){ "mio" }, "");
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, buf, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(inject.n_submit, 0);
	start((void *[]){ "auto" }, "");
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, buf, 512), VIRTIO_BLK_S_OK);
	if (uring_usable())
		assert_int_not_equal(inject.n_submit, 0);
}

static void check_error(const char *params, int err_no, const char *text)
{
	assert_int_equal(create(params), err_no);
	assert_string_equal(fake->error, text);
}

static void test_image_errors(void **state)
{
	check_error("", -EINVAL, "path: missing");
	check_error("/nonexistent/a.img", -ENOENT, "open: No such file or directory");
	check_error("/", -EISDIR, "open: Is a directory");
	check_error("/,readonly=on", -EISDIR, "open: Is a directory");
	check_error("/dev/null", -EINVAL, "neither a file nor a block device");
	assert_int_equal(mkfifo("blk-fifo", 0600), 0);
	check_error("blk-fifo,readonly=on", -EINVAL, "neither a file nor a block device");
	check_error("blk-fifo", -EINVAL, "neither a file nor a block device");
	unlink("blk-fifo");
	assert_int_equal(ftruncate(image_fd, 0), 0);
	check_error(IMAGE_NAME, -EINVAL, "the image is empty");
	assert_int_equal(ftruncate(image_fd, 1000), 0);
	check_error(IMAGE_NAME, -EINVAL, "the size, 1000 bytes, is not a multiple of 512 bytes");
	assert_int_equal(ftruncate(image_fd, 512), 0);
	assert_int_equal(create(IMAGE_NAME), 0);
	/* Nothing is created. */
	check_error("blk-absent", -ENOENT, "open: No such file or directory");
	assert_int_equal(access("blk-absent", F_OK), -1);
}

static void test_parameter_errors(void **state)
{
	check_error(IMAGE_NAME ",serial=123456789012345678901", -EINVAL,
		    "serial: longer than 20 bytes");
	check_error(IMAGE_NAME ",queue_size=3", -EINVAL, "queue_size: 3 is not a power of two");
	assert_int_equal(create(IMAGE_NAME ",queue_size=2048"), -EINVAL);
	assert_int_equal(create(IMAGE_NAME ",queues=65"), -EINVAL);
	assert_int_equal(create(IMAGE_NAME ",queues=0"), -EINVAL);
	assert_int_equal(create(IMAGE_NAME ",api=fast"), -EINVAL);
}

static void test_lock(void **state)
{
	struct alcor_fake *holder;

	assert_int_equal(create(IMAGE_NAME), 0);
	holder = fake;
	fake = NULL;
	check_error(IMAGE_NAME, -EBUSY, "locked by another process");
	check_error(IMAGE_NAME ",readonly=on", -EBUSY, "locked by another process");
	assert_int_equal(create(IMAGE_NAME ",lock=off"), 0);
	alcor_fake_free(holder);
	/* Readers share, and keep writers out. */
	assert_int_equal(create(IMAGE_NAME ",readonly=on"), 0);
	holder = fake;
	fake = NULL;
	assert_int_equal(create(IMAGE_NAME ",readonly=on"), 0);
	check_error(IMAGE_NAME, -EBUSY, "locked by another process");
	alcor_fake_free(holder);
	assert_int_equal(create(IMAGE_NAME ",direct=off"), 0);
}

static void test_manual(void **state)
{
	assert_int_equal(create(IMAGE_NAME), 0);
	assert_true(alcor_fake_manual_complete(fake->plugin, MANUAL_PATH));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_many_requests),
		{ "test_busy_kernel", test_busy_kernel, setup, teardown, "io_uring" },
		BOTH(test_queue_stop_with_requests_in_flight),
		BOTH(test_pause_and_resume),
		BOTH(test_destroy_with_requests_in_flight),
		BOTH(test_direct),
		TEST(test_engine_choice),
		TEST(test_image_errors),
		TEST(test_parameter_errors),
		TEST(test_lock),
		TEST(test_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
