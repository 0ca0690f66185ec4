/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * plenum-client: one process, one epoll loop, one or many participants with a socket each.
 * options.c reads the command line, client.c runs the loop, participant.c speaks with the relay,
 * over ICE (ice.c) or as the WZP protocol does over QUIC (wzp.c, quic.c), publish.c is where media comes
 * from and subscribe.c where it goes, report.c and report_wzp.c tell.
 * One thread: every structure here belongs to it.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <netinet/in.h>
#include <stdalign.h>
#include <stdio.h>
#include <sys/socket.h>

#include "gen.h"
#include "ice.h"
#include "plm_admit.h"
#include "plm_base.h"
#include "plm_crypto.h"
#include "plm_wire.h"
#include "quic.h"
#include "replay.h"
#include "rx_stats.h"
#include "wzp.h"

#define CLIENT_PORT_DEFAULT  3478
#define CLIENT_CLONES_MAX    4096
#define CLIENT_GENS_MAX      8
#define CLIENT_PRODUCERS_MAX 8
#define CLIENT_SINKS_MAX     16
#define CLIENT_SOURCES_MAX   8 /**< SSRCs of one producer that are told apart */
#define CLIENT_BATCH         64
#define CLIENT_DATAGRAM_MAX  9216
#define CLIENT_WZP_SIZE_MAX  1384 /**< of what fits a datagram in a packet of PLM_QUIC_PACKET_MAX */
#define CLIENT_PAYLOAD_TYPE                                                                        \
	111 /**< of RTP that is made of WZP media, unless another one is asked for */
#define CLIENT_ROOM_SIZE (253 + 1) /**< as long as a server name */
#define CLIENT_REPORT_NS (5 * PLM_NS_PER_S)
#define CLIENT_RTCP_MAX  1200

/** Exit codes, documented in docs/client.md. */
enum client_exit {
	CLIENT_OK = 0,
	CLIENT_FAILED = 1, /**< usage or system */
	CLIENT_REFUSED = 2,
	CLIENT_LOST = 3,
	CLIENT_UNEXPECTED = 4,
	CLIENT_NO_ANSWER = 5,
};

enum client_verb { VERB_PUBLISH, VERB_SUBSCRIBE, VERB_BOTH };

struct client_addr {
	struct sockaddr_storage sa;
	socklen_t len; /**< 0: none */
};

/** Where `--rtp-out` sends one kind of packets. */
struct sink_conf {
	int payload_type; /**< -1: any */
	int order;        /**< of the SSRC's appearance; -1: any */
	struct client_addr to;
};

struct client_conf {
	enum client_verb verb;
	struct client_addr relay;
	struct client_addr bind;
	const char *ufrag;
	const char *pwd;
	const char *secret_path;
	const char *room;
	const char *participant;
	uint64_t ttl_s;
	unsigned int clones;
	unsigned int join_rate; /**< first checks per second */
	uint64_t coalesce_ns;   /**< least time between two turns of the loop */

	bool controlled;
	bool no_consent;
	enum ice_nomination nomination;
	uint64_t rebind_ns; /**< after joining; 0: never */
	bool rebind_nominate;

	bool wzp;
	const char *wzp_option;                 /**< one that is of --wzp; NULL: none */
	const char *identity_path;              /**< NULL: somebody new */
	const char *alias;                      /**< NULL: none */
	const char *token;                      /**< NULL: none */
	char token_file[PLM_WZP_TOKEN_MAX + 1]; /**< what --token-file held */
	uint8_t codec;                          /**< of what is sent */
	uint8_t payload_type;                   /**< of RTP that is made of what is received */
	bool has_quality;
	struct wzp_quality quality;
	bool signals; /**< tell of each */
	bool no_read;
	bool hangup;
	uint64_t ping_ns; /**< 0: none */
	const char *record_path;
	const char *media_path; /**< to be sent as it was recorded */

	enum quic_cipher cipher;
	uint64_t key_update_ns; /**< after joining; 0: never of our own */
	uint64_t keep_alive_ns; /**< 0: none */
	bool has_pin;
	uint8_t pin[QUIC_PIN_SIZE];

