// SPDX-License-Identifier: MIT
/* Exits of each kind, the states of a VP, and the loop of a CPU. */
#include "tests/unit/core/core_test.h"

#include "hv/core/log.h"
#include "hv/core/time.h"

#define CODE 0x300000ull

static struct vp *vp;
static const struct exit_info hlt = { .kind = EXIT_HLT, .length = 1 };
static const struct exit_info interrupt = { .kind = EXIT_INTERRUPT };

static int fresh(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		vp = root_vp(i);
		fake_select(i);
		vp->state = VP_RUNNABLE;
		vp->events = 0;
		vp->suspended = 0;
		vp->nmi_pending = vp->nmi_blocked = vp->nmi_iret = false;
		vp->irq_offered = -1;
		vlapic_reset(vp);
		vp->apic.svr = 0x1ff;
		vp->apic.base = APIC_BASE_ADDR | APIC_BASE_EN | APIC_BASE_EXTD;
		vp->rflags = 0x202;
		vp->arch->shadow = vp->arch->taken = vp->arch->watch_iret = false;
		vp->arch->offered = -1;
		vp->arch->pending.kind = vp->arch->delivered.kind = FAKE_NONE;
		vp->arch->cpl = 0;
		vp->arch->mode = 64;
		vp->arch->cr0 = 0x11;
		memset(vp->insn_cache, 0, sizeof(vp->insn_cache));
		cpu_table[i].nmi_pending = cpu_table[i].idle = cpu_table[i].in_guest = 0;
	}
	vp = root_vp(0);
	fake_select(0);
	memset(fake_ram(CODE), 0, PAGE_SIZE);
	return 0;
}

static enum fake_end run1(struct exit_info e, bool take)
{
	fake_queue(&(struct fake_step){ .exit = e, .take = take }, 1);
	return fake_run(0);
}

/* --- exits --- */

/* CPUs that do not say how long the instruction was: it is decoded, once. */
static void test_decoded_length(void **state)
{
	static const struct {
		enum exit_kind kind;
		const char *code;
		unsigned n;
	} table[] = {
		{ EXIT_CPUID, "\x0f\xa2", 2 },
		{ EXIT_CPUID, "\x66\x0f\xa2", 3 },
		{ EXIT_HLT, "\xf4", 1 },
		{ EXIT_HYPERCALL, "\x0f\x01\xd9", 3 },
		{ EXIT_HYPERCALL, "\x0f\x01\xc1", 3 },
		{ EXIT_INVD, "\x0f\x08", 2 },
		{ EXIT_MSR_READ, "\x0f\x32", 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct exit_info e = { .kind = table[i].kind };

		for (unsigned again = 0; again < 2; again++) {
			vp->regs[REG_RCX] = MSR_EFER;
			vp->arch->cr3 = i << 12;
			put_code(vp, CODE + 32 * i, again == 0 ? table[i].code : "\x90\x90\x90",
				 table[i].n);
			assert_int_equal(fake_exit(vp, &e), FAKE_RETURNED);
			assert_int_equal(vp->arch->pending.kind, FAKE_NONE);
			assert_int_equal(vp->rip, CODE + 32 * i + table[i].n);
			vp->state = VP_RUNNABLE;
		}
		/* Another address space has other code there. */
		vp->arch->cr3 = 0xfff000;
		vp->rip = CODE + 32 * i;
		assert_int_equal(fake_exit(vp, &e), FAKE_RETURNED);
		if (e.kind == EXIT_HLT) {
			assert_int_equal(vp->rip, CODE + 32 * i + 1);
			vp->state = VP_RUNNABLE;
		} else {
			assert_int_equal(vp->arch->pending.vector, VECTOR_UD);
			assert_int_equal(vp->rip, CODE + 32 * i);
		}
	}
}

static void test_small_exits(void **state)
{
	struct exit_info e = { .kind = EXIT_EXCEPTION };
	uint64_t denied = partition_root->denied_insn;
	uint32_t n = fake.wbinvds;

	(void)state;
	exit_simple(vp, EXIT_INVD, 2); /* never a real one */
	assert_injected(vp, -1);
	assert_int_equal(fake.wbinvds, n + 1);
	denied = partition_root->denied_insn;
	exit_simple(vp, EXIT_FORBIDDEN, 3);
	assert_injected(vp, VECTOR_UD);
	assert_int_equal(partition_root->denied_insn, denied + 1);
	for (unsigned i = 0; i < 3; i++) {
		static const uint8_t vectors[] = { 1, 17, 18 };

		e.exception.vector = vectors[i];
		e.exception.has_error = vectors[i] == 17;
		e.exception.error = i;
		assert_int_equal(fake_exit(vp, &e), FAKE_RETURNED);
		assert_int_equal(vp->arch->pending.vector, vectors[i]);
		assert_int_equal(vp->arch->pending.has_error, vectors[i] == 17);
		assert_int_equal(vp->arch->pending.error, i);
		assert_int_equal(vp->state, VP_RUNNABLE);
	}
}

/* A loop of exceptions in their own delivery: each exit lets interrupts in, or the CPU's timer would starve. */
static void test_exception_window(void **state)
{
	static const uint8_t vectors[] = { 1, 17, 18 };
	struct exit_info e = { .kind = EXIT_EXCEPTION };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		uint32_t n = fake.device_eois;

		e.exception.vector = vectors[i];
		e.exception.has_error = vectors[i] == 17;
		fake.timer[0] = fake.tsc;
		cpu_table[0].timer_armed = 1;
		fake_raise((uint8_t)(0x51 + i), false);
		assert_int_equal(fake_exit(vp, &e), FAKE_RETURNED);
		assert_int_equal(fake.device_eois, n + 1);
		assert_int_equal(vp->apic.irr[2] >> (0x11 + i) & 1, 1);
		assert_true(fake.timer[0] == UINT64_MAX);
		assert_int_equal(cpu_table[0].timer_armed, 0);
		assert_int_equal(vp->arch->pending.vector, vectors[i]);
	}
}

