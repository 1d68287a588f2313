/* SPDX-License-Identifier: MIT */
#include "hv/host/attestd/tpm.h"

#include <mbedtls/sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>

#define TRIES 3 /* PCRs that change between reading and quoting */

struct tpm {
	ESYS_CONTEXT *esys;
	ESYS_TR ek, ak;
	bool sha384;
	struct part ek_public, ak_public, ek_certificate;
};

/* Sole user of the answers' texts: one request at a time. */
static char fault_text[160];

static const char *fault(const char *what, TSS2_RC rc)
{
	(void)snprintf(fault_text, sizeof(fault_text), "the TPM refuses %s: response code 0x%x",
		       what, (unsigned int)rc);
	return fault_text;
}

/* TCG EK Credential Profile 2.5, template L-1: PolicySecret(endorsement hierarchy). */
static const uint8_t ek_policy[32] = { 0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8,
				       0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
				       0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64,
				       0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa };

/* TCG EK Credential Profile 2.5, B.3.3 and B.3.4. */
static TPM2B_PUBLIC ek_template(bool curve)
{
	TPM2B_PUBLIC p = { 0 };
	TPMT_PUBLIC *a = &p.publicArea;
	TPMT_SYM_DEF_OBJECT aes = { .algorithm = TPM2_ALG_AES,
				    .keyBits.aes = 128,
				    .mode.aes = TPM2_ALG_CFB };

	a->type = curve ? TPM2_ALG_ECC : TPM2_ALG_RSA;
	a->nameAlg = TPM2_ALG_SHA256;
	a->objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
			      TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_ADMINWITHPOLICY |
			      TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
	a->authPolicy.size = sizeof(ek_policy);
	memcpy(a->authPolicy.buffer, ek_policy, sizeof(ek_policy));
	if (curve) {
		a->parameters.eccDetail.symmetric = aes;
		a->parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
		a->parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
		a->parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
		a->unique.ecc.x.size = 32;
		a->unique.ecc.y.size = 32;
		return p;
	}
	a->parameters.rsaDetail.symmetric = aes;
	a->parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
	a->parameters.rsaDetail.keyBits = 2048;
	a->unique.rsa.size = 256;
	return p;
}

static TPM2B_PUBLIC ak_template(void)
{
	TPM2B_PUBLIC p = { 0 };
	TPMT_PUBLIC *a = &p.publicArea;

	a->type = TPM2_ALG_ECC;
	a->nameAlg = TPM2_ALG_SHA256;
	a->objectAttributes =
		TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
		TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT |
		TPMA_OBJECT_NODA; /* the empty password cannot be guessed: machines that lose power must not lock the key */
	a->parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
	a->parameters.eccDetail.scheme.scheme = TPM2_ALG_ECDSA;
	a->parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
	a->parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
	a->parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
	return p;
}

/* What is at a fixed handle must be what our template makes: somebody else's key there is not touched. */
static bool fits(const TPM2B_PUBLIC *found, const TPM2B_PUBLIC *wanted)
{
	const TPMT_PUBLIC *f = &found->publicArea, *w = &wanted->publicArea;

	if (f->type != w->type || f->nameAlg != w->nameAlg ||
	    f->objectAttributes != w->objectAttributes ||
	    f->authPolicy.size != w->authPolicy.size ||
	    memcmp(f->authPolicy.buffer, w->authPolicy.buffer, w->authPolicy.size) != 0) {
		return false;
	}
	return w->type == TPM2_ALG_RSA ||
	       (f->parameters.eccDetail.curveID == w->parameters.eccDetail.curveID &&
		f->parameters.eccDetail.scheme.scheme == w->parameters.eccDetail.scheme.scheme);
}

static TSS2_RC make_primary(struct tpm *t, const TPM2B_PUBLIC *wanted, ESYS_TR *key)
{
	TPM2B_SENSITIVE_CREATE sensitive = { 0 };
	TPM2B_DATA outside = { 0 };
	TPML_PCR_SELECTION none = { 0 };

	return Esys_CreatePrimary(t->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD, ESYS_TR_NONE,
				  ESYS_TR_NONE, &sensitive, wanted, &outside, &none, key, NULL,
				  NULL, NULL, NULL);
}

