// SPDX-License-Identifier: MIT
/*
 * A process that serves an adapter is killed at any instruction: another one goes on from what is in memory, and the guest misses
 * nothing. The process is run in single steps; after every few, what it has in memory so far is copied, and the copy is resumed.
 */
#include "tests/unit/wire/wire_test.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/guest/nvsp_guest.h"

#define STRIDE 5u

static const uint8_t mac[6] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };

struct world { /* what outlasts the process */
	uint8_t memory[GUEST_BYTES];
	struct nvsp_session s;
};

static struct world *world; /* shared with the process */
static struct world *copy;
static struct nvsp_batch *b;
static struct nvsp_guest g;
static struct nvsp_io io;
static struct ring in, out;

/* What the guest saw in the end. */
static struct {
	uint32_t completions, replies, frames, indications;
	uint32_t status;
} seen;

static void serve(void)
{
	assert_int_equal(nvsp_serve(&world->s, &io, b, 100), NVSP_EMPTY);
	nvsp_batch_clear(b);
}

/* Drains what the guest got; its sections go back where `give_back`. */
static void drain(bool give_back)
{
	while (guest_take(&g)) {
		if (give_back && g.p.type == RING_DATA_XFER_PAGES) {
			assert_true(guest_return(&g, g.p.transaction));
		}
	}
	serve();
}

static void connect_driver(void)
{
	guest_init(&g, world->memory);
	assert_true(guest_io(&g, &io, &in, &out));
	nvsp_session_start(&world->s, mac);
	nvsp_session_open(&world->s, &io);
	guest_message(&g, NVSP_INIT, NVSP_VERSION_61, NVSP_VERSION_61, 0, true);
	guest_message(&g, NVSP_SEND_RECEIVE_BUFFER, GUEST_GPADL_RECEIVE, 0xcafe, 0, true);
	guest_message(&g, NVSP_SEND_SEND_BUFFER, GUEST_GPADL_SEND, 0, 0, true);
	serve();
	guest_initialize(&g, 1);
	serve();
	guest_filter(&g, 2, RNDIS_FILTER_PROMISCUOUS);
	serve();
	drain(true);
	assert_int_equal(world->s.outstanding, 0);
	assert_int_equal(world->s.rndis.filter, RNDIS_FILTER_PROMISCUOUS);
}

/* The next process, on the copy. */
static void resume(void)
{
	struct nvsp_guest after = g;
	struct nvsp_io next;
	struct ring next_in, next_out;
	uint32_t used = 0;

	memset(&seen, 0, sizeof(seen));
	after.mem.base = copy->memory;
	after.up.mem = &after.mem;
	after.down.mem = &after.mem;
	assert_true(nvsp_session_valid(&copy->s));
	assert_true(guest_io(&after, &next, &next_in, &next_out));
	assert_true(nvsp_session_continues(&copy->s, &next));
	assert_int_equal(nvsp_session_resume(&copy->s, &next, b), NVSP_OK);
	assert_int_equal(nvsp_serve(&copy->s, &next, b, 100), NVSP_EMPTY);
	nvsp_batch_clear(b);
	while (guest_take(&after)) {
		if (after.p.type == RING_COMPLETION) {
			seen.completions++;
			assert_true(after.p.transaction == g.transaction);
			seen.status = le32(guest_payload(&after) + 4);
		} else if (le32(guest_payload(&after) + 4) == NVSP_DATA) {
			seen.frames++;
		} else if (*guest_receive_byte(&after, le32(after.packet + 28)) == RNDIS_INDICATE) {
			seen.indications++;
		} else {
			seen.replies++;
		}
		used++;
	}
	/* Sections that the guest has are the ones that are out; of the given back none is. */
	assert_int_equal(copy->s.outstanding, seen.frames + seen.replies + seen.indications);
	assert_true(nvsp_session_valid(&copy->s));
	assert_true(used <= 4);
	assert_int_equal(copy->s.journal.stage, NVSP_STAGE_IDLE);
	assert_int_equal(copy->s.journal.push_section, 0);
}

static void run_in_steps(void (*act)(void), void (*check)(void))
{
	uint32_t steps = 0;
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		(void)raise(SIGSTOP);
		act();
		(void)raise(SIGSTOP);
		_exit(0);
	}
	assert_true(waitpid(child, &status, 0) == child);
	if (!WIFSTOPPED(status)) {
		skip(); /* no ptrace here */
	}
	for (;;) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
		assert_true(waitpid(child, &status, 0) == child);
		assert_true(WIFSTOPPED(status));
		if (WSTOPSIG(status) == SIGSTOP) {
			break;
		}
		assert_int_equal(WSTOPSIG(status), SIGTRAP);
		if (++steps % STRIDE == 0) {
			memcpy(copy, world, sizeof(*copy));
			resume();
			check();
		}
	}
	(void)kill(child, SIGKILL);
	(void)waitpid(child, &status, 0);
	memcpy(copy, world, sizeof(*copy));
	resume();
	check();
	assert_true(steps > 500); /* it did something */
}

