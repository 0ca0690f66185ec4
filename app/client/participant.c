/* SPDX-License-Identifier: BSD-3-Clause */
/* One participant: its credential, its socket, and what is due for it. */
#include <errno.h>
#include <linux/sock_diag.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <rte_common.h>

#include "client.h"

#define SOCKET_BUFFER (4 << 20)
/* Datagrams taken from one socket before the others get their turn. */
#define RX_ROUNDS 4
/* Requests that one turn may send: one is due at a time, so this is never reached. */
#define POLL_ROUNDS 4

static int
read_secret(struct participant *p, struct plm_credential *cred)
{
	const struct client_conf *conf = p->client->conf;
	uint8_t key[PLM_SECRET_MAX];
	char why_buf[256];
	struct plm_text why;
	size_t len;
	int ret;

	plm_text_init(&why, why_buf, sizeof(why_buf));
	ret = plm_secret_read(conf->secret_path, key, &len, &why);
	if (ret < 0) {
		client_say(p->client, NULL, "--secret: %s", why.buf);
		return ret;
	}
	ret = plm_credential_mint(cred, key, len, p->ufrag, p->pwd);
	plm_crypto_erase(key, sizeof(key));
	if (ret < 0)
		client_say(p->client, NULL, "cannot mint for room %s, participant %s: %s",
				cred->room, cred->participant,
				ret == -ENAMETOOLONG ? "names too long" : strerror(-ret));
	return ret;
}

/* Of WZP's participants: the room is the server name, the participant's name our own. */
static int
make_name(struct participant *p)
{
	const struct client_conf *conf = p->client->conf;

	snprintf(p->room, sizeof(p->room), "%s", conf->room);
	if (conf->clones == 1)
		snprintf(p->name, sizeof(p->name), "%s", conf->participant);
	else if (snprintf(p->name, sizeof(p->name), "%s-%u", conf->participant, p->idx) >=
			(int)sizeof(p->name)) {
		client_say(p->client, NULL, "participant %s: name too long", conf->participant);
		return -ENAMETOOLONG;
	}
	return wzp_link_init(p);
}

static int
make_credential(struct participant *p)
{
	static const enum plm_role roles[] = {
		[VERB_PUBLISH] = PLM_ROLE_PUBLISH,
		[VERB_SUBSCRIBE] = PLM_ROLE_SUBSCRIBE,
		[VERB_BOTH] = PLM_ROLE_BOTH,
	};
	const struct client_conf *conf = p->client->conf;
	struct plm_credential cred = { 0 };
	int len;

	if (conf->secret_path == NULL) {
		snprintf(p->ufrag, sizeof(p->ufrag), "%s", conf->ufrag);
		snprintf(p->pwd, sizeof(p->pwd), "%s", conf->pwd);
		/* Somebody else's user name may say nothing to us; the relay decides. */
		if (plm_credential_parse(p->ufrag, strlen(p->ufrag), &cred) < 0) {
			snprintf(cred.room, sizeof(cred.room), "?");
			snprintf(cred.participant, sizeof(cred.participant), "?");
		}
		memcpy(p->room, cred.room, sizeof(cred.room));
		memcpy(p->name, cred.participant, sizeof(p->name));
		return 0;
	}
	cred.expiry_s = (uint64_t)time(NULL) + conf->ttl_s;
	cred.role = roles[conf->verb];
	if (conf->clones > 1)
		len = snprintf(cred.participant, sizeof(cred.participant), "%s-%u",
				conf->participant, p->idx);
	else
		len = snprintf(cred.participant, sizeof(cred.participant), "%s", conf->participant);
	if (len < 0 || (size_t)len >= sizeof(cred.participant)) {
		client_say(p->client, NULL, "participant %s: name too long", conf->participant);
		return -ENAMETOOLONG;
	}
	snprintf(cred.room, sizeof(cred.room), "%s", conf->room);
	memcpy(p->room, cred.room, sizeof(cred.room));
	memcpy(p->name, cred.participant, sizeof(p->name));
	return read_secret(p, &cred);
}

