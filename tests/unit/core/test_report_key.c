// SPDX-License-Identifier: MIT
// The report key: known answers, what is refused as randomness, and who gets the one signature at a time.
#include "hv/arch/fake/fake.h"
#include "attest/core/cose.h"
#include "hv/core/report_key.h"
#include "hv/core/sha384.h"
#include "hv/core/time.h"
#include "tests/unit/core/core_test.h"
#include "tests/unit/core/core_verify.h"

#include <mbedtls/ecdsa.h>
#include <mbedtls/hmac_drbg.h>

static void bytes_of(const char *hex, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned v;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		out[i] = (uint8_t)v;
	}
}

static void digests(void **state)
{
	uint8_t want[48], got[48];
	struct sha384 s;

	(void)state;
	bytes_of(
		"cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
		want, 48);
	sha384("abc", 3, got);
	assert_memory_equal(got, want, 48);
	sha384_start(&s);
	sha384_add(&s, "a", 1);
	sha384_add(&s, "bc", 2);
	sha384_end(&s, got);
	assert_memory_equal(got, want, 48);
	bytes_of(
		"38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
		want, 48);
	sha384("", 0, got);
	assert_memory_equal(got, want, 48);
	crypto_sha256("abc", 3, got);
	bytes_of("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", want, 32);
	assert_memory_equal(got, want, 32);
}

// RFC 6979, A.2.6, SHA-384 of "sample": the direct calls that replace mbedtls' pointers do what the pointers did.
static void known_signature(void **state)
{
	mbedtls_ecp_group g;
	mbedtls_mpi d, r, s;
	uint8_t digest[48], got[96], want[96];

	(void)state;
	crypto_key_forget();
	mbedtls_ecp_group_init(&g);
	mbedtls_mpi_init(&d);
	mbedtls_mpi_init(&r);
	mbedtls_mpi_init(&s);
	mbedtls_ecp_set_max_ops(0);
	assert_int_equal(mbedtls_ecp_group_load(&g, MBEDTLS_ECP_DP_SECP384R1), 0);
	bytes_of(
		"6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5",
		want, 48);
	assert_int_equal(mbedtls_mpi_read_binary(&d, want, 48), 0);
	bytes_of(
		"94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46"
		"99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8",
		want, 96);
	sha384("sample", 6, digest);
	assert_int_equal(mbedtls_ecdsa_sign_det(&g, &r, &s, &d, digest, 48, MBEDTLS_MD_SHA384), 0);
	assert_int_equal(mbedtls_mpi_write_binary(&r, got, 48), 0);
	assert_int_equal(mbedtls_mpi_write_binary(&s, got + 48, 48), 0);
	assert_memory_equal(got, want, 96);
	mbedtls_mpi_free(&s);
	mbedtls_mpi_free(&r);
	mbedtls_mpi_free(&d);
	mbedtls_ecp_group_free(&g);
}

static unsigned sign(const uint8_t digest[48], uint8_t signature[96])
{
	unsigned steps = 1;

	while (report_key_sign(digest, false, signature) == REPORT_AGAIN) {
		steps++;
		assert_in_range(steps, 1, 100);
	}
	return steps;
}

static int with_key(void **state)
{
	static const uint8_t tpm[32] = "thirty-two bytes of a TPM's say";

	(void)state;
	fake_bare();
	assert_int_equal(report_key_make(tpm, sizeof(tpm)), ATTEST_OK);
	return 0;
}

static void signatures(void **state)
{
	uint8_t digest[48], first[96], again[96];
	unsigned steps;

	(void)state;
	sha384("a report", 8, digest);
	steps = sign(digest, first);
	print_message("%u steps, arena %zu of %zu bytes\n", steps, crypto_arena_peak(),
		      crypto_arena_size());
	assert_in_range(crypto_arena_peak(), 1,
			crypto_arena_size() / 2); // verifying, below, takes more
	assert_in_range(steps, 4, 40);            // in pieces
	assert_true(core_verifies(digest, first));
	sign(digest, again);
	assert_memory_equal(first, again, 96); // deterministic
	digest[0] ^= 1;
	assert_false(core_verifies(digest, first));
}

