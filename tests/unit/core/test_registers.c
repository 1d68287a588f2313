// SPDX-License-Identifier: MIT
/* Registers of a child's VP, read and written by its parent while the VP is suspended. */
#include "tests/unit/core/core_child.h"

#define GET 0x50
#define SET 0x51
#define LIST 8
#define GPR(name) (HV_REG_RAX + REG_##name)

struct set {
	struct hv_vp_registers q;
	struct hv_register_assoc a[LIST];
};

struct get {
	struct hv_vp_registers q;
	uint32_t name[LIST];
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

static struct set set_of(uint32_t name, uint64_t value)
{
	return (struct set){ { .partition = p->id }, { { .name = name, .value = { value, 0 } } } };
}

static void test_every_name(void **state)
{
	static const uint32_t names[] = {
		HV_REG_RIP,  HV_REG_CR0, HV_REG_CR2,  HV_REG_CR3,  HV_REG_CR4,  HV_REG_CR8,
		HV_REG_ES,   HV_REG_CS,  HV_REG_SS,   HV_REG_DS,   HV_REG_FS,   HV_REG_GS,
		HV_REG_LDTR, HV_REG_TR,  HV_REG_IDTR, HV_REG_GDTR, HV_REG_EFER, HV_REG_PAT,
	};
	uint64_t v;

	(void)state;
	for (uint32_t i = 0; i < 16; i++) {
		assert_int_equal(child_set(p->id, 0, HV_REG_RAX + i, 0x1111000000000001ull * i),
				 HV_SUCCESS);
	}
	for (uint32_t i = 0; i < 16; i++) {
		assert_int_equal(child_get(p->id, 0, HV_REG_RAX + i, &v), HV_SUCCESS);
		assert_true(v == 0x1111000000000001ull * i && vp->regs[i] == v);
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(child_set(p->id, 0, names[i], 0x100 + i), HV_SUCCESS);
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(child_get(p->id, 0, names[i], &v), HV_SUCCESS);
		assert_int_equal(v, 0x100 + i);
	}
	assert_int_equal(vp->rip, 0x100);
}

/* What cannot be in RFLAGS is not in RFLAGS; bit 1 always is. */
static void test_rflags(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(child_set(p->id, 0, HV_REG_RFLAGS, UINT64_MAX), HV_SUCCESS);
	assert_int_equal(child_get(p->id, 0, HV_REG_RFLAGS, &v), HV_SUCCESS);
	assert_int_equal(v, 0x3f7fd7);
	assert_int_equal(child_set(p->id, 0, HV_REG_RFLAGS, 0), HV_SUCCESS);
	assert_int_equal(vp->rflags, 2);
}

static void test_read_only(void **state)
{
	static const uint32_t names[] = { HV_REG_APIC_BASE, HV_REG_GUEST_OS_ID, HV_REG_VP_INDEX,
					  HV_REG_VP_RUNTIME };
	uint64_t v;

	(void)state;
	p->guest_os_id = 0x8100000000060100ull;
	vp->runtime = 5 * FAKE_TSC_HZ;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct set s = set_of(names[i], 1);

		root_refused(HV_INVALID_PARAMETER, REP(SET, 1), &s, sizeof(s.q) + 32);
	}
	assert_int_equal(child_get(p->id, 0, HV_REG_VP_RUNTIME, &v), HV_SUCCESS);
	assert_int_equal(v, 50000000);
	assert_int_equal(child_get(p->id, 0, HV_REG_GUEST_OS_ID, &v), HV_SUCCESS);
	assert_true(v == 0x8100000000060100ull);
	assert_int_equal(child_get(p->id, 0, HV_REG_VP_INDEX, &v), HV_SUCCESS);
	assert_int_equal(v, 0);
	assert_int_equal(child_get(p->id, 0, HV_REG_APIC_BASE, &v), HV_SUCCESS);
	assert_true(v == (APIC_BASE_ADDR | APIC_BASE_EN | APIC_BASE_EXTD | APIC_BASE_BSP));
}

static void test_unknown_names(void **state)
{
	static const uint32_t names[] = { 2,          0x00010000, 0x0001ffff, 0x00020012,
					  0x00040005, 0x00060008, 0x00070002, 0x00080000,
					  0x00090000, 0x000d0000, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct set s = set_of(names[i], 0);
		struct get g = { { .partition = p->id }, { names[i] } };

		root_refused(HV_INVALID_PARAMETER, REP(SET, 1), &s, sizeof(s.q) + 32);
		root_refused(HV_INVALID_PARAMETER, REP(GET, 1), &g, sizeof(g.q) + 4);
	}
}

