/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_PORT_H
#define HV_CORE_PORT_H
#include "hv/core/exit.h"
#include "hv/wire/acpi.h"

#define PORT_PCI_PROTECT_MAX 32

struct vp;
/* Sets the filters from the machine's tables; once, before any VP runs. */
void port_init(const struct acpi_info *acpi);
/* Opens in the intercept map what the lists allow. */
void port_setup(struct vp *vp);
void port_guest_access(struct vp *vp, const struct exit_info *e);

/* A PCI function (bus << 8 | devfn) whose configuration the root may read only: all of it, or one dword range. */
bool port_pci_protect(uint16_t device, uint16_t first, uint16_t last);
/* true: a write to this configuration offset must be dropped. */
bool port_pci_write_denied(uint16_t device, uint16_t offset, unsigned size);
void port_pci_log(struct vp *vp, uint16_t device, uint16_t offset);
uint32_t port_pci_protected_count(void);
uint16_t port_pci_protected_device(uint32_t i);

#endif
