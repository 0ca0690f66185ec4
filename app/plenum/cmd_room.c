/* SPDX-License-Identifier: BSD-3-Clause */
/* show room, set room. What says `call_` runs on the slow path. */
#include <errno.h>
#include <stdio.h>

#include "app.h"

int
room_find(struct plm_ctl *ctl, const char *text, uint32_t *idx)
{
	const struct plm_room_table *rooms = plm_ctl_rooms(ctl);
	size_t len = strlen(ROOM_QUIC);

	if (strncmp(text, ROOM_QUIC, len) == 0)
		return plm_room_find(rooms, PLM_ROOM_WZP, text + len, idx);
	if (plm_room_find(rooms, PLM_ROOM_RTP, text, idx) == 0)
		return 0;
	return plm_room_find(rooms, PLM_ROOM_WZP, text, idx);
}

const char *
room_text(const struct plm_room_info *info, char buf[ROOM_TEXT_SIZE])
{
	snprintf(buf, ROOM_TEXT_SIZE, "%s%s", info->format == PLM_ROOM_WZP ? ROOM_QUIC : "",
			info->name);
	return buf;
}

void
room_rates(struct plm_ctl *ctl, uint32_t room_idx, uint32_t nb_members, struct plm_ctl_rates *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (uint32_t m = 0; m < nb_members; m++) {
		struct plm_ctl_rates r;

		plm_ctl_session_rates(ctl,
				plm_room_member(plm_ctl_rooms(ctl), room_idx, m)->session_idx, &r);
		sum->rx_packets += r.rx_packets;
		sum->tx_packets += r.tx_packets;
		sum->rx_bits += r.rx_bits;
		sum->tx_bits += r.tx_bits;
	}
}

static void
rates_text(struct plm_text *out, const struct plm_ctl_rates *r)
{
	plm_text_add(out, " %9u %11.3f %9u %11.3f\n", r->rx_packets, (double)r->rx_bits / 1e6,
			r->tx_packets, (double)r->tx_bits / 1e6);
}

/* Is anybody served by another worker than the room's home? */
static bool
is_spread(const struct plm_room_info *info)
{
	return info->nb_homed[info->home] != info->nb_members;
}

static int
call_show_rooms(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	const struct plm_room_table *rooms = plm_ctl_rooms(ctl);
	const struct app_list *list = arg;
	uint32_t i = *cursor;
	uint32_t end = i + APP_SCAN_ROOMS < rooms->max_rooms ? i + APP_SCAN_ROOMS
							     : rooms->max_rooms;

	for (uint32_t rows = list->rows; i < end && rows > 0 && !app_page_full(out); i++) {
		char name[ROOM_TEXT_SIZE];
		struct plm_ctl_rates sum;
		struct plm_room_info info;

		if (plm_room_info(rooms, i, &info) < 0)
			continue;
		room_rates(ctl, i, info.nb_members, &sum);
		plm_text_add(out, "%-32s %7u %10u %11u %3u%c", room_text(&info, name),
				info.nb_members, info.nb_publishers, info.nb_subscribers, info.home,
				is_spread(&info) ? '+' : ' ');
		rates_text(out, &sum);
		rows--;
	}
	*cursor = i < rooms->max_rooms ? i : 0;
	return 0;
}

static int
find_room(struct plm_ctl *ctl, const char *name, uint32_t *idx, struct plm_room_info *info,
		struct plm_text *out)
{
	int ret = room_find(ctl, name, idx);

	if (ret == 0)
		ret = plm_room_info(plm_ctl_rooms(ctl), *idx, info);
	if (ret < 0)
		plm_text_add(out, "there is no room %s\n", name);
	return ret;
}

static void
room_head(const struct plm_ctl *ctl, const struct plm_room_info *info, struct plm_text *out)
{
	const struct plm_room_settings *s = &info->settings;
	char name[ROOM_TEXT_SIZE];

	plm_text_add(out,
			"room %s: %u members (max %u), %u publish, %u subscribe, home worker %u, "
			"view %" PRIu64 "\n",
			room_text(info, name), info->nb_members,
			RTE_MIN(s->max_members, plm_ctl_conf(ctl)->max_members),
			info->nb_publishers, info->nb_subscribers, info->home, info->view_seq);
	if (is_spread(info)) {
		plm_text_add(out, "members by worker:");
		for (unsigned int w = 0; w < plm_ctl_conf(ctl)->nb_workers; w++)
			plm_text_add(out, " %u: %u", w, info->nb_homed[w]);
		plm_text_add(out, "\n");
	}
	plm_text_add(out, "rtcp %s, consent %s, dscp ",
			s->rtcp == PLM_RTCP_OPAQUE ? "opaque" : "clear",
			s->consent_alive ? "alive" : "strict");
	if (s->dscp == PLM_DSCP_COPY)
		plm_text_add(out, "copy");
	else
		plm_text_add(out, "%u", s->dscp);
	plm_text_add(out, ", per session %u packets/s, %" PRIu64 " bits/s (0: unlimited)\n",
			s->packets_per_s, s->bits_per_s);
	plm_text_add(out, "%-32s %-14s %-9s %-6s %4s %9s %11s %9s %11s\n", "participant", "session",
			"role", "by", "home", "in pkt/s", "in Mbit/s", "out pkt/s", "out Mbit/s");
}

