// SPDX-License-Identifier: MIT
/* The loop with a fake redoubt.ko: port accesses, the console, how a guest ends. */
#include "tests/unit/wire/wire_test.h"
#include "tests/unit/vmworker/fake.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hv/host/lib/record.h"
#include "hv/host/vmworker/acpi.h"
#include "hv/host/vmworker/vmbus.h"

static struct pm_config_worker config;
static unsigned at;

static union {
	struct hv_intercept_header header;
	struct hv_memory_intercept memory;
	struct hv_io_port_intercept port;
} end_with;

static void port_is(uint16_t port, uint8_t v, uint8_t info)
{
	memset(&end_with, 0, sizeof(end_with));
	end_with.port.header.length = 1;
	end_with.port.header.access = 1;
	end_with.port.header.rip = 0xffffffff81234567ull;
	end_with.port.access_info = info;
	end_with.port.port = port;
	end_with.port.rax = v;
}

static int set_up(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	config.memory_bytes = 64 << 20;
	config.vp_count = 2;
	fake_start(2);
	worker_vmbus_init(&fake.w, &config, NULL);
	at = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_end();
	return 0;
}

/* --- output --- */

static const char *say;

static void say_step(void)
{
	if (fake_waits(0)) {
		return;
	}
	if (at > 0) {
		assert_int_equal(fake.run.length, 1);
		assert_int_equal(fake.run.flags, 0);
	}
	if (say[at] != '\0') {
		fake_port(0, true, 0x3f8, (uint8_t)say[at++]);
	} else if (fake.w.console.count == 0) { /* the unfinished line is gone, too */
		fake_stop();
	}
}

static void test_output(void **state)
{
	char got[64];

	(void)state;
	say = "hello\nlogin: ";
	fake_loop(say_step);
	assert_int_equal(fake_console(got, sizeof(got)), 13);
	assert_memory_equal(got, say, 13);
	assert_int_equal(fake.runs, 13);
	assert_null(fake_status());
}

/* Nobody reads: the guest goes on, the oldest is dropped, and the console is told how much. */
#define FLOOD 1200000u
static uint32_t flood_got, flood_next, flood_lost;
static char flood_notice[64];
static uint32_t flood_notice_at;

static uint8_t flood_byte(uint32_t i)
{
	return (uint8_t)('A' + i % 53 % 26);
}

static void flood_step(void)
{
	char got[4096];
	uint32_t n;

	fake.steps = 0;
	if (at < FLOOD) {
		if (!fake_waits(0)) {
			fake_port(0, true, 0x3f8, flood_byte(at++));
		}
		return;
	}
	while ((n = fake_console(got, sizeof(got))) != 0) {
		for (uint32_t i = 0; i < n; i++) {
			if (got[i] == '\r' || flood_notice_at != 0) {
				flood_notice[flood_notice_at++] = got[i];
				if (flood_notice_at > 2 && got[i] == '\n') {
					assert_int_equal(sscanf(flood_notice,
								"\r\n[%u bytes of output lost]",
								&flood_lost),
							 1);
					flood_next += flood_lost;
					flood_notice_at = 0;
				}
				continue;
			}
			assert_int_equal(got[i], flood_byte(flood_next++));
			flood_got++;
		}
	}
	if (fake.w.console.count == 0) {
		fake_stop();
	}
}

static void test_flood(void **state)
{
	(void)state;
	flood_got = flood_next = flood_lost = flood_notice_at = 0;
	fake_loop(flood_step);
	assert_int_equal(fake.runs, FLOOD);
	assert_true(flood_lost != 0);
	assert_int_equal(flood_got + flood_lost, FLOOD);
	assert_true(flood_got >= CONSOLE_OUT_BYTES);
}

static void gone_step(void)
{
	if (at == 0) {
		(void)close(fake.console);
	}
	if (fake_waits(0)) {
		return;
	}
	if (at < 3000) {
		fake_port(0, true, 0x3f8, '\n');
		at++;
	} else {
		fake_stop();
	}
}

/* The console process's end is closed: no busy loop (STEPS_MAX), no wait, no memory. */
static void test_console_gone(void **state)
{
	(void)state;
	fake_loop(gone_step);
	assert_true(fake.w.console.gone);
	assert_int_equal(fake.w.console.count, 0);
	assert_int_equal(fake.runs, 3000);
	fake.console = dup(0);
}

