// SPDX-License-Identifier: MIT
/* The VMBus server: contact, offers, GPADLs, channels, each with what it refuses. */
#include "tests/unit/wire/vmbus_guest.h"

/* ---- connection ---- */

static void test_versions(void **state)
{
	static const struct {
		uint32_t version;
		bool ok;
		uint32_t connection;
	} versions[] = {
		{ VMBUS_5_3, true, 4 },
		{ VMBUS_5_2, true, 4 },
		{ VMBUS_5_1, true, 4 },
		{ VMBUS_5_0, true, 4 },
		{ VMBUS_4_1, true, 1 },
		{ VMBUS_4_0, true, 1 },
		{ VMBUS_VERSION(3, 0), false, 1 },
		{ VMBUS_VERSION(2, 4), false, 1 },
		{ VMBUS_VERSION(4, 2), false, 1 },
		{ VMBUS_VERSION(5, 4), false, 4 },
		{ VMBUS_VERSION(6, 0), false, 4 },
		{ 0, false, 1 },
		{ 0xffffffff, false, 4 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		world_init(&w);
		contact(versions[i].version);
		world_settle(&w);
		/* Trap 33: 16 bytes in any case, and never connection 0. */
		assert_int_equal(w.sent, 1);
		assert_int_equal(w.size, 16);
		heard(VMBUS_VERSION_RESPONSE, versions[i].ok ? 1 : 0);
		assert_int_equal(le32(w.message + 12), versions[i].connection);
		assert_int_equal(w.s.state, versions[i].ok ? VMBUS_CONNECTED : VMBUS_DISCONNECTED);
	}
}

/* The loop of Linux against a host that knows less, and a wrong VP, SINT or VTL: always an answer (trap 32). */
static void test_contact_refused(void **state)
{
	(void)state;
	world_init(&w);
	say(guest_contact(m, VMBUS_5_3, WORLD_VPS));
	world_settle(&w);
	heard(VMBUS_VERSION_RESPONSE, 0);
	assert_int_equal(w.s.vp, 0);
	for (unsigned at = 16; at < 24; at++) {
		(void)guest_contact(m, VMBUS_5_3, 1);
		m[at]++;
		say(40);
		world_settle(&w);
		heard(VMBUS_VERSION_RESPONSE, 0);
	}
	assert_int_equal(w.s.counts.refused, 9);
	/* Below 5.0 there is an address in its place. */
	(void)guest_contact(m, VMBUS_4_1, 3);
	memset(m + 16, 0xff, 24);
	say(40);
	world_settle(&w);
	heard(VMBUS_VERSION_RESPONSE, 1);
	assert_int_equal(w.s.vp, 3);
	/* A longer one, of a guest of the future, is answered too. */
	(void)guest_contact(m, VMBUS_VERSION(6, 0), 1);
	say(60);
	world_settle(&w);
	heard(VMBUS_VERSION_RESPONSE, 0);
}

static void test_before_contact(void **state)
{
	(void)state;
	world_init(&w);
	words(VMBUS_REQUEST_OFFERS, 0, 0, 8);
	say(guest_gpadl(m, 1, GPADL, 4, 4, 1));
	say(guest_open(m, 1, GPADL, 0, 2));
	words(VMBUS_CLOSE, 1, 0, 12);
	words(VMBUS_GPADL_TEARDOWN, 1, GPADL, 16);
	silent();
	assert_int_equal(w.s.counts.misplaced, 5);
	/* Trap 45: UNLOAD is answered even so. */
	words(VMBUS_UNLOAD, 0, 0, 8);
	world_settle(&w);
	assert_int_equal(le32(w.message), VMBUS_UNLOAD_RESPONSE);
	assert_int_equal(w.s.state, VMBUS_DISCONNECTED);
}

static void test_malformed(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	words(VMBUS_REQUEST_OFFERS, 0, 0, 9);
	words(18, 0, 0, 40);
	words(25, 0, 0, 40);
	words(VMBUS_OFFER, 0, 0, 196);
	words(VMBUS_OPEN, 1, 1, 147);
	(void)guest_words(m, VMBUS_UNLOAD, 0, 0, 8);
	assert_true(world_message(&w, 2, m, 8));
	assert_true(world_message(&w, 1, m, 0));
	assert_true(world_message(&w, 1, m, 7));
	assert_int_equal(w.s.counts.malformed, 8);
	silent();
	/* A GPADL that can be named is refused by name, so that its guest does not wait. */
	(void)guest_gpadl(m, 1, GPADL, 4, 4, 1);
	say(57);
	world_settle(&w);
	heard_status(VMBUS_GPADL_CREATED, 1, GPADL, false);
}

static void test_offers(void **state)
{
	struct vmbus_action a;

	(void)state;
	world_init(&w);
	contact(VMBUS_5_3);
	world_settle(&w);
	words(VMBUS_REQUEST_OFFERS, 0, 0, 8);
	for (uint32_t relid = 1; relid <= WORLD_DEVICES; relid++) {
		const struct vmbus_device *d = &w.s.channel[relid - 1].device;

		assert_true(vmbus_server_next(&w.s, ~0u, true, &a));
		assert_int_equal(a.what, VMBUS_DO_SEND);
		assert_int_equal(a.size, 196);
		assert_int_equal(a.vp, 1);
		assert_int_equal(le32(a.message), VMBUS_OFFER);
		assert_memory_equal(a.message + 8, d->class_id.b, 16);
		assert_memory_equal(a.message + 24, d->instance.b, 16);
		assert_int_equal(le32(a.message + 60), relid >= 4 ? 4 : 0);
		assert_int_equal(le32(a.message + 184), relid);
		assert_int_equal(a.message[189], 0);
		assert_int_equal(a.message[190], 1);
		assert_int_equal(le32(a.message + 192), 0x2000 + relid);
		assert_true(world_step(&w, ~0u, true));
	}
	assert_true(world_step(&w, ~0u, true));
	assert_int_equal(le32(w.message), VMBUS_ALL_OFFERS);
	silent();
	words(VMBUS_REQUEST_OFFERS, 0, 0, 8); /* a second offer would be a warning in the guest */
	silent();
	assert_int_equal(w.s.counts.misplaced, 1);
}

/* Nothing is sent to a guest that cannot take it; processes are served meanwhile. */
static void test_flow(void **state)
{
	unsigned given = 0;

	(void)state;
	connected(VMBUS_5_3);
	(void)guest_words(m, VMBUS_GPADL_TEARDOWN, 1, 77, 0);
	while (world_message(&w, 1, m, 16)) {
		given++;
		assert_false(world_step(&w, ~0u, false));
	}
	assert_int_equal(given, VMBUS_MESSAGES_MAX - VMBUS_MESSAGES_RESERVED + 1);
	assert_false(vmbus_server_accepts(&w.s));
	assert_true(world_step(&w, ~0u, true));
	assert_true(vmbus_server_accepts(&w.s));
	assert_true(world_message(&w, 1, m, 16));
	/* All that is owed has room: devices go and come, and nothing is lost. */
	for (uint32_t relid = 1; relid <= WORLD_DEVICES; relid++) {
		assert_true(vmbus_server_remove(&w.s, relid));
	}
	world_check(&w);
	world_settle(&w);
	assert_int_equal(w.s.counts.lost, 0);
}

/* ---- GPADLs ---- */

static void test_gpadl(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	gpadl(3, GPADL, 1);
	assert_int_equal(w.last.what, VMBUS_DO_GPADL);
	assert_int_equal(w.last.socket, 1);
	assert_int_equal(w.last.relid, 3);
	assert_int_equal(w.last.gpadl, GPADL);
	assert_int_equal(w.last.pages, 1);
	assert_int_equal(w.last.length, 4096);
	gpadl(3, GPADL + 1, 26);
	gpadl(3, GPADL + 2, 27);
	gpadl(3, GPADL + 3, 26 + 28 * 4);
	assert_int_equal(w.last.pages, 138);
	assert_int_equal(w.s.pool_used, 1 + 26 + 27 + 138);
	assert_int_equal(w.proc[1].gpadl[3].first_pfn, 0x1000);
	assert_int_equal(w.proc[1].gpadl[3].last_pfn, 0x1000 + 137);
	/* The pool closes its gaps: what is left is right, and all that is free can be used. */
	words(VMBUS_GPADL_TEARDOWN, 3, GPADL + 1, 16);
	world_settle(&w);
	heard(VMBUS_GPADL_TORNDOWN, GPADL + 1);
	assert_int_equal(w.s.pool_used, 1 + 27 + 138);
	assert_int_equal(w.s.pool[1], 0x1000);
	assert_int_equal(w.s.pool[28], 0x1000);
	assert_int_equal(w.s.pool[28 + 137], 0x1000 + 137);
	gpadl(3, GPADL + 4, WORLD_POOL - 166);
	say(guest_gpadl(m, 1, GPADL + 5, 1, 1, 1));
	world_settle(&w);
	heard_status(VMBUS_GPADL_CREATED, 1, GPADL + 5, false);
}

/* Trap 36: pieces of several, of different channels, between each other. */
static void test_gpadl_interleaved(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	say(guest_gpadl(m, 1, 10, 60, 26, 0x100));
	say(guest_gpadl(m, 3, 11, 60, 26, 0x200));
	say(guest_gpadl(m, 4, 12, 27, 26, 0x300));
	say(guest_body(m, 11, 28, 0x21a));
	silent();
	say(guest_body(m, 10, 28, 0x11a));
	say(guest_body(m, 12, 1, 0x31a));
	world_drain(&w);
	heard_status(VMBUS_GPADL_CREATED, 4, 12, true);
	le_put(m + 8, 0xffffffff, 4); /* the number of a piece says nothing */
	say(guest_body(m, 11, 6, 0x236));
	world_drain(&w);
	heard_status(VMBUS_GPADL_CREATED, 3, 11, true);
	say(guest_body(m, 10, 6, 0x136));
	world_drain(&w);
	heard_status(VMBUS_GPADL_CREATED, 1, 10, true);
	assert_int_equal(w.proc[0].gpadl[0].last_pfn, 0x13b);
	assert_int_equal(w.proc[1].gpadl[0].last_pfn, 0x23b);
	assert_int_equal(w.proc[2].gpadl[0].last_pfn, 0x31a);
}

static void refused_gpadl(uint32_t relid, uint32_t size)
{
	uint32_t used = w.s.pool_used;

	say(size);
	world_drain(&w);
	heard_status(VMBUS_GPADL_CREATED, relid, le32(m + 12), false);
	assert_int_equal(w.s.pool_used, used);
}

/* Trap 37: every number in it is the guest's, and every error is answered. */
static void test_gpadl_refused(void **state)
{
	static const uint64_t bad[] = { 0xc0000,    0xfffff, 0x100000 + 0x4000,
					1ull << 52, ~0ull,   0x8000000000000000ull };
	uint32_t size;

	(void)state;
	connected(VMBUS_5_3);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		refused_gpadl(1, guest_gpadl(m, 1, GPADL, 1, 1, bad[i]));
	}
	for (uint32_t relid = 0; relid < 2; relid++) { /* no such channel */
		refused_gpadl(relid * 7, guest_gpadl(m, relid * 7, GPADL, 1, 1, 1));
	}
	refused_gpadl(0xffffffff, guest_gpadl(m, 0xffffffff, GPADL, 1, 1, 1));
	refused_gpadl(1, guest_gpadl(m, 1, 0, 1, 1, 1));
	size = guest_gpadl(m, 1, GPADL, 4, 4, 1);
	m[18] = 2; /* ranges */
	refused_gpadl(1, size);
	m[18] = 0;
	refused_gpadl(1, size);
	size = guest_gpadl(m, 1, GPADL, 4, 4, 1);
	le_put(m + 24, 4096, 4); /* offset: would take a fifth page, and is a page */
	le_put(m + 16, 48, 2);
	refused_gpadl(1, size);
	le_put(m + 24, 1, 4); /* five pages, length of four */
	le_put(m + 16, 40, 2);
	refused_gpadl(1, size);
	size = guest_gpadl(m, 1, GPADL, 4, 4, 1);
	le_put(m + 20, 0, 4); /* empty */
	refused_gpadl(1, size);
	le_put(m + 20, 0xffffffff, 4); /* huge */
	refused_gpadl(1, size);
	le_put(m + 24, 0xffffffff, 4);
	refused_gpadl(1, size);
	refused_gpadl(1, guest_gpadl(m, 1, GPADL, 4, 5, 1)); /* more than announced */
	refused_gpadl(1, guest_gpadl(m, 1, GPADL, WORLD_POOL + 1, 1, 1));
	refused_gpadl(1, guest_gpadl(m, 1, GPADL, 8190, 1, 1));
	/* An id is there once, under way or not, of whatever channel. */
	say(guest_gpadl(m, 1, GPADL, 30, 26, 1));
	refused_gpadl(1, guest_gpadl(m, 1, GPADL, 1, 1, 1));
	say(guest_body(m, GPADL, 4, 1));
	refused_gpadl(3, guest_gpadl(m, 3, GPADL, 1, 1, 1));
	assert_int_equal(w.s.pool_used, 30);
	world_settle(&w);
}

