/* SPDX-License-Identifier: MIT */
/*
 * ACPI: a whole synthetic machine, then each table's lengths, checksums and contents at their
 * edges.
 */
#include "tests/unit/wire/wire_test.h"

#include "hv/wire/acpi.h"

#define RSDP 0x100u
#define ROOT 0x200u
#define MADT 0x400u
#define FADT 0x800u
#define DSDT 0xa00u
#define MCFG 0xc00u
#define IVRS 0xe00u
#define DMAR 0x1200u
#define ARENA 0x1300u
#define LOW 0x100000u /* for the search through low memory */

static uint8_t arena[LOW];
static struct acpi_info info;
static struct wire_fault why;

static bool parse_n(uint64_t rsdp, size_t n)
{
	uint8_t *copy = exact(arena, n);
	struct view v = { copy, n };
	bool ok;

	why = poison();
	memset(&info, 0xa5, sizeof(info));
	ok = acpi_parse(&v, rsdp, &info, &why);
	free(copy);
	if (!ok || why.what != NULL) {
		assert_fault(&why, NULL);
	}
	return ok;
}

static bool parse(void)
{
	return parse_n(RSDP, ARENA);
}

static void sum(uint32_t at, uint32_t len, uint32_t field)
{
	uint8_t s = 0;

	arena[field] = 0;
	for (uint32_t i = 0; i < len; i++) {
		s = (uint8_t)(s + arena[at + i]);
	}
	arena[field] = (uint8_t)-s;
}

/* Sets length and checksum of the table. */
static void seal(uint32_t at, uint32_t len)
{
	put32(arena + at + 4, len);
	sum(at, len, at + 9);
}

static uint32_t length_of(uint32_t at)
{
	return arena[at + 4] | (uint32_t)arena[at + 5] << 8;
}

static void reseal(uint32_t at)
{
	seal(at, length_of(at));
}

static void table(uint32_t at, const char *signature, const void *body, uint32_t n)
{
	memcpy(arena + at, signature, 4);
	memcpy(arena + at + 36, body, n);
	seal(at, 36 + n);
}

static void rsdp_v2(uint32_t at)
{
	memset(arena + at, 0, 36);
	memcpy(arena + at, "RSD PTR ", 8);
	arena[at + 15] = 2;
	put32(arena + at + 16, ROOT);
	put32(arena + at + 20, 36);
	put64(arena + at + 24, ROOT);
	sum(at, 20, at + 8);
	sum(at, 36, at + 32);
}

static const uint8_t madt_body[] = {
	0x00, 0x00, 0xe0, 0xfe, 1, 0, 0,    0,                 /* LAPIC address, flags */
	0,    8,    0,    0,    1, 0, 0,    0,                 /* LAPIC 0 */
	0,    8,    1,    2,    1, 0, 0,    0,                 /* LAPIC 2 */
	0,    8,    2,    4,    2, 0, 0,    0,                 /* LAPIC 4, online capable */
	0,    8,    3,    6,    0, 0, 0,    0,                 /* an empty socket */
	0,    8,    4,    0xff, 1, 0, 0,    0,                 /* no APIC id */
	1,    12,   7,    0,    0, 0, 0xc0, 0xfe, 24, 0, 0, 0, /* I/O APIC */
	2,    10,   0,    0,    2, 0, 0,    0,    0,  0,       /* interrupt override */
	9,    16,   0,    0,    0, 1, 0,    0,    1,  0, 0, 0,
	9,    0,    0,    0, /* x2APIC 256 */
	9,    16,   0,    0,    4, 0, 0,    0,    1,  0, 0, 0,
	2,    0,    0,    0,                                   /* LAPIC 4 again, enabled */
	5,    12,   0,    0,    0, 0, 0xe1, 0xfe, 1,  0, 0, 0, /* address override */
};

static const uint8_t mcfg_body[] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xb0, 0, 0, 0, 0, 1, 0, 0, 0xff, 0, 0, 0, 0,
};

/* One IVHD of type 0x10 and one of 0x11 for the same IOMMU, a memory block, and a second IOMMU. */
static const uint8_t ivrs_body[] = {
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	/* 48 */
	0x10,
	0,
	32,
	0,
	0x02,
	0,
	0x40,
	0,
	0,
	0,
	0xd8,
	0xfe,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0x02,
	0x08,
	0,
	0, /* select 8 */
	0x00,
	0,
	0,
	0,
	/* 80 */
	0x11,
	0,
	60,
	0,
	0x02,
	0,
	0x44,
	0,
	0,
	0,
	0xd8,
	0xfe,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0x03,
	0x10,
	0,
	0,
	0x04,
	0xff,
	0x01,
	0, /* range 0x10..0x1ff */
	0x42,
	0x20,
	0,
	0,
	0,
	0x00,
	0x05,
	0, /* alias 0x500 */
	0x00,
	0,
	0,
	0,
	/* 140: IVMD */
	0x20,
	8,
	32,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	/* 172 */
	0x40,
	0,
	90,
	0,
	0x02,
	1,
	0x40,
	0,
	0,
	0,
	0xd0,
	0xfe,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0x48,
	0,
	0,
	0,
	0,
	0xa0,
	0x00,
	1, /* I/O APIC at 0xa0 */
	0xf0,
	0x00,
	0x07,
	0,
	'A',
	'M',
	'D',
	'I',
	'0',
	'0',
	'4',
	'0',
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	2,
	4,
	'u',
	'i',
	'd',
	'0',
	0x80,
	0x00,
	0x03,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
};

