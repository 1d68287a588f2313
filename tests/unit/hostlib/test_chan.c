/* SPDX-License-Identifier: MIT */
/*
 * The life of channels and GPADLs over a real socket, with the test in the places of the worker and of the guest: every order of
 * open, close, free and reset, with a device that answers at once and with one that answers later.
 */
#include "tests/unit/hostlib/hostlib_test.h"

#include "tests/guest/ring_guest.h"
#include "hv/host/lib/chan.h"

#define PAGES 64
#define UNIT 3
#define RINGS 0xe1e10u
#define BUFFER 0xe1e11u

static uint8_t *memory;
static struct gmem mem;
static struct chan_set set;
static struct ipc_message m;
static int worker;
static int guest_end; /* of the last opened channel */
static unsigned before;

/* What the device was called for, in order; `later`: it does not answer at once. */
static char calls[64];
static bool later;
static struct chan *last_channel;
static struct chan_gpadl *last_gpadl;

static void note(char what)
{
	size_t n = strlen(calls);

	assert_true(n + 1 < sizeof(calls));
	calls[n] = what;
	calls[n + 1] = 0;
}

static void dev_opened(struct chan *c)
{
	note('o');
	last_channel = c;
}

static void dev_closing(struct chan *c)
{
	note('c');
	last_channel = c;
	if (!later) {
		chan_closed(&set, c);
	}
}

static void dev_freeing(struct chan_gpadl *g)
{
	note('f');
	last_gpadl = g;
	if (!later) {
		chan_gpadl_freed(&set, g);
	}
}

static int setup(void **state)
{
	int ends[2];

	(void)state;
	before = open_descriptors();
	memory = aligned_alloc(4096, PAGES * 4096);
	memset(memory, 0, PAGES * 4096);
	mem = (struct gmem){ memory, PAGES * 4096 };
	pair(SOCK_SEQPACKET, ends);
	worker = ends[0];
	set.opened = dev_opened;
	set.closing = dev_closing;
	set.gpadl_freeing = dev_freeing;
	chan_init(&set, &mem, ends[1]);
	memset(calls, 0, sizeof(calls));
	later = false;
	last_channel = NULL;
	last_gpadl = NULL;
	guest_end = -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CHAN_MAX; i++) {
		if (set.chan[i].open) {
			close(set.chan[i].fd);
		}
	}
	close(worker);
	close(set.worker);
	if (guest_end >= 0) {
		close(guest_end);
	}
	ipc_drop_fds(&m);
	free(memory);
	return open_descriptors() == before ? 0 : -1;
}

/* ---- as the worker ---- */

static void send_gpadl(uint32_t unit, uint32_t id, uint32_t pages, uint64_t first)
{
	static struct ipc_message g;

	memset(&g.gpadl, 0, sizeof(g.gpadl));
	g.gpadl.unit = unit;
	g.gpadl.gpadl = id;
	g.gpadl.pages = pages;
	g.gpadl.length = pages * 4096;
	for (uint32_t i = 0; i < pages; i++) {
		g.gpadl.pfn[i] = first + i;
	}
	assert_int_equal(ipc_send(worker, PM_GPADL, &g.gpadl, (uint32_t)sizeof(g.gpadl) + pages * 8,
				  NULL, 0),
			 0);
	assert_true(chan_worker(&set));
}

static void send_open_of(uint32_t unit, uint32_t sub, uint32_t gpadl, uint32_t downstream)
{
	struct pm_open o = { .unit = unit, .sub = sub, .gpadl = gpadl, .downstream = downstream };
	int ends[2];

	pair(SOCK_STREAM | SOCK_NONBLOCK, ends);
	if (guest_end >= 0) {
		close(guest_end);
	}
	guest_end = ends[0];
	assert_int_equal(ipc_send(worker, PM_OPEN, &o, sizeof(o), &ends[1], 1), 0);
	close(ends[1]);
	assert_true(chan_worker(&set));
}

static void send_channel(enum pm_type type, uint32_t unit, uint32_t sub)
{
	struct pm_channel c = { .unit = unit, .sub = sub };

	assert_int_equal(ipc_send(worker, type, &c, sizeof(c), NULL, 0), 0);
	assert_true(chan_worker(&set));
}