static void test_gpadl_limits(void **state)
{
	static struct vmbus_server s;
	static uint64_t big[VMBUS_GPADL_PAGES_MAX + 1];
	struct vmbus_device d = world_device(0, 0);

	(void)state;
	/* The largest of Linux: its length is a u16. */
	vmbus_server_init(&s, 16ull << 20, 1, big, VMBUS_GPADL_PAGES_MAX + 1);
	assert_int_equal(vmbus_server_add(&s, &d), 1);
	assert_true(vmbus_server_message(&s, 1, m, guest_contact(m, VMBUS_5_3, 0)));
	assert_true(vmbus_server_message(&s, 1, m, guest_words(m, 3, 0, 0, 8)));
	assert_true(vmbus_server_message(&s, 1, m, guest_gpadl(m, 1, 5, 7936, 1, 1)));
	assert_int_equal(s.pool_used, 7936);
	assert_true(vmbus_server_message(&s, 1, m, guest_words(m, 11, 1, 5, 16)));
	assert_int_equal(s.pool_used, 0);
	assert_true(vmbus_server_message(&s, 1, m, guest_gpadl(m, 1, 5, 7937, 1, 1)));
	assert_int_equal(s.counts.refused, 1);
	/* 16 MiB: page 0xfff is the last. */
	assert_true(vmbus_server_message(&s, 1, m, guest_gpadl(m, 1, 5, 1, 1, 0x1000)));
	assert_int_equal(s.counts.refused, 2);
	assert_true(vmbus_server_message(&s, 1, m, guest_gpadl(m, 1, 5, 1, 1, 0xfff)));
	assert_int_equal(s.counts.refused, 2);
	/* A process's table is not overrun. */
	connected(VMBUS_5_3);
	for (uint32_t i = 0; i < VMBUS_SOCKET_GPADLS_MAX; i++) {
		gpadl(1 + i % 2, 100 + i, 1);
	}
	refused_gpadl(1, guest_gpadl(m, 1, 99, 1, 1, 1));
	refused_gpadl(2, guest_gpadl(m, 2, 99, 1, 1, 1));
	gpadl(3, 99, 1);
	words(VMBUS_GPADL_TEARDOWN, 1, 100, 16);
	refused_gpadl(1, guest_gpadl(m, 1, 98, 1, 1, 1)); /* not before it is freed */
	world_settle(&w);
	gpadl(1, 98, 1);
	/* The last page below 3 GiB, the first and the last above 4 GiB. */
	say(guest_gpadl(m, 4, 1, 1, 1, 0xbffff));
	world_drain(&w);
	heard_status(VMBUS_GPADL_CREATED, 4, 1, true);
	say(guest_gpadl(m, 4, 2, 1, 1, 0x100000));
	world_drain(&w);
	heard_status(VMBUS_GPADL_CREATED, 4, 2, true);
	say(guest_gpadl(m, 4, 3, 1, 1, 0x103fff));
	world_drain(&w);
	heard_status(VMBUS_GPADL_CREATED, 4, 3, true);
}

