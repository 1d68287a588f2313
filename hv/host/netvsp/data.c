/* SPDX-License-Identifier: MIT */
/* Frames between the session and the switch. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "hv/host/lib/record.h"
#include "hv/host/netvsp/netvsp.h"

#define BUDGET 256u /* packets of the guest before others have their turn */

#define RX_BATCH 32u
#define FRAME_ROOM (RNDIS_PACKET_HEADER + RNDIS_FRAME_MAX + RNDIS_TAG_BYTES)

/* Nothing is kept in these between two calls. */
static struct mmsghdr tx[NVSP_FRAMES_MAX], rx[RX_BATCH];
static struct iovec tx_piece[NVSP_FRAMES_MAX], rx_piece[RX_BATCH];
static uint8_t rx_frame[RX_BATCH][(FRAME_ROOM + 7) & ~7u];

void netvsp_place(struct netvsp *n)
{
	n->io.mem = &n->mem;
	n->io.in = &n->chan->in;
	n->io.out = &n->chan->out;
	n->io.signal = false;
	for (uint32_t i = 0; i < CHAN_GPADLS_MAX; i++) {
		const struct chan_gpadl *g = &n->set.gpadl[i];
		bool ours = g->used && !g->asked && g->unit == n->chan->unit;

		n->io.gpadl[i] = (struct nvsp_gpadl){
			g->id, ours ? g->pages : 0, g->offset, g->length, g->pfn,
		};
	}
}
_Static_assert(CHAN_GPADLS_MAX == NVSP_GPADLS_MAX, "the same table");

/* What the switch does not take now is lost: a guest's frames must not pile up here. */
static void send_frames(struct netvsp *n)
{
	struct nvsp_batch *b = &n->batch;
	uint32_t count = b->count;
	int sent = 0;

	for (uint32_t i = 0; i < count; i++) {
		tx_piece[i].iov_base = b->pool + b->frame[i].offset;
		tx_piece[i].iov_len = b->frame[i].length;
		tx[i].msg_hdr = (struct msghdr){ .msg_iov = &tx_piece[i], .msg_iovlen = 1 };
	}
	if (count != 0 && !n->port_gone) {
		do {
			sent = sendmmsg(n->port, tx, count, MSG_DONTWAIT | MSG_NOSIGNAL);
		} while (sent < 0 && errno == EINTR);
		sent = sent < 0 ? 0 : sent;
	}
	n->state->session.counters.sent -= count - (uint32_t)sent;
	n->state->session.counters.dropped += count - (uint32_t)sent;
	nvsp_batch_clear(b);
}

static void finish(struct netvsp *n, enum nvsp_result r)
{
	if (n->io.signal) {
		chan_signal(n->chan);
		n->io.signal = false;
	}
	if (r == NVSP_BROKEN) {
		chan_break(n->chan, "a ring or a buffer that cannot be used");
	}
}

/* The packet that was served last, which the journal has, and what its transfer brought into the batch from `used` on: there was room for it. */
static void record_served(const struct netvsp *n, uint32_t used)
{
	const uint8_t *packet = n->state->session.journal.packet;
	uint32_t head = 8u * le16(packet + 2), length = 8u * le16(packet + 4);
	const struct nvsp_batch *b = &n->batch;
	uint32_t room = NVSP_POOL_BYTES - used, bytes = b->used - used;

	record(RECORD_FROM_GUEST, 0, packet, length); /* ring_take took it: it fits */
	if (head + 8 > length || le32(packet + head) != NVSP_RNDIS) {
		return;
	}
	if (b->used == used) { /* a control message leaves nothing behind: it says its own length */
		bytes = le32(b->pool + used + 4);
	}
	record(RECORD_RNDIS, le32(packet + head + 4) & 0xff, b->pool + used,
	       bytes < room ? bytes : room);
}

/* nvsp_serve; where the traffic is recorded, packet by packet. */
static enum nvsp_result serve(struct netvsp *n, uint32_t budget)
{
	struct nvsp_session *s = &n->state->session;
	enum nvsp_result r = NVSP_MORE;

