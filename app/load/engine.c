/* SPDX-License-Identifier: BSD-3-Clause */
/*
 *  RESOLVING ── the next hop's MAC ──▶ JOINING ── everybody is in ──▶ READY
 *                                         └─ an error, or no answer ─▶ REFUSED; consent gone: LOST
 *
 * WZP clients have connections of QUIC instead of STUN, and publishers hear each other.
 *
 * Participants of room r stand together: its publishers first, then its subscribers. A turn takes a
 * burst, looks at some participants' STUN timers, takes what is due from the schedule and offers
 * what it has to the port. What the port does not take stays, in order; its time runs on.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include "bytes.h"
#include "load.h"

#define BURST        32
#define FRAME_READ   2048 /* of a chained frame, at most */
#define RESOLVE_NS   (500 * PLM_NS_PER_MS)
#define TIMERS       32  /* participants looked at in a turn */
#define JOINS        4   /* begun in a turn */
#define GRACE        100 /* a stall at the end may cost one part in so many of a run's time */
#define GARBAGE_MAX  256
#define STRANGERS    256 /* UDP ports above ours that nobody joined from */
#define REPORT_EVERY 50  /* packets of a WZP publisher */
static_assert(PLM_WZP_HDR == PLM_RTP_HDR, "a stamp stands behind either");

struct participant {
	struct ice_agent ice;
	char ufrag[PLM_UFRAG_MAX + 1];
	char pwd[PLM_PWD_LEN + 1];
};

struct load {
	struct load_conf conf;
	struct load_quic *quic;           /* owned; NULL: no participant comes over QUIC */
	struct rte_mbuf *quic_out;        /* that quic_get() gave */
	unsigned int nb_receivers;        /* of each packet */
	struct plm_hmac *hmac;            /* owned */
	unsigned int nb_participants;     /* those of the room that floods are the last */
	unsigned int nb_publishers;       /* of all rooms that are counted */
	struct participant *participants; /* owned; NULL if static */
	uint64_t *timers;                 /* owned; when each wants a turn */
	struct load_pair *pairs;          /* owned; publisher × receiver of its room */
	uint64_t *seqs;                   /* owned; next of each publisher */
	uint8_t *filler;                  /* owned; what follows a stamp */
	uint16_t filler_sum[LOAD_SIZES_MAX];
	unsigned int weights; /* of all sizes */
	uint32_t ssrc;        /* of the first publisher */
	uint64_t rnd;

	enum load_state state;
	uint64_t resolve_ns; /* when to ask again */
	uint64_t join_ns;    /* when joining began */
	unsigned int nb_started;
	unsigned int nb_joined;
	unsigned int timer_next;
	unsigned int culprit; /* who was refused, or lost */

	uint32_t run; /* 0: none yet */
	struct load_pace pace;
	struct load_pace flood;
	uint64_t grace_ns; /* what was due at the end may still be sent until then */
	uint64_t turn_ns;  /* of the last turn */
	uint64_t media_ns; /* when a copy last came */
	unsigned int publisher_next;
	struct load_result r;
	struct plm_hist latency;

	uint16_t nb_tx;
	struct rte_mbuf *tx[LOAD_TX_BUF];
	uint8_t scratch[FRAME_READ];
};

/* xorshift64*: load needs spread, not secrets. */
static inline uint64_t
draw(struct load *l)
{
	l->rnd ^= l->rnd >> 12;
	l->rnd ^= l->rnd << 25;
	l->rnd ^= l->rnd >> 27;
	return l->rnd * UINT64_C(0x2545f4914f6cdd1d);
}

static unsigned int
room_size(const struct load *l)
{
	return l->conf.publishers + l->conf.subscribers;
}

/* Publishers beyond those that are counted. */
static unsigned int
flooders(const struct load *l)
{
	return l->conf.flood != 0 ? l->conf.publishers : 0;
}

/* --- out ------------------------------------------------------------------------------------ */

static void
flush(struct load *l)
{
	uint16_t sent;

	if (l->nb_tx == 0)
		return;
	sent = rte_eth_tx_burst(l->conf.ethdev_id, 0, l->tx, l->nb_tx);
	l->nb_tx -= sent;
	if (l->nb_tx != 0)
		memmove(l->tx, l->tx + sent, l->nb_tx * sizeof(l->tx[0]));
}

static struct rte_mbuf *
take_mbuf(struct load *l)
{
	struct rte_mbuf *m;

	if (l->nb_tx == LOAD_TX_BUF)
		return NULL;
	m = rte_pktmbuf_alloc(l->conf.tx_pool);
	if (m == NULL)
		l->r.no_mbuf++;
	return m;
}

static void
put_mbuf(struct load *l, struct rte_mbuf *m, size_t len)
{
	m->data_len = (uint16_t)len;
	m->pkt_len = (uint32_t)len;
	l->tx[l->nb_tx++] = m;
}

/* A frame of the control kind; lost when there is no room, as on any wire. */
static void
emit(struct load *l, const void *frame, size_t len)
{
	struct rte_mbuf *m = take_mbuf(l);

	if (m == NULL)
		return;
	memcpy(rte_pktmbuf_mtod(m, void *), frame, len);
	put_mbuf(l, m, len);
}

