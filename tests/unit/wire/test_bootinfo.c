/* SPDX-License-Identifier: MIT */
/*
 * Multiboot information: roles, the memory map against a brute-force model, and malformed inputs.
 */
#include "tests/unit/wire/wire_test.h"

#include "hv/wire/bootinfo.h"

#define ARENA 0x8000u
#define INFO 0x100u /* information structure */
#define CMDLINE 0x400u
#define LOADER 0x480u
#define MMAP 0x500u
#define MODS 0x4000u
#define STRINGS 0x4100u
#define MOD0 0x5000u /* module contents, 0x400 apart */

static uint8_t arena[ARENA];
static struct bootinfo bi;
static struct wire_fault why;

static bool parse_n(uint32_t magic, uint64_t addr, size_t n)
{
	uint8_t *copy = exact(arena, n);
	struct view v = { copy, n };
	bool ok;

	why = poison();
	memset(&bi, 0xa5, sizeof(bi));
	ok = bootinfo_parse(&v, magic, addr, &bi, &why);
	free(copy);
	if (!ok) {
		assert_fault(&why, NULL);
	} else {
		assert_null(why.what);
	}
	return ok;
}

/* ---- Multiboot 1 ---- */

static uint32_t mb1_count, mb1_modules;

static void mb1_mem(uint64_t base, uint64_t size, uint32_t type)
{
	uint8_t *e = arena + MMAP + mb1_count * 24;

	put32(e, 20);
	put64(e + 4, base);
	put64(e + 12, size);
	put32(e + 20, type);
	mb1_count++;
	put32(arena + INFO + 44, mb1_count * 24);
	put32(arena + INFO + 48, MMAP);
}

static uint8_t *mb1_module(const char *string, const char *content, uint32_t size)
{
	uint8_t *m = arena + MODS + mb1_modules * 16;
	uint32_t at = MOD0 + mb1_modules * 0x400;

	put32(m, at);
	put32(m + 4, at + size);
	put32(m + 8, string != NULL ? STRINGS + mb1_modules * 0x80 : 0);
	if (string != NULL) {
		strcpy((char *)arena + STRINGS + mb1_modules * 0x80, string);
	}
	memset(arena + at, 0, 0x400);
	if (strcmp(content, "HdrS") == 0) {
		memcpy(arena + at + 0x202, content, 4);
	} else {
		memcpy(arena + at, content, strlen(content));
	}
	mb1_modules++;
	put32(arena + INFO + 20, mb1_modules);
	put32(arena + INFO + 24, MODS);
	return m;
}

static void mb1_start(uint32_t flags)
{
	memset(arena, 0, sizeof(arena));
	mb1_count = mb1_modules = 0;
	put32(arena + INFO, flags);
	put32(arena + INFO + 16, CMDLINE);
	strcpy((char *)arena + CMDLINE, "redoubt pool=64M");
	put32(arena + INFO + 64, LOADER);
	strcpy((char *)arena + LOADER, "qemu");
}

static void mb1_sample(void)
{
	mb1_start(1u << 2 | 1u << 3 | 1u << 6 | 1u << 9 | 1u << 12);
	mb1_mem(0, 0x9fc00, 1);
	mb1_mem(0x9fc00, 0x400, 2);
	mb1_mem(0x100000, 0x7ee0000, 1);
	mb1_module("/boot/vmlinuz kernel console=ttyS0  quiet", "HdrS", 0x400);
	mb1_module("initrd", "0707", 0x200);
	put64(arena + INFO + 88, 0xfd000000);
	put32(arena + INFO + 96, 4096);
	put32(arena + INFO + 100, 1024);
	put32(arena + INFO + 104, 768);
	arena[INFO + 108] = 32;
	arena[INFO + 109] = 1;
	memcpy(arena + INFO + 110, "\x10\x08\x08\x08\x00\x08", 6);
}

