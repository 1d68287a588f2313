/* SPDX-License-Identifier: MIT */
/* The image as the loader puts it into memory: segments at their places, zeros between and behind them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/sha512.h>

#include "attest/core/image.h"
#include "attest/measure/measure.h"

#define FILE_MAX (64u << 20)

static void add_zeros(mbedtls_sha512_context *s, size_t n)
{
	static const uint8_t zeros[4096];

	while (n != 0) {
		size_t some = n < sizeof(zeros) ? n : sizeof(zeros);

		mbedtls_sha512_update_ret(s, zeros, some);
		n -= some;
	}
}

static void digest_of(const uint8_t *bytes, const struct image *image,
		      uint8_t digest[ATTEST_DIGEST])
{
	mbedtls_sha512_context s;
	uint8_t out[64];
	size_t at = 0;

	mbedtls_sha512_init(&s);
	mbedtls_sha512_starts_ret(&s, 1);
	for (uint32_t i = 0; i < image->count; i++) {
		add_zeros(&s, image->segment[i].at - at);
		mbedtls_sha512_update_ret(&s, bytes + image->segment[i].offset,
					  image->segment[i].bytes);
		at = (size_t)image->segment[i].at + image->segment[i].bytes;
	}
	add_zeros(&s, image->bytes - at);
	mbedtls_sha512_finish_ret(&s, out);
	mbedtls_sha512_free(&s);
	memcpy(digest, out, ATTEST_DIGEST);
}

bool measure_hypervisor(const char *path, uint8_t digest[ATTEST_DIGEST], char *text,
			unsigned int text_bytes)
{
	FILE *f = fopen(path, "re");
	uint8_t *bytes = malloc(FILE_MAX);
	struct wire_fault why;
	struct image image;
	bool ok = false;

	if (f == NULL || bytes == NULL) {
		(void)snprintf(text, text_bytes, "%s: %s", path, strerror(errno));
	} else {
		ok = image_parse(bytes, fread(bytes, 1, FILE_MAX, f), &image, &why);
		if (ok) {
			digest_of(bytes, &image, digest);
		} else {
			(void)snprintf(text, text_bytes, "%s: %s: %s: %s", path, why.what,
				       why.field, why.remedy);
		}
	}
	if (f != NULL) {
		(void)fclose(f);
	}
	free(bytes);
	return ok;
}
