/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include <rte_common.h>

#include "client.h"

enum opt {
	OPT_RELAY = 256,
	OPT_BIND,
	OPT_UFRAG,
	OPT_PWD,
	OPT_SECRET,
	OPT_ROOM,
	OPT_PARTICIPANT,
	OPT_TTL,
	OPT_CLONES,
	OPT_JOIN_RATE,
	OPT_COALESCE,
	OPT_ROLE,
	OPT_NOMINATION,
	OPT_NO_CONSENT,
	OPT_REBIND_AFTER,
	OPT_REBIND_NOMINATE,
	OPT_WZP,
	OPT_IDENTITY,
	OPT_ALIAS,
	OPT_TOKEN,
	OPT_TOKEN_FILE,
	OPT_SIGNALS,
	OPT_NO_READ,
	OPT_PING,
	OPT_HANGUP,
	OPT_CODEC,
	OPT_QUALITY_REPORT,
	OPT_MEDIA,
	OPT_RECORD,
	OPT_PAYLOAD_TYPE,
	OPT_CIPHER,
	OPT_KEY_UPDATE_AFTER,
	OPT_KEEP_ALIVE,
	OPT_PIN,
	OPT_RTP,
	OPT_RTP_BIND,
	OPT_GENERATE,
	OPT_START_DELAY,
	OPT_NO_BYE,
	OPT_RTP_OUT,
	OPT_PCAP,
	OPT_REPLAY,
	OPT_REPLAY_PORT,
	OPT_REPLAY_LOOP,
	OPT_CLOCK,
	OPT_VERIFY,
	OPT_RTCP,
	OPT_PLI_EVERY,
	OPT_STATS,
	OPT_JSON,
	OPT_INTERVAL,
	OPT_DURATION,
	OPT_LINGER,
	OPT_COUNT,
	OPT_UNTIL_BYE,
	OPT_EXPECT,
	OPT_EXPECT_STREAMS,
	OPT_READY_FILE,
	OPT_QUIET,
	OPT_HELP,
};

#define FOR_PUBLISH   (1 << VERB_PUBLISH | 1 << VERB_BOTH)
#define FOR_SUBSCRIBE (1 << VERB_SUBSCRIBE | 1 << VERB_BOTH)
#define FOR_ALL       (FOR_PUBLISH | FOR_SUBSCRIBE)
#define OF_WZP        (1 << 8) /* means nothing without --wzp */

