// SPDX-License-Identifier: MIT
/* SCSI: CDBs into commands, each boundary of an LBA, and the bytes of every answer. */
#include "tests/unit/wire/wire_test.h"

#include "hv/wire/scsi.h"

static const struct scsi_unit disk = {
	.blocks = 0x20000, .max_blocks = 512, .unmap = true, .serial = "vm1-disk0"
};

static bool decode(const char *bytes, size_t n, const struct scsi_unit *u, struct scsi_command *c,
		   struct scsi_sense *why)
{
	uint8_t *copy = exact(bytes, n);
	bool ok;

	memset(c, 0xa5, sizeof(*c));
	memset(why, 0xa5, sizeof(*why));
	ok = scsi_decode(copy, (uint32_t)n, u, c, why);
	free(copy);
	return ok;
}

static void assert_sense(const struct scsi_sense *s, uint32_t want)
{
	assert_int_equal((uint32_t)s->key << 16 | (uint32_t)s->asc << 8 | s->ascq, want);
}

#define B(s) s, sizeof(s) - 1
#define ZERO6 "\0\0\0\0\0\0"

static const struct {
	const char *cdb;
	size_t n;
	enum scsi_op op;
	uint64_t lba;
	uint32_t blocks;
	bool fua;
	uint8_t page, control;
	uint32_t allocation;
} good[] = {
	{ B("\x00\0\0\0\0\0"), SCSI_TEST_UNIT_READY, 0, 0, 0, 0, 0, 0 },
	{ B("\x1b\0\0\0\1\0"), SCSI_START_STOP, 0, 0, 0, 0, 0, 0 },
	{ B("\x1e\0\0\0\1\0"), SCSI_PREVENT_ALLOW, 0, 0, 0, 0, 0, 0 },
	{ B("\x12\0\0\0\x24\0"), SCSI_INQUIRY, 0, 0, 0, 0, 0, 36 },
	{ B("\x12\0\0\x01\x02\0" ZERO6), SCSI_INQUIRY, 0, 0, 0, 0, 0, 0x102 },
	{ B("\x12\1\x83\0\xff\0"), SCSI_VPD, 0, 0, 0, 0x83, 0, 255 },
	{ B("\x12\1\xb2\0\xff\0"), SCSI_VPD, 0, 0, 0, 0xb2, 0, 255 },
	{ B("\x1a\x08\x3f\0\x04\0"), SCSI_MODE_SENSE_6, 0, 0, 0, 0x3f, 0, 4 },
	{ B("\x1a\0\x48\0\xc0\0"), SCSI_MODE_SENSE_6, 0, 0, 0, 0x08, 1, 192 },
	{ B("\x5a\0\x8a\0\0\0\0\1\0\0"), SCSI_MODE_SENSE_10, 0, 0, 0, 0x0a, 2, 256 },
	{ B("\x5a\0\x3f\xff\0\0\0\0\x80\0"), SCSI_MODE_SENSE_10, 0, 0, 0, 0x3f, 0, 128 },
	{ B("\x03\1\0\0\x12\0"), SCSI_REQUEST_SENSE, 0, 0, 0, 0, 1, 18 },
	{ B("\x25\0\0\0\0\0\0\0\0\0"), SCSI_READ_CAPACITY_10, 0, 0, 0, 0, 0, 8 },
	{ B("\x9e\x10\0\0\0\0\0\0\0\0\0\0\0\x20\0\0"), SCSI_READ_CAPACITY_16, 0, 0, 0, 0, 0, 32 },
	{ B("\xa0\0\0\0\0\0\0\0\x10\x08\0\0"), SCSI_REPORT_LUNS, 0, 0, 0, 0, 0, 0x1008 },
	{ B("\x08\x01\x23\x45\x07\0"), SCSI_READ, 0x12345, 7, 0, 0, 0, 0 },
	{ B("\x08\0\0\0\0\0"), SCSI_READ, 0, 256, 0, 0, 0, 0 },
	/* The three top bits of byte 1 were a LUN once. */
	{ B("\x0a\xe1\xff\xff\1\0"), SCSI_WRITE, 0x1ffff, 1, 0, 0, 0, 0 },
	{ B("\x28\0\0\1\xfe\0\0\2\0\0"), SCSI_READ, 0x1fe00, 512, 0, 0, 0, 0 },
	{ B("\x28\x18\0\0\0\1\0\0\1\0"), SCSI_READ, 1, 1, 1, 0, 0, 0 },
	{ B("\x2a\x08\0\0\0\1\0\0\1\0"), SCSI_WRITE, 1, 1, 1, 0, 0, 0 },
	{ B("\x2a\0\0\2\0\0\0\0\0\0"), SCSI_WRITE, 0x20000, 0, 0, 0, 0, 0 },
	{ B("\x88\0\0\0\0\0\0\1\xff\xff\0\0\0\1\0\0"), SCSI_READ, 0x1ffff, 1, 0, 0, 0, 0 },
	{ B("\x8a\x08\0\0\0\0\0\1\0\0\0\0\2\0\0\0"), SCSI_WRITE, 0x10000, 512, 1, 0, 0, 0 },
	{ B("\x35\0\0\0\0\0\0\0\0\0"), SCSI_FLUSH, 0, 0, 0, 0, 0, 0 },
	{ B("\x35\x02\0\0\0\1\0\xff\xff\0"), SCSI_FLUSH, 1, 0xffff, 0, 0, 0, 0 },
	{ B("\x91\0\0\0\0\0\0\0\0\0\0\2\0\0\0\0"), SCSI_FLUSH, 0, 0x20000, 0, 0, 0, 0 },
	{ B("\x42\0\0\0\0\0\0\0\x18\0"), SCSI_UNMAP, 0, 0, 0, 0, 0, 24 },
};

