/* SPDX-License-Identifier: MIT */
/*
 * VMBus rings: every rule of a well-behaved guest, in both directions and over the wrap, and every way in which a guest can
 * break them.
 */
#include "tests/unit/wire/wire_test.h"

#include "tests/guest/ring_guest.h"
#include "hv/wire/ring.h"

#define PAGES 16
static uint8_t *memory;
static struct gmem mem;
static struct ring ring;
static struct ring_guest guest;
/* Scattered, and not in order. */
static const uint64_t scattered[] = { 9, 2, 14, 7, 3 };

static int setup(void **state)
{
	(void)state;
	memory = aligned_alloc(4096, PAGES * 4096);
	if (memory == NULL) {
		return -1;
	}
	mem = (struct gmem){ memory, PAGES * 4096 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(memory);
	return 0;
}

static void start(uint32_t pages, bool in)
{
	memset(memory, 0xcc, PAGES * 4096);
	guest = (struct ring_guest){ memory, scattered, pages };
	ring_guest_init(&guest);
	assert_true(in ? ring_open_in(&ring, &mem, scattered, pages)
		       : ring_open_out(&ring, &mem, scattered, pages));
	assert_int_equal(ring.size, (pages - 1) * 4096);
	assert_int_equal(ring.own, 0);
}

static void make_packet(uint8_t *p, uint32_t length, uint32_t header, uint64_t seed)
{
	put16(p, RING_DATA_INBAND);
	put16(p + 2, header / 8);
	put16(p + 4, length / 8);
	put16(p + 6, RING_WANT_COMPLETION);
	put64(p + 8, seed);
	for (uint32_t i = 16; i < length; i++) {
		p[i] = (uint8_t)next_random(&seed);
	}
}

static bool guest_put(uint32_t length)
{
	uint8_t p[8192];
	bool signal;

	make_packet(p, length, 16, length + 1);
	return ring_guest_put(&guest, p, length, &signal);
}

static void test_open(void **state)
{
	uint64_t pfn[RING_PAGES_MAX + 1];
	uint64_t bad[2] = { 9, 2 };

	(void)state;
	for (unsigned i = 0; i <= RING_PAGES_MAX; i++) {
		pfn[i] = 5;
	}
	memset(memory, 0, PAGES * 4096);
	assert_false(ring_open_in(&ring, &mem, pfn, 0));
	assert_false(ring_open_in(&ring, &mem, pfn, 1));
	assert_true(ring_open_in(&ring, &mem, pfn, 2));
	assert_true(ring_open_out(&ring, &mem, pfn, RING_PAGES_MAX));
	assert_false(ring_open_out(&ring, &mem, pfn, RING_PAGES_MAX + 1));
	for (unsigned i = 0; i < 2; i++) {
		static const uint64_t wrong[] = { PAGES,      1ull << 52, (1ull << 52) + 5,
						  UINT64_MAX, 0xc0000,    0x100000 };

		for (unsigned w = 0; w < sizeof(wrong) / sizeof(wrong[0]); w++) {
			bad[0] = 9;
			bad[1] = 2;
			bad[i] = wrong[w];
			assert_false(ring_open_in(&ring, &mem, bad, 2));
			assert_false(ring_open_out(&ring, &mem, bad, 2));
		}
	}
}

/* A process that was started again goes on at its own index, which it does not believe blindly either. */
static void test_open_again(void **state)
{
	(void)state;
	start(3, true);
	ring_guest_set(&guest, RING_GUEST_READ, 4096);
	ring_guest_set(&guest, RING_GUEST_WRITE, 5000 & ~7u);
	ring_guest_set(&guest, RING_GUEST_MASK, 1);
	ring_guest_set(&guest, RING_GUEST_PENDING, 77);
	assert_true(ring_open_in(&ring, &mem, scattered, 3));
	assert_int_equal(ring.own, 4096);
	assert_int_equal(ring_guest_get(&guest, RING_GUEST_MASK), 0);
	assert_int_equal(ring_guest_get(&guest, RING_GUEST_PENDING), 77); /* the guest's */
	assert_true(ring_open_out(&ring, &mem, scattered, 3));
	assert_int_equal(ring.own, 5000 & ~7u);
	assert_int_equal(ring_guest_get(&guest, RING_GUEST_PENDING), 0); /* ours */
	for (unsigned i = 0; i < 4; i++) {
		static const uint32_t wrong[] = { 8192, 4, 1, UINT32_MAX };

		ring_guest_set(&guest, RING_GUEST_READ, wrong[i]);
		ring_guest_set(&guest, RING_GUEST_WRITE, wrong[i]);
		assert_false(ring_open_in(&ring, &mem, scattered, 3));
		assert_false(ring_open_out(&ring, &mem, scattered, 3));
	}
}

/* Random packets through rings of all sizes, many times around. */
static void test_in_round_trip(void **state)
{
	(void)state;
	for (uint32_t pages = 2; pages <= 5; pages++) {
		uint64_t seed = pages, check = pages;
		uint32_t queued = 0;

		start(pages, true);
		for (unsigned n = 0; n < 3000; n++) {
			uint8_t p[2048], got[2048];
			struct ring_packet packet;
			uint32_t length = 16 + (uint32_t)(seed % 120) * 8;
			bool signal;

			make_packet(p, length, 16 + (uint32_t)(seed % (length / 8 - 1)) * 8, seed);
			if (ring_guest_put(&guest, p, length, &signal)) {
				assert_int_equal(signal, queued == 0);
				next_random(&seed);
				queued++;
				continue;
			}
			for (uint32_t take = 1 + n % queued; take != 0; take--, queued--) {
				length = 16 + (uint32_t)(check % 120) * 8;
				make_packet(p, length,
					    16 + (uint32_t)(check % (length / 8 - 1)) * 8, check);
				assert_int_equal(ring_take(&ring, got, length, &packet, &signal),
						 RING_OK);
				assert_memory_equal(got, p, length);
				assert_int_equal(packet.type, RING_DATA_INBAND);
				assert_int_equal(packet.flags, RING_WANT_COMPLETION);
				assert_int_equal(packet.transaction, check);
				assert_int_equal(packet.length, length);
				assert_int_equal(packet.offset, le16(p + 2) * 8);
				assert_false(signal);
				assert_int_equal(ring_guest_get(&guest, RING_GUEST_READ), ring.own);
				next_random(&check);
			}
		}
	}
}

static void test_in_empty(void **state)
{
	struct ring_packet packet;
	uint8_t to[64];
	bool signal = true;

	(void)state;
	start(2, true);
	assert_int_equal(ring_take(&ring, to, sizeof(to), &packet, &signal), RING_EMPTY);
	assert_false(signal);
	assert_true(guest_put(64));
	assert_int_equal(ring_take(&ring, to, sizeof(to), &packet, &signal), RING_OK);
	assert_int_equal(ring_take(&ring, to, sizeof(to), &packet, &signal), RING_EMPTY);
}

struct bad_packet {
	uint32_t write; /* index */
	uint16_t header8, length8;
	uint32_t max;
};

static void test_in_broken(void **state)
{
	static const struct bad_packet bad[] = {
		{ 4096, 2, 3, 64 },         /* index = size */
		{ 4100, 2, 3, 64 },         /* outside */
		{ 8192, 2, 3, 64 },         /* */
		{ 0xfffffff8u, 2, 3, 64 },  /* */
		{ UINT32_MAX, 2, 3, 64 },   /* */
		{ 65, 2, 3, 64 },           /* unaligned */
		{ 68, 2, 3, 64 },           /* */
		{ 8, 2, 3, 64 },            /* less than the smallest packet */
		{ 16, 2, 2, 64 },           /* no room for the trailer */
		{ 64, 2, 0, 64 },           /* no length */
		{ 64, 2, 1, 64 },           /* shorter than the descriptor */
		{ 64, 1, 3, 64 },           /* header shorter than the descriptor */
		{ 64, 0, 3, 64 },           /* */
		{ 64, 4, 3, 64 },           /* header longer than the packet */
		{ 64, 0xffff, 3, 64 },      /* */
		{ 64, 2, 8, 64 },           /* reaches into the trailer */
		{ 64, 2, 9, 64 },           /* behind what is there */
		{ 64, 2, 0xffff, 1 << 20 }, /* */
		{ 64, 2, 7, 55 },           /* larger than the receiver wants */
		{ 4088, 2, 510, 64 },       /* */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t *to = malloc(bad[i].max < 64 ? bad[i].max : 64);
		struct ring_packet packet;
		uint8_t descriptor[16] = { 6 };
		bool signal;

		start(2, true);
		put16(descriptor + 2, bad[i].header8);
		put16(descriptor + 4, bad[i].length8);
		ring_guest_write(&guest, 0, descriptor, 16);
		ring_guest_set(&guest, RING_GUEST_WRITE, bad[i].write);
		/* Again and again the same: it is neither consumed nor served. */
		for (unsigned again = 0; again < 2; again++) {
			signal = true;
			if (ring_take(&ring, to, bad[i].max, &packet, &signal) != RING_BROKEN) {
				fail_msg("packet %zu is accepted", i);
			}
			assert_false(signal);
			assert_int_equal(ring.own, 0);
			assert_int_equal(ring_guest_get(&guest, RING_GUEST_READ), 0);
		}
		free(to);
	}
}

/* The largest and smallest that fit, at each position of the circle. */
static void test_in_exact(void **state)
{
	uint8_t p[4096], got[4096];

	(void)state;
	start(2, true);
	for (unsigned n = 0; n < 2000; n++) {
		uint32_t length = n % 3 == 0 ? 16 : n % 3 == 1 ? 4096 - 16 : 24 + n % 50 * 8;
		struct ring_packet packet;
		bool signal;

		make_packet(p, length, 16, n);
		assert_true(ring_guest_put(&guest, p, length, &signal));
		assert_int_equal(ring_take(&ring, got, length, &packet, &signal), RING_OK);
		assert_memory_equal(got, p, length);
	}
	make_packet(p, 4096 - 8, 16, 1);
	assert_false(guest_put(4096 - 8)); /* it would make the ring look empty */
}

/* Our own index is ours: what the guest writes there is overwritten. */
static void test_in_own_index(void **state)
{
	struct ring_packet packet;
	uint8_t to[64];
	bool signal;

	(void)state;
	start(2, true);
	assert_true(guest_put(32));
	assert_true(guest_put(32));
	ring_guest_set(&guest, RING_GUEST_READ, 0x12345);
	assert_int_equal(ring_take(&ring, to, sizeof(to), &packet, &signal), RING_OK);
	assert_int_equal(ring_guest_get(&guest, RING_GUEST_READ), 40);
	ring_guest_set(&guest, RING_GUEST_READ, 80);
	assert_int_equal(ring_take(&ring, to, sizeof(to), &packet, &signal), RING_OK);
	assert_int_equal(ring_guest_get(&guest, RING_GUEST_READ), 80);
	assert_int_equal(packet.length, 32);
}

/* The guest waits for room: it is signalled exactly when free space goes from <= to > what it asked for. */
static void test_in_pending(void **state)
{
	struct ring_packet packet;
	uint8_t to[1024];
	bool signal;

	(void)state;
	for (uint32_t pending = 8; pending <= 4096; pending += 8) {
		start(2, true);
		ring_guest_set(&guest, RING_GUEST_FEATURES,
			       pending % 16 == 0); /* does not matter */
		while (guest_put(1024 - 8)) {
		}
		ring_guest_set(&guest, RING_GUEST_PENDING, pending);
		for (unsigned n = 0; n < 3; n++) {
			uint32_t before = ring_guest_room(&guest), after;

			assert_int_equal(ring_take(&ring, to, sizeof(to), &packet, &signal),
					 RING_OK);
			after = ring_guest_room(&guest);
			assert_int_equal(signal, before <= pending && after > pending);
		}
	}
	/* The guest fills the ring up and asks while we take. */
	start(2, true);
	assert_true(guest_put(1024 - 8));
	ring_guest_set(&guest, RING_GUEST_PENDING, 64);
	ring_guest_set(&guest, RING_GUEST_WRITE, 4096 - 32);
	assert_int_equal(ring_take(&ring, to, sizeof(to), &packet, &signal), RING_OK);
	assert_true(signal);
	/* Nobody waits. */
	start(2, true);
	assert_true(guest_put(1024 - 8));
	assert_int_equal(ring_take(&ring, to, sizeof(to), &packet, &signal), RING_OK);
	assert_false(signal);
}

static void test_mask(void **state)
{
	(void)state;
	start(2, true);
	ring_mask(&ring, true);
	assert_int_equal(ring_guest_get(&guest, RING_GUEST_MASK), 1);
	ring_mask(&ring, false);
	assert_int_equal(ring_guest_get(&guest, RING_GUEST_MASK), 0);
}

/* To the byte, over the wrap of a ring whose pages lie apart. */
static void test_out_layout(void **state)
{
	static const uint8_t head[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	static const uint8_t payload[11] = "redoubt-vm";
	struct ring_send s = { RING_DATA_XFER_PAGES, 1, 0x1122334455667788, head, 8, payload, 11 };
	static const uint8_t expected[48] = {
		7,    0,    3,    0,    5,    0,    1,    0,    /* type, 24/8, 40/8, flags */
		0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* transaction */
		1,    2,    3,    4,    5,    6,    7,    8,    /* head */
		'r',  'e',  'd',  'o',  'u',  'b',  't',  '-',  'v',  'm', 0, 0, 0,
		0,    0,    0,    0,    0,    0,    0,    0xf0, 0x1f, 0,   0, /* trailer: 8176 << 32 */
	};
	uint8_t got[48];
	bool signal;

	(void)state;
	start(3, false);
	ring_guest_set(&guest, RING_GUEST_WRITE, 8176);
	ring_guest_set(&guest, RING_GUEST_READ, 8176);
	assert_true(ring_open_out(&ring, &mem, scattered, 3));
	assert_int_equal(ring_put(&ring, &s, &signal), RING_OK);
	assert_true(signal);
	assert_int_equal(ring_guest_get(&guest, RING_GUEST_WRITE), 32);
	ring_guest_read(&guest, 8176, got, 48);
	assert_memory_equal(got, expected, 48);
	for (uint32_t i = 32; i < 8176; i++) { /* nothing else was written */
		assert_int_equal(*ring_guest_byte(&guest, i), 0xcc);
	}
}

static void test_out_round_trip(void **state)
{
	(void)state;
	for (uint32_t pages = 2; pages <= 5; pages++) {
		uint64_t seed = pages, check = pages;
		bool waiting = false;
		uint32_t queued = 0;

		start(pages, false);
		for (unsigned n = 0; n < 3000; n++) {
			uint8_t p[1200], got[1200];
			uint32_t head = (uint32_t)(seed % 4) * 8, body = (uint32_t)(seed % 1000);
			struct ring_send s = { 6, 0, seed, p, head, p + head, body };
			enum ring_status status;
			bool signal, was_empty = queued == 0;

			for (uint32_t i = 0; i < head + body; i++) {
				p[i] = (uint8_t)(seed >> (i % 57));
			}
			status = ring_put(&ring, &s, &signal);
			if (status == RING_OK) {
				assert_int_equal(signal, was_empty);
				assert_int_equal(ring_guest_get(&guest, RING_GUEST_PENDING), 0);
				next_random(&seed);
				queued++;
				waiting = false;
				continue;
			}
			assert_int_equal(status, RING_FULL);
			assert_false(signal);
			assert_int_equal(ring_guest_get(&guest, RING_GUEST_PENDING),
					 16 + head + ((body + 7) & ~7u) + 8);
			waiting = true;
			while (waiting) { /* the guest reads until it would signal us */
				uint32_t length;

				assert_true(queued != 0);
				length = ring_guest_take(&guest, got, sizeof(got), &signal);
				head = (uint32_t)(check % 4) * 8;
				body = (uint32_t)(check % 1000);
				assert_int_equal(length, 16 + head + ((body + 7) & ~7u));
				assert_int_equal(le64(got + 8), check);
				for (uint32_t i = 0; i < head + body; i++) {
					assert_int_equal(got[16 + i], (uint8_t)(check >> (i % 57)));
				}
				next_random(&check);
				queued--;
				waiting = !signal;
			}
		}
	}
}

static void test_out_full(void **state)
{
	static const uint8_t zero[4096];
	struct ring_send s = { 6, 0, 0, NULL, 0, zero, 1000 }; /* 1016 + 8 */
	struct ring_send small = { 6, 0, 0, NULL, 0, zero, 8 };
	uint8_t got[1024];
	bool signal;

	(void)state;
	start(2, false);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(ring_put(&ring, &s, &signal), RING_OK);
	}
	/* Exactly as many bytes as it takes are free: that is not enough. */
	assert_int_equal(ring_guest_room(&guest), 1024);
	assert_int_equal(ring_put(&ring, &s, &signal), RING_FULL);
	assert_int_equal(ring_guest_get(&guest, RING_GUEST_PENDING), 1024);
	/* A smaller one that fits does not make us forget that the larger one waits. */
	assert_int_equal(ring_put(&ring, &small, &signal), RING_OK);
	assert_int_equal(ring_guest_get(&guest, RING_GUEST_PENDING), 1024);
	small.payload_length = 992; /* nor does one that does not fit */
	assert_int_equal(ring_put(&ring, &small, &signal), RING_FULL);
	assert_int_equal(ring_guest_get(&guest, RING_GUEST_PENDING), 1024);
	assert_int_equal(ring_guest_take(&guest, got, sizeof(got), &signal), 1016);
	assert_true(signal);
	assert_int_equal(ring_put(&ring, &s, &signal), RING_OK);
	assert_int_equal(ring_guest_get(&guest, RING_GUEST_PENDING), 0);
}

static void test_out_signal(void **state)
{
	struct ring_send s = { 6, 0, 0, NULL, 0, "12345678", 8 };
	uint8_t got[64];
	bool signal;

	(void)state;
	start(2, false);
	assert_int_equal(ring_put(&ring, &s, &signal), RING_OK);
	assert_true(signal); /* it was empty */
	assert_int_equal(ring_put(&ring, &s, &signal), RING_OK);
	assert_false(signal); /* it was not */
	assert_int_equal(ring_guest_take(&guest, got, sizeof(got), &signal), 24);
	assert_int_equal(ring_guest_take(&guest, got, sizeof(got), &signal), 24);
	ring_guest_set(&guest, RING_GUEST_MASK, 1);
	assert_int_equal(ring_put(&ring, &s, &signal), RING_OK);
	assert_false(signal); /* masked */
	assert_int_equal(ring_guest_take(&guest, got, sizeof(got), &signal), 24);
	ring_guest_set(&guest, RING_GUEST_MASK, 0);
	assert_int_equal(ring_put(&ring, &s, &signal), RING_OK);
	assert_true(signal);
}

static void test_out_broken(void **state)
{
	static const uint32_t bad[] = { 4096, 4097, 4, 1, UINT32_MAX, 0xfffffff8u };
	struct ring_send s = { 6, 0, 0, NULL, 0, "12345678", 8 };
	bool signal = true;

	(void)state;
	start(2, false);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ring_guest_set(&guest, RING_GUEST_READ, bad[i]);
		assert_int_equal(ring_put(&ring, &s, &signal), RING_BROKEN);
		assert_false(signal);
		assert_int_equal(ring.own, 0);
		assert_int_equal(ring_guest_get(&guest, RING_GUEST_WRITE), 0);
	}
}

