/* SPDX-License-Identifier: MIT */
#include "hv/core/attest.h"

#include "attest/core/event.h"
#include "hv/core/arch.h"
#include "hv/core/log.h"
#include "hv/core/report.h"
#include "hv/core/report_key.h"
#include "hv/core/sha384.h"
#include "hv/core/tpm_tis.h"
#include "hv/core/version.h"
#include "hv/wire/tpm2.h"

#define ENTROPY 48u
#define ENTRY_MAX (ATTEST_EVENT_MAX + 16u + TPM2_BANK_MAX * 66u)

static enum attest_state state RO_AFTER_INIT = ATTEST_NO_LOADER;
static const char *reason RO_AFTER_INIT = "not started";
static uint64_t log_base RO_AFTER_INIT;
static uint32_t log_size RO_AFTER_INIT;

/* Only while attest_start runs. */
static uint8_t command[TPM2_COMMAND_MAX], answer[TPM2_ANSWER_MAX];
static uint8_t event[ATTEST_EVENT_MAX], entry[ENTRY_MAX];
static size_t answered;

/* What a TPM says is what the log's writer takes. */
_Static_assert(sizeof(((struct tpm2_digests *)0)->bank[0]) == sizeof(struct tpm_digest), "layout");

enum attest_state attest_state(void)
{
	return state;
}

const char *attest_reason(void)
{
	return reason;
}

static bool fail(enum attest_state s, const char *text)
{
	state = s;
	reason = text;
	return false;
}

static bool malformed(void)
{
	return fail(ATTEST_TPM_ERROR, "the TPM gives no whole answer, or not in time");
}

/* Physical memory outside the hypervisor: out to it, or in from it. */
static void copy(uint64_t at, uint8_t *mine, size_t n, bool out)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t *page = arch_window_open(0, hpa(align_down(at + i, PAGE_SIZE)));
		uint8_t *there = page + ((at + i) & (PAGE_SIZE - 1));

		*(out ? there : mine + i) = out ? mine[i] : *there;
		arch_window_close(0);
	}
}

/* Sends command[0..n); a successful answer's bytes are in answer. */
static bool ask(size_t n)
{
	uint32_t code;

	answered = tis_command(ATTEST_LOCALITY, command, n, answer);
	code = tpm2_answer_code(answer, answered);
	if (code == TPM2_RC_SUCCESS) {
		return true;
	}
	log_warn("TPM: command %x: code %x", command[9], code);
	return code == TPM2_RC_BROKEN ? malformed()
	       : code == TPM2_RC_LOCALITY
		       ? fail(ATTEST_NO_LOCALITY, "the TPM refuses PCR 22 at locality 2")
		       : fail(ATTEST_TPM_ERROR, "the TPM refused a command");
}

/*
 * The active banks are those of the firmware's log, and the firmware extended each: where PCR 0 is still zero, the root could put into
 * that bank whatever it likes to have been booted.
 */
static bool check_banks(const struct tcglog *l)
{
	struct tpm2_banks banks;
	struct tpm2_digests d;

	if (!ask(tpm2_put_get_banks(command)) ||
	    (!tpm2_take_banks(answer, answered, &banks) && !malformed())) {
		return false;
	}
	for (uint32_t i = 0; i < banks.count; i++) {
		if (!ask(tpm2_put_pcr_read(command, banks.alg[i], 0)) ||
		    (!tpm2_take_pcr(answer, answered, banks.alg[i], &d) && !malformed())) {
			return false;
		}
		if (tpm2_is_zero(&d) || !tcglog_has(l, banks.alg[i])) {
			return fail(ATTEST_EMPTY_BANK,
				    "an active PCR bank that the firmware never extended");
		}
	}
	return banks.count == l->alg_count ||
	       fail(ATTEST_NO_LOG, "the event log has a bank that the TPM does not have");
}

static bool extend(const struct boot_handoff *h, const struct attest_event *e)
{
	size_t bytes = attest_event_write(e, event, sizeof(event)), n = 0;
	struct tpm2_digests d;

	CHECK(bytes != 0);
	if (!ask(tpm2_put_pcr_event(command, ATTEST_PCR, event, bytes)) ||
	    (!tpm2_take_event(answer, answered, &d) && !malformed())) {
		return false;
	}
	if (tpm2_order(&d, &h->tcg.log)) {
		n = log_entry_write(ATTEST_PCR, EV_EVENT_TAG, (const struct tpm_digest *)d.bank,
				    d.count, event, (uint32_t)bytes, entry, sizeof(entry));
	}
	if (n == 0 || n > h->tcg.room - log_size) {
		return fail(ATTEST_TPM_ERROR, "the TPM's digests do not fit the event log");
	}
	copy(log_base + log_size, entry, n, true);
	log_size += (uint32_t)n;
	return true;
}

