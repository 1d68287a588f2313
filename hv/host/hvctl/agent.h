/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_HVCTL_AGENT_H
#define HV_HOST_HVCTL_AGENT_H
/* attestd: HTTP over its socket (docs/attestation.md section 8). */
#include "hv/host/hvctl/manager.h"

#define AGENT_SOCKET "/run/redoubt/attestd.sock"

struct agent_answer {
	uint8_t *body; /* allocated; n bytes and a NUL */
	size_t n;
	char *whole; /* what body lies in: for agent_drop() */
};

/* agent.c: takes the request's body; NULL: GET. false after telling the user: also where attestd refuses. */
bool agent_ask(const char *path, const char *verb, json_t *request, struct agent_answer *answer);
void agent_drop(struct agent_answer *answer);

/* attest.c */
int attest_run(int argc, char **argv);

#endif
