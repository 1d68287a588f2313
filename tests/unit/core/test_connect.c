// SPDX-License-Identifier: MIT
/* Ports of the root, connections of children, messages that the root fetches. */
#include "tests/unit/core/core_child.h"

#define SIGNAL 0x5d
#define POST 0x5c
#define CREATE 0x95
#define DELETE 0x58
#define CONNECT 0x96
#define DISCONNECT 0x5b
#define RECEIVE 0x8e02
#define FAST (1ull << 16)

#define SIEF 0x700000ull
#define VECTOR 0x51

static struct partition *p, *other;

static int fresh(void **state)
{
	child_setup(state);
	for (uint32_t i = 0; i < 4; i++) {
		struct vp *r = root_vp(i);

		memset(fake_ram(SIEF + i * PAGE_SIZE), 0, PAGE_SIZE);
		assert_true(msr_write(r, 0x40000082, (SIEF + i * PAGE_SIZE) | 1));
		assert_true(msr_write(r, 0x40000090 + RD_ROOT_SINT, VECTOR));
		assert_true(msr_write(r, 0x40000080, 1));
		cpu_table[i].idle = 0;
		cpu_table[i].current = r;
	}
	fake_select(0);
	p = child_make(1, 1);
	other = child_make(1, 1);
	return 0;
}

static bool flag(uint32_t vp, uint32_t n)
{
	const uint8_t *m = fake_ram(SIEF + vp * PAGE_SIZE + RD_ROOT_SINT * 256);

	return (m[n / 8] >> (n % 8) & 1) != 0;
}

static bool flag_anywhere(uint32_t n)
{
	return flag(0, n) || flag(1, n) || flag(2, n) || flag(3, n);
}

static void flags_clear(void)
{
	memset(fake_ram(SIEF), 0, 4 * PAGE_SIZE);
}

static struct hv_create_port port_of(uint32_t n, uint32_t type, uint16_t base_flag)
{
	return (struct hv_create_port){ .port_partition = HV_SELF,
					.port = n,
					.connection_partition = p->id,
					.type = type,
					.sint = RD_ROOT_SINT,
					.vp = HV_ANY_VP,
					.base_flag = base_flag,
					.flag_count = 1 };
}

static unsigned create(uint32_t n, uint32_t type, uint16_t base_flag)
{
	struct hv_create_port q = port_of(n, type, base_flag);

	return STATUS(root_call(CREATE, &q, sizeof(q), NULL, 0));
}

static unsigned drop(uint32_t n)
{
	const struct hv_delete_port q = { PARTITION_ID_ROOT, n, 0 };

	return STATUS(root_call(DELETE, &q, sizeof(q), NULL, 0));
}

static struct hv_connect_port connect_of(uint32_t id, uint32_t n, uint32_t type)
{
	return (struct hv_connect_port){ .connection_partition = p->id,
					 .connection = id,
					 .port_partition = PARTITION_ID_ROOT,
					 .port = n,
					 .type = type };
}

static unsigned join(uint32_t id, uint32_t n, uint32_t type)
{
	struct hv_connect_port q = connect_of(id, n, type);

	return STATUS(root_call(CONNECT, &q, sizeof(q), NULL, 0));
}

static unsigned leave(uint64_t partition, uint32_t id)
{
	const struct hv_disconnect_port q = { partition, id, 0 };

	return STATUS(root_call(DISCONNECT, &q, sizeof(q), NULL, 0));
}

static unsigned signal_event(struct partition *from, uint32_t id)
{
	const struct hv_signal_event q = { id, 0, 0 };

	return STATUS(child_call(from->vp[0], SIGNAL | FAST, &q, sizeof(q)));
}

static unsigned post(struct partition *from, uint32_t id, uint32_t type, uint8_t fill,
		     uint32_t size)
{
	struct hv_post_message q = { id, 0, type, size, { 0 } };

	memset(q.payload, fill, sizeof(q.payload));
	return STATUS(child_call(from->vp[0], POST, &q, sizeof(q)));
}

static unsigned receive(uint32_t n, struct hv_message *m)
{
	const struct rd_receive_message q = { n, 0 };

	return STATUS(root_call(RECEIVE, &q, sizeof(q), m, sizeof(*m)));
}

