// SPDX-License-Identifier: MIT
/* The commands to the byte, and each answer: whole, cut at every length, and with one fault at a time. */
#include "tests/unit/wire/wire_test.h"

#include "hv/wire/tcglog.h"
#include "hv/wire/tpm2.h"

static uint8_t out[TPM2_COMMAND_MAX];

static void test_commands(void **state)
{
	static const uint8_t get_random[] = { 0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 48 };
	static const uint8_t banks[] = { 0x80, 1, 0, 0, 0, 22, 0, 0, 1, 0x7a, 0,
					 0,    0, 5, 0, 0, 0,  0, 0, 0, 0,    1 };
	static const uint8_t read[] = { 0x80, 1, 0, 0, 0, 20,   0, 0, 1, 0x7e,
					0,    0, 0, 1, 0, 0x0b, 3, 0, 0, 0x40 };
	static const uint8_t reset[] = { 0x80, 2, 0, 0, 0,    27, 0, 0, 1, 0x3d, 0, 0, 0, 22,
					 0,    0, 0, 9, 0x40, 0,  0, 9, 0, 0,    0, 0, 0 };
	static const uint8_t event[] = { 0x80, 2, 0,  0, 0, 31, 0, 0,    1,  0x3c, 0,
					 0,    0, 22, 0, 0, 0,  9, 0x40, 0,  0,    9,
					 0,    0, 0,  0, 0, 0,  2, 'h',  'i' };
	uint8_t data[TPM2_EVENT_MAX + 1] = { 0 };

	(void)state;
	assert_int_equal(tpm2_put_get_random(out, 48), sizeof(get_random));
	assert_memory_equal(out, get_random, sizeof(get_random));
	assert_int_equal(tpm2_put_get_banks(out), sizeof(banks));
	assert_memory_equal(out, banks, sizeof(banks));
	assert_int_equal(tpm2_put_pcr_read(out, TCG_ALG_SHA256, 22), sizeof(read));
	assert_memory_equal(out, read, sizeof(read));
	assert_int_equal(tpm2_put_pcr_reset(out, 22), sizeof(reset));
	assert_memory_equal(out, reset, sizeof(reset));
	assert_int_equal(tpm2_put_pcr_event(out, 22, (const uint8_t *)"hi", 2), sizeof(event));
	assert_memory_equal(out, event, sizeof(event));
	assert_int_equal(tpm2_put_pcr_event(out, 22, data, TPM2_EVENT_MAX), 29 + TPM2_EVENT_MAX);
	assert_int_equal(tpm2_put_pcr_event(out, 22, data, TPM2_EVENT_MAX + 1), 0);
}

static uint8_t ans[TPM2_ANSWER_MAX];
static size_t n;

static void be(uint64_t v, unsigned bytes)
{
	while (bytes-- != 0) {
		ans[n++] = (uint8_t)(v >> 8 * bytes);
	}
}

static void begin(uint32_t tag)
{
	n = 0;
	be(tag, 2);
	be(0, 8);
}

static void seal(void)
{
	ans[4] = (uint8_t)(n >> 8);
	ans[5] = (uint8_t)n;
}

static void selection(uint16_t alg, uint8_t bits)
{
	be(alg, 2);
	be(3, 1);
	be(bits, 1);
	be(0, 2);
}

static void fill(size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		be(i + 1, 1);
	}
}

static void random_answer(void)
{
	begin(0x8001);
	be(8, 2);
	fill(8);
	seal();
}

static void banks_answer(void)
{
	begin(0x8001);
	be(0, 1);
	be(5, 4);
	be(3, 4);
	selection(TCG_ALG_SHA1, 0);
	selection(TCG_ALG_SHA256, 0xff);
	selection(TCG_ALG_SHA384, 1);
	seal();
}

static void pcr_answer(void)
{
	begin(0x8001);
	be(33, 4);
	be(1, 4);
	selection(TCG_ALG_SHA256, 1);
	be(1, 4);
	be(32, 2);
	fill(32);
	seal();
}

static void event_answer(uint16_t second)
{
	begin(0x8002);
	be(4 + 2 + 20 + 2 + 32, 4);
	be(2, 4);
	be(TCG_ALG_SHA1, 2);
	fill(20);
	be(second, 2);
	fill(32);
	be(0, 2);
	be(1, 1);
	be(0, 2);
	seal();
}

