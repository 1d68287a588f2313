// SPDX-License-Identifier: MIT
/*
 * A whole session of a network adapter. Input: a script of what the guest, the switch and the manager do; negotiation is one
 * of the actions, a process that dies and is replaced another. Checked: every message that wants an answer gets exactly one, in
 * order; a section is never given twice and none is lost; the host writes to the ring, its half of the headers and the receive buffer only.
 */
#include <stdlib.h>

#include "fuzz/oracle.h"
#include "tests/guest/nvsp_guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

FUZZ_QUIET_BEGIN

#define ACTIONS_MAX 200
#define SECTIONS (GUEST_RECEIVE_PAGES * 4096u / NVSP_SECTION_BYTES)
#define WAITING_MAX 4096u

static const uint8_t mac[6] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };

static uint8_t memory[GUEST_BYTES];
static struct nvsp_guest g;
static struct nvsp_session s;
static struct nvsp_batch b;
static struct nvsp_io io;
static struct ring in, out;

/* The guest's own books. */
static uint64_t waiting[WAITING_MAX]; /* transactions without an answer */
static uint32_t first, last;
static bool held[SECTIONS];
static uint32_t held_count;
static bool tampered; /* with rings: only memory safety is promised */
static bool broken;

static void open_channel(void)
{
	watch_guest();
	guest_init(&g, memory);
	CHECK_FUZZ(guest_io(&g, &io, &in, &out));
	watch.twice = watch.raced = false;
	nvsp_session_reset(&s);
	nvsp_session_open(&s, &io);
	nvsp_batch_clear(&b);
	memset(held, 0, sizeof(held));
	held_count = 0;
	first = last = 0;
	tampered = broken = false;
}

static void expect(uint64_t transaction)
{
	if (transaction != 0) {
		CHECK_FUZZ(last - first < WAITING_MAX);
		waiting[last++ % WAITING_MAX] = transaction;
	}
}

/* What one packet may cost: its ranges, and an answer; what one call may cost. */
#define ACCESSES_PER_PACKET 400u
#define PACKETS 64u

static uint32_t calls;
static uint32_t asked; /* packets that the host may take in this call */

static void before_host(uint32_t packets)
{
	asked = packets;
	watch_host(ACCESSES_PER_PACKET * PACKETS);
}

static void after_host(enum nvsp_result r)
{
	watch_guest();
	if (watch.raced) { /* a second processor of the guest has written anywhere */
		tampered = true;
	}
	for (uint32_t i = 0; i < b.count; i++) {
		CHECK_FUZZ(range_within(b.frame[i].offset, b.frame[i].length, b.used));
		CHECK_FUZZ(rndis_frame_fits(b.pool + b.frame[i].offset, b.frame[i].length));
	}
	CHECK_FUZZ(b.used <= NVSP_POOL_BYTES && b.count <= NVSP_FRAMES_MAX);
	ORACLE(b.used <= asked * RNDIS_TRANSFER_MAX && b.count <= asked * NVSP_FRAMES_PER_PACKET,
	       "a packet that takes more than its share");
	if ((++calls & 15) == 0) { /* costs more than the session */
		CHECK_FUZZ(nvsp_session_valid(&s));
	}
	CHECK_FUZZ(s.outstanding <= s.sections);
	if (r == NVSP_BROKEN) {
		CHECK_FUZZ(tampered);
		broken = true;
	}
}

/* Another process goes on where one has died. */
static enum nvsp_result reborn(void)
{
	watch_guest();
	watch.kill = 0;
	nvsp_batch_clear(&b);
	if (!guest_io(&g, &io, &in, &out) || !nvsp_session_continues(&s, &io)) {
		CHECK_FUZZ(tampered || watch.raced);
		return NVSP_BROKEN;
	}
	CHECK_FUZZ(nvsp_session_valid(&s));
	watch_host(ACCESSES_PER_PACKET * PACKETS);
	return nvsp_session_resume(&s, &io, &b) == NVSP_OK ? NVSP_MORE : NVSP_BROKEN;
}

static enum nvsp_result serve(void)
{
	volatile enum nvsp_result r;
	volatile uint32_t packets = 1; /* the first alone: what it takes is its own */

