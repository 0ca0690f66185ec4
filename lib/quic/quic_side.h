/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * For tools, tests and benches, which are clients or servers without a slow path: what connections of
 * one side share, and answers to what they have no use for.
 */
#ifndef QUIC_SIDE_H
#define QUIC_SIDE_H

#include "plm_quic.h"
#include "quic_tls.h"

/** Const once made. */
struct quic_side {
	struct plm_aead *aead;
	struct plm_quic *quic;
	struct quic_tls *tls;
	struct plm_cid_key cid_key;
};

/**
 * Make it, with secrets drawn from `conf->rand`; conf's `aead`, `cid_key` and `reset_secret` are not
 * looked at.
 *
 * @param tls
 *   What quic_tls_client_create() or quic_tls_server_create() returned; becomes the side's.
 * @return 0, or negative errno; quic_side_fini() is due in either case.
 */
int quic_side_init(struct quic_side *side, const struct plm_quic_conf *conf,
		enum plm_aead_backend backend, struct quic_tls *tls);

/** When there are no connections any more. One of zeros will do. */
void quic_side_fini(struct quic_side *side);

/* For struct plm_quic_ops: nothing is read, a peer that goes on meets the credit. */
int quic_side_no_stream(void *ctx, struct plm_quic_conn *conn, int64_t stream_id,
		const uint8_t *buf, size_t len, bool fin);
void quic_side_no_reset(void *ctx, struct plm_quic_conn *conn, int64_t stream_id);
void quic_side_no_move(void *ctx, struct plm_quic_conn *conn, const struct plm_quic_path *path);
void quic_side_no_chunk(void *ctx, struct plm_quic_chunk *chunk);

#endif
