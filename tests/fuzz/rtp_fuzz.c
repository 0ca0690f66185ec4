/* SPDX-License-Identifier: BSD-3-Clause */
/* RTP and RTCP: bounds, distinct targets, a prefix never names what the whole does not. */
#include "fuzz.h"
#include "plm_wire.h"

static void
check_rtp(const uint8_t *buf, size_t len)
{
	struct plm_rtp before, rtp;

	memset(&before, 0x5a, sizeof(before));
	memcpy(&rtp, &before, sizeof(rtp));
	if (plm_rtp_parse(buf, len, &rtp) < 0) {
		FUZZ_CHECK(memcmp(&rtp, &before, sizeof(rtp)) == 0);
		return;
	}
	FUZZ_CHECK(rtp.payload_off >= PLM_RTP_HDR && rtp.payload_off <= len);
	FUZZ_CHECK(rtp.payload_type < 128);
}

static void
check_rtcp(const uint8_t *buf, size_t len)
{
	struct plm_rtcp before, rtcp;
	uint8_t bye[256];
	uint8_t type = 0;
	uint32_t ssrc = 0;
	int peeked = plm_rtcp_peek(buf, len, &type, &ssrc);
	int ret;

	memset(&before, 0x5a, sizeof(before));
	memcpy(&rtcp, &before, sizeof(rtcp));
	if (plm_rtcp_parse(buf, len, &rtcp) < 0) {
		FUZZ_CHECK(memcmp(&rtcp, &before, sizeof(rtcp)) == 0);
		return;
	}
	FUZZ_CHECK(peeked == 0 && type == rtcp.first_type && ssrc == rtcp.sender_ssrc);
	FUZZ_CHECK(len % 4 == 0);
	FUZZ_CHECK(rtcp.nb_targets <= PLM_RTCP_TARGETS);
	for (unsigned int i = 0; i < rtcp.nb_targets; i++) {
		FUZZ_CHECK(rtcp.targets[i] != 0);
		for (unsigned int k = 0; k < i; k++)
			FUZZ_CHECK(rtcp.targets[i] != rtcp.targets[k]);
	}
	FUZZ_CHECK(rtcp.nb_sources >= 1 && rtcp.nb_sources <= PLM_RTCP_SOURCES);
	FUZZ_CHECK(rtcp.sources[0] == rtcp.sender_ssrc);
	for (unsigned int i = 0; i < rtcp.nb_sources; i++)
		for (unsigned int k = 0; k < i; k++)
			FUZZ_CHECK(rtcp.sources[i] != rtcp.sources[k]);
	if (rtcp.nb_targets >= 1 && rtcp.nb_targets <= 31) {
		uint8_t nb = rtcp.nb_targets;

		ret = plm_rtcp_build_bye(bye, sizeof(bye), rtcp.targets, rtcp.nb_targets);
		FUZZ_CHECK(ret == 12 + 4 * rtcp.nb_targets);
		ssrc = rtcp.targets[0];
		FUZZ_CHECK(plm_rtcp_parse(bye, (size_t)ret, &rtcp) == 0);
		FUZZ_CHECK(rtcp.has_bye && rtcp.nb_targets == 0 && rtcp.sender_ssrc == ssrc);
		FUZZ_CHECK(rtcp.nb_sources == nb); /* those it was built of, once each */
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	if (len > 0 && plm_wire_classify(buf, len) == PLM_PROTO_RTCP)
		FUZZ_CHECK(len >= 2);
	check_rtp(buf, len);
	check_rtcp(buf, len);
	return 0;
}
