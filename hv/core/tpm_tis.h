/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_TPM_TIS_H
#define HV_CORE_TPM_TIS_H
/*
 * A TPM 2.0 behind the FIFO interface (TCG PC Client Platform TPM Profile 1.05, section 6: what TIS 1.3 was), by polling, each
 * wait bounded. Only while the hypervisor starts: one CPU, no lock. The registers' answers are hostile.
 */
#include "hv/core/types.h"

#define TIS_BASE 0xfed40000ull
#define TIS_LOCALITY_BYTES 0x1000ull
#define TIS_LOCALITIES 5u

enum tis_error {
	TIS_OK = 0,
	TIS_ABSENT,   /* no such interface answers */
	TIS_LOCALITY, /* the locality was not granted */
	TIS_TIMEOUT,
	TIS_BROKEN, /* it answered, but not with one whole answer */
};

/* Gets the locality, taking it from locality 0, where firmware may have left the TPM. */
enum tis_error tis_open(uint32_t locality) MUST_CHECK;
/* Sends one command and reads its answer into answer[TPM2_ANSWER_MAX]; *got: its bytes. At most some 25 seconds. */
enum tis_error tis_command(uint32_t locality, const uint8_t *command, size_t n, uint8_t *answer,
			   size_t *got) MUST_CHECK;
void tis_close(uint32_t locality);

#endif
