/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-rng: an entropy device (Virtio 1.3, 5.4). */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <alcor/cfg.h>
#include <alcor/loop.h>
#include <alcor/plugin.h>
#include <alcor/virtio.h>

#define VIRTIO_ID_ENTROPY 4

#define RNG_SEGMENTS 64
#define RNG_BATCH    64
#define RNG_DEFAULT  "/dev/urandom"

/* Most bytes a request gets: a guest cannot keep the loop busy with one of many gigabytes. */
#define RNG_REQUEST_MAX 65536

struct rng {
	struct alcor_dev *dev;
	const struct alcor_virtio *virtio;
	const struct alcor_loop *loop;
	int fd;			   /* -1: getrandom(2), which never waits */
	struct alcor_watch *watch; /* of @fd, while the request in @held waits for bytes */
	struct alcor_vreq *held;
	bool exhausted; /* the source has ended */
	bool paused;
};

/* Shortens the writable part to what is served, at most @max bytes. */
static void list_trim(struct alcor_vreq *req, size_t max)
{
	for (uint32_t i = 0; i < req->n_in; i++) {
		if (req->in[i].iov_len > max)
			req->in[i].iov_len = max;
		max -= req->in[i].iov_len;
	}
}

static ssize_t kernel_read(const struct iovec *list, uint32_t n)
{
	ssize_t sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		size_t done = 0;

		while (done < list[i].iov_len) {
			ssize_t ret = getrandom((char *)list[i].iov_base + done,
						list[i].iov_len - done, 0);

			if (ret > 0)
				done += (size_t)ret;
			else if (errno != EINTR)
				return sum ? sum : -errno;
		}
		sum += (ssize_t)done;
	}
	return sum;
}

