/* SPDX-License-Identifier: MIT */
#include "hv/host/vmmgr/loop.h"
#include "hv/host/lib/clock.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <unistd.h>

static int epoll = -1;
static bool running;
static struct timer *timers;

uint64_t loop_now_ms(void)
{
	return clock_now_ms();
}

bool loop_init(void)
{
	epoll = epoll_create1(EPOLL_CLOEXEC);
	return epoll >= 0;
}

bool source_add(struct source *s, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = s };

	s->fd = fd;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
		(void)close(fd);
		s->fd = -1;
		return false;
	}
	return true;
}

void source_change(struct source *s, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = s };

	if (s->fd >= 0) {
		(void)epoll_ctl(epoll, EPOLL_CTL_MOD, s->fd, &event);
	}
}

void source_remove(struct source *s)
{
	if (s->fd >= 0) {
		/* A process that is just being made may hold the same open file for a moment. */
		(void)epoll_ctl(epoll, EPOLL_CTL_DEL, s->fd, NULL);
		(void)close(s->fd);
		s->fd = -1;
	}
}

void timer_cancel(struct timer *t)
{
	if (!t->armed) {
		return;
	}
	for (struct timer **at = &timers; *at != NULL; at = &(*at)->next) {
		if (*at == t) {
			*at = t->next;
			break;
		}
	}
	t->armed = false;
	t->next = NULL;
}

void timer_set(struct timer *t, uint32_t after_ms, void (*fire)(struct timer *t))
{
	timer_cancel(t);
	t->at_ms = loop_now_ms() + after_ms;
	t->fire = fire;
	t->armed = true;
	t->next = timers;
	timers = t;
}

static struct timer *timer_first(void)
{
	struct timer *first = timers;

	for (struct timer *t = timers; t != NULL; t = t->next) {
		if (t->at_ms < first->at_ms) {
			first = t;
		}
	}
	return first;
}

static int wait_ms(void)
{
	const struct timer *first = timer_first();
	uint64_t now = loop_now_ms();

	if (first == NULL) {
		return -1;
	}
	if (first->at_ms <= now) {
		return 0;
	}
	return first->at_ms - now > 60000 ? 60000 : (int)(first->at_ms - now);
}

void loop_run(void)
{
	running = true;
	while (running) {
		struct epoll_event event;
		struct timer *first;
		/* One at a time: what it does may close any other. */
		int count = epoll_wait(epoll, &event, 1, wait_ms());

		if (count == 1) {
			struct source *s = event.data.ptr;

			s->ready(s, event.events);
		} else if (count < 0 && errno != EINTR) {
			break;
		}
		first = timer_first();
		if (first != NULL && first->at_ms <= loop_now_ms()) {
			timer_cancel(first);
			first->fire(first);
		}
	}
}

void loop_stop(void)
{
	running = false;
}
