/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Where a simulator build (-DPLM_SIM) may step in: points at which another lcore takes its turn,
 * sites at which something fails, and mutants: faults put in on purpose, of which one may be alive.
 * Each is declared once, below. In a shipped build a point is nothing and the other two are the
 * constant `false`, so no instruction of theirs is left; tests/sim/ has the other half.
 */
#ifndef PLM_SIM_H
#define PLM_SIM_H

#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;

/** A key, by its address, and a nonce. */
struct plm_sim_seal {
	const void *key;
	const uint8_t *nonce;
};

/**
 * X(ID, name, what it hands over). A point stands where memory that other lcores see has just
 * changed or is about to; its pointer lets the simulator check what was published or freed.
 */
#define PLM_SCHED_SITES(X)                                                                         \
	X(VIEW_LOADED, "view_loaded", "a worker has read a room's view: the view, or NULL")        \
	X(VIEW_PUBLISH, "view_publish", "a room's view was exchanged: the new one, or NULL")       \
	X(VIEW_RECLAIM, "view_reclaim", "a view is about to be freed: the view")                   \
	X(VIEW_PIN, "view_pin", "a parked fan-out has pinned a view: the view")                    \
	X(VIEW_UNPIN, "view_unpin", "a pin is about to be taken back: the view")                   \
	X(TOMBSTONE, "tombstone", "a member left every view that stands")                          \
	X(ENTRY, "entry", "before a subscriber's copies are made")                                 \
	X(SLICE, "slice", "between two slices of a fan-out")                                       \
	X(GROUP, "group", "between two rooms of a burst")                                          \
	X(REF_ADD, "ref_add", "a payload's references were raised")                                \
	X(REF_DROP, "ref_drop", "references are about to be given back")                           \
	X(RING_PUT, "ring_put", "messages are about to be put into a ring")                        \
	X(RING_GOT, "ring_got", "messages were taken from a ring")                                 \
	X(LOOKUP, "lookup", "a burst's sessions were looked up")                                   \
	X(INGRESS, "ingress", "a packet's session was found good, its limits come next")           \
	X(PARK, "park", "a fan-out is about to be parked")                                         \
	X(UNPARK, "unpark", "a parked fan-out is done")                                            \
	X(TX, "tx", "frames were offered to a queue")                                              \
	X(QUIESCENT, "quiescent", "a worker is about to report itself quiescent")                  \
	X(TURN_END, "turn_end", "a worker has reported itself quiescent")                          \
	X(SESSION_NEW, "session_new", "a session is filled, its generation not yet published")     \
	X(SESSION_OPEN, "session_open", "a session's generation is published: the packet state")   \
	X(SESSION_END, "session_end", "a session's generation is gone, its addresses not yet")     \
	X(SESSION_FREE, "session_free", "a session's index may be given out: the packet state")    \
	X(TUPLE, "tuple", "a session may send from one address more: the packet state")            \
	X(NEXTHOP_TAKE, "nexthop_take", "a next hop is taken into use: its word")                  \
	X(NEXTHOP_FREE, "nexthop_free", "nothing names a next hop any more: its word")             \
	X(CLAIM, "claim", "an SSRC claim was settled")                                             \
	X(QUIC_TOUCH, "quic_touch", "an lcore is about to use a connection: the connection")       \
	X(QUIC_KEY, "quic_key", "a key was made: the key")                                         \
	X(QUIC_SEAL, "quic_seal", "a packet is about to be sealed: struct plm_sim_seal")           \
	X(QUIC_EXTENT, "quic_extent", "a connection's memory was given back: the memory")

