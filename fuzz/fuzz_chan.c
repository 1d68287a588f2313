// SPDX-License-Identifier: MIT
/*
 * A device process's talk with its worker, and its channels. Input: a script of what a worker says, in any order and malformed, of
 * what the device does late, of a guest that writes its rings, of a worker that does not read. Checked: every question has its one
 * answer, none is given unasked; a refusal changes nothing; after a reset nothing is left; descriptors are closed once.
 */
#include <fcntl.h>
#include <stddef.h>

#include "fuzz/proc.h"
#include "hv/host/lib/chan.h"
#include "tests/guest/ring_guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGES 48u
#define UNITS 3u
#define SUBS 2u

static _Alignas(4096) uint8_t memory[PAGES * 4096];
static const struct gmem mem = { memory, sizeof(memory) };
static struct chan_set set;
static bool alive;   /* the process goes on */
static bool at_once; /* the device closes and frees in its callback */
static bool inside;  /* it */
static uint32_t open_owed[UNITS][SUBS], close_owed[UNITS][SUBS], free_owed, resets_owed;

/* ---- the device ---- */

static void opened(struct chan *c)
{
	CHECK_FUZZ(c->open && c->fd >= PROC_FD_BASE && !c->closing);
}

/* Its callbacks are not called again before they have returned. */
static void enter(void)
{
	ORACLE(!inside, "the device is called while it is in its callback");
	inside = true;
}

static void closing(struct chan *c)
{
	CHECK_FUZZ(c->open && c->closing);
	enter();
	if (at_once) {
		chan_closed(&set, c);
	}
	inside = false;
}

static void gpadl_freeing(struct chan_gpadl *g)
{
	CHECK_FUZZ(g->used && g->asked && g->told);
	enter();
	if (at_once) {
		chan_gpadl_freed(&set, g);
	}
	inside = false;
}

/* ---- the worker ---- */

static void proc_heard(uint32_t socket, enum pm_type type, const void *message)
{
	const struct pm_channel *c = message;

	CHECK_FUZZ(socket == PROC_WORKER);
	switch (type) {
	case PM_OPENED:
		CHECK_FUZZ(c->unit < UNITS && c->sub < SUBS);
		ORACLE(open_owed[c->unit][c->sub]-- != 0, "an answer to what nobody asked");
		break;
	case PM_CLOSED:
		CHECK_FUZZ(c->unit < UNITS && c->sub < SUBS);
		ORACLE(close_owed[c->unit][c->sub]-- != 0, "an answer to what nobody asked");
		break;
	case PM_GPADL_FREED:
		ORACLE(free_owed-- != 0, "an answer to what nobody asked");
		break;
	case PM_RESET_DONE:
		ORACLE(resets_owed-- != 0, "an answer to what nobody asked");
		for (uint32_t i = 0; i < CHAN_MAX; i++) {
			CHECK_FUZZ(!set.chan[i].open);
		}
		for (uint32_t i = 0; i < CHAN_GPADLS_MAX; i++) {
			CHECK_FUZZ(!set.gpadl[i].used);
		}
		break;
	default:
		CHECK_FUZZ(!"a message for a worker");
		break;
	}
}

static void say_gpadl(struct script *s)
{
	static union {
		struct pm_gpadl m;
		uint8_t bytes[sizeof(struct pm_gpadl) + 8 * PM_GPADL_PAGES_MAX];
	} u;
	uint32_t pages, first, tail = (uint32_t)script_take(s, 1);

	memset(&u.m, 0, sizeof(u.m));
	u.m.unit = (uint32_t)script_take(s, 1) % UNITS;
	u.m.gpadl = 0xe1e10 + (uint32_t)script_take(s, 1) % 24;
	pages = (uint32_t)script_take(s, 1);
	pages = pages == 0xff ? PM_GPADL_PAGES_MAX : pages % 12 + 1;
	first = (uint32_t)script_take(s, 1) % (PAGES + 2);
	u.m.pages = pages;
	u.m.offset = tail == 0 ? 0 : (uint32_t)script_take(s, 2) % 4096;
	u.m.length = pages * 4096 - u.m.offset - tail % 4096;
	u.m.reserved = tail == 0xff;
	for (uint32_t i = 0; i < pages; i++) {
		u.m.pfn[i] = tail == 0xfe ? script_take(s, 8) : (first + i) % (PAGES + 1);
	}
	proc_say(PROC_WORKER, PM_GPADL, &u.m, (uint32_t)(sizeof(u.m) + pages * 8), -1);
}

static void say_open(struct script *s)
{
	struct pm_open m = { .unit = (uint32_t)script_take(s, 1) % UNITS,
			     .sub = (uint32_t)script_take(s, 1) % SUBS,
			     .gpadl = 0xe1e10 + (uint32_t)script_take(s, 1) % 24,
			     .downstream = (uint32_t)script_take(s, 1) };
	int fd = proc_fd();

	if (fd < 0 || proc_socket[PROC_WORKER].tail - proc_socket[PROC_WORKER].head == PROC_QUEUE) {
		(void)close(fd);
		return;
	}
	m.downstream = m.downstream < 0xf0 ? m.downstream % 12 : 0xffffffff - (m.downstream & 15);
	open_owed[m.unit][m.sub]++;
	proc_say(PROC_WORKER, PM_OPEN, &m, sizeof(m), fd);
}

