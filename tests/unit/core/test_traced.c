// SPDX-License-Identifier: MIT
/* A child's calls and synthetic registers, which its parent records: told when they are done, with what was copied in once. */
#include "tests/unit/core/core_child.h"

#define PAGE 0x710000ull
#define FLAG 321
#define SIEF 0x720000ull
#define VECTOR 0x52
#define INSTALL 0x4d
#define STATE_PAGE 0xe1
#define POST 0x5c
#define SIGNAL 0x5d
#define FAST (1ull << 16)

static struct partition *p;
static struct vp *vp;

static unsigned install(uint64_t id, uint32_t access, uint64_t parameter)
{
	const struct hv_install_intercept q = { id, access, HV_INTERCEPT_TRACE, parameter };

	return STATUS(root_call(INSTALL, &q, sizeof(q), NULL, 0));
}

static int fresh(void **state)
{
	struct hv_map_state_page q = { .type = HV_STATE_PAGE_INTERCEPT,
				       .pfn = PAGE >> PAGE_SHIFT,
				       .notify_flag = FLAG };

	child_setup(state);
	assert_true(msr_write(root_vp(0), 0x40000082, SIEF | 1));
	assert_true(msr_write(root_vp(0), 0x40000090 + RD_ROOT_SINT, VECTOR));
	assert_true(msr_write(root_vp(0), 0x40000080, 1));
	memset(fake_ram(SIEF), 0, PAGE_SIZE);
	memset(fake_ram(PAGE), 0, PAGE_SIZE);
	p = child_make(2, 1);
	vp = p->vp[0];
	q.partition = p->id;
	assert_int_equal(root_call(STATE_PAGE, &q, sizeof(q), NULL, 0), HV_SUCCESS);
	child_start(p);
	return 0;
}

static const struct hv_traced_intercept *told(uint32_t type)
{
	const struct hv_message *m = (const void *)fake_ram(PAGE);
	const struct hv_traced_intercept *t = (const void *)m->payload;

	assert_int_equal(vp->suspended, VP_SUSPEND_INTERCEPT);
	assert_int_equal(m->type, type);
	assert_int_equal(m->payload_size, sizeof(*t));
	assert_true(m->sender == p->id);
	assert_true(t->header.vp == 0 && t->header.length == 0 && t->header.rip == vp->rip);
	assert_true(t->rax == vp->regs[REG_RAX] && t->rcx == vp->regs[REG_RCX] &&
		    t->rdx == vp->regs[REG_RDX] && t->r8 == vp->regs[REG_R8]);
	return t;
}

static void go_on(void)
{
	uint64_t rip = vp->rip, rax = vp->regs[REG_RAX];

	assert_int_equal(child_set(p->id, 0, HV_REG_INTERCEPT_SUSPEND, 0), HV_SUCCESS);
	memset(fake_ram(PAGE), 0, PAGE_SIZE);
	assert_int_equal(vp->suspended, 0);
	assert_true(vp->rip == rip && vp->regs[REG_RAX] == rax);
}

static void not_told(void)
{
	assert_int_equal(vp->suspended, 0);
	assert_int_equal(((const struct hv_message *)(const void *)fake_ram(PAGE))->type, 0);
}

static void assert_zero(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(bytes[i], 0);
	}
}

static void test_off(void **state)
{
	struct hv_signal_event q = { .connection = 5 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) { /* as made, and after it was on */
		uint64_t intercepts = p->intercepts;

		(void)child_call(vp, SIGNAL, &q, sizeof(q));
		not_told();
		assert_true(msr_write(vp, 0x40000080, 1));
		not_told();
		assert_true(p->intercepts == intercepts);
		assert_int_equal(install(p->id, HV_INTERCEPT_EXECUTE, 0), HV_SUCCESS);
		(void)child_call(vp, SIGNAL, &q, sizeof(q));
		(void)told(HV_MESSAGE_HYPERCALL);
		go_on();
		assert_int_equal(install(p->id, 0, 0), HV_SUCCESS);
	}
}

static void test_call(void **state)
{
	struct hv_post_message q = { .connection = 77, .type = 1, .size = HV_MESSAGE_PAYLOAD };
	const struct hv_traced_intercept *t;

	(void)state;
	memset(q.payload, 0xa5, sizeof(q.payload));
	assert_int_equal(install(p->id, HV_INTERCEPT_EXECUTE, 0), HV_SUCCESS);
	assert_int_equal(root_vp(0)->suspended, 0); /* the root's own calls are nobody's */
	assert_int_equal(STATUS(child_call(vp, POST, &q, sizeof(q))), HV_INVALID_CONNECTION_ID);
	t = told(HV_MESSAGE_HYPERCALL);
	assert_true(t->rax == HV_INVALID_CONNECTION_ID && t->rcx == POST);
	assert_memory_equal(t->input, &q, HV_TRACED_INPUT); /* as much as fits */
	go_on();
	/* Shorter ones, and nothing of the longer one before. */
	memset(&q, 0, sizeof(q));
	q.connection = 78;
	assert_int_equal(STATUS(child_call(vp, SIGNAL, &q, 8)), HV_INVALID_CONNECTION_ID);
	t = told(HV_MESSAGE_HYPERCALL);
	assert_memory_equal(t->input, &q, 8);
	assert_zero(t->input + 8, sizeof(t->input) - 8);
	go_on();
	assert_int_equal(p->intercepts, 2);
}

