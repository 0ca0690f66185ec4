/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls beside a flood of garbage, over an in-process port: a worker polls on one core; the other
 * core is the world (participants, garbage, a gateway's ARP) and the slow path in turns.
 *
 *   search   the highest rate of garbage at which nothing is lost on the way into the relay
 *   paced    80 % of it beside the calls: no packet of theirs lost, consents answered, newcomers
 *            in within a second
 *   flat out as much garbage as goes: losses are counted ones
 *   after    a second later everything is as before, and at the end every mempool is full
 *
 * These machines are shared. A second of which the kernel took the core away from either thread,
 * for longer than the port's ring lasts, says nothing, and is repeated a bounded number of times.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "garbage_frame.h"
#include "plm_crypto.h"
#include "plm_ctl.h"
#include "plm_wire.h"

#define UDP_PORT   3478
#define RING_IN    16384
#define RING_OUT   16384
#define NB_MBUFS   (3 * RING_IN)
#define NB_GARBAGE 8192
#define BURST      32
#define TTL        "4102444800" /* a credential for the whole test */

#define ROOMS     4
#define MEMBERS   4 /* of a room; the first publishes */
#define CALLERS   (ROOMS * MEMBERS)
#define NEWCOMERS 64                   /* in turn, one every half a second */
#define PACKET_NS (PLM_NS_PER_S / 500) /* of one publisher */
#define PACKET    200
#define CHECK_NS  (2 * PLM_NS_PER_S) /* between consent checks */
#define RTO_NS    (PLM_NS_PER_S / 4) /* before a check is repeated */
#define WINDOW    4096

#define REPEATS_MAX 30

struct peer {
	char ufrag[PLM_UFRAG_MAX + 1];
	char pwd[PLM_PWD_LEN + 1];
	uint16_t port;
	bool joined;
	bool asking;
	uint64_t asked_ns; /* first attempt of the check under way */
	uint64_t sent_ns;  /* its last attempt */
	uint64_t due_ns;   /* next check */
	uint8_t tid[PLM_STUN_TID];
};

struct room {
	uint32_t sent;         /* packets of its publisher */
	uint32_t got[MEMBERS]; /* of them, at each member */
	uint64_t seen[MEMBERS][WINDOW / 64];
	uint32_t twice;
	uint64_t due_ns;
};

/* What happened since it was last cleared. */
struct tally {
	uint64_t garbage;      /* taken by the port's ring */
	uint64_t garbage_lost; /* not */
	uint64_t call_lost;    /* packets and checks of the calls that the ring did not take */
	uint64_t worst_check_ns;
	uint64_t worst_join_ns;
	unsigned int nb_checks;
	unsigned int nb_joins;
};

static struct {
	struct plm_ctl *ctl;
	struct plm_lcore lcore;
	struct plm_port port;
	struct rte_ring *in;
	struct rte_ring *out;
	struct rte_mempool *rx_pool;
	struct rte_mempool *hdr_pool;
	struct rte_mempool *frame_pool;
	struct plm_hmac *hmac;
	struct plm_secrets secrets;
	struct peer caller[CALLERS];
	struct peer newcomer[NEWCOMERS];
	unsigned int next_newcomer;
	uint64_t newcomer_due_ns;
	struct room room[ROOMS];
	struct tally tally;
	uint64_t rnd;
	uint16_t garbage_len[NB_GARBAGE];
	uint8_t garbage[NB_GARBAGE][GARBAGE_FRAME_MAX + 8];
	uint32_t garbage_pos;
	double tsc_ns;
	pid_t worker_tid;
} w;

static const uint8_t relay_ip[4] = { 198, 18, 0, 1 };
static const uint8_t peer_ip[4] = { 198, 19, 255, 2 };
static const uint8_t peer_mac[6] = { 2, 0, 0, 0, 0, 2 };

static void
die(const char *what)
{
	fprintf(stderr, "flood: %s\n", what);
	exit(1);
}

static uint64_t
now_ns(void *ctx)
{
	return 1 + (uint64_t)((double)rte_rdtsc() * w.tsc_ns);
}

static uint64_t
random64(void)
{
	w.rnd ^= w.rnd << 13;
	w.rnd ^= w.rnd >> 7;
	w.rnd ^= w.rnd << 17;
	return w.rnd;
}

/* --- frames ------------------------------------------------------------------------------- */

static bool
inject(const void *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w.rx_pool);

	if (m == NULL)
		return false;
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	if (rte_ring_sp_enqueue(w.in, m) == 0)
		return true;
	rte_pktmbuf_free(m);
	return false;
}

