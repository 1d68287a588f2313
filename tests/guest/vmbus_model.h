/* SPDX-License-Identifier: MIT */
#ifndef TESTS_GUEST_VMBUS_MODEL_H
#define TESTS_GUEST_VMBUS_MODEL_H
/*
 * A VMBus server in a small world: a guest that counts what it is owed, and device processes that know what they were told.
 * Whatever the server does that no guest or process could make sense of ends the program. For the unit tests and for
 * fuzz/fuzz_vmbus.c.
 */
#include <stdio.h>
#include <string.h>

#include "hv/wire/vmbus_server.h"
#include "tests/guest/le.h"

#define HOLDS(x)                                                                        \
	do {                                                                            \
		if (!(x)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x); \
			__builtin_trap();                                               \
		}                                                                       \
	} while (0)

#define WORLD_POOL 900u
#define WORLD_SOCKETS 4u
#define WORLD_STREAMS 3u /* the socket of the service of hv_sock */
#define WORLD_DEVICES 6u
#define WORLD_MEMORY (0xc0000000ull + (64ull << 20)) /* 64 MiB of it above 4 GiB */
#define WORLD_VPS 4u
#define RELIDS (VMBUS_CHANNELS_MAX + 1)

/* Coverage of the model would only cost a fuzz target its time. */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)

enum proc_channel { PC_CLOSED, PC_OPENING, PC_OPEN, PC_CLOSING };

struct proc_gpadl {
	bool used, freeing;
	uint32_t id, relid, unit, pages;
	uint64_t first_pfn, last_pfn;
};

struct proc {
	bool dead; /* being started again */
	bool resetting;
	enum proc_channel channel[RELIDS];
	uint32_t ring[RELIDS], vp[RELIDS];
	struct proc_gpadl gpadl[VMBUS_SOCKET_GPADLS_MAX];
};

struct world {
	struct vmbus_server s, before;
	uint64_t pool[WORLD_POOL], pool_before[WORLD_POOL];
	struct proc proc[WORLD_SOCKETS];
	/* The guest's view. */
	bool told[RELIDS], rescinded[RELIDS];
	int open_owed[RELIDS], open_owed_all, created_owed, torn_owed, modify_owed;
	bool contact_owed, unload_owed, all_offers_owed, offers_seen;
	uint32_t vp;
	/* The last message to the guest, and how many there were. */
	uint8_t message[VMBUS_MESSAGE_MAX];
	uint32_t size;
	unsigned sent, released, rescinded_done;
	struct vmbus_action last; /* the last one that was not a message */
};

static inline uint32_t get32(const uint8_t *p)
{
	return le32(p);
}

static inline void world_guid(struct vmbus_guid *g, uint8_t a, uint8_t b)
{
	memset(g->b, a, sizeof(g->b));
	g->b[15] = b;
}

/* Sockets 0: two disks; 1: a card; 2: three integration services. */
static inline struct vmbus_device world_device(uint32_t n, uint32_t sub)
{
	static const uint8_t socket[WORLD_DEVICES] = { 0, 0, 1, 2, 2, 2 };
	static const uint8_t unit[WORLD_DEVICES] = { 0, 1, 0, 0, 1, 2 };
	struct vmbus_device d;

	memset(&d, 0, sizeof(d));
	world_guid(&d.class_id, (uint8_t)(0x40 + socket[n]), 1);
	world_guid(&d.instance, (uint8_t)(0x80 + socket[n]), unit[n]);
	d.socket = socket[n];
	d.unit = unit[n];
	d.sub = (uint16_t)sub;
	d.pipe = socket[n] == 2;
	return d;
}

/* Names as Linux makes them out of a port. */
static inline void world_port(struct vmbus_guid *g, uint32_t port)
{
	static const uint8_t rest[12] = { 0xcb, 0xfa, 0xe6, 0x11, 0xbd, 0x58,
					  0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3 };

	for (unsigned i = 0; i < 4; i++) {
		g->b[i] = (uint8_t)(port >> (8 * i));
	}
	memcpy(g->b + 4, rest, sizeof(rest));
}

#define WORLD_SERVICE 0x52440001u

