/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_IC_H
#define HV_WIRE_IC_H
/*
 * Messages of the integration components: shutdown, heartbeat, time synchronisation. The host asks, the guest answers by the
 * same message with another flag, and for one component there is one request at a time. First of all versions are negotiated:
 * the host lists what it knows, the guest chooses. Reference: hv_util.c and include/linux/hyperv.h of Linux.
 */
#include "hv/wire/view.h"

enum ic_kind { IC_SHUTDOWN, IC_HEARTBEAT, IC_TIMESYNC, IC_KINDS };

struct ic_version {
	uint16_t major, minor;
};

/*
 * Payload of the largest message, a multiple of 8. A shutdown must be exactly as long as the guest's structure: a shorter one
 * is not even answered.
 */
#define IC_BYTES_MAX 2088u

struct ic_request {
	enum ic_kind kind;
	struct ic_version framework, version; /* negotiated */
	uint8_t transaction;                  /* comes back in the answer */
};

/* Each writes the payload of a packet to `to` and answers its length in bytes. */
uint32_t ic_build_negotiate(enum ic_kind kind, uint8_t transaction, uint8_t to[IC_BYTES_MAX]);
uint32_t ic_build_shutdown(const struct ic_request *r, bool reboot, uint8_t to[IC_BYTES_MAX]);
uint32_t ic_build_heartbeat(const struct ic_request *r, uint64_t sequence,
			    uint8_t to[IC_BYTES_MAX]);
/* Host time in units of 100 ns since 1601. set: the guest's clock is set, else it is a sample. */
uint32_t ic_build_timesync(const struct ic_request *r, uint64_t host_time, bool set,
			   uint8_t to[IC_BYTES_MAX]);

enum ic_type {
	IC_TYPE_NEGOTIATE = 0,
	IC_TYPE_HEARTBEAT = 1,
	IC_TYPE_SHUTDOWN = 3,
	IC_TYPE_TIMESYNC = 4
};

struct ic_answer {
	enum ic_type type;
	uint8_t transaction;
	uint32_t status; /* 0: done */
	/* IC_TYPE_NEGOTIATE */
	bool agreed; /* false: the guest knows none of our versions */
	struct ic_version framework, version;
	/* IC_TYPE_HEARTBEAT */
	uint64_t sequence;
};

/*
 * Trust: payload[0..size) is hostile. false: not an answer that a guest may give on a channel of this kind: a wrong length, not a
 * response, a message of another component, versions that we did not offer.
 */
bool ic_parse(enum ic_kind kind, const uint8_t *payload, uint32_t size, struct ic_answer *out);

#endif