static void participant_ready(struct client *client, void *arg);

/* A socket connected to the relay: the kernel then drops what comes from anywhere else. */
static int
open_socket(struct participant *p, bool rebind)
{
	const struct client_conf *conf = p->client->conf;
	struct client_addr bind_to = conf->bind;
	bool v6 = conf->relay.sa.ss_family == AF_INET6;
	int size = SOCKET_BUFFER;
	int on = 1;
	int discover = v6 ? IPV6_PMTUDISC_DO : IP_PMTUDISC_DO;
	struct client_addr local = { .len = sizeof(local.sa) };
	int ret;
	int fd;

	fd = socket(conf->relay.sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Beyond net.core.?mem_max for those who may; otherwise what is allowed. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	/* A relay drops fragments: say that a packet is too large instead of splitting it. */
	if (v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &discover, sizeof(discover));
	else
		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof(discover));
	if (conf->wzp) /* with each packet its ECN bits, see ecn_of() */
		setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVTCLASS : IP_RECVTOS,
				&on, sizeof(on));
	if (rebind)
		((struct sockaddr_in *)&bind_to.sa)->sin_port = 0;
	if ((bind_to.len != 0 && bind(fd, (struct sockaddr *)&bind_to.sa, bind_to.len) < 0) ||
			connect(fd, (const struct sockaddr *)&conf->relay.sa, conf->relay.len) <
					0 ||
			getsockname(fd, (struct sockaddr *)&local.sa, &local.len) < 0) {
		ret = -errno;
		goto fail;
	}
	ret = client_watch(p->client, fd, &p->watch);
	if (ret < 0)
		goto fail;
	p->fd = fd;
	p->local = local;
	return 0;

fail:
	close(fd);
	return ret;
}

static uint64_t
random_u64(void)
{
	uint64_t v;

	plm_crypto_random(NULL, &v, sizeof(v));
	return v;
}

static void
init_streams(struct participant *p)
{
	const struct client_conf *conf = p->client->conf;

	for (unsigned int i = 0; i < conf->nb_gens; i++) {
		struct gen_stream *gen = &p->gens[i];

		gen->conf = conf->gens[i];
		gen->ssrc = gen->conf.has_ssrc ? gen->conf.ssrc + p->idx : (uint32_t)random_u64();
		gen->first_seq = (uint16_t)random_u64();
		gen->first_timestamp = (uint32_t)random_u64();
	}
	p->ssrc = conf->nb_gens != 0 ? p->gens[0].ssrc : (uint32_t)random_u64();
	p->client->nb_sending += conf->nb_gens;
}

int
participant_init(struct participant *p, struct client *client, unsigned int idx)
{
	const struct client_conf *conf = client->conf;
	struct ice_conf ice;
	char addr[80];
	int ret;

	p->client = client;
	p->idx = idx;
	p->watch = (struct watch){ .ready = participant_ready, .arg = p };
	ret = conf->wzp ? make_name(p) : make_credential(p);
	if (ret < 0)
		return ret;
	snprintf(p->cname, sizeof(p->cname), "%s@plenum", p->name);
	init_streams(p);
	ret = open_socket(p, false);
	if (ret < 0) {
		client_say(client, p, "socket towards %s: %s",
				report_addr(&conf->relay, addr, sizeof(addr)), strerror(-ret));
		return ret;
	}
	ice = (struct ice_conf){
		.ufrag = p->ufrag,
		.pwd = p->pwd,
		.controlling = !conf->controlled,
		.consent = !conf->no_consent,
		.nomination = conf->nomination,
		.rand = { .fill = plm_crypto_random },
		.hmac = client->hmac,
	};
	ice_init(&p->ice, &ice);
	p->start_ns = client->begin_ns + idx * PLM_NS_PER_S / conf->join_rate;
	return 0;
}

