/* SPDX-License-Identifier: Apache-2.0 */
/* Ring addresses and sizes that cannot work, or that only just do. */
#include "hostile.h"
#include "lib/cpu.h"

enum part { DESC_AREA, DRIVER_AREA, DEVICE_AREA, ALL_AREAS };

struct place {
	const char *name;
	uint64_t addr;
	bool possible; /* RAM, though not aligned */
};

static const struct place places[] = {
	{ "unaligned_by_1", A_RING + 1, true },
	{ "unaligned_by_8", A_RING + 8, true },
	{ "beyond_ram", MEM_END },
	{ "crossing_ram_end", MEM_END - 2 },
	{ "far_beyond_ram", 1ull << 46 },
	{ "in_pci_hole", 0xa8000000 },
	{ "in_ecam", 0xe0000000 },
	{ "in_lapic", 0xfee00000 },
	{ "at_4g_end", 0xfffffff0 },
	{ "wrapping", ~0ull - 15 },
	{ "all_ones", ~0ull },
	{ "negative_page", ~0ull << 12 },
};

static void poke(struct vq *q)
{
	for (int i = 0; i < 2; i++) {
		vq_notify(q);
		delay_ms(1);
	}
}

/* The queue with its areas elsewhere, kicked: nothing is expected of it but peace. */
static const char *ring_at(unsigned int part, uint64_t addr)
{
	struct vq *q = &victim.q[0];

	virtio_negotiate(&victim.v, victim.want);
	if (part == DESC_AREA || part == ALL_AREAS)
		q->desc = addr;
	if (part == DRIVER_AREA || part == ALL_AREAS)
		q->driver = addr;
	if (part == DEVICE_AREA || part == ALL_AREAS)
		q->device = addr;
	vq_program(q);
	virtio_driver_ok(&victim.v);
	poke(q);
	return NULL;
}

static const char *misplaced(const void *arg)
{
	const struct place *p = arg;

	TRY(victim_open(0));
	for (unsigned int part = DESC_AREA; part <= ALL_AREAS; part++) {
		/* Something to find, where the rest of the rings is in order. */
		disk_submit(&victim, 0, 0, BLK_IN, 0, MEM_DATA, 512);
		TRY(ring_at(part, p->addr));
		/* A driver has to learn that such a queue will never answer. */
		CHECK(p->possible || arg_qemu() ||
			      !mmio_read16(victim.v.common + VC_QUEUE_ENABLE) ||
			      virtio_status(&victim.v) & STATUS_NEEDS_RESET,
		      "area %u: queue_enable reads 1 and the status 0x%x", part,
		      virtio_status(&victim.v));
		TRY(victim_open(0));
	}
	return NULL;
}

/* In the registers that the ring's own doorbell belongs to. */
static const char *ring_in_own_bar(void)
{
	for (unsigned int part = DESC_AREA; part <= ALL_AREAS; part++)
		TRY(ring_at(part, victim.v.common & ~0xfffull));
	return ring_at(DEVICE_AREA, victim.v.notify & ~0xfffull);
}

/* All three areas in one place: what the device writes is what it reads next. */
static const char *areas_overlap(void)
{
	memset((void *)A_RING, 0, 0x10000);
	TRY(ring_at(ALL_AREAS, A_RING));
	for (uint32_t i = 0; i < 0x1000; i += 8)
		mmio_write64(A_RING + i, 0x0001000100020001ull * (i + 1));
	poke(&victim.q[0]);
	return NULL;
}

/* The descriptor table is what the request writes its data to. */
static const char *data_into_own_ring(void)
{
	struct vq *q = &victim.q[0];

	for (int i = 0; i < 4; i++) {
		disk_submit(&victim, 0, i, BLK_IN, i, i & 1 ? q->desc : q->device & ~1ull, 1024);
		vq_notify(q);
		delay_ms(1);
	}
	return NULL;
}

/* The last bytes of RAM belong to RAM: rings that end there work. */
static const char *rings_at_ram_end(void)
{
	static const uint32_t keep = 0x4000;
	uint64_t top = MEM_END - keep;
	struct vq *q = &victim.q[0];
	const char *reason;

	memcpy((void *)A_RING, (void *)top, keep);
	memset((void *)top, 0, keep);
	virtio_negotiate(&victim.v, victim.want);
	q->desc = q->packed ? MEM_END - QUEUE_SIZE * 16 : top;
	q->driver = top + 0x1000;
	/* Flags, index, the ring and avail_event are 6 + 8 * size bytes, aligned to 4 (2.7). */
	q->device = q->packed ? top + 0x2000 : MEM_END - 8 - QUEUE_SIZE * 8;
	q->last_used = q->next = q->avail = 0;
	q->wrap = q->used_wrap = true;
	vq_program(q);
	virtio_driver_ok(&victim.v);
	reason = victim_alive();
	virtio_reset(&victim.v);
	memcpy((void *)top, (void *)A_RING, keep);
	return reason;
}

static const char *bad_sizes(void)
{
	static const uint16_t sizes[] = { 0, 3, 63, 1023, 1025, 2048, 0x7fff, 0x8000, 0xffff };
	struct vq *q = &victim.q[0];

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		virtio_negotiate(&victim.v, victim.want);
		q->size = sizes[i];
		vq_program(q);
		virtio_driver_ok(&victim.v);
		mmio_write16(q->driver + 2, 1);
		poke(q);
	}
	return NULL;
}

/* Size 1 and 2 are allowed, if of little use: a chain of three must not fit. */
static const char *small_sizes(void)
{
	struct vq *q = &victim.q[0];

	for (uint16_t size = 1; size <= 2; size++) {
		TRY(victim_open(0));
		attack_buffers(BLK_IN, 0);
		*victim_desc(0) = (struct desc){ A_HDR, 16, DESC_NEXT, 1 };
		*victim_desc(1) = (struct desc){ A_DATA, 512, DESC_NEXT | DESC_WRITE, 2 };
		*victim_desc(2) = (struct desc){ A_STATUS, 1, DESC_WRITE, 0 };
		virtio_negotiate(&victim.v, victim.want);
		q->size = size;
		vq_program(q);
		virtio_driver_ok(&victim.v);
		if (!q->packed)
			vq_post_split(q, 0);
		poke(q);
	}
	return NULL;
}

/* Never programmed at all. */
static const char *enabled_without_addresses(void)
{
	virtio_negotiate(&victim.v, victim.want);
	virtio_select(&victim.v, 0);
	mmio_write16(victim.v.common + VC_QUEUE_ENABLE, 1);
	virtio_driver_ok(&victim.v);
	poke(&victim.q[0]);
	return NULL;
}

void ring_cases(case_fn *each)
{
	static const struct action actions[] = {
		{ "ring_in_own_bar", ring_in_own_bar },
		{ "ring_areas_overlap", areas_overlap },
		{ "ring_receives_data", data_into_own_ring },
		{ "rings_at_ram_end", rings_at_ram_end },
		{ "ring_bad_sizes", bad_sizes },
		{ "ring_small_sizes", small_sizes },
		{ "ring_enabled_without_addresses", enabled_without_addresses },
	};
	static char name[64] = "ring_";

	for (unsigned int i = 0; i < ARRAY_SIZE(places); i++) {
		memcpy(name + 5, places[i].name, strlen(places[i].name) + 1);
		each(&(struct test_case){ name, misplaced, &places[i] });
	}
	each_action(actions, ARRAY_SIZE(actions), each);
}
