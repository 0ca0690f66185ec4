/* SPDX-License-Identifier: BSD-3-Clause */
/* The values of options: numbers, times, addresses, and the small languages of two of them. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdlib.h>
#include <strings.h>

#include <rte_common.h>

#include "client.h"

int
options_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	unsigned long long v;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 0);
	if (errno != 0 || *end != '\0' || v < min || v > max)
		return -EINVAL;
	*value = v;
	return 0;
}

int
options_seconds(const char *text, uint64_t *ns)
{
	char *end;
	double v;

	if ((text[0] < '0' || text[0] > '9') && text[0] != '.')
		return -EINVAL;
	v = strtod(text, &end);
	if (end == text || *end != '\0' || !(v >= 0 && v <= 366 * 86400.0))
		return -EINVAL;
	*ns = (uint64_t)(v * (double)PLM_NS_PER_S);
	return 0;
}

int
options_pin(const char *text, uint8_t pin[QUIC_PIN_SIZE])
{
	uint8_t bytes[QUIC_PIN_SIZE];

	for (size_t i = 0; i < sizeof(bytes); i++) {
		const char hex[] = { text[0], text[0] != '\0' ? text[1] : '\0', '\0' };

		if (!isxdigit((unsigned char)hex[0]) || !isxdigit((unsigned char)hex[1]))
			return -EINVAL;
		bytes[i] = (uint8_t)strtoul(hex, NULL, 16);
		text += 2;
		if (*text == ':' && i + 1 < sizeof(bytes))
			text++;
	}
	if (*text != '\0')
		return -EINVAL;
	memcpy(pin, bytes, sizeof(bytes));
	return 0;
}

int
options_codec(const char *text, uint8_t *codec)
{
	for (uint8_t i = 0; i < PLM_WZP_CODECS; i++)
		if (strcasecmp(text, plm_wzp_codec_name(i)) == 0) {
			*codec = i;
			return 0;
		}
	return -EINVAL;
}

int
options_quality(const char *text, struct wzp_quality *quality)
{
	double loss, rtt, jitter;
	char end;

	if (sscanf(text, "%lf,%lf,%lf%c", &loss, &rtt, &jitter, &end) != 3 ||
			!(loss >= 0 && loss <= 100) || !(rtt >= 0 && rtt < 60000) ||
			!(jitter >= 0 && jitter < 60000))
		return -EINVAL;
	/* As its clients do: cut, not rounded, and what is beyond is at the end of the scale. */
	*quality = (struct wzp_quality){
		.loss = (uint8_t)(loss / 100 * UINT8_MAX),
		.rtt_4ms = (uint8_t)RTE_MIN(rtt / 4, (double)UINT8_MAX),
		.jitter_ms = (uint8_t)RTE_MIN(jitter, (double)UINT8_MAX),
	};
	return 0;
}

int
options_token(const char *path, char token[PLM_WZP_TOKEN_MAX + 1], struct plm_text *why)
{
	FILE *file = fopen(path, "re");
	char buf[PLM_WZP_TOKEN_MAX + 3];
	size_t len;

	if (file == NULL) {
		plm_text_add(why, "%s", strerror(errno));
		return -EINVAL;
	}
	len = fread(buf, 1, sizeof(buf) - 1, file);
	if (ferror(file))
		plm_text_add(why, "cannot be read");
	fclose(file);
	while (len != 0 && (buf[len - 1] == '\n' || buf[len - 1] == '\r'))
		len--;
	buf[len] = '\0';
	if (why->len == 0 && (len == 0 || len > PLM_WZP_TOKEN_MAX || strlen(buf) != len))
		plm_text_add(why, "not a token of 1 to %d characters", PLM_WZP_TOKEN_MAX);
	if (why->len != 0)
		return -EINVAL;
	memcpy(token, buf, len + 1);
	return 0;
}

int
options_addr(const char *text, uint16_t port, struct client_addr *addr, struct plm_text *why)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_DGRAM,
		.ai_flags = AI_NUMERICSERV };
	struct addrinfo *found;
	uint64_t v = port;
	char host[256];
	char service[8];
	const char *tail;
	size_t len;
	int ret;

	if (text[0] == '[') {
		tail = strchr(++text, ']');
		if (tail == NULL) {
			plm_text_add(why, "missing ']'");
			return -EINVAL;
		}
		len = (size_t)(tail++ - text);
	} else {
		tail = strrchr(text, ':');
		/* More than one colon without brackets is a bare IPv6 address. */
		if (tail == NULL || strchr(text, ':') != tail)
			tail = text + strlen(text);
		len = (size_t)(tail - text);
	}
	if ((tail[0] != '\0' && tail[0] != ':') ||
			(tail[0] == ':' && options_u64(tail + 1, 1, UINT16_MAX, &v) < 0)) {
		plm_text_add(why, "port is not 1 to 65535");
		return -EINVAL;
	}
	if (len == 0 || len >= sizeof(host)) {
		plm_text_add(why, "no address");
		return -EINVAL;
	}
	memcpy(host, text, len);
	host[len] = '\0';
	snprintf(service, sizeof(service), "%u", (unsigned int)v);
	ret = getaddrinfo(host, service, &hints, &found);
	if (ret != 0) {
		plm_text_add(why, "%s: %s", host, gai_strerror(ret));
		return -EINVAL;
	}
	memset(addr, 0, sizeof(*addr));
	memcpy(&addr->sa, found->ai_addr, found->ai_addrlen);
	addr->len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

