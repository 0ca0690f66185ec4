/* SPDX-License-Identifier: BSD-3-Clause */
/* A client's first datagrams: opened, put together in any order, held for a while and no longer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_errno.h>

#include "test_eal.h"
#include "test_initial.h"

#define HOLD_NS (200 * PLM_NS_PER_MS)

static struct plm_initials *initials;
static uint64_t now_ns;

static void
fill(void *ctx, void *buf, size_t len)
{
	memset(buf, 0x42, len);
}

static struct plm_initials *
create(uint32_t max_entries, uint32_t max_per_prefix)
{
	struct plm_initials_conf conf = {
		.max_entries = max_entries,
		.max_per_prefix = max_per_prefix,
		.hold_ns = HOLD_NS,
		.rand = { .fill = fill },
	};

	return plm_initials_create(&conf);
}

static int
setup(void **state)
{
	now_ns = PLM_NS_PER_S;
	initials = create(4, 3);
	return initials != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	plm_initials_free(initials);
	return 0;
}

static struct plm_initial_source
source(uint8_t host, uint64_t prefix)
{
	return (struct plm_initial_source){ .key = { 198, 18, 0, host }, .prefix = prefix };
}

/* A datagram from host 1; `flight` must not change unless it is complete. */
static enum plm_initial_result
take(const struct plm_initial_dgram *dgram, struct plm_initial_flight *flight)
{
	struct plm_initial_source from = source(1, 7);
	struct plm_initial_flight before;
	enum plm_initial_result ret;

	memset(flight, 0x5a, sizeof(*flight));
	memcpy(&before, flight, sizeof(before));
	ret = plm_initials_take(initials, &from, dgram, now_ns, flight);
	if (ret != PLM_INITIAL_READY)
		assert_memory_equal(flight, &before, sizeof(before));
	return ret;
}

static enum plm_initial_result
take_bytes(const uint8_t *buf, size_t len)
{
	struct plm_initial_dgram dgram = { .buf = buf, .len = (uint16_t)len };
	struct plm_initial_flight flight;

	return take(&dgram, &flight);
}

static size_t
from_hex(const char *hex, uint8_t *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &out[i]), 1);
	return n;
}

static void
initial__opens_the_one_of_rfc9001(void **state)
{
	/* RFC 9001 §A.2: the frames, and of the protected packet the header and the tag, which no
	 * other packet has. */
	static const char frames_hex[] =
			"060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47"
			"f06a2b69484c00000413011302010000c000000010000e00000b6578616d706c652e636f6d"
			"ff01000100000a00080006001d0017001800100007000504616c706e000500050100000000"
			"003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e9"
			"94ec74d748002b0003020304000d0010000e0403050306030203080408050806002d000201"
			"01001c00024001003900320408ffffffffffffffff05048000ffff07048000ffff08011001"
			"04800075300901100f088394c8f03e51570806048000ffff";
	struct test_initial how = {
		.dcid = { 0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08 },
		.dcid_len = 8,
		.pn = 2,
		.pn_len = 4,
		.pad_to = 1200,
	};
	uint8_t frames[512], packet[PLM_INITIAL_MAX], want[32];
	struct plm_initial_flight flight;
	struct plm_initial_dgram dgram;
	size_t len;

	len = test_initial_seal(&how, frames, from_hex(frames_hex, frames), packet);
	assert_int_equal(len, 1200);
	from_hex("c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11", want);
	assert_memory_equal(packet, want, 32);
	from_hex("e221af44860018ab0856972e194cd934", want);
	assert_memory_equal(packet + len - 16, want, 16);

	dgram = (struct plm_initial_dgram){ .buf = packet, .len = (uint16_t)len, .ecn = 2 };
	assert_int_equal(take(&dgram, &flight), PLM_INITIAL_READY);
	assert_true(flight.has_hello && flight.has_tls13 && !flight.has_wzp);
	assert_string_equal(flight.name, "example.com");
	assert_int_equal(flight.name_len, 11);
	assert_int_equal(flight.hd.dcid_len, 8);
	assert_int_equal(flight.hd.scid_len, 0);
	assert_int_equal(flight.hd.token_len, 0);
	assert_int_equal(flight.nb_dgrams, 1);
	assert_ptr_equal(flight.dgrams[0].buf, packet);
	assert_int_equal(flight.dgrams[0].ecn, 2);
	assert_int_equal(plm_initials_count(initials), 0);
}

/* --- real clients ------------------------------------------------------------------------------ */

