/* SPDX-License-Identifier: MIT */
/* Messages of the processes: a good one of each type, then every size, number of descriptors and field that is not good. */
#include "tests/unit/wire/wire_test.h"

#include "hv/abi/tlfs.h"
#include "hv/wire/procmsg.h"

static union {
	struct pm_header header;
	struct pm_config_worker worker;
	struct pm_config_storvsp storvsp;
	struct pm_config_netvsp netvsp;
	struct pm_config_ic ic;
	struct pm_config_console console;
	struct pm_config_vswitch vswitch;
	struct pm_device_again again;
	struct pm_port port;
	struct pm_ic_shutdown shutdown;
	struct pm_link link;
	struct pm_status_worker status_worker;
	struct pm_status_ic status_ic;
	struct pm_gpadl gpadl;
	struct pm_channel channel;
	struct pm_config_hvsock hvsock;
	struct pm_report report;
	struct pm_report_wanted wanted;
	uint8_t bytes[PM_BYTES_MAX];
} m;

struct good {
	enum pm_type type;
	uint32_t size, fds;
};

static const struct good all[] = {
	{ PM_CONFIG_WORKER, sizeof(struct pm_config_worker), 6 },
	{ PM_CONFIG_STORVSP, sizeof(struct pm_config_storvsp), 5 },
	{ PM_CONFIG_NETVSP, sizeof(struct pm_config_netvsp), 4 },
	{ PM_CONFIG_IC, sizeof(struct pm_config_ic), 2 },
	{ PM_CONFIG_CONSOLE, sizeof(struct pm_config_console), 3 },
	{ PM_CONFIG_VSWITCH, sizeof(struct pm_config_vswitch), 0 },
	{ PM_DEVICE_AGAIN, sizeof(struct pm_device_again), 1 },
	{ PM_PORT_ADD, sizeof(struct pm_port), 1 },
	{ PM_PORT_REMOVE, sizeof(struct pm_port), 0 },
	{ PM_IC_SHUTDOWN, sizeof(struct pm_ic_shutdown), 0 },
	{ PM_STOP, sizeof(struct pm_plain), 0 },
	{ PM_LINK, sizeof(struct pm_link), 0 },
	{ PM_RECORD, sizeof(struct pm_record), 1 },
	{ PM_CONFIG_HVSOCK, sizeof(struct pm_config_hvsock), 2 },
	{ PM_REPORT, sizeof(struct pm_report), 1 },
	{ PM_REPORT_WANTED, sizeof(struct pm_report_wanted), 0 },
	{ PM_HANGUP, sizeof(struct pm_channel), 0 },
	{ PM_READY, sizeof(struct pm_plain), 0 },
	{ PM_STATUS_WORKER, sizeof(struct pm_status_worker), 0 },
	{ PM_STATUS_IC, sizeof(struct pm_status_ic), 0 },
	{ PM_STATUS_NET, sizeof(struct pm_status_net), 0 },
	{ PM_STATUS_DISK, sizeof(struct pm_status_disk), 0 },
	{ PM_STATUS_CONSOLE, sizeof(struct pm_status_console), 0 },
	{ PM_GPADL, sizeof(struct pm_gpadl) + 3 * 8, 0 },
	{ PM_OPEN, sizeof(struct pm_open), 1 },
	{ PM_CLOSE, sizeof(struct pm_channel), 0 },
	{ PM_GPADL_FREE, sizeof(struct pm_gpadl_free), 0 },
	{ PM_RESET, sizeof(struct pm_plain), 0 },
	{ PM_OPENED, sizeof(struct pm_channel), 0 },
	{ PM_CLOSED, sizeof(struct pm_channel), 0 },
	{ PM_GPADL_FREED, sizeof(struct pm_gpadl_free), 0 },
	{ PM_RESET_DONE, sizeof(struct pm_plain), 0 },
};

