/* SPDX-License-Identifier: MIT */
/*
 * Input: byte 0: bit 0 fill may follow, bit 7 as if most of the events that a log may have had been before; then an event log. With bit 1
 * alone of bits 1-6: the header is made, its banks by a byte each behind one with their number; then the other events.
 */
#include <stdlib.h>
#include <string.h>

#include "attest/core/bundle.h"
#include "fuzz/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void event(const struct log *l, const struct log_event *e, const uint8_t *data, size_t size)
{
	bool hashed = log_data_hashed(e);
	struct span contents;

	CHECK_FUZZ(e->pcr < TPM_PCRS && e->number == l->events && e->at < l->pos);
	CHECK_FUZZ(e->data.n == 0 ||
		   (e->data.at >= data && e->data.n <= (size_t)(data + size - e->data.at)));
	for (uint32_t i = 0; i < l->banks; i++) {
		CHECK_FUZZ(e->digest[i] > data && e->digest[i] + l->bank[i].size <= data + size);
	}
	CHECK_FUZZ(log_startup_locality(e) >= -1 && log_startup_locality(e) <= 255);
	CHECK_FUZZ(!log_remark(e) || hashed);
	CHECK_FUZZ(!log_boot_variable(e) || !hashed);
	if (log_variable_contents(e, &contents)) {
		CHECK_FUZZ(contents.n <= e->data.n - 32 && (e->data.n - contents.n) % 2 == 0);
		CHECK_FUZZ(contents.at + contents.n == e->data.at + e->data.n);
	}
	CHECK_FUZZ(!log_remark(e) || e->type == EV_SEPARATOR ||
		   memchr(e->data.at, 0, e->data.n) == NULL);
}

#define HEADER 60u /* TCG_EfiSpecIdEvent as an event, up to its banks */

/* Returns the log, of its own size, and its size. */
static uint8_t *make_header(struct script *s, size_t *n)
{
	static const uint16_t alg[] = { TPM_ALG_SHA1,   TPM_ALG_SHA256,  TPM_ALG_SHA384,
					TPM_ALG_SHA512, TPM_ALG_SM3_256, 0x0027 };
	uint32_t banks = (uint32_t)script_take(s, 1) % 16, bytes = HEADER + 4 * banks + 1;
	uint8_t *log = calloc(1, bytes + s->size);

	CHECK_FUZZ(log != NULL);
	log[4] = EV_NO_ACTION;
	log[28] = (uint8_t)(bytes - 32);
	memcpy(log + 32, "Spec ID Event03", 16);
	log[53] = 2; /* version 2.0; pointers of 8 bytes */
	log[55] = 2;
	log[56] = (uint8_t)banks;
	for (uint32_t i = 0; i < banks; i++) {
		uint16_t one = alg[script_take(s, 1) % 6];

		log[HEADER + 4 * i] = (uint8_t)one;
		log[HEADER + 4 * i + 2] = (uint8_t)tpm_digest_size(one);
	}
	memcpy(log + bytes, s->data + s->at, s->size - s->at);
	*n = bytes + s->size - s->at;
	return log;
}

static void read_log(const uint8_t *data, size_t size, uint8_t how)
{
	struct wire_fault why = { NULL, NULL, NULL, 0 };
	static struct attest_boot boot;
	struct log_rules rules;
	struct log_event e;
	enum log_step step;
	struct log l;

	/* Of one that is too long, nothing is read. */
	CHECK_FUZZ(!log_open(&l, data, LOG_MAX + 1, &why) && why.value == LOG_MAX + 1);
	if (!log_open(&l, data, size, &why)) {
		CHECK_FUZZ(why.what != NULL);
		return;
	}
	l.fill = (how & 1) != 0;
	l.events = (how & 0x80) != 0 ? LOG_EVENTS_MAX - 2 : 0;
	memset(&rules, 0, sizeof(rules));
	memset(&boot, 0, sizeof(boot));
	for (step = log_next(&l, &e, &why); step == LOG_EVENT; step = log_next(&l, &e, &why)) {
		const char *bad = log_rule(&rules, &l, &e);

		event(&l, &e, data, size);
		CHECK_FUZZ(bad != NULL || e.type == EV_NO_ACTION || log_type_name(e.type) != NULL);
		if (e.pcr == ATTEST_PCR && attest_boot_event(&boot, &e, &why) == NULL) {
			CHECK_FUZZ(boot.last >= ATTEST_HYPERVISOR && boot.last <= ATTEST_END);
		}
	}
	CHECK_FUZZ(l.banks >= 1 && l.banks <= TPM_BANKS_MAX && l.events <= LOG_EVENTS_MAX);
	CHECK_FUZZ(step == LOG_END ? l.measured : why.what != NULL);
	/* Whole, or it says what is not. */
	CHECK_FUZZ(attest_boot_end(&boot) != NULL || boot.last == ATTEST_END);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 1 };
	uint8_t *made;
	size_t n;

	if (size == 0) {
		return 0;
	}
	if ((data[0] & 0x7e) != 2) {
		read_log(data + 1, size - 1, data[0]);
		return 0;
	}
	made = make_header(&s, &n);
	read_log(made, n, data[0]);
	free(made);
	return 0;
}