static void test_good(void **state)
{
	struct scsi_command c;
	struct scsi_sense why;

	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!decode(good[i].cdb, good[i].n, &disk, &c, &why)) {
			fail_msg("row %u: refused with %x/%x", i, why.key, why.asc);
		}
		if (c.op != good[i].op || c.lba != good[i].lba || c.blocks != good[i].blocks ||
		    c.fua != good[i].fua || c.page != good[i].page ||
		    c.control != good[i].control || c.allocation != good[i].allocation) {
			fail_msg(
				"row %u: op %d lba %lx blocks %x fua %d page %x control %d allocation %u",
				i, c.op, (unsigned long)c.lba, c.blocks, c.fua, c.page, c.control,
				c.allocation);
		}
		assert_sense(&why, 0);
	}
}

static const struct {
	const char *cdb;
	size_t n;
	uint32_t sense;
} bad[] = {
	/* unknown opcodes, vendor groups, none at all */
	{ "", 0, 0x052000 },
	{ B("\x04\0\0\0\0\0"), 0x052000 },
	{ B("\x41\0\0\0\0\0\0\0\0\0"), 0x052000 },     /* WRITE SAME */
	{ B("\xa3\0\0\0\0\0\0\0\0\0\0\0"), 0x052000 }, /* MAINTENANCE IN */
	{ B("\x7f" ZERO6 ZERO6), 0x052000 },
	{ B("\xc0" ZERO6 ZERO6), 0x052000 },
	/* shorter than its group says */
	{ B("\x00\0\0\0\0"), 0x052400 },
	{ B("\x28\0\0\0\0\1\0\0\1"), 0x052400 },
	{ B("\xa0\0\0\0\0\0\0\0\x10\x08\0"), 0x052400 },
	{ B("\x88\0\0\0\0\0\0\1\xff\xff\0\0\0\1\0"), 0x052400 },
	/* NACA */
	{ B("\x00\0\0\0\0\4"), 0x052400 },
	{ B("\x28\0\0\0\0\1\0\0\1\4"), 0x052400 },
	/* INQUIRY: CMDDT, a page without EVPD, unknown pages */
	{ B("\x12\2\0\0\x24\0"), 0x052400 },
	{ B("\x12\0\x80\0\x24\0"), 0x052400 },
	{ B("\x12\1\x81\0\x24\0"), 0x052400 },
	/* MODE SENSE: saved values, unknown page, subpage */
	{ B("\x1a\0\xc8\0\xff\0"), 0x053900 },
	{ B("\x1a\0\x01\0\xff\0"), 0x052400 },
	{ B("\x1a\0\x08\1\xff\0"), 0x052400 },
	{ B("\x5a\0\x3f\1\0\0\0\1\0\0"), 0x052400 },
	{ B("\x9e\x11\0\0\0\0\0\0\0\0\0\0\0\x20\0\0"), 0x052400 },
	/* REPORT LUNS: select report, room for nothing */
	{ B("\xa0\0\3\0\0\0\0\0\x10\x08\0\0"), 0x052400 },
	{ B("\xa0\0\0\0\0\0\0\0\0\x0f\0\0"), 0x052400 },
	/* RDPROTECT, WRPROTECT */
	{ B("\x28\x20\0\0\0\1\0\0\1\0"), 0x052400 },
	{ B("\x8a\x80\0\0\0\0\0\1\0\0\0\0\2\0\0\0"), 0x052400 },
	/* one block more than there are, from every side */
	{ B("\x28\0\0\1\xfe\1\0\2\0\0"), 0x052100 },
	{ B("\x28\0\0\2\0\0\0\0\1\0"), 0x052100 },
	{ B("\x28\0\0\2\0\1\0\0\0\0"), 0x052100 },
	{ B("\x28\0\xff\xff\xff\xff\0\0\1\0"), 0x052100 },
	{ B("\x88\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\1\0\0"), 0x052100 },
	{ B("\x88\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0"), 0x052100 },
	{ B("\x8a\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\2\0\0"), 0x052100 },
	{ B("\x8a\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0"), 0x052100 },
	{ B("\x08\x1f\xff\xff\2\0"), 0x052100 },
	{ B("\x35\0\0\2\0\0\0\0\1\0"), 0x052100 },
	{ B("\x91\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\1\0\0"), 0x052100 },
	/* more than a transfer has */
	{ B("\x28\0\0\0\0\0\0\2\1\0"), 0x052400 },
	{ B("\x88\0\0\0\0\0\0\0\0\0\0\2\0\0\0\0"), 0x052400 },
	/* UNMAP: ANCHOR, half a header */
	{ B("\x42\1\0\0\0\0\0\0\x18\0"), 0x052400 },
	{ B("\x42\0\0\0\0\0\0\0\x07\0"), 0x051a00 },
};

