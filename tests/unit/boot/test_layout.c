// SPDX-License-Identifier: MIT
/* Where boot code puts things: random memory maps and modules; everything usable, aligned, apart from everything else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/boot/early.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static struct boot_handoff h;
static struct layout_limits l;
static uint64_t kernel, params;
static struct wire_fault why;

static uint64_t random64(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void mem(uint64_t base, uint64_t end, uint32_t type)
{
	h.info.mem[h.info.mem_count++] = (struct bootinfo_mem){ base, end - base, type };
}

static void module(uint64_t start, uint64_t size)
{
	h.info.module[h.info.module_count].start = start;
	h.info.module[h.info.module_count++].size = size;
}

/* A PC with 4 GiB, image at 1 MiB, kernel and initrd high. */
static void ordinary(void)
{
	memset(&h, 0, sizeof(h));
	mem(0, 0x9fc00, BOOTINFO_MEM_USABLE);
	mem(0xf0000, 0x100000, BOOTINFO_MEM_RESERVED);
	mem(0x100000, 3 * GIB - MIB, BOOTINFO_MEM_USABLE);
	mem(3 * GIB - MIB, 3 * GIB, BOOTINFO_MEM_ACPI);
	mem(4 * GIB, 5 * GIB, BOOTINFO_MEM_USABLE);
	module(0x1200000, 12 * MIB);
	module(0x7000000, 40 * MIB);
	h.load_base = 0x100000;
	h.info.info_addr = 0x9000;
	h.info.info_size = 0x800;
	h.kernel.alignment = 2 * MIB;
	h.kernel.init_size = 60 * MIB;
	l = (struct layout_limits){ .image_bytes = 2 * MIB, .hv_bytes = 32 * MIB, .random = 5 };
}

static bool place(void)
{
	kernel = params = 0;
	why = (struct wire_fault){ NULL, NULL, NULL, 0 };
	return layout_place(&h, &l, &kernel, &params, &why);
}

static bool usable(uint64_t base, uint64_t size)
{
	for (uint32_t i = 0; i < h.info.mem_count; i++) {
		const struct bootinfo_mem *m = &h.info.mem[i];

		if (m->type == BOOTINFO_MEM_USABLE && base >= m->base &&
		    base - m->base <= m->size && size <= m->size - (base - m->base)) {
			return true;
		}
	}
	return false;
}

#define PIECES_MAX 40
static struct {
	uint64_t base, size;
} pieces[PIECES_MAX];
static unsigned piece_count;

static void piece(uint64_t base, uint64_t size)
{
	assert_true(piece_count < PIECES_MAX);
	pieces[piece_count].base = base;
	pieces[piece_count++].size = size;
}

static bool touches(unsigned i, uint64_t base, uint64_t size)
{
	return size != 0 && pieces[i].base < base + size && base < pieces[i].base + pieces[i].size;
}

static void check_apart(void)
{
	for (unsigned i = 0; i < piece_count; i++) {
		for (unsigned j = i + 1; j < piece_count; j++) {
			if (touches(i, pieces[j].base, pieces[j].size)) {
				fail_msg("%u: %llx+%llx and %u: %llx+%llx overlap", i,
					 (unsigned long long)pieces[i].base,
					 (unsigned long long)pieces[i].size, j,
					 (unsigned long long)pieces[j].base,
					 (unsigned long long)pieces[j].size);
			}
		}
	}
}

static bool module_in_smm(void)
{
	for (uint32_t m = 0; m < h.info.module_count; m++) {
		if (h.info.module[m].start < SMM_DEFAULT_BASE + SMM_DEFAULT_SIZE &&
		    SMM_DEFAULT_BASE < h.info.module[m].start + h.info.module[m].size) {
			return true;
		}
	}
	return false;
}

