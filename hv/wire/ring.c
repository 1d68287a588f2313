/* SPDX-License-Identifier: MIT */
#include "hv/wire/ring.h"

#include "hv/wire/mem.h"

#define PAGE 4096u
#define PFN_LIMIT (1ull << 52) /* below: an address of 64 bits */

/* The header page (include/linux/hyperv.h: struct hv_ring_buffer). */
#define WRITE_INDEX 0u
#define READ_INDEX 4u
#define INTERRUPT_MASK 8u
#define PENDING_SEND_SIZE 12u

#define DESCRIPTOR 16u
#define TRAILER 8u
#define PACKET_MAX (65535u * 8)

static uint32_t load(const struct ring *r, uint32_t field)
{
	return gmem_load32(r->mem, (r->pfn[0] << 12) + field);
}

static void store(const struct ring *r, uint32_t field, uint32_t v)
{
	gmem_store32(r->mem, (r->pfn[0] << 12) + field, v);
}

/* What was stored is seen by the guest before what is loaded next. */
static void barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static bool index_valid(const struct ring *r, uint32_t index)
{
	return index < r->size && (index & 7) == 0;
}

/* Bytes from one valid index to another, in the direction of the circle. */
static uint32_t distance(const struct ring *r, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : to + r->size - from;
}

/* index < size, step <= size */
static uint32_t advance(const struct ring *r, uint32_t index, uint32_t step)
{
	return step < r->size - index ? index + step : step - (r->size - index);
}

static void copy_in(const struct ring *r, uint32_t at, uint8_t *to, uint32_t length)
{
	while (length != 0) {
		uint32_t in_page = at % PAGE;
		uint32_t n = length < PAGE - in_page ? length : PAGE - in_page;

		/* Cannot fail: ring_open checked the pages. */
		(void)gmem_copy_in(r->mem, (r->pfn[1 + at / PAGE] << 12) + in_page, to, n);
		at = advance(r, at, n);
		to += n;
		length -= n;
	}
}

/* Answers the index behind what it copied. */
static uint32_t copy_out(const struct ring *r, uint32_t at, const void *from, uint32_t length)
{
	const uint8_t *next = from;

	while (length != 0) {
		uint32_t in_page = at % PAGE;
		uint32_t n = length < PAGE - in_page ? length : PAGE - in_page;

		(void)gmem_copy_out(r->mem, (r->pfn[1 + at / PAGE] << 12) + in_page, next, n);
		at = advance(r, at, n);
		next += n;
		length -= n;
	}
	return at;
}

static bool open_ring(struct ring *r, const struct gmem *m, const uint64_t *pfn, uint32_t pages,
		      uint32_t field)
{
	if (pages < 2 || pages > RING_PAGES_MAX) {
		return false;
	}
	for (uint32_t i = 0; i < pages; i++) {
		if (pfn[i] >= PFN_LIMIT || !gmem_check(m, pfn[i] << 12, PAGE)) {
			return false;
		}
	}
	r->mem = m;
	r->pfn = pfn;
	r->pages = pages;
	r->size = (pages - 1) * PAGE;
	r->own = load(r, field);
	r->pending = 0;
	return index_valid(r, r->own);
}

bool ring_open_in(struct ring *r, const struct gmem *m, const uint64_t *pfn, uint32_t pages)
{
	if (!open_ring(r, m, pfn, pages, READ_INDEX)) {
		return false;
	}
	ring_mask(r, false); /* a process that died may have left it */
	return true;
}

bool ring_open_out(struct ring *r, const struct gmem *m, const uint64_t *pfn, uint32_t pages)
{
	if (!open_ring(r, m, pfn, pages, WRITE_INDEX)) {
		return false;
	}
	store(r, PENDING_SEND_SIZE, 0);
	return true;
}

/*
 * `freed` bytes were given back. The guest waits where free space is not above pending_send_sz; it is signalled when that
 * changes. (Old guests set the size without the feature bit: the bit is not asked for.) write_index is loaded anew: the guest
 * fills the ring first, then asks. An invalid one is left to the next ring_take.
 */
static bool producer_waits(const struct ring *r, uint32_t freed)
{
	uint32_t pending, write, room;

	barrier();
	pending = load(r, PENDING_SEND_SIZE);
	if (pending == 0) {
		return false;
	}
	write = load(r, WRITE_INDEX);
	if (!index_valid(r, write)) {
		return false;
	}
	room = r->size - distance(r, r->own, write);
	return room > pending && (room <= freed || room - freed <= pending);
}

bool ring_waiting(const struct ring *r)
{
	return load(r, WRITE_INDEX) != r->own;
}

