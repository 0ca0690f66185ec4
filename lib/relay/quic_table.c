/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of QUIC connections: memory, and the ways back to peers. */
#include <errno.h>
#include <stdio.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_mempool.h>

#include "plm_crypto.h"
#include "plm_relay_quic.h"

/* So that the connections' first lines do not all fall into the same sets of a cache. */
#define COLOUR (5 * RTE_CACHE_LINE_SIZE)

/* Messages under way, of each connection: an answer and a pong or two; two updates and one that waits; and parts of streams
 * that came with the ends of handshakes, of all. */
#define MESSAGES_MORE 512
#define MESSAGE_ROOM                                                                               \
	(RTE_PKTMBUF_HEADROOM + sizeof(struct plm_quic_message) + PLM_QUIC_MESSAGE_BYTES)
#define EARLY_ROOM (RTE_PKTMBUF_HEADROOM + PLM_QUIC_PACKET_MAX)
#define NOTE_ROOM  (RTE_PKTMBUF_HEADROOM + sizeof(struct plm_quic_message))

static unsigned int
nb_messages(const struct plm_quic_table_conf *conf)
{
	return 2 * conf->nb_slots + MESSAGES_MORE;
}

static unsigned int
nb_notes(const struct plm_quic_table_conf *conf)
{
	return 3 * conf->nb_slots + MESSAGES_MORE;
}

static unsigned int
nb_early(const struct plm_quic_table_conf *conf)
{
	return PLM_QUIC_EARLY_PARTS * conf->nb_slots;
}

static size_t
mbuf_bytes(size_t room)
{
	return sizeof(struct rte_mbuf) + sizeof(struct plm_pkt) + room + RTE_CACHE_LINE_SIZE;
}

size_t
plm_quic_message_bytes(const struct plm_quic_table_conf *conf)
{
	return nb_messages(conf) * mbuf_bytes(MESSAGE_ROOM) +
			nb_notes(conf) * mbuf_bytes(NOTE_ROOM);
}

static size_t
stride(void)
{
	return PLM_QUIC_ARENA_MIN + COLOUR;
}

size_t
plm_quic_table_bytes(const struct plm_quic_table_conf *conf)
{
	return sizeof(struct plm_quic_table) + conf->max_sessions * sizeof(uint32_t) +
			(size_t)conf->nb_slots *
			(stride() + sizeof(struct plm_quic_slot) + sizeof(struct plm_wheel_entry)) +
			(size_t)conf->nb_extents * PLM_QUIC_EXTENT + plm_quic_message_bytes(conf);
}

static void *
extent_from(struct rte_mempool *pool)
{
	void *extent;

	return rte_mempool_get(pool, &extent) < 0 ? NULL : extent;
}

/* There is one for each connection. */
static void *
extent_get(void *ctx)
{
	return extent_from(((struct plm_quic_table *)ctx)->extents);
}

static void *
extent_more(void *ctx)
{
	struct plm_quic_table *t = ctx;

	return plm_fault(QUIC_EXTENT) ? NULL : extent_from(t->more_extents);
}

static void
extent_put(void *ctx, void *extent)
{
	plm_sched_point(QUIC_EXTENT, extent);
	rte_mempool_put(rte_mempool_from_obj(extent), extent);
}

static struct rte_mempool *
extents_create(const struct plm_quic_table_conf *conf, const char *what, uint32_t nb)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "%s_quic_%s", conf->name, what);
	return rte_mempool_create(name, nb, PLM_QUIC_EXTENT, 0, 0, NULL, NULL, NULL, NULL,
			conf->socket, 0);
}

static struct rte_mempool *
messages_create(const struct plm_quic_table_conf *conf, const char *what, unsigned int nb,
		size_t room)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "%s_quic_%s", conf->name, what);
	return rte_pktmbuf_pool_create(name, nb, 0, sizeof(struct plm_pkt), (uint16_t)room,
			conf->socket);
}