static inline void world_init(struct world *w)
{
	struct vmbus_service service = { .socket = WORLD_STREAMS };

	memset(w, 0, sizeof(*w));
	vmbus_server_init(&w->s, WORLD_MEMORY, WORLD_VPS, w->pool, WORLD_POOL);
	world_port(&service.id, WORLD_SERVICE);
	HOLDS(vmbus_server_service(&w->s, &service));
	for (uint32_t i = 0; i < WORLD_DEVICES; i++) {
		struct vmbus_device d = world_device(i, 0);

		HOLDS(vmbus_server_add(&w->s, &d) == i + 1);
	}
}

/* --- invariants of the server's own state --- */

static inline void check_pool(const struct vmbus_server *s)
{
	uint32_t sum = 0, covered = 0;

	for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
		sum += s->gpadl[i].state != VMBUS_GPADL_NONE ? s->gpadl[i].pages : 0;
	}
	HOLDS(sum == s->pool_used && sum <= s->pool_size);
	while (covered < sum) { /* without gap or overlap: each begins where one ends */
		uint32_t at = covered;

		for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
			if (s->gpadl[i].state != VMBUS_GPADL_NONE && s->gpadl[i].first == at) {
				HOLDS(covered == at && s->gpadl[i].pages != 0);
				covered += s->gpadl[i].pages;
			}
		}
		HOLDS(covered > at);
	}
}

static inline bool memory_has(uint64_t pfn)
{
	return pfn < 0xc0000 || (pfn >= 0x100000 && pfn < 0x100000 + (64 << 8));
}

static inline void check_gpadl(const struct vmbus_server *s, const struct vmbus_gpadl *g)
{
	const struct vmbus_channel *c = &s->channel[g->relid - 1];
	bool used = (c->state != VMBUS_CH_CLOSED && c->open.gpadl == g->id) ||
		    (c->again_wanted && c->again.gpadl == g->id);
	uint32_t twins = 0;

	HOLDS(s->state == VMBUS_CONNECTED && g->relid >= 1 && g->relid <= VMBUS_CHANNELS_MAX);
	HOLDS(c->device_state != VMBUS_DEVICE_NONE);
	HOLDS(c->device_state == VMBUS_DEVICE_PRESENT || g->doomed);
	HOLDS(g->have <= g->pages && g->pages <= VMBUS_GPADL_PAGES_MAX);
	HOLDS((g->state == VMBUS_GPADL_ASSEMBLING) == (g->have < g->pages));
	HOLDS(!g->owed || g->doomed);
	HOLDS(g->state != VMBUS_GPADL_ASSEMBLING || (!g->doomed && !used));
	HOLDS(g->state != VMBUS_GPADL_READY || !g->doomed || used);
	HOLDS(g->state != VMBUS_GPADL_FREEING || (g->doomed && !used));
	HOLDS((g->state != VMBUS_GPADL_GIVEN && g->state != VMBUS_GPADL_FREEING) ||
	      (s->touched >> c->device.socket & 1) != 0);
	for (uint32_t i = 0; i < g->have; i++) {
		HOLDS(memory_has(s->pool[g->first + i]));
	}
	for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
		twins += s->gpadl[i].state != VMBUS_GPADL_NONE && s->gpadl[i].id == g->id;
	}
	HOLDS(twins == 1);
}

static inline const struct vmbus_gpadl *ring_of(const struct vmbus_server *s, uint32_t id)
{
	for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
		if (s->gpadl[i].state != VMBUS_GPADL_NONE && s->gpadl[i].id == id) {
			return &s->gpadl[i];
		}
	}
	return NULL;
}

