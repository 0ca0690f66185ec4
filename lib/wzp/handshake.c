/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Offer and answer (§3.3). Each side signs a fresh X25519 key with its identity. The session key that
 * both could derive is never used on the wire, so the ephemeral secret is erased at once.
 */
#include <errno.h>

#include <rte_common.h>

#include <openssl/evp.h>

#include "plm_crypto.h"
#include "wzp_priv.h"

#define OFFER_LABEL  "call-offer"
#define ANSWER_LABEL "call-answer"

/* What is signed: the ephemeral key and a label. Its length. */
static size_t
signed_bytes(const uint8_t ephemeral_pub[PLM_WZP_KEY], const char *label,
		uint8_t out[PLM_WZP_KEY + 16])
{
	size_t len = strlen(label);

	memcpy(out, ephemeral_pub, PLM_WZP_KEY);
	memcpy(out + PLM_WZP_KEY, label, len);
	return PLM_WZP_KEY + len;
}

static int
ephemeral_make(const struct plm_rand *rand, uint8_t pub[PLM_WZP_KEY])
{
	uint8_t secret[PLM_WZP_KEY];
	size_t len = PLM_WZP_KEY;
	EVP_PKEY *key;
	int ret = -EIO;

	plm_rand_fill(rand, secret, sizeof(secret));
	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, sizeof(secret));
	if (key != NULL && EVP_PKEY_get_raw_public_key(key, pub, &len) == 1 && len == PLM_WZP_KEY)
		ret = 0;
	EVP_PKEY_free(key); /* erases its copy */
	plm_crypto_erase(secret, sizeof(secret));
	return ret;
}

static int
sign(const struct plm_wzp_identity *id, const uint8_t ephemeral_pub[PLM_WZP_KEY], const char *label,
		struct plm_wzp_signature *signature)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, id->secret,
			sizeof(id->secret));
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t msg[PLM_WZP_KEY + 16];
	size_t msg_len = signed_bytes(ephemeral_pub, label, msg);
	size_t len = sizeof(signature->bytes);
	int ret = -EIO;

	if (key != NULL && ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
			EVP_DigestSign(ctx, signature->bytes, &len, msg, msg_len) == 1 &&
			len == sizeof(signature->bytes)) {
		signature->len = PLM_WZP_SIGNATURE;
		ret = 0;
	}
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return ret;
}

/*
 * Keys of low order: anybody can sign for them, so they name nobody. These are all encodings of a y
 * that such points have, those above the field's prime included; the top bit is the sign of x.
 */
static bool
is_low_order(const uint8_t pub[PLM_WZP_KEY])
{
	static const uint8_t low[][PLM_WZP_KEY] = {
		{ 0 },
		{ 1 },
		{ 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2,
				0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39,
				0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
		{ 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d,
				0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6,
				0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
		{ 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
				0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
				0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
		{ 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
				0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
				0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
		{ 0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
				0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
				0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
	};

	for (unsigned int i = 0; i < RTE_DIM(low); i++) {
		if (memcmp(pub, low[i], PLM_WZP_KEY - 1) == 0 &&
				(pub[PLM_WZP_KEY - 1] & 0x7f) == low[i][PLM_WZP_KEY - 1])
			return true;
	}
	return false;
}

static int
verify(const uint8_t pub[PLM_WZP_KEY], const uint8_t ephemeral_pub[PLM_WZP_KEY], const char *label,
		const struct plm_wzp_signature *signature)
{
	uint8_t msg[PLM_WZP_KEY + 16];
	size_t msg_len = signed_bytes(ephemeral_pub, label, msg);
	EVP_MD_CTX *ctx = NULL;
	EVP_PKEY *key = NULL;
	int ret = -EKEYREJECTED;

	if (signature->len != PLM_WZP_SIGNATURE || is_low_order(pub))
		return ret;
	key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub, PLM_WZP_KEY);
	ctx = EVP_MD_CTX_new();
	if (key != NULL && ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
			EVP_DigestVerify(ctx, signature->bytes, PLM_WZP_SIGNATURE, msg, msg_len) ==
					1)
		ret = 0;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return ret;
}

int
plm_wzp_offer_make(const struct plm_wzp_identity *id, const struct plm_rand *rand,
		const char *alias, struct plm_wzp_signal *offer)
{
	struct plm_wzp_signal new = { .type = PLM_WZP_CALL_OFFER };
	struct plm_wzp_call_offer *body = &new.call_offer;

	if (alias != NULL) {
		size_t len = strlen(alias);

		if (len > PLM_WZP_TEXT_MAX || !wzp_utf8_valid(alias))
			return -EINVAL;
		memcpy(body->alias.text, alias, len);
		body->alias.is_set = true;
	}
	memcpy(body->identity_pub, id->pub, PLM_WZP_KEY);
	if (ephemeral_make(rand, body->ephemeral_pub) < 0 ||
			sign(id, body->ephemeral_pub, OFFER_LABEL, &body->signature) < 0)
		return -EIO;
	body->profiles.nb = PLM_WZP_PRESETS;
	memcpy(body->profiles.list, plm_wzp_profiles, sizeof(plm_wzp_profiles));
	*offer = new;
	return 0;
}

int
plm_wzp_offer_verify(const struct plm_wzp_signal *offer)
{
	const struct plm_wzp_call_offer *body = &offer->call_offer;

	return verify(body->identity_pub, body->ephemeral_pub, OFFER_LABEL, &body->signature);
}

int
plm_wzp_answer_make(const struct plm_wzp_identity *relay, const struct plm_rand *rand,
		struct plm_wzp_signal *answer)
{
	struct plm_wzp_signal new = { .type = PLM_WZP_CALL_ANSWER };
	struct plm_wzp_call_answer *body = &new.call_answer;

	memcpy(body->identity_pub, relay->pub, PLM_WZP_KEY);
	if (ephemeral_make(rand, body->ephemeral_pub) < 0 ||
			sign(relay, body->ephemeral_pub, ANSWER_LABEL, &body->signature) < 0)
		return -EIO;
	body->profile = plm_wzp_profiles[PLM_WZP_GOOD];
	*answer = new;
	return 0;
}

int
plm_wzp_answer_verify(const struct plm_wzp_signal *answer)
{
	const struct plm_wzp_call_answer *body = &answer->call_answer;

	return verify(body->identity_pub, body->ephemeral_pub, ANSWER_LABEL, &body->signature);
}
