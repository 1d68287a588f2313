// SPDX-License-Identifier: MIT
/* The virtual local APIC: priorities, end of interrupt, IPIs, both register interfaces, timer, mode changes. */
#include "tests/unit/core/core_test.h"

#define X2(reg) (MSR_X2APIC + ((reg) >> 4))
#define SVR_ON 0x1ffu
#define BASE_X2 (APIC_BASE_ADDR | APIC_BASE_EN | APIC_BASE_EXTD)
#define BASE_X1 (APIC_BASE_ADDR | APIC_BASE_EN)
#define TMICT APIC_TIMER_INIT
#define MASKED 0x10000u
#define PERIODIC 0x20000u
#define DEADLINE 0x40000u

static void expire(struct vp *vp)
{
	fake_select(vp->cpu);
	if (vp->deadline[VP_TIMER_VLAPIC] <= fake.tsc) {
		cpu_timers_expire();
	}
}

static bool irr(struct vp *vp, unsigned v)
{
	return (vp->apic.irr[v / 32] >> (v % 32) & 1) != 0;
}

static bool isr(struct vp *vp, unsigned v)
{
	return (vp->apic.isr[v / 32] >> (v % 32) & 1) != 0;
}

static void irr_clear(void)
{
	for (uint32_t i = 0; i < 4; i++) {
		memset(root_vp(i)->apic.irr, 0, sizeof(root_vp(i)->apic.irr));
		root_vp(i)->apic.irr_words = 0;
		root_vp(i)->events = 0;
	}
}

/* Every VP: reset, x2APIC, enabled, running. */
static int fresh(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		struct vp *vp = root_vp(i);

		fake_select(i);
		vlapic_reset(vp);
		vp->apic.base = BASE_X2 | (i == 0 ? APIC_BASE_BSP : 0);
		vp->apic.svr = SVR_ON;
		vp->state = VP_RUNNABLE;
		vp->arch->cpl = 0;
		cpu_table[i].in_guest = 0;
		cpu_table[i].idle = 0;
	}
	irr_clear();
	fake_select(0);
	fake.device_eois = 0;
	return 0;
}

static uint64_t rd(struct vp *vp, uint32_t reg)
{
	uint64_t v = 0;

	assert_true(msr_read(vp, X2(reg), &v));
	return v;
}

static void wr(struct vp *vp, uint32_t reg, uint64_t v)
{
	assert_true(msr_write(vp, X2(reg), v));
}

static void test_priorities(void **state)
{
	struct vp *vp = root_vp(0);

	(void)state;
	assert_int_equal(vlapic_highest(vp), -1);
	for (unsigned v = 16; v < 256; v++) {
		vlapic_post(vp, (uint8_t)v, false);
		assert_true(irr(vp, v) && vlapic_highest(vp) == (int)v);
		assert_int_equal(rd(vp, APIC_IRR + v / 32 * 16) >> (v % 32) & 1, 1);
		take_vector(vp, (uint8_t)v);
		assert_true(!irr(vp, v) && isr(vp, v));
		assert_int_equal(vlapic_highest(vp), -1);
		assert_int_equal(rd(vp, APIC_PPR), v & 0xf0);
		assert_int_equal(rd(vp, APIC_ISR + v / 32 * 16) >> (v % 32) & 1, 1);
		vlapic_post(vp, (uint8_t)((v & 0xf0) | 15), false); /* the same class waits */
		assert_int_equal(vlapic_highest(vp), -1);
		if (v < 0xf0) {
			vlapic_post(vp, (uint8_t)(v + 16), false);
			assert_int_equal(vlapic_highest(vp), v + 16);
		}
		irr_clear();
		vlapic_eoi(vp);
		assert_true(!isr(vp, v));
		assert_int_equal(rd(vp, APIC_PPR), 0);
	}
	vlapic_eoi(vp); /* nothing in service: nothing happens */
	assert_int_equal(vp->apic.isr_words, 0);
}

