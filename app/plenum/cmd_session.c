/* SPDX-License-Identifier: BSD-3-Clause */
/* show session, kick. What says `call_` runs on the slow path. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "app.h"

static const char *
room_name(struct plm_ctl *ctl, uint32_t room_idx, char buf[ROOM_TEXT_SIZE])
{
	struct plm_room_info info;

	return plm_room_info(plm_ctl_rooms(ctl), room_idx, &info) == 0 ? room_text(&info, buf)
								       : "-";
}

static void
quic_tuple(const struct plm_quic_path *path, struct plm_tuple *tuple)
{
	*tuple = (struct plm_tuple){
		.port = path->port,
		.local_idx = path->local_idx,
		.is_v6 = path->is_v6,
	};
	memcpy(tuple->addr, path->addr, sizeof(tuple->addr));
}

const char *
session_address(struct plm_ctl *ctl, struct plm_handle h, const struct plm_admit_info *info,
		char buf[TUPLE_TEXT_SIZE])
{
	const struct plm_tuple *tuple =
			plm_session_tuple(plm_ctl_sessions(ctl), h, info->bound_slot);
	struct plm_quic_shown shown;
	struct plm_quic_path since;
	struct plm_tuple path;

	if (info->is_quic && plm_ctl_quic_shown(ctl, h, &since, &shown)) {
		quic_tuple(&shown.path, &path);
		tuple = &path;
	}
	return tuple != NULL ? tuple_text(tuple, buf) : strcpy(buf, "-");
}

const char *
session_by(const struct plm_admit_info *info)
{
	if (info->is_quic)
		return "quic";
	return info->is_static ? "static" : "ice";
}

static void
session_line(struct plm_ctl *ctl, struct plm_handle h, const struct plm_admit_info *info,
		uint64_t now_ns, struct plm_text *out)
{
	const struct plm_session_table *sessions = plm_ctl_sessions(ctl);
	struct plm_ctl_rates rates;
	char address[TUPLE_TEXT_SIZE];
	char quiet[24] = "static";
	char room[ROOM_TEXT_SIZE];
	char id[32];

	snprintf(id, sizeof(id), "%u.%u", h.idx, h.gen);
	plm_ctl_session_rates(ctl, h.idx, &rates);
	if (info->is_quic)
		snprintf(quiet, sizeof(quiet), "quic");
	else if (!info->is_static)
		snprintf(quiet, sizeof(quiet), "%" PRIu64,
				(now_ns - info->consent_ns) / PLM_NS_PER_S);
	plm_text_add(out, "%-14s %-20s %-20s %-9s %4u %-24s %9u %9u %7" PRIu64 " %7s\n", id,
			room_name(ctl, info->room_idx, room), info->participant,
			role_name(info->role), sessions->hot[h.idx].home,
			session_address(ctl, h, info, address), rates.rx_packets, rates.tx_packets,
			(now_ns - info->since_ns) / PLM_NS_PER_S, quiet);
}

static int
call_show_sessions(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	const struct plm_admit *admit = plm_ctl_admit(ctl);
	const struct app_list *list = arg;
	uint32_t rows = list->rows;
	uint32_t from = *cursor;
	struct plm_admit_info info;
	struct plm_handle h;

	*cursor = 0;
	for (; plm_admit_next(admit, from, &h) == 0; from = h.idx + 1) {
		if (rows == 0 || app_page_full(out)) {
			*cursor = h.idx;
			return 0;
		}
		if (plm_admit_info(admit, h, &info) < 0)
			continue;
		session_line(ctl, h, &info, now_ns, out);
		rows--;
	}
	return 0;
}

static void
session_traffic(struct plm_ctl *ctl, struct plm_handle h, struct plm_text *out)
{
	const struct plm_session_table *sessions = plm_ctl_sessions(ctl);
	const struct plm_session_hot *hot = &sessions->hot[h.idx];
	uint64_t packets = 0;
	uint64_t bytes = 0;
	uint64_t dropped = 0;

	for (unsigned int w = 0; w < plm_ctl_conf(ctl)->nb_workers; w++) {
		const struct plm_session_tx *tx = &sessions->tx[w][h.idx];

		packets += atomic_load_explicit(&tx->packets, memory_order_relaxed);
		bytes += atomic_load_explicit(&tx->bytes, memory_order_relaxed);
		dropped += atomic_load_explicit(&tx->dropped, memory_order_relaxed);
	}
	plm_text_add(out, "in:  %" PRIu64 " packets, %" PRIu64 " bytes, %" PRIu64 " dropped\n",
			atomic_load_explicit(&hot->rx_packets, memory_order_relaxed),
			atomic_load_explicit(&hot->rx_bytes, memory_order_relaxed),
			atomic_load_explicit(&hot->rx_dropped, memory_order_relaxed));
	plm_text_add(out, "out: %" PRIu64 " packets, %" PRIu64 " bytes, %" PRIu64 " dropped\n",
			packets, bytes, dropped);
}

static void
session_addresses(struct plm_ctl *ctl, struct plm_handle h, const struct plm_admit_info *info,
		struct plm_text *out)
{
	const struct plm_session_table *sessions = plm_ctl_sessions(ctl);
	uint32_t ssrcs[PLM_SSRCS];
	char buf[TUPLE_TEXT_SIZE];
	unsigned int n;

	for (uint8_t slot = 0; slot < PLM_TUPLES; slot++) {
		const struct plm_tuple *tuple = plm_session_tuple(sessions, h, slot);

		if (tuple != NULL)
			plm_text_add(out, "address %s%s\n", tuple_text(tuple, buf),
					slot == info->bound_slot ? " (bound)" : "");
	}
	n = plm_session_ssrcs(sessions, h, ssrcs, PLM_SSRCS);
	plm_text_add(out, "ssrcs:");
	for (unsigned int i = 0; i < n; i++)
		plm_text_add(out, " %08x", ssrcs[i]);
	plm_text_add(out, "%s\n", n == 0 ? " none" : "");
}

/* How the connection stands; at most a tenth of a second ago while anything goes on. */
static void
session_quic(struct plm_ctl *ctl, struct plm_handle h, struct plm_text *out)
{
	static const char *const ciphers[] = {
		[PLM_AES128_GCM] = "AES-128-GCM",
		[PLM_AES256_GCM] = "AES-256-GCM",
		[PLM_CHACHA20_POLY1305] = "ChaCha20-Poly1305",
	};
	struct plm_quic_shown shown;
	struct plm_quic_path since;
	const struct plm_quic_figures *f = &shown.figures;
	struct plm_tuple tuple;
	char buf[TUPLE_TEXT_SIZE];

	if (!plm_ctl_quic_shown(ctl, h, &since, &shown))
		return;
	quic_tuple(&since, &tuple);
	plm_text_add(out, "address %s when it entered\n", tuple_text(&tuple, buf));
	quic_tuple(&shown.path, &tuple);
	plm_text_add(out, "address %s, moved %u times\n", tuple_text(&tuple, buf), shown.moves);
	plm_text_add(out, "rtt: %.1f ms, least %.1f ms\n", (double)f->srtt_ns / 1e6,
			(double)f->min_rtt_ns / 1e6);
	plm_text_add(out,
			"window: %" PRIu64 " bytes, in flight %" PRIu64 "; datagrams: %" PRIu64
			" acknowledged, %" PRIu64 " lost; %" PRIu64 " packets that no key opened\n",
			f->cwnd, f->in_flight, f->datagrams_acked, f->datagrams_lost,
			f->undecryptable);
	plm_text_add(out, "%s, %u key updates; packets of %u bytes known to pass\n",
			ciphers[f->cipher], f->key_updates, f->max_payload);
}

