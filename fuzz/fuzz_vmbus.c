// SPDX-License-Identifier: MIT
/*
 * Input: a script of what happens to a VMBus server: messages of the guest, raw or out of fields, words of device processes,
 * right or wrong, processes that die, block, are started again or lost, devices that go and come, actions carried out. The world of
 * tests/guest/vmbus_model.h judges: after each step the server's own state is consistent, a refused message has changed
 * nothing, no process hears what it cannot make sense of; in the end everyone who waits has been answered, once, and a guest
 * that contacts anew finds everything.
 */
#include <stdlib.h>

#include "fuzz/script.h"
#include "tests/guest/vmbus_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world w;

/* Ids out of a few, so that they meet. */
static uint32_t some_id(unsigned b)
{
	return b == 0xff ? 0 : 0xe1e10 + b % 24;
}

static uint32_t some_relid(unsigned b)
{
	if (b >= 0xe8) { /* around the end of the table, and of the numbers */
		return b >= 0xf0 ? 0xfffffff0 + (b & 15) : VMBUS_CHANNELS_MAX - 1 + (b & 3);
	}
	return b % 10;
}

static uint32_t some_version(unsigned b)
{
	static const uint32_t versions[] = { VMBUS_5_3, VMBUS_5_2, VMBUS_5_1, VMBUS_5_0,
					     VMBUS_4_1, VMBUS_4_0, 0x30000,   0x60000 };

	return versions[b % 8];
}

static uint64_t some_pfn(unsigned b)
{
	static const uint64_t pfns[] = { 0,       1,        0xbffff,  0xc0000,
					 0xfffff, 0x100000, 0x103fff, 1ull << 52 };

	return b < 0xf0 ? b * 16 : pfns[b % 8];
}

/* A message out of fields; a byte of it may be changed then. */
static uint32_t field_message(struct script *s, unsigned kind, uint8_t *m)
{
	unsigned a = (unsigned)script_take(s, 1), b = (unsigned)script_take(s, 1);
	uint32_t pages, count;

	switch (kind % 12) {
	case 0:
		return guest_contact(m, some_version(a), b % (WORLD_VPS + 1));
	case 1:
		return guest_words(m, VMBUS_REQUEST_OFFERS, 0, 0, 8);
	case 2:
	case 3:
		count = (uint32_t)script_take(s, 1);
		pages = (uint32_t)script_take(s, 1) * (count >> 5);
		pages = pages == 0 ? count & 31 : pages;
		count = pages < (count & 31) ? pages : count & 31;
		count = count > VMBUS_HEADER_PFNS ? VMBUS_HEADER_PFNS : count;
		return guest_gpadl(m, some_relid(a), some_id(b), pages, count,
				   some_pfn((unsigned)script_take(s, 1)));
	case 4:
		count = (uint32_t)script_take(s, 1) % (VMBUS_BODY_PFNS + 1);
		return guest_body(m, some_id(b), count, some_pfn(a));
	case 5:
	case 6:
		count = (uint32_t)script_take(s, 1);
		return guest_open(m, some_relid(a), some_id(b), count % (WORLD_VPS + 1),
				  count >> 4);
	case 7:
		return guest_words(m, VMBUS_CLOSE, some_relid(a), 0, 12);
	case 8:
		return guest_words(m, VMBUS_GPADL_TEARDOWN, some_relid(a), some_id(b), 16);
	case 9:
		return guest_words(m, VMBUS_MODIFY_CHANNEL, some_relid(a), b % (WORLD_VPS + 1), 16);
	case 10:
		return guest_words(m, VMBUS_RELID_RELEASED, some_relid(a), 0, 12);
	case 11:
		if ((a & 3) != 0) {
			return guest_connect(m, b % 8 == 7 ? 1000 + b : 1 + b % 8,
					     WORLD_SERVICE + (a == 255));
		}
		return guest_words(m, VMBUS_UNLOAD, 0, 0, 8);
	default:
		return guest_words(m, (a & 3) == 0 ? VMBUS_UNLOAD : VMBUS_TL_CONNECT, a, b,
				   (a & 3) == 0 ? 8 : 40);
	}
}

static void message(struct script *s, unsigned kind)
{
	uint8_t m[256], *exact;
	uint32_t size, type = 1;

	if (kind == 15) { /* raw */
		memset(m, 0, sizeof(m));
		type = (uint32_t)script_take(s, 1) & 1;
		size = (uint32_t)script_take(s, 1);
		for (uint32_t i = 0; i < size; i++) {
			m[i] = (uint8_t)script_take(s, 1);
		}
	} else {
		size = field_message(s, kind, m);
		if (kind >= 12) {
			size = (size + (uint32_t)script_take(s, 1) % 3 - 1) %
			       (VMBUS_MESSAGE_MAX + 1);
			m[script_take(s, 1) % sizeof(m)] = (uint8_t)script_take(s, 1);
		}
	}
	exact = malloc(size != 0 ? size : 1); /* what is behind it is not to be read */
	HOLDS(exact != NULL);
	memcpy(exact, m, size);
	(void)world_message(&w, type, exact, size);
	free(exact);
}

/* Whatever a process may say, of whatever. */
static void device_words(struct script *s, unsigned kind)
{
	unsigned a = (unsigned)script_take(s, 1);
	uint32_t socket = a & 7, unit = a >> 3 & 3, sub = a >> 5 & 1;

	socket = socket == 7 ? VMBUS_SOCKETS_MAX : socket % WORLD_SOCKETS;
	if (socket < WORLD_SOCKETS && w.proc[socket].dead) {
		return;
	}
	switch (kind & 3) {
	case 0:
		if ((kind & 4) != 0) {
			world_hangup(&w, socket, unit + 4 * sub);
			break;
		}
		world_opened(&w, socket, unit, sub, a >> 6 & 1);
		break;
	case 1:
		world_closed(&w, socket, unit, sub);
		break;
	case 2:
		world_freed(&w, socket, unit, some_id((unsigned)script_take(s, 1)));
		break;
	default:
		world_reset_done(&w, socket);
		break;
	}
}

