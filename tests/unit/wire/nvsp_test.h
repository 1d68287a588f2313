/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_WIRE_NVSP_TEST_H
#define TESTS_UNIT_WIRE_NVSP_TEST_H
/* What the tests of a network adapter's session share: one session, and the driver's conversation up to the first frame. */
#include "tests/unit/wire/wire_test.h"

#include "tests/guest/nvsp_guest.h"

static const uint8_t mac[6] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };

static uint8_t *memory;
static struct nvsp_guest g;
static struct nvsp_session *s;
static struct nvsp_batch *b;
static struct nvsp_io io;
static struct ring in, out;

static inline int setup(void **state)
{
	(void)state;
	memory = malloc(GUEST_BYTES);
	s = malloc(sizeof(*s));
	b = calloc(1, sizeof(*b));
	guest_init(&g, memory);
	assert_true(guest_io(&g, &io, &in, &out));
	nvsp_session_start(s, mac);
	nvsp_session_open(s, &io);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	assert_true(nvsp_session_valid(s));
	free(memory);
	free(s);
	free(b);
	return 0;
}

static inline void serve(void)
{
	assert_int_equal(nvsp_serve(s, &io, b, 1000), NVSP_EMPTY);
}

/* The next packet to the guest is the answer to `transaction`; answers its 40 bytes. */
static inline const uint8_t *answer(uint64_t transaction)
{
	assert_true(guest_take(&g));
	assert_int_equal(g.p.type, RING_COMPLETION);
	assert_true(g.p.transaction == transaction);
	assert_int_equal(g.p.length - g.p.offset, NVSP_BYTES);
	return guest_payload(&g);
}

static inline void nothing(void)
{
	assert_false(guest_take(&g));
}

/* The next packet is an RNDIS message; checked as netvsc_receive does, copied to `to`, its section given back or kept. */
static inline uint32_t take_rndis(uint32_t channel, uint8_t *to, bool give_back)
{
	const uint8_t *h = g.packet;
	uint32_t length, offset;

	assert_true(guest_take(&g));
	assert_int_equal(g.p.type, RING_DATA_XFER_PAGES);
	assert_int_equal(g.p.offset, 32);
	assert_int_equal(le16(h + 16), 0xcafe);
	assert_int_equal(le32(h + 20), 1);
	length = le32(h + 24);
	offset = le32(h + 28);
	assert_true(length >= 8 && length <= NVSP_SECTION_BYTES);
	assert_true(offset % NVSP_SECTION_BYTES == 0);
	assert_true(offset + length <= GUEST_RECEIVE_PAGES * 4096);
	assert_int_equal(g.p.length - g.p.offset, NVSP_BYTES);
	assert_int_equal(le32(guest_payload(&g)), NVSP_RNDIS);
	assert_int_equal(le32(guest_payload(&g) + 4), channel);
	for (uint32_t i = 0; i < length; i++) {
		to[i] = *guest_receive_byte(&g, offset + i);
	}
	assert_int_equal(le32(to + 4), length);
	if (give_back) {
		assert_true(guest_return(&g, g.p.transaction));
	}
	return length;
}

/* The answer to a control message: its completion, then its reply. */
static inline void control_reply(uint64_t transaction, uint8_t *reply)
{
	serve();
	assert_int_equal(le32(answer(transaction) + 4), NVSP_SUCCESS);
	(void)take_rndis(NVSP_CONTROL, reply, true);
	serve();
	nothing();
}

static inline void buffers(void)
{
	const uint8_t *m;
	uint64_t t =
		guest_message(&g, NVSP_SEND_RECEIVE_BUFFER, GUEST_GPADL_RECEIVE, 0xcafe, 0, true);

	serve();
	m = answer(t);
	assert_int_equal(le32(m), NVSP_SEND_RECEIVE_BUFFER_COMPLETE);
	assert_int_equal(le32(m + 4), NVSP_SUCCESS);
	assert_int_equal(le32(m + 8), 1);  /* both kernels: exactly one section array */
	assert_int_equal(le32(m + 12), 0); /* from offset 0 */
	assert_int_equal(le32(m + 16), NVSP_SECTION_BYTES);
	assert_int_equal(le32(m + 20), 32);
	assert_int_equal(le32(m + 24), 65536);
	t = guest_message(&g, NVSP_SEND_SEND_BUFFER, GUEST_GPADL_SEND, 0, 0, true);
	serve();
	m = answer(t);
	assert_int_equal(le32(m), NVSP_SEND_SEND_BUFFER_COMPLETE);
	assert_int_equal(le32(m + 4), NVSP_SUCCESS);
	assert_int_equal(le32(m + 8), 6144);
}

