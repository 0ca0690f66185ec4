/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QUIC clients of the engine: first those who stay, by participant, then those who come and go.
 *
 *   IDLE ── begun ──▶ HANDSHAKE ── established ──▶ JOINING ── answered ──▶ OPEN ── we close ──▶ ENDING
 *                         └─ failed, by reason ─────────┴────────────────────┴─ lost ──▶ IDLE ◀─ three PTOs ─┘
 *
 * All memory is taken at the start, but for what GnuTLS takes during a handshake. Beginning one (its offer
 * to join is signed then), hearing a server's first flight and its answer cost some hundred microseconds
 * each, so a turn begins one at most.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <rte_errno.h>

#include "bytes.h"
#include "load.h"
#include "plm_crypto.h"
#include "plm_wheel.h"
#include "quic_side.h"

#define NONE UINT32_MAX
/* Timers that a turn looks at, and connections that it flushes. */
#define TIMER_BUDGET 32
#define FLUSH_BUDGET 32
/* What a timer may be late after a datagram was sent. */
#define LAZY_NS (20 * PLM_NS_PER_MS)
#define TICK_NS PLM_NS_PER_MS
/* How long who comes and goes stays, and after how long its address may be used again. */
#define STAY_NS (1 * PLM_NS_PER_S)
#define REUSE_S 4
#define EXTENT  (16 * 1024)
/* Of a client that reads no streams. */
#define UNREAD_STREAMS 100
#define UNREAD_EXTENTS 4
#define HUGE_PAGE      (2u << 20)
/* A client's handshake takes some more than a server's. */
#define ARENA (PLM_QUIC_ARENA_MIN + 8 * 1024)
/* So that the connections' first lines do not all fall into the same sets of a cache. */
#define STRIDE        (ARENA + 5 * RTE_CACHE_LINE_SIZE)
#define IDLE_NS       (30 * PLM_NS_PER_S)
#define HANDSHAKE_NS  (10 * PLM_NS_PER_S)
#define JOIN_NS       (10 * PLM_NS_PER_S) /* from the handshake to the answer */
#define KEEP_ALIVE_NS (10 * PLM_NS_PER_S)
#define REFUSED       2     /* CONNECTION_REFUSED */
#define CRYPTO_ERROR  0x100 /* and a TLS alert */

enum phase {
	IDLE,
	HANDSHAKE,
	JOINING,
	OPEN,
	ENDING,
};

struct client {
	struct plm_quic_conn *conn; /* owned; NULL: IDLE */
	uint64_t begun_ns;
	uint64_t deadline_ns; /* when it gives up joining, or leaves; UINT64_MAX: never */
	uint32_t next;        /* of those to be flushed, or of the idle ones that come and go */
	uint32_t gen;
	uint8_t phase;
	bool is_queued; /* to be flushed */
	bool has_tls;
	bool is_unread; /* it reads no stream but the answer's */
	bool is_told;   /* of all who stay in its room */
	bool is_wrong;  /* what it was told: it is about to close */
	struct load_wzp wzp;
};

struct load_quic {
	struct load_quic_conf conf;
	struct quic_side side; /* owned */
	struct quic_side
			side_unread; /* owned; of who reads no more streams, as the original's command line */
	uint32_t nb_clients;
	struct client *clients;         /* owned; [nb_clients] */
	uint8_t seed[PLM_WZP_KEY];      /* of their identities */
	struct plm_wheel_entry *timers; /* owned; [nb_clients] */
	uint8_t *arenas;                /* owned; STRIDE each */
	uint8_t *extents;               /* owned; EXTENT each */
	void *free_extent;              /* whose first bytes name the next */
	struct plm_quic_memory memory;
	struct plm_quic_out out;
	struct plm_wheel wheel;