static void check_result(void)
{
	uint64_t align = h.kernel.alignment > 2 * MIB ? h.kernel.alignment : 2 * MIB, pool = 0;

	piece_count = 0;
	assert_true(h.trampoline >= 0x1000 && h.trampoline < 0xa0000 &&
		    h.trampoline % PAGE_SIZE == 0);
	assert_true(usable(h.trampoline, PAGE_SIZE));
	piece(h.trampoline, PAGE_SIZE);
	assert_int_equal(h.region_size, l.hv_bytes);
	assert_true(h.region_base >= 16 * MIB && h.region_base % (2 * MIB) == 0);
	assert_true(h.region_base + h.region_size <= 4 * GIB &&
		    usable(h.region_base, h.region_size));
	piece(h.region_base, h.region_size);
	for (uint32_t i = 0; i < h.pool_count; i++) {
		assert_true(h.pool[i].base % (2 * MIB) == 0 && h.pool[i].size % (2 * MIB) == 0 &&
			    h.pool[i].size != 0);
		assert_true(usable(h.pool[i].base, h.pool[i].size));
		piece(h.pool[i].base, h.pool[i].size);
		pool += h.pool[i].size;
	}
	assert_true(h.pool_count <= HANDOFF_POOL_MAX && pool == h.options.pool_bytes);
	assert_true(kernel >= 16 * MIB && kernel % align == 0 &&
		    kernel + h.kernel.init_size <= 4 * GIB);
	assert_true(usable(kernel, align_up(h.kernel.init_size, PAGE_SIZE)));
	piece(kernel, align_up(h.kernel.init_size, PAGE_SIZE));
	assert_true(params >= 0x1000 && params % PAGE_SIZE == 0 &&
		    params + LAYOUT_PARAMS_BYTES <= 4 * GIB);
	assert_true(usable(params, LAYOUT_PARAMS_BYTES));
	piece(params, LAYOUT_PARAMS_BYTES);
	assert_int_equal(h.smm_page,
			 usable(SMM_DEFAULT_BASE, SMM_DEFAULT_SIZE) && !module_in_smm());
	piece(SMM_DEFAULT_BASE, SMM_DEFAULT_SIZE);
	check_apart();
	/* Each of ours against each of the loader's, which may touch each other as they like. */
	for (unsigned i = 0; i + 1 < piece_count; i++) {
		assert_false(touches(i, h.load_base, l.image_bytes));
		assert_false(touches(i, h.info.info_addr, h.info.info_size));
		for (uint32_t m = 0; m < h.info.module_count; m++) {
			assert_false(touches(i, h.info.module[m].start, h.info.module[m].size));
		}
	}
}

static void test_ordinary(void **state)
{
	(void)state;
	ordinary();
	assert_true(place());
	check_result();
	assert_int_equal(h.pool_count, 0);
	h.options.pool_bytes = 512 * MIB;
	assert_true(place());
	check_result();
	assert_int_equal(h.pool_count, 1);
	assert_true(h.pool[0].base >= 4 * GIB); /* from the top of memory down */
}

static void test_random_place(void **state)
{
	uint64_t seen = 0;

	(void)state;
	ordinary();
	for (uint64_t r = 0; r < 32; r++) {
		l.random = r;
		assert_true(place());
		check_result();
		seen |= 1ull << (h.region_base / (2 * MIB) % 64);
	}
	assert_int_equal(__builtin_popcountll(seen),
			 16); /* as many places as the comment promises */
}

static void test_pool_too_large(void **state)
{
	static const uint64_t sizes[] = { 4 * GIB, 3 * GIB + 900 * MIB, 1ull << 40, 0ull - 2 * MIB,
					  1ull << 63 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		ordinary();
		h.options.pool_bytes = sizes[i];
		assert_false(place());
		assert_non_null(why.what);
		assert_non_null(strstr(why.what, "pool"));
		assert_non_null(strstr(why.remedy, "make pool= smaller"));
	}
	ordinary();
	h.options.pool_bytes = 3 * GIB + 900 * MIB;
	assert_false(place());
	assert_non_null(strstr(why.field, "larger than memory"));
	assert_true(why.value == h.options.pool_bytes);
	ordinary();
	h.info.mem_count = 3; /* one stretch below 3 GiB: the root keeps its 192 MiB and more */
	h.options.pool_bytes = 2 * GIB;
	assert_true(place());
	check_result();
}

