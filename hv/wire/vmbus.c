/* SPDX-License-Identifier: MIT */
#include "hv/wire/vmbus.h"

#include "hv/wire/mem.h"

#define HEADER 8u        /* type and padding */
#define HEADER_FIXED 28u /* of a GPADL_HEADER, before the pfns */
#define BODY_FIXED 16u   /* of a GPADL_BODY */

static void parse_contact(const uint8_t *p, struct vmbus_contact *c)
{
	c->version = le32(p + 8);
	c->vp = le32(p + 12);
	/* Below 5.0 the next 8 bytes are the address of the interrupt page, which no offer makes use of. */
	c->sint = p[16];
	c->vtl = p[17];
	c->reserved_set = false;
	for (uint32_t i = 18; i < 24; i++) {
		c->reserved_set |= p[i] != 0;
	}
}

static void parse_open(const uint8_t *p, struct vmbus_open *o)
{
	o->relid = le32(p + 8);
	o->open_id = le32(p + 12);
	o->gpadl = le32(p + 16);
	o->vp = le32(p + 20);
	o->downstream = le32(p + 24);
}

_Static_assert((VMBUS_MESSAGE_MAX - HEADER_FIXED) / 8 == VMBUS_HEADER_PFNS, "all that fit");
_Static_assert((VMBUS_MESSAGE_MAX - BODY_FIXED) / 8 == VMBUS_BODY_PFNS, "all that fit");

/* bytes: what follows the fixed part of a message, of which there is room for all; false: not a list of pfns. */
static bool parse_pfns(const uint8_t *p, uint32_t bytes, uint64_t *pfn, uint32_t *count)
{
	if (bytes % 8 != 0) {
		return false;
	}
	for (uint32_t i = 0; i < bytes / 8; i++) {
		pfn[i] = le64(p + (size_t)8 * i);
	}
	*count = bytes / 8;
	return true;
}

static bool parse_gpadl_header(const uint8_t *p, uint32_t size, struct vmbus_message *m)
{
	struct vmbus_gpadl_header *h = &m->gpadl_header;

	if (size < 16) {
		return false;
	}
	memset(h, 0, sizeof(*h));
	h->relid = le32(p + 8);
	h->gpadl = le32(p + 12);
	if (size < HEADER_FIXED ||
	    !parse_pfns(p + HEADER_FIXED, size - HEADER_FIXED, m->pfn, &h->count)) {
		return true;
	}
	h->buffer_length = le16(p + 16);
	h->range_count = le16(p + 18);
	h->length = le32(p + 20);
	h->offset = le32(p + 24);
	return true;
}

/* The message number at 8 is always 0 in Linux and says nothing. */
static bool parse_gpadl_body(const uint8_t *p, uint32_t size, struct vmbus_message *m)
{
	if (size < BODY_FIXED) {
		return false;
	}
	m->gpadl_body.gpadl = le32(p + 12);
	return parse_pfns(p + BODY_FIXED, size - BODY_FIXED, m->pfn, &m->gpadl_body.count);
}

static bool parse_two(const uint8_t *p, uint32_t size, uint32_t *a, uint32_t *b)
{
	if (size != 16) {
		return false;
	}
	*a = le32(p + 8);
	*b = le32(p + 12);
	return true;
}

bool vmbus_parse(const uint8_t *payload, uint32_t size, struct vmbus_message *m)
{
	uint32_t type;

	if (size < HEADER || size > VMBUS_MESSAGE_MAX || le32(payload + 4) != 0) {
		return false;
	}
	type = le32(payload);
	m->type = (enum vmbus_type)type;
	switch (type) {
	case VMBUS_REQUEST_OFFERS:
	case VMBUS_UNLOAD:
		return size == HEADER;
	case VMBUS_OPEN:
		if (size != 148) {
			return false;
		}
		parse_open(payload, &m->open);
		return true;
	case VMBUS_CLOSE:
	case VMBUS_RELID_RELEASED:
		if (size != 12) {
			return false;
		}
		m->relid = le32(payload + 8);
		return true;
	case VMBUS_GPADL_HEADER:
		return parse_gpadl_header(payload, size, m);
	case VMBUS_GPADL_BODY:
		return parse_gpadl_body(payload, size, m);
	case VMBUS_GPADL_TEARDOWN:
		return parse_two(payload, size, &m->teardown.relid, &m->teardown.gpadl);
	case VMBUS_MODIFY_CHANNEL:
		return parse_two(payload, size, &m->modify.relid, &m->modify.vp);
	case VMBUS_INITIATE_CONTACT:
		/* A version of the future may append to it, and must be told that it is not supported. */
		if (size < 40) {
			return false;
		}
		parse_contact(payload, &m->contact);
		return true;
	case VMBUS_TL_CONNECT:
		if (size != 40) {
			return false;
		}
		memcpy(m->connect.endpoint.b, payload + 8, 16);
		memcpy(m->connect.service.b, payload + 24, 16);
		return true;
	default:
		return false;
	}
}

