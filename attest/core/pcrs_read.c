/* SPDX-License-Identifier: MIT */
/* Files of PCR values: text, or what tpm2_quote -o writes. */
#include "attest/core/tpm.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define WHAT "PCR values"
#define REMEDY \
	"write one 'bank:index hexadecimal' a line, as in sha256:0 00..ff, or give the file of tpm2_quote -o"

bool tpm_pcrs_add(struct tpm_pcrs *p, uint16_t bank, uint64_t index, const uint8_t *bytes, size_t n)
{
	struct tpm_pcr *v = &p->at[p->count < TPM_PCR_VALUES_MAX ? p->count : 0];

	if (p->count >= TPM_PCR_VALUES_MAX || index >= TPM_PCRS || n == 0 ||
	    tpm_digest_size(bank) != n || tpm_pcrs_find(p, bank, (uint16_t)index) != NULL) {
		return false;
	}
	v->bank = bank;
	v->index = (uint16_t)index;
	v->n = (uint16_t)n;
	memcpy(v->bytes, bytes, n);
	p->count++;
	return true;
}

const struct tpm_pcr *tpm_pcrs_find(const struct tpm_pcrs *p, uint16_t bank, uint16_t index)
{
	for (uint32_t i = 0; i < p->count; i++) {
		if (p->at[i].bank == bank && p->at[i].index == index) {
			return &p->at[i];
		}
	}
	return NULL;
}

struct bank_name {
	char name[8];
	uint16_t alg;
};

static const struct bank_name names[] = { { "sha1", TPM_ALG_SHA1 },
					  { "sha256", TPM_ALG_SHA256 },
					  { "sha384", TPM_ALG_SHA384 },
					  { "sha512", TPM_ALG_SHA512 },
					  { "sm3_256", TPM_ALG_SM3_256 } };

uint16_t tpm_bank_by_name(const char *name, size_t n)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (n < sizeof(names[i].name) && memcmp(names[i].name, name, n) == 0 &&
		    names[i].name[n] == '\0') {
			return names[i].alg;
		}
	}
	return 0;
}

static int hex(uint8_t c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* One line, without its end. */
static bool line_parse(const uint8_t *p, size_t n, struct tpm_pcrs *out)
{
	uint8_t digest[TPM_DIGEST_MAX];
	uint32_t index = 0;
	size_t i = 0, digits = 0, bytes = 0;
	uint16_t bank;

	while (i < n && p[i] != ':') {
		i++;
	}
	bank = tpm_bank_by_name((const char *)p, i);
	for (i++; i < n && p[i] >= '0' && p[i] <= '9' && digits < 3; i++, digits++) {
		index = 10 * index + (uint32_t)(p[i] - '0');
	}
	if (bank == 0 || digits == 0 || i >= n || p[i] != ' ') {
		return false;
	}
	for (i++; i + 1 < n && bytes < sizeof(digest); i += 2) {
		int high = hex(p[i]), low = hex(p[i + 1]);

		if (high < 0 || low < 0) {
			return false;
		}
		digest[bytes++] = (uint8_t)(high << 4 | low);
	}
	return i == n && tpm_pcrs_add(out, bank, index, digest, bytes);
}

static bool text_parse(const uint8_t *bytes, size_t n, struct tpm_pcrs *p, struct wire_fault *why)
{
	uint64_t number = 1;
	size_t at = 0;

	while (at < n) {
		size_t end = at;

		while (end < n && bytes[end] != '\n') {
			end++;
		}
		if (end != at && bytes[at] != '#' && !line_parse(bytes + at, end - at, p)) {
			return wire_fail(why, WHAT, "line is malformed, or a PCR is there twice",
					 REMEDY, number);
		}
		at = end + 1;
		number++;
	}
	if (p->count == 0) {
		return wire_fail(why, WHAT, "no value", REMEDY, 0);
	}
	return true;
}

/*
 * tpm2_quote -o (tpm2-tools 5, "serialized"): TPML_PCR_SELECTION and TPML_DIGESTs as the C structures lie in memory,
 * numbers little-endian: u32 count and 16 of { u16 hash; u8 bytes; u8 select[4]; pad }; u32 lists; of each
 * u32 count and 8 of { u16 size; u8 digest[64] }. The digests are those of the selected PCRs in order.
 */
#define SELECT_BYTES 132u
#define LIST_BYTES 532u
#define LIST_ITEMS 8u

static bool serialized(const uint8_t *bytes, size_t n)
{
	return n >= SELECT_BYTES + 4 && le32(bytes) >= 1 && le32(bytes) <= TPM_BANKS_MAX &&
	       n == SELECT_BYTES + 4 + (uint64_t)le32(bytes + SELECT_BYTES) * LIST_BYTES;
}

static bool serialized_parse(const uint8_t *bytes, size_t n, struct tpm_pcrs *p,
			     struct wire_fault *why)
{
	uint32_t lists = le32(bytes + SELECT_BYTES), list = 0, item = 0;

	(void)n;
	for (uint32_t i = 0; i < le32(bytes); i++) {
		const uint8_t *select = bytes + 4 + 8 * i;

		for (uint32_t pcr = 0; pcr < TPM_PCRS; pcr++) {
			const uint8_t *at = bytes + SELECT_BYTES + 4 + (uint64_t)list * LIST_BYTES;
			uint16_t size;

			if (pcr / 8 >= select[2] || (select[3 + pcr / 8] >> (pcr % 8) & 1) == 0) {
				continue;
			}
			if (list >= lists || le32(at) > LIST_ITEMS || item >= le32(at)) {
				return wire_fail(why, WHAT, "fewer digests than selected PCRs",
						 REMEDY, pcr);
			}
			size = le16(at + 4 + 66 * item);
			if (size > TPM_DIGEST_MAX || !tpm_pcrs_add(p, le16(select), (uint16_t)pcr,
								   at + 4 + 66 * item + 2, size)) {
				return wire_fail(
					why, WHAT,
					"a digest is not of its bank, or a PCR is there twice",
					REMEDY, pcr);
			}
			item++;
			if (item == le32(at)) {
				item = 0;
				list++;
			}
		}
	}
	if (list != lists || p->count == 0) {
		return wire_fail(why, WHAT, "more digests than selected PCRs", REMEDY, lists);
	}
	return true;
}

bool tpm_pcrs_parse(const uint8_t *bytes, size_t n, struct tpm_pcrs *p, struct wire_fault *why)
{
	p->count = 0;
	return serialized(bytes, n) ? serialized_parse(bytes, n, p, why)
				    : text_parse(bytes, n, p, why);
}
