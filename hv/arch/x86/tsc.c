/* SPDX-License-Identifier: MIT */
/* How fast is the TSC? Measured once against the ACPI PM timer, or the PIT where there is none. */
#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"
#include "hv/core/time.h"

#define PM_HZ 3579545u
#define PM_TICKS (PM_HZ / 100) /* 10 ms */
#define PIT_HZ 1193182u
#define PIT_TICKS (PIT_HZ / 100)
#define GIVE_UP 2000000000ull /* TSC ticks: no timer runs this slowly */

static uint32_t pm_read(const struct acpi_info *acpi)
{
	return arch_port_in(acpi->pm_timer, 4) & 0xffffff;
}

static uint64_t by_pm_timer(const struct acpi_info *acpi)
{
	uint32_t edge = pm_read(acpi), from, gone = 0;
	uint64_t start = x86_rdtsc(), end;

	while ((from = pm_read(acpi)) == edge) {
		if (x86_rdtsc() - start > GIVE_UP) {
			return 0; /* it stands still */
		}
	}
	start = x86_rdtsc();
	do {
		gone = (pm_read(acpi) - from) & 0xffffff;
		end = x86_rdtsc();
	} while (gone < PM_TICKS && end - start < GIVE_UP);
	return gone < PM_TICKS ? 0 : time_mul_div(end - start, PM_HZ, gone);
}

/* Channel 2 in mode 0 raises its output (port 0x61 bit 5) when the count is done. */
static uint64_t by_pit(void)
{
	uint8_t gate = x86_inb(0x61);
	uint64_t start, end;

	x86_outb(0x61, (uint8_t)((gate & ~2u) | 1u));
	x86_outb(0x43, 0xb0);
	x86_outb(0x42, PIT_TICKS & 0xff);
	x86_outb(0x42, PIT_TICKS >> 8);
	start = x86_rdtsc();
	do {
		end = x86_rdtsc();
	} while ((x86_inb(0x61) & 0x20) == 0 && end - start < GIVE_UP);
	x86_outb(0x61, gate);
	return end - start >= GIVE_UP ? 0 : time_mul_div(end - start, PIT_HZ, PIT_TICKS);
}

/* Hz, or 0 where no reference clock works. */
uint64_t tsc_calibrate(const struct acpi_info *acpi)
{
	uint64_t hz = acpi->pm_timer != 0 ? by_pm_timer(acpi) : 0;

	return hz != 0 ? hz : by_pit();
}
