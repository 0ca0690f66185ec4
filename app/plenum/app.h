/* SPDX-License-Identifier: BSD-3-Clause */
/* The running relay as its program sees it: what was made in which order, and who drives it. */
#ifndef APP_H
#define APP_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "auth.h"
#include "config.h"
#include "events.h"
#include "plm_cli.h"

#define EXIT_USAGE    2
#define EXIT_NO_RELAY 3
#define EXIT_FORCED   130

struct events;
struct ctlsock;
struct trace;

/* How the relay is to end. */
enum app_end {
	APP_RUNS,
	APP_DRAIN,
};

struct app_worker {
	struct app *app;
	unsigned int idx;
};

struct app_busy {
	uint64_t busy_ns;
	uint64_t total_ns;
};

/* What became of a port: main's. */
struct app_watch {
	char name[CONF_DEVICE_SIZE];
	const char *ifname;   /* interface of the kernel that carries it, or NULL */
	unsigned int ifindex; /* of that one; another one of its name is not it */
	const char *why;      /* told last: why there is no link; NULL: there is one */
};

struct app {
	/* const after start */
	const char *conf_path;
	struct conf conf;
	struct plm_ctl *ctl;
	struct plm_port ports[PLM_PORTS_MAX];
	const struct plm_port *port_list[PLM_PORTS_MAX];
	unsigned int nb_ports; /* opened */
	struct rte_mempool *rx_pools[PLM_WORKERS_MAX];
	struct rte_mempool *hdr_pools[PLM_WORKERS_MAX];
	struct rte_mempool *copy_pools[PLM_WORKERS_MAX];
	struct rte_mempool *quic_pools[PLM_WORKERS_MAX];
	struct plm_aead *aead;
	struct plm_quic_identity *identity;
	struct auth *auth; /* NULL: no tokens */
	struct rte_mempool *slice_pools[PLM_WORKERS_MAX];
	struct rte_mempool *frame_pool;
	struct app_worker worker_ctx[PLM_WORKERS_MAX];
	struct plm_lcore workers[PLM_WORKERS_MAX];
	struct plm_lcore slow;
	bool lcores_launched;
	struct events *events;
	struct ctlsock *ctlsock;
	int wake_fd; /* eventfd: something for main to look at */

	/*
	 * One command at a time, whoever typed it: the prompt and the control socket's thread, and
	 * main when it reads links and reloads. Guards ports, `busy_from`, `watch` and what follows.
	 */
	pthread_mutex_t lock;
	struct app_busy busy_from[PLM_WORKERS_MAX + 1]; /* slow path last */
	struct app_watch watch[PLM_PORTS_MAX];
	unsigned int drain_s;
	struct trace *trace; /* the last one, NULL: none yet */

	/* main writes under the lock, any reads: busy share of the last second, percent */
	_Atomic uint8_t busy[PLM_WORKERS_MAX + 1];
	/* any writes, main reads: enum app_end */
	_Atomic int end;
};

/* Commands, the same for prompt, file and socket. */
extern const struct plm_cli_cmd app_cmds[];

/* relay.c: everything from EAL's end to the first packet, and back. `why` is one line. */
int app_start(struct app *app, struct plm_text *why);

/*
 * No new sessions, wait up to `drain_s` for those that run, end the rest, stop, free. 0, or
 * -EBUSY when a pool is not full afterwards, with its name in `what`.
 */
int app_stop(struct app *app, struct plm_text *what);

/* All secrets, or none (nb 0): negative errno, and `why` names the file. */
int app_read_secrets(const struct conf *conf, struct plm_secrets *secrets, struct plm_text *why);

/* Link states and busy shares; main, once a second. */
void app_tick(struct app *app);

/* Ask main to drain and end. Any thread. */
void app_end(struct app *app, unsigned int drain_s);

/* Read secrets, limits and static endpoints again. 0 or negative errno; `why` says what was done or why not. Lock held. */
int app_reload(struct app *app, struct plm_text *why);

/* watch.c: remember what the ports sit on, then say what becomes of them. Lock held. */
void watch_start(struct app *app);
void watch_ports(struct app *app);

/* unmap.c: while workers run, no memory goes that they may be using; NULL: none do. */
void unmap_guard(const struct app *app);