/* One table feeds getopt_long() and the help of each verb. */
static const struct {
	const char *name;
	enum opt opt;
	int verbs;
	const char *arg; /* NULL: takes none */
	const char *help;
} options[] = {
	{ "relay", OPT_RELAY, FOR_ALL, "ADDR[:PORT]", "the relay; port 3478 unless given" },
	{ "bind", OPT_BIND, FOR_ALL, "ADDR[:PORT]", "local address to send from" },
	{ "ufrag", OPT_UFRAG, FOR_ALL, "UFRAG", "credential, with --pwd" },
	{ "pwd", OPT_PWD, FOR_ALL, "PASSWORD", "credential, with --ufrag" },
	{ "secret", OPT_SECRET, FOR_ALL, "FILE", "mint the credential from this secret instead" },
	{ "room", OPT_ROOM, FOR_ALL, "NAME", "room to mint for, or to join by --wzp" },
	{ "participant", OPT_PARTICIPANT, FOR_ALL, "NAME",
			"participant to mint for; with --wzp a name for reports only" },
	{ "ttl", OPT_TTL, FOR_ALL, "SECONDS", "validity of a minted credential (3600)" },
	{ "clones", OPT_CLONES, FOR_ALL, "K", "be K participants, NAME-0 to NAME-<K-1>" },
	{ "join-rate", OPT_JOIN_RATE, FOR_ALL, "N", "clones that begin to join per second (100)" },
	{ "coalesce", OPT_COALESCE, FOR_ALL, "SECONDS",
			"wake at most this often, for load tests; adds to the measured delay" },
	{ "role", OPT_ROLE, FOR_ALL, "controlling|controlled", "ICE role to start in" },
	{ "nomination", OPT_NOMINATION, FOR_ALL, "aggressive|regular",
			"ICE nomination (aggressive)" },
	{ "no-consent", OPT_NO_CONSENT, FOR_ALL, NULL, "once admitted send no more checks" },
	{ "rebind-after", OPT_REBIND_AFTER, FOR_ALL, "SECONDS",
			"go on from another local port, as behind a NAT that lost its mapping" },
	{ "rebind-nominate", OPT_REBIND_NOMINATE, FOR_ALL, NULL,
			"notice the rebinding: nominate the new pair, or migrate, at once" },
	{ "wzp", OPT_WZP, FOR_ALL, NULL,
			"a participant of the WZP protocol, over QUIC; the room is the server name" },
	{ "identity", OPT_IDENTITY, FOR_ALL | OF_WZP, "FILE",
			"the seed of who it is, 64 hex digits; made if there is none (somebody new)" },
	{ "alias", OPT_ALIAS, FOR_ALL | OF_WZP, "NAME", "what others are shown, 64 bytes at most" },
	{ "token", OPT_TOKEN, FOR_ALL | OF_WZP, "TOKEN", "for relays that ask for one" },
	{ "token-file", OPT_TOKEN_FILE, FOR_ALL | OF_WZP, "FILE", "the same, out of a file" },
	{ "signals", OPT_SIGNALS, FOR_ALL | OF_WZP, NULL,
			"a line for each signal of the relay, with --json an object" },
	{ "no-read", OPT_NO_READ, FOR_ALL | OF_WZP, NULL,
			"once let in read no signal any more, as some clients do" },
	{ "ping", OPT_PING, FOR_ALL | OF_WZP, "SECONDS", "send a Ping this often" },
	{ "hangup", OPT_HANGUP, FOR_ALL | OF_WZP, NULL, "send Hangup before the end" },
	{ "cipher", OPT_CIPHER, FOR_ALL | OF_WZP, "aes128|aes256|chacha20",
			"packet protection (any of them)" },
	{ "key-update-after", OPT_KEY_UPDATE_AFTER, FOR_ALL | OF_WZP, "SECONDS",
			"change the keys this long after the handshake" },
	{ "keep-alive", OPT_KEEP_ALIVE, FOR_ALL | OF_WZP, "SECONDS",
			"a packet after this long a silence (5; 0: none)" },
	{ "pin", OPT_PIN, FOR_ALL | OF_WZP, "SHA256",
			"accept this certificate only, by the SHA-256 of its DER" },
	{ "codec", OPT_CODEC, FOR_PUBLISH | OF_WZP, "NAME",
			"what media says that it is, Opus6k to Opus64k and others (Opus24k)" },
	{ "quality-report", OPT_QUALITY_REPORT, FOR_PUBLISH | OF_WZP, "LOSS,RTT,JITTER",
			"percent and milliseconds that a packet a second reports" },
	{ "replay", OPT_MEDIA, 1 << VERB_PUBLISH | OF_WZP, "FILE",
			"send the media of a WZP capture as it is, with its timing" },
	{ "record", OPT_RECORD, FOR_ALL | OF_WZP, "FILE", "write received media as a WZP capture" },
	{ "payload-type", OPT_PAYLOAD_TYPE, FOR_SUBSCRIBE | OF_WZP, "PT",
			"of the RTP that players get (111)" },
	{ "rtp", OPT_RTP, FOR_PUBLISH, "PORT[,PORT...]",
			"take RTP on these local ports and RTCP on the next higher ones" },
	{ "rtp-bind", OPT_RTP_BIND, FOR_PUBLISH, "ADDR", "local address of --rtp (127.0.0.1)" },
	{ "generate", OPT_GENERATE, FOR_PUBLISH,
			"pps=50,size=200[,count=N|seconds=S][,ssrc=X][,pt=96][,clock=90000]",
			"send a stream of verifiable packets; may be repeated; with --wzp to 1384 bytes" },
	{ "pcap", OPT_REPLAY, 1 << VERB_PUBLISH, "FILE",
			"send the RTP and RTCP of a capture, with its timing" },
	{ "pcap-port", OPT_REPLAY_PORT, 1 << VERB_PUBLISH, "N",
			"of it only datagrams from or to this UDP port" },
	{ "loop", OPT_REPLAY_LOOP, 1 << VERB_PUBLISH, NULL,
			"and again and again; sequence numbers and timestamps go on" },
	{ "start-delay", OPT_START_DELAY, FOR_PUBLISH, "SECONDS",
			"from admission to the first packet generated or of --pcap (0.2)" },
	{ "no-bye", OPT_NO_BYE, FOR_PUBLISH, NULL, "end these streams without RTCP BYE" },
	{ "rtp-out", OPT_RTP_OUT, FOR_SUBSCRIBE, "[pt=PT:|n=ORDER:]HOST:PORT",
			"send RTP there and its RTCP to the next higher port; may be repeated" },
	{ "pcap", OPT_PCAP, FOR_SUBSCRIBE, "FILE", "write received RTP and RTCP" },
	{ "clock", OPT_CLOCK, FOR_ALL, "PT:HZ", "RTP clock of a payload type, for jitter" },
	{ "verify", OPT_VERIFY, FOR_ALL, NULL, "what no generator made counts as corrupt" },
	{ "rtcp", OPT_RTCP, FOR_ALL, NULL, "send RTCP reports about every 5 s" },
	{ "pli-every", OPT_PLI_EVERY, FOR_SUBSCRIBE, "SECONDS", "ask every stream for a picture" },
	{ "stats", OPT_STATS, FOR_ALL, NULL, "print statistics at the end (the default)" },
	{ "json", OPT_JSON, FOR_ALL, NULL,
			"statistics as one JSON object, intervals as JSON lines" },
	{ "interval", OPT_INTERVAL, FOR_ALL, "SECONDS", "statistics also in between" },
	{ "quiet", OPT_QUIET, FOR_ALL, NULL, "no statistics" },
	{ "duration", OPT_DURATION, FOR_ALL, "SECONDS", "stop this long after admission" },
	{ "linger", OPT_LINGER, FOR_ALL, "SECONDS", "stay this long when all is done (0.5)" },
	{ "count", OPT_COUNT, FOR_ALL, "N", "stop when every participant received N RTP packets" },
	{ "until-bye", OPT_UNTIL_BYE, FOR_ALL, NULL, "stop when every stream has said BYE" },
	{ "expect", OPT_EXPECT, FOR_ALL, "N",
			"fail unless exactly N packets of each stream arrive" },
	{ "expect-streams", OPT_EXPECT_STREAMS, FOR_ALL, "N",
			"fail unless each hears exactly N streams" },
	{ "ready-file", OPT_READY_FILE, FOR_ALL, "PATH", "made when all are admitted" },
	{ "help", OPT_HELP, FOR_ALL, NULL, "this text" },
};

