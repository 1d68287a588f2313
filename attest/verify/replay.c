/* SPDX-License-Identifier: MIT */
/* Replays an event log: what the PCRs have to be if the log is true, and whether it keeps the rules. */
#include "attest/verify/platform.h"

#include <stdlib.h>
#include <string.h>

const char *platform_bank(uint16_t alg)
{
	switch (alg) {
	case TPM_ALG_SHA1:
		return "sha1";
	case TPM_ALG_SHA256:
		return "sha256";
	case TPM_ALG_SHA384:
		return "sha384";
	case TPM_ALG_SHA512:
		return "sha512";
	default:
		return "?";
	}
}

/* The values while the log is read: banks of the header by PCR. */
struct state {
	uint8_t value[TPM_BANKS_MAX][TPM_PCRS][TPM_DIGEST_MAX];
};

static bool extend(struct state *s, const struct log *l, const struct log_event *e)
{
	uint8_t both[2 * TPM_DIGEST_MAX];

	for (uint32_t i = 0; i < l->banks; i++) {
		size_t n = l->bank[i].size;

		if (l->bank[i].alg == TPM_ALG_SM3_256) {
			continue; /* no PCR of this bank is ever taken as explained */
		}
		memcpy(both, s->value[i][e->pcr], n);
		memcpy(both + n, e->digest[i], n);
		if (!crypto_hash(l->bank[i].alg, both, 2 * n, s->value[i][e->pcr])) {
			return false;
		}
	}
	return true;
}

/* Whether the digests of the event are the hash of these bytes of it. */
static bool data_fits(const struct log *l, const struct log_event *e, const struct span *data)
{
	uint8_t digest[TPM_DIGEST_MAX];

	for (uint32_t i = 0; i < l->banks; i++) {
		if (l->bank[i].alg == TPM_ALG_SM3_256) {
			continue;
		}
		if (!crypto_hash(l->bank[i].alg, data->at, data->n, digest) ||
		    memcmp(digest, e->digest[i], l->bank[i].size) != 0) {
			return false;
		}
	}
	return true;
}

static const char *boot_variable(const struct log *l, const struct log_event *e)
{
	struct span contents;

	if (!log_variable_contents(e, &contents)) {
		return "a variable's lengths are not those of the event";
	}
	return data_fits(l, e, &e->data) || data_fits(l, e, &contents)
		       ? NULL
		       : "the digest is not that of its data, nor of the variable in it";
}

/* The SHA-384 that an event states of a text or key which it carries. */
static bool stated_fits(const struct attest_event *e)
{
	const struct span *s = e->what == ATTEST_KEY ? &e->key : &e->text;
	uint8_t digest[TPM_DIGEST_MAX];

	if (e->what != ATTEST_KEY && !e->has_text) {
		return true;
	}
	return crypto_hash(TPM_ALG_SHA384, s->at, s->n, digest) &&
	       memcmp(digest, e->digest, ATTEST_DIGEST) == 0;
}

/* First findings of the rules and the data, to be reported in the order of the checks. */
struct findings {
	const char *rule, *data;
	uint32_t rule_event, data_event;
};

static void note(const char **what, uint32_t *event, const char *bad, uint32_t number)
{
	if (*what == NULL && bad != NULL) {
		*what = bad;
		*event = number;
	}
}

static void judge_event(struct replay *r, const struct replay_wish *wish, struct log_rules *rules,
			const struct log_event *e, struct findings *f)
{
	struct wire_fault why;

	note(&f->rule, &f->rule_event, log_rule(rules, &r->log, e), e->number);
	if (log_data_hashed(e)) {
		note(&f->data, &f->data_event,
		     data_fits(&r->log, e, &e->data) ? NULL : "the digest is not that of its data",
		     e->number);
	} else if (log_boot_variable(e)) {
		note(&f->data, &f->data_event, boot_variable(&r->log, e), e->number);
	}
	if (wish->own && e->pcr == ATTEST_PCR && log_extends(e)) {
		const char *bad = attest_boot_event(&r->boot, e, &why);

		note(&f->rule, &f->rule_event, bad, e->number);
		if (bad == NULL && !stated_fits(&r->boot.event[r->boot.last])) {
			note(&f->data, &f->data_event, "its SHA-384 is not that of its text or key",
			     e->number);
		}
	}
}

static void keep_values(struct replay *r, const struct state *s)
{
	r->value.count = 0;
	for (uint32_t i = 0; i < r->log.banks; i++) {
		for (uint16_t pcr = 0; pcr < TPM_PCRS; pcr++) {
			if ((r->extended >> pcr & 1) != 0 &&
			    r->log.bank[i].alg != TPM_ALG_SM3_256) {
				tpm_pcrs_add(&r->value, r->log.bank[i].alg, pcr, s->value[i][pcr],
					     r->log.bank[i].size);
			}
		}
	}
}

