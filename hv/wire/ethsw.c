/* SPDX-License-Identifier: MIT */
#include "hv/wire/ethsw.h"

#include "hv/wire/mem.h"

#define MAC 6u
#define TAG_BYTES 4u

static bool is_group(const uint8_t *mac)
{
	return (mac[0] & 1) != 0;
}

static bool is_zero(const uint8_t *mac)
{
	return (mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]) == 0;
}

/* Spanning tree, pause, link discovery: between a bridge and its neighbour. A guest is nobody's bridge. */
static bool is_reserved(const uint8_t *mac)
{
	static const uint8_t prefix[5] = { 0x01, 0x80, 0xc2, 0x00, 0x00 };

	return memcmp(mac, prefix, sizeof(prefix)) == 0 && mac[5] <= 0x0f;
}

/* Index of the port with that address, ETHSW_PORTS_MAX: none. */
static uint32_t port_of(const struct ethsw *sw, const uint8_t *mac)
{
	for (uint32_t i = 0; i < ETHSW_PORTS_MAX; i++) {
		if (sw->port[i].used && memcmp(sw->port[i].mac, mac, MAC) == 0) {
			return i;
		}
	}
	return ETHSW_PORTS_MAX;
}

void ethsw_init(struct ethsw *sw, bool uplink)
{
	memset(sw, 0, sizeof(*sw));
	sw->uplink = uplink;
}

uint32_t ethsw_find(const struct ethsw *sw, uint32_t id)
{
	for (uint32_t i = 0; i < ETHSW_PORTS_MAX; i++) {
		if (sw->port[i].used && sw->port[i].id == id) {
			return i;
		}
	}
	return ETHSW_PORTS_MAX;
}

uint32_t ethsw_add(struct ethsw *sw, uint32_t id, const uint8_t mac[6])
{
	uint32_t i = 0;

	if (is_group(mac) || is_zero(mac) || port_of(sw, mac) != ETHSW_PORTS_MAX ||
	    ethsw_find(sw, id) != ETHSW_PORTS_MAX) {
		return ETHSW_PORTS_MAX;
	}
	while (i < ETHSW_PORTS_MAX && sw->port[i].used) {
		i++;
	}
	if (i < ETHSW_PORTS_MAX) {
		sw->port[i].used = true;
		sw->port[i].id = id;
		memcpy(sw->port[i].mac, mac, MAC);
	}
	return i;
}

void ethsw_remove(struct ethsw *sw, uint32_t index)
{
	if (index < ETHSW_PORTS_MAX) {
		memset(&sw->port[index], 0, sizeof(sw->port[index]));
	}
}

static bool size_passes(const uint8_t *frame, uint32_t length)
{
	bool tagged;

	if (length < ETHSW_FRAME_MIN) {
		return false;
	}
	tagged = frame[12] == 0x81 && frame[13] == 0x00;
	if (tagged) {
		return length >= ETHSW_FRAME_MIN + TAG_BYTES &&
		       length <= ETHSW_FRAME_MAX + TAG_BYTES;
	}
	return length <= ETHSW_FRAME_MAX;
}

static bool source_passes(const struct ethsw *sw, uint32_t from, const uint8_t *source)
{
	if (from != ETHSW_UPLINK) {
		return memcmp(source, sw->port[from].mac, MAC) == 0;
	}
	return !is_group(source) && !is_zero(source) && port_of(sw, source) == ETHSW_PORTS_MAX;
}

static uint64_t everybody(const struct ethsw *sw)
{
	uint64_t all = sw->uplink ? 1ull << ETHSW_UPLINK : 0;

	for (uint32_t i = 0; i < ETHSW_PORTS_MAX; i++) {
		if (sw->port[i].used) {
			all |= 1ull << i;
		}
	}
	return all;
}

enum ethsw_verdict ethsw_decide(const struct ethsw *sw, uint32_t from, const uint8_t *frame,
				uint32_t length, uint64_t *to)
{
	uint64_t targets;
	uint32_t port;

	*to = 0;
	if (from > ETHSW_UPLINK || (from == ETHSW_UPLINK ? !sw->uplink : !sw->port[from].used)) {
		return ETHSW_BAD_PORT;
	}
	if (!size_passes(frame, length)) {
		return ETHSW_BAD_SIZE;
	}
	if (!source_passes(sw, from, frame + MAC)) {
		return ETHSW_SPOOFED;
	}
	if (is_reserved(frame) || is_zero(frame)) {
		return ETHSW_RESERVED;
	}
	if (is_group(frame)) {
		targets = everybody(sw);
	} else {
		port = port_of(sw, frame);
		if (port != ETHSW_PORTS_MAX) {
			targets = 1ull << port;
		} else {
			targets = sw->uplink ? 1ull << ETHSW_UPLINK : 0;
		}
	}
	*to = targets & ~(1ull << from);
	return *to != 0 ? ETHSW_FORWARD : ETHSW_NOWHERE;
}
