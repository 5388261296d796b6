/* SPDX-License-Identifier: Apache-2.0 */
/* Packet headers (Virtio 1.3, 5.10.6), which the guest may spread over buffers as it likes (2.7.4.1). */
#include <endian.h>
#include <linux/virtio_vsock.h>

#include "vsock.h"

_Static_assert(sizeof(struct virtio_vsock_hdr) == VSOCK_HEADER, "header");

uint32_t vsock_iov_slice(struct iovec *ret_iov, const struct iovec *iov, uint32_t n, size_t skip,
			 size_t len)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < n && len && count < VSOCK_SEGMENTS; i++) {
		size_t part = iov[i].iov_len;

		if (skip >= part) {
			skip -= part;
			continue;
		}
		part = VSOCK_MIN(part - skip, len);
		ret_iov[count++] = (struct iovec){ (char *)iov[i].iov_base + skip, part };
		len -= part;
		skip = 0;
	}
	return count;
}

bool vsock_pkt_load(const struct alcor_vreq *req, struct vsock_pkt *ret_pkt)
{
	struct virtio_vsock_hdr hdr;
	size_t done = 0;

	if (req->out_len < sizeof(hdr))
		return false;
	for (uint32_t i = 0; i < req->n_out && done < sizeof(hdr); i++) {
		size_t part = VSOCK_MIN(req->out[i].iov_len, sizeof(hdr) - done);

		memcpy((char *)&hdr + done, req->out[i].iov_base, part);
		done += part;
	}
	*ret_pkt = (struct vsock_pkt){
		.src_cid = le64toh(hdr.src_cid),
		.dst_cid = le64toh(hdr.dst_cid),
		.src_port = le32toh(hdr.src_port),
		.dst_port = le32toh(hdr.dst_port),
		.len = le32toh(hdr.len),
		.type = le16toh(hdr.type),
		.op = le16toh(hdr.op),
		.flags = le32toh(hdr.flags),
		.buf_alloc = le32toh(hdr.buf_alloc),
		.fwd_cnt = le32toh(hdr.fwd_cnt),
	};
	return true;
}

void vsock_pkt_store(const struct alcor_vreq *req, const struct vsock_pkt *pkt)
{
	struct virtio_vsock_hdr hdr = {
		.src_cid = htole64(pkt->src_cid),
		.dst_cid = htole64(pkt->dst_cid),
		.src_port = htole32(pkt->src_port),
		.dst_port = htole32(pkt->dst_port),
		.len = htole32(pkt->len),
		.type = htole16(pkt->type),
		.op = htole16(pkt->op),
		.flags = htole32(pkt->flags),
		.buf_alloc = htole32(pkt->buf_alloc),
		.fwd_cnt = htole32(pkt->fwd_cnt),
	};
	size_t done = 0;

	for (uint32_t i = 0; i < req->n_in && done < sizeof(hdr); i++) {
		size_t part = VSOCK_MIN(req->in[i].iov_len, sizeof(hdr) - done);

		memcpy(req->in[i].iov_base, (char *)&hdr + done, part);
		done += part;
	}
}
