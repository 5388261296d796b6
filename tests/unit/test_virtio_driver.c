/* SPDX-License-Identifier: Apache-2.0 */
#include "test_virtio_driver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "util/overflow.h"

#define PACKED_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED  (1u << VRING_PACKED_DESC_F_USED)

/* --- plugin --- */

static void record(struct rig *rig, const char *event)
{
	size_t n = strlen(rig->events);

	snprintf(rig->events + n, sizeof(rig->events) - n, "%s", event);
}

static int plugin_activate(void *priv, uint64_t features)
{
	struct rig *rig = priv;

	assert_true(features == rig->features);
	record(rig, "A");
	return rig->activate_result;
}

static void echo(struct alcor_vreq *req)
{
	uint32_t written = 0, i = 0;
	uint64_t at = 0;

	for (uint32_t k = 0; k < req->n_out; k++) {
		const uint8_t *from = req->out[k].iov_base;

		for (size_t j = 0; j < req->out[k].iov_len && i < req->n_in; j++) {
			((uint8_t *)req->in[i].iov_base)[at++] = (uint8_t)~from[j];
			written++;
			if (at == req->in[i].iov_len) {
				at = 0;
				i++;
			}
		}
	}
	virtio_vq_push(req, written);
}

static void plugin_queue(void *priv, uint16_t index)
{
	struct rig *rig = priv;
	struct alcor_vq *vq = virtio_vq(rig->dev, index);
	struct alcor_vreq *reqs[32];
	uint32_t n;

	rig->n_queue_calls++;
	if (rig->mode == RIG_LAZY)
		return;
	while ((n = virtio_vq_pop(vq, reqs, MIN(rig->pop_max, 32)))) {
		for (uint32_t i = 0; i < n; i++) {
			memset(reqs[i]->priv, 0xee, rig->desc.req_size);
			rig->n_requests++;
			if (rig->mode == RIG_ECHO)
				echo(reqs[i]);
			else
				rig->held[rig->n_held++] = reqs[i];
		}
		virtio_vq_flush(vq);
	}
}

static void plugin_queue_stop(void *priv, uint16_t index)
{
	struct rig *rig = priv;
	unsigned kept = 0;
	char event[8];

	for (unsigned i = 0; i < rig->n_held; i++)
		if (rig->held[i]->vq != virtio_vq(rig->dev, index))
			rig->held[kept++] = rig->held[i];
	rig->n_held = kept;
	snprintf(event, sizeof(event), "S%u", index);
	record(rig, event);
}

static void plugin_deactivate(void *priv)
{
	record(priv, "D");
}

static int plugin_config_write(void *priv, uint32_t offset, const void *data, uint32_t len)
{
	struct rig *rig = priv;

	rig->config_writes++;
	rig->config_first = *(const uint8_t *)data;
	record(rig, "C");
	return rig->config_result;
}

/* --- transport --- */

static void notify_queue(void *opaque, uint16_t index)
{
	struct rig *rig = opaque;

	atomic_fetch_add(&rig->interrupts[index], 1);
	if (rig->irq_fd >= 0)
		eventfd_write(rig->irq_fd, 1);
}

static void notify_config(void *opaque)
{
	struct rig *rig = opaque;

	atomic_fetch_add(&rig->config_interrupts, 1);
}

static const struct virtio_transport_ops transport_ops = {
	.notify_queue = notify_queue,
	.notify_config = notify_config,
};

/* --- machine --- */

