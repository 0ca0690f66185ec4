/* SPDX-License-Identifier: BSD-3-Clause */
/* Media over connections of our own on a virtual clock: 2.5 Mbit/s with a key frame of 60 packets every second,
 * through loss, outages, rebinding, key updates, and paths that carry less than they seem to. */
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "fixture.h"
#include "quic_priv.h"

#define MS PLM_NS_PER_MS
#define S  PLM_NS_PER_S

#define PACKET_SIZE   1100
#define PACKET_GAP_NS (3520 * PLM_NS_PER_US)
#define PACKETS_FRAME 284 /* a second */
#define KEY_FRAME     60
#define AUDIO_GAP_NS  (20 * MS)
#define AUDIO_SIZE    100

/* One direction of media, and audio the other way. */
struct stream {
	struct fx_pair *pair;
	struct fx_side *from;
	struct fx_side *back;
	bool has_audio; /* the receiver sends, too */
	uint64_t next_ns;
	uint64_t next_audio_ns;
	unsigned int nth;
	uint64_t nb_tried;
	uint64_t nb_refused;
	uint64_t nb_audio;
	uint64_t nb_audio_refused;
};

static struct stream
stream(struct fx_pair *pair, bool is_up, bool has_audio)
{
	return (struct stream){
		.pair = pair,
		.from = is_up ? &pair->client : &pair->server,
		.back = is_up ? &pair->server : &pair->client,
		.has_audio = has_audio,
		.next_ns = pair->now_ns,
		.next_audio_ns = pair->now_ns,
	};
}

static void
media(struct stream *s, uint64_t ns)
{
	static const uint8_t zeros[PACKET_SIZE];
	uint64_t end_ns = s->pair->now_ns + ns;

	while (s->pair->now_ns < end_ns) {
		fx_step(s->pair);
		while (s->next_ns <= s->pair->now_ns) {
			unsigned int n = s->nth++ % PACKETS_FRAME == 0 ? KEY_FRAME : 1;

			s->next_ns += PACKET_GAP_NS;
			s->nb_tried += n;
			for (; n > 0; n--)
				s->nb_refused += fx_send(s->from, zeros, PACKET_SIZE, false) !=
						PLM_QUIC_SENT;
		}
		while (s->next_audio_ns <= s->pair->now_ns) {
			s->next_audio_ns += AUDIO_GAP_NS;
			if (!s->has_audio)
				continue;
			s->nb_audio++;
			s->nb_audio_refused +=
					fx_send(s->back, zeros, AUDIO_SIZE, true) != PLM_QUIC_SENT;
		}
	}
}

/* Until the next datagram arrives, `at_most` at the longest; how long that took. */
static uint64_t
silence(struct stream *s, uint64_t at_most_ns)
{
	uint64_t since_ns = s->pair->now_ns;
	uint64_t had = s->back->nb_datagrams;

	while (s->back->nb_datagrams == had && s->pair->now_ns < since_ns + at_most_ns)
		media(s, MS);
	return s->pair->now_ns - since_ns;
}

static void
check_alive(struct fx_pair *pair)
{
	assert_int_equal(plm_quic_conn_state(pair->client.conn), PLM_QUIC_ESTABLISHED);
	assert_int_equal(plm_quic_conn_state(pair->server.conn), PLM_QUIC_ESTABLISHED);
}

/* --- loss ------------------------------------------------------------------------------------ */

/* At 100 ms a key frame and what is under way are a little more than the window. */
static const struct {
	const char *name;
	uint32_t loss_ppm;
	uint32_t back_ppm; /* of acknowledgements */
	uint32_t late_ppm; /* up to 5 ms late */
	uint64_t rtt_ns;
	unsigned int most_refused; /* of 1000 */
} loss_cases[] = {
	{ "none", 0, 0, 0, FX_RTT_NS, 0 },
	{ "none, 100 ms", 0, 0, 0, 100 * MS, 60 },
	{ "1 %", 10000, 10000, 0, FX_RTT_NS, 30 },
	{ "1 %, 10 ms", 10000, 10000, 0, 10 * MS, 30 },
	{ "1 %, 100 ms", 10000, 10000, 0, 100 * MS, 60 },
	{ "1 % of media alone", 10000, 0, 0, FX_RTT_NS, 30 },
	{ "5 %", 50000, 50000, 0, FX_RTT_NS, 30 },
	{ "5 % of acknowledgements alone", 0, 50000, 0, FX_RTT_NS, 10 },
	{ "5 % are late", 0, 0, 50000, FX_RTT_NS, 10 },
	{ "1 %, and 5 % are late", 10000, 10000, 50000, FX_RTT_NS, 30 },
};

