/* SPDX-License-Identifier: BSD-3-Clause */
/* Where media comes from: the generator, a capture, and local programs that send RTP to us. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include <rte_common.h>

#include "client.h"
#include "rtcp.h"
#include "wzp_file.h"

/* A stream that fell behind catches up this many batches a turn. */
#define CATCH_UP 4

void
publish_start(struct participant *p, uint64_t now_ns)
{
	const struct client_conf *conf = p->client->conf;

	for (unsigned int i = 0; i < conf->nb_gens; i++) {
		struct gen_stream *gen = &p->gens[i];

		/* Clones start within one packet interval of each other, evenly. */
		gen->start_ns = now_ns + conf->start_delay_ns +
				PLM_NS_PER_S / gen->conf.pps * p->idx / conf->clones;
	}
	if (p->client->replay != NULL)
		p->client->replay->start_ns = now_ns + conf->start_delay_ns;
}

static void
send_bye(struct participant *p, uint32_t ssrc)
{
	uint8_t buf[CLIENT_RTCP_MAX];
	struct rtcp_out out;

	rtcp_begin(&out, buf, sizeof(buf));
	rtcp_add_rr(&out, ssrc, NULL, 0);
	rtcp_add_sdes(&out, ssrc, p->cname);
	rtcp_add_bye(&out, &ssrc, 1);
	if (!out.overflow && participant_send(p, buf, out.len, WZP_WHOLE))
		p->rtcp_sent++;
}

/* End a stream of the generator with RTCP BYE. */
static void
publish_bye(struct participant *p, struct gen_stream *gen)
{
	gen->bye_sent = true;
	send_bye(p, gen->ssrc);
}

/* And those of a replay; WZP media knows no RTCP. */
static void
replay_bye(struct participant *p, struct replay *r)
{
	for (unsigned int i = 0; i < r->nb_sources && !p->client->conf->wzp; i++)
		send_bye(p, r->sources[i].ssrc);
	r->bye_sent = true;
}

void
publish_leave(struct participant *p)
{
	struct replay *r = p->client->replay;

	for (unsigned int i = 0; i < p->client->conf->nb_gens; i++)
		if (p->gens[i].start_ns != 0 && !p->gens[i].bye_sent)
			publish_bye(p, &p->gens[i]);
	if (r != NULL && r->start_ns != 0 && !r->bye_sent)
		replay_bye(p, r);
}

void
publish_abandon(struct participant *p)
{
	struct client *client = p->client;

	for (unsigned int i = 0; i < client->conf->nb_gens; i++)
		client->nb_sending -= !gen_over(&p->gens[i]);
	if (client->replay != NULL)
		client->nb_sending -= !replay_over(client->replay);
}

/*
 * Build what is due, one packet of each stream in turn so that none waits for another that fell
 * behind. owner[i] is the stream of message i.
 */
static unsigned int
build_due(struct participant *p, uint64_t now_ns, uint8_t owner[CLIENT_BATCH])
{
	struct batch *tx = p->client->tx;
	uint64_t ahead[CLIENT_GENS_MAX] = { 0 };
	unsigned int n = 0;
	bool more = true;

	while (more) {
		more = false;
		for (unsigned int g = 0; g < p->client->conf->nb_gens && n < CLIENT_BATCH; g++) {
			struct gen_stream *gen = &p->gens[g];
			uint64_t index = gen->index + ahead[g];

			if (gen_due_ns(gen, index) > now_ns ||
					(gen->conf.count != 0 && index >= gen->conf.count))
				continue;
			gen_build(gen, index, now_ns, tx->buf[n]);
			tx->iov[n] = (struct iovec){ tx->buf[n], gen->conf.size };
			tx->msg[n].msg_hdr =
					(struct msghdr){ .msg_iov = &tx->iov[n], .msg_iovlen = 1 };
			tx->wrap[n] = WZP_WHOLE;
			owner[n++] = (uint8_t)g;
			ahead[g]++;
			more = true;
		}
	}
	return n;
}

