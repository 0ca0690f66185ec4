/* SPDX-License-Identifier: BSD-3-Clause */
/* From plenum.conf to a checked struct: what holds between settings, and what they need. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "plm_conf.h"
#include "plm_crypto.h"
#include "plm_quic_identity.h"

/* What EAL, drivers and hash tables take beside what is counted below. */
#define MEMORY_BASE (UINT64_C(48) << 20)

/* af_xdp's fill ring, and what it copies to its own memory to send. */
#define AF_XDP_HELD 4096
/* Buffers of a memif ring, unless `device` says otherwise. */
#define MEMIF_BUFFER 2048

static const char no_interface[] = "does its interface exist (`ip link`), and may we use it?";
static const char no_bound[] = "is it bound to vfio-pci (`dpdk-devbind.py -s`)?";
static const char no_name[] = "is there such a driver, and are its arguments right?";

static const struct conf_driver drivers[] = {
	{ .prefix = "net_af_packet",
			.kernel = true,
			.queues_arg = "qpairs",
			.missing = no_interface },
	{ .prefix = "net_af_xdp",
			.kernel = true,
			.no_chain = true,
			.rx_extra = AF_XDP_HELD,
			.queues_arg = "queue_count",
			.missing = no_interface },
	{ .prefix = "net_tap",
			.kernel = true,
			.missing = "may we make interfaces (/dev/net/tun)?" },
	{ .prefix = "net_pcap", .missing = "does its file or interface exist, and may we use it?" },
	{ .prefix = "net_memif",
			.socket_arg = "socket",
			.server_arg = "role=server",
			.missing = "is its socket's folder there, and nobody else's server at it?" },
	{ .prefix = "net_vhost",
			.queues_arg = "queues",
			.socket_arg = "iface",
			.server_arg = "client=1",
			.server_is_default = true,
			.missing = "is its socket's folder there, and nobody else's server at it?" },
	{ .prefix = "net_virtio_user",
			.shares_memory = true,
			.queues_arg = "queues",
			.socket_arg = "path",
			.server_arg = "server=1",
			.missing = "is the vhost server there that listens at its path? (With "
				   "server=1 plenum waits for it.)" },
};

const struct conf_driver *
conf_port_driver(const struct conf_port *port)
{
	static const struct conf_driver pci = { .prefix = "", .missing = no_bound };
	static const struct conf_driver other = { .prefix = "", .missing = no_name };

	for (unsigned int i = 0; i < RTE_DIM(drivers); i++) {
		if (strncmp(port->name, drivers[i].prefix, strlen(drivers[i].prefix)) == 0)
			return &drivers[i];
	}
	return conf_port_is_pci(port) ? &pci : &other;
}

const char *
conf_port_arg(const struct conf_port *port, const char *key, char buf[CONF_DEVICE_SIZE])
{
	size_t len = strlen(key);

	for (const char *at = strchr(port->device, ','); at != NULL; at = strchr(at, ',')) {
		at++;
		if (strncmp(at, key, len) != 0 || at[len] != '=')
			continue;
		at += len + 1;
		len = strcspn(at, ",");
		memcpy(buf, at, len);
		buf[len] = '\0';
		return buf;
	}
	return NULL;
}

const char *
conf_port_server(const struct conf_port *port, char buf[CONF_DEVICE_SIZE])
{
	const struct conf_driver *driver = conf_port_driver(port);
	bool named;

	if (driver->socket_arg == NULL)
		return NULL;
	named = strstr(port->device, driver->server_arg) != NULL;
	if (named == driver->server_is_default)
		return NULL;
	return conf_port_arg(port, driver->socket_arg, buf);
}

const char *
conf_port_interface(const struct conf_port *port, char buf[CONF_DEVICE_SIZE])
{
	/* net_tap sees its own, which may be in another namespace by now. */
	if (strncmp(port->name, "net_af_", strlen("net_af_")) != 0 &&
			strncmp(port->name, "net_pcap", strlen("net_pcap")) != 0)
		return NULL;
	return conf_port_arg(port, "iface", buf);
}

bool
conf_port_is_kernel(const struct conf_port *port)
{
	char buf[CONF_DEVICE_SIZE];
	const char *path = conf_port_arg(port, "path", buf);

	/* net_pcap on an interface, net_virtio_user on vhost-net */
	return conf_port_driver(port)->kernel || conf_port_interface(port, buf) != NULL ||
			(path != NULL && strcmp(path, "/dev/vhost-net") == 0);
}

