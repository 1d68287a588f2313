/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_VSTOR_H
#define HV_WIRE_VSTOR_H
/*
 * The packets of the synthetic SCSI controller (struct vstor_packet of Linux's storvsc_drv.c). TLFS does not describe them.
 * Every packet, both ways, is 64 bytes: operation, flags, status, then what the operation needs.
 */
#include "hv/wire/view.h"

#define VSTOR_PACKET_BYTES 64u
#define VSTOR_SENSE_MAX 20u
#define VSTOR_CDB_MAX 16u

enum vstor_operation {
	VSTOR_COMPLETE_IO = 1, /* of every answer */
	VSTOR_EXECUTE_SRB = 3,
	VSTOR_RESET_BUS = 6,
	VSTOR_BEGIN_INITIALIZATION = 7,
	VSTOR_END_INITIALIZATION = 8,
	VSTOR_QUERY_PROTOCOL_VERSION = 9,
	VSTOR_QUERY_PROPERTIES = 10,
};

/* Versions a guest may ask for: major << 8 | minor. */
#define VSTOR_VERSION_WIN8 0x0501u
#define VSTOR_VERSION_BLUE 0x0600u
#define VSTOR_VERSION_WIN10 0x0602u

/* Status of a packet: NTSTATUS values, 0 is success. */
#define VSTOR_STATUS_SUCCESS 0u
#define VSTOR_STATUS_INVALID_PARAMETER 0xc000000du
#define VSTOR_STATUS_INVALID_REQUEST 0xc0000010u
#define VSTOR_STATUS_REVISION_MISMATCH 0xc0000059u
#define VSTOR_STATUS_INVALID_STATE 0xc0000184u

/* Status of an SRB. */
#define VSTOR_SRB_SUCCESS 0x01u
#define VSTOR_SRB_ERROR 0x04u
#define VSTOR_SRB_INVALID_REQUEST 0x06u
#define VSTOR_SRB_DATA_OVERRUN 0x12u
#define VSTOR_SRB_INVALID_LUN 0x20u
#define VSTOR_SRB_AUTOSENSE_VALID 0x80u
#define VSTOR_SCSI_CHECK_CONDITION 2u

enum vstor_direction { VSTOR_DATA_OUT = 0, VSTOR_DATA_IN = 1, VSTOR_DATA_NONE = 2 };

struct vstor_srb {
	uint8_t srb_status, scsi_status;
	uint8_t port, path, target, lun;
	uint8_t cdb_length;   /* <= VSTOR_CDB_MAX */
	uint8_t sense_length; /* request: room for it; answer: what there is; <= VSTOR_SENSE_MAX */
	uint8_t direction;    /* enum vstor_direction */
	uint8_t queue_tag, queue_action;
	uint32_t transfer; /* request: bytes of the data buffer; answer: bytes moved */
	uint32_t srb_flags, timeout;
	uint8_t bytes[VSTOR_SENSE_MAX]; /* request: the CDB; answer: the sense data */
};

struct vstor_packet {
	uint32_t operation; /* any value: an unknown one is for the caller to answer */
	uint32_t flags, status;
	uint16_t version;     /* of QUERY_PROTOCOL_VERSION */
	struct vstor_srb srb; /* of EXECUTE_SRB */
};

/*
 * Parses the payload of a ring packet. Trust: all bytes. false: not 64 bytes, or an SRB with a wrong length of itself, a CDB of
 * more than 16 or no bytes, more sense than there is room for, an unknown direction. out->operation is set where it is known.
 */
bool vstor_parse(const uint8_t *bytes, uint32_t size, struct vstor_packet *out);

/* The answer to anything that has only a status. */
void vstor_build_status(uint8_t to[VSTOR_PACKET_BYTES], uint32_t status);
void vstor_build_version(uint8_t to[VSTOR_PACKET_BYTES], uint16_t version, uint32_t status);
void vstor_build_properties(uint8_t to[VSTOR_PACKET_BYTES], uint32_t max_transfer);
void vstor_build_srb(uint8_t to[VSTOR_PACKET_BYTES], const struct vstor_srb *srb, uint32_t status);

#endif
