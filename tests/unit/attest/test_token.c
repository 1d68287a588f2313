// SPDX-License-Identifier: MIT
/* COSE and the VM token: one way to write them, and every other way refused. */
#include "tests/unit/wire/wire_test.h"

#include "attest/core/cose.h"
#include "attest/core/token.h"

static struct attest_claims claims(void)
{
	struct attest_claims c;

	memset(&c, 0, sizeof(c));
	c.nonce_n = 32;
	c.dbgstat = ATTEST_DBG_DISABLED;
	c.policy.version = 1;
	c.policy.vps = 2;
	c.policy.memory_bytes = 512u << 20;
	c.svn = 3;
	return c;
}

static void test_key(void **state)
{
	uint8_t x[COSE_COORDINATE], y[COSE_COORDINATE], out[COSE_KEY_MAX];
	struct cose_key key;
	struct wire_fault why;
	size_t n;

	(void)state;
	memset(x, 1, sizeof(x));
	memset(y, 2, sizeof(y));
	n = cose_key_write(x, y, out, sizeof(out));
	assert_true(n != 0 && n <= COSE_KEY_MAX && cose_key_parse(out, n, &key, &why));
	assert_memory_equal(key.x, x, sizeof(x));
	assert_memory_equal(key.y, y, sizeof(y));
	assert_int_equal(cose_key_write(x, y, out, n - 1), 0);
	for (size_t i = 0; i < n; i++) {
		uint8_t *copy = exact(out, i);

		assert_false(cose_key_parse(copy, i, &key, &why));
		free(copy);
		/* Every byte that is no coordinate has one value only. */
		if (i < 8 || (i >= 8 + 48 && i < n - 48)) {
			out[i] ^= 1;
			assert_false(cose_key_parse(out, n, &key, &why));
			out[i] ^= 1;
		}
	}
}

static void test_claims(void **state)
{
	uint8_t out[ATTEST_TOKEN_MAX];
	struct attest_claims c, again;
	struct wire_fault why;
	size_t n;

	(void)state;
	for (size_t nonce = 0; nonce <= ATTEST_NONCE_MAX + 1; nonce++) {
		c = claims();
		c.nonce_n = nonce;
		n = attest_claims_write(&c, out, sizeof(out));
		assert_int_equal(n != 0, nonce >= ATTEST_NONCE_MIN && nonce <= ATTEST_NONCE_MAX);
		assert_true(n == 0 || attest_claims_parse(out, n, &again, &why));
	}
	c = claims();
	n = attest_claims_write(&c, out, sizeof(out));
	assert_true(attest_claims_parse(out, n, &again, &why) &&
		    memcmp(&c, &again, sizeof(c)) == 0);
	for (size_t i = 0; i < n; i++) {
		uint8_t *copy = exact(out, i);

		assert_false(attest_claims_parse(copy, i, &again, &why));
		free(copy);
	}
	c.origin = 2;
	n = attest_claims_write(&c, out, sizeof(out));
	assert_false(attest_claims_parse(out, n, &again, &why));
	c = claims();
	c.dbgstat = 1;
	n = attest_claims_write(&c, out, sizeof(out));
	assert_false(attest_claims_parse(out, n, &again, &why));
	c = claims();
	c.policy.flags = ATTEST_POLICY_DEBUG; /* and dbgstat says disabled */
	n = attest_claims_write(&c, out, sizeof(out));
	assert_false(attest_claims_parse(out, n, &again, &why));
	c = claims();
	c.policy.version = 2;
	n = attest_claims_write(&c, out, sizeof(out));
	assert_false(attest_claims_parse(out, n, &again, &why));
	c = claims();
	c.policy.reserved = 1;
	n = attest_claims_write(&c, out, sizeof(out));
	assert_false(attest_claims_parse(out, n, &again, &why));
}

/* The layout that is hashed is that of struct attest_policy on this machine. */
static void test_policy(void **state)
{
	struct attest_policy p = { 1, 2, 3, 4, 0, 0x123456789, 5, 6, 7 }, again;
	uint8_t out[32];

	(void)state;
	attest_policy_write(&p, out);
	assert_memory_equal(out, &p, sizeof(p));
	assert_true(attest_policy_parse(out, &again));
	assert_memory_equal(&again, &p, sizeof(p));
}

static void test_sign1(void **state)
{
	uint8_t kid[COSE_KID] = { 7 }, header[COSE_PROTECTED_MAX], sig[COSE_SIGNATURE] = { 9 },
		out[256];
	struct cose_sign1 m;
	struct wire_fault why;
	size_t h = cose_protected_write(kid, header, sizeof(header)), n;

	(void)state;
	n = cose_sign1_write(header, h, (const uint8_t *)"payload", 7, sig, out, sizeof(out));
	assert_true(h != 0 && n != 0 && cose_sign1_parse(out, n, &m, &why));
	assert_memory_equal(m.payload.at, "payload", 7);
	assert_memory_equal(m.kid, kid, sizeof(kid));
	assert_memory_equal(m.signature, sig, sizeof(sig));
	assert_int_equal(
		cose_sign1_write(header, h, (const uint8_t *)"payload", 7, sig, out, n - 1), 0);
	for (size_t i = 0; i < n; i++) {
		uint8_t *copy = exact(out, i);

		assert_false(cose_sign1_parse(copy, i, &m, &why));
		free(copy);
	}
	out[0] = 0xd1; /* tag 17 */
	assert_false(cose_sign1_parse(out, n, &m, &why));
	out[0] = 0xd2;
	header[3] ^= 1; /* another algorithm */
	n = cose_sign1_write(header, h, (const uint8_t *)"payload", 7, sig, out, sizeof(out));
	assert_false(cose_sign1_parse(out, n, &m, &why));
	/* RFC 9052 section 4.4: the context's name and an empty external_aad. */
	n = cose_signed_write((const uint8_t *)"p", 1, (const uint8_t *)"q", 1, out, sizeof(out));
	assert_int_equal(n, 17);
	assert_memory_equal(out, "\x84\x6aSignature1\x41p\x40\x41q", 17);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_key),
					    cmocka_unit_test(test_claims),
					    cmocka_unit_test(test_policy),
					    cmocka_unit_test(test_sign1) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
