/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What QUIC needs before there is a connection. A client's first datagrams are opened (anybody can:
 * their keys come from the client's first destination id, RFC 9001 §5.2), the ClientHello is put
 * together out of up to three of them and read, so that who makes the connection knows its room. And
 * what needs no connection is answered: version negotiation, Retry, stateless reset, a refusal.
 *
 * Slow path only. Time and randomness are arguments; packets are bytes.
 */
#ifndef PLM_QUIC_INITIAL_H
#define PLM_QUIC_INITIAL_H

#include <assert.h>

#include "plm_base.h"

/** The one version that is spoken. */
#define PLM_QUIC_V1 UINT32_C(1)
/** A client's datagram with an Initial is at least this long (RFC 9000 §14.1). */
#define PLM_INITIAL_MIN 1200
/** Longer datagrams are not looked at. */
#define PLM_INITIAL_MAX 1500
/** Datagrams that a ClientHello may come in. */
#define PLM_INITIAL_DGRAMS 3
/** Bytes of a ClientHello, its handshake header included. */
#define PLM_INITIAL_HELLO_MAX 4096
/** Bytes of a connection id in version 1, and of a client's first destination id at least. */
#define PLM_QUIC_ID_MAX       20
#define PLM_QUIC_FIRST_ID_MIN 8
/** A server name, NUL included. */
#define PLM_INITIAL_NAME_SIZE 256

/** X(ID, name, what happened): what became of a datagram. From NOT_INITIAL on it was refused. */
#define PLM_INITIAL_RESULTS(X)                                                                     \
	X(READY, "ready", "the ClientHello is complete")                                           \
	X(WAIT, "wait", "held until the rest of its ClientHello comes")                            \
	X(WAIT_EVICTED, "wait_evicted", "held in the place of another client's")                   \
	X(DUPLICATE, "duplicate", "brings nothing new of a ClientHello that is waited for")        \
	X(CLOSED, "closed", "the client gave up before it had begun")                              \
	X(NOT_INITIAL, "not_initial", "does not begin with an Initial packet")                     \
	X(SMALL, "small", "an Initial in fewer than 1200 bytes")                                   \
	X(BIG, "big", "an Initial in more than 1500 bytes")                                        \
	X(VERSION, "version", "a version that is not spoken")                                      \
	X(ID, "id", "a connection id too short, too long, or changed")                             \
	X(HEADER, "header", "cut short, or its lengths contradict each other")                     \
	X(FORGED, "forged", "does not open under its own connection id's key")                     \
	X(FRAMES, "frames", "frames that are malformed or not allowed in an Initial")              \
	X(NO_CRYPTO, "no_crypto", "carries nothing of a ClientHello")                              \
	X(MANY, "many", "more datagrams than a ClientHello may come in")                           \
	X(HELLO, "hello", "not a ClientHello, or malformed")                                       \
	X(HELLO_BIG, "hello_big", "a ClientHello of more than 4096 bytes")                         \
	X(NAME, "name", "a server name that is too long or not printable ASCII")                   \
	X(INTERNAL, "internal", "the crypto library failed")

enum plm_initial_result {
#define PLM_INITIAL_ID(id, name, help) PLM_INITIAL_##id,
	PLM_INITIAL_RESULTS(PLM_INITIAL_ID)
#undef PLM_INITIAL_ID
			PLM_INITIAL_RESULT_MAX
};

/** Where a datagram came from. */
struct plm_initial_source {
	uint8_t key[24]; /**< address, port, own address: compared as bytes, so without padding */
	uint64_t prefix; /**< keyed hash of the network whose clients share limits */
	uint64_t mac;    /**< the link's address that it came from; the caller's */
};

struct plm_initial_dgram {
	const uint8_t *buf; /**< UDP payload */
	uint16_t len;
	uint8_t ecn; /**< of its IP header, for the connection */
};

/** The header of a datagram's first packet. */
struct plm_initial_hd {
	uint8_t dcid[PLM_QUIC_ID_MAX];
	uint8_t scid[PLM_QUIC_ID_MAX];
	uint8_t dcid_len; /**< PLM_QUIC_FIRST_ID_MIN to PLM_QUIC_ID_MAX */
	uint8_t scid_len;
	uint16_t token_len;   /**< 0: none */
	const uint8_t *token; /**< into the datagram */
	uint16_t pn_off;      /**< where the packet number begins */
	uint16_t end;         /**< where the packet ends, and the next may begin */
};

