// SPDX-License-Identifier: MIT
/* What a child's VP sees of the CPU: MSRs by the list, CPUID, the synthetic registers beyond the interrupt controller. */
#include "tests/unit/core/core_child.h"

enum policy { PASS, EMULATE, CONST, NONE };

static const struct {
	uint32_t first, last;
	enum policy policy;
	uint64_t value;
} rows[] = {
#define CHILD_MSR(first, last, policy, value, reason) { first, last, policy, value },
#include "hv/core/child_msr_list.def"
#undef CHILD_MSR
};

static struct partition *p;
static struct vp *vp;

static int fresh(void **state)
{
	child_setup(state);
	p = child_make(2, 1);
	vp = p->vp[0];
	return 0;
}

static enum policy policy_of(uint32_t msr, uint64_t *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (msr >= rows[i].first && msr <= rows[i].last) {
			*value = rows[i].value;
			return rows[i].policy;
		}
	}
	return NONE;
}

/* An MSR whose every access can be judged from the list alone. */
static void check_msr(uint32_t msr)
{
	uint64_t want = 0, got, denied = p->denied_msr;
	enum policy policy = policy_of(msr, &want);
	unsigned open = fake_msr_open(vp, msr);
	uint64_t before = fake.msr_count;

	switch (policy) {
	case PASS:
		assert_int_equal(open, 3);
		return; /* no exit */
	case EMULATE:
		assert_int_equal(open, msr == MSR_TSC ? 1 : 0);
		return; /* below */
	case CONST:
		assert_int_equal(open, 0);
		if (!msr_read(vp, msr, &got) || got != want || !msr_write(vp, msr, ~want) ||
		    !msr_read(vp, msr, &got) || got != want) {
			fail_msg("MSR %x is not %llx", msr, (unsigned long long)want);
		}
		assert_int_equal(p->denied_msr, denied + 1);
		break;
	default:
		assert_int_equal(open, 0);
		if (msr_read(vp, msr, &got) || msr_write(vp, msr, 0)) {
			fail_msg("MSR %x is not in the list", msr);
		}
		assert_int_equal(p->denied_msr, denied + 2);
		break;
	}
	assert_true(fake.msr_count == before); /* never the real one */
}

static void test_every_msr(void **state)
{
	static const uint32_t starts[] = { 0, 0x40000000, 0xc0000000, 0xc0010000 };
	uint64_t seed = 12345;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		for (uint32_t m = starts[i]; m < starts[i] + 0x2000; m++) {
			check_msr(m);
		}
	}
	for (unsigned i = 0; i < 2000; i++) {
		check_msr((uint32_t)next_random(&seed));
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_true(rows[i].first <= rows[i].last);
		for (size_t k = 0; k < i; k++) { /* one policy each */
			assert_true(rows[i].first > rows[k].last || rows[i].last < rows[k].first);
		}
	}
}

/* Not at CPL 3, whatever the list says. */
static void test_cpl(void **state)
{
	uint64_t v;

	(void)state;
	vp->arch->cpl = 3;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_false(msr_read(vp, rows[i].first, &v) || msr_write(vp, rows[i].first, 0));
	}
}

static void test_synthetic(void **state)
{
	static const struct {
		uint32_t first, last;
		bool read, write;
	} table[] = {
		{ 0x40000000, 0x40000001, true, true },  { 0x40000002, 0x40000002, true, false },
		{ 0x40000020, 0x40000020, true, false }, { 0x40000021, 0x40000021, true, true },
		{ 0x40000022, 0x40000023, true, false }, { 0x40000073, 0x40000073, true, true },
		{ 0x40000080, 0x40000080, true, true },  { 0x40000081, 0x40000081, true, false },
		{ 0x40000082, 0x40000084, true, true },  { 0x400000b0, 0x400000b7, true, true },
		{ 0x40000071, 0x40000072, true, true },  { 0x40000100, 0x40000105, true, true },
		{ 0x40000118, 0x40000118, true, true },
	};
	uint64_t v;

	(void)state;
	for (uint32_t m = 0x40000000; m < 0x40000200; m++) {
		bool read = false, write = false;

		if ((m >= 0x40000090 && m <= 0x4000009f) || m == 0x40000070 || m == 0x400000f0) {
			continue; /* SINTs have rules, EOI is only written, IDLE halts */
		}
		for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
			if (m >= table[i].first && m <= table[i].last) {
				read = table[i].read;
				write = table[i].write;
			}
		}
		if (msr_read(vp, m, &v) != read || msr_write(vp, m, 0) != write) {
			fail_msg("synthetic MSR %x", m);
		}
	}
}

