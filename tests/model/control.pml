/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Model: control messages between a worker and the slow path, in rings that are also full of packets
 * (lib/relay/ingress.c: stream_new(), claim_queue(), relay_claims(), relay_revoke();
 * lib/ctl/input.c: known(), claim(), revoke_flush(); lib/session). scripts/model checks every state.
 *
 * A new SSRC's claim waits as a flag on the stream, and its session in a queue, until the ring to the
 * slow path takes it. The slow path enters the SSRC for the session or answers with a revocation;
 * one that finds the ring down full is kept, and until it is on its way no further claim is taken.
 * Sessions end and their indexes are used again meanwhile.
 *
 * What must hold, whatever the order of steps:
 *   - every SSRC that a living session sends from is in the end its own, or forgotten, as long as its
 *     worker turns (`ltl settled`, with weak fairness);
 *   - no claim and no revocation is applied to another session than its own, although the session
 *     behind the index may have changed;
 *   - nobody ever waits for room in a ring: no deadlock with both full, and a worker that stopped
 *     does not stop the slow path;
 *   - packets and frames may be dropped from full rings, but then are counted (`ltl settled`).
 *
 * Packets are PACKETS and frames FRAMES in all: of an endless flood nothing can be promised. A worker
 * hands up a turn's packets before its claims, so a ring that is full at the end of every turn holds
 * them back (never loses them); what bounds such a flood are the rates in lib/relay/filter.c.
 *
 * A step is one operation on a ring or one access to shared memory. A ring's put and get are atomic
 * here; in the C code plm_mailbox_put() releases what plm_mailbox_get() acquires (rte_ring, checked
 * with real threads by tests/unit/lcore/race_test.c). That a session's state is reset only when no
 * worker's turn holds it is reclaim.pml's part, and taken for granted: `rests`.
 *
 * Bounds: one worker, two sessions of one room that send from the same SSRCS SSRCs at once. With
 * -DREUSE session 1 may end, and its index be used once more.
 *
 * Broken on purpose, each of which must be noticed:
 *   -DCLAIM_DROPPED      a full ring: the session leaves the queue all the same
 *   -DCLEARED_FIRST      the pending flag is cleared, then the claim is put
 *   -DREVOKE_DROPPED     a full ring: the revocation is forgotten
 *   -DREVOKE_OVERTAKEN   claims are taken although a revocation is kept
 *   -DREVOKE_UNCHECKED   a worker does not look at a revocation's generation
 *   -DSAME_GENERATION    an index is used again without a new generation
 *   -DSLOW_PATH_WAITS    the slow path waits for room in the ring down
 *   -DWORKER_WAITS       a worker waits for room in the ring up
 *   -DUNCOUNTED          a packet that finds the ring full is not counted
 */
#ifdef REUSE
#define SSRCS 1
#else
#define SSRCS 2
#endif
#ifndef PACKETS
#define PACKETS 1
#endif
#ifndef FRAMES
#define FRAMES 1
#endif

#define NOBODY 255

mtype = { PACKET, CLAIM, FRAME, REVOKE };

/* type, session index, generation, SSRC, and whose it is (ghost) */
chan known = [1] of { mtype, byte, byte, byte, byte };
chan down = [1] of { mtype, byte, byte, byte, byte };

/* What both see of a session: plm_session_hot.gen; and, to be reset when the index is used again,
 * the streams, which are the home worker's. */
byte gen[2];
byte life[2]; /* ghost: which of the index's sessions */
mtype = { NONE, PENDING, CLAIMED };
mtype stream[4]; /* [index * SSRCS + SSRC] */

byte owner[2] = NOBODY; /* by SSRC: session index; by_ssrc */

bool rests[2]; /* the index's session ended, and the worker has been quiescent since */
bool stopped; /* the worker */

byte nb_packets, packets_dropped, packets_taken;
byte nb_frames, frames_dropped, frames_taken;

/* --- the slow path ------------------------------------------------------------------------- */

proctype slow()
{
	byte last_gen[2] = 1;
	/* ctl->revoke[], ctl->has_revoke[] */
	bool has_revoke;
	byte revoke_idx, revoke_gen, revoke_ssrc, revoke_life;
	byte x, g, s, l;

turn:
	/* known(): a budget of one message */
	if
	:: has_revoke ->
#if defined(SLOW_PATH_WAITS)
		atomic {
			down!REVOKE(revoke_idx, revoke_gen, revoke_ssrc, revoke_life);
			has_revoke = false;
			revoke_idx = 0; revoke_gen = 0; revoke_ssrc = 0; revoke_life = 0
		}
#else
		/* revoke_flush() */
		if
		:: atomic {
			nfull(down) ->
				down!REVOKE(revoke_idx, revoke_gen, revoke_ssrc, revoke_life);
				has_revoke = false;
				revoke_idx = 0; revoke_gen = 0; revoke_ssrc = 0; revoke_life = 0
			}
#if defined(REVOKE_OVERTAKEN)
		:: full(down)
#elif defined(REVOKE_DROPPED)
		:: atomic {
			full(down) ->
				has_revoke = false;
				revoke_idx = 0; revoke_gen = 0; revoke_ssrc = 0; revoke_life = 0
			}
#else
		:: full(down) -> goto others
#endif
		fi
#endif
	:: else
	fi;
	if
	:: atomic { known?PACKET(x, g, s, l) -> packets_taken++ }
	:: atomic {
		known?CLAIM(x, g, s, l) ->
			if
			:: gen[x] == g -> /* session_open_slot() */
				/* a claim is applied to another session */
				assert(life[x] == l);
				if
				:: owner[s] == NOBODY -> owner[s] = x /* plm_session_claim_ssrc() */
				:: owner[s] == x
				:: else ->
					has_revoke = true;
					revoke_idx = x; revoke_gen = g; revoke_ssrc = s; revoke_life = l
				fi
			:: else /* -ENOENT: its home has forgotten it already */
			fi;
			x = 0; g = 0; s = 0; l = 0
		}
	:: empty(known)
	fi;

others:
	if
	/* send_down() */
	:: atomic {
		nb_frames < FRAMES ->
			nb_frames++;
			if
			:: nfull(down) -> down!FRAME(0, 0, 0, 0)
			:: full(down) -> frames_dropped++
			fi
		}
#ifdef REUSE
	/* plm_session_end() */
	:: atomic {
		gen[1] != 0 && life[1] == 1 ->
			gen[1] = 0;
			rests[1] = stopped
		}
		atomic { owner[0] = (owner[0] == 1 -> NOBODY : owner[0]) }
	/* plm_session_create() */
	:: atomic {
		gen[1] == 0 && rests[1] ->
			rests[1] = false;
			life[1]++; /* hot_reset() */
			stream[1] = NONE;
#ifndef SAME_GENERATION
			last_gen[1]++
#endif
		}
		gen[1] = last_gen[1]
#endif
	:: skip
	fi;
	goto turn
}