static void send_free(uint32_t unit, uint32_t id)
{
	struct pm_gpadl_free f = { .unit = unit, .gpadl = id };

	assert_int_equal(ipc_send(worker, PM_GPADL_FREE, &f, sizeof(f), NULL, 0), 0);
	assert_true(chan_worker(&set));
}

static void send_reset(void)
{
	struct pm_plain p = { 0 };

	assert_int_equal(ipc_send(worker, PM_RESET, &p, sizeof(p), NULL, 0), 0);
	assert_true(chan_worker(&set));
}

static void expect_nothing(void)
{
	assert_int_equal(ipc_receive(worker, &m), -1);
	assert_int_equal(errno, EAGAIN);
}

static void expect_channel(enum pm_type type, uint32_t unit, uint32_t sub, bool good)
{
	assert_int_equal(ipc_receive(worker, &m), 1);
	assert_int_equal(m.type, type);
	assert_int_equal(m.channel.unit, unit);
	assert_int_equal(m.channel.sub, sub);
	assert_int_equal(m.channel.status == 0, good);
}

static void expect_freed(uint32_t unit, uint32_t id)
{
	assert_int_equal(ipc_receive(worker, &m), 1);
	assert_int_equal(m.type, PM_GPADL_FREED);
	assert_int_equal(m.gpadl_free.unit, unit);
	assert_int_equal(m.gpadl_free.gpadl, id);
}

static void expect_reset_done(void)
{
	assert_int_equal(ipc_receive(worker, &m), 1);
	assert_int_equal(m.type, PM_RESET_DONE);
}

/* Rings in pages 8..11 (from the guest) and 12..15. */
static struct chan *open_one(void)
{
	send_gpadl(UNIT, RINGS, 8, 8);
	expect_nothing();
	send_open_of(UNIT, 0, RINGS, 4);
	expect_channel(PM_OPENED, UNIT, 0, true);
	expect_nothing();
	assert_string_equal(calls, "o");
	assert_non_null(last_channel);
	calls[0] = 0;
	return last_channel;
}

/* ---- as the guest ---- */

static const uint64_t numbers[8] = { 8, 9, 10, 11, 12, 13, 14, 15 };
static struct ring_guest to_host, to_guest;

static void guest_rings(void)
{
	to_host = (struct ring_guest){ memory, numbers, 4 };
	to_guest = (struct ring_guest){ memory, numbers + 4, 4 };
}

