/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X (PCI 3.0 6.8.2). A vector is an eventfd. While it may interrupt, the hypervisor has the
 * eventfd as an irqfd; else nobody reads it and its counter is the pending bit. So signalling is
 * one write() whatever the state, and no signal falls between two states: what is in the counter
 * when the hypervisor takes the eventfd over is written again, and what it saw it has injected when
 * it gives the eventfd up.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bus/pci_internal.h"
#include "util/cleanup.h"
#include "util/overflow.h"

#define MSIX_ENTRY_SIZE	   16
#define MSIX_ENTRY_MASKED  (1u << 0)
#define MSIX_CONTROL_MASK  (1u << 14)
#define MSIX_CONTROL_ON	   (1u << 15)
#define MSIX_VECTOR_GROUPS (PCI_MSIX_MAX / 64)

struct msix_vector {
	_Atomic int fd; /* -1 until first used */
	uint64_t addr;
	uint32_t data;
	bool masked;
	bool open; /* neither the vector nor the function is masked, MSI-X is on */
	bool tied; /* fd is an irqfd; unless that failed, the same as open */
	bool has_gsi, routed;
	uint32_t gsi;
};

struct msix {
	struct pci_fn *fn;
	struct hv_vm *hv; /* NULL: nobody to interrupt */
	pthread_mutex_t lock;
	_Atomic bool enabled;
	bool function_masked;
	uint16_t n;
	struct msix_vector vectors[];
};

uint64_t pci_msix_bytes(uint16_t n_vectors)
{
	uint64_t pending = align_up(n_vectors, 64) / 8;

	return align_up((uint64_t)n_vectors * MSIX_ENTRY_SIZE + pending, 4096);
}

static void vector_reset(struct msix_vector *vector)
{
	vector->addr = 0;
	vector->data = 0;
	vector->masked = true;
	vector->routed = false;
}

int msix_new(struct pci_fn *fn, uint16_t n_vectors, struct msix **ret_msix)
{
	struct msix *msix = calloc(1, sizeof(*msix) + n_vectors * sizeof(msix->vectors[0]));
	unsigned i;

	if (!msix)
		return -ENOMEM;
	msix->fn = fn;
	msix->hv = fn->root->config.hv;
	msix->n = n_vectors;
	pthread_mutex_init(&msix->lock, NULL);
	for (i = 0; i < n_vectors; i++) {
		msix->vectors[i].fd = -1;
		vector_reset(&msix->vectors[i]);
	}
	*ret_msix = msix;
	return 0;
}

/* --- one vector; msix->lock is held --- */

static int vector_fd(struct msix_vector *vector)
{
	int fd = vector->fd;

	if (fd >= 0)
		return fd;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	vector->fd = fd;
	return fd;
}

