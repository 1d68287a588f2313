// SPDX-License-Identifier: MIT
/* The oracles of the fake architecture notice what they are for: frames used after their freeing, changes that a refusal left behind. */
#include "tests/unit/core/core_child.h"

#include <sanitizer/asan_interface.h>

static struct partition *p;
static uint8_t *freed;

static int fresh(void **state)
{
	child_setup(state);
	p = child_make(2, 1);
	return 0;
}

static void address_of_freed(void)
{
	(void)arch_heap_va(arch_heap_pa(freed));
}

static void test_freed_frames(void **state)
{
	(void)state;
	freed = heap_alloc(2);
	assert_non_null(freed);
	assert_null(__asan_region_is_poisoned(freed, 2 * PAGE_SIZE));
	assert_false(dies(address_of_freed));
	heap_free(freed, 2);
	assert_int_equal(__asan_address_is_poisoned(freed), 1);
	assert_int_equal(__asan_address_is_poisoned(freed + 2 * PAGE_SIZE - 1), 1);
	assert_true(dies(address_of_freed));
	assert_ptr_equal(heap_alloc(2), freed);
	assert_null(__asan_region_is_poisoned(freed, 2 * PAGE_SIZE));
	heap_free(freed, 2);
}

/* A refused call of the root, after which `byte` differs; what fake_unchanged says of it, and of the next that changes nothing. */
static void changed(uint8_t *byte, bool seen)
{
	const uint64_t nobody = 12345;

	for (unsigned round = 0; round < 2; round++) {
		fake_remember();
		assert_int_equal(STATUS(fake_hypercall(root_vp(0), 0x41, &nobody, 8, NULL, 0)),
				 HV_INVALID_PARTITION_ID);
		*byte ^= 0x80;
		assert_int_equal(fake_unchanged(root_vp(0)), !seen);
		*byte ^= 0x80;
		assert_true(fake_unchanged(
			root_vp(0))); /* the second round begins with a copy that is up to date */
	}
}

static void test_changes(void **state)
{
	uint64_t *l4 = arch_heap_va(p->npt.root);

	(void)state;
	changed((uint8_t *)l4, true);
	changed((uint8_t *)l4 + PAGE_SIZE - 1, true);
	changed((uint8_t *)&p->pages, true);
	changed((uint8_t *)&p->arch->intercepts, true);
	changed((uint8_t *)&p->vp[1]->rip, true);
	changed((uint8_t *)&root_vp(1)->arch->cr3, true);
	changed((uint8_t *)&root_vp(0)->regs[3], false); /* the caller's own */
	changed((uint8_t *)&root_vp(0)->arch->cr3, false);
	changed((uint8_t *)&p->lock, false);
}

/* Intercept lists are kept elsewhere: a change shows in the heap, what changes nothing does not. */
static void test_lists(void **state)
{
	(void)state;
	arch_port_allow(p->vp[0], 0x80, 0x81);
	fake_remember();
	arch_port_allow(p->vp[0], 0x80, 0x81);
	assert_true(fake_unchanged(root_vp(0)));
	arch_port_allow(p->vp[0], 0x80, 0x82);
	assert_false(fake_unchanged(root_vp(0)));
	fake_heap_touched();
	fake_remember();
	arch_msr_allow(p->vp[0], 0xc0010015, false, true);
	assert_false(fake_unchanged(root_vp(0)));
}

/* Behind an object that does not fill its frame nothing may be read or written. */
static void test_objects(void **state)
{
	(void)state;
	assert_null(__asan_region_is_poisoned(p, sizeof(*p)));
	assert_int_equal(__asan_address_is_poisoned((uint8_t *)(p + 1)), 1);
	assert_int_equal(__asan_address_is_poisoned((uint8_t *)(p->vp[0] + 1)), 1);
	assert_int_equal(__asan_address_is_poisoned((uint8_t *)(p->vp[1]->arch + 1)), 1);
}

/* What a harness does to VPs between two calls is no change. */
static void test_between(void **state)
{
	(void)state;
	changed((uint8_t *)&p->arch->intercepts, true);
	p->vp[0]->arch->mode ^= 1;
	root_vp(1)->rip++;
	changed((uint8_t *)&p->arch->intercepts, true);
}

static void test_frames(void **state)
{
	uint8_t *a = heap_alloc(1), *b;

	(void)state;
	fake_remember();
	b = heap_alloc(1);
	assert_false(fake_unchanged(root_vp(0))); /* kept */
	heap_free(a, 1);
	assert_false(fake_unchanged(root_vp(0))); /* as many as before, but others */
	a = heap_alloc(1);
	heap_free(b, 1);
	assert_true(fake_unchanged(root_vp(0)));
	heap_free(a, 1);
	assert_false(fake_unchanged(root_vp(0)));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, child_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_freed_frames), TEST(test_changes), TEST(test_lists),
		TEST(test_objects),      TEST(test_between), TEST(test_frames),
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