static bool guest_signalled(void)
{
	uint64_t count;

	return read(guest_end, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

static void guest_signal(void)
{
	uint64_t one = 1;

	assert_int_equal(write(guest_end, &one, sizeof(one)), sizeof(one));
}

static bool guest_put(uint64_t transaction, uint32_t length)
{
	uint8_t p[4096] = { RING_DATA_INBAND, 0, 2, 0, 0, 0, RING_WANT_COMPLETION };
	uint16_t length8 = (uint16_t)(length / 8);
	bool signal;

	memcpy(p + 4, &length8, 2);
	memcpy(p + 8, &transaction, 8);
	memset(p + 16, (int)transaction, length - 16);
	if (!ring_guest_put(&to_host, p, length, &signal)) {
		return false;
	}
	if (signal) {
		guest_signal();
	}
	return true;
}

/* ---- tests ---- */

static void test_packets(void **state)
{
	struct chan *c = open_one();
	struct ring_packet packet;
	uint8_t got[256];
	char poll[8];
	bool signal;

	(void)state;
	guest_rings();
	assert_int_equal(c->unit, UNIT);
	assert_int_equal(chan_take(c, got, sizeof(got), &packet), RING_EMPTY);
	assert_true(guest_put(41, 64));
	assert_true(guest_put(42, 72));
	assert_int_equal(recv(c->fd, poll, 8, MSG_PEEK), 8); /* one signal for both */
	chan_drain_signal(c);
	assert_int_equal(recv(c->fd, poll, 8, MSG_PEEK), -1);
	assert_int_equal(chan_take(c, got, sizeof(got), &packet), RING_OK);
	assert_int_equal(packet.transaction, 41);
	assert_int_equal(got[16], 41);
	assert_int_equal(packet.flags, RING_WANT_COMPLETION);
	/* From the first packet until the ring is empty the guest need not signal. */
	assert_int_equal(ring_guest_get(&to_host, RING_GUEST_MASK), 1);
	assert_int_equal(chan_take(c, got, sizeof(got), &packet), RING_OK);
	assert_int_equal(packet.transaction, 42);
	assert_int_equal(ring_guest_get(&to_host, RING_GUEST_MASK), 1);
	assert_int_equal(chan_take(c, got, sizeof(got), &packet), RING_EMPTY);
	assert_int_equal(ring_guest_get(&to_host, RING_GUEST_MASK), 0);
	assert_false(guest_signalled());

	assert_int_equal(chan_complete(c, 41, "done", 4), RING_OK);
	assert_true(guest_signalled());
	assert_int_equal(chan_complete(c, 42, NULL, 0), RING_OK);
	assert_false(guest_signalled());
	assert_int_equal(ring_guest_take(&to_guest, got, sizeof(got), &signal), 24);
	assert_int_equal(got[0], RING_COMPLETION);
	assert_int_equal(got[8], 41);
	assert_memory_equal(got + 16, "done\0\0\0\0", 8);
	assert_int_equal(ring_guest_take(&to_guest, got, sizeof(got), &signal), 16);
	assert_int_equal(got[8], 42);
	chan_signal(c);
	assert_true(guest_signalled());
}

/* A guest that waits for room is woken although nothing was sent to it. */
static void test_room(void **state)
{
	struct chan *c = open_one();
	struct ring_packet packet;
	uint8_t got[1024];

	(void)state;
	guest_rings();
	while (guest_put(1, 1024)) {
	}
	ring_guest_set(&to_host, RING_GUEST_PENDING, 3000);
	assert_int_equal(chan_take(c, got, sizeof(got), &packet), RING_OK);
	assert_false(guest_signalled());
	assert_int_equal(chan_take(c, got, sizeof(got), &packet), RING_OK);
	assert_false(guest_signalled());
	assert_int_equal(chan_take(c, got, sizeof(got), &packet), RING_OK);
	assert_true(guest_signalled());
}

static void test_refused(void **state)
{
	static const struct {
		uint32_t unit, gpadl, downstream;
	} bad[] = {
		{ UNIT, RINGS + 9, 4 },  { UNIT + 1, RINGS, 4 }, /* of another unit */
		{ UNIT, RINGS, 0 },      { UNIT, RINGS, 1 },     { UNIT, RINGS, 7 },
		{ UNIT, RINGS, 8 },      { UNIT, RINGS, 9 },     { UNIT, RINGS, UINT32_MAX },
		{ UNIT, BUFFER, 1 },     /* outside of memory: never taken */
		{ UNIT, BUFFER + 1, 2 }, /* starts within a page */
		{ UNIT, BUFFER + 2, 2 }, /* ends within one */
	};
	static struct ipc_message g;

	(void)state;
	send_gpadl(UNIT, RINGS, 8, 8);
	send_gpadl(UNIT, BUFFER, 8, PAGES - 7);
	assert_null(chan_gpadl_find(&set, UNIT, BUFFER));
	g.gpadl.unit = UNIT;
	g.gpadl.gpadl = BUFFER + 1;
	g.gpadl.pages = 5;
	g.gpadl.offset = 16;
	g.gpadl.length = 4 * 4096;
	assert_int_equal(ipc_send(worker, PM_GPADL, &g.gpadl, sizeof(g.gpadl) + 40, NULL, 0), 0);
	assert_true(chan_worker(&set));
	g.gpadl.gpadl = BUFFER + 2;
	g.gpadl.offset = 0;
	g.gpadl.length = 5 * 4096 - 8;
	assert_int_equal(ipc_send(worker, PM_GPADL, &g.gpadl, sizeof(g.gpadl) + 40, NULL, 0), 0);
	assert_true(chan_worker(&set));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		send_open_of(bad[i].unit, 0, bad[i].gpadl, bad[i].downstream);
		expect_channel(PM_OPENED, bad[i].unit, 0, false);
	}
	memory[8 * 4096 + 4] = 4; /* our own index, unaligned */
	send_open_of(UNIT, 0, RINGS, 4);
	expect_channel(PM_OPENED, UNIT, 0, false);
	assert_string_equal(calls, "");
	assert_int_equal(open_descriptors(),
			 before + 3); /* the worker's ends, and one of the guest's */
	memory[8 * 4096 + 4] = 0;
	send_open_of(UNIT, 0, RINGS, 4);
	expect_channel(PM_OPENED, UNIT, 0, true);
	send_gpadl(UNIT, BUFFER + 3, 4, 20);
	send_open_of(UNIT, 0, BUFFER + 3, 2); /* it is open */
	expect_channel(PM_OPENED, UNIT, 0, false);
	send_open_of(UNIT, 1, RINGS, 4); /* another has the pages */
	expect_channel(PM_OPENED, UNIT, 1, false);
	assert_string_equal(calls, "o");
}

static void test_limits(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < CHAN_GPADLS_MAX; i++) {
		send_gpadl(UNIT, 100 + i, 4, 4 * (i % 8));
		assert_non_null(chan_gpadl_find(&set, UNIT, 100 + i));
	}
	send_gpadl(UNIT, 200, 4, 0);
	assert_null(chan_gpadl_find(&set, UNIT, 200));
	for (uint32_t i = 0; i <= CHAN_MAX; i++) {
		send_open_of(UNIT, i, 100 + i, 2);
		expect_channel(PM_OPENED, UNIT, i, i < CHAN_MAX);
	}
	send_channel(PM_CLOSE, UNIT, 1);
	expect_channel(PM_CLOSED, UNIT, 1, true);
	send_open_of(UNIT, 9, 110, 2);
	expect_channel(PM_OPENED, UNIT, 9, true);
	/* A number that is in use keeps its first meaning, and has no second. */
	send_free(UNIT, 111);
	expect_freed(UNIT, 111);
	send_gpadl(UNIT, 112, 2, 30);
	assert_int_equal(chan_gpadl_find(&set, UNIT, 112)->pages, 4);
	send_free(UNIT, 112);
	expect_freed(UNIT, 112);
	assert_null(chan_gpadl_find(&set, UNIT, 112));
}

