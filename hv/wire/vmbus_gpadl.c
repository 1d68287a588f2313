/* SPDX-License-Identifier: MIT */
/* GPADLs: lists of guest pages, sent in pieces, given to a device's process, used by rings and buffers, torn down. */
#include "hv/wire/gmem.h"
#include "hv/wire/mem.h"
#include "hv/wire/vmbus_int.h"

#define NONE VMBUS_GPADLS_MAX

static uint32_t find(const struct vmbus_server *s, uint32_t id)
{
	for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
		if (s->gpadl[i].state != VMBUS_GPADL_NONE && s->gpadl[i].id == id) {
			return i;
		}
	}
	return NONE;
}

/* Closes the gap in the pool, so that what is free is one piece. */
static void release(struct vmbus_server *s, struct vmbus_gpadl *g)
{
	uint32_t end = g->first + g->pages;

	memmove(s->pool + g->first, s->pool + end, (size_t)(s->pool_used - end) * sizeof(*s->pool));
	s->pool_used -= g->pages;
	for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
		if (s->gpadl[i].state != VMBUS_GPADL_NONE && s->gpadl[i].first > g->first) {
			s->gpadl[i].first -= g->pages;
		}
	}
	memset(g, 0, sizeof(*g));
}

/* The guest is told that it is gone, where it waits for that. */
static void torn_down(struct vmbus_server *s, struct vmbus_gpadl *g)
{
	if (g->owed) {
		vmbus_queue(s, VMBUS_GPADL_TORNDOWN, g->id, 0, 0);
	}
	release(s, g);
}

static void refuse(struct vmbus_server *s, uint32_t relid, uint32_t id)
{
	s->counts.refused++;
	vmbus_queue(s, VMBUS_GPADL_CREATED, relid, id, VMBUS_FAILED);
}

static bool pfns_valid(const struct vmbus_server *s, const uint64_t *pfn, uint32_t count)
{
	uint64_t low =
		(s->memory_bytes < GMEM_LOW_LIMIT ? s->memory_bytes : GMEM_LOW_LIMIT) / VMBUS_PAGE;
	uint64_t high = s->memory_bytes / VMBUS_PAGE - low;
	uint64_t base = GMEM_HIGH_BASE / VMBUS_PAGE;

	for (uint32_t i = 0; i < count; i++) {
		if (pfn[i] >= low && (pfn[i] < base || pfn[i] - base >= high)) {
			return false;
		}
	}
	return true;
}

/* count is at most what is missing. */
static void append(struct vmbus_server *s, struct vmbus_gpadl *g, const uint64_t *pfn,
		   uint32_t count)
{
	memcpy(s->pool + g->first + g->have, pfn, (size_t)count * sizeof(*pfn));
	g->have += count;
	if (g->have == g->pages) {
		g->state = VMBUS_GPADL_READY;
		vmbus_queue(s, VMBUS_GPADL_CREATED, g->relid, g->id, VMBUS_OK);
	}
}

/* What the guest says of a GPADL fits together, and how many pages it has. */
static bool shape(const struct vmbus_gpadl_header *h, uint32_t *pages)
{
	uint64_t n = ((uint64_t)h->offset + h->length + VMBUS_PAGE - 1) / VMBUS_PAGE;

	*pages = (uint32_t)n;
	return h->gpadl != 0 && h->range_count == 1 && h->offset < VMBUS_PAGE && h->length != 0 &&
	       n <= VMBUS_GPADL_PAGES_MAX && h->buffer_length == 8 + 8 * n && h->count <= n;
}

/* An empty place, where this process can have one more; NONE otherwise. */
static uint32_t place(const struct vmbus_server *s, uint32_t socket)
{
	uint32_t empty = NONE, of_socket = 0;

	for (uint32_t i = VMBUS_GPADLS_MAX; i-- > 0;) {
		const struct vmbus_gpadl *g = &s->gpadl[i];

		if (g->state == VMBUS_GPADL_NONE) {
			empty = i;
		} else if (s->channel[g->relid - 1].device.socket == socket) {
			of_socket++;
		}
	}
	return of_socket < VMBUS_SOCKET_GPADLS_MAX ? empty : NONE;
}

void vmbus_gpadl_begin(struct vmbus_server *s, const struct vmbus_message *m)
{
	const struct vmbus_gpadl_header *h = &m->gpadl_header;
	const struct vmbus_channel *c = vmbus_channel_peek(s, h->relid);
	struct vmbus_gpadl *g;
	uint32_t pages, i;

	if (c == NULL || c->offer != VMBUS_OFFERED || !shape(h, &pages) ||
	    find(s, h->gpadl) != NONE || pages > s->pool_size - s->pool_used ||
	    !pfns_valid(s, m->pfn, h->count)) {
		refuse(s, h->relid, h->gpadl);
		return;
	}
	i = place(s, c->device.socket);
	if (i == NONE) {
		refuse(s, h->relid, h->gpadl);
		return;
	}
	g = &s->gpadl[i];
	g->state = VMBUS_GPADL_ASSEMBLING;
	g->id = h->gpadl;
	g->relid = h->relid;
	g->length = h->length;
	g->offset = h->offset;
	g->pages = pages;
	g->first = s->pool_used;
	s->pool_used += pages;
	append(s, g, m->pfn, h->count);
}