static void
emit_payload(struct load *l, unsigned int participant, const void *payload, size_t len)
{
	uint8_t frame[LOAD_HDR_MAX + LOAD_OTHER_MAX];
	size_t hdr = load_hdr_len(&l->conf.net);

	load_headers(&l->conf.net, participant, frame, len, plm_wire_sum(payload, len));
	memcpy(frame + hdr, payload, len);
	emit(l, frame, hdr + len);
}

/* --- neighbours ----------------------------------------------------------------------------- */

static void
ask_for_hop(struct load *l)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	const struct load_net *net = &l->conf.net;
	const uint8_t *mac = net->mac.addr_bytes;
	const uint8_t *hop = net->hop.addr;
	uint8_t frame[128];
	int len;

	if (net->hop.is_v6) {
		struct plm_nd nd = { .type = PLM_ICMP6_NS, .has_lladdr = true };
		uint8_t group[16] = { 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, hop[13], hop[14],
			hop[15] };
		uint8_t to[6] = { 0x33, 0x33, 0xff, hop[13], hop[14], hop[15] };

		memcpy(nd.target, hop, 16);
		memcpy(nd.lladdr, mac, 6);
		len = plm_nd_build(frame, sizeof(frame), mac, to, net->first.addr, group, &nd);
	} else {
		struct plm_arp arp = { .is_request = true };

		memcpy(arp.sender_mac, mac, 6);
		memcpy(arp.sender_ip, net->first.addr, 4);
		memcpy(arp.target_ip, hop, 4);
		len = plm_arp_build(frame, sizeof(frame), broadcast, &arp);
	}
	if (len > 0)
		emit(l, frame, (size_t)len);
}

static void
found_hop(struct load *l, const uint8_t mac[6], uint64_t now_ns)
{
	if (l->state != LOAD_RESOLVING)
		return;
	memcpy(&l->conf.net.hop_mac, mac, 6);
	l->state = l->conf.is_static ? LOAD_READY : LOAD_JOINING;
	l->nb_joined = l->conf.is_static ? l->nb_participants : 0;
	l->join_ns = now_ns;
	if (l->quic != NULL)
		load_quic_start(l->quic, now_ns);
}

static void
input_arp(struct load *l, const uint8_t *frame, size_t len, uint64_t now_ns)
{
	const struct load_net *net = &l->conf.net;
	struct plm_arp answer = { 0 };
	struct plm_arp arp;
	uint8_t out[64];
	int ret;

	if (plm_arp_parse(frame + PLM_ETH_HDR, len - PLM_ETH_HDR, &arp) < 0)
		return;
	if (!arp.is_request) {
		if (!net->hop.is_v6 && memcmp(arp.sender_ip, net->hop.addr, 4) == 0)
			found_hop(l, arp.sender_mac, now_ns);
		return;
	}
	if (load_address_find(net, arp.target_ip, false) < 0)
		return;
	memcpy(answer.sender_mac, net->mac.addr_bytes, 6);
	memcpy(answer.sender_ip, arp.target_ip, 4);
	memcpy(answer.target_mac, arp.sender_mac, 6);
	memcpy(answer.target_ip, arp.sender_ip, 4);
	ret = plm_arp_build(out, sizeof(out), arp.sender_mac, &answer);
	if (ret > 0)
		emit(l, out, (size_t)ret);
}

static void
input_nd(struct load *l, const uint8_t *frame, size_t len, uint64_t now_ns)
{
	const struct load_net *net = &l->conf.net;
	struct plm_nd answer = { .type = PLM_ICMP6_NA,
		.has_lladdr = true,
		.solicited = true,
		.override = true };
	const uint8_t *ip = frame + PLM_ETH_HDR;
	size_t body = (size_t)(ip[4] << 8 | ip[5]);
	struct plm_nd nd;
	uint8_t out[128];
	int ret;

	if (body > len - PLM_ETH_HDR - PLM_IP6_HDR || ip[7] != 255 ||
			plm_wire_l4_sum(ip + 8, ip + 24, true, ip[6], ip + PLM_IP6_HDR, body) !=
					0 ||
			plm_nd_parse(ip + PLM_IP6_HDR, body, &nd) < 0)
		return;
	if (nd.type == PLM_ICMP6_NA) {
		if (nd.has_lladdr && net->hop.is_v6 && memcmp(nd.target, net->hop.addr, 16) == 0)
			found_hop(l, nd.lladdr, now_ns);
		return;
	}
	if (load_address_find(net, nd.target, true) < 0)
		return;
	memcpy(answer.target, nd.target, 16);
	memcpy(answer.lladdr, net->mac.addr_bytes, 6);
	ret = plm_nd_build(out, sizeof(out), net->mac.addr_bytes, frame + 6, nd.target, ip + 8,
			&answer);
	if (ret > 0)
		emit(l, out, (size_t)ret);
}

/* --- joining and consent -------------------------------------------------------------------- */

static void
look_at(struct load *l, unsigned int i, enum ice_state before)
{
	struct ice_agent *ice = &l->participants[i].ice;

	l->timers[i] = ice_deadline(ice);
	if (ice->state == before)
		return;
	if (ice->state == ICE_JOINED && ++l->nb_joined == l->nb_participants &&
			l->state == LOAD_JOINING)
		l->state = LOAD_READY;
	if (!ice_over(ice) || l->state == LOAD_REFUSED || l->state == LOAD_LOST)
		return;
	l->culprit = i;
	l->state = ice->state == ICE_LOST ? LOAD_LOST : LOAD_REFUSED;
}

