/* SPDX-License-Identifier: MIT */
/*
 * redoubt-verify make-policy: from digests of a build, or learned from a report. What a report teaches is only as good as the
 * machine was then, and the policy says so.
 */
#include "attest/core/token.h"
#include "attest/verify/input.h"
#include "attest/verify/platform.h"
#include "attest/verify/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct words {
	const char *from, *ak, *authority, *hypervisor, *options, *kernel, *initrd, *cmdline,
		*loaded, *applications;
	const char *vm, *svn, *out;
	bool host;
};

/* A list of one: the digest that was typed, else the one that was learned, else "any". */
static json_t *one_of(const char *typed, json_t *learned)
{
	if (typed != NULL) {
		json_decref(learned);
		learned = json_string(typed);
	}
	return learned == NULL ? json_string("any") : json_pack("[o]", learned);
}

static json_t *event_hex(const struct attest_boot *b, enum attest_what what)
{
	return b->event[what].what != 0 ? json_hex(b->event[what].digest, ATTEST_DIGEST)
	       : b->last != 0           ? json_string("absent")
					: NULL;
}

/* sha256 digests of a PCR's events, but for those whose data is hashed. */
static json_t *learn_events(const struct span *bytes, uint32_t pcr)
{
	json_t *all = json_array();
	struct log_event e;
	struct wire_fault why;
	struct log l;

	if (log_open(&l, bytes->at, bytes->n, &why)) {
		l.fill = true;
		while (log_next(&l, &e, &why) == LOG_EVENT) {
			for (uint32_t i = 0;
			     i < l.banks && e.pcr == pcr && log_extends(&e) && !log_data_hashed(&e);
			     i++) {
				if (l.bank[i].alg == TPM_ALG_SHA256) {
					json_array_append_new(all, json_hex(e.digest[i], 32));
				}
			}
		}
	}
	return all;
}

struct learned {
	struct attest_bundle bundle;
	struct attest_boot boot;
	struct attest_claims claims;
	bool have, have_vm;
	json_t *name;
};

static bool learn(const struct input *in, struct learned *l)
{
	struct wire_fault why;
	struct cose_sign1 m;
	struct tpm_public ak;
	struct log_event e;
	struct log log;
	uint8_t name[66];

	if (!attest_bundle_parse(in->at, in->n, &l->bundle, &why) || !l->bundle.attestable ||
	    !tpm_public_parse(l->bundle.ak.at, l->bundle.ak.n, &ak, &why) ||
	    !log_open(&log, l->bundle.log.at, l->bundle.log.n, &why)) {
		return false;
	}
	log.fill = true;
	while (log_next(&log, &e, &why) == LOG_EVENT) {
		if (e.pcr == ATTEST_PCR && log_extends(&e) &&
		    attest_boot_event(&l->boot, &e, &why) != NULL) {
			return false;
		}
	}
	l->name = json_hex(name, crypto_name(&ak, name));
	l->have_vm = l->bundle.token.n != 0 &&
		     cose_sign1_parse(l->bundle.token.at, l->bundle.token.n, &m, &why) &&
		     attest_claims_parse(m.payload.at, m.payload.n, &l->claims, &why);
	l->have = true;
	return true;
}

static json_t *vms(const struct words *w, const struct learned *l)
{
	if (w->vm != NULL) {
		const char *digest = strchr(w->vm, '=');

		return json_pack("[{s:s%, s:s}]", "name", w->vm, (size_t)(digest - w->vm),
				 "measurement", digest + 1);
	}
	return l->have_vm ? json_pack("[{s:s, s:o}]", "name", "learned", "measurement",
				      json_hex(l->claims.launch, ATTEST_DIGEST))
			  : json_array();
}