static void test_mb1_sample(void **state)
{
	(void)state;
	mb1_sample();
	assert_true(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA));
	assert_int_equal(bi.protocol, 1);
	assert_false(bi.efi);
	assert_string_equal(bi.cmdline, "redoubt pool=64M");
	assert_string_equal(bi.loader, "qemu");
	assert_int_equal(bi.mem_count, 3);
	assert_int_equal(bi.mem[2].base, 0x100000);
	assert_int_equal(bi.mem[2].size, 0x7ee0000);
	assert_int_equal(bi.mem[1].type, BOOTINFO_MEM_RESERVED);
	assert_int_equal(bi.module_count, 2);
	assert_int_equal(bi.module[0].role, BOOTINFO_ROLE_KERNEL);
	assert_int_equal(bi.module[0].start, MOD0);
	assert_int_equal(bi.module[0].size, 0x400);
	assert_string_equal(bi.module[0].args, "console=ttyS0  quiet");
	assert_ptr_equal(bootinfo_find(&bi, BOOTINFO_ROLE_INITRD), &bi.module[1]);
	assert_null(bootinfo_find(&bi, BOOTINFO_ROLE_CONFIG));
	assert_true(bi.fb.present);
	assert_int_equal(bi.fb.width, 1024);
	assert_int_equal(bi.fb.red_pos, 16);
	assert_int_equal(bi.fb.blue_size, 8);
}

/* The last byte that the sample needs is the second module's: any shorter view must be refused. */
static void test_mb1_truncated(void **state)
{
	size_t end = MOD0 + 0x400 + 0x200;

	(void)state;
	mb1_sample();
	for (size_t n = 0; n < end; n++) {
		assert_false(parse_n(BOOTINFO_MAGIC_MB1, INFO, n));
	}
	assert_true(parse_n(BOOTINFO_MAGIC_MB1, INFO, end));
}

static const struct {
	const char *string, *content;
	enum bootinfo_role role;
	const char *args;
} roles[] = {
	{ "kernel", "", BOOTINFO_ROLE_KERNEL, "" },
	{ "kernel a b", "", BOOTINFO_ROLE_KERNEL, "a b" },
	{ "  kernel   a", "", BOOTINFO_ROLE_KERNEL, "a" },
	{ "/b/vmlinuz kernel a", "", BOOTINFO_ROLE_KERNEL, "a" },
	{ "vmlinuz kernel a", "", BOOTINFO_ROLE_KERNEL, "a" },
	{ "vmlinuz\tinitrd\ta", "", BOOTINFO_ROLE_INITRD, "a" },
	{ "config", "", BOOTINFO_ROLE_CONFIG, "" },
	{ "/x config", "", BOOTINFO_ROLE_CONFIG, "" },
	{ "kernel kernel", "", BOOTINFO_ROLE_KERNEL, "" },
	{ "kernels a", "HdrS", BOOTINFO_ROLE_KERNEL, "kernels a" },
	{ "root=/dev/sda1 ro", "HdrS", BOOTINFO_ROLE_KERNEL, "root=/dev/sda1 ro" },
	{ "/b/vmlinuz root=/dev/sda1", "HdrS", BOOTINFO_ROLE_KERNEL, "root=/dev/sda1" },
	{ "/b/vmlinuz", "HdrS", BOOTINFO_ROLE_KERNEL, "" },
	{ "", "HdrS", BOOTINFO_ROLE_KERNEL, "" },
	{ NULL, "HdrS", BOOTINFO_ROLE_KERNEL, "" },
	{ NULL, "#redoubt\n", BOOTINFO_ROLE_CONFIG, "" },
	{ NULL, "#redoub", BOOTINFO_ROLE_INITRD, "" },
	{ NULL, "0707", BOOTINFO_ROLE_INITRD, "" },
	{ "initrd", "HdrS", BOOTINFO_ROLE_INITRD, "" }, /* the word beats the content */
	{ "foobar x", "", BOOTINFO_ROLE_INITRD, "foobar x" },
	{ "a b kernel", "", BOOTINFO_ROLE_INITRD, "a b kernel" },
};

static void test_roles(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		mb1_start(1u << 3 | 1u << 6);
		mb1_mem(0, 0x1000, 1);
		mb1_module(roles[i].string, roles[i].content, 0x400);
		assert_true(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA));
		assert_int_equal(bi.module[0].role, roles[i].role);
		assert_string_equal(bi.module[0].args, roles[i].args);
	}
}

static void test_role_conflicts(void **state)
{
	static const struct {
		const char *a, *ca, *b, *cb;
		bool ok;
	} t[] = {
		{ "kernel", "", "kernel", "", false },   { "kernel", "", "", "HdrS", false },
		{ "", "HdrS", "", "HdrS", false },       { "initrd", "", "initrd", "", false },
		{ "config", "", "", "#redoubt", false }, { "kernel", "", "", "", true },
		{ "initrd", "", "", "", true }, /* the second stays unknown */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		mb1_start(1u << 3 | 1u << 6);
		mb1_mem(0, 0x1000, 1);
		mb1_module(t[i].a, t[i].ca, 0x400);
		mb1_module(t[i].b, t[i].cb, 0x400);
		assert_int_equal(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA), t[i].ok);
	}
	assert_int_equal(bi.module[1].role, BOOTINFO_ROLE_UNKNOWN);
}