static void test_hypercall_page(void **state)
{
	static const uint8_t code[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x01, 0xd9, 0xc3 };
	uint64_t v;

	(void)state;
	assert_true(msr_write(vp, 0x40000001, 0x50001)); /* no identity yet */
	assert_true(msr_read(vp, 0x40000001, &v) && (v & 1) == 0);
	assert_int_equal(*fake_guest(p, 0x50000), 0);
	assert_true(msr_write(vp, 0x40000000, 0x8100000000060100ull));
	assert_false(msr_write(vp, 0x40000001, (1ull << 40) | 1)); /* not memory: #GP */
	assert_true(msr_write(vp, 0x40000001, 0x50001 | 0xabc));
	assert_true(msr_read(p->vp[1], 0x40000001, &v) && v == (0x50001 | 0xabc));
	assert_memory_equal(fake_guest(p, 0x50000), code, sizeof(code));
	for (unsigned i = sizeof(code); i < PAGE_SIZE; i++) {
		assert_int_equal(*fake_guest(p, 0x50000 + i), 0xcc);
	}
	assert_int_equal(*fake_guest(p, 0x51000), 0);
	assert_true(msr_write(vp, 0x40000000, 0)); /* kexec */
	assert_true(msr_read(vp, 0x40000001, &v) && (v & 1) == 0);
	assert_true(msr_write(vp, 0x40000000, 1));
	assert_true(msr_write(vp, 0x40000001, 0x50002)); /* locked */
	assert_false(msr_write(vp, 0x40000001, 0x60001));
	assert_true(msr_read(vp, 0x40000001, &v) && v == 0x50002);
	/* Nothing of it is the root's. */
	assert_true(partition_root->guest_os_id == 0 || partition_root->guest_os_id != 1);
}

static void test_tsc(void **state)
{
	uint64_t denied = p->denied_msr, hz;

	(void)state;
	assert_true(msr_write(vp, MSR_TSC, 5)); /* dropped, or the machine's clock would jump */
	assert_int_equal(p->denied_msr, denied + 1);
	assert_true(msr_read(vp, 0x40000022, &hz) && hz == FAKE_TSC_HZ);
	assert_true(msr_read(vp, 0x40000023, &hz) && hz == FAKE_TSC_HZ);
	assert_false(msr_write(vp, MSR_TSC_DEADLINE, 5)); /* CPUID does not offer it */
}

static void test_efer(void **state)
{
	uint64_t v;

	(void)state;
	assert_true(msr_read(vp, MSR_EFER, &v));
	assert_false(msr_write(vp, MSR_EFER, v | EFER_SVME));
	assert_false(msr_write(vp, MSR_EFER, v | 1ull << 63));
	assert_true(msr_write(vp, MSR_EFER, v | EFER_SCE));
	assert_true(msr_read(vp, MSR_EFER, &v) && (v & EFER_SCE) != 0);
}

/* --- halts --- */

/* The idle register sleeps until something is pending, taken or not; HLT with interrupts off sleeps through it. */
static void test_idle(void **state)
{
	uint64_t v;

	(void)state;
	vp->suspended = 0;
	vp->rflags = 2;
	assert_true(msr_read(vp, 0x400000f0, &v) && v == 0);
	assert_int_equal(vp->state, VP_HALTED);
	fake_select(vp->cpu);
	assert_false(vp_prepare(vp));
	vlapic_post(vp, 0xf7, false);
	assert_true(vp_prepare(vp));
	assert_int_equal(vp->state, VP_RUNNABLE);
	assert_int_equal(exit_simple(vp, EXIT_HLT, 1), FAKE_RETURNED);
	assert_int_equal(vp->state, VP_HALTED);
	assert_false(vp_prepare(vp)); /* pending, but IF is clear */
	fake_select(0);
}

