// SPDX-License-Identifier: MIT
/*
 * Input: a record: 1 pages are used twice, 2 guest memory changes within calls, too; 5:4 pages of data per ring; then a script of
 * what host and guest do with two rings. While the guest follows the rules, each packet must arrive as it was sent and nobody may
 * be left waiting; whatever it does, no byte is fetched twice, nothing is written but data pages and our own fields, indices stay
 * valid and the work is bounded.
 */
#include <string.h>

#include "tests/guest/ring_guest.h"
#include "fuzz/oracle.h"
#include "hv/wire/gmem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The ring's source is compiled here once more, with its accesses to guest memory going through the watch below. */
static bool watch_in(const struct gmem *m, uint64_t gpa, void *to, size_t len);
static bool watch_out(const struct gmem *m, uint64_t gpa, const void *from, size_t len);
static uint32_t watch_load(const struct gmem *m, uint64_t gpa);
static void watch_store(const struct gmem *m, uint64_t gpa, uint32_t v);
#define gmem_copy_in watch_in
#define gmem_copy_out watch_out
#define gmem_load32 watch_load
#define gmem_store32 watch_store
#include "hv/wire/ring.c" // NOLINT(bugprone-suspicious-include)
#undef gmem_copy_in
#undef gmem_copy_out
#undef gmem_load32
#undef gmem_store32

#define PAGES 12
#define MEMORY (PAGES * 4096ull)
#define FIFO_MAX 1024
#define PACKET_BUFFER 20480
#define STEPS 400
#define ACCESSES_MAX 64

static uint8_t memory[MEMORY] __attribute__((aligned(4096)));
static const struct gmem mem = { memory, MEMORY };
static uint64_t pfn_in[5], pfn_out[5];
static struct ring in, out;
static struct ring_guest to_host, to_guest;

/* ---- the watch ---- */
static struct {
	struct script
		*script; /* guest memory changes within a call as this says; NULL: it does not */
	const struct ring *active;
	unsigned accesses; /* in this call */
	struct {
		uint64_t gpa, len;
	} fetched[ACCESSES_MAX];
	unsigned fetches;
	bool twice; /* pages have several places: a fetch does not tell which */
} look;

static void watch_begin(const struct ring *r)
{
	look.active = r;
	look.accesses = 0;
	look.fetches = 0;
}

static void disturb(void)
{
	struct script *s = look.script;
	unsigned where;

	/* A call makes a few accesses, and one for each piece of a page: bounded, whatever is written meanwhile. */
	CHECK_FUZZ(look.accesses++ < ACCESSES_MAX);
	if (s == NULL || (script_take(s, 1) & 3) != 1) {
		return;
	}
	where = (unsigned)(script_take(s, 2) % (MEMORY - 8));
	if ((where & 0x8000) != 0) { /* where it hurts: indices, or the descriptor that is next */
		uint32_t v = (uint32_t)script_take(s, 2);

		ring_guest_set(look.active == &in ? &to_host : &to_guest, where % 16 & ~3u, v);
		return;
	}
	for (unsigned i = 0; i < 8; i++) {
		memory[where + i] = (uint8_t)script_take(s, 1);
	}
}

static bool is_data(const struct ring *r, uint64_t gpa, size_t len)
{
	for (uint32_t i = 1; i < r->pages; i++) {
		if (gpa >> 12 == r->pfn[i]) {
			return len <= 4096 - (gpa & 4095);
		}
	}
	return false;
}

static bool watch_in(const struct gmem *m, uint64_t gpa, void *to, size_t len)
{
	CHECK_FUZZ(m == &mem && len != 0 && look.active == &in && is_data(&in, gpa, len));
	CHECK_FUZZ(look.fetches < ACCESSES_MAX);
	for (unsigned i = 0; i < look.fetches; i++) {
		CHECK_FUZZ(look.twice ||
			   !range_overlaps(gpa, len, look.fetched[i].gpa, look.fetched[i].len));
	}
	look.fetched[look.fetches].gpa = gpa;
	look.fetched[look.fetches++].len = len;
	CHECK_FUZZ(gmem_copy_in(m, gpa, to, len));
	disturb();
	return true;
}