static int
call_show_room(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	const struct app_list *list = arg;
	struct plm_room_info info;
	uint32_t idx;
	int ret = find_room(ctl, list->name, &idx, &info, out);

	if (ret == 0)
		room_head(ctl, &info, out);
	return ret;
}

static int
call_show_members(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	const struct plm_session_table *sessions = plm_ctl_sessions(ctl);
	const struct app_list *list = arg;
	uint32_t rows = list->rows;
	struct plm_room_info info;
	uint32_t pos = *cursor;
	uint32_t idx;
	int ret = find_room(ctl, list->name, &idx, &info, out);

	*cursor = 0;
	if (ret < 0)
		return ret;
	for (; pos < info.nb_members; pos++, rows--) {
		const struct plm_member *m = plm_room_member(plm_ctl_rooms(ctl), idx, pos);
		const struct plm_session_hot *hot = &sessions->hot[m->session_idx];
		struct plm_handle session = { m->session_idx,
			atomic_load_explicit(&hot->gen, memory_order_relaxed) };
		struct plm_admit_info admitted = { 0 };
		struct plm_ctl_rates rates;
		char id[32];

		if (rows == 0 || app_page_full(out)) {
			*cursor = pos;
			return 0;
		}
		plm_admit_info(plm_ctl_admit(ctl), session, &admitted);
		snprintf(id, sizeof(id), "%u.%u", session.idx, session.gen);
		plm_text_add(out, "%-32s %-14s %-9s %-6s %4u", m->name, id, role_name(hot->role),
				session_by(&admitted), m->home);
		plm_ctl_session_rates(ctl, m->session_idx, &rates);
		rates_text(out, &rates);
	}
	return 0;
}

int
cmd_show_room_all(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	struct app_list list;
	struct plm_text head;
	char buf[256];

	plm_text_init(&head, buf, sizeof(buf));
	plm_text_add(&head, "%-32s %7s %10s %11s %4s %9s %11s %9s %11s\n", "room", "members",
			"publishers", "subscribers", "home", "in pkt/s", "in Mbit/s", "out pkt/s",
			"out Mbit/s");
	app_list_init(&list, args, 0);
	return app_call_list(ctx, cli, call_show_rooms, &list, buf);
}

int
cmd_show_room(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	struct app_list list;
	int ret;

	app_list_init(&list, args, 1);
	snprintf(list.name, sizeof(list.name), "%s", args->arg[0].word);
	ret = app_call(ctx, cli, call_show_room, &list, sizeof(list));
	return ret < 0 ? ret : app_call_list(ctx, cli, call_show_members, &list, NULL);
}

enum room_setting {
	SET_MAX,
	SET_PACKETS,
	SET_BITS,
	SET_DSCP,
	SET_RTCP,
	SET_CONSENT,
};

struct set_room {
	enum room_setting what;
	uint64_t value;
	char room[128];
};

static int
call_set_room(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	const struct set_room *set = arg;
	uint32_t limit = plm_ctl_conf(ctl)->max_members;
	struct plm_room_settings s;
	struct plm_room_info info;
	uint32_t idx;
	int ret = find_room(ctl, set->room, &idx, &info, out);

	if (ret < 0)
		return ret;
	s = info.settings;
	switch (set->what) {
	case SET_MAX:
		if (set->value > limit) {
			plm_text_add(out, "must be 1 to limits.participants (%u)\n", limit);
			return -ERANGE;
		}
		s.max_members = (uint32_t)set->value;
		break;
	case SET_PACKETS:
		s.packets_per_s = (uint32_t)set->value;
		break;
	case SET_BITS:
		s.bits_per_s = set->value;
		break;
	case SET_DSCP:
		s.dscp = (uint8_t)set->value;
		break;
	case SET_RTCP:
		s.rtcp = (uint8_t)set->value;
		break;
	case SET_CONSENT:
		s.consent_alive = (uint8_t)set->value;
		break;
	}
	return plm_room_set(plm_ctl_rooms(ctl), idx, &s, now_ns);
}

static int
set_room(struct plm_cli *cli, struct app *app, const struct plm_cli_args *args,
		enum room_setting what, uint64_t value)
{
	struct set_room set = { .what = what, .value = value };

	snprintf(set.room, sizeof(set.room), "%s", args->arg[0].word);
	return app_call(app, cli, call_set_room, &set, sizeof(set));
}

int
cmd_set_room_max(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return set_room(cli, ctx, args, SET_MAX, args->arg[1].num);
}

int
cmd_set_room_packets(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return set_room(cli, ctx, args, SET_PACKETS, args->arg[1].num);
}

int
cmd_set_room_bits(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return set_room(cli, ctx, args, SET_BITS, args->arg[1].num);
}

int
cmd_set_room_dscp(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return set_room(cli, ctx, args, SET_DSCP, args->arg[1].num);
}

int
cmd_set_room_dscp_copy(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return set_room(cli, ctx, args, SET_DSCP, PLM_DSCP_COPY);
}

int
cmd_set_room_rtcp(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	bool opaque = strcmp(args->arg[1].word, "opaque") == 0;

	return set_room(cli, ctx, args, SET_RTCP, opaque ? PLM_RTCP_OPAQUE : PLM_RTCP_CLEAR);
}

int
cmd_set_room_consent(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	return set_room(cli, ctx, args, SET_CONSENT, strcmp(args->arg[1].word, "alive") == 0);
}
