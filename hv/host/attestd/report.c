/* SPDX-License-Identifier: MIT */
/* What the requests do: bundles, the keys of the TPM, activation of a credential. docs/attestation.md sections 5 and 8. */
#include <errno.h>
#include <mbedtls/sha256.h>
#include <stdio.h>
#include <string.h>

#include "attest/core/bundle.h"
#include "hv/host/attestd/attestd.h"
#include "hv/host/attestd/tpm.h"
#include "hv/host/lib/attest.h"

static uint8_t bundle[ATTEST_BUNDLE_MAX];
static char text[4u * PART_MAX + 4u * PART_MAX];

static void say(struct answer *to, int status, size_t n)
{
	*to = (struct answer){ status, "application/json", (const uint8_t *)text, n };
}

/* `what` is ours: no byte of a client is in it. */
void answer_error(struct answer *to, int status, const char *what)
{
	int n = snprintf(text, sizeof(text), "{\"error\": \"%s\"}\n", what);

	say(to, status, n > 0 ? (size_t)n : 0);
}

static size_t put_hex(size_t at, const char *key, const struct part *p)
{
	at += (size_t)snprintf(text + at, sizeof(text) - at, "\"%s\": \"", key);
	for (size_t i = 0; i < p->n && at + 8 < sizeof(text); i++) {
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%02x", p->at[i]);
	}
	return at + (size_t)snprintf(text + at, sizeof(text) - at, "\"");
}

static void answer_ek(const struct agent *a, struct answer *to)
{
	size_t at = 1;

	text[0] = '{';
	at = put_hex(at, "ek", tpm_ek(a->tpm));
	at += (size_t)snprintf(text + at, sizeof(text) - at, ", ");
	if (tpm_ek_certificate(a->tpm)->n != 0) {
		at = put_hex(at, "ek_certificate", tpm_ek_certificate(a->tpm));
		at += (size_t)snprintf(text + at, sizeof(text) - at, ", ");
	}
	at = put_hex(at, "ak", tpm_ak(a->tpm));
	at += (size_t)snprintf(text + at, sizeof(text) - at, "}\n");
	say(to, 200, at);
}

static void answer_activate(const struct agent *a, const struct request *r, struct answer *to)
{
	static struct part found;
	const char *why = tpm_activate(a->tpm, r->credential, r->credential_n, r->secret,
				       r->secret_n, &found);
	size_t at = 1;

	if (why != NULL) {
		answer_error(to, 422, why);
		return;
	}
	text[0] = '{';
	at = put_hex(at, "secret", &found);
	at += (size_t)snprintf(text + at, sizeof(text) - at, "}\n");
	say(to, 200, at);
}

/* qualifyingData: docs/attestation.md section 5. */
static void qualify(const struct request *r, const struct rd_report_key *key, uint8_t out[32])
{
	static const char label[] = ATTEST_QUOTE_LABEL;
	uint8_t length[2] = { (uint8_t)(r->nonce_n >> 8), (uint8_t)r->nonce_n };
	mbedtls_sha256_context hash;
	uint8_t key_hash[32];

	(void)mbedtls_sha256_ret(key->cose, key->size, key_hash, 0);
	mbedtls_sha256_init(&hash);
	(void)mbedtls_sha256_starts_ret(&hash, 0);
	(void)mbedtls_sha256_update_ret(&hash, (const uint8_t *)label, sizeof(label));
	(void)mbedtls_sha256_update_ret(&hash, length, sizeof(length));
	(void)mbedtls_sha256_update_ret(&hash, r->nonce, r->nonce_n);
	(void)mbedtls_sha256_update_ret(&hash, key_hash, sizeof(key_hash));
	(void)mbedtls_sha256_update_ret(&hash, key->bootseed, sizeof(key->bootseed));
	(void)mbedtls_sha256_finish_ret(&hash, out);
	mbedtls_sha256_free(&hash);
}

static const char *state_text(uint32_t state)
{
	static const char *const all[] = {
		[ATTEST_OK] = "good",
		[ATTEST_NO_TPM] = "there is no TPM 2.0 with a TIS interface",
		[ATTEST_NO_LOADER] = "loader unmeasured: booted by BIOS",
		[ATTEST_NO_LOG] = "the firmware keeps no event log",
		[ATTEST_EMPTY_BANK] = "a PCR bank is active that the firmware never extended",
		[ATTEST_TPM_ERROR] = "the TPM refused a command or timed out",
		[ATTEST_NO_LOCALITY] = "the TPM has locality 0 only",
		[ATTEST_NO_RANDOM] = "no healthy source of randomness for the report key",
	};

	return state < sizeof(all) / sizeof(all[0]) ? all[state] : "unknown";
}

/* The quote into *b; false: *to has the answer. */
static bool add_platform(const struct agent *a, const struct request *r,
			 const struct rd_report_key *key, struct attest_bundle *b,
			 struct answer *to)
{
	static struct tpm_evidence evidence;
	uint8_t extra[32];
	const char *why;

	if (a->tpm == NULL) {
		answer_error(to, 503, a->tpm_why);
		return false;
	}
	if (a->log_n == 0) {
		answer_error(to, 503, "the kernel has no event log of the TPM: see attestd(8)");
		return false;
	}
	qualify(r, key, extra);
	why = tpm_quote(a->tpm, extra, &evidence);
	if (why != NULL) {
		answer_error(to, 503, why);
		return false;
	}
	b->attestable = true;
	b->attest = (struct span){ evidence.attest.at, evidence.attest.n };
	b->signature = (struct span){ evidence.signature.at, evidence.signature.n };
	b->ak = (struct span){ tpm_ak(a->tpm)->at, tpm_ak(a->tpm)->n };
	b->pcrs = evidence.pcrs;
	b->log = (struct span){ a->log, a->log_n };
	b->key = (struct span){ key->cose, key->size };
	memcpy(b->seed, key->bootseed, sizeof(b->seed));
	return true;
}

static void answer_report(const struct agent *a, const struct request *r, struct answer *to)
{
	static struct attest_bundle b;
	static struct rd_report token;
	static struct rd_report_key key;
	int error = a->device >= 0 ? attest_key(a->device, &key) : -ENODEV;
	size_t n;

	b = (struct attest_bundle){ 0 };
	if (error != 0) {
		answer_error(to, 503, attest_error(error));
		return;
	}
	if (r->has_partition) {
		error = attest_token(a->device, r->partition, r->nonce, r->nonce_n, &token);
		if (error != 0) {
			answer_error(to, error == -ENOENT ? 404 : 503, attest_error(error));
			return;
		}
		b.token = (struct span){ token.token, token.size };
	}
	if (key.state != ATTEST_OK || key.size == 0) {
		b.reason = key.state;
		b.reason_text.at = (const uint8_t *)state_text(key.state);
		b.reason_text.n = strlen(state_text(key.state));
	} else if (!add_platform(a, r, &key, &b, to)) {
		return;
	}
	n = attest_bundle_write(&b, bundle, sizeof(bundle));
	if (n == 0) {
		answer_error(to, 500, "the report is larger than 1 MiB");
		return;
	}
	*to = (struct answer){ 200, "application/cbor", bundle, n };
}

void answer_request(const struct agent *a, const struct request *r, struct answer *to)
{
	if (r->verb == REQUEST_REPORT) {
		answer_report(a, r, to);
	} else if (a->tpm == NULL) {
		answer_error(to, 503, a->tpm_why);
	} else if (r->verb == REQUEST_EK) {
		answer_ek(a, to);
	} else {
		answer_activate(a, r, to);
	}
}
