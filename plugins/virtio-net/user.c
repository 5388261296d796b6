/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames by a network stack in user space (libslirp), which opens sockets of the host for the
 * guest's connections.
 *
 * The library is made for a loop around poll(2). Here each of its descriptors is watched only to
 * know when to do the next step; the step asks poll(2) for all of them, and never waits.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libslirp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <alcor/cfg.h>

#include "hostfwd.h"
#include "net.h"

#define USER_RING_BYTES	  (1u << 20)
#define USER_RING_MIN	  64u
#define USER_ETH_LEN	  14u
#define USER_HOSTNAME_MAX 32 /* of the library */
#define USER_HOST	  2  /* stations of the network */
#define USER_DNS	  3
#define USER_DHCP	  15

/* One for each descriptor number of the process; watched or not. */
struct user_watch {
	struct alcor_watch *watch;
	uint32_t events;
	uint32_t step; /* the last in which the library wanted it */
};

struct user_timer {
	struct alcor_timer *timer;
	SlirpTimerCb cb;
	void *opaque;
	struct user_timer *next;
};

/* Frames to the guest; they wait for its buffers here. */
struct user_ring {
	uint8_t *frames; /* n slots of slot bytes */
	uint32_t *lens;
	uint32_t slot, n;
	uint32_t first, used;
};

struct user {
	struct net_backend backend; /* first */
	const struct alcor_loop *loop;
	Slirp *slirp;
	struct alcor_timer *timer;
	struct user_timer *timers;
	struct user_ring ring;
	uint64_t dropped;
	bool running, stalled;
	uint8_t *linear; /* a frame of the guest in one piece */
	struct pollfd *polls;
	unsigned n_polls, max_polls;
	struct user_watch *watches;
	unsigned n_watches;
	uint32_t step;
};

static struct user *user_of(struct net_backend *backend)
{
	return (struct user *)backend;
}

/* --- frames --- */

static ssize_t user_receive(struct net_backend *backend, unsigned pair, const struct iovec *iov,
			    unsigned n)
{
	static const struct virtio_net_hdr_v1 hdr = { 0 };
	struct user *user = user_of(backend);
	struct user_ring *ring = &user->ring;
	eventfd_t count;
	uint32_t len;

	if (!ring->used)
		return -EAGAIN;
	len = ring->lens[ring->first];
	net_iov_write(iov, n, 0, &hdr, NET_HDR_LEN);
	net_iov_write(iov, n, NET_HDR_LEN, ring->frames + (size_t)ring->first * ring->slot, len);
	ring->first = (ring->first + 1) % ring->n;
	if (--ring->used == 0)
		eventfd_read(backend->fds[0], &count);
	if (user->stalled && ring->used <= ring->n / 4)
		user->loop->arm(user->timer, 1);
	return (ssize_t)(NET_HDR_LEN + len);
}

static ssize_t cb_send_packet(const void *buf, size_t len, void *opaque)
{
	struct user *user = opaque;
	struct user_ring *ring = &user->ring;
	uint32_t at = (ring->first + ring->used) % ring->n;

	if (ring->used == ring->n || len > ring->slot) {
		net_count_drop(user->backend.dev, &user->dropped,
			       "frame that the guest has no buffers for");
		return (ssize_t)len;
	}
	memcpy(ring->frames + (size_t)at * ring->slot, buf, len);
	ring->lens[at] = (uint32_t)len;
	if (ring->used++ == 0)
		eventfd_write(user->backend.fds[0], 1);
	return (ssize_t)len;
}

static int user_send(struct net_backend *backend, unsigned pair, const struct iovec *iov,
		     unsigned n)
{
	struct user *user = user_of(backend);
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += iov[i].iov_len;
	if (len < NET_HDR_LEN + USER_ETH_LEN || len > NET_FRAME_MAX ||
	    !net_iov_read(iov, n, NET_HDR_LEN, user->linear, len - NET_HDR_LEN))
		return -EINVAL;
	slirp_input(user->slirp, user->linear, (int)(len - NET_HDR_LEN));
	return 0;
}

static int user_set_offloads(struct net_backend *backend, uint64_t features)
{
	return 0;
}

