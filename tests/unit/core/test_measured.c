// SPDX-License-Identifier: MIT
/* Measured boot against a TPM of ours behind TIS registers: what it is told, what the log says, and every reason of failure. */
#include "tests/unit/core/core_test.h"

#include "hv/arch/fake/fake.h"
#include "hv/core/attest.h"
#include "hv/core/hypercall.h"
#include "hv/core/report_key.h"
#include "hv/core/tpm_tis.h"
#include "hv/wire/tcglog.h"
#include "hv/wire/tpm2.h"
#include "tests/guest/tcg_log.h"

#define LOG_AT FAKE_NVS_BASE
#define LOG_ROOM 0x8000u
#define TABLE_AT (FAKE_ACPI_BASE + 0xfd0) /* across a page's end */

enum fault {
	NONE,
	ABSENT,
	NO_LOCALITY, /* never granted */
	SEIZE_ONLY,  /* granted to who seizes */
	NEVER_READY,
	NEVER_ANSWERS,
	EXPECTS_MORE,
	NO_BURST,
	SLOW_TAKING, /* a second and a half for each byte */
	SLOW_GIVING,
	HUGE_ANSWER,
	LEFT_OVER,     /* more data than the answer's size */
	REFUSES_RESET, /* TPM_RC_LOCALITY */
	REFUSES_EVENT,
	EMPTY_BANK,   /* PCR 0 of SHA-256 is zero */
	EXTRA_BANK,   /* active, not in the firmware's log */
	MISSING_BANK, /* in the log, not active */
	EQUAL_RANDOM,
	SHORT_RANDOM,
	ONE_DIGEST,
	FAULTS
};

static struct {
	enum fault fault;
	int active;
	bool seen_close, waits;
	uint8_t in[2048], out[2048];
	size_t n, out_n, out_at;
	bool done;
	uint32_t resets, events;
	uint8_t event[16][TPM2_EVENT_MAX];
	size_t event_n[16];
} tpm;

static struct boot_handoff h;

static void be(uint32_t v, unsigned bytes)
{
	while (bytes-- != 0) {
		tpm.out[tpm.out_n++] = (uint8_t)(v >> 8 * bytes);
	}
}

static uint32_t in32(size_t at)
{
	return (uint32_t)tpm.in[at] << 24 | (uint32_t)tpm.in[at + 1] << 16 |
	       (uint32_t)tpm.in[at + 2] << 8 | tpm.in[at + 3];
}

static void bank(uint16_t alg, uint8_t bits)
{
	be(alg, 2);
	be(3, 1);
	be(bits, 1);
	be(0, 2);
}

static void digest(uint16_t alg, uint8_t fill)
{
	be(alg, 2);
	for (uint32_t i = 0; i < tcglog_digest_size(alg); i++) {
		be(fill, 1);
	}
}

