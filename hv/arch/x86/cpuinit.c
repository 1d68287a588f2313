/* SPDX-License-Identifier: MIT */
/* Tables and control registers of one CPU, and the small instructions of the contract. */
#include "hv/arch/x86/state.h"
#include "hv/arch/x86/x86.h"
#include "hv/core/arch.h"
#include "hv/core/handoff.h"
#include "hv/core/heap.h"
#include "hv/core/log.h"
#include "hv/core/main.h"

#define GDT_ENTRIES 5
#define VECTOR_NMI 2
#define VECTOR_DF 8
#define VECTOR_MC 18

struct __attribute__((packed)) tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t iomap;
};

struct __attribute__((packed)) gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};

struct __attribute__((packed)) table_register {
	uint16_t limit;
	uint64_t base;
};

/* Per-CPU tables in one heap page each. */
struct cpu_tables {
	uint64_t gdt[8];
	struct tss tss;
};

_Static_assert(sizeof(struct tss) == 104, "APM volume 2, 12.2.5");
_Static_assert(sizeof(struct gate) == 16, "APM volume 2, 4.8.4");

extern const uint8_t idt_entries[];
static struct gate idt[256] RO_AFTER_INIT;
static bool idt_filled RO_AFTER_INIT;
static uint64_t features RO_AFTER_INIT;

static void idt_fill(void)
{
	for (unsigned v = 0; v < 256; v++) {
		uint64_t at = (uint64_t)idt_entries + 32ull * v;

		idt[v].offset_low = (uint16_t)at;
		idt[v].offset_mid = (uint16_t)(at >> 16);
		idt[v].offset_high = (uint32_t)(at >> 32);
		idt[v].selector = HV_CS;
		idt[v].type = 0x8e;
		idt[v].ist = v == VECTOR_DF ? 1 : v == VECTOR_NMI ? 2 : v == VECTOR_MC ? 3 : 0;
	}
	idt_filled = true;
}

/* Stacks of a CPU: main, then #DF, NMI, #MC, each with an unmapped page below. Returns the top of stack n. */
static uint64_t stack_map(uint32_t cpu, unsigned n, uint64_t bytes)
{
	uint64_t slot = boot_handoff.stack_va + ((uint64_t)cpu * 4 + n) * (X86_STACK_SIZE * 2ull);
	uint8_t *frames = heap_alloc(bytes >> PAGE_SHIFT);

	CHECK(frames != NULL);
	CHECK(paging_map(slot + PAGE_SIZE, arch_heap_pa(frames).v, bytes, PAGING_W));
	return slot + PAGE_SIZE + bytes;
}

uint64_t cpu_stack_create(uint32_t index)
{
	return stack_map(index, 0, X86_STACK_SIZE);
}

