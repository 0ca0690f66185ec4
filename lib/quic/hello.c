/* SPDX-License-Identifier: BSD-3-Clause */
/* What a ClientHello says of the room: server name, ALPN, TLS 1.3 or not (RFC 8446 §4.1.2). The rest
 * of it is the TLS library's business. */
#include <arpa/inet.h>

#include "initial_priv.h"

#define TYPE_CLIENT_HELLO 1
#define HANDSHAKE_HDR     4

#define EXT_SERVER_NAME        0
#define EXT_ALPN               16
#define EXT_SUPPORTED_VERSIONS 43

#define NAME_TYPE_HOST 0
#define TLS_1_3        0x0304

/* What `len_size` bytes of length announce, as a cursor of its own. */
static bool
take_vector(struct plm_cursor *c, unsigned int len_size, struct plm_cursor *v)
{
	size_t len;

	if (plm_cursor_left(c) < len_size)
		return false;
	len = len_size == 1 ? plm_cursor_u8(c) : plm_cursor_be16(c);
	if (plm_cursor_left(c) < len)
		return false;
	*v = plm_cursor(plm_cursor_bytes(c, len), len);
	return true;
}

/* An address in text, as some clients put one there in spite of RFC 6066 §3. */
static bool
is_ip(const char *name, size_t len)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t addr[16];

	if (len >= 2 && name[0] == '[' && name[len - 1] == ']') {
		name++;
		len -= 2;
	}
	if (len >= sizeof(text))
		return false;
	memcpy(text, name, len);
	text[len] = '\0';
	return inet_pton(AF_INET, text, addr) == 1 || inet_pton(AF_INET6, text, addr) == 1;
}

/* Underscores, digits, anything that prints: a name is a room's here before it is a host's. */
static enum plm_initial_result
read_name(struct plm_cursor ext, struct plm_initial_flight *flight)
{
	struct plm_cursor list, name;
	bool found = false;

	if (!take_vector(&ext, 2, &list) || plm_cursor_left(&ext) > 0 ||
			plm_cursor_left(&list) == 0)
		return PLM_INITIAL_HELLO;
	while (plm_cursor_left(&list) > 0) {
		uint8_t type = plm_cursor_u8(&list);
		size_t len;

		if (!take_vector(&list, 2, &name))
			return PLM_INITIAL_HELLO;
		if (type != NAME_TYPE_HOST)
			continue;
		len = plm_cursor_left(&name);
		if (found || len == 0)
			return PLM_INITIAL_HELLO;
		found = true;
		if (len >= PLM_INITIAL_NAME_SIZE)
			return PLM_INITIAL_NAME;
		for (size_t i = 0; i < len; i++) {
			if (name.pos[i] <= ' ' || name.pos[i] > '~')
				return PLM_INITIAL_NAME;
		}
		if (is_ip((const char *)name.pos, len))
			continue;
		memcpy(flight->name, name.pos, len);
		flight->name[len] = '\0';
		flight->name_len = (uint8_t)len;
	}
	return PLM_INITIAL_READY;
}

static enum plm_initial_result
read_alpn(struct plm_cursor ext, struct plm_initial_flight *flight)
{
	struct plm_cursor list, name;

	if (!take_vector(&ext, 2, &list) || plm_cursor_left(&ext) > 0 ||
			plm_cursor_left(&list) == 0)
		return PLM_INITIAL_HELLO;
	while (plm_cursor_left(&list) > 0) {
		if (!take_vector(&list, 1, &name) || plm_cursor_left(&name) == 0)
			return PLM_INITIAL_HELLO;
		if (plm_cursor_left(&name) == 3 && memcmp(name.pos, "wzp", 3) == 0)
			flight->has_wzp = true;
	}
	return PLM_INITIAL_READY;
}

