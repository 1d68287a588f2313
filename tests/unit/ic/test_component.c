// SPDX-License-Identifier: MIT
/*
 * Integration components against a guest made here: one request at a time, negotiation first, the lost interrupt, answers that
 * are late, wrong or hostile. The four functions of a channel that component.c uses are played by the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/host/ic/component.h"

#define NOW 1000000u
#define HEAD 16u
#define BODY 28u

/* ---- the guest ---- */

struct packet {
	uint32_t size;
	uint8_t bytes[4096];
};

static struct packet sent[64], answers[64]; /* by us; to us */
static uint32_t sent_count, answer_count, answer_at;
static uint32_t signals, breaks;
static bool full, broken_out, broken_in;
static uint16_t answer_type;

enum ring_status chan_put(struct chan *c, const struct ring_send *s)
{
	struct packet *p = &sent[sent_count];

	assert_true(c->open);
	if (full) {
		return RING_FULL;
	}
	if (broken_out) {
		return RING_BROKEN;
	}
	assert_true(sent_count < 64);
	assert_int_equal(s->type, RING_DATA_INBAND);
	assert_int_equal(s->flags, 0);
	assert_int_equal(s->head_length, 0);
	p->size = s->payload_length;
	memcpy(p->bytes, s->payload, s->payload_length);
	sent_count++;
	return RING_OK;
}

enum ring_status chan_take(struct chan *c, uint8_t *to, uint32_t max, struct ring_packet *out)
{
	const struct packet *p = &answers[answer_at];

	assert_true(c->open);
	if (broken_in) {
		return RING_BROKEN;
	}
	if (answer_at == answer_count) {
		return RING_EMPTY;
	}
	assert_true(p->size + HEAD <= max);
	memset(to, 0xee, max);
	memcpy(to + HEAD, p->bytes, p->size);
	*out = (struct ring_packet){ .type = answer_type,
				     .offset = HEAD,
				     .length = HEAD + p->size };
	answer_at++;
	return RING_OK;
}

void chan_signal(struct chan *c)
{
	assert_true(c->open);
	signals++;
}

void chan_break(struct chan *c, const char *why)
{
	assert_true(c->open);
	assert_non_null(why);
	breaks++;
}

/* ---- the test ---- */

static struct components s;
static struct chan channels[IC_KINDS];

static int setup(void **state)
{
	(void)state;
	memset(&s, 0, sizeof(s));
	sent_count = answer_count = answer_at = signals = breaks = 0;
	full = broken_out = broken_in = false;
	answer_type = RING_DATA_INBAND;
	for (uint32_t i = 0; i < IC_KINDS; i++) {
		channels[i] = (struct chan){ .open = true, .unit = i, .fd = 10 + (int)i };
	}
	return 0;
}

static const struct packet *last(void)
{
	assert_true(sent_count != 0);
	return &sent[sent_count - 1];
}

static uint16_t type_of(const struct packet *p)
{
	return le16(p->bytes + 12);
}

/* The guest answers the last request as Linux does; the test may change it before it is looked at. */
static struct packet *reply(void)
{
	struct packet *p = &answers[answer_count++];

	*p = *last();
	p->bytes[25] = 5;
	if (type_of(p) == IC_TYPE_NEGOTIATE) {
		p->bytes[18] = 16;
		p->bytes[BODY] = 1;
		p->bytes[BODY + 2] = 1;
		/* Framework 3.0 and service 3.0, which all know. */
		memcpy(p->bytes + BODY + 8, "\3\0\0\0\3\0\0\0", 8);
	}
	if (type_of(p) == IC_TYPE_HEARTBEAT) {
		p->bytes[BODY]++;
	}
	return p;
}

static void send_at(enum ic_kind kind, uint64_t now)
{
	component_send(&s, &s.of[kind], now, 0x1234);
}

static void receive_at(enum ic_kind kind, uint64_t now)
{
	component_receive(&s, &s.of[kind], now);
}

static void make_ready(enum ic_kind kind)
{
	component_opened(&s, &channels[kind], NOW);
	send_at(kind, NOW);
	(void)reply();
	receive_at(kind, NOW);
	assert_int_equal(s.of[kind].state, COMPONENT_READY);
}

static void test_negotiates_first(void **state)
{
	(void)state;
	for (uint32_t kind = 0; kind < IC_KINDS; kind++) {
		component_opened(&s, &channels[kind], NOW);
		/* Nobody signals us first: it is on us to begin, at once. */
		assert_int_equal(component_wait(&s, NOW), 0);
		send_at((enum ic_kind)kind, NOW);
		assert_int_equal(sent_count, kind + 1);
		assert_int_equal(type_of(last()), IC_TYPE_NEGOTIATE);
	}
	/* Nothing else before the answer. */
	s.shutdown_wanted = true;
	for (uint32_t kind = 0; kind < IC_KINDS; kind++) {
		send_at((enum ic_kind)kind, NOW + 1000);
	}
	assert_int_equal(sent_count, IC_KINDS);
	assert_int_equal(signals, 0);
}

