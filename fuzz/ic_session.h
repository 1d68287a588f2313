/* SPDX-License-Identifier: MIT */
/*
 * An integration component's whole session, for fuzz_ic_shutdown.c, fuzz_ic_heartbeat.c and fuzz_ic_timesync.c, which say KIND. Input: a
 * script of what the worker, the guest, the clock and the manager do; opening and negotiation are among it. Checked: a guest never sees a
 * second request before it has answered the first; negotiation comes first; what is sent is well-formed and has nothing stale in it;
 * nobody is told of an answer that was not given.
 */
#ifndef FUZZ_IC_SESSION_H
#define FUZZ_IC_SESSION_H
#include <fcntl.h>

#include "fuzz/proc_channel.h"
#include "hv/host/ic/component.h"
#include "tests/guest/ring_guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGES 16u
#define RING_PAGES 3u /* each */
#define GPADL 0xe1e10u
#define FLAGS 25u /* of a message: request, response */

static _Alignas(4096) uint8_t memory[PAGES * 4096];
static const struct gmem mem = { memory, sizeof(memory) };
static const uint64_t ring_pfn[2 * RING_PAGES] = { 9, 4, 11, 3, 2, 6 };
static const struct ring_guest to_host = { memory, ring_pfn, RING_PAGES };
static const struct ring_guest from_host = { memory, ring_pfn + RING_PAGES, RING_PAGES };
static struct chan_set set;
static struct components s;
static bool alive, spoilt;
static uint64_t now;
/* The guest's books. */
static uint8_t request[4096]; /* the last one that it took, without its descriptor */
static uint32_t request_size, asked, answered;
static uint32_t counted,
	beats; /* answers to requests but negotiations; heartbeats when the channel was opened */
static bool negotiated, have_request;

static void proc_heard(uint32_t socket, enum pm_type type, const void *message)
{
	(void)socket;
	(void)type;
	(void)message;
}

static void opened(struct chan *c)
{
	component_opened(&s, c, now);
}

static void closing(struct chan *c)
{
	component_closed(&s, c);
	chan_closed(&set, c);
}

static struct component *component(void)
{
	return &s.of[KIND];
}

static void hear(void)
{
	alive = alive && chan_worker_all(&set);
}

static bool any_open(void)
{
	bool any = false;

	for (uint32_t i = 0; i < CHAN_MAX; i++) {
		any |= set.chan[i].open;
	}
	return any;
}

static void open_channel(uint32_t unit, uint32_t sub)
{
	struct pm_open o = { .unit = unit, .sub = sub, .gpadl = GPADL, .downstream = RING_PAGES };
	int fd = proc_fd();
	bool again;

	if (fd < 0) {
		return;
	}
	again = any_open();
	if (!again) {
		ring_guest_init(&to_host);
		ring_guest_init(&from_host);
	}
	proc_open(&o, ring_pfn, 2 * RING_PAGES, fd);
	hear();
	spoilt = again; /* two channels with the same rings */
	if (!again) {
		asked = answered = counted = 0;
		beats = (uint32_t)s.status.heartbeats;
		negotiated = have_request = watch.raced = false;
	}
}

static void close_channel(uint32_t unit)
{
	proc_close(unit, GPADL);
	hear();
	CHECK_FUZZ(!alive || s.of[unit].state == COMPONENT_CLOSED);
}

/* ---- the guest ---- */

static void take_request(void)
{
	uint8_t p[4096];
	bool signal;
	uint32_t n = ring_guest_take(&from_host, p, sizeof(p), &signal);

	if (n == 0 || n == UINT32_MAX || spoilt || watch.raced) {
		return;
	}
	CHECK_FUZZ(p[0] == RING_DATA_INBAND && n - 16 <= IC_BYTES_MAX && n >= 16 + 28);
	ORACLE(asked == answered, "a second request before the first was answered");
	asked++;
	request_size = n - 16;
	memcpy(request, p + 16, request_size);
	have_request = true;
	CHECK_FUZZ((request[FLAGS] & 4) == 0); /* no response */
	ORACLE(negotiated || le16(request + 12) == IC_TYPE_NEGOTIATE,
	       "a request before the negotiation");
}

static void give(const uint8_t *payload, uint32_t length, uint16_t type)
{
	uint8_t p[4200] = { 0 };
	uint16_t words[4] = { type, 2, (uint16_t)(2 + (length + 7) / 8), 0 };
	bool signal;

	memcpy(p, words, sizeof(words));
	memcpy(p + 16, payload, length);
	(void)ring_guest_put(&to_host, p, words[2] * 8u, &signal);
}

/* As hv_util answers, then changed at places that the script names. */
static void answer(struct script *in, bool changed, uint16_t type)
{
	uint8_t a[sizeof(request)];
	bool first = have_request && asked != answered;

	if (!have_request) {
		return;
	}
	memcpy(a, request, request_size);
	a[FLAGS] = 5;
	if (le16(a + 12) == IC_TYPE_NEGOTIATE && request_size >= 44) {
		unsigned pick = (unsigned)script_take(in, 1);

		/* One framework and one version, each of those offered: two, then as many as byte 30 says. */
		memcpy(a + 40, a + 44 + (pick >> 1) % a[30] * 4u, 4);
		memcpy(a + 36, request + 36 + (pick & 1) * 4, 4);
		a[28] = 1;
		a[30] = 1;
	}
	for (unsigned i = 0; changed && i < 4 && script_more(in); i++) {
		uint32_t at = (uint32_t)script_take(in, 2) % request_size;

		a[at] = oracle_tame((uint8_t)script_take(in, 1));
	}
	give(a, request_size, type);
	if (changed) {
		spoilt = true; /* it may be none */
	} else if (first) {
		answered++;
		negotiated |= le16(request + 12) == IC_TYPE_NEGOTIATE;
		counted += le16(request + 12) != IC_TYPE_NEGOTIATE;
	}
}