/* The key at its handle; else it is made and, where the owner allows, made persistent there. */
static const char *take_key(struct tpm *t, TPM2_HANDLE handle, const TPM2B_PUBLIC *wanted,
			    const char *name, ESYS_TR *key, struct part *public_area)
{
	TPM2B_PUBLIC *found = NULL;
	ESYS_TR kept = ESYS_TR_NONE;
	TSS2_RC rc;

	if (Esys_TR_FromTPMPublic(t->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, key) !=
	    TSS2_RC_SUCCESS) {
		rc = make_primary(t, wanted, key);
		if (rc != TSS2_RC_SUCCESS) {
			return fault(name, rc);
		}
		if (Esys_EvictControl(t->esys, ESYS_TR_RH_OWNER, *key, ESYS_TR_PASSWORD,
				      ESYS_TR_NONE, ESYS_TR_NONE, handle,
				      &kept) == TSS2_RC_SUCCESS) {
			(void)Esys_FlushContext(t->esys, *key);
			*key = kept;
		}
	}
	rc = Esys_ReadPublic(t->esys, *key, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &found, NULL,
			     NULL);
	if (rc != TSS2_RC_SUCCESS) {
		return fault(name, rc);
	}
	if (!fits(found, wanted)) {
		Esys_Free(found);
		(void)snprintf(fault_text, sizeof(fault_text),
			       "another key is at the %s's handle 0x%x: tpm2_evictcontrol -c 0x%x "
			       "removes it",
			       name, handle, handle);
		return fault_text;
	}
	rc = Tss2_MU_TPM2B_PUBLIC_Marshal(found, public_area->at, sizeof(public_area->at),
					  &public_area->n);
	Esys_Free(found);
	return rc == TSS2_RC_SUCCESS ? NULL : fault(name, rc);
}

/* The maker's certificate of the EK, DER. Many software TPMs have none: that is no error. */
static void read_certificate(struct tpm *t, TPM2_HANDLE at)
{
	TPM2B_NV_PUBLIC *area = NULL;
	ESYS_TR index;
	uint16_t size;

	if (Esys_TR_FromTPMPublic(t->esys, at, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &index) !=
	    TSS2_RC_SUCCESS) {
		return;
	}
	if (Esys_NV_ReadPublic(t->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &area,
			       NULL) != TSS2_RC_SUCCESS) {
		return;
	}
	size = area->nvPublic.dataSize;
	Esys_Free(area);
	while (t->ek_certificate.n < size && size <= PART_MAX) {
		uint16_t left = (uint16_t)(size - t->ek_certificate.n);
		TPM2B_MAX_NV_BUFFER *piece = NULL;

		if (Esys_NV_Read(t->esys, index, index, ESYS_TR_PASSWORD, ESYS_TR_NONE,
				 ESYS_TR_NONE, left < 512 ? left : 512,
				 (uint16_t)t->ek_certificate.n, &piece) != TSS2_RC_SUCCESS ||
		    piece->size == 0 || piece->size > left) {
			Esys_Free(piece);
			t->ek_certificate.n = 0;
			return;
		}
		memcpy(t->ek_certificate.at + t->ek_certificate.n, piece->buffer, piece->size);
		t->ek_certificate.n += piece->size;
		Esys_Free(piece);
	}
}

static const char *find_banks(struct tpm *t)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	bool sha256 = false;
	TSS2_RC rc = Esys_GetCapability(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
					TPM2_CAP_PCRS, 0, 1, NULL, &data);

	if (rc != TSS2_RC_SUCCESS) {
		return fault("the list of PCR banks", rc);
	}
	for (uint32_t i = 0; i < data->data.assignedPCR.count && i < TPM2_NUM_PCR_BANKS; i++) {
		const TPMS_PCR_SELECTION *s = &data->data.assignedPCR.pcrSelections[i];
		bool active = s->sizeofSelect >= 3 &&
			      (s->pcrSelect[0] & s->pcrSelect[1] & s->pcrSelect[2]) == 0xff;

		sha256 = sha256 || (active && s->hash == TPM2_ALG_SHA256);
		t->sha384 = t->sha384 || (active && s->hash == TPM2_ALG_SHA384);
	}
	Esys_Free(data);
	return sha256 ? NULL
		      : "the TPM's PCR bank sha256 is not active: switch it on in the firmware";
}

const char *tpm_open(int fd, struct tpm **tpm)
{
	static struct tpm t;
	static struct tpm_evidence evidence;
	static struct part part;
	static const uint8_t extra[32];
	TSS2_ABI_VERSION abi = TSS2_ABI_VERSION_CURRENT;
	TPM2B_PUBLIC ek, ak = ak_template();
	struct tcti *tcti = tcti_open(fd);
	const char *why;
	bool curve = false;
	TSS2_RC rc;

	if (tcti == NULL) {
		return "no memory";
	}
	rc = Esys_Initialize(&t.esys, (TSS2_TCTI_CONTEXT *)tcti, &abi);
	if (rc != TSS2_RC_SUCCESS) {
		return fault("to be used", rc);
	}
	why = find_banks(&t);
	if (why == NULL) {
		/* The key that the maker vouches for; RSA where it is both or neither. */
		read_certificate(&t, TPM_EK_CERT_INDEX);
		if (t.ek_certificate.n == 0) {
			read_certificate(&t, TPM_EK_CURVE_CERT_INDEX);
			curve = t.ek_certificate.n != 0;
		}
		ek = ek_template(curve);
		why = take_key(&t, curve ? TPM_EK_CURVE_HANDLE : TPM_EK_HANDLE, &ek, "EK", &t.ek,
			       &t.ek_public);
	}
	if (why == NULL) {
		why = take_key(&t, TPM_AK_HANDLE, &ak, "AK", &t.ak, &t.ak_public);
	}
	if (why != NULL) {
		return why;
	}
	/* Nonsense, which the TPM refuses: but the session was made and ended once. */
	(void)tpm_activate(&t, (const uint8_t[]){ 0, 1, 0 }, 3, (const uint8_t[]){ 0, 1, 0 }, 3,
			   &part);
	why = tpm_quote(&t, extra, &evidence);
	*tpm = &t;
	return why;
}

