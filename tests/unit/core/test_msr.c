// SPDX-License-Identifier: MIT
/* MSRs: every row of msr_list.def, a sweep over the denied ones, CPUID, and Hyper-V's synthetic registers. */
#include "tests/unit/core/core_test.h"

#include "hv/core/time.h"

#define GUEST_OS_ID 0x40000000
#define HYPERCALL_PAGE 0x40000001
#define VP_INDEX 0x40000002
#define TIME_REF_COUNT 0x40000020
#define REFERENCE_TSC 0x40000021
#define TSC_FREQUENCY 0x40000022
#define APIC_FREQUENCY 0x40000023
#define VP_ASSIST 0x40000073
#define TSC_INVARIANT 0x40000118
#define PAGE 0x600000ull

enum policy { POLICY_PASS, POLICY_READ, POLICY_COMMAND, POLICY_EMULATE };

static const struct {
	uint32_t first, last;
	enum policy policy;
} rows[] = {
#define MSR(first, last, policy, reason) { first, last, POLICY_##policy },
#include "hv/core/msr_list.def"
#undef MSR
};

static struct vp *vp;

static int fresh(void **state)
{
	(void)state;
	vp = root_vp(0);
	vp->arch->cpl = 0;
	vp->arch->cr0 = 0x80000011;
	vp->arch->efer = EFER_LME | EFER_LMA;
	partition_root->guest_os_id = partition_root->hypercall_msr = 0;
	partition_root->reference_tsc_msr = partition_root->tsc_invariant_control = 0;
	fake_ram_clear();
	fake_cpuid_set(0x80000008, 0x3030, 1u << 14 | 1u << 15 | 1u << 24, 0, 0);
	return 0;
}

static bool listed(uint32_t msr)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (msr >= rows[i].first && msr <= rows[i].last) {
			return true;
		}
	}
	return false;
}

/* What the CPU itself lets through, for all MSRs that it can. */
static void test_bitmap(void **state)
{
	static const unsigned open[] = {
		[POLICY_PASS] = 3, [POLICY_READ] = 1, [POLICY_COMMAND] = 2, [POLICY_EMULATE] = 0
	};
	static const uint32_t base[] = { 0, 0xc0000000, 0xc0010000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_true(rows[i].first <= rows[i].last);
		for (uint32_t m = rows[i].first; m <= rows[i].last; m++) {
			assert_int_equal(fake_msr_open(vp, m),
					 m == MSR_TSC ? 1 : open[rows[i].policy]);
		}
	}
	for (unsigned b = 0; b < 3; b++) {
		for (uint32_t m = base[b]; m < base[b] + 0x2000; m++) {
			assert_true(listed(m) || fake_msr_open(vp, m) == 0);
		}
	}
	assert_int_equal(fake_msr_open(vp, MSR_EFER), 0);
	assert_int_equal(fake_msr_open(vp, MSR_VM_HSAVE_PA), 0);
	assert_int_equal(fake_msr_open(vp, MSR_VM_CR), 0);
}

/* Independent of the list: what a root may ever write without an exit. */
static void test_writable(void **state)
{
	static const uint32_t writable[] = {
		0x49,        0x174,     0x175,      0x176,       0x277,       MSR_STAR,
		MSR_LSTAR,   MSR_CSTAR, MSR_SFMASK, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
		MSR_TSC_AUX,
	};
	static const uint32_t base[] = { 0, 0xc0000000, 0xc0010000 };

	(void)state;
	for (unsigned b = 0; b < 3; b++) {
		for (uint32_t m = base[b]; m < base[b] + 0x2000; m++) {
			bool may = false;

			for (size_t i = 0; i < ARRAY_SIZE(writable); i++) {
				may = may || writable[i] == m;
			}
			if (((fake_msr_open(vp, m) & 2) != 0) != may) {
				fail_msg("MSR %x", m);
			}
		}
	}
}

