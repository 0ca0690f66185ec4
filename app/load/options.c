/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>

#include <rte_common.h>

#include "client.h"
#include "main.h"

enum opt {
	OPT_VDEV = 256,
	OPT_PORT,
	OPT_EAL,
	OPT_CPU,
	OPT_NO_HUGE,
	OPT_MEMORY,
	OPT_RXD,
	OPT_TXD,
	OPT_MTU,
	OPT_RELAY,
	OPT_GATEWAY,
	OPT_ADDRESS,
	OPT_ADDRESSES,
	OPT_FIRST_PORT,
	OPT_SECRET,
	OPT_STATIC,
	OPT_PRINT_STATIC,
	OPT_ROOM,
	OPT_ROOMS,
	OPT_PUBLISHERS,
	OPT_SUBSCRIBERS,
	OPT_JOIN_RATE,
	OPT_WZP,
	OPT_HANDSHAKES,
	OPT_CHURN,
	OPT_NO_READ,
	OPT_FLOOD,
	OPT_CIPHER,
	OPT_TIMEOUT,
	OPT_RATE,
	OPT_SIZE,
	OPT_GARBAGE,
	OPT_DURATION,
	OPT_WARM_UP,
	OPT_WAIT,
	OPT_SEED,
	OPT_MAX_LOSS,
	OPT_SEARCH,
	OPT_TRIALS,
	OPT_TRIAL_SECONDS,
	OPT_CEILING,
	OPT_PRECISION,
	OPT_GAP,
	OPT_JSON,
	OPT_QUIET,
	OPT_VERSION,
	OPT_HELP,
};

