// SPDX-License-Identifier: MIT
/* The process vswitch with ports, an uplink and a manager that are sockets of this test. */
#include "tests/unit/hostlib/hostlib_test.h"

#include <time.h>

#include "hv/host/vswitch/vswitch.h"

#define PORTS 3

static struct vswitch v;
static int control[2], tap[2], port[PORTS][2]; /* [0] is the switch's end */
static struct ipc_message message;
static uint8_t got[4096];

static void mac_of(uint32_t i, uint8_t mac[6])
{
	memcpy(mac, "\x02\x00\x00\x00\x00", 5);
	mac[5] = (uint8_t)(0x10 + i);
}

static void settle(void)
{
	for (uint32_t i = 0; i < 10; i++) {
		assert_true(vswitch_step(&v, 0));
	}
}

static void add(uint32_t id, uint32_t mac, int fd)
{
	struct pm_port m = { .port = id };

	mac_of(mac, m.mac);
	assert_int_equal(ipc_send(control[1], PM_PORT_ADD, &m, sizeof(m), &fd, 1), 0);
	settle();
}

static void remove_id(uint32_t id)
{
	struct pm_port m = { .port = id };

	assert_int_equal(ipc_send(control[1], PM_PORT_REMOVE, &m, sizeof(m), NULL, 0), 0);
	settle();
}

static int setup(void **state)
{
	(void)state;
	memset(&v, 0, sizeof(v));
	pair(SOCK_SEQPACKET, control);
	pair(SOCK_SEQPACKET | SOCK_NONBLOCK, tap);
	assert_true(vswitch_init(&v, control[0], dup(tap[0])));
	for (uint32_t i = 0; i < PORTS; i++) {
		pair(SOCK_SEQPACKET, port[i]);
		add(100 + i, i, port[i][0]);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < VSWITCH_TARGETS; i++) {
		vswitch_drop_port(&v, i);
	}
	close(v.epoll);
	for (uint32_t i = 0; i < PORTS; i++) {
		close(port[i][0]);
		close(port[i][1]);
	}
	close(control[0]);
	close(control[1]);
	close(tap[0]);
	close(tap[1]);
	return 0;
}

/* dst, src: a port's number; 0xff: everybody; 0xfe: one behind the uplink. */
static uint32_t make_frame(uint8_t *f, uint32_t dst, uint32_t src, uint32_t length, uint8_t mark)
{
	memset(f, mark, length);
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t who = i == 0 ? dst : src;

		if (who == 0xff) {
			memset(f + i * 6, 0xff, 6);
		} else if (who == 0xfe) {
			memcpy(f + i * 6, "\x52\x54\x00\x01\x02\x03", 6);
		} else {
			mac_of(who, f + i * 6);
		}
	}
	f[12] = 8;
	f[13] = 0;
	return length;
}

static void put(int fd, uint32_t dst, uint32_t src, uint32_t length, uint8_t mark)
{
	uint8_t f[2000];

	assert_int_equal(send(fd, f, make_frame(f, dst, src, length, mark), MSG_DONTWAIT), length);
}

/* A frame with this mark is there; false: none is. */
static bool take(int fd, uint32_t length, uint8_t mark)
{
	ssize_t n = recv(fd, got, sizeof(got), MSG_DONTWAIT);

	if (n < 0) {
		return false;
	}
	assert_int_equal(n, length);
	if (length > 14) {
		assert_int_equal(got[14], mark);
	}
	return true;
}

static void nothing(void)
{
	for (uint32_t i = 0; i < PORTS; i++) {
		assert_false(take(port[i][1], 0, 0));
	}
	assert_false(take(tap[1], 0, 0));
}

static void test_forward(void **state)
{
	(void)state;
	put(port[0][1], 1, 0, 1514, 1);
	put(port[0][1], 2, 0, 60, 2);
	put(port[0][1], 0xfe, 0, 100, 3);
	put(port[1][1], 0xff, 1, 64, 4);
	settle();
	assert_true(take(port[1][1], 1514, 1));
	assert_true(take(port[2][1], 60, 2));
	assert_true(take(port[2][1], 64, 4));
	assert_true(take(port[0][1], 64, 4));
	assert_true(take(tap[1], 100, 3));
	assert_true(take(tap[1], 64, 4));
	nothing();
	put(tap[1], 1, 0xfe, 1514, 5);
	put(tap[1], 0xff, 0xfe, 60, 6);
	settle();
	assert_true(take(port[1][1], 1514, 5));
	for (uint32_t i = 0; i < PORTS; i++) {
		assert_true(take(port[i][1], 60, 6));
	}
	nothing();
	assert_int_equal(v.total.received, 6);
	assert_int_equal(v.total.sent, 3 + 3 + 1 + 3);
	assert_int_equal(v.total.dropped, 0);
}