static void
session_wzp(struct plm_ctl *ctl, struct plm_handle h, struct plm_text *out)
{
	struct plm_quality q = plm_quality(&plm_ctl_sessions(ctl)->hot[h.idx]);
	struct plm_wzp_shown shown;

	if (plm_ctl_wzp_shown(ctl, h, &shown)) {
		plm_text_add(out, "identity %s", shown.fingerprint);
		if (shown.alias != NULL) {
			plm_text_add(out, ", alias \"");
			for (const char *ch = shown.alias; *ch != '\0';
					ch++) /* it is anybody's text */
				plm_text_add(out, "%c",
						(unsigned char)*ch < ' ' || *ch == 127 ? '.' : *ch);
			plm_text_add(out, "\"");
		}
		plm_text_add(out, "%s%s\n", shown.has_token ? ", by a token" : "",
				shown.has_hung_up ? ", has hung up" : "");
	}
	plm_text_add(out, "quality reports: %u", q.nb);
	if (q.nb > 0)
		plm_text_add(out,
				"; the last: %.1f %% lost, rtt %u ms, jitter %u ms, %u kbit/s at most",
				q.lost * 100.0 / 255, q.rtt_4ms * 4u, q.jitter_ms, q.max_kbps);
	plm_text_add(out, "\n");
}

