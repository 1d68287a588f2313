/* SPDX-License-Identifier: MIT */
/*
 * mbedtls, as one translation unit with nothing between it and the hypervisor but hv/crypto/crypto.h. Its sources are Debian's
 * (tools/mbedtls.sh); they are compiled unchanged, with the hypervisor's flags, and these rules:
 *
 * The hypervisor has no indirect branch, and mbedtls calls its random generator and the curve's reduction through
 * pointers. A macro with arguments is expanded only where a call follows the name, so these turn each such call into a
 * direct one and leave declarations and parameters alone. Every generator here is an HMAC_DRBG, and P-384 the only curve.
 */
/* NOLINTBEGIN(bugprone-macro-parentheses,bugprone-suspicious-include) */
#define f_rng(p, b, n) mbedtls_hmac_drbg_random(p, b, n)
#define f_rng_blind(p, b, n) mbedtls_hmac_drbg_random(p, b, n)
#define modp(N) id * 0 + ecp_mod_p384(N)
#define f_entropy(p, b, n) entropy_len * 0u + 1u /* no generator is reseeded: refused */

#include "hv/crypto/crypto.h"

#include <mbedtls/ecp.h>
#include <mbedtls/hmac_drbg.h>
static int ecp_mod_p384(mbedtls_mpi *n);
#include <library/asn1parse.c>
#include <library/asn1write.c>
#include <library/bignum.c>
#include <library/constant_time.c>
#include <library/ecdsa.c>
#include <library/ecp.c>
#include <library/ecp_curves.c>
#include <library/hmac_drbg.c>
#include <library/md.c>
#include <library/sha512.c>
/* NOLINTEND(bugprone-macro-parentheses,bugprone-suspicious-include) */

/* The generator of the key and of what hides it while it signs; the seed of both is never used again. */
static mbedtls_hmac_drbg_context drbg;
static mbedtls_ecp_group group; /* with the table of multiples of the base point */
static mbedtls_mpi secret;
static mbedtls_ecp_point public;
static bool have_key;
/* The signature that is being made. */
static mbedtls_ecdsa_restart_ctx restart;
static uint8_t message[CRYPTO_DIGEST];
static bool signing;

/* In units of mbedtls_ecp_set_max_ops; the longest piece that it does not divide takes about 400 for this curve. */
#define STEP_OPS 400u

/* --- memory: an arena of units, first fit; a byte per unit says how many follow in the same block --- */

#define UNIT 64u
#define UNITS 256u
#define UNIT_FREE 0u

static _Alignas(16) uint8_t arena[UNITS][UNIT];
static uint16_t length[UNITS]; /* of the block that begins here; inside a block and in gaps 0 */
static size_t in_use, peak;    /* units */

/* For mbedtls: zeroed, or NULL. */
void *crypto_calloc(size_t n, size_t size)
{
	size_t want, i = 0, gap = 0;

	if (n == 0 || size == 0 || size > sizeof(arena) / n) {
		return NULL;
	}
	want = (n * size + UNIT - 1) / UNIT;
	while (i < UNITS && gap < want) {
		gap = length[i] == UNIT_FREE ? gap + 1 : 0;
		i += length[i] == UNIT_FREE ? 1 : length[i];
	}
	if (gap < want) {
		return NULL;
	}
	length[i - want] = (uint16_t)want;
	in_use += want;
	peak = in_use > peak ? in_use : peak;
	return arena[i - want];
}

void crypto_free(void *p)
{
	size_t i;

	if (p == NULL) {
		return;
	}
	i = (size_t)((uint8_t *)p - arena[0]) / UNIT;
	memset(arena[i], 0, (size_t)length[i] * UNIT);
	in_use -= length[i];
	length[i] = UNIT_FREE;
}

size_t crypto_arena_peak(void)
{
	return peak * UNIT;
}

size_t crypto_arena_size(void)
{
	return sizeof(arena);
}

/* For mbedtls (MBEDTLS_PLATFORM_ZEROIZE_ALT). The compiler may not leave it out. */
void mbedtls_platform_zeroize(void *buf, size_t len)
{
	if (len > 0) {
		memset(buf, 0, len);
		__asm__ volatile("" : : "r"(buf) : "memory");
	}
}

/* --- digests --- */

_Static_assert(sizeof(struct crypto_hash) >= sizeof(mbedtls_sha512_context), "size of the state");

/* The state is wiped by hand and no call can fail: sha512.c returns errors only for an is384 that is neither 0 nor 1. */
void crypto_hash_start(struct crypto_hash *h)
{
	mbedtls_sha512_init((mbedtls_sha512_context *)h->state);
	(void)mbedtls_sha512_starts_ret((mbedtls_sha512_context *)h->state, 1);
}

