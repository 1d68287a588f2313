/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_GPA_H
#define HV_CORE_GPA_H
/* The one door to guest memory in the hypervisor. */
#include "hv/core/partition.h"
#include "hv/core/types.h"

/*
 * Copy between a partition's memory and the hypervisor's. Trust: at and len are hostile; only ordinary memory that the
 * partition's nested table maps with the access is touched, never device registers.
 * Fails: false, and nothing or only a prefix was copied.
 */
bool gpa_copy_in(struct partition *p, gpa_t at, void *to, size_t len) MUST_CHECK;
bool gpa_copy_out(struct partition *p, gpa_t at, const void *from, size_t len) MUST_CHECK;
/* True where [at, at + len) could be copied with that access. */
bool gpa_check(struct partition *p, gpa_t at, size_t len, unsigned access);
/* Sets bits of an aligned word that the guest changes at the same time; *old: what it was. false: not memory. */
bool gpa_or32(struct partition *p, gpa_t at, uint32_t bits, uint32_t *old) MUST_CHECK;
/* Guest-linear to guest-physical through the VP's own page tables (APM volume 2 chapter 5). false: not mapped. */
bool gva_translate(struct vp *vp, gva_t at, gpa_t *out) MUST_CHECK;
/* Up to max bytes of code at a linear address; returns how many could be read. */
size_t gva_fetch(struct vp *vp, gva_t at, uint8_t *to, size_t max);

#endif