	struct gen_conf gens[CLIENT_GENS_MAX];
	unsigned int nb_gens;
	uint64_t start_delay_ns;
	bool no_bye;
	uint16_t producer_ports[CLIENT_PRODUCERS_MAX];
	unsigned int nb_producers;
	const char *producer_bind;
	const char *replay_path; /**< NULL: none */
	uint16_t replay_port;    /**< 0: all */
	bool replay_loop;

	struct sink_conf sinks[CLIENT_SINKS_MAX];
	unsigned int nb_sinks;
	const char *pcap_path;
	uint32_t clock_hz[128]; /**< by payload type */
	bool verify;
	bool rtcp;
	uint64_t pli_ns;

	bool json;
	bool quiet;
	uint64_t interval_ns;
	uint64_t duration_ns;
	uint64_t linger_ns;
	uint64_t count;
	bool until_bye;
	bool has_expect;
	uint64_t expect;
	unsigned int expect_streams; /**< 0: at least one */
	const char *ready_path;
};

struct client;

/** What an epoll event leads to. */
struct watch {
	void (*ready)(struct client *client, void *arg);
	void *arg;
};

/** RTP and RTCP of one local program, from one pair of ports. */
struct producer {
	struct watch watch[2]; /**< RTP, RTCP */
	struct client *client;
	int fd[2]; /**< owned; -1: none */
	uint16_t port;
	struct client_addr from[2]; /**< last source of RTP, of RTCP */
	int from_fd[2];             /**< and the socket where it came in; one of `fd` */
	struct {
		uint32_t ssrc;
		uint8_t payload_type;
		uint64_t packets;
		uint64_t bytes;
	} sources[CLIENT_SOURCES_MAX];
	unsigned int nb_sources;
	uint64_t early;    /**< came before we were admitted */
	uint64_t rtcp_in;  /**< from the producer */
	uint64_t rtcp_out; /**< handed to it */
	uint64_t foreign;  /**< neither RTP nor RTCP */
	uint64_t sources_full;
};

struct participant {
	struct watch watch;
	struct client *client;
	unsigned int idx;
	char name[PLM_NAME_SIZE];
	char room[CLIENT_ROOM_SIZE];
	char ufrag[ICE_UFRAG_MAX + 1];
	char pwd[ICE_UFRAG_MAX + 1];
	char cname[PLM_NAME_SIZE + 8];
	uint32_t ssrc; /**< that our RTCP speaks as */

	int fd; /**< owned, connected to the relay; -1: none */
	struct client_addr local;
	struct ice_agent ice;  /**< of those without `--wzp` */
	struct quic_link quic; /**< of those with it */
	struct wzp_link wzp;
	enum ice_state told; /**< state last acted upon */
	uint64_t start_ns;   /**< when to send the first check */
	uint64_t joined_ns;
	uint64_t rebind_ns;
	uint64_t rtcp_ns;
	uint64_t pli_ns;
	uint64_t blocked_ns; /**< socket full: no media before this */

	struct gen_stream gens[CLIENT_GENS_MAX];
	struct rx_table rx;
	uint32_t rr_next; /**< stream with which the next report begins */
	uint32_t nb_own;  /**< streams in `rx` that are ours */
	uint32_t nb_byes;

	/* counters */
	uint64_t received; /**< RTP packets of others */
	uint64_t echoed;   /**< our own that came back */
	uint64_t rtp_malformed;
	uint64_t rtcp_received;
	uint64_t rtcp_malformed;
	uint64_t rtcp_sr;
	uint64_t rtcp_rr;
	uint64_t rtcp_pli;
	uint64_t rtcp_bye;
	uint64_t rtcp_sent;
	uint64_t foreign; /**< datagrams that are neither STUN, RTP nor RTCP */
	uint64_t truncated;
	uint64_t net_errors; /**< what the kernel refused to send or reported for the socket */
	uint64_t send_blocked;
	uint64_t drops_before; /**< receive buffer overflows of sockets closed by a rebind */
};

