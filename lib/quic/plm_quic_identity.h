/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Who the relay is to QUIC clients: certificates with their keys, either derived from one 32-byte
 * seed or read from PEM files. Made by main before anything runs, const after that; sessions refer
 * to it, so it outlives them. Reasons go to a text of the caller's and name the file; no key goes
 * anywhere.
 */
#ifndef PLM_QUIC_IDENTITY_H
#define PLM_QUIC_IDENTITY_H

#include "plm_base.h"

#define PLM_QUIC_SEED_SIZE 32
/** A SHA-256 fingerprint, and as text: 32 bytes in hex joined by colons, NUL included. */
#define PLM_QUIC_FINGERPRINT_SIZE      32
#define PLM_QUIC_FINGERPRINT_TEXT_SIZE 96

/** Kinds of certificates, one of each at most, the preferred one first. */
enum plm_quic_cert {
	PLM_QUIC_CERT_ED25519,
	PLM_QUIC_CERT_P256,
	PLM_QUIC_CERT_P384,
	PLM_QUIC_CERTS
};

struct plm_quic_identity;

/**
 * Read the seed from a file of 64 lower-case hex digits (a newline behind them is taken). A file
 * that is not there is made, mode 0600, with a random seed; a file that is there is never written.
 *
 * @param rand
 *   Used for a new seed only.
 * @param[out] seed
 *   Untouched on error. The caller erases it.
 * @param[out] why
 *   On error appended: the file and what is wrong.
 * @return
 *   0; -EACCES when others can read or write it, it is not ours or root's, or no regular file;
 *   -EINVAL when it holds something else; another negative errno of the file system.
 */
int plm_quic_seed_load(const char *path, const struct plm_rand *rand,
		uint8_t seed[PLM_QUIC_SEED_SIZE], struct plm_text *why);

/** An identity without certificates. NULL and rte_errno (ENOMEM). */
struct plm_quic_identity *plm_quic_identity_create(void);

/** Erases the keys. Takes NULL. */
void plm_quic_identity_free(struct plm_quic_identity *id);

/**
 * Add the Ed25519 certificate of the WZP protocol (its specification, §1.2) and an ECDSA P-256 one for
 * clients that know no Ed25519, both derived from the seed: the same seed gives the same certificates,
 * byte for byte.
 *
 * @return 0, -EEXIST when there is one of either kind, -ENOMEM, -EIO when a crypto library refuses.
 */
int plm_quic_identity_add_seed(struct plm_quic_identity *id, const uint8_t seed[PLM_QUIC_SEED_SIZE],
		struct plm_text *why);

/**
 * Add a certificate chain (the relay's own certificate first, 8 at most) and its key from PEM files.
 * Ed25519 or ECDSA on P-256 or P-384.
 *
 * @param now_s
 *   Unix time: certificates not valid at that time are taken, with a warning.
 * @param[out] why
 *   On error appended: the file and the reason. On success: warnings, if any.
 * @return
 *   0; -EACCES as above, for the key file; -EEXIST when there is a certificate of this kind;
 *   -EKEYREJECTED for RSA and other kinds, and for a key that does not belong to the certificate;
 *   -EINVAL for what is no PEM; -EFBIG, -ENOMEM; another negative errno of the file system.
 */
int plm_quic_identity_add_pem(struct plm_quic_identity *id, const char *cert_path,
		const char *key_path, uint64_t now_s, struct plm_text *why);

/** The certificate of this kind as DER, `*len` bytes, as long as the identity; NULL: there is none. */
const uint8_t *plm_quic_identity_cert(const struct plm_quic_identity *id, enum plm_quic_cert kind,
		size_t *len);

/** SHA-256 over a certificate's DER. 0 or -EIO. */
int plm_quic_fingerprint(const uint8_t *cert, size_t len, uint8_t out[PLM_QUIC_FINGERPRINT_SIZE]);

/** As the WZP protocol prints it: 89:05:77:... */
void plm_quic_fingerprint_text(const uint8_t fingerprint[PLM_QUIC_FINGERPRINT_SIZE],
		char text[PLM_QUIC_FINGERPRINT_TEXT_SIZE]);

#endif
