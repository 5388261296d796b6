/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile driver: the input writes ring memory and registers, with a plugin behind that completes
 * requests or holds them. Whatever it does, the plugin sees only requests that lie in memory and
 * fit the limits, and after a reset the device serves a good request.
 *
 * Input: one byte of options, then operations of one byte each, followed by their operands.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"
#include "util/overflow.h"
#include "virtio/virtio.h"

#define FUZZ_RAM      (1u << 20)
#define FUZZ_QUEUES   2
#define FUZZ_SIZE     8
#define FUZZ_SEGMENTS 6
#define FUZZ_OPS      400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	const uint8_t *data;
	size_t left;
	struct mem *mem;
	struct loop *loop;
	struct virtio_dev *dev;
	uint8_t *ram;
	uint64_t features;
	bool packed, hold;
	uint16_t next_avail[FUZZ_QUEUES];
	bool wrap[FUZZ_QUEUES];
	struct alcor_vreq *held[FUZZ_QUEUES * FUZZ_SIZE];
	unsigned n_held;
	unsigned served;
	bool active;
};

static void require(bool truth)
{
	if (!truth)
		abort();
}

/* --- plugin --- */

static void check_iov(const struct fuzz *fuzz, const struct iovec *iov, uint32_t n, uint64_t len,
		      bool write)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t offset = (uint64_t)((uint8_t *)iov[i].iov_base - fuzz->ram);

		require(iov[i].iov_len && range_within(offset, iov[i].iov_len, FUZZ_RAM));
		len -= iov[i].iov_len;
		if (write)
			memset(iov[i].iov_base, 0x5a, MIN(iov[i].iov_len, 64));
	}
	require(!len);
}

static void take(struct fuzz *fuzz, struct alcor_vreq *req)
{
	require(req->n_out + req->n_in >= 1 && req->n_out + req->n_in <= FUZZ_SEGMENTS);
	check_iov(fuzz, req->out, req->n_out, req->out_len, false);
	check_iov(fuzz, req->in, req->n_in, req->in_len, true);
	memset(req->priv, 0x11, 24);
	fuzz->served++;
	if (!fuzz->hold) {
		virtio_vq_push(req, (uint32_t)req->in_len);
		return;
	}
	for (unsigned i = 0; i < fuzz->n_held; i++)
		require(fuzz->held[i] != req);
	require(fuzz->n_held < FUZZ_QUEUES * FUZZ_SIZE);
	fuzz->held[fuzz->n_held++] = req;
}

static void fuzz_queue(void *priv, uint16_t index)
{
	struct fuzz *fuzz = priv;
	struct alcor_vreq *reqs[3];
	uint32_t n;

	require(fuzz->active);
	while ((n = virtio_vq_pop(virtio_vq(fuzz->dev, index), reqs, 3)))
		for (uint32_t i = 0; i < n; i++)
			take(fuzz, reqs[i]);
	virtio_vq_flush(virtio_vq(fuzz->dev, index));
}

static int fuzz_activate(void *priv, uint64_t features)
{
	struct fuzz *fuzz = priv;

	require(!fuzz->active && features >> VIRTIO_F_VERSION_1 & 1);
	fuzz->active = true;
	return 0;
}

static void complete(struct fuzz *fuzz, unsigned i)
{
	struct alcor_vreq *req = fuzz->held[i];
	struct alcor_vq *vq = req->vq;

	fuzz->held[i] = fuzz->held[--fuzz->n_held];
	virtio_vq_push(req, (uint32_t)req->in_len);
	virtio_vq_flush(vq);
}

static void fuzz_queue_stop(void *priv, uint16_t index)
{
	struct fuzz *fuzz = priv;

	require(fuzz->active);
	for (unsigned i = 0; i < fuzz->n_held;) {
		if (fuzz->held[i]->vq == virtio_vq(fuzz->dev, index))
			complete(fuzz, i);
		else
			i++;
	}
}

static void fuzz_deactivate(void *priv)
{
	struct fuzz *fuzz = priv;

	require(fuzz->active && !fuzz->n_held);
	fuzz->active = false;
}

static int fuzz_config_write(void *priv, uint32_t offset, const void *data, uint32_t len)
{
	return *(const uint8_t *)data & 1 ? -EINVAL : 0;
}

static const struct alcor_virtio_ops fuzz_ops = {
	.struct_size = sizeof(fuzz_ops),
	.activate = fuzz_activate,
	.queue = fuzz_queue,
	.queue_stop = fuzz_queue_stop,
	.deactivate = fuzz_deactivate,
	.config_write = fuzz_config_write,
};

/* --- input --- */

static uint32_t take_bytes(struct fuzz *fuzz, unsigned n)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < n && fuzz->left; i++, fuzz->left--)
		value |= (uint32_t)*fuzz->data++ << 8 * i;
	return value;
}