	uint32_t dirty_head;
	uint32_t dirty_tail;
	uint32_t nb_dirty;
	uint32_t idle_head; /* oldest first, so that an address rests */
	uint32_t idle_tail;
	uint32_t nb_up;       /* not IDLE */
	uint32_t nb_arriving; /* HANDSHAKE or JOINING */
	struct load_pace steady;
	struct load_pace passing;
	uint64_t passing_room; /* where the next of them goes */
	uint64_t now_ns;       /* of the call that a connection's callback is in */
	bool is_over;          /* nobody else comes */
	uint32_t culprit;
	struct plm_quic_end culprit_end;
	enum load_quic_fail culprit_fail;
	bool has_failed;
	struct load_quic_result r;
};

/* --- memory -------------------------------------------------------------------------------- */

static void *
extent_get(void *ctx)
{
	struct load_quic *q = ctx;
	void *extent = q->free_extent;

	if (extent != NULL)
		memcpy(&q->free_extent, extent, sizeof(q->free_extent));
	return extent;
}

static void
extent_put(void *ctx, void *extent)
{
	struct load_quic *q = ctx;

	memcpy(extent, &q->free_extent, sizeof(q->free_extent));
	q->free_extent = extent;
}

/* --- rows ---------------------------------------------------------------------------------- */

static bool
is_steady(const struct load_quic *q, uint32_t idx)
{
	return idx < q->conf.nb_steady;
}

static struct load_quic_kind *
kind_of(struct load_quic *q, uint32_t idx)
{
	return is_steady(q, idx) ? &q->r.steady : &q->r.passing;
}

static void
dirty(struct load_quic *q, uint32_t idx)
{
	struct client *c = &q->clients[idx];

	if (c->is_queued)
		return;
	c->is_queued = true;
	c->next = NONE;
	if (q->nb_dirty++ == 0)
		q->dirty_head = idx;
	else
		q->clients[q->dirty_tail].next = idx;
	q->dirty_tail = idx;
}

static void
idle_add(struct load_quic *q, uint32_t idx)
{
	q->clients[idx].next = NONE;
	if (q->idle_head == NONE)
		q->idle_head = idx;
	else
		q->clients[q->idle_tail].next = idx;
	q->idle_tail = idx;
}

/* --- what a connection tells ---------------------------------------------------------------- */

static uint8_t *
out_get(struct plm_quic_out *out)
{
	struct load_quic *q = container_of(out, struct load_quic, out);

	return q->conf.user.get(q->conf.user.ctx);
}

static void
out_put(struct plm_quic_out *out, struct plm_quic_conn *conn, size_t len,
		const struct plm_quic_path *path, uint8_t ecn)
{
	struct load_quic *q = container_of(out, struct load_quic, out);

	if (len > 0)
		q->conf.user.put(q->conf.user.ctx, plm_quic_conn_slot(conn), len, ecn);
}

static void
got_datagram(void *ctx, struct plm_quic_conn *conn, const uint8_t *buf, size_t len)
{
	struct load_quic *q = ctx;

	q->conf.user.media(q->conf.user.ctx, plm_quic_conn_slot(conn), buf, len, q->now_ns);
}

static void
established(void *ctx, struct plm_quic_conn *conn)
{
	struct load_quic *q = ctx;
	uint32_t idx = plm_quic_conn_slot(conn);
	struct client *c = &q->clients[idx];
	struct load_quic_kind *kind = kind_of(q, idx);

	c->phase = JOINING;
	c->deadline_ns = q->now_ns + JOIN_NS;
	c->is_wrong = load_wzp_offer(&c->wzp, conn) < 0;
	kind->established++;
	plm_hist_add(&kind->times, q->now_ns - c->begun_ns);
}

static void
joined(struct load_quic *q, uint32_t idx)
{
	struct client *c = &q->clients[idx];
	struct load_quic_kind *kind = kind_of(q, idx);

	c->phase = OPEN;
	c->deadline_ns = is_steady(q, idx) ? UINT64_MAX : q->now_ns + STAY_NS;
	q->nb_arriving--;
	kind->joined++;
	plm_hist_add(&kind->joins, q->now_ns - c->begun_ns);
}