static void test_out_impossible(void **state)
{
	static uint8_t big[70000 * 8];
	uint64_t pfn[200];
	struct ring_send s = { 6, 0, 0, big, 0, big, 0 };
	bool signal;

	(void)state;
	start(2, false);
	s.payload_length = 4096 - 16 - 8; /* never: it would fill the ring */
	assert_int_equal(ring_put(&ring, &s, &signal), RING_BROKEN);
	assert_int_equal(ring_guest_get(&guest, RING_GUEST_PENDING), 0);
	s.payload_length -= 8;
	assert_int_equal(ring_put(&ring, &s, &signal), RING_OK);
	/* The descriptor has 16 bits for the length, however large the ring is. */
	for (unsigned i = 0; i < 200; i++) {
		pfn[i] = 5;
	}
	memset(memory, 0, PAGES * 4096);
	assert_true(ring_open_out(&ring, &mem, pfn, 200));
	s.payload_length = 65536 * 8 - 16;
	assert_int_equal(ring_put(&ring, &s, &signal), RING_BROKEN);
	s.payload_length = 65535 * 8 - 16;
	assert_int_equal(ring_put(&ring, &s, &signal), RING_OK);
	for (unsigned i = 0; i < 5; i++) {
		static const uint32_t wrong[][2] = {
			{ 4, 0 },         { UINT32_MAX - 7, 0 }, { 0, UINT32_MAX },
			{ 8, 65535 * 8 }, { 65534 * 8, 8 },
		};

		s.head_length = wrong[i][0];
		s.payload_length = wrong[i][1];
		assert_int_equal(ring_put(&ring, &s, &signal), RING_BROKEN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),           cmocka_unit_test(test_open_again),
		cmocka_unit_test(test_in_empty),       cmocka_unit_test(test_in_round_trip),
		cmocka_unit_test(test_in_exact),       cmocka_unit_test(test_in_broken),
		cmocka_unit_test(test_in_pending),     cmocka_unit_test(test_in_own_index),
		cmocka_unit_test(test_mask),           cmocka_unit_test(test_out_layout),
		cmocka_unit_test(test_out_full),       cmocka_unit_test(test_out_round_trip),
		cmocka_unit_test(test_out_signal),     cmocka_unit_test(test_out_broken),
		cmocka_unit_test(test_out_impossible),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
