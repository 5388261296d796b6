/* SPDX-License-Identifier: Apache-2.0 */
/* Frames by a tap or macvtap interface of the host. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <alcor/cfg.h>

#include "net.h"

#define TUN_MAJOR 10
#define TUN_MINOR 200

/* Later than some kernel headers. */
#define TAP_F_USO4 0x20u
#define TAP_F_USO6 0x40u

struct tap {
	struct net_backend backend; /* first */
	unsigned n_attached;
	bool multi_queue;
};

struct tap_options {
	const char *node, *if_name;
	unsigned n_pairs;
	int fd; /* -1: none was given */
};

static struct tap *tap_of(struct net_backend *backend)
{
	return (struct tap *)backend;
}

static ssize_t tap_receive(struct net_backend *backend, unsigned pair, const struct iovec *iov,
			   unsigned n)
{
	ssize_t ret;

	do {
		ret = readv(backend->fds[pair], iov, (int)n);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

static int tap_send(struct net_backend *backend, unsigned pair, const struct iovec *iov, unsigned n)
{
	ssize_t ret;

	do {
		ret = writev(backend->fds[pair], iov, (int)n);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

/* 5.1.3.1 in the words of the tap. */
static unsigned offloads_of(uint64_t features)
{
	static const struct {
		unsigned feature, offload;
	} map[] = {
		{ VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM }, { VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4 },
		{ VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6 }, { VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN },
		{ NET_F_GUEST_USO4, TAP_F_USO4 },	 { NET_F_GUEST_USO6, TAP_F_USO6 },
	};
	unsigned offloads = 0;

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		if (features & NET_BIT(map[i].feature))
			offloads |= map[i].offload;
	}
	return offloads;
}

static int tap_set_offloads(struct net_backend *backend, uint64_t features)
{
	/* One for the interface, whatever the queue. Where nothing could be probed, nothing was
	 * offered, and there is nothing to turn off. */
	if (!backend->features || ioctl(backend->fds[0], TUNSETOFFLOAD, offloads_of(features)) == 0)
		return 0;
	return -errno;
}

static int tap_attach(struct net_backend *backend, unsigned pair, bool attach)
{
	struct ifreq req = { .ifr_flags = attach ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	return ioctl(backend->fds[pair], TUNSETQUEUE, &req) < 0 ? -errno : 0;
}

static int tap_set_pairs(struct net_backend *backend, unsigned n)
{
	struct tap *tap = tap_of(backend);
	int ret;

	while (tap->multi_queue && tap->n_attached != n) {
		bool attach = tap->n_attached < n;

		ret = tap_attach(backend, attach ? tap->n_attached : tap->n_attached - 1, attach);
		if (ret)
			return ret;
		if (attach)
			tap->n_attached++;
		else
			tap->n_attached--;
	}
	return 0;
}

static void tap_destroy(struct net_backend *backend)
{
	for (unsigned i = 0; i < backend->n_pairs; i++)
		close(backend->fds[i]);
	free(tap_of(backend));
}

static const struct net_backend_ops tap_ops = {
	.receive = tap_receive,
	.send = tap_send,
	.set_offloads = tap_set_offloads,
	.set_pairs = tap_set_pairs,
	.destroy = tap_destroy,
};

/* --- opening --- */

static int open_error(struct alcor_dev *dev, const char *node, int error)
{
	switch (error) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return alcor_error(dev, -error,
				   "tap: open %s: %s; is the kernel module tun loaded?", node,
				   strerror(error));
	case EACCES:
	case EPERM:
		return alcor_error(dev, -error,
				   "tap: open %s: %s; this user needs read and write access to it",
				   node, strerror(error));
	default:
		return alcor_error(dev, -error, "tap: open %s: %s", node, strerror(error));
	}
}

static int setiff_error(struct alcor_dev *dev, const char *name, int error)
{
	const char *what = *name ? name : "new interface";

	switch (error) {
	case EPERM:
		return alcor_error(dev, -error,
				   "tap: %s: %s; needs CAP_NET_ADMIN, or an interface that belongs "
				   "to this user (ip tuntap add NAME mode tap user USER)",
				   what, strerror(error));
	case ENOTTY:
		return alcor_error(dev, -error, "tap: the node is none of tun or macvtap");
	case EBUSY:
		return alcor_error(dev, -error, "tap: %s: in use by another process", what);
	case EINVAL:
		return alcor_error(dev, -error,
				   "tap: %s: no tap, or not created for as many queues "
				   "(ip tuntap add NAME mode tap multi_queue)",
				   what);
	default:
		return alcor_error(dev, -error, "tap: %s: %s", what, strerror(error));
	}
}

/* macvtap and ipvtap have a node for each interface. */
static bool is_tun(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(TUN_MAJOR, TUN_MINOR);
}

/* An interface that was created for many queues can be had for one only if that is said. */
static int set_iff(struct tap *tap, int fd, struct ifreq *req)
{
	req->ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (tap->multi_queue)
		req->ifr_flags |= IFF_MULTI_QUEUE;
	if (ioctl(fd, TUNSETIFF, req) == 0)
		return 0;
	if (errno != EINVAL || tap->multi_queue)
		return -errno;
	req->ifr_flags |= IFF_MULTI_QUEUE;
	return ioctl(fd, TUNSETIFF, req) < 0 ? -errno : 0;
}

static int set_header(struct alcor_dev *dev, int fd)
{
	int len = NET_HDR_LEN;
	int flags = fcntl(fd, F_GETFL);

	if (ioctl(fd, TUNSETVNETHDRSZ, &len) < 0)
		return alcor_error(dev, -errno, "tap: header size: %s", strerror(errno));
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return alcor_error(dev, -errno, "tap: %s", strerror(errno));
	return 0;
}

/* @req keeps the name that the kernel chose, for the queues that follow. */
static int open_queue(struct tap *tap, const struct tap_options *options, struct ifreq *req)
{
	struct alcor_dev *dev = tap->backend.dev;
	int fd = open(options->node, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return open_error(dev, options->node, errno);
	tap->backend.fds[tap->backend.n_pairs++] = fd;
	if (options->if_name && !is_tun(fd))
		return alcor_error(dev, -EINVAL,
				   "if_name: %s is the node of one interface, "
				   "which cannot be named",
				   options->node);
	ret = set_iff(tap, fd, req);
	if (ret)
		return setiff_error(dev, req->ifr_name, -ret);
	return set_header(dev, fd);
}

static int open_queues(struct tap *tap, const struct tap_options *options)
{
	struct ifreq req = { 0 };

	if (options->if_name) {
		if (!*options->if_name || strlen(options->if_name) >= sizeof(req.ifr_name))
			return alcor_error(tap->backend.dev, -EINVAL,
					   "if_name: '%s' is not 1 to %zu bytes long",
					   options->if_name, sizeof(req.ifr_name) - 1);
		strcpy(req.ifr_name, options->if_name);
	}
	tap->multi_queue = options->n_pairs > 1;
	while (tap->backend.n_pairs < options->n_pairs) {
		int ret = open_queue(tap, options, &req);

		if (ret)
			return ret;
	}
	tap->n_attached = tap->backend.n_pairs;
	snprintf(tap->backend.id, sizeof(tap->backend.id), "%s", req.ifr_name);
	return 0;
}

/* A descriptor that whoever started the program has opened and named. */
static int use_fd(struct tap *tap, const struct tap_options *options)
{
	struct alcor_dev *dev = tap->backend.dev;
	struct ifreq req = { 0 };
	int fd;

	if (options->n_pairs > 1 || options->if_name)
		return alcor_error(dev, -EINVAL, "fd: %s cannot be given with it",
				   options->if_name ? "if_name" : "queue_pairs");
	if (ioctl(options->fd, TUNGETIFF, &req) < 0)
		return alcor_error(dev, -EINVAL, "fd: %d is no open tap interface", options->fd);
	if (!(req.ifr_flags & IFF_TAP) || !(req.ifr_flags & IFF_NO_PI) ||
	    !(req.ifr_flags & IFF_VNET_HDR))
		return alcor_error(dev, -EINVAL,
				   "fd: the interface must have the flags IFF_TAP, IFF_NO_PI and "
				   "IFF_VNET_HDR");
	fd = fcntl(options->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return alcor_error(dev, -errno, "fd: %s", strerror(errno));
	tap->backend.fds[tap->backend.n_pairs++] = fd;
	tap->n_attached = 1;
	snprintf(tap->backend.id, sizeof(tap->backend.id), "%.15s", req.ifr_name);
	return set_header(dev, fd);
}

/* What the host's kernel can do with packets that the guest receives, it can with those the guest
 * sends. UDP segmentation came later than the rest (Linux 6.2). */
static void probe_offloads(struct tap *tap)
{
	int fd = tap->backend.fds[0];
	unsigned tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;

	if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM) == 0)
		tap->backend.features |=
			NET_BIT(VIRTIO_NET_F_CSUM) | NET_BIT(VIRTIO_NET_F_GUEST_CSUM);
	if (ioctl(fd, TUNSETOFFLOAD, tso) == 0)
		tap->backend.features |=
			NET_BIT(VIRTIO_NET_F_HOST_TSO4) | NET_BIT(VIRTIO_NET_F_HOST_TSO6) |
			NET_BIT(VIRTIO_NET_F_GUEST_TSO4) | NET_BIT(VIRTIO_NET_F_GUEST_TSO6);
	if (ioctl(fd, TUNSETOFFLOAD, tso | TUN_F_TSO_ECN) == 0)
		tap->backend.features |=
			NET_BIT(VIRTIO_NET_F_HOST_ECN) | NET_BIT(VIRTIO_NET_F_GUEST_ECN);
	if (ioctl(fd, TUNSETOFFLOAD, tso | TAP_F_USO4 | TAP_F_USO6) == 0)
		tap->backend.features |= NET_BIT(NET_F_HOST_USO) | NET_BIT(NET_F_GUEST_USO4) |
					 NET_BIT(NET_F_GUEST_USO6);
	/* Until a driver agrees to more. */
	tap_set_offloads(&tap->backend, 0);
}

static int tap_setup(struct tap *tap, const struct tap_options *options)
{
	int ret = options->fd >= 0 ? use_fd(tap, options) : open_queues(tap, options);

	if (ret)
		return ret;
	probe_offloads(tap);
	ret = tap_set_pairs(&tap->backend, 1);
	return ret ? alcor_error(tap->backend.dev, ret, "tap: detach queue: %s", strerror(-ret)) :
		     0;
}

int net_tap_open(struct alcor_dev *dev, struct net_backend **ret_backend)
{
	const struct alcor_cfg *cfg = alcor_service(dev, ALCOR_CFG_ID);
	struct tap_options options = {
		.node = cfg->str(dev, "tap", 0),
		.if_name = cfg->str(dev, "if_name", 0),
		.n_pairs = (unsigned)cfg->u64(dev, "queue_pairs"),
		.fd = cfg->count(dev, "fd") ? (int)cfg->u64(dev, "fd") : -1,
	};
	struct tap *tap = calloc(1, sizeof(*tap));
	int ret;

	if (!tap)
		return alcor_error(dev, -ENOMEM, "out of memory");
	tap->backend.ops = &tap_ops;
	tap->backend.dev = dev;
	ret = tap_setup(tap, &options);
	if (ret) {
		tap_destroy(&tap->backend);
		return ret;
	}
	*ret_backend = &tap->backend;
	return 0;
}
