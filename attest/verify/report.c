/* SPDX-License-Identifier: MIT */
/* A whole report, check by check. */
#include "attest/verify/report.h"
#include "attest/core/token.h"
#include "attest/verify/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SELECTION 0x4043ffu /* PCR 0-9, 14, 22 */

/* The report under judgement. */
struct job {
	struct verdict *v;
	const struct report_wish *wish;
	struct report_cache *cache;
	struct attest_bundle bundle;
	struct span tail; /* platform and key as they stand in the bundle */
};

/* qualifyingData of the quote (section 5). */
static void qualifying(const struct job *j, uint8_t out[32])
{
	static const char label[16] = ATTEST_QUOTE_LABEL;
	uint8_t bytes[16 + 2 + ATTEST_NONCE_MAX + 32 + ATTEST_SEED];
	size_t n = sizeof(label);

	memcpy(bytes, label, n);
	bytes[n++] = 0;
	bytes[n++] = (uint8_t)j->wish->nonce_n;
	memcpy(bytes + n, j->wish->nonce, j->wish->nonce_n);
	n += j->wish->nonce_n;
	crypto_hash(TPM_ALG_SHA256, j->bundle.key.at, j->bundle.key.n, bytes + n);
	n += 32;
	memcpy(bytes + n, j->bundle.seed, ATTEST_SEED);
	crypto_hash(TPM_ALG_SHA256, bytes, n + ATTEST_SEED, out);
}

/* sha256 always; sha384 where the TPM has it, which the log's header says. */
static uint32_t wanted(const struct job *j, struct tpm_select want[2])
{
	struct wire_fault why;
	uint32_t count = 1;
	struct log l;

	want[0].alg = TPM_ALG_SHA256;
	want[0].mask = SELECTION;
	if (log_open(&l, j->bundle.log.at, j->bundle.log.n, &why)) {
		for (uint32_t i = 0; i < l.banks; i++) {
			if (l.bank[i].alg == TPM_ALG_SHA384) {
				want[1].alg = TPM_ALG_SHA384;
				want[1].mask = SELECTION;
				count = 2;
			}
		}
	}
	return count;
}

static bool quote_checks(struct job *j)
{
	struct verdict *v = j->v;
	struct wire_fault why;
	struct tpm_select want[2];
	struct tpm_public ak;
	struct crypto_key key;
	struct platform p = { 0 };
	uint8_t extra[32];
	const char *bad;
	bool ok;

	p.attest = j->bundle.attest;
	p.signature = j->bundle.signature;
	p.key = &key;
	p.pcrs = &j->bundle.pcrs;
	p.want = want;
	p.want_count = wanted(j, want);
	p.log = j->bundle.log;
	p.log_needed = true;
	p.wish.own = true;
	p.wish.fill = j->wish->policy->log_fill;
	p.unexplained = j->wish->policy->unexplained;
	if (j->wish->nonce != NULL) {
		qualifying(j, extra);
		p.nonce = extra;
		p.nonce_n = sizeof(extra);
	}
	if (!tpm_public_parse(j->bundle.ak.at, j->bundle.ak.n, &ak, &why)) {
		return verdict_malformed(v, "parse", &why);
	}
	if (!platform_parse(v, &p) ||
	    !chain_trusted(v, j->wish->policy, &ak, j->bundle.cert, j->bundle.certs,
			   j->wish->now) ||
	    !platform_attributes(v, &ak)) {
		return false;
	}
	bad = crypto_key_tpm(&key, &ak);
	ok = bad == NULL ? platform_verify(v, &p, &j->cache->replay)
			 : verdict_fail(v, VERDICT_NOT_AUTHENTIC, "signature", "%s", bad);
	crypto_key_end(&key);
	j->cache->quote = p.quote;
	return ok;
}

/*
 * Each event of the PCR has a digest of the list, and there is one at least. remarks: separators and lines of text need none. The
 * type of an event proves nothing: whatever else it says that it is, it is judged.
 */
static bool only_listed(struct job *j, uint32_t pcr, const struct policy_list *l, bool remarks)
{
	unsigned int found = 0, bank = TPM_BANKS_MAX;
	struct log_event e;
	struct wire_fault why;
	struct log log;

	if (l->any) {
		return true;
	}
	if (!log_open(&log, j->bundle.log.at, j->bundle.log.n, &why)) {
		return false;
	}
	log.fill = j->wish->policy->log_fill;
	for (unsigned int i = 0; i < log.banks; i++) {
		bank = log.bank[i].alg == TPM_ALG_SHA256 ? i : bank;
	}
	while (bank != TPM_BANKS_MAX && log_next(&log, &e, &why) == LOG_EVENT) {
		if (e.pcr != pcr || !log_extends(&e) || (remarks && log_remark(&e))) {
			continue;
		}
		if (!policy_list_has(l, e.digest[bank], 32)) {
			return false;
		}
		found++;
	}
	return found != 0;
}

