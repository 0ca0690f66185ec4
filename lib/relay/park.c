/* SPDX-License-Identifier: BSD-3-Clause */
/* Fan-outs that a turn could not finish. A job keeps its place in its room's queue, pins its view
 * and holds its references; rooms take turns of RELAY_QUANTUM copies. */
#include <errno.h>

#include <rte_common.h>
#include <rte_malloc.h>

#include "relay_priv.h"

int
relay_park_init(struct relay_park *park, unsigned int nb_entries, int socket)
{
	uint32_t nb_buckets = rte_align32pow2(nb_entries);

	park->jobs = rte_zmalloc_socket("plm_park", nb_entries * sizeof(*park->jobs),
			RTE_CACHE_LINE_SIZE, socket);
	park->rooms = rte_zmalloc_socket("plm_park", nb_entries * sizeof(*park->rooms),
			RTE_CACHE_LINE_SIZE, socket);
	park->bucket = rte_zmalloc_socket("plm_park", nb_buckets * sizeof(*park->bucket),
			RTE_CACHE_LINE_SIZE, socket);
	if (park->jobs == NULL || park->rooms == NULL || park->bucket == NULL)
		return -ENOMEM;
	park->bucket_mask = nb_buckets - 1;
	for (unsigned int i = 0; i < nb_entries; i++) {
		park->jobs[i].next = park->free_jobs;
		park->free_jobs = &park->jobs[i];
		park->rooms[i].hash_next = park->free_rooms;
		park->free_rooms = &park->rooms[i];
	}
	return 0;
}

size_t
relay_park_bytes(unsigned int nb_entries)
{
	return nb_entries * (sizeof(struct relay_job) + sizeof(struct relay_parked_room)) +
			rte_align32pow2(nb_entries) * sizeof(struct relay_parked_room *);
}

/* Room indexes are dense, so the low bits spread them. */
static struct relay_parked_room **
bucket_of(struct relay_park *park, uint32_t room_idx)
{
	return &park->bucket[room_idx & park->bucket_mask];
}

static struct relay_parked_room *
room_find(struct relay_park *park, uint32_t room_idx)
{
	struct relay_parked_room *room = *bucket_of(park, room_idx);

	while (room != NULL && room->room_idx != room_idx)
		room = room->hash_next;
	return room;
}

static void
round_push(struct relay_round *round, struct relay_parked_room *room)
{
	room->next = NULL;
	if (round->head == NULL)
		round->head = room;
	else
		round->tail->next = room;
	round->tail = room;
}

static struct relay_parked_room *
round_pop(struct relay_round *round)
{
	struct relay_parked_room *room = round->head;

	round->head = room->next;
	return room;
}

/* As many rooms as jobs, so this cannot fail while a job is free. */
static struct relay_parked_room *
room_add(struct relay_park *park, const struct relay_job *job)
{
	uint32_t room_idx = job->view->room_idx;
	struct relay_parked_room **bucket = bucket_of(park, room_idx);
	struct relay_parked_room *room = park->free_rooms;
	bool is_small = job->left * job->nb <= RELAY_QUANTUM;

	park->free_rooms = room->hash_next;
	*room = (struct relay_parked_room){ .room_idx = room_idx, .quota = RELAY_QUANTUM };
	room->hash_next = *bucket;
	*bucket = room;
	round_push(is_small ? &park->small : &park->large, room);
	return room;
}

static void
room_del(struct relay_park *park, struct relay_parked_room *room)
{
	struct relay_parked_room **link = bucket_of(park, room->room_idx);

	while (*link != room)
		link = &(*link)->hash_next;
	*link = room->hash_next;
	room->hash_next = park->free_rooms;
	park->free_rooms = room;
}

