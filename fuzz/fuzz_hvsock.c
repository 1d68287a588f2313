/* SPDX-License-Identifier: MIT */
/*
 * The whole session of the process hvsock. Input: a script of what the worker, the guest, the manager, attestd and the clock do.
 * Checked: a guest sees one answer, whole and in order, then the end, and nothing before it has asked; the manager is asked once for
 * each connection, for the guest's own nonce; a connection does not stay for ever, whoever is silent; no descriptor is lost.
 */
#include "fuzz/proc_channel.h"
#include "hv/host/hvsock/service.h"
#include "tests/guest/ring_guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UNITS 3u
#define RING_PAGES 3u /* each */
#define UNIT_PAGES (2 * RING_PAGES)
#define ODD (2 + UNITS * UNIT_PAGES) /* the rings of a channel that nobody offered */
#define ODD_PAGES 4u
#define PAGES (ODD + ODD_PAGES)
#define GPADL 0xe1e10u
#define FOREVER_MS (10 * SERVICE_REPORT_MS)

static _Alignas(4096) uint8_t memory[PAGES * 4096];
static const struct gmem mem = { memory, sizeof(memory) };
static struct chan_set set;
static struct service s;
static bool alive;
static uint64_t now;

static struct guest { /* its books of one connection */
	uint64_t pfn[UNIT_PAGES];
	struct ring_guest to_host, from_host;
	bool open, spoilt;   /* spoilt: it did what no guest does */
	bool flooded;        /* has begun a request without end */
	bool asked, refused; /* a right request is under way; a wrong one */
	bool wanted, fin, hung_up;
	uint8_t nonce[REQUEST_NONCE_MAX];
	uint32_t ticket;
	uint32_t given, got; /* bytes of attestd; of the answer at the guest */
	bool own;            /* the answer is hvsock's own */
} guest[UNITS];

static void proc_heard(uint32_t socket, enum pm_type type, const void *message)
{
	const struct pm_channel *c = message;

	if (type == PM_HANGUP) {
		ORACLE(socket == PROC_WORKER && c->unit < UNITS && guest[c->unit].open,
		       "a connection that is not there is ended");
		ORACLE(!guest[c->unit].hung_up, "a connection is ended twice");
		guest[c->unit].hung_up = true;
	}
}

static void opened(struct chan *c)
{
	service_opened(&s, c, now);
}

static void closing(struct chan *c)
{
	service_closed(&s, c);
	chan_closed(&set, c);
}

static void hear(void)
{
	alive = alive && chan_worker_all(&set);
}

static uint64_t page(uint32_t unit, uint32_t i)
{
	return 1 + unit * UNIT_PAGES + (i * 5 + 3) % UNIT_PAGES;
}

/* For one more channel: those that nobody offers take room, too, until they are closed. */
static bool room(void)
{
	uint32_t open = 0;

	for (uint32_t i = 0; i < CHAN_MAX; i++) {
		open += set.chan[i].open;
	}
	return open < CHAN_MAX;
}

static void open_channel(uint32_t unit)
{
	struct guest *g = &guest[unit];
	struct pm_open o = { .unit = unit, .gpadl = GPADL, .downstream = RING_PAGES };
	int fd = g->open || !room() ? -1 : proc_fd();

	if (fd < 0) {
		return;
	}
	memset(g, 0, sizeof(*g));
	for (uint32_t i = 0; i < UNIT_PAGES; i++) {
		g->pfn[i] = page(unit, i);
	}
	g->to_host = (struct ring_guest){ memory, g->pfn, RING_PAGES };
	g->from_host = (struct ring_guest){ memory, g->pfn + RING_PAGES, RING_PAGES };
	ring_guest_init(&g->to_host);
	ring_guest_init(&g->from_host);
	proc_open(&o, g->pfn, UNIT_PAGES, fd);
	g->open = true;
	hear();
	ORACLE(!alive || s.of[unit].state == LINE_REQUEST, "a connection was not taken");
}

/* What the worker does not offer: a connection behind the last, or a second channel of one. It is broken, and nothing else happens. */
static void open_odd(unsigned arg)
{
	static const uint64_t pfn[ODD_PAGES] = { ODD, ODD + 1, ODD + 2, ODD + 3 };
	struct pm_open o = { .unit = (arg & 1) != 0 ? SERVICE_LINES + (arg >> 1 & 3) : arg % UNITS,
			     .sub = (arg & 1) == 0,
			     .gpadl = GPADL + 1,
			     .downstream = ODD_PAGES / 2 };
	int fd = proc_fd();

	if (fd >= 0) {
		proc_open(&o, pfn, ODD_PAGES, fd);
		hear();
	}
}

