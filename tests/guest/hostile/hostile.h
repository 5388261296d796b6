/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_HOSTILE_H
#define GUEST_HOSTILE_H

#include "lib/blk.h"
#include "lib/test.h"

/* Where an attack's request is built, so that tables of descriptors can be constants. */
enum {
	A_HDR = MEM_ATTACK,
	A_DATA = MEM_ATTACK + 0x10000, /* 64 KiB of 0xaa */
	A_STATUS = MEM_ATTACK + 0x30000,
	A_TABLE = MEM_ATTACK + 0x40000,
	A_RING = MEM_ATTACK + 0x200000, /* VQ_AREA for rings elsewhere than usual */
};

enum { A_DATA_SIZE = 0x10000, QUEUE_SIZE = 64 };

/* The disk that is attacked, and the one that must not notice. */
extern struct disk victim, innocent;

/* What an attack may leave behind. */
enum expect {
	E_SAFE = 0,	  /* the queue serves the next request, or asks for a reset */
	E_ALIVE = 1 << 0, /* the queue serves the next request */
	E_USED = 1 << 1,  /* the chain comes back */
	E_OK = 1 << 2,	  /* ... with that status */
	E_IOERR = 1 << 3,
	E_UNSUPP = 1 << 4,
	E_NOT_OK = 1 << 5, /* the status does not claim success */
	E_KEEP = 1 << 6,   /* no data were written */
	E_ERROR = E_USED | E_ALIVE | E_IOERR | E_UNSUPP,
};

struct attack {
	const char *name;
	struct desc d[5];
	uint8_t n;
	uint32_t expect;
	uint32_t type;
	uint64_t sector;
	uint64_t features; /* beside the usual ones */
	struct desc table[4];
	struct blk_range range; /* at A_DATA when @has_range */
	bool has_range;
};

/* An attack that is code: it returns NULL, or what went wrong. */
struct action {
	const char *name;
	const char *(*act)(void);
};

/* The victim, reset and ready, one queue of QUEUE_SIZE. */
const char *victim_open(uint64_t features);
/* The queue that was attacked serves a request, or the device says that it needs a reset. */
const char *victim_settled(bool *ret_needs_reset);
const char *victim_safe(void);
const char *victim_alive(void);
/* The good request's descriptors do not touch those that an attack has used. */
void victim_skip(uint16_t descriptors);
void attack_buffers(uint32_t type, uint64_t sector);
/* A descriptor of the victim's ring, by number. */
volatile struct desc *victim_desc(uint16_t i);

test_fn attack_run;
test_fn action_run;

/* Calls @each for every case of a file. */
typedef void case_fn(const struct test_case *c);
void chain_cases(case_fn *each);
void blk_cases(case_fn *each);
void ring_cases(case_fn *each);
void split_cases(case_fn *each);
void packed_cases(case_fn *each);
void transport_cases(case_fn *each);
void status_cases(case_fn *each);
void msix_cases(case_fn *each);
void each_attack(const struct attack *a, unsigned int n, case_fn *each);
void each_action(const struct action *a, unsigned int n, case_fn *each);

#endif
