/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A control thread serves up to CLIENTS of them. A client's line is run to its end and the whole
 * answer kept, then sent as fast as the client reads; until it is gone the client's next
 * line is not read, so a slow reader holds up nobody but itself. Who reads nothing for
 * IDLE_S while an answer waits is hung up on.
 */
#include "ctlsock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_lcore.h>

#include "app.h"

#define CLIENTS 8
#define IDLE_S  10
/* An answer above this is cut; a list of a hundred thousand sessions is a fifth of it. */
#define ANSWER_MAX (64u << 20)

struct client {
	int fd; /* -1: free */
	char line[CTLSOCK_LINE];
	size_t line_len;
	char *answer;
	size_t answer_len;
	size_t answer_size;
	size_t sent;
	uint64_t moved_ns; /* when it last read something */
};

struct ctlsock {
	/* const */
	char path[CONF_PATH_SIZE];
	int listen_fd;
	int stop_fd;
	struct app *app;
	pthread_t thread;
	bool has_thread;

	/* the thread's */
	struct plm_cli *cli;
	struct client clients[CLIENTS];
	struct client *current; /* whose command runs */
};

static int
fill_address(struct sockaddr_un *un, const char *path)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(un->sun_path))
		return -ENAMETOOLONG;
	memcpy(un->sun_path, path, strlen(path));
	return 0;
}

int
ctlsock_connect(const char *path)
{
	struct sockaddr_un un;
	int ret = fill_address(&un, path);
	int fd;

	if (ret < 0)
		return ret;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

/* A socket that nobody answers on is left over from a relay that was killed. */
static int
clear_path(const char *path, struct plm_text *why)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode)) {
		plm_text_add(why, "control_socket: %s is there and is no socket", path);
		return -EEXIST;
	}
	fd = ctlsock_connect(path);
	if (fd >= 0) {
		close(fd);
		plm_text_add(why,
				"control_socket: another plenum owns %s; stop it, or give this one "
				"a control_socket of its own",
				path);
		return -EADDRINUSE;
	}
	unlink(path);
	return 0;
}

int
ctlsock_bind(struct ctlsock **sock, const char *path, struct plm_text *why)
{
	struct ctlsock *s = calloc(1, sizeof(*s));
	struct sockaddr_un un;
	mode_t mask;
	int ret;

	if (s == NULL)
		return -ENOMEM;
	s->listen_fd = -1;
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	for (unsigned int i = 0; i < CLIENTS; i++)
		s->clients[i].fd = -1;
	ret = clear_path(path, why);
	if (ret == 0)
		ret = fill_address(&un, path);
	if (ret < 0)
		goto fail;
	s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* The mode must be right from the first moment on. No other thread runs yet. */
	mask = umask(0177);
	ret = bind(s->listen_fd, (struct sockaddr *)&un, sizeof(un)) < 0 ? -errno : 0;
	umask(mask);
	if (ret == 0) {
		snprintf(s->path, sizeof(s->path), "%s", path);
		ret = listen(s->listen_fd, CLIENTS) < 0 ? -errno : 0;
	}
	if (ret < 0) {
		plm_text_add(why, "control_socket: %s cannot be made: %s", path, strerror(-ret));
		goto fail;
	}
	*sock = s;
	return 0;

fail:
	ctlsock_stop(s);
	return ret;
}

static void
hang_up(struct client *c)
{
	close(c->fd);
	free(c->answer);
	*c = (struct client){ .fd = -1 };
}

/* Where a command's text goes: behind what its answer holds already. */
static void
append(void *arg, const char *text, size_t len)
{
	struct ctlsock *s = arg;
	struct client *c = s->current;
	size_t size = c->answer_size != 0 ? c->answer_size : 4096;
	char *grown;

	if (c->answer_len + len > ANSWER_MAX)
		return;
	while (size < c->answer_len + len)
		size *= 2;
	if (size != c->answer_size) {
		grown = realloc(c->answer, size);
		if (grown == NULL)
			return;
		c->answer = grown;
		c->answer_size = size;
	}
	memcpy(c->answer + c->answer_len, text, len);
	c->answer_len += len;
}

/* The head comes first but its length is known last: room for it is left in front. */
#define HEAD_SIZE 23 /* "R LENGTH\n", LENGTH 20 characters wide */

static void
run_line(struct ctlsock *s, struct client *c)
{
	static const char blank[HEAD_SIZE] = { 0 };
	enum plm_cli_result result;
	char head[HEAD_SIZE + 1];

	s->current = c;
	c->answer_len = 0;
	c->sent = 0;
	append(s, blank, HEAD_SIZE);
	pthread_mutex_lock(&s->app->lock);
	result = plm_cli_run(s->cli, c->line);
	pthread_mutex_unlock(&s->app->lock);
	if (c->answer_len < HEAD_SIZE) {
		hang_up(c);
		return;
	}
	snprintf(head, sizeof(head), "%d %20zu\n", (int)result, c->answer_len - HEAD_SIZE);
	memcpy(c->answer, head, strlen(head));
	c->moved_ns = clock_now_ns(NULL);
}

