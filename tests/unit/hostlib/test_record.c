/* SPDX-License-Identifier: MIT */
/* Records of the traffic: off by default, cut, counted where they do not fit, over when nobody listens. */
#include "tests/unit/hostlib/hostlib_test.h"

#include "hv/host/lib/record.h"

static struct ipc_message m;
static int control[2], records[2];
static unsigned before;

struct got {
	struct record_head head;
	uint8_t bytes[RECORD_BYTES_MAX + 1];
};
static struct got got;

static int setup(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	before = open_descriptors();
	pair(SOCK_SEQPACKET, control);
	pair(SOCK_SEQPACKET, records);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(control[0]);
	close(control[1]);
	if (records[1] >= 0) {
		close(records[1]);
	}
	record(RECORD_MESSAGE, 0, "", 0); /* finds that nobody listens */
	assert_false(record_on());
	return open_descriptors() == before ? 0 : -1;
}

static void begin(uint32_t index)
{
	struct pm_record start = { .index = index };

	assert_int_equal(ipc_send(control[0], PM_RECORD, &start, sizeof(start), &records[0], 1), 0);
	assert_int_equal(ipc_receive(control[1], &m), 1);
	assert_int_equal(m.type, PM_RECORD);
	record_start(&m, RECORD_NETVSP);
	ipc_drop_fds(&m);
	close(records[0]);
	assert_true(record_on());
}

static ssize_t take(void)
{
	return recv(records[1], &got, sizeof(got), MSG_DONTWAIT);
}

static void test_off(void **state)
{
	(void)state;
	assert_false(record_on());
	record(RECORD_MESSAGE, 1, "abc", 3);
	assert_int_equal(take(), -1);
	close(records[0]);
}

static void test_record(void **state)
{
	static uint8_t large[RECORD_BYTES_MAX + 100];

	(void)state;
	begin(2);
	record(RECORD_RNDIS, 7, "abc", 3);
	assert_int_equal(take(), sizeof(got.head) + 3);
	assert_int_equal(got.head.device, RECORD_NETVSP);
	assert_int_equal(got.head.index, 2);
	assert_int_equal(got.head.kind, RECORD_RNDIS);
	assert_int_equal(got.head.unit, 7);
	assert_int_equal(got.head.length, 3);
	assert_int_equal(got.head.lost, 0);
	assert_memory_equal(got.bytes, "abc", 3);
	record(RECORD_FROM_GUEST, 0, large, sizeof(large));
	assert_int_equal(take(), sizeof(got.head) + RECORD_BYTES_MAX);
	assert_int_equal(got.head.length, sizeof(large));
}

static void test_full(void **state)
{
	static const uint8_t large[RECORD_BYTES_MAX];
	uint32_t sent = 0, taken = 0;

	(void)state;
	begin(0);
	for (; sent < 10000; sent++) { /* never waits */
		record(RECORD_FROM_GUEST, 0, large, sizeof(large));
	}
	while (take() > 0) {
		assert_int_equal(got.head.lost, 0);
		taken++;
	}
	assert_true(taken > 0 && taken < sent);
	record(RECORD_FROM_GUEST, 0, large, 1);
	assert_int_equal(take(), sizeof(got.head) + 1);
	assert_int_equal(got.head.lost, sent - taken);
}

static void test_listener_gone(void **state)
{
	(void)state;
	begin(0);
	close(records[1]);
	records[1] = -1;
	record(RECORD_MESSAGE, 1, "abc", 3);
	assert_false(record_on());
}

static void test_again(void **state)
{
	int first = records[1];

	(void)state;
	begin(0);
	pair(SOCK_SEQPACKET, records);
	begin(1); /* the first one is closed */
	assert_int_equal(recv(first, &got, sizeof(got), MSG_DONTWAIT), 0);
	close(first);
	record(RECORD_MESSAGE, 1, "abc", 3);
	assert_int_equal(take(), sizeof(got.head) + 3);
	assert_int_equal(got.head.index, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listener_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
