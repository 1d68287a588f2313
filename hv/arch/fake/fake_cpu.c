// SPDX-License-Identifier: MIT
/* CPUs, clock, consoles, registers and ports, and the control of a run. */
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>

#include "hv/abi/regs_x86.h"
#include "hv/arch/fake/fake.h"
#include "hv/core/arch.h"
#include "hv/core/main.h"

#define STEPS_MAX 256
#define RAISED_MAX 32
#define RELAX_MAX 1000000u
#define CPUID_MAX 32

struct fake_machine fake;

static uint32_t selected;
/* Where a run ends: the compiler's own jump, because libc's has the sanitizer ask the kernel for its stacks each time. */
static void *back[5];
static uint8_t *back_frame;
static enum fake_end back_why;
static bool back_set;
static struct fake_step steps[STEPS_MAX];
static size_t step_count, step_next;
static bool (*player)(struct vp *vp, struct fake_step *step);
static struct {
	uint8_t vector;
	bool level;
} raised[RAISED_MAX];
static uint32_t raised_count;
static bool started[CPU_MAX];
static uint32_t relaxed;
static struct {
	uint32_t leaf, r[4];
} cpuid[CPUID_MAX];
static uint32_t cpuid_count;
static uint32_t pci_latch;

void fake_fail(const char *what, uint64_t value)
{
	fprintf(stderr, "fake: contract broken: %s (%llx)\n", what, (unsigned long long)value);
	abort();
}

/* --- control --- */

void fake_select(uint32_t cpu)
{
	relaxed = 0; /* whoever chooses a CPU begins something new */
	selected = cpu;
}

void fake_queue(const struct fake_step *s, size_t n)
{
	if (n > STEPS_MAX) {
		fake_fail("too many steps", n);
	}
	for (size_t i = 0; i < n; i++) {
		steps[i] = s[i];
	}
	step_count = n;
	step_next = 0;
}

void fake_play(bool (*play)(struct vp *vp, struct fake_step *step))
{
	player = play;
}

void fake_raise(uint8_t vector, bool level)
{
	if (raised_count == RAISED_MAX) {
		fake_fail("too many interrupts", raised_count);
	}
	raised[raised_count].vector = vector;
	raised[raised_count].level = level;
	raised_count++;
}

__attribute__((no_sanitize("address"), noinline)) void fake_leave(enum fake_end why)
{
	uint8_t *here = __builtin_frame_address(0);

	if (!back_set) {
		fake_fail("nobody waits for the end of the run", why);
	}
	back_why = why;
	/* Frames that are left without a return. */
	ASAN_UNPOISON_MEMORY_REGION(here, (size_t)(back_frame - here));
	__builtin_longjmp(back, 1);
}

/* Nor may the compiler find out that it, or `begin`, does not come back: see fake.h. */
static void (*volatile leave)(enum fake_end why) = fake_leave;

static void start_again(void)
{
	fake_locks_drop();
	fake_windows_drop();
	back_set = false;
	cpu_table[selected].in_guest = 0;
	cpu_table[selected].idle = 0;
}

/* Ends in fake_leave. For the sanitizer it is a call like any other: see there. */
__attribute__((no_sanitize("address"), noinline)) static void enter(uint32_t cpu)
{
	if (started[cpu]) {
		cpu_run();
	}
	started[cpu] = true;
	if (cpu == 0) {
		hv_main();
	}
	main_secondary(cpu);
}

static void (*volatile begin)(uint32_t cpu) = enter;

enum fake_end fake_run(uint32_t cpu)
{
	back_frame = __builtin_frame_address(0);
	if (__builtin_setjmp(back) == 0) {
		back_set = true;
		selected = cpu;
		fake_heap_touched();
		begin(cpu);
	}
	if (back_why != FAKE_RESET) {
		fake_check_idle();
	}
	start_again();
	return back_why;
}

enum fake_end fake_exit(struct vp *vp, const struct exit_info *e)
{
	back_frame = __builtin_frame_address(0);
	if (__builtin_setjmp(back) == 0) {
		back_set = true;
		selected = vp->cpu;
		fake_heap_touched();
		vp->arch->pending.kind = FAKE_NONE;
		exit_dispatch(vp, e);
		fake_check_idle();
		back_set = false;
		return FAKE_RETURNED;
	}
	start_again();
	return back_why;
}

