/* SPDX-License-Identifier: MIT */
#include "hv/core/attest.h"

#include "attest/core/event.h"
#include "hv/core/arch.h"
#include "hv/core/log.h"
#include "hv/core/report_key.h"
#include "hv/core/sha384.h"
#include "hv/core/tpm_tis.h"
#include "hv/core/version.h"
#include "hv/wire/tpm2.h"

#define ENTROPY 48u
#define ENTRY_MAX (ATTEST_EVENT_MAX + 16u + TPM2_BANK_MAX * 66u)
#define CHECKSUM 9u /* of an ACPI table */

static enum attest_state state RO_AFTER_INIT = ATTEST_NO_LOADER;
static const char *reason RO_AFTER_INIT = "not started";
static hpa_t log_base RO_AFTER_INIT;
static uint32_t log_size RO_AFTER_INIT;

/* Only while attest_start runs. */
static uint8_t command[TPM2_COMMAND_MAX], answer[TPM2_ANSWER_MAX];
static uint8_t event[ATTEST_EVENT_MAX], entry[ENTRY_MAX];
static size_t answered;

enum attest_state attest_state(void)
{
	return state;
}

const char *attest_reason(void)
{
	return reason;
}

bool attest_log(hpa_t *base, uint32_t *bytes)
{
	*base = log_base;
	*bytes = log_size;
	return log_size != 0;
}

const uint8_t *attest_hypervisor(void)
{
	return boot_handoff.measured[ATTEST_HYPERVISOR].digest;
}

static enum attest_state because(enum attest_state s, const char *text)
{
	reason = text;
	return s;
}

/* Physical memory outside the hypervisor. */
static void copy_out(uint64_t to, const uint8_t *from, size_t n)
{
	while (n != 0) {
		size_t offset = to & (PAGE_SIZE - 1);
		size_t piece = PAGE_SIZE - offset < n ? PAGE_SIZE - offset : n;
		uint8_t *w = arch_window_open(0, hpa(to - offset));

		__builtin_memcpy(w + offset, from, piece);
		arch_window_close(0);
		to += piece;
		from += piece;
		n -= piece;
	}
}

static uint8_t exchange8(uint64_t at, uint8_t v)
{
	uint8_t *w = arch_window_open(0, hpa(align_down(at, PAGE_SIZE)));
	uint8_t old = w[at & (PAGE_SIZE - 1)];

	w[at & (PAGE_SIZE - 1)] = v;
	arch_window_close(0);
	return old;
}

/* Sends command[0..n); the answer's bytes are in answer. */
static enum attest_state ask(size_t n)
{
	enum tis_error e = tis_command(ATTEST_LOCALITY, command, n, answer, &answered);
	uint32_t code;

	if (e != TIS_OK) {
		return because(ATTEST_TPM_ERROR, e == TIS_TIMEOUT
							 ? "the TPM does not answer in time"
							 : "the TPM's answer is malformed");
	}
	code = tpm2_answer_code(answer, answered);
	if (code == TPM2_RC_SUCCESS) {
		return ATTEST_OK;
	}
	log_warn("TPM: command %x refused: %x", command[9], code);
	return code == TPM2_RC_LOCALITY
		       ? because(ATTEST_NO_LOCALITY, "the TPM refuses PCR 22 at locality 2")
		       : because(ATTEST_TPM_ERROR, "the TPM refused a command");
}

static enum attest_state malformed(void)
{
	return because(ATTEST_TPM_ERROR, "the TPM's answer is malformed");
}

static bool in_log(const struct tcglog *l, uint16_t alg)
{
	for (uint32_t i = 0; i < l->alg_count; i++) {
		if (l->alg[i].id == alg) {
			return true;
		}
	}
	return false;
}

/*
 * The active banks are those of the firmware's log, and the firmware extended each: where PCR 0 is still zero, the root could put into
 * that bank whatever it likes to have been booted.
 */
static enum attest_state check_banks(const struct tcglog *l)
{
	static const uint8_t zero[64];
	struct tpm2_banks banks;
	struct tpm2_digests d;
	enum attest_state s = ask(tpm2_put_get_banks(command));

