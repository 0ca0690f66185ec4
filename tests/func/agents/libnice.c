/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An ICE agent made of libnice for the relay tests; README.md says what every agent here does and
 * prints. One thread: everything happens in the main loop.
 */
#include <agent.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RTP_HDR_LEN 12
#define PAYLOAD_LEN 160
#define GAP_US      (400 * 1000)
#define NUMBERS_MAX (1u << 20)

static char *opt_relay, *opt_local, *opt_ufrag, *opt_pwd;
static char *opt_role = (char *)"controlling", *opt_nomination = (char *)"aggressive";
static char *opt_consent = (char *)"on";
static int opt_port, opt_rate = 50, opt_ssrc;
static double opt_seconds = 10;

static const GOptionEntry options[] = { { "relay", 0, 0, G_OPTION_ARG_STRING, &opt_relay,
							"address of the relay", "ADDR" },
	{ "port", 0, 0, G_OPTION_ARG_INT, &opt_port, "UDP port of the relay", "N" },
	{ "local", 0, 0, G_OPTION_ARG_STRING, &opt_local, "own address", "ADDR" },
	{ "ufrag", 0, 0, G_OPTION_ARG_STRING, &opt_ufrag, "of the credential", "TEXT" },
	{ "pwd", 0, 0, G_OPTION_ARG_STRING, &opt_pwd, "of the credential", "TEXT" },
	{ "role", 0, 0, G_OPTION_ARG_STRING, &opt_role, "controlling or controlled", "ROLE" },
	{ "nomination", 0, 0, G_OPTION_ARG_STRING, &opt_nomination, "aggressive or regular",
			"KIND" },
	{ "consent", 0, 0, G_OPTION_ARG_STRING, &opt_consent, "on or off (the default of libnice)",
			"SWITCH" },
	{ "ssrc", 0, 0, G_OPTION_ARG_INT, &opt_ssrc, "to send with; 0 sends nothing", "N" },
	{ "rate", 0, 0, G_OPTION_ARG_INT, &opt_rate, "packets a second to send", "N" },
	{ "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &opt_seconds, "how long to stay", "S" }, { NULL } };

struct peer {
	GMainLoop *loop;
	NiceAgent *agent;
	guint stream_id;
	bool connected;
	uint32_t sent;
	uint32_t received, duplicates, bad;
	int64_t last_us;
	uint8_t seen[NUMBERS_MAX / 8]; /* of one publisher */
};

static void
say(const char *event)
{
	printf("{\"event\": \"%s\", \"t\": %.6f}\n", event, (double)g_get_real_time() / 1e6);
	fflush(stdout);
}

/* Packet number `n` of a stream: the number is the timestamp, every byte follows from it. */
static void
fill(uint8_t *pkt, size_t len, uint32_t ssrc, uint32_t n)
{
	const uint16_t seq = GUINT16_TO_BE((uint16_t)n);
	const uint32_t be_n = GUINT32_TO_BE(n), be_ssrc = GUINT32_TO_BE(ssrc);

	pkt[0] = 0x80;
	pkt[1] = 96;
	memcpy(pkt + 2, &seq, 2);
	memcpy(pkt + 4, &be_n, 4);
	memcpy(pkt + 8, &be_ssrc, 4);
	for (size_t i = RTP_HDR_LEN; i < len; i++)
		pkt[i] = (uint8_t)(n + ssrc + i - RTP_HDR_LEN);
}

static void
on_recv(NiceAgent *agent, guint stream_id, guint component_id, guint len, gchar *buf, gpointer arg)
{
	struct peer *peer = arg;
	uint8_t want[2048];
	uint32_t n, ssrc;
	const int64_t now_us = g_get_monotonic_time();

	if (len < RTP_HDR_LEN || len > sizeof(want)) {
		peer->bad++;
		return;
	}
	memcpy(&n, buf + 4, 4);
	memcpy(&ssrc, buf + 8, 4);
	n = GUINT32_FROM_BE(n);
	fill(want, len, GUINT32_FROM_BE(ssrc), n);
	if (memcmp(want, buf, len) != 0 || n >= NUMBERS_MAX) {
		peer->bad++;
	} else if (peer->seen[n / 8] & 1 << n % 8) {
		peer->duplicates++;
	} else {
		peer->seen[n / 8] |= (uint8_t)(1 << n % 8);
		peer->received++;
	}
	if (peer->last_us == 0 || now_us - peer->last_us > GAP_US)
		say("resumed");
	peer->last_us = now_us;
}

static gboolean
on_send(gpointer arg)
{
	struct peer *peer = arg;
	uint8_t pkt[RTP_HDR_LEN + PAYLOAD_LEN];

	if (peer->connected && opt_ssrc != 0) {
		fill(pkt, sizeof(pkt), (uint32_t)opt_ssrc, peer->sent);
		if (nice_agent_send(peer->agent, peer->stream_id, 1, sizeof(pkt), (gchar *)pkt) > 0)
			peer->sent++;
	}
	return G_SOURCE_CONTINUE;
}

static void
on_state(NiceAgent *agent, guint stream_id, guint component_id, guint state, gpointer arg)
{
	struct peer *peer = arg;

	if (state == NICE_COMPONENT_STATE_READY && !peer->connected) {
		peer->connected = true;
		say("connected");
	} else if (state == NICE_COMPONENT_STATE_FAILED) {
		say("failed");
		g_main_loop_quit(peer->loop);
	}
}

static void
on_gathered(NiceAgent *agent, guint stream_id, gpointer arg)
{
	NiceCandidate *relay = nice_candidate_new(NICE_CANDIDATE_TYPE_HOST);
	GSList list = { .data = relay };

	relay->stream_id = stream_id;
	relay->component_id = 1;
	relay->transport = NICE_CANDIDATE_TRANSPORT_UDP;
	relay->priority = 2130706431;
	strcpy(relay->foundation, "1");
	if (!nice_address_set_from_string(&relay->addr, opt_relay))
		g_error("bad address of the relay: %s", opt_relay);
	nice_address_set_port(&relay->addr, (guint)opt_port);
	nice_agent_set_remote_credentials(agent, stream_id, opt_ufrag, opt_pwd);
	if (nice_agent_set_remote_candidates(agent, stream_id, 1, &list) != 1)
		g_error("libnice does not take the relay's candidate");
	nice_candidate_free(relay);
}

static gboolean
on_end(gpointer arg)
{
	struct peer *peer = arg;

	g_main_loop_quit(peer->loop);
	return G_SOURCE_CONTINUE;
}

int
main(int argc, char **argv)
{
	GOptionContext *context = g_option_context_new("- an ICE agent made of libnice");
	NiceAgentOption flags = 0;
	GError *error = NULL;
	struct peer *peer = g_new0(struct peer, 1);
	NiceAddress local;

	g_option_context_add_main_entries(context, options, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error)) {
		fprintf(stderr, "libnice agent: %s\n", error->message);
		return 2;
	}
	if (opt_relay == NULL || opt_local == NULL || opt_ufrag == NULL || opt_pwd == NULL ||
			opt_port == 0 || opt_rate <= 0) {
		fprintf(stderr, "libnice agent: --relay, --port, --local, --ufrag, --pwd needed\n");
		return 2;
	}
	if (strcmp(opt_nomination, "regular") == 0)
		flags |= NICE_AGENT_OPTION_REGULAR_NOMINATION;
	if (strcmp(opt_consent, "on") == 0)
		flags |= NICE_AGENT_OPTION_CONSENT_FRESHNESS;

	peer->loop = g_main_loop_new(NULL, FALSE);
	peer->agent = nice_agent_new_full(NULL, NICE_COMPATIBILITY_RFC5245, flags);
	g_object_set(peer->agent, "controlling-mode", strcmp(opt_role, "controlled") != 0, "upnp",
			FALSE, "ice-tcp", FALSE, NULL);
	nice_address_init(&local);
	if (!nice_address_set_from_string(&local, opt_local))
		g_error("bad own address: %s", opt_local);
	nice_agent_add_local_address(peer->agent, &local);
	g_signal_connect(peer->agent, "candidate-gathering-done", G_CALLBACK(on_gathered), peer);
	g_signal_connect(peer->agent, "component-state-changed", G_CALLBACK(on_state), peer);
	peer->stream_id = nice_agent_add_stream(peer->agent, 1);
	nice_agent_attach_recv(peer->agent, peer->stream_id, 1, g_main_context_default(), on_recv,
			peer);
	if (!nice_agent_gather_candidates(peer->agent, peer->stream_id))
		g_error("libnice cannot gather candidates on %s", opt_local);

	g_timeout_add((guint)(1000 / opt_rate), on_send, peer);
	g_timeout_add((guint)(opt_seconds * 1000), on_end, peer);
	g_unix_signal_add(SIGTERM, on_end, peer);
	g_unix_signal_add(SIGINT, on_end, peer);
	g_main_loop_run(peer->loop);

	printf("{\"event\": \"done\", \"connected\": %s, \"sent\": %" PRIu32
	       ", \"received\": %" PRIu32 ", \"duplicates\": %" PRIu32 ", \"bad\": %" PRIu32 "}\n",
			peer->connected ? "true" : "false", peer->sent, peer->received,
			peer->duplicates, peer->bad);
	g_object_unref(peer->agent);
	g_main_loop_unref(peer->loop);
	g_option_context_free(context);
	g_free(peer);
	return 0;
}