int
options_generate(const char *text, struct gen_conf *gen, struct plm_text *why)
{
	enum key { PPS, SIZE, COUNT, SECONDS, SSRC, PT, CLOCK };
	static const char *const tokens[] = { "pps", "size", "count", "seconds", "ssrc", "pt",
		"clock", NULL };
	static const struct {
		uint64_t min;
		uint64_t max;
	} ranges[] = {
		[PPS] = { 1, GEN_PPS_MAX },
		[SIZE] = { GEN_SIZE_MIN, GEN_SIZE_MAX },
		[COUNT] = { 1, UINT64_C(1) << 40 },
		[SECONDS] = { 0, 0 },
		[SSRC] = { 1, UINT32_MAX },
		[PT] = { 0, 127 },
		[CLOCK] = { 1, 1000000000 },
	};
	struct gen_conf g = { .pps = 50, .size = 200, .payload_type = 96, .clock_hz = 90000 };
	char copy[256];
	char *rest = copy;
	char *value;
	uint64_t seconds_ns = 0;
	uint64_t v = 0;

	if (strlen(text) >= sizeof(copy)) {
		plm_text_add(why, "too long");
		return -EINVAL;
	}
	snprintf(copy, sizeof(copy), "%s", text);
	while (*rest != '\0') {
		int key = getsubopt(&rest, (char *const *)(uintptr_t)tokens, &value);
		int ret;

		if (key < 0 || value == NULL) {
			plm_text_add(why,
					"'%s' is not key=value with a key of pps, size, count, "
					"seconds, ssrc, pt, clock",
					value != NULL ? value : "");
			return -EINVAL;
		}
		ret = key == SECONDS ? options_seconds(value, &seconds_ns)
				     : options_u64(value, ranges[key].min, ranges[key].max, &v);
		if (ret < 0) {
			if (key == SECONDS)
				plm_text_add(why, "seconds=%s is not a time", value);
			else
				plm_text_add(why, "%s=%s is not %" PRIu64 " to %" PRIu64,
						tokens[key], value, ranges[key].min,
						ranges[key].max);
			return -EINVAL;
		}
		switch ((enum key)key) {
		case PPS:
			g.pps = (uint32_t)v;
			break;
		case SIZE:
			g.size = (uint16_t)v;
			break;
		case COUNT:
			g.count = v;
			break;
		case SECONDS:
			break;
		case SSRC:
			g.ssrc = (uint32_t)v;
			g.has_ssrc = true;
			break;
		case PT:
			g.payload_type = (uint8_t)v;
			break;
		case CLOCK:
			g.clock_hz = (uint32_t)v;
			break;
		}
	}
	/* 64 to 95 with the marker bit would read as RTCP (RFC 5761 §4). */
	if (g.payload_type >= 64 && g.payload_type <= 95) {
		plm_text_add(why, "pt=%u reads as RTCP (RFC 5761)", g.payload_type);
		return -EINVAL;
	}
	if (seconds_ns != 0) {
		if (g.count != 0) {
			plm_text_add(why, "count and seconds exclude each other");
			return -EINVAL;
		}
		g.count = (uint64_t)((double)seconds_ns / (double)PLM_NS_PER_S * g.pps + 0.5);
		if (g.count == 0)
			g.count = 1;
	}
	*gen = g;
	return 0;
}

int
options_sink(const char *text, struct sink_conf *sink, struct plm_text *why)
{
	struct sink_conf s = { .payload_type = -1, .order = -1 };
	bool is_pt = strncmp(text, "pt=", 3) == 0;

	if (is_pt || strncmp(text, "n=", 2) == 0) {
		const char *colon = strchr(text, ':');
		const char *start = strchr(text, '=') + 1;
		char number[8];
		uint64_t v;

		if (colon == NULL || colon - start >= (ptrdiff_t)sizeof(number)) {
			plm_text_add(why, "not pt=PT:HOST:PORT or n=ORDER:HOST:PORT");
			return -EINVAL;
		}
		memcpy(number, start, (size_t)(colon - start));
		number[colon - start] = '\0';
		if (options_u64(number, 0, is_pt ? 127 : RX_STREAMS_MAX - 1, &v) < 0) {
			plm_text_add(why, "'%s' is no %s", number,
					is_pt ? "payload type" : "order of appearance");
			return -EINVAL;
		}
		*(is_pt ? &s.payload_type : &s.order) = (int)v;
		text = colon + 1;
	}
	if (options_addr(text, 0, &s.to, why) < 0)
		return -EINVAL;
	if (((const struct sockaddr_in *)&s.to.sa)->sin_port == 0) {
		plm_text_add(why, "no port");
		return -EINVAL;
	}
	*sink = s;
	return 0;
}