static void test_close(void **state)
{
	struct chan *c = open_one();
	struct ring_packet packet;
	uint8_t got[64];
	char byte;

	(void)state;
	guest_rings();
	later = true;
	send_channel(PM_CLOSE, UNIT, 0);
	assert_string_equal(calls, "c");
	expect_nothing();
	assert_int_equal(chan_complete(c, 1, NULL, 0), RING_OK); /* until chan_closed */
	assert_true(guest_signalled());
	send_channel(PM_CLOSE, UNIT, 0); /* asked twice, done once */
	assert_string_equal(calls, "c");
	chan_closed(&set, c);
	expect_channel(PM_CLOSED, UNIT, 0, true);
	expect_nothing();
	/* From now on nobody is signalled and no ring is touched. */
	assert_int_equal(read(guest_end, &byte, 1), 0);
	memset(memory, 0xab, PAGES * 4096);
	assert_int_equal(chan_take(c, got, sizeof(got), &packet), RING_BROKEN);
	assert_int_equal(chan_complete(c, 1, NULL, 0), RING_BROKEN);
	chan_signal(c);
	chan_drain_signal(c);
	chan_break(c, "too late");
	chan_closed(&set, c);
	expect_nothing();
	for (uint32_t i = 0; i < PAGES * 4096; i++) {
		assert_int_equal(memory[i], 0xab);
	}
	assert_non_null(chan_gpadl_find(&set, UNIT, RINGS)); /* it outlives the channel */
	send_channel(PM_CLOSE, UNIT, 0);                     /* it is closed: said so */
	expect_channel(PM_CLOSED, UNIT, 0, true);
	/* And open again. */
	memset(memory, 0, PAGES * 4096);
	send_open_of(UNIT, 0, RINGS, 4);
	expect_channel(PM_OPENED, UNIT, 0, true);
	assert_int_equal(chan_complete(last_channel, 1, NULL, 0), RING_OK);
	/* A device that calls chan_closed unasked does not close anything. */
	chan_closed(&set, last_channel);
	expect_nothing();
	assert_true(last_channel->open);
}

