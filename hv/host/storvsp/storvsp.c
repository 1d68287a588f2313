/* SPDX-License-Identifier: MIT */
/* SRBs: what a SCSI command of the guest does. */
#include "hv/host/storvsp/storvsp.h"

#include <errno.h>
#include <string.h>

#define PAGE 4096u

/* ---- the four ways in which an SRB ends ---- */

static enum srb_start good(struct vstor_srb *srb, uint32_t moved)
{
	srb->srb_status = VSTOR_SRB_SUCCESS;
	srb->scsi_status = 0;
	srb->transfer = moved;
	srb->sense_length = 0;
	return SRB_ANSWERED;
}

/* Without sense data: the driver looks at the SRB status alone. */
static enum srb_start refused(struct vstor_srb *srb, uint8_t status)
{
	srb->srb_status = status;
	srb->scsi_status = 0;
	srb->transfer = 0;
	srb->sense_length = 0;
	return SRB_ANSWERED;
}

static enum srb_start check_condition(struct vstor_srb *srb, struct scsi_sense sense)
{
	uint8_t bytes[SCSI_SENSE_BYTES];
	uint8_t room = srb->sense_length;

	scsi_sense_build(bytes, sense);
	if (room > SCSI_SENSE_BYTES) {
		room = SCSI_SENSE_BYTES;
	}
	memcpy(srb->bytes, bytes, room);
	srb->sense_length = room;
	srb->srb_status = VSTOR_SRB_ERROR | (room != 0 ? VSTOR_SRB_AUTOSENSE_VALID : 0);
	srb->scsi_status = VSTOR_SCSI_CHECK_CONDITION;
	srb->transfer = 0;
	return SRB_ANSWERED;
}

/* The bytes of a short answer, or as many as the guest has room for. */
static enum srb_start answer(struct storvsp *s, struct request *q, const uint8_t *bytes,
			     uint32_t length)
{
	uint32_t at = 0;

	length = length < q->room ? length : q->room;
	if (length != 0 && q->srb.direction != VSTOR_DATA_IN) {
		return refused(&q->srb, VSTOR_SRB_INVALID_REQUEST);
	}
	for (uint32_t p = 0; at < length; p++) {
		uint32_t from = p == 0 ? q->range.offset : 0;
		uint32_t n = PAGE - from < length - at ? PAGE - from : length - at;

		if (!gmem_copy_out(&s->mem, (q->pfn[p] << 12) + from, bytes + at, n)) {
			return refused(&q->srb, VSTOR_SRB_INVALID_REQUEST);
		}
		at += n;
	}
	return good(&q->srb, length);
}

/* ---- commands of the disk ---- */

uint32_t storvsp_neighbours(const struct request *q, uint32_t page)
{
	uint32_t n = 1;

	while (page + n < q->range.pages && q->pfn[page + n] == q->pfn[page] + n) {
		n++;
	}
	return n;
}

/* The pieces of guest memory of the first `length` bytes of the buffer; pages that follow each other become one. */
static bool gather(struct storvsp *s, struct request *q, uint32_t length)
{
	struct disk_io *io = &q->io;
	uint32_t from = q->range.offset;

	io->first = 0;
	io->count = 0;
	io->length = length;
	for (uint32_t p = 0; length != 0;) {
		uint32_t pages = storvsp_neighbours(q, p);
		uint32_t n = pages * PAGE - from < length ? pages * PAGE - from : length;
		uint8_t *at = gmem_direct(&s->mem, (q->pfn[p] << 12) + from, n);

		if (at == NULL) {
			return false;
		}
		io->piece[io->count++] = (struct iovec){ at, n };
		length -= n;
		from = 0;
		p += pages;
	}
	return true;
}

static enum srb_start run(struct storvsp *s, uint32_t slot, enum disk_op op)
{
	struct request *q = &s->request[slot];

	q->io.op = op;
	q->io.disk = q->srb.lun;
	disk_submit(s, slot);
	return SRB_RUNNING;
}

static enum srb_start transfer(struct storvsp *s, uint32_t slot, const struct scsi_command *c)
{
	struct request *q = &s->request[slot];
	bool write = c->op == SCSI_WRITE;
	uint32_t bytes = c->blocks * SCSI_BLOCK; /* at most STORVSP_TRANSFER_MAX */

	if (bytes == 0) {
		return good(&q->srb, 0);
	}
	if (q->srb.direction != (write ? VSTOR_DATA_OUT : VSTOR_DATA_IN)) {
		return refused(&q->srb, VSTOR_SRB_INVALID_REQUEST);
	}
	if (bytes > q->room) {
		return refused(&q->srb, VSTOR_SRB_DATA_OVERRUN);
	}
	if (!gather(s, q, bytes)) {
		return refused(&q->srb, VSTOR_SRB_INVALID_REQUEST);
	}
	q->io.offset = c->lba * SCSI_BLOCK;
	q->io.fua = write && c->fua;
	return run(s, slot, write ? DISK_WRITE : DISK_READ);
}

static bool read_list(struct storvsp *s, const struct request *q, uint8_t *to, uint32_t length)
{
	uint32_t from = q->range.offset;
	uint32_t n = PAGE - from < length ? PAGE - from : length;

	return gmem_copy_in(&s->mem, (q->pfn[0] << 12) + from, to, n) &&
	       (n == length || gmem_copy_in(&s->mem, q->pfn[1] << 12, to + n, length - n));
}