bool
conf_port_is_pci(const struct conf_port *port)
{
	unsigned int bus;
	unsigned int dev;
	unsigned int fn;
	unsigned int domain;

	return sscanf(port->name, "%x:%x:%x.%x", &domain, &bus, &dev, &fn) == 4 ||
			sscanf(port->name, "%x:%x.%x", &bus, &dev, &fn) == 3;
}

unsigned int
conf_port_queues(const struct conf *conf, const struct conf_port *port, unsigned int max)
{
	if (port->nic.queues != CONF_AUTO)
		return port->nic.queues;
	return RTE_MIN(conf->nb_workers, max);
}

static int
check_cpu(const struct plm_conf *file, const char *key, uint16_t cpu, const cpu_set_t *set,
		struct plm_text *why)
{
	const char *sep = "";

	if (cpu < CPU_SETSIZE && CPU_ISSET(cpu, set))
		return 0;
	plm_conf_where(file, key, why);
	plm_text_add(why, "CPU %u is not there, must be one of ", cpu);
	for (unsigned int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, set))
			continue;
		plm_text_add(why, "%s%u", sep, i);
		sep = ", ";
	}
	return -EINVAL;
}

/*
 * Defaults: main and slow path on the first CPU, one worker on the last; with four CPUs or more
 * the slow path has the second for itself.
 */
static int
check_cpus(struct conf *conf, const struct plm_conf *file, struct plm_text *why)
{
	/* Read once: later, at a reload, EAL has bound this thread to the main CPU. */
	static cpu_set_t set;
	static bool is_read;
	char key[32];
	uint16_t first = CONF_AUTO;
	uint16_t second = CONF_AUTO;
	uint16_t last = 0;
	int ret;

	if (!is_read && sched_getaffinity(0, sizeof(set), &set) < 0) {
		plm_text_add(why, "CPUs cannot be read: %s", strerror(errno));
		return -errno;
	}
	is_read = true;
	for (uint16_t i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &set))
			continue;
		if (first == CONF_AUTO)
			first = i;
		else if (second == CONF_AUTO)
			second = i;
		last = i;
	}
	if (conf->main_cpu == CONF_AUTO)
		conf->main_cpu = first;
	if (conf->slow_cpu == CONF_AUTO)
		conf->slow_cpu = CPU_COUNT(&set) >= 4 ? second : conf->main_cpu;
	if (conf->nb_workers == 0)
		conf->workers[conf->nb_workers++] = last;

	ret = check_cpu(file, "main_cpu", conf->main_cpu, &set, why);
	if (ret == 0)
		ret = check_cpu(file, "slow_cpu", conf->slow_cpu, &set, why);
	for (unsigned int i = 0; ret == 0 && i < conf->nb_workers; i++) {
		snprintf(key, sizeof(key), "workers[%u]", i);
		ret = check_cpu(file, key, conf->workers[i], &set, why);
	}
	return ret;
}

bool
conf_on_link(const struct conf_prefix *prefix, const struct plm_ip *ip)
{
	const uint8_t *a = prefix->ip.addr;
	const uint8_t *b = ip->addr;
	unsigned int bytes = prefix->len / 8;
	unsigned int bits = prefix->len % 8;

	if (prefix->ip.is_v6 != ip->is_v6 || memcmp(a, b, bytes) != 0)
		return false;
	return bits == 0 || ((a[bytes] ^ b[bytes]) & (0xff00 >> bits & 0xff)) == 0;
}

const char *
conf_wrong_address(const struct plm_ip *ip)
{
	const uint8_t *a = ip->addr;

	if (!ip->is_v6)
		return a[0] == 0 || a[0] == 127 || a[0] >= 224 ? "must be a unicast address" : NULL;
	if (a[0] == 0xff || (a[0] == 0 && memcmp(a, a + 1, 14) == 0))
		return "must be a unicast address";
	return NULL;
}

static const char *
wrong_own_address(const struct plm_ip *ip)
{
	if (ip->is_v6 && ip->addr[0] == 0xfe && (ip->addr[1] & 0xc0) == 0x80)
		return "a link-local address is added by itself, must be a global or unique local one";
	return conf_wrong_address(ip);
}

