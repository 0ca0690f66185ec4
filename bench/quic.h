/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the QUIC part of plenum-bench is made of: clients in this process, a relay that they are
 * connected to by frames through a ring port, the bare library and a relay on kernel sockets with the
 * same clients. Main plays the clients; the worker's lcore is measured, and does nothing meanwhile.
 */
#ifndef PLM_BENCH_QUIC_H
#define PLM_BENCH_QUIC_H

#include "bench.h"
#include "load.h"
#include "plm_ctl.h"
#include "quic_side.h"

#define QUIC_PACKET 1536 /* bytes, of a buffer */

/* --- clients (quic_client.c) --------------------------------------------------------------- */

struct quic_clients;

/* Owner: main, or whoever plays it. */
struct quic_client {
	struct plm_quic_out out;
	struct quic_clients *all;
	struct plm_quic_conn *conn; /* NULL: none */
	uint32_t idx;
	bool is_open;
	bool is_in;        /* its offer was answered */
	uint64_t received; /* datagrams */
	uint64_t updates;  /* RoomUpdates */
	uint64_t update_bytes;
	struct plm_quic_chunk ping;
	uint8_t ping_frame[64];
	struct load_wzp *wzp; /* its streams; NULL: it has made no offer yet */
	uint8_t packet[PLM_QUIC_PACKET_MAX];
};

struct quic_clients {
	/* as asked for */
	uint32_t nb;
	const char *cipher; /* a part of a GnuTLS priority string; so `signature` */
	const char *signature;
	/* A packet of client `idx`. */
	void (*send)(void *ctx, uint32_t idx, const uint8_t *buf, size_t len);
	void *ctx;

	struct quic_side side;
	struct quic_client *clients;
	uint8_t *arenas;
	uint32_t nb_open; /* handshakes that are complete */
	uint32_t nb_in;
	uint64_t nb_pongs;
	struct load_wzp *wzp; /* of who has made an offer */
	/* NULL, or where the age of datagrams goes whose first eight bytes say when they were due. */
	struct plm_hist *latency;
};

void quic_clients_create(struct quic_clients *all);
void quic_clients_free(struct quic_clients *all);

/* Begin a handshake with a server of this name, in place of the connection that there was. */
void quic_client_begin(struct quic_clients *all, uint32_t idx, const char *name);
/* Its offer to join, as WZP clients make it, on its first stream: signed, to be sent by the other. */
void quic_client_sign(struct quic_clients *all, uint32_t idx);
void quic_client_offer(struct quic_clients *all, uint32_t idx);
/* One at a time. */
void quic_client_ping(struct quic_clients *all, uint32_t idx);
/* Close it, and forget the connection. */
void quic_client_leave(struct quic_clients *all, uint32_t idx);
/* A packet came; what is due is written at once. `buf` is overwritten. */
void quic_client_take(struct quic_clients *all, uint32_t idx, uint8_t *buf, size_t len);
/* Send a datagram. */
void quic_client_say(struct quic_clients *all, uint32_t idx, const uint8_t *buf, uint16_t len);
/* What timers of clients [first, first + nb) have come to. */
void quic_clients_timers(struct quic_clients *all, uint32_t first, uint32_t nb);
/* Their TLS sessions are no longer needed. */
void quic_clients_settled(struct quic_clients *all, uint32_t first, uint32_t nb);

/* Datagrams that they received, all together. */
uint64_t quic_clients_received(const struct quic_clients *all);

/* Time is what `quic_clock_ns` says, unless it is 0; then whoever waits passes some of it. */
extern uint64_t quic_clock_ns;
void quic_pass(void);
uint64_t quic_now(void);
void quic_rand_fill(void *ctx, void *buf, size_t len);

/* --- the worker's lcore (quic.c) ------------------------------------------------------------ */

/* Between these two it waits for work. Main. */
void quic_crew_start(void);
void quic_crew_stop(void);
/* Have `fn` run there; main waits, and calls `meanwhile` (or nothing) again and again. Main. */
void quic_on_worker(void (*fn)(void *arg), void (*meanwhile)(void *arg), void *arg);

/* --- a relay (quic_relay.c) ----------------------------------------------------------------- */

struct quic_relay {
	/* as asked for */
	const char *name;
	uint32_t max_connections;
	enum plm_aead_backend backend;
	uint64_t join_timeout_ns; /* 0: what relays have */
	struct quic_clients clients;

	struct bench_port port;
	struct rte_mempool *rx_pool;
	struct plm_ctl *ctl;
	struct plm_ctl_conf conf;
	struct plm_net_local_conf local;
	const struct plm_port *ports[1];
	struct plm_quic_identity *identity;
	struct plm_aead *aead;
	struct rte_ring *air;   /* frames of clients on their way */
	uint64_t worker_spent;  /* cycles of turns in which something was done */
	uint64_t ctl_spent;     /* and of the slow path's turns, of any */
	uint64_t worker_joined; /* the same, since QUIC's handshakes were done */
	uint64_t ctl_joined;
};