static int
call_show_session(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	const struct plm_handle *h = arg;
	struct plm_admit_info info;
	char room[ROOM_TEXT_SIZE];
	int ret = plm_admit_info(plm_ctl_admit(ctl), *h, &info);

	if (ret < 0) {
		plm_text_add(out, "there is no session %u.%u\n", h->idx, h->gen);
		return ret;
	}
	plm_text_add(out, "session %u.%u: %s in room %s, %s, home worker %u\n", h->idx, h->gen,
			info.participant, room_name(ctl, info.room_idx, room), role_name(info.role),
			plm_ctl_sessions(ctl)->hot[h->idx].home);
	if (info.is_static)
		plm_text_add(out,
				"open for %" PRIu64
				" s, a static endpoint: no consent, no credential\n",
				(now_ns - info.since_ns) / PLM_NS_PER_S);
	else if (info.is_quic)
		plm_text_add(out, "open for %" PRIu64 " s, over QUIC\n",
				(now_ns - info.since_ns) / PLM_NS_PER_S);
	else
		plm_text_add(out,
				"open for %" PRIu64 " s, last consent %" PRIu64
				" s ago, moved %u times, "
				"credential %s\n",
				(now_ns - info.since_ns) / PLM_NS_PER_S,
				(now_ns - info.consent_ns) / PLM_NS_PER_S, info.moves,
				info.expiry_s > wall_s ? "valid" : "expired since");
	if (info.is_quic)
		session_quic(ctl, *h, out);
	else
		session_addresses(ctl, *h, &info, out);
	session_traffic(ctl, *h, out);
	if (info.is_quic)
		session_wzp(ctl, *h, out);
	return 0;
}

static int
kick(struct plm_ctl *ctl, struct plm_handle h, struct plm_text *out, uint64_t now_ns,
		uint64_t wall_s)
{
	int ret = plm_admit_kick(plm_ctl_admit(ctl), h, now_ns, wall_s);

	if (ret == -EPERM)
		plm_text_add(out,
				"session %u.%u is a static endpoint: take it out of plenum.conf, "
				"then `reload`\n",
				h.idx, h.gen);
	else if (ret == -ENOSPC)
		plm_text_add(out, "ended, but not barred: limits.bars are all taken\n");
	else if (ret < 0)
		plm_text_add(out, "there is no session %u.%u\n", h.idx, h.gen);
	else
		plm_text_add(out, "session %u.%u ended, its credential is barred\n", h.idx, h.gen);
	return ret;
}

static int
call_kick_session(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	const struct plm_handle *h = arg;

	return kick(ctl, *h, out, now_ns, wall_s);
}

struct names {
	char room[128];
	char participant[128];
};