/* Copy the scratch job to the end of its room's queue; a free entry is there. */
static void
job_park(struct relay_worker *w, struct relay_park *park, struct relay_parked_room *room,
		const struct relay_job *job)
{
	struct relay_job *parked = park->free_jobs;

	plm_sched_point(PARK, job->view);
	park->free_jobs = parked->next;
	memcpy(parked, job, offsetof(struct relay_job, pay) + job->nb * sizeof(job->pay[0]));
	parked->next = NULL;
	if (room->head == NULL)
		room->head = parked;
	else
		room->tail->next = parked;
	room->tail = parked;
	if (plm_mutant(RESUME_OFF))
		parked->pos = (parked->pos + 1) % parked->size;
	plm_view_pin(parked->view, w->idx);
	if (plm_mutant(UNPIN_EARLY))
		plm_view_unpin(parked->view, w->idx);
	park->nb++;
	plm_count_add(&w->counters, PLM_CNT_COPY_PARKED, (uint64_t)job->left * job->nb);
}

/* Take the finished first job off its room's queue. */
static void
job_unpark(struct relay_worker *w, struct relay_park *park, struct relay_parked_room *room)
{
	struct relay_job *job = room->head;

	room->head = job->next;
	plm_sched_point(UNPARK, NULL);
	if (!plm_mutant(UNPIN_EARLY))
		plm_view_unpin(job->view, w->idx);
	job->next = park->free_jobs;
	park->free_jobs = job;
	park->nb--;
}

/* The list is full: others go first next time, so that it is never the same tail. */
static __rte_noinline void
job_refuse(struct relay_worker *w, struct relay_park *park, struct relay_job *job)
{
	park->rotor += job->size - job->left + 1;
	relay_job_drop(w, job, PLM_CNT_COPY_PARK_FULL);
}

static __rte_noinline void
submit_behind(struct relay_worker *w, struct relay_park *park, struct relay_job *job)
{
	struct relay_parked_room *room = room_find(park, job->view->room_idx);
	int32_t quota = RELAY_QUANTUM;

	if ((room == NULL || plm_mutant(OVERTAKE)) && relay_job_run(w, job, &quota))
		return;
	if (park->free_jobs == NULL) {
		job_refuse(w, park, job);
		return;
	}
	if (room == NULL)
		room = room_add(park, job);
	job_park(w, park, room, job);
}

void
relay_park_submit(struct relay_worker *w, struct relay_job *job)
{
	struct relay_park *park = &w->park[job->port_idx];
	int32_t quota = INT32_MAX;

	if (unlikely(park->rotor != 0)) {
		job->pos = park->rotor % job->size;
	}
	if (unlikely(park->nb > 0)) {
		submit_behind(w, park, job);
		return;
	}
	if (likely(relay_job_run(w, job, &quota)))
		return;
	if (park->free_jobs == NULL)
		job_refuse(w, park, job);
	else
		job_park(w, park, room_add(park, job), job);
}

void
relay_park_serve(struct relay_worker *w, struct relay_park *park)
{
	while (park->nb > 0) {
		struct relay_round *round = &park->small;
		struct relay_parked_room *room;
		uint32_t left;
		bool done;

		if (round->head == NULL || (park->large_turn && park->large.head != NULL))
			round = &park->large;
		room = round->head;
		if (room->quota <= 0)
			room->quota = RELAY_QUANTUM;
		left = room->head->left;
		done = relay_job_run(w, room->head, &room->quota);
		if (done || room->head->left != left)
			park->progress = true;
		if (done)
			job_unpark(w, park, room);
		else if (room->quota > 0)
			return; /* no copies left in this turn, or no room in the queue */
		if (room->head != NULL && room->quota > 0)
			continue;
		round_pop(round);
		if (room->head != NULL)
			round_push(&park->large, room);
		else
			room_del(park, room);
		park->large_turn = !park->large_turn;
	}
}

void
relay_park_drop(struct relay_worker *w, struct relay_park *park)
{
	struct relay_round *rounds[] = { &park->small, &park->large };

	for (unsigned int i = 0; i < RTE_DIM(rounds); i++) {
		while (rounds[i]->head != NULL) {
			struct relay_parked_room *room = round_pop(rounds[i]);

			while (room->head != NULL) {
				relay_job_drop(w, room->head, PLM_CNT_COPY_STOPPED);
				job_unpark(w, park, room);
			}
			room_del(park, room);
		}
	}
}

void
relay_park_fini(struct relay_park *park)
{
	rte_free(park->bucket);
	rte_free(park->rooms);
	rte_free(park->jobs);
}