static void test_refused(void **state)
{
	struct vswitch_counters *c = &v.port[0].counters;
	uint8_t f[2000];

	(void)state;
	put(port[0][1], 1, 2, 60, 1); /* another's address */
	put(port[0][1], 1, 0xfe, 60, 1);
	put(port[0][1], 1, 0, 13, 1);
	put(port[0][1], 1, 0, 1515, 1);
	put(port[0][1], 1, 0, 1600, 1); /* more than there is room for */
	assert_int_equal(send(port[0][1], f, 0, 0), 0);
	put(port[0][1], 0, 0, 60, 1); /* to itself */
	put(tap[1], 1, 0, 60, 1);     /* a VM's address from outside */
	put(tap[1], 0xfe, 0xfe, 60, 1);
	put(tap[1], 1, 0xfe, 1520, 1);
	settle();
	nothing();
	assert_int_equal(c->in, 7);
	assert_int_equal(c->refused[ETHSW_SPOOFED], 2);
	assert_int_equal(c->refused[ETHSW_BAD_SIZE], 4);
	assert_int_equal(c->refused[ETHSW_NOWHERE], 1);
	assert_int_equal(v.port[ETHSW_UPLINK].counters.refused[ETHSW_SPOOFED], 1);
	assert_int_equal(v.port[ETHSW_UPLINK].counters.refused[ETHSW_NOWHERE], 1);
	assert_int_equal(v.port[ETHSW_UPLINK].counters.refused[ETHSW_BAD_SIZE], 1);
	assert_int_equal(v.total.dropped, 10);
	/* and it goes on */
	put(port[0][1], 1, 0, 60, 7);
	settle();
	assert_true(take(port[1][1], 60, 7));
}

/* One that does not read loses its own frames and holds up nobody. */
static void test_full(void **state)
{
	uint32_t lost = 0, delivered = 0;

	(void)state;
	for (uint32_t i = 0; lost < 40 && i < 10000; i++) {
		put(port[0][1], 1, 0, 1514, 1);
		put(port[0][1], 2, 0, 1514, 2);
		assert_true(vswitch_step(&v, 0));
		assert_true(take(port[2][1], 1514, 2));
		lost = (uint32_t)v.port[1].counters.full;
	}
	assert_int_equal(lost, 40);
	assert_int_equal(v.port[2].counters.full, 0);
	while (take(port[1][1], 1514, 1)) {
		delivered++;
	}
	assert_int_equal(delivered, v.port[1].counters.out);
	assert_int_equal(delivered + lost, v.port[2].counters.out);
	put(port[0][1], 1, 0, 60, 9);
	settle();
	assert_true(take(port[1][1], 60, 9));
}

/* Order is kept, and one busy port does not keep a round for itself. */
static void test_batches(void **state)
{
	uint32_t seen = 0;

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		put(port[0][1], 1, 0, 60, (uint8_t)i);
	}
	put(port[2][1], 1, 2, 61, 200);
	assert_true(vswitch_step(&v, 0));
	assert_true(v.port[0].counters.in <= VSWITCH_BATCH);
	assert_int_equal(v.port[2].counters.in, 1);
	settle();
	for (uint32_t i = 0; i < 101; i++) {
		ssize_t n = recv(port[1][1], got, sizeof(got), MSG_DONTWAIT);

		assert_true(n == 60 || n == 61);
		if (n == 60) {
			assert_int_equal(got[14], seen++);
		}
	}
	assert_int_equal(seen, 100);
	nothing();
}

