/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-vsock (Virtio 1.3, 5.10) whose streams are Unix sockets: life cycle and parameters. */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_vsock.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <alcor/cfg.h>

#include "vsock.h"

#define VIRTIO_ID_VSOCK	     19
#define VSOCK_F_STREAM	     (1ull << 0) /* 5.10.3 */
#define VSOCK_QUEUES	     3
#define VSOCK_QUEUE_SIZE     256
#define VSOCK_CID_MIN	     3
#define VSOCK_CID_MAX	     0xfffffffe
#define VSOCK_LISTEN_BACKLOG 128

/* The name of a guest's port is the path and "_PORT", both within sun_path. */
#define VSOCK_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1 - VSOCK_SUFFIX_MAX)

/* --- virtio --- */

static int vsock_activate(void *priv, uint64_t features)
{
	struct vsock *vs = priv;

	vs->active = true;
	return 0;
}

/* The event queue is for a guest whose CID changes (5.10.6.7): here it does not. */
static void vsock_queue(void *priv, uint16_t index)
{
	if (index == VSOCK_RX)
		vsock_rx_pump(priv);
	else if (index == VSOCK_TX)
		vsock_tx_serve(priv);
}

static void vsock_queue_stop(void *priv, uint16_t index)
{
	struct vsock *vs = priv;

	if (index == VSOCK_RX)
		vs->held = NULL;
}

static void streams_free(struct vsock *vs)
{
	while (!TAILQ_EMPTY(&vs->streams))
		vsock_stream_free(TAILQ_FIRST(&vs->streams));
}

static void vsock_deactivate(void *priv)
{
	struct vsock *vs = priv;

	vs->active = false;
	vs->n_rsts = 0;
	streams_free(vs);
}

static const struct alcor_virtio_ops vsock_virtio_ops = {
	.struct_size = sizeof(vsock_virtio_ops),
	.activate = vsock_activate,
	.queue = vsock_queue,
	.queue_stop = vsock_queue_stop,
	.deactivate = vsock_deactivate,
};

/* --- life cycle --- */

static int addr_set(struct vsock *vs, const char *path)
{
	size_t len = strlen(path);

	if (len == 0)
		return alcor_error(vs->dev, -EINVAL, "path: empty");
	if (len > VSOCK_PATH_MAX)
		return alcor_error(vs->dev, -ENAMETOOLONG,
				   "path: %zu bytes long, but a socket's name has room for %zu",
				   len, VSOCK_PATH_MAX);
	vs->addr.sun_family = AF_UNIX;
	memcpy(vs->addr.sun_path, path, len + 1);
	return 0;
}

static int listener_open(struct vsock *vs)
{
	const char *path = vs->addr.sun_path;
	struct stat st;

	vs->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (vs->listen_fd < 0)
		return alcor_error(vs->dev, -errno, "socket: %s", strerror(errno));
	if (bind(vs->listen_fd, (struct sockaddr *)&vs->addr, sizeof(vs->addr))) {
		int err = errno;

		if (err == EADDRINUSE)
			return alcor_error(vs->dev, -err,
					   "path: %s is already there; remove it if no other "
					   "program uses it",
					   path);
		return alcor_error(vs->dev, -err, "path: %s: %s", path, strerror(err));
	}
	if (lstat(path, &st) == 0) {
		vs->addr_dev = st.st_dev;
		vs->addr_ino = st.st_ino;
	}
	if (listen(vs->listen_fd, VSOCK_LISTEN_BACKLOG))
		return alcor_error(vs->dev, -errno, "listen: %s", strerror(errno));
	return 0;
}

/* The file may have been replaced by another program's. */
static void listener_remove(struct vsock *vs)
{
	struct stat st;

	if (vs->addr_ino && lstat(vs->addr.sun_path, &st) == 0 && st.st_dev == vs->addr_dev &&
	    st.st_ino == vs->addr_ino)
		unlink(vs->addr.sun_path);
	if (vs->listen_fd >= 0)
		close(vs->listen_fd);
}

static void vsock_destroy(void *priv)
{
	struct vsock *vs = priv;

	streams_free(vs);
	vs->loop->unwatch(vs->listen_watch);
	listener_remove(vs);
	free(vs);
}

static int vsock_create(struct alcor_dev *dev, void **ret_priv)
{
	const struct alcor_cfg *cfg = alcor_service(dev, ALCOR_CFG_ID);
	struct vsock *vs = calloc(1, sizeof(*vs));
	int ret;

	if (!vs)
		return alcor_error(dev, -ENOMEM, "out of memory");
	vs->dev = dev;
	vs->virtio = alcor_service(dev, ALCOR_VIRTIO_ID);
	vs->loop = alcor_service(dev, ALCOR_LOOP_ID);
	vs->cid = cfg->u64(dev, "cid");
	vs->next_port = VSOCK_PORT_MIN;
	vs->listen_fd = -1;
	TAILQ_INIT(&vs->streams);
	TAILQ_INIT(&vs->ready);
	ret = addr_set(vs, cfg->str(dev, "path", 0));
	if (!ret)
		ret = listener_open(vs);
	if (ret) {
		vsock_destroy(vs);
		return ret;
	}
	*ret_priv = vs;
	return 0;
}

