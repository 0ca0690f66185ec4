/* SPDX-License-Identifier: BSD-3-Clause */
/* From frames to RTP. A UDP datagram that begins like RTP may be anything, so an SSRC counts once two
 * of its packets have neighbouring sequence numbers. */
#include "replay.h"

#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdlib.h>

#include <rte_common.h>

#include "plm_wire.h"

/* SSRCs that may yet turn out to be none. */
#define CANDIDATES 1024
/* A gap in sequence numbers that is still one stream (RFC 3550 A.1). */
#define DROPOUT_MAX 3000
/* Between two laps of a single packet. */
#define GAP_NS (20 * PLM_NS_PER_MS)

#define ETHERTYPE_IP4   0x0800
#define ETHERTYPE_IP6   0x86dd
#define ETHERTYPE_VLAN  0x8100
#define ETHERTYPE_VLANS 0x88a8
#define IPPROTO_UDP_NR  17

/* What is known of an SSRC while the file is read. */
struct candidate {
	uint32_t ssrc;
	uint8_t payload_type;
	bool is_rtp;
	int source; /* its index in the end, or -1 */
	uint64_t nb;
	uint64_t nb_times; /* changes of the timestamp */
	int64_t seq, seq_min, seq_max;
	int64_t ts, ts_min, ts_max;
};

struct loader {
	struct replay *r;
	uint16_t port;
	uint64_t max_packets; /* that `packets` has room for */
	uint64_t max_bytes;
	uint64_t nb_bytes;
	uint64_t nb_frames;
	uint64_t nb_udp;
	uint64_t nb_cut; /* not whole in the file */
	uint64_t begin_ns;
	uint64_t at_ns;
	struct candidate candidates[CANDIDATES];
	unsigned int nb_candidates;
	uint16_t *of; /* [max_packets]: candidate of each packet */
};

/* --- frames --------------------------------------------------------------------------------- */

/* Move to the IP header, by link type. False: there is none. */
static bool
skip_link(struct plm_cursor *c, int link)
{
	uint16_t type = ETHERTYPE_IP4;
	size_t head;

	switch (link) {
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
		return true;
	case DLT_NULL:
	case DLT_LOOP:
		head = 4;
		break;
	case DLT_LINUX_SLL:
		head = 16;
		break;
	case DLT_LINUX_SLL2:
		head = 20;
		break;
	default: /* DLT_EN10MB */
		head = 14;
		break;
	}
	if (plm_cursor_left(c) < head)
		return false;
	if (link == DLT_EN10MB)
		type = (uint16_t)(c->pos[12] << 8 | c->pos[13]);
	plm_cursor_bytes(c, head);
	while ((type == ETHERTYPE_VLAN || type == ETHERTYPE_VLANS) && plm_cursor_left(c) >= 4) {
		plm_cursor_be16(c);
		type = plm_cursor_be16(c);
	}
	return type == ETHERTYPE_IP4 || type == ETHERTYPE_IP6;
}

/* What lies behind an IP header that carries UDP, whole. */
static bool
skip_ip(struct plm_cursor *c, bool *is_cut)
{
	const uint8_t *ip = c->pos;
	size_t left = plm_cursor_left(c);
	size_t head;
	size_t len;

	if (left >= 20 && ip[0] >> 4 == 4) {
		head = (size_t)(ip[0] & 0x0f) * 4;
		len = (size_t)(ip[2] << 8 | ip[3]);
		/* Fragments hold no datagram, or not all of one. */
		if (head < 20 || ip[9] != IPPROTO_UDP_NR || ((ip[6] << 8 | ip[7]) & 0x3fff) != 0)
			return false;
	} else if (left >= 40 && ip[0] >> 4 == 6) {
		head = 40;
		len = 40 + (size_t)(ip[4] << 8 | ip[5]);
		if (ip[6] != IPPROTO_UDP_NR)
			return false;
	} else {
		return false;
	}
	*is_cut = len > left;
	if (len < head + 8 || head > left)
		return false;
	plm_cursor_bytes(c, head);
	return true;
}

