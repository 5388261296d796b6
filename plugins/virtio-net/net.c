/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a network device, its configuration, and its queues. */
#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "net.h"

#define VIRTIO_ID_NET 1

bool net_pair_on(const struct net_pair *pair)
{
	const struct net *net = pair->net;

	return net->active && !net->paused && pair->index < net->n_pairs;
}

/* The descriptor is silent while the driver has no buffers, however much there is to read. */
void net_watch(struct net_pair *pair)
{
	uint32_t events = 0;

	if (net_pair_on(pair)) {
		if (pair->rx.ready && pair->rx.n_held && !pair->rx.frame && !pair->net->broken)
			events |= EPOLLIN;
		if (pair->tx.ready && pair->tx.at < pair->tx.n)
			events |= EPOLLOUT;
	}
	if (!pair->watch || events == pair->events)
		return;
	pair->events = events;
	pair->net->loop->modify(pair->watch, events);
}

static void pair_ready(void *opaque, uint32_t events)
{
	struct net_pair *pair = opaque;

	/* An error is for whoever waits: the next call will say it. */
	if (events & ~(uint32_t)EPOLLIN)
		net_tx_run(pair);
	if (events & ~(uint32_t)EPOLLOUT)
		net_rx_run(pair);
}

static void set_link(struct net *net, bool up)
{
	net->config.status = htole16(up ? VIRTIO_NET_S_LINK_UP : 0);
	net->virtio->config_update(net->dev, offsetof(struct net_config, status),
				   &net->config.status, sizeof(net->config.status));
}

void net_break(struct net *net, int error)
{
	if (net->broken)
		return;
	alcor_log(net->dev, ALCOR_LOG_ERROR, "receive: %s; the link is down", strerror(error));
	net->broken = true;
	for (unsigned i = 0; i < net->max_pairs; i++)
		net_watch(&net->pairs[i]);
	set_link(net, false);
}

void net_count_drop(struct alcor_dev *dev, uint64_t *count, const char *what)
{
	(*count)++;
	if ((*count & (*count - 1)) == 0)
		alcor_log(dev, ALCOR_LOG_WARN, "%s: dropped, %llu until now", what,
			  (unsigned long long)*count);
}

/* Has everything looked at again that may have waited. */
static void kick_all(struct net *net)
{
	for (unsigned i = 0; i < net->n_pairs; i++) {
		net->virtio->kick(net->pairs[i].rx.vq);
		net->virtio->kick(net->pairs[i].tx.vq);
	}
}

int net_set_pairs(struct net *net, unsigned n)
{
	unsigned before = net->n_pairs;
	int ret;

	net->n_pairs = n;
	for (unsigned i = n; i < before; i++)
		net_watch(&net->pairs[i]);
	ret = net->backend->ops->set_pairs(net->backend, n);
	if (ret) {
		net->n_pairs = before;
		net->backend->ops->set_pairs(net->backend, before);
		alcor_log(net->dev, ALCOR_LOG_ERROR, "%u queue pairs: %s", n, strerror(-ret));
	}
	kick_all(net);
	return ret;
}

/* --- the driver --- */

static bool has_room_for_any_frame(uint64_t features)
{
	return features & (NET_OFFLOADS_GUEST & ~NET_BIT(VIRTIO_NET_F_GUEST_CSUM));
}

static int net_activate(void *priv, uint64_t features)
{
	struct net *net = priv;
	uint64_t guest = features & NET_OFFLOADS_GUEST;
	int ret;

	/* 5.1.3.1: without checksums there is no segmentation. */
	if (!(guest & NET_BIT(VIRTIO_NET_F_GUEST_CSUM)))
		guest = 0;
	ret = net->backend->ops->set_offloads(net->backend, guest);
	if (ret) {
		alcor_log(net->dev, ALCOR_LOG_ERROR, "offloads: %s", strerror(-ret));
		return ret;
	}
	net->features = features;
	net->rx_target = has_room_for_any_frame(guest) ?
				 NET_FRAME_MAX :
				 NET_HDR_LEN + 18u + le16toh(net->config.mtu);
	net->active = true;
	ret = net_set_pairs(net, 1);
	if (ret)
		net->active = false;
	return ret;
}