static uint64_t log_end(void)
{
	static struct rd_log page;

	while (log_read(page.count == 0 ? 0 : page.next, &page) == RD_LOG_RECORDS) {
	}
	return page.next;
}

/* Nothing that the root can do again and again gets past its budget of lines. */
static void test_log_budget(void **state)
{
	struct exit_info e = { .kind = EXIT_EXCEPTION, .exception = { .vector = 18 } };
	struct exit_info string = { .kind = EXIT_PORT, .length = 1 };
	uint64_t step = fake.tsc_step, first, dropped;

	(void)state;
	fake.tsc += 1000 * FAKE_TSC_HZ; /* a full budget, and no time to earn more */
	fake.tsc_step = 0;
	string.port.port = 0x60;
	string.port.size = 1;
	string.port.string = true;
	vp->arch->cr0 = 0x11;
	first = log_end();
	dropped = log_dropped();
	for (unsigned i = 0; i < 100; i++) {
		exit_msr(vp, false, 0xdead0000 + i, 0);
		exit_msr(vp, true, 0xdead0000 + i, i);
		exit_msr(vp, true, MSR_EFER, 0x1500);
		exit_port(vp, false, 0xb2, 1, 0);
		exit_port(vp, true, 0xb2, 1, 0);
		exit_port(vp, false, 0x92, 1, 0);
		exit_port(vp, false, 0x64, 1, 0xdd);
		exit_port(vp, false, FAKE_PM1A, 2, 0x2401);
		exit_port(vp, false, 0xcf8, 4, 0x80000050);
		exit_port(vp, false, 0xcfc, 4, 0);
		fake_exit(vp, &string);
		exit_memory(vp, FAKE_REGION_BASE, true);
		exit_memory(vp, APIC_BASE_ADDR + PAGE_SIZE, true);
		put_code(vp, CODE, "\xa4", 1);
		exit_memory(vp, APIC_BASE_ADDR, true); /* an unknown instruction */
		put_code(vp, CODE, "\xc7\x00\x10\x00\x00\x00", 6);
		exit_memory(vp, FAKE_IOAPIC, true);
		put_code(vp, CODE, "\xc7\x00\xf1\x02\x00\x00", 6);
		exit_memory(vp, FAKE_IOAPIC + 0x10, true); /* an SMI */
		put_code(vp, CODE, "\xc7\x00\x00\x00\x00\x00", 6);
		exit_memory(vp, FAKE_IOAPIC + 0x30, true);     /* no such register */
		exit_msr(vp, true, 0x830, 0x0000000100000200); /* an SMI to VP 1 */
		exit_simple(vp, EXIT_FORBIDDEN, 3);
		fake_exit(vp, &e);
	}
	assert_int_equal(log_end() - first, 64);
	assert_true(log_dropped() - dropped > 1000);
	fake.tsc_step = step;
}

