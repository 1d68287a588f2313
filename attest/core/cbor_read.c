/* SPDX-License-Identifier: MIT */
/* A strict reader of deterministic CBOR. RFC 8949 sections 3 and 4.2.1. */
#include "attest/core/cbor.h"
#include "attest/core/format.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define WHAT "CBOR"
#define REMEDY \
	"send the deterministic encoding of RFC 8949 section 4.2.1, as docs/attestation.md describes"

enum major { UINT, NINT, BYTES, TEXT, ARRAY, MAP, TAG };

struct item {
	uint64_t value;
	unsigned int major;
	size_t at; /* of its head */
};

/* Takes the head of an item. NULL, or what is wrong with it. */
static const char *take_head(const uint8_t *bytes, size_t n, size_t *pos, struct item *item)
{
	unsigned int info, extra;

	item->at = *pos;
	if (*pos >= n) {
		return "an item is missing at the end";
	}
	item->major = bytes[*pos] >> 5;
	info = bytes[*pos] & 31;
	*pos += 1;
	if (item->major > TAG) {
		return "a float or simple value";
	}
	if (info > 27) {
		return "an indefinite or reserved length";
	}
	if (info < 24) {
		item->value = info;
		return NULL;
	}
	extra = 1u << (info - 24);
	if (extra > n - *pos) {
		return "an item is cut off";
	}
	item->value = 0;
	for (unsigned int i = 0; i < extra; i++) {
		item->value = item->value << 8 | bytes[*pos + i];
	}
	*pos += extra;
	if (item->value < 24 || (extra > 1 && item->value >> (4 * extra) == 0)) {
		return "an integer is not in its shortest form";
	}
	return NULL;
}

/* UTF-8 as RFC 3629 has it: no overlong forms, surrogates or values above 10FFFF. */
static bool utf8(const uint8_t *p, uint64_t n)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint64_t i = 0;

	while (i < n) {
		uint8_t c = p[i];
		unsigned int size = c < 0x80   ? 1
				    : c < 0xc2 ? 0
				    : c < 0xe0 ? 2
				    : c < 0xf0 ? 3
				    : c < 0xf5 ? 4
					       : 0;
		uint32_t code = size == 1 ? c : c & (0x7fu >> size);

		if (size == 0 || size > n - i) {
			return false;
		}
		for (unsigned int k = 1; k < size; k++) {
			if ((p[i + k] & 0xc0) != 0x80) {
				return false;
			}
			code = code << 6 | (p[i + k] & 0x3f);
		}
		if (code < least[size] || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff) {
			return false;
		}
		i += size;
	}
	return true;
}

/* An array, map or tag whose items are being read. */
struct level {
	uint64_t left; /* items */
	bool map;
	size_t key, key_n; /* the map's latest key; key_n 0: none yet */
	size_t begin;      /* of the item being read */
};

/* The item before `pos` is complete: closes levels that are full. The depth after it, or -1 for bad order of keys. */
static int complete(const uint8_t *bytes, struct level *levels, int depth, size_t pos)
{
	while (depth > 0) {
		struct level *l = &levels[depth - 1];

		/* An even number is left before a key: this was a key where it is odd afterwards. */
		if (l->map && l->left % 2 == 0) {
			size_t n = pos - l->begin, least = n < l->key_n ? n : l->key_n;

			if (l->key_n != 0) {
				int order = memcmp(bytes + l->key, bytes + l->begin, least);

				if (order > 0 || (order == 0 && l->key_n >= n)) {
					return -1;
				}
			}
			l->key = l->begin;
			l->key_n = n;
		}
		l->left--;
		l->begin = pos;
		if (l->left != 0) {
			return depth;
		}
		depth--;
	}
	return 0;
}

/* Enters the items of an array, map or tag. NULL, or what is wrong. */
static const char *enter(struct level *levels, int *depth, const struct item *item, size_t left,
			 size_t pos)
{
	uint64_t items = item->major == TAG ? 1 : item->value;

	/* Each item has a byte at least. */
	if (items > left || (item->major == MAP && items > left / 2)) {
		return "more items than bytes";
	}
	if (*depth == (int)ATTEST_DEPTH_MAX) {
		return "nested too deep";
	}
	levels[*depth].left = item->major == MAP ? 2 * items : items;
	levels[*depth].map = item->major == MAP;
	levels[*depth].key_n = 0;
	levels[*depth].begin = pos;
	*depth += 1;
	return NULL;
}

