/* SPDX-License-Identifier: MIT */
/* CDBs into owned values. */
#include "hv/wire/scsi.h"
#include "hv/wire/mem.h"

enum opcode {
	OP_TEST_UNIT_READY = 0x00,
	OP_REQUEST_SENSE = 0x03,
	OP_READ_6 = 0x08,
	OP_WRITE_6 = 0x0a,
	OP_INQUIRY = 0x12,
	OP_MODE_SENSE_6 = 0x1a,
	OP_START_STOP = 0x1b,
	OP_PREVENT_ALLOW = 0x1e,
	OP_READ_CAPACITY_10 = 0x25,
	OP_READ_10 = 0x28,
	OP_WRITE_10 = 0x2a,
	OP_SYNC_CACHE_10 = 0x35,
	OP_UNMAP = 0x42,
	OP_MODE_SENSE_10 = 0x5a,
	OP_READ_16 = 0x88,
	OP_WRITE_16 = 0x8a,
	OP_SYNC_CACHE_16 = 0x91,
	OP_SERVICE_ACTION_IN = 0x9e,
	OP_REPORT_LUNS = 0xa0,
};

#define ACTION_READ_CAPACITY_16 0x10u
#define CONTROL_NACA 0x04u

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static uint64_t be64(const uint8_t *p)
{
	return (uint64_t)be32(p) << 32 | be32(p + 4);
}

static bool refuse(struct scsi_sense *why, struct scsi_sense sense)
{
	*why = sense;
	return false;
}

/* Bytes of a CDB, by the group code in its opcode; 0: a group without a fixed length. */
static uint32_t cdb_bytes(uint8_t opcode)
{
	switch (opcode >> 5) {
	case 0:
		return 6;
	case 1:
	case 2:
		return 10;
	case 4:
		return 16;
	case 5:
		return 12;
	default:
		return 0;
	}
}

/* What READ, WRITE and SYNCHRONIZE CACHE have in common: where, and that it is in the unit. */
static bool decode_range(const uint8_t *cdb, const struct scsi_unit *u, struct scsi_command *c,
			 struct scsi_sense *why)
{
	switch (cdb_bytes(cdb[0])) {
	case 6: /* no blocks means 256 */
		c->lba = (uint32_t)(cdb[1] & 0x1f) << 16 | be16(cdb + 2);
		c->blocks = cdb[4] == 0 ? 256 : cdb[4];
		break;
	case 10:
		c->lba = be32(cdb + 2);
		c->blocks = be16(cdb + 7);
		break;
	default:
		c->lba = be64(cdb + 2);
		c->blocks = be32(cdb + 10);
		break;
	}
	if (!range_within(c->lba, c->blocks, u->blocks)) {
		return refuse(why, SCSI_SENSE_LBA);
	}
	return true;
}

static bool decode_transfer(const uint8_t *cdb, const struct scsi_unit *u, struct scsi_command *c,
			    struct scsi_sense *why)
{
	/* Protection information was not offered; DPO and the group number are hints. */
	if (cdb[0] != OP_READ_6 && cdb[0] != OP_WRITE_6) {
		if ((cdb[1] & 0xe0) != 0) {
			return refuse(why, SCSI_SENSE_CDB);
		}
		c->fua = (cdb[1] & 0x08) != 0;
	}
	if (!decode_range(cdb, u, c, why)) {
		return false;
	}
	if (c->op == SCSI_WRITE && u->read_only) {
		return refuse(why, SCSI_SENSE_PROTECTED);
	}
	return c->blocks <= u->max_blocks ? true : refuse(why, SCSI_SENSE_CDB);
}

static bool decode_inquiry(const uint8_t *cdb, const struct scsi_unit *u, struct scsi_command *c,
			   struct scsi_sense *why)
{
	bool vpd = (cdb[1] & 1) != 0;

	c->op = vpd ? SCSI_VPD : SCSI_INQUIRY;
	c->page = cdb[2];
	c->allocation = be16(cdb + 3);
	if ((cdb[1] & ~1u) != 0 || (!vpd && c->page != 0)) {
		return refuse(why, SCSI_SENSE_CDB);
	}
	if (!vpd) {
		return true;
	}
	switch (c->page) {
	case 0x00:
	case 0x80:
	case 0x83:
	case 0xb0:
	case 0xb1:
		return true;
	case 0xb2:
		return u->unmap ? true : refuse(why, SCSI_SENSE_CDB);
	default:
		return refuse(why, SCSI_SENSE_CDB);
	}
}

static bool decode_mode_sense(const uint8_t *cdb, struct scsi_command *c, struct scsi_sense *why)
{
	bool six = cdb[0] == OP_MODE_SENSE_6;
	uint8_t subpage = cdb[3];

	c->op = six ? SCSI_MODE_SENSE_6 : SCSI_MODE_SENSE_10;
	c->page = cdb[2] & 0x3f;
	c->control = cdb[2] >> 6;
	c->allocation = six ? cdb[4] : be16(cdb + 7);
	if (c->control == 3) {
		return refuse(why, SCSI_SENSE_SAVING);
	}
	if (c->page == 0x3f) {
		return subpage == 0 || subpage == 0xff ? true : refuse(why, SCSI_SENSE_CDB);
	}
	if (subpage != 0 || (c->page != 0x08 && c->page != 0x0a)) {
		return refuse(why, SCSI_SENSE_CDB);
	}
	return true;
}