static int user_set_pairs(struct net_backend *backend, unsigned n)
{
	return 0;
}

/* --- steps --- */

static void user_step(struct user *user);

static void watch_ready(void *opaque, uint32_t events)
{
	user_step(opaque);
}

static int cb_add_poll(int fd, int events, void *opaque)
{
	struct user *user = opaque;
	short wanted = 0;

	if (user->n_polls == user->max_polls) {
		unsigned max = user->max_polls ? 2 * user->max_polls : 64;
		struct pollfd *polls = reallocarray(user->polls, max, sizeof(*polls));

		/* Without memory it is not waited for in this step. */
		if (!polls)
			return -1;
		user->polls = polls;
		user->max_polls = max;
	}
	if (events & SLIRP_POLL_IN)
		wanted |= POLLIN;
	if (events & SLIRP_POLL_OUT)
		wanted |= POLLOUT;
	if (events & SLIRP_POLL_PRI)
		wanted |= POLLPRI;
	user->polls[user->n_polls] = (struct pollfd){ .fd = fd, .events = wanted };
	return (int)user->n_polls++;
}

static int cb_get_revents(int index, void *opaque)
{
	struct user *user = opaque;
	int events = 0;
	short found;

	if (index < 0 || (unsigned)index >= user->n_polls)
		return 0;
	found = user->polls[index].revents;
	if (found & POLLIN)
		events |= SLIRP_POLL_IN;
	if (found & POLLOUT)
		events |= SLIRP_POLL_OUT;
	if (found & POLLPRI)
		events |= SLIRP_POLL_PRI;
	if (found & (POLLERR | POLLNVAL))
		events |= SLIRP_POLL_ERR;
	if (found & POLLHUP)
		events |= SLIRP_POLL_HUP;
	return events;
}

/* The entry of descriptor @fd, NULL without memory. */
static struct user_watch *watch_of(struct user *user, int fd)
{
	unsigned n = (unsigned)fd + 1;

	if (n > user->n_watches) {
		struct user_watch *watches;

		n = n < 64 ? 64 : 2 * n;
		watches = reallocarray(user->watches, n, sizeof(*watches));
		if (!watches)
			return NULL;
		memset(watches + user->n_watches, 0, (n - user->n_watches) * sizeof(*watches));
		user->watches = watches;
		user->n_watches = n;
	}
	return &user->watches[fd];
}

/* POLLIN and so on have the values of EPOLLIN and so on. */
static void watch_want(struct user *user, int fd, uint32_t events)
{
	struct user_watch *entry = watch_of(user, fd);

	if (!entry)
		return;
	entry->step = user->step;
	if (entry->watch && entry->events == events)
		return;
	/* The number may be that of another file by now. */
	if (entry->watch && user->loop->modify(entry->watch, events) != 0) {
		user->loop->unwatch(entry->watch);
		entry->watch = NULL;
	}
	if (!entry->watch && events &&
	    user->loop->watch(user->backend.dev, fd, events, watch_ready, user, &entry->watch) != 0)
		entry->watch = NULL;
	entry->events = events;
}

/* Silences all that this step does not want. */
static void watches_sync(struct user *user)
{
	user->step++;
	for (unsigned i = 0; i < user->n_polls; i++)
		watch_want(user, user->polls[i].fd, (uint32_t)user->polls[i].events);
	for (unsigned i = 0; i < user->n_watches; i++) {
		struct user_watch *entry = &user->watches[i];

		if (entry->watch && entry->step != user->step && entry->events) {
			user->loop->modify(entry->watch, 0);
			entry->events = 0;
		}
	}
}

static void user_silence(struct user *user)
{
	user->n_polls = 0;
	watches_sync(user);
	user->loop->arm(user->timer, 0);
}

/* While the guest does not take its frames, nothing more is read for it. */
static void user_step(struct user *user)
{
	uint32_t ms = UINT32_MAX;

	if (!user->running)
		return;
	user->stalled = user->ring.used > user->ring.n / 2;
	if (user->stalled) {
		user_silence(user);
		return;
	}
	if (user->n_polls && poll(user->polls, user->n_polls, 0) < 0)
		user->n_polls = 0;
	slirp_pollfds_poll(user->slirp, 0, cb_get_revents, user);
	user->n_polls = 0;
	slirp_pollfds_fill(user->slirp, &ms, cb_add_poll, user);
	watches_sync(user);
	user->loop->arm(user->timer, ms == UINT32_MAX ? 0 : ms * 1000000ull + 1);
}