	if (broken) {
		return NVSP_BROKEN;
	}
	do {
		before_host(packets);
		if (setjmp(watch.death) == 0) {
			r = nvsp_serve(&s, &io, &b, packets);
		} else {
			r = reborn();
		}
		after_host(r);
		nvsp_batch_clear(&b);
		packets = PACKETS;
	} while (r == NVSP_MORE);
	return r;
}

static void deliver(struct script *in_script)
{
	uint32_t length = (uint32_t)script_take(in_script, 2) % 1600;
	uint8_t *m = calloc(1, RNDIS_PACKET_HEADER + length);
	uint8_t kind = (uint8_t)script_take(in_script, 1);
	volatile enum nvsp_result r;

	if (m == NULL || broken) {
		free(m);
		return;
	}
	if (length >= 14) {
		memcpy(m + RNDIS_PACKET_HEADER, mac, 6);
		m[RNDIS_PACKET_HEADER] = (uint8_t)(m[RNDIS_PACKET_HEADER] | (kind & 1));
		m[RNDIS_PACKET_HEADER + 12] = (kind & 2) != 0 ? 0x81 : 0x08;
	}
	before_host(1);
	if (setjmp(watch.death) == 0) {
		r = nvsp_deliver(&s, &io, m, length);
	} else {
		r = reborn();
	}
	after_host(r);
	CHECK_FUZZ(r != NVSP_OK || s.rndis.filter != 0);
	free(m);
}

/* The guest reads one packet. false: there is none. */
static bool take(bool give_back)
{
	uint32_t length, offset, section;

	if (!guest_take(&g)) {
		return false;
	}
	if (tampered) {
		return true;
	}
	if (g.p.type == RING_COMPLETION) {
		uint32_t payload = g.p.length - g.p.offset;

		CHECK_FUZZ(first != last && g.p.transaction == waiting[first++ % WAITING_MAX]);
		CHECK_FUZZ(payload == NVSP_BYTES || payload == 0);
		return true;
	}
	CHECK_FUZZ(g.p.type == RING_DATA_XFER_PAGES && g.p.offset == 32);
	length = le32(g.packet + 24);
	offset = le32(g.packet + 28);
	section = offset / NVSP_SECTION_BYTES;
	CHECK_FUZZ(offset % NVSP_SECTION_BYTES == 0 && section < SECTIONS);
	CHECK_FUZZ(length >= 8 && length <= NVSP_SECTION_BYTES);
	CHECK_FUZZ(g.p.transaction == section + 1);
	CHECK_FUZZ(!held[section]);
	for (uint32_t i = 0; i < 4; i++) { /* the message says its own length */
		CHECK_FUZZ(*guest_receive_byte(&g, offset + 4 + i) == (uint8_t)(length >> (8 * i)));
	}
	if (!give_back || !guest_return(&g, section + 1)) {
		held[section] = true;
		held_count++;
	}
	return true;
}

static void negotiate(void)
{
	expect(guest_message(&g, NVSP_INIT, NVSP_VERSION_61, NVSP_VERSION_61, 0, true));
	expect(guest_message(&g, NVSP_SEND_RECEIVE_BUFFER, GUEST_GPADL_RECEIVE, 0xcafe, 0, true));
	expect(guest_message(&g, NVSP_SEND_SEND_BUFFER, GUEST_GPADL_SEND, 0, 0, true));
	serve();
	expect(guest_initialize(&g, 1));
	serve();
	expect(guest_filter(&g, 2, RNDIS_FILTER_PROMISCUOUS));
	serve();
}

static void any_message(struct script *in_script)
{
	static const uint8_t types[] = { 1, 2, 100, 101, 103, 104, 106, 107, 108, 125, 129, 133 };
	uint32_t type = types[script_take(in_script, 1) % sizeof(types)];
	uint32_t a = (uint32_t)script_take(in_script, 4), c = (uint32_t)script_take(in_script, 4);

	if (type == NVSP_REVOKE_RECEIVE_BUFFER && s.outstanding != 0) {
		return; /* a driver that revokes with sections out has given them up */
	}
	expect(guest_message(&g, type, a, c, (uint32_t)script_take(in_script, 4),
			     (script_take(in_script, 1) & 1) != 0));
	if (last != first && waiting[(last - 1) % WAITING_MAX] == GUEST_NO_RESPONSE) {
		last--;
	}
}