static void
join_some(struct load *l, uint64_t now_ns)
{
	struct load_pace pace = { .start_ns = l->join_ns,
		.end_ns = UINT64_MAX,
		.rate = l->conf.join_rate,
		.n = l->nb_started };
	uint64_t due = load_pace_due(&pace, now_ns);

	for (unsigned int n = 0; n < JOINS && n < due && l->nb_started < l->nb_participants; n++) {
		ice_start(&l->participants[l->nb_started].ice, now_ns);
		l->timers[l->nb_started++] = now_ns;
	}
}

static void
run_timers(struct load *l, uint64_t now_ns)
{
	for (unsigned int n = RTE_MIN((unsigned int)TIMERS, l->nb_participants); n > 0; n--) {
		unsigned int i = l->timer_next;

		l->timer_next = i + 1 == l->nb_participants ? 0 : i + 1;
		/* With a full buffer the check would be counted and not sent. */
		if (l->timers[i] <= now_ns && l->nb_tx < LOAD_TX_BUF) {
			struct ice_agent *ice = &l->participants[i].ice;
			enum ice_state before = ice->state;
			uint8_t buf[LOAD_OTHER_MAX];
			size_t len = ice_poll(ice, now_ns, buf, sizeof(buf));

			if (len > 0)
				emit_payload(l, i, buf, len);
			look_at(l, i, before);
		}
	}
}

/* --- in ------------------------------------------------------------------------------------- */

/* Which receiver of a publisher of its room somebody is. False: none. */
static bool
receiver_of(const struct load *l, unsigned int slot, unsigned int publisher, unsigned int *receiver)
{
	if (l->quic == NULL) {
		*receiver = slot - l->conf.publishers;
		return slot >= l->conf.publishers;
	}
	*receiver = slot > publisher ? slot - 1 : slot;
	return slot != publisher;
}

/* In the room that floods it is enough that nothing of others comes. */
static void
input_flood(struct load *l, const struct load_stamp *stamp)
{
	if (stamp->publisher < l->nb_publishers)
		l->r.misrouted++;
	else
		l->r.flood_copies++;
}

static void
input_media(struct load *l, unsigned int participant, const uint8_t *rtp, size_t len,
		uint64_t now_ns)
{
	unsigned int slot = participant % room_size(l);
	unsigned int room = participant / room_size(l);
	struct load_stamp stamp;
	unsigned int receiver;

	if (!load_stamp_get(rtp, len, &stamp) ||
			stamp.publisher >= l->nb_publishers + flooders(l)) {
		l->r.harmed++;
		return;
	}
	if (room == l->conf.rooms) {
		input_flood(l, &stamp);
		return;
	}
	if (!receiver_of(l, slot, stamp.publisher % l->conf.publishers, &receiver) ||
			stamp.publisher / l->conf.publishers != room) {
		l->r.misrouted++;
		return;
	}
	if (stamp.run != l->run) {
		l->r.stale++;
		return;
	}
	if (stamp.seq >= l->seqs[stamp.publisher]) {
		l->r.harmed++;
		return;
	}
	l->media_ns = now_ns;
	if (!load_pair_take(&l->pairs[(size_t)stamp.publisher * l->nb_receivers + receiver],
			    stamp.seq))
		return;
	l->r.received++;
	plm_hist_add(&l->latency, now_ns > stamp.intended_ns ? now_ns - stamp.intended_ns : 0);
}

static void
input_datagram(struct load *l, const uint8_t *frame, size_t avail, const struct load_datagram *d,
		uint64_t now_ns)
{
	const uint8_t *payload = frame + d->off;
	struct ice_agent *ice;
	enum ice_state before;

	if (l->quic != NULL && d->participant < load_nb_places(&l->conf) && d->len > 0 &&
			d->off + d->len <= avail) {
		load_quic_input(l->quic, d->participant, load_ecn_get(&l->conf.net, frame),
				(uint8_t *)(uintptr_t)payload, d->len, now_ns);
		return;
	}
	/* To a stranger's port: the relay answers garbage at times. */
	if (l->quic != NULL || d->participant >= l->nb_participants || d->len == 0 ||
			d->off >= avail) {
		l->r.foreign++;
		return;
	}
	switch (plm_wire_classify(payload, RTE_MIN(d->len, avail - d->off))) {
	case PLM_PROTO_RTP:
		input_media(l, d->participant, payload, RTE_MIN(d->len, avail - d->off), now_ns);
		break;
	case PLM_PROTO_STUN:
		if (l->conf.is_static || d->off + d->len > avail)
			break;
		ice = &l->participants[d->participant].ice;
		before = ice->state;
		ice_input(ice, now_ns, payload, d->len);
		look_at(l, d->participant, before);
		break;
	default:
		l->r.foreign++;
		break;
	}
}

