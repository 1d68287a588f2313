// SPDX-License-Identifier: MIT
/*
 * The report service against a guest, a manager and an attestd made here: one request, one answer, the end; whoever is silent,
 * slow or hostile. The functions of a channel that service.c uses are played by the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "hv/host/hvsock/service.h"

#define NOW 1000000u
#define HEAD 16u
#define NONCE "000102030405060708090a0b0c0d0e0f"

struct packet {
	uint32_t size;
	uint8_t bytes[HVSOCK_HEADER + HVSOCK_DATA_MAX + 8];
};

static struct packet answers[64], asked[64]; /* to the guest; by it */
static uint32_t answer_count, asked_count, asked_at, breaks;
static uint32_t room; /* packets that the guest's ring has room for */
static bool broken_in, broken_out;
static uint16_t asked_type;

enum ring_status chan_put(struct chan *c, const struct ring_send *s)
{
	struct packet *p = &answers[answer_count];

	assert_true(c->open);
	if (broken_out) {
		return RING_BROKEN;
	}
	if (room == 0) {
		return RING_FULL;
	}
	room--;
	assert_true(answer_count < 64);
	assert_int_equal(s->type, RING_DATA_INBAND);
	assert_int_equal(s->flags | s->head_length, 0);
	p->size = s->payload_length;
	memcpy(p->bytes, s->payload, s->payload_length);
	assert_int_equal(le32(p->bytes), 1);
	assert_int_equal(le32(p->bytes + 4), p->size - HVSOCK_HEADER);
	answer_count++;
	return RING_OK;
}

enum ring_status chan_take(struct chan *c, uint8_t *to, uint32_t max, struct ring_packet *out)
{
	const struct packet *p = &asked[asked_at];

	assert_true(c->open);
	if (broken_in) {
		return RING_BROKEN;
	}
	if (asked_at == asked_count) {
		return RING_EMPTY;
	}
	assert_true(p->size + HEAD <= max);
	memset(to, 0xee, max);
	memcpy(to + HEAD, p->bytes, p->size);
	*out = (struct ring_packet){ .type = asked_type, .offset = HEAD, .length = HEAD + p->size };
	asked_at++;
	return RING_OK;
}

void chan_break(struct chan *c, const char *why)
{
	assert_true(c->open);
	assert_non_null(why);
	breaks++;
}

/* ---- what the test does over and over ---- */

static struct service s;
static struct chan channel;
static struct line *l;
static int pipe_ends[2];

