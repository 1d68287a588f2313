// SPDX-License-Identifier: MIT
/* The packets of the SCSI controller: every field at its place, both ways, and what is refused. */
#include "tests/unit/wire/wire_test.h"

#include "hv/wire/vstor.h"

/* EXECUTE_SRB as storvsc of Linux 6.12 sends it: READ(10) of LUN 3, 8 blocks at 0x12345. */
static const uint8_t execute[VSTOR_PACKET_BYTES] = {
	3,    0,    0,    0,    1,    0,    0,    0,    0,    0,  0,    0, /* operation, flags, status */
	52,   0,    0,    0,    7,    0,    0,    3,    10,   20, 1,    0,    0x00,
	0x10, 0,    0, /* ..., data_transfer_length */
	0x28, 0,    0,    1,    0x23, 0x45, 0,    0,    8,    0,  0xee, 0xee, 0xee,
	0xee, 0xee, 0xee, /* CDB */
	0xee, 0xee, 0xee, 0xee, 0,    0,    0x55, 0x20, 0x42, 1,  0,    0,    60,
	0,    0,    0,    0,    0,    0,    0,
};

static bool parse(const uint8_t *bytes, uint32_t size, struct vstor_packet *v)
{
	uint8_t *copy = exact(bytes, size);
	bool ok;

	memset(v, 0xa5, sizeof(*v));
	ok = vstor_parse(copy, size, v);
	free(copy);
	return ok;
}

static void test_execute(void **state)
{
	static const uint8_t cdb[10] = { 0x28, 0, 0, 1, 0x23, 0x45, 0, 0, 8, 0 };
	struct vstor_packet v;

	(void)state;
	assert_true(parse(execute, sizeof(execute), &v));
	assert_int_equal(v.operation, VSTOR_EXECUTE_SRB);
	assert_int_equal(v.flags, 1);
	assert_int_equal(v.srb.port, 7);
	assert_int_equal(v.srb.path, 0);
	assert_int_equal(v.srb.target, 0);
	assert_int_equal(v.srb.lun, 3);
	assert_int_equal(v.srb.cdb_length, 10);
	assert_int_equal(v.srb.sense_length, 20);
	assert_int_equal(v.srb.direction, VSTOR_DATA_IN);
	assert_int_equal(v.srb.transfer, 4096);
	assert_int_equal(v.srb.queue_tag, 0x55);
	assert_int_equal(v.srb.queue_action, 0x20);
	assert_int_equal(v.srb.srb_flags, 0x142);
	assert_int_equal(v.srb.timeout, 60);
	assert_memory_equal(v.srb.bytes, cdb, sizeof(cdb));
	/* What lies behind the CDB is not taken over. */
	for (unsigned i = sizeof(cdb); i < sizeof(v.srb.bytes); i++) {
		assert_int_equal(v.srb.bytes[i], 0);
	}
}

static void test_refused(void **state)
{
	static const struct {
		unsigned at;
		uint8_t value;
	} bad[] = {
		{ 12, 51 }, { 13, 1 }, { 20, 0 }, { 20, 17 }, { 20, 255 }, { 21, 21 }, { 22, 3 }
	};
	uint8_t p[VSTOR_PACKET_BYTES + 8] = { 0 };
	struct vstor_packet v;

	(void)state;
	memcpy(p, execute, sizeof(execute));
	for (uint32_t size = 0; size <= sizeof(p); size++) {
		assert_int_equal(parse(p, size, &v), size == VSTOR_PACKET_BYTES);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(p, execute, sizeof(execute));
		p[bad[i].at] = bad[i].value;
		assert_false(parse(p, VSTOR_PACKET_BYTES, &v));
		/* The caller can still say which request it was. */
		assert_int_equal(v.operation, VSTOR_EXECUTE_SRB);
		assert_true(v.srb.cdb_length == p[20] && v.srb.lun == 3);
	}
	/* The same bytes are no SRB of another operation. */
	p[0] = VSTOR_RESET_BUS;
	assert_true(parse(p, VSTOR_PACKET_BYTES, &v));
	p[0] = 0xff;
	p[3] = 0xff;
	assert_true(parse(p, VSTOR_PACKET_BYTES, &v));
	assert_int_equal(v.operation, 0xff0000ff);
}

static void test_version(void **state)
{
	uint8_t p[VSTOR_PACKET_BYTES] = {
		VSTOR_QUERY_PROTOCOL_VERSION, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 6
	};
	struct vstor_packet v;

	(void)state;
	assert_true(parse(p, sizeof(p), &v));
	assert_int_equal(v.version, VSTOR_VERSION_WIN10);
	vstor_build_version(p, 0x0501, VSTOR_STATUS_REVISION_MISMATCH);
	assert_int_equal(le32(p), VSTOR_COMPLETE_IO);
	assert_int_equal(le32(p + 8), 0xc0000059);
	assert_int_equal(le16(p + 12), 0x0501);
	for (unsigned i = 14; i < sizeof(p); i++) {
		assert_int_equal(p[i], 0);
	}
}

static void test_properties(void **state)
{
	uint8_t p[VSTOR_PACKET_BYTES];

	(void)state;
	memset(p, 0xa5, sizeof(p));
	vstor_build_properties(p, 0x40000);
	assert_int_equal(le32(p), VSTOR_COMPLETE_IO);
	assert_int_equal(le32(p + 8), 0);
	assert_int_equal(le16(p + 16), 0); /* max_channel_cnt */
	assert_int_equal(le32(p + 20), 0); /* flags */
	assert_int_equal(le32(p + 24), 0x40000);
	memset(p + 24, 0, 4);
	p[0] = 0;
	for (unsigned i = 0; i < sizeof(p); i++) {
		assert_int_equal(p[i], 0);
	}
}

static void test_answer(void **state)
{
	struct vstor_packet v;
	uint8_t p[VSTOR_PACKET_BYTES], want[VSTOR_PACKET_BYTES];

	(void)state;
	assert_true(parse(execute, sizeof(execute), &v));
	v.srb.srb_status = VSTOR_SRB_ERROR | VSTOR_SRB_AUTOSENSE_VALID;
	v.srb.scsi_status = VSTOR_SCSI_CHECK_CONDITION;
	v.srb.sense_length = 18;
	v.srb.transfer = 0;
	for (uint8_t i = 0; i < 20; i++) {
		v.srb.bytes[i] = (uint8_t)(0x70 + i);
	}
	memset(p, 0xa5, sizeof(p));
	vstor_build_srb(p, &v.srb, 0x80000001);
	memcpy(want, execute, sizeof(want));
	want[0] = VSTOR_COMPLETE_IO;
	want[4] = 0;
	want[8] = 1;
	want[11] = 0x80;
	want[14] = 0x84;
	want[15] = 2;
	want[21] = 18;
	want[25] = 0;
	for (uint8_t i = 0; i < 20; i++) {
		want[28 + i] = i < 18 ? (uint8_t)(0x70 + i) : 0;
	}
	assert_memory_equal(p, want, sizeof(want));
	/* More sense than fits is not believed. */
	v.srb.sense_length = 255;
	vstor_build_srb(p, &v.srb, 0);
	assert_int_equal(p[21], VSTOR_SENSE_MAX);
	assert_int_equal(p[48], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_execute), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_version), cmocka_unit_test(test_properties),
		cmocka_unit_test(test_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
