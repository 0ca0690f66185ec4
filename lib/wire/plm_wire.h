/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Byte layouts: parse and build, no state, no keys. Every parser takes untrusted bytes, is pure
 * and total, reads nothing beyond `len`, and changes its output on success only. Any thread.
 */
#ifndef PLM_WIRE_H
#define PLM_WIRE_H

#include <errno.h>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>

#include "plm_base.h"

/* --- first byte (RFC 7983, RFC 9443) ------------------------------------------------------- */

enum plm_proto {
	PLM_PROTO_NONE,
	PLM_PROTO_STUN,       /**< 0-3 */
	PLM_PROTO_DTLS,       /**< 20-63, a later milestone */
	PLM_PROTO_QUIC_SHORT, /**< 64-127, a later milestone */
	PLM_PROTO_RTP,        /**< 128-191, second byte says RTP */
	PLM_PROTO_RTCP,       /**< 128-191, payload type 192-223 (RFC 5761) */
	PLM_PROTO_QUIC_LONG,  /**< 192-255, a later milestone */
};

/** Which protocol a datagram speaks; `len` at least 1. */
static inline enum plm_proto
plm_wire_classify(const uint8_t *p, size_t len)
{
	uint8_t b = p[0];

	if (b >= 128 && b <= 191)
		return len >= 2 && p[1] >= 192 && p[1] <= 223 ? PLM_PROTO_RTCP : PLM_PROTO_RTP;
	if (b <= 3)
		return PLM_PROTO_STUN;
	if (b >= 192)
		return PLM_PROTO_QUIC_LONG;
	if (b >= 64)
		return PLM_PROTO_QUIC_SHORT;
	if (b >= 20)
		return PLM_PROTO_DTLS;
	return PLM_PROTO_NONE;
}

/* --- checksums (RFC 1071) ------------------------------------------------------------------ */

/** Ones' complement sum of `len` bytes, folded to 16 bits, as rte_raw_cksum() yields it. */
uint16_t plm_wire_sum(const void *buf, size_t len);

/** Fold a sum of sums to 16 bits. */
static inline uint16_t
plm_wire_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* --- STUN (RFC 8489, RFC 8445) ------------------------------------------------------------- */

#define PLM_STUN_HDR          20
#define PLM_STUN_COOKIE       0x2112a442u
#define PLM_STUN_TID          12
#define PLM_STUN_USERNAME_MAX 513

enum plm_stun_class {
	PLM_STUN_REQUEST = 0,
	PLM_STUN_INDICATION = 1,
	PLM_STUN_SUCCESS = 2,
	PLM_STUN_ERROR = 3,
};

#define PLM_STUN_BINDING 1

/** A STUN message; pointers lead into the caller's bytes. Absent attributes are NULL or false. */
struct plm_stun {
	enum plm_stun_class class;
	uint16_t method;
	const uint8_t *tid; /**< PLM_STUN_TID bytes */
	const uint8_t *username;
	uint16_t username_len;
	const uint8_t *integrity; /**< 20 bytes, HMAC-SHA1 */
	uint16_t integrity_off;   /**< of its attribute header: what the HMAC covers */
	bool has_fingerprint;     /**< present, last, and right */
	bool has_priority;
	uint32_t priority;
	bool use_candidate;
	bool controlling;
	bool controlled;
	uint64_t tie_breaker;
	uint16_t error_code;   /**< of an error response, 300 to 699, else 0 */
	const uint8_t *mapped; /**< XOR-MAPPED-ADDRESS value */
	uint16_t mapped_len;
	uint16_t unknown[4]; /**< comprehension-required attributes that we do not know */
	uint8_t nb_unknown;  /**< at most 4 are kept */
};

/**
 * Parse. What follows MESSAGE-INTEGRITY is ignored but for FINGERPRINT (RFC 8489 §14.5).
 * @return 0, -EMSGSIZE (truncated, length not a multiple of 4 or not the datagram's),
 *   -EPROTO (no magic cookie), -EBADMSG (attribute out of bounds, or of a wrong size, or a
 *   FINGERPRINT that is wrong or not last).
 */
int plm_stun_parse(const uint8_t *buf, size_t len, struct plm_stun *msg);

