// SPDX-License-Identifier: MIT
/* Event logs and bundles: what the writers make is read again; every bent byte count is refused; the rules. */
#include "tests/unit/wire/wire_test.h"

#include "attest/core/bundle.h"
#include "attest/core/cose.h"
#include "attest/core/image.h"
#include "tests/guest/tcg_log.h"

static struct tpm_digest banks[2] = { { .alg = TPM_ALG_SHA256, .n = 32 },
				      { .alg = TPM_ALG_SHA384, .n = 48 } };
static uint8_t bytes[8192];
static size_t size;

static void begin(void)
{
	size = tcg_log_header(banks, 2, bytes, sizeof(bytes));
	assert_int_not_equal(size, 0);
}

static void add(uint32_t pcr, uint32_t type, const void *data, uint32_t n)
{
	size_t more =
		log_entry_write(pcr, type, banks, 2, data, n, bytes + size, sizeof(bytes) - size);

	assert_int_not_equal(more, 0);
	size += more;
}

/* Reads all; the first rule that is broken in *bad. */
static enum log_step read_all(size_t n, bool fill, const char **bad)
{
	struct log_rules rules = { 0, 0, false, false };
	struct wire_fault why = poison();
	uint8_t *copy = exact(bytes, n);
	enum log_step step = LOG_BAD;
	struct log_event e;
	struct log l;

	*bad = NULL;
	if (log_open(&l, copy, n, &why)) {
		l.fill = fill;
		while ((step = log_next(&l, &e, &why)) == LOG_EVENT) {
			const char *rule = log_rule(&rules, &l, &e);

			*bad = *bad != NULL ? *bad : rule;
		}
	}
	if (step == LOG_BAD) {
		assert_fault(&why, NULL);
	}
	free(copy);
	return step;
}

static void test_read(void **state)
{
	const char *bad;
	size_t whole, header;

	(void)state;
	begin();
	header = size;
	add(0, EV_S_CRTM_VERSION, "1", 1);
	whole = size;
	assert_int_equal(read_all(whole, false, &bad), LOG_END);
	assert_null(bad);
	for (size_t n = 0; n < whole; n++) { /* with the header alone, it measures nothing */
		assert_int_equal(read_all(n, false, &bad), LOG_BAD);
	}
	memset(bytes + whole, 0, 5);
	assert_int_equal(read_all(whole + 5, false, &bad), LOG_BAD);
	assert_int_equal(read_all(whole + 5, true, &bad), LOG_END);
	memset(bytes + whole, 0xff, 5);
	assert_int_equal(read_all(whole + 5, true, &bad), LOG_END);
	bytes[whole + 4] = 0;
	assert_int_equal(read_all(whole + 5, true, &bad), LOG_BAD);
	bytes[header] = 24; /* PCR */
	assert_int_equal(read_all(whole, false, &bad), LOG_BAD);
	bytes[header] = 0;
	bytes[header + 12] = (uint8_t)TPM_ALG_SHA384; /* one bank twice */
	assert_int_equal(read_all(whole, false, &bad), LOG_BAD);
	bytes[header + 12] = (uint8_t)TPM_ALG_SHA1; /* one that the header lacks */
	assert_int_equal(read_all(whole, false, &bad), LOG_BAD);
	bytes[header + 12] = (uint8_t)TPM_ALG_SHA256;
	bytes[header + 8] = 3;
	assert_int_equal(read_all(whole, false, &bad), LOG_BAD);
	bytes[header + 8] = 2;
	bytes[8] = 1; /* digest of the header */
	assert_int_equal(read_all(whole, false, &bad), LOG_BAD);
	bytes[8] = 0;
	bytes[32 + 28 + 2] = 33; /* size of SHA-256 */
	assert_int_equal(read_all(whole, false, &bad), LOG_BAD);
	bytes[32 + 28 + 2] = 32;
	assert_int_equal(read_all(whole, false, &bad), LOG_END);
}

struct rule {
	uint32_t pcr, type;
	const char *data;
	uint32_t n;
	const char *bad;
};

