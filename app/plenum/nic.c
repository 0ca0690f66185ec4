/* SPDX-License-Identifier: BSD-3-Clause */
/* What NICs count. Per-queue figures come from the extended statistics, where ethdev adds them for
 * drivers with the basic ones and the others have some of their own. */
#include "nic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Rooms that are named beside a loss. */
#define LARGEST 5
#define CALL_MS 2000

/* --- figures -------------------------------------------------------------------------------- */

static bool
xstat(const struct plm_port *port, const char *name, uint64_t *value)
{
	uint64_t id;

	return rte_eth_xstats_get_id_by_name(port->ethdev_id, name, &id) == 0 &&
			rte_eth_xstats_get_by_id(port->ethdev_id, &id, value, 1) == 1;
}

/* "rx_q0_packets"; virtio says "rx_q0_good_packets". */
static bool
queue_xstat(const struct plm_port *port, const char *way, uint16_t queue, const char *what,
		uint64_t *value)
{
	char name[RTE_ETH_XSTATS_NAME_SIZE];

	snprintf(name, sizeof(name), "%s_q%u_%s", way, queue, what);
	if (xstat(port, name, value))
		return true;
	snprintf(name, sizeof(name), "%s_q%u_good_%s", way, queue, what);
	return xstat(port, name, value);
}

bool
nic_queue_stats(const struct plm_port *port, uint16_t queue, struct nic_queue *stats)
{
	memset(stats, 0, sizeof(*stats));
	if (!queue_xstat(port, "rx", queue, "packets", &stats->rx_packets))
		return false;
	queue_xstat(port, "rx", queue, "bytes", &stats->rx_bytes);
	queue_xstat(port, "rx", queue, "errors", &stats->rx_errors);
	queue_xstat(port, "tx", queue, "packets", &stats->tx_packets);
	queue_xstat(port, "tx", queue, "bytes", &stats->tx_bytes);
	return true;
}

void
nic_xstats(const struct plm_port *port, void (*fn)(void *ctx, const char *name, uint64_t value),
		void *ctx)
{
	struct rte_eth_xstat_name *names = NULL;
	struct rte_eth_xstat *values = NULL;
	int n = rte_eth_xstats_get(port->ethdev_id, NULL, 0);

	if (n > 0) {
		names = calloc((size_t)n, sizeof(*names));
		values = calloc((size_t)n, sizeof(*values));
	}
	if (names != NULL && values != NULL &&
			rte_eth_xstats_get_names(port->ethdev_id, names, (unsigned int)n) == n &&
			rte_eth_xstats_get(port->ethdev_id, values, (unsigned int)n) == n) {
		for (int i = 0; i < n; i++) {
			if (values[i].value != 0 && values[i].id < (uint64_t)n)
				fn(ctx, names[values[i].id].name, values[i].value);
		}
	}
	free(names);
	free(values);
}

uint32_t
nic_losers(const struct app *app, unsigned int port, const struct rte_eth_stats *stats)
{
	const struct plm_ctl_conf *conf = plm_ctl_conf(app->ctl);
	uint32_t losers = 0;
	uint32_t all = 0;

	if (stats->imissed + stats->rx_nombuf + stats->ierrors == 0)
		return 0;
	for (uint16_t q = 0; q < app->ports[port].nb_queues; q++) {
		struct nic_queue queue;

		all |= UINT32_C(1) << conf->queue_owner[port][q];
		if (nic_queue_stats(&app->ports[port], q, &queue) && queue.rx_errors > 0)
			losers |= UINT32_C(1) << conf->queue_owner[port][q];
	}
	return losers != 0 ? losers : all;
}

/* --- whom a loss concerns ------------------------------------------------------------------- */

struct largest {
	uint32_t nb;
	struct {
		char name[PLM_NAME_SIZE];
		uint32_t nb_members;
	} rooms[LARGEST];
};

