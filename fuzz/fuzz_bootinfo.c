/* SPDX-License-Identifier: MIT */
/*
 * Input: byte 0: bit 0 Multiboot 2 rather than 1; bytes 1-2: address of the information structure
 * (little-endian);
 * the rest is all of memory.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bootinfo bi;
	struct wire_fault why = { NULL, NULL, NULL, 0 };
	struct view v;
	uint8_t *memory;

	if (size < 3) {
		return 0;
	}
	v.size = size - 3;
	/* Of its own, so that reads below the view are seen, too. */
	memory = malloc(v.size);
	if (memory == NULL) {
		return 0;
	}
	memcpy(memory, data + 3, v.size);
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