bool cbor_check(const uint8_t *bytes, size_t n, struct wire_fault *why)
{
	struct level levels[ATTEST_DEPTH_MAX];
	struct item item = { 0, 0, 0 };
	int depth = 0;
	size_t pos = 0;

	memset(levels, 0, sizeof(levels));
	do {
		const char *bad = take_head(bytes, n, &pos, &item);

		if (bad == NULL && item.major >= ARRAY && (item.major == TAG || item.value != 0)) {
			bad = enter(levels, &depth, &item, n - pos, pos);
			if (bad == NULL) {
				continue;
			}
		} else if (bad == NULL && (item.major == BYTES || item.major == TEXT)) {
			if (item.value > n - pos) {
				bad = "a string is cut off";
			} else if (item.major == TEXT && !utf8(bytes + pos, item.value)) {
				bad = "text is not UTF-8";
			} else {
				pos += (size_t)item.value;
			}
		} else if (bad == NULL && item.major >= ARRAY && depth == (int)ATTEST_DEPTH_MAX) {
			bad = "nested too deep";
		}
		if (bad == NULL) {
			depth = complete(bytes, levels, depth, pos);
			if (depth < 0) {
				bad = "a map's keys are not in order or not unique";
			}
		}
		if (bad != NULL) {
			return wire_fail(why, WHAT, bad, REMEDY, item.at);
		}
	} while (depth > 0);
	if (pos != n) {
		return wire_fail(why, WHAT, "bytes follow the item", REMEDY, pos);
	}
	wire_ok(why);
	return true;
}

void cbor_open(struct cbor_in *in, const uint8_t *bytes, size_t n)
{
	in->at = bytes;
	in->size = n;
	in->pos = 0;
	in->bad = false;
}

/* Takes an item's head if it is of this type; otherwise nothing can be taken any more. */
static uint64_t take(struct cbor_in *in, unsigned int major)
{
	struct item item = { 0, 0, 0 };
	size_t pos = in->pos;

	if (in->bad || take_head(in->at, in->size, &pos, &item) != NULL || item.major != major) {
		in->bad = true;
		return 0;
	}
	in->pos = pos;
	return item.value;
}

uint64_t cbor_take_uint(struct cbor_in *in)
{
	return take(in, UINT);
}

int64_t cbor_take_int(struct cbor_in *in)
{
	bool negative = in->pos < in->size && in->at[in->pos] >> 5 == NINT;
	uint64_t n = take(in, negative ? NINT : UINT);

	if (n > INT64_MAX) {
		in->bad = true;
		return 0;
	}
	return negative && !in->bad ? -1 - (int64_t)n : (int64_t)n;
}

static struct span take_string(struct cbor_in *in, unsigned int major)
{
	uint64_t n = take(in, major);
	struct span s = { in->at + in->pos, 0 };

	if (n > in->size - in->pos) {
		in->bad = true;
		return s;
	}
	s.n = (size_t)n;
	in->pos += s.n;
	return s;
}

struct span cbor_take_bytes(struct cbor_in *in)
{
	return take_string(in, BYTES);
}

struct span cbor_take_text(struct cbor_in *in)
{
	return take_string(in, TEXT);
}

uint64_t cbor_take_array(struct cbor_in *in)
{
	return take(in, ARRAY);
}

uint64_t cbor_take_map(struct cbor_in *in)
{
	return take(in, MAP);
}

uint64_t cbor_take_tag(struct cbor_in *in)
{
	return take(in, TAG);
}

void cbor_need_int(struct cbor_in *in, int64_t value)
{
	if (cbor_take_int(in) != value) {
		in->bad = true;
	}
}

void cbor_need_array(struct cbor_in *in, uint64_t items)
{
	if (cbor_take_array(in) != items) {
		in->bad = true;
	}
}

void cbor_need_map(struct cbor_in *in, uint64_t pairs)
{
	if (cbor_take_map(in) != pairs) {
		in->bad = true;
	}
}

void cbor_need_bytes(struct cbor_in *in, uint8_t *out, size_t n)
{
	struct span s = cbor_take_bytes(in);

	memset(out, 0, n);
	if (s.n != n) {
		in->bad = true;
		return;
	}
	memcpy(out, s.at, n);
}

bool cbor_done(const struct cbor_in *in)
{
	return !in->bad && in->pos == in->size;
}
