/* SPDX-License-Identifier: MIT */
#include "hv/wire/ic.h"

/* The pipe's header: kind of packet, length of what follows. */
#define PIPE_BYTES 8u
#define PIPE_DATA 1u
/*
 * The header of a message: framework version (4 bytes), type (2), message version (4), size of the
 * body (2), status (4), transaction (1), flags (1), reserved (2).
 */
#define HEADER_BYTES 20u
#define BODY (PIPE_BYTES + HEADER_BYTES)

#define FLAG_TRANSACTION 1u
#define FLAG_REQUEST 2u
#define FLAG_RESPONSE 4u

/* Body of a negotiation: two counts, reserved, then versions: the framework's, the message's. */
#define NEGOTIATE_HEAD 8u
#define NEGOTIATE_ANSWER (NEGOTIATE_HEAD + 8u)
#define VERSIONS_MAX 3u

#define SHUTDOWN_BYTES (12u + 2048u)
#define SHUTDOWN_POWER_OFF 0u
#define SHUTDOWN_REBOOT 2u
#define HEARTBEAT_BYTES (8u + 32u)
#define TIMESYNC_BYTES 25u
#define TIMESYNC_SET 1u
#define TIMESYNC_SAMPLE 2u

_Static_assert(BODY + SHUTDOWN_BYTES == IC_BYTES_MAX, "shutdown is the largest");

struct offer {
	enum ic_type type;
	uint32_t count;
	struct ic_version version[VERSIONS_MAX];
};

static const struct ic_version frameworks[] = { { 3, 0 }, { 1, 0 } };
#define FRAMEWORKS 2u

/*
 * No version 4 of time synchronisation: it adds the guest's reference time at the moment of the
 * sample, which no process of the root can read, and a guest takes any other value for an age.
 */
static const struct offer offers[IC_KINDS] = {
	[IC_SHUTDOWN] = { IC_TYPE_SHUTDOWN, 3, { { 3, 2 }, { 3, 0 }, { 1, 0 } } },
	[IC_HEARTBEAT] = { IC_TYPE_HEARTBEAT, 2, { { 3, 0 }, { 1, 0 } } },
	[IC_TIMESYNC] = { IC_TYPE_TIMESYNC, 2, { { 3, 0 }, { 1, 0 } } },
};

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)v);
	put16(p + 2, (uint16_t)(v >> 16));
}

static void put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)(v >> 32));
}

static void put_version(uint8_t *p, struct ic_version v)
{
	put16(p, v.major);
	put16(p + 2, v.minor);
}

static struct ic_version get_version(const uint8_t *p)
{
	struct ic_version v = { le16(p), le16(p + 2) };

	return v;
}

static bool same_version(struct ic_version a, struct ic_version b)
{
	return a.major == b.major && a.minor == b.minor;
}

/* Both headers; the body is zeroed. Answers the length of all. */
static uint32_t begin(uint8_t *to, enum ic_type type, const struct ic_request *r, uint32_t body)
{
	for (uint32_t i = 0; i < BODY + body; i++) {
		to[i] = 0;
	}
	put32(to, PIPE_DATA);
	put32(to + 4, HEADER_BYTES + body);
	put_version(to + 8, r->framework);
	put16(to + 12, (uint16_t)type);
	put_version(to + 14, r->version);
	put16(to + 18, (uint16_t)body);
	to[24] = r->transaction;
	to[25] = FLAG_TRANSACTION | FLAG_REQUEST;
	return BODY + body;
}

uint32_t ic_build_negotiate(enum ic_kind kind, uint8_t transaction, uint8_t to[IC_BYTES_MAX])
{
	const struct offer *o = &offers[kind];
	struct ic_request r = { kind, { 0, 0 }, { 0, 0 }, transaction };
	uint32_t size = NEGOTIATE_HEAD + 4 * (FRAMEWORKS + o->count);
	uint8_t *at = to + BODY + NEGOTIATE_HEAD;

	size = begin(to, IC_TYPE_NEGOTIATE, &r, size);
	put16(to + BODY, FRAMEWORKS);
	put16(to + BODY + 2, (uint16_t)o->count);
	for (uint32_t i = 0; i < FRAMEWORKS; i++, at += 4) {
		put_version(at, frameworks[i]);
	}
	for (uint32_t i = 0; i < o->count; i++, at += 4) {
		put_version(at, o->version[i]);
	}
	return size;
}

