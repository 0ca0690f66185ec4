/* SPDX-License-Identifier: BSD-3-Clause */
/* What happened, as a table for people or as JSON, and whether it is what --expect said. */
#include "report.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include <rte_common.h>

#include "client.h"

/* Rows of the table; a process of hundreds of clones is better read as JSON. */
#define TABLE_ROWS 64
/* Participants that are named when --expect fails. */
#define BAD_SHOWN 10

static const char *const verb_names[] = {
	[VERB_PUBLISH] = "publish",
	[VERB_SUBSCRIBE] = "subscribe",
	[VERB_BOTH] = "both",
};

static const char *const exit_names[] = {
	[CLIENT_OK] = "ok",
	[CLIENT_FAILED] = "failed",
	[CLIENT_REFUSED] = "refused",
	[CLIENT_LOST] = "consent_lost",
	[CLIENT_UNEXPECTED] = "unexpected",
	[CLIENT_NO_ANSWER] = "no_answer",
};

/* Of a participant, or of all. */
struct sums {
	uint64_t received;
	uint64_t bytes;
	uint64_t lost;
	uint64_t reordered;
	uint64_t duplicates;
	uint64_t late;
	uint64_t corrupt;
	uint64_t echoed;
	uint64_t sent;
	uint64_t socket_drops;
	uint64_t nb_pairs; /* of participant and stream */
	uint64_t pair_min;
	uint64_t pair_max;
};

const char *
report_addr(const struct client_addr *addr, char *buf, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";
	uint16_t port = ntohs(((const struct sockaddr_in *)&addr->sa)->sin_port);

	if (addr->sa.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)&addr->sa)->sin6_addr, host,
				sizeof(host));
		snprintf(buf, size, "[%s]:%u", host, port);
	} else {
		inet_ntop(AF_INET, &((const struct sockaddr_in *)&addr->sa)->sin_addr, host,
				sizeof(host));
		snprintf(buf, size, "%s:%u", host, port);
	}
	return buf;
}

static void
sum_participant(const struct participant *p, struct sums *sums)
{
	const struct client *client = p->client;

	for (unsigned int i = 0; i < client->conf->nb_gens; i++)
		sums->sent += p->gens[i].index;
	for (unsigned int i = 0; i < client->conf->nb_producers; i++)
		for (unsigned int s = 0; s < client->producers[i].nb_sources; s++)
			sums->sent += client->producers[i].sources[s].packets;
	for (unsigned int s = 0; client->replay != NULL && s < client->replay->nb_sources; s++)
		sums->sent += client->replay->sources[s].packets;
	sums->received += p->received;
	sums->echoed += p->echoed;
	sums->socket_drops += participant_drops(p);
	for (uint32_t i = 0; i < p->rx.nb_streams; i++) {
		const struct rx_stream *rx = p->rx.streams[i];

		if (rx->own)
			continue;
		sums->bytes += rx->bytes;
		sums->lost += rx_lost(rx);
		sums->reordered += rx->reordered;
		sums->duplicates += rx->duplicates;
		sums->late += rx->late;
		sums->corrupt += rx->corrupt;
		sums->pair_min = sums->nb_pairs == 0 ? rx->received
						     : RTE_MIN(sums->pair_min, rx->received);
		sums->pair_max = RTE_MAX(sums->pair_max, rx->received);
		sums->nb_pairs++;
	}
}

static void
merge_hists(const struct participant *p, struct plm_hist *delay, struct plm_hist *jitter)
{
	for (uint32_t i = 0; i < p->rx.nb_streams; i++) {
		if (p->rx.streams[i]->own)
			continue;
		plm_hist_merge(delay, p->rx.streams[i]->delay);
		plm_hist_merge(jitter, p->rx.streams[i]->jitter);
	}
}

/* Percentiles, or null where nothing was measured. */
static json_t *
json_hist(const struct plm_hist *hist)
{
	if (plm_hist_count(hist) == 0)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o}", "p50", json_count(plm_hist_quantile(hist, 5000)),
			"p99", json_count(plm_hist_quantile(hist, 9900)), "p999",
			json_count(plm_hist_quantile(hist, 9990)), "max",
			json_count(plm_hist_quantile(hist, 10000)));
}

