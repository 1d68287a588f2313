/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_CORE_FORMAT_H
#define ATTEST_CORE_FORMAT_H
/* Numbers and sizes of docs/attestation.md, shared by the hypervisor, the agent and the verifier. */
#include <stdint.h>

#define ATTEST_PCR 22u
#define ATTEST_LOCALITY 2u
#define ATTEST_EVENT_TAG 0x52440001u
#define ATTEST_DIGEST 48u /* SHA-384 */
#define ATTEST_SEED 32u
#define ATTEST_TEXT_MAX 512u
#define ATTEST_REPORT_DATA 64u
#define ATTEST_NONCE_MIN 16u
#define ATTEST_NONCE_MAX 64u
#define ATTEST_BUNDLE_MAX (1u << 20)
#define ATTEST_DEPTH_MAX 4u
#define ATTEST_PROFILE_VM "tag:redoubt,2026:vm/1"
#define ATTEST_PROFILE_BUNDLE "tag:redoubt,2026:bundle/1"
#define ATTEST_QUOTE_LABEL "redoubt/quote/1" /* with its NUL: 16 bytes */

enum attest_what {
	ATTEST_HYPERVISOR = 1,
	ATTEST_OPTIONS = 2,
	ATTEST_KERNEL = 3,
	ATTEST_INITRD = 4,
	ATTEST_CMDLINE = 5,
	ATTEST_VTL1 = 6,
	ATTEST_KEY = 7,
	ATTEST_END = 8
};

/* Whether this boot can be attested, and if not, why. */
enum attest_state {
	ATTEST_OK = 0,
	ATTEST_NO_TPM = 1,      /* no TPM 2.0 with a TIS interface */
	ATTEST_NO_LOADER = 2,   /* BIOS: the loader measures nothing */
	ATTEST_NO_LOG = 3,      /* firmware keeps no event log, or gave none */
	ATTEST_EMPTY_BANK = 4,  /* an active bank that firmware never extended */
	ATTEST_TPM_ERROR = 5,   /* the TPM refused a command or timed out */
	ATTEST_NO_LOCALITY = 6, /* the TPM has locality 0 only */
	ATTEST_NO_RANDOM = 7    /* no healthy source of randomness for the report key */
};

/* Launch measurement (section 2). */
enum attest_record_type { ATTEST_RECORD_PAGE = 1, ATTEST_RECORD_VP = 2, ATTEST_RECORD_POLICY = 3 };

struct attest_record {
	uint8_t digest[ATTEST_DIGEST];
	uint8_t contents[ATTEST_DIGEST];
	uint64_t gpa;
	uint32_t type;
	uint32_t access;
	uint32_t vp;
	uint8_t reserved[12];
};
_Static_assert(sizeof(struct attest_record) == 128, "layout");

/*
 * The port of the service of hv_sock by which a guest gets its own report (docs/attestation.md section 8). It answers ports of
 * the guest from 1 to ATTEST_PORT_GUEST_MAX only.
 */
#define ATTEST_PORT 0x52440001u
#define ATTEST_PORT_GUEST_MAX 1023u

#define ATTEST_POLICY_DEBUG 1u
#define ATTEST_POLICY_ISOLATED 2u

/* Of attest_policy.devices. */
#define ATTEST_DEVICE_CONSOLE 1u
#define ATTEST_DEVICE_SHUTDOWN 2u
#define ATTEST_DEVICE_HEARTBEAT 4u
#define ATTEST_DEVICE_TIME 8u
#define ATTEST_DEVICE_REPORT 16u /* the service of hv_sock */

struct attest_policy {
	uint32_t version; /* 1 */
	uint32_t flags;   /* ATTEST_POLICY_* */
	uint32_t svn;
	uint16_t vps;
	uint16_t reserved;
	uint64_t memory_bytes;
	uint16_t disks;
	uint16_t networks;
	uint32_t devices;
};
_Static_assert(sizeof(struct attest_policy) == 32, "layout");

/* Keys of the VM token's payload. */
#define ATTEST_CLAIM_NONCE 10
#define ATTEST_CLAIM_UEID 256
#define ATTEST_CLAIM_DBGSTAT 263
#define ATTEST_CLAIM_PROFILE 265
#define ATTEST_CLAIM_BOOTSEED 268
#define ATTEST_CLAIM_LAUNCH (-70001)
#define ATTEST_CLAIM_POLICY (-70002)
#define ATTEST_CLAIM_HYPERVISOR (-70003)
#define ATTEST_CLAIM_SVN (-70004)
#define ATTEST_CLAIM_REPORT_DATA (-70005)
#define ATTEST_CLAIM_ORIGIN (-70006)

#endif
