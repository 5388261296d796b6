/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtqueues, whatever their layout: request slots, pop, push and flush, and the notification loop.
 * Nothing on the way of a request allocates, locks or calls the kernel, but for the interrupt.
 */
#include "virtio/vq.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "util/cleanup.h"
#include "util/overflow.h"

#define VQ_ROUNDS 4 /* of serving a queue before others on the loop get their turn */

/* --- start and stop --- */

int vq_map(struct mem *mem, const struct virtio_queue_regs *regs, bool packed, void **ret_areas,
	   const char **ret_why)
{
	uint64_t size = regs->size;
	const struct {
		uint64_t gpa, align, len;
	} split_areas[] = { { regs->desc, 16, 16 * size },
			    { regs->driver, 2, 6 + 2 * size },
			    { regs->device, 4, 6 + 8 * size } },
	  packed_areas[] = { { regs->desc, 16, 16 * size },
			     { regs->driver, 4, 4 },
			     { regs->device, 4, 4 } },
	  *areas = packed ? packed_areas : split_areas;
	void *host[3];

	if (!size || size > VIRTIO_QUEUE_MAX || (!packed && !is_pow2(size))) {
		*ret_why = "queue size is not allowed";
		return -EINVAL;
	}
	for (unsigned i = 0; i < 3; i++) {
		host[i] = mem_ptr(mem, areas[i].gpa, areas[i].len);
		if (!host[i] || areas[i].gpa % areas[i].align) {
			*ret_why = host[i] ? "ring is not aligned" : "ring outside of memory";
			return -EINVAL;
		}
	}
	memcpy(ret_areas, host, sizeof(host));
	return 0;
}

