/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is in a room, and telling its participants. An update is made once for each change, and shared by all
 * messages that carry it; who is told later is told the newest.
 */
#include <stdlib.h>

#include "wzp_priv.h"

/* Larger rooms are told once in a while only. */
#define LARGE   50
#define REST_NS PLM_NS_PER_S
/* Rooms whose update one turn makes, and replaced updates that it looks at. */
#define ROOMS 8
#define OLD   16

static void
changed_add(struct ctl_wzp *z, struct wzp_room *room)
{
	if (room->is_changed)
		return;
	room->is_changed = true;
	if (room->is_resting) /* it comes when it has rested */
		return;
	room->changed_next = WZP_NONE;
	if (z->changed.nb++ == 0)
		z->changed.head = (uint32_t)(room - z->rooms);
	else
		z->rooms[z->changed.tail].changed_next = (uint32_t)(room - z->rooms);
	z->changed.tail = (uint32_t)(room - z->rooms);
}

void
wzp_room_join(struct ctl_wzp *z, uint32_t idx, uint32_t room_idx)
{
	struct wzp_room *room = &z->rooms[room_idx];
	struct wzp_conn *c = &z->conns[idx];

	c->json_len = (uint16_t)plm_wzp_participant_encode(c->fingerprint,
			c->alias.is_set ? c->alias.text : NULL, NULL, c->json, sizeof(c->json));
	c->room_idx = room_idx;
	c->next = WZP_NONE;
	c->prev = WZP_NONE;
	if (room->nb++ == 0) {
		room->head = idx;
	} else {
		c->prev = room->tail;
		z->conns[room->tail].next = idx;
	}
	room->tail = idx;
	room->json_len += c->json_len;
	changed_add(z, room);
}

static void
old_add(struct ctl_wzp *z, struct plm_quic_blob *blob)
{
	blob->next = NULL;
	*z->old_tail = blob;
	z->old_tail = &blob->next;
	z->nb_old++;
}

/* Nobody is told it any more; some messages may still carry it. */
static void
retire(struct ctl_wzp *z, struct wzp_room *room)
{
	if (room->blob != NULL)
		old_add(z, room->blob);
	room->blob = NULL;
}

void
wzp_room_leave(struct ctl_wzp *z, uint32_t idx)
{
	struct wzp_conn *c = &z->conns[idx];
	struct wzp_room *room = &z->rooms[c->room_idx];

	if (c->prev != WZP_NONE)
		z->conns[c->prev].next = c->next;
	else
		room->head = c->next;
	if (c->next != WZP_NONE)
		z->conns[c->next].prev = c->prev;
	else
		room->tail = c->prev;
	room->nb--;
	room->json_len -= c->json_len;
	c->room_idx = WZP_NONE;
	if (room->nb == 0) { /* the next room of this index is another one */
		retire(z, room);
		if (room->is_resting)
			room->is_changed = false;
		room->is_resting = false;
	}
	changed_add(z, room);
}

/* As many as one frame may list, the first that came first. */
static uint32_t
nb_listed(const struct ctl_wzp *z, const struct wzp_room *room, size_t *len)
{
	const size_t most = PLM_WZP_FRAME_MAX - PLM_WZP_ROOM_UPDATE_HEAD_MAX;
	uint32_t n = 0;

	*len = room->json_len + room->nb - 1;
	if (*len <= most)
		return room->nb;
	*len = 0;
	for (uint32_t idx = room->head; idx != WZP_NONE; idx = z->conns[idx].next) {
		size_t more = z->conns[idx].json_len + (n > 0);

		if (*len + more > most)
			break;
		*len += more;
		n++;
	}
	return n;
}

