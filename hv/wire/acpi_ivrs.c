/* SPDX-License-Identifier: MIT */
/*
 * ACPI: the AMD I/O Virtualization Reporting Structure (AMD IOMMU specification 48882, chapter 5).
 */
#include "hv/wire/acpi_int.h"
#include "hv/wire/fault.h"
#include "hv/wire/mem.h"

#define WHAT "ACPI IVRS"
#define BLOCKS 48u /* the first block's offset */

/* Bytes before an IVHD's device entries; 0: not an IVHD. */
static uint32_t ivhd_header(uint8_t type)
{
	switch (type) {
	case 0x10:
		return 24;
	case 0x11:
	case 0x40:
		return 40;
	default:
		return 0;
	}
}

/* Size of the device entry at p with `left` bytes to the block's end; 0: broken or unknown. */
static uint32_t entry_size(const uint8_t *p, uint32_t left)
{
	uint32_t size;

	if (p[0] < 0xf0) {
		size = 4u << (p[0] >> 6);
	} else if (p[0] == 0xf0 && left >= 22) {
		size = 22u + p[21];
	} else {
		return 0;
	}
	return size <= left ? size : 0;
}

static void widen(uint16_t *max, uint16_t devid)
{
	if (devid > *max) {
		*max = devid;
	}
}

/* The largest device id that the block's entries name. False: an entry is broken. */
static bool largest_devid(const uint8_t *block, uint32_t len, uint32_t off, uint16_t *max)
{
	*max = 0;
	while (off < len) {
		const uint8_t *e = block + off;
		uint32_t size = len - off >= 4 ? entry_size(e, len - off) : 0;

		if (size == 0) {
			return false;
		}
		switch (e[0]) {
		case 0x00: /* padding */
			break;
		case 0x01: /* all devices */
			*max = 0xffff;
			break;
		case 0x42: /* alias: the device, and the id that its requests carry */
		case 0x43:
			widen(max, le16(e + 1));
			widen(max, le16(e + 5));
			break;
		case 0x48: /* I/O APIC or HPET: the id is behind */
			widen(max, le16(e + 5));
			break;
		default:
			widen(max, le16(e + 1));
			break;
		}
		off += size;
	}
	return true;
}

/*
 * Firmware describes one IOMMU by up to three blocks, newer types saying more: the highest counts,
 * and two blocks of one type add up. type[] holds the type that each of out->iommu came from.
 */
static bool add_iommu(const uint8_t *b, uint16_t devid_max, struct acpi_info *out, uint8_t *type,
		      struct wire_fault *why)
{
	uint16_t device_id = le16(b + 4), segment = le16(b + 16);
	uint64_t base = le64(b + 8);
	struct acpi_iommu *m;
	uint32_t i;

	/* Section 5.2.2.1 and 3.4: 16 KiB of registers on a 16 KiB boundary. */
	if (base == 0 || (base & 0x3fff) != 0) {
		return wire_fail(why, WHAT,
				 "IOMMU's register address is 0 or not aligned to 16 KiB",
				 ACPI_REMEDY, base);
	}
	for (i = 0; i < out->iommu_count; i++) {
		if (out->iommu[i].device_id == device_id && out->iommu[i].segment == segment) {
			break;
		}
	}
	if (i == ACPI_IOMMU_MAX) {
		return wire_fail(why, WHAT, "more than 4 IOMMUs",
				 "Redoubt supports at most 4 and would leave devices unguarded", i);
	}
	m = &out->iommu[i];
	if (i == out->iommu_count) {
		out->iommu_count++;
	} else if (b[0] < type[i]) {
		return true;
	} else if (b[0] == type[i]) {
		if (m->base != base) {
			return wire_fail(why, WHAT, "one IOMMU has two register addresses",
					 ACPI_REMEDY, base);
		}
		widen(&m->devid_max, devid_max);
		return true;
	}
	type[i] = b[0];
	m->device_id = device_id;
	m->cap_offset = le16(b + 6);
	m->segment = segment;
	m->base = base;
	m->devid_max = devid_max;
	return true;
}

static bool read_blocks(const struct acpi_table *t, struct acpi_info *out, struct wire_fault *why)
{
	uint8_t type[ACPI_IOMMU_MAX] = { 0 };
	uint32_t off = BLOCKS;

	while (off < t->len) {
		const uint8_t *b = t->p + off;
		uint32_t left = t->len - off, len, header;
		uint16_t devid_max;

		len = left >= 4 ? le16(b + 2) : 0;
		header = len != 0 ? ivhd_header(b[0]) : 0;
		if (len < 4 || len > left || len < header) {
			return wire_fail(why, WHAT, "block too short or past the table's end",
					 ACPI_REMEDY, off);
		}
		if (header != 0) {
			if (!largest_devid(b, len, header, &devid_max)) {
				return wire_fail(why, WHAT,
						 "device entry unknown or past its block",
						 ACPI_REMEDY, off);
			}
			if (!add_iommu(b, devid_max, out, type, why)) {
				return false;
			}
		}
		off += len;
	}
	return true;
}

/*
 * Purpose: where the IOMMUs are. All or none: half of them would leave devices unguarded.
 * Refuses bad lengths, unknown device entries, misplaced registers, more than ACPI_IOMMU_MAX.
 */
bool acpi_read_ivrs(const struct acpi_table *t, struct acpi_info *out, struct wire_fault *why)
{
	bool ok = t->len >= BLOCKS;

	if (!ok) {
		wire_fail(why, WHAT, "length below 48", ACPI_REMEDY, t->len);
	} else {
		ok = read_blocks(t, out, why);
	}
	if (!ok) {
		memset(out->iommu, 0, sizeof(out->iommu));
		out->iommu_count = 0;
	}
	return ok;
}