/* A VP that a sibling stopped in that wait starts anew: its next HLT is an ordinary one. */
static void test_idle_then_init(void **state)
{
	struct vp *ap = p->vp[1];
	uint64_t v;

	(void)state;
	ap->state = VP_RUNNABLE;
	assert_true(msr_read(ap, 0x400000f0, &v));
	fake_select(ap->cpu);
	ap->sipi_vector = 0x10;
	vp_event(ap, VP_EVENT_INIT);
	assert_false(vp_prepare(ap));
	vp_event(ap, VP_EVENT_SIPI);
	assert_true(vp_prepare(ap));
	ap->apic.svr = 0x1ff;
	vlapic_post(ap, 0xf7, false);
	assert_int_equal(exit_simple(ap, EXIT_HLT, 1), FAKE_RETURNED);
	fake_select(ap->cpu);
	assert_false(vp_prepare(ap)); /* RFLAGS.IF is clear after INIT */
	fake_select(0);
}

/* --- CPUID --- */

static uint32_t r[4];

static void cpuid(uint32_t leaf, uint32_t subleaf)
{
	vp->regs[REG_RAX] = leaf;
	vp->regs[REG_RCX] = subleaf;
	assert_int_equal(exit_simple(vp, EXIT_CPUID, 2), FAKE_RETURNED);
	assert_injected(vp, -1);
	r[0] = (uint32_t)vp->regs[REG_RAX];
	r[1] = (uint32_t)vp->regs[REG_RBX];
	r[2] = (uint32_t)vp->regs[REG_RCX];
	r[3] = (uint32_t)vp->regs[REG_RDX];
	assert_true(vp->regs[REG_RAX] >> 32 == 0 && vp->regs[REG_RBX] >> 32 == 0 &&
		    vp->regs[REG_RCX] >> 32 == 0 && vp->regs[REG_RDX] >> 32 == 0);
}

static void test_cpuid_basic(void **state)
{
	(void)state;
	cpuid(0, 0);
	assert_int_equal(r[0], 7);
	cpuid(1, 0);
	/* XSAVE, OSXSAVE, AVX, FMA, F16C, MONITOR, VMX, SMX, TSC deadline: not switched, or not there */
	assert_int_equal(r[2] & (1u << 26 | 1u << 27 | 1u << 28 | 1u << 12 | 1u << 29 | 1u << 3 |
				 1u << 5 | 1u << 6 | 1u << 24),
			 0);
	assert_int_equal(r[2] & (1u << 31 | 1u << 21), 1u << 31 | 1u << 21);
	assert_int_equal(r[3] & (1u << 7 | 1u << 14 | 1u << 28), 0); /* MCE, MCA, HTT */
	assert_int_equal(r[1] >> 24, 0);
	assert_int_equal(r[1] >> 16 & 0xff, 1);
	vp = p->vp[1];
	cpuid(1, 0);
	assert_int_equal(r[1] >> 24, 1); /* its own APIC id */
	vp = p->vp[0];
	cpuid(6, 0);
	assert_true(r[0] == 4 && r[1] == 0 && r[2] == 0 && r[3] == 0); /* ARAT */
	cpuid(7, 0);
	assert_int_equal(r[0], 0);
	assert_int_equal(r[1] & ~0x219c0389u & ~(1u << 29), 0);
	assert_int_equal(r[1] & (1u << 5 | 1u << 16 | 1u << 4 | 1u << 11), 0); /* AVX, HLE, RTM */
	assert_int_equal(r[2], 1u << 2 | 1u << 22);
	assert_int_equal(r[3], 0);
	for (uint32_t leaf = 8; leaf < 0x40; leaf++) {
		cpuid(leaf, 0);
		assert_true((r[0] | r[1] | r[2] | r[3]) == 0);
	}
	cpuid(5, 0);
	assert_true((r[0] | r[1] | r[2] | r[3]) == 0);
}

static void test_cpuid_extended(void **state)
{
	uint64_t seed = 7;

	(void)state;
	cpuid(0x80000000, 0);
	assert_int_equal(r[0], 0x80000008);
	cpuid(0x80000001, 0);
	assert_int_equal(r[2] & (1u << 2 | 1u << 12 | 1u << 23 | 1u << 29 | 1u << 1 | 1u << 10), 0);
	assert_int_equal(r[3] & (1u << 7 | 1u << 14), 0);
	cpuid(0x80000008, 0);
	assert_true(r[0] == 0x3030 && r[1] == 0 && r[2] == 0 && r[3] == 0);
	cpuid(0x80000007, 0);
	assert_int_equal(r[3], 0); /* shown once the guest has asked (10.3, 31) */
	assert_true(msr_write(vp, 0x40000118, 1));
	cpuid(0x80000007, 0);
	assert_true(r[0] == 0 && r[1] == 0 && r[2] == 0 && r[3] == 1u << 8);
	assert_false(msr_write(vp, 0x40000118, 2));
	for (uint32_t leaf = 0x80000009; leaf < 0x80000040; leaf++) { /* SVM, SEV, topology, ... */
		cpuid(leaf, 0);
		assert_true((r[0] | r[1] | r[2] | r[3]) == 0);
	}
	for (unsigned i = 0; i < 2000; i++) {
		uint32_t leaf = (uint32_t)next_random(&seed);

		cpuid(leaf, (uint32_t)next_random(&seed));
		assert_true((leaf & 0xffff0000) == 0x40000000 || leaf <= 7 ||
			    (leaf >= 0x80000000 && leaf <= 0x80000008) ||
			    (r[0] | r[1] | r[2] | r[3]) == 0);
	}
}

