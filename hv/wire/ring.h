/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_RING_H
#define HV_WIRE_RING_H
/*
 * VMBus ring buffers, host side (docs: include/linux/hyperv.h of Linux; TLFS does not describe them). A ring is a list of
 * guest pages: the first holds the indices, the others the data, as one circle. The guest owns half of the indices and may
 * write anything anywhere at any time: indices are loaded once, checked, and packets are copied out once.
 */
#include "hv/wire/gmem.h"

#define RING_PAGES_MAX 2048

struct ring {
	const struct gmem *mem;
	const uint64_t *pfn; /* guest page numbers, header first; the caller keeps them */
	uint32_t pages;      /* 2..RING_PAGES_MAX */
	uint32_t size;       /* bytes of data: (pages - 1) * 4096 */
	uint32_t own;     /* our index: read (incoming) or write (outgoing), the truth about it */
	uint32_t pending; /* outgoing: what we set pending_send_sz to; 0: nobody waits */
};

struct ring_packet { /* the 16-byte descriptor, checked */
	uint16_t type;
	uint16_t flags; /* 1: a completion is wanted */
	uint64_t transaction;
	uint32_t offset; /* of the payload in the copied packet: header length */
	uint32_t length; /* whole packet */
};

#define RING_DATA_INBAND 6u
#define RING_DATA_XFER_PAGES 7u
#define RING_DATA_GPA_DIRECT 9u
#define RING_COMPLETION 11u
#define RING_WANT_COMPLETION 1u

enum ring_status {
	RING_OK,
	RING_EMPTY,  /* incoming: nothing there */
	RING_FULL,   /* outgoing: no room now; pending_send_sz was set so that the guest signals */
	RING_BROKEN, /* the guest broke the protocol: close the channel, once */
};

/*
 * Starts an end of a ring, unmasked, from our own index as it stands in the header (a process that was started again goes on
 * there). Packets may be there already: look before waiting for a signal. false: bad pages, or a bad index. Trust: pfn, pages.
 */
bool ring_open_in(struct ring *r, const struct gmem *m, const uint64_t *pfn, uint32_t pages);
bool ring_open_out(struct ring *r, const struct gmem *m, const uint64_t *pfn, uint32_t pages);

/*
 * Incoming: copies the next packet (descriptor, headers, payload) to `to` and frees its place in the ring at once.
 * *signal is set where the guest waits for room and must be signalled (pending_send_sz was crossed).
 * Trust: everything in the ring. RING_BROKEN: an index out of range or unaligned, a length that does not fit in what is
 * there, a header longer than the packet, a packet larger than `max`.
 */
enum ring_status ring_take(struct ring *r, uint8_t *to, uint32_t max, struct ring_packet *out,
			   bool *signal);
/* Incoming: ring_take would find something, good or bad. */
bool ring_waiting(const struct ring *r);
/* Incoming: interrupt_mask. After unmasking look again: ring_take may find what came meanwhile. */
void ring_mask(struct ring *r, bool on);

/*
 * Outgoing: appends a packet of a type: descriptor, `head` (more header bytes, multiple of 8), payload. *signal: the guest must be
 * signalled (the ring was empty and it is not masked). RING_BROKEN: read_index is out of range or unaligned, or the packet is
 * larger than the whole ring.
 */
struct ring_send {
	uint16_t type, flags;
	uint64_t transaction;
	const void *head;
	uint32_t head_length;
	const void *payload;
	uint32_t payload_length;
};
enum ring_status ring_put(struct ring *r, const struct ring_send *s, bool *signal);

#endif