/** A client that wants a connection: its datagrams, and what its ClientHello says. */
struct plm_initial_flight {
	struct plm_initial_source source;
	struct plm_initial_hd hd; /**< of dgrams[0] */
	/** By the place of their CRYPTO data: ngtcp2 begins no connection (NGTCP2_ERR_RETRY) with one
	 *  that does not hold the first bytes. Valid until the table is next called, the one just taken as long as the caller's. */
	struct plm_initial_dgram dgrams[PLM_INITIAL_DGRAMS];
	uint8_t nb_dgrams;
	bool has_start; /**< the ClientHello's first bytes are there: ngtcp2 can begin with dgrams[0] */
	bool has_hello; /**< else what follows is unknown: the rest did not come in time */
	bool has_tls13; /**< supported_versions lists TLS 1.3 */
	bool has_wzp;   /**< ALPN lists `wzp` */
	uint8_t name_len;
	char name[PLM_INITIAL_NAME_SIZE]; /**< NUL-terminated; "" when absent or an IP literal */
};

/** ClientHellos that wait for their rest. Memory is taken once. Owner: the slow path. */
struct plm_initials;

struct plm_initials_conf {
	uint32_t max_entries;    /**< clients that wait at a time: 1 to 65536 */
	uint32_t max_per_prefix; /**< of them of one prefix: 1 to max_entries */
	uint64_t hold_ns;        /**< how long one waits */
	struct plm_rand rand;    /**< for the table's hash key */
};

/** NULL and rte_errno: EINVAL, ENOMEM, ENOTSUP (OpenSSL lacks an algorithm). */
struct plm_initials *plm_initials_create(const struct plm_initials_conf *conf);
void plm_initials_free(struct plm_initials *initials);

/**
 * Read a datagram's first header: what a look-up by id, a Retry or a refusal needs. Opens nothing.
 *
 * @param[out] hd
 *   Changed on PLM_INITIAL_READY only.
 * @return
 *   PLM_INITIAL_READY, NOT_INITIAL, SMALL, BIG, VERSION, ID or HEADER.
 */
enum plm_initial_result plm_initial_parse(const uint8_t *buf, size_t len,
		struct plm_initial_hd *hd);

/**
 * Take a datagram that belongs to no connection. A ClientHello that is complete in it never enters
 * the table. A full table, or a prefix that has all its places, gives up the oldest of the heaviest
 * prefix (its own when it is that).
 *
 * @param source
 *   Datagrams of one ClientHello share source and first id.
 * @param now_ns
 *   Never less than at the call before.
 * @param[out] flight
 *   Changed on PLM_INITIAL_READY only; the table has then forgotten the client.
 */
enum plm_initial_result plm_initials_take(struct plm_initials *initials,
		const struct plm_initial_source *source, const struct plm_initial_dgram *dgram,
		uint64_t now_ns, struct plm_initial_flight *flight);

/**
 * Take out a client that has waited long enough, oldest first.
 *
 * @return
 *   Was there one? `flight` is changed only then, with `has_hello` false; `has_start` may be.
 */
bool plm_initials_expired(struct plm_initials *initials, uint64_t now_ns,
		struct plm_initial_flight *flight);

/** Clients that wait. */
uint32_t plm_initials_count(const struct plm_initials *initials);

/* --- answers without a connection -------------------------------------------------------------- */

/** Bytes of the longest answer. */
#define PLM_ANSWER_MAX 640
/** A datagram that is shorter is never answered with a stateless reset. */
#define PLM_ANSWER_RESET_MIN 43
/** Error codes of a refusal (RFC 9000 §20.1); a TLS alert is PLM_QUIC_CRYPTO_ERROR + its number. */
#define PLM_QUIC_CONNECTION_REFUSED UINT64_C(0x02)
#define PLM_QUIC_INVALID_TOKEN      UINT64_C(0x0b)
#define PLM_QUIC_CRYPTO_ERROR       UINT64_C(0x100)

/** Secrets, the window of used tokens and the limit of resets. Owner: the slow path. */
struct plm_answers;

