/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fake host, for tests of plugins: loads the shared object as the program does, gives it service
 * tables that record what it asks for, and lets the test play the guest, the driver and the user.
 *
 * Everything runs on the thread of the test: "the loop" turns while alcor_fake_turn() or
 * alcor_fake_wait() runs. Services tagged [any] may be called from threads of the plugin.
 * Where a plugin breaks a rule of the ABI, the test program ends with a message.
 */
#ifndef ALCOR_SDK_TESTING_ALCOR_TESTING_H
#define ALCOR_SDK_TESTING_ALCOR_TESTING_H

#include <pthread.h>
#include <stdbool.h>

#include <alcor/acpi.h>
#include <alcor/cfg.h>
#include <alcor/console.h>
#include <alcor/ctl.h>
#include <alcor/io.h>
#include <alcor/loop.h>
#include <alcor/mem.h>
#include <alcor/pci.h>
#include <alcor/plugin.h>
#include <alcor/virtio.h>
#include <alcor/vm.h>

#define ALCOR_FAKE_QUEUES     64
#define ALCOR_FAKE_PARAMS     32
#define ALCOR_FAKE_GSIS	      32
#define ALCOR_FAKE_PORTS      8
#define ALCOR_FAKE_PROPERTIES 32
#define ALCOR_FAKE_RAM	      (64ull << 20) /* bytes, at guest address 0 */

struct alcor_fake_posted;
struct alcor_fake_request;

struct alcor_fake_value {
	const struct alcor_param *param; /* NULL: free */
	uint32_t count;
	char text[1024]; /* those of a repeatable parameter one behind the other, NUL between */
	uint64_t number;
};

struct alcor_fake_region {
	uint64_t base, len; /* len 0: none */
	const struct alcor_io_ops *ops;
	void *opaque;
};

struct alcor_console_port {
	struct alcor_fake *fake;
	const struct alcor_console_ops *ops;
	void *opaque;
	bool open, blocked;
	int in_fd, out_fd;
};

struct alcor_fake_property {
	struct alcor_ctl_property desc;
	void *opaque;
};

/* A request as the driver sees it. */
struct alcor_fake_request {
	struct alcor_vreq vreq; /* the plugin's, until done or dropped */
	struct alcor_fake_request *next;
	struct iovec *out, *in;
	bool taken;   /* popped */
	bool pushed;  /* completed, perhaps not visible yet */
	bool done;    /* the driver sees it: pushed and flushed */
	bool dropped; /* given up by a queue_stop() */
	uint32_t written;
	unsigned order; /* 1 for the first request pushed, 2, 3, ... */
};

struct alcor_vq {
	struct alcor_fake *fake;
	uint16_t index;
	bool kicked;
	struct alcor_fake_request *requests; /* in the order of submission */
	uint32_t unflushed, in_flight;
};

/* Members above the line are for tests to read. */
struct alcor_fake {
	struct alcor_dev dev; /* first */
	const struct alcor_plugin *plugin;
	const struct alcor_claim *claim;
	void *priv;
	char error[512]; /* last alcor_error() */
	char log[512];	 /* last alcor_log() */
	uint32_t log_level;
	unsigned n_logs;

	struct alcor_virtio_desc virtio_desc;
	uint8_t config[256];
	bool virtio_added, virtio_active, virtio_needs_reset;
	unsigned n_flushes; /* of used rings: an upper bound of the interrupts */

	char output[65536]; /* what the console port took, NUL behind it */
	uint32_t output_len;
	uint32_t output_room; /* bytes that write() still takes; set by the test */
	unsigned n_writes;
	unsigned n_input_ready;

	int irq_level[ALCOR_FAKE_GSIS];
	unsigned irq_calls;
	unsigned n_events;
	uint32_t last_event;
	unsigned n_acpi_nodes;
	struct alcor_acpi_node acpi_node;
	struct alcor_pci_desc pci_desc;
	struct alcor_fake_region pio, mmio, bars[6];
	struct alcor_console_port console;		   /* the first that was opened */
	struct alcor_console_port ports[ALCOR_FAKE_PORTS]; /* others, on descriptors */
	struct alcor_fake_property properties[ALCOR_FAKE_PROPERTIES];
	unsigned n_properties;
	uint8_t *ram;	     /* guest memory, ALCOR_FAKE_RAM bytes */
	unsigned n_discards; /* ranges */
	int discard_result;  /* set by the test: what discard() answers instead */