/* What the CPU would not take, the architecture refuses. */
static void test_bad_values(void **state)
{
	struct set s = set_of(HV_REG_EFER, EFER_SVME);

	(void)state;
	root_refused(HV_INVALID_PARAMETER, REP(SET, 1), &s, sizeof(s.q) + 32);
	s = set_of(HV_REG_CR0, 1ull << 32);
	root_refused(HV_INVALID_PARAMETER, REP(SET, 1), &s, sizeof(s.q) + 32);
}

static void test_header(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct set s = set_of(HV_REG_RAX, 1);

		s.q.vtl = i == 0;
		s.q.pad[0] = i == 1;
		s.q.pad[1] = i == 2;
		s.q.pad[2] = i == 3;
		root_refused(HV_INVALID_PARAMETER, REP(SET, 1), &s, sizeof(s.q) + 32);
		root_refused(HV_INVALID_PARAMETER, REP(GET, 1), &s, sizeof(s.q) + 4);
	}
	for (unsigned i = 0; i < 3; i++) {
		struct set s = set_of(HV_REG_RAX, 1);

		s.a[0].pad[i] = 1;
		root_refused(HV_INVALID_PARAMETER, REP(SET, 1), &s, sizeof(s.q) + 32);
	}
	for (uint32_t i = 2; i != 0; i = i < HV_VP_MAX ? i + 1 : i << 1) {
		struct set s = set_of(HV_REG_RAX, 1);

		s.q.vp = i;
		root_refused(HV_INVALID_VP_INDEX, REP(SET, 1), &s, sizeof(s.q) + 32);
		root_refused(HV_INVALID_VP_INDEX, REP(GET, 1), &s, sizeof(s.q) + 4);
	}
}

/* Only a suspended VP's registers are its parent's business. */
static void test_only_suspended(void **state)
{
	struct set s = set_of(HV_REG_RAX, 1);

	(void)state;
	s.q.vp = 1; /* waits for SIPI, which a sibling may send at any moment */
	root_refused(HV_INVALID_VP_STATE, REP(SET, 1), &s, sizeof(s.q) + 32);
	root_refused(HV_INVALID_VP_STATE, REP(GET, 1), &s, sizeof(s.q) + 4);
	assert_int_equal(child_set(p->id, 0, HV_REG_EXPLICIT_SUSPEND, 0), HV_SUCCESS);
	s.q.vp = 0;
	root_refused(HV_INVALID_VP_STATE, REP(SET, 1), &s, sizeof(s.q) + 32);
	root_refused(HV_INVALID_VP_STATE, REP(GET, 1), &s, sizeof(s.q) + 4);
	vp->suspended = VP_SUSPEND_INTERCEPT; /* the other reason serves as well */
	assert_int_equal(child_set(p->id, 0, HV_REG_RAX, 77), HV_SUCCESS);
	assert_int_equal(vp->regs[REG_RAX], 77);
}

static void test_suspension(void **state)
{
	struct set s = set_of(HV_REG_EXPLICIT_SUSPEND, 1);
	uint64_t v;

	(void)state;
	root_refused(HV_INVALID_PARAMETER, REP(SET, 1), &s, sizeof(s.q) + 32); /* only off */
	vp->suspended = VP_SUSPEND_INTERCEPT | VP_SUSPEND_EXPLICIT;
	assert_int_equal(child_get(p->id, 0, HV_REG_INTERCEPT_SUSPEND, &v), HV_SUCCESS);
	assert_int_equal(v, 1);
	assert_int_equal(child_set(p->id, 0, HV_REG_INTERCEPT_SUSPEND, 0), HV_SUCCESS);
	assert_int_equal(vp->suspended, VP_SUSPEND_EXPLICIT);
	assert_int_equal(child_get(p->id, 0, HV_REG_INTERCEPT_SUSPEND, &v), HV_SUCCESS);
	assert_int_equal(v, 0);
	cpu_table[vp->cpu].resched = 0;
	assert_int_equal(child_set(p->id, 0, HV_REG_EXPLICIT_SUSPEND, 0), HV_SUCCESS);
	assert_int_equal(vp->suspended, 0);
	assert_int_equal(cpu_table[vp->cpu].resched, 1); /* its CPU hears of it */
	vp->suspended = VP_SUSPEND_INTERCEPT;
	vp->state = VP_DEAD; /* does not rise again */
	s = set_of(HV_REG_INTERCEPT_SUSPEND, 0);
	root_refused(HV_INVALID_PARAMETER, REP(SET, 1), &s, sizeof(s.q) + 32);
}