static void test_event(void **state)
{
	(void)state;
	assert_int_equal(create(7, HV_PORT_EVENT, 1234), HV_SUCCESS);
	assert_int_equal(signal_event(p, 5), HV_INVALID_CONNECTION_ID);
	assert_int_equal(join(5, 7, HV_PORT_EVENT), HV_SUCCESS);
	assert_int_equal(signal_event(p, 5), HV_SUCCESS);
	assert_true(flag_anywhere(1234));
	flags_clear();
	assert_int_equal(signal_event(other, 5), HV_INVALID_CONNECTION_ID);
	assert_int_equal(signal_event(p, 6), HV_INVALID_CONNECTION_ID);
	assert_int_equal(signal_event(p, 0), HV_INVALID_CONNECTION_ID);
	assert_int_equal(signal_event(p, 0x01000005), HV_INVALID_CONNECTION_ID);
	assert_int_equal(post(p, 5, 1, 0, 8), HV_INVALID_CONNECTION_ID); /* not for messages */
	assert_false(flag_anywhere(1234));
	assert_int_equal(leave(other->id, 5), HV_INVALID_CONNECTION_ID);
	assert_int_equal(leave(p->id, 5), HV_SUCCESS);
	assert_int_equal(leave(p->id, 5), HV_INVALID_CONNECTION_ID);
	assert_int_equal(leave(p->id, 0), HV_INVALID_CONNECTION_ID);
	assert_int_equal(signal_event(p, 5), HV_INVALID_CONNECTION_ID);
	assert_int_equal(drop(7), HV_SUCCESS);
	assert_int_equal(drop(7), HV_INVALID_PORT_ID);
}

/* Fields that must be zero; and the root, which may call, has no connection. */
static void test_signal_refused(void **state)
{
	struct hv_signal_event q = { 5, 1, 0 };

	(void)state;
	assert_int_equal(create(7, HV_PORT_EVENT, 3), HV_SUCCESS);
	assert_int_equal(join(5, 7, HV_PORT_EVENT), HV_SUCCESS);
	assert_int_equal(STATUS(child_call(p->vp[0], SIGNAL | FAST, &q, 8)), HV_INVALID_PARAMETER);
	q = (struct hv_signal_event){ 5, 0, 1 };
	assert_int_equal(STATUS(child_call(p->vp[0], SIGNAL | FAST, &q, 8)), HV_INVALID_PARAMETER);
	q = (struct hv_signal_event){ 5, 0, 0 };
	assert_int_equal(STATUS(child_call(p->vp[0], SIGNAL, &q, 8)), HV_SUCCESS); /* by memory */
	root_refused(HV_INVALID_CONNECTION_ID, SIGNAL | FAST, &q, 8);
	assert_int_equal(drop(7), HV_SUCCESS);
}

/* An interrupt comes with the first flag, not with one that was set already. */
static void test_event_target(void **state)
{
	struct hv_create_port q = port_of(9, HV_PORT_EVENT, 0);

	(void)state;
	q.vp = 2;
	assert_int_equal(root_call(CREATE, &q, sizeof(q), NULL, 0), HV_SUCCESS);
	assert_int_equal(join(1, 9, HV_PORT_EVENT), HV_SUCCESS);
	assert_int_equal(signal_event(p, 1), HV_SUCCESS);
	assert_true(flag(2, 0) && !flag(0, 0) && !flag(1, 0) && !flag(3, 0));
	assert_true((root_vp(2)->apic.irr[VECTOR / 32] >> (VECTOR % 32) & 1) != 0);
	vlapic_claim(root_vp(2), VECTOR);
	assert_int_equal(signal_event(p, 1), HV_SUCCESS);
	assert_false((root_vp(2)->apic.irr[VECTOR / 32] >> (VECTOR % 32) & 1) != 0);
	/* Its CPU is offline: another one is told. */
	flags_clear();
	assert_true(msr_write(root_vp(2), 0x40000080, 0));
	assert_int_equal(signal_event(p, 1), HV_SUCCESS);
	assert_true(!flag(2, 0) && flag_anywhere(0));
	for (uint32_t i = 0; i < 4; i++) { /* nobody listens: not the child's trouble */
		assert_true(msr_write(root_vp(i), 0x40000080, 0));
	}
	flags_clear();
	assert_int_equal(signal_event(p, 1), HV_SUCCESS);
	assert_false(flag_anywhere(0));
	assert_int_equal(drop(9), HV_SUCCESS);
}

/* Where it costs nobody time: an idle CPU, unless the root runs here anyway. */
static void test_event_any(void **state)
{
	uint32_t here = p->vp[0]->cpu, idle = (here + 2) % 4;

	(void)state;
	assert_int_equal(create(9, HV_PORT_EVENT, 40), HV_SUCCESS);
	assert_int_equal(join(1, 9, HV_PORT_EVENT), HV_SUCCESS);
	cpu_table[here].current = NULL;
	cpu_table[idle].idle = 1;
	assert_int_equal(signal_event(p, 1), HV_SUCCESS);
	assert_true(flag(idle, 40) && !flag(here, 40));
	flags_clear();
	cpu_table[idle].idle = 1;
	root_vp(idle)->state = VP_WAIT_SIPI; /* offline: not that one */
	assert_int_equal(signal_event(p, 1), HV_SUCCESS);
	assert_true(flag(here, 40) && !flag(idle, 40));
	root_vp(idle)->state = VP_RUNNABLE;
	cpu_table[idle].idle = 0;
	assert_int_equal(drop(9), HV_SUCCESS);
}