static void test_nesting(void **state)
{
	static const uint8_t order[] = { 0x31, 0x45, 0x62, 0x91, 0xec };
	struct vp *vp = root_vp(0);

	(void)state;
	for (unsigned i = 0; i < sizeof(order); i++) {
		vlapic_post(vp, order[i], false);
		assert_int_equal(vlapic_highest(vp), order[i]);
		take_vector(vp, order[i]);
	}
	for (unsigned i = sizeof(order); i-- > 0;) {
		assert_int_equal(rd(vp, APIC_PPR), order[i] & 0xf0);
		assert_true(isr(vp, order[i]));
		wr(vp, APIC_EOI, 0);
		assert_false(isr(vp, order[i]));
	}
	assert_int_equal(vp->apic.isr_words, 0);
}

static void test_task_priority(void **state)
{
	struct vp *vp = root_vp(0);

	(void)state;
	vlapic_post(vp, 0x55, false);
	assert_true(vlapic_would_interrupt(vp));
	for (unsigned tpr = 0; tpr < 0x100; tpr += 0x10) {
		wr(vp, APIC_TPR, tpr);
		assert_int_equal(rd(vp, APIC_TPR), tpr);
		assert_int_equal(rd(vp, APIC_PPR), tpr);
		assert_int_equal(vlapic_would_interrupt(vp), tpr < 0x50);
		assert_int_equal(vlapic_highest(vp), 0x55); /* the CPU compares the TPR itself */
	}
	wr(vp, APIC_TPR, 0);
	take_vector(vp, 0x55);
	wr(vp, APIC_TPR, 0x70);
	assert_int_equal(rd(vp, APIC_PPR), 0x70);
	wr(vp, APIC_TPR, 0x20);
	assert_int_equal(rd(vp, APIC_PPR), 0x50);
}

static void test_disabled(void **state)
{
	struct vp *vp = root_vp(0);

	(void)state;
	vlapic_post(vp, 0x55, false);
	wr(vp, APIC_SVR, 0xff);
	assert_int_equal(vlapic_highest(vp), -1);
	assert_false(vlapic_would_interrupt(vp));
	wr(vp, APIC_LVT_TIMER, 0xec); /* masked while software-disabled */
	assert_int_equal(rd(vp, APIC_LVT_TIMER), 0x100ec);
	wr(vp, APIC_SVR, SVR_ON);
	assert_int_equal(vlapic_highest(vp), 0x55);
	wr(vp, APIC_LVT_TIMER, 0xec);
	assert_int_equal(rd(vp, APIC_LVT_TIMER), 0xec);
	wr(vp, APIC_SVR, 0xff);
	assert_int_equal(rd(vp, APIC_LVT_TIMER), 0x100ec);
}

static void test_level(void **state)
{
	struct vp *vp = root_vp(1);

	(void)state;
	fake_select(1);
	assert_true(cpu_device_interrupt(0x61, true));
	assert_false(cpu_device_interrupt(0x71, false));
	assert_int_equal(rd(vp, APIC_TMR + 3 * 16), 1u << 1);
	take_vector(vp, 0x71);
	wr(vp, APIC_EOI, 0);
	assert_int_equal(fake.device_eois, 0); /* edge: the handler has ended it */
	take_vector(vp, 0x61);
	assert_int_equal(fake.device_eois, 0);
	wr(vp, APIC_EOI, 0);
	assert_int_equal(fake.device_eois, 1);
	wr(vp, APIC_EOI, 0);
	assert_int_equal(fake.device_eois, 1);
	/* An edge for the same vector clears the trigger mode again. */
	assert_false(cpu_device_interrupt(0x61, false));
	assert_int_equal(rd(vp, APIC_TMR + 3 * 16), 0);
	/* A physical EOI ends the highest in service: a lower one that is done first has to wait for it. */
	fake.device_eois = 0;
	vlapic_post(vp, 0x61, false);
	vp->apic.irr[0x61 / 32] = 0;
	assert_true(cpu_device_interrupt(0x62, true));
	assert_true(cpu_device_interrupt(0x91, true));
	take_vector(vp, 0x62);
	wr(vp, APIC_EOI, 0);
	assert_int_equal(fake.device_eois, 0);
	take_vector(vp, 0x91);
	wr(vp, APIC_EOI, 0);
	assert_int_equal(fake.device_eois, 2);
	assert_int_equal(vp->apic.phys_level[3] | vp->apic.phys_level[4], 0);
	fake.device_eois = 1;
	/* What is pending when the APIC goes away must still be ended. */
	assert_true(cpu_device_interrupt(0x62, true));
	assert_true(cpu_device_interrupt(0x63, true));
	take_vector(vp, 0x63);
	assert_true(msr_write(vp, MSR_APIC_BASE, APIC_BASE_ADDR));
	assert_int_equal(fake.device_eois, 3);
	assert_false(cpu_device_interrupt(15, true)); /* no such vector */
	assert_int_equal(vp->apic.phys_level[0], 0);
}

