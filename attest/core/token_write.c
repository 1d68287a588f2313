/* SPDX-License-Identifier: MIT */
/* The payload of a VM token, written. */
#include "attest/core/token.h"

static void le(uint8_t *out, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++) {
		out[i] = (uint8_t)(value >> (8 * i));
	}
}

void attest_policy_write(const struct attest_policy *p, uint8_t out[32])
{
	le(out, p->version, 4);
	le(out + 4, p->flags, 4);
	le(out + 8, p->svn, 4);
	le(out + 12, p->vps, 2);
	le(out + 14, p->reserved, 2);
	le(out + 16, p->memory_bytes, 8);
	le(out + 24, p->disks, 2);
	le(out + 26, p->networks, 2);
	le(out + 28, p->devices, 4);
}

static void claim_bytes(struct cbor_out *o, int64_t key, const uint8_t *bytes, size_t n)
{
	cbor_int(o, key);
	cbor_bytes(o, bytes, n);
}

size_t attest_claims_write(const struct attest_claims *c, uint8_t *out, size_t size)
{
	static const char profile[] = ATTEST_PROFILE_VM;
	uint8_t ueid[1 + ATTEST_UEID_BYTES], policy[32];
	struct cbor_out o;

	if (c->nonce_n < ATTEST_NONCE_MIN || c->nonce_n > ATTEST_NONCE_MAX) {
		return 0;
	}
	ueid[0] = 1; /* RAND, RFC 9711 section 4.2.1 */
	for (unsigned int i = 0; i < ATTEST_UEID_BYTES; i++) {
		ueid[1 + i] = c->instance[i];
	}
	attest_policy_write(&c->policy, policy);
	cbor_begin(&o, out, size);
	cbor_map(&o, 11);
	claim_bytes(&o, ATTEST_CLAIM_NONCE, c->nonce, c->nonce_n);
	claim_bytes(&o, ATTEST_CLAIM_UEID, ueid, sizeof(ueid));
	cbor_int(&o, ATTEST_CLAIM_DBGSTAT);
	cbor_uint(&o, c->dbgstat);
	cbor_int(&o, ATTEST_CLAIM_PROFILE);
	cbor_text(&o, profile, sizeof(profile) - 1);
	claim_bytes(&o, ATTEST_CLAIM_BOOTSEED, c->bootseed, sizeof(c->bootseed));
	claim_bytes(&o, ATTEST_CLAIM_LAUNCH, c->launch, sizeof(c->launch));
	claim_bytes(&o, ATTEST_CLAIM_POLICY, policy, sizeof(policy));
	claim_bytes(&o, ATTEST_CLAIM_HYPERVISOR, c->hypervisor, sizeof(c->hypervisor));
	cbor_int(&o, ATTEST_CLAIM_SVN);
	cbor_uint(&o, c->svn);
	claim_bytes(&o, ATTEST_CLAIM_REPORT_DATA, c->report_data, sizeof(c->report_data));
	cbor_int(&o, ATTEST_CLAIM_ORIGIN);
	cbor_uint(&o, c->origin);
	return cbor_end(&o);
}