/** The 20 bytes to feed the HMAC instead of the header: its length field covers the integrity
 *  attribute (RFC 8489 §14.5). The rest is buf + 20 to buf + integrity_off. */
void plm_stun_integrity_hdr(const uint8_t *buf, const struct plm_stun *msg,
		uint8_t hdr[PLM_STUN_HDR]);

/** A message under construction. */
struct plm_stun_out {
	uint8_t *buf;
	size_t size;
	size_t len;
	bool overflow; /**< something did not fit: give up */
};

void plm_stun_begin(struct plm_stun_out *out, void *buf, size_t size, enum plm_stun_class class,
		uint16_t method, const uint8_t tid[PLM_STUN_TID]);
/** `port` and `addr` (4 or 16 bytes) in network order. */
void plm_stun_add_xor_mapped(struct plm_stun_out *out, const uint8_t *addr, bool is_v6,
		rte_be16_t port);
void plm_stun_add_error(struct plm_stun_out *out, uint16_t code, const char *reason);
void plm_stun_add_unknown(struct plm_stun_out *out, const uint16_t *types, unsigned int n);
void plm_stun_add_bytes(struct plm_stun_out *out, uint16_t type, const void *value, size_t len);
void plm_stun_add_u32(struct plm_stun_out *out, uint16_t type, uint32_t value);
void plm_stun_add_u64(struct plm_stun_out *out, uint16_t type, uint64_t value);
/**
 * Set the header's length as if MESSAGE-INTEGRITY followed, so that the caller can take the HMAC
 * of buf[0 .. len) and hand it to plm_stun_add_integrity().
 */
void plm_stun_prepare_integrity(struct plm_stun_out *out);
void plm_stun_add_integrity(struct plm_stun_out *out, const uint8_t hmac[20]);
/** Always last. Returns the message's length, 0 on overflow. */
size_t plm_stun_finish(struct plm_stun_out *out);

#define PLM_STUN_ATTR_USERNAME      0x0006
#define PLM_STUN_ATTR_INTEGRITY     0x0008
#define PLM_STUN_ATTR_ERROR         0x0009
#define PLM_STUN_ATTR_UNKNOWN       0x000a
#define PLM_STUN_ATTR_XOR_MAPPED    0x0020
#define PLM_STUN_ATTR_PRIORITY      0x0024
#define PLM_STUN_ATTR_USE_CANDIDATE 0x0025
#define PLM_STUN_ATTR_SOFTWARE      0x8022
#define PLM_STUN_ATTR_FINGERPRINT   0x8028
#define PLM_STUN_ATTR_CONTROLLED    0x8029
#define PLM_STUN_ATTR_CONTROLLING   0x802a

/** CRC-32 of FINGERPRINT (ISO 3309), not yet XORed with 0x5354554e. */
uint32_t plm_wire_crc32(const void *buf, size_t len);

/* --- credential ---------------------------------------------------------------------------- */

/** Longest ufrag: a common agent aborts above (RFC 8445 allows 256). */
#define PLM_UFRAG_MAX 111

/** What a credential's user name says: base64("1:expiry:room:participant:role"). */
struct plm_ufrag {
	uint64_t expiry_s; /**< Unix seconds */
	char room[PLM_NAME_SIZE];
	char participant[PLM_NAME_SIZE];
	char role; /**< a to z; 'p', 's' and 'b' mean something (plm_admit.h) */
};

/**
 * Read a ufrag (not the whole USERNAME, which goes on behind a colon). Says nothing of the
 * signature.
 * @return 0, -EINVAL (not canonical base64 without padding, not the form, a name outside its
 *   alphabet, too long).
 */
int plm_ufrag_parse(const char *ufrag, size_t len, struct plm_ufrag *out);

/* --- RTP and RTCP (RFC 3550) --------------------------------------------------------------- */

#define PLM_RTP_HDR 12

struct plm_rtp {
	uint32_t ssrc;
	uint32_t timestamp;
	uint16_t seq;
	uint8_t payload_type;
	bool marker;
	uint16_t payload_off; /**< behind CSRCs and header extension */
};

/** 0, -EMSGSIZE (shorter than its own header), -EPROTO (version is not 2). */
int plm_rtp_parse(const uint8_t *buf, size_t len, struct plm_rtp *rtp);

