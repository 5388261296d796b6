/* SPDX-License-Identifier: Apache-2.0 */
/* Pages that the guest gives up: from lists of page frames, and from reports of free pages. */
#include "balloon.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define VIRTIO_BALLOON_F_PAGE_POISON 4

#define CHUNK_PFNS 256

/* Page frames next to each other, in bytes: [start, end); empty at first. */
struct run {
	uint64_t start, end;
};

/* Reads a scatter list piecemeal. */
struct reader {
	const struct iovec *iov;
	uint32_t n;
	size_t offset; /* in the first element */
};

static size_t reader_copy(struct reader *reader, void *ret_data, size_t len)
{
	size_t done = 0;

	while (done < len && reader->n) {
		size_t left = reader->iov->iov_len - reader->offset;
		size_t n = left < len - done ? left : len - done;

		memcpy((char *)ret_data + done,
		       (const char *)reader->iov->iov_base + reader->offset, n);
		done += n;
		reader->offset += n;
		if (reader->offset == reader->iov->iov_len) {
			reader->iov++;
			reader->n--;
			reader->offset = 0;
		}
	}
	return done;
}

/* 0, or what is worth a word: a guest's mistake must not hide the host's. */
static int worse(int a, int b)
{
	return a && a != -EFAULT ? a : b ? b : a;
}

static int run_discard(struct balloon *balloon, struct run *run)
{
	uint64_t start = run->start, len = run->end - run->start;

	*run = (struct run){ 0, 0 };
	return len ? balloon->mem->discard(balloon->dev, start, len) : 0;
}

/* Lists come in rising as well as in falling order: the page allocator of Linux decides. Frames of
 * a page larger than 4 KiB make it whole again only together. */
static int run_add(struct balloon *balloon, struct run *run, uint32_t pfn)
{
	uint64_t start = pfn * BALLOON_PFN_SIZE, end = start + BALLOON_PFN_SIZE;
	int ret;

	if (run->end && start == run->end) {
		run->end = end;
		return 0;
	}
	if (end == run->start) {
		run->start = start;
		return 0;
	}
	ret = run_discard(balloon, run);
	*run = (struct run){ start, end };
	return ret;
}

static void log_failure(struct balloon *balloon, const char *what, int error)
{
	if (error == -EFAULT)
		alcor_log(balloon->dev, ALCOR_LOG_WARN, "%s: pages outside of memory", what);
	else if (error)
		alcor_log(balloon->dev, ALCOR_LOG_WARN,
			  "%s: memory cannot be given back to the host: %s", what,
			  strerror(-error));
}

void pages_inflate(struct balloon *balloon, struct alcor_vreq *req)
{
	struct reader reader = { req->out, req->n_out, 0 };
	uint64_t left = req->out_len / sizeof(uint32_t);
	uint32_t pfns[CHUNK_PFNS];
	struct run run = { 0, 0 };
	int error = 0;

	if (left > BALLOON_PFNS_MAX) {
		alcor_log(balloon->dev, ALCOR_LOG_WARN, "inflate: a list too long is cut");
		left = BALLOON_PFNS_MAX;
	}
	while (left) {
		uint64_t n = left < CHUNK_PFNS ? left : CHUNK_PFNS;

		n = reader_copy(&reader, pfns, n * sizeof(*pfns)) / sizeof(*pfns);
		for (uint64_t i = 0; i < n; i++)
			error = worse(error, run_add(balloon, &run, le32toh(pfns[i])));
		left = n ? left - n : 0;
	}
	error = worse(error, run_discard(balloon, &run));
	log_failure(balloon, "inflate", error);
}

/* 5.5.6.7: a page must not come to hold anything but the poison value, once that is agreed on;
 * pages given back hold zeros. */
static bool report_allowed(const struct balloon *balloon)
{
	return !(balloon->features >> VIRTIO_BALLOON_F_PAGE_POISON & 1) || !balloon->poison;
}

void pages_report(struct balloon *balloon, struct alcor_vreq *req)
{
	if (report_allowed(balloon))
		log_failure(balloon, "report",
			    balloon->mem->discard_iov(balloon->dev, req->in, req->n_in));
}
