// SPDX-License-Identifier: MIT
/*
 * The process of a network adapter, between its channel, its port of the switch, its worker and its manager. Input: a script of what all
 * four do; a process that dies and finds its state, whole or spoilt, is among it. Checked: frames that leave for the switch are legal and
 * not more than the guest sent; guest memory is written in the rings and the receive buffer only, by what was never stale; descriptors
 * are closed once; the process never gives up.
 */
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>

#include "fuzz/proc.h"
#include "fuzz/sys.h"
#include "hv/host/lib/record.h"
#include "hv/host/netvsp/netvsp.h"
#include "tests/guest/nvsp_guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t mac[6] = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 };
static uint8_t memory[GUEST_BYTES];
static struct nvsp_guest g;
static struct netvsp n;
static struct netvsp_state state;
static int port[2] = { -1, -1 }; /* the process's end, the switch's */
static bool alive, second;       /* second: a channel has rings in the send buffer */
static int listener = -1;        /* to the recorded traffic */
static uint32_t offered;         /* frames that the guest may have sent */

static void proc_heard(uint32_t socket, enum pm_type type, const void *message)
{
	(void)message;
	CHECK_FUZZ(socket == PROC_WORKER || type == PM_STATUS_NET);
}

/* ---- the switch ---- */

static void port_open(void)
{
	if (port[0] < 0 || n.port_gone) {
		(void)close(port[0]);
		(void)close(port[1]);
		CHECK_FUZZ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, port) == 0);
	}
}

static void port_take(void)
{
	static uint8_t frame[2048];
	ssize_t got;

	if (port[1] < 0) {
		return;
	}
	while ((got = recv(port[1], frame, sizeof(frame), MSG_DONTWAIT)) > 0) {
		CHECK_FUZZ(rndis_frame_fits(frame, (uint32_t)got));
		ORACLE(offered-- != 0, "a frame that the guest did not send");
		oracle_said(frame, (size_t)got);
	}
}