enum plm_rtcp_type {
	PLM_RTCP_SR = 200,
	PLM_RTCP_RR = 201,
	PLM_RTCP_SDES = 202,
	PLM_RTCP_BYE = 203,
	PLM_RTCP_APP = 204,
	PLM_RTCP_RTPFB = 205,
	PLM_RTCP_PSFB = 206,
	PLM_RTCP_XR = 207,
};

/** Media SSRCs of one compound that are kept; what names more is malformed. */
#define PLM_RTCP_TARGETS 64
/** SSRCs that one compound speaks for: its sender, and 31 in a BYE. More are malformed. */
#define PLM_RTCP_SOURCES 32

/** What routing needs to know of a compound packet. */
struct plm_rtcp {
	uint8_t first_type; /**< 192 to 223 */
	bool has_bye;
	uint32_t sender_ssrc; /**< of the first packet */
	uint8_t nb_targets;   /**< distinct media SSRCs named */
	uint32_t targets[PLM_RTCP_TARGETS];
	uint8_t nb_sources; /**< distinct senders of all its packets and SSRCs in BYEs */
	uint32_t sources[PLM_RTCP_SOURCES]; /**< sender_ssrc first */
};

/**
 * Walk a clear compound: report blocks (SR, RR), media SSRCs of feedback (RFC 4585; REMB and
 * TMMBR carry theirs in the FCI, RFC 5104), XR blocks (RFC 3611). SDES widens nothing; its sender
 * is the first chunk's SSRC, a mixer's contributing sources follow.
 * @return 0, -EMSGSIZE, -EPROTO (a version that is not 2, padding but in the last packet, too many
 *   SSRCs).
 */
int plm_rtcp_parse(const uint8_t *buf, size_t len, struct plm_rtcp *rtcp);

/** First packet's type and sender of an opaque (SRTCP) one: 8 readable bytes. 0, -EMSGSIZE, -EPROTO. */
int plm_rtcp_peek(const uint8_t *buf, size_t len, uint8_t *first_type, uint32_t *sender_ssrc);

/** Compound {empty RR from ssrcs[0], BYE of up to 31 SSRCs}. Length or -ENOSPC. */
int plm_rtcp_build_bye(uint8_t *buf, size_t size, const uint32_t *ssrcs, unsigned int n);

/* --- Ethernet, ARP, IP, ICMP, neighbour discovery ------------------------------------------ */

#define PLM_ETH_HDR 14
#define PLM_IP4_HDR 20
#define PLM_IP6_HDR 40
#define PLM_UDP_HDR 8

struct plm_arp {
	bool is_request; /**< else a reply */
	uint8_t sender_mac[6];
	uint8_t sender_ip[4];
	uint8_t target_mac[6];
	uint8_t target_ip[4];
};

/** From behind the Ethernet header. 0, -EMSGSIZE, -EPROTO (not Ethernet and IPv4, or opcode). */
int plm_arp_parse(const uint8_t *buf, size_t len, struct plm_arp *arp);
/** Whole frame, 42 bytes (padded to 60). Length or -ENOSPC. */
int plm_arp_build(uint8_t *buf, size_t size, const uint8_t dst_mac[6], const struct plm_arp *arp);

enum plm_icmp6_type {
	PLM_ICMP6_ECHO_REQUEST = 128,
	PLM_ICMP6_ECHO_REPLY = 129,
	PLM_ICMP6_NS = 135,
	PLM_ICMP6_NA = 136,
};

/** Neighbour solicitation or advertisement (RFC 4861 §4.3, §4.4). */
struct plm_nd {
	uint8_t type; /**< PLM_ICMP6_NS or PLM_ICMP6_NA */
	uint8_t target[16];
	bool has_lladdr; /**< source (NS) or target (NA) link-layer address option */
	uint8_t lladdr[6];
	bool router; /**< NA flags */
	bool solicited;
	bool override;
};

/** ICMPv6 body behind the IPv6 header; hop limit and checksum are the caller's.
 *  0, -EMSGSIZE, -EPROTO (type, code, an option of length 0, a multicast target). */
