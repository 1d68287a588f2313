// SPDX-License-Identifier: MIT
/* Frames: the heap; who owns what; nested page tables against a plain array. */
#include "tests/unit/core/core_test.h"

#include "hv/core/heap.h"
#include "hv/core/npt.h"
#include "hv/core/owner.h"

static int bare(void **state)
{
	(void)state;
	fake_bare();
	heap_init(hpa(FAKE_REGION_BASE), FAKE_REGION_SIZE);
	owner_reset();
	return 0;
}

/* --- heap --- */

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] != 0) {
			return false;
		}
	}
	return true;
}

static void test_heap_zeroed(void **state)
{
	uint8_t *a, *b;

	(void)state;
	memset(fake_ram(FAKE_REGION_BASE), 0xff,
	       FAKE_REGION_SIZE); /* what the firmware left there */
	assert_int_equal(heap_total(), FAKE_REGION_SIZE);
	assert_int_equal(heap_available(), FAKE_REGION_SIZE);
	for (unsigned pages = 1; pages <= 9; pages++) {
		uint64_t align = pages > 8 ? 16 : pages > 4 ? 8 : pages > 2 ? 4 : pages;

		a = heap_alloc(pages);
		assert_non_null(a);
		assert_true(all_zero(a, pages * PAGE_SIZE));
		assert_int_equal((arch_heap_pa(a).v >> PAGE_SHIFT) % align, 0);
		memset(a, 0x55, pages * PAGE_SIZE);
		heap_free(a, pages);
		assert_true(
			all_zero(a, pages * PAGE_SIZE)); /* secrets do not stay in free frames */
	}
	assert_int_equal(heap_available(), FAKE_REGION_SIZE);
	a = heap_alloc(1);
	b = heap_alloc(1);
	assert_true(a != b);
	assert_null(heap_alloc(0));
	assert_null(heap_alloc(FAKE_REGION_SIZE / PAGE_SIZE + 1));
	assert_null(heap_alloc(UINT64_MAX));
	heap_free(NULL, 1);
}

static void test_heap_exhausted(void **state)
{
	uint64_t n = 0, pages = 64;
	uint8_t *at[64];

	(void)state;
	heap_init(hpa(FAKE_REGION_BASE + 3 * PAGE_SIZE),
		  pages * PAGE_SIZE); /* not aligned to anything */
	while (n < 64 && (at[n] = heap_alloc(1)) != NULL) {
		n++;
	}
	assert_int_equal(n, pages);
	assert_int_equal(heap_available(), 0);
	assert_null(heap_alloc(1));
	heap_free(at[7], 1);
	heap_free(at[9], 1);
	assert_null(heap_alloc(2)); /* not side by side */
	assert_ptr_equal(heap_alloc(1), at[7]);
	heap_free(at[8], 1);
	heap_free(at[10], 1);
	heap_free(at[11], 1);
	heap_free(at[12], 1);
	assert_ptr_equal(heap_alloc(4), at[9]); /* frames 3 + 9 .. 12: the first aligned run */
	assert_int_equal(heap_available(), PAGE_SIZE);
}

/* Random allocations never overlap and all come back. */
static void test_heap_random(void **state)
{
	struct {
		uint8_t *p;
		uint64_t pages;
	} held[40] = { { NULL, 0 } };
	uint64_t seed = 12345;

	(void)state;
	heap_init(hpa(FAKE_REGION_BASE), 128 * PAGE_SIZE);
	for (unsigned n = 0; n < 5000; n++) {
		unsigned i = (unsigned)(next_random(&seed) % 40);

		if (held[i].p == NULL) {
			held[i].pages = 1 + next_random(&seed) % 7;
			held[i].p = heap_alloc(held[i].pages);
			if (held[i].p != NULL) {
				assert_true(all_zero(held[i].p, held[i].pages * PAGE_SIZE));
				memset(held[i].p, (int)i + 1, held[i].pages * PAGE_SIZE);
			}
			continue;
		}
		for (uint64_t b = 0; b < held[i].pages * PAGE_SIZE; b += 511) {
			assert_int_equal(held[i].p[b], i + 1);
		}
		heap_free(held[i].p, held[i].pages);
		held[i].p = NULL;
	}
	for (unsigned i = 0; i < 40; i++) {
		heap_free(held[i].p, held[i].pages);
	}
	assert_int_equal(heap_available(), heap_total());
}

