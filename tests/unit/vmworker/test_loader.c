// SPDX-License-Identifier: MIT
/* The boot protocol: a made-up kernel whose every byte is known, malformed ones, and Debian's where the cache has one. */
#include "tests/unit/wire/wire_test.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/host/vmworker/acpi.h"
#include "hv/host/vmworker/loader.h"

#define MIB (1024 * 1024ull)
#define IMAGE (5 * 512 + 0x3000)
#define PREF (16 * MIB)
#define INIT_SIZE (4 * MIB)

static uint8_t image[IMAGE];
static struct gmem mem;
static struct loader_input in;
static struct loader_start start;
static char text[128];

static void sample(void)
{
	for (uint32_t i = 0; i < IMAGE; i++) {
		image[i] = (uint8_t)(i * 7 + i / 251);
	}
	memset(image, 0, 0x400);
	image[0x1f1] = 4;
	put32(image + 0x1f4, 0x3000 / 16);
	put16(image + 0x1fe, 0xaa55);
	image[0x200] = 0xeb;
	image[0x201] = 0x6a;
	memcpy(image + 0x202, "HdrS", 4);
	put16(image + 0x206, 0x020f);
	image[0x211] = 1;
	put32(image + 0x22c, 0x7fffffff);
	put32(image + 0x230, 0x200000);
	image[0x234] = 1;
	put16(image + 0x236, 3);
	put32(image + 0x238, 2047);
	put64(image + 0x258, PREF);
	put32(image + 0x260, INIT_SIZE);
}

static int file(const void *bytes, size_t n)
{
	int fd = memfd_create("loader", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	return fd;
}

static void memory(uint64_t bytes)
{
	mem.size = bytes;
	mem.base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(mem.base != MAP_FAILED);
}

static bool load(void)
{
	bool ok;

	memset(text, 0, sizeof(text));
	ok = loader_load(&mem, &in, &start, text, sizeof(text));
	assert_true(ok == (text[0] == '\0'));
	return ok;
}

static void refused(const char *part)
{
	assert_false(load());
	if (strstr(text, part) == NULL) {
		fail_msg("\"%s\", expected \"%s\"", text, part);
	}
}

static int set_up(void **state)
{
	(void)state;
	sample();
	memory(64 * MIB);
	in.kernel = file(image, IMAGE);
	in.initrd = -1;
	in.cmdline = "console=ttyS0 quiet";
	in.vp_count = 2;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)munmap(mem.base, mem.size);
	(void)close(in.kernel);
	if (in.initrd >= 0) {
		(void)close(in.initrd);
	}
	return 0;
}

static const uint8_t *bp(void)
{
	return mem.base + start.boot_params;
}

static void test_places(void **state)
{
	(void)state;
	assert_true(load());
	assert_int_equal(start.entry, PREF + 0x200);
	assert_memory_equal(mem.base + PREF, image + 5 * 512, 0x3000);
	assert_memory_equal(bp() + 0x1f1, image + 0x1f1, 0x210 - 0x1f1);
	assert_memory_equal(bp() + 0x211, image + 0x211, 0x218 - 0x211);
	assert_memory_equal(bp() + 0x22c, image + 0x22c, 0x26c - 0x22c);
	assert_int_equal(bp()[0x210], 0xff);
	assert_int_equal(le32(bp() + 0x228), LOADER_CMDLINE);
	assert_int_equal(le32(bp() + 0xc8), 0);
	assert_string_equal((char *)mem.base + LOADER_CMDLINE, "console=ttyS0 quiet");
	assert_int_equal(le64(bp() + 0x70), LOADER_ACPI);
	assert_memory_equal(mem.base + LOADER_ACPI, "RSD PTR ", 8);
	assert_memory_equal(mem.base + LOADER_RESET_VECTOR, "\xba\x02\x06\xb0\x01\xee\xf4\xeb\xfd",
			    9);
	assert_int_equal(le32(bp() + 0x218) | le32(bp() + 0x21c), 0);
	/* Everything but the tables in the first 64 KiB. */
	assert_true(start.gdt < 0x10000 && start.cr3 < 0x10000 && LOADER_PD + 4 * 4096 <= 0x10000);
	for (uint64_t i = 0x10000; i < LOADER_ACPI; i++) {
		assert_int_equal(mem.base[i], 0);
	}
}