/* eal.c */
int eal_start(const struct conf *conf, struct plm_text *why);

/* clock.c */
uint64_t clock_now_ns(void *ctx);
uint64_t clock_wall_s(void);

/* Run a call on the slow path, page by page, and print what it says. Lock held. */
int app_call(struct app *app, struct plm_cli *cli, plm_call_fn fn, const void *arg, size_t len);

#define APP_LIST_ALL UINT32_MAX

/* What a call that lists one line each is asked for. */
struct app_list {
	uint32_t from; /* index of the first */
	uint32_t rows; /* lines that are still wanted, or APP_LIST_ALL */
	char name[128];
};

/* `from` and `rows` of a command, its words `first` and the next, or everything. */
void app_list_init(struct app_list *list, const struct plm_cli_args *args, unsigned int first);

/* The same for a list: `fn` is handed the struct app_list, writes at most `rows` lines and sets its
 * cursor if there are more. `head`, if any, comes before the first. */
int app_call_list(struct app *app, struct plm_cli *cli, plm_call_fn fn, struct app_list *list,
		const char *head);

/* Answer a call with a structure instead of text, or with one more; 0 or -ENOSPC. */
static inline int
app_answer(struct plm_text *out, const void *what, size_t size)
{
	if (out->len + size >= out->size)
		return -ENOSPC;
	memcpy(out->buf + out->len, what, size);
	out->len += size;
	out->buf[out->len] = '\0';
	return 0;
}

/* Page full? Then the call sets its cursor and returns. */
static inline bool
app_page_full(const struct plm_text *out)
{
	return out->len + 512 > out->size;
}

/* The commands, by verb. */
int cmd_show_port_stats(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_port_xstats(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_port_info(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_room_all(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_room(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_set_room_max(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_set_room_packets(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_set_room_bits(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_set_room_dscp(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_set_room_dscp_copy(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_set_room_rtcp(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_set_room_consent(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_session_all(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_session(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_kick_session(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_kick_participant(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_static_all(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_lcore_all(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_latency(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_memory(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_wzp(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_quic(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_drops(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_drops_all(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_counters(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_neighbours(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_trace_room(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_trace_stop(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_show_trace(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_clear(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_start(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_stop(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_drain(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_reload(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_quit(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);
int cmd_help(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args);

/* Shared by what runs on the slow path. */

/* Room slots that one call looks at, so that it is a short turn in a big table, too. */
#define APP_SCAN_ROOMS 4096

/* Rates of a room: those of its members, added up. */
void room_rates(struct plm_ctl *ctl, uint32_t room_idx, uint32_t nb_members,
		struct plm_ctl_rates *sum);
/*
 * A room as commands name it: NAME is an RTP room's, "quic/NAME" that of QUIC clients, since both may have
 * one of the same name. Where a plain NAME is no RTP room's, a QUIC room's is meant. 0 or -ENOENT.
 */
#define ROOM_QUIC      "quic/"
#define ROOM_TEXT_SIZE (sizeof(ROOM_QUIC) - 1 + PLM_NAME_SIZE)
int room_find(struct plm_ctl *ctl, const char *text, uint32_t *idx);
const char *room_text(const struct plm_room_info *info, char buf[ROOM_TEXT_SIZE]);
/* Where a session's packets go now; "-": nowhere yet. */
const char *session_address(struct plm_ctl *ctl, struct plm_handle h,
		const struct plm_admit_info *info, char buf[TUPLE_TEXT_SIZE]);
/* How it was let in: "ice", "quic" or "static". */
const char *session_by(const struct plm_admit_info *info);
/* Does a counter of this class count losses? */
bool counter_is_drop(enum plm_counter_class class);
const char *role_name(uint8_t role);
/* "198.18.0.2:5004" or "[fd00::2]:5004". */
const char *tuple_text(const struct plm_tuple *tuple, char buf[TUPLE_TEXT_SIZE]);
/* "IDX.GEN", as `show session` prints it. 0 or -EINVAL. */
int session_id_parse(const char *word, struct plm_handle *session);

/* Programs that need no relay; the exit code. */
int credential_main(int argc, char **argv);
int ctl_main(int argc, char **argv);
int reference_main(const char *what);

#endif