static void
updated(struct load_quic *q, uint32_t idx)
{
	struct client *c = &q->clients[idx];
	struct load_quic_kind *kind = kind_of(q, idx);
	bool is_told = is_steady(q, idx) && c->wzp.nb_listed >= q->conf.room_size;

	kind->updates++;
	kind->update_bytes += c->wzp.update_len;
	q->r.steady.told += is_told;
	q->r.steady.told -= c->is_told;
	c->is_told = is_told;
}

static int
got_stream(void *ctx, struct plm_quic_conn *conn, int64_t stream_id, const uint8_t *buf, size_t len,
		bool fin)
{
	struct load_quic *q = ctx;
	uint32_t idx = plm_quic_conn_slot(conn);
	struct client *c = &q->clients[idx];

	if (c->is_unread && c->wzp.has_answer)
		return 0;
	plm_quic_stream_consumed(conn, stream_id, len);
	switch (load_wzp_take(&c->wzp, stream_id, buf, len, fin)) {
	case LOAD_WZP_ANSWERED:
		if (c->phase == JOINING)
			joined(q, idx);
		break;
	case LOAD_WZP_UPDATE:
		updated(q, idx);
		break;
	case LOAD_WZP_WRONG:
		c->is_wrong = true;
		break;
	case LOAD_WZP_NOTHING:
	case LOAD_WZP_PONG:
	case LOAD_WZP_OTHER:
		break;
	}
	return 0;
}

static void
got_reset(void *ctx, struct plm_quic_conn *conn, int64_t stream_id)
{
	struct load_quic *q = ctx;

	load_wzp_reset(&q->clients[plm_quic_conn_slot(conn)].wzp, stream_id);
}

static const struct plm_quic_ops ops = {
	.datagram = got_datagram,
	.stream = got_stream,
	.stream_reset = got_reset,
	.established = established,
	.moved = quic_side_no_move,
	.chunk_done = quic_side_no_chunk,
};

/* --- coming and going ------------------------------------------------------------------------ */

static void
conn_free(struct client *c)
{
	void *tls = c->conn == NULL ? NULL : plm_quic_conn_tls_take(c->conn);

	plm_quic_conn_free(c->conn);
	c->conn = NULL;
	if (tls != NULL)
		gnutls_deinit(tls);
}

static enum load_quic_fail
fail_of(const struct plm_quic_end *end)
{
	if (end->is_timeout)
		return LOAD_QUIC_TIMEOUT;
	if (!end->is_remote)
		return LOAD_QUIC_OURS;
	if (!end->is_application && end->code == REFUSED)
		return LOAD_QUIC_REFUSED;
	return !end->is_application && end->code >= CRYPTO_ERROR && end->code < CRYPTO_ERROR + 256
			? LOAD_QUIC_TLS
			: LOAD_QUIC_CLOSED;
}

static bool
is_arriving(const struct client *c)
{
	return c->phase == HANDSHAKE || c->phase == JOINING;
}

/* A connection has come to nothing, or has ended without us. */
static void
count_end(struct load_quic *q, uint32_t idx, enum load_quic_fail fail,
		const struct plm_quic_end *end)
{
	struct client *c = &q->clients[idx];
	struct load_quic_kind *kind = kind_of(q, idx);

	if (is_arriving(c)) {
		kind->failed[fail]++;
		q->nb_arriving--;
	} else {
		kind->lost++;
	}
	if (!is_steady(q, idx) || q->has_failed)
		return;
	q->has_failed = true;
	q->culprit = idx;
	q->culprit_end = *end;
	q->culprit_fail = fail;
}