/** X(ID, name, what fails). What goes wrong outside of the relay is in tests/sim/run.h. */
#define PLM_FAULT_SITES(X)                                                                         \
	X(POOL_HDR, "pool_hdr", "the header pool is empty")                                        \
	X(POOL_COPY, "pool_copy", "the pool of linear copies is empty")                            \
	X(POOL_FRAME, "pool_frame", "the slow path's frame pool is empty")                         \
	X(POOL_SLICE, "pool_slice", "the pool of payloads for slices is empty")                    \
	X(RING_CROSS, "ring_cross", "a ring between workers is full")                              \
	X(RING_CARRY, "ring_carry", "the ring to a TX queue's owner is full")                      \
	X(RING_SLICE, "ring_slice", "the ring to another worker's slice of a room is full")        \
	X(RING_CTL, "ring_ctl", "a ring to the slow path is full")                                 \
	X(RING_CLAIM, "ring_claim", "a ring to the slow path is full when a claim comes")          \
	X(RING_DOWN, "ring_down", "a ring from the slow path is full when a frame comes")          \
	X(RING_REVOKE, "ring_revoke", "a ring from the slow path is full when a revocation comes") \
	X(RING_BYE, "ring_bye", "a ring from the slow path is full when a BYE comes")              \
	X(TX_REFUSES, "tx_refuses", "a TX queue takes nothing, or not all")                        \
	X(HASH_TUPLE, "hash_tuple", "the address table is full")                                   \
	X(HASH_SSRC, "hash_ssrc", "the SSRC table is full")                                        \
	X(HASH_ROOM, "hash_room", "the table of rooms is full")                                    \
	X(MEMORY_VIEW, "memory_view", "no memory for a view")                                      \
	X(MEMORY_MEMBER, "memory_member", "no memory for a member")                                \
	X(NEIGHBOURS, "neighbours", "the neighbour table is full")                                 \
	X(TRACE_FULL, "trace_full", "a worker's copies for traces find no place")                  \
	X(POOL_QUIC, "pool_quic", "the pool of QUIC packets and datagrams is empty")               \
	X(QUIC_EXTENT, "quic_extent", "a QUIC connection gets no more memory")                     \
	X(QUIC_SLOT, "quic_slot", "there is no place for another QUIC connection")                 \
	X(QUIC_TLS, "quic_tls", "no memory for a TLS session")                                     \
	X(RING_ADOPT, "ring_adopt",                                                                \
			"a ring from the slow path is full when a connection goes home")           \
	X(RING_CLOSE, "ring_close", "a ring from the slow path is full when one is to be closed")  \
	X(RING_GONE, "ring_gone", "a ring to the slow path is full when a connection has ended")   \
	X(RING_BACK, "ring_back",                                                                  \
			"a ring from the slow path is full when a QUIC packet comes back")         \
	X(RING_STREAM, "ring_stream", "a ring is full when bytes of a stream, or credit, come")

/** X(ID, name, what it does wrong). The simulator must tell each from the real thing. */
#define PLM_MUTANTS(X)                                                                             \
	X(SKIP_GRACE, "skip_grace", "free a view without waiting for the workers")                 \
	X(HALF_VIEW, "half_view", "publish a view before its last entry is written")               \
	X(TO_SENDER, "to_sender", "send a packet to its sender, too")                              \
	X(TO_SUCCESSOR, "to_successor",                                                            \
			"send a packet to the session that its sender came back with")             \
	X(EVICT_FIRST, "evict_first", "end a session before its successor is sure to get in")      \
	X(OPEN_EARLY, "open_early", "open a successor before its predecessor has left the views")  \
	X(REF_SHORT, "ref_short", "take one reference too few")                                    \
	X(REF_EXTRA, "ref_extra", "take one reference too many")                                   \
	X(SWAP_SLICES, "swap_slices", "send one port's slice through another port")                \
	X(IGNORE_CONSENT, "ignore_consent", "let a session run on without consent")                \
	X(REPLAY_MOVES, "replay_moves", "let a replayed request move a session")                   \
	X(LOW_PRIORITY, "low_priority", "let a nomination of lower priority move a session")       \
	X(ANY_ROLE, "any_role", "let a credential do more than it says")                           \
	X(RING_LEAK, "ring_leak", "lose the mbufs that a full ring did not take")                  \
	X(CLAIM_LOST, "claim_lost", "drop an SSRC claim that finds its ring full")                 \
	X(REVOKE_LOST, "revoke_lost", "drop a revocation that finds its ring full")                \
	X(SAME_GENERATION, "same_generation", "give an index out again under its old generation")  \
	X(FOREIGN_HOME, "foreign_home", "send to sessions whose home is another worker")           \
	X(COUNT_TWICE, "count_twice", "count a dropped packet twice")                              \
	X(EXPIRED_JOINS, "expired_joins", "let an expired credential in")                          \
	X(OVERWRITE, "overwrite", "write into a payload that others share")                        \
	X(RESUME_OFF, "resume_off", "resume a parked fan-out one entry further")                   \
	X(UNPIN_EARLY, "unpin_early", "let go of a view while a parked fan-out reads it")          \
	X(AFTER_LEAVE, "after_leave", "ignore the tombstones of those who left")                   \
	X(OVERTAKE, "overtake", "let a packet pass its room's parked ones")                        \
	X(RELEASE_EARLY, "release_early", "give a next hop back while a view names it")            \
	X(REUSE_EARLY, "reuse_early", "give a session's index out without a grace period")         \
	X(KICK_FORGETS, "kick_forgets", "forget to bar the credential of who is kicked")           \
	X(OLD_TUPLE, "old_tuple", "accept the address that a session left for ever")               \
	X(WRONG_ROOM, "wrong_room", "send a burst's packets to its first packet's room")           \
	X(BYE_LOST, "bye_lost", "drop a BYE that finds its ring full")                             \
	X(SLICE_TWICE, "slice_twice", "hand a packet to another worker's slice twice")             \
	X(SLICE_FORGOTTEN, "slice_forgotten", "hand a packet to all slices but the last")          \
	X(SLICE_ORDER, "slice_order", "serve what was handed over in one burst backwards")         \
	X(SLICE_SHARED, "slice_shared", "share a lent payload instead of copying it")              \
	X(SLICE_KEPT, "slice_kept", "free a lent payload where it was copied")                     \
	X(SLICE_UNCOUNTED, "slice_uncounted", "count a slice that is not served as one copy")      \
	X(SLICE_NEWCOMERS, "slice_newcomers",                                                      \
			"serve a slice to who came back, from another home, after the packet")     \
	X(SLICE_STALE, "slice_stale",                                                              \
			"serve a slice for a sender that has ended, and may have another home")    \
	X(BYE_HOME, "bye_home", "tell of a BYE only who lives at the room's home")                 \
	X(STATIC_STAYS, "static_stays", "leave a static endpoint where the list before had it")    \
	X(STATIC_FORGOTTEN, "static_forgotten",                                                    \
			"forget a static endpoint that found no place at once")                    \
	X(TRACE_ALL, "trace_all", "copy what rooms receive that are not traced")                   \
	X(TRACE_FIRST, "trace_first", "copy a burst's first packet in each one's place")           \
	X(TRACE_UNCOUNTED, "trace_uncounted", "count only the first packet that a trace misses")   \
	X(QUIC_TWO, "quic_two", "let the slow path use a connection that has gone home")           \
	X(QUIC_GENERATION, "quic_generation",                                                      \
			"give a packet to the connection that its slot has now")                   \
	X(QUIC_LEFT, "quic_left", "send datagrams to a connection whose session has ended")        \
	X(QUIC_NONCE, "quic_nonce", "seal two packets with one nonce")                             \
	X(QUIC_WINDOW, "quic_window", "leave a window that was full closed")                       \
	X(QUIC_ARENA, "quic_arena", "give memory back that a connection uses")                     \
	X(QUIC_ADOPT_LOST, "quic_adopt_lost",                                                      \
			"forget to send a connection home when the ring is full")                  \
	X(AUTH_STALE, "auth_stale", "let a token in that was cached past its time")                \
	X(ACL_IGNORED, "acl_ignored", "let those into a room whom its rule does not allow")