static const struct {
	const char *name;
	enum client_verb verb;
	const char *help;
} verbs[] = {
	{ "publish", VERB_PUBLISH, "send media into a room" },
	{ "subscribe", VERB_SUBSCRIBE, "receive a room's media" },
	{ "both", VERB_BOTH, "send and receive in one session" },
};

void
options_usage(FILE *to)
{
	fprintf(to,
			"Usage: plenum-client VERB OPTIONS\n\n"
			"A participant of a Plenum room on ordinary sockets.\n\nVerbs:\n");
	for (size_t i = 0; i < RTE_DIM(verbs); i++)
		fprintf(to, "  %-10s %s\n", verbs[i].name, verbs[i].help);
	fprintf(to,
			"\n`plenum-client VERB --help` lists a verb's options.\n\n"
			"Exit: 0 done, 1 usage or system error, 2 refused, 3 connection lost,\n"
			"4 not what --expect said, 5 no answer.\n");
}

static void
verb_usage(size_t v)
{
	printf("Usage: plenum-client %s --relay ADDR[:PORT] CREDENTIAL [OPTIONS]\n\n%s\n"
	       "CREDENTIAL is --ufrag and --pwd, or --secret, --room and --participant,\n"
	       "or --wzp and --room.\n\n",
			verbs[v].name, verbs[v].help);
	for (size_t i = 0; i < RTE_DIM(options); i++) {
		char head[128];

		if ((options[i].verbs & 1 << verbs[v].verb) == 0)
			continue;
		snprintf(head, sizeof(head), "--%s%s%s", options[i].name,
				options[i].arg != NULL ? " " : "",
				options[i].arg != NULL ? options[i].arg : "");
		if (strlen(head) > 32)
			printf("  %s\n  %-32s ", head, "");
		else
			printf("  %-32s ", head);
		printf("%s%s\n", (options[i].verbs & OF_WZP) != 0 ? "of --wzp: " : "",
				options[i].help);
	}
}