static void
gone(struct load_quic *q, uint32_t idx)
{
	struct client *c = &q->clients[idx];

	if (c->phase != ENDING) {
		struct plm_quic_end end = plm_quic_conn_end(c->conn);

		count_end(q, idx, fail_of(&end), &end);
	}
	q->r.steady.told -= c->is_told;
	c->is_told = false;
	q->nb_up--;
	plm_wheel_disarm(&q->wheel, idx);
	conn_free(c);
	c->phase = IDLE;
	if (!is_steady(q, idx))
		idle_add(q, idx);
}

static void
say_goodbye(struct load_quic *q, uint32_t idx)
{
	struct client *c = &q->clients[idx];

	c->phase = ENDING;
	plm_quic_close(c->conn, 0, "");
	dirty(q, idx);
}

/* We have enough of it, and it did not get in, or was told nonsense. */
static void
give_up(struct load_quic *q, uint32_t idx, enum load_quic_fail fail)
{
	static const struct plm_quic_end ours;

	count_end(q, idx, fail, &ours);
	say_goodbye(q, idx);
}

/* After anything that may have changed a connection which waits for no flush. */
static void
settle(struct load_quic *q, uint32_t idx)
{
	struct client *c = &q->clients[idx];

	if (c->is_wrong && (c->phase == JOINING || c->phase == OPEN) &&
			plm_quic_conn_state(c->conn) == PLM_QUIC_ESTABLISHED) {
		give_up(q, idx, LOAD_QUIC_ANSWER);
		return;
	}
	if (plm_quic_is_dirty(c->conn)) {
		dirty(q, idx);
		return;
	}
	/* Who was told that it is over has nothing to say any more. */
	if (plm_quic_conn_state(c->conn) >= PLM_QUIC_DRAINING) {
		gone(q, idx);
		return;
	}
	if (c->has_tls && c->phase == OPEN) {
		gnutls_deinit(plm_quic_conn_tls_take(c->conn));
		c->has_tls = false;
	}
	plm_wheel_arm(&q->wheel, idx,
			c->phase == OPEN || c->phase == JOINING
					? RTE_MIN(plm_quic_expiry(c->conn), c->deadline_ns)
					: plm_quic_expiry(c->conn));
}

static void
leave(struct load_quic *q, uint32_t idx)
{
	struct client *c = &q->clients[idx];

	if (c->phase == OPEN) {
		kind_of(q, idx)->closed++;
	} else {
		kind_of(q, idx)->given_up++;
		q->nb_arriving--;
	}
	say_goodbye(q, idx);
}

/* Its identity is the same each time, its offer is not: an offer is good once. */
static int
make_offer(struct load_quic *q, uint32_t idx)
{
	struct plm_wzp_identity id;
	uint8_t seed[PLM_WZP_KEY];
	char alias[32];
	int ret;

	memcpy(seed, q->seed, sizeof(seed));
	put_be32(seed, idx);
	snprintf(alias, sizeof(alias), "load %u", idx);
	ret = plm_wzp_identity_derive(seed, &id);
	if (ret == 0)
		ret = load_wzp_init(&q->clients[idx].wzp, &id, &q->conf.rand, alias);
	plm_crypto_erase(&id, sizeof(id));
	return ret;
}

/* The share is spread evenly, and the last of each so many. */
static bool
reads_nothing(const struct load_quic *q, uint32_t idx)
{
	return is_steady(q, idx) &&
			(uint64_t)((idx + 1) * q->conf.unread + 1e-9) >
			(uint64_t)(idx * q->conf.unread + 1e-9);
}

