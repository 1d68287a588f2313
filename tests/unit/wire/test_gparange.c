/* SPDX-License-Identifier: MIT */
/* GPA ranges: what storvsc, netvsc and GPADLs send, each bound at its edge, and every cut of a good input. */
#include "tests/unit/wire/wire_test.h"

#include "hv/wire/gparange.h"

static struct gpa_range ranges[8];
static uint64_t pfn[64];

/* Appends a range with its pfns from `first` on; answers the new size. */
static uint32_t add(uint8_t *to, uint32_t at, uint32_t length, uint32_t offset, uint64_t first)
{
	uint32_t pages = (uint32_t)(((uint64_t)offset + length + 4095) / 4096);

	put32(to + at, length);
	put32(to + at + 4, offset);
	at += 8;
	for (uint32_t i = 0; i < pages; i++, at += 8) {
		put64(to + at, first + i);
	}
	return at;
}

/* As a packet: its header, then the ranges. */
static bool parse_into(const uint8_t *bytes, uint32_t size, uint32_t count, uint32_t max_ranges,
		       uint32_t max_pfns)
{
	uint8_t packet[24 + 1024] = { 9, 0 }, *copy;
	uint32_t found = 77;
	bool ok;

	put32(packet + 20, count);
	memcpy(packet + 24, bytes, size);
	copy = exact(packet, 24 + size);
	ok = gpa_direct_parse(copy, 24 + size, ranges, max_ranges, &found, pfn, max_pfns);
	assert_int_equal(found, ok ? count : 0);
	free(copy);
	return ok;
}

static bool parse(const uint8_t *bytes, uint32_t size, uint32_t count)
{
	return parse_into(bytes, size, count, 8, 64);
}

static void test_one(void **state)
{
	static const struct {
		uint32_t length, offset, pages;
	} good[] = {
		{ 1, 0, 1 },       { 4096, 0, 1 },       { 4097, 0, 2 },
		{ 1, 4095, 1 },    { 2, 4095, 2 },       { 4096, 1, 2 },
		{ 8192, 4095, 3 }, { 64 * 4096, 0, 64 }, { 63 * 4096 + 1, 4095, 64 },
	};
	uint8_t bytes[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint32_t size = add(bytes, 0, good[i].length, good[i].offset, 0x1000);

		assert_int_equal(size, 8 + good[i].pages * 8);
		assert_true(parse(bytes, size, 1));
		assert_int_equal(ranges[0].length, good[i].length);
		assert_int_equal(ranges[0].offset, good[i].offset);
		assert_int_equal(ranges[0].pages, good[i].pages);
		assert_int_equal(ranges[0].first, 0);
		for (uint32_t p = 0; p < good[i].pages; p++) {
			assert_int_equal(pfn[p], 0x1000 + p);
		}
		for (uint32_t cut = 0; cut < size; cut++) {
			assert_false(parse(bytes, cut, 1));
		}
		/* What no range uses, as of storvsc before Linux 6.1.31. */
		assert_true(parse(bytes, size + 1, 1));
		assert_true(parse(bytes, size + 8, 1));
		assert_true(parse(bytes, size, 0));
		assert_false(parse(bytes, size, 2));
	}
	assert_false(parse(bytes, add(bytes, 0, 64 * 4096 + 1, 0, 0), 1)); /* 65 pfns */
}

static void test_several(void **state)
{
	uint8_t bytes[1024];
	uint32_t size = 0;

	(void)state;
	size = add(bytes, size, 100, 4090, 7);
	size = add(bytes, size, 4096, 0, (1ull << 52) - 1);
	size = add(bytes, size, 12288, 5, 20);
	assert_true(parse(bytes, size, 3));
	assert_int_equal(ranges[1].first, 2);
	assert_int_equal(ranges[2].first, 3);
	assert_int_equal(ranges[2].pages, 4);
	assert_int_equal(pfn[2], (1ull << 52) - 1);
	assert_int_equal(pfn[6], 23);
	assert_false(parse_into(bytes, size, 3, 2, 64));
	assert_true(parse_into(bytes, size, 3, 3, 7));
	assert_false(parse_into(bytes, size, 3, 3, 6));
	for (uint32_t cut = 0; cut < size; cut++) {
		assert_false(parse(bytes, cut, 3));
	}
}

static void test_refused(void **state)
{
	uint8_t bytes[64] = { 0 };

	(void)state;
	assert_true(parse(bytes, 0, 0));
	add(bytes, 0, 4096, 0, 5);
	put32(bytes, 0); /* empty */
	assert_false(parse(bytes, 16, 1));
	assert_false(parse(bytes, 8, 1));
	add(bytes, 0, 4096, 4096, 5); /* offset of a page */
	assert_false(parse(bytes, 24, 1));
	put32(bytes + 4, 4095);
	assert_true(parse(bytes, 24, 1));
	put32(bytes + 4, UINT32_MAX);
	assert_false(parse(bytes, 16, 1));
	put32(bytes, UINT32_MAX); /* wraps 32 bits to a small length */
	put32(bytes + 4, 4095);
	assert_false(parse(bytes, 16, 1));
	assert_false(parse(bytes, 16, UINT32_MAX));
	add(bytes, 0, 4096, 0, 1ull << 52); /* its address has more than 64 bits */
	assert_false(parse(bytes, 16, 1));
	add(bytes, 0, 4096, 0, UINT64_MAX);
	assert_false(parse(bytes, 16, 1));
	add(bytes, 0, 4096, 0, (1ull << 52) - 1);
	assert_true(parse(bytes, 16, 1));
}

static void test_direct(void **state)
{
	uint8_t packet[512] = { 9, 0 };
	uint32_t size, count = 77;

	(void)state;
	put32(packet + 20, 2);
	size = add(packet, 24, 8192, 100, 3);
	size = add(packet, size, 512, 0, 9);
	for (uint32_t cut = 0; cut <= size; cut++) {
		uint8_t *copy = exact(packet, cut);

		count = 77;
		assert_int_equal(gpa_direct_parse(copy, cut, ranges, 8, &count, pfn, 64),
				 cut == size);
		assert_int_equal(count, cut == size ? 2 : 0);
		free(copy);
	}
	assert_int_equal(ranges[0].pages, 3);
	assert_int_equal(ranges[1].first, 3);
	assert_int_equal(pfn[3], 9);
	/* pfns that no range uses, as in storvsc before Linux 6.1.31 */
	assert_true(gpa_direct_parse(packet, 24 + 8 + 32 * 8, ranges, 8, &count, pfn, 64));
	assert_int_equal(count, 2);
	packet[16] = 1; /* reserved */
	assert_false(gpa_direct_parse(packet, size, ranges, 8, &count, pfn, 64));
	packet[16] = 0;
	put32(packet + 20, 0);
	assert_true(gpa_direct_parse(packet, 24, ranges, 8, &count, pfn, 64));
	assert_int_equal(count, 0);
	put32(packet + 20, UINT32_MAX);
	assert_false(gpa_direct_parse(packet, size, ranges, 8, &count, pfn, 64));
	put32(packet + 20, 9);
	assert_false(gpa_direct_parse(packet, sizeof(packet), ranges, 8, &count, pfn, 64));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_direct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