static enum srb_start unmap(struct storvsp *s, uint32_t slot, const struct scsi_command *c)
{
	struct request *q = &s->request[slot];
	uint8_t list[SCSI_UNMAP_BYTES] = { 0 };
	uint32_t blocks, have = c->allocation;
	struct scsi_sense why;
	uint64_t lba;

	if (have > q->room) {
		return refused(&q->srb, VSTOR_SRB_DATA_OVERRUN);
	}
	if (have != 0 && q->srb.direction != VSTOR_DATA_OUT) {
		return refused(&q->srb, VSTOR_SRB_INVALID_REQUEST);
	}
	if (have != 0 && !read_list(s, q, list, have < sizeof(list) ? have : sizeof(list))) {
		return refused(&q->srb, VSTOR_SRB_INVALID_REQUEST);
	}
	if (!scsi_unmap_parse(list, have, &s->disk[q->srb.lun].unit, &lba, &blocks, &why)) {
		return check_condition(&q->srb, why);
	}
	if (blocks == 0) {
		return good(&q->srb, have);
	}
	q->io.offset = lba * SCSI_BLOCK;
	q->io.length = blocks * SCSI_BLOCK;
	q->io.count = 0;
	q->room = have; /* what was moved, when it is done */
	return run(s, slot, DISK_UNMAP);
}

static enum srb_start absent(struct storvsp *s, struct request *q, const uint8_t *cdb)
{
	uint8_t bytes[SCSI_INQUIRY_BYTES];

	/* The driver makes a success of every INQUIRY: only the data can say it. */
	if (!scsi_is_inquiry(cdb, q->srb.cdb_length)) {
		return refused(&q->srb, VSTOR_SRB_INVALID_LUN);
	}
	scsi_absent(bytes);
	return answer(s, q, bytes, sizeof(bytes));
}

/*
 * Other targets. "Invalid LUN" must never be said of them: Linux then removes the LUN with that number, but of path 0 and that
 * target, which may be a disk (storvsc_remove_lun). Their list of LUNs is empty.
 */
static enum srb_start elsewhere(struct storvsp *s, struct request *q, const uint8_t *cdb)
{
	static const uint8_t none[8];

	if (scsi_is_inquiry(cdb, q->srb.cdb_length)) {
		return absent(s, q, cdb);
	}
	if (scsi_is_report_luns(cdb, q->srb.cdb_length)) {
		return answer(s, q, none, sizeof(none));
	}
	return refused(&q->srb, VSTOR_SRB_ERROR);
}

enum srb_start storvsp_start(struct storvsp *s, uint32_t slot)
{
	struct request *q = &s->request[slot];
	struct vstor_srb *srb = &q->srb;
	uint8_t cdb[VSTOR_CDB_MAX], data[SCSI_DATA_MAX];
	const struct scsi_unit *u;
	struct scsi_command c;
	struct scsi_sense why;

	/* The answer's sense data go where the CDB was. */
	memcpy(cdb, srb->bytes, sizeof(cdb));
	memset(srb->bytes, 0, sizeof(srb->bytes));
	if (srb->path != 0 || srb->target != 0) {
		return elsewhere(s, q, cdb);
	}
	if (srb->lun >= s->disk_count) {
		return absent(s, q, cdb);
	}
	u = &s->disk[srb->lun].unit;
	if (!scsi_decode(cdb, srb->cdb_length, u, &c, &why)) {
		return check_condition(srb, why);
	}
	switch (c.op) {
	case SCSI_READ:
	case SCSI_WRITE:
		return transfer(s, slot, &c);
	case SCSI_FLUSH:
		q->io.count = 0;
		return run(s, slot, DISK_FLUSH);
	case SCSI_UNMAP:
		return unmap(s, slot, &c);
	case SCSI_TEST_UNIT_READY:
	case SCSI_START_STOP:
	case SCSI_PREVENT_ALLOW:
		return good(srb, 0); /* a virtual disk is always ready and cannot be taken out */
	default:
		return answer(s, q, data, scsi_answer(&c, u, s->disk_count, data));
	}
}

static void count(struct storvsp *s, enum disk_op op, int result)
{
	struct pm_status_disk *t = &s->status;

	s->status_changed = true;
	if (result != 0) {
		t->errors++;
	}
	switch (op) {
	case DISK_READ:
		t->reads++;
		break;
	case DISK_WRITE:
	case DISK_UNMAP:
		t->writes++;
		break;
	case DISK_FLUSH:
		t->flushes++;
		break;
	}
}

void storvsp_finish(struct storvsp *s, uint32_t slot, int result)
{
	struct request *q = &s->request[slot];

	count(s, q->io.op, result);
	if (result == -EFAULT) { /* its memory, not the disk */
		(void)refused(&q->srb, VSTOR_SRB_ERROR);
	} else if (result != 0) {
		(void)check_condition(&q->srb, q->io.op == DISK_READ ? SCSI_SENSE_READ_ERROR
								     : SCSI_SENSE_WRITE_ERROR);
	} else if (q->io.op == DISK_FLUSH) {
		(void)good(&q->srb, 0);
	} else {
		(void)good(&q->srb, q->io.op == DISK_UNMAP ? q->room : q->io.length);
	}
}
