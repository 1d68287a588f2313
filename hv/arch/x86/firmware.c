/* SPDX-License-Identifier: MIT */
/* Closing the ways from the root into System Management Mode, which runs below the hypervisor. */
#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"
#include "hv/core/handoff.h"
#include "hv/core/log.h"
#include "hv/core/time.h"

#define PM1_SCI_EN 1u
#define ACPI_WAIT_NS 3000000000ull

/*
 * A CPU that the firmware left at the default SMM base finds RSM there and nothing else. The frame belongs to the
 * hypervisor, so neither the root nor, behind an IOMMU, its devices can write to it.
 */
static void smm_default_entry(void)
{
	static const uint8_t rsm[] = { 0x0f, 0xaa };
	uint8_t *page;

	if (!boot_handoff.smm_page) {
		return;
	}
	page = arch_window_open(0, hpa(SMM_DEFAULT_ENTRY));
	__builtin_memset(page, 0xf4, PAGE_SIZE);
	__builtin_memcpy(page, rsm, sizeof(rsm));
	arch_window_close(0);
}

/*
 * ACPI mode is switched on here, by this CPU, so that the root never needs the SMI command port (ACPI 6.5, 4.8.3.1):
 * hv/core/port.c refuses every write to it.
 */
static void acpi_mode(const struct acpi_info *a)
{
	uint64_t start = time_ns();

	if (a->smi_cmd == 0 || a->acpi_enable == 0 || a->pm1a_cnt == 0 ||
	    (arch_port_in(a->pm1a_cnt, 2) & PM1_SCI_EN) != 0) {
		return;
	}
	x86_outb(a->smi_cmd, a->acpi_enable);
	while ((arch_port_in(a->pm1a_cnt, 2) & PM1_SCI_EN) == 0) {
		if (time_ns() - start > ACPI_WAIT_NS) {
			log_warn(
				"ACPI: the firmware does not switch to ACPI mode: power management will not work");
			return;
		}
	}
}

void firmware_close_smm(void)
{
	smm_default_entry();
	acpi_mode(&boot_handoff.acpi);
}