int
plm_quic_table_create(struct plm_quic_table **out, const struct plm_quic_table_conf *conf)
{
	struct plm_quic_conf quic = conf->quic;
	uint8_t secret[PLM_CID_SECRET];
	struct plm_quic_table *t;
	int ret = -ENOMEM;

	if (conf->nb_slots == 0 || conf->nb_extents <= conf->nb_slots)
		return -EINVAL;
	t = rte_zmalloc_socket("plm_quic", sizeof(*t), RTE_CACHE_LINE_SIZE, conf->socket);
	if (t == NULL)
		return -ENOMEM;
	t->nb_slots = conf->nb_slots;
	t->arena_size = PLM_QUIC_ARENA_MIN;
	t->stride = stride();
	memcpy(t->pools, conf->pools, sizeof(t->pools));
	plm_rand_fill(&quic.rand, secret, sizeof(secret));
	if (plm_cid_key_init(&t->cid_key, secret) < 0)
		goto fail;
	plm_rand_fill(&quic.rand, quic.reset_secret, sizeof(quic.reset_secret));
	quic.cid_key = t->cid_key;
	t->quic = plm_quic_create(&quic);
	plm_crypto_erase(&quic, sizeof(quic));
	plm_crypto_erase(secret, sizeof(secret));
	if (t->quic == NULL) {
		ret = -rte_errno;
		goto fail;
	}
	t->slots = rte_zmalloc_socket("plm_quic_slots", conf->nb_slots * sizeof(*t->slots),
			RTE_CACHE_LINE_SIZE, conf->socket);
	t->timers = rte_zmalloc_socket("plm_quic_timers", conf->nb_slots * sizeof(*t->timers),
			RTE_CACHE_LINE_SIZE, conf->socket);
	t->arenas = rte_malloc_socket("plm_quic_arenas", conf->nb_slots * stride(),
			RTE_CACHE_LINE_SIZE, conf->socket);
	t->slot_of = rte_malloc_socket("plm_quic_slot_of", conf->max_sessions * sizeof(*t->slot_of),
			RTE_CACHE_LINE_SIZE, conf->socket);
	if (t->slots == NULL || t->timers == NULL || t->arenas == NULL || t->slot_of == NULL)
		goto fail;
	memset(t->slot_of, 0xff, conf->max_sessions * sizeof(*t->slot_of));
	t->memory = (struct plm_quic_memory){ extent_get, extent_put, t, PLM_QUIC_EXTENT,
		extent_more };
	t->extents = extents_create(conf, "ext", conf->nb_slots);
	t->more_extents = extents_create(conf, "more", conf->nb_extents - conf->nb_slots);
	if (t->extents == NULL || t->more_extents == NULL)
		goto fail;
	t->messages = messages_create(conf, "msg", nb_messages(conf), MESSAGE_ROOM);
	t->notes = messages_create(conf, "note", nb_notes(conf), NOTE_ROOM);
	t->early = messages_create(conf, "early", nb_early(conf), EARLY_ROOM);
	if (t->messages == NULL || t->notes == NULL || t->early == NULL)
		goto fail;
	for (uint32_t i = 0; i < t->nb_slots; i++)
		t->slots[i].arena = t->arenas + i * stride();
	*out = t;
	return 0;

fail:
	plm_quic_table_free(t);
	return ret;
}

void
plm_quic_table_free(struct plm_quic_table *t)
{
	if (t == NULL)
		return;
	for (uint32_t i = 0; t->slots != NULL && i < t->nb_slots; i++)
		plm_quic_conn_free(t->slots[i].conn);
	rte_mempool_free(t->early);
	rte_mempool_free(t->notes);
	rte_mempool_free(t->messages);
	rte_mempool_free(t->more_extents);
	rte_mempool_free(t->extents);
	rte_free(t->slot_of);
	rte_free(t->arenas);
	rte_free(t->timers);
	rte_free(t->slots);
	plm_quic_free(t->quic);
	plm_cid_key_fini(&t->cid_key);
	rte_free(t);
}