/* One mapping, so that only slots that are used cost memory. */
static int vq_alloc_slots(struct alcor_vq *vq, const struct alcor_virtio_desc *desc)
{
	uint64_t stride = align_up(sizeof(struct vq_slot), 16);
	void *slots;

	if (add_overflows(stride, align_up(desc->req_size, 16), &stride))
		return -ENOMEM;
	vq->stride = align_up(stride + vq->max_segments * sizeof(struct iovec), 64);
	slots = mmap(NULL, vq->size * vq->stride, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (slots == MAP_FAILED)
		return -errno;
	vq->slots = slots;
	vq->n_free = vq->size;
	for (uint16_t i = 0; i < vq->size; i++)
		vq->free[i] = vq->size - 1 - i;
	return 0;
}

static void vq_start_ring(struct alcor_vq *vq, bool packed)
{
	if (packed) {
		vq->ring = &vq_packed_ops;
		vq->packed = (struct vq_packed){ .desc = vq->areas[0],
						 .driver_event = vq->areas[1],
						 .device_event = vq->areas[2],
						 .avail_wrap = true,
						 .used_wrap = true };
	} else {
		vq->ring = &vq_split_ops;
		vq->split = (struct vq_split){ .desc = vq->areas[0],
					       .avail = vq->areas[1],
					       .used = vq->areas[2] };
	}
}

int vq_start(struct alcor_vq *vq, const struct alcor_virtio_desc *desc, uint64_t features)
{
	int err;

	vq->size = vq->regs.size;
	vq->max_segments = desc->max_segments;
	err = vq_alloc_slots(vq, desc);
	if (err)
		return err;
	vq->event_idx = features >> VIRTIO_RING_F_EVENT_IDX & 1;
	vq->indirect = features >> VIRTIO_RING_F_INDIRECT_DESC & 1;
	vq_start_ring(vq, features >> VIRTIO_F_RING_PACKED & 1);
	memset(vq->in_flight, 0, sizeof(vq->in_flight));
	vq->n_pushed = 0;
	vq->serving = false;
	vq->stopping = false;
	vq->active = true;
	vq->running = true;
	return 0;
}

void vq_stop(struct alcor_vq *vq)
{
	loop_watch_remove(TAKE_PTR(vq->watch));
	if (vq->slots)
		munmap(TAKE_PTR(vq->slots), vq->size * vq->stride);
	vq->active = false;
	vq->running = false;
}

/* --- requests --- */

/* The ring cannot be trusted any more: no element of it is read or written before a reset. */
static void vq_break(struct alcor_vq *vq, const char *why)
{
	vq->running = false;
	virtio_dev_log(vq->dev, vq->index, "queue stopped", why);
	virtio_needs_reset(vq->dev);
}

/* The slot that the next request goes to; it stays free. */
static struct vq_slot *vq_next_slot(struct alcor_vq *vq)
{
	struct vq_slot *slot;
	uint16_t number;

	if (!vq->n_free)
		return NULL;
	number = vq->free[vq->n_free - 1];
	slot = (struct vq_slot *)(vq->slots + number * vq->stride);
	slot->number = number;
	slot->req.vq = vq;
	slot->req.priv = (uint8_t *)slot + align_up(sizeof(*slot), 16);
	slot->req.out = (struct iovec *)((uint8_t *)slot + vq->stride) - vq->max_segments;
	return slot;
}

static void vq_take_slot(struct alcor_vq *vq, struct vq_slot *slot)
{
	vq->n_free--;
	slot->busy = true;
	vq->in_flight[slot->id / 64] |= 1ull << (slot->id % 64);
}

/* One request; VQ_BAD_CHAIN is completed already. */
static enum vq_found vq_pop_one(struct alcor_vq *vq, struct alcor_vreq **ret_req)
{
	struct vq_slot *slot = vq_next_slot(vq);
	const char *why = NULL;
	enum vq_found found;

	/* There are as many slots as entries: whoever has them all in flight has no more. */
	if (!slot) {
		if (!vq->ring->pending(vq))
			return VQ_NONE;
		vq_break(vq, "more requests than the queue holds");
		return VQ_BAD_RING;
	}
	found = vq->ring->next(vq, slot, &why);
	if (found == VQ_NONE)
		return found;
	if (found == VQ_BAD_RING) {
		vq_break(vq, why);
		return found;
	}
	vq_take_slot(vq, slot);
	if (found == VQ_BAD_CHAIN) {
		virtio_dev_log(vq->dev, vq->index, "request dropped", why);
		virtio_vq_push(&slot->req, 0);
	} else {
		*ret_req = &slot->req;
	}
	return found;
}

uint32_t virtio_vq_pop(struct alcor_vq *vq, struct alcor_vreq **ret_reqs, uint32_t max)
{
	enum vq_found found = VQ_NONE;
	bool dropped = false;
	uint32_t n = 0;

	if (!vq->serving)
		vq->budget = vq->size;
	while (n < max && vq->running && !vq->stopping && vq->budget) {
		found = vq_pop_one(vq, ret_reqs + n);
		if (found == VQ_CHAIN)
			n++;
		else if (found == VQ_BAD_CHAIN)
			dropped = true;
		else
			break;
		vq->budget--;
	}
	if (dropped)
		virtio_vq_flush(vq);
	vq->drained = !n;
	if (!n && !vq->serving)
		vq_rearm(vq);
	return n;
}

void virtio_vq_push(struct alcor_vreq *req, uint32_t written)
{
	struct vq_slot *slot = container_of(req, struct vq_slot, req);
	struct alcor_vq *vq = req->vq;

	if (!slot->busy)
		return;
	slot->busy = false;
	vq->free[vq->n_free++] = slot->number;
	vq->in_flight[slot->id / 64] &= ~(1ull << (slot->id % 64));
	if (!vq->running)
		return;
	vq->ring->push(vq, slot, written);
	vq->n_pushed++;
}

void virtio_vq_flush(struct alcor_vq *vq)
{
	if (!vq->running || !vq->n_pushed)
		return;
	vq->n_pushed = 0;
	vq->ring->publish(vq);
	/* The publication must be visible before the driver's wish is read: the driver stores its
	 * wish, fences, and looks for used buffers again (2.7.7, 2.8.10), so that one of the two
	 * sees the other. */
	atomic_thread_fence(memory_order_seq_cst);
	if (vq->ring->wants_interrupt(vq))
		virtio_dev_notify(vq->dev, vq->index);
}

/* --- notifications --- */

/* Whether there is more, with notifications on. The wish must be visible before the ring is read:
 * the driver makes buffers available, fences, and reads the wish (2.7.13.4.1, 2.8.21). */
static bool vq_enable_notify(struct alcor_vq *vq)
{
	vq->ring->set_notify(vq, true);
	atomic_thread_fence(memory_order_seq_cst);
	return vq->ring->pending(vq);
}

void vq_rearm(struct alcor_vq *vq)
{
	if (vq->running && !vq->stopping && vq_enable_notify(vq))
		virtio_vq_kick(vq);
}

void vq_serve(struct alcor_vq *vq)
{
	for (unsigned round = 0; vq->running; round++) {
		if (round == VQ_ROUNDS) {
			virtio_vq_kick(vq);
			return;
		}
		vq->ring->set_notify(vq, false);
		vq->drained = false;
		vq->budget = vq->size;
		vq->serving = true;
		virtio_dev_serve(vq->dev, vq->index);
		vq->serving = false;
		/* A plugin that has no room for more kicks when it has. */
		if (!vq->running || !vq->drained || !vq_enable_notify(vq))
			return;
	}
}

static void vq_doorbell(void *opaque, uint32_t events)
{
	struct alcor_vq *vq = opaque;
	eventfd_t count;

	/* Cannot fail but for a spurious wake-up, which is served like any other. */
	eventfd_read(vq->doorbell, &count);
	vq_serve(vq);
}

int vq_watch(struct alcor_vq *vq)
{
	return loop_watch_add(virtio_dev_loop(vq->dev), vq->doorbell, EPOLLIN, vq_doorbell, vq,
			      &vq->watch);
}

void virtio_vq_kick(struct alcor_vq *vq)
{
	/* Fails only where the counter is full, and then the loop is awake. */
	eventfd_write(vq->doorbell, 1);
}
