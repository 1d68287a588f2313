// SPDX-License-Identifier: MIT
/* The VMBus through the worker: a guest's messages on one side, a device process on the other, both played by the test. */
#include "tests/unit/wire/wire_test.h"
#include "tests/unit/vmworker/fake.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hv/host/vmworker/vmbus.h"
#include "hv/wire/vmbus.h"

#define GPADL 0xe1e10u

static struct pm_config_worker config;
static struct ipc_message got; /* by the device process */
static int device, device_fd;
static unsigned stage, mark, want_vp;
static bool with_service;
static void service_configured(void);
static const struct rd_post *last;

struct stage {
	void (*act)(void);
	bool (*done)(void);
};
static const struct stage *script;

static void script_step(void)
{
	if (stage == 0 || script[stage - 1].done()) {
		if (script[stage].act == NULL) {
			fake_stop();
			stage = 0;
			return;
		}
		script[stage++].act();
	}
}

static int set_up(void **state)
{
	static const uint8_t scsi[16] = { 0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04, 0x29, 0x4d,
					  0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f };
	int fd[2];

	(void)state;
	memset(&config, 0, sizeof(config));
	config.memory_bytes = 64 << 20;
	config.vp_count = 2;
	config.device_count = 1;
	config.socket_count = 1;
	memcpy(config.device[0].class_id.b, scsi, 16);
	config.device[0].instance.b[0] = 7;
	config.device[0].unit = 5;
	if (with_service) {
		service_configured();
	}
	fake_start(2);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
	device = fd[0];
	device_fd = -1;
	worker_vmbus_init(&fake.w, &config, &fd[1]);
	stage = mark = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_end();
	(void)close(device);
	(void)close(device_fd);
	return 0;
}

/* The guest got a message of this type, after the one found last. */
static bool posted(enum vmbus_type type)
{
	for (unsigned i = mark; i < fake.posts; i++) {
		if (le32(fake.post[i].message.payload) == type) {
			last = &fake.post[i];
			assert_int_equal(last->sint, 2);
			assert_int_equal(last->message.type, 1);
			mark = i + 1;
			return true;
		}
	}
	return false;
}

/* The next thing that the device process is told. */
static bool told(enum pm_type type)
{
	int n = ipc_receive(device, &got);

	if (n < 0) {
		assert_int_equal(errno, EAGAIN);
		return false;
	}
	assert_int_equal(n, 1);
	assert_int_equal(got.type, type);
	return true;
}

static void says(enum vmbus_type type, uint32_t a, uint32_t b, uint32_t size)
{
	uint8_t m[VMBUS_MESSAGE_MAX] = { (uint8_t)type };

	put32(m + 8, a);
	put32(m + 12, b);
	fake_guest_says(m, size);
}

static void device_says(enum pm_type type, uint32_t status)
{
	struct pm_channel c = { .unit = 5, .status = status };

	assert_int_equal(ipc_send(device, type, &c, sizeof(c), NULL, 0), 0);
}

/* --- the stages of a life --- */

static void contact(void)
{
	uint8_t m[40] = { VMBUS_INITIATE_CONTACT };

	put32(m + 8, VMBUS_5_3);
	put32(m + 12, 1); /* answers to VP 1 */
	m[16] = 2;
	fake.post_errors = 3; /* and the guest's queue is full for a while */
	fake.post_error = EAGAIN;
	fake_guest_says(m, sizeof(m));
}

static bool contacted(void)
{
	if (!posted(VMBUS_VERSION_RESPONSE)) {
		return false;
	}
	assert_int_equal(fake.post_errors, 0);
	assert_int_equal(last->vp, 1);
	assert_int_equal(last->message.payload[8], 1);
	assert_int_equal(le32(last->message.payload + 12), VMBUS_CONNECTION);
	return true;
}

static void request(void)
{
	says(VMBUS_REQUEST_OFFERS, 0, 0, 8);
}

