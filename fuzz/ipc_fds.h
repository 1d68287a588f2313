/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_IPC_FDS_H
#define FUZZ_IPC_FDS_H
/* Descriptors of a message, as in hv/host/lib/ipc.c, for harnesses that play its sockets. */
#include <errno.h>
#include <unistd.h>

#include "fuzz/script.h"
#include "hv/host/lib/ipc.h"

FUZZ_QUIET_BEGIN

int ipc_take_fd(struct ipc_message *m, uint32_t i)
{
	int fd = i < m->fd_count ? m->fds[i] : -1;

	if (fd >= 0) {
		m->fds[i] = -1;
	}
	return fd;
}

void ipc_drop_fds(struct ipc_message *m)
{
	for (uint32_t i = 0; i < m->fd_count; i++) {
		if (m->fds[i] >= 0) {
			(void)close(m->fds[i]);
		}
	}
	m->fd_count = 0;
}

/* What ipc_receive says of the bytes and descriptors that came. */
static inline int ipc_judge(struct ipc_message *m)
{
	m->type = procmsg_check(m->bytes, m->size, m->fd_count, &m->why);
	if (m->type == PM_NONE) {
		ipc_drop_fds(m);
		errno = EBADMSG;
		return -1;
	}
	return 1;
}

FUZZ_QUIET_END

#endif
