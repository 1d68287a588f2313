// SPDX-License-Identifier: MIT
/* CBOR: RFC 8949's examples that we write, and every encoding that is not the one deterministic one. */
#include "tests/unit/wire/wire_test.h"

#include "attest/core/cbor.h"

struct sample {
	const char *what;
	const char *bytes;
	size_t n;
	const char *bad; /* NULL: good */
};
#define S(what, text, bad)                        \
	{                                         \
		what, text, sizeof(text) - 1, bad \
	}

static const struct sample samples[] = {
	S("0", "\x00", NULL),
	S("23", "\x17", NULL),
	S("24", "\x18\x18", NULL),
	S("1000000000000", "\x1b\x00\x00\x00\xe8\xd4\xa5\x10\x00", NULL),
	S("-1", "\x20", NULL),
	S("-1000", "\x39\x03\xe7", NULL),
	S("text", "\x62\xc3\xbc", NULL) /* RFC 8949 appendix A: "\u00fc" has c3 bc */,
	S("[1, [2, 3]]", "\x82\x01\x82\x02\x03", NULL),
	S("{1: 2, -1: 3}", "\xa2\x01\x02\x20\x03", NULL),
	S("empty containers", "\x82\x80\xa0", NULL),
	S("four deep", "\x81\x81\x81\x81\x01", NULL),
	S("five deep", "\x81\x81\x81\x81\x81\x01", "nested too deep"),
	S("five deep, empty", "\x81\x81\x81\x81\x80", "nested too deep"),
	S("tags count", "\xc1\xc1\xc1\xc1\xc1\x01", "nested too deep"),
	S("nothing", "", "an item is missing at the end"),
	S("23 in two bytes", "\x18\x17", "an integer is not in its shortest form"),
	S("255 in three", "\x19\x00\xff", "an integer is not in its shortest form"),
	S("65535 in five", "\x1a\x00\x00\xff\xff", "an integer is not in its shortest form"),
	S("32 bits in nine", "\x1b\x00\x00\x00\x00\xff\xff\xff\xff",
	  "an integer is not in its shortest form"),
	S("length not shortest", "\x58\x01x", "an integer is not in its shortest form"),
	S("indefinite array", "\x9f\x01\xff", "an indefinite or reserved length"),
	S("indefinite bytes", "\x5f\x41x\xff", "an indefinite or reserved length"),
	S("reserved", "\x1c", "an indefinite or reserved length"),
	S("true", "\xf5", "a float or simple value"),
	S("float", "\xf9\x3c\x00", "a float or simple value"),
	S("cut off head", "\x19\x01", "an item is cut off"),
	S("cut off bytes", "\x43xx", "a string is cut off"),
	S("cut off array", "\x82\x01", "more items than bytes"),
	S("cut off map", "\xa1\x01", "more items than bytes"),
	S("2^64 - 1 items", "\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x01", "more items than bytes"),
	S("2^63 pairs", "\xbb\x80\x00\x00\x00\x00\x00\x00\x00\x01", "more items than bytes"),
	S("2^64 - 1 bytes", "\x5b\xff\xff\xff\xff\xff\xff\xff\xffx", "a string is cut off"),
	S("tag of nothing", "\xc1", "more items than bytes"),
	S("trailing", "\x01\x01", "bytes follow the item"),
	S("keys descend", "\xa2\x02\x01\x01\x01", "a map's keys are not in order or not unique"),
	S("key twice", "\xa2\x01\x01\x01\x02", "a map's keys are not in order or not unique"),
	S("longer key first", "\xa2\x18\x64\x01\x0a\x01",
	  "a map's keys are not in order or not unique"),
	S("order in an inner map", "\x81\xa2\x02\x01\x01\x01",
	  "a map's keys are not in order or not unique"),
	S("key that is a map", "\xa2\x01\x01\xa1\x01\x01\x01", NULL),
	S("overlong UTF-8", "\x62\xc0\x80", "text is not UTF-8"),
	S("surrogate", "\x63\xed\xa0\x80", "text is not UTF-8"),
	S("above 10FFFF", "\x64\xf4\x90\x80\x80", "text is not UTF-8"),
	S("UTF-8 cut off", "\x61\xc3", "text is not UTF-8"),
	S("four bytes", "\x64\xf0\x9f\x98\x80", NULL),
};

static void test_samples(void **state)
{
	struct wire_fault why;

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *s = &samples[i];
		uint8_t *copy = exact(s->bytes, s->n);
		bool ok;

		why = poison();
		ok = cbor_check(copy, s->n, &why);
		if (ok != (s->bad == NULL) || (!ok && strcmp(why.field, s->bad) != 0)) {
			fail_msg("%s: %s", s->what, ok ? "accepted" : why.field);
		}
		free(copy);
	}
}