static void test_bad(void **state)
{
	struct scsi_command c;
	struct scsi_sense why;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (decode(bad[i].cdb, bad[i].n, &disk, &c, &why)) {
			fail_msg("row %u was taken", i);
		}
		assert_sense(&why, bad[i].sense);
	}
}

static void test_by_unit(void **state)
{
	struct scsi_unit u = disk;
	struct scsi_command c;
	struct scsi_sense why;

	(void)state;
	u.read_only = true;
	u.unmap = false;
	assert_true(decode(B("\x28\0\0\0\0\0\0\0\1\0"), &u, &c, &why));
	assert_true(decode(B("\x35\0\0\0\0\0\0\0\0\0"), &u, &c, &why));
	assert_false(decode(B("\x0a\0\0\0\1\0"), &u, &c, &why));
	assert_sense(&why, 0x072700);
	assert_false(decode(B("\x2a\0\0\0\0\0\0\0\1\0"), &u, &c, &why));
	assert_sense(&why, 0x072700);
	assert_false(decode(B("\x8a\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0"), &u, &c, &why));
	assert_sense(&why, 0x072700);
	assert_false(decode(B("\x42\0\0\0\0\0\0\0\x18\0"), &u, &c, &why));
	assert_sense(&why, 0x052000);
	assert_false(decode(B("\x12\1\xb2\0\xff\0"), &u, &c, &why));
	assert_sense(&why, 0x052400);
	u.unmap = true;
	assert_false(decode(B("\x42\0\0\0\0\0\0\0\x18\0"), &u, &c, &why));
	assert_sense(&why, 0x072700);
	/* The largest disk there can be: nothing wraps. */
	u = disk;
	u.blocks = UINT64_MAX;
	assert_true(decode(B("\x88\0\xff\xff\xff\xff\xff\xff\xff\xfe\0\0\0\1\0\0"), &u, &c, &why));
	assert_false(decode(B("\x88\0\xff\xff\xff\xff\xff\xff\xff\xfe\0\0\0\2\0\0"), &u, &c, &why));
	assert_sense(&why, 0x052100);
}

