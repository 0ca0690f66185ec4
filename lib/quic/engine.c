/* SPDX-License-Identifier: BSD-3-Clause */
/* What all connections share: settings, secrets, tables of callbacks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include "plm_crypto.h"
#include "quic_priv.h"

struct plm_quic *
plm_quic_create(const struct plm_quic_conf *conf)
{
	struct plm_quic *quic;

	if (conf->aead == NULL || conf->rand.fill == NULL || conf->idle_timeout_ns == 0) {
		rte_errno = EINVAL;
		return NULL;
	}
	/* Not DPDK's memory: clients on ordinary sockets have none. */
	quic = aligned_alloc(RTE_CACHE_LINE_SIZE,
			RTE_ALIGN_CEIL(sizeof(*quic), (size_t)RTE_CACHE_LINE_SIZE));
	if (quic == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	*quic = (struct plm_quic){ .conf = *conf };
	quic_conn_callbacks(quic);
	return quic;
}

void
plm_quic_reset_secret(const struct plm_quic *quic, uint8_t secret[32])
{
	memcpy(secret, quic->conf.reset_secret, 32);
}

void
plm_quic_free(struct plm_quic *quic)
{
	if (quic == NULL)
		return;
	plm_crypto_erase(quic, sizeof(*quic));
	free(quic);
}