static void assert_denied(uint32_t msr)
{
	uint64_t before = partition_root->denied_msr, v;

	if (msr_read(vp, msr, &v) || partition_root->denied_msr != before + 1) {
		fail_msg("RDMSR %x was not denied", msr);
	}
	if (msr_write(vp, msr, 0) || partition_root->denied_msr != before + 2) {
		fail_msg("WRMSR %x was not denied", msr);
	}
}

static void test_denied(void **state)
{
	static const uint32_t some[] = {
		MSR_VM_CR,    MSR_VM_HSAVE_PA,
		MSR_SMM_BASE, MSR_PATCH_LOADER,
		0xc0010112,   0xc0010113,
		0xc0010118,   0xc0010131,
		0x79,         0x3a,
		0x480,        0xda0,
		0x1a0,        0x9e,
		0xc0000104,   0xc0010030,
		0x40000003,   0x40000010,
		0x40000085,   0x400000a0,
		0x400000b8,   0x400000ff,
		0x40000106,   0x400001ff,
		0x40000200,   0x7fffffff,
		0x80000000,   0xffffffff,
	};
	uint64_t seed = 99;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
		assert_denied(some[i]);
	}
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t r = next_random(&seed);
		uint32_t m = (uint32_t)(r >> 32);

		m = r % 3 == 0 ? m & 0x1fff : r % 3 == 1 ? 0xc0010000 | (m & 0x1fff) : m;
		if (!listed(m)) {
			assert_denied(m);
		}
	}
}

/* Rows that are read-only: the write is dropped without a fault, and counted. */
static void test_dropped(void **state)
{
	uint64_t before, writes = fake.msr_count;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		for (uint32_t m = rows[i].first; m <= rows[i].last && rows[i].policy == POLICY_READ;
		     m++) {
			before = partition_root->denied_msr;
			assert_true(msr_write(vp, m, 0x1234567887654321));
			assert_int_equal(partition_root->denied_msr, before + 1);
		}
	}
	before = partition_root->denied_msr;
	assert_true(msr_write(vp, MSR_TSC, 0));
	assert_int_equal(partition_root->denied_msr, before + 1);
	assert_true(fake.msr_count == writes); /* none of them reached the hardware */
}

static void test_privilege(void **state)
{
	(void)state;
	vp->arch->cpl = 3;
	assert_int_equal(exit_msr(vp, false, MSR_APIC_BASE, 0), FAKE_RETURNED);
	assert_injected(vp, VECTOR_GP);
	assert_int_equal(exit_msr(vp, true, GUEST_OS_ID, 5), FAKE_RETURNED);
	assert_injected(vp, VECTOR_GP);
	assert_int_equal(partition_root->guest_os_id, 0);
}

static void test_efer(void **state)
{
	static const struct {
		uint32_t ecx, edx, eax21;
		uint64_t extra;
	} cpus[] = {
		{ 0, 0, 0, 0 },
		{ 1u << 17, 0, 0, EFER_TCE },
		{ 0, 1u << 25, 0, EFER_FFXSR },
		{ 0, 0, 1u << 8, EFER_AUTOIBRS },
		{ UINT32_MAX, UINT32_MAX, UINT32_MAX, EFER_TCE | EFER_FFXSR | EFER_AUTOIBRS },
	};
	uint64_t v;

	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(cpus); c++) {
		uint64_t known = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | cpus[c].extra;

		fake_cpuid_set(0x80000000, 0x80000021, 0, 0, 0);
		fake_cpuid_set(0x80000001, 0, 0, cpus[c].ecx, cpus[c].edx);
		fake_cpuid_set(0x80000021, cpus[c].eax21, 0, 0, 0);
		for (unsigned bit = 0; bit < 64; bit++) {
			uint64_t value = (EFER_LME | EFER_LMA) | 1ull << bit;

			assert_int_equal(msr_write(vp, MSR_EFER, value), (known >> bit & 1) != 0);
			assert_true(msr_read(vp, MSR_EFER, &v));
			assert_true((v & EFER_SVME) == 0 && (v & EFER_LMA) != 0);
		}
	}
	fake_cpuid_set(0x80000000, 0x8000001f, 0, 0, 0);
	assert_false(msr_write(vp, MSR_EFER, EFER_NXE)); /* LME with paging on */
	assert_true(msr_write(vp, MSR_EFER, EFER_LME));  /* LMA is not the guest's to write */
	assert_true(msr_read(vp, MSR_EFER, &v) && v == (EFER_LME | EFER_LMA));
	vp->arch->cr0 = 0x11;
	vp->arch->efer = 0;
	assert_true(msr_write(vp, MSR_EFER, EFER_LME | EFER_LMA | EFER_NXE));
	assert_true(msr_read(vp, MSR_EFER, &v) && v == (EFER_LME | EFER_NXE));
}

