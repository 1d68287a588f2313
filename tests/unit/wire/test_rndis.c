// SPDX-License-Identifier: MIT
/* RNDIS: packets at every border, control messages as the stock driver sends them, single OIDs. */
#include "tests/unit/wire/wire_test.h"

#include "hv/wire/rndis.h"

static const uint8_t mac[6] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };

static struct rndis_adapter adapter(bool initialized)
{
	struct rndis_adapter a = { .initialized = initialized };

	memcpy(a.mac, mac, 6);
	return a;
}

static bool parse(const uint8_t *bytes, uint32_t n, struct rndis_packet *p)
{
	uint8_t *copy = exact(bytes, n);
	bool ok;

	memset(p, 0xa5, sizeof(*p));
	ok = rndis_packet_parse(copy, n, p);
	free(copy);
	return ok;
}

/* A frame of 60 bytes behind the header and `ppi` bytes of information. */
static uint32_t packet(uint8_t *m, const void *ppi, uint32_t ppi_length)
{
	memset(m, 0, 44);
	put32(m, RNDIS_PACKET);
	put32(m + 4, 44 + ppi_length + 60);
	put32(m + 8, 36 + ppi_length);
	put32(m + 12, 60);
	put32(m + 28, 36);
	put32(m + 32, ppi_length);
	if (ppi_length != 0) {
		memcpy(m + 44, ppi, ppi_length);
	}
	memset(m + 44 + ppi_length, 0xee, 60);
	return 44 + ppi_length + 60;
}

static void test_packet(void **state)
{
	uint8_t m[256];
	uint32_t n = packet(m, NULL, 0);
	struct rndis_packet p;

	(void)state;
	assert_true(parse(m, n, &p));
	assert_int_equal(p.length, 104);
	assert_int_equal(p.data_offset, 44);
	assert_int_equal(p.data_length, 60);
	assert_false(p.tagged || p.offload);
	for (uint32_t cut = 0; cut < n; cut++) {
		assert_false(parse(m, cut, &p));
	}
	/* More behind it is the next message's. */
	assert_true(parse(m, sizeof(m), &p));
	assert_int_equal(p.length, 104);
	/* Padding of the driver belongs to the message. */
	put32(m + 4, 112);
	assert_true(parse(m, sizeof(m), &p));
	assert_int_equal(p.length, 112);
	assert_int_equal(p.data_length, 60);
}

static void test_packet_broken(void **state)
{
	static const struct {
		uint32_t at, value;
	} bad[] = {
		{ 0, 0 },          { 0, 2 },  { 4, 43 },  { 4, 0 },           { 4, 105 },
		{ 4, 0xffffffff }, { 8, 35 }, { 8, 0 },   { 8, 37 },          { 8, 0xffffffff },
		{ 8, 0xfffffff8 }, { 12, 0 }, { 12, 61 }, { 12, 0xffffffff }, { 12, 0xffffffdc },
		{ 20, 1 },         { 24, 1 }, { 32, 1 },  { 32, 0xffffffff }, { 32, 61 },
	};
	uint8_t m[256];
	struct rndis_packet p;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint32_t n = packet(m, NULL, 0);

		put32(m + bad[i].at, bad[i].value);
		if (parse(m, n, &p)) {
			fail_msg("%u = 0x%x is taken", bad[i].at, bad[i].value);
		}
	}
}

static void test_ppi(void **state)
{
	uint8_t m[256], ppi[48];
	struct rndis_packet p;
	uint32_t n;

	(void)state;
	/* A hash, then a VLAN: priority 5, CFI, VLAN 0x123 */
	memset(ppi, 0, sizeof(ppi));
	put32(ppi, 16);
	put32(ppi + 4, 8);
	put32(ppi + 8, 12);
	put32(ppi + 12, 0xdeadbeef);
	put32(ppi + 16, 16);
	put32(ppi + 20, 6);
	put32(ppi + 24, 12);
	put32(ppi + 28, 5 | 1 << 3 | 0x123 << 4);
	n = packet(m, ppi, 32);
	assert_true(parse(m, n, &p));
	assert_true(p.tagged);
	assert_int_equal(p.tci, 5 << 13 | 1 << 12 | 0x123);
	assert_false(p.offload);
	assert_int_equal(p.data_offset, 76);
	/* Internal information of the same number is something else. */
	put32(ppi + 20, 6 | 0x80000000);
	n = packet(m, ppi, 32);
	assert_true(parse(m, n, &p));
	assert_false(p.tagged);
	/* Checksum and segmentation: with a value, to be refused; an empty one asks for nothing. */
	for (uint32_t type = 0; type <= 2; type += 2) {
		put32(ppi + 20, type);
		n = packet(m, ppi, 32);
		assert_true(parse(m, n, &p));
		assert_true(p.offload);
		memset(m + 44 + 28, 0, 4);
		assert_true(parse(m, n, &p));
		assert_false(p.offload);
	}
}