static void test_gpadl_offset(void **state)
{
	uint32_t size;

	(void)state;
	connected(VMBUS_5_3);
	size = guest_gpadl(m, 3, GPADL, 2, 2, 7);
	le_put(m + 20, 2, 4); /* two bytes, across a border */
	le_put(m + 24, 4095, 4);
	say(size);
	world_drain(&w);
	heard_status(VMBUS_GPADL_CREATED, 3, GPADL, true);
	assert_int_equal(w.last.length, 2);
	assert_int_equal(w.last.offset, 4095);
	assert_int_equal(w.last.pages, 2);
	/* It is no ring. */
	say(guest_open(m, 3, GPADL, 0, 1));
	world_drain(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, false);
}

static void test_body_refused(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	say(guest_body(m, GPADL, 1, 1)); /* of nothing */
	silent();
	assert_int_equal(w.s.counts.misplaced, 1);
	for (unsigned how = 0; how < 3; how++) {
		say(guest_gpadl(m, 1, GPADL, 30, 26, 1));
		if (how == 0) {
			say(guest_body(m, GPADL, 5, 1)); /* one more than are missing */
		} else if (how == 1) {
			say(guest_body(m, GPADL, 0, 1));
		} else {
			say(guest_body(m, GPADL, 4, 0xbfffd)); /* the last one is no memory */
		}
		world_settle(&w);
		heard_status(VMBUS_GPADL_CREATED, 1, GPADL, false);
		assert_int_equal(w.s.pool_used, 0);
		say(guest_body(m, GPADL, 4, 1)); /* comes all the same, and does nothing */
		silent();
	}
	gpadl(1, GPADL, 30);
	say(guest_body(m, GPADL, 1, 1)); /* complete already */
	silent();
}