static bool watch_out(const struct gmem *m, uint64_t gpa, const void *from, size_t len)
{
	CHECK_FUZZ(m == &mem && len != 0 && look.active == &out && is_data(&out, gpa, len));
	oracle_clean(from, len);
	CHECK_FUZZ(gmem_copy_out(m, gpa, from, len));
	disturb();
	return true;
}

static uint32_t watch_load(const struct gmem *m, uint64_t gpa)
{
	uint32_t v;

	CHECK_FUZZ(m == &mem && gpa >> 12 == look.active->pfn[0] && (gpa & 4095) < 16);
	v = gmem_load32(m, gpa);
	disturb();
	return v;
}

static void watch_store(const struct gmem *m, uint64_t gpa, uint32_t v)
{
	unsigned field = gpa & 4095;

	CHECK_FUZZ(m == &mem && gpa >> 12 == look.active->pfn[0]);
	if (look.active == &in) {
		CHECK_FUZZ(field == RING_GUEST_READ || field == RING_GUEST_MASK);
	} else {
		CHECK_FUZZ(field == RING_GUEST_WRITE || field == RING_GUEST_PENDING);
	}
	gmem_store32(m, gpa, v);
	disturb();
}

/* ---- what an honest guest and we have sent and not yet received ---- */
struct fifo {
	struct {
		uint64_t transaction;
		uint32_t length, header;
	} packet[FIFO_MAX];
	unsigned head, tail;
	bool honest;  /* nothing but the rules since the rings were opened */
	bool waiting; /* the producer got no room and relies on a signal */
	bool asleep;  /* the consumer found nothing and relies on a signal */
};
static struct fifo up, down;

static unsigned queued(const struct fifo *f)
{
	return f->tail - f->head;
}

FUZZ_QUIET_BEGIN

static uint8_t pattern(uint64_t transaction, uint32_t at)
{
	return (uint8_t)(transaction * 31 + (uint64_t)at * 7 + (at >> 8));
}

/* What a packet has behind its first `from` bytes. */
static void pattern_fill(uint64_t transaction, uint32_t from, uint32_t to, uint8_t *packet)
{
	for (uint32_t i = from; i < to; i++) {
		packet[i] = pattern(transaction, i);
	}
}

static void fifo_push(struct fifo *f, uint64_t transaction, uint32_t length, uint32_t header)
{
	CHECK_FUZZ(queued(f) < FIFO_MAX);
	f->packet[f->tail % FIFO_MAX].transaction = transaction;
	f->packet[f->tail % FIFO_MAX].length = length;
	f->packet[f->tail++ % FIFO_MAX].header = header;
}

static void fifo_pop(struct fifo *f, const uint8_t *p, uint32_t length)
{
	uint64_t transaction;

	CHECK_FUZZ(queued(f) != 0);
	CHECK_FUZZ(length == f->packet[f->head % FIFO_MAX].length);
	CHECK_FUZZ(le16(p + 2) * 8u == f->packet[f->head % FIFO_MAX].header);
	CHECK_FUZZ(le16(p + 4) * 8u == length);
	transaction = f->packet[f->head++ % FIFO_MAX].transaction;
	CHECK_FUZZ(le64(p + 8) == transaction);
	for (uint32_t i = 16; i < length; i++) {
		CHECK_FUZZ(p[i] == pattern(transaction, i));
	}
}

FUZZ_QUIET_END

static void check_ring(const struct ring *r)
{
	CHECK_FUZZ(r->own < r->size && r->own % 8 == 0 && r->size == (r->pages - 1) * 4096);
	CHECK_FUZZ(r->pending < r->size);
}

static void open_rings(bool fresh)
{
	bool good;

	if (fresh) {
		ring_guest_init(&to_host);
		ring_guest_init(&to_guest);
		memset(&up, 0, sizeof(up));
		memset(&down, 0, sizeof(down));
		up.honest = down.honest = !look.twice && look.script == NULL;
		up.asleep = down.asleep = true;
	}
	watch_begin(&in);
	good = ring_open_in(&in, &mem, pfn_in, to_host.pages);
	watch_begin(&out);
	good &= ring_open_out(&out, &mem, pfn_out, to_guest.pages);
	CHECK_FUZZ(good || (!up.honest && !down.honest));
	down.waiting = false; /* a process that starts again retries by itself */
	up.asleep = false;
	if (!good) {
		look.script = NULL;
		open_rings(true);
	}
	check_ring(&in);
	check_ring(&out);
}