static void test_last_exits(void **state)
{
	(void)state;
	assert_int_equal(exit_simple(vp, EXIT_SHUTDOWN, 0), FAKE_RESET);
	vp = root_vp(2); /* of any VP, as on hardware */
	assert_int_equal(exit_simple(vp, EXIT_SHUTDOWN, 0), FAKE_RESET);
	assert_int_equal(exit_simple(vp, EXIT_INVALID, 0), FAKE_RETURNED);
	assert_int_equal(vp->state, VP_DEAD);
	vp = root_vp(3);
	assert_int_equal(exit_simple(vp, EXIT_UNKNOWN, 0), FAKE_RETURNED);
	assert_int_equal(vp->state, VP_DEAD);
	vp_event(vp, VP_EVENT_INIT | VP_EVENT_SIPI | VP_EVENT_NMI);
	fake_select(3);
	assert_false(vp_prepare(vp)); /* nothing brings it back */
	assert_int_equal(vp->state, VP_DEAD);
	partition_root->root = false; /* a child's triple fault is its own affair */
	assert_int_equal(exit_simple(root_vp(1), EXIT_SHUTDOWN, 0), FAKE_RETURNED);
	assert_int_equal(root_vp(1)->state, VP_DEAD);
	partition_root->root = true;
}

/* --- states --- */

static void test_init_sipi(void **state)
{
	(void)state;
	vp = root_vp(1);
	fake_select(1);
	vlapic_post(vp, 0x44, false);
	vp->irq_offered = vp->arch->offered = 0x44;
	vp->regs[REG_RBX] = 5;
	vp_event(vp, VP_EVENT_SIPI); /* without INIT: ignored */
	assert_true(vp_prepare(vp));
	assert_int_equal(vp->arch->sipi, -1);
	vp_event(vp, VP_EVENT_INIT);
	assert_false(vp_prepare(vp));
	assert_int_equal(vp->state, VP_WAIT_SIPI);
	assert_int_equal(vp->apic.irr_words, 0);
	assert_int_equal(vp->arch->offered, -1);
	assert_int_equal(vp->irq_offered, -1);
	assert_int_equal(vp->regs[REG_RBX], 0);
	assert_true((vp->apic.base & APIC_BASE_EXTD) != 0); /* INIT leaves the mode */
	assert_false(vp_prepare(vp));
	vp->sipi_vector = 0x9a;
	vp_event(vp, VP_EVENT_SIPI);
	assert_true(vp_prepare(vp));
	assert_int_equal(vp->state, VP_RUNNABLE);
	assert_int_equal(vp->arch->sipi, 0x9a);
	assert_int_equal(vp->arch->base[1], 0x9a000);
	vp->sipi_vector = 0x55;
	vp_event(vp, VP_EVENT_SIPI); /* the second SIPI of the usual pair */
	assert_true(vp_prepare(vp));
	assert_int_equal(vp->arch->sipi, 0x9a);
	vp->sipi_vector = 0x66;
	vp_event(vp, VP_EVENT_INIT | VP_EVENT_SIPI); /* both at once, in this order */
	assert_true(vp_prepare(vp));
	assert_int_equal(vp->arch->sipi, 0x66);
}

/* INIT of the boot processor restarts the machine. */
static void test_init_boot(void **state)
{
	(void)state;
	vp_event(vp, VP_EVENT_INIT);
	fake_queue(NULL, 0);
	assert_int_equal(fake_run(0), FAKE_RESET);
}

static void test_hlt_wakes(void **state)
{
	(void)state;
	assert_int_equal(run1(hlt, false), FAKE_IDLE);
	assert_int_equal(vp->state, VP_HALTED);
	vlapic_post(vp, 0x41, false);
	assert_true(vp_prepare(vp));
	assert_int_equal(vp->state, VP_RUNNABLE);
	/* Not by a vector below the task priority, with IF clear, or with the APIC off. */
	for (unsigned i = 0; i < 4; i++) {
		vp->state = VP_HALTED;
		vp->rflags = i == 1 ? 2 : 0x202;
		vp->arch->tpr = i == 0 ? 0x40 : 0;
		vp->apic.svr = i == 2 ? 0xff : 0x1ff;
		vp->arch->shadow = i == 3;
		assert_false(vp_prepare(vp));
		assert_int_equal(vp->state, VP_HALTED);
	}
	vp->arch->shadow = false;
	/* An NMI always, unless one is being handled. */
	vp->rflags = 2;
	vp->nmi_blocked = true;
	vp_event(vp, VP_EVENT_NMI);
	assert_false(vp_prepare(vp));
	vp->nmi_blocked = false;
	assert_true(vp_prepare(vp));
	assert_int_equal(vp->arch->pending.kind, FAKE_NMI);
}

