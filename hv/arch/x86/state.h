/* SPDX-License-Identifier: MIT */
#ifndef HV_ARCH_X86_STATE_H
#define HV_ARCH_X86_STATE_H
#include "hv/core/types.h"

struct x86_state {
	uint8_t *area; /* XSAVE or FXSAVE, page-aligned */
	uint64_t xcr0;
	uint64_t dr[4];
	uint64_t tsc_aux;
};

bool state_init(struct x86_state *s) MUST_CHECK;
void state_free(struct x86_state *s);
void state_save(struct x86_state *s);
void state_load(const struct x86_state *s, uint64_t spec_ctrl);
uint64_t state_cr4(void);

#endif
