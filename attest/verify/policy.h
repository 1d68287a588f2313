/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_VERIFY_POLICY_H
#define ATTEST_VERIFY_POLICY_H
/* What the verifier's owner accepts: a JSON file, docs/examples, redoubt-verify(1). */
#include <jansson.h>
#include <mbedtls/x509_crt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/core/bundle.h"
#include "attest/verify/crypto.h"
#include "attest/verify/verdict.h"

#define POLICY_LIST_MAX 64u
#define POLICY_DIGESTS_MAX 4096u
#define POLICY_NAME_MAX 66u

/* Digests that are accepted. any: everything is; absent: it may be missing, too. */
struct policy_list {
	bool any, absent;
	uint16_t count;
	uint16_t n; /* bytes of each */
	uint8_t (*digest)[TPM_DIGEST_MAX];
};

struct policy_name {
	uint8_t bytes[POLICY_NAME_MAX];
	size_t n;
};

struct policy_vm {
	char name[64];
	uint8_t measurement[ATTEST_DIGEST];
};

enum policy_report { POLICY_REPORT_VM, POLICY_REPORT_HOST, POLICY_REPORT_ANY };

struct policy {
	int64_t expires; /* seconds since 1970; INT64_MAX: never */
	struct policy_name key[POLICY_LIST_MAX];
	unsigned int keys;
	mbedtls_x509_crt *authorities;    /* NULL: none */
	struct policy_list pcr[TPM_PCRS]; /* sha256; count 0 and not any: not judged here (22) */
	struct policy_list boot_applications; /* PCR 4 */
	struct policy_list loader_commands;   /* PCR 8 */
	struct policy_list loaded_files;      /* PCR 9 */
	struct policy_list
		event[ATTEST_END]; /* by enum attest_what: digests of Redoubt's own events */
	uint64_t svn_hypervisor, svn_vm;
	bool vm_any;
	struct policy_vm vm[POLICY_LIST_MAX];
	unsigned int vms;
	bool debug_allowed, isolated_needed, guest_origin_needed, log_fill;
	enum policy_report report;
	uint32_t unexplained;
	bool reset_any;
	uint32_t reset_count;
};

/* Reads a policy. False after one line on stderr that names file, line, key and remedy. policy_free() in any case. */
bool policy_read(const char *path, struct policy *p);
void policy_free(struct policy *p);

bool policy_list_has(const struct policy_list *l, const uint8_t *digest, size_t n);

/* "2027-01-31T00:00:00Z" to seconds since 1970; false where it is something else. */
bool policy_time(const char *text, int64_t *seconds);

#endif