static inline void check_channel(const struct vmbus_server *s, uint32_t relid)
{
	const struct vmbus_channel *c = &s->channel[relid - 1];

	HOLDS(c->device_state != VMBUS_DEVICE_NONE ||
	      (c->state == VMBUS_CH_CLOSED && c->offer == VMBUS_NOT_OFFERED && !c->rescinded_due &&
	       !c->released_due));
	HOLDS(c->offer == VMBUS_NOT_OFFERED ||
	      (s->state == VMBUS_CONNECTED && s->offers_requested));
	HOLDS(c->offer != VMBUS_OFFERED || c->device_state == VMBUS_DEVICE_PRESENT);
	HOLDS(c->offer != VMBUS_RESCINDED || c->device_state == VMBUS_DEVICE_REMOVING);
	HOLDS(!c->owed || c->again_wanted || c->state == VMBUS_CH_OPEN_DUE ||
	      c->state == VMBUS_CH_OPENING);
	HOLDS(!c->again_wanted || c->owed);
	HOLDS(!c->again_wanted || c->state == VMBUS_CH_CLOSE_DUE || c->state == VMBUS_CH_CLOSING);
	HOLDS(!c->retarget || c->state == VMBUS_CH_OPENING || c->state == VMBUS_CH_OPEN);
	HOLDS(!c->released_due || (c->quiet_told && c->offer == VMBUS_NOT_OFFERED));
	if (c->device_state != VMBUS_DEVICE_NONE && c->device.stream) {
		/* Never before the guest has asked for it, and by nobody else than the service. */
		HOLDS(c->device.socket == WORLD_STREAMS && c->device.unit < VMBUS_CONNECTIONS_MAX);
		HOLDS(c->device_state == VMBUS_DEVICE_REMOVING || c->offer == VMBUS_OFFERED);
		HOLDS(c->device.instance.b[2] == 0 && c->device.instance.b[3] == 0 &&
		      c->device.instance.b[1] < 4);
	}
	if (c->state != VMBUS_CH_CLOSED) {
		const struct vmbus_gpadl *g = ring_of(s, c->open.gpadl);

		HOLDS(s->state == VMBUS_CONNECTED && c->open.vp < s->vp_count);
		HOLDS(g != NULL && g->relid == relid);
		HOLDS(g->state == VMBUS_GPADL_GIVEN ||
		      (g->state == VMBUS_GPADL_READY && c->state == VMBUS_CH_OPEN_DUE));
		HOLDS(c->open.downstream >= 2 && c->open.downstream <= g->pages - 2);
		HOLDS(c->state == VMBUS_CH_OPEN_DUE || (s->touched >> c->device.socket & 1) != 0);
	}
}

static inline void world_check(const struct world *w)
{
	const struct vmbus_server *s = &w->s;
	uint32_t owed = s->state == VMBUS_RESETTING, channels = 0, streams = 0;

	for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
		const struct vmbus_gpadl *g = &s->gpadl[i];

		if (g->state != VMBUS_GPADL_NONE) {
			check_gpadl(s, g);
			owed += g->owed || g->state == VMBUS_GPADL_ASSEMBLING;
		}
	}
	for (uint32_t relid = 1; relid <= VMBUS_CHANNELS_MAX; relid++) {
		check_channel(s, relid);
		owed += s->channel[relid - 1].owed;
		channels += s->channel[relid - 1].device_state == VMBUS_DEVICE_PRESENT;
		streams += s->channel[relid - 1].device_state == VMBUS_DEVICE_PRESENT &&
			   s->channel[relid - 1].device.stream;
	}
	HOLDS(streams <= VMBUS_CONNECTIONS_LIVE);
	check_pool(s);
	HOLDS(s->counts.lost == 0 && s->message_count + owed + channels <= VMBUS_MESSAGES_MAX);
	HOLDS(s->state == VMBUS_RESETTING || (s->reset_due | s->reset_wait) == 0);
	HOLDS((s->reset_due & s->reset_wait) == 0);
	HOLDS(((s->reset_due | s->reset_wait) & ~s->touched) == 0);
	HOLDS(s->state == VMBUS_CONNECTED || (!s->offers_requested && s->pool_used == 0));
	HOLDS(s->vp < s->vp_count);
}

/* --- doing what the server wants --- */