/* Leaves the payload of a datagram of this port in the cursor. */
static bool
skip_udp(struct plm_cursor *c, uint16_t port)
{
	uint16_t from;
	uint16_t to;
	uint16_t len;

	if (plm_cursor_left(c) < 8)
		return false;
	from = plm_cursor_be16(c);
	to = plm_cursor_be16(c);
	len = plm_cursor_be16(c);
	plm_cursor_be16(c);
	if ((port != 0 && from != port && to != port) || len < 8 ||
			(size_t)len - 8 > plm_cursor_left(c))
		return false;
	c->end = c->pos + len - 8; /* without what fills up an Ethernet frame */
	return true;
}

/* --- sources -------------------------------------------------------------------------------- */

static struct candidate *
candidate_get(struct loader *l, uint32_t ssrc)
{
	struct candidate *c;

	for (unsigned int i = 0; i < l->nb_candidates; i++) {
		if (l->candidates[i].ssrc == ssrc)
			return &l->candidates[i];
	}
	if (l->nb_candidates == CANDIDATES)
		return NULL;
	c = &l->candidates[l->nb_candidates++];
	*c = (struct candidate){ .ssrc = ssrc, .source = -1 };
	return c;
}

static void
candidate_saw(struct candidate *c, const struct plm_rtp *rtp)
{
	int16_t gap = (int16_t)(rtp->seq - (uint16_t)c->seq);
	int32_t ts_gap = (int32_t)(rtp->timestamp - (uint32_t)c->ts);

	if (c->nb++ == 0) {
		c->payload_type = rtp->payload_type;
		c->seq = c->seq_min = c->seq_max = rtp->seq;
		c->ts = c->ts_min = c->ts_max = rtp->timestamp;
		return;
	}
	c->is_rtp |= gap != 0 && abs(gap) < DROPOUT_MAX;
	c->nb_times += ts_gap != 0;
	c->seq += gap;
	c->ts += ts_gap;
	c->seq_min = RTE_MIN(c->seq_min, c->seq);
	c->seq_max = RTE_MAX(c->seq_max, c->seq);
	c->ts_min = RTE_MIN(c->ts_min, c->ts);
	c->ts_max = RTE_MAX(c->ts_max, c->ts);
}

/* --- loading -------------------------------------------------------------------------------- */

static int
make_room(struct loader *l, size_t len, struct plm_text *why)
{
	struct replay *r = l->r;

	if (r->nb_packets >= REPLAY_PACKETS_MAX || l->nb_bytes + len > REPLAY_BYTES_MAX) {
		plm_text_add(why, "more than %u million packets or %u MB of RTP",
				(unsigned int)(REPLAY_PACKETS_MAX >> 20),
				(unsigned int)(REPLAY_BYTES_MAX >> 20));
		return -E2BIG;
	}
	if (r->nb_packets == l->max_packets) {
		uint64_t max = l->max_packets != 0 ? l->max_packets * 2 : 1024;
		void *packets = realloc(r->packets, max * sizeof(*r->packets));
		void *of;

		if (packets != NULL)
			r->packets = packets;
		of = packets != NULL ? realloc(l->of, max * sizeof(*l->of)) : NULL;
		if (of == NULL)
			goto no_memory;
		l->of = of;
		l->max_packets = max;
	}
	if (l->nb_bytes + len > l->max_bytes) {
		uint64_t max = RTE_MAX(l->max_bytes * 2, UINT64_C(1) << 20);
		void *bytes = realloc(r->bytes, max);

		if (bytes == NULL)
			goto no_memory;
		r->bytes = bytes;
		l->max_bytes = max;
	}
	return 0;

no_memory:
	plm_text_add(why, "out of memory");
	return -ENOMEM;
}

