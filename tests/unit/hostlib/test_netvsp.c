// SPDX-License-Identifier: MIT
/*
 * The process netvsp between a driver (tests/guest/nvsp_guest.h), a worker, a manager and a switch, all played here: its loop,
 * its channel, its state over a restart, and a process that is killed over and over under traffic.
 */
#include "tests/unit/hostlib/hostlib_test.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "hv/host/netvsp/netvsp.h"
#include "tests/guest/nvsp_guest.h"

static const uint8_t mac[6] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };

static uint8_t *memory; /* shared */
static struct netvsp_state *state;
static struct nvsp_guest g;
static struct netvsp n;
static int control[2], worker[2], port[2], channel[2]; /* [0] is the process's end */
static struct ipc_message message;

/* ---- the worker ---- */

static void send_gpadl(uint32_t id, const uint64_t *pfn, uint32_t pages)
{
	static union {
		struct pm_gpadl m;
		uint8_t bytes[sizeof(struct pm_gpadl) + 64 * 8];
	} u;

	memset(&u, 0, sizeof(u));
	u.m.gpadl = id;
	u.m.length = pages * 4096;
	u.m.pages = pages;
	memcpy(u.bytes + sizeof(u.m), pfn, pages * 8);
	assert_int_equal(ipc_send(worker[1], PM_GPADL, &u, sizeof(u.m) + pages * 8, NULL, 0), 0);
}

static void send_open(void)
{
	uint64_t rings[2 * GUEST_RING_PAGES];
	struct pm_open m = { .gpadl = GUEST_GPADL_RINGS, .downstream = GUEST_RING_PAGES };

	memcpy(rings, g.up_pfn, sizeof(g.up_pfn));
	memcpy(rings + GUEST_RING_PAGES, g.down_pfn, sizeof(g.down_pfn));
	send_gpadl(GUEST_GPADL_RINGS, rings, 2 * GUEST_RING_PAGES);
	assert_int_equal(ipc_send(worker[1], PM_OPEN, &m, sizeof(m), &channel[0], 1), 0);
}

static void send_everything(void)
{
	send_gpadl(GUEST_GPADL_RECEIVE, g.receive_pfn, GUEST_RECEIVE_PAGES);
	send_gpadl(GUEST_GPADL_SEND, g.send_pfn, GUEST_SEND_PAGES);
	send_open();
}

/* ---- the process, within this one ---- */

static void start(bool restarted)
{
	memset(&n, 0, sizeof(n));
	n.mem = (struct gmem){ memory, GUEST_BYTES };
	netvsp_init(&n, state, mac, restarted, control[0], worker[0], port[0]);
}

/* How often the guest was signalled. (The real descriptor never fills; this socket would.) */
static uint32_t signalled(void)
{
	uint64_t buffer;
	uint32_t count = 0;

	while (recv(channel[1], &buffer, sizeof(buffer), MSG_DONTWAIT) == sizeof(buffer)) {
		count++;
	}
	return count;
}

static uint32_t signals;

static void settle_without_signals(void)
{
	for (uint32_t i = 0; i < 20; i++) {
		assert_true(netvsp_step(&n, 0));
	}
}

/* Until it has nothing to do. */
static void settle(void)
{
	settle_without_signals();
	signals += signalled();
}

static void expect_opened(void)
{
	assert_int_equal(ipc_receive(worker[1], &message), 1);
	assert_int_equal(message.type, PM_OPENED);
	assert_int_equal(message.channel.status, 0);
}

static void knock(void)
{
	uint64_t one = 1;

	if (g.signal) {
		g.signal = false;
		assert_int_equal(send(channel[1], &one, sizeof(one), MSG_NOSIGNAL), sizeof(one));
	}
}