static inline void world_sent(struct world *w, const struct vmbus_action *a)
{
	const uint8_t *m = a->message;
	uint32_t relid = get32(m + 8);

	HOLDS(a->size >= 8 && a->size <= VMBUS_MESSAGE_MAX && get32(m + 4) == 0 && a->vp == w->vp);
	memcpy(w->message, m, sizeof(w->message));
	w->size = a->size;
	w->sent++;
	switch (get32(m)) {
	case VMBUS_OFFER:
		relid = get32(m + 184);
		HOLDS(a->size == 196 && relid >= 1 && relid < RELIDS && !w->told[relid]);
		HOLDS((m[189] & 1) == 0 && m[190] == 1 && get32(m + 192) == 0x2000 + relid);
		HOLDS((w->s.channel[relid - 1].device.stream) ==
		      (get32(m + 56) >> 13 & 1)); /* and the guest asked for it: byte 64 */
		HOLDS(m[64] == 0);
		w->told[relid] = true;
		w->rescinded[relid] = false;
		break;
	case VMBUS_RESCIND:
		HOLDS(a->size == 12 && relid < RELIDS && w->told[relid] && !w->rescinded[relid]);
		w->rescinded[relid] = true;
		break;
	case VMBUS_ALL_OFFERS:
		HOLDS(w->all_offers_owed);
		w->all_offers_owed = false;
		break;
	case VMBUS_OPEN_RESULT:
		HOLDS(a->size == 20);
		if (relid < RELIDS) {
			HOLDS(--w->open_owed[relid] >= 0);
		}
		HOLDS(--w->open_owed_all >= 0);
		break;
	case VMBUS_GPADL_CREATED:
		HOLDS(a->size == 20 && --w->created_owed >= 0);
		break;
	case VMBUS_GPADL_TORNDOWN:
		HOLDS(a->size == 12 && --w->torn_owed >= 0);
		break;
	case VMBUS_MODIFY_RESPONSE:
		HOLDS(a->size == 16 && --w->modify_owed >= 0);
		break;
	case VMBUS_VERSION_RESPONSE:
		HOLDS(a->size == 16 && w->contact_owed && get32(m + 12) != 0);
		w->contact_owed = false;
		break;
	case VMBUS_UNLOAD_RESPONSE:
		HOLDS(a->size == 8 && w->unload_owed);
		w->unload_owed = false;
		break;
	default:
		HOLDS(get32(m) == VMBUS_TL_CONNECT_RESULT && a->size == 44);
		break;
	}
}

static inline struct proc_gpadl *proc_find(struct proc *p, uint32_t unit, uint32_t id)
{
	for (uint32_t i = 0; i < VMBUS_SOCKET_GPADLS_MAX; i++) {
		if (p->gpadl[i].used && p->gpadl[i].unit == unit && p->gpadl[i].id == id) {
			return &p->gpadl[i];
		}
	}
	return NULL;
}

static inline void proc_gpadl(struct proc *p, const struct vmbus_action *a)
{
	HOLDS(proc_find(p, a->unit, a->gpadl) == NULL);
	HOLDS(a->pages == (a->offset + (uint64_t)a->length + 4095) / 4096 && a->offset < 4096);
	for (uint32_t i = 0; i < VMBUS_SOCKET_GPADLS_MAX; i++) {
		struct proc_gpadl *g = &p->gpadl[i];

		if (!g->used) {
			memset(g, 0, sizeof(*g));
			g->used = true;
			g->id = a->gpadl;
			g->relid = a->relid;
			g->unit = a->unit;
			g->pages = a->pages;
			g->first_pfn = a->pfn[0];
			g->last_pfn = a->pfn[a->pages - 1];
			return;
		}
	}
	HOLDS(!"room for a GPADL in the process");
}

static inline void proc_open(struct proc *p, const struct vmbus_action *a)
{
	const struct proc_gpadl *g = proc_find(p, a->unit, a->gpadl);

	HOLDS(p->channel[a->relid] == PC_CLOSED && g != NULL && !g->freeing &&
	      g->relid == a->relid);
	HOLDS(a->downstream >= 2 && a->downstream + 2 <= g->pages && a->vp < WORLD_VPS);
	p->channel[a->relid] = PC_OPENING;
	p->ring[a->relid] = a->gpadl;
	p->vp[a->relid] = a->vp;
}

static inline void proc_free(struct proc *p, const struct vmbus_action *a)
{
	struct proc_gpadl *g = proc_find(p, a->unit, a->gpadl);

	HOLDS(g != NULL && !g->freeing && g->relid == a->relid);
	HOLDS(p->channel[a->relid] == PC_CLOSED || p->ring[a->relid] != a->gpadl);
	g->freeing = true;
}

static inline void proc_forget(struct proc *p)
{
	memset(p->channel, 0, sizeof(p->channel));
	memset(p->gpadl, 0, sizeof(p->gpadl));
	p->resetting = false;
}

static inline bool proc_knows(const struct proc *p, uint32_t relid)
{
	bool any = p->channel[relid] != PC_CLOSED;

	for (uint32_t i = 0; i < VMBUS_SOCKET_GPADLS_MAX; i++) {
		any |= p->gpadl[i].used && p->gpadl[i].relid == relid;
	}
	return any;
}