static void test_messages(void **state)
{
	struct hv_message m;

	(void)state;
	assert_int_equal(create(1, HV_PORT_MESSAGE, 99), HV_SUCCESS);
	assert_int_equal(join(0xffffff, 1, HV_PORT_MESSAGE), HV_SUCCESS);
	assert_int_equal(receive(1, &m), HV_NOT_FOUND);
	for (unsigned round = 0; round < 3; round++) { /* the ring of the queue turns */
		for (unsigned i = 0; i < RD_PORT_MESSAGES; i++) {
			assert_int_equal(post(p, 0xffffff, 1 + i, (uint8_t)(i + round), 16 * i),
					 HV_SUCCESS);
			assert_true(flag_anywhere(99));
		}
		assert_int_equal(post(p, 0xffffff, 77, 0, 8), HV_INSUFFICIENT_BUFFERS);
		for (unsigned i = 0; i < RD_PORT_MESSAGES; i++) {
			assert_int_equal(receive(1, &m), HV_SUCCESS);
			assert_true(m.type == 1 + i && m.payload_size == 16 * i && m.flags == 0 &&
				    m.reserved == 0 && m.sender == 0xffffff);
			for (unsigned k = 0; k < HV_MESSAGE_PAYLOAD; k++) {
				assert_int_equal(m.payload[k],
						 k < 16 * i ? (uint8_t)(i + round) : 0);
			}
			if (i == 4) { /* room again */
				assert_int_equal(post(p, 0xffffff, 500, 0, 0), HV_SUCCESS);
			}
		}
		assert_int_equal(receive(1, &m), HV_SUCCESS);
		assert_int_equal(m.type, 500);
		assert_int_equal(receive(1, &m), HV_NOT_FOUND);
	}
	assert_int_equal(post(p, 0xffffff, 1, 1, HV_MESSAGE_PAYLOAD), HV_SUCCESS);
	assert_int_equal(drop(1), HV_SUCCESS); /* with what it holds */
	assert_int_equal(post(p, 0xffffff, 1, 1, 8), HV_INVALID_CONNECTION_ID);
	assert_int_equal(receive(1, &m), HV_INVALID_PORT_ID);
}

static void test_messages_refused(void **state)
{
	static const uint32_t types[] = { 0, 0x80000000u, HV_MESSAGE_TIMER, UINT32_MAX };
	struct hv_post_message q = { 3, 1, 1, 8, { 0 } };
	struct rd_receive_message r = { 2, 1 };
	struct hv_message m;

	(void)state;
	assert_int_equal(create(2, HV_PORT_MESSAGE, 5), HV_SUCCESS);
	assert_int_equal(create(3, HV_PORT_EVENT, 6), HV_SUCCESS);
	assert_int_equal(join(3, 2, HV_PORT_MESSAGE), HV_SUCCESS);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) { /* nothing that looks like ours */
		assert_int_equal(post(p, 3, types[i], 0, 8), HV_INVALID_PARAMETER);
	}
	assert_int_equal(post(p, 3, 1, 0, HV_MESSAGE_PAYLOAD + 1), HV_INVALID_PARAMETER);
	assert_int_equal(post(p, 3, 1, 0, UINT32_MAX), HV_INVALID_PARAMETER);
	assert_int_equal(STATUS(child_call(p->vp[0], POST, &q, sizeof(q))), HV_INVALID_PARAMETER);
	assert_int_equal(post(other, 3, 1, 0, 8), HV_INVALID_CONNECTION_ID);
	assert_int_equal(signal_event(p, 3), HV_INVALID_CONNECTION_ID); /* a message port */
	assert_int_equal(receive(2, &m), HV_NOT_FOUND);
	assert_int_equal(receive(3, &m), HV_INVALID_PORT_ID); /* an event port */
	root_refused(HV_INVALID_PARAMETER, RECEIVE, &r, sizeof(r));
	for (uint32_t n = 4; n != 0; n <<= 1) {
		assert_int_equal(receive(n, &m), HV_INVALID_PORT_ID);
	}
	assert_false(flag_anywhere(5));
	root_refused(HV_ACCESS_DENIED, POST, &q, sizeof(q));
	assert_int_equal(drop(2), HV_SUCCESS);
	assert_int_equal(drop(3), HV_SUCCESS);
}

