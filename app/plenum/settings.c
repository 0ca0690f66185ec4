/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of settings: what plenum.conf may say. docs/settings.md is made from it. */
#include <errno.h>
#include <stdlib.h>

#include "auth.h"
#include "config.h"
#include "plm_conf.h"
#include "plm_wzp.h"

static int
parse_prefix(const char *text, void *field, struct plm_text *why)
{
	struct conf_prefix prefix;
	char ip[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : sizeof(ip);
	unsigned long bits;
	char *end;

	if (len < sizeof(ip)) {
		memcpy(ip, text, len);
		ip[len] = '\0';
		bits = strtoul(slash + 1, &end, 10);
		if (plm_ip_parse(ip, &prefix.ip) == 0 && slash[1] >= '0' && slash[1] <= '9' &&
				*end == '\0' && bits >= 1 && bits <= (prefix.ip.is_v6 ? 128 : 32)) {
			prefix.len = (uint8_t)bits;
			memcpy(field, &prefix, sizeof(prefix));
			return 0;
		}
	}
	plm_text_add(why,
			"\"%s\" is not an address with its prefix, must be like "
			"198.18.0.1/24 or fd00::1/64",
			text);
	return -EINVAL;
}

static int
parse_gateway(const char *text, void *field, struct plm_text *why)
{
	struct plm_ip ip = { .is_v6 = false };

	if (*text != '\0' && plm_ip_parse(text, &ip) < 0) {
		plm_text_add(why,
				"\"%s\" is not an address, must be like 198.18.0.254 or fe80::1, "
				"or \"\" for none",
				text);
		return -EINVAL;
	}
	memcpy(field, &ip, sizeof(ip));
	return 0;
}

static int
parse_address(const char *text, void *field, struct plm_text *why)
{
	struct plm_ip ip;

	if (plm_ip_parse(text, &ip) < 0) {
		plm_text_add(why, "\"%s\" is not an address, must be like 198.18.0.7 or fd00::7",
				text);
		return -EINVAL;
	}
	memcpy(field, &ip, sizeof(ip));
	return 0;
}

static int
parse_own_address(const char *text, void *field, struct plm_text *why)
{
	if (*text != '\0')
		return parse_address(text, field, why);
	memset(field, 0, sizeof(struct plm_ip));
	return 0;
}

static int
parse_name(const char *text, void *field, struct plm_text *why)
{
	size_t len = strlen(text);

	if (!plm_name_valid(text, len)) {
		plm_text_add(why,
				"\"%s\" is not a name, must be 1 to %d letters, digits, `.`, `_` "
				"and `-`",
				text, PLM_NAME_SIZE - 1);
		return -EINVAL;
	}
	memcpy(field, text, len + 1);
	return 0;
}

static int
parse_fingerprint(const char *text, void *field, struct plm_text *why)
{
	uint8_t fp[PLM_AUTH_FINGERPRINT];

	if (plm_wzp_fingerprint_read(text, strlen(text), fp) < 0) {
		plm_text_add(why,
				"\"%s\" is not a fingerprint, must be eight times four digits of "
				"lower-case hex, like 9983:c2ce:0b17:4a5d:77f0:21c4:5e9a:b3d6",
				text);
		return -EINVAL;
	}
	memcpy(field, fp, sizeof(fp));
	return 0;
}

static int
parse_url(const char *text, void *field, struct plm_text *why)
{
	size_t len = strlen(text);

	if (len >= CONF_URL_SIZE) {
		plm_text_add(why, "must have at most %d characters", CONF_URL_SIZE - 1);
		return -EINVAL;
	}
	if (len > 0 && auth_check_url(text, why) < 0)
		return -EINVAL;
	memcpy(field, text, len + 1);
	return 0;
}

#define FIELD(s, f) .offset = offsetof(s, f), .size = sizeof(((s *)0)->f)
#define LIST(s, f, least, most)                                                                    \
	.offset = offsetof(s, f), .size = sizeof(((s *)0)->f[0]),                                  \
	.nb_offset = offsetof(s, nb_##f), .list_min = (least), .list_max = (most)
#define UINT(s, f, least, most) .type = PLM_CONF_UINT, FIELD(s, f), .min = (least), .max = (most)

static const struct plm_conf_word auto_words[] = { { "auto", CONF_AUTO }, { NULL, 0 } };
static const struct plm_conf_word inherit_words[] = { { "inherit", CONF_INHERIT }, { NULL, 0 } };
static const struct plm_conf_word mtu_words[] = { { "driver", 0 }, { NULL, 0 } };
static const struct plm_conf_word memory_words[] = { { "auto", 0 }, { NULL, 0 } };
static const struct plm_conf_word unlimited_words[] = { { "unlimited", 0 }, { NULL, 0 } };
static const struct plm_conf_word never_words[] = { { "never", 0 }, { NULL, 0 } };
static const struct plm_conf_word limit_words[] = { { "limit", 0 }, { NULL, 0 } };
static const struct plm_conf_word dscp_words[] = { { "copy", PLM_DSCP_COPY }, { NULL, 0 } };

static const struct plm_conf_word port_queues_words[] = {
	{ "inherit", CONF_INHERIT },
	{ NULL, 0 },
};
static const struct plm_conf_word port_mtu_words[] = {
	{ "inherit", CONF_INHERIT },
	{ "driver", 0 },
	{ NULL, 0 },
};
static const struct plm_conf_word chain_words[] = {
	{ "auto", PLM_CHAIN_AUTO },
	{ "on", PLM_CHAIN_ON },
	{ "off", PLM_CHAIN_OFF },
	{ NULL, 0 },
};
static const struct plm_conf_word port_chain_words[] = {
	{ "inherit", CONF_INHERIT },
	{ "auto", PLM_CHAIN_AUTO },
	{ "on", PLM_CHAIN_ON },
	{ "off", PLM_CHAIN_OFF },
	{ NULL, 0 },
};
static const struct plm_conf_word idle_words[] = {
	{ "auto", CONF_IDLE_AUTO },
	{ "busy", CONF_IDLE_BUSY },
	{ "sleep", CONF_IDLE_SLEEP },
	{ "monitor", CONF_IDLE_MONITOR },
	{ NULL, 0 },
};
static const struct plm_conf_word rtcp_words[] = {
	{ "clear", PLM_RTCP_CLEAR },
	{ "opaque", PLM_RTCP_OPAQUE },
	{ NULL, 0 },
};
static const struct plm_conf_word untagged_words[] = { { "untagged", 0 }, { NULL, 0 } };
static const struct plm_conf_word room_words[] = { { "room", 0 }, { NULL, 0 } };
static const struct plm_conf_word role_words[] = {
	{ "p", PLM_ROLE_PUBLISH },
	{ "s", PLM_ROLE_SUBSCRIBE },
	{ "b", PLM_ROLE_BOTH },
	{ NULL, 0 },
};
static const struct plm_conf_word each_words[] = {
	{ "port", 0 },
	{ "address", 1 },
	{ NULL, 0 },
};
static const struct plm_conf_word consent_words[] = {
	{ "strict", 0 },
	{ "alive", 1 },
	{ NULL, 0 },
};

static const struct plm_conf_word identity_words[] = {
	{ "match", 1 },
	{ "any", 0 },
	{ NULL, 0 },
};

static const struct plm_conf_def address_defs[] = {
	{ .key = "address",
			.type = PLM_CONF_PARSED,
			FIELD(struct conf_address, prefix),
			.parse = parse_prefix,
			.form = "ADDRESS/PREFIX",
			.help = "an address of the relay and the prefix that is on-link" },
	{ .key = "gateway",
			.type = PLM_CONF_PARSED,
			FIELD(struct conf_address, gateway),
			.parse = parse_gateway,
			.form = "ADDRESS",
			.fallback = "",
			.help = "where everything off-link goes; none: on-link only" },
	{ .key = NULL },
};

static const struct plm_conf_def port_defs[] = {
	{ .key = "device",
			.type = PLM_CONF_STRING,
			FIELD(struct conf_port, device),
			.min = 1,
			.help = "name and arguments of the device: `net_af_packet0,iface=eth1`, or a PCI "
				"address such as `0000:3b:00.0`" },
	{ .key = "addresses",
			.type = PLM_CONF_GROUP,
			LIST(struct conf_port, addresses, 1, CONF_ADDRESSES),
			.group = address_defs,
			.help = "own addresses; clients send to them" },
	{ .key = "vlan",
			UINT(struct conf_port, vlan, 1, 4094),
			.words = untagged_words,
			.fallback = "untagged",
			.help = "802.1Q tag that everything sent carries and everything received must "
				"carry; what does not is dropped" },
	{ .key = "queues",
			UINT(struct conf_port, nic.queues, 1, PLM_WORKERS_MAX),
			.words = port_queues_words,
			.fallback = "inherit",
			.help = "as above, of this port" },
	{ .key = "rx_descriptors",
			UINT(struct conf_port, nic.rx_descriptors, 64, 32768),
			.words = inherit_words,
			.fallback = "inherit",
			.help = "as above, of this port" },
	{ .key = "tx_descriptors",
			UINT(struct conf_port, nic.tx_descriptors, 64, 32768),
			.words = inherit_words,
			.fallback = "inherit",
			.help = "as above, of this port" },
	{ .key = "mtu",
			UINT(struct conf_port, nic.mtu, 1280, 9216),
			.words = port_mtu_words,
			.fallback = "inherit",
			.help = "as above, of this port" },
	{ .key = "chain",
			.type = PLM_CONF_WORD,
			FIELD(struct conf_port, nic.chain),
			.words = port_chain_words,
			.fallback = "inherit",
			.help = "as above, of this port" },
	{ .key = "copy_below",
			UINT(struct conf_port, nic.copy_below, 0, PLM_HDR_COPY_MAX),
			.words = inherit_words,
			.fallback = "inherit",
			.help = "as above, of this port" },
	{ .key = NULL },
};

static const struct plm_conf_def static_defs[] = {
	{ .key = "room",
			.type = PLM_CONF_PARSED,
			FIELD(struct conf_static, entry.room),
			.parse = parse_name,
			.form = "NAME",
			.help = "room that it is in" },
	{ .key = "participant",
			.type = PLM_CONF_PARSED,
			FIELD(struct conf_static, entry.participant),
			.parse = parse_name,
			.form = "NAME",
			.help = "its name there; no credential of that name comes in. With `count`, `-1`, "
				"`-2`... is put behind it" },
	{ .key = "role",
			.type = PLM_CONF_WORD,
			FIELD(struct conf_static, entry.role),
			.words = role_words,
			.help = "publishes, subscribes, or both" },
	{ .key = "address",
			.type = PLM_CONF_PARSED,
			FIELD(struct conf_static, address),
			.parse = parse_address,
			.form = "ADDRESS",
			.help = "where its packets come from and go to" },
	{ .key = "udp_port",
			UINT(struct conf_static, udp_port, 1, 65535),
			.help = "and its UDP port" },
	{ .key = "port",
			UINT(struct conf_static, port, 0, PLM_PORTS_MAX - 1),
			.fallback = "0",
			.help = "the one port, by its position in `ports`, that it is heard and served "
				"on, in that port's VLAN" },
	{ .key = "relay",
			.type = PLM_CONF_PARSED,
			FIELD(struct conf_static, relay),
			.parse = parse_own_address,
			.form = "ADDRESS",
			.fallback = "",
			.help = "own address of that port that it sends to; none: the port's first of "
				"the family" },
	{ .key = "count",
			UINT(struct conf_static, entry.count, 1, PLM_ROOM_MEMBERS_MAX),
			.fallback = "1",
			.help = "a row of so many endpoints, for generators" },
	{ .key = "each",
			.type = PLM_CONF_WORD,
			FIELD(struct conf_static, entry.each_address),
			.words = each_words,
			.fallback = "port",
			.help = "what is one more for each next endpoint of a row" },
	{ .key = "packets_per_s",
			UINT(struct conf_static, entry.packets_per_s, 1, 100000000),
			.words = room_words,
			.fallback = "room",
			.help = "packets that each may send, per second; `room`: as its room's rule says" },
	{ .key = "bits_per_s",
			UINT(struct conf_static, entry.bits_per_s, 1000, 1000000000000),
			.words = room_words,
			.fallback = "room",
			.help = "the same in bits; write L behind more than 2147483647" },
	{ .key = NULL },
};

const struct plm_conf_def conf_rule_defs[] = {
	{ .key = "pattern",
			.type = PLM_CONF_STRING,
			FIELD(struct plm_room_rule, pattern),
			.min = 1,
			.fallback = "*",
			.help = "shell pattern of the names meant; the first match counts" },
	{ .key = "max",
			UINT(struct plm_room_rule, settings.max_members, 1, PLM_ROOM_MEMBERS_MAX),
			.words = limit_words,
			.fallback = "limit",
			.help = "participants, at most `limits.participants`" },
	{ .key = "rtcp",
			.type = PLM_CONF_WORD,
			FIELD(struct plm_room_rule, settings.rtcp),
			.words = rtcp_words,
			.fallback = "clear",
			.help = "`opaque` where clients send SRTCP, which the relay cannot read" },
	{ .key = "consent",
			.type = PLM_CONF_WORD,
			FIELD(struct plm_room_rule, settings.consent_alive),
			.words = consent_words,
			.fallback = "strict",
			.help = "`alive`: media refreshes consent too, for agents that send no checks; "
				"spoofed packets can then keep a stream running" },
	{ .key = "dscp",
			UINT(struct plm_room_rule, settings.dscp, 0, 63),
			.words = dscp_words,
			.fallback = "copy",
			.help = "DSCP of what is sent, or the publisher's" },
	{ .key = "packets_per_s",
			UINT(struct plm_room_rule, settings.packets_per_s, 1, 10000000),
			.words = unlimited_words,
			.fallback = "5000",
			.help = "packets that one session may send, per second" },
	{ .key = "bits_per_s",
			UINT(struct plm_room_rule, settings.bits_per_s, 1000, 100000000000),
			.words = unlimited_words,
			.fallback = "50000000",
			.help = "bits that one session may send, per second; write L behind more than "
				"2147483647" },
	{ .key = "allow",
			.type = PLM_CONF_PARSED,
			LIST(struct plm_room_rule, allow, 0, PLM_ROOM_ALLOW),
			.parse = parse_fingerprint,
			.form = "FINGERPRINT",
			.fallback = "",
			.help = "of QUIC clients only these identities may join; none: everybody who is let "
				"in" },
	{ .key = NULL },
};

static const struct plm_conf_def limit_defs[] = {
	{ .key = "rooms",
			UINT(struct conf_limits, rooms, 1, 1000000),
			.fallback = "1000",
			.help = "rooms at once" },
	{ .key = "sessions",
			UINT(struct conf_limits, sessions, 1, 4000000),
			.fallback = "10000",
			.help = "sessions at once, all rooms" },
	{ .key = "sessions_per_net6",
			UINT(struct conf_limits, sessions_per_net6, 1, 4000000),
			.words = unlimited_words,
			.fallback = "1000",
			.help = "sessions opened from one IPv6 /64; more are met with silence" },
	{ .key = "sessions_per_address4",
			UINT(struct conf_limits, sessions_per_address4, 1, 4000000),
			.words = unlimited_words,
			.fallback = "unlimited",
			.help = "the same of one IPv4 address, behind which a whole office may be" },
	{ .key = "participants",
			UINT(struct conf_limits, participants, 1, PLM_ROOM_MEMBERS_MAX),
			.fallback = "1000",
			.help = "participants of one room, whatever its rule says" },
	{ .key = "admissions_per_s",
			UINT(struct conf_limits, admissions_per_s, 1, 1000000),
			.words = unlimited_words,
			.fallback = "1000",
			.help = "new sessions per second; more are met with silence, and agents try again" },
	{ .key = "view_backlog",
			UINT(struct conf_limits, view_backlog, 16, 1000000),
			.fallback = "4096",
			.help = "fan-out lists that may wait to be freed; at it joins are refused" },
	{ .key = "neighbours",
			UINT(struct conf_limits, neighbours, 16, 65535),
			.fallback = "4096",
			.help = "next hops and on-link neighbours, all ports" },
	{ .key = "bars",
			UINT(struct conf_limits, bars, 1, 1000000),
			.fallback = "4096",
			.help = "kicked credentials remembered until they expire" },
	{ .key = "ssrcs",
			UINT(struct conf_limits, ssrcs, 1, PLM_SSRCS),
			.fallback = "8",
			.help = "SSRCs of one session, RTCP's included" },
	{ .key = NULL },
};

static const struct plm_conf_def quic_defs[] = {
	{ .key = "connections",
			UINT(struct conf_quic, connections, 0, 1000000),
			.fallback = "0",
			.help = "QUIC connections at once, handshakes in progress included; each takes some "
				"40 kB and may have as much again; 0: QUIC is not served" },
	{ .key = "handshakes",
			UINT(struct conf_quic, handshakes, 1, 1000000),
			.fallback = "256",
			.help = "handshakes in progress; more are met with silence, and clients try again" },
	{ .key = "retry_above",
			UINT(struct conf_quic, retry_above, 1, 1000000),
			.fallback = "64",
			.help = "handshakes in progress from which on a client must show first that it "
				"receives at its address (Retry)" },
	{ .key = "retry_always",
			.type = PLM_CONF_BOOL,
			FIELD(struct conf_quic, retry_always),
			.fallback = "false",
			.help = "every client must" },
	{ .key = "idle_timeout",
			UINT(struct conf_quic, idle_timeout_s, 1, 600),
			.fallback = "30",
			.help = "a connection on which nothing was heard for this long ends, seconds" },
	{ .key = "identity",
			.type = PLM_CONF_STRING,
			FIELD(struct conf_quic, identity),
			.fallback = "",
			.help = "file, mode 0600, with the seed of the relay's certificates, 64 hex digits; "
				"made if it is not there; relative to this file" },
	{ .key = "certificate",
			.type = PLM_CONF_STRING,
			FIELD(struct conf_quic, certificate),
			.fallback = "",
			.help = "PEM file with a certificate chain instead, Ed25519 or ECDSA" },
	{ .key = "key",
			.type = PLM_CONF_STRING,
			FIELD(struct conf_quic, key),
			.fallback = "",
			.help = "PEM file, mode 0600, with the certificate's key" },
	{ .key = NULL },
};

static const struct plm_conf_def wzp_defs[] = {
	{ .key = "open_rooms",
			.type = PLM_CONF_BOOL,
			FIELD(struct conf_wzp, open_rooms),
			.fallback = "false",
			.help = "let anybody into any room of QUIC clients, without a token" },
	{ .key = "auth_url",
			.type = PLM_CONF_PARSED,
			FIELD(struct conf_wzp, auth_url),
			.parse = parse_url,
			.form = "URL",
			.fallback = "",
			.help = "http or https: where a client's token is sent (POST, JSON) to be validated; "
				"none: tokens let nobody in" },
	{ .key = "auth_ca",
			.type = PLM_CONF_STRING,
			FIELD(struct conf_wzp, auth_ca),
			.fallback = "",
			.help = "file with the certificates (PEM) that vouch for a server of https, relative "
				"to this file; \"\": those of the system" },
	{ .key = "auth_timeout",
			UINT(struct conf_wzp, auth_timeout_s, 1, 30),
			.fallback = "5",
			.help = "who is not validated by then is refused, seconds" },
	{ .key = "auth_cache",
			UINT(struct conf_wzp, auth_cache_s, 0, 86400),
			.fallback = "60",
			.help = "a valid token is not sent again for so long, an invalid one for 5 at most, "
				"seconds; 0: each is sent each time" },
	{ .key = "auth_requests",
			UINT(struct conf_wzp, auth_requests, 1, AUTH_REQUESTS_MAX),
			.fallback = "64",
			.help = "tokens being validated at once; who comes beyond them is refused" },
	{ .key = "auth_identity",
			.type = PLM_CONF_WORD,
			FIELD(struct conf_wzp, match_identity),
			.words = identity_words,
			.fallback = "match",
			.help = "`match`: a token lets in only the identity that it was given to, which the "
				"client must prove; `any`: whoever has it" },
	{ .key = NULL },
};

static const struct plm_conf_def tuning_defs[] = {
	{ .key = "turn_copies",
			UINT(struct conf_tuning, turn_copies, 64, 65536),
			.fallback = "1024",
			.help = "copies of one worker's turn; what is left goes on in the next" },
	{ .key = "ring_size",
			UINT(struct conf_tuning, ring_size, 64, 65536),
			.fallback = "1024",
			.help = "messages of one ring between two lcores" },
	{ .key = "park_entries",
			UINT(struct conf_tuning, park_entries, 16, 65536),
			.fallback = "512",
			.help = "fan-outs of one worker and port that may wait for their turn" },
	{ .key = "stun_rate",
			UINT(struct conf_tuning, stun_rate, 1, 1000000),
			.fallback = "100000",
			.help = "STUN requests of unknown sources, per worker, source prefix (IPv4 /24, "
				"IPv6 /64) and second; the default is half of what a core of 2.6 GHz "
				"opens" },
	{ .key = "l2_rate",
			UINT(struct conf_tuning, l2_rate, 1, 1000000),
			.fallback = "1000",
			.help = "ARP, neighbour discovery and ICMP, per worker and second" },
	{ .key = "rtcp_rate",
			UINT(struct conf_tuning, rtcp_rate, 1, 100000),
			.fallback = "100",
			.help = "RTCP compounds of one session, per second" },
	{ .key = "publish_us",
			UINT(struct conf_tuning, publish_us, 100, 1000000),
			.fallback = "1000",
			.help = "changes of one room within this time become one, microseconds" },
	{ .key = "stall_ms",
			UINT(struct conf_tuning, stall_ms, 10, 60000),
			.fallback = "1000",
			.help = "a worker without a turn for this long counts as stalled, milliseconds" },
	{ .key = "idle_turns",
			UINT(struct conf_tuning, idle_turns, 1, 1000000),
			.fallback = "64",
			.help = "empty turns before an lcore sleeps" },
	{ .key = "sleep_us",
			UINT(struct conf_tuning, sleep_us, 1, 10000),
			.fallback = "50",
			.help = "how long it sleeps, microseconds" },
	{ .key = NULL },
};

const struct plm_conf_def conf_defs[] = {
	{ .key = "ports",
			.type = PLM_CONF_GROUP,
			LIST(struct conf, ports, 1, PLM_PORTS_MAX),
			.group = port_defs,
			.help = "the devices that carry the packets" },
	{ .key = "secrets",
			.type = PLM_CONF_STRING,
			LIST(struct conf, secrets, 1, PLM_SECRETS),
			.min = 1,
			.help = "files, mode 0600, with what signs credentials; two during a rotation; "
				"relative to this file" },
	{ .key = "udp_port",
			UINT(struct conf, udp_port, 1, 65535),
			.fallback = "3478",
			.help = "the one UDP port of all transports" },
	{ .key = "main_cpu",
			UINT(struct conf, main_cpu, 0, 1023),
			.words = auto_words,
			.fallback = "auto",
			.help = "CPU of prompt and start-up; the first one" },
	{ .key = "slow_cpu",
			UINT(struct conf, slow_cpu, 0, 1023),
			.words = auto_words,
			.fallback = "auto",
			.help = "CPU of the slow path; the main CPU, or one of its own from four CPUs on" },
	{ .key = "workers",
			.type = PLM_CONF_UINT,
			LIST(struct conf, workers, 1, PLM_WORKERS_MAX),
			.min = 0,
			.max = 1023,
			.fallback = "",
			.help = "CPU of each worker; none: one worker on the last CPU" },
	{ .key = "idle",
			.type = PLM_CONF_WORD,
			FIELD(struct conf, idle),
			.words = idle_words,
			.fallback = "auto",
			.help = "what a worker without work does; `auto`: `busy` on a NIC, `sleep` where "
				"the kernel carries the frames or workers share a CPU" },
	{ .key = "hugepages",
			.type = PLM_CONF_BOOL,
			FIELD(struct conf, hugepages),
			.fallback = "true",
			.help = "memory from hugepages (`sysctl vm.nr_hugepages`), or ordinary pages" },
	{ .key = "memory_mb",
			UINT(struct conf, memory_mb, 64, 1048576),
			.words = memory_words,
			.fallback = "auto",
			.help = "memory for EAL, MB; `auto`: what `--check` prints" },
	{ .key = "eal",
			.type = PLM_CONF_STRING,
			LIST(struct conf, eal, 0, CONF_EAL_ARGS),
			.min = 1,
			.fallback = "",
			.help = "more arguments for EAL; lcores, devices and memory are the settings above" },
	{ .key = "queues",
			UINT(struct conf, nic.queues, 1, PLM_WORKERS_MAX),
			.words = auto_words,
			.fallback = "auto",
			.help = "RX and TX queues of a port, at most one per worker; `auto`: one per worker "
				"as far as the device has them" },
	{ .key = "rx_descriptors",
			UINT(struct conf, nic.rx_descriptors, 64, 32768),
			.fallback = "1024",
			.help = "of one RX queue; adjusted to the driver" },
	{ .key = "tx_descriptors",
			UINT(struct conf, nic.tx_descriptors, 64, 32768),
			.fallback = "1024",
			.help = "of one TX queue; adjusted to the driver" },
	{ .key = "mtu",
			UINT(struct conf, nic.mtu, 1280, 9216),
			.words = mtu_words,
			.fallback = "driver",
			.help = "bytes of an IP packet" },
	{ .key = "chain",
			.type = PLM_CONF_WORD,
			FIELD(struct conf, nic.chain),
			.words = chain_words,
			.fallback = "auto",
			.help = "send header and shared payload as two segments; `on` for drivers that can "
				"without saying so" },
	{ .key = "copy_below",
			UINT(struct conf, nic.copy_below, 0, PLM_HDR_COPY_MAX),
			.fallback = "256",
			.help = "payloads shorter than this are copied, bytes" },
	{ .key = "rooms",
			.type = PLM_CONF_GROUP,
			LIST(struct conf, rules, 0, CONF_RULES),
			.group = conf_rule_defs,
			.fallback = "",
			.help = "rules for rooms by name; a room without one has their defaults" },
	{ .key = "trusted_network",
			.type = PLM_CONF_BOOL,
			FIELD(struct conf, trusted_network),
			.fallback = "false",
			.help = "nobody on the ports' networks sends from addresses of others, so that "
				"static endpoints may be known by theirs" },
	{ .key = "static",
			.type = PLM_CONF_GROUP,
			LIST(struct conf, statics, 0, PLM_STATICS),
			.group = static_defs,
			.fallback = "",
			.help = "endpoints without STUN, for plain RTP gear and generators; only where "
				"`trusted_network = true`" },
	{ .key = "limits",
			.type = PLM_CONF_GROUP,
			FIELD(struct conf, limits),
			.group = limit_defs,
			.fallback = "",
			.help = "what peers cannot grow beyond" },
	{ .key = "consent_timeout",
			UINT(struct conf, consent_timeout_s, 5, 3600),
			.fallback = "30",
			.help = "a session without an authenticated request for this long ends, seconds" },
	{ .key = "max_session",
			UINT(struct conf, max_session_s, 1, 31536000),
			.words = unlimited_words,
			.fallback = "unlimited",
			.help = "a session ends after this long, seconds" },
	{ .key = "rebalance_above",
			UINT(struct conf, rebalance_above, 0, 100),
			.fallback = "80",
			.help = "a new room moves to the least busy worker when the one that received its "
				"first request is busier than this, percent" },
	{ .key = "spread_above",
			UINT(struct conf, spread_above, 1, PLM_ROOM_MEMBERS_MAX),
			.words = never_words,
			.fallback = "512",
			.help = "participants of a room beyond this many are spread over all workers, each of "
				"which then serves its own" },
	{ .key = "quic",
			.type = PLM_CONF_GROUP,
			FIELD(struct conf, quic),
			.group = quic_defs,
			.fallback = "",
			.help = "QUIC clients, on the same port" },
	{ .key = "wzp",
			.type = PLM_CONF_GROUP,
			FIELD(struct conf, wzp),
			.group = wzp_defs,
			.fallback = "",
			.help = "who may join the rooms of QUIC clients" },
	{ .key = "tuning",
			.type = PLM_CONF_GROUP,
			FIELD(struct conf, tuning),
			.group = tuning_defs,
			.fallback = "",
			.help = "sizes and rates that seldom need a change" },
	{ .key = "events",
			.type = PLM_CONF_STRING,
			FIELD(struct conf, events),
			.min = 1,
			.fallback = "stderr",
			.help = "the event log, JSON lines: a file to append to, or `stderr`" },
	{ .key = "events_per_s",
			UINT(struct conf, events_per_s, 1, 100000),
			.fallback = "200",
			.help = "events logged per second; more are counted as lost" },
	{ .key = "control_socket",
			.type = PLM_CONF_STRING,
			FIELD(struct conf, control_socket),
			.min = 1,
			.fallback = "/run/plenum.sock",
			.help = "the socket of `plenum ctl`, mode 0600" },
	{ .key = "trace_dir",
			.type = PLM_CONF_STRING,
			FIELD(struct conf, trace_dir),
			.fallback = "",
			.help = "where `trace room` writes its files, of mode 0600, relative to this file; "
				"\"\": nowhere" },
	{ .key = NULL },
};