static const uint8_t dsdt_body[] = {
	'_',  'S', '5', '_', 0x12, 0x06, 0x04, 0,    0,    0,    0, /* a mention only */
	0x08, '_', 'S', '5', '_',  0x12, 0x06, 0x04, 0x0a, 0x05, 0x01, 0x00, 0x00,
};

static void fadt(void)
{
	uint8_t *f = arena + FADT;

	memset(f, 0, 244);
	memcpy(f, "FACP", 4);
	put32(f + 40, DSDT);
	put32(f + 48, 0xb2);
	f[52] = 0xf1;
	put32(f + 56, 0x600);
	put32(f + 64, 0x604);
	put32(f + 76, 0x608);
	f[88] = 4;
	f[89] = 2;
	put32(f + 112, 1u << 8 | 1u << 10);
	f[116] = 1;
	f[117] = 8;
	put64(f + 120, 0xcf9);
	f[128] = 0x0f;
	put64(f + 140, DSDT);
	seal(FADT, 244);
}

static void sample(void)
{
	static const uint32_t tables[] = { FADT, MADT, MCFG, IVRS, DMAR };
	uint8_t entries[8 * 5] = { 0 };

	memset(arena, 0, sizeof(arena));
	rsdp_v2(RSDP);
	for (unsigned int i = 0; i < 5; i++) {
		put32(entries + 8 * i, tables[i]);
	}
	table(ROOT, "XSDT", entries, sizeof(entries));
	table(MADT, "APIC", madt_body, sizeof(madt_body));
	table(MCFG, "MCFG", mcfg_body, sizeof(mcfg_body));
	table(IVRS, "IVRS", ivrs_body, sizeof(ivrs_body));
	table(DSDT, "DSDT", dsdt_body, sizeof(dsdt_body));
	table(DMAR, "DMAR", entries, 12);
	fadt();
}

static void test_sample(void **state)
{
	(void)state;
	sample();
	assert_true(parse());
	assert_null(why.what);
	assert_int_equal(info.rsdp, RSDP);
	assert_int_equal(info.cpu_count, 4);
	assert_int_equal(info.cpu[1].apic_id, 2);
	assert_true(info.cpu[1].enabled);
	assert_int_equal(info.cpu[2].apic_id, 4);
	assert_true(info.cpu[2].enabled); /* through its x2APIC entry */
	assert_int_equal(info.cpu[3].apic_id, 256);
	assert_true(info.lapic_addr == 0x1fee10000ull);
	assert_int_equal(info.ioapic_count, 1);
	assert_int_equal(info.ioapic[0].id, 7);
	assert_true(info.ioapic[0].addr == 0xfec00000);
	assert_int_equal(info.ioapic[0].gsi_base, 0x18);
	assert_int_equal(info.pm1a_evt, 0x600);
	assert_int_equal(info.pm1a_cnt, 0x604);
	assert_int_equal(info.pm1b_cnt, 0);
	assert_int_equal(info.pm1_evt_len, 4);
	assert_int_equal(info.pm1_cnt_len, 2);
	assert_int_equal(info.pm_timer, 0x608);
	assert_true(info.pm_timer_32bit);
	assert_int_equal(info.smi_cmd, 0xb2);
	assert_int_equal(info.acpi_enable, 0xf1);
	assert_true(info.reset_is_io);
	assert_int_equal(info.reset_port, 0xcf9);
	assert_int_equal(info.reset_value, 0x0f);
	assert_true(info.s5_found);
	assert_int_equal(info.s5_typ_a, 5);
	assert_int_equal(info.s5_typ_b, 1);
	assert_int_equal(info.ecam_count, 1);
	assert_true(info.ecam[0].base == 0xb0000000);
	assert_int_equal(info.ecam[0].segment, 1);
	assert_int_equal(info.ecam[0].bus_end, 0xff);
	assert_int_equal(info.iommu_count, 2);
	assert_int_equal(info.iommu[0].device_id, 2);
	assert_int_equal(info.iommu[0].cap_offset, 0x44);
	assert_true(info.iommu[0].base == 0xfed80000);
	assert_int_equal(info.iommu[0].devid_max, 0x500);
	assert_int_equal(info.iommu[1].device_id, 0x102);
	assert_int_equal(info.iommu[1].devid_max, 0x700);
	assert_int_equal(info.ivrs_addr, IVRS);
	assert_int_equal(info.dmar_addr, DMAR);
}