static void step_timer(void *opaque)
{
	user_step(opaque);
}

static void user_commit(struct net_backend *backend)
{
	user_step(user_of(backend));
}

static int user_start(struct net_backend *backend)
{
	user_of(backend)->running = true;
	user_step(user_of(backend));
	return 0;
}

static void user_stop(struct net_backend *backend)
{
	user_of(backend)->running = false;
	user_silence(user_of(backend));
}

/* --- what the library asks for --- */

static void cb_guest_error(const char *msg, void *opaque)
{
	struct user *user = opaque;

	alcor_log(user->backend.dev, ALCOR_LOG_WARN, "guest: %s", msg);
}

static int64_t cb_clock_get_ns(void *opaque)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void timer_fired(void *opaque)
{
	struct user_timer *timer = opaque;

	if (timer->cb)
		timer->cb(timer->opaque);
}

static void *cb_timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
	struct user *user = opaque;
	struct user_timer *timer = calloc(1, sizeof(*timer));

	if (!timer)
		return NULL;
	*timer = (struct user_timer){ .cb = cb, .opaque = cb_opaque, .next = user->timers };
	if (user->loop->timer(user->backend.dev, timer_fired, timer, &timer->timer) != 0) {
		free(timer);
		return NULL;
	}
	user->timers = timer;
	return timer;
}

/* Timers of the loop live as long as the device. */
static void cb_timer_free(void *opaque_timer, void *opaque)
{
	struct user *user = opaque;
	struct user_timer *timer = opaque_timer;

	if (!timer)
		return;
	timer->cb = NULL;
	user->loop->arm(timer->timer, 0);
}

static void cb_timer_mod(void *opaque_timer, int64_t expire_ms, void *opaque)
{
	struct user *user = opaque;
	struct user_timer *timer = opaque_timer;
	int64_t ns = expire_ms * 1000000 - cb_clock_get_ns(opaque);

	if (timer)
		user->loop->arm(timer->timer, ns > 0 ? (uint64_t)ns : 1);
}

static void cb_register_poll_fd(int fd, void *opaque)
{
}

static void cb_unregister_poll_fd(int fd, void *opaque)
{
	struct user *user = opaque;

	if (fd < 0 || (unsigned)fd >= user->n_watches)
		return;
	user->loop->unwatch(user->watches[fd].watch);
	user->watches[fd].watch = NULL;
}

static void cb_notify(void *opaque)
{
	struct user *user = opaque;

	if (user->running)
		user->loop->arm(user->timer, 1);
}

static const SlirpCb user_callbacks = {
	.send_packet = cb_send_packet,
	.guest_error = cb_guest_error,
	.clock_get_ns = cb_clock_get_ns,
	.timer_new = cb_timer_new,
	.timer_free = cb_timer_free,
	.timer_mod = cb_timer_mod,
	.register_poll_fd = cb_register_poll_fd,
	.unregister_poll_fd = cb_unregister_poll_fd,
	.notify = cb_notify,
};

/* --- life --- */

static void user_destroy(struct net_backend *backend)
{
	struct user *user = user_of(backend);

	if (user->slirp)
		slirp_cleanup(user->slirp);
	for (unsigned i = 0; i < user->n_watches; i++)
		user->loop->unwatch(user->watches[i].watch);
	while (user->timers) {
		struct user_timer *timer = user->timers;

		user->timers = timer->next;
		user->loop->arm(timer->timer, 0);
		free(timer);
	}
	if (user->timer)
		user->loop->arm(user->timer, 0);
	if (backend->fds[0] >= 0)
		close(backend->fds[0]);
	free(user->ring.frames);
	free(user->ring.lens);
	free(user->linear);
	free(user->polls);
	free(user->watches);
	free(user);
}

static const struct net_backend_ops user_ops = {
	.receive = user_receive,
	.send = user_send,
	.commit = user_commit,
	.set_offloads = user_set_offloads,
	.set_pairs = user_set_pairs,
	.start = user_start,
	.stop = user_stop,
	.destroy = user_destroy,
};

