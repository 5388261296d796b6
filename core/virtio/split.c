/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues (2.7). */
#include "virtio/vq.h"

/* Where the driver says up to which used entry it needs no interrupt (2.7.7). */
static uint16_t *split_used_event(const struct alcor_vq *vq)
{
	return &vq->split.avail->ring[vq->size];
}

/* Where the device says up to which available entry it needs no notification (2.7.10). */
static uint16_t *split_avail_event(const struct alcor_vq *vq)
{
	return (uint16_t *)&vq->split.used->ring[vq->size];
}

/* Acquire: entries and descriptors are read after the index that covers them. Pairs with the
 * driver's barrier before its update of the index (2.7.13.3.1). */
static uint16_t split_load_avail(const struct alcor_vq *vq)
{
	return __atomic_load_n(&vq->split.avail->idx, __ATOMIC_ACQUIRE);
}

static enum vq_found split_next(struct alcor_vq *vq, struct vq_slot *slot, const char **ret_why)
{
	struct vq_split *s = &vq->split;
	uint16_t head;

	if (s->next_avail == s->avail_idx) {
		s->avail_idx = split_load_avail(vq);
		if (s->next_avail == s->avail_idx)
			return VQ_NONE;
		if ((uint16_t)(s->avail_idx - s->next_avail) > vq->size) {
			*ret_why = "available index jumped";
			return VQ_BAD_RING;
		}
	}
	head = __atomic_load_n(&s->avail->ring[s->next_avail & (vq->size - 1)], __ATOMIC_RELAXED);
	if (head >= vq->size) {
		*ret_why = "head out of range";
		return VQ_BAD_RING;
	}
	if (vq_id_busy(vq, head)) {
		*ret_why = "head is in flight already";
		return VQ_BAD_RING;
	}
	s->next_avail++;
	slot->id = head;
	*ret_why = chain_walk_split(vq, &slot->req, head);
	return *ret_why ? VQ_BAD_CHAIN : VQ_CHAIN;
}

static bool split_pending(const struct alcor_vq *vq)
{
	return split_load_avail(vq) != vq->split.next_avail;
}

static void split_push(struct alcor_vq *vq, const struct vq_slot *slot, uint32_t written)
{
	struct vring_used_elem *elem =
		&vq->split.used->ring[vq->split.next_used++ & (vq->size - 1)];

	elem->id = slot->id;
	elem->len = written;
}

/* Release: the elements, and the data before them, are visible before the index that covers them
 * (2.7.8.2). Pairs with the driver's barrier after its read of the index. */
static void split_publish(struct alcor_vq *vq)
{
	vq->split.signalled = vq->split.published;
	vq->split.published = vq->split.next_used;
	__atomic_store_n(&vq->split.used->idx, vq->split.published, __ATOMIC_RELEASE);
}

static bool split_wants_interrupt(const struct alcor_vq *vq)
{
	const struct vq_split *s = &vq->split;

	if (!vq->event_idx)
		return !(__atomic_load_n(&s->avail->flags, __ATOMIC_RELAXED) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	return vring_need_event(__atomic_load_n(split_used_event(vq), __ATOMIC_RELAXED),
				s->published, s->signalled);
}

/* With events an index that is passed already keeps the driver silent. */
static void split_set_notify(struct alcor_vq *vq, bool on)
{
	if (!vq->event_idx)
		__atomic_store_n(&vq->split.used->flags, on ? 0 : VRING_USED_F_NO_NOTIFY,
				 __ATOMIC_RELAXED);
	else if (on)
		__atomic_store_n(split_avail_event(vq), vq->split.next_avail, __ATOMIC_RELAXED);
}

const struct vq_ring_ops vq_split_ops = {
	.next = split_next,
	.pending = split_pending,
	.push = split_push,
	.publish = split_publish,
	.wants_interrupt = split_wants_interrupt,
	.set_notify = split_set_notify,
};