static int
take_datagram(struct loader *l, const uint8_t *p, size_t len, struct plm_text *why)
{
	struct replay *r = l->r;
	bool is_rtcp = plm_wire_classify(p, len) == PLM_PROTO_RTCP;
	struct replay_packet *packet;
	struct plm_rtcp rtcp = { .has_bye = false };
	struct candidate *c;
	struct plm_rtp rtp;
	uint32_t ssrc;
	uint8_t type;
	int ret;

	if (is_rtcp) {
		/* Encrypted or not. */
		if (plm_rtcp_peek(p, len, &type, &ssrc) < 0)
			return 0;
		if (plm_rtcp_parse(p, len, &rtcp) < 0)
			rtcp.has_bye = false;
	} else if (plm_wire_classify(p, len) == PLM_PROTO_RTP && plm_rtp_parse(p, len, &rtp) == 0) {
		ssrc = rtp.ssrc;
	} else {
		return 0;
	}
	if (len > REPLAY_DATAGRAM)
		return 0;
	c = candidate_get(l, ssrc);
	if (c == NULL)
		return 0;
	ret = make_room(l, len, why);
	if (ret < 0)
		return ret;
	if (!is_rtcp)
		candidate_saw(c, &rtp);
	l->of[r->nb_packets] = (uint16_t)(c - l->candidates);
	packet = &r->packets[r->nb_packets++];
	*packet = (struct replay_packet){
		.at_ns = l->at_ns,
		.off = (uint32_t)l->nb_bytes,
		.len = (uint16_t)len,
		.is_rtcp = is_rtcp,
		.is_bye = rtcp.has_bye,
	};
	memcpy(r->bytes + l->nb_bytes, p, len);
	l->nb_bytes += len;
	return 0;
}

static int
take_frame(struct loader *l, int link, const struct pcap_pkthdr *head, const uint8_t *bytes,
		struct plm_text *why)
{
	struct plm_cursor c = plm_cursor(bytes, head->caplen);
	/* With this precision microseconds are nanoseconds. */
	uint64_t at_ns = (uint64_t)head->ts.tv_sec * PLM_NS_PER_S + (uint64_t)head->ts.tv_usec;
	bool is_cut = false;

	l->nb_frames++;
	l->at_ns = RTE_MAX(l->at_ns, at_ns); /* clocks are set back, and files merged */
	if (!skip_link(&c, link) || !skip_ip(&c, &is_cut))
		return 0;
	if (is_cut) {
		l->nb_cut++;
		return 0;
	}
	if (!skip_udp(&c, l->port))
		return 0;
	l->nb_udp++;
	return plm_cursor_left(&c) == 0 ? 0 : take_datagram(l, c.pos, plm_cursor_left(&c), why);
}

static bool
is_known_link(int link)
{
	return link == DLT_EN10MB || link == DLT_RAW || link == DLT_IPV4 || link == DLT_IPV6 ||
			link == DLT_NULL || link == DLT_LOOP || link == DLT_LINUX_SLL ||
			link == DLT_LINUX_SLL2;
}

static int
read_file(struct loader *l, const char *path, struct plm_text *why)
{
	char err[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *head;
	const uint8_t *bytes;
	int ret = 0;
	int got = 0;
	int link;
	pcap_t *pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO,
			err);

	if (pcap == NULL) {
		plm_text_add(why, "%s", err);
		return -EINVAL;
	}
	link = pcap_datalink(pcap);
	if (!is_known_link(link)) {
		plm_text_add(why,
				"frames of link type %d, must be Ethernet, Linux cooked or raw IP",
				link);
		ret = -EINVAL;
	}
	while (ret == 0 && (got = pcap_next_ex(pcap, &head, &bytes)) == 1)
		ret = take_frame(l, link, head, bytes, why);
	if (ret == 0 && got == PCAP_ERROR) {
		plm_text_add(why, "%s", pcap_geterr(pcap));
		ret = -EINVAL;
	}
	pcap_close(pcap);
	return ret;
}

