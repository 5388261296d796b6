/* SPDX-License-Identifier: Apache-2.0 */
/* What carries the frames of a network device: a tap, or a network stack in user space. */
#ifndef ALCOR_PLUGINS_VIRTIO_NET_BACKEND_H
#define ALCOR_PLUGINS_VIRTIO_NET_BACKEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <alcor/loop.h>
#include <alcor/plugin.h>

#define NET_PAIRS_MAX 64
#define NET_ID_MAX    32

struct net_backend;

/* All [dev], but for destroy and what stands before realize(). Frames begin with a header of
 * NET_HDR_LEN bytes (struct virtio_net_hdr_v1). start and stop may be NULL, as may commit. */
struct net_backend_ops {
	/* One frame, and its length; -EAGAIN: none, the descriptor of the pair will tell. A frame
	 * longer than the list is cut off. EINVAL, EFAULT, ENOMEM, ENOBUFS: a frame was lost; any
	 * other error is for good. */
	ssize_t (*receive)(struct net_backend *backend, unsigned pair, const struct iovec *iov,
			   unsigned n);
	/* One frame. -EAGAIN: no room, the descriptor of the pair will tell (EPOLLOUT). */
	int (*send)(struct net_backend *backend, unsigned pair, const struct iovec *iov,
		    unsigned n);
	/* After some send(). */
	void (*commit)(struct net_backend *backend);
	/* What the driver agreed to receive; bits of VIRTIO_NET_F_GUEST_. */
	int (*set_offloads)(struct net_backend *backend, uint64_t features);
	/* Frames go to the first @n pairs only. */
	int (*set_pairs)(struct net_backend *backend, unsigned n);
	int (*start)(struct net_backend *backend);
	void (*stop)(struct net_backend *backend);
	void (*destroy)(struct net_backend *backend);
};

struct net_backend {
	const struct net_backend_ops *ops;
	struct alcor_dev *dev;
	uint64_t features; /* of checksums and segmentation that it can do */
	unsigned n_pairs;
	char id[NET_ID_MAX];	/* goes into the default of the MAC address */
	int fds[NET_PAIRS_MAX]; /* one a pair */
};

/* Say why with alcor_error(). */
int net_tap_open(struct alcor_dev *dev, struct net_backend **ret_backend);
int net_user_open(struct alcor_dev *dev, struct net_backend **ret_backend);

#endif