static bool decode_unmap(const uint8_t *cdb, const struct scsi_unit *u, struct scsi_command *c,
			 struct scsi_sense *why)
{
	c->op = SCSI_UNMAP;
	c->allocation = be16(cdb + 7);
	if (!u->unmap) {
		return refuse(why, SCSI_SENSE_OPCODE);
	}
	if ((cdb[1] & 1) != 0) { /* ANCHOR */
		return refuse(why, SCSI_SENSE_CDB);
	}
	if (u->read_only) {
		return refuse(why, SCSI_SENSE_PROTECTED);
	}
	return c->allocation == 0 || c->allocation >= 8 ? true
							: refuse(why, SCSI_SENSE_LIST_LENGTH);
}

static bool decode_service_action(const uint8_t *cdb, struct scsi_command *c,
				  struct scsi_sense *why)
{
	c->op = SCSI_READ_CAPACITY_16;
	c->allocation = be32(cdb + 10);
	/* An action that does not exist is a field, not an opcode: SPC-4 4.2.5.2. */
	return (cdb[1] & 0x1f) == ACTION_READ_CAPACITY_16 ? true : refuse(why, SCSI_SENSE_CDB);
}

/* Opcodes with only a length or nothing to decode. */
static bool decode_plain(const uint8_t *cdb, struct scsi_command *c, struct scsi_sense *why)
{
	switch (cdb[0]) {
	case OP_TEST_UNIT_READY:
		c->op = SCSI_TEST_UNIT_READY;
		return true;
	case OP_START_STOP:
		c->op = SCSI_START_STOP;
		return true;
	case OP_PREVENT_ALLOW:
		c->op = SCSI_PREVENT_ALLOW;
		return true;
	case OP_REQUEST_SENSE:
		c->op = SCSI_REQUEST_SENSE;
		c->control = cdb[1] & 1;
		c->allocation = cdb[4];
		return true;
	case OP_READ_CAPACITY_10:
		c->op = SCSI_READ_CAPACITY_10;
		c->allocation = 8;
		return true;
	case OP_REPORT_LUNS:
		c->op = SCSI_REPORT_LUNS;
		c->page = cdb[2];
		c->allocation = be32(cdb + 6);
		/* 0 and 2: all units; 1: the well-known ones. */
		return c->page <= 2 && c->allocation >= 16 ? true : refuse(why, SCSI_SENSE_CDB);
	default:
		return refuse(why, SCSI_SENSE_OPCODE);
	}
}

bool scsi_decode(const uint8_t *cdb, uint32_t length, const struct scsi_unit *u,
		 struct scsi_command *c, struct scsi_sense *why)
{
	uint32_t need;

	memset(c, 0, sizeof(*c));
	*why = SCSI_SENSE_NONE;
	need = length == 0 ? 0 : cdb_bytes(cdb[0]);
	if (need == 0) {
		return refuse(why, SCSI_SENSE_OPCODE);
	}
	if (length < need || (cdb[need - 1] & CONTROL_NACA) != 0) {
		return refuse(why, SCSI_SENSE_CDB);
	}
	switch (cdb[0]) {
	case OP_READ_6:
	case OP_READ_10:
	case OP_READ_16:
		c->op = SCSI_READ;
		return decode_transfer(cdb, u, c, why);
	case OP_WRITE_6:
	case OP_WRITE_10:
	case OP_WRITE_16:
		c->op = SCSI_WRITE;
		return decode_transfer(cdb, u, c, why);
	case OP_SYNC_CACHE_10:
	case OP_SYNC_CACHE_16:
		c->op = SCSI_FLUSH;
		return decode_range(cdb, u, c, why);
	case OP_INQUIRY:
		return decode_inquiry(cdb, u, c, why);
	case OP_MODE_SENSE_6:
	case OP_MODE_SENSE_10:
		return decode_mode_sense(cdb, c, why);
	case OP_UNMAP:
		return decode_unmap(cdb, u, c, why);
	case OP_SERVICE_ACTION_IN:
		return decode_service_action(cdb, c, why);
	default:
		return decode_plain(cdb, c, why);
	}
}

bool scsi_unmap_parse(const uint8_t *list, uint32_t size, const struct scsi_unit *u, uint64_t *lba,
		      uint32_t *blocks, struct scsi_sense *why)
{
	uint32_t descriptors;

	*lba = 0;
	*blocks = 0;
	*why = SCSI_SENSE_NONE;
	if (size == 0) {
		return true;
	}
	if (size < 8) {
		return refuse(why, SCSI_SENSE_LIST_LENGTH);
	}
	descriptors = be16(list + 2);
	if (descriptors % 16 != 0 || descriptors > size - 8) {
		return refuse(why, SCSI_SENSE_LIST_LENGTH);
	}
	if (descriptors == 0) {
		return true;
	}
	*lba = be64(list + 8);
	*blocks = be32(list + 16);
	if (descriptors > 16 || *blocks > SCSI_UNMAP_BLOCKS) {
		*blocks = 0;
		return refuse(why, SCSI_SENSE_LIST);
	}
	if (!range_within(*lba, *blocks, u->blocks)) {
		*blocks = 0;
		return refuse(why, SCSI_SENSE_LBA);
	}
	return true;
}

bool scsi_is_inquiry(const uint8_t *cdb, uint32_t length)
{
	return length >= 1 && cdb[0] == OP_INQUIRY;
}

bool scsi_is_report_luns(const uint8_t *cdb, uint32_t length)
{
	return length >= 1 && cdb[0] == OP_REPORT_LUNS;
}