static void test_ppi_broken(void **state)
{
	static const struct {
		uint32_t at, value;
	} bad[] = {
		{ 0, 0 },  { 0, 11 },  { 0, 17 }, { 0, 33 }, { 0, 0xffffffff },
		{ 0, 32 }, { 8, 11 },  { 8, 13 }, { 8, 17 }, { 8, 0xffffffff },
		{ 8, 0 },  { 16, 12 }, { 16, 4 },
	};
	uint8_t m[256], ppi[32];
	struct rndis_packet p;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint32_t n;

		memset(ppi, 0, sizeof(ppi));
		for (uint32_t k = 0; k < 32; k += 16) {
			put32(ppi + k, 16);
			put32(ppi + k + 4, 6);
			put32(ppi + k + 8, 12);
		}
		put32(ppi + bad[i].at, bad[i].value);
		n = packet(m, ppi, 32);
		/* 0 = 32: the first piece swallows the second, which is well. */
		if (parse(m, n, &p) != (bad[i].at == 0 && bad[i].value == 32)) {
			fail_msg("%u = 0x%x", bad[i].at, bad[i].value);
		}
	}
}

static void test_packet_build(void **state)
{
	uint8_t m[RNDIS_PACKET_HEADER + 100];
	struct rndis_packet p;

	(void)state;
	memset(m, 0xff, sizeof(m));
	rndis_packet_build(m, 100);
	assert_true(parse(m, sizeof(m), &p));
	assert_int_equal(p.length, sizeof(m));
	assert_int_equal(p.data_offset, RNDIS_PACKET_HEADER);
	assert_int_equal(p.data_length, 100);
	assert_int_equal(le32(m + 8), 36); /* as the driver expects it */
}

static void test_filter(void **state)
{
	uint8_t frame[14] = { 0 };
	struct rndis_adapter a = adapter(true);

	(void)state;
	memcpy(frame, mac, 6);
	a.filter = 0;
	assert_false(rndis_filter_wants(&a, frame));
	a.filter = RNDIS_FILTER_DIRECTED;
	assert_true(rndis_filter_wants(&a, frame));
	frame[5]++;
	assert_false(rndis_filter_wants(&a, frame)); /* another's */
	frame[0] |= 1;
	assert_false(rndis_filter_wants(&a, frame));
	a.filter |= RNDIS_FILTER_ALL_MULTICAST;
	assert_true(rndis_filter_wants(&a, frame));
	memset(frame, 0xff, 6);
	assert_false(rndis_filter_wants(&a, frame));
	a.filter |= RNDIS_FILTER_BROADCAST;
	assert_true(rndis_filter_wants(&a, frame));
	a.filter = RNDIS_FILTER_PROMISCUOUS;
	assert_true(rndis_filter_wants(&a, frame));
	memset(frame, 0x22, 6);
	assert_true(rndis_filter_wants(&a, frame));
}

static uint8_t reply[RNDIS_REPLY_MAX];
static uint32_t reply_length;

static bool control(struct rndis_adapter *a, const uint8_t *bytes, uint32_t n)
{
	uint8_t *copy = exact(bytes, n), *out = malloc(RNDIS_REPLY_MAX);
	bool ok;

	memset(out, 0xa5, RNDIS_REPLY_MAX);
	ok = rndis_control(a, copy, n, out, &reply_length);
	memcpy(reply, out, RNDIS_REPLY_MAX);
	free(out);
	free(copy);
	assert_true(reply_length <= RNDIS_REPLY_MAX);
	if (reply_length != 0) {
		assert_int_equal(le32(reply + 4), reply_length);
	}
	return ok;
}

static uint32_t request(uint8_t *m, uint32_t type, const uint32_t *words, uint32_t count,
			const void *info, uint32_t length)
{
	put32(m, type);
	put32(m + 4, 8 + count * 4 + length);
	for (uint32_t i = 0; i < count; i++) {
		put32(m + 8 + i * 4, words[i]);
	}
	if (length != 0) {
		memcpy(m + 8 + count * 4, info, length);
	}
	return 8 + count * 4 + length;
}

