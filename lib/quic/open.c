/* SPDX-License-Identifier: BSD-3-Clause */
/* A client's Initial packets: headers, the keys that follow from its first destination id, and the
 * frames inside (RFC 9000 §17.2.2, §19; RFC 9001 §5). */
#include <errno.h>

#include <rte_common.h>

#include "initial_priv.h"

#define LONG_FORM    0x80
#define FIXED_BIT    0x40
#define TYPE_MASK    0x30
#define TYPE_INITIAL 0x00
#define TYPE_RETRY   0x30

#define SAMPLE_LEN 16
#define TAG_LEN    16
/* A client coalesces Initial, 0-RTT and Handshake, and some split an Initial in two. */
#define COALESCED_MAX 4

#define FRAME_PADDING 0x00
#define FRAME_PING    0x01
#define FRAME_ACK     0x02
#define FRAME_ACK_ECN 0x03
#define FRAME_CRYPTO  0x06
#define FRAME_CLOSE   0x1c

enum plm_initial_result
initial_long_header(const uint8_t *buf, size_t len, size_t off, struct plm_initial_hd *hd)
{
	struct plm_cursor c = { buf + off, buf + len };
	struct plm_initial_hd h = { 0 };
	uint64_t n;
	uint8_t first;

	if (plm_cursor_left(&c) < 6)
		return PLM_INITIAL_HEADER;
	first = plm_cursor_u8(&c);
	if (plm_cursor_be32(&c) != PLM_QUIC_V1)
		return PLM_INITIAL_VERSION;
	h.dcid_len = plm_cursor_u8(&c);
	if (h.dcid_len > PLM_QUIC_ID_MAX)
		return PLM_INITIAL_ID;
	if (plm_cursor_left(&c) < h.dcid_len + 1u)
		return PLM_INITIAL_HEADER;
	memcpy(h.dcid, plm_cursor_bytes(&c, h.dcid_len), h.dcid_len);
	h.scid_len = plm_cursor_u8(&c);
	if (h.scid_len > PLM_QUIC_ID_MAX)
		return PLM_INITIAL_ID;
	if (plm_cursor_left(&c) < h.scid_len)
		return PLM_INITIAL_HEADER;
	memcpy(h.scid, plm_cursor_bytes(&c, h.scid_len), h.scid_len);
	if ((first & TYPE_MASK) == TYPE_INITIAL) {
		if (!quic_varint(&c, &n) || plm_cursor_left(&c) < n)
			return PLM_INITIAL_HEADER;
		h.token_len = (uint16_t)n;
		h.token = plm_cursor_bytes(&c, (size_t)n);
	}
	/* Four bytes of packet number at the most, then what the header's mask is made from. */
	if (!quic_varint(&c, &n) || n < 4 + SAMPLE_LEN || plm_cursor_left(&c) < n)
		return PLM_INITIAL_HEADER;
	h.pn_off = (uint16_t)(c.pos - buf);
	h.end = (uint16_t)(h.pn_off + n);
	*hd = h;
	return PLM_INITIAL_READY;
}

enum plm_initial_result
plm_initial_parse(const uint8_t *buf, size_t len, struct plm_initial_hd *hd)
{
	struct plm_initial_hd h;
	enum plm_initial_result ret;

	if (len < 5 || (buf[0] & (LONG_FORM | FIXED_BIT)) != (LONG_FORM | FIXED_BIT))
		return PLM_INITIAL_NOT_INITIAL;
	if (memcmp(buf + 1, "\0\0\0\1", 4) != 0)
		return len < PLM_INITIAL_MIN ? PLM_INITIAL_SMALL : PLM_INITIAL_VERSION;
	if ((buf[0] & TYPE_MASK) != TYPE_INITIAL)
		return PLM_INITIAL_NOT_INITIAL;
	if (len < PLM_INITIAL_MIN)
		return PLM_INITIAL_SMALL;
	if (len > PLM_INITIAL_MAX)
		return PLM_INITIAL_BIG;
	ret = initial_long_header(buf, len, 0, &h);
	if (ret != PLM_INITIAL_READY)
		return ret;
	if (h.dcid_len < PLM_QUIC_FIRST_ID_MIN)
		return PLM_INITIAL_ID;
	*hd = h;
	return PLM_INITIAL_READY;
}

int
initial_opener_init(struct initial_opener *opener)
{
	opener->hmac = plm_hmac_create();
	opener->gcm = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
	opener->ecb = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
	opener->open = EVP_CIPHER_CTX_new();
	opener->mask = EVP_CIPHER_CTX_new();
	if (opener->open == NULL || opener->mask == NULL)
		return -ENOMEM;
	if (opener->hmac == NULL || opener->gcm == NULL || opener->ecb == NULL ||
			EVP_DecryptInit_ex2(opener->open, opener->gcm, NULL, NULL, NULL) != 1 ||
			EVP_EncryptInit_ex2(opener->mask, opener->ecb, NULL, NULL, NULL) != 1)
		return -ENOTSUP;
	return 0;
}

