/* SPDX-License-Identifier: MIT */
#include "hv/core/sha384.h"

void sha384_start(struct sha384 *s)
{
	crypto_hash_start(&s->hash);
}

void sha384_add(struct sha384 *s, const void *bytes, size_t n)
{
	crypto_hash_add(&s->hash, bytes, n);
}

void sha384_end(struct sha384 *s, uint8_t out[48])
{
	crypto_hash_end(&s->hash, out);
}

void sha384(const void *bytes, size_t n, uint8_t out[48])
{
	struct sha384 s;

	sha384_start(&s);
	sha384_add(&s, bytes, n);
	sha384_end(&s, out);
}