static void double_free(void)
{
	uint8_t *p = heap_alloc(2);

	heap_free(p, 2);
	heap_free(p, 2);
}

static void partial_double_free(void)
{
	uint8_t *p = heap_alloc(2);

	heap_free(p, 1);
	heap_free(p, 2);
}

static void free_beyond(void)
{
	heap_free(heap_alloc(1), FAKE_REGION_SIZE / PAGE_SIZE + 1);
}

static void free_before(void)
{
	uint8_t *p = heap_alloc(1);

	heap_init(hpa(FAKE_REGION_BASE + PAGE_SIZE), 4 * PAGE_SIZE);
	heap_free(p, 1);
}

static void heap_empty(void)
{
	heap_init(hpa(FAKE_REGION_BASE), 100);
}

static void heap_too_big(void)
{
	heap_init(hpa(FAKE_REGION_BASE), 1ull << 40);
}

static void good_free(void)
{
	heap_free(heap_alloc(3), 3);
}

static void test_heap_checks(void **state)
{
	(void)state;
	assert_false(dies(good_free));
	assert_true(dies(double_free));
	assert_true(dies(partial_double_free));
	assert_true(dies(free_beyond));
	assert_true(dies(free_before));
	assert_true(dies(heap_empty));
	assert_true(dies(heap_too_big));
}

/* --- owner --- */

static void assert_range(uint32_t i, uint64_t base, uint64_t size, enum rd_owner owner)
{
	const struct owner_range *r = owner_get(i);

	assert_non_null(r);
	assert_int_equal(r->base, base);
	assert_int_equal(r->size, size);
	assert_int_equal(r->owner, owner);
}

static void test_owner_take(void **state)
{
	(void)state;
	assert_true(owner_add(0x100000, 0x100000, RD_OWNER_ROOT, 1));
	assert_true(owner_add(0, 0x9f000, RD_OWNER_ROOT, 1)); /* sorted in whatever order */
	assert_true(owner_add(0x9f000, 0x61000, RD_OWNER_FIRMWARE, 2));
	assert_int_equal(owner_count(), 3);
	assert_range(0, 0, 0x9f000, RD_OWNER_ROOT);
	assert_range(2, 0x100000, 0x100000, RD_OWNER_ROOT);
	assert_true(owner_take(0x140000, 0x10000, RD_OWNER_HYPERVISOR)); /* the middle */
	assert_true(owner_take(0x100000, 0x10000, RD_OWNER_POOL));       /* the start */
	assert_true(owner_take(0x1f0000, 0x10000, RD_OWNER_POOL));       /* the end */
	assert_int_equal(owner_count(), 7);
	assert_range(2, 0x100000, 0x10000, RD_OWNER_POOL);
	assert_range(3, 0x110000, 0x30000, RD_OWNER_ROOT);
	assert_range(4, 0x140000, 0x10000, RD_OWNER_HYPERVISOR);
	assert_range(5, 0x150000, 0xa0000, RD_OWNER_ROOT);
	assert_range(6, 0x1f0000, 0x10000, RD_OWNER_POOL);
	assert_true(owner_bytes(RD_OWNER_POOL) == 0x20000 &&
		    owner_bytes(RD_OWNER_HYPERVISOR) == 0x10000);
	assert_null(owner_get(7));
	/* Refused: not the root's, across a border, firmware, nothing there, wrapping. */
	assert_false(owner_take(0x140000, 0x1000, RD_OWNER_POOL));
	assert_false(owner_take(0x13f000, 0x2000, RD_OWNER_POOL));
	assert_false(owner_take(0x9f000, 0x1000, RD_OWNER_POOL));
	assert_false(owner_take(0x300000, 0x1000, RD_OWNER_POOL));
	assert_false(owner_take(0x150000, UINT64_MAX, RD_OWNER_POOL));
	assert_false(owner_take(0x150000, 0, RD_OWNER_POOL)); /* nothing is nobody's */
	assert_int_equal(owner_count(), 7);
	/* Who may map what. */
	assert_false(owner_root_may_map(0x140000, 1));
	assert_false(owner_root_may_map(0x13ffff, 2));
	assert_true(owner_root_may_map(0x13ffff, 1));
	assert_true(owner_root_may_map(0x150000, 0xa0000));
	assert_false(owner_root_may_map(0x150000, 0xa0001));
	assert_true(owner_root_may_map(0xfee00000, 0x1000)); /* device registers */
	assert_true(owner_is_root_ram(0x150000, 0xa0000));
	assert_false(owner_is_root_ram(0x150000, 0xa0001));
	assert_false(owner_is_root_ram(0x9f000, 1));
	assert_false(owner_is_root_ram(0x140000, 1));
	assert_false(owner_is_root_ram(0xfee00000, 1));
}