/* ---- actions ---- */

static void act_take(struct script *s)
{
	static uint8_t buffer[PACKET_BUFFER + 64];
	uint32_t max = (script_take(s, 1) & 1) != 0 ? PACKET_BUFFER
						    : (uint32_t)script_take(s, 2) % PACKET_BUFFER;
	uint32_t old = in.own, there = ring_guest_get(&to_host, RING_GUEST_WRITE) - old;
	struct ring_packet p = { 0 };
	enum ring_status status;
	bool signal = true;

	memset(buffer + max, 0xa5, 64);
	watch_begin(&in);
	status = ring_take(&in, buffer, max, &p, &signal);
	check_ring(&in);
	for (unsigned i = 0; i < 64; i++) {
		CHECK_FUZZ(buffer[max + i] == 0xa5);
	}
	CHECK_FUZZ(status != RING_FULL && (status == RING_OK || !signal));
	if (status == RING_OK) {
		CHECK_FUZZ(p.length <= max && p.length >= 16 && p.length % 8 == 0);
		CHECK_FUZZ(p.offset >= 16 && p.offset <= p.length);
		CHECK_FUZZ(p.transaction == le64(buffer + 8) && p.type == le16(buffer) &&
			   p.flags == le16(buffer + 6) && p.length == le16(buffer + 4) * 8u);
		CHECK_FUZZ(in.own == (old + p.length + 8) % in.size);
		/* Never past what the guest has said to have written. */
		CHECK_FUZZ(look.script != NULL || look.twice ||
			   p.length + 8 <= (there > in.size ? there + in.size : there));
	}
	if (!up.honest) {
		return;
	}
	if (queued(&up) == 0) {
		CHECK_FUZZ(status == RING_EMPTY);
		up.asleep = true;
		return;
	}
	if (up.packet[up.head % FIFO_MAX].length > max) {
		CHECK_FUZZ(status == RING_BROKEN);
		return;
	}
	CHECK_FUZZ(status == RING_OK);
	fifo_pop(&up, buffer, p.length);
	if (signal) {
		CHECK_FUZZ(ring_guest_get(&to_host, RING_GUEST_PENDING) != 0);
		up.waiting = false;
	}
	CHECK_FUZZ(queued(&up) != 0 || !up.waiting); /* else it waits for ever */
}

/* Mostly small, now and then anything below `limit`. */
static uint32_t size_from(struct script *s, uint32_t limit)
{
	uint32_t v = (uint32_t)script_take(s, 2);

	return (v & 0xe000) == 0 ? (v & 0x1fff) * 8 % limit : (v & 0xff) % limit;
}

/* Pages that are none, too few, too many. */
static void act_open_bad(struct script *s)
{
	uint64_t pfn[3] = { 1, script_take(s, 8), 2 };
	uint32_t pages = (uint32_t)script_take(s, 2);
	struct ring r;

	pages = pages > RING_PAGES_MAX ? pages : pages % 4;
	watch_begin(&r);
	r.pfn = pfn;
	if (pages != 2 && pages != 3) {
		CHECK_FUZZ(!ring_open_in(&r, &mem, pfn, pages) &&
			   !ring_open_out(&r, &mem, pfn, pages));
	} else if (pfn[1] >= PAGES) {
		CHECK_FUZZ(!ring_open_in(&r, &mem, pfn, pages) &&
			   !ring_open_out(&r, &mem, pfn, pages));
	}
	watch_begin(&in);
	if (look.script == NULL) {
		CHECK_FUZZ(ring_waiting(&in) ==
			   (ring_guest_get(&to_host, RING_GUEST_WRITE) != in.own));
	}
}