static int
parse_ports(const char *text, struct client_conf *conf, struct plm_text *why)
{
	char copy[128];
	char *save = NULL;

	if (strlen(text) >= sizeof(copy)) {
		plm_text_add(why, "too long");
		return -EINVAL;
	}
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *t = strtok_r(copy, ",", &save); t != NULL; t = strtok_r(NULL, ",", &save)) {
		uint64_t port;

		if (options_u64(t, 1, UINT16_MAX - 1, &port) < 0) {
			plm_text_add(why, "'%s' is not a port from 1 to 65534", t);
			return -EINVAL;
		}
		if (conf->nb_producers == CLIENT_PRODUCERS_MAX) {
			plm_text_add(why, "more than %d ports", CLIENT_PRODUCERS_MAX);
			return -EINVAL;
		}
		conf->producer_ports[conf->nb_producers++] = (uint16_t)port;
	}
	return 0;
}

static int
parse_clock(const char *text, struct client_conf *conf)
{
	unsigned int pt;
	unsigned int hz;
	char end;

	if (sscanf(text, "%u:%u%c", &pt, &hz, &end) != 2 || pt > 127 || hz == 0 || hz > 1000000000)
		return -EINVAL;
	conf->clock_hz[pt] = hz;
	return 0;
}

/* One of two words; returns which, or -EINVAL. */
static int
parse_word(const char *text, const char *zero, const char *one)
{
	if (strcmp(text, zero) == 0)
		return 0;
	return strcmp(text, one) == 0 ? 1 : -EINVAL;
}

static int
parse_cipher(const char *text, struct client_conf *conf)
{
	static const char *const names[] = { [QUIC_CIPHER_AES128] = "aes128",
		[QUIC_CIPHER_AES256] = "aes256",
		[QUIC_CIPHER_CHACHA20] = "chacha20" };

	for (unsigned int i = QUIC_CIPHER_AES128; i < RTE_DIM(names); i++)
		if (strcmp(text, names[i]) == 0) {
			conf->cipher = (enum quic_cipher)i;
			return 0;
		}
	return -EINVAL;
}

