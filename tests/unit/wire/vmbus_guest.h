/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_WIRE_VMBUS_GUEST_H
#define TESTS_UNIT_WIRE_VMBUS_GUEST_H
/* One world for each unit test of the VMBus server, and what a guest in it does over and over. */
#include "tests/unit/wire/wire_test.h"

#include "tests/guest/vmbus_model.h"

static struct world w;
static uint8_t m[VMBUS_MESSAGE_MAX];

#define GPADL 0xe1e10u

/* Gives the server exactly these bytes. */
static inline void say(uint32_t size)
{
	uint8_t *copy = exact(m, size);

	assert_true(world_message(&w, 1, copy, size));
	free(copy);
}

static inline void words(uint32_t type, uint32_t a, uint32_t b, uint32_t size)
{
	say(guest_words(m, type, a, b, size));
}

static inline void contact(uint32_t version)
{
	say(guest_contact(m, version, 1));
}

/* The last message to the guest has this type and these words behind the header. */
static inline void heard(uint32_t type, uint32_t a)
{
	assert_int_equal(le32(w.message), type);
	assert_int_equal(le32(w.message + 8), a);
}

static inline void heard_status(uint32_t type, uint32_t a, uint32_t b, bool ok)
{
	heard(type, a);
	assert_int_equal(le32(w.message + 12), b);
	assert_int_equal(le32(w.message + 16) == 0, ok);
}

/* Nothing is sent. */
static inline void silent(void)
{
	unsigned n = w.sent;

	world_drain(&w);
	assert_int_equal(w.sent, n);
}

static inline void connected(uint32_t version)
{
	world_init(&w);
	contact(version);
	world_settle(&w);
	heard(VMBUS_VERSION_RESPONSE, 1);
	words(VMBUS_REQUEST_OFFERS, 0, 0, 8);
	world_settle(&w);
}

static inline void gpadl(uint32_t relid, uint32_t id, uint32_t pages)
{
	uint32_t have = pages < VMBUS_HEADER_PFNS ? pages : VMBUS_HEADER_PFNS;

	say(guest_gpadl(m, relid, id, pages, have, 0x1000));
	while (have < pages) {
		uint32_t n = pages - have < VMBUS_BODY_PFNS ? pages - have : VMBUS_BODY_PFNS;

		say(guest_body(m, id, n, 0x1000 + have));
		have += n;
	}
	world_drain(&w);
	heard_status(VMBUS_GPADL_CREATED, relid, id, true);
}

static inline void channel_open(uint32_t relid, uint32_t id)
{
	gpadl(relid, id, 64);
	say(guest_open(m, relid, id, 2, 32));
	world_settle(&w);
	heard_status(VMBUS_OPEN_RESULT, relid, relid, true);
	assert_int_equal(w.s.channel[relid - 1].state, VMBUS_CH_OPEN);
}

#endif
