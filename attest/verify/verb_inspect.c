/* SPDX-License-Identifier: MIT */
/* redoubt-verify inspect: what a bundle says. All of it is unverified, and stands under that word. */
#include "attest/core/token.h"
#include "attest/verify/crypto.h"
#include "attest/verify/input.h"
#include "attest/verify/platform.h"
#include "attest/verify/verbs.h"

#include <stdio.h>
#include <stdlib.h>

static json_t *token_json(const struct span *token, struct wire_fault *why)
{
	struct attest_claims c;
	struct cose_sign1 m;

	if (!cose_sign1_parse(token->at, token->n, &m, why) ||
	    !attest_claims_parse(m.payload.at, m.payload.n, &c, why)) {
		return json_pack("{s:s, s:s}", "malformed", why->what, "field", why->field);
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:b}", "kid",
			 json_hex(m.kid, COSE_KID), "nonce", json_hex(c.nonce, c.nonce_n),
			 "instance", json_hex(c.instance, ATTEST_UEID_BYTES), "measurement",
			 json_hex(c.launch, ATTEST_DIGEST), "hypervisor",
			 json_hex(c.hypervisor, ATTEST_DIGEST), "vm_svn", (int)c.policy.svn,
			 "report_data", json_hex(c.report_data, ATTEST_REPORT_DATA), "debug",
			 (int)(c.dbgstat == ATTEST_DBG_ENABLED));
}

static json_t *quote_json(const struct span *attest, struct wire_fault *why)
{
	enum tpm_fault fault;
	struct tpm_quote q;

	if (!tpm_quote_parse(attest->at, attest->n, &q, &fault, why)) {
		return json_pack("{s:s, s:s}", "malformed", why->what, "field", why->field);
	}
	return json_pack("{s:o, s:I, s:I, s:I}", "extra_data", json_hex(q.extra.at, q.extra.n),
			 "clock_ms", (json_int_t)(q.clock & INT64_MAX), "reset_count",
			 (json_int_t)q.reset_count, "restart_count", (json_int_t)q.restart_count);
}

/* Events of the log, by number; own ones with what they say. */
static json_t *log_json(const struct span *bytes, struct wire_fault *why)
{
	json_t *events = json_array();
	struct log_event e;
	struct log l;

	if (!log_open(&l, bytes->at, bytes->n, why)) {
		json_decref(events);
		return json_pack("{s:s, s:s}", "malformed", why->what, "field", why->field);
	}
	l.fill = true;
	while (log_next(&l, &e, why) == LOG_EVENT) {
		const char *name = log_type_name(e.type);
		struct attest_event own;
		json_t *event = json_pack("{s:I, s:I, s:s, s:I}", "number", (json_int_t)e.number,
					  "pcr", (json_int_t)e.pcr, "type",
					  name != NULL ? name : "unknown", "data_bytes",
					  (json_int_t)e.data.n);

		if (e.pcr == ATTEST_PCR && e.type == EV_EVENT_TAG &&
		    attest_event_parse(e.data.at, e.data.n, &own, why)) {
			json_object_set_new(event, "what", json_integer(own.what));
			json_object_set_new(event, "sha384", json_hex(own.digest, ATTEST_DIGEST));
		}
		json_array_append_new(events, event);
	}
	return events;
}

static json_t *bundle_json(const struct attest_bundle *b)
{
	json_t *all = json_object();
	struct wire_fault why = { NULL, NULL, NULL, 0 };
	struct tpm_public ak;
	uint8_t name[66];

	if (b->token.n != 0) {
		json_object_set_new(all, "token", token_json(&b->token, &why));
	}
	if (!b->attestable) {
		json_object_set_new(all, "not_attestable",
				    json_integer((json_int_t)(b->reason & INT64_MAX)));
		return all;
	}
	json_object_set_new(all, "quote", quote_json(&b->attest, &why));
	if (tpm_public_parse(b->ak.at, b->ak.n, &ak, &why)) {
		json_object_set_new(all, "ak_name", json_hex(name, crypto_name(&ak, name)));
	}
	json_object_set_new(all, "certificates", json_integer(b->certs));
	json_object_set_new(all, "report_key", json_hex(b->key.at, b->key.n));
	json_object_set_new(all, "bootseed", json_hex(b->seed, ATTEST_SEED));
	json_object_set_new(all, "log", log_json(&b->log, &why));
	return all;
}

int verb_inspect(int argc, char **argv)
{
	struct attest_bundle *b = calloc(1, sizeof(*b));
	struct wire_fault why;
	struct input in = { NULL, 0 };
	const char *path = NULL;
	bool json = false;
	const struct option_in options[] = { { "json", NULL, &json } };
	int result = VERDICT_USAGE;
	unsigned int n;

	/* The one form is JSON: --json is taken so that every verb takes it. */
	if (b == NULL || !input_options(argc, argv, options, 1, &path, 1, &n)) {
		free(b);
		return VERDICT_USAGE;
	}
	if (n != 1) {
		usage_error("inspect wants a BUNDLE (redoubt-verify --help)");
	} else if (input_read(path, &in)) {
		bool ok = attest_bundle_parse(in.at, in.n, b, &why);
		json_t *all = ok ? json_pack("{s:o}", "unverified", bundle_json(b))
				 : json_pack("{s:{s:s, s:s}}", "unverified", "malformed", why.what,
					     "field", why.field);

		json_dumpf(all, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		putchar('\n');
		json_decref(all);
		result = ok ? VERDICT_ACCEPTED : VERDICT_NOT_AUTHENTIC;
	}
	input_free(&in);
	free(b);
	return result;
}