static void e820_is(uint32_t i, uint64_t base, uint64_t size, uint32_t type)
{
	const uint8_t *e = bp() + 0x2d0 + i * 20;

	assert_int_equal(le64(e), base);
	assert_int_equal(le64(e + 8), size);
	assert_int_equal(le32(e + 16), type);
}

static void test_e820(void **state)
{
	(void)state;
	assert_true(load());
	assert_int_equal(bp()[0x1e8], 3);
	e820_is(0, 0, 0x9fc00, 1);
	e820_is(1, 0x9fc00, MIB - 0x9fc00, 2);
	e820_is(2, MIB, 63 * MIB, 1);
	/* More than 3 GiB: the rest is at 4 GiB. */
	(void)munmap(mem.base, mem.size);
	memory(5 * 1024 * MIB);
	assert_true(load());
	assert_int_equal(bp()[0x1e8], 4);
	e820_is(2, MIB, 3071 * MIB, 1);
	e820_is(3, 4096 * MIB, 2048 * MIB, 1);
}

/* Every address of the first 4 GiB is itself. */
static void test_page_tables(void **state)
{
	const uint8_t *pml4, *gdt;

	(void)state;
	assert_true(load());
	pml4 = mem.base + start.cr3;
	assert_int_equal(le64(pml4) & 0xfff, 7);
	for (uint64_t at = 0; at < 4096 * MIB; at += 2 * MIB) {
		uint64_t pdpt = le64(pml4 + (at >> 39) * 8) & ~0xfffull;
		uint64_t pd = le64(mem.base + pdpt + (at >> 30 & 511) * 8);
		uint64_t e = le64(mem.base + (pd & ~0xfffull) + (at >> 21 & 511) * 8);

		assert_int_equal(pd & 0xfff, 7);
		assert_int_equal(e, at + 0x83);
	}
	for (uint32_t i = 1; i < 512; i++) {
		assert_int_equal(le64(pml4 + i * 8), 0);
	}
	gdt = mem.base + start.gdt;
	assert_int_equal(le64(gdt), 0);
	assert_int_equal(le64(gdt + 0x10), 0x00af9b000000ffffull);
	assert_int_equal(le64(gdt + 0x18), 0x00cf93000000ffffull);
}

static void test_initrd(void **state)
{
	static uint8_t content[10000];
	uint64_t at;

	(void)state;
	memset(content, 0x5c, sizeof(content));
	in.initrd = file(content, sizeof(content));
	assert_true(load());
	at = le32(bp() + 0x218);
	assert_int_equal(le32(bp() + 0x21c), sizeof(content));
	assert_int_equal(at, 64 * MIB - 3 * 4096);
	assert_memory_equal(mem.base + at, content, sizeof(content));
	/* The kernel's limit counts. */
	put32(image + 0x22c, 40 * MIB - 1);
	assert_int_equal(pwrite(in.kernel, image, IMAGE, 0), IMAGE);
	assert_true(load());
	assert_int_equal(le32(bp() + 0x218), 40 * MIB - 3 * 4096);
	put32(image + 0x22c, PREF + INIT_SIZE - 1);
	assert_int_equal(pwrite(in.kernel, image, IMAGE, 0), IMAGE);
	refused("initrd: 10000 bytes do not fit");
	put32(image + 0x22c, 0);
	assert_int_equal(pwrite(in.kernel, image, IMAGE, 0), IMAGE);
	refused("initrd");
	put32(image + 0x22c, 0x7fffffff);
	assert_int_equal(pwrite(in.kernel, image, IMAGE, 0), IMAGE);
	/* Just fits, and a byte more. */
	assert_int_equal(ftruncate(in.initrd, 44 * MIB), 0);
	assert_true(load());
	assert_int_equal(le32(bp() + 0x218), PREF + INIT_SIZE);
	assert_int_equal(ftruncate(in.initrd, 44 * MIB + 1), 0);
	refused("do not fit");
	assert_int_equal(ftruncate(in.initrd, 1ll << 62), 0);
	refused("do not fit");
	assert_int_equal(ftruncate(in.initrd, 0), 0);
	refused("initrd: not a regular file");
	(void)close(in.initrd);
	in.initrd = open("/dev/zero", O_RDONLY);
	refused("initrd: not a regular file");
}

