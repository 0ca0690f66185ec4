/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files that read a client's first datagrams. Slow path only. */
#ifndef INITIAL_PRIV_H
#define INITIAL_PRIV_H

#include <openssl/evp.h>

#include "frames.h"
#include "plm_crypto.h"
#include "plm_quic_initial.h"

/* A client's stream of CRYPTO data as far as it came, in whatever order. */
struct initial_crypto {
	uint32_t end; /* beyond the last byte that came */
	uint8_t buf[PLM_INITIAL_HELLO_MAX];
	uint8_t have[PLM_INITIAL_HELLO_MAX]; /* 1: that byte came */
};

/* --- open.c ------------------------------------------------------------------------------------ */

struct initial_keys {
	uint8_t key[16];
	uint8_t iv[12];
	uint8_t hp[16];
};

/* Contexts that are keyed anew for each packet. */
struct initial_opener {
	struct plm_hmac *hmac;
	EVP_CIPHER *gcm;
	EVP_CIPHER *ecb;
	EVP_CIPHER_CTX *open;
	EVP_CIPHER_CTX *mask;
	uint8_t plain[PLM_INITIAL_MAX];
};

/* What a datagram's Initials brought. */
struct initial_got {
	bool is_closed;  /* CONNECTION_CLOSE */
	bool has_crypto; /* any CRYPTO data */
	bool has_new;    /* bytes that had not come */
	uint32_t offset; /* the lowest one of its CRYPTO data */
};

/* 0, -ENOMEM, -ENOTSUP. fini() takes one that init() failed for. */
int initial_opener_init(struct initial_opener *opener);
void initial_opener_fini(struct initial_opener *opener);

/* Keys of a client's Initials. 0 or -EIO. */
int initial_keys_derive(struct initial_opener *opener, const uint8_t *dcid, size_t dcid_len,
		struct initial_keys *keys);

/* Open a datagram's Initials and add their CRYPTO data: PLM_INITIAL_READY, FORGED, FRAMES, HELLO_BIG,
 * INTERNAL. On anything but READY `crypto` may hold parts of it. */
enum plm_initial_result initial_open(struct initial_opener *opener, const struct initial_keys *keys,
		const struct plm_initial_dgram *dgram, const struct plm_initial_hd *hd,
		struct initial_crypto *crypto, struct initial_got *got);

/* A long header of version 1, at `off`; `first` is the packet's first byte. As plm_initial_parse(). */
enum plm_initial_result initial_long_header(const uint8_t *buf, size_t len, size_t off,
		struct plm_initial_hd *hd);

/* --- hello.c ----------------------------------------------------------------------------------- */

/* Read a ClientHello if all of it came: PLM_INITIAL_READY, WAIT, HELLO, HELLO_BIG, NAME. `flight` changes
 * on READY only. */
enum plm_initial_result initial_hello(const struct initial_crypto *crypto,
		struct plm_initial_flight *flight);

#endif
