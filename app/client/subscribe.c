/* SPDX-License-Identifier: BSD-3-Clause */
/* Where media goes: statistics, players, a capture file; and the reports about it. */
#include <arpa/inet.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_common.h>

#include "bytes.h"
#include "client.h"
#include "rtcp.h"

/* Streams that one compound asks for a picture: 12 bytes each. */
#define PLI_MAX 64

struct sinks {
	int fd4; /* owned; -1: none */
	int fd6;
	pcap_t *pcap; /* owned; NULL: no capture */
	pcap_dumper_t *dumper;
	uint64_t errors; /* datagrams that a player's address did not take */
};

static int
capture_open(struct client *client, struct sinks *sinks)
{
	const char *path = client->conf->pcap_path;

	if (path == NULL)
		return 0;
	sinks->pcap = pcap_open_dead_with_tstamp_precision(DLT_RAW, 65535,
			PCAP_TSTAMP_PRECISION_NANO);
	if (sinks->pcap == NULL)
		return -ENOMEM;
	sinks->dumper = pcap_dump_open(sinks->pcap, path);
	if (sinks->dumper == NULL) {
		client_say(client, NULL, "--pcap: %s", pcap_geterr(sinks->pcap));
		return -EIO;
	}
	return 0;
}

int
sinks_init(struct client *client)
{
	struct sinks *sinks = calloc(1, sizeof(*sinks));

	client->sinks = sinks;
	if (sinks == NULL)
		return -ENOMEM;
	sinks->fd4 = -1;
	sinks->fd6 = -1;
	for (unsigned int i = 0; i < client->conf->nb_sinks; i++) {
		int family = client->conf->sinks[i].to.sa.ss_family;
		int *fd = family == AF_INET6 ? &sinks->fd6 : &sinks->fd4;

		if (*fd < 0)
			*fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (*fd < 0) {
			client_say(client, NULL, "--rtp-out: %s", strerror(errno));
			return -errno;
		}
	}
	return capture_open(client, sinks);
}

void
sinks_fini(struct client *client)
{
	struct sinks *sinks = client->sinks;

	if (sinks == NULL)
		return;
	if (sinks->dumper != NULL) {
		if (pcap_dump_flush(sinks->dumper) < 0)
			client_say(client, NULL, "--pcap %s: %s", client->conf->pcap_path,
					strerror(errno));
		pcap_dump_close(sinks->dumper);
	}
	if (sinks->pcap != NULL)
		pcap_close(sinks->pcap);
	if (sinks->fd4 >= 0)
		close(sinks->fd4);
	if (sinks->fd6 >= 0)
		close(sinks->fd6);
	free(sinks);
	client->sinks = NULL;
}

/* Write a datagram under the IP and UDP headers that it had, TTL and identification aside. */
static void
capture(struct participant *p, const uint8_t *buf, size_t len, uint64_t now_ns)
{
	static uint8_t frame[PLM_IP6_HDR + PLM_UDP_HDR + CLIENT_DATAGRAM_MAX];
	const struct client_addr *from = &p->client->conf->relay;
	const struct client_addr *to = &p->local;
	bool v6 = from->sa.ss_family == AF_INET6;
	size_t ip_len = v6 ? PLM_IP6_HDR : PLM_IP4_HDR;
	size_t udp_len = PLM_UDP_HDR + len;
	uint8_t *udp = frame + ip_len;
	struct pcap_pkthdr hdr;
	uint16_t sum;

	memset(frame, 0, ip_len + PLM_UDP_HDR);
	memcpy(udp, &((const struct sockaddr_in *)&from->sa)->sin_port, 2);
	memcpy(udp + 2, &((const struct sockaddr_in *)&to->sa)->sin_port, 2);
	put_be16(udp + 4, (uint16_t)udp_len);
	memcpy(udp + PLM_UDP_HDR, buf, len);
	if (v6) {
		const struct sockaddr_in6 *src = (const struct sockaddr_in6 *)&from->sa;
		const struct sockaddr_in6 *dst = (const struct sockaddr_in6 *)&to->sa;

		frame[0] = 0x60;
		put_be16(frame + 4, (uint16_t)udp_len);
		frame[6] = IPPROTO_UDP;
		frame[7] = 64;
		memcpy(frame + 8, &src->sin6_addr, 16);
		memcpy(frame + 24, &dst->sin6_addr, 16);
		sum = plm_wire_l4_sum(frame + 8, frame + 24, true, IPPROTO_UDP, udp, udp_len);
	} else {
		frame[0] = 0x45;
		put_be16(frame + 2, (uint16_t)(ip_len + udp_len));
		frame[6] = 0x40;
		frame[8] = 64;
		frame[9] = IPPROTO_UDP;
		memcpy(frame + 12, &((const struct sockaddr_in *)&from->sa)->sin_addr, 4);
		memcpy(frame + 16, &((const struct sockaddr_in *)&to->sa)->sin_addr, 4);
		sum = (uint16_t)~plm_wire_sum(frame, ip_len);
		memcpy(frame + 10, &sum, 2);
		sum = plm_wire_l4_sum(frame + 12, frame + 16, false, IPPROTO_UDP, udp, udp_len);
	}
	memcpy(udp + 6, &sum, 2);

	now_ns += p->client->wall_offset_ns;
	hdr.ts.tv_sec = (time_t)(now_ns / PLM_NS_PER_S);
	hdr.ts.tv_usec = (suseconds_t)(now_ns % PLM_NS_PER_S); /* ns, as the file says */
	hdr.caplen = hdr.len = (bpf_u_int32)(ip_len + udp_len);
	pcap_dump((u_char *)p->client->sinks->dumper, &hdr, frame);
}

