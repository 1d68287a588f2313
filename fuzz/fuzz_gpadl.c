// SPDX-License-Identifier: MIT
/*
 * GPADLs, told in pieces, several at a time, of several channels. Input: a script of headers, bodies, teardowns, OPENs and of what the processes
 * do. Kept beside the server, apart from its code: what each list is to be. Checked: a process is given exactly the pages that the guest
 * told, in their order, once; a refusal leaves pool and tables as they were; quotas; after all is torn down nothing is left.
 */
#include <stdlib.h>

#include "fuzz/oracle.h"
#include "tests/guest/vmbus_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IDS 40u
#define FIRST 0xe1e10u

static struct world w, fresh;
static struct {
	uint32_t count; /* pfns that the guest has told */
	uint64_t first; /* they go up by one from here */
} told[IDS];

/* Before the first input, whose coverage it would be. */
__attribute__((constructor)) static void connect_guest(void)
{
	uint8_t m[VMBUS_MESSAGE_MAX];

	world_init(&w);
	CHECK_FUZZ(world_message(&w, 1, m, guest_contact(m, VMBUS_5_3, 0)));
	CHECK_FUZZ(world_message(&w, 1, m, guest_words(m, VMBUS_REQUEST_OFFERS, 0, 0, 8)));
	world_settle(&w);
	fresh = w;
}

static const struct vmbus_gpadl *known(uint32_t id)
{
	return ring_of(&w.s, id);
}

/* false: too much waits for the guest already, and nothing has changed. */
static bool say(const uint8_t *m, uint32_t n)
{
	bool taken;
	uint8_t *exact = malloc(n != 0 ? n : 1);

	CHECK_FUZZ(exact != NULL);
	memcpy(exact, m, n);
	taken = world_message(&w, 1, exact, n);
	free(exact);
	return taken;
}

static uint32_t taken_pages(void)
{
	return w.s.pool_used;
}

static void header(struct script *s)
{
	uint32_t relid = 1 + (uint32_t)script_take(s, 1) % 8, k = (uint32_t)script_take(s, 1) % IDS;
	uint32_t pages = (uint32_t)script_take(s, 2), count = (uint32_t)script_take(s, 1);
	uint64_t first = script_take(s, 2);
	unsigned change = (unsigned)script_take(s, 1), at = (unsigned)script_take(s, 1);
	uint8_t m[VMBUS_MESSAGE_MAX];
	bool had;
	uint32_t before = taken_pages(), n, id;

	pages = pages % (pages < 0x8000 ? 64 : VMBUS_GPADL_PAGES_MAX + 2);
	count = count % (VMBUS_HEADER_PFNS + 1);
	count = count < pages ? count : pages;
	first = first >= 0xfff0 ? 0xc0000 - 8 + (first & 15) : first;
	n = guest_gpadl(m, relid, FIRST + k, pages, count, first);
	if ((change & 0x80) != 0) {
		m[8 + at % 20] = (uint8_t)change;
		memcpy(&id, m + 12, sizeof(id)); /* it may have another number now */
		k = id - FIRST < IDS ? id - FIRST : k;
	}
	had = known(FIRST + k) != NULL;
	(void)say(m, n);
	if (had && (change & 0x80) == 0) {
		ORACLE(taken_pages() == before, "a number used twice changed the pool");
	} else if (!had && known(FIRST + k) != NULL) {
		ORACLE((change & 0x80) != 0 || taken_pages() == before + pages,
		       "pages counted wrongly");
		told[k].count = count;
		told[k].first = first;
	}
}