static void
largest_add(struct largest *list, const char *name, uint32_t nb_members)
{
	unsigned int i = list->nb;

	if (list->nb < LARGEST)
		list->nb++;
	else if (list->rooms[--i].nb_members >= nb_members)
		return;
	for (; i > 0 && list->rooms[i - 1].nb_members < nb_members; i--)
		list->rooms[i] = list->rooms[i - 1];
	snprintf(list->rooms[i].name, sizeof(list->rooms[i].name), "%s", name);
	list->rooms[i].nb_members = nb_members;
}

/* Does one of these workers serve members of the room? */
static bool
served_by(const struct plm_view *view, const struct plm_room_info *info, uint32_t workers)
{
	if (view == NULL) /* not yet published */
		return (workers >> info->home & 1) != 0;
	for (unsigned int w = 0; w < PLM_WORKERS_MAX; w++) {
		if ((workers >> w & 1) != 0 && view->first_range[w] < view->first_range[w + 1])
			return true;
	}
	return false;
}

/* Answers with a struct largest of the room slots that this page looked at. */
static int
call_largest(struct plm_ctl *ctl, const void *arg, struct plm_text *out, uint32_t *cursor,
		uint64_t now_ns, uint64_t wall_s)
{
	const struct plm_room_table *rooms = plm_ctl_rooms(ctl);
	const uint32_t *workers = arg;
	struct largest list = { .nb = 0 };
	uint32_t i = *cursor;
	uint32_t end = RTE_MIN(i + APP_SCAN_ROOMS, rooms->max_rooms);

	for (; i < end; i++) {
		struct plm_room_info info;

		if (plm_room_info(rooms, i, &info) == 0 &&
				served_by(plm_room_view(rooms, i), &info, *workers))
			largest_add(&list, info.name, info.nb_members);
	}
	*cursor = i < rooms->max_rooms ? i : 0;
	return app_answer(out, &list, sizeof(list));
}

static int
find_largest(struct app *app, uint32_t workers, struct largest *list)
{
	char out[PLM_CALL_TEXT];
	uint32_t cursor = 0;
	int ret;

	list->nb = 0;
	do {
		struct largest page;

		ret = plm_ctl_call(app->ctl, call_largest, &workers, sizeof(workers), out, &cursor,
				CALL_MS);
		if (ret < 0)
			return ret;
		memcpy(&page, out, sizeof(page));
		for (unsigned int i = 0; i < page.nb; i++)
			largest_add(list, page.rooms[i].name, page.rooms[i].nb_members);
	} while (cursor != 0);
	return 0;
}

static int
show_loss(struct app *app, struct plm_cli *cli, unsigned int port,
		const struct rte_eth_stats *stats, uint32_t workers)
{
	struct largest list;
	const char *sep = "";
	int ret = find_largest(app, workers, &list);

	plm_cli_print(cli,
			"port %s: missed by the NIC: %" PRIu64 ", without mbuf: %" PRIu64
			", damaged: %" PRIu64 "; workers concerned:",
			app->ports[port].name, stats->imissed, stats->rx_nombuf, stats->ierrors);
	for (unsigned int w = 0; w < app->conf.nb_workers; w++) {
		if ((workers >> w & 1) != 0)
			plm_cli_print(cli, " %u", w);
	}
	if (ret < 0) {
		plm_cli_print(cli, "; their rooms: the slow path did not answer\n");
		return ret;
	}
	plm_cli_print(cli, "; their largest rooms: ");
	for (unsigned int i = 0; i < list.nb; i++) {
		plm_cli_print(cli, "%s%s (%u members)", sep, list.rooms[i].name,
				list.rooms[i].nb_members);
		sep = ", ";
	}
	plm_cli_print(cli, "%s\n", list.nb == 0 ? "none" : "");
	return 0;
}

int
nic_show_losses(struct app *app, struct plm_cli *cli)
{
	int ret = 0;

	for (unsigned int p = 0; ret == 0 && p < app->nb_ports; p++) {
		struct rte_eth_stats stats;
		uint32_t workers;

		if (rte_eth_stats_get(app->ports[p].ethdev_id, &stats) < 0)
			continue;
		workers = nic_losers(app, p, &stats);
		if (workers != 0)
			ret = show_loss(app, cli, p, &stats, workers);
	}
	return ret;
}