static void test_owner_add(void **state)
{
	(void)state;
	assert_true(owner_add(0x1000, 0x1000, RD_OWNER_ROOT, 1));
	assert_false(owner_add(0x1000, 0x1000, RD_OWNER_ROOT, 1));
	assert_false(owner_add(0x0, 0x1001, RD_OWNER_ROOT, 1));
	assert_false(owner_add(0x1fff, 1, RD_OWNER_FIRMWARE, 2));
	assert_false(owner_add(0x5000, 0, RD_OWNER_ROOT, 1));
	assert_false(owner_add(0x5000, UINT64_MAX, RD_OWNER_ROOT, 1));
	assert_true(owner_add(0x0, 0x1000, RD_OWNER_ROOT, 1));
	assert_true(owner_add(0x2000, 0x1000, RD_OWNER_ROOT, 3));
	assert_false(
		owner_take(0x2000, 0x1000, RD_OWNER_POOL)); /* ACPI tables are not usable memory */
	owner_reset();
	for (uint64_t i = 0; i < OWNER_RANGES_MAX - 1; i++) {
		assert_true(owner_add(i << 20, 0x10000, RD_OWNER_ROOT, 1));
	}
	/* The middle needs two more entries, an end one: only one is left. */
	assert_false(owner_take(0x301000, 0x1000, RD_OWNER_POOL));
	assert_int_equal(owner_count(), OWNER_RANGES_MAX - 1);
	assert_true(owner_take(0x300000, 0x1000, RD_OWNER_POOL));
	assert_false(owner_take(0x400000, 0x1000, RD_OWNER_POOL));
	assert_true(owner_take(0x400000, 0x10000, RD_OWNER_POOL)); /* all of one needs none */
	assert_false(owner_add(1ull << 40, 1, RD_OWNER_ROOT, 1));
}

/* --- nested page tables --- */

#define MODEL_PAGES 2048u
static struct {
	uint64_t to;
	unsigned access;
} model[MODEL_PAGES];

static void compare(const struct npt *n, uint64_t base)
{
	for (unsigned i = 0; i < MODEL_PAGES; i++) {
		uint64_t span = 0;
		unsigned access = 0;
		hpa_t h = hpa(0);
		bool there = npt_lookup(n, gpa(base + i * PAGE_SIZE + 0x123), &h, &access, &span);

		if (there != (model[i].access != 0) ||
		    (there && (h.v != model[i].to + 0x123 || access != model[i].access))) {
			fail_msg("page %u: %d %llx %u, expected %llx %u", i, there,
				 (unsigned long long)h.v, access, (unsigned long long)model[i].to,
				 model[i].access);
		}
	}
}