static void
input_frame(struct load *l, struct rte_mbuf *m, uint64_t now_ns)
{
	size_t len = rte_pktmbuf_pkt_len(m);
	size_t avail = m->nb_segs == 1 ? len : RTE_MIN(len, sizeof(l->scratch));
	const uint8_t *frame = rte_pktmbuf_read(m, 0, (uint32_t)avail, l->scratch);
	struct load_datagram d;
	uint16_t type;

	if (frame == NULL || avail < PLM_ETH_HDR + PLM_IP4_HDR) {
		l->r.foreign++;
		return;
	}
	if (load_datagram_get(&l->conf.net, frame, avail, len, &d)) {
		input_datagram(l, frame, avail, &d, now_ns);
		return;
	}
	type = (uint16_t)(frame[12] << 8 | frame[13]);
	if (type == RTE_ETHER_TYPE_ARP)
		input_arp(l, frame, avail, now_ns);
	else if (type == RTE_ETHER_TYPE_IPV6 && avail > PLM_ETH_HDR + PLM_IP6_HDR &&
			frame[PLM_ETH_HDR + 6] == IPPROTO_ICMPV6)
		input_nd(l, frame, avail, now_ns);
	else
		l->r.foreign++;
}

static void
receive(struct load *l, uint64_t now_ns)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t n = rte_eth_rx_burst(l->conf.ethdev_id, 0, pkts, BURST);

	for (uint16_t i = 0; i < n; i++) {
		if (i + 4 < n)
			rte_prefetch0(rte_pktmbuf_mtod(pkts[i + 4], void *));
		input_frame(l, pkts[i], now_ns);
	}
	if (n > 0)
		rte_pktmbuf_free_bulk(pkts, n);
}

/* --- QUIC ----------------------------------------------------------------------------------- */

static uint8_t *
quic_get(void *ctx)
{
	struct load *l = ctx;

	if (l->nb_tx == LOAD_TX_BUF)
		flush(l);
	if (l->quic_out == NULL)
		l->quic_out = take_mbuf(l);
	if (l->quic_out == NULL || l->nb_tx == LOAD_TX_BUF)
		return NULL;
	return rte_pktmbuf_mtod(l->quic_out, uint8_t *) + load_hdr_len(&l->conf.net);
}

static void
quic_put(void *ctx, unsigned int client, size_t len, uint8_t ecn)
{
	struct load *l = ctx;
	uint8_t *frame = rte_pktmbuf_mtod(l->quic_out, uint8_t *);
	size_t hdr = load_hdr_len(&l->conf.net);

	load_headers(&l->conf.net, client, frame, len, plm_wire_sum(frame + hdr, len));
	load_ecn_put(&l->conf.net, frame, ecn);
	put_mbuf(l, l->quic_out, hdr + len);
	l->quic_out = NULL;
}

static void
quic_media(void *ctx, unsigned int client, const uint8_t *buf, size_t len, uint64_t now_ns)
{
	struct load *l = ctx;

	if (client < l->nb_participants)
		input_media(l, client, buf, len, now_ns);
	else
		l->r.passing++;
}

static void
quic_turn(struct load *l, uint64_t now_ns)
{
	enum load_quic_fail fail;
	struct plm_quic_end end;

	load_quic_turn(l->quic, now_ns);
	l->nb_joined = (unsigned int)load_quic_result(l->quic)->steady.joined;
	if (l->state == LOAD_REFUSED || l->state == LOAD_LOST)
		return;
	if (load_quic_failed(l->quic, &l->culprit, &fail, &end))
		l->state = l->state == LOAD_READY ? LOAD_LOST : LOAD_REFUSED;
	else if (l->nb_joined == l->nb_participants)
		l->state = LOAD_READY;
}

static int
make_quic(struct load *l)
{
	const struct load_conf *conf = &l->conf;
	struct load_quic_conf quic = {
		.rand = conf->rand,
		.user = { quic_get, quic_put, quic_media, l },
		.path = { .port = rte_cpu_to_be_16(conf->net.relay_port),
				.is_v6 = conf->net.relay.is_v6 },
		.room = conf->room,
		.rooms = conf->rooms,
		.room_size = room_size(l),
		.nb_steady = l->nb_participants,
		.handshakes_per_s = conf->handshakes_per_s,
		.churn = conf->churn,
		.unread = conf->unread,
		.has_cipher = conf->has_cipher,
		.cipher = conf->cipher,
	};

	memcpy(quic.path.addr, conf->net.relay.addr, sizeof(quic.path.addr));
	l->quic = load_quic_create(&quic, conf->now_ns);
	return l->quic == NULL ? -rte_errno : 0;
}

/* --- generating ----------------------------------------------------------------------------- */

static unsigned int
pick_size(struct load *l)
{
	unsigned int left;
	unsigned int i;

	if (l->conf.nb_sizes == 1)
		return 0;
	left = (unsigned int)(draw(l) % l->weights);
	for (i = 0; left >= l->conf.sizes[i].weight; i++)
		left -= l->conf.sizes[i].weight;
	return i;
}

static void
put_rtp(struct load *l, uint8_t *rtp, unsigned int publisher, uint64_t seq, uint64_t at_ns)
{
	uint32_t words[3] = {
		rte_cpu_to_be_32(UINT32_C(0x80000000) | LOAD_PAYLOAD_TYPE << 16 | (seq & 0xffff)),
		rte_cpu_to_be_32((uint32_t)(at_ns / 11111)), /* about 90 kHz */
		rte_cpu_to_be_32(l->ssrc + publisher),
	};

	memcpy(rtp, words, sizeof(words));
}