/* Put headers before `len` bytes of payload at frame + 42. */
static size_t
udp_frame(uint8_t *frame, const uint8_t src[4], uint16_t port, size_t len)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)frame;
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	memcpy(&eth->dst_addr, &w.port.mac, 6);
	memcpy(&eth->src_addr, peer_mac, 6);
	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	*ip = (struct rte_ipv4_hdr){ .version_ihl = 0x45, .time_to_live = 64, .next_proto_id = 17 };
	ip->total_length = rte_cpu_to_be_16((uint16_t)(28 + len));
	memcpy(&ip->src_addr, src, 4);
	memcpy(&ip->dst_addr, relay_ip, 4);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	udp->src_port = rte_cpu_to_be_16(port);
	udp->dst_port = rte_cpu_to_be_16(UDP_PORT);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(8 + len));
	udp->dgram_cksum = 0;
	udp->dgram_cksum = rte_ipv4_udptcp_cksum(ip, udp);
	return 42 + len;
}

static size_t
stun_request(const struct peer *p, bool forged, uint8_t *buf, size_t size)
{
	char user[PLM_UFRAG_MAX + 8];
	struct plm_stun_out out;
	uint8_t mac[PLM_SHA1_SIZE];
	int n = snprintf(user, sizeof(user), "%s:peer", p->ufrag);

	plm_stun_begin(&out, buf, size, PLM_STUN_REQUEST, PLM_STUN_BINDING, p->tid);
	plm_stun_add_bytes(&out, PLM_STUN_ATTR_USERNAME, user, (size_t)n);
	plm_stun_add_u32(&out, PLM_STUN_ATTR_PRIORITY, 0x6e7f00ff);
	plm_stun_add_u64(&out, PLM_STUN_ATTR_CONTROLLING, 42);
	plm_stun_add_bytes(&out, PLM_STUN_ATTR_USE_CANDIDATE, NULL, 0);
	plm_stun_prepare_integrity(&out);
	if (plm_hmac_sha1(w.hmac, p->pwd, PLM_PWD_LEN, buf, out.len, NULL, 0, mac) < 0)
		die("HMAC failed");
	mac[0] ^= forged;
	plm_stun_add_integrity(&out, mac);
	return plm_stun_finish(&out);
}

static void
ask(struct peer *p, uint64_t now, bool again)
{
	uint8_t frame[512];
	size_t len;

	if (!again) {
		plm_crypto_random(NULL, p->tid, sizeof(p->tid));
		p->asked_ns = now;
		p->asking = true;
	}
	p->sent_ns = now;
	len = stun_request(p, false, frame + 42, sizeof(frame) - 42);
	if (!inject(frame, udp_frame(frame, peer_ip, p->port, len)))
		w.tally.call_lost++;
}

static void
make_peer(struct peer *p, const char *room, unsigned int nr, enum plm_role role, uint16_t port)
{
	struct plm_credential cred = { .expiry_s = strtoull(TTL, NULL, 10), .role = role };

	snprintf(cred.room, sizeof(cred.room), "%s", room);
	snprintf(cred.participant, sizeof(cred.participant), "p%u", nr);
	*p = (struct peer){ .port = port };
	if (plm_credential_mint(&cred, w.secrets.s[0].key, w.secrets.s[0].len, p->ufrag, p->pwd) <
			0)
		die("cannot mint");
}

/* A sixteenth of the garbage is STUN that passes the worker's filter: well-formed, with a right
 * fingerprint, an unexpired name and a wrong signature, from everywhere. */