/* Give a stream's packet to the players that want it; its RTCP goes to the next port. */
static void
play(struct participant *p, const struct rx_stream *rx, uint8_t payload_type, const uint8_t *buf,
		size_t len, bool is_rtcp)
{
	const struct client_conf *conf = p->client->conf;
	struct sinks *sinks = p->client->sinks;

	for (unsigned int i = 0; i < conf->nb_sinks; i++) {
		const struct sink_conf *sink = &conf->sinks[i];
		struct client_addr to = sink->to;
		struct sockaddr_in *sin = (struct sockaddr_in *)&to.sa;

		if ((sink->payload_type >= 0 && sink->payload_type != payload_type) ||
				(sink->order >= 0 && (uint32_t)sink->order != rx->order))
			continue;
		/* The port lies at the same place in sockaddr_in and sockaddr_in6. */
		if (is_rtcp)
			sin->sin_port = htons((uint16_t)(ntohs(sin->sin_port) + 1));
		if (sendto(to.sa.ss_family == AF_INET6 ? sinks->fd6 : sinks->fd4, buf, len,
				    MSG_DONTWAIT, (const struct sockaddr *)&to.sa, to.len) < 0)
			sinks->errors++;
	}
}

void
subscribe_sound(struct participant *p, const struct plm_rtp *rtp, const uint8_t *buf, size_t len,
		bool is_played, uint64_t now_ns)
{
	const struct client_conf *conf = p->client->conf;
	struct gen_stamp stamp = { 0 };
	enum gen_verdict verdict = gen_check(buf, len, &stamp);
	struct rx_stream *rx = rx_get(&p->rx, rtp->ssrc);

	if (conf->verify && verdict == GEN_FOREIGN)
		verdict = GEN_CORRUPT;
	if (rx != NULL) {
		if (rx->received == 0) {
			rx->own = publish_owns(p, rtp->ssrc);
			rx->clock_hz = conf->clock_hz[rtp->payload_type];
			p->nb_own += rx->own;
		}
		rx_packet(rx, rtp, len, now_ns, verdict, &stamp);
		if (rx->own)
			p->echoed++;
		if (conf->nb_sinks != 0 && is_played)
			play(p, rx, rtp->payload_type, buf, len, false);
	}
	if (rx == NULL || !rx->own)
		p->client->nb_counted += ++p->received == conf->count;
	if (p->client->sinks->dumper != NULL && is_played)
		capture(p, buf, len, now_ns);
}

void
subscribe_rtp(struct participant *p, const uint8_t *buf, size_t len, uint64_t now_ns)
{
	struct plm_rtp rtp;

	if (plm_rtp_parse(buf, len, &rtp) < 0)
		p->rtp_malformed++;
	else
		subscribe_sound(p, &rtp, buf, len, true, now_ns);
}

static void
take_sr(struct participant *p, const struct rtcp_packet *packet, uint64_t now_ns)
{
	struct rx_stream *rx;

	p->rtcp_sr++;
	if (packet->len < 12)
		return;
	rx = rx_lookup(&p->rx, get_be32(packet->body));
	if (rx == NULL)
		return;
	rx->nb_sr++;
	rx->last_sr = get_be32(packet->body + 4) << 16 | get_be32(packet->body + 8) >> 16;
	rx->last_sr_ns = now_ns;
}

static void
take_bye(struct participant *p, const struct rtcp_packet *packet)
{
	p->rtcp_bye++;
	for (size_t i = 0; i < packet->count && (i + 1) * 4 <= packet->len; i++) {
		struct rx_stream *rx = rx_lookup(&p->rx, get_be32(packet->body + i * 4));

		if (rx == NULL || rx->bye)
			continue;
		rx->bye = true;
		p->nb_byes += !rx->own;
	}
}

/* To the player of each stream that says goodbye, but for the one that got the compound already. */
static void
play_byes(struct participant *p, const uint8_t *buf, size_t len, const struct rx_stream *done)
{
	struct plm_cursor c = plm_cursor(buf, len);
	struct rtcp_packet packet;

	while (rtcp_next(&c, &packet) == 0) {
		if (packet.type != PLM_RTCP_BYE)
			continue;
		for (size_t i = 0; i < packet.count && (i + 1) * 4 <= packet.len; i++) {
			const struct rx_stream *rx =
					rx_lookup(&p->rx, get_be32(packet.body + i * 4));

			if (rx != NULL && rx != done)
				play(p, rx, rx->payload_type, buf, len, true);
		}
	}
}