void
participant_fini(struct participant *p)
{
	if (p->fd >= 0)
		close(p->fd);
	quic_link_end(p);
	wzp_link_fini(p);
	rx_table_fini(&p->rx);
	plm_crypto_erase(p->pwd, sizeof(p->pwd));
}

static uint64_t
socket_drops(int fd)
{
	uint32_t meminfo[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(meminfo);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_MEMINFO, meminfo, &len) < 0)
		return 0;
	return meminfo[SK_MEMINFO_DROPS];
}

uint64_t
participant_drops(const struct participant *p)
{
	return p->drops_before + socket_drops(p->fd);
}

unsigned int
participant_send_packets(struct participant *p, struct mmsghdr *msg, unsigned int n)
{
	unsigned int done = 0;
	bool again = false;

	while (done < n) {
		int ret = sendmmsg(p->fd, msg + done, n - done, MSG_DONTWAIT);

		if (ret > 0) {
			done += (unsigned int)ret;
			again = false;
		} else if (errno == EAGAIN || errno == ENOBUFS) {
			p->send_blocked++;
			break;
		} else if (errno == EINTR) {
			continue;
		} else if (errno == ECONNREFUSED && !again) {
			/* What the network said of an earlier datagram; this one was not tried. */
			p->net_errors++;
			again = true;
		} else {
			p->net_errors++;
			done++;
			again = false;
		}
	}
	return done;
}

unsigned int
participant_send_batch(struct participant *p, unsigned int n)
{
	if (!p->client->conf->wzp)
		return participant_send_packets(p, p->client->tx->msg, n);
	quic_link_send_batch(p, n);
	return n;
}

bool
participant_send(struct participant *p, const void *buf, size_t len, enum wzp_wrap wrap)
{
	struct batch *tx = p->client->tx;

	tx->iov[0] = (struct iovec){ .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
	tx->msg[0].msg_hdr = (struct msghdr){ .msg_iov = &tx->iov[0], .msg_iovlen = 1 };
	tx->wrap[0] = wrap;
	return participant_send_batch(p, 1) == 1;
}

void
participant_media(struct participant *p, const uint8_t *buf, size_t len, uint64_t now_ns)
{
	switch (len != 0 ? plm_wire_classify(buf, len) : PLM_PROTO_NONE) {
	case PLM_PROTO_RTP:
		subscribe_rtp(p, buf, len, now_ns);
		break;
	case PLM_PROTO_RTCP:
		subscribe_rtcp(p, buf, len, now_ns);
		break;
	default:
		p->foreign++;
		break;
	}
}

/* How the network marked a packet (RFC 3168): the kernel tells IPv4's octet as one byte. */
static uint8_t
ecn_of(struct msghdr *hdr)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c != NULL; c = CMSG_NXTHDR(hdr, c)) {
		int tclass;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
			return *CMSG_DATA(c) & 3;
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
			memcpy(&tclass, CMSG_DATA(c), sizeof(tclass));
			return (uint8_t)(tclass & 3);
		}
	}
	return 0;
}

static void
input(struct participant *p, uint8_t *buf, size_t len, struct msghdr *hdr, uint64_t now_ns)
{
	if (p->client->conf->wzp) {
		quic_link_input(p, ecn_of(hdr), buf, len, now_ns);
	} else if (len != 0 && plm_wire_classify(buf, len) == PLM_PROTO_STUN) {
		ice_input(&p->ice, now_ns, buf, len);
		client_touch(p->client, p);
	} else {
		participant_media(p, buf, len, now_ns);
	}
}

enum ice_state
participant_state(const struct participant *p)
{
	return p->client->conf->wzp ? p->quic.state : p->ice.state;
}

