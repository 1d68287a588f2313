/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_PROC_H
#define FUZZ_PROC_H
/*
 * The sockets of a process, for targets made of its session: hv/host/lib/ipc.h without a kernel. What is pushed is received, after the
 * same check of hv/wire/procmsg.c; what the process says goes to proc_heard. Descriptors that are passed are real ones: each
 * must be closed once, or be in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fuzz/ipc_fds.h"
#include "fuzz/oracle.h"
#include "fuzz/start_said.h"

#define PROC_SOCKETS 2u /* numbers below: PROC_WORKER, PROC_CONTROL */
#define PROC_QUEUE 16u
#define PROC_FDS_MAX 64u
#define PROC_FD_BASE \
	700 /* passed descriptors have numbers from here on, so that all of them are known */

enum { PROC_WORKER, PROC_CONTROL };

struct proc_message {
	uint8_t *bytes;
	uint32_t size;
	int fd; /* -1: none */
};

static struct {
	struct proc_message queue[PROC_QUEUE];
	uint32_t head, tail;
	int ready;     /* eventfd that poll sees */
	bool gone;     /* the other end */
	uint32_t full; /* so many sends are refused with EAGAIN */
} proc_socket[PROC_SOCKETS];
static int proc_event = -1;
static int proc_fd_top = PROC_FD_BASE; /* behind the last that was passed since all were closed */

/* Each message is a request of its own, where guest memory is watched. */
void watch_request(void) __attribute__((weak));

/* The harness's: a message from the process. */
static void proc_heard(uint32_t socket, enum pm_type type, const void *message);

FUZZ_QUIET_BEGIN

static int proc_number(int socket)
{
	for (uint32_t i = 0; i < PROC_SOCKETS; i++) {
		if (socket == proc_socket[i].ready) {
			return (int)i;
		}
	}
	ORACLE(false, "a socket that the process does not have");
	return 0;
}

static void proc_init(void)
{
	for (uint32_t i = 0; i < PROC_SOCKETS; i++) {
		int fd = proc_socket[i].ready;

		if (proc_event < 0) {
			fd = eventfd(0, EFD_NONBLOCK);
			CHECK_FUZZ(fd >= 0);
		}
		while (proc_socket[i].head != proc_socket[i].tail) {
			struct proc_message *m =
				&proc_socket[i].queue[proc_socket[i].head++ % PROC_QUEUE];

			free(m->bytes);
			if (m->fd >= 0) {
				(void)close(m->fd);
			}
		}
		memset(&proc_socket[i], 0, sizeof(proc_socket[i]));
		proc_socket[i].ready = fd;
	}
	if (proc_event < 0) {
		proc_event = eventfd(0, EFD_NONBLOCK);
		CHECK_FUZZ(proc_event >= 0);
	}
}

/* A descriptor to be passed; -1: there are too many. It is an eventfd, as good as a channel's. */
static int proc_fd(void)
{
	for (int fd = PROC_FD_BASE; fd < PROC_FD_BASE + (int)PROC_FDS_MAX; fd++) {
		if (fcntl(fd, F_GETFD) < 0) {
			CHECK_FUZZ(dup2(proc_event, fd) == fd);
			proc_fd_top = fd >= proc_fd_top ? fd + 1 : proc_fd_top;
			return fd;
		}
	}
	return -1;
}

/* So many of the passed descriptors are open; they are closed. */
static uint32_t proc_fds_left(void)
{
	uint32_t n = 0;

	while (proc_fd_top > PROC_FD_BASE) {
		n += close(--proc_fd_top) == 0;
	}
	return n;
}

/* The other end sends. fd goes with it; -1: none. */
static void proc_push(uint32_t socket, const void *bytes, uint32_t size, int fd)
{
	uint32_t n = proc_socket[socket].tail - proc_socket[socket].head;
	struct proc_message *m = &proc_socket[socket].queue[proc_socket[socket].tail % PROC_QUEUE];

	if (n == PROC_QUEUE) {
		if (fd >= 0) {
			(void)close(fd);
		}
		return;
	}
	m->bytes = malloc(size != 0 ? size : 1);
	CHECK_FUZZ(m->bytes != NULL);
	memcpy(m->bytes, bytes, size);
	m->size = size;
	m->fd = fd;
	proc_socket[socket].tail++;
	(void)eventfd_write(proc_socket[socket].ready, 1);
}

static void proc_say(uint32_t socket, enum pm_type type, void *message, uint32_t size, int fd)
{
	struct pm_header h = { (uint32_t)type, size };

	memcpy(message, &h, sizeof(h));
	proc_push(socket, message, size, fd);
}

/* The other end is gone, once what it said is heard. */
static inline void proc_gone(uint32_t socket)
{
	proc_socket[socket].gone = true;
	(void)eventfd_write(proc_socket[socket].ready, 1);
}

int ipc_receive(int socket, struct ipc_message *m)
{
	uint32_t s = (uint32_t)proc_number(socket);
	struct proc_message *q = &proc_socket[s].queue[proc_socket[s].head % PROC_QUEUE];
	eventfd_t ignored;

	ipc_drop_fds(m);
	m->type = PM_NONE;
	if (proc_socket[s].head == proc_socket[s].tail) {
		(void)eventfd_read(socket, &ignored);
		errno = EAGAIN;
		return proc_socket[s].gone ? 0 : -1;
	}
	if (watch_request != NULL) {
		watch_request();
	}
	proc_socket[s].head++;
	m->size = q->size < sizeof(m->bytes) ? q->size : (uint32_t)sizeof(m->bytes);
	memcpy(m->bytes, q->bytes, m->size);
	free(q->bytes);
	q->bytes = NULL;
	if (q->fd >= 0) {
		m->fds[0] = q->fd;
		m->fd_count = 1;
	}
	return ipc_judge(m);
}

int ipc_send(int socket, enum pm_type type, void *message, uint32_t size, const int *fds,
	     uint32_t fd_count)
{
	uint32_t s = (uint32_t)proc_number(socket);
	struct pm_header h = { (uint32_t)type, size };
	const char *why;

	(void)fds;
	if (proc_socket[s].gone || proc_socket[s].full != 0) {
		proc_socket[s].full -= proc_socket[s].full != 0;
		errno = proc_socket[s].gone ? EPIPE : EAGAIN;
		return -1;
	}
	memcpy(message, &h, sizeof(h));
	ORACLE(procmsg_check(message, size, fd_count, &why) == type,
	       "a malformed message to another process");
	oracle_clean(message, size);
	proc_heard(s, type, message);
	return 0;
}

int ipc_send_wait(int socket, enum pm_type type, void *message, uint32_t size, const int *fds,
		  uint32_t fd_count)
{
	return ipc_send(socket, type, message, size, fds, fd_count);
}

FUZZ_QUIET_END

#endif