static void close_channel(uint32_t unit)
{
	proc_close(unit, GPADL);
	hear();
	guest[unit].open = false;
	ORACLE(!alive || s.of[unit].state == LINE_FREE, "a closed connection is served");
}

static void reset(void)
{
	struct pm_plain m = { { 0, 0 } };

	proc_say(PROC_WORKER, PM_RESET, &m, sizeof(m), -1);
	hear();
	for (uint32_t unit = 0; unit < UNITS; unit++) {
		guest[unit].open = false;
		ORACLE(!alive || s.of[unit].state == LINE_FREE, "a connection outlives a reset");
	}
}

/* ---- the guest ---- */

static bool put(struct guest *g, const void *payload, uint32_t length, uint16_t type)
{
	uint8_t p[4096] = { 0 };
	uint16_t words[4] = { type, 2, (uint16_t)(2 + (length + 7) / 8), 0 };
	bool signal;

	memcpy(p, words, sizeof(words));
	memcpy(p + 16, payload, length);
	return ring_guest_put(&g->to_host, p, words[2] * 8u, &signal);
}

static bool say(struct guest *g, const char *text, uint32_t n)
{
	uint8_t p[3000] = { 1 };

	p[4] = (uint8_t)n;
	p[5] = (uint8_t)(n >> 8);
	memcpy(p + 8, text, n);
	return put(g, p, 8 + n, RING_DATA_INBAND);
}

/* A right request, in pieces of the script's choice. */
static void ask(struct guest *g, struct script *in)
{
	char text[512], hex[2 * REQUEST_NONCE_MAX + 1] = "";
	uint32_t n = 16 + (uint32_t)script_take(in, 1) % 49, at = 0, length;

	if (g->asked || g->refused || g->spoilt || g->fin) {
		g->spoilt = true;
	}
	memset(g->nonce, 0, sizeof(g->nonce));
	for (uint32_t i = 0; i < n; i++) {
		g->nonce[i] = oracle_tame((uint8_t)script_take(in, 1));
		(void)snprintf(hex + 2 * (size_t)i, 3, "%02x", g->nonce[i]);
	}
	length = (uint32_t)snprintf(text, sizeof(text),
				    "POST /v1/report HTTP/1.1\r\nContent-Length: %u\r\n\r\n"
				    "{\"nonce\": \"%s\"}",
				    2 * n + 13, hex);
	while (at < length) {
		uint32_t piece = 1 + (uint32_t)script_take(in, 1);

		piece = piece == 1 || piece > length - at ? length - at : piece;
		g->spoilt |= !say(g, text + at, piece);
		at += piece;
	}
	g->asked = true;
}

static void wrong(struct guest *g, struct script *in, unsigned arg)
{
	static const char *const texts[] = {
		"GET /v1/ek HTTP/1.1\r\n\r\n",
		"POST /v1/activate HTTP/1.1\r\nContent-Length: 33\r\n\r\n"
		"{\"credential\":\"001122\",\"secret\":\"0",
		"POST /v1/report HTTP/1.1\r\nContent-Length: 65\r\n\r\n"
		"{\"nonce\":\"000102030405060708090a0b0c0d0e0f\", \"partition\": 123456}",
		"POST /v1/report HTTP/1.1\r\nContent-Length: 14\r\n\r\n{\"nonce\":\"00\"}",
		"GET / HTTP/1.0\r\n\r\n",
		"{}",
		"POST /v1/report HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}more",
	};
	char bytes[256];
	uint32_t n = 0;

	if (arg % 8 < 7) {
		(void)say(g, texts[arg % 8], (uint32_t)strlen(texts[arg % 8]));
	} else {
		while (script_more(in) && n < sizeof(bytes)) {
			bytes[n++] = (char)oracle_tame((uint8_t)script_take(in, 1));
		}
		(void)say(g, bytes, n);
	}
	g->spoilt |= g->asked || g->refused || arg % 8 == 7;
	g->refused = true;
}