static void
make_garbage(void)
{
	struct garbage_target to = { .port = UDP_PORT };
	struct peer forger;
	uint64_t seed = 4711;

	memcpy(to.mac, &w.port.mac, 6);
	memcpy(&to.ip4, relay_ip, 4);
	inet_pton(AF_INET6, "fd00::1", &to.ip6);
	make_peer(&forger, "call0", 0, PLM_ROLE_BOTH, 0);
	for (unsigned int i = 0; i < NB_GARBAGE; i++) {
		if (i % 16 == 0) {
			uint8_t src[4] = { 198, 18, (uint8_t)random64(), (uint8_t)random64() };
			uint8_t *frame = w.garbage[i];
			size_t len;

			plm_crypto_random(NULL, forger.tid, sizeof(forger.tid));
			len = stun_request(&forger, true, frame + 42, 512);
			w.garbage_len[i] =
					(uint16_t)udp_frame(frame, src, (uint16_t)random64(), len);
		} else {
			w.garbage_len[i] = (uint16_t)garbage_frame(&seed, &to, w.garbage[i]);
		}
	}
}

static void
pour_garbage(unsigned int n)
{
	struct rte_mbuf *m[BURST];
	unsigned int taken;

	n = RTE_MIN(n, (unsigned int)BURST);
	if (rte_pktmbuf_alloc_bulk(w.rx_pool, m, n) < 0) {
		w.tally.garbage_lost += n; /* all on their way: the same as a full ring */
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		uint32_t at = w.garbage_pos++ % NB_GARBAGE;
		uint16_t len = RTE_MAX(w.garbage_len[at], (uint16_t)1);

		memcpy(rte_pktmbuf_append(m[i], len), w.garbage[at], len);
	}
	taken = rte_ring_sp_enqueue_burst(w.in, (void **)m, n, NULL);
	rte_pktmbuf_free_bulk(&m[taken], n - taken);
	w.tally.garbage += taken;
	w.tally.garbage_lost += n - taken;
}

/* --- the other side of the wire ----------------------------------------------------------- */

static struct peer *
peer_by_port(uint16_t port)
{
	if (port >= 10000 && port < 10000 + CALLERS)
		return &w.caller[port - 10000];
	if (port >= 20000 && port < 20000 + NEWCOMERS)
		return &w.newcomer[port - 20000];
	return NULL;
}

static void
answered(struct peer *p, uint64_t now)
{
	uint64_t took = now - p->asked_ns;

	p->asking = false;
	p->due_ns = now + CHECK_NS;
	if (!p->joined) {
		p->joined = true;
		w.tally.nb_joins++;
		w.tally.worst_join_ns = RTE_MAX(w.tally.worst_join_ns, took);
	} else {
		w.tally.nb_checks++;
		w.tally.worst_check_ns = RTE_MAX(w.tally.worst_check_ns, took);
	}
}

static void
heard(const struct peer *p, const uint8_t *rtp, size_t len)
{
	unsigned int nr = (unsigned int)(p - w.caller);
	struct room *room = &w.room[nr / MEMBERS];
	unsigned int member = nr % MEMBERS;
	uint64_t *word;
	uint32_t seq;

	if (nr >= CALLERS || len != PACKET)
		die("a packet where none is due");
	memcpy(&seq, rtp + PLM_RTP_HDR, sizeof(seq));
	if (member == 0 || rtp[11] != nr / MEMBERS || seq >= room->sent)
		die("a packet at the wrong participant");
	word = &room->seen[member][seq % WINDOW / 64];
	if (*word & UINT64_C(1) << seq % 64)
		room->twice++;
	*word |= UINT64_C(1) << seq % 64;
	room->got[member]++;
}

static void
arp_reply(const uint8_t *frame, size_t len)
{
	struct plm_arp arp;
	uint8_t out[64];
	int n;

	if (plm_arp_parse(frame + 14, len - 14, &arp) < 0 || !arp.is_request ||
			memcmp(arp.target_ip, peer_ip, 4) != 0)
		return;
	memcpy(arp.target_mac, arp.sender_mac, 6);
	memcpy(arp.target_ip, arp.sender_ip, 4);
	memcpy(arp.sender_mac, peer_mac, 6);
	memcpy(arp.sender_ip, peer_ip, 4);
	arp.is_request = false;
	n = plm_arp_build(out, sizeof(out), arp.target_mac, &arp);
	if (n < 0 || !inject(out, (size_t)n))
		w.tally.call_lost++;
}