static bool unmap(const char *list, size_t n, uint64_t *lba, uint32_t *blocks,
		  struct scsi_sense *why)
{
	uint8_t *copy = exact(list, n);
	bool ok = scsi_unmap_parse(copy, (uint32_t)n, &disk, lba, blocks, why);

	free(copy);
	return ok;
}

#define HEAD "\0\x16\0\x10\0\0\0\0"
static void test_unmap(void **state)
{
	struct scsi_sense why;
	uint32_t blocks = 9;
	uint64_t lba = 9;

	(void)state;
	assert_true(unmap(B(""), &lba, &blocks, &why));
	assert_true(lba == 0 && blocks == 0);
	assert_true(unmap(B("\0\6\0\0\0\0\0\0"), &lba, &blocks, &why));
	assert_true(lba == 0 && blocks == 0);
	assert_true(unmap(B(HEAD "\0\0\0\0\0\1\xff\xf8\0\0\0\x08\0\0\0\0"), &lba, &blocks, &why));
	assert_true(lba == 0x1fff8 && blocks == 8);
	assert_false(unmap(B(HEAD "\0\0\0\0\0\1\xff\xf8\0\0\0\x09\0\0\0\0"), &lba, &blocks, &why));
	assert_sense(&why, 0x052100);
	assert_int_equal(blocks, 0);
	assert_false(unmap(B(HEAD "\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\2\0\0\0\0"), &lba,
			   &blocks, &why));
	assert_sense(&why, 0x052100);
	assert_false(unmap(B(HEAD "\0\0\0\0\0\0\0\0\0\x40\0\1\0\0\0\0"), &lba, &blocks, &why));
	assert_sense(&why, 0x052600);
	/* two descriptors; half a one; one that is not there; half a header */
	assert_false(unmap(B("\0\x26\0\x20\0\0\0\0" ZERO6 ZERO6 ZERO6 ZERO6 ZERO6 "\0\0"), &lba,
			   &blocks, &why));
	assert_sense(&why, 0x052600);
	assert_false(unmap(B("\0\x16\0\x08\0\0\0\0" ZERO6 ZERO6), &lba, &blocks, &why));
	assert_sense(&why, 0x051a00);
	assert_false(unmap(B(HEAD ZERO6 ZERO6), &lba, &blocks, &why));
	assert_sense(&why, 0x051a00);
	assert_false(unmap(B("\0\6\0\0\0\0\0"), &lba, &blocks, &why));
	assert_sense(&why, 0x051a00);
}

/* The answer to a CDB; n: its length. */
static const uint8_t *answer(const char *cdb, size_t n, const struct scsi_unit *u, uint32_t *length)
{
	static uint8_t data[SCSI_DATA_MAX];
	struct scsi_command c;
	struct scsi_sense why;

	assert_true(decode(cdb, n, u, &c, &why));
	memset(data, 0xa5, sizeof(data));
	*length = scsi_answer(&c, u, 3, data);
	return data;
}

static void test_inquiry(void **state)
{
	uint8_t absent[SCSI_INQUIRY_BYTES];
	const uint8_t *d;
	uint32_t n;

	(void)state;
	d = answer(B("\x12\0\0\0\xff\0"), &disk, &n);
	assert_int_equal(n, 36);
	assert_memory_equal(d, "\0\0\6\2\x1f\0\0\2REDOUBT Virtual Disk    0001", 36);
	(void)answer(B("\x12\0\0\0\5\0"), &disk, &n);
	assert_int_equal(n, 5);
	scsi_absent(absent);
	assert_memory_equal(absent, "\x7f\0\6\2\x1f", 5);
	assert_true(scsi_is_inquiry((const uint8_t *)"\x12", 1));
	assert_false(scsi_is_inquiry((const uint8_t *)"\x12", 0));
	assert_false(scsi_is_inquiry((const uint8_t *)"\x00", 1));
	assert_true(scsi_is_report_luns((const uint8_t *)"\xa0", 1));
	assert_false(scsi_is_report_luns((const uint8_t *)"\xa0", 0));
	assert_false(scsi_is_report_luns((const uint8_t *)"\x12", 1));
}

