/* SPDX-License-Identifier: MIT */
/* Ports come and go as the manager says. */
#include "hv/host/vswitch/vswitch.h"
#include "hv/host/lib/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "hv/host/lib/start.h"

#define STATUS_MS 1000u
#define EVENTS 16
#define CONTROL VSWITCH_TARGETS /* epoll's number for the manager; the others are ports */

static bool watch(struct vswitch *v, int fd, uint32_t number)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = number };

	return epoll_ctl(v->epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}

bool vswitch_init(struct vswitch *v, int control, int tap)
{
	ethsw_init(&v->table, tap >= 0);
	v->control = control;
	for (uint32_t i = 0; i < VSWITCH_TARGETS; i++) {
		v->port[i].fd = -1;
	}
	v->port[ETHSW_UPLINK].fd = tap;
	v->epoll = epoll_create1(EPOLL_CLOEXEC);
	/* Without an epoll set nothing can be watched. */
	return watch(v, control, CONTROL) && (tap < 0 || watch(v, tap, ETHSW_UPLINK));
}

/* The manager has a copy of the descriptor: closing ours alone would leave it in the epoll set. */
void vswitch_drop_port(struct vswitch *v, uint32_t index)
{
	struct vswitch_port *p = &v->port[index];

	if (p->fd >= 0) {
		(void)epoll_ctl(v->epoll, EPOLL_CTL_DEL, p->fd, NULL);
		(void)close(p->fd);
		p->fd = -1;
	}
}

static void remove_port(struct vswitch *v, uint32_t id)
{
	uint32_t index = ethsw_find(&v->table, id);

	if (index != ETHSW_PORTS_MAX) {
		const struct vswitch_counters *c = &v->port[index].counters;

		start_log(
			"port %u: %llu frames in, %llu out, refused: %llu spoofed, %llu size; %llu "
			"lost to a full queue",
			id, (unsigned long long)c->in, (unsigned long long)c->out,
			(unsigned long long)c->refused[ETHSW_SPOOFED],
			(unsigned long long)c->refused[ETHSW_BAD_SIZE],
			(unsigned long long)c->full);
		vswitch_drop_port(v, index);
		ethsw_remove(&v->table, index);
	}
}

/* A port that is there already is replaced. */
static void add_port(struct vswitch *v, const struct pm_port *m, int fd)
{
	uint32_t index;

	remove_port(v, m->port);
	index = ethsw_add(&v->table, m->port, m->mac);
	if (index == ETHSW_PORTS_MAX) {
		start_log(
			"port %u is refused: its address is no station's or another's, or there are "
			"too many",
			m->port);
		(void)close(fd);
		return;
	}
	v->port[index] = (struct vswitch_port){ .fd = fd };
	if (!watch(v, fd, index)) {
		start_log("port %u cannot be watched: %s", m->port, strerror(errno));
		(void)close(fd);
		v->port[index].fd = -1;
		ethsw_remove(&v->table, index);
	}
}

static bool serve_control(struct vswitch *v)
{
	static struct ipc_message m; /* large */
	int got = ipc_receive(v->control, &m);

	if (got < 0) {
		return errno == EAGAIN;
	}
	if (got == 0) {
		return false;
	}
	switch (m.type) {
	case PM_PORT_ADD:
		add_port(v, &m.port, ipc_take_fd(&m, 0));
		break;
	case PM_PORT_REMOVE:
		remove_port(v, m.port.port);
		break;
	case PM_STOP:
		return false;
	default:
		start_log("the manager sent a message of type %d", (int)m.type);
		break;
	}
	ipc_drop_fds(&m);
	return true;
}

/* Tells the manager at most once a second. Milliseconds until there is something to tell, -1: nothing. */
static int report(struct vswitch *v)
{
	struct pm_status_net now = v->total;
	uint64_t time, due = v->reported_ms + STATUS_MS;

	if (now.sent == v->reported.sent && now.received == v->reported.received &&
	    now.dropped == v->reported.dropped) {
		return -1;
	}
	time = clock_now_ms();
	if (time < due) {
		return (int)(due - time);
	}
	v->reported_ms = time;
	if (ipc_send(v->control, PM_STATUS_NET, &now, sizeof(now), NULL, 0) == 0) {
		v->reported = now;
		return -1;
	}
	return (int)STATUS_MS;
}

bool vswitch_step(struct vswitch *v, int timeout_ms)
{
	struct epoll_event events[EVENTS];
	int wait = report(v), n;
	bool control = false;

	if (wait < 0 || (timeout_ms >= 0 && timeout_ms < wait)) {
		wait = timeout_ms;
	}
	n = epoll_wait(v->epoll, events, EVENTS, wait);
	if (n < 0 && errno != EINTR) {
		start_fail("epoll_wait: %s", strerror(errno));
	}
	for (int i = 0; i < n; i++) {
		uint32_t number = events[i].data.u32;

		if (number == CONTROL) {
			control = true;
		} else if (number < VSWITCH_TARGETS && v->port[number].fd >= 0) {
			vswitch_forward(v, number, (events[i].events & (EPOLLHUP | EPOLLERR)) != 0);
		}
	}
	/* Last: it changes what the numbers of the events mean. */
	return !control || serve_control(v);
}