static const struct good *make(enum pm_type type)
{
	const struct good *g = all;

	while (g->type != type) {
		g++;
		assert_true(g < all + sizeof(all) / sizeof(all[0]));
	}
	memset(&m, 0, sizeof(m));
	m.header.type = type;
	m.header.size = g->size;
	switch (type) {
	case PM_CONFIG_WORKER:
		m.worker.memory_bytes = 64 << 20;
		m.worker.vp_count = 2;
		m.worker.device_count = 3;
		m.worker.socket_count = 2;
		m.worker.device[2].socket = 1;
		break;
	case PM_CONFIG_STORVSP:
		m.storvsp.memory_bytes = 64 << 20;
		m.storvsp.disk_count = 2;
		m.storvsp.disk[0].bytes = 512;
		m.storvsp.disk[1].read_only = 1;
		break;
	case PM_CONFIG_NETVSP:
		m.netvsp.memory_bytes = 4096;
		break;
	case PM_CONFIG_HVSOCK:
		m.hvsock.memory_bytes = 4096;
		break;
	case PM_REPORT_WANTED:
		m.wanted.nonce_size = PM_NONCE_MIN;
		break;
	case PM_CONFIG_IC:
		m.ic.memory_bytes = PM_MEMORY_MAX;
		break;
	case PM_STATUS_WORKER:
		m.status_worker.guest = PM_GUEST_RUNNING;
		break;
	case PM_GPADL:
		m.gpadl.pages = 3;
		m.gpadl.length = 8193;
		m.gpadl.offset = 4095;
		break;
	default:
		break;
	}
	return g;
}

/* An exactly sized copy, so that a read behind it is seen. */
static enum pm_type check(uint32_t size, uint32_t fds)
{
	uint8_t *copy = exact(&m, size);
	const char *why = "unset";
	enum pm_type type = procmsg_check(copy, size, fds, &why);

	assert_int_equal(type == PM_NONE, why != NULL);
	assert_true(why == NULL || strcmp(why, "unset") != 0);
	free(copy);
	return type;
}

static void test_sizes_and_fds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct good *g = make(all[i].type);

		if (check(g->size, g->fds) != g->type) {
			fail_msg("type %d is refused", g->type);
		}
		for (uint32_t fds = 0; fds <= PM_FDS_MAX; fds++) {
			assert_int_equal(check(g->size, fds), fds == g->fds ? g->type : PM_NONE);
		}
		for (uint32_t size = 0; size < g->size + 40; size++) {
			if (size >= sizeof(struct pm_header)) {
				m.header.size = g->size; /* what it says is not what came */
				assert_int_equal(check(size, g->fds),
						 size == g->size ? g->type : PM_NONE);
				m.header.size = size; /* it says what came */
			}
			assert_int_equal(check(size, g->fds), size == g->size ? g->type : PM_NONE);
		}
	}
}

static void test_types(void **state)
{
	(void)state;
	for (uint32_t type = 0; type < 70000; type++) {
		bool known = false;

		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
			known |= all[i].type == type;
		}
		if (!known) {
			memset(&m, 0, sizeof(m.worker));
			m.header.type = type;
			m.header.size = type % 256 + 8;
			assert_int_equal(check(m.header.size, 0), PM_NONE);
		}
	}
	make(PM_STOP);
	m.header.type |= 0x80000000u;
	assert_int_equal(check(m.header.size, 0), PM_NONE);
}