/* A kernel too short to reach 0x206 must not be read past its end. */
static void test_short_module(void **state)
{
	(void)state;
	for (uint32_t size = 1; size < 0x206; size++) {
		mb1_start(1u << 3 | 1u << 6);
		mb1_mem(0, 0x1000, 1);
		mb1_module(NULL, "HdrS", size);
		assert_true(parse_n(BOOTINFO_MAGIC_MB1, INFO, MOD0 + size));
		assert_int_equal(bi.module[0].role, BOOTINFO_ROLE_INITRD);
	}
}

/* offset: from INFO, MMAP or MODS as `where` says. All of these must be refused. */
static const struct {
	uint32_t where, offset;
	uint64_t value;
	const char *field;
} mb1_bad[] = {
	{ MMAP, 0, 0, "size below 20" },
	{ MMAP, 0, 1, "size below 20" },
	{ MMAP, 0, 19, "size below 20" },
	{ MMAP, 0, 0xffffffff, "size below 20" },
	{ MMAP, 0, 0xfffffffc, "size below 20" },
	{ MMAP, 0, 3 * 24 - 3, "size below 20" },
	{ MMAP, 0, 21, NULL },
	{ INFO, 44, 1, "within an entry" },
	{ INFO, 44, 23, "within an entry" },
	{ INFO, 44, 25, "within an entry" },
	{ INFO, 44, 0xffffffff, "below 4 GiB" },
	{ INFO, 44, 0, "without usable" },
	{ INFO, 48, 0xffffffff, "below 4 GiB" },
	{ INFO, 48, ARENA - 71, "below 4 GiB" },
	{ INFO, 0, 0, "without usable" },
	{ INFO, 0, 1, "without usable" }, /* mem_lower and mem_upper are 0 */
	{ INFO, 16, ARENA, "command line" },
	{ INFO, 16, 0xffffffff, "command line" },
	{ INFO, 20, 9, "more than 8" },
	{ INFO, 20, 0xffffffff, "more than 8" },
	{ INFO, 24, ARENA - 31, "module list" },
	{ INFO, 24, 0xffffffff, "module list" },
	{ MODS, 0, MOD0 + 0x400, "empty" },
	{ MODS, 0, MOD0 + 0x401, "empty" },
	{ MODS, 0, 0xffffffff, "empty" },
	{ MODS, 4, 0, "empty" },
	{ MODS, 4, MOD0, "empty" },
	{ MODS, 4, ARENA + 1, "below 4 GiB" },
	{ MODS, 4, 0xffffffff, "below 4 GiB" },
	{ MODS, 8, 0xffffffff, "no end" },
	{ MODS, 8, ARENA, "no end" },
	{ MODS, 16, MOD0 + 0x3ff, "overlaps" },
	{ MODS, 16, MOD0, "overlaps" },
};

static void test_mb1_bad_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mb1_bad) / sizeof(mb1_bad[0]); i++) {
		mb1_sample();
		put32(arena + mb1_bad[i].where + mb1_bad[i].offset, mb1_bad[i].value);
		if (parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA)) {
			fail_msg("row %zu was accepted", i);
		}
		assert_fault(&why, mb1_bad[i].field);
	}
}

static void test_address_and_magic(void **state)
{
	static const uint64_t addresses[] = { ARENA - 1,      ARENA,      ARENA - 51,
					      1ull << 32,     UINT64_MAX, UINT64_MAX - 51,
					      UINT64_MAX - 7, 1ull << 63 };

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		mb1_sample();
		assert_false(parse_n(BOOTINFO_MAGIC_MB1, addresses[i], ARENA));
		assert_false(parse_n(BOOTINFO_MAGIC_MB2, addresses[i], ARENA));
	}
	assert_false(parse_n(0, INFO, ARENA));
	assert_fault(&why, "magic");
	assert_false(parse_n(BOOTINFO_MAGIC_MB1 + 1, INFO, ARENA));
	assert_true(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA));
}

