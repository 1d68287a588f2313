// SPDX-License-Identifier: MIT
/* Port accesses of every width at every device, and what RAX becomes. */
#include "tests/unit/wire/wire_test.h"

#include <time.h>

#include "hv/host/vmworker/acpi.h"
#include "hv/host/vmworker/ports.h"

static struct ports p;
static struct ports_result r;
#define JUNK 0x1122334455667788ull

static void access(bool write, uint32_t port, uint32_t size, uint64_t rax)
{
	struct hv_io_port_intercept a;

	memset(&a, 0, sizeof(a));
	a.header.access = write;
	a.header.length = 1;
	a.port = (uint16_t)port;
	a.access_info = (uint8_t)size;
	a.rax = rax;
	memset(&r, 0xa5, sizeof(r));
	ports_access(&p, &a, &r);
}

static uint64_t in(uint32_t port, uint32_t size)
{
	access(false, port, size, JUNK);
	assert_int_equal(r.event, PORTS_NOTHING);
	assert_true(r.read);
	assert_int_equal(r.sent, 0);
	return r.rax;
}

static void test_uart(void **state)
{
	(void)state;
	ports_init(&p);
	assert_int_equal(in(0x3fd, 1), (JUNK & ~0xffull) | 0x60);
	/* The hypervisor's answer, where it may give one, is the device's. */
	assert_true(ports_quick(&p));
	assert_int_equal(in(PORT_UART_STATUS, 1) & 0xff, PORTS_QUICK_STATUS);
	access(true, 0x3f8, 1, JUNK);
	assert_int_equal(r.event, PORTS_TRANSMITTED);
	assert_false(r.read);
	assert_int_equal(r.sent, 1);
	assert_int_equal(r.bytes[0], 0x88);
	access(true, 0x3ff, 1, 0x5a);
	assert_int_equal(r.event, PORTS_NOTHING);
	/* A word is two ports: LSR and MSR. A long clears the upper half of RAX; past the device are ones. */
	assert_int_equal(in(0x3fd, 2), (JUNK & ~0xffffull) | 0xb060);
	assert_int_equal(in(0x3fd, 4), 0xff5ab060);
	access(true, 0x3f8, 4, 0x0300004b); /* data, IER, FCR, LCR */
	assert_int_equal(r.event, PORTS_TRANSMITTED);
	assert_int_equal(r.sent, 1);
	assert_int_equal(r.bytes[0], 0x4b);
	assert_int_equal(in(0x3fb, 1) & 0xff, 3);
	access(true, 0x3f7, 2, 0x4c00); /* begins before it */
	assert_int_equal(r.sent, 1);
	assert_int_equal(r.bytes[0], 0x4c);
}

static unsigned clock_at(uint8_t index)
{
	unsigned v;

	access(true, 0x70, 1, JUNK << 8 | index);
	assert_int_equal(r.event, PORTS_NOTHING);
	v = (unsigned)(in(0x71, 1) & 0xff);
	return v / 16 * 10 + v % 16;
}

/* The host's time, whenever the second changes. */
static void test_clock(void **state)
{
	time_t before = time(NULL), t;
	struct tm tm = { 0 };

	(void)state;
	ports_init(&p);
	access(true, 0x70, 1, 0x0a);
	assert_int_equal(in(0x71, 1), (JUNK & ~0xffull) | 0x26);
	tm.tm_year = (int)(clock_at(0x32) * 100 + clock_at(9)) - 1900;
	tm.tm_mon = (int)clock_at(8) - 1;
	tm.tm_mday = (int)clock_at(7);
	tm.tm_hour = (int)clock_at(4);
	tm.tm_min = (int)clock_at(2);
	tm.tm_sec = (int)clock_at(0);
	t = timegm(&tm);
	assert_true(t >= before && t <= time(NULL));
	/* One word: the index, then the data of that index, which does not change. */
	access(true, 0x70, 2, 0xff0d);
	assert_int_equal(in(0x70, 2) & 0xffff, 0x80ff);
	assert_int_equal(in(0x71, 4) & 0xffffffff, 0xffffff80); /* past it are ones */
}

static void test_power(void **state)
{
	(void)state;
	ports_init(&p);
	assert_int_equal(in(ACPI_PORT_SLEEP_CONTROL, 1) & 0xff, 0);
	assert_int_equal(in(ACPI_PORT_SLEEP_STATUS, 1) & 0xff, 0);
	/* ACPICA clears WAK_STS, then writes type and enable: acpi_hw_extended_sleep(). */
	access(true, ACPI_PORT_SLEEP_STATUS, 1, 0x80);
	assert_int_equal(r.event, PORTS_NOTHING);
	for (uint32_t v = 0; v < 256; v++) {
		access(true, ACPI_PORT_SLEEP_CONTROL, 1, v);
		assert_int_equal(r.event,
				 (v & 0x20) != 0 && (v >> 2 & 7) == 5 ? PORTS_OFF : PORTS_NOTHING);
		access(true, ACPI_PORT_RESET, 1, v);
		assert_int_equal(r.event, v == ACPI_RESET_VALUE ? PORTS_RESET : PORTS_NOTHING);
	}
	assert_int_equal(in(ACPI_PORT_RESET, 1) & 0xff, 0);
	assert_int_equal(in(ACPI_PORT_RESET, 4), 0xffffff00);
}

static void test_elsewhere(void **state)
{
	(void)state;
	ports_init(&p);
	assert_int_equal(in(0x80, 1), JUNK | 0xff);
	assert_int_equal(in(0x80, 2), JUNK | 0xffff);
	assert_int_equal(in(0x80, 4), 0xffffffff);
	assert_int_equal(in(0xfffe, 4), 0xffffffff);
	access(true, 0xffff, 4, 0);
	assert_int_equal(r.event, PORTS_NOTHING);
	assert_int_equal(r.sent, 0);
}

static void test_refused(void **state)
{
	struct hv_io_port_intercept a;

	(void)state;
	ports_init(&p);
	for (uint32_t info = 0; info < 32; info++) {
		bool good = (info & 0x18) == 0 && (info == 1 || info == 2 || info == 4);
		bool string = (info & 8) != 0;

		access(true, 0x3f8, info, 'x');
		if (info >= 16 && !string) {
			continue; /* REP without a string: the size alone counts */
		}
		assert_int_equal(r.event, good ? PORTS_TRANSMITTED : PORTS_REFUSED);
		if (!good) {
			assert_string_equal(r.text, string ? "string I/O to a port"
							   : "malformed port access");
			assert_int_equal(r.sent, 0);
		}
	}
	memset(&a, 0, sizeof(a));
	a.access_info = 1;
	a.port = 0x3f8;
	ports_access(&p, &a, &r); /* no length: RIP would not move */
	assert_int_equal(r.event, PORTS_REFUSED);
	a.header.length = 1;
	a.header.access = 2;
	ports_access(&p, &a, &r);
	assert_int_equal(r.event, PORTS_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uart),    cmocka_unit_test(test_clock),
		cmocka_unit_test(test_power),   cmocka_unit_test(test_elsewhere),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