static uint32_t answer_body(uint32_t code)
{
	size_t size_at;
	uint16_t n;

	switch (code) {
	case 0x17a: /* GetCapability */
		be(0, 1);
		be(5, 4);
		be(tpm.fault == EXTRA_BANK ? 4 : 3, 4);
		bank(TCG_ALG_SHA1, tpm.fault == MISSING_BANK ? 0 : 0xff);
		bank(TCG_ALG_SHA256, 0xff);
		bank(TCG_ALG_SHA512, 0); /* not active */
		if (tpm.fault == EXTRA_BANK) {
			bank(TCG_ALG_SHA384, 0xff);
		}
		return 0;
	case 0x17e: /* PCR_Read */
		n = (uint16_t)(tpm.in[14] << 8 | tpm.in[15]);
		be(7, 4);
		be(1, 4);
		bank(n, 1);
		be(1, 4);
		be(tcglog_digest_size(n), 2);
		for (uint32_t i = 0; i < tcglog_digest_size(n); i++) {
			be(tpm.fault == EMPTY_BANK && n == TCG_ALG_SHA256 ? 0 : i, 1);
		}
		return 0;
	case 0x13d: /* PCR_Reset */
		assert_int_equal(in32(10), 22);
		tpm.resets++;
		be(0, 4);
		be(0, 2);
		be(1, 1);
		be(0, 2);
		return tpm.fault == REFUSES_RESET ? 0x907 : 0;
	case 0x13c: /* PCR_Event */
		assert_int_equal(in32(10), 22);
		assert_true(tpm.events < 16);
		n = (uint16_t)(tpm.in[27] << 8 | tpm.in[28]);
		assert_int_equal(29u + n, tpm.n);
		memcpy(tpm.event[tpm.events], tpm.in + 29, n);
		tpm.event_n[tpm.events++] = n;
		size_at = tpm.out_n;
		be(0, 4);
		be(tpm.fault == ONE_DIGEST ? 1 : 3, 4);
		if (tpm.fault !=
		    ONE_DIGEST) { /* of a bank that is not active: hashed all the same */
			digest(TCG_ALG_SHA384, 0xee);
		}
		digest(TCG_ALG_SHA256,
		       (uint8_t)(0xa0 + tpm.events)); /* not in the header's order */
		if (tpm.fault != ONE_DIGEST) {
			digest(TCG_ALG_SHA1, (uint8_t)(0x50 + tpm.events));
		}
		tpm.out[size_at + 3] = (uint8_t)(tpm.out_n - size_at - 4);
		be(0, 2);
		be(1, 1);
		be(0, 2);
		return tpm.fault == REFUSES_EVENT ? 0x101 : 0;
	case 0x17b: /* GetRandom */
		n = (uint16_t)(tpm.in[10] << 8 | tpm.in[11]);
		if (tpm.fault == SHORT_RANDOM) {
			n--;
		}
		be(n, 2);
		for (uint32_t i = 0; i < n; i++) {
			be(tpm.fault == EQUAL_RANDOM ? 0x11 : i * 37 + 5, 1);
		}
		return 0;
	default:
		fail_msg("unknown command %x", code);
		return 0;
	}
}

static void run(void)
{
	uint32_t rc;

	assert_int_equal(in32(2), tpm.n);
	tpm.out_n = 10;
	rc = answer_body(in32(6));
	if (rc != 0) {
		tpm.out_n = 10;
	}
	memset(tpm.out, 0, 10);
	tpm.out[0] = 0x80;
	tpm.out[1] = rc != 0 ? 1 : tpm.in[1];
	tpm.out[4] = (uint8_t)(tpm.out_n >> 8);
	tpm.out[5] = (uint8_t)tpm.out_n;
	tpm.out[8] = (uint8_t)(rc >> 8);
	tpm.out[9] = (uint8_t)rc;
	if (tpm.fault == HUGE_ANSWER) {
		tpm.out[3] = 1;
	}
	if (tpm.fault == LEFT_OVER) {
		tpm.out_n++;
	}
	tpm.out_at = 0;
	tpm.done = true;
}

static uint32_t sts(void)
{
	bool slow = tpm.fault == (tpm.done ? SLOW_GIVING : SLOW_TAKING) && tpm.n != 0;
	uint32_t v = 0x80;

	tpm.waits = slow ? !tpm.waits : false;
	fake.tsc += tpm.waits ? FAKE_TSC_HZ * 3 / 2 : 0;
	v |= tpm.fault == NO_BURST || tpm.waits ? 0 : 3u << 8;

	if (tpm.done) {
		return v | (tpm.out_at < tpm.out_n ? 0x10 : 0);
	}
	if (tpm.n == 0) {
		return v | (tpm.fault == NEVER_READY ? 0 : 0x40);
	}
	return v | (tpm.n < 6 || tpm.n < in32(2) || tpm.fault == EXPECTS_MORE ? 0x08 : 0);
}

static uint64_t tis_read(uint64_t offset, unsigned size)
{
	int locality = (int)(offset >> 12);

	if (tpm.fault == ABSENT) {
		return UINT64_MAX;
	}
	switch (offset & 0xfff) {
	case 0x00:
		assert_int_equal(size, 1);
		return 0x80 | (tpm.active == locality ? 0x20 : 0);
	case 0x18:
		return tpm.active == locality ? sts() : 0xffffffff;
	case 0x24:
		assert_int_equal(size, 1);
		assert_true(tpm.active == locality && tpm.done && tpm.out_at < tpm.out_n);
		return tpm.out[tpm.out_at++];
	default:
		fail_msg("read of %lx", (unsigned long)offset);
		return 0;
	}
}

