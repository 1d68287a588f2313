/* SPDX-License-Identifier: MIT */
/*
 * redoubt-verify enroll: makes a credential that only the TPM with this endorsement key can open, and only for this
 * attestation key (TPM 2.0 Library, Part 1, section 24, Credential Protection). Files in, files out: challenge makes
 * the credential and keeps the secret, check compares what the TPM recovered.
 */
#include "attest/verify/chain.h"
#include "attest/verify/crypto.h"
#include "attest/verify/input.h"
#include "attest/verify/platform.h"
#include "attest/verify/verbs.h"
#include "attest/verify/verdict.h"

#include <mbedtls/aes.h>
#include <mbedtls/md.h>
#include <mbedtls/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define SECRET_BYTES 32u
#define SEED_BYTES 32u /* of the EK's name algorithm, SHA-256 */

static int random_bytes(void *state, unsigned char *out, size_t n)
{
	(void)state;
	return getrandom(out, n, 0) == (ssize_t)n ? 0 : -1;
}

/* KDFa (Part 1, 11.4.10.2) with SHA-256: one block of at most 32 bytes. */
static bool kdfa(const uint8_t *key, const char *label, const uint8_t *context, size_t context_n,
		 uint32_t bits, uint8_t *out)
{
	uint8_t text[4 + 16 + 66 + 4] = { 0, 0, 0, 1 }, mac[32];
	size_t n = 4;

	memcpy(text + n, label, strlen(label) + 1);
	n += strlen(label) + 1;
	memcpy(text + n, context, context_n);
	n += context_n;
	text[n++] = (uint8_t)(bits >> 24);
	text[n++] = (uint8_t)(bits >> 16);
	text[n++] = (uint8_t)(bits >> 8);
	text[n++] = (uint8_t)bits;
	if (mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), key, SEED_BYTES, text, n,
			    mac) != 0) {
		return false;
	}
	memcpy(out, mac, bits / 8);
	return true;
}

/* KDFe (Part 1, 11.4.10.3) with SHA-256: one block. x: of the ephemeral point, then of the key. */
static bool kdfe(const uint8_t z[32], const uint8_t *ephemeral_x, const uint8_t *key_x,
		 uint8_t out[SEED_BYTES])
{
	uint8_t text[4 + 32 + sizeof("IDENTITY") + 64] = { 0, 0, 0, 1 }, *to = text + 4;

	memcpy(to, z, 32);
	memcpy(to + 32, "IDENTITY", sizeof("IDENTITY"));
	memcpy(to + 32 + sizeof("IDENTITY"), ephemeral_x, 32);
	memcpy(to + 32 + sizeof("IDENTITY") + 32, key_x, 32);
	return crypto_hash(TPM_ALG_SHA256, text, sizeof(text), out);
}

/* A seed that only the key learns: by OAEP, or by a point of its curve (Part 1, B.10.4 and C.6.4). The TPM2B_ENCRYPTED_SECRET. */
static bool share_rsa(struct crypto_key *ek, uint8_t seed[SEED_BYTES], uint8_t *out, size_t *n)
{
	mbedtls_rsa_set_padding(&ek->rsa_key, MBEDTLS_RSA_PKCS_V21, MBEDTLS_MD_SHA256);
	out[0] = 1; /* 256 bytes */
	out[1] = 0;
	*n = 2 + 256;
	return random_bytes(NULL, seed, SEED_BYTES) == 0 &&
	       mbedtls_rsa_rsaes_oaep_encrypt(&ek->rsa_key, random_bytes, NULL, MBEDTLS_RSA_PUBLIC,
					      (const unsigned char *)"IDENTITY", sizeof("IDENTITY"),
					      SEED_BYTES, seed, out + 2) == 0;
}