/* Every byte that a checksum covers, changed: needed tables refuse, optional ones warn. */
static void test_checksums(void **state)
{
	static const struct {
		uint32_t at, len;
		bool needed;
	} t[] = { { RSDP, 20, true }, { RSDP, 36, true }, { ROOT, 0, true },  { MADT, 0, true },
		  { FADT, 0, true },  { MCFG, 0, false }, { IVRS, 0, false }, { DSDT, 0, false } };

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint32_t len;

		sample();
		len = t[i].len != 0 ? t[i].len : length_of(t[i].at);
		for (uint32_t k = 0; k < len; k++) {
			/*
			 * A changed signature means another table; a changed length has its own
			 * test.
			 */
			if (t[i].len == 0 && k < 8) {
				continue;
			}
			sample();
			arena[t[i].at + k] ^= 0x10;
			assert_int_equal(parse(), !t[i].needed);
			assert_non_null(why.what);
		}
	}
	sample();
	arena[IVRS + 60] ^= 1;
	assert_true(parse());
	assert_fault(&why, "checksum");
	assert_int_equal(info.iommu_count, 0);
	assert_int_equal(info.ivrs_addr, IVRS); /* still to be hidden */
}

static void test_lengths(void **state)
{
	static const uint64_t bad[] = { 0,         1,     35,         36,        (16u << 20) + 1,
					16u << 20, ARENA, 0x7fffffff, 0xffffffff };
	static const struct {
		uint32_t at;
		bool needed;
	} t[] = {
		{ MADT, true }, { FADT, true }, { MCFG, false }, { IVRS, false }, { DSDT, false }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
			sample();
			put32(arena + t[i].at + 4, bad[k]);
			if (bad[k] == 36) {
				reseal(t[i].at); /* right checksum, nothing in it */
			}
			assert_int_equal(parse(), !t[i].needed);
			assert_fault(&why, bad[k] < 36 ? "length below 36" : NULL);
		}
	}
	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		sample();
		put32(arena + ROOT + 4, bad[k]);
		assert_false(parse());
		if (bad[k] >= 36) {
			continue;
		}
		sample();
		put32(arena + RSDP + 20, bad[k]);
		assert_false(parse());
		assert_fault(&why, "length");
	}
	/* The fixed parts of each table, cut one byte at a time with a right checksum. */
	for (uint32_t len = 36; len < 44; len++) {
		sample();
		seal(MADT, len);
		assert_false(parse());
		assert_fault(&why, "below 44");
		sample();
		seal(MCFG, len);
		assert_true(parse());
		assert_fault(&why, "below 44");
	}
	for (uint32_t len = 36; len < 116; len++) {
		sample();
		seal(FADT, len);
		assert_false(parse());
		assert_fault(&why, "below 116");
	}
	for (uint32_t len = 36; len < 48; len++) {
		sample();
		seal(IVRS, len);
		assert_true(parse());
		assert_fault(&why, "below 48");
	}
}

/* The view cut at every byte: ASan judges; without its needed tables it is refused. */
static void test_truncated(void **state)
{
	(void)state;
	sample();
	for (size_t n = 0; n < ARENA; n++) {
		bool ok = parse_n(RSDP, n);

		assert_int_equal(ok, n >= FADT + 244);
		if (ok && n < DMAR + 36) {
			assert_non_null(why.what);
		}
	}
}

static void test_rsdp(void **state)
{
	static const uint64_t addresses[] = { 1,     RSDP + 1,   RSDP - 16,  ARENA - 19,
					      ARENA, 1ull << 32, UINT64_MAX, UINT64_MAX - 19 };

	(void)state;
	sample();
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		assert_false(parse_n(addresses[i], ARENA));
		assert_fault(&why, "not found");
	}
	assert_false(parse_n(0, ARENA));
	/* At the very edges of its length. */
	sample();
	put32(arena + RSDP + 20, 4096);
	sum(RSDP, 4096, RSDP + 32);
	assert_true(parse());
	sample();
	put32(arena + RSDP + 20, 35);
	sum(RSDP, 35, RSDP + 32);
	assert_false(parse());
	assert_fault(&why, "length");
	/* Longer than today's is fine, up to a page. */
	sample();
	put32(arena + RSDP + 20, 40);
	sum(RSDP, 40, RSDP + 32);
	assert_true(parse());
	put32(arena + RSDP + 20, 4097);
	sum(RSDP, 4097, RSDP + 32);
	assert_false(parse());
	assert_fault(&why, "length");
	/* Revision 0, or no XSDT: the RSDT with its 4-byte entries. */
	for (uint8_t revision = 0; revision <= 2; revision += 2) {
		uint8_t entries[4 * 4];

		sample();
		put32(entries, FADT);
		put32(entries + 4, MADT);
		put32(entries + 8, 0);
		put32(entries + 12, MCFG);
		table(ROOT, "RSDT", entries, sizeof(entries));
		arena[RSDP + 15] = revision;
		put64(arena + RSDP + 24, 0);
		sum(RSDP, 20, RSDP + 8);
		sum(RSDP, 36, RSDP + 32);
		assert_true(parse());
		assert_int_equal(info.cpu_count, 4);
		assert_int_equal(info.ecam_count, 1);
		assert_int_equal(info.ivrs_addr, 0);
	}
}