/* What the worker may say of its configuration, and has to be told of. Nobody names these services. */
static void services(unsigned a)
{
	struct vmbus_service v = { .socket = 16 + (a >> 2 & 7) };
	uint32_t count = w.s.service_count;
	bool good = count < VMBUS_SERVICES_MAX;

	world_port(&v.id, WORLD_SERVICE + 16 + (a >> 2 & 7));
	switch (a & 3) {
	case 0:
		v.id = w.s.service[0].id;
		good = false;
		break;
	case 1:
		v.socket = w.s.service[0].socket;
		good = false;
		break;
	case 2:
		v.socket = VMBUS_SOCKETS_MAX;
		good = false;
		break;
	default:
		break;
	}
	HOLDS(vmbus_server_service(&w.s, &v) == good);
	HOLDS(w.s.service_count == count + good);
}

/* A process that cannot be. */
static void nobody(unsigned a)
{
	struct vmbus_device d = world_device(a % WORLD_DEVICES, 0);

	world_mark(&w);
	d.socket = VMBUS_SOCKETS_MAX + (a & 15);
	d.instance.b[0] ^= 0x55;
	HOLDS(vmbus_server_add(&w.s, &d) == 0);
	vmbus_server_restarted(&w.s, d.socket);
	world_unchanged(&w, false);
}

static void life(struct script *s, unsigned kind)
{
	unsigned a = (unsigned)script_take(s, 1);
	struct vmbus_device d = world_device(a % WORLD_DEVICES, a >> 6);
	uint32_t socket = a % WORLD_SOCKETS;

	switch (kind & 7) {
	case 0:
	case 1:
		w.proc[socket].dead = true;
		break;
	case 2:
	case 3:
		world_restarted(&w, socket);
		break;
	case 4:
		if ((a & 0x80) != 0) {
			services(a);
		}
		break;
	case 5:
		if (a >= 0xc0 && a < 0xd0) {
			nobody(a);
			break;
		}
		(void)vmbus_server_remove(&w.s, some_relid(a));
		world_check(&w);
		break;
	default:
		(void)vmbus_server_add(&w.s, &d);
		world_check(&w);
		break;
	}
}

static void step(struct script *s)
{
	unsigned op = (unsigned)script_take(s, 1), arg = op & 15;

	switch (op >> 4) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
	case 5:
	case 6:
		message(s, arg);
		break;
	case 7:
		device_words(s, arg);
		break;
	case 8:
	case 9:
		life(s, arg);
		break;
	case 10:
	case 11: /* one action, where some cannot be done */
		(void)world_step(&w, arg & 7, (arg & 8) != 0);
		break;
	case 12:
		(void)world_answer(&w, arg >> 1, arg & 1);
		break;
	case 13:
		for (unsigned i = 0; i <= arg && world_step(&w, ~0u, true); i++) {
		}
		break;
	case 14:
		(void)world_drain(&w);
		break;
	default:
		world_settle(&w);
		break;
	}
}

/* Processes come back, everything is answered; then a new contact finds a clean house. */
static void finish(void)
{
	uint8_t m[VMBUS_MESSAGE_MAX];

	for (uint32_t i = 0; i < WORLD_SOCKETS; i++) {
		if (w.proc[i].dead) {
			world_restarted(&w, i);
		}
	}
	world_settle(&w);
	HOLDS(world_message(&w, 1, m, guest_words(m, VMBUS_UNLOAD, 0, 0, 8)));
	world_settle(&w);
	HOLDS(get32(w.message) == VMBUS_UNLOAD_RESPONSE && w.s.state == VMBUS_DISCONNECTED);
	HOLDS(w.s.pool_used == 0 && w.s.touched == 0);
	for (uint32_t relid = 1; relid < RELIDS; relid++) {
		HOLDS(w.s.channel[relid - 1].device_state != VMBUS_DEVICE_REMOVING);
		for (uint32_t i = 0; i < WORLD_SOCKETS; i++) {
			HOLDS(!proc_knows(&w.proc[i], relid));
		}
	}
	HOLDS(world_message(&w, 1, m, guest_contact(m, VMBUS_5_3, 0)));
	world_settle(&w);
	HOLDS(get32(w.message) == VMBUS_VERSION_RESPONSE && w.message[8] == 1);
	HOLDS(world_message(&w, 1, m, guest_words(m, VMBUS_REQUEST_OFFERS, 0, 0, 8)));
	world_settle(&w);
	for (uint32_t relid = 1; relid < RELIDS; relid++) {
		bool there = w.s.channel[relid - 1].device_state == VMBUS_DEVICE_PRESENT;

		HOLDS(w.told[relid] == there);
		if (there) {
			HOLDS(world_message(&w, 1, m, guest_gpadl(m, relid, relid, 4, 4, 1)));
			HOLDS(world_message(&w, 1, m, guest_open(m, relid, relid, 0, 2)));
			world_settle(&w);
			HOLDS(w.s.channel[relid - 1].state == VMBUS_CH_OPEN);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 }, action;

	world_init(&w);
	for (unsigned i = 0; i < 300 && script_action(&s, &action); i++) {
		step(&action);
	}
	finish();
	return 0;
}
