/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_WORKER_WORLD_H
#define FUZZ_WORKER_WORLD_H
/* What a worker stands on, for fuzz/fuzz_worker.c: redoubt.ko, its console, its sockets, as the script has arranged them in `next`. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "fuzz/fds.h"
#include "fuzz/ipc_fds.h"
#include "fuzz/oracle.h"
#include "fuzz/start_said.h"
#include "hv/host/lib/record.h"
#include "hv/host/vmworker/vmbus.h"
#include "hv/root/ioctl.h"
#include "hv/wire/vmbus_server.h"

#define VPS 3u
#define DEVICES 4u
#define SOCKETS (DEVICES + 1) /* the last is a service's */
#define ACTIONS 320u

/* Descriptors; those from FD_FREE on come and go. */
enum {
	FD_FIRST = 2000,
	FD_PARTITION = FD_FIRST,
	FD_EPOLL,
	FD_MESSAGE,
	FD_TIMER,
	FD_CONSOLE,
	FD_VP,
	FD_FREE = FD_VP + VPS,
	FD_END = FD_FIRST + 200
};

/* Of what vmbus.c keeps for itself, the front. */
struct glue_front {
	struct vmbus_server server;
	uint64_t *pool;
};

static struct worker w;
static struct ipc_message m;
static struct hv_message page[VPS];
static struct hv_posted posted;
static struct script all;
static unsigned actions;
static bool waits[VPS], halted[VPS]; /* a VP stopped and was not run; it never will be */
static bool is_open[FD_END - FD_FIRST];
static uint8_t channel[FD_END - FD_FIRST]; /* whose descriptor it is; 0: of none */
static unsigned channel_count;             /* of them */
static struct {
	bool used;
	uint32_t events, data;
} watched[FD_END - FD_FIRST], watched_control;

/* What the next calls find. */
static struct {
	struct hv_message message;
	ssize_t message_size; /* 0: none; negative: an error */
	uint8_t *bytes;       /* a message of a device process or of the manager */
	uint32_t size;
	int fd, from; /* with it; its socket */
	bool gone;
	uint8_t typed[64];
	ssize_t typed_size; /* 0: the end; negative: an error */
	uint32_t room;      /* of the console's stream */
	bool timer;
} next;
enum {
	FAIL_RUN,
	FAIL_PORTS,
	FAIL_POST,
	FAIL_CHANNEL,
	FAIL_TARGET,
	FAIL_SEND,
	FAIL_CONSOLE,
	FAIL_POSTED,
	FAIL_RECORD,
	FAILS
};
static int fail_error[FAILS]; /* of the next calls; 0: they do not fail */
static uint32_t fail_times[FAILS];
static uint32_t said_over; /* the manager heard of the guest's end */

FUZZ_QUIET_BEGIN

static bool call_fails(unsigned what)
{
	if (fail_error[what] == 0) {
		return false;
	}
	errno = fail_error[what];
	if (--fail_times[what] == 0) {
		fail_error[what] = 0;
	}
	return true;
}

static int new_fd(void)
{
	return fds_open(is_open, FD_FIRST, FD_FREE, FD_END);
}

static int channel_fd(uint32_t relid)
{
	int fd = new_fd();

	if (fd >= 0) {
		channel[fd - FD_FIRST] = (uint8_t)relid;
		channel_count++;
	}
	return fd;
}

int close(int fd)
{
	if (fd < FD_FIRST || fd >= FD_END) {
		return (int)syscall(SYS_close, fd);
	}
	ORACLE(is_open[fd - FD_FIRST], "a descriptor is closed twice");
	is_open[fd - FD_FIRST] = false;
	channel_count -= channel[fd - FD_FIRST] != 0;
	channel[fd - FD_FIRST] = 0;
	watched[fd - FD_FIRST].used = false;
	return 0;
}

/* ---- redoubt.ko ---- */