/* Trap 38: teardown before and after close, of rings and of others; the guest waits until nobody uses it. */
static void test_teardown(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	channel_open(3, GPADL);
	gpadl(3, GPADL + 1, 100);
	words(VMBUS_GPADL_TEARDOWN, 3, GPADL, 16); /* a ring in use */
	words(VMBUS_GPADL_TEARDOWN, 3, GPADL, 16); /* once is enough */
	silent();
	assert_int_equal(w.s.counts.misplaced, 1);
	words(VMBUS_GPADL_TEARDOWN, 3, GPADL + 1, 16); /* a buffer */
	silent();                                      /* until the process has let go of it */
	assert_int_equal(w.last.what, VMBUS_DO_GPADL_FREE);
	assert_int_equal(w.last.gpadl, GPADL + 1);
	assert_int_equal(w.s.pool_used, 164);
	assert_true(world_answer(&w, 0, 0));
	assert_int_equal(w.s.pool_used, 64);
	world_settle(&w);
	heard(VMBUS_GPADL_TORNDOWN, GPADL + 1);
	say(guest_open(m, 4, GPADL, 0, 32)); /* not of this channel */
	world_drain(&w);
	heard_status(VMBUS_OPEN_RESULT, 4, 4, false);
	words(VMBUS_CLOSE, 3, 0, 12);
	silent();
	assert_int_equal(w.last.what, VMBUS_DO_CLOSE);
	assert_true(world_answer(&w, 0, 0)); /* closed */
	silent();
	assert_int_equal(w.last.what, VMBUS_DO_GPADL_FREE);
	assert_true(world_answer(&w, 0, 0)); /* freed */
	world_drain(&w);
	heard(VMBUS_GPADL_TORNDOWN, GPADL);
	/* After close, as storvsc and netvsc do it; the ring stays known while closed. */
	channel_open(3, GPADL);
	words(VMBUS_CLOSE, 3, 0, 12);
	world_settle(&w);
	assert_int_equal(w.s.pool_used, 64);
	words(VMBUS_GPADL_TEARDOWN, 3, GPADL, 16);
	world_settle(&w);
	heard(VMBUS_GPADL_TORNDOWN, GPADL);
	assert_int_equal(w.s.pool_used, 0);
}

