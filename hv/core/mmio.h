/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_MMIO_H
#define HV_CORE_MMIO_H
#include "hv/core/exit.h"
#include "hv/wire/acpi.h"

struct vp;
struct partition;
/* Closes a device page range to the root for good (IOMMU registers). Before the root's table is built. */
bool mmio_close(uint64_t base, uint64_t size) MUST_CHECK;
void mmio_init(const struct acpi_info *acpi);
/* Builds the root's identity map of all its memory. */
bool mmio_map_root(struct partition *p) MUST_CHECK;
/* A nested page fault. */
void mmio_guest_fault(struct vp *vp, const struct exit_info *e);
/*
 * [owner] A child reads or writes where it has no memory: ones, and nothing, as on the bus of a PC. #GP for an instruction that
 * the decoder does not know. Trust: address and instruction are the guest's; nothing of the machine is touched.
 */
void mmio_absent(struct vp *vp, const struct exit_info *e);

#endif
