/* SPDX-License-Identifier: MIT */
#ifndef TESTS_GUEST_TCG_LOG_H
#define TESTS_GUEST_TCG_LOG_H
/* What firmware writes at the start of its event log. */
#include <string.h>

#include "attest/core/event.h"
#include "tests/guest/le.h"

/*
 * TCG_PCClientPCREvent with Spec ID Event03, which names the banks (PC Client Platform Firmware Profile 1.05, section 10.4.5.1). Its
 * size; 0: more than there is room.
 */
static inline size_t tcg_log_header(const struct tpm_digest *banks, uint32_t count, uint8_t *out,
				    size_t size)
{
	if (size < 61 + 4ul * count) {
		return 0;
	}
	memset(out, 0, 61 + 4ul * count);
	le_put(out + 4, EV_NO_ACTION, 4);
	le_put(out + 28, 16 + 12 + 4ul * count + 1, 4);
	memcpy(out + 32, "Spec ID Event03", 16);
	le_put(out + 52, 0x02000200, 4); /* version 2.00, errata 0, uintn 2: 64 bits */
	le_put(out + 56, count, 4);
	for (uint32_t i = 0; i < count; i++) {
		le_put(out + 60 + 4ul * i, banks[i].alg, 2);
		le_put(out + 62 + 4ul * i, tpm_digest_size(banks[i].alg), 2);
	}
	return 61 + 4ul * count; /* no words of the vendor's */
}

#endif