/* Into a room: of its own, or of all in turn. False: it could not be begun. */
static bool
begin(struct load_quic *q, uint32_t idx, unsigned int room, uint64_t now_ns)
{
	static const struct plm_quic_end ours;
	struct client *c = &q->clients[idx];
	struct plm_quic_new new = {
		.arena = q->arenas + (size_t)idx * STRIDE,
		.arena_size = ARENA,
		.memory = &q->memory,
		.slot = idx,
		.path = q->conf.path,
		.ops = &ops,
		.ops_ctx = q,
	};
	char name[PLM_NAME_SIZE + 16];
	struct quic_side *side;
	gnutls_session_t tls;

	c->gen = c->gen == PLM_CID_GEN_MAX ? 1 : c->gen + 1;
	new.gen = c->gen;
	c->begun_ns = now_ns;
	c->deadline_ns = UINT64_MAX;
	c->phase = HANDSHAKE;
	c->is_wrong = false;
	c->is_unread = reads_nothing(q, idx);
	side = c->is_unread ? &q->side_unread : &q->side;
	q->now_ns = now_ns;
	kind_of(q, idx)->begun++;
	q->nb_arriving++;
	snprintf(name, sizeof(name), "%s-%u", q->conf.room, room);
	if (make_offer(q, idx) < 0 || quic_tls_client_session(side->tls, name, &tls) < 0)
		goto fail;
	new.tls = tls;
	if (plm_quic_conn_client(side->quic, &new, now_ns, &c->conn) < 0) {
		gnutls_deinit(tls);
		goto fail;
	}
	c->has_tls = true;
	q->nb_up++;
	dirty(q, idx);
	return true;

fail:
	c->conn = NULL;
	count_end(q, idx, LOAD_QUIC_OURS, &ours);
	c->phase = IDLE;
	return false;
}

static void
begin_one(struct load_quic *q, uint64_t now_ns)
{
	if (q->is_over)
		return;
	if (q->steady.n < q->conf.nb_steady && load_pace_due(&q->steady, now_ns) > 0) {
		uint32_t idx = (uint32_t)q->steady.n++;

		begin(q, idx, idx / q->conf.room_size, now_ns);
	} else if (q->passing.rate != 0 && load_pace_due(&q->passing, now_ns) > 0) {
		unsigned int room = (unsigned int)(q->passing_room++ % q->conf.rooms);
		uint32_t idx = q->idle_head;

		q->passing.n++;
		if (idx == NONE) {
			q->r.no_place++;
			return;
		}
		q->idle_head = q->clients[idx].next;
		if (!begin(q, idx, room, now_ns))
			idle_add(q, idx);
	}
}

/* --- the turn -------------------------------------------------------------------------------- */

static void
timers(struct load_quic *q, uint64_t now_ns)
{
	for (unsigned int i = 0; i < TIMER_BUDGET; i++) {
		uint32_t idx = plm_wheel_next(&q->wheel, now_ns);
		struct client *c;

		if (idx == PLM_WHEEL_NONE)
			return;
		c = &q->clients[idx];
		if (c->is_queued)
			continue;
		if (c->phase == OPEN && now_ns >= c->deadline_ns) {
			leave(q, idx);
			continue;
		}
		if (c->phase == JOINING && now_ns >= c->deadline_ns) {
			give_up(q, idx, LOAD_QUIC_TIMEOUT);
			continue;
		}
		if (plm_quic_expiry(c->conn) <= now_ns)
			plm_quic_timer(c->conn, now_ns);
		settle(q, idx);
	}
}

static void
flush_dirty(struct load_quic *q, uint64_t now_ns)
{
	uint32_t n = RTE_MIN(q->nb_dirty, (uint32_t)FLUSH_BUDGET);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t idx = q->dirty_head;
		struct client *c = &q->clients[idx];

		q->dirty_head = c->next;
		q->nb_dirty--;
		c->is_queued = false;
		if (plm_quic_flush(c->conn, &q->out, now_ns))
			dirty(q, idx);
		else
			settle(q, idx);
	}
}

void
load_quic_turn(struct load_quic *q, uint64_t now_ns)
{
	q->now_ns = now_ns;
	begin_one(q, now_ns);
	if (now_ns >= plm_wheel_due(&q->wheel))
		timers(q, now_ns);
	if (q->nb_dirty > 0)
		flush_dirty(q, now_ns);
}