static bool owed(struct vp *vp)
{
	uint32_t any = 0;

	for (unsigned w = 0; w < 8; w++) {
		any |= vp->apic.phys_level[w] | vp->apic.phys_done[w];
	}
	return any != 0;
}

/* A physical EOI ends the highest interrupt in service, so what is done must wait for what lies above it. */
static void test_level_order(void **state)
{
	struct vp *vp = root_vp(1);
	bool up[256] = { false };
	uint64_t seed = 0x2545f4914f6cdd1dull;

	(void)state;
	fake_select(1);
	/* The higher one nests in the lower one: each end is the one that is due. */
	assert_true(cpu_device_interrupt(0x62, true));
	take_vector(vp, 0x62);
	assert_true(cpu_device_interrupt(0x91, true));
	take_vector(vp, 0x91);
	wr(vp, APIC_EOI, 0);
	assert_int_equal(fake.device_eois, 1);
	wr(vp, APIC_EOI, 0);
	assert_int_equal(fake.device_eois, 2);
	assert_false(owed(vp));
	/* The root takes the lower one first, and another edge interrupt between the two. */
	assert_true(cpu_device_interrupt(0x62, true));
	assert_true(cpu_device_interrupt(0x6f, true));
	take_vector(vp, 0x62);
	wr(vp, APIC_EOI, 0);
	assert_int_equal(fake.device_eois, 2);
	assert_false(cpu_device_interrupt(0x81, false));
	take_vector(vp, 0x81);
	wr(vp, APIC_EOI, 0);
	assert_int_equal(fake.device_eois, 2);
	take_vector(vp, 0x6f);
	wr(vp, APIC_EOI, 0);
	assert_int_equal(fake.device_eois, 4);
	assert_false(owed(vp));
	/* In any order: a physical EOI comes exactly when nothing unfinished lies above, and none is missing at the end. */
	for (unsigned n = 0; n < 20000; n++) {
		unsigned v = 0x20 + (unsigned)(next_random(&seed) % 0xd0);
		uint32_t before = fake.device_eois, want = 0;
		bool blocked = false;

		if (!up[v]) {
			assert_true(cpu_device_interrupt((uint8_t)v, true));
			up[v] = true;
			assert_int_equal(fake.device_eois, before);
			continue;
		}
		if (irr(vp, v)) {
			take_vector(vp, (uint8_t)v);
			vlapic_eoi(vp);
		}
		for (unsigned i = 256; i-- > 0x20;) {
			bool done = up[i] && !irr(vp, i);

			blocked = blocked || (up[i] && !done);
			if (done && !blocked) {
				up[i] = false;
				want++;
			}
		}
		assert_int_equal(fake.device_eois - before, want);
	}
	for (unsigned i = 0x20; i < 256; i++) {
		if (up[i] && irr(vp, i)) {
			take_vector(vp, (uint8_t)i);
			vlapic_eoi(vp);
		}
	}
	assert_false(owed(vp));
}

struct ipi {
	uint64_t icr;
	unsigned hits; /* bit per VP; sent by VP 1 */
};

static void check_hits(const struct ipi *t, unsigned vector)
{
	for (uint32_t i = 0; i < 4; i++) {
		if (irr(root_vp(i), vector) != ((t->hits >> i & 1) != 0)) {
			fail_msg("icr %llx: VP %u is wrong", (unsigned long long)t->icr, i);
		}
	}
	irr_clear();
}