static int
check_address(const struct conf *conf, unsigned int port, unsigned int idx,
		const struct plm_conf *file, struct plm_text *why)
{
	static const struct plm_ip none;
	const struct conf_address *a = &conf->ports[port].addresses[idx];
	const char *wrong = wrong_own_address(&a->prefix.ip);
	const char *name = "address";
	char key[64];

	for (unsigned int p = 0; wrong == NULL && p <= port; p++) {
		unsigned int n = p == port ? idx : conf->ports[p].nb_addresses;

		for (unsigned int i = 0; i < n; i++) {
			const struct plm_ip *other = &conf->ports[p].addresses[i].prefix.ip;

			if (other->is_v6 == a->prefix.ip.is_v6 &&
					memcmp(other->addr, a->prefix.ip.addr, 16) == 0)
				wrong = "is there twice, must be one port's alone";
		}
	}
	if (wrong == NULL && memcmp(a->gateway.addr, none.addr, sizeof(none.addr)) != 0) {
		bool link_local = a->gateway.is_v6 && a->gateway.addr[0] == 0xfe &&
				(a->gateway.addr[1] & 0xc0) == 0x80;

		name = "gateway";
		if (a->gateway.is_v6 != a->prefix.ip.is_v6)
			wrong = "must be of the address's family";
		else if (!link_local && !conf_on_link(&a->prefix, &a->gateway))
			wrong = "is not on the link, must be within the address's prefix";
	}
	if (wrong == NULL)
		return 0;
	snprintf(key, sizeof(key), "ports[%u].addresses[%u].%s", port, idx, name);
	plm_conf_where(file, key, why);
	plm_text_add(why, "%s", wrong);
	return -EINVAL;
}

static void
inherit(struct conf_nic *nic, const struct conf_nic *from)
{
	if (nic->queues == CONF_INHERIT)
		nic->queues = from->queues;
	if (nic->rx_descriptors == CONF_INHERIT)
		nic->rx_descriptors = from->rx_descriptors;
	if (nic->tx_descriptors == CONF_INHERIT)
		nic->tx_descriptors = from->tx_descriptors;
	if (nic->mtu == CONF_INHERIT)
		nic->mtu = from->mtu;
	if (nic->chain == CONF_INHERIT)
		nic->chain = from->chain;
	if (nic->copy_below == CONF_INHERIT)
		nic->copy_below = from->copy_below;
}

/* What a driver does wrong without a word, or cannot do. */
static int
check_device(const struct conf_port *port, unsigned int idx, const struct plm_conf *file,
		struct plm_text *why)
{
	char buf[CONF_DEVICE_SIZE];
	char key[48];
	const char *bsize;
	unsigned long room = MEMIF_BUFFER;
	unsigned int frame = (port->nic.mtu != 0 ? port->nic.mtu : RTE_ETHER_MTU) +
			RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;

	if (conf_port_driver(port)->no_chain && port->nic.chain == PLM_CHAIN_ON) {
		snprintf(key, sizeof(key), "ports[%u].chain", idx);
		plm_conf_where(file, key, why);
		plm_text_add(why,
				"%s sends chained frames with wrong bytes, must be \"off\" or "
				"\"auto\"",
				port->name);
		return -EINVAL;
	}
	if (strncmp(port->name, "net_memif", strlen("net_memif")) != 0)
		return 0;
	bsize = conf_port_arg(port, "bsize", buf);
	if (bsize != NULL)
		room = strtoul(bsize, NULL, 10);
	if (frame <= room)
		return 0;
	snprintf(key, sizeof(key), "ports[%u].device", idx);
	plm_conf_where(file, key, why);
	plm_text_add(why,
			"%s has buffers of %lu bytes, must have bsize=%u or more for frames of "
			"that MTU",
			port->name, room, frame);
	return -EINVAL;
}

static int
check_port(struct conf *conf, unsigned int idx, const struct plm_conf *file, struct plm_text *why)
{
	struct conf_port *port = &conf->ports[idx];
	size_t name_len;
	char key[48];
	int ret = 0;

	name_len = strcspn(port->device, ",");
	memcpy(port->name, port->device, name_len);
	port->name[name_len] = '\0';
	for (unsigned int i = 0; i < idx; i++) {
		if (strcmp(conf->ports[i].name, port->name) != 0)
			continue;
		snprintf(key, sizeof(key), "ports[%u].device", idx);
		plm_conf_where(file, key, why);
		plm_text_add(why, "%s is there twice, must be one port each", port->name);
		return -EINVAL;
	}
	snprintf(key, sizeof(key), port->nic.queues != CONF_INHERIT ? "ports[%u].queues" : "queues",
			idx);
	inherit(&port->nic, &conf->nic);
	if (port->nic.queues != CONF_AUTO && port->nic.queues > conf->nb_workers) {
		plm_conf_where(file, key, why);
		plm_text_add(why, "%u is out of range, must be 1 to %u (one per worker)",
				port->nic.queues, conf->nb_workers);
		return -EINVAL;
	}
	ret = check_device(port, idx, file, why);
	for (unsigned int i = 0; ret == 0 && i < port->nb_addresses; i++)
		ret = check_address(conf, idx, i, file, why);
	return ret;
}