/* One table feeds getopt_long() and the help. */
static const struct {
	const char *name;
	enum opt opt;
	const char *arg; /* NULL: takes none */
	const char *help;
} table[] = {
	{ "vdev", OPT_VDEV, "SPEC",
			"a virtual device for EAL, as net_memif0,role=client,socket=..." },
	{ "port", OPT_PORT, "NAME",
			"ethdev to use: a PCI address, or a device's name (the first --vdev)" },
	{ "eal", OPT_EAL, "\"ARGS\"", "more arguments for EAL, split at blanks" },
	{ "cpu", OPT_CPU, "N", "the one CPU that generates and receives (the last one)" },
	{ "no-huge", OPT_NO_HUGE, NULL, "memory from ordinary pages" },
	{ "memory", OPT_MEMORY, "MB", "of --no-huge (256)" },
	{ "rx-descriptors", OPT_RXD, "N", "of our RX queue (1024)" },
	{ "tx-descriptors", OPT_TXD, "N", "of our TX queue (1024)" },
	{ "mtu", OPT_MTU, "N", "bytes of an IP packet (the driver's)" },
	{ "relay", OPT_RELAY, "ADDR[:PORT]", "the relay; port 3478 unless given" },
	{ "gateway", OPT_GATEWAY, "ADDR", "next hop to it (none: on-link)" },
	{ "address", OPT_ADDRESS, "ADDR", "first address to play participants from" },
	{ "addresses", OPT_ADDRESSES, "N", "so many consecutive ones (1)" },
	{ "first-port", OPT_FIRST_PORT, "N", "first UDP port of the participants (20000)" },
	{ "secret", OPT_SECRET, "FILE", "join with credentials minted from this" },
	{ "static", OPT_STATIC, NULL, "the relay knows all participants as static endpoints" },
	{ "print-static", OPT_PRINT_STATIC, NULL,
			"print the relay's settings for --static, and end" },
	{ "room", OPT_ROOM, "NAME", "rooms are NAME-0, NAME-1... (load)" },
	{ "rooms", OPT_ROOMS, "R", "rooms (1)" },
	{ "publishers", OPT_PUBLISHERS, "P", "of each room (1)" },
	{ "subscribers", OPT_SUBSCRIBERS, "S", "of each room (10)" },
	{ "join-rate", OPT_JOIN_RATE, "N",
			"of --secret: participants that begin to join per second (500)" },
	{ "wzp", OPT_WZP, NULL, "participants are WZP clients, over QUIC" },
	{ "handshakes-per-s", OPT_HANDSHAKES, "N", "of WZP clients that begin per second (200)" },
	{ "churn", OPT_CHURN, "N",
			"more WZP clients per second that join for a second and leave (0)" },
	{ "no-read", OPT_NO_READ, "FRACTION",
			"of the WZP clients that read no signal once they are in (0)" },
	{ "flood", OPT_FLOOD, "PPS",
			"of one more room of WZP clients, uncounted, all its publishers together (0)" },
	{ "cipher", OPT_CIPHER, "aes128|aes256|chacha20", "of QUIC, the only one offered (all)" },
	{ "timeout", OPT_TIMEOUT, "SECONDS", "to find the relay and join (60)" },
	{ "rate", OPT_RATE, "PPS|max",
			"packets per second into the relay, all publishers and garbage together (1000)" },
	{ "size", OPT_SIZE, "BYTES[:WEIGHT],...",
			"of a packet, its RTP or WZP header included, 44 to 9000 (200); WZP to 1400" },
	{ "garbage", OPT_GARBAGE, "FRACTION", "of the packets that are of no use to anybody (0)" },
	{ "duration", OPT_DURATION, "SECONDS", "how long to send (10)" },
	{ "warm-up", OPT_WARM_UP, "SECONDS", "first, without counting (0.5)" },
	{ "wait", OPT_WAIT, "SECONDS", "a run is over when nothing came for so long (0.2)" },
	{ "seed", OPT_SEED, "N", "of sizes and garbage (random)" },
	{ "max-loss", OPT_MAX_LOSS, "FRACTION", "fail when more copies are lost" },
	{ "search", OPT_SEARCH, "ndr|pdr",
			"look for the highest rate without loss, or with 0.5 %" },
	{ "trials", OPT_TRIALS, "N", "that a rate must pass, 1 to 16 (3)" },
	{ "trial-seconds", OPT_TRIAL_SECONDS, "SECONDS", "of each (2)" },
	{ "ceiling", OPT_CEILING, "PPS", "highest rate to try (what goes flat out)" },
	{ "precision", OPT_PRECISION, "FRACTION", "of the rate found (0.01)" },
	{ "gap", OPT_GAP, "SECONDS",
			"a trial is disturbed when our own thread stood still for longer (0.001)" },
	{ "json", OPT_JSON, "FILE", "write all results as one JSON object" },
	{ "quiet", OPT_QUIET, NULL, "no live table" },
	{ "version", OPT_VERSION, NULL, "print the version" },
	{ "help", OPT_HELP, NULL, "this text" },
};

static void
usage(FILE *to)
{
	fprintf(to,
			"Usage: plenum-load --vdev SPEC|--port NAME --relay ADDR[:PORT] --address ADDR\n"
			"                   --secret FILE|--static|--wzp [OPTIONS]\n\n"
			"Generator and sink for a Plenum relay, on a DPDK port.\n\n");
	for (size_t i = 0; i < RTE_DIM(table); i++) {
		char head[64];

		snprintf(head, sizeof(head), "--%s%s%s", table[i].name,
				table[i].arg != NULL ? " " : "",
				table[i].arg != NULL ? table[i].arg : "");
		fprintf(to, "  %-26s %s\n", head, table[i].help);
	}
	fprintf(to,
			"\nExit: 0 done, 1 usage or system error, 2 refused, 3 consent lost,\n"
			"4 more lost than --max-loss, or no rate found, 5 no answer.\n");
}

static int
parse_fraction(const char *text, double *value)
{
	char *end;
	double v;

	if ((text[0] < '0' || text[0] > '9') && text[0] != '.')
		return -EINVAL;
	v = strtod(text, &end);
	if (end == text || *end != '\0' || !(v >= 0 && v < 1))
		return -EINVAL;
	*value = v;
	return 0;
}

