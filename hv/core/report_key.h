/* SPDX-License-Identifier: MIT */
#ifndef HV_CORE_REPORT_KEY_H
#define HV_CORE_REPORT_KEY_H
/*
 * The key that signs reports (docs/attestation.md, section 4): made once at each boot, never stored, never handed out. The secure
 * world will serve this interface later; nothing above it sees where the key is.
 */
#include "attest/core/format.h"
#include "hv/core/types.h"

#define REPORT_COSE_SIZE 107u /* bytes of the encoded COSE_Key */
#define REPORT_KID_SIZE 32u   /* SHA-256 of them */
#define REPORT_SIGNATURE 96u  /* r || s */

/*
 * Before the root runs. Randomness: the processor's, which must be there and pass its health test, mixed with `n` bytes of the
 * caller (the TPM's): none, or 32 and more, which must not be all the same. ATTEST_OK, or ATTEST_NO_RANDOM: there is no key.
 */
enum attest_state report_key_make(const uint8_t *entropy, size_t n) MUST_CHECK;
bool report_key_exists(void);

/* The COSE_Key into out; its size, or 0: there is no key or `size` is too small. */
size_t report_key_cose(uint8_t *out, size_t size);
const uint8_t *report_key_kid(void);      /* REPORT_KID_SIZE bytes */
const uint8_t *report_key_bootseed(void); /* ATTEST_SEED random bytes of this boot */
/* Random bytes of the key's generator, for numbers that must not repeat; false: there is no key. Locks: takes its own. */
bool report_key_random(uint8_t *out, size_t n) MUST_CHECK;

/*
 * ES384 over a message, whose SHA-384 is `digest`, in pieces of about an eighth of a signature: REPORT_AGAIN until it is made, whoever
 * asks with this digest. One is made at a time; who does not come back for REPORT_PATIENCE_NS, or is not urgent when
 * somebody urgent comes, starts anew. Locks: takes its own.
 */
#define REPORT_PATIENCE_NS 20000000ull
enum report_step { REPORT_DONE, REPORT_AGAIN, REPORT_NO_KEY };
enum report_step report_key_sign(const uint8_t digest[ATTEST_DIGEST], bool urgent,
				 uint8_t signature[REPORT_SIGNATURE]) MUST_CHECK;

#endif
