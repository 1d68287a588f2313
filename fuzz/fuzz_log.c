/* SPDX-License-Identifier: MIT */
/* Input: byte 0: bit 0: fill may follow, bit 7: as if most of the events that a log may have had been before; then an event log. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_fault why = { NULL, NULL, NULL, 0 };
	static struct attest_boot boot;
	struct log_rules rules;
	struct log_event e;
	enum log_step step;
	struct log l;

	/* Of one that is too long, nothing is read. */
	CHECK_FUZZ(!log_open(&l, data, LOG_MAX + 1, &why) && why.value == LOG_MAX + 1);
	if (size == 0 || !log_open(&l, data + 1, size - 1, &why)) {
		CHECK_FUZZ(size == 0 || why.what != NULL);
		return 0;
	}
	l.fill = (data[0] & 1) != 0;
	l.events = (data[0] & 0x80) != 0 ? LOG_EVENTS_MAX - 2 : 0;
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
	return 0;
}