static inline void world_do(struct world *w, const struct vmbus_action *a)
{
	struct proc *p = &w->proc[a->socket % WORLD_SOCKETS];

	HOLDS(a->socket < WORLD_SOCKETS && a->relid < RELIDS);
	if (a->what != VMBUS_DO_SEND) {
		w->last = *a;
	}
	switch (a->what) {
	case VMBUS_DO_SEND:
		world_sent(w, a);
		break;
	case VMBUS_DO_GPADL:
		proc_gpadl(p, a);
		break;
	case VMBUS_DO_OPEN:
		proc_open(p, a);
		break;
	case VMBUS_DO_CLOSE:
		HOLDS(p->channel[a->relid] == PC_OPEN || p->channel[a->relid] == PC_OPENING);
		p->channel[a->relid] = PC_CLOSING;
		break;
	case VMBUS_DO_GPADL_FREE:
		proc_free(p, a);
		break;
	case VMBUS_DO_RESET:
		HOLDS(!p->resetting);
		p->resetting = true;
		break;
	case VMBUS_DO_SET_TARGET:
		HOLDS(p->channel[a->relid] == PC_OPEN || p->channel[a->relid] == PC_OPENING);
		p->vp[a->relid] = a->vp;
		break;
	case VMBUS_DO_RESCINDED:
		HOLDS(!proc_knows(p, a->relid));
		w->rescinded_done++;
		break;
	case VMBUS_DO_RELEASED:
		HOLDS(!proc_knows(p, a->relid) && (!w->told[a->relid]));
		w->released++;
		break;
	default:
		HOLDS(!"an action that exists");
		break;
	}
}

static inline uint32_t world_alive(const struct world *w)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < WORLD_SOCKETS; i++) {
		mask |= (uint32_t)!w->proc[i].dead << i;
	}
	return mask;
}

/* One action; false: none. */
static inline bool world_step(struct world *w, uint32_t sockets, bool guest)
{
	struct vmbus_action a;

	if (!vmbus_server_next(&w->s, sockets & world_alive(w), guest, &a)) {
		return false;
	}
	HOLDS(guest || a.what != VMBUS_DO_SEND);
	world_do(w, &a);
	vmbus_server_done(&w->s, &a);
	world_check(w);
	return true;
}

static inline unsigned world_drain(struct world *w)
{
	unsigned n = 0;

	while (world_step(w, ~0u, true)) {
		HOLDS(++n < 1000);
	}
	return n;
}

/* --- words of the processes --- */

static inline void world_mark(struct world *w)
{
	w->before = w->s;
	memcpy(w->pool_before, w->pool, sizeof(w->pool));
}

/* Nothing changed since world_mark but counters and, where `queue`, what waits for the guest. */
static inline void world_unchanged(struct world *w, bool queue)
{
	struct vmbus_server now = w->s;

	now.counts = w->before.counts;
	if (queue) {
		HOLDS(now.message_count <= w->before.message_count + 1);
		memcpy(now.message, w->before.message, sizeof(now.message));
		now.message_count = w->before.message_count;
	}
	HOLDS(memcmp(&now, &w->before, sizeof(now)) == 0);
	HOLDS(memcmp(w->pool, w->pool_before, sizeof(w->pool)) == 0);
}

/* 0: no such channel. */
static inline uint32_t world_relid(const struct world *w, uint32_t socket, uint32_t unit,
				   uint32_t sub)
{
	for (uint32_t relid = 1; relid < RELIDS; relid++) {
		const struct vmbus_channel *c = &w->s.channel[relid - 1];

		if (c->device_state != VMBUS_DEVICE_NONE && c->device.socket == socket &&
		    c->device.unit == unit && c->device.sub == sub) {
			return relid;
		}
	}
	return 0;
}

static inline void world_opened(struct world *w, uint32_t socket, uint32_t unit, uint32_t sub,
				uint32_t status)
{
	uint32_t relid = world_relid(w, socket, unit, sub);
	enum vmbus_channel_state was = relid != 0 ? w->s.channel[relid - 1].state : VMBUS_CH_CLOSED;

	world_mark(w);
	vmbus_server_opened(&w->s, socket, unit, sub, status);
	if (was != VMBUS_CH_OPENING) {
		world_unchanged(w, false);
	}
	if (relid != 0 && w->proc[socket].channel[relid] == PC_OPENING) {
		/* Where the server already wants it closed, the process waits for that. */
		w->proc[socket].channel[relid] = status == 0 || was != VMBUS_CH_OPENING ? PC_OPEN
											: PC_CLOSED;
	}
	world_check(w);
}