static void test_ipi_x2(void **state)
{
	static const struct ipi table[] = {
		{ 0x0000000000000040, 0x1 }, { 0x0000000200000040, 0x4 },
		{ 0x0000000900000040, 0x0 }, { 0xffffffff00000040, 0xf },
		{ 0x000000ff00000040, 0x0 }, { 0x0000000100000840, 0x1 },
		{ 0x0000000600000840, 0x6 }, { 0x0000ffff00000840, 0xf },
		{ 0x0001000f00000840, 0x0 }, { 0xffffffff00000840, 0xf },
		{ 0x0000000000000840, 0x0 }, { 0x0000000000040040, 0x2 },
		{ 0x0000000000080040, 0xf }, { 0x00000000000c0040, 0xd },
		{ 0x0000000200044040, 0x2 }, { 0x000000020000c040, 0x4 },
		{ 0x0000000600000940, 0x2 }, { 0x0000000c00000940, 0x4 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		wr(root_vp(1), APIC_ICR, table[i].icr);
		assert_true(rd(root_vp(1), APIC_ICR) == table[i].icr);
		check_hits(&table[i], 0x40);
	}
}

static void mmio_ipi(struct vp *vp, uint64_t icr)
{
	fake_select(vp->cpu);
	vlapic_mmio_write(vp, APIC_ICR2, (uint32_t)(icr >> 32));
	vlapic_mmio_write(vp, APIC_ICR, (uint32_t)icr);
	assert_int_equal(vlapic_mmio_read(vp, APIC_ICR), (uint32_t)icr & ~0x1000u);
	assert_int_equal(vlapic_mmio_read(vp, APIC_ICR2), (uint32_t)(icr >> 32));
}

static void test_ipi_xapic(void **state)
{
	static const struct ipi flat[] = {
		{ 0x0200000000000040, 0x4 }, { 0xff00000000000040, 0xf },
		{ 0x0900000000000040, 0 },   { 0x0100000000000840, 0x1 },
		{ 0x0a00000000000840, 0xa }, { 0xf000000000000840, 0 },
		{ 0xff00000000000840, 0xf }, { 0x0200000000001040, 0x4 },
		{ 0x02000000000c0040, 0xd },
	};
	static const struct ipi cluster[] = {
		{ 0x1100000000000840, 0x1 }, { 0x1300000000000840, 0x3 },
		{ 0x2100000000000840, 0x4 }, { 0x2f00000000000840, 0xc },
		{ 0x3f00000000000840, 0 },   { 0xff00000000000840, 0xf },
	};

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		struct vp *vp = root_vp(i);

		vp->apic.base = BASE_X1;
		vlapic_mmio_write(vp, APIC_LDR, 0x00ffffffu | 1u << (24 + i));
		assert_int_equal(vlapic_mmio_read(vp, APIC_LDR), 1u << (24 + i));
		assert_int_equal(vlapic_mmio_read(vp, APIC_ID), i << 24);
	}
	for (size_t i = 0; i < ARRAY_SIZE(flat); i++) {
		mmio_ipi(root_vp(1), flat[i].icr);
		check_hits(&flat[i], 0x40);
	}
	for (uint32_t i = 0; i < 4; i++) {
		fake_select(i);
		vlapic_mmio_write(root_vp(i), APIC_DFR, 0);
		assert_int_equal(vlapic_mmio_read(root_vp(i), APIC_DFR), 0x0fffffff);
		vlapic_mmio_write(root_vp(i), APIC_LDR, (1 + i / 2) << 28 | 1u << (24 + i % 2));
	}
	assert_int_equal(fake.ldr[3], 2u << 28 | 2u << 24); /* devices must find it there, too */
	assert_int_equal(fake.dfr[3], 0x0fffffff);
	root_vp(3)->apic.ldr |= 0x0c000000; /* several bits may be set */
	for (size_t i = 0; i < ARRAY_SIZE(cluster); i++) {
		mmio_ipi(root_vp(1), cluster[i].icr);
		check_hits(&cluster[i], 0x40);
	}
}

