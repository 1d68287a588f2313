/* SPDX-License-Identifier: MIT */
/* Starts the application processors one after the other: INIT, SIPI, SIPI (Intel SDM volume 3, 8.4). */
#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"
#include "hv/core/handoff.h"
#include "hv/core/heap.h"
#include "hv/core/log.h"
#include "hv/core/main.h"
#include "hv/core/time.h"

extern const uint8_t trampoline_start[], trampoline_end[], trampoline_jump32[], trampoline_32[],
	trampoline_jump64[], trampoline_64[], trampoline_gdt[], trampoline_gdt_base[],
	trampoline_cr3[], trampoline_stack[], trampoline_entry[], trampoline_index[];

static void wait_us(uint64_t us)
{
	uint64_t end = x86_rdtsc() + time_mul_div(us, time_tsc_hz(), 1000000);

	while (x86_rdtsc() < end) {
		arch_cpu_relax();
	}
}

static void put(uint8_t *page, const uint8_t *where, uint64_t v, unsigned size)
{
	__builtin_memcpy(page + (where - trampoline_start), &v, size);
}

static uint64_t at(const uint8_t *where)
{
	return boot_handoff.trampoline + (uint64_t)(where - trampoline_start);
}

/* The trampoline calls it on its stack, with interrupts off. */
NORETURN static void ap_entry(uint32_t index)
{
	cpu_init_this(index, boot_handoff.apic_id[index]);
	mtrr_load();
	apic_init_cpu();
	main_secondary(index);
}

static void trampoline_fill(uint32_t index, uint64_t stack_top)
{
	uint8_t *page = arch_window_open(0, hpa(boot_handoff.trampoline));

	__builtin_memcpy(page, trampoline_start, (size_t)(trampoline_end - trampoline_start));
	put(page, trampoline_jump32, at(trampoline_32), 4);
	put(page, trampoline_jump64, at(trampoline_64), 4);
	put(page, trampoline_gdt_base, at(trampoline_gdt), 4);
	put(page, trampoline_cr3, boot_handoff.pml4, 8);
	put(page, trampoline_stack, stack_top, 8);
	put(page, trampoline_entry, (uint64_t)ap_entry, 8);
	put(page, trampoline_index, index, 8);
	arch_window_close(0);
}

static bool start_one(uint32_t index)
{
	struct cpu *c = &cpu_table[index];
	uint32_t id = boot_handoff.apic_id[index];
	uint8_t vector = (uint8_t)(boot_handoff.trampoline >> PAGE_SHIFT);

	trampoline_fill(index, cpu_stack_create(index));
	apic_send_init(id);
	wait_us(200);
	for (unsigned attempt = 0; attempt < 2; attempt++) {
		apic_send_sipi(id, vector);
		for (unsigned i = 0; i < 1000; i++) {
			if (__atomic_load_n(&c->online, __ATOMIC_SEQ_CST) != 0) {
				return true;
			}
			wait_us(attempt == 0 && i < 2 ? 100 : 1000);
			if (attempt == 0 && i >= 100) {
				break;
			}
		}
	}
	return false;
}

void smp_start_all(void)
{
	mtrr_save();
	for (uint32_t i = 1; i < boot_handoff.cpu_count; i++) {
		if (!start_one(i)) {
			panic("CPU with APIC id %u does not start: check the firmware's CPU settings, or use cpus=%u",
			      boot_handoff.apic_id[i], i);
		}
		cpu_count = i + 1;
	}
	/* The page goes to the root: leave nothing of ours in it. */
	__builtin_memset(arch_window_open(0, hpa(boot_handoff.trampoline)), 0, PAGE_SIZE);
	arch_window_close(0);
}