static void
json_sums(json_t *o, const struct sums *sums)
{
	json_object_set_new(o, "sent", json_count(sums->sent));
	json_object_set_new(o, "received", json_count(sums->received));
	json_object_set_new(o, "bytes", json_count(sums->bytes));
	json_object_set_new(o, "lost", json_count(sums->lost));
	json_object_set_new(o, "reordered", json_count(sums->reordered));
	json_object_set_new(o, "duplicates", json_count(sums->duplicates));
	json_object_set_new(o, "late", json_count(sums->late));
	json_object_set_new(o, "corrupt", json_count(sums->corrupt));
	json_object_set_new(o, "echoed", json_count(sums->echoed));
	json_object_set_new(o, "socket_drops", json_count(sums->socket_drops));
	json_object_set_new(o, "pairs", json_count(sums->nb_pairs));
	json_object_set_new(o, "pair_min", json_count(sums->pair_min));
	json_object_set_new(o, "pair_max", json_count(sums->pair_max));
}

static json_t *
json_stream(const struct rx_stream *rx)
{
	return json_pack("{s:o, s:i, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
			 "s:{s:o, s:o, s:b}}",
			"ssrc", json_count(rx->ssrc), "pt", rx->payload_type, "own", rx->own,
			"received", json_count(rx->received), "unique", json_count(rx->unique),
			"bytes", json_count(rx->bytes), "lost", json_count(rx_lost(rx)),
			"reordered", json_count(rx->reordered), "duplicates",
			json_count(rx->duplicates), "late", json_count(rx->late), "corrupt",
			json_count(rx->corrupt), "restarts", json_count(rx->restarts), "delay_ns",
			json_hist(rx->delay), "jitter_ns", json_hist(rx->jitter), "rtcp", "sr",
			json_count(rx->nb_sr), "rr", json_count(rx->nb_rr), "bye", rx->bye);
}

static json_t *
json_ice(const struct ice_agent *ice)
{
	json_t *o = json_object();

	json_object_set_new(o, "state", json_string(ice_state_name(ice->state)));
	json_object_set_new(o, "role",
			json_string(ice->controlling ? "controlling" : "controlled"));
	json_object_set_new(o, "error", json_integer(ice->error_code));
	json_object_set_new(o, "rtt_ns", json_count(ice->rtt_ns));
	json_object_set_new(o, "requests", json_count(ice->requests_sent));
	json_object_set_new(o, "retransmits", json_count(ice->retransmits));
	json_object_set_new(o, "consents", json_count(ice->consents_sent));
	json_object_set_new(o, "consents_answered", json_count(ice->consents_answered));
	json_object_set_new(o, "role_switches", json_count(ice->role_switches));
	json_object_set_new(o, "bad_integrity", json_count(ice->bad_integrity));
	json_object_set_new(o, "unknown_tid", json_count(ice->unknown_tid));
	json_object_set_new(o, "malformed", json_count(ice->malformed));
	json_object_set_new(o, "ignored", json_count(ice->ignored));
	if (ice->mapped_size != 0) {
		struct client_addr mapped = { 0 };
		char text[80];

		mapped.sa.ss_family = ice->mapped_size == 16 ? AF_INET6 : AF_INET;
		((struct sockaddr_in *)&mapped.sa)->sin_port = htons(ice->mapped_port);
		if (ice->mapped_size == 16)
			memcpy(&((struct sockaddr_in6 *)&mapped.sa)->sin6_addr, ice->mapped, 16);
		else
			memcpy(&((struct sockaddr_in *)&mapped.sa)->sin_addr, ice->mapped, 4);
		json_object_set_new(o, "mapped",
				json_string(report_addr(&mapped, text, sizeof(text))));
	}
	return o;
}