static void fill(struct script *in_script, uint8_t *to, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		to[i] = oracle_tame((uint8_t)script_take(in_script, 1));
	}
}

static void send_section(struct script *in_script)
{
	uint32_t section = (uint32_t)script_take(in_script, 1) % 5;
	uint32_t channel = (uint32_t)script_take(in_script, 1) % 3;
	uint32_t length = (uint32_t)script_take(in_script, 2) % 6200;
	uint8_t bytes[256];
	uint32_t n = (uint32_t)script_take(in_script, 1);

	fill(in_script, bytes, n);
	guest_fill_send(&g, section % 4 * 6144, bytes, n);
	expect(guest_send_section(&g, channel, section, length));
}

static void send_packet(struct script *in_script)
{
	uint8_t frame[600] = { 0 }, m[700], ppi[16] = { 16, 0, 0, 0, 0, 0, 0, 0, 12 };
	uint32_t length = (uint32_t)script_take(in_script, 2) % sizeof(frame), n;
	bool info = (script_take(in_script, 1) & 1) != 0;

	ppi[4] = (uint8_t)script_take(in_script, 1);
	ppi[12] = (uint8_t)script_take(in_script, 1);
	n = guest_rndis_packet(m, frame, length, ppi, info ? 16 : 0);
	guest_fill_send(&g, 6144, m, n);
	expect(guest_send_section(&g, NVSP_DATA, 1, n));
}

/* A guest that names a page twice in a packet, or one of its rings, asks for a second fetch. */
static uint64_t named_pages;

static void named(uint32_t page, uint32_t count)
{
	for (uint32_t i = page; i < page + count && i < GUEST_PAGES; i++) {
		watch.twice |= i < GUEST_RECEIVE || (named_pages >> i & 1) != 0;
		named_pages |= 1ull << i;
	}
}

static void send_ranges(struct script *in_script)
{
	uint32_t count = (uint32_t)script_take(in_script, 1) % 33;
	uint32_t channel = (uint32_t)script_take(in_script, 1) % 2;
	struct guest_range r[33];

	named_pages = 0;
	for (uint32_t i = 0; i < count; i++) {
		r[i].offset = (uint32_t)script_take(in_script, 2) % 5000;
		r[i].length = (uint32_t)script_take(in_script, 2) % 9000;
		r[i].page = (uint32_t)script_take(in_script, 1) % (GUEST_PAGES + 8);
		named(r[i].page, (r[i].offset + r[i].length + 4095) / 4096);
	}
	fill(in_script, guest_page(&g, GUEST_SCRATCH), (uint32_t)script_take(in_script, 1));
	expect(guest_send_ranges(&g, channel, NVSP_SECTION_NONE, 0, r, count));
}

static void control(struct script *in_script)
{
	static const uint32_t oids[] = {
		0x00010106, 0x00010107, 0x0001010e, 0x00010111, 0x00010114,
		0x01010101, 0x01010102, 0xfc01020c, 0xfc01020d, 0x00020216
	};
	uint32_t words[5] = { (uint32_t)script_take(in_script, 1),
			      oids[script_take(in_script, 1) % 10],
			      (uint32_t)script_take(in_script, 1), 20, 0 };
	uint8_t info[32];

	fill(in_script, info, sizeof(info));
	expect(guest_control(&g, (uint32_t)script_take(in_script, 1) % 10, words, 5, info,
			     sizeof(info)));
}

/* As the session does, but with nothing readable behind it. */
static void parse_exact(const uint8_t *bytes, uint32_t length)
{
	uint8_t *exact = malloc(length != 0 ? length : 1);
	struct nvsp_message m;

	CHECK_FUZZ(exact != NULL);
	memcpy(exact, bytes, length);
	(void)nvsp_parse(exact, length, &m);
	free(exact);
}

