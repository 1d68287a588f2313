// SPDX-License-Identifier: MIT
/*
 * Input: byte 0: 1 read-only, 2 unmap, 4 a large disk, 8 the largest; byte 1: length of the CDB (0..16); 16 bytes of CDB; the rest is an UNMAP
 * parameter list. What is accepted must lie in the unit; what is answered must fit where it goes.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/script.h"
#include "hv/wire/scsi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *exact(const void *from, size_t n)
{
	uint8_t *copy = malloc(n == 0 ? 1 : n);

	CHECK_FUZZ(copy != NULL);
	memcpy(copy, from, n);
	return copy;
}

static void check_command(const struct scsi_command *c, const struct scsi_unit *u)
{
	uint8_t *answer = malloc(SCSI_DATA_MAX);
	uint32_t n;

	CHECK_FUZZ(answer != NULL);
	memset(answer, 0xa5, SCSI_DATA_MAX);
	n = scsi_answer(c, u, 3, answer);
	CHECK_FUZZ(n <= SCSI_DATA_MAX && n <= c->allocation);
	if (c->op == SCSI_READ || c->op == SCSI_WRITE || c->op == SCSI_FLUSH) {
		CHECK_FUZZ(c->lba <= u->blocks && c->blocks <= u->blocks - c->lba && n == 0);
	}
	if (c->op == SCSI_READ || c->op == SCSI_WRITE) {
		CHECK_FUZZ(c->blocks <= u->max_blocks);
	}
	if (c->op == SCSI_WRITE || c->op == SCSI_UNMAP) {
		CHECK_FUZZ(!u->read_only);
	}
	if (c->op == SCSI_UNMAP || (c->op == SCSI_VPD && c->page == 0xb2)) {
		CHECK_FUZZ(u->unmap);
	}
	if (c->op == SCSI_VPD && n >= 4) { /* the page says how long it is */
		CHECK_FUZZ(answer[1] == c->page);
		CHECK_FUZZ(n == c->allocation || n == 4u + ((uint32_t)answer[2] << 8 | answer[3]));
	}
	if (c->op == SCSI_MODE_SENSE_6 && n >= 1) {
		CHECK_FUZZ(n == c->allocation || n == 1u + answer[0]);
	}
	free(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = { data, size, 0 };
	unsigned flags = (unsigned)script_take(&s, 1);
	uint32_t length = (uint32_t)script_take(&s, 1) % (SCSI_CDB_MAX + 1), blocks = 0;
	struct scsi_unit u = { .blocks = (flags & 8) != 0   ? UINT64_MAX
					 : (flags & 4) != 0 ? 1ull << 33
							    : 0x1000,
			       .max_blocks = 512,
			       .read_only = (flags & 1) != 0,
			       .unmap = (flags & 2) != 0,
			       .serial = "fuzz" };
	struct scsi_sense why = { 0xff, 0xff, 0xff };
	struct scsi_command c;
	uint8_t cdb[SCSI_CDB_MAX], *bytes;
	uint64_t lba = 0;

	for (unsigned i = 0; i < SCSI_CDB_MAX; i++) {
		cdb[i] = (uint8_t)script_take(&s, 1);
	}
	bytes = exact(cdb, length);
	if (scsi_decode(bytes, length, &u, &c, &why)) {
		CHECK_FUZZ(why.key == 0);
		check_command(&c, &u);
	} else {
		CHECK_FUZZ((why.key == 5 || why.key == 7) && why.asc != 0);
	}
	CHECK_FUZZ(!scsi_is_inquiry((const uint8_t *)"\x12", 0));
	CHECK_FUZZ(!scsi_is_report_luns((const uint8_t *)"\xa0", 0));
	CHECK_FUZZ(scsi_is_inquiry(bytes, length) == (length != 0 && bytes[0] == 0x12));
	CHECK_FUZZ(scsi_is_report_luns(bytes, length) == (length != 0 && bytes[0] == 0xa0));
	free(bytes);
	bytes = exact(data + s.at, size - s.at);
	if (scsi_unmap_parse(bytes, (uint32_t)(size - s.at), &u, &lba, &blocks, &why)) {
		CHECK_FUZZ(lba <= u.blocks && blocks <= u.blocks - lba &&
			   blocks <= SCSI_UNMAP_BLOCKS);
	} else {
		CHECK_FUZZ(why.key == 5 && blocks == 0);
	}
	free(bytes);
	return 0;
}
