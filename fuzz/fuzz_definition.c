/* SPDX-License-Identifier: MIT */
/* Input: the text of a definition file (script_text); the first byte 0xff: there is no memory for the parser of YAML. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/heap.h"
#include "hv/host/vmmgr/definition.h"

#include <yaml.h>

int __real_yaml_parser_initialize(yaml_parser_t *parser);
int __wrap_yaml_parser_initialize(yaml_parser_t *parser);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool no_memory;

int __wrap_yaml_parser_initialize(yaml_parser_t *parser)
{
	return no_memory ? 0 : __real_yaml_parser_initialize(parser);
}

static void check_text(const char *text, size_t room)
{
	CHECK_FUZZ(memchr(text, '\0', room) != NULL);
	for (; *text != '\0'; text++) {
		CHECK_FUZZ((unsigned char)*text >= 0x20 && *text != 0x7f);
	}
}

static void check_path(const char *path, bool needed)
{
	check_text(path, DEFINITION_PATH_MAX + 1);
	CHECK_FUZZ(path[0] == '/' || (!needed && path[0] == '\0'));
}

static void check(const struct definition *d)
{
	CHECK_FUZZ(definition_name_good(d->name) && strchr(d->name, '/') == NULL);
	CHECK_FUZZ(d->memory_mib >= DEFINITION_MEMORY_MIN_MIB &&
		   d->memory_mib <= DEFINITION_MEMORY_MAX_MIB && d->memory_mib % 2 == 0);
	CHECK_FUZZ(d->vps >= 1 && d->vps <= DEFINITION_VPS_MAX);
	CHECK_FUZZ(d->weight >= 1 && d->weight <= 1000);
	CHECK_FUZZ(d->disk_count <= DEFINITION_DISKS_MAX && d->nic_count <= DEFINITION_NICS_MAX);
	check_path(d->kernel, true);
	check_path(d->initrd, false);
	check_text(d->cmdline, sizeof(d->cmdline));
	for (uint32_t i = 0; i < d->disk_count; i++) {
		check_path(d->disk[i].path, true);
	}
	for (uint32_t i = 0; i < d->nic_count; i++) {
		CHECK_FUZZ((d->nic[i].mac[0] & 1) == 0);
		check_text(d->nic[i].uplink, sizeof(d->nic[i].uplink));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct definition d, again;
	struct definition_fault fault;
	char *text;
	bool ok;

	no_memory = size != 0 && data[0] == 0xff;
	text = script_text(data, &size, '\n');
	memset(&fault, 0x5a, sizeof(fault));
	heap_begin();
	ok = definition_parse(text, size, &d, &fault);
	heap_end();
	if (ok) {
		check(&d);
		CHECK_FUZZ(definition_parse(text, size, &again, &fault));
		CHECK_FUZZ(memcmp(&d, &again, sizeof(d)) == 0);
		CHECK_FUZZ(fault.text[0] == '\0' && fault.remedy[0] == '\0');
	} else {
		check_text(fault.key, sizeof(fault.key));
		CHECK_FUZZ(fault.text[0] != '\0' && fault.remedy[0] != '\0');
		CHECK_FUZZ(memchr(fault.text, '\0', sizeof(fault.text)) != NULL);
		CHECK_FUZZ(memchr(fault.remedy, '\0', sizeof(fault.remedy)) != NULL);
		CHECK_FUZZ(fault.line <= size + 1);
	}
	oracle_said(&d, ok ? sizeof(d) : 0);
	oracle_said(&fault, sizeof(fault));
	free(text);
	return 0;
}