static void
receive(struct rte_mbuf *m, uint64_t now)
{
	uint8_t frame[2048];
	const uint8_t *payload = frame + 42;
	size_t len = m->pkt_len;
	struct plm_stun msg;
	struct peer *p;

	if (len < 42 || len > sizeof(frame))
		return;
	memcpy(frame, rte_pktmbuf_read(m, 0, (uint32_t)len, frame), len);
	if (frame[12] == 8 && frame[13] == 6) {
		arp_reply(frame, len);
		return;
	}
	/* Answers to forged sources leave as well; only what is for a participant is looked at. */
	if (frame[12] != 8 || frame[13] != 0 || memcmp(frame + 30, peer_ip, 4) != 0)
		return;
	p = peer_by_port((uint16_t)(frame[36] << 8 | frame[37]));
	len -= 42;
	if (p == NULL || len == 0)
		return;
	if (plm_wire_classify(payload, len) == PLM_PROTO_RTP) {
		heard(p, payload, len);
	} else if (plm_stun_parse(payload, len, &msg) == 0 && p->asking &&
			memcmp(msg.tid, p->tid, PLM_STUN_TID) == 0) {
		if (msg.class != PLM_STUN_SUCCESS)
			die("a participant was refused");
		answered(p, now);
	}
}

/* --- the world's turn --------------------------------------------------------------------- */

static void
publish(struct room *room, unsigned int nr, uint64_t now)
{
	uint8_t frame[42 + PACKET] = { 0 };
	uint8_t *rtp = frame + 42;

	rtp[0] = 0x80;
	rtp[1] = 96;
	rtp[2] = (uint8_t)(room->sent >> 8);
	rtp[3] = (uint8_t)room->sent;
	rtp[11] = (uint8_t)nr;
	memcpy(rtp + PLM_RTP_HDR, &room->sent, sizeof(room->sent));
	for (unsigned int m = 0; m < MEMBERS; m++)
		if (room->sent % 64 == 0)
			room->seen[m][(room->sent + WINDOW / 2) % WINDOW / 64] = 0;
	if (inject(frame, udp_frame(frame, peer_ip, w.caller[nr * MEMBERS].port, PACKET)))
		room->sent++;
	else
		w.tally.call_lost++;
	room->due_ns += PACKET_NS;
	if (room->due_ns + PLM_NS_PER_S < now)
		room->due_ns = now;
}

static void
keep_in(struct peer *p, uint64_t now)
{
	if (p->asking ? now >= p->sent_ns + RTO_NS : now >= p->due_ns)
		ask(p, now, p->asking);
}

static void
call_on(uint64_t now, bool media, bool newcomers)
{
	for (unsigned int i = 0; i < CALLERS; i++)
		keep_in(&w.caller[i], now);
	for (unsigned int i = 0; media && i < ROOMS; i++)
		while (now >= w.room[i].due_ns)
			publish(&w.room[i], i, now);
	if (newcomers && now >= w.newcomer_due_ns) {
		struct peer *p = &w.newcomer[w.next_newcomer++ % NEWCOMERS];

		/* Long gone by now, or not asked yet. */
		p->joined = false;
		ask(p, now, false);
		w.newcomer_due_ns = now + PLM_NS_PER_S / 2;
	}
	for (unsigned int i = 0; i < NEWCOMERS; i++)
		if (w.newcomer[i].asking && now >= w.newcomer[i].sent_ns + RTO_NS)
			ask(&w.newcomer[i], now, true);
}

static void
world_turn(uint64_t now, bool calls, bool media, bool newcomers)
{
	struct rte_mbuf *m[BURST];
	unsigned int n;

	do {
		n = rte_ring_sc_dequeue_burst(w.out, (void **)m, BURST, NULL);
		for (unsigned int i = 0; i < n; i++) {
			receive(m[i], now);
			rte_pktmbuf_free(m[i]);
		}
	} while (n == BURST);
	if (calls)
		call_on(now, media, newcomers);
	plm_ctl_turn(w.ctl, now, (uint64_t)time(NULL));
}