void
initial_opener_fini(struct initial_opener *opener)
{
	EVP_CIPHER_CTX_free(opener->mask);
	EVP_CIPHER_CTX_free(opener->open);
	EVP_CIPHER_free(opener->ecb);
	EVP_CIPHER_free(opener->gcm);
	plm_hmac_free(opener->hmac);
}

/* HKDF-Expand-Label (RFC 8446 §7.1) of at most one hash's length: one HMAC. */
static int
expand(struct initial_opener *opener, const uint8_t secret[PLM_SHA256_SIZE], const char *label,
		uint8_t *out, size_t len)
{
	uint8_t info[32] = { 0, (uint8_t)len };
	uint8_t block[PLM_SHA256_SIZE];
	size_t n = strlen(label);

	/* length, "tls13 " and label with their length before them, no context, block 1 */
	info[2] = (uint8_t)(6 + n);
	memcpy(info + 3, "tls13 ", 6);
	memcpy(info + 9, label, n);
	info[9 + n] = 0;
	info[10 + n] = 1;
	if (plm_hmac_sha256(opener->hmac, secret, PLM_SHA256_SIZE, info, 11 + n, block) < 0)
		return -EIO;
	memcpy(out, block, len);
	return 0;
}

int
initial_keys_derive(struct initial_opener *opener, const uint8_t *dcid, size_t dcid_len,
		struct initial_keys *keys)
{
	/* RFC 9001 §5.2 */
	static const uint8_t salt[20] = { 0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d,
		0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a };
	uint8_t initial[PLM_SHA256_SIZE];
	uint8_t client[PLM_SHA256_SIZE];

	if (plm_hmac_sha256(opener->hmac, salt, sizeof(salt), dcid, dcid_len, initial) < 0 ||
			expand(opener, initial, "client in", client, sizeof(client)) < 0 ||
			expand(opener, client, "quic key", keys->key, sizeof(keys->key)) < 0 ||
			expand(opener, client, "quic iv", keys->iv, sizeof(keys->iv)) < 0 ||
			expand(opener, client, "quic hp", keys->hp, sizeof(keys->hp)) < 0)
		return -EIO;
	return 0;
}

/* --- frames ------------------------------------------------------------------------------------ */

static bool
skip_ack(struct plm_cursor *c, bool has_ecn)
{
	uint64_t nb_ranges, v;

	if (!quic_varint(c, &v) || !quic_varint(c, &v) || !quic_varint(c, &nb_ranges) ||
			!quic_varint(c, &v))
		return false;
	/* Gap and length of each range, as far as there are bytes; their sense is the connection's
	 * business. */
	for (uint64_t i = 0; i < 2 * nb_ranges + (has_ecn ? 3 : 0); i++) {
		if (!quic_varint(c, &v))
			return false;
	}
	return true;
}

static bool
skip_close(struct plm_cursor *c)
{
	uint64_t v;

	if (!quic_varint(c, &v) || !quic_varint(c, &v) || !quic_varint(c, &v) ||
			plm_cursor_left(c) < v)
		return false;
	plm_cursor_bytes(c, (size_t)v);
	return true;
}

/* What came first stays, as it does in the connection that will be fed with the same packets. */
static void
crypto_add(struct initial_crypto *crypto, uint32_t offset, const uint8_t *p, uint32_t len,
		struct initial_got *got)
{
	uint8_t *have = crypto->have + offset;
	uint8_t *buf = crypto->buf + offset;

	if (!got->has_crypto || offset < got->offset)
		got->offset = offset;
	got->has_crypto = true;
	if (memchr(have, 0, len) == NULL)
		return;
	got->has_new = true;
	for (uint32_t i = 0; i < len; i++)
		buf[i] = have[i] ? buf[i] : p[i];
	memset(have, 1, len);
	crypto->end = RTE_MAX(crypto->end, offset + len);
}

static enum plm_initial_result
read_frames(const uint8_t *buf, size_t len, struct initial_crypto *crypto, struct initial_got *got)
{
	struct plm_cursor c = plm_cursor(buf, len);
	uint64_t offset, n;

	if (len == 0)
		return PLM_INITIAL_FRAMES; /* RFC 9000 §12.4 */
	while (plm_cursor_left(&c) > 0) {
		/* A type is written in its shortest form, which for these is one byte. */
		uint8_t type = plm_cursor_u8(&c);

		switch (type) {
		case FRAME_PADDING:
		case FRAME_PING:
			break;
		case FRAME_ACK:
		case FRAME_ACK_ECN:
			if (!skip_ack(&c, type == FRAME_ACK_ECN))
				return PLM_INITIAL_FRAMES;
			break;
		case FRAME_CRYPTO:
			if (!quic_varint(&c, &offset) || !quic_varint(&c, &n) ||
					plm_cursor_left(&c) < n)
				return PLM_INITIAL_FRAMES;
			if (offset > PLM_INITIAL_HELLO_MAX || offset + n > PLM_INITIAL_HELLO_MAX)
				return PLM_INITIAL_HELLO_BIG;
			if (n > 0)
				crypto_add(crypto, (uint32_t)offset, c.pos, (uint32_t)n, got);
			plm_cursor_bytes(&c, (size_t)n);
			break;
		case FRAME_CLOSE:
			if (!skip_close(&c))
				return PLM_INITIAL_FRAMES;
			got->is_closed = true;
			break;
		default:
			return PLM_INITIAL_FRAMES;
		}
	}
	return PLM_INITIAL_READY;
}

