/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Counters and latency histograms. A counter is declared once, in the table below, which feeds
 * the enum, the CLI, the telemetry and docs/counters.md. Every lcore writes an array of its own
 * with plain stores; whoever wants a sum adds the arrays up.
 *
 * What must hold for every worker, and in sum (tests and the simulator check it):
 *   rx_packets + crossed_in + quic_back = to_ctl + crossed_out + media + rtcp + quic_in + every `rx_drop`
 *   datagrams = datagrams_media + every `dgram_drop`
 *   copies_due = copies_sent + copies_handed + every `copy_drop` + buffered now
 *   carried_in = carried_sent + every `carry_drop` + buffered now
 * A parked copy falls due when its turn comes: it is made then, or dropped.
 */
#ifndef PLM_STATS_H
#define PLM_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#include "plm_base.h"

/** What a counter counts; the sums above are over a class. */
enum plm_counter_class {
	PLM_CLASS_RX,         /**< packets received or moved on */
	PLM_CLASS_RX_DROP,    /**< received packets that went nowhere */
	PLM_CLASS_COPY,       /**< copies of media and RTCP made for subscribers */
	PLM_CLASS_COPY_DROP,  /**< copies that were due and not sent */
	PLM_CLASS_CARRY_DROP, /**< another lcore's copies, taken over and not sent */
	PLM_CLASS_QUIC,       /**< QUIC packets and the datagrams in them */
	PLM_CLASS_QUIC_DROP, /**< QUIC packets that were made and not sent, or came and were not taken */
	PLM_CLASS_DGRAM_DROP, /**< datagrams that came and went nowhere */
	PLM_CLASS_CTL,        /**< the slow path's work */
	PLM_CLASS_CTL_DROP,   /**< what the slow path, or the way to it, gave up */
};

