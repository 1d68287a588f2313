/* SPDX-License-Identifier: MIT */
#ifndef TESTS_GUEST_NVSP_GUEST_H
#define TESTS_GUEST_NVSP_GUEST_H
/*
 * The driver's side of a network adapter, for tests and fuzzers: 64 pages of guest memory with the rings and buffers of a stock
 * netvsc in them, and the packets that it sends. The guest's ends of the rings are served by hv/wire/ring.c, too: a ring looks the
 * same from both sides.
 */
#include <string.h>

#include "hv/wire/nvsp_session.h"

#define GUEST_PAGES 64u
#define GUEST_BYTES (GUEST_PAGES * 4096u)

#define GUEST_UP 0u /* first page of the ring to the host */
#define GUEST_RING_PAGES 9u
#define GUEST_DOWN (GUEST_UP + GUEST_RING_PAGES)
#define GUEST_RECEIVE 18u
#define GUEST_RECEIVE_PAGES 16u /* 32 sections */
#define GUEST_SEND 34u
#define GUEST_SEND_PAGES 6u /* 4 sections */
#define GUEST_SCRATCH 40u

#define GUEST_GPADL_RINGS 0xe1e10u
#define GUEST_GPADL_RECEIVE 0xe1e11u
#define GUEST_GPADL_SEND 0xe1e12u

#define GUEST_NO_RESPONSE 0xfffffffffffffffdull
#define GUEST_FRAMES 64u

/* Coverage of the model would only cost a fuzz target its time. */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)

struct nvsp_guest {
	struct gmem mem;
	uint64_t up_pfn[GUEST_RING_PAGES], down_pfn[GUEST_RING_PAGES];
	uint64_t receive_pfn[GUEST_RECEIVE_PAGES], send_pfn[GUEST_SEND_PAGES];
	struct ring up, down; /* the guest's ends */
	uint64_t transaction; /* last one used */
	uint8_t packet[4096]; /* last one taken */
	struct ring_packet p;
	bool signal; /* set: the host is to be signalled */
};

static inline void guest_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void guest_put32(uint8_t *p, uint32_t v)
{
	guest_put16(p, v);
	guest_put16(p + 2, v >> 16);
}

static inline uint8_t *guest_page(struct nvsp_guest *g, uint32_t page)
{
	return g->mem.base + page * 4096u;
}

/* The buffers' pages stand in descending order, so that a host that takes them for one piece is found out. */
static inline void guest_init(struct nvsp_guest *g, uint8_t *memory)
{
	memset(g, 0, sizeof(*g));
	memset(memory, 0, GUEST_BYTES);
	g->mem = (struct gmem){ memory, GUEST_BYTES };
	for (uint32_t i = 0; i < GUEST_RING_PAGES; i++) {
		g->up_pfn[i] = GUEST_UP + i;
		g->down_pfn[i] = GUEST_DOWN + i;
	}
	for (uint32_t i = 0; i < GUEST_RECEIVE_PAGES; i++) {
		g->receive_pfn[i] = GUEST_RECEIVE + GUEST_RECEIVE_PAGES - 1 - i;
	}
	for (uint32_t i = 0; i < GUEST_SEND_PAGES; i++) {
		g->send_pfn[i] = GUEST_SEND + GUEST_SEND_PAGES - 1 - i;
	}
	guest_put32(guest_page(g, GUEST_UP) + 64, 1); /* feature bits */
	guest_put32(guest_page(g, GUEST_DOWN) + 64, 1);
	(void)ring_open_out(&g->up, &g->mem, g->up_pfn, GUEST_RING_PAGES);
	(void)ring_open_in(&g->down, &g->mem, g->down_pfn, GUEST_RING_PAGES);
}

