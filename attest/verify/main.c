/* SPDX-License-Identifier: MIT */
/* redoubt-verify: decides whether a report, a quote or a log can be believed. No network, no privilege. */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "attest/verify/input.h"
#include "attest/verify/verbs.h"
#include "attest/verify/verdict.h"

#define MEMORY_MAX (64u << 20)

static const char usage[] =
	"usage: redoubt-verify VERB [options]\n"
	"\n"
	"  report  BUNDLE --policy F (--nonce HEX | --no-freshness) [--vm INSTANCE] [--time 2027-01-31T00:00:00Z]\n"
	"  report  --batch BUNDLE... the same options: many reports of one host, each a line\n"
	"  quote   --attest F --sig F --ak F --pcrs F (--nonce HEX | --no-freshness) [--log F] [--log-fill]\n"
	"          [--select sha256:0-9,14] [--unexplained 10]      any TPM's quote, from files\n"
	"  log     FILE [--pcrs F] [--unexplained 10] [--log-fill] [--own]   replays an event log\n"
	"  log     FILE --cel                       the log as CEL-JSON, unverified\n"
	"  inspect BUNDLE                           what it says, unverified\n"
	"  make-policy --from BUNDLE | (--ak-name HEX | --certificate-authority F) --hypervisor HEX [--options HEX]\n"
	"          [--kernel HEX] [--initrd HEX] [--cmdline HEX] [--svn N] [--vm NAME=HEX | --host] [--out F]\n"
	"          [--boot-application L] [--loader-command L] [--loaded-file L] [--any-loader]\n"
	"                                           a policy; L: a SHA-256 digest, or a file of sha256sum;\n"
	"                                           redoubt-measure(1) prints the other digests\n"
	"  enroll  --ek F --ak F --out CREDENTIAL --secret F        a credential for ActivateCredential\n"
	"          [--ek-cert F --ca F [--time T]]  whether the TPM's maker vouches for the endorsement key\n"
	"  enroll  --check --secret F --recovered F                 whether the TPM opened it\n"
	"  nonce   [BYTES]                          a fresh nonce (32 bytes), in hexadecimal\n"
	"\n"
	"Every verb takes --json (one object on standard output, also on failure); report, quote, log and enroll take --quiet.\n"
	"Exit codes: 0 accepted; 1 usage, unreadable file or bad policy; 2 not authentic; 3 authentic, but against the\n"
	"policy; 4 undecidable. redoubt-verify(1) explains each check.\n";

int verb_nonce(int argc, char **argv)
{
	uint8_t nonce[64];
	unsigned int bytes = 32, words = 0;
	const char *word = NULL;
	bool json = false;
	const struct option_in options[] = { { "json", NULL, &json } };

	if (!input_options(argc, argv, options, 1, &word, 1, &words)) {
		return VERDICT_USAGE;
	}
	if (words != 0 &&
	    (sscanf(word, "%u", &bytes) != 1 || bytes < 16 || bytes > sizeof(nonce))) {
		return usage_error("nonce wants a number of bytes from 16 to 64, or nothing");
	}
	if (getrandom(nonce, bytes, 0) != (ssize_t)bytes) {
		return usage_error("the kernel gives no random bytes");
	}
	fputs(json ? "{\"nonce\": \"" : "", stdout);
	for (unsigned int i = 0; i < bytes; i++) {
		printf("%02x", nonce[i]);
	}
	puts(json ? "\"}" : "");
	return VERDICT_ACCEPTED;
}

struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
};

static const struct verb verbs[] = { { "report", verb_report },
				     { "quote", verb_quote },
				     { "log", verb_log },
				     { "inspect", verb_inspect },
				     { "make-policy", verb_make_policy },
				     { "enroll", verb_enroll },
				     { "nonce", verb_nonce } };

int main(int argc, char **argv)
{
	struct rlimit memory = { MEMORY_MAX, MEMORY_MAX };

	/* Whatever the input: no more memory than this, no new privilege, no core file. */
	setrlimit(RLIMIT_AS, &memory);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (argc < 2) {
		fputs(usage, stderr);
		return VERDICT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		fputs(usage, stdout);
		return VERDICT_ACCEPTED;
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[1], verbs[i].name) == 0) {
			int result = verbs[i].run(argc - 2, argv + 2);

			return fflush(stdout) == 0 ? result : VERDICT_USAGE;
		}
	}
	fputs(usage, stderr);
	return usage_error("unknown verb: %s", argv[1]);
}