static json_t *
json_sent(const struct participant *p)
{
	const struct client *client = p->client;
	json_t *sent = json_array();

	for (unsigned int i = 0; i < client->conf->nb_gens; i++)
		json_array_append_new(sent,
				json_pack("{s:o, s:i, s:o}", "ssrc", json_count(p->gens[i].ssrc),
						"pt", p->gens[i].conf.payload_type, "packets",
						json_count(p->gens[i].index)));
	for (unsigned int i = 0; i < client->conf->nb_producers; i++)
		for (unsigned int s = 0; s < client->producers[i].nb_sources; s++)
			json_array_append_new(sent,
					json_pack("{s:o, s:i, s:o, s:i}", "ssrc",
							json_count(client->producers[i].sources[s]
											.ssrc),
							"pt",
							client->producers[i]
									.sources[s]
									.payload_type,
							"packets",
							json_count(client->producers[i].sources[s]
											.packets),
							"port", client->producers[i].port));
	for (unsigned int s = 0; client->replay != NULL && s < client->replay->nb_sources; s++) {
		const struct replay_source *source = &client->replay->sources[s];

		json_array_append_new(sent,
				json_pack("{s:o, s:i, s:o}", "ssrc", json_count(source->ssrc), "pt",
						source->payload_type, "packets",
						json_count(source->packets)));
	}
	return sent;
}

/* Counters of one participant that are not sums over its streams. */
static void
json_counters(json_t *o, const struct participant *p)
{
	json_object_set_new(o, "rtcp_sent", json_count(p->rtcp_sent));
	json_object_set_new(o, "rtcp_received", json_count(p->rtcp_received));
	json_object_set_new(o, "rtcp_sr", json_count(p->rtcp_sr));
	json_object_set_new(o, "rtcp_rr", json_count(p->rtcp_rr));
	json_object_set_new(o, "rtcp_pli", json_count(p->rtcp_pli));
	json_object_set_new(o, "rtcp_bye", json_count(p->rtcp_bye));
	json_object_set_new(o, "rtcp_malformed", json_count(p->rtcp_malformed));
	json_object_set_new(o, "rtp_malformed", json_count(p->rtp_malformed));
	json_object_set_new(o, "foreign", json_count(p->foreign));
	json_object_set_new(o, "truncated", json_count(p->truncated));
	json_object_set_new(o, "streams_refused", json_count(p->rx.refused));
	json_object_set_new(o, "net_errors", json_count(p->net_errors));
	json_object_set_new(o, "send_blocked", json_count(p->send_blocked));
}

/* `whole`: with streams and everything; otherwise the row of an interval. */
static json_t *
json_participant(const struct participant *p, bool whole)
{
	struct plm_hist *delay = calloc(2, sizeof(*delay));
	json_t *o = json_object();
	struct sums sums = { 0 };
	json_t *streams;
	char addr[80];

	sum_participant(p, &sums);
	json_object_set_new(o, "name", json_string(p->name));
	json_object_set_new(o, "room", json_string(p->room));
	json_object_set_new(o, "state", json_string(ice_state_name(participant_state(p))));
	json_sums(o, &sums);
	if (delay != NULL) {
		merge_hists(p, &delay[0], &delay[1]);
		json_object_set_new(o, "delay_ns", json_hist(&delay[0]));
		json_object_set_new(o, "jitter_ns", json_hist(&delay[1]));
		free(delay);
	}
	if (!whole)
		return o;
	json_object_set_new(o, "local", json_string(report_addr(&p->local, addr, sizeof(addr))));
	if (p->joined_ns != 0)
		json_object_set_new(o, "join_ns", json_count(p->joined_ns - p->start_ns));
	if (p->client->conf->wzp)
		report_wzp_json(o, p);
	else
		json_object_set_new(o, "ice", json_ice(&p->ice));
	json_counters(o, p);
	json_object_set_new(o, "sent_streams", json_sent(p));
	streams = json_array();
	for (uint32_t i = 0; i < p->rx.nb_streams; i++)
		json_array_append_new(streams, json_stream(p->rx.streams[i]));
	json_object_set_new(o, "streams", streams);
	return o;
}

static json_t *
json_totals(const struct client *client, const struct sums *sums)
{
	struct plm_hist *delay = calloc(2, sizeof(*delay));
	json_t *o = json_object();

	json_object_set_new(o, "participants", json_integer(client->conf->clones));
	json_object_set_new(o, "joined", json_integer(client->nb_joined));
	json_object_set_new(o, "over", json_integer(client->nb_over));
	json_sums(o, sums);
	if (delay == NULL)
		return o;
	for (unsigned int i = 0; i < client->conf->clones; i++)
		merge_hists(&client->participants[i], &delay[0], &delay[1]);
	json_object_set_new(o, "delay_ns", json_hist(&delay[0]));
	json_object_set_new(o, "jitter_ns", json_hist(&delay[1]));
	free(delay);
	return o;
}

