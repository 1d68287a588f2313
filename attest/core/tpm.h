/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_CORE_TPM_H
#define ATTEST_CORE_TPM_H
/*
 * The structures of a TPM that a verifier reads. TPM 2.0 Library, Part 2: Structures. All bytes are hostile; numbers in
 * them are big-endian. Spans point into the input.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/core/cbor.h"
#include "attest/core/event.h"

#define TPM_GENERATED 0xff544347u
#define TPM_ST_ATTEST_QUOTE 0x8018u
#define TPM_ALG_RSA 0x0001u
#define TPM_ALG_NULL 0x0010u
#define TPM_ALG_RSASSA 0x0014u
#define TPM_ALG_RSAPSS 0x0016u
#define TPM_ALG_ECDSA 0x0018u
#define TPM_ALG_ECDAA 0x001au
#define TPM_ALG_ECC 0x0023u
#define TPM_ECC_NIST_P256 0x0003u
#define TPM_ECC_NIST_P384 0x0004u
#define TPM_PCRS 24u

#define TPMA_FIXED_TPM (1u << 1)
#define TPMA_FIXED_PARENT (1u << 4)
#define TPMA_SENSITIVE_ORIGIN (1u << 5)
#define TPMA_USER_WITH_AUTH (1u << 6)
#define TPMA_RESTRICTED (1u << 16)
#define TPMA_DECRYPT (1u << 17)
#define TPMA_SIGN (1u << 18)

struct tpm_select {
	uint16_t alg;
	uint32_t mask; /* bit n: PCR n */
};

struct tpm_quote {
	struct span signer; /* qualifiedSigner: a name */
	struct span extra;  /* extraData */
	uint64_t clock;     /* milliseconds */
	uint32_t reset_count;
	uint32_t restart_count;
	bool safe;
	uint64_t firmware;
	struct tpm_select select[TPM_BANKS_MAX];
	uint32_t select_count;
	struct span digest; /* over the selected PCRs */
};

/* Which check the first fault belongs to (docs/attestation.md section 6). */
enum tpm_fault { TPM_FAULT_PARSE, TPM_FAULT_MAGIC, TPM_FAULT_TYPE, TPM_FAULT_TRAILING };

/* A TPMS_ATTEST of a quote (10.12.8). *fault only after a failure. */
bool tpm_quote_parse(const uint8_t *bytes, size_t n, struct tpm_quote *q, enum tpm_fault *fault,
		     struct wire_fault *why);

struct tpm_signature {
	uint16_t alg;  /* RSASSA, RSAPSS or ECDSA */
	uint16_t hash; /* TPM_ALG_ID */
	struct span r; /* the RSA signature; ECDSA: r */
	struct span s; /* ECDSA only */
};

/* A TPMT_SIGNATURE (11.3.4). */
bool tpm_signature_parse(const uint8_t *bytes, size_t n, struct tpm_signature *s,
			 struct wire_fault *why);

struct tpm_public {
	uint16_t type; /* RSA or ECC */
	uint16_t name_alg;
	uint32_t attributes;
	uint16_t scheme; /* NULL: any */
	uint16_t scheme_hash;
	uint16_t bits;      /* RSA */
	uint32_t exponent;  /* RSA: never 0 here */
	uint16_t curve;     /* ECC */
	struct span x;      /* RSA: the modulus */
	struct span y;      /* ECC only */
	struct span policy; /* authPolicy */
	struct span area;   /* the TPMT_PUBLIC: its hash is the key's name */
};

/* A TPM2B_PUBLIC of a key that can sign (12.2.5). */
bool tpm_public_parse(const uint8_t *bytes, size_t n, struct tpm_public *p, struct wire_fault *why);

/* One value of a PCR. */
struct tpm_pcr {
	uint16_t bank;
	uint16_t index;
	uint16_t n;
	uint8_t bytes[TPM_DIGEST_MAX];
};

#define TPM_PCR_VALUES_MAX (TPM_BANKS_MAX * TPM_PCRS)

struct tpm_pcrs {
	struct tpm_pcr at[TPM_PCR_VALUES_MAX];
	uint32_t count;
};

/* False where there is no room, no such PCR, the algorithm is unknown, the size is not its own, or the PCR is there already. */
bool tpm_pcrs_add(struct tpm_pcrs *p, uint16_t bank, uint64_t index, const uint8_t *bytes,
		  size_t n);
const struct tpm_pcr *tpm_pcrs_find(const struct tpm_pcrs *p, uint16_t bank, uint16_t index);

/* PCR values as text, "bank:index hex" a line (sha256:0 00ff..), or as tpm2_quote -o writes them. */
bool tpm_pcrs_parse(const uint8_t *bytes, size_t n, struct tpm_pcrs *p, struct wire_fault *why);

/* TPM_ALG_ID of a bank's name of `n` characters, or 0. */
uint16_t tpm_bank_by_name(const char *name, size_t n);

#endif
