/* SPDX-License-Identifier: MIT */
/* Redoubt's own events and the entries of the log, written. Numbers in the log are little-endian. */
#include "attest/core/event.h"
#include "hv/wire/mem.h"

struct put {
	uint8_t *at;
	size_t size, n;
	bool full;
};

static void put_bytes(struct put *p, const void *bytes, size_t n)
{
	if (p->full || n > p->size - p->n) {
		p->full = true;
	} else if (n != 0) {
		memcpy(p->at + p->n, bytes, n);
		p->n += n;
	}
}

static void put_le(struct put *p, uint32_t value, unsigned int bytes)
{
	uint8_t b[4] = { (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
			 (uint8_t)(value >> 24) };

	put_bytes(p, b, bytes);
}

uint16_t tpm_digest_size(uint16_t alg)
{
	switch (alg) {
	case TPM_ALG_SHA1:
		return 20;
	case TPM_ALG_SHA256:
	case TPM_ALG_SM3_256:
		return 32;
	case TPM_ALG_SHA384:
		return 48;
	case TPM_ALG_SHA512:
		return 64;
	default:
		return 0;
	}
}

static size_t body_write(const struct attest_event *e, uint8_t *out, size_t size)
{
	bool text = e->has_text && (e->what == ATTEST_OPTIONS || e->what == ATTEST_CMDLINE);
	struct cbor_out o;

	cbor_begin(&o, out, size);
	if (e->what == ATTEST_END) {
		cbor_map(&o, 1);
		cbor_uint(&o, 1);
		cbor_uint(&o, (uint64_t)e->what);
		return cbor_end(&o);
	}
	cbor_map(&o, 3u + (text ? 1 : 0) + (e->what == ATTEST_KEY ? 2 : 0) +
			     (e->what == ATTEST_HYPERVISOR ? 1 : 0));
	cbor_uint(&o, 1);
	cbor_uint(&o, (uint64_t)e->what);
	cbor_uint(&o, 2);
	cbor_bytes(&o, e->digest, sizeof(e->digest));
	cbor_uint(&o, 3);
	cbor_uint(&o, e->bytes);
	if (text) {
		cbor_uint(&o, 4);
		cbor_bytes(&o, e->text.at, e->text.n);
	}
	if (e->what == ATTEST_KEY) {
		cbor_uint(&o, 5);
		cbor_bytes(&o, e->key.at, e->key.n);
		cbor_uint(&o, 6);
		cbor_bytes(&o, e->seed, sizeof(e->seed));
	}
	if (e->what == ATTEST_HYPERVISOR) {
		cbor_uint(&o, 7);
		cbor_uint(&o, e->svn);
	}
	return cbor_end(&o);
}

size_t attest_event_write(const struct attest_event *e, uint8_t *out, size_t size)
{
	struct put p = { out, size, 0, false };
	size_t body;

	if (size < 8) {
		return 0;
	}
	body = body_write(e, out + 8, size - 8);
	put_le(&p, ATTEST_EVENT_TAG, 4);
	put_le(&p, (uint32_t)body, 4);
	return body == 0 ? 0 : 8 + body;
}

size_t log_entry_write(uint32_t pcr, uint32_t type, const struct tpm_digest *digests,
		       uint32_t count, const uint8_t *data, uint32_t data_n, uint8_t *out,
		       size_t size)
{
	struct put p = { out, size, 0, false };

	put_le(&p, pcr, 4);
	put_le(&p, type, 4);
	put_le(&p, count, 4);
	for (uint32_t i = 0; i < count; i++) {
		if (digests[i].n > TPM_DIGEST_MAX) {
			return 0;
		}
		put_le(&p, digests[i].alg, 2);
		put_bytes(&p, digests[i].bytes, digests[i].n);
	}
	put_le(&p, data_n, 4);
	put_bytes(&p, data, data_n);
	return p.full ? 0 : p.n;
}