static void test_rules(void **state)
{
	static const struct rule rules[] = {
		{ 1, EV_SEPARATOR, "\0\0\0\0", 4, NULL },
		{ 1, EV_SEPARATOR, "\0\0\0\0", 4, "a second separator of one PCR" },
		{ 2, EV_SEPARATOR, "\1\0\0\0", 4, "a separator reports a firmware error" },
		{ 3, EV_SEPARATOR, "", 0, "a separator is not four bytes" },
		{ 14, EV_SEPARATOR, "x", 1, NULL },
		{ 0, EV_NO_ACTION, "StartupLocality\0\3", 17, NULL },
		{ 0, EV_NO_ACTION, "StartupLocality\0\3", 17,
		  "StartupLocality is not the first that is said of PCR 0" },
		{ 4, 2, "x", 1, "an event of unknown type extends" },
		{ 4, 0x90000000, "x", 1, "an event of unknown type extends" },
		{ 7, EV_SEPARATOR, "\xff\xff\xff\xff", 4, NULL },
		{ 7, 0x80000001, "x", 1, "Secure Boot's variables change after their separator" },
		{ 5, 0x80000007, "Exit Boot Services Returned with Success", 40, NULL },
		{ 5, EV_ACTION, "x", 1, "an event follows ExitBootServices" },
		{ ATTEST_PCR, EV_EVENT_TAG, "x", 1, NULL },
	};
	struct log_rules r = { 0, 0, false, false };
	struct log_event e;
	struct log l = { .agile = true,
			 .banks = 2,
			 .bank = { { TPM_ALG_SHA256, 32 }, { TPM_ALG_SHA384, 48 } } };
	uint8_t digest[48] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const char *bad;

		memset(&e, 0, sizeof(e));
		e.pcr = rules[i].pcr;
		e.type = rules[i].type;
		e.digest[0] = digest;
		e.digest[1] = digest;
		e.data.at = (const uint8_t *)rules[i].data;
		e.data.n = rules[i].n;
		bad = log_rule(&r, &l, &e);
		if ((bad == NULL) != (rules[i].bad == NULL) ||
		    (bad != NULL && strcmp(bad, rules[i].bad) != 0)) {
			fail_msg("rule %zu: %s", i, bad != NULL ? bad : "nothing");
		}
	}
	digest[47] = 1; /* in one bank only */
	e.type = EV_NO_ACTION;
	assert_non_null(log_rule(&r, &l, &e));
}

/* Only what cannot be a program passes for a remark. */
static void test_remarks(void **state)
{
	static const struct {
		uint32_t type;
		const char *data;
		size_t n;
		bool remark;
	} events[] = {
		{ EV_SEPARATOR, "\0\0\0\0", 4, true },
		{ EV_SEPARATOR, "\0\0\0\0\0", 5, false },
		{ 0x80000007, "Calling EFI Application from Boot Option", 40, true },
		{ 0x80000007, "", 0, true },
		{ 0x80000007, "MZ\x90\0", 4, false },
		{ 0x80000007, "text and a NUL", 15, false },
		{ 0x80000007, "\x7f", 1, false },
		{ EV_ACTION, "text", 4, false },
		{ EV_IPL, "text", 4, false },
		{ 0x80000003, "text", 4, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		struct log_event e = { .type = events[i].type,
				       .data = { (const uint8_t *)events[i].data, events[i].n } };

		if (log_remark(&e) != events[i].remark) {
			fail_msg("event %zu", i);
		}
	}
}

/* Lengths that lie, at each edge. */
static void test_variable(void **state)
{
	static const struct {
		uint64_t name, contents;
		size_t n; /* of the event's data */
		bool good;
	} cases[] = {
		{ 0, 0, 32, true },
		{ 0, 0, 31, false },
		{ 4, 5, 45, true },
		{ 4, 5, 44, false },
		{ 4, 5, 46, false },
		{ 4, 6, 45, false },
		{ 5, 5, 45, false },
		{ 6, 1, 45, true },
		{ 7, 0, 45, false },
		{ 0, 13, 45, true },
		{ 1ull << 63, 13, 45, false },
		{ 0, UINT64_MAX, 45, false },
		{ UINT64_MAX, 15, 45, false },
		{ 1ull << 32, 5, 45, false },
	};
	uint8_t data[64] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct log_event e = { .type = 0x80000002, .data = { data, cases[i].n } };
		struct span contents = { NULL, 0 };

		memcpy(data + 16, &cases[i].name, 8);
		memcpy(data + 24, &cases[i].contents, 8);
		if (log_variable_contents(&e, &contents) != cases[i].good) {
			fail_msg("variable %zu", i);
		}
		if (cases[i].good) {
			assert_ptr_equal(contents.at, data + 32 + 2 * cases[i].name);
			assert_int_equal(contents.n, cases[i].contents);
		}
	}
}