static void test_strings(void **state)
{
	(void)state;
	/* 2047 characters and the NUL fit, one more does not. */
	mb1_start(1u << 2 | 1u << 6);
	mb1_mem(0, 0x1000, 1);
	put32(arena + INFO + 16, 0x6000);
	memset(arena + 0x6000, 'x', 2047);
	assert_true(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA));
	assert_int_equal(strlen(bi.cmdline), 2047);
	arena[0x6000 + 2047] = 'x';
	assert_false(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA));
	/* The loader's name is cut and cleaned. */
	mb1_start(1u << 9 | 1u << 6);
	mb1_mem(0, 0x1000, 1);
	memset(arena + LOADER, 'y', 100);
	arena[LOADER + 3] = 0x1b;
	assert_true(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA));
	assert_int_equal(strlen(bi.loader), sizeof(bi.loader) - 1);
	assert_int_equal(bi.loader[3], '?');
	arena[LOADER + 3] = 0x7f;
	arena[LOADER + 4] = '~';
	assert_true(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA));
	assert_memory_equal(bi.loader, "yyy?~y", 6);
	/* At the view's end; and without its flag no string is read. */
	put32(arena + INFO + 64, ARENA - 4);
	memcpy(arena + ARENA - 4, "GRUB", 4);
	assert_true(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA));
	assert_string_equal(bi.loader, "GRUB");
	assert_string_equal(bi.cmdline, "");
}

static void test_mb1_basic_memory(void **state)
{
	(void)state;
	mb1_start(1u << 0);
	put32(arena + INFO + 4, 0xffffffff);
	put32(arena + INFO + 8, 0xffffffff);
	assert_true(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA));
	assert_int_equal(bi.mem_count, 2);
	assert_int_equal(bi.mem[0].size, 640 << 10);
	assert_int_equal(bi.mem[1].base, 1 << 20);
	assert_true(bi.mem[1].size == 0xffffffffull << 10);
}

/* ---- the memory map ---- */

static unsigned int rank(uint32_t type)
{
	static const uint8_t r[] = { 3, 0, 3, 1, 2, 4 };

	return type < 6 ? r[type] : 3;
}

/* Random ranges on a line of 64 cells, against one array cell per unit. */
static void test_memmap_model(void **state)
{
	static const uint32_t type_of_rank[] = { 1, 3, 4, 2, 5 };
	uint64_t seed = 0x9e3779b97f4a7c15ull;

	(void)state;
	for (unsigned int run = 0; run < 4000; run++) {
		int model[64];
		unsigned int n = 1 + next_random(&seed) % 12;

		memset(model, -1, sizeof(model));
		mb1_start(1u << 6);
		for (unsigned int i = 0; i < n; i++) {
			uint64_t base = next_random(&seed) % 64, size = next_random(&seed) % 20;
			uint32_t type = next_random(&seed) % 8;

			size = base + size > 64 ? 64 - base : size;
			type = i == 0 ? 1 : type;
			mb1_mem(base, size, type);
			for (uint64_t k = base; k < base + size; k++) {
				model[k] = model[k] < (int)rank(type) ? (int)rank(type) : model[k];
			}
		}
		if (!parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA)) {
			for (unsigned int k = 0; k < 64; k++) {
				assert_int_not_equal(model[k],
						     0); /* only for lack of usable memory */
			}
			continue;
		}
		for (uint32_t i = 0; i < bi.mem_count; i++) {
			const struct bootinfo_mem *m = &bi.mem[i];

			assert_true(m->size > 0);
			if (i > 0) {
				uint64_t end = m[-1].base + m[-1].size;

				assert_true(end < m->base ||
					    (end == m->base && m[-1].type != m->type));
			}
			for (uint64_t k = m->base; k < m->base + m->size; k++) {
				assert_true(model[k] >= 0);
				assert_int_equal(m->type, type_of_rank[model[k]]);
				model[k] = -1;
			}
		}
		for (unsigned int k = 0; k < 64; k++) {
			assert_int_equal(model[k], -1);
		}
	}
}

