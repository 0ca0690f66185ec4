/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace room: workers copy the frames of the room into rings of their own (plm_relay_trace_next()), a
 * control thread takes them from there and writes the file. It ends by itself: with the last
 * packet asked for, when the time is up, when the room closes, when the disk refuses.
 *
 *   command ── arms ──▶ slow path ── publishes a view ──▶ workers ── rings ──▶ thread ── file
 */
#include "trace.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_lcore.h>

#include "app.h"

#define CALL_MS 2000
/* How long frames may lie in the rings: at most this many milliseconds' worth must fit them. */
#define POLL_MS 5
/* Frames of one pass, for each worker: about what its ring holds. Then time, disk and an end are looked
 * at, however fast more of them come. */
#define PASS_FRAMES     1024
#define SECONDS_DEFAULT 60
#define PATH_SIZE       (CONF_PATH_SIZE + PLM_NAME_SIZE + 64)

enum trace_state {
	TRACE_RUNS,
	TRACE_WHOLE,
	TRACE_TIME,
	TRACE_STOPPED,
	TRACE_GONE,
	TRACE_DISK,
	TRACE_ARMED,
};

struct trace {
	/* const while the thread runs */
	struct app *app;
	char room[PLM_NAME_SIZE];
	char path[PATH_SIZE];
	uint32_t room_idx;
	uint64_t nb_wanted;
	uint64_t begin_ns; /* what came before belongs to the trace before */
	uint64_t end_ns;
	uint64_t wall_ns; /* Unix time minus the relay's clock */
	uint64_t missed_from;
	int stop_fd;
	pthread_t thread;
	bool has_thread;

	/* the thread's */
	pcap_t *pcap;
	pcap_dumper_t *dump;

	/* thread writes, any reads */
	_Atomic uint64_t nb_written;
	_Atomic int state; /* enum trace_state */
};

static const char *
state_name(int state)
{
	static const char *const names[] = {
		[TRACE_RUNS] = "running",
		[TRACE_WHOLE] = "complete",
		[TRACE_TIME] = "its time was up",
		[TRACE_STOPPED] = "stopped",
		[TRACE_GONE] = "the room closed",
		[TRACE_DISK] = "the file could not be written",
		[TRACE_ARMED] = "over, but the slow path did not answer: workers go on copying",
	};

	return names[state];
}

/* --- on the slow path ----------------------------------------------------------------------- */

struct arm {
	char room[PLM_NAME_SIZE];
	bool on;
};

/* Answers with the room's index. */
static int
call_arm(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	struct plm_room_table *rooms = plm_ctl_rooms(ctl);
	const struct arm *arm = arg;
	struct plm_room_settings settings;
	struct plm_room_info info;
	uint32_t idx;
	int ret = plm_room_find(rooms, PLM_ROOM_RTP, arm->room, &idx);

	if (ret == 0)
		ret = plm_room_info(rooms, idx, &info);
	if (ret < 0)
		return ret;
	settings = info.settings;
	settings.traced = arm->on;
	ret = plm_room_set(rooms, idx, &settings, now_ns);
	return ret < 0 ? ret : app_answer(out, &idx, sizeof(idx));
}

/* -ENOENT: the room that was armed is gone, though another of its name may be there. */
static int
call_armed(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	struct plm_room_info info;
	uint32_t idx;
	int ret = plm_room_find(plm_ctl_rooms(ctl), PLM_ROOM_RTP, arg, &idx);

	if (ret == 0)
		ret = plm_room_info(plm_ctl_rooms(ctl), idx, &info);
	return ret == 0 && info.settings.traced ? 0 : -ENOENT;
}

static int
arm(struct trace *t, bool on)
{
	struct arm what = { .on = on };
	char out[PLM_CALL_TEXT];
	uint32_t cursor = 0;
	int ret;

	snprintf(what.room, sizeof(what.room), "%s", t->room);
	ret = plm_ctl_call(t->app->ctl, call_arm, &what, sizeof(what), out, &cursor, CALL_MS);
	if (ret == 0)
		memcpy(&t->room_idx, out, sizeof(t->room_idx));
	return ret;
}

static bool
room_is_gone(struct trace *t)
{
	char out[PLM_CALL_TEXT];
	uint32_t cursor = 0;

	return plm_ctl_call(t->app->ctl, call_armed, t->room, sizeof(t->room), out, &cursor,
			       CALL_MS) == -ENOENT;
}

/* --- the thread ----------------------------------------------------------------------------- */

static void
write_frame(struct trace *t, const struct plm_relay_frame *frame)
{
	uint64_t at_ns = frame->rx_ns + t->wall_ns;
	struct pcap_pkthdr head = {
		.ts = { .tv_sec = (time_t)(at_ns / PLM_NS_PER_S),
				.tv_usec = (suseconds_t)(at_ns % PLM_NS_PER_S / PLM_NS_PER_US) },
		.caplen = frame->nb_bytes,
		.len = frame->len,
	};

	pcap_dump((u_char *)t->dump, &head, frame->bytes);
}