static int
find_participant(struct plm_ctl *ctl, const struct names *names, struct plm_handle *h)
{
	const struct plm_room_table *rooms = plm_ctl_rooms(ctl);
	const struct plm_member *m = NULL;
	uint32_t idx;

	if (strncmp(names->room, ROOM_QUIC, strlen(ROOM_QUIC)) != 0)
		return plm_admit_find(plm_ctl_admit(ctl), names->room, names->participant, h);
	if (room_find(ctl, names->room, &idx) == 0)
		m = plm_room_member_by_name(rooms, idx, names->participant);
	if (m == NULL)
		return -ENOENT;
	*h = (struct plm_handle){ m->session_idx,
		atomic_load_explicit(&plm_ctl_sessions(ctl)->hot[m->session_idx].gen,
				memory_order_relaxed) };
	return 0;
}

static int
call_kick_participant(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	const struct names *names = arg;
	struct plm_handle h;
	int ret = find_participant(ctl, names, &h);

	if (ret < 0) {
		plm_text_add(out, "there is no %s in a room %s\n", names->participant, names->room);
		return ret;
	}
	return kick(ctl, h, out, now_ns, wall_s);
}

static int
call_show_statics(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	uint32_t pos = *cursor;
	struct plm_static_info info;

	if (pos == 0)
		plm_text_add(out, "%-20s %-20s %-9s %-24s %-20s %s\n", "room", "participant",
				"role", "address", "to", "session");
	for (; plm_admit_static_get(plm_ctl_admit(ctl), pos, &info) == 0; pos++) {
		const struct plm_net_local_conf *own =
				plm_net_local(plm_ctl_net(ctl), info.tuple.local_idx);
		char address[TUPLE_TEXT_SIZE];
		char ip[INET6_ADDRSTRLEN];
		char id[32] = "waits";

		if (app_page_full(out)) {
			*cursor = pos;
			return 0;
		}
		if (info.session.gen != 0)
			snprintf(id, sizeof(id), "%u.%u", info.session.idx, info.session.gen);
		plm_text_add(out, "%-20s %-20s %-9s %-24s %-20s %s\n", info.entry->room,
				info.participant, role_name(info.entry->role),
				tuple_text(&info.tuple, address), plm_ip_text(&own->ip, ip), id);
	}
	*cursor = 0;
	return 0;
}

static int
call_by_id(struct plm_cli *cli, struct app *app, const char *word, plm_call_fn fn)
{
	struct plm_handle h;

	/* Which indexes there are is for the slow path to say: more than limits.sessions. */
	if (session_id_parse(word, &h) < 0) {
		plm_cli_print(cli, "%s is no session, `show session all` lists them as 12.3\n",
				word);
		return -EINVAL;
	}
	return app_call(app, cli, fn, &h, sizeof(h));
}

int
cmd_show_session_all(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	struct app_list list;
	struct plm_text head;
	char buf[256];

	plm_text_init(&head, buf, sizeof(buf));
	plm_text_add(&head, "%-14s %-20s %-20s %-9s %4s %-24s %9s %9s %7s %7s\n", "session", "room",
			"participant", "role", "home", "address", "in pkt/s", "out pkt/s", "age s",
			"quiet s");
	app_list_init(&list, args, 0);
	return app_call_list(ctx, cli, call_show_sessions, &list, buf);
}

int
cmd_show_session(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return call_by_id(cli, ctx, args->arg[0].word, call_show_session);
}

int
cmd_show_static_all(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return app_call(ctx, cli, call_show_statics, NULL, 0);
}

int
cmd_kick_session(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return call_by_id(cli, ctx, args->arg[0].word, call_kick_session);
}

int
cmd_kick_participant(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	struct names names;

	snprintf(names.room, sizeof(names.room), "%s", args->arg[0].word);
	snprintf(names.participant, sizeof(names.participant), "%s", args->arg[1].word);
	return app_call(ctx, cli, call_kick_participant, &names, sizeof(names));
}
