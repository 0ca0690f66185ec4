/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections and their rooms. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_common.h>

#include "kernel.h"

static void
room_join(struct kernel *k, uint32_t slot, const char *name)
{
	uint32_t found = NONE;

	for (uint32_t i = 0; i < CONNS; i++) {
		if (strcmp(k->rooms[i].name, name) == 0) {
			found = i;
			break;
		}
		if (k->rooms[i].name[0] == '\0' && found == NONE)
			found = i; /* there are as many as connections: always one */
	}
	if (k->rooms[found].members == NULL)
		k->rooms[found].members = calloc(CONNS, sizeof(*k->rooms[found].members));
	if (k->rooms[found].members == NULL)
		kernel_die("room", "out of memory");
	snprintf(k->rooms[found].name, sizeof(k->rooms[found].name), "%s", name);
	k->rooms[found].members[k->rooms[found].nb_members++] = slot;
	k->peers[slot].room = found;
}

void
kernel_room_leave(struct kernel *k, uint32_t slot)
{
	struct room *room;

	if (k->peers[slot].room == NONE)
		return;
	room = &k->rooms[k->peers[slot].room];
	for (uint32_t i = 0; i < room->nb_members; i++)
		if (room->members[i] == slot) {
			room->members[i] = room->members[--room->nb_members];
			break;
		}
	/* One with datagrams of this burst keeps its name until they are gone. */
	if (room->nb_members == 0 && !room->touched)
		room->name[0] = '\0';
	k->peers[slot].room = NONE;
}