static void random_change(struct npt *n, uint64_t base, uint64_t *seed)
{
	unsigned first = (unsigned)(next_random(seed) % MODEL_PAGES);
	unsigned count = (unsigned)(next_random(seed) % (MODEL_PAGES - first + 1));
	uint64_t to = (next_random(seed) & 0xfffffffff) << PAGE_SHIFT;
	unsigned access = 1 + (unsigned)(next_random(seed) % 7);
	uint64_t kind = next_random(seed) % 8;

	if (kind < 3) { /* large leaves */
		first &= ~511u;
		count = (count + 511) & ~511u;
		to &= ~(PAGE_SIZE_2M - 1);
	} else if (kind == 3) {
		count = 1;
	}
	if (kind >= 6) {
		access = 0;
		assert_true(npt_unmap(n, gpa(base + first * PAGE_SIZE), count * PAGE_SIZE));
	} else {
		assert_true(npt_map(n, gpa(base + first * PAGE_SIZE), hpa(to), count * PAGE_SIZE,
				    access));
	}
	for (unsigned i = 0; i < count; i++) {
		model[first + i].access = access;
		model[first + i].to = to + i * PAGE_SIZE;
	}
}

static void test_npt_model(void **state)
{
	static const uint64_t bases[] = { 0, 0x3fe00000, 0x7fffffe00000,
					  (1ull << 48) - MODEL_PAGES * PAGE_SIZE };
	uint64_t seed = 42;

	(void)state;
	for (unsigned round = 0; round < 8; round++) {
		uint64_t base = bases[round % 4];
		struct npt n = { .tables = 0 };

		bare(NULL);
		fake.npt_1g = round < 4;
		memset(model, 0, sizeof(model));
		assert_true(npt_create(&n));
		for (unsigned i = 0; i < 120; i++) {
			random_change(&n, base, &seed);
			if (i % 8 == 0) {
				compare(&n, base);
			}
		}
		compare(&n, base);
		assert_true(heap_total() - heap_available() == n.tables * PAGE_SIZE);
	}
}

static uint64_t span_at(const struct npt *n, uint64_t at)
{
	uint64_t span = 0;
	hpa_t h;

	return npt_lookup(n, gpa(at), &h, NULL, &span) ? span : 0;
}

static void test_npt_sizes(void **state)
{
	struct npt n = { .tables = 0 };
	unsigned access;
	hpa_t h;

	(void)state;
	assert_true(npt_create(&n));
	assert_true(
		npt_map(&n, gpa(0), hpa(0), 2 * PAGE_SIZE_1G + PAGE_SIZE_2M + PAGE_SIZE, NPT_RWX));
	assert_int_equal(span_at(&n, 5), PAGE_SIZE_1G);
	assert_int_equal(span_at(&n, 2 * PAGE_SIZE_1G - 1), PAGE_SIZE_1G);
	assert_int_equal(span_at(&n, 2 * PAGE_SIZE_1G), PAGE_SIZE_2M);
	assert_int_equal(span_at(&n, 2 * PAGE_SIZE_1G + PAGE_SIZE_2M), PAGE_SIZE);
	assert_int_equal(span_at(&n, 2 * PAGE_SIZE_1G + PAGE_SIZE_2M + PAGE_SIZE), 0);
	assert_int_equal(n.tables, 4);
	/* One page out of 1 GiB: two splits, and the neighbours keep translation and access. */
	assert_true(npt_unmap(&n, gpa(PAGE_SIZE_1G + 0x201000), PAGE_SIZE));
	assert_int_equal(n.tables, 6);
	assert_int_equal(span_at(&n, PAGE_SIZE_1G + 0x201000), 0);
	assert_int_equal(span_at(&n, PAGE_SIZE_1G + 0x200000), PAGE_SIZE);
	assert_int_equal(span_at(&n, PAGE_SIZE_1G), PAGE_SIZE_2M);
	assert_true(npt_lookup(&n, gpa(PAGE_SIZE_1G + 0x2ff123), &h, &access, NULL));
	assert_true(h.v == PAGE_SIZE_1G + 0x2ff123 && access == NPT_RWX);
	/* A large leaf does not silently replace a table: the pages change one by one. */
	assert_true(npt_map(&n, gpa(PAGE_SIZE_1G + 0x200000), hpa(0x400000), PAGE_SIZE_2M, NPT_R));
	assert_int_equal(span_at(&n, PAGE_SIZE_1G + 0x201000), PAGE_SIZE);
	assert_true(npt_lookup(&n, gpa(PAGE_SIZE_1G + 0x201000), &h, &access, NULL));
	assert_true(h.v == 0x401000 && access == NPT_R);
	/* Whole large leaves go without a split. */
	assert_true(npt_unmap(&n, gpa(0), PAGE_SIZE_1G));
	assert_int_equal(n.tables, 6);
	assert_int_equal(span_at(&n, 0x12345000), 0);
	assert_false(npt_lookup(&n, gpa(1ull << 48), &h, NULL, NULL));
	assert_false(npt_lookup(&n, gpa(UINT64_MAX), &h, NULL, NULL));
	fake.npt_1g = false;
	assert_true(npt_map(&n, gpa(8 * PAGE_SIZE_1G), hpa(0), PAGE_SIZE_1G, NPT_RW));
	assert_int_equal(span_at(&n, 8 * PAGE_SIZE_1G), PAGE_SIZE_2M);
	/* Different alignment of the two sides: small pages only. */
	assert_true(npt_map(&n, gpa(16 * PAGE_SIZE_1G), hpa(PAGE_SIZE), PAGE_SIZE_2M, NPT_RW));
	assert_int_equal(span_at(&n, 16 * PAGE_SIZE_1G), PAGE_SIZE);
}

