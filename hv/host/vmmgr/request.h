/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMMGR_REQUEST_H
#define HV_HOST_VMMGR_REQUEST_H
/*
 * What a client asks of the manager: one JSON object on a line. Keys: "verb", and by verb "name", "file" and "definition"
 * (create), "timeout" (stop, seconds), "again" (create: may replace a stopped machine).
 */
#include "hv/host/vmmgr/definition.h"

/* A definition, every byte of it escaped, and the rest. */
#define REQUEST_BYTES_MAX 65536u
#define REQUEST_TIMEOUT_MAX 3600u

enum request_verb {
	REQUEST_CREATE,
	REQUEST_DELETE,
	REQUEST_START,
	REQUEST_STOP,
	REQUEST_KILL,
	REQUEST_LIST,
	REQUEST_SHOW,
	REQUEST_CONSOLE,
	REQUEST_PS,
	REQUEST_RECORD,
	REQUEST_VERBS,
};

struct request {
	enum request_verb verb;
	char name[DEFINITION_NAME_MAX + 1]; /* "": all machines (ps), or none needed */
	char file[DEFINITION_PATH_MAX + 1]; /* only for messages */
	uint32_t timeout_s;
	bool again;
	uint32_t definition_size;
	char definition[DEFINITION_BYTES_MAX + 1];
};

/*
 * Trust: line[0..size) is hostile. false: *why is a static text, good enough for a person. *r is large: not on the stack.
 */
bool request_parse(const char *line, size_t size, struct request *r, const char **why);

#endif
