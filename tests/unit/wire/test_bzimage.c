/* SPDX-License-Identifier: MIT */
/* The Linux setup header: a valid image, then every field at its edges. */
#include "tests/unit/wire/wire_test.h"

#include "hv/wire/bzimage.h"

#define SIZE (5 * 512 + 0x1000)

static uint8_t img[SIZE];
static struct bzimage bz;
static struct wire_fault why;

static void sample(void)
{
	memset(img, 0, sizeof(img));
	img[0x1f1] = 4;
	put32(img + 0x1f4, 0x1000 / 16);
	put16(img + 0x1fe, 0xaa55);
	img[0x200] = 0xeb;
	img[0x201] = 0x6a;
	memcpy(img + 0x202, "HdrS", 4);
	put16(img + 0x206, 0x020f);
	img[0x211] = 1;
	put32(img + 0x22c, 0x7fffffff);
	put32(img + 0x230, 0x200000);
	img[0x234] = 1;
	put16(img + 0x236, 3);
	put32(img + 0x238, 2047);
	put64(img + 0x258, 0x1000000);
	put32(img + 0x260, 0x3000000);
}

static bool parse(size_t n)
{
	uint8_t *copy = exact(img, n);
	bool ok;

	why = poison();
	memset(&bz, 0xa5, sizeof(bz));
	ok = bzimage_parse(copy, n, &bz, &why);
	free(copy);
	if (!ok) {
		assert_fault(&why, NULL);
	} else {
		assert_null(why.what);
	}
	return ok;
}

static void test_sample(void **state)
{
	(void)state;
	sample();
	assert_true(parse(SIZE));
	assert_int_equal(bz.version, 0x20f);
	assert_int_equal(bz.hdr_offset, 0x1f1);
	assert_int_equal(bz.hdr_size, 0x26c - 0x1f1);
	assert_int_equal(bz.payload_offset, 5 * 512);
	assert_int_equal(bz.payload_size, 0x1000);
	assert_int_equal(bz.init_size, 0x3000000);
	assert_int_equal(bz.pref_address, 0x1000000);
	assert_int_equal(bz.alignment, 0x200000);
	assert_true(bz.relocatable);
	assert_int_equal(bz.cmdline_max, 2047);
	assert_int_equal(bz.initrd_addr_max, 0x7fffffff);
	assert_true(bz.above_4g);
	/* setup_sects 0 means 4. */
	img[0x1f1] = 0;
	assert_true(parse(SIZE));
	assert_int_equal(bz.payload_offset, 5 * 512);
	img[0x234] = 0;
	put16(img + 0x236, 1);
	assert_true(parse(SIZE));
	assert_false(bz.relocatable);
	assert_false(bz.above_4g);
}

static void test_truncated(void **state)
{
	(void)state;
	sample();
	for (size_t n = 0; n < SIZE; n++) {
		assert_false(parse(n));
	}
	assert_fault(&why, "truncated");
}

static const struct {
	uint32_t offset, width;
	uint64_t value;
	bool ok;
	const char *field;
} rows[] = {
	{ 0x1f1, 1, 5, false, "truncated" },
	{ 0x1f1, 1, 255, false, "truncated" },
	{ 0x1f1, 1, 3, true, NULL },
	{ 0x1f4, 4, 0, false, "syssize 0" },
	{ 0x1f4, 4, 1, true, NULL },
	{ 0x1f4, 4, 0x101, false, "truncated" },
	{ 0x1f4, 4, 0x10000000, false, "truncated" },
	{ 0x1f4, 4, 0x10000100, false, "truncated" }, /* wraps in 32 bits */
	{ 0x1f4, 4, 0xffffffff, false, "truncated" },
	{ 0x1fe, 2, 0, false, "0xaa55" },
	{ 0x1fe, 2, 0x55aa, false, "0xaa55" },
	{ 0x201, 1, 0, false, "setup header" },
	{ 0x201, 1, 0x61, false, "setup header" },
	{ 0x201, 1, 0x62, true, NULL },
	{ 0x201, 1, 0xff, true, NULL },
	{ 0x202, 4, 0, false, "HdrS" },
	{ 0x202, 4, 0x53726447, false, "HdrS" },
	{ 0x206, 2, 0, false, "2.12" },
	{ 0x206, 2, 0x020b, false, "2.12" },
	{ 0x206, 2, 0x020c, true, NULL },
	{ 0x206, 2, 0xffff, true, NULL },
	{ 0x230, 4, 0, false, "alignment" },
	{ 0x230, 4, 1, false, "alignment" },
	{ 0x230, 4, 2048, false, "alignment" },
	{ 0x230, 4, 4095, false, "alignment" },
	{ 0x230, 4, 4096, true, NULL },
	{ 0x230, 4, 0x201000, false, "alignment" },
	{ 0x230, 4, 0xffffffff, false, "alignment" },
	{ 0x230, 4, 0x80000000, true, NULL },
	{ 0x236, 2, 0, false, "64-bit" },
	{ 0x236, 2, 0xfffe, false, "64-bit" },
	{ 0x258, 8, UINT64_MAX, false, "wraps" },
	{ 0x258, 8, UINT64_MAX - 0x3000000 + 1, false, "wraps" },
	{ 0x258, 8, UINT64_MAX - 0x3000000, true, NULL },
	{ 0x260, 4, 0, false, "init_size" },
	{ 0x260, 4, 0xfff, false, "init_size" },
	{ 0x260, 4, 0x1000, true, NULL },
	{ 0x260, 4, 1u << 30, true, NULL },
	{ 0x260, 4, (1u << 30) + 1, false, "init_size" },
	{ 0x260, 4, 0xffffffff, false, "init_size" },
};

static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t *p = img + rows[i].offset;

		sample();
		if (rows[i].width == 1) {
			*p = (uint8_t)rows[i].value;
		} else if (rows[i].width == 2) {
			put16(p, rows[i].value);
		} else if (rows[i].width == 4) {
			put32(p, rows[i].value);
		} else {
			put64(p, rows[i].value);
		}
		if (parse(SIZE) != rows[i].ok) {
			fail_msg("row %zu: %s", i, rows[i].ok ? "refused" : "accepted");
		}
		if (!rows[i].ok) {
			assert_fault(&why, rows[i].field);
		} else {
			assert_true(bz.hdr_size <= 0x290 - 0x1f1);
		}
	}
}

/*
 * The header's claimed end must lie in the file even where the payload would be the later
 * complaint.
 */
static void test_header_past_file(void **state)
{
	(void)state;
	sample();
	for (size_t n = 0x264; n < 0x26c; n++) {
		assert_false(parse(n));
		assert_fault(&why, "setup header's");
	}
	assert_false(parse(0x26c));
	assert_fault(&why, "truncated");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_header_past_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
