/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Model: the slow path publishes, retires and frees the views of a room, ends sessions and gives
 * their indexes out again, while workers read, park and sleep (lib/room/view.c, lib/room/room.c,
 * lib/session/session.c, lib/relay/park.c, lib/lcore). scripts/model checks every state of it.
 *
 * What must hold, whatever the order of steps:
 *   - no worker reads a view that is freed or half-built;
 *   - while a worker can read an entry, the entry's index and next hop are still that member's;
 *   - an index is not given out again while a worker's turn still holds it;
 *   - nobody delivers to a member that left, once a grace period after plm_room_leave() is over;
 *   - what was retired is freed, and what was released is given out again, as long as workers turn
 *     or are offline (`ltl reclaimed`, with weak fairness).
 * That a handle which outlives its session is not taken for the next one's is control.pml's part.
 *
 * One step here is one access to shared memory. SPIN knows sequential consistency only. These pairs
 * of the C code carry what the model takes for granted:
 *   - view filled before it is seen: the exchange in exchange() (view.c), and plm_room_view();
 *   - pin seen when the grace period is over: the store in plm_view_pin() comes before the release
 *     in rte_rcu_qsbr_quiescent(), which rte_rcu_qsbr_check() acquires;
 *   - last reads of a parked view before it is freed: plm_view_unpin(), and pinned();
 *   - last reads of a turn before what follows the grace period: rte_rcu_qsbr_quiescent() or
 *     rte_rcu_qsbr_thread_offline(), and rte_rcu_qsbr_check();
 *   - unpublished before the token moves: rte_rcu_qsbr_start(), and rte_rcu_qsbr_quiescent();
 *   - online before the first look: the fence in rte_rcu_qsbr_thread_online(), and on the slow path
 *     the exchange and the token's addition before the counters are read;
 *   - a session's state before its generation: plm_session_create(), and plm_session_get().
 * The tombstone has no such pair: its accesses are relaxed. So here a worker may miss one until it
 * has taken a token that was started after it.
 *
 * Bounds: 2 workers; VIEWS views in all; one departure. The room has one member that stays, which
 * needs no state, and one session index for all others. Without REUSE its session is a member from
 * the beginning; with -DREUSE the index is free, and who joins after the departure reuses it. A freed
 * view's memory is not used again, so that a read of it is always noticed.
 *
 * Broken on purpose, each of which must be noticed:
 *   -DFREE_AT_ONCE          a view is freed without a grace period
 *   -DFREE_PINNED           nobody looks at the pins
 *   -DPINS_FIRST            the pins are looked at before the grace period is known to be over
 *   -DPUBLISH_FIRST         a view is published, then filled
 *   -DTOKEN_FIRST           the grace period is started, then the view is unpublished
 *   -DUNPIN_FIRST           a parked job unpins, then reads the rest
 *   -DPIN_LATE              a job is parked in one turn, and pinned in the next
 *   -DLOOK_FIRST            a worker that wakes looks at the room, then goes online
 *   -DBURY_PUBLISHED        the tombstone is set in the published view only
 *   -DRELEASE_UNPUBLISHED   released as soon as the published view does not name the member
 *   -DREUSE_AT_ONCE         an index is given out again without a grace period
 *   -DSLEEP_ONLINE          a worker sleeps without going offline (nothing is freed)
 *   -DSLEEP_PARKED          a worker sleeps although it has a job parked (nothing is freed)
 */
#ifdef REUSE
#define LIVES 2
#ifndef VIEWS
#define VIEWS 2
#endif
#else
#define LIVES 1
#ifndef VIEWS
#define VIEWS 3
#endif
#endif

#define NONE    255
#define OFFLINE 0

/* --- shared ------------------------------------------------------------------------------- */

typedef View {
	byte life;    /* the entry: which of the index's sessions it names, from 1; 0: no entry */
	bool left;    /* its tombstone */
	byte left_at; /* ghost: the token when that was set */
	bool filled;  /* ghost */
	bool freed;   /* ghost */
	bool pinned[2];
};
View views[VIEWS];
byte published = 0;

/* rte_rcu_qsbr */
byte token = 1;
byte cnt[2];

/* The session: whether its generation is that of a living one; whose state the index holds. */
bool alive;
byte life;
bool next_hop; /* ghost: the member's reference */

/* Of the slow path, for `reclaimed`. */
byte nb_backlog = 0;
mtype = { FREE, OPEN, ENDED, WAITING };
mtype state = FREE;

