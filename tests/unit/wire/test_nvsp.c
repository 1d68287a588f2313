// SPDX-License-Identifier: MIT
/* NVSP: messages, and a session over rings in guest memory as the stock drivers (6.1, 6.12) conduct it. */
#include "tests/unit/wire/nvsp_test.h"

static void test_messages(void **state)
{
	static const struct {
		uint32_t type, least;
	} kinds[] = { { 1, 12 },   { 100, 12 }, { 101, 10 }, { 103, 6 }, { 104, 10 }, { 106, 6 },
		      { 107, 16 }, { 108, 8 },  { 125, 20 }, { 129, 8 }, { 133, 12 } };
	struct nvsp_message m;
	uint8_t bytes[NVSP_BYTES];

	(void)state;
	for (uint32_t type = 0; type < 300; type++) {
		uint32_t least = 0;

		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			least = kinds[i].type == type ? kinds[i].least : least;
		}
		for (uint32_t i = 0; i < NVSP_BYTES; i++) {
			bytes[i] = (uint8_t)(0xa0 + i);
		}
		put32(bytes, type);
		for (uint32_t n = 0; n <= NVSP_BYTES; n++) {
			uint8_t *copy = exact(bytes, n);

			assert_int_equal(nvsp_parse(copy, n, &m), least != 0 && n >= least);
			free(copy);
		}
	}
	put32(bytes, NVSP_RNDIS);
	assert_true(nvsp_parse(bytes, 40, &m));
	assert_int_equal(m.rndis.channel, 0xa7a6a5a4);
	assert_int_equal(m.rndis.section, 0xabaaa9a8);
	assert_int_equal(m.rndis.length, 0xafaeadac);
	put32(bytes, NVSP_SEND_RECEIVE_BUFFER);
	assert_true(nvsp_parse(bytes, 40, &m));
	assert_int_equal(m.buffer.gpadl, 0xa7a6a5a4);
	assert_int_equal(m.buffer.id, 0xa9a8);
	put32(bytes, NVSP_NDIS_CONFIG);
	assert_true(nvsp_parse(bytes, 40, &m));
	assert_int_equal(m.ndis_config.mtu, 0xa7a6a5a4);
	assert_true(m.ndis_config.capabilities == 0xb3b2b1b0afaeadacull);
}

static void test_versions(void **state)
{
	static const struct {
		uint32_t min, max;
		enum nvsp_status status;
		uint32_t version;
	} v[] = {
		{ 0x60001, 0x60001, NVSP_SUCCESS, 0x60001 },
		{ 0x60000, 0x60000, NVSP_SUCCESS, 0x60000 },
		{ 0x50000, 0x50000, NVSP_SUCCESS, 0x50000 },
		{ 2, 0xffffffff, NVSP_SUCCESS, 0x60001 },
		{ 2, 0x60000, NVSP_SUCCESS, 0x60000 },
		{ 0x40000, 0x40000, NVSP_TOO_OLD, 0 },
		{ 0x30002, 0x30002, NVSP_TOO_OLD, 0 },
		{ 2, 2, NVSP_TOO_OLD, 0 },
		{ 0, 0, NVSP_TOO_OLD, 0 },
		{ 0x60002, 0x60002, NVSP_TOO_NEW, 0 },
		{ 0x50001, 0x5ffff, NVSP_UNSUPPORTED, 0 },
		{ 0x60001, 0x60000, NVSP_UNSUPPORTED, 0 },
	};
	uint32_t version;

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		version = 77;
		assert_int_equal(nvsp_choose_version(v[i].min, v[i].max, &version), v[i].status);
		assert_int_equal(version, v[i].version);
	}
}

static void test_init_refused(void **state)
{
	static const uint32_t old[] = { 0x70000, 0x40000, 0x30002, 2 };
	const uint8_t *m;

	(void)state;
	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
		uint64_t t = guest_message(&g, NVSP_INIT, old[i], old[i], 0, true);

		serve();
		m = answer(t);
		assert_int_equal(le32(m), NVSP_INIT_COMPLETE);
		assert_true(le32(m + 12) != NVSP_SUCCESS);
		assert_int_equal(s->version, 0);
	}
	handshake(OPEN_FILTER);
	/* Not again on a session in use. */
	assert_true(guest_message(&g, NVSP_INIT, 0x60000, 0x60000, 0, true) != 0);
	serve();
	m = answer(g.transaction);
	assert_int_equal(le32(m + 12), NVSP_FAIL);
	assert_int_equal(s->version, NVSP_VERSION_61);
}

