/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test_fixture.h"

struct inject inject;
struct alcor_fake *fake;
int image_fd;

/* Of one test, so that programs may run side by side. */
static char directory[16];

/* The functions in front of the C library and of liburing. */
#define IN_FRONT __attribute__((visibility("default")))

static void *real(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	assert_non_null(function);
	return function;
}

IN_FRONT int fdatasync(int fd)
{
	inject.n_fdatasync++;
	return (int)syscall(SYS_fdatasync, fd);
}

IN_FRONT ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	if (inject.slow)
		usleep(20000);
	if (inject.short_transfers && inject.n_interrupted++ % 2) {
		errno = EINTR;
		return -1;
	}
	if (inject.short_transfers)
		return pread(fd, iov->iov_base, iov->iov_len < 100 ? iov->iov_len : 100, offset);
	return syscall(SYS_preadv2, fd, iov, n, offset, 0, flags);
}

IN_FRONT ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	if (inject.slow)
		usleep(20000);
	if (inject.short_transfers)
		return pwrite(fd, iov->iov_base, iov->iov_len < 100 ? iov->iov_len : 100, offset);
	return syscall(SYS_pwritev2, fd, iov, n, offset, 0, flags);
}

IN_FRONT int fallocate(int fd, int mode, off_t offset, off_t len)
{
	if ((inject.no_punch && mode & 0x02) || (inject.no_zero_range && mode & 0x10)) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

IN_FRONT int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
	int (*init)(unsigned, struct io_uring *, unsigned);

	if (inject.no_uring)
		return -EPERM;
	*(void **)&init = real("io_uring_queue_init");
	return init(entries, ring, flags);
}

/* Only the first buffer of each list reaches the kernel. */
IN_FRONT int io_uring_submit(struct io_uring *ring)
{
	int (*submit)(struct io_uring *);
	struct io_uring_sq *sq = &ring->sq;

	inject.n_submit++;
	if (inject.n_busy && inject.n_busy--)
		return -EAGAIN;
	for (unsigned i = sq->sqe_head; i != sq->sqe_tail && inject.short_transfers; i++) {
		struct io_uring_sqe *sqe = &sq->sqes[i & *sq->kring_mask];

		if (sqe->opcode == IORING_OP_READV || sqe->opcode == IORING_OP_WRITEV)
			sqe->len = 1;
	}
	*(void **)&submit = real("io_uring_submit");
	return submit(ring);
}

bool uring_usable(void)
{
	struct io_uring ring;

	if (io_uring_queue_init(2, &ring, 0) < 0)
		return false;
	io_uring_queue_exit(&ring);
	return true;
}

uint8_t pattern(size_t at)
{
	return (uint8_t)(at / 512 * 7 + at % 251);
}

static void image_make(size_t size)
{
	uint8_t *bytes = malloc(size);

	image_fd = open(IMAGE_NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(image_fd >= 0 && bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = pattern(i);
	assert_int_equal(pwrite(image_fd, bytes, size, 0), size);
	assert_int_equal(fsync(image_fd), 0);
	free(bytes);
}

int setup(void **state)
{
	memset(&inject, 0, sizeof(inject));
	fake = NULL;
	strcpy(directory, "blk-XXXXXX");
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chdir(directory), 0);
	image_make(IMAGE_SIZE);
	return 0;
}

int teardown(void **state)
{
	alcor_fake_free(fake);
	close(image_fd);
	unlink(IMAGE_NAME);
	return chdir("..") || rmdir(directory);
}

int create(const char *params)
{
	alcor_fake_free(fake);
	fake = alcor_fake_new(PLUGIN_PATH, "blk/file");
	return alcor_fake_create(fake, params);
}

void start(void **state, const char *more)
{
	char params[128];

	if (!strcmp(*state, "io_uring") && !uring_usable()) {
		print_message("SKIPPED: this machine has no usable io_uring\n");
		skip();
	}
	snprintf(params, sizeof(params), IMAGE_NAME ",api=%s,%s", (char *)*state, more);
	assert_int_equal(create(params), 0);
	assert_int_equal(alcor_fake_realize(fake), 0);
	assert_int_equal(alcor_fake_activate(fake, FLUSH_BIT), 0);
}

struct virtio_blk_config config(void)
{
	struct virtio_blk_config cfg;

	memcpy(&cfg, fake->config, sizeof(cfg));
	return cfg;
}

struct virtio_blk_outhdr header(uint32_t type, uint64_t sector)
{
	return (struct virtio_blk_outhdr){ .type = htole32(type), .sector = htole64(sector) };
}

uint8_t request(uint32_t type, uint64_t sector, void *data, size_t len)
{
	struct virtio_blk_outhdr hdr = header(type, sector);
	bool reads = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	uint8_t status = 0xee;
	struct iovec out[] = { { &hdr, sizeof(hdr) }, { data, len } };
	struct iovec in[] = { { data, len }, { &status, 1 } };
	struct alcor_fake_request *req;

	req = alcor_fake_submit(fake, 0, out, reads ? 1 : 2, reads ? in : in + 1, reads ? 2 : 1);
	alcor_fake_notify(fake, 0);
	assert_true(alcor_fake_wait(fake, &req->done));
	assert_int_equal(req->written, reads ? len + 1 : 1);
	return status;
}

void check_image(uint64_t offset, const uint8_t *bytes, size_t len)
{
	uint8_t *got = malloc(len);

	assert_int_equal(pread(image_fd, got, len, (off_t)offset), len);
	assert_memory_equal(got, bytes, len);
	free(got);
}

void check_zero(uint64_t offset, size_t len)
{
	uint8_t *zeroes = calloc(1, len);

	check_image(offset, zeroes, len);
	free(zeroes);
}

void check_around(uint64_t offset, size_t len)
{
	uint8_t before = pattern(offset - 1), behind = pattern(offset + len);

	check_image(offset - 1, &before, 1);
	check_image(offset + len, &behind, 1);
}

void write_zeroes(uint64_t sector, uint32_t sectors, bool unmap)
{
	struct virtio_blk_discard_write_zeroes segment = {
		.sector = htole64(sector),
		.num_sectors = htole32(sectors),
		.flags = htole32(unmap ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0),
	};

	assert_int_equal(request(VIRTIO_BLK_T_WRITE_ZEROES, 0, &segment, sizeof(segment)),
			 VIRTIO_BLK_S_OK);
	check_zero(sector * 512, sectors * 512);
	check_around(sector * 512, sectors * 512);
}
