// SPDX-License-Identifier: MIT
/* The table of the pool's units: what it knows, its states, and what ends the hypervisor. */
#include "tests/unit/core/core_child.h"

#include "hv/core/owner.h"

#define SLOT 5

/* The rest of a page of zeroes, and of what a guest wrote. */
static bool all_zero(uint32_t unit)
{
	const uint8_t *m = fake_ram(pfn_address(unit).v);

	return m[0] == 0 && memcmp(m, m + 1, PFN_UNIT - 1) == 0;
}

static void test_numbers(void **state)
{
	(void)state;
	assert_int_equal(pfn_units(), FAKE_POOL_UNITS);
	assert_int_equal(pfn_unit(hpa(FAKE_POOL_BASE - 1)), PFN_NONE);
	assert_int_equal(pfn_unit(hpa(FAKE_POOL_BASE + FAKE_POOL_SIZE)), PFN_NONE);
	assert_int_equal(pfn_unit(hpa(0)), PFN_NONE);
	assert_int_equal(pfn_unit(hpa(UINT64_MAX)), PFN_NONE);
	assert_int_equal(pfn_unit(hpa(FAKE_REGION_BASE)), PFN_NONE);
	for (uint32_t u = 0; u < pfn_units(); u++) {
		assert_true(pfn_address(u).v == FAKE_POOL_BASE + u * PFN_UNIT);
		assert_int_equal(pfn_unit(pfn_address(u)), u);
		assert_int_equal(pfn_unit(hpa(pfn_address(u).v + PFN_UNIT - 1)), u);
	}
}

static void test_states(void **state)
{
	uint64_t bytes = pfn_free_bytes();
	uint32_t u = 3;

	(void)state;
	memset(fake_ram(pfn_address(u).v), 0x77, PFN_UNIT);
	assert_int_equal(pfn_state(u), PFN_DIRTY);
	assert_false(pfn_claim(u, SLOT, gpa(0))); /* never as the firmware left it */
	pfn_clean(u);
	assert_int_equal(pfn_state(u), PFN_CLEAN);
	assert_true(all_zero(u));
	assert_true(pfn_free_bytes() == bytes);
	assert_false(pfn_claim(u, SLOT, gpa(1ull << 53))); /* does not fit into the table */
	assert_int_equal(pfn_state(u), PFN_CLEAN);
	assert_true(pfn_claim(u, SLOT, gpa(6 * PFN_UNIT)));
	assert_false(pfn_claim(u, SLOT, gpa(6 * PFN_UNIT))); /* one owner */
	assert_false(pfn_claim(u, SLOT + 1, gpa(0)));
	assert_int_equal(pfn_state(u), PFN_OWNED);
	assert_int_equal(pfn_slot(u), SLOT);
	assert_true(pfn_gpa(u).v == 6 * PFN_UNIT);
	assert_true(pfn_free_bytes() == bytes - PFN_UNIT);
	for (uint64_t at = 0; at < PFN_UNIT; at += PAGE_SIZE) {
		hpa_t frame = hpa(pfn_address(u).v + at);

		assert_true(pfn_is_of(frame, SLOT));
		assert_false(pfn_is_of(frame, SLOT + 1) || pfn_is_of(frame, 0));
	}
	assert_false(pfn_is_of(pfn_address(u + 1), SLOT));
	memset(fake_ram(pfn_address(u).v), 0x99, PFN_UNIT);
	pfn_leave(u);
	assert_int_equal(pfn_state(u), PFN_LEAVING);
	assert_false(pfn_is_of(pfn_address(u), SLOT)); /* no copy for it any more */
	assert_false(pfn_claim(u, SLOT, gpa(0)));
	assert_int_equal(pfn_slot(u), SLOT);
	assert_true(pfn_free_bytes() == bytes - PFN_UNIT); /* not yet anybody's */
	pfn_clean(u);
	assert_true(all_zero(u));
	assert_true(pfn_free_bytes() == bytes);
	assert_false(pfn_is_of(pfn_address(u), SLOT));
	assert_false(pfn_is_of(pfn_address(u), 0));  /* the root's slot owns nothing */
	for (uint32_t i = 0; i < pfn_units(); i++) { /* the neighbours are as they were */
		assert_true(i == u || pfn_state(i) == PFN_DIRTY);
	}
}

static void clean_owned(void)
{
	pfn_clean(0);
	(void)!pfn_claim(0, SLOT, gpa(0));
	pfn_clean(0);
}

static void clean_twice(void)
{
	pfn_clean(0);
	pfn_clean(0);
}

static void leave_dirty(void)
{
	pfn_leave(0);
}

static void leave_clean(void)
{
	pfn_clean(0);
	pfn_leave(0);
}

static void slot_of_clean(void)
{
	pfn_clean(0);
	(void)pfn_slot(0);
}

static void gpa_of_dirty(void)
{
	(void)pfn_gpa(0);
}

static void beyond(void)
{
	(void)pfn_state(pfn_units());
}

static void address_beyond(void)
{
	(void)pfn_address(pfn_units());
}

static void test_dies(void **state)
{
	(void)state;
	assert_true(dies(clean_owned)); /* memory is not zeroed under its owner */
	assert_true(dies(clean_twice));
	assert_true(dies(leave_dirty));
	assert_true(dies(leave_clean));
	assert_true(dies(slot_of_clean));
	assert_true(dies(gpa_of_dirty));
	assert_true(dies(beyond));
	assert_true(dies(address_beyond));
}

/* A pool in several pieces with holes, and none at all. */
static void test_pieces(void **state)
{
	(void)state;
	owner_reset();
	pfn_init();
	assert_int_equal(pfn_units(), 0);
	assert_int_equal(pfn_unit(hpa(FAKE_POOL_BASE)), PFN_NONE);
	assert_true(pfn_free_bytes() == 0);
	assert_true(owner_add(4 * PFN_UNIT, 2 * PFN_UNIT, RD_OWNER_POOL, 1));
	assert_true(owner_add(6 * PFN_UNIT, PFN_UNIT, RD_OWNER_ROOT, 1));
	assert_true(owner_add(7 * PFN_UNIT, PFN_UNIT, RD_OWNER_POOL, 1));
	assert_true(owner_add(1ull << 40, 3 * PFN_UNIT, RD_OWNER_POOL, 1));
	pfn_init();
	assert_int_equal(pfn_units(), 6);
	assert_true(pfn_address(0).v == 4 * PFN_UNIT && pfn_address(1).v == 5 * PFN_UNIT);
	assert_true(pfn_address(2).v == 7 * PFN_UNIT &&
		    pfn_address(5).v == (1ull << 40) + 2 * PFN_UNIT);
	assert_int_equal(pfn_unit(hpa(6 * PFN_UNIT)), PFN_NONE);
	assert_int_equal(pfn_unit(hpa(7 * PFN_UNIT)), 2);
	for (uint32_t u = 0; u < 6; u++) {
		assert_int_equal(pfn_unit(pfn_address(u)), u);
		assert_int_equal(pfn_state(u), PFN_DIRTY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_dies),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_pieces), /* last: it replaces the machine's pool */
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