static struct attest_event own(enum attest_what what)
{
	static uint8_t key[COSE_KEY_MAX];
	struct attest_event e = { .what = what };

	if (what == ATTEST_KEY) {
		e.key.at = key;
		e.key.n = 100;
		e.bytes = 100;
	}
	e.has_text = what == ATTEST_OPTIONS || what == ATTEST_CMDLINE;
	return e;
}

static const char *sequence(const uint8_t *what, size_t n)
{
	struct attest_boot b = { .last = (enum attest_what)0 };
	uint8_t data[ATTEST_EVENT_MAX];
	struct wire_fault why;

	for (size_t i = 0; i < n; i++) {
		struct attest_event e = own((enum attest_what)what[i]);
		struct log_event l = { .pcr = ATTEST_PCR, .type = EV_EVENT_TAG };
		const char *bad;

		l.data.at = data;
		l.data.n = attest_event_write(&e, data, sizeof(data));
		assert_int_not_equal(l.data.n, 0);
		bad = attest_boot_event(&b, &l, &why);
		if (bad != NULL) {
			return bad;
		}
	}
	return attest_boot_end(&b);
}

static void test_sequence(void **state)
{
	static const uint8_t whole[] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	(void)state;
	assert_null(sequence(whole, sizeof(whole)));
	assert_null(sequence((const uint8_t[]){ 1, 2, 3, 5, 7, 8 }, 6));
	assert_non_null(sequence(whole, 0));
	assert_non_null(sequence((const uint8_t[]){ 1, 2, 3, 5, 7 }, 5));
	assert_non_null(sequence((const uint8_t[]){ 1, 2, 5, 7, 8 }, 5));
	assert_non_null(sequence((const uint8_t[]){ 2, 1, 3, 5, 7, 8 }, 6));
	assert_non_null(sequence((const uint8_t[]){ 1, 2, 3, 5, 7, 7, 8 }, 7));
	assert_non_null(sequence((const uint8_t[]){ 1, 2, 3, 5, 7, 8, 8 }, 7));
}

static void test_event_fields(void **state)
{
	uint8_t data[ATTEST_EVENT_MAX], text[ATTEST_TEXT_MAX + 1] = { 0 };
	struct attest_event e, again;
	struct wire_fault why;
	size_t n;

	(void)state;
	for (unsigned int what = ATTEST_HYPERVISOR; what <= ATTEST_END; what++) {
		e = own((enum attest_what)what);
		n = attest_event_write(&e, data, sizeof(data));
		assert_true(attest_event_parse(data, n, &again, &why));
		data[0] ^= 1; /* the tag */
		assert_false(attest_event_parse(data, n, &again, &why));
		data[0] ^= 1;
		data[4]++; /* the size */
		assert_false(attest_event_parse(data, n, &again, &why));
		data[4]--;
		for (size_t k = 0; k < n; k++) {
			assert_false(attest_event_parse(data, k, &again, &why));
		}
	}
	e = own(ATTEST_CMDLINE); /* longest text, and one byte more: then there may be none */
	e.text.at = text;
	e.text.n = ATTEST_TEXT_MAX;
	e.bytes = ATTEST_TEXT_MAX;
	n = attest_event_write(&e, data, sizeof(data));
	assert_true(n != 0 && attest_event_parse(data, n, &again, &why));
	e.bytes++;
	n = attest_event_write(&e, data, sizeof(data));
	assert_false(attest_event_parse(data, n, &again, &why));
	e.has_text = false;
	n = attest_event_write(&e, data, sizeof(data));
	assert_true(attest_event_parse(data, n, &again, &why));
	e.bytes = 5; /* short, and its text is missing */
	n = attest_event_write(&e, data, sizeof(data));
	assert_false(attest_event_parse(data, n, &again, &why));
}

