/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_SYS_H
#define FUZZ_SYS_H
/*
 * System calls of a process that fail where the script says so; else they are the real ones. Included by one file of a target: these
 * take the place of the C library's. None of them waits: the clock, which stands still otherwise, goes on by as much. What stands in for an end of the process (poll that fails other than by a signal) is not injected.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fuzz/oracle.h"

enum sys_call { SYS_RECEIVE, SYS_SEND, SYS_WAIT, SYS_CALLS };

static struct {
	uint32_t countdown; /* to the call that fails; 0: none does */
	int error;
} sys_fails[SYS_CALLS];
static uint64_t sys_now_ms;

FUZZ_QUIET_BEGIN

static inline void sys_init(void)
{
	sys_now_ms = 10000000;
	for (unsigned i = 0; i < SYS_CALLS; i++) {
		sys_fails[i].countdown = 0;
	}
}

/* Out of an action's byte: which call, with which error, after how many others. */
static inline void sys_fail(unsigned arg)
{
	static const int errors[] = { EINTR, EAGAIN, ENOMEM, EIO };
	unsigned which = arg % SYS_CALLS;

	sys_fails[which].countdown = 1 + (arg >> 6);
	sys_fails[which].error = which == SYS_WAIT ? EINTR : errors[arg >> 2 & 3];
}

static inline bool sys_failed(enum sys_call which)
{
	if (sys_fails[which].countdown == 0 || --sys_fails[which].countdown != 0) {
		return false;
	}
	errno = sys_fails[which].error;
	return true;
}

static inline void sys_waited(int timeout_ms)
{
	sys_now_ms += timeout_ms > 0 ? (uint64_t)timeout_ms : 0;
}

/* The fuzzer's own clock is CLOCK_REALTIME. */
int clock_gettime(clockid_t clock, struct timespec *t)
{
	if (clock != CLOCK_MONOTONIC) {
		return (int)syscall(SYS_clock_gettime, clock, t);
	}
	t->tv_sec = (time_t)(sys_now_ms / 1000);
	t->tv_nsec = (long)(sys_now_ms % 1000 * 1000000);
	return 0;
}

int recvmmsg(int fd, struct mmsghdr *m, unsigned int n, int flags, struct timespec *timeout)
{
	const uint8_t *end = NULL; /* of the last message's room: the next one has its own */

	for (unsigned int i = 0; i < n; i++) {
		const struct iovec *v = m[i].msg_hdr.msg_iov;

		CHECK_FUZZ(m[i].msg_hdr.msg_iovlen == 1);
		ORACLE(end == NULL || (const uint8_t *)v->iov_base >= end,
		       "room that is two messages'");
		oracle_room(v->iov_base, v->iov_len);
		end = (const uint8_t *)v->iov_base + v->iov_len;
	}
	return sys_failed(SYS_RECEIVE) ? -1 : (int)syscall(SYS_recvmmsg, fd, m, n, flags, timeout);
}

int sendmmsg(int fd, struct mmsghdr *m, unsigned int n, int flags)
{
	return sys_failed(SYS_SEND) ? -1 : (int)syscall(SYS_sendmmsg, fd, m, n, flags);
}

int poll(struct pollfd *p, nfds_t n, int timeout_ms)
{
	sys_waited(timeout_ms);
	return sys_failed(SYS_WAIT) ? -1 : (int)syscall(SYS_poll, p, n, 0);
}

int epoll_wait(int fd, struct epoll_event *e, int n, int timeout_ms)
{
	sys_waited(timeout_ms);
	return sys_failed(SYS_WAIT) ? -1 : (int)syscall(SYS_epoll_wait, fd, e, n, 0);
}

FUZZ_QUIET_END

#endif
