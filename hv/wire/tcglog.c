/* SPDX-License-Identifier: MIT */
#include "hv/wire/tcglog.h"

#include "hv/wire/mem.h"

#define OLD_HEAD 32u /* pcr, type, SHA-1 digest, size of the event */
#define SPEC_HEAD 28u
#define EV_NO_ACTION 3u

uint32_t tcglog_digest_size(uint16_t alg)
{
	switch (alg) {
	case TCG_ALG_SHA1:
		return 20;
	case TCG_ALG_SHA256:
	case TCG_ALG_SM3:
		return 32;
	case TCG_ALG_SHA384:
		return 48;
	case TCG_ALG_SHA512:
		return 64;
	default:
		return 0;
	}
}

static int find(const struct tcglog *l, uint16_t id)
{
	for (uint32_t i = 0; i < l->alg_count && i < TCGLOG_ALG_MAX; i++) {
		if (l->alg[i].id == id) {
			return (int)i;
		}
	}
	return -1;
}

bool tcglog_has(const struct tcglog *l, uint16_t alg)
{
	return find(l, alg) >= 0;
}

bool tcglog_open(const uint8_t *p, size_t n, struct tcglog *out)
{
	uint32_t size, count;

	memset(out, 0, sizeof(*out));
	if (n < OLD_HEAD + SPEC_HEAD || le32(p) != 0 || le32(p + 4) != EV_NO_ACTION) {
		return false;
	}
	size = le32(p + 28);
	if (size < SPEC_HEAD || !range_within(OLD_HEAD, size, n) ||
	    memcmp(p + OLD_HEAD, "Spec ID Event03", 16) != 0) {
		return false;
	}
	count = le32(p + OLD_HEAD + 24);
	if (count == 0 || count > TCGLOG_ALG_MAX || size - SPEC_HEAD < count * 4 + 1) {
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *a = p + OLD_HEAD + SPEC_HEAD + (size_t)i * 4;
		uint16_t id = le16(a), bytes = le16(a + 2);
		uint32_t known = tcglog_digest_size(id);

		if (bytes == 0 || bytes > 64 || (known != 0 && bytes != known) ||
		    find(out, id) >= 0) {
			return false;
		}
		out->alg[i].id = id;
		out->alg[i].size = bytes;
		out->alg_count = i + 1;
	}
	out->header = OLD_HEAD + size;
	return true;
}

uint32_t tcglog_event_size(const struct tcglog *l, const uint8_t *p, size_t n)
{
	uint32_t seen = 0, count, size;
	size_t at = 12;

	if (n < at) {
		return 0;
	}
	count = le32(p + 8);
	if (count == 0) {
		return 0;
	}
	for (uint32_t i = 0; i < count; i++) { /* each bank once: not more than the log has */
		int k;

		if (!range_within(at, 2, n)) {
			return 0;
		}
		k = find(l, le16(p + at));
		if (k < 0 || (seen & 1u << k) != 0) {
			return 0;
		}
		seen |= 1u << k;
		at += 2u + l->alg[k].size; /* whether it is all there is looked at next */
	}
	if (!range_within(at, 4, n)) {
		return 0;
	}
	size = le32(p + at);
	at += 4;
	return range_within(at, size, n) && size <= TCGLOG_MAX ? (uint32_t)(at + size) : 0;
}

size_t tcglog_events_size(const struct tcglog *l, const uint8_t *p, size_t n, uint64_t count)
{
	size_t at = 0;

	for (; count != 0; count--) {
		uint32_t size = at < n ? tcglog_event_size(l, p + at, n - at) : 0;

		if (size == 0) {
			return SIZE_MAX;
		}
		at += size;
	}
	return at;
}

size_t tcglog_size(struct tcglog *l, const uint8_t *p, size_t n, size_t last)
{
	uint32_t size;

	if (!tcglog_open(p, n, l)) {
		return 0;
	}
	if (last == 0) {
		return l->header;
	}
	size = last >= l->header && last < n ? tcglog_event_size(l, p + last, n - last) : 0;
	return size != 0 ? last + size : 0;
}

bool tcglog_final(const struct tcglog *l, const uint8_t *p, size_t n, uint64_t first,
		  uint64_t count, size_t *from, size_t *bytes)
{
	size_t all = tcglog_events_size(l, p, n, count);

	if (first > count || all == SIZE_MAX) {
		return false;
	}
	*from = tcglog_events_size(l, p, n, first); /* a part of `all`: they are there */
	*bytes = all - *from;
	return true;
}