/* X(ID, name, class, help) */
#define PLM_COUNTERS(X)                                                                                            \
	X(RX_PACKETS, "rx_packets", RX, "frames taken from this lcore's RX queues")                                \
	X(RX_BYTES, "rx_bytes", RX, "bytes of those frames")                                                       \
	X(CROSSED_OUT, "crossed_out", RX, "packets given to their session's home worker")                          \
	X(CROSSED_IN, "crossed_in", RX, "packets taken over from another worker")                                  \
	X(TO_CTL, "to_ctl", RX, "packets given to the slow path")                                                  \
	X(MEDIA, "media", RX, "RTP packets accepted for fan-out")                                                  \
	X(RTCP, "rtcp", RX, "RTCP packets accepted for routing")                                                   \
	X(QUIC_IN, "quic_in", RX, "QUIC packets given to their connection")                                        \
	X(QUIC_BACK, "quic_back", RX,                                                                              \
			"QUIC packets that the slow path gave back, their connection being a worker's")            \
	X(RX_L2_FOREIGN, "l2_foreign", RX_DROP, "frame for another MAC address")                                   \
	X(RX_L2_TYPE, "l2_type", RX_DROP, "EtherType that is neither ARP, IPv4 nor IPv6")                          \
	X(RX_VLAN, "vlan", RX_DROP, "not tagged with the port's VLAN")                                             \
	X(RX_L2_SHORT, "l2_short", RX_DROP, "frame shorter than its headers")                                      \
	X(RX_IP_VERSION, "ip_version", RX_DROP, "IP version field contradicts the EtherType")                      \
	X(RX_IP_LENGTH, "ip_length", RX_DROP,                                                                      \
			"IP length field larger than the frame or too small")                                      \
	X(RX_IP_OPTIONS, "ip_options", RX_DROP, "IPv4 options or IPv6 extension headers")                          \
	X(RX_IP_FRAGMENT, "ip_fragment", RX_DROP, "IP fragment")                                                   \
	X(RX_IP_CHECKSUM, "ip_checksum", RX_DROP, "bad IPv4 header checksum")                                      \
	X(RX_IP_SOURCE, "ip_source", RX_DROP,                                                                      \
			"source address is multicast, broadcast, loopback or none")                                \
	X(RX_IP_FOREIGN, "ip_foreign", RX_DROP, "destination is none of the relay's addresses")                    \
	X(RX_IP_PROTO, "ip_proto", RX_DROP, "neither UDP nor ICMP")                                                \
	X(RX_UDP_LENGTH, "udp_length", RX_DROP, "UDP length field contradicts the IP length")                      \
	X(RX_UDP_CHECKSUM, "udp_checksum", RX_DROP, "bad UDP checksum, or none over IPv6")                         \
	X(RX_UDP_PORT, "udp_port", RX_DROP, "UDP port that the relay does not serve")                              \
	X(RX_EMPTY, "empty", RX_DROP, "UDP datagram without payload")                                              \
	X(RX_FIRST_BYTE, "first_byte", RX_DROP,                                                                    \
			"first payload byte names no protocol served (RFC 7983)")                                  \
	X(RX_NO_SESSION, "no_session", RX_DROP, "media from an address that no session owns")                      \
	X(RX_STALE_SESSION, "stale_session", RX_DROP, "session ended between lookup and delivery")                 \
	X(RX_ROLE, "role", RX_DROP, "media from a participant that may not publish")                               \
	X(RX_QUIC_FILTER, "quic_filter", RX_DROP,                                                                  \
			"QUIC packet too short, or the first of a connection with fewer than 1200 bytes")          \
	X(RX_QUIC_UNKNOWN, "quic_unknown", RX_DROP, "QUIC packet for no connection of ours")                       \
	X(RX_QUIC_CLOSED, "quic_closed", RX_DROP,                                                                  \
			"QUIC packet for a connection that has just ended")                                        \
	X(RX_QUIC_RATE, "quic_rate", RX_DROP, "unknown QUIC above the rate of its source prefix")                  \
	X(RX_RTP_MALFORMED, "rtp_malformed", RX_DROP, "RTP header version or length is wrong")                     \
	X(RX_RTCP_MALFORMED, "rtcp_malformed", RX_DROP,                                                            \
			"RTCP compound version or length is wrong")                                                \
	X(RX_SSRC_FOREIGN, "ssrc_foreign", RX_DROP, "SSRC that belongs to another participant")                    \
	X(RX_SSRC_LIMIT, "ssrc_limit", RX_DROP, "more SSRCs than a session may use")                               \
	X(RX_RATE_PACKETS, "rate_packets", RX_DROP, "session above its packet rate")                               \
	X(RX_RATE_BITS, "rate_bits", RX_DROP, "session above its bit rate")                                        \
	X(RX_RTCP_RATE, "rtcp_rate", RX_DROP, "RTCP above the session's feedback rate")                            \
	X(RX_RTCP_NO_TARGET, "rtcp_no_target", RX_DROP,                                                            \
			"report or feedback names no owner in the room")                                           \
	X(RX_STUN_FILTER, "stun_filter", RX_DROP,                                                                  \
			"unknown source's STUN: no cookie, fingerprint or well-formed user name, or long expired") \
	X(RX_STUN_RATE, "stun_rate", RX_DROP,                                                                      \
			"STUN above the rate of its source prefix, or of its session")                             \
	X(RX_L2_RATE, "l2_rate", RX_DROP, "ARP, ND or ICMP above the worker's rate")                               \
	X(RX_CTL_RING_KNOWN, "ctl_ring_known", RX_DROP,                                                            \
			"ring to the slow path full (known sessions, neighbours)")                                 \
	X(RX_CTL_RING_UNKNOWN, "ctl_ring_unknown", RX_DROP,                                                        \
			"ring to the slow path full (unknown sources)")                                            \
	X(RX_CROSS_RING, "cross_ring", RX_DROP, "ring to the home worker full")                                    \
	X(RX_STOPPED, "stopped", RX_DROP,                                                                          \
			"still on its way to its home worker when the relay ended")                                \
	X(COPIES_DUE, "copies_due", COPY, "copies owed to subscribers, once their turn has come")                  \
	X(COPIES_SENT, "copies_sent", COPY, "copies that a TX queue took")                                         \
	X(COPIES_HANDED, "copies_handed", COPY,                                                                    \
			"copies given to the lcore that owns the TX queue")                                        \
	X(CARRIED_IN, "carried_in", COPY, "copies taken over from lcores without that TX queue")                   \
	X(CARRIED_SENT, "carried_sent", COPY, "of those, taken by the TX queue")                                   \
	X(SLICES_OUT, "slices_out", COPY,                                                                          \
			"packets of big rooms handed to other workers, once to each")                              \
	X(SLICES_IN, "slices_in", COPY,                                                                            \
			"packets of big rooms taken over for this worker's members")                               \
	X(COPY_PARKED, "parked", COPY, "copies left for a later turn (an event count)")                            \
	X(COPY_LEFT, "copy_left", COPY_DROP, "subscriber left before its copy's turn came")                        \
	X(COPY_NO_MBUF, "copy_no_mbuf", COPY_DROP, "header or copy pool empty")                                    \
	X(COPY_NO_NEIGHBOUR, "copy_no_neighbour", COPY_DROP,                                                       \
			"next hop's MAC address not known yet")                                                    \
	X(COPY_PARK_FULL, "copy_park_full", COPY_DROP, "TX queue full and the parked list full")                   \
	X(COPY_MTU, "copy_mtu", COPY_DROP, "packet larger than the subscriber's port can send")                    \
	X(COPY_SLICE_RING, "copy_slice_ring", COPY_DROP,                                                           \
			"ring to another worker full: all copies of its members")                                  \
	X(COPY_SLICE_POOL, "copy_slice_pool", COPY_DROP,                                                           \
			"no mbuf for a packet handed over: all copies of this worker's members")                   \
	X(COPY_SLICE_STALE, "copy_slice_stale", COPY_DROP,                                                         \
			"sender's session ended while its packet was handed over")                                 \
	X(COPY_QUIC_WINDOW, "copy_quic_window", COPY_DROP,                                                         \
			"QUIC subscriber's congestion window full")                                                \
	X(COPY_QUIC_MEMORY, "copy_quic_memory", COPY_DROP,                                                         \
			"no memory for more of a QUIC subscriber's packets in flight")                             \
	X(COPY_QUIC_SIZE, "copy_quic_size", COPY_DROP,                                                             \
			"datagram larger than a QUIC subscriber, or its path, takes")                              \
	X(COPY_QUIC_CLOSED, "copy_quic_closed", COPY_DROP,                                                         \
			"QUIC subscriber's connection has ended")                                                  \
	X(COPY_LINK, "copy_link", COPY_DROP, "not taken by a port that has no link")                               \
	X(COPY_STOPPED, "copy_stopped", COPY_DROP, "still unsent when the relay ended")                            \
	X(CARRY_LINK, "carry_link", CARRY_DROP,                                                                    \
			"carried copy not taken by a port that has no link")                                       \
	X(CARRY_STOPPED, "carry_stopped", CARRY_DROP, "carried copy unsent when the relay ended")                  \
	X(QUIC_OUT, "quic_out", QUIC,                                                                              \
			"QUIC packets that a TX queue, or the lcore that owns one, took")                          \
	X(QUIC_MOVED, "quic_moved", QUIC, "QUIC connections whose peer's address changed")                         \
	X(DGRAMS, "datagrams", QUIC, "datagrams that came in QUIC packets")                                        \
	X(DGRAMS_MEDIA, "datagrams_media", QUIC, "of those, accepted for fan-out")                                 \
	X(DGRAM_REPORTS, "dgram_reports", QUIC, "of the accepted, those with a quality report")                    \
	X(DGRAM_TRUNKS, "dgram_trunks", QUIC, "of the accepted, trunk frames")                                     \
	X(QUIC_TX_QUEUE, "quic_tx_queue", QUIC_DROP,                                                               \
			"QUIC packets that found the TX queue full, or no link, or the relay ended")               \
	X(QUIC_TX_MTU, "quic_tx_mtu", QUIC_DROP, "QUIC packets larger than the port can send")                     \
	X(QUIC_UNOPENED, "quic_unopened", QUIC_DROP,                                                               \
			"packets that their connection could not open, or reads no more")                          \
	X(QUIC_STREAM_LATE, "quic_stream_late", QUIC_DROP,                                                         \
			"packets with data out of order that there was no memory for: as if lost")                 \
	X(QUIC_STREAM_MBUF, "quic_stream_mbuf", QUIC_DROP,                                                         \
			"QUIC connections closed: no mbuf for what came on a stream")                              \
	X(QUIC_STREAM_FLOOD, "quic_stream_flood", QUIC_DROP,                                                       \
			"QUIC connections closed: more on their streams than is read, or than memory bears")       \
	X(QUIC_STREAM_FULL, "quic_stream_full", QUIC_DROP,                                                         \
			"messages to a QUIC client that does not read, or is gone")                                \
	X(QUIC_NO_WAY, "quic_no_way", QUIC_DROP,                                                                   \
			"QUIC packets to an address from which nothing came yet")                                  \
	X(DGRAM_SIZE, "dgram_size", DGRAM_DROP,                                                                    \
			"datagram that is empty or longer than any packet")                                        \
	X(DGRAM_MANY, "dgram_many", DGRAM_DROP,                                                                    \
			"datagram beyond the 256 that one packet may hold")                                        \
	X(DGRAM_NO_MBUF, "dgram_no_mbuf", DGRAM_DROP, "pool of QUIC packets empty")                                \
	X(DGRAM_EARLY, "dgram_early", DGRAM_DROP, "datagram before its sender was in a room")                      \
	X(DGRAM_SESSION, "dgram_session", DGRAM_DROP,                                                              \
			"datagram of a participant that is no longer in the room")                                 \
	X(DGRAM_ROLE, "dgram_role", DGRAM_DROP,                                                                    \
			"datagram from a participant that may not publish")                                        \
	X(DGRAM_MALFORMED, "dgram_malformed", DGRAM_DROP,                                                          \
			"datagram that is no media: too short, or of no known codec")                              \
	X(DGRAM_RATE_PACKETS, "dgram_rate_packets", DGRAM_DROP, "sender above its packet rate")                    \
	X(DGRAM_RATE_BITS, "dgram_rate_bits", DGRAM_DROP, "sender above its bit rate")                             \
	X(DGRAM_STOPPED, "dgram_stopped", DGRAM_DROP, "still unserved when the relay ended")                       \
	X(CTL_FRAMES_IN, "ctl_frames_in", CTL, "packets that the slow path took from the workers")                 \
	X(CTL_FRAMES_OUT, "ctl_frames_out", CTL, "frames that the slow path had sent")                             \
	X(CTL_ARP, "arp", CTL, "ARP packets handled")                                                              \
	X(CTL_ND, "nd", CTL, "neighbour discovery packets handled")                                                \
	X(CTL_ECHO, "echo", CTL, "ICMP echo requests answered")                                                    \
	X(STUN_REQUESTS, "stun_requests", CTL, "STUN Binding requests handled")                                    \
	X(STUN_ADMITTED, "stun_admitted", CTL, "sessions opened")                                                  \
	X(STUN_CONSENT, "stun_consent", CTL, "requests that refreshed consent")                                    \
	X(STUN_REPLAYED, "stun_replayed", CTL, "requests with a transaction ID already seen")                      \
	X(STUN_INDICATIONS, "stun_indications", CTL, "STUN indications")                                           \
	X(STATIC_OPENED, "static_opened", CTL, "static endpoints opened")                                          \
	X(SESSIONS_MOVED, "sessions_moved", CTL, "sessions that changed their address")                            \
	X(SESSIONS_REPLACED, "sessions_replaced", CTL,                                                             \
			"sessions replaced by the same participant")                                               \
	X(SESSIONS_EXPIRED, "sessions_expired", CTL, "sessions ended for want of consent")                         \
	X(SESSIONS_ENDED, "sessions_ended", CTL, "sessions ended, whatever the reason")                            \
	X(STUN_400, "stun_400", CTL_DROP, "requests refused: malformed")                                           \
	X(STUN_401, "stun_401", CTL_DROP, "requests refused: credential wrong or expired")                         \
	X(STUN_403, "stun_403", CTL_DROP,                                                                          \
			"requests refused: barred, replaced, a static endpoint's name, or no such role")           \
	X(STUN_420, "stun_420", CTL_DROP, "requests refused: unknown mandatory attribute")                         \
	X(STUN_486, "stun_486", CTL_DROP, "requests refused: room full")                                           \
	X(STUN_487, "stun_487", CTL_DROP, "requests refused: role conflict")                                       \
	X(STUN_SILENT, "stun_silent", CTL_DROP,                                                                    \
			"requests left unanswered: the answer would outgrow them")                                 \
	X(STUN_MALFORMED, "stun_malformed", CTL_DROP,                                                              \
			"STUN that cannot be parsed, or is neither Binding request nor indication")                \
	X(ADMIT_RATE, "admit_rate", CTL_DROP, "admissions above the configured rate")                              \
	X(ADMIT_SESSIONS, "admit_sessions", CTL_DROP, "admissions refused: session table full")                    \
	X(ADMIT_SOURCE, "admit_source", CTL_DROP,                                                                  \
			"admissions above the sessions of one source address or /64")                              \
	X(ADMIT_ROOMS, "admit_rooms", CTL_DROP, "admissions refused: room table full")                             \
	X(ADMIT_BACKLOG, "admit_backlog", CTL_DROP,                                                                \
			"admissions refused: too many views wait for reclamation")                                 \
	X(ADMIT_TUPLES, "admit_tuples", CTL_DROP,                                                                  \
			"requests from more addresses than a session may use")                                     \
	X(ADMIT_DRAINING, "admit_draining", CTL_DROP, "admissions refused: draining")                              \
	X(ADMIT_NO_ROUTE, "admit_no_route", CTL_DROP,                                                              \
			"admissions refused: no way back to the source")                                           \
	X(QUIC_INITIALS, "quic_initials", CTL, "first packets of QUIC clients handled")                            \
	X(QUIC_HANDSHAKES, "quic_handshakes", CTL, "QUIC handshakes begun")                                        \
	X(QUIC_ESTABLISHED, "quic_established", CTL, "QUIC handshakes completed")                                  \
	X(QUIC_ADMITTED, "quic_admitted", CTL, "QUIC participants let into a room")                                \
	X(QUIC_STREAM_BYTES, "quic_stream_bytes", CTL,                                                             \
			"bytes that came on QUIC streams and were read")                                           \
	X(QUIC_MESSAGES, "quic_messages", CTL, "messages given to QUIC clients' workers")                          \
	X(QUIC_RETRIES, "quic_retries", CTL, "Retry packets sent")                                                 \
	X(QUIC_VERSIONS, "quic_versions", CTL, "version negotiation packets sent")                                 \
	X(QUIC_RESETS, "quic_resets", CTL, "stateless resets sent")                                                \
	X(QUIC_ENDED, "quic_ended", CTL, "QUIC connections that ended, whatever the reason")                       \
	X(WZP_JOINED, "wzp_joined", CTL, "WZP clients that proved who they are and joined a room")                 \
	X(WZP_WENT, "wzp_went", CTL, "QUIC clients that went before they had joined a room")                       \
	X(WZP_SIGNALS, "wzp_signals", CTL, "signals of WZP clients that were read")                                \
	X(WZP_SIGNAL_IGNORED, "wzp_signal_ignored", CTL,                                                           \
			"of them, those that a room has no use for")                                               \
	X(WZP_HANGUPS, "wzp_hangups", CTL, "WZP clients that hung up")                                             \
	X(WZP_PINGS, "wzp_pings", CTL, "connections for `ping`, closed at once")                                   \
	X(WZP_VERSIONS, "wzp_versions", CTL, "connections that asked for the version")                             \
	X(WZP_AUTH_ASKED, "wzp_auth_asked", CTL, "tokens that the auth server was asked about")                    \
	X(WZP_AUTH_CACHED, "wzp_auth_cached", CTL, "tokens that were known already")                               \
	X(WZP_UPDATES, "wzp_updates", CTL, "lists of a room's participants that were made")                        \
	X(WZP_UPDATES_SENT, "wzp_updates_sent", CTL, "and given to participants' workers")                         \
	X(QUIC_MALFORMED, "quic_malformed", CTL_DROP,                                                              \
			"QUIC first packets that cannot be opened: cut short, too large, changed or forged")       \
	X(QUIC_HELLO, "quic_hello", CTL_DROP,                                                                      \
			"QUIC first packets that were opened, with no ClientHello that can be read")               \
	X(QUIC_TOKEN, "quic_token", CTL_DROP,                                                                      \
			"QUIC first packets with a token that is not ours, or old")                                \
	X(QUIC_EVICTED, "quic_evicted", CTL_DROP,                                                                  \
			"QUIC first packets given up: for others', or their rest did not come")                    \
	X(QUIC_BACKLOG, "quic_backlog", CTL_DROP,                                                                  \
			"QUIC first packets that found as many waiting for the slow path as may")                  \
	X(QUIC_FULL, "quic_full", CTL_DROP,                                                                        \
			"QUIC handshakes refused: no slot for another connection")                                 \
	X(QUIC_LIMIT, "quic_limit", CTL_DROP,                                                                      \
			"QUIC handshakes refused: as many in progress as may be")                                  \
	X(QUIC_NETWORK, "quic_network", CTL_DROP,                                                                  \
			"QUIC handshakes refused: as many in progress of their network as may be")                 \
	X(QUIC_MEMORY, "quic_memory", CTL_DROP,                                                                    \
			"QUIC handshakes refused: no memory for TLS or the connection")                            \
	X(QUIC_FAILED, "quic_failed", CTL_DROP,                                                                    \
			"QUIC handshakes that failed or were never finished")                                      \
	X(QUIC_REFUSED, "quic_refused", CTL_DROP, "QUIC clients that no room took")                                \
	X(QUIC_ROOM_FULL, "quic_room_full", CTL_DROP, "of them, those whose room was full")                        \
	X(WZP_AUTH_INVALID, "wzp_auth_invalid", CTL_DROP,                                                          \
			"WZP clients refused: the auth server does not know the token")                            \
	X(WZP_AUTH_FAILED, "wzp_auth_failed", CTL_DROP,                                                            \
			"WZP clients refused: the auth server gave no answer, or none that can be read")           \
	X(WZP_AUTH_BUSY, "wzp_auth_busy", CTL_DROP,                                                                \
			"WZP clients refused: as many tokens under way to the auth server as may be")              \
	X(WZP_TIMEOUT, "wzp_timeout", CTL_DROP,                                                                    \
			"WZP clients refused: said nothing, or not enough, in time")                               \
	X(WZP_SIGNAL_ORDER, "wzp_signal_order", CTL_DROP,                                                          \
			"WZP clients refused: another signal than was due")                                        \
	X(WZP_SIGNAL_MALFORMED, "wzp_signal_malformed", CTL_DROP,                                                  \
			"signals that are no JSON, or not of the protocol's form")                                 \
	X(WZP_SIGNAL_UNKNOWN, "wzp_signal_unknown", CTL_DROP, "signals that nobody knows")                         \
	X(WZP_SIGNAL_BIG, "wzp_signal_big", CTL_DROP,                                                              \
			"signals longer than any that a client sends there")                                       \
	X(WZP_SIGNAL_SHORT, "wzp_signal_short", CTL_DROP,                                                          \
			"signals whose stream ended within them, or was reset")                                    \
	X(WZP_SIGNAL_RATE, "wzp_signal_rate", CTL_DROP,                                                            \
			"signals beyond what one participant may send")                                            \
	X(WZP_SIGNATURE, "wzp_signature", CTL_DROP,                                                                \
			"WZP clients refused: the offer's signature is wrong")                                     \
	X(WZP_REPLAYED, "wzp_replayed", CTL_DROP,                                                                  \
			"WZP clients refused: with an offer that was seen before")                                 \
	X(WZP_IDENTITY, "wzp_identity", CTL_DROP,                                                                  \
			"WZP clients refused: the token is another identity's")                                    \
	X(WZP_ACL, "wzp_acl", CTL_DROP, "WZP clients refused: the room does not list them")                        \
	X(WZP_NO_PLACE, "wzp_no_place", CTL_DROP,                                                                  \
			"WZP clients refused: for the reason that admission counted")                              \
	X(WZP_UPDATE_MEMORY, "wzp_update_memory", CTL_DROP,                                                        \
			"lists of participants that had to wait for memory")                                       \
	X(QUIC_STRAY, "quic_stray", CTL_DROP, "QUIC packets for no handshake in progress")                         \
	X(STATIC_WAITING, "static_waiting", CTL_DROP,                                                              \
			"attempts to open a static endpoint that found no place")                                  \
	X(SSRC_CLASH, "ssrc_clash", CTL_DROP, "SSRC claims settled against the claimant")                          \
	X(SSRC_TABLE_FULL, "ssrc_table_full", CTL_DROP, "SSRC claims that found the table full")                   \
	X(NEIGH_TABLE_FULL, "neigh_table_full", CTL_DROP, "neighbours that found the table full")                  \
	X(CTL_MALFORMED, "ctl_malformed", CTL_DROP, "ARP, ND or ICMP that is malformed")                           \
	X(CTL_IGNORED, "ctl_ignored", CTL_DROP, "well-formed ARP, ND or ICMP of no concern to us")                 \
	X(CTL_NO_MBUF, "ctl_no_mbuf", CTL_DROP, "slow-path frame pool empty")                                      \
	X(CTL_TX_RING, "ctl_tx_ring", CTL_DROP,                                                                    \
			"slow-path frames that found the worker's ring full")                                      \
	X(BYES_LOST, "byes_lost", CTL_DROP,                                                                        \
			"BYEs for publishers that vanished, given up while 1 024 waited: the oldest first")        \
	X(CTL_TX_QUEUE, "ctl_tx_queue", CTL_DROP, "slow-path frames that found the TX queue full")                 \
	X(CTL_TX_NEIGHBOUR, "ctl_tx_neighbour", CTL_DROP,                                                          \
			"slow-path frames to a next hop without MAC address")                                      \
	X(TRACE_MISSED, "trace_missed", CTL_DROP,                                                                  \
			"frames of a traced room that found the trace's buffer full")                              \
	X(EVENTS_LOST, "events_lost", CTL_DROP, "events not logged: over the rate or queue full")