static void tis_write(uint64_t offset, unsigned size, uint64_t v)
{
	int locality = (int)(offset >> 12);

	switch (offset & 0xfff) {
	case 0x00:
		if (v == 0x20 && tpm.active == locality) {
			tpm.seen_close = locality == 2;
			tpm.active = -1;
		} else if (v == 0x02 && tpm.active < 0 && tpm.fault != NO_LOCALITY &&
			   tpm.fault != SEIZE_ONLY) {
			tpm.active = locality;
		} else if (v == 0x08 && tpm.fault == SEIZE_ONLY) {
			tpm.active = locality;
		}
		break;
	case 0x18:
		assert_int_equal(locality, tpm.active);
		if (v == 0x40) {
			tpm.n = tpm.out_n = tpm.out_at = 0;
			tpm.done = false;
		} else if (v == 0x20 && tpm.fault != NEVER_ANSWERS) {
			run();
		}
		break;
	case 0x24:
		assert_int_equal(size, 1);
		assert_true(locality == tpm.active && !tpm.done && tpm.n < sizeof(tpm.in));
		tpm.in[tpm.n++] = (uint8_t)v;
		break;
	default:
		fail_msg("write of %lx", (unsigned long)offset);
	}
}

static size_t header(uint8_t *p)
{
	struct tpm_digest banks[2] = { { TCG_ALG_SHA1, 20, { 0 } }, { TCG_ALG_SHA256, 32, { 0 } } };

	return tcg_log_header(banks, 2, p, LOG_ROOM);
}

static void table(void)
{
	uint8_t *t = fake_ram(TABLE_AT);
	uint8_t sum = 0;

	memset(t, 0, ACPI_TPM2_END);
	memcpy(t, "TPM2", 4);
	t[4] = ACPI_TPM2_END;
	t[48] = ACPI_TPM2_TIS;
	memset(t + ACPI_TPM2_LENGTH, 0x77, 12);
	for (uint32_t i = 0; i < ACPI_TPM2_END; i++) {
		sum = (uint8_t)(sum + t[i]);
	}
	t[9] = (uint8_t)-sum;
}

static void measured(uint32_t what, uint8_t fill, uint64_t bytes)
{
	h.measured[what].present = true;
	h.measured[what].bytes = bytes;
	memset(h.measured[what].digest, fill, ATTEST_DIGEST);
}

/* A machine that can be attested, but for the fault. */
static void machine(enum fault fault)
{
	struct bootinfo_module *k;

	fake_bare();
	memset(&tpm, 0, sizeof(tpm));
	tpm.fault = fault;
	tpm.active = fault == SEIZE_ONLY ? 3 : 0; /* 0: where firmware leaves it */
	fake.device_base = TIS_BASE;
	fake.device_size = TIS_LOCALITIES * TIS_LOCALITY_BYTES;
	fake.device_read = tis_read;
	fake.device_write = tis_write;
	fake.tsc_step = FAKE_TSC_HZ / 1000;
	memset(&h, 0, sizeof(h));
	h.tcg.why = HANDOFF_TCG_OK;
	h.tcg.base = LOG_AT;
	h.tcg.room = LOG_ROOM;
	memset(fake_ram(LOG_AT), 0, LOG_ROOM);
	h.tcg.size = (uint32_t)header(fake_ram(LOG_AT));
	assert_true(tcglog_open(fake_ram(LOG_AT), h.tcg.size, &h.tcg.log));
	table();
	h.acpi.tpm2_addr = TABLE_AT;
	h.acpi.tpm2_log = true;
	h.acpi.tpm2_method = ACPI_TPM2_TIS;
	h.info.module_count = 1;
	k = &h.info.module[0];
	k->role = BOOTINFO_ROLE_KERNEL;
	strcpy(k->args, "root=/dev/sda1");
	strcpy(h.options_text, "pool=64M");
	measured(ATTEST_HYPERVISOR, 1, 262144);
	measured(ATTEST_OPTIONS, 2, strlen(h.options_text));
	measured(ATTEST_KERNEL, 3, 9000000);
	measured(ATTEST_CMDLINE, 5, strlen(k->args));
}

/* The root is told the same by the hypercall that its attestation agent makes. */
static void root_is_told(void)
{
	uint8_t in[PAGE_SIZE], out[PAGE_SIZE] = { 0 };
	struct hcall call = { .in = in, .out = out };
	const struct rd_report_key *key = (const struct rd_report_key *)out;

	assert_int_equal(hc_get_report_key(NULL, &call), HV_SUCCESS);
	assert_int_equal(key->state, attest_state());
	assert_int_equal(key->size != 0, report_key_exists());
}

