/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-vsock over Unix sockets: what its files share. (Section numbers: Virtio 1.3.) */
#ifndef ALCOR_PLUGINS_VSOCK_VSOCK_H
#define ALCOR_PLUGINS_VSOCK_VSOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <sys/un.h>

#include <alcor/loop.h>
#include <alcor/plugin.h>
#include <alcor/virtio.h>

#define VSOCK_CID_HOST 2 /* 5.10.4 */

#define VSOCK_RX 0
#define VSOCK_TX 1

#define VSOCK_HEADER	  44
#define VSOCK_SEGMENTS	  256
#define VSOCK_PAYLOAD_MAX 65536
#define VSOCK_BUF_ALLOC	  (256u * 1024)
#define VSOCK_STREAMS_MAX 1024
#define VSOCK_BUCKETS	  256
#define VSOCK_RSTS	  64
#define VSOCK_BATCH	  64
#define VSOCK_PORT_MIN	  1024

/* The longest "_PORT" behind the path, and the longest line of a client. */
#define VSOCK_SUFFIX_MAX 11
#define VSOCK_LINE_MAX	 32

#define VSOCK_MIN(a, b) ((a) < (b) ? (a) : (b))

/* Directions of SHUTDOWN (5.10.6.5). */
#define VSOCK_SHUT_RCV	1u
#define VSOCK_SHUT_SEND 2u
#define VSOCK_SHUT_BOTH 3u

/* Packets that wait for a buffer of the guest. */
#define VSOCK_NEED_RST		  (1u << 0)
#define VSOCK_NEED_REQUEST	  (1u << 1)
#define VSOCK_NEED_RESPONSE	  (1u << 2)
#define VSOCK_NEED_CREDIT_UPDATE  (1u << 3)
#define VSOCK_NEED_CREDIT_REQUEST (1u << 4)

enum vsock_state {
	VSOCK_HANDSHAKE,  /* a client whose line is not complete: the guest knows nothing of it */
	VSOCK_REQUESTED,  /* the guest's RESPONSE is awaited */
	VSOCK_CONNECTING, /* the guest's REQUEST waits for room in a listener's backlog */
	VSOCK_OPEN,
	VSOCK_CLOSING, /* no socket any more; the guest's RST is awaited */
	VSOCK_LINGER,  /* the guest is done, the rest of its data goes to the socket */
	VSOCK_DEAD,    /* no socket any more; perhaps an RST to be sent */
};

struct vsock_pkt {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len;
	uint16_t type, op;
	uint32_t flags;
	uint32_t buf_alloc, fwd_cnt;
};

struct vsock_stream {
	struct vsock *vs;
	TAILQ_ENTRY(vsock_stream) link;	 /* of all */
	TAILQ_ENTRY(vsock_stream) ready; /* while @queued */
	LIST_ENTRY(vsock_stream) bucket; /* while @hashed: the guest's packets find it */
	bool queued, hashed;
	enum vsock_state state;
	int fd; /* -1: closed */
	struct alcor_watch *watch;
	uint32_t events; /* watched for */
	uint32_t host_port, guest_port;
	uint32_t need;

	/* Guest to socket: what the socket had no room for. */
	uint8_t *ring; /* VSOCK_BUF_ALLOC bytes */
	uint32_t head, used;
	uint32_t fwd_cnt, fwd_told;

	/* Socket to guest. */
	uint32_t tx_cnt, peer_fwd_cnt, peer_buf_alloc;
	bool readable; /* and not watched for that */
	bool asked;    /* for credit, since there was any */

	uint32_t shut, shut_told; /* VSOCK_SHUT_: ours, and what the guest knows of that */
	uint32_t peer_shut;
	bool write_shut; /* the socket got its shutdown(SHUT_WR) */
	bool deaf;	 /* a socket that is not to be watched for its end */

	uint64_t deadline; /* ms; 0: none */
	uint64_t give_up;  /* CONNECTING: ms */
	uint32_t mark;	   /* counter that shows progress, as at the last deadline */

	char line[VSOCK_LINE_MAX];
	uint32_t line_len;
};

TAILQ_HEAD(vsock_list, vsock_stream);
LIST_HEAD(vsock_bucket, vsock_stream);

/* An RST that belongs to no stream. */
struct vsock_rst {
	uint64_t src_cid;
	uint32_t src_port, dst_port;
	uint16_t type;
};