/* Send what the generator owes; returns when more is due. */
static uint64_t
generate_turn(struct participant *p, uint64_t now_ns)
{
	const struct client_conf *conf = p->client->conf;
	uint8_t owner[CLIENT_BATCH];
	uint64_t next_ns = UINT64_MAX;

	if (conf->nb_gens == 0 || p->gens[0].start_ns == 0)
		return UINT64_MAX;
	for (unsigned int round = 0; round < CATCH_UP; round++) {
		unsigned int n = build_due(p, client_now(), owner);
		unsigned int sent = n != 0 ? participant_send_batch(p, n) : 0;

		for (unsigned int i = 0; i < sent; i++) {
			struct gen_stream *gen = &p->gens[owner[i]];

			gen->index++;
			gen->bytes += gen->conf.size - (uint64_t)PLM_RTP_HDR;
			p->client->nb_sending -= gen_over(gen);
		}
		if (sent < n) {
			p->blocked_ns = now_ns + PLM_NS_PER_MS;
			return p->blocked_ns;
		}
		if (n < CLIENT_BATCH)
			break;
	}
	for (unsigned int g = 0; g < conf->nb_gens; g++) {
		struct gen_stream *gen = &p->gens[g];

		if (!gen_over(gen))
			next_ns = RTE_MIN(next_ns, gen_due_ns(gen, gen->index));
		else if (!gen->bye_sent && !conf->no_bye)
			publish_bye(p, gen);
	}
	return next_ns;
}

/* Send what of the capture is due; returns when more is. */
static uint64_t
replay_turn(struct participant *p, uint64_t now_ns)
{
	struct replay *r = p->client->replay;
	enum wzp_wrap wrap = r != NULL && r->is_raw ? WZP_RAW : WZP_RTP;
	uint8_t buf[REPLAY_DATAGRAM];

	if (r == NULL || r->start_ns == 0)
		return UINT64_MAX;
	for (unsigned int i = 0; i < CATCH_UP * CLIENT_BATCH && !replay_over(r); i++) {
		size_t len;

		if (replay_due_ns(r) > now_ns)
			return replay_due_ns(r);
		len = replay_build(r, buf);
		if (len != 0 && !participant_send(p, buf, len, wrap)) {
			p->blocked_ns = now_ns + PLM_NS_PER_MS;
			return p->blocked_ns;
		}
		replay_advance(r);
		p->client->nb_sending -= replay_over(r);
	}
	if (!replay_over(r))
		return replay_due_ns(r);
	if (!r->bye_sent && !p->client->conf->no_bye)
		replay_bye(p, r);
	return UINT64_MAX;
}

uint64_t
publish_turn(struct participant *p, uint64_t now_ns)
{
	uint64_t next_ns;

	if (now_ns < p->blocked_ns)
		return p->blocked_ns;
	next_ns = generate_turn(p, now_ns);
	return RTE_MIN(next_ns, replay_turn(p, now_ns));
}

int
replay_init(struct client *client)
{
	const struct client_conf *conf = client->conf;
	char why_buf[256];
	struct plm_text why;
	int ret;

	if (conf->replay_path == NULL && conf->media_path == NULL)
		return 0;
	plm_text_init(&why, why_buf, sizeof(why_buf));
	if (conf->media_path != NULL)
		ret = wzp_file_load(&client->replay, conf->media_path, &why);
	else
		ret = replay_load(&client->replay, conf->replay_path, conf->replay_port,
				conf->replay_loop, &why);
	if (ret < 0) {
		client_say(client, NULL, "%s %s: %s",
				conf->media_path != NULL ? "--replay" : "--pcap",
				conf->media_path != NULL ? conf->media_path : conf->replay_path,
				why.buf);
		return ret;
	}
	client->nb_sending++;
	return 0;
}

