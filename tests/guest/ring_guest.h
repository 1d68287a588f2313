/* SPDX-License-Identifier: MIT */
#ifndef TESTS_GUEST_RING_GUEST_H
#define TESTS_GUEST_RING_GUEST_H
/*
 * The guest's half of a VMBus ring, for tests and fuzz targets: a producer and a consumer that follow the rules of Linux
 * (drivers/hv/ring_buffer.c) over the same pages, written apart from hv/wire/ring.c so that the two can disagree.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define RING_GUEST_WRITE 0u
#define RING_GUEST_READ 4u
#define RING_GUEST_MASK 8u
#define RING_GUEST_PENDING 12u
#define RING_GUEST_FEATURES 64u

/* Coverage of the model would only cost a fuzz target its time. */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)

struct ring_guest {
	uint8_t *memory; /* of the guest, from address 0 */
	const uint64_t *pfn;
	uint32_t pages;
};

static inline uint32_t ring_guest_size(const struct ring_guest *g)
{
	return (g->pages - 1) * 4096;
}

static inline uint32_t ring_guest_get(const struct ring_guest *g, uint32_t field)
{
	uint32_t v;

	memcpy(&v, g->memory + g->pfn[0] * 4096 + field, 4);
	return v;
}

static inline void ring_guest_set(const struct ring_guest *g, uint32_t field, uint32_t v)
{
	memcpy(g->memory + g->pfn[0] * 4096 + field, &v, 4);
}

static inline uint8_t *ring_guest_byte(const struct ring_guest *g, uint32_t at)
{
	at %= ring_guest_size(g);
	return g->memory + g->pfn[1 + at / 4096] * 4096 + at % 4096;
}

/* Bytes from `at` on, or n where that is less, that lie in one page. */
static inline uint32_t ring_guest_piece(uint32_t at, uint32_t n)
{
	return n < 4096 - at % 4096 ? n : 4096 - at % 4096;
}

static inline void ring_guest_write(const struct ring_guest *g, uint32_t at, const void *from,
				    uint32_t n)
{
	for (uint32_t done = 0, piece; done < n; done += piece) {
		piece = ring_guest_piece(at + done, n - done);
		memcpy(ring_guest_byte(g, at + done), (const uint8_t *)from + done, piece);
	}
}

static inline void ring_guest_read(const struct ring_guest *g, uint32_t at, void *to, uint32_t n)
{
	for (uint32_t done = 0, piece; done < n; done += piece) {
		piece = ring_guest_piece(at + done, n - done);
		memcpy((uint8_t *)to + done, ring_guest_byte(g, at + done), piece);
	}
}

/* As before OPEN. */
static inline void ring_guest_init(const struct ring_guest *g)
{
	memset(g->memory + g->pfn[0] * 4096, 0, 4096);
	ring_guest_set(g, RING_GUEST_FEATURES, 1);
}

static inline uint32_t ring_guest_room(const struct ring_guest *g)
{
	uint32_t w = ring_guest_get(g, RING_GUEST_WRITE), r = ring_guest_get(g, RING_GUEST_READ);

	return w >= r ? ring_guest_size(g) - (w - r) : r - w;
}

/* A whole packet, descriptor first. false: no room. *signal: the guest makes the hypercall. */
static inline bool ring_guest_put(const struct ring_guest *g, const void *packet, uint32_t length,
				  bool *signal)
{
	uint32_t w = ring_guest_get(g, RING_GUEST_WRITE);
	uint64_t trailer = (uint64_t)w << 32;

	*signal = false;
	if (ring_guest_room(g) <= length + 8) {
		return false;
	}
	ring_guest_write(g, w, packet, length);
	ring_guest_write(g, w + length, &trailer, 8);
	ring_guest_set(g, RING_GUEST_WRITE, (w + length + 8) % ring_guest_size(g));
	*signal = ring_guest_get(g, RING_GUEST_MASK) == 0 &&
		  ring_guest_get(g, RING_GUEST_READ) == w;
	return true;
}

/* Takes a packet; answers its length, 0: empty, UINT32_MAX: the host broke the rules. */
static inline uint32_t ring_guest_take(const struct ring_guest *g, void *to, uint32_t max,
				       bool *signal)
{
	uint32_t r = ring_guest_get(g, RING_GUEST_READ), w = ring_guest_get(g, RING_GUEST_WRITE);
	uint32_t size = ring_guest_size(g), pending, room, length;
	uint16_t header8, length8;
	uint64_t trailer;

	*signal = false;
	if (w >= size || w % 8 != 0) {
		return UINT32_MAX;
	}
	if (r == w) {
		return 0;
	}
	ring_guest_read(g, r + 2, &header8, 2);
	ring_guest_read(g, r + 4, &length8, 2);
	length = length8 * 8u;
	if (header8 < 2 || header8 > length8 || length > max ||
	    length + 8 > size - ring_guest_room(g)) {
		return UINT32_MAX;
	}
	ring_guest_read(g, r, to, length);
	ring_guest_read(g, r + length, &trailer, 8);
	if (trailer != (uint64_t)r << 32) {
		return UINT32_MAX;
	}
	ring_guest_set(g, RING_GUEST_READ, (r + length + 8) % size);
	pending = ring_guest_get(g, RING_GUEST_PENDING);
	room = ring_guest_room(g);
	*signal = (ring_guest_get(g, RING_GUEST_FEATURES) & 1) != 0 && pending != 0 &&
		  room > pending && room - (length + 8) <= pending;
	return length;
}

#pragma clang attribute pop

#endif