static void
hello__of_real_clients_is_read(void **state)
{
	static const struct {
		const char *name;
		const char *alpn;
		const char *want_name;
		bool wzp;
		uint8_t dcid_len;
		uint8_t scid_len;
	} cases[] = {
		{ "room", "wzp", "room", true, 8, 0 },
		{ "_signal", "h3,wzp", "_signal", true, 18, 20 },
		{ "call-0_A.b", "WZP", "call-0_A.b", false, 20, 17 },
		{ "42", NULL, "42", false, 20, 8 },
		{ NULL, "wzp", "", true, 8, 1 },
		{ "198.18.0.1", "wzpx,wz", "", false, 8, 4 },
		{ "fd00::1", "wzp", "", true, 8, 4 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct test_client_conf conf = {
			.name = cases[i].name,
			.alpn = cases[i].alpn,
			.dcid_len = cases[i].dcid_len,
			.scid_len = cases[i].scid_len,
		};
		struct plm_initial_flight flight;
		struct test_client client;

		print_message("  %s\n", cases[i].name != NULL ? cases[i].name : "no name");
		test_client_init(&client, &conf);
		assert_int_equal(client.nb_dgrams, 1);
		assert_int_equal(take(&client.dgrams[0], &flight), PLM_INITIAL_READY);
		assert_string_equal(flight.name, cases[i].want_name);
		assert_int_equal(flight.name_len, strlen(cases[i].want_name));
		assert_true(flight.has_tls13);
		assert_int_equal(flight.has_wzp, cases[i].wzp);
		assert_int_equal(flight.hd.dcid_len, client.dcid.datalen);
		assert_memory_equal(flight.hd.dcid, client.dcid.data, client.dcid.datalen);
		assert_int_equal(flight.hd.scid_len, client.scid.datalen);
		assert_memory_equal(flight.hd.scid, client.scid.data, client.scid.datalen);
		test_client_fini(&client);
	}
}

/* A client whose ClientHello takes `nb` datagrams. */
static void
big_client(struct test_client *client, unsigned int nb)
{
	struct test_client_conf conf = {
		.name = "big-room",
		.alpn = "wzp",
		.dcid_len = 8,
		.scid_len = 8,
		.hello_pad = (uint16_t)(1100 * (nb - 1)),
	};

	test_client_init(client, &conf);
	assert_int_equal(client->nb_dgrams, nb);
}

static void
check_flight(const struct plm_initial_flight *flight, const struct test_client *client)
{
	assert_int_equal(flight->nb_dgrams, client->nb_dgrams);
	for (unsigned int i = 0; i < client->nb_dgrams; i++) {
		assert_int_equal(flight->dgrams[i].len, client->dgrams[i].len);
		assert_int_equal(flight->dgrams[i].ecn, client->dgrams[i].ecn);
		assert_memory_equal(flight->dgrams[i].buf, client->dgrams[i].buf,
				client->dgrams[i].len);
	}
	assert_memory_equal(flight->hd.dcid, client->dcid.data, client->dcid.datalen);
}

static void
hello__is_put_together_in_any_order(void **state)
{
	static const struct {
		unsigned int nb;
		uint8_t order[8]; /* duplicates among them; 9 ends it */
	} cases[] = {
		{ 2, { 0, 1, 9 } },
		{ 2, { 1, 0, 9 } },
		{ 2, { 0, 0, 0, 1, 9 } },
		{ 2, { 1, 1, 0, 9 } },
		{ 3, { 0, 1, 2, 9 } },
		{ 3, { 0, 2, 1, 9 } },
		{ 3, { 1, 0, 2, 9 } },
		{ 3, { 1, 2, 0, 9 } },
		{ 3, { 2, 0, 1, 9 } },
		{ 3, { 2, 1, 0, 9 } },
		{ 3, { 2, 2, 1, 2, 1, 0, 9 } },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct plm_initial_flight flight;
		struct test_client client;
		unsigned int seen = 0;

		print_message("  case %zu\n", i);
		big_client(&client, cases[i].nb);
		for (const uint8_t *at = cases[i].order; *at != 9; at++) {
			enum plm_initial_result want = PLM_INITIAL_WAIT;

			if (seen >> *at & 1)
				want = PLM_INITIAL_DUPLICATE;
			else if (at[1] == 9)
				want = PLM_INITIAL_READY;
			seen |= 1u << *at;
			assert_int_equal(take(&client.dgrams[*at], &flight), want);
			assert_int_equal(plm_initials_count(initials), want != PLM_INITIAL_READY);
		}
		check_flight(&flight, &client);
		assert_true(flight.has_hello && flight.has_wzp && flight.has_tls13);
		assert_string_equal(flight.name, "big-room");
		test_client_fini(&client);
	}
}

/* With what is handed out, in that order, a server reads the same name that was read here. */
static void
flight__is_what_a_connection_can_begin_with(void **state)
{
	static const struct {
		const char *name;
		uint8_t order[4]; /* 9 ends it */
		bool complete;
		bool starts;
	} cases[] = {
		{ "in order", { 0, 1, 2, 9 }, true, true },
		{ "the last first", { 2, 1, 0, 9 }, true, true },
		{ "the first in the middle", { 1, 0, 2, 9 }, true, true },
		{ "without an end", { 1, 0, 9 }, false, true },
		{ "without a beginning", { 2, 1, 9 }, false, false },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct plm_initial_flight flight;
		struct test_client client;
		struct test_server server;
		char name[PLM_INITIAL_NAME_SIZE];
		size_t len = sizeof(name);
		gnutls_datum_t alpn;
		unsigned int type;

		print_message("  %s\n", cases[i].name);
		big_client(&client, 3);
		for (const uint8_t *at = cases[i].order; *at != 9; at++)
			take(&client.dgrams[*at], &flight);
		if (!cases[i].complete)
			assert_true(plm_initials_expired(initials, now_ns + HOLD_NS, &flight));
		assert_int_equal(flight.has_start, cases[i].starts);
		assert_int_equal(flight.has_hello, cases[i].complete);
		test_server_init(&server, &flight);
		for (unsigned int n = 0; n < flight.nb_dgrams; n++)
			assert_int_equal(test_server_read(&server, &flight.dgrams[n]),
					cases[i].starts ? 0 : NGTCP2_ERR_RETRY);
		if (cases[i].complete) {
			assert_int_equal(gnutls_server_name_get(server.tls, name, &len, &type, 0),
					0);
			assert_string_equal(name, flight.name);
			assert_int_equal(gnutls_alpn_get_selected_protocol(server.tls, &alpn), 0);
		}
		test_server_fini(&server);
		test_client_fini(&client);
	}
}

static void
hello__does_not_mix_sources(void **state)
{
	struct plm_initials *t = create(64, 64);
	struct plm_initial_source from = source(1, 7);
	struct plm_initial_flight flight;
	struct test_client client;

	assert_non_null(t);
	big_client(&client, 2);
	assert_int_equal(plm_initials_take(t, &from, &client.dgrams[0], now_ns, &flight),
			PLM_INITIAL_WAIT);
	/* Many, so that some share a chain of the table. */
	for (uint8_t host = 2; host < 64; host++) {
		struct plm_initial_source elsewhere = source(host, 7);

		assert_int_equal(plm_initials_take(t, &elsewhere, &client.dgrams[1], now_ns,
						 &flight),
				PLM_INITIAL_WAIT);
	}
	assert_int_equal(plm_initials_count(t), 63);
	assert_int_equal(plm_initials_take(t, &from, &client.dgrams[1], now_ns, &flight),
			PLM_INITIAL_READY);
	check_flight(&flight, &client);
	plm_initials_free(t);
	test_client_fini(&client);
}

static void
hello__waits_so_long_and_no_longer(void **state)
{
	struct plm_initial_flight flight, before;
	struct test_client client, later;

	big_client(&client, 3);
	big_client(&later, 2);
	assert_int_equal(take(&client.dgrams[2], &flight), PLM_INITIAL_WAIT);
	now_ns += PLM_NS_PER_MS;
	assert_int_equal(take(&later.dgrams[1], &flight), PLM_INITIAL_WAIT);
	/* What comes later does not prolong it. */
	assert_int_equal(take(&client.dgrams[0], &flight), PLM_INITIAL_WAIT);
	now_ns += HOLD_NS - PLM_NS_PER_MS - 1;
	memset(&flight, 0x5a, sizeof(flight));
	memcpy(&before, &flight, sizeof(before));
	assert_false(plm_initials_expired(initials, now_ns, &flight));
	assert_memory_equal(&flight, &before, sizeof(before));
	now_ns++;
	assert_true(plm_initials_expired(initials, now_ns, &flight));
	assert_false(flight.has_hello);
	assert_string_equal(flight.name, "");
	assert_int_equal(flight.nb_dgrams, 2);
	assert_int_equal(flight.source.key[3], 1);
	assert_memory_equal(flight.hd.dcid, client.dcid.data, client.dcid.datalen);
	for (unsigned int i = 0; i < 2; i++)
		assert_memory_equal(flight.dgrams[i].buf, client.dgrams[2 * i].buf,
				flight.dgrams[i].len);
	assert_false(plm_initials_expired(initials, now_ns, &flight));
	assert_int_equal(plm_initials_count(initials), 1);
	assert_true(plm_initials_expired(initials, now_ns + PLM_NS_PER_MS, &flight));
	assert_memory_equal(flight.hd.dcid, later.dcid.data, later.dcid.datalen);
	assert_int_equal(plm_initials_count(initials), 0);
	/* A straggler begins anew. */
	assert_int_equal(take(&client.dgrams[1], &flight), PLM_INITIAL_WAIT);
	test_client_fini(&client);
	test_client_fini(&later);
}

static void
initial__changed_in_any_byte_is_refused(void **state)
{
	struct test_client_conf conf = { .name = "room", .alpn = "wzp", .dcid_len = 8 };
	struct plm_initial_flight flight;
	uint8_t buf[PLM_INITIAL_MAX];
	struct test_client client;
	size_t len;

	test_client_init(&client, &conf);
	len = client.dgrams[0].len;
	for (size_t i = 0; i < len; i++) {
		memcpy(buf, client.dgrams[0].buf, len);
		buf[i] ^= (uint8_t)(1 << i % 8);
		assert_true(take_bytes(buf, len) >= PLM_INITIAL_NOT_INITIAL);
	}
	assert_int_equal(plm_initials_count(initials), 0);
	assert_int_equal(take(&client.dgrams[0], &flight), PLM_INITIAL_READY);
	test_client_fini(&client);
}

static void
initial__cut_anywhere_is_refused(void **state)
{
	struct test_client_conf conf = { .name = "room",
		.alpn = "wzp",
		.dcid_len = 8,
		.scid_len = 8 };
	uint8_t buf[PLM_INITIAL_MAX];
	struct test_client client;
	size_t len;

	test_client_init(&client, &conf);
	len = client.dgrams[0].len;
	for (size_t i = 0; i < len; i++) {
		/* An allocation of its own: a read beyond is seen by the sanitizer. */
		uint8_t *cut = malloc(i + 1);

		memcpy(cut, client.dgrams[0].buf, i);
		assert_int_equal(take_bytes(cut, i),
				i < 5 ? PLM_INITIAL_NOT_INITIAL : PLM_INITIAL_SMALL);
		free(cut);
		/* Filled up with zeros, and with what means long lengths. */
		memset(buf, 0, sizeof(buf));
		memcpy(buf, client.dgrams[0].buf, i);
		assert_true(take_bytes(buf, len) >= PLM_INITIAL_NOT_INITIAL);
		memset(buf + i, 0xff, sizeof(buf) - i);
		assert_true(take_bytes(buf, len) >= PLM_INITIAL_NOT_INITIAL);
	}
	assert_int_equal(plm_initials_count(initials), 0);
	test_client_fini(&client);
}

/* --- written by hand --------------------------------------------------------------------------- */

static const struct test_initial plain_how = {
	.dcid = { 1, 2, 3, 4, 5, 6, 7, 8 },
	.scid = { 9, 9 },
	.dcid_len = 8,
	.scid_len = 2,
	.pn_len = 1,
	.pad_to = 1200,
};

static enum plm_initial_result
take_frames(const struct test_initial *how, const void *frames, size_t len)
{
	uint8_t packet[PLM_INITIAL_MAX];

	return take_bytes(packet, test_initial_seal(how, frames, len, packet));
}

static void
frames__only_those_of_an_initial(void **state)
{
#define F(bytes) bytes, sizeof(bytes) - 1
	static const struct {
		const char *name;
		const char *frames;
		size_t len;
		uint16_t pad_to;
		enum plm_initial_result want;
	} cases[] = {
		{ "padding alone", F("\0"), 1200, PLM_INITIAL_NO_CRYPTO },
		{ "ping", F("\1"), 1200, PLM_INITIAL_NO_CRYPTO },
		{ "ack", F("\2\5\0\1\1\0\0"), 1200, PLM_INITIAL_NO_CRYPTO },
		{ "ack with ecn", F("\3\5\0\0\1\1\2\3"), 1200, PLM_INITIAL_NO_CRYPTO },
		{ "ack with more ranges than bytes", F("\2\5\0\x7f\xff\0\0"), 1200,
				PLM_INITIAL_FRAMES },
		{ "ack without its ranges", F("\1\2\5\0\1\1\1"), 0, PLM_INITIAL_FRAMES },
		{ "ack cut", F("\1\1\1\2\5\0"), 0, PLM_INITIAL_FRAMES },
		{ "empty crypto", F("\6\0\0"), 1200, PLM_INITIAL_NO_CRYPTO },
		{ "crypto of another message", F("\6\0\4\2\0\0\0"), 1200, PLM_INITIAL_HELLO },
		{ "crypto begins", F("\6\0\1\1"), 1200, PLM_INITIAL_WAIT },
		{ "crypto cut", F("\1\1\6\0\5\1\2\3\4"), 0, PLM_INITIAL_FRAMES },
		{ "crypto without a length", F("\1\1\1\1\6\0"), 0, PLM_INITIAL_FRAMES },
		{ "hello too long", F("\6\0\4\1\0\x0f\xfd"), 1200, PLM_INITIAL_HELLO_BIG },
		{ "hello of three bytes' length", F("\6\0\4\1\1\0\0"), 1200,
				PLM_INITIAL_HELLO_BIG },
		{ "crypto far away", F("\6\x50\0\1\1"), 1200, PLM_INITIAL_HELLO_BIG },
		{ "crypto at the end of numbers", F("\6\xff\xff\xff\xff\xff\xff\xff\xff\1\1"), 1200,
				PLM_INITIAL_HELLO_BIG },
		{ "more than the hello", F("\6\0\6\1\0\0\1\0\0"), 1200, PLM_INITIAL_HELLO },
		{ "close", F("\x1c\0\0\2ab"), 1200, PLM_INITIAL_CLOSED },
		{ "close with a long reason", F("\x1c\0\0\x7f\xff"), 1200, PLM_INITIAL_FRAMES },
		{ "close of an application", F("\x1d\0\0"), 1200, PLM_INITIAL_FRAMES },
		{ "stream", F("\x08\0"), 1200, PLM_INITIAL_FRAMES },
		{ "handshake done", F("\x1e"), 1200, PLM_INITIAL_FRAMES },
		{ "datagram", F("\x30"), 1200, PLM_INITIAL_FRAMES },
		{ "ping in two bytes", F("\x40\1"), 1200, PLM_INITIAL_FRAMES },
		{ "no frame at all", F(""), 0, PLM_INITIAL_FRAMES },
	};
#undef F

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct test_initial how = plain_how;
		uint8_t dgram[PLM_INITIAL_MAX] = { 0 };

		print_message("  %s\n", cases[i].name);
		/* Where it does not pad, the packet ends with its frames and zeros follow it. */
		how.pad_to = cases[i].pad_to;
		how.pn_len = 4;
		how.dcid[0] = (uint8_t)i;
		test_initial_seal(&how, (const uint8_t *)cases[i].frames, cases[i].len, dgram);
		assert_int_equal(take_bytes(dgram, 1200), cases[i].want);
	}
}