struct vsock {
	struct alcor_dev *dev;
	const struct alcor_virtio *virtio;
	const struct alcor_loop *loop;
	uint64_t cid;
	bool active, paused;

	struct sockaddr_un addr; /* of the listener */
	dev_t addr_dev;		 /* the file that bind() made */
	ino_t addr_ino;
	int listen_fd;
	struct alcor_watch *listen_watch;
	uint64_t listen_retry; /* ms; 0: accepting */

	struct vsock_list streams, ready;
	struct vsock_bucket buckets[VSOCK_BUCKETS];
	uint32_t n_streams;
	uint32_t next_port;
	struct alcor_timer *timer;
	uint64_t timer_at; /* ms; 0: not armed */

	struct vsock_rst rsts[VSOCK_RSTS];
	uint32_t rst_head, n_rsts;
	struct alcor_vreq *held; /* a buffer of the guest that nothing was put into yet */
	struct iovec iov[VSOCK_SEGMENTS];
};

/* packet.c: headers and scatter lists */

/* False where the request has no room for a header. The header may be spread over buffers. */
bool vsock_pkt_load(const struct alcor_vreq *req, struct vsock_pkt *ret_pkt);
void vsock_pkt_store(const struct alcor_vreq *req, const struct vsock_pkt *pkt);
/* The @len bytes from @skip on, as a list in @ret_iov of VSOCK_SEGMENTS elements: their number. */
uint32_t vsock_iov_slice(struct iovec *ret_iov, const struct iovec *iov, uint32_t n, size_t skip,
			 size_t len);

/* table.c: the streams of a device, and time */

/* NULL: too many, or no memory. Takes @fd only on success. */
struct vsock_stream *vsock_stream_new(struct vsock *vs, int fd);
/* Gives it ports and a buffer: -ENOMEM. */
int vsock_stream_bind(struct vsock_stream *s, uint32_t host_port, uint32_t guest_port);
void vsock_stream_unhash(struct vsock_stream *s);
void vsock_stream_free(struct vsock_stream *s);
void vsock_stream_deadline(struct vsock_stream *s, uint64_t ms);
struct vsock_stream *vsock_stream_find(struct vsock *vs, uint32_t host_port, uint32_t guest_port);
uint32_t vsock_port_pick(struct vsock *vs);
uint64_t vsock_now_ms(void);
void vsock_timer_need(struct vsock *vs, uint64_t at_ms);
void vsock_timer_fired(void *opaque);

/* stream.c: the states of a stream. After settle() a stream may be gone. */

void vsock_stream_settle(struct vsock_stream *s);
void vsock_stream_input(struct vsock_stream *s, const struct vsock_pkt *pkt,
			const struct alcor_vreq *req);
/* Puts the next packet into @req and @pkt: the length of its payload; negative: there is none. */
ssize_t vsock_stream_output(struct vsock_stream *s, const struct alcor_vreq *req,
			    struct vsock_pkt *pkt);
/* Ends both sides at once, the guest's with RST if it knows of the stream. */
void vsock_stream_reset(struct vsock_stream *s);
void vsock_stream_expired(struct vsock_stream *s);
void vsock_stream_close_fd(struct vsock_stream *s);
void vsock_stream_ready(void *opaque, uint32_t events);

/* flow.c: data and credit */

/* Data of the guest: false where it has no credit for @len. */
bool vsock_flow_take(struct vsock_stream *s, const struct alcor_vreq *req, uint32_t len);
/* From the buffer to the socket. */
void vsock_flow_drain(struct vsock_stream *s);
/* From the socket to the guest: the number of bytes, negative where there are none. */
ssize_t vsock_flow_read(struct vsock_stream *s, const struct alcor_vreq *req);
void vsock_flow_drop(struct vsock_stream *s);
uint32_t vsock_flow_credit(const struct vsock_stream *s);

/* connect.c: streams begin */

void vsock_listen_ready(void *opaque, uint32_t events);
/* A client's line: reads what there is. */
void vsock_client_read(struct vsock_stream *s);
/* The guest accepted: tells the client. */
void vsock_client_accepted(struct vsock_stream *s);
/* The guest's REQUEST. False: refused, and no stream exists. */
bool vsock_guest_connect(struct vsock *vs, const struct vsock_pkt *pkt);
/* Tries a connection again. */
void vsock_guest_retry(struct vsock_stream *s);

/* device.c: the queues */

void vsock_rx_pump(struct vsock *vs);
void vsock_tx_serve(struct vsock *vs);

#endif
