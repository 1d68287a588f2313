/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_CORE_EVENT_H
#define ATTEST_CORE_EVENT_H
/* Redoubt's own events of PCR 22, and the form of an entry of the log. docs/attestation.md section 1. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/core/cbor.h"
#include "attest/core/format.h"

/* Which fields count follows from `what`; the others are zero. */
struct attest_event {
	enum attest_what what;
	uint8_t digest[ATTEST_DIGEST]; /* all but ATTEST_END */
	uint64_t bytes;                /* all but ATTEST_END: how many were hashed */
	bool has_text;    /* ATTEST_OPTIONS, ATTEST_CMDLINE: where bytes <= ATTEST_TEXT_MAX */
	struct span text; /* bytes long */
	struct span key;  /* ATTEST_KEY: the encoded COSE_Key */
	uint8_t seed[ATTEST_SEED]; /* ATTEST_KEY: bootseed */
	uint64_t svn;              /* ATTEST_HYPERVISOR */
};

/* Longest `data` of an own event: header, digest, text of 512 bytes. */
#define ATTEST_EVENT_MAX 640u

/*
 * The event's data: TCG_PCClientTaggedEvent with the CBOR body. What TPM2_PCR_Event(22, data) takes and what the log
 * keeps. Bytes written, or 0 where `size` is too small.
 */
size_t attest_event_write(const struct attest_event *e, uint8_t *out, size_t size);

/* Reads such data, which is hostile. The spans of *e point into it. */
bool attest_event_parse(const uint8_t *bytes, size_t n, struct attest_event *e,
			struct wire_fault *why);

#define TPM_ALG_SHA1 0x0004u
#define TPM_ALG_SHA256 0x000bu
#define TPM_ALG_SHA384 0x000cu
#define TPM_ALG_SHA512 0x000du
#define TPM_ALG_SM3_256 0x0012u
#define TPM_DIGEST_MAX 64u
#define TPM_BANKS_MAX 8u

struct tpm_digest {
	uint16_t alg; /* TPM_ALG_ID */
	uint16_t n;   /* bytes */
	uint8_t bytes[TPM_DIGEST_MAX];
};

/* Bytes of a digest, or 0 for an algorithm that is not known here. */
uint16_t tpm_digest_size(uint16_t alg);

/*
 * One entry of a crypto-agile log: TCG_PCR_EVENT2 (PC Client Platform Firmware Profile 1.05, section 10.2.2). The
 * digests come in the order of the log's header. Bytes written, or 0 where `size` is too small.
 */
size_t log_entry_write(uint32_t pcr, uint32_t type, const struct tpm_digest *digests,
		       uint32_t count, const uint8_t *data, uint32_t data_n, uint8_t *out,
		       size_t size);

#define EV_PREBOOT_CERT 0x0u
#define EV_POST_CODE 0x1u
#define EV_NO_ACTION 0x3u
#define EV_SEPARATOR 0x4u
#define EV_ACTION 0x5u
#define EV_EVENT_TAG 0x6u
#define EV_S_CRTM_CONTENTS 0x7u
#define EV_S_CRTM_VERSION 0x8u
#define EV_IPL 0xdu
#define EV_EFI_BASE 0x80000000u

#endif
