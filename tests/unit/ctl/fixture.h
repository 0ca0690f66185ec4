/* SPDX-License-Identifier: BSD-3-Clause */
/** @file A whole relay on one in-process port, stepped in one thread; clients are structs. */
#ifndef CTL_FIXTURE_H
#define CTL_FIXTURE_H

#include "plm_crypto.h"
#include "plm_ctl.h"
#include "test_eal.h"

#define FX_WALL    UINT64_C(1800000000)
#define FX_SECRET  "the only secret of the tests"
#define FX_WORKERS 2
#define FX_EVENTS  64

struct fx {
	struct plm_ctl *ctl;
	struct plm_ctl_conf conf;
	struct plm_net_local_conf local;
	struct plm_port port;
	const struct plm_port *port_list[1];
	struct rte_ring *rx[FX_WORKERS];
	struct rte_ring *tx[FX_WORKERS];
	struct rte_mempool *rx_pools[FX_WORKERS];
	uint64_t now_ns;
	uint64_t wall_s;
	uint64_t beats[FX_WORKERS];
	uint32_t no_beats; /* bit w: worker w's turns are not counted */
	uint32_t stopped;  /* bit w: worker w takes no turns */
	unsigned int busy[FX_WORKERS];
	enum plm_event_type events[FX_EVENTS];
	unsigned int nb_events;
	bool lose_events;
	/* what left the relay since the last fx_forget() */
	struct {
		uint16_t len; /* of the UDP payload */
		uint16_t dst_port;
		uint8_t payload[256];
	} out[256];
	unsigned int nb_out;
	unsigned int nb_announced; /* gratuitous ARP for our own address */
	/* who gets what leaves instead of `out`, with the MAC address that it goes to; NULL: nobody */
	void (*sink)(void *ctx, const uint8_t *mac, uint16_t dst_port, uint8_t *payload,
			uint16_t len);
	void *sink_ctx;
};

/* A participant, and which queue its packets come in on. */
struct fx_client {
	uint8_t addr[4];
	uint16_t port;
	uint8_t mac; /* last byte of its gateway's; 0: the usual one's */
	unsigned int queue;
	char ufrag[PLM_UFRAG_MAX + 1];
	char pwd[PLM_PWD_LEN + 1];
	uint32_t tid;
};

void fx_conf(struct fx *fx);
void fx_create(struct fx *fx);
/* Checks that every mbuf is back. */
void fx_free(struct fx *fx);
/* Let everybody take a turn, `n` times, 1 ms apart; what comes out is kept, ARP is answered. */
void fx_step(struct fx *fx, unsigned int n);
void fx_forget(struct fx *fx);

struct fx_client fx_client(const char *room, const char *who, enum plm_role role, unsigned int n);
void fx_udp(struct fx *fx, const struct fx_client *c, const void *payload, uint16_t len);
void fx_check(struct fx *fx, struct fx_client *c);
/* Check, and the turns that it takes to be a member with a resolved next hop. */
void fx_join(struct fx *fx, struct fx_client *c);
void fx_rtp(struct fx *fx, const struct fx_client *c, uint32_t ssrc, uint16_t seq);
/* Payloads that came out for a client and begin with these bytes. */
unsigned int fx_got(const struct fx *fx, const struct fx_client *c, uint8_t first, uint8_t second);

#endif