static void test_nmi(void **state)
{
	const struct exit_info iret = { .kind = EXIT_IRET };
	uint32_t n = vp->arch->injected;

	(void)state;
	vp->rip = 0x1000;
	vp_event(vp, VP_EVENT_NMI);
	assert_true(vp_prepare(vp));
	assert_int_equal(vp->arch->injected, n + 1);
	assert_true(vp->arch->watch_iret && vp->nmi_blocked);
	vp->arch->pending.kind = FAKE_NONE; /* delivered */
	vp_event(vp, VP_EVENT_NMI);         /* held until the handler's IRET */
	assert_true(vp_prepare(vp));
	assert_int_equal(vp->arch->injected, n + 1);
	vp->rip = 0x2000;
	assert_int_equal(fake_exit(vp, &iret), FAKE_RETURNED);
	assert_false(vp->arch->watch_iret);
	assert_true(vp_prepare(vp)); /* the IRET has not been executed yet */
	assert_int_equal(vp->arch->injected, n + 1);
	vp->rip = 0x1002;
	arch_vp_inject_exception(vp, VECTOR_GP, true,
				 0); /* one event at a time: the fault goes first */
	assert_true(vp_prepare(vp));
	assert_int_equal(vp->arch->pending.kind, FAKE_EXCEPTION);
	assert_true(vp->nmi_pending);
	vp->arch->pending.kind = FAKE_NONE;
	n++;
	assert_true(vp_prepare(vp));
	assert_int_equal(vp->arch->injected, n + 2);
	assert_true(vp->arch->watch_iret);
	assert_false(vp->nmi_pending);
}

static void test_flush(void **state)
{
	uint32_t n = vp->arch->flushes;

	(void)state;
	vp_event(vp, VP_EVENT_FLUSH);
	assert_true(vp_prepare(vp));
	assert_int_equal(vp->arch->flushes, n + 1);
	assert_true(vp_ready(vp));
}

/* --- the loop --- */

static void test_loop_interrupt(void **state)
{
	(void)state;
	vlapic_post(vp, 0x41, false);
	assert_int_equal(run1(interrupt, false), FAKE_RAN_OUT);
	assert_int_equal(vp->arch->offered, 0x41);
	assert_true((vp->apic.irr[2] & 2) != 0); /* offered is not taken */
	vlapic_post(vp, 0x71, false);            /* a better one replaces it */
	assert_int_equal(run1(interrupt, true), FAKE_RAN_OUT);
	assert_int_equal(vp->apic.irr[3], 0);
	assert_int_equal(vp->apic.isr[3], 1u << 0x11);
	assert_int_equal(vp->arch->offered, -1); /* 0x41 waits behind it */
	vlapic_eoi(vp);
	assert_int_equal(run1(interrupt, true), FAKE_RAN_OUT);
	assert_int_equal(vp->apic.isr[2], 2);
	assert_int_equal(vp->apic.irr_words == 0 || vlapic_highest(vp) == -1, 1);
}

static void test_loop_device(void **state)
{
	(void)state;
	fake.device_eois = 0;
	fake_raise(0x55, false);
	fake_raise(0x66, true);
	assert_int_equal(run1(interrupt, false), FAKE_RAN_OUT);
	assert_int_equal(fake.device_eois, 1); /* the edge; the level one waits for the root */
	assert_int_equal(vp->arch->offered, 0x66);
	assert_int_equal(run1(interrupt, true), FAKE_RAN_OUT);
	vlapic_eoi(vp);
	assert_int_equal(fake.device_eois, 2);
	/* It also ends a halt. */
	assert_int_equal(run1(interrupt, true), FAKE_RAN_OUT);
	vlapic_eoi(vp);
	assert_int_equal(run1(hlt, false), FAKE_IDLE);
	fake_raise(0x77, false);
	assert_int_equal(run1(interrupt, true), FAKE_RAN_OUT);
	assert_true((vp->apic.isr[3] >> 0x17 & 1) != 0);
}

static void post_again(struct vp *p)
{
	vlapic_post(p, 0x50, false); /* as another CPU does while this one is in the guest */
}

/* Taken and requested again during one stay in the guest: two interrupts. Not taken: one. */
static void test_posted_again(void **state)
{
	struct fake_step step = { .exit = interrupt, .take = true, .guest = post_again };

	(void)state;
	vp = root_vp(0);
	fake_select(0);
	vlapic_post(vp, 0x50, false);
	fake_queue(&step, 1);
	assert_int_equal(fake_run(0), FAKE_RAN_OUT);
	assert_true((vp->apic.isr[2] & 1u << 16) != 0);
	assert_true((vp->apic.irr[2] & 1u << 16) != 0);
	assert_int_equal(vlapic_highest(vp), -1); /* behind itself, until EOI */
	vlapic_eoi(vp);
	assert_int_equal(vlapic_highest(vp), 0x50);
	step.take = false;
	fake_queue(&step, 1);
	assert_int_equal(fake_run(0), FAKE_RAN_OUT);
	assert_int_equal(vlapic_highest(vp), 0x50);
	take_vector(vp, 0x50);
	vlapic_eoi(vp);
	assert_int_equal(vlapic_highest(vp), -1);
}

