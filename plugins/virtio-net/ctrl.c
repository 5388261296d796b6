/* SPDX-License-Identifier: Apache-2.0 */
/* The control queue (Virtio 1.3, 5.1.6.5). */
#include <endian.h>
#include <stddef.h>

#include "net.h"

#define CTRL_BATCH 64

/* What follows class and command. */
struct ctrl_data {
	const struct iovec *iov;
	uint32_t n;
	uint64_t len;
};

static bool data_read(const struct ctrl_data *data, uint64_t offset, void *ret_data, uint64_t len)
{
	return net_iov_read(data->iov, data->n, sizeof(struct virtio_net_ctrl_hdr) + offset,
			    ret_data, len);
}

/* 5.1.6.5.1: filtering is best effort, and every frame of the back end reaches the guest. */
static bool set_rx_mode(const struct ctrl_data *data, uint8_t command)
{
	uint8_t on;

	return command <= VIRTIO_NET_CTRL_RX_ALLMULTI && data->len == sizeof(on) &&
	       data_read(data, 0, &on, sizeof(on)) && on <= 1;
}

/* 5.1.6.5.2: two lists, of unicast and of multicast addresses. */
static bool set_mac_table(const struct ctrl_data *data)
{
	uint64_t offset = 0;

	for (unsigned i = 0; i < 2; i++) {
		uint32_t entries;

		if (!data_read(data, offset, &entries, sizeof(entries)))
			return false;
		offset += sizeof(entries) + (uint64_t)le32toh(entries) * 6;
		if (offset > data->len)
			return false;
	}
	return offset == data->len;
}

static bool set_mac(struct net *net, const struct ctrl_data *data)
{
	uint8_t mac[6];

	if (data->len != sizeof(mac) || !data_read(data, 0, mac, sizeof(mac)) || (mac[0] & 1))
		return false;
	memcpy(net->config.mac, mac, sizeof(mac));
	return net->virtio->config_update(net->dev, 0, mac, sizeof(mac)) == 0;
}

static bool set_mac_command(struct net *net, const struct ctrl_data *data, uint8_t command)
{
	switch (command) {
	case VIRTIO_NET_CTRL_MAC_TABLE_SET:
		return net->features & NET_BIT(VIRTIO_NET_F_CTRL_RX) && set_mac_table(data);
	case VIRTIO_NET_CTRL_MAC_ADDR_SET:
		return net->features & NET_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) && set_mac(net, data);
	default:
		return false;
	}
}

static bool set_pairs(struct net *net, const struct ctrl_data *data, uint8_t command)
{
	uint16_t n;

	if (!(net->features & NET_BIT(VIRTIO_NET_F_MQ)) ||
	    command != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || data->len != sizeof(n) ||
	    !data_read(data, 0, &n, sizeof(n)))
		return false;
	n = le16toh(n);
	return n >= VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN && n <= net->max_pairs &&
	       net_set_pairs(net, n) == 0;
}

static bool execute(struct net *net, const struct alcor_vreq *req)
{
	struct ctrl_data data = { req->out, req->n_out, req->out_len };
	struct virtio_net_ctrl_hdr hdr;

	if (!net_iov_read(req->out, req->n_out, 0, &hdr, sizeof(hdr)))
		return false;
	data.len -= sizeof(hdr);
	switch (hdr.class) {
	case VIRTIO_NET_CTRL_RX:
		return net->features & NET_BIT(VIRTIO_NET_F_CTRL_RX) && set_rx_mode(&data, hdr.cmd);
	case VIRTIO_NET_CTRL_MAC:
		return set_mac_command(net, &data, hdr.cmd);
	case VIRTIO_NET_CTRL_MQ:
		return set_pairs(net, &data, hdr.cmd);
	default:
		return false;
	}
}

void net_ctrl_run(struct net *net, struct alcor_vq *vq)
{
	struct alcor_vreq *req;
	unsigned n;

	for (n = 0; n < CTRL_BATCH && net->virtio->pop(vq, &req, 1); n++) {
		uint8_t ack = execute(net, req) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;

		net->virtio->push(req, net_iov_write(req->in, req->n_in, 0, &ack, sizeof(ack)));
	}
	net->virtio->flush(vq);
	if (n == CTRL_BATCH)
		net->virtio->kick(vq);
}
