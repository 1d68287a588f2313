/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_LIB_ATTEST_H
#define HV_HOST_LIB_ATTEST_H
/*
 * What the hypervisor says about this boot and about its partitions (docs/attestation.md), through /dev/redoubt. Each answers 0, or
 * a negative errno; attest_error() has the words for it.
 */
#include <stddef.h>
#include <stdint.h>

#include "hv/abi/tlfs.h"

/* A descriptor of /dev/redoubt; the caller closes it. */
int attest_open(void);
/* State of this boot (enum attest_state), the report key as COSE_Key (size 0: none) and the bootseed. */
int attest_key(int device, struct rd_report_key *key);
/* A VM token for nonce[0..n), RD_NONCE_MIN to RD_NONCE_MAX bytes. Takes some milliseconds. */
int attest_token(int device, uint64_t partition, const uint8_t *nonce, size_t n,
		 struct rd_report *token);
/* What is wrong and what to do about it, for an answer of the functions above. */
const char *attest_error(int error);

#endif
