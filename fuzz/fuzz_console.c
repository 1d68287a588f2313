// SPDX-License-Identifier: MIT
/*
 * The process of a machine's console, between the worker's stream, the log, a terminal and the manager. Input: a script of what all four do;
 * calls that fail are among it. All descriptors are this file's. Checked: the log gets every byte of the machine, in order, the
 * terminal no other; what is typed arrives once, in order, and nothing more is taken while some of it waits; the manager is told at most
 * once a second, and the truth; the process waits for nothing that cannot be read away, and ends when it is told to.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fuzz/ipc_fds.h"
#include "fuzz/oracle.h"
#include "fuzz/start_said.h"
#include "hv/host/console/serve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FD_WORKER = 4500, FD_TERMINAL };
#define STREAM_MAX 65536u
#define IDLE_MAX 3u /* rounds in which nothing was taken or given, though something was ready */

struct end { /* what can be read of it, and how much it takes */
	uint8_t bytes[STREAM_MAX];
	uint32_t from, to;
	bool gone;
	int error, write_error; /* of the next call; 0: none */
	uint32_t room;
};

static struct console c;
static struct ipc_message m;
static struct script all;
static struct end worker, terminal;
static uint32_t logged, typed; /* bytes of the worker in the log; of the terminal at the worker */
static uint64_t now_ms, told_ms, told;
static unsigned idle, actions, blind; /* blind: last reads without poll */
static bool send_fails, over;         /* over: it was told to end, or an end is gone */
static struct {
	uint8_t bytes[64];
	uint32_t size;
	int fd;
	bool there, gone;
} manager;

FUZZ_QUIET_BEGIN

/* The fuzzer's own clock is CLOCK_REALTIME. */
int clock_gettime(clockid_t clock, struct timespec *t)
{
	if (clock != CLOCK_MONOTONIC) {
		return (int)syscall(SYS_clock_gettime, clock, t);
	}
	t->tv_sec = (time_t)(now_ms / 1000);
	t->tv_nsec = (long)(now_ms % 1000 * 1000000);
	return 0;
}

/* Each byte of a stream says where it stands. */
static uint8_t byte_at(uint32_t at)
{
	return (uint8_t)(at * 31 + at / 251);
}

void store_add(struct store *s, const uint8_t *bytes, size_t count)
{
	ORACLE(s == &c.store && count <= CONSOLE_CHUNK, "another log");
	for (size_t i = 0; i < count; i++) {
		ORACLE(bytes[i] == worker.bytes[logged++], "the log has other bytes");
	}
	oracle_said_number(logged);
}

ssize_t read(int fd, void *to, size_t size)
{
	struct end *e = fd == FD_WORKER ? &worker : &terminal;
	uint32_t n = e->to - e->from;

	if (fd != FD_WORKER && fd != FD_TERMINAL) {
		return syscall(SYS_read, fd, to, size);
	}
	ORACLE(fd == FD_WORKER || c.typed_from == c.typed_to, "what was typed is lost");
	oracle_room(to, size);
	idle = 0;
	if (e->error != 0) {
		errno = e->error;
		e->error = 0;
		over |= errno != EAGAIN && errno != EINTR;
		return -1;
	}
	if (n == 0) {
		ORACLE(fd != FD_WORKER || e->gone || !over || blind++ == 0,
		       "bytes are asked for that poll has not announced");
		over |= e->gone;
		errno = EAGAIN;
		return e->gone ? 0 : -1;
	}
	n = n < size ? n : (uint32_t)size;
	memcpy(to, e->bytes + e->from, n);
	e->from += n;
	return n;
}