void rig_open(struct rig *rig, const struct rig_options *options)
{
	static const uint8_t config[RIG_CONFIG] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct mem_config ram = { .size = RIG_RAM, .backend = MEM_ANON };
	struct virtio_env env = { .name = "test0", .packed = options->packed };
	struct error err;

	memset(rig, 0, sizeof(*rig));
	rig->irq_fd = -1;
	rig->pop_max = 32;
	assert_int_equal(mem_new(NULL, &rig->mem), 0);
	assert_int_equal(mem_add_ram(rig->mem, &ram, options->low_ram ? options->low_ram : 3u << 30,
				     BIT(46), &err),
			 0);
	rig->ram = mem_ptr(rig->mem, 0, 4096);
	assert_int_equal(loop_new(&rig->loop), 0);
	rig->ops = (struct alcor_virtio_ops){ .struct_size = sizeof(rig->ops),
					      .activate = plugin_activate,
					      .queue = plugin_queue,
					      .queue_stop = plugin_queue_stop,
					      .deactivate = plugin_deactivate,
					      .config_write = plugin_config_write };
	rig->desc = (struct alcor_virtio_desc){ .struct_size = sizeof(rig->desc),
						.device_id = 4,
						.n_queues = RIG_QUEUES,
						.features = BIT(3),
						.queue_size = options->packed ? 0 : options->size,
						.max_segments = options->max_segments,
						.req_size = 40,
						.config_size = RIG_CONFIG,
						.config = config,
						.class_base = 0xff,
						.ops = &rig->ops };
	if (options->packed && options->size > 256)
		rig->desc.queue_size = 1024;
	env.mem = rig->mem;
	env.loop = rig->loop;
	assert_int_equal(virtio_new(&env, &rig->desc, rig, &rig->dev, &err), 0);
	virtio_set_transport(rig->dev, &transport_ops, rig);
	rig->features = virtio_offered_features(rig->dev);
	if (options->no_event_idx)
		rig->features &= ~BIT(VIRTIO_RING_F_EVENT_IDX);
	if (options->no_indirect)
		rig->features &= ~BIT(VIRTIO_RING_F_INDIRECT_DESC);
	for (uint16_t i = 0; i < RIG_QUEUES; i++)
		rig->queues[i].size = options->size ? options->size : 256;
}

void rig_close(struct rig *rig)
{
	virtio_free(rig->dev);
	loop_free(rig->loop);
	mem_free(rig->mem);
}

static void quit(void *opaque)
{
	loop_quit(opaque);
}

/* A round serves the doorbells and the calls that are due at its start. */
void rig_pump(struct rig *rig)
{
	for (unsigned i = 0; i < 12; i++) {
		assert_int_equal(loop_post(rig->loop, quit, rig->loop), 0);
		loop_run(rig->loop);
	}
}

uint8_t *rig_at(struct rig *rig, uint64_t gpa)
{
	uint8_t *host = mem_ptr(rig->mem, gpa, 1);

	assert_non_null(host);
	return host;
}

