/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of the driver (Virtio 1.3, 5.2.6). Where the header ends and the status byte begins is
 * a matter of bytes, not of buffers (2.7.4.3).
 */
#include <endian.h>
#include <errno.h>
#include <stddef.h>

#include "blk.h"

struct blk_request {
	struct blk_io io; /* first */
	struct alcor_vreq *vreq;
	uint8_t *status;      /* in guest memory */
	struct iovec *out;    /* behind the header */
	uint32_t n_out, n_in; /* n_in: up to the status */
	uint16_t queue;
	struct blk_range ranges[BLK_RANGES_MAX]; /* not cleared */
};

_Static_assert(sizeof(struct virtio_blk_outhdr) == 16, "5.2.6");
_Static_assert(sizeof(struct virtio_blk_discard_write_zeroes) == 16, "5.2.6");

uint32_t blk_request_size(void)
{
	return sizeof(struct blk_request);
}

/* The status is the last byte of the writable part, so the driver finds it only within a length
 * that covers all of it. */
static void complete(struct blk *blk, struct blk_request *req, uint8_t status)
{
	uint64_t written = req->vreq->in_len;

	*req->status = status;
	blk->touched |= 1ull << req->queue;
	blk->virtio->push(req->vreq, written < UINT32_MAX ? (uint32_t)written : UINT32_MAX);
}

void blk_flush_queues(struct blk *blk)
{
	uint64_t touched = blk->touched;

	blk->touched = 0;
	for (uint16_t i = 0; touched; i++, touched >>= 1) {
		if (touched & 1)
			blk->virtio->flush(blk->virtio->vq(blk->dev, i));
	}
}

static void engine_drain(struct blk_engine *engine)
{
	while (engine->in_flight)
		engine->ops->reap(engine, true);
}

void blk_drain(struct blk *blk)
{
	engine_drain(blk->engine);
	engine_drain(blk->slow);
}

static uint8_t result_status(struct blk *blk, const struct blk_io *io)
{
	static const char *const names[] = { "read", "write", "flush", "discard", "write zeroes" };

	if (io->result == 0)
		return VIRTIO_BLK_S_OK;
	if (io->op == BLK_DISCARD && io->result == -EOPNOTSUPP)
		return VIRTIO_BLK_S_UNSUPP;
	if (io->op == BLK_READ || io->op == BLK_WRITE)
		alcor_log(blk->dev, ALCOR_LOG_ERROR, "%s at byte %llu: %s", names[io->op],
			  (unsigned long long)io->offset, strerror(-io->result));
	else
		alcor_log(blk->dev, ALCOR_LOG_ERROR, "%s: %s", names[io->op],
			  strerror(-io->result));
	return VIRTIO_BLK_S_IOERR;
}

void blk_request_io_done(void *opaque, struct blk_io *io)
{
	struct blk *blk = opaque;

	complete(blk, (struct blk_request *)io, result_status(blk, io));
}

static bool misaligned(uint64_t value, uint32_t align)
{
	return value & (align - 1);
}

/* Whether direct I/O takes @io as it is. */
static bool direct_takes(const struct blk_image *image, const struct blk_io *io)
{
	if (misaligned(io->offset | io->len, image->block_align))
		return false;
	for (uint32_t i = 0; i < io->n_iov; i++) {
		if (io->iov[i].iov_len &&
		    (misaligned((uintptr_t)io->iov[i].iov_base, image->mem_align) ||
		     misaligned(io->iov[i].iov_len, image->block_align)))
			return false;
	}
	for (uint32_t i = 0; i < io->n_ranges; i++) {
		if (misaligned(io->ranges[i].offset | io->ranges[i].len, image->block_align))
			return false;
	}
	return true;
}

/*
 * The page cache is the bounce buffer of what direct I/O cannot take. A page in it may hold
 * neighbours of the request, so that nothing else is in flight meanwhile, and nothing dirty stays
 * behind. Drivers that heed blk_size do not come here.
 */
static void run_alone(struct blk *blk, struct blk_io *io)
{
	blk_drain(blk);
	io->fd = blk->image.fd;
	io->stable = true;
	blk_io_run(&blk->image, io);
	blk_request_io_done(blk, io);
}

static void submit(struct blk *blk, struct blk_request *req)
{
	struct blk_engine *engine = req->io.op <= BLK_FLUSH ? blk->engine : blk->slow;
	struct blk_io *io = &req->io;

	io->fd = blk->image.fd;
	io->stable = blk->writethrough;
	if (blk->image.direct_fd >= 0) {
		if (!direct_takes(&blk->image, io)) {
			run_alone(blk, io);
			return;
		}
		io->fd = blk->image.direct_fd;
	}
	engine->ops->submit(engine, io);
}

/* Sectors to bytes; false where the range leaves the image. */
static bool range_bytes(const struct blk *blk, uint64_t sector, uint64_t len, uint64_t *ret_offset)
{
	uint64_t offset;

	if (__builtin_mul_overflow(sector, SECTOR_SIZE, &offset) || offset > blk->image.size ||
	    len > blk->image.size - offset)
		return false;
	*ret_offset = offset;
	return true;
}