static void test_gpadl_free(void **state)
{
	struct chan *c = open_one();
	struct chan_gpadl *g;

	(void)state;
	send_gpadl(UNIT, BUFFER, 20, 30);
	send_free(UNIT, BUFFER + 7); /* unknown: gone */
	expect_freed(UNIT, BUFFER + 7);
	send_free(UNIT, BUFFER);
	assert_string_equal(calls, "f");
	expect_freed(UNIT, BUFFER);
	assert_null(chan_gpadl_find(&set, UNIT, BUFFER));
	calls[0] = 0;
	/* A device with I/O under way answers later; meanwhile nobody finds it. */
	later = true;
	send_gpadl(UNIT, BUFFER, 20, 30);
	g = chan_gpadl_find(&set, UNIT, BUFFER);
	assert_non_null(g);
	assert_int_equal(g->pfn[19], 49);
	chan_gpadl_freed(&set, g); /* unasked: nothing */
	assert_ptr_equal(chan_gpadl_find(&set, UNIT, BUFFER), g);
	send_free(UNIT, BUFFER);
	send_free(UNIT, BUFFER);
	assert_string_equal(calls, "f");
	assert_ptr_equal(last_gpadl, g);
	assert_null(chan_gpadl_find(&set, UNIT, BUFFER));
	expect_nothing();
	chan_gpadl_freed(&set, g);
	expect_freed(UNIT, BUFFER);
	chan_gpadl_freed(&set, g);
	expect_nothing();
	calls[0] = 0;
	/* The rings' before the channel is closed: it is held until then. */
	send_free(UNIT, RINGS);
	assert_string_equal(calls, "");
	expect_nothing();
	later = false;
	send_channel(PM_CLOSE, UNIT, 0);
	assert_string_equal(calls, "cf");
	expect_channel(PM_CLOSED, UNIT, 0, true);
	expect_freed(UNIT, RINGS);
	expect_nothing();
	assert_false(c->open);
	/* A device with nothing but rings there is not asked. */
	calls[0] = 0;
	set.gpadl_freeing = NULL;
	send_gpadl(UNIT, BUFFER, 20, 30);
	send_free(UNIT, BUFFER);
	assert_string_equal(calls, "");
	expect_freed(UNIT, BUFFER);
	assert_null(chan_gpadl_find(&set, UNIT, BUFFER));
}

static void test_reset_at_once(void **state)
{
	(void)state;
	open_one();
	send_gpadl(UNIT, BUFFER, 20, 30);
	send_gpadl(UNIT, BUFFER + 1, 4, 50);
	send_open_of(UNIT, 1, BUFFER + 1, 2);
	expect_channel(PM_OPENED, UNIT, 1, true);
	calls[0] = 0;
	send_reset();
	assert_string_equal(calls, "ccfff");
	expect_reset_done(); /* and nothing before it */
	expect_nothing();
	assert_null(chan_gpadl_find(&set, UNIT, RINGS));
	send_reset(); /* with nothing to forget */
	expect_reset_done();
	expect_nothing();
	calls[0] = 0;
	open_one();
}

static void test_reset_later(void **state)
{
	struct chan *c = open_one();

	(void)state;
	send_gpadl(UNIT, BUFFER, 20, 30);
	later = true;
	send_channel(PM_CLOSE, UNIT, 0); /* still owed when the reset comes */
	send_reset();
	assert_string_equal(calls, "c");
	expect_nothing();
	/* What comes before RESET_DONE is of the old connection. */
	send_gpadl(UNIT, BUFFER + 1, 4, 50);
	assert_null(chan_gpadl_find(&set, UNIT, BUFFER + 1));
	send_open_of(UNIT, 1, RINGS, 4);
	expect_channel(PM_OPENED, UNIT, 1, false);
	send_free(UNIT, BUFFER);
	send_channel(PM_CLOSE, UNIT, 1);
	send_reset();
	assert_string_equal(calls, "c");
	expect_nothing();
	chan_closed(&set, c);
	assert_string_equal(calls, "cff"); /* no memory before the last channel */
	expect_nothing();
	for (unsigned i = 0; i < CHAN_GPADLS_MAX; i++) {
		chan_gpadl_freed(&set, &set.gpadl[i]);
	}
	expect_reset_done(); /* each is answered */
	expect_reset_done();
	expect_nothing();
	calls[0] = 0;
	open_one();
}

