// SPDX-License-Identifier: MIT
/*
 * The disk process's session, with disks that are this file. Input: a script of what a guest, its worker, the disks and the
 * process's death do; negotiation is one of the actions. Every request that wants an answer gets one and no other; what the disks
 * are given lies in the disk and in guest memory.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "tests/guest/ring_guest.h"
#include "fuzz/oracle.h"
#include "hv/arch/fake/fake_page.h"
#include "hv/host/lib/start.h"
#include "hv/host/storvsp/storvsp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

FUZZ_QUIET_BEGIN

#define PAGES 80u
#define RINGS 12u /* pages below are the rings */
#define BLOCKS 4096u
#define SENT_MAX ONCE_MAX

static _Alignas(4096) uint8_t memory[PAGES * 4096];
static const uint64_t ring_pfn[5] = { 9, 4, 11, 3, 2 };
static const struct ring_guest to_host = { memory, ring_pfn, 3 };
static const struct ring_guest from_host = { memory, ring_pfn + 3, 2 };
static struct storvsp s;
static struct kept kept;

static uint64_t running;              /* what the disks have */
static bool unwatched;                /* an end of a watch is under way */
static bool ring_spoilt, kept_spoilt; /* then no answer is promised, or any may come */
static struct once requests;

/* ---- what the session needs of its process ---- */

void start_log(const char *format, ...)
{
	(void)format;
}

void disk_submit(struct storvsp *p, uint32_t slot)
{
	const struct disk_io *io = &p->request[slot].io;
	uint64_t bytes = p->disk[io->disk].unit.blocks * SCSI_BLOCK, total = 0;

	CHECK_FUZZ(p == &s && slot < STORVSP_SLOTS && (running >> slot & 1) == 0);
	CHECK_FUZZ(io->disk < p->disk_count && s.kept->phase == PHASE_READY);
	running |= 1ull << slot;
	if (io->op == DISK_FLUSH) {
		return;
	}
	CHECK_FUZZ(io->length != 0 && io->offset <= bytes && io->length <= bytes - io->offset);
	CHECK_FUZZ(io->op == DISK_READ || !p->disk[io->disk].unit.read_only);
	if (io->op == DISK_UNMAP) {
		return;
	}
	/* Not more than the range that the guest gave, which is at this place of its packet. */
	CHECK_FUZZ(io->length <= le32(p->kept->slot[slot].packet + 24));
	CHECK_FUZZ(io->first == 0 && io->count != 0 && io->count <= STORVSP_PAGES);
	for (uint32_t i = 0; i < io->count; i++) {
		uint8_t *at = io->piece[i].iov_base;
		size_t n = io->piece[i].iov_len;

		CHECK_FUZZ(n != 0 && at >= memory && n <= sizeof(memory) &&
			   at <= memory + sizeof(memory) - n);
		total += n;
	}
	CHECK_FUZZ(total == io->length);
}

void disk_watch(struct storvsp *p, enum watch w, int fd)
{
	(void)fd;
	p->queue.watching[w] = true;
}

void disk_unwatch(struct storvsp *p, enum watch w)
{
	unwatched |= p->queue.watching[w];
}

/* ---- the guest ---- */

static void send_packet(uint16_t type, uint16_t flags, const uint8_t *head, uint32_t head_length,
			const uint8_t *payload, uint32_t length)
{
	static uint8_t p[2048];
	uint16_t header8 = (uint16_t)(2 + head_length / 8),
		 total8 = (uint16_t)(header8 + length / 8);
	uint64_t id = 0x1000 + requests.count;
	bool signal;

	if (requests.count == SENT_MAX) {
		return;
	}
	memset(p, 0, total8 * 8u);
	memcpy(p, &type, 2);
	memcpy(p + 2, &header8, 2);
	memcpy(p + 4, &total8, 2);
	memcpy(p + 6, &flags, 2);
	memcpy(p + 8, &id, 8);
	memcpy(p + 16, head, head_length);
	memcpy(p + header8 * 8u, payload, length);
	if (ring_guest_put(&to_host, p, total8 * 8u, &signal)) {
		(void)once_expect(&requests, (flags & 1) != 0);
		ring_spoilt |= total8 * 8u > STORVSP_PACKET_MAX;
	}
}