static int
parse_u(const char *text, uint64_t min, uint64_t max, unsigned int *value)
{
	uint64_t v;

	if (options_u64(text, min, max, &v) < 0)
		return -EINVAL;
	*value = (unsigned int)v;
	return 0;
}

static int
parse_u16(const char *text, uint64_t min, uint64_t max, uint16_t *value)
{
	uint64_t v;

	if (options_u64(text, min, max, &v) < 0)
		return -EINVAL;
	*value = (uint16_t)v;
	return 0;
}

static int
parse_sizes(const char *text, struct load_conf *conf, struct plm_text *why)
{
	char copy[256];
	char *save = NULL;

	if (strlen(text) >= sizeof(copy)) {
		plm_text_add(why, "too long");
		return -EINVAL;
	}
	snprintf(copy, sizeof(copy), "%s", text);
	conf->nb_sizes = 0;
	for (char *t = strtok_r(copy, ",", &save); t != NULL; t = strtok_r(NULL, ",", &save)) {
		char *colon = strchr(t, ':');
		uint64_t weight = 1;
		uint64_t size;

		if (colon != NULL)
			*colon = '\0';
		if (conf->nb_sizes == LOAD_SIZES_MAX) {
			plm_text_add(why, "more than %d sizes", LOAD_SIZES_MAX);
			return -EINVAL;
		}
		if (options_u64(t, LOAD_SIZE_MIN, LOAD_SIZE_MAX, &size) < 0) {
			plm_text_add(why, "'%s' is not %d to %d bytes", t, LOAD_SIZE_MIN,
					LOAD_SIZE_MAX);
			return -EINVAL;
		}
		if (colon != NULL && options_u64(colon + 1, 1, 1000000, &weight) < 0) {
			plm_text_add(why, "'%s' is not a weight from 1 to 1000000", colon + 1);
			return -EINVAL;
		}
		conf->sizes[conf->nb_sizes].size = (uint16_t)size;
		conf->sizes[conf->nb_sizes++].weight = (unsigned int)weight;
	}
	return conf->nb_sizes == 0 ? -EINVAL : 0;
}

static int
parse_relay(const char *text, struct load_net *net, struct plm_text *why)
{
	struct client_addr addr;

	if (options_addr(text, CLIENT_PORT_DEFAULT, &addr, why) < 0)
		return -EINVAL;
	net->relay = (struct plm_ip){ .is_v6 = addr.sa.ss_family == AF_INET6 };
	net->relay_port = ntohs(((const struct sockaddr_in *)&addr.sa)->sin_port);
	if (net->relay.is_v6)
		memcpy(net->relay.addr, &((const struct sockaddr_in6 *)&addr.sa)->sin6_addr, 16);
	else
		memcpy(net->relay.addr, &((const struct sockaddr_in *)&addr.sa)->sin_addr, 4);
	return 0;
}

static int
parse_cipher(const char *text, struct load_conf *conf)
{
	static const char *const names[] = {
		[PLM_AES128_GCM] = "aes128",
		[PLM_AES256_GCM] = "aes256",
		[PLM_CHACHA20_POLY1305] = "chacha20",
	};

	for (unsigned int i = 0; i < RTE_DIM(names); i++) {
		if (strcmp(text, names[i]) != 0)
			continue;
		conf->has_cipher = true;
		conf->cipher = (enum plm_aead_cipher)i;
		return 0;
	}
	return -EINVAL;
}

