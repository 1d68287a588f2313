// SPDX-License-Identifier: MIT
/* Integration components: what is sent, byte by byte as hv_util.c of Linux reads it, and every answer that must be refused. */
#include "tests/unit/wire/wire_test.h"

#include "hv/wire/ic.h"

#define HEAD 28u

static uint8_t built[IC_BYTES_MAX];
static const struct ic_request request = { IC_HEARTBEAT, { 3, 0 }, { 3, 2 }, 77 };

/* The two headers of a request, as a guest sees them. */
static void check_head(uint32_t size, uint16_t type, uint32_t body, uint8_t transaction)
{
	assert_int_equal(size, HEAD + body);
	assert_int_equal(le32(built), 1);             /* pipe: data */
	assert_int_equal(le32(built + 4), 20 + body); /* what follows */
	assert_int_equal(le16(built + 12), type);
	assert_int_equal(le16(built + 18), body);
	assert_int_equal(le32(built + 20), 0);
	assert_int_equal(built[24], transaction);
	assert_int_equal(built[25], 3); /* transaction, request */
	assert_int_equal(le16(built + 26), 0);
}

static void check_versions(void)
{
	assert_int_equal(le16(built + 8), 3);
	assert_int_equal(le16(built + 10), 0);
	assert_int_equal(le16(built + 14), 3);
	assert_int_equal(le16(built + 16), 2);
}

static void test_negotiate(void **state)
{
	static const uint16_t services[IC_KINDS] = { 3, 2, 2 };

	(void)state;
	for (unsigned int kind = 0; kind < IC_KINDS; kind++) {
		uint32_t size;

		memset(built, 0xee, sizeof(built));
		size = ic_build_negotiate((enum ic_kind)kind, 9, built);
		check_head(size, 0, 8 + 4 * (2 + services[kind]), 9);
		assert_int_equal(le16(built + HEAD), 2);
		assert_int_equal(le16(built + HEAD + 2), services[kind]);
		assert_int_equal(le32(built + HEAD + 4), 0);
		assert_int_equal(le32(built + HEAD + 8), 3); /* framework 3.0 */
		assert_int_equal(le32(built + HEAD + 12), 1);
		/* The guest's driver takes a version that needs the guest's own clock: never offered. */
		for (unsigned int i = 0; i < services[kind]; i++) {
			assert_true(le16(built + HEAD + 16 + 4 * (size_t)i) <= 3);
		}
	}
}

static void test_shutdown(void **state)
{
	uint32_t size;

	(void)state;
	memset(built, 0xee, sizeof(built));
	size = ic_build_shutdown(&request, false, built);
	check_head(size, 3, 2060, 77);
	check_versions();
	/* hv_util.c answers nothing shorter. */
	assert_int_equal(size, 2088);
	assert_int_equal(le32(built + HEAD), 0);
	assert_int_equal(le32(built + HEAD + 8), 0);
	for (uint32_t i = HEAD + 12; i < size; i++) {
		assert_int_equal(built[i], 0);
	}
	ic_build_shutdown(&request, true, built);
	assert_int_equal(le32(built + HEAD + 8), 2);
}

static void test_heartbeat(void **state)
{
	(void)state;
	memset(built, 0xee, sizeof(built));
	check_head(ic_build_heartbeat(&request, 0x1122334455667788u, built), 1, 40, 77);
	check_versions();
	assert_true(le64(built + HEAD) == 0x1122334455667788u);
	for (uint32_t i = HEAD + 8; i < HEAD + 40; i++) {
		assert_int_equal(built[i], 0);
	}
}

static void test_timesync(void **state)
{
	(void)state;
	memset(built, 0xee, sizeof(built));
	check_head(ic_build_timesync(&request, 0x1d9aabbccddeeffu, true, built), 4, 25, 77);
	assert_true(le64(built + HEAD) == 0x1d9aabbccddeeffu);
	assert_true(le64(built + HEAD + 8) == 0);
	assert_true(le64(built + HEAD + 16) == 0);
	assert_int_equal(built[HEAD + 24], 1);
	ic_build_timesync(&request, 5, false, built);
	assert_int_equal(built[HEAD + 24], 2);
}

/* ---- answers ---- */

/* What a guest makes of a request: the same bytes, marked as a response. */
static uint32_t answer_to(uint32_t size)
{
	built[25] = 5;
	return size;
}

static bool parse(enum ic_kind kind, uint32_t size, struct ic_answer *a)
{
	uint8_t *copy = exact(built, size);
	bool ok;

	memset(a, 0xee, sizeof(*a));
	ok = ic_parse(kind, copy, size, a);
	free(copy);
	return ok;
}

/* As vmbus_prep_negotiate_resp leaves it. */
static uint32_t negotiated(enum ic_kind kind, uint16_t count, uint32_t framework, uint32_t version)
{
	uint32_t size = answer_to(ic_build_negotiate(kind, 9, built));

	put16(built + 18, 0x10);
	put16(built + HEAD, count);
	put16(built + HEAD + 2, count);
	put32(built + HEAD + 8, framework);
	put32(built + HEAD + 12, version);
	return size;
}

