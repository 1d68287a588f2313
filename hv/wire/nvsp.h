/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_NVSP_H
#define HV_WIRE_NVSP_H
/*
 * Messages of the synthetic network adapter (NVSP; struct nvsp_message of Linux's hyperv_net.h). TLFS does not describe them. A
 * message is 40 bytes, a type and its fields; RNDIS messages travel beside it: in a section of a buffer that both sides know,
 * or in ranges of guest memory.
 */
#include "hv/wire/view.h"

#define NVSP_BYTES 40u

#define NVSP_VERSION_5 0x50000u
#define NVSP_VERSION_6 0x60000u
#define NVSP_VERSION_61 0x60001u

#define NVSP_SECTION_NONE 0xffffffffu /* nvsp_message.rndis.section: no send buffer section */

enum nvsp_type {
	NVSP_INIT = 1,
	NVSP_INIT_COMPLETE = 2,
	NVSP_NDIS_VERSION = 100,
	NVSP_SEND_RECEIVE_BUFFER = 101,
	NVSP_SEND_RECEIVE_BUFFER_COMPLETE = 102,
	NVSP_REVOKE_RECEIVE_BUFFER = 103,
	NVSP_SEND_SEND_BUFFER = 104,
	NVSP_SEND_SEND_BUFFER_COMPLETE = 105,
	NVSP_REVOKE_SEND_BUFFER = 106,
	NVSP_RNDIS = 107,
	NVSP_RNDIS_COMPLETE = 108,
	NVSP_NDIS_CONFIG = 125,
	NVSP_SWITCH_DATA_PATH = 129,
	NVSP_SUBCHANNEL = 133,
};

enum nvsp_status {
	NVSP_SUCCESS = 1,
	NVSP_FAIL = 2,
	NVSP_TOO_NEW = 3,
	NVSP_TOO_OLD = 4,
	NVSP_INVALID_RNDIS = 5,
	NVSP_BUSY = 6,
	NVSP_UNSUPPORTED = 7,
};

enum nvsp_channel { NVSP_DATA = 0, NVSP_CONTROL = 1 }; /* nvsp_message.rndis.channel */

struct nvsp_message {
	uint32_t type; /* enum nvsp_type */
	union {
		struct {
			uint32_t min, max;
		} init;
		struct {
			uint32_t major, minor;
		} ndis_version;
		struct {
			uint32_t mtu; /* with the Ethernet header */
			uint64_t capabilities;
		} ndis_config;
		struct { /* both buffers */
			uint32_t gpadl;
			uint16_t id;
		} buffer;
		struct { /* both buffers */
			uint16_t id;
		} revoke;
		struct {
			uint32_t channel, section, length;
		} rndis;
		struct {
			uint32_t status;
		} complete;
		struct {
			uint32_t operation, count;
		} subchannel;
		struct {
			uint32_t active; /* 0 synthetic, 1 VF */
		} data_path;
	};
};

/*
 * Trust: all bytes. Parses what a guest sends: requests, and its NVSP_RNDIS_COMPLETE. Bytes behind a message's own fields are not
 * looked at: guests leave old ones there. false: shorter than the fields of its type, or a type that no guest sends.
 */
bool nvsp_parse(const uint8_t *bytes, uint32_t size, struct nvsp_message *out);

/*
 * The version to use with a guest that speaks min..max: *version is the newest that both know, 0 where the answer is not
 * NVSP_SUCCESS. Below 5 is refused: no guest of the last ten years needs it.
 */
enum nvsp_status nvsp_choose_version(uint32_t min, uint32_t max, uint32_t *version);

/* Each writes a whole message. */
void nvsp_build_init_complete(uint8_t out[NVSP_BYTES], enum nvsp_status status, uint32_t version);
/* One section array from offset 0, as every guest demands; sections 0 with a failure. */
void nvsp_build_receive_buffer_complete(uint8_t out[NVSP_BYTES], enum nvsp_status status,
					uint32_t sections, uint32_t section_bytes);
void nvsp_build_send_buffer_complete(uint8_t out[NVSP_BYTES], enum nvsp_status status,
				     uint32_t section_bytes);
void nvsp_build_rndis_complete(uint8_t out[NVSP_BYTES], enum nvsp_status status);
void nvsp_build_subchannel_complete(uint8_t out[NVSP_BYTES], enum nvsp_status status,
				    uint32_t count);
/* Host to guest: the ranges of the packet that carries it say where the RNDIS message is. */
void nvsp_build_rndis(uint8_t out[NVSP_BYTES], enum nvsp_channel channel);

#endif