static void check_access(const struct hv_message *p, const struct rd_run *r)
{
	struct hv_io_port_intercept a;
	unsigned bits;

	memcpy(&a, p->payload, sizeof(a));
	bits = (a.access_info & 7u) * 8u;
	ORACLE(p->type == HV_MESSAGE_IO_PORT && a.header.access <= 1 && (a.access_info & 8) == 0 &&
		       (bits == 8 || bits == 16 || bits == 32),
	       "a VP goes on that must not");
	ORACLE(r->length == a.header.length && r->length != 0, "another length");
	ORACLE(r->flags == (a.header.access == 0 ? RD_RUN_RAX : 0), "RAX of a write");
	if (a.header.access == 0) {
		uint64_t keep = bits == 32 ? 0 : ~0ull << bits;

		ORACLE((r->rax >> bits) == ((a.rax & keep) >> bits), "bits of RAX that are kept");
	}
}

/* Of the clock's ports only that there is one: time passes. */
static void said_rax(const struct hv_message *p, const struct rd_run *r)
{
	struct hv_io_port_intercept a;

	memcpy(&a, p->payload, sizeof(a));
	if (a.port > PORT_RTC - 4u && a.port < PORT_RTC + RTC_PORTS) {
		oracle_said_number((uint8_t)r->rax == 0xff);
	} else {
		oracle_said_number(r->rax);
	}
}

static int run_vp(int fd, const struct rd_run *r)
{
	unsigned i = (unsigned)(fd - FD_VP);

	ORACLE(i < VPS && waits[i] && !w.ended, "a VP is run that does not wait");
	if (page[i].type == HV_MESSAGE_MSR || page[i].type == HV_MESSAGE_HYPERCALL) {
		ORACLE(r->flags == 0 && r->length == 0, "a traced call is done already");
	} else {
		check_access(&page[i], r);
	}
	said_rax(&page[i], r);
	if (call_fails(FAIL_RUN)) {
		return -1;
	}
	waits[i] = false;
	page[i].type = HV_MESSAGE_NONE;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	const void *argument;
	va_list list;

	va_start(list, request);
	argument = va_arg(list, const void *);
	va_end(list);
	switch (request) {
	case RD_IOCTL_RUN:
		return run_vp(fd, argument);
	case RD_IOCTL_INTERCEPT_PORTS: {
		const struct rd_intercept_ports *q = argument;

		bool uart = q->first == PORT_UART || q->first == PORT_UART_STATUS;

		ORACLE(q->how == RD_PORTS_TRACE || (uart && q->last == q->first), "other ports");
		ORACLE(!w.ended, "ports of a guest that is over");
		oracle_said(q, sizeof(*q));
		return call_fails(FAIL_PORTS) ? -1 : 0;
	}
	case RD_IOCTL_STOP:
		ORACLE(fd == FD_PARTITION, "another descriptor");
		return 0;
	case RD_IOCTL_POST:
		oracle_clean(argument, sizeof(struct rd_post));
		return call_fails(FAIL_POST) ? -1 : 0;
	case RD_IOCTL_CREATE_CHANNEL: {
		const struct rd_create_channel *c = argument;

		ORACLE(c->connection > VMBUS_CONNECTION_EVENT && c->flag <= VMBUS_CHANNELS_MAX,
		       "another connection");
		ORACLE(memchr(channel, (int)c->flag, sizeof(channel)) == NULL,
		       "two descriptors of one channel");
		return call_fails(FAIL_CHANNEL) ? -1 : channel_fd(c->flag);
	}
	default:
		ORACLE(request == RD_IOCTL_SET_TARGET && fd >= FD_FREE && is_open[fd - FD_FIRST],
		       "another request");
		return call_fails(FAIL_TARGET) ? -1 : 0;
	}
}

static ssize_t read_posted(void *to, size_t size)
{
	size_t n = 0;

	oracle_room(to, size);
	if (call_fails(FAIL_POSTED)) {
		posted.consumer = posted.producer;
		return -1;
	}
	while (n < size / sizeof(posted.entry[0]) && posted.consumer != posted.producer) {
		memcpy((uint8_t *)to + n++ * sizeof(posted.entry[0]),
		       &posted.entry[posted.consumer++ % HV_POSTED_ENTRIES],
		       sizeof(posted.entry[0]));
	}
	errno = EAGAIN;
	return n != 0 ? (ssize_t)(n * sizeof(posted.entry[0])) : -1;
}