struct plm_answers_conf {
	struct plm_rand rand;
	uint8_t reset_secret[32]; /**< the one that ids' reset tokens are made from */
	uint64_t token_ns;        /**< how long a Retry's token is good */
	uint64_t rotate_ns;       /**< a new token secret after this; at least token_ns */
	uint32_t max_tokens;   /**< used ones that are remembered: 4 to 1 << 24, a power of two */
	uint32_t resets_per_s; /**< 0: none at all; at most 1000000 */
	uint32_t reset_burst;  /**< resets that may leave at once: 1 to 1000000 */
};

/** NULL and rte_errno: EINVAL, ENOMEM. */
struct plm_answers *plm_answers_create(const struct plm_answers_conf *conf);
void plm_answers_free(struct plm_answers *answers);

/**
 * Version negotiation (RFC 9000 §6): ours and one that does not exist, so that clients keep ignoring
 * what they do not know.
 *
 * @return
 *   Bytes of the answer; -EINVAL (no long header, cut short, a Version Negotiation itself, or
 *   version 1), -EMSGSIZE (fewer than PLM_INITIAL_MIN bytes), -ENOBUFS (`size` too small).
 */
int plm_answers_version(struct plm_answers *answers, const uint8_t *buf, size_t len, uint8_t *out,
		size_t size);

/**
 * Retry (RFC 9000 §8.1.2) to the Initial that `hd` is of, as plm_initial_parse() read it.
 *
 * @param scid
 *   The id that the client is to use next, 8 to PLM_QUIC_ID_MAX bytes, other than its own choice.
 * @return
 *   Bytes of the answer; -EINVAL, -ENOBUFS, -EIO (the crypto library failed).
 * @note The token's bytes are not `rand`'s: the library salts them with randomness of its own.
 */
int plm_answers_retry(struct plm_answers *answers, const struct plm_initial_source *source,
		const struct plm_initial_hd *hd, const uint8_t *scid, size_t scid_len,
		uint64_t now_ns, uint8_t *out, size_t size);

/**
 * Check an Initial's token: ours, from this address and port, for this id, young, not used.
 *
 * @param[out] odcid, odcid_len
 *   PLM_QUIC_ID_MAX bytes: the id that the client chose before the Retry.
 * @return
 *   0; -ENOENT (none, or not a Retry's: to be taken as none), -EBADMSG (not readable under our
 *   secrets), -EACCES (another's, or too old), -EALREADY (used), -EIO.
 */
int plm_answers_token(struct plm_answers *answers, const struct plm_initial_source *source,
		const struct plm_initial_hd *hd, uint64_t now_ns, uint8_t *odcid,
		size_t *odcid_len);

/**
 * A connection was made with this token: whoever comes with it again is refused. A ClientHello's
 * datagrams all carry it, so checking it does not use it up. More than max_tokens in token_ns push
 * the oldest out, a few sooner.
 */
void plm_answers_token_used(struct plm_answers *answers, const struct plm_initial_hd *hd,
		uint64_t now_ns);

/**
 * Stateless reset (RFC 9000 §10.3) to a packet with a short header whose connection is unknown.
 *
 * @param dcid, dcid_len
 *   The id that it was sent to, 1 to PLM_QUIC_ID_MAX bytes.
 * @return
 *   Bytes of the answer, fewer than `len`; -EINVAL (not a short header), -EMSGSIZE (shorter than
 *   PLM_ANSWER_RESET_MIN), -EAGAIN (too many in a while), -ENOBUFS, -EIO.
 */
int plm_answers_reset(struct plm_answers *answers, const uint8_t *buf, size_t len,
		const uint8_t *dcid, size_t dcid_len, uint64_t now_ns, uint8_t *out, size_t size);

/**
 * CONNECTION_CLOSE to an Initial that gets no connection.
 *
 * @param code
 *   PLM_QUIC_CONNECTION_REFUSED or another of RFC 9000 §20.1.
 * @param reason
 *   Text for the client's log, at most 64 bytes are sent.
 * @return
 *   Bytes of the answer; -ENOBUFS, -EIO.
 */
int plm_answers_close(const struct plm_initial_hd *hd, uint64_t code, const char *reason,
		uint8_t *out, size_t size);

#endif