static void test_negotiated(void **state)
{
	struct ic_answer a;

	(void)state;
	assert_true(parse(IC_SHUTDOWN, negotiated(IC_SHUTDOWN, 1, 3, 0x20003), &a));
	assert_int_equal(a.type, IC_TYPE_NEGOTIATE);
	assert_int_equal(a.transaction, 9);
	assert_true(a.agreed);
	assert_int_equal(a.framework.major, 3);
	assert_int_equal(a.framework.minor, 0);
	assert_int_equal(a.version.major, 3);
	assert_int_equal(a.version.minor, 2);
	assert_true(parse(IC_TIMESYNC, negotiated(IC_TIMESYNC, 1, 1, 1), &a));
	assert_true(a.agreed);
	/* Nothing in common: an answer, but no agreement. */
	assert_true(parse(IC_TIMESYNC, negotiated(IC_TIMESYNC, 0, 0, 0), &a));
	assert_false(a.agreed);
}

static void test_negotiated_badly(void **state)
{
	struct ic_answer a;
	uint32_t size;

	(void)state;
	/* Versions that were not offered, among them the one that would set a wrong clock. */
	assert_false(parse(IC_TIMESYNC, negotiated(IC_TIMESYNC, 1, 3, 4), &a));
	assert_false(parse(IC_TIMESYNC, negotiated(IC_TIMESYNC, 1, 2, 3), &a));
	assert_false(parse(IC_HEARTBEAT, negotiated(IC_HEARTBEAT, 1, 3, 0x20003), &a));
	/* Other counts. */
	assert_false(parse(IC_SHUTDOWN, negotiated(IC_SHUTDOWN, 2, 3, 3), &a));
	assert_false(parse(IC_SHUTDOWN, negotiated(IC_SHUTDOWN, 0xffff, 3, 3), &a));
	/* A body that ends before the versions. */
	size = negotiated(IC_SHUTDOWN, 1, 3, 3);
	put16(built + 18, 0x0f);
	assert_false(parse(IC_SHUTDOWN, size, &a));
	put16(built + 18, 7);
	assert_false(parse(IC_SHUTDOWN, size, &a));
}

static void test_answers(void **state)
{
	struct ic_answer a;
	uint32_t size;

	(void)state;
	size = answer_to(ic_build_heartbeat(&request, 41, built));
	built[HEAD]++;
	assert_true(parse(IC_HEARTBEAT, size, &a));
	assert_int_equal(a.type, IC_TYPE_HEARTBEAT);
	assert_int_equal(a.sequence, 42);
	assert_int_equal(a.transaction, 77);
	assert_int_equal(a.status, 0);
	/* Padded by the ring. */
	put32(built + size, 0xffffffff);
	assert_true(parse(IC_HEARTBEAT, size + 4, &a));
	assert_int_equal(a.sequence, 42);
	size = answer_to(ic_build_shutdown(&request, false, built));
	put32(built + 20, 0x80004005);
	assert_true(parse(IC_SHUTDOWN, size, &a));
	assert_int_equal(a.type, IC_TYPE_SHUTDOWN);
	assert_int_equal(a.status, 0x80004005);
	size = answer_to(ic_build_timesync(&request, 1, true, built));
	assert_true(parse(IC_TIMESYNC, size, &a));
	assert_int_equal(a.type, IC_TYPE_TIMESYNC);
}

static void test_refused(void **state)
{
	struct ic_answer a;
	uint32_t size = ic_build_heartbeat(&request, 41, built);

	(void)state;
	/* A request is not a response. */
	assert_false(parse(IC_HEARTBEAT, size, &a));
	answer_to(size);
	assert_true(parse(IC_HEARTBEAT, size, &a));
	/* Of another component, of none. */
	assert_false(parse(IC_SHUTDOWN, size, &a));
	assert_false(parse(IC_TIMESYNC, size, &a));
	put16(built + 12, 2);
	assert_false(parse(IC_HEARTBEAT, size, &a));
	put16(built + 12, 0x101);
	assert_false(parse(IC_HEARTBEAT, size, &a));
	put16(built + 12, 1);
	/* Not data of a pipe. */
	put32(built, 2);
	assert_false(parse(IC_HEARTBEAT, size, &a));
	put32(built, 1);
	/* Cut anywhere: before its end it is never an answer. */
	for (uint32_t n = 0; n < size; n++) {
		assert_false(parse(IC_HEARTBEAT, n, &a));
	}
	assert_true(parse(IC_HEARTBEAT, size, &a));
}

static void test_lengths(void **state)
{
	static const uint32_t pipe[] = { 0, 19, 61, 0x7fffffff, 0xfffffff8, 0xffffffff };
	static const uint16_t body[] = { 0, 7, 41, 0x7fff, 0xffff };
	struct ic_answer a;
	uint32_t size = answer_to(ic_build_heartbeat(&request, 41, built));

	(void)state;
	for (size_t i = 0; i < sizeof(pipe) / sizeof(pipe[0]); i++) {
		put32(built + 4, pipe[i]);
		assert_false(parse(IC_HEARTBEAT, size, &a));
	}
	put32(built + 4, 60);
	for (size_t i = 0; i < sizeof(body) / sizeof(body[0]); i++) {
		put16(built + 18, body[i]);
		assert_false(parse(IC_HEARTBEAT, size, &a));
	}
	put16(built + 18, 8);
	assert_true(parse(IC_HEARTBEAT, size, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_negotiate),  cmocka_unit_test(test_shutdown),
		cmocka_unit_test(test_heartbeat),  cmocka_unit_test(test_timesync),
		cmocka_unit_test(test_negotiated), cmocka_unit_test(test_negotiated_badly),
		cmocka_unit_test(test_answers),    cmocka_unit_test(test_refused),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
