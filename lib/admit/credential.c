/* SPDX-License-Identifier: BSD-3-Clause */
/* Credentials: an ICE ufrag that says who may do what until when, and the password that proves
 * that a holder of the secret said so. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <rte_errno.h>

#include "admit_priv.h"

uint8_t
admit_role(char letter)
{
	switch (letter) {
	case 'p':
		return PLM_ROLE_PUBLISH;
	case 's':
		return PLM_ROLE_SUBSCRIBE;
	case 'b':
		return PLM_ROLE_BOTH;
	default:
		return 0;
	}
}

int
plm_credential_parse(const char *ufrag, size_t len, struct plm_credential *cred)
{
	struct plm_ufrag u;
	uint8_t role;
	int ret;

	ret = plm_ufrag_parse(ufrag, len, &u);
	if (ret < 0)
		return ret;
	role = admit_role(u.role);
	if (role == 0)
		return -EINVAL;
	cred->expiry_s = u.expiry_s;
	cred->role = (enum plm_role)role;
	memcpy(cred->room, u.room, sizeof(cred->room));
	memcpy(cred->participant, u.participant, sizeof(cred->participant));
	return 0;
}

/* pwd = base64(HMAC-SHA256(key, ufrag)) */
int
admit_password(struct plm_hmac *hmac, const void *key, size_t key_len, const char *ufrag,
		size_t len, char pwd[PLM_PWD_LEN + 1])
{
	uint8_t mac[PLM_SHA256_SIZE];
	int ret;

	ret = plm_hmac_sha256(hmac, key, key_len, ufrag, len, mac);
	if (ret == 0 && plm_base64_encode(mac, sizeof(mac), pwd, PLM_PWD_LEN + 1) != PLM_PWD_LEN)
		ret = -EIO;
	plm_crypto_erase(mac, sizeof(mac));
	return ret;
}

int
plm_credential_mint(const struct plm_credential *cred, const void *key, size_t key_len,
		char ufrag[PLM_UFRAG_MAX + 1], char pwd[PLM_PWD_LEN + 1])
{
	static const char letters[] = { 0, 'p', 's', 'b' };
	char text[2 * PLM_NAME_SIZE + 32];
	char name[PLM_UFRAG_MAX + 1];
	struct plm_hmac *hmac;
	int len;
	int ret;

	if (cred->role < PLM_ROLE_PUBLISH || cred->role > PLM_ROLE_BOTH ||
			!plm_name_valid(cred->room, strnlen(cred->room, PLM_NAME_SIZE)) ||
			!plm_name_valid(cred->participant,
					strnlen(cred->participant, PLM_NAME_SIZE)))
		return -EINVAL;
	if (cred->expiry_s >= UINT64_C(1000000000000000000)) /* the parser takes 18 digits */
		return -EINVAL;
	len = snprintf(text, sizeof(text), "1:%" PRIu64 ":%s:%s:%c", cred->expiry_s, cred->room,
			cred->participant, letters[cred->role]);
	len = plm_base64_encode(text, (size_t)len, name, sizeof(name));
	if (len < 0)
		return -ENAMETOOLONG;

	hmac = plm_hmac_create();
	if (hmac == NULL)
		return -EIO;
	ret = admit_password(hmac, key, key_len, name, (size_t)len, pwd);
	if (ret == 0)
		memcpy(ufrag, name, (size_t)len + 1);
	plm_hmac_free(hmac);
	return ret;
}