static bool offered(void)
{
	const uint8_t *offer;

	if (fake.posts < mark + 2) {
		return false;
	}
	assert_true(posted(VMBUS_OFFER));
	offer = last->message.payload;
	assert_memory_equal(offer + 8, config.device[0].class_id.b, 16);
	assert_memory_equal(offer + 24, config.device[0].instance.b, 16);
	assert_int_equal(le32(offer + 184), 1);
	assert_int_equal(le32(offer + 192), 0x2001);
	return posted(VMBUS_ALL_OFFERS);
}

static void gpadl(void)
{
	uint8_t m[28 + 8 * 8] = { VMBUS_GPADL_HEADER };

	put32(m + 8, 1);
	put32(m + 12, GPADL);
	put16(m + 16, 8 + 8 * 8);
	put16(m + 18, 1);
	put32(m + 20, 8 * 4096);
	for (unsigned i = 0; i < 8; i++) {
		put64(m + 28 + 8 * i, 100 + i);
	}
	fake_guest_says(m, sizeof(m));
}

static void gpadl_is_right(void)
{
	assert_int_equal(got.gpadl.unit, 5);
	assert_int_equal(got.gpadl.gpadl, GPADL);
	assert_int_equal(got.gpadl.length, 8 * 4096);
	assert_int_equal(got.gpadl.offset, 0);
	assert_int_equal(got.gpadl.pages, 8);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(got.gpadl.pfn[i], 100 + i);
	}
}

static bool gpadl_made(void)
{
	if (!posted(VMBUS_GPADL_CREATED)) {
		return false;
	}
	assert_int_equal(le32(last->message.payload + 16), 0);
	assert_true(told(PM_GPADL));
	gpadl_is_right();
	return true;
}

static void open_channel(void)
{
	uint8_t m[148] = { VMBUS_OPEN };

	put32(m + 8, 1);
	put32(m + 12, 1);
	put32(m + 16, GPADL);
	put32(m + 20, 1); /* VP */
	put32(m + 24, 4);
	fake_guest_says(m, sizeof(m));
}

static bool open_is_right(void)
{
	if (!told(PM_OPEN)) {
		return false;
	}
	assert_int_equal(got.open.unit, 5);
	assert_int_equal(got.open.sub, 0);
	assert_int_equal(got.open.gpadl, GPADL);
	assert_int_equal(got.open.downstream, 4);
	assert_int_equal(got.fd_count, 1);
	(void)close(device_fd);
	device_fd = ipc_take_fd(&got, 0);
	assert_int_equal(fake.channels, 1);
	assert_int_equal(fake.channel[0].connection, 0x2001);
	assert_int_equal(fake.channel[0].vp, 1);
	assert_int_equal(fake.channel[0].sint, 2);
	assert_int_equal(fake.channel[0].flag, 1);
	return true;
}

static void opened(void)
{
	device_says(PM_OPENED, 0);
}

static bool open_answered(void)
{
	if (!posted(VMBUS_OPEN_RESULT)) {
		return false;
	}
	assert_int_equal(le32(last->message.payload + 16), 0);
	return true;
}

static void modify(void)
{
	says(VMBUS_MODIFY_CHANNEL, 1, 0, 16);
}

static bool modified(void)
{
	if (!posted(VMBUS_MODIFY_RESPONSE)) {
		return false;
	}
	assert_int_equal(fake.targets, 1);
	assert_int_equal(fake.target.vp, 0);
	return true;
}

static void again(void)
{
	struct pm_device_again m = { .socket = 0 };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
	device = fd[0];
	assert_int_equal(ipc_send(fake.manager, PM_DEVICE_AGAIN, &m, sizeof(m), &fd[1], 1), 0);
	(void)close(fd[1]);
}

static void die_and_again(void)
{
	(void)close(device);
	again();
}

