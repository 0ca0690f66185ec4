/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by wzp*.c: what clients of the WZP protocol say, and are told. All of it is the slow path's. */
#ifndef WZP_PRIV_H
#define WZP_PRIV_H

#include "ctl_priv.h"
#include "plm_auth.h"
#include "plm_relay_quic.h"
#include "plm_wheel.h"
#include "plm_wzp.h"

#define WZP_NONE UINT32_MAX

/** Where a connection stands. */
enum wzp_stage {
	WZP_STAGE_NONE, /**< no connection, or one that is being closed: whatever it says is dropped */
	WZP_STAGE_TOKEN, /**< AuthToken must come first */
	WZP_STAGE_AUTH,  /**< and is being validated */
	WZP_STAGE_OFFER, /**< CallOffer must come */
	WZP_STAGE_ROOM,
	WZP_STAGE_LEAVING, /**< it has hung up */
	WZP_STAGE_VERSION, /**< it gets the version, and no more */
};

/** One bit for each kind of message that is due. */
#define WZP_DUE(kind) (1u << (kind))

/** JSON of one participant: a fingerprint, an alias of which each byte may be escaped, a label. */
#define WZP_JSON_MAX 512

/** Parts of streams, in the order in which they came; linked by `next`. */
struct wzp_parts {
	struct rte_mbuf *head;
	struct rte_mbuf **tail;
};

/** One client, by the slot of its connection. */
struct wzp_conn {
	uint8_t stage; /**< enum wzp_stage */
	uint8_t due;   /**< what it is to be told */
	bool is_ready; /**< in the row of those whose next frame may be read; so it stays when they end */
	bool is_told; /**< in the row of those to be told something */
	uint32_t ready_next;
	uint32_t told_next;
	uint32_t told_prev;

	/* streams */
	struct wzp_parts parts;
	uint32_t nb_parts;
	int64_t stream_id; /**< all before it are done with */
	uint64_t done[2];  /**< and those after it of which a bit is set */

	/* who it is */
	bool has_auth;
	uint8_t token[PLM_AUTH_DIGEST]; /**< that is being validated */
	uint8_t fingerprint[PLM_WZP_FINGERPRINT];
	struct plm_wzp_text alias;
	uint64_t signal_tat; /**< virtual schedule of what it says */
	uint64_t ping_ms;    /**< to be answered with */
	uint64_t deadline_ns;
	uint64_t since_ns; /**< when it came to where it stands */

	/* its room */
	uint32_t room_idx; /**< WZP_NONE: none */
	uint32_t next;     /**< who joined after it */
	uint32_t prev;
	uint16_t json_len;
	char json[WZP_JSON_MAX]; /**< as in a RoomUpdate */
};

/** A room's participants in the order in which they joined, and what they were told last. */
struct wzp_room {
	uint32_t head;
	uint32_t tail;
	uint32_t nb;
	size_t json_len;            /**< of all of them */
	struct plm_quic_blob *blob; /**< the newest update */
	bool is_changed;            /**< since then; in the row of those, unless it rests */
	bool is_resting;            /**< told a moment ago: not again before `rest_ns` */
	bool is_in_row;             /**< of those that rest */
	uint64_t rest_ns;
	uint32_t changed_next;
	uint32_t resting_next;
};

/** Objects in a row, by index; linked by a field of theirs. */
struct wzp_row {
	uint32_t head;
	uint32_t tail;
	uint32_t nb;
};

/** Offers that were taken lately: nobody else's word is taken twice. */
#define WZP_OFFERS      16384
#define WZP_OFFERS_WAYS 8

struct ctl_wzp {
	/* const */
	struct plm_ctl *ctl;
	struct plm_wzp_identity identity;
	uint32_t nb_conns;
	uint32_t nb_rooms;
	uint8_t offer_key[16];

	/* ctl */
	struct wzp_conn *conns; /**< [nb_conns] */
	struct wzp_room *rooms; /**< [nb_rooms] */
	struct plm_auth_cache *cache;
	struct plm_wheel wheel;
	struct plm_wheel_entry *timers; /**< [nb_conns] */
	uint32_t oldest_at;             /**< where the search for who waits for long goes on */
	struct wzp_row ready;
	struct wzp_row told[PLM_WORKERS_MAX]; /**< by home */
	struct wzp_row changed;               /**< rooms */
	struct wzp_row resting;
	struct plm_quic_blob *old; /**< updates that were replaced, until nobody reads them */
	struct plm_quic_blob **old_tail;
	uint32_t nb_old;
	struct plm_wzp_signal signal; /**< that was read, or is about to be written */
	uint64_t *offers;             /**< [WZP_OFFERS], hashes of what was offered */
	uint8_t offers_next[WZP_OFFERS / WZP_OFFERS_WAYS];
	char json[PLM_WZP_SIGNAL_MAX]; /**< the frame that is being read */
};

/* wzp.c */
/** Tell the client something, as soon as the ring to its worker has room. */
void wzp_tell(struct ctl_wzp *z, uint32_t idx, enum wzp_message kind);
/** Handle a frame's JSON. */
void wzp_signal(struct ctl_wzp *z, uint32_t idx, const char *json, size_t len);
/** One that cannot be read: too long, or not whole. */
void wzp_signal_bad(struct ctl_wzp *z, uint32_t idx, enum plm_counter why);

/* wzp_stream.c */
void wzp_stream_init(struct wzp_conn *c);
/** Give back what waits. */
void wzp_stream_fini(struct ctl_wzp *z, uint32_t idx);
/** A frame may be read that could not before: the stage is another one. */
void wzp_stream_look(struct ctl_wzp *z, uint32_t idx);
/** Read some frames of those that wait; how many. */
unsigned int wzp_stream_turn(struct ctl_wzp *z);

/* wzp_room.c */
void wzp_room_join(struct ctl_wzp *z, uint32_t idx, uint32_t room_idx);
void wzp_room_leave(struct ctl_wzp *z, uint32_t idx);
/** Make updates that are due, free those that nobody needs any more. */
unsigned int wzp_room_turn(struct ctl_wzp *z);

#endif
