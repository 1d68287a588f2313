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

static void claim_bytes(struct cbor_in *in, int64_t key, uint8_t *out, size_t n)
{
	cbor_need_int(in, key);
	cbor_need_bytes(in, out, n);
}

static uint64_t claim_uint(struct cbor_in *in, int64_t key)
{
	cbor_need_int(in, key);
	return cbor_take_uint(in);
}

static bool identity(struct cbor_in *in, struct attest_claims *c, struct wire_fault *why)
{
	static const char profile[] = ATTEST_PROFILE_VM;
	uint8_t ueid[1 + ATTEST_UEID_BYTES];
	uint64_t value;
	struct span s;

	cbor_need_int(in, ATTEST_CLAIM_NONCE);
	s = cbor_take_bytes(in);
	if (s.n < ATTEST_NONCE_MIN || s.n > ATTEST_NONCE_MAX) {
		return wire_fail(why, WHAT, "eat_nonce (10) is not 16 to 64 bytes", REMEDY,
				 in->pos);
	}
	memcpy(c->nonce, s.at, s.n);
	c->nonce_n = s.n;
	claim_bytes(in, ATTEST_CLAIM_UEID, ueid, sizeof(ueid));
	if (ueid[0] != 1) {
		return wire_fail(why, WHAT, "ueid (256) is not type 1 and 16 bytes", REMEDY,
				 in->pos);
	}
	memcpy(c->instance, ueid + 1, ATTEST_UEID_BYTES);
	value = claim_uint(in, ATTEST_CLAIM_DBGSTAT);
	if (in->bad || (value != ATTEST_DBG_ENABLED && value != ATTEST_DBG_DISABLED)) {
		return wire_fail(why, WHAT, "dbgstat (263) is neither 0 nor 2", REMEDY, in->pos);
	}
	c->dbgstat = (uint32_t)value;
	cbor_need_int(in, ATTEST_CLAIM_PROFILE);
	s = cbor_take_text(in);
	if (s.n != sizeof(profile) - 1 || memcmp(s.at, profile, s.n) != 0) {
		return wire_fail(why, WHAT, "eat_profile (265) is not " ATTEST_PROFILE_VM, REMEDY,
				 in->pos);
	}
	claim_bytes(in, ATTEST_CLAIM_BOOTSEED, c->bootseed, sizeof(c->bootseed));
	if (in->bad) {
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
	if (cbor_take_map(&in) != 11) {
		return wire_fail(why, WHAT, "not a map of 11 claims", REMEDY, n);
	}
	if (!identity(&in, c, why)) {
		return false;
	}
	claim_bytes(&in, ATTEST_CLAIM_LAUNCH, c->launch, sizeof(c->launch));
	if (in.bad) {
		return wire_fail(why, WHAT, "launch digest (-70001) is not 48 bytes", REMEDY,
				 in.pos);
	}
	claim_bytes(&in, ATTEST_CLAIM_POLICY, policy, sizeof(policy));
	if (!attest_policy_parse(policy, &c->policy)) {
		return wire_fail(why, WHAT, "policy (-70002) is not one of version 1", REMEDY,
				 in.pos);
	}
	claim_bytes(&in, ATTEST_CLAIM_HYPERVISOR, c->hypervisor, sizeof(c->hypervisor));
	if (in.bad) {
		return wire_fail(why, WHAT, "hypervisor (-70003) is not 48 bytes", REMEDY, in.pos);
	}
	c->svn = claim_uint(&in, ATTEST_CLAIM_SVN);
	if (in.bad) {
		return wire_fail(why, WHAT, "security version (-70004) is not a number", REMEDY,
				 in.pos);
	}
	claim_bytes(&in, ATTEST_CLAIM_REPORT_DATA, c->report_data, sizeof(c->report_data));
	if (in.bad) {
		return wire_fail(why, WHAT, "report data (-70005) is not 64 bytes", REMEDY, in.pos);
	}
	value = claim_uint(&in, ATTEST_CLAIM_ORIGIN);
	if (value > ATTEST_ORIGIN_ROOT || !cbor_done(&in)) {
		return wire_fail(why, WHAT, "origin (-70006) is neither 0 nor 1", REMEDY, in.pos);
	}
	c->origin = (uint32_t)value;
	if ((c->dbgstat == ATTEST_DBG_ENABLED) != ((c->policy.flags & ATTEST_POLICY_DEBUG) != 0)) {
		return wire_fail(why, WHAT, "dbgstat and the policy's debug flag differ", REMEDY,
				 c->dbgstat);
	}
	return true;
}
