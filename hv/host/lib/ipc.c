/* SPDX-License-Identifier: MIT */
#include "hv/host/lib/ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(PM_FDS_MAX * sizeof(int))];
};

static void keep_fd(struct ipc_message *m, int fd)
{
	if (m->fd_count < PM_FDS_MAX) {
		m->fds[m->fd_count++] = fd;
	} else {
		(void)close(fd);
	}
}

/* Whatever the kernel installed must be known, or it leaks. */
static void collect_fds(struct msghdr *h, struct ipc_message *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
			continue;
		}
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			keep_fd(m, fd);
		}
	}
}

static int malformed(struct ipc_message *m, const char *why)
{
	ipc_drop_fds(m);
	m->type = PM_NONE;
	m->why = why;
	errno = EBADMSG;
	return -1;
}

static int receive_failed(void)
{
	switch (errno) {
	case EAGAIN:
	case ENOMEM:
	case ENOBUFS:
		errno = EAGAIN;
		return -1;
	default: /* ECONNRESET and what cannot be mended by waiting */
		return 0;
	}
}

int ipc_receive(int socket, struct ipc_message *m)
{
	union control control;
	struct iovec v = { m->bytes, sizeof(m->bytes) };
	struct msghdr h = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n;

	ipc_drop_fds(m);
	m->type = PM_NONE;
	m->size = 0;
	m->why = NULL;
	do {
		n = recvmsg(socket, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		return receive_failed();
	}
	collect_fds(&h, m);
	if ((h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		return malformed(m, "more bytes or descriptors than any message has");
	}
	if (n ==
	    0) { /* the end; an empty message cannot be told from it, unless it has descriptors */
		ipc_drop_fds(m);
		return 0;
	}
	m->size = (uint32_t)n;
	m->type = procmsg_check(m->bytes, m->size, m->fd_count, &m->why);
	return m->type != PM_NONE ? 1 : malformed(m, m->why);
}

static int send_message(int socket, enum pm_type type, void *message, uint32_t size, const int *fds,
			uint32_t fd_count, int flags)
{
	union control control;
	struct iovec v = { message, size };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	struct pm_header *header = message;
	ssize_t n;

	if (size < sizeof(*header) || size > PM_BYTES_MAX || fd_count > PM_FDS_MAX) {
		errno = EINVAL;
		return -1;
	}
	header->type = type;
	header->size = size;
	if (fd_count != 0) {
		size_t bytes = fd_count * sizeof(int);
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(bytes);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(c), fds, bytes);
	}
	do {
		n = sendmsg(socket, &h, flags | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0; /* SOCK_SEQPACKET: all or nothing */
}

int ipc_send(int socket, enum pm_type type, void *message, uint32_t size, const int *fds,
	     uint32_t fd_count)
{
	return send_message(socket, type, message, size, fds, fd_count, MSG_DONTWAIT);
}

int ipc_send_wait(int socket, enum pm_type type, void *message, uint32_t size, const int *fds,
		  uint32_t fd_count)
{
	return send_message(socket, type, message, size, fds, fd_count, 0);
}

void ipc_drop_fds(struct ipc_message *m)
{
	for (uint32_t i = 0; i < m->fd_count; i++) {
		if (m->fds[i] >= 0) {
			(void)close(m->fds[i]);
			m->fds[i] = -1;
		}
	}
	m->fd_count = 0;
}

int ipc_take_fd(struct ipc_message *m, uint32_t i)
{
	int fd;

	if (i >= m->fd_count) {
		return -1;
	}
	fd = m->fds[i];
	m->fds[i] = -1;
	return fd;
}