static struct plm_quic_blob *
encode(const struct ctl_wzp *z, const struct wzp_room *room)
{
	uint8_t head[PLM_WZP_ROOM_UPDATE_HEAD_MAX];
	const size_t tail_len = strlen(PLM_WZP_ROOM_UPDATE_TAIL);
	struct plm_quic_blob *blob;
	uint32_t idx = room->head;
	int head_len;
	uint8_t *to;
	size_t len;
	uint32_t n;

	n = nb_listed(z, room, &len);
	head_len = plm_wzp_room_update_head(n, len, head, sizeof(head));
	if (head_len < 0 || plm_fault(MEMORY_UPDATE))
		return NULL;
	blob = malloc(sizeof(*blob) + (size_t)head_len + len + tail_len);
	if (blob == NULL)
		return NULL;
	atomic_init(&blob->refs, 0);
	blob->len = (uint32_t)((size_t)head_len + len + tail_len);
	memcpy(blob->buf, head, (size_t)head_len);
	to = blob->buf + head_len;
	for (uint32_t i = 0; i < n; i++, idx = z->conns[idx].next) {
		if (i > 0)
			*to++ = ',';
		memcpy(to, z->conns[idx].json, z->conns[idx].json_len);
		to += z->conns[idx].json_len;
	}
	memcpy(to, PLM_WZP_ROOM_UPDATE_TAIL, tail_len);
	return blob;
}

static void
rest(struct ctl_wzp *z, struct wzp_room *room)
{
	uint32_t room_idx = (uint32_t)(room - z->rooms);

	room->is_resting = true;
	room->rest_ns = z->ctl->now_ns + REST_NS;
	if (room->is_in_row) /* that an earlier room of this index left it in */
		return;
	room->is_in_row = true;
	room->resting_next = WZP_NONE;
	if (z->resting.nb++ == 0)
		z->resting.head = room_idx;
	else
		z->rooms[z->resting.tail].resting_next = room_idx;
	z->resting.tail = room_idx;
}

/* False: there is no memory now. */
static bool
update(struct ctl_wzp *z, struct wzp_room *room)
{
	struct plm_quic_blob *blob;

	if (room->nb == 0)
		return true;
	blob = encode(z, room);
	if (blob == NULL) {
		plm_count(&z->ctl->counters, PLM_CNT_WZP_UPDATE_MEMORY);
		return false;
	}
	retire(z, room);
	room->blob = blob;
	plm_count(&z->ctl->counters, PLM_CNT_WZP_UPDATES);
	for (uint32_t idx = room->head; idx != WZP_NONE; idx = z->conns[idx].next)
		wzp_tell(z, idx, WZP_MESSAGE_UPDATE);
	if (room->nb > LARGE)
		rest(z, room);
	return true;
}

static unsigned int
updates(struct ctl_wzp *z)
{
	unsigned int n;

	for (n = 0; n < ROOMS && z->changed.nb > 0; n++) {
		struct wzp_room *room = &z->rooms[z->changed.head];

		if (!update(z, room))
			break;
		room->is_changed = false;
		z->changed.head = room->changed_next;
		z->changed.nb--;
	}
	return n;
}

/* All rest for as long, so who began first is first. */
static void
rested(struct ctl_wzp *z)
{
	while (z->resting.nb > 0 && z->rooms[z->resting.head].rest_ns <= z->ctl->now_ns) {
		struct wzp_room *room = &z->rooms[z->resting.head];

		z->resting.head = room->resting_next;
		z->resting.nb--;
		room->is_in_row = false;
		if (!room->is_resting)
			continue;
		room->is_resting = false;
		if (room->is_changed) {
			room->is_changed = false;
			changed_add(z, room);
		}
	}
}

/* In turn, since some may be read for long. */
static void
free_old(struct ctl_wzp *z)
{
	for (unsigned int i = RTE_MIN(z->nb_old, (uint32_t)OLD); i > 0; i--) {
		struct plm_quic_blob *blob = z->old;

		z->old = blob->next;
		if (z->old == NULL)
			z->old_tail = &z->old;
		z->nb_old--;
		/* Acquire pairs with plm_quic_message_free(). */
		if (atomic_load_explicit(&blob->refs, memory_order_acquire) == 0)
			free(blob);
		else
			old_add(z, blob);
	}
}

unsigned int
wzp_room_turn(struct ctl_wzp *z)
{
	rested(z);
	free_old(z);
	return z->changed.nb > 0 ? updates(z) : 0;
}
