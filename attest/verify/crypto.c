/* SPDX-License-Identifier: MIT */
/* Hashes and signatures by mbedtls. Nothing here is secret, so nothing needs blinding. */
#include "attest/verify/crypto.h"

#include <mbedtls/md.h>
#include <mbedtls/pk.h>
#include <mbedtls/sha1.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>
#include <stdlib.h>
#include <string.h>

bool crypto_hash(uint16_t alg, const void *bytes, size_t n, uint8_t *out)
{
	switch (alg) {
	case TPM_ALG_SHA1:
		return mbedtls_sha1_ret(bytes, n, out) == 0;
	case TPM_ALG_SHA256:
		return mbedtls_sha256_ret(bytes, n, out, 0) == 0;
	case TPM_ALG_SHA384:
		return mbedtls_sha512_ret(bytes, n, out, 1) == 0;
	case TPM_ALG_SHA512:
		return mbedtls_sha512_ret(bytes, n, out, 0) == 0;
	default:
		return false;
	}
}

/* mbedtls blinds each multiplication with "random" numbers; a verification has nothing to hide, and any will do. */
static int no_secret(void *state, unsigned char *out, size_t n)
{
	(void)state;
	memset(out, 0x5a, n);
	return 0;
}

static void key_begin(struct crypto_key *key)
{
	memset(key, 0, sizeof(*key));
	mbedtls_rsa_init(&key->rsa_key, MBEDTLS_RSA_PKCS_V15, MBEDTLS_MD_NONE);
	mbedtls_ecp_group_init(&key->by_g);
	mbedtls_ecp_group_init(&key->by_q);
	mbedtls_ecp_point_init(&key->q);
}

void crypto_key_end(struct crypto_key *key)
{
	mbedtls_rsa_free(&key->rsa_key);
	mbedtls_ecp_group_free(&key->by_g);
	if (key->own_g) {
		mbedtls_ecp_point_free(&key->by_q.G);
	}
	mbedtls_ecp_group_free(&key->by_q);
	mbedtls_ecp_point_free(&key->q);
}

static const char *curve_key(struct crypto_key *key, uint16_t curve, const struct span *x,
			     const struct span *y)
{
	mbedtls_ecp_group_id id = curve == TPM_ECC_NIST_P256   ? MBEDTLS_ECP_DP_SECP256R1
				  : curve == TPM_ECC_NIST_P384 ? MBEDTLS_ECP_DP_SECP384R1
							       : MBEDTLS_ECP_DP_NONE;
	size_t bytes = curve == TPM_ECC_NIST_P256 ? 32 : 48;

	if (id == MBEDTLS_ECP_DP_NONE) {
		return "the key's curve is neither P-256 nor P-384";
	}
	if (x->n > bytes || y->n > bytes || x->n == 0 || y->n == 0) {
		return "a coordinate has not the length of the curve";
	}
	key->curve = curve;
	if (mbedtls_ecp_group_load(&key->by_g, id) != 0 ||
	    mbedtls_ecp_group_load(&key->by_q, id) != 0 ||
	    mbedtls_mpi_read_binary(&key->q.X, x->at, x->n) != 0 ||
	    mbedtls_mpi_read_binary(&key->q.Y, y->at, y->n) != 0 ||
	    mbedtls_mpi_lset(&key->q.Z, 1) != 0) {
		return "out of memory";
	}
	if (mbedtls_ecp_check_pubkey(&key->by_g, &key->q) != 0) {
		return "the key is not a point of its curve";
	}
	/* Multiples of a group's generator are kept by mbedtls: so the key becomes one. Its own lies in constants. */
	mbedtls_ecp_point_init(&key->by_q.G);
	key->own_g = true;
	return mbedtls_ecp_copy(&key->by_q.G, &key->q) == 0 ? NULL : "out of memory";
}

/* Length and exponent of an RSA key that is loaded. */
static const char *rsa_judge(struct crypto_key *key)
{
	size_t bits = mbedtls_mpi_bitlen(&key->rsa_key.N);

	key->rsa = true;
	if (bits < 2048 || bits > 4096) {
		return "an RSA key has to have 2048 to 4096 bits";
	}
	if (mbedtls_mpi_cmp_int(&key->rsa_key.E, 65537) != 0) {
		return "an RSA key has to have the exponent 65537";
	}
	return mbedtls_rsa_check_pubkey(&key->rsa_key) == 0 ? NULL : "the RSA key is malformed";
}

