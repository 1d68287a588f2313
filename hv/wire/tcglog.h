/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_TCGLOG_H
#define HV_WIRE_TCGLOG_H
/*
 * The TCG event log in its crypto-agile form (PC Client Platform Firmware Profile 1.05, section 10): as much as is needed
 * to know where it ends and to add to it. Its rules are judged by the verifier, not here.
 */
#include "hv/wire/view.h"

#define TCGLOG_ALG_MAX 8u
#define TCGLOG_MAX (1u << 20) /* bytes of a log */

#define TCG_ALG_SHA1 0x0004u
#define TCG_ALG_SHA256 0x000bu
#define TCG_ALG_SHA384 0x000cu
#define TCG_ALG_SHA512 0x000du
#define TCG_ALG_SM3 0x0012u

struct tcglog {
	uint32_t header; /* bytes of the first event, in the older form, which names the banks */
	uint32_t alg_count;
	struct {
		uint16_t id, size; /* TPM_ALG_ID; bytes of a digest, 1 to 64 */
	} alg[TCGLOG_ALG_MAX];
};

/* Bytes of a digest of that TPM_ALG_ID; 0: not known. */
uint32_t tcglog_digest_size(uint16_t alg);
/*
 * Reads the first event (TCG_EfiSpecIDEvent, 10.2.1.3). Trust: p[0..n) is hostile. false: no "Spec ID Event03", no bank or more
 * than TCGLOG_ALG_MAX, a bank twice, a digest without size or of another size than its algorithm's, or it does not fit.
 */
bool tcglog_open(const uint8_t *p, size_t n, struct tcglog *out);
/* Bytes of the TCG_PCR_EVENT2 at p; 0: does not fit n, has a bank that the header does not name, or a bank twice. */
uint32_t tcglog_event_size(const struct tcglog *l, const uint8_t *p, size_t n);
/* True where the header names the bank. */
bool tcglog_has(const struct tcglog *l, uint16_t alg);
/* tcglog_open, and how many bytes the log has whose last event begins at `last` (0: the header only). 0: refused. */
size_t tcglog_size(struct tcglog *l, const uint8_t *p, size_t n, size_t last);
/* Bytes of `count` events one behind the other, at most n; SIZE_MAX: one is malformed or does not fit. */
size_t tcglog_events_size(const struct tcglog *l, const uint8_t *p, size_t n, uint64_t count);
/*
 * EFI_TCG2_FINAL_EVENTS_TABLE: of its `count` events those from number `first` on begin at *from and have *bytes; p[0..n) holds them all.
 * false: fewer than `first`, or one is malformed or does not fit.
 */
bool tcglog_final(const struct tcglog *l, const uint8_t *p, size_t n, uint64_t first,
		  uint64_t count, size_t *from, size_t *bytes);

#endif