static void
receive(struct participant *p, unsigned int rounds)
{
	struct batch *rx = p->client->rx;
	int n;

	do {
		int fd = p->fd;
		uint64_t now_ns;

		for (unsigned int i = 0; i < CLIENT_BATCH; i++) {
			rx->iov[i] = (struct iovec){ rx->buf[i], sizeof(rx->buf[i]) };
			rx->msg[i].msg_hdr = (struct msghdr){ .msg_iov = &rx->iov[i],
				.msg_iovlen = 1,
				.msg_control = rx->control[i],
				.msg_controllen = sizeof(rx->control[i]) };
		}
		n = recvmmsg(fd, rx->msg, CLIENT_BATCH, MSG_DONTWAIT, NULL);
		if (n < 0) {
			/* An ICMP error is reported here; the relay may come back. */
			if (errno != EAGAIN && errno != EINTR)
				p->net_errors++;
			return;
		}
		now_ns = client_now();
		for (int i = 0; i < n; i++) {
			if ((rx->msg[i].msg_hdr.msg_flags & MSG_TRUNC) != 0)
				p->truncated++;
			else
				input(p, rx->buf[i], rx->msg[i].msg_len, &rx->msg[i].msg_hdr,
						now_ns);
		}
		if (p->client->conf->wzp && n != 0)
			client_touch(p->client, p);
	} while (n == CLIENT_BATCH && --rounds != 0);
}

static void
participant_ready(struct client *client, void *arg)
{
	receive(arg, RX_ROUNDS);
}

/* Go on from a new local port. */
static void
rebind(struct participant *p, uint64_t now_ns)
{
	int old = p->fd;
	char addr[80];
	int ret;

	ret = open_socket(p, true);
	if (ret < 0) {
		client_say(p->client, p, "rebinding: %s", strerror(-ret));
		return;
	}
	p->drops_before += socket_drops(old);
	/* Closing takes it out of the epoll set. */
	close(old);
	client_say(p->client, p, "rebound to %s", report_addr(&p->local, addr, sizeof(addr)));
	if (!p->client->conf->rebind_nominate)
		return;
	if (p->client->conf->wzp)
		quic_link_migrate(p);
	else
		ice_renominate(&p->ice, now_ns);
}

static void
joined(struct participant *p, uint64_t now_ns)
{
	const struct client_conf *conf = p->client->conf;

	p->joined_ns = now_ns;
	if (conf->rebind_ns != 0)
		p->rebind_ns = now_ns + conf->rebind_ns;
	/* Half an interval at first (RFC 3550 §6.2), spread so that clones do not fall in step. */
	if (conf->rtcp)
		p->rtcp_ns = now_ns + random_u64() % (CLIENT_REPORT_NS / 2);
	if (conf->pli_ns != 0)
		p->pli_ns = now_ns + conf->pli_ns;
	p->client->nb_joined++;
}

static void
over(struct participant *p, enum client_exit result)
{
	struct client *client = p->client;
	const struct ice_agent *ice = &p->ice;
	char why_buf[200];
	struct plm_text why;
	char addr[80];

	/* What a Hangup leads to is no accident. */
	if (p->wzp.is_hung_up) {
		client->nb_over++;
		return;
	}
	plm_text_init(&why, why_buf, sizeof(why_buf));
	switch (participant_state(p)) {
	case ICE_REFUSED:
		if (client->conf->wzp) {
			quic_link_why(p, &why);
			client_say(client, p, "%s", why.buf);
			break;
		}
		client_say(client, p, "%s: %u %s",
				p->joined_ns != 0 ? "ended by the relay" : "refused",
				ice->error_code, ice_error_text(ice->error_code));
		break;
	case ICE_LOST:
		client_say(client, p, "%s lost: no answer for 30 s",
				client->conf->wzp ? "connection" : "consent");
		break;
	default:
		client_say(client, p, "no %s from %s",
				p->wzp.stage == WZP_UNANSWERED ? "CallAnswer" : "answer",
				report_addr(&client->conf->relay, addr, sizeof(addr)));
		break;
	}
	publish_abandon(p);
	client->nb_over++;
	if (client->result == CLIENT_OK)
		client->result = result;
}

