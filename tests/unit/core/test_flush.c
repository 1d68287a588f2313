// SPDX-License-Identifier: MIT
/* What guests ask for instead of IPIs: TLB flushes and interrupts for sets of VPs. */
#include "tests/unit/core/core_child.h"

#define SPACE 0x02
#define LIST 0x03
#define SPACE_EX 0x13
#define LIST_EX 0x14
#define IPI 0x0b
#define IPI_EX 0x15
#define FAST (1ull << 16)
#define VPS 5

struct plain {
	uint64_t space, flags, processors, list[4];
};

struct ex {
	uint64_t space, flags, format, banks, var[8];
};

struct ipi_ex {
	uint32_t vector, reserved;
	uint64_t format, banks, var[8];
};

static struct partition *p, *other;
static uint32_t flushes[VPS];

static int fresh(void **state)
{
	child_setup(state);
	p = child_make(VPS, 1);
	other = child_make(VPS, 1);
	run_all_cpus();
	for (uint32_t i = 0; i < VPS; i++) {
		p->vp[i]->events = 0;
		flushes[i] = p->vp[i]->arch->flushes;
	}
	return 0;
}

/* Which VPs have been flushed, or will be before they enter. */
static uint32_t flushed(void)
{
	uint32_t set = 0;

	for (uint32_t i = 0; i < VPS; i++) {
		struct vp *vp = p->vp[i];

		if (vp->arch->flushes != flushes[i] || (vp->events & VP_EVENT_FLUSH) != 0) {
			set |= 1u << i;
		}
		flushes[i] = vp->arch->flushes;
		vp->events = 0;
		assert_int_equal(other->vp[i]->events, 0); /* another partition's affair */
	}
	return set;
}

static uint32_t interrupted(uint8_t vector)
{
	uint32_t set = 0;

	for (uint32_t i = 0; i < VPS; i++) {
		uint32_t *word = &p->vp[i]->apic.irr[vector / 32];

		set |= (*word >> (vector % 32) & 1) << i;
		*word = 0;
		assert_int_equal(other->vp[i]->apic.irr_words, 0);
	}
	return set;
}

static uint64_t call(uint64_t control, const void *in, size_t n)
{
	return child_call(p->vp[1], control, in, n);
}

static void test_space(void **state)
{
	(void)state;
	for (uint64_t set = 0; set < 1u << VPS; set++) {
		struct plain q = { .space = 0x1000, .processors = set | 0xffff0000 };

		assert_int_equal(call(SPACE, &q, 24), HV_SUCCESS);
		assert_int_equal(flushed(), set);
		assert_int_equal(call(REP(LIST, 4), &q, 24 + 32), 4ull << 32);
		assert_int_equal(flushed(), set);
		q.flags = 1; /* all processors */
		assert_int_equal(call(SPACE, &q, 24), HV_SUCCESS);
		assert_int_equal(flushed(), (1u << VPS) - 1);
	}
}

static void test_flags(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		struct plain q = { .flags = 1ull << bit, .processors = 4 };
		struct ex e = { .flags = 1ull << bit, .banks = 1, .var = { 4 } };
		unsigned want = bit < 4 ? HV_SUCCESS : HV_INVALID_PARAMETER;
		uint32_t set = bit == 0 ? (1u << VPS) - 1 : bit < 4 ? 4 : 0;

		assert_int_equal(STATUS(call(SPACE, &q, 24)), want);
		assert_int_equal(flushed(), set);
		assert_int_equal(STATUS(call(REP(LIST, 1), &q, 32)), want);
		assert_int_equal(flushed(), set);
		assert_int_equal(STATUS(call(VAR(SPACE_EX, 1), &e, 40)), want);
		assert_int_equal(flushed(), set);
		assert_int_equal(STATUS(call(VAR(REP(LIST_EX, 1), 1), &e, 48)), want);
		assert_int_equal(flushed(), set);
	}
}

static void test_sparse(void **state)
{
	struct ex q = { .banks = 1, .var = { 0x15 } };

	(void)state;
	assert_int_equal(call(VAR(SPACE_EX, 1), &q, 40), HV_SUCCESS);
	assert_int_equal(flushed(), 0x15);
	assert_int_equal(call(VAR(REP(LIST_EX, 3), 1), &q, 40 + 24), 3ull << 32);
	assert_int_equal(flushed(), 0x15);
	/* Banks of which this partition has no VP: bank 0 is the first word only if it is there. */
	q.banks = 0x22;
	q.var[0] = 0x1f;
	q.var[1] = 0x1f;
	assert_int_equal(call(VAR(SPACE_EX, 2), &q, 48), HV_SUCCESS);
	assert_int_equal(flushed(), 0);
	q.banks = 1ull << 63 | 1;
	q.var[0] = 2;
	assert_int_equal(call(VAR(SPACE_EX, 2), &q, 48), HV_SUCCESS);
	assert_int_equal(flushed(), 2);
	/* As many words as banks. */
	q.banks = 3;
	assert_int_equal(call(VAR(SPACE_EX, 1), &q, 40), HV_INVALID_PARAMETER);
	assert_int_equal(call(VAR(SPACE_EX, 3), &q, 56), HV_INVALID_PARAMETER);
	assert_int_equal(call(SPACE_EX, &q, 32), HV_INVALID_PARAMETER);
	q.banks = 0;
	assert_int_equal(call(SPACE_EX, &q, 32), HV_SUCCESS); /* nobody */
	assert_int_equal(flushed(), 0);
	q.banks = UINT64_MAX;
	assert_int_equal(call(VAR(SPACE_EX, 63), &q, sizeof(q)), HV_INVALID_PARAMETER);
	assert_int_equal(flushed(), 0);
	q.banks = 0;
	q.format = 1; /* everybody */
	assert_int_equal(call(SPACE_EX, &q, 32), HV_SUCCESS);
	assert_int_equal(flushed(), (1u << VPS) - 1);
	for (q.format = 2; q.format != 0; q.format <<= 1) {
		assert_int_equal(call(SPACE_EX, &q, 32), HV_INVALID_PARAMETER);
	}
	assert_int_equal(flushed(), 0);
}