static void
loss__that_is_random_refuses_next_to_nothing(void **state)
{
	for (size_t i = 0; i < RTE_DIM(loss_cases); i++) {
		for (unsigned int kind = 0; kind < 4; kind++) {
			struct fx_pair *pair = fx_connected(NULL);
			struct stream s = stream(pair, kind & 1, kind & 2);
			unsigned int refused;

			pair->seed += 4 * i + kind;
			fx_delay(pair, loss_cases[i].rtt_ns / 2);
			s.from->link.loss_ppm = loss_cases[i].loss_ppm;
			s.back->link.loss_ppm = loss_cases[i].back_ppm;
			s.from->link.late_ppm = s.back->link.late_ppm = loss_cases[i].late_ppm;
			s.from->link.late_ns = s.back->link.late_ns = 5 * MS;
			media(&s, 30 * S);
			refused = (unsigned int)(s.nb_refused * 1000 / s.nb_tried);
			print_message("%s, %s%s: %u of 1000 refused\n", loss_cases[i].name,
					kind & 1 ? "up" : "down", kind & 2 ? ", both send" : "",
					refused);
			assert_true(refused <= loss_cases[i].most_refused);
			assert_int_equal(s.nb_audio_refused, 0);
			/* What was sent and not lost arrived. */
			assert_true(s.back->nb_datagrams + s.from->link.nb_lost + s.nb_refused +
							200 >=
					s.nb_tried);
			check_alive(pair);
			fx_end(pair);
		}
	}
}

/* --- outages --------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint64_t outage_ns;
	uint64_t within_ns;
	uint32_t loss_ppm;
} outages[] = {
	{ "0.2 s", 200 * MS, 500 * MS, 0 },
	{ "1 s", 1 * S, 500 * MS, 0 },
	{ "1 s at 1 % loss", 1 * S, 500 * MS, 10000 },
	{ "3 s", 3 * S, 1 * S, 0 },
	{ "10 s", 10 * S, 2 * S, 0 },
	{ "10 s at 1 % loss", 10 * S, 2 * S, 10000 },
	{ "25 s", 25 * S, 2 * S, 0 },
};

static void
outage__ends_with_media_soon_after(void **state)
{
	for (size_t i = 0; i < RTE_DIM(outages); i++) {
		for (unsigned int kind = 0; kind < 8; kind++) {
			struct fx_pair *pair = fx_connected(NULL);
			struct stream s = stream(pair, kind & 1, kind & 2);
			uint64_t back_ns, refused, tried;

			pair->seed += 8 * i + kind;
			fx_loss(pair, outages[i].loss_ppm);
			media(&s, 5 * S + fx_random(pair) % S);
			/* Of the whole path, or of the way that media takes alone. */
			s.from->link.is_down = true;
			s.back->link.is_down = !(kind & 4);
			media(&s, outages[i].outage_ns);
			fx_down(pair, false);
			back_ns = silence(&s, 12 * S);
			print_message("%s, %s%s%s: after %u ms\n", outages[i].name,
					kind & 1 ? "up" : "down", kind & 2 ? ", both send" : "",
					kind & 4 ? ", one way" : "", (unsigned int)(back_ns / MS));
			assert_true(back_ns <= outages[i].within_ns);
			/* And it is media again, not one packet now and then. */
			media(&s, S);
			refused = s.nb_refused;
			tried = s.nb_tried;
			media(&s, 10 * S);
			refused = s.nb_refused - refused;
			tried = s.nb_tried - tried;
			assert_true(refused * 100 <= tried * 3);
			check_alive(pair);
			fx_end(pair);
		}
	}
}

/* --- rebinding and keys ---------------------------------------------------------------------- */

static void
rebinding__during_a_stream_is_over_within_half_a_second(void **state)
{
	for (unsigned int kind = 0; kind < 4; kind++) {
		struct fx_pair *pair = fx_connected(NULL);
		struct stream s = stream(pair, kind & 1, kind & 2);
		uint64_t most_ns;

		media(&s, 10 * S);
		s.back->gap_ns = 0;
		pair->nat_port = (uint16_t)(pair->nat_port + 100);
		media(&s, 10 * S);
		most_ns = s.back->gap_ns;
		print_message("%s%s: %u ms\n", kind & 1 ? "up" : "down",
				kind & 2 ? ", both send" : "", (unsigned int)(most_ns / MS));
		assert_int_equal(pair->server.nb_moved, 1);
		assert_true(most_ns <= 500 * MS);
		assert_true(s.nb_refused * 100 <= s.nb_tried * 3);
		check_alive(pair);
		fx_end(pair);
	}
}

static void
key_update__during_a_stream_is_not_noticed(void **state)
{
	for (unsigned int kind = 0; kind < 8; kind++) {
		struct fx_pair *pair = fx_connected(NULL);
		struct stream s = stream(pair, kind & 1, kind & 2);

		fx_loss(pair, 10000);
		media(&s, 10 * S);
		s.back->gap_ns = 0;
		assert_int_equal(plm_quic_key_update(kind & 4 ? s.from->conn : s.back->conn,
						 pair->now_ns),
				0);
		media(&s, 10 * S);
		assert_true(s.back->gap_ns <= 50 * MS);
		assert_int_equal(fx_figures(s.from).key_updates, 1);
		assert_int_equal(fx_figures(s.back).key_updates, 1);
		assert_true(s.nb_refused * 100 <= s.nb_tried * 3);
		check_alive(pair);
		fx_end(pair);
	}
}

/* --- priority -------------------------------------------------------------------------------- */