static int setup(void **context)
{
	(void)context;
	guest_init(&g, memory);
	memset(state, 0, sizeof(*state));
	pair(SOCK_SEQPACKET, control);
	pair(SOCK_SEQPACKET, worker);
	pair(SOCK_SEQPACKET, port);
	pair(SOCK_SEQPACKET, channel);
	start(false);
	return 0;
}

static void close_pair(int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

static int teardown(void **context)
{
	(void)context;
	for (uint32_t i = 0; i < CHAN_MAX; i++) {
		if (n.set.chan[i].open) {
			close(n.set.chan[i].fd);
		}
	}
	close_pair(control);
	close_pair(worker);
	close_pair(port);
	close_pair(channel);
	return 0;
}

static void answered(uint64_t transaction, uint32_t at, uint32_t value)
{
	knock();
	settle();
	assert_true(guest_take(&g));
	assert_true(g.p.type == RING_COMPLETION && g.p.transaction == transaction);
	assert_int_equal(le32(guest_payload(&g) + at), value);
}

static void reply(uint64_t transaction)
{
	answered(transaction, 4, NVSP_SUCCESS);
	assert_true(guest_take(&g));
	assert_int_equal(g.p.type, RING_DATA_XFER_PAGES);
	assert_true(guest_return(&g, g.p.transaction));
	knock();
	settle();
}

static void connect_driver(uint32_t filter)
{
	send_everything();
	settle();
	expect_opened();
	answered(guest_message(&g, NVSP_INIT, NVSP_VERSION_61, NVSP_VERSION_61, 0, true), 12,
		 NVSP_SUCCESS);
	guest_message(&g, NVSP_NDIS_CONFIG, 1514, 0, 0, false);
	guest_message(&g, NVSP_NDIS_VERSION, 6, 0x1e, 0, false);
	answered(guest_message(&g, NVSP_SEND_RECEIVE_BUFFER, GUEST_GPADL_RECEIVE, 0xcafe, 0, true),
		 4, NVSP_SUCCESS);
	answered(guest_message(&g, NVSP_SEND_SEND_BUFFER, GUEST_GPADL_SEND, 0, 0, true), 4,
		 NVSP_SUCCESS);
	reply(guest_initialize(&g, 1));
	reply(guest_query(&g, 2, RNDIS_OID_PERMANENT_ADDRESS, NULL, 0));
	reply(guest_filter(&g, 3, filter));
}

static uint32_t make_frame(uint8_t *frame, uint32_t length, uint8_t seed)
{
	for (uint32_t i = 0; i < length; i++) {
		frame[i] = (uint8_t)(i * 3 + seed);
	}
	memcpy(frame, mac, 6);
	frame[12] = 8;
	frame[13] = 0;
	return length;
}

static uint64_t send_frame(uint32_t section, const uint8_t *frame, uint32_t length)
{
	uint8_t m[2048];
	uint32_t bytes = guest_rndis_packet(m, frame, length, NULL, 0);

	guest_fill_send(&g, section * NVSP_SEND_SECTION_BYTES, m, bytes);
	return guest_send_section(&g, NVSP_DATA, section, bytes);
}

static void frame_to_guest(const uint8_t *frame, uint32_t length)
{
	assert_int_equal(send(port[1], frame, length, MSG_DONTWAIT | MSG_NOSIGNAL), length);
	settle();
}

static void expect_frame(const uint8_t *frame, uint32_t length)
{
	uint32_t offset;

	assert_true(guest_take(&g));
	assert_int_equal(g.p.type, RING_DATA_XFER_PAGES);
	assert_int_equal(le32(g.packet + 24), length + RNDIS_PACKET_HEADER);
	offset = le32(g.packet + 28) + RNDIS_PACKET_HEADER;
	for (uint32_t i = 0; i < length; i++) {
		assert_int_equal(*guest_receive_byte(&g, offset + i), frame[i]);
	}
}

#define FILTER (RNDIS_FILTER_DIRECTED | RNDIS_FILTER_ALL_MULTICAST | RNDIS_FILTER_BROADCAST)

static void test_frames(void **context)
{
	uint8_t frame[1514], got[2000];

	(void)context;
	connect_driver(FILTER);
	for (uint32_t i = 0; i < 40; i++) {
		uint32_t length = make_frame(frame, i % 2 == 0 ? 1514 : 60, (uint8_t)i);

		answered(send_frame(i % 4, frame, length), 4, NVSP_SUCCESS);
		assert_int_equal(recv(port[1], got, sizeof(got), MSG_DONTWAIT), length);
		assert_memory_equal(got, frame, length);
		frame_to_guest(frame, length);
		expect_frame(frame, length);
		assert_true(guest_return(&g, g.p.transaction));
		knock();
		settle();
	}
	assert_int_equal(state->session.counters.sent, 40);
	assert_int_equal(state->session.counters.received, 40);
	assert_int_equal(state->session.counters.dropped, 0);
	assert_int_equal(state->session.outstanding, 0);
	/* Too long for a section, empty, and what comes after them still does. */
	assert_int_equal(send(port[1], got, 1600, 0), 1600);
	assert_int_equal(send(port[1], got, 0, 0), 0);
	frame_to_guest(frame, make_frame(frame, 60, 9));
	expect_frame(frame, 60);
	assert_int_equal(state->session.counters.dropped, 2);
}

static void test_filter_zero(void **context)
{
	uint8_t frame[60];

	(void)context;
	connect_driver(FILTER);
	reply(guest_filter(&g, 4, 0));
	frame_to_guest(frame, make_frame(frame, 60, 1));
	assert_false(guest_take(&g));
	assert_int_equal(state->session.counters.dropped, 1);
}

/* The switch does not read: its queue is full, what follows is lost, and the guest is answered all the same. */
static void test_full_port(void **context)
{
	uint8_t frame[1514];
	uint32_t sent = 0;

	(void)context;
	connect_driver(FILTER);
	make_frame(frame, 1514, 0);
	while (state->session.counters.dropped < 5) {
		answered(send_frame(0, frame, 1514), 4, NVSP_SUCCESS);
		assert_true(++sent < 10000);
	}
	assert_int_equal(state->session.counters.sent + 5, sent);
	while (recv(port[1], frame, sizeof(frame), MSG_DONTWAIT) > 0) {
		sent--;
	}
	assert_int_equal(sent, 5);
	answered(send_frame(0, frame, 1514), 4, NVSP_SUCCESS);
	assert_int_equal(recv(port[1], frame, sizeof(frame), MSG_DONTWAIT), 1514);
}

/* The guest does not read: frames are lost when the sections are, the process is idle. */
static void test_guest_asleep(void **context)
{
	uint8_t frame[60];
	uint32_t got = 0;

	(void)context;
	connect_driver(FILTER);
	make_frame(frame, 60, 0);
	for (uint32_t i = 0; i < 100; i++) {
		frame_to_guest(frame, 60);
	}
	assert_int_equal(state->session.counters.received, 24);
	assert_int_equal(state->session.counters.dropped, 76);
	while (guest_take(&g)) {
		assert_true(guest_return(&g, g.p.transaction));
		got++;
	}
	assert_int_equal(got, 24);
	knock();
	settle();
	frame_to_guest(frame, 60);
	expect_frame(frame, 60);
}

/* Nothing is sent by the driver but what the masks allow: each batch wakes the process. */
static void test_signals(void **context)
{
	uint8_t frame[60];

	(void)context;
	connect_driver(FILTER);
	signals = 0;
	g.signal = false;
	make_frame(frame, 60, 0);
	for (uint32_t i = 0; i < 50; i++) {
		assert_true(send_frame(0, frame, 60) != 0);
	}
	assert_true(g.signal); /* the ring was empty and not masked */
	knock();
	assert_true(netvsp_step(&n, -1));
	settle();
	for (uint32_t i = 0; i < 50; i++) {
		assert_true(guest_take(&g));
	}
	assert_true(signals >= 1 && signals <= 3); /* one for a batch, not one for a packet */
}

static void test_link(void **context)
{
	struct pm_link link = { .up = 0 };
	uint8_t frame[60];

	(void)context;
	connect_driver(FILTER);
	assert_int_equal(ipc_send(control[1], PM_LINK, &link, sizeof(link), NULL, 0), 0);
	settle();
	assert_true(guest_take(&g));
	assert_int_equal(*guest_receive_byte(&g, le32(g.packet + 28)), RNDIS_INDICATE);
	frame_to_guest(frame, make_frame(frame, 60, 0));
	assert_false(guest_take(&g));
}

static void test_status(void **context)
{
	uint8_t frame[60];
	uint32_t reports = 0;
	struct timespec begin, now;

	(void)context;
	connect_driver(FILTER);
	make_frame(frame, 60, 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		answered(send_frame(0, frame, 60), 4, NVSP_SUCCESS);
		(void)recv(port[1], frame, sizeof(frame), MSG_DONTWAIT);
		while (ipc_receive(control[1], &message) > 0) {
			assert_int_equal(message.type, PM_STATUS_NET);
			reports++;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 <
		 1500);
	assert_true(reports >= 1 && reports <= 3);
	assert_true(netvsp_step(&n, 3000)); /* wakes by itself for the last one */
	assert_true(netvsp_step(&n, 0));
	while (ipc_receive(control[1], &message) > 0) {
		reports++;
	}
	assert_true(message.status_net.sent == state->session.counters.sent);
	assert_int_equal(n.reported.sent, state->session.counters.sent);
}

static void test_end(void **context)
{
	struct pm_plain stop = { { 0, 0 } };

	(void)context;
	assert_int_equal(ipc_send(control[1], PM_STOP, &stop, sizeof(stop), NULL, 0), 0);
	assert_false(netvsp_step(&n, 0));
	close(control[1]);
	control[1] = -1;
	assert_false(netvsp_step(&n, 0));
}

/* The guest closes: GPADLs go, and a new channel starts from nothing. */
static void test_close(void **context)
{
	struct pm_channel m = { .unit = 0 };
	struct pm_gpadl_free f = { .gpadl = GUEST_GPADL_RECEIVE };
	uint8_t frame[60];
	unsigned before;

	(void)context;
	connect_driver(FILTER);
	frame_to_guest(frame, make_frame(frame, 60, 0)); /* a section is out */
	before = open_descriptors();
	assert_int_equal(ipc_send(worker[1], PM_CLOSE, &m, sizeof(m), NULL, 0), 0);
	assert_int_equal(ipc_send(worker[1], PM_GPADL_FREE, &f, sizeof(f), NULL, 0), 0);
	f.gpadl = GUEST_GPADL_SEND;
	assert_int_equal(ipc_send(worker[1], PM_GPADL_FREE, &f, sizeof(f), NULL, 0), 0);
	f.gpadl = GUEST_GPADL_RINGS;
	assert_int_equal(ipc_send(worker[1], PM_GPADL_FREE, &f, sizeof(f), NULL, 0), 0);
	settle();
	assert_int_equal(ipc_receive(worker[1], &message), 1);
	assert_int_equal(message.type, PM_CLOSED);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(ipc_receive(worker[1], &message), 1);
		assert_int_equal(message.type, PM_GPADL_FREED);
	}
	assert_int_equal(open_descriptors(), before - 1);
	assert_int_equal(state->session.version, 0);
	frame_to_guest(frame, 60); /* lost */
	guest_init(&g, memory);
	connect_driver(FILTER);
	assert_false(guest_take(&g));
	frame_to_guest(frame, 60);
	expect_frame(frame, 60);
}

/* A broken ring: no more is read of it, the process is alive and idle, a new channel works. */
static void test_broken(void **context)
{
	struct pm_plain m = { { 0, 0 } };
	uint8_t frame[60];
	uint64_t one = 1;

	(void)context;
	connect_driver(FILTER);
	guest_put32(guest_page(&g, GUEST_UP), 3);
	assert_int_equal(send(channel[1], &one, 8, 0), 8);
	settle();
	assert_true(n.chan->broken);
	frame_to_guest(frame, make_frame(frame, 60, 0));
	assert_false(guest_take(&g));
	assert_int_equal(ipc_send(worker[1], PM_RESET, &m, sizeof(m), NULL, 0), 0);
	settle();
	assert_int_equal(ipc_receive(worker[1], &message), 1);
	assert_int_equal(message.type, PM_RESET_DONE);
	assert_null(n.chan);
	guest_init(&g, memory);
	connect_driver(FILTER);
	frame_to_guest(frame, 60);
	expect_frame(frame, 60);
}

static void new_process(bool restarted)
{
	close(n.set.chan[0].fd);
	close_pair(worker);
	pair(SOCK_SEQPACKET, worker);
	start(restarted);
}

/* Another process takes over between two packets: the guest sees nothing of it. */
static void test_restart(void **context)
{
	uint8_t frame[60], got[100];
	uint64_t transaction, out;

	(void)context;
	connect_driver(FILTER);
	frame_to_guest(frame, make_frame(frame, 60, 1));
	assert_true(guest_take(&g));
	out = g.p.transaction; /* the guest still has this section */
	transaction = send_frame(2, frame, 60);
	new_process(true);
	assert_true(n.resumable);
	send_everything();
	settle(); /* without a signal: it looks by itself */
	expect_opened();
	assert_true(guest_take(&g));
	assert_true(g.p.type == RING_COMPLETION && g.p.transaction == transaction);
	assert_int_equal(recv(port[1], got, sizeof(got), MSG_DONTWAIT), 60);
	assert_int_equal(state->session.outstanding, 1);
	frame_to_guest(frame, 60);
	expect_frame(frame, 60);
	assert_true(g.p.transaction != out);
	assert_true(guest_return(&g, g.p.transaction));
	assert_true(guest_return(&g, out));
	knock();
	settle();
	assert_int_equal(state->session.outstanding, 0);
	reply(guest_query(&g, 8, RNDIS_OID_LINK_SPEED, NULL, 0));
}

/* What the state says does not fit: a new session, and the driver's next opening works. */
static void test_restart_refused(void **context)
{
	uint8_t frame[60];

	(void)context;
	connect_driver(FILTER);
	state->session.sections = 0xffffffff;
	new_process(true);
	assert_false(n.resumable);
	assert_int_equal(state->session.sections, 0);
	state->session.rndis.mac[5]++;
	new_process(true);
	assert_false(n.resumable);
	guest_init(&g, memory);
	connect_driver(FILTER);
	new_process(true);
	assert_true(n.resumable);
	/* The guest opened the channel anew while there was no process. */
	guest_init(&g, memory);
	connect_driver(FILTER);
	frame_to_guest(frame, make_frame(frame, 60, 1));
	expect_frame(frame, 60);
}

/* The VM or the switch goes first: the process waits, and does not spin. */
static void test_ends(void **context)
{
	struct timespec begin, now;
	int64_t ms;

	(void)context;
	connect_driver(FILTER);
	close(channel[1]);
	close(port[1]);
	settle_without_signals();
	channel[1] = port[1] = -1;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_true(netvsp_step(&n, 100));
	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000;
	assert_true(ms >= 90);
	assert_true(n.port_gone && n.channel_gone);
}

/* ---- killed under traffic ---- */

static pid_t spawn(bool restarted)
{
	pid_t pid;

	close_pair(worker);
	pair(SOCK_SEQPACKET, worker);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		start(restarted);
		while (netvsp_step(&n, -1)) {
		}
		_exit(7);
	}
	send_everything();
	return pid;
}