static void send_operation(uint32_t operation, uint16_t version)
{
	uint8_t v[64] = { (uint8_t)operation, 0, 0, 0, 1 };

	memcpy(v + 12, &version, 2);
	send_packet(RING_DATA_INBAND, 1, (const uint8_t *)"", 0, v, sizeof(v));
}

static void make_cdb(struct script *in, uint8_t *cdb, uint8_t *length)
{
	static const uint8_t opcode[] = { 0x28, 0x2a, 0x88, 0x8a, 0x08, 0x0a,
					  0x35, 0x42, 0x12, 0x1a, 0x9e };
	uint32_t pick = (uint32_t)script_take(in, 1);

	if (pick >= 0x80) {
		*length = (uint8_t)(pick & 31);
		for (unsigned i = 0; i < 16; i++) {
			cdb[i] = (uint8_t)script_take(in, 1);
		}
		return;
	}
	cdb[0] = opcode[pick % sizeof(opcode)];
	*length = 16;
	switch (cdb[0] >> 5) {
	case 0:
		cdb[2] = (uint8_t)script_take(in, 1);
		cdb[4] = (uint8_t)script_take(in, 1);
		break;
	case 4:
		cdb[1] = cdb[0] == 0x9e ? 0x10 : 0;
		cdb[8] = (uint8_t)script_take(in, 1);
		cdb[9] = (uint8_t)script_take(in, 1);
		cdb[12] = (uint8_t)script_take(in, 1);
		cdb[13] = (uint8_t)script_take(in, 1);
		break;
	default:
		cdb[4] = (uint8_t)script_take(in, 1);
		cdb[5] = (uint8_t)script_take(in, 1);
		cdb[7] = (uint8_t)script_take(in, 1) & 3;
		cdb[8] = (uint8_t)script_take(in, 1);
		break;
	}
}

static void send_srb(struct script *in, unsigned op)
{
	uint8_t v[64] = { 3, 0, 0, 0, 1 };
	static uint8_t head[16 + 70 * 8] = {
		0, 0, 0, 0, 1
	}; /* of the rest the same bytes are written each time */
	uint32_t transfer, length, offset, count, first;
	uint8_t where = (uint8_t)script_take(in, 1);

	v[12] = 52;
	v[17] = where >> 7;
	v[18] = where >> 6 & 1;
	v[19] = where & 3;
	v[21] = (op & 0x20) != 0 ? 20 : (uint8_t)(where >> 2 & 15);
	v[22] = (uint8_t)script_take(in, 1) & 3;
	make_cdb(in, v + 28, v + 20);
	transfer = (uint32_t)script_take(in, 2) << 3;
	memcpy(v + 24, &transfer, 4);
	if ((op & 0x10) != 0) {
		send_packet(RING_DATA_INBAND, (op & 0x40) == 0, head, 0, v, sizeof(v));
		return;
	}
	offset = (uint32_t)script_take(in, 2) % 4100;
	length = (op & 0x80) != 0 ? (uint32_t)script_take(in, 3) : transfer;
	count = (offset + length + 4095) / 4096;
	count = count > 70 ? 70 : count;
	first = (uint32_t)script_take(in, 1);
	memcpy(head + 8, &length, 4);
	memcpy(head + 12, &offset, 4);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t page = first + i * (1 + first / 64);

		head[16 + i * 8] = (uint8_t)(RINGS + page % (PAGES - RINGS + (first & 1)));
	}
	if (first == 255) { /* answers into its own rings */
		head[16] = 9;
		ring_spoilt = true;
	}
	watch.twice |= first == 255 || count > 2; /* pages that are named twice */
	/* The guest's data, among them UNMAP's list. */
	for (unsigned i = 0; i < 24 && (first & 8) != 0 && offset < 4000; i++) {
		static const uint8_t list[24] = { 0, 22, 0, 16, [14] = 1, [19] = 8 };

		memory[(RINGS + first % (PAGES - RINGS)) * 4096 + offset + i] = list[i];
	}
	send_packet(RING_DATA_GPA_DIRECT, (op & 0x40) == 0, head, 16 + count * 8, v, sizeof(v));
}