/* --- input --- */

static char typed[1024];
static uint32_t typed_got;

static void input_step(void)
{
	if (at == 0) { /* FIFO on, then the line is idle */
		fake_port(0, true, 0x3fa, 1);
		at = 1;
	} else if (at == 1 && !fake_waits(0)) {
		assert_int_equal(write(fake.console, typed, sizeof(typed)), sizeof(typed));
		at = 2;
	} else if (at == 2 && fake.w.ports.uart.rx_count != 0) {
		fake_port(0, false, 0x3fd, 0);
		at = 3;
	} else if (at == 3 && !fake_waits(0)) {
		assert_int_equal(fake.run.flags, RD_RUN_RAX);
		assert_int_equal(fake.run.rax & 1, 1);
		fake_port(0, false, 0x3f8, 0xabcd00);
		at = 4;
	} else if (at == 4 && !fake_waits(0)) {
		assert_int_equal(fake.run.rax, 0xabcd00u | (uint8_t)typed[typed_got]);
		if (++typed_got == sizeof(typed)) {
			fake_stop();
		} else {
			fake_port(0, false, 0x3fd, 0);
			at = 3;
		}
	}
}

static void test_input(void **state)
{
	(void)state;
	typed_got = 0;
	for (uint32_t i = 0; i < sizeof(typed); i++) {
		typed[i] = (char)(i * 31 % 127);
	}
	fake_loop(input_step);
	assert_int_equal(typed_got, sizeof(typed));
}

static void pending_step(void)
{
	if (at == 0) {
		assert_int_equal(write(fake.console, typed, sizeof(typed)), sizeof(typed));
		at = 1;
	} else if (at == 1 && fake.w.console.in_count != 0) {
		(void)close(fake.console);
		fake_port(0, true, 0x3f8, '\n');
		at = 2;
	} else if (at == 2 && !fake_waits(0)) {
		fake_stop();
	}
}

/* The console process ends, and the guest does not read what was typed: what cannot be masked is not waited for. */
static void test_console_gone_while_typed(void **state)
{
	struct epoll_event e = { .events = 0 };

	(void)state;
	fake_loop(pending_step);
	assert_int_not_equal(fake.w.console.in_count, 0);
	assert_int_equal(epoll_ctl(fake.w.epoll, EPOLL_CTL_MOD, fake.w.console.fd, &e), -1);
	assert_int_equal(errno, ENOENT);
	fake.console = dup(0);
}

/* --- writes that stop nobody --- */

static void posted_step(void)
{
	switch (at++) {
	case 0:
		for (const char *c = "posted "; *c != '\0'; c++) {
			fake_posted((uint8_t)*c);
		}
		fake_posted_told();
		break;
	case 1: /* what was posted before an intercept, by whatever VP, comes before it */
		assert_int_equal(fake.posted.consumer, 7);
		assert_int_equal(fake.runs, 0);
		fake_posted('a');
		fake_posted('b');
		fake_port(1, true, 0x3f8, 'c');
		break;
	case 2:
		assert_false(fake_waits(1));
		for (unsigned i = 0; i < HV_POSTED_ENTRIES; i++) {
			fake_posted('x');
		}
		fake_port(0, true, 0x3f8, 'y'); /* it was full */
		break;
	case 3:
		assert_false(fake_waits(0));
		fake_posted('!');
		port_is(ACPI_PORT_SLEEP_CONTROL, 5 << 2 | 0x20, 1);
		fake_intercept(0, HV_MESSAGE_IO_PORT, &end_with, sizeof(end_with));
		break;
	default:
		fake_stop();
		break;
	}
}

static void test_posted(void **state)
{
	char got[256];

	(void)state;
	fake_loop(posted_step);
	assert_int_equal(fake.runs, 2);
	assert_int_equal(fake_status()->guest, PM_GUEST_OFF);
	assert_int_equal(fake_console(got, sizeof(got)), 10 + HV_POSTED_ENTRIES + 2);
	assert_memory_equal(got, "posted abcxxx", 13);
	assert_memory_equal(got + 10 + HV_POSTED_ENTRIES - 1, "xy!", 3);
}