/* Which SSRCs are RTP, and how they go on from lap to lap. */
static int
settle_sources(struct loader *l, struct plm_text *why)
{
	struct replay *r = l->r;
	unsigned int nb = 0;

	for (unsigned int i = 0; i < l->nb_candidates; i++) {
		struct candidate *c = &l->candidates[i];
		struct replay_source *source;

		if (!c->is_rtp || nb++ >= REPLAY_SOURCES_MAX)
			continue;
		c->source = (int)nb - 1;
		source = &r->sources[c->source];
		source->ssrc = c->ssrc;
		source->payload_type = c->payload_type;
		source->seq_step = (uint16_t)(c->seq_max - c->seq_min + 1);
		source->ts_step = (uint32_t)(c->ts_max - c->ts_min);
		if (c->nb_times > 0)
			source->ts_step += source->ts_step / (uint32_t)c->nb_times;
		else
			source->ts_step = 1;
	}
	r->nb_sources = RTE_MIN(nb, (unsigned int)REPLAY_SOURCES_MAX);
	if (nb > REPLAY_SOURCES_MAX) {
		plm_text_add(why,
				"%u RTP streams, a participant sends at most %d; choose with --pcap-port",
				nb, REPLAY_SOURCES_MAX);
		return -EINVAL;
	}
	if (nb > 0)
		return 0;
	plm_text_add(why, "no RTP in %" PRIu64 " frames, of which %" PRIu64 " are UDP datagrams",
			l->nb_frames, l->nb_udp);
	if (l->port != 0)
		plm_text_add(why, " of port %u", l->port);
	if (l->nb_cut > 0)
		plm_text_add(why, "; %" PRIu64 " were not captured whole (snaplen)", l->nb_cut);
	return -EINVAL;
}

/* Keep packets of sources, beginning at 0. */
static void
settle_packets(struct loader *l)
{
	struct replay *r = l->r;
	uint64_t nb = 0;
	uint64_t last;

	for (uint64_t i = 0; i < r->nb_packets; i++) {
		struct replay_packet packet = r->packets[i];
		int source = l->candidates[l->of[i]].source;

		if (source < 0)
			continue;
		if (nb == 0)
			l->begin_ns = packet.at_ns;
		packet.at_ns -= l->begin_ns;
		packet.source = (uint8_t)source;
		r->packets[nb++] = packet;
	}
	r->nb_packets = nb;
	r->nb_left_out = l->nb_frames - nb;
	last = r->packets[nb - 1].at_ns;
	r->lap_ns = last + RTE_MAX(last / nb, nb > 1 && last > 0 ? 1 : GAP_NS);
}

int
replay_load(struct replay **replay, const char *path, uint16_t port, bool loops,
		struct plm_text *why)
{
	struct loader *l = calloc(1, sizeof(*l));
	int ret = -ENOMEM;

	if (l != NULL)
		l->r = calloc(1, sizeof(*l->r));
	if (l == NULL || l->r == NULL) {
		plm_text_add(why, "out of memory");
		free(l);
		return ret;
	}
	l->port = port;
	l->r->loops = loops;
	ret = read_file(l, path, why);
	if (ret == 0)
		ret = settle_sources(l, why);
	if (ret == 0) {
		settle_packets(l);
		*replay = l->r;
	} else {
		replay_free(l->r);
	}
	free(l->of);
	free(l);
	return ret;
}

void
replay_free(struct replay *r)
{
	if (r == NULL)
		return;
	free(r->packets);
	free(r->bytes);
	free(r);
}

/* --- sending -------------------------------------------------------------------------------- */

size_t
replay_build(const struct replay *r, uint8_t buf[REPLAY_DATAGRAM])
{
	const struct replay_packet *packet = &r->packets[r->pos % r->nb_packets];
	const struct replay_source *source = &r->sources[packet->source];
	uint64_t lap = r->pos / r->nb_packets;
	uint16_t seq;
	uint32_t ts;

	if (packet->is_rtcp && (lap > 0 || (r->loops && packet->is_bye)))
		return 0;
	memcpy(buf, r->bytes + packet->off, packet->len);
	if (packet->is_rtcp || lap == 0)
		return packet->len;
	seq = (uint16_t)((buf[2] << 8 | buf[3]) + lap * source->seq_step);
	ts = ((uint32_t)buf[4] << 24 | (uint32_t)buf[5] << 16 | (uint32_t)buf[6] << 8 | buf[7]) +
			(uint32_t)lap * source->ts_step;
	buf[2] = (uint8_t)(seq >> 8);
	buf[3] = (uint8_t)seq;
	buf[4] = (uint8_t)(ts >> 24);
	buf[5] = (uint8_t)(ts >> 16);
	buf[6] = (uint8_t)(ts >> 8);
	buf[7] = (uint8_t)ts;
	return packet->len;
}

void
replay_advance(struct replay *r)
{
	const struct replay_packet *packet = &r->packets[r->pos++ % r->nb_packets];

	if (!packet->is_rtcp)
		r->sources[packet->source].packets++;
}
