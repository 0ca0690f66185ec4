/* SPDX-License-Identifier: BSD-3-Clause */
/* One side of connections, client or server, for who has no slow path. */
#include <errno.h>

#include <rte_errno.h>

#include "quic_side.h"

int
quic_side_init(struct quic_side *side, const struct plm_quic_conf *conf,
		enum plm_aead_backend backend, struct quic_tls *tls)
{
	struct plm_quic_conf own = *conf;
	uint8_t secret[PLM_CID_SECRET];

	*side = (struct quic_side){ .tls = tls };
	if (tls == NULL)
		return -rte_errno;
	side->aead = plm_aead_create(backend);
	if (side->aead == NULL)
		return -rte_errno;
	plm_rand_fill(&conf->rand, secret, sizeof(secret));
	if (plm_cid_key_init(&side->cid_key, secret) < 0)
		return -ENOMEM;
	plm_rand_fill(&conf->rand, own.reset_secret, sizeof(own.reset_secret));
	own.aead = side->aead;
	own.cid_key = side->cid_key;
	side->quic = plm_quic_create(&own);
	return side->quic == NULL ? -rte_errno : 0;
}

void
quic_side_fini(struct quic_side *side)
{
	quic_tls_free(side->tls);
	plm_quic_free(side->quic);
	plm_cid_key_fini(&side->cid_key);
	plm_aead_free(side->aead);
}

int
quic_side_no_stream(void *ctx, struct plm_quic_conn *conn, int64_t stream_id, const uint8_t *buf,
		size_t len, bool fin)
{
	return 0;
}

void
quic_side_no_reset(void *ctx, struct plm_quic_conn *conn, int64_t stream_id)
{
}

void
quic_side_no_move(void *ctx, struct plm_quic_conn *conn, const struct plm_quic_path *path)
{
}

void
quic_side_no_chunk(void *ctx, struct plm_quic_chunk *chunk)
{
}
