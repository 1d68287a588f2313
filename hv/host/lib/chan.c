/* SPDX-License-Identifier: MIT */
#include "hv/host/lib/chan.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "hv/host/lib/record.h"
#include "hv/host/lib/start.h"

#define PAGE 4096u
#define REFUSED 0x8000ffffu /* the status of an OPEN; any but 0 */
#define WORKER_SECONDS 10   /* so long may the worker not read */
#define LOG_MAX 32

/* A guest can cause these lines as often as it likes: the first ones are said, then ever fewer. */
static uint32_t lines;

static bool may_log(void)
{
	lines++;
	return lines <= LOG_MAX || (lines & (lines - 1)) == 0;
}

void chan_init(struct chan_set *s, const struct gmem *m, int worker)
{
	struct timeval limit = { WORKER_SECONDS, 0 };

	lines = 0;
	s->mem = m;
	s->worker = worker;
	s->lost = false;
	s->settling = false;
	s->resets = 0;
	for (uint32_t i = 0; i < CHAN_MAX; i++) {
		s->chan[i] = (struct chan){ .fd = -1 };
	}
	for (uint32_t i = 0; i < CHAN_GPADLS_MAX; i++) {
		s->gpadl[i] = (struct chan_gpadl){ .pfn = s->pfns[i] };
	}
	(void)setsockopt(worker, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

/* ---- answers. The worker never waits for us, so that waiting for it ends. ---- */

static void tell_channel(struct chan_set *s, enum pm_type type, uint32_t unit, uint32_t sub,
			 uint32_t status)
{
	struct pm_channel m = { .unit = unit, .sub = sub, .status = status };

	s->lost |= ipc_send_wait(s->worker, type, &m, sizeof(m), NULL, 0) != 0;
}

static void tell_freed(struct chan_set *s, uint32_t unit, uint32_t gpadl)
{
	struct pm_gpadl_free m = { .unit = unit, .gpadl = gpadl };

	s->lost |= ipc_send_wait(s->worker, PM_GPADL_FREED, &m, sizeof(m), NULL, 0) != 0;
}

static void tell_reset_done(struct chan_set *s)
{
	struct pm_plain m = { { 0, 0 } };

	s->lost |= ipc_send_wait(s->worker, PM_RESET_DONE, &m, sizeof(m), NULL, 0) != 0;
}

/* ---- GPADLs ---- */

static struct chan_gpadl *gpadl_any(struct chan_set *s, uint32_t unit, uint32_t id)
{
	for (uint32_t i = 0; i < CHAN_GPADLS_MAX; i++) {
		struct chan_gpadl *g = &s->gpadl[i];

		if (g->used && g->unit == unit && g->id == id) {
			return g;
		}
	}
	return NULL;
}

struct chan_gpadl *chan_gpadl_find(struct chan_set *s, uint32_t unit, uint32_t id)
{
	struct chan_gpadl *g = gpadl_any(s, unit, id);

	return g != NULL && !g->asked ? g : NULL;
}

static bool gpadl_holds_rings(const struct chan_set *s, const struct chan_gpadl *g)
{
	for (uint32_t i = 0; i < CHAN_MAX; i++) {
		if (s->chan[i].open && s->chan[i].rings == g) {
			return true;
		}
	}
	return false;
}

static bool any_open(const struct chan_set *s)
{
	for (uint32_t i = 0; i < CHAN_MAX; i++) {
		if (s->chan[i].open) {
			return true;
		}
	}
	return false;
}

static bool any_gpadl(const struct chan_set *s)
{
	for (uint32_t i = 0; i < CHAN_GPADLS_MAX; i++) {
		if (s->gpadl[i].used) {
			return true;
		}
	}
	return false;
}

/*
 * Calls the device for each GPADL that is to be freed, once nothing of ours is in it: a ring's after its channel was closed (the
 * guest may ask in the other order), at a reset after all channels. true: it was called.
 */
static bool free_gpadls(struct chan_set *s)
{
	bool called = false;

	for (uint32_t i = 0; i < CHAN_GPADLS_MAX; i++) {
		struct chan_gpadl *g = &s->gpadl[i];

		if (!g->used || !g->asked || g->told || gpadl_holds_rings(s, g) ||
		    (s->resets != 0 && any_open(s))) {
			continue;
		}
		g->told = true;
		if (s->gpadl_freeing != NULL) {
			s->gpadl_freeing(g);
		} else {
			chan_gpadl_freed(s, g);
		}
		called = true;
	}
	return called;
}

/* After every step. The device's callbacks end up here again; the outermost call sees to what they changed. */
static void settle(struct chan_set *s)
{
	if (s->settling) {
		return;
	}
	s->settling = true;
	while (free_gpadls(s)) {
	}
	if (s->resets != 0 && !any_open(s) && !any_gpadl(s)) {
		for (; s->resets != 0; s->resets--) {
			tell_reset_done(s);
		}
	}
	s->settling = false;
}

void chan_gpadl_freed(struct chan_set *s, struct chan_gpadl *g)
{
	uint32_t unit = g->unit, id = g->id;

	if (!g->told) { /* nor is one that is not used */
		return;
	}
	*g = (struct chan_gpadl){ .pfn = g->pfn };
	if (s->resets == 0) {
		tell_freed(s, unit, id);
	}
	settle(s);
}

static bool pages_valid(const struct chan_set *s, const struct pm_gpadl *m)
{
	for (uint32_t i = 0; i < m->pages; i++) {
		if (m->pfn[i] >> 52 != 0 || !gmem_check(s->mem, m->pfn[i] << 12, PAGE)) {
			return false;
		}
	}
	return true;
}

/* There is no answer to it: one that is not taken is not found when it is used. */
static const char *gpadl_add(struct chan_set *s, const struct pm_gpadl *m)
{
	if (s->resets != 0) {
		return "during a reset";
	}
	if (gpadl_any(s, m->unit, m->gpadl) != NULL) {
		return "its number is in use";
	}
	if (!pages_valid(s, m)) {
		return "not all of it is guest memory";
	}
	for (uint32_t i = 0; i < CHAN_GPADLS_MAX; i++) {
		struct chan_gpadl *g = &s->gpadl[i];

		if (!g->used) {
			memcpy(g->pfn, m->pfn, m->pages * sizeof(*g->pfn));
			g->used = true;
			g->unit = m->unit;
			g->id = m->gpadl;
			g->length = m->length;
			g->offset = m->offset;
			g->pages = m->pages;
			return NULL;
		}
	}
	return "there are too many";
}

static void gpadl_free(struct chan_set *s, const struct pm_gpadl_free *m)
{
	struct chan_gpadl *g = gpadl_any(s, m->unit, m->gpadl);

	if (g != NULL) {
		g->asked = true;
	} else if (s->resets == 0) {
		tell_freed(s, m->unit, m->gpadl);
	}
}

/* ---- channels ---- */

static struct chan *chan_find(struct chan_set *s, uint32_t unit, uint32_t sub)
{
	for (uint32_t i = 0; i < CHAN_MAX; i++) {
		struct chan *c = &s->chan[i];

		if (c->open && c->unit == unit && c->sub == sub) {
			return c;
		}
	}
	return NULL;
}

static struct chan *chan_unused(struct chan_set *s)
{
	for (uint32_t i = 0; i < CHAN_MAX; i++) {
		if (!s->chan[i].open) {
			return &s->chan[i];
		}
	}
	return NULL;
}

/* Rings are whole pages: [0, downstream) from the guest, the rest to it. Answers why not, or NULL. */
static const char *try_open(struct chan_set *s, const struct pm_open *m, struct chan **opened)
{
	struct chan_gpadl *g = chan_gpadl_find(s, m->unit, m->gpadl);
	struct chan *c = chan_unused(s);

	if (s->resets != 0) {
		return "during a reset";
	}
	if (chan_find(s, m->unit, m->sub) != NULL) {
		return "it is open";
	}
	if (c == NULL) {
		return "there are too many";
	}
	if (g == NULL) {
		return "no such GPADL";
	}
	if (g->offset != 0 || g->length % PAGE != 0) {
		return "its rings are not whole pages";
	}
	if (gpadl_holds_rings(s, g)) {
		return "another has its rings";
	}
	if (m->downstream >= g->pages) {
		return "its rings have no such page";
	}
	*c = (struct chan){ .fd = -1, .unit = m->unit, .sub = m->sub, .rings = g };
	if (!ring_open_in(&c->in, s->mem, g->pfn, m->downstream) ||
	    !ring_open_out(&c->out, s->mem, g->pfn + m->downstream, g->pages - m->downstream)) {
		*c = (struct chan){ .fd = -1 };
		return "bad rings";
	}
	*opened = c;
	return NULL;
}

static void chan_open(struct chan_set *s, struct ipc_message *m)
{
	struct chan *c = NULL;
	const char *why = try_open(s, &m->open, &c);

	if (why != NULL) {
		if (may_log()) {
			start_log("channel %u.%u is not opened: %s", m->open.unit, m->open.sub,
				  why);
		}
		tell_channel(s, PM_OPENED, m->open.unit, m->open.sub, REFUSED);
		return;
	}
	c->fd = ipc_take_fd(m, 0);
	c->open = true;
	tell_channel(s, PM_OPENED, c->unit, c->sub, 0);
	s->opened(c);
}

static void begin_closing(struct chan_set *s, struct chan *c)
{
	if (!c->closing) {
		c->closing = true;
		s->closing(c);
	}
}

static void chan_close(struct chan_set *s, const struct pm_channel *m)
{
	struct chan *c = chan_find(s, m->unit, m->sub);

	if (c != NULL) {
		begin_closing(s, c);
	} else if (s->resets == 0) {
		tell_channel(s, PM_CLOSED, m->unit, m->sub, 0);
	}
}

void chan_closed(struct chan_set *s, struct chan *c)
{
	uint32_t unit = c->unit, sub = c->sub;

	if (!c->closing) { /* nor is one that is not open */
		return;
	}
	(void)close(c->fd);
	*c = (struct chan){ .fd = -1 };
	if (s->resets == 0) {
		tell_channel(s, PM_CLOSED, unit, sub, 0);
	}
	settle(s);
}

void chan_hangup(struct chan_set *s, const struct chan *c)
{
	if (c->open && !c->closing && s->resets == 0) {
		tell_channel(s, PM_HANGUP, c->unit, c->sub, 0);
	}
}

static void reset(struct chan_set *s)
{
	s->resets++;
	for (uint32_t i = 0; i < CHAN_GPADLS_MAX; i++) {
		s->gpadl[i].asked = s->gpadl[i].used;
	}
	for (uint32_t i = 0; i < CHAN_MAX; i++) {
		if (s->chan[i].open) {
			begin_closing(s, &s->chan[i]);
		}
	}
}

/* One message: 1 served, 0 there was none, -1 the worker is gone or broken. */
static int worker_one(struct chan_set *s)
{
	static struct ipc_message m;
	const char *why = NULL;
	int n = ipc_receive(s->worker, &m);

	if (n < 0 && errno != EAGAIN) {
		start_log("the worker's message is malformed: %s", m.why);
		return -1;
	}
	if (n < 0) {
		return s->lost ? -1 : 0;
	}
	if (n == 0) {
		return -1;
	}
	s->settling = true;
	switch (m.type) {
	case PM_GPADL:
		why = gpadl_add(s, &m.gpadl);
		if (why != NULL && may_log()) {
			start_log("GPADL 0x%x of %u is not taken: %s", m.gpadl.gpadl, m.gpadl.unit,
				  why);
		}
		break;
	case PM_OPEN:
		chan_open(s, &m);
		break;
	case PM_CLOSE:
		chan_close(s, &m.channel);
		break;
	case PM_GPADL_FREE:
		gpadl_free(s, &m.gpadl_free);
		break;
	case PM_RESET:
		reset(s);
		break;
	default:
		start_log("the worker sent a message of type %d", (int)m.type);
		s->lost = true;
		break;
	}
	ipc_drop_fds(&m);
	s->settling = false;
	settle(s);
	return s->lost ? -1 : 1;
}

bool chan_worker(struct chan_set *s)
{
	return worker_one(s) >= 0;
}

bool chan_worker_all(struct chan_set *s)
{
	int n;

	do {
		n = worker_one(s);
	} while (n > 0);
	return n == 0;
}

/* ---- packets ---- */

void chan_break(struct chan *c, const char *why)
{
	if (c->open && !c->broken) {
		c->broken = true;
		if (may_log()) {
			start_log("channel %u.%u: the guest broke the protocol: %s", c->unit,
				  c->sub, why);
		}
	}
}

void chan_drain_signal(struct chan *c)
{
	uint64_t count;

	if (c->open && read(c->fd, &count, sizeof(count)) < 0) {
		return; /* another signal makes it ready again */
	}
}

void chan_signal(struct chan *c)
{
	uint64_t one = 1;

	if (c->open && write(c->fd, &one, sizeof(one)) < 0) {
		return; /* the VM is going */
	}
}

static bool usable(const struct chan *c)
{
	return c->open && !c->broken;
}

enum ring_status chan_take(struct chan *c, uint8_t *to, uint32_t max, struct ring_packet *out)
{
	enum ring_status status;
	bool signal = false;

	if (!usable(c)) {
		return RING_BROKEN;
	}
	status = ring_take(&c->in, to, max, out, &signal);
	if (status == RING_EMPTY) {
		ring_mask(&c->in, false);
		status = ring_take(&c->in, to, max, out, &signal);
	}
	if (status == RING_OK) {
		ring_mask(&c->in, true);
		record(RECORD_FROM_GUEST, c->unit, to, out->length);
	}
	if (signal) {
		chan_signal(c);
	}
	if (status == RING_BROKEN) {
		chan_break(c, "a bad packet or index in the ring from the guest");
	}
	return status;
}

enum ring_status chan_put(struct chan *c, const struct ring_send *s)
{
	enum ring_status status;
	bool signal = false;

	if (!usable(c)) {
		return RING_BROKEN;
	}
	status = ring_put(&c->out, s, &signal);
	if (signal) {
		chan_signal(c);
	}
	if (status == RING_BROKEN) {
		chan_break(c, "a bad index in the ring to the guest");
	}
	return status;
}

enum ring_status chan_complete(struct chan *c, uint64_t transaction, const void *payload,
			       uint32_t length)
{
	struct ring_send s = { .type = RING_COMPLETION,
			       .transaction = transaction,
			       .payload = payload,
			       .payload_length = length };

	return chan_put(c, &s);
}
