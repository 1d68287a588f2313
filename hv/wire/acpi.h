/* SPDX-License-Identifier: MIT */
#ifndef HV_WIRE_ACPI_H
#define HV_WIRE_ACPI_H
/* The ACPI tables that a hypervisor needs (ACPI 6.5 chapter 5; AMD IOMMU specification 48882 chapter 5 for IVRS). */
#include "hv/wire/view.h"

#define ACPI_CPU_MAX 64
#define ACPI_IOAPIC_MAX 8
#define ACPI_ECAM_MAX 4
#define ACPI_IOMMU_MAX 4

/* In a TPM2 table of at least ACPI_TPM2_END bytes: */
#define ACPI_TPM2_LENGTH 64u  /* of the log: offset in the table, 4 bytes */
#define ACPI_TPM2_ADDRESS 68u /* 8 bytes */
#define ACPI_TPM2_END 76u
#define ACPI_TPM2_TIS 6u
#define ACPI_TPM2_CRB 7u

struct acpi_cpu {
	uint32_t apic_id;
	bool enabled; /* false: only online capable */
};

struct acpi_ioapic {
	uint8_t id;
	uint32_t addr;
	uint32_t gsi_base;
};

struct acpi_ecam {
	uint64_t base;
	uint16_t segment;
	uint8_t bus_start, bus_end;
};

struct acpi_iommu {
	uint16_t device_id;  /* bus << 8 | devfn of the IOMMU's own PCI function */
	uint16_t cap_offset; /* its capability block in configuration space */
	uint16_t segment;
	uint64_t base;      /* MMIO registers */
	uint16_t devid_max; /* largest device id that its IVHD entries cover */
};

struct acpi_info {
	uint64_t rsdp;      /* where it was found */
	uint32_t cpu_count; /* may exceed ACPI_CPU_MAX: then only the first ACPI_CPU_MAX are stored */
	struct acpi_cpu cpu[ACPI_CPU_MAX];
	uint64_t lapic_addr;
	uint32_t ioapic_count;
	struct acpi_ioapic ioapic[ACPI_IOAPIC_MAX];
	/* FADT */
	uint16_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt; /* port numbers, 0 for absent */
	uint8_t pm1_evt_len, pm1_cnt_len;
	uint16_t pm_timer; /* port, 0 for absent */
	bool pm_timer_32bit;
	uint16_t smi_cmd;    /* 0: the machine has no SMI command port */
	uint8_t acpi_enable; /* what to write there for ACPI mode; 0: it is always on */
	bool reset_is_io;
	uint16_t reset_port; /* 0 for absent */
	uint8_t reset_value;
	bool s5_found; /* \_S5_ seen in the DSDT */
	uint8_t s5_typ_a, s5_typ_b;
	/* MCFG */
	uint32_t ecam_count;
	struct acpi_ecam ecam[ACPI_ECAM_MAX];
	/* IVRS */
	uint32_t iommu_count;
	struct acpi_iommu iommu[ACPI_IOMMU_MAX];
	uint64_t ivrs_addr; /* the table itself, 0 for none: hidden from the root */
	uint64_t dmar_addr; /* Intel's, 0 for none */
	/* TPM2 (TCG ACPI Specification 1.3, section 8) */
	uint64_t tpm2_addr;   /* 0 for none; the root's copy of the event log is entered there */
	uint32_t tpm2_method; /* ACPI_TPM2_* or another start method */
	bool tpm2_log;        /* it has the fields for the log's length and address */
	bool tpm12;           /* a TCPA table: a TPM 1.2 */
};

/*
 * Reads RSDP -> XSDT (or RSDT) -> MADT, FADT, DSDT (for \_S5_), MCFG, IVRS, TPM2.
 * `rsdp` 0: look for it in the EBDA and in 0xE0000-0xFFFFF.
 * Trust: every byte is hostile. Checksums are verified; a table that is not needed may be broken, a needed one
 * (RSDP, root table, MADT with at least one usable CPU, FADT) may not. A broken optional table (MCFG, IVRS, TPM2, DSDT's _S5_) is
 * reported through *why with a true result and why->what != NULL: the caller warns and goes on without.
 * Bounded work: at most 256 tables, each at most 16 MiB.
 */
bool acpi_parse(const struct view *v, uint64_t rsdp, struct acpi_info *out, struct wire_fault *why);

/* Enters an event log into a TPM2 table, table[0..ACPI_TPM2_END); its checksum stays as right as it was. */
void acpi_tpm2_set_log(uint8_t *table, uint64_t base, uint32_t size);

#endif