void rig_negotiate(struct rig *rig)
{
	virtio_set_status(rig->dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	virtio_set_status(rig->dev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	virtio_set_driver_features(rig->dev, 0, (uint32_t)rig->features);
	virtio_set_driver_features(rig->dev, 1, (uint32_t)(rig->features >> 32));
	virtio_set_status(rig->dev, 11);
	assert_int_equal(virtio_status(rig->dev), 11);
}

void rig_setup_queue(struct rig *rig, uint16_t index, uint16_t size)
{
	uint64_t base = 0x10000u * (index + 1);
	struct rig_queue *queue = &rig->queues[index];
	struct virtio_queue_regs regs;

	*queue = (struct rig_queue){
		.index = index,
		.size = size,
		.packed = rig->features & BIT(VIRTIO_F_RING_PACKED),
		.event_idx = rig->features & BIT(VIRTIO_RING_F_EVENT_IDX),
		.desc_gpa = base,
		.driver_gpa = base + 0x8000,
		.device_gpa = base + 0xa000,
		.avail_wrap = true,
		.used_wrap = true,
		.room = size,
	};
	memset(rig_at(rig, base), 0, 0x10000);
	queue->desc = (void *)rig_at(rig, base);
	queue->ring = (void *)queue->desc;
	queue->avail = (void *)rig_at(rig, queue->driver_gpa);
	queue->used = (void *)rig_at(rig, queue->device_gpa);
	queue->driver_event = (void *)queue->avail;
	queue->device_event = (void *)queue->used;
	for (uint16_t i = 0; i < size; i++)
		queue->free[queue->n_free++] = size - 1 - i;
	virtio_queue_set_size(rig->dev, index, size);
	for (unsigned half = 0; half < 2; half++) {
		virtio_queue_set_area(rig->dev, index, 0, half, queue->desc_gpa >> 32 * half);
		virtio_queue_set_area(rig->dev, index, 1, half, queue->driver_gpa >> 32 * half);
		virtio_queue_set_area(rig->dev, index, 2, half, queue->device_gpa >> 32 * half);
	}
	virtio_queue_enable(rig->dev, index);
	assert_int_equal(virtio_queue_regs(rig->dev, index, &regs), 0);
	assert_true(regs.enabled);
	assert_int_equal(regs.size, size);
}

void rig_start(struct rig *rig)
{
	virtio_set_status(rig->dev, 0);
	rig_negotiate(rig);
	for (uint16_t i = 0; i < RIG_QUEUES; i++)
		rig_setup_queue(rig, i, rig->queues[i].size);
	virtio_set_status(rig->dev, 15);
}

/* --- driver --- */

static uint16_t packed_flags(const struct rig_queue *queue)
{
	return queue->avail_wrap ? PACKED_AVAIL : PACKED_USED;
}

static void packed_step(const struct rig_queue *queue, uint16_t *pos, bool *wrap, uint16_t n)
{
	*pos += n;
	if (*pos >= queue->size) {
		*pos -= queue->size;
		*wrap = !*wrap;
	}
}

/* @descs have their flags but for availability. */
static int add_packed(struct rig_queue *queue, const struct vring_desc *descs, unsigned n)
{
	uint16_t first = queue->next_avail, first_flags = 0, id;

	if (!queue->n_free || queue->room < n)
		return -1;
	id = queue->free[--queue->n_free];
	queue->room -= n;
	queue->n_desc[id] = (uint16_t)n;
	for (unsigned i = 0; i < n; i++) {
		struct vring_packed_desc *desc = &queue->ring[queue->next_avail];
		uint16_t flags = descs[i].flags | packed_flags(queue);

		desc->addr = descs[i].addr;
		desc->len = descs[i].len;
		desc->id = id;
		if (i)
			desc->flags = flags;
		else
			first_flags = flags;
		packed_step(queue, &queue->next_avail, &queue->avail_wrap, 1);
	}
	__atomic_store_n(&queue->ring[first].flags, first_flags, __ATOMIC_RELEASE);
	return id;
}

static int add_split(struct rig_queue *queue, const struct vring_desc *descs, unsigned n)
{
	uint16_t head, next;

	if (queue->n_free < n)
		return -1;
	head = queue->free[queue->n_free - 1];
	for (unsigned i = 0; i < n; i++) {
		uint16_t at = queue->free[--queue->n_free];

		next = i + 1 < n ? queue->free[queue->n_free - 1] : 0;
		queue->desc[at] = descs[i];
		queue->desc[at].next = next;
	}
	queue->n_desc[head] = (uint16_t)n;
	queue->avail->ring[queue->next_avail++ % queue->size] = head;
	__atomic_store_n(&queue->avail->idx, queue->next_avail, __ATOMIC_RELEASE);
	return head;
}

int rig_add(struct rig *rig, uint16_t q, const struct rig_buf *bufs, unsigned n_out, unsigned n_in,
	    uint64_t table)
{
	struct rig_queue *queue = &rig->queues[q];
	unsigned n = n_out + n_in;
	struct vring_desc descs[64], all = { table, n * 16, VRING_DESC_F_INDIRECT, 0 };

	assert_true(n <= 64);
	for (unsigned i = 0; i < n; i++) {
		descs[i] = (struct vring_desc){ bufs[i].gpa, bufs[i].len, 0, (uint16_t)(i + 1) };
		if (i >= n_out)
			descs[i].flags = VRING_DESC_F_WRITE;
		/* In a packed table the flag has no meaning, and the last two bytes are flags. */
		if (i + 1 < n && !(table && queue->packed))
			descs[i].flags |= VRING_DESC_F_NEXT;
		if (table && queue->packed) {
			descs[i].next = descs[i].flags;
			descs[i].flags = 0x1234; /* an id, ignored */
		}
	}
	if (table)
		memcpy(rig_at(rig, table), descs, n * 16);
	return queue->packed ? add_packed(queue, table ? &all : descs, table ? 1 : n) :
			       add_split(queue, table ? &all : descs, table ? 1 : n);
}

int rig_add_raw(struct rig *rig, uint16_t q, uint64_t gpa, uint32_t len, uint16_t flags,
		uint16_t next)
{
	struct rig_queue *queue = &rig->queues[q];
	struct vring_desc desc = { gpa, len, flags, 0 };
	int head;

	if (queue->packed)
		return add_packed(queue, &desc, 1);
	head = queue->free[queue->n_free - 1];
	assert_int_equal(add_split(queue, &desc, 1), head);
	queue->desc[head].next = next;
	return head;
}

bool rig_kick(struct rig *rig, uint16_t q)
{
	struct rig_queue *queue = &rig->queues[q];
	uint16_t old = queue->kicked, event;
	bool wanted;

	queue->kicked = queue->next_avail;
	atomic_thread_fence(memory_order_seq_cst);
	if (queue->packed) {
		wanted = __atomic_load_n(&queue->device_event->flags, __ATOMIC_RELAXED) !=
			 VRING_PACKED_EVENT_FLAG_DISABLE;
	} else if (queue->event_idx) {
		event = __atomic_load_n((uint16_t *)&queue->used->ring[queue->size],
					__ATOMIC_RELAXED);
		wanted = vring_need_event(event, queue->next_avail, old);
	} else {
		wanted = !(__atomic_load_n(&queue->used->flags, __ATOMIC_RELAXED) &
			   VRING_USED_F_NO_NOTIFY);
	}
	if (wanted)
		eventfd_write(virtio_queue_doorbell(rig->dev, q), 1);
	return wanted;
}

static bool used_packed(struct rig_queue *queue, uint16_t *ret_id, uint32_t *ret_len)
{
	struct vring_packed_desc *desc = &queue->ring[queue->next_used];
	uint16_t flags = __atomic_load_n(&desc->flags, __ATOMIC_ACQUIRE);

	if (!!(flags & PACKED_AVAIL) != queue->used_wrap ||
	    !!(flags & PACKED_USED) != queue->used_wrap)
		return false;
	*ret_id = desc->id;
	*ret_len = flags & VRING_DESC_F_WRITE ? desc->len : 0;
	assert_int_equal(!!(flags & VRING_DESC_F_WRITE), desc->len != 0); /* 2.8.3 */
	assert_in_range(*ret_id, 0, queue->size - 1);
	assert_int_not_equal(queue->n_desc[*ret_id], 0);
	packed_step(queue, &queue->next_used, &queue->used_wrap, queue->n_desc[*ret_id]);
	queue->room += queue->n_desc[*ret_id];
	queue->n_desc[*ret_id] = 0;
	queue->free[queue->n_free++] = *ret_id;
	return true;
}

static bool used_split(struct rig_queue *queue, uint16_t *ret_id, uint32_t *ret_len)
{
	uint16_t i;

	if (__atomic_load_n(&queue->used->idx, __ATOMIC_ACQUIRE) == queue->next_used)
		return false;
	*ret_id = (uint16_t)queue->used->ring[queue->next_used % queue->size].id;
	*ret_len = queue->used->ring[queue->next_used % queue->size].len;
	queue->next_used++;
	assert_in_range(*ret_id, 0, queue->size - 1);
	assert_int_not_equal(queue->n_desc[*ret_id], 0);
	i = *ret_id;
	for (uint16_t n = queue->n_desc[*ret_id]; n; n--) {
		queue->free[queue->n_free++] = i;
		i = queue->desc[i].next;
	}
	queue->n_desc[*ret_id] = 0;
	return true;
}

bool rig_used(struct rig *rig, uint16_t q, uint16_t *ret_id, uint32_t *ret_len)
{
	struct rig_queue *queue = &rig->queues[q];

	return queue->packed ? used_packed(queue, ret_id, ret_len) :
			       used_split(queue, ret_id, ret_len);
}

void rig_want_interrupt(struct rig *rig, uint16_t q, uint16_t more)
{
	struct rig_queue *queue = &rig->queues[q];
	uint16_t pos = queue->next_used;
	bool wrap = queue->used_wrap;
	uint32_t event;

	if (!queue->packed) {
		__atomic_store_n(&queue->avail->flags, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&queue->avail->ring[queue->size], pos + more, __ATOMIC_RELAXED);
	} else {
		packed_step(queue, &pos, &wrap, more);
		event = pos | (wrap ? 0x8000u : 0) | VRING_PACKED_EVENT_FLAG_DESC << 16;
		__atomic_store_n((uint32_t *)queue->driver_event, queue->event_idx ? event : 0,
				 __ATOMIC_RELAXED);
	}
	atomic_thread_fence(memory_order_seq_cst);
}

void rig_no_interrupt(struct rig *rig, uint16_t q)
{
	struct rig_queue *queue = &rig->queues[q];

	if (queue->packed)
		__atomic_store_n((uint32_t *)queue->driver_event, 1u << 16, __ATOMIC_RELAXED);
	else if (queue->event_idx)
		__atomic_store_n(&queue->avail->ring[queue->size], queue->next_used - 1,
				 __ATOMIC_RELAXED);
	else
		__atomic_store_n(&queue->avail->flags, 1, __ATOMIC_RELAXED);
}

void rig_complete_all(struct rig *rig)
{
	while (rig->n_held)
		virtio_vq_push(rig->held[--rig->n_held], 0);
	virtio_vq_flush(virtio_vq(rig->dev, 0));
}

void rig_send_n(struct rig *rig, unsigned n)
{
	static const struct rig_buf buf = { RIG_DATA, 64 };

	for (unsigned i = 0; i < n; i++)
		assert_true(rig_add(rig, 0, &buf, 0, 1, 0) >= 0);
}