ssize_t read(int fd, void *to, size_t size)
{
	ssize_t n = next.message_size;

	if (fd == FD_VP) {
		return read_posted(to, size);
	}
	if (fd == FD_TIMER) {
		bool fired = next.timer;

		next.timer = false;
		errno = EAGAIN;
		return fired ? (ssize_t)sizeof(uint64_t) : -1;
	}
	if (fd != FD_MESSAGE) {
		return syscall(SYS_read, fd, to, size);
	}
	next.message_size = -EAGAIN;
	oracle_room(to, size);
	if (n < 0) {
		errno = (int)-n;
		return -1;
	}
	memcpy(to, &next.message, size < sizeof(next.message) ? size : sizeof(next.message));
	return n;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *was)
{
	(void)flags;
	(void)was;
	ORACLE(fd == FD_TIMER && when->it_value.tv_nsec != 0, "another timer");
	return 0;
}

/* ---- the console ---- */

ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
	(void)flags;
	ORACLE(fd == FD_CONSOLE, "another descriptor");
	oracle_clean(bytes, n < 16 ? 0 : 16);
	if (call_fails(FAIL_CONSOLE)) {
		return -1;
	}
	if (next.room == 0) {
		errno = EAGAIN;
		return -1;
	}
	n = n < next.room ? n : next.room;
	next.room -= (uint32_t)n;
	oracle_said(bytes, n);
	return (ssize_t)n;
}

ssize_t recv(int fd, void *to, size_t size, int flags)
{
	ssize_t n = next.typed_size;

	(void)flags;
	ORACLE(fd == FD_CONSOLE && size >= sizeof(next.typed), "another descriptor");
	ORACLE(!w.console.gone, "a stream that is gone is read");
	oracle_room(to, size);
	next.typed_size = -EAGAIN;
	if (n < 0) {
		errno = (int)-n;
		return -1;
	}
	memcpy(to, next.typed, (size_t)n);
	return n;
}

ssize_t sendmsg(int fd, const struct msghdr *h, int flags)
{
	(void)flags;
	ORACLE(is_open[fd - FD_FIRST] && h->msg_iovlen == 2, "another descriptor");
	oracle_clean(h->msg_iov[1].iov_base, h->msg_iov[1].iov_len);
	return call_fails(FAIL_RECORD) ? -1 : 0;
}

/* ---- sockets ---- */

int ipc_receive(int socket, struct ipc_message *to)
{
	uint8_t *bytes = next.bytes;

	ipc_drop_fds(to);
	to->type = PM_NONE;
	if (next.from != socket || (bytes == NULL && !next.gone)) {
		errno = EAGAIN;
		return -1;
	}
	if (next.gone) {
		next.gone = false;
		return 0;
	}
	next.bytes = NULL;
	to->size = next.size;
	memcpy(to->bytes, bytes, next.size);
	free(bytes);
	if (next.fd >= 0) {
		to->fds[0] = next.fd;
		to->fd_count = 1;
		next.fd = -1;
	}
	return ipc_judge(to);
}

int ipc_send(int socket, enum pm_type type, void *message, uint32_t size, const int *fds,
	     uint32_t fd_count)
{
	struct pm_header h = { (uint32_t)type, size };
	const char *why;

	memcpy(message, &h, sizeof(h));
	ORACLE(procmsg_check(message, size, fd_count, &why) == type,
	       "a malformed message to another process");
	oracle_clean(message, size);
	for (uint32_t i = 0; i < fd_count; i++) {
		ORACLE(fds[i] >= FD_FREE && is_open[fds[i] - FD_FIRST], "no channel's descriptor");
	}
	if (call_fails(FAIL_SEND)) {
		return -1;
	}
	if (socket == IPC_CONTROL_FD) {
		const struct pm_status_worker *s = message;

		ORACLE(type == PM_STATUS_WORKER, "another message to the manager");
		said_over += s->guest != PM_GUEST_HALTED;
		ORACLE(said_over <= 1, "the guest's end is told twice");
	} else {
		ORACLE(!w.ended && is_open[socket - FD_FIRST], "a message to nobody");
	}
	return 0;
}

FUZZ_QUIET_END

#endif
