/* SPDX-License-Identifier: MIT */
#include "hv/host/lib/record.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

int record_socket = -1;

static uint16_t device, number;
static uint32_t lost;

static void stop(void)
{
	if (record_socket >= 0) {
		(void)close(record_socket);
		record_socket = -1;
	}
}

void record_start(struct ipc_message *m, enum record_device who)
{
	stop();
	device = (uint16_t)who;
	number = (uint16_t)m->record.index;
	lost = 0;
	record_socket = ipc_take_fd(m, 0);
}

void record_send(enum record_kind kind, uint32_t unit, const void *bytes, uint32_t length)
{
	struct record_head head = { device, number, (uint16_t)kind, (uint16_t)unit, length, lost };
	/* An iovec that is sent is not written to. */
	struct iovec piece[2] = { { &head, sizeof(head) }, { (void *)(uintptr_t)bytes, length } };
	struct msghdr h = { .msg_iov = piece, .msg_iovlen = 2 };
	ssize_t n;

	if (length > RECORD_BYTES_MAX) {
		piece[1].iov_len = RECORD_BYTES_MAX;
	}
	do {
		n = sendmsg(record_socket, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0) {
		return;
	}
	if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
		lost++;
	} else { /* nobody listens any more */
		stop();
	}
}