/* As the protocol's clients send an Opus frame of 20 ms, with a report every 50 packets; what it holds of
 * `size` bytes stands there already. */
static void
put_wzp(uint8_t *wzp, size_t size, uint64_t seq, uint64_t at_ns)
{
	bool has_report = seq % REPORT_EVERY == 0 && size >= LOAD_SIZE_MIN + PLM_WZP_REPORT;
	struct plm_wzp_media media = { .has_report = has_report,
		.sequence = (uint16_t)seq,
		.timestamp = (uint32_t)(at_ns / PLM_NS_PER_MS),
		.payload_len = size - PLM_WZP_HDR - (has_report ? PLM_WZP_REPORT : 0),
		.report = { 0, 10, 1, 200 } };

	(void)plm_wzp_media_build(wzp, size, &media, NULL);
}

/* The next publisher's next packet, of size number `s`: whose it is. */
static unsigned int
put_media(struct load *l, uint8_t *rtp, unsigned int s, uint64_t at_ns)
{
	unsigned int publisher = l->publisher_next;
	struct load_stamp stamp = { .run = l->run,
		.publisher = publisher,
		.seq = l->seqs[publisher]++,
		.intended_ns = at_ns };

	l->publisher_next = publisher + 1 == l->nb_publishers ? 0 : publisher + 1;
	load_stamp_put(rtp, &stamp);
	memcpy(rtp + LOAD_SIZE_MIN, l->filler, l->conf.sizes[s].size - LOAD_SIZE_MIN);
	if (l->quic != NULL)
		put_wzp(rtp, l->conf.sizes[s].size, stamp.seq, at_ns);
	else
		put_rtp(l, rtp, publisher, stamp.seq, at_ns);
	return publisher / l->conf.publishers * room_size(l) + publisher % l->conf.publishers;
}

static void
send_datagram(struct load *l, uint64_t at_ns, uint64_t now_ns)
{
	unsigned int s = pick_size(l);
	uint8_t rtp[LOAD_QUIC_SIZE_MAX];
	unsigned int participant = put_media(l, rtp, s, at_ns);

	if (load_quic_send(l->quic, participant, rtp, l->conf.sizes[s].size, now_ns) ==
			PLM_QUIC_SENT)
		l->r.sent++;
	else
		l->r.refused++;
}

/* What the publishers of the room that floods have to say, in turn. */
static void
send_flood(struct load *l, uint64_t now_ns)
{
	uint64_t due = RTE_MIN(load_pace_due(&l->flood, now_ns), (uint64_t)BURST);

	for (; due > 0; due--) {
		unsigned int publisher = (unsigned int)(l->flood.n % l->conf.publishers);
		struct load_stamp stamp = { .run = l->run,
			.publisher = l->nb_publishers + publisher,
			.seq = l->flood.n / l->conf.publishers,
			.intended_ns = now_ns };
		unsigned int s = pick_size(l);
		uint8_t wzp[LOAD_QUIC_SIZE_MAX];

		l->flood.n++;
		load_stamp_put(wzp, &stamp);
		memcpy(wzp + LOAD_SIZE_MIN, l->filler, l->conf.sizes[s].size - LOAD_SIZE_MIN);
		put_wzp(wzp, l->conf.sizes[s].size, stamp.seq, now_ns);
		if (load_quic_send(l->quic, l->conf.rooms * room_size(l) + publisher, wzp,
				    l->conf.sizes[s].size, now_ns) == PLM_QUIC_SENT)
			l->r.flood++;
		else
			l->r.flood_refused++;
	}
}

static void
build_media(struct load *l, struct rte_mbuf *m, uint64_t at_ns)
{
	unsigned int s = pick_size(l);
	size_t size = l->conf.sizes[s].size;
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t *rtp = frame + load_hdr_len(&l->conf.net);
	unsigned int participant = put_media(l, rtp, s, at_ns);
	uint32_t sum;

	sum = (uint32_t)plm_wire_sum(rtp, LOAD_SIZE_MIN) + l->filler_sum[s];
	load_headers(&l->conf.net, participant, frame, size, plm_wire_fold(sum));
	put_mbuf(l, m, load_hdr_len(&l->conf.net) + size);
	l->r.sent++;
}

/* From strangers on ports that nobody joined from: STUN that cannot be, media of nobody, frames cut
 * short, and any first byte. */
