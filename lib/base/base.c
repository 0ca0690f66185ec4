/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounded text, names and SipHash: the few functions of plm_base.h that are not inline. */
#include <stdio.h>

#include "plm_base.h"

void
plm_text_init(struct plm_text *text, char *buf, size_t size)
{
	text->buf = buf;
	text->size = size;
	text->len = 0;
	text->cut = false;
	buf[0] = '\0';
}

void
plm_text_vadd(struct plm_text *text, const char *fmt, va_list ap)
{
	size_t left = text->size - text->len;
	int n = vsnprintf(text->buf + text->len, left, fmt, ap);

	if (n < 0)
		return;
	if ((size_t)n >= left) {
		text->cut = true;
		n = (int)left - 1;
	}
	text->len += (size_t)n;
}

void
plm_text_add(struct plm_text *text, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	plm_text_vadd(text, fmt, ap);
	va_end(ap);
}

bool
plm_name_valid(const char *name, size_t len)
{
	if (len == 0 || len >= PLM_NAME_SIZE)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
				    c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

static inline uint64_t
rotl64(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static inline uint64_t
load_le64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

struct sip {
	uint64_t v0, v1, v2, v3;
};

static void
sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotl64(s->v1, 13) ^ s->v0;
	s->v0 = rotl64(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotl64(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotl64(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotl64(s->v1, 17) ^ s->v2;
	s->v2 = rotl64(s->v2, 32);
}

static void
sip_absorb(struct sip *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	sip_round(s);
	s->v0 ^= m;
}

uint64_t
plm_siphash(const uint8_t key[16], const void *buf, size_t len)
{
	uint64_t k0 = load_le64(key);
	uint64_t k1 = load_le64(key + 8);
	struct sip s = {
		k0 ^ UINT64_C(0x736f6d6570736575),
		k1 ^ UINT64_C(0x646f72616e646f6d),
		k0 ^ UINT64_C(0x6c7967656e657261),
		k1 ^ UINT64_C(0x7465646279746573),
	};
	const uint8_t *p = buf;
	uint64_t last = (uint64_t)len << 56;
	size_t left = len;

	for (; left >= 8; left -= 8, p += 8)
		sip_absorb(&s, load_le64(p));
	for (size_t i = 0; i < left; i++)
		last |= (uint64_t)p[i] << (8 * i);
	sip_absorb(&s, last);
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