/* --- what is shown ------------------------------------------------------------------------- */

void
plm_quic_slot_show(struct plm_quic_slot *slot, uint64_t now_ns)
{
	uint32_t seq = atomic_load_explicit(&slot->shown_seq, memory_order_relaxed);

	slot->shown_ns = now_ns;
	atomic_store_explicit(&slot->shown_seq, seq + 1, memory_order_relaxed);
	/* Who reads anything of what follows sees that it is being written. */
	atomic_thread_fence(memory_order_release);
	slot->shown.path = *plm_quic_conn_path(slot->conn);
	slot->shown.moves = slot->moves;
	plm_quic_conn_figures(slot->conn, &slot->shown.figures);
	atomic_store_explicit(&slot->shown_seq, seq + 2, memory_order_release);
}

bool
plm_quic_slot_shown(const struct plm_quic_slot *slot, struct plm_quic_shown *shown)
{
	for (unsigned int i = 0; i < 16; i++) {
		uint32_t seq = atomic_load_explicit(&slot->shown_seq, memory_order_acquire);

		if (seq & 1)
			continue;
		memcpy(shown, &slot->shown, sizeof(*shown));
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&slot->shown_seq, memory_order_relaxed) == seq)
			return true;
	}
	return false;
}

/* --- ways ---------------------------------------------------------------------------------- */

void
plm_quic_path_of(const struct plm_pkt *pkt, struct plm_quic_path *path)
{
	*path = (struct plm_quic_path){
		.port = pkt->src_port,
		.local_idx = pkt->local_idx,
		.is_v6 = pkt->is_v6,
	};
	memcpy(path->addr, pkt->src_addr, sizeof(path->addr));
}

uint64_t
plm_quic_source_mac(const uint8_t *frame)
{
	uint64_t mac = 0;

	memcpy(&mac, frame + RTE_ETHER_ADDR_LEN, RTE_ETHER_ADDR_LEN);
	return mac;
}

void
plm_quic_way_of(const struct plm_net *net, const struct plm_pkt *pkt, const uint8_t *frame,
		struct plm_quic_way *way)
{
	struct plm_ip remote = { .is_v6 = pkt->is_v6 };

	memcpy(remote.addr, pkt->src_addr, sizeof(remote.addr));
	plm_quic_path_of(pkt, &way->path);
	plm_net_template(net, pkt->local_idx, &remote, pkt->src_port, &way->tmpl);
	way->mac = plm_quic_source_mac(frame);
}

void
plm_quic_slot_heard(struct plm_quic_slot *slot, const struct plm_net *net,
		const struct plm_pkt *pkt, const uint8_t *frame, bool is_newest)
{
	struct plm_quic_path path;
	struct plm_quic_way *other;

	plm_quic_path_of(pkt, &path);
	for (unsigned int i = 0; i < RTE_DIM(slot->ways); i++) {
		struct plm_quic_way *way = &slot->ways[i];

		if (memcmp(&path, &way->path, sizeof(path)) != 0)
			continue;
		if (unlikely(way->mac != plm_quic_source_mac(frame)) && is_newest)
			way->mac = plm_quic_source_mac(frame);
		return;
	}
	/* The one that is in use stays, and has the first place. */
	other = &slot->ways[slot->ways[0].mac != 0 &&
			memcmp(&path, plm_quic_conn_path(slot->conn), sizeof(path)) != 0];
	if (is_newest || other->mac == 0)
		plm_quic_way_of(net, pkt, frame, other);
}

const struct plm_quic_way *
plm_quic_slot_way(const struct plm_quic_slot *slot, const struct plm_quic_path *path)
{
	for (unsigned int i = 0; i < RTE_DIM(slot->ways); i++)
		if (slot->ways[i].mac != 0 && memcmp(path, &slot->ways[i].path, sizeof(*path)) == 0)
			return &slot->ways[i];
	return NULL;
}
