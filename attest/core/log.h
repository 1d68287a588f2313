/* SPDX-License-Identifier: MIT */
#ifndef ATTEST_CORE_LOG_H
#define ATTEST_CORE_LOG_H
/*
 * Event logs of the TCG: crypto-agile (PC Client Platform Firmware Profile 1.05, section 10), or the older form with
 * SHA-1 alone. All bytes are hostile. Reading says what the log claims; only replay against a quote makes it evidence.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/core/cbor.h"
#include "attest/core/event.h"
#include "attest/core/tpm.h"

#define LOG_MAX (1u << 20)
#define LOG_EVENTS_MAX 8192u

struct log_bank {
	uint16_t alg;
	uint16_t size;
};

struct log {
	const uint8_t *at;
	size_t n, pos;
	bool agile; /* false: SHA-1 form */
	bool fill;  /* set by the caller: 0x00 or 0xff may follow the last event */
	struct log_bank bank[TPM_BANKS_MAX];
	uint32_t banks;
	uint32_t dropped; /* banks of the header that no event has */
	uint32_t events;  /* so far, the header not counted */
	bool measured;    /* one of them extends */
};

struct log_event {
	uint32_t number; /* from 1 */
	uint32_t pcr;
	uint32_t type;
	const uint8_t *digest[TPM_BANKS_MAX]; /* in the order of log.bank */
	struct span data;
	size_t at; /* offset in the log */
};

enum log_step { LOG_EVENT, LOG_END, LOG_BAD };

bool log_open(struct log *l, const uint8_t *bytes, size_t n, struct wire_fault *why);
enum log_step log_next(struct log *l, struct log_event *e, struct wire_fault *why);

/* True where the event extends its PCR. */
static inline bool log_extends(const struct log_event *e)
{
	return e->type != EV_NO_ACTION;
}

/* Locality of an EV_NO_ACTION StartupLocality, or -1 where it is another event. */
int log_startup_locality(const struct log_event *e);

/* What the rules remember between events. */
struct log_rules {
	uint32_t separators; /* bit n: PCR n has its separator */
	uint32_t extended;   /* bit n: PCR n was extended */
	bool locality;       /* StartupLocality was there */
	bool exited;         /* ExitBootServices returned */
};

/* The rules that hold beside the digests: NULL, or which of them the event breaks. */
const char *log_rule(struct log_rules *r, const struct log *l, const struct log_event *e);

/*
 * Whether the event says only that something happened, and cannot be a program, whatever its digest: a separator, or an EV_EFI_ACTION of
 * printable text (no image for firmware to start is text). Its digest has to be that of its data: log_data_hashed().
 */
bool log_remark(const struct log_event *e);
/* Whether the event's digest has to be the hash of its data, by its type. */
bool log_data_hashed(const struct log_event *e);
/*
 * Whether it measures a variable that says what is booted: firmware hashes the event's data, or the variable's contents alone
 * (then nothing vouches for the name beside them).
 */
bool log_boot_variable(const struct log_event *e);
/* The contents in an event whose data is UEFI_VARIABLE_DATA; false: its lengths are not those of the data. */
bool log_variable_contents(const struct log_event *e, struct span *contents);
/* Name of an event type, or NULL for an unknown one. Static. */
const char *log_type_name(uint32_t type);

#endif
