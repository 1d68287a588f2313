/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_IC_COMPONENT_H
#define HV_HOST_IC_COMPONENT_H
/*
 * One integration component: its channel, what was negotiated, and the one request that may be under way. Some drivers read one
 * packet for each interrupt, so that a second request in the ring would never be seen.
 */
#include "hv/host/lib/chan.h"
#include "hv/wire/ic.h"

enum component_state {
	COMPONENT_CLOSED,
	COMPONENT_NEGOTIATING,
	COMPONENT_READY,
	COMPONENT_USELESS, /* no common version, or the guest broke the protocol */
};

struct component {
	enum component_state state;
	struct chan *c;
	struct ic_request request; /* versions, transaction of the last request */
	bool waiting;              /* for the answer to it */
	bool look;                 /* into the ring, though nobody signalled */
	uint64_t kick_ms;          /* when to signal the guest once more */
	uint64_t due_ms;           /* when the next request goes */
	uint64_t sequence;         /* heartbeat */
	bool clock_set;            /* time synchronisation: the first sample sets the clock */
};

struct components {
	struct component of[IC_KINDS];
	bool shutdown_wanted, shutdown_reboot;
	struct pm_status_ic status;
	bool changed;
};

void component_opened(struct components *s, struct chan *c, uint64_t now_ms);
void component_closed(struct components *s, struct chan *c);
/* The guest signalled, or may have. */
void component_receive(struct components *s, struct component *p, uint64_t now_ms);
/* Sends what is due. host_time: 100 ns since 1601. */
void component_send(struct components *s, struct component *p, uint64_t now_ms, uint64_t host_time);
/* Milliseconds until component_send has something to do, or -1. */
int component_wait(const struct components *s, uint64_t now_ms);

#endif
