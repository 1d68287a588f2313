/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_MSR_H
#define HV_CORE_MSR_H
#include "hv/core/types.h"

struct vp;
/* Opens in the intercept map what msr_list.def passes through. */
void msr_setup(struct vp *vp);
/* Likewise child_msr_list.def. */
void msr_setup_child(struct vp *vp);
/* An intercepted access at CPL 0. false: #GP. Trust: msr and value are the guest's. */
bool msr_guest_read(struct vp *vp, uint32_t msr, uint64_t *value) MUST_CHECK;
bool msr_guest_write(struct vp *vp, uint32_t msr, uint64_t value) MUST_CHECK;

/* Hyper-V's registers, 0x40000000 to 0x400001ff (hv/core/synthetic.c). */
bool synthetic_read(struct vp *vp, uint32_t msr, uint64_t *value) MUST_CHECK;
bool synthetic_write(struct vp *vp, uint32_t msr, uint64_t value) MUST_CHECK;

#endif
