/* SPDX-License-Identifier: MIT */
/* redoubt-verify quote: the parts of any TPM's quote, as files. */
#include "attest/verify/input.h"
#include "attest/verify/platform.h"
#include "attest/verify/verbs.h"

#include <stdio.h>
#include <string.h>

struct words {
	const char *attest, *sig, *ak, *nonce, *pcrs, *log, *select, *unexplained;
	bool json, quiet, stale, fill;
};

struct files {
	struct input attest, sig, ak, pcrs, log;
	struct tpm_pcrs values;
	uint8_t nonce[TPM_DIGEST_MAX + 2];
	size_t nonce_n;
	struct tpm_select want[TPM_BANKS_MAX];
	uint32_t want_count;
	uint32_t unexplained;
};

static int read_words(const struct words *w, struct files *f)
{
	struct wire_fault why;

	if (w->attest == NULL || w->sig == NULL || w->ak == NULL || w->pcrs == NULL) {
		return usage_error(
			"quote wants --attest, --sig, --ak and --pcrs (redoubt-verify --help)");
	}
	if ((w->nonce == NULL) != w->stale) {
		return usage_error(
			"quote wants --nonce HEX, or --no-freshness to take an old quote as well");
	}
	if (w->nonce != NULL &&
	    (!input_hex(w->nonce, f->nonce, sizeof(f->nonce), &f->nonce_n) || f->nonce_n == 0)) {
		return usage_error("--nonce: not 1 to 66 bytes in hexadecimal");
	}
	if (w->select != NULL && !input_selection(w->select, f->want, &f->want_count)) {
		return usage_error("--select %s: write for example sha256:0-9,14,22", w->select);
	}
	if (w->unexplained != NULL && !input_pcr_list(w->unexplained, &f->unexplained)) {
		return usage_error("--unexplained %s: write for example 10,12-15", w->unexplained);
	}
	if (!input_read(w->attest, &f->attest) || !input_read(w->sig, &f->sig) ||
	    !input_read(w->ak, &f->ak) || !input_read(w->pcrs, &f->pcrs) ||
	    (w->log != NULL && !input_read(w->log, &f->log))) {
		return VERDICT_USAGE;
	}
	if (!tpm_pcrs_parse(f->pcrs.at, f->pcrs.n, &f->values, &why)) {
		return usage_error("%s: %s: %s: %s", w->pcrs, why.what, why.field, why.remedy);
	}
	return VERDICT_ACCEPTED;
}

/* The key comes from the caller, who vouches for it: what is left is whether it can be an attestation key. */
static bool judge_key(struct verdict *v, const struct input *file, struct crypto_key *key)
{
	struct tpm_public p;
	struct wire_fault why;
	uint8_t name[66];
	const char *bad;
	size_t n;

	if (tpm_public_parse(file->at, file->n, &p, &why)) {
		bad = crypto_key_tpm(key, &p);
		if (bad != NULL) {
			return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "ak.trusted", "%s", bad);
		}
		n = crypto_name(&p, name);
		verdict_fact(v, "ak_name", json_hex(name, n));
		return verdict_ok(v, "ak.trusted", "given by the caller") &&
		       platform_attributes(v, &p);
	}
	bad = crypto_key_file(key, file->at, file->n);
	if (bad != NULL) {
		return verdict_fail(v, VERDICT_NOT_AUTHENTIC, "ak.trusted", "%s", bad);
	}
	return verdict_ok(v, "ak.trusted", "given by the caller") &&
	       verdict_skip(v, "ak.attributes",
			    "a bare public key has none: give the TPM2B_PUBLIC to check them");
}

static void facts(struct verdict *v, const struct platform *p)
{
	verdict_fact(v, "reset_count", json_integer(p->quote.reset_count));
	verdict_fact(v, "restart_count", json_integer(p->quote.restart_count));
	verdict_fact(v, "clock_ms", json_integer((json_int_t)(p->quote.clock & INT64_MAX)));
	verdict_fact(v, "extra_data", json_hex(p->quote.extra.at, p->quote.extra.n));
}

static void judge(struct verdict *v, const struct words *w, struct files *f)
{
	static struct replay r;
	struct crypto_key key;
	struct platform p = { 0 };

	p.attest.at = f->attest.at;
	p.attest.n = f->attest.n;
	p.signature.at = f->sig.at;
	p.signature.n = f->sig.n;
	p.key = &key;
	p.nonce = w->stale ? NULL : f->nonce;
	p.nonce_n = f->nonce_n;
	p.pcrs = &f->values;
	p.want = f->want;
	p.want_count = f->want_count;
	p.log.at = f->log.at;
	p.log.n = f->log.n;
	p.wish.fill = w->fill;
	p.unexplained = f->unexplained;
	if (!platform_parse(v, &p)) {
		return;
	}
	if (judge_key(v, &f->ak, &key)) {
		facts(v, &p);
		v->authentic = platform_verify(v, &p, &r) || v->exit != VERDICT_NOT_AUTHENTIC;
	}
	crypto_key_end(&key);
}

int verb_quote(int argc, char **argv)
{
	static struct files f;
	struct words w = { 0 };
	const struct option_in options[] = { { "attest", &w.attest, NULL },
					     { "sig", &w.sig, NULL },
					     { "ak", &w.ak, NULL },
					     { "nonce", &w.nonce, NULL },
					     { "pcrs", &w.pcrs, NULL },
					     { "log", &w.log, NULL },
					     { "select", &w.select, NULL },
					     { "unexplained", &w.unexplained, NULL },
					     { "no-freshness", NULL, &w.stale },
					     { "log-fill", NULL, &w.fill },
					     { "json", NULL, &w.json },
					     { "quiet", NULL, &w.quiet } };
	unsigned int none;
	struct verdict v;
	int result;

	if (!input_options(argc, argv, options, sizeof(options) / sizeof(options[0]), NULL, 0,
			   &none)) {
		return VERDICT_USAGE;
	}
	result = read_words(&w, &f);
	if (result == VERDICT_ACCEPTED) {
		verdict_begin(&v);
		judge(&v, &w, &f);
		result = verdict_print(&v,
				       w.json    ? OUTPUT_JSON
				       : w.quiet ? OUTPUT_QUIET
						 : OUTPUT_HUMAN,
				       "quote");
		verdict_end(&v);
	}
	input_free(&f.attest);
	input_free(&f.sig);
	input_free(&f.ak);
	input_free(&f.pcrs);
	input_free(&f.log);
	return result;
}