static void test_teardown_odd(void **state)
{
	unsigned sent;

	(void)state;
	connected(VMBUS_5_3);
	gpadl(3, GPADL, 4);
	words(VMBUS_GPADL_TEARDOWN, 1, GPADL, 16); /* another's */
	words(VMBUS_GPADL_TEARDOWN, 0, GPADL, 16);
	words(VMBUS_GPADL_TEARDOWN, 33, GPADL, 16);
	words(VMBUS_GPADL_TEARDOWN, 0xffffffff, GPADL, 16);
	silent();
	assert_non_null(ring_of(&w.s, GPADL));
	words(VMBUS_GPADL_TEARDOWN, 3, 5, 16); /* gone it is: trap 32 */
	world_drain(&w);
	heard(VMBUS_GPADL_TORNDOWN, 5);
	/* Half assembled: the pieces that follow are of nothing. */
	say(guest_gpadl(m, 1, 6, 30, 26, 1));
	words(VMBUS_GPADL_TEARDOWN, 1, 6, 16);
	world_settle(&w);
	heard(VMBUS_GPADL_TORNDOWN, 6);
	say(guest_body(m, 6, 4, 1));
	silent();
	/* It is about to go: no ring any more. */
	gpadl(1, 8, 4);
	words(VMBUS_GPADL_TEARDOWN, 1, 8, 16);
	say(guest_open(m, 1, 8, 0, 2));
	world_drain(&w);
	heard_status(VMBUS_OPEN_RESULT, 1, 1, false);
	world_settle(&w);
	heard(VMBUS_GPADL_TORNDOWN, 8);
	/* Of a ring that is to be opened, and is closed before that. */
	say(guest_gpadl(m, 1, 8, 4, 4, 1));
	say(guest_open(m, 1, 8, 0, 2));
	words(VMBUS_GPADL_TEARDOWN, 1, 8, 16);
	words(VMBUS_CLOSE, 1, 0, 12);
	world_settle(&w);
	heard(VMBUS_GPADL_TORNDOWN, 8);
	assert_int_equal(w.s.pool_used, 4);
	/* The process never heard of it: gone at once. */
	sent = w.sent;
	say(guest_gpadl(m, 1, 7, 1, 1, 1));
	words(VMBUS_GPADL_TEARDOWN, 1, 7, 16);
	assert_int_equal(w.proc[0].gpadl[0].used, false);
	world_settle(&w);
	assert_int_equal(w.sent, sent + 2);
	assert_int_equal(w.proc[0].gpadl[0].used, false);
}