static void test_spec_ctrl(void **state)
{
	static const uint32_t offered[] = { 0, 1u << 14, 1u << 15, 1u << 24,
					    1u << 14 | 1u << 15 | 1u << 24 };
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(offered); i++) {
		uint32_t have = (offered[i] >> 14 & 3) | (offered[i] >> 24 & 1) << 2;

		fake_cpuid_set(0x80000008, 0x3030, offered[i], 0, 0);
		vp->spec_ctrl = 0;
		assert_int_equal(msr_read(vp, MSR_SPEC_CTRL, &v), have != 0);
		for (uint64_t w = 0; w < 16;
		     w++) { /* the fake dies of a bit that the CPU does not have */
			assert_int_equal(msr_write(vp, MSR_SPEC_CTRL, w),
					 have != 0 && (w & ~(uint64_t)have) == 0);
		}
		assert_false(msr_write(vp, MSR_SPEC_CTRL, 1ull << 32));
		assert_true(have == 0 || (msr_read(vp, MSR_SPEC_CTRL, &v) && v == have));
	}
	assert_false(msr_read(vp, MSR_PRED_CMD, &v));
}

static void test_small(void **state)
{
	uint64_t v = 1;

	(void)state;
	assert_true(msr_read(vp, MSR_DEBUGCTL, &v) && v == 0);
	assert_true(msr_write(vp, MSR_DEBUGCTL, 0));
	assert_false(msr_write(vp, MSR_DEBUGCTL, 1));
	assert_false(msr_write(vp, MSR_DEBUGCTL, 1ull << 63));
}

/* --- CPUID --- */

static void cpuid(uint32_t leaf, uint32_t r[4])
{
	memset(vp->regs, 0xff, sizeof(vp->regs));
	vp->regs[REG_RAX] = 0xffffffff00000000ull | leaf; /* 32 bits count */
	vp->regs[REG_RCX] = 0;
	assert_int_equal(exit_simple(vp, EXIT_CPUID, 2), FAKE_RETURNED);
	assert_injected(vp, -1);
	r[0] = (uint32_t)vp->regs[REG_RAX];
	r[1] = (uint32_t)vp->regs[REG_RBX];
	r[2] = (uint32_t)vp->regs[REG_RCX];
	r[3] = (uint32_t)vp->regs[REG_RDX];
	assert_true(
		(vp->regs[REG_RAX] | vp->regs[REG_RBX] | vp->regs[REG_RCX] | vp->regs[REG_RDX]) >>
			32 ==
		0);
}

