// SPDX-License-Identifier: MIT
/* Text and time: the formatter, the log ring, the clock's arithmetic. */
#include "tests/unit/core/core_test.h"

#include "hv/core/format.h"
#include "hv/core/log.h"
#include "hv/core/time.h"

#define RING 512

static int bare(void **state)
{
	(void)state;
	fake_bare();
	log_configure(LOG_INFO, false, false);
	return 0;
}

/* --- format --- */

#define FORMAT(want, ...)                                                                \
	do {                                                                             \
		char line[64];                                                           \
		memset(line, 0x7f, sizeof(line));                                        \
		assert_int_equal(format(line, sizeof(line), __VA_ARGS__), strlen(want)); \
		assert_string_equal(line, want);                                         \
	} while (0)

static void test_format(void **state)
{
	(void)state;
	FORMAT("", "%s", "");
	FORMAT("plain", "plain");
	FORMAT("100%", "%u%%", 100u);
	FORMAT("-2147483648", "%d", -2147483647 - 1);
	FORMAT("-9223372036854775808", "%ld", INT64_MIN);
	FORMAT("18446744073709551615", "%lu", UINT64_MAX);
	FORMAT("ffffffffffffffff", "%lx", UINT64_MAX);
	FORMAT("4294967295", "%u", UINT32_MAX);
	FORMAT("0", "%u", 0u);
	FORMAT("0 0 0", "%x %d %lx", 0u, 0, 0ul);
	FORMAT("00ff", "%04x", 0xffu);
	FORMAT("  ff", "%4x", 0xffu);
	FORMAT("12345", "%3u", 12345u);
	FORMAT("  -5", "%4d", -5);
	FORMAT("-0005", "%05d", -5);
	FORMAT("a|b  |c", "%c|%3s|%s", 'a', "b", "c");
	FORMAT("7", "%zu", (size_t)7);
	FORMAT("0000000000000001", "%016lx", 1ul);
}

/* Whatever the size, the text is ended and nothing behind it is touched. */
static void test_format_cut(void **state)
{
	static const char want[] = "value 0000000000000abc of memory";

	(void)state;
	for (size_t size = 0; size < sizeof(want) + 3; size++) {
		char *out = malloc(size + 1);
		size_t n;

		assert_non_null(out);
		memset(out, 0x7f, size + 1);
		n = format(out, size, "value %016lx of %s", 0xabcul, "memory");
		assert_int_equal(out[size], 0x7f);
		if (size > 0) {
			assert_int_equal(n,
					 size - 1 < sizeof(want) - 1 ? size - 1 : sizeof(want) - 1);
			assert_memory_equal(out, want, n);
			assert_int_equal(out[n], 0);
		} else {
			assert_int_equal(n, 0);
		}
		free(out);
	}
}

/* Not checked by the compiler here: what a wrong format does must still be harmless. */
static void test_format_odd(void **state)
{
	static const char *const odd[] = { "%", "%l", "%q", "%0", "%99999999u", "%-5d" };
	char out[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wformat-nonliteral"
#pragma clang diagnostic ignored "-Wformat-security"
		assert_true(format(out, sizeof(out), odd[i], 1, 2, 3) < sizeof(out));
#pragma clang diagnostic pop
	}
	FORMAT("x", "%s%s", (const char *)NULL, "x");
}

/* --- log --- */

static struct rd_log page;

static uint64_t end_of_log(void)
{
	log_read(UINT64_MAX - 1, &page);
	while (log_read(page.count == 0 ? 0 : page.next, &page) == RD_LOG_RECORDS) {
	}
	return page.next;
}