/* What the guest does next, for arch_vp_enter. */
void fake_vp_next(struct vp *vp, struct exit_info *out)
{
	struct fake_step played = { .exit = { .kind = EXIT_INTERRUPT } };
	const struct fake_step *s = &played;
	bool more = player != NULL ? player(vp, &played) : step_next < step_count;

	fake_check_idle();
	if (!more) {
		if (vp->irq_offered >=
		    0) { /* the loop is left in mid-entry: as an exit without taking it */
			vlapic_unclaim(vp, (uint8_t)vp->irq_offered);
			vp->irq_offered = -1;
		}
		leave(FAKE_RAN_OUT);
	}
	if (player == NULL) {
		s = &steps[step_next++];
	}
	fake.tsc += s->tsc;
	if (s->guest != NULL) {
		s->guest(vp);
	}
	if (s->take && vp->arch->offered >= 0 && arch_vp_interruptible(vp) &&
	    (vp->arch->offered >> 4) > (vp->arch->tpr >> 4)) {
		vp->arch->taken = true;
		vp->arch->offered = -1;
	}
	*out = s->exit;
}

/* --- CPUs --- */

struct cpu *arch_this_cpu(void)
{
	return &cpu_table[selected];
}

uint32_t arch_cpu_index(void)
{
	return selected;
}

void arch_cpu_relax(void)
{
	if (++relaxed > RELAX_MAX) {
		fake_fail("waits for ever", relaxed);
	}
}

uint64_t arch_tsc(void)
{
	fake.tsc += fake.tsc_step;
	return fake.tsc;
}

void arch_wbinvd(void)
{
	fake.wbinvds++;
}

void arch_take_interrupts(void)
{
	struct cpu *c = arch_this_cpu();

	if (fake.timer[selected] <= fake.tsc) {
		fake.timer[selected] = UINT64_MAX;
		c->timer_armed = 0;
	}
	for (uint32_t i = 0; i < raised_count; i++) {
		if (raised[i].vector < HV_VECTOR_FIRST &&
		    !cpu_device_interrupt(raised[i].vector, raised[i].level)) {
			fake.device_eois++; /* as the handler does at once */
		}
	}
	raised_count = 0;
}

void arch_idle(void)
{
	fake_check_idle();
	if (raised_count == 0 && fake.timer[selected] > fake.tsc) {
		leave(FAKE_IDLE);
	}
	arch_take_interrupts();
}

static bool fake_random(uint64_t *v)
{
	static uint64_t state = 0x9e3779b97f4a7c15ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	*v = state;
	return !fake.no_random;
}

bool arch_random_seed(uint64_t *v)
{
	static unsigned calls;
	bool ok = fake_random(v);
	uint64_t more;

	(void)fake_random(&more);
	switch (fake.seed) {
	case FAKE_SEED_STUCK:
		*v = 0;
		break;
	case FAKE_SEED_REPEATS: /* half of its bits are set, as they should be */
		*v = ++calls % 8 == 0 ? 0x5555555555555555 : *v;
		break;
	case FAKE_SEED_FEW:
		*v &= more;
		break;
	case FAKE_SEED_MANY:
		*v |= more;
		break;
	default:
		break;
	}
	return ok;
}

void arch_stop_machine(void)
{
	abort();
}

void arch_reset_machine(void)
{
	leave(FAKE_RESET);
	__builtin_unreachable();
}

void arch_console_write(const char *text, size_t n)
{
	static int loud = -1;

	loud = loud < 0 ? getenv("FAKE_CONSOLE") != NULL : loud;
	fake.console_bytes += (uint32_t)n;
	if (loud != 0 || !back_set || (n > 2 && text[0] == '\r')) {
		fwrite(text, 1, n, stderr);
	}
}

void arch_debugcon_write(const char *text, size_t n)
{
	(void)text;
	fake.debugcon_bytes += (uint32_t)n;
}