static void test_ipi_modes(void **state)
{
	struct vp *vp = root_vp(0);

	(void)state;
	wr(vp, APIC_ICR, 0x00000001000004ff); /* NMI: the vector does not count */
	assert_int_equal(root_vp(1)->events, VP_EVENT_NMI);
	wr(vp, APIC_ICR, 0x000000020000c500); /* INIT, assert */
	assert_int_equal(root_vp(2)->events, VP_EVENT_INIT);
	irr_clear();
	wr(vp, APIC_ICR, 0x0000000200008500); /* INIT, level de-assert */
	assert_int_equal(root_vp(2)->events, 0);
	wr(vp, APIC_ICR, 0x0000000300000699); /* SIPI */
	assert_int_equal(root_vp(3)->events, VP_EVENT_SIPI);
	assert_int_equal(root_vp(3)->sipi_vector, 0x99);
	wr(vp, APIC_ICR, 0x00000000000c0500); /* INIT to all but self */
	assert_int_equal(root_vp(0)->events, 0);
	assert_int_equal(root_vp(1)->events, VP_EVENT_INIT);
	irr_clear();
	for (unsigned mode = 2; mode < 8; mode++) { /* SMI, reserved, ExtINT: never */
		if (mode == 2 || mode == 3 || mode == 7) {
			wr(vp, APIC_ICR, 0x00000001000000f1 | mode << 8);
			assert_int_equal(root_vp(1)->events, 0);
			assert_int_equal(root_vp(1)->apic.irr_words, 0);
		}
	}
	for (unsigned v = 0; v < 16; v++) { /* illegal vectors: an error, not an interrupt */
		wr(vp, APIC_ICR, 0x0000000100000000 | v);
		assert_int_equal(root_vp(1)->apic.irr_words, 0);
		wr(vp, APIC_ESR, 0);
		assert_int_equal(rd(vp, APIC_ESR), 0x20);
		wr(vp, APIC_ESR, 0);
		assert_int_equal(rd(vp, APIC_ESR), 0);
	}
}

/* A posted vector reaches a VP that is in its guest or halted by one kick. */
static void test_kicks(void **state)
{
	(void)state;
	fake_select(0);
	fake.kicks[1] = 0;
	wr(root_vp(0), APIC_ICR, 0x0000000100000040);
	assert_int_equal(fake.kicks[1], 0); /* neither: it will look by itself */
	cpu_table[1].in_guest = 1;
	wr(root_vp(0), APIC_ICR, 0x0000000100000041);
	assert_int_equal(fake.kicks[1], 1);
	cpu_table[1].idle = 1;
	wr(root_vp(0), APIC_ICR, 0x0000000100000400);
	assert_int_equal(fake.kicks[1], 2);
}

static void test_x2_reserved(void **state)
{
	static const uint32_t absent[] = { 0x800 + 0x2f, 0x831, 0x80e, 0x801,
					   0x804,        0x83a, 0x809, 0x80c };
	static const uint32_t no_write[] = {
		0x802, 0x803, 0x80a, 0x80d, 0x810, 0x818, 0x820, 0x839
	};
	struct vp *vp = root_vp(0);
	uint64_t v;

	(void)state;
	for (unsigned bit = 0; bit < 32; bit++) {
		uint64_t icr = 0x0000000200000040ull ^ 1ull << bit;
		bool good = bit < 12 || bit == 14 || bit == 15 || bit == 18 || bit == 19;

		assert_int_equal(msr_write(vp, X2(APIC_ICR), icr), good);
		irr_clear();
	}
	assert_false(msr_write(vp, X2(APIC_EOI), 1));
	assert_false(msr_read(vp, X2(APIC_EOI), &v));
	assert_false(msr_write(vp, X2(APIC_SELF_IPI), 0x100));
	assert_false(msr_read(vp, X2(APIC_SELF_IPI), &v));
	assert_true(msr_write(vp, X2(APIC_SELF_IPI), 0x44));
	assert_true(irr(vp, 0x44));
	assert_false(msr_write(vp, X2(APIC_ESR), 1));
	assert_false(msr_write(vp, X2(APIC_TPR), 1ull << 32));
	assert_false(msr_write(vp, X2(APIC_SVR), 1ull << 32 | SVR_ON));
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
		assert_false(msr_read(vp, absent[i], &v));
		assert_false(msr_write(vp, absent[i], 0));
	}
	for (size_t i = 0; i < ARRAY_SIZE(no_write); i++) {
		assert_true(msr_read(vp, no_write[i], &v));
		assert_false(msr_write(vp, no_write[i], 0));
	}
	assert_int_equal(rd(root_vp(3), APIC_ID), 3);
	assert_int_equal(rd(root_vp(3), APIC_LDR), 1u << 3);
	vp->apic.base = BASE_X1; /* none of it in xAPIC mode */
	for (uint32_t m = MSR_X2APIC; m <= MSR_X2APIC_LAST; m++) {
		assert_false(msr_read(vp, m, &v));
		assert_false(msr_write(vp, m, 0));
	}
}

