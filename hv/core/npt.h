/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_NPT_H
#define HV_CORE_NPT_H
/* A partition's second-level page table: guest-physical to host-physical. Four levels, 48 bits. */
#include "hv/core/arch.h"

#define GPA_LIMIT \
	(1ull << 48) /* what four levels reach; a CPU may have more physical address bits */

struct npt {
	hpa_t root;      /* level-4 table */
	uint64_t tables; /* frames in use */
};

bool npt_create(struct npt *n) MUST_CHECK;
/* Frees the tables; nothing may walk them any more. */
void npt_free(struct npt *n);
/* Maps [gpa, gpa + size) to hpa with the largest leaves that fit. 4 KiB granularity. false: no memory; what was mapped stays. */
bool npt_map(struct npt *n, gpa_t gpa, hpa_t hpa, uint64_t size, unsigned access) MUST_CHECK;
/* Removes translations; splits large leaves where needed. The caller owes a TLB flush. */
bool npt_unmap(struct npt *n, gpa_t gpa, uint64_t size) MUST_CHECK;
/* false: not mapped. *access and *span (bytes of the leaf) may be NULL. */
bool npt_lookup(const struct npt *n, gpa_t gpa, hpa_t *hpa, unsigned *access, uint64_t *span);

#endif