static ssize_t source_read(struct rng *rng, const struct iovec *list, uint32_t n)
{
	ssize_t ret;

	if (rng->fd < 0)
		return kernel_read(list, n);
	do {
		ret = readv(rng->fd, list, (int)n);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

/* A request gets at least one byte (5.4.6.2), so one without any cannot be completed. */
static void source_end(struct rng *rng, ssize_t error)
{
	if (rng->exhausted)
		return;
	rng->exhausted = true;
	alcor_log(rng->dev, ALCOR_LOG_ERROR, "source: %s; the guest gets no more entropy",
		  error ? strerror((int)-error) : "end of file");
}

/* Whether @req was completed. */
static bool request_serve(struct rng *rng, struct alcor_vreq *req)
{
	ssize_t ret;

	if (req->in_len == 0) {
		rng->virtio->push(req, 0);
		return true;
	}
	list_trim(req, RNG_REQUEST_MAX);
	ret = source_read(rng, req->in, req->n_in);
	if (ret > 0) {
		rng->virtio->push(req, (uint32_t)ret);
		return true;
	}
	rng->held = req;
	if (ret != -EAGAIN || !rng->watch)
		source_end(rng, ret);
	else
		rng->loop->modify(rng->watch, EPOLLIN);
	return false;
}

static void rng_queue(void *priv, uint16_t index)
{
	struct rng *rng = priv;
	struct alcor_vq *vq = rng->virtio->vq(rng->dev, index);
	struct alcor_vreq *req;
	unsigned n = 0;

	/* A driver that never stops must not keep the loop from everything else. */
	while (n < RNG_BATCH && !rng->held && !rng->paused && rng->virtio->pop(vq, &req, 1)) {
		request_serve(rng, req);
		n++;
	}
	rng->virtio->flush(vq);
	if (n == RNG_BATCH)
		rng->virtio->kick(vq);
}

static void source_ready(void *opaque, uint32_t events)
{
	struct rng *rng = opaque;
	struct alcor_vreq *req = rng->held;

	rng->loop->modify(rng->watch, 0);
	rng->held = NULL;
	if (!req || request_serve(rng, req))
		rng_queue(rng, 0);
}

static void rng_queue_stop(void *priv, uint16_t index)
{
	struct rng *rng = priv;

	rng->held = NULL;
	if (rng->watch)
		rng->loop->modify(rng->watch, 0);
}

static const struct alcor_virtio_ops rng_virtio_ops = {
	.struct_size = sizeof(rng_virtio_ops),
	.queue = rng_queue,
	.queue_stop = rng_queue_stop,
};

/* A pipe is opened for writing too, so that it does not end when its writer does. */
static int source_open(struct alcor_dev *dev, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return alcor_error(dev, -errno, "open: %s", strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode)) {
		close(fd);
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			return alcor_error(dev, -errno, "open: %s", strerror(errno));
	} else if (!S_ISCHR(st.st_mode) && !S_ISREG(st.st_mode)) {
		close(fd);
		return alcor_error(dev, -EINVAL,
				   "source is neither a character device nor a pipe "
				   "nor a file");
	}
	return fd;
}

static void rng_destroy(void *priv)
{
	struct rng *rng = priv;

	if (rng->watch)
		rng->loop->unwatch(rng->watch);
	if (rng->fd >= 0)
		close(rng->fd);
	free(rng);
}

static int rng_create(struct alcor_dev *dev, void **ret_priv)
{
	const struct alcor_cfg *cfg = alcor_service(dev, ALCOR_CFG_ID);
	const char *path = cfg->str(dev, "source", 0);
	struct rng *rng = calloc(1, sizeof(*rng));

	if (!rng)
		return alcor_error(dev, -ENOMEM, "out of memory");
	rng->dev = dev;
	rng->virtio = alcor_service(dev, ALCOR_VIRTIO_ID);
	rng->loop = alcor_service(dev, ALCOR_LOOP_ID);
	rng->fd = -1;
	if (strcmp(path, RNG_DEFAULT) != 0) {
		rng->fd = source_open(dev, path);
		if (rng->fd < 0) {
			int ret = rng->fd;

			free(rng);
			return ret;
		}
	}
	*ret_priv = rng;
	return 0;
}

/* Files cannot be watched, and need not: they never have to be waited for. */
static int source_watch(struct rng *rng)
{
	int ret;

	if (rng->fd < 0)
		return 0;
	ret = rng->loop->watch(rng->dev, rng->fd, EPOLLIN, source_ready, rng, &rng->watch);
	if (ret == -EPERM)
		return 0;
	return ret ? ret : rng->loop->modify(rng->watch, 0);
}

static int rng_realize(void *priv)
{
	static const struct alcor_virtio_desc desc = {
		.struct_size = sizeof(desc),
		.device_id = VIRTIO_ID_ENTROPY,
		.n_queues = 1,
		.queue_size = RNG_SEGMENTS,
		.max_segments = RNG_SEGMENTS,
		.class_base = 0xff,
		.ops = &rng_virtio_ops,
	};
	struct rng *rng = priv;
	int ret = source_watch(rng);

	if (ret)
		return alcor_error(rng->dev, ret, "source: %s", strerror(-ret));
	ret = rng->virtio->add(rng->dev, &desc, rng);
	return ret ? alcor_error(rng->dev, ret, "virtio: %s", strerror(-ret)) : 0;
}

/* A held request stays: it is the source that it waits for. */
static int rng_pause(void *priv)
{
	struct rng *rng = priv;

	rng->paused = true;
	if (rng->watch)
		rng->loop->modify(rng->watch, 0);
	return 0;
}

static int rng_resume(void *priv)
{
	struct rng *rng = priv;

	rng->paused = false;
	if (rng->watch && rng->held && !rng->exhausted)
		return rng->loop->modify(rng->watch, EPOLLIN);
	rng->virtio->kick(rng->virtio->vq(rng->dev, 0));
	return 0;
}

static const struct alcor_dev_ops rng_ops = {
	.struct_size = sizeof(rng_ops),
	.create = rng_create,
	.realize = rng_realize,
	.resume = rng_resume,
	.pause = rng_pause,
	.destroy = rng_destroy,
};

static const struct alcor_param params[] = {
	{ .name = "source",
	  .help = "where the random bytes come from",
	  .type = ALCOR_PARAM_PATH,
	  .flags = ALCOR_PARAM_POSITIONAL,
	  .dflt = RNG_DEFAULT },
};

static const struct alcor_claim claims[] = {
	{ .dev_class = "entropy",
	  .keyword = "urandom",
	  .ops = &rng_ops,
	  .summary = "random numbers of the host",
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
	.name = "virtio-rng",
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

ALCOR_PLUGIN_NOTE("name=virtio-rng\0"
		  "version=0.1\0"
		  "license=Apache-2.0\0"
		  "abi=" ALCOR_ABI_STRING "\0"
		  "claim=entropy/urandom\0"
		  "needs=fs.read\0");