/* The new process is told everything; the channel and the guest's place in it stay. */
static bool told_again(void)
{
	if (!told(PM_GPADL)) {
		return false;
	}
	gpadl_is_right();
	assert_true(open_is_right());
	assert_int_equal(fake.target.vp, want_vp);
	return true;
}

static bool nothing_posted(void)
{
	assert_int_equal(fake.posts, mark);
	return !fake_waits(0); /* a round of the loop has passed */
}

static void opened_quietly(void)
{
	device_says(PM_OPENED, 0);
	fake_port(0, true, 0x80, 0); /* keeps the loop turning */
}

static void close_channel(void)
{
	says(VMBUS_CLOSE, 1, 0, 12);
}

static bool close_told(void)
{
	return told(PM_CLOSE) && got.channel.unit == 5;
}

static void closed(void)
{
	device_says(PM_CLOSED, 0);
	says(VMBUS_GPADL_TEARDOWN, 1, GPADL, 16);
}

static bool free_told(void)
{
	if (!told(PM_GPADL_FREE)) {
		return false;
	}
	assert_int_equal(got.gpadl_free.gpadl, GPADL);
	return true;
}

static void freed(void)
{
	struct pm_gpadl_free f = { .unit = 5, .gpadl = GPADL };

	assert_int_equal(ipc_send(device, PM_GPADL_FREED, &f, sizeof(f), NULL, 0), 0);
}

static bool torn_down(void)
{
	return posted(VMBUS_GPADL_TORNDOWN);
}

static void unload(void)
{
	says(VMBUS_UNLOAD, 0, 0, 8);
}

static bool reset_told(void)
{
	return told(PM_RESET);
}

static void reset_done(void)
{
	struct pm_plain p = { { 0, 0 } };

	assert_int_equal(ipc_send(device, PM_RESET_DONE, &p, sizeof(p), NULL, 0), 0);
}

static bool unloaded(void)
{
	return posted(VMBUS_UNLOAD_RESPONSE);
}

static void test_life(void **state)
{
	static const struct stage life[] = {
		{ contact, contacted },
		{ request, offered },
		{ gpadl, gpadl_made },
		{ open_channel, open_is_right },
		{ opened, open_answered },
		{ modify, modified },
		{ die_and_again, told_again },
		{ opened_quietly, nothing_posted },
		{ close_channel, close_told },
		{ closed, free_told },
		{ freed, torn_down },
		/* once more: the same descriptor, turned to the VP that the guest now names */
		{ gpadl, gpadl_made },
		{ open_channel, open_is_right },
		{ opened, open_answered },
		{ unload, reset_told },
		{ reset_done, unloaded },
		{ NULL, NULL },
	};

	(void)state;
	script = life;
	want_vp = 0; /* MODIFY_CHANNEL */
	fake_loop(script_step);
	assert_int_equal(stage, 0);
	assert_int_equal(fake.target.vp, 1);
	assert_int_equal(fake.channels, 1);
	assert_null(fake_status());
}

/* --- a connection of hv_sock --- */

static const uint8_t port_rest[12] = { 0xcb, 0xfa, 0xe6, 0x11, 0xbd, 0x58,
				       0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3 };

static void service_configured(void)
{
	config.service_count = 1;
	put32(config.service[0].id.b, 77);
	memcpy(config.service[0].id.b + 4, port_rest, sizeof(port_rest));
}

static void connects(void)
{
	uint8_t m[40] = { VMBUS_TL_CONNECT };

	put32(m + 8, 1023);
	memcpy(m + 12, port_rest, sizeof(port_rest));
	put32(m + 24, 77);
	memcpy(m + 28, port_rest, sizeof(port_rest));
	fake_guest_says(m, sizeof(m));
}

static bool connection_offered(void)
{
	if (!posted(VMBUS_OFFER)) {
		return false;
	}
	assert_int_equal(le32(last->message.payload + 8), 77);
	assert_int_equal(le32(last->message.payload + 24), 1023);
	assert_int_equal(le32(last->message.payload + 184), 2);
	return true;
}