void quic_relay_create(struct quic_relay *r);
void quic_relay_free(struct quic_relay *r);

/* Connect clients [first, first + nb) to a room; until all are in, and nothing more is to be said. Time of
 * the relay's own calls goes to worker_spent and ctl_spent, from the offers on to worker_joined and ctl_joined.
 * Whoever runs it plays all lcores. */
void quic_relay_connect(struct quic_relay *r, const char *room, uint32_t first, uint32_t nb);
/* Its two halves. */
void quic_relay_shake(struct quic_relay *r, const char *room, uint32_t first, uint32_t nb);
void quic_relay_join(struct quic_relay *r, uint32_t first, uint32_t nb);
/* Turns for so long, with the timers of these clients: acknowledgements wait for them. */
void quic_relay_linger(struct quic_relay *r, uint64_t ns, uint32_t first, uint32_t nb);
/* Until large rooms were told, too, who is in them. */
void quic_relay_rest(struct quic_relay *r);

/* Datagrams of these clients, one of each, become copies, and what receivers say to them is read.
 * Worker's time goes to worker_spent. Main. */
void quic_relay_round(struct quic_relay *r, const uint32_t *speakers, unsigned int nb,
		uint16_t size);

/* Timers of clients, and what comes of them; not timed. Main. */
void quic_relay_settle(struct quic_relay *r);

/* Frames are carried both ways, and clients take what is theirs; while the worker runs. Main. */
void quic_relay_carry(struct quic_relay *r);
/* A turn of the slow path; how much it did. Main. */
unsigned int quic_relay_slow(struct quic_relay *r);
/* Turns of worker and slow path until both have nothing to do; their time counts, or that of those which did
 * something. Whoever runs it plays all lcores. */
void quic_relay_turns(struct quic_relay *r, bool all);

/* Memory of a connection, bytes: what the library has in use, and what is set aside. */
void quic_relay_memory(struct quic_relay *r, double *used, double *held);

/* --- the bare library (quic_bare.c) --------------------------------------------------------- */

struct quic_bare;

/* `nb` connections, of which rounds use as many as they want. */
struct quic_bare *quic_bare_create(uint32_t nb, enum plm_aead_backend backend, const char *cipher);
/* Send one datagram to each of the first `nb` connections, and read what the peers say to it. Cycles of
 * the worker. Main. */
uint64_t quic_bare_round(struct quic_bare *b, uint32_t nb, uint16_t size);
/* As quic_relay_settle(). */
void quic_bare_settle(struct quic_bare *b);
/* Datagrams that peers received. */
uint64_t quic_bare_received(const struct quic_bare *b);
void quic_bare_free(struct quic_bare *b);

/* --- a worker that runs (quic_live.c) -------------------------------------------------------- */

struct quic_live {
	/* as asked for */
	struct quic_relay *relay;
	/* Main's part, again and again; true: it is over. */
	bool (*play)(void *ctx, uint64_t now_ns);
	void *ctx;

	/* found */
	uint64_t busy; /* cycles of the worker's turns in which something was done */
	uint64_t all;
	bool disturbed; /* either thread */
	struct plm_hist in_relay;
	_Atomic bool over;
};

/* Between quic_crew_start() and quic_crew_stop(). Main. */
void quic_live_run(struct quic_live *live);

/* --- latency (quic_latency.c) --------------------------------------------------------------- */

/* At parts of what the worker was found to do; the rooms are the relay's first. Between quic_crew_start()
 * and quic_crew_stop(). Main. */
void quic_latency(struct quic_relay *relay, const struct bench_figure_quic *of,
		const struct bench_options *opt);

/* --- a relay on kernel sockets (quic_socket.c) ------------------------------------------------ */

struct quic_kernel;

struct quic_kernel *quic_kernel_create(uint32_t nb, enum plm_aead_backend backend,
		const char *cipher);
/* As quic_relay_connect(), but that nothing is timed. */
void quic_kernel_connect(struct quic_kernel *qk, const char *room, uint32_t first, uint32_t nb);
/* As quic_relay_round(), in rooms of `members`, the speaker the first of each; cycles of the worker. */
uint64_t quic_kernel_round(struct quic_kernel *qk, const uint32_t *speakers, unsigned int nb,
		uint32_t members, uint16_t size, bool gso);
/* As quic_relay_settle(). */
void quic_kernel_settle(struct quic_kernel *qk);
uint64_t quic_kernel_received(const struct quic_kernel *qk);
void quic_kernel_free(struct quic_kernel *qk);

#endif