static void test_kernel_refused(void **state)
{
	static const struct {
		uint32_t offset, width;
		uint64_t value;
		const char *why;
	} rows[] = {
		{ 0x202, 4, 0, "HdrS" },
		{ 0x206, 2, 0x20b, "2.12" },
		{ 0x236, 2, 0, "64-bit" },
		{ 0x1f4, 4, 0x301, "truncated" },
		{ 0x258, 8, 0, "not a page" },
		{ 0x258, 8, MIB - 4096, "not a page" },
		{ 0x258, 8, PREF + 1, "not a page" },
		{ 0x258, 8, 61 * MIB, "too small: the kernel needs it up to 65 MiB" },
		{ 0x258, 8, 4096 * MIB, "too small" },
		{ 0x258, 8, 0xfffffffffffff000ull - INIT_SIZE, "too small" },
		{ 0x260, 4, 49 * MIB, "too small" },
		{ 0x260, 4, 0, "init_size" },
		{ 0x238, 4, 18, "command line" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bytes[8];

		put64(bytes, rows[i].value);
		sample();
		memcpy(image + rows[i].offset, bytes, rows[i].width);
		assert_int_equal(pwrite(in.kernel, image, IMAGE, 0), IMAGE);
		refused(rows[i].why);
	}
	sample();
	put64(image + 0x258, 60 * MIB); /* to the last byte */
	put32(image + 0x238, 19);
	assert_int_equal(pwrite(in.kernel, image, IMAGE, 0), IMAGE);
	assert_true(load());
	for (off_t n = 0; n < 0x300; n += 7) {
		assert_int_equal(ftruncate(in.kernel, n), 0);
		refused("kernel: ");
	}
	assert_int_equal(ftruncate(in.kernel, 1ll << 40), 0);
	refused("larger than 256 MiB");
	(void)close(in.kernel);
	in.kernel = open("/dev/zero", O_RDONLY);
	refused("kernel: not a regular file");
}

static void test_command_line(void **state)
{
	static char line[5000];

	(void)state;
	in.cmdline = line;
	assert_true(load());
	assert_int_equal(mem.base[LOADER_CMDLINE], 0);
	memset(line, 'a', 2047);
	assert_true(load());
	line[2047] = 'a';
	refused("command line: 2048 bytes");
	put32(image + 0x238,
	      0xffffffff); /* a kernel that takes everything: our page is the limit */
	assert_int_equal(pwrite(in.kernel, image, IMAGE, 0), IMAGE);
	memset(line, 'a', 4095);
	assert_true(load());
	line[4095] = 'a';
	refused("command line");
}

static void test_small_memory(void **state)
{
	(void)state;
	(void)munmap(mem.base, mem.size);
	memory(20 * MIB);
	assert_true(load());
	(void)munmap(mem.base, mem.size);
	memory(18 * MIB);
	refused("memory is too small: the kernel needs it up to 20 MiB");
}

static void test_registers(void **state)
{
	static const struct {
		uint32_t name;
		uint64_t low, high;
	} want[] = {
		{ HV_REG_RIP, PREF + 0x200, 0 },
		{ HV_REG_RAX + 6, LOADER_BOOT_PARAMS, 0 },
		{ HV_REG_RFLAGS, 2, 0 },
		{ HV_REG_CR0, 0x80000031, 0 },
		{ HV_REG_CR3, LOADER_PML4, 0 },
		{ HV_REG_CR4, 0x20, 0 },
		{ HV_REG_EFER, 0x500, 0 },
		{ HV_REG_CS, 0, 0xa09b0010ffffffffull },
		{ HV_REG_DS, 0, 0xc0930018ffffffffull },
		{ HV_REG_ES, 0, 0xc0930018ffffffffull },
		{ HV_REG_SS, 0, 0xc0930018ffffffffull },
		{ HV_REG_GDTR, LOADER_GDT, 0x001f000000000000ull },
		{ HV_REG_TR, 0, 0x008b00000000ffffull },
	};
	struct hv_register_assoc r[LOADER_REGS];
	uint32_t n;

	(void)state;
	assert_true(load());
	memset(r, 0xa5, sizeof(r));
	n = loader_registers(&start, r);
	assert_in_range(n, sizeof(want) / sizeof(want[0]), LOADER_REGS);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		uint32_t k = 0;

		while (k < n && r[k].name != want[i].name) {
			k++;
		}
		assert_true(k < n);
		assert_int_equal(r[k].value.low, want[i].low);
		assert_int_equal(r[k].value.high, want[i].high);
		assert_int_equal(r[k].pad[0] | r[k].pad[1] | r[k].pad[2], 0);
	}
}