/* --- the worker ---------------------------------------------------------------------------- */

/* claims_send(): one stream's claim. */
inline claim_send(x, s)
{
	if
	:: stream[x * SSRCS + s] == PENDING ->
#if defined(CLEARED_FIRST)
		stream[x * SSRCS + s] = CLAIMED;
		if
		:: atomic { nfull(known) -> known!CLAIM(x, gen[x], s, life[x]) }
		:: full(known) -> goto claims_done
		fi
#elif defined(WORKER_WAITS)
		atomic { known!CLAIM(x, gen[x], s, life[x]); stream[x * SSRCS + s] = CLAIMED }
#else
		if
		:: atomic { nfull(known) -> known!CLAIM(x, g, s, l) }
			stream[x * SSRCS + s] = CLAIMED
		:: full(known) ->
#ifdef CLAIM_DROPPED
			queued[x] = false;
			queue?_;
#endif
			goto claims_done
		fi
#endif
	:: else
	fi
}

/* stream_new(): a packet of a living session with a new SSRC that is not another's */
inline new_stream(i, n)
{
	gen[i] != 0 && stream[i * SSRCS + n] == NONE ->
		if
		:: atomic {
			owner[n] == NOBODY || owner[n] == i -> /* not ssrc_is_foreign() */
				stream[i * SSRCS + n] = PENDING;
				if
				:: !queued[i] -> queued[i] = true; queue!i /* claim_queue() */
				:: else
				fi
			}
		:: else
		fi
}

proctype worker()
{
	chan queue = [2] of { byte }; /* claim_head, claim_next[] */
	bool queued[2];
	byte x, g, s, l;

turn:
	if
	:: skip
	:: atomic { stopped = true; rests[1] = (gen[1] == 0); goto stop } /* and is offline */
	fi;

	/* down() */
	do
	:: atomic { down?FRAME(x, g, s, l) -> frames_taken++ }
	:: down?REVOKE(x, g, s, l) ->
		/* relay_revoke() */
		atomic {
			if
#ifdef REVOKE_UNCHECKED
			:: true ->
#else
			:: gen[x] == g -> /* plm_session_get() */
#endif
				/* a revocation is applied to another session */
				assert(life[x] == l);
				stream[x * SSRCS + s] = NONE
			:: else
			fi;
			x = 0; g = 0; s = 0; l = 0
		}
	:: empty(down) -> break
	od;

	/* A packet for the slow path: batch_flush() */
	if
	:: atomic {
		nb_packets < PACKETS ->
			nb_packets++;
			if
			:: nfull(known) -> known!PACKET(0, 0, 0, 0)
			:: full(known) ->
#ifndef UNCOUNTED
				packets_dropped++
#else
				skip
#endif
			fi
		}
	:: skip
	fi;

	/* Media */
	if
	:: new_stream(0, 0)
	:: new_stream(1, 0)
#if SSRCS > 1
	:: new_stream(0, 1)
	:: new_stream(1, 1)
#endif
	:: skip
	fi;

	/* relay_claims() */
	do
	:: atomic { queue?<x> -> g = gen[x]; l = life[x] }
		if
		:: g != 0 ->
			claim_send(x, 0);
#if SSRCS > 1
			claim_send(x, 1)
#endif
		:: else /* it ended meanwhile */
		fi;
		atomic { queue?_; queued[x] = false; x = 0; g = 0; l = 0 }
	:: empty(queue) -> break
	od;
claims_done:

	/* plm_rcu_quiescent() */
	atomic { x = 0; g = 0; l = 0; rests[1] = (gen[1] == 0) }
	goto turn;
stop:
	skip
}

init
{
	atomic {
		gen[0] = 1;
		gen[1] = 1;
		life[0] = 1;
		life[1] = 1;
		stream[0] = NONE;
		stream[1] = NONE;
		stream[2] = NONE;
		stream[3] = NONE;
		run slow();
		run worker()
	}
}

#define SETTLED(x, s) (gen[x] == 0 || stream[(x) * SSRCS + (s)] == NONE || owner[s] == (x))

ltl settled {
	<>[] (stopped || (SETTLED(0, 0) && SETTLED(1, 0)
#if SSRCS > 1
		&& SETTLED(0, 1) && SETTLED(1, 1)
#endif
		&& nb_packets == packets_dropped + packets_taken
		&& nb_frames == frames_dropped + frames_taken))
}
