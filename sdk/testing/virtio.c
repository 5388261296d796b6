/* SPDX-License-Identifier: Apache-2.0 */
/* Virtqueues without rings: the test's requests go to the plugin as they are. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "alcor_testing.h"

static int virtio_add(struct alcor_dev *dev, const struct alcor_virtio_desc *desc, void *priv)
{
	struct alcor_fake *fake = alcor_fake_of(dev);

	if (fake->virtio_added || desc->struct_size != sizeof(*desc) ||
	    desc->n_queues > ALCOR_FAKE_QUEUES || desc->config_size > sizeof(fake->config) ||
	    priv != fake->priv)
		alcor_fake_die("virtio: wrong description");
	fake->virtio_desc = *desc;
	fake->virtio_added = true;
	if (desc->config_size)
		memcpy(fake->config, desc->config, desc->config_size);
	for (uint16_t i = 0; i < desc->n_queues; i++) {
		fake->vqs[i].fake = fake;
		fake->vqs[i].index = i;
	}
	return 0;
}

static struct alcor_vq *virtio_vq(struct alcor_dev *dev, uint16_t index)
{
	struct alcor_fake *fake = alcor_fake_of(dev);

	return index < fake->virtio_desc.n_queues ? &fake->vqs[index] : NULL;
}

static struct iovec *list_copy(const struct iovec *list, uint32_t n, uint64_t *ret_len)
{
	struct iovec *copy = malloc((n ? n : 1) * sizeof(*copy));

	if (!copy)
		alcor_fake_die("no memory");
	*ret_len = 0;
	for (uint32_t i = 0; i < n; i++) {
		copy[i] = list[i];
		*ret_len += list[i].iov_len;
	}
	return copy;
}

/* Lists and private bytes are blocks of their own, so that a sanitizer sees a touch too much. */
struct alcor_fake_request *alcor_fake_submit(struct alcor_fake *fake, uint16_t queue,
					     const struct iovec *out, uint32_t n_out,
					     const struct iovec *in, uint32_t n_in)
{
	uint32_t req_size = fake->virtio_desc.req_size;
	struct alcor_fake_request *req = calloc(1, sizeof(*req)), **tail;

	if (!req || queue >= fake->virtio_desc.n_queues)
		alcor_fake_die("no memory, or no queue %u", queue);
	req->vreq.vq = &fake->vqs[queue];
	req->vreq.n_out = n_out;
	req->vreq.n_in = n_in;
	req->vreq.out = req->out = list_copy(out, n_out, &req->vreq.out_len);
	req->vreq.in = req->in = list_copy(in, n_in, &req->vreq.in_len);
	if (posix_memalign(&req->vreq.priv, 16, req_size ? req_size : 1))
		alcor_fake_die("no memory");
	memset(req->vreq.priv, 0xa5, req_size);
	for (tail = &fake->vqs[queue].requests; *tail; tail = &(*tail)->next)
		;
	*tail = req;
	return req;
}

static void request_release(struct alcor_fake_request *req)
{
	free(req->vreq.priv);
	free(req->in);
	free(req->out);
	req->in = req->out = NULL;
	req->vreq = (struct alcor_vreq){ 0 };
}

static void request_complete(struct alcor_fake_request *req, uint32_t written)
{
	struct alcor_vq *vq = req->vreq.vq;

	if (written > req->vreq.in_len)
		alcor_fake_die("push: more written than the request has room for");
	req->pushed = true;
	req->written = written;
	req->order = ++vq->fake->n_pushed;
	vq->unflushed++;
	request_release(req);
}

static uint32_t virtio_pop(struct alcor_vq *vq, struct alcor_vreq **ret_reqs, uint32_t max)
{
	uint32_t segments = vq->fake->virtio_desc.max_segments, n = 0;

	for (struct alcor_fake_request *req = vq->requests; req && n < max; req = req->next) {
		if (req->taken)
			continue;
		req->taken = true;
		if (segments && req->vreq.n_out + req->vreq.n_in > segments) {
			request_complete(req, 0);
			continue;
		}
		vq->in_flight++;
		ret_reqs[n++] = &req->vreq;
	}
	return n;
}