/* What ran before Redoubt is pinned: without that, other software could have made PCR 22 and all the rest. */
static bool loader_judged(const struct policy *p)
{
	const uint32_t loader = 1u << 4 | 1u << 8 | 1u << 9;

	return (p->unexplained & loader) == 0 && !(p->boot_applications.any && p->pcr[4].any) &&
	       !(p->loader_commands.any && p->pcr[8].any) &&
	       !(p->loaded_files.any && p->pcr[9].any);
}

static const char *const what_name[] = { "",       "hypervisor", "options",      "kernel",
					 "initrd", "cmdline",    "secure_world", "report key" };

static bool reference_checks(struct job *j)
{
	const struct policy *p = j->wish->policy;
	struct verdict *v = j->v;

	for (uint16_t pcr = 0; pcr < TPM_PCRS; pcr++) {
		const struct tpm_pcr *value = tpm_pcrs_find(&j->bundle.pcrs, TPM_ALG_SHA256, pcr);

		if (value != NULL && pcr != ATTEST_PCR &&
		    !policy_list_has(&p->pcr[pcr], value->bytes, value->n)) {
			return verdict_fail(
				v, VERDICT_AGAINST_POLICY, "reference",
				"PCR %u has none of the values that the policy has for it", pcr);
		}
	}
	for (unsigned int what = ATTEST_HYPERVISOR; what <= ATTEST_VTL1; what++) {
		const struct attest_event *e = &j->cache->replay.boot.event[what];
		const struct policy_list *l = &p->event[what];

		if (e->what == 0 ? !l->any && !l->absent
				 : !policy_list_has(l, e->digest, ATTEST_DIGEST)) {
			return verdict_fail(
				v, VERDICT_AGAINST_POLICY, "reference", "%s: %s", what_name[what],
				e->what == 0 ? "was not loaded" : "is none that the policy has");
		}
	}
	if (!only_listed(j, 4, &p->boot_applications, true)) {
		return verdict_fail(v, VERDICT_AGAINST_POLICY, "reference",
				    "boot_applications: firmware started something else (PCR 4)");
	}
	if (!only_listed(j, 8, &p->loader_commands, false)) {
		return verdict_fail(v, VERDICT_AGAINST_POLICY, "reference",
				    "loader_commands: the loader did something else (PCR 8)");
	}
	if (!only_listed(j, 9, &p->loaded_files, false)) {
		return verdict_fail(v, VERDICT_AGAINST_POLICY, "reference",
				    "loaded_files: the loader read something else (PCR 9)");
	}
	return verdict_ok(
		v, "reference",
		loader_judged(p)
			? "firmware, loader, hypervisor and root are those of the policy"
			: "hypervisor and root are those of the policy; it takes ANY LOADER: "
			  "other software could have made this report");
}

static bool binding(struct job *j)
{
	const struct attest_event *e = &j->cache->replay.boot.event[ATTEST_KEY];
	struct cose_key key;
	struct wire_fault why;
	const char *bad;

	if (e->key.n != j->bundle.key.n || memcmp(e->key.at, j->bundle.key.at, e->key.n) != 0) {
		return verdict_fail(j->v, VERDICT_NOT_AUTHENTIC, "key.binding",
				    "the report key is not the one that the hypervisor measured");
	}
	if (memcmp(e->seed, j->bundle.seed, ATTEST_SEED) != 0) {
		return verdict_fail(j->v, VERDICT_NOT_AUTHENTIC, "key.binding",
				    "bootseed is not that of this boot");
	}
	if (!cose_key_parse(j->bundle.key.at, j->bundle.key.n, &key, &why)) {
		return verdict_malformed(j->v, "key.binding", &why);
	}
	bad = crypto_key_cose(&j->cache->key, &key);
	j->cache->valid = true; /* the key has to be freed */
	if (bad != NULL) {
		return verdict_fail(j->v, VERDICT_NOT_AUTHENTIC, "key.binding", "%s", bad);
	}
	crypto_hash(TPM_ALG_SHA256, j->bundle.key.at, j->bundle.key.n, j->cache->kid);
	return verdict_ok(j->v, "key.binding",
			  "the hypervisor measured this report key before the root ran");
}