static void test_create_refused(void **state)
{
	struct hv_create_port q;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		q = port_of(i == 0 ? 0 : 3, HV_PORT_MESSAGE, 4);
		q.port = i == 1 ? RD_PORT_MAX : i == 2 ? UINT32_MAX : q.port;
		q.port_partition = i == 3 ? 2 : i == 4 ? 0 : q.port_partition;
		q.port_vtl = i == 5;
		q.min_connection_vtl = i == 6;
		q.pad = i == 7;
		q.pad2 = i == 8;
		q.pad3 = i == 9;
		q.type = i == 10 ? 0 : i == 11 ? 3 : q.type;
		q.sint = i == 12 ? 2 : i == 13 ? HV_SINT_COUNT : q.sint;
		q.base_flag = i == 14 ? HV_EVENT_FLAGS : i == 15 ? UINT16_MAX : q.base_flag;
		q.flag_count = i == 16 ? 0 : i == 17 ? 2 : 1;
		q.vp = i == 18 ? 4 : i == 19 ? UINT32_MAX - 1 : HV_ANY_VP;
		root_refused(HV_INVALID_PARAMETER, CREATE, &q, sizeof(q));
	}
	q = port_of(3, HV_PORT_MESSAGE, 4);
	q.connection_partition = 0xdead;
	root_refused(HV_INVALID_PARTITION_ID, CREATE, &q, sizeof(q));
	q.connection_partition = PARTITION_ID_ROOT;
	root_refused(HV_INVALID_PARTITION_ID, CREATE, &q, sizeof(q));
	assert_int_equal(create(3, HV_PORT_MESSAGE, 4), HV_SUCCESS);
	q = port_of(3, HV_PORT_EVENT, 4);
	root_refused(HV_OBJECT_IN_USE, CREATE, &q, sizeof(q));
	q = port_of(3, HV_PORT_MESSAGE, 4);
	assert_int_equal(create(3, HV_PORT_MESSAGE, 4), HV_OBJECT_IN_USE);
	assert_int_equal(drop(3), HV_SUCCESS);
}

static void test_delete_refused(void **state)
{
	struct hv_delete_port q = { 2, 3, 0 };

	(void)state;
	assert_int_equal(create(3, HV_PORT_EVENT, 4), HV_SUCCESS);
	root_refused(HV_INVALID_PARAMETER, DELETE, &q, sizeof(q));
	q = (struct hv_delete_port){ HV_SELF, 3, 1 };
	root_refused(HV_INVALID_PARAMETER, DELETE, &q, sizeof(q));
	for (uint32_t n = 4; n != 0; n <<= 1) {
		q = (struct hv_delete_port){ HV_SELF, n, 0 };
		root_refused(HV_INVALID_PORT_ID, DELETE, &q, sizeof(q));
	}
	assert_int_equal(drop(3), HV_SUCCESS);
}

static void test_connect_refused(void **state)
{
	struct hv_connect_port q;
	struct hv_disconnect_port d = { 0, 5, 1 };

	(void)state;
	assert_int_equal(create(3, HV_PORT_EVENT, 4), HV_SUCCESS);
	for (unsigned i = 0; i < 8; i++) {
		q = connect_of(5, 3, HV_PORT_EVENT);
		q.connection = i == 0 ? 0 : i == 1 ? 1u << 24 : q.connection;
		q.connection_vtl = i == 2;
		q.pad[0] = i == 3;
		q.pad[1] = i == 4;
		q.pad[2] = i == 5;
		q.pad2 = i == 6;
		q.pad3 = i == 7;
		root_refused(HV_INVALID_PARAMETER, CONNECT, &q, sizeof(q));
	}
	q = connect_of(5, 0, HV_PORT_EVENT);
	root_refused(HV_INVALID_PORT_ID, CONNECT, &q, sizeof(q));
	for (uint32_t n = 4; n != 0; n <<= 1) {
		q = connect_of(5, n, HV_PORT_EVENT);
		root_refused(HV_INVALID_PORT_ID, CONNECT, &q, sizeof(q));
	}
	q = connect_of(5, 4, 0); /* no port, and the type that no port has */
	root_refused(HV_INVALID_PORT_ID, CONNECT, &q, sizeof(q));
	q = connect_of(5, 3, HV_PORT_MESSAGE);
	root_refused(HV_INVALID_PORT_ID, CONNECT, &q, sizeof(q));
	q = connect_of(5, 3, HV_PORT_EVENT);
	q.connection_partition = other->id; /* the port was not made for it */
	root_refused(HV_INVALID_PORT_ID, CONNECT, &q, sizeof(q));
	q.connection_partition = 0xdead;
	root_refused(HV_INVALID_PARTITION_ID, CONNECT, &q, sizeof(q));
	d.partition = p->id;
	root_refused(HV_INVALID_PARAMETER, DISCONNECT, &d, sizeof(d));
	d = (struct hv_disconnect_port){ 0xdead, 5, 0 };
	root_refused(HV_INVALID_PARTITION_ID, DISCONNECT, &d, sizeof(d));
	assert_int_equal(drop(3), HV_SUCCESS);
}

