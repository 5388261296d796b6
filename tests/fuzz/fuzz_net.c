/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile driver of a network device: the input makes requests of any shape on any queue, and
 * lets frames of any length arrive. Each request is completed at most once and with no more than it
 * has room for, frames to the back end are within bounds, and lists are never overrun (each element
 * is a block of its own for the sanitizer).
 *
 * Input: the features agreed on (2 bytes), then operations of one byte and their operands.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "net.h"

#define FUZZ_PAIRS  2
#define FUZZ_QUEUES (2 * FUZZ_PAIRS + 1)
#define FUZZ_LIST   12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct alcor_vq {
	unsigned index;
	STAILQ_HEAD(, request) requests; /* not popped */
};

struct request {
	struct alcor_vreq req; /* first */
	STAILQ_ENTRY(request) link;
	LIST_ENTRY(request) all;
	bool popped, pushed;
	struct iovec iov[FUZZ_LIST], copy[FUZZ_LIST];
	unsigned n;
};

struct alcor_watch {
	void (*cb)(void *opaque, uint32_t events);
	void *opaque;
	uint32_t events;
};

static struct fuzz {
	const uint8_t *data;
	size_t left;
	struct alcor_vq vqs[FUZZ_QUEUES];
	LIST_HEAD(, request) all;
	struct alcor_watch watches[FUZZ_PAIRS];
	unsigned n_watches;
	struct alcor_virtio_desc desc;
	uint32_t arriving; /* length of the frame that is there, 0: none */
	bool full;
} fuzz;

static void require(bool truth)
{
	if (!truth)
		abort();
}

static uint8_t next_byte(void)
{
	if (!fuzz.left)
		return 0;
	fuzz.left--;
	return *fuzz.data++;
}

/* --- services --- */

static int virtio_add(struct alcor_dev *dev, const struct alcor_virtio_desc *desc, void *priv)
{
	fuzz.desc = *desc;
	return 0;
}

static struct alcor_vq *virtio_vq(struct alcor_dev *dev, uint16_t index)
{
	require(index < FUZZ_QUEUES);
	return &fuzz.vqs[index];
}

static uint32_t virtio_pop(struct alcor_vq *vq, struct alcor_vreq **ret_reqs, uint32_t max)
{
	uint32_t n = 0;

	while (n < max && !STAILQ_EMPTY(&vq->requests)) {
		struct request *request = STAILQ_FIRST(&vq->requests);

		STAILQ_REMOVE_HEAD(&vq->requests, link);
		request->popped = true;
		ret_reqs[n++] = &request->req;
	}
	return n;
}

static void request_free(struct request *request)
{
	for (unsigned i = 0; i < request->n; i++)
		free(request->copy[i].iov_base);
	LIST_REMOVE(request, all);
	free(request);
}

static void virtio_push(struct alcor_vreq *req, uint32_t written)
{
	struct request *request = (struct request *)req;

	require(request->popped && written <= req->in_len);
	request_free(request);
}

static void virtio_flush(struct alcor_vq *vq)
{
}

static int virtio_config_update(struct alcor_dev *dev, uint32_t offset, const void *data,
				uint32_t len)
{
	require(offset + len <= fuzz.desc.config_size);
	return 0;
}

static int loop_watch(struct alcor_dev *dev, int fd, uint32_t events,
		      void (*cb)(void *opaque, uint32_t events), void *opaque,
		      struct alcor_watch **ret_watch)
{
	struct alcor_watch *watch = &fuzz.watches[fuzz.n_watches++];

	*watch = (struct alcor_watch){ cb, opaque, events };
	*ret_watch = watch;
	return 0;
}

static int loop_modify(struct alcor_watch *watch, uint32_t events)
{
	watch->events = events;
	return 0;
}

static void loop_unwatch(struct alcor_watch *watch)
{
}

static const void *service(const struct alcor_host *host, const char *id)
{
	static const struct alcor_virtio virtio = {
		.add = virtio_add,
		.vq = virtio_vq,
		.pop = virtio_pop,
		.push = virtio_push,
		.flush = virtio_flush,
		.kick = virtio_flush,
		.config_update = virtio_config_update,
	};
	static const struct alcor_loop loop = {
		.watch = loop_watch,
		.modify = loop_modify,
		.unwatch = loop_unwatch,
	};

	return strcmp(id, ALCOR_VIRTIO_ID) == 0 ? (const void *)&virtio : &loop;
}

static void host_log(const struct alcor_host *host, struct alcor_dev *dev, uint32_t level,
		     const char *msg)
{
}

/* --- back end --- */