static void virtio_push(struct alcor_vreq *vreq, uint32_t written)
{
	struct alcor_fake_request *req = (struct alcor_fake_request *)vreq;

	if (!vreq->vq || !req->taken || req->pushed || req->dropped)
		alcor_fake_die("push of a request that is not handed out");
	vreq->vq->in_flight--;
	request_complete(req, written);
}

static void virtio_flush(struct alcor_vq *vq)
{
	if (vq->unflushed)
		vq->fake->n_flushes++;
	vq->unflushed = 0;
	for (struct alcor_fake_request *req = vq->requests; req; req = req->next)
		req->done = req->pushed;
}

static void virtio_kick(struct alcor_vq *vq)
{
	pthread_mutex_lock(&vq->fake->lock);
	vq->kicked = true;
	pthread_mutex_unlock(&vq->fake->lock);
	alcor_fake_wake(vq->fake);
}

static int virtio_config_update(struct alcor_dev *dev, uint32_t offset, const void *data,
				uint32_t len)
{
	struct alcor_fake *fake = alcor_fake_of(dev);

	if (offset > fake->virtio_desc.config_size || len > fake->virtio_desc.config_size - offset)
		return -EINVAL;
	memcpy(fake->config + offset, data, len);
	return 0;
}

static void virtio_needs_reset(struct alcor_dev *dev)
{
	alcor_fake_of(dev)->virtio_needs_reset = true;
}

bool alcor_fake_virtio_turn(struct alcor_fake *fake)
{
	bool ran = false;

	for (uint16_t i = 0; i < fake->virtio_desc.n_queues && fake->virtio_active; i++) {
		bool kicked;

		pthread_mutex_lock(&fake->lock);
		kicked = fake->vqs[i].kicked;
		fake->vqs[i].kicked = false;
		pthread_mutex_unlock(&fake->lock);
		if (kicked) {
			fake->virtio_desc.ops->queue(fake->priv, i);
			ran = true;
		}
	}
	return ran;
}

int alcor_fake_activate(struct alcor_fake *fake, uint64_t features)
{
	const struct alcor_virtio_ops *ops = fake->virtio_desc.ops;
	int ret = ops->activate ? ops->activate(fake->priv, features) : 0;

	fake->virtio_active = ret == 0;
	return ret;
}

void alcor_fake_notify(struct alcor_fake *fake, uint16_t queue)
{
	virtio_kick(&fake->vqs[queue]);
}

void alcor_fake_queue_stop(struct alcor_fake *fake, uint16_t queue)
{
	struct alcor_vq *vq = &fake->vqs[queue];

	if (fake->virtio_desc.ops->queue_stop)
		fake->virtio_desc.ops->queue_stop(fake->priv, queue);
	virtio_flush(vq);
	vq->in_flight = 0;
	vq->kicked = false;
	for (struct alcor_fake_request *req = vq->requests; req; req = req->next) {
		if (req->pushed || req->dropped)
			continue;
		req->taken = true;
		req->dropped = true;
		request_release(req);
	}
}

void alcor_fake_deactivate(struct alcor_fake *fake)
{
	for (uint16_t i = 0; i < fake->virtio_desc.n_queues; i++)
		alcor_fake_queue_stop(fake, i);
	fake->virtio_active = false;
	if (fake->virtio_desc.ops->deactivate)
		fake->virtio_desc.ops->deactivate(fake->priv);
}

void alcor_fake_virtio_fini(struct alcor_fake *fake)
{
	for (uint16_t i = 0; i < fake->virtio_desc.n_queues; i++) {
		while (fake->vqs[i].requests) {
			struct alcor_fake_request *req = fake->vqs[i].requests;

			fake->vqs[i].requests = req->next;
			request_release(req);
			free(req);
		}
	}
}

const struct alcor_virtio alcor_fake_virtio = {
	.struct_size = sizeof(alcor_fake_virtio),
	.add = virtio_add,
	.vq = virtio_vq,
	.pop = virtio_pop,
	.push = virtio_push,
	.flush = virtio_flush,
	.kick = virtio_kick,
	.config_update = virtio_config_update,
	.needs_reset = virtio_needs_reset,
};