static void test_initialize(void **state)
{
	uint32_t words[] = { 7, 1, 0, 0x4000 };
	struct rndis_adapter a = adapter(false);
	uint8_t m[64];
	uint32_t n = request(m, RNDIS_INITIALIZE, words, 4, NULL, 0);

	(void)state;
	a.filter = 9;
	assert_true(control(&a, m, n));
	assert_int_equal(reply_length, 52);
	assert_int_equal(le32(reply), 0x80000002);
	assert_int_equal(le32(reply + 8), 7);
	assert_int_equal(le32(reply + 12), 0);
	assert_int_equal(le32(reply + 16), 1);
	assert_int_equal(le32(reply + 24), 1); /* connectionless */
	assert_int_equal(le32(reply + 28), 0); /* 802.3 */
	assert_int_equal(le32(reply + 32), 8); /* packets per message */
	assert_int_equal(le32(reply + 36), 0x4000);
	assert_int_equal(le32(reply + 40), 3); /* alignment 8 */
	assert_true(a.initialized && a.filter == 0);
	for (uint32_t cut = 0; cut < n; cut++) {
		assert_false(control(&a, m, cut));
	}
	a.initialized = 0;
	put32(m + 12, 2);
	assert_true(control(&a, m, n));
	assert_int_equal(le32(reply + 12), RNDIS_STATUS_BAD_VERSION);
	assert_false(a.initialized);
}

static void test_halt_keepalive(void **state)
{
	uint32_t words[] = { 9 };
	struct rndis_adapter a = adapter(true);
	uint8_t m[64];
	uint32_t n = request(m, RNDIS_KEEPALIVE, words, 1, NULL, 0);

	(void)state;
	a.filter = 9;
	assert_true(control(&a, m, n));
	assert_int_equal(reply_length, 16);
	assert_int_equal(le32(reply), 0x80000008);
	assert_int_equal(le32(reply + 8), 9);
	assert_int_equal(le32(reply + 12), 0);
	assert_int_equal(a.filter, 9);
	n = request(m, RNDIS_HALT, words, 1, NULL, 0);
	assert_true(control(&a, m, n));
	assert_int_equal(reply_length, 0);
	assert_true(a.initialized == 0 && a.filter == 0);
	/* Types that no guest sends. */
	for (uint32_t type = 0; type < 12; type++) {
		bool known = (type >= 2 && type <= 5) || type == 8;

		memset(m, 0, sizeof(m));
		put32(m, type);
		put32(m + 4, 48);
		assert_int_equal(control(&a, m, 48), known);
		put32(m, type | 0x80000000);
		assert_false(control(&a, m, 48));
	}
}

static uint32_t ask(struct rndis_adapter *a, uint32_t oid, const void *info, uint32_t length)
{
	uint32_t words[] = { 11, oid, length, 20, 0 };
	uint8_t m[512];
	uint32_t n = request(m, RNDIS_QUERY, words, 5, info, length);

	assert_true(control(a, m, n));
	assert_int_equal(le32(reply), 0x80000004);
	assert_int_equal(le32(reply + 8), 11);
	assert_int_equal(le32(reply + 20),
			 16); /* 6.1 and 6.12 check it even where it has no information */
	assert_int_equal(reply_length, 24 + le32(reply + 16));
	return le32(reply + 12);
}

static uint32_t tell(struct rndis_adapter *a, uint32_t oid, const void *info, uint32_t length)
{
	uint32_t words[] = { 12, oid, length, 20, 0 };
	uint8_t m[512];
	uint32_t n = request(m, RNDIS_SET, words, 5, info, length);

	assert_true(control(a, m, n));
	assert_int_equal(le32(reply), 0x80000005);
	assert_int_equal(le32(reply + 8), 12);
	assert_int_equal(reply_length, 16);
	return le32(reply + 12);
}

