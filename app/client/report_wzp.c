/* SPDX-License-Identifier: BSD-3-Clause */
/* What participants of the WZP protocol have to tell: their connection, their room, their media. */
#include <inttypes.h>

#include <rte_common.h>

#include "client.h"
#include "report.h"

static uint64_t
refused_datagrams(const struct quic_link *link)
{
	uint64_t n = 0;

	for (unsigned int i = PLM_QUIC_SENT + 1; i < QUIC_VERDICTS; i++)
		n += link->verdicts[i];
	return n;
}

static json_t *
json_quic(const struct quic_link *link)
{
	static const char *const reasons[QUIC_VERDICTS] = {
		[PLM_QUIC_NO_WINDOW] = "no_window",
		[PLM_QUIC_NO_MEMORY] = "no_memory",
		[PLM_QUIC_TOO_LARGE] = "too_large",
		[PLM_QUIC_NO_ROOM] = "no_room",
		[PLM_QUIC_NOT_OPEN] = "not_open",
	};
	struct plm_quic_figures f = { 0 };
	struct plm_quic_end end = { 0 };
	json_t *refused = json_object();
	json_t *o = json_object();
	const char *cipher;

	if (link->conn != NULL) {
		plm_quic_conn_figures(link->conn, &f);
		end = plm_quic_conn_end(link->conn);
	}
	cipher = quic_link_cipher_name(link, &f);
	for (unsigned int i = PLM_QUIC_SENT + 1; i < QUIC_VERDICTS; i++)
		json_object_set_new(refused, reasons[i], json_count(link->verdicts[i]));
	json_object_set_new(o, "handshake_ns", json_count(link->handshake_ns));
	json_object_set_new(o, "cipher", cipher != NULL ? json_string(cipher) : json_null());
	if (link->has_certificate) {
		char hex[2 * QUIC_PIN_SIZE + 1];

		for (unsigned int i = 0; i < QUIC_PIN_SIZE; i++)
			snprintf(hex + 2 * i, 3, "%02x", link->certificate[i]);
		json_object_set_new(o, "certificate", json_string(hex));
	}
	json_object_set_new(o, "rtt_ns", json_count(f.srtt_ns));
	json_object_set_new(o, "min_rtt_ns", json_count(f.min_rtt_ns));
	json_object_set_new(o, "datagrams_sent", json_count(link->verdicts[PLM_QUIC_SENT]));
	json_object_set_new(o, "datagrams_acked", json_count(f.datagrams_acked));
	json_object_set_new(o, "datagrams_lost", json_count(f.datagrams_lost));
	json_object_set_new(o, "datagrams_received", json_count(link->datagrams_received));
	json_object_set_new(o, "refused", refused);
	json_object_set_new(o, "packets_sent", json_count(link->packets_sent));
	json_object_set_new(o, "packets_received", json_count(link->packets_received));
	json_object_set_new(o, "ecn",
			json_pack("{s:o, s:o, s:o, s:o}", "sent", json_count(link->ecn_sent),
					"ect0", json_count(link->ecn_received[2]), "ect1",
					json_count(link->ecn_received[1]), "ce",
					json_count(link->ecn_received[3])));
	json_object_set_new(o, "undecryptable", json_count(f.undecryptable));
	json_object_set_new(o, "key_updates", json_count(f.key_updates));
	json_object_set_new(o, "path_mtu", json_integer(f.max_payload));
	json_object_set_new(o, "close_code", json_count(end.code));
	json_object_set_new(o, "closed_by_relay", json_boolean(end.is_remote));
	return o;
}