const struct part *tpm_ek(const struct tpm *t)
{
	return &t->ek_public;
}

const struct part *tpm_ak(const struct tpm *t)
{
	return &t->ak_public;
}

const struct part *tpm_ek_certificate(const struct tpm *t)
{
	return &t->ek_certificate;
}

/* PCR 0-9, 14, 22. */
static TPML_PCR_SELECTION selection(const struct tpm *t)
{
	TPMS_PCR_SELECTION one = { .hash = TPM2_ALG_SHA256,
				   .sizeofSelect = 3,
				   .pcrSelect = { 0xff, 0x43, 0x40 } };
	TPML_PCR_SELECTION all = { .count = t->sha384 ? 2 : 1 };

	all.pcrSelections[0] = one;
	one.hash = TPM2_ALG_SHA384;
	all.pcrSelections[1] = one;
	return all;
}

static bool keep_values(TPML_PCR_SELECTION *left, const TPML_PCR_SELECTION *got,
			const TPML_DIGEST *values, struct tpm_pcrs *pcrs)
{
	uint32_t value = 0;

	for (uint32_t i = 0; i < got->count && i < left->count; i++) {
		for (uint16_t pcr = 0; pcr < TPM_PCRS; pcr++) {
			uint8_t bit = (uint8_t)(1u << pcr % 8);

			if ((got->pcrSelections[i].pcrSelect[pcr / 8] & bit) == 0) {
				continue;
			}
			if (value >= values->count ||
			    !tpm_pcrs_add(pcrs, got->pcrSelections[i].hash, pcr,
					  values->digests[value].buffer,
					  values->digests[value].size)) {
				return false;
			}
			value++;
			left->pcrSelections[i].pcrSelect[pcr / 8] &= (uint8_t)~bit;
		}
	}
	return value != 0 && value == values->count;
}

/* A TPM answers with some of the PCRs; those are then left out. */
static const char *read_pcrs(struct tpm *t, struct tpm_pcrs *pcrs)
{
	TPML_PCR_SELECTION left = selection(t);

	pcrs->count = 0;
	for (;;) {
		TPML_PCR_SELECTION *got = NULL;
		TPML_DIGEST *values = NULL;
		bool more = false, good;
		TSS2_RC rc;

		for (uint32_t i = 0; i < left.count; i++) {
			const uint8_t *s = left.pcrSelections[i].pcrSelect;

			more = more || (s[0] | s[1] | s[2]) != 0;
		}
		if (!more) {
			return NULL;
		}
		rc = Esys_PCR_Read(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &left, NULL,
				   &got, &values);
		if (rc != TSS2_RC_SUCCESS) {
			return fault("to read PCRs", rc);
		}
		good = keep_values(&left, got, values, pcrs);
		Esys_Free(got);
		Esys_Free(values);
		if (!good) {
			return "the TPM answers with other PCRs than it was asked for";
		}
	}
}

/* Whether the values read are those quoted: the digest over them in the order of the selection. */
static bool quoted(const struct tpm *t, const struct tpm_pcrs *pcrs, const TPM2B_DIGEST *digest)
{
	static const uint16_t banks[] = { TPM_ALG_SHA256, TPM_ALG_SHA384 };
	mbedtls_sha256_context hash;
	uint8_t out[32];

	mbedtls_sha256_init(&hash);
	(void)mbedtls_sha256_starts_ret(&hash, 0);
	for (unsigned int i = 0; i < (t->sha384 ? 2u : 1u); i++) {
		for (uint16_t pcr = 0; pcr < TPM_PCRS; pcr++) {
			const struct tpm_pcr *value = tpm_pcrs_find(pcrs, banks[i], pcr);

			if (value != NULL) {
				(void)mbedtls_sha256_update_ret(&hash, value->bytes, value->n);
			}
		}
	}
	(void)mbedtls_sha256_finish_ret(&hash, out);
	mbedtls_sha256_free(&hash);
	return digest->size == sizeof(out) && memcmp(digest->buffer, out, sizeof(out)) == 0;
}