static int
take_port_option(struct options *o, enum opt opt, const char *arg, struct plm_text *why)
{
	switch (opt) {
	case OPT_VDEV:
		if (o->nb_vdevs == LOAD_VDEVS_MAX) {
			plm_text_add(why, "more than %d devices", LOAD_VDEVS_MAX);
			return -EINVAL;
		}
		o->vdevs[o->nb_vdevs++] = arg;
		return 0;
	case OPT_PORT:
		snprintf(o->port, sizeof(o->port), "%s", arg);
		return strlen(arg) < sizeof(o->port) ? 0 : -EINVAL;
	case OPT_EAL:
		o->eal = arg;
		return 0;
	case OPT_CPU:
		o->has_cpu = true;
		return parse_u(arg, 0, 1023, &o->cpu);
	case OPT_NO_HUGE:
		o->no_huge = true;
		return 0;
	case OPT_MEMORY:
		return parse_u(arg, 64, 1 << 20, &o->memory_mb);
	case OPT_RXD:
		return parse_u16(arg, 64, 32768, &o->nb_rxd);
	case OPT_TXD:
		return parse_u16(arg, 64, 32768, &o->nb_txd);
	case OPT_MTU:
		return parse_u16(arg, 576, 9216, &o->mtu);
	default:
		return -EINVAL;
	}
}

static int
take_peer_option(struct options *o, enum opt opt, const char *arg, struct plm_text *why)
{
	struct load_conf *conf = &o->conf;

	switch (opt) {
	case OPT_RELAY:
		o->has_relay = true;
		return parse_relay(arg, &conf->net, why);
	case OPT_GATEWAY:
		return plm_ip_parse(arg, &conf->net.hop);
	case OPT_ADDRESS:
		o->has_address = true;
		return plm_ip_parse(arg, &conf->net.first);
	case OPT_ADDRESSES:
		return parse_u(arg, 1, LOAD_ADDRESSES_MAX, &conf->net.nb_addresses);
	case OPT_FIRST_PORT:
		return parse_u16(arg, 1, UINT16_MAX, &conf->net.first_port);
	case OPT_SECRET:
		o->secret_path = arg;
		return 0;
	case OPT_STATIC:
		conf->is_static = true;
		return 0;
	case OPT_PRINT_STATIC:
		o->print_static = true;
		return 0;
	case OPT_ROOM:
		conf->room = arg;
		/* A number is put behind it. */
		return plm_name_valid(arg, strlen(arg)) && strlen(arg) < PLM_NAME_SIZE - 8
				? 0
				: -EINVAL;
	case OPT_ROOMS:
		return parse_u(arg, 1, LOAD_PARTICIPANTS_MAX, &conf->rooms);
	case OPT_PUBLISHERS:
		return parse_u(arg, 1, LOAD_PARTICIPANTS_MAX, &conf->publishers);
	case OPT_SUBSCRIBERS:
		return parse_u(arg, 0, LOAD_PARTICIPANTS_MAX, &conf->subscribers);
	case OPT_JOIN_RATE:
		return parse_u(arg, 1, 1000000, &conf->join_rate);
	case OPT_WZP:
		conf->is_quic = true;
		return 0;
	case OPT_HANDSHAKES:
		return parse_u(arg, 1, 100000, &conf->handshakes_per_s);
	case OPT_CHURN:
		return parse_u(arg, 0, LOAD_CHURN_MAX, &conf->churn);
	case OPT_NO_READ:
		return parse_fraction(arg, &conf->unread);
	case OPT_FLOOD:
		return options_u64(arg, 0, 1000000000, &conf->flood);
	case OPT_CIPHER:
		return parse_cipher(arg, conf);
	case OPT_TIMEOUT:
		return options_seconds(arg, &o->timeout_ns);
	default:
		return take_port_option(o, opt, arg, why);
	}
}

