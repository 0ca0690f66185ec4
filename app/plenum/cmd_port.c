/* SPDX-License-Identifier: BSD-3-Clause */
/* show port. Ports are main's; commands stand in for main by holding its lock. */
#include <inttypes.h>

#include "app.h"

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
		plm_cli_print(cli, ", mtu %u\n", port->mtu);
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