ssize_t write(int fd, const void *from, size_t n)
{
	struct end *e = fd == FD_WORKER ? &worker : &terminal;

	if (fd != FD_WORKER && fd != FD_TERMINAL) {
		return syscall(SYS_write, fd, from, n);
	}
	idle = 0;
	oracle_said(from, n);
	ORACLE(fd == FD_WORKER ||
		       (n <= worker.from && memcmp(from, worker.bytes + worker.from - n, n) == 0),
	       "the terminal shows other bytes");
	if (e->write_error != 0) {
		errno = e->write_error;
		e->write_error = 0;
		over |= fd == FD_WORKER && errno != EAGAIN && errno != EINTR;
		return -1;
	}
	if (e->room == 0) {
		errno = EAGAIN;
		return -1;
	}
	n = n < e->room ? n : e->room;
	e->room -= (uint32_t)n;
	for (size_t i = 0; fd == FD_WORKER && i < n; i++) {
		ORACLE(((const uint8_t *)from)[i] == terminal.bytes[typed++],
		       "what was typed is another");
	}
	return (ssize_t)n;
}

int ipc_receive(int socket, struct ipc_message *to)
{
	int judged;

	ORACLE(socket == IPC_CONTROL_FD && to == &m, "another socket");
	idle = 0;
	ipc_drop_fds(to);
	to->type = PM_NONE;
	if (!manager.there) {
		errno = EAGAIN;
		over |= manager.gone;
		return manager.gone ? 0 : -1;
	}
	manager.there = false;
	to->size = manager.size;
	memcpy(to->bytes, manager.bytes, manager.size);
	to->fds[0] = manager.fd;
	to->fd_count = manager.fd >= 0;
	judged = ipc_judge(to);
	over |= judged < 0 || to->type == PM_STOP;
	return judged;
}

int ipc_send(int socket, enum pm_type type, void *message, uint32_t size, const int *fds,
	     uint32_t fd_count)
{
	struct pm_header h = { (uint32_t)type, size };
	const struct pm_status_console *status = message;
	const char *why;

	(void)fds;
	memcpy(message, &h, sizeof(h));
	ORACLE(socket == IPC_CONTROL_FD && type == PM_STATUS_CONSOLE &&
		       procmsg_check(message, size, fd_count, &why) == type,
	       "a malformed message to the manager");
	oracle_clean(message, size);
	ORACLE(status->bytes == logged, "the manager is told what is not so");
	ORACLE(told == 0 || now_ms - told_ms >= 1000, "the manager is told without end");
	told++;
	told_ms = now_ms;
	if (send_fails) {
		send_fails = false;
		errno = EAGAIN;
		return -1;
	}
	return 0;
}

static void come(struct end *e, struct script *s, unsigned arg)
{
	uint32_t n = (arg & 0x80) != 0 ? (arg & 0x7f) * 64 : arg & 0x7f;

	for (uint32_t i = 0; i < n && e->to < STREAM_MAX && !e->gone; i++, e->to++) {
		e->bytes[e->to] = script_more(s) ? oracle_tame((uint8_t)script_take(s, 1))
						 : byte_at(e->to);
	}
}

static void manager_says(struct script *s, unsigned arg)
{
	static const uint32_t types[] = { PM_STOP, PM_READY, PM_RESET, PM_LINK };
	struct pm_link link = { .header = { types[arg & 3], sizeof(struct pm_plain) } };

	if (manager.there || manager.gone) {
		return;
	}
	if ((arg & 4) != 0) {
		manager.gone = true;
		return;
	}
	if ((arg & 8) != 0) {
		return; /* nothing, after all */
	}
	link.header.size += link.header.type == PM_LINK ? sizeof(link) - sizeof(struct pm_plain)
							: 0;
	manager.size = link.header.size - ((arg & 0x10) != 0);
	memcpy(manager.bytes, &link, sizeof(link));
	for (uint32_t i = sizeof(link.header); i < manager.size && script_more(s); i++) {
		manager.bytes[i] = oracle_tame((uint8_t)script_take(s, 1));
	}
	manager.fd = -1;
	manager.there = true;
}

