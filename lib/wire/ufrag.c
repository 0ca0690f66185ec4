/* SPDX-License-Identifier: BSD-3-Clause */
/* The user name of a credential: base64("1:expiry:room:participant:role"). Read by the slow path
 * that verifies it, and by the workers' filter of unknown sources, which must not wait for
 * OpenSSL: hence a decoder of its own. */
#include <errno.h>

#include "plm_wire.h"

/* 0 to 63, or -1 outside the standard alphabet. */
static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Decode without padding; `out` takes len * 3 / 4 bytes. Length or -EINVAL. */
static int
base64_decode(const char *in, size_t len, char *out)
{
	uint32_t acc = 0;
	unsigned int bits = 0;
	int n = 0;

	if (len % 4 == 1)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int v = base64_value(in[i]);

		if (v < 0)
			return -EINVAL;
		acc = acc << 6 | (uint32_t)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (char)(acc >> bits);
			acc &= (1u << bits) - 1;
		}
	}
	/* One name has one spelling: the bits beyond the last byte are 0. */
	return acc == 0 ? n : -EINVAL;
}

/* Cut the next field off; NULL when no colon ends it. */
static const char *
field(const char **pos, const char *end, size_t *len)
{
	const char *start = *pos;
	const char *colon = memchr(start, ':', (size_t)(end - start));

	if (colon == NULL)
		return NULL;
	*len = (size_t)(colon - start);
	*pos = colon + 1;
	return start;
}

static int
name_field(const char **pos, const char *end, char name[PLM_NAME_SIZE])
{
	size_t len;
	const char *f = field(pos, end, &len);

	if (f == NULL || !plm_name_valid(f, len))
		return -EINVAL;
	memcpy(name, f, len);
	name[len] = '\0';
	return 0;
}

int
plm_ufrag_parse(const char *ufrag, size_t len, struct plm_ufrag *out)
{
	char text[PLM_UFRAG_MAX * 3 / 4 + 1];
	struct plm_ufrag u = { 0 };
	const char *pos = text;
	const char *end;
	const char *f;
	size_t n;
	int ret;

	if (len > PLM_UFRAG_MAX)
		return -EINVAL;
	ret = base64_decode(ufrag, len, text);
	if (ret < 0)
		return ret;
	end = text + ret;

	f = field(&pos, end, &n);
	if (f == NULL || n != 1 || *f != '1')
		return -EINVAL;
	f = field(&pos, end, &n);
	if (f == NULL || n == 0 || n > 18) /* 18 digits cannot overflow */
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (f[i] < '0' || f[i] > '9')
			return -EINVAL;
		u.expiry_s = u.expiry_s * 10 + (uint64_t)(f[i] - '0');
	}
	if (name_field(&pos, end, u.room) < 0 || name_field(&pos, end, u.participant) < 0)
		return -EINVAL;
	/* Which letters are roles is admission's to say: it answers, where a filter is silent. */
	if (end - pos != 1 || *pos < 'a' || *pos > 'z')
		return -EINVAL;
	u.role = *pos;
	*out = u;
	return 0;
}
