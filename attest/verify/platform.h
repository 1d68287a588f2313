/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_VERIFY_PLATFORM_H
#define ATTEST_VERIFY_PLATFORM_H
/* A TPM's quote, the PCR values that it is over and the log that explains them. docs/attestation.md section 6. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/core/bundle.h"
#include "attest/core/log.h"
#include "attest/core/tpm.h"
#include "attest/verify/crypto.h"
#include "attest/verify/verdict.h"

struct replay {
	struct log log;
	struct tpm_pcrs value;   /* of every PCR that the log extends, in every bank */
	uint32_t extended;       /* bit n: PCR n */
	struct attest_boot boot; /* what PCR 22 says, where asked for */
	uint32_t separators;
};

/*
 * Checks log.parse, log.replay (the arithmetic, against nothing yet), log.rules and log.data of a whole log.
 * own: PCR 22 has to hold Redoubt's events and nothing else; every PCR 0 to 7 its separator.
 */
struct replay_wish {
	bool own;
	bool fill; /* 0x00 or 0xff may follow the log */
};
bool replay_log(struct verdict *v, const uint8_t *bytes, size_t n, const struct replay_wish *wish,
		const struct tpm_pcrs *against, uint32_t unexplained, struct replay *r);

struct platform {
	struct span attest, signature;
	struct crypto_key *key;
	const uint8_t *nonce; /* expected extraData; NULL: not compared, by the caller's wish */
	size_t nonce_n;
	const struct tpm_pcrs *pcrs;
	const struct tpm_select
		*want; /* selection that the verifier wants; want_count 0: that of pcrs */
	uint32_t want_count;
	struct span log; /* n 0: none */
	struct replay_wish wish;
	uint32_t unexplained; /* bit n: PCR n may differ from what the log says */
	bool log_needed;
	struct tpm_quote quote;   /* out */
	struct tpm_signature sig; /* out */
};

/* attest.magic .. attest.trailing and the signature's form. */
bool platform_parse(struct verdict *v, struct platform *p);
/* signature, nonce, selection, pcr.composite, log.*. */
bool platform_verify(struct verdict *v, struct platform *p, struct replay *r);
/* ak.attributes. */
bool platform_attributes(struct verdict *v, const struct tpm_public *ak);

const char *platform_bank(uint16_t alg); /* name, or "?" */

#endif