/*
 * Take what the workers have copied, and write it as far as it is wanted: whoever's frame is the oldest
 * has its turn, so no worker, however busy, keeps another one's out. The file has each worker's frames
 * as it took them, and all of them by time, but for one that was not in its ring yet when a younger one
 * of another worker was taken: it stands behind that, late by less than its worker's turn (and, if it had
 * come to another worker's queue, by its time in the ring between them).
 *
 * False: more may be there.
 */
static bool
take_frames(struct trace *t)
{
	struct plm_relay *relay = plm_ctl_relay(t->app->ctl);
	uint64_t nb = atomic_load_explicit(&t->nb_written, memory_order_relaxed);
	unsigned int left = PASS_FRAMES * t->app->conf.nb_workers;
	struct plm_relay_frame frame;
	unsigned int w;

	for (; left > 0 && nb < t->nb_wanted && plm_relay_trace_oldest(relay, &w, &frame); left--) {
		/* A worker may still have copied a frame of the trace before. */
		if (t->dump != NULL && frame.room_idx == t->room_idx &&
				frame.rx_ns >= t->begin_ns) {
			write_frame(t, &frame);
			nb++;
		}
		plm_relay_trace_taken(relay, w);
	}
	atomic_store_explicit(&t->nb_written, nb, memory_order_relaxed);
	return left > 0;
}

static int
next_state(struct trace *t, bool stopping, uint64_t *checked_ns)
{
	uint64_t now_ns = clock_now_ns(NULL);

	if (ferror(pcap_dump_file(t->dump)))
		return TRACE_DISK;
	if (atomic_load_explicit(&t->nb_written, memory_order_relaxed) == t->nb_wanted)
		return TRACE_WHOLE;
	if (stopping)
		return TRACE_STOPPED;
	if (now_ns >= t->end_ns)
		return TRACE_TIME;
	if (now_ns - *checked_ns < PLM_NS_PER_S)
		return TRACE_RUNS;
	*checked_ns = now_ns;
	return room_is_gone(t) ? TRACE_GONE : TRACE_RUNS;
}

static void *
trace_main(void *arg)
{
	struct trace *t = arg;
	struct pollfd stop = { .fd = t->stop_fd, .events = POLLIN };
	uint64_t checked_ns = clock_now_ns(NULL);
	bool all = true;
	int state;
	int ret;

	do {
		bool stopping = poll(&stop, 1, all ? POLL_MS : 0) > 0;

		all = take_frames(t);
		state = next_state(t, stopping, &checked_ns);
	} while (state == TRACE_RUNS);
	ret = arm(t, false);
	if (pcap_dump_flush(t->dump) < 0)
		state = TRACE_DISK;
	pcap_dump_close(t->dump);
	t->dump = NULL;
	/* Release: the file is whole. */
	atomic_store_explicit(&t->state, ret < 0 && ret != -ENOENT ? TRACE_ARMED : state,
			memory_order_release);
	return NULL;
}

/* --- commands ------------------------------------------------------------------------------- */

static uint64_t
nb_missed(const struct app *app)
{
	uint64_t sum = 0;

	for (unsigned int w = 0; w < app->conf.nb_workers; w++)
		sum += plm_counter_get(plm_relay_counters(plm_ctl_relay(app->ctl), w),
				PLM_CNT_TRACE_MISSED);
	return sum;
}