/* The server name in lower case, as it says which room. */
static void
room_name(gnutls_session_t tls, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%s", quic_tls_name(tls));
	for (char *c = name; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	if (name[0] == '\0')
		snprintf(name, NAME_SIZE, "default");
}

/* --- what a connection tells ---------------------------------------------------------------- */

static struct kernel *the_kernel; /* the callbacks' argument is the peer */

static void
datagram(void *ctx, struct plm_quic_conn *conn, const uint8_t *buf, size_t len)
{
	struct kernel *k = the_kernel;
	uint32_t slot = plm_quic_conn_slot(conn);
	struct pending *pending;
	struct room *room;

	k->counters[COUNT_datagrams_in]++;
	if (k->peers[slot].room == NONE) {
		k->counters[COUNT_drop_no_room]++;
		return;
	}
	if (k->nb_pending == DGRAMS || k->nb_bytes + len > sizeof(k->bytes)) {
		k->counters[COUNT_drop_burst_full]++;
		return;
	}
	room = &k->rooms[k->peers[slot].room];
	pending = &k->pending[k->nb_pending];
	*pending = (struct pending){ k->bytes + k->nb_bytes, (uint16_t)len, slot, NONE };
	memcpy(k->bytes + k->nb_bytes, buf, len);
	k->nb_bytes += len;
	if (!room->touched) {
		room->touched = true;
		room->first = k->nb_pending;
		k->touched_rooms[k->nb_touched_rooms++] = k->peers[slot].room;
	} else {
		k->pending[room->last].next = k->nb_pending;
	}
	room->last = k->nb_pending++;
}

static int
stream(void *ctx, struct plm_quic_conn *conn, int64_t stream_id, const uint8_t *buf, size_t len,
		bool fin)
{
	plm_quic_stream_consumed(conn, stream_id, len);
	return kernel_offer_take(the_kernel, ctx, stream_id, buf, len);
}

static void
established(void *ctx, struct plm_quic_conn *conn)
{
	struct peer *peer = ctx;
	char name[NAME_SIZE];

	the_kernel->counters[COUNT_handshakes]++;
	room_name(peer->tls, name);
	room_join(the_kernel, plm_quic_conn_slot(conn), name);
	peer->is_known = true;
}

static void
moved(void *ctx, struct plm_quic_conn *conn, const struct plm_quic_path *path)
{
	the_kernel->counters[COUNT_moved]++;
}

static const struct plm_quic_ops ops = {
	.datagram = datagram,
	.stream = stream,
	.stream_reset = quic_side_no_reset,
	.established = established,
	.moved = moved,
	.chunk_done = quic_side_no_chunk,
};

/* --- connections ---------------------------------------------------------------------------- */

static uint32_t *
bucket_of(struct kernel *k, const uint8_t *dcid, size_t len)
{
	return &k->bucket[plm_siphash(k->hash_key, dcid, len) % BUCKETS];
}

static uint32_t
find_first(struct kernel *k, const uint8_t *dcid, size_t len)
{
	uint32_t slot = *bucket_of(k, dcid, len);

	while (slot != NONE &&
			(k->peers[slot].dcid_len != len ||
					memcmp(k->peers[slot].dcid, dcid, len) != 0))
		slot = k->peers[slot].next;
	return slot;
}

/* A connection for a client's first packet; NONE: it gets none. */
static uint32_t
peer_new(struct kernel *k, const struct plm_quic_path *path, const uint8_t *buf, size_t len)
{
	ngtcp2_pkt_hd hd;
	uint32_t slot = k->free_peer;
	struct plm_quic_new new;
	struct peer *peer;
	uint32_t *bucket;

	if (ngtcp2_accept(&hd, buf, len) != 0) {
		k->counters[COUNT_drop_not_initial]++;
		return NONE;
	}
	if (slot == NONE) {
		k->counters[COUNT_drop_conns_full]++;
		return NONE;
	}
	peer = &k->peers[slot];
	if (quic_tls_server_session(k->side.tls, &peer->tls) < 0) {
		peer->tls = NULL;
		k->counters[COUNT_drop_no_memory]++;
		return NONE;
	}
	new = (struct plm_quic_new){
		.arena = k->arenas + (size_t)slot * ARENA_SIZE,
		.arena_size = ARENA_SIZE,
		.memory = &k->memory,
		.tls = peer->tls,
		.slot = slot,
		.gen = peer->gen,
		.path = *path,
		.ops = &ops,
		.ops_ctx = peer,
		.dcid = hd.dcid.data,
		.dcid_len = hd.dcid.datalen,
		.scid = hd.scid.data,
		.scid_len = hd.scid.datalen,
		.version = hd.version,
	};
	if (plm_quic_conn_server(k->side.quic, &new, k->now_ns, &peer->conn) < 0) {
		gnutls_deinit(peer->tls);
		peer->conn = NULL;
		peer->tls = NULL;
		k->counters[COUNT_drop_no_memory]++;
		return NONE;
	}
	k->free_peer = peer->next;
	k->nb_peers++;
	k->nb_slots = RTE_MAX(k->nb_slots, slot + 1);
	peer->room = NONE;
	peer->dcid_len = (uint8_t)hd.dcid.datalen;
	memcpy(peer->dcid, hd.dcid.data, hd.dcid.datalen);
	bucket = bucket_of(k, peer->dcid, peer->dcid_len);
	peer->next = *bucket;
	*bucket = slot;
	return slot;
}

void
kernel_peer_free(struct kernel *k, uint32_t slot)
{
	struct peer *peer = &k->peers[slot];
	uint32_t *link = bucket_of(k, peer->dcid, peer->dcid_len);
	gnutls_session_t tls = plm_quic_conn_tls_take(peer->conn);

	while (*link != slot)
		link = &k->peers[*link].next;
	*link = peer->next;
	kernel_room_leave(k, slot);
	plm_wheel_disarm(&k->wheel, slot);
	plm_quic_conn_free(peer->conn);
	kernel_offer_free(peer);
	if (tls != NULL)
		gnutls_deinit(tls);
	*peer = (struct peer){ .gen = (peer->gen + 1) & PLM_CID_GEN_MAX,
		.room = NONE,
		.next = k->free_peer };
	k->free_peer = slot;
	k->nb_peers--;
}

void
kernel_touch(struct kernel *k, uint32_t slot)
{
	if (k->peers[slot].is_touched)
		return;
	k->peers[slot].is_touched = true;
	k->touched[k->nb_touched++] = slot;
}

uint32_t
kernel_lookup(struct kernel *k, const struct plm_quic_path *path, const uint8_t *buf, size_t len)
{
	ngtcp2_version_cid v;
	struct plm_cid cid;
	uint32_t slot = NONE;

	if (ngtcp2_pkt_decode_version_cid(&v, buf, len, PLM_CID_LEN) != 0) {
		k->counters[COUNT_drop_malformed]++;
		return NONE;
	}
	if (v.dcidlen == PLM_CID_LEN && plm_cid_read(&k->side.cid_key, v.dcid, &cid) == 0) {
		if (cid.slot < CONNS && k->peers[cid.slot].conn != NULL &&
				k->peers[cid.slot].gen == cid.gen)
			return cid.slot;
	} else if ((buf[0] & 0x80) != 0) {
		slot = find_first(k, v.dcid, v.dcidlen);
		return slot != NONE ? slot : peer_new(k, path, buf, len);
	}
	k->counters[COUNT_drop_unknown]++;
	return NONE;
}

void
kernel_peers_init(struct kernel *k)
{
	the_kernel = k;
	for (unsigned int i = 0; i < BUCKETS; i++)
		k->bucket[i] = NONE;
	for (uint32_t i = 0; i < CONNS; i++) {
		k->peers[i] = (struct peer){ .room = NONE, .next = i + 1 < CONNS ? i + 1 : NONE };
		k->rooms[i].first = NONE;
	}
}
