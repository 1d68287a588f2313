/* SPDX-License-Identifier: MIT */
#include "hv/wire/hvsock.h"

#define TYPE_DATA 1u

bool hvsock_parse(const uint8_t *payload, uint32_t length, struct hvsock_packet *p)
{
	uint32_t size, end;

	if (length < HVSOCK_HEADER || le32(payload) != TYPE_DATA) {
		return false;
	}
	size = le32(payload + 4);
	if (size > HVSOCK_DATA_MAX || length != (HVSOCK_HEADER + size + 7) / 8 * 8) {
		return false;
	}
	for (end = HVSOCK_HEADER + size; end < length; end++) {
		if (payload[end] != 0) {
			return false;
		}
	}
	p->data = payload + HVSOCK_HEADER;
	p->size = size;
	return true;
}

static void set32(uint8_t *p, uint32_t v)
{
	for (uint32_t i = 0; i < 4; i++) {
		p[i] = (uint8_t)(v >> (8 * i));
	}
}

void hvsock_header(uint8_t to[HVSOCK_HEADER], uint32_t size)
{
	set32(to, TYPE_DATA);
	set32(to + 4, size);
}
