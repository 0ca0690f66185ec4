/* SPDX-License-Identifier: BSD-3-Clause */
/* show port. Ports are main's; commands stand in for main by holding its lock. */
#include <inttypes.h>
#include <stdio.h>

#include "nic.h"

static void
queue_line(struct plm_cli *cli, const struct app *app, unsigned int port, uint16_t queue)
{
	struct nic_queue s;
	char name[32];

	if (!nic_queue_stats(&app->ports[port], queue, &s))
		return;
	snprintf(name, sizeof(name), "  queue %u, worker %u", queue,
			plm_ctl_conf(app->ctl)->queue_owner[port][queue]);
	plm_cli_print(cli,
			"%-20s %14" PRIu64 " %16" PRIu64 " %12s %10" PRIu64 " %14" PRIu64
			" %16" PRIu64 "\n",
			name, s.rx_packets, s.rx_bytes, "", s.rx_errors, s.tx_packets, s.tx_bytes);
}

int
cmd_show_port_stats(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	struct app *app = ctx;

	plm_cli_print(cli, "%-20s %14s %16s %12s %10s %14s %16s %10s %10s\n", "port", "rx packets",
			"rx bytes", "rx missed", "rx errors", "tx packets", "tx bytes", "tx errors",
			"rx no mbuf");
	for (unsigned int p = 0; p < app->nb_ports; p++) {
		struct rte_eth_stats s;
		int ret = rte_eth_stats_get(app->ports[p].ethdev_id, &s);

		if (ret < 0) {
			plm_cli_print(cli, "%-20s its driver has no statistics\n",
					app->ports[p].name);
			continue;
		}
		plm_cli_print(cli,
				"%-20s %14" PRIu64 " %16" PRIu64 " %12" PRIu64 " %10" PRIu64
				" %14" PRIu64 " %16" PRIu64 " %10" PRIu64 " %10" PRIu64 "\n",
				app->ports[p].name, s.ipackets, s.ibytes, s.imissed, s.ierrors,
				s.opackets, s.obytes, s.oerrors, s.rx_nombuf);
		for (uint16_t q = 0; q < app->ports[p].nb_queues; q++)
			queue_line(cli, app, p, q);
	}
	return 0;
}

static void
xstat_line(void *ctx, const char *name, uint64_t value)
{
	plm_cli_print(ctx, "  %-40s %" PRIu64 "\n", name, value);
}

int
cmd_show_port_xstats(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	struct app *app = ctx;

	for (unsigned int p = 0; p < app->nb_ports; p++) {
		plm_cli_print(cli, "port %s:\n", app->ports[p].name);
		nic_xstats(&app->ports[p], xstat_line, cli);
	}
	return 0;
}

static const char *
yes_no(bool yes)
{
	return yes ? "yes" : "no";
}

static const char *
spread_text(const struct plm_port *port)
{
	switch (port->spread) {
	case PLM_SPREAD_RSS:
		return port->reta_size != 0
				? "all queues in turn, by RSS over UDP ports"
				: "queues by the driver's own table, by RSS over UDP ports";
	case PLM_SPREAD_DRIVER:
		return "queues by the driver's or its peer's own means";
	default:
		return "one queue";
	}
}

int
cmd_show_port_info(struct plm_cli *cli, void *ctx, const struct plm_cli_args *args)
{
	struct app *app = ctx;

	for (unsigned int p = 0; p < app->nb_ports; p++) {
		struct plm_port *port = &app->ports[p];
		uint32_t mbps;

		plm_port_poll_link(port);
		mbps = atomic_load_explicit(&port->link_mbps, memory_order_relaxed);
		plm_cli_print(cli, "port %s: mac " RTE_ETHER_ADDR_PRT_FMT ", link %s", port->name,
				RTE_ETHER_ADDR_BYTES(&port->mac),
				atomic_load_explicit(&port->link_up, memory_order_relaxed)
						? "up"
						: "down");
		if (mbps != 0 && mbps != RTE_ETH_SPEED_NUM_UNKNOWN)
			plm_cli_print(cli, " (%u Mbit/s)", mbps);
		plm_cli_print(cli, ", mtu %u", port->mtu);
		if (port->vlan != 0)
			plm_cli_print(cli, ", vlan %u", port->vlan);
		plm_cli_print(cli, "\n");
		plm_cli_print(cli, "  %u queues of %u RX and %u TX descriptors, promiscuous %s\n",
				port->nb_queues, port->nb_rxd, port->nb_txd,
				yes_no(port->promiscuous));
		plm_cli_print(cli, "  received frames go to %s\n", spread_text(port));
		plm_cli_print(cli, "  chained TX %s, payloads below %u bytes copied\n",
				yes_no(port->chain), port->copy_below);
		plm_cli_print(cli, "  checksum offload: rx ip %s, rx udp %s\n",
				yes_no(port->rx_ip_csum), yes_no(port->rx_udp_csum));
	}
	return 0;
}