static void test_bundle(void **state)
{
	static struct attest_bundle b, again;
	static uint8_t out[4096];
	struct wire_fault why;
	struct span some = { bytes, 10 };
	size_t n;

	(void)state;
	b.attestable = true;
	b.token = b.attest = b.signature = b.ak = b.log = b.key = some;
	assert_true(tpm_pcrs_add(&b.pcrs, TPM_ALG_SHA256, 3, bytes, 32));
	for (b.certs = 0; b.certs < 2; b.certs++) {
		n = attest_bundle_write(&b, out, sizeof(out));
		assert_true(n != 0 && attest_bundle_parse(out, n, &again, &why));
		assert_int_equal(again.certs, b.certs);
		assert_int_equal(again.pcrs.count, 1);
		for (size_t k = 0; k < n; k++) {
			uint8_t *copy = exact(out, k);

			assert_false(attest_bundle_parse(copy, k, &again, &why));
			free(copy);
		}
		b.cert[b.certs] = some;
	}
	b.pcrs.count = 0; /* no values */
	n = attest_bundle_write(&b, out, sizeof(out));
	assert_false(attest_bundle_parse(out, n, &again, &why));
	b.attestable = false;
	b.reason = ATTEST_NO_TPM;
	n = attest_bundle_write(&b, out, sizeof(out));
	assert_true(attest_bundle_parse(out, n, &again, &why) && again.reason == ATTEST_NO_TPM);
	b.reason = ATTEST_OK; /* attestable, and yet no platform */
	n = attest_bundle_write(&b, out, sizeof(out));
	assert_false(attest_bundle_parse(out, n, &again, &why));
}

static void test_image(void **state)
{
	uint8_t file[200] = { 0x7f, 'E', 'L', 'F', 1, 1, 1 };
	struct image image;
	struct wire_fault why;

	(void)state;
	file[28] = 52;
	file[42] = 32;
	file[44] = 2;
	file[52] = 1;       /* PT_LOAD */
	file[52 + 4] = 116; /* offset */
	file[52 + 13] = 16; /* address 0x1000 */
	file[52 + 16] = 10; /* bytes in the file */
	file[52 + 20] = 20; /* in memory */
	file[84] = 1;
	file[84 + 4] = 126;
	file[84 + 12] = 20;
	file[84 + 13] = 16;
	file[84 + 20] = 5;
	assert_true(image_parse(file, sizeof(file), &image, &why));
	assert_int_equal(image.count, 2);
	assert_int_equal(image.segment[1].at, 20);
	assert_int_equal(image.bytes, 25);
	file[84 + 12] = 19; /* overlaps */
	assert_false(image_parse(file, sizeof(file), &image, &why));
	file[84 + 12] = 20;
	file[84 + 16] = 6; /* more in the file than in memory */
	assert_false(image_parse(file, sizeof(file), &image, &why));
	file[84 + 16] = 0;
	for (size_t n = 0; n < 126; n++) {
		uint8_t *copy = exact(file, n);

		assert_false(image_parse(copy, n, &image, &why));
		free(copy);
	}
	file[84 + 23] = 0x7f; /* 2 GiB */
	assert_false(image_parse(file, sizeof(file), &image, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),     cmocka_unit_test(test_rules),
		cmocka_unit_test(test_remarks),  cmocka_unit_test(test_variable),
		cmocka_unit_test(test_sequence), cmocka_unit_test(test_event_fields),
		cmocka_unit_test(test_bundle),   cmocka_unit_test(test_image)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