static void platform_facts(struct job *j)
{
	const struct attest_boot *b = &j->cache->replay.boot;
	struct verdict *v = j->v;

	for (unsigned int what = ATTEST_HYPERVISOR; what <= ATTEST_KEY; what++) {
		const struct attest_event *e = &b->event[what];

		if (e->what != 0) {
			verdict_fact(v, what_name[what], json_hex(e->digest, ATTEST_DIGEST));
		}
		if (e->has_text) {
			verdict_fact(v, what == ATTEST_CMDLINE ? "cmdline_text" : "options_text",
				     json_stringn((const char *)e->text.at, e->text.n));
		}
	}
	verdict_fact(v, "loader_judged", json_boolean(loader_judged(j->wish->policy)));
	verdict_fact(v, "hypervisor_svn",
		     json_integer((json_int_t)(b->event[ATTEST_HYPERVISOR].svn & INT64_MAX)));
	verdict_fact(v, "bootseed", json_hex(j->bundle.seed, ATTEST_SEED));
	verdict_fact(v, "reset_count", json_integer(j->cache->quote.reset_count));
	verdict_fact(v, "restart_count", json_integer(j->cache->quote.restart_count));
	verdict_fact(v, "clock_ms", json_integer((json_int_t)(j->cache->quote.clock & INT64_MAX)));
}

static bool same_platform(const struct job *j)
{
	return j->cache->valid && j->cache->bytes != NULL && j->cache->n == j->tail.n &&
	       memcmp(j->cache->bytes, j->tail.at, j->tail.n) == 0;
}

/* Everything but the token. What was verified once of these very bytes is not verified again. */
static bool platform_checks(struct job *j)
{
	struct report_cache *c = j->cache;

	if (same_platform(j)) {
		json_t *facts = j->v->attested;

		*j->v = c->verdict;
		j->v->attested = facts;
		json_object_update(facts, c->verdict.attested);
		return c->verdict.failed == NULL;
	}
	report_cache_free(c);
	if (!quote_checks(j) || !reference_checks(j) || !binding(j)) {
		return false;
	}
	platform_facts(j);
	c->bytes = malloc(j->tail.n);
	if (c->bytes != NULL) {
		memcpy(c->bytes, j->tail.at, j->tail.n);
		c->n = j->tail.n;
		c->verdict = *j->v;
		c->verdict.attested = json_copy(j->v->attested);
	}
	return true;
}

void report_cache_free(struct report_cache *c)
{
	if (c->bytes != NULL) {
		verdict_end(&c->verdict);
	}
	free(c->bytes);
	if (c->valid) {
		crypto_key_end(&c->key);
	}
	memset(c, 0, sizeof(*c));
}

static bool token_signature(struct job *j, const struct cose_sign1 *m)
{
	uint8_t hash[48];
	size_t room = m->payload.n + 128, n;
	uint8_t *bytes = malloc(room);
	const char *bad = "out of memory";

	if (memcmp(m->kid, j->cache->kid, COSE_KID) != 0) {
		free(bytes);
		return verdict_fail(j->v, VERDICT_NOT_AUTHENTIC, "token.signature",
				    "it names another key");
	}
	if (bytes != NULL) {
		n = cose_signed_write(m->protected_header.at, m->protected_header.n, m->payload.at,
				      m->payload.n, bytes, room);
		if (n != 0 && crypto_hash(TPM_ALG_SHA384, bytes, n, hash)) {
			bad = crypto_verify_raw(&j->cache->key, m->signature, COSE_SIGNATURE, hash,
						sizeof(hash));
		}
	}
	free(bytes);
	return bad == NULL
		       ? verdict_ok(j->v, "token.signature", "of the report key")
		       : verdict_fail(j->v, VERDICT_NOT_AUTHENTIC, "token.signature", "%s", bad);
}