static void
header__is_checked(void **state)
{
	static const uint8_t other_id[8] = { 8, 7, 6, 5, 4, 3, 2, 1 };
	struct test_initial how = plain_how;
	uint8_t packet[PLM_INITIAL_MAX];
	uint8_t big[PLM_INITIAL_MAX + 1] = { 0 };
	struct plm_initial_hd hd;
	size_t len;

	for (uint8_t pn_len = 1; pn_len <= 4; pn_len++) {
		how.pn_len = pn_len;
		how.pn = 0xfedcba98;
		how.dcid[0] = pn_len;
		assert_int_equal(take_frames(&how, "\1", 1), PLM_INITIAL_NO_CRYPTO);
	}
	how.reserved = 1;
	assert_int_equal(take_frames(&how, "\1", 1), PLM_INITIAL_FRAMES);
	how.reserved = 2;
	assert_int_equal(take_frames(&how, "\1", 1), PLM_INITIAL_FRAMES);
	how.reserved = 0;
	how.key_id = other_id;
	how.key_id_len = sizeof(other_id);
	assert_int_equal(take_frames(&how, "\1", 1), PLM_INITIAL_FORGED);
	how.key_id = NULL;
	how.dcid_len = 7;
	assert_int_equal(take_frames(&how, "\1", 1), PLM_INITIAL_ID);
	how.dcid_len = 8;
	how.pad_to = 1199;
	assert_int_equal(take_frames(&how, "\1", 1), PLM_INITIAL_SMALL);
	how.pad_to = PLM_INITIAL_MAX;
	assert_int_equal(take_frames(&how, "\1", 1), PLM_INITIAL_NO_CRYPTO);

	how = plain_how;
	len = test_initial_seal(&how, (const uint8_t *)"\1", 1, packet);
	memcpy(big, packet, len);
	assert_int_equal(take_bytes(big, sizeof(big)), PLM_INITIAL_BIG);
	assert_int_equal(take_bytes(packet, len), PLM_INITIAL_NO_CRYPTO);
	packet[4] = 2;
	assert_int_equal(take_bytes(packet, len), PLM_INITIAL_VERSION);
	assert_int_equal(take_bytes(packet, 1199), PLM_INITIAL_SMALL);
	memset(packet + 1, 0, 4);
	assert_int_equal(take_bytes(packet, len), PLM_INITIAL_VERSION);
	packet[4] = 1;
	packet[0] |= 0x20; /* a Handshake packet */
	assert_int_equal(take_bytes(packet, len), PLM_INITIAL_NOT_INITIAL);
	packet[0] = 0x40;
	assert_int_equal(take_bytes(packet, len), PLM_INITIAL_NOT_INITIAL);
	packet[0] = 0xc0;
	packet[5] = 21;
	assert_int_equal(take_bytes(packet, len), PLM_INITIAL_ID);
	packet[5] = 8;
	packet[14] = 21;
	assert_int_equal(take_bytes(packet, len), PLM_INITIAL_ID);
	packet[14] = 2;
	packet[17] = 0x7f; /* a token as long as the rest and more */
	assert_int_equal(take_bytes(packet, len), PLM_INITIAL_HEADER);
	packet[17] = 0;
	packet[18] = 0x40; /* too short for a packet number and a sample */
	packet[19] = 19;
	assert_int_equal(take_bytes(packet, len), PLM_INITIAL_HEADER);
	packet[19] = 20;
	assert_int_equal(take_bytes(packet, len), PLM_INITIAL_FORGED);
	assert_int_equal(plm_initial_parse(packet, len, &hd), PLM_INITIAL_READY);
	assert_int_equal(hd.end, 40);
}