static void test_query(void **state)
{
	static const struct {
		uint32_t oid, value;
	} numbers[] = {
		{ RNDIS_OID_MAXIMUM_FRAME_SIZE, 1500 },  { RNDIS_OID_MAXIMUM_TOTAL_SIZE, 1514 },
		{ RNDIS_OID_LINK_SPEED, 100000000 },     { RNDIS_OID_MEDIA_CONNECT_STATUS, 0 },
		{ RNDIS_OID_CURRENT_PACKET_FILTER, 13 },
	};
	/* What the driver asks for and may not get; and what CVE-2021-28476 was about. */
	static const uint32_t unknown[] = { 0x00020216, 0x00010203, 0x0001021b, 0xff010226,
					    0xff01021e, 0,          0xffffffff };
	struct rndis_adapter a = adapter(true);

	(void)state;
	a.filter = 13;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		assert_int_equal(ask(&a, numbers[i].oid, NULL, 0), 0);
		assert_int_equal(le32(reply + 16), 4);
		assert_int_equal(le32(reply + 24), numbers[i].value);
	}
	a.link_down = 1;
	assert_int_equal(ask(&a, RNDIS_OID_MEDIA_CONNECT_STATUS, NULL, 0), 0);
	assert_int_equal(le32(reply + 24), 1);
	assert_int_equal(ask(&a, RNDIS_OID_PERMANENT_ADDRESS, NULL, 0), 0);
	assert_int_equal(le32(reply + 16), 6);
	assert_memory_equal(reply + 24, mac, 6);
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		assert_int_equal(ask(&a, unknown[i], "AAAAAAAAAAAAAAAA", 16),
				 RNDIS_STATUS_NOT_SUPPORTED);
		assert_int_equal(le32(reply + 16), 0);
		assert_int_equal(tell(&a, unknown[i], "AAAAAAAAAAAAAAAA", 16),
				 RNDIS_STATUS_NOT_SUPPORTED);
	}
	a.initialized = 0;
	assert_int_equal(ask(&a, RNDIS_OID_PERMANENT_ADDRESS, NULL, 0), RNDIS_STATUS_FAILURE);
	assert_int_equal(le32(reply + 16), 0);
}

/* rndis_query_hwcaps of both kernels: type, revision >= 1, 112 <= size <= what came. */
static void test_offload_caps(void **state)
{
	static const struct {
		uint8_t revision;
		uint16_t size;
		uint8_t got;
	} asks[] = { { 3, 156, 156 }, { 2, 144, 144 }, { 1, 112, 112 },
		     { 4, 200, 156 }, { 3, 144, 144 }, { 2, 112, 112 } };
	struct rndis_adapter a = adapter(true);
	uint8_t in[200];

	(void)state;
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		memset(in, 0, sizeof(in));
		in[0] = 0xa7;
		in[1] = asks[i].revision;
		put16(in + 2, asks[i].size);
		assert_int_equal(ask(&a, RNDIS_OID_OFFLOAD_HW_CAPS, in, asks[i].size), 0);
		assert_int_equal(le32(reply + 16), asks[i].got);
		assert_int_equal(reply[24], 0xa7);
		assert_true(reply[25] >= 1 && reply[25] <= asks[i].revision);
		assert_int_equal(le16(reply + 26), asks[i].got);
		for (uint32_t k = 4; k < asks[i].got; k++) {
			assert_int_equal(reply[24 + k], 0);
		}
	}
	assert_int_equal(ask(&a, RNDIS_OID_OFFLOAD_HW_CAPS, NULL, 0), 0);
	assert_int_equal(le32(reply + 16), 112);
	in[0] = 0xa8;
	assert_int_equal(ask(&a, RNDIS_OID_OFFLOAD_HW_CAPS, in, 156), RNDIS_STATUS_INVALID_DATA);
	in[0] = 0xa7;
	put16(in + 2, 157); /* longer than it is */
	assert_int_equal(ask(&a, RNDIS_OID_OFFLOAD_HW_CAPS, in, 156), RNDIS_STATUS_INVALID_DATA);
}

