/* SPDX-License-Identifier: Apache-2.0 */
/* A device instance, shared by its life cycle and the services that it calls. */
#ifndef ALCOR_CORE_PLUGIN_DEVICE_IMPL_H
#define ALCOR_CORE_PLUGIN_DEVICE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <alcor/console.h>
#include <alcor/ctl.h>
#include <alcor/io.h>
#include <alcor/loop.h>
#include <alcor/pci.h>
#include <alcor/virtio.h>

#include "bus/bus.h"
#include "bus/pci.h"
#include "plugin/device.h"
#include "util/error.h"
#include "util/log.h"
#include "util/loop.h"
#include "util/overflow.h"
#include "virtio/virtio.h"

enum device_stage {
	DEVICE_CREATE,
	DEVICE_REALIZE,
	DEVICE_LIVE, /* realized; nothing can be registered for the guest any more */
};

/* How an access of a vCPU reaches the plugin, by the claim's thread model. */
enum device_access {
	DEVICE_LOCKED,	/* under the device's lock, which the loop's callbacks take too */
	DEVICE_ON_LOOP, /* on the loop's thread, the vCPU waits */
	DEVICE_DIRECT,
};

/* Registers that a plugin serves: a bus region or a BAR. */
struct device_regs {
	struct device *dev;
	struct alcor_io_ops ops; /* full size */
	void *opaque;
};

struct device_region {
	LIST_ENTRY(device_region) link;
	struct device_regs regs;
	struct bus *bus;
	uint64_t base;
};

struct alcor_pci_function {
	LIST_ENTRY(alcor_pci_function) link;
	struct device_regs bars[PCI_N_BARS];
	struct pci_fn *fn;
};

struct alcor_watch {
	LIST_ENTRY(alcor_watch) link;
	struct device *dev;
	struct loop_watch *watch;
	void (*cb)(void *opaque, uint32_t events);
	void *opaque;
};

struct alcor_timer {
	LIST_ENTRY(alcor_timer) link;
	struct device *dev;
	struct loop_timer *timer;
	void (*cb)(void *opaque);
	void *opaque;
};

struct alcor_console_port {
	LIST_ENTRY(alcor_console_port) link;
	struct alcor_console_ops ops; /* full size */
	struct console_port *port;
};

struct device_property {
	LIST_ENTRY(device_property) link;
	struct alcor_ctl_property desc; /* full size */
	void *opaque;
};

/* A callback on its way to the loop. */
struct device_defer {
	LIST_ENTRY(device_defer) link;
	struct device *dev;
	void (*cb)(void *opaque);
	void *opaque;
};

struct device {
	struct alcor_dev pub;
	struct vm_device vmdev;
	struct vm *vm;
	const struct alcor_claim *claim;
	struct params *params;
	char *id, *option;
	void *priv;
	_Atomic enum device_stage stage;
	struct error detail; /* of the running step; "": none */
	struct log_limit log_limit;

	/* Fixed when realize() is over, before any thread runs. */
	enum device_access access;
	bool has_regs;
	pthread_mutex_t lock; /* DEVICE_LOCKED */

	/* The loop is made when something needs it, and its thread when it also resumed. */
	pthread_mutex_t loop_lock; /* the six below */
	pthread_cond_t loop_serves;
	struct loop *loop;
	pthread_t thread;
	bool resumed, has_thread, serving;
	LIST_HEAD(, device_defer) defers;

	/* Registrations, to be revoked. */
	LIST_HEAD(, device_region) regions;
	LIST_HEAD(, alcor_pci_function) functions;
	LIST_HEAD(, alcor_watch) watches;
	LIST_HEAD(, alcor_timer) timers;
	LIST_HEAD(, alcor_console_port) ports;
	LIST_HEAD(, device_property) properties;
	struct alcor_virtio_ops virtio_ops; /* full size */
	struct virtio_dev *virtio;
	struct virtio_pci *virtio_pci;
};

static inline struct device *device_of(struct alcor_dev *pub)
{
	return container_of(pub, struct device, pub);
}

/* --- device.c --- */

/* [main] What a service knows about its failure; the plugin's own words replace it. */
void device_set_detail(struct device *dev, const struct error *detail);
/* The same with a text; returns @err_no. */
int device_refuse(struct device *dev, int err_no, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* [any] 0 while @what may be registered, else logs and returns -EBUSY. */
int device_check_realize(struct device *dev, const char *what);

/* Copies a structure of the plugin's that starts with its size into a full one: what it lacks is
 * zero. */
static inline void device_copy_sized(void *to, size_t size, const void *from)
{
	uint32_t from_size = *(const uint32_t *)from;

	memset(to, 0, size);
	memcpy(to, from, MIN(size, from_size));
	*(uint32_t *)to = (uint32_t)size;
}

/* --- device_loop.c --- */

/* [any] The device's loop, made (and its thread started) if there is none. */
int device_loop(struct device *dev, struct loop **ret_loop);
/* [main] From here on the loop has a thread, now or when it is made. */
int device_loop_start(struct device *dev);
/* [main] Ends the thread; what was posted before has run. */
void device_loop_stop(struct device *dev);
/* [main] After all users are gone. */
void device_loop_free(struct device *dev);

/* [main] Runs @fn on the loop's thread when there is one, else here; waits. */
void device_call(struct device *dev, loop_fn *fn, void *opaque);
/* [any] Runs @cb on the loop, as a callback of the plugin. */
int device_defer(struct device *dev, void (*cb)(void *opaque), void *opaque);
/* [any] Whether the caller may touch watches and timers: it is the loop's thread, or none runs. */
bool device_on_loop(struct device *dev);

/* [any] Around callbacks that are not the virtio engine's: one at a time with register accesses. */
void device_enter(struct device *dev);
void device_leave(struct device *dev);

/* --- svc_io.c --- */

/* For regions whose opaque is a struct device_regs. */
extern const struct bus_ops device_bus_ops;
/* -EINVAL: not a usable table of callbacks. */
int device_regs_init(struct device_regs *regs, struct device *dev, const struct alcor_io_ops *ops,
		     void *opaque);

/* --- revocation, [main]: no vCPU and no loop thread runs --- */
void svc_io_revoke(struct device *dev);
void svc_pci_revoke(struct device *dev);
void svc_virtio_revoke(struct device *dev);
void svc_console_revoke(struct device *dev);
void svc_ctl_revoke(struct device *dev);
void svc_loop_revoke(struct device *dev);

#endif