static void send_raw(struct script *in, unsigned op)
{
	static uint8_t v[1200], head[64]; /* only the first bytes are ever written */
	uint32_t length = (uint32_t)script_take(in, 1) * 8 % sizeof(v);

	for (unsigned i = 0; i < sizeof(head); i++) {
		head[i] = (uint8_t)script_take(in, (op & 0x80) != 0 ? 1 : 0);
	}
	for (unsigned i = 0; i < 24; i++) {
		v[i] = (uint8_t)script_take(in, 1);
	}
	send_packet((uint16_t)script_take(in, 1), op >> 6 & 1, head, (op >> 4 & 3) * 16, v, length);
}

static bool zero(const uint8_t *p, uint32_t from, uint32_t end)
{
	while (from < end && p[from] == 0) {
		from++;
	}
	return from >= end;
}

/* What an answer does not say is 0, and nothing of an earlier one. */
static void check_unused(const uint8_t *p)
{
	const uint8_t *body = p + 12;

	ORACLE(zero(p, 4, 8), "flags in an answer");
	if (le16(body) == 52) { /* an SRB: sense data at 16 */
		ORACLE(body[11] == 0 && zero(body, 48, 52), "unused bytes in an answer");
		ORACLE(zero(body, 16u + body[9], 38), "something behind the sense data");
	} else {
		ORACLE(zero(body, 2, 12) && zero(body, 16, 52), "unused bytes in an answer");
	}
}

static void take_reply(void)
{
	static uint8_t p[512];
	uint64_t id;
	bool signal;
	uint32_t n = ring_guest_take(&from_host, p, sizeof(p), &signal);

	if (n == 0 || ring_spoilt || kept_spoilt) {
		return;
	}
	CHECK_FUZZ(n == 16 + VSTOR_PACKET_BYTES && p[0] == RING_COMPLETION &&
		   p[16] == VSTOR_COMPLETE_IO);
	check_unused(p + 16);
	memcpy(&id, p + 8, 8);
	once_answered(&requests, id - 0x1000);
}

/* ---- the worker ---- */

static void open_channel(void)
{
	struct chan *c = &s.chans.chan[0];
	struct chan_gpadl *g = &s.chans.gpadl[0];

	if (c->open) {
		return;
	}
	g->used = true;
	g->id = 0xe1e10;
	g->pages = 5;
	memcpy(g->pfn, ring_pfn, sizeof(ring_pfn));
	*c = (struct chan){ .fd = -1, .rings = g };
	if (ring_open_in(&c->in, &s.mem, g->pfn, 3) &&
	    ring_open_out(&c->out, &s.mem, g->pfn + 3, 2)) {
		c->open = true;
		s.chans.opened(c);
	}
}

/* 256 packets at most, each with its pages and an answer. */
#define BUDGET (256u * 200u)

static void start_process(bool restarted)
{
	running = 0;
	unwatched = false;
	memset(&s.queue, 0, sizeof(s.queue));
	chan_init(&s.chans, &s.mem, -1);
	session_init(&s, &kept, restarted);
}

/* Another process goes on where one has died; what the disks did for that one is not heard of. */
static void reborn(void)
{
	watch_guest();
	watch.kill = 0;
	start_process(true);
	open_channel();
}

static bool run(void)
{
	volatile bool more = true;

	watch_host(BUDGET);
	if (setjmp(watch.death) == 0) {
		more = session_run(&s);
	} else {
		reborn();
	}
	watch_guest();
	if (watch.raced) { /* a second processor of the guest wrote anywhere */
		ring_spoilt = true;
	}
	return more;
}

static void finish_disk(uint32_t from, int result)
{
	uint64_t after = running >> from << from;
	uint64_t from_there = after != 0 ? after : running;
	uint32_t slot;

	if (running == 0) {
		return;
	}
	slot = (uint32_t)__builtin_ctzll(from_there);
	running &= ~(1ull << slot);
	watch_host(BUDGET);
	if (setjmp(watch.death) == 0) {
		session_disk_done(&s, slot, result);
	} else {
		reborn();
	}
	watch_guest();
}

static void end_watch(void)
{
	if (unwatched) {
		unwatched = false;
		s.queue.watching[WATCH_CHANNEL] = false;
		session_channel_event(&s);
	}
}

