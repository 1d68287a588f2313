/* SPDX-License-Identifier: MIT */
/* redoubt-verify log: replays an event log. Without a quote nothing in it is evidence. */
#include "attest/verify/cel.h"
#include "attest/verify/input.h"
#include "attest/verify/platform.h"
#include "attest/verify/verbs.h"

#include <stdio.h>

static void values(struct verdict *v, const struct replay *r)
{
	const struct tpm_pcrs *pcrs = &r->value;
	json_t *all = json_object();
	char name[16];

	for (uint32_t i = 0; i < pcrs->count; i++) {
		snprintf(name, sizeof(name), "%s:%u", platform_bank(pcrs->at[i].bank),
			 pcrs->at[i].index);
		json_object_set_new(all, name, json_hex(pcrs->at[i].bytes, pcrs->at[i].n));
	}
	verdict_fact(v, "replayed", all);
	verdict_fact(v, "events", json_integer(r->log.events));
	verdict_fact(v, "banks", json_integer(r->log.banks));
	verdict_fact(v, "crypto_agile", json_boolean(r->log.agile));
}

int verb_log(int argc, char **argv)
{
	const char *path = NULL, *pcrs_path = NULL, *unexplained = NULL;
	bool json = false, quiet = false, cel = false;
	static struct replay r;
	static struct tpm_pcrs pcrs;
	struct replay_wish wish = { false, false };
	const struct option_in options[] = {
		{ "pcrs", &pcrs_path, NULL },     { "unexplained", &unexplained, NULL },
		{ "log-fill", NULL, &wish.fill }, { "own", NULL, &wish.own },
		{ "json", NULL, &json },          { "cel", NULL, &cel },
		{ "quiet", NULL, &quiet }
	};
	struct input log = { NULL, 0 }, text = { NULL, 0 };
	uint32_t mask = 0;
	unsigned int n;
	struct wire_fault why;
	struct verdict v;
	int result = VERDICT_USAGE;

	if (!input_options(argc, argv, options, sizeof(options) / sizeof(options[0]), &path, 1,
			   &n)) {
		return VERDICT_USAGE;
	}
	if (n != 1) {
		return usage_error("log wants a FILE (redoubt-verify --help)");
	}
	if (unexplained != NULL && !input_pcr_list(unexplained, &mask)) {
		return usage_error("--unexplained %s: write for example 10,12-15", unexplained);
	}
	if (!input_read(path, &log) || (pcrs_path != NULL && !input_read(pcrs_path, &text))) {
		input_free(&log);
		return VERDICT_USAGE;
	}
	if (cel) {
		result = cel_print(&log, wish.fill);
	} else if (pcrs_path != NULL && !tpm_pcrs_parse(text.at, text.n, &pcrs, &why)) {
		usage_error("%s: %s: %s: %s", pcrs_path, why.what, why.field, why.remedy);
	} else {
		verdict_begin(&v);
		replay_log(&v, log.at, log.n, &wish, pcrs_path != NULL ? &pcrs : NULL, mask, &r);
		values(&v, &r);
		result = verdict_print(&v,
				       json    ? OUTPUT_JSON
				       : quiet ? OUTPUT_QUIET
					       : OUTPUT_HUMAN,
				       "log");
		verdict_end(&v);
	}
	input_free(&log);
	input_free(&text);
	return result;
}
