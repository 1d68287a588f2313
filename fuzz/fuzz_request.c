/* SPDX-License-Identifier: MIT */
/* Input: one line that a client sent to the manager (script_text). */
#include <stdlib.h>
#include <string.h>

#include "fuzz/heap.h"
#include "hv/host/vmmgr/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_name(const struct request *r)
{
	return r->name[0] != '\0';
}

static void check(const struct request *r)
{
	CHECK_FUZZ(r->verb < REQUEST_VERBS);
	CHECK_FUZZ(!has_name(r) || definition_name_good(r->name));
	CHECK_FUZZ(memchr(r->file, '\0', sizeof(r->file)) != NULL);
	CHECK_FUZZ(r->definition_size <= DEFINITION_BYTES_MAX);
	CHECK_FUZZ(strlen(r->definition) == r->definition_size);
	CHECK_FUZZ(r->timeout_s <= REQUEST_TIMEOUT_MAX);
	switch (r->verb) {
	case REQUEST_CREATE:
	case REQUEST_LIST:
		CHECK_FUZZ(!has_name(r));
		break;
	case REQUEST_PS:
		break;
	default:
		CHECK_FUZZ(has_name(r) && r->definition_size == 0 && !r->again);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct request r;
	const char *why = NULL;
	char *line = script_text(data, &size, ' ');
	bool ok;

	heap_begin();
	ok = request_parse(line, size, &r, &why);
	heap_end();
	CHECK_FUZZ(ok == (why == NULL));
	if (ok) {
		check(&r);
	}
	oracle_said_text(why);
	oracle_said(&r, ok ? sizeof(r) : 0);
	free(line);
	return 0;
}