static void body(struct script *s)
{
	uint32_t k = (uint32_t)script_take(s, 1) % IDS, count = (uint32_t)script_take(s, 1) % 29;
	unsigned how = (unsigned)script_take(s, 1);
	const struct vmbus_gpadl *g = known(FIRST + k);
	uint64_t first = (how & 7) == 7 ? script_take(s, 8) : told[k].first + told[k].count;
	bool more = g != NULL && g->state == VMBUS_GPADL_ASSEMBLING;
	uint8_t m[VMBUS_MESSAGE_MAX];
	uint32_t n;

	if (more && (how & 0x80) != 0 && g->pages - g->have < 29) {
		count = g->pages - g->have; /* the last piece */
	}
	n = guest_body(m, FIRST + k, count, first);
	more = say(m, (how & 0x70) == 0x70 ? n - 1 : n) && more;
	g = known(FIRST + k);
	if (more && g != NULL && (how & 0x70) != 0x70) {
		ORACLE(g->have == told[k].count + count, "pages counted wrongly");
		if (first != told[k].first + told[k].count) {
			told[k].first = UINT64_MAX; /* not in a row any more: not compared */
		}
		told[k].count += count;
	}
}

static void teardown(struct script *s)
{
	uint8_t m[VMBUS_MESSAGE_MAX];
	uint32_t relid = 1 + (uint32_t)script_take(s, 1) % 8;

	(void)say(m, guest_words(m, VMBUS_GPADL_TEARDOWN, relid,
				 FIRST + (uint32_t)script_take(s, 1) % IDS, 16));
}

static void open_close(struct script *s, bool open)
{
	uint8_t m[VMBUS_MESSAGE_MAX];
	uint32_t relid = 1 + (uint32_t)script_take(s, 1) % 8, k = (uint32_t)script_take(s, 1) % IDS;

	(void)say(m, open ? guest_open(m, relid, FIRST + k, 0, 2 + (uint32_t)script_take(s, 1) % 8)
			  : guest_words(m, VMBUS_CLOSE, relid, 0, 12));
}

/* One action of the server; a list that is given away is looked at. */
static bool step(void)
{
	struct vmbus_action a;

	if (!vmbus_server_next(&w.s, world_alive(&w), true, &a)) {
		return false;
	}
	if (a.what == VMBUS_DO_GPADL && a.gpadl - FIRST < IDS &&
	    told[a.gpadl - FIRST].first != UINT64_MAX) {
		uint32_t k = a.gpadl - FIRST;

		ORACLE(a.pages == told[k].count, "pages counted wrongly");
		for (uint32_t i = 0; i < a.pages; i++) {
			ORACLE(a.pfn[i] == told[k].first + i, "other pages than the guest told");
		}
	}
	return world_step(&w, ~0u, true);
}

static void act(struct script *s)
{
	unsigned op = (unsigned)script_take(s, 1);

	switch (op % 16) {
	case 0:
	case 1:
	case 2:
		header(s);
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		body(s);
		break;
	case 7:
		teardown(s);
		break;
	case 8:
		open_close(s, true);
		break;
	case 9:
		open_close(s, false);
		break;
	case 10: /* a process dies, and comes again */
		world_restarted(&w, op >> 4 & 3);
		break;
	case 11:
		(void)vmbus_server_remove(&w.s, 1 + (op >> 4) % 6);
		world_check(&w);
		break;
	case 12:
		(void)world_answer(&w, op >> 5, op >> 4 & 1);
		break;
	default:
		for (unsigned i = 0; i <= op >> 4 && step(); i++) {
		}
		break;
	}
}

static void finish(void)
{
	uint8_t m[VMBUS_MESSAGE_MAX];

	while (step()) {
	}
	world_settle(&w);
	for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
		const struct vmbus_gpadl *g = &w.s.gpadl[i];

		if (g->state != VMBUS_GPADL_NONE && !g->owed) {
			(void)world_message(&w, 1, m,
					    guest_words(m, VMBUS_GPADL_TEARDOWN, g->relid, g->id,
							16));
		}
	}
	for (uint32_t relid = 1; relid < RELIDS; relid++) {
		if (w.s.channel[relid - 1].state != VMBUS_CH_CLOSED) {
			(void)world_message(&w, 1, m, guest_words(m, VMBUS_CLOSE, relid, 0, 12));
			world_settle(&w);
		}
	}
	world_settle(&w);
	ORACLE(w.s.pool_used == 0, "pages of GPADLs that are torn down");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 }, action;

	w = fresh;
	memset(told, 0, sizeof(told));
	for (unsigned i = 0; i < 200 && script_action(&s, &action); i++) {
		act(&action);
	}
	finish();
	return 0;
}
