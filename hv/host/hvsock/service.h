/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_HVSOCK_SERVICE_H
#define HV_HOST_HVSOCK_SERVICE_H
/*
 * The service that gives a guest its own report, over hv_sock (docs/attestation.md section 8). Each connection is one HTTP request
 * and its answer. The request is read here; of all that the guest wrote only the nonce goes on, to the manager, who asks
 * attestd for a report of this machine and hands back the descriptor on which the answer comes. Its bytes go to the guest.
 */
#include <sys/types.h>

#include "attest/core/format.h"
#include "hv/host/attestd/http.h"
#include "hv/host/lib/chan.h"
#include "hv/wire/hvsock.h"
#include "hv/wire/vmbus_server.h"

#define SERVICE_LINES VMBUS_CONNECTIONS_MAX
#define SERVICE_CHUNK 2000u /* bytes of a packet to the guest: fits in the smallest ring */
#define SERVICE_REQUEST_MS 5000u
#define SERVICE_REPORT_MS 60000u /* quotes of slow TPMs, and those who were first */
#define SERVICE_IDLE_MS 10000u   /* the guest does not read, or the agent stopped in the middle */
#define SERVICE_RETRY_MS 20u     /* the manager's socket is full */
#define SERVICE_QUESTIONS 16u    /* to the manager, in a second: it kills who asks far more often */
#define SERVICE_ANSWER_MAX (256u + ATTEST_BUNDLE_MAX) /* attestd's header and a bundle */

enum line_state {
	LINE_FREE,
	LINE_REQUEST, /* -> WANTED; -> ANSWER where it is refused */
	LINE_WANTED,  /* the manager is to be asked -> ASKED */
	LINE_ASKED,   /* -> ANSWER */
	LINE_ANSWER,  /* -> FIN after its last byte */
	LINE_FIN,     /* ours was sent; -> OVER after the guest's */
	LINE_OVER,    /* the worker is to take it from the guest, and then closes it -> FREE */
};

struct line { /* a connection */
	enum line_state state;
	struct chan *c;
	bool look; /* into the ring, though nobody signalled */
	bool guest_fin;
	bool told;  /* OVER: the worker */
	bool ended; /* ANSWER: nothing more to put into `out` */
	uint32_t ticket;
	int agent; /* ANSWER: the answer, or -1: it is all in `out` */
	uint64_t until_ms;
	size_t request_n;
	char request[HTTP_REQUEST_MAX];
	size_t answer_n; /* bytes given to the guest */
	uint32_t out_n;  /* bytes that wait for room in the ring, behind the header */
	uint8_t out[HVSOCK_HEADER + SERVICE_CHUNK];
	struct pm_report_wanted wanted;
};

struct service {
	struct line of[SERVICE_LINES];
	uint32_t tickets;
	uint64_t second; /* of the clock, and questions in it */
	uint32_t questions;
};

void service_init(struct service *s);
void service_opened(struct service *s, struct chan *c, uint64_t now_ms);
/* Forgets the connection; closes the descriptor of its answer. */
void service_closed(struct service *s, const struct chan *c);
/* What came from the guest, and what can go to it: after a signal, a change, or the time. */
void service_step(struct service *s, struct line *l, uint64_t now_ms);
/* The manager's answer. agent: the caller's where there is no error (the service's from then on), or -1. */
void service_report(struct service *s, const struct pm_report *m, int agent, uint64_t now_ms);
/* The next bytes of the answer can be taken from l->agent: at most as many, at l->out + HVSOCK_HEADER; 0: not now. */
uint32_t service_room(const struct line *l);
/* They were: n; 0: it has ended; -1: broken. */
void service_taken(struct line *l, ssize_t n, uint64_t now_ms);
/* When service_step has something to do, though nothing happens: milliseconds from now, or -1. */
int service_wait(const struct service *s, uint64_t now_ms);

#endif