static void test_handshake(void **state)
{
	(void)state;
	handshake(OPEN_FILTER);
	assert_int_equal(s->outstanding, 0);
	assert_int_equal(s->counters.refused, 0);
	assert_int_equal(s->rndis.filter, OPEN_FILTER);
}

static void test_order(void **state)
{
	uint64_t t;

	(void)state;
	t = guest_message(&g, NVSP_SEND_RECEIVE_BUFFER, GUEST_GPADL_RECEIVE, 0xcafe, 0, true);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_FAIL);
	t = guest_message(&g, NVSP_SEND_SEND_BUFFER, GUEST_GPADL_SEND, 0, 0, true);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_FAIL);
	t = guest_initialize(&g, 1);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_FAIL);
	t = guest_message(&g, NVSP_INIT, NVSP_VERSION_6, NVSP_VERSION_6, 0, true);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_VERSION_6);
	t = guest_message(&g, NVSP_SEND_RECEIVE_BUFFER, 0xdead, 0xcafe, 0, true);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_FAIL);
	io.gpadl[3].length = 4 * NVSP_SECTION_BYTES - 1;
	t = guest_message(&g, NVSP_SEND_RECEIVE_BUFFER, GUEST_GPADL_RECEIVE, 0xcafe, 0, true);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_FAIL);
	io.gpadl[7].length = 6143;
	t = guest_message(&g, NVSP_SEND_SEND_BUFFER, GUEST_GPADL_SEND, 0, 0, true);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_FAIL);
	assert_true(s->sections == 0 && s->send_sections == 0);
	io.gpadl[3].length = GUEST_RECEIVE_PAGES * 4096;
	for (uint32_t i = 0; i < 2; i++) { /* the same once more, unused: well */
		t = guest_message(&g, NVSP_SEND_RECEIVE_BUFFER, GUEST_GPADL_RECEIVE, 0xcafe, 0,
				  true);
		serve();
		assert_int_equal(le32(answer(t) + 4), NVSP_SUCCESS);
	}
	t = guest_initialize(&g, 1);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_SUCCESS);
	t = guest_message(&g, NVSP_SEND_RECEIVE_BUFFER, GUEST_GPADL_RECEIVE, 0xcafe, 0, true);
	serve();
	assert_true(guest_take(&g)); /* RNDIS reply, its section is out */
	assert_int_equal(le32(answer(t) + 4), NVSP_FAIL);
}

static void test_other_messages(void **state)
{
	const uint8_t *m;
	uint64_t t;

	(void)state;
	handshake(0);
	t = guest_message(&g, NVSP_SUBCHANNEL, 1, 3, 0, true);
	serve();
	m = answer(t);
	assert_int_equal(le32(m), NVSP_SUBCHANNEL);
	assert_int_equal(le32(m + 4), NVSP_SUCCESS);
	assert_int_equal(le32(m + 8), 0); /* none granted */
	t = guest_message(&g, NVSP_SUBCHANNEL, 2, 3, 0, true);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_FAIL);
	/* The one empty answer. */
	t = guest_message(&g, NVSP_SWITCH_DATA_PATH, 0, 0, 0, true);
	serve();
	assert_true(guest_take(&g));
	assert_true(g.p.type == RING_COMPLETION && g.p.transaction == t &&
		    g.p.length == g.p.offset);
	/* Unknown, or what only a host sends: answered where an answer is wanted, and nothing else. */
	t = guest_message(&g, 4711, 1, 2, 3, true);
	guest_message(&g, 4711, 1, 2, 3, false);
	serve();
	m = answer(t);
	assert_true(le32(m) == 0 && le32(m + 4) == 0);
	nothing();
	assert_int_equal(s->counters.refused, 2);
	/* A packet of a strange type, a message of two bytes. */
	assert_true(guest_packet(&g, 5, RING_WANT_COMPLETION, 900, NULL, 0, "12345678", 8));
	assert_true(
		guest_packet(&g, RING_DATA_INBAND, RING_WANT_COMPLETION, 901, NULL, 0, NULL, 0));
	serve();
	(void)answer(900);
	(void)answer(901);
	nothing();
	assert_int_equal(s->counters.refused, 4);
}

