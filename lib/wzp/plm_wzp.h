/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The WZP protocol's signals (JSON in frames), identities and the handshake's signatures. No clock, no
 * I/O, no state but the seed of the JSON library's hash; any thread. Ephemeral keys come from the
 * caller's randomness and are erased; signatures are Ed25519 (RFC 8032), hence deterministic.
 * Section numbers are those of the protocol's specification.
 */
#ifndef PLM_WZP_H
#define PLM_WZP_H

#include "plm_base.h"

/** First half of SHA-256 over an Ed25519 public key; as text in eight groups of four hex digits. */
#define PLM_WZP_FINGERPRINT      16
#define PLM_WZP_FINGERPRINT_TEXT 40 /**< 39 and NUL: 9983:c2ce:... */

#define PLM_WZP_KEY       32 /**< bytes of a public key, of a secret one, of a seed */
#define PLM_WZP_SIGNATURE 64

#define PLM_WZP_TEXT_MAX     64      /**< bytes of UTF-8 that are kept of an alias or a reason */
#define PLM_WZP_TOKEN_MAX    4096    /**< bytes of a token */
#define PLM_WZP_PROFILES_MAX 16      /**< profiles in an offer */
#define PLM_WZP_SIGNAL_MAX   16384   /**< bytes of JSON of a signal that is read */
#define PLM_WZP_VALUES_MAX   1024    /**< and values in it: a client's offer has 165 */
#define PLM_WZP_FRAME_MAX    1048576 /**< bytes of JSON that the protocol allows */
#define PLM_WZP_DEPTH_MAX    128     /**< arrays and objects within each other */
#define PLM_WZP_LENGTH       4       /**< in front of a frame's JSON, big endian */

/**
 * Seed the JSON library's hash tables, so that nobody can choose keys that collide. Once, before other
 * threads run; without it the library seeds itself from the operating system.
 */
void plm_wzp_init(const struct plm_rand *rand);

/* --- identities (§3.2) --------------------------------------------------------------------- */

/** Who a client or a relay is. `secret` signs: erase the struct by plm_crypto_erase(). */
struct plm_wzp_identity {
	uint8_t pub[PLM_WZP_KEY];
	uint8_t secret[PLM_WZP_KEY];
	uint8_t fingerprint[PLM_WZP_FINGERPRINT];
	char text[PLM_WZP_FINGERPRINT_TEXT];
};

/** The identity of a seed: the same one every time. 0 or -EIO. */
int plm_wzp_identity_derive(const uint8_t seed[PLM_WZP_KEY], struct plm_wzp_identity *id);

/** 0 or -EIO when OpenSSL refuses. */
int plm_wzp_fingerprint(const uint8_t pub[PLM_WZP_KEY], uint8_t fp[PLM_WZP_FINGERPRINT]);

void plm_wzp_fingerprint_text(const uint8_t fp[PLM_WZP_FINGERPRINT],
		char text[PLM_WZP_FINGERPRINT_TEXT]);

/** Lower-case hex and colons, 39 characters exactly. 0 or -EINVAL. */
int plm_wzp_fingerprint_read(const char *text, size_t len, uint8_t fp[PLM_WZP_FINGERPRINT]);

/** What the web bridge gives as a room's name (§1.3): 32 hex digits and NUL. 0 or -EIO. */
int plm_wzp_room_hash(const char *room, char hex[33]);

/* --- signals (§2) -------------------------------------------------------------------------- */