/* The guest closes: what it still waits for is not answered. */
static void close_channel(void)
{
	struct chan *c = &s.chans.chan[0];

	if (!c->open || c->closing) {
		return;
	}
	watch.kill = 0;
	c->closing = true;
	s.chans.closing(c);
	while (running != 0) {
		finish_disk(0, 0);
	}
	end_watch();
	CHECK_FUZZ(!c->open && s.chan == NULL && s.used == 0);
	once_clear(&requests);
	ring_guest_init(&to_host);
	ring_guest_init(&from_host);
	ring_spoilt = false;
	kept_spoilt = false;
	watch.twice = watch.raced = false;
}

static void spoil(struct script *in, unsigned op)
{
	uint32_t at = (uint32_t)script_take(in, 2), value = (uint32_t)script_take(in, 2);

	watch.stale |= (op & 0x10) != 0;
	if ((op & 0x10) != 0) { /* what the next process finds */
		((uint8_t *)&kept)[at * 3 % sizeof(kept)] = (uint8_t)value;
		kept_spoilt = true;
		start_process(true);
		open_channel();
	} else {
		ring_guest_set((op & 0x20) != 0 ? &to_host : &from_host, at % 4 * 4, value);
		ring_spoilt = true;
	}
}

static void act(struct script *in, unsigned op)
{
	switch (op & 15) {
	case 0:
		for (unsigned i = 0; i < 4; i++) {
			send_operation("\7\x9\xa\x8"[i], VSTOR_VERSION_WIN10);
		}
		break;
	case 1:
		send_operation((uint32_t)op >> 4, (uint16_t)script_take(in, 2));
		break;
	case 2:
	case 3:
	case 4:
	case 5:
		send_srb(in, op);
		break;
	case 6:
		send_raw(in, op);
		break;
	case 7:
	case 8:
		finish_disk(op >> 4, (op & 0x40) == 0 ? 0 : (op & 0x80) != 0 ? -EIO : -EFAULT);
		break;
	case 9:
		for (unsigned i = 0; i <= op >> 4; i++) {
			take_reply();
		}
		break;
	case 10:
		(void)run();
		break;
	case 11:
		close_channel();
		open_channel();
		break;
	case 15:
		if ((op & 0x80) != 0) {
			watch.kill = 1 + (uint32_t)script_take(in, 1);
		} else {
			watch_race_arm(in, sizeof(memory));
		}
		break;
	case 12: /* dies; another one goes on */
		start_process(true);
		open_channel();
		break;
	case 13:
		spoil(in, op);
		break;
	default:
		session_channel_event(&s);
		(void)run();
		break;
	}
}

/* Nobody does anything else any more: everything must be answered. */
static void drain(void)
{
	watch.race.countdown = watch.kill = 0;
	for (unsigned i = 0; i < 4 * SENT_MAX; i++) {
		bool more = run();

		take_reply();
		if (running == 0 && s.used == 0 && !more &&
		    ring_guest_get(&from_host, RING_GUEST_WRITE) ==
			    ring_guest_get(&from_host, RING_GUEST_READ)) {
			break;
		}
		finish_disk(i % 64, 0);
	}
	if (ring_spoilt || kept_spoilt) {
		return;
	}
	CHECK_FUZZ(s.used == 0 && s.waiting == 0 && s.resets == 0);
	once_all(&requests);
}

/* Most of it is zero still. */
static void clear_memory(void)
{
	for (uint32_t page = 0; page < PAGES; page++) {
		if (!page_zero(memory + page * 4096)) {
			memset(memory + page * 4096, 0, 4096);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script all = { data, size, 0 }, in;

	clear_memory();
	memset(&kept, 0, sizeof(kept));
	once_clear(&requests);
	watch_clear();
	watch_ring(ring_pfn[0]);
	watch_ring(ring_pfn[3]);
	ring_spoilt = kept_spoilt = false;
	s.mem = (struct gmem){ memory, sizeof(memory) };
	s.disk_count = 3;
	for (unsigned i = 0; i < 3; i++) {
		s.disk[i] = (struct disk){ .align = 1,
					   .unit = { .blocks = BLOCKS,
						     .max_blocks = 512,
						     .read_only = i == 1,
						     .unmap = i == 0 } };
	}
	ring_guest_init(&to_host);
	ring_guest_init(&from_host);
	start_process(false);
	open_channel();
	for (unsigned i = 0; i < 256 && script_action(&all, &in); i++) {
		act(&in, (unsigned)script_take(&in, 1));
		end_watch();
	}
	drain();
	close_channel();
	return 0;
}

FUZZ_QUIET_END