static inline void world_closed(struct world *w, uint32_t socket, uint32_t unit, uint32_t sub)
{
	uint32_t relid = world_relid(w, socket, unit, sub);
	bool right = relid != 0 && w->proc[socket].channel[relid] == PC_CLOSING &&
		     w->s.state == VMBUS_CONNECTED;

	world_mark(w);
	if (right) {
		w->proc[socket].channel[relid] = PC_CLOSED;
	}
	vmbus_server_closed(&w->s, socket, unit, sub);
	if (!right) {
		world_unchanged(w, false);
	}
	world_check(w);
}

/* A connection of hv_sock is over. */
static inline void world_hangup(struct world *w, uint32_t socket, uint32_t unit)
{
	uint32_t relid = world_relid(w, socket, unit, 0);

	world_mark(w);
	vmbus_server_hangup(&w->s, socket, unit);
	if (relid == 0 || !w->before.channel[relid - 1].device.stream ||
	    w->before.channel[relid - 1].device_state != VMBUS_DEVICE_PRESENT) {
		world_unchanged(w, false);
	} else {
		HOLDS(w->s.channel[relid - 1].device_state == VMBUS_DEVICE_REMOVING);
	}
	world_check(w);
}

static inline void world_freed(struct world *w, uint32_t socket, uint32_t unit, uint32_t id)
{
	struct proc_gpadl *g = proc_find(&w->proc[socket % WORLD_SOCKETS], unit, id);
	bool right = socket < WORLD_SOCKETS && g != NULL && g->freeing &&
		     w->s.state == VMBUS_CONNECTED;

	world_mark(w);
	if (right) {
		g->used = false;
	}
	vmbus_server_gpadl_freed(&w->s, socket, unit, id);
	if (!right) {
		world_unchanged(w, false);
	}
	world_check(w);
}

static inline void world_reset_done(struct world *w, uint32_t socket)
{
	world_mark(w);
	if (socket < WORLD_SOCKETS && w->proc[socket].resetting) {
		proc_forget(&w->proc[socket]);
		vmbus_server_reset_done(&w->s, socket);
	} else {
		vmbus_server_reset_done(&w->s, socket);
		world_unchanged(w, false);
	}
	world_check(w);
}

static inline void world_restarted(struct world *w, uint32_t socket)
{
	proc_forget(&w->proc[socket]);
	w->proc[socket].dead = false;
	vmbus_server_restarted(&w->s, socket);
	world_check(w);
}

/* The n-th thing (from 0) that a living process still has to say; false: there are not so many. */
static inline bool world_answer(struct world *w, unsigned n, uint32_t status)
{
	for (uint32_t socket = 0; socket < WORLD_SOCKETS; socket++) {
		struct proc *p = &w->proc[socket];

		if (p->dead) {
			continue;
		}
		if (p->resetting) {
			if (n-- == 0) {
				world_reset_done(w, socket);
				return true;
			}
			continue; /* what else there is goes with it */
		}
		for (uint32_t relid = 1; relid < RELIDS; relid++) {
			const struct vmbus_device *d = &w->s.channel[relid - 1].device;

			if ((p->channel[relid] == PC_OPENING || p->channel[relid] == PC_CLOSING) &&
			    d->socket == socket && n-- == 0) {
				if (p->channel[relid] == PC_OPENING) {
					world_opened(w, socket, d->unit, d->sub, status);
				} else {
					world_closed(w, socket, d->unit, d->sub);
				}
				return true;
			}
		}
		for (uint32_t i = 0; i < VMBUS_SOCKET_GPADLS_MAX; i++) {
			struct proc_gpadl *g = &p->gpadl[i];

			if (g->used && g->freeing && n-- == 0) {
				world_freed(w, socket, g->unit, g->id);
				return true;
			}
		}
	}
	return false;
}

/* --- the guest --- */

/* Messages as Linux builds them: each writes to `m` (VMBUS_MESSAGE_MAX bytes) and returns the size. */
static inline uint32_t guest_words(uint8_t *m, uint32_t type, uint32_t a, uint32_t b, uint32_t size)
{
	memset(m, 0, VMBUS_MESSAGE_MAX);
	le_put(m, type, 4);
	le_put(m + 8, a, 4);
	le_put(m + 12, b, 4);
	return size;
}