static const char *quote_once(struct tpm *t, const uint8_t extra[32], struct tpm_evidence *e,
			      bool *same)
{
	TPML_PCR_SELECTION pcrs = selection(t);
	TPMT_SIG_SCHEME scheme = { .scheme = TPM2_ALG_NULL };
	TPM2B_DATA qualifying = { .size = 32 };
	TPM2B_ATTEST *attest = NULL;
	TPMT_SIGNATURE *signature = NULL;
	TPMS_ATTEST read;
	size_t at = 0;
	const char *why;
	TSS2_RC rc;

	memcpy(qualifying.buffer, extra, 32);
	why = read_pcrs(t, &e->pcrs);
	if (why != NULL) {
		return why;
	}
	rc = Esys_Quote(t->esys, t->ak, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &qualifying,
			&scheme, &pcrs, &attest, &signature);
	if (rc != TSS2_RC_SUCCESS) {
		return fault("to quote", rc);
	}
	e->signature.n = 0;
	rc = Tss2_MU_TPMT_SIGNATURE_Marshal(signature, e->signature.at, sizeof(e->signature.at),
					    &e->signature.n);
	if (rc == TSS2_RC_SUCCESS) {
		rc = Tss2_MU_TPMS_ATTEST_Unmarshal(attest->attestationData, attest->size, &at,
						   &read);
	}
	if (rc == TSS2_RC_SUCCESS && attest->size <= sizeof(e->attest.at)) {
		e->attest.n = attest->size;
		memcpy(e->attest.at, attest->attestationData, attest->size);
		*same = quoted(t, &e->pcrs, &read.attested.quote.pcrDigest);
	}
	Esys_Free(attest);
	Esys_Free(signature);
	return rc == TSS2_RC_SUCCESS ? NULL : fault("a whole quote", rc);
}

const char *tpm_quote(struct tpm *t, const uint8_t extra[32], struct tpm_evidence *e)
{
	for (unsigned int i = 0; i < TRIES; i++) {
		bool same = false;
		const char *why = quote_once(t, extra, e, &same);

		if (why != NULL || same) {
			return why;
		}
	}
	return "PCRs changed while they were quoted: ask again";
}

/* A policy session for the EK: PolicySecret(endorsement hierarchy). */
static TSS2_RC ek_session(struct tpm *t, ESYS_TR *session)
{
	TPMT_SYM_DEF none = { .algorithm = TPM2_ALG_NULL };
	TSS2_RC rc = Esys_StartAuthSession(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
					   ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_POLICY, &none,
					   TPM2_ALG_SHA256, session);

	if (rc != TSS2_RC_SUCCESS) {
		return rc;
	}
	rc = Esys_PolicySecret(t->esys, ESYS_TR_RH_ENDORSEMENT, *session, ESYS_TR_PASSWORD,
			       ESYS_TR_NONE, ESYS_TR_NONE, NULL, NULL, NULL, 0, NULL, NULL);
	if (rc != TSS2_RC_SUCCESS) {
		(void)Esys_FlushContext(t->esys, *session);
	}
	return rc;
}

const char *tpm_activate(struct tpm *t, const uint8_t *credential, size_t credential_n,
			 const uint8_t *secret, size_t secret_n, struct part *out)
{
	TPM2B_ID_OBJECT object = { 0 };
	TPM2B_ENCRYPTED_SECRET seed = { 0 };
	TPM2B_DIGEST *found = NULL;
	ESYS_TR session = ESYS_TR_NONE;
	size_t at = 0, at_secret = 0;
	TSS2_RC rc;

	out->n = 0;
	if (Tss2_MU_TPM2B_ID_OBJECT_Unmarshal(credential, credential_n, &at, &object) !=
		    TSS2_RC_SUCCESS ||
	    at != credential_n) {
		return "credential: not a TPM2B_ID_OBJECT";
	}
	if (Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(secret, secret_n, &at_secret, &seed) !=
		    TSS2_RC_SUCCESS ||
	    at_secret != secret_n) {
		return "secret: not a TPM2B_ENCRYPTED_SECRET";
	}
	rc = ek_session(t, &session);
	if (rc != TSS2_RC_SUCCESS) {
		return fault("the endorsement hierarchy", rc);
	}
	rc = Esys_ActivateCredential(t->esys, t->ak, t->ek, ESYS_TR_PASSWORD, session, ESYS_TR_NONE,
				     &object, &seed, &found);
	if (rc != TSS2_RC_SUCCESS) {
		(void)Esys_FlushContext(t->esys, session);
		return fault("the credential: it was made for another TPM or another AK", rc);
	}
	(void)Esys_FlushContext(t->esys, session);
	if (found->size <= sizeof(out->at)) {
		out->n = found->size;
		memcpy(out->at, found->buffer, found->size);
	}
	Esys_Free(found);
	return NULL;
}
