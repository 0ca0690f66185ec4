/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of commands, and how a command has the slow path answer. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "app.h"

/* Above the longest turn of the slow path by far, below the patience of `plenum ctl`. */
#define CALL_MS 2000

const struct plm_cli_cmd app_cmds[] = {
	{ "show port stats all", cmd_show_port_stats,
			"Packets, bytes, misses and errors per port and queue" },
	{ "show port xstats all", cmd_show_port_xstats,
			"Every counter of the drivers that is not zero" },
	{ "show port info all", cmd_show_port_info,
			"Link, MTU, queues, offloads and MAC per port" },
	{ "show room all", cmd_show_room_all, "One line per room: members, home, rates" },
	{ "show room all <from:0-1000000> <rows:1-100000>", cmd_show_room_all,
			"So many of them from this index on; `next` is where the following ones begin" },
	{ "show room <name>", cmd_show_room, "Settings of a room and one line per participant" },
	{ "show room <name> <from:0-32000> <rows:1-100000>", cmd_show_room,
			"The same with so many participants from this position on" },
	{ "show session all", cmd_show_session_all, "One line per session" },
	{ "show session all <from:0-4000000> <rows:1-100000>", cmd_show_session_all,
			"So many of them from this index on" },
	{ "show session <id>", cmd_show_session,
			"Addresses, consent, SSRCs and counters of a session" },
	{ "show quic", cmd_show_quic,
			"QUIC connections, handshakes and their memory; the certificates' fingerprints" },
	{ "show wzp", cmd_show_wzp,
			"Tokens that were validated, and what became of the last that was not" },
	{ "show static all", cmd_show_static_all,
			"Static endpoints: their sessions, or that they wait for a place" },
	{ "show lcore all", cmd_show_lcore_all,
			"Role, CPU, busy share, turns and stalls per lcore" },
	{ "show drops", cmd_show_drops,
			"Every drop that happened, by reason and lcore; what NICs lost, and whose rooms "
			"that concerns" },
	{ "show drops all", cmd_show_drops_all, "The same with those that are zero" },
	{ "show counters", cmd_show_counters, "Every counter, by lcore" },
	{ "show latency", cmd_show_latency, "In-relay RX-to-TX latency percentiles per worker" },
	{ "show neighbour all", cmd_show_neighbours, "Next hops and on-link neighbours" },
	{ "show memory", cmd_show_memory,
			"Mempools and heap: size and use; fan-out lists and sessions that wait to be freed" },
	{ "show trace", cmd_show_trace, "Packets of the last trace, and where they are" },
	{ "trace room <name> <packets:1-100000> [<seconds:1-3600>]", cmd_trace_room,
			"Write the next packets that the room accepts to a pcap file in trace_dir, "
			"within 60 s unless given" },
	{ "trace stop", cmd_trace_stop, "End the trace that runs" },
	{ "set room <name> max <participants:1-32000>", cmd_set_room_max,
			"Refuse joins above this many" },
	{ "set room <name> packets-per-s <packets:0-10000000>", cmd_set_room_packets,
			"Limit of one session that joins from now on; 0 is unlimited" },
	{ "set room <name> bits-per-s <bits:0-100000000000>", cmd_set_room_bits,
			"The same in bits" },
	{ "set room <name> dscp <dscp:0-63>", cmd_set_room_dscp, "DSCP of what is sent" },
	{ "set room <name> dscp copy", cmd_set_room_dscp_copy, "Send with the publisher's DSCP" },
	{ "set room <name> rtcp clear|opaque", cmd_set_room_rtcp,
			"Whether the relay can read the room's RTCP" },
	{ "set room <name> consent strict|alive", cmd_set_room_consent,
			"What refreshes consent of sessions that join from now on" },
	{ "kick <id>", cmd_kick_session, "End a session and bar its credential until it expires" },
	{ "kick <room> <participant>", cmd_kick_participant, "The same by names" },
	{ "reload", cmd_reload, "Read plenum.conf's secrets, limits and static endpoints again" },
	{ "start", cmd_start, "Receive" },
	{ "stop", cmd_stop, "Stop receiving; sessions stay until their consent runs out" },
	{ "drain [<seconds:0-86400>]", cmd_drain,
			"No new sessions, wait this long for the others to leave, then end" },
	{ "clear", cmd_clear, "Count from zero again" },
	{ "quit", cmd_quit, "End every session and the relay" },
	{ "help", cmd_help, "This list" },
	{ NULL, NULL, NULL },
};