/* The other CPU, if it is in a guest, has left it when this returns. */
void arch_kick(uint32_t cpu)
{
	if (cpu >= cpu_count) {
		fake_fail("kick of a CPU that does not run", cpu);
	}
	fake.kicks[cpu]++;
	if (cpu != selected) {
		cpu_table[cpu].in_guest = 0;
		cpu_table[cpu].idle = 0;
	}
}

void arch_timer_arm(uint64_t tsc)
{
	fake.timer[selected] = tsc;
}

void arch_device_eoi(void)
{
	fake.device_eois++;
}

void arch_device_logical(uint32_t ldr, uint32_t dfr)
{
	fake.ldr[selected] = ldr;
	fake.dfr[selected] = dfr;
}

uint64_t arch_apic_timer_hz(void)
{
	return 1000000000ull;
}

/* --- registers, ports --- */

static void record(struct fake_access *log, uint64_t *count, struct fake_access a)
{
	log[(*count)++ % FAKE_LOG] = a;
}

const struct fake_access *fake_last_out(void)
{
	return fake.out_count == 0 ? NULL : &fake.out[(fake.out_count - 1) % FAKE_LOG];
}

uint32_t arch_port_in(uint16_t port, unsigned size)
{
	uint32_t mask = size == 4 ? 0xffffffffu : (1u << (8 * size)) - 1;

	if ((size != 1 && size != 2 && size != 4) || port + size > 0x10000) {
		fake_fail("port read", size);
	}
	if (port == 0xcfc && size == 4 && (pci_latch & 0xff) == 0) {
		switch (pci_latch >> 8 & 0xffff) {
		case 0x00f8:
			return boot_handoff.info.efi ? 0xffffffff : 0x29188086;
		case 0x000b:
			return boot_handoff.info.efi ? 0x71138086 : 0xffffffff;
		default:
			break;
		}
	}
	return fake.in_value & mask;
}

void arch_port_out(uint16_t port, unsigned size, uint32_t v)
{
	if ((size != 1 && size != 2 && size != 4) || port + size > 0x10000 ||
	    (size < 4 && v >> (8 * size) != 0)) {
		fake_fail("port write", size);
	}
	if (port == 0xcf8 && size == 4) {
		pci_latch = v;
	}
	record(fake.out, &fake.out_count, (struct fake_access){ port, size, v, pci_latch });
}

void fake_cpuid_set(uint32_t leaf, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
	uint32_t i = 0;

	while (i < cpuid_count && cpuid[i].leaf != leaf) {
		i++;
	}
	if (i == CPUID_MAX) {
		fake_fail("too many CPUID leaves", leaf);
	}
	cpuid_count = i == cpuid_count ? i + 1 : cpuid_count;
	cpuid[i].leaf = leaf;
	cpuid[i].r[0] = eax;
	cpuid[i].r[1] = ebx;
	cpuid[i].r[2] = ecx;
	cpuid[i].r[3] = edx;
}

void arch_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	(void)subleaf;
	for (uint32_t i = 0; i < cpuid_count; i++) {
		if (cpuid[i].leaf == leaf) {
			__builtin_memcpy(out, cpuid[i].r, sizeof(cpuid[i].r));
			return;
		}
	}
	out[0] = out[1] = out[2] = out[3] = 0;
}

/* As the CPU does, #GP, which ends a hypervisor: SPEC_CTRL has only the bits that CPUID 0x80000008 EBX names. */
void arch_msr_write(uint32_t msr, uint64_t v)
{
	uint32_t r[4];

	if (msr == MSR_SPEC_CTRL) {
		arch_cpuid(0x80000008, 0, r);
		if ((v & ~7ull) != 0 || ((v & 1) != 0 && (r[1] & 1u << 14) == 0) ||
		    ((v & 2) != 0 && (r[1] & 1u << 15) == 0) ||
		    ((v & 4) != 0 && (r[1] & 1u << 24) == 0)) {
			fake_fail("#GP in the hypervisor: SPEC_CTRL", v);
		}
	}
	record(fake.msr, &fake.msr_count, (struct fake_access){ msr, 8, v, 0 });
}