/* A request of which each packet is legal, and which is longer than any. */
static void flood(struct guest *g)
{
	static char text[2900];
	int n = 0;

	memset(text, 'x', sizeof(text));
	if (!g->flooded) {
		n = snprintf(
			text, sizeof(text),
			"POST /v1/report HTTP/1.1\r\nContent-Length: %u\r\nX: ", HTTP_BODY_MAX);
		text[n] = 'x';
		memcpy(text + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	}
	g->spoilt |= g->asked || (g->refused && !g->flooded);
	g->flooded = g->refused = true;
	(void)say(g, text, n != 0 ? HTTP_HEAD_MAX : (uint32_t)sizeof(text));
}

static void raw_packet(struct guest *g, struct script *in)
{
	uint8_t p[256] = { 0 };
	uint32_t n = 0;
	uint16_t type = (uint16_t)script_take(in, 1);

	while (script_more(in) && n < sizeof(p)) {
		p[n++] = oracle_tame((uint8_t)script_take(in, 1));
	}
	g->spoilt = true;
	(void)put(g, p, n, type);
}

/* What came: a packet of the answer, or its end. */
static void take(struct guest *g)
{
	static uint8_t p[4096 * RING_PAGES];
	bool signal;
	uint32_t n = ring_guest_take(&g->from_host, p, sizeof(p), &signal), size;

	if (n == 0 || n == UINT32_MAX || g->spoilt || watch.raced) {
		return;
	}
	size = le32(p + 20);
	ORACLE(le16(p) == RING_DATA_INBAND && le32(p + 16) == 1 && n == 24 + (size + 7) / 8 * 8 &&
		       size <= SERVICE_CHUNK,
	       "not a packet of hv_sock");
	ORACLE(!g->fin, "bytes behind the end");
	ORACLE(g->asked || g->refused, "an answer to what nobody asked");
	g->fin = size == 0;
	g->own |= g->got == 0 && size > 13 && memcmp(p + 24, "HTTP/1.1 ", 9) == 0;
	for (uint32_t i = 0; i < size && !g->own; i++) {
		ORACLE(p[24 + i] == (uint8_t)((g->got + i) * 7 + g->ticket), "not attestd's bytes");
	}
	g->got += size;
	ORACLE(g->own || g->got <= g->given, "more than attestd gave");
	ORACLE(!g->own || g->given == 0, "an own answer beside attestd's");
	ORACLE(!g->refused || g->asked || g->own || g->fin, "a wrong request was answered");
}

/* ---- the process, its manager and attestd ---- */

/* One round of its loop, as in hv/host/hvsock/main.c. */
static void run(uint32_t unit)
{
	struct line *l = &s.of[unit];
	struct guest *g = &guest[unit];
	struct pm_report_wanted wanted;

	if (l->state == LINE_FREE) {
		return;
	}
	l->look = true;
	watch_host(16 * 16 * 8);
	service_step(&s, l, now);
	watch_guest();
	if (l->state == LINE_WANTED && !proc_socket[PROC_CONTROL].full) {
		ORACLE(!g->wanted, "asked twice for one connection");
		g->wanted = true;
		g->ticket = l->wanted.ticket;
		if (!g->spoilt && !watch.raced) {
			ORACLE(g->asked && !g->refused, "a wrong request was taken");
			ORACLE(memcmp(l->wanted.nonce, g->nonce, sizeof(g->nonce)) == 0,
			       "another nonce than the guest's");
		}
		wanted = l->wanted;
		CHECK_FUZZ(wanted.nonce_size <= sizeof(wanted.nonce));
		oracle_tame_bytes(wanted.nonce, wanted.nonce_size); /* in letters: "aaaa" */
		if (ipc_send(proc_socket[PROC_CONTROL].ready, PM_REPORT_WANTED, &wanted,
			     sizeof(wanted), NULL, 0) == 0) {
			l->state = LINE_ASKED;
		}
	}
	if (l->state == LINE_OVER && !l->told) {
		l->told = true;
		chan_hangup(&set, l->c);
	}
	/* Where the worker does not take what it is told, the process ends. */
	if (!g->spoilt && !watch.raced && !set.lost && l->state == LINE_OVER && now < FOREVER_MS) {
		ORACLE(g->hung_up, "a connection ends without a word");
	}
}

static void report(uint32_t ticket, uint32_t error)
{
	struct pm_report m = { .ticket = ticket, .error = error };
	int fd = error == PM_REPORT_GOOD ? proc_fd() : -1;

	if (error == PM_REPORT_GOOD && fd < 0) {
		return;
	}
	bool asked[UNITS];

	for (uint32_t i = 0; i < UNITS; i++) {
		asked[i] = s.of[i].state == LINE_ASKED;
	}
	service_report(&s, &m, fd, now);
	for (uint32_t i = 0; i < UNITS; i++) {
		ORACLE(!asked[i] || s.of[i].state == LINE_ASKED || guest[i].ticket == ticket,
		       "an answer to somebody else");
	}
}

static void attestd(uint32_t unit, uint32_t n)
{
	struct line *l = &s.of[unit];
	uint32_t room = service_room(l);

	n = n < room ? n : room;
	if (room == 0) {
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		l->out[HVSOCK_HEADER + i] =
			(uint8_t)((guest[unit].given + i) * 7 + guest[unit].ticket);
	}
	guest[unit].given += n;
	service_taken(l, (ssize_t)n, now);
	ORACLE(l->state != LINE_ANSWER || guest[unit].given <= SERVICE_ANSWER_MAX,
	       "an answer of any length");
}

/* A whole long one, which the guest reads as it comes. */
static void attestd_all(uint32_t unit)
{
	for (uint32_t n = 0; n < 2 * SERVICE_ANSWER_MAX && service_room(&s.of[unit]) != 0;
	     n += SERVICE_CHUNK) {
		attestd(unit, SERVICE_CHUNK);
		run(unit);
		take(&guest[unit]);
	}
}

static void act(struct script *in)
{
	unsigned op = (unsigned)script_take(in, 1) % 20, arg = (unsigned)script_take(in, 1);
	uint32_t unit = arg % UNITS;
	struct guest *g = &guest[unit];
	uint8_t value;

	if (op == 0 && g->open && (arg & 0x80) != 0) {
		/* lib/chan.h does not open one twice; the service does not rely on it */
		struct chan again = { .fd = -1, .open = true, .unit = unit };

		service_opened(&s, &again, now);
		ORACLE(again.broken && s.of[unit].c != &again, "a connection taken for another");
		return;
	}
	if (op == 0) {
		if ((arg & 0xc0) == 0xc0) {
			open_odd(arg);
		} else {
			open_channel(unit);
		}
		return;
	}
	if (!g->open && op >= 1 && op <= 9) {
		return;
	}
	switch (op) {
	case 1:
		close_channel(unit);
		break;
	case 2:
		ask(g, in);
		break;
	case 3:
		wrong(g, in, (unsigned)script_take(in, 1));
		break;
	case 4:
		if ((arg & 0xc0) == 0xc0) {
			flood(g);
			break;
		}
		g->spoilt |= !say(g, "", 0) || (!g->asked && !g->refused);
		break;
	case 5:
	case 6:
		take(g);
		break;
	case 7:
		raw_packet(g, in);
		break;
	case 8:
		ring_guest_set((arg & 128) != 0 ? &g->to_host : &g->from_host, arg >> 3 & 12,
			       (uint32_t)script_take(in, 4));
		g->spoilt = true;
		break;
	case 9: /* the guest's memory, where it will be read next */
		value = (uint8_t)script_take(in, 1);
		*ring_guest_byte(&g->to_host, (uint32_t)script_take(in, 2)) = value;
		g->spoilt = true;
		break;
	case 10:
		report(g->ticket, arg / UNITS % (PM_REPORT_BUSY + 1));
		break;
	case 11:
		if ((arg & 0xc0) == 0xc0) {
			attestd_all(unit);
		} else {
			attestd(unit, (uint32_t)script_take(in, 2));
		}
		break;
	case 12: /* its end, or an error */
		service_taken(&s.of[unit], (arg & 64) != 0 ? -1 : 0, now);
		break;
	case 13:
		now += (uint64_t)script_take(in, 2);
		break;
	case 14:
		CHECK_FUZZ(service_wait(&s, now) >= -1);
		now += (uint64_t)(service_wait(&s, now) + 1);
		break;
	case 15:
		watch_race_arm(in, sizeof(memory));
		break;
	case 16:
		proc_socket[arg & 1].full = (uint32_t)script_take(in, 1) % 4;
		break;
	case 17:
		if (arg > 0xc0) {
			reset();
		} else {
			report((uint32_t)script_take(in, 4), PM_REPORT_GOOD);
		}
		break;
	default:
		run(unit);
		break;
	}
}

/* Whatever was silent: all connections end. */
static void finish(void)
{
	now += FOREVER_MS;
	proc_socket[PROC_WORKER].full = proc_socket[PROC_CONTROL].full = 0;
	for (uint32_t unit = 0; unit < UNITS && alive; unit++) {
		run(unit);
		now += FOREVER_MS;
		run(unit);
		ORACLE(s.of[unit].state == LINE_FREE || s.of[unit].state == LINE_OVER,
		       "a connection for ever");
		if (guest[unit].open) {
			close_channel(unit);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script in = { data, size, 0 }, action;

	memset(memory, 0, sizeof(memory));
	memset(guest, 0, sizeof(guest));
	watch_clear();
	for (uint32_t unit = 0; unit < UNITS; unit++) {
		watch_ring(page(unit, 0));
		watch_ring(page(unit, RING_PAGES));
		watch_writable(page(unit, RING_PAGES + 1));
		watch_writable(page(unit, RING_PAGES + 2));
	}
	proc_init();
	service_init(&s);
	alive = true;
	now = 1000;
	set.opened = opened;
	set.closing = closing;
	chan_init(&set, &mem, proc_socket[PROC_WORKER].ready);
	for (unsigned i = 0; i < 200 && alive && script_action(&in, &action); i++) {
		act(&action);
	}
	finish();
	for (uint32_t i = 0; i < SERVICE_LINES; i++) {
		if (s.of[i].state != LINE_FREE) {
			service_closed(&s, s.of[i].c);
		}
	}
	proc_channels_end(&set, alive);
	return 0;
}
