/* SPDX-License-Identifier: MIT */
/* Guest memory: every edge of the low and the high part and of the hole, lengths of 0 and near 2^64, alignment. */
#include "tests/unit/wire/wire_test.h"

#include <sys/mman.h>

#include "hv/wire/gmem.h"

#define GIB (1ull << 30)

struct edge {
	uint64_t gpa, len;
	bool good;
};

static void check_edges(const struct gmem *m, const struct edge *edges, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct edge *e = &edges[i];

		if (gmem_check(m, e->gpa, e->len) != e->good ||
		    (gmem_direct(m, e->gpa, e->len) != NULL) != e->good) {
			fail_msg("[%llx, +%llx) is %s", (unsigned long long)e->gpa,
				 (unsigned long long)e->len, e->good ? "refused" : "accepted");
		}
	}
}

static void test_low(void **state)
{
	static const struct edge edges[] = {
		{ 0, 0, true },
		{ 0, 1, true },
		{ 0, 8192, true },
		{ 0, 8193, false },
		{ 8191, 1, true },
		{ 8191, 2, false },
		{ 8192, 0, true },
		{ 8192, 1, false },
		{ 8193, 0, false },
		{ 0, UINT64_MAX, false },
		{ 1, UINT64_MAX, false },
		{ UINT64_MAX, 0, false },
		{ UINT64_MAX, 1, false },
		{ UINT64_MAX, 2, false },
		{ UINT64_MAX - 4095, 8192, false },
		{ GMEM_HIGH_BASE, 0, false },
		{ GMEM_HIGH_BASE, 1, false },
	};
	uint8_t *base = calloc(1, 8192);
	struct gmem m = { base, 8192 };

	(void)state;
	check_edges(&m, edges, sizeof(edges) / sizeof(edges[0]));
	free(base);
}

static void test_hole(void **state)
{
	static const struct edge edges[] = {
		{ 3 * GIB - 1, 1, true },
		{ 3 * GIB - 1, 2, false },
		{ 3 * GIB, 1, false },
		{ 3 * GIB - 4096, GIB + 8192, false },
		{ 3 * GIB - 4096, 8192, false },
		{ 4 * GIB - 1, 1, false },
		{ 4 * GIB - 1, 2, false },
		{ 4 * GIB - 4096, 8192, false },
		{ 4 * GIB, 0, true },
		{ 4 * GIB, 8192, true },
		{ 4 * GIB, 8193, false },
		{ 4 * GIB + 8191, 1, true },
		{ 4 * GIB + 8192, 0, true },
		{ 4 * GIB + 8192, 1, false },
		{ 4 * GIB + 4096, UINT64_MAX - 4 * GIB, false },
		{ 4 * GIB + 4096, UINT64_MAX, false },
	};
	uint64_t size = 3 * GIB + 8192;
	uint8_t *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct gmem m = { base, size };
	uint32_t word = 0x12345678, back = 0;

	(void)state;
	assert_ptr_not_equal(base, MAP_FAILED);
	check_edges(&m, edges, sizeof(edges) / sizeof(edges[0]));
	assert_ptr_equal(gmem_direct(&m, 4 * GIB, 1), base + 3 * GIB);
	assert_ptr_equal(gmem_direct(&m, 3 * GIB - 1, 1), base + 3 * GIB - 1);
	assert_true(gmem_copy_out(&m, 4 * GIB + 4096, &word, 4));
	assert_memory_equal(base + 3 * GIB + 4096, &word, 4);
	assert_true(gmem_copy_in(&m, 4 * GIB + 4096, &back, 4));
	assert_int_equal(back, word);
	assert_int_equal(gmem_load32(&m, 4 * GIB + 4096), word);
	m.size = 3 * GIB; /* no high memory at all */
	assert_false(gmem_check(&m, 4 * GIB, 0));
	assert_false(gmem_check(&m, 4 * GIB, 1));
	assert_true(gmem_check(&m, 0, 3 * GIB));
	munmap(base, size);
}

static void test_copies(void **state)
{
	uint8_t *base = malloc(4096), *part = malloc(16);
	struct gmem m = { base, 4096 };

	(void)state;
	for (unsigned i = 0; i < 4096; i++) {
		base[i] = (uint8_t)(i * 7);
	}
	memset(part, 0xee, 16);
	assert_false(gmem_copy_in(&m, 4081, part, 16));
	assert_int_equal(part[0], 0xee); /* nothing was copied */
	assert_true(gmem_copy_in(&m, 4080, part, 16));
	assert_memory_equal(part, base + 4080, 16);
	memset(part, 0xaa, 16);
	assert_false(gmem_copy_out(&m, 4081, part, 16));
	assert_int_equal(base[4081], (uint8_t)(4081 * 7));
	assert_true(gmem_copy_out(&m, 3, part, 16));
	assert_memory_equal(part, base + 3, 16);
	assert_int_equal(base[2], 14);
	assert_int_equal(base[19], (uint8_t)(19 * 7));
	assert_true(gmem_copy_in(&m, 4096, part, 0));
	assert_false(gmem_copy_in(&m, 4097, part, 0));
	free(base);
	free(part);
}

static void test_words(void **state)
{
	uint8_t *base = calloc(1, 4096);
	struct gmem m = { base, 4096 };

	(void)state;
	gmem_store32(&m, 4092, 0xa1b2c3d4);
	assert_int_equal(gmem_load32(&m, 4092), 0xa1b2c3d4);
	assert_int_equal(base[4092], 0xd4);
	for (unsigned i = 1; i < 4; i++) { /* not aligned: neither loaded nor stored */
		assert_int_equal(gmem_load32(&m, 4092 - i), 0);
		gmem_store32(&m, 4092 - i, 0xffffffff);
		assert_int_equal(gmem_load32(&m, 4092), 0xa1b2c3d4);
	}
	assert_int_equal(gmem_load32(&m, 4096), 0);
	assert_int_equal(gmem_load32(&m, UINT64_MAX - 3), 0);
	gmem_store32(&m, 4096, 1);
	gmem_store32(&m, UINT64_MAX - 3, 1);
	assert_int_equal(gmem_load32(&m, 4092), 0xa1b2c3d4);
	free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_low),
		cmocka_unit_test(test_hole),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