static bool extend_measured(const struct boot_handoff *h)
{
	const char *text[ATTEST_VTL1 + 1] = {
		[ATTEST_OPTIONS] = h->options_text, [ATTEST_CMDLINE] = handoff_root_cmdline(h)
	};

	for (uint32_t what = ATTEST_HYPERVISOR; what <= ATTEST_VTL1; what++) {
		const struct handoff_measured *m = &h->measured[what];
		struct attest_event e = { .what = (enum attest_what)what, .bytes = m->bytes };

		e.svn = what == ATTEST_HYPERVISOR ? REDOUBT_SVN : 0;
		e.has_text = text[what] != NULL && m->bytes <= ATTEST_TEXT_MAX;
		e.text = (struct span){ (const uint8_t *)text[what], (size_t)m->bytes };
		__builtin_memcpy(e.digest, m->digest, sizeof(e.digest));
		if (m->present && !extend(h, &e)) {
			return false;
		}
	}
	return true;
}

/* Makes the key, from the TPM's randomness too. Nothing may extend PCR 22 after the second event here. */
static bool extend_key(const struct boot_handoff *h)
{
	struct attest_event e = { .what = ATTEST_KEY };
	uint8_t entropy[ENTROPY], cose[REPORT_COSE_SIZE];

	if (!ask(tpm2_put_get_random(command, ENTROPY)) ||
	    (!tpm2_take_random(answer, answered, entropy, ENTROPY) && !malformed())) {
		return false;
	}
	if (report_key_make(entropy, ENTROPY) != ATTEST_OK) {
		return fail(ATTEST_NO_RANDOM, "no healthy source of randomness for the report key");
	}
	__builtin_memset(entropy, 0, sizeof(entropy));
	e.bytes = report_key_cose(cose, sizeof(cose));
	sha384(cose, e.bytes, e.digest);
	e.key = (struct span){ cose, (size_t)e.bytes };
	__builtin_memcpy(e.seed, report_key_bootseed(), sizeof(e.seed));
	return extend(h, &e) && extend(h, &(struct attest_event){ .what = ATTEST_END });
}

/* What can be said before the TPM is asked. */
static bool before(const struct boot_handoff *h)
{
	if (h->tcg.why == HANDOFF_TCG_NO_LOADER) {
		return fail(ATTEST_NO_LOADER, "the loader is not measured: boot by UEFI and GRUB");
	}
	if (h->tcg.why == HANDOFF_TCG_NO_LOG) {
		return fail(ATTEST_NO_LOG, "the firmware gives no complete event log");
	}
	if (h->acpi.tpm2_addr == 0) {
		return fail(ATTEST_NO_TPM, h->acpi.tpm12 ? "the TPM is a TPM 1.2" : "no TPM 2.0");
	}
	return (h->tcg.why == HANDOFF_TCG_OK && h->acpi.tpm2_method == ACPI_TPM2_TIS) ||
	       fail(ATTEST_NO_TPM, "the TPM has no TIS interface (CRB or another)");
}

/* Everything at locality 2, then the address of the log for the root's kernel. */
static bool measure(const struct boot_handoff *h)
{
	bool ok = tis_open(ATTEST_LOCALITY) ||
		  fail(ATTEST_NO_LOCALITY, "the TPM does not answer or not grant locality 2");

	log_base = h->tcg.base;
	log_size = h->tcg.size;
	if (ok) {
		ok = check_banks(&h->tcg.log) && ask(tpm2_put_pcr_reset(command, ATTEST_PCR)) &&
		     extend_measured(h) && extend_key(h);
		tis_close(ATTEST_LOCALITY);
	}
	if (h->acpi.tpm2_log) {
		copy(h->acpi.tpm2_addr, event, ACPI_TPM2_END, false);
		acpi_tpm2_set_log(event, log_base, log_size);
		copy(h->acpi.tpm2_addr, event, ACPI_TPM2_END, true);
	}
	return ok;
}

void attest_start(const struct boot_handoff *h)
{
	log_size = 0;
	report_set_hypervisor(h->measured[ATTEST_HYPERVISOR].digest, REDOUBT_SVN);
	if (before(h) && measure(h)) {
		state = ATTEST_OK;
		reason = "yes";
		log_info("attestation: firmware's and own events in the log, %u bytes", log_size);
		return;
	}
	log_warn("NOT ATTESTABLE: %s", reason);
	if (!report_key_exists() && report_key_make(NULL, 0) != ATTEST_OK) {
		log_warn("no report key: no healthy source of randomness");
	}
}
