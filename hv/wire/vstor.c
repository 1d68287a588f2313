/* SPDX-License-Identifier: MIT */
#include "hv/wire/vstor.h"
#include "hv/wire/mem.h"

/* Offsets: of the packet, then of the SRB (vmscsi_request) in it. */
#define PACKET_BODY 12u
#define SRB_BYTES 52u
#define SRB_CDB 16u

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

static bool parse_srb(const uint8_t *p, struct vstor_srb *s)
{
	s->port = p[4];
	s->path = p[5];
	s->target = p[6];
	s->lun = p[7];
	s->cdb_length = p[8];
	s->sense_length = p[9];
	s->direction = p[10];
	s->transfer = le32(p + 12);
	s->queue_tag = p[38];
	s->queue_action = p[39];
	s->srb_flags = le32(p + 40);
	s->timeout = le32(p + 44);
	if (le16(p) != SRB_BYTES || s->cdb_length == 0 || s->cdb_length > VSTOR_CDB_MAX ||
	    s->sense_length > VSTOR_SENSE_MAX || s->direction > VSTOR_DATA_NONE) {
		return false;
	}
	/* What lies behind the CDB in its field is not looked at by anybody. */
	memcpy(s->bytes, p + SRB_CDB, s->cdb_length);
	return true;
}

bool vstor_parse(const uint8_t *bytes, uint32_t size, struct vstor_packet *out)
{
	memset(out, 0, sizeof(*out));
	if (size != VSTOR_PACKET_BYTES) {
		return false;
	}
	out->operation = le32(bytes);
	out->flags = le32(bytes + 4);
	out->status = le32(bytes + 8);
	if (out->operation == VSTOR_QUERY_PROTOCOL_VERSION) {
		out->version = le16(bytes + PACKET_BODY);
	}
	if (out->operation == VSTOR_EXECUTE_SRB) {
		return parse_srb(bytes + PACKET_BODY, &out->srb);
	}
	return true;
}

void vstor_build_status(uint8_t to[VSTOR_PACKET_BYTES], uint32_t status)
{
	memset(to, 0, VSTOR_PACKET_BYTES);
	put32(to, VSTOR_COMPLETE_IO);
	put32(to + 8, status);
}

void vstor_build_version(uint8_t to[VSTOR_PACKET_BYTES], uint16_t version, uint32_t status)
{
	vstor_build_status(to, status);
	put16(to + PACKET_BODY, version);
}

/* No sub-channels: neither a count of them nor the flag. */
void vstor_build_properties(uint8_t to[VSTOR_PACKET_BYTES], uint32_t max_transfer)
{
	vstor_build_status(to, VSTOR_STATUS_SUCCESS);
	put32(to + PACKET_BODY + 12, max_transfer);
}

void vstor_build_srb(uint8_t to[VSTOR_PACKET_BYTES], const struct vstor_srb *s, uint32_t status)
{
	uint8_t *p = to + PACKET_BODY;
	uint8_t sense = s->sense_length <= VSTOR_SENSE_MAX ? s->sense_length : VSTOR_SENSE_MAX;

	vstor_build_status(to, status);
	put16(p, SRB_BYTES);
	p[2] = s->srb_status;
	p[3] = s->scsi_status;
	p[4] = s->port;
	p[5] = s->path;
	p[6] = s->target;
	p[7] = s->lun;
	p[8] = s->cdb_length;
	p[9] = sense;
	p[10] = s->direction;
	put32(p + 12, s->transfer);
	memcpy(p + SRB_CDB, s->bytes, sense);
	p[38] = s->queue_tag;
	p[39] = s->queue_action;
	put32(p + 40, s->srb_flags);
	put32(p + 44, s->timeout);
}
