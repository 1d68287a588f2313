/* SPDX-License-Identifier: MIT */
/* The payload of a VM token, read: every claim, once, in its order and length. */
#include "attest/core/token.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define WHAT "VM token"
#define REMEDY "the sender must follow docs/attestation.md, section 3"

bool attest_policy_parse(const uint8_t bytes[32], struct attest_policy *p)
{
	p->version = le32(bytes);
	p->flags = le32(bytes + 4);
	p->svn = le32(bytes + 8);
	p->vps = le16(bytes + 12);
	p->reserved = le16(bytes + 14);
	p->memory_bytes = le64(bytes + 16);
	p->disks = le16(bytes + 24);
	p->networks = le16(bytes + 26);
	p->devices = le32(bytes + 28);
	return p->version == 1 && p->reserved == 0 &&
	       (p->flags & ~(ATTEST_POLICY_DEBUG | ATTEST_POLICY_ISOLATED)) == 0;
}

static bool claim(struct cbor_in *in, int64_t want)
{
	int64_t key;

	return cbor_take_int(in, &key) && key == want;
}

static bool claim_bytes(struct cbor_in *in, int64_t key, uint8_t *out, size_t n)
{
	struct span s;

	if (!claim(in, key) || !cbor_take_bytes(in, &s) || s.n != n) {
		return false;
	}
	memcpy(out, s.at, n);
	return true;
}

static bool claim_uint(struct cbor_in *in, int64_t key, uint64_t *value)
{
	return claim(in, key) && cbor_take_uint(in, value);
}

static bool identity(struct cbor_in *in, struct attest_claims *c, struct wire_fault *why)
{
	static const char profile[] = ATTEST_PROFILE_VM;
	uint8_t ueid[1 + ATTEST_UEID_BYTES];
	uint64_t value;
	struct span s;

	if (!claim(in, ATTEST_CLAIM_NONCE) || !cbor_take_bytes(in, &s) || s.n < ATTEST_NONCE_MIN ||
	    s.n > ATTEST_NONCE_MAX) {
		return wire_fail(why, WHAT, "eat_nonce (10) is not 16 to 64 bytes", REMEDY,
				 in->pos);
	}
	memcpy(c->nonce, s.at, s.n);
	c->nonce_n = s.n;
	if (!claim_bytes(in, ATTEST_CLAIM_UEID, ueid, sizeof(ueid)) || ueid[0] != 1) {
		return wire_fail(why, WHAT, "ueid (256) is not type 1 and 16 bytes", REMEDY,
				 in->pos);
	}
	memcpy(c->instance, ueid + 1, ATTEST_UEID_BYTES);
	if (!claim_uint(in, ATTEST_CLAIM_DBGSTAT, &value) ||
	    (value != ATTEST_DBG_ENABLED && value != ATTEST_DBG_DISABLED)) {
		return wire_fail(why, WHAT, "dbgstat (263) is neither 0 nor 2", REMEDY, in->pos);
	}
	c->dbgstat = (uint32_t)value;
	if (!claim(in, ATTEST_CLAIM_PROFILE) || !cbor_take_text(in, &s) ||
	    s.n != sizeof(profile) - 1 || memcmp(s.at, profile, s.n) != 0) {
		return wire_fail(why, WHAT, "eat_profile (265) is not " ATTEST_PROFILE_VM, REMEDY,
				 in->pos);
	}
	if (!claim_bytes(in, ATTEST_CLAIM_BOOTSEED, c->bootseed, sizeof(c->bootseed))) {
		return wire_fail(why, WHAT, "bootseed (268) is not 32 bytes", REMEDY, in->pos);
	}
	return true;
}

bool attest_claims_parse(const uint8_t *bytes, size_t n, struct attest_claims *c,
			 struct wire_fault *why)
{
	struct cbor_in in;
	uint8_t policy[32];
	uint64_t value;

	memset(c, 0, sizeof(*c));
	if (!cbor_check(bytes, n, why)) {
		return false;
	}
	cbor_open(&in, bytes, n);
	if (!cbor_take_map(&in, &value) || value != 11) {
		return wire_fail(why, WHAT, "not a map of 11 claims", REMEDY, n);
	}
	if (!identity(&in, c, why)) {
		return false;
	}
	if (!claim_bytes(&in, ATTEST_CLAIM_LAUNCH, c->launch, sizeof(c->launch))) {
		return wire_fail(why, WHAT, "launch digest (-70001) is not 48 bytes", REMEDY,
				 in.pos);
	}
	if (!claim_bytes(&in, ATTEST_CLAIM_POLICY, policy, sizeof(policy)) ||
	    !attest_policy_parse(policy, &c->policy)) {
		return wire_fail(why, WHAT, "policy (-70002) is not one of version 1", REMEDY,
				 in.pos);
	}
	if (!claim_bytes(&in, ATTEST_CLAIM_HYPERVISOR, c->hypervisor, sizeof(c->hypervisor))) {
		return wire_fail(why, WHAT, "hypervisor (-70003) is not 48 bytes", REMEDY, in.pos);
	}
	if (!claim_uint(&in, ATTEST_CLAIM_SVN, &c->svn)) {
		return wire_fail(why, WHAT, "security version (-70004) is not a number", REMEDY,
				 in.pos);
	}
	if (!claim_bytes(&in, ATTEST_CLAIM_REPORT_DATA, c->report_data, sizeof(c->report_data))) {
		return wire_fail(why, WHAT, "report data (-70005) is not 64 bytes", REMEDY, in.pos);
	}
	if (!claim_uint(&in, ATTEST_CLAIM_ORIGIN, &value) || value > ATTEST_ORIGIN_ROOT ||
	    !cbor_done(&in)) {
		return wire_fail(why, WHAT, "origin (-70006) is neither 0 nor 1", REMEDY, in.pos);
	}
	c->origin = (uint32_t)value;
	if ((c->dbgstat == ATTEST_DBG_ENABLED) != ((c->policy.flags & ATTEST_POLICY_DEBUG) != 0)) {
		return wire_fail(why, WHAT, "dbgstat and the policy's debug flag differ", REMEDY,
				 c->dbgstat);
	}
	return true;
}
