/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_VERIFY_CRYPTO_H
#define ATTEST_VERIFY_CRYPTO_H
/* Hashes and signatures: a thin layer above mbedtls, so that another library can replace it. */
#include <mbedtls/ecp.h>
#include <mbedtls/rsa.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/core/cose.h"
#include "attest/core/tpm.h"

/* Hash of bytes by TPM_ALG_ID, tpm_digest_size() bytes. False for an algorithm that is not SHA-1, SHA-256, -384, -512. */
bool crypto_hash(uint16_t alg, const void *bytes, size_t n, uint8_t *out);

/*
 * A key that verifies. For a curve it keeps multiples of the generator and of the key itself, which the second and
 * further verifications with it use.
 */
struct crypto_key {
	bool rsa;
	uint16_t curve; /* TPM_ECC_NIST_* */
	mbedtls_rsa_context rsa_key;
	mbedtls_ecp_group by_g;
	mbedtls_ecp_group by_q; /* the same curve with the key as its generator */
	bool own_g;             /* by_q.G is allocated */
	mbedtls_ecp_point q;
};

/* NULL, or why the key is refused: length, exponent, curve, a point that is not on it. crypto_key_end() in any case. */
const char *crypto_key_tpm(struct crypto_key *key, const struct tpm_public *p);
const char *crypto_key_cose(struct crypto_key *key, const struct cose_key *p);
/* A PEM or DER public key, SubjectPublicKeyInfo. */
const char *crypto_key_file(struct crypto_key *key, const uint8_t *bytes, size_t n);
void crypto_key_end(struct crypto_key *key);

/* NULL, or why the TPM's signature over `bytes` is refused. SHA-1 is. */
const char *crypto_verify_tpm(struct crypto_key *key, const struct tpm_signature *s,
			      const uint8_t *bytes, size_t n);
/* NULL, or why not: ECDSA with r || s over a hash. */
const char *crypto_verify_raw(struct crypto_key *key, const uint8_t *r_s, size_t n,
			      const uint8_t *hash, size_t hash_n);

/* The name of a TPM key: algorithm and hash of its public area. Bytes written to out (66 at most), or 0. */
size_t crypto_name(const struct tpm_public *p, uint8_t out[66]);

#endif