static void test_vpd(void **state)
{
	struct scsi_unit u = disk;
	const uint8_t *d;
	uint32_t n;

	(void)state;
	d = answer(B("\x12\1\0\0\xff\0"), &u, &n);
	assert_int_equal(n, 10);
	assert_memory_equal(d, "\0\0\0\6\0\x80\x83\xb0\xb1\xb2", 10);
	d = answer(B("\x12\1\x80\0\xff\0"), &u, &n);
	assert_int_equal(n, 13);
	assert_memory_equal(d, "\0\x80\0\x09vm1-disk0", 13);
	d = answer(B("\x12\1\x83\0\xff\0"), &u, &n);
	assert_int_equal(n, 25);
	assert_memory_equal(d, "\0\x83\0\x15\2\1\0\x11REDOUBT vm1-disk0", 25);
	d = answer(B("\x12\1\xb0\0\xff\0"), &u, &n);
	assert_int_equal(n, 64);
	assert_memory_equal(
		d, "\0\xb0\0\x3c\0\0\0\x08\0\0\2\0\0\0\2\0\0\0\0\0\0\x40\0\0\0\0\0\1\0\0\0\x08",
		32);
	d = answer(B("\x12\1\xb1\0\xff\0"), &u, &n);
	assert_int_equal(n, 64);
	assert_memory_equal(d, "\0\xb1\0\x3c\0\1\0\0", 8);
	d = answer(B("\x12\1\xb2\0\xff\0"), &u, &n);
	assert_int_equal(n, 8);
	assert_memory_equal(d, "\0\xb2\0\4\0\x84\2\0", 8);
	u.unmap = false;
	d = answer(B("\x12\1\0\0\xff\0"), &u, &n);
	assert_int_equal(n, 9);
	assert_int_equal(d[3], 5);
	d = answer(B("\x12\1\xb0\0\xff\0"), &u, &n);
	assert_memory_equal(d + 20, ZERO6 ZERO6, 12);
	/* All 32 bytes of a serial, none of them NUL, some not printable. */
	memset(u.serial, 'x', sizeof(u.serial));
	u.serial[0] = '\n';
	u.serial[31] = (char)0xff;
	d = answer(B("\x12\1\x80\0\xff\0"), &u, &n);
	assert_int_equal(n, 36);
	assert_true(d[4] == '_' && d[5] == 'x' && d[35] == '_');
	d = answer(B("\x12\1\x83\0\xff\0"), &u, &n);
	assert_int_equal(n, 48);
}

static void test_capacity(void **state)
{
	struct scsi_unit u = disk;
	const uint8_t *d;
	uint32_t n;

	(void)state;
	d = answer(B("\x25\0\0\0\0\0\0\0\0\0"), &u, &n);
	assert_int_equal(n, 8);
	assert_memory_equal(d, "\0\1\xff\xff\0\0\2\0", 8);
	d = answer(B("\x9e\x10\0\0\0\0\0\0\0\0\0\0\0\xff\0\0"), &u, &n);
	assert_int_equal(n, 32);
	assert_memory_equal(d, "\0\0\0\0\0\1\xff\xff\0\0\2\0\0\3\xc0\0", 16);
	(void)answer(B("\x9e\x10\0\0\0\0\0\0\0\0\0\0\0\x0c\0\0"), &u, &n);
	assert_int_equal(n, 12);
	u.unmap = false;
	u.blocks = 1ull << 32;
	d = answer(B("\x25\0\0\0\0\0\0\0\0\0"), &u, &n);
	assert_memory_equal(d, "\xff\xff\xff\xff\0\0\2\0", 8);
	d = answer(B("\x9e\x10\0\0\0\0\0\0\0\0\0\0\0\xff\0\0"), &u, &n);
	assert_memory_equal(d, "\0\0\0\0\xff\xff\xff\xff\0\0\2\0\0\3\0\0", 16);
	u.blocks++;
	d = answer(B("\x25\0\0\0\0\0\0\0\0\0"), &u, &n);
	assert_memory_equal(d, "\xff\xff\xff\xff\0\0\2\0", 8);
}