/* `rate` in frames a second; UINT64_MAX is flat out. */
static void
run(uint64_t ns, uint64_t rate, bool calls, bool media, bool newcomers)
{
	uint64_t begin = now_ns(NULL);
	uint64_t poured = 0;
	uint64_t now = begin;
	uint64_t turn_ns = 0;

	while (now - begin < ns) {
		uint64_t due = poured + BURST;

		if (rate != UINT64_MAX)
			due = (uint64_t)((double)(now - begin) * (double)rate / 1e9);
		if (due > poured) {
			unsigned int n = (unsigned int)RTE_MIN(due - poured, (uint64_t)BURST);

			pour_garbage(n);
			poured += n;
		}
		/* Often enough for calls and slow path, and not between any two bursts. */
		if (now - turn_ns >= 5 * PLM_NS_PER_US) {
			world_turn(now, calls, media, newcomers);
			turn_ns = now;
		}
		now = now_ns(NULL);
	}
}

static uint64_t
relay_losses(void)
{
	static const enum plm_counter lost[] = { PLM_CNT_RX_CTL_RING_KNOWN,
		PLM_CNT_RX_CTL_RING_UNKNOWN, PLM_CNT_RX_CROSS_RING, PLM_CNT_COPY_NO_MBUF,
		PLM_CNT_COPY_PARK_FULL };
	const struct plm_counters *c = plm_relay_counters(plm_ctl_relay(w.ctl), 0);
	uint64_t n = 0;

	for (unsigned int i = 0; i < RTE_DIM(lost); i++)
		n += plm_counter_get(c, lost[i]);
	return n;
}

static uint64_t
call_losses(void)
{
	uint64_t n = w.tally.call_lost;

	for (unsigned int r = 0; r < ROOMS; r++) {
		for (unsigned int m = 1; m < MEMBERS; m++)
			n += w.room[r].sent - w.room[r].got[m];
		n += w.room[r].twice;
	}
	return n;
}

/* Context switches that neither thread asked for, and time stolen by the hypervisor. */
static uint64_t
disturbances(void)
{
	const pid_t tids[] = { (pid_t)syscall(SYS_gettid), w.worker_tid };
	uint64_t n = 0;
	char path[64];
	char line[256];
	FILE *f;

	for (unsigned int i = 0; i < RTE_DIM(tids); i++) {
		snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)tids[i]);
		f = fopen(path, "r");
		while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
			unsigned long long switches;

			if (sscanf(line, "nonvoluntary_ctxt_switches: %llu", &switches) == 1)
				n += switches;
		}
		if (f != NULL)
			fclose(f);
	}
	f = fopen("/proc/stat", "r");
	if (f != NULL) {
		unsigned long long steal;

		if (fscanf(f, "cpu %*u %*u %*u %*u %*u %*u %*u %llu", &steal) == 1)
			n += steal;
		fclose(f);
	}
	return n;
}

static void
settle(bool calls)
{
	run(20 * PLM_NS_PER_MS, 0, calls, false, false);
}

/* Does the relay take garbage at this rate for so long, and lose nothing of it? A second in which it
 * does not although nobody disturbed it decides. */
static bool
lossless(uint64_t rate, uint64_t ns, unsigned int *repeats)
{
	for (uint64_t done = 0; done < ns;) {
		uint64_t slice = RTE_MIN(ns - done, PLM_NS_PER_S);
		uint64_t noise = disturbances();
		uint64_t lost = relay_losses();

		w.tally = (struct tally){ 0 };
		run(slice, rate, true, false, false);
		if (w.tally.garbage_lost + w.tally.call_lost + relay_losses() - lost == 0) {
			done += slice;
			continue;
		}
		settle(true);
		if (disturbances() == noise || (*repeats)++ >= REPEATS_MAX)
			return false;
	}
	return true;
}

