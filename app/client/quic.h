/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A participant over QUIC: one connection on the participant's socket, media in its datagrams and signals
 * on its streams, as wzp.h makes and reads them. What all participants share (settings, TLS credentials,
 * packets on their way out) is struct quic_links.
 */
#ifndef CLIENT_QUIC_H
#define CLIENT_QUIC_H

#include "ice.h"
#include "plm_quic.h"
#include "plm_quic_identity.h"

#define QUIC_PIN_SIZE PLM_QUIC_FINGERPRINT_SIZE
#define QUIC_VERDICTS (PLM_QUIC_NOT_OPEN + 1)

enum quic_cipher { QUIC_CIPHER_ANY, QUIC_CIPHER_AES128, QUIC_CIPHER_AES256, QUIC_CIPHER_CHACHA20 };

struct client;
struct participant;
struct quic_links;

/** Of one participant. */
struct quic_link {
	struct plm_quic_conn *conn; /**< owned; in `arena`; NULL: not started */
	void *arena;                /**< owned */
	void *tls;                  /**< gnutls_session_t; owned, lent to `conn` */
	struct plm_quic_path path;
	enum ice_state state; /**< it stands as an ICE agent would; joined: let into the room */
	bool is_unpinned;     /**< the certificate is not the one of --pin */
	bool has_certificate;
	uint8_t certificate[QUIC_PIN_SIZE]; /**< SHA-256 */
	uint64_t start_ns;
	uint64_t handshake_ns; /**< how long it took; 0: not complete */
	uint64_t key_update_ns;

	/* counters */
	uint64_t datagrams_received;
	uint64_t verdicts[QUIC_VERDICTS]; /**< of datagrams to be sent */
	uint64_t packets_sent;
	uint64_t packets_received;
	uint64_t ecn_sent;        /**< of them, with ECT(0) */
	uint64_t ecn_received[4]; /**< by the two bits: none, ECT(1), ECT(0), CE */
};

/** What connections share. 0 or negative errno, said on stderr. */
int quic_links_init(struct client *client);
/** After quic_link_end() of all. Takes NULL. */
void quic_links_fini(struct quic_links *quic);

/** The first packet. */
void quic_link_start(struct participant *p, uint64_t now_ns);
/** A packet came; `buf` is overwritten. quic_link_turn() is due after a burst of them. */
void quic_link_input(struct participant *p, uint8_t ecn, uint8_t *buf, size_t len, uint64_t now_ns);
/** All that is due; returns when to come back. */
uint64_t quic_link_turn(struct participant *p);
/** The first `n` messages of client->tx as datagrams, wrapped as their `wrap` says. Media does not wait: what
 *  cannot go is counted. */
void quic_link_send_batch(struct participant *p, unsigned int n);
/** A signal's frame on a stream of its own; copied. 0 or negative errno. */
int quic_link_signal(struct participant *p, const uint8_t *frame, size_t len);
/** Has the relay not acknowledged all signals yet? */
bool quic_link_is_waiting(const struct participant *p);
/** The participant has another local port and notices. */
void quic_link_migrate(struct participant *p);
/** Close with code 0. */
void quic_link_leave(struct participant *p);
/** Free. Takes those that were never started. */
void quic_link_end(struct participant *p);

/** Why it is over, for people. */
void quic_link_why(const struct participant *p, struct plm_text *text);
/** "AES-128-GCM"; NULL before the handshake. */
const char *quic_link_cipher_name(const struct quic_link *link,
		const struct plm_quic_figures *figures);

#endif