static void token_facts(struct verdict *v, const struct attest_claims *c)
{
	verdict_fact(v, "vm_instance", json_hex(c->instance, ATTEST_UEID_BYTES));
	verdict_fact(v, "vm_measurement", json_hex(c->launch, ATTEST_DIGEST));
	verdict_fact(v, "vm_debug", json_boolean(c->dbgstat == ATTEST_DBG_ENABLED));
	verdict_fact(v, "vm_isolated",
		     json_boolean((c->policy.flags & ATTEST_POLICY_ISOLATED) != 0));
	verdict_fact(v, "vm_svn", json_integer(c->policy.svn));
	verdict_fact(v, "vm_vps", json_integer(c->policy.vps));
	verdict_fact(v, "vm_memory_bytes",
		     json_integer((json_int_t)(c->policy.memory_bytes & INT64_MAX)));
	verdict_fact(v, "vm_disks", json_integer(c->policy.disks));
	verdict_fact(v, "vm_networks", json_integer(c->policy.networks));
	verdict_fact(v, "vm_devices", json_integer(c->policy.devices));
	verdict_fact(v, "nonce", json_hex(c->nonce, c->nonce_n));
	verdict_fact(v, "report_data", json_hex(c->report_data, ATTEST_REPORT_DATA));
	verdict_fact(v, "origin", json_string(c->origin == ATTEST_ORIGIN_GUEST ? "guest" : "root"));
}

/* That the token belongs to this request, boot and hypervisor. */
static bool token_bindings(struct job *j, const struct attest_claims *c)
{
	const struct attest_event *hypervisor = &j->cache->replay.boot.event[ATTEST_HYPERVISOR];
	struct verdict *v = j->v;

	if (j->wish->nonce == NULL) {
		verdict_skip(v, "token.nonce", "not compared (--no-freshness)");
	} else if (c->nonce_n != j->wish->nonce_n ||
		   memcmp(c->nonce, j->wish->nonce, c->nonce_n) != 0) {
		return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "token.nonce",
				    "the token answers another nonce");
	} else {
		verdict_ok(v, "token.nonce", "%zu bytes, all equal", c->nonce_n);
	}
	if (memcmp(c->bootseed, j->bundle.seed, ATTEST_SEED) != 0) {
		return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "token.bootseed",
				    "the token is of another boot");
	}
	verdict_ok(v, "token.bootseed", "of this boot");
	if (memcmp(c->hypervisor, hypervisor->digest, ATTEST_DIGEST) != 0 ||
	    c->svn != hypervisor->svn) {
		return verdict_fail(
			v, VERDICT_NOT_AUTHENTIC, "token.hypervisor",
			"the token names another hypervisor than the one that was measured");
	}
	return verdict_ok(v, "token.hypervisor", "the one that was measured");
}

static bool vm_checks(struct job *j, const struct attest_claims *c)
{
	const struct policy *p = j->wish->policy;
	struct verdict *v = j->v;
	unsigned int i = 0;

	while (i < p->vms && memcmp(p->vm[i].measurement, c->launch, ATTEST_DIGEST) != 0) {
		i++;
	}
	if (i == p->vms && !p->vm_any) {
		return verdict_fail(
			v, VERDICT_AGAINST_POLICY, "vm.measurement",
			"the VM was launched with none of the %u measurements of the policy",
			p->vms);
	}
	if (j->wish->instance != NULL &&
	    memcmp(j->wish->instance, c->instance, ATTEST_UEID_BYTES) != 0) {
		return verdict_fail(v, VERDICT_AGAINST_POLICY, "vm.measurement",
				    "it is another VM than --vm says");
	}
	verdict_ok(v, "vm.measurement", i < p->vms ? "that of VM %s" : "any%s",
		   i < p->vms ? p->vm[i].name : "");
	if (c->dbgstat == ATTEST_DBG_ENABLED && !p->debug_allowed) {
		return verdict_fail(v, VERDICT_AGAINST_POLICY, "vm.debug",
				    "the VM can be debugged by its host");
	}
	verdict_ok(v, "vm.debug",
		   c->dbgstat == ATTEST_DBG_ENABLED ? "on, which the policy allows"
						    : "off since its start");
	if (p->isolated_needed && (c->policy.flags & ATTEST_POLICY_ISOLATED) == 0) {
		return verdict_fail(v, VERDICT_AGAINST_POLICY, "vm.policy",
				    "the VM is not isolated from the root");
	}
	if (p->guest_origin_needed && c->origin != ATTEST_ORIGIN_GUEST) {
		return verdict_fail(v, VERDICT_AGAINST_POLICY, "vm.policy",
				    "the root asked, not the guest");
	}
	verdict_ok(v, "vm.policy", "isolation and origin are as the policy wants");
	if (c->policy.svn < p->svn_vm) {
		return verdict_fail(v, VERDICT_AGAINST_POLICY, "svn",
				    "VM: security version %u, %llu is the minimum", c->policy.svn,
				    (unsigned long long)p->svn_vm);
	}
	return true;
}