static void quit(void *opaque)
{
	loop_quit(opaque);
}

static void pump(struct fuzz *fuzz)
{
	for (unsigned i = 0; i < 3; i++) {
		require(!loop_post(fuzz->loop, quit, fuzz->loop));
		loop_run(fuzz->loop);
	}
}

/* --- driver --- */

static uint64_t place(uint16_t queue, unsigned area)
{
	return queue * 0x4000 + (area + 1) * 0x1000;
}

static void setup_queue(struct fuzz *fuzz, uint16_t queue, uint16_t size)
{
	memset(fuzz->ram + place(queue, 0), 0, 0x3000);
	virtio_queue_set_size(fuzz->dev, queue, size);
	for (unsigned area = 0; area < 3; area++) {
		virtio_queue_set_area(fuzz->dev, queue, area, 0, (uint32_t)place(queue, area));
		virtio_queue_set_area(fuzz->dev, queue, area, 1, 0);
	}
	virtio_queue_enable(fuzz->dev, queue);
	fuzz->next_avail[queue] = 0;
	fuzz->wrap[queue] = true;
}

static void start(struct fuzz *fuzz)
{
	virtio_set_status(fuzz->dev, 3);
	virtio_set_driver_features(fuzz->dev, 0, (uint32_t)fuzz->features);
	virtio_set_driver_features(fuzz->dev, 1, (uint32_t)(fuzz->features >> 32));
	virtio_set_status(fuzz->dev, 11);
	for (uint16_t queue = 0; queue < FUZZ_QUEUES; queue++)
		setup_queue(fuzz, queue, FUZZ_SIZE);
	virtio_set_status(fuzz->dev, 15);
}

/* One descriptor, made available as the layout demands. */
static void add_desc(struct fuzz *fuzz, uint16_t queue, uint16_t id, struct vring_desc desc)
{
	uint16_t at = fuzz->next_avail[queue]++;
	struct vring_avail *avail = (void *)(fuzz->ram + place(queue, 1));
	struct vring_packed_desc *packed;

	if (!fuzz->packed) {
		memcpy(fuzz->ram + place(queue, 0) + id % FUZZ_SIZE * sizeof(desc), &desc,
		       sizeof(desc));
		avail->ring[at % FUZZ_SIZE] = id;
		avail->idx = at + 1;
		return;
	}
	packed = (struct vring_packed_desc *)(fuzz->ram + place(queue, 0)) + at;
	*packed = (struct vring_packed_desc){ desc.addr, desc.len, id, desc.flags & 0x7f7f };
	packed->flags |= fuzz->wrap[queue] ? 1 << 7 : 1 << 15;
	if (fuzz->next_avail[queue] == FUZZ_SIZE) {
		fuzz->next_avail[queue] = 0;
		fuzz->wrap[queue] = !fuzz->wrap[queue];
	}
}

static void op_memory(struct fuzz *fuzz)
{
	uint32_t at = take_bytes(fuzz, 2), len = take_bytes(fuzz, 1);

	len = (uint32_t)MIN(len, fuzz->left);
	memcpy(fuzz->ram + at, fuzz->data, len);
	fuzz->data += len;
	fuzz->left -= len;
}

static void op_desc(struct fuzz *fuzz)
{
	uint16_t queue = take_bytes(fuzz, 1) % FUZZ_QUEUES, id = (uint16_t)take_bytes(fuzz, 1);
	uint8_t shape = (uint8_t)take_bytes(fuzz, 1);
	struct vring_desc desc = { .addr = take_bytes(fuzz, 2), .len = take_bytes(fuzz, 1) };

	desc.flags = shape & 7;
	desc.next = (uint16_t)take_bytes(fuzz, 1);
	if (shape & 0x08)
		desc.addr = 0x10000 + desc.addr * 16;
	if (shape & 0x10)
		desc.len *= 16;
	if (shape & 0x20)
		desc.addr |= (uint64_t)take_bytes(fuzz, 4) << 32;
	if (shape & 0x40)
		desc.len |= take_bytes(fuzz, 4);
	if (shape & 0x80)
		id |= (uint16_t)(take_bytes(fuzz, 1) << 8);
	add_desc(fuzz, queue, id, desc);
}