static void
token__is_handed_to_the_caller(void **state)
{
	static const uint8_t token[] = "a token";
	struct test_initial how = plain_how;
	uint8_t packet[PLM_INITIAL_MAX];
	struct plm_initial_hd hd;
	size_t len;

	how.token = token;
	how.token_len = sizeof(token);
	len = test_initial_seal(&how, (const uint8_t *)"\1", 1, packet);
	assert_int_equal(plm_initial_parse(packet, len, &hd), PLM_INITIAL_READY);
	assert_int_equal(hd.token_len, sizeof(token));
	assert_memory_equal(hd.token, token, sizeof(token));
	assert_int_equal(hd.end, len);
	assert_int_equal(take_bytes(packet, len), PLM_INITIAL_NO_CRYPTO);
}

static void
client__keeps_its_id_and_may_give_up(void **state)
{
	struct test_initial how = plain_how;

	assert_int_equal(take_frames(&how, "\6\0\1\1", 4), PLM_INITIAL_WAIT);
	how.scid[0]++;
	assert_int_equal(take_frames(&how, "\6\1\1\0", 4), PLM_INITIAL_ID);
	how.scid_len = 0;
	assert_int_equal(take_frames(&how, "\6\1\1\0", 4), PLM_INITIAL_ID);
	assert_int_equal(plm_initials_count(initials), 1);
	/* No more than three, each with a byte. */
	how = plain_how;
	assert_int_equal(take_frames(&how, "\6\1\1\0", 4), PLM_INITIAL_WAIT);
	assert_int_equal(take_frames(&how, "\6\2\1\0", 4), PLM_INITIAL_WAIT);
	assert_int_equal(take_frames(&how, "\6\3\1\x40", 4), PLM_INITIAL_MANY);
	assert_int_equal(plm_initials_count(initials), 1);
	assert_int_equal(take_frames(&how, "\x1c\0\0\0", 4), PLM_INITIAL_CLOSED);
	assert_int_equal(plm_initials_count(initials), 0);
	/* What cannot become good is not waited for. */
	assert_int_equal(take_frames(&how, "\6\1\1\x10", 4), PLM_INITIAL_WAIT);
	assert_int_equal(take_frames(&how, "\6\0\4\1\0\0\0", 7), PLM_INITIAL_HELLO_BIG);
	assert_int_equal(plm_initials_count(initials), 0);
}