static void act_put(struct script *s)
{
	static uint8_t packet[PACKET_BUFFER];
	uint8_t *bytes = packet + 16;
	uint64_t transaction = script_take(s, 1);
	uint32_t head = (uint32_t)script_take(s, 1) % 8 * 8;
	uint32_t body = size_from(s, PACKET_BUFFER - 128);
	uint32_t length = 16 + head + ((body + 7) & ~7u);
	struct ring_send send = { (uint16_t)script_take(s, 1),
				  0,
				  transaction,
				  bytes,
				  head,
				  bytes + head,
				  (body + 7) & ~7u };
	uint32_t room = ring_guest_room(&to_guest);
	bool odd = send.type ==
		   0xff; /* sizes that are none: refused before anything is looked at */
	bool was_empty = queued(&down) == 0, signal = true;
	enum ring_status status;

	if (odd && (body & 1) != 0) {
		send.payload_length = UINT32_MAX - (body >> 1 & 7);
	} else if (odd) {
		send.head_length = (body & 2) != 0 ? UINT32_MAX - 7 : head | 4;
	}
	pattern_fill(transaction, 16, length, packet);
	watch_begin(&out);
	status = ring_put(&out, &send, &signal);
	check_ring(&out);
	CHECK_FUZZ(status != RING_EMPTY && (status == RING_OK || !signal));
	CHECK_FUZZ(!odd || (status == RING_BROKEN && look.accesses == 0));
	if (!down.honest || odd) {
		return;
	}
	if (length + 8 >= out.size) {
		CHECK_FUZZ(status == RING_BROKEN);
		return;
	}
	CHECK_FUZZ(status != RING_BROKEN);
	CHECK_FUZZ((status == RING_OK) == (room > length + 8));
	if (status == RING_FULL) {
		CHECK_FUZZ(ring_guest_get(&to_guest, RING_GUEST_PENDING) >= length + 8);
		down.waiting = true;
		return;
	}
	fifo_push(&down, transaction, length, 16 + head);
	if (out.pending == 0) {
		down.waiting = false;
	}
	CHECK_FUZZ(signal == (was_empty && ring_guest_get(&to_guest, RING_GUEST_MASK) == 0));
	down.asleep = down.asleep && !signal;
	CHECK_FUZZ(!down.asleep || ring_guest_get(&to_guest, RING_GUEST_MASK) != 0);
}

static void act_guest_put(struct script *s)
{
	static uint8_t packet[PACKET_BUFFER];
	uint64_t transaction = script_take(s, 1);
	uint32_t length8 = 2 + size_from(s, PACKET_BUFFER / 8 - 2);
	uint32_t header8 = 2 + (uint32_t)script_take(s, 1) % (length8 - 1), length = length8 * 8;
	uint16_t descriptor[4] = { 6, (uint16_t)header8, (uint16_t)length8, 1 };
	bool signal = false;

	memcpy(packet, descriptor, 8);
	memcpy(packet + 8, &transaction, 8);
	pattern_fill(transaction, 16, length, packet);
	if (!up.honest) {
		uint32_t w = ring_guest_get(&to_host, RING_GUEST_WRITE) % in.size;

		/* Well-formed content under indices of any kind. */
		ring_guest_write(&to_host, w & ~7u, packet, length);
		return;
	}
	if (length + 8 >= in.size) {
		return; /* it would never fit, and the guest would not try */
	}
	if (!ring_guest_put(&to_host, packet, length, &signal)) {
		ring_guest_set(&to_host, RING_GUEST_PENDING, length + 8);
		up.waiting = true;
		return;
	}
	if (up.waiting) { /* it has found room by itself */
		ring_guest_set(&to_host, RING_GUEST_PENDING, 0);
		up.waiting = false;
	}
	fifo_push(&up, transaction, length, header8 * 8);
	up.asleep = up.asleep && !signal;
	/* We sleep with a mask only until we unmask and look again. */
	CHECK_FUZZ(!up.asleep || ring_guest_get(&to_host, RING_GUEST_MASK) != 0);
}

static void act_guest_take(void)
{
	static uint8_t packet[65535 * 8];
	bool signal = false;
	uint32_t length;

	if (!down.honest) {
		return;
	}
	length = ring_guest_take(&to_guest, packet, sizeof(packet), &signal);
	CHECK_FUZZ(length != UINT32_MAX && (length != 0) == (queued(&down) != 0));
	if (length == 0) {
		down.asleep = true;
		return;
	}
	fifo_pop(&down, packet, length);
	if (signal) {
		down.waiting = false;
	}
	CHECK_FUZZ(queued(&down) != 0 || !down.waiting);
}