/* Every proper prefix of a good encoding is refused. */
static void test_prefixes(void **state)
{
	static const char good[] = "\xa3\x01\x58\x19"
				   "0123456789012345678901234"
				   "\x02\x82\x01\x20\x03\xa1\x01\x61x";
	struct wire_fault why;

	(void)state;
	for (size_t n = 0; n < sizeof(good); n++) {
		uint8_t *copy = exact(good, n);

		assert_int_equal(cbor_check(copy, n, &why), n == sizeof(good) - 1);
		free(copy);
	}
}

static void test_write(void **state)
{
	static const uint8_t want[] = { 0xa2, 0x01, 0x82, 0x18, 0x18, 0x39, 0x03, 0xe7,
					0x20, 0xd2, 0x83, 0x41, 'b',  0x61, 't',  0x1b,
					1,    0,    0,    0,    0,    0,    0,    0 };
	uint8_t out[sizeof(want)];
	struct cbor_out o;

	(void)state;
	for (size_t size = 0; size <= sizeof(out); size++) {
		cbor_begin(&o, size == 0 ? NULL : out, size);
		cbor_map(&o, 2);
		cbor_uint(&o, 1);
		cbor_array(&o, 2);
		cbor_uint(&o, 24);
		cbor_int(&o, -1000);
		cbor_int(&o, -1);
		cbor_tag(&o, 18);
		cbor_array(&o, 3);
		cbor_bytes(&o, "b", 1);
		cbor_text(&o, "t", 1);
		cbor_uint(&o, 1ull << 56);
		assert_int_equal(cbor_end(&o), size == sizeof(want) ? size : 0);
	}
	assert_memory_equal(out, want, sizeof(want));
}

static void test_take(void **state)
{
	static const uint8_t bytes[] = { 0x83, 0x01, 0x20, 0x41, 'x' };
	struct cbor_in in;
	struct span s;

	(void)state;
	cbor_open(&in, bytes, sizeof(bytes));
	assert_int_equal(cbor_take_array(&in), 3);
	assert_int_equal(cbor_take_int(&in), 1);
	assert_int_equal(cbor_take_int(&in), -1);
	assert_false(cbor_done(&in));
	s = cbor_take_bytes(&in);
	assert_true(s.n == 1 && s.at[0] == 'x');
	assert_true(cbor_done(&in));
	assert_int_equal(cbor_take_uint(&in), 0); /* past the end, and from now on */
	assert_false(cbor_done(&in));
	cbor_open(&in, bytes, sizeof(bytes));
	assert_int_equal(cbor_take_map(&in), 0); /* another type */
	assert_true(in.bad && in.pos == 0);
	assert_int_equal(cbor_take_array(&in), 0);
	assert_true(in.bad && in.pos == 0);
	cbor_open(&in, (const uint8_t *)"\x3b\x80\0\0\0\0\0\0\0", 9); /* -2^63 - 1 */
	assert_int_equal(cbor_take_int(&in), 0);
	assert_true(in.bad);
	cbor_open(&in, (const uint8_t *)"\x3b\x7f\xff\xff\xff\xff\xff\xff\xff", 9);
	assert_true(cbor_take_int(&in) == INT64_MIN && cbor_done(&in));
}

/* Needs: what they want, or a bad cursor and zeroes. */
static void test_need(void **state)
{
	static const uint8_t bytes[] = { 0xa1, 0x20, 0x81, 0x43, 'x', 'y', 'z' };
	static const uint8_t zero[4];
	uint8_t out[4] = "????";
	struct cbor_in in;

	(void)state;
	cbor_open(&in, bytes, sizeof(bytes));
	cbor_need_map(&in, 1);
	cbor_need_int(&in, -1);
	cbor_need_array(&in, 1);
	cbor_need_bytes(&in, out, 3);
	assert_true(cbor_done(&in));
	assert_memory_equal(out, "xyz?", 4);
	cbor_open(&in, bytes, sizeof(bytes));
	cbor_need_map(&in, 2);
	assert_true(in.bad);
	cbor_open(&in, bytes + 1, sizeof(bytes) - 1);
	cbor_need_int(&in, 1);
	assert_true(in.bad);
	cbor_open(&in, bytes + 2, sizeof(bytes) - 2);
	cbor_need_array(&in, 0); /* also what a taker gives that failed */
	assert_true(in.bad);
	for (size_t n = 2; n <= sizeof(out); n++) {
		memset(out, 1, sizeof(out));
		cbor_open(&in, bytes + 3, 4);
		cbor_need_bytes(&in, out, n);
		assert_int_equal(in.bad, n != 3);
		assert_memory_equal(out, in.bad ? zero : bytes + 4, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_samples),
					    cmocka_unit_test(test_prefixes),
					    cmocka_unit_test(test_write),
					    cmocka_unit_test(test_take),
					    cmocka_unit_test(test_need) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