static void test_search(void **state)
{
	static const uint32_t places[] = { 0xe0000, 0xf5ad0, 0xfffd0, 0x9fc00, 0x9fff0 };

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		sample();
		memset(arena + RSDP, 0, 36);
		put16(arena + 0x40e, 0x9fc0);
		/*
		 * MADT's bytes overlap 0x40e: the word is data of a table here, so fix its
		 * checksum.
		 */
		reseal(MADT);
		rsdp_v2(places[i]);
		(void)parse_n(0, LOW);
		assert_int_equal(info.rsdp, places[i]);
	}
	/* Without an EBDA: its word is 0. */
	memset(arena, 0, sizeof(arena));
	rsdp_v2(0xf0000);
	(void)parse_n(0, LOW);
	assert_int_equal(info.rsdp, 0xf0000);
	/* Not on a 16-byte boundary, behind the EBDA's first KiB, or just past the end. */
	sample();
	memset(arena + RSDP, 0, 36);
	rsdp_v2(0xf0008);
	rsdp_v2(0xa0000);
	assert_false(parse_n(0, LOW));
	assert_fault(&why, "not found");
}

static void test_root_entries(void **state)
{
	static const uint64_t odd[] = { ARENA, ARENA - 35, 0x100000000, UINT64_MAX,
					UINT64_MAX - 35 };

	(void)state;
	/* A table out of reach is worth a warning only. */
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		sample();
		put64(arena + ROOT + 36 + 32, odd[i]);
		reseal(ROOT);
		assert_true(parse());
		assert_fault(&why, "below 4 GiB");
		assert_int_equal(info.dmar_addr, 0);
	}
	/* A length that is no whole number of entries. */
	for (uint32_t len = 36 + 33; len < 36 + 40; len++) {
		sample();
		seal(ROOT, len);
		assert_false(parse());
		assert_fault(&why, "odd");
	}
	/*
	 * 256 entries, most of them unused, fit; 257 do not. Placed apart so that nothing overlaps.
	 */
	for (uint32_t n = 256; n <= 257; n++) {
		sample();
		memset(arena + 0x10000, 0, 36 + 8 * n);
		memcpy(arena + 0x10000, arena + ROOT, 36 + 40);
		seal(0x10000, 36 + 8 * n);
		put64(arena + RSDP + 24, 0x10000);
		sum(RSDP, 36, RSDP + 32);
		assert_int_equal(parse_n(RSDP, 0x11000), n == 256);
	}
	/* A second IVRS cannot be hidden: a warning. The same one twice is not worth one. */
	sample();
	memcpy(arena + DMAR, "IVRS", 4);
	assert_true(parse());
	assert_fault(&why, "twice");
	assert_int_equal(info.ivrs_addr, IVRS);
	sample();
	put64(arena + ROOT + 36 + 32, IVRS);
	reseal(ROOT);
	assert_true(parse());
	assert_null(why.what);
	/* Needed tables missing. */
	sample();
	memcpy(arena + MADT, "XXXX", 4);
	assert_false(parse());
	assert_string_equal(why.what, "ACPI MADT");
	sample();
	memcpy(arena + FADT, "XXXX", 4);
	assert_false(parse());
	assert_string_equal(why.what, "ACPI FADT");
	/* An unknown table may be broken in any way. */
	sample();
	memcpy(arena + DMAR, "XXXX", 4);
	put32(arena + DMAR + 4, 0xffffffff);
	assert_true(parse());
	assert_null(why.what);
}

static void test_madt_entries(void **state)
{
	static const struct {
		uint8_t type, len;
	} bad[] = { { 0, 0 }, { 0, 1 },  { 0, 7 },  { 1, 11 },  { 5, 11 },  { 9, 15 },
		    { 9, 0 }, { 77, 0 }, { 77, 1 }, { 77, 17 }, { 0, 255 }, { 77, 255 } };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t *e = arena + MADT + 36 + sizeof(madt_body);

		sample();
		e[0] = bad[i].type;
		e[1] = bad[i].len;
		/* What follows would be fine. */
		if (bad[i].len < 16) {
			uint8_t *after = e + (bad[i].len < 2 ? 2 : bad[i].len);

			after[0] = 77;
			after[1] = (uint8_t)(e + 16 - after);
		}
		seal(MADT, 36 + sizeof(madt_body) + 16);
		assert_false(parse());
		assert_fault(&why, "entry");
	}
	/* The shortest good ones. */
	for (unsigned int type = 0; type < 256; type++) {
		uint8_t *e = arena + MADT + 44;
		uint8_t len = type == 0 ? 8 : type == 1 || type == 5 ? 12 : type == 9 ? 16 : 2;

		sample();
		memset(e, 0, sizeof(madt_body));
		e[0] = (uint8_t)type;
		e[1] = len;
		e[len + 1] = 8;
		e[len + 3] = 5;
		e[len + 4] = 1;
		seal(MADT, 44 + len + 8u);
		assert_true(parse());
		assert_int_equal(info.cpu_count, 1);
	}
	/* Cut within the last entry. */
	for (uint32_t cut = 1; cut < 12; cut++) {
		sample();
		seal(MADT, 36 + sizeof(madt_body) - cut);
		assert_false(parse());
	}
	/* No enabled CPU: only capable ones, or none. */
	sample();
	seal(MADT, 44);
	assert_false(parse());
	assert_fault(&why, "no enabled CPU");
	sample();
	arena[MADT + 48] = 2;
	seal(MADT, 52);
	assert_false(parse());
	assert_fault(&why, "no enabled CPU");
}