static inline uint32_t guest_contact(uint8_t *m, uint32_t version, uint32_t vp)
{
	(void)guest_words(m, VMBUS_INITIATE_CONTACT, version, vp, 40);
	if (version >= VMBUS_5_0) {
		m[16] = 2;
	} else {
		le_put(m + 16, 0x1234000, 8);
	}
	le_put(m + 24, 0x5000, 8);
	le_put(m + 32, 0x6000, 8);
	return 40;
}

static inline uint32_t guest_open(uint8_t *m, uint32_t relid, uint32_t gpadl, uint32_t vp,
				  uint32_t downstream)
{
	(void)guest_words(m, VMBUS_OPEN, relid, relid, 148);
	le_put(m + 16, gpadl, 4);
	le_put(m + 20, vp, 4);
	le_put(m + 24, downstream, 4);
	return 148;
}

/* pages: of the whole; the first `count` (at most VMBUS_HEADER_PFNS) go in it, `pfn` on. */
static inline uint32_t guest_gpadl(uint8_t *m, uint32_t relid, uint32_t gpadl, uint32_t pages,
				   uint32_t count, uint64_t pfn)
{
	(void)guest_words(m, VMBUS_GPADL_HEADER, relid, gpadl, 0);
	le_put(m + 16, 8 + 8 * (uint64_t)pages, 2);
	le_put(m + 18, 1, 2);
	le_put(m + 20, (uint64_t)pages * 4096, 4);
	for (uint32_t i = 0; i < count; i++) {
		le_put(m + 28 + 8 * i, pfn + i, 8);
	}
	return 28 + 8 * count;
}

static inline uint32_t guest_body(uint8_t *m, uint32_t gpadl, uint32_t count, uint64_t pfn)
{
	(void)guest_words(m, VMBUS_GPADL_BODY, 0, gpadl, 0);
	for (uint32_t i = 0; i < count; i++) {
		le_put(m + 16 + 8 * i, pfn + i, 8);
	}
	return 16 + 8 * count;
}

static inline uint32_t guest_connect(uint8_t *m, uint32_t port, uint32_t service)
{
	struct vmbus_guid g;

	(void)guest_words(m, VMBUS_TL_CONNECT, 0, 0, 40);
	world_port(&g, port);
	memcpy(m + 8, g.b, 16);
	world_port(&g, service);
	memcpy(m + 24, g.b, 16);
	return 40;
}

static inline void guest_forgets(struct world *w)
{
	memset(w->told, 0, sizeof(w->told));
	memset(w->rescinded, 0, sizeof(w->rescinded));
	memset(w->open_owed, 0, sizeof(w->open_owed));
	w->open_owed_all = w->created_owed = w->torn_owed = w->modify_owed = 0;
	w->contact_owed = w->unload_owed = w->all_offers_owed = false;
}

static inline bool channel_offered(const struct world *w, uint32_t relid)
{
	return relid >= 1 && relid < RELIDS && w->s.channel[relid - 1].offer != VMBUS_NOT_OFFERED;
}

/* What a message in the connected state makes the server owe. */
static inline void guest_expects(struct world *w, const struct vmbus_message *m)
{
	const struct vmbus_gpadl *g;

	switch (m->type) {
	case VMBUS_REQUEST_OFFERS:
		w->all_offers_owed |= !w->s.offers_requested;
		break;
	case VMBUS_OPEN:
		if (channel_offered(w, m->open.relid) &&
		    w->s.channel[m->open.relid - 1].offer == VMBUS_RESCINDED) {
			break; /* never answered */
		}
		if (m->open.relid < RELIDS) {
			w->open_owed[m->open.relid]++;
		}
		w->open_owed_all++;
		break;
	case VMBUS_GPADL_HEADER:
		w->created_owed++;
		break;
	case VMBUS_GPADL_TEARDOWN:
		g = ring_of(&w->s, m->teardown.gpadl);
		if (!channel_offered(w, m->teardown.relid) ||
		    (g != NULL && (g->relid != m->teardown.relid || g->owed))) {
			break;
		}
		w->torn_owed++;
		if (g != NULL && g->state == VMBUS_GPADL_ASSEMBLING) {
			w->created_owed--;
		}
		break;
	case VMBUS_MODIFY_CHANNEL:
		w->modify_owed += w->s.version >= VMBUS_5_3;
		break;
	case VMBUS_RELID_RELEASED:
		if (m->relid < RELIDS && w->told[m->relid] && w->rescinded[m->relid]) {
			w->told[m->relid] = false;
		}
		break;
	default:
		break;
	}
}

