/* SPDX-License-Identifier: MIT */
/* hvctl: what the hypervisor says of itself, and virtual machines. Command line here; see docs/man/hvctl.8. */
#include "hv/host/hvctl/agent.h"
#include "hv/host/lib/usage.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef HVCTL_VERSION
#define HVCTL_VERSION "unknown"
#endif

const char *const level_names[LEVEL_COUNT] = { "error", "warning", "info", "debug" };

static const char usage_text[] =
	"usage: hvctl info [--json]\n"
	"       hvctl dmesg [--json] [--level LEVEL] [--follow]\n"
	"       hvctl create FILE [--replace] | delete NAME\n"
	"       hvctl start NAME | stop NAME [--timeout SECONDS] | kill NAME\n"
	"       hvctl list | show NAME | ps [NAME] | console NAME\n"
	"       hvctl record NAME --out FILE [--seconds N]\n"
	"       hvctl attest NAME | --host --nonce HEX [--out FILE]\n"
	"       hvctl --help | --version\n"
	"\n"
	"  info     version, CPUs, memory by owner, protections, IOMMU, what was denied\n"
	"  dmesg    the hypervisor's log; LEVEL is error, warning, info or debug (default),\n"
	"           and more serious records are shown too; --follow waits for new ones\n"
	"  --json   one JSON object, or one per line (dmesg)\n"
	"\n"
	"  create, delete, start, stop, kill, list, show, ps, console: virtual machines, served\n"
	"  by vmmgr; each has --help, and --json but for console\n"
	"  record: what the guest of a machine sends, into a file; has --help and --json\n"
	"  attest: a report for redoubt-verify(1), served by attestd; has --help and --json\n"
	"\n"
	"Exit status: 0 good, 1 error, 2 wrong usage.\n";

struct arguments {
	bool json;
	bool follow;
	unsigned int max_level;
};

static bool parse_level(const char *text, unsigned int *level)
{
	for (unsigned int i = 0; i < LEVEL_COUNT; i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*level = i;
			return true;
		}
	}
	return false;
}

/* argv[0] is the verb. Answers EXIT_OK or, having told the user, EXIT_USAGE. */
static int parse_arguments(int argc, char **argv, bool dmesg, struct arguments *arguments)
{
	static const struct option info_options[] = { { "json", no_argument, NULL, 'j' }, { 0 } };
	static const struct option dmesg_options[] = { { "json", no_argument, NULL, 'j' },
						       { "level", required_argument, NULL, 'l' },
						       { "follow", no_argument, NULL, 'f' },
						       { 0 } };
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:", dmesg ? dmesg_options : info_options,
				     NULL)) != -1) {
		switch (option) {
		case 'j':
			arguments->json = true;
			break;
		case 'f':
			arguments->follow = true;
			break;
		case 'l':
			if (!parse_level(optarg, &arguments->max_level)) {
				return usage_fault("hvctl", "unknown level", optarg);
			}
			break;
		default:
			return usage_option("hvctl", option, argv);
		}
	}
	if (optind != argc) {
		return usage_fault("hvctl", "unexpected word", argv[optind]);
	}
	return EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct arguments arguments = { .max_level = LEVEL_COUNT - 1 };
	bool dmesg = strcmp(argv[0], "dmesg") == 0;
	int fd;
	int code;

	if (machine_verb(argv[0])) {
		return machine_run(argc, argv);
	}
	if (strcmp(argv[0], "record") == 0) {
		return record_run(argc, argv);
	}
	if (strcmp(argv[0], "attest") == 0) {
		return attest_run(argc, argv);
	}
	if (!dmesg && strcmp(argv[0], "info") != 0) {
		return usage_fault("hvctl", "unknown command", argv[0]);
	}
	code = parse_arguments(argc, argv, dmesg, &arguments);
	if (code != EXIT_OK) {
		return code;
	}
	if (!device_open(&fd)) {
		return EXIT_ERROR;
	}
	if (dmesg) {
		code = dmesg_show(fd, arguments.json, arguments.follow, arguments.max_level);
	} else {
		code = info_show(fd, arguments.json);
	}
	(void)close(fd);
	return code;
}

int main(int argc, char **argv)
{
	int code;

	if (argc < 2) {
		(void)fputs(usage_text, stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0) {
		code = fputs(usage_text, stdout) >= 0 ? EXIT_OK : EXIT_ERROR;
	} else if (strcmp(argv[1], "--version") == 0) {
		code = printf("hvctl %s, ABI %d\n", HVCTL_VERSION, RD_ABI_VERSION) >= 0
			       ? EXIT_OK
			       : EXIT_ERROR;
	} else {
		code = run(argc - 1, argv + 1);
	}
	/* A full disk or a closed pipe must not look like success. */
	if (fflush(stdout) != 0 || ferror(stdout) != 0) {
		(void)fprintf(stderr, "hvctl: cannot write the output\n");
		return EXIT_ERROR;
	}
	return code;
}
