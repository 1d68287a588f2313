// SPDX-License-Identifier: MIT
/* Frames between a driver and a session, in every shape that stock drivers give them. */
#include "tests/unit/wire/nvsp_test.h"

static void test_send_section(void **state)
{
	uint8_t frame[1514], m[2048];
	uint32_t n;
	uint64_t t;

	(void)state;
	handshake(0); /* the guest may send whatever its filter is */
	for (uint32_t section = 0; section < 4; section++) {
		make_frame(frame, 1514, (uint8_t)section);
		n = guest_rndis_packet(m, frame, 1514, NULL, 0);
		guest_fill_send(&g, section * 6144, m, n);
		t = guest_send_section(&g, NVSP_DATA, section, n);
		serve();
		assert_int_equal(le32(answer(t) + 4), NVSP_SUCCESS);
		assert_int_equal(b->count, section + 1);
		assert_int_equal(b->frame[section].length, 1514);
		assert_memory_equal(b->pool + b->frame[section].offset, frame, 1514);
	}
	nvsp_batch_clear(b);
	/* A section that is none; a length beyond a section. */
	t = guest_send_section(&g, NVSP_DATA, 4, 100);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_INVALID_RNDIS);
	t = guest_send_section(&g, NVSP_DATA, 3, 6145);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_INVALID_RNDIS);
	t = guest_send_section(&g, NVSP_DATA, NVSP_SECTION_NONE, 100);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_INVALID_RNDIS);
	t = guest_send_section(&g, 2, 0, 100);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_INVALID_RNDIS);
	assert_int_equal(b->count, 0);
	assert_int_equal(s->counters.sent, 4);
	guest_message(&g, NVSP_REVOKE_SEND_BUFFER, 0, 0, 0, false);
	t = guest_send_section(&g, NVSP_DATA, 0, 1558);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_INVALID_RNDIS);
}

static void test_send_ranges(void **state)
{
	uint8_t frame[600], m[700];
	uint32_t n;

	(void)state;
	handshake(0);
	make_frame(frame, 600, 3);
	n = guest_rndis_packet(m, frame, 600, NULL, 0);
	for (uint32_t cut = 1; cut < n; cut += cut < 60 ? 1 : 97) {
		struct guest_range r[] = { { cut, 4096 - cut, GUEST_SCRATCH },
					   { n - cut, 100, GUEST_SCRATCH + 2 } };
		uint64_t t;

		memcpy(guest_page(&g, GUEST_SCRATCH + 1) - cut, m, cut);
		memcpy(guest_page(&g, GUEST_SCRATCH + 2) + 100, m + cut, n - cut);
		t = guest_send_ranges(&g, NVSP_DATA, NVSP_SECTION_NONE, 0, r, 2);
		serve();
		assert_int_equal(le32(answer(t) + 4), NVSP_SUCCESS);
		assert_int_equal(b->count, 1);
		assert_memory_equal(b->pool + b->frame[0].offset, frame, 600);
		nvsp_batch_clear(b);
	}
}

static void test_send_range_pages(void **state)
{
	struct guest_range r = { 0, 4000, GUEST_SCRATCH + 5 };
	uint8_t frame[1514], m[2048];
	uint64_t t;

	(void)state;
	handshake(0);
	make_frame(frame, 1514, 9);
	r.length = guest_rndis_packet(m, frame, 1514, NULL, 0);
	memcpy(guest_page(&g, GUEST_SCRATCH + 5) + 4000, m, r.length);
	t = guest_send_ranges(&g, NVSP_DATA, NVSP_SECTION_NONE, 0, &r, 1);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_SUCCESS);
	assert_int_equal(b->count, 1);
	assert_memory_equal(b->pool + b->frame[0].offset, frame, 1514);
	nvsp_batch_clear(b);
	r.page = GUEST_PAGES - 1;
	t = guest_send_ranges(&g, NVSP_DATA, NVSP_SECTION_NONE, 0, &r, 1);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_INVALID_RNDIS);
	r = (struct guest_range){ RNDIS_TRANSFER_MAX + 1, 0, GUEST_SCRATCH };
	t = guest_send_ranges(&g, NVSP_DATA, NVSP_SECTION_NONE, 0, &r, 1);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_INVALID_RNDIS);
	assert_int_equal(b->count, 0);
}