static void set16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void set32(uint8_t *p, uint32_t v)
{
	set16(p, (uint16_t)v);
	set16(p + 2, (uint16_t)(v >> 16));
}

static void begin(uint8_t *to, enum vmbus_type type, uint32_t size)
{
	memset(to, 0, size);
	set32(to, (uint32_t)type);
}

#define FLAG_ENUMERATE 1u
#define FLAG_PIPE 0x10u
#define FLAG_STREAM 0x2000u /* Linux: VMBUS_CHANNEL_TLNPI_PROVIDER_OFFER */
#define PIPE_MESSAGES 4u

uint32_t vmbus_build_offer(uint8_t *to, const struct vmbus_offer *o)
{
	begin(to, VMBUS_OFFER, 196);
	memcpy(to + 8, o->class_id.b, 16);
	memcpy(to + 24, o->instance.b, 16);
	/* Of a stream, byte 64 says who asked for it: 0, the guest. */
	set16(to + 56, FLAG_ENUMERATE | (o->pipe ? FLAG_PIPE : 0) | (o->stream ? FLAG_STREAM : 0));
	set32(to + 60, o->pipe ? PIPE_MESSAGES : 0);
	set16(to + 180, o->sub);
	set32(to + 184, o->relid);
	/*
	 * No monitor (188, 189): with one the guest would set a bit in memory that nobody looks at. An interrupt of its own
	 * (190): the guest signals by hypercall alone.
	 */
	to[188] = 0xff;
	set16(to + 190, 1);
	set32(to + 192, VMBUS_CONNECTION_EVENT + o->relid);
	return 196;
}

uint32_t vmbus_build_plain(uint8_t *to, enum vmbus_type type)
{
	begin(to, type, HEADER);
	return HEADER;
}

uint32_t vmbus_build_id(uint8_t *to, enum vmbus_type type, uint32_t id)
{
	begin(to, type, 12);
	set32(to + 8, id);
	return 12;
}

static uint32_t build_three(uint8_t *to, enum vmbus_type type, uint32_t a, uint32_t b,
			    uint32_t status)
{
	begin(to, type, 20);
	set32(to + 8, a);
	set32(to + 12, b);
	set32(to + 16, status);
	return 20;
}

uint32_t vmbus_build_open_result(uint8_t *to, uint32_t relid, uint32_t open_id, uint32_t status)
{
	return build_three(to, VMBUS_OPEN_RESULT, relid, open_id, status);
}

uint32_t vmbus_build_gpadl_created(uint8_t *to, uint32_t relid, uint32_t gpadl, uint32_t status)
{
	return build_three(to, VMBUS_GPADL_CREATED, relid, gpadl, status);
}

uint32_t vmbus_build_modify_response(uint8_t *to, uint32_t relid, uint32_t status)
{
	begin(to, VMBUS_MODIFY_RESPONSE, 16);
	set32(to + 8, relid);
	set32(to + 12, status);
	return 16;
}

/* 16 bytes even to refuse: Linux drops a shorter one and waits for ever. */
uint32_t vmbus_build_version(uint8_t *to, bool supported, uint32_t connection)
{
	begin(to, VMBUS_VERSION_RESPONSE, 16);
	to[8] = supported ? 1 : 0;
	set32(to + 12, connection);
	return 16;
}

uint32_t vmbus_build_connect_result(uint8_t *to, const struct vmbus_guid *endpoint,
				    const struct vmbus_guid *service, uint32_t status)
{
	begin(to, VMBUS_TL_CONNECT_RESULT, 44);
	memcpy(to + 8, endpoint->b, 16);
	memcpy(to + 24, service->b, 16);
	set32(to + 40, status);
	return 44;
}
