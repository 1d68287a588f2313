/* SPDX-License-Identifier: MIT */
#include "hv/wire/rndis.h"

#include "hv/wire/mem.h"

/* Offsets in a message. Offsets that messages carry count from BODY. */
#define TYPE 0u
#define LENGTH 4u
#define BODY 8u

#define REQUEST 8u /* the request's number, of all control messages */

#define PPI_HEADER 12u
#define PPI_INTERNAL 0x80000000u
#define PPI_CHECKSUM 0u
#define PPI_LARGE_SEND 2u
#define PPI_VLAN 6u

#define VERSION_MAJOR 1u
#define VERSION_MINOR 0u
#define CONNECTIONLESS 1u

#define QUERY_FIXED 28u /* QUERY and SET without their information */
#define QUERY_REPLY_FIXED 24u

static void put32(uint8_t *out, uint32_t at, uint32_t v)
{
	out[at] = (uint8_t)v;
	out[at + 1] = (uint8_t)(v >> 8);
	out[at + 2] = (uint8_t)(v >> 16);
	out[at + 3] = (uint8_t)(v >> 24);
}

/* A field with an offset from BODY: *at is where it starts in the message. */
static bool locate(uint32_t offset, uint32_t len, uint32_t fixed, uint32_t message, uint32_t *at)
{
	if (offset < fixed - BODY || !range_within(offset, len, message - BODY)) {
		return false;
	}
	*at = offset + BODY;
	return true;
}

/* One piece of per-packet information: at p, of `size` bytes, its value at `offset`. */
static bool read_ppi(const uint8_t *p, uint32_t size, struct rndis_packet *out)
{
	uint32_t type = le32(p + 4), offset = le32(p + 8), value;

	/* So one that is too small for its header is refused, too. */
	if (offset < PPI_HEADER || offset > size) {
		return false;
	}
	if ((type & PPI_INTERNAL) != 0 ||
	    (type != PPI_CHECKSUM && type != PPI_LARGE_SEND && type != PPI_VLAN)) {
		return true; /* a hint for others */
	}
	if (size - offset < 4) {
		return false;
	}
	value = le32(p + offset);
	if (type == PPI_VLAN) {
		/* priority 0..2, CFI 3, VLAN 4..15 of the value */
		out->tagged = true;
		out->tci = (uint16_t)((value & 7) << 13 | (value >> 3 & 1) << 12 |
				      (value >> 4 & 0xfff));
	} else if (value != 0) {
		out->offload = true;
	}
	return true;
}

static bool read_all_ppi(const uint8_t *message, uint32_t at, uint32_t length,
			 struct rndis_packet *out)
{
	uint32_t end = at + length;

	while (at < end) {
		uint32_t size;

		if (end - at < PPI_HEADER) {
			return false;
		}
		size = le32(message + at);
		if (size > end - at || !read_ppi(message + at, size, out)) {
			return false;
		}
		at += size;
	}
	return true;
}

bool rndis_packet_parse(const uint8_t *bytes, uint32_t size, struct rndis_packet *out)
{
	uint32_t ppi_offset, ppi_length, ppi;

	memset(out, 0, sizeof(*out));
	if (size < RNDIS_PACKET_HEADER || le32(bytes + TYPE) != RNDIS_PACKET) {
		return false;
	}
	out->length = le32(bytes + LENGTH);
	if (out->length < RNDIS_PACKET_HEADER || out->length > size) {
		return false;
	}
	out->data_length = le32(bytes + BODY + 4);
	if (out->data_length == 0 || !locate(le32(bytes + BODY), out->data_length,
					     RNDIS_PACKET_HEADER, out->length, &out->data_offset)) {
		return false;
	}
	/* Out-of-band data, VC handle: of ATM. */
	if (le32(bytes + BODY + 12) != 0 || le32(bytes + BODY + 16) != 0) {
		return false;
	}
	ppi_offset = le32(bytes + BODY + 20);
	ppi_length = le32(bytes + BODY + 24);
	if (ppi_length == 0) {
		return true;
	}
	return locate(ppi_offset, ppi_length, RNDIS_PACKET_HEADER, out->length, &ppi) &&
	       read_all_ppi(bytes, ppi, ppi_length, out);
}

void rndis_packet_build(uint8_t out[RNDIS_PACKET_HEADER], uint32_t length)
{
	memset(out, 0, RNDIS_PACKET_HEADER);
	put32(out, TYPE, RNDIS_PACKET);
	put32(out, LENGTH, RNDIS_PACKET_HEADER + length);
	put32(out, BODY, RNDIS_PACKET_HEADER - BODY);
	put32(out, BODY + 4, length);
}

bool rndis_frame_fits(const uint8_t *frame, uint32_t length)
{
	bool tagged;

	if (length < RNDIS_FRAME_MIN) {
		return false;
	}
	tagged = frame[12] == 0x81 && frame[13] == 0x00;
	if (tagged && length < RNDIS_FRAME_MIN + RNDIS_TAG_BYTES) {
		return false;
	}
	return length <= RNDIS_FRAME_MAX + (tagged ? RNDIS_TAG_BYTES : 0);
}

