/* SPDX-License-Identifier: MIT */
/* The contract's start-up steps on x86. */
#include "hv/arch/x86/vendor.h"
#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"
#include "hv/core/handoff.h"
#include "hv/core/heap.h"
#include "hv/core/log.h"
#include "hv/core/main.h"
#include "hv/core/root.h"
#include "hv/core/time.h"

extern uint8_t hv_image_start[], hv_roai_start[], hv_roai_end[];

/* No stack protector: the canary changes while it runs. */
__attribute__((no_stack_protector)) void arch_start_cpu0(void)
{
	uint64_t start, hz;

	paging_set_offset(boot_handoff.heap_va - boot_handoff.region_base);
	cpu_init_this(0, boot_handoff.apic_id[0]);
	apic_init_bsp(boot_handoff.acpi.lapic_addr != 0 ? boot_handoff.acpi.lapic_addr
							: APIC_BASE_ADDR);
	apic_init_cpu();
	cpu_table[0].apic_id = apic_id_here();
	apic_timer_measure_start();
	start = x86_rdtsc();
	hz = tsc_calibrate(&boot_handoff.acpi);
	if (hz == 0) {
		panic("clock: neither the ACPI PM timer nor the PIT runs: enable one of them in the firmware's set-up");
	}
	time_init(hz);
	apic_timer_measure_end(x86_rdtsc() - start);
	vendor_init_cpu();
	root_protection(cpu_features(), 0);
	if (random_is_hardware()) {
		root_protection(RD_PROT_HW_RNG, 0);
	} else {
		log_warn("no RDRAND: stack canaries and addresses come from the clock alone");
	}
}

void arch_start_others(void)
{
	smp_start_all();
	firmware_close_smm();
}

void arch_start_secondary(void)
{
	vendor_init_cpu();
}

/* The copy that the loader placed holds canary seeds and addresses; its memory goes back to the root. */
static void wipe_old_image(void)
{
	for (uint64_t at = 0; at < boot_handoff.load_size; at += PAGE_SIZE) {
		__builtin_memset(arch_window_open(0, hpa(boot_handoff.load_base + at)), 0,
				 PAGE_SIZE);
		arch_window_close(0);
	}
}

void arch_seal(void)
{
	paging_identity_drop();
	wipe_old_image();
	paging_protect((uint64_t)hv_roai_start, (uint64_t)(hv_roai_end - hv_roai_start), 0);
}

void arch_start_secondary_sealed(void)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(boot_handoff.pml4) : "memory");
}

uint64_t arch_hw_features(void)
{
	uint64_t f = vendor_hw();
	uint32_t r[4];

	if (apic_x2()) {
		f |= RD_HW_X2APIC;
	}
	if (apic_deadline()) {
		f |= RD_HW_TSC_DEADLINE;
	}
	if (arch_npt_1g()) {
		f |= RD_HW_PAGE1GB;
	}
	x86_cpuid(0x80000000, 0, r);
	if (r[0] >= 0x80000007) {
		x86_cpuid(0x80000007, 0, r);
		if ((r[3] & (1u << 8)) != 0) {
			f |= RD_HW_INVARIANT_TSC;
		}
	}
	return f;
}

const char *arch_name(void)
{
	return vendor_name();
}

void __stack_chk_fail(void);

void __stack_chk_fail(void)
{
	panic("stack smashed: called from image+%lx",
	      (uint64_t)__builtin_return_address(0) - (uint64_t)hv_image_start);
}