static int setup(void **state)
{
	(void)state;
	service_init(&s);
	channel = (struct chan){ .open = true, .unit = 2, .fd = 10 };
	l = &s.of[2];
	answer_count = asked_count = asked_at = breaks = 0;
	room = 64;
	broken_in = broken_out = false;
	asked_type = RING_DATA_INBAND;
	service_opened(&s, &channel, NOW);
	assert_int_equal(l->state, LINE_REQUEST);
	assert_int_equal(pipe(pipe_ends), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	service_closed(&s, &channel);
	assert_int_equal(l->state, LINE_FREE);
	(void)close(pipe_ends[0]);
	(void)close(pipe_ends[1]);
	return 0;
}

static void say_bytes(const void *bytes, uint32_t n)
{
	struct packet *p = &asked[asked_count++];

	memset(p, 0, sizeof(*p));
	p->bytes[0] = 1;
	p->bytes[4] = (uint8_t)n;
	p->bytes[5] = (uint8_t)(n >> 8);
	memcpy(p->bytes + HVSOCK_HEADER, bytes, n);
	p->size = (HVSOCK_HEADER + n + 7) / 8 * 8;
	l->look = true;
}

static void say(const char *text)
{
	say_bytes(text, (uint32_t)strlen(text));
}

static void step_at(uint64_t now)
{
	service_step(&s, l, now);
}

static void post(const char *body)
{
	char text[400];

	(void)snprintf(text, sizeof(text),
		       "POST /v1/report HTTP/1.1\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
		       body);
	say(text);
	step_at(NOW);
}

/* The last answer before the end; the guest then hangs up, and we do. */
static void own_answer(int status, const char *word)
{
	char want[32];

	(void)snprintf(want, sizeof(want), "HTTP/1.1 %d ", status);
	assert_int_equal(answer_count, 2);
	assert_memory_equal(answers[0].bytes + HVSOCK_HEADER, want, strlen(want));
	assert_non_null(memmem(answers[0].bytes, answers[0].size, word, strlen(word)));
	assert_int_equal(answers[1].size, HVSOCK_HEADER);
	assert_int_equal(l->state, LINE_FIN);
	say("");
	step_at(NOW);
	assert_int_equal(l->state, LINE_OVER);
}

static void report(uint32_t ticket, uint32_t error)
{
	struct pm_report m = { .ticket = ticket, .error = error };

	service_report(&s, &m, error == PM_REPORT_GOOD ? dup(pipe_ends[0]) : -1, NOW);
}

static void wanted(void)
{
	post("{\"nonce\": \"" NONCE "\"}");
	assert_int_equal(l->state, LINE_WANTED);
	assert_int_equal(answer_count, 0);
	l->state = LINE_ASKED; /* as main.c does */
}

/* ---- tests ---- */

static void test_report(void **state)
{
	(void)state;
	wanted();
	assert_int_equal(l->wanted.nonce_size, 16);
	for (unsigned int i = 0; i < PM_NONCE_MAX; i++) {
		assert_int_equal(l->wanted.nonce[i], i < 16 ? i : 0);
	}
	assert_int_equal(service_room(l), 0);
	report(l->wanted.ticket, PM_REPORT_GOOD);
	assert_int_equal(l->state, LINE_ANSWER);
	assert_int_equal(service_room(l), SERVICE_CHUNK);
	memcpy(l->out + HVSOCK_HEADER, "abc", 3);
	service_taken(l, 3, NOW);
	assert_int_equal(service_room(l), 0); /* these go first */
	step_at(NOW);
	assert_int_equal(answer_count, 1);
	assert_memory_equal(answers[0].bytes + HVSOCK_HEADER, "abc", 3);
	service_taken(l, 0, NOW);
	step_at(NOW);
	assert_int_equal(answer_count, 2);
	assert_int_equal(answers[1].size, HVSOCK_HEADER);
	assert_int_equal(l->state, LINE_FIN);
	say("");
	step_at(NOW);
	assert_int_equal(l->state, LINE_OVER);
	assert_int_equal(breaks, 0);
}

static void test_pieces(void **state)
{
	static const char text[] = "POST /v1/report HTTP/1.1\r\nContent-Length: 45\r\n\r\n"
				   "{\"nonce\": \"" NONCE "\"}";

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(text); i++) {
		assert_int_equal(l->state, LINE_REQUEST);
		say_bytes(text + i, 1);
		if (asked_count == 60) {
			step_at(NOW);
			step_at(NOW);
			step_at(NOW);
			step_at(NOW);
			assert_int_equal(asked_at, 60);
			asked_count = asked_at = 0;
		}
	}
	for (int i = 0; i < 4; i++) {
		step_at(NOW);
	}
	assert_int_equal(l->state, LINE_WANTED);
}

static void test_largest_nonce(void **state)
{
	(void)state;
	post("{\"nonce\": \"" NONCE NONCE NONCE NONCE "\"}");
	assert_int_equal(l->wanted.nonce_size, 64);
	assert_memory_equal(l->wanted.nonce, l->wanted.nonce + 48, 16);
}

static void test_other_machine(void **state)
{
	(void)state;
	post("{\"nonce\": \"" NONCE "\", \"partition\": 3}");
	own_answer(400, "own report only");
}

static void test_other_verbs(void **state)
{
	(void)state;
	say("GET /v1/ek HTTP/1.1\r\n\r\n");
	step_at(NOW);
	own_answer(404, "/v1/report only");
}

static void test_activate(void **state)
{
	(void)state;
	say("POST /v1/activate HTTP/1.1\r\nContent-Length: 41\r\n\r\n"
	    "{\"credential\":\"001122\",\"secret\":\"001122\"}");
	step_at(NOW);
	own_answer(404, "/v1/report only");
}