static int
take_option(struct options *o, enum opt opt, const char *arg, struct plm_text *why)
{
	switch (opt) {
	case OPT_RATE:
		o->rate = 0;
		return strcmp(arg, "max") == 0 ? 0 : options_u64(arg, 1, 1000000000, &o->rate);
	case OPT_SIZE:
		return parse_sizes(arg, &o->conf, why);
	case OPT_GARBAGE:
		return parse_fraction(arg, &o->conf.garbage);
	case OPT_DURATION:
		return options_seconds(arg, &o->duration_ns);
	case OPT_WARM_UP:
		return options_seconds(arg, &o->warm_up_ns);
	case OPT_WAIT:
		return options_seconds(arg, &o->conf.wait_ns);
	case OPT_SEED:
		return options_u64(arg, 1, UINT64_MAX, &o->conf.seed);
	case OPT_MAX_LOSS:
		o->has_max_loss = true;
		return parse_fraction(arg, &o->max_loss);
	case OPT_SEARCH:
		o->search = strcmp(arg, "ndr") == 0       ? SEARCH_NDR
				: strcmp(arg, "pdr") == 0 ? SEARCH_PDR
							  : SEARCH_NONE;
		return o->search == SEARCH_NONE ? -EINVAL : 0;
	case OPT_TRIALS:
		return parse_u(arg, 1, 16, &o->trials);
	case OPT_TRIAL_SECONDS:
		return options_seconds(arg, &o->trial_ns);
	case OPT_CEILING:
		return options_u64(arg, 1, 1000000000, &o->ceiling);
	case OPT_PRECISION:
		return parse_fraction(arg, &o->precision);
	case OPT_GAP:
		return options_seconds(arg, &o->gap_ns);
	case OPT_JSON:
		o->json_path = arg;
		return 0;
	case OPT_QUIET:
		o->quiet = true;
		return 0;
	default:
		return take_peer_option(o, opt, arg, why);
	}
}

/* What no single option can say. */
static int
check_together(struct options *o, struct plm_text *why)
{
	const struct load_conf *conf = &o->conf;
	uint64_t n = load_nb_places(conf);
	uint64_t pairs = (uint64_t)conf->rooms * conf->publishers * load_receivers(conf);
	uint64_t last_port = conf->net.first_port + n / conf->net.nb_addresses + 256;
	static const uint8_t none[16];

	if (!o->has_address)
		plm_text_add(why, "--address is missing");
	else if (o->print_static)
		;
	else if (!o->has_relay)
		plm_text_add(why, "--relay is missing");
	else if (conf->net.relay.is_v6 != conf->net.first.is_v6)
		plm_text_add(why, "--address and --relay are of different address families");
	else if (o->nb_vdevs == 0 && o->port[0] == '\0')
		plm_text_add(why, "no port: give --vdev or --port");
	else if (conf->is_static + conf->is_quic + (o->secret_path != NULL) != 1)
		plm_text_add(why, "give one of --secret, --static and --wzp");
	else if (!conf->is_quic &&
			(conf->churn != 0 || conf->has_cipher || conf->handshakes_per_s != 0 ||
					conf->unread > 0 || conf->flood != 0))
		plm_text_add(why,
				"--handshakes-per-s, --churn, --no-read, --flood and --cipher are "
				"of --wzp");
	else if (conf->is_quic && conf->join_rate != 0)
		plm_text_add(why, "--join-rate is of --secret: --wzp has --handshakes-per-s");
	else if (!conf->is_quic && conf->subscribers == 0)
		plm_text_add(why, "--subscribers 0 is of --wzp, where publishers hear each other");
	else if (conf->publishers + conf->subscribers < 2)
		plm_text_add(why, "nobody hears anything: give more --publishers or --subscribers");
	for (unsigned int i = 0; conf->is_quic && why->len == 0 && i < conf->nb_sizes; i++)
		if (conf->sizes[i].size > LOAD_QUIC_SIZE_MAX)
			plm_text_add(why, "a datagram of %u bytes fits no QUIC packet: at most %d",
					conf->sizes[i].size, LOAD_QUIC_SIZE_MAX);
	if (why->len == 0 && n > LOAD_PARTICIPANTS_MAX)
		plm_text_add(why, "%" PRIu64 " participants: at most %d", n, LOAD_PARTICIPANTS_MAX);
	if (why->len == 0 && pairs > LOAD_PAIRS_MAX)
		plm_text_add(why,
				"%" PRIu64
				" pairs of a publisher and a subscriber would take %" PRIu64
				" MB: at most %u",
				pairs, pairs * sizeof(struct load_pair) >> 20, LOAD_PAIRS_MAX);
	if (why->len == 0 && last_port > UINT16_MAX)
		plm_text_add(why,
				"%" PRIu64 " participants need UDP ports up to %" PRIu64
				": give more --addresses or a lower --first-port",
				n, last_port);
	if (why->len == 0 && (o->duration_ns == 0 || o->trial_ns == 0))
		plm_text_add(why, "--duration and --trial-seconds must be above 0");
	if (why->len != 0)
		return -EINVAL;
	if (memcmp(o->conf.net.hop.addr, none, sizeof(none)) == 0)
		o->conf.net.hop = o->conf.net.relay;
	if (o->conf.net.hop.is_v6 != o->conf.net.relay.is_v6) {
		plm_text_add(why, "--gateway and --relay are of different address families");
		return -EINVAL;
	}
	if (o->conf.join_rate == 0)
		o->conf.join_rate = 500;
	if (o->conf.handshakes_per_s == 0)
		o->conf.handshakes_per_s = 200;
	if (o->port[0] == '\0' && o->nb_vdevs != 0)
		snprintf(o->port, sizeof(o->port), "%.*s", (int)strcspn(o->vdevs[0], ","),
				o->vdevs[0]);
	return 0;
}