void crypto_hash_add(struct crypto_hash *h, const void *bytes, size_t n)
{
	(void)mbedtls_sha512_update_ret((mbedtls_sha512_context *)h->state, bytes, n);
}

void crypto_hash_end(struct crypto_hash *h, uint8_t digest[CRYPTO_DIGEST])
{
	uint8_t out[64]; /* the type of the parameter says 64, also for SHA-384 */

	(void)mbedtls_sha512_finish_ret((mbedtls_sha512_context *)h->state, out);
	memcpy(digest, out, CRYPTO_DIGEST);
	mbedtls_platform_zeroize(h, sizeof(*h));
}

/* --- the key --- */

void crypto_key_forget(void)
{
	mbedtls_ecdsa_restart_free(&restart);
	mbedtls_mpi_free(&secret);
	mbedtls_ecp_point_free(&public);
	mbedtls_ecp_group_free(&group);
	mbedtls_hmac_drbg_free(&drbg);
	memset(arena, 0, sizeof(arena));
	memset(length, 0, sizeof(length));
	in_use = 0;
	mbedtls_platform_zeroize(message, sizeof(message));
	have_key = false;
	signing = false;
}

bool crypto_key_make(const uint8_t *entropy, size_t n)
{
	const mbedtls_md_info_t *md = mbedtls_md_info_from_type(MBEDTLS_MD_SHA384);

	crypto_key_forget();
	mbedtls_ecp_group_init(&group);
	mbedtls_mpi_init(&secret);
	mbedtls_ecp_point_init(&public);
	mbedtls_hmac_drbg_init(&drbg);
	mbedtls_ecdsa_restart_init(&restart);
	mbedtls_ecp_set_max_ops(0); /* in one piece: nothing else runs yet */
	have_key = n >= CRYPTO_DIGEST && mbedtls_hmac_drbg_seed_buf(&drbg, md, entropy, n) == 0 &&
		   mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP384R1) == 0 &&
		   mbedtls_ecp_gen_keypair(&group, &secret, &public, mbedtls_hmac_drbg_random,
					   &drbg) == 0 &&
		   mbedtls_ecp_check_pubkey(&group, &public) == 0;
	if (!have_key) {
		crypto_key_forget();
	}
	return have_key;
}

bool crypto_random(uint8_t *out, size_t n)
{
	return have_key && mbedtls_hmac_drbg_random(&drbg, out, n) == 0;
}

void crypto_key_public(uint8_t x[CRYPTO_SCALAR], uint8_t y[CRYPTO_SCALAR])
{
	if (!have_key || mbedtls_mpi_write_binary(&public.X, x, CRYPTO_SCALAR) != 0 ||
	    mbedtls_mpi_write_binary(&public.Y, y, CRYPTO_SCALAR) != 0) {
		memset(x, 0, CRYPTO_SCALAR);
		memset(y, 0, CRYPTO_SCALAR);
	}
}

/* --- signing --- */

void crypto_sign_start(const uint8_t digest[CRYPTO_DIGEST])
{
	mbedtls_ecdsa_restart_free(&restart);
	mbedtls_ecdsa_restart_init(&restart);
	memcpy(message, digest, sizeof(message));
	signing = have_key;
}

enum crypto_step crypto_sign_step(uint8_t signature[CRYPTO_SIGNATURE])
{
	enum crypto_step result = CRYPTO_FAILED;
	mbedtls_mpi r, s;
	int err;

	if (!signing) {
		return CRYPTO_FAILED;
	}
	mbedtls_ecp_set_max_ops(STEP_OPS);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	err = ecdsa_sign_det_restartable(&group, &r, &s, &secret, message, sizeof(message),
					 MBEDTLS_MD_SHA384, mbedtls_hmac_drbg_random, &drbg,
					 &restart);
	if (err == MBEDTLS_ERR_ECP_IN_PROGRESS) {
		result = CRYPTO_MORE;
	} else if (err == 0 && mbedtls_mpi_write_binary(&r, signature, CRYPTO_SCALAR) == 0 &&
		   mbedtls_mpi_write_binary(&s, signature + CRYPTO_SCALAR, CRYPTO_SCALAR) == 0) {
		result = CRYPTO_DONE;
	}
	mbedtls_mpi_free(&r);
	mbedtls_mpi_free(&s);
	if (result != CRYPTO_MORE) {
		mbedtls_ecdsa_restart_free(&restart);
		signing = false;
	}
	return result;
}
