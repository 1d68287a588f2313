/* SPDX-License-Identifier: MIT */
#include "hv/host/hvsock/service.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Packets that are looked at in one go; a guest cannot keep us here. */
#define PACKETS_MAX 16
#define TOO_MANY "too many requests: ask again in a few seconds"

void service_init(struct service *s)
{
	memset(s, 0, sizeof(*s));
	for (uint32_t i = 0; i < SERVICE_LINES; i++) {
		s->of[i].agent = -1;
	}
}

static void clear(struct line *l)
{
	if (l->agent >= 0) {
		(void)close(l->agent);
	}
	memset(l, 0, sizeof(*l));
	l->agent = -1;
}

void service_opened(struct service *s, struct chan *c, uint64_t now_ms)
{
	struct line *l;

	if (c->unit >= SERVICE_LINES || c->sub != 0 || s->of[c->unit].state != LINE_FREE) {
		chan_break(c, "no such connection");
		return;
	}
	l = &s->of[c->unit];
	clear(l);
	l->state = LINE_REQUEST;
	l->c = c;
	l->look = true;
	l->until_ms = now_ms + SERVICE_REQUEST_MS;
}

void service_closed(struct service *s, const struct chan *c)
{
	for (uint32_t i = 0; i < SERVICE_LINES; i++) {
		if (s->of[i].state != LINE_FREE && s->of[i].c == c) {
			clear(&s->of[i]);
		}
	}
}

static void over(struct line *l)
{
	if (l->agent >= 0) {
		(void)close(l->agent);
		l->agent = -1;
	}
	l->out_n = 0;
	l->look = false;
	l->state = LINE_OVER;
}

/* ---- the request ---- */

/* An answer of our own, in the words of attestd's; why is a text of ours. */
static void refuse(struct line *l, int status, const char *why, uint64_t now_ms)
{
	char body[300];
	int n = snprintf(body, sizeof(body), "{\"error\": \"%s\"}\n", why), all;

	all = snprintf((char *)l->out + HVSOCK_HEADER, SERVICE_CHUNK,
		       "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
		       "Cache-Control: no-store\r\nConnection: close\r\n\r\n%s",
		       status, status < 500 ? "Bad Request" : "Service Unavailable", n, body);
	l->out_n = all > 0 ? (uint32_t)all : 0;
	l->ended = true;
	l->state = LINE_ANSWER;
	l->until_ms = now_ms + SERVICE_IDLE_MS;
}

static bool may_ask(struct service *s, uint64_t now_ms)
{
	if (s->second != now_ms / 1000) {
		s->second = now_ms / 1000;
		s->questions = 0;
	}
	return s->questions++ < SERVICE_QUESTIONS;
}

static void requested(struct service *s, struct line *l, const struct request *r, uint64_t now_ms)
{
	if (r->verb != REQUEST_REPORT) {
		refuse(l, 404, "a guest is given POST /v1/report only", now_ms);
		return;
	}
	if (r->has_partition) {
		refuse(l, 400, "partition: a guest is given its own report only; leave it out",
		       now_ms);
		return;
	}
	if (!may_ask(s, now_ms)) {
		refuse(l, 503, TOO_MANY, now_ms);
		return;
	}
	l->ticket = ++s->tickets;
	l->wanted = (struct pm_report_wanted){ .ticket = l->ticket,
					       .nonce_size = (uint32_t)r->nonce_n };
	memcpy(l->wanted.nonce, r->nonce, r->nonce_n);
	l->state = LINE_WANTED;
	l->until_ms = now_ms + SERVICE_REPORT_MS;
}

static void take_request(struct service *s, struct line *l, const struct hvsock_packet *p,
			 uint64_t now_ms)
{
	static struct request r;
	const char *why = NULL;
	int status = 0;

	if (p->size > sizeof(l->request) - l->request_n) {
		refuse(l, 413, "the request is too long", now_ms);
		return;
	}
	memcpy(l->request + l->request_n, p->data, p->size);
	l->request_n += p->size;
	switch (http_parse(l->request, l->request_n, &r, &status, &why)) {
	case HTTP_DONE:
		requested(s, l, &r, now_ms);
		break;
	case HTTP_REFUSED:
		refuse(l, status, why, now_ms);
		break;
	case HTTP_MORE:
		if (l->guest_fin) {
			refuse(l, 400, "the request ends in the middle", now_ms);
		}
		break;
	}
}

/* ---- the ring ---- */