static void refused(const char *what, const char *field)
{
	assert_false(place());
	assert_string_equal(why.what, what);
	assert_non_null(strstr(why.field, field));
	assert_true(why.remedy != NULL && why.remedy[0] != 0);
}

static void test_refused(void **state)
{
	(void)state;
	ordinary();
	h.info.mem[0].type = BOOTINFO_MEM_RESERVED;
	refused("memory map", "640 KiB");
	ordinary();
	l.hv_bytes = 3 * GIB;
	refused("memory map", "hypervisor");
	ordinary();
	h.kernel.init_size = 0xc0000000 - MIB;
	refused("root kernel", "init_size");
	ordinary();
	h.info.mem_count = 0;
	refused("memory map", "640 KiB");
	ordinary(); /* many small stretches: the pool has 8 pieces at most */
	h.info.mem_count = 2;
	for (uint64_t i = 0; i < 60; i++) {
		mem(0x1000000 + i * 32 * MIB, 0x1000000 + i * 32 * MIB + 30 * MIB,
		    BOOTINFO_MEM_USABLE);
	}
	h.info.module_count = 0;
	h.kernel.init_size = 16 * MIB;
	l.hv_bytes = 16 * MIB;
	h.options.pool_bytes = 512 * MIB;
	refused("option pool", "fragmented");
	h.options.pool_bytes = 200 * MIB;
	assert_true(place());
	check_result();
	assert_in_range(h.pool_count, 7, 8);
}

static void random_machine(uint64_t *seed)
{
	uint64_t at = 0x1000 * (random64(seed) % 32);

	memset(&h, 0, sizeof(h));
	mem(at, 0x80000 + random64(seed) % 0x1f000, BOOTINFO_MEM_USABLE);
	at = 0x100000;
	for (unsigned i = 0; i < 20 && at < 6 * GIB; i++) {
		uint64_t size = 1 + random64(seed) % (i % 3 == 0 ? 700 * MIB : 3 * MIB);
		uint32_t type = random64(seed) % 3 == 0 ? 2 + (uint32_t)(random64(seed) % 4) : 1;

		mem(at, at + size, type);
		at += size + (random64(seed) % 2 == 0 ? random64(seed) % (32 * MIB) : 0);
	}
	for (unsigned i = 0; i < random64(seed) % (BOOTINFO_MODULE_MAX + 1); i++) {
		module(random64(seed) % (2 * GIB), 1 + random64(seed) % (60 * MIB));
	}
	h.load_base = 0x100000 + random64(seed) % (32 * MIB) / PAGE_SIZE * PAGE_SIZE;
	h.info.info_addr = random64(seed) % (random64(seed) % 2 == 0 ? 0x9f000 : GIB);
	h.info.info_size = random64(seed) % 0x4000;
	h.kernel.alignment = (uint32_t)PAGE_SIZE << random64(seed) % 13;
	h.kernel.init_size = (uint32_t)(1 + random64(seed) % (90 * MIB));
	l.image_bytes = 1 + random64(seed) % (4 * MIB);
	l.hv_bytes = (1 + random64(seed) % 32) * 2 * MIB;
	l.random = random64(seed);
	h.options.pool_bytes = random64(seed) % 2 == 0 ? 0 : random64(seed) % 300 * 2 * MIB;
}

static void test_random_maps(void **state)
{
	uint64_t seed = 2463534242;
	unsigned good = 0, pools = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		random_machine(&seed);
		if (place()) {
			check_result();
			good++;
			pools += h.pool_count > 1;
		} else {
			assert_true(why.what != NULL && why.field != NULL && why.remedy != NULL);
		}
	}
	/* The maps are neither hopeless nor trivial. */
	assert_in_range(good, 4000, 19900);
	assert_true(pools > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary),       cmocka_unit_test(test_random_place),
		cmocka_unit_test(test_pool_too_large), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_random_maps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