/* Debian's kernels, where the system tests have fetched them. */
static void test_debian(void **state)
{
	const char *home = getenv("HOME");
	char pattern[256];
	glob_t found;

	(void)state;
	(void)snprintf(pattern, sizeof(pattern), "%s/.cache/redoubt/kernels/*/boot/vmlinuz-*",
		       home != NULL ? home : "");
	if (glob(pattern, 0, NULL, &found) != 0) {
		skip();
	}
	(void)munmap(mem.base, mem.size);
	memory(256 * MIB);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		(void)close(in.kernel);
		in.kernel = open(found.gl_pathv[i], O_RDONLY);
		assert_true(in.kernel >= 0);
		if (!load()) {
			fail_msg("%s: %s", found.gl_pathv[i], text);
		}
		/* startup_64 of the decompressor: cld; cli */
		assert_int_equal(mem.base[start.entry], 0xfc);
		assert_int_equal(mem.base[start.entry + 1], 0xfa);
		assert_memory_equal(bp() + 0x202, "HdrS", 4);
	}
	globfree(&found);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* The ranges are all that was written: whole pages, ascending, apart from each other, and outside them there are zeros. */
static void test_ranges(void **state)
{
	static const uint8_t zero[4096];
	uint64_t at = 0, pages = 0;

	(void)state;
	in.initrd = file(image, 5000);
	assert_true(load());
	assert_in_range(start.range_count, 5, LOADER_RANGES);
	for (uint32_t i = 0; i < start.range_count; i++) {
		const struct loader_range *r = &start.range[i];

		assert_int_equal((r->gpa | r->bytes) % 4096, 0);
		assert_true(r->bytes > 0 && (i == 0 || r->gpa > at));
		for (; at < r->gpa; at += 4096) {
			assert_memory_equal(mem.base + at, zero, 4096);
		}
		at = r->gpa + r->bytes;
		pages += r->bytes / 4096;
	}
	for (; at < mem.size; at += 4096) {
		assert_memory_equal(mem.base + at, zero, 4096);
	}
	assert_in_range(pages, 10, mem.size / 4096 / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_places),       TEST(test_e820),           TEST(test_page_tables),
		TEST(test_initrd),       TEST(test_kernel_refused), TEST(test_command_line),
		TEST(test_small_memory), TEST(test_registers),      TEST(test_debian),
		TEST(test_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