void
load_quic_input(struct load_quic *q, unsigned int client, uint8_t ecn, uint8_t *buf, size_t len,
		uint64_t now_ns)
{
	struct client *c = &q->clients[client];

	if (c->conn == NULL) {
		q->r.stray++;
		return;
	}
	q->now_ns = now_ns;
	plm_quic_recv(c->conn, &q->conf.path, ecn, buf, len, now_ns);
	if (!c->is_queued)
		settle(q, client);
}

enum plm_quic_verdict
load_quic_send(struct load_quic *q, unsigned int client, const uint8_t *buf, size_t len,
		uint64_t now_ns)
{
	struct client *c = &q->clients[client];
	struct plm_quic_dgram d = { .buf = buf,
		.len = (uint16_t)len,
		.is_urgent = true,
		.verdict = PLM_QUIC_NOT_OPEN };

	if (c->conn == NULL || c->phase != OPEN)
		return PLM_QUIC_NOT_OPEN;
	plm_quic_send(c->conn, &q->out, &d, 1, now_ns);
	if (!c->is_queued && plm_wheel_armed_ns(&q->wheel, client) > now_ns + LAZY_NS)
		settle(q, client);
	return (enum plm_quic_verdict)d.verdict;
}

void
load_quic_start(struct load_quic *q, uint64_t now_ns)
{
	q->steady = (struct load_pace){ .start_ns = now_ns,
		.end_ns = UINT64_MAX,
		.rate = q->conf.handshakes_per_s };
}

void
load_quic_churn(struct load_quic *q, uint64_t begin_ns, uint64_t end_ns)
{
	q->passing = (struct load_pace){ .start_ns = begin_ns,
		.end_ns = end_ns,
		.rate = q->conf.churn };
	q->r.passing = (struct load_quic_kind){ 0 };
	q->r.no_place = 0;
	q->r.stray = 0;
}

void
load_quic_stop(struct load_quic *q, uint64_t now_ns)
{
	q->passing.end_ns = RTE_MIN(q->passing.end_ns, now_ns);
}

void
load_quic_end(struct load_quic *q)
{
	q->is_over = true;
	for (uint32_t i = 0; i < q->nb_clients; i++)
		if (is_arriving(&q->clients[i]) || q->clients[i].phase == OPEN)
			leave(q, i);
}

bool
load_quic_ended(const struct load_quic *q)
{
	return q->is_over && q->nb_up == 0;
}

unsigned int
load_quic_nb_arriving(const struct load_quic *q)
{
	return q->nb_arriving;
}

const struct load_quic_result *
load_quic_result(const struct load_quic *q)
{
	return &q->r;
}

const char *
load_quic_fail_name(enum load_quic_fail fail)
{
	static const char *const names[LOAD_QUIC_NB_FAILS] = {
		[LOAD_QUIC_TIMEOUT] = "timeout",
		[LOAD_QUIC_REFUSED] = "refused",
		[LOAD_QUIC_TLS] = "tls",
		[LOAD_QUIC_CLOSED] = "closed",
		[LOAD_QUIC_ANSWER] = "answer",
		[LOAD_QUIC_OURS] = "own",
	};

	return names[fail];
}

bool
load_quic_failed(const struct load_quic *q, unsigned int *client, enum load_quic_fail *fail,
		struct plm_quic_end *end)
{
	*client = q->culprit;
	*fail = q->culprit_fail;
	*end = q->culprit_end;
	return q->has_failed;
}

/* --- made and freed -------------------------------------------------------------------------- */

unsigned int
load_quic_places(unsigned int churn)
{
	return churn * REUSE_S;
}