static void expect(enum fault fault, enum attest_state state, const char *words)
{
	uint64_t begin;

	machine(fault);
	begin = fake.tsc;
	attest_start(&h);
	assert_true(fake.tsc - begin < FAKE_TSC_HZ * 35); /* nobody holds up the boot */
	if (attest_state() != state || strstr(attest_reason(), words) == NULL) {
		fail_msg("fault %d: state %d, \"%s\"", fault, attest_state(), attest_reason());
	}
	root_is_told();
	assert_true(tpm.active == -1 || tpm.fault == ABSENT || tpm.fault == NO_LOCALITY);
}

static void test_complete(void **state)
{
	static const uint32_t order[] = { ATTEST_HYPERVISOR, ATTEST_OPTIONS, ATTEST_KERNEL,
					  ATTEST_CMDLINE,    ATTEST_KEY,     ATTEST_END };
	struct attest_event e;
	struct wire_fault why;
	uint8_t cose[REPORT_COSE_SIZE];
	const uint8_t *p = fake_ram(LOG_AT);
	uint32_t size, at;

	(void)state;
	expect(NONE, ATTEST_OK, "yes");
	assert_true(tpm.seen_close);
	assert_int_equal(tpm.resets, 1);
	assert_int_equal(tpm.events, 6);
	size = le32(fake_ram(TABLE_AT) + ACPI_TPM2_LENGTH);
	assert_true(size > h.tcg.size && size <= LOG_ROOM);
	at = h.tcg.size;
	for (uint32_t i = 0; i < 6; i++) {
		const uint8_t *q = p + at;

		assert_true(attest_event_parse(tpm.event[i], tpm.event_n[i], &e, &why));
		assert_int_equal(e.what, order[i]);
		/* PCR, type, digests in the header's order, data as the TPM got it. */
		assert_int_equal(le32(q), 22);
		assert_int_equal(le32(q + 4), EV_EVENT_TAG);
		assert_int_equal(le32(q + 8), 2);
		assert_int_equal(le16(q + 12), TCG_ALG_SHA1);
		assert_int_equal(q[14], 0x51 + i);
		assert_int_equal(le16(q + 34), TCG_ALG_SHA256);
		assert_int_equal(q[36], 0xa1 + i);
		assert_int_equal(le32(q + 68), tpm.event_n[i]);
		assert_memory_equal(q + 72, tpm.event[i], tpm.event_n[i]);
		at += tcglog_event_size(&h.tcg.log, q, size - at);
	}
	assert_int_equal(at, size);
	assert_true(attest_event_parse(tpm.event[1], tpm.event_n[1], &e, &why));
	assert_true(e.has_text && e.text.n == 8);
	assert_memory_equal(e.text.at, "pool=64M", 8);
	assert_true(attest_event_parse(tpm.event[4], tpm.event_n[4], &e, &why));
	assert_int_equal(report_key_cose(cose, sizeof(cose)), e.key.n);
	assert_memory_equal(e.key.at, cose, e.key.n);
	assert_memory_equal(e.seed, report_key_bootseed(), ATTEST_SEED);
}

static void test_table(void **state)
{
	const uint8_t *t = fake_ram(TABLE_AT);
	uint8_t sum = 0;

	(void)state;
	expect(NONE, ATTEST_OK, "yes");
	assert_int_equal(le64(t + ACPI_TPM2_ADDRESS), LOG_AT);
	for (uint32_t i = 0; i < ACPI_TPM2_END; i++) {
		sum = (uint8_t)(sum + t[i]);
	}
	assert_int_equal(sum, 0);
}

static void test_long_text(void **state)
{
	struct attest_event e;
	struct wire_fault why;

	(void)state;
	machine(NONE);
	h.measured[ATTEST_CMDLINE].bytes = ATTEST_TEXT_MAX + 1;
	attest_start(&h);
	assert_int_equal(attest_state(), ATTEST_OK);
	assert_true(attest_event_parse(tpm.event[3], tpm.event_n[3], &e, &why));
	assert_false(e.has_text);
}