/* --- the slow path ------------------------------------------------------------------------- */

/* What a worker's counter says of a grace period: rte_rcu_qsbr_check(). */
#define REPORTED(c, since) ((c) == OFFLINE || (c) >= (since))

/* The least of both counters, those of offline workers aside; what was known if both are. */
#define LEAST(a, b, known) \
	((a) == OFFLINE && (b) == OFFLINE -> (known) : \
	((a) == OFFLINE || ((b) != OFFLINE && (b) < (a)) -> (b) : (a)))

/* rte_rcu_qsbr_check() without waiting; what it finds is in `over`. */
inline rcu_over(since)
{
	if
	:: atomic { since <= acked -> over = true }
	:: atomic { since > acked && REPORTED(cnt[0], since) -> c = cnt[0] }
		if
		:: atomic {
			REPORTED(cnt[1], since) ->
				over = true;
				acked = LEAST(c, cnt[1], acked);
				c = 0
			}
		:: atomic { else -> c = 0 }
		fi
	:: else
	fi
}

/* pinned(): takes `over` back if somebody has the view pinned. */
inline look_at_pins(v)
{
	if
	:: atomic { views[v].pinned[0] -> over = false }
	:: !views[v].pinned[0] ->
		if
		:: atomic { views[v].pinned[1] -> over = false }
		:: !views[v].pinned[1]
		fi
	fi
}

/* view_build(): nobody else can see it yet. */
#define VIEW_BUILD \
	views[nb_views].life = (state == OPEN -> life : 0); \
	last_seq = (state == OPEN -> nb_views + 1 : last_seq); \
	views[nb_views].filled = true

/* rte_rcu_qsbr_start(), and into the backlog */
#define RETIRE(v) \
	token++; \
	view_token[v] = token; \
	nb_backlog++

proctype slow()
{
	byte view_token[VIEWS - 1]; /* 0: not in the backlog */
	byte index_token;
	byte last_seq = life; /* newest view that names the member, from 1; 0: none yet */
	byte nb_views = 1;
	bool has_left;
	byte acked = 0;
	byte i, c;
	bool over;

turn:
	if
#ifdef REUSE
	/* plm_session_create(), plm_room_join() */
	:: atomic {
		state == FREE && life < LIVES ->
			life++; /* hot_reset() */
			next_hop = true
		}
		atomic { alive = true; state = OPEN }
#endif

	/* plm_session_end(), plm_room_leave() */
	:: atomic { state == OPEN && !has_left -> alive = false }
		atomic { /* room_bury(), at once: a worker may miss it anyway */
			do
			:: i < nb_views && views[i].life == life ->
#ifdef BURY_PUBLISHED
				views[i].left = (i == nb_views - 1);
#else
				views[i].left = true;
#endif
				views[i].left_at = token;
				i++
			:: i < nb_views && views[i].life != life -> i++
			:: i == nb_views -> i = 0; break
			od;
			state = ENDED;
			has_left = true
		}

	/* publish() and exchange(); others may have come and gone, too */
	:: nb_views < VIEWS ->
#if defined(PUBLISH_FIRST)
		published = nb_views;
		atomic { VIEW_BUILD }
		atomic { RETIRE(nb_views - 1); nb_views++ }
#elif defined(TOKEN_FIRST)
		atomic { VIEW_BUILD; RETIRE(nb_views - 1) }
		atomic { published = nb_views; nb_views++ }
#else
		atomic { VIEW_BUILD; published = nb_views }
		atomic { RETIRE(nb_views - 1); nb_views++ }
#endif

	/* plm_room_turn(), plm_session_reclaim() */
	:: goto reclaim
	fi;
	goto turn;

reclaim:
	/* reclaim_views() */
	do
	:: i < VIEWS - 1 && view_token[i] != 0 ->
#if defined(FREE_AT_ONCE)
		over = true;
		look_at_pins(i);
#elif defined(FREE_PINNED)
		rcu_over(view_token[i]);
#elif defined(PINS_FIRST)
		over = true;
		look_at_pins(i);
		if
		:: over -> over = false; rcu_over(view_token[i])
		:: else
		fi;
#else
		rcu_over(view_token[i]);
		if
		:: over -> look_at_pins(i)
		:: else
		fi;
#endif
		atomic {
			if
			:: over ->
				views[i].freed = true;
				views[i].life = 0;
				views[i].left = false;
				views[i].left_at = 0;
				view_token[i] = 0;
				nb_backlog--;
				over = false
			:: else
			fi;
			i++
		}
	:: atomic { i < VIEWS - 1 && view_token[i] == 0 -> i++ }
	:: atomic { i == VIEWS - 1 -> i = 0; break }
	od;

	/* release(), plm_session_release(): the member's last view and all before it are gone */
	atomic {
		over = (state == ENDED);
		do
		:: over && i < last_seq ->
#ifdef RELEASE_UNPUBLISHED
			over = (i != nb_views - 1);
#else
			over = views[i].freed;
#endif
			i++
		:: else -> i = 0; break
		od;
		if
		:: over ->
			next_hop = false;
			token++;
			index_token = token;
			state = WAITING;
			last_seq = 0;
			over = false
		:: else
		fi
	}

	/* plm_session_reclaim() */
	if
	:: state == WAITING ->
#ifdef REUSE_AT_ONCE
		over = true;
#else
		rcu_over(index_token);
#endif
		atomic {
			if
			:: over -> state = FREE; index_token = 0; over = false
			:: else
			fi
		}
	:: else
	fi;
	goto turn
}