bool rndis_filter_wants(const struct rndis_adapter *a, const uint8_t *frame)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint32_t need;

	if ((a->filter & RNDIS_FILTER_PROMISCUOUS) != 0) {
		return true;
	}
	if (memcmp(frame, broadcast, 6) == 0) {
		need = RNDIS_FILTER_BROADCAST;
	} else if ((frame[0] & 1) != 0) {
		/* No multicast list is kept: a guest that wants some sees all. */
		need = RNDIS_FILTER_MULTICAST | RNDIS_FILTER_ALL_MULTICAST;
	} else {
		need = memcmp(frame, a->mac, 6) == 0 ? RNDIS_FILTER_DIRECTED : 0;
	}
	return (a->filter & need) != 0;
}

static uint32_t begin_reply(uint8_t *reply, uint32_t type, uint32_t length, uint32_t request,
			    uint32_t status)
{
	memset(reply, 0, length);
	put32(reply, TYPE, type | RNDIS_COMPLETE);
	put32(reply, LENGTH, length);
	put32(reply, REQUEST, request);
	put32(reply, REQUEST + 4, status);
	return length;
}

static uint32_t initialize(struct rndis_adapter *a, const uint8_t *bytes, uint8_t *reply)
{
	bool ok = le32(bytes + 12) == VERSION_MAJOR;
	uint32_t length = begin_reply(reply, RNDIS_INITIALIZE, 52, le32(bytes + REQUEST),
				      ok ? RNDIS_STATUS_SUCCESS : RNDIS_STATUS_BAD_VERSION);

	put32(reply, 16, VERSION_MAJOR);
	put32(reply, 20, VERSION_MINOR);
	put32(reply, 24, CONNECTIONLESS);
	/* 28: the medium, 0: 802.3 */
	put32(reply, 32, RNDIS_PACKETS_MAX);
	put32(reply, 36, RNDIS_TRANSFER_MAX);
	put32(reply, 40, RNDIS_ALIGNMENT_SHIFT);
	/* 44, 48: address families, none */
	if (ok) {
		a->initialized = 1;
		a->filter = 0;
	}
	return length;
}

/* The information of a QUERY or SET; *at 0 and *length 0 where there is none. */
static bool information(const uint8_t *bytes, uint32_t message, uint32_t *at, uint32_t *length)
{
	*length = le32(bytes + 16);
	*at = 0;
	return *length == 0 || locate(le32(bytes + 20), *length, QUERY_FIXED, message, at);
}

static uint32_t query(struct rndis_adapter *a, const uint8_t *bytes, uint32_t at, uint32_t length,
		      uint8_t *reply)
{
	uint32_t info = 0, status = RNDIS_STATUS_FAILURE;

	begin_reply(reply, RNDIS_QUERY, RNDIS_REPLY_MAX, le32(bytes + REQUEST), 0);
	if (a->initialized != 0) {
		status = rndis_query(a, le32(bytes + 12), bytes + at, length,
				     reply + QUERY_REPLY_FIXED, &info);
	}
	put32(reply, LENGTH, QUERY_REPLY_FIXED + info);
	put32(reply, 12, status);
	put32(reply, 16, info);
	put32(reply, 20,
	      QUERY_REPLY_FIXED - BODY); /* guests check it where there is nothing, too */
	return QUERY_REPLY_FIXED + info;
}

static uint32_t set(struct rndis_adapter *a, const uint8_t *bytes, uint32_t at, uint32_t length,
		    uint8_t *reply)
{
	uint32_t status = RNDIS_STATUS_FAILURE;

	if (a->initialized != 0) {
		status = rndis_set(a, le32(bytes + 12), bytes + at, length);
	}
	return begin_reply(reply, RNDIS_SET, 16, le32(bytes + REQUEST), status);
}

bool rndis_control(struct rndis_adapter *a, const uint8_t *bytes, uint32_t size,
		   uint8_t reply[RNDIS_REPLY_MAX], uint32_t *reply_length)
{
	uint32_t length, type, at, info;

	*reply_length = 0;
	if (size < REQUEST + 4) {
		return false;
	}
	type = le32(bytes + TYPE);
	length = le32(bytes + LENGTH);
	if (length < REQUEST + 4 || length > size) {
		return false;
	}
	switch (type) {
	case RNDIS_INITIALIZE:
		if (length < 24) {
			return false;
		}
		*reply_length = initialize(a, bytes, reply);
		return true;
	case RNDIS_HALT:
		a->initialized = 0;
		a->filter = 0;
		return true;
	case RNDIS_KEEPALIVE:
		*reply_length = begin_reply(reply, RNDIS_KEEPALIVE, 16, le32(bytes + REQUEST),
					    RNDIS_STATUS_SUCCESS);
		return true;
	case RNDIS_QUERY:
	case RNDIS_SET:
		if (length < QUERY_FIXED || !information(bytes, length, &at, &info)) {
			return false;
		}
		*reply_length = type == RNDIS_QUERY ? query(a, bytes, at, info, reply)
						    : set(a, bytes, at, info, reply);
		return true;
	default:
		return false;
	}
}

uint32_t rndis_build_link(const struct rndis_adapter *a, uint8_t out[RNDIS_REPLY_MAX])
{
	memset(out, 0, 20);
	put32(out, TYPE, RNDIS_INDICATE);
	put32(out, LENGTH, 20);
	put32(out, BODY,
	      a->link_down != 0 ? RNDIS_STATUS_MEDIA_DISCONNECT : RNDIS_STATUS_MEDIA_CONNECT);
	return 20;
}
