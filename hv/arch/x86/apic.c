/* SPDX-License-Identifier: MIT */
/* The physical local APIC, which only the hypervisor touches: x2APIC where the CPU has it, else the xAPIC page. */
#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"
#include "hv/core/log.h"
#include "hv/core/time.h"

#define LVT_MASKED (1u << 16)
#define LVT_DEADLINE (2u << 17)
#define ICR_BUSY (1u << 12)
#define ICR_ASSERT (1u << 14)
#define SVR_ENABLE (1u << 8)
#define DIVIDE_BY_1 0xb

static volatile uint32_t *page RO_AFTER_INIT;
static bool x2 RO_AFTER_INIT;
static bool deadline RO_AFTER_INIT;
static uint64_t timer_hz RO_AFTER_INIT;
static uint64_t timer_scale RO_AFTER_INIT; /* 2^32 * timer_hz / tsc_hz */

static uint32_t reg_read(uint32_t offset)
{
	return x2 ? (uint32_t)x86_rdmsr(MSR_X2APIC + (offset >> 4)) : page[offset / 4];
}

static void reg_write(uint32_t offset, uint32_t v)
{
	if (x2) {
		x86_wrmsr(MSR_X2APIC + (offset >> 4), v);
	} else {
		page[offset / 4] = v;
	}
}

void apic_init_bsp(uint64_t base)
{
	uint32_t r[4];

	x86_cpuid(1, 0, r);
	x2 = (r[2] & (1u << 21)) != 0;
	deadline = (r[2] & (1u << 24)) != 0;
	if (!x2) {
		page = paging_map_device(base, PAGE_SIZE);
	}
}

bool apic_x2(void)
{
	return x2;
}

bool apic_deadline(void)
{
	return deadline;
}

void apic_init_cpu(void)
{
	uint64_t base = x86_rdmsr(MSR_APIC_BASE) | APIC_BASE_EN;

	x86_wrmsr(MSR_APIC_BASE, base);
	if (x2) {
		x86_wrmsr(MSR_APIC_BASE, base | APIC_BASE_EXTD);
	}
	reg_write(APIC_LVT_TIMER, LVT_MASKED);
	reg_write(APIC_LVT_LINT0, LVT_MASKED);
	reg_write(APIC_LVT_LINT1, APIC_DM_NMI << 8);
	reg_write(APIC_LVT_ERROR, HV_VECTOR_ERROR);
	/* Never the vectors of exceptions: a device may send 16 to 31, and QEMU's APIC takes even those below. */
	reg_write(APIC_TPR, 0x10);
	reg_write(APIC_SVR, SVR_ENABLE | HV_VECTOR_SPURIOUS);
	/* Whatever firmware or loader left in service. */
	for (unsigned i = 0; i < 256; i++) {
		uint32_t any = 0;

		for (unsigned w = 0; w < 8; w++) {
			any |= reg_read(APIC_ISR + w * 16);
		}
		if (any == 0) {
			break;
		}
		reg_write(APIC_EOI, 0);
	}
	reg_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	reg_write(APIC_TIMER_INIT, 0);
	reg_write(APIC_LVT_TIMER, HV_VECTOR_TIMER | (deadline ? LVT_DEADLINE : 0));
}

uint32_t apic_id_here(void)
{
	return x2 ? reg_read(APIC_ID) : reg_read(APIC_ID) >> 24;
}

static void send(uint32_t apic_id, uint32_t low)
{
	if (x2) {
		__asm__ volatile("mfence; lfence" : : : "memory");
		x86_wrmsr(MSR_X2APIC + (APIC_ICR >> 4), (uint64_t)apic_id << 32 | low);
		return;
	}
	while ((page[APIC_ICR / 4] & ICR_BUSY) != 0) {
		arch_cpu_relax();
	}
	page[APIC_ICR2 / 4] = apic_id << 24;
	page[APIC_ICR / 4] = low;
}

void arch_kick(uint32_t cpu)
{
	send(cpu_table[cpu].apic_id, ICR_ASSERT | APIC_DM_FIXED << 8 | HV_VECTOR_KICK);
}

void apic_send_init(uint32_t apic_id)
{
	send(apic_id, ICR_ASSERT | APIC_DM_INIT << 8);
}

void apic_send_sipi(uint32_t apic_id, uint8_t vector)
{
	send(apic_id, ICR_ASSERT | APIC_DM_SIPI << 8 | vector);
}

void apic_send_nmi_all(void)
{
	for (uint32_t i = 0; i < cpu_count; i++) {
		if (i != arch_cpu_index() &&
		    __atomic_load_n(&cpu_table[i].online, __ATOMIC_SEQ_CST) != 0) {
			send(cpu_table[i].apic_id, ICR_ASSERT | APIC_DM_NMI << 8);
		}
	}
}

void apic_eoi(void)
{
	reg_write(APIC_EOI, 0);
}

void arch_device_eoi(void)
{
	apic_eoi();
}

/* In x2APIC mode the logical id is fixed, and for APIC ids 0 to 7 it is what a flat LDR says. */
void arch_device_logical(uint32_t ldr, uint32_t dfr)
{
	if (!x2) {
		reg_write(APIC_DFR, dfr);
		reg_write(APIC_LDR, ldr);
	}
}

bool apic_in_service(uint8_t vector)
{
	return (reg_read(APIC_ISR + (vector / 32u) * 16) & (1u << (vector % 32))) != 0;
}

bool apic_is_level(uint8_t vector)
{
	return (reg_read(APIC_TMR + (vector / 32u) * 16) & (1u << (vector % 32))) != 0;
}

void apic_timer_measure_start(void)
{
	if (!deadline) {
		reg_write(APIC_LVT_TIMER, LVT_MASKED | HV_VECTOR_TIMER);
		reg_write(APIC_TIMER_INIT, 0xffffffff);
	}
}

/* tsc_ticks: how long the measurement took; tsc_hz is known by then. */
void apic_timer_measure_end(uint64_t tsc_ticks)
{
	uint64_t gone;

	if (deadline) {
		timer_hz = time_tsc_hz();
		return;
	}
	gone = 0xffffffffu - reg_read(APIC_TIMER_CURRENT);
	reg_write(APIC_TIMER_INIT, 0);
	reg_write(APIC_LVT_TIMER, HV_VECTOR_TIMER);
	timer_hz = time_mul_div(gone, time_tsc_hz(), tsc_ticks);
	timer_scale = time_mul_div(1ull << 32, timer_hz, time_tsc_hz());
	CHECK(timer_scale != 0);
}

uint64_t apic_timer_hz(void)
{
	return timer_hz;
}

uint64_t arch_apic_timer_hz(void)
{
	return timer_hz;
}

void arch_timer_arm(uint64_t tsc)
{
	uint64_t now, ticks;

	if (deadline) {
		x86_wrmsr(MSR_TSC_DEADLINE, tsc == UINT64_MAX ? 0 : tsc);
		return;
	}
	if (tsc == UINT64_MAX) {
		reg_write(APIC_TIMER_INIT, 0);
		return;
	}
	now = x86_rdtsc();
	ticks = tsc > now ? tsc - now : 0;
	/* Far deadlines are cut short: cpu_timers_expire arms again. One tick more, never early. */
	if (ticks > 0x7fffffff) {
		ticks = 0x7fffffff;
	}
	ticks = (uint64_t)(((unsigned __int128)ticks * timer_scale) >> 32) + 1;
	reg_write(APIC_TIMER_INIT, ticks > 0xffffffff ? 0xffffffff : (uint32_t)ticks);
}