static void test_npt_no_memory(void **state)
{
	struct npt n = { .tables = 0 };
	unsigned access;
	hpa_t h;

	(void)state;
	heap_init(hpa(FAKE_REGION_BASE), PAGE_SIZE);
	assert_true(npt_create(&n));
	assert_false(npt_create(&n));
	assert_false(npt_map(&n, gpa(0), hpa(0), PAGE_SIZE, NPT_RW));
	heap_init(hpa(FAKE_REGION_BASE), 3 * PAGE_SIZE);
	assert_true(npt_create(&n));
	assert_true(npt_map(&n, gpa(0), hpa(0), PAGE_SIZE_1G, NPT_RW));
	/* One table is left, two are needed to take out one page: refused, and all of it still stands. */
	assert_false(npt_unmap(&n, gpa(0x5000), PAGE_SIZE));
	assert_true(npt_unmap(&n, gpa(PAGE_SIZE_2M), PAGE_SIZE_2M) || heap_available() == 0);
	assert_true(npt_lookup(&n, gpa(0x5000), &h, &access, NULL));
	assert_true(h.v == 0x5000 && access == NPT_RW);
}

static struct npt broken;

static void map_unaligned(void)
{
	(void)!npt_map(&broken, gpa(1), hpa(0), PAGE_SIZE, NPT_R);
}

static void map_beyond(void)
{
	(void)!npt_map(&broken, gpa((1ull << 48) - PAGE_SIZE), hpa(0), 2 * PAGE_SIZE, NPT_R);
}

static void unmap_beyond(void)
{
	(void)!npt_unmap(&broken, gpa(1ull << 48), PAGE_SIZE);
}

static void test_npt_checks(void **state)
{
	(void)state;
	assert_true(npt_create(&broken));
	assert_true(dies(map_unaligned));
	assert_true(dies(map_beyond));
	assert_true(dies(unmap_beyond));
}

#define TEST(f) cmocka_unit_test_setup(f, bare)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_heap_zeroed), TEST(test_heap_exhausted), TEST(test_heap_random),
		TEST(test_heap_checks), TEST(test_owner_take),     TEST(test_owner_add),
		TEST(test_npt_model),   TEST(test_npt_sizes),      TEST(test_npt_no_memory),
		TEST(test_npt_checks),
	};

	fake_heap_unwatched(); /* its own checks are what is tested here */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