static void test_heartbeat(void **state)
{
	(void)state;
	make_ready(IC_HEARTBEAT);
	send_at(IC_HEARTBEAT, NOW);
	assert_int_equal(type_of(last()), IC_TYPE_HEARTBEAT);
	assert_int_equal(sent_count, 2);
	/* One at a time, however late it is. */
	send_at(IC_HEARTBEAT, NOW + 1999);
	assert_int_equal(sent_count, 2);
	(void)reply();
	receive_at(IC_HEARTBEAT, NOW + 1500);
	assert_int_equal(s.status.heartbeats, 1);
	assert_true(s.changed);
	send_at(IC_HEARTBEAT, NOW + 3499);
	assert_int_equal(sent_count, 2);
	assert_int_equal(component_wait(&s, NOW + 3400), 100);
	send_at(IC_HEARTBEAT, NOW + 3500);
	assert_int_equal(sent_count, 3);
	assert_int_equal(le64(sent[2].bytes + BODY), le64(sent[1].bytes + BODY) + 1);
}

/* An interrupt can get lost right after the open, and two requests leave one unseen: the guest is signalled again instead. */
static void test_kick(void **state)
{
	(void)state;
	component_opened(&s, &channels[IC_HEARTBEAT], NOW);
	send_at(IC_HEARTBEAT, NOW);
	s.of[IC_HEARTBEAT].look = false;
	assert_int_equal(component_wait(&s, NOW), 2000);
	send_at(IC_HEARTBEAT, NOW + 2000);
	assert_int_equal(signals, 1);
	send_at(IC_HEARTBEAT, NOW + 2001);
	assert_int_equal(signals, 1);
	send_at(IC_HEARTBEAT, NOW + 4000);
	assert_int_equal(signals, 2);
	assert_int_equal(sent_count, 1);
}

static void test_shutdown(void **state)
{
	(void)state;
	s.shutdown_wanted = true; /* before the guest is there */
	make_ready(IC_SHUTDOWN);
	assert_true(s.status.shutdown_ready);
	send_at(IC_SHUTDOWN, NOW);
	assert_int_equal(type_of(last()), IC_TYPE_SHUTDOWN);
	assert_int_equal(last()->size, 2088);
	assert_false(s.shutdown_wanted);
	assert_false(s.status.shutdown_answered);
	(void)reply();
	receive_at(IC_SHUTDOWN, NOW);
	assert_true(s.status.shutdown_answered);
	/* Once asked, not again by itself. */
	assert_int_equal(component_wait(&s, NOW), -1);
	send_at(IC_SHUTDOWN, NOW + 100000);
	assert_int_equal(sent_count, 2);
	s.shutdown_wanted = true;
	s.shutdown_reboot = true;
	send_at(IC_SHUTDOWN, NOW + 100000);
	assert_int_equal(sent_count, 3);
	assert_int_equal(le32(last()->bytes + BODY + 8), 2);
	/* The guest can fail. */
	reply()->bytes[20] = 5;
	receive_at(IC_SHUTDOWN, NOW + 100000);
	assert_false(s.status.shutdown_answered);
}

static void test_timesync(void **state)
{
	(void)state;
	make_ready(IC_TIMESYNC);
	send_at(IC_TIMESYNC, NOW);
	assert_int_equal(type_of(last()), IC_TYPE_TIMESYNC);
	assert_int_equal(le64(last()->bytes + BODY), 0x1234);
	assert_int_equal(last()->bytes[BODY + 24], 1);
	(void)reply();
	receive_at(IC_TIMESYNC, NOW);
	send_at(IC_TIMESYNC, NOW + 4999);
	assert_int_equal(sent_count, 2);
	send_at(IC_TIMESYNC, NOW + 5000);
	/* The clock was set: from now on samples. */
	assert_int_equal(sent_count, 3);
	assert_int_equal(last()->bytes[BODY + 24], 2);
	assert_int_equal(s.status.timesync, 2);
}

/* After a restart of the process answers to its predecessor are in the ring. */
static void test_old_answers(void **state)
{
	(void)state;
	component_opened(&s, &channels[IC_HEARTBEAT], NOW);
	send_at(IC_HEARTBEAT, NOW);
	reply()->bytes[24] ^= 0x80;
	receive_at(IC_HEARTBEAT, NOW);
	assert_int_equal(s.of[IC_HEARTBEAT].state, COMPONENT_NEGOTIATING);
	assert_int_equal(breaks, 0);
	(void)reply();
	receive_at(IC_HEARTBEAT, NOW);
	assert_int_equal(s.of[IC_HEARTBEAT].state, COMPONENT_READY);
	/* And the same answer once more is nobody's. */
	answers[answer_count] = answers[answer_count - 1];
	answer_count++;
	receive_at(IC_HEARTBEAT, NOW);
	assert_int_equal(s.status.heartbeats, 0);
	assert_int_equal(breaks, 0);
}

