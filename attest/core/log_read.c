/* SPDX-License-Identifier: MIT */
/* Event logs, read event by event. Numbers are little-endian. */
#include "attest/core/log.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define WHAT "event log"
#define REMEDY "give the whole log as the firmware or the kernel has it (binary_bios_measurements)"
#define OLD_HEADER 32u /* TCG_PCClientPCREvent without its data */

static bool is_text(const struct span *s, const char *text, size_t n)
{
	return s->n >= n && memcmp(s->at, text, n) == 0;
}

/* TCG_EfiSpecIdEvent (10.4.5.1). NULL, or what is wrong. */
static const char *spec_id(struct log *l, const uint8_t *p, size_t n)
{
	uint32_t count;

	if (n < 28) {
		return "the header is cut off";
	}
	count = le32(p + 24);
	if (count == 0 || count > TPM_BANKS_MAX) {
		return "the header names no bank, or more than 8";
	}
	if (n < 28 + 4 * (uint64_t)count + 1 ||
	    n != 28 + 4 * (uint64_t)count + 1 + p[28 + 4 * count]) {
		return "the header's size is not that of its fields";
	}
	for (uint32_t i = 0; i < count; i++) {
		l->bank[i].alg = le16(p + 28 + 4 * i);
		l->bank[i].size = le16(p + 28 + 4 * i + 2);
		if (tpm_digest_size(l->bank[i].alg) != l->bank[i].size || l->bank[i].size == 0) {
			return "the header names an unknown bank, or a size that is not its own";
		}
		for (uint32_t k = 0; k < i; k++) {
			if (l->bank[k].alg == l->bank[i].alg) {
				return "the header names a bank twice";
			}
		}
	}
	l->banks = count;
	return NULL;
}

bool log_open(struct log *l, const uint8_t *bytes, size_t n, struct wire_fault *why)
{
	static const char spec[16] = "Spec ID Event03";
	struct span data;
	const char *bad;

	memset(l, 0, sizeof(*l));
	l->at = bytes;
	l->n = n;
	if (n < OLD_HEADER || n > LOG_MAX) {
		return wire_fail(why, WHAT, "empty, cut off, or above 1 MiB", REMEDY, n);
	}
	data.at = bytes + OLD_HEADER;
	data.n = le32(bytes + 28);
	if (data.n > n - OLD_HEADER) {
		return wire_fail(why, WHAT, "the first event is cut off", REMEDY, data.n);
	}
	if (le32(bytes + 4) == EV_NO_ACTION && is_text(&data, spec, sizeof(spec))) {
		for (size_t i = 0; i < 20; i++) {
			if (bytes[8 + i] != 0) {
				return wire_fail(why, WHAT, "the header has a digest", REMEDY,
						 bytes[8 + i]);
			}
		}
		if (le32(bytes) != 0) {
			return wire_fail(why, WHAT, "the header is not of PCR 0", REMEDY,
					 le32(bytes));
		}
		bad = spec_id(l, data.at, data.n);
		if (bad != NULL) {
			return wire_fail(why, WHAT, bad, REMEDY, 0);
		}
		l->agile = true;
		l->pos = OLD_HEADER + data.n;
		return true;
	}
	l->banks = 1;
	l->bank[0].alg = TPM_ALG_SHA1;
	l->bank[0].size = 20;
	return true;
}

/* True where nothing but fill is left, and fill is allowed. */
static bool only_fill(const struct log *l)
{
	for (size_t i = l->pos; i < l->n; i++) {
		if (!l->fill || l->at[i] != l->at[l->pos] || (l->at[i] != 0 && l->at[i] != 0xff)) {
			return false;
		}
	}
	return true;
}

/* TCG_PCClientPCREvent. */
static bool next_old(struct log *l, struct log_event *e, struct wire_fault *why)
{
	const uint8_t *p = l->at + l->pos;

	if (l->n - l->pos < OLD_HEADER || le32(p + 28) > l->n - l->pos - OLD_HEADER) {
		return wire_fail(why, WHAT, "an event is cut off, or its size is wrong", REMEDY,
				 l->pos);
	}
	e->pcr = le32(p);
	e->type = le32(p + 4);
	e->digest[0] = p + 8;
	e->data.at = p + OLD_HEADER;
	e->data.n = le32(p + 28);
	l->pos += OLD_HEADER + e->data.n;
	return true;
}

/* The first event says which of the header's banks the log really has: the others are dropped. */
static void drop_banks(struct log *l, struct log_event *e)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < l->banks; i++) {
		if (e->digest[i] != NULL) {
			l->bank[kept] = l->bank[i];
			e->digest[kept] = e->digest[i];
			kept++;
		}
	}
	l->dropped = l->banks - kept;
	l->banks = kept;
}

/* TCG_PCR_EVENT2: exactly the log's banks, each once. */
static bool next_agile(struct log *l, struct log_event *e, struct wire_fault *why)
{
	const uint8_t *p = l->at + l->pos;
	size_t left = l->n - l->pos, at = 12;
	uint32_t count;

	if (left < 12) {
		return wire_fail(why, WHAT, "an event is cut off", REMEDY, l->pos);
	}
	e->pcr = le32(p);
	e->type = le32(p + 4);
	count = le32(p + 8);
	if (count == 0 || count > l->banks || (count < l->banks && l->events != 0)) {
		return wire_fail(why, WHAT, "an event has not the banks of the log", REMEDY,
				 l->pos);
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t k = 0;

		if (left - at < 2) {
			return wire_fail(why, WHAT, "an event is cut off", REMEDY, l->pos);
		}
		while (k < l->banks && l->bank[k].alg != le16(p + at)) {
			k++;
		}
		if (k == l->banks || e->digest[k] != NULL) {
			return wire_fail(why, WHAT,
					 "an event has not the banks of the log, each once", REMEDY,
					 l->pos);
		}
		at += 2;
		if (left - at < l->bank[k].size) {
			return wire_fail(why, WHAT, "an event is cut off", REMEDY, l->pos);
		}
		e->digest[k] = p + at;
		at += l->bank[k].size;
	}
	if (left - at < 4 || le32(p + at) > left - at - 4) {
		return wire_fail(why, WHAT, "an event is cut off, or its size is wrong", REMEDY,
				 l->pos);
	}
	e->data.at = p + at + 4;
	e->data.n = le32(p + at);
	l->pos += at + 4 + e->data.n;
	if (count < l->banks) {
		drop_banks(l, e);
	}
	return true;
}

enum log_step log_next(struct log *l, struct log_event *e, struct wire_fault *why)
{
	memset(e, 0, sizeof(*e));
	if (l->pos == l->n || only_fill(l)) {
		if (!l->measured) {
			wire_fail(why, WHAT, "it measures nothing", REMEDY, l->events);
			return LOG_BAD;
		}
		return LOG_END;
	}
	if (l->events == LOG_EVENTS_MAX) {
		wire_fail(why, WHAT, "more than 8192 events", REMEDY, l->pos);
		return LOG_BAD;
	}
	e->at = l->pos;
	if (!(l->agile ? next_agile(l, e, why) : next_old(l, e, why))) {
		return LOG_BAD;
	}
	if (e->pcr >= TPM_PCRS) {
		wire_fail(why, WHAT, "an event of a PCR above 23", REMEDY, e->at);
		return LOG_BAD;
	}
	l->events++;
	l->measured = l->measured || log_extends(e);
	e->number = l->events;
	return LOG_EVENT;
}