static bool share_point(struct crypto_key *ek, uint8_t seed[SEED_BYTES], uint8_t *out, size_t *n)
{
	uint8_t z[32], key_x[32];
	mbedtls_ecp_point ephemeral, shared;
	mbedtls_mpi d;
	bool good;

	mbedtls_mpi_init(&d);
	mbedtls_ecp_point_init(&ephemeral);
	mbedtls_ecp_point_init(&shared);
	out[0] = out[2] = out[36] = 0; /* sizes: of all, of x, of y */
	out[1] = 2 * (2 + 32);
	out[3] = out[37] = 32;
	*n = 2 + 2 * (2 + 32);
	good = mbedtls_ecp_gen_keypair(&ek->by_g, &d, &ephemeral, random_bytes, NULL) == 0 &&
	       mbedtls_ecp_mul(&ek->by_g, &shared, &d, &ek->q, random_bytes, NULL) == 0 &&
	       mbedtls_mpi_write_binary(&shared.X, z, 32) == 0 &&
	       mbedtls_mpi_write_binary(&ek->q.X, key_x, 32) == 0 &&
	       mbedtls_mpi_write_binary(&ephemeral.X, out + 4, 32) == 0 &&
	       mbedtls_mpi_write_binary(&ephemeral.Y, out + 38, 32) == 0 &&
	       kdfe(z, out + 4, key_x, seed);
	mbedtls_mpi_free(&d);
	mbedtls_ecp_point_free(&ephemeral);
	mbedtls_ecp_point_free(&shared);
	return good;
}

/* An endorsement key of a default template: RSA 2048 or P-256, AES-128-CFB, SHA-256. NULL, or what is wrong. */
static const char *judge_ek(const struct tpm_public *ek)
{
	const uint32_t needed = TPMA_FIXED_TPM | TPMA_FIXED_PARENT | TPMA_SENSITIVE_ORIGIN |
				TPMA_RESTRICTED | TPMA_DECRYPT;

	if (ek->name_alg != TPM_ALG_SHA256 ||
	    (ek->type == TPM_ALG_RSA ? ek->bits != 2048 : ek->curve != TPM_ECC_NIST_P256)) {
		return "the endorsement key is neither RSA 2048 nor P-256, with SHA-256 (templates L-1, L-2)";
	}
	if ((ek->attributes & needed) != needed || (ek->attributes & TPMA_SIGN) != 0) {
		return "its attributes are not those of an endorsement key";
	}
	return NULL;
}

/* TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET. NULL, or what failed. */
static const char *make_credential(const struct tpm_public *ek, const uint8_t *name, size_t name_n,
				   const uint8_t secret[SECRET_BYTES], uint8_t *out, size_t *n)
{
	uint8_t seed[SEED_BYTES], key[16], hmac_key[32],
		iv[16] = { 0 }, plain[2 + SECRET_BYTES] = { 0, SECRET_BYTES };
	uint8_t mac_text[2 + SECRET_BYTES + 66], mac[32];
	uint8_t *id = out + 8, *encrypted = id + 2 + 2 + 32 + sizeof(plain);
	const char *bad = "encryption failed";
	struct crypto_key key_ek;
	mbedtls_aes_context aes;
	size_t offset = 0, encrypted_n = 0;

	memcpy(plain + 2, secret, SECRET_BYTES);
	bad = crypto_key_tpm(&key_ek, ek);
	mbedtls_aes_init(&aes);
	if (bad == NULL) {
		bad = "encryption failed";
		if ((key_ek.rsa ? share_rsa : share_point)(&key_ek, seed, encrypted,
							   &encrypted_n) &&
		    kdfa(seed, "STORAGE", name, name_n, 128, key) &&
		    kdfa(seed, "INTEGRITY", NULL, 0, 256, hmac_key) &&
		    mbedtls_aes_setkey_enc(&aes, key, 128) == 0 &&
		    mbedtls_aes_crypt_cfb128(&aes, MBEDTLS_AES_ENCRYPT, sizeof(plain), &offset, iv,
					     plain, id + 36) == 0) {
			memcpy(mac_text, id + 36, sizeof(plain));
			memcpy(mac_text + sizeof(plain), name, name_n);
			if (mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), hmac_key,
					    sizeof(hmac_key), mac_text, sizeof(plain) + name_n,
					    mac) == 0) {
				bad = NULL;
			}
		}
	}
	mbedtls_aes_free(&aes);
	crypto_key_end(&key_ek);
	/* The file of tpm2_makecredential: magic, version, then both structures. */
	memcpy(out, "\xba\xdc\xc0\xde\0\0\0\1", 8);
	id[0] = 0;
	id[1] = 2 + 32 + sizeof(plain);
	id[2] = 0;
	id[3] = 32;
	memcpy(id + 4, mac, 32);
	*n = (size_t)(encrypted + encrypted_n - out);
	return bad;
}

