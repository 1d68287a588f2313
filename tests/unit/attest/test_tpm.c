// SPDX-License-Identifier: MIT
/* Structures of the TPM: the good one, each field bent, every length cut. */
#include "tests/unit/wire/wire_test.h"

#include "attest/core/tpm.h"

static uint8_t bytes[4096];
static size_t size;

static void put(uint64_t value, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		bytes[size++] = (uint8_t)(value >> (8 * (n - 1 - i)));
	}
}

static void put_2b(size_t n, uint8_t fill)
{
	put(n, 2);
	memset(bytes + size, fill, n);
	size += n;
}

static void make_quote(uint32_t magic, uint16_t type, uint8_t safe, uint32_t banks,
		       uint8_t select_bytes)
{
	size = 0;
	put(magic, 4);
	put(type, 2);
	put_2b(34, 1);
	put_2b(32, 2);
	put(1000, 8);
	put(5, 4);
	put(6, 4);
	put(safe, 1);
	put(7, 8);
	put(banks, 4);
	for (uint32_t i = 0; i < banks; i++) {
		put(TPM_ALG_SHA256 + i, 2);
		put(select_bytes, 1);
		for (uint32_t k = 0; k < select_bytes; k++) {
			put(1u << k, 1);
		}
	}
	put_2b(32, 3);
}

static bool quote(size_t n, struct tpm_quote *q, enum tpm_fault *fault)
{
	struct wire_fault why = poison();
	uint8_t *copy = exact(bytes, n);
	bool ok = tpm_quote_parse(copy, n, q, fault, &why);

	if (!ok) {
		assert_fault(&why, NULL);
	}
	free(copy);
	return ok;
}

static void test_quote(void **state)
{
	struct tpm_quote q;
	enum tpm_fault fault;

	(void)state;
	make_quote(TPM_GENERATED, TPM_ST_ATTEST_QUOTE, 1, 2, 3);
	assert_true(quote(size, &q, &fault));
	assert_int_equal(q.extra.n, 32);
	assert_int_equal(q.clock, 1000);
	assert_int_equal(q.reset_count, 5);
	assert_int_equal(q.restart_count, 6);
	assert_true(q.safe && q.firmware == 7);
	assert_int_equal(q.select_count, 2);
	assert_int_equal(q.select[1].alg, TPM_ALG_SHA384);
	assert_int_equal(q.select[1].mask, 0x040201);
	assert_int_equal(q.digest.n, 32);
	for (size_t n = 0; n < size; n++) {
		assert_false(quote(n, &q, &fault));
		assert_int_equal(fault, TPM_FAULT_PARSE);
	}
	put(0, 1);
	assert_false(quote(size, &q, &fault));
	assert_int_equal(fault, TPM_FAULT_TRAILING);
	make_quote(TPM_GENERATED ^ 1, TPM_ST_ATTEST_QUOTE, 1, 1, 3);
	assert_false(quote(size, &q, &fault));
	assert_int_equal(fault, TPM_FAULT_MAGIC);
	make_quote(TPM_GENERATED, 0x8017, 1, 1, 3);
	assert_false(quote(size, &q, &fault));
	assert_int_equal(fault, TPM_FAULT_TYPE);
	make_quote(TPM_GENERATED, TPM_ST_ATTEST_QUOTE, 2, 1, 3);
	assert_false(quote(size, &q, &fault));
	make_quote(TPM_GENERATED, TPM_ST_ATTEST_QUOTE, 1, 9, 3);
	assert_false(quote(size, &q, &fault));
	make_quote(TPM_GENERATED, TPM_ST_ATTEST_QUOTE, 1, 1, 4); /* PCR 24 */
	assert_false(quote(size, &q, &fault));
	make_quote(TPM_GENERATED, TPM_ST_ATTEST_QUOTE, 1, 1, 5);
	assert_false(quote(size, &q, &fault));
	make_quote(TPM_GENERATED, TPM_ST_ATTEST_QUOTE, 1, 0,
		   0); /* the verifier refuses it, not the reader */
	assert_true(quote(size, &q, &fault) && q.select_count == 0);
}

static bool signature(struct tpm_signature *s)
{
	struct wire_fault why = poison();
	uint8_t *copy = exact(bytes, size);
	bool ok = tpm_signature_parse(copy, size, s, &why);

	if (!ok) {
		assert_fault(&why, NULL);
	}
	free(copy);
	return ok;
}

static void test_signature(void **state)
{
	static const uint16_t bad[] = { 0, TPM_ALG_NULL, TPM_ALG_ECDAA, 0x0005 };
	struct tpm_signature s;

	(void)state;
	size = 0;
	put(TPM_ALG_ECDSA, 2);
	put(TPM_ALG_SHA256, 2);
	put_2b(32, 1);
	put_2b(31, 2);
	assert_true(signature(&s) && s.r.n == 32 && s.s.n == 31 && s.hash == TPM_ALG_SHA256);
	put(0, 1);
	assert_false(signature(&s));
	for (size -= 1; size > 0;) {
		size--;
		assert_false(signature(&s));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size = 0;
		put(bad[i], 2);
		put(TPM_ALG_SHA256, 2);
		put_2b(32, 1);
		put_2b(32, 1);
		assert_false(signature(&s));
	}
	size = 0;
	put(TPM_ALG_RSASSA, 2);
	put(TPM_ALG_SHA256, 2);
	put_2b(513, 1); /* above 4096 bits */
	assert_false(signature(&s));
	size = 0;
	put(TPM_ALG_ECDSA, 2);
	put(TPM_ALG_SHA256, 2);
	put_2b(0, 1);
	put_2b(32, 1);
	assert_false(signature(&s));
}