/* ---- channels ---- */

static void test_open(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	gpadl(3, GPADL, 64);
	say(guest_open(m, 3, GPADL, 2, 32));
	silent(); /* not before the process has said so */
	assert_int_equal(w.last.what, VMBUS_DO_OPEN);
	assert_int_equal(w.last.socket, 1);
	assert_int_equal(w.last.unit, 0);
	assert_int_equal(w.last.relid, 3);
	assert_int_equal(w.last.vp, 2);
	assert_int_equal(w.last.gpadl, GPADL);
	assert_int_equal(w.last.downstream, 32);
	world_opened(&w, 1, 0, 0, 0);
	world_drain(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, true);
	say(guest_open(m, 3, GPADL, 2, 32)); /* it is open */
	world_drain(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, false);
	words(VMBUS_CLOSE, 3, 0, 12);
	silent();
	words(VMBUS_CLOSE, 3, 0, 12);
	world_settle(&w);
	words(VMBUS_CLOSE, 3, 0, 12);
	words(VMBUS_CLOSE, 0, 0, 12);
	words(VMBUS_CLOSE, 0x80000003, 0, 12);
	assert_int_equal(w.s.counts.misplaced, 4);
	/* Opened again with the same ring; the process fails. */
	(void)guest_open(m, 3, GPADL, 2, 32);
	le_put(m + 12, 0x7777, 4); /* the name of the request comes back */
	say(148);
	world_drain(&w);
	world_opened(&w, 1, 0, 0, 5);
	world_settle(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 0x7777, false);
	assert_int_equal(w.s.channel[2].state, VMBUS_CH_CLOSED);
	say(guest_open(m, 3, GPADL, 2, 32));
	world_settle(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, true);
}