static void port_send(struct script *s)
{
	static uint8_t frame[2048];
	uint32_t v = (uint32_t)script_take(s, 2);
	/* Of any length, or about the most that a frame may have. */
	uint32_t length = (v & 0x8000) != 0 ? RNDIS_FRAME_MAX - 32 + v % 128 : v % sizeof(frame);
	uint8_t kind = (uint8_t)script_take(s, 1);

	memcpy(frame, mac, 6);
	frame[0] |= kind & 1;
	frame[12] = (kind & 2) != 0 ? 0x81 : 8;
	for (uint32_t i = 14; i < 32; i++) {
		frame[i] = oracle_tame((uint8_t)script_take(s, 1));
	}
	for (uint32_t i = 0; i <= (kind >> 2) % 40u && port[1] >= 0; i++) {
		(void)send(port[1], frame, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}

/* ---- the worker ---- */

static void say_gpadl(uint32_t unit, uint32_t id, const uint64_t *a, uint32_t a_pages,
		      const uint64_t *b, uint32_t b_pages)
{
	static union {
		struct pm_gpadl m;
		uint8_t bytes[sizeof(struct pm_gpadl) + 8 * 64];
	} u;

	memset(&u, 0, sizeof(u));
	u.m.unit = unit;
	u.m.gpadl = id;
	u.m.pages = a_pages + b_pages;
	u.m.length = u.m.pages * 4096;
	memcpy(u.m.pfn, a, a_pages * 8);
	memcpy(u.m.pfn + a_pages, b, b_pages * 8);
	proc_say(PROC_WORKER, PM_GPADL, &u.m, (uint32_t)(sizeof(u.m) + u.m.pages * 8), -1);
}

static void say_open(unsigned arg)
{
	struct pm_open o = { .unit = (arg & 0x70) == 0x70,
			     .sub = (arg & 0x0e) == 0x0e,
			     .gpadl = GUEST_GPADL_RINGS,
			     .downstream = GUEST_RING_PAGES };
	int fd, end[2];

	if (arg == 0x45 && alive && n.chan != NULL) {
		/* lib/chan.h does not open one twice; the process does not rely on it */
		struct chan again = { .fd = -1, .open = true, .rings = n.chan->rings };

		n.set.opened(&again);
		ORACLE(again.broken && n.chan != &again, "a second channel was taken");
		return;
	}
	fd = proc_fd();
	if (fd < 0) {
		return;
	}
	if ((arg & 0x80) != 0 && pipe(end) == 0) { /* nobody will signal it any more */
		CHECK_FUZZ(dup2(end[0], fd) == fd);
		(void)close(end[0]);
		(void)close(end[1]);
	}
	if (o.unit != 0 || o.sub != 0) { /* with rings of its own */
		o.gpadl += 0x10;
		o.downstream = GUEST_SEND_PAGES / 2;
		if (!second) {
			watch_ring(g.send_pfn[0]);
			watch_ring(g.send_pfn[o.downstream]);
			second = true;
		}
		say_gpadl(o.unit, o.gpadl, g.send_pfn, GUEST_SEND_PAGES, g.send_pfn, 0);
		proc_say(PROC_WORKER, PM_OPEN, &o, sizeof(o), fd);
		return;
	}
	say_gpadl(0, GUEST_GPADL_RINGS, g.up_pfn, GUEST_RING_PAGES, g.down_pfn, GUEST_RING_PAGES);
	say_gpadl(0, GUEST_GPADL_RECEIVE, g.receive_pfn, GUEST_RECEIVE_PAGES, g.receive_pfn, 0);
	say_gpadl(0, GUEST_GPADL_SEND, g.send_pfn, GUEST_SEND_PAGES, g.send_pfn, 0);
	proc_say(PROC_WORKER, PM_OPEN, &o, sizeof(o), fd);
}

/* Somebody listens to the traffic: he reads nothing, until his socket is full, or has gone. */
static void say_record(unsigned arg)
{
	struct pm_record record = { .index = 0 };
	int pair[2], fd = proc_fd();

	if (fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0) {
		return;
	}
	CHECK_FUZZ(dup2(pair[0], fd) == fd);
	(void)close(pair[0]);
	if (listener >= 0) {
		(void)close(listener);
	}
	listener = (arg & 1) != 0 ? pair[1] : -1;
	if (listener < 0) {
		(void)close(pair[1]);
	}
	proc_say(PROC_CONTROL, PM_RECORD, &record, sizeof(record), fd);
}

static void say_word(unsigned arg)
{
	struct pm_channel c = { .unit = 0 };
	struct pm_gpadl_free f = { .gpadl = GUEST_GPADL_RINGS + arg % 3 };
	struct pm_plain plain = { { 0, 0 } };
	struct pm_link link = { .up = arg & 1 };
	uint8_t raw[12] = { (uint8_t)arg, 0, 0, 0, sizeof(raw) };

	switch (arg >> 4 & 7) {
	case 0:
		proc_say(PROC_WORKER, PM_CLOSE, &c, sizeof(c), -1);
		break;
	case 1:
		proc_say(PROC_WORKER, PM_GPADL_FREE, &f, sizeof(f), -1);
		break;
	case 2:
		proc_say(PROC_WORKER, PM_RESET, &plain, sizeof(plain), -1);
		break;
	case 3:
	case 4:
		proc_say(PROC_CONTROL, PM_LINK, &link, sizeof(link), -1);
		break;
	case 5:
		proc_socket[PROC_WORKER].full = arg & 1;
		proc_socket[PROC_CONTROL].full = arg >> 1 & 1;
		break;
	case 6:
		if ((arg & 2) != 0) { /* well-formed, but not for this process */
			proc_say((arg & 1) != 0 ? PROC_WORKER : PROC_CONTROL, PM_READY, &plain,
				 sizeof(plain), -1);
			break;
		}
		if ((arg & 0x0c) == 0x0c) {
			proc_gone((arg & 1) != 0 ? PROC_WORKER : PROC_CONTROL);
			break;
		}
		proc_push((arg & 1) != 0 ? PROC_WORKER : PROC_CONTROL, raw, sizeof(raw), -1);
		break;
	default:
		proc_say(PROC_CONTROL, PM_STOP, &plain, sizeof(plain), -1);
		break;
	}
}

/* ---- the process ---- */

static void start_process(bool restarted)
{
	memset(&n, 0, offsetof(struct netvsp, set) + offsetof(struct chan_set, pfns));
	memset(&n.state, 0, sizeof(n) - offsetof(struct netvsp, state));
	n.mem = g.mem;
	netvsp_init(&n, &state, mac, restarted, proc_socket[PROC_CONTROL].ready,
		    proc_socket[PROC_WORKER].ready, port[0]);
}

static void drop_channels(void)
{
	for (uint32_t i = 0; i < CHAN_MAX; i++) {
		if (n.set.chan[i].open) {
			(void)close(n.set.chan[i].fd);
		}
	}
}

static void step_for(unsigned arg)
{
	static const int timeouts[] = { 0, -1, 5000 };

	if (!alive) {
		return;
	}
	watch_host(400 * 600);
	alive = netvsp_step(&n, timeouts[arg % 3]);
	watch_guest();
	/* Without a channel the session is what an earlier process left: opening counts it anew. */
	CHECK_FUZZ(n.chan == NULL ||
		   (n.chan->open && n.state->session.outstanding <= n.state->session.sections));
}

static void step(void)
{
	step_for(0);
}

static void die(struct script *s, unsigned arg)
{
	if (!alive) {
		return;
	}
	drop_channels();
	if ((arg & 1) != 0) {
		uint32_t at = (uint32_t)script_take(s, 2) % sizeof(state);

		((uint8_t *)&state)[at] = (uint8_t)script_take(s, 1);
		watch.twice = true;
		offered = UINT32_MAX / 2; /* what was sent already is part of the state */
	}
	port_open();
	start_process(true);
}

/* ---- the guest ---- */

/* All channels have the same eventfd. */
static void signal_host(unsigned arg)
{
	if ((arg & 0x40) == 0) {
		(void)eventfd_write(proc_event, 1);
	}
}

static void guest_sends(struct script *s, unsigned arg)
{
	uint8_t frame[600] = { 0 }, m[700];
	uint32_t length = (uint32_t)script_take(s, 2) % sizeof(frame);
	uint32_t bytes;

	if ((arg & 0x20) != 0) { /* any control message */
		memset(m, 0, sizeof(m));
		for (uint32_t i = 0; i < 32; i++) {
			m[i] = oracle_tame((uint8_t)script_take(s, 1));
		}
		guest_fill_send(&g, arg % 4 * 6144, m, 32);
		(void)guest_send_section(&g, NVSP_CONTROL, arg % 4, 8 + length % 32);
		signal_host(arg);
		return;
	}
	bytes = guest_rndis_packet(m, frame, length, NULL, 0);

	guest_fill_send(&g, arg % 4 * 6144, m, bytes);
	if (guest_send_section(&g, NVSP_DATA, arg % 4, bytes) != 0) {
		offered++;
	}
	signal_host(arg);
}

static void guest_any(struct script *s, unsigned arg)
{
	static const uint8_t types[] = { 1, 100, 101, 103, 104, 106, 107, 108, 125, 133 };
	uint32_t a = (uint32_t)oracle_tame_number(script_take(s, 4));
	uint32_t b = (uint32_t)oracle_tame_number(script_take(s, 4));
	uint32_t c = (uint32_t)oracle_tame_number(script_take(s, 4));

	offered += 64; /* what is in the send buffer */
	(void)guest_message(&g, types[arg % sizeof(types)], a, b, c, (arg & 0x80) != 0);
	signal_host(0);
}

static void negotiate(void)
{
	(void)guest_message(&g, NVSP_INIT, NVSP_VERSION_61, NVSP_VERSION_61, 0, true);
	(void)guest_message(&g, NVSP_SEND_RECEIVE_BUFFER, GUEST_GPADL_RECEIVE, 0xcafe, 0, true);
	(void)guest_message(&g, NVSP_SEND_SEND_BUFFER, GUEST_GPADL_SEND, 0, 0, true);
	step();
	(void)guest_initialize(&g, 1);
	step();
	(void)guest_filter(&g, 2, RNDIS_FILTER_PROMISCUOUS);
	step();
}

static void guest_takes(unsigned arg)
{
	for (unsigned i = 0; i <= arg % 16 && guest_take(&g); i++) {
		if (g.p.type == RING_DATA_XFER_PAGES && (arg & 0x80) == 0) {
			(void)guest_return(&g, g.p.transaction);
		}
	}
}

/* A packet without a message, behind one that had one. */
static void guest_nothing(void)
{
	(void)guest_packet(&g, RING_DATA_INBAND, 0, 0, NULL, 0, NULL, 0);
	signal_host(0);
}

/* What who listens to the traffic has got. */
static void hear_records(void)
{
	static struct {
		struct record_head head;
		uint8_t bytes[RECORD_BYTES_MAX + 1];
	} r;
	ssize_t got;

	while (listener >= 0 && (got = recv(listener, &r, sizeof(r), MSG_DONTWAIT)) > 0) {
		size_t bytes = (size_t)got - sizeof(r.head);

		ORACLE((size_t)got >= sizeof(r.head) && r.head.device == RECORD_NETVSP &&
			       (r.head.kind == RECORD_FROM_GUEST || r.head.kind == RECORD_RNDIS) &&
			       bytes == (r.head.length < RECORD_BYTES_MAX ? r.head.length
									  : RECORD_BYTES_MAX),
		       "a record that is none");
		oracle_said(&r, (size_t)got);
	}
}

static void guest_again(void)
{
	guest_init(&g, memory);
	watch.twice = true; /* an open channel may be on these rings */
}

static void act(struct script *s)
{
	unsigned op = (unsigned)script_take(s, 1) % 20, arg = (unsigned)script_take(s, 1);

	switch (op) {
	case 0:
		say_open(arg);
		for (unsigned i = 0; i < 4; i++) {
			step();
		}
		break;
	case 1:
		negotiate();
		break;
	case 2:
		guest_any(s, arg);
		break;
	case 3:
	case 4:
		guest_sends(s, arg);
		break;
	case 5:
	case 6:
	case 7:
		port_send(s);
		step();
		break;
	case 8:
	case 9:
		guest_takes(arg);
		break;
	case 10:
	case 11:
		say_word(arg);
		step();
		break;
	case 12:
		die(s, arg);
		break;
	case 13:
		guest_put32(guest_page(&g, (arg & 1) != 0 ? GUEST_UP : GUEST_DOWN) +
				    (arg >> 1) % 20 * 4,
			    (uint32_t)script_take(s, 4));
		break;
	case 14:
		watch_race_arm(s, GUEST_BYTES);
		break;
	case 15:
		guest_again();
		break;
	case 16:                         /* the switch ends */
		if ((arg & 0x80) != 0) { /* with a frame under way */
			port_send(s);
		}
		if ((arg & 0x10) != 0) {
			sys_fail(arg & 0xcf);
		} else if ((arg & 7) == 7) {
			(void)close(port[1]);
			port[1] = -1;
		}
		break;
	case 17:
		port_take();
		if ((arg & 0xc0) == 0x40) {
			guest_nothing();
		} else if ((arg & 0x80) != 0) {
			say_record(arg);
			step();
		}
		break;
	default:
		step_for(arg);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 }, action;

	watch_clear();
	sys_init();
	watch_adapter(GUEST_UP, GUEST_DOWN, GUEST_RING_PAGES, GUEST_RECEIVE, GUEST_RECEIVE_PAGES);
	proc_init();
	(void)eventfd_read(proc_event, &(eventfd_t){ 0 });
	guest_init(&g, memory);
	memset(&state, 0, sizeof(state));
	alive = true;
	second = false;
	offered = 0;
	port_open();
	start_process(false);
	for (unsigned i = 0; i < 100 && script_action(&s, &action); i++) {
		act(&action);
	}
	step();
	if (port[1] < 0) {
		n.port_gone = true; /* the next input has a new one */
	}
	port_take();
	/* One frame may be of no bytes, which is not the end. */
	while (port[1] >= 0 && recv(port[0], memory, sizeof(memory), MSG_DONTWAIT) >= 0) {
	}
	hear_records();
	if (record_on()) {
		(void)close(record_socket);
		record_socket = -1;
	}
	if (listener >= 0) {
		(void)close(listener);
		listener = -1;
	}
	drop_channels();
	proc_init();
	ORACLE(!alive || proc_fds_left() == 0, "a descriptor was not closed");
	(void)proc_fds_left();
	return 0;
}