/* A VP that is in the guest has left it when the call returns; no CPU is waited for that runs something else. */
static void test_in_guest(void **state)
{
	struct plain q = { .processors = 0x1f };
	uint32_t kicks[4];

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		cpu_table[i].in_guest = i != p->vp[1]->cpu;
	}
	for (uint32_t i = 0; i < VPS; i++) {
		if (p->vp[i]->cpu != p->vp[1]->cpu) {
			cpu_table[p->vp[i]->cpu].current = p->vp[i];
		}
	}
	memcpy(kicks, fake.kicks, sizeof(kicks));
	assert_int_equal(STATUS(call(SPACE, &q, 24)), HV_SUCCESS);
	for (uint32_t i = 0; i < 4; i++) {
		assert_true(i == p->vp[1]->cpu || fake.kicks[i] > kicks[i]);
		assert_int_equal(cpu_table[i].in_guest, 0);
		cpu_table[i].current = NULL;
	}
	assert_int_equal(flushed(), 0x1f);
}

/* One that sleeps or is suspended flushes when it goes on, before it enters. */
static void test_later(void **state)
{
	struct plain q = { .processors = 1 };
	struct vp *vp = p->vp[0];

	(void)state;
	assert_int_equal(call(SPACE, &q, 24), HV_SUCCESS);
	assert_int_equal(vp->arch->flushes, flushes[0]);
	run_all_cpus();
	assert_true((vp->events & VP_EVENT_FLUSH) != 0); /* suspended: not touched */
	assert_int_equal(child_set(p->id, 0, HV_REG_EXPLICIT_SUSPEND, 0), HV_SUCCESS);
	root_vp(vp->cpu)->state = VP_HALTED;
	fake_queue(NULL, 0);
	assert_int_equal(fake_run(vp->cpu), FAKE_RAN_OUT);
	assert_int_equal(vp->arch->flushes, flushes[0] + 1);
	assert_int_equal(vp->events, 0);
}

static void test_ipi(void **state)
{
	struct {
		uint32_t vector, reserved;
		uint64_t processors;
	} q = { 0x41, 0, 0 };

	(void)state;
	for (uint64_t set = 0; set < 1u << VPS; set++) {
		q.processors = set | 0xffffffffffffff00ull;
		assert_int_equal(call(IPI, &q, 16), HV_SUCCESS);
		assert_int_equal(interrupted(0x41), set);
		assert_int_equal(call(IPI | FAST, &q, 16), HV_SUCCESS);
		assert_int_equal(interrupted(0x41), set);
	}
	q.processors = 0x1f;
	for (uint32_t v = 0; v < 300; v++) {
		q.vector = v;
		assert_int_equal(call(IPI, &q, 16),
				 v < 16 || v > 255 ? HV_INVALID_PARAMETER : HV_SUCCESS);
		assert_int_equal(interrupted((uint8_t)v), v < 16 || v > 255 ? 0 : 0x1f);
	}
	q.vector = 0x100 << 8 | 0x41;
	assert_int_equal(call(IPI, &q, 16), HV_INVALID_PARAMETER);
	q.vector = 0x41;
	q.reserved = 1;
	assert_int_equal(call(IPI, &q, 16), HV_INVALID_PARAMETER);
	assert_int_equal(interrupted(0x41), 0);
}

static void test_ipi_ex(void **state)
{
	struct ipi_ex q = { .vector = 0x62, .banks = 1, .var = { 0x16 } };

	(void)state;
	assert_int_equal(call(VAR(IPI_EX, 1), &q, 32), HV_SUCCESS);
	assert_int_equal(interrupted(0x62), 0x16);
	q.reserved = 1;
	assert_int_equal(call(VAR(IPI_EX, 1), &q, 32), HV_INVALID_PARAMETER);
	q.reserved = 0;
	q.banks = 2;
	assert_int_equal(call(VAR(IPI_EX, 1), &q, 32), HV_SUCCESS);
	q.banks = 3;
	assert_int_equal(call(VAR(IPI_EX, 1), &q, 32), HV_INVALID_PARAMETER);
	q.vector = 15;
	q.banks = 1;
	assert_int_equal(call(VAR(IPI_EX, 1), &q, 32), HV_INVALID_PARAMETER);
	assert_int_equal(interrupted(0x62), 0);
	q.vector = 0x62;
	q.format = 1;
	assert_int_equal(call(IPI_EX, &q, 24), HV_SUCCESS);
	assert_int_equal(interrupted(0x62), (1u << VPS) - 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, child_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_space), TEST(test_flags), TEST(test_sparse), TEST(test_in_guest),
		TEST(test_later), TEST(test_ipi),   TEST(test_ipi_ex),
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