static void raw_packet(struct script *in_script)
{
	uint16_t type = (uint16_t)(script_take(in_script, 1) % 13);
	uint16_t flags = (uint16_t)script_take(in_script, 1);
	uint32_t head = (uint32_t)script_take(in_script, 1) % 16 * 8;
	uint32_t length = (uint32_t)script_take(in_script, 1) % 64;
	uint8_t bytes[256];

	fill(in_script, bytes, head + length);
	if (type == RING_COMPLETION) {
		return; /* see give_section */
	}
	parse_exact(bytes + head, length);
	if (guest_packet(&g, type, flags, g.transaction + 1, bytes, head, bytes + head, length)) {
		g.transaction++;
		if ((flags & RING_WANT_COMPLETION) != 0) {
			expect(g.transaction);
		}
	}
}

/* One that the guest has not: nothing is given back a second time. None is under way, and the host has read all that was sent. */
static void give_again(uint32_t section)
{
	if (serve() == NVSP_BROKEN || tampered || s.outstanding != held_count) {
		return;
	}
	if (guest_return(&g, section + 1)) {
		(void)serve();
		ORACLE(broken || tampered || s.outstanding == held_count,
		       "a section came back twice");
	}
}

/* One that the guest has, or one that it has not. */
static void give_section(struct script *in_script)
{
	uint32_t section = (uint32_t)script_take(in_script, 1) % SECTIONS;
	uint8_t how;

	if (held[section]) {
		if (guest_return(&g, section + 1)) {
			held[section] = false;
			held_count--;
		}
		return;
	}
	how = (uint8_t)script_take(in_script, 1);
	if ((how & 2) != 0) { /* the number of none */
		(void)guest_return(&g, 0);
	} else if ((how & 1) != 0) {
		(void)guest_return(&g, script_take(in_script, 8) | 1ull << 32);
	} else {
		give_again(section);
	}
}

static void tamper(struct script *in_script)
{
	uint32_t page = (script_take(in_script, 1) & 1) != 0 ? GUEST_UP : GUEST_DOWN;
	uint32_t at = (uint32_t)script_take(in_script, 1) % 20 * 4;

	guest_put32(guest_page(&g, page) + at, (uint32_t)script_take(in_script, 4));
	tampered = true;
}

/* The process dies between two steps. (Between two instructions: test_nvsp_kill.c) */
static void restart(void)
{
	if (broken || tampered) {
		return;
	}
	CHECK_FUZZ(guest_io(&g, &io, &in, &out));
	CHECK_FUZZ(nvsp_session_valid(&s) && nvsp_session_continues(&s, &io));
	watch.kill = 0;
	before_host(1);
	CHECK_FUZZ(nvsp_session_resume(&s, &io, &b) == NVSP_OK);
	watch_guest();
	nvsp_batch_clear(&b);
}

/* What the next process finds is not what this one left: it goes on, or it begins anew. */
static void spoil(struct script *in_script)
{
	uint32_t at = (uint32_t)script_take(in_script, 2);

	at = (at & 0x8000) != 0
		     ? offsetof(struct nvsp_session, journal) + (at & 0x7fff) % sizeof(s.journal)
		     : at % sizeof(s);
	((uint8_t *)&s)[at] = (uint8_t)script_take(in_script, 1);
	tampered = true;
	broken = false;
	watch.kill = 0;
	if (!nvsp_session_valid(&s)) {
		nvsp_session_start(&s, mac);
	}
	if (!guest_io(&g, &io, &in, &out)) {
		broken = true;
	} else if (nvsp_session_continues(&s, &io)) {
		before_host(1);
		broken = nvsp_session_resume(&s, &io, &b) != NVSP_OK;
		watch_guest();
	} else {
		nvsp_session_open(&s, &io);
	}
	nvsp_batch_clear(&b);
}

/* Many at once: more than there is room for in a batch. */
static void burst(struct script *in_script)
{
	uint32_t section = (uint32_t)script_take(in_script, 1) % 4;
	uint32_t length = (uint32_t)script_take(in_script, 2);

	for (uint32_t n = (uint32_t)script_take(in_script, 1) % 64; n > 0; n--) {
		expect(guest_send_section(&g, NVSP_DATA, section, length));
	}
}