static void test_send_several(void **state)
{
	uint8_t frame[4][300], m[2048];
	struct guest_range r = { 300, 8, GUEST_SCRATCH + 1 };
	uint32_t at = 0;
	uint64_t t;

	(void)state;
	handshake(0);
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t n;

		make_frame(frame[i], 300, (uint8_t)(i * 50));
		n = guest_rndis_packet(m, frame[i], 297 + i, NULL, 0);
		while (n % 8 != 0) {
			m[n++] = 0;
		}
		put32(m + 4, n);
		guest_fill_send(&g, 6144 + at, m, n);
		at += n;
	}
	make_frame(frame[3], 300, 200);
	(void)guest_rndis_packet(m, frame[3], 300, NULL, 0);
	guest_fill_send(&g, 6144 + at, m, 44);
	memcpy(guest_page(&g, GUEST_SCRATCH + 1) + 8, frame[3], 300);
	t = guest_send_ranges(&g, NVSP_DATA, 1, at + 44, &r, 1);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_SUCCESS);
	assert_int_equal(b->count, 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(b->frame[i].length, i < 3 ? 297 + i : 300);
		assert_memory_equal(b->pool + b->frame[i].offset, frame[i], b->frame[i].length);
	}
	nvsp_batch_clear(b);
	/* Damage in the second: what is before it goes, the rest does not, and the guest hears of it. */
	*guest_send_byte(&g, 6144 + 344) = 77;
	t = guest_send_section(&g, NVSP_DATA, 1, at);
	serve();
	assert_int_equal(le32(answer(t) + 4), NVSP_INVALID_RNDIS);
	assert_int_equal(b->count, 1);
}

static void test_send_vlan(void **state)
{
	uint8_t frame[1514], m[2048], ppi[16] = { 16, 0, 0, 0, 6, 0, 0, 0, 12 }, tag[4];
	uint32_t n;

	(void)state;
	handshake(0);
	make_frame(frame, 1514, 1);
	put32(ppi + 12, 3 | 0x64 << 4);
	n = guest_rndis_packet(m, frame, 1514, ppi, 16);
	guest_fill_send(&g, 0, m, n);
	guest_send_section(&g, NVSP_DATA, 0, n);
	serve();
	assert_int_equal(b->count, 1);
	assert_int_equal(b->frame[0].length, 1518);
	memcpy(tag, "\x81\x00\x60\x64", 4);
	assert_memory_equal(b->pool + b->frame[0].offset, frame, 12);
	assert_memory_equal(b->pool + b->frame[0].offset + 12, tag, 4);
	assert_memory_equal(b->pool + b->frame[0].offset + 16, frame + 12, 1502);
}

static void test_send_dropped(void **state)
{
	static const uint32_t lengths[] = { 1, 13, 1515, 4000 };
	uint8_t frame[4000], m[5000], ppi[16] = { 16, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 1 };
	uint32_t n, dropped = 0;
	uint64_t t;

	(void)state;
	handshake(0);
	make_frame(frame, 4000, 1);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		n = guest_rndis_packet(m, frame, lengths[i], NULL, 0);
		guest_fill_send(&g, 0, m, n);
		t = guest_send_section(&g, NVSP_DATA, 0, n);
		serve();
		assert_int_equal(le32(answer(t) + 4), NVSP_SUCCESS);
		assert_int_equal(s->counters.dropped, ++dropped);
	}
	/* A checksum that it never was offered. */
	n = guest_rndis_packet(m, frame, 100, ppi, 16);
	guest_fill_send(&g, 0, m, n);
	guest_send_section(&g, NVSP_DATA, 0, n);
	serve();
	assert_int_equal(s->counters.dropped, ++dropped);
	/* The cable is out. */
	nvsp_session_link(s, false);
	n = guest_rndis_packet(m, frame, 100, NULL, 0);
	guest_fill_send(&g, 0, m, n);
	guest_send_section(&g, NVSP_DATA, 0, n);
	serve();
	assert_int_equal(s->counters.dropped, ++dropped);
	assert_int_equal(s->counters.sent, 0);
	assert_int_equal(b->count, 0);
}

static void test_receive(void **state)
{
	uint8_t frame[1518], m[NVSP_SECTION_BYTES];

	(void)state;
	handshake(OPEN_FILTER);
	for (uint32_t i = 0; i < 100; i++) {
		uint32_t length = i % 2 == 0 ? 1514 : 60 + i;

		make_frame(frame, length, (uint8_t)i);
		memcpy(frame, mac, 6);
		assert_int_equal(deliver(frame, length), NVSP_OK);
		assert_int_equal(take_rndis(NVSP_DATA, m, true), length + 44);
		assert_int_equal(le32(m), RNDIS_PACKET);
		assert_int_equal(le32(m + 8), 36);
		assert_int_equal(le32(m + 12), length);
		for (uint32_t k = 16; k < 44; k++) {
			assert_int_equal(m[k], 0);
		}
		assert_memory_equal(m + 44, frame, length);
		serve();
	}
	assert_int_equal(s->outstanding, 0);
	assert_int_equal(s->counters.received, 100);
	/* With a tag, whole. */
	make_frame(frame, 1518, 5);
	memcpy(frame, mac, 6);
	frame[12] = 0x81;
	assert_int_equal(deliver(frame, 1518), NVSP_OK);
	assert_int_equal(take_rndis(NVSP_DATA, m, true), 1562);
	assert_memory_equal(m + 44, frame, 1518);
	frame[12] = 0x08;
	assert_int_equal(deliver(frame, 1515), NVSP_DROPPED);
	assert_int_equal(deliver(frame, 13), NVSP_DROPPED);
	assert_int_equal(deliver(frame, 0), NVSP_DROPPED);
	nothing();
}

