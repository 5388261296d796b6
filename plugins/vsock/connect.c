/* SPDX-License-Identifier: Apache-2.0 */
/* How streams begin: a client's "CONNECT PORT" at the listener, or a REQUEST of the guest. */
#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vsock.h"

#define CONNECT_LINE_MS	   60000 /* a person may type it */
#define CONNECT_REQUEST_MS 5000
#define CONNECT_RETRY_MS   50
#define CONNECT_BACKLOG_MS 2000
#define CONNECT_ACCEPTS	   16
#define CONNECT_LISTEN_MS  1000

/* --- host to guest --- */

static void client_new(struct vsock *vs, int fd)
{
	struct vsock_stream *s = vs->active ? vsock_stream_new(vs, fd) : NULL;

	if (!s) {
		close(fd);
		return;
	}
	vsock_stream_deadline(s, CONNECT_LINE_MS);
	vsock_stream_settle(s);
}

/* Without descriptors the listener would be ready for ever. */
static void listen_rest(struct vsock *vs)
{
	alcor_log(vs->dev, ALCOR_LOG_WARN, "accept: %s", strerror(errno));
	vs->loop->modify(vs->listen_watch, 0);
	vs->listen_retry = vsock_now_ms() + CONNECT_LISTEN_MS;
	vsock_timer_need(vs, vs->listen_retry);
}

void vsock_listen_ready(void *opaque, uint32_t events)
{
	struct vsock *vs = opaque;

	for (int i = 0; i < CONNECT_ACCEPTS; i++) {
		int fd = accept4(vs->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			client_new(vs, fd);
		} else if (errno != EINTR && errno != ECONNABORTED) {
			if (errno != EAGAIN)
				listen_rest(vs);
			return;
		}
	}
}

/* "CONNECT PORT\n"; a carriage return does no harm. */
static bool line_parse(const char *line, uint32_t len, uint32_t *ret_port)
{
	static const char word[] = "CONNECT ";
	uint32_t at = sizeof(word) - 1, end = len - 1;
	uint64_t port = 0;

	if (end && line[end - 1] == '\r')
		end--;
	if (end <= at || end - at > 10 || strncasecmp(line, word, at) != 0)
		return false;
	for (; at < end; at++) {
		if (line[at] < '0' || line[at] > '9')
			return false;
		port = port * 10 + (uint64_t)(line[at] - '0');
	}
	*ret_port = (uint32_t)port;
	return port < UINT32_MAX;
}

static void client_request(struct vsock_stream *s)
{
	uint32_t port;

	if (!line_parse(s->line, s->line_len, &port) ||
	    vsock_stream_bind(s, vsock_port_pick(s->vs), port)) {
		vsock_stream_reset(s);
		return;
	}
	s->state = VSOCK_REQUESTED;
	s->need = VSOCK_NEED_REQUEST;
	vsock_stream_deadline(s, CONNECT_REQUEST_MS);
}

/* Looks before it takes: what follows the line is data, and stays in the socket. */
void vsock_client_read(struct vsock_stream *s)
{
	char *at = s->line + s->line_len, *end;
	ssize_t n = recv(s->fd, at, VSOCK_LINE_MAX - s->line_len, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	end = n > 0 ? memchr(at, '\n', (size_t)n) : NULL;
	if (end)
		n = end - at + 1;
	if (n <= 0 || recv(s->fd, at, (size_t)n, MSG_DONTWAIT) != n) {
		vsock_stream_reset(s);
		return;
	}
	s->line_len += (uint32_t)n;
	if (end)
		client_request(s);
	else if (s->line_len == VSOCK_LINE_MAX)
		vsock_stream_reset(s);
}

/* The socket was not written to before, so it has room. */
void vsock_client_accepted(struct vsock_stream *s)
{
	char text[VSOCK_LINE_MAX];
	int n = snprintf(text, sizeof(text), "OK %u\n", s->host_port);

	if (send(s->fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
		vsock_stream_reset(s);
}

/* --- guest to host --- */

static int unix_connect(struct vsock *vs, int fd, uint32_t port)
{
	struct sockaddr_un addr = vs->addr;
	size_t len = strlen(addr.sun_path);

	snprintf(addr.sun_path + len, sizeof(addr.sun_path) - len, "_%u", port);
	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
}

static void guest_connected(struct vsock_stream *s)
{
	s->state = VSOCK_OPEN;
	s->need = VSOCK_NEED_RESPONSE;
}

/* A Unix socket connects at once, or not at all while the listener's backlog is full: EAGAIN. */
void vsock_guest_retry(struct vsock_stream *s)
{
	int ret = unix_connect(s->vs, s->fd, s->host_port);

	if (!ret)
		guest_connected(s);
	else if (ret == -EAGAIN && vsock_now_ms() < s->give_up)
		vsock_stream_deadline(s, CONNECT_RETRY_MS);
	else
		vsock_stream_reset(s);
}

bool vsock_guest_connect(struct vsock *vs, const struct vsock_pkt *pkt)
{
	struct vsock_stream *s = NULL;
	int fd = -1, ret;

	if (vs->n_streams < VSOCK_STREAMS_MAX)
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ret = fd < 0 ? -EMFILE : unix_connect(vs, fd, pkt->dst_port);
	if (!ret || ret == -EAGAIN)
		s = vsock_stream_new(vs, fd);
	if (!s) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	if (vsock_stream_bind(s, pkt->dst_port, pkt->src_port)) {
		vsock_stream_free(s);
		return false;
	}
	s->peer_buf_alloc = pkt->buf_alloc;
	s->peer_fwd_cnt = pkt->fwd_cnt;
	s->state = VSOCK_CONNECTING;
	s->give_up = vsock_now_ms() + CONNECT_BACKLOG_MS;
	if (ret)
		vsock_stream_deadline(s, CONNECT_RETRY_MS);
	else
		guest_connected(s);
	vsock_stream_settle(s);
	return true;
}
