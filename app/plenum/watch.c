/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports that vanish or lose their link while the relay runs: one line each time, and workers are told
 * by plm_port.link_up, so that what such a port does not take is dropped and counted at once.
 *
 * Drivers that sit on an interface of the kernel report a link whatever becomes of it, so the
 * kernel is asked.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app.h"

static bool
interface_runs(int fd, const char *name)
{
	struct ifreq req = { .ifr_flags = 0 };

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	return ioctl(fd, SIOCGIFFLAGS, &req) == 0 && (req.ifr_flags & IFF_UP) != 0 &&
			(req.ifr_flags & IFF_RUNNING) != 0;
}

/* Read the link anew; why there is none, or NULL. */
static const char *
look(struct app_watch *watch, struct plm_port *port, int fd)
{
	const char *why = "the link is down";

	if (watch->ifname != NULL) {
		unsigned int index = if_nametoindex(watch->ifname);

		port->lost = index != watch->ifindex || !interface_runs(fd, watch->ifname);
		if (index != watch->ifindex)
			why = "its interface is gone; it needs a restart when that is back";
	} else if (rte_eth_dev_is_removed(port->ethdev_id) != 0) {
		why = "the device is gone; it needs a restart when that is back";
	}
	plm_port_poll_link(port);
	return atomic_load_explicit(&port->link_up, memory_order_relaxed) ? NULL : why;
}

static void
watch_one(struct app_watch *watch, struct plm_port *port, int fd)
{
	const char *why = look(watch, port, fd);

	if (why == watch->why)
		return;
	if (why == NULL)
		fprintf(stderr, "plenum: port %s: the link is up\n", port->name);
	else
		fprintf(stderr, "plenum: port %s: %s; what it does not take is dropped (copy_link)\n",
				port->name, why);
	watch->why = why;
}

void
watch_ports(struct app *app)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* Without a socket every interface would seem to be down. */
	for (unsigned int p = 0; p < app->nb_ports && fd >= 0; p++)
		watch_one(&app->watch[p], &app->ports[p], fd);
	if (fd >= 0)
		close(fd);
}

void
watch_start(struct app *app)
{
	for (unsigned int p = 0; p < app->nb_ports; p++) {
		struct app_watch *watch = &app->watch[p];

		watch->ifname = conf_port_interface(&app->conf.ports[p], watch->name);
		if (watch->ifname != NULL)
			watch->ifindex = if_nametoindex(watch->ifname);
	}
}