enum plm_counter {
#define PLM_COUNTER_ID(id, name, class, help) PLM_CNT_##id,
	PLM_COUNTERS(PLM_COUNTER_ID)
#undef PLM_COUNTER_ID
			PLM_CNT_MAX
};

struct plm_counter_def {
	const char *name;
	enum plm_counter_class class;
	const char *help;
};

/** One entry per counter, in the order of the enum. */
extern const struct plm_counter_def plm_counter_defs[PLM_CNT_MAX];

/** A class's name as it stands in the references: "rx", "rx_drop"... */
const char *plm_counter_class_name(enum plm_counter_class class);

/** owner writes, any reads. One per lcore; a reader sees each counter whole, not all at once. */
struct plm_counters {
	_Atomic uint64_t c[PLM_CNT_MAX];
} __attribute__((aligned(64)));

/** Add to a counter of the calling lcore's own array: a load and a store, no locked instruction. */
static inline void
plm_count_add(struct plm_counters *counters, enum plm_counter id, uint64_t n)
{
	_Atomic uint64_t *c = &counters->c[id];

	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			memory_order_relaxed);
}

static inline void
plm_count(struct plm_counters *counters, enum plm_counter id)
{
	plm_count_add(counters, id, 1);
}

static inline uint64_t
plm_counter_get(const struct plm_counters *counters, enum plm_counter id)
{
	return atomic_load_explicit(&counters->c[id], memory_order_relaxed);
}

