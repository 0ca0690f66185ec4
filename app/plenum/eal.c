/* SPDX-License-Identifier: BSD-3-Clause */
/* EAL's arguments out of plenum.conf, and its complaints in words for the operator. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "app.h"

#define EAL_ARGS_MAX  (CONF_EAL_ARGS + 2 * PLM_PORTS_MAX + 24)
#define EAL_TEXT_SIZE 16384

struct eal_args {
	int argc;
	char *argv[EAL_ARGS_MAX];
	struct plm_text text; /* where generated arguments live */
	char buf[EAL_TEXT_SIZE];
};

static void
add(struct eal_args *args, const char *fmt, ...)
{
	va_list ap;

	/* Each argument ends with the NUL that the next one must not overwrite. */
	args->argv[args->argc++] = args->text.buf + args->text.len;
	va_start(ap, fmt);
	plm_text_vadd(&args->text, fmt, ap);
	va_end(ap);
	if (args->text.len + 1 < args->text.size)
		args->text.buf[++args->text.len] = '\0';
	else
		args->text.cut = true;
}

static void
add_lcores(struct eal_args *args, const struct conf *conf)
{
	char buf[256];
	struct plm_text list;

	/* Ids of our own, so that lcores may share a CPU: 0 main, 1 slow path, 2 on workers. */
	plm_text_init(&list, buf, sizeof(buf));
	plm_text_add(&list, "0@%u,1@%u", conf->main_cpu, conf->slow_cpu);
	for (unsigned int i = 0; i < conf->nb_workers; i++)
		plm_text_add(&list, ",%u@%u", 2 + i, conf->workers[i]);
	add(args, "--lcores");
	add(args, "%s", buf);
	add(args, "--main-lcore");
	add(args, "0");
}

static void
add_devices(struct eal_args *args, const struct conf *conf)
{
	bool pci = false;

	for (unsigned int i = 0; i < conf->nb_ports; i++) {
		const struct conf_port *port = &conf->ports[i];

		add(args, conf_port_is_pci(port) ? "-a" : "--vdev");
		add(args, "%s", port->device);
		pci |= conf_port_is_pci(port);
	}
	/* Without it EAL would look at, and maybe take, the machine's own interfaces. */
	if (!pci)
		add(args, "--no-pci");
}

/* Free hugepages of all sizes, bytes, and the size of the smallest. */
static uint64_t
hugepages_free(uint64_t *page)
{
	static const char dir_name[] = "/sys/kernel/mm/hugepages";
	uint64_t bytes = 0;
	struct dirent *e;
	DIR *dir = opendir(dir_name);

	*page = UINT64_C(2) << 20;
	if (dir == NULL)
		return 0;
	while ((e = readdir(dir)) != NULL) {
		char path[384];
		unsigned long kb;
		unsigned long n;
		FILE *in;

		if (sscanf(e->d_name, "hugepages-%lukB", &kb) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/%s/free_hugepages", dir_name, e->d_name);
		in = fopen(path, "re");
		if (in == NULL)
			continue;
		if (fscanf(in, "%lu", &n) == 1)
			bytes += (uint64_t)n * kb << 10;
		fclose(in);
	}
	closedir(dir);
	return bytes;
}

static int
check_hugepages(uint64_t need, struct plm_text *why)
{
	uint64_t page;
	uint64_t there = hugepages_free(&page);

	if (there >= need)
		return 0;
	plm_text_add(why,
			"too few hugepages: %" PRIu64 " MB free, %" PRIu64 " MB needed; run "
			"`sysctl -w vm.nr_hugepages=%" PRIu64 "` or set hugepages = false",
			there >> 20, need >> 20, (need + page - 1) / page);
	return -ENOMEM;
}

static void
add_memory(struct eal_args *args, const struct conf *conf, uint64_t mb)
{
	static const uint8_t key[16] = { 0 };
	const char *path = conf->control_socket;

	if (conf->hugepages) {
		add(args, "--in-memory");
		for (unsigned int i = 0; i < conf->nb_ports; i++) {
			if (!conf_port_driver(&conf->ports[i])->shares_memory)
				continue;
			/* Otherwise the peer maps a part of it, and all goes well for 256 frames. */
			add(args, "--single-file-segments");
			break;
		}
		return;
	}
	add(args, "--no-huge");
	add(args, "-m");
	add(args, "%" PRIu64, mb);
	/* A name per control socket: several relays side by side, and no litter of old ones. */
	add(args, "--file-prefix");
	add(args, "plenum-%016" PRIx64, plm_siphash(key, path, strlen(path)));
}

/* A socket that nobody answers on is left over from a process that was killed: a driver would not
 * start over it. Asked as a datagram socket, since a server would take us for its peer. */
static int
clear_socket(const char *path, struct plm_text *why)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct stat st;
	int ret = 0;
	int fd;

	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode) || strlen(path) >= sizeof(un.sun_path)) {
		plm_text_add(why, "%s is there and is no socket", path);
		return -EEXIST;
	}
	memcpy(un.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0 && errno == ECONNREFUSED) {
		unlink(path);
	} else {
		plm_text_add(why, "%s is another process's", path);
		ret = -EADDRINUSE;
	}
	close(fd);
	return ret;
}

static int
clear_sockets(const struct conf *conf, struct plm_text *why)
{
	char buf[CONF_DEVICE_SIZE];
	char words[CONF_DEVICE_SIZE + 64];
	struct plm_text wrong;
	int ret = 0;

	for (unsigned int i = 0; ret == 0 && i < conf->nb_ports; i++) {
		const char *path = conf_port_server(&conf->ports[i], buf);

		if (path == NULL)
			continue;
		plm_text_init(&wrong, words, sizeof(words));
		ret = clear_socket(path, &wrong);
		if (ret < 0)
			plm_text_add(why, "port %s: %s", conf->ports[i].name,
					wrong.len != 0 ? words : strerror(-ret));
	}
	return ret;
}

int
eal_start(const struct conf *conf, struct plm_text *why)
{
	struct plm_pool_need need;
	struct plm_pool_plan plan;
	/* EAL keeps pointers to its arguments. */
	static struct eal_args storage;
	struct eal_args *args = &storage;
	uint64_t mb = conf->memory_mb;
	int ret = 0;

	conf_pool_need(conf, &need);
	plm_pool_plan(&need, &plan);
	if (mb == 0)
		mb = (conf_memory(conf, &plan) >> 20) + 1;
	if (conf->hugepages)
		ret = check_hugepages(mb << 20, why);
	if (ret == 0)
		ret = clear_sockets(conf, why);
	if (ret < 0)
		return ret;
	plm_text_init(&args->text, args->buf, sizeof(args->buf));
	add(args, "plenum");
	add_lcores(args, conf);
	add_memory(args, conf, mb);
	add_devices(args, conf);
	/* What EAL finds in good order is no news; the operator's own arguments come last. */
	add(args, "--log-level=lib.eal:warning");
	add(args, "--log-level=lib.telemetry:error");
	add(args, "--log-level=lib.vhost.*:warning");
	for (unsigned int i = 0; i < conf->nb_eal; i++)
		add(args, "%s", conf->eal[i].path);
	if (args->text.cut) {
		plm_text_add(why, "eal: the arguments are too long");
		ret = -E2BIG;
	} else if (rte_eal_init(args->argc, args->argv) < 0) {
		ret = -rte_errno;
		plm_text_add(why, "EAL does not start: %s (its own words stand above)",
				rte_strerror(rte_errno));
	}
	return ret;
}