/* false: time passes until there is something. */
static bool act(struct script *s)
{
	static const int errors[] = { EAGAIN, EINTR, EIO, EPIPE };
	unsigned op = ((unsigned)script_take(s, 1) & 0x7f) % 10, arg = (unsigned)script_take(s, 1);
	struct end *e = (op & 1) == 0 ? &worker : &terminal;

	switch (op) {
	case 0:
	case 1:
		come(e, s, arg);
		break;
	case 2:
	case 3:
		e->error = errors[arg & 3];
		break;
	case 4:
	case 5:
		e->room = arg * 16;
		break;
	case 6:
		manager_says(s, arg);
		break;
	case 7:
		worker.gone |= (arg & 0xf0) == 0xf0;
		terminal.gone |= (arg & 0xf0) == 0xe0;
		now_ms += arg * 16;
		break;
	case 8:
		send_fails |= (arg & 0xc0) == 0;
		worker.write_error = (arg & 0x80) != 0 ? errors[arg & 3] : worker.write_error;
		terminal.write_error = (arg & 0x40) != 0 ? errors[arg & 3] : terminal.write_error;
		break;
	default:
		return false;
	}
	return true;
}

static short ready(const struct pollfd *p)
{
	const struct end *e = p->fd == FD_WORKER ? &worker : &terminal;
	short events = 0;

	if (p->fd < 0) {
		return 0;
	}
	if (p->fd == IPC_CONTROL_FD) {
		return (short)(manager.there || manager.gone ? POLLIN : 0);
	}
	events |= (short)(e->from != e->to || e->error != 0 || e->gone ? POLLIN : 0);
	events |= (short)(e->room != 0 ? POLLOUT : 0);
	return (short)((events & p->events) | (e->gone ? POLLHUP : 0));
}

/* The script goes on here. */
int poll(struct pollfd *p, nfds_t n, int timeout_ms)
{
	struct script s;
	int count = 0;

	if (n == 1) { /* is there more of the last words? */
		p->revents = ready(p);
		return p->revents != 0;
	}
	ORACLE(!over, "the process goes on behind its end");
	ORACLE(++idle <= IDLE_MAX, "a loop that waits for nothing");
	while (actions++ < 200 && script_action(&all, &s)) {
		bool more = script_left(&s) != 0 && (s.data[s.at] & 0x80) != 0;

		if (!act(&s)) {
			if (script_left(&s) == 0 && timeout_ms < 0) {
				idle = 0;
				errno = EINTR;
				return -1;
			}
			now_ms += timeout_ms > 0 ? (uint64_t)timeout_ms : 1;
			idle = 0;
			break;
		}
		if (!more) {
			break;
		}
	}
	manager.gone |= actions > 200 || all.at >= all.size; /* the script has ended */
	for (nfds_t i = 0; i < n; i++) {
		p[i].revents = ready(&p[i]);
		count += p[i].revents != 0;
	}
	idle = count == 0 ? 0 : idle;
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	all = (struct script){ data, size, 0 };
	actions = idle = blind = 0;
	worker.from = worker.to = terminal.from = terminal.to = 0;
	worker.error = terminal.error = worker.write_error = terminal.write_error = 0;
	worker.gone = terminal.gone = send_fails = over = false;
	worker.room = terminal.room = 8192;
	memset(&manager, 0, sizeof(manager));
	manager.fd = -1;
	logged = typed = 0;
	now_ms = 1000000;
	told = told_ms = 0;
	memset(&c, 0, sizeof(c));
	c.worker = FD_WORKER;
	c.terminal = FD_TERMINAL;
	console_serve(&c, &m);
	ORACLE(over, "the process ends by itself");
	ORACLE(logged == worker.from && c.status.bytes == logged, "bytes of the machine are lost");
	/* What was typed is with the worker, or waits for it. */
	ORACLE(typed + (c.typed_to - c.typed_from) == terminal.from, "what was typed is lost");
	ipc_drop_fds(&m);
	return 0;
}

FUZZ_QUIET_END