/* The field of a good message becomes something else. */
#define REFUSES(kind, field, value)                                     \
	do {                                                            \
		const struct good *g_ = make(kind);                     \
                                                                        \
		(field) = (value);                                      \
		if (check(g_->size, g_->fds) != PM_NONE) {              \
			fail_msg("%s: %s = %s", #kind, #field, #value); \
		}                                                       \
	} while (0)
#define TAKES(kind, field, value, want_fds)                             \
	do {                                                            \
		const struct good *g_ = make(kind);                     \
                                                                        \
		(field) = (value);                                      \
		if (check(g_->size, want_fds) != (kind)) {              \
			fail_msg("%s: %s = %s", #kind, #field, #value); \
		}                                                       \
	} while (0)

static void test_config_worker(void **state)
{
	(void)state;
	TAKES(PM_CONFIG_WORKER, m.worker.vp_count, HV_VP_MAX, 6);
	REFUSES(PM_CONFIG_WORKER, m.worker.vp_count, 0);
	REFUSES(PM_CONFIG_WORKER, m.worker.vp_count, HV_VP_MAX + 1);
	REFUSES(PM_CONFIG_WORKER, m.worker.memory_bytes, 0);
	REFUSES(PM_CONFIG_WORKER, m.worker.memory_bytes, 4095);
	REFUSES(PM_CONFIG_WORKER, m.worker.memory_bytes, PM_MEMORY_MAX + 4096);
	TAKES(PM_CONFIG_WORKER, m.worker.has_initrd, 1, 7);
	REFUSES(PM_CONFIG_WORKER, m.worker.has_initrd, 1); /* without its descriptor */
	REFUSES(PM_CONFIG_WORKER, m.worker.has_initrd, 2);
	TAKES(PM_CONFIG_WORKER, m.worker.measure, 1, 6);
	REFUSES(PM_CONFIG_WORKER, m.worker.measure, 2);
	assert_int_equal(check(sizeof(m.worker), 8), PM_NONE);
	TAKES(PM_CONFIG_WORKER, m.worker.socket_count, PM_DEVICES_MAX, 4 + PM_DEVICES_MAX);
	REFUSES(PM_CONFIG_WORKER, m.worker.socket_count, 3);
	REFUSES(PM_CONFIG_WORKER, m.worker.socket_count, 1); /* below what a device names */
	REFUSES(PM_CONFIG_WORKER, m.worker.socket_count, UINT32_MAX);
	REFUSES(PM_CONFIG_WORKER, m.worker.socket_count, UINT32_MAX - 3);
	TAKES(PM_CONFIG_WORKER, m.worker.device_count, PM_DEVICES_MAX, 6);
	REFUSES(PM_CONFIG_WORKER, m.worker.device_count, PM_DEVICES_MAX + 1);
	REFUSES(PM_CONFIG_WORKER, m.worker.device_count, UINT32_MAX);
	REFUSES(PM_CONFIG_WORKER, m.worker.device[0].socket, 2);
	TAKES(PM_CONFIG_WORKER, m.worker.device[3].socket, 2, 6); /* not in use */
	make(PM_CONFIG_WORKER);
	memset(m.worker.cmdline, 'a', sizeof(m.worker.cmdline));
	assert_int_equal(check(sizeof(m.worker), 6), PM_NONE);
	m.worker.cmdline[sizeof(m.worker.cmdline) - 1] = 0;
	assert_int_equal(check(sizeof(m.worker), 6), PM_CONFIG_WORKER);
}

static void test_config_devices(void **state)
{
	(void)state;
	TAKES(PM_CONFIG_STORVSP, m.storvsp.disk_count, 0, 3);
	TAKES(PM_CONFIG_STORVSP, m.storvsp.disk_count, PM_DISKS_MAX, 3 + PM_DISKS_MAX);
	REFUSES(PM_CONFIG_STORVSP, m.storvsp.disk_count, PM_DISKS_MAX + 1);
	REFUSES(PM_CONFIG_STORVSP, m.storvsp.disk_count, UINT32_MAX);
	REFUSES(PM_CONFIG_STORVSP, m.storvsp.memory_bytes, 4097);
	REFUSES(PM_CONFIG_STORVSP, m.storvsp.restarted, 2);
	REFUSES(PM_CONFIG_STORVSP, m.storvsp.disk[0].bytes, 511);
	REFUSES(PM_CONFIG_STORVSP, m.storvsp.disk[0].bytes, 1ull << 63);
	REFUSES(PM_CONFIG_STORVSP, m.storvsp.disk[1].read_only, 2);
	REFUSES(PM_CONFIG_STORVSP, m.storvsp.disk[1].reserved, 1);
	TAKES(PM_CONFIG_STORVSP, m.storvsp.disk[2].reserved, 1, 5); /* not in use */
	make(PM_CONFIG_STORVSP);
	memset(m.storvsp.disk[1].serial, 'x', sizeof(m.storvsp.disk[1].serial));
	assert_int_equal(check(sizeof(m.storvsp), 5), PM_NONE);
	m.storvsp.disk[1].serial[31] = 0;
	assert_int_equal(check(sizeof(m.storvsp), 5), PM_CONFIG_STORVSP);

	TAKES(PM_CONFIG_NETVSP, m.netvsp.restarted, 1, 4);
	REFUSES(PM_CONFIG_NETVSP, m.netvsp.restarted, 2);
	REFUSES(PM_CONFIG_NETVSP, m.netvsp.reserved, 1);
	REFUSES(PM_CONFIG_NETVSP, m.netvsp.memory_bytes, 0);
	REFUSES(PM_CONFIG_IC, m.ic.restarted, 2);
	REFUSES(PM_CONFIG_IC, m.ic.reserved, 1);
	REFUSES(PM_CONFIG_IC, m.ic.memory_bytes, UINT64_MAX);
	REFUSES(PM_CONFIG_CONSOLE, m.console.restarted, 2);
	REFUSES(PM_CONFIG_CONSOLE, m.console.reserved, 1);
	TAKES(PM_CONFIG_VSWITCH, m.vswitch.has_uplink, 1, 1);
	REFUSES(PM_CONFIG_VSWITCH, m.vswitch.has_uplink, 1); /* without its descriptor */
	REFUSES(PM_CONFIG_VSWITCH, m.vswitch.has_uplink, 2);
	REFUSES(PM_CONFIG_VSWITCH, m.vswitch.reserved, 1);
}

static void test_report_service(void **state)
{
	(void)state;
	TAKES(PM_CONFIG_WORKER, m.worker.service_count, PM_SERVICES_MAX, 6);
	REFUSES(PM_CONFIG_WORKER, m.worker.service_count, PM_SERVICES_MAX + 1);
	REFUSES(PM_CONFIG_WORKER, m.worker.service_count, UINT32_MAX);
	REFUSES(PM_CONFIG_WORKER, m.worker.reserved, 1);
	TAKES(PM_CONFIG_WORKER, m.worker.service[0].socket, 2, 6); /* not in use */
	make(PM_CONFIG_WORKER);
	m.worker.service_count = 1;
	m.worker.service[0].socket = 1;
	assert_int_equal(check(sizeof(m.worker), 6), PM_CONFIG_WORKER);
	m.worker.service[0].socket = 2;
	assert_int_equal(check(sizeof(m.worker), 6), PM_NONE);
	m.worker.service[0].socket = 1;
	m.worker.service[0].reserved = 1;
	assert_int_equal(check(sizeof(m.worker), 6), PM_NONE);

	TAKES(PM_CONFIG_HVSOCK, m.hvsock.restarted, 1, 2);
	REFUSES(PM_CONFIG_HVSOCK, m.hvsock.restarted, 2);
	REFUSES(PM_CONFIG_HVSOCK, m.hvsock.reserved, 1);
	REFUSES(PM_CONFIG_HVSOCK, m.hvsock.memory_bytes, 4095);
	TAKES(PM_REPORT, m.report.error, PM_REPORT_NO_AGENT, 0);
	TAKES(PM_REPORT, m.report.error, PM_REPORT_BUSY, 0);
	REFUSES(PM_REPORT, m.report.error, PM_REPORT_BUSY); /* beside a descriptor */
	TAKES(PM_REPORT, m.report.ticket, UINT32_MAX, 1);
	make(PM_REPORT);
	m.report.error = PM_REPORT_BUSY + 1;
	assert_int_equal(check(sizeof(m.report), 0), PM_NONE);
	REFUSES(PM_REPORT_WANTED, m.wanted.nonce_size, PM_NONCE_MIN - 1);
	REFUSES(PM_REPORT_WANTED, m.wanted.nonce_size, PM_NONCE_MAX + 1);
	REFUSES(PM_REPORT_WANTED, m.wanted.nonce_size, UINT32_MAX);
	REFUSES(PM_REPORT_WANTED, m.wanted.nonce[PM_NONCE_MIN], 1);
	REFUSES(PM_REPORT_WANTED, m.wanted.nonce[PM_NONCE_MAX - 1], 1);
	TAKES(PM_REPORT_WANTED, m.wanted.nonce[PM_NONCE_MIN - 1], 1, 0);
	make(PM_REPORT_WANTED);
	m.wanted.nonce_size = PM_NONCE_MAX;
	m.wanted.nonce[PM_NONCE_MAX - 1] = 1;
	assert_int_equal(check(sizeof(m.wanted), 0), PM_REPORT_WANTED);
	REFUSES(PM_HANGUP, m.channel.status, 1);
	REFUSES(PM_HANGUP, m.channel.reserved, 1);
}

static void test_orders(void **state)
{
	(void)state;
	REFUSES(PM_DEVICE_AGAIN, m.again.socket, PM_DEVICES_MAX);
	REFUSES(PM_DEVICE_AGAIN, m.again.reserved, 1);
	REFUSES(PM_PORT_ADD, m.port.reserved, 1);
	REFUSES(PM_PORT_REMOVE, m.port.reserved, 0x8000);
	REFUSES(PM_IC_SHUTDOWN, m.shutdown.reboot, 2);
	REFUSES(PM_IC_SHUTDOWN, m.shutdown.reserved, 1);
	REFUSES(PM_LINK, m.link.up, 2);
	REFUSES(PM_LINK, m.link.reserved, 1);
	REFUSES(PM_STATUS_WORKER, m.status_worker.guest, 0);
	REFUSES(PM_STATUS_WORKER, m.status_worker.guest, PM_GUEST_HALTED + 1);
	REFUSES(PM_STATUS_WORKER, m.status_worker.reserved, 1);
	make(PM_STATUS_WORKER);
	memset(m.status_worker.text, 'x', sizeof(m.status_worker.text));
	assert_int_equal(check(sizeof(m.status_worker), 0), PM_NONE);
	REFUSES(PM_STATUS_IC, m.status_ic.shutdown_ready, 2);
	TAKES(PM_OPENED, m.channel.status, UINT32_MAX, 0);
	REFUSES(PM_CLOSED, m.channel.status, 1);
	REFUSES(PM_CLOSE, m.channel.status, 1);
	REFUSES(PM_OPENED, m.channel.reserved, 1);
}

static void test_gpadl(void **state)
{
	(void)state;
	REFUSES(PM_GPADL, m.gpadl.pages, 0);
	REFUSES(PM_GPADL, m.gpadl.pages, 2);
	REFUSES(PM_GPADL, m.gpadl.pages, 4);
	REFUSES(PM_GPADL, m.gpadl.pages, 0x20000003u); /* times 8 wraps to the same */
	REFUSES(PM_GPADL, m.gpadl.length, 0);
	REFUSES(PM_GPADL, m.gpadl.length, 8194);
	TAKES(PM_GPADL, m.gpadl.length, 4098, 0);
	REFUSES(PM_GPADL, m.gpadl.length, 4097);
	REFUSES(PM_GPADL, m.gpadl.length, UINT32_MAX);
	REFUSES(PM_GPADL, m.gpadl.offset, 4096);
	REFUSES(PM_GPADL, m.gpadl.offset, UINT32_MAX);
	REFUSES(PM_GPADL, m.gpadl.offset, UINT32_MAX - 8192);
	REFUSES(PM_GPADL, m.gpadl.reserved, 1);
	make(PM_GPADL);
	m.gpadl.pages = PM_GPADL_PAGES_MAX;
	m.gpadl.offset = 0;
	m.gpadl.length = PM_GPADL_PAGES_MAX * 4096u;
	m.header.size = PM_BYTES_MAX;
	assert_int_equal(check(PM_BYTES_MAX, 0), PM_GPADL);
	m.gpadl.pages = 1;
	m.gpadl.length = 1;
	m.header.size = sizeof(m.gpadl);
	assert_int_equal(check(sizeof(m.gpadl), 0), PM_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_and_fds),  cmocka_unit_test(test_types),
		cmocka_unit_test(test_config_worker),  cmocka_unit_test(test_orders),
		cmocka_unit_test(test_config_devices), cmocka_unit_test(test_gpadl),
		cmocka_unit_test(test_report_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