static uint64_t
search(uint64_t trial_ns, uint64_t confirm_ns)
{
	unsigned int repeats = 0;
	uint64_t low = 10000;
	uint64_t high;

	w.tally = (struct tally){ 0 };
	run(PLM_NS_PER_S / 2, UINT64_MAX, true, false, false);
	high = 2 * (w.tally.garbage + w.tally.garbage_lost);
	settle(true);
	/* To 3 %. */
	while (high - low > low / 32) {
		uint64_t rate = low + (high - low) / 2;

		if (lossless(rate, trial_ns, &repeats))
			low = rate;
		else
			high = rate;
		settle(true);
	}
	for (unsigned int i = 0; i < 20 && !lossless(low, confirm_ns, &repeats); i++) {
		low -= low / 20;
		settle(true);
	}
	printf("search: %.2f M frames/s of garbage without a loss (%u trials repeated)\n",
			(double)low / 1e6, repeats);
	return low;
}

/* Seconds of calls beside garbage, judged one by one. */
static bool
judge(const char *phase, unsigned int seconds, uint64_t rate)
{
	unsigned int repeats = 0;
	struct tally sum = { 0 };
	bool ok = true;

	for (unsigned int s = 0; s < seconds;) {
		uint64_t noise = disturbances();
		uint64_t lost;

		settle(true);
		w.tally = (struct tally){ 0 };
		lost = call_losses();
		run(PLM_NS_PER_S, rate, true, true, true);
		settle(true);
		lost = call_losses() - lost;
		if (lost > 0 && disturbances() != noise && repeats < REPEATS_MAX) {
			repeats++;
			for (unsigned int r = 0; r < ROOMS; r++)
				for (unsigned int m = 0; m < MEMBERS; m++)
					w.room[r].got[m] = w.room[r].sent;
			continue;
		}
		if (lost > 0) {
			printf("%s: %" PRIu64 " packets of calls lost in second %u\n", phase, lost,
					s);
			ok = false;
		}
		sum.garbage += w.tally.garbage;
		sum.nb_checks += w.tally.nb_checks;
		sum.nb_joins += w.tally.nb_joins;
		sum.worst_check_ns = RTE_MAX(sum.worst_check_ns, w.tally.worst_check_ns);
		sum.worst_join_ns = RTE_MAX(sum.worst_join_ns, w.tally.worst_join_ns);
		s++;
	}
	printf("%s: %u s, %" PRIu64 " garbage frames, %u consent checks (worst %.1f ms), "
	       "%u newcomers (worst %.1f ms), %u s repeated\n",
			phase, seconds, sum.garbage, sum.nb_checks,
			(double)sum.worst_check_ns / 1e6, sum.nb_joins,
			(double)sum.worst_join_ns / 1e6, repeats);
	for (unsigned int i = 0; i < CALLERS; i++)
		if (w.caller[i].asking && now_ns(NULL) - w.caller[i].asked_ns > PLM_NS_PER_S)
			ok = false;
	if (sum.nb_checks == 0 || sum.nb_joins == 0 || sum.worst_join_ns >= PLM_NS_PER_S)
		ok = false;
	return ok;
}

static bool
sums_hold(void)
{
	const struct plm_counters *c = plm_relay_counters(plm_ctl_relay(w.ctl), 0);
	uint64_t in = plm_counter_get(c, PLM_CNT_RX_PACKETS) +
			plm_counter_get(c, PLM_CNT_CROSSED_IN);
	uint64_t out = plm_counter_get(c, PLM_CNT_TO_CTL) +
			plm_counter_get(c, PLM_CNT_CROSSED_OUT) +
			plm_counter_get(c, PLM_CNT_MEDIA) + plm_counter_get(c, PLM_CNT_RTCP);
	uint64_t due = plm_counter_get(c, PLM_CNT_COPIES_DUE);
	uint64_t made = plm_counter_get(c, PLM_CNT_COPIES_SENT) +
			plm_counter_get(c, PLM_CNT_COPIES_HANDED);

	for (unsigned int id = 0; id < PLM_CNT_MAX; id++) {
		if (plm_counter_defs[id].class == PLM_CLASS_RX_DROP)
			out += plm_counter_get(c, id);
		if (plm_counter_defs[id].class == PLM_CLASS_COPY_DROP)
			made += plm_counter_get(c, id);
	}
	printf("sums: received %" PRIu64 " = %" PRIu64 ", copies %" PRIu64 " = %" PRIu64 "\n", in,
			out, due, made);
	return in == out && due == made;
}