/* The host's place of work: `in` and `out` are opened on the rings. */
static inline bool guest_io(const struct nvsp_guest *g, struct nvsp_io *io, struct ring *in,
			    struct ring *out)
{
	memset(io, 0, sizeof(*io));
	io->mem = &g->mem;
	io->in = in;
	io->out = out;
	io->gpadl[3] = (struct nvsp_gpadl){ GUEST_GPADL_RECEIVE, GUEST_RECEIVE_PAGES, 0,
					    GUEST_RECEIVE_PAGES * 4096, g->receive_pfn };
	io->gpadl[7] = (struct nvsp_gpadl){ GUEST_GPADL_SEND, GUEST_SEND_PAGES, 0,
					    GUEST_SEND_PAGES * 4096, g->send_pfn };
	return ring_open_in(in, &g->mem, g->up_pfn, GUEST_RING_PAGES) &&
	       ring_open_out(out, &g->mem, g->down_pfn, GUEST_RING_PAGES);
}

/* Byte `at` of a buffer. */
static inline uint8_t *guest_send_byte(struct nvsp_guest *g, uint32_t at)
{
	return guest_page(g, (uint32_t)g->send_pfn[at / 4096]) + at % 4096;
}

static inline uint8_t *guest_receive_byte(struct nvsp_guest *g, uint32_t at)
{
	return guest_page(g, (uint32_t)g->receive_pfn[at / 4096]) + at % 4096;
}

static inline void guest_fill_send(struct nvsp_guest *g, uint32_t at, const uint8_t *bytes,
				   uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		*guest_send_byte(g, at + i) = bytes[i];
	}
}

static inline bool guest_packet(struct nvsp_guest *g, uint16_t type, uint16_t flags,
				uint64_t transaction, const void *head, uint32_t head_length,
				const void *payload, uint32_t length)
{
	struct ring_send s = { .type = type,
			       .flags = flags,
			       .transaction = transaction,
			       .head = head,
			       .head_length = head_length,
			       .payload = payload,
			       .payload_length = length };
	bool signal;
	bool ok = ring_put(&g->up, &s, &signal) == RING_OK;

	g->signal |= signal;
	return ok;
}

/* A request of 40 bytes in band, with fields from byte 4 on; wants an answer where `answer`. Answers its transaction, 0: no room. */
static inline uint64_t guest_message(struct nvsp_guest *g, uint32_t type, uint32_t a, uint32_t b,
				     uint32_t c, bool answer)
{
	uint8_t m[NVSP_BYTES] = { 0 };
	uint64_t transaction = answer ? g->transaction + 1 : GUEST_NO_RESPONSE;

	guest_put32(m, type);
	guest_put32(m + 4, a);
	guest_put32(m + 8, b);
	guest_put32(m + 12, c);
	if (!guest_packet(g, RING_DATA_INBAND, answer ? RING_WANT_COMPLETION : 0, transaction, NULL,
			  0, m, sizeof(m))) {
		return 0;
	}
	g->transaction += answer ? 1 : 0;
	return transaction;
}

/* What is in the send buffer's section, `length` bytes of it. */
static inline uint64_t guest_send_section(struct nvsp_guest *g, uint32_t channel, uint32_t section,
					  uint32_t length)
{
	return guest_message(g, NVSP_RNDIS, channel, section, length, true);
}

/* Ranges of guest memory: {length, offset, first page} each, its pages in a row. */
struct guest_range {
	uint32_t length, offset, page;
};

static inline uint64_t guest_send_ranges(struct nvsp_guest *g, uint32_t channel, uint32_t section,
					 uint32_t section_length, const struct guest_range *r,
					 uint32_t count)
{
	uint8_t m[NVSP_BYTES] = { 0 }, head[8 + 32 * 32] = { 0 };
	uint32_t at = 8;

	guest_put32(m, NVSP_RNDIS);
	guest_put32(m + 4, channel);
	guest_put32(m + 8, section);
	guest_put32(m + 12, section_length);
	guest_put32(head + 4, count);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t pages = (r[i].offset + r[i].length + 4095) / 4096;

		guest_put32(head + at, r[i].length);
		guest_put32(head + at + 4, r[i].offset);
		at += 8;
		for (uint32_t p = 0; p < pages; p++, at += 8) {
			guest_put32(head + at, r[i].page + p);
		}
	}
	if (!guest_packet(g, RING_DATA_GPA_DIRECT, RING_WANT_COMPLETION, g->transaction + 1, head,
			  at, m, sizeof(m))) {
		return 0;
	}
	return ++g->transaction;
}