static void test_receive_filter(void **state)
{
	uint8_t frame[60], r[NVSP_SECTION_BYTES];

	(void)state;
	make_frame(frame, 60, 0);
	memset(frame, 0xff, 6);
	assert_int_equal(deliver(frame, 60), NVSP_DROPPED); /* no buffer yet */
	handshake(0);
	assert_int_equal(deliver(frame, 60), NVSP_DROPPED); /* no filter yet */
	nothing();
	control_reply(guest_filter(&g, 20, OPEN_FILTER), r);
	assert_int_equal(deliver(frame, 60), NVSP_OK);
	(void)take_rndis(NVSP_DATA, r, true);
	control_reply(guest_filter(&g, 21, 0), r);
	assert_int_equal(deliver(frame, 60), NVSP_DROPPED);
	nothing();
	control_reply(guest_filter(&g, 22, RNDIS_FILTER_DIRECTED), r);
	assert_int_equal(deliver(frame, 60), NVSP_DROPPED);
	memcpy(frame, mac, 6);
	assert_int_equal(deliver(frame, 60), NVSP_OK);
	(void)take_rndis(NVSP_DATA, r, true);
	nvsp_session_link(s, false);
	assert_int_equal(deliver(frame, 60), NVSP_DROPPED);
}

static void test_sections(void **state)
{
	uint8_t frame[60], r[NVSP_SECTION_BYTES];
	uint64_t taken[32], t;
	uint32_t n = 0;

	(void)state;
	handshake(OPEN_FILTER);
	make_frame(frame, 60, 0);
	memcpy(frame, mac, 6);
	while (deliver(frame, 60) == NVSP_OK) {
		(void)take_rndis(NVSP_DATA, r, false);
		taken[n++] = g.p.transaction;
		for (uint32_t i = 0; i + 1 < n; i++) {
			assert_true(taken[i] != taken[n - 1]);
		}
	}
	assert_int_equal(n, 24); /* of 32; 8 are kept back */
	assert_int_equal(s->outstanding, 24);
	assert_int_equal(s->counters.dropped, 1);
	for (uint32_t i = 0; i < 8; i++) {
		t = guest_query(&g, i, RNDIS_OID_LINK_SPEED, NULL, 0);
		serve();
		(void)answer(t);
		(void)take_rndis(NVSP_CONTROL, r, false);
		assert_int_equal(le32(r + 8), i);
	}
	/* None left: the reply waits, and goes when one comes back. */
	t = guest_query(&g, 99, RNDIS_OID_LINK_SPEED, NULL, 0);
	serve();
	(void)answer(t);
	nothing();
	assert_true(guest_return(&g, taken[5]));
	serve();
	(void)take_rndis(NVSP_CONTROL, r, true);
	assert_int_equal(le32(r + 8), 99);
	serve();
	assert_int_equal(s->outstanding, 31);
	/* Returns that are none: twice, never taken, none at all. */
	assert_true(guest_return(&g, taken[5]));
	assert_true(guest_return(&g, 0));
	assert_true(guest_return(&g, 33));
	assert_true(guest_return(&g, ~0ull));
	serve();
	assert_int_equal(s->outstanding, 31);
	assert_int_equal(s->counters.refused, 4);
	guest_message(&g, NVSP_REVOKE_RECEIVE_BUFFER, 0xcafe, 0, 0, false);
	serve();
	assert_int_equal(s->outstanding, 0);
	assert_int_equal(deliver(frame, 60), NVSP_DROPPED);
}

static void test_rounds(void **state)
{
	uint8_t frame[100], m[200];
	uint32_t n, frames = 0, rounds = 0;
	enum nvsp_result r;

	(void)state;
	handshake(0);
	make_frame(frame, 100, 0);
	n = guest_rndis_packet(m, frame, 100, NULL, 0);
	guest_fill_send(&g, 0, m, n);
	for (uint32_t i = 0; i < 200; i++) {
		assert_true(guest_send_section(&g, NVSP_DATA, 0, n) != 0);
	}
	do {
		r = nvsp_serve(s, &io, b, 1000);
		assert_true(b->count <= NVSP_FRAMES_MAX && b->used <= NVSP_POOL_BYTES);
		frames += b->count;
		nvsp_batch_clear(b);
		rounds++;
	} while (r == NVSP_MORE);
	assert_int_equal(r, NVSP_EMPTY);
	assert_int_equal(frames, 200);
	assert_true(rounds >= 200 / NVSP_FRAMES_MAX);
	for (uint32_t i = 0; i < 10; i++) {
		assert_true(guest_message(&g, NVSP_NDIS_VERSION, 6, 1, 0, false) != 0);
	}
	assert_int_equal(nvsp_serve(s, &io, b, 4), NVSP_MORE);
	assert_int_equal(nvsp_serve(s, &io, b, 5), NVSP_MORE);
	assert_int_equal(nvsp_serve(s, &io, b, 5), NVSP_EMPTY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_send_section), TEST(test_send_ranges),    TEST(test_send_range_pages),
		TEST(test_send_several), TEST(test_send_vlan),      TEST(test_send_dropped),
		TEST(test_receive),      TEST(test_receive_filter), TEST(test_sections),
		TEST(test_rounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
