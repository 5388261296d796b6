/* SPDX-License-Identifier: Apache-2.0 */
/* Packed virtqueues (2.8). */
#include "virtio/vq.h"

#define PACKED_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED  (1u << VRING_PACKED_DESC_F_USED)

/* 2.8.1: available when F_AVAIL is the wrap counter and F_USED its inverse. */
static bool packed_available(uint16_t flags, bool wrap)
{
	return !!(flags & PACKED_AVAIL) == wrap && !!(flags & PACKED_USED) != wrap;
}

/* Acquire: the rest of the chain is read after the flags of its first descriptor, which the driver
 * writes last (2.8.21). */
static uint16_t packed_load_flags(const struct alcor_vq *vq, uint16_t pos)
{
	return __atomic_load_n(&vq->packed.desc[pos].flags, __ATOMIC_ACQUIRE);
}

static void packed_advance(const struct alcor_vq *vq, uint16_t *pos, bool *wrap, uint16_t n)
{
	uint32_t sum = (uint32_t)*pos + n;

	if (sum >= vq->size) {
		sum -= vq->size;
		*wrap = !*wrap;
	}
	*pos = (uint16_t)sum;
}

static const char *packed_add(struct alcor_vq *vq, struct alcor_vreq *req,
			      const struct vring_packed_desc *packed)
{
	struct vring_desc desc = { packed->addr, packed->len, packed->flags, 0 };

	if (!(packed->flags & VRING_DESC_F_INDIRECT))
		return chain_add(vq, req, &desc);
	if (packed->flags & VRING_DESC_F_NEXT)
		return "indirect table inside of a chain";
	return chain_add_packed_table(vq, req, packed->addr, packed->len);
}

/* Collects the chain that starts at the next available descriptor. Its last descriptor has the
 * buffer id (2.8.6), so that a malformed chain is followed to its end all the same. */
static enum vq_found packed_walk(struct alcor_vq *vq, struct vq_slot *slot, const char **ret_why)
{
	uint16_t pos = vq->packed.next_avail;
	bool wrap = vq->packed.avail_wrap;
	const char *why = NULL;
	struct vring_packed_desc desc;

	chain_begin(vq, &slot->req);
	for (uint16_t n = 1; n <= vq->size; n++) {
		vq_copy_desc(&desc, vq->packed.desc + pos);
		if (!packed_available(desc.flags, wrap)) {
			*ret_why = "chain without an end";
			return VQ_BAD_RING;
		}
		if (!why)
			why = packed_add(vq, &slot->req, &desc);
		packed_advance(vq, &pos, &wrap, 1);
		if (desc.flags & VRING_DESC_F_NEXT)
			continue;
		slot->id = desc.id;
		slot->n_desc = n;
		*ret_why = why;
		return why ? VQ_BAD_CHAIN : VQ_CHAIN;
	}
	*ret_why = "chain longer than the queue";
	return VQ_BAD_RING;
}

static bool packed_pending(const struct alcor_vq *vq)
{
	return packed_available(packed_load_flags(vq, vq->packed.next_avail),
				vq->packed.avail_wrap);
}

static enum vq_found packed_next(struct alcor_vq *vq, struct vq_slot *slot, const char **ret_why)
{
	struct vq_packed *p = &vq->packed;
	enum vq_found found;

	if (!packed_pending(vq))
		return VQ_NONE;
	found = packed_walk(vq, slot, ret_why);
	if (found == VQ_BAD_RING)
		return found;
	if (slot->id >= vq->size) {
		*ret_why = "buffer id out of range";
		return VQ_BAD_RING;
	}
	if (vq_id_busy(vq, slot->id)) {
		*ret_why = "buffer id is in flight already";
		return VQ_BAD_RING;
	}
	packed_advance(vq, &p->next_avail, &p->avail_wrap, slot->n_desc);
	return found;
}

/* The flags of the first element of a batch are withheld: the driver reads used descriptors in
 * order, so that it sees none of them before. */
static void packed_push(struct alcor_vq *vq, const struct vq_slot *slot, uint32_t written)
{
	struct vq_packed *p = &vq->packed;
	struct vring_packed_desc *desc = &p->desc[p->next_used];
	uint16_t flags = p->used_wrap ? PACKED_AVAIL | PACKED_USED : 0;

	if (written)
		flags |= VRING_DESC_F_WRITE; /* the length is valid (2.8.3) */
	desc->id = slot->id;
	desc->len = written;
	if (p->batch) {
		__atomic_store_n(&desc->flags, flags, __ATOMIC_RELAXED);
	} else {
		p->batch_pos = p->next_used;
		p->batch_flags = flags;
	}
	p->batch += slot->n_desc;
	packed_advance(vq, &p->next_used, &p->used_wrap, slot->n_desc);
}

/* Release: all of the batch, and the data before it, is visible before its first flags. Pairs with
 * the driver's barrier after its read of the flags (2.8.22). */
static void packed_publish(struct alcor_vq *vq)
{
	struct vq_packed *p = &vq->packed;

	__atomic_store_n(&p->desc[p->batch_pos].flags, p->batch_flags, __ATOMIC_RELEASE);
	p->signalled = p->batch;
	p->batch = 0;
}

/* 2.8.14: bits 0-14 offset, 15 wrap counter, 16-17 flags. The event is the use of the descriptor at
 * that offset in that round; positions of two rounds make one circle of 2 × size. */
static bool packed_wants_interrupt(const struct alcor_vq *vq)
{
	const struct vq_packed *p = &vq->packed;
	uint32_t event = __atomic_load_n(p->driver_event, __ATOMIC_RELAXED);
	uint32_t offset = event & 0x7fff, flags = event >> 16 & 3, circle = 2u * vq->size;
	uint32_t now, at;

	if (flags == VRING_PACKED_EVENT_FLAG_DISABLE)
		return false;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !vq->event_idx || offset >= vq->size)
		return true;
	now = p->next_used + (p->used_wrap ? 0 : vq->size);
	at = offset + (event >> 15 & 1 ? 0 : vq->size);
	now = (now + circle - at) % circle; /* descriptors used since */
	return now >= 1 && now <= p->signalled;
}

static void packed_set_notify(struct alcor_vq *vq, bool on)
{
	uint32_t flags = on ? VRING_PACKED_EVENT_FLAG_ENABLE : VRING_PACKED_EVENT_FLAG_DISABLE;

	__atomic_store_n(vq->packed.device_event, flags << 16, __ATOMIC_RELAXED);
}

const struct vq_ring_ops vq_packed_ops = {
	.next = packed_next,
	.pending = packed_pending,
	.push = packed_push,
	.publish = packed_publish,
	.wants_interrupt = packed_wants_interrupt,
	.set_notify = packed_set_notify,
};