static void assert_useless(enum ic_kind kind)
{
	uint32_t count = sent_count;

	assert_int_equal(s.of[kind].state, COMPONENT_USELESS);
	assert_int_equal(breaks, 1);
	assert_false(s.status.shutdown_ready);
	assert_int_equal(component_wait(&s, NOW + 1000000), -1);
	send_at(kind, NOW + 1000000);
	receive_at(kind, NOW + 1000000);
	assert_int_equal(sent_count, count);
	assert_int_equal(signals, 0);
}

static void test_hostile_answer(void **state)
{
	(void)state;
	make_ready(IC_SHUTDOWN);
	s.shutdown_wanted = true;
	send_at(IC_SHUTDOWN, NOW);
	reply()->bytes[12] = 2;
	receive_at(IC_SHUTDOWN, NOW);
	assert_useless(IC_SHUTDOWN);
}

static void test_hostile_packet(void **state)
{
	(void)state;
	make_ready(IC_HEARTBEAT);
	send_at(IC_HEARTBEAT, NOW);
	(void)reply();
	answer_type = RING_COMPLETION;
	receive_at(IC_HEARTBEAT, NOW);
	assert_useless(IC_HEARTBEAT);
}

static void test_hostile_ring(void **state)
{
	(void)state;
	make_ready(IC_HEARTBEAT);
	broken_in = true;
	receive_at(IC_HEARTBEAT, NOW);
	assert_useless(IC_HEARTBEAT);
}

static void test_hostile_ring_out(void **state)
{
	(void)state;
	make_ready(IC_HEARTBEAT);
	broken_out = true;
	send_at(IC_HEARTBEAT, NOW);
	assert_useless(IC_HEARTBEAT);
}

static void test_no_version(void **state)
{
	(void)state;
	component_opened(&s, &channels[IC_TIMESYNC], NOW);
	send_at(IC_TIMESYNC, NOW);
	memset(reply()->bytes + BODY, 0, 16);
	receive_at(IC_TIMESYNC, NOW);
	assert_useless(IC_TIMESYNC);
}

/* A ring without room is tried again; nothing is lost and nothing waits for an answer that cannot come. */
static void test_full(void **state)
{
	(void)state;
	make_ready(IC_SHUTDOWN);
	s.shutdown_wanted = true;
	full = true;
	send_at(IC_SHUTDOWN, NOW);
	assert_int_equal(sent_count, 1);
	assert_true(s.shutdown_wanted);
	assert_int_equal(component_wait(&s, NOW), 100);
	full = false;
	send_at(IC_SHUTDOWN, NOW + 100);
	assert_int_equal(sent_count, 2);
	assert_int_equal(type_of(last()), IC_TYPE_SHUTDOWN);
}

/* A guest that fills the ring again and again cannot keep us; what is left is looked at without a signal. */
static void test_flood(void **state)
{
	(void)state;
	make_ready(IC_HEARTBEAT);
	send_at(IC_HEARTBEAT, NOW);
	answer_at = answer_count = 0;
	for (int i = 0; i < 20; i++) {
		reply()->bytes[24] ^= 0x80;
	}
	receive_at(IC_HEARTBEAT, NOW);
	assert_int_equal(answer_at, 16);
	assert_int_equal(component_wait(&s, NOW), 0);
	receive_at(IC_HEARTBEAT, NOW);
	assert_int_equal(answer_at, 20);
	assert_true(component_wait(&s, NOW) > 0);
}

static void test_close_and_open(void **state)
{
	(void)state;
	make_ready(IC_SHUTDOWN);
	component_closed(&s, &channels[IC_SHUTDOWN]);
	assert_false(s.status.shutdown_ready);
	assert_int_equal(s.of[IC_SHUTDOWN].state, COMPONENT_CLOSED);
	s.shutdown_wanted = true;
	assert_int_equal(component_wait(&s, NOW), -1);
	send_at(IC_SHUTDOWN, NOW);
	receive_at(IC_SHUTDOWN, NOW);
	assert_int_equal(sent_count, 1);
	/* A guest that loads its driver again negotiates again; the wish is kept. */
	make_ready(IC_SHUTDOWN);
	send_at(IC_SHUTDOWN, NOW);
	assert_int_equal(type_of(last()), IC_TYPE_SHUTDOWN);
}

static void test_unknown_unit(void **state)
{
	struct chan odd = { .open = true, .unit = IC_KINDS, .fd = 3 };
	struct chan sub = { .open = true, .unit = 0, .sub = 1, .fd = 3 };

	(void)state;
	component_opened(&s, &odd, NOW);
	component_opened(&s, &sub, NOW);
	assert_int_equal(breaks, 2);
	assert_int_equal(component_wait(&s, NOW), -1);
	component_closed(&s, &odd);
	component_closed(&s, &sub);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_negotiates_first),
		TEST(test_heartbeat),
		TEST(test_kick),
		TEST(test_shutdown),
		TEST(test_timesync),
		TEST(test_old_answers),
		TEST(test_hostile_answer),
		TEST(test_hostile_packet),
		TEST(test_hostile_ring),
		TEST(test_hostile_ring_out),
		TEST(test_no_version),
		TEST(test_full),
		TEST(test_flood),
		TEST(test_close_and_open),
		TEST(test_unknown_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