static void test_faults(void **state)
{
	(void)state;
	expect(ABSENT, ATTEST_NO_LOCALITY, "not answer");
	expect(NO_LOCALITY, ATTEST_NO_LOCALITY, "grant");
	expect(SEIZE_ONLY, ATTEST_OK, "yes");
	expect(NEVER_READY, ATTEST_TPM_ERROR, "no whole answer");
	expect(NEVER_ANSWERS, ATTEST_TPM_ERROR, "no whole answer");
	expect(EXPECTS_MORE, ATTEST_TPM_ERROR, "no whole answer");
	expect(NO_BURST, ATTEST_TPM_ERROR, "no whole answer");
	expect(SLOW_TAKING, ATTEST_TPM_ERROR, "no whole answer");
	expect(SLOW_GIVING, ATTEST_TPM_ERROR, "no whole answer");
	expect(HUGE_ANSWER, ATTEST_TPM_ERROR, "no whole answer");
	expect(LEFT_OVER, ATTEST_TPM_ERROR, "no whole answer");
	expect(REFUSES_RESET, ATTEST_NO_LOCALITY, "refuses PCR 22");
	expect(REFUSES_EVENT, ATTEST_TPM_ERROR, "refused");
	expect(EMPTY_BANK, ATTEST_EMPTY_BANK, "never extended");
	expect(EXTRA_BANK, ATTEST_EMPTY_BANK, "never extended");
	expect(MISSING_BANK, ATTEST_NO_LOG, "does not have");
	expect(EQUAL_RANDOM, ATTEST_NO_RANDOM, "randomness");
	expect(SHORT_RANDOM, ATTEST_TPM_ERROR, "no whole answer");
	expect(ONE_DIGEST, ATTEST_TPM_ERROR, "do not fit");
}

static void test_full_log(void **state)
{
	(void)state;
	machine(NONE);
	h.tcg.room = h.tcg.size + 100;
	attest_start(&h);
	assert_int_equal(attest_state(), ATTEST_TPM_ERROR);
}

static void test_no_randomness(void **state)
{
	(void)state;
	machine(NONE);
	fake.no_random = true;
	attest_start(&h);
	assert_int_equal(attest_state(), ATTEST_NO_RANDOM);
	root_is_told();
	assert_false(report_key_exists());
}

/* What is known before the TPM is asked; it is not asked then. */
static void test_before(void **state)
{
	static const struct {
		enum handoff_tcg_why why;
		uint64_t tpm2;
		uint32_t method;
		bool tpm12;
		enum attest_state state;
		const char *words;
	} cases[] = {
		{ HANDOFF_TCG_NO_LOADER, TABLE_AT, 6, false, ATTEST_NO_LOADER, "loader" },
		{ HANDOFF_TCG_NO_PROTOCOL, 0, 0, false, ATTEST_NO_TPM, "no TPM 2.0" },
		{ HANDOFF_TCG_NO_PROTOCOL, 0, 0, true, ATTEST_NO_TPM, "TPM 1.2" },
		{ HANDOFF_TCG_OK, TABLE_AT, ACPI_TPM2_CRB, false, ATTEST_NO_TPM, "CRB" },
		{ HANDOFF_TCG_OK, 0, 0, false, ATTEST_NO_TPM, "no TPM 2.0" },
		{ HANDOFF_TCG_NO_LOG, TABLE_AT, 6, false, ATTEST_NO_LOG, "no complete event log" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		machine(NONE);
		h.tcg.why = cases[i].why;
		h.acpi.tpm2_addr = cases[i].tpm2;
		h.acpi.tpm2_method = cases[i].method;
		h.acpi.tpm12 = cases[i].tpm12;
		attest_start(&h);
		assert_int_equal(attest_state(), cases[i].state);
		assert_non_null(strstr(attest_reason(), cases[i].words));
		assert_int_equal(tpm.events + tpm.resets, 0);
		assert_int_equal(fake.mmio_count, 0);
		assert_int_equal(le32(fake_ram(TABLE_AT) + ACPI_TPM2_LENGTH), 0x77777777);
		assert_true(report_key_exists());
		root_is_told();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complete),  cmocka_unit_test(test_table),
		cmocka_unit_test(test_long_text), cmocka_unit_test(test_faults),
		cmocka_unit_test(test_full_log),  cmocka_unit_test(test_no_randomness),
		cmocka_unit_test(test_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