static void make_public(uint16_t type, uint16_t scheme, uint16_t bits)
{
	size = 2;
	put(type, 2);
	put(TPM_ALG_SHA256, 2);
	put(0x00050072, 4);
	put_2b(0, 0);
	put(TPM_ALG_NULL, 2);
	put(scheme, 2);
	if (scheme != TPM_ALG_NULL) {
		put(TPM_ALG_SHA256, 2);
	}
	if (type == TPM_ALG_RSA) {
		put(bits, 2);
		put(0, 4);
		put_2b(256, 9);
	} else {
		put(TPM_ECC_NIST_P256, 2);
		put(TPM_ALG_NULL, 2);
		put_2b(32, 4);
		put_2b(32, 5);
	}
	bytes[0] = (uint8_t)((size - 2) >> 8);
	bytes[1] = (uint8_t)(size - 2);
}

static bool public(size_t n, struct tpm_public *p)
{
	struct wire_fault why = poison();
	uint8_t *copy = exact(bytes, n);
	bool ok = tpm_public_parse(copy, n, p, &why);

	free(copy);
	return ok;
}

static void test_public(void **state)
{
	struct tpm_public p;
	size_t whole;

	(void)state;
	make_public(TPM_ALG_ECC, TPM_ALG_ECDSA, 0);
	assert_true(public(size, &p) && p.curve == TPM_ECC_NIST_P256 && p.x.n == 32 && p.y.n == 32);
	assert_int_equal(p.attributes, 0x00050072);
	assert_int_equal(p.area.n, size - 2);
	whole = size;
	for (size_t n = 0; n < whole; n++) {
		assert_false(public(n, &p)); /* the size in front says another length */
		if (n >= 2) {
			bytes[0] = (uint8_t)((n - 2) >> 8);
			bytes[1] = (uint8_t)(n - 2);
			assert_false(public(n, &p)); /* and the fields do not fit */
			bytes[0] = (uint8_t)((whole - 2) >> 8);
			bytes[1] = (uint8_t)(whole - 2);
		}
	}
	put(0, 1);
	bytes[1]++;
	assert_false(public(size, &p));
	make_public(TPM_ALG_RSA, TPM_ALG_NULL, 2048);
	assert_true(public(size, &p) && p.exponent == 65537 && p.x.n == 256);
	make_public(TPM_ALG_RSA, TPM_ALG_NULL, 3072); /* and 256 bytes of modulus */
	assert_false(public(size, &p));
	make_public(TPM_ALG_ECC, TPM_ALG_ECDAA, 0);
	assert_false(public(size, &p));
	make_public(0x0008, TPM_ALG_NULL, 0); /* keyed hash */
	assert_false(public(size, &p));
}

static bool pcrs(const char *text, struct tpm_pcrs *p)
{
	struct wire_fault why = poison();
	uint8_t *copy = exact(text, strlen(text));
	bool ok = tpm_pcrs_parse(copy, strlen(text), p, &why);

	if (!ok) {
		assert_fault(&why, NULL);
	}
	free(copy);
	return ok;
}

#define H20 "00112233445566778899aabbccddeeff00112233"
static void test_pcrs(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"sha1:0\n",
		"sha1:0 00\n",
		"sha1:24 " H20,
		"sha1:x " H20,
		"md5:0 " H20,
		"sha1:0 " H20 "0",
		"sha1:0 " H20 " ",
		"sha1:0  " H20,
		"sha1: " H20,
		"sha1:0000 " H20,
		"sha256:0 " H20,
		"sha1:0 " H20 "\nsha1:0 " H20,
		"sha1:0 g0112233445566778899aabbccddeeff00112233",
	};
	struct tpm_pcrs p;

	(void)state;
	assert_true(pcrs("# two\nsha1:0 " H20 "\n\nsha1:23 " H20, &p));
	assert_int_equal(p.count, 2);
	assert_non_null(tpm_pcrs_find(&p, TPM_ALG_SHA1, 23));
	assert_null(tpm_pcrs_find(&p, TPM_ALG_SHA1, 1));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (pcrs(bad[i], &p)) {
			fail_msg("accepted: %s", bad[i]);
		}
	}
	p.count = 0;
	for (uint16_t i = 0; i < 24; i++) {
		assert_true(tpm_pcrs_add(&p, TPM_ALG_SHA1, i, bytes, 20));
	}
	assert_false(tpm_pcrs_add(&p, TPM_ALG_SHA1, 24, bytes, 20));
	assert_false(tpm_pcrs_add(&p, 0x7777, 0, bytes, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_quote),
					    cmocka_unit_test(test_signature),
					    cmocka_unit_test(test_public),
					    cmocka_unit_test(test_pcrs) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