static json_t *
json_producers(const struct client *client)
{
	json_t *producers = json_array();

	for (unsigned int i = 0; i < client->conf->nb_producers; i++) {
		const struct producer *producer = &client->producers[i];

		json_array_append_new(producers,
				json_pack("{s:i, s:o, s:o, s:o, s:o, s:o}", "port", producer->port,
						"rtcp_in", json_count(producer->rtcp_in),
						"rtcp_out", json_count(producer->rtcp_out), "early",
						json_count(producer->early), "foreign",
						json_count(producer->foreign), "sources_full",
						json_count(producer->sources_full)));
	}
	return producers;
}

static void
print_json(const struct client *client, const struct sums *sums, uint64_t now_ns, bool whole)
{
	json_t *o = json_object();
	json_t *rows = json_array();

	json_object_set_new(o, "verb", json_string(verb_names[client->conf->verb]));
	json_object_set_new(o, "final", json_boolean(whole));
	json_object_set_new(o, "elapsed_s",
			json_real((double)(now_ns - client->begin_ns) / (double)PLM_NS_PER_S));
	if (whole) {
		json_object_set_new(o, "exit", json_integer((json_int_t)client->result));
		json_object_set_new(o, "result", json_string(exit_names[client->result]));
	}
	json_object_set_new(o, "totals", json_totals(client, sums));
	for (unsigned int i = 0; i < client->conf->clones; i++)
		json_array_append_new(rows, json_participant(&client->participants[i], whole));
	json_object_set_new(o, "participants", rows);
	if (whole && client->conf->nb_producers != 0)
		json_object_set_new(o, "producers", json_producers(client));
	json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	putchar('\n');
	fflush(stdout);
	json_decref(o);
}

static double
us(const struct plm_hist *hist, unsigned int quantile)
{
	return (double)plm_hist_quantile(hist, quantile) / (double)PLM_NS_PER_US;
}

static void
print_stream(const struct participant *p, const struct rx_stream *rx)
{
	printf("%-20s %08" PRIx32 " %3u %9" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64
	       " %7" PRIu64,
			p->name, rx->ssrc, rx->payload_type, rx->received, rx_lost(rx),
			rx->reordered, rx->duplicates, rx->corrupt);
	if (plm_hist_count(rx->delay) != 0)
		printf(" %9.0f %9.0f %9.0f", us(rx->delay, 5000), us(rx->delay, 9900),
				us(rx->delay, 9990));
	else
		printf(" %9s %9s %9s", "-", "-", "-");
	printf(" %9.0f%s\n", us(rx->jitter, 9900), rx->own ? " own!" : rx->bye ? " bye" : "");
}

static void
print_table(const struct client *client, const struct sums *sums, uint64_t now_ns)
{
	unsigned int rows = 0;

	printf("%s: %u of %u joined, %.1f s; sent %" PRIu64 ", received %" PRIu64 ", lost %" PRIu64
	       ", reordered %" PRIu64 ", duplicates %" PRIu64 ", corrupt %" PRIu64
	       ", echoed %" PRIu64 ", socket drops %" PRIu64 "\n",
			verb_names[client->conf->verb], client->nb_joined, client->conf->clones,
			(double)(now_ns - client->begin_ns) / (double)PLM_NS_PER_S, sums->sent,
			sums->received, sums->lost, sums->reordered, sums->duplicates,
			sums->corrupt, sums->echoed, sums->socket_drops);
	if (sums->nb_pairs != 0)
		printf("%-20s %-8s %3s %9s %7s %7s %7s %7s %9s %9s %9s %9s\n", "participant",
				"ssrc", "pt", "received", "lost", "reorder", "dup", "corrupt",
				"p50 us", "p99 us", "p99.9 us", "jit99 us");
	for (unsigned int i = 0; i < client->conf->clones; i++) {
		const struct participant *p = &client->participants[i];

		for (uint32_t s = 0; s < p->rx.nb_streams; s++)
			if (rows++ < TABLE_ROWS)
				print_stream(p, p->rx.streams[s]);
	}
	if (rows > TABLE_ROWS)
		printf("and %u more: see --json\n", rows - TABLE_ROWS);
	for (unsigned int i = 0; client->conf->wzp && i < client->conf->clones && i < TABLE_ROWS;
			i++)
		report_wzp_print(&client->participants[i]);
	fflush(stdout);
}

