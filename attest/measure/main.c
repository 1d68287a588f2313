/* SPDX-License-Identifier: MIT */
/* redoubt-measure: the reference values of policies, from the files that will run. No network, no privilege. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attest/measure/measure.h"

static const char usage[] =
	"usage: redoubt-measure vm DEFINITION [--root DIR] [--json]\n"
	"       redoubt-measure hypervisor redoubt.elf [--json]\n"
	"\n"
	"Prints, in hexadecimal, the SHA-384 value that the hypervisor measures: vm, the launch measurement of a machine\n"
	"from its definition, kernel and initrd (--root: the folder that their paths begin in); hypervisor, the image\n"
	"that the boot loader loads. Exit codes: 0 printed; 1 usage, or a file that is missing or wrong.\n";

static void print_hex(const uint8_t *bytes, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		printf("%02x", bytes[i]);
	}
}

static void print_vm(const struct measured_vm *vm, bool json)
{
	const struct attest_policy *p = &vm->policy;

	if (!json) {
		print_hex(vm->digest, ATTEST_DIGEST);
		printf("  %s\n", vm->name);
		return;
	}
	/* A name has letters, digits, '.', '_' and '-' only: nothing to escape. */
	printf("{\"name\": \"%s\", \"measurement\": \"", vm->name);
	print_hex(vm->digest, ATTEST_DIGEST);
	printf("\", \"pages\": %" PRIu64 ", \"svn\": %" PRIu32
	       ", \"vps\": %u, \"memory_bytes\": %" PRIu64
	       ", \"disks\": %u, \"networks\": %u, \"devices\": %" PRIu32 "}\n",
	       vm->pages, p->svn, p->vps, p->memory_bytes, p->disks, p->networks, p->devices);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "", *file = NULL, *root = "";
	struct measured_vm vm;
	uint8_t digest[ATTEST_DIGEST];
	char text[2048] = "";
	bool json = false, wrong = false, is_vm = strcmp(verb, "vm") == 0;

	if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
		(void)fputs(usage, stdout);
		return 0;
	}
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			json = true;
		} else if (is_vm && strcmp(argv[i], "--root") == 0 && i + 1 < argc) {
			root = argv[++i];
		} else if (file == NULL && argv[i][0] != '-') {
			file = argv[i];
		} else {
			wrong = true;
		}
	}
	if (wrong || file == NULL || (!is_vm && strcmp(verb, "hypervisor") != 0)) {
		(void)fputs(usage, stderr);
		return 1;
	}
	if (is_vm ? !measure_vm(file, root, &vm, text, sizeof(text))
		  : !measure_hypervisor(file, digest, text, sizeof(text))) {
		(void)fprintf(stderr, "redoubt-measure: %s\n", text);
		return 1;
	}
	if (is_vm) {
		print_vm(&vm, json);
	} else {
		printf("%s", json ? "{\"measurement\": \"" : "");
		print_hex(digest, ATTEST_DIGEST);
		printf("%s\n", json ? "\"}" : "");
	}
	return 0;
}
