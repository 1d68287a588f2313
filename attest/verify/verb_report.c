/* SPDX-License-Identifier: MIT */
/* redoubt-verify report: a bundle, or many of one host, against a policy. */
#include "attest/core/token.h"
#include "attest/verify/input.h"
#include "attest/verify/report.h"
#include "attest/verify/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH_MAX 65536u

struct words {
	const char *policy, *nonce, *vm, *time;
	bool json, quiet, stale, batch;
};

struct request {
	struct policy policy;
	struct report_wish wish;
	uint8_t nonce[ATTEST_NONCE_MAX];
	uint8_t instance[ATTEST_UEID_BYTES];
};

static int read_words(const struct words *w, struct request *r)
{
	size_t n = 0;

	r->wish.policy = &r->policy;
	r->wish.now = time(NULL);
	if (w->policy == NULL) {
		return usage_error(
			"report wants --policy FILE (redoubt-verify make-policy writes one)");
	}
	if ((w->nonce == NULL) != w->stale) {
		return usage_error(
			"report wants --nonce HEX, or --no-freshness to take an old report as well");
	}
	if (w->nonce != NULL) {
		if (!input_hex(w->nonce, r->nonce, sizeof(r->nonce), &r->wish.nonce_n) ||
		    r->wish.nonce_n < ATTEST_NONCE_MIN) {
			return usage_error("--nonce: not 16 to 64 bytes in hexadecimal");
		}
		r->wish.nonce = r->nonce;
	}
	if (w->vm != NULL) {
		if (!input_hex(w->vm, r->instance, sizeof(r->instance), &n) ||
		    n != sizeof(r->instance)) {
			return usage_error("--vm: not the 32 digits of a VM's instance");
		}
		r->wish.instance = r->instance;
	}
	if (w->time != NULL && !policy_time(w->time, &r->wish.now)) {
		return usage_error("--time %s: write for example 2027-01-31T00:00:00Z", w->time);
	}
	return policy_read(w->policy, &r->policy) ? VERDICT_ACCEPTED : VERDICT_USAGE;
}

static int one(const char *path, const struct words *w, const struct request *r,
	       struct report_cache *cache)
{
	enum output how = w->json ? OUTPUT_JSON : w->quiet ? OUTPUT_QUIET : OUTPUT_HUMAN;
	struct input in;
	struct verdict v;
	int result;

	if (!input_read(path, &in)) {
		return VERDICT_USAGE;
	}
	verdict_begin(&v);
	report_verify(&v, in.at, in.n, &r->wish, cache);
	if (!w->batch) {
		result = verdict_print(&v, how, "report");
	} else {
		result = (int)v.exit;
		verdict_line(&v, how, path);
	}
	verdict_end(&v);
	input_free(&in);
	return result;
}

/* The first refusal is the answer for all; every report has its line. */
static int all(const char **paths, unsigned int n, const struct words *w, const struct request *r)
{
	static struct report_cache cache;
	int result = VERDICT_ACCEPTED;

	for (unsigned int i = 0; i < n; i++) {
		int answer = one(paths[i], w, r, &cache);

		result = result == VERDICT_ACCEPTED ? answer : result;
	}
	report_cache_free(&cache);
	return result;
}

int verb_report(int argc, char **argv)
{
	static struct request r;
	struct words w = { 0 };
	const struct option_in options[] = { { "policy", &w.policy, NULL },
					     { "nonce", &w.nonce, NULL },
					     { "vm", &w.vm, NULL },
					     { "time", &w.time, NULL },
					     { "no-freshness", NULL, &w.stale },
					     { "batch", NULL, &w.batch },
					     { "json", NULL, &w.json },
					     { "quiet", NULL, &w.quiet } };
	const char **paths = calloc((size_t)argc + 1, sizeof(*paths));
	unsigned int n = 0;
	int result = VERDICT_USAGE;

	if (paths != NULL &&
	    input_options(argc, argv, options, sizeof(options) / sizeof(options[0]), paths,
			  (unsigned int)argc, &n)) {
		if (n == 0 || (n > 1 && !w.batch) || n > BATCH_MAX) {
			usage_error(
				"report wants one BUNDLE, or --batch and several (redoubt-verify --help)");
		} else {
			result = read_words(&w, &r);
			if (result == VERDICT_ACCEPTED) {
				result = all(paths, n, &w, &r);
			}
		}
	}
	policy_free(&r.policy);
	free(paths);
	return result;
}
