/* SPDX-License-Identifier: MIT */
/* The path of a frame: out of a port, past the table, into others. Nothing is kept: what a port does not take now is lost. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hv/host/vswitch/vswitch.h"

/* A batch of frames, and for each target which of them it gets. Nothing is kept in these between two calls. */
static uint8_t frame[VSWITCH_BATCH][(ETHSW_BYTES_MAX + 7) & ~7u];
static struct mmsghdr rx[VSWITCH_BATCH], tx[VSWITCH_BATCH];
static struct iovec rx_piece[VSWITCH_BATCH], tx_piece[VSWITCH_TARGETS][VSWITCH_BATCH];
static uint32_t queued[VSWITCH_TARGETS];

static int receive_port(struct vswitch *v, uint32_t from)
{
	int got;

	for (uint32_t i = 0; i < VSWITCH_BATCH; i++) {
		rx_piece[i] = (struct iovec){ frame[i], ETHSW_BYTES_MAX };
		rx[i].msg_hdr = (struct msghdr){ .msg_iov = &rx_piece[i], .msg_iovlen = 1 };
		rx[i].msg_len = 0;
	}
	do {
		got = recvmmsg(v->port[from].fd, rx, VSWITCH_BATCH, MSG_DONTWAIT, NULL);
	} while (got < 0 && errno == EINTR);
	for (int i = 0; i < got; i++) {
		if ((rx[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) {
			rx[i].msg_len = 0; /* too long: refused for its size */
		}
	}
	return got;
}

/* A TAP has no read of several frames. One that fills the room exactly may have been longer. */
static int receive_uplink(struct vswitch *v)
{
	int got = 0;

	while (got < VSWITCH_BATCH) {
		ssize_t n = read(v->port[ETHSW_UPLINK].fd, frame[got], sizeof(frame[got]));

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return got != 0 ? got : -1;
		}
		rx[got++].msg_len = (unsigned int)n;
		if (n == 0) {
			break;
		}
	}
	return got;
}

static void queue(uint64_t to, uint32_t which)
{
	while (to != 0) {
		uint32_t target = (uint32_t)__builtin_ctzll(to);

		to &= to - 1;
		tx_piece[target][queued[target]++] =
			(struct iovec){ frame[which], rx[which].msg_len };
	}
}

static uint32_t send_uplink(struct vswitch *v, uint32_t count)
{
	uint32_t sent = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct iovec *p = &tx_piece[ETHSW_UPLINK][i];
		ssize_t n;

		do {
			n = write(v->port[ETHSW_UPLINK].fd, p->iov_base, p->iov_len);
		} while (n < 0 && errno == EINTR);
		sent += n >= 0 ? 1 : 0;
	}
	return sent;
}

/* A port that is gone has the descriptor -1, to which nothing can be sent. */
static uint32_t send_port(struct vswitch *v, uint32_t target, uint32_t count)
{
	int sent;

	for (uint32_t i = 0; i < count; i++) {
		tx[i].msg_hdr = (struct msghdr){ .msg_iov = &tx_piece[target][i], .msg_iovlen = 1 };
	}
	do {
		sent = sendmmsg(v->port[target].fd, tx, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? 0 : (uint32_t)sent;
}

static void send_queued(struct vswitch *v)
{
	for (uint32_t target = 0; target < VSWITCH_TARGETS; target++) {
		uint32_t count = queued[target], sent;

		if (count == 0) {
			continue;
		}
		queued[target] = 0;
		sent = target == ETHSW_UPLINK ? send_uplink(v, count) : send_port(v, target, count);
		v->port[target].counters.out += sent;
		v->port[target].counters.full += count - sent;
		v->total.sent += sent;
		v->total.dropped += count - sent;
	}
}

void vswitch_forward(struct vswitch *v, uint32_t from, bool ended)
{
	struct vswitch_counters *c = &v->port[from].counters;
	int got = from == ETHSW_UPLINK ? receive_uplink(v) : receive_port(v, from);
	bool gone = got == 0 || (got < 0 && (ended || (errno != EAGAIN && errno != ENOMEM)));

	/* The end of a socket looks like empty frames without end. */
	if (gone || (got > 0 && ended && rx[0].msg_len == 0)) {
		vswitch_drop_port(v, from);
		return;
	}
	for (int i = 0; i < got; i++) {
		uint64_t to;
		enum ethsw_verdict verdict =
			ethsw_decide(&v->table, from, frame[i], rx[i].msg_len, &to);

		c->in++;
		v->total.received++;
		if (verdict == ETHSW_FORWARD) {
			queue(to, (uint32_t)i);
		} else {
			c->refused[verdict]++;
			v->total.dropped++;
		}
	}
	send_queued(v);
}