static json_t *make(const struct words *w, const struct learned *l)
{
	json_t *all = json_object(), *keys = json_array();
	uint64_t svn = w->svn != NULL ? strtoull(w->svn, NULL, 10)
				      : l->boot.event[ATTEST_HYPERVISOR].svn;
	bool host = w->host || (w->vm == NULL && l->have && !l->have_vm);

	json_object_set_new(all, "version", json_integer(1));
	json_object_set_new(
		all, "comment",
		json_string(l->have ? "learned from a report: as good as the machine was then"
				    : "made from the digests of a build"));
	json_object_set_new(all, "expires", json_string("never"));
	if (w->ak != NULL || l->name != NULL) {
		json_array_append_new(keys,
				      json_pack("{s:o}", "name",
						w->ak != NULL ? json_string(w->ak) : l->name));
	}
	if (w->authority != NULL) {
		json_array_append_new(keys,
				      json_pack("{s:s}", "certificate_authority", w->authority));
	}
	json_object_set_new(all, "keys", keys);
	json_object_set_new(all, "pcrs", json_pack("{s:s}", "0-9,14", "any"));
	json_object_set_new(all, "boot_applications",
			    w->applications != NULL ? json_pack("[s]", w->applications)
			    : l->have               ? learn_events(&l->bundle.log, 4)
						    : json_string("any"));
	json_object_set_new(all, "loaded_files",
			    w->loaded != NULL ? json_pack("[s]", w->loaded) : json_string("any"));
	json_object_set_new(all, "hypervisor",
			    one_of(w->hypervisor, event_hex(&l->boot, ATTEST_HYPERVISOR)));
	json_object_set_new(all, "options",
			    one_of(w->options, event_hex(&l->boot, ATTEST_OPTIONS)));
	json_object_set_new(all, "kernel", one_of(w->kernel, event_hex(&l->boot, ATTEST_KERNEL)));
	json_object_set_new(all, "initrd", one_of(w->initrd, event_hex(&l->boot, ATTEST_INITRD)));
	json_object_set_new(all, "cmdline",
			    one_of(w->cmdline, event_hex(&l->boot, ATTEST_CMDLINE)));
	json_object_set_new(all, "secure_world", json_pack("[s]", "absent"));
	json_object_set_new(all, "minimum_hypervisor", json_integer((json_int_t)(svn & INT64_MAX)));
	json_object_set_new(all, "minimum_vm",
			    json_integer(l->have_vm ? (json_int_t)l->claims.policy.svn : 0));
	json_object_set_new(all, "report", json_string(host ? "host" : "vm"));
	json_object_set_new(all, "vms", vms(w, l));
	json_object_set_new(all, "debug", json_string("refused"));
	json_object_set_new(all, "isolation", json_string("any"));
	json_object_set_new(all, "origin", json_string("any"));
	json_object_set_new(all, "log_fill", json_string("refused"));
	json_object_set_new(all, "unexplained", json_array());
	json_object_set_new(all, "reset_count", json_string("any"));
	return all;
}

static int write_policy(const struct words *w, const struct learned *l)
{
	json_t *all = make(w, l);
	char *text = json_dumps(all, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	char *lines = NULL;
	bool ok = text != NULL && asprintf(&lines, "%s\n", text) > 0 &&
		  output_write(w->out != NULL ? w->out : "-", lines, strlen(lines));

	json_decref(all);
	free(text);
	free(lines);
	return ok ? VERDICT_ACCEPTED : VERDICT_USAGE;
}

int verb_make_policy(int argc, char **argv)
{
	struct words w = { 0 };
	const struct option_in options[] = { { "from", &w.from, NULL },
					     { "ak-name", &w.ak, NULL },
					     { "certificate-authority", &w.authority, NULL },
					     { "hypervisor", &w.hypervisor, NULL },
					     { "options", &w.options, NULL },
					     { "kernel", &w.kernel, NULL },
					     { "initrd", &w.initrd, NULL },
					     { "cmdline", &w.cmdline, NULL },
					     { "loaded-file", &w.loaded, NULL },
					     { "boot-application", &w.applications, NULL },
					     { "vm", &w.vm, NULL },
					     { "svn", &w.svn, NULL },
					     { "host", NULL, &w.host },
					     { "out", &w.out, NULL } };
	struct learned *l = calloc(1, sizeof(*l));
	struct input in = { NULL, 0 };
	int result = VERDICT_USAGE;
	unsigned int none;

	if (l == NULL || !input_options(argc, argv, options, sizeof(options) / sizeof(options[0]),
					NULL, 0, &none)) {
		free(l);
		return VERDICT_USAGE;
	}
	if (w.vm != NULL &&
	    (strchr(w.vm, '=') == NULL || strlen(strchr(w.vm, '=')) != 1 + 2 * ATTEST_DIGEST)) {
		usage_error("--vm: write NAME=MEASUREMENT (96 digits)");
	} else if (w.from == NULL &&
		   ((w.ak == NULL && w.authority == NULL) || w.hypervisor == NULL)) {
		usage_error(
			"make-policy wants --from BUNDLE, or --ak-name HEX (or --certificate-authority FILE) and "
			"--hypervisor HEX at least (redoubt-measure prints digests)");
	} else if (w.from != NULL && !input_read(w.from, &in)) {
		result = VERDICT_USAGE;
	} else if (w.from != NULL && !learn(&in, l)) {
		usage_error("%s: not a report of an attestable host", w.from);
		result = VERDICT_NOT_AUTHENTIC;
	} else {
		result = write_policy(&w, l);
	}
	input_free(&in);
	free(l);
	return result;
}
