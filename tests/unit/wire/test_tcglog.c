// SPDX-License-Identifier: MIT
/* Sizes of events of the crypto-agile log; each refusal by its own damage. */
#include "tests/unit/wire/wire_test.h"

#include "hv/wire/tcglog.h"

static uint8_t log_bytes[1024];
static size_t used;
static struct tcglog l;

static void put(uint64_t v, unsigned bytes)
{
	while (bytes-- != 0) {
		log_bytes[used++] = (uint8_t)v;
		v >>= 8;
	}
}

/* A header with SHA-1 and SHA-256. */
static void header(void)
{
	used = 0;
	memset(log_bytes, 0, sizeof(log_bytes));
	put(0, 4);
	put(3, 4);
	used += 20;
	put(28 + 8 + 1, 4);
	memcpy(log_bytes + used, "Spec ID Event03", 16);
	used += 16;
	put(0, 4);
	put(0x02000200, 4);
	put(2, 4);
	put(TCG_ALG_SHA1, 2);
	put(20, 2);
	put(TCG_ALG_SHA256, 2);
	put(32, 2);
	put(0, 1);
}

static size_t event(uint32_t count, uint16_t first, uint16_t second, uint32_t size)
{
	size_t at = used;

	put(22, 4);
	put(6, 4);
	put(count, 4);
	put(first, 2);
	used += tcglog_digest_size(first);
	if (count > 1) {
		put(second, 2);
		used += tcglog_digest_size(second);
	}
	put(size, 4);
	used += size;
	return at;
}

static void test_open(void **state)
{
	(void)state;
	header();
	assert_true(tcglog_open(log_bytes, used, &l));
	assert_int_equal(l.header, used);
	assert_int_equal(l.alg_count, 2);
	assert_int_equal(l.alg[1].id, TCG_ALG_SHA256);
	assert_int_equal(l.alg[1].size, 32);
	for (size_t n = 0; n < used; n++) {
		uint8_t *copy = malloc(n + 1);

		memcpy(copy, log_bytes, n);
		assert_false(tcglog_open(copy, n, &l));
		free(copy);
	}
}

static void test_open_refusals(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} damage[] = {
		{ 0, 1 },             /* not PCR 0 */
		{ 4, 4 },             /* not EV_NO_ACTION */
		{ 28, 36 },           /* event one byte too short for its banks */
		{ 46, '2' },          /* Spec ID Event02 */
		{ 56, 0 },            /* no bank */
		{ 56, 9 },            /* nine */
		{ 64, TCG_ALG_SHA1 }, /* twice */
		{ 62, 32 },           /* SHA-1 of 32 bytes */
		{ 66, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		header();
		log_bytes[damage[i].at] = damage[i].value;
		assert_false(tcglog_open(log_bytes, used, &l));
	}
}

static void test_events(void **state)
{
	size_t a, b, n;

	(void)state;
	header();
	assert_true(tcglog_open(log_bytes, used, &l));
	a = event(2, TCG_ALG_SHA1, TCG_ALG_SHA256, 5);
	n = used - a;
	b = event(1, TCG_ALG_SHA256, 0, 0);
	assert_int_equal(tcglog_event_size(&l, log_bytes + a, used - a), n);
	assert_int_equal(tcglog_event_size(&l, log_bytes + a, n), n);
	assert_int_equal(tcglog_event_size(&l, log_bytes + a, n - 1), 0);
	assert_int_equal(tcglog_event_size(&l, log_bytes + b, used - b), used - b);
	assert_int_equal(tcglog_events_size(&l, log_bytes + a, used - a, 0), 0);
	assert_int_equal(tcglog_events_size(&l, log_bytes + a, used - a, 2), used - a);
	assert_true(tcglog_events_size(&l, log_bytes + a, used - a, 3) == SIZE_MAX);
	assert_true(tcglog_events_size(&l, log_bytes + a, used - a, UINT64_MAX) == SIZE_MAX);
}

static void test_event_refusals(void **state)
{
	size_t a;

	(void)state;
	header();
	assert_true(tcglog_open(log_bytes, used, &l));
	a = event(2, TCG_ALG_SHA256, TCG_ALG_SHA256, 0); /* a bank twice */
	assert_int_equal(tcglog_event_size(&l, log_bytes + a, used - a), 0);
	a = event(1, TCG_ALG_SHA384, 0, 0); /* not in the header */
	assert_int_equal(tcglog_event_size(&l, log_bytes + a, used - a), 0);
	a = event(2, TCG_ALG_SHA1, TCG_ALG_SHA256, 0);
	log_bytes[a + 8] = 3;
	assert_int_equal(tcglog_event_size(&l, log_bytes + a, used - a), 0);
	log_bytes[a + 8] = 0;
	assert_int_equal(tcglog_event_size(&l, log_bytes + a, used - a), 0);
	a = event(1, TCG_ALG_SHA1, 0, 0);
	memset(log_bytes + used - 4, 0xff, 4);
	assert_int_equal(tcglog_event_size(&l, log_bytes + a, sizeof(log_bytes) - a), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_open_refusals),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_event_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