static void hangs_up(void)
{
	struct pm_channel c = { .unit = 0 };

	assert_int_equal(ipc_send(device, PM_HANGUP, &c, sizeof(c), NULL, 0), 0);
}

static bool rescinded(void)
{
	return posted(VMBUS_RESCIND) && le32(last->message.payload + 8) == 2;
}

static void test_connection(void **state)
{
	static const struct stage story[] = {
		{ contact, contacted },  { request, offered }, { connects, connection_offered },
		{ hangs_up, rescinded }, { NULL, NULL },
	};

	(void)state;
	script = story;
	fake_loop(script_step);
	assert_int_equal(stage, 0);
	assert_null(fake_status());
}

static int set_up_service(void **state)
{
	with_service = true;
	return set_up(state);
}

/* --- trouble --- */

static bool open_refused(void)
{
	if (!posted(VMBUS_OPEN_RESULT)) {
		return false;
	}
	assert_int_not_equal(le32(last->message.payload + 16), 0);
	return true;
}

static void open_without_channel(void)
{
	fake.channel_error = ENOSPC;
	open_channel();
}

static void test_no_channel(void **state)
{
	static const struct stage story[] = {
		{ contact, contacted }, { request, offered },
		{ gpadl, gpadl_made },  { open_without_channel, open_refused },
		{ NULL, NULL },
	};

	(void)state;
	script = story;
	fake_loop(script_step);
	assert_int_equal(fake.channels, 0);
}

static void nonsense(void)
{
	assert_int_equal(send(device, "nonsense", 8, 0), 8);
}

static bool hung_up(void)
{
	char byte;

	return recv(device, &byte, 1, MSG_DONTWAIT) == 0;
}

/* Well formed, but a manager's word: it is not for a device to say. */
static void wrong_word(void)
{
	struct pm_plain stop = { { 0, 0 } };

	assert_int_equal(ipc_send(device, PM_STOP, &stop, sizeof(stop), NULL, 0), 0);
}

/* A process that talks nonsense loses its socket; the guest's OPEN is answered by the next one. */
static void test_nonsense(void **state)
{
	static const struct stage story[] = {
		{ contact, contacted },    { request, offered },
		{ gpadl, gpadl_made },     { open_channel, open_is_right },
		{ nonsense, hung_up },     { die_and_again, told_again },
		{ wrong_word, hung_up },   { die_and_again, told_again },
		{ opened, open_answered }, { NULL, NULL },
	};

	(void)state;
	script = story;
	want_vp = 1; /* OPEN */
	fake_loop(script_step);
	assert_int_equal(fake.channels, 1);
}

static void lost(void)
{
	fake.post_errors = 1;
	fake.post_error = EINVAL;
	request();
}

static bool rest_came(void)
{
	return posted(VMBUS_ALL_OFFERS);
}

/* A message that the guest cannot receive is dropped, not tried for ever. */
static void test_lost_message(void **state)
{
	static const struct stage story[] = {
		{ contact, contacted },
		{ lost, rest_came },
		{ NULL, NULL },
	};

	(void)state;
	script = story;
	fake_loop(script_step);
}

static unsigned flood;

static void flood_step(void)
{
	if (flood == 0) {
		contact();
		fake.post_errors = 400; /* the guest takes nothing for 400 ms, but goes on asking */
	}
	if (flood < 60) {
		request();
		gpadl();
		flood++;
	} else if (fake.post_errors == 0 && posted(VMBUS_ALL_OFFERS)) {
		fake_stop();
	}
}

static void test_flood(void **state)
{
	(void)state;
	flood = 0;
	fake_loop(flood_step);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_life),
		TEST(test_no_channel),
		TEST(test_nonsense),
		TEST(test_lost_message),
		TEST(test_flood),
		cmocka_unit_test_setup_teardown(test_connection, set_up_service, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
