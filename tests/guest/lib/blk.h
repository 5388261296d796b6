/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_LIB_BLK_H
#define GUEST_LIB_BLK_H

#include "virtio.h"

/* Physical memory by use; a guest has 128 MiB. */
enum {
	MEM_DISKS = 0x1000000, /* DISK_AREA for each disk */
	MEM_ATTACK = 0x2000000,
	MEM_DATA = 0x3000000,
	MEM_SPARE = 0x5000000,
	MEM_END = 0x8000000,
};

enum { DISK_AREA = 0x400000, DISK_QUEUES = 8, DISK_SLOTS = 4096 };

enum { BLK_IN = 0, BLK_OUT = 1, BLK_FLUSH = 4, BLK_GET_ID = 8, BLK_DISCARD = 11, BLK_ZEROES = 13 };
enum { BLK_OK, BLK_IOERR, BLK_UNSUPP };

#define BLK_F_SIZE_MAX (1ull << 1)
#define BLK_F_SEG_MAX  (1ull << 2)
#define BLK_F_RO       (1ull << 5)
#define BLK_F_FLUSH    (1ull << 9)
#define BLK_F_MQ       (1ull << 12)
#define BLK_F_DISCARD  (1ull << 13)
#define BLK_F_ZEROES   (1ull << 14)
#define BLK_F_RANGES   (BLK_F_DISCARD | BLK_F_ZEROES)
#define BLK_F_ALL      (BLK_F_SEG_MAX | BLK_F_RO | BLK_F_FLUSH | BLK_F_MQ | BLK_F_RANGES)
#define RING_F_ALL     (F_INDIRECT | F_EVENT_IDX | F_PACKED | F_RING_RESET)

struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};

struct blk_range {
	uint64_t sector;
	uint32_t sectors, flags;
};

struct disk {
	struct virtio_dev v;
	struct vq q[DISK_QUEUES];
	unsigned int number, queues;
	uint64_t area, sectors, want;
	uint16_t size;
	bool found, indirect;
	/* Queue 0 interrupts by that MSI-X entry, which the caller has set. */
	bool interrupts;
	uint16_t entry;
};

/*
 * Disk @number of the VM, reset and ready with @queues queues of @size entries (0: the maximum).
 * @want: features to take when offered; indirect descriptors are used when taken.
 */
const char *disk_open(struct disk *d, unsigned int number, uint64_t want, uint16_t size,
		      unsigned int queues);
/* The same once more: what a driver does after DEVICE_NEEDS_RESET. */
const char *disk_reopen(struct disk *d);

struct blk_header *disk_header(const struct disk *d, unsigned int slot);
volatile uint8_t *disk_status(const struct disk *d, unsigned int slot);
/* Submits without waiting; the header and status of @slot are used. The id, or -1. */
int disk_submit(struct disk *d, unsigned int queue, unsigned int slot, uint32_t type,
		uint64_t sector, uint64_t buf, uint32_t len);
/* One request on queue 0, waited for: its status, or -1 when none came. */
int disk_io(struct disk *d, uint32_t type, uint64_t sector, uint64_t buf, uint32_t len);

/* The pattern that fills the lower half of every disk, and that the guests write. */
uint64_t pattern_word(unsigned int disk, uint64_t sector, unsigned int word);
void pattern_fill(unsigned int disk, uint64_t sector, unsigned int sectors, uint64_t buf);
bool pattern_ok(unsigned int disk, uint64_t sector, unsigned int sectors, uint64_t buf);
/* Reads @sectors at @sector of the lower half and compares. */
const char *disk_verify(struct disk *d, uint64_t sector, unsigned int sectors, uint64_t buf);

#endif
