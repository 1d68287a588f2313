// SPDX-License-Identifier: MIT
/* The switch's decisions. */
#include "tests/unit/wire/wire_test.h"

#include "hv/wire/ethsw.h"

#define UP (1ull << ETHSW_UPLINK)

static const uint8_t mac_a[6] = { 0x02, 0, 0, 0, 0, 0x0a };
static const uint8_t mac_b[6] = { 0x02, 0, 0, 0, 0, 0x0b };
static const uint8_t mac_c[6] = { 0x02, 0, 0, 0, 0, 0x0c };
static const uint8_t mac_x[6] = { 0x52, 0x54, 0, 1, 2, 3 }; /* behind the uplink */
static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t group[6] = { 0x33, 0x33, 0, 0, 0, 1 };
static const uint8_t zero[6];

static uint64_t to;

/* Ports 0, 1, 2 with a, b, c. */
static struct ethsw three(bool uplink)
{
	struct ethsw sw;

	ethsw_init(&sw, uplink);
	assert_int_equal(ethsw_add(&sw, 100, mac_a), 0);
	assert_int_equal(ethsw_add(&sw, 200, mac_b), 1);
	assert_int_equal(ethsw_add(&sw, 300, mac_c), 2);
	return sw;
}

/* A frame of exactly n bytes that ASan guards. */
static enum ethsw_verdict decide(const struct ethsw *sw, uint32_t from, const uint8_t *dst,
				 const uint8_t *src, uint16_t type, uint32_t n)
{
	uint8_t frame[2000] = { 0 }, *copy;
	enum ethsw_verdict v;

	memcpy(frame, dst, 6);
	memcpy(frame + 6, src, 6);
	frame[12] = (uint8_t)(type >> 8);
	frame[13] = (uint8_t)type;
	copy = exact(frame, n);
	to = ~0ull;
	v = ethsw_decide(sw, from, copy, n, &to);
	free(copy);
	assert_true((v == ETHSW_FORWARD) == (to != 0));
	return v;
}

static void test_unicast(void **state)
{
	struct ethsw sw = three(true);

	(void)state;
	assert_int_equal(decide(&sw, 0, mac_b, mac_a, 0x800, 60), ETHSW_FORWARD);
	assert_int_equal(to, 1 << 1);
	assert_int_equal(decide(&sw, 1, mac_a, mac_b, 0x800, 14), ETHSW_FORWARD);
	assert_int_equal(to, 1 << 0);
	/* unknown: up */
	assert_int_equal(decide(&sw, 0, mac_x, mac_a, 0x800, 60), ETHSW_FORWARD);
	assert_true(to == UP);
	/* from the uplink: to the port, or nobody */
	assert_int_equal(decide(&sw, ETHSW_UPLINK, mac_c, mac_x, 0x800, 60), ETHSW_FORWARD);
	assert_int_equal(to, 1 << 2);
	assert_int_equal(decide(&sw, ETHSW_UPLINK, mac_x, mac_x, 0x800, 60), ETHSW_NOWHERE);
	/* to itself: nowhere */
	assert_int_equal(decide(&sw, 0, mac_a, mac_a, 0x800, 60), ETHSW_NOWHERE);
	sw = three(false);
	assert_int_equal(decide(&sw, 0, mac_x, mac_a, 0x800, 60), ETHSW_NOWHERE);
	assert_int_equal(decide(&sw, ETHSW_UPLINK, mac_c, mac_x, 0x800, 60), ETHSW_BAD_PORT);
}

static void test_group(void **state)
{
	struct ethsw sw = three(true);

	(void)state;
	assert_int_equal(decide(&sw, 0, all, mac_a, 0x806, 60), ETHSW_FORWARD);
	assert_true(to == (UP | 1 << 1 | 1 << 2));
	assert_int_equal(decide(&sw, 2, group, mac_c, 0x86dd, 60), ETHSW_FORWARD);
	assert_true(to == (UP | 1 << 0 | 1 << 1));
	assert_int_equal(decide(&sw, ETHSW_UPLINK, all, mac_x, 0x806, 60), ETHSW_FORWARD);
	assert_true(to == (1 << 0 | 1 << 1 | 1 << 2));
	ethsw_init(&sw, false);
	assert_int_equal(ethsw_add(&sw, 1, mac_a), 0);
	assert_int_equal(decide(&sw, 0, all, mac_a, 0x806, 60), ETHSW_NOWHERE);
}

