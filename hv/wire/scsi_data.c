/* SPDX-License-Identifier: MIT */
/* The bytes of a virtual disk's answers. Every buffer was zeroed by scsi_answer; only what is not 0 is set. */
#include "hv/wire/scsi.h"
#include "hv/wire/mem.h"

/* Fields of SPC are padded with blanks, not ended by NUL. */
static const char vendor[8] = "REDOUBT ";
static const char product_revision[20] = "Virtual Disk    0001";

_Static_assert(16 + 8 * SCSI_LUNS_MAX <= SCSI_DATA_MAX, "REPORT LUNS fits");

static void put_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_be32(uint8_t *p, uint32_t v)
{
	put_be16(p, v >> 16);
	put_be16(p + 2, v);
}

static void put_be64(uint8_t *p, uint64_t v)
{
	put_be32(p, (uint32_t)(v >> 32));
	put_be32(p + 4, (uint32_t)v);
}

/* Only what SPC allows in such a field: printable ASCII. Returns the length, without padding. */
static uint32_t put_serial(uint8_t *to, const struct scsi_unit *u)
{
	uint32_t n = 0;

	for (; n < SCSI_SERIAL_MAX && u->serial[n] != 0; n++) {
		char c = u->serial[n];

		to[n] = c >= 0x20 && c < 0x7f ? (uint8_t)c : '_';
	}
	return n;
}

static uint32_t inquiry(uint8_t *to)
{
	to[2] = 6; /* SPC-4 */
	to[3] = 2; /* response data format */
	to[4] = SCSI_INQUIRY_BYTES - 5;
	to[7] = 2; /* CMDQUE */
	memcpy(to + 8, vendor, sizeof(vendor));
	memcpy(to + 16, product_revision, sizeof(product_revision));
	return SCSI_INQUIRY_BYTES;
}

static uint32_t vpd_limits(const struct scsi_unit *u, uint8_t *to)
{
	put_be16(to + 2, 60);
	put_be16(to + 6, 8); /* optimal granularity: 4 KiB */
	put_be32(to + 8, u->max_blocks);
	put_be32(to + 12, u->max_blocks);
	if (u->unmap) {
		put_be32(to + 20, SCSI_UNMAP_BLOCKS);
		put_be32(to + 24, 1); /* descriptors */
		put_be32(to + 28, 8); /* granularity */
	}
	return 64;
}

static uint32_t vpd(const struct scsi_command *c, const struct scsi_unit *u, uint8_t *to)
{
	static const uint8_t pages[6] = { 0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2 };
	uint32_t n;

	to[1] = c->page;
	switch (c->page) {
	case 0x00:
		memcpy(to + 4, pages, sizeof(pages));
		to[3] = u->unmap ? 6 : 5;
		return 4u + to[3];
	case 0x80:
		to[3] = (uint8_t)put_serial(to + 4, u);
		return 4u + to[3];
	case 0x83: /* one designator: the unit, by vendor and serial, in ASCII */
		to[4] = 2;
		to[5] = 1;
		memcpy(to + 8, vendor, sizeof(vendor));
		n = 8 + put_serial(to + 16, u);
		to[7] = (uint8_t)n;
		to[3] = (uint8_t)(4 + n);
		return 8 + n;
	case 0xb0:
		return vpd_limits(u, to);
	case 0xb1:
		put_be16(to + 2, 60);
		put_be16(to + 4, 1); /* does not rotate */
		return 64;
	default: /* 0xb2: scsi_decode let no other through */
		put_be16(to + 2, 4);
		to[5] = 0x84; /* LBPU, LBPRZ */
		to[6] = 2;    /* thin */
		return 8;
	}
}

static uint32_t report_luns(const struct scsi_command *c, uint32_t units, uint8_t *to)
{
	uint32_t n = units < SCSI_LUNS_MAX ? units : SCSI_LUNS_MAX;

	if (c->page == 1) {
		n = 0;
	}
	put_be32(to, 8 * n);
	for (uint32_t i = 0; i < n; i++) {
		to[8 + 8 * i + 1] = (uint8_t)i;
	}
	return 8 + 8 * n;
}