/* Says on the prompt what a call came to that got no answer; 0 if it got one. */
static int
no_answer(struct plm_cli *cli, int ret, const char *out)
{
	if (ret == -ETIMEDOUT)
		plm_cli_print(cli, "the slow path did not answer within %d ms\n", CALL_MS);
	else if (ret == -EBUSY && out[0] == '\0')
		plm_cli_print(cli, "the slow path has too many questions waiting, try again\n");
	else
		return 0;
	return ret;
}

int
app_call(struct app *app, struct plm_cli *cli, plm_call_fn fn, const void *arg, size_t len)
{
	char out[PLM_CALL_TEXT];
	uint32_t cursor = 0;
	int ret;

	do {
		out[0] = '\0';
		ret = plm_ctl_call(app->ctl, fn, arg, len, out, &cursor, CALL_MS);
		if (no_answer(cli, ret, out) < 0)
			return ret;
		plm_cli_print(cli, "%s", out);
	} while (ret == 0 && cursor != 0);
	return ret;
}

void
app_list_init(struct app_list *list, const struct plm_cli_args *args, unsigned int first)
{
	bool given = args->nb == first + 2;

	memset(list, 0, sizeof(*list));
	list->from = given ? (uint32_t)args->arg[first].num : 0;
	list->rows = given ? (uint32_t)args->arg[first + 1].num : APP_LIST_ALL;
}

int
app_call_list(struct app *app, struct plm_cli *cli, plm_call_fn fn, struct app_list *list,
		const char *head)
{
	char out[PLM_CALL_TEXT];
	uint32_t cursor = list->from;
	int ret;

	do {
		out[0] = '\0';
		ret = plm_ctl_call(app->ctl, fn, list, sizeof(*list), out, &cursor, CALL_MS);
		if (no_answer(cli, ret, out) < 0)
			return ret;
		if (head != NULL)
			plm_cli_print(cli, "%s", head);
		head = NULL;
		plm_cli_print(cli, "%s", out);
		for (const char *p = out; list->rows != APP_LIST_ALL && *p != '\0'; p++)
			list->rows -= *p == '\n';
	} while (ret == 0 && cursor != 0 && list->rows > 0);
	if (ret == 0 && cursor != 0)
		plm_cli_print(cli, "next: %u\n", cursor);
	return ret;
}

const char *
role_name(uint8_t role)
{
	switch (role) {
	case PLM_ROLE_PUBLISH:
		return "publish";
	case PLM_ROLE_SUBSCRIBE:
		return "subscribe";
	default:
		return "both";
	}
}

const char *
tuple_text(const struct plm_tuple *tuple, char buf[TUPLE_TEXT_SIZE])
{
	char addr[INET6_ADDRSTRLEN];

	inet_ntop(tuple->is_v6 ? AF_INET6 : AF_INET, tuple->addr, addr, sizeof(addr));
	snprintf(buf, TUPLE_TEXT_SIZE, tuple->is_v6 ? "[%s]:%u" : "%s:%u", addr,
			rte_be_to_cpu_16(tuple->port));
	return buf;
}

int
session_id_parse(const char *word, struct plm_handle *session)
{
	char end;

	return sscanf(word, "%u.%u%c", &session->idx, &session->gen, &end) == 2 ? 0 : -EINVAL;
}

int
cmd_help(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	plm_cli_help(cli);
	return 0;
}
