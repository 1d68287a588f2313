/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_SCSI_H
#define HV_WIRE_SCSI_H
/*
 * The SCSI of a virtual disk: CDBs into owned values, and the bytes of its answers. SPC-4 and SBC-3; logical blocks are 512
 * bytes, as guests expect of a raw image.
 */
#include "hv/wire/view.h"

#define SCSI_BLOCK 512u
#define SCSI_BLOCK_SHIFT 9u
#define SCSI_CDB_MAX 16u
#define SCSI_SENSE_BYTES 18u
#define SCSI_INQUIRY_BYTES 36u
#define SCSI_SERIAL_MAX 32u
#define SCSI_LUNS_MAX 8u
#define SCSI_DATA_MAX 256u          /* longest of the answers that scsi_answer builds */
#define SCSI_UNMAP_BYTES 24u        /* a parameter list with its one descriptor */
#define SCSI_UNMAP_BLOCKS 0x400000u /* 2 GiB in one command at most */

struct scsi_unit {           /* a disk as its guest sees it; trusted */
	uint64_t blocks;     /* at least 1 */
	uint32_t max_blocks; /* in one READ or WRITE */
	bool read_only;
	bool unmap; /* UNMAP is offered; unmapped blocks read as zeroes */
	char serial[SCSI_SERIAL_MAX];
};

struct scsi_sense {
	uint8_t key, asc, ascq;
};

#define SCSI_SENSE_NONE ((struct scsi_sense){ 0, 0, 0 })
#define SCSI_SENSE_READ_ERROR ((struct scsi_sense){ 0x03, 0x11, 0x00 })
#define SCSI_SENSE_WRITE_ERROR ((struct scsi_sense){ 0x03, 0x0c, 0x00 })
#define SCSI_SENSE_LIST_LENGTH ((struct scsi_sense){ 0x05, 0x1a, 0x00 })
#define SCSI_SENSE_OPCODE ((struct scsi_sense){ 0x05, 0x20, 0x00 })
#define SCSI_SENSE_LBA ((struct scsi_sense){ 0x05, 0x21, 0x00 })
#define SCSI_SENSE_CDB ((struct scsi_sense){ 0x05, 0x24, 0x00 })
#define SCSI_SENSE_LIST ((struct scsi_sense){ 0x05, 0x26, 0x00 })
#define SCSI_SENSE_SAVING ((struct scsi_sense){ 0x05, 0x39, 0x00 })
#define SCSI_SENSE_PROTECTED ((struct scsi_sense){ 0x07, 0x27, 0x00 })

enum scsi_op {
	/* without data, done at once */
	SCSI_TEST_UNIT_READY,
	SCSI_START_STOP,
	SCSI_PREVENT_ALLOW,
	/* scsi_answer builds the data */
	SCSI_INQUIRY,
	SCSI_VPD,
	SCSI_REPORT_LUNS,
	SCSI_READ_CAPACITY_10,
	SCSI_READ_CAPACITY_16,
	SCSI_MODE_SENSE_6,
	SCSI_MODE_SENSE_10,
	SCSI_REQUEST_SENSE,
	/* of the disk */
	SCSI_READ,
	SCSI_WRITE,
	SCSI_FLUSH,
	SCSI_UNMAP,
};

struct scsi_command {
	enum scsi_op op;
	uint64_t lba;    /* READ, WRITE: within the unit, with `blocks` */
	uint32_t blocks; /* <= max_blocks */
	bool fua;
	uint8_t page;        /* VPD, MODE SENSE */
	uint8_t control;     /* MODE SENSE: page control; REQUEST SENSE: 1 descriptor format */
	uint32_t allocation; /* bytes of data that the guest has room for, or UNMAP's parameter list */
};

/*
 * Decodes a CDB for a unit: the opcode, its fields, that [lba, lba + blocks) lies in the unit, that it may be written. Trust: cdb
 * and length (of the CDB) are hostile. false: *why says what; nothing must be done.
 */
bool scsi_decode(const uint8_t *cdb, uint32_t length, const struct scsi_unit *u,
		 struct scsi_command *out, struct scsi_sense *why);

/* UNMAP's parameter list. Trust: all bytes. *blocks is 0 where there is nothing to do. false: *why says what. */
bool scsi_unmap_parse(const uint8_t *list, uint32_t size, const struct scsi_unit *u, uint64_t *lba,
		      uint32_t *blocks, struct scsi_sense *why);

/*
 * The data of a command from INQUIRY to REQUEST_SENSE, at most `allocation` bytes. `units`: how many there are, LUNs 0.. Returns the
 * length; 0 for a command without such data.
 */
uint32_t scsi_answer(const struct scsi_command *c, const struct scsi_unit *u, uint32_t units,
		     uint8_t to[SCSI_DATA_MAX]);

/* The 36 bytes that a LUN without a unit answers to INQUIRY. */
void scsi_absent(uint8_t to[SCSI_INQUIRY_BYTES]);

/* Sense data in the fixed format. */
void scsi_sense_build(uint8_t to[SCSI_SENSE_BYTES], struct scsi_sense s);

/* The opcode is INQUIRY: what an absent LUN must answer, too. */
bool scsi_is_inquiry(const uint8_t *cdb, uint32_t length);
bool scsi_is_report_luns(const uint8_t *cdb, uint32_t length);

#endif