/* A ClientHello that says no more than it must, in `frames` from `offset` on. */
static size_t
hello_frame(uint8_t *frames, uint8_t offset, uint8_t len)
{
	static const uint8_t hello[] = { 1, 0, 0, 43, 3, 3, [38] = 0, 0, 2, 0x13, 1, 1, 0, 0, 0 };

	assert_int_equal(sizeof(hello), 47);
	frames[0] = 6;
	frames[1] = offset;
	frames[2] = len;
	assert_true((size_t)offset + len <= sizeof(hello));
	memcpy(frames + 3, hello + offset, len);
	return 3u + len;
}

static void
datagram__of_several_packets(void **state)
{
	static const struct {
		const char *name;
		uint8_t between; /* first byte of a packet between the two, 0: none */
		bool other_id;
		bool forged;
		enum plm_initial_result want;
	} cases[] = {
		{ "two Initials", 0, false, false, PLM_INITIAL_READY },
		{ "a 0-RTT packet between", 0xd0, false, false, PLM_INITIAL_READY },
		{ "a Handshake packet between", 0xe0, false, false, PLM_INITIAL_READY },
		{ "a Retry between", 0xf0, false, false, PLM_INITIAL_WAIT },
		{ "a short header between", 0x40, false, false, PLM_INITIAL_WAIT },
		{ "another connection's second", 0, true, false, PLM_INITIAL_WAIT },
		{ "a second that does not open", 0, false, true, PLM_INITIAL_WAIT },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct test_initial how = plain_how;
		uint8_t frames[64], first_id[8], dgram[2 * PLM_INITIAL_MAX] = { 0 };
		struct plm_initial_flight flight;
		struct plm_initial_dgram d = { .buf = dgram, .len = 1200 };
		size_t len;

		print_message("  %s\n", cases[i].name);
		how.pad_to = 0;
		how.dcid[0] = (uint8_t)i;
		memcpy(first_id, how.dcid, sizeof(first_id));
		len = test_initial_seal(&how, frames, hello_frame(frames, 0, 20), dgram);
		if (cases[i].between != 0) {
			/* With the same ids and 32 bytes of whatever. */
			memcpy(dgram + len, dgram, 17);
			dgram[len] = cases[i].between;
			dgram[len + 17] = 32;
			len += 18 + 32;
		}
		if (cases[i].other_id) {
			/* It would open, but the connection will not take it (RFC 9000 §12.2). */
			how.key_id = first_id;
			how.key_id_len = sizeof(first_id);
			how.dcid[7]++;
		}
		how.pn = 1;
		how.pad_to = (uint16_t)(1200 - len);
		len += test_initial_seal(&how, frames, hello_frame(frames, 20, 27), dgram + len);
		assert_int_equal(len, 1200);
		if (cases[i].forged)
			dgram[1199] ^= 1;
		assert_int_equal(take(&d, &flight), cases[i].want);
		if (cases[i].want == PLM_INITIAL_READY) {
			assert_int_equal(flight.nb_dgrams, 1);
			assert_false(flight.has_tls13 || flight.has_wzp);
		} else {
			assert_true(plm_initials_expired(initials, now_ns + HOLD_NS, &flight));
		}
	}
}

