/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that does everything a driver must not do. After each attack the innocent disk still
 * serves a request, and the attacked one works again after a reset.
 */
#include "hostile.h"
#include "lib/cpu.h"

struct disk victim, innocent;

const char *victim_open(uint64_t features)
{
	return disk_open(&victim, 0,
			 BLK_F_SEG_MAX | BLK_F_FLUSH | BLK_F_DISCARD | BLK_F_ZEROES | F_PACKED |
				 F_RING_RESET | features,
			 QUEUE_SIZE, 1);
}

volatile struct desc *victim_desc(uint16_t i)
{
	return (volatile struct desc *)victim.q[0].desc + i;
}

void victim_skip(uint16_t descriptors)
{
	if (!victim.q[0].packed)
		victim.q[0].next = descriptors;
}

void attack_buffers(uint32_t type, uint64_t sector)
{
	struct blk_header *h = (struct blk_header *)A_HDR;

	memset(h, 0, 0x1000);
	*h = (struct blk_header){ .type = type, .sector = sector };
	memset((void *)A_DATA, 0xaa, A_DATA_SIZE);
	memset((void *)A_STATUS, 0xee, 16);
	memset((void *)A_TABLE, 0, 0x1000);
}

const char *victim_settled(bool *ret_needs_reset)
{
	struct disk *d = &victim;
	uint64_t end = deadline_ms(3000);
	uint32_t id, len;
	int want;

	memset((void *)MEM_DATA, 0, 512);
	want = disk_submit(d, 0, 1, BLK_IN, 7, MEM_DATA, 512);
	vq_notify(&d->q[0]);
	*ret_needs_reset = false;
	while (!passed(end)) {
		if (vq_used(&d->q[0], &id, &len) && id == (uint32_t)want &&
		    *disk_status(d, 1) == BLK_OK)
			return pattern_ok(0, 7, 1, MEM_DATA) ? NULL :
							       "the next request has other data";
		if (virtio_status(&d->v) & STATUS_NEEDS_RESET) {
			*ret_needs_reset = true;
			return NULL;
		}
	}
	return fail("the queue is dead, but the device status is 0x%x", virtio_status(&d->v));
}

const char *victim_safe(void)
{
	bool needs_reset;

	return victim_settled(&needs_reset);
}

const char *victim_alive(void)
{
	bool needs_reset;

	TRY(victim_settled(&needs_reset));
	return needs_reset ? "the device asks for a reset" : NULL;
}

static const char *judge_status(uint32_t expect)
{
	uint8_t status = mmio_read8(A_STATUS);
	uint32_t allowed = expect & (E_OK | E_IOERR | E_UNSUPP);

	if (expect & E_NOT_OK && status == BLK_OK)
		return "a malformed request succeeded";
	if (allowed && (status > BLK_UNSUPP || !(allowed & E_OK << status)))
		return fail("status 0x%x", status);
	return NULL;
}

static const char *judge_memory(const struct attack *a)
{
	const volatile uint64_t *p = (const volatile uint64_t *)A_DATA;
	/* Nothing longer than this is asked for at A_DATA where the length is in range. */
	uint32_t i = a->expect & E_KEEP ? 0 : A_DATA_SIZE / 2;

	for (; i < A_DATA_SIZE; i += 8)
		if (p[i / 8] != 0xaaaaaaaaaaaaaaaa && !(a->has_range && i < 16))
			return fail("data written at offset 0x%x", i);
	if (mmio_read8(A_STATUS + 1) != 0xee)
		return "the byte behind the status was written";
	return NULL;
}

static void post(const struct attack *a)
{
	struct vq *q = &victim.q[0];

	if (q->packed) {
		vq_post_packed(q, a->d, a->n, q->next);
	} else {
		for (unsigned int i = 0; i < a->n; i++) {
			*victim_desc(i) = a->d[i];
			victim_desc(i)->next = i + 1;
		}
		victim_skip(16);
		vq_post_split(q, 0);
	}
	vq_notify(q);
}

static void write_table(const struct attack *a)
{
	struct desc *t = (struct desc *)A_TABLE;

	memcpy(t, a->table, sizeof(a->table));
	for (unsigned int i = 0; victim.q[0].packed && i < ARRAY_SIZE(a->table); i++) {
		t[i].next = t[i].flags;
		t[i].flags = 0;
	}
}

const char *attack_run(const void *arg)
{
	const struct attack *a = arg;
	uint32_t id, len;

	TRY(victim_open(a->features));
	attack_buffers(a->type, a->sector);
	write_table(a);
	if (a->has_range)
		memcpy((void *)A_DATA, &a->range, sizeof(a->range));
	post(a);
	if (a->expect & E_USED)
		CHECK(vq_wait(&victim.q[0], 2000, &id, &len), "the request does not come back");
	TRY(a->expect & E_ALIVE ? victim_alive() : victim_safe());
	TRY(judge_status(a->expect));
	return judge_memory(a);
}

const char *action_run(const void *arg)
{
	const struct action *a = arg;

	TRY(victim_open(0));
	attack_buffers(BLK_IN, 3);
	return a->act();
}

static const char *aftermath(void)
{
	TRY(disk_verify(&innocent, 11, 2, MEM_DATA));
	TRY(victim_open(0));
	return disk_verify(&victim, 13, 2, MEM_DATA);
}

static const char *attack_and_aftermath(const void *arg)
{
	const struct test_case *c = arg;
	const char *reason = c->run(c->arg), *after = aftermath();

	if (reason && after)
		return fail("%s; afterwards: %s", reason, after);
	return reason ? reason : after;
}

static void report(const struct test_case *c)
{
	test_run(&(struct test_case){ c->name, attack_and_aftermath, c });
}

/* For the burst: what each case finds has been reported before. */
static void repeat(const struct test_case *c)
{
	c->run(c->arg);
}

void each_attack(const struct attack *a, unsigned int n, case_fn *each)
{
	for (; n--; a++)
		each(&(struct test_case){ a->name, attack_run, a });
}

void each_action(const struct action *a, unsigned int n, case_fn *each)
{
	for (; n--; a++)
		each(&(struct test_case){ a->name, action_run, a });
}

static void all_cases(case_fn *each)
{
	chain_cases(each);
	blk_cases(each);
	ring_cases(each);
	if (victim.v.offered & F_PACKED)
		packed_cases(each);
	else
		split_cases(each);
	status_cases(each);
	transport_cases(each);
	msix_cases(each);
}

/* Everything eleven times: what the VMM holds after the first must be all it ever holds. */
static const char *burst(const void *arg)
{
	(void)arg;
	all_cases(repeat);
	TRY(aftermath());
	test_mark("warm");
	for (int i = 0; i < 10; i++) {
		all_cases(repeat);
		TRY(aftermath());
	}
	test_mark("hot");
	return NULL;
}

void user_main(void)
{
	const char *reason;

	test_init();
	reason = disk_open(&innocent, 1, BLK_F_ALL | RING_F_ALL, 0, 1);
	if (!reason)
		reason = victim_open(0);
	if (reason) {
		print("run open\nnot ok open: %s\n", reason);
		test_done();
	}
	all_cases(report);
	test_run(&(struct test_case){ "burst", burst, NULL });
	test_done();
}