static void test_log_order(void **state)
{
	uint64_t first, next;

	(void)state;
	log_info("start");
	first = end_of_log();
	for (unsigned i = 0; i < 100; i++) {
		fake.tsc += FAKE_TSC_HZ / 1000;
		log_write((enum log_level)(i % 4), "line %u", i);
	}
	next = first;
	for (unsigned i = 0; i < 100;) {
		assert_int_equal(log_read(next, &page), page.count);
		assert_true(page.count > 0 && page.reserved == 0);
		for (uint32_t r = 0; r < page.count; r++, i++) {
			char want[32];

			snprintf(want, sizeof(want), "line %u", i);
			assert_string_equal(page.record[r].text, want);
			assert_int_equal(page.record[r].length, strlen(want));
			assert_int_equal(page.record[r].sequence, first + i);
			assert_int_equal(page.record[r].level, i % 4);
			assert_true(r == 0 ||
				    page.record[r].time_ns - page.record[r - 1].time_ns >= 999999);
		}
		next = page.next;
	}
	assert_int_equal(log_read(next, &page), 0);
	assert_int_equal(page.next, next);
}

static void test_log_overflow(void **state)
{
	static const char filler[RD_LOG_TEXT_MAX];
	uint64_t first = end_of_log();
	char text[300];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	log_info("%s", text); /* cut */
	assert_int_equal(log_read(first, &page), 1);
	assert_int_equal(page.record[0].length, RD_LOG_TEXT_MAX - 1);
	assert_int_equal(strnlen(page.record[0].text, RD_LOG_TEXT_MAX), RD_LOG_TEXT_MAX - 1);
	for (unsigned i = 0; i < RING + 100; i++) {
		log_info("%u", i);
	}
	assert_int_equal(log_read(first, &page), RD_LOG_RECORDS);
	assert_int_equal(page.record[0].sequence, first + 1 + 100); /* the oldest that is left */
	assert_string_equal(page.record[0].text, "100");
	assert_true(log_read(first + RING, &page) >
		    0); /* where the long line stood: nothing of it is left */
	assert_string_equal(page.record[0].text, "511");
	assert_memory_equal(page.record[0].text + 4, filler, RD_LOG_TEXT_MAX - 4);
	assert_int_equal(log_read(0, &page), RD_LOG_RECORDS);
	assert_int_equal(page.record[0].sequence, first + 101);
}

static void test_log_consoles(void **state)
{
	(void)state;
	fake.console_bytes = fake.debugcon_bytes = 0;
	log_info("nothing");
	assert_int_equal(fake.console_bytes + fake.debugcon_bytes, 0);
	log_configure(LOG_WARN, false, true);
	log_info("too quiet");
	assert_int_equal(fake.debugcon_bytes, 0);
	log_warn("loud");
	assert_int_equal(fake.debugcon_bytes, strlen("redoubt: warning: loud\r\n"));
	assert_int_equal(fake.console_bytes, 0);
	log_configure(LOG_INFO, true, true);
	log_info("both");
	assert_int_equal(fake.console_bytes, strlen("redoubt: both\r\n"));
	log_release_serial();
	log_error("gone");
	assert_int_equal(fake.console_bytes, strlen("redoubt: both\r\n"));
}

static void test_log_rate(void **state)
{
	struct partition p = { .id = 7 };
	static struct vp vp;
	uint64_t first, dropped, lines;

	(void)state;
	vp.partition = &p;
	vp.index = 3;
	fake.tsc += 1000 * FAKE_TSC_HZ; /* a full budget */
	first = end_of_log();
	dropped = log_dropped();
	for (unsigned i = 0; i < 500; i++) {
		log_guest(&vp, "attack %u", i);
	}
	assert_int_equal(end_of_log() - first, 64);
	assert_int_equal(log_dropped() - dropped, 500 - 64);
	log_read(first, &page);
	assert_string_equal(page.record[0].text, "partition 7 vp 3: attack 0");
	assert_int_equal(page.record[0].level, LOG_WARN);
	/* At most 8 a second afterwards, however they are spread. */
	first = end_of_log();
	for (unsigned i = 0; i < 10000; i++) {
		fake.tsc += FAKE_TSC_HZ / 1000;
		log_guest(&vp, "attack %u", i);
	}
	lines = end_of_log() - first;
	assert_in_range(lines, 70, 80);
	/* The hypervisor's own lines are not limited. */
	first = end_of_log();
	for (unsigned i = 0; i < 100; i++) {
		log_info("own");
	}
	assert_int_equal(end_of_log() - first, 100);
}