static void test_spoofing(void **state)
{
	static const uint8_t group_source[6] = { 0x03, 0, 0, 0, 0, 0x0a };
	struct ethsw sw = three(true);

	(void)state;
	assert_int_equal(decide(&sw, 0, mac_b, mac_c, 0x800, 60), ETHSW_SPOOFED);
	assert_int_equal(decide(&sw, 0, mac_b, mac_x, 0x800, 60), ETHSW_SPOOFED);
	assert_int_equal(decide(&sw, 0, mac_b, zero, 0x800, 60), ETHSW_SPOOFED);
	assert_int_equal(decide(&sw, 0, mac_b, group_source, 0x800, 60), ETHSW_SPOOFED);
	assert_int_equal(decide(&sw, 0, all, all, 0x800, 60), ETHSW_SPOOFED);
	/* A neighbour in the host's network may not be one of the VMs, nor a loop bring their frames back. */
	assert_int_equal(decide(&sw, ETHSW_UPLINK, mac_b, mac_a, 0x800, 60), ETHSW_SPOOFED);
	assert_int_equal(decide(&sw, ETHSW_UPLINK, all, mac_a, 0x800, 60), ETHSW_SPOOFED);
	assert_int_equal(decide(&sw, ETHSW_UPLINK, mac_b, zero, 0x800, 60), ETHSW_SPOOFED);
	assert_int_equal(decide(&sw, ETHSW_UPLINK, mac_b, group, 0x800, 60), ETHSW_SPOOFED);
}

static void test_sizes(void **state)
{
	static const struct {
		uint16_t type;
		uint32_t n;
		bool good;
	} sizes[] = {
		{ 0x800, 14, true },    { 0x800, 1514, true },   { 0x800, 1515, false },
		{ 0x8100, 1515, true }, { 0x8100, 1518, true },  { 0x8100, 1519, false },
		{ 0x8100, 18, true },   { 0x8100, 17, false },   { 0x8100, 14, false },
		{ 0x88a8, 1514, true }, { 0x88a8, 1518, false },
	};
	struct ethsw sw = three(true);

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(decide(&sw, 0, mac_b, mac_a, sizes[i].type, sizes[i].n),
				 sizes[i].good ? ETHSW_FORWARD : ETHSW_BAD_SIZE);
	}
	for (uint32_t n = 0; n < 14; n++) {
		assert_int_equal(decide(&sw, 0, mac_b, mac_a, 0x800, n), ETHSW_BAD_SIZE);
	}
}

static void test_reserved(void **state)
{
	uint8_t dst[6] = { 0x01, 0x80, 0xc2, 0, 0, 0 };
	struct ethsw sw = three(true);

	(void)state;
	for (uint32_t i = 0; i < 0x20; i++) {
		dst[5] = (uint8_t)i;
		assert_int_equal(decide(&sw, 0, dst, mac_a, 0x88cc, 60),
				 i < 0x10 ? ETHSW_RESERVED : ETHSW_FORWARD);
		assert_int_equal(decide(&sw, ETHSW_UPLINK, dst, mac_x, 0x88cc, 60),
				 i < 0x10 ? ETHSW_RESERVED : ETHSW_FORWARD);
	}
	assert_int_equal(decide(&sw, 0, zero, mac_a, 0x800, 60), ETHSW_RESERVED);
}

static void test_ports(void **state)
{
	struct ethsw sw = three(true);
	uint8_t mac[6] = { 0x02, 1, 0, 0, 0, 0 };

	(void)state;
	assert_int_equal(ethsw_add(&sw, 400, mac_a), ETHSW_PORTS_MAX); /* the address is taken */
	assert_int_equal(ethsw_add(&sw, 100, mac), ETHSW_PORTS_MAX);   /* the id is taken */
	assert_int_equal(ethsw_add(&sw, 400, zero), ETHSW_PORTS_MAX);
	assert_int_equal(ethsw_add(&sw, 400, all), ETHSW_PORTS_MAX);
	assert_int_equal(ethsw_add(&sw, 400, group), ETHSW_PORTS_MAX);
	for (uint32_t i = 3; i < ETHSW_PORTS_MAX; i++) {
		mac[5] = (uint8_t)i;
		assert_int_equal(ethsw_add(&sw, i, mac), i);
	}
	mac[5] = 200;
	assert_int_equal(ethsw_add(&sw, 999, mac), ETHSW_PORTS_MAX);
	assert_int_equal(decide(&sw, 0, all, mac_a, 0x806, 60), ETHSW_FORWARD);
	assert_true(to == ~1ull);
	assert_int_equal(ethsw_find(&sw, 200), 1);
	ethsw_remove(&sw, 1);
	assert_int_equal(ethsw_find(&sw, 200), ETHSW_PORTS_MAX);
	/* Its address is a stranger's now, and it cannot send. */
	assert_int_equal(decide(&sw, 0, mac_b, mac_a, 0x800, 60), ETHSW_FORWARD);
	assert_true(to == UP);
	assert_int_equal(decide(&sw, 1, mac_a, mac_b, 0x800, 60), ETHSW_BAD_PORT);
	assert_int_equal(decide(&sw, 64, mac_a, mac_b, 0x800, 60), ETHSW_BAD_PORT);
	assert_int_equal(decide(&sw, ~0u, mac_a, mac_b, 0x800, 60), ETHSW_BAD_PORT);
	assert_int_equal(ethsw_add(&sw, 999, mac), 1);
	ethsw_remove(&sw, ~0u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unicast),  cmocka_unit_test(test_group),
		cmocka_unit_test(test_spoofing), cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_reserved), cmocka_unit_test(test_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