uint32_t ic_build_shutdown(const struct ic_request *r, bool reboot, uint8_t to[IC_BYTES_MAX])
{
	uint32_t size = begin(to, IC_TYPE_SHUTDOWN, r, SHUTDOWN_BYTES);

	put32(to + BODY + 8, reboot ? SHUTDOWN_REBOOT : SHUTDOWN_POWER_OFF);
	return size;
}

uint32_t ic_build_heartbeat(const struct ic_request *r, uint64_t sequence, uint8_t to[IC_BYTES_MAX])
{
	uint32_t size = begin(to, IC_TYPE_HEARTBEAT, r, HEARTBEAT_BYTES);

	put64(to + BODY, sequence);
	return size;
}

uint32_t ic_build_timesync(const struct ic_request *r, uint64_t host_time, bool set,
			   uint8_t to[IC_BYTES_MAX])
{
	uint32_t size = begin(to, IC_TYPE_TIMESYNC, r, TIMESYNC_BYTES);

	put64(to + BODY, host_time);
	/* 8: child's time, 16: round trip: unknown, 0. */
	to[BODY + 24] = set ? TIMESYNC_SET : TIMESYNC_SAMPLE;
	return size;
}

static bool version_offered(const struct ic_version *list, uint32_t count, struct ic_version v)
{
	for (uint32_t i = 0; i < count; i++) {
		if (same_version(list[i], v)) {
			return true;
		}
	}
	return false;
}

static bool parse_negotiate(const struct offer *o, const uint8_t *body, uint32_t size,
			    struct ic_answer *out)
{
	uint16_t framework_count, version_count;

	if (size < NEGOTIATE_HEAD) {
		return false;
	}
	framework_count = le16(body);
	version_count = le16(body + 2);
	if (framework_count == 0 && version_count == 0) {
		return true;
	}
	if (framework_count != 1 || version_count != 1 || size < NEGOTIATE_ANSWER) {
		return false;
	}
	out->framework = get_version(body + NEGOTIATE_HEAD);
	out->version = get_version(body + NEGOTIATE_HEAD + 4);
	out->agreed = version_offered(frameworks, FRAMEWORKS, out->framework) &&
		      version_offered(o->version, o->count, out->version);
	return out->agreed;
}

bool ic_parse(enum ic_kind kind, const uint8_t *payload, uint32_t size, struct ic_answer *out)
{
	const struct offer *o = &offers[kind];
	const uint8_t *body = payload + BODY;
	uint32_t body_size, type;

	*out = (struct ic_answer){ .type = IC_TYPE_NEGOTIATE };
	/* Packets are padded: the payload may be longer than the message, never shorter. */
	if (size < BODY || le32(payload) != PIPE_DATA ||
	    !range_within(PIPE_BYTES, le32(payload + 4), size) ||
	    le32(payload + 4) < HEADER_BYTES) {
		return false;
	}
	type = le16(payload + 12);
	body_size = le16(payload + 18);
	if (!range_within(BODY, body_size, size) || (payload[25] & FLAG_RESPONSE) == 0) {
		return false;
	}
	out->status = le32(payload + 20);
	out->transaction = payload[24];
	if (type == IC_TYPE_NEGOTIATE) {
		return parse_negotiate(o, body, body_size, out);
	}
	if (type != (uint32_t)o->type) {
		return false;
	}
	out->type = o->type;
	if (out->type == IC_TYPE_HEARTBEAT) {
		if (body_size < 8) {
			return false;
		}
		out->sequence = le64(body);
	}
	return true;
}