/* Each may be answered, once; whether, is_owed says at the end. */
static void say_word(struct script *s, unsigned op)
{
	struct pm_channel c = { .unit = (uint32_t)script_take(s, 1) % UNITS,
				.sub = (uint32_t)script_take(s, 1) % SUBS };
	struct pm_gpadl_free f = { .unit = c.unit,
				   .gpadl = 0xe1e10 + (uint32_t)script_take(s, 1) % 24 };
	struct pm_plain plain = { { 0, 0 } };

	if (proc_socket[PROC_WORKER].tail - proc_socket[PROC_WORKER].head == PROC_QUEUE) {
		return;
	}
	if (op == 0) {
		close_owed[c.unit][c.sub]++;
		proc_say(PROC_WORKER, PM_CLOSE, &c, sizeof(c), -1);
	} else if (op == 1) {
		free_owed++;
		proc_say(PROC_WORKER, PM_GPADL_FREE, &f, sizeof(f), -1);
	} else {
		resets_owed++;
		proc_say(PROC_WORKER, PM_RESET, &plain, sizeof(plain), -1);
	}
}

static void say_raw(struct script *s)
{
	uint8_t m[64];
	uint32_t n = (uint32_t)script_take(s, 1) % sizeof(m);
	unsigned how = (unsigned)script_take(s, 1);
	bool fd = (how & 1) != 0;

	if ((how & 0xf0) == 0xf0) {
		proc_gone(PROC_WORKER);
		return;
	}

	for (uint32_t i = 0; i < n; i++) {
		m[i] = (uint8_t)script_take(s, 1);
	}
	if (n >= 8 && m[0] >= PM_GPADL && m[0] <= PM_RESET) {
		m[0] = PM_READY; /* the books above would not know of it */
	}
	proc_push(PROC_WORKER, m, n, fd ? proc_fd() : -1);
}

/* ---- invariants ---- */

static void check_set(void)
{
	for (uint32_t i = 0; i < CHAN_MAX; i++) {
		const struct chan *c = &set.chan[i];

		CHECK_FUZZ(c->open == (c->fd >= 0));
		CHECK_FUZZ(!c->closing || c->open);
		CHECK_FUZZ(!c->open || (c->rings->used && c->rings->unit == c->unit));
		for (uint32_t k = 0; k < i; k++) {
			const struct chan *o = &set.chan[k];

			CHECK_FUZZ(!c->open || !o->open ||
				   ((c->unit != o->unit || c->sub != o->sub) && c->fd != o->fd &&
				    c->rings != o->rings));
		}
	}
	for (uint32_t i = 0; i < CHAN_GPADLS_MAX; i++) {
		const struct chan_gpadl *g = &set.gpadl[i];

		CHECK_FUZZ(!g->told || (g->used && g->asked));
		for (uint32_t k = 0; g->used && k < g->pages; k++) {
			ORACLE(g->pfn[k] < PAGES, "a page that is no guest memory");
		}
		for (uint32_t k = 0; g->used && k < i; k++) {
			const struct chan_gpadl *o = &set.gpadl[k];

			CHECK_FUZZ(!o->used || o->unit != g->unit || o->id != g->id);
		}
	}
	CHECK_FUZZ(set.resets == 0 || resets_owed != 0);
}

static void hear(bool all)
{
	watch_host(64 + 32 * PROC_QUEUE);
	alive = alive && (all ? chan_worker_all(&set) : chan_worker(&set));
	watch_guest();
	check_set();
}

/* ---- rings ---- */

static struct chan *some_channel(struct script *s, struct ring_guest *up, struct ring_guest *down)
{
	struct chan *c = &set.chan[script_take(s, 1) % CHAN_MAX];

	if (!c->open) { /* of which the device does not know yet that it is gone */
		uint8_t byte = 0;
		const struct ring_send none = { .payload = &byte };
		struct ring_packet p;

		ORACLE(chan_take(c, &byte, 1, &p) == RING_BROKEN &&
			       chan_put(c, &none) == RING_BROKEN,
		       "a closed channel");
		return NULL;
	}
	*up = (struct ring_guest){ memory, c->in.pfn, c->in.pages };
	*down = (struct ring_guest){ memory, c->out.pfn, c->out.pages };
	return c;
}