static void
urgent__datagrams_pass_when_others_are_refused(void **state)
{
	static const uint8_t zeros[1100];
	struct fx_pair *pair = fx_connected(NULL);
	unsigned int nb = 0;

	while (fx_send(&pair->server, zeros, 1100, false) == PLM_QUIC_SENT)
		assert_true(nb++ < 1000);
	assert_int_equal(fx_send(&pair->server, zeros, 1100, false), PLM_QUIC_NO_WINDOW);
	assert_true(nb >= KEY_FRAME);
	/* Audio of some seconds has room still. */
	for (unsigned int i = 0; i < 50; i++)
		assert_int_equal(fx_send(&pair->server, zeros, 100, true), PLM_QUIC_SENT);
	assert_int_equal(fx_send(&pair->server, zeros, 1100, false), PLM_QUIC_NO_WINDOW);
	/* But not without end. */
	for (nb = 0; fx_send(&pair->server, zeros, 100, true) == PLM_QUIC_SENT; nb++)
		assert_true(nb < 1000);
	fx_run(pair, 2 * FX_RTT_NS);
	assert_int_equal(fx_send(&pair->server, zeros, 1100, false), PLM_QUIC_SENT);
	fx_end(pair);
}

/* --- the size of packets ---------------------------------------------------------------------- */

static void
path__that_carries_1280_bytes_is_found_out(void **state)
{
	static const uint8_t zeros[1400];
	struct fx_pair *pair = fx_connected(NULL);
	unsigned int nb_large = 0;
	uint64_t had;

	pair->server.link.mtu = 1280;
	for (unsigned int i = 0; i < 1000; i++) {
		nb_large += fx_send(&pair->server, zeros, 1300, false) == PLM_QUIC_SENT;
		assert_int_equal(fx_send(&pair->server, zeros, 1000, false), PLM_QUIC_SENT);
		for (unsigned int k = 0; k < 5; k++)
			fx_step(pair);
	}
	fx_run(pair, 100 * MS);
	/* Three that were lost, and those that were on their way until that was known. */
	assert_in_range(nb_large, 3, 60);
	assert_int_equal(fx_send(&pair->server, zeros, 1300, false), PLM_QUIC_TOO_LARGE);
	assert_int_equal(pair->client.nb_datagrams, 1000);
	/* What the path does carry goes: 1250 bytes are not too large for it. */
	had = pair->client.nb_datagrams;
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(fx_send(&pair->server, zeros, 1200, false), PLM_QUIC_SENT);
		fx_run(pair, 10 * MS);
	}
	fx_run(pair, 100 * MS);
	assert_int_equal(pair->client.nb_datagrams, had + 20);
	assert_true(fx_figures(&pair->server).max_payload > 1200);
	assert_true(fx_figures(&pair->server).max_payload <= 1280);
	check_alive(pair);
	fx_end(pair);
}

static void
path__that_carries_1452_bytes_is_used_in_full(void **state)
{
	static const uint8_t zeros[1400];
	struct fx_pair *pair = fx_connected(NULL);

	fx_loss(pair, 10000);
	for (unsigned int i = 0; i < 2000; i++) {
		assert_int_equal(fx_send(&pair->server, zeros, 1400, false), PLM_QUIC_SENT);
		for (unsigned int k = 0; k < 5; k++)
			fx_step(pair);
	}
	fx_run(pair, 100 * MS);
	assert_int_equal(pair->client.nb_datagrams + pair->server.link.nb_lost >= 2000, 1);
	assert_int_equal(pair->client.last_len, 1400);
	assert_true(fx_figures(&pair->server).max_payload >= 1400);
	check_alive(pair);
	fx_end(pair);
}

/* Every packet of an outage is lost, the large ones among them: they are not to blame. */
static void
path__is_not_taken_for_a_narrow_one_after_an_outage(void **state)
{
	static const uint8_t zeros[1400];
	struct fx_pair *pair = fx_connected(NULL);
	unsigned int nb_refused = 0;

	for (unsigned int i = 0; i < 4000; i++) {
		bool is_down = i >= 400 && i < 600;
		enum plm_quic_verdict verdict;

		fx_down(pair, is_down);
		verdict = fx_send(&pair->server, zeros, 1400, false);
		assert_int_not_equal(verdict, PLM_QUIC_TOO_LARGE);
		if (i > 1000)
			nb_refused += verdict != PLM_QUIC_SENT;
		for (unsigned int k = 0; k < 5; k++)
			fx_step(pair);
	}
	assert_int_equal(nb_refused, 0);
	fx_end(pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loss__that_is_random_refuses_next_to_nothing),
		cmocka_unit_test(outage__ends_with_media_soon_after),
		cmocka_unit_test(rebinding__during_a_stream_is_over_within_half_a_second),
		cmocka_unit_test(key_update__during_a_stream_is_not_noticed),
		cmocka_unit_test(urgent__datagrams_pass_when_others_are_refused),
		cmocka_unit_test(path__that_carries_1280_bytes_is_found_out),
		cmocka_unit_test(path__that_carries_1452_bytes_is_used_in_full),
		cmocka_unit_test(path__is_not_taken_for_a_narrow_one_after_an_outage),
	};

	test_eal_init(64);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
