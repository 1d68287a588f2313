/* SPDX-License-Identifier: MIT */
/* Tables of ACPI 6.4, chapter 5.2. The DSDT is dsdt.asl. */
#include "hv/host/vmworker/acpi.h"

#include <string.h>

#define OEM "REDOUB"
#define OEM_TABLE "REDOUBT "

#define RSDP_BYTES 36u
#define HEADER_BYTES 36u
#define XSDT_BYTES (HEADER_BYTES + 2 * 8u)
#define FADT_BYTES 276u /* revision 6 */
#define MADT_FIXED 44u
#define MADT_LAPIC_BYTES 8u
#define LAPIC_BASE 0xfee00000u

/* FADT flags. WBINVD works; power and sleep buttons are not fixed hardware. */
#define FADT_WBINVD (1u << 0)
#define FADT_PROC_C1 (1u << 2)
#define FADT_PWR_BUTTON (1u << 4)
#define FADT_SLP_BUTTON (1u << 5)
#define FADT_RESET_REG (1u << 10)
#define FADT_APIC_PHYSICAL (1u << 19)
#define FADT_HW_REDUCED (1u << 20)
/* IAPC_BOOT_ARCH. LEGACY_DEVICES and 8042 stay clear. */
#define BOOT_NO_VGA (1u << 2)
#define BOOT_NO_CMOS_RTC (1u << 5)

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v);
	put16(p + 2, v >> 16);
}

static void put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)(v >> 32));
}

/* Makes all `bytes` of p add up to 0 by the byte at `where`. */
static void seal(uint8_t *p, uint32_t bytes, uint32_t where)
{
	uint8_t sum = 0;

	p[where] = 0;
	for (uint32_t i = 0; i < bytes; i++) {
		sum = (uint8_t)(sum + p[i]);
	}
	p[where] = (uint8_t)(0u - sum);
}

static void header(uint8_t *p, const char *signature, uint32_t bytes, uint8_t revision)
{
	memcpy(p, signature, 4);
	put32(p + 4, bytes);
	p[8] = revision;
	memcpy(p + 10, OEM, 6);
	memcpy(p + 16, OEM_TABLE, 8);
	put32(p + 24, 1);
	memcpy(p + 28, "RDBT", 4);
	put32(p + 32, 1);
}

/* Generic address: one byte in I/O space. */
static void port(uint8_t *p, uint32_t number)
{
	p[0] = 1; /* system I/O */
	p[1] = 8;
	p[3] = 1; /* byte access */
	put64(p + 4, number);
}

static void rsdp(uint8_t *p, uint64_t xsdt)
{
	memcpy(p, "RSD PTR ", 8);
	memcpy(p + 9, OEM, 6);
	p[15] = 2;
	put32(p + 20, RSDP_BYTES);
	put64(p + 24, xsdt);
	seal(p, 20, 8);
	seal(p, RSDP_BYTES, 32);
}

static void fadt(uint8_t *p, uint64_t dsdt)
{
	header(p, "FACP", FADT_BYTES, 6);
	put32(p + 40, (uint32_t)dsdt);
	put16(p + 109, BOOT_NO_VGA | BOOT_NO_CMOS_RTC);
	put32(p + 112, FADT_WBINVD | FADT_PROC_C1 | FADT_PWR_BUTTON | FADT_SLP_BUTTON |
			       FADT_RESET_REG | FADT_APIC_PHYSICAL | FADT_HW_REDUCED);
	port(p + 116, ACPI_PORT_RESET);
	p[128] = ACPI_RESET_VALUE;
	p[131] = 4; /* minor version */
	put64(p + 140, dsdt);
	port(p + 244, ACPI_PORT_SLEEP_CONTROL);
	port(p + 256, ACPI_PORT_SLEEP_STATUS);
	memcpy(p + 268, OEM_TABLE, 8);
	seal(p, FADT_BYTES, 9);
}

/* No I/O APIC: no device has an interrupt line. PCAT_COMPAT is clear: there is no 8259 either. */
static void madt(uint8_t *p, uint32_t bytes, uint32_t vp_count)
{
	header(p, "APIC", bytes, 5);
	put32(p + 36, LAPIC_BASE);
	for (uint32_t i = 0; i < vp_count; i++) {
		uint8_t *e = p + MADT_FIXED + (size_t)i * MADT_LAPIC_BYTES;

		e[1] = MADT_LAPIC_BYTES;
		e[2] = (uint8_t)i; /* ACPI processor UID */
		e[3] = (uint8_t)i; /* APIC id: a child's VP index */
		put32(e + 4, 1);   /* enabled */
	}
	seal(p, bytes, 9);
}

static uint32_t align(uint32_t v)
{
	return (v + 15) & ~15u;
}

uint32_t acpi_build(uint8_t *to, uint64_t at, uint32_t vp_count)
{
	uint32_t madt_bytes = MADT_FIXED + vp_count * MADT_LAPIC_BYTES;
	uint32_t xsdt_at = align(RSDP_BYTES), fadt_at = xsdt_at + align(XSDT_BYTES);
	uint32_t madt_at = fadt_at + align(FADT_BYTES), dsdt_at = madt_at + align(madt_bytes);

	if (vp_count == 0 || vp_count > 255 ||
	    !range_within(dsdt_at, acpi_dsdt_bytes, ACPI_TABLES_BYTES)) {
		return 0;
	}
	memset(to, 0, ACPI_TABLES_BYTES);
	rsdp(to, at + xsdt_at);
	put64(to + xsdt_at + HEADER_BYTES, at + fadt_at);
	put64(to + xsdt_at + HEADER_BYTES + 8, at + madt_at);
	header(to + xsdt_at, "XSDT", XSDT_BYTES, 1);
	seal(to + xsdt_at, XSDT_BYTES, 9);
	fadt(to + fadt_at, at + dsdt_at);
	madt(to + madt_at, madt_bytes, vp_count);
	memcpy(to + dsdt_at, acpi_dsdt, acpi_dsdt_bytes);
	return dsdt_at + acpi_dsdt_bytes;
}