static void test_luns(void **state)
{
	const uint8_t *d;
	uint32_t n;

	(void)state;
	d = answer(B("\xa0\0\0\0\0\0\0\0\x10\x08\0\0"), &disk, &n);
	assert_int_equal(n, 32);
	assert_memory_equal(d, "\0\0\0\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0",
			    32);
	d = answer(B("\xa0\0\1\0\0\0\0\0\x10\x08\0\0"), &disk, &n);
	assert_int_equal(n, 8);
	assert_memory_equal(d, ZERO6 "\0\0", 8);
	(void)answer(B("\xa0\0\0\0\0\0\0\0\0\x10\0\0"), &disk, &n);
	assert_int_equal(n, 16);
}

#define CACHE "\x08\x12\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define CONTROL "\x0a\x0a\0\x10\0\0\0\0\xff\xff\0\0"
static void test_mode(void **state)
{
	struct scsi_unit u = disk;
	const uint8_t *d;
	uint32_t n;

	(void)state;
	d = answer(B("\x1a\0\x3f\0\xff\0"), &u, &n);
	assert_int_equal(n, 36);
	assert_memory_equal(d, "\x23\0\x10\0" CACHE CONTROL, 36);
	d = answer(B("\x1a\0\x08\0\xff\0"), &u, &n);
	assert_int_equal(n, 24);
	assert_memory_equal(d, "\x17\0\x10\0" CACHE, 24);
	d = answer(B("\x5a\0\x0a\0\0\0\0\0\xff\0"), &u, &n);
	assert_int_equal(n, 20);
	assert_memory_equal(d, "\0\x12\0\x10\0\0\0\0" CONTROL, 20);
	/* What can be changed: nothing. */
	d = answer(B("\x1a\0\x7f\0\xff\0"), &u, &n);
	assert_int_equal(n, 36);
	assert_memory_equal(d + 4, "\x08\x12\0\0", 4);
	assert_memory_equal(d + 24, "\x0a\x0a\0\0\0\0\0\0\0\0\0\0", 12);
	u.read_only = true;
	d = answer(B("\x1a\0\x3f\0\4\0"), &u, &n);
	assert_int_equal(n, 4);
	assert_int_equal(d[2], 0x90);
	d = answer(B("\x5a\0\x3f\0\0\0\0\0\x08\0"), &u, &n);
	assert_int_equal(d[3], 0x90);
}

static void test_sense(void **state)
{
	uint8_t sense[SCSI_SENSE_BYTES];
	const uint8_t *d;
	uint32_t n;

	(void)state;
	scsi_sense_build(sense, SCSI_SENSE_WRITE_ERROR);
	assert_memory_equal(sense, "\x70\0\3\0\0\0\0\x0a\0\0\0\0\x0c\0\0\0\0\0", 18);
	d = answer(B("\x03\0\0\0\xff\0"), &disk, &n);
	assert_int_equal(n, 18);
	assert_memory_equal(d, "\x70\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0\0\0\0", 18);
	d = answer(B("\x03\1\0\0\xff\0"), &disk, &n);
	assert_int_equal(n, 8);
	assert_memory_equal(d, "\x72\0\0\0\0\0\0\0", 8);
	(void)answer(B("\x00\0\0\0\0\0"), &disk, &n);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),     cmocka_unit_test(test_bad),
		cmocka_unit_test(test_by_unit),  cmocka_unit_test(test_unmap),
		cmocka_unit_test(test_inquiry),  cmocka_unit_test(test_vpd),
		cmocka_unit_test(test_capacity), cmocka_unit_test(test_luns),
		cmocka_unit_test(test_mode),     cmocka_unit_test(test_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
