/* SPDX-License-Identifier: MIT */
/* The image as the loader puts it into memory: segments at their places, zeros between and behind them. */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mbedtls/sha512.h>

#include "attest/measure/measure.h"
#include "hv/wire/view.h"

#define FILE_MAX (64u << 20)
#define IMAGE_MAX (64ull << 20)

struct segment {
	uint64_t offset, at, file, memory;
};

struct elf {
	const uint8_t *bytes;
	uint64_t n;
	uint32_t count;
	bool wide;
	uint64_t table;
};

static bool open_elf(const uint8_t *bytes, uint64_t n, struct elf *e)
{
	*e = (struct elf){ .bytes = bytes, .n = n };
	if (n < sizeof(Elf64_Ehdr) || memcmp(bytes, ELFMAG, SELFMAG) != 0 ||
	    bytes[EI_DATA] != ELFDATA2LSB) {
		return false;
	}
	e->wide = bytes[EI_CLASS] == ELFCLASS64;
	if (e->wide) {
		Elf64_Ehdr h;

		memcpy(&h, bytes, sizeof(h));
		e->table = h.e_phoff;
		e->count = h.e_phentsize == sizeof(Elf64_Phdr) ? h.e_phnum : 0;
	} else {
		Elf32_Ehdr h;

		memcpy(&h, bytes, sizeof(h));
		e->table = h.e_phoff;
		e->count = h.e_phentsize == sizeof(Elf32_Phdr) ? h.e_phnum : 0;
	}
	return e->count != 0 && range_within(e->table,
					     (uint64_t)e->count * (e->wide ? sizeof(Elf64_Phdr)
									   : sizeof(Elf32_Phdr)),
					     n);
}

/* false: not one to load, or (bad) one that lies. */
static bool segment_get(const struct elf *e, uint32_t i, struct segment *s, bool *bad)
{
	uint32_t type;

	if (e->wide) {
		Elf64_Phdr h;

		memcpy(&h, e->bytes + e->table + i * sizeof(h), sizeof(h));
		type = h.p_type;
		*s = (struct segment){ h.p_offset, h.p_paddr, h.p_filesz, h.p_memsz };
	} else {
		Elf32_Phdr h;

		memcpy(&h, e->bytes + e->table + i * sizeof(h), sizeof(h));
		type = h.p_type;
		*s = (struct segment){ h.p_offset, h.p_paddr, h.p_filesz, h.p_memsz };
	}
	if (type != PT_LOAD) {
		return false;
	}
	*bad = *bad || s->file > s->memory || !range_within(s->offset, s->file, e->n) ||
	       !range_within(s->at, s->memory, 1ull << 48);
	return !*bad;
}

static bool digest_of(const struct elf *e, uint8_t digest[ATTEST_DIGEST])
{
	uint64_t first = UINT64_MAX, end = 0;
	struct segment s;
	uint8_t *image, out[64];
	bool bad = false;

	for (uint32_t i = 0; i < e->count; i++) {
		if (segment_get(e, i, &s, &bad)) {
			first = s.at < first ? s.at : first;
			end = s.at + s.memory > end ? s.at + s.memory : end;
		}
	}
	if (bad || first >= end || end - first > IMAGE_MAX) {
		return false;
	}
	image = calloc(1, end - first);
	if (image == NULL) {
		return false;
	}
	for (uint32_t i = 0; i < e->count; i++) {
		if (segment_get(e, i, &s, &bad)) {
			memcpy(image + (s.at - first), e->bytes + s.offset, s.file);
		}
	}
	bad = mbedtls_sha512_ret(image, end - first, out, 1) != 0;
	free(image);
	memcpy(digest, out, ATTEST_DIGEST);
	return !bad;
}

bool measure_hypervisor(const char *path, uint8_t digest[ATTEST_DIGEST], char *text,
			unsigned int text_bytes)
{
	FILE *f = fopen(path, "re");
	uint8_t *bytes = malloc(FILE_MAX);
	struct elf e;
	size_t n = 0;
	bool ok;

	if (f == NULL || bytes == NULL) {
		(void)snprintf(text, text_bytes, "%s: %s", path, strerror(errno));
	} else {
		n = fread(bytes, 1, FILE_MAX, f);
	}
	ok = n > 0 && open_elf(bytes, n, &e) && digest_of(&e, digest);
	if (f != NULL && !ok) {
		(void)snprintf(
			text, text_bytes,
			"%s: not an image with segments to load: name the build's redoubt.elf",
			path);
	}
	if (f != NULL) {
		(void)fclose(f);
	}
	free(bytes);
	return ok;
}