/* --- setting up --------------------------------------------------------------------------- */

static unsigned int
worker_turn(void *ctx, uint64_t now)
{
	return plm_relay_turn(plm_ctl_relay(w.ctl), 0, now);
}

static int
worker_main(void *arg)
{
	w.worker_tid = (pid_t)syscall(SYS_gettid);
	plm_lcore_loop(&w.lcore);
	return 0;
}

static void
assemble(void)
{
	static const struct plm_room_rule rule = { .pattern = "*",
		.settings = { .max_members = 128, .dscp = PLM_DSCP_COPY } };
	static const struct plm_port *ports[1] = { &w.port };
	struct plm_net_local_conf local = { .ip = { .addr = { 198, 18, 0, 1 } }, .prefix_len = 15 };
	struct plm_port_conf port_conf = { .nb_queues = 1,
		.nb_rxd = 512,
		.nb_txd = 512,
		.copy_below = 256,
		.rx_pools = &w.rx_pool };
	struct plm_ctl_conf conf;
	char name[RTE_ETH_NAME_MAX_LEN];
	char text[256];
	struct plm_text why;
	int id;

	plm_text_init(&why, text, sizeof(text));
	w.in = rte_ring_create("flood_in", RING_IN, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	w.out = rte_ring_create("flood_out", RING_OUT, SOCKET_ID_ANY,
			RING_F_SP_ENQ | RING_F_SC_DEQ);
	w.rx_pool = plm_pool_create_rx("flood_rx", NB_MBUFS, 1500, SOCKET_ID_ANY);
	w.hdr_pool = plm_pool_create_hdr("flood_hdr", 2 * RING_OUT, SOCKET_ID_ANY);
	w.frame_pool = plm_pool_create_copy("flood_frame", 4096, 1500, SOCKET_ID_ANY);
	if (w.in == NULL || w.out == NULL || w.rx_pool == NULL || w.hdr_pool == NULL ||
			w.frame_pool == NULL)
		die("not enough memory");
	id = rte_eth_from_rings("flood", &w.in, 1, &w.out, 1, rte_socket_id());
	if (id < 0 || rte_eth_dev_get_name_by_port((uint16_t)id, name) < 0)
		die("no in-process port");
	port_conf.name = name;
	if (plm_port_open(&w.port, 0, &port_conf, &why) < 0)
		die(text);

	w.secrets.nb = 1;
	w.secrets.s[0].len = 32;
	plm_crypto_random(NULL, w.secrets.s[0].key, 32);
	plm_ctl_conf_init(&conf);
	conf.name = "flood";
	conf.socket = SOCKET_ID_ANY;
	conf.clock = (struct plm_clock){ now_ns, NULL };
	conf.rand = (struct plm_rand){ plm_crypto_random, NULL };
	conf.ports = ports;
	conf.nb_ports = 1;
	conf.nb_workers = 1;
	conf.hdr_pools[0] = w.hdr_pool;
	conf.frame_pool = w.frame_pool;
	conf.locals = &local;
	conf.nb_locals = 1;
	conf.udp_port = UDP_PORT;
	conf.max_sessions = 1024;
	conf.rules = &rule;
	conf.nb_rules = 1;
	conf.secrets = w.secrets;
	if (plm_ctl_create(&w.ctl, &conf, &why) < 0)
		die(text);
	plm_relay_set_running(plm_ctl_relay(w.ctl), true);
	w.lcore = (struct plm_lcore){ .turn = worker_turn,
		.clock = conf.clock,
		.rcu = plm_ctl_rcu(w.ctl),
		.idle = PLM_IDLE_BUSY };
}

static void
drain_ring(struct rte_ring *ring)
{
	void *m = NULL;

	while (rte_ring_dequeue(ring, &m) == 0)
		rte_pktmbuf_free(m);
}

static bool
dismantle(void)
{
	bool full = true;

	settle(false);
	while (plm_ctl_end_all(w.ctl, now_ns(NULL), (uint64_t)time(NULL)) > 0)
		settle(false);
	settle(false);
	plm_lcore_stop(&w.lcore);
	rte_eal_mp_wait_lcore();
	full = sums_hold();
	plm_ctl_free(w.ctl);
	plm_port_close(&w.port);
	drain_ring(w.in);
	drain_ring(w.out);
	for (unsigned int i = 0; i < 3; i++) {
		struct rte_mempool *pool = i == 0 ? w.rx_pool : i == 1 ? w.hdr_pool : w.frame_pool;
		unsigned int used = rte_mempool_in_use_count(pool);

		if (used > 0) {
			printf("%u mbufs of %s leaked\n", used, pool->name);
			full = false;
		}
	}
	if (full)
		puts("every mempool is full again");
	return full;
}

static bool
join_all(void)
{
	char name[PLM_NAME_SIZE];

	for (unsigned int i = 0; i < CALLERS; i++) {
		snprintf(name, sizeof(name), "call%u", i / MEMBERS);
		make_peer(&w.caller[i], name, i,
				i % MEMBERS == 0 ? PLM_ROLE_PUBLISH : PLM_ROLE_SUBSCRIBE,
				(uint16_t)(10000 + i));
	}
	for (unsigned int i = 0; i < NEWCOMERS; i++)
		make_peer(&w.newcomer[i], "lobby", i, PLM_ROLE_BOTH, (uint16_t)(20000 + i));
	run(2 * PLM_NS_PER_S, 0, true, false, false);
	for (unsigned int i = 0; i < CALLERS; i++)
		if (!w.caller[i].joined)
			return false;
	for (unsigned int i = 0; i < ROOMS; i++)
		w.room[i].due_ns = now_ns(NULL);
	return true;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "seconds", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' }, { 0 } };
	char prefix[32];
	const char *eal[] = { argv[0], "--no-huge", "-m", "512", "--no-pci", "--file-prefix",
		prefix, "--no-shconf", "--no-telemetry", "--log-level", "lib.eal:error", "-l",
		"0,1" };
	unsigned int seconds = 5;
	uint64_t rate;
	bool ok;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 's')
			seconds = (unsigned int)atoi(optarg);
		if (opt != 's' || seconds == 0) {
			puts("usage: flood [--seconds N]\n\n"
			     "Calls beside garbage over an in-process port. Needs two cores to itself.");
			return opt == 'h' ? 0 : 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(prefix, sizeof(prefix), "flood%d", (int)getpid());
	if (rte_eal_init(RTE_DIM(eal), (char **)(uintptr_t)eal) < 0)
		die("EAL does not start");
	w.tsc_ns = 1e9 / (double)rte_get_tsc_hz();
	w.rnd = 88172645463325252u;
	w.hmac = plm_hmac_create();
	if (w.hmac == NULL)
		die("no HMAC");
	assemble();
	make_garbage();
	if (rte_eal_remote_launch(worker_main, NULL, rte_get_next_lcore(-1, 1, 0)) < 0)
		die("no second lcore");
	if (!join_all())
		die("participants were not admitted");

	rate = search(seconds >= 60 ? PLM_NS_PER_S : PLM_NS_PER_S / 5,
			seconds >= 60 ? 10 * PLM_NS_PER_S : PLM_NS_PER_S);
	for (unsigned int i = 0; i < ROOMS; i++)
		w.room[i].due_ns = now_ns(NULL);
	ok = judge("paced", seconds, rate / 5 * 4);

	w.tally = (struct tally){ 0 };
	run(RTE_MIN(seconds, 10u) * PLM_NS_PER_S, UINT64_MAX, true, true, true);
	printf("flat out: %" PRIu64 " frames taken, %" PRIu64 " counted as lost at the port, "
	       "%" PRIu64 " packets of calls among them\n",
			w.tally.garbage, w.tally.garbage_lost, w.tally.call_lost);
	run(PLM_NS_PER_S, 0, true, true, true); /* the second that it may take */
	for (unsigned int r = 0; r < ROOMS; r++)
		for (unsigned int m = 0; m < MEMBERS; m++)
			w.room[r].got[m] = w.room[r].sent;
	ok = judge("after", 3, 0) && ok;
	ok = dismantle() && ok;
	plm_hmac_free(w.hmac);
	rte_eal_cleanup();
	puts(ok ? "ok" : "FAILED");
	return !ok;
}