static void test_replies(void **state)
{
	uint8_t frame[60], r[NVSP_SECTION_BYTES];
	uint64_t kept[64];
	uint32_t n = 0;

	(void)state;
	handshake(OPEN_FILTER);
	make_frame(frame, 60, 0);
	memcpy(frame, mac, 6);
	while (deliver(frame, 60) == NVSP_OK) {
		(void)take_rndis(NVSP_DATA, r, false);
		kept[n++] = g.p.transaction;
	}
	for (uint32_t i = 0; i < 8 + NVSP_REPLIES_MAX + 2; i++) {
		uint64_t t = guest_query(&g, i, RNDIS_OID_LINK_SPEED, NULL, 0);

		serve();
		assert_int_equal(le32(answer(t) + 4),
				 i < 8 + NVSP_REPLIES_MAX ? NVSP_SUCCESS : NVSP_BUSY);
		if (i < 8) {
			(void)take_rndis(NVSP_CONTROL, r, false);
		} else {
			nothing();
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		assert_true(guest_return(&g, kept[i]));
	}
	serve();
	for (uint32_t i = 8; i < 8 + NVSP_REPLIES_MAX; i++) {
		(void)take_rndis(NVSP_CONTROL, r, true);
		assert_int_equal(le32(r + 8), i);
	}
	nothing();
}

static void test_ring_full(void **state)
{
	uint8_t frame[60], r[NVSP_SECTION_BYTES];
	uint64_t first, next;
	uint32_t n = 0, answers = 0;

	(void)state;
	handshake(OPEN_FILTER);
	first = g.transaction + 1;
	while (nvsp_serve(s, &io, b, 1000) == NVSP_EMPTY) {
		assert_true(guest_message(&g, NVSP_SUBCHANNEL, 1, 1, 0, true) != 0);
		n++;
	}
	assert_int_equal(nvsp_serve(s, &io, b, 1000), NVSP_BLOCKED);
	assert_true(le32(guest_page(&g, GUEST_DOWN) + 12) != 0); /* the guest is asked to signal */
	for (uint32_t i = 0; i < 10; i++) {
		assert_true(guest_message(&g, NVSP_SUBCHANNEL, 1, 1, 0, true) != 0);
	}
	make_frame(frame, 60, 0);
	memcpy(frame, mac, 6);
	assert_int_equal(deliver(frame, 60), NVSP_DROPPED);
	assert_int_equal(nvsp_serve(s, &io, b, 1000), NVSP_BLOCKED);
	for (next = first; guest_take(&g); next++) {
		assert_true(g.p.type == RING_COMPLETION && g.p.transaction == next);
		answers++;
		if (answers == 3 || answers == n) {
			(void)nvsp_serve(s, &io, b, 1000);
		}
	}
	assert_int_equal(answers, n + 10);
	assert_int_equal(deliver(frame, 60), NVSP_OK);
	(void)take_rndis(NVSP_DATA, r, true);
}

static void test_link_indication(void **state)
{
	uint8_t r[NVSP_SECTION_BYTES];

	(void)state;
	nvsp_session_link(s, false);
	serve();
	nothing(); /* nobody to tell */
	nvsp_session_link(s, true);
	handshake(OPEN_FILTER);
	nvsp_session_link(s, true);
	serve();
	nothing(); /* nothing new */
	nvsp_session_link(s, false);
	serve();
	assert_int_equal(take_rndis(NVSP_CONTROL, r, true), 20);
	assert_int_equal(le32(r), RNDIS_INDICATE);
	assert_int_equal(le32(r + 8), RNDIS_STATUS_MEDIA_DISCONNECT);
	control_reply(guest_query(&g, 30, RNDIS_OID_MEDIA_CONNECT_STATUS, NULL, 0), r);
	assert_int_equal(le32(r + 24), 1);
	nvsp_session_link(s, true);
	serve();
	(void)take_rndis(NVSP_CONTROL, r, true);
	assert_int_equal(le32(r + 8), RNDIS_STATUS_MEDIA_CONNECT);
}

static void test_gpadl_gone(void **state)
{
	uint8_t frame[60];

	(void)state;
	handshake(OPEN_FILTER);
	make_frame(frame, 60, 0);
	memcpy(frame, mac, 6);
	nvsp_session_gpadl_gone(s, 0xdead);
	assert_true(s->sections == 32 && s->send_sections == 4);
	nvsp_session_gpadl_gone(s, GUEST_GPADL_SEND);
	assert_int_equal(s->send_sections, 0);
	nvsp_session_gpadl_gone(s, GUEST_GPADL_RECEIVE);
	assert_int_equal(deliver(frame, 60), NVSP_DROPPED);
	/* Closed and opened again, as for a change of the MTU. */
	guest_init(&g, memory);
	assert_true(guest_io(&g, &io, &in, &out));
	nvsp_session_reset(s);
	nvsp_session_open(s, &io);
	handshake(OPEN_FILTER);
	assert_int_equal(deliver(frame, 60), NVSP_OK);
}

static void test_broken(void **state)
{
	uint8_t frame[60];

	(void)state;
	handshake(OPEN_FILTER);
	make_frame(frame, 60, 0);
	memcpy(frame, mac, 6);
	put32(guest_page(&g, GUEST_UP), 4); /* write_index */
	assert_int_equal(nvsp_serve(s, &io, b, 10), NVSP_BROKEN);
	put32(guest_page(&g, GUEST_DOWN) + 4, 0xfffffff8); /* read_index */
	assert_int_equal(deliver(frame, 60), NVSP_BROKEN);
	assert_int_equal(s->outstanding, 0);
	/* A receive buffer that is no guest memory. */
	put32(guest_page(&g, GUEST_DOWN) + 4, 0);
	g.receive_pfn[0] = g.receive_pfn[1] = 1ull << 51;
	s->next_section = 0;
	assert_int_equal(deliver(frame, 60), NVSP_BROKEN);
	g.receive_pfn[0] = g.receive_pfn[1] = ~0ull;
	assert_int_equal(deliver(frame, 60), NVSP_BROKEN);
	assert_int_equal(s->outstanding, 0);
}

static void test_valid(void **state)
{
	struct nvsp_session good;

	(void)state;
	handshake(OPEN_FILTER);
	good = *s;
#define DAMAGE(field, value)                         \
	do {                                         \
		s->field = value;                    \
		assert_false(nvsp_session_valid(s)); \
		*s = good;                           \
		assert_true(nvsp_session_valid(s));  \
	} while (0)
	DAMAGE(size, 8);
	DAMAGE(version, 0x40000);
	DAMAGE(sections, NVSP_SECTIONS_MAX + 1);
	DAMAGE(next_section, NVSP_SECTIONS_MAX);
	DAMAGE(used[0], 1ull << 32);
	DAMAGE(used[NVSP_SECTIONS_MAX / 64 - 1], 1);
	DAMAGE(reply_tail, s->reply_head + NVSP_REPLIES_MAX + 1);
	DAMAGE(reply_head, s->reply_tail + 1);
	DAMAGE(reply[7].length, RNDIS_REPLY_MAX + 1);
	DAMAGE(journal.stage, 3);
	DAMAGE(journal.answer_length, 41);
	DAMAGE(journal.push_section, 33);
	DAMAGE(journal.push_what, 3);
	DAMAGE(rndis.initialized, 2);
	DAMAGE(rndis.link_down, 2);
	s->journal.push_section = 1;
	DAMAGE(journal.push_head, s->reply_tail + 1);
	*s = good;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_versions),
		TEST(test_init_refused),
		TEST(test_handshake),
		TEST(test_order),
		TEST(test_other_messages),
		TEST(test_replies),
		TEST(test_ring_full),
		TEST(test_link_indication),
		TEST(test_gpadl_gone),
		TEST(test_broken),
		TEST(test_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
