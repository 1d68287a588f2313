/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_TPM2_H
#define HV_WIRE_TPM2_H
/*
 * The five TPM 2.0 commands that the hypervisor sends, and what answers them (TPM 2.0 Library Specification 1.59, part 3;
 * structures: part 2). Integers are big-endian. Commands are written by us, answers are hostile: a TPM may be a chip on a bus.
 */
#include "hv/wire/tcglog.h"

#define TPM2_COMMAND_MAX 1100u /* TPM2_PCR_Event with TPM2_EVENT_MAX bytes fits */
#define TPM2_EVENT_MAX 1024u   /* TPM2B_EVENT */
#define TPM2_ANSWER_MAX 1024u
#define TPM2_BANK_MAX 8u
#define TPM2_HEADER 10u
#define TPM2_RC_SUCCESS 0u
#define TPM2_RC_LOCALITY 0x907u
#define TPM2_RC_BROKEN 0xffffffffu /* not of the specification: the answer is no answer */

/* Digests of an event, or of one PCR, a bank each. */
struct tpm2_digests {
	uint32_t count;
	struct {
		uint16_t alg, size; /* TPM_ALG_ID; 1 to 64 */
		uint8_t bytes[64];
	} bank[TPM2_BANK_MAX];
};

struct tpm2_banks {
	uint32_t count;
	uint16_t alg[TPM2_BANK_MAX]; /* with at least one PCR, none twice */
};

/* Each writes one command to out[TPM2_COMMAND_MAX] and returns its bytes. */
size_t tpm2_put_get_random(uint8_t *out, uint16_t bytes);
size_t tpm2_put_get_banks(uint8_t *out);
size_t tpm2_put_pcr_read(uint8_t *out, uint16_t alg, uint32_t pcr); /* pcr below 24 */
size_t tpm2_put_pcr_reset(uint8_t *out, uint32_t pcr);
/* 0: more than TPM2_EVENT_MAX bytes. */
size_t tpm2_put_pcr_event(uint8_t *out, uint32_t pcr, const uint8_t *data, size_t n);

/* How many bytes an answer has, by its header p[0..TPM2_HEADER); 0: no answer, or more than TPM2_ANSWER_MAX. */
size_t tpm2_answer_size(const uint8_t *p);
/* The answer's code; TPM2_RC_BROKEN: it is not one whole answer. Trust (here and below): p[0..n) is hostile. */
uint32_t tpm2_answer_code(const uint8_t *p, size_t n);
/* Each takes one successful answer apart. false: another code, malformed, or bytes left over. */
bool tpm2_take_random(const uint8_t *p, size_t n, uint8_t *out, uint16_t bytes); /* that many */
bool tpm2_take_banks(const uint8_t *p, size_t n, struct tpm2_banks *out);
bool tpm2_take_pcr(const uint8_t *p, size_t n, uint16_t alg, struct tpm2_digests *out);
bool tpm2_take_event(const uint8_t *p, size_t n, struct tpm2_digests *out);
/* True where every digest is zero. */
bool tpm2_is_zero(const struct tpm2_digests *d);
/* Keeps the digests of the log's banks, in the order of its header. false: one is missing, or has another size. */
bool tpm2_order(struct tpm2_digests *d, const struct tcglog *l);

#endif
