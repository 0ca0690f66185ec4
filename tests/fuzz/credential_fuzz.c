/* SPDX-License-Identifier: BSD-3-Clause */
/* User names of credentials: what parses can be minted again, to the same meaning. */
#include "fuzz.h"
#include "plm_admit.h"

int
LLVMFuzzerTestOneInput(const uint8_t *buf, size_t len)
{
	static const char key[] = "0123456789abcdef";
	struct plm_credential cred, again;
	char ufrag[PLM_UFRAG_MAX + 1];
	char pwd[PLM_PWD_LEN + 1];

	memset(&cred, 0x5a, sizeof(cred));
	memcpy(&again, &cred, sizeof(cred));
	if (plm_credential_parse((const char *)buf, len, &cred) < 0) {
		FUZZ_CHECK(memcmp(&cred, &again, sizeof(cred)) == 0);
		return 0;
	}
	FUZZ_CHECK(len <= PLM_UFRAG_MAX);
	FUZZ_CHECK(plm_name_valid(cred.room, strlen(cred.room)));
	FUZZ_CHECK(plm_name_valid(cred.participant, strlen(cred.participant)));
	FUZZ_CHECK(plm_credential_mint(&cred, key, sizeof(key), ufrag, pwd) == 0);
	FUZZ_CHECK(strlen(ufrag) <= len && strlen(pwd) == PLM_PWD_LEN);
	FUZZ_CHECK(plm_credential_parse(ufrag, strlen(ufrag), &again) == 0);
	FUZZ_CHECK(again.expiry_s == cred.expiry_s && again.role == cred.role);
	FUZZ_CHECK(strcmp(again.room, cred.room) == 0);
	FUZZ_CHECK(strcmp(again.participant, cred.participant) == 0);
	return 0;
}
