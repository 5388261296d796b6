/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue engine: what vq.c, serve.c, split.c, packed.c and chain.c share with the device.
 * Everything here belongs to the loop's thread, except where a member says otherwise.
 *
 * Ring memory is little endian (2.4), and so are the hosts.
 */
#ifndef ALCOR_CORE_VIRTIO_VQ_H
#define ALCOR_CORE_VIRTIO_VQ_H

#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "virtio/virtio.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rings are little endian");

/* A request and what the engine has to know to complete it. The plugin's bytes and the scatter list
 * follow in the same block of memory. */
struct vq_slot {
	struct alcor_vreq req;
	uint16_t number; /* of the slot */
	uint16_t id;	 /* head of the chain (split) or buffer id (packed) */
	uint16_t n_desc; /* ring descriptors that the chain takes (packed) */
	bool busy;
};

enum vq_found {
	VQ_NONE,
	VQ_CHAIN,     /* the slot holds a good request */
	VQ_BAD_CHAIN, /* the slot holds the id of a malformed one */
	VQ_BAD_RING,  /* the ring cannot be trusted any more */
};

/* A ring layout. */
struct vq_ring_ops {
	/* Takes the next available chain; *@ret_why says what is bad about it. */
	enum vq_found (*next)(struct alcor_vq *vq, struct vq_slot *slot, const char **ret_why);
	bool (*pending)(const struct alcor_vq *vq);
	/* Writes a used element that the driver cannot see before publish(). */
	void (*push)(struct alcor_vq *vq, const struct vq_slot *slot, uint32_t written);
	void (*publish)(struct alcor_vq *vq);
	/* Whether the driver wants an interrupt for what was published last. */
	bool (*wants_interrupt)(const struct alcor_vq *vq);
	/* Asks the driver to notify the device, or not to. */
	void (*set_notify)(struct alcor_vq *vq, bool on);
};
extern const struct vq_ring_ops vq_split_ops;
extern const struct vq_ring_ops vq_packed_ops;

struct vq_split {
	const struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t avail_idx;  /* the driver's index as last read */
	uint16_t next_avail; /* next entry to take */
	uint16_t next_used;  /* next entry to write */
	uint16_t published;  /* used index as the driver sees it, before and */
	uint16_t signalled;  /* as it was when an interrupt was last decided on */
};

struct vq_packed {
	struct vring_packed_desc *desc;
	const uint32_t *driver_event;
	uint32_t *device_event;
	uint16_t next_avail, next_used;
	bool avail_wrap, used_wrap; /* ring wrap counters (2.8.1) */
	uint16_t batch_pos;	    /* of the first used descriptor that is not published yet */
	uint16_t batch_flags;	    /* and its flags, to be stored last */
	uint16_t batch;		    /* ring descriptors in that batch */
	uint16_t signalled;	    /* ring descriptors in the batch published last */
};

struct alcor_vq {
	struct virtio_dev *dev;
	uint16_t index;
	int doorbell; /* eventfd, for the device's life; [any] */

	/* Under the device's lock. */
	struct virtio_queue_regs regs;
	void *areas[3]; /* host addresses of the three areas, while enabled */
	bool starting;	/* the loop has to start the queue */

	const struct vq_ring_ops *ring;
	struct mem *mem;
	uint16_t size;
	uint16_t max_segments;
	bool event_idx, indirect;
	bool active;	 /* between vq_start() and vq_stop() */
	bool running;	 /* active, and the ring can be trusted */
	bool stopping;	 /* pushing is still allowed, but not to pop */
	bool serving;	 /* inside of vq_serve() */
	bool drained;	 /* the last pop() returned 0 */
	uint32_t budget; /* requests that may be taken before others get their turn */
	uint32_t n_pushed;
	struct loop_watch *watch;
	union {
		struct vq_split split;
		struct vq_packed packed;
	};

	uint8_t *slots; /* size × stride bytes */
	size_t stride;
	uint16_t n_free;
	uint16_t free[VIRTIO_QUEUE_MAX];	   /* stack of slots, so that few are touched */
	uint64_t in_flight[VIRTIO_QUEUE_MAX / 64]; /* ids that the driver must not use again */
};

/* Host addresses of the three areas, if all of each lies in RAM, aligned as 2.7 and 2.8 demand.
 * [any] -EINVAL, with *@ret_why. */
int vq_map(struct mem *mem, const struct virtio_queue_regs *regs, bool packed, void **ret_areas,
	   const char **ret_why);
/* Makes an enabled queue ready; its registers and areas stay as they are until vq_stop(). */
int vq_start(struct alcor_vq *vq, const struct alcor_virtio_desc *desc, uint64_t features);
void vq_stop(struct alcor_vq *vq);

/* Has the device serve the doorbell. */
int vq_watch(struct alcor_vq *vq);
/* Has the plugin take what is available. */
void vq_serve(struct alcor_vq *vq);
/* The queue ran dry outside of vq_serve(): the driver shall notify again. */
void vq_rearm(struct alcor_vq *vq);

/* Device's side of the engine (device.c). */
void virtio_dev_serve(struct virtio_dev *dev, uint16_t index);
struct loop *virtio_dev_loop(struct virtio_dev *dev);
void virtio_dev_notify(struct virtio_dev *dev, uint16_t index);
void virtio_dev_log(struct virtio_dev *dev, uint16_t index, const char *what, const char *why);

/* Chain walking (chain.c): the scatter list of @req, or what is wrong. NULL when all is well. */
void chain_begin(struct alcor_vq *vq, struct alcor_vreq *req);
const char *chain_add(struct alcor_vq *vq, struct alcor_vreq *req, const struct vring_desc *desc);
const char *chain_add_packed_table(struct alcor_vq *vq, struct alcor_vreq *req, uint64_t addr,
				   uint32_t len);
const char *chain_walk_split(struct alcor_vq *vq, struct alcor_vreq *req, uint16_t head);

/* A descriptor as it is at this moment: the guest may change it at any time, and the barrier keeps
 * the compiler from reading it a second time. */
static inline void vq_copy_desc(void *ret_desc, const void *desc)
{
	memcpy(ret_desc, desc, sizeof(struct vring_desc));
	__asm__ volatile("" ::: "memory");
}

static inline bool vq_id_busy(const struct alcor_vq *vq, uint16_t id)
{
	return vq->in_flight[id / 64] >> (id % 64) & 1;
}

#endif
