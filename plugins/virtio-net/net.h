/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net (Virtio 1.3, 5.1): the device between its queues and its back end. */
#ifndef ALCOR_PLUGINS_VIRTIO_NET_NET_H
#define ALCOR_PLUGINS_VIRTIO_NET_NET_H

#include <linux/virtio_net.h>

#include <alcor/virtio.h>

#include "backend.h"

/* Later than some kernel headers. */
#define NET_F_GUEST_USO4    54
#define NET_F_GUEST_USO6    55
#define NET_F_HOST_USO	    56
#define NET_HDR_GSO_UDP_L4  5
#define NET_BIT(feature)    (1ull << (feature))
#define NET_HDR_LEN	    ((uint32_t)sizeof(struct virtio_net_hdr_v1))
#define NET_HDR_NUM_BUFFERS 10 /* offset of the field */
#define NET_QUEUE_SIZE	    256
#define NET_SEGMENTS	    256
#define NET_BATCH	    64
#define NET_FRAME_MAX	    65562u /* longest frame with its header (5.1.6.3.1) */
#define NET_SPILL	    (NET_FRAME_MAX + 1)
#define NET_RX_IOV	    1024
#define NET_MTU_MIN	    68
#define NET_OFFLOADS_GUEST                                                     \
	(NET_BIT(VIRTIO_NET_F_GUEST_CSUM) | NET_BIT(VIRTIO_NET_F_GUEST_TSO4) | \
	 NET_BIT(VIRTIO_NET_F_GUEST_TSO6) | NET_BIT(VIRTIO_NET_F_GUEST_ECN) |  \
	 NET_BIT(NET_F_GUEST_USO4) | NET_BIT(NET_F_GUEST_USO6))
#define NET_OFFLOADS_HOST                                                   \
	(NET_BIT(VIRTIO_NET_F_CSUM) | NET_BIT(VIRTIO_NET_F_HOST_TSO4) |     \
	 NET_BIT(VIRTIO_NET_F_HOST_TSO6) | NET_BIT(VIRTIO_NET_F_HOST_ECN) | \
	 NET_BIT(NET_F_HOST_USO))

struct net;

/* Buffers are taken ahead of the frames, so that a frame is read straight into them. The last
 * element of the list is memory of our own, which holds what goes beyond them. */
struct net_rx {
	struct alcor_vq *vq;
	bool ready; /* between queue() and queue_stop() */
	uint32_t n_held, n_iov;
	uint64_t room;	 /* bytes of the buffers held */
	uint32_t frame;	 /* bytes of a frame that waits for more buffers, 0: none */
	uint32_t placed; /* of these, what is in buffers; the rest is at spill + (placed - base) */
	uint32_t base;
	struct alcor_vreq *held[NET_QUEUE_SIZE];
	struct iovec iov[NET_RX_IOV];
	uint8_t *spill;
};

struct net_tx {
	struct alcor_vq *vq;
	bool ready;			    /* between queue() and queue_stop() */
	struct alcor_vreq *reqs[NET_BATCH]; /* taken and not sent: at..n */
	uint32_t at, n;
};

struct net_pair {
	struct net *net;
	unsigned index;
	struct alcor_watch *watch;
	uint32_t events; /* that the watch waits for */
	struct net_rx rx;
	struct net_tx tx;
};

/* virtio_net_config up to the MTU (5.1.4). */
struct net_config {
	uint8_t mac[6];
	uint16_t status;
	uint16_t max_virtqueue_pairs;
	uint16_t mtu;
};

struct net {
	struct alcor_dev *dev;
	const struct alcor_virtio *virtio;
	const struct alcor_loop *loop;
	struct net_backend *backend;
	struct net_config config;
	uint8_t mac[6];	   /* at power-on */
	uint64_t features; /* agreed on */
	unsigned n_pairs, max_pairs;
	uint32_t rx_target; /* bytes of buffers to hold, enough for the longest usual frame */
	bool active, paused, broken;
	uint64_t rx_dropped, tx_dropped;
	struct net_pair *pairs;
};

extern const struct alcor_virtio_ops net_virtio_ops;

/* Takes the back end, also when it fails. @mac may be NULL. */
int net_new(struct alcor_dev *dev, struct net_backend *backend, const uint8_t *mac, uint16_t mtu,
	    struct net **ret_net);
void net_free(struct net *net);
int net_realize(struct net *net);
int net_pause(struct net *net);
int net_resume(struct net *net);
uint64_t net_features_offered(const struct net *net);

/* Sets what the pair's descriptor is watched for. */
void net_watch(struct net_pair *pair);
/* The back end has failed for good: the link goes down. */
void net_break(struct net *net, int error);
/* Counts; says so at 1, 2, 4, 8, ... */
void net_count_drop(struct alcor_dev *dev, uint64_t *count, const char *what);
bool net_pair_on(const struct net_pair *pair);
int net_set_pairs(struct net *net, unsigned n);

void net_rx_run(struct net_pair *pair);
void net_rx_stop(struct net_pair *pair);
void net_tx_run(struct net_pair *pair);
void net_tx_stop(struct net_pair *pair);
void net_ctrl_run(struct net *net, struct alcor_vq *vq);

/* Bytes @offset to @offset + @len of a list: false where it is shorter. */
bool net_iov_read(const struct iovec *iov, uint32_t n, uint64_t offset, void *ret_data,
		  uint64_t len);
bool net_iov_write(const struct iovec *iov, uint32_t n, uint64_t offset, const void *data,
		   uint64_t len);

#endif