/* 5.1.2: without MQ the control queue is the third. */
static bool is_ctrl(const struct net *net, uint16_t index)
{
	return index == (net->features & NET_BIT(VIRTIO_NET_F_MQ) ? 2 * net->max_pairs : 2);
}

static void net_queue(void *priv, uint16_t index)
{
	struct net *net = priv;
	struct net_pair *pair = &net->pairs[index / 2];

	if (net->paused)
		return;
	if (is_ctrl(net, index)) {
		net_ctrl_run(net, net->virtio->vq(net->dev, index));
	} else if (index / 2 >= net->max_pairs) {
		return;
	} else if (index % 2 == 0) {
		pair->rx.ready = true;
		net_rx_run(pair);
	} else {
		pair->tx.ready = true;
		net_tx_run(pair);
	}
}

static void net_queue_stop(void *priv, uint16_t index)
{
	struct net *net = priv;
	struct net_pair *pair = &net->pairs[index / 2];

	if (index / 2 >= net->max_pairs)
		return;
	if (index % 2 == 0)
		net_rx_stop(pair);
	else
		net_tx_stop(pair);
	net_watch(pair);
}

static void net_deactivate(void *priv)
{
	struct net *net = priv;

	net->active = false;
	net->features = 0;
	for (unsigned i = 0; i < net->max_pairs; i++)
		net_watch(&net->pairs[i]);
	if (memcmp(net->config.mac, net->mac, sizeof(net->mac)) != 0) {
		memcpy(net->config.mac, net->mac, sizeof(net->mac));
		net->virtio->config_update(net->dev, 0, net->mac, sizeof(net->mac));
	}
	if (net->broken) {
		net->broken = false;
		set_link(net, true);
	}
}

const struct alcor_virtio_ops net_virtio_ops = {
	.struct_size = sizeof(net_virtio_ops),
	.activate = net_activate,
	.queue = net_queue,
	.queue_stop = net_queue_stop,
	.deactivate = net_deactivate,
};

/* --- the host --- */

int net_pause(struct net *net)
{
	net->paused = true;
	for (unsigned i = 0; i < net->max_pairs; i++)
		net_watch(&net->pairs[i]);
	if (net->backend->ops->stop)
		net->backend->ops->stop(net->backend);
	return 0;
}

int net_resume(struct net *net)
{
	int ret = net->backend->ops->start ? net->backend->ops->start(net->backend) : 0;

	if (ret)
		return ret;
	net->paused = false;
	if (!net->active)
		return 0;
	kick_all(net);
	net->virtio->kick(net->virtio->vq(
		net->dev, net->features & NET_BIT(VIRTIO_NET_F_MQ) ? 2 * net->max_pairs : 2));
	return 0;
}

uint64_t net_features_offered(const struct net *net)
{
	uint64_t features = net->backend->features | NET_BIT(VIRTIO_NET_F_MAC) |
			    NET_BIT(VIRTIO_NET_F_MTU) | NET_BIT(VIRTIO_NET_F_STATUS) |
			    NET_BIT(VIRTIO_NET_F_MRG_RXBUF) | NET_BIT(VIRTIO_NET_F_CTRL_VQ) |
			    NET_BIT(VIRTIO_NET_F_CTRL_RX) | NET_BIT(VIRTIO_NET_F_CTRL_MAC_ADDR);

	if (net->max_pairs > 1)
		features |= NET_BIT(VIRTIO_NET_F_MQ);
	return features;
}

static int pair_watch(struct net *net, struct net_pair *pair)
{
	int ret = net->loop->watch(net->dev, net->backend->fds[pair->index], EPOLLIN, pair_ready,
				   pair, &pair->watch);

	return ret ? ret : net->loop->modify(pair->watch, 0);
}