/* Of the first packet's sender: the stream to whose player a sender's report goes too. */
static void
play_rtcp(struct participant *p, const uint8_t *buf, size_t len)
{
	const struct rx_stream *rx;

	if (p->client->conf->nb_sinks == 0 || len < 8)
		return;
	rx = rx_lookup(&p->rx, get_be32(buf + 4));
	if (rx != NULL)
		play(p, rx, rx->payload_type, buf, len, true);
	play_byes(p, buf, len, rx);
}

void
subscribe_rtcp(struct participant *p, const uint8_t *buf, size_t len, uint64_t now_ns)
{
	struct plm_cursor c = plm_cursor(buf, len);
	struct rtcp_packet packet;
	int ret;

	p->rtcp_received++;
	while ((ret = rtcp_next(&c, &packet)) == 0) {
		switch (packet.type) {
		case PLM_RTCP_SR:
			take_sr(p, &packet, now_ns);
			break;
		case PLM_RTCP_RR: {
			struct rx_stream *rx;

			p->rtcp_rr++;
			rx = packet.len >= 4 ? rx_lookup(&p->rx, get_be32(packet.body)) : NULL;
			if (rx != NULL)
				rx->nb_rr++;
			break;
		}
		case PLM_RTCP_PSFB:
			p->rtcp_pli += packet.count == 1;
			break;
		case PLM_RTCP_BYE:
			take_bye(p, &packet);
			break;
		default:
			break;
		}
	}
	/* An encrypted compound looks so too, behind its first 8 bytes. */
	if (ret != -ENOENT)
		p->rtcp_malformed++;
	play_rtcp(p, buf, len);
	if (p->client->conf->nb_producers != 0)
		producers_feedback(p->client, buf, len);
	if (p->client->sinks->dumper != NULL)
		capture(p, buf, len, now_ns);
}

unsigned int
subscribe_blocks(struct participant *p, uint64_t now_ns, struct rx_report *blocks)
{
	uint32_t nb_streams = p->rx.nb_streams;
	unsigned int n = 0;

	for (uint32_t i = 0; i < nb_streams && n < RTCP_BLOCKS_MAX; i++) {
		struct rx_stream *rx = p->rx.streams[p->rr_next++ % nb_streams];

		if (!rx->own && !rx->bye)
			rx_report(rx, now_ns, &blocks[n++]);
	}
	return n;
}

void
subscribe_report(struct participant *p, uint64_t now_ns)
{
	struct rx_report blocks[RTCP_BLOCKS_MAX];
	unsigned int n = subscribe_blocks(p, now_ns, blocks);
	uint8_t buf[CLIENT_RTCP_MAX];
	struct rtcp_out out;

	rtcp_begin(&out, buf, sizeof(buf));
	rtcp_add_rr(&out, p->ssrc, blocks, n);
	rtcp_add_sdes(&out, p->ssrc, p->cname);
	if (!out.overflow && participant_send(p, buf, out.len, WZP_WHOLE))
		p->rtcp_sent++;
}

void
subscribe_pli(struct participant *p)
{
	uint8_t buf[CLIENT_RTCP_MAX];
	struct rtcp_out out;
	unsigned int n = 0;

	rtcp_begin(&out, buf, sizeof(buf));
	rtcp_add_rr(&out, p->ssrc, NULL, 0);
	rtcp_add_sdes(&out, p->ssrc, p->cname);
	for (uint32_t i = 0; i < p->rx.nb_streams && n < PLI_MAX; i++) {
		const struct rx_stream *rx = p->rx.streams[i];

		if (rx->own || rx->bye)
			continue;
		rtcp_add_pli(&out, p->ssrc, rx->ssrc);
		n++;
	}
	if (n != 0 && !out.overflow && participant_send(p, buf, out.len, WZP_WHOLE))
		p->rtcp_sent++;
}

void
subscribe_leave(struct participant *p)
{
	const struct wzp_senders *senders = p->wzp.senders;

	for (unsigned int i = 0; senders != NULL && i < senders->nb; i++) {
		const struct rx_stream *rx = rx_lookup(&p->rx, senders->list[i].ssrc);
		uint8_t buf[CLIENT_RTCP_MAX];
		struct rtcp_out out;

		if (rx == NULL)
			continue;
		rtcp_begin(&out, buf, sizeof(buf));
		rtcp_add_rr(&out, rx->ssrc, NULL, 0);
		rtcp_add_sdes(&out, rx->ssrc, p->cname);
		rtcp_add_bye(&out, &rx->ssrc, 1);
		if (!out.overflow)
			play(p, rx, rx->payload_type, buf, out.len, true);
	}
}