static ssize_t backend_receive(struct net_backend *backend, unsigned pair, const struct iovec *iov,
			       unsigned n)
{
	uint32_t left = fuzz.arriving, done = 0;

	if (!left)
		return -EAGAIN;
	fuzz.arriving = 0;
	for (unsigned i = 0; i < n; i++) {
		size_t len = iov[i].iov_len < left - done ? iov[i].iov_len : left - done;

		memset(iov[i].iov_base, 0x5a, len);
		done += (uint32_t)len;
	}
	return done;
}

static int backend_send(struct net_backend *backend, unsigned pair, const struct iovec *iov,
			unsigned n)
{
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += iov[i].iov_len;
	require(len > NET_HDR_LEN && len <= NET_FRAME_MAX);
	return fuzz.full ? -EAGAIN : 0;
}

static int backend_set_offloads(struct net_backend *backend, uint64_t features)
{
	return 0;
}

static int backend_set_pairs(struct net_backend *backend, unsigned n)
{
	require(n >= 1 && n <= FUZZ_PAIRS);
	return 0;
}

static void backend_destroy(struct net_backend *backend)
{
}

/* --- operations --- */

static void submit(void)
{
	struct alcor_vq *vq = &fuzz.vqs[next_byte() % FUZZ_QUEUES];
	uint8_t shape = next_byte();
	struct request *request = calloc(1, sizeof(*request));
	struct alcor_vreq *req;

	require(request);
	req = &request->req;
	request->n = shape % (FUZZ_LIST + 1);
	req->vq = vq;
	req->n_out = (shape >> 4) % (request->n + 1);
	req->n_in = request->n - req->n_out;
	req->out = request->iov;
	req->in = request->iov + req->n_out;
	for (unsigned i = 0; i < request->n; i++) {
		uint8_t code = next_byte();
		size_t len = code < 200 ? code : (size_t)(code - 199) * 1200;
		uint8_t *block = malloc(len);

		require(block || !len);
		for (size_t k = 0; k < len && k < 64; k++)
			block[k] = next_byte();
		request->iov[i] = request->copy[i] = (struct iovec){ block, len };
		*(i < req->n_out ? &req->out_len : &req->in_len) += len;
	}
	LIST_INSERT_HEAD(&fuzz.all, request, all);
	STAILQ_INSERT_TAIL(&vq->requests, request, link);
}

static void stop_all(void *net)
{
	for (uint16_t i = 0; i < FUZZ_QUEUES; i++) {
		net_virtio_ops.queue_stop(net, i);
		STAILQ_INIT(&fuzz.vqs[i].requests);
	}
	net_virtio_ops.deactivate(net);
	while (!LIST_EMPTY(&fuzz.all))
		request_free(LIST_FIRST(&fuzz.all));
}

static void operate(struct net *net, uint64_t features)
{
	struct alcor_watch *watch;

	switch (next_byte() % 6) {
	case 0:
	case 1:
		submit();
		break;
	case 2:
		net_virtio_ops.queue(net, next_byte() % FUZZ_QUEUES);
		break;
	case 3:
		fuzz.arriving = next_byte();
		fuzz.arriving |= (uint32_t)next_byte() << 8;
		fuzz.arriving *= 1 + next_byte() % 2;
		watch = &fuzz.watches[next_byte() % FUZZ_PAIRS];
		if (watch->events & EPOLLIN)
			watch->cb(watch->opaque, EPOLLIN);
		break;
	case 4:
		fuzz.full = next_byte() & 1;
		watch = &fuzz.watches[next_byte() % FUZZ_PAIRS];
		if (!fuzz.full && watch->events & EPOLLOUT)
			watch->cb(watch->opaque, EPOLLOUT);
		break;
	default:
		stop_all(net);
		require(net_virtio_ops.activate(net, features) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct net_backend_ops ops = {
		.receive = backend_receive,
		.send = backend_send,
		.set_offloads = backend_set_offloads,
		.set_pairs = backend_set_pairs,
		.destroy = backend_destroy,
	};
	struct net_backend backend = { .ops = &ops,
				       .n_pairs = FUZZ_PAIRS,
				       .features = NET_OFFLOADS_GUEST | NET_OFFLOADS_HOST };
	const struct alcor_host host = { .service = service, .log = host_log };
	struct alcor_dev dev = { &host, "fuzz" };
	uint64_t features;
	struct net *net;

	fuzz = (struct fuzz){ .data = data, .left = size };
	for (unsigned i = 0; i < FUZZ_QUEUES; i++) {
		fuzz.vqs[i].index = i;
		STAILQ_INIT(&fuzz.vqs[i].requests);
	}
	require(net_new(&dev, &backend, NULL, 1500, &net) == 0 && net_realize(net) == 0);
	features = net_features_offered(net) &
		   ~((uint64_t)next_byte() << 8 | (uint64_t)next_byte() << 15 | 0x2);
	require(net_virtio_ops.activate(net, features) == 0);
	while (fuzz.left)
		operate(net, features);
	stop_all(net);
	net_free(net);
	return 0;
}