static bool token_checks(struct job *j)
{
	const struct policy *p = j->wish->policy;
	struct wire_fault why;
	struct attest_claims c;
	struct cose_sign1 m;

	if (j->bundle.token.n == 0) {
		return p->report != POLICY_REPORT_VM
			       ? verdict_skip(j->v, "token.parse", "a report of the host alone")
			       : verdict_fail(
					 j->v, VERDICT_AGAINST_POLICY, "token.parse",
					 "a report of the host alone, and the policy wants a VM's");
	}
	if (p->report == POLICY_REPORT_HOST) {
		return verdict_fail(j->v, VERDICT_AGAINST_POLICY, "token.parse",
				    "a VM's report, and the policy wants a host's");
	}
	if (!cose_sign1_parse(j->bundle.token.at, j->bundle.token.n, &m, &why)) {
		return verdict_malformed(j->v, "token.parse", &why);
	}
	verdict_ok(j->v, "token.parse", "COSE_Sign1, ES384");
	if (!token_signature(j, &m)) {
		return false;
	}
	if (!attest_claims_parse(m.payload.at, m.payload.n, &c, &why)) {
		return verdict_malformed(j->v, "token.profile", &why);
	}
	verdict_ok(j->v, "token.profile", ATTEST_PROFILE_VM);
	token_facts(j->v, &c);
	if (!token_bindings(j, &c)) {
		return false;
	}
	j->v->authentic = true;
	return vm_checks(j, &c);
}

/* svn of the hypervisor, age, reset. */
static bool last_checks(struct job *j)
{
	const struct policy *p = j->wish->policy;
	uint64_t svn = j->cache->replay.boot.event[ATTEST_HYPERVISOR].svn;
	struct verdict *v = j->v;

	v->authentic = true;
	if (svn < p->svn_hypervisor) {
		return verdict_fail(v, VERDICT_AGAINST_POLICY, "svn",
				    "hypervisor: security version %llu, %llu is the minimum",
				    (unsigned long long)svn, (unsigned long long)p->svn_hypervisor);
	}
	verdict_ok(v, "svn", "hypervisor %llu, %llu is the minimum", (unsigned long long)svn,
		   (unsigned long long)p->svn_hypervisor);
	if (j->wish->now > p->expires) {
		return verdict_fail(v, VERDICT_AGAINST_POLICY, "age",
				    "the policy has expired: make a new one");
	}
	verdict_ok(v, "age", "the policy is in force");
	if (!p->reset_any && j->cache->quote.reset_count != p->reset_count) {
		return verdict_fail(
			v, VERDICT_AGAINST_POLICY, "reset",
			"the TPM was reset %u times, the policy pins %u: the machine restarted, or somebody "
			"reset its TPM and replayed the log",
			j->cache->quote.reset_count, p->reset_count);
	}
	return verdict_ok(v, "reset", p->reset_any ? "not pinned" : "as pinned");
}

static const char *reason(uint64_t state)
{
	static const char *const text[] = { "?",
					    "no TPM 2.0 with a TIS interface",
					    "BIOS: the loader measures nothing",
					    "firmware keeps no event log",
					    "a bank that firmware never extended",
					    "the TPM refused a command",
					    "the TPM has locality 0 only",
					    "no healthy source of randomness" };

	return state < sizeof(text) / sizeof(text[0]) ? text[state] : "?";
}

void report_verify(struct verdict *v, const uint8_t *bytes, size_t n,
		   const struct report_wish *wish, struct report_cache *cache)
{
	struct job *j = calloc(1, sizeof(*j));
	struct wire_fault why;

	if (j == NULL) {
		verdict_fail(v, VERDICT_UNDECIDABLE, "parse", "out of memory");
		return;
	}
	j->v = v;
	j->wish = wish;
	j->cache = cache;
	if (!attest_bundle_parse(bytes, n, &j->bundle, &why)) {
		verdict_malformed(v, "parse", &why);
	} else if (!j->bundle.attestable) {
		verdict_fact(v, "not_attestable", json_string(reason(j->bundle.reason)));
		verdict_fail(
			v, VERDICT_UNDECIDABLE, "parse",
			"the host says that it is not attestable (unverified: not_attestable)");
	} else {
		/* The platform stands behind the token, up to the end. */
		j->tail.at = j->bundle.token.n != 0 ? j->bundle.token.at + j->bundle.token.n
						    : bytes;
		j->tail.n = (size_t)(bytes + n - j->tail.at);
		if (platform_checks(j) && token_checks(j)) {
			last_checks(j);
		}
		if (v->exit == VERDICT_AGAINST_POLICY) {
			v->authentic = v->authentic || j->cache->valid;
		}
	}
	free(j);
}