struct words {
	const char *ek, *ak, *out, *secret, *recovered, *cert, *ca, *time;
	bool json, quiet;
};

/* The one object of --json; text: what is wrong, or NULL. name: of the attestation key, which nothing proves yet. */
static void answer(const char *step, enum verdict_exit exit, const char *text, const uint8_t *name,
		   size_t name_n)
{
	json_t *all = json_pack("{s:s, s:s, s:s, s:i, s:s?, s:s?}", "verb", "enroll", "step", step,
				"verdict",
				exit != VERDICT_ACCEPTED     ? "REJECTED"
				: strcmp(step, "check") == 0 ? "ACCEPTED"
							     : "UNDECIDED",
				"exit", (int)exit, "failed", text != NULL ? "enroll" : NULL, "text",
				text);

	if (name_n != 0) {
		json_object_set_new(all, "unverified",
				    json_pack("{s:o}", "ak_name", json_hex(name, name_n)));
	}
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(all);
}

/* A PEM file as mbedtls wants it, with a NUL behind it; DER as it is. */
static bool read_certificates(const char *path, struct input *in)
{
	uint8_t *longer;

	if (!input_read(path, in)) {
		return false;
	}
	longer = realloc(in->at, in->n + 1);
	if (longer != NULL) {
		in->at = longer;
		in->at[in->n] = '\0';
		in->n += in->n != 0 && in->at[0] != 0x30 ? 1 : 0;
	}
	return longer != NULL || usage_error("out of memory") == 0;
}

/* The maker of the TPM vouches for the endorsement key. False where files cannot be read; *bad: why it is refused. */
static bool judge_certificate(const struct words *w, const struct tpm_public *ek, const char **bad)
{
	struct input cert = { NULL, 0 }, ca = { NULL, 0 };
	int64_t now = time(NULL);
	bool read;

	if (w->cert == NULL) {
		return true;
	}
	if (w->time != NULL && !policy_time(w->time, &now)) {
		return usage_error("--time %s: write for example 2027-01-31T00:00:00Z", w->time) ==
		       0;
	}
	read = read_certificates(w->cert, &cert) && read_certificates(w->ca, &ca);
	if (read) {
		*bad = chain_ek(ek, cert.at, cert.n, ca.at, ca.n, now);
	}
	input_free(&cert);
	input_free(&ca);
	return read;
}