/* Who was heard that is no generator. */
static json_t *
json_senders(const struct wzp_senders *senders)
{
	json_t *list = json_array();

	for (unsigned int i = 0; senders != NULL && i < senders->nb; i++) {
		const struct wzp_sender *s = &senders->list[i];
		const uint8_t *r = s->report;
		json_t *o = json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "ssrc", json_count(s->ssrc),
				"codec", plm_wzp_codec_name(s->codec), "packets",
				json_count(s->packets), "repairs", json_count(s->repairs),
				"comfort_noise", json_count(s->noises), "reports",
				json_count(s->reports));

		if (s->reports != 0)
			json_object_set_new(o, "report",
					json_pack("{s:i, s:i, s:i, s:i}", "loss_255", r[0],
							"rtt_4ms", r[1], "jitter_ms", r[2],
							"cap_kbps", r[3]));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
json_wzp(const struct wzp_link *wzp)
{
	json_t *o = json_object();
	bool is_answered = wzp->answer_ns != 0;

	json_object_set_new(o, "fingerprint", json_string(wzp->id.text));
	json_object_set_new(o, "alias",
			wzp->alias[0] != '\0' ? json_string(wzp->alias) : json_null());
	json_object_set_new(o, "answer_ns", json_count(wzp->answer_ns));
	json_object_set_new(o, "answer_verified", json_boolean(wzp->is_verified));
	json_object_set_new(o, "relay", is_answered ? json_string(wzp->relay) : json_null());
	json_object_set_new(o, "profile",
			is_answered ? json_string(plm_wzp_codec_name(wzp->profile)) : json_null());
	json_object_set_new(o, "room_updates", json_count(wzp->room_updates));
	json_object_set_new(o, "members", json_count(wzp->members));
	json_object_set_new(o, "directives", json_count(wzp->directives));
	json_object_set_new(o, "directive",
			wzp->has_directive ? json_string(plm_wzp_codec_name(wzp->directive))
					   : json_null());
	json_object_set_new(o, "hangups", json_count(wzp->hangups));
	json_object_set_new(o, "pings", json_count(wzp->pings));
	json_object_set_new(o, "pongs", json_count(wzp->pongs));
	json_object_set_new(o, "pong_ns", json_count(wzp->pong_ns));
	json_object_set_new(o, "signals_sent", json_count(wzp->signals_sent));
	json_object_set_new(o, "signals_unsent", json_count(wzp->signals_unsent));
	json_object_set_new(o, "signals_received", json_count(wzp->signals_received));
	json_object_set_new(o, "signals_refused", json_count(wzp->signals_refused));
	json_object_set_new(o, "streams_broken",
			json_count(wzp->reader.broken + wzp->reader.oversize));
	json_object_set_new(o, "media_sent", json_count(wzp->tx.packets));
	json_object_set_new(o, "reports_sent", json_count(wzp->tx.reports));
	json_object_set_new(o, "media_received", json_count(wzp->media_received));
	json_object_set_new(o, "media_malformed", json_count(wzp->media_malformed));
	json_object_set_new(o, "trunks", json_count(wzp->trunks));
	json_object_set_new(o, "senders", json_senders(wzp->senders));
	return o;
}

void
report_wzp_json(json_t *o, const struct participant *p)
{
	json_object_set_new(o, "quic", json_quic(&p->quic));
	json_object_set_new(o, "wzp", json_wzp(&p->wzp));
}

static void
print_quic(const struct participant *p)
{
	const struct quic_link *link = &p->quic;
	struct plm_quic_figures f;

	plm_quic_conn_figures(link->conn, &f);
	printf("%s: %s, handshake %.1f ms, rtt %.2f ms, sent %" PRIu64 ", acked %" PRIu64
	       ", lost %" PRIu64 ", received %" PRIu64 ", refused %" PRIu64 " (window %" PRIu64
	       ", memory %" PRIu64 ", too large %" PRIu64 ", closed %" PRIu64
	       "), key updates %u, path MTU %u\n",
			p->name, quic_link_cipher_name(link, &f),
			(double)link->handshake_ns / (double)PLM_NS_PER_MS,
			(double)f.srtt_ns / (double)PLM_NS_PER_MS, link->verdicts[PLM_QUIC_SENT],
			f.datagrams_acked, f.datagrams_lost, link->datagrams_received,
			refused_datagrams(link), link->verdicts[PLM_QUIC_NO_WINDOW],
			link->verdicts[PLM_QUIC_NO_MEMORY], link->verdicts[PLM_QUIC_TOO_LARGE],
			link->verdicts[PLM_QUIC_NOT_OPEN], f.key_updates, f.max_payload);
}

static void
print_wzp(const struct participant *p)
{
	const struct wzp_link *wzp = &p->wzp;

	printf("%s: %s, answer of %s %s after %.1f ms, room updates %" PRIu64 " (last: %" PRIu32
	       " participants), signals sent %" PRIu64 ", received %" PRIu64 ", media sent %" PRIu64
	       ", received %" PRIu64 "\n",
			p->name, wzp->id.text, wzp->relay,
			wzp->is_verified ? "verified" : "NOT verified",
			(double)wzp->answer_ns / (double)PLM_NS_PER_MS, wzp->room_updates,
			wzp->members, wzp->signals_sent, wzp->signals_received, wzp->tx.packets,
			wzp->media_received);
}

void
report_wzp_print(const struct participant *p)
{
	if (p->quic.handshake_ns != 0)
		print_quic(p);
	if (p->wzp.answer_ns != 0)
		print_wzp(p);
}
