/* SPDX-License-Identifier: BSD-3-Clause */
/* Everything that plenum.conf says. Only this program knows files; libraries take plain structs. */
#ifndef CONFIG_H
#define CONFIG_H

#include "plm_conf.h"
#include "plm_ctl.h"

#define CONF_ADDRESSES   8
#define CONF_RULES       64
#define CONF_EAL_ARGS    32
#define CONF_PATH_SIZE   256
#define CONF_URL_SIZE    1024
#define CONF_DEVICE_SIZE 192

/* A port's own value is not set: the one at the top of the file counts. */
#define CONF_INHERIT 0xffff
/* Chosen by the program. */
#define CONF_AUTO 0xffff

struct conf_prefix {
	struct plm_ip ip;
	uint8_t len;
};

struct conf_address {
	struct conf_prefix prefix;
	struct plm_ip gateway; /* all zero: none */
};

/* What a NIC profile sets for all ports and a port may set for itself. */
struct conf_nic {
	uint16_t queues; /* CONF_AUTO: one per worker, as far as the device has them */
	uint16_t rx_descriptors;
	uint16_t tx_descriptors;
	uint16_t mtu;   /* 0: leave the driver's */
	uint16_t chain; /* enum plm_chain */
	uint16_t copy_below;
};

struct conf_port {
	char device[CONF_DEVICE_SIZE]; /* name[,devargs] */
	char name[CONF_DEVICE_SIZE];   /* `device` up to the comma */
	struct conf_nic nic;
	uint16_t vlan; /* 0: untagged */
	struct conf_address addresses[CONF_ADDRESSES];
	unsigned int nb_addresses;
};

struct conf_path {
	char path[CONF_PATH_SIZE];
};

/* A static endpoint as the file has it, and as the relay takes it once it was checked. */
struct conf_static {
	struct plm_static entry;
	struct plm_ip address;
	struct plm_ip relay; /* own address; all zero: the port's first of the family */
	uint16_t udp_port;
	uint8_t port; /* position in `ports` */
};

struct conf_limits {
	uint32_t rooms;
	uint32_t sessions;
	uint32_t sessions_per_net6; /* 0: unlimited; so the next */
	uint32_t sessions_per_address4;
	uint32_t participants; /* of one room */
	uint32_t admissions_per_s;
	uint32_t view_backlog;
	uint32_t neighbours;
	uint32_t bars;
	uint8_t ssrcs;
};

struct conf_quic {
	uint32_t connections; /* 0: no QUIC */
	uint32_t handshakes;
	uint32_t retry_above;
	bool retry_always;
	uint32_t idle_timeout_s;
	char identity[CONF_PATH_SIZE];    /* "": none */
	char certificate[CONF_PATH_SIZE]; /* "": what the identity makes */
	char key[CONF_PATH_SIZE];
};

struct conf_wzp {
	bool open_rooms;
	char auth_url[CONF_URL_SIZE]; /* "": no tokens */
	char auth_ca[CONF_PATH_SIZE]; /* "": the system's */
	uint32_t auth_timeout_s;
	uint32_t auth_cache_s; /* 0: none */
	uint32_t auth_requests;
	bool match_identity;
};

struct conf_tuning {
	uint32_t turn_copies;
	uint32_t ring_size;
	uint32_t park_entries;
	uint32_t stun_rate;
	uint32_t l2_rate;
	uint32_t rtcp_rate;
	uint32_t publish_us;
	uint32_t stall_ms;
	uint32_t idle_turns;
	uint32_t sleep_us;
};

enum conf_idle {
	CONF_IDLE_AUTO,
	CONF_IDLE_BUSY,
	CONF_IDLE_SLEEP,
	CONF_IDLE_MONITOR,
};

struct conf {
	struct conf_port ports[PLM_PORTS_MAX];
	unsigned int nb_ports;
	struct conf_nic nic;
	uint16_t udp_port;
	struct conf_path secrets[PLM_SECRETS];
	unsigned int nb_secrets;

	uint16_t main_cpu; /* CONF_AUTO until checked; so the next one */
	uint16_t slow_cpu;
	uint16_t workers[PLM_WORKERS_MAX]; /* CPU of each */
	unsigned int nb_workers;
	uint8_t idle; /* enum conf_idle */
	bool hugepages;
	uint32_t memory_mb; /* 0: computed */
	struct conf_path eal[CONF_EAL_ARGS];
	unsigned int nb_eal;