void
publish_report(struct participant *p, uint64_t now_ns)
{
	struct rx_report blocks[RTCP_BLOCKS_MAX];
	unsigned int nb_blocks = subscribe_blocks(p, now_ns, blocks);

	/* One compound for each SSRC that we send; the first carries what we received. */
	for (unsigned int g = 0; g < p->client->conf->nb_gens; g++) {
		const struct gen_stream *gen = &p->gens[g];
		uint8_t buf[CLIENT_RTCP_MAX];
		struct rtcp_sender sender;
		struct rtcp_out out;

		if (gen->index == 0 || gen_over(gen))
			continue;
		sender = (struct rtcp_sender){
			.ssrc = gen->ssrc,
			.ntp = rtcp_ntp(now_ns + p->client->wall_offset_ns),
			.timestamp = gen_timestamp(gen, gen->index),
			.packets = (uint32_t)gen->index,
			.bytes = (uint32_t)gen->bytes,
		};
		rtcp_begin(&out, buf, sizeof(buf));
		rtcp_add_sr(&out, &sender, blocks, nb_blocks);
		rtcp_add_sdes(&out, gen->ssrc, p->cname);
		if (!out.overflow && participant_send(p, buf, out.len, WZP_WHOLE))
			p->rtcp_sent++;
		nb_blocks = 0;
	}
	/* Nothing sent (yet, or any more): still a receiver. */
	if (nb_blocks != 0)
		subscribe_report(p, now_ns);
}

bool
publish_owns(const struct participant *p, uint32_t ssrc)
{
	const struct client *client = p->client;

	for (unsigned int i = 0; i < client->conf->nb_gens; i++)
		if (p->gens[i].ssrc == ssrc)
			return true;
	for (unsigned int i = 0; i < client->conf->nb_producers; i++)
		for (unsigned int s = 0; s < client->producers[i].nb_sources; s++)
			if (client->producers[i].sources[s].ssrc == ssrc)
				return true;
	if (client->replay == NULL || client->replay->is_raw)
		return false;
	for (unsigned int s = 0; s < client->replay->nb_sources; s++)
		if (client->replay->sources[s].ssrc == ssrc)
			return true;
	return false;
}

/* --- local programs ------------------------------------------------------------------------ */

static void
count_source(struct producer *producer, const uint8_t *buf, size_t len)
{
	struct plm_rtp rtp;
	unsigned int i;

	if (plm_rtp_parse(buf, len, &rtp) < 0) {
		producer->foreign++;
		return;
	}
	for (i = 0; i < producer->nb_sources && producer->sources[i].ssrc != rtp.ssrc; i++)
		;
	if (i == CLIENT_SOURCES_MAX) {
		producer->sources_full++;
		return;
	}
	if (i == producer->nb_sources) {
		producer->sources[i].ssrc = rtp.ssrc;
		producer->sources[i].payload_type = rtp.payload_type;
		producer->nb_sources++;
	}
	producer->sources[i].packets++;
	producer->sources[i].bytes += len;
}

/* Pass on what came in on a producer's RTP (0) or RTCP (1) port. */
static void
producer_read(struct producer *producer, unsigned int which)
{
	struct client *client = producer->client;
	struct participant *p = &client->participants[0];
	struct batch *rx = client->rx;
	struct batch *tx = client->tx;
	unsigned int n = 0;
	int got;

	for (unsigned int i = 0; i < CLIENT_BATCH; i++) {
		rx->iov[i] = (struct iovec){ rx->buf[i], sizeof(rx->buf[i]) };
		rx->msg[i].msg_hdr = (struct msghdr){ .msg_iov = &rx->iov[i],
			.msg_iovlen = 1,
			.msg_name = &rx->from[i],
			.msg_namelen = sizeof(rx->from[i]) };
	}
	got = recvmmsg(producer->fd[which], rx->msg, CLIENT_BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < got; i++) {
		const struct msghdr *hdr = &rx->msg[i].msg_hdr;
		size_t len = rx->msg[i].msg_len;
		enum plm_proto proto = PLM_PROTO_NONE;
		unsigned int from;

		if (len != 0 && (hdr->msg_flags & MSG_TRUNC) == 0)
			proto = plm_wire_classify(rx->buf[i], len);
		if (proto != PLM_PROTO_RTP && proto != PLM_PROTO_RTCP) {
			producer->foreign++;
			continue;
		}
		/* A program that multiplexes (RFC 5761) sends its RTCP to the RTP port. */
		from = proto == PLM_PROTO_RTCP;
		memcpy(&producer->from[from].sa, &rx->from[i], hdr->msg_namelen);
		producer->from[from].len = hdr->msg_namelen;
		producer->from_fd[from] = producer->fd[which];
		if (participant_state(p) != ICE_JOINED) {
			producer->early++;
			continue;
		}
		if (proto == PLM_PROTO_RTCP)
			producer->rtcp_in++;
		else
			count_source(producer, rx->buf[i], len);
		if (proto == PLM_PROTO_RTCP && client->conf->wzp)
			continue; /* WZP media knows none */
		tx->wrap[n] = WZP_RTP;
		tx->iov[n] = (struct iovec){ rx->buf[i], len };
		tx->msg[n].msg_hdr = (struct msghdr){ .msg_iov = &tx->iov[n], .msg_iovlen = 1 };
		n++;
	}
	if (n != 0)
		participant_send_batch(p, n);
}