static void test_open_refused(void **state)
{
	static const uint32_t downstream[] = { 0, 1, 63, 64, 65, 0x80000000, 0xffffffff };

	(void)state;
	connected(VMBUS_5_3);
	gpadl(3, GPADL, 64);
	gpadl(4, GPADL + 1, 64);
	gpadl(3, GPADL + 2, 3);
	for (unsigned i = 0; i < sizeof(downstream) / sizeof(downstream[0]); i++) {
		say(guest_open(m, 3, GPADL, 0, downstream[i]));
		world_drain(&w);
		heard_status(VMBUS_OPEN_RESULT, 3, 3, false);
	}
	say(guest_open(m, 3, GPADL, WORLD_VPS, 32));
	world_drain(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, false);
	say(guest_open(m, 3, GPADL + 1, 0, 32)); /* another channel's */
	world_drain(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, false);
	say(guest_open(m, 3, GPADL + 2, 0, 2)); /* no room for two rings */
	world_drain(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, false);
	say(guest_open(m, 3, 1, 0, 2)); /* no such GPADL */
	world_drain(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, false);
	say(guest_open(m, 7, GPADL, 0, 2)); /* no such channel */
	world_drain(&w);
	heard_status(VMBUS_OPEN_RESULT, 7, 7, false);
	say(guest_open(m, 0, GPADL, 0, 2));
	world_drain(&w);
	heard_status(VMBUS_OPEN_RESULT, 0, 0, false);
	say(guest_gpadl(m, 3, 9, 30, 26, 1)); /* half assembled */
	say(guest_open(m, 3, 9, 0, 2));
	world_drain(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, false);
	assert_int_equal(w.s.channel[2].state, VMBUS_CH_CLOSED);
	say(guest_open(m, 3, GPADL, WORLD_VPS - 1, 62)); /* the edge */
	world_settle(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, true);
}

static void test_ring_size(void **state)
{
	static struct vmbus_server s;
	static uint64_t big[5000];
	struct vmbus_device d = world_device(0, 0);

	(void)state;
	vmbus_server_init(&s, 64ull << 20, 1, big, 5000);
	assert_int_equal(vmbus_server_add(&s, &d), 1);
	assert_true(vmbus_server_message(&s, 1, m, guest_contact(m, VMBUS_5_3, 0)));
	assert_true(vmbus_server_message(&s, 1, m, guest_words(m, 3, 0, 0, 8)));
	assert_true(vmbus_server_message(&s, 1, m, guest_gpadl(m, 1, 5, 4098, 1, 1)));
	for (uint32_t have = 1; have < 4098;) {
		uint32_t n = 4098 - have < 28 ? 4098 - have : 28;

		assert_true(vmbus_server_message(&s, 1, m, guest_body(m, 5, n, have)));
		have += n;
	}
	assert_int_equal(s.gpadl[0].state, VMBUS_GPADL_READY);
	/* A ring of more than 2048 pages is more than hv/wire/ring.h serves. */
	assert_true(vmbus_server_message(&s, 1, m, guest_open(m, 1, 5, 0, 2049)));
	assert_true(vmbus_server_message(&s, 1, m, guest_open(m, 1, 5, 0, 2048)));
	assert_int_equal(s.counts.refused, 2);
}

static void test_close_while_opening(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	gpadl(3, GPADL, 64);
	/* Before the process heard of it. */
	say(guest_open(m, 3, GPADL, 0, 32));
	words(VMBUS_CLOSE, 3, 0, 12);
	world_settle(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, false);
	assert_int_equal(w.proc[1].channel[3], PC_CLOSED);
	/* While it opens it. */
	say(guest_open(m, 3, GPADL, 0, 32));
	world_drain(&w);
	words(VMBUS_CLOSE, 3, 0, 12);
	assert_int_equal(w.s.channel[2].state, VMBUS_CH_CLOSE_DUE);
	world_opened(&w, 1, 0, 0, 0); /* too late, and no fault */
	assert_int_equal(w.s.counts.device, 0);
	world_settle(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, false);
	assert_int_equal(w.s.channel[2].state, VMBUS_CH_CLOSED);
}