static void packets(struct script *s, unsigned op)
{
	static uint8_t buffer[2048];
	struct ring_guest up, down;
	struct chan *c = some_channel(s, &up, &down);
	uint32_t n = (uint32_t)script_take(s, 1) * 8;
	struct ring_packet p;
	bool signal;

	if (c == NULL) {
		return;
	}
	watch.twice = true; /* a ring may have a page twice, or another's */
	switch (op) {
	case 0:
		for (unsigned i = 0; i < 24; i++) {
			buffer[i] = oracle_tame((uint8_t)script_take(s, 1));
		}
		if (buffer[4] >= 128) { /* its length as it should be */
			buffer[2] = 2;
			buffer[3] = buffer[5] = 0;
			buffer[4] = (uint8_t)(2 + n / 8 % 200);
		}
		(void)ring_guest_put(&up, buffer, 16 + n % 1600, &signal);
		break;
	case 1:
		ring_guest_set((n & 8) != 0 ? &up : &down, n >> 4 & 12,
			       (uint32_t)script_take(s, 4));
		break;
	case 2:
		watch_host(256);
		chan_drain_signal(c);
		if (chan_take(c, buffer, 1024, &p) == RING_OK) {
			CHECK_FUZZ(p.length <= 1024 && p.offset <= p.length && !c->broken);
		}
		break;
	default:
		memset(buffer, 7, sizeof(buffer));
		watch_host(256);
		if (op == 3) {
			(void)chan_complete(c, oracle_tame_number(script_take(s, 8)), buffer,
					    n % sizeof(buffer));
		} else {
			chan_break(c, "the fuzzer says so");
			CHECK_FUZZ(c->broken && chan_take(c, buffer, 1024, &p) == RING_BROKEN);
		}
		break;
	}
	watch_guest();
}

/* The device comes round to it. */
static void device(struct script *s, unsigned op)
{
	uint32_t i = (uint32_t)script_take(s, 1);

	if (op == 0) {
		at_once = (i & 1) != 0;
	} else if (op == 1) {
		chan_closed(&set, &set.chan[i % CHAN_MAX]);
	} else {
		chan_gpadl_freed(&set, &set.gpadl[i % CHAN_GPADLS_MAX]);
	}
	check_set();
}

static void act(struct script *s)
{
	unsigned op = (unsigned)script_take(s, 1) % 24;

	switch (op) {
	case 0:
	case 1:
	case 2:
		say_gpadl(s);
		break;
	case 3:
	case 4:
	case 5:
		say_open(s);
		break;
	case 6:
	case 7:
	case 8:
		say_word(s, op - 6);
		break;
	case 9:
		say_raw(s);
		break;
	case 10:
	case 11:
	case 12:
		device(s, op - 10);
		break;
	case 13:
		proc_socket[PROC_WORKER].full = (uint32_t)script_take(s, 1) & 1;
		break;
	case 14:
		hear(true);
		break;
	case 15:
	case 16:
	case 17:
	case 18:
	case 19:
		packets(s, op - 15);
		break;
	case 20:
		watch_race_arm(s, sizeof(memory));
		break;
	default:
		hear(false);
		break;
	}
}

/* The device finishes everything: no answer is owed but to what waits in vain behind a reset or a second CLOSE. */
static void finish(void)
{
	struct pm_plain plain = { { 0, 0 } };

	proc_socket[PROC_WORKER].full = 0;
	alive = alive && !proc_socket[PROC_WORKER].gone; /* else it is told nothing */
	at_once = true;
	for (uint32_t i = 0; i < 3 * PROC_QUEUE && alive &&
			     proc_socket[PROC_WORKER].head != proc_socket[PROC_WORKER].tail;
	     i++) {
		hear(false);
	}
	if (alive) {
		resets_owed++;
		proc_say(PROC_WORKER, PM_RESET, &plain, sizeof(plain), -1);
		hear(false);
	}
	if (alive) { /* an answer that could not be given before ends it */
		for (uint32_t i = 0; i < CHAN_MAX; i++) {
			chan_closed(&set, &set.chan[i]);
		}
		for (uint32_t i = 0; i < CHAN_GPADLS_MAX; i++) {
			chan_gpadl_freed(&set, &set.gpadl[i]);
		}
		check_set();
		ORACLE(resets_owed == 0, "a reset without an answer");
		for (uint32_t i = 0; i < UNITS * SUBS; i++) {
			ORACLE(open_owed[i / SUBS][i % SUBS] == 0, "an OPEN without an answer");
		}
	}
	for (uint32_t i = 0; i < CHAN_MAX; i++) {
		if (set.chan[i].open) {
			(void)close(set.chan[i].fd);
		}
	}
	proc_init();
	ORACLE(!alive || proc_fds_left() == 0, "a descriptor was not closed");
	(void)proc_fds_left();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 }, action;

	memset(memory, 0, sizeof(memory));
	watch_clear();
	proc_init();
	memset(open_owed, 0, sizeof(open_owed));
	memset(close_owed, 0, sizeof(close_owed));
	free_owed = resets_owed = 0;
	at_once = true;
	inside = false;
	alive = true;
	set.opened = opened;
	set.closing = closing;
	set.gpadl_freeing = gpadl_freeing;
	chan_init(&set, &mem, proc_socket[PROC_WORKER].ready);
	for (unsigned i = 0; i < 200 && alive && script_action(&s, &action); i++) {
		act(&action);
	}
	finish();
	return 0;
}
