/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_VMBUS_H
#define HV_WIRE_VMBUS_H
/*
 * Messages of the VMBus channel protocol (Linux: include/linux/hyperv.h), bytes to owned values and back. What they mean is
 * the business of hv/wire/vmbus_server.h.
 */
#include "hv/wire/view.h"

#define VMBUS_MESSAGE_MAX 240
#define VMBUS_PAGE 4096u
#define VMBUS_HEADER_PFNS 26 /* in a GPADL_HEADER */
#define VMBUS_BODY_PFNS 28   /* in a GPADL_BODY */

#define VMBUS_VERSION(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor))
#define VMBUS_4_0 VMBUS_VERSION(4, 0)
#define VMBUS_4_1 VMBUS_VERSION(4, 1)
#define VMBUS_5_0 VMBUS_VERSION(5, 0)
#define VMBUS_5_1 VMBUS_VERSION(5, 1)
#define VMBUS_5_2 VMBUS_VERSION(5, 2)
#define VMBUS_5_3 VMBUS_VERSION(5, 3)

#define VMBUS_CONNECTION_OLD 1u        /* messages of versions below 5.0 */
#define VMBUS_CONNECTION 4u            /* messages of 5.0 and later */
#define VMBUS_CONNECTION_EVENT 0x2000u /* + relid: what the guest signals for a channel */

#define VMBUS_OK 0u
#define VMBUS_FAILED 0x8000ffffu /* any status but 0 is a refusal */

enum vmbus_type {
	VMBUS_OFFER = 1,
	VMBUS_RESCIND,
	VMBUS_REQUEST_OFFERS,
	VMBUS_ALL_OFFERS,
	VMBUS_OPEN,
	VMBUS_OPEN_RESULT,
	VMBUS_CLOSE,
	VMBUS_GPADL_HEADER,
	VMBUS_GPADL_BODY,
	VMBUS_GPADL_CREATED,
	VMBUS_GPADL_TEARDOWN,
	VMBUS_GPADL_TORNDOWN,
	VMBUS_RELID_RELEASED,
	VMBUS_INITIATE_CONTACT,
	VMBUS_VERSION_RESPONSE,
	VMBUS_UNLOAD,
	VMBUS_UNLOAD_RESPONSE,
	/* 18..20 are reserved */
	VMBUS_TL_CONNECT = 21,
	VMBUS_MODIFY_CHANNEL,
	VMBUS_TL_CONNECT_RESULT,
	VMBUS_MODIFY_RESPONSE,
};

struct vmbus_guid {
	uint8_t b[16]; /* as on the wire: the first three fields little-endian */
};

/* --- guest to host --- */
struct vmbus_contact {
	uint32_t version, vp;
	uint8_t sint, vtl; /* of the messages to the guest; 5.0 and later */
	bool reserved_set; /* 5.0 and later: a byte beside them is not 0 */
};

struct vmbus_open {
	uint32_t relid, open_id, gpadl, vp, downstream;
};

/* The first message of a GPADL, and its first pfns. Of one that ends within a field only relid and gpadl are set, for the refusal: no range. */
struct vmbus_gpadl_header {
	uint32_t relid, gpadl;
	uint32_t buffer_length, range_count; /* u16 on the wire */
	uint32_t length, offset;
	uint32_t count; /* pfns in this message */
};

struct vmbus_gpadl_body {
	uint32_t gpadl;
	uint32_t count;
};

struct vmbus_message {
	enum vmbus_type type;
	union {
		struct vmbus_contact contact;
		struct vmbus_open open;
		struct vmbus_gpadl_header gpadl_header;
		struct vmbus_gpadl_body gpadl_body;
		struct {
			uint32_t relid, gpadl;
		} teardown;
		struct {
			uint32_t relid, vp;
		} modify;
		struct {
			struct vmbus_guid endpoint, service;
		} connect;
		uint32_t relid; /* CLOSE, RELID_RELEASED */
	};
	uint64_t pfn[VMBUS_BODY_PFNS]; /* of GPADL_HEADER and GPADL_BODY */
};

/*
 * Copies a message into owned values. Trust: all of it, size too. false: not a message that a guest sends, a wrong size, or
 * padding that is not 0; *m is then undefined. Numbers in it are not judged here.
 */
bool vmbus_parse(const uint8_t *payload, uint32_t size, struct vmbus_message *m);

/* --- host to guest: each writes its message to `to` (VMBUS_MESSAGE_MAX bytes) and returns its size --- */
struct vmbus_offer {
	struct vmbus_guid class_id, instance;
	uint32_t relid;
	uint16_t sub; /* sub-channel; 0: the primary */
	bool pipe;    /* message pipe: integration services, keyboard */
	bool stream;  /* a connection of hv_sock, which the guest asked for */
};

uint32_t vmbus_build_offer(uint8_t *to, const struct vmbus_offer *o);
/* ALL_OFFERS, UNLOAD_RESPONSE. */
uint32_t vmbus_build_plain(uint8_t *to, enum vmbus_type type);
/* RESCIND: relid. GPADL_TORNDOWN: gpadl. */
uint32_t vmbus_build_id(uint8_t *to, enum vmbus_type type, uint32_t id);
uint32_t vmbus_build_open_result(uint8_t *to, uint32_t relid, uint32_t open_id, uint32_t status);
uint32_t vmbus_build_gpadl_created(uint8_t *to, uint32_t relid, uint32_t gpadl, uint32_t status);
uint32_t vmbus_build_modify_response(uint8_t *to, uint32_t relid, uint32_t status);
uint32_t vmbus_build_version(uint8_t *to, bool supported, uint32_t connection);
uint32_t vmbus_build_connect_result(uint8_t *to, const struct vmbus_guid *endpoint,
				    const struct vmbus_guid *service, uint32_t status);

#endif