/** Datagrams on their way through one system call. */
struct batch {
	struct mmsghdr msg[CLIENT_BATCH];
	struct iovec iov[CLIENT_BATCH];
	struct sockaddr_storage from[CLIENT_BATCH];
	alignas(struct cmsghdr) uint8_t control[CLIENT_BATCH][CMSG_SPACE(sizeof(int))];
	uint8_t buf[CLIENT_BATCH][CLIENT_DATAGRAM_MAX];
	enum wzp_wrap wrap[CLIENT_BATCH]; /**< of what is to be sent by WZP */
};

struct client {
	const struct client_conf *conf;
	struct participant *participants; /**< conf->clones; owned */
	uint64_t *deadlines;              /**< next of each participant; owned */
	struct producer producers[CLIENT_PRODUCERS_MAX];
	struct replay *replay;   /**< owned; NULL: none */
	struct sinks *sinks;     /**< owned */
	struct batch *rx;        /**< owned */
	struct batch *tx;        /**< owned */
	struct plm_hmac *hmac;   /**< owned */
	struct quic_links *quic; /**< owned; NULL: RTP transport */
	struct wzp_file *record; /**< owned; NULL: none */

	int epoll_fd;
	int timer_fd;
	int signal_fd;
	struct watch timer_watch;
	struct watch signal_watch;
	uint64_t timer_ns; /**< what the timer is set to */

	uint64_t begin_ns;
	uint64_t wall_offset_ns; /**< Unix time minus CLOCK_MONOTONIC */
	uint64_t ready_ns;       /**< all were admitted; 0: not yet */
	uint64_t report_ns;      /**< next interval report */
	uint64_t end_ns;         /**< when to stop; UINT64_MAX: not known */
	uint64_t part_ns;        /**< Hangups were sent: when to wait no longer; 0: not yet */
	unsigned int nb_joined;
	unsigned int nb_over;    /**< refused or lost */
	unsigned int nb_counted; /**< have received conf->count */
	unsigned int nb_sending; /**< streams of the generator that have not ended */
	bool interrupted;
	bool stop;
	enum client_exit result;
};

/* --- options.c --- */

/** Read a verb's arguments. 0, -EINVAL (said on stderr), 1 (help was asked for and printed). */
int options_parse(int argc, char **argv, struct client_conf *conf);
void options_usage(FILE *to);

/* --- checks.c --- */

/** What no single option can say: why they do not go together, or NULL. */
const char *options_problem(const struct client_conf *conf);

/* --- values.c --- */

/** A decimal, hexadecimal or octal number from min to max. 0 or -EINVAL. */
int options_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value);
/** Seconds, fractions allowed, up to a year. 0 or -EINVAL. */
int options_seconds(const char *text, uint64_t *ns);
/** 64 hexadecimal digits, pairs of them perhaps apart by colons. 0 or -EINVAL. */
int options_pin(const char *text, uint8_t pin[QUIC_PIN_SIZE]);
/** An audio codec of the WZP protocol by its name, in whatever case. 0 or -EINVAL. */
int options_codec(const char *text, uint8_t *codec);
/** Percent lost, milliseconds of round trip, and of jitter, with commas between. 0 or -EINVAL. */
int options_quality(const char *text, struct wzp_quality *quality);
/** A token's file; a newline at its end is not of the token. 0 or -EINVAL; `why` says it. */
int options_token(const char *path, char token[PLM_WZP_TOKEN_MAX + 1], struct plm_text *why);
/** The value of `--generate`; `why` says what is wrong. 0 or -EINVAL. */
int options_generate(const char *text, struct gen_conf *gen, struct plm_text *why);
/** And of `--rtp-out`. */
int options_sink(const char *text, struct sink_conf *sink, struct plm_text *why);
/** ADDR, ADDR:PORT, [ADDR], [ADDR]:PORT, names too. 0 or -EINVAL. */
int options_addr(const char *text, uint16_t port, struct client_addr *addr, struct plm_text *why);