int plm_nd_parse(const uint8_t *buf, size_t len, struct plm_nd *nd);
/** Whole frame with IPv6 header (hop limit 255) and checksum. Length or -ENOSPC. */
int plm_nd_build(uint8_t *buf, size_t size, const uint8_t src_mac[6], const uint8_t dst_mac[6],
		const uint8_t src[16], const uint8_t dst[16], const struct plm_nd *nd);

/** Checksum of an upper-layer packet under the IPv6 or IPv4 pseudo-header, as it is written to
 *  the wire when its field was 0 (UDP alone writes a result of 0 as 0xffff, RFC 768); over a
 *  packet with its field filled, 0 if right. */
uint16_t plm_wire_l4_sum(const uint8_t *src, const uint8_t *dst, bool is_v6, uint8_t proto,
		const void *l4, size_t len);

/* --- media of the WZP protocol (its specification, §4) ------------------------------------- */

/**
 * In front of each datagram's payload, integers big endian:
 *
 *   0 |V|T|  codec (4)  |Q|F|  version, repair, codec, quality report behind, top of the repair ratio
 *   1 | ratio (6)     |0|0|    the rest of it
 *   2 | sequence          |
 *   4 | timestamp                                 |
 *   8 | block | symbol | reserved | CSRC count |
 */
#define PLM_WZP_HDR    12
#define PLM_WZP_REPORT 4 /**< quality report: the datagram's last bytes, when Q is set */
#define PLM_WZP_CODEC_AUDIO_MAX                                                                    \
	8 /**< Opus, Codec2 and comfort noise are 0 to 8, the rest is nothing */

struct plm_wzp_media {
	uint8_t version; /**< 0; 1 is read, too */
	bool is_repair;
	uint8_t codec; /**< 0 to PLM_WZP_CODEC_AUDIO_MAX */
	bool has_report;
	uint8_t fec_ratio; /**< 7 bits: times 1 / 63.5 */
	uint16_t sequence;
	uint32_t timestamp;
	uint8_t block;
	uint8_t symbol;
	uint8_t reserved;
	uint8_t csrc;
	size_t payload_len; /**< from PLM_WZP_HDR on */
	/** Lost (of 255), round trip (4 ms), jitter (ms), bit rate at most (kbit/s); zeros without one. */
	uint8_t report[PLM_WZP_REPORT];
};

/** Of the first byte. */
static inline bool
plm_wzp_has_report(uint8_t first)
{
	return (first & 0x02) != 0;
}

/** What a relay needs to know: 0; -EMSGSIZE: shorter than header and report; -EPROTO: codec 9 to 15. */
static inline int
plm_wzp_media_check(const uint8_t *buf, size_t len)
{
	if (unlikely(len < PLM_WZP_HDR))
		return -EMSGSIZE;
	if (unlikely((buf[0] & 0x3c) > PLM_WZP_CODEC_AUDIO_MAX << 2))
		return -EPROTO;
	return unlikely(plm_wzp_has_report(buf[0]) && len < PLM_WZP_HDR + PLM_WZP_REPORT)
			? -EMSGSIZE
			: 0;
}

/** 0, or what plm_wzp_media_check() says. The two spare bits are not looked at. */
int plm_wzp_media_parse(const uint8_t *buf, size_t len, struct plm_wzp_media *media);

/**
 * Write header, payload and report; spare bits are 0.
 *
 * @param payload
 *   NULL: it is in its place already.
 * @return length, -ENOSPC, -EINVAL (a field that is out of range).
 */
int plm_wzp_media_build(uint8_t *buf, size_t size, const struct plm_wzp_media *media,
		const void *payload);

#define PLM_WZP_TRUNK_MAX 64 /**< datagrams in a frame */

/**
 * Whether this is a trunk frame: a count (2 bytes), and as many entries {session (2 bytes), length (2),
 * media}, each with room for a header, that fill the datagram exactly. What is one by chance is media
 * of an Opus frame whose bytes lie just so.
 */
bool plm_wzp_is_trunk(const uint8_t *buf, size_t len);

/** Sound, and not what repairs it: what a receiver should have when there is not room for all. */
static inline bool
plm_wzp_is_audio(const uint8_t *buf, size_t len)
{
	return len >= PLM_WZP_HDR && (buf[0] & 0x40) == 0 &&
			(buf[0] >> 2 & 0x0f) <= PLM_WZP_CODEC_AUDIO_MAX;
}

#endif