static void test_offload_parameters(void **state)
{
	struct rndis_adapter a = adapter(true);
	uint8_t in[28] = { 0x80, 3, 28, 0,
			   1 }; /* what 6.1 and 6.12 send: IPv4 header checksum off */

	(void)state;
	assert_int_equal(tell(&a, RNDIS_OID_OFFLOAD_PARAMETERS, in, 28), 0);
	for (uint32_t i = 4; i < 28; i++) {
		bool counts = i != 16 && i != 17 && i != 18 && i != 19 && i < 26;

		memset(in + 4, 0, 24);
		in[i] = 2;
		assert_int_equal(tell(&a, RNDIS_OID_OFFLOAD_PARAMETERS, in, 28),
				 counts ? RNDIS_STATUS_NOT_SUPPORTED : 0);
	}
	memset(in + 4, 0, 24);
	assert_int_equal(tell(&a, RNDIS_OID_OFFLOAD_PARAMETERS, in, 21),
			 RNDIS_STATUS_INVALID_LENGTH);
	put16(in + 2, 22);
	assert_int_equal(tell(&a, RNDIS_OID_OFFLOAD_PARAMETERS, in, 22), 0);
	put16(in + 2, 23);
	assert_int_equal(tell(&a, RNDIS_OID_OFFLOAD_PARAMETERS, in, 22), RNDIS_STATUS_INVALID_DATA);
	in[0] = 0x81;
	assert_int_equal(tell(&a, RNDIS_OID_OFFLOAD_PARAMETERS, in, 28), RNDIS_STATUS_INVALID_DATA);
}

static void test_set_filter(void **state)
{
	struct rndis_adapter a = adapter(true);
	uint8_t in[4] = { 0x0d, 0, 0, 0 };

	(void)state;
	assert_int_equal(tell(&a, RNDIS_OID_CURRENT_PACKET_FILTER, in, 4), 0);
	assert_int_equal(a.filter, 13);
	assert_int_equal(tell(&a, RNDIS_OID_CURRENT_PACKET_FILTER, in, 3),
			 RNDIS_STATUS_INVALID_LENGTH);
	in[1] = 0x80;
	assert_int_equal(tell(&a, RNDIS_OID_CURRENT_PACKET_FILTER, in, 4),
			 RNDIS_STATUS_NOT_SUPPORTED);
	assert_int_equal(a.filter, 13);
	memset(in, 0, 4);
	assert_int_equal(tell(&a, RNDIS_OID_CURRENT_PACKET_FILTER, in, 4), 0);
	assert_int_equal(a.filter, 0);
	a.initialized = 0;
	in[0] = 1;
	assert_int_equal(tell(&a, RNDIS_OID_CURRENT_PACKET_FILTER, in, 4), RNDIS_STATUS_FAILURE);
	assert_int_equal(a.filter, 0);
}

/* The information of a query or set: every offset and length around its borders. */
static void test_information_range(void **state)
{
	static const uint32_t edge[] = { 0,          1,          3,          4,         19,
					 20,         21,         24,         28,        0x7fffffff,
					 0x80000000, 0xfffffff0, 0xfffffff8, 0xffffffff };
	uint8_t m[36];

	(void)state;
	for (size_t o = 0; o < sizeof(edge) / sizeof(edge[0]); o++) {
		for (size_t l = 0; l < sizeof(edge) / sizeof(edge[0]); l++) {
			struct rndis_adapter a = adapter(true);
			uint32_t words[] = { 1, RNDIS_OID_CURRENT_PACKET_FILTER, edge[l], edge[o],
					     0 };
			uint32_t n = request(m, RNDIS_SET, words, 5, "\x0d\0\0\0\x01\0\0\0", 8);
			bool inside = edge[l] == 0 ||
				      (edge[o] >= 20 && (uint64_t)edge[o] + edge[l] <= 28);

			assert_int_equal(control(&a, m, n), inside);
			if (edge[o] != 21) { /* there it reads an unknown filter */
				assert_int_equal(a.filter != 0, inside && edge[l] >= 4);
			}
		}
	}
}

static void test_link(void **state)
{
	struct rndis_adapter a = adapter(true);
	uint8_t m[RNDIS_REPLY_MAX];

	(void)state;
	assert_int_equal(rndis_build_link(&a, m), 20);
	assert_int_equal(le32(m), 7);
	assert_int_equal(le32(m + 4), 20);
	assert_int_equal(le32(m + 8), 0x4001000b);
	a.link_down = 1;
	(void)rndis_build_link(&a, m);
	assert_int_equal(le32(m + 8), 0x4001000c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packet),
		cmocka_unit_test(test_packet_broken),
		cmocka_unit_test(test_ppi),
		cmocka_unit_test(test_ppi_broken),
		cmocka_unit_test(test_packet_build),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_initialize),
		cmocka_unit_test(test_halt_keepalive),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_offload_caps),
		cmocka_unit_test(test_offload_parameters),
		cmocka_unit_test(test_set_filter),
		cmocka_unit_test(test_information_range),
		cmocka_unit_test(test_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
