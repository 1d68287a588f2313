/* SPDX-License-Identifier: MIT */
#include "hv/host/ic/component.h"

#include <string.h>

#define HEARTBEAT_MS 2000
#define TIMESYNC_MS 5000
/* A request without an answer for so long: perhaps its interrupt was lost. */
#define KICK_MS 2000
#define FULL_MS 100
/* Answers that are looked at in one go; a guest cannot keep us here. */
#define ANSWERS_MAX 16
#define NEVER UINT64_MAX

static enum ic_kind kind_of(const struct components *s, const struct component *p)
{
	return (enum ic_kind)(p - s->of);
}

static void set_ready(struct components *s, struct component *p, bool ready)
{
	if (kind_of(s, p) == IC_SHUTDOWN) {
		s->status.shutdown_ready = ready;
		s->changed = true;
	}
}

void component_opened(struct components *s, struct chan *c, uint64_t now_ms)
{
	struct component *p;

	if (c->unit >= IC_KINDS || c->sub != 0) {
		chan_break(c, "no such component");
		return;
	}
	p = &s->of[c->unit];
	*p = (struct component){
		.state = COMPONENT_NEGOTIATING,
		.c = c,
		.look = true,
		/* After a restart of this process answers to the one before may still come. */
		.request = { .kind = (enum ic_kind)c->unit, .transaction = (uint8_t)now_ms },
		.due_ms = now_ms,
	};
}

void component_closed(struct components *s, struct chan *c)
{
	for (unsigned int i = 0; i < IC_KINDS; i++) {
		if (s->of[i].c == c) {
			set_ready(s, &s->of[i], false);
			s->of[i] = (struct component){ .state = COMPONENT_CLOSED };
		}
	}
}

/* ---- answers ---- */

static void useless(struct components *s, struct component *p, const char *why)
{
	p->state = COMPONENT_USELESS;
	p->waiting = false;
	set_ready(s, p, false);
	chan_break(p->c, why);
}

static void negotiated(struct components *s, struct component *p, const struct ic_answer *a,
		       uint64_t now_ms)
{
	if (!a->agreed) {
		useless(s, p, "no version in common");
		return;
	}
	p->request.framework = a->framework;
	p->request.version = a->version;
	p->state = COMPONENT_READY;
	p->due_ms = now_ms;
	set_ready(s, p, true);
}

static void answered(struct components *s, struct component *p, const struct ic_answer *a,
		     uint64_t now_ms)
{
	p->waiting = false;
	if (p->state == COMPONENT_NEGOTIATING) {
		if (a->type == IC_TYPE_NEGOTIATE) {
			negotiated(s, p, a, now_ms);
		}
		return;
	}
	switch (kind_of(s, p)) {
	case IC_SHUTDOWN:
		s->status.shutdown_answered = a->status == 0;
		break;
	case IC_HEARTBEAT:
		s->status.heartbeats++;
		p->due_ms = now_ms + HEARTBEAT_MS;
		break;
	default:
		p->clock_set = true;
		p->due_ms = now_ms + TIMESYNC_MS;
		break;
	}
	s->changed = true;
}

/* Trust: everything that comes out of the ring. */
void component_receive(struct components *s, struct component *p, uint64_t now_ms)
{
	static uint8_t packet[4096];

	p->look = false;
	for (int i = 0; i < ANSWERS_MAX; i++) {
		struct ring_packet head;
		struct ic_answer answer;
		enum ring_status status;

		if (p->state == COMPONENT_CLOSED || p->state == COMPONENT_USELESS) {
			return;
		}
		status = chan_take(p->c, packet, sizeof(packet), &head);
		if (status == RING_BROKEN) {
			useless(s, p, "ring");
		}
		if (status != RING_OK) {
			return;
		}
		if (head.type != RING_DATA_INBAND ||
		    !ic_parse(kind_of(s, p), packet + head.offset, head.length - head.offset,
			      &answer)) {
			useless(s, p, "not an answer of an integration component");
			return;
		}
		/* Others are answers to a process before this one. */
		if (p->waiting && answer.transaction == p->request.transaction) {
			answered(s, p, &answer, now_ms);
		}
	}
	/* There may be more; until the ring is seen empty the guest does not signal. */
	p->look = true;
}

/* ---- requests ---- */

static uint32_t build(struct components *s, struct component *p, uint64_t host_time,
		      uint8_t to[IC_BYTES_MAX])
{
	if (p->state == COMPONENT_NEGOTIATING) {
		return ic_build_negotiate(p->request.kind, p->request.transaction, to);
	}
	switch (kind_of(s, p)) {
	case IC_SHUTDOWN:
		return ic_build_shutdown(&p->request, s->shutdown_reboot, to);
	case IC_HEARTBEAT:
		return ic_build_heartbeat(&p->request, p->sequence, to);
	default:
		return ic_build_timesync(&p->request, host_time, !p->clock_set, to);
	}
}

static void sent(struct components *s, struct component *p, uint64_t now_ms)
{
	p->waiting = true;
	p->kick_ms = now_ms + KICK_MS;
	if (p->state != COMPONENT_READY) {
		return;
	}
	if (kind_of(s, p) == IC_SHUTDOWN) {
		s->shutdown_wanted = false;
	} else if (kind_of(s, p) == IC_HEARTBEAT) {
		p->sequence++;
	} else {
		s->status.timesync++;
		s->changed = true;
	}
}

/* When it has to do something: NEVER, or a time. */
static uint64_t due(const struct components *s, const struct component *p)
{
	if (p->state == COMPONENT_CLOSED || p->state == COMPONENT_USELESS) {
		return NEVER;
	}
	if (p->waiting) {
		return p->kick_ms;
	}
	if (p->state == COMPONENT_READY && kind_of(s, p) == IC_SHUTDOWN && !s->shutdown_wanted) {
		return NEVER;
	}
	return p->due_ms;
}

void component_send(struct components *s, struct component *p, uint64_t now_ms, uint64_t host_time)
{
	static uint8_t payload[IC_BYTES_MAX];
	struct ring_send send = { .type = RING_DATA_INBAND, .payload = payload };
	enum ring_status status;

	if (due(s, p) > now_ms) {
		return;
	}
	if (p->waiting) {
		chan_signal(p->c);
		p->kick_ms = now_ms + KICK_MS;
		return;
	}
	p->request.transaction++;
	send.payload_length = build(s, p, host_time, payload);
	send.transaction = p->request.transaction;
	status = chan_put(p->c, &send);
	if (status == RING_OK) {
		sent(s, p, now_ms);
	} else if (status == RING_FULL) {
		p->due_ms = now_ms + FULL_MS;
	} else {
		useless(s, p, "ring");
	}
}

int component_wait(const struct components *s, uint64_t now_ms)
{
	uint64_t first = NEVER;

	for (unsigned int i = 0; i < IC_KINDS; i++) {
		uint64_t at = s->of[i].look ? now_ms : due(s, &s->of[i]);

		first = at < first ? at : first;
	}
	if (first == NEVER) {
		return -1;
	}
	return first <= now_ms ? 0 : first - now_ms > 60000 ? 60000 : (int)(first - now_ms);
}
