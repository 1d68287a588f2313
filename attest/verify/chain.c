/* SPDX-License-Identifier: MIT */
/* Trust in an attestation key. Certificates: RFC 5280 by mbedtls, time by ours, purpose by TCG EK and AK profiles. */
#include "attest/verify/chain.h"

#include <mbedtls/x509_crt.h>
#include <string.h>
#include <time.h>

/* 2.23.133.8.3, tcg-kp-AIKCertificate, and .1, tcg-kp-EKCertificate */
static const char aik_purpose[] = { 0x67, (char)0x81, 0x05, 0x08, 0x03 };
static const char ek_purpose[] = { 0x67, (char)0x81, 0x05, 0x08, 0x01 };

static int64_t seconds(const mbedtls_x509_time *t)
{
	struct tm when;

	memset(&when, 0, sizeof(when));
	when.tm_year = t->year - 1900;
	when.tm_mon = t->mon - 1;
	when.tm_mday = t->day;
	when.tm_hour = t->hour;
	when.tm_min = t->min;
	when.tm_sec = t->sec;
	return timegm(&when);
}

/* Called by mbedtls for each certificate of the chain: time is the verifier's --time, not that of the machine's clock. */
static int judge_time(void *state, mbedtls_x509_crt *cert, int depth, uint32_t *flags)
{
	int64_t now = *(const int64_t *)state;

	(void)depth;
	*flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
	if (now > seconds(&cert->valid_to)) {
		*flags |= MBEDTLS_X509_BADCERT_EXPIRED;
	}
	if (now < seconds(&cert->valid_from)) {
		*flags |= MBEDTLS_X509_BADCERT_FUTURE;
	}
	return 0;
}

/* NULL where the certificate is for this key. */
static const char *same_key(mbedtls_x509_crt *cert, const struct tpm_public *ak)
{
	uint8_t x[512], y[66];
	const mbedtls_ecp_keypair *ec;

	if (ak->type == TPM_ALG_RSA) {
		mbedtls_mpi n;
		bool same;

		if (mbedtls_pk_get_type(&cert->pk) != MBEDTLS_PK_RSA) {
			return "the certificate is for another key";
		}
		mbedtls_mpi_init(&n);
		same = mbedtls_mpi_read_binary(&n, ak->x.at, ak->x.n) == 0 &&
		       mbedtls_mpi_cmp_mpi(&n, &mbedtls_pk_rsa(cert->pk)->N) == 0;
		mbedtls_mpi_free(&n);
		return same ? NULL : "the certificate is for another key";
	}
	if (mbedtls_pk_get_type(&cert->pk) != MBEDTLS_PK_ECKEY || ak->x.n > sizeof(y) ||
	    ak->y.n > sizeof(y)) {
		return "the certificate is for another key";
	}
	ec = mbedtls_pk_ec(cert->pk);
	if (mbedtls_mpi_write_binary(&ec->Q.X, x, ak->x.n) != 0 ||
	    memcmp(x, ak->x.at, ak->x.n) != 0 ||
	    mbedtls_mpi_write_binary(&ec->Q.Y, y, ak->y.n) != 0 ||
	    memcmp(y, ak->y.at, ak->y.n) != 0) {
		return "the certificate is for another key";
	}
	return NULL;
}

static const char *judge_chain(mbedtls_x509_crt *authorities, const struct tpm_public *key,
			       mbedtls_x509_crt *chain, const char purpose[5], int64_t now)
{
	uint32_t flags = 0;
	int result = mbedtls_x509_crt_verify_with_profile(chain, authorities, NULL,
							  &mbedtls_x509_crt_profile_next, NULL,
							  &flags, judge_time, &now);

	if (result != 0 || flags != 0) {
		return (flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0 ? "a certificate has expired"
		       : (flags & MBEDTLS_X509_BADCERT_FUTURE) != 0
			       ? "a certificate is not valid yet"
		       : (flags & (MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_KEY |
				   MBEDTLS_X509_BADCERT_BAD_PK)) != 0
			       ? "a certificate has a weak signature or key"
			       : "the certificate leads to no authority that you trust";
	}
	if (chain->ca_istrue) {
		return "the key's certificate is an authority's";
	}
	if (mbedtls_x509_crt_check_extended_key_usage(chain, purpose, sizeof(aik_purpose)) != 0) {
		return "the certificate is for another purpose";
	}
	return same_key(chain, key);
}

const char *chain_ek(const struct tpm_public *ek, const uint8_t *cert, size_t cert_n,
		     const uint8_t *ca, size_t ca_n, int64_t now)
{
	const char *bad = "the endorsement key's certificate is malformed";
	mbedtls_x509_crt chain, authorities;

	mbedtls_x509_crt_init(&chain);
	mbedtls_x509_crt_init(&authorities);
	if (mbedtls_x509_crt_parse(&authorities, ca, ca_n) != 0) {
		bad = "--ca is malformed: give certificates in PEM, or one in DER";
	} else if (mbedtls_x509_crt_parse(&chain, cert, cert_n) == 0) {
		bad = judge_chain(&authorities, ek, &chain, ek_purpose, now);
	}
	mbedtls_x509_crt_free(&chain);
	mbedtls_x509_crt_free(&authorities);
	return bad;
}

bool chain_trusted(struct verdict *v, const struct policy *p, const struct tpm_public *ak,
		   const struct span *cert, uint32_t certs, int64_t now)
{
	const char *bad = "a certificate is malformed";
	mbedtls_x509_crt chain;
	uint8_t name[66];
	size_t n = crypto_name(ak, name);
	bool read = true;

	for (unsigned int i = 0; i < p->keys && n != 0; i++) {
		if (p->key[i].n == n && memcmp(p->key[i].bytes, name, n) == 0) {
			return verdict_ok(v, "ak.trusted", "key %u of the policy, by its name",
					  i + 1);
		}
	}
	if (p->authorities == NULL) {
		return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "ak.trusted",
				    "the attestation key is none of the %u that the policy names",
				    p->keys);
	}
	if (certs == 0) {
		return verdict_fail(
			v, VERDICT_UNDECIDABLE, "ak.trusted",
			"the key is not named by the policy, and no certificate came with it");
	}
	mbedtls_x509_crt_init(&chain);
	for (uint32_t i = 0; i < certs && read; i++) {
		read = mbedtls_x509_crt_parse_der(&chain, cert[i].at, cert[i].n) == 0;
	}
	if (read) {
		bad = judge_chain(p->authorities, ak, &chain, aik_purpose, now);
	}
	mbedtls_x509_crt_free(&chain);
	return bad == NULL ? verdict_ok(v, "ak.trusted",
					"by a certificate of an authority of the policy")
			   : verdict_fail(v, VERDICT_NOT_AUTHENTIC, "ak.trusted", "%s", bad);
}
