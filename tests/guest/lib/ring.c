/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split and packed virtqueues, driver side (virtio 1.2, 2.7 and 2.8). Descriptors are taken in
 * turn: a chain must be complete before the ring has come round to it once more, which callers
 * ensure by never having more descriptors in flight than the ring holds.
 */
#include "cpu.h"
#include "virtio.h"

struct split_avail {
	uint16_t flags, idx, ring[];
};

struct split_used {
	uint16_t flags, idx;
	struct {
		uint32_t id, len;
	} ring[];
};

struct packed_event {
	uint16_t off_wrap, flags;
};

enum { EVENT_ENABLE, EVENT_DISABLE, EVENT_DESC };

static volatile struct desc *ring_desc(const struct vq *q)
{
	return (volatile struct desc *)q->desc;
}

static volatile struct split_avail *split_avail(const struct vq *q)
{
	return (volatile struct split_avail *)q->driver;
}

static volatile struct split_used *split_used(const struct vq *q)
{
	return (volatile struct split_used *)q->device;
}

void vq_program(struct vq *q)
{
	const struct virtio_dev *d = q->dev;

	virtio_select(d, q->index);
	mmio_write16(d->common + VC_QUEUE_SIZE, q->size);
	mmio_write16(d->common + VC_QUEUE_MSIX, q->vector);
	virtio_write_addr(d, VC_QUEUE_DESC, q->desc);
	virtio_write_addr(d, VC_QUEUE_DRIVER, q->driver);
	virtio_write_addr(d, VC_QUEUE_DEVICE, q->device);
	q->notify = d->notify + mmio_read16(d->common + VC_QUEUE_NOTIFY_OFF) * d->notify_multiplier;
	mmio_write16(d->common + VC_QUEUE_ENABLE, 1);
}

bool vq_setup(struct vq *q, struct virtio_dev *d, uint16_t index, uint16_t size, uint64_t area)
{
	uint16_t max;

	virtio_select(d, index);
	max = mmio_read16(d->common + VC_QUEUE_SIZE);
	if (!max || size > max)
		return false;
	memset((void *)area, 0, 0x20000);
	*q = (struct vq){
		.dev = d,
		.index = index,
		.size = size ? size : max,
		.vector = NO_VECTOR,
		.packed = d->features & F_PACKED,
		.event_idx = d->features & F_EVENT_IDX,
		.desc = area,
		.driver = area + 0x8000,
		.device = area + 0x10000,
		.lengths = (uint16_t *)(area + 0x18000),
		.tables = (struct desc *)(area + 0x20000),
		.wrap = true,
		.used_wrap = true,
	};
	vq_program(q);
	return true;
}

static uint16_t packed_flags(const struct vq *q)
{
	return q->wrap ? DESC_AVAIL : DESC_USED;
}

void vq_post_packed(struct vq *q, const struct desc *d, unsigned int n, uint16_t id)
{
	volatile struct desc *ring = ring_desc(q);
	uint16_t head = q->next, head_flags = packed_flags(q);

	for (unsigned int i = 0; i < n; i++) {
		volatile struct desc *e = &ring[q->next];

		e->addr = d[i].addr;
		e->len = d[i].len;
		e->flags = id; /* the two 16-bit fields change places in a packed ring */
		if (i)
			e->next = d[i].flags | packed_flags(q);
		if (++q->next == q->size) {
			q->next = 0;
			q->wrap = !q->wrap;
		}
	}
	q->lengths[id % q->size] = n;
	barrier();
	ring[head].next = d[0].flags | head_flags;
	q->avail += n;
}

void vq_post_split(struct vq *q, uint16_t head)
{
	volatile struct split_avail *a = split_avail(q);

	a->ring[q->avail % q->size] = head;
	barrier();
	a->idx = ++q->avail;
}

static void fill(struct desc *d, const struct sg *sg, unsigned int n, uint16_t first, uint16_t size)
{
	for (unsigned int i = 0; i < n; i++)
		d[i] = (struct desc){
			.addr = sg[i].addr,
			.len = sg[i].len,
			.flags = (sg[i].write ? DESC_WRITE : 0) | (i + 1 < n ? DESC_NEXT : 0),
			.next = (first + i + 1) % size,
		};
}

static struct desc make_table(struct vq *q, const struct sg *sg, unsigned int n)
{
	struct desc *t;

