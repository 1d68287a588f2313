/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_RNDIS_H
#define HV_WIRE_RNDIS_H
/*
 * Remote NDIS (the public RNDIS specification, and what Linux's rndis_filter.c makes of it): the packets that carry Ethernet
 * frames, and the control messages with which a guest sets up its adapter. All functions work on bytes that were copied out of the
 * guest's memory before.
 */
#include "hv/wire/view.h"

#define RNDIS_PACKET_HEADER 44u /* of a frame on its way to the guest: no per-packet information */
#define RNDIS_FRAME_MIN 14u
#define RNDIS_FRAME_MAX 1514u /* without a VLAN tag */
#define RNDIS_TAG_BYTES 4u
#define RNDIS_REPLY_MAX 192u       /* largest answer to a control message */
#define RNDIS_TRANSFER_MAX 0x4000u /* bytes of one transfer, either way */
#define RNDIS_PACKETS_MAX 8u       /* per transfer */
#define RNDIS_ALIGNMENT_SHIFT 3u

enum rndis_type {
	RNDIS_PACKET = 1,
	RNDIS_INITIALIZE = 2,
	RNDIS_HALT = 3,
	RNDIS_QUERY = 4,
	RNDIS_SET = 5,
	RNDIS_INDICATE = 7,
	RNDIS_KEEPALIVE = 8,
};
#define RNDIS_COMPLETE 0x80000000u /* set in the type of an answer */

#define RNDIS_STATUS_SUCCESS 0u
#define RNDIS_STATUS_MEDIA_CONNECT 0x4001000bu
#define RNDIS_STATUS_MEDIA_DISCONNECT 0x4001000cu
#define RNDIS_STATUS_FAILURE 0xc0000001u
#define RNDIS_STATUS_NOT_SUPPORTED 0xc00000bbu
#define RNDIS_STATUS_BAD_VERSION 0xc0010004u
#define RNDIS_STATUS_INVALID_LENGTH 0xc0010014u
#define RNDIS_STATUS_INVALID_DATA 0xc0010015u

enum rndis_oid { /* all that are answered; any other is "not supported" */
		 RNDIS_OID_MAXIMUM_FRAME_SIZE = 0x00010106,
		 RNDIS_OID_LINK_SPEED = 0x00010107,
		 RNDIS_OID_CURRENT_PACKET_FILTER = 0x0001010e,
		 RNDIS_OID_MAXIMUM_TOTAL_SIZE = 0x00010111,
		 RNDIS_OID_MEDIA_CONNECT_STATUS = 0x00010114,
		 RNDIS_OID_PERMANENT_ADDRESS = 0x01010101,
		 RNDIS_OID_CURRENT_ADDRESS = 0x01010102,
};
/* Above what an enumeration holds. */
#define RNDIS_OID_OFFLOAD_PARAMETERS 0xfc01020cu
#define RNDIS_OID_OFFLOAD_HW_CAPS 0xfc01020du

#define RNDIS_FILTER_DIRECTED 0x01u
#define RNDIS_FILTER_MULTICAST 0x02u
#define RNDIS_FILTER_ALL_MULTICAST 0x04u
#define RNDIS_FILTER_BROADCAST 0x08u
#define RNDIS_FILTER_PROMISCUOUS 0x20u

/* One adapter, as RNDIS sees it. */
struct rndis_adapter {
	uint8_t mac[6];
	uint8_t initialized; /* INITIALIZE was answered, no HALT since */
	uint8_t link_down;
	uint32_t filter; /* 0: nothing goes to the guest */
};

/* A PACKET message, checked. Offsets count from the start of the message. */
struct rndis_packet {
	uint32_t length;      /* of the whole message: where the next one starts */
	uint32_t data_offset; /* of the frame; at least RNDIS_TAG_BYTES */
	uint32_t data_length; /* not 0; frame sizes are the caller's to judge */
	bool tagged;          /* a VLAN tag belongs in front of the frame's type */
	uint16_t tci;
	bool offload; /* wants a checksum or segmentation that was never offered: must not be sent */
};

/*
 * Reads the PACKET message at the start of bytes[0..size). Trust: all bytes. false: another type, lengths or offsets beyond the
 * message, the frame in the header, broken per-packet information.
 */
bool rndis_packet_parse(const uint8_t *bytes, uint32_t size, struct rndis_packet *out);

/* The header in front of a frame of `length` bytes. */
void rndis_packet_build(uint8_t out[RNDIS_PACKET_HEADER], uint32_t length);

/* An Ethernet frame of a size that may pass: 14..1514 bytes, 4 more with a VLAN tag. Trust: all. */
bool rndis_frame_fits(const uint8_t *frame, uint32_t length);

/* The guest wants this frame (of at least RNDIS_FRAME_MIN bytes) with its filter. */
bool rndis_filter_wants(const struct rndis_adapter *a, const uint8_t *frame);

/*
 * Serves one control message. Trust: all bytes. *reply_length 0: it has no answer (HALT). false: malformed or of a type that
 * is none of a guest's; nothing was changed.
 */
bool rndis_control(struct rndis_adapter *a, const uint8_t *bytes, uint32_t size,
		   uint8_t reply[RNDIS_REPLY_MAX], uint32_t *reply_length);

/* The indication of the link's state; answers its length. */
uint32_t rndis_build_link(const struct rndis_adapter *a, uint8_t out[RNDIS_REPLY_MAX]);

/*
 * Single OIDs (rndis_oid.c): both answer an RNDIS status. Trust: in[0..length). A query writes at most RNDIS_INFO_MAX bytes.
 */
#define RNDIS_INFO_MAX 160u
uint32_t rndis_query(const struct rndis_adapter *a, uint32_t oid, const uint8_t *in,
		     uint32_t length, uint8_t out[RNDIS_INFO_MAX], uint32_t *out_length);
uint32_t rndis_set(struct rndis_adapter *a, uint32_t oid, const uint8_t *in, uint32_t length);

#endif
