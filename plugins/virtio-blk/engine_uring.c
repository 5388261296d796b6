/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_uring: one ring a device. The ring's own descriptor is readable while there are completions,
 * which saves the system call that an eventfd would need to be read.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <time.h>

#include "engine.h"

struct uring {
	struct blk_engine engine; /* first */
	struct io_uring ring;
	/* Operations that found the submission queue full. */
	struct blk_io *waiting, **waiting_tail;
	uint32_t n_waiting;
};

static void waiting_append(struct uring *uring, struct blk_io *io)
{
	io->next = NULL;
	*uring->waiting_tail = io;
	uring->waiting_tail = &io->next;
	uring->n_waiting++;
}

static void prepare(struct io_uring_sqe *sqe, struct blk_io *io)
{
	int flags = io->stable ? RWF_DSYNC : 0;

	switch (io->op) {
	case BLK_READ:
		io_uring_prep_readv(sqe, io->fd, io->iov, blk_io_n_iov(io), io->offset);
		break;
	case BLK_WRITE:
		io_uring_prep_writev2(sqe, io->fd, io->iov, blk_io_n_iov(io), io->offset, flags);
		break;
	default:
		io_uring_prep_fsync(sqe, io->fd, IORING_FSYNC_DATASYNC);
		break;
	}
	io_uring_sqe_set_data(sqe, io);
}

/* Moves what waits into the submission queue. */
static void fill(struct uring *uring)
{
	struct io_uring_sqe *sqe;

	while (uring->waiting) {
		struct blk_io *io = uring->waiting;

		sqe = io_uring_get_sqe(&uring->ring);
		if (!sqe && io_uring_submit(&uring->ring) > 0)
			sqe = io_uring_get_sqe(&uring->ring);
		if (!sqe)
			return;
		uring->waiting = io->next;
		if (!uring->waiting)
			uring->waiting_tail = &uring->waiting;
		uring->n_waiting--;
		prepare(sqe, io);
	}
}

static void uring_submit(struct blk_engine *engine, struct blk_io *io)
{
	struct uring *uring = (struct uring *)engine;

	engine->in_flight++;
	waiting_append(uring, io);
	fill(uring);
}

/*
 * The kernel can refuse for a while, for want of memory or because completions pile up (-EAGAIN,
 * -EBUSY). What it took before will complete and bring us here again; if it has taken nothing,
 * there is nobody else to wait for.
 */
static void uring_commit(struct blk_engine *engine)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };
	struct uring *uring = (struct uring *)engine;

	for (;;) {
		uint32_t queued;
		int ret;

		fill(uring);
		ret = io_uring_submit(&uring->ring);
		queued = io_uring_sq_ready(&uring->ring) + uring->n_waiting;
		if (!queued)
			return;
		if (ret > 0 || ret == -EINTR)
			continue;
		if (queued < engine->in_flight)
			return;
		nanosleep(&pause, NULL);
	}
}

/* Whether @io is complete; else it was queued for what is left of it. */
static bool advance(struct uring *uring, struct blk_io *io, int res)
{
	if (io->op == BLK_FLUSH && res != -EINTR && res != -EAGAIN) {
		io->result = res;
		return true;
	}
	if (io->op != BLK_FLUSH && blk_io_advance(io, res))
		return true;
	waiting_append(uring, io);
	return false;
}

static void uring_reap(struct blk_engine *engine, bool wait)
{
	struct uring *uring = (struct uring *)engine;
	struct io_uring_cqe *cqe;

	if (wait && engine->in_flight) {
		uring_commit(engine);
		while (io_uring_wait_cqe(&uring->ring, &cqe) == -EINTR)
			;
	}
	while (io_uring_peek_cqe(&uring->ring, &cqe) == 0) {
		struct blk_io *io = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&uring->ring, cqe);
		if (!advance(uring, io, res))
			continue;
		engine->in_flight--;
		engine->done(engine->opaque, io);
	}
	uring_commit(engine);
}

static void uring_destroy(struct blk_engine *engine)
{
	struct uring *uring = (struct uring *)engine;

	io_uring_queue_exit(&uring->ring);
	free(uring);
}

static const struct blk_engine_ops uring_ops = {
	.submit = uring_submit,
	.commit = uring_commit,
	.reap = uring_reap,
	.destroy = uring_destroy,
};

static bool ops_supported(struct io_uring *ring)
{
	static const int needed[] = { IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC };
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool supported = probe != NULL;

	for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]) && supported; i++)
		supported = io_uring_opcode_supported(probe, needed[i]);
	io_uring_free_probe(probe);
	return supported;
}

int blk_uring_new(uint32_t entries, struct blk_engine **ret_engine)
{
	struct uring *uring = calloc(1, sizeof(*uring));
	int ret;

	if (!uring)
		return -ENOMEM;
	ret = io_uring_queue_init(entries, &uring->ring, 0);
	if (ret < 0) {
		free(uring);
		return ret;
	}
	/* Without NODROP the kernel may lose completions. */
	if (!(uring->ring.features & IORING_FEAT_NODROP) || !ops_supported(&uring->ring)) {
		uring_destroy(&uring->engine);
		return -ENOSYS;
	}
	uring->engine.ops = &uring_ops;
	uring->engine.fd = uring->ring.ring_fd;
	uring->waiting_tail = &uring->waiting;
	*ret_engine = &uring->engine;
	return 0;
}