/* A PCR as the TPM starts it: zeros, or ones where only a dynamic launch resets it. */
static bool untouched(const struct tpm_pcr *p)
{
	uint8_t first = p->bytes[0];

	for (uint16_t i = 1; i < p->n; i++) {
		if (p->bytes[i] != first) {
			return false;
		}
	}
	return first == 0 || (first == 0xff && p->index >= 17 && p->index <= 22);
}

static void pcr_fact(struct verdict *v, const struct tpm_pcr *p)
{
	verdict_fact(v, "pcr", json_integer(p->index));
	verdict_fact(v, "pcr_bank", json_string(platform_bank(p->bank)));
}

static bool compare(struct verdict *v, const struct tpm_pcrs *against, uint32_t unexplained,
		    const struct replay *r)
{
	const struct tpm_pcr *alone = NULL;
	bool same = false;

	for (uint32_t i = 0; i < against->count; i++) {
		const struct tpm_pcr *p = &against->at[i];
		const struct tpm_pcr *log = tpm_pcrs_find(&r->value, p->bank, p->index);

		if (log != NULL && memcmp(log->bytes, p->bytes, p->n) == 0) {
			same = true;
		} else if ((unexplained >> p->index & 1) != 0) {
			continue;
		} else if (log != NULL) {
			pcr_fact(v, p);
			return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "log.replay",
					    "a PCR is not what the log adds up to");
		} else if (!untouched(p)) {
			alone = p;
		}
	}
	if (alone != NULL) {
		pcr_fact(v, alone);
		return verdict_fail(
			v, VERDICT_AGAINST_POLICY, "log.replay",
			"a PCR is extended and the log does not say by what: name it as unexplained if you "
			"know why");
	}
	if (!same) {
		return verdict_fail(v, VERDICT_AGAINST_POLICY, "log.replay",
				    "the log explains none of the PCRs");
	}
	return verdict_ok(v, "log.replay", "the log adds up to the PCRs");
}

static bool judge_rules(struct verdict *v, const struct replay_wish *wish, struct replay *r,
			struct findings *f)
{
	if (wish->own) {
		note(&f->rule, &f->rule_event, attest_boot_end(&r->boot), r->log.events);
		note(&f->rule, &f->rule_event,
		     (r->separators & 0xff) == 0xff ? NULL
						    : "a PCR of the firmware has no separator",
		     r->log.events);
	}
	note(&f->rule, &f->rule_event,
	     wish->own && (!r->log.agile || r->log.dropped != 0)
		     ? "the events lack a bank of the header"
		     : NULL,
	     0);
	if (f->rule != NULL) {
		verdict_fact(v, "event", json_integer(f->rule_event));
		return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "log.rules", "%s", f->rule);
	}
	verdict_ok(v, "log.rules", "events are where they may be");
	if (f->data != NULL) {
		verdict_fact(v, "event", json_integer(f->data_event));
		return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "log.data", "%s", f->data);
	}
	return verdict_ok(v, "log.data",
			  "where its type says so, an event carries what was hashed");
}

bool replay_log(struct verdict *v, const uint8_t *bytes, size_t n, const struct replay_wish *wish,
		const struct tpm_pcrs *against, uint32_t unexplained, struct replay *r)
{
	struct state *s = calloc(1, sizeof(*s));
	struct findings f = { NULL, NULL, 0, 0 };
	struct log_rules rules = { 0, 0, false, false };
	struct wire_fault why = { NULL, NULL, NULL, 0 };
	enum log_step step = LOG_BAD;
	struct log_event e;

	memset(r, 0, sizeof(*r));
	if (s == NULL) {
		return verdict_fail(v, VERDICT_UNDECIDABLE, "log.parse", "out of memory");
	}
	if (log_open(&r->log, bytes, n, &why)) {
		r->log.fill = wish->fill;
		for (step = log_next(&r->log, &e, &why); step == LOG_EVENT;
		     step = log_next(&r->log, &e, &why)) {
			int locality = log_startup_locality(&e);

			judge_event(r, wish, &rules, &e, &f);
			if (locality >= 0 && r->log.agile && e.pcr == 0 && (r->extended & 1) == 0) {
				for (uint32_t i = 0; i < r->log.banks; i++) {
					s->value[i][0][r->log.bank[i].size - 1] = (uint8_t)locality;
				}
			}
			if (log_extends(&e)) {
				r->extended |= 1u << e.pcr;
				extend(s, &r->log, &e);
			}
		}
	}
	r->separators = rules.separators;
	keep_values(r, s);
	free(s);
	if (step == LOG_BAD) {
		return verdict_malformed(v, "log.parse", &why);
	}
	verdict_ok(v, "log.parse", "well-formed to its end");
	if (against != NULL
		    ? !compare(v, against, unexplained, r)
		    : !verdict_skip(v, "log.replay", "no PCR values were given to compare with")) {
		return false;
	}
	return judge_rules(v, wish, r, &f);
}
