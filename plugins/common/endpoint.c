/* SPDX-License-Identifier: Apache-2.0 */
#include "endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* Who comes while a client is attached waits in the kernel. */
#define BACKLOG 4

#define DRAIN_MS       5
#define DRAIN_QUIET_MS 50

static int fail(struct alcor_dev *dev, const char *prefix, const char *what, int error)
{
	return alcor_error(dev, error, "%s%s: %s", prefix, what, strerror(-error));
}

/* --- pseudo-terminals --- */

bool endpoint_pty_in_use(const struct endpoint *end)
{
	struct pollfd pfd = { .fd = end->fd };

	return poll(&pfd, 1, 0) == 0;
}

/* The kernel hands bytes over to the slave piece by piece and a little later: only when there are
 * none for some time, the reader has all. */
void endpoint_pty_drain(const struct endpoint *end)
{
	static const struct timespec pause = { .tv_nsec = DRAIN_MS * 1000000 };
	int slave = open(end->name, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), unread;

	if (slave < 0)
		return;
	for (int ms = 0, quiet = 0; ms < 1000 && quiet < DRAIN_QUIET_MS; ms += DRAIN_MS) {
		nanosleep(&pause, NULL);
		if (ioctl(slave, FIONREAD, &unread) < 0)
			break;
		quiet = unread ? 0 : quiet + DRAIN_MS;
	}
	close(slave);
}

void endpoint_pty_raw(const struct endpoint *end)
{
	struct termios termios;

	if (tcgetattr(end->fd, &termios) < 0)
		return;
	cfmakeraw(&termios);
	tcsetattr(end->fd, TCSANOW, &termios);
}

static bool link_is_ours(const struct endpoint *end)
{
	char target[PATH_MAX];
	ssize_t n = readlink(end->path, target, sizeof(target) - 1);

	if (n < 0)
		return false;
	target[n] = '\0';
	return strcmp(target, end->name) == 0;
}

/* What an earlier run left: a link to this very terminal, or to one that is gone. */
static bool link_is_stale(const struct endpoint *end)
{
	struct stat st;

	if (lstat(end->path, &st) < 0 || !S_ISLNK(st.st_mode))
		return false;
	return link_is_ours(end) || (stat(end->path, &st) < 0 && errno == ENOENT);
}

static int link_make(const struct endpoint *end)
{
	if (symlink(end->name, end->path) == 0)
		return 0;
	if (errno != EEXIST || !link_is_stale(end))
		return -errno;
	if (unlink(end->path) < 0 || symlink(end->name, end->path) < 0)
		return -errno;
	return 0;
}

/* The master reports a hang-up only once the slave has been open. */
static int pty_setup(struct endpoint *end)
{
	int ret, slave;

	if (grantpt(end->fd) < 0 || unlockpt(end->fd) < 0)
		return -errno;
	ret = ptsname_r(end->fd, end->name, sizeof(end->name));
	if (ret)
		return -ret;
	endpoint_pty_raw(end);
	slave = open(end->name, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (slave < 0)
		return -errno;
	close(slave);
	return 0;
}

int endpoint_open_pty(struct alcor_dev *dev, const char *prefix, const char *link,
		      struct endpoint *ret_end)
{
	struct endpoint end = { .is_pty = true };
	int ret;

	end.fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (end.fd < 0)
		return fail(dev, prefix, "pseudo-terminal", -errno);
	ret = pty_setup(&end);
	if (ret) {
		close(end.fd);
		return fail(dev, prefix, "pseudo-terminal", ret);
	}
	if (link) {
		end.path = strdup(link);
		ret = end.path ? link_make(&end) : -ENOMEM;
	}
	if (ret) {
		free(end.path);
		close(end.fd);
		return fail(dev, prefix, "link", ret);
	}
	/* Without a link the log is the only place to learn the name: it is to be seen always. */
	alcor_log(dev, link ? ALCOR_LOG_INFO : ALCOR_LOG_WARN, "%spseudo-terminal is %s", prefix,
		  end.name);
	*ret_end = end;
	return 0;
}

/* --- sockets --- */

/* A socket's file that nobody listens behind any more. */
static bool socket_is_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	bool stale;
	int fd;

	if (lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	stale = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 &&
		errno == ECONNREFUSED;
	close(fd);
	return stale;
}

static int socket_bind(int fd, const struct sockaddr_un *addr)
{
	const struct sockaddr *sa = (const struct sockaddr *)addr;

	if (bind(fd, sa, sizeof(*addr)) == 0)
		return 0;
	if (errno != EADDRINUSE || !socket_is_stale(addr))
		return errno == EADDRINUSE ? -EEXIST : -errno;
	if (unlink(addr->sun_path) < 0 || bind(fd, sa, sizeof(*addr)) < 0)
		return -errno;
	return 0;
}

static int socket_setup(struct endpoint *end, const struct sockaddr_un *addr)
{
	struct stat st;
	int ret = socket_bind(end->fd, addr);

	if (ret)
		return ret;
	if (listen(end->fd, BACKLOG) < 0 || lstat(addr->sun_path, &st) < 0) {
		ret = -errno;
		unlink(addr->sun_path);
		return ret;
	}
	end->dev = st.st_dev;
	end->ino = st.st_ino;
	return 0;
}

int endpoint_open_socket(struct alcor_dev *dev, const char *prefix, const char *path,
			 struct endpoint *ret_end)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct endpoint end = { .fd = -1 };
	int ret;

	if (!*path || strlen(path) >= sizeof(addr.sun_path))
		return fail(dev, prefix, "socket", *path ? -ENAMETOOLONG : -ENOENT);
	strcpy(addr.sun_path, path);
	end.path = strdup(path);
	if (!end.path)
		return fail(dev, prefix, "socket", -ENOMEM);
	end.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ret = end.fd < 0 ? -errno : socket_setup(&end, &addr);
	if (ret) {
		if (end.fd >= 0)
			close(end.fd);
		free(end.path);
		return fail(dev, prefix, "socket", ret);
	}
	*ret_end = end;
	return 0;
}

static bool socket_is_ours(const struct endpoint *end)
{
	struct stat st;

	return lstat(end->path, &st) == 0 && st.st_dev == end->dev && st.st_ino == end->ino;
}

void endpoint_close(struct endpoint *end)
{
	if (end->path && (end->is_pty ? link_is_ours(end) : socket_is_ours(end)))
		unlink(end->path);
	free(end->path);
	close(end->fd);
}