static void test_memmap_limits(void **state)
{
	(void)state;
	/* Ends exactly at 2^64 - 1: fine. One byte more wraps. */
	mb1_start(1u << 6);
	mb1_mem(0, 0x1000, 1);
	mb1_mem(UINT64_MAX - 0x1000, 0x1000, 2);
	assert_true(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA));
	put64(arena + MMAP + 24 + 12, 0x1001);
	assert_false(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA));
	assert_fault(&why, "wraps");
	put64(arena + MMAP + 24 + 12, UINT64_MAX);
	assert_false(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA));
	/* 128 ranges fit, 129 do not; 129 that merge do. */
	for (unsigned int n = 128; n <= 129; n++) {
		mb1_start(1u << 6);
		for (unsigned int i = 0; i < n; i++) {
			mb1_mem(i * 0x2000, 0x1000, 1);
		}
		assert_int_equal(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA), n == 128);
	}
	assert_fault(&why, "more than 128");
	mb1_start(1u << 6);
	for (unsigned int i = 0; i < 500; i++) {
		mb1_mem(i * 0x1000, 0x1000, 1);
	}
	assert_true(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA));
	assert_int_equal(bi.mem_count, 1);
	assert_int_equal(bi.mem[0].size, 500 * 0x1000);
	/* Splitting the last of 128 would make 130. */
	mb1_start(1u << 6);
	for (unsigned int i = 0; i < 128; i++) {
		mb1_mem(i * 0x2000, 0x1000, 1);
	}
	mb1_mem(127 * 0x2000 + 0x100, 0x100, 2);
	assert_false(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA));
	/* Filling 100 gaps with another type is too many, too; with the same type they merge. */
	for (uint32_t type = 1; type <= 2; type++) {
		mb1_start(1u << 6);
		for (unsigned int i = 0; i < 100; i++) {
			mb1_mem(i * 0x2000, 0x1000, type);
		}
		mb1_mem(0, 200 * 0x1000, 1);
		assert_int_equal(parse_n(BOOTINFO_MAGIC_MB1, INFO, ARENA), type == 1);
	}
	assert_fault(&why, "more than 128");
}

/* ---- Multiboot 2 ---- */

static uint32_t mb2_at;

static uint8_t *mb2_tag(uint32_t type, uint32_t size)
{
	uint8_t *t = arena + INFO + mb2_at;

	put32(t, type);
	put32(t + 4, size);
	mb2_at = (mb2_at + size + 7) & ~7u;
	put32(arena + INFO, mb2_at);
	return t;
}

static void mb2_start(void)
{
	memset(arena, 0, sizeof(arena));
	mb2_at = 8;
}

static void mb2_mmap(void)
{
	uint8_t *t = mb2_tag(6, 16 + 2 * 24);

	put32(t + 8, 24);
	put64(t + 16, 0x100000);
	put64(t + 24, 0x700000);
	put32(t + 32, 1);
	put64(t + 40, 0x800000);
	put64(t + 48, 0x1000);
	put32(t + 56, 3);
}

static uint8_t *mb2_string(uint32_t type, uint32_t head, const char *s)
{
	uint8_t *t = mb2_tag(type, head + (uint32_t)strlen(s) + 1);

	strcpy((char *)t + head, s);
	return t;
}

static uint8_t *mb2_fb(void)
{
	uint8_t *t = mb2_tag(8, 38);

	put64(t + 8, 0x80000000);
	put32(t + 16, 3200);
	put32(t + 20, 800);
	put32(t + 24, 600);
	t[28] = 32;
	t[29] = 1;
	memcpy(t + 32, "\x10\x08\x08\x08\x00\x08", 6);
	return t;
}

static uint32_t rsdp_at;

static void mb2_sample(void)
{
	uint8_t *t;

	mb2_start();
	mb2_string(1, 8, "serial=off");
	mb2_string(2, 8, "GRUB 2.06");
	t = mb2_string(3, 16, "kernel root=/dev/sda1");
	put32(t + 8, MOD0);
	put32(t + 12, MOD0 + 0x400);
	mb2_mmap();
	mb2_fb();
	t = mb2_tag(12, 16);
	put64(t + 8, 0x7f000018);
	t = mb2_tag(14, 28);
	t = mb2_tag(15, 44);
	rsdp_at = (uint32_t)(t + 8 - arena);
	mb2_tag(21, 12);
	mb2_tag(0x12345678, 9);
	mb2_tag(0, 8);
}

static void test_mb2_sample(void **state)
{
	(void)state;
	mb2_sample();
	assert_true(parse_n(BOOTINFO_MAGIC_MB2, INFO, ARENA));
	assert_int_equal(bi.protocol, 2);
	assert_true(bi.efi);
	assert_int_equal(bi.efi_system_table, 0x7f000018);
	assert_int_equal(bi.rsdp, rsdp_at);
	assert_string_equal(bi.cmdline, "serial=off");
	assert_string_equal(bi.loader, "GRUB 2.06");
	assert_int_equal(bi.mem_count, 2);
	assert_int_equal(bi.mem[1].type, BOOTINFO_MEM_ACPI);
	assert_int_equal(bi.module_count, 1);
	assert_string_equal(bi.module[0].args, "root=/dev/sda1");
	assert_true(bi.fb.present);
	assert_int_equal(bi.fb.pitch, 3200);
	assert_int_equal(bi.info_addr, INFO);
	assert_int_equal(bi.info_size, mb2_at);
}