/**
 * A log-linear histogram: 2^PLM_HIST_SUB_BITS buckets per power of two, so a value is known within
 * 1/16 (6.25 %) of itself, from 0 to 2^40 - 1; larger values count in the last bucket.
 * Debian 12 ships no histogram library for C.
 */
#define PLM_HIST_SUB_BITS 4
#define PLM_HIST_MAX_BITS 40
#define PLM_HIST_BUCKETS  ((PLM_HIST_MAX_BITS - PLM_HIST_SUB_BITS + 1) << PLM_HIST_SUB_BITS)

/** owner writes, any reads. */
struct plm_hist {
	_Atomic uint64_t bucket[PLM_HIST_BUCKETS];
};

/** The bucket of a value. Owner and readers. */
static inline unsigned int
plm_hist_bucket(uint64_t value)
{
	unsigned int shift;

	if (value < (UINT64_C(1) << PLM_HIST_SUB_BITS))
		return (unsigned int)value;
	if (value >= (UINT64_C(1) << PLM_HIST_MAX_BITS))
		return PLM_HIST_BUCKETS - 1;
	shift = 63 - (unsigned int)__builtin_clzll(value) - PLM_HIST_SUB_BITS;
	return ((shift + 1) << PLM_HIST_SUB_BITS) +
			(unsigned int)(value >> shift & ((1u << PLM_HIST_SUB_BITS) - 1));
}

/** Count one value. Owner only. */
static inline void
plm_hist_add(struct plm_hist *hist, uint64_t value)
{
	_Atomic uint64_t *b = &hist->bucket[plm_hist_bucket(value)];

	atomic_store_explicit(b, atomic_load_explicit(b, memory_order_relaxed) + 1,
			memory_order_relaxed);
}

/** Add `from` to `to`. `to` belongs to the caller. */
void plm_hist_merge(struct plm_hist *to, const struct plm_hist *from);

/** Values counted. */
uint64_t plm_hist_count(const struct plm_hist *hist);

/**
 * The value below or at which `permille_x10` / 10000 of all values lie (5000 is the median, 9990
 * p99.9): the upper bound of its bucket. 0 for an empty histogram.
 */
uint64_t plm_hist_quantile(const struct plm_hist *hist, unsigned int permille_x10);

#endif