	if (!record_on()) {
		return nvsp_serve(s, &n->io, &n->batch, budget);
	}
	while (budget-- != 0 && r == NVSP_MORE) {
		uint32_t used = n->batch.used, index = n->io.in->own;

		r = nvsp_serve(s, &n->io, &n->batch, 1);
		if (index == n->io.in->own) {
			break;
		}
		record_served(n, used);
	}
	return r;
}

/*
 * Until both buffers are known a packet may name a GPADL that the worker has told us of, but on the other descriptor: it told us
 * before the guest heard of it. So look whether a packet is there, then hear the worker, then take that one.
 */
static bool serve_start(struct netvsp *n)
{
	struct nvsp_session *s = &n->state->session;

	for (uint32_t i = 0; i < BUDGET && s->send_sections == 0; i++) {
		enum nvsp_result r;

		if (!ring_waiting(&n->chan->in)) {
			return true;
		}
		if (!chan_worker_all(&n->set)) {
			n->worker_gone = true;
			return false;
		}
		if (n->chan == NULL) {
			return false;
		}
		netvsp_place(n);
		r = serve(n, 1);
		send_frames(n);
		finish(n, r);
		if (r != NVSP_MORE) {
			return r == NVSP_EMPTY;
		}
	}
	return true;
}

/* The guest's packets. Its signals are masked meanwhile; after unmasking the ring is looked at again. */
void netvsp_serve(struct netvsp *n)
{
	struct nvsp_session *s = &n->state->session;
	enum nvsp_result r;

	n->more = false;
	if (n->chan == NULL || n->chan->broken || !serve_start(n)) {
		return;
	}
	if (s->send_sections == 0) { /* nothing is there; the guest's next packet is signalled */
		n->more = ring_waiting(&n->chan->in);
		return;
	}
	netvsp_place(n);
	ring_mask(n->io.in, true);
	r = serve(n, BUDGET);
	if (r == NVSP_EMPTY || r == NVSP_BLOCKED) {
		ring_mask(n->io.in, false);
		if (r == NVSP_EMPTY) {
			r = serve(n, BUDGET);
		}
	}
	n->more = r == NVSP_MORE;
	send_frames(n);
	finish(n, r);
}

static int receive_batch(struct netvsp *n)
{
	int got;

	for (uint32_t i = 0; i < RX_BATCH; i++) {
		rx_piece[i].iov_base = rx_frame[i] + RNDIS_PACKET_HEADER;
		rx_piece[i].iov_len = RNDIS_FRAME_MAX + RNDIS_TAG_BYTES;
		rx[i].msg_hdr = (struct msghdr){ .msg_iov = &rx_piece[i], .msg_iovlen = 1 };
		rx[i].msg_len = 0;
	}
	do {
		got = recvmmsg(n->port, rx, RX_BATCH, MSG_DONTWAIT, NULL);
	} while (got < 0 && errno == EINTR);
	return got;
}

/* Frames from the switch. Without a channel they are lost: a later one must not see what is old. */
void netvsp_receive(struct netvsp *n, bool ended)
{
	struct nvsp_session *s = &n->state->session;
	bool usable = n->chan != NULL && !n->chan->broken;
	enum nvsp_result r = NVSP_OK;
	int got = receive_batch(n);

	if (got <= 0) {
		n->port_gone = got == 0 || (errno != EAGAIN && errno != ENOMEM);
		return;
	}
	if (ended && rx[0].msg_len == 0) {
		n->port_gone = true; /* poll would go on saying so */
		return;
	}
	if (usable) {
		netvsp_place(n);
	}
	for (int i = 0; i < got; i++) {
		bool whole = (rx[i].msg_hdr.msg_flags & MSG_TRUNC) == 0;

		if (!usable || !whole || r == NVSP_BROKEN) {
			s->counters.dropped++;
			continue;
		}
		r = nvsp_deliver(s, &n->io, rx_frame[i], rx[i].msg_len);
	}
	if (usable) {
		finish(n, r);
	}
}
