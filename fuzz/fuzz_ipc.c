// SPDX-License-Identifier: MIT
/*
 * The door of every process of the root: hv/host/lib/ipc.c on a real socket. Input: a script of what the other end does with it, of
 * descriptors that come along, of system calls that fail. Checked: what is accepted has passed hv/wire/procmsg.c as it was sent, with as
 * many descriptors; what is sent arrives the same; every descriptor that the kernel installed is closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz/oracle.h"
#include "hv/host/lib/ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FDS 64u /* numbers that are looked at */

static int end[2] = { -1, -1 }; /* the process's, the other's */
static int event = -1;
static struct ipc_message m;
static uint32_t countdown; /* to a system call that fails; 0: none */
static int error;

static bool fails(void)
{
	if (countdown == 0 || --countdown != 0) {
		return false;
	}
	errno = error;
	return true;
}

ssize_t recvmsg(int fd, struct msghdr *h, int flags)
{
	oracle_room(h->msg_iov->iov_base, h->msg_iov->iov_len);
	oracle_room(h->msg_control, h->msg_controllen);
	return fails() ? -1 : syscall(SYS_recvmsg, fd, h, flags | MSG_DONTWAIT);
}

ssize_t sendmsg(int fd, const struct msghdr *h, int flags)
{
	return fails() ? -1 : syscall(SYS_sendmsg, fd, h, flags | MSG_DONTWAIT);
}

static uint32_t open_fds(void)
{
	uint32_t n = 0;

	for (int fd = 0; fd < (int)FDS; fd++) {
		n += fcntl(fd, F_GETFD) >= 0;
	}
	return n;
}

/* The other end sends, as it likes. */
static void push(const uint8_t *bytes, uint32_t size, uint32_t fds)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE((PM_FDS_MAX + 16) * sizeof(int))];
	} control;
	struct iovec v = { (void *)(uintptr_t)bytes, size };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };

	if (fds != 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fds * sizeof(int));
		for (uint32_t i = 0; i < fds; i++) {
			memcpy(CMSG_DATA(c) + i * sizeof(int), &event, sizeof(int));
		}
	}
	(void)syscall(SYS_sendmsg, end[1], &h, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Bytes of the script, with a header that fits them where it says so. */
static void push_message(struct script *s, unsigned arg)
{
	static uint8_t bytes[PM_BYTES_MAX + 64];
	uint32_t size = (uint32_t)script_take(s, 2) * ((arg & 0x40) != 0 ? 8 : 1) % sizeof(bytes);
	struct pm_header h = { (uint32_t)script_take(s, 1), size };

	memset(bytes, 0, size);
	for (uint32_t i = 0; i < size && script_more(s); i++) {
		bytes[i] = oracle_tame((uint8_t)script_take(s, 1));
	}
	if ((arg & 0x80) == 0 && size >= sizeof(h)) {
		memcpy(bytes, &h, sizeof(h));
	}
	push(bytes, size, (arg & 0x20) != 0 ? PM_FDS_MAX - 16 + (arg & 31) : arg & 31);
}

static void receive(unsigned arg)
{
	const char *why;
	int got;

	got = ipc_receive(end[0], &m);
	if (got != 1) {
		ORACLE(m.fd_count == 0 && m.type == PM_NONE, "descriptors of a refused message");
		ORACLE(got == 0 || errno == EAGAIN || (errno == EBADMSG && m.why != NULL),
		       "a refusal without a reason");
		return;
	}
	ORACLE(procmsg_check(m.bytes, m.size, m.fd_count, &why) == m.type && m.type != PM_NONE,
	       "an accepted message that is malformed");
	for (uint32_t i = 0; i < m.fd_count; i++) {
		ORACLE((fcntl(m.fds[i], F_GETFD) & FD_CLOEXEC) != 0,
		       "a descriptor that programs inherit");
	}
	if ((arg & 1) != 0) {
		int fd = ipc_take_fd(&m, arg >> 1);

		ORACLE((fd >= 0) == ((arg >> 1) < m.fd_count), "another descriptor");
		ORACLE(ipc_take_fd(&m, arg >> 1) < 0, "a descriptor is taken twice");
		if (fd >= 0) {
			(void)close(fd);
		}
	}
}

/* What the process sends comes as it was sent. */
static void send_message(struct script *s, unsigned arg)
{
	static struct ipc_message to;
	struct pm_plain plain = { { 0, 0 } };
	int fds[PM_FDS_MAX + 1], r;
	uint32_t n = arg % (PM_FDS_MAX + 2),
		 size = (arg & 0x80) != 0 ? (uint32_t)script_take(s, 2) * 2 : sizeof(plain);

	for (uint32_t i = 0; i < PM_FDS_MAX + 1; i++) {
		fds[i] = event;
	}
	if (size > sizeof(plain) && size <= PM_BYTES_MAX) {
		size = sizeof(plain);
	}
	r = (arg & 0x40) != 0 ? ipc_send_wait(end[0], PM_READY, &plain, size, fds, n)
			      : ipc_send(end[0], PM_READY, &plain, size, fds, n);
	ORACLE(r < 0 || (size == sizeof(plain) && n <= PM_FDS_MAX), "what cannot be sent");
	countdown = 0; /* the other end's calls do not fail */
	if (r == 0 && ipc_receive(end[1], &to) == 1) {
		ORACLE(to.type == PM_READY && to.fd_count == n, "another message arrives");
	}
	ipc_drop_fds(&to);
}

static void act(struct script *s)
{
	static const int errors[] = { EINTR, ENOMEM, ENOBUFS, ECONNRESET, EAGAIN };
	unsigned op = (unsigned)script_take(s, 1) % 8, arg = (unsigned)script_take(s, 1);
	int one = 1;

	switch (op) {
	case 0:
	case 1:
		push_message(s, arg);
		break;
	case 2:
		push((const uint8_t *)"", 0, arg % 4);
		break;
	case 3: /* its sender's name comes with each message */
		(void)setsockopt(end[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
		break;
	case 4:
		send_message(s, arg);
		break;
	case 5:
		countdown = 1 + arg / 64;
		error = errors[arg % 5];
		break;
	case 6:
		if ((arg & 7) == 7) {
			(void)shutdown(end[1], SHUT_RDWR);
		}
		break;
	default:
		receive(arg);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 }, action;
	uint32_t before;

	if (event < 0) {
		event = eventfd(0, EFD_CLOEXEC);
	}
	before = open_fds();
	CHECK_FUZZ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, end) == 0);
	countdown = 0;
	for (unsigned i = 0; i < 64 && script_action(&s, &action); i++) {
		act(&action);
	}
	countdown = 0;
	receive(0);
	ipc_drop_fds(&m);
	(void)close(end[0]);
	(void)close(end[1]);
	ORACLE(open_fds() == before, "a descriptor was not closed");
	return 0;
}