static void test_xapic_errors(void **state)
{
	struct vp *vp = root_vp(0);

	(void)state;
	vp->apic.base = BASE_X1;
	vlapic_mmio_write(vp, APIC_LVT_ERROR, 0xfe);
	vlapic_mmio_write(vp, 0x010, 1); /* no such register */
	assert_true(irr(vp, 0xfe));
	assert_int_equal(vlapic_mmio_read(vp, APIC_ESR), 0);
	vlapic_mmio_write(vp, APIC_ESR, 0);
	assert_int_equal(vlapic_mmio_read(vp, APIC_ESR), 0x80);
	irr_clear();
	vlapic_mmio_write(vp, APIC_LVT_ERROR, 0xfe | MASKED);
	assert_int_equal(vlapic_mmio_read(vp, 0x0c0), 0);
	assert_int_equal(vp->apic.irr_words, 0);
	assert_int_equal(vlapic_mmio_read(vp, APIC_VERSION), 0x50014);
	for (uint32_t o = 0; o < 4096; o += 4) {
		(void)vlapic_mmio_read(vp, o);
		vlapic_mmio_write(vp, o, 0xffffffff);
	}
	assert_int_equal(vp->apic.id, 0);
	assert_int_equal(vlapic_mmio_read(vp, APIC_ID), 0);
}

static void test_timer_one_shot(void **state)
{
	struct vp *vp = root_vp(0);

	(void)state;
	for (unsigned code = 0; code < 8; code++) {
		uint64_t shift = (code + 1) & 7;

		wr(vp, APIC_LVT_TIMER, 0xec);
		wr(vp, APIC_TIMER_DIVIDE, (code & 3) | (code & 4) << 1);
		wr(vp, TMICT, 1000);
		assert_int_equal(rd(vp, APIC_TIMER_CURRENT), 1000);
		fake.tsc += 400ull << shift;
		expire(vp);
		assert_int_equal(rd(vp, APIC_TIMER_CURRENT), 600);
		fake.tsc += (600ull << shift) - 1;
		expire(vp);
		assert_false(irr(vp, 0xec));
		fake.tsc++;
		expire(vp);
		assert_true(irr(vp, 0xec));
		assert_int_equal(rd(vp, APIC_TIMER_CURRENT), 0);
		irr_clear();
		fake.tsc += 1ull << 40;
		expire(vp);
		assert_false(irr(vp, 0xec)); /* once */
		assert_true(root_vp(0)->deadline[VP_TIMER_VLAPIC] == UINT64_MAX);
	}
	wr(vp, TMICT, 1000);
	wr(vp, TMICT, 0); /* stops it */
	assert_true(root_vp(0)->deadline[VP_TIMER_VLAPIC] == UINT64_MAX);
	wr(vp, APIC_LVT_TIMER, 0xec | MASKED);
	wr(vp, TMICT, 1);
	fake.tsc += 1000;
	expire(vp);
	assert_int_equal(vp->apic.irr_words, 0);
	wr(vp, APIC_LVT_TIMER, 5); /* an illegal vector */
	wr(vp, TMICT, 1);
	fake.tsc += 1000;
	expire(vp);
	wr(vp, APIC_ESR, 0);
	assert_int_equal(rd(vp, APIC_ESR), 0x40);
}

