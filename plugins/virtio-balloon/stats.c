/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics of the guest (5.5.6.3): the driver's buffer is held, and returned to ask for new ones. */
#include "balloon.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <time.h>

/* Entries that are looked at; there are sixteen tags so far. */
#define ENTRIES_MAX 64
#define NS_PER_S    1000000000ull
#define INDEX_AGE   BALLOON_N_STATS

struct entry {
	uint16_t tag; /* little endian, as the value */
	uint64_t value;
} __attribute__((packed));

/* In the order of their tags. */
static const struct {
	const char *name, *help;
	uint32_t type;
} kinds[BALLOON_N_STATS + 1] = {
	{ "swap-in", "memory the guest swapped in", ALCOR_PARAM_SIZE },
	{ "swap-out", "memory the guest swapped out", ALCOR_PARAM_SIZE },
	{ "major-faults", "page faults of the guest with disk access", ALCOR_PARAM_U64 },
	{ "minor-faults", "page faults of the guest without disk access", ALCOR_PARAM_U64 },
	{ "free", "memory the guest does not use at all", ALCOR_PARAM_SIZE },
	{ "total", "memory the guest has", ALCOR_PARAM_SIZE },
	{ "available", "memory the guest can use without swapping", ALCOR_PARAM_SIZE },
	{ "disk-caches", "memory the guest can reclaim from caches", ALCOR_PARAM_SIZE },
	{ "hugetlb-allocations", "huge pages the guest allocated", ALCOR_PARAM_U64 },
	{ "hugetlb-failures", "huge pages the guest failed to allocate", ALCOR_PARAM_U64 },
	[INDEX_AGE] = { "stats-age", "seconds since the guest gave these", ALCOR_PARAM_U64 },
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* --- properties --- */

static int stats_get(void *opaque, uint64_t index, struct alcor_ctl_value *ret_value)
{
	const struct balloon *balloon = opaque;
	const struct balloon_stats *stats = &balloon->stats;

	if (!stats->time_ns)
		return -ENODATA;
	if (index == INDEX_AGE) {
		ret_value->number = (now_ns() - stats->time_ns) / NS_PER_S;
		return 0;
	}
	if (!(stats->valid >> index & 1))
		return -ENODATA;
	ret_value->number = stats->values[index];
	return 0;
}

static int add_properties(struct balloon *balloon)
{
	int ret = 0;

	for (uint32_t i = 0; i <= INDEX_AGE && !ret; i++) {
		struct alcor_ctl_property property = {
			.struct_size = sizeof(property),
			.type = kinds[i].type,
			.name = kinds[i].name,
			.help = kinds[i].help,
			.index = i,
			.get = stats_get,
		};

		ret = balloon->ctl->add(balloon->dev, &property, balloon);
	}
	return ret;
}

/* --- the queue --- */

static void give_back(struct balloon *balloon)
{
	struct alcor_vreq *req = balloon->stats.held;
	struct alcor_vq *vq;

	if (!req)
		return;
	vq = req->vq;
	balloon->stats.held = NULL;
	balloon->virtio->push(req, 0);
	balloon->virtio->flush(vq);
}

/* A driver that is late is not asked again before it has answered. */
static void ask(void *opaque)
{
	struct balloon *balloon = opaque;

	if (!balloon->active || balloon->paused)
		return;
	give_back(balloon);
	balloon->loop->arm(balloon->stats.timer, balloon->stats.interval_ns);
}

/* Whole entries at the start of the readable part; the rest is ignored. */
static uint32_t copy_entries(const struct alcor_vreq *req, struct entry ret_entries[ENTRIES_MAX])
{
	size_t done = 0, max = ENTRIES_MAX * sizeof(ret_entries[0]);

	for (uint32_t i = 0; i < req->n_out && done < max; i++) {
		size_t n = req->out[i].iov_len < max - done ? req->out[i].iov_len : max - done;

		memcpy((char *)ret_entries + done, req->out[i].iov_base, n);
		done += n;
	}
	return (uint32_t)(done / sizeof(ret_entries[0]));
}

void stats_take(struct balloon *balloon, struct alcor_vreq *req)
{
	struct balloon_stats *stats = &balloon->stats;
	struct entry entries[ENTRIES_MAX];
	uint32_t n = copy_entries(req, entries);

	give_back(balloon);
	stats->held = req;
	stats->valid = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint16_t tag = le16toh(entries[i].tag);

		/* 5.5.6.4: unknown tags are ignored. */
		if (tag >= BALLOON_N_STATS)
			continue;
		stats->values[tag] = le64toh(entries[i].value);
		stats->valid |= 1u << tag;
	}
	stats->time_ns = now_ns();
}

/* --- life --- */

int stats_realize(struct balloon *balloon)
{
	int ret;

	if (!balloon->stats.interval_ns)
		return 0;
	ret = balloon->loop->timer(balloon->dev, ask, balloon, &balloon->stats.timer);
	return ret ? ret : add_properties(balloon);
}

void stats_start(struct balloon *balloon)
{
	if (balloon->stats.timer)
		balloon->loop->arm(balloon->stats.timer, balloon->stats.interval_ns);
}

void stats_stop(struct balloon *balloon)
{
	if (balloon->stats.timer)
		balloon->loop->arm(balloon->stats.timer, 0);
	balloon->stats.valid = 0;
	balloon->stats.time_ns = 0;
}