static int
take_option(struct client_conf *conf, enum opt opt, const char *arg, struct plm_text *why)
{
	uint64_t v = 0;
	int ret = 0;

	switch (opt) {
	case OPT_RELAY:
		return options_addr(arg, CLIENT_PORT_DEFAULT, &conf->relay, why);
	case OPT_BIND:
		return options_addr(arg, 0, &conf->bind, why);
	case OPT_UFRAG:
		conf->ufrag = arg;
		return strlen(arg) >= 4 && strlen(arg) <= ICE_UFRAG_MAX ? 0 : -EINVAL;
	case OPT_PWD:
		conf->pwd = arg;
		return strlen(arg) >= 22 && strlen(arg) <= ICE_UFRAG_MAX ? 0 : -EINVAL;
	case OPT_SECRET:
		conf->secret_path = arg;
		break;
	case OPT_ROOM:
		conf->room = arg;
		break;
	case OPT_PARTICIPANT:
		conf->participant = arg;
		return plm_name_valid(arg, strlen(arg)) ? 0 : -EINVAL;
	case OPT_TTL:
		ret = options_u64(arg, 1, 10 * 366 * 86400, &conf->ttl_s);
		break;
	case OPT_CLONES:
		ret = options_u64(arg, 1, CLIENT_CLONES_MAX, &v);
		conf->clones = (unsigned int)v;
		break;
	case OPT_JOIN_RATE:
		ret = options_u64(arg, 1, 1000000, &v);
		conf->join_rate = (unsigned int)v;
		break;
	case OPT_COALESCE:
		ret = options_seconds(arg, &conf->coalesce_ns);
		break;
	case OPT_ROLE:
		ret = parse_word(arg, "controlling", "controlled");
		conf->controlled = ret == 1;
		break;
	case OPT_NOMINATION:
		ret = parse_word(arg, "aggressive", "regular");
		conf->nomination = ret == 1 ? ICE_REGULAR : ICE_AGGRESSIVE;
		break;
	case OPT_NO_CONSENT:
		conf->no_consent = true;
		break;
	case OPT_REBIND_AFTER:
		ret = options_seconds(arg, &conf->rebind_ns);
		break;
	case OPT_REBIND_NOMINATE:
		conf->rebind_nominate = true;
		break;
	case OPT_WZP:
		conf->wzp = true;
		break;
	case OPT_IDENTITY:
		conf->identity_path = arg;
		break;
	case OPT_ALIAS:
		conf->alias = arg;
		return arg[0] != '\0' && strlen(arg) <= PLM_WZP_TEXT_MAX ? 0 : -EINVAL;
	case OPT_TOKEN:
		conf->token = arg;
		return strlen(arg) <= PLM_WZP_TOKEN_MAX ? 0 : -EINVAL;
	case OPT_TOKEN_FILE:
		return options_token(arg, conf->token_file, why);
	case OPT_SIGNALS:
		conf->signals = true;
		break;
	case OPT_NO_READ:
		conf->no_read = true;
		break;
	case OPT_PING:
		ret = options_seconds(arg, &conf->ping_ns);
		break;
	case OPT_HANGUP:
		conf->hangup = true;
		break;
	case OPT_CODEC:
		return options_codec(arg, &conf->codec);
	case OPT_QUALITY_REPORT:
		conf->has_quality = true;
		return options_quality(arg, &conf->quality);
	case OPT_MEDIA:
		conf->media_path = arg;
		break;
	case OPT_RECORD:
		conf->record_path = arg;
		break;
	case OPT_PAYLOAD_TYPE:
		ret = options_u64(arg, 0, 127, &v);
		conf->payload_type = (uint8_t)v;
		break;
	case OPT_CIPHER:
		return parse_cipher(arg, conf);
	case OPT_KEY_UPDATE_AFTER:
		ret = options_seconds(arg, &conf->key_update_ns);
		break;
	case OPT_KEEP_ALIVE:
		ret = options_seconds(arg, &conf->keep_alive_ns);
		break;
	case OPT_PIN:
		conf->has_pin = true;
		return options_pin(arg, conf->pin);
	case OPT_RTP:
		return parse_ports(arg, conf, why);
	case OPT_RTP_BIND:
		conf->producer_bind = arg;
		break;
	case OPT_GENERATE:
		if (conf->nb_gens == CLIENT_GENS_MAX) {
			plm_text_add(why, "more than %d streams", CLIENT_GENS_MAX);
			return -EINVAL;
		}
		return options_generate(arg, &conf->gens[conf->nb_gens++], why);
	case OPT_START_DELAY:
		ret = options_seconds(arg, &conf->start_delay_ns);
		break;
	case OPT_NO_BYE:
		conf->no_bye = true;
		break;
	case OPT_RTP_OUT:
		if (conf->nb_sinks == CLIENT_SINKS_MAX) {
			plm_text_add(why, "more than %d", CLIENT_SINKS_MAX);
			return -EINVAL;
		}
		return options_sink(arg, &conf->sinks[conf->nb_sinks++], why);
	case OPT_PCAP:
		conf->pcap_path = arg;
		break;
	case OPT_REPLAY:
		conf->replay_path = arg;
		break;
	case OPT_REPLAY_PORT:
		ret = options_u64(arg, 1, UINT16_MAX, &v);
		conf->replay_port = (uint16_t)v;
		break;
	case OPT_REPLAY_LOOP:
		conf->replay_loop = true;
		break;
	case OPT_CLOCK:
		ret = parse_clock(arg, conf);
		break;
	case OPT_VERIFY:
		conf->verify = true;
		break;
	case OPT_RTCP:
		conf->rtcp = true;
		break;
	case OPT_PLI_EVERY:
		ret = options_seconds(arg, &conf->pli_ns);
		break;
	case OPT_STATS:
		conf->quiet = false;
		break;
	case OPT_JSON:
		conf->json = true;
		break;
	case OPT_INTERVAL:
		ret = options_seconds(arg, &conf->interval_ns);
		break;
	case OPT_QUIET:
		conf->quiet = true;
		break;
	case OPT_DURATION:
		ret = options_seconds(arg, &conf->duration_ns);
		break;
	case OPT_LINGER:
		ret = options_seconds(arg, &conf->linger_ns);
		break;
	case OPT_COUNT:
		ret = options_u64(arg, 1, UINT64_MAX, &conf->count);
		break;
	case OPT_UNTIL_BYE:
		conf->until_bye = true;
		break;
	case OPT_EXPECT:
		ret = options_u64(arg, 0, UINT64_MAX, &conf->expect);
		conf->has_expect = true;
		break;
	case OPT_EXPECT_STREAMS:
		ret = options_u64(arg, 1, RX_STREAMS_MAX, &v);
		conf->expect_streams = (unsigned int)v;
		break;
	case OPT_READY_FILE:
		conf->ready_path = arg;
		break;
	case OPT_HELP:
		break;
	}
	return ret < 0 ? ret : 0;
}