static void send(int fd)
{
	uint64_t one = 1;

	/* Fails only when the counter is full: the vector is signalled already. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

/* True when there was something. */
static bool drain(struct msix_vector *vector)
{
	uint64_t count;

	return vector->fd >= 0 && read(vector->fd, &count, sizeof(count)) == sizeof(count);
}

static int route(struct msix *msix, struct msix_vector *vector)
{
	int err;

	if (!vector->has_gsi) {
		err = hv_gsi_alloc(msix->hv, &vector->gsi);
		if (err)
			return err;
		vector->has_gsi = true;
	}
	if (vector->routed)
		return 0;
	err = hv_msi_route(msix->hv, vector->gsi, vector->addr, vector->data);
	vector->routed = !err;
	return err;
}

static int tie(struct msix *msix, struct msix_vector *vector)
{
	int fd = vector_fd(vector), err;
	bool pending;

	if (fd < 0)
		return fd;
	err = route(msix, vector);
	if (err)
		return err;
	/* What was pending is sent again once tied, so that it interrupts once, whether or not the
	 * hypervisor looks at the counter. The same for what came between: at worst twice. */
	pending = drain(vector);
	err = hv_irqfd(msix->hv, fd, vector->gsi, true);
	vector->tied = !err;
	pending |= drain(vector);
	if (pending)
		send(fd);
	return err;
}

static void untie(struct msix *msix, struct msix_vector *vector)
{
	if (vector->tied)
		hv_irqfd(msix->hv, vector->fd, vector->gsi, false);
	vector->tied = false;
}

static void complain(struct msix *msix, struct msix_vector *vector, int err)
{
	log_limited(&msix->fn->root->log_limit, LOG_WARN, "%s: MSI-X vector %u is dead: %s",
		    msix->fn->owner, (unsigned)(vector - msix->vectors), strerror(-err));
}

/* True when the vector was opened or closed. */
static bool vector_apply(struct msix *msix, struct msix_vector *vector)
{
	bool open = msix->enabled && !msix->function_masked && !vector->masked;
	int err = 0;

	if (open == vector->open)
		return false;
	vector->open = open;
	if (!msix->hv)
		return true;
	if (open)
		err = tie(msix, vector);
	else
		untie(msix, vector);
	if (err)
		complain(msix, vector, err);
	return true;
}

static void tell_changed(struct msix *msix, uint16_t index)
{
	const struct pci_fn *fn = msix->fn;

	if (fn->ops && fn->ops->vector_changed)
		fn->ops->vector_changed(fn->opaque, index);
}

/* --- control word --- */

void msix_control(struct msix *msix, uint16_t control)
{
	uint64_t changed[MSIX_VECTOR_GROUPS] = { 0 };
	bool enable = control & MSIX_CONTROL_ON;
	unsigned i;

	pthread_mutex_lock(&msix->lock);
	/* Signals from before do not count. */
	for (i = 0; enable && !msix->enabled && i < msix->n; i++)
		drain(&msix->vectors[i]);
	msix->enabled = enable;
	msix->function_masked = control & MSIX_CONTROL_MASK;
	for (i = 0; i < msix->n; i++)
		if (vector_apply(msix, &msix->vectors[i]))
			changed[i / 64] |= 1ull << i % 64;
	pthread_mutex_unlock(&msix->lock);

	for (i = 0; i < msix->n; i++)
		if (changed[i / 64] & 1ull << i % 64)
			tell_changed(msix, (uint16_t)i);
}

void msix_reset(struct msix *msix)
{
	unsigned i;

	msix_control(msix, 0);
	LOCK_SCOPE(&msix->lock);
	for (i = 0; i < msix->n; i++) {
		vector_reset(&msix->vectors[i]);
		drain(&msix->vectors[i]);
	}
}

void msix_free(struct msix *msix)
{
	unsigned i;

	if (!msix)
		return;
	for (i = 0; i < msix->n; i++) {
		struct msix_vector *vector = &msix->vectors[i];

		untie(msix, vector);
		if (vector->has_gsi)
			hv_gsi_free(msix->hv, vector->gsi);
		if (vector->fd >= 0)
			close(vector->fd);
	}
	pthread_mutex_destroy(&msix->lock);
	free(msix);
}

/* --- table and pending bits --- */

static uint32_t entry_get(const struct msix_vector *vector, unsigned field)
{
	switch (field) {
	case 0:
		return (uint32_t)vector->addr;
	case 4:
		return (uint32_t)(vector->addr >> 32);
	case 8:
		return vector->data;
	default:
		return vector->masked ? MSIX_ENTRY_MASKED : 0;
	}
}

static void entry_set(struct msix_vector *vector, unsigned field, uint32_t value)
{
	switch (field) {
	case 0: /* bits 1:0 are always 0 */
		vector->addr = (vector->addr & ~0xffffffffull) | (value & ~3u);
		break;
	case 4:
		vector->addr = (vector->addr & 0xffffffff) | (uint64_t)value << 32;
		break;
	case 8:
		vector->data = value;
		break;
	default:
		vector->masked = value & MSIX_ENTRY_MASKED;
	}
}

/* Pending bits of up to 64 vectors from @first on. */
static uint64_t pending_bits(struct msix *msix, unsigned first, unsigned n)
{
	struct pollfd fds[64];
	uint64_t bits = 0;
	unsigned i;

	if (first >= msix->n || !msix->enabled)
		return 0;
	n = MIN(n, msix->n - first);
	for (i = 0; i < n; i++) {
		const struct msix_vector *vector = &msix->vectors[first + i];

		fds[i] = (struct pollfd){ .fd = vector->open ? -1 : vector->fd, .events = POLLIN };
	}
	if (poll(fds, n, 0) <= 0)
		return 0;
	for (i = 0; i < n; i++)
		if (fds[i].revents & POLLIN)
			bits |= 1ull << i;
	return bits;
}

static bool access_valid(uint64_t offset, uint32_t size)
{
	return (size == 4 || size == 8) && offset % size == 0;
}

uint64_t msix_read(struct msix *msix, uint64_t offset, uint32_t size)
{
	uint64_t table_bytes = (uint64_t)msix->n * MSIX_ENTRY_SIZE, value;
	const struct msix_vector *vector;
	unsigned field = offset % MSIX_ENTRY_SIZE;

	if (!access_valid(offset, size))
		return UINT64_MAX;
	LOCK_SCOPE(&msix->lock);
	if (offset >= table_bytes)
		return pending_bits(msix, (unsigned)(offset - table_bytes) * 8, size * 8);
	vector = &msix->vectors[offset / MSIX_ENTRY_SIZE];
	value = entry_get(vector, field);
	if (size == 8)
		value |= (uint64_t)entry_get(vector, field + 4) << 32;
	return value;
}

static bool entry_write(struct msix *msix, struct msix_vector *vector, unsigned field,
			uint32_t size, uint64_t value)
{
	uint64_t addr = vector->addr;
	uint32_t data = vector->data;
	int err;

	entry_set(vector, field, (uint32_t)value);
	if (size == 8)
		entry_set(vector, field + 4, (uint32_t)(value >> 32));
	if (vector->addr != addr || vector->data != data) {
		vector->routed = false;
		err = vector->tied ? route(msix, vector) : 0;
		if (err)
			complain(msix, vector, err);
	}
	return vector_apply(msix, vector);
}

void msix_write(struct msix *msix, uint64_t offset, uint32_t size, uint64_t value)
{
	uint64_t index = offset / MSIX_ENTRY_SIZE;
	bool changed;

	if (!access_valid(offset, size) || index >= msix->n)
		return;
	pthread_mutex_lock(&msix->lock);
	changed = entry_write(msix, &msix->vectors[index], offset % MSIX_ENTRY_SIZE, size, value);
	pthread_mutex_unlock(&msix->lock);
	if (changed)
		tell_changed(msix, (uint16_t)index);
}

/* --- the function's side --- */

int pci_msix_eventfd(struct pci_fn *fn, uint16_t vector)
{
	struct msix *msix = fn->msix;
	int fd;

	if (!msix || vector >= msix->n)
		return -1;
	fd = msix->vectors[vector].fd;
	if (fd >= 0)
		return fd;
	LOCK_SCOPE(&msix->lock);
	fd = vector_fd(&msix->vectors[vector]);
	if (fd < 0) {
		complain(msix, &msix->vectors[vector], fd);
		return -1;
	}
	return fd;
}

void pci_msix_signal(struct pci_fn *fn, uint16_t vector)
{
	int fd;

	if (!fn->msix || !fn->msix->enabled)
		return;
	fd = pci_msix_eventfd(fn, vector);
	if (fd >= 0)
		send(fd);
}