/* From here on the guest has written what it must not. */
static void act_guest_raw(struct script *s)
{
	static const uint32_t interesting[] = {
		0, 8, 16, 24, 4088, 4096, 8184, 8192, 4, 0xfffffff8
	};
	unsigned op = (unsigned)script_take(s, 1);
	const struct ring_guest *g = (op & 1) != 0 ? &to_host : &to_guest;

	up.honest = down.honest = false;
	if ((op & 2) != 0) {
		uint32_t v = (op & 4) != 0 ? (uint32_t)script_take(s, 4)
					   : interesting[script_take(s, 1) % 10];

		ring_guest_set(g, op >> 3 & 12, v);
		return;
	}
	for (uint32_t at = (uint32_t)script_take(s, 2), n = 1 + (op >> 2 & 31); n != 0; n--) {
		*ring_guest_byte(g, at++) = (uint8_t)script_take(s, 1);
	}
}

/* The door itself: memory with the hole below 4 GiB, at addresses of any kind. Nothing is touched. */
static void probe(struct script *s)
{
	struct gmem m = { memory, (script_take(s, 1) & 1) != 0 ? GMEM_LOW_LIMIT + MEMORY : MEMORY };
	uint64_t gpa = script_take(s, 8), len = script_take(s, 4);
	uint64_t low = m.size < GMEM_LOW_LIMIT ? m.size : GMEM_LOW_LIMIT;
	uint64_t last = gpa + (len != 0 ? len - 1 : 0);
	bool in_low = last < low && gpa <= last;
	bool in_high = gpa >= GMEM_HIGH_BASE && gpa <= last && last - GMEM_HIGH_BASE < m.size - low;
	uint8_t byte = 0;

	if (len == 0) {
		return; /* empty: at the end, too */
	}
	CHECK_FUZZ(gmem_check(&m, gpa, len) == (in_low || in_high));
	CHECK_FUZZ((uintptr_t)gmem_direct(&m, gpa, len) ==
		   (in_low    ? (uintptr_t)memory + gpa
		    : in_high ? (uintptr_t)memory + low + (gpa - GMEM_HIGH_BASE)
			      : 0));
	if (!in_low && !in_high) {
		CHECK_FUZZ(!gmem_copy_in(&m, gpa, &byte, len) &&
			   !gmem_copy_out(&m, gpa, &byte, len));
	}
	if ((gpa & 3) != 0 || !gmem_check(&m, gpa, 4)) {
		gmem_store32(&m, gpa, 1); /* to nowhere */
		CHECK_FUZZ(gmem_load32(&m, gpa) == 0);
	}
}

static void setup(unsigned flags)
{
	unsigned pages = 2 + (flags >> 4 & 3);

	memset(memory, 0x11, sizeof(memory));
	memset(&look, 0, sizeof(look));
	look.twice = (flags & 1) != 0;
	for (unsigned i = 0; i < 5; i++) { /* 5 and 12 have no common divisor: all differ */
		pfn_in[i] = i * 5 % PAGES;
		pfn_out[i] = (i + 5) * 5 % PAGES;
	}
	if (look.twice) {
		pfn_in[1] = pfn_in[0];
		pfn_out[1] = pfn_in[0];
		pfn_out[2] = pfn_out[0];
	}
	to_host = (struct ring_guest){ memory, pfn_in, pages };
	to_guest = (struct ring_guest){ memory, pfn_out, pages };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script all = { data, size, 0 }, s = { NULL, 0, 0 };
	unsigned flags;

	(void)script_action(&all, &s);
	flags = (unsigned)script_take(&s, 1);
	setup(flags);
	if ((flags & 2) != 0) {
		look.script = &s;
	}
	open_rings(true);
	for (unsigned i = 0; i < STEPS && script_action(&all, &s); i++) {
		unsigned op = (unsigned)script_take(&s, 1);

		switch (op % 16) {
		case 0:
			act_guest_raw(&s);
			break;
		case 1:
			open_rings(false);
			break;
		case 2:
			watch_begin(&in);
			ring_mask(&in, (op & 16) != 0);
			up.asleep = false; /* it looks again */
			break;
		case 13:
			probe(&s);
			break;
		case 3: /* the guest's own mask */
			ring_guest_set(&to_guest, RING_GUEST_MASK, op >> 4 & 1);
			down.asleep = false;
			break;
		case 4:
		case 5:
		case 6:
			act_put(&s);
			break;
		case 7:
		case 8:
		case 9:
			act_guest_take();
			break;
		case 10:
		case 11:
		case 12:
			act_take(&s);
			break;
		case 14:
			act_open_bad(&s);
			break;
		default:
			act_guest_put(&s);
			break;
		}
	}
	return 0;
}