static void raw_packet(struct script *in)
{
	uint8_t p[256];
	uint32_t n = 0;
	uint16_t type = (uint16_t)script_take(in, 1);

	while (script_more(in) && n < sizeof(p)) {
		p[n++] = oracle_tame((uint8_t)script_take(in, 1));
	}
	spoilt = true;
	give(p, n, type);
}

/* ---- the process ---- */

static void check(const struct pm_status_ic *was)
{
	const struct component *p = component();

	CHECK_FUZZ((p->state == COMPONENT_CLOSED) == (p->c == NULL));
	CHECK_FUZZ(!p->waiting || p->state == COMPONENT_NEGOTIATING || p->state == COMPONENT_READY);
	CHECK_FUZZ(s.status.heartbeats - was->heartbeats <= 16 &&
		   s.status.timesync - was->timesync <= 1);
	ORACLE(spoilt || watch.raced || (uint32_t)s.status.heartbeats - beats <= counted,
	       "an answer that was not given");
	CHECK_FUZZ(KIND == IC_SHUTDOWN || s.status.shutdown_ready == was->shutdown_ready);
	CHECK_FUZZ(s.status.shutdown_ready <= 1 && s.status.shutdown_answered <= 1);
	CHECK_FUZZ(!s.status.shutdown_ready || s.of[IC_SHUTDOWN].state == COMPONENT_READY);
}

/* One round of the process's loop. */
static void run(void)
{
	struct component *p = component();
	struct pm_status_ic was = s.status;

	s.changed = false;
	watch_host(16 * 16);
	component_receive(&s, p, now);
	component_send(&s, p, now, now * 10000);
	watch_guest();
	check(&was);
	oracle_said_number(s.changed);
	oracle_said(&s.status, sizeof(s.status));
	if (!spoilt && !watch.raced) {
		CHECK_FUZZ(p->state != COMPONENT_USELESS);
	}
}

static void act(struct script *in)
{
	unsigned op = (unsigned)script_take(in, 1) % 20, arg = (unsigned)script_take(in, 1);

	switch (op) {
	case 0:
		open_channel((arg & 0xe0) == 0xe0 ? arg % 5 : KIND, (arg & 0xf0) == 0xf0);
		break;
	case 1:
		close_channel(KIND);
		break;
	case 2:
	case 3:
		take_request();
		break;
	case 4:
	case 5:
	case 6:
		answer(in, false, RING_DATA_INBAND);
		break;
	case 7: /* in a packet of another type, perhaps */
		answer(in, true, (arg & 0xc0) == 0xc0 ? RING_COMPLETION : RING_DATA_INBAND);
		break;
	case 8:
		raw_packet(in);
		break;
	case 9:
		now += arg < 128 ? arg * 16u : script_take(in, 4);
		break;
	case 10:
		CHECK_FUZZ(component_wait(&s, now) >= -1);
		now += (uint64_t)(component_wait(&s, now) + 1);
		break;
	case 11:
		s.shutdown_wanted = true;
		s.shutdown_reboot = (arg & 1) != 0;
		break;
	case 12:
		ring_guest_set((arg & 1) != 0 ? &to_host : &from_host, arg >> 1 & 12,
			       (uint32_t)script_take(in, 4));
		spoilt = true;
		break;
	case 13:
		watch_race_arm(in, sizeof(memory));
		break;
	case 14: /* a loyal guest, start to end */
		for (unsigned i = 0; i < 3; i++) {
			run();
			take_request();
			answer(in, false, RING_DATA_INBAND);
			run();
		}
		break;
	case 15: /* the guest's memory, where it will be read next */
		*ring_guest_byte(&to_host, arg * 8) = (uint8_t)script_take(in, 1);
		spoilt = true;
		break;
	default:
		run();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script in = { data, size, 0 }, action;

	memset(memory, 0, sizeof(memory));
	watch_clear();
	watch_ring(ring_pfn[0]);
	watch_ring(ring_pfn[RING_PAGES]);
	watch_writable(ring_pfn[RING_PAGES + 1]);
	watch_writable(ring_pfn[RING_PAGES + 2]);
	proc_init();
	memset(&s, 0, sizeof(s));
	alive = true;
	have_request = negotiated = spoilt = false;
	asked = answered = counted = beats = 0;
	now = 1000000;
	set.opened = opened;
	set.closing = closing;
	chan_init(&set, &mem, proc_socket[PROC_WORKER].ready);
	for (unsigned i = 0; i < 200 && alive && script_action(&in, &action); i++) {
		act(&action);
	}
	for (uint32_t unit = 0; unit < 5 && alive; unit++) {
		if (unit < IC_KINDS) {
			close_channel(unit);
		}
	}
	proc_channels_end(&set, alive);
	return 0;
}

#endif