static void test_malformed(void **state)
{
	(void)state;
	post("{\"nonce\": \"" NONCE "\", \"more\": 1}");
	own_answer(400, "unknown key");
}

static void test_too_long(void **state)
{
	static char text[HVSOCK_DATA_MAX];

	(void)state;
	memset(text, 'a', sizeof(text));
	say_bytes(text, sizeof(text));
	step_at(NOW);
	own_answer(413, "too long");
}

static void test_ends_in_the_middle(void **state)
{
	(void)state;
	say("POST /v1/report HTTP/1.1\r\n");
	say("");
	step_at(NOW);
	assert_int_equal(answer_count, 2);
	assert_memory_equal(answers[0].bytes + HVSOCK_HEADER, "HTTP/1.1 400 ", 13);
	assert_int_equal(l->state, LINE_OVER);
}

static void test_no_agent(void **state)
{
	(void)state;
	wanted();
	report(l->wanted.ticket, PM_REPORT_NO_AGENT);
	step_at(NOW);
	own_answer(503, "attestd does not run");
}

static void test_busy(void **state)
{
	(void)state;
	wanted();
	report(l->wanted.ticket, PM_REPORT_BUSY);
	step_at(NOW);
	own_answer(503, "too many requests");
}

/* A guest that connects again and again does not make the manager kill this process. */
static void test_questions(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < SERVICE_QUESTIONS; i++) {
		wanted();
		service_closed(&s, &channel);
		service_opened(&s, &channel, NOW);
		asked_count = asked_at = 0;
	}
	post("{\"nonce\": \"" NONCE "\"}");
	own_answer(503, "too many requests");
	service_closed(&s, &channel);
	service_opened(&s, &channel, NOW + 1000);
	say("POST /v1/report HTTP/1.1\r\nContent-Length: 45\r\n\r\n{\"nonce\": \"" NONCE "\"}");
	step_at(NOW + 1000);
	assert_int_equal(l->state, LINE_WANTED);
}

/* The answer to a connection that is gone does not go to another one. */
static void test_stale_ticket(void **state)
{
	uint32_t old;

	(void)state;
	wanted();
	old = l->wanted.ticket;
	service_closed(&s, &channel);
	service_opened(&s, &channel, NOW);
	wanted();
	assert_int_not_equal(l->wanted.ticket, old);
	report(old, PM_REPORT_GOOD);
	assert_int_equal(l->state, LINE_ASKED);
	report(l->wanted.ticket, PM_REPORT_GOOD);
	assert_int_equal(l->state, LINE_ANSWER);
	report(l->wanted.ticket, PM_REPORT_GOOD); /* once more: closed, not used */
	assert_int_equal(l->state, LINE_ANSWER);
}

static void test_bytes_behind(void **state)
{
	(void)state;
	wanted();
	say("more");
	step_at(NOW);
	assert_int_equal(l->state, LINE_OVER);
	assert_int_equal(breaks, 1);
}

static void test_bytes_behind_the_end(void **state)
{
	(void)state;
	wanted();
	say("");
	say("");
	step_at(NOW);
	assert_int_equal(l->state, LINE_OVER);
	assert_int_equal(breaks, 1);
}

static void test_not_a_packet(void **state)
{
	(void)state;
	say("x");
	asked[0].bytes[0] = 2;
	step_at(NOW);
	assert_int_equal(l->state, LINE_OVER);
	assert_int_equal(breaks, 1);
}

static void test_other_packet(void **state)
{
	(void)state;
	asked_type = RING_COMPLETION;
	say("x");
	step_at(NOW);
	assert_int_equal(l->state, LINE_OVER);
}

static void test_broken_rings(void **state)
{
	(void)state;
	broken_in = true;
	l->look = true;
	step_at(NOW);
	assert_int_equal(l->state, LINE_OVER);
	broken_in = false;
	service_closed(&s, &channel);
	service_opened(&s, &channel, NOW);
	broken_out = true;
	say("GET / HTTP/1.0\r\n\r\n");
	step_at(NOW);
	assert_int_equal(l->state, LINE_OVER);
}

