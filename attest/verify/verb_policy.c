/* SPDX-License-Identifier: MIT */
/*
 * redoubt-verify make-policy: from digests of a build, or learned from a report. What a report teaches is only as good as the
 * machine was then, and the policy says so.
 */
#include "attest/core/token.h"
#include "attest/verify/input.h"
#include "attest/verify/platform.h"
#include "attest/verify/report.h"
#include "attest/verify/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct words {
	const char *from, *ak, *authority, *hypervisor, *options, *kernel, *initrd, *cmdline,
		*loaded, *commands, *applications;
	const char *vm, *svn, *out;
	bool host, any_loader;
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

static json_t *event_digest(const struct log *l, const struct log_event *e)
{
	for (uint32_t i = 0; i < l->banks; i++) {
		if (l->bank[i].alg == TPM_ALG_SHA256) {
			return json_hex(e->digest[i], 32);
		}
	}
	return NULL;
}

/* Takes over the digest; NULL is left out. */
static void add_once(json_t *all, json_t *digest)
{
	json_t *other;
	size_t i;

	json_array_foreach(all, i, other)
	{
		if (digest != NULL && json_equal(other, digest)) {
			json_decref(digest);
			return;
		}
	}
	if (digest != NULL) {
		json_array_append_new(all, digest);
	}
}

/* A digest that was typed, or a file of lines that begin with one (sha256sum's form). NULL after a line on stderr. */
static json_t *typed_list(const char *option, const char *typed)
{
	struct input in = { NULL, 0 };
	json_t *all = json_array();
	uint8_t digest[32];
	char hex[65] = "";
	size_t n, at = 0;

	if (input_hex(typed, digest, sizeof(digest), &n) && n == sizeof(digest)) {
		add_once(all, json_hex(digest, n));
		return all;
	}
	if (!input_read(typed, &in)) {
		json_decref(all);
		return NULL;
	}
	for (unsigned int line = 1; at < in.n; line++) {
		const uint8_t *end = memchr(in.at + at, '\n', in.n - at);
		size_t length = end != NULL ? (size_t)(end - (in.at + at)) : in.n - at;

		memcpy(hex, in.at + at, length < 64 ? length : 64);
		if (length < 64 || !input_hex(hex, digest, sizeof(digest), &n) ||
		    (length > 64 && in.at[at + 64] != ' ')) {
			usage_error(
				"%s: %s:%u: a line begins with a digest of 64 hexadecimal digits, as sha256sum prints it",
				option, typed, line);
			json_decref(all);
			all = NULL;
			break;
		}
		add_once(all, json_hex(digest, n));
		at += length + 1;
	}
	input_free(&in);
	return all;
}

