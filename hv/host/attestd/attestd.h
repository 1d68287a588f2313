/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_ATTESTD_ATTESTD_H
#define HV_HOST_ATTESTD_ATTESTD_H
/*
 * attestd: the agent that fetches reports (docs/attestation.md). It opens everything at its start, as root, and then gives up its
 * identity, its file system and all system calls but a few. One request at a time, one request in a connection.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "attest/core/format.h"
#include "hv/host/attestd/http.h"
#include "mitigations/sandbox/sandbox.h"

#define ATTESTD_SOCKET "/run/redoubt/attestd.sock"
#define ATTESTD_UID 60900u /* no other process has it; those of machines have 61000 and more */

/* The largest part of a TPM that leaves it here: a public area, a certificate, a quote. */
#define PART_MAX 4096u
struct part {
	size_t n; /* 0: there is none */
	uint8_t at[PART_MAX];
};

/* What stays for the life of the process. */
struct agent {
	int listener, device, tpm_fd; /* device, tpm_fd: -1 where there is none */
	struct tpm *tpm;              /* NULL: there is none */
	const char *tpm_why;          /* then: why not, for a person */
	uint8_t *log;                 /* the firmware's and Redoubt's event log */
	size_t log_n;
};

/* An answer of the HTTP server. body is static and good until the next request. */
struct answer {
	int status; /* of HTTP */
	const char *type;
	const uint8_t *body;
	size_t n;
};

/* confine.c: identity, namespaces and an empty root folder; false after a line on standard error. Needs root. */
bool confine(uid_t uid);

/* serve.c: accepts and answers one connection. */
void serve(const struct agent *a);

/* report.c: what the requests do. */
void answer_request(const struct agent *a, const struct request *r, struct answer *to);
void answer_error(struct answer *to, int status, const char *text);

extern const struct sandbox_policy attestd_policy;

#endif