	if (s != ATTEST_OK) {
		return s;
	}
	if (!tpm2_take_banks(answer, answered, &banks)) {
		return malformed();
	}
	for (uint32_t i = 0; i < banks.count; i++) {
		s = ask(tpm2_put_pcr_read(command, banks.alg[i], 0));
		if (s != ATTEST_OK) {
			return s;
		}
		if (!tpm2_take_pcr(answer, answered, banks.alg[i], &d)) {
			return malformed();
		}
		if (__builtin_memcmp(d.bank[0].bytes, zero, d.bank[0].size) == 0 ||
		    !in_log(l, banks.alg[i])) {
			log_warn("TPM: bank %x is active, but the firmware never extended it",
				 banks.alg[i]);
			return because(ATTEST_EMPTY_BANK,
				       "an active PCR bank that the firmware never extended");
		}
	}
	return banks.count == l->alg_count
		       ? ATTEST_OK
		       : because(ATTEST_NO_LOG,
				 "the event log has a bank that the TPM does not have");
}

/* The digests that the TPM returned, in the order of the log's header. */
static bool append(const struct boot_handoff *h, const struct tpm2_digests *d, size_t data)
{
	static struct tpm_digest ordered[TCGLOG_ALG_MAX];
	const struct tcglog *l = &h->tcg.log;
	size_t n;

	for (uint32_t i = 0; i < l->alg_count; i++) {
		uint32_t k = 0;

		while (k < d->count && d->bank[k].alg != l->alg[i].id) {
			k++;
		}
		if (k == d->count || d->bank[k].size != l->alg[i].size) {
			return false;
		}
		ordered[i].alg = d->bank[k].alg;
		ordered[i].n = d->bank[k].size;
		__builtin_memcpy(ordered[i].bytes, d->bank[k].bytes, sizeof(ordered[i].bytes));
	}
	n = log_entry_write(ATTEST_PCR, EV_EVENT_TAG, ordered, l->alg_count, event, (uint32_t)data,
			    entry, sizeof(entry));
	if (n == 0 || n > h->tcg.room - log_size || d->count != l->alg_count) {
		return false;
	}
	copy_out(h->tcg.base + log_size, entry, n);
	log_size += (uint32_t)n;
	return true;
}

static enum attest_state extend(const struct boot_handoff *h, const struct attest_event *e)
{
	size_t n = attest_event_write(e, event, sizeof(event));
	struct tpm2_digests d;
	enum attest_state s;

	CHECK(n != 0);
	s = ask(tpm2_put_pcr_event(command, ATTEST_PCR, event, n));
	if (s != ATTEST_OK) {
		return s;
	}
	if (!tpm2_take_event(answer, answered, &d)) {
		return malformed();
	}
	return append(h, &d, n)
		       ? ATTEST_OK
		       : because(ATTEST_TPM_ERROR, "the TPM's digests do not fit the event log");
}

static void text_of(struct attest_event *e, const char *text)
{
	if (e->bytes <= ATTEST_TEXT_MAX) {
		e->has_text = true;
		e->text = (struct span){ (const uint8_t *)text, (size_t)e->bytes };
	}
}

static enum attest_state extend_measured(const struct boot_handoff *h)
{
	enum attest_state s = ATTEST_OK;

	for (uint32_t what = ATTEST_HYPERVISOR; what <= ATTEST_VTL1 && s == ATTEST_OK; what++) {
		const struct handoff_measured *m = &h->measured[what];
		struct attest_event e = { .what = (enum attest_what)what, .bytes = m->bytes };

		if (!m->present) {
			continue;
		}
		__builtin_memcpy(e.digest, m->digest, sizeof(e.digest));
		if (what == ATTEST_HYPERVISOR) {
			e.svn = REDOUBT_SVN;
		} else if (what == ATTEST_OPTIONS) {
			text_of(&e, h->options_text);
		} else if (what == ATTEST_CMDLINE) {
			text_of(&e, handoff_root_cmdline(h));
		}
		s = extend(h, &e);
	}
	return s;
}

static enum attest_state extend_key(const struct boot_handoff *h)
{
	struct attest_event e = { .what = ATTEST_KEY };
	uint8_t cose[REPORT_COSE_SIZE];
	enum attest_state s;

	e.bytes = report_key_cose(cose, sizeof(cose));
	sha384(cose, e.bytes, e.digest);
	e.key = (struct span){ cose, (size_t)e.bytes };
	__builtin_memcpy(e.seed, report_key_bootseed(), sizeof(e.seed));
	s = extend(h, &e);
	if (s != ATTEST_OK) {
		return s;
	}
	return extend(h, &(struct attest_event){ .what = ATTEST_END });
}