/* Leaf 7 has one subleaf: masks for it are not masks for what stands in others. */
static void test_cpuid_subleaf(void **state)
{
	(void)state;
	for (uint32_t sub = 1; sub != 0; sub <<= 1) {
		cpuid(7, sub);
		assert_true((r[0] | r[1] | r[2] | r[3]) == 0);
	}
}

static void test_cpuid_synthetic(void **state)
{
	struct partition *one = child_make(1, 1);

	(void)state;
	cpuid(0x40000000, 0);
	assert_true(r[0] >= 0x40000005 && r[0] < 0x40010000);
	assert_true(r[1] == 0x7263694d && r[2] == 0x666f736f && r[3] == 0x76482074);
	cpuid(0x40000001, 0);
	assert_int_equal(r[0], 0x31237648);
	cpuid(0x40000003, 0);
	assert_int_equal(r[0] & 0xa7e, 0xa7e); /* contract, section 11 */
	assert_int_equal(r[1], 0x30);          /* never AccessPartitionId nor CpuManagement */
	assert_int_equal(r[3] & (1u << 8 | 1u << 19 | 1u << 10), 1u << 8 | 1u << 19 | 1u << 10);
	assert_int_equal(r[3] & (1u << 4 | 1u << 15), 0); /* XMM input and output */
	cpuid(0x40000004, 0);
	assert_int_equal(r[0], 0x220 | 1u << 2 | 1u << 10 | 1u << 11);
	cpuid(0x40000005, 0);
	assert_int_equal(r[0], HV_VP_MAX);
	cpuid(0x40000081, 0);
	assert_int_equal(r[0], 0);
	cpuid(RD_CPUID_LEAF, 0);
	assert_true((r[0] | r[1] | r[2] | r[3]) == 0);
	vp = one->vp[0];
	cpuid(0x40000004, 0);
	assert_int_equal(r[0], 0x220); /* nobody to flush */
}

/* --- what a child may not call --- */

static void test_calls(void **state)
{
	static const struct {
		uint16_t code;
		enum { CALLERS_ROOT, CALLERS_CHILD, CALLERS_ANY } callers;
		enum { FORM_SIMPLE, FORM_REP, FORM_VAR, FORM_REPVAR } form;
	} table[] = {
#define HYPERCALL(code, Name, handler, form, insize, outsize, elin, elout, callers, spec) \
	{ code, CALLERS_##callers, FORM_##form },
#include "hv/abi/hypercalls.def"
#undef HYPERCALL
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		uint64_t control = table[i].code | ((table[i].form & 1) != 0 ? 1ull << 32 : 0);
		uint64_t in[64] = { 0 }, rax;

		in[0] = p->id; /* its own number, and the root's */
		for (unsigned k = 0; k < 2 && table[i].callers == CALLERS_ROOT; k++) {
			fake_remember();
			rax = fake_hypercall(vp, control, in, sizeof(in), NULL, 0);
			assert_int_equal(rax, HV_ACCESS_DENIED);
			assert_true(fake_unchanged(vp));
			in[0] = PARTITION_ID_ROOT;
		}
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, child_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_msr),     TEST(test_cpl),
		TEST(test_synthetic),     TEST(test_hypercall_page),
		TEST(test_tsc),           TEST(test_efer),
		TEST(test_idle),          TEST(test_idle_then_init),
		TEST(test_cpuid_basic),   TEST(test_cpuid_extended),
		TEST(test_cpuid_subleaf), TEST(test_cpuid_synthetic),
		TEST(test_calls),
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
