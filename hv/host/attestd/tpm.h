/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_ATTESTD_TPM_H
#define HV_HOST_ATTESTD_TPM_H
/*
 * The TPM through tss2-esys (TCG TSS 2.0 ESAPI). Keys: EK, RSA 2048 of the default template L-1 (TCG EK Credential Profile
 * 2.5, B.3.3), or P-256 of L-2 where the maker has left a certificate of that one alone; AK, ECC P-256, restricted signing, primary in the endorsement hierarchy: made from the TPM's seed, so it is the
 * same one each time. Both are made persistent at fixed handles where the owner's authorization is empty.
 * Functions answer NULL, or a text for a person.
 */
#include "attest/core/tpm.h"
#include "hv/host/attestd/attestd.h"

#define TPM_EK_HANDLE 0x81010001u       /* TCG's for an RSA 2048 EK */
#define TPM_EK_CURVE_HANDLE 0x8101000au /* its number, as of the certificate's index */
#define TPM_AK_HANDLE 0x81010d01u
#define TPM_EK_CERT_INDEX 0x01c00002u /* section 2.2.1.4 */
#define TPM_EK_CURVE_CERT_INDEX 0x01c0000au

struct tpm;

/*
 * fd: /dev/tpmrm0, or a socket of a software TPM. Makes the keys, reads the certificate, and does everything once, so that the
 * libraries below have loaded what they need before the sandbox closes. Seconds on a slow TPM.
 */
const char *tpm_open(int fd, struct tpm **tpm);

const struct part *tpm_ek(const struct tpm *t); /* TPM2B_PUBLIC */
const struct part *tpm_ak(const struct tpm *t); /* TPM2B_PUBLIC */
const struct part *tpm_ek_certificate(const struct tpm *t);

struct tpm_evidence {
	struct part attest;    /* TPMS_ATTEST */
	struct part signature; /* TPMT_SIGNATURE */
	struct tpm_pcrs pcrs;  /* the values that the quote is over */
};

/* PCR 0-9, 14 and 22 of sha256 and, where active, sha384, over `extra` (32 bytes). */
const char *tpm_quote(struct tpm *t, const uint8_t extra[32], struct tpm_evidence *e);

/* TPM2_ActivateCredential with the AK and the EK. Hostile bytes: TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET. */
const char *tpm_activate(struct tpm *t, const uint8_t *credential, size_t credential_n,
			 const uint8_t *secret, size_t secret_n, struct part *out);

/* tcti.c: commands and answers over a descriptor. Room for the context is the caller's; tcti_size() bytes. */
struct tcti;
struct tcti *tcti_open(int fd);

#endif