/* What stands first in a stream of bytes counts, as it does for the connection. */
static void
crypto__that_overlaps_keeps_what_came_first(void **state)
{
	struct test_initial how = plain_how;
	uint8_t frames[80];
	size_t len;

	len = hello_frame(frames, 0, 30);
	assert_int_equal(take_frames(&how, frames, len), PLM_INITIAL_WAIT);
	len = hello_frame(frames, 10, 37);
	frames[3] = 0x77;       /* in the random, where it would not be noticed */
	frames[3 + 37 - 1] = 1; /* in the extensions' length, where it is */
	assert_int_equal(take_frames(&how, frames, len), PLM_INITIAL_HELLO);

	len = hello_frame(frames, 10, 37);
	assert_int_equal(take_frames(&how, frames, len), PLM_INITIAL_WAIT);
	len = hello_frame(frames, 0, 47);
	frames[3 + 46] = 1; /* came already, and right */
	assert_int_equal(take_frames(&how, frames, len), PLM_INITIAL_READY);
}

/* --- limits ------------------------------------------------------------------------------------ */

static void
create__refuses_what_it_cannot_be(void **state)
{
	static const struct {
		uint32_t max_entries;
		uint32_t max_per_prefix;
	} cases[] = { { 0, 1 }, { 1, 0 }, { 4, 5 }, { 65537, 1 } };

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		rte_errno = 0;
		assert_null(create(cases[i].max_entries, cases[i].max_per_prefix));
		assert_int_equal(rte_errno, EINVAL);
	}
}