/* The registers are the input. */
static void test_fast(void **state)
{
	const struct exit_info e = { .kind = EXIT_HYPERCALL, .length = 3 };
	const struct hv_traced_intercept *t;
	uint64_t in[2] = { 79, 0x1122334455667788 };

	(void)state;
	assert_int_equal(install(p->id, HV_INTERCEPT_EXECUTE, 0), HV_SUCCESS);
	vp->regs[REG_RCX] = SIGNAL | FAST;
	vp->regs[REG_RDX] = in[0];
	vp->regs[REG_R8] = in[1];
	vp->rip = 0x300000;
	assert_int_equal(fake_exit(vp, &e), FAKE_RETURNED);
	t = told(HV_MESSAGE_HYPERCALL);
	assert_true(t->header.rip == 0x300003 && t->rax == HV_INVALID_CONNECTION_ID);
	assert_memory_equal(t->input, in, sizeof(in));
	assert_zero(t->input + 16, sizeof(t->input) - 16);
	go_on();
}

/* What is refused before anything is copied in has no input: least of all that of the call before, which was the root's. */
static void test_refused(void **state)
{
	static const uint64_t control[] = { 0x7777, SIGNAL | 1ull << 60, INSTALL, POST };
	struct hv_post_message q;

	(void)state;
	memset(&q, 0x5a, sizeof(q));
	for (size_t i = 0; i < ARRAY_SIZE(control); i++) {
		const struct exit_info e = { .kind = EXIT_HYPERCALL, .length = 3 };

		assert_int_equal(install(p->id, HV_INTERCEPT_EXECUTE, 0), HV_SUCCESS);
		(void)root_call(POST, &q, sizeof(q), NULL, 0);
		vp->regs[REG_RCX] = control[i];
		vp->regs[REG_RDX] = 0xfff000; /* of the last one: where no memory is */
		vp->regs[REG_R8] = 0;
		fake_select(vp->cpu);
		assert_int_equal(fake_exit(vp, &e), FAKE_RETURNED);
		fake_select(0);
		assert_zero(told(HV_MESSAGE_HYPERCALL)->input, HV_TRACED_INPUT);
		assert_int_not_equal(STATUS(vp->regs[REG_RAX]), HV_SUCCESS);
		go_on();
	}
	vp->arch->cpl = 3; /* no call at all */
	assert_int_equal(exit_simple(vp, EXIT_HYPERCALL, 3), FAKE_RETURNED);
	not_told();
}

static void test_register(void **state)
{
	static const uint32_t often[] = { 0x40000070, 0x40000072, 0x40000084, 0x400000b1,
					  0x400000b7 };
	const struct hv_traced_intercept *t;
	uint64_t v;

	(void)state;
	assert_int_equal(install(p->id, HV_INTERCEPT_EXECUTE, 0), HV_SUCCESS);
	assert_true(msr_write(vp, 0x40000083, 0x11001));
	t = told(HV_MESSAGE_MSR);
	assert_true(t->rcx == 0x40000083 && (uint32_t)t->rax == 0x11001 && t->header.access == 1);
	assert_zero(t->input, sizeof(t->input));
	go_on();
	assert_true(msr_read(vp, 0x40000083, &v));
	not_told();
	assert_true(msr_read(vp, 0x1b, &v) && msr_write(vp, 0x1b, v)); /* not Hyper-V's */
	not_told();
	for (size_t i = 0; i < ARRAY_SIZE(often); i++) {
		assert_true(msr_write(vp, often[i], 0));
		not_told();
	}
	assert_true(msr_write(vp, 0x400000b0, 0));
	assert_int_equal(told(HV_MESSAGE_MSR)->rcx, 0x400000b0);
	go_on();
	assert_false(msr_write(vp, 0x40000fff, 1)); /* #GP */
	not_told();
	vp->arch->cpl = 3;
	assert_false(msr_write(vp, 0x40000083, 0));
	not_told();
}

static void test_arguments(void **state)
{
	struct hv_install_intercept q = { p->id, 0, HV_INTERCEPT_TRACE, 0 };

	(void)state;
	for (unsigned bit = 0; bit < 32; bit++) {
		q.access = 1u << bit;
		if (q.access != HV_INTERCEPT_EXECUTE) {
			root_refused(HV_INVALID_PARAMETER, INSTALL, &q, sizeof(q));
		}
	}
	q.access = HV_INTERCEPT_EXECUTE;
	q.parameter = 1;
	root_refused(HV_INVALID_PARAMETER, INSTALL, &q, sizeof(q));
	q.parameter = 0;
	q.partition = PARTITION_ID_ROOT; /* nobody records the root */
	root_refused(HV_INVALID_PARTITION_ID, INSTALL, &q, sizeof(q));
	q.partition = p->id + 100;
	root_refused(HV_INVALID_PARTITION_ID, INSTALL, &q, sizeof(q));
	q.partition = p->id;
	assert_int_equal(child_simple(0x42, p->id), HV_SUCCESS);
	root_refused(HV_INVALID_PARTITION_STATE, INSTALL, &q, sizeof(q));
	assert_int_equal(partition_root->traced, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, child_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_off),      TEST(test_call),
					    TEST(test_fast),     TEST(test_refused),
					    TEST(test_register), TEST(test_arguments) };

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