enum ring_status ring_take(struct ring *r, uint8_t *to, uint32_t max, struct ring_packet *out,
			   bool *signal)
{
	uint32_t write = load(r, WRITE_INDEX), used, header, length;
	uint8_t descriptor[DESCRIPTOR];

	*signal = false;
	if (!index_valid(r, write)) {
		return RING_BROKEN;
	}
	used = distance(r, r->own, write);
	if (used == 0) {
		return RING_EMPTY;
	}
	if (used < DESCRIPTOR + TRAILER) {
		return RING_BROKEN;
	}
	copy_in(r, r->own, descriptor, DESCRIPTOR);
	header = le16(descriptor + 2) * 8u;
	length = le16(descriptor + 4) * 8u;
	if (header < DESCRIPTOR || header > length || length > used - TRAILER || length > max) {
		return RING_BROKEN;
	}
	/* The descriptor that was checked, not what stands there now. */
	memcpy(to, descriptor, DESCRIPTOR);
	copy_in(r, advance(r, r->own, DESCRIPTOR), to + DESCRIPTOR, length - DESCRIPTOR);
	out->type = le16(descriptor);
	out->flags = le16(descriptor + 6);
	out->transaction = le64(descriptor + 8);
	out->offset = header;
	out->length = length;
	r->own = advance(r, r->own, length + TRAILER);
	store(r, READ_INDEX, r->own);
	*signal = producer_waits(r, length + TRAILER);
	return RING_OK;
}

void ring_mask(struct ring *r, bool on)
{
	store(r, INTERRUPT_MASK, on ? 1 : 0);
	if (!on) {
		barrier();
	}
}

/* RING_OK: more than `need` bytes are free. */
static enum ring_status room_for(const struct ring *r, uint32_t need)
{
	uint32_t read = load(r, READ_INDEX);

	if (!index_valid(r, read)) {
		return RING_BROKEN;
	}
	return r->size - distance(r, read, r->own) > need ? RING_OK : RING_FULL;
}

/* As room_for; where there is no room, asks the guest to signal and looks once more, for it may have read meanwhile. */
static enum ring_status wait_for_room(struct ring *r, uint32_t need)
{
	enum ring_status s = room_for(r, need);

	if (s != RING_FULL) {
		return s;
	}
	if (need > r->pending) { /* the largest that waits: all fit when it fits */
		r->pending = need;
		store(r, PENDING_SEND_SIZE, need);
	}
	barrier();
	return room_for(r, need);
}

static void write_packet(struct ring *r, const struct ring_send *s, uint32_t header,
			 uint32_t length)
{
	static const uint8_t zero[8];
	uint32_t old = r->own, padding = length - header - s->payload_length, at;
	uint8_t descriptor[DESCRIPTOR], trailer[TRAILER] = { 0 };
	uint16_t header8 = (uint16_t)(header / 8), length8 = (uint16_t)(length / 8);

	memcpy(descriptor, &s->type, 2);
	memcpy(descriptor + 2, &header8, 2);
	memcpy(descriptor + 4, &length8, 2);
	memcpy(descriptor + 6, &s->flags, 2);
	memcpy(descriptor + 8, &s->transaction, 8);
	memcpy(trailer + 4, &old, 4);
	at = copy_out(r, old, descriptor, DESCRIPTOR);
	at = copy_out(r, at, s->head, s->head_length);
	at = copy_out(r, at, s->payload, s->payload_length);
	at = copy_out(r, at, zero, padding);
	r->own = copy_out(r, at, trailer, TRAILER);
	store(r, WRITE_INDEX, r->own);
}

enum ring_status ring_put(struct ring *r, const struct ring_send *s, bool *signal)
{
	uint32_t old = r->own, header, length;
	enum ring_status status;

	*signal = false;
	if ((s->head_length & 7) != 0 || s->head_length > PACKET_MAX ||
	    s->payload_length > PACKET_MAX) {
		return RING_BROKEN;
	}
	header = DESCRIPTOR + s->head_length;
	length = header + ((s->payload_length + 7) & ~7u);
	if (length > PACKET_MAX || length + TRAILER >= r->size) {
		return RING_BROKEN; /* would never fit */
	}
	status = wait_for_room(r, length + TRAILER);
	if (status != RING_OK) {
		return status;
	}
	write_packet(r, s, header, length);
	if (r->pending != 0 && length + TRAILER >= r->pending) {
		/* Not for a smaller packet: the larger one still waits. */
		r->pending = 0;
		store(r, PENDING_SEND_SIZE, 0);
	}
	barrier();
	*signal = load(r, INTERRUPT_MASK) == 0 && load(r, READ_INDEX) == old;
	return RING_OK;
}