static void
build_garbage(struct load *l, struct rte_mbuf *m)
{
	unsigned int kind = (unsigned int)(draw(l) % 4);
	size_t size = 32 + draw(l) % (GARBAGE_MAX - 32);
	size_t hdr = load_hdr_len(&l->conf.net);
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t *p = frame + hdr;
	unsigned int stranger = RTE_ALIGN_MUL_CEIL((unsigned int)load_nb_places(&l->conf),
						l->conf.net.nb_addresses) +
			(unsigned int)(draw(l) % STRANGERS) * l->conf.net.nb_addresses;
	uint32_t cookie = rte_cpu_to_be_32(PLM_STUN_COOKIE);

	for (size_t i = 0; i < size; i += 8) {
		uint64_t v = draw(l);

		memcpy(p + i, &v, RTE_MIN(size - i, sizeof(v)));
	}
	if (kind == 0) {
		p[0] = 0;
		p[1] = 1;
		memcpy(p + 4, &cookie, sizeof(cookie));
	} else if (kind == 1) {
		p[0] = 0x80;
		p[1] = LOAD_PAYLOAD_TYPE;
	}
	load_headers(&l->conf.net, stranger, frame, size, plm_wire_sum(p, size));
	put_mbuf(l, m, hdr + (kind == 2 ? size / 2 : size));
	l->r.garbage++;
}

static void
generate(struct load *l, uint64_t now_ns)
{
	uint64_t due = RTE_MIN(load_pace_due(&l->pace, now_ns), (uint64_t)BURST);

	for (; due > 0; due--) {
		struct rte_mbuf *m = NULL;
		uint64_t at_ns;

		if (l->nb_tx < LOAD_TX_BUF - LOAD_TX_SPARE)
			m = take_mbuf(l);
		if (m == NULL)
			return;
		at_ns = l->pace.rate == 0 ? now_ns : load_pace_at(&l->pace, l->pace.n);
		l->pace.n++;
		if (l->conf.garbage > 0 && (double)(draw(l) >> 11) * 0x1p-53 < l->conf.garbage) {
			build_garbage(l, m);
		} else if (l->quic != NULL) {
			rte_pktmbuf_free(m); /* a connection takes its own */
			send_datagram(l, at_ns, now_ns);
		} else {
			build_media(l, m, at_ns);
		}
	}
}

void
load_turn(struct load *l, uint64_t now_ns)
{
	if (l->turn_ns != 0)
		l->r.max_gap_ns = RTE_MAX(l->r.max_gap_ns, now_ns - l->turn_ns);
	l->turn_ns = now_ns;
	receive(l, now_ns);
	if (l->state == LOAD_RESOLVING && now_ns >= l->resolve_ns) {
		ask_for_hop(l);
		l->resolve_ns = now_ns + RESOLVE_NS;
	}
	if (l->state != LOAD_RESOLVING && l->quic != NULL) {
		quic_turn(l, now_ns);
	} else if (l->state != LOAD_RESOLVING && !l->conf.is_static) {
		join_some(l, now_ns);
		run_timers(l, now_ns);
	}
	if (l->run != 0 && now_ns < l->grace_ns)
		generate(l, now_ns);
	if (l->run != 0 && l->conf.flood != 0)
		send_flood(l, now_ns);
	flush(l);
}

/* --- runs ----------------------------------------------------------------------------------- */

void
load_run_begin(struct load *l, uint64_t rate, uint64_t duration_ns, uint64_t now_ns)
{
	size_t nb_pairs = (size_t)l->nb_publishers * l->nb_receivers;

	l->run++;
	memset(l->pairs, 0, nb_pairs * sizeof(l->pairs[0]));
	memset(l->seqs, 0, l->nb_publishers * sizeof(l->seqs[0]));
	memset(&l->latency, 0, sizeof(l->latency));
	l->r = (struct load_result){ .rate = rate };
	l->pace = (struct load_pace){ .start_ns = now_ns,
		.end_ns = now_ns + duration_ns,
		.rate = rate };
	l->flood = (struct load_pace){ .start_ns = now_ns,
		.end_ns = l->pace.end_ns,
		.rate = l->conf.flood };
	l->grace_ns = l->pace.end_ns + duration_ns / GRACE;
	l->turn_ns = 0;
	l->media_ns = now_ns;
	if (l->quic != NULL)
		load_quic_churn(l->quic, now_ns, l->pace.end_ns);
}

void
load_run_cut(struct load *l, uint64_t now_ns)
{
	l->pace.end_ns = RTE_MIN(l->pace.end_ns, now_ns);
	l->flood.end_ns = RTE_MIN(l->flood.end_ns, now_ns);
	l->grace_ns = RTE_MIN(l->grace_ns, now_ns);
	if (l->quic != NULL)
		load_quic_stop(l->quic, now_ns);
}

bool
load_run_over(const struct load *l, uint64_t now_ns)
{
	uint64_t last_ns = RTE_MAX(l->media_ns, l->pace.end_ns);

	if (now_ns < l->pace.end_ns ||
			(now_ns < l->grace_ns && load_pace_due(&l->pace, now_ns) != 0))
		return false;
	if (l->quic != NULL && load_quic_nb_arriving(l->quic) != 0)
		return false;
	if (l->nb_tx == 0 && l->r.received == l->r.sent * l->nb_receivers)
		return true;
	return now_ns > last_ns + l->conf.wait_ns;
}

void
load_run_result(const struct load *l, uint64_t now_ns, struct load_result *r)
{
	size_t nb_pairs = (size_t)l->nb_publishers * l->nb_receivers;
	struct load_pace until = l->pace;

	until.end_ns = RTE_MIN(until.end_ns, now_ns);
	*r = l->r;
	r->ran_ns = until.end_ns - until.start_ns;
	r->scheduled = load_pace_total(&until);
	r->unsent = r->scheduled > l->pace.n ? r->scheduled - l->pace.n : 0;
	/* What was never offered in time did not get through either. */
	r->due = (r->sent + r->refused + (uint64_t)((double)r->unsent * (1 - l->conf.garbage))) *
			l->nb_receivers;
	for (size_t i = 0; i < nb_pairs; i++) {
		r->duplicates += l->pairs[i].duplicates;
		r->reordered += l->pairs[i].reordered;
		r->late += l->pairs[i].late;
	}
	r->lost = r->due - r->received;
}