/* A buffer of which the pages are no memory, or too few for its length: nobody let that through, and the session holds nevertheless. */
static void odd_buffer(struct script *in_script)
{
	static uint64_t pfns[2][GUEST_RECEIVE_PAGES];
	uint32_t how = (uint32_t)script_take(in_script, 1), page = how >> 3 & 7;
	struct nvsp_gpadl *buffer = &io.gpadl[(how & 1) != 0 ? 7 : 3];
	uint64_t *pfn = pfns[how & 1];

	memmove(pfn, buffer->pfn, buffer->pages * sizeof(pfn[0]));
	buffer->pfn = pfn;
	tampered = true;
	switch (how >> 1 & 3) {
	case 0:
		pfn[page % buffer->pages] = GUEST_PAGES + page;
		watch_writable(GUEST_PAGES + page); /* it may try */
		break;
	case 1:
		pfn[page % buffer->pages] = 1ull << 52 | GUEST_SCRATCH;
		break;
	case 2:
		buffer->pages -= buffer->pages > 1;
		break;
	default:
		buffer->length -= buffer->length > 100 ? 100 : 0;
		break;
	}
}

static void act(struct script *in_script)
{
	unsigned op = (unsigned)script_take(in_script, 1);

	switch (op >= 0xf8 ? op - 0xf8 + 20 : op % 20) {
	case 0:
		negotiate();
		break;
	case 1:
		any_message(in_script);
		break;
	case 2:
		send_section(in_script);
		break;
	case 3:
		send_packet(in_script);
		break;
	case 4:
		send_ranges(in_script);
		break;
	case 5:
		control(in_script);
		break;
	case 6:
		raw_packet(in_script);
		break;
	case 7:
	case 8:
		deliver(in_script);
		break;
	case 9:
	case 10:
		(void)take((script_take(in_script, 1) & 1) != 0);
		break;
	case 11:
		give_section(in_script);
		break;
	case 12:
		tamper(in_script);
		break;
	case 13:
		nvsp_session_link(&s, (script_take(in_script, 1) & 1) != 0);
		break;
	case 14:
		if ((script_take(in_script, 1) & 1) != 0) {
			nvsp_session_gpadl_gone(&s, GUEST_GPADL_SEND);
		} else if (held_count == 0 && s.outstanding == 0) {
			nvsp_session_gpadl_gone(&s, GUEST_GPADL_RECEIVE);
		}
		break;
	case 15:
		restart();
		break;
	case 16:
		open_channel();
		break;
	case 18:
		watch_race_arm(in_script, GUEST_BYTES);
		break;
	case 19: /* the send buffer changes while a section is out */
		fill(in_script,
		     guest_page(&g, GUEST_SEND +
					    (uint32_t)script_take(in_script, 1) % GUEST_SEND_PAGES),
		     64);
		break;
	case 21:
		spoil(in_script);
		break;
	case 22:
		burst(in_script);
		break;
	case 23:
		odd_buffer(in_script);
		break;
	case 20:
		watch.kill = 1 + (uint32_t)script_take(in_script, 1);
		break;
	default:
		(void)serve();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script in_script = { data, size, 0 }, action;

	watch_clear();
	watch_adapter(GUEST_UP, GUEST_DOWN, GUEST_RING_PAGES, GUEST_RECEIVE, GUEST_RECEIVE_PAGES);
	nvsp_session_start(&s, mac);
	calls = 0;
	open_channel();
	for (uint32_t i = 0; i < ACTIONS_MAX && script_action(&in_script, &action); i++) {
		act(&action);
		if ((i & 3) == 3) {
			(void)serve();
		}
	}
	watch.race.countdown = watch.kill = 0;
	if (tampered) {
		(void)serve();
		return 0;
	}
	/* The guest reads everything and gives everything back: all is answered, nothing is out. */
	for (uint32_t i = 0; i < 64; i++) {
		enum nvsp_result r = serve();

		CHECK_FUZZ(r == NVSP_EMPTY || r == NVSP_BLOCKED);
		if (r == NVSP_EMPTY && first == last && s.outstanding == 0) {
			break;
		}
		while (take(true)) {
		}
		for (uint32_t k = 0; k < SECTIONS; k++) {
			if (held[k] && guest_return(&g, k + 1)) {
				held[k] = false;
			}
		}
	}
	CHECK_FUZZ(serve() == NVSP_EMPTY && nvsp_session_valid(&s));
	CHECK_FUZZ(first == last);
	CHECK_FUZZ(s.outstanding == 0);
	return 0;
}

FUZZ_QUIET_END