static void test_ports(void **state)
{
	unsigned before = open_descriptors();

	(void)state;
	/* Gone: nobody has its address, it may not send, its descriptor is closed. */
	remove_id(101);
	assert_int_equal(open_descriptors(), before - 1);
	put(port[0][1], 1, 0, 60, 1);
	settle();
	assert_true(take(tap[1], 60, 1));
	put(port[1][1], 0, 1, 60, 2);
	settle();
	assert_false(take(port[0][1], 60, 2));
	while (recv(port[1][0], got, sizeof(got), MSG_DONTWAIT) > 0) {
	}
	add(101, 1, port[1][0]);
	put(port[0][1], 1, 0, 60, 3);
	settle();
	assert_true(take(port[1][1], 60, 3));
	/* Once more with the same id: replaced. Another id with its address: refused. */
	add(101, 1, port[1][0]);
	assert_int_equal(open_descriptors(), before);
	add(500, 1, port[1][0]);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(ethsw_find(&v.table, 500), ETHSW_PORTS_MAX);
	put(port[0][1], 0xff, 0, 60, 4);
	settle();
	assert_true(take(port[1][1], 60, 4));
	assert_true(take(port[2][1], 60, 4));
	assert_true(take(tap[1], 60, 4));
	nothing();
	remove_id(4711);
}

/* The other end of a port goes: no busy loop, no harm to others, and it can be added again. */
static void test_port_ends(void **state)
{
	int end[2];

	(void)state;
	pair(SOCK_SEQPACKET, end);
	add(102, 2, end[0]);
	close(end[0]);
	close(end[1]);
	settle();
	assert_int_equal(v.port[2].fd, -1);
	put(port[0][1], 0xff, 0, 60, 1);
	put(port[0][1], 2, 0, 60, 2);
	settle();
	assert_true(take(port[1][1], 60, 1));
	assert_true(take(tap[1], 60, 1));
	nothing();
	assert_int_equal(v.port[2].counters.full, 2);
	add(102, 2, port[2][0]);
	put(port[0][1], 2, 0, 60, 3);
	settle();
	assert_true(take(port[2][1], 60, 3));
}

static void test_uplink_ends(void **state)
{
	(void)state;
	vswitch_drop_port(&v, ETHSW_UPLINK);
	put(port[0][1], 0xff, 0, 60, 1);
	put(port[0][1], 0xfe, 0, 60, 2);
	settle();
	assert_true(take(port[1][1], 60, 1));
	assert_true(take(port[2][1], 60, 1));
	nothing();
	assert_int_equal(v.port[ETHSW_UPLINK].counters.full, 2);
}

static void test_no_uplink(void **state)
{
	(void)state;
	teardown(state);
	memset(&v, 0, sizeof(v));
	pair(SOCK_SEQPACKET, control);
	pair(SOCK_SEQPACKET, tap);
	assert_true(vswitch_init(&v, control[0], -1));
	for (uint32_t i = 0; i < PORTS; i++) {
		pair(SOCK_SEQPACKET, port[i]);
		add(i, i, port[i][0]);
	}
	put(port[0][1], 0xfe, 0, 60, 1);
	put(port[0][1], 1, 0, 60, 2);
	settle();
	assert_true(take(port[1][1], 60, 2));
	nothing();
}

static void test_status(void **state)
{
	uint32_t reports = 0;
	struct timespec begin, now;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		put(port[0][1], 1, 0, 60, 1);
		settle();
		assert_true(take(port[1][1], 60, 1));
		while (ipc_receive(control[1], &message) > 0) {
			assert_int_equal(message.type, PM_STATUS_NET);
			reports++;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 <
		 1300);
	assert_true(reports >= 1 && reports <= 3);
	assert_true(vswitch_step(&v, 3000)); /* wakes by itself for the last one */
	assert_true(vswitch_step(&v, 0));
	assert_int_equal(ipc_receive(control[1], &message), 1);
	assert_int_equal(message.status_net.sent, v.total.sent);
	assert_int_equal(message.status_net.received, v.total.received);
	/* Nothing new: nothing said. */
	assert_true(vswitch_step(&v, 0));
	assert_int_equal(ipc_receive(control[1], &message), -1);
}

static void test_end(void **state)
{
	struct pm_plain stop = { { 0, 0 } };

	(void)state;
	assert_int_equal(ipc_send(control[1], PM_STOP, &stop, sizeof(stop), NULL, 0), 0);
	assert_false(vswitch_step(&v, 0));
	shutdown(control[1], SHUT_RDWR);
	assert_false(vswitch_step(&v, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_forward),     TEST(test_refused),   TEST(test_full),
		TEST(test_batches),     TEST(test_ports),     TEST(test_port_ends),
		TEST(test_uplink_ends), TEST(test_no_uplink), TEST(test_status),
		TEST(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