const struct plm_hist *
load_latency(const struct load *l)
{
	return &l->latency;
}

enum load_state
load_state(const struct load *l)
{
	return l->state;
}

const struct load_quic_result *
load_quic(const struct load *l)
{
	return l->quic == NULL ? NULL : load_quic_result(l->quic);
}

void
load_end(struct load *l)
{
	if (l->quic != NULL)
		load_quic_end(l->quic);
}

bool
load_closed(const struct load *l)
{
	return l->quic == NULL || (load_quic_ended(l->quic) && l->nb_tx == 0);
}

unsigned int
load_nb_joined(const struct load *l)
{
	return l->nb_joined;
}

/* --- making one ----------------------------------------------------------------------------- */

/* "pub-1", "pub-2"... and "sub-1"... of room ROOM-<r>, as a static row names them. */
static void
credential_of(const struct load_conf *conf, unsigned int i, struct plm_credential *cred)
{
	unsigned int size = conf->publishers + conf->subscribers;
	unsigned int slot = i % size;
	bool publishes = slot < conf->publishers;

	*cred = (struct plm_credential){ .expiry_s = conf->expiry_s,
		.role = publishes ? PLM_ROLE_PUBLISH : PLM_ROLE_SUBSCRIBE };
	snprintf(cred->room, sizeof(cred->room), "%s-%u", conf->room, i / size);
	snprintf(cred->participant, sizeof(cred->participant), "%s-%u", publishes ? "pub" : "sub",
			(publishes ? slot : slot - conf->publishers) + 1);
}

static void
quic_why(const struct load *l, struct plm_text *why)
{
	enum load_quic_fail fail;
	struct plm_quic_end end;
	unsigned int client;

	load_quic_failed(l->quic, &client, &fail, &end);
	plm_text_add(why, "%s", l->state == LOAD_LOST ? "connection lost: " : "");
	if (fail == LOAD_QUIC_TIMEOUT)
		plm_text_add(why, "no answer from the relay");
	else if (fail == LOAD_QUIC_ANSWER)
		plm_text_add(why, "what the relay says is no signal, or its signature is wrong");
	else
		plm_text_add(why, "%s, %s code 0x%" PRIx64,
				fail == LOAD_QUIC_OURS ? "ended by ourselves" : "refused",
				end.is_application ? "application" : "transport", end.code);
}

void
load_why(const struct load *l, struct plm_text *why)
{
	char ip[INET6_ADDRSTRLEN];
	struct plm_credential cred;
	const struct ice_agent *ice;

	if (l->state == LOAD_RESOLVING) {
		plm_text_add(why, "%s does not answer %s", plm_ip_text(&l->conf.net.hop, ip),
				l->conf.net.hop.is_v6 ? "neighbour solicitations" : "ARP");
		return;
	}
	if (l->state == LOAD_JOINING) {
		plm_text_add(why, "%u of %u participants have joined", l->nb_joined,
				l->nb_participants);
		return;
	}
	if (l->state == LOAD_READY)
		return;
	credential_of(&l->conf, l->culprit, &cred);
	plm_text_add(why, "room %s, %s: ", cred.room, cred.participant);
	if (l->quic != NULL) {
		quic_why(l, why);
		return;
	}
	ice = &l->participants[l->culprit].ice;
	if (ice->state == ICE_REFUSED)
		plm_text_add(why, "refused: %u %s", ice->error_code,
				ice_error_text(ice->error_code));
	else
		plm_text_add(why, "%s",
				ice->state == ICE_LOST ? "consent lost: no answer for 30 s"
						       : "no answer from the relay");
}

static int
make_participants(struct load *l)
{
	for (unsigned int i = 0; i < l->nb_participants; i++) {
		struct participant *p = &l->participants[i];
		struct ice_conf ice = { .ufrag = p->ufrag,
			.pwd = p->pwd,
			.controlling = true,
			.consent = true,
			.nomination = ICE_AGGRESSIVE,
			.rand = l->conf.rand,
			.hmac = l->hmac };
		struct plm_credential cred;
		int ret;

		credential_of(&l->conf, i, &cred);
		ret = plm_credential_mint(&cred, l->conf.key, l->conf.key_len, p->ufrag, p->pwd);
		if (ret < 0)
			return ret;
		ice_init(&p->ice, &ice);
		l->timers[i] = UINT64_MAX;
	}
	return 0;
}

/* What the memory below is sized by. */
static bool
conf_fits(const struct load_conf *conf)
{
	uint64_t participants = load_nb_places(conf);
	uint64_t pairs = (uint64_t)conf->rooms * conf->publishers * load_receivers(conf);

	return participants >= 1 && participants <= LOAD_PARTICIPANTS_MAX && pairs >= 1 &&
			pairs <= LOAD_PAIRS_MAX && conf->nb_sizes >= 1 &&
			conf->nb_sizes <= LOAD_SIZES_MAX &&
			conf->net.first_port + load_nb_places(conf) / conf->net.nb_addresses + 1 +
					STRANGERS <=
			UINT16_MAX + UINT64_C(1);
}