// A signature is for the digest that it was asked for; nobody waits for somebody who left, nor the root for guests.
static void turns(void **state)
{
	uint8_t a[48], b[48], got[96];

	(void)state;
	sha384("a", 1, a);
	sha384("b", 1, b);
	assert_int_equal(report_key_sign(a, false, got), REPORT_AGAIN);
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(report_key_sign(b, false, got), REPORT_AGAIN);
	}
	sign(a, got); // which b did not disturb
	assert_true(core_verifies(a, got));
	assert_int_equal(report_key_sign(a, false, got), REPORT_AGAIN);
	assert_int_equal(report_key_sign(b, false, got), REPORT_AGAIN);
	fake.tsc += FAKE_TSC_HZ / 1000 * (REPORT_PATIENCE_NS / 1000000 + 1);
	sign(b, got);
	assert_true(core_verifies(b, got));
	assert_int_equal(report_key_sign(a, false, got), REPORT_AGAIN);
	while (report_key_sign(b, true, got) == REPORT_AGAIN) {
		assert_int_equal(report_key_sign(a, true, got), REPORT_AGAIN);
	}
	assert_true(core_verifies(b, got));
	sign(a, got);
	assert_true(core_verifies(a, got));
}

static void keys_differ(void **state)
{
	uint8_t first[REPORT_COSE_SIZE], second[REPORT_COSE_SIZE], seed[ATTEST_SEED], want[32];
	const uint8_t *x = first + 8, *y = x + COSE_COORDINATE + 3;

	(void)state;
	assert_int_equal(report_key_cose(first, sizeof(first)), sizeof(first));
	assert_int_equal(report_key_cose(second, sizeof(second) - 1), 0);
	/* REPORT_COSE_SIZE is all that an encoded key has. */
	assert_int_equal(cose_key_write(x, y, second, sizeof(second)), sizeof(first));
	assert_memory_equal(first, second, sizeof(first));
	memcpy(seed, report_key_bootseed(), sizeof(seed));
	crypto_sha256(first, sizeof(first), want);
	assert_memory_equal(report_key_kid(), want, sizeof(want));
	assert_int_equal(report_key_make(NULL, 0), ATTEST_OK);
	assert_int_equal(report_key_cose(second, sizeof(second)), sizeof(second));
	assert_memory_not_equal(first, second, sizeof(first));
	assert_memory_not_equal(seed, report_key_bootseed(), sizeof(seed));
}

static void refused(const uint8_t *entropy, size_t n)
{
	uint8_t out[REPORT_SIGNATURE], digest[48] = { 0 };

	assert_int_equal(report_key_make(entropy, n), ATTEST_NO_RANDOM);
	assert_false(report_key_exists());
	assert_int_equal(report_key_cose(out, sizeof(out)), 0);
	assert_false(report_key_random(out, 1));
	assert_int_equal(report_key_sign(digest, true, out), REPORT_NO_KEY);
}

static void unhealthy(void **state)
{
	static const uint8_t zero[64];
	static const uint8_t fine[64] = "not one byte again and again";

	(void)state;
	refused(zero, sizeof(zero));
	refused(fine, 31);
	fake.no_random = true;
	refused(fine, sizeof(fine));
	fake.no_random = false;
	for (fake.seed = FAKE_SEED_STUCK; fake.seed <= FAKE_SEED_MANY; fake.seed++) {
		refused(fine, sizeof(fine));
	}
	fake.seed = FAKE_SEED_GOOD;
	assert_int_equal(report_key_make(fine, sizeof(fine)), ATTEST_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests),
		cmocka_unit_test(known_signature),
		cmocka_unit_test_setup(signatures, with_key),
		cmocka_unit_test_setup(turns, with_key),
		cmocka_unit_test_setup(keys_differ, with_key),
		cmocka_unit_test_setup(unhealthy, with_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