static void test_cpuid_hardware(void **state)
{
	static const uint32_t zero[] = { 5, 0xa, 0x8000000a, 0x8000001f };
	uint32_t r[4];

	(void)state;
	cpuid(0, r);
	assert_int_equal(r[0], 0xd);
	cpuid(1, r); /* the fake CPU has every bit */
	assert_int_equal(r[2] & (1u << 3 | 1u << 5 | 1u << 6 | 1u << 27),
			 0); /* MONITOR VMX SMX OSXSAVE */
	assert_int_equal(r[2] | (1u << 3 | 1u << 5 | 1u << 6 | 1u << 27), 0xffffffff);
	assert_int_equal(r[1] >> 24, 0);
	fake_cpuid_set(1, 0, 0, 0, 0); /* and one that has none: what the hypervisor itself adds */
	vp->arch->cr4 |= 1 << 18;
	cpuid(1, r);
	assert_int_equal(r[2], 1u << 21 | 1u << 24 | 1u << 27 | 1u << 31);
	vp->arch->cr4 &= ~(1ull << 18);
	vp = root_vp(3);
	cpuid(1, r);
	assert_int_equal(r[1], 3u << 24);
	vp = root_vp(0);
	fake_cpuid_set(1, 0x00a20f10, 0xff080800, 0xffffffff, 0xffffffff);
	for (size_t i = 0; i < ARRAY_SIZE(zero); i++) {
		cpuid(zero[i], r);
		assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
	}
	cpuid(6, r);
	assert_int_equal(r[0] & 4, 4); /* ARAT: no PIT is needed */
	cpuid(0x80000001, r);
	assert_int_equal(r[2], 0xffffffff & ~(1u << 2 | 1u << 12 | 1u << 23 | 1u << 29));
	cpuid(7, r);
	assert_int_equal(r[1], 0xffffffff);
	assert_int_equal(r[2], 0xffffffff & ~(1u << 7)); /* CET: its MSRs are denied */
	assert_int_equal(r[3], 0xffffffff & ~(1u << 20));
}

static void test_cpuid_synthetic(void **state)
{
	uint32_t r[4], invariant;

	(void)state;
	cpuid(0x40000000, r);
	assert_int_equal(r[0], 0x40000006);
	assert_memory_equal(&r[1], "Microsoft Hv", 12);
	cpuid(0x40000001, r);
	assert_memory_equal(&r[0], "Hv#1", 4);
	cpuid(0x40000003, r);
	assert_int_equal(r[0] & (1 << 5 | 1 << 6),
			 1 << 5 | 1 << 6); /* without them Linux sees bare metal */
	assert_int_equal(r[1], 0);         /* no privilege: it is not Hyper-V's root */
	invariant = r[0] >> 15 & 1;
	assert_int_equal(invariant, 1);
	fake_cpuid_set(0x80000007, 0, 0, 0, 0);
	cpuid(0x40000003, r);
	assert_int_equal(r[0] >> 15 & 1, 0);
	fake_cpuid_set(0x80000000, 0x80000006, 0, 0, 0);
	cpuid(0x40000003, r);
	assert_int_equal(r[0] >> 15 & 1, 0);
	fake_cpuid_set(0x80000007, 0, 0, 0, 1u << 8);
	fake_cpuid_set(0x80000000, 0x8000001f, 0, 0, 0);
	cpuid(0x40000004, r);
	assert_int_equal(r[0], 1u << 9);
	cpuid(0x40000005, r);
	assert_int_equal(r[0], CPU_MAX);
	cpuid(0x40000100, r);
	assert_int_equal(r[0], 0x40000100);
	assert_memory_equal(&r[1], "RedoubtRedou", 12);
	for (uint32_t leaf = 0x40000007; leaf < 0x40010000; leaf += leaf == 0x400000ff ? 2 : 1) {
		cpuid(leaf, r);
		assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
	}
}

/* --- synthetic registers (TLFS 3.13, 11, 12) --- */

static uint64_t get(uint32_t msr)
{
	uint64_t v = 0;

	assert_true(msr_read(vp, msr, &v));
	return v;
}