static bool take(int which, const uint8_t *p, size_t bytes)
{
	struct tpm2_digests d;
	struct tpm2_banks b;
	uint8_t r[8];

	switch (which) {
	case 0:
		return tpm2_take_random(p, bytes, r, sizeof(r)) && r[7] == 8;
	case 1:
		return tpm2_take_banks(p, bytes, &b) && b.count == 2 &&
		       b.alg[0] == TCG_ALG_SHA256 && b.alg[1] == TCG_ALG_SHA384;
	case 2:
		return tpm2_take_pcr(p, bytes, TCG_ALG_SHA256, &d) && d.count == 1 &&
		       d.bank[0].size == 32 && d.bank[0].bytes[31] == 32;
	default:
		return tpm2_take_event(p, bytes, &d) && d.count == 2 &&
		       d.bank[0].alg == TCG_ALG_SHA1 && d.bank[1].size == 32 &&
		       d.bank[1].bytes[0] == 1;
	}
}

static void make(int which)
{
	if (which == 0) {
		random_answer();
	} else if (which == 1) {
		banks_answer();
	} else if (which == 2) {
		pcr_answer();
	} else {
		event_answer(TCG_ALG_SHA256);
	}
}

static void test_answers(void **state)
{
	(void)state;
	for (int which = 0; which < 4; which++) {
		size_t whole;

		make(which);
		assert_true(take(which, ans, n));
		assert_int_equal(tpm2_answer_size(ans), n);
		assert_int_equal(tpm2_answer_code(ans, n), TPM2_RC_SUCCESS);
		whole = n;
		for (size_t cut = 0; cut < whole;
		     cut++) { /* the header tells the truth, or does not */
			uint8_t *copy;

			make(which);
			copy = exact(ans, cut);
			assert_false(take(which, copy, cut));
			free(copy);
			n = cut;
			if (cut >= TPM2_HEADER) {
				seal();
				copy = exact(ans, cut);
				assert_false(take(which, copy, cut));
				free(copy);
			}
		}
		make(which);
		be(0, 1);
		seal();
		assert_false(take(which, ans, n)); /* a byte too many */
		make(which);
		ans[9] = 7;
		assert_false(take(which, ans, n)); /* an error code */
		make(which);
		ans[1] ^= 3;
		assert_false(take(which, ans, n)); /* the other tag */
	}
}

static void test_headers(void **state)
{
	(void)state;
	random_answer();
	ans[1] = 0xc4; /* TPM 1.2 */
	assert_int_equal(tpm2_answer_size(ans), 0);
	random_answer();
	ans[5] = 9;
	assert_int_equal(tpm2_answer_size(ans), 0);
	random_answer();
	ans[2] = 0x80;
	assert_int_equal(tpm2_answer_size(ans), 0);
	assert_int_equal(tpm2_answer_code(ans, n), TPM2_RC_BROKEN);
	begin(0x8001);
	ans[8] = 9;
	ans[9] = 7;
	seal();
	assert_int_equal(tpm2_answer_code(ans, n), TPM2_RC_LOCALITY);
}

static void test_refusals(void **state)
{
	struct tpm2_digests d;
	struct tpm2_banks b;

	(void)state;
	event_answer(TCG_ALG_SHA1); /* twice; the sizes would not fit either */
	assert_false(tpm2_take_event(ans, n, &d));
	event_answer(0x99); /* nobody knows its size */
	assert_false(tpm2_take_event(ans, n, &d));
	event_answer(TCG_ALG_SHA256);
	ans[13]++; /* parameter size */
	assert_false(tpm2_take_event(ans, n, &d));
	pcr_answer();
	assert_false(tpm2_take_pcr(ans, n, TCG_ALG_SHA384, &d));
	ans[21] = 0; /* no PCR selected */
	assert_false(tpm2_take_pcr(ans, n, TCG_ALG_SHA256, &d));
	banks_answer();
	ans[14] = 6; /* another capability */
	assert_false(tpm2_take_banks(ans, n, &b));
	begin(0x8001);
	be(0, 1);
	be(5, 4);
	be(2, 4);
	selection(TCG_ALG_SHA256, 1);
	selection(TCG_ALG_SHA256, 2);
	seal();
	assert_false(tpm2_take_banks(ans, n, &b));
	begin(0x8001);
	be(0, 1);
	be(5, 4);
	be(TPM2_BANK_MAX + 1, 4);
	for (uint16_t i = 0; i <= TPM2_BANK_MAX; i++) {
		selection((uint16_t)(0x100 + i), 1);
	}
	seal();
	assert_false(tpm2_take_banks(ans, n, &b));
	begin(0x8001);
	be(0, 1);
	be(5, 4);
	be(UINT32_MAX, 4);
	seal();
	assert_false(tpm2_take_banks(ans, n, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