/* More CPUs and I/O APICs than there is room for. */
static void test_madt_many(void **state)
{
	uint32_t at = 0x10000, off = 44;

	(void)state;
	sample();
	memcpy(arena + at, "APIC", 4);
	for (unsigned int i = 0; i < 100; i++, off += 8) {
		memset(arena + at + off, 0, 8);
		arena[at + off + 1] = 8;
		arena[at + off + 3] = (uint8_t)i;
		arena[at + off + 4] = 1;
	}
	for (unsigned int i = 0; i < 9; i++, off += 12) {
		memset(arena + at + off, 0, 12);
		arena[at + off] = 1;
		arena[at + off + 1] = 12;
	}
	seal(at, off);
	put64(arena + ROOT + 36 + 8, at);
	reseal(ROOT);
	assert_true(parse_n(RSDP, at + off));
	assert_int_equal(info.cpu_count, 100);
	assert_int_equal(info.cpu[63].apic_id, 63);
	assert_int_equal(info.ioapic_count, 8);
	assert_fault(&why, "I/O APICs");
}

static void test_fadt(void **state)
{
	static const struct {
		uint32_t offset, width;
		uint64_t value;
		const char *field;
	} bad[] = {
		{ 48, 4, 0x10000, "SMI" },          { 48, 4, 0xffffffff, "SMI" },
		{ 56, 4, 0x10000, "PM1 event" },    { 56, 4, 0xfffd, "PM1 event" },
		{ 60, 4, 0xffffffff, "PM1 event" }, { 64, 4, 0x10000, "PM1 control" },
		{ 64, 4, 0xffff, "PM1 control" },   { 68, 4, 0x80000604, "PM1 control" },
		{ 76, 4, 0xfffd, "PM timer" },      { 76, 4, 0xffffffff, "PM timer" },
		{ 88, 1, 0, "event length" },       { 88, 1, 3, "event length" },
		{ 89, 1, 0, "control length" },     { 89, 1, 1, "control length" },
	};
	uint8_t *f = arena + FADT;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		sample();
		if (bad[i].width == 1) {
			f[bad[i].offset] = (uint8_t)bad[i].value;
		} else {
			put32(f + bad[i].offset, bad[i].value);
		}
		reseal(FADT);
		if (parse()) {
			fail_msg("row %zu was accepted", i);
		}
		assert_fault(&why, bad[i].field);
	}
	/* The extended field wins, and two answers are worth a warning. */
	sample();
	f[172] = 1;
	put64(f + 176, 0x804);
	reseal(FADT);
	assert_true(parse());
	assert_int_equal(info.pm1a_cnt, 0x804);
	assert_fault(&why, "two different");
	put32(f + 64, 0);
	reseal(FADT);
	assert_true(parse());
	assert_int_equal(info.pm1a_cnt, 0x804);
	assert_null(why.what);
	put64(f + 176, 0x100000604);
	reseal(FADT);
	assert_false(parse());
	/* An extended field outside the table, or in memory space, does not count. */
	sample();
	f[172] = 1;
	put64(f + 176, 0x804);
	seal(FADT, 183);
	assert_true(parse());
	assert_int_equal(info.pm1a_cnt, 0x604);
	sample();
	f[172] = 0;
	put64(f + 176, 0xfed00000);
	reseal(FADT);
	assert_true(parse());
	assert_int_equal(info.pm1a_cnt, 0x604);
	/* Each extended field is read from its own place. */
	sample();
	for (unsigned int i = 0; i < 5; i++) {
		static const uint32_t at[] = { 148, 160, 172, 184, 208 };

		put32(f + (i == 4 ? 76 : 56 + 4 * i), 0);
		f[at[i]] = 1;
		put64(f + at[i] + 4, 0x1000 + 0x10 * i);
	}
	reseal(FADT);
	assert_true(parse());
	assert_null(why.what);
	assert_int_equal(info.pm1a_evt, 0x1000);
	assert_int_equal(info.pm1b_evt, 0x1010);
	assert_int_equal(info.pm1a_cnt, 0x1020);
	assert_int_equal(info.pm1b_cnt, 0x1030);
	assert_int_equal(info.pm_timer, 0x1040);
	put32(f + 68, 0x1030);
	reseal(FADT);
	assert_true(parse());
	assert_null(why.what);
	put32(f + 68, 0x1031);
	reseal(FADT);
	assert_true(parse());
	assert_fault(&why, "two different");
	/* X_DSDT counts from length 148 on, and where it is not 0. */
	sample();
	put32(f + 40, 0);
	seal(FADT, 147);
	assert_true(parse());
	assert_false(info.s5_found);
	seal(FADT, 148);
	assert_true(parse());
	assert_true(info.s5_found);
	put32(f + 40, DSDT);
	put64(f + 140, 0);
	reseal(FADT);
	assert_true(parse());
	assert_true(info.s5_found);
	/* ACPI 1.0: no reset register, the DSDT through its 32-bit field. */
	sample();
	seal(FADT, 116);
	assert_true(parse());
	assert_null(why.what);
	assert_true(info.s5_found);
	assert_false(info.reset_is_io);
	assert_int_equal(info.reset_port, 0);
	seal(FADT, 128);
	assert_true(parse());
	assert_false(info.reset_is_io);
	seal(FADT, 129);
	assert_true(parse());
	assert_true(info.reset_is_io);
	/* A reset register that is no port, or not announced. */
	for (unsigned int i = 0; i < 4; i++) {
		sample();
		if (i == 0) {
			f[116] = 0;
		} else if (i == 1) {
			put64(f + 120, 0x10cf9);
		} else if (i == 2) {
			put64(f + 120, 0);
		} else {
			put32(f + 112, 1u << 8);
		}
		reseal(FADT);
		assert_true(parse());
		assert_false(info.reset_is_io);
		assert_int_equal(info.reset_port, 0);
		assert_int_equal(info.reset_value, 0);
	}
}