static int
check_rules(struct conf *conf, const struct plm_conf *file, struct plm_text *why)
{
	char key[32];
	int ret = plm_conf_defaults(conf_rule_defs, &conf->rules[conf->nb_rules]);

	if (ret < 0)
		return ret;
	conf->nb_rules++;
	for (unsigned int i = 0; i < conf->nb_rules; i++) {
		uint32_t *max = &conf->rules[i].settings.max_members;

		if (*max == 0)
			*max = conf->limits.participants;
		if (*max <= conf->limits.participants)
			continue;
		snprintf(key, sizeof(key), "rooms[%u].max", i);
		plm_conf_where(file, key, why);
		plm_text_add(why, "%u is out of range, must be 1 to limits.participants (%u)", *max,
				conf->limits.participants);
		return -EINVAL;
	}
	return 0;
}

/* Names of QUIC rooms are in lower case: a rule for others would let everybody in whom it is to keep out. */
static int
check_allow(const struct conf *conf, const struct plm_conf *file, struct plm_text *why)
{
	char key[32];

	for (unsigned int i = 0; i < conf->nb_rules; i++) {
		const struct plm_room_rule *rule = &conf->rules[i];

		if (rule->nb_allow == 0 ||
				strpbrk(rule->pattern, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL)
			continue;
		snprintf(key, sizeof(key), "rooms[%u].pattern", i);
		plm_conf_where(file, key, why);
		plm_text_add(why,
				"\"%s\" has a rule with `allow`, so it must be in lower case as names "
				"of QUIC rooms are",
				rule->pattern);
		return -EINVAL;
	}
	return 0;
}

/* A file named in plenum.conf is relative to it. */
static int
resolve(char path[CONF_PATH_SIZE], const char *conf_path, const struct plm_conf *file,
		const char *key, struct plm_text *why)
{
	char full[PATH_MAX];
	const char *slash = strrchr(conf_path, '/');
	int n;

	if (path[0] == '/' || slash == NULL)
		return 0;
	n = snprintf(full, sizeof(full), "%.*s/%s", (int)(slash - conf_path), conf_path, path);
	if (n >= CONF_PATH_SIZE) {
		plm_conf_where(file, key, why);
		plm_text_add(why, "%s is too long, must be at most %d characters", full,
				CONF_PATH_SIZE - 1);
		return -ENAMETOOLONG;
	}
	memcpy(path, full, (size_t)n + 1);
	return 0;
}

static int
check_trace_dir(struct conf *conf, const char *path, const struct plm_conf *file,
		struct plm_text *why)
{
	struct stat st;
	int ret = 0;

	if (conf->trace_dir[0] == '\0')
		return 0;
	ret = resolve(conf->trace_dir, path, file, "trace_dir", why);
	if (ret < 0)
		return ret;
	if (stat(conf->trace_dir, &st) < 0)
		ret = -errno;
	else if (!S_ISDIR(st.st_mode))
		ret = -ENOTDIR;
	if (ret < 0) {
		plm_conf_where(file, "trace_dir", why);
		plm_text_add(why, "%s must be a directory: %s", conf->trace_dir, strerror(-ret));
	}
	return ret;
}

/* A seed that is not there yet is made when the relay starts, where it can be. */
static int
check_seed(const char *path, struct plm_text *why)
{
	const struct plm_rand rand = { .fill = plm_crypto_random };
	char dir[CONF_PATH_SIZE];
	uint8_t seed[PLM_QUIC_SEED_SIZE];
	int ret;

	if (access(path, F_OK) == 0) {
		ret = plm_quic_seed_load(path, &rand, seed, why);
		plm_crypto_erase(seed, sizeof(seed));
		return ret;
	}
	snprintf(dir, sizeof(dir), "%s", path);
	if (access(dirname(dir), W_OK | X_OK) == 0)
		return 0;
	ret = -errno;
	plm_text_add(why, "%s: cannot be made: %s", path, strerror(errno));
	return ret;
}

/* Whether the relay will have a certificate: nothing is kept, and no port is touched for one that is none. */
static int
check_identity(const struct conf_quic *quic, const struct plm_conf *file, struct plm_text *why)
{
	const char *key = "quic.identity";
	struct plm_quic_identity *id;
	struct plm_text wrong;
	char buf[320];
	int ret;

	plm_text_init(&wrong, buf, sizeof(buf));
	ret = quic->identity[0] != '\0' ? check_seed(quic->identity, &wrong) : 0;
	if (ret == 0 && quic->certificate[0] != '\0') {
		id = plm_quic_identity_create();
		if (id == NULL)
			return -ENOMEM;
		ret = plm_quic_identity_add_pem(id, quic->certificate, quic->key,
				(uint64_t)time(NULL), &wrong);
		plm_quic_identity_free(id);
		key = strncmp(buf, quic->key, strlen(quic->key)) == 0 ? "quic.key"
								      : "quic.certificate";
	}
	if (ret < 0) {
		plm_conf_where(file, key, why);
		plm_text_add(why, "%s", buf);
	} else if (wrong.len > 0) {
		fprintf(stderr, "plenum: warning: %s\n", buf);
	}
	return ret;
}

static int
check_quic(struct conf *conf, const char *path, const struct plm_conf *file, struct plm_text *why)
{
	struct conf_quic *quic = &conf->quic;
	int ret = 0;

	if (quic->connections == 0)
		return 0;
	if (quic->identity[0] == '\0' && quic->certificate[0] == '\0') {
		plm_conf_where(file, "quic.identity", why);
		plm_text_add(why, "must name a file where QUIC is served (connections %u)",
				quic->connections);
		return -EINVAL;
	}
	if ((quic->certificate[0] == '\0') != (quic->key[0] == '\0')) {
		plm_conf_where(file, quic->key[0] == '\0' ? "quic.key" : "quic.certificate", why);
		plm_text_add(why, "must be there: certificate and key belong together");
		return -EINVAL;
	}
	if (quic->identity[0] != '\0')
		ret = resolve(quic->identity, path, file, "quic.identity", why);
	if (ret == 0 && quic->certificate[0] != '\0')
		ret = resolve(quic->certificate, path, file, "quic.certificate", why);
	if (ret == 0 && quic->key[0] != '\0')
		ret = resolve(quic->key, path, file, "quic.key", why);
	return ret < 0 ? ret : check_identity(quic, file, why);
}

static int
check_wzp(struct conf *conf, const char *path, const struct plm_conf *file, struct plm_text *why)
{
	struct conf_wzp *wzp = &conf->wzp;
	int ret;

	if (wzp->auth_url[0] != '\0' && wzp->open_rooms) {
		plm_conf_where(file, "wzp.open_rooms", why);
		plm_text_add(why, "must be false where tokens are validated (auth_url)");
		return -EINVAL;
	}
	if (wzp->auth_ca[0] == '\0')
		return 0;
	ret = resolve(wzp->auth_ca, path, file, "wzp.auth_ca", why);
	if (ret == 0 && access(wzp->auth_ca, R_OK) < 0) {
		ret = -errno;
		plm_conf_where(file, "wzp.auth_ca", why);
		plm_text_add(why, "%s cannot be read: %s", wzp->auth_ca, strerror(-ret));
	}
	return ret;
}

static int
check_files(struct conf *conf, const char *path, const struct plm_conf *file, struct plm_text *why)
{
	struct sockaddr_un un;
	struct plm_secrets secrets;
	char buf[320];
	char key[32];
	struct plm_text wrong;
	int ret = 0;

	for (unsigned int i = 0; ret == 0 && i < conf->nb_secrets; i++) {
		snprintf(key, sizeof(key), "secrets[%u]", i);
		ret = resolve(conf->secrets[i].path, path, file, key, why);
		if (ret < 0)
			break;
		plm_text_init(&wrong, buf, sizeof(buf));
		ret = plm_secret_read(conf->secrets[i].path, secrets.s[i].key, &secrets.s[i].len,
				&wrong);
		plm_crypto_erase(&secrets, sizeof(secrets));
		if (ret < 0) {
			plm_conf_where(file, key, why);
			plm_text_add(why, "%s", buf);
		}
	}
	if (ret == 0 && strcmp(conf->events, "stderr") != 0)
		ret = resolve(conf->events, path, file, "events", why);
	if (ret == 0)
		ret = check_quic(conf, path, file, why);
	if (ret == 0)
		ret = check_wzp(conf, path, file, why);
	if (ret == 0)
		ret = resolve(conf->control_socket, path, file, "control_socket", why);
	if (ret == 0 && strlen(conf->control_socket) >= sizeof(un.sun_path)) {
		plm_conf_where(file, "control_socket", why);
		plm_text_add(why, "%s is too long, must be at most %zu characters",
				conf->control_socket, sizeof(un.sun_path) - 1);
		ret = -ENAMETOOLONG;
	}
	if (ret == 0)
		ret = check_trace_dir(conf, path, file, why);
	return ret;
}

/* Tables stay as large as they were made: a limit follows the file up to that. */
static int
check_limits(const struct conf *conf, const struct conf *running, const struct plm_conf *file,
		struct plm_text *why)
{
	const struct conf_limits *now = &conf->limits;
	const struct conf_limits *made = &running->limits;
	const struct {
		const char *key;
		uint32_t now;
		uint32_t made;
	} limits[] = {
		{ "limits.rooms", now->rooms, made->rooms },
		{ "limits.sessions", now->sessions, made->sessions },
		{ "limits.participants", now->participants, made->participants },
		{ "limits.view_backlog", now->view_backlog, made->view_backlog },
		{ "limits.bars", now->bars, made->bars },
	};

	for (unsigned int i = 0; i < RTE_DIM(limits); i++) {
		if (limits[i].now <= limits[i].made)
			continue;
		plm_conf_where(file, limits[i].key, why);
		plm_text_add(why,
				"%u is above %u, which the relay was started with; must be at most "
				"that, or restart",
				limits[i].now, limits[i].made);
		return -EINVAL;
	}
	if (now->neighbours != made->neighbours) {
		plm_conf_where(file, "limits.neighbours", why);
		plm_text_add(why, "must be %u as long as the relay runs, or restart",
				made->neighbours);
		return -EINVAL;
	}
	return 0;
}

void
conf_fill_limits(const struct conf *conf, struct plm_admit_limits *limits)
{
	*limits = (struct plm_admit_limits){
		.sessions = conf->limits.sessions,
		.rooms = conf->limits.rooms,
		.participants = conf->limits.participants,
		.backlog = conf->limits.view_backlog,
		.bars = conf->limits.bars,
		.admissions_per_s = conf->limits.admissions_per_s,
		.per_net6 = conf->limits.sessions_per_net6,
		.per_address4 = conf->limits.sessions_per_address4,
		.ssrcs = conf->limits.ssrcs,
	};
}

int
conf_load(struct conf *conf, const char *path, const struct conf *running, struct plm_text *why)
{
	struct plm_conf *file;
	int ret;

	memset(conf, 0, sizeof(*conf));
	ret = plm_conf_read(&file, path, conf_defs, conf, why);
	if (ret < 0)
		return ret;
	ret = check_cpus(conf, file, why);
	for (unsigned int i = 0; ret == 0 && i < conf->nb_ports; i++)
		ret = check_port(conf, i, file, why);
	if (ret == 0)
		ret = check_rules(conf, file, why);
	if (ret == 0)
		ret = check_allow(conf, file, why);
	if (ret == 0 && running != NULL)
		ret = check_limits(conf, running, file, why);
	if (ret == 0)
		ret = conf_check_statics(conf, running, file, why);
	if (ret == 0)
		ret = check_files(conf, path, file, why);
	plm_conf_free(file);
	return ret;
}

void
conf_pool_need(const struct conf *conf, struct plm_pool_need *need)
{
	*need = (struct plm_pool_need){
		.nb_workers = conf->nb_workers,
		.ring_size = conf->tuning.ring_size,
		.park_entries = conf->tuning.park_entries * conf->nb_ports,
		.burst = PLM_BURST,
		.small_pages = !conf->hugepages,
		.quic = conf->quic.connections > 0,
		.quic_parts = PLM_QUIC_WORKER_PARTS + 2 * conf->tuning.ring_size,
	};
	for (unsigned int i = 0; i < conf->nb_ports; i++) {
		const struct conf_nic *nic = &conf->ports[i].nic;

		need->rx_desc += nic->rx_descriptors + conf_port_driver(&conf->ports[i])->rx_extra;
		need->tx_desc += nic->tx_descriptors;
		need->mtu = RTE_MAX(need->mtu, nic->mtu != 0 ? nic->mtu : RTE_ETHER_MTU);
		need->linear |= nic->chain != PLM_CHAIN_ON;
	}
}

size_t
conf_memory(const struct conf *conf, const struct plm_pool_plan *plan)
{
	const uint32_t nb_sessions = plm_ctl_table_sessions(conf->limits.sessions);
	const struct plm_session_conf sessions = {
		.max_sessions = nb_sessions,
		.nb_workers = conf->nb_workers,
	};
	const struct plm_relay_conf relay = {
		.nb_workers = conf->nb_workers,
		.nb_ports = conf->nb_ports,
		.ring_size = conf->tuning.ring_size,
		.park_entries = conf->tuning.park_entries,
	};
	const struct plm_quic_table_conf quic = {
		.nb_slots = conf->quic.connections,
		.max_sessions = nb_sessions,
		.nb_extents = 3 * conf->quic.connections / 2 + 1,
	};
	size_t bytes = MEMORY_BASE + plan->bytes;

	bytes += nb_sessions * plm_session_bytes(&sessions);
	/* A member's line in the present view and in two that wait to be freed. */
	bytes += (size_t)nb_sessions * 3 * (sizeof(struct plm_sub) + sizeof(uint32_t));
	bytes += (size_t)conf->limits.rooms * 2 * sizeof(struct plm_view);
	if (conf->quic.connections > 0)
		bytes += plm_quic_table_bytes(&quic);
	return bytes + plm_relay_bytes(&relay, nb_sessions);
}

void
conf_show(const struct conf *conf, struct plm_text *text)
{
	char ip[INET6_ADDRSTRLEN];
	struct plm_pool_need need;
	struct plm_pool_plan plan;
	unsigned int n = conf->nb_workers;

	conf_pool_need(conf, &need);
	plm_pool_plan(&need, &plan);
	plm_text_add(text, "cpus: main %u, slow path %u, workers", conf->main_cpu, conf->slow_cpu);
	for (unsigned int i = 0; i < n; i++)
		plm_text_add(text, " %u", conf->workers[i]);
	plm_text_add(text, "\n");
	for (unsigned int i = 0; i < conf->nb_ports; i++) {
		const struct conf_port *port = &conf->ports[i];

		plm_text_add(text, "port %u: %s, %u RX and %u TX descriptors a queue,", i,
				port->device, port->nic.rx_descriptors, port->nic.tx_descriptors);
		for (unsigned int a = 0; a < port->nb_addresses; a++)
			plm_text_add(text, " %s/%u", plm_ip_text(&port->addresses[a].prefix.ip, ip),
					port->addresses[a].prefix.len);
		if (port->vlan != 0)
			plm_text_add(text, ", VLAN %u", port->vlan);
		plm_text_add(text, "\n");
	}
	if (conf->nb_statics > 0)
		plm_text_add(text, "static endpoints: %u\n", conf_nb_endpoints(conf));
	plm_text_add(text, "udp port: %u\n", conf->udp_port);
	plm_text_add(text, "rx pool: %u mbufs, %u of them\n", plan.rx, n);
	plm_text_add(text, "header pool: %u mbufs, %u of them\n", plan.hdr, n);
	if (plan.copy != 0)
		plm_text_add(text, "copy pool: %u mbufs, %u of them%s\n", plan.copy, n,
				need.linear ? " where a port cannot chain" : "");
	if (plan.quic != 0)
		plm_text_add(text, "QUIC pool: %u mbufs, %u of them, for %u connections\n",
				plan.quic, n, conf->quic.connections);
	if (conf->wzp.auth_url[0] != '\0')
		plm_text_add(text, "tokens: validated by %s, %u at once, within %u s\n",
				conf->wzp.auth_url, conf->wzp.auth_requests,
				conf->wzp.auth_timeout_s);
	plm_text_add(text, "slow path's pool: %u mbufs\n", plan.ctl);
	plm_text_add(text, "pools: %zu MB\n", plan.bytes >> 20);
	plm_text_add(text, "memory: %zu MB%s\n", conf_memory(conf, &plan) >> 20,
			conf->hugepages ? " of hugepages" : "");
}
