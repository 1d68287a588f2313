/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_TPM_TIS_H
#define HV_CORE_TPM_TIS_H
/*
 * A TPM 2.0 behind the FIFO interface (hv/abi/regs_tpm.h), by polling, each wait bounded. Only while the hypervisor starts: one
 * CPU, no lock. The registers' answers are hostile.
 */
#include "hv/abi/regs_tpm.h"
#include "hv/core/types.h"

/* Gets the locality, taking it from locality 0, where firmware may have left the TPM. false: no TPM, or not granted. */
bool tis_open(uint32_t locality) MUST_CHECK;
/*
 * Sends one command and reads its answer into answer[TPM2_ANSWER_MAX]; its bytes, or 0: no whole answer, or not in time. At most some
 * 26 seconds, however slowly the TPM takes and gives each byte.
 */
size_t tis_command(uint32_t locality, const uint8_t *command, size_t n, uint8_t *answer) MUST_CHECK;
void tis_close(uint32_t locality);

#endif