enum { CLIENTS = 48, PREFIXES = 5, MAX = 16, PER_PREFIX = 7 };

/* What the table should hold, oldest first, and when each prefix had a newcomer or lost one last. */
struct model {
	unsigned int nb;
	uint8_t who[MAX];
	uint64_t came_ns[MAX];
	unsigned int changed[PREFIXES];
	unsigned int changes;
};

static unsigned int
prefix_of(unsigned int client)
{
	/* Two have more clients than the others. */
	return client % 3 == 0 ? client / 3 % PREFIXES : client % 2;
}

static unsigned int
model_weight(const struct model *m, unsigned int prefix)
{
	unsigned int nb = 0;

	for (unsigned int i = 0; i < m->nb; i++)
		nb += prefix_of(m->who[i]) == prefix;
	return nb;
}

static int
model_find(const struct model *m, unsigned int client)
{
	for (unsigned int i = 0; i < m->nb; i++)
		if (m->who[i] == client)
			return (int)i;
	return -1;
}

static void
model_del(struct model *m, unsigned int at)
{
	m->changed[prefix_of(m->who[at])] = ++m->changes;
	m->nb--;
	memmove(m->who + at, m->who + at + 1, m->nb - at);
	memmove(m->came_ns + at, m->came_ns + at + 1, (m->nb - at) * sizeof(m->came_ns[0]));
}