static void
producer_rtp_ready(struct client *client, void *arg)
{
	producer_read(arg, 0);
}

static void
producer_rtcp_ready(struct client *client, void *arg)
{
	producer_read(arg, 1);
}

static int
producer_open(struct producer *producer, unsigned int which)
{
	struct client *client = producer->client;
	uint16_t port = (uint16_t)(producer->port + which);
	char why_buf[128];
	struct plm_text why;
	struct client_addr addr;
	int size = 4 << 20;
	int ret;
	int fd;

	plm_text_init(&why, why_buf, sizeof(why_buf));
	if (options_addr(client->conf->producer_bind, port, &addr, &why) < 0) {
		client_say(client, NULL, "--rtp-bind %s: %s", client->conf->producer_bind, why.buf);
		return -EINVAL;
	}
	fd = socket(addr.sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&addr.sa, addr.len) < 0 ||
			client_watch(client, fd, &producer->watch[which]) < 0) {
		ret = -errno;
		client_say(client, NULL, "--rtp %u: port %u: %s", producer->port, port,
				strerror(errno));
		close(fd);
		return ret;
	}
	producer->fd[which] = fd;
	return 0;
}

int
producers_init(struct client *client)
{
	for (unsigned int i = 0; i < client->conf->nb_producers; i++) {
		struct producer *producer = &client->producers[i];
		int ret;

		producer->client = client;
		producer->port = client->conf->producer_ports[i];
		producer->watch[0] = (struct watch){ producer_rtp_ready, producer };
		producer->watch[1] = (struct watch){ producer_rtcp_ready, producer };
		ret = producer_open(producer, 0);
		if (ret == 0)
			ret = producer_open(producer, 1);
		if (ret < 0)
			return ret;
	}
	return 0;
}

void
producers_fini(struct client *client)
{
	for (unsigned int i = 0; i < RTE_DIM(client->producers); i++)
		for (unsigned int which = 0; which < 2; which++)
			if (client->producers[i].fd[which] >= 0)
				close(client->producers[i].fd[which]);
}

/* Where a program hears RTCP: whence its own comes, or where its media does. */
static void
producer_hand(struct producer *producer, const uint8_t *buf, size_t len)
{
	unsigned int from = producer->from[1].len != 0 ? 1 : 0;
	const struct client_addr *to = &producer->from[from];

	if (to->len == 0)
		return;
	if (sendto(producer->from_fd[from], buf, len, MSG_DONTWAIT,
			    (const struct sockaddr *)&to->sa, to->len) >= 0)
		producer->rtcp_out++;
}

static bool
producer_has(const struct producer *producer, const struct plm_rtcp *rtcp)
{
	for (unsigned int s = 0; s < producer->nb_sources; s++)
		for (unsigned int t = 0; t < rtcp->nb_targets; t++)
			if (rtcp->targets[t] == producer->sources[s].ssrc)
				return true;
	return false;
}

void
producers_feedback(struct client *client, const uint8_t *buf, size_t len)
{
	struct plm_rtcp rtcp;
	bool clear = plm_rtcp_parse(buf, len, &rtcp) == 0;
	bool handed = false;

	for (unsigned int i = 0; i < client->conf->nb_producers && clear; i++) {
		if (!producer_has(&client->producers[i], &rtcp))
			continue;
		producer_hand(&client->producers[i], buf, len);
		handed = true;
	}
	/* Encrypted, or about somebody else's media: each judges for itself. */
	for (unsigned int i = 0; i < client->conf->nb_producers && !handed; i++)
		producer_hand(&client->producers[i], buf, len);
}