/* Do all frames fit the pool's mbufs? */
static bool
pool_fits(const struct load_conf *conf)
{
	size_t room = rte_pktmbuf_data_room_size(conf->tx_pool) - RTE_PKTMBUF_HEADROOM;
	size_t largest = conf->is_quic ? PLM_QUIC_PACKET_MAX : LOAD_OTHER_MAX;

	for (unsigned int i = 0; i < conf->nb_sizes; i++)
		largest = RTE_MAX(largest, (size_t)conf->sizes[i].size);
	return LOAD_HDR_MAX + largest <= room;
}

static int
load_init(struct load *l)
{
	const struct load_conf *conf = &l->conf;

	l->nb_publishers = conf->rooms * conf->publishers;
	l->nb_participants = (conf->rooms + (conf->flood != 0)) * room_size(l);
	l->nb_receivers = load_receivers(conf);
	l->pairs = aligned_alloc(RTE_CACHE_LINE_SIZE,
			(size_t)l->nb_publishers * l->nb_receivers * sizeof(l->pairs[0]));
	l->seqs = calloc(l->nb_publishers, sizeof(l->seqs[0]));
	l->filler = malloc(LOAD_SIZE_MAX);
	l->hmac = plm_hmac_create();
	if (l->pairs == NULL || l->seqs == NULL || l->filler == NULL || l->hmac == NULL)
		return -ENOMEM;
	l->rnd = conf->seed;
	if (l->rnd == 0)
		plm_rand_fill(&conf->rand, &l->rnd, sizeof(l->rnd));
	l->rnd |= UINT64_C(1) << 63; /* 0 would stay 0 */
	l->ssrc = (uint32_t)(draw(l) >> 32);
	for (size_t i = 0; i < LOAD_SIZE_MAX; i++)
		l->filler[i] = (uint8_t)(draw(l) >> 56);
	for (unsigned int i = 0; i < conf->nb_sizes; i++) {
		l->weights += conf->sizes[i].weight;
		l->filler_sum[i] = plm_wire_sum(l->filler, conf->sizes[i].size - LOAD_SIZE_MIN);
	}
	if (conf->is_static)
		return 0;
	if (conf->is_quic)
		return make_quic(l);
	l->participants = calloc(l->nb_participants, sizeof(l->participants[0]));
	l->timers = calloc(l->nb_participants, sizeof(l->timers[0]));
	if (l->participants == NULL || l->timers == NULL)
		return -ENOMEM;
	return make_participants(l);
}

struct load *
load_create(const struct load_conf *conf)
{
	struct load *l;
	int ret;

	if (!conf_fits(conf) || !pool_fits(conf)) {
		rte_errno = EINVAL;
		return NULL;
	}
	l = calloc(1, sizeof(*l));
	if (l == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	l->conf = *conf;
	ret = load_init(l);
	if (ret < 0) {
		load_free(l);
		rte_errno = -ret;
		return NULL;
	}
	return l;
}

void
load_free(struct load *l)
{
	if (l == NULL)
		return;
	rte_pktmbuf_free_bulk(l->tx, l->nb_tx);
	rte_pktmbuf_free(l->quic_out);
	load_quic_free(l->quic);
	plm_hmac_free(l->hmac);
	free(l->timers);
	free(l->participants);
	free(l->filler);
	free(l->seqs);
	free(l->pairs);
	free(l);
}

static void
print_row(const struct load_conf *conf, unsigned int i, unsigned int count, FILE *to)
{
	char ip_text[INET6_ADDRSTRLEN];
	struct plm_credential cred;
	struct plm_ip ip;

	credential_of(conf, i, &cred);
	if (count > 1)
		*strrchr(cred.participant, '-') = '\0'; /* a row numbers its own */
	load_address(&conf->net, i % conf->net.nb_addresses, &ip);
	fprintf(to, "  { room = \"%s\"; participant = \"%s\"; role = \"%c\"; address = \"%s\"; udp_port = %u;",
			cred.room, cred.participant, cred.role == PLM_ROLE_PUBLISH ? 'p' : 's',
			plm_ip_text(&ip, ip_text), load_participant_port(&conf->net, i));
	if (count > 1)
		fprintf(to, " count = %u;", count);
	fprintf(to, " }");
}

void
load_print_static(const struct load_conf *conf, FILE *to)
{
	unsigned int size = conf->publishers + conf->subscribers;
	/* A row is of one address and consecutive ports. */
	bool rows = conf->net.nb_addresses == 1;
	unsigned int n = conf->rooms * size;
	unsigned int count;

	fprintf(to, "trusted_network = true;\nstatic = (\n");
	for (unsigned int i = 0; i < n; i += count) {
		count = 1;
		if (rows)
			count = i % size == 0 ? conf->publishers : conf->subscribers;
		print_row(conf, i, count, to);
		fprintf(to, "%s\n", i + count < n ? "," : "");
	}
	fprintf(to, ");\n");
}