#ifdef PLM_SIM

enum plm_sched_site {
#define PLM_SIM_ID(id, name, help) PLM_SCHED_##id,
	PLM_SCHED_SITES(PLM_SIM_ID)
#undef PLM_SIM_ID
			PLM_SCHED_MAX
};

enum plm_fault_site {
#define PLM_SIM_ID(id, name, help) PLM_FAULT_##id,
	PLM_FAULT_SITES(PLM_SIM_ID)
#undef PLM_SIM_ID
			PLM_FAULT_MAX
};

enum plm_mutant {
	PLM_MUTANT_NONE,
#define PLM_SIM_ID(id, name, help) PLM_MUTANT_##id,
	PLM_MUTANTS(PLM_SIM_ID)
#undef PLM_SIM_ID
			PLM_MUTANT_MAX
};

/** Another lcore may run before this returns. `what` as the table says. */
void plm_sim_point(enum plm_sched_site site, const void *what);
/** Does it fail now? */
bool plm_sim_fault(enum plm_fault_site site);
/** How many of `n` frames a TX queue may take now. */
uint16_t plm_sim_tx(uint16_t ethdev_id, uint16_t queue_id, uint16_t n);
/** A received packet is about to be freed undelivered; `counter` (enum plm_counter) says why. */
void plm_sim_drop(const void *counters, const struct rte_mbuf *m, int counter);
/** A copy of `payload` for a session is not made; `counter` says why. */
void plm_sim_copy_drop(const void *counters, const struct rte_mbuf *payload, uint32_t session_idx,
		int counter);
/** `to` holds the payload of `from` now. */
void plm_sim_copied(struct rte_mbuf *to, const struct rte_mbuf *from);
/** The one that is alive, or PLM_MUTANT_NONE. */
extern enum plm_mutant plm_sim_mutant;

#define plm_sched_point(site, what) plm_sim_point(PLM_SCHED_##site, (what))
#define plm_fault(site)             plm_sim_fault(PLM_FAULT_##site)
#define plm_mutant(name)            (plm_sim_mutant == PLM_MUTANT_##name)

#else

#define plm_sched_point(site, what)       ((void)0)
#define plm_fault(site)                   false
#define plm_mutant(name)                  false
#define plm_sim_tx(ethdev_id, queue, n)   (n)
#define plm_sim_drop(counters, m, why)    ((void)0)
#define plm_sim_copy_drop(c, m, idx, why) ((void)0)
#define plm_sim_copied(to, from)          ((void)0)

#endif

#endif