static int challenge(const struct words *w)
{
	struct input ek_in = { NULL, 0 }, ak_in = { NULL, 0 };
	uint8_t name[66], secret[SECRET_BYTES], out[512];
	struct tpm_public ek, ak;
	struct wire_fault why;
	const char *bad = NULL;
	size_t n = 0, name_n = 0;
	struct verdict v;
	bool fit, readable = true;

	if (!input_read(w->ek, &ek_in) || !input_read(w->ak, &ak_in)) {
		input_free(&ek_in);
		return VERDICT_USAGE;
	}
	if (!tpm_public_parse(ek_in.at, ek_in.n, &ek, &why) ||
	    !tpm_public_parse(ak_in.at, ak_in.n, &ak, &why)) {
		bad = why.field;
	} else if ((bad = judge_ek(&ek)) == NULL && (readable = judge_certificate(w, &ek, &bad)) &&
		   bad == NULL) {
		verdict_begin(&v);
		fit = platform_attributes(&v, &ak);
		verdict_end(&v);
		name_n = crypto_name(&ak, name);
		bad = !fit || name_n == 0
			      ? "the attestation key's attributes are not those of one (0x00050072)"
		      : random_bytes(NULL, secret, sizeof(secret)) != 0
			      ? "the kernel gives no random bytes"
			      : make_credential(&ek, name, name_n, secret, out, &n);
	}
	input_free(&ek_in);
	input_free(&ak_in);
	if (!readable) {
		return VERDICT_USAGE;
	}
	if (bad != NULL) {
		fprintf(stderr, "redoubt-verify: enroll: %s\n", bad);
		if (w->json) {
			answer("challenge", VERDICT_NOT_AUTHENTIC, bad, NULL, 0);
		}
		return VERDICT_NOT_AUTHENTIC;
	}
	if (!output_write(w->out, out, n) || !output_write(w->secret, secret, sizeof(secret))) {
		return VERDICT_USAGE;
	}
	if (w->json || w->quiet) {
		if (w->json) {
			answer("challenge", VERDICT_ACCEPTED, NULL, name, name_n);
		}
		return VERDICT_ACCEPTED;
	}
	printf("credential written: let the TPM open it (ActivateCredential), then: redoubt-verify enroll --check\nunverified:\n  ak_name: ");
	for (size_t i = 0; i < name_n; i++) {
		printf("%02x", name[i]);
	}
	putchar('\n');
	return VERDICT_ACCEPTED;
}

static int check(const struct words *w)
{
	static const char not_own[] =
		"the TPM did not recover the secret: the attestation key is not its own";
	struct input secret = { NULL, 0 }, recovered = { NULL, 0 };
	uint8_t differs = 0;

	if (!input_read(w->secret, &secret) || !input_read(w->recovered, &recovered)) {
		input_free(&secret);
		return VERDICT_USAGE;
	}
	for (size_t i = 0;
	     i < SECRET_BYTES && secret.n == SECRET_BYTES && recovered.n == SECRET_BYTES; i++) {
		differs |= secret.at[i] ^ recovered.at[i];
	}
	differs |= secret.n != SECRET_BYTES || recovered.n != SECRET_BYTES;
	input_free(&secret);
	input_free(&recovered);
	if (w->json) {
		answer("check", differs == 0 ? VERDICT_ACCEPTED : VERDICT_NOT_AUTHENTIC,
		       differs == 0 ? NULL : not_own, NULL, 0);
	} else if (!w->quiet && differs == 0) {
		puts("ACCEPTED");
	} else if (!w->quiet) {
		printf("REJECTED (not authentic): enroll: %s\n", not_own);
	}
	return differs == 0 ? VERDICT_ACCEPTED : VERDICT_NOT_AUTHENTIC;
}

int verb_enroll(int argc, char **argv)
{
	struct words w = { 0 };
	bool checking = false;
	const struct option_in options[] = { { "ek", &w.ek, NULL },
					     { "ak", &w.ak, NULL },
					     { "out", &w.out, NULL },
					     { "secret", &w.secret, NULL },
					     { "recovered", &w.recovered, NULL },
					     { "ek-cert", &w.cert, NULL },
					     { "ca", &w.ca, NULL },
					     { "time", &w.time, NULL },
					     { "check", NULL, &checking },
					     { "json", NULL, &w.json },
					     { "quiet", NULL, &w.quiet } };
	unsigned int none;

	if (!input_options(argc, argv, options, sizeof(options) / sizeof(options[0]), NULL, 0,
			   &none)) {
		return VERDICT_USAGE;
	}
	if (checking && w.secret != NULL && w.recovered != NULL) {
		return check(&w);
	}
	if ((w.cert == NULL) != (w.ca == NULL)) {
		return usage_error("enroll: --ek-cert and --ca go together");
	}
	if (!checking && w.ek != NULL && w.ak != NULL && w.out != NULL && w.secret != NULL) {
		return challenge(&w);
	}
	return usage_error(
		"enroll wants --ek F --ak F --out F --secret F, or --check --secret F --recovered F");
}
