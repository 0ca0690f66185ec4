/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A full ICE agent's side towards one lite peer with one candidate pair (RFC 8445, 8489, 7675):
 * connectivity check, nomination, role conflict, consent. Packets, time and randomness are
 * arguments. The caller sends and receives on a connected socket, so that the kernel has
 * compared an answer's source with where the request went (RFC 8445 §7.2.5.2.1).
 */
#ifndef CLIENT_ICE_H
#define CLIENT_ICE_H

#include "plm_base.h"
#include "plm_crypto.h"
#include "plm_wire.h"

#define ICE_RTO_NS     (500 * PLM_NS_PER_MS) /**< first retransmission, then doubled */
#define ICE_RC         7                     /**< requests of one transaction (RFC 8489 §6.2.1) */
#define ICE_RM         16                    /**< RTOs to wait after the last of them */
#define ICE_CONSENT_NS (5 * PLM_NS_PER_S)    /**< times 0.8 to 1.2 (RFC 7675 §5.1) */
#define ICE_EXPIRE_NS  (30 * PLM_NS_PER_S)   /**< without an answer consent is lost */
#define ICE_CONSENTS   8                     /**< unanswered consent checks remembered */
#define ICE_CONFLICTS  3                     /**< role switches before giving up */
#define ICE_UFRAG_MAX  256

enum ice_state {
	ICE_NEW,
	ICE_CHECKING,
	ICE_NOMINATING,
	ICE_JOINED,
	ICE_REFUSED,   /**< an error answer; `error_code` says which */
	ICE_NO_ANSWER, /**< the first transaction timed out */
	ICE_LOST,      /**< consent expired */
};

enum ice_nomination {
	ICE_AGGRESSIVE, /**< USE-CANDIDATE in every check */
	ICE_REGULAR,    /**< a check, then one more with USE-CANDIDATE */
};

struct ice_conf {
	const char *ufrag; /**< of the peer, must outlive the agent; so must `pwd` */
	const char *pwd;
	bool controlling; /**< role to start in */
	bool consent;     /**< go on checking once joined */
	enum ice_nomination nomination;
	struct plm_rand rand;
	struct plm_hmac *hmac; /**< borrowed */
};

/** A transaction that is sent again until it is answered. */
struct ice_check {
	bool active;
	bool nominates;
	uint8_t tid[PLM_STUN_TID];
	uint64_t sent_ns; /**< first transmission */
	uint64_t next_ns; /**< next transmission, or the end */
	uint64_t rto_ns;
	unsigned int nb_sent;
};

struct ice_agent {
	/* const after ice_init() */
	struct ice_conf conf;
	char local_ufrag[9];

	/* owner */
	enum ice_state state;
	bool controlling;
	uint64_t tie_breaker;
	struct ice_check check;
	uint8_t consent_tid[ICE_CONSENTS][PLM_STUN_TID]; /**< newest at consents_sent - 1 */
	uint64_t consent_at_ns[ICE_CONSENTS];            /**< 0: answered or never sent */
	uint64_t next_consent_ns;
	uint64_t answered_ns; /**< last authenticated success */
	uint64_t rtt_ns;      /**< of the last answer to a request that was sent once */

	uint16_t error_code;
	uint8_t mapped[16];
	uint8_t mapped_size; /**< 0: not known, 4, 16 */
	uint16_t mapped_port;

	/* counters */
	uint64_t requests_sent;
	uint64_t retransmits;
	uint64_t consents_sent;
	uint64_t consents_answered;
	uint64_t role_switches;
	uint64_t bad_integrity; /**< answers whose HMAC or fingerprint is wrong */
	uint64_t unknown_tid;   /**< answers to nothing that is outstanding */
	uint64_t malformed;
	uint64_t ignored; /**< requests and indications: a lite peer has none for us */
};

void ice_init(struct ice_agent *ice, const struct ice_conf *conf);

/** Begin: the first check is due at once. */
void ice_start(struct ice_agent *ice, uint64_t now_ns);

/**
 * A joined agent noticed a new local address: check the new pair and nominate it now. One that
 * sits behind a NAT does not notice, and does not call this.
 */
void ice_renominate(struct ice_agent *ice, uint64_t now_ns);

/**
 * What is due: at most one request a call, and expiry.
 * @return length of the datagram in `buf`, 0 when nothing is due.
 */
size_t ice_poll(struct ice_agent *ice, uint64_t now_ns, uint8_t *buf, size_t size);

/** When ice_poll() wants to be called next; UINT64_MAX for never. */
uint64_t ice_deadline(const struct ice_agent *ice);

/** A STUN datagram from the peer. */
void ice_input(struct ice_agent *ice, uint64_t now_ns, const uint8_t *msg, size_t len);

static inline bool
ice_state_over(enum ice_state state)
{
	return state >= ICE_REFUSED;
}

static inline bool
ice_over(const struct ice_agent *ice)
{
	return ice_state_over(ice->state);
}

const char *ice_state_name(enum ice_state state);

/** What a STUN error code means to somebody who wants to join. */
const char *ice_error_text(uint16_t code);

#endif