/* Keyed by id alone: several can be under way, of several channels. */
void vmbus_gpadl_more(struct vmbus_server *s, const struct vmbus_message *m)
{
	const struct vmbus_gpadl_body *b = &m->gpadl_body;
	uint32_t i = find(s, b->gpadl);
	struct vmbus_gpadl *g;

	if (i == NONE || s->gpadl[i].state != VMBUS_GPADL_ASSEMBLING) {
		s->counts.misplaced++; /* of a refused one, mostly */
		return;
	}
	g = &s->gpadl[i];
	if (b->count == 0 || b->count > g->pages - g->have || !pfns_valid(s, m->pfn, b->count)) {
		refuse(s, g->relid, g->id);
		release(s, g);
		return;
	}
	append(s, g, m->pfn, b->count);
}

void vmbus_gpadl_teardown(struct vmbus_server *s, uint32_t relid, uint32_t id)
{
	const struct vmbus_channel *c = vmbus_channel_peek(s, relid);
	uint32_t i = find(s, id);
	struct vmbus_gpadl *g;

	if (c == NULL || c->offer == VMBUS_NOT_OFFERED) {
		s->counts.misplaced++;
		return;
	}
	if (i == NONE) {
		/* Gone it is; without an answer the guest would wait for ever. */
		s->counts.misplaced++;
		vmbus_queue(s, VMBUS_GPADL_TORNDOWN, id, 0, 0);
		return;
	}
	g = &s->gpadl[i];
	if (g->relid != relid || g->owed) {
		s->counts.misplaced++;
		return;
	}
	g->owed = true;
	g->doomed = true;
	if (g->state == VMBUS_GPADL_ASSEMBLING) {
		torn_down(s, g);
		return;
	}
	vmbus_gpadl_settle(s, relid);
}

const struct vmbus_gpadl *vmbus_gpadl_usable(const struct vmbus_server *s, uint32_t relid,
					     uint32_t id)
{
	uint32_t i = find(s, id);
	const struct vmbus_gpadl *g = i != NONE ? &s->gpadl[i] : NULL;

	if (g == NULL || g->relid != relid || g->doomed ||
	    (g->state != VMBUS_GPADL_READY && g->state != VMBUS_GPADL_GIVEN)) {
		return NULL;
	}
	return g;
}

bool vmbus_gpadl_in_use(const struct vmbus_server *s, const struct vmbus_gpadl *g)
{
	const struct vmbus_channel *c = &s->channel[g->relid - 1];

	return (c->state != VMBUS_CH_CLOSED && c->open.gpadl == g->id) ||
	       (c->again_wanted && c->again.gpadl == g->id);
}

void vmbus_gpadl_settle(struct vmbus_server *s, uint32_t relid)
{
	for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
		struct vmbus_gpadl *g = &s->gpadl[i];

		if (g->state == VMBUS_GPADL_READY && g->relid == relid && g->doomed &&
		    !vmbus_gpadl_in_use(s, g)) {
			torn_down(s, g);
		}
	}
}

void vmbus_gpadl_doom(struct vmbus_server *s, uint32_t relid)
{
	for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
		struct vmbus_gpadl *g = &s->gpadl[i];

		if (g->state == VMBUS_GPADL_NONE || g->relid != relid) {
			continue;
		}
		if (g->state == VMBUS_GPADL_ASSEMBLING) {
			refuse(s, relid, g->id);
			release(s, g);
		} else {
			g->doomed = true;
		}
	}
	vmbus_gpadl_settle(s, relid);
}

void vmbus_gpadl_forgotten(struct vmbus_server *s, uint32_t relid)
{
	for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
		struct vmbus_gpadl *g = &s->gpadl[i];

		if (g->relid == relid &&
		    (g->state == VMBUS_GPADL_GIVEN || g->state == VMBUS_GPADL_FREEING)) {
			g->state = VMBUS_GPADL_READY;
		}
	}
	vmbus_gpadl_settle(s, relid);
}

bool vmbus_gpadl_any(const struct vmbus_server *s, uint32_t relid)
{
	for (uint32_t i = 0; i < VMBUS_GPADLS_MAX; i++) {
		if (s->gpadl[i].state != VMBUS_GPADL_NONE && s->gpadl[i].relid == relid) {
			return true;
		}
	}
	return false;
}

void vmbus_server_gpadl_freed(struct vmbus_server *s, uint32_t socket, uint32_t unit,
			      uint32_t gpadl)
{
	uint32_t i = find(s, gpadl), relid;
	const struct vmbus_channel *c;

	if (i == NONE || s->gpadl[i].state != VMBUS_GPADL_FREEING) {
		s->counts.device++;
		return;
	}
	relid = s->gpadl[i].relid;
	c = &s->channel[relid - 1];
	if (c->device.socket != socket || c->device.unit != unit) {
		s->counts.device++;
		return;
	}
	torn_down(s, &s->gpadl[i]);
	vmbus_channel_settle(s, relid);
}