static void
join(struct trace *t)
{
	uint64_t one = 1;

	if (!t->has_thread)
		return;
	if (write(t->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(t->thread, NULL);
	t->has_thread = false;
	pcap_close(t->pcap);
	t->pcap = NULL;
}

void
trace_free(struct trace *t)
{
	if (t == NULL)
		return;
	join(t);
	if (t->dump != NULL)
		pcap_dump_close(t->dump);
	if (t->pcap != NULL)
		pcap_close(t->pcap);
	if (t->stop_fd >= 0)
		close(t->stop_fd);
	free(t);
}

static void
show_trace(struct plm_cli *cli, const struct trace *t)
{
	plm_cli_print(cli,
			"room %s: %s, %" PRIu64 " of %" PRIu64 " packets written, %" PRIu64
			" missed, %s\n",
			t->room, state_name(atomic_load_explicit(&t->state, memory_order_acquire)),
			atomic_load_explicit(&t->nb_written, memory_order_relaxed), t->nb_wanted,
			nb_missed(t->app) - t->missed_from, t->path);
}

/* The file, named after room and time, which nobody else may read: there is media in it. */
static int
open_file(struct trace *t, struct plm_cli *cli)
{
	uint64_t now_ns = t->wall_ns + clock_now_ns(NULL);
	time_t now = (time_t)(now_ns / PLM_NS_PER_S);
	char when[32];
	FILE *out = NULL;
	struct tm tm;
	int fd;

	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%S", &tm);
	snprintf(t->path, sizeof(t->path), "%s/%s-%s.%03uZ.pcap", t->app->conf.trace_dir, t->room,
			when, (unsigned int)(now_ns / PLM_NS_PER_MS % 1000));
	fd = open(t->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		out = fdopen(fd, "w");
	if (out == NULL) {
		int ret = -errno;

		plm_cli_print(cli, "%s cannot be made: %s\n", t->path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return ret;
	}
	t->pcap = pcap_open_dead(DLT_EN10MB, UINT16_MAX);
	if (t->pcap != NULL)
		t->dump = pcap_dump_fopen(t->pcap, out);
	if (t->dump != NULL)
		return 0;
	plm_cli_print(cli, "%s: no memory\n", t->path);
	fclose(out);
	unlink(t->path);
	return -ENOMEM;
}

static int
start(struct trace *t, struct plm_cli *cli)
{
	int ret = plm_relay_trace_prepare(plm_ctl_relay(t->app->ctl));

	if (ret < 0) {
		plm_cli_print(cli, "no memory for the workers' buffers\n");
		return ret;
	}
	take_frames(t); /* what is left of the last one: there is no file yet */
	ret = open_file(t, cli);
	if (ret < 0)
		return ret;
	t->missed_from = nb_missed(t->app);
	t->stop_fd = eventfd(0, EFD_CLOEXEC);
	ret = t->stop_fd < 0 ? -errno : arm(t, true);
	if (ret == 0) {
		ret = -abs(rte_ctrl_thread_create(&t->thread, "plm-trace", NULL, trace_main, t));
		t->has_thread = ret == 0;
	}
	if (ret < 0 && ret != -ENOENT)
		arm(t, false); /* it may have been taken, or be taken yet */
	if (ret == -ENOENT)
		plm_cli_print(cli, "there is no room %s\n", t->room);
	else if (ret < 0)
		plm_cli_print(cli, "the trace does not start: %s\n", strerror(-ret));
	if (ret < 0)
		unlink(t->path);
	return ret;
}

static uint64_t
wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * PLM_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static bool
runs(const struct trace *t)
{
	/* Acquire pairs with the thread's release. */
	return t != NULL && atomic_load_explicit(&t->state, memory_order_acquire) == TRACE_RUNS;
}

int
cmd_trace_room(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	uint64_t seconds = args->nb > 2 ? args->arg[2].num : SECONDS_DEFAULT;
	struct app *app = ctx;
	struct trace *t;
	int ret;

	if (app->conf.trace_dir[0] == '\0') {
		plm_cli_print(cli, "there is no place for it: set trace_dir in %s\n",
				app->conf_path);
		return -ENOTSUP;
	}
	if (strncmp(args->arg[0].word, ROOM_QUIC, strlen(ROOM_QUIC)) == 0) {
		plm_cli_print(cli,
				"rooms of QUIC clients are not traced: what comes is encrypted\n");
		return -ENOTSUP;
	}
	if (!plm_name_valid(args->arg[0].word, strlen(args->arg[0].word))) {
		plm_cli_print(cli, "there is no room %s\n", args->arg[0].word);
		return -ENOENT;
	}
	if (runs(app->trace)) {
		plm_cli_print(cli, "there is one already, `trace stop` ends it: ");
		show_trace(cli, app->trace);
		return -EBUSY;
	}
	trace_free(app->trace);
	app->trace = NULL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->app = app;
	t->stop_fd = -1;
	t->nb_wanted = args->arg[1].num;
	t->begin_ns = clock_now_ns(NULL);
	t->end_ns = t->begin_ns + seconds * PLM_NS_PER_S;
	t->wall_ns = wall_ns() - clock_now_ns(NULL);
	snprintf(t->room, sizeof(t->room), "%s", args->arg[0].word);
	ret = start(t, cli);
	if (ret < 0) {
		trace_free(t);
		return ret;
	}
	app->trace = t;
	plm_cli_print(cli,
			"the next %" PRIu64 " packets of room %s, within %" PRIu64 " s, go to %s\n",
			t->nb_wanted, t->room, seconds, t->path);
	return 0;
}

int
cmd_trace_stop(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	struct app *app = ctx;

	if (!runs(app->trace)) {
		plm_cli_print(cli, "there is no trace to stop\n");
		return -ENOENT;
	}
	join(app->trace);
	show_trace(cli, app->trace);
	return 0;
}

int
cmd_show_trace(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	struct app *app = ctx;

	if (app->trace == NULL)
		plm_cli_print(cli, "none since the start\n");
	else
		show_trace(cli, app->trace);
	return 0;
}