static void test_timer_periodic(void **state)
{
	struct vp *vp = root_vp(0);
	uint64_t start;

	(void)state;
	wr(vp, APIC_TIMER_DIVIDE, 0xb); /* by 1 */
	wr(vp, APIC_LVT_TIMER, 0xec | PERIODIC);
	start = fake.tsc;
	wr(vp, TMICT, 100000);
	for (unsigned i = 1; i < 10; i++) {
		assert_true(root_vp(0)->deadline[VP_TIMER_VLAPIC] == start + 100000 * i);
		fake.tsc = start + 100000 * i;
		expire(vp);
		assert_true(irr(vp, 0xec));
		irr_clear();
	}
	fake.tsc = start + 2530000; /* late by many periods: one interrupt, the phase stays */
	expire(vp);
	assert_true(irr(vp, 0xec));
	assert_true(root_vp(0)->deadline[VP_TIMER_VLAPIC] == start + 2600000);
	assert_int_equal(rd(vp, APIC_TIMER_CURRENT), 70000);
	wr(vp, TMICT, 1); /* not faster than every 20 us */
	assert_true(root_vp(0)->deadline[VP_TIMER_VLAPIC] == fake.tsc + FAKE_TSC_HZ / 50000);
	wr(vp, APIC_LVT_TIMER, 0xec); /* a change of mode stops it */
	assert_true(root_vp(0)->deadline[VP_TIMER_VLAPIC] == UINT64_MAX);
	assert_int_equal(rd(vp, APIC_TIMER_CURRENT), 0);
}

static void test_timer_deadline(void **state)
{
	struct vp *vp = root_vp(0);
	uint64_t v;

	(void)state;
	assert_true(msr_write(vp, MSR_TSC_DEADLINE, fake.tsc + 10)); /* ignored in another mode */
	assert_true(msr_read(vp, MSR_TSC_DEADLINE, &v) && v == 0);
	wr(vp, APIC_LVT_TIMER, 0xec | DEADLINE);
	wr(vp, TMICT, 77); /* ignored in this one */
	assert_int_equal(rd(vp, TMICT), 0);
	assert_int_equal(rd(vp, APIC_TIMER_CURRENT), 0);
	assert_true(msr_write(vp, MSR_TSC_DEADLINE, fake.tsc + 500));
	assert_true(msr_read(vp, MSR_TSC_DEADLINE, &v) && v == fake.tsc + 500);
	fake.tsc += 499;
	expire(vp);
	assert_false(irr(vp, 0xec));
	fake.tsc++;
	expire(vp);
	assert_true(irr(vp, 0xec));
	assert_true(msr_read(vp, MSR_TSC_DEADLINE, &v) && v == 0);
	irr_clear();
	assert_true(msr_write(vp, MSR_TSC_DEADLINE, 1)); /* long past: at once */
	expire(vp);
	assert_true(irr(vp, 0xec));
	irr_clear();
	assert_true(msr_write(vp, MSR_TSC_DEADLINE, fake.tsc + 500));
	assert_true(msr_write(vp, MSR_TSC_DEADLINE, 0)); /* disarms */
	assert_true(root_vp(0)->deadline[VP_TIMER_VLAPIC] == UINT64_MAX);
	assert_true(msr_write(vp, MSR_TSC_DEADLINE, UINT64_MAX));
	wr(vp, APIC_LVT_TIMER, 0xec);
	assert_true(msr_read(vp, MSR_TSC_DEADLINE, &v) && v == 0);
}

