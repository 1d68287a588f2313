/* SPDX-License-Identifier: MIT */
/* Export of an event log: TCG Canonical Event Log Format, records of type PCClient_STD, as JSON. */
#include "attest/verify/cel.h"
#include "attest/verify/platform.h"

#include <stdio.h>

static json_t *record(const struct log *l, const struct log_event *e)
{
	json_t *digests = json_array();

	for (uint32_t i = 0; i < l->banks; i++) {
		json_array_append_new(digests, json_pack("{s:s, s:o}", "hashAlg",
							 platform_bank(l->bank[i].alg), "digest",
							 json_hex(e->digest[i], l->bank[i].size)));
	}
	return json_pack("{s:I, s:I, s:o, s:s, s:{s:I, s:o}}", "recnum",
			 (json_int_t)(e->number - 1), "pcr", (json_int_t)e->pcr, "digests", digests,
			 "content_type", "pcclient_std", "content", "event_type",
			 (json_int_t)e->type, "event_data", json_hex(e->data.at, e->data.n));
}

int cel_print(const struct input *log, bool fill)
{
	struct wire_fault why;
	struct log_event e;
	struct log l;
	enum log_step step;
	json_t *all = json_array();

	if (!log_open(&l, log->at, log->n, &why)) {
		json_decref(all);
		return usage_error("%s: %s: %s", why.what, why.field, why.remedy) +
		       VERDICT_NOT_AUTHENTIC - VERDICT_USAGE;
	}
	l.fill = fill;
	for (step = log_next(&l, &e, &why); step == LOG_EVENT; step = log_next(&l, &e, &why)) {
		json_array_append_new(all, record(&l, &e));
	}
	if (step == LOG_BAD) {
		json_decref(all);
		return usage_error("%s: %s: %s", why.what, why.field, why.remedy) +
		       VERDICT_NOT_AUTHENTIC - VERDICT_USAGE;
	}
	json_dumpf(all, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(all);
	return VERDICT_ACCEPTED;
}
