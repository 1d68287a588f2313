// SPDX-License-Identifier: MIT
/* Connections of hv_sock: who may have one, how many, and all the ways in which they end. */
#include "tests/unit/wire/vmbus_guest.h"

#define FIRST (WORLD_DEVICES + 1) /* relid of the first connection */

static void connect_to(uint32_t port, uint32_t service)
{
	say(guest_connect(m, port, service));
	world_settle(&w);
}

static void refused(void)
{
	assert_int_equal(le32(w.message), VMBUS_TL_CONNECT_RESULT);
	assert_int_equal(w.size, 44);
	assert_memory_equal(w.message + 8, m + 8, 32);
	assert_int_not_equal(le32(w.message + 40), 0);
	assert_int_equal(w.s.counts.refused, w.before.counts.refused + 1);
}

/* The last message is the offer of what m asks for. */
static uint32_t offered_to_us(void)
{
	assert_int_equal(le32(w.message), VMBUS_OFFER);
	assert_memory_equal(w.message + 8, m + 24, 16); /* class: the service */
	assert_memory_equal(w.message + 24, m + 8, 16); /* instance: the endpoint */
	assert_int_equal(le16(w.message + 56) & 0x2010, 0x2000);
	assert_int_equal(w.message[64], 0);
	return le32(w.message + 184);
}

static void ready(void)
{
	connected(VMBUS_5_3);
	words(VMBUS_REQUEST_OFFERS, 0, 0, 8);
	world_settle(&w);
}

static void open_it(uint32_t relid)
{
	say(guest_gpadl(m, relid, GPADL + relid, 4, 4, 100 * relid));
	say(guest_open(m, relid, GPADL + relid, 0, 2));
	world_settle(&w);
	assert_int_equal(w.s.channel[relid - 1].state, VMBUS_CH_OPEN);
}

static void gone(uint32_t relid)
{
	world_settle(&w);
	assert_int_equal(w.s.channel[relid - 1].device_state, VMBUS_DEVICE_NONE);
	assert_false(proc_knows(&w.proc[WORLD_STREAMS], relid));
}

static void test_life(void **state)
{
	(void)state;
	ready();
	for (unsigned i = 0; i < 3; i++) { /* and the relid, unit and endpoint are used again */
		connect_to(1023, WORLD_SERVICE);
		assert_int_equal(offered_to_us(), FIRST);
		open_it(FIRST);
		assert_int_equal(w.proc[WORLD_STREAMS].channel[FIRST], PC_OPEN);
		world_hangup(&w, WORLD_STREAMS, 0);
		world_settle(&w);
		heard(VMBUS_RESCIND, FIRST);
		world_hangup(&w, WORLD_STREAMS, 0); /* once more: nothing */
		connect_to(1023, WORLD_SERVICE);    /* the guest still has that one */
		refused();
		words(VMBUS_RELID_RELEASED, FIRST, 0, 12);
		gone(FIRST);
	}
}

static void test_refused(void **state)
{
	static const uint32_t ports[] = { 0, 1024, 0x10001, 0xffffffff };

	(void)state;
	world_init(&w);
	contact(VMBUS_5_3);
	world_settle(&w);
	connect_to(1, WORLD_SERVICE); /* nobody has asked for offers */
	refused();
	ready();
	for (unsigned i = 0; i < 4; i++) {
		connect_to(ports[i], WORLD_SERVICE);
		refused();
	}
	connect_to(1, WORLD_SERVICE + 1);
	refused();
	for (unsigned i = 4; i < 16;
	     i++) { /* the rest of the endpoint's name, and of the service's */
		(void)guest_connect(m, 1, WORLD_SERVICE);
		m[8 + i] ^= 1;
		say(40);
		world_settle(&w);
		refused();
		(void)guest_connect(m, 1, WORLD_SERVICE);
		m[24 + i] ^= 1;
		say(40);
		world_settle(&w);
		refused();
	}
	connect_to(1, WORLD_SERVICE);
	assert_int_equal(offered_to_us(), FIRST);
	connect_to(1, WORLD_SERVICE);
	refused();
}

static void test_quota(void **state)
{
	(void)state;
	ready();
	for (uint32_t i = 0; i < VMBUS_CONNECTIONS_LIVE; i++) {
		connect_to(10 + i, WORLD_SERVICE);
		open_it(offered_to_us());
	}
	connect_to(20, WORLD_SERVICE);
	refused();
	world_hangup(&w, WORLD_STREAMS, 2);
	world_settle(&w);
	heard(VMBUS_RESCIND, FIRST + 2);
	connect_to(20, WORLD_SERVICE); /* beside the one that the guest has not released */
	assert_int_equal(offered_to_us(), FIRST + 4);
	assert_int_equal(w.s.channel[FIRST + 3].device.unit, 4);
	/* It does not open that one: it goes for the next. */
	connect_to(21, WORLD_SERVICE);
	assert_int_equal(w.s.channel[FIRST + 3].device_state, VMBUS_DEVICE_REMOVING);
	assert_int_equal(w.s.channel[FIRST + 4].offer, VMBUS_OFFERED);
	heard(VMBUS_RESCIND, FIRST + 4);
}