/* CLOSE has no answer, so a guest may open again before the process has closed. */
static void test_open_while_closing(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	channel_open(3, GPADL);
	gpadl(3, GPADL + 1, 8);
	words(VMBUS_CLOSE, 3, 0, 12);
	words(VMBUS_GPADL_TEARDOWN, 3, GPADL, 16);
	world_drain(&w);
	say(guest_open(m, 3, GPADL + 1, 1, 4));
	words(VMBUS_GPADL_TEARDOWN, 3, GPADL + 1, 16); /* in use, or about to be */
	silent();
	say(guest_open(m, 3, GPADL + 1, 1, 4)); /* that is too much */
	world_drain(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, false);
	assert_true(world_answer(&w, 0, 0)); /* closed */
	world_settle(&w);
	assert_int_equal(w.s.channel[2].state, VMBUS_CH_OPEN);
	assert_int_equal(w.proc[1].ring[3], GPADL + 1);
	assert_int_equal(w.s.pool_used, 8);
	/* And closed again before it came to that. */
	gpadl(3, GPADL + 2, 8);
	words(VMBUS_CLOSE, 3, 0, 12);
	world_drain(&w);
	say(guest_open(m, 3, GPADL + 2, 1, 4));
	words(VMBUS_CLOSE, 3, 0, 12);
	world_drain(&w);
	heard_status(VMBUS_OPEN_RESULT, 3, 3, false);
	world_settle(&w);
	heard(VMBUS_GPADL_TORNDOWN, GPADL + 1);
	assert_int_equal(w.s.channel[2].state, VMBUS_CH_CLOSED);
}

/* Trap 34. */
static void test_modify(void **state)
{
	static const uint32_t versions[] = { VMBUS_5_3, VMBUS_5_2, VMBUS_4_1, VMBUS_4_0 };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		unsigned sent;
		struct vmbus_action a;

		connected(versions[i]);
		channel_open(3, GPADL);
		sent = w.sent;
		words(VMBUS_MODIFY_CHANNEL, 3, 3, 16);
		if (versions[i] == VMBUS_4_0) {
			silent();
			assert_int_equal(w.s.channel[2].open.vp, 2);
			continue;
		}
		/* It has moved before the guest is told so. */
		assert_true(vmbus_server_next(&w.s, 0, true, &a));
		assert_int_equal(a.what, VMBUS_DO_SET_TARGET);
		assert_int_equal(a.relid, 3);
		assert_int_equal(a.vp, 3);
		world_settle(&w);
		assert_int_equal(w.proc[1].vp[3], 3);
		assert_int_equal(w.sent, sent + (versions[i] == VMBUS_5_3 ? 1 : 0));
		if (versions[i] != VMBUS_5_3) {
			continue;
		}
		heard(VMBUS_MODIFY_RESPONSE, 3);
		assert_int_equal(le32(w.message + 12), 0);
		words(VMBUS_MODIFY_CHANNEL, 3, WORLD_VPS, 16);
		world_settle(&w);
		assert_int_not_equal(le32(w.message + 12), 0);
		words(VMBUS_MODIFY_CHANNEL, 4, 0, 16); /* closed */
		world_settle(&w);
		heard(VMBUS_MODIFY_RESPONSE, 4);
		assert_int_not_equal(le32(w.message + 12), 0);
		words(VMBUS_MODIFY_CHANNEL, 0xffffffff, 0, 16);
		world_settle(&w);
		heard(VMBUS_MODIFY_RESPONSE, 0xffffffff);
		assert_int_equal(w.proc[1].vp[3], 3);
	}
}

static void test_connect(void **state)
{
	(void)state;
	connected(VMBUS_5_3);
	(void)guest_words(m, VMBUS_TL_CONNECT, 0, 0, 40);
	memset(m + 8, 0x11, 16);
	memset(m + 24, 0x22, 16);
	say(40);
	world_settle(&w);
	assert_int_equal(le32(w.message), VMBUS_TL_CONNECT_RESULT);
	assert_int_equal(w.size, 44);
	assert_memory_equal(w.message + 8, m + 8, 32);
	assert_int_not_equal(le32(w.message + 40), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_contact_refused),
		cmocka_unit_test(test_before_contact),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_offers),
		cmocka_unit_test(test_flow),
		cmocka_unit_test(test_gpadl),
		cmocka_unit_test(test_gpadl_interleaved),
		cmocka_unit_test(test_gpadl_refused),
		cmocka_unit_test(test_gpadl_limits),
		cmocka_unit_test(test_gpadl_offset),
		cmocka_unit_test(test_body_refused),
		cmocka_unit_test(test_teardown),
		cmocka_unit_test(test_teardown_odd),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_open_refused),
		cmocka_unit_test(test_ring_size),
		cmocka_unit_test(test_close_while_opening),
		cmocka_unit_test(test_open_while_closing),
		cmocka_unit_test(test_modify),
		cmocka_unit_test(test_connect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