/* --- a worker ------------------------------------------------------------------------------ */

/* One look at a view: relay_job_run(). */
inline view_read(v)
{
	assert(!views[v].freed); /* a freed view is read */
	assert(views[v].filled); /* a half-built view is read */
	/* a view names an index or next hop that is not its member's any more */
	assert(views[v].life == 0 || (views[v].life == life && next_hop));
	if
	:: views[v].life == 0 || views[v].left
	:: views[v].life != 0 && (!views[v].left || views[v].left_at >= cnt[w]) ->
		/* a copy for somebody who left a grace period ago */
		assert(views[v].left_at == 0 || views[v].left_at >= cnt[w])
	fi
}

proctype worker(byte w)
{
	byte view = NONE;
	byte parked = NONE;
	byte held; /* whose session state this turn works with */
	byte t;

	t = token;
	atomic { cnt[w] = t; t = 0 } /* plm_rcu_online() */
turn:
	/* relay_park_serve() */
	if
	:: parked != NONE ->
#if defined(UNPIN_FIRST)
		views[parked].pinned[w] = false;
		atomic { view_read(parked); parked = NONE }
#else
#ifdef PIN_LATE
		views[parked].pinned[w] = true;
#endif
		atomic { view_read(parked) }
		atomic { views[parked].pinned[w] = false; parked = NONE }
#endif
	:: else
	fi;

	/* A packet: the session's own if it lives, or that of the member that stays. A turn without
	 * one does nothing more. */
	held = (alive -> life : 0); /* plm_session_lookup4(), plm_session_get() */
	view = published; /* plm_room_view() */
	atomic { view_read(view) }
	if
	:: atomic {
		parked == NONE -> /* job_park() */
#ifndef PIN_LATE
			views[view].pinned[w] = true;
#endif
			parked = view;
			view = NONE
		}
	:: view = NONE
	fi;

	/* plm_rcu_quiescent() */
	atomic {
		/* within a turn, a session's state became another's */
		assert(held == 0 || held == life);
		held = 0;
		t = token
	}
	atomic { cnt[w] = t; t = 0 } /* or leaves it, if it is the same */

	/* idle_wait() */
	if
	:: skip
	::
#ifndef SLEEP_PARKED
		parked == NONE ->
#endif
#ifdef SLEEP_ONLINE
		skip;
#else
		cnt[w] = OFFLINE;
#endif
		do
		:: t = 0 /* asleep, maybe for good */
		:: break
		od;
#ifdef LOOK_FIRST
		view = published;
#endif
		t = token;
		atomic { cnt[w] = t; t = 0 } /* plm_rcu_online() */
#ifdef LOOK_FIRST
		atomic { view_read(view); view = NONE }
#endif
	fi;
	goto turn
}

init
{
	atomic {
#ifndef REUSE
		life = 1;
		alive = true;
		next_hop = true;
		state = OPEN;
		views[0].life = 1;
#endif
		views[0].filled = true;
		run slow();
		run worker(0);
		run worker(1)
	}
}

ltl reclaimed { <>[] (nb_backlog == 0 && state != WAITING && 
		(state != ENDED || views[published].life == life)) }