/** All of §2.4, in its order: enumerator, name on the wire. */
#define PLM_WZP_TYPE_LIST(X)                                                                       \
	X(CALL_OFFER, "CallOffer")                                                                 \
	X(CALL_ANSWER, "CallAnswer")                                                               \
	X(ICE_CANDIDATE, "IceCandidate")                                                           \
	X(REKEY, "Rekey")                                                                          \
	X(QUALITY_UPDATE, "QualityUpdate")                                                         \
	X(LOSS_RECOVERY_UPDATE, "LossRecoveryUpdate")                                              \
	X(PING, "Ping")                                                                            \
	X(PONG, "Pong")                                                                            \
	X(HANGUP, "Hangup")                                                                        \
	X(AUTH_TOKEN, "AuthToken")                                                                 \
	X(HOLD, "Hold")                                                                            \
	X(UNHOLD, "Unhold")                                                                        \
	X(MUTE, "Mute")                                                                            \
	X(UNMUTE, "Unmute")                                                                        \
	X(TRANSFER, "Transfer")                                                                    \
	X(TRANSFER_ACK, "TransferAck")                                                             \
	X(PRESENCE_UPDATE, "PresenceUpdate")                                                       \
	X(ROUTE_QUERY, "RouteQuery")                                                               \
	X(ROUTE_RESPONSE, "RouteResponse")                                                         \
	X(SESSION_FORWARD, "SessionForward")                                                       \
	X(SESSION_FORWARD_ACK, "SessionForwardAck")                                                \
	X(ROOM_UPDATE, "RoomUpdate")                                                               \
	X(FEDERATION_HELLO, "FederationHello")                                                     \
	X(GLOBAL_ROOM_ACTIVE, "GlobalRoomActive")                                                  \
	X(GLOBAL_ROOM_INACTIVE, "GlobalRoomInactive")                                              \
	X(REGISTER_PRESENCE, "RegisterPresence")                                                   \
	X(REGISTER_PRESENCE_ACK, "RegisterPresenceAck")                                            \
	X(DIRECT_CALL_OFFER, "DirectCallOffer")                                                    \
	X(DIRECT_CALL_ANSWER, "DirectCallAnswer")                                                  \
	X(CALL_SETUP, "CallSetup")                                                                 \
	X(CALL_RINGING, "CallRinging")                                                             \
	X(REFLECT, "Reflect")                                                                      \
	X(REFLECT_RESPONSE, "ReflectResponse")                                                     \
	X(MEDIA_PATH_REPORT, "MediaPathReport")                                                    \
	X(FEDERATED_SIGNAL_FORWARD, "FederatedSignalForward")                                      \
	X(QUALITY_DIRECTIVE, "QualityDirective")

enum plm_wzp_type {
#define X(name, text) PLM_WZP_##name,
	PLM_WZP_TYPE_LIST(X)
#undef X
			PLM_WZP_TYPES
};

const char *plm_wzp_type_name(enum plm_wzp_type type);

enum plm_wzp_reason {
	PLM_WZP_REASON_NORMAL,
	PLM_WZP_REASON_BUSY,
	PLM_WZP_REASON_DECLINED,
	PLM_WZP_REASON_TIMEOUT,
	PLM_WZP_REASON_ERROR,
	PLM_WZP_REASONS
};

const char *plm_wzp_reason_name(enum plm_wzp_reason reason);

/** Codecs by their id in media headers (§4.2), 0 to 8; the rest has no name: NULL. */
#define PLM_WZP_CODECS 9

const char *plm_wzp_codec_name(uint8_t codec);

struct plm_wzp_profile {
	uint8_t codec; /**< below PLM_WZP_CODECS */
	uint8_t frame_duration_ms;
	uint8_t frames_per_block;
	float fec_ratio;
};

/** Named profiles of §2.3, which are what an offer lists, in this order. */
enum plm_wzp_preset {
	PLM_WZP_STUDIO_64K,
	PLM_WZP_STUDIO_48K,
	PLM_WZP_STUDIO_32K,
	PLM_WZP_GOOD,
	PLM_WZP_DEGRADED,
	PLM_WZP_CATASTROPHIC,
	PLM_WZP_PRESETS
};

extern const struct plm_wzp_profile plm_wzp_profiles[PLM_WZP_PRESETS];

/** A text that may be missing (null). Read ones are valid UTF-8, cut at a character, end at a NUL. */
struct plm_wzp_text {
	bool is_set;
	char text[PLM_WZP_TEXT_MAX + 1];
};

/** A signature of any length, as far as it can be right. */
struct plm_wzp_signature {
	uint16_t len; /**< that it came with; only PLM_WZP_SIGNATURE can be right */
	uint8_t bytes[PLM_WZP_SIGNATURE];
};

struct plm_wzp_profile_list {
	uint8_t nb;
	struct plm_wzp_profile list[PLM_WZP_PROFILES_MAX];
};

struct plm_wzp_call_offer {
	uint8_t identity_pub[PLM_WZP_KEY];
	uint8_t ephemeral_pub[PLM_WZP_KEY];
	struct plm_wzp_signature signature;
	struct plm_wzp_profile_list profiles;
	struct plm_wzp_text alias;
};

struct plm_wzp_call_answer {
	uint8_t identity_pub[PLM_WZP_KEY];
	uint8_t ephemeral_pub[PLM_WZP_KEY];
	struct plm_wzp_signature signature;
	struct plm_wzp_profile profile;
};

/** Those that somebody handles; of the others the type is all there is. */
struct plm_wzp_signal {
	enum plm_wzp_type type;
	union {
		struct plm_wzp_call_offer call_offer;
		struct plm_wzp_call_answer call_answer;
		struct {
			char token[PLM_WZP_TOKEN_MAX + 1];
		} auth_token;
		struct {
			uint64_t timestamp_ms; /**< up to 2^63 - 1 */
		} ping;
		struct {
			uint64_t timestamp_ms;
		} pong;
		struct {
			enum plm_wzp_reason reason;
			struct plm_wzp_text call_id; /**< longer ones: -E2BIG */
		} hangup;
		struct {
			uint32_t count;           /**< what it says */
			uint32_t nb_participants; /**< what it lists */
		} room_update;
		struct {
			struct plm_wzp_profile profile;
			struct plm_wzp_text reason;
		} quality_directive;
	};
};