static void test_loop_timer(void **state)
{
	struct fake_step steps[] = { { .exit = interrupt, .tsc = 999 },
				     { .exit = interrupt, .tsc = 1 },
				     { .exit = interrupt, .take = true } };
	uint64_t deadline;

	(void)state;
	vp->apic.lvt[0] = 0x400ec;
	vp->arch->cpl = 0;
	assert_true(msr_write(vp, MSR_TSC_DEADLINE, fake.tsc + 1000));
	deadline = fake.tsc + 1000;
	fake_queue(steps, 1);
	assert_int_equal(fake_run(0), FAKE_RAN_OUT);
	assert_true(fake.timer[0] == deadline);
	assert_int_equal(vp->apic.irr_words, 0);
	fake_queue(steps + 1, 2);
	assert_int_equal(fake_run(0), FAKE_RAN_OUT);
	assert_true((vp->apic.isr[7] >> 12 & 1) != 0);
	/* The heartbeat goes on for ever. */
	deadline = cpu_table[0].ticks;
	for (unsigned i = 1; i < 5; i++) {
		steps[0].tsc = FAKE_TSC_HZ + 1;
		fake_queue(steps, 1);
		fake_run(0);
		assert_true(cpu_table[0].ticks >= deadline + i);
	}
}

static void test_loop_nmi(void **state)
{
	(void)state;
	cpu_table[0].nmi_pending = 1;
	fake_queue(NULL, 0); /* it goes in at the very next entry */
	assert_int_equal(fake_run(0), FAKE_RAN_OUT);
	assert_int_equal(vp->arch->delivered.kind, FAKE_NMI);
	assert_int_equal(cpu_table[0].nmi_pending, 0);
}

/* Nobody runs on old translations after a shoot-down: CPUs in a guest are waited for, the others look. */
static void test_shootdown(void **state)
{
	uint32_t flushes = vp->arch->flushes, iommu = fake.iommu_flushes, kicks[4];

	(void)state;
	memcpy(kicks, fake.kicks, sizeof(kicks));
	cpu_table[1].in_guest = 1;
	cpu_table[3].in_guest = 1;
	cpu_table[0].in_guest = 1; /* itself: not waited for */
	cpu_tlb_shootdown();
	assert_int_equal(fake.kicks[0], kicks[0]);
	assert_int_equal(fake.kicks[1], kicks[1] + 1);
	assert_int_equal(fake.kicks[2], kicks[2]);
	assert_int_equal(fake.kicks[3], kicks[3] + 1);
	assert_int_equal(fake.iommu_flushes, iommu + 1);
	assert_int_equal(run1(interrupt, false), FAKE_RAN_OUT);
	assert_int_equal(vp->arch->flushes, flushes + 1);
	assert_int_equal(run1(interrupt, false), FAKE_RAN_OUT);
	assert_int_equal(vp->arch->flushes, flushes + 1); /* once */
}

static void test_secondary(void **state)
{
	const struct fake_step step = { .exit = interrupt };

	(void)state;
	root_vp(1)->state = VP_WAIT_SIPI;
	fake_queue(NULL, 0);
	assert_int_equal(fake_run(1), FAKE_IDLE); /* main_secondary, then nothing to run */
	assert_int_equal(cpu_table[1].online, 1);
	assert_true(msr_write(root_vp(0), 0x830, 0x000000010000c500));
	assert_true(msr_write(root_vp(0), 0x830, 0x0000000100000699));
	fake_queue(&step, 1);
	assert_int_equal(fake_run(1), FAKE_RAN_OUT);
	assert_int_equal(root_vp(1)->arch->sipi, 0x99);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_decoded_length), TEST(test_small_exits),    TEST(test_exception_window),
		TEST(test_log_budget),     TEST(test_last_exits),     TEST(test_init_sipi),
		TEST(test_init_boot),      TEST(test_hlt_wakes),      TEST(test_nmi),
		TEST(test_flush),          TEST(test_loop_interrupt), TEST(test_loop_device),
		TEST(test_posted_again),   TEST(test_loop_timer),     TEST(test_loop_nmi),
		TEST(test_shootdown),      TEST(test_secondary),
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