const char *crypto_key_tpm(struct crypto_key *key, const struct tpm_public *p)
{
	const uint8_t e[4] = { (uint8_t)(p->exponent >> 24), (uint8_t)(p->exponent >> 16),
			       (uint8_t)(p->exponent >> 8), (uint8_t)p->exponent };

	key_begin(key);
	if (p->type == TPM_ALG_ECC) {
		return curve_key(key, p->curve, &p->x, &p->y);
	}
	if (mbedtls_rsa_import_raw(&key->rsa_key, p->x.at, p->x.n, NULL, 0, NULL, 0, NULL, 0, e,
				   sizeof(e)) != 0 ||
	    mbedtls_rsa_complete(&key->rsa_key) != 0) {
		return "the RSA key is malformed";
	}
	return rsa_judge(key);
}

const char *crypto_key_cose(struct crypto_key *key, const struct cose_key *p)
{
	struct span x = { p->x, sizeof(p->x) }, y = { p->y, sizeof(p->y) };

	key_begin(key);
	return curve_key(key, TPM_ECC_NIST_P384, &x, &y);
}

static const char *from_pk(struct crypto_key *key, const mbedtls_pk_context *pk)
{
	const mbedtls_ecp_keypair *ec;
	uint8_t x[48], y[48];
	struct span sx = { x, 0 }, sy = { y, 0 };

	if (mbedtls_pk_get_type(pk) == MBEDTLS_PK_RSA) {
		return mbedtls_rsa_copy(&key->rsa_key, mbedtls_pk_rsa(*pk)) == 0 ? rsa_judge(key)
										 : "out of memory";
	}
	if (mbedtls_pk_get_type(pk) != MBEDTLS_PK_ECKEY) {
		return "the key is neither RSA nor of a curve";
	}
	ec = mbedtls_pk_ec(*pk);
	sx.n = ec->grp.id == MBEDTLS_ECP_DP_SECP256R1 ? 32 : 48;
	sy.n = sx.n;
	if (mbedtls_mpi_write_binary(&ec->Q.X, x, sx.n) != 0 ||
	    mbedtls_mpi_write_binary(&ec->Q.Y, y, sy.n) != 0) {
		return "the key's curve is neither P-256 nor P-384";
	}
	return curve_key(key,
			 ec->grp.id == MBEDTLS_ECP_DP_SECP256R1   ? TPM_ECC_NIST_P256
			 : ec->grp.id == MBEDTLS_ECP_DP_SECP384R1 ? TPM_ECC_NIST_P384
								  : 0,
			 &sx, &sy);
}

const char *crypto_key_file(struct crypto_key *key, const uint8_t *bytes, size_t n)
{
	mbedtls_pk_context pk;
	const char *bad = "not a public key (PEM or DER)";
	uint8_t *text = malloc(n + 1);

	key_begin(key);
	mbedtls_pk_init(&pk);
	if (text != NULL) {
		/* mbedtls takes PEM with its final NUL. */
		memcpy(text, bytes, n);
		text[n] = '\0';
		if (mbedtls_pk_parse_public_key(&pk, text,
						memchr(bytes, '-', n) == bytes ? n + 1 : n) == 0) {
			bad = from_pk(key, &pk);
		}
	}
	mbedtls_pk_free(&pk);
	free(text);
	return bad;
}