/* An RNDIS control message from a scratch page, as rndis_filter_send_request does. words: from byte 8 on. */
static inline uint64_t guest_control(struct nvsp_guest *g, uint32_t type, const uint32_t *words,
				     uint32_t count, const void *info, uint32_t info_length)
{
	uint8_t *p = guest_page(g, GUEST_SCRATCH);
	struct guest_range r = { 8 + count * 4 + info_length, 64, GUEST_SCRATCH };

	p += 64;
	guest_put32(p, type);
	guest_put32(p + 4, r.length);
	for (uint32_t i = 0; i < count; i++) {
		guest_put32(p + 8 + i * 4, words[i]);
	}
	if (info_length != 0) {
		memcpy(p + 8 + count * 4, info, info_length);
	}
	return guest_send_ranges(g, NVSP_CONTROL, NVSP_SECTION_NONE, 0, &r, 1);
}

static inline uint64_t guest_initialize(struct nvsp_guest *g, uint32_t request)
{
	uint32_t words[] = { request, 1, 0, 0x4000 };

	return guest_control(g, RNDIS_INITIALIZE, words, 4, NULL, 0);
}

static inline uint64_t guest_query(struct nvsp_guest *g, uint32_t request, uint32_t oid,
				   const void *info, uint32_t length)
{
	uint32_t words[] = { request, oid, length, 20, 0 };

	return guest_control(g, RNDIS_QUERY, words, 5, info, length);
}

static inline uint64_t guest_set(struct nvsp_guest *g, uint32_t request, uint32_t oid,
				 const void *info, uint32_t length)
{
	uint32_t words[] = { request, oid, length, 20, 0 };

	return guest_control(g, RNDIS_SET, words, 5, info, length);
}

static inline uint64_t guest_filter(struct nvsp_guest *g, uint32_t request, uint32_t filter)
{
	uint8_t f[4];

	guest_put32(f, filter);
	return guest_set(g, request, RNDIS_OID_CURRENT_PACKET_FILTER, f, 4);
}

/* The PACKET message of a frame, as netvsc_xmit makes it; answers its length. */
static inline uint32_t guest_rndis_packet(uint8_t *to, const uint8_t *frame, uint32_t length,
					  const uint8_t *ppi, uint32_t ppi_length)
{
	memset(to, 0, 44);
	guest_put32(to, RNDIS_PACKET);
	guest_put32(to + 4, 44 + ppi_length + length);
	guest_put32(to + 8, 36 + ppi_length);
	guest_put32(to + 12, length);
	guest_put32(to + 28, 36);
	guest_put32(to + 32, ppi_length);
	if (ppi_length != 0) {
		memcpy(to + 44, ppi, ppi_length);
	}
	memcpy(to + 44 + ppi_length, frame, length);
	return 44 + ppi_length + length;
}

static inline bool guest_take(struct nvsp_guest *g)
{
	bool signal;
	bool ok = ring_take(&g->down, g->packet, sizeof(g->packet), &g->p, &signal) == RING_OK;

	g->signal |= signal;
	return ok;
}

static inline const uint8_t *guest_payload(const struct nvsp_guest *g)
{
	return g->packet + g->p.offset;
}

/* A section goes back, as send_recv_completions does it. */
static inline bool guest_return(struct nvsp_guest *g, uint64_t transaction)
{
	uint8_t m[8];

	guest_put32(m, NVSP_RNDIS_COMPLETE);
	guest_put32(m + 4, NVSP_SUCCESS);
	return guest_packet(g, RING_COMPLETION, 0, transaction, NULL, 0, m, sizeof(m));
}

#pragma clang attribute pop

#endif
