/* SPDX-License-Identifier: BSD-3-Clause */
/** @file QUIC clients of our own at the relay of fixture.h: their packets cross no network, and lose nothing. */
#ifndef CTL_QUIC_FIXTURE_H
#define CTL_QUIC_FIXTURE_H

#include "fixture.h"
#include "plm_quic.h"

#define FXQ_CLIENTS 64
#define FXQ_FRAMES  512  /* signals of one client that are told apart */
#define FXQ_POOL    8191 /* mbufs of a worker's QUIC pool */

struct fxq;
struct quic_tls;

struct fxq_client {
	struct plm_quic_out out; /* first: callbacks get it */
	struct fxq *q;
	struct plm_quic_conn *conn; /* NULL: there is none */
	struct fx_client net; /* the test may change its port and MAC address: a NAT, a gateway */
	uint16_t entered;     /* the port that it had at first */
	void *tls;
	void *arena;
	uint8_t buf[PLM_QUIC_PACKET_MAX];

	/* the test's */
	bool is_deaf;         /* what is sent to it is lost */
	bool is_mute;         /* it does nothing any more */
	unsigned int nb_drop; /* of its packets, that are lost */
	unsigned int loss;    /* percent of its packets, and of those to it */
	bool keeps;           /* bytes of streams are not given back */
	bool keeps_tx;        /* packets are kept in `kept` instead of being sent */
	uint8_t kept[PLM_QUIC_PACKET_MAX];
	uint16_t kept_len;
	uint8_t mac_seen; /* last byte of the MAC address that its last packet went to */

	/* what it was told */
	bool is_established;
	uint64_t nb_packets;
	uint64_t nb_datagrams;
	uint8_t last[2000]; /* datagram */
	size_t last_len;
	unsigned int nb_chunks_done;
	unsigned int nb_fins;
	int64_t last_stream[4]; /* of each kind: ids never fall, messages come in order */
	uint8_t *bytes;         /* of all streams, one after the other */
	size_t nb_bytes;
	struct {
		int64_t stream_id;
		size_t at;    /* in `bytes` */
	} frames[FXQ_FRAMES]; /* that began on bidirectional streams */
	unsigned int nb_frames;
	uint8_t offer[2048]; /* the frame with which it joins */
};

struct fxq {
	struct fx fx;
	struct plm_quic_identity *identity;
	struct plm_aead *aead;
	struct plm_quic *engine; /* of all clients */
	struct quic_tls *tls;
	struct plm_cid_key cid_key;
	struct plm_quic_memory memory;
	struct fxq_client clients[FXQ_CLIENTS];
	unsigned int nb;
	uint64_t nb_offered; /* bytes of offers */
};

/* As fx_conf(), with QUIC for 32 connections, rooms open; and as fx_create(). */
void fxq_conf(struct fxq *q);
void fxq_create(struct fxq *q);
/* Checks that every mbuf is back. */
void fxq_free(struct fxq *q);
/* A turn of every client, then of the relay, `n` times. */
void fxq_step(struct fxq *q, unsigned int n);
/* One that begins its handshake; its packets come in on `queue`, from 198.18.`net`.x. */
struct fxq_client *fxq_begin(struct fxq *q, const char *room, unsigned int queue, uint8_t net);
/* It offers to join, as identity number `who`: what it is told from here on is in `bytes`. */
void fxq_offer(struct fxq_client *c, unsigned int who, const char *alias);
/* And one that is in its room; what it was told until then is forgotten. */
struct fxq_client *fxq_join(struct fxq *q, const char *room, unsigned int queue);
/* It is no more; its memory is free. */
void fxq_end(struct fxq_client *c);
/* One that kept what it was told on bidirectional streams gives the credit back. */
void fxq_read_all(struct fxq_client *c);
/* JSON of the nth signal that it was told, "" if there is none; good until the next call. */
const char *fxq_signal(const struct fxq_client *c, unsigned int n);
/* Write what is due now. */
void fxq_flush(struct fxq_client *c);
/* A message on a stream of its own; the bytes stay until the end. */
int fxq_message(struct fxq_client *c, const uint8_t *buf, size_t len);
/* A datagram of media: these bytes behind a header of zeros. */
enum plm_quic_verdict fxq_send(struct fxq_client *c, const void *buf, size_t len);
/* One of these bytes. */
enum plm_quic_verdict fxq_datagram(struct fxq_client *c, const void *buf, size_t len);
/* As many datagrams of `len` zeros, in packets that are as full as they get. */
void fxq_send_small(struct fxq_client *c, unsigned int n, uint16_t len);
/* The slow path stands still for `n` turns of the workers. */
void fxq_step_workers(struct fxq *q, unsigned int n);
/* Its session at the relay. */
struct plm_handle fxq_session(const struct fxq_client *c);
/* Bytes that came on streams, but for offers. */
uint64_t fxq_stream_bytes(const struct fxq *q);
/* Mbufs that messages to clients hold. */
unsigned int fxq_messages(const struct fxq *q);
/* Sum over workers and slow path. */
uint64_t fxq_count(const struct fxq *q, enum plm_counter counter);

#endif