static bool quick(void)
{
	bool yes = fake.data.how == RD_PORTS_POSTED_WRITE;

	assert_int_equal(fake.data.value, 0);
	assert_int_equal(fake.status.how, yes ? RD_PORTS_CONSTANT_READ : 0);
	assert_int_equal(fake.status.value, yes ? 0x60 : 0);
	return yes;
}

#define STEPS 12
/* Every state in which a write or the status means something else. */
static void quick_step(void)
{
	static const struct {
		bool write;
		uint16_t port;
		uint8_t v;
		bool quick;
	} steps[STEPS] = {
		{ true, 0x3fa, 1, true },    { true, 0x3fb, 0x83, false },
		{ true, 0x3f8, 1, false },   { true, 0x3fb, 0x03, true },
		{ true, 0x3f9, 0x0f, true }, { true, 0x3fc, 0x1f, false },
		{ true, 0x3f8, 'l', false }, { true, 0x3fc, 0x0b, false },
		{ false, 0x3fd, 0, false },  { false, 0x3f8, 0, true },
		{ false, 0x3fa, 0, true },   { false, 0x3fd, 0, true },
	};

	if (at > 0 && at <= STEPS) {
		assert_false(fake_waits(0));
		assert_int_equal(quick(), steps[at - 1].quick);
	}
	if (at < STEPS) {
		fake_port(0, steps[at].write, steps[at].port, steps[at].v);
	} else if (at == STEPS) {
		assert_int_equal(write(fake.console, "in", 2), 2);
	} else if (at == STEPS + 1) { /* input has come: the status is ours */
		assert_false(quick());
		fake_port(0, false, 0x3f8, 0);
	} else if (at == STEPS + 2) {
		assert_int_equal(fake.run.rax, 'i');
		assert_false(quick());
		fake_port(0, false, 0x3f8, 0);
	} else {
		assert_int_equal(fake.run.rax, 'n');
		assert_true(quick());
		fake_stop();
	}
	at++;
}

static void test_quick(void **state)
{
	(void)state;
	assert_true(quick());
	assert_int_equal(fake.port_calls, 2);
	fake_loop(quick_step);
	assert_int_equal(fake.port_calls, 2 * 7); /* only when it changes */
	assert_int_equal(fake.stops, 0);
}

static void ports_fail_step(void)
{
	if (at++ == 0) {
		fake_port(0, true, 0x3fb, 0x83);
	} else {
		fake_stop();
	}
}

static void test_ports_fail(void **state)
{
	(void)state;
	fake.ports_error = EIO;
	fake_loop(ports_fail_step);
	assert_int_equal(fake_status()->guest, PM_GUEST_FAILED);
	assert_string_equal(fake_status()->text, "ports cannot be set: error 5");
	assert_int_equal(fake.runs, 0); /* of a partition that is stopped */
	(void)tear_down(NULL);
	(void)set_up(NULL);
	fake.ports_error = ENODEV; /* the partition was stopped: that is told in another way */
	fake_loop(ports_fail_step);
	assert_null(fake_status());
}

/* --- two VPs --- */

static void two_step(void)
{
	if (at == 0) {
		fake_port(0, true, 0x3f8, 'a');
		fake_port(1, true, 0x3ff, 1);
		at = 1;
	} else if (!fake_waits(0) && !fake_waits(1)) {
		fake_stop();
	}
}

static void test_two_vps(void **state)
{
	(void)state;
	fake_loop(two_step);
	assert_int_equal(fake.runs, 2);
}

/* --- the end --- */

static uint32_t end_type;
static void end_step(void)
{
	if (at == 0) {
		fake_port(0, true, 0x3f8, 'z'); /* an unfinished line is still sent */
		at = 1;
	} else if (at == 1 && !fake_waits(0)) {
		fake_intercept(1, end_type, &end_with, sizeof(end_with));
		at = 2;
	} else if (at == 2 && fake_status() != NULL) {
		/* The other VP's intercept and the guest's words are not heard any more. */
		fake_intercept(0, HV_MESSAGE_IO_PORT, &end_with, sizeof(end_with));
		fake_guest_says("12345678", 8);
		fake_stop();
	}
}

