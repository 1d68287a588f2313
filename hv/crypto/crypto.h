/* SPDX-License-Identifier: MIT */
#ifndef HV_CRYPTO_CRYPTO_H
#define HV_CRYPTO_CRYPTO_H
/*
 * What the hypervisor takes of mbedtls: SHA-384, a DRBG and one ECDSA P-384 key. Nothing here sees a guest's pointer.
 * Locks: none; one caller at a time, except for the digests, which own all their state.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRYPTO_DIGEST 48u    /* SHA-384 */
#define CRYPTO_SCALAR 48u    /* a coordinate, or half a signature, of P-384 */
#define CRYPTO_SIGNATURE 96u /* r || s, big-endian (RFC 9053, 2.1) */

struct crypto_hash {
	_Alignas(8) uint8_t state[224];
};

void crypto_hash_start(struct crypto_hash *h);
void crypto_hash_add(struct crypto_hash *h, const void *bytes, size_t n);
void crypto_hash_end(struct crypto_hash *h,
		     uint8_t digest[CRYPTO_DIGEST]); /* and forgets the state */
void crypto_sha256(const void *bytes, size_t n, uint8_t digest[32]);

/* HMAC_DRBG with SHA-384 (SP 800-90A) from `n` bytes of entropy, 48 at least; then makes the key. Milliseconds. */
bool crypto_key_make(const uint8_t *entropy, size_t n) __attribute__((warn_unused_result));
bool crypto_random(uint8_t *out, size_t n)
	__attribute__((warn_unused_result)); /* after crypto_key_make */
void crypto_key_public(uint8_t x[CRYPTO_SCALAR], uint8_t y[CRYPTO_SCALAR]);
void crypto_key_forget(void);

enum crypto_step { CRYPTO_DONE, CRYPTO_MORE, CRYPTO_FAILED };

/*
 * Deterministic ECDSA (RFC 6979) in steps, none of which holds the CPU for longer than about an eighth of a signature. start abandons
 * what was under way; after DONE `signature` is filled, and after DONE or FAILED the next step wants a start.
 */
void crypto_sign_start(const uint8_t digest[CRYPTO_DIGEST]);
enum crypto_step crypto_sign_step(uint8_t signature[CRYPTO_SIGNATURE])
	__attribute__((warn_unused_result));

/* Most bytes of the arena that were ever in use, for the test that sizes it. */
size_t crypto_arena_peak(void);
size_t crypto_arena_size(void);

#endif
