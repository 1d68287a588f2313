/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "hv/host/lib/record.h"
#include "hv/host/lib/start.h"
#include "hv/host/vmworker/vmbus.h"
#include "hv/host/vmworker/worker.h"
#include "hv/root/ioctl.h"

#define EVENTS 16
#define CONSOLE_WAIT_MS 2      /* how long an unfinished line waits for more */
#define CONSOLE_WAITS_MAX 256u /* and how many intercepts */
#define STATUS_RETRY_MS 50

void worker_watch(struct worker *w, int operation, int fd, enum worker_kind kind, uint32_t index,
		  uint32_t events)
{
	struct epoll_event e = { .events = events, .data.u32 = (uint32_t)kind << 8 | index };

	if (epoll_ctl(w->epoll, operation, fd, &e) != 0) {
		start_fail("epoll_ctl: %s", strerror(errno));
	}
}

static void send_status(struct worker *w)
{
	int sent =
		ipc_send(IPC_CONTROL_FD, PM_STATUS_WORKER, &w->status, sizeof(w->status), NULL, 0);

	w->status_due = sent != 0 && errno == EAGAIN;
}

static void unwatch_guest(struct worker *w)
{
	w->ended = true;
	for (uint32_t i = 0; i < w->vp_count; i++) {
		worker_watch(w, EPOLL_CTL_DEL, w->vp[i].fd, KIND_VP, i, 0);
	}
	worker_vmbus_stop(w);
}

void worker_partition_gone(struct worker *w)
{
	if (!w->ended) {
		start_log("the partition was stopped");
		worker_posted(w);
		unwatch_guest(w);
	}
}

void worker_guest_ended(struct worker *w, enum pm_guest how, const char *format, ...)
{
	va_list list;

	if (w->ended) {
		return;
	}
	/* The other VPs must not go on in half a guest. A failure leaves nothing to do: the manager closes the partition. */
	(void)ioctl(w->partition, RD_IOCTL_STOP);
	worker_posted(w);
	unwatch_guest(w);
	memset(&w->status, 0, sizeof(w->status));
	w->status.guest = how;
	va_start(list, format);
	(void)vsnprintf(w->status.text, sizeof(w->status.text), format, list);
	va_end(list);
	start_log("%s", w->status.text);
	console_send(&w->console);
	send_status(w);
}

void worker_guest_halted(struct worker *w, const char *format, ...)
{
	va_list list;

	memset(&w->status, 0, sizeof(w->status));
	w->status.guest = PM_GUEST_HALTED;
	va_start(list, format);
	(void)vsnprintf(w->status.text, sizeof(w->status.text), format, list);
	va_end(list);
	start_log("%s", w->status.text);
	console_send(&w->console);
	send_status(w);
}

/* false: it is time to end. */
static bool control(struct worker *w)
{
	int got = ipc_receive(IPC_CONTROL_FD, w->m);

	if (got < 0 && errno == EAGAIN) {
		return true;
	}
	if (got <= 0) {
		start_log("the manager is gone");
		return false;
	}
	if (w->m->type == PM_DEVICE_AGAIN && !w->ended) {
		worker_vmbus_again(w);
	} else if (w->m->type == PM_RECORD) {
		record_start(w->m, RECORD_WORKER);
		worker_trace(w, record_on());
	}
	ipc_drop_fds(w->m);
	return w->m->type != PM_STOP;
}

static void feed(struct worker *w)
{
	struct console *c = &w->console;
	uint32_t n = uart_receive(&w->ports.uart, c->in + c->in_at, c->in_count);

	c->in_at += n;
	c->in_count -= n;
	worker_quick(w);
}

/* After each round: what may be sent is sent, and epoll is told what is waited for. */
static void settle_console(struct worker *w)
{
	struct console *c = &w->console;
	uint32_t want;

	if (c->count == 0) {
		w->console_waits = 0;
	} else if (console_due(c) || (!c->full && ++w->console_waits >= CONSOLE_WAITS_MAX)) {
		console_send(c);
		w->console_waits = 0;
	}
	if (c->in_count != 0) {
		feed(w);
	}
	want = c->gone ? 0 : (c->in_count == 0 ? EPOLLIN : 0u) | (c->full ? EPOLLOUT : 0u);
	if (want == w->console_watched) {
		return;
	}
	/* EPOLLHUP cannot be masked: a stream of which nothing is wanted is not watched at all. */
	worker_watch(w,
		     want == 0                 ? EPOLL_CTL_DEL
		     : w->console_watched == 0 ? EPOLL_CTL_ADD
					       : EPOLL_CTL_MOD,
		     c->fd, KIND_CONSOLE, 0, want);
	w->console_watched = want;
}

static void console_event(struct worker *w, uint32_t events)
{
	if ((events & EPOLLOUT) != 0) {
		console_send(&w->console);
	}
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
		console_receive(&w->console);
	}
}

static bool dispatch(struct worker *w, const struct epoll_event *e)
{
	uint32_t index = e->data.u32 & 0xff;

	switch ((enum worker_kind)(e->data.u32 >> 8)) {
	case KIND_VP:
		if ((e->events & EPOLLHUP) != 0) {
			worker_partition_gone(w);
		} else if ((e->events & EPOLLIN) != 0) {
			worker_intercept(w, index);
		} else if (!w->ended) {
			worker_posted(w);
		}
		break;
	case KIND_MESSAGE:
		worker_vmbus_message(w);
		break;
	case KIND_CONSOLE:
		console_event(w, e->events);
		break;
	case KIND_DEVICE:
		worker_vmbus_device(w, index, e->events);
		break;
	case KIND_CONTROL:
		return control(w);
	case KIND_TIMER:
		worker_vmbus_timer(w);
		break;
	}
	return true;
}

static int patience(const struct worker *w)
{
	if (w->status_due) {
		return STATUS_RETRY_MS;
	}
	return w->console.count != 0 && !w->console.full && !w->console.gone ? CONSOLE_WAIT_MS : -1;
}

void worker_loop(struct worker *w)
{
	struct epoll_event events[EVENTS];

	for (;;) {
		int n = epoll_wait(w->epoll, events, EVENTS, patience(w));

		if (n < 0 && errno != EINTR) {
			start_fail("epoll_wait: %s", strerror(errno));
		}
		if (n == 0) {
			console_send(&w->console);
		}
		for (int i = 0; i < n; i++) {
			if (!dispatch(w, &events[i])) {
				return;
			}
		}
		if (w->status_due) {
			send_status(w);
		}
		settle_console(w);
	}
}
