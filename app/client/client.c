/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop: sockets, one timer, signals. A turn of a participant says when it wants the next one;
 * those times stand in one compact array, and the earliest is found by looking at all of them:
 * for some hundred participants that is cheaper than keeping a heap in order.
 */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>

#include "wzp_file.h"

#define EVENTS 64
/* How long acknowledgements of Hangups are waited for. */
#define PART_NS PLM_NS_PER_S

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * PLM_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
client_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

void
client_say(const struct client *client, const struct participant *p, const char *fmt, ...)
{
	char line[256];
	struct plm_text text;
	va_list ap;

	plm_text_init(&text, line, sizeof(line));
	if (p != NULL && client->conf->clones > 1)
		plm_text_add(&text, "%s: ", p->name);
	va_start(ap, fmt);
	plm_text_vadd(&text, fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s\n", line);
}

int
client_watch(struct client *client, int fd, struct watch *watch)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = watch };

	return epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void
client_touch(struct client *client, struct participant *p)
{
	client->deadlines[p->idx] = participant_turn(p, client_now());
}

static void
timer_ready(struct client *client, void *arg)
{
	uint64_t expirations;

	/* Only to make it unreadable: the loop looks at the clock in any case. */
	if (read(client->timer_fd, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
		client_say(client, NULL, "timer: %s", strerror(errno));
	client->timer_ns = 0;
}

static void
signal_ready(struct client *client, void *arg)
{
	struct signalfd_siginfo info;

	if (read(client->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	/* The second one does not wait for stragglers. */
	if (client->interrupted)
		client->stop = true;
	client->interrupted = true;
}

static void
timer_set(struct client *client, uint64_t at_ns)
{
	struct itimerspec spec = { 0 };

	if (at_ns == client->timer_ns)
		return;
	client->timer_ns = at_ns;
	if (at_ns != UINT64_MAX) {
		spec.it_value.tv_sec = (time_t)(at_ns / PLM_NS_PER_S);
		spec.it_value.tv_nsec = (long)(at_ns % PLM_NS_PER_S);
		/* All zero would disarm it. */
		if (at_ns == 0)
			spec.it_value.tv_nsec = 1;
	}
	timerfd_settime(client->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void
write_ready_file(struct client *client)
{
	int fd;

	if (client->conf->ready_path == NULL)
		return;
	fd = open(client->conf->ready_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0) {
		client_say(client, NULL, "%s: %s", client->conf->ready_path, strerror(errno));
		client->result = CLIENT_FAILED;
		client->stop = true;
		return;
	}
	close(fd);
}

static void
everybody_joined(struct client *client, uint64_t now_ns)
{
	const struct participant *first = &client->participants[0];
	unsigned int n = client->conf->clones;

	client->ready_ns = now_ns;
	if (n > 1)
		fprintf(stderr, "joined room %s as %s to %s (%u participants)\n", first->room,
				first->name, client->participants[n - 1].name, n);
	else
		fprintf(stderr, "joined room %s as %s\n", first->room, first->name);
	write_ready_file(client);
	for (unsigned int i = 0; i < n; i++) {
		publish_start(&client->participants[i], now_ns);
		client->deadlines[i] = now_ns;
	}
	if (client->conf->interval_ns != 0)
		client->report_ns = now_ns + client->conf->interval_ns;
	if (client->conf->duration_ns != 0)
		client->end_ns = now_ns + client->conf->duration_ns;
}

/* Has everybody left who was heard, and has everybody heard enough streams? */
static bool
all_byes(const struct client *client)
{
	unsigned int want = RTE_MAX(client->conf->expect_streams, 1u);

	for (unsigned int i = 0; i < client->conf->clones; i++) {
		const struct participant *p = &client->participants[i];
		uint32_t nb_others = p->rx.nb_streams - p->nb_own;

		if (!ice_state_over(participant_state(p)) &&
				(nb_others < want || p->nb_byes < nb_others))
			return false;
	}
	return true;
}

/* Is what the command line asked for done? */
static bool
all_done(const struct client *client)
{
	const struct client_conf *conf = client->conf;

	if (client->interrupted)
		return true;
	if (conf->nb_gens == 0 && client->replay == NULL && !conf->until_bye && conf->count == 0)
		return false;
	if (client->nb_sending != 0)
		return false;
	if (conf->count != 0 && client->nb_counted + client->nb_over < conf->clones)
		return false;
	return !conf->until_bye || all_byes(client);
}

/* Stop, once every relay has read the Hangups that were asked for. */
static void
part(struct client *client, uint64_t now_ns)
{
	bool is_waiting = false;

	if (client->conf->hangup && client->part_ns == 0) {
		client->part_ns = now_ns + PART_NS;
		for (unsigned int i = 0; i < client->conf->clones; i++) {
			wzp_link_hangup(&client->participants[i]);
			client_touch(client, &client->participants[i]);
		}
	}
	for (unsigned int i = 0; i < client->conf->clones && client->part_ns > now_ns; i++)
		is_waiting |= quic_link_is_waiting(&client->participants[i]);
	if (is_waiting)
		client->end_ns = client->part_ns;
	client->stop |= !is_waiting;
}

/* What is due for the process as a whole. Returns when to come back. */
static uint64_t
client_turn(struct client *client, uint64_t now_ns)
{
	uint64_t next_ns;

	if (client->ready_ns == 0 && client->nb_joined == client->conf->clones)
		everybody_joined(client, now_ns);
	if (client->nb_over == client->conf->clones ||
			(client->nb_over != 0 && client->ready_ns == 0))
		client->stop = true;
	if (now_ns >= client->end_ns || client->part_ns != 0)
		part(client, now_ns);
	if (client->report_ns != 0 && now_ns >= client->report_ns) {
		report_interval(client, now_ns);
		client->report_ns += client->conf->interval_ns;
	}
	if (client->interrupted && client->ready_ns == 0)
		client->stop = true;
	if (client->ready_ns != 0 && client->part_ns == 0 && all_done(client)) {
		uint64_t linger_ns = client->interrupted ? 0 : client->conf->linger_ns;

		client->end_ns = RTE_MIN(client->end_ns, now_ns + linger_ns);
		if (now_ns >= client->end_ns)
			part(client, now_ns);
	}
	next_ns = client->end_ns;
	if (client->report_ns != 0)
		next_ns = RTE_MIN(next_ns, client->report_ns);
	return next_ns;
}

/* Let datagrams pile up, so that one system call takes many. */
static void
coalesce(uint64_t until_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(until_ns / PLM_NS_PER_S),
		.tv_nsec = (long)(until_ns % PLM_NS_PER_S) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static void
client_loop(struct client *client)
{
	unsigned int n = client->conf->clones;

	while (!client->stop) {
		struct epoll_event events[EVENTS];
		uint64_t now_ns = client_now();
		uint64_t next_ns;
		int got;

		for (unsigned int i = 0; i < n; i++)
			if (client->deadlines[i] <= now_ns)
				client->deadlines[i] =
						participant_turn(&client->participants[i], now_ns);
		next_ns = client_turn(client, now_ns);
		for (unsigned int i = 0; i < n; i++)
			next_ns = RTE_MIN(next_ns, client->deadlines[i]);
		if (client->stop)
			break;
		timer_set(client, next_ns);
		if (client->conf->coalesce_ns != 0)
			coalesce(now_ns + client->conf->coalesce_ns);
		got = epoll_wait(client->epoll_fd, events, EVENTS, -1);
		for (int i = 0; i < got; i++) {
			struct watch *watch = events[i].data.ptr;

			watch->ready(client, watch->arg);
		}
		if (got < 0 && errno != EINTR) {
			client_say(client, NULL, "epoll: %s", strerror(errno));
			client->result = CLIENT_FAILED;
			break;
		}
	}
}

/* A socket per participant, and some more. */
static void
raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* The file of --record. */
static int
record_init(struct client *client)
{
	const struct client_conf *conf = client->conf;
	char why_buf[256];
	struct plm_text why;
	char addr[80];
	int ret;

	if (conf->record_path == NULL)
		return 0;
	plm_text_init(&why, why_buf, sizeof(why_buf));
	ret = wzp_file_create(&client->record, conf->record_path,
			report_addr(&conf->relay, addr, sizeof(addr)), conf->room,
			client->begin_ns + client->wall_offset_ns, &why);
	if (ret < 0)
		client_say(client, NULL, "--record %s: %s", conf->record_path, why.buf);
	return ret;
}

static void
record_fini(struct client *client)
{
	int ret = wzp_file_close(client->record);

	client->record = NULL;
	if (ret == 0)
		return;
	client_say(client, NULL, "--record %s: %s", client->conf->record_path, strerror(-ret));
	if (client->result == CLIENT_OK)
		client->result = CLIENT_FAILED;
}

static int
client_init(struct client *client, const struct client_conf *conf)
{
	sigset_t signals;
	int ret;

	*client = (struct client){ .conf = conf,
		.epoll_fd = -1,
		.timer_fd = -1,
		.signal_fd = -1,
		.end_ns = UINT64_MAX };
	client->begin_ns = client_now();
	client->wall_offset_ns = clock_ns(CLOCK_REALTIME) - client->begin_ns;
	raise_fd_limit();

	client->participants = calloc(conf->clones, sizeof(*client->participants));
	client->deadlines = calloc(conf->clones, sizeof(*client->deadlines));
	client->rx = calloc(1, sizeof(*client->rx));
	client->tx = calloc(1, sizeof(*client->tx));
	client->hmac = plm_hmac_create();
	if (client->participants == NULL || client->deadlines == NULL || client->rx == NULL ||
			client->tx == NULL || client->hmac == NULL) {
		client_say(client, NULL, "out of memory");
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < conf->clones; i++)
		client->participants[i].fd = -1;
	for (unsigned int i = 0; i < RTE_DIM(client->producers); i++)
		client->producers[i].fd[0] = client->producers[i].fd[1] = -1;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	client->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	client->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	client->timer_watch = (struct watch){ .ready = timer_ready };
	client->signal_watch = (struct watch){ .ready = signal_ready };
	if (client->epoll_fd < 0 || client->timer_fd < 0 || client->signal_fd < 0 ||
			client_watch(client, client->timer_fd, &client->timer_watch) < 0 ||
			client_watch(client, client->signal_fd, &client->signal_watch) < 0) {
		client_say(client, NULL, "epoll: %s", strerror(errno));
		return -errno;
	}
	if (conf->wzp) {
		ret = quic_links_init(client);
		if (ret < 0)
			return ret;
	}
	for (unsigned int i = 0; i < conf->clones; i++) {
		ret = participant_init(&client->participants[i], client, i);
		if (ret < 0)
			return ret;
		client->deadlines[i] = client->participants[i].start_ns;
	}
	ret = replay_init(client);
	if (ret < 0)
		return ret;
	ret = producers_init(client);
	if (ret == 0)
		ret = sinks_init(client);
	return ret < 0 ? ret : record_init(client);
}

/* Takes a half-built one. */
static void
client_fini(struct client *client)
{
	for (unsigned int i = 0; client->participants != NULL && i < client->conf->clones; i++)
		participant_fini(&client->participants[i]);
	if (client->participants != NULL)
		producers_fini(client);
	sinks_fini(client);
	record_fini(client);
	replay_free(client->replay);
	quic_links_fini(client->quic);
	plm_hmac_free(client->hmac);
	free(client->tx);
	free(client->rx);
	free(client->deadlines);
	free(client->participants);
	if (client->signal_fd >= 0)
		close(client->signal_fd);
	if (client->timer_fd >= 0)
		close(client->timer_fd);
	if (client->epoll_fd >= 0)
		close(client->epoll_fd);
}

enum client_exit
client_run(const struct client_conf *conf)
{
	struct client client;

	if (client_init(&client, conf) < 0) {
		client_fini(&client);
		return CLIENT_FAILED;
	}
	client_loop(&client);
	for (unsigned int i = 0; i < conf->clones; i++)
		participant_leave(&client.participants[i]);
	record_fini(&client);
	if ((conf->has_expect || conf->expect_streams != 0) && client.result == CLIENT_OK &&
			!report_expected(&client))
		client.result = CLIENT_UNEXPECTED;
	report_final(&client, client_now());
	client_fini(&client);
	return client.result;
}