#define B(s) s, sizeof(s) - 1

static void test_s5(void **state)
{
	static const struct {
		const char *aml;
		size_t n;
		bool found;
		uint8_t a, b;
	} t[] = {
		{ B("\x08_S5_\x12\x06\x04\x00\x01\x00\x00"), true, 0, 1 },
		{ B("\x08\\_S5_\x12\x06\x04\x0a\x07\x0a\x07\x00\x00"), true, 7, 7 },
		{ B("\x08_S5_\x12\x46\x00\x02\x0a\x05\x00"), true, 5, 0 }, /* longer PkgLength */
		{ B("\x08_S5_\x12\xc6\x00\x00\x00\x02\x0a\x05\x00"), true, 5, 0 },
		{ B("\x08_S5_\x12\x04\x02\x01\x01"), true, 1, 1 },
		{ B("\x08_S5_\x12\x05\x02\x00\x0a\x05"), true, 0, 5 }, /* ends with the table */
		{ B("\x08_S5_\x12\x04\x01\x01\x01"), false, 0, 0 },    /* one element */
		{ B("\x08_S5_\x12\x06\x04\x0a\x08\x00\x00"), false, 0, 0 }, /* 4 bits */
		{ B("\x08_S5_\x12\x06\x04\x0b\x05\x00\x00"), false, 0, 0 }, /* a word */
		{ B("\x08_S5_\x12\x06\x04\xff\x00"), false, 0, 0 },
		{ B("\x08_S5_\x13\x06\x04\x00\x00"), false, 0, 0 },
		{ B("\x09_S5_\x12\x06\x04\x00\x00"), false, 0, 0 },
		{ B("\x09\\_S5_\x12\x06\x04\x00\x00"), false, 0, 0 },
		{ B("_S5_\x12\x06\x04\x00\x00"), false, 0, 0 },
		{ B("\\_S5_\x12\x06\x04\x00\x00"), false, 0, 0 },
		{ B("\x08_S4_\x12\x06\x04\x00\x00"), false, 0, 0 },
		{ B("\x08_S5_"), false, 0, 0 },
		{ B("\x08_S5_\x12"), false, 0, 0 },
		{ B("\x08_S5_\x12\x06"), false, 0, 0 },
		{ B("\x08_S5_\x12\x06\x04"), false, 0, 0 },
		{ B("\x08_S5_\x12\x06\x04\x0a"), false, 0, 0 },
		{ B("\x08_S5_\x12\x06\x04\x0a\x05"), false, 0, 0 },
		{ B("\x08_S5_\x12\x06\x04\x0a\x05\x0a"), false, 0, 0 },
		{ B("\x08_S5_\x12\xc6\x00\x00"), false, 0, 0 },
		{ B("\x08_S5_\x12\xc6\x00\x00\x00"), false, 0, 0 },
		{ B("\x08_S5_\x08_S5_\x12\x04\x02\x01\x00"), true, 1, 0 }, /* the second is whole */
		{ B("_S5"), false, 0, 0 },
		{ B(""), false, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		/* Last in memory, so that ASan sees what is read behind it. */
		sample();
		table(0x2000, "DSDT", t[i].aml, (uint32_t)t[i].n);
		put64(arena + FADT + 140, 0x2000);
		reseal(FADT);
		assert_true(parse_n(RSDP, 0x2000 + 36 + t[i].n));
		if (info.s5_found != t[i].found || info.s5_typ_a != t[i].a ||
		    info.s5_typ_b != t[i].b) {
			fail_msg("row %zu: found %d, %d %d", i, info.s5_found, info.s5_typ_a,
				 info.s5_typ_b);
		}
		assert_int_equal(why.what == NULL, t[i].found);
	}
}

/* The TPM's table in place of the DMAR. */
static void test_tpm2(void **state)
{
	uint8_t body[40] = { 0 };

	(void)state;
	sample();
	assert_true(parse());
	assert_true(info.tpm2_addr == 0 && !info.tpm2_log && !info.tpm12);
	body[12] = ACPI_TPM2_TIS;
	table(DMAR, "TPM2", body, sizeof(body));
	assert_true(parse());
	assert_int_equal(info.tpm2_addr, DMAR);
	assert_int_equal(info.tpm2_method, ACPI_TPM2_TIS);
	assert_true(info.tpm2_log);
	seal(DMAR, ACPI_TPM2_END - 1);
	assert_true(parse());
	assert_true(info.tpm2_addr == DMAR && !info.tpm2_log);
	seal(DMAR, 51);
	assert_true(parse());
	assert_int_equal(info.tpm2_addr, 0);
	assert_fault(&why, "length below 52");
	table(DMAR, "TPM2", body, sizeof(body));
	arena[DMAR + 40]++;
	assert_true(parse());
	assert_int_equal(info.tpm2_addr, 0);
	assert_fault(&why, "checksum");
	table(DMAR, "TCPA", body, sizeof(body));
	assert_true(parse());
	assert_true(info.tpm2_addr == 0 && info.tpm12);
}

static void test_mcfg(void **state)
{
	static const struct {
		uint64_t base;
		uint8_t first, last;
		bool ok;
	} t[] = {
		{ 0xe0000000, 0, 255, true },
		{ 0xe0000000, 255, 255, true },
		{ 0xe0000000, 0, 0, true },
		{ 0xe0000000, 1, 0, false },
		{ 0, 0, 255, false },
		{ 0xe0000001, 0, 255, false },
		{ 0xe0080000, 0, 255, false },
		{ 0xfffffffffff00000, 0, 0, false },
		{ 0xfffffffff0000000, 0, 255, false },
		{ 0xffffffffe0000000, 0, 255, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		sample();
		put64(arena + MCFG + 44, t[i].base);
		arena[MCFG + 54] = t[i].first;
		arena[MCFG + 55] = t[i].last;
		reseal(MCFG);
		assert_true(parse());
		assert_int_equal(info.ecam_count, t[i].ok);
		if (t[i].ok) {
			assert_int_equal(info.ecam[0].bus_start, t[i].first);
			assert_int_equal(info.ecam[0].bus_end, t[i].last);
		}
		assert_int_equal(why.what == NULL, t[i].ok);
	}
	for (uint32_t n = 45; n < 60; n++) {
		sample();
		seal(MCFG, n);
		assert_true(parse());
		assert_fault(&why, "whole number");
		assert_int_equal(info.ecam_count, 0);
	}
	sample();
	for (unsigned int i = 0; i < 5; i++) {
		memcpy(arena + MCFG + 44 + 16 * i, mcfg_body + 8, 16);
	}
	seal(MCFG, 44 + 5 * 16);
	assert_true(parse());
	assert_int_equal(info.ecam_count, 4);
	assert_fault(&why, "more than 4");
}

static void test_ivrs(void **state)
{
	/* Offsets in the table; all of these leave no IOMMU and a warning. */
	static const struct {
		uint32_t offset;
		uint16_t value;
		const char *field;
	} bad[] = {
		{ 50, 0, "block" },
		{ 50, 1, "block" },
		{ 50, 3, "block" },
		{ 50, 4, "block" },
		{ 50, 23, "block" },
		{ 50, 0xffff, "block" },
		{ 82, 39, "block" },
		{ 142, 0, "block" },
		{ 174, 91, "block" },
		{ 174, 89, NULL },
		{ 50, 26, "device entry" },
		{ 56, 1, "aligned" },
		{ 58, 0, NULL },
		{ 72, 0xf1, "device entry" },
		{ 76, 0x80, "device entry" },
		{ 76, 0x40, "device entry" },
		{ 76, 0xf0, "device entry" },
		{ 241, 5, "device entry" },
		{ 241, 0xff, "device entry" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		sample();
		put16(arena + IVRS + bad[i].offset, bad[i].value);
		if (bad[i].offset == 241) {
			arena[IVRS + 241] = (uint8_t)bad[i].value;
		}
		if (bad[i].offset == 58) {
			put64(arena + IVRS + 56, 0);
		}
		reseal(IVRS);
		assert_true(parse());
		if (info.iommu_count != 0 || why.what == NULL) {
			fail_msg("row %zu was accepted", i);
		}
		assert_fault(&why, bad[i].field);
		assert_int_equal(info.iommu[0].base, 0);
	}
	/* Cut at every byte: whole blocks count, anything else refuses. */
	for (uint32_t n = 48; n < 36 + sizeof(ivrs_body); n++) {
		uint32_t want = n == 80 || n == 140 || n == 172 ? 1 : 0;

		sample();
		seal(IVRS, n);
		assert_true(parse());
		assert_int_equal(info.iommu_count, want);
		assert_int_equal(why.what == NULL, want == 1 || n == 48);
	}
	/* Type 0x10 alone, and "all devices". */
	sample();
	seal(IVRS, 80);
	assert_true(parse());
	assert_int_equal(info.iommu[0].cap_offset, 0x40);
	assert_int_equal(info.iommu[0].devid_max, 8);
	arena[IVRS + 76] = 1;
	reseal(IVRS);
	assert_true(parse());
	assert_int_equal(info.iommu[0].devid_max, 0xffff);
	/* The I/O APIC's id, at the end of its entry, and a named device without a name. */
	sample();
	memcpy(arena + IVRS + 48 + 24, "\x48\x00\x00\x00\x00\xa0\x07\x01", 8);
	seal(IVRS, 80);
	assert_true(parse());
	assert_int_equal(info.iommu_count, 1);
	assert_int_equal(info.iommu[0].devid_max, 0x7a0);
	memset(arena + IVRS + 72, 0, 22);
	arena[IVRS + 72] = 0xf0;
	put16(arena + IVRS + 73, 0x321);
	put16(arena + IVRS + 50, 24 + 22);
	seal(IVRS, 48 + 24 + 22);
	assert_true(parse());
	assert_int_equal(info.iommu[0].devid_max, 0x321);
	/* A lower type behind a higher one changes nothing. */
	sample();
	arena[IVRS + 48] = 0x10;
	arena[IVRS + 80] = 0x10 + 1;
	memcpy(arena + IVRS + 262, arena + IVRS + 48, 32);
	put16(arena + IVRS + 262 + 6, 0x99);
	seal(IVRS, 262 + 32);
	assert_true(parse());
	assert_int_equal(info.iommu_count, 2);
	assert_int_equal(info.iommu[0].cap_offset, 0x44);
	/* Two blocks of one type add up; with another base they contradict. */
	sample();
	memcpy(arena + IVRS + 80, arena + IVRS + 48, 32);
	put16(arena + IVRS + 80 + 25, 0x123);
	seal(IVRS, 112);
	assert_true(parse());
	assert_int_equal(info.iommu_count, 1);
	assert_int_equal(info.iommu[0].devid_max, 0x123);
	arena[IVRS + 80 + 10] = 0xc8;
	reseal(IVRS);
	assert_true(parse());
	assert_fault(&why, "two register addresses");
	/* Five IOMMUs: all or none. */
	for (unsigned int n = 4; n <= 5; n++) {
		sample();
		for (unsigned int i = 0; i < n; i++) {
			memcpy(arena + IVRS + 48 + 32 * i, ivrs_body + 12, 32);
			arena[IVRS + 48 + 32 * i + 4] = (uint8_t)(i + 1);
		}
		seal(IVRS, 48 + 32 * n);
		assert_true(parse());
		assert_int_equal(info.iommu_count, n == 4 ? 4 : 0);
		assert_int_equal(why.what == NULL, n == 4);
	}
	/* The same id in another segment is another IOMMU. */
	sample();
	memcpy(arena + IVRS + 80, arena + IVRS + 48, 32);
	put16(arena + IVRS + 80 + 16, 1);
	seal(IVRS, 112);
	assert_true(parse());
	assert_int_equal(info.iommu_count, 2);
	assert_int_equal(info.iommu[1].segment, 1);
}

/* Random bytes under right checksums: only ASan and UBSan judge. */
static void test_mutations(void **state)
{
	static const uint32_t tables[] = { ROOT, MADT, FADT, DSDT, MCFG, IVRS };
	uint64_t seed = 7;

	(void)state;
	for (unsigned int i = 0; i < 6000; i++) {
		uint64_t r = next_random(&seed);
		uint32_t at = tables[r % 6];

		sample();
		arena[at + 10 + (r >> 8) % (length_of(at) - 10)] = (uint8_t)(r >> 40);
		reseal(at);
		(void)parse();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample),       cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_lengths),      cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_rsdp),         cmocka_unit_test(test_search),
		cmocka_unit_test(test_root_entries), cmocka_unit_test(test_madt_entries),
		cmocka_unit_test(test_madt_many),    cmocka_unit_test(test_fadt),
		cmocka_unit_test(test_s5),           cmocka_unit_test(test_mcfg),
		cmocka_unit_test(test_tpm2),         cmocka_unit_test(test_ivrs),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
