/* SPDX-License-Identifier: MIT */
/*
 * Input: byte 0: the component (bits 0-1), and bit 7: the rest is not an answer but changes to one that a real guest would give,
 * as pairs of offset (2 bytes) and value. Else the rest is the payload of a packet.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/script.h"
#include "hv/wire/ic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_version(struct ic_version v)
{
	CHECK_FUZZ((v.major == 1 && v.minor == 0) || (v.major == 3 && v.minor <= 2));
}

static void check(enum ic_kind kind, const uint8_t *payload, uint32_t size)
{
	static const enum ic_type own[IC_KINDS] = { IC_TYPE_SHUTDOWN, IC_TYPE_HEARTBEAT,
						    IC_TYPE_TIMESYNC };
	struct ic_answer a, again;
	bool ok;

	memset(&a, 0x5a, sizeof(a));
	ok = ic_parse(kind, payload, size, &a);
	CHECK_FUZZ(ok == ic_parse(kind, payload, size, &again));
	if (!ok) {
		return;
	}
	CHECK_FUZZ(size >= 28);
	CHECK_FUZZ(a.type == IC_TYPE_NEGOTIATE || a.type == own[kind]);
	CHECK_FUZZ(a.agreed == again.agreed && a.sequence == again.sequence);
	CHECK_FUZZ(!a.agreed || a.type == IC_TYPE_NEGOTIATE);
	if (a.agreed) {
		check_version(a.framework);
		check_version(a.version);
	}
}

/* What we would send, in a packet of its own size. */
static uint32_t build(enum ic_kind kind, uint8_t what, uint8_t to[IC_BYTES_MAX])
{
	struct ic_request r = { kind, { 3, 0 }, { 3, 0 }, what };
	uint32_t size;

	if ((what & 1) != 0) {
		size = ic_build_negotiate(kind, what, to);
	} else if (kind == IC_SHUTDOWN) {
		size = ic_build_shutdown(&r, (what & 2) != 0, to);
	} else if (kind == IC_HEARTBEAT) {
		size = ic_build_heartbeat(&r, what, to);
	} else {
		size = ic_build_timesync(&r, what, (what & 2) != 0, to);
	}
	CHECK_FUZZ(size >= 28 && size <= IC_BYTES_MAX);
	/* A request is not an answer, whatever is in it. */
	struct ic_answer a;
	CHECK_FUZZ(!ic_parse(kind, to, size, &a));
	return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 };
	uint8_t head = (uint8_t)script_take(&s, 1);
	enum ic_kind kind = (enum ic_kind)((head & 3) % IC_KINDS);
	static uint8_t built[IC_BYTES_MAX];
	uint32_t length;
	uint8_t *payload;

	if (size < 1) {
		return 0;
	}
	if ((head & 0x80) != 0) {
		length = build(kind, (uint8_t)script_take(&s, 1), built);
		built[25] = 5;
		while (script_more(&s)) {
			uint32_t at = (uint32_t)script_take(&s, 2) % length;

			built[at] = (uint8_t)script_take(&s, 1);
		}
		length -= (head >> 2 & 3) < length ? head >> 2 & 3 : 0;
	} else {
		length = size - 1 < sizeof(built) ? (uint32_t)(size - 1) : sizeof(built);
		memcpy(built, data + 1, length);
	}
	payload = malloc(length);
	if (payload == NULL) {
		return 0;
	}
	memcpy(payload, built, length);
	check(kind, payload, length);
	free(payload);
	return 0;
}