/* Run the first line of what was read, if it is whole. */
static void
take_line(struct ctlsock *s, struct client *c)
{
	char *end = memchr(c->line, '\n', c->line_len);
	size_t taken;

	if (end == NULL) {
		if (c->line_len == sizeof(c->line))
			hang_up(c); /* no command is that long */
		return;
	}
	*end = '\0';
	taken = (size_t)(end + 1 - c->line);
	run_line(s, c);
	if (c->fd >= 0) {
		c->line_len -= taken;
		memmove(c->line, c->line + taken, c->line_len);
	}
}

static void
read_client(struct ctlsock *s, struct client *c)
{
	ssize_t n = recv(c->fd, c->line + c->line_len, sizeof(c->line) - c->line_len, MSG_DONTWAIT);

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			hang_up(c);
		return;
	}
	c->line_len += (size_t)n;
	take_line(s, c);
}

static void
write_client(struct ctlsock *s, struct client *c)
{
	ssize_t n = send(c->fd, c->answer + c->sent, c->answer_len - c->sent,
			MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			hang_up(c);
		return;
	}
	c->sent += (size_t)n;
	c->moved_ns = clock_now_ns(NULL);
	if (c->sent == c->answer_len) {
		free(c->answer);
		c->answer = NULL;
		c->answer_len = c->answer_size = c->sent = 0;
		take_line(s, c);
	}
}

static void
accept_client(struct ctlsock *s)
{
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (unsigned int i = 0; fd >= 0 && i < CLIENTS; i++) {
		if (s->clients[i].fd < 0) {
			s->clients[i] = (struct client){ .fd = fd, .moved_ns = clock_now_ns(NULL) };
			return;
		}
	}
	if (fd >= 0)
		close(fd);
}

/* A client that neither says anything nor takes its answer gives its place up. */
static void
drop_idle(struct ctlsock *s)
{
	uint64_t now_ns = clock_now_ns(NULL);

	for (unsigned int i = 0; i < CLIENTS; i++) {
		struct client *c = &s->clients[i];

		if (c->fd >= 0 && now_ns - c->moved_ns > IDLE_S * PLM_NS_PER_S)
			hang_up(c);
	}
}

static void *
ctlsock_main(void *arg)
{
	struct ctlsock *s = arg;
	struct pollfd fds[CLIENTS + 2];

	for (;;) {
		fds[CLIENTS] = (struct pollfd){ .fd = s->listen_fd, .events = POLLIN };
		fds[CLIENTS + 1] = (struct pollfd){ .fd = s->stop_fd, .events = POLLIN };
		for (unsigned int i = 0; i < CLIENTS; i++)
			fds[i] = (struct pollfd){ .fd = s->clients[i].fd,
				.events = s->clients[i].answer != NULL ? POLLOUT : POLLIN };
		if (poll(fds, CLIENTS + 2, 1000) < 0 && errno != EINTR)
			return NULL;
		if (fds[CLIENTS + 1].revents != 0)
			return NULL;
		for (unsigned int i = 0; i < CLIENTS; i++) {
			if (fds[i].fd < 0 || fds[i].revents == 0)
				continue;
			if (s->clients[i].answer != NULL)
				write_client(s, &s->clients[i]);
			else
				read_client(s, &s->clients[i]);
		}
		if (fds[CLIENTS].revents != 0)
			accept_client(s);
		drop_idle(s);
	}
}

int
ctlsock_start(struct ctlsock *sock, struct app *app)
{
	const struct plm_cli_conf conf = {
		.cmds = app_cmds,
		.ctx = app,
		.write = append,
		.write_ctx = sock,
	};
	int ret;

	sock->app = app;
	ret = plm_cli_create(&sock->cli, &conf);
	if (ret < 0)
		return ret;
	ret = rte_ctrl_thread_create(&sock->thread, "plm-ctlsock", NULL, ctlsock_main, sock);
	sock->has_thread = ret == 0;
	return -abs(ret);
}

void
ctlsock_stop(struct ctlsock *sock)
{
	uint64_t one = 1;

	if (sock == NULL)
		return;
	if (sock->has_thread && write(sock->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(sock->thread, NULL);
	for (unsigned int i = 0; i < CLIENTS; i++) {
		if (sock->clients[i].fd >= 0)
			hang_up(&sock->clients[i]);
	}
	plm_cli_free(sock->cli);
	if (sock->listen_fd >= 0)
		close(sock->listen_fd);
	if (sock->path[0] != '\0')
		unlink(sock->path);
	if (sock->stop_fd >= 0)
		close(sock->stop_fd);
	free(sock);
}