static int user_alloc(struct user *user, uint32_t mtu)
{
	struct user_ring *ring = &user->ring;

	ring->slot = mtu + USER_ETH_LEN;
	ring->n = USER_RING_BYTES / ring->slot;
	if (ring->n < USER_RING_MIN)
		ring->n = USER_RING_MIN;
	ring->frames = calloc(ring->n, ring->slot);
	ring->lens = calloc(ring->n, sizeof(*ring->lens));
	user->linear = malloc(NET_FRAME_MAX);
	user->backend.fds[0] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!ring->frames || !ring->lens || !user->linear)
		return -ENOMEM;
	if (user->backend.fds[0] < 0)
		return -errno;
	return user->loop->timer(user->backend.dev, step_timer, user, &user->timer);
}

static int stack_new(struct user *user, const struct alcor_cfg *cfg,
		     const struct net_subnet *subnet)
{
	struct alcor_dev *dev = user->backend.dev;
	const char *hostname = cfg->str(dev, "hostname", 0);
	SlirpConfig config = {
		.version = 3,
		.restricted = (int)cfg->u64(dev, "restrict"),
		.in_enabled = true,
		.vnetwork = subnet->network,
		.vnetmask = subnet->mask,
		.vhost = net_station(subnet, USER_HOST),
		.vnameserver = net_station(subnet, USER_DNS),
		.vdhcp_start = net_station(subnet, USER_DHCP),
		.vhostname = hostname,
		.if_mtu = cfg->u64(dev, "mtu"),
		.if_mru = cfg->u64(dev, "mtu"),
	};

	if (hostname && strlen(hostname) > USER_HOSTNAME_MAX)
		return alcor_error(dev, -EINVAL, "hostname: longer than %d bytes",
				   USER_HOSTNAME_MAX);
	user->slirp = slirp_new(&config, &user_callbacks, user);
	return user->slirp ? 0 : alcor_error(dev, -EINVAL, "network stack: cannot be started");
}

static int forward(struct user *user, const char *text, const struct net_subnet *subnet)
{
	struct alcor_dev *dev = user->backend.dev;
	struct net_hostfwd fwd;
	int ret = net_hostfwd_parse(dev, text, net_station(subnet, USER_DHCP), &fwd);

	if (ret)
		return ret;
	errno = 0;
	if (slirp_add_hostfwd(user->slirp, fwd.udp, fwd.host, fwd.host_port, fwd.guest,
			      fwd.guest_port) == 0)
		return 0;
	ret = errno ? -errno : -EADDRINUSE;
	return alcor_error(dev, ret, "hostfwd: %s: %s", text, strerror(-ret));
}

static int user_setup(struct user *user, const struct alcor_cfg *cfg)
{
	struct alcor_dev *dev = user->backend.dev;
	struct net_subnet subnet;
	int ret = net_subnet_parse(dev, cfg->str(dev, "net", 0), &subnet);

	if (ret)
		return ret;
	ret = user_alloc(user, (uint32_t)cfg->u64(dev, "mtu"));
	if (ret)
		return alcor_error(dev, ret, "network stack: %s", strerror(-ret));
	ret = stack_new(user, cfg, &subnet);
	for (uint32_t i = 0; !ret && i < cfg->count(dev, "hostfwd"); i++)
		ret = forward(user, cfg->str(dev, "hostfwd", i), &subnet);
	return ret;
}

int net_user_open(struct alcor_dev *dev, struct net_backend **ret_backend)
{
	struct user *user = calloc(1, sizeof(*user));
	int ret;

	if (!user)
		return alcor_error(dev, -ENOMEM, "out of memory");
	user->backend.ops = &user_ops;
	user->backend.dev = dev;
	user->backend.n_pairs = 1;
	user->backend.fds[0] = -1;
	user->loop = alcor_service(dev, ALCOR_LOOP_ID);
	strcpy(user->backend.id, "user");
	ret = user_setup(user, alcor_service(dev, ALCOR_CFG_ID));
	if (ret) {
		user_destroy(&user->backend);
		return ret;
	}
	*ret_backend = &user->backend;
	return 0;
}