static void ends(uint32_t type, enum pm_guest how, const char *text)
{
	char got[8];

	(void)tear_down(NULL);
	(void)set_up(NULL);
	end_type = type;
	fake_loop(end_step);
	assert_int_equal(fake_status()->guest, how);
	assert_string_equal(fake_status()->text, text);
	assert_int_equal(fake.runs, 1);
	assert_int_equal(fake.stops, 1);
	assert_int_equal(fake_console(got, sizeof(got)), 1);
}

static void test_ends(void **state)
{
	(void)state;
	port_is(ACPI_PORT_SLEEP_CONTROL, 5 << 2 | 0x20, 1);
	ends(HV_MESSAGE_IO_PORT, PM_GUEST_OFF, "VP 1 powered the guest off");
	port_is(ACPI_PORT_RESET, ACPI_RESET_VALUE, 1);
	ends(HV_MESSAGE_IO_PORT, PM_GUEST_RESET, "VP 1 asked for a reset");
	port_is(0x3f8, 0, 1 | 8);
	ends(HV_MESSAGE_IO_PORT, PM_GUEST_CRASHED,
	     "VP 1: string I/O to a port 0x3f8 at rip 0xffffffff81234567");
	port_is(0x3f8, 0, 3);
	ends(HV_MESSAGE_IO_PORT, PM_GUEST_CRASHED,
	     "VP 1: malformed port access 0x3f8 at rip 0xffffffff81234567");
	memset(&end_with, 0, sizeof(end_with));
	end_with.header.rip = 0x1234;
	ends(HV_MESSAGE_UNRECOVERABLE, PM_GUEST_CRASHED,
	     "VP 1: triple fault or impossible state at rip 0x1234");
	ends(HV_MESSAGE_TIMER, PM_GUEST_CRASHED,
	     "VP 1: unexpected intercept 0x80000010 at rip 0x1234");
	end_with.memory.gpa = 0xfed00000;
	end_with.header.access = 1;
	ends(HV_MESSAGE_UNMAPPED_GPA, PM_GUEST_CRASHED,
	     "VP 1 wrote outside its memory: address 0xfed00000 at rip 0x1234");
	end_with.header.access = 200;
	ends(HV_MESSAGE_UNMAPPED_GPA, PM_GUEST_CRASHED,
	     "VP 1 was outside its memory: address 0xfed00000 at rip 0x1234");
}

static void halt_step(void)
{
	if (at == 0) {
		fake_port(0, true, 0x3f8, 'z');
		at = 1;
	} else if (at == 1 && !fake_waits(0)) {
		fake_intercept(1, HV_MESSAGE_HALT, &end_with, sizeof(end_with.header));
		at = 2;
	} else if (at == 2 && fake_status() != NULL) {
		fake_stop();
	}
}

/* The manager hears of it; nothing is stopped, and nothing goes on. */
static void test_halted(void **state)
{
	char got[8];

	(void)state;
	memset(&end_with, 0, sizeof(end_with));
	end_with.header.rip = 0x1234;
	fake_loop(halt_step);
	assert_int_equal(fake_status()->guest, PM_GUEST_HALTED);
	assert_string_equal(fake_status()->text,
			    "VP 1: halted for ever, interrupts off at rip 0x1234");
	assert_int_equal(fake.runs, 1);
	assert_int_equal(fake.stops, 0);
	assert_false(fake.w.ended);
	assert_int_equal(fake_console(got, sizeof(got)), 1);
}

static void failing_step(void)
{
	if (at == 0) {
		fake.run_error = EIO;
		fake_port(0, true, 0x80, 0);
		at = 1;
	} else if (fake_status() != NULL) {
		fake_stop();
	}
}

static void test_run_fails(void **state)
{
	(void)state;
	fake_loop(failing_step);
	assert_int_equal(fake_status()->guest, PM_GUEST_FAILED);
	assert_string_equal(fake_status()->text, "VP 0 cannot be run: error 5");
	assert_int_equal(fake.stops, 1);
}