int
load_options(int argc, char **argv, struct options *o)
{
	struct option long_options[RTE_DIM(table) + 1] = { 0 };
	char why_buf[LOAD_WHY_SIZE];
	struct plm_text why;
	int opt;
	int idx;

	for (size_t i = 0; i < RTE_DIM(table); i++)
		long_options[i] = (struct option){ table[i].name,
			table[i].arg != NULL ? required_argument : no_argument, NULL,
			(int)table[i].opt };
	*o = (struct options){
		.conf = { .net = { .nb_addresses = 1, .first_port = 20000 },
				.rooms = 1,
				.publishers = 1,
				.subscribers = 10,
				.room = "load",
				.sizes = { { .size = 200, .weight = 1 } },
				.nb_sizes = 1,
				.wait_ns = 200 * PLM_NS_PER_MS },
		.memory_mb = 256,
		.nb_rxd = 1024,
		.nb_txd = 1024,
		.rate = 1000,
		.duration_ns = 10 * PLM_NS_PER_S,
		.warm_up_ns = PLM_NS_PER_S / 2,
		.timeout_ns = 60 * PLM_NS_PER_S,
		.trials = 3,
		.trial_ns = 2 * PLM_NS_PER_S,
		.precision = 0.01,
		.gap_ns = PLM_NS_PER_MS,
	};
	plm_text_init(&why, why_buf, sizeof(why_buf));
	while ((opt = getopt_long(argc, argv, "", long_options, &idx)) != -1) {
		if (opt == '?')
			return -EINVAL;
		if (opt == OPT_HELP) {
			usage(stdout);
			return 1;
		}
		if (opt == OPT_VERSION) {
			printf("plenum-load %s\n", PLM_VERSION);
			return 1;
		}
		if (take_option(o, (enum opt)opt, optarg, &why) < 0) {
			fprintf(stderr, "plenum-load: --%s %s: %s%s\n", table[idx].name, optarg,
					why.len != 0 ? why.buf : "expected ",
					why.len != 0 ? "" : table[idx].arg);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "plenum-load: '%s' is not an option\n", argv[optind]);
		return -EINVAL;
	}
	if (check_together(o, &why) < 0) {
		fprintf(stderr, "plenum-load: %s\n", why_buf);
		return -EINVAL;
	}
	return 0;
}