static void
act_on_state(struct participant *p, uint64_t now_ns)
{
	if (p->told == participant_state(p))
		return;
	p->told = participant_state(p);
	switch (p->told) {
	case ICE_JOINED:
		joined(p, now_ns);
		break;
	case ICE_REFUSED:
		over(p, CLIENT_REFUSED);
		break;
	case ICE_LOST:
		over(p, CLIENT_LOST);
		break;
	case ICE_NO_ANSWER:
		over(p, CLIENT_NO_ANSWER);
		break;
	default:
		break;
	}
}

/* Reports, requests for pictures, rebinding. */
static uint64_t
joined_turn(struct participant *p, uint64_t now_ns)
{
	const struct client_conf *conf = p->client->conf;
	uint64_t next_ns = UINT64_MAX;

	if (p->rebind_ns != 0 && now_ns >= p->rebind_ns) {
		p->rebind_ns = 0;
		rebind(p, now_ns);
	}
	if (p->rtcp_ns != 0 && now_ns >= p->rtcp_ns) {
		/* 0.5 to 1.5 times the interval (RFC 3550 §6.3.1). */
		p->rtcp_ns = now_ns + CLIENT_REPORT_NS / 2 + random_u64() % CLIENT_REPORT_NS;
		if (conf->nb_gens != 0)
			publish_report(p, now_ns);
		else
			subscribe_report(p, now_ns);
	}
	if (p->pli_ns != 0 && now_ns >= p->pli_ns) {
		p->pli_ns = now_ns + conf->pli_ns;
		subscribe_pli(p);
	}
	if (p->rebind_ns != 0)
		next_ns = RTE_MIN(next_ns, p->rebind_ns);
	if (p->rtcp_ns != 0)
		next_ns = RTE_MIN(next_ns, p->rtcp_ns);
	if (p->pli_ns != 0)
		next_ns = RTE_MIN(next_ns, p->pli_ns);
	return next_ns;
}

static uint64_t
ice_turn(struct participant *p, uint64_t now_ns)
{
	uint8_t buf[512];

	for (unsigned int i = 0; i < POLL_ROUNDS; i++) {
		size_t len = ice_poll(&p->ice, now_ns, buf, sizeof(buf));

		if (len == 0)
			break;
		participant_send(p, buf, len, WZP_RAW);
	}
	return ice_deadline(&p->ice);
}

uint64_t
participant_turn(struct participant *p, uint64_t now_ns)
{
	bool wzp = p->client->conf->wzp;
	uint64_t next_ns = UINT64_MAX;
	uint64_t transport_ns;

	if (participant_state(p) == ICE_NEW) {
		if (now_ns < p->start_ns)
			return p->start_ns;
		if (wzp)
			quic_link_start(p, now_ns);
		else
			ice_start(&p->ice, now_ns);
	}
	if (participant_state(p) == ICE_JOINED && p->told == ICE_JOINED) {
		next_ns = joined_turn(p, now_ns);
		next_ns = RTE_MIN(next_ns, publish_turn(p, now_ns));
	}
	transport_ns = wzp ? quic_link_turn(p) : ice_turn(p, now_ns);
	act_on_state(p, now_ns);
	if (ice_state_over(participant_state(p)))
		return UINT64_MAX;
	return RTE_MIN(next_ns, transport_ns);
}

void
participant_leave(struct participant *p)
{
	/* What the socket still holds was delivered. */
	if (p->fd >= 0)
		receive(p, RX_ROUNDS);
	if (participant_state(p) == ICE_JOINED && !p->client->conf->no_bye)
		publish_leave(p);
	if (p->client->conf->wzp) {
		subscribe_leave(p);
		quic_link_leave(p);
	}
}
