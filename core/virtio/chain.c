/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptor chains: from what the driver wrote to scatter lists that are safe to use. */
#include "virtio/vq.h"

#include <errno.h>

#define CHAIN_TABLE_MAX 32768 /* entries of an indirect table: the longest chain there is (2.7) */

void chain_begin(struct alcor_vq *vq, struct alcor_vreq *req)
{
	req->in = req->out;
	req->n_out = 0;
	req->n_in = 0;
	req->out_len = 0;
	req->in_len = 0;
}

/* Appends one buffer (address, length, VRING_DESC_F_WRITE). */
const char *chain_add(struct alcor_vq *vq, struct alcor_vreq *req, const struct vring_desc *desc)
{
	bool write = desc->flags & VRING_DESC_F_WRITE;
	uint32_t n = req->n_out + req->n_in;
	int got;

	if (!desc->len)
		return "buffer of no length";
	if (!write && req->n_in)
		return "readable buffer behind a writable one";
	/* The used length has 32 bits (2.7.8). */
	if (req->out_len + req->in_len + desc->len > UINT32_MAX)
		return "more than 4 GiB";
	if (n >= vq->max_segments)
		return "too many buffers";
	got = mem_get(vq->mem, desc->addr, desc->len, write, req->out + n, vq->max_segments - n);
	if (got <= 0)
		return got == -E2BIG ? "too many buffers" : "buffer outside of memory";
	if (write) {
		req->n_in += (uint32_t)got;
		req->in_len += desc->len;
	} else {
		req->n_out += (uint32_t)got;
		req->out_len += desc->len;
		req->in = req->out + req->n_out;
	}
	return NULL;
}

/* Host address of an indirect table of *@ret_n entries. */
static const char *chain_table(struct alcor_vq *vq, uint64_t addr, uint32_t len,
			       const uint8_t **ret_table, uint32_t *ret_n)
{
	const uint8_t *table;

	if (!vq->indirect)
		return "indirect table without the feature";
	if (!len || len % sizeof(struct vring_desc))
		return "indirect table of odd length";
	if (len / sizeof(struct vring_desc) > CHAIN_TABLE_MAX)
		return "indirect table too long";
	table = mem_ptr(vq->mem, addr, len);
	if (!table)
		return "indirect table outside of memory";
	*ret_table = table;
	*ret_n = len / (uint32_t)sizeof(struct vring_desc);
	return NULL;
}

/* 2.7.5.3: entries are chained by their next fields from the first one on; tables do not nest. */
static const char *chain_add_split_table(struct alcor_vq *vq, struct alcor_vreq *req, uint64_t addr,
					 uint32_t len)
{
	const uint8_t *table = NULL;
	struct vring_desc desc;
	uint32_t n = 0, i = 0;
	const char *why = chain_table(vq, addr, len, &table, &n);

	if (why)
		return why;
	/* A loop ends where chain_add() has no room for more. */
	for (;;) {
		vq_copy_desc(&desc, table + i * sizeof(desc));
		if (desc.flags & VRING_DESC_F_INDIRECT)
			return "indirect table within another";
		why = chain_add(vq, req, &desc);
		if (why)
			return why;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return NULL;
		i = desc.next;
		if (i >= n)
			return "next descriptor out of range";
	}
}

/* 2.8.7: all entries in their order, of whose flags only F_WRITE has a meaning. */
const char *chain_add_packed_table(struct alcor_vq *vq, struct alcor_vreq *req, uint64_t addr,
				   uint32_t len)
{
	const uint8_t *table = NULL;
	struct vring_desc desc;
	uint32_t n = 0;
	const char *why = chain_table(vq, addr, len, &table, &n);

	for (uint32_t i = 0; !why && i < n; i++) {
		struct vring_packed_desc packed;

		vq_copy_desc(&packed, table + i * sizeof(packed));
		desc = (struct vring_desc){ packed.addr, packed.len, packed.flags, 0 };
		why = chain_add(vq, req, &desc);
	}
	return why;
}

const char *chain_walk_split(struct alcor_vq *vq, struct alcor_vreq *req, uint16_t head)
{
	struct vring_desc desc;
	uint16_t i = head;
	const char *why;

	chain_begin(vq, req);
	for (uint32_t n = 0; n < vq->size; n++) {
		vq_copy_desc(&desc, vq->split.desc + i);
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			/* 2.7.5.3.1; a table may follow plain descriptors (2.7.5.3.2). */
			if (desc.flags & VRING_DESC_F_NEXT)
				return "indirect table inside of a chain";
			return chain_add_split_table(vq, req, desc.addr, desc.len);
		}
		why = chain_add(vq, req, &desc);
		if (why)
			return why;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return NULL;
		i = desc.next;
		if (i >= vq->size)
			return "next descriptor out of range";
	}
	return "chain longer than the queue";
}
