// SPDX-License-Identifier: MIT
/* A guest that changes its ring at once after each look at it: the door to its memory is played here. */
#include "tests/unit/wire/wire_test.h"

#include "hv/wire/gmem.h"
#include "hv/wire/ring.h"

#define PAGES 3u

static uint8_t memory[PAGES * 4096];
static unsigned copies, loads;

/* --- the door --- */

bool gmem_check(const struct gmem *m, uint64_t gpa, uint64_t len)
{
	(void)m;
	return gpa <= sizeof(memory) && len <= sizeof(memory) - gpa;
}

bool gmem_copy_in(const struct gmem *m, uint64_t gpa, void *to, size_t len)
{
	assert_true(gmem_check(m, gpa, len));
	memcpy(to, memory + gpa, len);
	memset(memory + gpa, 0xff, len);
	copies++;
	return true;
}

bool gmem_copy_out(const struct gmem *m, uint64_t gpa, const void *from, size_t len)
{
	assert_true(gmem_check(m, gpa, len));
	memcpy(memory + gpa, from, len);
	return true;
}

void *gmem_direct(const struct gmem *m, uint64_t gpa, uint64_t len)
{
	(void)m;
	(void)gpa;
	(void)len;
	return NULL;
}

uint32_t gmem_load32(const struct gmem *m, uint64_t gpa)
{
	uint32_t v;

	assert_true(gmem_check(m, gpa, 4));
	memcpy(&v, memory + gpa, 4);
	memset(memory + gpa, 0xff, 4); /* no valid index, and no valid size */
	loads++;
	return v;
}

void gmem_store32(const struct gmem *m, uint64_t gpa, uint32_t v)
{
	assert_true(gmem_check(m, gpa, 4));
	memcpy(memory + gpa, &v, 4);
}

/* --- */

/* What was looked at first is what counts, for checks and for the packet that is handed on. */
static void test_changes(void **state)
{
	static const uint8_t packet[32] = { 6,    0,    2,    0,    4,    0,   1, 0,
					    0x11, 0x22, 0x33, 4,    5,    6,   7, 8,
					    'a',  'b',  'c',  'd',  'e',  'f', 0, 1,
					    0xfe, 0xfd, 0xfc, 0xfb, 0xfa, 9,   8, 7 };
	static const uint64_t pfn[PAGES] = { 0, 1, 2 };
	struct gmem m = { 0 };
	struct ring ring;
	struct ring_packet p;
	uint8_t got[64];
	bool signal;

	(void)state;
	memset(memory, 0, sizeof(memory));
	assert_true(ring_open_in(&ring, &m, pfn, PAGES));
	memcpy(memory + 4096, packet, sizeof(packet));
	put32(memory, sizeof(packet) + 8);
	copies = loads = 0;
	memset(got, 0, sizeof(got));
	assert_int_equal(ring_take(&ring, got, sizeof(got), &p, &signal), RING_OK);
	assert_memory_equal(got, packet, sizeof(packet));
	assert_int_equal(p.type, 6);
	assert_int_equal(p.flags, 1);
	assert_int_equal(p.offset, 16);
	assert_int_equal(p.length, sizeof(packet));
	assert_int_equal(copies, 2); /* the descriptor, and what follows it */
	assert_false(signal);
	/* What the guest's index has become is seen by the next look, which breaks the channel. */
	assert_int_equal(ring_take(&ring, got, sizeof(got), &p, &signal), RING_BROKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