static uint32_t read_capacity_16(const struct scsi_unit *u, uint8_t *to)
{
	put_be64(to, u->blocks - 1);
	put_be32(to + 8, SCSI_BLOCK);
	to[13] = 3; /* 8 logical blocks in a physical one: images live on file systems of 4 KiB */
	to[14] = u->unmap ? 0xc0 : 0; /* LBPME, LBPRZ */
	return 32;
}

/* The pages of MODE SENSE; `changeable`: which bits can be set: none. */
static uint32_t mode_pages(const struct scsi_command *c, uint8_t *to)
{
	uint32_t n = 0;
	bool changeable = c->control == 1;

	if (c->page == 0x08 || c->page == 0x3f) {
		to[0] = 0x08;
		to[1] = 0x12;
		to[2] = changeable ? 0 : 0x04; /* WCE */
		n = 20;
	}
	if (c->page == 0x0a || c->page == 0x3f) {
		to[n] = 0x0a;
		to[n + 1] = 0x0a;
		if (!changeable) {
			to[n + 3] = 0x10;             /* commands may be reordered */
			put_be16(to + n + 8, 0xffff); /* busy timeout: none */
		}
		n += 12;
	}
	return n;
}

static uint32_t mode_sense(const struct scsi_command *c, const struct scsi_unit *u, uint8_t *to)
{
	uint8_t device = (uint8_t)((u->read_only ? 0x80 : 0) | 0x10); /* write-protected; DPOFUA */
	uint32_t n;

	if (c->op == SCSI_MODE_SENSE_6) {
		n = 4 + mode_pages(c, to + 4);
		to[0] = (uint8_t)(n - 1);
		to[2] = device;
	} else {
		n = 8 + mode_pages(c, to + 8);
		put_be16(to, n - 2);
		to[3] = device;
	}
	return n;
}

static uint32_t request_sense(const struct scsi_command *c, uint8_t *to)
{
	if (c->control != 0) {
		to[0] = 0x72;
		return 8;
	}
	scsi_sense_build(to, SCSI_SENSE_NONE);
	return SCSI_SENSE_BYTES;
}

uint32_t scsi_answer(const struct scsi_command *c, const struct scsi_unit *u, uint32_t units,
		     uint8_t to[SCSI_DATA_MAX])
{
	uint32_t n;

	memset(to, 0, SCSI_DATA_MAX);
	switch (c->op) {
	case SCSI_INQUIRY:
		n = inquiry(to);
		break;
	case SCSI_VPD:
		n = vpd(c, u, to);
		break;
	case SCSI_REPORT_LUNS:
		n = report_luns(c, units, to);
		break;
	case SCSI_READ_CAPACITY_10:
		put_be32(to, u->blocks - 1 < UINT32_MAX ? (uint32_t)(u->blocks - 1) : UINT32_MAX);
		put_be32(to + 4, SCSI_BLOCK);
		n = 8;
		break;
	case SCSI_READ_CAPACITY_16:
		n = read_capacity_16(u, to);
		break;
	case SCSI_MODE_SENSE_6:
	case SCSI_MODE_SENSE_10:
		n = mode_sense(c, u, to);
		break;
	case SCSI_REQUEST_SENSE:
		n = request_sense(c, to);
		break;
	default:
		n = 0;
		break;
	}
	return n < c->allocation ? n : c->allocation;
}

void scsi_absent(uint8_t to[SCSI_INQUIRY_BYTES])
{
	memset(to, 0, SCSI_INQUIRY_BYTES);
	to[0] = 0x7f; /* no device can be here */
	to[2] = 6;
	to[3] = 2;
	to[4] = SCSI_INQUIRY_BYTES - 5;
}

void scsi_sense_build(uint8_t to[SCSI_SENSE_BYTES], struct scsi_sense s)
{
	memset(to, 0, SCSI_SENSE_BYTES);
	to[0] = 0x70;
	to[2] = s.key;
	to[7] = SCSI_SENSE_BYTES - 8;
	to[12] = s.asc;
	to[13] = s.ascq;
}