static void
print_report(const struct client *client, uint64_t now_ns, bool whole)
{
	struct sums sums = { 0 };

	for (unsigned int i = 0; i < client->conf->clones; i++) {
		struct sums one = { 0 };

		sum_participant(&client->participants[i], &one);
		if (one.nb_pairs != 0) {
			sums.pair_min = sums.nb_pairs == 0 ? one.pair_min
							   : RTE_MIN(sums.pair_min, one.pair_min);
			sums.pair_max = RTE_MAX(sums.pair_max, one.pair_max);
		}
		sums.nb_pairs += one.nb_pairs;
		sums.received += one.received;
		sums.bytes += one.bytes;
		sums.lost += one.lost;
		sums.reordered += one.reordered;
		sums.duplicates += one.duplicates;
		sums.late += one.late;
		sums.corrupt += one.corrupt;
		sums.echoed += one.echoed;
		sums.sent += one.sent;
		sums.socket_drops += one.socket_drops;
	}
	if (client->conf->json)
		print_json(client, &sums, now_ns, whole);
	else
		print_table(client, &sums, now_ns);
}

void
report_interval(struct client *client, uint64_t now_ns)
{
	print_report(client, now_ns, false);
}

void
report_final(struct client *client, uint64_t now_ns)
{
	if (!client->conf->quiet)
		print_report(client, now_ns, true);
}

/* Why a stream is not what was expected; NULL when it is. */
static const char *
stream_mismatch(const struct client_conf *conf, const struct rx_stream *rx)
{
	if (rx->own)
		return "is our own";
	if (rx->corrupt != 0)
		return "has corrupt packets";
	if (rx->duplicates != 0 || rx->late != 0)
		return "has duplicates";
	if (rx->unique != conf->expect)
		return "has another number of packets";
	return NULL;
}

/* Does a participant have what was expected? Says what it has instead. */
static bool
participant_expected(const struct participant *p)
{
	const struct client_conf *conf = p->client->conf;
	uint32_t nb_streams = p->rx.nb_streams - p->nb_own;
	uint32_t least = conf->has_expect && conf->expect != 0 ? 1 : 0;

	for (uint32_t i = 0; i < p->rx.nb_streams && conf->has_expect; i++) {
		const struct rx_stream *rx = p->rx.streams[i];
		const char *why = stream_mismatch(conf, rx);

		if (why == NULL)
			continue;
		client_say(p->client, p,
				"expected %" PRIu64 " of each stream: %08" PRIx32
				" %s (received %" PRIu64 ", distinct and intact %" PRIu64 ")",
				conf->expect, rx->ssrc, why, rx->received, rx->unique);
		return false;
	}
	if (conf->expect_streams != 0 ? nb_streams != conf->expect_streams : nb_streams < least) {
		client_say(p->client, p, "expected %u streams: got %u",
				RTE_MAX(conf->expect_streams, least), nb_streams);
		return false;
	}
	if (p->rtp_malformed != 0 || p->truncated != 0 || p->rx.refused != 0) {
		client_say(p->client, p,
				"expected intact media: %" PRIu64 " malformed, %" PRIu64
				" truncated, %" PRIu64 " of too many streams",
				p->rtp_malformed, p->truncated, p->rx.refused);
		return false;
	}
	return true;
}

bool
report_expected(const struct client *client)
{
	unsigned int nb_bad = 0;

	for (unsigned int i = 0; i < client->conf->clones && nb_bad < BAD_SHOWN; i++)
		nb_bad += !participant_expected(&client->participants[i]);
	if (nb_bad == BAD_SHOWN)
		client_say(client, NULL, "and perhaps more: see --json");
	return nb_bad == 0;
}
