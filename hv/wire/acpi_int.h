/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_ACPI_INT_H
#define HV_WIRE_ACPI_INT_H
/* Between acpi.c (finding and checking tables) and acpi_tables.c, acpi_ivrs.c (reading them). */
#include "hv/wire/acpi.h"

#define ACPI_HDR 36u
#define ACPI_REMEDY "the firmware's ACPI tables are broken; update the firmware"

/* A table whose header, length and checksum have been verified. */
struct acpi_table {
	const uint8_t *p;
	uint32_t len; /* >= ACPI_HDR */
};

/*
 * Each reads one verified table into *out.
 * Trust: every byte of the table is hostile in spite of the checksum.
 * False: *why says what is wrong; out's fields of that table are then zero. A true result may still
 * leave a warning in *why (why->what != NULL).
 */
bool acpi_read_madt(const struct acpi_table *t, struct acpi_info *out, struct wire_fault *why);
bool acpi_read_fadt(const struct acpi_table *t, struct acpi_info *out, uint64_t *dsdt,
		    struct wire_fault *why);
bool acpi_read_s5(const struct acpi_table *t, struct acpi_info *out, struct wire_fault *why);
bool acpi_read_mcfg(const struct acpi_table *t, struct acpi_info *out, struct wire_fault *why);
bool acpi_read_tpm2(const struct acpi_table *t, struct acpi_info *out, struct wire_fault *why);
bool acpi_read_ivrs(const struct acpi_table *t, struct acpi_info *out, struct wire_fault *why);

#endif