static void test_broken(void **state)
{
	struct chan *c = open_one();
	struct ring_packet packet;
	uint8_t got[64];

	(void)state;
	guest_rings();
	assert_true(guest_put(1, 64));
	ring_guest_set(&to_host, RING_GUEST_WRITE, 12345);
	assert_int_equal(chan_take(c, got, sizeof(got), &packet), RING_BROKEN);
	assert_true(c->broken);
	/* It is not taken up again when the guest mends it ... */
	ring_guest_set(&to_host, RING_GUEST_WRITE, 72);
	assert_int_equal(chan_take(c, got, sizeof(got), &packet), RING_BROKEN);
	assert_int_equal(chan_complete(c, 1, NULL, 0), RING_BROKEN);
	/* ... only when it is opened again. */
	send_channel(PM_CLOSE, UNIT, 0);
	expect_channel(PM_CLOSED, UNIT, 0, true);
	send_open_of(UNIT, 0, RINGS, 4);
	expect_channel(PM_OPENED, UNIT, 0, true);
	assert_int_equal(chan_take(last_channel, got, sizeof(got), &packet), RING_OK);
	ring_guest_set(&to_guest, RING_GUEST_READ, 3);
	assert_int_equal(chan_complete(last_channel, 1, NULL, 0), RING_BROKEN);
	assert_true(last_channel->broken);
}

/* A process that was started again goes on where the last one was. */
static void test_again(void **state)
{
	struct chan *c = open_one();
	struct ring_packet packet;
	uint8_t got[64];

	(void)state;
	guest_rings();
	assert_true(guest_put(1, 64));
	assert_true(guest_put(2, 64));
	assert_int_equal(chan_take(c, got, sizeof(got), &packet), RING_OK);
	close(c->fd);
	chan_init(&set, &mem, set.worker);
	assert_null(chan_gpadl_find(&set, UNIT, RINGS));
	c = open_one();
	assert_int_equal(ring_guest_get(&to_host, RING_GUEST_MASK), 0);
	assert_int_equal(chan_take(c, got, sizeof(got), &packet), RING_OK);
	assert_int_equal(packet.transaction, 2);
	assert_int_equal(chan_take(c, got, sizeof(got), &packet), RING_EMPTY);
}

static void test_worker(void **state)
{
	struct pm_link link = { { PM_LINK, sizeof(link) }, 1, 0 };

	(void)state;
	assert_true(chan_worker(&set)); /* nothing there */
	send_raw(worker, &link, sizeof(link) - 4, -1, 0);
	assert_false(chan_worker(&set));
	chan_init(&set, &mem, set.worker);
	send_raw(worker, &link, sizeof(link), -1, 0); /* not the worker's to say */
	assert_false(chan_worker(&set));
	chan_init(&set, &mem, set.worker);
	assert_true(chan_worker(&set));
	shutdown(worker, SHUT_RDWR);
	assert_false(chan_worker(&set));
}

static void test_worker_does_not_read(void **state)
{
	struct timeval limit = { 0, 20000 };
	struct pm_gpadl_free f = { .unit = UNIT };
	unsigned n = 0;

	(void)state;
	setsockopt(set.worker, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	do {
		assert_int_equal(ipc_send(worker, PM_GPADL_FREE, &f, sizeof(f), NULL, 0), 0);
		assert_true(n++ < 100000);
	} while (chan_worker(&set));
	assert_true(n > 16);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_packets),       TEST(test_room),        TEST(test_refused),
		TEST(test_limits),        TEST(test_close),       TEST(test_gpadl_free),
		TEST(test_reset_at_once), TEST(test_reset_later), TEST(test_broken),
		TEST(test_again),         TEST(test_worker),      TEST(test_worker_does_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