static void do_panic(void)
{
	panic("as %s", "expected");
}

static void do_check(void)
{
	CHECK(fake.tsc == 0);
}

static void test_panic(void **state)
{
	(void)state;
	assert_true(dies(do_panic));
	assert_true(dies(do_check));
}

/* --- time --- */

static void test_mul_div(void **state)
{
	uint64_t seed = 5;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t a = next_random(&seed) >> (next_random(&seed) % 64);
		uint64_t b = next_random(&seed) >> (next_random(&seed) % 64);
		uint64_t c = next_random(&seed) >> (next_random(&seed) % 64);
		unsigned __int128 want = c == 0 ? UINT64_MAX : (unsigned __int128)a * b / c;

		assert_true(time_mul_div(a, b, c) ==
			    (want > UINT64_MAX ? UINT64_MAX : (uint64_t)want));
	}
	assert_true(time_mul_div(UINT64_MAX, UINT64_MAX, UINT64_MAX) == UINT64_MAX);
	assert_true(time_mul_div(UINT64_MAX, UINT64_MAX, 1) == UINT64_MAX);
	assert_true(time_mul_div(1, 1, 0) == UINT64_MAX);
	assert_true(time_mul_div(UINT64_MAX, 1ull << 63, UINT64_MAX) == 1ull << 63);
}

static void test_clock(void **state)
{
	static const uint64_t rates[] = { 20000000, 999999937, 1000000000, 2999999999, 5400000001 };

	(void)state;
	for (size_t r = 0; r < ARRAY_SIZE(rates); r++) {
		uint64_t start = 1ull << (10 * r), last = 0;

		fake.tsc = start;
		time_init(rates[r]);
		assert_true(time_tsc_hz() == rates[r]);
		assert_true(time_ns() == 0 && time_reference() == 0);
		fake.tsc = start + rates[r];
		assert_in_range(time_ns(), 999999990, 1000000000);
		assert_in_range(time_reference(), 9999999, 10000000);
		/* Ten years on nothing has wrapped and the error is below a millionth. */
		fake.tsc = start + rates[r] * 315360000ull;
		assert_in_range(time_ns(), 315359684640000000ull, 315360000000000000ull);
		assert_in_range(time_reference(), 3153599999999998ull, 3153600000000000ull);
		for (unsigned i = 0; i < 1000; i++) { /* never backwards */
			fake.tsc += 1 + i * 37;
			assert_true(time_reference() >= last);
			last = time_reference();
		}
	}
}

/* The TSC for a reference time is the first one at which the clock shows it. */
static void test_from_reference(void **state)
{
	static const uint64_t rates[] = { 20000000, 1000000000, 2999999999, 5400000001 };
	uint64_t seed = 17;

	(void)state;
	for (size_t r = 0; r < ARRAY_SIZE(rates); r++) {
		fake.tsc = 123456789;
		time_init(rates[r]);
		for (unsigned i = 0; i < 5000; i++) {
			uint64_t t = next_random(&seed) >> (12 + next_random(&seed) % 50), tsc;

			t = t == 0 ? 1 : t;
			tsc = time_tsc_from_reference(t);
			if (tsc == UINT64_MAX) {
				continue;
			}
			fake.tsc = tsc;
			assert_true(time_reference() >= t);
			fake.tsc = tsc - 1;
			assert_true(time_reference() < t);
		}
		assert_true(time_tsc_from_reference(UINT64_MAX / 2) == UINT64_MAX);
	}
}

#define TEST(f) cmocka_unit_test_setup(f, bare)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_format),    TEST(test_format_cut),     TEST(test_format_odd),
		TEST(test_log_order), TEST(test_log_overflow),   TEST(test_log_consoles),
		TEST(test_log_rate),  TEST(test_panic),          TEST(test_mul_div),
		TEST(test_clock),     TEST(test_from_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
