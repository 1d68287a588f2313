// SPDX-License-Identifier: MIT
/*
 * Channel messages in every state. Input: byte 0: the state, of a list below; byte 1: message type of the hypervisor's header (bit 0) and
 * how many times (bits 1-2); the rest is the message. The state is made by a lawful guest and its processes. Checked: the parser gives
 * the same twice, and nothing of a message that it refuses is heard; the world of tests/guest/vmbus_model.h judges what the server does,
 * then everything settles and the guest unloads.
 */
#include <stdlib.h>

#include "fuzz/oracle.h"
#include "tests/guest/vmbus_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GPADL 0xe1e10u

enum state {
	UNKNOWN,    /* no contact yet */
	CONNECTED,  /* no offers */
	OFFERS,     /* asked for, none sent */
	OFFERED,    /* sent */
	ASSEMBLING, /* a GPADL is half told */
	READY,      /* whole; its process does not know */
	GIVEN,      /* it does */
	OPEN_DUE,   /* OPEN; its process does not know */
	OPENING,    /* has not answered */
	OPEN,       /* has */
	CLOSE_DUE,  /* likewise */
	CLOSING,
	AGAIN,     /* opened again while closing */
	TEARDOWN,  /* of an open channel's GPADL */
	FREEING,   /* asked of its process */
	RESCINDED, /* the device went */
	RESETTING, /* contacted anew, a process has not answered */
	UNLOADING,
	UNLOADED,
	DEAD,        /* a process that is being started again */
	OLD_VERSION, /* 4.0 */
	BUSY,        /* as many messages wait as may */
	STATES
};

static struct world w, made[STATES];

static void say(uint32_t size, const uint8_t *m)
{
	CHECK_FUZZ(world_message(&w, 1, m, size));
}

static void contact(uint32_t version)
{
	uint8_t m[VMBUS_MESSAGE_MAX];

	say(guest_contact(m, version, 0), m);
}

static void words(uint32_t type, uint32_t a, uint32_t b, uint32_t size)
{
	uint8_t m[VMBUS_MESSAGE_MAX];

	say(guest_words(m, type, a, b, size), m);
}

static void gpadl(uint32_t count)
{
	uint8_t m[VMBUS_MESSAGE_MAX];

	say(guest_gpadl(m, 1, GPADL, 8, count, 16), m);
}

static void open_channel(void)
{
	uint8_t m[VMBUS_MESSAGE_MAX];

	say(guest_open(m, 1, GPADL, 0, 4), m);
}

/* The states of a channel follow each other, up to `state`. */
static void channel_to(enum state state)
{
	gpadl(state == ASSEMBLING ? 3 : 8);
	if (state <= READY) {
		return;
	}
	(void)world_drain(&w);
	if (state == GIVEN) {
		return;
	}
	open_channel();
	if (state == OPEN_DUE) {
		return;
	}
	(void)world_drain(&w);
	if (state == OPENING) {
		return;
	}
	world_settle(&w);
	if (state == TEARDOWN || state == FREEING) {
		words(VMBUS_GPADL_TEARDOWN, 1, GPADL, 16);
	}
	if (state == OPEN || state == TEARDOWN) {
		return;
	}
	words(VMBUS_CLOSE, 1, 0, 12);
	if (state == CLOSE_DUE) {
		return;
	}
	(void)world_drain(&w);
	if (state == AGAIN) {
		open_channel();
	} else if (state == FREEING) {
		(void)world_answer(&w, 0, 0);
		(void)world_drain(&w);
	}
}

static void offered(void)
{
	contact(VMBUS_5_3);
	words(VMBUS_REQUEST_OFFERS, 0, 0, 8);
	world_settle(&w);
}

static void make(enum state state)
{
	world_init(&w);
	switch (state) {
	case UNKNOWN:
		break;
	case CONNECTED:
	case OFFERS:
	case OLD_VERSION:
		contact(state == OLD_VERSION ? VMBUS_4_0 : VMBUS_5_3);
		world_settle(&w);
		if (state == OFFERS) {
			words(VMBUS_REQUEST_OFFERS, 0, 0, 8);
		}
		break;
	case RESCINDED:
		offered();
		channel_to(OPEN);
		CHECK_FUZZ(vmbus_server_remove(&w.s, 1));
		(void)world_drain(&w);
		break;
	case RESETTING:
		offered();
		channel_to(OPEN);
		contact(VMBUS_5_3);
		break;
	case UNLOADING:
	case UNLOADED:
		offered();
		channel_to(OPEN);
		words(VMBUS_UNLOAD, 0, 0, 8);
		if (state == UNLOADED) {
			world_settle(&w);
		}
		break;
	case DEAD:
		offered();
		channel_to(OPEN);
		w.proc[0].dead = true;
		break;
	case BUSY:
		offered();
		while (vmbus_server_accepts(&w.s)) {
			words(VMBUS_TL_CONNECT, 1, 2, 40);
		}
		break;
	default:
		offered();
		if (state > OFFERED) {
			channel_to(state);
		}
		break;
	}
	made[state] = w;
}

static void check_parse(const uint8_t *bytes, uint32_t size)
{
	struct vmbus_message a, b;

	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	CHECK_FUZZ(vmbus_parse(bytes, size, &a) == vmbus_parse(bytes, size, &b));
	if (vmbus_parse(bytes, size, &a)) {
		CHECK_FUZZ(size >= 8 && size <= VMBUS_MESSAGE_MAX &&
			   (uint32_t)a.type == le32(bytes));
		CHECK_FUZZ(a.type != VMBUS_GPADL_HEADER ||
			   a.gpadl_header.count <= VMBUS_HEADER_PFNS);
		CHECK_FUZZ(a.type != VMBUS_GPADL_BODY || a.gpadl_body.count <= VMBUS_BODY_PFNS);
	}
}

/* Before the first input: what a lawful guest reaches would be the first one's, and engines would drop the inputs that are lawful. */
__attribute__((constructor)) static void make_all(void)
{
	for (unsigned state = 0; state < STATES; state++) {
		make((enum state)state);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 };
	enum state state = (enum state)(script_take(&s, 1) % STATES);
	unsigned how = (unsigned)script_take(&s, 1);
	uint32_t n = (uint32_t)(size - s.at);
	uint8_t m[VMBUS_MESSAGE_MAX], *exact;

	if (n > VMBUS_MESSAGE_MAX) {
		return 0;
	}
	w = made[state];
	exact = malloc(n != 0 ? n : 1);
	CHECK_FUZZ(exact != NULL);
	memcpy(exact, data + s.at, n);
	check_parse(exact, n);
	for (unsigned i = 0; i <= (how >> 1 & 3); i++) {
		(void)world_message(&w, (how & 1) != 0 ? 1 : how >> 3, exact, n);
	}
	free(exact);
	for (uint32_t i = 0; i < WORLD_SOCKETS; i++) {
		if (w.proc[i].dead) {
			world_restarted(&w, i);
		}
	}
	world_settle(&w);
	CHECK_FUZZ(world_message(&w, 1, m, guest_words(m, VMBUS_UNLOAD, 0, 0, 8)));
	world_settle(&w);
	ORACLE(w.s.pool_used == 0 && w.s.touched == 0 && w.s.state == VMBUS_DISCONNECTED,
	       "something is left after an unload");
	return 0;
}
