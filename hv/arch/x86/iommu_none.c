/* SPDX-License-Identifier: MIT */
#include "hv/core/arch.h"
void arch_start_iommu(void) {}
void arch_iommu_flush(void) {}
uint32_t arch_iommu_count(void) { return 0; }
uint32_t arch_iommu_faults(void) { return 0; }
bool arch_iommu_claim(void) { return true; }