/* sha256 digests of a PCR's events, each once; remarks: but for those that need none (only_listed() in report.c). */
static json_t *learn_events(const struct span *bytes, uint32_t pcr, bool remarks)
{
	json_t *all = json_array();
	struct log_event e;
	struct wire_fault why;
	struct log l;

	if (log_open(&l, bytes->at, bytes->n, &why)) {
		l.fill = true;
		while (log_next(&l, &e, &why) == LOG_EVENT) {
			if (e.pcr == pcr && log_extends(&e) && !(remarks && log_remark(&e))) {
				add_once(all, event_digest(&l, &e));
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

/*
 * That the report is what the host with this key said, of whatever it was: nothing is learned from a log that its quote does not
 * cover. False after a line on stderr.
 */
static bool authentic(const struct input *in, const struct words *w, const struct learned *l)
{
	static struct policy any;
	static struct report_cache cache;
	const struct report_wish wish = { .policy = &any, .now = time(NULL) };
	struct policy_list *lists[] = { &any.boot_applications, &any.loader_commands,
					&any.loaded_files };
	const char *name = w->ak != NULL ? w->ak : json_string_value(l->name);
	struct verdict v;
	bool ok;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		lists[i]->any = true;
	}
	for (unsigned int i = 0; i < TPM_PCRS; i++) {
		any.pcr[i].any = true;
	}
	for (unsigned int i = 0; i < ATTEST_END; i++) {
		any.event[i].any = true;
	}
	any.expires = INT64_MAX;
	any.vm_any = any.debug_allowed = any.log_fill = any.reset_any = true;
	any.report = POLICY_REPORT_ANY;
	any.keys = 1;
	if (name == NULL ||
	    !input_hex(name, any.key[0].bytes, sizeof(any.key[0].bytes), &any.key[0].n)) {
		usage_error("--ak-name: not the name of a key in hexadecimal");
		return false;
	}
	verdict_begin(&v);
	report_verify(&v, in->at, in->n, &wish, &cache);
	ok = v.exit == VERDICT_ACCEPTED;
	if (!ok) {
		usage_error("%s: nothing to learn from: %s: %s", w->from, v.failed,
			    v.check[v.count - 1].text);
	}
	verdict_end(&v);
	report_cache_free(&cache);
	return ok;
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

/* The firmware's code (0), that of its cards (2) and Secure Boot (7) as they were in the report; their settings change too often. */
static json_t *pcr_values(const struct learned *l)
{
	static const uint16_t learnt[] = { 0, 2, 7 };
	json_t *all = json_object();

	if (!l->have) {
		json_object_set_new(all, "0-9,14", json_string("any"));
		return all;
	}
	for (size_t i = 0; i < sizeof(learnt) / sizeof(learnt[0]); i++) {
		const struct tpm_pcr *p = tpm_pcrs_find(&l->bundle.pcrs, TPM_ALG_SHA256, learnt[i]);
		char name[2] = { (char)('0' + learnt[i]), '\0' };

		json_object_set_new(all, name,
				    p != NULL ? json_pack("[o]", json_hex(p->bytes, p->n))
					      : json_string("any"));
	}
	json_object_set_new(all, "1,3-6,8,9,14", json_string("any"));
	return all;
}

/* What the policy says of the loader. */
struct loader {
	json_t *applications, *commands, *files;
};

/* One list: typed, learned, or "any", which has to be typed as well. False after a line on stderr. */
static bool take_loader_list(const struct words *w, const struct learned *l, const char *option,
			     const char *typed, uint32_t pcr, json_t **out)
{
	*out = typed != NULL   ? typed_list(option, typed)
	       : w->any_loader ? json_string("any")
	       : l->have       ? learn_events(&l->bundle.log, pcr, pcr == 4)
			       : NULL;
	if (*out == NULL && typed == NULL) {
		usage_error(
			"%s is missing: what runs before Redoubt could imitate it, so that its digests alone prove "
			"nothing. Give --from BUNDLE (learned from a report), --boot-application, --loader-command "
			"and --loaded-file; or accept that with --any-loader",
			option);
	}
	if (*out != NULL && json_is_array(*out) && json_array_size(*out) == 0) {
		usage_error(
			"%s: the report has no event of PCR %u, or the file no line: the loader does not measure; use one that does, or --any-loader",
			option, pcr);
		json_decref(*out);
		*out = NULL;
	}
	return *out != NULL;
}

static bool take_loader(const struct words *w, const struct learned *l, struct loader *out)
{
	return take_loader_list(w, l, "--boot-application", w->applications, 4,
				&out->applications) &&
	       take_loader_list(w, l, "--loader-command", w->commands, 8, &out->commands) &&
	       take_loader_list(w, l, "--loaded-file", w->loaded, 9, &out->files);
}

static json_t *make(const struct words *w, const struct learned *l, const struct loader *loader)
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
	json_object_set_new(all, "pcrs", pcr_values(l));
	json_object_set_new(all, "boot_applications", loader->applications);
	json_object_set_new(all, "loader_commands", loader->commands);
	json_object_set_new(all, "loaded_files", loader->files);
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
	struct loader loader = { NULL, NULL, NULL };
	json_t *all = take_loader(w, l, &loader) ? make(w, l, &loader) : NULL;
	char *text = json_dumps(all, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	char *lines = NULL;
	bool ok = text != NULL && asprintf(&lines, "%s\n", text) > 0 &&
		  output_write(w->out != NULL ? w->out : "-", lines, strlen(lines));

	if (all == NULL) {
		json_decref(loader.applications);
		json_decref(loader.commands);
		json_decref(loader.files);
	}
	json_decref(all);
	free(text);
	free(lines);
	return ok ? VERDICT_ACCEPTED : VERDICT_USAGE;
}

int verb_make_policy(int argc, char **argv)
{
	struct words w = { 0 };
	bool json = false;
	const struct option_in options[] = { { "from", &w.from, NULL },
					     { "ak-name", &w.ak, NULL },
					     { "certificate-authority", &w.authority, NULL },
					     { "hypervisor", &w.hypervisor, NULL },
					     { "options", &w.options, NULL },
					     { "kernel", &w.kernel, NULL },
					     { "initrd", &w.initrd, NULL },
					     { "cmdline", &w.cmdline, NULL },
					     { "loader-command", &w.commands, NULL },
					     { "loaded-file", &w.loaded, NULL },
					     { "any-loader", NULL, &w.any_loader },
					     { "boot-application", &w.applications, NULL },
					     { "vm", &w.vm, NULL },
					     { "svn", &w.svn, NULL },
					     { "host", NULL, &w.host },
					     { "json", NULL, &json }, /* a policy is JSON */
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
	} else if (w.from != NULL && !authentic(&in, &w, l)) {
		result = VERDICT_NOT_AUTHENTIC;
	} else {
		result = write_policy(&w, l);
	}
	input_free(&in);
	free(l);
	return result;
}