/**
 * Read a signal's JSON (without the length in front). All 36 variants are checked completely, as tolerant
 * as §2.2 says: unknown fields are skipped, fields may come as an array in order, and so on. We are stricter
 * than the original with what no program writes: integers of 2^63 and above, lone surrogates and twofold
 * names are refused in skipped fields, too, and so is a NUL in a token or a call id. -0 is 0.
 *
 * @param[out] signal
 *   Untouched on error.
 * @return
 *   0; -E2BIG: longer than PLM_WZP_SIGNAL_MAX, more values than PLM_WZP_VALUES_MAX, or a list or string
 *   that is too long (profiles, token, call id);
 *   -EBADMSG: no JSON, not UTF-8, deeper than PLM_WZP_DEPTH_MAX, not a signal's form, a field that is
 *   missing, twofold or out of range; -ENOTSUP: a signal that nobody knows; -ENOMEM.
 */
int plm_wzp_decode(const void *json, size_t len, struct plm_wzp_signal *signal);

/** What a RoomUpdate lists; texts as long as the callback runs. */
struct plm_wzp_participant {
	const char *fingerprint;
	const char *alias;       /**< or NULL */
	const char *relay_label; /**< or NULL: local */
};

typedef void (*plm_wzp_participant_cb)(void *ctx, const struct plm_wzp_participant *participant);

/**
 * Read a RoomUpdate of up to PLM_WZP_FRAME_MAX, for clients: `cb` is called for each participant, in
 * order, once all of it has been found right.
 *
 * @return as plm_wzp_decode(), and -ENOMSG: another signal.
 */
int plm_wzp_room_update_read(const void *json, size_t len, plm_wzp_participant_cb cb, void *ctx,
		uint32_t *count);

/**
 * Write a frame: length and JSON, byte for byte as the original programs do.
 *
 * @return
 *   Its length; -ENOSPC; -EINVAL: a signal without fields here (a RoomUpdate, too: see below), a codec
 *   or reason that there is not, a ratio that is not finite.
 */
int plm_wzp_encode(const struct plm_wzp_signal *signal, void *buf, size_t size);

/* A RoomUpdate is put together from what stays: head, participants with commas between, tail. */

#define PLM_WZP_ROOM_UPDATE_HEAD_MAX 64
#define PLM_WZP_ROOM_UPDATE_TAIL     "]}}"

/** Longest of plm_wzp_participant_encode(), when each text is PLM_WZP_TEXT_MAX long: each byte may
 *  become six. */
#define PLM_WZP_PARTICIPANT_MAX (128 + 2 * 6 * PLM_WZP_TEXT_MAX)

/**
 * One participant as a JSON object, without NUL. `alias` and `relay_label` are UTF-8, or NULL for null.
 * @return length or -ENOSPC.
 */
int plm_wzp_participant_encode(const uint8_t fp[PLM_WZP_FINGERPRINT], const char *alias,
		const char *relay_label, char *buf, size_t size);

/**
 * The head of a frame: length and JSON up to the first participant. The tail is PLM_WZP_ROOM_UPDATE_TAIL.
 *
 * @param participants_len
 *   Bytes between head and tail, commas included.
 * @return length, at most PLM_WZP_ROOM_UPDATE_HEAD_MAX; -ENOSPC; -EMSGSIZE: the frame were longer than
 *   the protocol allows.
 */
int plm_wzp_room_update_head(uint32_t count, size_t participants_len, void *buf, size_t size);

/* --- handshake (§3.3) ---------------------------------------------------------------------- */

/**
 * A client's offer: fresh ephemeral key, signature, all presets.
 *
 * @param alias
 *   UTF-8 of up to PLM_WZP_TEXT_MAX bytes, or NULL.
 * @return 0, -EINVAL (alias), -EIO.
 */
int plm_wzp_offer_make(const struct plm_wzp_identity *id, const struct plm_rand *rand,
		const char *alias, struct plm_wzp_signal *offer);

/** Whether the offer was signed by the identity that it names. 0; -EKEYREJECTED, also for keys of low
 *  order, for which anybody can sign. */
int plm_wzp_offer_verify(const struct plm_wzp_signal *offer);

/** A relay's answer: fresh ephemeral key, signature, PLM_WZP_GOOD. 0 or -EIO. */
int plm_wzp_answer_make(const struct plm_wzp_identity *relay, const struct plm_rand *rand,
		struct plm_wzp_signal *answer);

int plm_wzp_answer_verify(const struct plm_wzp_signal *answer);

#endif