	if (q->table_next + n > VQ_TABLES)
		q->table_next = 0;
	t = q->tables + q->table_next;
	q->table_next += n;
	fill(t, sg, n, 0, VQ_TABLES);
	/* In a packed ring's table only WRITE counts, and its place is where the id was. */
	for (unsigned int i = 0; q->packed && i < n; i++) {
		t[i].next = t[i].flags & DESC_WRITE;
		t[i].flags = 0;
	}
	return (struct desc){ .addr = (uint64_t)t, .len = n * 16, .flags = DESC_INDIRECT };
}

int vq_add(struct vq *q, const struct sg *sg, unsigned int n, bool indirect)
{
	/* Scratch for a packed chain: above the tables of the ring's area. */
	struct desc *d = (struct desc *)((uint64_t)q->lengths + 0x1000);
	uint16_t head = q->next;

	if (!n || n > (indirect ? VQ_TABLES : q->size) || (!indirect && n > 1024))
		return -1;
	if (indirect) {
		d[0] = make_table(q, sg, n);
		n = 1;
	} else {
		fill(d, sg, n, head, q->size);
	}
	if (q->packed) {
		vq_post_packed(q, d, n, head);
		return head;
	}
	for (unsigned int i = 0; i < n; i++)
		ring_desc(q)[(head + i) % q->size] = d[i];
	q->lengths[head] = n;
	q->next = (head + n) % q->size;
	vq_post_split(q, head);
	return head;
}

void vq_notify(struct vq *q)
{
	mmio_write16(q->notify, q->index);
	q->kicks++;
}

static bool need_event(uint16_t event, uint16_t now, uint16_t old)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

static bool packed_wants(const struct vq *q)
{
	volatile struct packed_event *e = (volatile struct packed_event *)q->device;
	uint16_t flags = e->flags & 3, event = e->off_wrap & 0x7fff;

	if (flags != EVENT_DESC)
		return flags == EVENT_ENABLE;
	if (e->off_wrap >> 15 != q->wrap)
		event -= q->size;
	return need_event(event, q->next, q->next - (uint16_t)(q->avail - q->kicked));
}

static bool split_wants(const struct vq *q)
{
	volatile struct split_used *u = split_used(q);

	if (!q->event_idx)
		return !(u->flags & 1);
	return need_event(*(volatile uint16_t *)&u->ring[q->size], q->avail, q->kicked);
}

void vq_kick(struct vq *q)
{
	fence();
	if (q->packed ? packed_wants(q) : split_wants(q))
		vq_notify(q);
	q->kicked = q->avail;
}

static bool split_next_used(struct vq *q, uint32_t *ret_id, uint32_t *ret_len)
{
	volatile struct split_used *u = split_used(q);

	if (u->idx == q->last_used)
		return false;
	barrier();
	*ret_id = u->ring[q->last_used % q->size].id;
	*ret_len = u->ring[q->last_used % q->size].len;
	q->last_used++;
	/* Asks for an interrupt with the next one, where the driver uses any. */
	if (q->event_idx)
		*(volatile uint16_t *)&split_avail(q)->ring[q->size] = q->last_used;
	return true;
}

static bool packed_next_used(struct vq *q, uint32_t *ret_id, uint32_t *ret_len)
{
	volatile struct desc *e = &ring_desc(q)[q->last_used];
	uint16_t flags = e->next;

	if (!(flags & DESC_AVAIL) != !q->used_wrap || !(flags & DESC_USED) != !q->used_wrap)
		return false;
	barrier();
	*ret_id = e->flags;
	*ret_len = e->len;
	q->last_used += q->lengths[*ret_id % q->size];
	if (q->last_used >= q->size) {
		q->last_used -= q->size;
		q->used_wrap = !q->used_wrap;
	}
	return true;
}

bool vq_used(struct vq *q, uint32_t *ret_id, uint32_t *ret_len)
{
	return q->packed ? packed_next_used(q, ret_id, ret_len) :
			   split_next_used(q, ret_id, ret_len);
}

bool vq_wait(struct vq *q, uint32_t ms, uint32_t *ret_id, uint32_t *ret_len)
{
	for (uint64_t end = deadline_ms(ms); !vq_used(q, ret_id, ret_len); cpu_pause())
		if (passed(end))
			return false;
	return true;
}