static void act_serve(void)
{
	(void)nvsp_serve(&world->s, &io, b, 100);
}

static void act_deliver(void)
{
	static uint8_t m[RNDIS_PACKET_HEADER + 60];

	memset(m, 0x42, sizeof(m));
	(void)nvsp_deliver(&world->s, &io, m, 60);
}

static void check_answered(void)
{
	assert_int_equal(seen.completions, 1);
	assert_int_equal(seen.status, NVSP_SUCCESS);
	assert_int_equal(seen.replies + seen.frames + seen.indications, 0);
}

static void check_version(void)
{
	assert_int_equal(seen.completions, 1);
	assert_int_equal(seen.status, NVSP_VERSION_61);
	assert_int_equal(copy->s.version, NVSP_VERSION_61);
}

static void check_control(void)
{
	assert_int_equal(seen.completions, 1);
	assert_int_equal(seen.status, NVSP_SUCCESS);
	assert_true(seen.replies == 1 ||
		    seen.replies == 2); /* a second is nothing to a driver; none is a hang */
}

static void check_returned(void)
{
	assert_int_equal(seen.completions + seen.replies + seen.frames, 0);
}

static void check_indicated(void)
{
	assert_int_equal(seen.indications, 1);
}

static void check_delivered(void)
{
	assert_true(seen.frames <= 1);
	assert_int_equal(seen.completions + seen.replies + seen.indications, 0);
}

static void test_version(void **state)
{
	(void)state;
	guest_init(&g, world->memory);
	assert_true(guest_io(&g, &io, &in, &out));
	nvsp_session_start(&world->s, mac);
	nvsp_session_open(&world->s, &io);
	guest_message(&g, NVSP_INIT, NVSP_VERSION_61, NVSP_VERSION_61, 0, true);
	run_in_steps(act_serve, check_version);
}

static void test_buffer(void **state)
{
	(void)state;
	test_version(state);
	act_serve();
	while (guest_take(&g)) {
	}
	guest_message(&g, NVSP_SEND_RECEIVE_BUFFER, GUEST_GPADL_RECEIVE, 0xcafe, 0, true);
	/* The single-stepped process took the packet before: open anew where it left off. */
	assert_true(guest_io(&g, &io, &in, &out));
	run_in_steps(act_serve, check_answered);
}

static void test_control(void **state)
{
	(void)state;
	connect_driver();
	guest_query(&g, 9, RNDIS_OID_LINK_SPEED, NULL, 0);
	run_in_steps(act_serve, check_control);
}

static void test_data(void **state)
{
	uint8_t frame[60] = { 0 }, m[200];
	uint32_t n = guest_rndis_packet(m, frame, 60, NULL, 0);

	(void)state;
	connect_driver();
	guest_fill_send(&g, 0, m, n);
	guest_send_section(&g, NVSP_DATA, 0, n);
	run_in_steps(act_serve, check_answered);
}

static void test_section_returned(void **state)
{
	(void)state;
	connect_driver();
	act_deliver();
	assert_int_equal(world->s.outstanding, 1);
	assert_true(guest_take(&g));
	assert_true(guest_return(&g, g.p.transaction));
	run_in_steps(act_serve, check_returned);
}

static void test_deliver(void **state)
{
	(void)state;
	connect_driver();
	run_in_steps(act_deliver, check_delivered);
}

static void test_link(void **state)
{
	(void)state;
	connect_driver();
	nvsp_session_link(&world->s, false);
	run_in_steps(act_serve, check_indicated);
}

/* The guest closed and opened the channel while no process was there: not the session's rings. */
static void test_opened_anew(void **state)
{
	struct nvsp_guest other;
	struct nvsp_io next;
	struct ring next_in, next_out;

	(void)state;
	connect_driver();
	assert_true(guest_io(&g, &next, &next_in, &next_out));
	assert_true(nvsp_session_continues(&world->s, &next));
	guest_init(&other, world->memory);
	assert_true(guest_io(&other, &next, &next_in, &next_out));
	assert_false(nvsp_session_continues(&world->s, &next));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_buffer),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_section_returned),
		cmocka_unit_test(test_deliver),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_opened_anew),
	};

	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	copy = malloc(sizeof(*copy));
	b = calloc(1, sizeof(*b));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