static void test_base(void **state)
{
	/* from, to, allowed: 0 off, 1 xAPIC, 2 EXTD alone, 3 x2APIC */
	static const bool allowed[4][4] = {
		{ true, true, false, false },
		{ true, true, false, true },
		{ false, false, false, false },
		{ true, false, false, true },
	};
	static const uint64_t value[4] = { 0, APIC_BASE_EN, APIC_BASE_EXTD,
					   APIC_BASE_EN | APIC_BASE_EXTD };
	struct vp *vp = root_vp(2);
	uint64_t v, denied = partition_root->denied_msr;

	(void)state;
	for (unsigned from = 0; from < 4; from++) {
		for (unsigned to = 0; to < 4 && from != 2; to++) {
			vp->apic.base = APIC_BASE_ADDR | value[from];
			vp->apic.svr = SVR_ON;
			assert_int_equal(msr_write(vp, MSR_APIC_BASE, APIC_BASE_ADDR | value[to]),
					 allowed[from][to]);
			assert_true(msr_read(vp, MSR_APIC_BASE, &v));
			assert_true(v == (APIC_BASE_ADDR | value[allowed[from][to] ? to : from]));
			assert_int_equal(vp->apic.svr, to == 0 && from != 0 ? 0xff : SVR_ON);
		}
	}
	assert_true(partition_root->denied_msr > denied);
	vp->apic.base = BASE_X1;
	assert_false(msr_write(vp, MSR_APIC_BASE, BASE_X1 + 0x1000));
	assert_false(msr_write(vp, MSR_APIC_BASE, 0xfff00000 | APIC_BASE_EN));
	assert_false(msr_write(vp, MSR_APIC_BASE, BASE_X1 | 1ull << 40));
	assert_false(msr_write(vp, MSR_APIC_BASE, BASE_X1 | 1));
	assert_false(msr_write(vp, MSR_APIC_BASE, BASE_X1 | 1 << 9));
	assert_true(msr_write(vp, MSR_APIC_BASE,
			      BASE_X1 | APIC_BASE_BSP)); /* nobody becomes the boot CPU */
	assert_true(msr_read(vp, MSR_APIC_BASE, &v) && v == BASE_X1);
	assert_true(msr_write(root_vp(0), MSR_APIC_BASE, BASE_X2));
	assert_true(msr_read(root_vp(0), MSR_APIC_BASE, &v) && v == (BASE_X2 | APIC_BASE_BSP));
}

/* Random posts, acceptances and ends against two plain bit arrays. */
static void test_model(void **state)
{
	struct vp *vp = root_vp(0);
	bool want_irr[256] = { false }, want_isr[256] = { false };
	uint64_t seed = 88172645463325252ull;

	(void)state;
	for (unsigned n = 0; n < 200000; n++) {
		uint64_t r = next_random(&seed);
		unsigned v = 16 + (unsigned)(r >> 8) % 240;
		int pending = -1, service = -1, want;

		if (r % 3 == 0) {
			vlapic_post(vp, (uint8_t)v, false);
			want_irr[v] = true;
		} else if (r % 3 == 1) {
			vlapic_eoi(vp);
			for (int i = 255; i >= 0; i--) {
				if (want_isr[i]) {
					want_isr[i] = false;
					break;
				}
			}
		}
		for (int i = 0; i < 256; i++) {
			pending = want_irr[i] ? i : pending;
			service = want_isr[i] ? i : service;
		}
		want = pending >= 0 && (service < 0 || pending >> 4 > service >> 4) ? pending : -1;
		assert_int_equal(vlapic_highest(vp), want);
		if (want >= 0 && r % 5 == 0) {
			take_vector(vp, (uint8_t)want);
			want_irr[want] = false;
			want_isr[want] = true;
		}
	}
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_priorities),     TEST(test_nesting),        TEST(test_task_priority),
		TEST(test_disabled),       TEST(test_level),          TEST(test_ipi_x2),
		TEST(test_ipi_xapic),      TEST(test_ipi_modes),      TEST(test_kicks),
		TEST(test_x2_reserved),    TEST(test_xapic_errors),   TEST(test_timer_one_shot),
		TEST(test_timer_periodic), TEST(test_timer_deadline), TEST(test_base),
		TEST(test_model),          TEST(test_level_order),
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