static void test_mb2_truncated(void **state)
{
	(void)state;
	mb2_sample();
	for (size_t n = 0; n < MOD0 + 0x400; n++) {
		assert_false(parse_n(BOOTINFO_MAGIC_MB2, INFO, n));
	}
	/* The same through total_size: without its end tag the structure is refused. */
	for (uint32_t total = 0; total < mb2_at; total++) {
		put32(arena + INFO, total);
		assert_false(parse_n(BOOTINFO_MAGIC_MB2, INFO, ARENA));
	}
	put32(arena + INFO, (1u << 20) + 1);
	assert_false(parse_n(BOOTINFO_MAGIC_MB2, INFO, ARENA));
	put32(arena + INFO, 0xffffffff);
	assert_false(parse_n(BOOTINFO_MAGIC_MB2, INFO, ARENA));
	put32(arena + INFO, mb2_at);
	assert_true(parse_n(BOOTINFO_MAGIC_MB2, INFO, ARENA));
}

/* Every tag's size field at the edges: never a crash, and too small a size is always refused. */
static void test_mb2_tag_sizes(void **state)
{
	static const struct {
		uint32_t type, min;
	} tags[] = { { 0, 8 },   { 1, 9 },  { 2, 9 },   { 3, 17 },  { 4, 16 },
		     { 6, 16 },  { 8, 32 }, { 12, 16 }, { 14, 28 }, { 15, 44 },
		     { 17, 16 }, { 18, 8 }, { 21, 8 },  { 99, 8 } };

	(void)state;
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		const uint32_t sizes[] = { 0,          1,          7,          tags[i].min - 1,
					   0xffffffff, 0xfffffff8, 0x80000000, ARENA };

		for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
			uint8_t *t;

			mb2_start();
			mb2_mmap();
			t = mb2_tag(tags[i].type, 64);
			put32(t + 4, sizes[k]);
			mb2_tag(0, 8);
			assert_false(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
			assert_fault(&why, "tag size");
		}
	}
}

