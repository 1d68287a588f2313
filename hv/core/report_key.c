/* SPDX-License-Identifier: MIT */
#include "hv/core/report_key.h"

#include "attest/core/cose.h"
#include "hv/core/arch.h"
#include "hv/core/lock.h"
#include "hv/core/sha384.h"
#include "hv/core/time.h"

#define WORDS 64u         /* of the processor's randomness */
#define CALLER_MIN 32u    /* bytes of the caller's, if any */
#define ONES_FEWEST 1792u /* of the 4096 bits: eight standard deviations from the mean */
#define ONES_MOST 2304u

static struct lock lock; /* all of the below, and hv/crypto */
static bool exists;
static uint8_t cose[REPORT_COSE_SIZE];
static uint8_t kid[REPORT_KID_SIZE];
static uint8_t bootseed[ATTEST_SEED];
static bool busy; /* a signature of what follows is being made */
static bool busy_urgent;
static uint8_t busy_digest[ATTEST_DIGEST];
static uint64_t busy_ns; /* when somebody asked for it last */

static void wipe(void *p, size_t n)
{
	__builtin_memset(p, 0, n);
	__asm__ volatile("" : : "r"(p) : "memory"); /* also where nobody reads it any more */
}

/*
 * Stuck or biased sources are refused: a word that repeats among all of them (chance below 2^-52) or a count of ones that is eight
 * deviations off. That says nothing about a source that was made to look random; so it is only one part of the seed.
 */
static bool healthy(const uint64_t words[WORDS])
{
	unsigned ones = 0;

	for (unsigned i = 0; i < WORDS; i++) {
		for (unsigned n = 0; n < i; n++) {
			if (words[n] == words[i]) {
				return false;
			}
		}
		for (uint64_t w = words[i]; w != 0; w &= w - 1) {
			ones++;
		}
	}
	return ones >= ONES_FEWEST && ones <= ONES_MOST;
}

static bool caller_healthy(const uint8_t *bytes, size_t n)
{
	size_t same = 1;

	while (same < n && bytes[same] == bytes[0]) {
		same++;
	}
	return n == 0 || (n >= CALLER_MIN && same < n);
}

static bool collect(uint64_t words[WORDS])
{
	for (unsigned i = 0; i < WORDS; i++) {
		if (!arch_random_seed(&words[i])) {
			return false;
		}
	}
	return healthy(words);
}

static void encode(void)
{
	uint8_t x[COSE_COORDINATE], y[COSE_COORDINATE];

	_Static_assert(COSE_COORDINATE == CRYPTO_SCALAR, "size");
	crypto_key_public(x, y);
	(void)cose_key_write(x, y, cose, sizeof(cose)); /* it is of one size */
	crypto_sha256(cose, sizeof(cose), kid);
}

/* Trust: the TPM's bytes may be anything; they can only add to the processor's. */
enum attest_state report_key_make(const uint8_t *entropy, size_t n)
{
	uint64_t words[WORDS];
	uint8_t seed[2 * ATTEST_DIGEST];
	struct sha384 s;

	lock_acquire(&lock);
	exists = false;
	if (caller_healthy(entropy, n) && collect(words)) {
		/* Two digests of everything, told apart by a byte: 96 bytes of seed for a security strength of 256 bits. */
		for (uint8_t i = 0; i < 2; i++) {
			sha384_start(&s);
			sha384_add(&s, &i, 1);
			sha384_add(&s, words, sizeof(words));
			sha384_add(&s, entropy, n);
			sha384_end(&s, seed + (size_t)i * ATTEST_DIGEST);
		}
		exists = crypto_key_make(seed, sizeof(seed)) &&
			 crypto_random(bootseed, sizeof(bootseed));
	}
	if (exists) {
		encode();
	} else {
		crypto_key_forget();
	}
	busy = false;
	lock_release(&lock);
	wipe(words, sizeof(words));
	wipe(seed, sizeof(seed));
	return exists ? ATTEST_OK : ATTEST_NO_RANDOM;
}

bool report_key_exists(void)
{
	return exists;
}

size_t report_key_cose(uint8_t *out, size_t size)
{
	if (!exists || size < sizeof(cose)) {
		return 0;
	}
	__builtin_memcpy(out, cose, sizeof(cose));
	return sizeof(cose);
}

const uint8_t *report_key_kid(void)
{
	return kid;
}

const uint8_t *report_key_bootseed(void)
{
	return bootseed;
}

bool report_key_random(uint8_t *out, size_t n)
{
	bool ok;

	lock_acquire(&lock);
	ok = exists && crypto_random(out, n);
	lock_release(&lock);
	return ok;
}

/* Locks: lock. Whether the signature under way is of this digest, or becomes so. */
static bool turn(const uint8_t *digest, bool urgent)
{
	uint64_t now = time_ns();

	if (busy && __builtin_memcmp(busy_digest, digest, sizeof(busy_digest)) == 0) {
		busy_ns = now;
		return true;
	}
	if (busy && now - busy_ns < REPORT_PATIENCE_NS && (busy_urgent || !urgent)) {
		return false;
	}
	__builtin_memcpy(busy_digest, digest, sizeof(busy_digest));
	busy = true;
	busy_urgent = urgent;
	busy_ns = now;
	crypto_sign_start(digest);
	return true;
}

enum report_step report_key_sign(const uint8_t digest[ATTEST_DIGEST], bool urgent,
				 uint8_t signature[REPORT_SIGNATURE])
{
	enum report_step result = REPORT_AGAIN;

	lock_acquire(&lock);
	if (!exists) {
		result = REPORT_NO_KEY;
	} else if (turn(digest, urgent)) {
		enum crypto_step step = crypto_sign_step(signature);

		if (step != CRYPTO_MORE) {
			busy = false;
			result = step == CRYPTO_DONE ? REPORT_DONE : REPORT_NO_KEY;
		}
	}
	lock_release(&lock);
	return result;
}