	/* ---- */
	struct alcor_host host;
	struct alcor_fake_value values[ALCOR_FAKE_PARAMS];
	struct alcor_vq vqs[ALCOR_FAKE_QUEUES];
	void *pci_opaque;
	unsigned n_pushed;
	pthread_mutex_t lock; /* over what [any] services change */
	struct alcor_timer *timers;
	struct alcor_watch *watches;
	struct alcor_fake_posted *posted, **posted_tail;
	int epoll_fd, wake_fd;
};

/* Loads the plugin at @path and picks the claim "class/keyword". Ends the program on failure. */
struct alcor_fake *alcor_fake_new(const char *path, const char *claim);
/* Destroys the device, from any stage. NULL is fine. */
void alcor_fake_free(struct alcor_fake *fake);

/* create() with "key=value,key=value"; what is wrong with these is -EINVAL with the text in
 * fake->error, as from the plugin. */
int alcor_fake_create(struct alcor_fake *fake, const char *params);
int alcor_fake_realize(struct alcor_fake *fake);
void alcor_fake_destroy(struct alcor_fake *fake);
void alcor_fake_reset(struct alcor_fake *fake, uint32_t kind);
int alcor_fake_resume(struct alcor_fake *fake);
int alcor_fake_pause(struct alcor_fake *fake);

/* Waits up to @ms for something to do, and does what is ready. */
void alcor_fake_turn(struct alcor_fake *fake, int ms);
/* Turns until *@flag is set: false after ten seconds. */
bool alcor_fake_wait(struct alcor_fake *fake, const bool *flag);

/* The driver's side of a virtio device. */
int alcor_fake_activate(struct alcor_fake *fake, uint64_t features);
/* Adds a request; memory of the lists is the test's, and stays. Requests are freed with @fake. */
struct alcor_fake_request *alcor_fake_submit(struct alcor_fake *fake, uint16_t queue,
					     const struct iovec *out, uint32_t n_out,
					     const struct iovec *in, uint32_t n_in);
void alcor_fake_notify(struct alcor_fake *fake, uint16_t queue);
void alcor_fake_queue_stop(struct alcor_fake *fake, uint16_t queue);
/* Device reset: queue_stop() for each queue, then deactivate(). */
void alcor_fake_deactivate(struct alcor_fake *fake);

/* The guest's side of registers: all ones where there is none. */
uint64_t alcor_fake_read(struct alcor_fake_region *region, uint64_t addr, uint32_t size);
void alcor_fake_write(struct alcor_fake_region *region, uint64_t addr, uint32_t size,
		      uint64_t value);

/* The user's side of a console. */
uint32_t alcor_fake_input(struct alcor_fake *fake, const char *text, uint32_t len);
void alcor_fake_break(struct alcor_fake *fake);
/* Gives room for @len bytes, and tells a port that waits for it. */
void alcor_fake_output_room(struct alcor_fake *fake, uint32_t len);

/* Bytes of [gpa, gpa + len) of guest memory that the host has pages for. */
uint64_t alcor_fake_resident(struct alcor_fake *fake, uint64_t gpa, uint64_t len);

/* The user's side of a property. -ENOENT, -EPERM, -ERANGE, or what the plugin answers. */
int alcor_fake_get(struct alcor_fake *fake, const char *name, struct alcor_ctl_value *ret_value);
int alcor_fake_set(struct alcor_fake *fake, const char *name, const struct alcor_ctl_value *value);

/* Whether the manual page at @path has every keyword, parameter, default and choice of the
 * plugin's tables; says on stderr what is missing. */
bool alcor_fake_manual_complete(const struct alcor_plugin *plugin, const char *path);

/* Inside the library. */
struct alcor_fake *alcor_fake_of(struct alcor_dev *dev);
void alcor_fake_wake(struct alcor_fake *fake);
void alcor_fake_loop_init(struct alcor_fake *fake);
void alcor_fake_loop_fini(struct alcor_fake *fake);
void alcor_fake_virtio_fini(struct alcor_fake *fake);
void alcor_fake_mem_init(struct alcor_fake *fake);
void alcor_fake_mem_fini(struct alcor_fake *fake);
bool alcor_fake_virtio_turn(struct alcor_fake *fake);
__attribute__((noreturn, format(printf, 1, 2))) void alcor_fake_die(const char *fmt, ...);
extern const struct alcor_cfg alcor_fake_cfg;
extern const struct alcor_loop alcor_fake_loop;
extern const struct alcor_virtio alcor_fake_virtio;
extern const struct alcor_console alcor_fake_console;
extern const struct alcor_pci alcor_fake_pci;
extern const struct alcor_io alcor_fake_io;
extern const struct alcor_vm alcor_fake_vm;
extern const struct alcor_acpi alcor_fake_acpi;
extern const struct alcor_mem alcor_fake_mem;
extern const struct alcor_ctl alcor_fake_ctl;

#endif