/* The manager does not read for a while: its status is not lost. */
static void deaf_step(void)
{
	static uint8_t bytes[1024];

	if (at == 0) {
		while (send(IPC_CONTROL_FD, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
		}
		port_is(ACPI_PORT_RESET, ACPI_RESET_VALUE, 1);
		fake_intercept(0, HV_MESSAGE_IO_PORT, &end_with, sizeof(end_with.port));
		at = 1;
	} else if (at == 1 && fake.w.ended) {
		assert_true(fake.w.status_due);
		while (recv(fake.manager, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
		}
		at = 2;
	} else if (at == 2 && fake_status() != NULL) {
		fake_stop();
	}
}

static void test_deaf_manager(void **state)
{
	(void)state;
	fake_loop(deaf_step);
	assert_int_equal(fake_status()->guest, PM_GUEST_RESET);
}

static void orphan_step(void)
{
	(void)shutdown(fake.manager, SHUT_RDWR);
}

static void test_no_manager(void **state)
{
	(void)state;
	fake_loop(orphan_step);
}

static void stopped_step(void)
{
	if (at == 0) {
		(void)close(fake.message); /* the message port is the first to be gone */
		at = 1;
	} else if (at == 1 && fake.w.ended) {
		fake_stop();
	}
}

/* A message descriptor that cannot be read is the end of the guest, not of the process. */
static void test_message_port_gone(void **state)
{
	(void)state;
	fake_loop(stopped_step);
	fake.message = dup(0);
	assert_int_equal(fake_status()->guest, PM_GUEST_FAILED);
}

/* --- a recording --- */

static int listener;
static struct {
	struct record_head head;
	struct hv_message m;
} recorded;

static void record_step(void)
{
	struct pm_record start = { .index = 0 };
	int pair[2];

	if (fake_waits(0)) {
		return;
	}
	if (at == 0) { /* nobody listens: the guest's calls are its own */
		assert_int_equal(fake.trace_calls, 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		assert_int_equal(ipc_send(fake.manager, PM_RECORD, &start, sizeof(start), pair, 1),
				 0);
		(void)close(pair[0]);
		listener = pair[1];
		at = 1;
	} else if (at == 1 && fake.traced == 1) {
		memset(&end_with, 0x5a, sizeof(end_with));
		fake_intercept(0, HV_MESSAGE_HYPERCALL, &end_with, sizeof(end_with));
		at = 2;
	} else if (at == 2 || at == 3) { /* it was let go on as it was */
		assert_int_equal(fake.run.length, 0);
		assert_int_equal(fake.run.flags, 0);
		assert_int_equal(recv(listener, &recorded, sizeof(recorded), MSG_DONTWAIT),
				 sizeof(recorded));
		assert_int_equal(recorded.head.kind, RECORD_INTERCEPT);
		assert_int_equal(recorded.m.type, at == 2 ? HV_MESSAGE_HYPERCALL : HV_MESSAGE_MSR);
		assert_memory_equal(recorded.m.payload, &end_with, sizeof(end_with));
		assert_int_equal(fake.trace_calls, 1);
		if (at == 3) {
			(void)close(listener);
		}
		fake_intercept(0, HV_MESSAGE_MSR, &end_with, sizeof(end_with));
		at++;
	} else if (at == 4) { /* nobody listens any more */
		assert_int_equal(fake.traced, 0);
		assert_int_equal(fake.trace_calls, 2);
		fake_stop();
		at = 5;
	}
}

static void test_recorded(void **state)
{
	(void)state;
	fake_loop(record_step);
	assert_int_equal(at, 5);
	assert_int_equal(fake.runs, 3);
	assert_false(record_on());
	assert_null(fake_status());
}

static void record_failing_step(void)
{
	if (at == 0) {
		fake.ports_error = EIO;
		record_step();
	} else if (fake_status() != NULL) {
		(void)close(listener);
		fake_stop();
	}
}

static void test_record_fails(void **state)
{
	(void)state;
	fake_loop(record_failing_step);
	assert_int_equal(fake_status()->guest, PM_GUEST_FAILED);
	assert_string_equal(fake_status()->text, "its calls cannot be traced: error 5");
	record(RECORD_MESSAGE, 0, "", 0); /* finds that nobody listens */
	assert_false(record_on());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_output),       TEST(test_flood),
		TEST(test_console_gone), TEST(test_console_gone_while_typed),
		TEST(test_input),        TEST(test_two_vps),
		TEST(test_ends),         TEST(test_halted),
		TEST(test_run_fails),    TEST(test_deaf_manager),
		TEST(test_no_manager),   TEST(test_message_port_gone),
		TEST(test_posted),       TEST(test_quick),
		TEST(test_ports_fail),   TEST(test_recorded),
		TEST(test_record_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