/* A guest that releases nothing has VMBUS_CONNECTIONS_MAX, and keeps what it has. */
static void test_unreleased(void **state)
{
	uint32_t live = 0;

	(void)state;
	ready();
	for (uint32_t i = 0; i < VMBUS_CONNECTIONS_MAX; i++) {
		connect_to(10 + i, WORLD_SERVICE);
		assert_int_equal(w.s.channel[FIRST + i - 1].offer, VMBUS_OFFERED);
	}
	connect_to(30, WORLD_SERVICE);
	refused();
	for (uint32_t i = 0; i < VMBUS_CONNECTIONS_MAX; i++) {
		live += w.s.channel[FIRST + i - 1].offer == VMBUS_OFFERED;
	}
	assert_int_equal(live, VMBUS_CONNECTIONS_LIVE);
	words(VMBUS_RELID_RELEASED, FIRST, 0, 12);
	gone(FIRST);
	connect_to(30, WORLD_SERVICE);
	assert_int_equal(w.s.channel[FIRST - 1].offer, VMBUS_OFFERED);
}

static void test_restarted(void **state)
{
	(void)state;
	ready();
	connect_to(5, WORLD_SERVICE);
	open_it(FIRST);
	connect_to(6, WORLD_SERVICE);
	open_it(1);
	w.proc[WORLD_STREAMS].dead = true;
	world_restarted(&w, WORLD_STREAMS);
	world_settle(&w);
	assert_true(w.rescinded[FIRST] && w.rescinded[FIRST + 1] && !w.rescinded[1]);
	words(VMBUS_RELID_RELEASED, FIRST, 0, 12);
	gone(FIRST);
	connect_to(7, WORLD_SERVICE); /* the new process serves */
	open_it(FIRST);
}

static void test_guest_forgets(void **state)
{
	(void)state;
	ready();
	connect_to(5, WORLD_SERVICE);
	open_it(FIRST);
	contact(VMBUS_5_3);
	gone(FIRST);
	words(VMBUS_REQUEST_OFFERS, 0, 0, 8);
	world_settle(&w);
	assert_false(w.told[FIRST]);
	connect_to(5, WORLD_SERVICE);
	assert_int_equal(offered_to_us(), FIRST);
}

static void test_closed_by_guest(void **state)
{
	(void)state;
	ready();
	connect_to(5, WORLD_SERVICE);
	open_it(FIRST);
	words(VMBUS_CLOSE, FIRST, 0, 12);
	world_settle(&w);
	open_it(FIRST + 0); /* as any channel */
	world_hangup(&w, WORLD_STREAMS, 0);
	world_settle(&w);
	assert_true(w.rescinded[FIRST]);
}

static void test_words_of_others(void **state)
{
	uint64_t before;

	(void)state;
	ready();
	connect_to(5, WORLD_SERVICE);
	open_it(FIRST);
	before = w.s.counts.device;
	world_hangup(&w, 0, 0);             /* a disk is no connection */
	world_hangup(&w, 1, 0);             /* a card */
	world_hangup(&w, WORLD_STREAMS, 1); /* none */
	assert_int_equal(w.s.counts.device, before + 3);
	assert_int_equal(w.s.channel[FIRST - 1].state, VMBUS_CH_OPEN);
}

static void test_services(void **state)
{
	struct vmbus_service v = { .socket = 0 };

	(void)state;
	world_init(&w);
	assert_int_equal(w.s.service_count, 1);
	world_port(&v.id, WORLD_SERVICE);
	assert_false(vmbus_server_service(&w.s, &v)); /* that name is taken */
	world_port(&v.id, 9);
	v.socket = WORLD_STREAMS;
	assert_false(vmbus_server_service(&w.s, &v)); /* that process has one */
	v.socket = VMBUS_SOCKETS_MAX;
	assert_false(vmbus_server_service(&w.s, &v));
	v.socket = 9;
	assert_true(vmbus_server_service(&w.s, &v));
	world_port(&v.id, 10);
	v.socket = 10;
	assert_false(vmbus_server_service(&w.s, &v)); /* too many */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_unreleased),
		cmocka_unit_test(test_restarted),
		cmocka_unit_test(test_guest_forgets),
		cmocka_unit_test(test_closed_by_guest),
		cmocka_unit_test(test_words_of_others),
		cmocka_unit_test(test_services),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