static enum plm_initial_result
read_versions(struct plm_cursor ext, struct plm_initial_flight *flight)
{
	struct plm_cursor list;

	if (!take_vector(&ext, 1, &list) || plm_cursor_left(&ext) > 0 ||
			plm_cursor_left(&list) == 0 || plm_cursor_left(&list) % 2 != 0)
		return PLM_INITIAL_HELLO;
	while (plm_cursor_left(&list) > 0) {
		if (plm_cursor_be16(&list) == TLS_1_3)
			flight->has_tls13 = true;
	}
	return PLM_INITIAL_READY;
}

/* The body, whole. */
static enum plm_initial_result
read_hello(struct plm_cursor c, struct plm_initial_flight *flight)
{
	struct plm_cursor v, exts;
	uint64_t seen = 0;

	if (plm_cursor_left(&c) < 2 + 32)
		return PLM_INITIAL_HELLO;
	plm_cursor_bytes(&c, 2 + 32); /* legacy version, random */
	if (!take_vector(&c, 1, &v) || plm_cursor_left(&v) > 32)
		return PLM_INITIAL_HELLO; /* session id */
	if (!take_vector(&c, 2, &v) || plm_cursor_left(&v) == 0 || plm_cursor_left(&v) % 2 != 0)
		return PLM_INITIAL_HELLO; /* cipher suites */
	if (!take_vector(&c, 1, &v) || plm_cursor_left(&v) == 0)
		return PLM_INITIAL_HELLO; /* compression */
	if (!take_vector(&c, 2, &exts) || plm_cursor_left(&c) > 0)
		return PLM_INITIAL_HELLO;
	while (plm_cursor_left(&exts) > 0) {
		enum plm_initial_result ret = PLM_INITIAL_READY;
		uint16_t type;

		if (plm_cursor_left(&exts) < 2)
			return PLM_INITIAL_HELLO;
		type = plm_cursor_be16(&exts);
		if (!take_vector(&exts, 2, &v))
			return PLM_INITIAL_HELLO;
		if (type < 64) {
			if (seen >> type & 1)
				return PLM_INITIAL_HELLO; /* each at most once, RFC 8446 §4.2 */
			seen |= UINT64_C(1) << type;
		}
		if (type == EXT_SERVER_NAME)
			ret = read_name(v, flight);
		else if (type == EXT_ALPN)
			ret = read_alpn(v, flight);
		else if (type == EXT_SUPPORTED_VERSIONS)
			ret = read_versions(v, flight);
		if (ret != PLM_INITIAL_READY)
			return ret;
	}
	return PLM_INITIAL_READY;
}

enum plm_initial_result
initial_hello(const struct initial_crypto *crypto, struct plm_initial_flight *flight)
{
	const uint8_t *gap = memchr(crypto->have, 0, sizeof(crypto->have));
	size_t came = gap != NULL ? (size_t)(gap - crypto->have) : sizeof(crypto->have);
	struct plm_initial_flight read = { .has_hello = true };
	enum plm_initial_result ret;
	size_t len;

	if (came >= 1 && crypto->buf[0] != TYPE_CLIENT_HELLO)
		return PLM_INITIAL_HELLO;
	if (came < HANDSHAKE_HDR)
		return PLM_INITIAL_WAIT;
	len = HANDSHAKE_HDR +
			((size_t)crypto->buf[1] << 16 | (size_t)crypto->buf[2] << 8 |
					crypto->buf[3]);
	if (len > PLM_INITIAL_HELLO_MAX)
		return PLM_INITIAL_HELLO_BIG;
	if (crypto->end > len)
		return PLM_INITIAL_HELLO; /* a client says nothing more before it is answered */
	if (came < len)
		return PLM_INITIAL_WAIT;
	ret = read_hello(plm_cursor(crypto->buf + HANDSHAKE_HDR, len - HANDSHAKE_HDR), &read);
	if (ret != PLM_INITIAL_READY)
		return ret;
	flight->has_hello = true;
	flight->has_tls13 = read.has_tls13;
	flight->has_wzp = read.has_wzp;
	flight->name_len = read.name_len;
	memcpy(flight->name, read.name, sizeof(flight->name));
	return PLM_INITIAL_READY;
}
