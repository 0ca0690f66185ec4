/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The slow path copies an event into a ring and goes on; a control thread makes JSON lines of it.
 * A disk that stalls fills the ring, and then events are lost and counted (events_lost).
 */
#include "events.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_lcore.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "app.h"

#define RING_SIZE   1024
#define REASON_SIZE 256
/* How long a line may lie in the ring: the slow path does not wake the thread, which would be a
 * system call per event. */
#define POLL_MS 50

struct record {
	uint8_t type;
	bool has_tuple;
	int32_t code;
	uint64_t wall_s;
	struct plm_tuple tuple;
	char room[PLM_NAME_SIZE];
	char participant[PLM_NAME_SIZE];
	char reason[REASON_SIZE];
} __attribute__((aligned(8)));

struct events {
	/* const */
	struct rte_ring *ring;
	FILE *out;
	bool is_stderr;
	uint64_t cost_ns; /* of one event, by the configured rate */
	int stop_fd;
	pthread_t thread;
	bool has_thread;

	/* slow path */
	uint64_t tat_ns; /* theoretical arrival time: a second's worth may come at once */
};

static void
copy_name(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from != NULL ? from : "");
}

bool
events_put(void *arg, const struct plm_event *event)
{
	struct events *events = arg;
	struct record rec = {
		.type = (uint8_t)event->type,
		.has_tuple = event->has_tuple,
		.code = event->code,
		.wall_s = event->wall_s,
		.tuple = event->tuple,
	};

	if (events->tat_ns < event->now_ns)
		events->tat_ns = event->now_ns;
	if (events->tat_ns - event->now_ns > PLM_NS_PER_S)
		return false;
	copy_name(rec.room, sizeof(rec.room), event->room);
	copy_name(rec.participant, sizeof(rec.participant), event->participant);
	copy_name(rec.reason, sizeof(rec.reason), event->reason);
	if (rte_ring_sp_enqueue_elem(events->ring, &rec, sizeof(rec)) < 0)
		return false;
	events->tat_ns += events->cost_ns;
	return true;
}

static const char *
type_name(uint8_t type)
{
	static const char *const names[] = {
		[PLM_EVENT_ADMIT] = "admit",
		[PLM_EVENT_REFUSE] = "refuse",
		[PLM_EVENT_MOVE] = "move",
		[PLM_EVENT_REPLACE] = "replace",
		[PLM_EVENT_END] = "end",
		[PLM_EVENT_STALL] = "stall",
		[PLM_EVENT_RECOVER] = "recover",
		[PLM_EVENT_RELOAD] = "reload",
	};

	return type < RTE_DIM(names) ? names[type] : "unknown";
}

static void
set_string(json_t *line, const char *key, const char *value)
{
	if (*value != '\0')
		json_object_set_new(line, key, json_string(value));
}

static void
write_record(struct events *events, const struct record *rec)
{
	bool of_worker = rec->type == PLM_EVENT_STALL || rec->type == PLM_EVENT_RECOVER;
	time_t wall = (time_t)rec->wall_s;
	char buf[TUPLE_TEXT_SIZE];
	json_t *line = json_object();
	struct tm tm;
	char *text;

	gmtime_r(&wall, &tm);
	strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%SZ", &tm);
	set_string(line, "time", buf);
	set_string(line, "event", type_name(rec->type));
	set_string(line, "room", rec->room);
	set_string(line, "participant", rec->participant);
	set_string(line, "reason", rec->reason);
	if (rec->code != 0 || of_worker)
		json_object_set_new(line, of_worker ? "worker" : "code", json_integer(rec->code));
	if (rec->has_tuple)
		set_string(line, "address", tuple_text(&rec->tuple, buf));
	text = json_dumps(line, JSON_COMPACT);
	if (text != NULL)
		fprintf(events->out, "%s\n", text);
	free(text);
	json_decref(line);
}

static void *
events_main(void *arg)
{
	struct events *events = arg;
	struct pollfd stop = { .fd = events->stop_fd, .events = POLLIN };
	bool stopping;

	do {
		struct record rec;
		bool any = false;

		stopping = poll(&stop, 1, POLL_MS) > 0;
		while (rte_ring_sc_dequeue_elem(events->ring, &rec, sizeof(rec)) == 0) {
			write_record(events, &rec);
			any = true;
		}
		if (any)
			fflush(events->out);
	} while (!stopping);
	return NULL;
}

static int
open_log(struct events *events, const char *path, struct plm_text *why)
{
	int fd;

	if (strcmp(path, "stderr") == 0) {
		events->out = stderr;
		events->is_stderr = true;
		return 0;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd >= 0)
		events->out = fdopen(fd, "a");
	if (events->out == NULL) {
		plm_text_add(why, "events: %s cannot be written: %s", path, strerror(errno));
		return -errno;
	}
	return 0;
}

int
events_start(struct events **events, const char *path, uint32_t per_s, struct plm_text *why)
{
	struct events *e = calloc(1, sizeof(*e));
	int ret;

	if (e == NULL)
		return -ENOMEM;
	e->cost_ns = PLM_NS_PER_S / per_s;
	e->stop_fd = -1;
	ret = open_log(e, path, why);
	if (ret < 0)
		goto fail;
	e->stop_fd = eventfd(0, EFD_CLOEXEC);
	e->ring = rte_ring_create_elem("events", sizeof(struct record), RING_SIZE, SOCKET_ID_ANY,
			RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (e->stop_fd < 0 || e->ring == NULL) {
		plm_text_add(why, "events: no memory for the ring");
		ret = -ENOMEM;
		goto fail;
	}
	ret = rte_ctrl_thread_create(&e->thread, "plm-events", NULL, events_main, e);
	if (ret != 0) {
		plm_text_add(why, "events: no thread: %s", strerror(abs(ret)));
		ret = -abs(ret);
		goto fail;
	}
	e->has_thread = true;
	*events = e;
	return 0;

fail:
	events_stop(e);
	return ret;
}

void
events_stop(struct events *events)
{
	uint64_t one = 1;

	if (events == NULL)
		return;
	if (events->has_thread) {
		if (write(events->stop_fd, &one, sizeof(one)) == sizeof(one))
			pthread_join(events->thread, NULL);
	}
	rte_ring_free(events->ring);
	if (events->out != NULL && !events->is_stderr)
		fclose(events->out);
	if (events->stop_fd >= 0)
		close(events->stop_fd);
	free(events);
}
