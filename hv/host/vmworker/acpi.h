/* SPDX-License-Identifier: MIT */
#ifndef HV_HOST_VMWORKER_ACPI_H
#define HV_HOST_VMWORKER_ACPI_H
/* The guest's ACPI tables: hardware-reduced, no legacy devices, power through three ports. */
#include "hv/wire/view.h"

#define ACPI_PORT_SLEEP_CONTROL 0x600u
#define ACPI_PORT_SLEEP_STATUS 0x601u
#define ACPI_PORT_RESET 0x602u
#define ACPI_RESET_VALUE 0x01u
/* Sleep control register (ACPI 6.4, 4.8.3.7), and what \_S5 in dsdt.asl says. */
#define ACPI_SLEEP_ENABLE 0x20u
#define ACPI_SLEEP_TYPE(v) (((v) >> 2) & 7u)
#define ACPI_S5_TYPE 5u

/* dsdt.asl, compiled while this program is built (dsdt.cmake). */
extern const uint8_t acpi_dsdt[];
extern const uint32_t acpi_dsdt_bytes;

#define ACPI_TABLES_BYTES 4096u /* room for all of them */

/*
 * Writes RSDP, XSDT, FADT, MADT and the DSDT as they stand at guest address `at` into `to`, ACPI_TABLES_BYTES of room; the
 * RSDP comes first. Returns how many bytes are used; 0: no room.
 */
uint32_t acpi_build(uint8_t *to, uint64_t at, uint32_t vp_count);

#endif
