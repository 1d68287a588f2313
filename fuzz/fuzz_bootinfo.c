/* SPDX-License-Identifier: MIT */
/*
 * Input: byte 0: bit 0 Multiboot 2 rather than 1; bytes 1-2: address of the information structure
 * (little-endian); the rest is all of memory. Of byte 0 the other bits 2: behind it are 48 KiB more, which is a memory map of
 * either kind; 4: the same, 1.25 MiB.
 */
#include <stdlib.h>
#include <string.h>

#include "hv/wire/bootinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                          \
	do {                              \
		if (!(x)) {               \
			__builtin_trap(); \
		}                         \
	} while (0)

static void check_map(const struct bootinfo *bi)
{
	bool usable = false;

	CHECK(bi->mem_count >= 1 && bi->mem_count <= BOOTINFO_MEM_MAX);
	for (uint32_t i = 0; i < bi->mem_count; i++) {
		const struct bootinfo_mem *m = &bi->mem[i];

		CHECK(m->size != 0 && m->base <= UINT64_MAX - m->size);
		CHECK(m->type >= BOOTINFO_MEM_USABLE && m->type <= BOOTINFO_MEM_BAD);
		usable = usable || m->type == BOOTINFO_MEM_USABLE;
		if (i > 0) {
			uint64_t end = m[-1].base + m[-1].size;

			CHECK(end < m->base || (end == m->base && m[-1].type != m->type));
		}
	}
	CHECK(usable);
}

static void check_modules(const struct bootinfo *bi, uint64_t limit)
{
	CHECK(bi->module_count <= BOOTINFO_MODULE_MAX);
	for (uint32_t i = 0; i < bi->module_count; i++) {
		const struct bootinfo_module *m = &bi->module[i];

		CHECK(m->size != 0 && m->size <= limit && m->start <= limit - m->size);
		CHECK(memchr(m->args, 0, sizeof(m->args)) != NULL);
		CHECK(m->role == BOOTINFO_ROLE_UNKNOWN || bootinfo_find(bi, m->role) == m);
		for (uint32_t k = 0; k < i; k++) {
			CHECK(m->start >= bi->module[k].start + bi->module[k].size ||
			      bi->module[k].start >= m->start + m->size);
		}
	}
}

/* The text at `at`: what a loader's name may become of it. */
static void check_loader(const struct bootinfo *bi, const struct view *v, uint64_t at)
{
	size_t n = 0;

	while (n < sizeof(bi->loader) - 1 && at + n < v->size && v->base[at + n] != 0) {
		uint8_t c = v->base[at + n];

		CHECK(bi->loader[n] == (c >= 0x20 && c < 0x7f ? (char)c : '?'));
		n++;
	}
	CHECK(bi->loader[n] == 0);
}

/* Of the text at `at` a file's name or a role went off the front, or nothing. An option is neither. */
static void check_args(const struct bootinfo_module *m, const struct view *v, uint64_t at)
{
	size_t n = 0, first = 0, slash, equals;
	char text[BOOTINFO_STR_MAX + 1] = { 0 };

	while (n < BOOTINFO_STR_MAX && at + n < v->size && v->base[at + n] != 0) {
		text[n] = (char)v->base[at + n];
		n++;
	}
	while (text[first] == ' ' || text[first] == '\t') {
		first++;
	}
	slash = strcspn(text + first, "/ \t");
	equals = strcspn(text + first, "= \t");
	if (text[first + equals] == '=' && equals < slash && m->role == BOOTINFO_ROLE_UNKNOWN) {
		CHECK(strcmp(m->args, text + first) == 0);
	}
}

static void check_texts(const struct bootinfo *bi, const struct view *v, uint64_t info)
{
	const uint8_t *p = v->base + info;
	uint32_t flags = le32(p);

	if (bi->protocol != 1) {
		return;
	}
	if ((flags & 1u << 9) != 0) {
		check_loader(bi, v, le32(p + 64));
	}
	for (uint32_t i = 0; (flags & 1u << 3) != 0 && i < bi->module_count; i++) {
		const uint8_t *m = v->base + le32(p + 24) + 16 * (size_t)i;

		if (le32(m + 8) != 0) {
			check_args(&bi->module[i], v, le32(m + 8));
		}
	}
}

/* 24 bytes again and again: entries of size 20 that say nothing, or behind 8 of them an end tag. */
static size_t more_memory(uint8_t kind)
{
	return kind >> 1 == 1 ? 48u << 10 : kind >> 1 == 2 ? 1280u << 10 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bootinfo bi;
	struct wire_fault why = { NULL, NULL, NULL, 0 };
	struct view v;
	uint8_t *memory;

	if (size < 3) {
		return 0;
	}
	v.size = size - 3 + more_memory(data[0]);
	/* Of its own, so that reads below the view are seen, too. */
	memory = calloc(1, v.size != 0 ? v.size : 1);
	if (memory == NULL) {
		return 0;
	}
	memcpy(memory, data + 3, size - 3);
	for (size_t at = size - 3; at + 24 <= v.size; at += 24) {
		memory[at] = 20;
		memory[at + 12] = 8;
	}
	v.base = memory;
	memset(&bi, 0xa5, sizeof(bi));
	if (bootinfo_parse(&v, (data[0] & 1) != 0 ? BOOTINFO_MAGIC_MB2 : BOOTINFO_MAGIC_MB1,
			   le16(data + 1), &bi, &why)) {
		CHECK(why.what == NULL);
		CHECK(bi.protocol == ((data[0] & 1) != 0 ? 2 : 1));
		CHECK(memchr(bi.cmdline, 0, sizeof(bi.cmdline)) != NULL);
		CHECK(memchr(bi.loader, 0, sizeof(bi.loader)) != NULL);
		CHECK(range_within(bi.info_addr, bi.info_size, v.size));
		CHECK(bi.rsdp == 0 || range_within(bi.rsdp, 20, v.size));
		if (bi.efi_boot_services) {
			CHECK(bi.mem_count == 0 && (data[0] & 1) != 0);
			/* The same bytes stand in for what the firmware will say. */
			if (!bootinfo_efi_memory(&bi, memory, v.size - v.size % 48, 48, &why)) {
				CHECK(why.what != NULL && why.field != NULL && why.remedy != NULL);
				free(memory);
				return 0;
			}
		}
		check_map(&bi);
		check_texts(&bi, &v, le16(data + 1));
		check_modules(&bi, v.size);
		if (bi.fb.present) {
			CHECK(bi.fb.width != 0 && bi.fb.height != 0);
			CHECK((uint64_t)bi.fb.width * bi.fb.bpp / 8 <= bi.fb.pitch);
			CHECK(bi.fb.addr <= UINT64_MAX - (uint64_t)bi.fb.pitch * bi.fb.height);
		}
	} else {
		CHECK(why.what != NULL && why.field != NULL && why.remedy != NULL);
	}
	free(memory);
	return 0;
}