/* FIPS 186-4 section 6.4, with the multiples of both points kept. */
static const char *ecdsa(struct crypto_key *key, const struct span *r_bytes,
			 const struct span *s_bytes, const uint8_t *hash, size_t n)
{
	const char *bad = "the signature does not fit";
	mbedtls_ecp_point p1, p2, sum;
	mbedtls_mpi r, s, e, u1, u2, one;
	size_t order = (key->by_g.nbits + 7) / 8;
	mbedtls_mpi *all[] = { &r, &s, &e, &u1, &u2, &one };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		mbedtls_mpi_init(all[i]);
	}
	mbedtls_ecp_point_init(&p1);
	mbedtls_ecp_point_init(&p2);
	mbedtls_ecp_point_init(&sum);
	if (r_bytes->n > order || s_bytes->n > order ||
	    mbedtls_mpi_read_binary(&r, r_bytes->at, r_bytes->n) != 0 ||
	    mbedtls_mpi_read_binary(&s, s_bytes->at, s_bytes->n) != 0 ||
	    mbedtls_mpi_cmp_int(&r, 1) < 0 || mbedtls_mpi_cmp_mpi(&r, &key->by_g.N) >= 0 ||
	    mbedtls_mpi_cmp_int(&s, 1) < 0 || mbedtls_mpi_cmp_mpi(&s, &key->by_g.N) >= 0) {
		bad = "a number of the signature is out of range";
	} else if (mbedtls_mpi_read_binary(&e, hash, n < order ? n : order) == 0 &&
		   mbedtls_mpi_inv_mod(&u2, &s, &key->by_g.N) == 0 &&
		   mbedtls_mpi_mul_mpi(&u1, &e, &u2) == 0 &&
		   mbedtls_mpi_mod_mpi(&u1, &u1, &key->by_g.N) == 0 &&
		   mbedtls_mpi_mul_mpi(&u2, &r, &u2) == 0 &&
		   mbedtls_mpi_mod_mpi(&u2, &u2, &key->by_g.N) == 0 &&
		   mbedtls_mpi_lset(&one, 1) == 0 &&
		   mbedtls_ecp_mul(&key->by_g, &p1, &u1, &key->by_g.G, no_secret, NULL) == 0 &&
		   mbedtls_ecp_mul(&key->by_q, &p2, &u2, &key->by_q.G, no_secret, NULL) == 0 &&
		   mbedtls_ecp_muladd(&key->by_g, &sum, &one, &p1, &one, &p2) == 0 &&
		   !mbedtls_ecp_is_zero(&sum) &&
		   mbedtls_mpi_mod_mpi(&sum.X, &sum.X, &key->by_g.N) == 0 &&
		   mbedtls_mpi_cmp_mpi(&sum.X, &r) == 0) {
		bad = NULL;
	}
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		mbedtls_mpi_free(all[i]);
	}
	mbedtls_ecp_point_free(&p1);
	mbedtls_ecp_point_free(&p2);
	mbedtls_ecp_point_free(&sum);
	return bad;
}

const char *crypto_verify_raw(struct crypto_key *key, const uint8_t *r_s, size_t n,
			      const uint8_t *hash, size_t hash_n)
{
	struct span r = { r_s, n / 2 }, s = { r_s + n / 2, n / 2 };

	return key->rsa ? "the key is not of a curve" : ecdsa(key, &r, &s, hash, hash_n);
}

static const char *rsa_verify(struct crypto_key *key, const struct tpm_signature *s,
			      const uint8_t *hash, size_t n)
{
	mbedtls_md_type_t md = s->hash == TPM_ALG_SHA256   ? MBEDTLS_MD_SHA256
			       : s->hash == TPM_ALG_SHA384 ? MBEDTLS_MD_SHA384
							   : MBEDTLS_MD_SHA512;
	int result;

	if (s->r.n != mbedtls_rsa_get_len(&key->rsa_key)) {
		return "the signature is not as long as the key";
	}
	if (s->alg == TPM_ALG_RSAPSS) {
		mbedtls_rsa_set_padding(&key->rsa_key, MBEDTLS_RSA_PKCS_V21, md);
		result = mbedtls_rsa_rsassa_pss_verify(&key->rsa_key, NULL, NULL,
						       MBEDTLS_RSA_PUBLIC, md, (unsigned int)n,
						       hash, s->r.at);
	} else {
		mbedtls_rsa_set_padding(&key->rsa_key, MBEDTLS_RSA_PKCS_V15, md);
		result = mbedtls_rsa_rsassa_pkcs1_v15_verify(&key->rsa_key, NULL, NULL,
							     MBEDTLS_RSA_PUBLIC, md,
							     (unsigned int)n, hash, s->r.at);
	}
	return result == 0 ? NULL : "the signature does not fit";
}

const char *crypto_verify_tpm(struct crypto_key *key, const struct tpm_signature *s,
			      const uint8_t *bytes, size_t n)
{
	uint8_t hash[TPM_DIGEST_MAX];

	if (s->hash == TPM_ALG_SHA1) {
		return "SHA-1 signatures prove nothing any more";
	}
	if (!crypto_hash(s->hash, bytes, n, hash)) {
		return "unknown hash algorithm";
	}
	if (key->rsa != (s->alg != TPM_ALG_ECDSA)) {
		return "the signature's algorithm is not the key's";
	}
	return key->rsa ? rsa_verify(key, s, hash, tpm_digest_size(s->hash))
			: ecdsa(key, &s->r, &s->s, hash, tpm_digest_size(s->hash));
}

size_t crypto_name(const struct tpm_public *p, uint8_t out[66])
{
	out[0] = (uint8_t)(p->name_alg >> 8);
	out[1] = (uint8_t)p->name_alg;
	if (!crypto_hash(p->name_alg, p->area.at, p->area.n, out + 2)) {
		return 0;
	}
	return 2u + tpm_digest_size(p->name_alg);
}