/* Trust: everything that comes out of the ring. */
static void receive(struct service *s, struct line *l, uint64_t now_ms)
{
	static uint8_t packet[64 + HVSOCK_HEADER + HVSOCK_DATA_MAX];
	struct hvsock_packet p;
	struct ring_packet head;

	l->look = false;
	for (int i = 0; i < PACKETS_MAX; i++) {
		enum ring_status status = chan_take(l->c, packet, sizeof(packet), &head);

		if (status == RING_EMPTY) {
			return;
		}
		if (status != RING_OK) {
			over(l);
			return;
		}
		if (head.type != RING_DATA_INBAND ||
		    !hvsock_parse(packet + head.offset, head.length - head.offset, &p) ||
		    l->guest_fin) {
			chan_break(l->c, "not a packet of hv_sock");
			over(l);
			return;
		}
		l->guest_fin = p.size == 0;
		if (l->state == LINE_REQUEST) {
			take_request(s, l, &p, now_ms);
		} else if (p.size != 0) {
			chan_break(l->c, "bytes behind the request");
			over(l);
			return;
		}
	}
	/* There may be more; until the ring is seen empty the guest does not signal. */
	l->look = true;
}

/* false: not now, or never. */
static bool put(struct line *l, uint32_t size)
{
	struct ring_send send = { .type = RING_DATA_INBAND,
				  .payload = l->out,
				  .payload_length = HVSOCK_HEADER + size };
	enum ring_status status;

	hvsock_header(l->out, size);
	status = chan_put(l->c, &send);
	if (status == RING_BROKEN) {
		over(l);
	}
	return status == RING_OK;
}

static void send(struct line *l, uint64_t now_ms)
{
	if (l->out_n != 0) {
		if (!put(l, l->out_n)) {
			return;
		}
		l->answer_n += l->out_n;
		l->out_n = 0;
		l->until_ms = now_ms + SERVICE_IDLE_MS;
	}
	if (l->ended && put(l, 0)) {
		l->state = LINE_FIN;
	}
}

void service_step(struct service *s, struct line *l, uint64_t now_ms)
{
	if (l->look) { /* not of one that is free or over */
		receive(s, l, now_ms);
	}
	if (l->state == LINE_ANSWER) {
		send(l, now_ms);
	}
	if (l->state == LINE_FIN && l->guest_fin) {
		over(l);
	}
	if (l->state != LINE_FREE && l->state != LINE_OVER && now_ms >= l->until_ms) {
		over(l);
	}
}

/* ---- the answer ---- */

void service_report(struct service *s, const struct pm_report *m, int agent, uint64_t now_ms)
{
	struct line *l = NULL;

	for (uint32_t i = 0; i < SERVICE_LINES; i++) {
		if (s->of[i].state == LINE_ASKED && s->of[i].ticket == m->ticket) {
			l = &s->of[i];
		}
	}
	if (l == NULL) { /* the guest did not wait */
		if (agent >= 0) {
			(void)close(agent);
		}
		return;
	}
	switch (m->error) {
	case PM_REPORT_GOOD:
		l->agent = agent;
		l->state = LINE_ANSWER;
		l->until_ms = now_ms + SERVICE_REPORT_MS;
		break;
	case PM_REPORT_NO_AGENT:
		refuse(l, 503, "attestd does not run on the host: its operator starts it", now_ms);
		break;
	default:
		refuse(l, 503, TOO_MANY, now_ms);
		break;
	}
}

uint32_t service_room(const struct line *l)
{
	return l->state == LINE_ANSWER && l->agent >= 0 && l->out_n == 0 ? SERVICE_CHUNK : 0;
}

void service_taken(struct line *l, ssize_t n, uint64_t now_ms)
{
	if (service_room(l) == 0) {
		return;
	}
	if (n > 0 && (size_t)n <= SERVICE_CHUNK && l->answer_n + (size_t)n <= SERVICE_ANSWER_MAX) {
		l->out_n = (uint32_t)n;
		l->until_ms = now_ms + SERVICE_IDLE_MS;
		return;
	}
	(void)close(l->agent);
	l->agent = -1;
	l->ended = n == 0;
	if (n != 0) {
		over(l);
	}
}

int service_wait(const struct service *s, uint64_t now_ms)
{
	uint64_t first = UINT64_MAX;

	for (uint32_t i = 0; i < SERVICE_LINES; i++) {
		const struct line *l = &s->of[i];

		if (l->state != LINE_FREE && l->state != LINE_OVER) {
			uint64_t at = l->look                   ? now_ms
				      : l->state == LINE_WANTED ? now_ms + SERVICE_RETRY_MS
								: l->until_ms;

			first = at < first ? at : first;
		}
	}
	if (first == UINT64_MAX) {
		return -1;
	}
	return first <= now_ms ? 0 : first - now_ms > 60000 ? 60000 : (int)(first - now_ms);
}