/* --- opening ----------------------------------------------------------------------------------- */

/* Open one packet into opener->plain. PLM_INITIAL_READY, FORGED, FRAMES (reserved bits), INTERNAL. */
static enum plm_initial_result
open_packet(struct initial_opener *opener, const struct initial_keys *keys, const uint8_t *buf,
		size_t off, const struct plm_initial_hd *hd, size_t *plain_len)
{
	uint8_t hdr[PLM_INITIAL_MAX];
	size_t hdr_len = hd->pn_off - off;
	uint8_t mask[SAMPLE_LEN];
	uint8_t nonce[12];
	size_t pn_len, len;
	int n;

	if (EVP_EncryptInit_ex2(opener->mask, NULL, keys->hp, NULL, NULL) != 1 ||
			EVP_CIPHER_CTX_set_padding(opener->mask, 0) != 1 ||
			EVP_EncryptUpdate(opener->mask, mask, &n, buf + hd->pn_off + 4,
					SAMPLE_LEN) != 1 ||
			n != SAMPLE_LEN)
		return PLM_INITIAL_INTERNAL;
	memcpy(hdr, buf + off, hdr_len + 4);
	hdr[0] ^= mask[0] & 0x0f;
	pn_len = (hdr[0] & 3) + 1u;
	memcpy(nonce, keys->iv, sizeof(nonce));
	/* The first packets a server sees: their numbers are what is written (RFC 9000 §A.3). */
	for (size_t i = 0; i < pn_len; i++) {
		hdr[hdr_len + i] ^= mask[1 + i];
		nonce[sizeof(nonce) - pn_len + i] ^= hdr[hdr_len + i];
	}
	hdr_len += pn_len;
	len = hd->end - hd->pn_off - pn_len - TAG_LEN;
	if (EVP_DecryptInit_ex2(opener->open, NULL, keys->key, nonce, NULL) != 1 ||
			EVP_CIPHER_CTX_ctrl(opener->open, EVP_CTRL_AEAD_SET_TAG, TAG_LEN,
					(void *)(uintptr_t)(buf + hd->end - TAG_LEN)) != 1 ||
			EVP_DecryptUpdate(opener->open, NULL, &n, hdr, (int)hdr_len) != 1 ||
			EVP_DecryptUpdate(opener->open, opener->plain, &n,
					buf + hd->pn_off + pn_len, (int)len) != 1)
		return PLM_INITIAL_INTERNAL;
	if (EVP_DecryptFinal_ex(opener->open, opener->plain + len, &n) != 1)
		return PLM_INITIAL_FORGED;
	if (hdr[0] & 0x0c)
		return PLM_INITIAL_FRAMES; /* reserved bits, RFC 9000 §17.2 */
	*plain_len = len;
	return PLM_INITIAL_READY;
}

enum plm_initial_result
initial_open(struct initial_opener *opener, const struct initial_keys *keys,
		const struct plm_initial_dgram *dgram, const struct plm_initial_hd *hd,
		struct initial_crypto *crypto, struct initial_got *got)
{
	struct plm_initial_hd h = *hd;
	enum plm_initial_result ret;
	size_t off = 0;
	size_t len = 0;

	*got = (struct initial_got){ 0 };
	for (unsigned int nb = 0; nb < COALESCED_MAX; nb++) {
		if ((dgram->buf[off] & TYPE_MASK) == TYPE_INITIAL) {
			ret = open_packet(opener, keys, dgram->buf, off, &h, &len);
			if (ret == PLM_INITIAL_READY)
				ret = read_frames(opener->plain, len, crypto, got);
			/* Only what stands first must open: the rest may be anybody's. */
			if (ret != PLM_INITIAL_READY && (ret != PLM_INITIAL_FORGED || off == 0))
				return ret;
		}
		off = h.end;
		if (off >= dgram->len ||
				(dgram->buf[off] & (LONG_FORM | FIXED_BIT)) !=
						(LONG_FORM | FIXED_BIT) ||
				(dgram->buf[off] & TYPE_MASK) == TYPE_RETRY ||
				initial_long_header(dgram->buf, dgram->len, off, &h) !=
						PLM_INITIAL_READY ||
				h.dcid_len != hd->dcid_len ||
				memcmp(h.dcid, hd->dcid, hd->dcid_len) != 0)
			break;
	}
	return PLM_INITIAL_READY;
}