static int
make_engine(struct load_quic *q, struct quic_side *side, bool is_unread)
{
	static const char *const suites[] = {
		[PLM_AES128_GCM] = "AES-128-GCM",
		[PLM_AES256_GCM] = "AES-256-GCM",
		[PLM_CHACHA20_POLY1305] = "CHACHA20-POLY1305",
	};
	const struct plm_quic_conf quic = {
		.rand = q->conf.rand,
		.idle_timeout_ns = IDLE_NS,
		.handshake_timeout_ns = HANDSHAKE_NS,
		.keep_alive_ns = KEEP_ALIVE_NS,
		.max_streams = is_unread ? UNREAD_STREAMS : LOAD_WZP_STREAMS,
		.max_stream_bytes = 64 * 1024,
		.max_bytes = 256 * 1024,
		.max_chunks = 4,
		.has_large_windows = is_unread, /* what it keeps of it is nothing */
		.leaves_streams = is_unread,
	};
	struct quic_tls_client_conf tls = { 0 };
	char priority[256];

	if (q->conf.has_cipher) {
		snprintf(priority, sizeof(priority),
				"NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-X25519:"
				"-CIPHER-ALL:+%s:%%DISABLE_TLS13_COMPAT_MODE",
				suites[q->conf.cipher]);
		tls.priority = priority;
	}
	return quic_side_init(side, &quic, PLM_AEAD_BEST, quic_tls_client_create(&tls));
}

static int
make_clients(struct load_quic *q)
{
	/* Half of them may need one at once; streams that nobody reads fill some. */
	uint32_t nb_extents = q->nb_clients / 2 + 1 +
			(uint32_t)(q->conf.nb_steady * q->conf.unread * UNREAD_EXTENTS);
	size_t arenas = RTE_ALIGN_CEIL((size_t)q->nb_clients * STRIDE, (size_t)HUGE_PAGE);

	q->clients = calloc(q->nb_clients, sizeof(q->clients[0]));
	q->timers = calloc(q->nb_clients, sizeof(q->timers[0]));
	q->arenas = aligned_alloc(HUGE_PAGE, arenas);
	q->extents = aligned_alloc(RTE_CACHE_LINE_SIZE, (size_t)nb_extents * EXTENT);
	if (q->clients == NULL || q->timers == NULL || q->arenas == NULL || q->extents == NULL)
		return -ENOMEM;
	(void)madvise(q->arenas, arenas, MADV_HUGEPAGE); /* where there are none it is slower */
	for (uint32_t i = nb_extents; i-- > 0;)
		extent_put(q, q->extents + (size_t)i * EXTENT);
	q->memory = (struct plm_quic_memory){ extent_get, extent_put, q, EXTENT };
	for (uint32_t i = q->conf.nb_steady; i < q->nb_clients; i++)
		idle_add(q, i);
	return 0;
}

struct load_quic *
load_quic_create(const struct load_quic_conf *conf, uint64_t now_ns)
{
	struct load_quic *q = calloc(1, sizeof(*q));
	int ret;

	if (q == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	q->conf = *conf;
	q->idle_head = NONE;
	plm_rand_fill(&conf->rand, q->seed, sizeof(q->seed));
	q->nb_clients = conf->nb_steady + load_quic_places(conf->churn);
	q->out.get = out_get;
	q->out.put = out_put;
	ret = make_engine(q, &q->side, false);
	if (ret == 0 && conf->unread > 0)
		ret = make_engine(q, &q->side_unread, true);
	if (ret == 0)
		ret = make_clients(q);
	if (ret < 0) {
		load_quic_free(q);
		rte_errno = -ret;
		return NULL;
	}
	plm_wheel_init(&q->wheel, q->timers, TICK_NS, now_ns);
	return q;
}

void
load_quic_free(struct load_quic *q)
{
	if (q == NULL)
		return;
	for (uint32_t i = 0; q->clients != NULL && i < q->nb_clients; i++)
		conn_free(&q->clients[i]);
	quic_side_fini(&q->side);
	quic_side_fini(&q->side_unread);
	free(q->extents);
	free(q->arenas);
	free(q->timers);
	free(q->clients);
	free(q);
}