/* Ports are the root's only, and what is reserved is zero. */
static void test_connect_reserved(void **state)
{
	struct hv_connect_port q;

	(void)state;
	assert_int_equal(create(3, HV_PORT_EVENT, 4), HV_SUCCESS);
	q = connect_of(5, 3, HV_PORT_EVENT);
	q.info[23] = 1;
	root_refused(HV_INVALID_PARAMETER, CONNECT, &q, sizeof(q));
	q = connect_of(5, 3, HV_PORT_EVENT);
	q.port_partition = other->id;
	root_refused(HV_INVALID_PARAMETER, CONNECT, &q, sizeof(q));
	assert_int_equal(drop(3), HV_SUCCESS);
}

static void test_connection_slots(void **state)
{
	struct hv_connect_port q;

	(void)state;
	assert_int_equal(create(3, HV_PORT_EVENT, 4), HV_SUCCESS);
	for (uint32_t i = 1; i <= PARTITION_CONNECTIONS; i++) {
		assert_int_equal(join(i * 3, 3, HV_PORT_EVENT), HV_SUCCESS);
		q = connect_of(i * 3, 3, HV_PORT_EVENT);
		root_refused(HV_OBJECT_IN_USE, CONNECT, &q, sizeof(q));
	}
	q = connect_of(1, 3, HV_PORT_EVENT);
	root_refused(HV_NO_RESOURCES, CONNECT, &q, sizeof(q));
	assert_int_equal(leave(p->id, 30), HV_SUCCESS);
	assert_int_equal(join(1, 3, HV_PORT_EVENT), HV_SUCCESS);
	for (uint32_t i = 1; i <= PARTITION_CONNECTIONS; i++) {
		assert_int_equal(signal_event(p, i * 3), i == 10 ? HV_INVALID_CONNECTION_ID : 0);
	}
	assert_int_equal(drop(3), HV_SUCCESS);
}

/* A connection whose port is made again for somebody else leads nowhere. */
static void test_port_reused(void **state)
{
	struct hv_create_port q = port_of(3, HV_PORT_EVENT, 8);

	(void)state;
	assert_int_equal(create(3, HV_PORT_EVENT, 4), HV_SUCCESS);
	assert_int_equal(join(5, 3, HV_PORT_EVENT), HV_SUCCESS);
	assert_int_equal(drop(3), HV_SUCCESS);
	q.connection_partition = other->id;
	assert_int_equal(root_call(CREATE, &q, sizeof(q), NULL, 0), HV_SUCCESS);
	assert_int_equal(signal_event(p, 5), HV_INVALID_CONNECTION_ID);
	assert_false(flag_anywhere(8));
	/* Likewise after the end of the one it was made for: ports and connections go with it. */
	child_delete(other->id);
	assert_int_equal(drop(3), HV_INVALID_PORT_ID);
}

static void test_goes_with_partition(void **state)
{
	(void)state;
	for (uint32_t i = 1; i < 40; i++) {
		assert_int_equal(create(i * 7, i % 2 != 0 ? HV_PORT_MESSAGE : HV_PORT_EVENT, 4),
				 HV_SUCCESS);
		assert_int_equal(join(i, i * 7, i % 2 != 0 ? HV_PORT_MESSAGE : HV_PORT_EVENT),
				 HV_SUCCESS);
	}
	assert_int_equal(post(p, 1, 1, 1, 100), HV_SUCCESS);
	child_delete(p->id); /* the teardown looks for what is left */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, child_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_event),
		TEST(test_signal_refused),
		TEST(test_event_target),
		TEST(test_event_any),
		TEST(test_messages),
		TEST(test_messages_refused),
		TEST(test_create_refused),
		TEST(test_delete_refused),
		TEST(test_connect_refused),
		TEST(test_connect_reserved),
		TEST(test_connection_slots),
		TEST(test_port_reused),
		TEST(test_goes_with_partition),
	};

	return cmocka_run_group_tests(tests, boot_machine, NULL);
}