static void start_transfer(struct blk *blk, struct blk_request *req, uint64_t sector,
			   struct iovec *iov, uint32_t n_iov, uint64_t len)
{
	struct blk_io *io = &req->io;

	if (len % SECTOR_SIZE || !range_bytes(blk, sector, len, &io->offset) ||
	    (io->op == BLK_WRITE && blk->image.readonly)) {
		complete(blk, req, VIRTIO_BLK_S_IOERR);
		return;
	}
	if (len == 0) {
		complete(blk, req, VIRTIO_BLK_S_OK);
		return;
	}
	io->iov = iov;
	io->n_iov = n_iov;
	io->len = len;
	iov_drop_front(&io->iov, &io->n_iov, 0);
	submit(blk, req);
}

static uint8_t range_parse(struct blk *blk, enum blk_op op,
			   const struct virtio_blk_discard_write_zeroes *segment,
			   struct blk_range *ret_range)
{
	uint32_t allowed = op == BLK_ZERO ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
	uint32_t max = op == BLK_ZERO ? BLK_ZERO_SECTORS : BLK_DISCARD_SECTORS;
	uint32_t sectors = le32toh(segment->num_sectors), flags = le32toh(segment->flags);

	if (flags & ~allowed)
		return VIRTIO_BLK_S_UNSUPP;
	ret_range->len = (uint64_t)sectors * SECTOR_SIZE;
	ret_range->unmap = flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	if (sectors > max ||
	    !range_bytes(blk, le64toh(segment->sector), ret_range->len, &ret_range->offset))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

/* DISCARD and WRITE_ZEROES: all segments are checked before the first is carried out. */
static void start_ranges(struct blk *blk, struct blk_request *req, uint64_t len)
{
	struct virtio_blk_discard_write_zeroes segments[BLK_RANGES_MAX];
	uint32_t n = (uint32_t)(len / sizeof(segments[0]));

	if (len % sizeof(segments[0]) || len == 0 || len > sizeof(segments)) {
		complete(blk, req, VIRTIO_BLK_S_IOERR);
		return;
	}
	iov_peek(req->out, req->n_out, segments, len);
	for (uint32_t i = 0; i < n; i++) {
		uint8_t status = range_parse(blk, req->io.op, &segments[i], &req->ranges[i]);

		if (status != VIRTIO_BLK_S_OK) {
			complete(blk, req, status);
			return;
		}
	}
	req->io.ranges = req->ranges;
	req->io.n_ranges = n;
	submit(blk, req);
}

static bool offered(const struct blk *blk, unsigned feature)
{
	return blk->features & 1ull << feature;
}

static void dispatch(struct blk *blk, struct blk_request *req, uint32_t type, uint64_t sector)
{
	struct alcor_vreq *vreq = req->vreq;
	uint64_t data_len = vreq->out_len - sizeof(struct virtio_blk_outhdr);

	switch (type) {
	case VIRTIO_BLK_T_IN:
		req->io.op = BLK_READ;
		start_transfer(blk, req, sector, vreq->in, req->n_in, vreq->in_len - 1);
		return;
	case VIRTIO_BLK_T_OUT:
		req->io.op = BLK_WRITE;
		start_transfer(blk, req, sector, req->out, req->n_out, data_len);
		return;
	case VIRTIO_BLK_T_FLUSH:
		req->io.op = BLK_FLUSH;
		submit(blk, req);
		return;
	case VIRTIO_BLK_T_GET_ID:
		iov_fill(vreq->in, req->n_in, blk->serial, sizeof(blk->serial));
		complete(blk, req, VIRTIO_BLK_S_OK);
		return;
	case VIRTIO_BLK_T_DISCARD:
		if (!offered(blk, VIRTIO_BLK_F_DISCARD))
			break;
		req->io.op = BLK_DISCARD;
		start_ranges(blk, req, data_len);
		return;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		if (!offered(blk, VIRTIO_BLK_F_WRITE_ZEROES))
			break;
		req->io.op = BLK_ZERO;
		start_ranges(blk, req, data_len);
		return;
	}
	complete(blk, req, VIRTIO_BLK_S_UNSUPP);
}

void blk_request_start(struct blk *blk, struct alcor_vreq *vreq, uint16_t index)
{
	struct blk_request *req = vreq->priv;
	struct virtio_blk_outhdr header;

	memset(req, 0, offsetof(struct blk_request, ranges));
	req->vreq = vreq;
	req->queue = index;
	req->out = vreq->out;
	req->n_out = vreq->n_out;
	req->n_in = vreq->n_in;
	req->status = iov_take_last(vreq->in, &req->n_in);
	if (!req->status) {
		alcor_log(blk->dev, ALCOR_LOG_WARN, "request without a status byte");
		blk->touched |= 1ull << index;
		blk->virtio->push(vreq, 0);
		return;
	}
	if (iov_peek(req->out, req->n_out, &header, sizeof(header)) < sizeof(header)) {
		complete(blk, req, VIRTIO_BLK_S_IOERR);
		return;
	}
	iov_drop_front(&req->out, &req->n_out, sizeof(header));
	dispatch(blk, req, le32toh(header.type), le64toh(header.sector));
}