/* A newcomer; whether somebody had to go for it. */
static bool
model_add(struct model *m, unsigned int client)
{
	unsigned int own = prefix_of(client);
	unsigned int loser = own;
	bool evicts = m->nb == MAX || model_weight(m, own) == PER_PREFIX;

	if (evicts && model_weight(m, own) < PER_PREFIX) {
		for (unsigned int p = 0; p < PREFIXES; p++) {
			unsigned int w = model_weight(m, p), most = model_weight(m, loser);

			if (w > most ||
					(w == most && loser != own && w > 0 &&
							m->changed[p] < m->changed[loser]))
				loser = p;
		}
	}
	for (unsigned int i = 0; evicts && i < m->nb; i++) {
		if (prefix_of(m->who[i]) == loser) {
			model_del(m, i);
			break;
		}
	}
	m->who[m->nb] = (uint8_t)client;
	m->came_ns[m->nb++] = now_ns;
	m->changed[own] = ++m->changes;
	return evicts;
}

static void
table__agrees_with_a_model(void **state)
{
	static uint8_t halves[CLIENTS][2][PLM_INITIAL_MAX];
	struct plm_initials *t = create(MAX, PER_PREFIX);
	unsigned int evicted = 0, ready = 0, expired = 0;
	struct model m = { 0 };
	uint32_t seed = 5;

	assert_non_null(t);
	for (unsigned int i = 0; i < CLIENTS; i++) {
		struct test_initial how = plain_how;
		uint8_t frames[64];

		how.dcid[0] = (uint8_t)i;
		test_initial_seal(&how, frames, hello_frame(frames, 0, 20), halves[i][0]);
		test_initial_seal(&how, frames, hello_frame(frames, 20, 27), halves[i][1]);
	}
	for (unsigned int step = 0; step < 40000; step++) {
		enum plm_initial_result want = PLM_INITIAL_DUPLICATE;
		struct plm_initial_dgram dgram = { .len = 1200 };
		struct plm_initial_flight flight;
		struct plm_initial_source from;
		unsigned int who;
		int at;

		seed = seed * 1664525 + 1013904223;
		who = (seed >> 8) % CLIENTS;
		now_ns += (seed >> 24) % 64 * PLM_NS_PER_MS / 4;
		while (m.nb > 0 && now_ns - m.came_ns[0] >= HOLD_NS) {
			assert_true(plm_initials_expired(t, now_ns, &flight));
			assert_int_equal(flight.hd.dcid[0], m.who[0]);
			model_del(&m, 0);
			expired++;
		}
		assert_false(plm_initials_expired(t, now_ns, &flight));

		at = model_find(&m, who);
		from = source((uint8_t)who, prefix_of(who));
		dgram.buf = halves[who][0];
		if (at < 0) {
			bool evicts = model_add(&m, who);

			want = evicts ? PLM_INITIAL_WAIT_EVICTED : PLM_INITIAL_WAIT;
			evicted += evicts;
		} else if ((seed >> 20) % 4 == 0) {
			want = PLM_INITIAL_READY;
			dgram.buf = halves[who][1];
			model_del(&m, (unsigned int)at);
			ready++;
		}
		if (plm_initials_take(t, &from, &dgram, now_ns, &flight) != want)
			fail_msg("step %u", step);
		assert_int_equal(plm_initials_count(t), m.nb);
	}
	plm_initials_free(t);
	assert_true(evicted > 1000 && ready > 1000 && expired > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(initial__opens_the_one_of_rfc9001, setup, teardown),
		cmocka_unit_test_setup_teardown(hello__of_real_clients_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(hello__is_put_together_in_any_order, setup,
				teardown),
		cmocka_unit_test_setup_teardown(flight__is_what_a_connection_can_begin_with, setup,
				teardown),
		cmocka_unit_test_setup_teardown(hello__does_not_mix_sources, setup, teardown),
		cmocka_unit_test_setup_teardown(hello__waits_so_long_and_no_longer, setup,
				teardown),
		cmocka_unit_test_setup_teardown(initial__changed_in_any_byte_is_refused, setup,
				teardown),
		cmocka_unit_test_setup_teardown(initial__cut_anywhere_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(frames__only_those_of_an_initial, setup, teardown),
		cmocka_unit_test_setup_teardown(header__is_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(token__is_handed_to_the_caller, setup, teardown),
		cmocka_unit_test_setup_teardown(client__keeps_its_id_and_may_give_up, setup,
				teardown),
		cmocka_unit_test_setup_teardown(datagram__of_several_packets, setup, teardown),
		cmocka_unit_test_setup_teardown(crypto__that_overlaps_keeps_what_came_first, setup,
				teardown),
		cmocka_unit_test(create__refuses_what_it_cannot_be),
		cmocka_unit_test(table__agrees_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
