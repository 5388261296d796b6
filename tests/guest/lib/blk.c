/* SPDX-License-Identifier: Apache-2.0 */
#include "blk.h"
#include "cpu.h"
#include "test.h"

enum { VIRTIO_ID_BLOCK = 2, AREA_HEADERS = 0x200000, AREA_STATUS = 0x280000, WAIT_MS = 3000 };

static const char *disk_start(struct disk *d, unsigned int queues)
{
	if (!virtio_negotiate(&d->v, d->want))
		return fail("disk %u: negotiation failed, status 0x%x", d->number,
			    virtio_status(&d->v));
	d->indirect = d->v.features & F_INDIRECT;
	d->sectors = mmio_read32(d->v.config) | (uint64_t)mmio_read32(d->v.config + 4) << 32;
	for (d->queues = 0; d->queues < queues; d->queues++)
		if (!vq_setup(&d->q[d->queues], &d->v, d->queues, d->size,
			      d->area + d->queues * VQ_AREA))
			return fail("disk %u: no queue %u of size %u", d->number, d->queues,
				    d->size);
	if (d->interrupts) {
		virtio_select(&d->v, 0);
		mmio_write16(d->v.common + VC_QUEUE_MSIX, d->entry);
	}
	virtio_driver_ok(&d->v);
	return NULL;
}

const char *disk_open(struct disk *d, unsigned int number, uint64_t want, uint16_t size,
		      unsigned int queues)
{
	if (!d->found && !virtio_find(VIRTIO_ID_BLOCK, number, &d->v))
		return fail("disk %u: not found", number);
	d->found = true;
	d->number = number;
	d->area = MEM_DISKS + number * DISK_AREA;
	d->want = want;
	d->size = size;
	return disk_start(d, queues);
}

const char *disk_reopen(struct disk *d)
{
	return disk_start(d, d->queues);
}

struct blk_header *disk_header(const struct disk *d, unsigned int slot)
{
	return (struct blk_header *)(d->area + AREA_HEADERS) + slot % DISK_SLOTS;
}

volatile uint8_t *disk_status(const struct disk *d, unsigned int slot)
{
	return (volatile uint8_t *)(d->area + AREA_STATUS) + slot % DISK_SLOTS;
}

int disk_submit(struct disk *d, unsigned int queue, unsigned int slot, uint32_t type,
		uint64_t sector, uint64_t buf, uint32_t len)
{
	struct sg sg[3] = {
		{ (uint64_t)disk_header(d, slot), sizeof(struct blk_header), false },
		{ buf, len, type == BLK_IN || type == BLK_GET_ID },
		{ (uint64_t)disk_status(d, slot), 1, true },
	};

	*disk_header(d, slot) = (struct blk_header){ .type = type, .sector = sector };
	*disk_status(d, slot) = 0xee;
	if (!len)
		sg[1] = sg[2];
	return vq_add(&d->q[queue], sg, len ? 3 : 2, d->indirect);
}

int disk_io(struct disk *d, uint32_t type, uint64_t sector, uint64_t buf, uint32_t len)
{
	int id = disk_submit(d, 0, 0, type, sector, buf, len);
	uint64_t end = deadline_ms(WAIT_MS);
	uint32_t used_id, used_len;

	if (id < 0)
		return -1;
	vq_kick(&d->q[0]);
	/* Completions of earlier requests, that a test has left behind, may come first. */
	do {
		if (!vq_wait(&d->q[0], WAIT_MS, &used_id, &used_len))
			return -1;
	} while (used_id != (uint32_t)id && !passed(end));
	return *disk_status(d, 0);
}

uint64_t pattern_word(unsigned int disk, uint64_t sector, unsigned int word)
{
	return (uint64_t)(disk + 1) << 56 | sector << 8 | word;
}

void pattern_fill(unsigned int disk, uint64_t sector, unsigned int sectors, uint64_t buf)
{
	uint64_t *p = (uint64_t *)buf;

	for (unsigned int i = 0; i < sectors * 64; i++)
		*p++ = pattern_word(disk, sector + i / 64, i % 64);
}

bool pattern_ok(unsigned int disk, uint64_t sector, unsigned int sectors, uint64_t buf)
{
	const volatile uint64_t *p = (const volatile uint64_t *)buf;

	for (unsigned int i = 0; i < sectors * 64; i++)
		if (*p++ != pattern_word(disk, sector + i / 64, i % 64))
			return false;
	return true;
}

const char *disk_verify(struct disk *d, uint64_t sector, unsigned int sectors, uint64_t buf)
{
	int status;

	memset((void *)buf, 0, sectors * 512);
	status = disk_io(d, BLK_IN, sector, buf, sectors * 512);
	if (status)
		return fail("disk %u: read of sector %lu: status %d", d->number, sector, status);
	if (!pattern_ok(d->number, sector, sectors, buf))
		return fail("disk %u: sector %lu has other data", d->number, sector);
	return NULL;
}