static int vsock_realize(void *priv)
{
	struct vsock *vs = priv;
	const struct virtio_vsock_config config = { .guest_cid = htole64(vs->cid) };
	const struct alcor_virtio_desc desc = {
		.struct_size = sizeof(desc),
		.device_id = VIRTIO_ID_VSOCK,
		.n_queues = VSOCK_QUEUES,
		.features = VSOCK_F_STREAM,
		.queue_size = VSOCK_QUEUE_SIZE,
		.max_segments = VSOCK_SEGMENTS,
		.config_size = sizeof(config),
		.class_base = 0x02,
		.class_sub = 0x80,
		.config = &config,
		.ops = &vsock_virtio_ops,
	};
	int ret = vs->loop->timer(vs->dev, vsock_timer_fired, vs, &vs->timer);

	if (!ret)
		ret = vs->loop->watch(vs->dev, vs->listen_fd, EPOLLIN, vsock_listen_ready, vs,
				      &vs->listen_watch);
	if (ret)
		return alcor_error(vs->dev, ret, "loop: %s", strerror(-ret));
	ret = vs->virtio->add(vs->dev, &desc, vs);
	return ret ? alcor_error(vs->dev, ret, "virtio: %s", strerror(-ret)) : 0;
}

static void streams_settle(struct vsock *vs)
{
	struct vsock_stream *s, *next;

	for (s = TAILQ_FIRST(&vs->streams); s; s = next) {
		next = TAILQ_NEXT(s, link);
		vsock_stream_settle(s);
	}
}

/* Sockets keep what they have; clients wait in the backlog. */
static int vsock_pause(void *priv)
{
	struct vsock *vs = priv;

	vs->paused = true;
	streams_settle(vs);
	vs->loop->arm(vs->timer, 0);
	vs->timer_at = 0;
	return vs->loop->modify(vs->listen_watch, 0);
}

static int vsock_resume(void *priv)
{
	struct vsock *vs = priv;

	vs->paused = false;
	streams_settle(vs);
	vsock_timer_fired(vs);
	if (vs->active) {
		vs->virtio->kick(vs->virtio->vq(vs->dev, VSOCK_RX));
		vs->virtio->kick(vs->virtio->vq(vs->dev, VSOCK_TX));
	}
	return vs->listen_retry ? 0 : vs->loop->modify(vs->listen_watch, EPOLLIN);
}

static const struct alcor_dev_ops vsock_ops = {
	.struct_size = sizeof(vsock_ops),
	.create = vsock_create,
	.realize = vsock_realize,
	.resume = vsock_resume,
	.pause = vsock_pause,
	.destroy = vsock_destroy,
};

static const struct alcor_param params[] = {
	{ .name = "cid",
	  .help = "context id of the guest",
	  .type = ALCOR_PARAM_U64,
	  .flags = ALCOR_PARAM_REQUIRED,
	  .min = VSOCK_CID_MIN,
	  .max = VSOCK_CID_MAX },
	{ .name = "path",
	  .help = "socket to make for clients; the guest reaches PATH_PORT",
	  .type = ALCOR_PARAM_PATH,
	  .flags = ALCOR_PARAM_REQUIRED },
};

static const struct alcor_claim claims[] = {
	{ .dev_class = "vsock",
	  .keyword = "uds",
	  .ops = &vsock_ops,
	  .summary = "sockets of the guest as Unix sockets of the host",
	  .params = params,
	  .n_params = sizeof(params) / sizeof(params[0]),
	  .param_size = sizeof(struct alcor_param),
	  .thread_model = ALCOR_THREAD_LOOP,
	  .caps = ALCOR_CAP_VIRTIO },
};

static const struct alcor_plugin plugin = {
	.struct_size = sizeof(plugin),
	.abi_major = ALCOR_ABI_MAJOR,
	.abi_minor = ALCOR_ABI_MINOR,
	.name = "vsock",
	.version = "0.1",
	.license = "Apache-2.0",
	.claims = claims,
	.n_claims = sizeof(claims) / sizeof(claims[0]),
	.claim_size = sizeof(struct alcor_claim),
};

ALCOR_PLUGIN_EXPORT const struct alcor_plugin *alcor_plugin_entry_1(void)
{
	return &plugin;
}

ALCOR_PLUGIN_NOTE("name=vsock\0"
		  "version=0.1\0"
		  "license=Apache-2.0\0"
		  "abi=" ALCOR_ABI_STRING "\0"
		  "claim=vsock/uds\0"
		  "needs=net.socket\0");