	struct plm_room_rule rules[CONF_RULES + 1]; /* the last is made: "*" with defaults */
	unsigned int nb_rules;
	bool trusted_network;
	struct conf_static statics[PLM_STATICS];
	unsigned int nb_statics;
	struct conf_limits limits;
	struct conf_quic quic;
	struct conf_wzp wzp;
	struct conf_tuning tuning;
	uint32_t consent_timeout_s;
	uint32_t max_session_s;
	uint8_t rebalance_above;
	uint32_t spread_above; /* 0: never */

	char events[CONF_PATH_SIZE];
	uint32_t events_per_s;
	char control_socket[CONF_PATH_SIZE];
	char trace_dir[CONF_PATH_SIZE]; /* "": no traces */
};

/* The table behind plenum.conf and docs/settings.md. */
extern const struct plm_conf_def conf_defs[];
/* Of one rule of `rooms`. */
extern const struct plm_conf_def conf_rule_defs[];

/*
 * Read and check a file: values, then what only holds between them (CPUs, queues, gateways); and, at
 * a reload, what the relay that runs by `running` (else NULL) cannot follow: a limit above what
 * its tables were made for, a static endpoint on an address that it does not have.
 * 0 or negative errno, `why` is one line for the operator.
 */
int conf_load(struct conf *conf, const char *path, const struct conf *running,
		struct plm_text *why);

/* config_static.c: static endpoints as the relay takes them, or what is wrong with them. */
int conf_check_statics(struct conf *conf, const struct conf *running, const struct plm_conf *file,
		struct plm_text *why);

/* Endpoints that the entries stand for. */
uint32_t conf_nb_endpoints(const struct conf *conf);

/* Is this address within the prefix? */
bool conf_on_link(const struct conf_prefix *prefix, const struct plm_ip *ip);

/* What is wrong with an address of the relay or of an endpoint, or NULL. */
const char *conf_wrong_address(const struct plm_ip *ip);

/* The limits that a running relay takes. */
void conf_fill_limits(const struct conf *conf, struct plm_admit_limits *limits);

/* What is known of virtual devices beyond what their drivers say of themselves. */
struct conf_driver {
	const char *prefix;     /* of the device's name */
	bool kernel;            /* the kernel carries the frames: a busy poll only steals its CPU */
	bool no_chain;          /* sends chained frames wrong and says nothing */
	bool shares_memory;     /* the peer maps our memory: --single-file-segments */
	uint16_t rx_extra;      /* mbufs of an RX pool that it holds beyond descriptors */
	const char *queues_arg; /* argument of `device` for the number of queues, or NULL */
	const char *socket_arg; /* argument with a socket's path, or NULL */
	const char *server_arg; /* that argument and value make us the socket's server... */
	bool server_is_default; /* ...or that one makes us its client */
	const char *missing;    /* what to look for when EAL has no such device */
};

/* Of a port's driver; never NULL. */
const struct conf_driver *conf_port_driver(const struct conf_port *port);

/* Value of an argument in `device` (",key=value"), into `buf`; NULL if it is not there. */
const char *conf_port_arg(const struct conf_port *port, const char *key,
		char buf[CONF_DEVICE_SIZE]);

/* Path of the UNIX socket at which the port waits for its peer; NULL if it does not. */
const char *conf_port_server(const struct conf_port *port, char buf[CONF_DEVICE_SIZE]);

/* The kernel's interface behind the port; NULL if there is none, or the driver watches it. */
const char *conf_port_interface(const struct conf_port *port, char buf[CONF_DEVICE_SIZE]);

/* Whether frames of this port pass through the kernel: there a busy poll only steals its CPU. */
bool conf_port_is_kernel(const struct conf_port *port);

/* A device of the PCI bus, to be named to EAL with -a. */
bool conf_port_is_pci(const struct conf_port *port);

/* Queues of a port if the device offers at most `max`. */
unsigned int conf_port_queues(const struct conf *conf, const struct conf_port *port,
		unsigned int max);

/* What the pools must hold at once; `linear` as long as a driver might not chain. */
void conf_pool_need(const struct conf *conf, struct plm_pool_need *need);

/* Bytes of pools, tables, rings and what EAL needs beside them. */
size_t conf_memory(const struct conf *conf, const struct plm_pool_plan *plan);

/* What `--check` prints. */
void conf_show(const struct conf *conf, struct plm_text *text);

#endif