static void test_mb2_mmap_entries(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 8, 23, 25, 0x80000000, 0xffffffff };

	(void)state;
	for (uint32_t type = 6; type <= 17; type += 11) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			uint8_t *t;

			mb2_start();
			t = mb2_tag(type, 16 + 80);
			put32(t + 8, sizes[i]);
			mb2_tag(0, 8);
			assert_false(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
			assert_fault(&why, "entry size");
		}
	}
	/* A larger entry size than today's is for the future, and fine. */
	mb2_start();
	{
		uint8_t *t = mb2_tag(6, 16 + 64);

		put32(t + 8, 32);
		put64(t + 24, 0x1000);
		put32(t + 32, 1);
		put64(t + 48, 0x5000);
		put64(t + 56, 0x1000);
		put32(t + 64, 1);
		mb2_tag(0, 8);
	}
	assert_true(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
	assert_int_equal(bi.mem_count, 2);
	/* 1025 raw entries: refused before any work. */
	mb2_start();
	put32(mb2_tag(6, 16 + 1025 * 24) + 8, 24);
	mb2_tag(0, 8);
	assert_false(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
	assert_fault(&why, "1024");
}

static void test_mb2_fallback_maps(void **state)
{
	uint8_t *t;

	(void)state;
	mb2_start();
	t = mb2_tag(4, 16);
	put32(t + 8, 639);
	put32(t + 12, 0x1000);
	mb2_tag(0, 8);
	assert_true(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
	assert_int_equal(bi.mem_count, 2);
	assert_int_equal(bi.mem[0].size, 639 << 10);
	assert_int_equal(bi.mem[1].size, 0x1000 << 10);
	/* The EFI map beats the basic one. */
	mb2_start();
	t = mb2_tag(4, 16);
	put32(t + 8, 639);
	t = mb2_tag(17, 16 + 2 * 48);
	put32(t + 8, 48);
	put32(t + 16, 7);
	put64(t + 24, 0x100000);
	put64(t + 40, 0x100);
	put32(t + 64, 10);
	put64(t + 72, 0x200000);
	put64(t + 88, 1);
	mb2_tag(0, 8);
	assert_true(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
	assert_int_equal(bi.mem_count, 2);
	assert_int_equal(bi.mem[0].size, 0x100000);
	assert_int_equal(bi.mem[1].type, BOOTINFO_MEM_NVS);
	put64(t + 40, 1ull << 52);
	assert_false(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
	assert_fault(&why, "wraps");
	put64(t + 40, UINT64_MAX >> 12);
	assert_false(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
	assert_fault(&why, "wraps");
	put64(t + 24, 0);
	assert_true(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
	/* Every EFI type. */
	for (uint32_t type = 0; type < 18; type++) {
		static const uint8_t want[18] = { 2, 1, 1, 1, 1, 2, 2, 1, 5,
						  3, 4, 2, 2, 2, 2, 2, 2, 2 };

		put64(t + 40, 1);
		put32(t + 16, 7);
		put32(t + 64, type);
		assert_true(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
		assert_int_equal(bi.mem_count, 2);
		assert_int_equal(bi.mem[1].type, want[type]);
	}
}

static void efi_entry(uint8_t *e, uint32_t type, uint64_t base, uint64_t pages)
{
	memset(e, 0, 48);
	put32(e, type);
	put64(e + 8, base);
	put64(e + 24, pages);
}

/* While boot services run, a loader's map counts for nothing; the firmware's last one does. */
static void test_mb2_boot_services(void **state)
{
	uint8_t map[3 * 48];
	uint8_t *t;

	(void)state;
	mb2_start();
	mb2_mmap();
	t = mb2_tag(12, 16);
	put64(t + 8, 0x7f000018);
	t = mb2_tag(20, 16);
	put64(t + 8, 0x1122334455667788);
	mb2_tag(18, 8);
	mb2_tag(0, 8);
	assert_true(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
	assert_true(bi.efi && bi.efi_boot_services);
	assert_int_equal(bi.efi_image, 0x1122334455667788);
	assert_int_equal(bi.mem_count, 0);

	efi_entry(map, 3, 0x100000, 0x10);      /* boot services' code: free now */
	efi_entry(map + 48, 10, 0x110000, 0x2); /* ACPI NVS */
	efi_entry(map + 96, 0, 0x112000, 0x1);
	assert_true(bootinfo_efi_memory(&bi, map, sizeof(map), 48, &why));
	assert_int_equal(bi.mem_count, 3);
	assert_int_equal(bi.mem[0].type, BOOTINFO_MEM_USABLE);
	assert_int_equal(bi.mem[0].size, 0x10000);
	assert_int_equal(bi.mem[1].type, BOOTINFO_MEM_NVS);
	assert_int_equal(bi.mem[2].type, BOOTINFO_MEM_RESERVED);
	assert_false(bootinfo_efi_memory(&bi, map, sizeof(map), 39, &why));
	assert_fault(&why, "below 40");
	assert_false(bootinfo_efi_memory(&bi, map, sizeof(map) - 1, 48, &why));
	assert_fault(&why, "divisor");
	assert_false(bootinfo_efi_memory(&bi, map + 48, 48, 48, &why));
	assert_fault(&why, "without usable");
	put64(map + 24, UINT64_MAX);
	assert_false(bootinfo_efi_memory(&bi, map, sizeof(map), 48, &why));
	assert_fault(&why, "wraps");
}

static void test_mb2_refusals(void **state)
{
	uint8_t *t;

	(void)state;
	/* Strings that end outside their tag, even though a NUL follows. */
	for (uint32_t type = 1; type <= 3; type += 2) {
		mb2_start();
		mb2_mmap();
		t = mb2_tag(type, 24);
		memset(t + 8, 'a', 24);
		if (type == 3) {
			put32(t + 8, MOD0);
			put32(t + 12, MOD0 + 16);
		}
		mb2_tag(0, 8);
		assert_false(parse_n(BOOTINFO_MAGIC_MB2, INFO, ARENA));
		assert_fault(&why, "no end");
	}
	/* Nine modules. */
	mb2_start();
	mb2_mmap();
	for (uint32_t i = 0; i < 9; i++) {
		t = mb2_tag(3, 17);
		put32(t + 8, MOD0 + i * 0x100);
		put32(t + 12, MOD0 + i * 0x100 + 1);
	}
	mb2_tag(0, 8);
	assert_false(parse_n(BOOTINFO_MAGIC_MB2, INFO, ARENA));
	assert_fault(&why, "more than 8");
	/* No end tag, no map. */
	mb2_start();
	mb2_mmap();
	assert_false(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
	assert_fault(&why, "no end tag");
	mb2_start();
	mb2_tag(0, 8);
	assert_false(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
	assert_fault(&why, "without usable");
}

/* The newer RSDP counts, whichever comes first. */
static void test_mb2_rsdp(void **state)
{
	static const uint32_t order[][2] = {
		{ 14, 15 }, { 15, 14 }, { 14, 99 }, { 15, 99 }, { 14, 14 }
	};
	static const unsigned int want[] = { 1, 0, 0, 0, 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		uint32_t at[2];

		mb2_start();
		mb2_mmap();
		for (unsigned int k = 0; k < 2; k++) {
			at[k] = (uint32_t)(mb2_tag(order[i][k], 44) + 8 - arena);
		}
		mb2_tag(0, 8);
		assert_true(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
		assert_int_equal(bi.rsdp, at[want[i]]);
	}
}

/* A framebuffer that makes no sense counts as absent. */
static void test_framebuffer(void **state)
{
	static const struct {
		uint32_t offset, width;
		uint64_t value;
	} t[] = {
		{ 8, 8, 0 },     { 8, 8, UINT64_MAX },  { 8, 8, UINT64_MAX - 3200 * 600 + 1 },
		{ 16, 4, 3199 }, { 16, 4, 0 },          { 20, 4, 0 },
		{ 20, 4, 801 },  { 20, 4, 0xffffffff }, { 24, 4, 0 },
		{ 28, 1, 0 },    { 28, 1, 8 },          { 28, 1, 255 },
		{ 29, 1, 0 },    { 29, 1, 2 },          { 32, 1, 25 },
		{ 33, 1, 17 },   { 34, 1, 255 },        { 37, 1, 33 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint8_t *p;

		mb2_start();
		mb2_mmap();
		p = mb2_fb() + t[i].offset;
		mb2_tag(0, 8);
		assert_true(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
		assert_true(bi.fb.present);
		if (t[i].width == 8) {
			put64(p, t[i].value);
		} else if (t[i].width == 4) {
			put32(p, t[i].value);
		} else {
			*p = (uint8_t)t[i].value;
		}
		assert_true(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
		if (bi.fb.present) {
			fail_msg("row %zu was accepted", i);
		}
		assert_int_equal(bi.fb.addr, 0);
	}
	for (unsigned int bpp = 15; bpp <= 32; bpp++) {
		uint8_t *p;

		mb2_start();
		mb2_mmap();
		p = mb2_fb();
		mb2_tag(0, 8);
		p[28] = (uint8_t)bpp;
		memcpy(p + 32, "\x0a\x05\x05\x05\x00\x05", 6);
		put32(p + 16, 800 * ((bpp + 7) / 8));
		assert_true(parse_n(BOOTINFO_MAGIC_MB2, INFO, INFO + mb2_at));
		assert_int_equal(bi.fb.present, bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32);
	}
}

/* One byte of the samples changed at random: only ASan and UBSan judge. */
static void test_mutations(void **state)
{
	uint64_t seed = 42;

	(void)state;
	for (unsigned int i = 0; i < 6000; i++) {
		uint32_t magic = i % 2 != 0 ? BOOTINFO_MAGIC_MB1 : BOOTINFO_MAGIC_MB2;
		uint64_t r = next_random(&seed);

		if (i % 2 != 0) {
			mb1_sample();
			arena[(r % 3 == 0   ? INFO
			       : r % 3 == 1 ? MMAP
					    : MODS) +
			      (r >> 8) % 116] = (uint8_t)(r >> 32);
		} else {
			mb2_sample();
			arena[INFO + (r >> 8) % mb2_at] = (uint8_t)(r >> 32);
		}
		(void)parse_n(magic, INFO, MOD0 + 0x600);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mb1_sample),
		cmocka_unit_test(test_mb1_truncated),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_role_conflicts),
		cmocka_unit_test(test_short_module),
		cmocka_unit_test(test_mb1_bad_fields),
		cmocka_unit_test(test_address_and_magic),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_mb1_basic_memory),
		cmocka_unit_test(test_memmap_model),
		cmocka_unit_test(test_memmap_limits),
		cmocka_unit_test(test_mb2_sample),
		cmocka_unit_test(test_mb2_truncated),
		cmocka_unit_test(test_mb2_tag_sizes),
		cmocka_unit_test(test_mb2_mmap_entries),
		cmocka_unit_test(test_mb2_fallback_maps),
		cmocka_unit_test(test_mb2_boot_services),
		cmocka_unit_test(test_mb2_refusals),
		cmocka_unit_test(test_framebuffer),
		cmocka_unit_test(test_mb2_rsdp),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