static void op_register(struct fuzz *fuzz)
{
	uint16_t queue = take_bytes(fuzz, 1) % (FUZZ_QUEUES + 1);
	uint32_t which = take_bytes(fuzz, 1) % 8, value = take_bytes(fuzz, 2);
	struct virtio_queue_regs regs;

	switch (which) {
	case 0:
		virtio_set_status(fuzz->dev, (uint8_t)value);
		break;
	case 1:
		virtio_set_driver_features(fuzz->dev, value & 3, take_bytes(fuzz, 4));
		break;
	case 2:
		virtio_queue_set_size(fuzz->dev, queue, (uint16_t)value);
		break;
	case 3:
		virtio_queue_set_area(fuzz->dev, queue, value & 3, value >> 2 & 1,
				      take_bytes(fuzz, 4));
		break;
	case 4:
		virtio_queue_enable(fuzz->dev, queue);
		break;
	case 5:
		virtio_queue_reset(fuzz->dev, queue);
		break;
	case 6:
		virtio_config_write(fuzz->dev, value, fuzz->ram, 1u << (value >> 8 & 3));
		break;
	case 7:
		virtio_queue_regs(fuzz->dev, queue, &regs);
		virtio_config_update(fuzz->dev, value & 0xff, fuzz->ram, value >> 8);
		break;
	}
}

static void op_restart(struct fuzz *fuzz)
{
	virtio_set_status(fuzz->dev, 0);
	pump(fuzz);
	require(!virtio_status(fuzz->dev) && !fuzz->active && !fuzz->n_held);
	start(fuzz);
}

static void step(struct fuzz *fuzz)
{
	uint32_t op = take_bytes(fuzz, 1), operand = op >> 4;

	switch (op & 7) {
	case 0:
		op_memory(fuzz);
		break;
	case 1:
	case 2:
		op_desc(fuzz);
		break;
	case 3:
		op_register(fuzz);
		break;
	case 4:
		if (fuzz->n_held)
			complete(fuzz, operand % fuzz->n_held);
		break;
	case 5:
		fuzz->hold = operand & 1;
		if (operand & 2)
			setup_queue(fuzz, operand >> 2 & 1, operand & 8 ? 4 : FUZZ_SIZE);
		break;
	case 6:
		if (operand == 15)
			op_restart(fuzz);
		break;
	case 7:
		virtio_vq_kick(virtio_vq(fuzz->dev, operand % FUZZ_QUEUES));
		pump(fuzz);
		break;
	}
}

/* What a reset is for. */
static void check_recovery(struct fuzz *fuzz)
{
	fuzz->hold = false;
	fuzz->features = virtio_offered_features(fuzz->dev);
	fuzz->packed = fuzz->features >> VIRTIO_F_RING_PACKED & 1;
	op_restart(fuzz);
	pump(fuzz);
	fuzz->served = 0;
	add_desc(fuzz, 0, 3, (struct vring_desc){ 0x10000, 64, VRING_DESC_F_WRITE, 0 });
	virtio_vq_kick(virtio_vq(fuzz->dev, 0));
	pump(fuzz);
	require(fuzz->served == 1 && virtio_status(fuzz->dev) == 15);
	virtio_machine_reset(fuzz->dev);
}

static void open_machine(struct fuzz *fuzz)
{
	const struct alcor_virtio_desc desc = { .struct_size = sizeof(desc),
						.device_id = 4,
						.n_queues = FUZZ_QUEUES,
						.queue_size = FUZZ_SIZE,
						.max_segments = FUZZ_SEGMENTS,
						.req_size = 24,
						.config_size = 16,
						.config = "0123456789abcdef",
						.ops = &fuzz_ops };
	const struct mem_config ram = { .size = FUZZ_RAM, .backend = MEM_ANON };
	uint32_t options = take_bytes(fuzz, 1);
	struct virtio_env env = { .name = "fuzz", .packed = options & 1 };

	require(!mem_new(NULL, &fuzz->mem));
	require(!mem_add_ram(fuzz->mem, &ram, 1ull << 32, 1ull << 46, NULL));
	require(!loop_new(&fuzz->loop));
	fuzz->ram = mem_ptr(fuzz->mem, 0, FUZZ_RAM);
	env.mem = fuzz->mem;
	env.loop = fuzz->loop;
	require(!virtio_new(&env, &desc, fuzz, &fuzz->dev, NULL));
	fuzz->features = virtio_offered_features(fuzz->dev);
	if (options & 2)
		fuzz->features &= ~(1ull << VIRTIO_RING_F_EVENT_IDX);
	if (options & 4)
		fuzz->features &= ~(1ull << VIRTIO_RING_F_INDIRECT_DESC);
	if (options & 8)
		fuzz->features &= ~(1ull << VIRTIO_F_RING_PACKED);
	fuzz->packed = fuzz->features >> VIRTIO_F_RING_PACKED & 1;
	fuzz->hold = options & 16;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = { .data = data, .left = size };

	log_set_level(LOG_ERROR);
	open_machine(&fuzz);
	start(&fuzz);
	for (unsigned n = 0; n < FUZZ_OPS && fuzz.left; n++)
		step(&fuzz);
	pump(&fuzz);
	check_recovery(&fuzz);
	virtio_free(fuzz.dev);
	loop_free(fuzz.loop);
	mem_free(fuzz.mem);
	return 0;
}
