/* SPDX-License-Identifier: MIT */
/* The life of a netvsp: its channel, its state over a restart, its loop. */
#include "hv/host/netvsp/netvsp.h"
#include "hv/host/lib/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "hv/host/lib/record.h"
#include "hv/host/lib/start.h"

#define MAGIC 0x3154454eu /* of this layout of the state */
#define STATUS_MS 1000u

/* The callbacks of chan_set have no argument for it. */
static struct netvsp *self;

static void opened(struct chan *c)
{
	struct netvsp *n = self;
	struct netvsp_state *state = n->state;
	bool resumable = n->resumable && state->ring_gpadl == c->rings->id;

	if (n->chan != NULL || c->unit != 0 || c->sub != 0) {
		chan_break(c, "a second channel was opened"); /* none is offered */
		return;
	}
	n->chan = c;
	n->channel_gone = false;
	n->resumable = false;
	netvsp_place(n);
	if (resumable && nvsp_session_continues(&state->session, &n->io)) {
		if (nvsp_session_resume(&state->session, &n->io, &n->batch) != NVSP_OK) {
			chan_break(c, "nothing to resume");
		}
		chan_signal(c); /* the last signal may be what the earlier process did not send */
	} else {
		nvsp_session_open(&state->session, &n->io);
		state->ring_gpadl = c->rings->id;
	}
	n->more = true; /* what came before is not signalled again */
}

static void closing(struct chan *c)
{
	struct netvsp *n = self;

	if (c == n->chan) {
		nvsp_session_reset(&n->state->session);
		nvsp_batch_clear(&n->batch);
		n->chan = NULL;
	}
	chan_closed(&n->set, c);
}

static void gpadl_freeing(struct chan_gpadl *g)
{
	if (g->unit == 0) {
		nvsp_session_gpadl_gone(&self->state->session, g->id);
	}
	chan_gpadl_freed(&self->set, g);
}

void netvsp_init(struct netvsp *n, struct netvsp_state *state, const uint8_t mac[6], bool restarted,
		 int control, int worker, int port)
{
	struct nvsp_session *s = &state->session;

	self = n;
	n->state = state;
	n->control = control;
	n->port = port;
	n->resumable = restarted && state->magic == MAGIC && nvsp_session_valid(s) &&
		       memcmp(s->rndis.mac, mac, sizeof(s->rndis.mac)) == 0;
	if (!n->resumable) {
		state->magic = MAGIC;
		state->ring_gpadl = 0;
		nvsp_session_start(s, mac);
	}
	n->set.opened = opened;
	n->set.closing = closing;
	n->set.gpadl_freeing = gpadl_freeing;
	chan_init(&n->set, &n->mem, worker);
}

/* Tells the manager at most once a second. Milliseconds until there is something to tell, -1: nothing. */
static int report(struct netvsp *n)
{
	const struct nvsp_counters *c = &n->state->session.counters;
	struct pm_status_net now = { .sent = c->sent,
				     .received = c->received,
				     .dropped = c->dropped + c->refused };
	uint64_t time, due = n->reported_ms + STATUS_MS;

	if (now.sent == n->reported.sent && now.received == n->reported.received &&
	    now.dropped == n->reported.dropped) {
		return -1;
	}
	time = clock_now_ms();
	if (time < due) {
		return (int)(due - time);
	}
	n->reported_ms = time;
	if (ipc_send(n->control, PM_STATUS_NET, &now, sizeof(now), NULL, 0) == 0) {
		n->reported = now;
		return -1;
	}
	return (int)STATUS_MS;
}

/* false: the manager wants the end, or is gone. */
static bool serve_control(struct netvsp *n)
{
	static struct ipc_message m; /* large */
	int got = ipc_receive(n->control, &m);

	if (got < 0) {
		return errno == EAGAIN;
	}
	if (got == 0 || m.type == PM_STOP) {
		return false;
	}
	if (m.type == PM_LINK) {
		nvsp_session_link(&n->state->session, m.link.up != 0);
		netvsp_serve(n);
	} else if (m.type == PM_RECORD) {
		record_start(&m, RECORD_NETVSP);
	} else {
		start_log("the manager sent a message of type %d", (int)m.type);
	}
	ipc_drop_fds(&m);
	return true;
}

enum { CONTROL, WORKER, PORT, CHANNEL, SOURCES };

static int earlier(int a, int b)
{
	if (a < 0 || b < 0) {
		return a < 0 ? b : a;
	}
	return a < b ? a : b;
}

bool netvsp_step(struct netvsp *n, int timeout_ms)
{
	bool listen = n->chan != NULL && !n->chan->broken && !n->channel_gone;
	struct pollfd p[SOURCES] = {
		[CONTROL] = { n->control, POLLIN, 0 },
		[WORKER] = { n->set.worker, POLLIN, 0 },
		[PORT] = { n->port_gone ? -1 : n->port, POLLIN, 0 },
		[CHANNEL] = { listen ? n->chan->fd : -1, POLLIN, 0 },
	};

	timeout_ms = earlier(timeout_ms, report(n));
	if (poll(p, SOURCES, n->more ? 0 : timeout_ms) < 0 && errno != EINTR) {
		start_fail("poll: %s", strerror(errno));
	}
	if (p[CHANNEL].revents != 0) {
		n->channel_gone = (p[CHANNEL].revents & ~POLLIN) != 0;
		if ((p[CHANNEL].revents & POLLIN) != 0) {
			chan_drain_signal(n->chan);
		}
		n->more = true;
	}
	if (n->more) {
		netvsp_serve(n);
	}
	if (p[PORT].revents != 0) {
		netvsp_receive(n, (p[PORT].revents & POLLHUP) != 0);
	}
	if (p[CONTROL].revents != 0 && !serve_control(n)) {
		return false;
	}
	return !n->worker_gone && (p[WORKER].revents == 0 || chan_worker(&n->set));
}