static void tables_load(uint32_t index)
{
	struct cpu_tables *t = heap_alloc(1);
	struct table_register r;
	uint64_t base;

	CHECK(t != NULL);
	for (unsigned i = 0; i < 3; i++) {
		t->tss.ist[i] = stack_map(index, i + 1, X86_IST_SIZE);
	}
	t->tss.iomap = sizeof(struct tss);
	base = (uint64_t)&t->tss;
	t->gdt[1] = 0x00af9b000000ffffull;
	t->gdt[2] = 0x00cf93000000ffffull;
	t->gdt[3] = (sizeof(struct tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
		    (base >> 24 & 0xff) << 56;
	t->gdt[4] = base >> 32;
	r.limit = GDT_ENTRIES * 8 - 1;
	r.base = (uint64_t)t->gdt;
	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\n\t"
			 "movl %2, %%eax\n\t"
			 "movl %%eax, %%ds\n\t"
			 "movl %%eax, %%es\n\t"
			 "movl %%eax, %%ss\n\t"
			 "xorl %%eax, %%eax\n\t"
			 "movl %%eax, %%fs\n\t"
			 "movl %%eax, %%gs\n\t"
			 "ltr %w3\n"
			 :
			 : "m"(r), "i"(HV_CS), "i"(HV_DS), "r"(HV_TSS)
			 : "rax", "memory");
	r.limit = sizeof(idt) - 1;
	r.base = (uint64_t)idt;
	__asm__ volatile("lidt %0; xorl %%eax, %%eax; lldt %%ax" : : "m"(r) : "rax", "memory");
}

/* Turns on what the CPU has of SMEP, SMAP, UMIP. PGE stays off: guests' and our tags never mix. */
static void control_registers(void)
{
	uint64_t cr4 = CR4_PAE | CR4_MCE | state_cr4();
	uint32_t r[4];

	features = RD_PROT_NX;
	x86_cpuid(0, 0, r);
	if (r[0] >= 7) {
		x86_cpuid(7, 0, r);
		if ((r[1] & (1u << 7)) != 0) {
			cr4 |= CR4_SMEP;
			features |= RD_PROT_SMEP;
		}
		if ((r[1] & (1u << 20)) != 0) {
			cr4 |= CR4_SMAP;
			features |= RD_PROT_SMAP;
		}
		if ((r[2] & (1u << 2)) != 0) {
			cr4 |= CR4_UMIP;
			features |= RD_PROT_UMIP;
		}
	}
	x86_set_cr4(cr4);
	if ((cr4 & CR4_SMAP) != 0) {
		__asm__ volatile("clac" : : : "memory", "cc");
	}
}

uint64_t cpu_features(void)
{
	return features;
}

/*
 * Context: once per CPU, on its final stack, interrupts off. No stack protector here: the canary that a protected function
 * would have saved on entry is the one that this function replaces.
 */
__attribute__((no_stack_protector)) void cpu_init_this(uint32_t index, uint32_t apic_id)
{
	struct cpu *c = &cpu_table[index];

	if (!idt_filled) {
		idt_fill();
	}
	c->self = c;
	c->index = index;
	c->apic_id = apic_id;
	c->canary = random_u64() & ~0xffull; /* a NUL byte stops string overflows */
	for (unsigned i = 0; i < CPU_TIMER_COUNT; i++) {
		c->timer[i] = UINT64_MAX;
	}
	c->timer_first = c->timer_armed = UINT64_MAX;
	x86_wrmsr(MSR_GS_BASE, (uint64_t)c);
	tables_load(index);
	x86_wrmsr(MSR_GS_BASE, (uint64_t)c); /* loading the selector cleared it */
	x86_wrmsr(MSR_FS_BASE, 0);
	c->scratch = heap_alloc(2);
	CHECK(c->scratch != NULL);
	control_registers();
	paging_windows_init(index);
}

/* --- the contract's small change --- */

bool x86_stopping;

struct cpu *arch_this_cpu(void)
{
	struct cpu *c;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(c));
	return c;
}

uint32_t arch_cpu_index(void)
{
	return arch_this_cpu()->index;
}

void arch_cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

uint64_t arch_tsc(void)
{
	return x86_rdtsc();
}

void arch_wbinvd(void)
{
	__asm__ volatile("wbinvd" : : : "memory");
}

void arch_stop_machine(void)
{
	if (!__atomic_exchange_n(&x86_stopping, true, __ATOMIC_SEQ_CST) && cpu_count > 1) {
		apic_send_nmi_all();
	}
	for (;;) {
		__asm__ volatile("cli; hlt" : : : "memory");
	}
}

uint32_t arch_port_in(uint16_t port, unsigned size)
{
	uint32_t v = 0xffffffff;

	if (size == 1) {
		v = x86_inb(port);
	} else if (size == 2) {
		__asm__ volatile("inw %1, %w0" : "=a"(v) : "Nd"(port) : "memory");
		v &= 0xffff;
	} else {
		__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	}
	return v;
}

void arch_port_out(uint16_t port, unsigned size, uint32_t v)
{
	if (size == 1) {
		x86_outb(port, (uint8_t)v);
	} else if (size == 2) {
		__asm__ volatile("outw %w0, %1" : : "a"(v), "Nd"(port) : "memory");
	} else {
		__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
	}
}

/* ACPI reset register, then 0xcf9, then the keyboard controller, then a triple fault. */
void arch_reset_machine(void)
{
	const struct acpi_info *a = &boot_handoff.acpi;
	struct table_register none = { 0, 0 };

	if (a->reset_is_io && a->reset_port != 0) {
		x86_outb(a->reset_port, a->reset_value);
	}
	for (unsigned i = 0; i < 1000; i++) {
		arch_cpu_relax();
	}
	x86_outb(0xcf9, 0x02);
	x86_outb(0xcf9, 0x06);
	for (unsigned i = 0; i < 1000; i++) {
		arch_cpu_relax();
	}
	x86_outb(0x64, 0xfe);
	for (unsigned i = 0; i < 1000; i++) {
		arch_cpu_relax();
	}
	__asm__ volatile("lidt %0; int3" : : "m"(none));
	for (;;) {
		__asm__ volatile("cli; hlt");
	}
}

void arch_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	x86_cpuid(leaf, subleaf, out);
}

void arch_msr_write(uint32_t msr, uint64_t v)
{
	x86_wrmsr(msr, v);
}