int net_realize(struct net *net)
{
	struct alcor_virtio_desc desc = {
		.struct_size = sizeof(desc),
		.device_id = VIRTIO_ID_NET,
		.n_queues = (uint16_t)(2 * net->max_pairs + 1),
		.features = net_features_offered(net),
		.queue_size = NET_QUEUE_SIZE,
		.max_segments = NET_SEGMENTS,
		.config_size = sizeof(net->config),
		.class_base = 0x02,
		.config = &net->config,
		.ops = &net_virtio_ops,
	};
	int ret = net->virtio->add(net->dev, &desc, net);

	if (ret)
		return alcor_error(net->dev, ret, "virtio: %s", strerror(-ret));
	for (unsigned i = 0; i < net->max_pairs; i++) {
		struct net_pair *pair = &net->pairs[i];

		pair->rx.vq = net->virtio->vq(net->dev, (uint16_t)(2 * i));
		pair->tx.vq = net->virtio->vq(net->dev, (uint16_t)(2 * i + 1));
		ret = pair_watch(net, pair);
		if (ret)
			return alcor_error(net->dev, ret, "loop: %s", strerror(-ret));
	}
	return 0;
}

/* FNV-1a, so that the same device has the same address each time the VM runs. */
static void mac_from_ids(uint8_t ret_mac[6], const char *dev_id, const char *backend_id)
{
	const char *texts[] = { dev_id, backend_id };
	uint64_t hash = 0xcbf29ce484222325u;

	for (unsigned i = 0; i < 2; i++) {
		for (const char *p = texts[i];; p++) {
			hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
			if (!*p)
				break;
		}
	}
	for (unsigned i = 0; i < 6; i++)
		ret_mac[i] = (uint8_t)(hash >> 8 * i);
	/* One station, locally administered. */
	ret_mac[0] = (ret_mac[0] & 0xfc) | 0x02;
}

static int pairs_new(struct net *net)
{
	net->pairs = calloc(net->max_pairs, sizeof(*net->pairs));
	if (!net->pairs)
		return -ENOMEM;
	for (unsigned i = 0; i < net->max_pairs; i++) {
		net->pairs[i].net = net;
		net->pairs[i].index = i;
		net->pairs[i].rx.spill = malloc(NET_SPILL);
		if (!net->pairs[i].rx.spill)
			return -ENOMEM;
	}
	return 0;
}

int net_new(struct alcor_dev *dev, struct net_backend *backend, const uint8_t *mac, uint16_t mtu,
	    struct net **ret_net)
{
	struct net *net = calloc(1, sizeof(*net));

	if (!net) {
		backend->ops->destroy(backend);
		return alcor_error(dev, -ENOMEM, "out of memory");
	}
	net->dev = dev;
	net->virtio = alcor_service(dev, ALCOR_VIRTIO_ID);
	net->loop = alcor_service(dev, ALCOR_LOOP_ID);
	net->backend = backend;
	net->max_pairs = backend->n_pairs;
	net->n_pairs = 1;
	if (pairs_new(net)) {
		net_free(net);
		return alcor_error(dev, -ENOMEM, "out of memory");
	}
	if (mac)
		memcpy(net->mac, mac, sizeof(net->mac));
	else
		mac_from_ids(net->mac, dev->id, backend->id);
	memcpy(net->config.mac, net->mac, sizeof(net->mac));
	net->config.status = htole16(VIRTIO_NET_S_LINK_UP);
	net->config.max_virtqueue_pairs = htole16((uint16_t)net->max_pairs);
	net->config.mtu = htole16(mtu);
	*ret_net = net;
	return 0;
}

void net_free(struct net *net)
{
	for (unsigned i = 0; net->pairs && i < net->max_pairs; i++) {
		net->loop->unwatch(net->pairs[i].watch);
		free(net->pairs[i].rx.spill);
	}
	free(net->pairs);
	net->backend->ops->destroy(net->backend);
	free(net);
}