/* Everything at locality 2. The key is made here, from the TPM's randomness too. */
static enum attest_state with_tpm(const struct boot_handoff *h)
{
	uint8_t entropy[ENTROPY];
	enum attest_state s = check_banks(&h->tcg.log);

	if (s == ATTEST_OK) {
		s = ask(tpm2_put_pcr_reset(command, ATTEST_PCR));
	}
	if (s == ATTEST_OK) {
		s = extend_measured(h);
	}
	if (s == ATTEST_OK) {
		s = ask(tpm2_put_get_random(command, ENTROPY));
	}
	if (s != ATTEST_OK) {
		return s;
	}
	if (!tpm2_take_random(answer, answered, entropy, ENTROPY)) {
		return malformed();
	}
	s = report_key_make(entropy, ENTROPY);
	__builtin_memset(entropy, 0, sizeof(entropy));
	__builtin_memset(answer, 0, sizeof(answer));
	return s == ATTEST_OK ? extend_key(h)
			      : because(s, "no healthy source of randomness for the report key");
}

/* The table that Debian's kernel reads to find the log; its checksum is kept right. */
static void show_log(const struct acpi_info *a)
{
	uint8_t sum = 0;

	if (a->tpm2_addr == 0 || !a->tpm2_log) {
		log_warn(
			"ACPI TPM2: no room for the event log's address: the root cannot read the log");
		return;
	}
	for (uint32_t i = 0; i < ACPI_TPM2_END - ACPI_TPM2_LENGTH; i++) {
		uint8_t v = i < 4 ? (uint8_t)(log_size >> 8 * i)
				  : (uint8_t)(log_base.v >> 8 * (i - 4));

		sum = (uint8_t)(sum + exchange8(a->tpm2_addr + ACPI_TPM2_LENGTH + i, v) - v);
	}
	sum = (uint8_t)(sum + exchange8(a->tpm2_addr + CHECKSUM, 0));
	(void)exchange8(a->tpm2_addr + CHECKSUM, sum);
}

/* What can be said before the TPM is asked. */
static enum attest_state before(const struct boot_handoff *h)
{
	bool tpm2 = h->acpi.tpm2_addr != 0;

	switch (h->tcg.why) {
	case HANDOFF_TCG_NO_LOADER:
		return because(ATTEST_NO_LOADER,
			       "the loader is not measured: boot by UEFI and GRUB");
	case HANDOFF_TCG_NO_PROTOCOL:
		break;
	case HANDOFF_TCG_OK:
		if (tpm2 && h->acpi.tpm2_method == ACPI_TPM2_TIS) {
			return ATTEST_OK;
		}
		break;
	case HANDOFF_TCG_TRUNCATED:
		return because(ATTEST_NO_LOG, "the firmware's event log is truncated");
	case HANDOFF_TCG_FINAL:
		return because(ATTEST_NO_LOG,
			       "the firmware's table of final events is missing or damaged");
	default:
		return because(ATTEST_NO_LOG,
			       "the firmware keeps no event log of the crypto-agile form");
	}
	if (h->acpi.tpm12) {
		return because(ATTEST_NO_TPM, "the TPM is a TPM 1.2");
	}
	return because(ATTEST_NO_TPM,
		       tpm2 ? "the TPM has no TIS interface (CRB or another)" : "no TPM 2.0");
}

void attest_start(const struct boot_handoff *h)
{
	log_size = 0;
	state = before(h);
	if (state == ATTEST_OK) {
		enum tis_error e = tis_open(ATTEST_LOCALITY);

		log_base = hpa(h->tcg.base);
		log_size = h->tcg.size;
		state = e == TIS_OK ? with_tpm(h)
			: e == TIS_ABSENT
				? because(ATTEST_NO_TPM, "no TPM answers at its address")
				: because(ATTEST_NO_LOCALITY, "the TPM does not grant locality 2");
		if (e == TIS_OK) {
			tis_close(ATTEST_LOCALITY);
		}
		show_log(&h->acpi);
	}
	if (!report_key_exists() && report_key_make(NULL, 0) != ATTEST_OK) {
		log_warn("no report key: no healthy source of randomness");
	}
	if (state == ATTEST_OK) {
		reason = "yes";
		log_info("attestation: firmware's and own events in the log, %u bytes", log_size);
	} else {
		log_warn("NOT ATTESTABLE: %s", reason);
	}
}