/* Before it is initialised a partition does not run. */
static void test_not_active(void **state)
{
	uint64_t id = child_create();
	struct set s = set_of(HV_REG_EXPLICIT_SUSPEND, 0);

	(void)state;
	assert_int_equal(child_vp(id, 0), HV_SUCCESS);
	assert_int_equal(child_set(id, 0, HV_REG_RIP, 0x1234), HV_SUCCESS);
	s.q.partition = id;
	root_refused(HV_INVALID_PARTITION_STATE, REP(SET, 1), &s, sizeof(s.q) + 32);
}

/* A list goes as far as it is good; what was done is said, and what was not is not. */
static void test_list(void **state)
{
	struct set s = set_of(HV_REG_RAX, 1);
	struct hv_register_value out[LIST];
	struct get g = { { .partition = p->id },
			 { HV_REG_RAX, GPR(RCX), GPR(RDX), 0xbad, GPR(RSP) } };

	(void)state;
	s.a[1] = (struct hv_register_assoc){ .name = GPR(RCX), .value = { 2, 0 } };
	s.a[2] = (struct hv_register_assoc){ .name = 0xbad };
	s.a[3] = (struct hv_register_assoc){ .name = GPR(RDX), .value = { 4, 0 } };
	vp->regs[REG_RDX] = 9;
	assert_int_equal(root_call(REP(SET, 4), &s, sizeof(s.q) + 128, NULL, 0),
			 HV_INVALID_PARAMETER | 2ull << 32);
	assert_true(vp->regs[REG_RAX] == 1 && vp->regs[REG_RCX] == 2 && vp->regs[REG_RDX] == 9);
	/* From an element on: the ones before are not touched. */
	s.a[2].name = GPR(RBX);
	s.a[2].value.low = 3;
	s.a[0].value.low = 100;
	assert_int_equal(root_call(REP(SET, 4) | 2ull << 48, &s, sizeof(s.q) + 128, NULL, 0),
			 4ull << 32);
	assert_true(vp->regs[REG_RAX] == 1 && vp->regs[REG_RBX] == 3 && vp->regs[REG_RDX] == 4);
	/* Leaving the suspension comes last: what follows in the list is too late. */
	s = set_of(HV_REG_EXPLICIT_SUSPEND, 0);
	s.a[1] = (struct hv_register_assoc){ .name = GPR(RCX), .value = { 55, 0 } };
	assert_int_equal(root_call(REP(SET, 2), &s, sizeof(s.q) + 64, NULL, 0),
			 HV_INVALID_VP_STATE | 1ull << 32);
	assert_int_equal(vp->regs[REG_RCX], 2);
	vp->suspended = VP_SUSPEND_EXPLICIT;
	memset(out, 0x5a, sizeof(out));
	assert_int_equal(root_call(REP(GET, 3), &g, sizeof(g.q) + 12, out, 48), 3ull << 32);
	assert_true(out[0].low == 1 && out[1].low == 2 && out[2].low == 4 && out[0].high == 0);
	memset(out, 0x5a, sizeof(out));
	assert_int_equal(root_call(REP(GET, 3) | 2ull << 48, &g, sizeof(g.q) + 12, out, 48),
			 3ull << 32);
	assert_true(out[2].low == 4);
}

/* The elements that are said to be done are there, although a later one was refused (TLFS 3.6). */
static void test_list_results(void **state)
{
	struct get g = { { .partition = p->id }, { HV_REG_RAX, GPR(RCX), 0xbad, GPR(RDX) } };
	struct hv_register_value got[4];
	uint64_t rax;

	(void)state;
	vp->regs[REG_RAX] = 11;
	vp->regs[REG_RCX] = 22;
	memset(fake_ram(FAKE_CALL_PAGE + PAGE_SIZE), 0x5a, PAGE_SIZE);
	rax = root_call(REP(GET, 4), &g, sizeof(g.q) + 16, NULL, 0);
	assert_int_equal(STATUS(rax), HV_INVALID_PARAMETER);
	memcpy(got, fake_ram(FAKE_CALL_PAGE + PAGE_SIZE), sizeof(got));
	for (unsigned i = 0; i < 4; i++) {
		uint64_t want = i < DONE(rax) ? (i + 1) * 11 : 0x5a5a5a5a5a5a5a5aull;

		assert_true(got[i].low == want);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, child_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_name),     TEST(test_rflags),       TEST(test_read_only),
		TEST(test_unknown_names),  TEST(test_bad_values),   TEST(test_header),
		TEST(test_only_suspended), TEST(test_suspension),   TEST(test_not_active),
		TEST(test_list),           TEST(test_list_results),
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