/* Each silence has its end. */
static void test_silent(void **state)
{
	(void)state;
	step_at(NOW + SERVICE_REQUEST_MS - 1);
	assert_int_equal(l->state, LINE_REQUEST);
	assert_int_equal(service_wait(&s, NOW + SERVICE_REQUEST_MS - 1), 1);
	step_at(NOW + SERVICE_REQUEST_MS);
	assert_int_equal(l->state, LINE_OVER);
	assert_int_equal(service_wait(&s, NOW), -1);
}

static void test_silent_agent(void **state)
{
	(void)state;
	wanted();
	report(l->wanted.ticket, PM_REPORT_GOOD);
	step_at(NOW + SERVICE_REPORT_MS);
	assert_int_equal(l->state, LINE_OVER);
	assert_int_equal(l->agent, -1);
}

static void test_slow_guest(void **state)
{
	(void)state;
	wanted();
	report(l->wanted.ticket, PM_REPORT_GOOD);
	room = 0;
	service_taken(l, 100, NOW);
	step_at(NOW);
	assert_int_equal(service_room(l), 0); /* nothing more is read from attestd */
	room = 1;
	step_at(NOW + SERVICE_IDLE_MS - 1);
	assert_int_equal(answer_count, 1);
	service_taken(l, 0, NOW + SERVICE_IDLE_MS);
	step_at(NOW + SERVICE_IDLE_MS);
	assert_int_equal(l->state, LINE_ANSWER); /* the end waits for room, too */
	step_at(NOW + 2 * SERVICE_IDLE_MS);
	assert_int_equal(l->state, LINE_OVER);
}

static void test_agent_breaks(void **state)
{
	(void)state;
	wanted();
	report(l->wanted.ticket, PM_REPORT_GOOD);
	service_taken(l, -1, NOW);
	assert_int_equal(l->state, LINE_OVER);
	assert_int_equal(answer_count, 0); /* without an end: the guest sees that it is not whole */
}

static void test_endless_agent(void **state)
{
	uint32_t n = 0;

	(void)state;
	wanted();
	report(l->wanted.ticket, PM_REPORT_GOOD);
	while (l->state == LINE_ANSWER && n < 2 * SERVICE_ANSWER_MAX / SERVICE_CHUNK) {
		answer_count = 0;
		room = 1;
		service_taken(l, SERVICE_CHUNK, NOW);
		step_at(NOW);
		n++;
	}
	assert_int_equal(l->state, LINE_OVER);
	assert_int_equal(n, SERVICE_ANSWER_MAX / SERVICE_CHUNK + 1);
}

static void test_strange_channels(void **state)
{
	struct chan other = { .open = true, .unit = SERVICE_LINES },
		    sub = { .open = true, .sub = 1 };

	(void)state;
	service_opened(&s, &other, NOW);
	service_opened(&s, &sub, NOW);
	service_opened(&s, &channel, NOW); /* it is there */
	assert_int_equal(breaks, 3);
	for (uint32_t i = 0; i < SERVICE_LINES; i++) {
		assert_int_equal(s.of[i].state != LINE_FREE, i == 2);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_report),        TEST(test_pieces),        TEST(test_largest_nonce),
		TEST(test_other_machine), TEST(test_other_verbs),   TEST(test_activate),
		TEST(test_malformed),     TEST(test_too_long),      TEST(test_ends_in_the_middle),
		TEST(test_no_agent),      TEST(test_busy),          TEST(test_questions),
		TEST(test_stale_ticket),  TEST(test_bytes_behind),  TEST(test_bytes_behind_the_end),
		TEST(test_not_a_packet),  TEST(test_other_packet),  TEST(test_broken_rings),
		TEST(test_silent),        TEST(test_silent_agent),  TEST(test_slow_guest),
		TEST(test_agent_breaks),  TEST(test_endless_agent), TEST(test_strange_channels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