/* --- client.c --- */

enum client_exit client_run(const struct client_conf *conf);
uint64_t client_now(void);
int client_watch(struct client *client, int fd, struct watch *watch);
/** Something came in that may have moved a participant's deadlines: let it have a turn. */
void client_touch(struct client *client, struct participant *p);
/** One line on stderr, with the participant's name where there are several. */
void client_say(const struct client *client, const struct participant *p, const char *fmt, ...)
		__attribute__((format(printf, 3, 4)));

/* --- participant.c --- */

int participant_init(struct participant *p, struct client *client, unsigned int idx);
void participant_fini(struct participant *p);
/** All that is due; returns when to come back. */
uint64_t participant_turn(struct participant *p, uint64_t now_ns);
/** Send a datagram to the relay; errors are counted. False when the socket is full. */
bool participant_send(struct participant *p, const void *buf, size_t len, enum wzp_wrap wrap);
/** Send the first `n` messages of client->tx, whose `wrap` is set. Returns how many are done with. */
unsigned int participant_send_batch(struct participant *p, unsigned int n);
/** The first `n` of these messages as they are. Returns how many are done with. */
unsigned int participant_send_packets(struct participant *p, struct mmsghdr *msg, unsigned int n);
/** Media or reports came. */
void participant_media(struct participant *p, const uint8_t *buf, size_t len, uint64_t now_ns);
/** How it stands, whatever its transport. */
enum ice_state participant_state(const struct participant *p);
/** Say goodbye for every stream of the generator that has not, and end the transport. */
void participant_leave(struct participant *p);
/** Datagrams that overflowed the receive buffer so far. */
uint64_t participant_drops(const struct participant *p);

/* --- publish.c --- */

void publish_start(struct participant *p, uint64_t now_ns);
/** Send what the generator owes; returns when more is due. */
uint64_t publish_turn(struct participant *p, uint64_t now_ns);
void publish_report(struct participant *p, uint64_t now_ns);
/** End what was begun and not ended with RTCP BYE. */
void publish_leave(struct participant *p);
/** Streams that will not be sent any more, since the participant is out. */
void publish_abandon(struct participant *p);
/** The capture that is to be replayed, if any. 0 or negative errno, said on stderr. */
int replay_init(struct client *client);
bool publish_owns(const struct participant *p, uint32_t ssrc);
int producers_init(struct client *client);
void producers_fini(struct client *client);
/** Give RTCP from the relay to the producers that it concerns. */
void producers_feedback(struct client *client, const uint8_t *buf, size_t len);

/* --- subscribe.c --- */

int sinks_init(struct client *client);
void sinks_fini(struct client *client);
void subscribe_rtp(struct participant *p, const uint8_t *buf, size_t len, uint64_t now_ns);
void subscribe_rtcp(struct participant *p, const uint8_t *buf, size_t len, uint64_t now_ns);
/** An RTP packet made of WZP media, with the header that it is counted by; not all of them are for players. */
void subscribe_sound(struct participant *p, const struct plm_rtp *rtp, const uint8_t *buf,
		size_t len, bool is_played, uint64_t now_ns);
/** Tell players that nothing more comes of what was made of WZP media. */
void subscribe_leave(struct participant *p);
/** A receiver report of our own, for participants that send no media. */
void subscribe_report(struct participant *p, uint64_t now_ns);
/** The next (at most 31) report blocks, rotating through the streams. */
unsigned int subscribe_blocks(struct participant *p, uint64_t now_ns, struct rx_report *blocks);
void subscribe_pli(struct participant *p);

/* --- report.c --- */

void report_interval(struct client *client, uint64_t now_ns);
void report_final(struct client *client, uint64_t now_ns);
/** Do the numbers meet --expect and --expect-streams? Says what does not. */
bool report_expected(const struct client *client);
/** "198.18.0.1:5004", "[fd00::1]:5004". */
const char *report_addr(const struct client_addr *addr, char *buf, size_t size);

#endif