/* netvsc_connect_vsp, rndis_filter_device_add, rndis_filter_open of 6.12. */
static inline void handshake(uint32_t filter)
{
	const uint8_t *m;
	uint8_t r[NVSP_SECTION_BYTES], caps[156] = { 0xa7, 3, 156, 0 };
	uint8_t offload[28] = { 0x80, 3, 28, 0, 1 };
	uint64_t t = guest_message(&g, NVSP_INIT, NVSP_VERSION_61, NVSP_VERSION_61, 0, true);

	serve();
	m = answer(t);
	assert_int_equal(le32(m), NVSP_INIT_COMPLETE);
	assert_int_equal(le32(m + 4), NVSP_VERSION_61);
	assert_int_equal(le32(m + 12), NVSP_SUCCESS);
	guest_message(&g, NVSP_NDIS_CONFIG, 1514, 0, 0xac, false);
	guest_message(&g, NVSP_NDIS_VERSION, 6, 0x1e, 0, false);
	serve();
	nothing();
	buffers();
	control_reply(guest_initialize(&g, 2), r);
	assert_int_equal(le32(r), RNDIS_INITIALIZE | RNDIS_COMPLETE);
	assert_int_equal(le32(r + 12), 0);
	control_reply(guest_query(&g, 3, RNDIS_OID_MAXIMUM_FRAME_SIZE, NULL, 0), r);
	assert_int_equal(le32(r + 24), 1500);
	control_reply(guest_query(&g, 4, RNDIS_OID_PERMANENT_ADDRESS, NULL, 0), r);
	assert_memory_equal(r + 24, mac, 6);
	control_reply(guest_query(&g, 5, 0x00020216, NULL, 0), r); /* friendly name */
	assert_int_equal(le32(r + 16), 0);
	control_reply(guest_query(&g, 6, RNDIS_OID_OFFLOAD_HW_CAPS, caps, 156), r);
	assert_int_equal(le32(r + 16), 156);
	control_reply(guest_set(&g, 7, RNDIS_OID_OFFLOAD_PARAMETERS, offload, 28), r);
	assert_int_equal(le32(r + 12), 0);
	control_reply(guest_query(&g, 8, RNDIS_OID_MEDIA_CONNECT_STATUS, NULL, 0), r);
	assert_int_equal(le32(r + 24), 0);
	control_reply(guest_query(&g, 9, RNDIS_OID_LINK_SPEED, NULL, 0), r);
	control_reply(guest_query(&g, 10, 0x00010203, NULL, 0), r); /* receive side scaling */
	assert_int_equal(le32(r + 16), 0);
	if (filter != 0) {
		control_reply(guest_filter(&g, 11, filter), r);
		assert_int_equal(le32(r + 12), 0);
	}
}

#define OPEN_FILTER (RNDIS_FILTER_BROADCAST | RNDIS_FILTER_ALL_MULTICAST | RNDIS_FILTER_DIRECTED)

/* A frame with a recognisable content. */
static inline void make_frame(uint8_t *frame, uint32_t length, uint8_t seed)
{
	for (uint32_t i = 0; i < length; i++) {
		frame[i] = (uint8_t)(i * 7 + seed);
	}
	memset(frame, 0x22, 6);
	memcpy(frame + 6, mac, 6);
	frame[12] = 0x08;
	frame[13] = 0x00;
}

static inline enum nvsp_result deliver(const uint8_t *frame, uint32_t length)
{
	uint8_t *m = malloc(RNDIS_PACKET_HEADER + length);
	enum nvsp_result r;

	memcpy(m + RNDIS_PACKET_HEADER, frame, length);
	r = nvsp_deliver(s, &io, m, length);
	free(m);
	return r;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