static void test_hypercall_page(void **state)
{
	static const uint8_t code[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x01, 0xd9, 0xc3, 0xcc };

	(void)state;
	*fake_ram(PAGE + PAGE_SIZE) = 0x77;
	assert_true(msr_write(vp, HYPERCALL_PAGE, PAGE | 1)); /* no identity yet: stays off */
	assert_true(get(HYPERCALL_PAGE) == PAGE);
	assert_int_equal(*fake_ram(PAGE), 0);
	assert_true(msr_write(vp, GUEST_OS_ID, 0x8100060100000000));
	assert_true(get(GUEST_OS_ID) == 0x8100060100000000);
	assert_true(msr_write(vp, HYPERCALL_PAGE, PAGE | 1));
	assert_true(get(HYPERCALL_PAGE) == (PAGE | 1));
	assert_memory_equal(fake_ram(PAGE), code, sizeof(code));
	assert_int_equal(*fake_ram(PAGE + PAGE_SIZE - 1), 0xcc);
	assert_int_equal(*fake_ram(PAGE + PAGE_SIZE), 0x77);
	/* Pages that are not the root's memory: #GP, and nothing changes. */
	assert_false(msr_write(vp, HYPERCALL_PAGE, FAKE_REGION_BASE | 1));
	assert_false(msr_write(vp, HYPERCALL_PAGE, APIC_BASE_ADDR | 1));
	assert_false(msr_write(vp, HYPERCALL_PAGE, 1ull << 60 | 1));
	assert_true(get(HYPERCALL_PAGE) == (PAGE | 1));
	/* Identity gone: the page is off, the frame number stays. */
	assert_true(msr_write(vp, GUEST_OS_ID, 0));
	assert_true(get(HYPERCALL_PAGE) == PAGE);
	assert_true(msr_write(vp, HYPERCALL_PAGE, 0));
}

static void test_reference_tsc(void **state)
{
	struct {
		uint32_t sequence, reserved;
		uint64_t scale;
		int64_t offset;
	} page;
	uint64_t by_page, by_msr;

	(void)state;
	assert_true(msr_write(vp, REFERENCE_TSC, PAGE)); /* not enabled: not written */
	assert_int_equal(*fake_ram(PAGE), 0);
	assert_true(
		msr_write(vp, REFERENCE_TSC, PAGE | 1)); /* before any identity, as Linux does */
	assert_true(get(REFERENCE_TSC) == (PAGE | 1));
	memcpy(&page, fake_ram(PAGE), sizeof(page));
	assert_int_equal(page.sequence, 1);
	assert_int_equal(page.reserved, 0);
	for (unsigned i = 0; i < 64; i++) {
		fake.tsc += 1ull << (i % 50);
		by_page = (uint64_t)((unsigned __int128)fake.tsc * page.scale >> 64) +
			  (uint64_t)page.offset;
		by_msr = get(TIME_REF_COUNT);
		assert_true(by_page == by_msr); /* one clock */
	}
	assert_false(msr_write(vp, REFERENCE_TSC, FAKE_POOL_BASE | 1));
	assert_true(get(REFERENCE_TSC) == (PAGE | 1));
	assert_false(msr_write(vp, TIME_REF_COUNT, 0));
}

static void test_synthetic_small(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		vp = root_vp(i);
		vp->arch->cpl = 0;
		assert_int_equal(get(VP_INDEX), i);
	}
	vp = root_vp(0);
	assert_false(msr_write(vp, VP_INDEX, 1));
	assert_true(get(TSC_FREQUENCY) == FAKE_TSC_HZ);
	assert_true(get(APIC_FREQUENCY) == FAKE_TSC_HZ);
	assert_false(msr_write(vp, TSC_FREQUENCY, 1));
	assert_true(msr_write(vp, VP_ASSIST, PAGE | 1));
	assert_true(get(VP_ASSIST) == (PAGE | 1));
	assert_int_equal(*fake_ram(PAGE), 0); /* "no EOI required" stays 0 */
	assert_true(msr_write(vp, TSC_INVARIANT, 1));
	assert_true(get(TSC_INVARIANT) == 1);
	assert_false(msr_write(vp, TSC_INVARIANT, 2));
	vp->apic.svr = 0x1ff;
	vlapic_post(vp, 0x41, false);
	take_vector(vp, 0x41);
	assert_true(msr_write(vp, 0x40000070, 0)); /* HV_X64_MSR_EOI */
	assert_int_equal(vp->apic.isr_words, 0);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bitmap),          TEST(test_writable),       TEST(test_denied),
		TEST(test_dropped),         TEST(test_privilege),      TEST(test_efer),
		TEST(test_spec_ctrl),       TEST(test_small),          TEST(test_cpuid_hardware),
		TEST(test_cpuid_synthetic), TEST(test_hypercall_page), TEST(test_reference_tsc),
		TEST(test_synthetic_small),
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