/* An option may mean one thing to those who send and another to those who receive: the entry of
 * this name that is for the verb, or -1. */
static int
option_for(const char *name, enum client_verb verb)
{
	for (size_t i = 0; i < RTE_DIM(options); i++)
		if (strcmp(options[i].name, name) == 0 && (options[i].verbs & 1 << verb) != 0)
			return (int)i;
	return -1;
}

int
options_parse(int argc, char **argv, struct client_conf *conf)
{
	struct option long_options[RTE_DIM(options) + 1] = { 0 };
	const char *problem;
	size_t v;
	int opt;
	int idx;

	for (v = 0; v < RTE_DIM(verbs) && strcmp(argv[0], verbs[v].name) != 0; v++)
		;
	if (v == RTE_DIM(verbs)) {
		fprintf(stderr, "plenum-client: no verb '%s'\n", argv[0]);
		return -EINVAL;
	}
	for (size_t i = 0; i < RTE_DIM(options); i++)
		long_options[i] = (struct option){ options[i].name,
			options[i].arg != NULL ? required_argument : no_argument, NULL,
			(int)options[i].opt };
	*conf = (struct client_conf){
		.verb = verbs[v].verb,
		.clones = 1,
		.join_rate = 100,
		.ttl_s = 3600,
		.keep_alive_ns = 5 * PLM_NS_PER_S,
		.start_delay_ns = 200 * PLM_NS_PER_MS,
		.linger_ns = 500 * PLM_NS_PER_MS,
		.producer_bind = "127.0.0.1",
		.payload_type = CLIENT_PAYLOAD_TYPE,
	};
	/* Static payload types (RFC 3551 §6): audio at 8 kHz but for a few, video at 90 kHz. */
	for (unsigned int pt = 0; pt < RTE_DIM(conf->clock_hz); pt++)
		conf->clock_hz[pt] = pt < 24 && pt != 14 ? 8000 : 90000;
	conf->clock_hz[6] = 16000;
	conf->clock_hz[10] = 44100;
	conf->clock_hz[11] = 44100;
	conf->clock_hz[16] = 11025;
	conf->clock_hz[17] = 22050;

	while ((opt = getopt_long(argc, argv, "", long_options, &idx)) != -1) {
		char why_buf[256];
		struct plm_text why;
		int own;

		if (opt == '?')
			return -EINVAL;
		if (opt == OPT_HELP) {
			verb_usage(v);
			return 1;
		}
		own = option_for(options[idx].name, conf->verb);
		if (own < 0) {
			fprintf(stderr, "plenum-client: --%s is not for '%s'\n", options[idx].name,
					verbs[v].name);
			return -EINVAL;
		}
		plm_text_init(&why, why_buf, sizeof(why_buf));
		if ((options[own].verbs & OF_WZP) != 0)
			conf->wzp_option = options[own].name;
		if (take_option(conf, options[own].opt, optarg, &why) < 0) {
			fprintf(stderr, "plenum-client: --%s %s: %s%s\n", options[own].name, optarg,
					why.len != 0 ? why.buf : "expected ",
					why.len != 0 ? "" : options[own].arg);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "plenum-client: '%s' is not an option\n", argv[optind]);
		return -EINVAL;
	}
	if (!conf->wzp && conf->wzp_option != NULL) {
		fprintf(stderr, "plenum-client: --%s says how to do --wzp\n", conf->wzp_option);
		return -EINVAL;
	}
	if (conf->wzp && conf->participant == NULL)
		conf->participant = "wzp";
	if (conf->token_file[0] != '\0' && conf->token == NULL)
		conf->token = conf->token_file;
	/* That of Opus (RFC 7587), whatever the type. */
	if (conf->wzp)
		conf->clock_hz[conf->payload_type] = 48000;
	problem = options_problem(conf);
	if (problem != NULL) {
		fprintf(stderr, "plenum-client: %s\n", problem);
		return -EINVAL;
	}
	return 0;
}