/* The newest message for the guest refuses a connection of hv_sock, and is of this step. */
static inline bool last_is_refusal(const struct world *w)
{
	uint32_t n = w->s.message_count, at = (w->s.message_first + n - 1) % VMBUS_MESSAGES_MAX;

	return n > w->before.message_count && w->s.message[at].type == VMBUS_TL_CONNECT_RESULT;
}

/* false: not accepted now. */
static inline bool world_message(struct world *w, uint32_t type, const uint8_t *bytes,
				 uint32_t size)
{
	struct vmbus_message m;
	bool valid = type == 1 && vmbus_parse(bytes, size, &m), inert;

	world_mark(w);
	if (!vmbus_server_accepts(&w->s)) {
		HOLDS(!vmbus_server_message(&w->s, type, bytes, size));
		HOLDS(memcmp(&w->s, &w->before, sizeof(w->s)) == 0);
		return false;
	}
	if (valid && (m.type == VMBUS_INITIATE_CONTACT || m.type == VMBUS_UNLOAD)) {
		guest_forgets(w);
		w->contact_owed = m.type == VMBUS_INITIATE_CONTACT;
		w->unload_owed = !w->contact_owed;
		if (w->contact_owed) {
			w->vp = m.contact.vp < WORLD_VPS ? m.contact.vp : 0;
		}
	} else if (valid && w->s.state == VMBUS_CONNECTED) {
		guest_expects(w, &m);
	}
	HOLDS(vmbus_server_message(&w->s, type, bytes, size));
	HOLDS(w->s.counts.messages == w->before.counts.messages + 1);
	if (valid && m.type == VMBUS_INITIATE_CONTACT && get32(bytes + 8) >= VMBUS_5_0) {
		/* SINT 2, VTL 0; the other bytes of what was an address are reserved */
		HOLDS(!w->s.supported || (get32(bytes + 16) == 2 && get32(bytes + 20) == 0));
	}
	/* A connection may take the place of one that was never opened, whose GPADL is then refused. */
	inert = w->s.counts.malformed != w->before.counts.malformed ||
		w->s.counts.misplaced != w->before.counts.misplaced ||
		(w->s.counts.refused != w->before.counts.refused &&
		 (!valid || m.type != VMBUS_TL_CONNECT || last_is_refusal(w)));
	HOLDS(valid || inert);
	HOLDS(inert || m.type != VMBUS_MODIFY_CHANNEL || w->before.version >= VMBUS_4_1);
	if (inert && !(valid && (m.type == VMBUS_GPADL_BODY || m.type == VMBUS_INITIATE_CONTACT))) {
		world_unchanged(w, true);
	}
	world_check(w);
	return true;
}

/* Everything is done and said, and nobody waits who should not. */
static inline void world_settle(struct world *w)
{
	int assembling = 0, torn = 0;
	unsigned n = 0;

	do {
		(void)world_drain(w);
		HOLDS(++n < 1000);
	} while (world_answer(w, 0, 0));
	HOLDS(w->s.message_count == 0);
	for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
		const struct vmbus_gpadl *g = &w->s.gpadl[i];

		assembling += g->state == VMBUS_GPADL_ASSEMBLING;
		torn += g->owed;
	}
	for (uint32_t i = 0; i < WORLD_SOCKETS; i++) {
		if (w->proc[i].dead) {
			return; /* then some do wait */
		}
	}
	HOLDS(w->s.state != VMBUS_RESETTING && !w->contact_owed && !w->unload_owed);
	HOLDS(w->open_owed_all == 0 && w->modify_owed == 0 && !w->all_offers_owed);
	HOLDS(w->created_owed == assembling && w->torn_owed == torn);
	for (uint32_t relid = 1; relid < RELIDS; relid++) {
		const struct vmbus_channel *c = &w->s.channel[relid - 1];

		HOLDS(c->state == VMBUS_CH_CLOSED || c->state == VMBUS_CH_OPEN);
		HOLDS(w->told[relid] == (c->offer != VMBUS_NOT_OFFERED));
		HOLDS(w->rescinded[relid] == (c->offer == VMBUS_RESCINDED) || !w->told[relid]);
		HOLDS(c->state != VMBUS_CH_OPEN ||
		      w->proc[c->device.socket].vp[relid] == c->open.vp);
	}
}

#pragma clang attribute pop

#endif