#define SLOTS 4u
static uint64_t slot[SLOTS]; /* transaction that uses the section, 0: free */
static uint64_t query_transaction;
static uint32_t replies, queries, completions, frames_in, frames_out;

static void guest_turn(bool send_more)
{
	uint8_t frame[60], buffer[2000];

	while (guest_take(&g)) {
		if (g.p.type == RING_DATA_XFER_PAGES) {
			if (le32(guest_payload(&g) + 4) == NVSP_CONTROL) {
				replies++;
			} else {
				frames_in++;
			}
			assert_true(guest_return(&g, g.p.transaction));
			continue;
		}
		assert_int_equal(g.p.type, RING_COMPLETION);
		assert_int_equal(le32(guest_payload(&g) + 4), NVSP_SUCCESS);
		if (g.p.transaction == query_transaction) {
			query_transaction = 0;
		} else {
			uint32_t i = 0;

			while (i < SLOTS && slot[i] != g.p.transaction) {
				i++;
			}
			assert_true(i < SLOTS); /* never twice, never another */
			slot[i] = 0;
		}
		completions++;
	}
	for (uint32_t i = 0; send_more && i < SLOTS; i++) {
		if (slot[i] == 0) {
			slot[i] = send_frame(i, frame, make_frame(frame, 60, (uint8_t)i));
			assert_true(slot[i] != 0);
		}
	}
	if (send_more && query_transaction == 0 && replies >= queries) {
		query_transaction = guest_query(&g, queries++, RNDIS_OID_LINK_SPEED, NULL, 0);
	}
	knock();
	while (recv(port[1], buffer, sizeof(buffer), MSG_DONTWAIT) > 0) {
		frames_out++;
	}
	if (send_more) {
		(void)send(port[1], frame, make_frame(frame, 60, 1), MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	(void)signalled();
	while (ipc_receive(control[1], &message) > 0 || ipc_receive(worker[1], &message) > 0) {
	}
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool all_quiet(void)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		if (slot[i] != 0) {
			return false;
		}
	}
	return query_transaction == 0 && state->session.outstanding == 0 && replies >= queries;
}

static void test_killed(void **context)
{
	uint64_t end;
	pid_t pid;
	int status;

	(void)context;
	connect_driver(FILTER);
	close(n.set.chan[0].fd);
	n.set.chan[0].open = false;
	memset(slot, 0, sizeof(slot));
	pid = spawn(true);
	for (uint32_t kills = 0; kills < 60; kills++) {
		uint64_t until = now_ms() + 5 + kills % 7;

		while (now_ms() < until) {
			guest_turn(true);
		}
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_true(waitpid(pid, &status, 0) == pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		guest_turn(true);
		pid = spawn(true);
	}
	end = now_ms() + 60000;
	while (!all_quiet() && now_ms() < end) {
		guest_turn(false);
		(void)poll(NULL, 0, 1);
	}
	if (!all_quiet()) {
		fail_msg(
			"open: %llu %llu %llu %llu, query %llu, %u of %u replies, %u sections out, "
			"stage %u",
			(unsigned long long)slot[0], (unsigned long long)slot[1],
			(unsigned long long)slot[2], (unsigned long long)slot[3],
			(unsigned long long)query_transaction, replies, queries,
			state->session.outstanding, state->session.journal.stage);
	}
	assert_true(completions > 100 && frames_in > 10 && frames_out > 10);
	assert_int_equal(state->session.counters.refused, 0);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_frames),       TEST(test_filter_zero), TEST(test_full_port),
		TEST(test_guest_asleep), TEST(test_signals),     TEST(test_link),
		TEST(test_status),       TEST(test_end),         TEST(test_close),
		TEST(test_broken),       TEST(test_restart),     TEST(test_restart_refused),
		TEST(test_ends),         TEST(test_killed),
	};

	memory = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
